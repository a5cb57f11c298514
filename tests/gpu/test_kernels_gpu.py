"""Every layer on CuPy arrays, by its kernels and in its plain form, against the layer on NumPy arrays."""

import contextlib
import copy

import numpy as np
import pytest
from test_kernels import ARRAYS, WithReLU, plain
from test_kernels import LAYERS as KERNEL_LAYERS
from test_layers import cases, filled, gradient_for, results, spaced

import nn.fast.cuda
from nn import SGD, Conv2d, Device, Dropout, Linear, MaxPool2d, Network
from nn.fast.cuda import CudaForms
from nn.fast.kernels import Kernels, fused

pytestmark = pytest.mark.cuda

LAYERS = KERNEL_LAYERS + cases({name: (*case, {}) for name, case in ARRAYS.items()})
# What differs is the order of sums, and on hardware fused multiply-additions: sums of some hundred terms, whose
# rounding is 1.1e-16 and 6e-8 of the largest.
TOLERANCES = [(np.float64, 1e-13), (np.float32, 1e-5)]


@pytest.fixture
def launched(monkeypatch):
    """The names of the kernels launched so far."""
    names, launch = [], Kernels.run

    def noted(self, name, *arguments):
        names.append(name)
        launch(self, name, *arguments)

    monkeypatch.delenv("NN_FUSED", raising=False)
    monkeypatch.setattr(Kernels, "run", noted)
    return names


def on(device, layer, *arrays):
    """The layer's form for CUDA with its parameters on the device, and the arrays there."""
    layers = [copy.copy(one) for one in (layer.layers if isinstance(layer, WithReLU) else [layer])]
    for one in layers:
        one.params = {name: device.put(p) for name, p in one.params.items()}
    forms = list(CudaForms().of_tower(dict(enumerate(layers))).values())
    return WithReLU(*forms) if isinstance(layer, WithReLU) else forms[0], *map(device.put, arrays)


def compare(layer, shape, draw, run=results, device="cuda:0"):
    device = Device(device)
    for dtype, tolerance in TOLERANCES:
        x, one = spaced(*shape, dtype=dtype), filled(layer, dtype)
        dy = gradient_for(one, x)
        wanted = results(one, x, dy, **draw)
        with device:
            found = run(*on(device, one, x, dy), **draw)
            assert found.keys() == wanted.keys()
            for name in wanted:
                assert (found[name].dtype, found[name].device.id) == (dtype, device.number)
                exact = isinstance(layer, (MaxPool2d, Dropout))
                np.testing.assert_allclose(device.get(found[name]), wanted[name], rtol=0, err_msg=f"{name}, {dtype}",
                                           atol=0 if exact else tolerance * np.abs(wanted[name]).max())


@pytest.mark.parametrize("layer, shape, draw", LAYERS)
def test_by_kernels(layer, shape, draw, launched, request):
    compare(layer, shape, draw)
    assert bool(launched) == (request.node.callspec.id not in ARRAYS)


@pytest.mark.parametrize("layer, shape, draw", LAYERS)
def test_in_plain_form(layer, shape, draw, launched):
    compare(layer, shape, draw, run=lambda *args, **kwargs: plain(results, *args, **kwargs))
    assert not launched


@pytest.mark.multigpu
@pytest.mark.parametrize("layer, shape, draw", LAYERS[::5])
def test_on_the_second_device(layer, shape, draw):
    compare(layer, shape, draw, device="cuda:1")


@contextlib.contextmanager
def exact_memory(emucuda):
    emucuda.exact_memory()
    try:
        yield
    finally:
        emucuda.exact_memory(False)


@pytest.mark.parametrize("layer, shape, draw", KERNEL_LAYERS)
def test_no_kernel_leaves_its_arrays(layer, shape, draw, emucuda):
    """Each array has its own allocation, followed by pages that fault, and is filled with NaN."""
    with exact_memory(emucuda):
        compare(layer, shape, draw)


@pytest.mark.parametrize("layer, shape, draw", KERNEL_LAYERS)
def test_the_same_bits_each_time(layer, shape, draw):
    """No atomic addition: forward and backward twice."""
    device = Device("cuda:0")
    x, layer = spaced(*shape, dtype=np.float32), filled(layer, np.float32)
    with device:
        layer, x, dy = on(device, layer, x, gradient_for(layer, x))
        first, second = (results(layer, x, dy, **draw) for _ in range(2))
        for name in first:
            np.testing.assert_array_equal(device.get(first[name]), device.get(second[name]))


@pytest.mark.parametrize("images", [1, 2])
def test_convolution_in_chunks_of_images(images, monkeypatch):
    layer, shape = Conv2d(4, 6, 3, padding=1, stride=2, groups=2), (3, 5, 7, 4)
    monkeypatch.setattr(nn.fast.cuda, "COLUMNS", images * 3 * 4 * 9 * 2 * 4)
    compare(layer, shape, {})


@pytest.mark.parametrize("size, stride", [(3, 2), (2, 2), (3, 1)])
def test_pool_of_equal_values_and_of_none(size, stride):
    """Winners to the bit, by the kernel and in plain form: ties everywhere, and NaN and infinities among them."""
    layer, rng, device = CudaForms().form(MaxPool2d(size, stride)), np.random.default_rng(0), Device("cuda:0")
    x = rng.integers(0, 3, (3, 9, 12, 5)).astype(np.float32)
    for odd in (np.nan, np.inf, -np.inf):
        y, (winner, *_) = layer.forward(x)
        with device:
            on_device = device.put(x)
            for found, (place, *_) in layer.forward(on_device), plain(layer.forward, on_device):
                np.testing.assert_array_equal(device.get(found), y)
                np.testing.assert_array_equal(device.get(place), winner)
        x[rng.random(x.shape) < 0.05] = odd


@pytest.mark.parametrize("form", [lambda f: f(), plain], ids=["kernels", "plain"])
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-14), (np.float32, 1e-6)])
def test_the_update_is_section_5s(form, dtype, tolerance, launched):
    """SGD on a net of two layers, weights that decay and biases that do not: as on the CPU, to a last place or two."""
    def run(device):
        rng = np.random.default_rng(0)
        network = Network([{"fc1": Linear(7, 43), "fc2": Linear(43, 5)}], (7,), devices=[Device(device)])
        for layer in network.towers[0].values():
            with network.devices[0]:
                layer.params = {name: network.devices[0].put(rng.standard_normal(p.shape).astype(dtype))
                                for name, p in layer.params.items()}
        sgd = SGD(network, weight_decay=0.05, bias_rate=2.0)
        for lr in (0.1, 0.1, 0.01):
            with network.devices[0]:
                sgd.step([{name: network.devices[0].put(rng.standard_normal(p.shape).astype(dtype))
                           for name, p in network.parameters[0].items()}], lr)
        return network.weights() | {f"v of {name}": v for name, v in network.join(sgd.velocity).items()}

    wanted, found = run("cpu"), form(lambda: run("cuda:0"))
    assert launched == ([] if form is plain else ["sgd"] * 3)
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], rtol=tolerance, atol=tolerance, err_msg=name)


def test_there_are_kernels(launched):
    """A CuPy that cannot compile them falls back without failing: here that must not go unnoticed."""
    device = Device("cuda:0")
    with device:
        for dtype in np.float32, np.float64:
            assert fused(device.put(np.zeros(3, dtype))) is not None
