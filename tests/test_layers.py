"""Every layer: its definition, its gradients by finite differences, its types, its manners and its sentences."""

import itertools

import numpy as np
import pytest

import oracles
from nn import (Conv2d, Dropout, Flatten, Linear, LocalResponseNorm, MaxPool2d, ReLU, SoftmaxCrossEntropy, Tanh,
                check_layer, softmax, top_errors)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def distinct(*shape, seed=0):
    """Values of both signs, no two equal, all at least 0.05 apart and away from 0: smooth for ReLU and pooling."""
    count = int(np.prod(shape))
    values = (np.arange(count) - count // 2 + 0.5) * 0.1
    return np.random.default_rng(seed).permutation(values).reshape(shape)


def randomise(layer, dtype=np.float64, seed=1):
    layer.params = {name: normal(*p.shape, seed=seed + i).astype(dtype)
                    for i, (name, p) in enumerate(layer.params.items())}
    return layer


# size, stride, padding, groups, H, W, N
CONVOLUTIONS = [
    (1, 1, 0, 1, 3, 2, 1), (3, 1, 1, 1, 5, 4, 3), (3, 1, 0, 2, 5, 7, 1), (5, 1, 2, 2, 6, 5, 3), (3, 2, 1, 1, 7, 6, 3),
    (3, 2, 0, 3, 8, 5, 1), (4, 3, 1, 1, 9, 7, 1), (4, 3, (0, 3), 2, 8, 6, 1), (5, 4, (0, 3), 1, 12, 10, 3),
    (3, 4, 2, 1, 9, 6, 1), (2, 3, 0, 1, 7, 6, 3), (4, 1, (1, 2), 1, 5, 3, 1), (3, 1, (2, 0), 3, 4, 3, 1)]


def conv_of(case, C=6, K=6):
    size, stride, padding, groups, H, W, N = case
    return Conv2d(C, K, size, stride, padding, groups), normal(N, H, W, C)


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolution_is_its_definition(case):
    layer, x = conv_of(case)
    randomise(layer)
    wanted = oracles.convolution(x, *layer.params.values(), layer.stride, layer.before, layer.after, layer.groups)
    y, _ = layer.forward(x)
    assert y.shape == wanted.shape == (len(x), *layer.output_shape(x.shape[1:]))
    np.testing.assert_allclose(y, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolution_gradients(case):
    layer, x = conv_of(case, C=case[3] * 2 if case[3] > 1 else 2, K=case[3] * 2 if case[3] > 1 else 3)
    assert check_layer(layer, x) < 1e-6


def test_first_convolution_has_the_same_gradients_but_none_of_the_image():
    x, dy = normal(2, 9, 8, 3), normal(2, 3, 2, 4)
    plain, first = (randomise(Conv2d(3, 4, 3, 3, first=f)) for f in (False, True))
    (dx, grads), (nothing, same) = (layer.backward(dy, layer.forward(x)[1]) for layer in (plain, first))
    assert nothing is None and dx.shape == x.shape
    for name in grads:
        np.testing.assert_array_equal(grads[name], same[name])
    assert check_layer(first, x) < 1e-6


def test_the_papers_sizes():
    """§ 3.5: 224 pixels and 3 more on the right and bottom give 55; overlapping pooling 55 → 27 → 13 → 6."""
    assert Conv2d(3, 48, 11, 4, (0, 3)).output_shape((224, 224, 3)) == (55, 55, 48)
    assert Conv2d(3, 48, 11, 4).output_shape((227, 227, 3)) == (55, 55, 48)
    assert [MaxPool2d(3, 2).output_shape((side, side, 8))[0] for side in (55, 27, 13)] == [27, 13, 6]


def test_one_sided_padding_is_on_the_right_and_bottom():
    layer = Conv2d(1, 1, 2, padding=(0, 1))
    layer.params["W"][:] = 1
    y, _ = layer.forward(np.arange(1, 5, dtype=np.float32).reshape(1, 2, 2, 1))
    assert y[0, ..., 0].tolist() == [[10, 6], [7, 4]]


NORMS = [(5, 1.0, 0.75, 2.0, 1, 7), (5, 1.3, 0.75, 2.0, 2, 12), (3, 0.8, 0.5, 1.0, 1, 4), (7, 1.0, 1.2, 1.5, 3, 15),
         (5, 1.0, 0.75, 1.0, 1, 2), (1, 2.0, 0.75, 2.0, 1, 3)]


@pytest.mark.parametrize("size, alpha, beta, k, groups, C", NORMS)
def test_normalisation(size, alpha, beta, k, groups, C):
    """At α near 1: at the paper's 1e-4 a window of four instead of five would pass most tolerances."""
    layer, x = LocalResponseNorm(size, alpha, beta, k, groups), normal(3, 2, 5, C)
    np.testing.assert_allclose(layer.forward(x)[0], oracles.normalisation(x, size, alpha, beta, k, groups), rtol=1e-12)
    assert check_layer(layer, x) < 1e-6


def test_normalisation_has_the_papers_constants():
    layer, x = LocalResponseNorm(), 100 * normal(1, 2, 2, 9)
    np.testing.assert_allclose(layer.forward(x)[0], oracles.normalisation(x, 5, 1e-4, 0.75, 2), rtol=1e-12)


POOLS = [(3, 2, 7, 9, 3), (3, 2, 8, 6, 1), (2, 2, 5, 4, 3), (3, 1, 5, 4, 1), (2, 3, 8, 7, 1), (3, 4, 11, 8, 3),
         (1, 2, 5, 4, 1), (4, 3, 10, 9, 1)]


@pytest.mark.parametrize("size, stride, H, W, N", POOLS)
def test_pooling(size, stride, H, W, N):
    layer, x = MaxPool2d(size, stride), distinct(N, H, W, 3)
    y, _ = layer.forward(x)
    np.testing.assert_array_equal(y, oracles.max_pool(x, size, stride))
    assert y.shape == (N, *layer.output_shape((H, W, 3)))
    assert check_layer(layer, x) < 1e-6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pooling_adds_where_windows_overlap(dtype):
    """The middle pixel wins all four windows that it is in."""
    x = np.zeros((1, 5, 5, 1), dtype)
    x[0, 2, 2] = 0.1                                # not a float32: equality after rounding would lose it
    layer = MaxPool2d(3, 2)
    _, cache = layer.forward(x)
    dx, _ = layer.backward(np.arange(1, 5, dtype=dtype).reshape(1, 2, 2, 1), cache)
    assert dx[0, 2, 2, 0] == 10 and dx.sum() == 10 and dx.dtype == dtype


def test_of_equal_values_the_first_gets_the_gradient_once():
    layer, x = MaxPool2d(3, 3), np.zeros((1, 3, 3, 1))
    x[0, 1, 2] = x[0, 2, 0] = 7
    dx, _ = layer.backward(np.ones((1, 1, 1, 1)), layer.forward(x)[1])
    assert dx[0, 1, 2, 0] == 1 and dx.sum() == 1


@pytest.mark.parametrize("layer", [ReLU(), Tanh(), Flatten()])
def test_elementwise_layers(layer):
    assert check_layer(layer, distinct(3, 4, 5, 2) * 0.05) < 1e-6


def test_relu_at_zero_passes_no_gradient():
    dx, _ = ReLU().backward(np.ones(3), ReLU().forward(np.array([-1.0, 0.0, 1.0]))[1])
    assert dx.tolist() == [0, 0, 1]


@pytest.mark.parametrize("N", [1, 3])
def test_linear(N):
    layer, x = randomise(Linear(7, 4)), normal(N, 7)
    np.testing.assert_allclose(layer.forward(x)[0], x @ layer.params["W"] + layer.params["b"], rtol=1e-12)
    assert check_layer(layer, x) < 1e-6


@pytest.mark.parametrize("inverted", [False, True])
def test_dropout(inverted):
    layer, x = Dropout(0.3, inverted), normal(50, 40) + 5
    y, mask = layer.forward(x, key=(1, 2))
    kept = y != 0
    assert abs(kept.mean() - 0.7) < 5 * np.sqrt(0.3 * 0.7 / kept.size)
    np.testing.assert_allclose(y[kept], (x / 0.7 if inverted else x)[kept], rtol=1e-12)
    test_y, cache = layer.forward(x, train=False)
    np.testing.assert_allclose(test_y, x if inverted else x * 0.7, rtol=1e-12)
    assert cache is None and test_y is not x
    np.testing.assert_allclose(layer.backward(x, mask)[0], np.where(kept, x / 0.7 if inverted else x, 0), rtol=1e-12)
    assert check_layer(layer, x[:4, :5], key=(3,)) < 1e-6


def test_a_mask_follows_from_its_key_and_towers_take_their_columns():
    layer, x = Dropout(), np.ones((6, 8), np.float32)
    whole = layer.forward(x, key=(1, 7, "drop6"))[0]
    np.testing.assert_array_equal(whole, layer.forward(x, key=(1, 7, "drop6"))[0])
    for other in ((1, 8, "drop6"), (2, 7, "drop6"), (1, 7, "drop7")):
        assert (whole != layer.forward(x, key=other)[0]).any()
    parts = [layer.forward(x[:, :4], key=(1, 7, "drop6"), part=(t, 2))[0] for t in (0, 1)]
    np.testing.assert_array_equal(whole, np.concatenate(parts, axis=1))


# Manners -------------------------------------------------------------------------------------------------------------

LAYERS = {
    "conv": (lambda: Conv2d(4, 6, 3, 2, 1, 2), (3, 7, 6, 4)), "same conv": (lambda: Conv2d(4, 6, 3, 1, 1), (3, 5, 6, 4)),
    "relu": (ReLU, (3, 5, 4, 2)), "tanh": (Tanh, (3, 5, 4, 2)), "norm": (LocalResponseNorm, (3, 5, 4, 7)),
    "pool": (MaxPool2d, (3, 7, 8, 2)), "flatten": (Flatten, (3, 2, 4, 5)), "dropout": (Dropout, (3, 9)),
    "linear": (lambda: Linear(5, 4), (3, 5))}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_type_in_is_type_out_and_inputs_stay(name, dtype):
    make, shape = LAYERS[name]
    layer, x = randomise(make(), dtype), distinct(*shape).astype(dtype)
    x_before = x.copy()
    y, cache = layer.forward(x, train=True)
    dy = normal(*y.shape).astype(dtype)
    dy_before = dy.copy()
    y_before = y.copy()
    dx, grads = layer.backward(dy, cache)
    assert {y.dtype, dx.dtype, *(g.dtype for g in grads.values())} == {np.dtype(dtype)}
    assert dx.shape == x.shape and {n: g.shape for n, g in grads.items()} == {n: p.shape for n, p in layer.params.items()}
    test_y, nothing = layer.forward(x, train=False)
    assert nothing is None
    np.testing.assert_array_equal(test_y, y if name != "dropout" else x * dtype(0.5))
    for array, before in (x, x_before), (dy, dy_before), (y, y_before):
        np.testing.assert_array_equal(array, before)
    assert y.shape[1:] == layer.output_shape(shape[1:])


WRONG = [
    (lambda: Conv2d(3, 4, 0), "size must be a whole number of at least 1, got 0"),
    (lambda: Conv2d(3, 4, 3, stride=1.5), "stride must be a whole number of at least 1, got 1.5"),
    (lambda: Conv2d(3, 4, 3, groups=2), "2 groups must divide its 3 channels and 4 kernels"),
    (lambda: Conv2d(3, 4, 3, padding=-1), "padding must be a whole number of at least 0, got -1"),
    (lambda: Conv2d(3, 4, 3, padding=3), "padding must be smaller than its kernel of 3"),
    (lambda: Conv2d(3, 4, 3).forward(normal(5, 5, 3)), r"add a batch axis with x\[None\]"),
    (lambda: Conv2d(3, 4, 3).forward(normal(2, 3, 8, 8)), r"channels come last, try x.transpose\(0, 2, 3, 1\)"),
    (lambda: Conv2d(3, 4, 3).forward(normal(2, 8, 8, 5)), r"expects \(N, H, W, 3\), got \(2, 8, 8, 5\)"),
    (lambda: Conv2d(3, 4, 5).forward(normal(2, 4, 8, 3)), "at least 5 pixels a side"),
    (lambda: Conv2d(3, 4, 3).forward(np.zeros((1, 8, 8, 3), np.uint8)), r"got uint8: convert with x.astype"),
    (lambda: LocalResponseNorm(4), "size must be odd"),
    (lambda: LocalResponseNorm(k=0), "k > 0"),
    (lambda: LocalResponseNorm(groups=2).forward(normal(1, 2, 2, 5)), "2 groups divide"),
    (lambda: MaxPool2d(0), "size must be"),
    (lambda: MaxPool2d(16), "at most 15"),
    (lambda: MaxPool2d(3).forward(normal(1, 2, 9, 1)), "at least 3 pixels a side"),
    (lambda: MaxPool2d(3).forward(normal(9, 9)), r"expects \(N, H, W, C\), got \(9, 9\)"),
    (lambda: Dropout(1.0), "at least 0 and below 1, got 1.0"),
    (lambda: Linear(0, 3), "inputs must be"),
    (lambda: Linear(4, 3).forward(normal(4)), r"add a batch axis with x\[None\]"),
    (lambda: Linear(4, 3).forward(normal(2, 1, 2, 2)), r"put Flatten\(\) before it"),
    (lambda: Linear(4, 3).forward(np.zeros((2, 4), int)), "expects float32 or float64, got int64"),
    (lambda: SoftmaxCrossEntropy().forward(normal(2, 3), np.array([0, 3])), "labels from 0 to 2, got 0 to 3"),
    (lambda: SoftmaxCrossEntropy().forward(normal(2, 3), np.array([0.0, 1.0])), "whole numbers as labels, got float64"),
    (lambda: SoftmaxCrossEntropy().forward(normal(2, 3), np.array([0])), r"got \(2, 3\) and \(1,\)")]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_errors_say_what_was_expected(number):
    wrong, sentence = WRONG[number]
    with pytest.raises(ValueError, match=sentence):
        wrong()


# The loss ------------------------------------------------------------------------------------------------------------

def test_loss_and_its_gradient():
    loss, logits, labels = SoftmaxCrossEntropy(), normal(4, 5), np.array([0, 4, 2, 2])
    value, cache = loss.forward(logits, labels)
    wanted = np.mean([np.log(np.exp(row).sum()) - row[label] for row, label in zip(logits, labels)])
    assert value == pytest.approx(wanted, rel=1e-13)
    d, h = loss.backward(cache), 1e-6
    for index in np.ndindex(logits.shape):
        up, down = logits.copy(), logits.copy()
        up[index] += h
        down[index] -= h
        slope = (loss.forward(up, labels)[0] - loss.forward(down, labels)[0]) / (2 * h)
        assert d[index] == pytest.approx(slope, abs=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_loss_of_huge_logits(dtype):
    logits = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 1e4]], dtype)
    loss = SoftmaxCrossEntropy()
    value, cache = loss.forward(logits, np.array([1, 2]))
    assert value == pytest.approx((2e4 + np.log(2)) / 2, rel=1e-6) and value.dtype == dtype
    np.testing.assert_allclose(softmax(logits), [[1, 0, 0], [0, 0.5, 0.5]])
    np.testing.assert_allclose(loss.backward(cache), [[0.5, -0.5, 0], [0, 0.25, -0.25]])


