"""Fast forms on a GPU: the kernels of nn/fast/kernels.cu, where array operations would go through memory many times.

Where the kernels are not available (see `fused`), each form runs its plain layer.
"""

import numpy as np

from nn.arrays import array_module
from nn.conv import Conv2d
from nn.dropout import Dropout
from nn.fast.forms import PlainForms
from nn.fast.kernels import fused
from nn.lrn import LocalResponseNorm
from nn.optim import update
from nn.pool import MaxPool2d
from nn.random import philox

COLUMNS = 1 << 28       # bytes of columns at a time: products large enough to keep a GPU busy, of some tens of images
                        # (the columns of all 128 for conv2's input gradient would take 1.2 GB)


class CudaForms(PlainForms):
    def __init__(self):
        self.fast = {Conv2d: CudaConv2d, LocalResponseNorm: CudaLocalResponseNorm, MaxPool2d: CudaMaxPool2d,
                     Dropout: CudaDropout}

    def update(self, updates):
        """One kernel per parameter, queued on its device. It has ε inside the velocity; else the plain form updates."""
        for one in updates:
            cuda = fused(one.w)
            if cuda and one.inside:
                cuda.sgd(one.w, one.v, one.g, one.momentum, one.decay, one.lr)
            else:
                update(*one)


class CudaConv2d(Conv2d):
    """Conv2d in chunks of images: one kernel unrolls a chunk, padding and all; then one product per group."""

    def forward(self, x, train=True):
        cuda = fused(x)
        if not cuda:
            return super().forward(x, train)
        self.expect(x)
        P, Q, _ = self.output_shape(x.shape[1:])
        y = correlate(cuda, x, self.params["W"], P, Q, self.stride, self.before, self.groups)
        y += self.params["b"]
        return y, (x if train else None)

    def backward(self, dy, cache):
        """∂x is again a correlation: of ∂y, spread out by the stride, with the kernels turned by 180°."""
        cuda = fused(dy)
        if not cuda:
            return super().backward(dy, cache)
        x, W, xp = cache, self.params["W"], array_module(dy)
        dy = xp.ascontiguousarray(dy)
        grads = {"W": correlate_weights(cuda, x, dy, W.shape, self.stride, self.before, self.groups),
                 "b": xp.ones(dy.size // self.kernels, dy.dtype) @ dy.reshape(-1, self.kernels)}
        dx = None if self.first else correlate(cuda, dy, turn(W, self.groups), *x.shape[1:3], 1,
                                               self.size - 1 - self.before, self.groups, dilate=self.stride)
        return dx, grads


def most_columns(layer, shape):
    """The largest size of one image's columns, forward or backward, for x of `shape` (H, W, C); 0 for other layers."""
    if not isinstance(layer, Conv2d):
        return 0
    P, Q, K = layer.output_shape(shape)
    H, W, C = shape
    seen = max(P * Q * C, 0 if layer.first else H * W * K)
    return seen * layer.size**2 // layer.groups


def turn(W, groups):
    """W (R, S, C/G, K) turned by 180°, input and output exchanged within each group: (R, S, K/G, C)."""
    R, S, C, K = W.shape
    turned = W[::-1, ::-1].reshape(R, S, C, groups, K // groups).transpose(0, 1, 4, 3, 2)
    return array_module(W).ascontiguousarray(turned).reshape(R, S, K // groups, groups * C)


def unrolled(cuda, x, R, S, P, Q, stride, before, groups, dilate=1):
    """Yield (images, group, columns (n·P·Q, R·S·C/G)): what the group's kernels see on those n images."""
    N, C = len(x), x.shape[3] // groups
    some = max(1, COLUMNS // (P * Q * R * S * C * x.dtype.itemsize))
    for start in range(0, N, some):
        images = slice(start, start + some)
        for g in range(groups):
            yield images, g, cuda.im2col(x[images], g * C, C, R, S, P, Q, stride, before, dilate)


def correlate(cuda, x, W, P, Q, stride, before, groups, dilate=1):
    """x (N, H, W, C) with kernels W (R, S, C/G, K): y (N, P, Q, K). dilate − 1 zeros are between the pixels of x."""
    xp, (R, S, _, K) = array_module(x), W.shape
    y, k = xp.empty((len(x), P, Q, K), x.dtype), K // groups
    for images, g, columns in unrolled(cuda, x, R, S, P, Q, stride, before, groups, dilate):
        own = slice(g * k, (g + 1) * k)
        xp.matmul(columns, W[..., own].reshape(-1, k), out=y[images].reshape(-1, K)[:, own])
        del columns                                             # the next columns reuse its memory
    return y


def correlate_weights(cuda, x, dy, shape, stride, before, groups):
    """∂W of `shape` (R, S, C/G, K) from x (N, H, W, C) and dy (N, P, Q, K)."""
    (R, S, c, K), (_, P, Q, _) = shape, dy.shape
    dW, k = array_module(x).zeros((R * S * c, K), x.dtype), K // groups
    for images, g, columns in unrolled(cuda, x, R, S, P, Q, stride, before, groups):
        own = slice(g * k, (g + 1) * k)
        dW[:, own] += columns.T @ dy[images].reshape(-1, K)[:, own]
        del columns
    return dW.reshape(shape)


class CudaLocalResponseNorm(LocalResponseNorm):
    """LocalResponseNorm with one kernel forward and one backward."""

    def forward(self, x, train=True):
        cuda = fused(x)
        if not cuda:
            return super().forward(x, train)
        self.expect(x)
        y, d = cuda.lrn_forward(x, self.size, self.alpha, self.beta, self.k, self.groups, keep=train)
        return y, ((x, d) if train else None)

    def backward(self, dy, cache):
        x, d = cache
        cuda = fused(x)
        if not cuda:
            return super().backward(dy, cache)
        return cuda.lrn_backward(dy, x, d, self.size, self.alpha, self.beta, self.groups), {}


class CudaMaxPool2d(MaxPool2d):
    """MaxPool2d with one kernel forward and one backward. With ties "all", where a byte cannot hold the winners, the
    plain form trains."""

    def forward(self, x, train=True):
        cuda = fused(x)
        if not cuda or (train and self.ties == "all"):
            return super().forward(x, train)
        self.expect(x)
        maps, x = x.shape, self.complete(x)
        P, Q, _ = self.output_shape(x.shape[1:])
        y, winner = cuda.max_pool_forward(x, P, Q, self.size, self.stride, keep=train)
        return y, ((winner, x.shape, maps) if train else None)

    def backward(self, dy, cache):
        cuda = fused(dy)
        if not cuda or self.ties == "all":
            return super().backward(dy, cache)
        winner, shape, maps = cache
        dx = cuda.max_pool_backward(dy, winner, *shape[1:3], self.size, self.stride)
        return dx[:, :maps[1], :maps[2]], {}


class CudaDropout(Dropout):
    """Dropout whose kernel draws the mask's bits on the device: the same bits as the plain form's."""

    def forward(self, x, train=True, key=(0,), part=(0, 1), start=0):
        cuda = fused(x)
        if not (cuda and train):
            return super().forward(x, train, key, part, start)
        self.expect(x)
        (t, T), F = part, x.shape[-1]
        bits, least = philox("dropout", *key), np.uint32(self.rate * 2**32)
        factor = x.dtype.type(1 / (1 - self.rate) if self.inverted else 1)
        first = start * (x.size // F // max(1, len(x))) * T * F + t * F
        y, mask = cuda.dropout(x, bits.state["state"]["key"], first, T * F, least, factor)
        return y, (mask * factor if self.inverted else mask)
