"""The kernels of nn/fast/kernels.cu without a GPU: they compile for every GPU in use; and, compiled for the CPU
(tests/cuda_shim.py), the layers' forms for CUDA give what the plain forms give, number by number.

Here NumPy arrays stand in for CuPy's: the forms run as they are, with their wrappers and launches. Memory that a
kernel is to fill holds NaN before, and has guards on both sides. Threads run in order and in reverse.
"""

import math
import mmap
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cuda_shim
import numpy as np
import nvrtc
import pytest
from test_layers import CONVOLUTIONS, DROPOUTS, NORMS, OTHERS, POOLS, cases, gradient_for, results, spaced
from test_layers import filled as filled_plainly

import nn.fast.cuda
import nn.fast.kernels
from nn import (
    SGD,
    Conv2d,
    Dropout,
    Exchange,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    SoftmaxCrossEntropy,
    check_layer,
)
from nn.fast.cuda import CudaForms
from nn.layer import Layer
from nn.optim import Update
from nn.random import philox

ROOT = Path(__file__).parents[1]
SANITIZE = os.environ.get("CUDA_SHIM_SANITIZE") == "1"          # see test_no_kernel_leaves_its_arrays
GUARD = 1 << 14                                                 # bytes on both sides of an array: more than a block's

needs_compiler = pytest.mark.skipif(cuda_shim.compiler() is None, reason="no C++ compiler to run kernels on the CPU")

LARGER = {      # more than one block of threads, and no whole number of them
    "larger conv": (Conv2d(5, 7, 3, padding=1), (3, 9, 13, 5)),
    "larger conv, stride 2, 2 groups": (Conv2d(6, 10, 5, stride=2, padding=(2, 1), groups=2), (3, 11, 8, 6)),
    "larger conv, stride 4": (Conv2d(3, 5, 11, stride=4, padding=(0, 3)), (1, 24, 29, 3)),
    "conv of NumPy's whole numbers": (Conv2d(*map(np.int64, (3, 4, 3, 2, 1))), (3, 6, 9, 3)),
    "larger norm": (LocalResponseNorm(5, alpha=1.0), (3, 7, 5, 11)),
    "larger norm, 2 groups": (LocalResponseNorm(5, alpha=1.0, groups=2), (1, 9, 7, 14)),
    "larger relu": (ReLU(), (3, 9, 13, 5)),
    "larger linear": (Linear(29, 77), (5, 29)),
    "larger pool": (MaxPool2d(3, 2), (3, 13, 16, 5)),
    "larger pool, an incomplete window": (MaxPool2d(3, 2, ceil=True), (3, 8, 6, 5)),
    "larger pool, an incomplete window, all ties": (MaxPool2d(3, 2, ceil=True, ties="all"), (3, 8, 6, 5)),
    "larger pool of 4, stride 1": (MaxPool2d(4, 1), (1, 9, 12, 7))}
LARGER_DROPOUTS = {
    "larger dropout": (Dropout(), (5, 77), dict(key=(3, 4, "fc6"))),
    "larger dropout from image 3 of the batch on": (Dropout(), (5, 77), dict(key=(3, 4, "fc6"), start=3)),
    "larger dropout inverted, second of 3 towers": (Dropout(0.3, inverted=True), (7, 53), dict(key=(5,), part=(1, 3)))}


class WithReLU(Layer):
    """A layer and the ReLU after it: in one kernel, if made by CudaForms."""

    def __init__(self, *layers):
        self.layers = layers

    def __repr__(self):
        return f"{self.layers[0]} with ReLU"

    @property
    def params(self):
        return self.layers[0].params

    @params.setter
    def params(self, params):
        self.layers[0].params = params

    @property
    def first(self):
        return getattr(self.layers[0], "first", False)

    def output_shape(self, shape):
        return self.layers[0].output_shape(shape)

    def forward(self, x, train=True):
        y, cache = self.layers[0].forward(x, train)
        y, kept = self.layers[1].forward(y, train)
        return y, ((cache, kept) if train else None)

    def backward(self, dy, cache):
        return self.layers[0].backward(self.layers[1].backward(dy, cache[1])[0], cache[0])


FUSED = {f"{name}, relu": (WithReLU(layer, ReLU()), shape) for name, (layer, shape) in (CONVOLUTIONS | OTHERS | LARGER).items()
         if name in ("conv padded", "conv 2 groups, stride 3", "conv first", "linear", "larger linear",
                     "larger conv, stride 2, 2 groups")}
