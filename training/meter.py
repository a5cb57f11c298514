"""Measures an epoch: its loss and errors, images per second, seconds spent waiting for data."""

import math
import time

import numpy as np
from tqdm import tqdm

from nn import top_errors
from nn.arrays import array_module

FETCH = 20              # steps whose loss and errors are copied from a GPU together: every copy waits for the GPU


class Meter:
    """Adds the losses and errors of an epoch's batches to run.sums, and shows them in a progress bar.

    total: images in the epoch; seen: how many of them were trained on before a resume; ranks: the processes that share
    a batch.
    """

    def __init__(self, run, lr, total, seen, title, ranks):
        self.run, self.lr, self.first, self.seen, self.ranks = run, lr, seen, seen, ranks
        self.device, self.every = run.network.devices[0], 1 if run.network.on_cpu else FETCH
        self.pending = []               # (images, loss, top-1 errors, top-5 errors) of steps, still on the device
        self.began, self.waiting = time.monotonic(), 0.0
        self.bar = tqdm(total=total, initial=seen, unit="img", desc=title, leave=False,
                        disable=None if ranks.first else True)

    def waited_for(self, batches):
        """Yield the batches, and count the time until each arrives as waiting."""
        while True:
            asked = time.monotonic()
            batch = next(batches, None)
            self.waiting += time.monotonic() - asked
            if batch is None:
                return
            yield batch

    def add(self, loss, logits, labels, of):
        """Count a step's loss and errors; the numbers stay on the device until `fetch`. of: images in the batch, of which
        `labels` are this process's. (logits is None where another process has the last layer.)"""
        zero = np.zeros(())
        self.pending.append((0, zero, zero, zero) if logits is None else
                            (len(labels), loss, top_errors(logits, labels, 1), top_errors(logits, labels, 5)))
        self.seen += of
        self.bar.update(of)

    def fetch(self):
        """Add what is pending to run.sums. Raises UserError if a loss is not finite. Waits for the device."""
        own = [(n, *numbers) for (n, *_), numbers in zip(self.pending, self.numbers())]
        for step in self.ranks.rows(own).transpose(1, 0, 2) if own else ():            # (ranks, 4)
            for rank, (n, loss, top1, top5) in enumerate(step.tolist()):
                self.run.expect_finite(math.isfinite(loss), f"the loss{self.ranks.where(rank)}", self.lr)
                sums = self.run.sums
                self.run.sums = [sums[0] + loss * n, sums[1] + int(top1), sums[2] + int(top5)]
        self.pending.clear()
        self.bar.set_postfix(loss=f"{self.run.sums[0] / self.seen:.3f}", error=f"{self.run.sums[1] / self.seen:.1%}",
                             refresh=False)

    def numbers(self):
        """[loss, top-1 errors, top-5 errors] of every pending step as Python numbers, in one copy from the device."""
        if not self.pending:
            return []
        with self.device:
            xp = array_module(self.pending[0][1])
            rows = [xp.stack([number.astype(np.float64) for number in row]) for _, *row in self.pending]
            return self.device.get(xp.stack(rows)).tolist()

    def result(self):
        """(training loss, top-1 error, top-5 error, images per second, seconds of waiting) of the epoch."""
        self.fetch()
        self.bar.close()
        seconds = time.monotonic() - self.began
        return (*(value / self.seen for value in self.run.sums), round((self.seen - self.first) / seconds, 1),
                round(self.waiting, 2))
