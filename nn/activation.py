"""The nonlinearities: ReLU (paper § 3.1) and, for comparison, tanh."""

from nn.arrays import array_module
from nn.layer import Layer, expect_float


class ReLU(Layer):
    """y = max(0, x). Any shape."""

    def __repr__(self):
        return "ReLU()"

    def forward(self, x, train=True):
        """Kept: y, which the next layer keeps as well."""
        expect_float(self, x)
        y = array_module(x).maximum(x, x.dtype.type(0))
        return y, (y if train else None)

    def backward(self, dy, cache):
        """∂x = ∂y where x was positive, 0 elsewhere (at 0 itself too)."""
        y = cache
        return dy * (y > 0), {}


class Tanh(Layer):
    """y = tanh(x), what nets were built with before ReLU; it saturates. Any shape."""

    def __repr__(self):
        return "Tanh()"

    def forward(self, x, train=True):
        """Kept: y."""
        expect_float(self, x)
        y = array_module(x).tanh(x)
        return y, (y if train else None)

    def backward(self, dy, cache):
        """∂x = (1 − y²) ∂y."""
        y = cache
        return dy * (1 - y * y), {}