def test_top_errors_count_ties_as_wrong():
    scores = np.array([[0.1, 0.5, 0.4], [0.5, 0.1, 0.4], [1, 1, 1]])
    assert [int(top_errors(scores, np.array([1, 1, 1]), k)) for k in (1, 2, 3)] == [2, 2, 0]


# PyTorch -------------------------------------------------------------------------------------------------------------

@pytest.mark.torch
@pytest.mark.parametrize("size, stride, padding, groups", list(itertools.product((3, 4), (1, 2, 3), (0, 2), (1, 2))))
def test_convolution_as_in_pytorch(size, stride, padding, groups):
    torch = pytest.importorskip("torch")
    layer, x = randomise(Conv2d(4, 6, size, stride, padding, groups)), normal(2, 9, 8, 4)
    inputs = [torch.tensor(a, requires_grad=True) for a in (x.transpose(0, 3, 1, 2), layer.params["W"].transpose(
        3, 2, 0, 1), layer.params["b"])]
    wanted = torch.nn.functional.conv2d(*inputs, stride, padding, groups=groups)
    y, cache = layer.forward(x)
    np.testing.assert_allclose(y, wanted.detach().permute(0, 2, 3, 1), rtol=1e-10, atol=1e-10)
    dy = normal(*y.shape, seed=9)
    wanted.backward(torch.tensor(dy.transpose(0, 3, 1, 2)))
    dx, grads = layer.backward(dy, cache)
    for got, tensor, axes in (dx, inputs[0], (0, 2, 3, 1)), (grads["W"], inputs[1], (2, 3, 1, 0)), (grads["b"],
                                                                                                  inputs[2], (0,)):
        np.testing.assert_allclose(got, tensor.grad.permute(axes), rtol=1e-10, atol=1e-10)


@pytest.mark.torch
def test_normalisation_and_pooling_as_in_pytorch():
    torch = pytest.importorskip("torch")
    x = distinct(2, 7, 8, 9)
    for layer, other in ((LocalResponseNorm(5, 0.4), torch.nn.LocalResponseNorm(5, 5 * 0.4, 0.75, 2.0)),
                         (MaxPool2d(3, 2), torch.nn.MaxPool2d(3, 2))):
        tensor = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
        wanted = other(tensor)
        y, cache = layer.forward(x)
        dy = normal(*y.shape)
        wanted.backward(torch.tensor(dy.transpose(0, 3, 1, 2)))
        np.testing.assert_allclose(y, wanted.detach().permute(0, 2, 3, 1), rtol=1e-10)
        np.testing.assert_allclose(layer.backward(dy, cache)[0], tensor.grad.permute(0, 2, 3, 1), rtol=1e-10, atol=1e-12)