ARRAYS = {name: case for name, case in OTHERS.items() if name in ("tanh", "flatten")}        # these have no kernel
KERNELS = {name: case for name, case in OTHERS.items() if name not in ARRAYS}
LAYERS = cases({name: (*case, {})[:3] for name, case in
                (CONVOLUTIONS | NORMS | POOLS | KERNELS | LARGER | FUSED | DROPOUTS | LARGER_DROPOUTS).items()})


class Arrays:
    """Stands for the module cupy: NumPy, but kernels come from the shim, and new memory is NaN between guards."""

    def __init__(self, reverse=False):
        self.reverse, self.guarded, self.random = reverse, [], np.random.default_rng(0)

    def __getattr__(self, name):
        return getattr(np, name)

    def RawModule(self, code, options):
        assert code == nn.fast.kernels.SOURCE.read_text(encoding="utf-8")
        (option,) = options
        module = cuda_shim.load(nn.fast.kernels.SOURCE, option.removeprefix("-Dreal="), SANITIZE)
        module.compile, module.reverse = lambda: None, self.reverse
        return module

    def empty(self, shape, dtype):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if SANITIZE:                                            # its own guards are directly beside malloc's memory
            return np.full(size, 255, np.uint8).view(dtype).reshape(shape)
        guards = self.random.bytes(GUARD), self.random.bytes(GUARD)
        memory = np.frombuffer(bytearray(guards[0] + b"\xff" * size + guards[1]), np.uint8)
        self.guarded.append((memory, guards))
        return memory[GUARD:GUARD + size].view(dtype).reshape(shape)

    def check_guards(self):
        for memory, guards in self.guarded:
            assert (memory[:GUARD].tobytes(), memory[-GUARD:].tobytes()) == guards, "a kernel wrote outside its array"


@pytest.fixture(params=["forwards", "backwards"])
def on_shim(request, monkeypatch):
    """Forms for CUDA, given NumPy arrays, launch their kernels on the CPU."""
    if cuda_shim.compiler() is None:
        pytest.skip("no C++ compiler to run kernels on the CPU")
    arrays = Arrays(reverse=request.param == "backwards")
    monkeypatch.delenv("NN_FUSED", raising=False)
    monkeypatch.setattr(nn.fast.kernels, "array_module", lambda array: arrays)
    yield arrays
    arrays.check_guards()
    nn.fast.kernels.compiled.cache_clear()


def filled(layer, dtype=np.float64):
    """The layer's form for CUDA, with other parameters, of type `dtype`."""
    if isinstance(layer, WithReLU):
        forms = CudaForms().of_tower(dict(enumerate([filled_plainly(layer.layers[0], dtype), layer.layers[1]])))
        return WithReLU(*forms.values())
    return CudaForms().form(filled_plainly(layer, dtype))


