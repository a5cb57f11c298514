"""Every layer and the loss: against slow oracles, finite differences and PyTorch, and what each refuses.

Shapes are awkward on purpose: odd and unequal sides, strides that leave rows over, windows that overlap and do not
tile, padding on one side, groups, one image and three.
"""

import copy

import numpy as np
import oracles
import pytest

from nn import (
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    SoftmaxCrossEntropy,
    SpatialResponseNorm,
    Tanh,
    check_layer,
    softmax,
    top_errors,
)


def spaced(*shape, seed=0, dtype=np.float64):
    """Numbers between −2 and 2 in random order, evenly spaced, none of them 0: where ReLU and pooling are smooth.
    float32 and float64 get the same ones."""
    size = int(np.prod(shape))
    order = np.random.default_rng(seed).permutation(size)
    return ((order + 0.25) * 4 / size - 2).reshape(shape).astype(np.float32).astype(dtype)


def filled(layer, dtype=np.float64):
    """The same layer with other parameters, of type `dtype`."""
    layer = copy.copy(layer)
    layer.params = {name: spaced(*p.shape, seed=2, dtype=dtype) for name, p in layer.params.items()}
    return layer


def gradient_for(layer, x):
    """A random ∂y of the right shape and type."""
    return spaced(len(x), *layer.output_shape(x.shape[1:]), seed=1, dtype=x.dtype)


def results(layer, x, dy, **draw):
    """Everything that comes out of a layer, by name."""
    y, cache = layer.forward(x, train=True, **draw)
    dx, grads = layer.backward(dy, cache)
    return {"y": y, **grads} | ({} if dx is None else {"dx": dx})


def cases(named):
    return [pytest.param(*case, id=name) for name, case in named.items()]


CONVOLUTIONS = {        # layer, shape of x
    "conv": (Conv2d(3, 4, 3), (1, 7, 5, 3)),
    "conv 1×1": (Conv2d(3, 2, 1), (3, 3, 5, 3)),
    "conv padded": (Conv2d(2, 3, 5, padding=2), (3, 5, 8, 2)),
    "conv as large as the map": (Conv2d(2, 3, 4), (3, 4, 4, 2)),
    "conv even kernel, padding (0, 1)": (Conv2d(2, 3, 2, padding=(0, 1)), (1, 4, 3, 2)),
    "conv padding (2, 0)": (Conv2d(2, 2, 3, padding=(2, 0)), (1, 4, 5, 2)),
    "conv stride 2": (Conv2d(3, 4, 3, stride=2, padding=1), (3, 6, 9, 3)),
    "conv stride 3, one row left over": (Conv2d(2, 3, 3, stride=3), (1, 7, 10, 2)),
    "conv stride 4, padding (0, 3)": (Conv2d(3, 2, 5, stride=4, padding=(0, 3)), (1, 11, 14, 3)),
    "conv stride 4 over a kernel of 3": (Conv2d(2, 3, 3, stride=4, padding=(1, 2)), (3, 9, 6, 2)),
    "conv 2 groups": (Conv2d(4, 6, 3, padding=1, groups=2), (3, 5, 4, 4)),
    "conv 2 groups, stride 3": (Conv2d(4, 6, 5, stride=3, padding=2, groups=2), (1, 9, 8, 4)),
    "conv 3 groups, padding (0, 1)": (Conv2d(6, 3, 3, stride=2, padding=(0, 1), groups=3), (3, 4, 7, 6)),
    "conv first": (Conv2d(3, 4, 3, stride=2, first=True), (3, 7, 6, 3))}
NORMS = {
    "norm": (LocalResponseNorm(5, alpha=1.0), (3, 4, 3, 7)),
    "norm of 1": (LocalResponseNorm(1, alpha=1.0), (1, 3, 2, 4)),
    "norm of 3, 2 groups": (LocalResponseNorm(3, alpha=1.3, k=1.0, groups=2), (1, 3, 2, 6)),
    "norm of 5, 2 groups": (LocalResponseNorm(5, alpha=1.0, groups=2), (3, 1, 2, 14)),
    "norm of 7, 3 groups of fewer": (LocalResponseNorm(7, alpha=0.8, beta=0.5, groups=3), (1, 2, 3, 12)),
    "norm of 5, 3 channels": (LocalResponseNorm(5, alpha=1.0, beta=1.2, k=1.5), (3, 2, 2, 3))}
SPATIAL = {
    "spatial norm": (SpatialResponseNorm(5, alpha=1.0), (3, 7, 4, 2)),
    "spatial norm of 1": (SpatialResponseNorm(1, alpha=0.8), (1, 3, 2, 3)),
    "spatial norm of 3": (SpatialResponseNorm(3, alpha=1.3, beta=0.5, k=1.5), (1, 3, 6, 2)),
    "spatial norm of more than the map": (SpatialResponseNorm(7, alpha=0.7, beta=1.2), (3, 2, 3, 1))}
