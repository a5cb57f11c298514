"""Fast forms on the CPU return the plain layers' results, one by one and in a whole net. (test_kernels.py has the same
test of the forms for CUDA, with kernels compiled for the CPU.)"""

import copy

import numpy as np
import pytest
from test_layers import (
    CONVOLUTIONS,
    DROPOUTS,
    NORMS,
    OTHERS,
    POOLS,
    SPATIAL,
    cases,
    filled,
    gradient_for,
    results,
    spaced,
)

from alexnet import AlexNet, Figure1Net, SmallAlexNet
from nn import SGD, Conv2d, Linear, LocalResponseNorm, MaxPool2d, check_layer
from nn.fast import CpuForms, CudaForms, PlainForms, choose, cpu
from nn.fast import winograd as winograd_module
from nn.fast.first import FirstConv2d
from nn.fast.lrn import ReciprocalNorm
from nn.fast.pool import PhasedMaxPool2d
from nn.fast.rowwise import RowwiseConv2d
from nn.fast.winograd import Grid, WinogradConv2d, fold_kernels
from nn.run.device import Device
from nn.run.workers import Workers

LARGER = {      # products that threads share, and a map of several rows
    "larger linear": (Linear(600, 301), (97, 600)),
    "larger conv, stride 4, padding after": (Conv2d(3, 5, 11, stride=4, padding=(0, 3)), (2, 24, 29, 3)),
    "larger conv, 3 groups": (Conv2d(6, 9, 3, padding=(2, 1), groups=3), (3, 9, 13, 6)),
    "first conv": (Conv2d(1, 4, 5, padding=(1, 3), first=True), (3, 7, 9, 1)),
    "first conv, 3 channels": (Conv2d(3, 2, 2, first=True), (2, 6, 4, 3)),
    "pool of many channels, all ties": (MaxPool2d(3, 2, ties="all"), (2, 7, 5, 33)),
    "pool of many channels": (MaxPool2d(3, 2), (2, 7, 5, 33)),
    "pool with columns in no window": (MaxPool2d(2, 3), (2, 7, 8, 3)),
    "pool with columns in no window, the last smaller": (MaxPool2d(3, 4, ceil=True), (2, 7, 10, 3))}
LAYERS = cases({name: (*case, {})[:3] for name, case in (CONVOLUTIONS | NORMS | SPATIAL | POOLS | DROPOUTS | OTHERS
                                                                   | LARGER).items()})


@pytest.fixture(scope="module")
def forms():
    return CpuForms(Workers(2))


@pytest.mark.parametrize("layer, shape, draw", LAYERS)
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-13), (np.float32, 1e-5)])
def test_the_form_is_its_plain_layer(layer, shape, draw, dtype, tolerance, forms):
    """Output and every gradient; a first layer's missing gradient, too. Only the order of summation differs."""
    x, plain = spaced(*shape, dtype=dtype), filled(layer, dtype)
    dy = gradient_for(plain, x)
    found, wanted = results(forms.form(plain), x, dy, **draw), results(plain, x, dy, **draw)
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].dtype == dtype and found[name].shape == array.shape
        np.testing.assert_allclose(found[name], array, rtol=0, atol=tolerance * np.abs(array).max(), err_msg=name)
    (y, cache), (expected, _) = (form.forward(x, train=False) for form in (forms.form(plain), plain))
    np.testing.assert_allclose(y, expected, rtol=0, atol=tolerance * np.abs(expected).max())
    assert cache is None


@pytest.mark.parametrize("ties", ["first", "all"])
@pytest.mark.parametrize("channels", [2, 33])
@pytest.mark.parametrize("size, stride, ceil", [(3, 2, False), (3, 2, True), (2, 3, True)])
def test_pool_of_equal_values(size, stride, ceil, channels, ties, forms):
    """The plain form's winners to the bit, where most windows have several."""
    plain = MaxPool2d(size, stride, ceil, ties)
    x = np.random.default_rng(0).integers(-1, 2, (2, 8, 11, channels)).astype(np.float32)
    dy = gradient_for(plain, x)
    found, wanted = results(forms.form(plain), x, dy), results(plain, x, dy)
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


@pytest.mark.parametrize("layer, shape", [(Conv2d(2, 4, 3, stride=2, padding=1, groups=2), (2, 5, 4, 2)),
                                          (Linear(4, 3), (2, 4))])
def test_gradients(layer, shape, forms):
    check_layer(forms.form(layer), spaced(*shape))