def plain(function, *args, **kwargs):
    """The same call without kernels: the form falls back to its plain layer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NN_FUSED", "0")
        return function(*args, **kwargs)


def kernels(real=np.float64):
    return nn.fast.kernels.fused(np.zeros(1, real))


# The forms for CUDA against their plain forms -----------------------------------------------------------------------

@pytest.mark.parametrize("layer, shape, draw", LAYERS)
def test_the_layer_is_its_plain_form(layer, shape, draw, on_shim):
    """Output and every gradient. In float32 a sum of some hundred terms may be off by some hundred times 6e-8."""
    for dtype, tolerance in (np.float64, 1e-13), (np.float32, 1e-5):
        x, layer = spaced(*shape, dtype=dtype), filled(layer, dtype)
        dy = gradient_for(layer, x)
        found, wanted = results(layer, x, dy, **draw), plain(results, layer, x, dy, **draw)
        assert found.keys() == wanted.keys()
        for name in wanted:
            assert found[name].dtype == dtype
            exact = isinstance(layer, (MaxPool2d, Dropout))
            np.testing.assert_allclose(found[name], wanted[name], rtol=0, err_msg=f"{name}, {dtype.__name__}",
                                       atol=0 if exact else tolerance * np.abs(wanted[name]).max())


@pytest.mark.parametrize("layer, shape, draw", [case for case in LAYERS if np.prod(case.values[1]) <= 250])
def test_gradients(layer, shape, draw, on_shim):
    """Every entry of every gradient of the smaller layers, against finite differences."""
    check_layer(filled(layer), spaced(*shape), **draw)


@pytest.mark.parametrize("layer, shape", cases(CONVOLUTIONS | NORMS | POOLS | KERNELS | LARGER | FUSED))
def test_without_training_the_same_output_and_no_cache(layer, shape, on_shim):
    layer, x = filled(layer), spaced(*shape)
    y, cache = layer.forward(x, train=False)
    assert cache is None
    np.testing.assert_array_equal(y, layer.forward(x, train=True)[0])


@pytest.mark.parametrize("layer, shape, draw", LAYERS)
def test_views_are_as_good_as_arrays(layer, shape, draw, on_shim):
    """An exchange passes parts of maps on: their channels are not contiguous."""
    def apart(a):
        return np.repeat(a, 2, axis=-1)[..., ::2]

    layer, x = filled(layer), spaced(*shape)
    dy = gradient_for(layer, x)
    wanted, found = results(layer, x, dy, **draw), results(layer, apart(x), apart(dy), **draw)
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-13, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("layer, shape", cases(CONVOLUTIONS))
@pytest.mark.parametrize("images", [1, 2])
def test_convolution_in_chunks_of_images(layer, shape, images, on_shim, monkeypatch):
    """As many images at a time as their columns have room: one, or two and then the last."""
    layer, x = filled(layer), spaced(*shape)
    dy = gradient_for(layer, x)
    wanted = plain(results, layer, x, dy)
    P, Q, _ = layer.output_shape(shape[1:])
    monkeypatch.setattr(nn.fast.cuda, "COLUMNS", images * P * Q * layer.params["W"][..., 0].size * 8)
    found = results(layer, x, dy)
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-12, atol=1e-12, err_msg=name)


# Each kernel's own facts ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size, stride", [(3, 2), (2, 2), (3, 1), (2, 3)])
def test_pool_of_equal_values_and_of_none(size, stride, dtype, on_shim):
    """Winners to the bit: few different values, so ties everywhere; and NaN and infinities among them."""
    layer, rng = CudaForms().form(MaxPool2d(size, stride)), np.random.default_rng(0)
    x = rng.integers(0, 3, (3, 9, 12, 5)).astype(dtype)
    for odd in (np.nan, np.inf, -np.inf):
        y, cache = layer.forward(x)
        wanted, expected = plain(layer.forward, x)
        np.testing.assert_array_equal(y, wanted)
        np.testing.assert_array_equal(cache[0], expected[0])                        # the winners
        dy = gradient_for(layer, x)
        np.testing.assert_array_equal(layer.backward(dy, cache)[0], plain(layer.backward, dy, expected)[0])
        x[rng.random(x.shape) < 0.05] = odd


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size, stride", [(3, 2), (2, 2), (3, 1), (2, 3)])
def test_pool_where_all_equal_values_win(size, stride, dtype, on_shim):
    layer, rng = CudaForms().form(MaxPool2d(size, stride, ceil=True, ties="all")), np.random.default_rng(0)
    x = rng.integers(0, 3, (3, 8, 11, 5)).astype(dtype)
    for odd in (np.nan, -np.inf):
        (y, cache), (wanted, expected) = layer.forward(x), plain(layer.forward, x)
        np.testing.assert_array_equal(y, wanted)
        dy = gradient_for(layer, x)
        np.testing.assert_array_equal(layer.backward(dy, cache)[0], plain(layer.backward, dy, expected)[0])
        x[rng.random(x.shape) < 0.05] = odd


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_relu_of_what_is_no_number(dtype, on_shim):
    """To the bit, alone and in another layer's kernel: NaN and infinities go through as in np.maximum and in a product."""
    odd = np.array([[np.nan, np.inf, -np.inf, -0.0, 0.0, 1.0, -1.0]], dtype)
    forms = CudaForms().of_tower({"fc": filled_plainly(Linear(7, 7), dtype), "relu": ReLU()})
    forms["fc"].params = {"W": np.eye(7, dtype=dtype), "b": np.zeros(7, dtype)}
    with np.errstate(invalid="ignore"):
        for y in odd, odd[:, ::-1]:
            np.testing.assert_array_equal(kernels(dtype).relu_backward(odd, y), odd * (y > 0))
        kernels(dtype).bias(found := odd.copy(), np.zeros(7, dtype), True)
    np.testing.assert_array_equal(found, np.maximum(odd, 0))


