"""Many processes, on one machine or many, that train one net: `mpiexec -n P python train.py …`. A process is a *rank*.

    data parallel       every rank has the whole net and computes its part of every batch. The gradients are summed
                        over the ranks (Iallreduce), so all make the same update and keep the same weights.
    model parallel      ranks 2d and 2d + 1 hold one tower each of copy d of the net, as the paper's two GPUs (§ 3.2),
                        and exchange maps. Gradients are summed over the ranks with the same tower.

An epoch's order, the crops and the dropout masks follow from (seed, epoch, an image's number, step), so ranks need not
talk about them: each takes its part of what one process would compute. What is sent in a step, in this order:

    place       the number of images on each rank          a few bytes
    gradients   summed while backward still runs: fc8, fc7 and fc6 first, 96 % of the bytes
    rows        each rank's loss and errors                a few bytes
    agree       is anybody stopping, is a checkpoint due   a few bytes

Every wait ends after `wait` seconds with an error that names the ranks that did not come.
"""

import atexit
import os
import pickle
import platform
import subprocess
import sys
import time
import traceback
import warnings
import zlib
from contextlib import nullcontext, redirect_stderr

import mpi4py
import numpy as np
from mpi4py import MPI

from nn.run import launch, watch
from nn.run.other_tower import OtherTower
from nn.run.summing import Summing

BRIEF = 0.0002          # seconds between two looks at a reduction: it also moves on only when it is looked at
LISTEN = 1.0            # seconds in which ranks that wait, too, can say so
CALL = 7                # the tag of "I am waiting"


class RankError(ValueError):
    """Ranks that do not fit together, or one that does not come; the message is one sentence."""


