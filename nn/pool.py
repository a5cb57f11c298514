"""Overlapping max pooling (paper § 3.4)."""

import numpy as np

from nn.arrays import array_module
from nn.layer import Layer, expect_count, expect_maps


class MaxPool2d(Layer):
    """The largest value of every size×size window, windows `stride` apart: they overlap where stride < size.

    The paper pools with size 3 and stride 2; it compares with size 2, stride 2.
    ties: which of equal largest values in a window gets the gradient. The paper does not say. "first": the first one,
        row by row, as in Caffe. "all": every one of them gets all of it, as in the 2012 code.
    ceil: False: a last row or column that no whole window reaches is left out. True: a smaller window is added there,
        as in the 2012 code and in Caffe. The paper's 55 → 27 → 13 → 6 needs none; the last of 54 → 26 → 12 → 6 does.
    """

    def __init__(self, size=3, stride=2, ceil=False, ties="first"):
        super().__init__()
        expect_count("MaxPool2d's size", size)
        expect_count("MaxPool2d's stride", stride)
        if size > 15:
            raise ValueError(f"MaxPool2d's size must be at most 15 (a winner's place is kept in a byte), got {size}")
        if ties not in ("first", "all"):
            raise ValueError(f"MaxPool2d's ties must be one of first, all, got {ties!r}")
        self.size, self.stride, self.ceil, self.ties = size, stride, ceil, ties

    def __repr__(self):
        return f"MaxPool2d({self.size}, {self.stride}{', ceil' if self.ceil else ''})"

    def output_shape(self, shape):
        return (*(self.windows(length) for length in shape[:2]), shape[2])

    def windows(self, length):
        """The number of windows along `length` pixels; none begins outside them."""
        left = (length - self.size) % self.stride               # pixels that no whole window reaches
        return (length - self.size) // self.stride + 1 + (self.ceil and 0 < left and left + self.size > self.stride)

    def complete(self, x):
        """x with the rows and columns of −∞ at its end that the last windows lack."""
        short = [max(0, (self.windows(length) - 1) * self.stride + self.size - length) for length in x.shape[1:3]]
        if not any(short):
            return x
        return array_module(x).pad(x, ((0, 0), (0, short[0]), (0, short[1]), (0, 0)), constant_values=-np.inf)

    def places(self, x):
        """For each of the size² places in a window, all windows' values there: views of x, (N, P, Q, C) each."""
        P, Q, _ = self.output_shape(x.shape[1:])
        down, right = self.stride * (P - 1) + 1, self.stride * (Q - 1) + 1
        return [x[:, i:i + down:self.stride, j:j + right:self.stride]
                for i in range(self.size) for j in range(self.size)]

    def expect(self, x):
        expect_maps(self, x)
        if min(x.shape[1:3]) < self.size:
            raise ValueError(f"{self} expects maps of at least {self.size} pixels a side, got {x.shape}: "
                             "use larger images")

    def forward(self, x, train=True):
        """x (N, H, W, C) → y (N, P, Q, C). Kept: each window's winner, as its place, one byte; ties "all": x, y."""
        self.expect(x)
        maps, x = x.shape, self.complete(x)
        xp, places = array_module(x), self.places(x)
        y = places[0].copy()                                                        # (N, P, Q, C)
        one = train and self.ties == "first"
        winner = xp.zeros(y.shape, np.uint8) if one else None
        for number, place in enumerate(places[1:], start=1):
            if one:
                better = (place > y).view(np.uint8)
                better *= np.uint8(number)
                xp.maximum(winner, better, out=winner)                              # later places have larger numbers
            xp.maximum(y, place, out=y)
        return y, ((winner if one else (x, y), x.shape, maps) if train else None)

    def backward(self, dy, cache):
        """∂x sums, over the windows that a pixel has won, their ∂y: one pixel can win several windows."""
        kept, shape, maps = cache
        dx = array_module(dy).zeros(shape, dy.dtype)
        for place, won in zip(self.places(dx), self.winners(kept)):
            place += dy * won
        return dx[:, :maps[1], :maps[2]], {}

    def winners(self, kept):
        """For each of the size² places in a window, whether it has won: (N, P, Q, C) bool each."""
        if self.ties == "first":
            return (kept == number for number in range(self.size ** 2))
        x, y = kept
        return (place == y for place in self.places(x))