POOLS = {
    "pool": (MaxPool2d(3, 2), (3, 7, 9, 2)),
    "pool, rows left over": (MaxPool2d(3, 2), (1, 8, 6, 3)),
    "pool stride 1": (MaxPool2d(3, 1), (1, 5, 4, 3)),
    "pool of 2": (MaxPool2d(2, 2), (3, 5, 7, 2)),
    "pool of 4, stride 3": (MaxPool2d(4, 3), (3, 11, 9, 1)),
    "pool of 2, gaps between": (MaxPool2d(2, 3), (1, 7, 9, 2)),
    "pool of 1": (MaxPool2d(1, 2), (1, 4, 5, 2)),
    "pool, ceil": (MaxPool2d(3, 2, ceil=True), (3, 8, 7, 2)),
    "pool, ceil, one row in the last window": (MaxPool2d(3, 2, ceil=True), (1, 4, 6, 3)),
    "pool of 4, stride 3, ceil": (MaxPool2d(4, 3, ceil=True), (3, 9, 8, 1)),
    "pool of 2, gaps between, ceil": (MaxPool2d(2, 4, ceil=True), (1, 8, 9, 2)),
    "pool, all ties": (MaxPool2d(3, 2, ties="all"), (3, 7, 9, 2)),
    "pool of 4, stride 3, ceil, all ties": (MaxPool2d(4, 3, ceil=True, ties="all"), (3, 9, 8, 1))}
OTHERS = {
    "relu": (ReLU(), (3, 4, 3, 2)),
    "relu of features": (ReLU(), (3, 7)),
    "tanh": (Tanh(), (1, 4, 3, 2)),
    "flatten": (Flatten(), (3, 2, 5, 4)),
    "linear": (Linear(5, 3), (3, 5)),
    "linear, one image": (Linear(3, 7), (1, 3))}
DROPOUTS = {
    "dropout": (Dropout(), (3, 9), dict(key=(1, 2, "fc6"))),
    "dropout of maps": (Dropout(0.3), (3, 2, 5, 2), dict(key=(1,))),
    "dropout inverted": (Dropout(0.3, inverted=True), (3, 9), dict(key=(1, 2), part=(1, 3)))}

LAYERS = cases({name: (*case, {})[:3] for name, case in (CONVOLUTIONS | NORMS | SPATIAL | POOLS | OTHERS
                                                                   | DROPOUTS).items()})


# Facts of all layers -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("layer, shape, draw", LAYERS)
def test_gradients(layer, shape, draw):
    """Every entry of every gradient, against finite differences."""
    check_layer(layer, spaced(*shape), **draw)


@pytest.mark.parametrize("layer, shape, draw", LAYERS)
def test_output_shape(layer, shape, draw):
    y, _ = layer.forward(spaced(*shape), **draw)
    assert y.shape == (shape[0], *layer.output_shape(shape[1:]))


@pytest.mark.parametrize("layer, shape, draw", LAYERS)
def test_the_type_that_goes_in_comes_out(layer, shape, draw):
    """float32 gives float32 and float64 gives float64, forward and backward, and the same numbers.

    (A sum of some hundred terms in float32 may be off by some hundred times 6e-8 of its largest.)
    """
    x = spaced(*shape)
    dy = gradient_for(layer, x)
    double = results(filled(layer), x, dy, **draw)
    single = results(filled(layer, np.float32), x.astype(np.float32), dy.astype(np.float32), **draw)
    assert double.keys() == single.keys()
    for name, wanted in double.items():
        assert (wanted.dtype, single[name].dtype) == (np.float64, np.float32), name
        np.testing.assert_allclose(single[name], wanted, rtol=0, atol=1e-5 * np.abs(wanted).max(), err_msg=name)


@pytest.mark.parametrize("layer, shape, draw", LAYERS)
def test_inputs_are_never_written_to(layer, shape, draw):
    """Neither x nor ∂y nor the parameters, in training or at test; and the cache survives backward."""
    layer, x = filled(layer), spaced(*shape)
    dy = gradient_for(layer, x)
    before = copy.deepcopy([x, dy, layer.params])
    layer.forward(x, train=False)
    _, cache = layer.forward(x, train=True, **draw)
    first, second = layer.backward(dy, cache), layer.backward(dy, cache)
    np.testing.assert_equal([x, dy, layer.params], before)
    np.testing.assert_equal(first, second)


