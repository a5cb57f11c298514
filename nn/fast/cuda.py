"""Fast forms on a GPU: the kernels of nn/fast/kernels.cu, where array operations would go through memory many times.

Where the kernels are not available (see `fused`), each form runs its plain layer.
"""

import numpy as np

from nn.activation import ReLU
from nn.arrays import array_module
from nn.conv import Conv2d
from nn.dropout import Dropout
from nn.exchange import Exchange
from nn.fast.forms import PlainForms
from nn.fast.kernels import fused
from nn.linear import Linear
from nn.loss import SoftmaxCrossEntropy
from nn.lrn import LocalResponseNorm
from nn.pool import MaxPool2d
from nn.random import philox
from nn.run.device import send

COLUMNS = 1 << 30       # bytes of columns at a time, one launch and one product: conv1 needs 0.6 GB for a batch of 128
ALIGNED = 8             # floats: rows of columns have a multiple of these, where the bias's gradient has a column


class CudaForms(PlainForms):
    def __init__(self):
        self.fast = {Conv2d: CudaConv2d, ReLU: CudaReLU, Linear: CudaLinear, LocalResponseNorm: CudaLocalResponseNorm,
                     MaxPool2d: CudaMaxPool2d, Dropout: CudaDropout, Exchange: CudaExchange,
                     SoftmaxCrossEntropy: CudaSoftmaxCrossEntropy}
        self.with_relu = {Conv2d: CudaConv2dReLU, Linear: CudaLinearReLU}

    def of_tower(self, layers):
        """The ReLU directly after a convolution or a fully connected layer is part of that layer's kernel."""
        forms = super().of_tower(layers)
        for (name, layer), (following, relu) in zip(layers.items(), list(layers.items())[1:]):
            if type(relu) is ReLU and type(layer) in self.with_relu:
                forms[name] = self.made(self.with_relu[type(layer)], layer)
                forms[following] = self.made(DoneReLU, relu)
        return forms

    def update(self, updates):
        """One kernel for all parameters of a tower, queued on its device."""
        cuda = fused(updates[0].w) if updates else None
        if cuda:
            cuda.sgd(updates)
        else:
            super().update(updates)


class CudaReLU(ReLU):
    """ReLU elsewhere, with one kernel backward instead of a comparison and a product."""

    def backward(self, dy, cache):
        cuda = fused(dy)
        return (cuda.relu_backward(dy, cache), {}) if cuda else super().backward(dy, cache)


class DoneReLU(ReLU):
    """The ReLU that the layer before it has computed."""

    def forward(self, x, train=True):
        return x, None

    def backward(self, dy, cache):
        return dy, {}


