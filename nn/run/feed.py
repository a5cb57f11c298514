"""Copies batches to the devices while they compute (paper § 4.1: the next ones are "computationally free")."""

from itertools import cycle

import numpy as np


def feed(batches, devices):
    """Yield (images, labels) for each (images, labels) of NumPy arrays: images as a list with one array per tower, on
    its device, and labels on the first device, where the loss is. On the CPU, the batches as they are.

    A batch goes from pinned memory, by a stream of its own, while the devices compute the step before. `batches` is
    closed when this is. A yielded array may be overwritten after the next one is requested.
    """
    try:
        if devices[0].number is None:
            yield from batches
            return
        slots = cycle([Slot(devices), Slot(devices)])
        for images, labels in batches:      # made while the devices compute the previous step
            slot = next(slots)
            slot.fill(images, labels)
            yield slot.take()
            slot.used()
    finally:
        for device in devices:
            device.wait()                   # the slots' memory is freed: no copy into it may be pending
        batches.close()


class Slot:
    """Memory for one batch, pinned on the host and on every device. Three guards keep its two readers and two writers
    apart, without unnecessary waits:

        the host refills pinned memory only when the copies out of it are done             (it waits for `copied`)
        a copy overwrites a device's array only when the step that reads it is done     (the copy waits for `free`)
        a step reads a device's array only when the copy into it is done                (the step waits for `copied`)
    """

    def __init__(self, devices):
        self.readers = devices
        self.devices = list({device.name: device for device in devices}.values())   # once for two towers on one card
        self.towers = [[device.name for device in self.devices].index(device.name) for device in devices]
        self.pinned, self.copied = None, []

    def allocate(self, images, labels):
        """Memory for batches like this one. It comes from the device's pool, where queued work may still read the
        previous contents: so the first copy waits, too."""
        first = self.devices[0]
        self.pinned = [first.pinned(array) for array in (images, labels)]
        self.arrays = [[device.empty(array) for device in devices]
                       for array, devices in ((images, self.devices), (labels, self.devices[:1]))]
        self.used()

    def fill(self, images, labels):
        """Start copying a batch to the devices."""
        for event in self.copied:
            event.synchronize()                                                     # guard 1
        if self.pinned is None or any(pinned.shape != array.shape or pinned.dtype != array.dtype
                                      for pinned, array in zip(self.pinned, (images, labels))):
            self.allocate(images, labels)
        for pinned, array in zip(self.pinned, (images, labels)):
            np.copyto(pinned, array)
        for i, free in zip(self.towers, self.free):
            self.devices[i].copying.wait_event(free)                                # guard 2
        for pinned, arrays in zip(self.pinned, self.arrays):
            for device, array in zip(self.devices, arrays):
                device.copy_in(array, pinned)
        self.copied = [device.event(device.copying) for device in self.devices]

    def take(self):
        """→ images (a list, one array per tower) and labels, for the work queued from now on."""
        for i, device in zip(self.towers, self.readers):
            device.await_event(self.copied[i])                                      # guard 3
        images, labels = self.arrays
        return [images[i] for i in self.towers], labels[0]

    def used(self):
        """Call it when all work that reads the arrays has been queued."""
        self.free = [device.event() for device in self.readers]