@pytest.mark.parametrize("layer, shape, draw", LAYERS)
def test_views_are_as_good_as_arrays(layer, shape, draw):
    """Arrays that are not contiguous: an exchange passes such parts of maps on."""
    def apart(a):
        wide = np.full([2 * length for length in a.shape], np.nan)
        view = wide[tuple(slice(None, None, 2) for _ in a.shape)]
        view[...] = a
        return view

    layer, x = filled(layer), spaced(*shape)
    dy = gradient_for(layer, x)
    wanted, found = results(layer, x, dy, **draw), results(layer, apart(x), apart(dy), **draw)
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-13, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("layer, shape", cases(CONVOLUTIONS | NORMS | SPATIAL | POOLS | OTHERS))
def test_without_training_the_same_output_and_no_cache(layer, shape):
    layer, x = filled(layer), spaced(*shape)
    y, cache = layer.forward(x, train=False)
    assert cache is None
    np.testing.assert_array_equal(y, layer.forward(x, train=True)[0])


# Convolution ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("layer, shape", cases(CONVOLUTIONS))
def test_conv_is_the_seven_loops(layer, shape):
    layer, x = filled(layer), spaced(*shape)
    wanted = oracles.convolution(x, layer.params["W"], layer.params["b"], layer.stride, (layer.before, layer.after),
                                 layer.groups)
    np.testing.assert_allclose(layer.forward(x)[0], wanted, rtol=1e-12, atol=1e-12)


def test_conv_padding_is_zeros_around_the_image():
    """(before, after): before on the top and left, after on the bottom and right."""
    padded, bare = filled(Conv2d(2, 3, 5, stride=2, padding=(1, 3))), filled(Conv2d(2, 3, 5, stride=2))
    x = spaced(3, 6, 7, 2)
    wide = np.zeros((3, 6 + 4, 7 + 4, 2))
    wide[:, 1:7, 1:8] = x
    np.testing.assert_allclose(padded.forward(x)[0], bare.forward(wide)[0], rtol=1e-13, atol=1e-13)


def test_conv_groups_are_layers_side_by_side():
    """Two groups are two convolutions that know nothing of each other: what the paper's two GPUs do (§ 3.2)."""
    both, x = filled(Conv2d(4, 6, 3, padding=1, groups=2)), spaced(3, 5, 7, 4)
    halves = []
    for g in range(2):
        one = Conv2d(2, 3, 3, padding=1)
        one.params = {name: p[..., 3 * g:3 * g + 3] for name, p in both.params.items()}
        halves.append(one.forward(x[..., 2 * g:2 * g + 2])[0])
    np.testing.assert_allclose(both.forward(x)[0], np.concatenate(halves, axis=3), rtol=1e-13, atol=1e-13)


def test_conv_first_gives_no_gradient_of_the_images():
    first, other = filled(Conv2d(3, 4, 3, first=True)), filled(Conv2d(3, 4, 3))
    x = spaced(3, 7, 5, 3)
    dy = gradient_for(first, x)
    (nothing, grads), (_, wanted) = (layer.backward(dy, layer.forward(x)[1]) for layer in (first, other))
    assert nothing is None
    np.testing.assert_equal(grads, wanted)


def test_the_papers_sizes():
    """224 pixels, or 227, give 55; and the three poolings 55 → 27 → 13 → 6."""
    assert Conv2d(3, 96, 11, 4, padding=(0, 3)).output_shape((224, 224, 3)) == (55, 55, 96)
    assert Conv2d(3, 96, 11, 4).output_shape((227, 227, 3)) == (55, 55, 96)
    assert Conv2d(3, 96, 11, 4).output_shape((224, 224, 3)) == (54, 54, 96)
    sides = [55]
    for _ in range(3):
        sides.append(MaxPool2d(3, 2).output_shape((sides[-1], sides[-1], 96))[0])
    assert sides == [55, 27, 13, 6]


# Local response normalisation ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("layer, shape", cases(NORMS))
def test_norm_is_the_papers_formula(layer, shape):
    x = spaced(*shape)
    wanted = oracles.local_response_norm(x, layer.size, layer.alpha, layer.beta, layer.k, layer.groups)
    np.testing.assert_allclose(layer.forward(x)[0], wanted, rtol=1e-12, atol=1e-12)


def test_norm_as_printed_is_the_default():
    layer = LocalResponseNorm()
    assert (layer.size, layer.alpha, layer.beta, layer.k, layer.groups) == (5, 1e-4, 0.75, 2, 1)


@pytest.mark.parametrize("layer, shape", cases(SPATIAL))
def test_spatial_norm_is_its_formula(layer, shape):
    """One pixel at a time, over those of its window that exist."""
    x, reach = spaced(*shape), layer.size // 2
    wanted = np.zeros_like(x)
    for n, i, j, c in np.ndindex(x.shape):
        total = sum(x[n, r, s, c] ** 2 for r in range(max(0, i - reach), min(shape[1], i + reach + 1))
                    for s in range(max(0, j - reach), min(shape[2], j + reach + 1)))
        wanted[n, i, j, c] = x[n, i, j, c] / (layer.k + layer.alpha * total) ** layer.beta
    np.testing.assert_allclose(layer.forward(x)[0], wanted, rtol=1e-12, atol=1e-12)


