"""Response normalisation within a map (not in the paper; in the 2012 code, after the second LRN)."""

from nn.arrays import array_module
from nn.layer import Layer, expect_count, expect_maps
from nn.lrn import power


class SpatialResponseNorm(Layer):
    """Pixels compete with their neighbours in the same map:

        y_i = x_i / d_i^β,   d_i = k + α Σ_{j ∈ window of i} x_j²,   window: the size×size pixels around i that exist

    alpha: the factor of the sum. The 2012 code's definition of the layer has 0.001, and its program divides that by the
        25 pixels of a window. k: 1, and beta: 3/4, as there.
    """

    def __init__(self, size=5, alpha=1e-3 / 25, beta=0.75, k=1.0):
        super().__init__()
        expect_count("SpatialResponseNorm's size", size)
        if size % 2 == 0:
            raise ValueError(f"SpatialResponseNorm's size must be odd, to have a centre, got {size}")
        if not (alpha >= 0 and k > 0):
            raise ValueError(f"SpatialResponseNorm needs alpha ≥ 0 and k > 0, got alpha {alpha} and k {k}: "
                             "otherwise it can divide by zero")
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def __repr__(self):
        return f"SpatialResponseNorm({self.size}, alpha={self.alpha:g}, beta={self.beta:g}, k={self.k:g})"

    def expect(self, x):
        expect_maps(self, x)

    def forward(self, x, train=True):
        """x (N, H, W, C) → y, the same shape. Kept: x and d."""
        self.expect(x)
        d = self.window_sum(x * x)
        d *= x.dtype.type(self.alpha)
        d += x.dtype.type(self.k)
        return x / power(d, self.beta), ((x, d) if train else None)

    def backward(self, dy, cache):
        """∂x_i = ∂y_i d_i^−β − 2 α β x_i Σ_{j: i ∈ window of j} ∂y_j y_j / d_j.

        The windows are symmetric, as in nn/lrn.py: the same sum serves forward and backward.
        """
        x, d = cache
        direct = dy / power(d, self.beta)                                           # ∂y d^−β
        dx = self.window_sum(direct * x / d)                                        # direct · x is ∂y y
        dx *= x
        dx *= x.dtype.type(-2 * self.alpha * self.beta)
        dx += direct
        return dx, {}

    def window_sum(self, a):
        """The sum of `a` (N, H, W, C) over the window of every pixel: over its rows, then over its columns."""
        for axis in (1, 2):
            a = sum_along(a, axis, self.size // 2)
        return a


def sum_along(a, axis, reach):
    """For every place along an axis the sum of `a` from `reach` places before it to `reach` places after it."""
    total = a.copy()
    source, target = (array_module(a).moveaxis(array, axis, 0) for array in (a, total))
    for shift in range(1, min(reach, len(source) - 1) + 1):
        target[shift:] += source[:-shift]
        target[:-shift] += source[shift:]
    return total
