"""Compares a backward pass with finite differences."""

import copy

import numpy as np


def check_layer(layer, x, dy=None, seed=0, step=1e-5, tolerance=1e-6, **forward):
    """Check layer.backward against central differences in float64, for every entry of x and of every parameter.

    With L = Σ dy · y, the derivative of L with respect to one number w is nearly (L(w + h) − L(w − h)) / 2h with
    h = `step`. dy is random, so that no error hides behind equal numbers; parameters are random too, in a copy of
    the layer: the layer itself is not changed. Further arguments go to layer.forward (say, key=… for Dropout).

    Differences are only right where the layer is smooth: give ReLU and MaxPool2d an x without values within `step` of
    0, or of each other in one window.

    Returns the largest relative error, |a − b| / max(|a|, |b|, 1e-3 · the largest |gradient| of that array). Raises
    AssertionError naming the parameter, the index and both numbers if it exceeds `tolerance`, if a gradient has the
    wrong shape, is missing or is one too many, or if forward or backward has written into its inputs.
    """
    rng = np.random.default_rng(seed)
    layer = copy.copy(layer)
    layer.params = {name: rng.standard_normal(p.shape) for name, p in layer.params.items()}
    x = np.array(x, np.float64)
    x_before = x.copy()
    y, cache = layer.forward(x, train=True, **forward)
    dy = rng.standard_normal(y.shape) if dy is None else np.array(dy, np.float64)
    dy_before = dy.copy()
    dx, grads = layer.backward(dy, cache)
    assert np.array_equal(x, x_before), f"{layer}: forward or backward has written into x"
    assert np.array_equal(dy, dy_before), f"{layer}: backward has written into dy"
    assert dx is not None or getattr(layer, "first", False), f"{layer}: backward gives no gradient of x"
    assert grads.keys() == layer.params.keys(), f"{layer}: gradients {set(grads)}, parameters {set(layer.params)}"

    def output():
        return layer.forward(x, train=True, **forward)[0].copy()        # Flatten gives a view of x

    worst = 0.0
    pairs = [("x", x, dx)] if dx is not None else []        # a first layer gives no gradient of the images
    for name, array, gradient in pairs + [(name, p, grads[name]) for name, p in layer.params.items()]:
        assert gradient.shape == array.shape, f"{layer}: gradient of {name} is {gradient.shape}, expected {array.shape}"
        floor = 1e-3 * np.abs(gradient).max(initial=0) + 1e-12
        for index in np.ndindex(array.shape):
            kept = array[index]
            array[index] = kept + step
            up = output()
            array[index] = kept - step
            down = output()
            array[index] = kept
            wanted, got = np.vdot(dy, up - down) / (2 * step), gradient[index]      # (L(w + h) − L(w − h)) / 2h
            error = abs(got - wanted) / max(abs(got), abs(wanted), floor)
            assert error <= tolerance, (f"{layer}: gradient of {name}{list(index)} is {got:.10g}, finite differences "
                                        f"say {wanted:.10g} (relative error {error:.1e})")
            worst = max(worst, error)
    return worst