def test_spatial_norm_as_in_the_2012_code_is_the_default():
    layer = SpatialResponseNorm()
    assert (layer.size, layer.beta, layer.k) == (5, 0.75, 1) and layer.alpha == pytest.approx(4e-5)


# Pooling -------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("layer, shape", cases(POOLS))
def test_pool_is_the_largest_of_each_window(layer, shape):
    x = spaced(*shape)
    np.testing.assert_array_equal(layer.forward(x)[0], oracles.max_pool(x, layer.size, layer.stride, layer.ceil))


def test_pool_of_negative_numbers_has_no_zeros_at_its_edge():
    y, cache = MaxPool2d(3, 2, ceil=True).forward(np.full((1, 4, 4, 1), -3.0))
    assert y.shape == (1, 2, 2, 1) and (y == -3).all()


def test_pool_one_pixel_can_win_four_windows():
    x = spaced(1, 5, 5, 1)
    x[0, 2, 2] = 9
    layer = MaxPool2d(3, 2)
    y, cache = layer.forward(x)
    dy = gradient_for(layer, x)
    wanted = np.zeros_like(x)
    wanted[0, 2, 2] = dy.sum()
    np.testing.assert_allclose(layer.backward(dy, cache)[0], wanted, rtol=1e-14)


def test_pool_first_of_equal_values_gets_the_gradient_once():
    """Row by row: in a flat map the upper left pixel of each window, so that 3×3 windows, 2 apart, hit every other."""
    layer, x = MaxPool2d(3, 2), np.ones((3, 5, 7, 2))
    dy = gradient_for(layer, x)
    wanted = np.zeros_like(x)
    wanted[:, 0:4:2, 0:6:2] = dy
    np.testing.assert_array_equal(layer.backward(dy, layer.forward(x)[1])[0], wanted)


@pytest.mark.parametrize("window, winner", [([[0, 7, 7], [7, 0, 0], [0, 0, 0]], (0, 1)),
                                            ([[0, 0, 0], [0, 0, 7], [7, 7, 0]], (1, 2)),
                                            ([[-3, -3, -3], [-3, -2, -3], [-3, -3, -2]], (1, 1))])
def test_pool_ties(window, winner):
    layer = MaxPool2d(3, 2)
    dx, _ = layer.backward(np.full((1, 1, 1, 1), 5.0), layer.forward(np.array(window, float)[None, :, :, None])[1])
    assert np.argwhere(dx[0, :, :, 0]).tolist() == [list(winner)] and dx.sum() == 5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size, stride, ceil", [(3, 2, False), (2, 2, False), (3, 1, False), (2, 3, True), (3, 2, True)])
def test_pool_every_one_of_equal_values_gets_the_gradient(size, stride, ceil, dtype):
    """Few different values, so ties everywhere: the definition in loops, one window at a time."""
    layer, x = MaxPool2d(size, stride, ceil, ties="all"), np.random.default_rng(0).integers(-1, 2, (3, 8, 11, 2)).astype(dtype)
    dy, wanted = gradient_for(layer, x), np.zeros_like(x)
    y, cache = layer.forward(x)
    np.testing.assert_array_equal(y, MaxPool2d(size, stride, ceil).forward(x)[0])
    for n, p, q, c in np.ndindex(y.shape):
        window = x[n, p * stride:p * stride + size, q * stride:q * stride + size, c]
        for i, j in np.argwhere(window == window.max()):
            wanted[n, p * stride + i, q * stride + j, c] += dy[n, p, q, c]
    dx, _ = layer.backward(dy, cache)
    assert dx.dtype == dtype
    np.testing.assert_allclose(dx, wanted, rtol=0, atol=8 * np.finfo(dtype).eps * np.abs(dy).max())


# Nonlinearities, fully connected layers ------------------------------------------------------------------------------

def test_relu_and_its_gradient_at_zero():
    x = np.array([[-2.0, -0.0, 0.0, 3.0]])
    y, cache = ReLU().forward(x)
    np.testing.assert_array_equal(y, [[0, 0, 0, 3]])
    np.testing.assert_array_equal(ReLU().backward(np.full((1, 4), 7.0), cache)[0], [[0, 0, 0, 7]])


def test_tanh_is_tanh():
    x = spaced(3, 7)
    e = np.exp(2 * x)
    np.testing.assert_allclose(Tanh().forward(x)[0], (e - 1) / (e + 1), rtol=1e-12)