def test_a_form_shares_its_layers_parameters(forms):
    """Also after replacement, as when a network puts them on its device."""
    plain = Linear(3, 2)
    fast = forms.form(plain)
    plain.params["W"] = np.ones((3, 2))
    assert fast.params is plain.params and (fast.forward(np.ones((1, 3)))[0] == 3).all()
    plain.params = {"W": np.zeros((3, 2)), "b": np.ones(2)}
    assert fast.params is plain.params and type(fast) is not type(plain) is Linear
    assert vars(plain).keys() == vars(Linear(3, 2)).keys()              # the form adds no attribute to it


def test_one_place_chooses():
    cpu, gpu = Device(), Device()
    gpu.number = 0
    assert type(choose([cpu, cpu], None)) is CpuForms and type(choose([gpu], None)) is CudaForms
    assert type(choose([cpu], None, plain=True)) is type(choose([gpu], None, plain=True)) is PlainForms
    net = SmallAlexNet(3, (24, 24, 1))
    assert [type(net.layers[1][name]) for name in ("conv1", "conv2", "norm1", "pool1")] == [
        FirstConv2d, RowwiseConv2d, ReciprocalNorm, PhasedMaxPool2d]
    forms = CpuForms(Workers(1))
    assert type(forms.form(Conv2d(5, 2, 3, first=True))) is type(forms.form(Conv2d(3, 2, 3, stride=2, first=True))) \
        is type(forms.form(Conv2d(3, 2, 3))) is RowwiseConv2d
    assert type(forms.form(LocalResponseNorm(beta=0.5))) is LocalResponseNorm
    net = SmallAlexNet(3, (24, 24, 1), plain=True)
    assert net.layers == net.towers


@pytest.mark.parametrize("make, options", [(SmallAlexNet, {}), (SmallAlexNet, dict(towers=1)), (Figure1Net, {}),
                                           (SmallAlexNet, dict(first_stages="conv norm pool relu", spatial_norm=True,
                                                               pool_ties="all", dropout_before=True)),
                                           (AlexNet, dict(kernels=(4, 8, 6, 6, 4), neurons=8, init="he"))])
def test_the_textbook_learns_the_same(make, options):
    """plain=True against the default: the same losses and weights within float32 rounding, dropout on."""
    shape = (224, 224, 3) if make is AlexNet else (31, 27, 3)
    rng = np.random.default_rng(0)
    images, labels = rng.standard_normal((6, *shape)).astype(np.float32), rng.integers(0, 4, 6)
    losses, nets = [], [make(4, shape, plain=plain, **options) for plain in (False, True)]
    for net in nets:
        sgd, own = SGD(net), []
        for step in range(5):
            loss, gradients = net.loss_and_gradients(images, labels, step)
            sgd.step(gradients, 1e-4)           # at 1e-3 Figure1Net's loss rises to 10, rounding errors to 1e-5
            own.append(float(loss))
        losses.append(own)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    assert losses[0][-1] != losses[0][0]
    fast, plain = (net.weights() for net in nets)
    for name in fast:
        np.testing.assert_allclose(fast[name], plain[name], rtol=0, atol=1e-5 * np.abs(plain[name]).max(), err_msg=name)


def test_the_textbook_runs_in_the_calling_thread(monkeypatch):
    """A debugger can then step through it."""
    net = SmallAlexNet(4, (31, 27, 3), plain=True, threads=2)
    monkeypatch.setattr(net.workers, "map", None)
    monkeypatch.setattr(net.workers, "product", None)
    _, gradients = net.loss_and_gradients(np.ones((9, 31, 27, 3), np.float32), np.zeros(9, int))
    SGD(net).step(gradients, 0.001)


# Winograd's algorithm ------------------------------------------------------------------------------------------------

WINOGRAD = {        # kernels of 3 and 5, folded strides, tiles that reach beyond the map, maps beyond the last tile
    "3×3": (Conv2d(3, 4, 3), (1, 7, 5, 3)),
    "3×3, one tile": (Conv2d(2, 3, 3, padding=1), (3, 5, 5, 2)),
    "3×3, one pixel more than tiles": (Conv2d(2, 3, 3, padding=1), (2, 11, 6, 2)),
    "3×3, padding (0, 2), 2 groups": (Conv2d(4, 6, 3, padding=(0, 2), groups=2), (3, 8, 9, 4)),
    "5×5": (Conv2d(3, 4, 5, padding=2), (3, 9, 13, 3)),
    "5×5, padding (3, 1), 3 groups": (Conv2d(6, 3, 5, padding=(3, 1), groups=3), (1, 4, 12, 6)),
    "11×11 / 4, the paper's first": (Conv2d(3, 5, 11, stride=4, padding=(0, 3), first=True), (2, 24, 29, 3)),
    "11×11 / 4, with ∂x": (Conv2d(3, 5, 11, stride=4, padding=(0, 3)), (2, 31, 24, 3)),
    "9×9 / 3, rows left over": (Conv2d(2, 3, 9, stride=3), (2, 31, 23, 2)),
    "5×5 / 2, padding (1, 2)": (Conv2d(2, 3, 5, stride=2, padding=(1, 2)), (3, 10, 7, 2)),
    "10×10 / 2": (Conv2d(2, 3, 10, stride=2, padding=2), (1, 17, 21, 2)),
    "3×3, many images": (Conv2d(2, 3, 3, padding=1), (13, 4, 4, 2))}


