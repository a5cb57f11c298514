"""Whether this process is one of several that mpiexec or srun started. Imports MPI only if it is."""

import os
import signal
import sys
from contextlib import nullcontext

import numpy as np

from nn.run.workers import cores

SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")     # set by launchers
NUMBERS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID")


def stated(names):
    """The first of these environment variables that holds a number, or None."""
    return next((int(os.environ[name]) for name in names if os.environ.get(name, "").isdecimal()), None)


def start(wait=600.0):
    """→ the nn.run.ranks.Ranks of this process, or One if it is alone. wait: as in Ranks."""
    size = stated(SIZES) or 1
    if size == 1:
        return One()
    signal.signal(signal.SIGINT, signal.SIG_DFL)            # outside of training, Ctrl-C ends a rank, and so all
    try:
        from mpi4py import MPI  # noqa: F401
    except (ImportError, RuntimeError) as error:            # RuntimeError: it finds no MPI
        found = "no mpi4py" if isinstance(error, ModuleNotFoundError) else f"no MPI ({str(error).splitlines()[0]})"
        if stated(NUMBERS) == 0:
            print(f"found {found}, which {size} processes need to work together: pip install -r "
                  "requirements/mpi.txt, or start one process, without mpiexec", file=sys.stderr)
        sys.exit(1)
    from nn.run.ranks import Ranks
    return Ranks(size, wait)


class One:
    """A process that is alone: what nn/run/ranks.py does for several, where there is nothing to do."""

    rank, size, replica, replicas = 0, 1, 0, 1
    first = True            # this process writes checkpoint, log and pictures

    def threads(self, given):
        return given

    def devices(self, given, towers):
        return given

    def compare(self, facts):
        return None

    def take(self, network, model_parallel=False):
        if model_parallel:
            raise ValueError("--model-parallel needs a process for each tower: start it with mpiexec -n 2")

    def place(self, count):
        """→ images in the global batch, of which this process has `count`."""
        return count

    def weigh(self, gradient, count):
        return gradient

    def finish(self):
        return None

    def agree(self, stop, due):
        return stop, due

    def who_stopped(self):
        return ""

    def quiet(self):
        return nullcontext()

    def rows(self, numbers):
        return np.asarray(numbers, np.float64)[None]

    def where(self, rank):
        return ""

    def everyone(self, thing):
        return [thing]

    def once(self, function, *arguments):
        return function(*arguments)

    def union(self, texts):
        return texts

    def part(self, count):
        return range(count)

    def total(self, numbers):
        return numbers

    def fail(self, sentence):
        return None


def fair_threads(own, others):
    """CPU threads for a process that may use the cores `own`, one of a node's processes with the cores `others` (a list
    that has `own`, too): the cores over the processes that may use some of them."""
    return max(1, len(own) // sum(bool(own & other) for other in others))


def my_cores():
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(cores()))
