"""A pool of Python threads, one per core. NumPy releases the interpreter's lock inside its loops."""

import ctypes
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import ThreadpoolController

from nn.layer import expect_count


def cores():
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def keep_freed_memory():
    """Have the C library keep freed memory for the next arrays: otherwise the system clears the same pages again in
    every step (measured: 7 % of a step with two threads, 11 % with
    one). Only with glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        for parameter, value in ((-3, 2**31 - 1), (-1, 2**31 - 1), (-2, 2**28)):    # M_MMAP_THRESHOLD,
            mallopt(parameter, value)                                               # M_TRIM_THRESHOLD, M_TOP_PAD


class Workers:
    """`threads` threads (default: one per core) that share pieces of work; BLAS uses one thread meanwhile.

    (BLAS's own threads do not help even for a large product between two shared parts: they spin for 100 ms while they
    wait for the next one, and take a core from ours. Measured: 114 instead of 75 ms for a step of a small
    net.)
    """

    def __init__(self, threads=None):
        self.threads = cores() if threads is None else threads
        expect_count("threads", self.threads)
        keep_freed_memory()
        self._pool = ThreadPoolExecutor(self.threads)
        self._blas = ThreadpoolController().select(user_api="blas")

    def one_blas_thread(self):
        """with workers.one_blas_thread(): every matrix product inside runs in the calling thread."""
        return self._blas.limit(limits=1)

    def all_blas_threads(self):
        """with workers.all_blas_threads(): a matrix product inside uses as many threads as there are workers."""
        return self._blas.limit(limits=self.threads)

    def map(self, function, items):
        """[function(item) for item in items], many at a time; an exception in any is raised here."""
        return list(self._pool.map(function, items))

    def product(self, a, b):
        """a @ b for matrices, the columns of b split between threads. (Not for use inside `map`.)"""
        out = np.empty((a.shape[0], b.shape[1]), np.result_type(a, b))
        edges = [b.shape[1] * i // self.threads for i in range(self.threads + 1)]
        parts = [slice(start, stop) for start, stop in zip(edges, edges[1:])]
        if a.size * b.shape[1] < 1 << 24:                       # too little to be worth a thread's waking
            parts = [slice(None)]
        run = self.map if len(parts) > 1 else map
        list(run(lambda part: np.matmul(a, b[:, part], out=out[:, part]), parts))
        return out
