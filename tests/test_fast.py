"""Fast forms on the CPU give what the plain layers give, one by one and in a whole net. (The forms for CUDA: the same test
in test_kernels.py, with kernels compiled for the CPU.)"""

import numpy as np
import pytest
from test_layers import CONVOLUTIONS, DROPOUTS, NORMS, OTHERS, POOLS, cases, filled, gradient_for, results, spaced

from alexnet import AlexNet, Figure1Net, SmallAlexNet
from nn import SGD, Conv2d, Linear, check_layer
from nn.fast import CpuForms, CudaForms, PlainForms, choose
from nn.fast.cpu import RowwiseConv2d
from nn.run.device import Device
from nn.run.workers import Workers

LARGER = {      # products that are shared out to threads, and a map of several rows
    "larger linear": (Linear(600, 301), (97, 600)),
    "larger conv, stride 4, padding after": (Conv2d(3, 5, 11, stride=4, padding=(0, 3)), (2, 24, 29, 3)),
    "larger conv, 3 groups": (Conv2d(6, 9, 3, padding=(2, 1), groups=3), (3, 9, 13, 6))}
LAYERS = cases({name: (*case, {})[:3] for name, case in (CONVOLUTIONS | NORMS | POOLS | DROPOUTS | OTHERS | LARGER).items()})


@pytest.fixture(scope="module")
def forms():
    return CpuForms(Workers(2))


@pytest.mark.parametrize("layer, shape, draw", LAYERS)
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-13), (np.float32, 1e-5)])
def test_the_form_is_its_plain_layer(layer, shape, draw, dtype, tolerance, forms):
    """Output and every gradient; a first layer's missing gradient, too. What differs is the order of sums."""
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


@pytest.mark.parametrize("layer, shape", [(Conv2d(2, 4, 3, stride=2, padding=1, groups=2), (2, 5, 4, 2)),
                                          (Linear(4, 3), (2, 4))])
def test_gradients(layer, shape, forms):
    check_layer(forms.form(layer), spaced(*shape))


def test_a_form_shares_its_layers_parameters(forms):
    """Also after they are replaced, as a network does when it puts them on its device."""
    plain = Linear(3, 2)
    fast = forms.form(plain)
    plain.params["W"] = np.ones((3, 2))
    assert fast.params is plain.params and (fast.forward(np.ones((1, 3)))[0] == 3).all()
    plain.params = {"W": np.zeros((3, 2)), "b": np.ones(2)}
    assert fast.params is plain.params and type(fast) is not type(plain) is Linear
    assert vars(plain).keys() == vars(Linear(3, 2)).keys()              # and the form leaves nothing behind in it


def test_one_place_chooses():
    cpu, gpu = Device(), Device()
    gpu.number = 0
    assert type(choose([cpu, cpu], None)) is CpuForms and type(choose([gpu], None)) is CudaForms
    assert type(choose([cpu], None, plain=True)) is type(choose([gpu], None, plain=True)) is PlainForms
    net = SmallAlexNet(3, (24, 24, 1))
    assert [type(tower["conv2"]) for tower in net.layers] == [RowwiseConv2d] * 2
    net = SmallAlexNet(3, (24, 24, 1), plain=True)
    assert net.layers == net.towers


@pytest.mark.parametrize("make, options", [(SmallAlexNet, {}), (SmallAlexNet, dict(towers=1)), (Figure1Net, {}),
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
            sgd.step(gradients, 1e-4)           # at 1e-3 Figure1Net's loss rises to 10, and rounding to 1e-5
            own.append(float(loss))
        losses.append(own)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    assert losses[0][-1] != losses[0][0]
    fast, plain = (net.weights() for net in nets)
    for name in fast:
        np.testing.assert_allclose(fast[name], plain[name], rtol=0, atol=1e-5 * np.abs(plain[name]).max(), err_msg=name)


def test_the_textbook_runs_in_the_calling_thread(monkeypatch):
    """So that a debugger can step through it."""
    net = SmallAlexNet(4, (31, 27, 3), plain=True, threads=2)
    monkeypatch.setattr(net.workers, "map", None)
    monkeypatch.setattr(net.workers, "product", None)
    _, gradients = net.loss_and_gradients(np.ones((9, 31, 27, 3), np.float32), np.zeros(9, int))
    SGD(net).step(gradients, 0.001)
