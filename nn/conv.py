"""Convolution as a matrix product (paper § 3.5)."""

import numpy as np

from nn.arrays import array_module
from nn.layer import Layer, expect_count, expect_maps


class Conv2d(Layer):
    """K kernels of size×size×C/G slide over the maps:

        y[n, p, q, k] = b[k] + Σ_{r, s, c} x[n, p·stride + r − before, q·stride + s − before, c] · W[r, s, c, k]

    (a correlation: the kernel is not turned), where x is zero outside the map.

    padding: zeros added on every side, or (before, after): before on the top and left, after on the bottom and right.
        The paper's 224-pixel image gives 55-pixel maps only with 3 more zeros: (0, 3) is the 2012 code's reading,
        which adds them on the right and bottom only; others use images of 227 pixels.
    groups: kernel k sees only the channels of its own group: maps "on the same GPU" (§ 3.2) in a one-tower net.
    first: the layer sees the images themselves, whose gradient is not needed: backward returns dx = None.

    Raises ValueError for arguments that fit no convolution and for inputs that are not (N, H, W, channels).
    """

    def __init__(self, channels, kernels, size, stride=1, padding=0, groups=1, first=False):
        for name, value in dict(channels=channels, kernels=kernels, size=size, stride=stride, groups=groups).items():
            expect_count(f"Conv2d's {name}", value)
        if channels % groups or kernels % groups:
            raise ValueError(f"Conv2d's {groups} groups must divide its {channels} channels and {kernels} kernels")
        pads = (padding, padding) if np.ndim(padding) == 0 else tuple(padding)
        if len(pads) != 2:
            raise ValueError(f"Conv2d's padding must be a whole number or a pair (before, after), got {padding}")
        self.before, self.after = pads
        for pad in (self.before, self.after):
            expect_count("Conv2d's padding", pad, least=0)
            if pad >= size:
                raise ValueError(f"Conv2d's padding must be smaller than its kernel of {size}, got {padding}")
        self.channels, self.kernels, self.size, self.stride = channels, kernels, size, stride
        self.groups, self.first = groups, first
        self.params = {"W": np.zeros((size, size, channels // groups, kernels), np.float32),
                       "b": np.zeros(kernels, np.float32)}

    def __repr__(self):
        return f"Conv2d({self.channels}, {self.kernels}, {self.size}×{self.size}/{self.stride})"

    def output_shape(self, shape):
        side = [(length + self.before + self.after - self.size) // self.stride + 1 for length in shape[:2]]
        return (*side, self.kernels)

    def expect(self, x):
        expect_maps(self, x, self.channels)
        if min(x.shape[1:3]) + self.before + self.after < self.size:
            raise ValueError(f"{self} expects maps of at least {self.size - self.before - self.after} pixels a side, "
                             f"got {x.shape}: use larger images")

    def group(self, g):
        """The channels that group g sees, and its kernels, as slices."""
        c, k = self.channels // self.groups, self.kernels // self.groups
        return slice(g * c, (g + 1) * c), slice(g * k, (g + 1) * k)

    def pad(self, x):
        sides = (self.before, self.after)
        return array_module(x).pad(x, ((0, 0), sides, sides, (0, 0)))               # (N, H', W', C)

    def forward(self, x, train=True):
        """x (N, H, W, C) → y (N, P, Q, K): im2col, then one matrix product per group. Kept: x."""
        self.expect(x)
        xp, W, padded = array_module(x), self.params["W"], self.pad(x)
        y = xp.empty((len(x), *self.output_shape(x.shape[1:])), x.dtype)
        for g in range(self.groups):
            seen, own = self.group(g)
            columns = im2col(padded[..., seen], self.size, self.stride)             # (N·P·Q, R·S·C/G)
            y[..., own] = (columns @ W[..., own].reshape(columns.shape[1], -1)).reshape(y[..., own].shape)
        y += self.params["b"]
        return y, (x if train else None)

    def backward(self, dy, cache):
        """dy (N, P, Q, K) → dx (N, H, W, C), or None for the first layer; grads W (R, S, C/G, K) and b (K,).

        With Y = columns · W:  ∂W = columnsᵀ · ∂Y,  ∂columns = ∂Y · Wᵀ,  and ∂x = col2im(∂columns).
        """
        x, W, xp, padded = cache, self.params["W"], array_module(dy), self.pad(cache)
        N, P, Q, _ = dy.shape
        dW, dpadded = xp.empty_like(W), None if self.first else xp.zeros_like(padded)
        for g in range(self.groups):
            seen, own = self.group(g)
            dy_own = dy[..., own].reshape(N * P * Q, -1)
            columns = im2col(padded[..., seen], self.size, self.stride)
            dW[..., own] = (columns.T @ dy_own).reshape(W[..., own].shape)
            if not self.first:
                dcolumns = dy_own @ W[..., own].reshape(columns.shape[1], -1).T
                col2im(dcolumns, dpadded[..., seen], self.size, self.stride)
        dx = None if self.first else dpadded[:, self.before:, self.before:][:, :x.shape[1], :x.shape[2]]
        return dx, {"W": dW, "b": dy.sum((0, 1, 2))}


def im2col(x, size, stride):
    """What a kernel sees at each position: x (N, H, W, C) → (N·P·Q, R·S·C), a row in the order of W's own numbers."""
    N, H, W, C = x.shape
    P, Q = (H - size) // stride + 1, (W - size) // stride + 1
    image, down, right, channel = x.strides
    view = array_module(x).lib.stride_tricks.as_strided(
        x, (N, P, Q, size, size, C), (image, down * stride, right * stride, down, right, channel))
    return view.reshape(N * P * Q, size * size * C)


def col2im(columns, x, size, stride):
    """The adjoint of im2col: add every number of columns (N·P·Q, R·S·C) to its pixel of x (N, H, W, C), in place."""
    N, H, W, C = x.shape
    P, Q = (H - size) // stride + 1, (W - size) // stride + 1
    columns = columns.reshape(N, P, Q, size, size, C)
    for r in range(size):
        for s in range(size):
            x[:, r:r + stride * (P - 1) + 1:stride, s:s + stride * (Q - 1) + 1:stride] += columns[:, :, :, r, s]