class Ranks:
    """This process among the others. size: how many processes the launcher says that it started; wait: seconds after
    which a rank that does not come is given up."""

    def __init__(self, size, wait=600.0):
        self.calls = []
        self.comm, self.limit = MPI.COMM_WORLD, wait
        self.rank, self.size, self.first = self.comm.rank, self.comm.size, self.comm.rank == 0
        self.replica, self.replicas, self.network, self.summing = self.rank, self.size, None, None
        self.summed = self.comm         # the ranks whose gradients are added up
        here = f"rank {self.rank} on {MPI.Get_processor_name()}"
        killed = f"{here} was killed (process {os.getpid()}): all ranks end; resume from what has been saved"
        self.watcher = subprocess.Popen([sys.executable, "-S", watch.__file__, str(os.getppid()), killed],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        atexit.register(self.end)
        sys.excepthook = self.unexpected
        if self.size != size:
            raise RankError(f"the launcher started {size} processes, but MPI connects {self.size}: use the mpiexec of "
                            "the MPI that mpi4py uses, or with srun --mpi=pmi2 or --mpi=pmix")
        if not self.first:
            sys.stdout = open(os.devnull, "w")                  # rank 0 speaks for all
            warnings.simplefilter("ignore")
        found = self.everyone((MPI.Get_processor_name(), launch.my_cores()))
        self.hosts = [host for host, _ in found]
        node = [r for r in range(self.size) if self.hosts[r] == self.hosts[self.rank]]      # the ranks on this machine
        self.local, self.on_node = node.index(self.rank), len(node)
        self.fair = launch.fair_threads(found[self.rank][1], [found[r][1] for r in node])
        self.calls = [self.comm.irecv(source=r, tag=CALL) for r in range(self.size)]

    def quiet(self):
        """with ranks.quiet(): only rank 0 writes, also of wrong options."""
        return nullcontext() if self.first else redirect_stderr(sys.stdout)

    # Before the first step --------------------------------------------------------------------------------------------

    def threads(self, given):
        """--threads, or the node's cores over its ranks."""
        return given or self.fair

    def devices(self, given, towers):
        """--device for this rank: `cuda` means its share of the node's cards, in the order of the ranks there."""
        if given != "cuda":
            return given
        from nn.run.device import cuda_devices
        cards = cuda_devices()
        if towers > 1 and cards >= towers * self.on_node:
            return ",".join(f"cuda:{self.local * towers + t}" for t in range(towers))
        return f"cuda:{self.local % cards}"

    def compare(self, facts):
        """Raise RankError unless {what: value} and the versions are the same on all ranks."""
        facts = facts | {"Python": platform.python_version(), "NumPy": np.__version__, "mpi4py": mpi4py.__version__}
        for rank, other in enumerate(everything := self.everyone(facts)):
            for what in everything[0] | other:
                mine, theirs = everything[0].get(what), other.get(what)
                if mine != theirs:
                    raise RankError(f"the ranks must be alike, but {what} is {theirs} on {self.name(rank)} and {mine} "
                                    f"on {self.name(0)}: start all with the same options, data and versions")

    def take(self, network, model_parallel=False):
        """Train `network` together with the other ranks from now on. Their initial values must be the same."""
        self.rows([0])                                          # all are here: Split and Dup would wait without end
        if model_parallel:
            if len(network.towers) != 2 or self.size % 2:
                raise RankError("--model-parallel needs two towers and an even number of processes, got "
                                f"{len(network.towers)} and {self.size}")
            self.replica, self.replicas = self.rank // 2, self.size // 2
            self.summed = self.comm.Split(self.rank % 2, self.rank)
        self.network, self.summing = network, Summing(self, self.summed.Dup())
        network.ready = self.summing.start
        self.expect_same(network)
        if model_parallel:
            network.others = OtherTower(self, network, self.rank % 2)

    def expect_same(self, network):
        """Raise RankError if a rank has other weights than rank 0."""
        sums = self.everyone({name: zlib.crc32(array) for name, array in network.weights().items()})
        for rank, own in enumerate(sums):
            for name in own:
                if own[name] != sums[0][name]:
                    raise RankError(f"{name} differs between {self.name(rank)} and {self.name(0)}: are the "
                                    "processors or libraries different? Resume on machines that are alike")

    # In every step ----------------------------------------------------------------------------------------------------

    def place(self, count):
        """Tell the others that this rank has `count` images of the batch → how many it has in all."""
        counts = self.rows([count])[::self.size // self.replicas, 0].astype(int)
        self.network.place = int(counts[:self.replica].sum())
        return int(counts.sum())

    def weigh(self, gradient, count):
        """The loss is a mean over this rank's images: make its gradient that of the mean over all `count`."""
        return None if gradient is None else gradient * gradient.dtype.type(len(gradient) / count)

    def finish(self):
        """Wait until the gradients are those of the whole batch."""
        self.summing.finish()

    def agree(self, stop, due):
        """(a signal's number or 0, whether a checkpoint is due) → the same on all: any's signal, rank 0's clock."""
        rows = self.rows([stop, due])
        self.stopped = int(rows[:, 0].argmax())
        return int(rows[:, 0].max()), bool(rows[0, 1])

    def who_stopped(self):
        return f" by a signal to {self.name(self.stopped)}"

    def rows(self, numbers):
        """Numbers, in any shape → those of all ranks, (ranks, …) float64."""
        own = np.ascontiguousarray(numbers, np.float64)
        out = np.empty((self.size, *own.shape))
        self.until(self.comm.Iallgather(own, out))
        return out

    # Less often -------------------------------------------------------------------------------------------------------

    def everyone(self, thing):
        """[the thing of rank 0, of rank 1 …], anything that can be pickled."""
        own = np.frombuffer(pickle.dumps(thing), np.uint8)
        lengths = self.rows([own.size]).astype(int)[:, 0]
        padded, out = np.zeros(lengths.max(), np.uint8), np.empty((self.size, lengths.max()), np.uint8)
        padded[:own.size] = own
        self.until(self.comm.Iallgather(padded, out))
        return [pickle.loads(row[:length]) for row, length in zip(out, lengths)]

    def once(self, function, *arguments):
        """function(*arguments), called on rank 0 alone → its value, on all. What it raises is raised on rank 0."""
        data = np.frombuffer(pickle.dumps(function(*arguments)), np.uint8) if self.first else np.empty(0, np.uint8)
        data = np.array(data) if self.first else np.empty(int(self.rows([0])[0, 0]), np.uint8)
        if self.first:
            self.rows([data.size])
        self.until(self.comm.Ibcast(data, 0))
        return pickle.loads(data)

    def union(self, texts):
        """The texts of all ranks, each once, on all ranks, in the list of rank 0 first."""
        return list(dict.fromkeys(text for own in self.everyone(list(texts)) for text in own))

    def part(self, count):
        """This rank's part of `count` images that are shared out."""
        return range(count * self.replica // self.replicas, count * (self.replica + 1) // self.replicas)

    def total(self, numbers):
        """The sum over the ranks, in the order of their numbers."""
        return self.rows(numbers).sum(0)

    # Waiting, and the end ---------------------------------------------------------------------------------------------

    def until(self, request, partner=None):
        """Wait for a request. Raises RankError, with the names of those who are missing, after self.limit seconds."""
        began, called = time.monotonic(), False
        while not request.Test():
            waited = time.monotonic() - began
            if waited > 0.002:
                time.sleep(BRIEF)
            if waited > self.limit / 2 and not called:
                called = [self.comm.isend(None, r, CALL) for r in range(self.size) if r != self.rank]
            if waited > self.limit:
                time.sleep(LISTEN)
                absent = [r for r in (range(self.size) if partner is None else [partner])
                          if r != self.rank and not self.calls[r].Test()]
                names = ", ".join(map(self.name, absent[:5])) + f" and {len(absent) - 5} more" * (len(absent) > 5)
                raise RankError(f"waited {self.limit:g} s for {names or 'the network'}: look there for the cause, and "
                                "resume; --wait allows a longer time")

    def name(self, rank):
        return f"rank {rank} on {self.hosts[rank]}"

    def where(self, rank):
        return f" of {self.name(rank)}"

    def fail(self, sentence):
        """Have the sentence printed, and end all ranks. Where several fail, the first of them speaks."""
        self.say(sentence if "rank " in sentence else f"{sentence} ({self.name(self.rank)})")
        self.watcher.stdout.read()                              # until the watcher has spoken: next, all are killed
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)            # MPI would add that it was aborted
        self.comm.Abort(1)
        os._exit(1)                                             # (Abort may return)

    def end(self):
        """At the end of the program: no message is expected any more, and the watcher may go."""
        for call in self.calls:
            if call:                                            # it has not arrived
                call.Cancel()
                call.Free()
        self.say("!")

    def say(self, text):
        if not self.watcher.stdin.closed:
            self.watcher.stdin.write(text.encode())
            self.watcher.stdin.close()

    def unexpected(self, kind, error, trace):
        """An exception that nobody has caught: the program's fault, so with its place."""
        traceback.print_exception(error)
        self.fail(f"{kind.__name__}: {error}")