class CudaConv2d(Conv2d):
    """Conv2d in chunks of images: one kernel unrolls a chunk, padding and all; then one product per group."""

    relu = False        # whether y = max(0, y)

    def forward(self, x, train=True):
        """Kept: x and, with `relu`, y."""
        cuda = fused(x)
        if not cuda:
            y, cache = super().forward(x, train)
            return with_relu(self, y, cache)
        self.expect(x)
        y = array_module(x).empty((len(x), *self.output_shape(x.shape[1:])), x.dtype)
        for images, g, columns in self.unrolled(cuda, x):
            _, own = self.group(g)
            product(columns, self.params["W"][..., own].reshape(columns.shape[1], -1),
                    y[images].reshape(-1, self.kernels)[:, own])
            del columns                                         # the next columns reuse its memory
        cuda.bias(y, self.params["b"], self.relu)
        return y, ((x, y) if self.relu else x) if train else None

    def backward(self, dy, cache):
        """∂b is a row of ∂W's product, in which each row of columns ends with a one."""
        cuda = fused(dy)
        if not cuda:
            return super().backward(*without_relu(self, dy, cache))
        xp, W, K, groups = array_module(dy), self.params["W"], self.kernels, self.groups
        x, y = cache if self.relu else (cache, None)
        dy = cuda.relu_backward(dy, y) if self.relu else xp.ascontiguousarray(dy)
        size = self.size**2 * self.channels // groups           # of a kernel
        more, sums = -size % ALIGNED or ALIGNED, {}
        for images, g, columns in self.unrolled(cuda, x, more):
            _, own = self.group(g)
            part = product(columns.T, dy[images].reshape(-1, K)[:, own])            # (R·S·C/G + more, K/G)
            sums[g] = sums[g] + part if g in sums else part
            del columns
        whole = sums[0] if groups == 1 else xp.concatenate(list(sums.values()), axis=1)
        return self.input_gradient(cuda, dy, x.shape), {"W": whole[:size].reshape(W.shape), "b": whole[size]}

    def input_gradient(self, cuda, dy, shape):
        """∂x of `shape`: col2im(∂columns), ∂columns = ∂y · Wᵀ."""
        if self.first:
            return None
        W, (N, P, Q, K), c = self.params["W"], dy.shape, self.channels // self.groups
        dx = array_module(dy).empty(shape, dy.dtype)
        for images in chunks(N, P * Q * self.size**2 * c * dy.itemsize):
            for g in range(self.groups):
                _, own = self.group(g)
                columns = product(dy[images].reshape(-1, K)[:, own], W[..., own].reshape(-1, K // self.groups).T)
                cuda.col2im(columns, dx[images], g * c, c, self.size, self.size, P, Q, self.stride, self.before)
                del columns
        return dx

    def unrolled(self, cuda, x, more=0):
        """Yield (images, group, columns (n·P·Q, R·S·C/G + more)): what the group's kernels see on those n images."""
        (P, Q, _), size, c = self.output_shape(x.shape[1:]), self.size, self.channels // self.groups
        for images in chunks(len(x), P * Q * (size**2 * c + more) * x.itemsize):
            for g in range(self.groups):
                yield images, g, cuda.im2col(x[images], g * c, c, size, size, P, Q, self.stride, self.before, more)


class CudaConv2dReLU(CudaConv2d):
    relu = True


class CudaLinear(Linear):
    """Linear whose bias is added by one kernel, with the ReLU if there is one."""

    relu = False        # whether y = max(0, y)

    def forward(self, x, train=True):
        """Kept: x and, with `relu`, y."""
        cuda = fused(x)
        if not cuda:
            y, cache = super().forward(x, train)
            return with_relu(self, y, cache)
        self.expect(x)
        y = product(x, self.params["W"])
        cuda.bias(y, self.params["b"], self.relu)
        return y, ((x, y) if self.relu else x) if train else None

    def backward(self, dy, cache):
        cuda = fused(dy)
        if not cuda:
            return super().backward(*without_relu(self, dy, cache))
        x, y = cache if self.relu else (cache, None)
        dy = cuda.relu_backward(dy, y) if self.relu else array_module(dy).ascontiguousarray(dy)
        return product(dy, self.params["W"].T), {"W": product(x.T, dy), "b": dy.sum(0)}


class CudaLinearReLU(CudaLinear):
    relu = True


def with_relu(layer, y, cache):
    """The plain layer's (y, cache), with the ReLU where the form has one."""
    if not layer.relu:
        return y, cache
    y, kept = ReLU().forward(y, cache is not None)
    return y, None if cache is None else (cache, kept)


def without_relu(layer, dy, cache):
    """(∂y, cache) for the plain layer's backward."""
    return (ReLU().backward(dy, cache[1])[0], cache[0]) if layer.relu else (dy, cache)


def product(a, b, out=None):
    """a @ b: the only way to cuBLAS here, so that benchmarks/gpu_budget.py can count."""
    return array_module(a).matmul(a, b, out=out)


def chunks(count, bytes_each):
    """Slices of a batch of `count` images whose columns, of `bytes_each` an image, take COLUMNS at most."""
    some = max(1, COLUMNS // bytes_each)
    return [slice(start, start + some) for start in range(0, count, some)]


def most_columns(layer, shape):
    """The largest size of one image's columns, for x of `shape` (H, W, C); 0 for other layers."""
    if not isinstance(layer, Conv2d):
        return 0
    P, Q, _ = layer.output_shape(shape)
    return P * Q * (layer.size**2 * shape[2] // layer.groups + ALIGNED)


class CudaExchange(Exchange):
    """Exchange with one kernel that joins the maps of two towers."""

    def forward(self, xs, devices, receivers):
        if len(xs) != 2 or not fused(xs[0]):
            return super().forward(xs, devices, receivers)
        joined = {}
        for t in receivers:
            received = [send(x, devices[s], devices[t]) for s, x in xs.items()]
            with devices[t]:
                joined[t] = fused(xs[t]).join(*received)
        return joined


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
    """MaxPool2d with one kernel forward and one backward."""

    def forward(self, x, train=True):
        cuda = fused(x)
        if not cuda:
            return super().forward(x, train)
        self.expect(x)
        P, Q, _ = self.output_shape(x.shape[1:])
        one = train and self.ties == "first"
        y, winner = cuda.max_pool_forward(x, P, Q, self.size, self.stride, keep=one)
        return y, ((winner if one else (x, y), x.shape, x.shape) if train else None)

    def backward(self, dy, cache):
        cuda = fused(dy)
        if not cuda:
            return super().backward(dy, cache)
        kept, shape, _ = cache
        if self.ties == "all":
            return cuda.max_pool_backward_all(dy, *kept, self.size, self.stride), {}
        return cuda.max_pool_backward(dy, kept, *shape[1:3], self.size, self.stride), {}


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


class CudaSoftmaxCrossEntropy(SoftmaxCrossEntropy):
    """The loss and its gradient in five kernels. Kept: the gradient."""

    def forward(self, logits, labels):
        cuda = fused(logits)
        if not cuda:
            return super().forward(logits, labels)
        self.expect_labels(labels, logits.shape)
        largest = logits.max(1)
        e = cuda.exponentials(logits, largest)
        losses, d = cuda.cross_entropy(logits, largest, e, e.sum(1), labels)
        return losses.mean(), d

    def backward(self, cache):
        return super().backward(cache) if isinstance(cache, tuple) else cache
