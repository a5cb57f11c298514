"""Overlapping max pooling (paper § 3.4)."""

import numpy as np

from nn.device import array_module
from nn.kernels import fused
from nn.layer import Layer, expect_count, expect_maps


class MaxPool2d(Layer):
    """The largest value of every size×size window, windows `stride` apart: they overlap where stride < size.

    The paper pools with size 3 and stride 2; size 2, stride 2 is what it compares with. A last row or column that no
    whole window reaches is left out (the 2012 code and Caffe add a smaller window there; with the paper's sizes,
    55 → 27 → 13 → 6, there is none). Of equal values in a window the first, row by row, gets the gradient, as in
    Caffe (in the 2012 code every one of them does).
    """

    def __init__(self, size=3, stride=2):
        super().__init__()
        expect_count("MaxPool2d's size", size)
        expect_count("MaxPool2d's stride", stride)
        if size > 15:
            raise ValueError(f"MaxPool2d's size must be at most 15 (a winner's place is kept in a byte), got {size}")
        self.size, self.stride = size, stride

    def __repr__(self):
        return f"MaxPool2d({self.size}, {self.stride})"

    def output_shape(self, shape):
        H, W, C = shape
        return ((H - self.size) // self.stride + 1, (W - self.size) // self.stride + 1, C)

    def places(self, x):
        """For each of the size² places in a window, what all windows have there: views of x, (N, P, Q, C) each."""
        P, Q, _ = self.output_shape(x.shape[1:])
        down, right = self.stride * (P - 1) + 1, self.stride * (Q - 1) + 1
        return [x[:, i:i + down:self.stride, j:j + right:self.stride]
                for i in range(self.size) for j in range(self.size)]

    def forward(self, x, train=True):
        """x (N, H, W, C) → y (N, P, Q, C). Kept: the place of each winner in its window, one byte, and x's shape."""
        expect_maps(self, x)
        if min(x.shape[1:3]) < self.size:
            raise ValueError(f"{self} expects maps of at least {self.size} pixels a side, got {x.shape}: "
                             "use larger images")
        xp, cuda = array_module(x), fused(x)
        if cuda:
            P, Q, _ = self.output_shape(x.shape[1:])
            y, winner = cuda.max_pool_forward(x, P, Q, self.size, self.stride, keep=train)
            return y, ((winner, x.shape) if train else None)
        places = self.places(x)
        y = places[0].copy()                                                        # (N, P, Q, C)
        if not train:
            for place in places[1:]:
                xp.maximum(y, place, out=y)
            return y, None
        winner = xp.zeros(y.shape, np.uint8)
        for number, place in enumerate(places[1:], start=1):
            better = (place > y).view(np.uint8)
            better *= np.uint8(number)
            xp.maximum(winner, better, out=winner)                                  # later places have larger numbers
            xp.maximum(y, place, out=y)
        return y, (winner, x.shape)

    def backward(self, dy, cache):
        """∂x sums, over the windows that a pixel has won, their ∂y: one pixel can win several windows."""
        winner, shape = cache
        cuda = fused(dy)
        if cuda:
            _, H, W, _ = shape
            return cuda.max_pool_backward(dy, winner, H, W, self.size, self.stride), {}
        dx = array_module(dy).zeros(shape, dy.dtype)
        for number, place in enumerate(self.places(dx)):
            place += dy * (winner == number)
        return dx, {}
