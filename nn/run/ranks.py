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
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, redirect_stderr

import mpi4py
import numpy as np
from mpi4py import MPI

from nn.arrays import array_module
from nn.loss import SoftmaxCrossEntropy
from nn.run import launch, watch

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


class Summing:
    """Sums gradients over ranks in a thread, while backward goes on in the main thread.

    Reductions are made in the order in which backward finishes the parameters, the same on all ranks. (In a thread,
    because MPI moves a message on only while somebody looks at its request.) A GPU's arrays go through pinned memory.
    """

    def __init__(self, ranks, comm):
        self.ranks, self.comm, self.thread = ranks, comm, ThreadPoolExecutor(1)
        self.begun = {}                 # {(tower, parameter): a Future}
        self.pinned = {}                # {(tower, parameter): host memory for a GPU's gradient}
        self.waited = 0.0               # seconds that updates have waited for sums, for benchmarks/scaling.py

    def start(self, gradients):
        """Begin to sum the gradients that are new since the last call, in place."""
        for t, own in enumerate(gradients):
            device = self.ranks.network.devices[t]
            for name in own:
                if (t, name) not in self.begun:
                    with device:
                        own[name] = array_module(own[name]).ascontiguousarray(own[name])
                    computed = None if device.number is None else device.event()
                    self.begun[t, name] = self.thread.submit(self.add_up, device, (t, name), own[name], computed)

    def add_up(self, device, key, gradient, computed):
        host = gradient
        if computed:
            host = self.pinned[key] = self.pinned[key] if key in self.pinned else device.pinned(gradient)
            device.copy_out(gradient, host, computed)
        self.ranks.until(self.comm.Iallreduce(MPI.IN_PLACE, host))
        if computed:
            device.copy_in(gradient, host)

    def finish(self):
        """Wait for the sums."""
        began = time.monotonic()
        for future in self.begun.values():
            future.result()
        self.waited += time.monotonic() - began
        for t in {t for t, _ in self.begun}:
            device = self.ranks.network.devices[t]
            if device.number is not None:
                device.await_event(device.event(device.copying))
        self.begun = {}


class OtherTower:
    """Stands in for Exchange where the other tower is on the neighbouring rank. Bytes are counted as in send()."""

    def __init__(self, ranks, network, mine):
        self.ranks, self.mine, self.partner = ranks, mine, ranks.rank + 1 - 2 * mine
        self.comm, self.network, self.last = ranks.comm.Dup(), network, None
        network.mine = (mine,)
        if mine == 1:
            network.loss = LossElsewhere()
        for layer in network.towers[1 - mine].values():
            for key, array in layer.params.items():             # its shape without its memory
                layer.params[key] = np.broadcast_to(np.zeros((), array.dtype), array.shape)

    def swap(self, send, shape, dtype, counted=True):
        """Send an array to the other tower, and receive one of a shape. Either may be None."""
        device, other = self.network.devices[self.mine], self.network.devices[1 - self.mine]
        requests, received = [], None
        if shape is not None:
            received = np.empty(shape, dtype)
            requests.append(self.comm.Irecv(received, self.partner))
        if send is not None:
            host = np.ascontiguousarray(device.get(send))
            if counted:
                device.sent[other] = device.sent.get(other, 0) + host.nbytes
            requests.append(self.comm.Isend(host, self.partner))
        for request in requests:
            self.ranks.until(request, self.partner)
        return None if received is None else device.put(received)

    def forward(self, xs, devices, receivers):
        x = xs[self.mine]
        self.last = x.shape, x.dtype
        theirs = self.swap(x if 1 - self.mine in receivers else None,
                           x.shape if self.mine in receivers else None, x.dtype)
        if theirs is None:
            return {}
        with devices[self.mine]:
            return {self.mine: array_module(x).concatenate([x, theirs][::1 - 2 * self.mine], axis=-1)}

    def backward(self, dys, devices, receivers):
        """Send the other tower the gradient of its half of the channels; add what it sends to that of our own half."""
        both = len(receivers) == 2
        if self.mine not in receivers:                          # tower 1, whose features tower 0 has gathered
            return {self.mine: self.swap(None, *self.last)}
        dy = dys[self.mine]
        width = dy.shape[-1] // 2
        halves = [dy[..., :width], dy[..., width:]]
        own = halves[self.mine]
        theirs = self.swap(halves[1 - self.mine], own.shape if both else None, own.dtype)
        with devices[self.mine]:
            return {self.mine: own + theirs if both else own}

    def complete(self, arrays):
        """One dict per tower, of which this rank has one → all."""
        own, absent = arrays[self.mine], self.network.every[1 - self.mine]
        theirs = {name: self.swap(own.get(name), absent[name].shape if name in absent else None, absent[name].dtype
                                  if name in absent else None, counted=False) for name in self.network.every[0]}
        every = [own, {name: theirs[name] for name in absent}]
        return every[::1 - 2 * self.mine]


class LossElsewhere(SoftmaxCrossEntropy):
    """Of the second tower: the first has the last layer and the loss."""

    def forward(self, logits, labels):
        return None, None

    def backward(self, cache):
        return None