def winograd(layer):
    form = object.__new__(WinogradConv2d)
    form.__dict__ = layer.__dict__
    return form


def exact(layer, x, dy):
    """The plain layer's results in float64 from arguments of float32."""
    double = copy.copy(layer)
    double.params = {name: array.astype(np.float64) for name, array in layer.params.items()}
    return results(double, x.astype(np.float64), dy.astype(np.float64))


@pytest.mark.parametrize("layer, shape", cases(WINOGRAD))
@pytest.mark.parametrize("block", [1, 3000, 600_000])       # points at a time: an image; some, with a last few; all
def test_winograd_is_the_plain_convolution(layer, shape, block, monkeypatch):
    monkeypatch.setattr(winograd_module, "BLOCK", block)
    x, plain = spaced(*shape), filled(layer)
    dy = gradient_for(plain, x)
    found, wanted = results(winograd(plain), x, dy), results(plain, x, dy)
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, rtol=0, atol=1e-12 * np.abs(array).max(), err_msg=name)


@pytest.mark.parametrize("layer, shape", cases(WINOGRAD))
def test_winograd_rounds_no_worse_than_its_bound(layer, shape):
    """In float32, y = Aᵀ((G W Gᵀ)(B x Bᵀ)) A rounds at most once for each term of each sum that a number passes through:
    r and n terms twice, C terms, n terms twice. So |error| ≤ (2r + 4n + C + 1) · 2⁻²⁴ times the same formula with every
    number's absolute value."""
    x, plain = spaced(*shape, dtype=np.float32), filled(layer, np.float32)
    plain.params["b"][:] = 0
    y = winograd(plain).forward(x)[0]
    grid = Grid(plain, x)
    A, B, G = (np.abs(matrix).astype(np.float64) for matrix in (grid.A, grid.B, grid.G))
    U = fold_kernels(np.abs(plain.params["W"]).astype(np.float64), plain.stride)
    U = np.einsum("ir,js,rsck->ijck", G, G, U)
    maps, bound = np.abs(grid.fold(x)).astype(np.float64), np.zeros((*y.shape[:1], *(t * grid.m for t in grid.tiles), y.shape[3]))
    n, m = len(B), grid.m
    for seen, own in grid.groups:
        for t in range(grid.tiles[0]):
            for u in range(grid.tiles[1]):
                V = np.einsum("ip,jq,npqc->nijc", B, B, maps[:, t * m:t * m + n, u * m:u * m + n, seen])
                M = np.einsum("nijc,ijck->nijk", V, U[..., own])
                bound[:, t * m:t * m + m, u * m:u * m + m, own] = np.einsum("ip,jq,nijk->npqk", A, A, M)
    bound = bound[:, :y.shape[1], :y.shape[2]] * (2 * grid.r + 4 * n + grid.channels + 1) * 2 ** -24
    error = np.abs(y - exact(plain, x, gradient_for(plain, x))["y"])
    assert (error <= bound).all() and error.max() > 0


@pytest.mark.parametrize("layer, shape", [
    (Conv2d(3, 48, 11, stride=4, padding=(0, 3), first=True), (1, 224, 224, 3)),
    (Conv2d(48, 128, 5, padding=2), (1, 27, 27, 48)), (Conv2d(256, 192, 3, padding=1), (2, 13, 13, 256))],
    ids=["conv1", "conv2", "conv3"])
def test_winograd_rounds_as_its_page_says(layer, shape):
    """Normal numbers in the full net's layers: float32 outputs and gradients within 3e-5 of the largest, in the
    direct form within 1e-6."""
    rng = np.random.default_rng(0)
    layer.params = {name: rng.standard_normal(p.shape).astype(np.float32) for name, p in layer.params.items()}
    x = rng.standard_normal(shape).astype(np.float32)
    dy = rng.standard_normal((len(x), *layer.output_shape(shape[1:]))).astype(np.float32)
    wanted = exact(layer, x, dy)
    rowwise = object.__new__(RowwiseConv2d)
    rowwise.__dict__ = layer.__dict__
    for form, bound in (winograd(layer), 3e-5), (rowwise, 1e-6):
        for name, array in results(form, x, dy).items():
            error = np.abs(array - wanted[name]).max() / np.abs(wanted[name]).max()
            assert 1e-8 < error < bound, (name, error)


