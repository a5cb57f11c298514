"""The base of all layers: parameters, and checks of inputs."""

import numpy as np


class Layer:
    """A layer without parameters; `params` has the same keys as the gradients that backward returns."""

    def __init__(self):
        self.params = {}

    def expect(self, x):
        """Raise ValueError, with a sentence, unless forward can take x."""
        expect_float(self, x)

    def output_shape(self, shape):
        """Shape of y, without the batch axis, for an x of `shape` (also without it): (H, W, C) or (F,)."""
        return shape


def expect_maps(layer, x, channels=None):
    """Raise ValueError unless x is (N, H, W, C), with C = channels where that is given."""
    wanted = f"(N, H, W, {'C' if channels is None else channels})"
    if x.ndim == 3:
        raise ValueError(f"{layer} expects {wanted}, got {x.shape}: add a batch axis with x[None]")
    if x.ndim != 4:
        raise ValueError(f"{layer} expects {wanted}, got {x.shape}")
    if channels is not None and x.shape[3] != channels:
        hint = ": channels come last, try x.transpose(0, 2, 3, 1)" if x.shape[1] == channels else ""
        raise ValueError(f"{layer} expects {wanted}, got {x.shape}{hint}")
    expect_float(layer, x)


def expect_float(layer, x):
    """Raise ValueError unless x is float32 or float64: integers would overflow silently."""
    if x.dtype not in (np.float32, np.float64):
        raise ValueError(f"{layer} expects float32 or float64, got {x.dtype}: convert with x.astype(np.float32)")


def expect_count(name, value, least=1):
    """Raise ValueError unless the constructor's argument `name` is a whole number of at least `least`."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