def test_a_relu_elsewhere_is_a_layer_of_its_own(on_shim):
    """After pooling (first_stages), or after another net's layer: only directly after a product it is part of that kernel."""
    forms = CudaForms().of_tower({"conv": Conv2d(2, 3, 3), "pool": MaxPool2d(), "relu": ReLU(), "fc": Linear(3, 4), "relu2": ReLU()})
    assert [type(form).__name__ for form in forms.values()] == ["CudaConv2d", "CudaMaxPool2d", "CudaReLU", "CudaLinearReLU", "DoneReLU"]


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-14), (np.float32, 1e-6)])
@pytest.mark.parametrize("shape", [(1, 2), (3, 10), (5, 77)])
def test_the_loss_is_its_plain_form(shape, dtype, tolerance, on_shim):
    """Small logits, and such whose exponentials overflow or vanish."""
    rng, loss = np.random.default_rng(0), CudaForms().form(SoftmaxCrossEntropy())
    for scale in 1, 300:
        logits, labels = (scale * rng.standard_normal(shape)).astype(dtype), rng.integers(0, shape[1], shape[0])
        for kind in np.int64, np.uint8:
            (found, cache), (wanted, expected) = (f(loss.forward, logits, labels.astype(kind)) for f in (
                lambda f, *args: f(*args), plain))
            assert found.dtype == dtype and np.ndim(found) == 0
            np.testing.assert_allclose(found, wanted, rtol=tolerance)
            np.testing.assert_allclose(loss.backward(cache), loss.backward(expected), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("label", [-1, 4])
def test_a_label_that_is_no_class_is_not_another_images(label, on_shim):
    logits = spaced(3, 4)
    e, labels = np.exp(logits - logits.max(1)[:, None]), np.array([1, label, 0])
    losses, _ = kernels().cross_entropy(logits, logits.max(1), e, e.sum(1), labels)
    np.testing.assert_array_equal(np.isnan(losses), [False, True, False])


@pytest.mark.parametrize("shape", [(3, 5), (2, 4, 3, 7)])
@pytest.mark.parametrize("receivers", [[0, 1], [0]])
def test_the_exchange_joins_the_towers(shape, receivers, on_shim):
    exchange, devices = CudaForms().form(Exchange(2)), [nn.Device("cpu"), nn.Device("cpu")]
    xs = {t: spaced(*shape[:-1], shape[-1] + t, seed=t) for t in (0, 1)}
    found, wanted = exchange.forward(xs, devices, receivers), plain(exchange.forward, xs, devices, receivers)
    assert found.keys() == wanted.keys() == set(receivers)
    for t in receivers:
        np.testing.assert_array_equal(found[t], wanted[t])


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(1, 1), (1, 8), (3, 7), (5, 101)])
@pytest.mark.parametrize("part", [(0, 1), (0, 2), (1, 2), (2, 3)])
def test_dropout_draws_numpys_bits(shape, rate, part, on_shim):
    """Philox4x64-10 from the key and a number's index alone: every neuron, every tower."""
    layer, x = CudaForms().form(Dropout(rate)), spaced(*shape)
    for key in (0, 0, "fc6"), (7, 123456789, "fc7"):
        _, mask = layer.forward(x, key=key, part=part)
        _, wanted = plain(layer.forward, x, key=key, part=part)
        assert mask.dtype == wanted.dtype == bool
        np.testing.assert_array_equal(mask, wanted)


def test_dropout_draws_numpys_bits_far_into_the_sequence(on_shim):
    """The third row of a layer as wide as an int can say, numbers beyond 2^32: as from a generator set forward."""
    bits, x, features = philox("far", 1), np.ones((3, 40)), 2**31 - 1
    _, mask = kernels().dropout(x, bits.state["state"]["key"], features - 40, features, 2**31, 1.0)
    start = 3 * features - 40
    bits.advance(start // 8)                                    # eight numbers of 32 bits from each count
    drawn = bits.random_raw(24).view("<u4")[start % 8:][:40]
    np.testing.assert_array_equal(mask[2], drawn >= 2**31)


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-14), (np.float32, 1e-6)])
@pytest.mark.parametrize("inside", [True, False])
def test_the_update_is_section_5s(inside, dtype, tolerance, on_shim):
    """Through SGD, some steps, with a decay for weights and none for biases, against the plain form."""
    def run():
        rng = np.random.default_rng(0)
        params = {"fc1.W": rng.standard_normal((7, 43)).astype(dtype), "fc1.b": rng.standard_normal(43).astype(dtype)}
        network = SimpleNamespace(parameters=[params], devices=[nn.Device("cpu")],
                                  update=lambda t, updates: CudaForms().update(updates))
        sgd = SGD(network, weight_decay=0.05, bias_rate=2.0, rate_inside=inside)
        for lr in (0.1, 0.1, 0.01):
            sgd.step([{name: rng.standard_normal(p.shape).astype(dtype) for name, p in params.items()}], lr)
        return params | {f"v of {name}": v for name, v in sgd.velocity[0].items()}

    found, wanted = run(), plain(run)
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], rtol=tolerance, atol=tolerance, err_msg=name)


