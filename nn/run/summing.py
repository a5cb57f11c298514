"""Gradients summed over ranks, while backward still computes the others (nn/run/ranks.py)."""

import time
from concurrent.futures import ThreadPoolExecutor

from mpi4py import MPI

from nn.arrays import array_module


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