def test_linear_and_flatten():
    """Features in the order of memory: row by row, and for each pixel its channels."""
    x, layer = spaced(3, 2, 4, 5), filled(Linear(40, 6))
    W, b = layer.params["W"], layer.params["b"]
    wanted = [[b[f] + sum(x[n, i, j, c] * W[20 * i + 5 * j + c, f] for i in range(2) for j in range(4)
                          for c in range(5)) for f in range(6)] for n in range(3)]
    np.testing.assert_allclose(layer.forward(Flatten().forward(x)[0])[0], wanted, rtol=1e-12, atol=1e-12)


# Dropout -------------------------------------------------------------------------------------------------------------

def kept(layer, shape=(50, 80), dtype=np.float64, **draw):
    """The mask of a layer, seen through its output: where numbers are not zero."""
    return layer.forward(spaced(*shape, dtype=dtype), train=True, **draw)[0] != 0


def test_dropout_depends_on_the_key_alone():
    layer, key = Dropout(), (3, 14, "fc6")
    mask = kept(layer, key=key)
    np.testing.assert_array_equal(kept(layer, key=key), mask)
    np.testing.assert_array_equal(kept(Dropout(inverted=True), key=key, dtype=np.float32), mask)
    for other in [(4, 14, "fc6"), (3, 15, "fc6"), (3, 14, "fc7"), (14, 3, "fc6")]:
        assert 0.4 < (kept(layer, key=other) != mask).mean() < 0.6, other


@pytest.mark.parametrize("towers", [2, 3])
def test_dropout_of_towers_is_the_whole_layers(towers):
    draw = dict(key=(1, 2))
    parts = [kept(Dropout(), (5, 8), part=(t, towers), **draw) for t in range(towers)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), kept(Dropout(), (5, 8 * towers), **draw))


@pytest.mark.parametrize("shape", [(11, 7), (5, 3, 2, 3)])
def test_dropout_of_pieces_is_the_whole_batchs(shape):
    whole = kept(Dropout(), shape, key=(1, 2), part=(1, 2))
    for cut in 1, 2, 4:
        pieces = [kept(Dropout(), (length, *shape[1:]), key=(1, 2), part=(1, 2), start=start)
                  for start, length in ((0, cut), (cut, shape[0] - cut))]
        np.testing.assert_array_equal(np.concatenate(pieces), whole)


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("inverted", [False, True])
def test_dropout(rate, inverted):
    """What is kept is x, at test time all times 1 − rate; inverted: x / (1 − rate), at test time all as it is."""
    layer, x, scale = Dropout(rate, inverted), spaced(200, 500), 1 - rate
    y, _ = layer.forward(x, key=(5,))
    mask = y != 0
    np.testing.assert_allclose(y[mask], x[mask] / (scale if inverted else 1), rtol=1e-15)
    deviation = np.sqrt(rate * scale / x.size)
    assert abs(mask.mean() - scale) <= 5 * deviation
    assert np.abs(mask.mean(0) - scale).max() <= 5 * np.sqrt(rate * scale / 200)     # no column differs

    at_test, cache = layer.forward(x, train=False)
    assert cache is None
    np.testing.assert_allclose(at_test, x * (1 if inverted else scale), rtol=1e-15)


# The loss ------------------------------------------------------------------------------------------------------------

def log_sum_exp_loss(logits, labels):
    logits = np.asarray(logits, np.float64)
    return np.mean(np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(labels)), labels])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("largest", [1.0, 30.0, 1e4])
def test_loss_is_stable(largest, dtype):
    """Equal to a log-sum-exp in float64 for logits up to ±10,000, whose exponentials no float can hold."""
    logits, labels = largest / 2 * spaced(7, 5, dtype=dtype), np.array([0, 1, 2, 3, 4, 4, 2])
    logits = logits.astype(dtype)
    loss, cache = SoftmaxCrossEntropy().forward(logits, labels)
    assert np.ndim(loss) == 0 and loss.dtype == dtype
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(loss, log_sum_exp_loss(logits, labels), rtol=16 * eps)
    gradient = SoftmaxCrossEntropy().backward(cache)
    assert gradient.dtype == dtype and np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient.sum(1), 0, atol=16 * eps)


def test_loss_of_no_opinion_is_ln_classes():
    loss, _ = SoftmaxCrossEntropy().forward(np.full((3, 1000), 4.0), np.array([0, 7, 999]))
    np.testing.assert_allclose(loss, np.log(1000), rtol=1e-14)


def test_loss_gradient():
    """Every entry, by finite differences; for a mean over the batch; and the cache survives."""
    logits, labels, loss, step = spaced(3, 5), np.array([4, 0, 4]), SoftmaxCrossEntropy(), 1e-5
    _, cache = loss.forward(logits, labels)
    before = copy.deepcopy([logits, labels, cache])
    gradient = loss.backward(cache)
    np.testing.assert_equal([logits, labels, cache], before)
    for index in np.ndindex(logits.shape):
        up, down = logits.copy(), logits.copy()
        up[index] += step
        down[index] -= step
        wanted = (log_sum_exp_loss(up, labels) - log_sum_exp_loss(down, labels)) / (2 * step)
        assert abs(gradient[index] - wanted) < 1e-9, index


