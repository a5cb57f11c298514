"""Local response normalisation (paper § 3.3)."""

from nn.arrays import array_module
from nn.layer import Layer, expect_count, expect_maps


class LocalResponseNorm(Layer):
    """Kernels compete with their neighbours at the same place:

        y_i = x_i / d_i^β,   d_i = k + α Σ_{j ∈ window of i} x_j²,   window: max(0, i − size/2) … min(C−1, i + size/2)

    size: maps in a window, odd so that it has a centre (the paper's n = 5).
    alpha: as printed in the paper, the factor of the sum. The 2012 code, Caffe and PyTorch divide theirs by `size`:
        the alpha that does what theirs does is alpha / size.
    k: 2 in the paper and the 2012 code, 1 in Caffe.
    groups: the window stops at the edge of a group, as it does between two towers (and in the 2012 code; in Caffe it
        crosses). The paper does not say.
    """

    def __init__(self, size=5, alpha=1e-4, beta=0.75, k=2.0, groups=1):
        super().__init__()
        expect_count("LocalResponseNorm's size", size)
        expect_count("LocalResponseNorm's groups", groups)
        if size % 2 == 0:
            raise ValueError(f"LocalResponseNorm's size must be odd, to have a centre, got {size}")
        if not (alpha >= 0 and k > 0):
            raise ValueError(f"LocalResponseNorm needs alpha ≥ 0 and k > 0, got alpha {alpha} and k {k}: "
                             "otherwise it can divide by zero")
        self.size, self.alpha, self.beta, self.k, self.groups = size, alpha, beta, k, groups

    def __repr__(self):
        return f"LocalResponseNorm({self.size}, alpha={self.alpha:g}, beta={self.beta:g}, k={self.k:g})"

    def expect(self, x):
        expect_maps(self, x)
        if x.shape[3] % self.groups:
            raise ValueError(f"{self} expects channels that its {self.groups} groups divide, got {x.shape}")

    def forward(self, x, train=True):
        """x (N, H, W, C) → y, the same shape. Kept: x and d; y is recomputed, which saves N·H·W·C floats."""
        self.expect(x)
        d = self.window_sum(x * x, self.alpha)
        d += x.dtype.type(self.k)
        return x / power(d, self.beta), ((x, d) if train else None)

    def backward(self, dy, cache):
        """∂x_i = ∂y_i d_i^−β − 2 α β x_i Σ_{j: i ∈ window of j} ∂y_j y_j / d_j.

        The windows are symmetric: j has i in its window when i has j, so the same sum serves forward and backward.
        """
        x, d = cache
        direct = dy / power(d, self.beta)                                           # ∂y d^−β
        through = direct * x                                                        # ∂y y
        through /= d
        dx = self.window_sum(through, -2 * self.alpha * self.beta)
        dx *= x
        dx += direct
        return dx, {}

    def window_sum(self, a, factor):
        """factor · the sum of `a` over each window: the product with a band matrix, which is `factor` where channel j
        is in the window of channel i, and 0 elsewhere."""
        xp = array_module(a)
        C = a.shape[3]
        i = xp.arange(C)
        near = abs(i[:, None] - i) <= self.size // 2                                # (C, C)
        same = i[:, None] // (C // self.groups) == i // (C // self.groups)
        band = (near & same) * a.dtype.type(factor)
        return (a.reshape(-1, C) @ band).reshape(a.shape)


def power(d, beta):
    """d^β, a new array; for the paper's β = 3/4 as d^½ · d^¼, by two square roots."""
    if beta != 0.75:
        return d ** d.dtype.type(beta)
    half = array_module(d).sqrt(d)
    quarter = array_module(d).sqrt(half)
    quarter *= half
    return quarter