@pytest.mark.parametrize("layer, shape", [(Conv2d(2, 4, 3, padding=1, groups=2), (2, 6, 4, 2)),
                                          (Conv2d(2, 2, 5, stride=2, padding=1), (2, 7, 9, 2))])
def test_winograds_gradients(layer, shape):
    check_layer(winograd(layer), spaced(*shape))


def test_the_full_nets_convolutions_run_by_winograd_and_direct_ones_if_told_to():
    for convolution, found in ("winograd", [WinogradConv2d] * 5), ("direct", [RowwiseConv2d] * 5):
        for towers in (1, 2):
            net = AlexNet(10, towers=towers, neurons=8, init=None, convolution=convolution)
            assert [type(tower[f"conv{i}"]) for tower in net.layers for i in range(1, 6)] == found * towers
        assert net.forms.piece == 1 << (21 if convolution == "winograd" else 18)
    small = SmallAlexNet(3, (24, 24, 1))                                            # too few channels to gain
    assert type(small.layers[0]["conv3"]) is RowwiseConv2d and small.forms.piece == 1 << 18
    with pytest.raises(ValueError, match="convolution must be one of winograd, direct, got 'fft'"):
        AlexNet(convolution="fft")


def test_winograd_and_direct_learn_the_same():
    """Losses of five steps and the weights after them, at the size of tiles and channels where Winograd runs."""
    rng = np.random.default_rng(0)
    images, labels = rng.standard_normal((5, 64, 64, 3)).astype(np.float32), rng.integers(0, 4, 5)
    losses, nets = [], [AlexNet(4, (64, 64, 3), neurons=64, init="he", convolution=convolution, threads=threads)
                        for convolution, threads in (("winograd", 2), ("direct", 2), ("winograd", 1))]
    for net in nets:
        sgd, own = SGD(net), []
        for step in range(5):
            loss, gradients = net.loss_and_gradients(images, labels, step)
            sgd.step(gradients, 1e-3)
            own.append(float(loss))
        losses.append(own)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    np.testing.assert_allclose(losses[0], losses[2], rtol=1e-4)
    assert losses[0] != losses[1] and losses[0][-1] != losses[0][0]
    for name, array in nets[1].weights().items():
        np.testing.assert_allclose(nets[0].weights()[name], array, rtol=0, atol=1e-4 * np.abs(array).max(), err_msg=name)


def test_a_single_image_is_convolved_directly(monkeypatch):
    """Transforming the kernels would take longer than it saves. Both ways agree, and so do their gradients."""
    net, count = AlexNet(4, (64, 64, 3), neurons=8, init="he", threads=2), []
    own = WinogradConv2d.kernel_points
    monkeypatch.setattr(WinogradConv2d, "kernel_points", lambda layer: count.append(1) or own(layer))
    images, labels = np.random.default_rng(0).standard_normal((1, 64, 64, 3)).astype(np.float32), np.array([2])
    loss, gradients = net.loss_and_gradients(images, labels)
    assert not count
    monkeypatch.setattr(cpu, "FEW", 1)
    other, by_winograd = net.loss_and_gradients(images, labels)
    assert len(count) == 10 and float(other) == pytest.approx(float(loss), rel=1e-4)
    for own, more in zip(gradients, by_winograd):
        for name, array in own.items():
            np.testing.assert_allclose(more[name], array, rtol=0, atol=1e-3 * np.abs(array).max(), err_msg=name)


def test_kernels_are_transformed_once_a_batch(monkeypatch):
    """In as many pieces as it may be, and anew after the weights have changed."""
    net, count = AlexNet(4, (64, 64, 3), neurons=8, init="he", micro_batch=1, threads=2), []
    own = WinogradConv2d.kernel_points
    monkeypatch.setattr(WinogradConv2d, "kernel_points", lambda layer: count.append(1) or own(layer))
    images = np.random.default_rng(0).standard_normal((3, 64, 64, 3)).astype(np.float32)
    first = net.predict(images)
    assert len(count) == 10                                                         # 5 convolutions, 2 towers
    for weights in net.parameters:
        weights["conv2.W"] *= 2
    assert np.abs(net.predict(images) - first).max() > 1e-3 and len(count) == 20