def test_softmax():
    logits = spaced(6, 9, dtype=np.float32) * 100
    p = softmax(logits)
    wanted = np.exp(logits.astype(float) - np.logaddexp.reduce(logits.astype(float), axis=1)[:, None])
    np.testing.assert_allclose(p, wanted, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-6)
    assert p.dtype == np.float32


@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_errors(k):
    """The label is right if it is among the first k when classes are sorted by their score."""
    scores = np.stack([np.random.default_rng(n).permutation(10) for n in range(40)])
    labels = np.arange(40) % 10
    right = sum(label in np.argsort(-row)[:k] for row, label in zip(scores, labels))
    assert 0 < right < 40 and top_errors(scores, labels, k) == 40 - right


@pytest.mark.parametrize("scores", [np.zeros((4, 10)), np.full((4, 10), np.nan)], ids=["all equal", "not a number"])
def test_no_opinion_is_an_error(scores):
    assert [top_errors(scores, np.arange(4), k) for k in (1, 5)] == [4, 4]


# What is refused -----------------------------------------------------------------------------------------------------

SENTENCES = {
    "channels": (lambda: Conv2d(0, 4, 3), "Conv2d's channels must be a whole number of at least 1, got 0"),
    "kernels": (lambda: Conv2d(3, 4.0, 3), "Conv2d's kernels must be a whole number of at least 1, got 4.0"),
    "size": (lambda: Conv2d(3, 4, True), "Conv2d's size must be a whole number of at least 1, got True"),
    "stride": (lambda: Conv2d(3, 4, 3, stride=0), "Conv2d's stride must be a whole number of at least 1, got 0"),
    "groups": (lambda: Conv2d(3, 4, 3, groups=-1), "Conv2d's groups must be a whole number of at least 1, got -1"),
    "groups of channels": (lambda: Conv2d(3, 4, 3, groups=2),
                           "Conv2d's 2 groups must divide its 3 channels and 4 kernels"),
    "groups of kernels": (lambda: Conv2d(6, 4, 3, groups=3),
                          "Conv2d's 3 groups must divide its 6 channels and 4 kernels"),
    "padding below 0": (lambda: Conv2d(3, 4, 3, padding=-1),
                        "Conv2d's padding must be a whole number of at least 0, got -1"),
    "padding in words": (lambda: Conv2d(3, 4, 3, padding="same"),
                         "Conv2d's padding must be a whole number of at least 0, got 'same'"),
    "padding as large as the kernel": (lambda: Conv2d(3, 4, 3, padding=(0, 3)),
                                       "Conv2d's padding must be smaller than its kernel of 3, got (0, 3)"),
    "norm of 4": (lambda: LocalResponseNorm(4), "LocalResponseNorm's size must be odd, to have a centre, got 4"),
    "norm of 0": (lambda: LocalResponseNorm(0), "LocalResponseNorm's size must be a whole number of at least 1, got 0"),
    "norm groups": (lambda: LocalResponseNorm(groups=0),
                    "LocalResponseNorm's groups must be a whole number of at least 1, got 0"),
    "norm alpha": (lambda: LocalResponseNorm(alpha=-1), "LocalResponseNorm needs alpha ≥ 0 and k > 0, got alpha -1 and "
                   "k 2.0: otherwise it can divide by zero"),
    "norm k": (lambda: LocalResponseNorm(k=0), "LocalResponseNorm needs alpha ≥ 0 and k > 0, got alpha 0.0001 and "
               "k 0: otherwise it can divide by zero"),
    "spatial norm of 4": (lambda: SpatialResponseNorm(4), "SpatialResponseNorm's size must be odd, to have a centre, got 4"),
    "spatial norm alpha": (lambda: SpatialResponseNorm(alpha=-1), "SpatialResponseNorm needs alpha ≥ 0 and k > 0, got alpha "
                           "-1 and k 1.0: otherwise it can divide by zero"),
    "spatial norm, no batch": (lambda: SpatialResponseNorm().forward(np.zeros((7, 5, 3))), "SpatialResponseNorm(5, "
                               "alpha=4e-05, beta=0.75, k=1) expects (N, H, W, C), got (7, 5, 3): add a batch axis with x[None]"),
    "pool of 0": (lambda: MaxPool2d(0), "MaxPool2d's size must be a whole number of at least 1, got 0"),
    "pool stride": (lambda: MaxPool2d(3, 0), "MaxPool2d's stride must be a whole number of at least 1, got 0"),
    "pool of 16": (lambda: MaxPool2d(16),
                   "MaxPool2d's size must be at most 15 (a winner's place is kept in a byte), got 16"),
    "pool ties": (lambda: MaxPool2d(ties="last"), "MaxPool2d's ties must be one of first, all, got 'last'"),
    "rate of 1": (lambda: Dropout(1), "Dropout's rate must be at least 0 and below 1, got 1"),
    "rate below 0": (lambda: Dropout(-0.1), "Dropout's rate must be at least 0 and below 1, got -0.1"),
    "inputs": (lambda: Linear(0, 3), "Linear's inputs must be a whole number of at least 1, got 0"),
    "outputs": (lambda: Linear(3, 2.5), "Linear's outputs must be a whole number of at least 1, got 2.5"),

    "conv, no batch": (lambda: Conv2d(3, 4, 3).forward(np.zeros((7, 5, 3))), "Conv2d(3, 4, 3×3/1) expects "
                       "(N, H, W, 3), got (7, 5, 3): add a batch axis with x[None]"),
    "conv, features": (lambda: Conv2d(3, 4, 3).forward(np.zeros((7, 3))),
                       "Conv2d(3, 4, 3×3/1) expects (N, H, W, 3), got (7, 3)"),
    "conv, channels first": (lambda: Conv2d(3, 4, 3).forward(np.zeros((2, 3, 7, 5))), "Conv2d(3, 4, 3×3/1) expects "
                             "(N, H, W, 3), got (2, 3, 7, 5): channels come last, try x.transpose(0, 2, 3, 1)"),
    "conv, channels": (lambda: Conv2d(3, 4, 3).forward(np.zeros((2, 7, 5, 4))),
                       "Conv2d(3, 4, 3×3/1) expects (N, H, W, 3), got (2, 7, 5, 4)"),
    "conv, small": (lambda: Conv2d(3, 4, 5, padding=1).forward(np.zeros((2, 9, 2, 3))), "Conv2d(3, 4, 5×5/1) expects "
                    "maps of at least 3 pixels a side, got (2, 9, 2, 3): use larger images"),
    "conv, bytes": (lambda: Conv2d(3, 4, 3).forward(np.zeros((2, 7, 5, 3), np.uint8)), "Conv2d(3, 4, 3×3/1) expects "
                    "float32 or float64, got uint8: convert with x.astype(np.float32)"),
    "conv, float16": (lambda: Conv2d(3, 4, 3).forward(np.zeros((2, 7, 5, 3), np.float16)), "Conv2d(3, 4, 3×3/1) "
                      "expects float32 or float64, got float16: convert with x.astype(np.float32)"),
    "norm, no batch": (lambda: LocalResponseNorm().forward(np.zeros((7, 5, 3))), "LocalResponseNorm(5, alpha=0.0001, "
                       "beta=0.75, k=2) expects (N, H, W, C), got (7, 5, 3): add a batch axis with x[None]"),
    "norm, channels": (lambda: LocalResponseNorm(groups=2).forward(np.zeros((1, 7, 5, 3))), "LocalResponseNorm(5, "
                       "alpha=0.0001, beta=0.75, k=2) expects channels that its 2 groups divide, got (1, 7, 5, 3)"),
    "pool, small": (lambda: MaxPool2d().forward(np.zeros((1, 9, 2, 3))), "MaxPool2d(3, 2) expects maps of at least 3 "
                    "pixels a side, got (1, 9, 2, 3): use larger images"),
    "pool, no batch": (lambda: MaxPool2d().forward(np.zeros((9, 9, 3))), "MaxPool2d(3, 2) expects (N, H, W, C), got "
                       "(9, 9, 3): add a batch axis with x[None]"),
    "pool, whole numbers": (lambda: MaxPool2d().forward(np.zeros((1, 9, 9, 3), int)), "MaxPool2d(3, 2) expects float32 "
                            "or float64, got int64: convert with x.astype(np.float32)"),
    "relu, whole numbers": (lambda: ReLU().forward(np.zeros((1, 3), int)),
                            "ReLU() expects float32 or float64, got int64: convert with x.astype(np.float32)"),
    "tanh, whole numbers": (lambda: Tanh().forward(np.zeros((1, 3), int)),
                            "Tanh() expects float32 or float64, got int64: convert with x.astype(np.float32)"),
    "dropout, bools": (lambda: Dropout().forward(np.zeros((1, 3), bool)),
                       "Dropout(0.5) expects float32 or float64, got bool: convert with x.astype(np.float32)"),
    "linear, no batch": (lambda: Linear(3, 4).forward(np.zeros(3)),
                         "Linear(3, 4) expects (N, 3), got (3,): add a batch axis with x[None]"),
    "linear, maps": (lambda: Linear(12, 4).forward(np.zeros((1, 2, 2, 3))),
                     "Linear(12, 4) expects (N, 12), got (1, 2, 2, 3): put Flatten() before it"),
    "linear, inputs": (lambda: Linear(3, 4).forward(np.zeros((2, 5))), "Linear(3, 4) expects (N, 3), got (2, 5)"),
    "linear, whole numbers": (lambda: Linear(3, 4).forward(np.zeros((2, 3), int)),
                              "Linear(3, 4) expects float32 or float64, got int64: convert with x.astype(np.float32)"),

    "loss, length": (lambda: SoftmaxCrossEntropy().forward(np.zeros((2, 5)), np.array([1])), "SoftmaxCrossEntropy() "
                     "expects logits (N, classes) and labels (N,), got (2, 5) and (1,)"),
    "loss, no batch": (lambda: SoftmaxCrossEntropy().forward(np.zeros(5), np.array([1])), "SoftmaxCrossEntropy() "
                       "expects logits (N, classes) and labels (N,), got (5,) and (1,)"),
    "loss, floats": (lambda: SoftmaxCrossEntropy().forward(np.zeros((1, 5)), np.array([1.0])),
                     "SoftmaxCrossEntropy() expects whole numbers as labels, got float64"),
    "loss, below": (lambda: SoftmaxCrossEntropy().forward(np.zeros((2, 5)), np.array([-1, 0])), "SoftmaxCrossEntropy() "
                    "expects labels from 0 to 4, got -1 to 0: does the net have as many outputs as the data has "
                    "classes?"),
    "loss, above": (lambda: SoftmaxCrossEntropy().forward(np.zeros((2, 5)), np.array([2, 5])), "SoftmaxCrossEntropy() "
                    "expects labels from 0 to 4, got 2 to 5: does the net have as many outputs as the data has "
                    "classes?")}


