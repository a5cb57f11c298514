"""Fully connected layers (paper § 3.5), and the step from maps to features before them."""

import numpy as np

from nn.layer import Layer, expect_count, expect_float


class Flatten(Layer):
    """(N, H, W, C) → (N, H·W·C)."""

    def __repr__(self):
        return "Flatten()"

    def output_shape(self, shape):
        return (int(np.prod(shape)),)

    def forward(self, x, train=True):
        """Kept: the shape."""
        return x.reshape(len(x), -1), (x.shape if train else None)

    def backward(self, dy, cache):
        return dy.reshape(cache), {}


class Linear(Layer):
    """y = x W + b."""

    def __init__(self, inputs, outputs):
        expect_count("Linear's inputs", inputs)
        expect_count("Linear's outputs", outputs)
        self.inputs, self.outputs = inputs, outputs
        self.params = {"W": np.zeros((inputs, outputs), np.float32), "b": np.zeros(outputs, np.float32)}

    def __repr__(self):
        return f"Linear({self.inputs}, {self.outputs})"

    def output_shape(self, shape):
        return (self.outputs,)

    def expect(self, x):
        if x.ndim != 2 or x.shape[1] != self.inputs:
            hint = ": add a batch axis with x[None]" if x.shape == (self.inputs,) else \
                   ": put Flatten() before it" if x.ndim == 4 else ""
            raise ValueError(f"{self} expects (N, {self.inputs}), got {x.shape}{hint}")
        expect_float(self, x)

    def forward(self, x, train=True):
        """x (N, inputs) → y (N, outputs). Kept: x."""
        self.expect(x)
        y = x @ self.params["W"]                                                    # (N, outputs)
        y += self.params["b"]
        return y, (x if train else None)

    def backward(self, dy, cache):
        """∂W = xᵀ ∂y, ∂b = Σ_n ∂y, ∂x = ∂y Wᵀ."""
        x = cache
        return dy @ self.params["W"].T, {"W": x.T @ dy, "b": dy.sum(0)}
