"""Convolution as matrix products (paper § 3.5)."""

import numpy as np

from nn.device import array_module
from nn.kernels import fused
from nn.layer import Layer, expect_count, expect_maps

COLUMNS = 1 << 28       # bytes of columns at a time on a GPU: products large enough to keep it busy, of some tens of
                        # images (all 128 of conv2's input gradient would take 1.2 GB)


class Conv2d(Layer):
    """K kernels of size×size×C/G slide over the maps:

        y[n, p, q, k] = b[k] + Σ_{r, s, c} x[n, p·stride + r − before, q·stride + s − before, c] · W[r, s, c, k]

    (a correlation: nothing is turned), where x is zero outside the map.

    padding: zeros added on every side, or (before, after): before on the top and left, after on the bottom and right.
        The paper's 224-pixel image gives 55-pixel maps only with 3 zeros more: (0, 3) is the 2012 code's reading,
        which takes them on the right and bottom only; others feed 227 pixels.
    groups: kernel k sees only the channels of its own group: maps "on the same GPU" (§ 3.2) in a one-tower net.
    first: the layer sees the images themselves, whose gradient nobody needs: backward returns dx = None.

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

    def columns(self, shape):
        """The numbers in one image's columns on a GPU, forward or backward, at most; for x of `shape` (H, W, C)."""
        P, Q, K = self.output_shape(shape)
        H, W, C = shape
        seen = max(P * Q * C, 0 if self.first else H * W * K)
        return seen * self.size**2 // self.groups

    def forward(self, x, train=True):
        """x (N, H, W, C) → y (N, P, Q, K). Kept: x."""
        expect_maps(self, x, self.channels)
        if min(x.shape[1:3]) + self.before + self.after < self.size:
            raise ValueError(f"{self} expects maps of at least {self.size - self.before - self.after} pixels a side, "
                             f"got {x.shape}: use larger images")
        xp, cuda = array_module(x), fused(x)
        if cuda:
            P, Q, _ = self.output_shape(x.shape[1:])
            y = fused_correlate(cuda, x, self.params["W"], P, Q, self.stride, self.before, self.groups)
            y += self.params["b"]
            return y, (x if train else None)
        rows = correlate(pad(x, self.before, self.after), self.params["W"], self.stride, self.groups)
        P, N, Q, K = rows.shape
        y = xp.empty((N, P, Q * K), x.dtype)                    # a row at a time: long loops even where K is small
        xp.add(rows.reshape(P, N, Q * K).transpose(1, 0, 2), xp.tile(self.params["b"], Q), out=y)
        return y.reshape(N, P, Q, K), (x if train else None)

    def backward(self, dy, cache):
        """dy (N, P, Q, K) → dx (N, H, W, C), or None for the first layer; grads W (R, S, C/G, K) and b (K,).

        ∂W[r, s] sums, over all positions, what the kernel saw there times dy; ∂b sums dy. ∂x is again a correlation:
        of dy, spread out by the stride, with the kernels turned by 180° and C and K exchanged.
        """
        x, W, xp, cuda = cache, self.params["W"], array_module(dy), fused(dy)
        if cuda:
            dy = xp.ascontiguousarray(dy)
            grads = {"W": fused_correlate_weights(cuda, x, dy, W.shape, self.stride, self.before, self.groups),
                     "b": xp.ones(dy.size // self.kernels, dy.dtype) @ dy.reshape(-1, self.kernels)}
            dx = None if self.first else fused_correlate(
                cuda, dy, turn(W, self.groups), *x.shape[1:3], 1, self.size - 1 - self.before, self.groups,
                dilate=self.stride)
            return dx, grads
        rows = xp.ascontiguousarray(dy.transpose(1, 0, 2, 3))                       # (P, N, Q, K)
        grads = {"W": correlate_weights(pad(x, self.before, self.after), rows, W.shape, self.stride, self.groups),
                 "b": xp.ones(rows.size // self.kernels, rows.dtype) @ rows.reshape(-1, self.kernels)}
        if self.first:
            return None, grads
        height, width = (length + self.size - 1 for length in x.shape[1:3])
        spread = dilate(dy, height, width, self.size - 1 - self.before, self.stride)
        dx = correlate(spread, turn(W, self.groups), 1, self.groups)                # (H, N, W, C)
        return xp.ascontiguousarray(dx.transpose(1, 0, 2, 3)), grads


# Inside, maps lie rows first, (H, N, W, C): then the rows that one row of a kernel sweeps over, r … r + P, are one
# block of memory whatever N is, and can be a matrix as they stand.

def pad(x, before, after):
    """x (N, H, W, C) with zeros around it, rows first."""
    N, H, W, C = x.shape
    padded = array_module(x).zeros((H + before + after, N, W + before + after, C), x.dtype)
    padded[before:before + H, :, before:before + W] = x.transpose(1, 0, 2, 3)
    return padded                                                                   # (H', N, W', C)


def dilate(dy, height, width, before, stride):
    """dy (N, P, Q, K) on a field of zeros, rows first: its pixels `stride` apart, the first at `before`."""
    N, P, Q, K = dy.shape
    spread = array_module(dy).zeros((height, N, width, K), dy.dtype)
    spread[before:before + stride * P:stride, :, before:before + stride * Q:stride] = dy.transpose(1, 0, 2, 3)
    return spread                                                                   # (height, N, width, K)


def turn(W, groups):
    """W (R, S, C/G, K) turned by 180°, input and output exchanged within each group: (R, S, K/G, C)."""
    R, S, C, K = W.shape
    turned = W[::-1, ::-1].reshape(R, S, C, groups, K // groups).transpose(0, 1, 4, 3, 2)
    return array_module(W).ascontiguousarray(turned).reshape(R, S, K // groups, groups * C)


def im2col(x, R, S, stride):
    """Yield (kernel rows, columns): for some rows of the kernel, what they see at each position, as a matrix.

    x (H, N, W, C); columns (P·N·Q, rows·S·C) in the order of the kernels' own numbers, so that

        Σ columns @ W[kernel rows].reshape(-1, K)

    is the convolution. For stride 1 the map is unrolled along its rows only, and kernel row r finds its matrix in
    rows r … r + P of that: R times less to copy than the whole unrolling. (Measured for conv2's input gradient: 1.73
    instead of 2.08 ms an image, the bare product taking 1.62.) Larger strides unroll all R rows into one matrix.
    """
    xp = array_module(x)
    H, N, W, C = x.shape
    P, Q = (H - R) // stride + 1, (W - S) // stride + 1
    down, image, right, channel = x.strides
    if stride == 1:
        view = xp.lib.stride_tricks.as_strided(x, (H, N, Q, S, C), (down, image, right, right, channel))
        unrolled = xp.ascontiguousarray(view)                                       # (H, N, Q, S, C)
        for r in range(R):
            yield slice(r, r + 1), unrolled[r:r + P].reshape(P * N * Q, S * C)
    else:
        view = xp.lib.stride_tricks.as_strided(
            x, (P, N, Q, R, S, C), (down * stride, image, right * stride, down, right, channel))
        yield slice(0, R), xp.ascontiguousarray(view).reshape(P * N * Q, R * S * C)


def correlate(x, W, stride, groups):
    """x (H, N, W, C) with kernels W (R, S, C/G, K): y (P, N, Q, K)."""
    H, N, width, C = x.shape
    R, S, _, K = W.shape
    P, Q = (H - R) // stride + 1, (width - S) // stride + 1
    y = array_module(x).empty((P * N * Q, K), x.dtype)
    c, k = C // groups, K // groups
    for g in range(groups):
        out = y[:, g * k:(g + 1) * k]
        for rows, columns in im2col(x[..., g * c:(g + 1) * c], R, S, stride):
            kernels = W[rows, ..., g * k:(g + 1) * k].reshape(-1, k)
            if rows.start == 0:
                array_module(x).matmul(columns, kernels, out=out)
            else:
                out += columns @ kernels
    return y.reshape(P, N, Q, K)


def correlate_weights(x, dy, shape, stride, groups):
    """∂W of `shape` (R, S, C/G, K) from x (H, N, W, C) and dy (P, N, Q, K)."""
    R, S, c, K = shape
    k = K // groups
    dW = array_module(x).empty(shape, x.dtype)
    dy = dy.reshape(-1, K)
    for g in range(groups):
        for rows, columns in im2col(x[..., g * c:(g + 1) * c], R, S, stride):
            dW[rows, ..., g * k:(g + 1) * k] = (columns.T @ dy[:, g * k:(g + 1) * k]).reshape(-1, S, c, k)
    return dW


# On a GPU, maps stay as they lie, (N, H, W, C): one kernel unrolls some images at a time, padding and all, and one
# product per group makes what comes of them.

def unrolled(cuda, x, R, S, P, Q, stride, before, groups, dilate=1):
    """Yield (images, group, columns (n·P·Q, R·S·C/G)): what the group's kernels see on those n images."""
    N, C = len(x), x.shape[3] // groups
    some = max(1, COLUMNS // (P * Q * R * S * C * x.dtype.itemsize))
    for start in range(0, N, some):
        images = slice(start, start + some)
        for g in range(groups):
            yield images, g, cuda.im2col(x[images], g * C, C, R, S, P, Q, stride, before, dilate)


def fused_correlate(cuda, x, W, P, Q, stride, before, groups, dilate=1):
    """x (N, H, W, C) with kernels W (R, S, C/G, K): y (N, P, Q, K). dilate − 1 zeros lie between the pixels of x."""
    xp, (R, S, _, K) = array_module(x), W.shape
    y, k = xp.empty((len(x), P, Q, K), x.dtype), K // groups
    for images, g, columns in unrolled(cuda, x, R, S, P, Q, stride, before, groups, dilate):
        own = slice(g * k, (g + 1) * k)
        xp.matmul(columns, W[..., own].reshape(-1, k), out=y[images].reshape(-1, K)[:, own])
        del columns                                             # its memory serves for the next
    return y


def fused_correlate_weights(cuda, x, dy, shape, stride, before, groups):
    """∂W of `shape` (R, S, C/G, K) from x (N, H, W, C) and dy (N, P, Q, K)."""
    (R, S, c, K), (_, P, Q, _) = shape, dy.shape
    dW, k = array_module(x).zeros((R * S * c, K), x.dtype), K // groups
    for images, g, columns in unrolled(cuda, x, R, S, P, Q, stride, before, groups):
        own = slice(g * k, (g + 1) * k)
        dW[:, own] += columns.T @ dy[images].reshape(-1, K)[:, own]
        del columns
    return dW.reshape(shape)