@pytest.mark.parametrize("mistake, sentence", cases(SENTENCES))
def test_a_mistake_is_answered_by_a_sentence(mistake, sentence):
    with pytest.raises(ValueError) as error:
        mistake()
    assert str(error.value) == sentence


def test_padding_is_one_number_or_two():
    with pytest.raises(ValueError, match="Conv2d's padding"):
        Conv2d(3, 4, 3, padding=(1, 1, 1))


# Against PyTorch -----------------------------------------------------------------------------------------------------

def torch_results(function, x, dy, **params):
    """Like `results`, for a function of channels-first tensors."""
    torch = pytest.importorskip("torch")
    x, dy = (torch.tensor(a.transpose(0, 3, 1, 2).copy()) for a in (x, dy))
    tensors = {name: torch.tensor(p).requires_grad_() for name, p in params.items()}
    x.requires_grad_()
    y = function(x, **tensors)
    y.backward(dy)
    return {"y": y.detach().numpy().transpose(0, 2, 3, 1), "dx": x.grad.numpy().transpose(0, 2, 3, 1),
            **{name: tensor.grad.numpy() for name, tensor in tensors.items()}}


def same_as_torch(layer, x, function, **params):
    dy = gradient_for(layer, x)
    wanted, found = torch_results(function, x, dy, **params), results(layer, x, dy)
    for name in found:                          # a first convolution gives no dx
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-10, atol=1e-10, err_msg=name)


