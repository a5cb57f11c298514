"""Dropout (paper § 4.2)."""

import numpy as np

from nn.arrays import array_module
from nn.layer import Layer, expect_float
from nn.random import philox


class Dropout(Layer):
    """Training: every neuron's output is set to zero with probability `rate`. Test: all neurons, times 1 − rate.

    inverted: divide by 1 − rate in training and do nothing at test time (Caffe, PyTorch), which has the same mean.
    whole: every tower has the whole layer before it, as directly after an exchange, and all draw the same mask.
    """

    def __init__(self, rate=0.5, inverted=False, whole=False):
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"Dropout's rate must be at least 0 and below 1, got {rate}")
        self.rate, self.inverted, self.whole = rate, inverted, whole

    def __repr__(self):
        return f"Dropout({self.rate}{', inverted' if self.inverted else ''})"

    def forward(self, x, train=True, key=(0,), part=(0, 1), start=0):
        """x (N, F) → y (N, F). Kept: the mask.

        key: whole numbers that the mask is drawn from; the network gives (seed, step, layer's name), so a step can
            be repeated and no state needs saving.
        part: (t, T): x is tower t's share of a layer spread over T towers. Each draws the mask of the whole layer
            and takes its own columns, so that two towers drop the same neurons as one.
        start: x begins with image number `start` of the batch. A piece of a batch takes its own rows of the batch's
            mask, so that any pieces, on any number of processes, drop the same neurons as the whole.
        """
        expect_float(self, x)
        scale = 1 - self.rate
        if not train:
            return (x.copy() if self.inverted else x * x.dtype.type(scale)), None
        t, T = part
        F = x.shape[-1]
        N = x.size // F                                         # of maps, (N, H, W, F), every pixel has its row
        skipped = start * (N // max(1, len(x))) * F * T         # 32-bit numbers before x's; a counter gives eight
        bits = philox("dropout", *key).advance(skipped // 8)
        skipped %= 8
        drawn = bits.random_raw((skipped + N * F * T + 1) // 2).view("<u4")[skipped:][:N * F * T]
        keep = drawn.reshape(N, F * T)[:, t * F:(t + 1) * F] >= np.uint32(self.rate * 2**32)
        mask = array_module(x).asarray(keep.reshape(x.shape))
        if self.inverted:
            mask = mask * x.dtype.type(1 / scale)
        return x * mask, mask

    def backward(self, dy, cache):
        """∂x = mask · ∂y."""
        mask = cache
        return dy * mask, {}
