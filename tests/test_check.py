"""check_layer finds planted faults and reports where."""

import numpy as np
import pytest

from nn import Linear, check_layer


class Faulty(Linear):
    """A Linear layer; `spoil` changes its backward results."""

    def __init__(self, spoil):
        super().__init__(3, 2)
        self.spoil = spoil

    def backward(self, dy, cache):
        return self.spoil(*super().backward(dy, cache), dy, cache)


def one_entry(dx, grads, dy, x):
    grads["W"][1, 0] *= 1.001
    return dx, grads


def no_bias(dx, grads, dy, x):
    return dx, {"W": grads["W"]}


def one_too_many(dx, grads, dy, x):
    return dx, grads | {"g": dy}


def wrong_shape(dx, grads, dy, x):
    return dx, grads | {"W": grads["W"].T}


def writes_dy(dx, grads, dy, x):
    dy *= 2
    return dx, grads


def writes_x(dx, grads, dy, x):
    x += 1
    return dx, grads


def wrong_dx(dx, grads, dy, x):
    dx[1, 2] = 0
    return dx, grads


@pytest.mark.parametrize("spoil, sentence", [
    (one_entry, r"gradient of W\[1, 0\] is -?[\d.]+, finite differences say -?[\d.]+ \(relative error 1.0e-03\)"),
    (no_bias, "gradients {'W'}, parameters"), (one_too_many, "gradients {.*'g'.*}, parameters"),
    (wrong_shape, r"gradient of W is \(2, 3\), expected \(3, 2\)"), (writes_dy, "written into dy"),
    (writes_x, "written into x"), (wrong_dx, r"gradient of x\[1, 2\] is 0, finite")])
def test_faults_are_found_and_named(spoil, sentence):
    with pytest.raises(AssertionError, match=sentence):
        check_layer(Faulty(spoil), np.random.default_rng(0).standard_normal((4, 3)))


def test_small_gradients_are_held_to_the_same():
    with pytest.raises(AssertionError, match=r"gradient of W\[1, 0\]"):
        check_layer(Faulty(one_entry), np.ones((4, 3)), dy=np.full((4, 2), 1e-6))


def test_both_numbers_are_given():
    """x = (1, 2, 3) and ∂y = (1, 0): ∂W's first column is x."""
    def doubled(dx, grads, dy, x):
        grads["W"][1, 0] *= 2
        return dx, grads
    with pytest.raises(AssertionError, match=r"gradient of W\[1, 0\] is 4, finite differences say (2|2\.0|1\.9)"):
        check_layer(Faulty(doubled), [[1, 2, 3]], dy=[[1, 0]])


def test_returns_the_largest_error_and_leaves_the_layer_alone():
    def slightly(dx, grads, dy, x):
        grads["b"][1] *= 1 + 1e-7
        return dx, grads
    layer = Faulty(slightly)
    params = {name: p.copy() for name, p in layer.params.items()}
    assert check_layer(layer, np.ones((4, 3))) == pytest.approx(1e-7, rel=0.05)
    for name in params:
        np.testing.assert_array_equal(layer.params[name], params[name])