def test_one_launch_updates_many_arrays(on_shim, monkeypatch):
    """More than one launch takes, empty ones and such of a block and one number among them; each with its own ε and decay."""
    launches, run = [], nn.fast.kernels.Kernels.run
    monkeypatch.setattr(nn.fast.kernels.Kernels, "run", lambda self, *args: launches.append(args[1]) or run(self, *args))
    rng = np.random.default_rng(0)
    sizes = [1, 0, 4096, 4097, 300] * 7
    updates = [Update(*rng.standard_normal((3, size)), 0.1 + t, 0.9, 0.01 * t, True) for t, size in enumerate(sizes)]
    copies = [one._replace(w=one.w.copy(), v=one.v.copy()) for one in updates]
    CudaForms().update(updates)
    plain(CudaForms().update, copies)
    for found, wanted in zip(updates, copies):
        np.testing.assert_allclose(found.w, wanted.w, rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(found.v, wanted.v, rtol=1e-13, atol=1e-13)
    assert launches == [31, 4]                                      # blocks
    CudaForms().update([])


@pytest.mark.parametrize("name", ["im2col", "col2im", "bias", "relu_backward", "join", "exponentials", "lrn_backward",
                                  "max_pool_backward", "max_pool_backward_all", "dropout", "sgd"])
def test_more_threads_than_numbers_change_nothing(name, on_shim):
    """The last block of a launch is never full: here all but one of its threads have nothing to do."""
    count = nn.fast.kernels.BLOCK + 1
    cuda = kernels()
    a = {letter: on_shim.empty(count, np.float64) for letter in "wvgxyd"}
    for array in a.values():
        array[:] = 1
    mask = on_shim.empty(count, np.bool_)
    winner = np.zeros(count, np.uint8)
    shape = 1, 1, count, 0, count, 1, 1, 1, 1, 1, 0
    {"im2col": lambda: cuda.launch(name, count, (a["x"],), (a["y"],), *shape, count),
     "col2im": lambda: cuda.launch(name, count, (a["x"],), (a["y"],), *shape),
     "bias": lambda: cuda.launch(name, count, (a["x"],), (a["y"],), count, 1),
     "relu_backward": lambda: cuda.launch(name, count, (a["x"], a["v"]), (a["y"],)),
     "join": lambda: cuda.launch(name, count, (a["x"], a["v"]), (a["y"],), count - 1, 1),
     "exponentials": lambda: cuda.launch(name, count, (a["x"], a["v"]), (a["y"],), count),
     "max_pool_backward_all": lambda: cuda.launch(name, count, (a["y"], a["v"], a["d"]), (a["x"],), 1, 1, count, 1, 1, 1, 1),
     "lrn_backward": lambda: cuda.launch(name, count, (a["y"], a["x"], a["d"]), (a["g"],), count, 2, 1.0, 0.75),
     "max_pool_backward": lambda: cuda.launch(name, count, (a["y"], winner), (a["x"],), 1, 1, count, 1, 1, 1, 1),
     "dropout": lambda: cuda.launch(name, count, (a["x"],), (a["y"], mask), count, np.uint64(0), count, np.uint64(1), np.uint64(2),
                                    np.uint32(9), 1.0),
     "sgd": lambda: cuda.sgd([Update(a["w"], a["v"], a["g"], 0.1, 0.9, 0.0, True)])}[name]()
    on_shim.check_guards()


# When a batch has more numbers than an int can count -----------------------------------------------------------------

def huge(shape, dtype=np.float32):
    """Zeros that take no memory until they are touched."""
    count = math.prod(shape)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000      # MAP_NORESERVE, which mmap names from Python 3.13 on
    return np.frombuffer(mmap.mmap(-1, count * np.dtype(dtype).itemsize, flags), dtype).reshape(shape)


@needs_compiler
@pytest.mark.skipif(SANITIZE, reason="the sanitizer keeps notes of all memory, touched or not")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is sure to lend memory that is never touched")
def test_numbers_beyond_2_to_the_32():
    """The last block of a launch of more than 2^32 numbers, whose maps hold something at their very end alone."""
    module, x = cuda_shim.load(nn.fast.kernels.SOURCE), huge((5, 1021, 1024, 1024))
    N, H, W, C = x.shape
    ends = x[-1, -2:, -2:]                                      # (2, 2, C): the last window of 2×2
    ends[...] = np.random.default_rng(0).standard_normal(ends.shape)

    def last_block(name, count, arrays, *numbers):
        blocks = -(-count // 256)
        assert count > 2**32
        module.first_block = blocks - 1
        try:
            module.get_function(name)((blocks,), (256,), (*arrays, np.int64(count), *numbers))
        finally:
            module.first_block = 0
        return count - 256 * (blocks - 1)                       # so many numbers it has written

    ints = lambda *numbers: map(np.int32, numbers)              # noqa: E731
    y, d = huge(x.shape), np.zeros(1, np.float32)
    one = last_block("lrn_forward", x.size, (x, y, d), *ints(C, 2), *map(np.float32, (1, 0.75, 2)), np.int32(0))
    norm, _ = LocalResponseNorm(5, alpha=1.0).forward(x[-1:, -1:, -1:])
    np.testing.assert_allclose(y.reshape(-1)[-one:], norm[0, 0, 0, -one:], rtol=1e-5)

    winner = huge((N, H - 1, W - 1, C), np.uint8)
    y = huge(winner.shape)
    one = last_block("max_pool_forward", y.size, (x, y, winner), *ints(H, W, C, H - 1, W - 1, 2, 1, 1))
    pooled, (first, *_) = MaxPool2d(2, 1).forward(x[-1:, -2:, -2:])
    np.testing.assert_array_equal(y.reshape(-1)[-one:], pooled[0, 0, 0, -one:])
    np.testing.assert_array_equal(winner.reshape(-1)[-one:], first[0, 0, 0, -one:])

    dx = huge(x.shape)
    one = last_block("max_pool_backward", x.size, (y, winner, dx), *ints(H, W, C, H - 1, W - 1, 2, 1))
    np.testing.assert_array_equal(dx.reshape(-1)[-one:], (pooled * (first == 3))[0, 0, 0, -one:])

    columns = huge(x.shape)                                     # of a 1×1 kernel
    one = last_block("im2col", x.size, (x, columns), *ints(H, W, C, 0, C, H, W, 1, 1, 1, 0, C))
    np.testing.assert_array_equal(columns.reshape(-1)[-one:], ends[-1, -1, -one:])
    one = last_block("col2im", x.size, (columns, y := huge(x.shape)), *ints(H, W, C, 0, C, H, W, 1, 1, 1, 0))
    np.testing.assert_array_equal(y.reshape(-1)[-one:], ends[-1, -1, -one:])
    one = last_block("join", x.size, (x, x, y), *ints(C, 0))
    np.testing.assert_array_equal(y.reshape(-1)[-one:], ends[-1, -1, -one:])


# What is refused, and what happens without the kernels ---------------------------------------------------------------

def test_arrays_with_gaps_are_refused(on_shim):
    w = np.zeros((4, 6))
    with pytest.raises(ValueError, match=r"kernel sgd needs C-contiguous arrays, got strides \(48, 16\)"):
        kernels().sgd([Update(w[:, ::2], w[:, ::2], w[:, ::2], 0.1, 0.9, 0.0, True)])
    with pytest.raises(ValueError, match=r"kernel bias needs C-contiguous arrays, got strides \(48, 16\)"):
        kernels().bias(w[:, ::2], w[0, ::2], True)


def test_arguments_of_other_types_are_refused(on_shim):
    """The shim knows what a kernel takes; CUDA would read nonsense."""
    w = np.zeros(3)
    with pytest.raises(TypeError, match=r"kernel relu_backward expects arguments of types \*d\*d\*dq, got \*d\*d\*fqi"):
        kernels().launch("relu_backward", 3, (w, w), (w.astype(np.float32),), 1)
    cuda = kernels()
    cuda.updates = np.dtype([("w", np.uint64)])
    with pytest.raises(TypeError, match=r"kernel sgd expects arguments of types V\d+dii, got V8dii"):
        cuda.run("sgd", 1, (np.zeros((), cuda.updates)[()], np.float64(0.9), np.int32(1), np.int32(1)))


def test_numpy_arrays_have_no_kernels():
    assert nn.fast.kernels.fused(np.zeros(3)) is None


def test_kernels_are_compiled_once_for_each_type(on_shim):
    assert kernels() is kernels() and kernels(np.float32) is not kernels()


def test_kernels_can_be_switched_off(on_shim, monkeypatch):
    monkeypatch.setenv("NN_FUSED", "0")
    assert kernels() is None


def test_without_a_compiler_the_plain_form_works_and_says_so_once(on_shim, recwarn):
    def fails(**_):
        raise RuntimeError("CuPy failed to load libnvrtc.so.12\nand more")

    on_shim.RawModule = fails
    layer, x = CudaForms().form(LocalResponseNorm()), spaced(3, 4, 2, 7)
    wanted = plain(results, layer, x, x)
    for _ in range(3):
        np.testing.assert_equal(results(layer, x, x), wanted)
    (warning,) = recwarn
    assert str(warning.message) == (
        "nn/fast/kernels.cu cannot be compiled (CuPy failed to load libnvrtc.so.12): using plain array operations instead, "
        "which are slower; check that CuPy and the CUDA toolkit fit each other")


# The sanitizer -------------------------------------------------------------------------------------------------------

def sanitizer():
    """The path of libasan, or None."""
    if cuda_shim.compiler() is None or not shutil.which("g++") or "clang" in cuda_shim.compiler():
        return None
    path = subprocess.run([cuda_shim.compiler(), "-print-file-name=libasan.so"], capture_output=True, text=True)
    return path.stdout.strip() if os.path.isabs(path.stdout.strip()) else None


def sanitized(*command):
    environment = {"LD_PRELOAD": sanitizer(), "ASAN_OPTIONS": "detect_leaks=0", "CUDA_SHIM_SANITIZE": "1",
                   "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]), "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *command], env=os.environ | environment, cwd=ROOT, text=True,
                          capture_output=True)


needs_sanitizer = pytest.mark.skipif(SANITIZE or not sanitizer(), reason="no g++ with libasan")


@needs_sanitizer
def test_no_kernel_leaves_its_arrays():
    """All the tests above once more, under AddressSanitizer and UndefinedBehaviorSanitizer."""
    result = sanitized("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", __file__, "-k", "forwards")
    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed" in result.stdout


@needs_sanitizer
@pytest.mark.parametrize("array", ["x", "y"])
def test_the_sanitizer_sees_an_access_one_beyond(array):
    """Written (x) and read (y): a launch that believes in one number more than there is."""
    result = sanitized("-c", "import numpy as np, cuda_shim\n"
                       "x, y, dy = (np.zeros(301, np.float32) for _ in range(3))\n"
                       f"{array} = {array}[:-1].copy()\n"
                       "module = cuda_shim.load('nn/fast/kernels.cu', sanitize=True)\n"
                       "module.get_function('relu_backward')((2,), (256,), (dy, y, x, np.int64(301)))")
    assert result.returncode and "heap-buffer-overflow" in result.stderr, result.stderr


# The compiler of a GPU -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("arch, real", [(arch, "float") for arch in nvrtc.ARCHITECTURES] + [(75, "double"), (100, "double")])
@pytest.mark.parametrize("version", nvrtc.VERSIONS)
def test_compiles_for(version, arch, real):
    """Turing to Blackwell: no spills, no stack, and few enough registers for full occupancy of at least half an SM (64 of
    65,536 registers / 1024 threads)."""
    try:
        used = nvrtc.compile_for(nn.fast.kernels.SOURCE, arch, real, version)
    except LookupError as reason:
        pytest.skip(str(reason))
    assert set(used) == set(re.findall(r'extern "C" __global__ void (\w+)', nn.fast.kernels.SOURCE.read_text(encoding="utf-8")))
    for name, (registers, stack, spilled) in used.items():
        assert spilled == stack == 0 and registers <= 64, f"{name}: {registers} registers, {stack}, {spilled}"