@pytest.mark.torch
@pytest.mark.parametrize("layer, shape", cases(CONVOLUTIONS))
def test_conv_is_pytorchs(layer, shape):
    F = pytest.importorskip("torch.nn.functional")
    layer = filled(layer)

    def conv2d(x, W, b):
        around = (layer.before, layer.after, layer.before, layer.after)
        return F.conv2d(F.pad(x, around), W.permute(3, 2, 0, 1), b, layer.stride, groups=layer.groups)

    same_as_torch(layer, spaced(*shape), conv2d, **layer.params)


@pytest.mark.torch
@pytest.mark.parametrize("layer, shape", cases(NORMS))
def test_norm_is_pytorchs_with_alpha_times_size(layer, shape):
    """PyTorch divides α by the size of the window, and knows no groups: here each is normalised by itself."""
    torch = pytest.importorskip("torch")

    def norm(x):
        parts = [torch.nn.functional.local_response_norm(part, layer.size, layer.alpha * layer.size, layer.beta,
                                                         layer.k) for part in x.chunk(layer.groups, dim=1)]
        return torch.cat(parts, dim=1)

    same_as_torch(layer, spaced(*shape), norm)


@pytest.mark.torch
@pytest.mark.parametrize("layer, shape", cases(POOLS))
def test_pool_is_pytorchs(layer, shape):
    F = pytest.importorskip("torch.nn.functional")
    same_as_torch(layer, spaced(*shape), lambda x: F.max_pool2d(x, layer.size, layer.stride, ceil_mode=layer.ceil))
