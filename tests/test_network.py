"""The net: two towers are one grouped tower; its numbers are the paper's; pieces and threads change nothing."""

import subprocess
import sys

import numpy as np
import pytest

from alexnet import AlexNet, Figure1Net, SmallAlexNet, summary
from data import DATASETS
from nn import SGD, Conv2d, Device, Dropout, LocalResponseNorm

IMAGE = (31, 27, 3)     # odd, and higher than wide
TINY = dict(kernels=(8, 12, 16, 8, 12), neurons=20, lrn_alpha=0.3)


def double(network, seed=0):
    """The network in float64, with random weights and biases of a size that keeps the signal alive."""
    rng = np.random.default_rng(seed)
    for tower in network.towers:
        for layer in tower.values():
            layer.params = {name: p.astype(np.float64) for name, p in layer.params.items()}
    network.load_weights({name: rng.standard_normal(w.shape) * (0.1 if name.endswith("b") else 1.5 / np.sqrt(
        np.prod(w.shape[:-1]))) for name, w in network.weights().items()})
    return network


def batch(N, image=IMAGE, classes=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((N, *image)), rng.integers(0, classes, N)


def assert_same_gradients(a, b, images, labels, tolerance=1e-12, step=3):
    (loss_a, grads_a), (loss_b, grads_b) = (net.loss_and_gradients(images, labels, step) for net in (a, b))
    assert loss_a == pytest.approx(loss_b, rel=tolerance)
    grads_a, grads_b = a.join(grads_a), b.join(grads_b)
    assert grads_a.keys() == grads_b.keys() == a.weights().keys()
    for name in grads_a:
        largest = np.abs(grads_a[name]).max()
        assert largest > 0, name
        np.testing.assert_allclose(grads_a[name], grads_b[name], atol=tolerance * largest, err_msg=name)


@pytest.mark.parametrize("image, options", [((24, 24, 1), {}), (IMAGE, {}), (IMAGE, dict(without="conv3")),
                                            (IMAGE, dict(activation="tanh", pool=2, inverted_dropout=True))])
def test_two_towers_are_one_grouped_tower(image, options):
    """§ 3.2: in outputs and in every gradient, dropout included."""
    two, one = (double(SmallAlexNet(5, image, towers=towers, **TINY | options)) for towers in (2, 1))
    images, labels = batch(3, image)
    np.testing.assert_allclose(two.predict(images), one.predict(images), rtol=1e-12)
    np.testing.assert_allclose(two.features(images), one.features(images), rtol=1e-12, atol=1e-14)
    assert two.features(images).shape == (3, TINY["neurons"])
    assert_same_gradients(two, one, images, labels)


def test_windows_across_the_towers_are_another_net():
    cut, across = (double(SmallAlexNet(5, IMAGE, towers=1, lrn_across=a, **TINY)) for a in (False, True))
    assert np.abs(cut.predict(batch(2)[0]) - across.predict(batch(2)[0])).max() > 1e-6


@pytest.mark.parametrize("towers", [1, 2])
def test_gradients_of_the_whole_net_by_finite_differences(towers):
    """Some entries of every parameter, in every tower. tanh, since ReLU and pooling have kinks; pooling's stay."""
    network = double(SmallAlexNet(5, IMAGE, towers=towers, activation="tanh", **TINY))
    images, labels = batch(3)
    _, gradients = network.loss_and_gradients(images, labels, step=4)
    rng, h = np.random.default_rng(1), 1e-6
    for t, own in enumerate(network.parameters):
        for name, array in own.items():
            for _ in range(3):
                index = tuple(rng.integers(0, length) for length in array.shape)
                kept, losses = array[index], []
                for value in (kept + h, kept - h):
                    array[index] = value
                    losses.append(network.loss_and_gradients(images, labels, step=4)[0])
                array[index] = kept
                assert gradients[t][name][index] == pytest.approx((losses[0] - losses[1]) / (2 * h), rel=1e-4, abs=1e-8
                                                                  ), f"tower {t}, {name}{index}"


@pytest.mark.parametrize("options", [dict(micro_batch=1), dict(micro_batch=2), dict(micro_batch=3), dict(micro_batch=9),
                                     dict(threads=1), dict(threads=3)])
def test_pieces_and_threads_change_nothing(options):
    plain, other = (double(SmallAlexNet(5, IMAGE, **TINY | o)) for o in (dict(threads=2), options))
    assert_same_gradients(plain, other, *batch(7))


def test_the_same_call_gives_the_same_bits():
    network = SmallAlexNet(5, IMAGE, **TINY)
    images, labels = batch(7)
    losses = [network.loss_and_gradients(images.astype(np.float32), labels, step) for step in (1, 1, 2)]
    assert losses[0][0] == losses[1][0] != losses[2][0]
    for a, b in zip(losses[0][1], losses[1][1]):
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


def test_weights_go_from_two_towers_to_one_and_back():
    two, one = SmallAlexNet(5, IMAGE, seed=3, **TINY), SmallAlexNet(5, IMAGE, towers=1, seed=4, **TINY)
    weights = two.weights()
    one.load_weights(weights)
    again = SmallAlexNet(5, IMAGE, seed=5, **TINY)
    again.load_weights(one.weights())
    for name in weights:
        np.testing.assert_array_equal(weights[name], again.weights()[name])
    np.testing.assert_array_equal(weights["conv2.W"][..., 6:], two.towers[1]["conv2"].params["W"])


@pytest.mark.parametrize("spoil, sentence", [
    (lambda w: w.pop("fc7.b"), "found fc7.b missing, expected"),
    (lambda w: w.update({"conv9.W": np.ones(3)}), "found conv9.W .* expected none of that name"),
    (lambda w: w.update({"conv1.b": np.ones(3)}), r"found conv1.b \(3,\), expected \(8,\)")])
def test_weights_of_another_net_are_refused(spoil, sentence):
    network = SmallAlexNet(5, IMAGE, **TINY)
    weights = network.weights()
    spoil(weights)
    with pytest.raises(ValueError, match=sentence):
        network.load_weights(weights)


def test_only_what_the_paper_says_crosses_between_the_towers():
    """PAPER § 3.2, floats per image: 21,632 each way before conv3, 4608 before fc6, 2048 before fc7, and 2048 one way
    before fc8; backward the same the other way. No weight and no gradient of one crosses."""
    network = AlexNet(threads=2)
    first, second = network.devices
    assert isinstance(first, Device) and first is not second
    images, labels = np.zeros((3, 224, 224, 3), np.float32), np.zeros(3, int)
    each_way = 21_632 + 4_608 + 2_048
    network.predict(images)
    assert (first.sent, second.sent) == ({second: 3 * each_way}, {first: 3 * (each_way + 2_048)})
    first.sent.clear(), second.sent.clear()
    _, gradients = network.loss_and_gradients(images, labels)
    both = 3 * (2 * each_way + 2_048)
    assert (first.sent, second.sent) == ({second: both}, {first: both})
    SGD(network).step(gradients, 0.01)
    assert (first.sent, second.sent) == ({second: both}, {first: both})


# The numbers of the paper --------------------------------------------------------------------------------------------

COUNTS = {      # weights, biases, neurons, multiply-adds
    "conv1": (34_848, 96, 290_400, 105_415_200), "conv2": (307_200, 256, 186_624, 223_948_800),
    "conv3": (884_736, 384, 64_896, 149_520_384), "conv4": (663_552, 384, 64_896, 112_140_288),
    "conv5": (442_368, 256, 43_264, 74_760_192), "fc6": (37_748_736, 4_096, 4_096, 37_748_736),
    "fc7": (16_777_216, 4_096, 4_096, 16_777_216), "fc8": (4_096_000, 1_000, 1_000, 4_096_000)}


@pytest.mark.parametrize("towers", [1, 2])
def test_the_papers_counts(towers):
    network = AlexNet(towers=towers)
    weights = network.weights()
    rows = {row.name: row for row in summary(network) if row.parameters}
    assert {name: (weights[f"{name}.W"].size, weights[f"{name}.b"].size, row.neurons, row.multiply_adds)
            for name, row in rows.items()} == COUNTS
    assert sum(row.parameters for row in rows.values()) == sum(w.size for w in weights.values()) == 60_965_224
    assert sum(row.neurons for row in rows.values()) == 659_272
    assert sum(row.multiply_adds for row in rows.values()) == 724_406_816
    assert network.features(np.zeros((1, 224, 224, 3), np.float32)).shape == (1, 4096)


def test_figure_2_in_each_tower():
    network = AlexNet()
    assert [layer.kernels for layer in network.towers[1].values() if isinstance(layer, Conv2d)] == [48, 128, 192, 192, 128]
    assert [layer.channels for layer in network.towers[1].values() if isinstance(layer, Conv2d)] == [3, 48, 256, 192, 192]
    assert list(network.towers[0]) == [
        "conv1", "relu1", "norm1", "pool1", "conv2", "relu2", "norm2", "pool2", "exchange3", "conv3", "relu3", "conv4",
        "relu4", "conv5", "relu5", "pool5", "exchange6", "flatten", "fc6", "relu6", "drop6", "exchange7", "fc7", "relu7",
        "drop7", "exchange8", "fc8"]
    assert list(network.towers[1]) == list(network.towers[0])[:-2]


def test_the_table_is_printed():
    printed = subprocess.run([sys.executable, "alexnet.py"], capture_output=True, text=True, check=True).stdout
    for number in ("60,965,224", "659,272", "724,406,816", "253,440", "55×55×48"):
        assert number in printed


# Alternatives --------------------------------------------------------------------------------------------------------

def layers_of(kind, **options):
    network = SmallAlexNet(5, IMAGE, **options)
    loss, gradients = network.loss_and_gradients(batch(2)[0].astype(np.float32), batch(2)[1])
    SGD(network).step(gradients, 1e-3)
    assert np.isfinite(loss) and network.predict(np.ones((2, *IMAGE), np.float32)).sum(1) == pytest.approx(1)
    return [layer for layer in network.towers[0].values() if isinstance(layer, kind)]


def test_each_alternative_changes_what_it_says():
    assert not layers_of(LocalResponseNorm, lrn=False) and len(layers_of(LocalResponseNorm)) == 2
    assert [(n.alpha, n.k, n.groups) for n in layers_of(LocalResponseNorm, lrn_alpha=2e-5, lrn_k=1.0)] == [(2e-5, 1, 1)] * 2
    assert [n.groups for n in layers_of(LocalResponseNorm, towers=1)] == [2, 2]
    assert [n.groups for n in layers_of(LocalResponseNorm, towers=1, lrn_across=True)] == [1, 1]
    assert [d.rate for d in layers_of(Dropout, dropout=0.3)] == [0.3] * 2 and not layers_of(Dropout, dropout=0)
    assert all(d.inverted for d in layers_of(Dropout, inverted_dropout=True))
    assert [c.groups for c in layers_of(Conv2d, towers=1)] == [1, 2, 1, 2, 2]
    assert [c.groups for c in layers_of(Conv2d, one_gpu=True)] == [1] * 5
    for name in ("conv2", "conv3", "conv4", "conv5"):
        assert len(layers_of(Conv2d, without=name)) == 4


def test_the_one_gpu_net_has_about_as_many_parameters():
    """§ 3.2: half the kernels in conv1 … conv4; conv5 and the fully connected layers keep theirs."""
    network = AlexNet(one_gpu=True)
    assert [w.shape[-1] for name, w in network.weights().items() if name.endswith("W")] == [
        48, 128, 192, 192, 256, 4096, 4096, 1000]
    assert 0.95 < sum(w.size for w in network.weights().values()) / 60_965_224 < 1.05


@pytest.mark.parametrize("options, sentence", [
    (dict(towers=3), "towers must be one of 1, 2, got 3"), (dict(pool=4), "pool must be one of 2, 3, got 4"),
    (dict(activation="sigmoid"), "activation must be one of relu, tanh"), (dict(without="conv1"), "without must be"),
    (dict(init="glorot"), "init must be 'paper', '2012' or 'he'"), (dict(dropout=1.5), "below 1, got 1.5"),
    (dict(image=(9, 9, 3)), "images of 9×9 pixels are too small .* at pool5"), (dict(threads=0), "threads must be"),
    (dict(micro_batch=0), "micro_batch must be")])
def test_arguments_that_fit_no_net(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        SmallAlexNet(**options)


def test_wrong_images():
    network = SmallAlexNet()
    for images, sentence in ((np.zeros((28, 28, 1), np.float32), r"add a batch axis with images\[None\]"),
                             (np.zeros((2, 24, 24, 1), np.float32), r"expects images \(N, 28, 28, 1\), got \(2, 24"),
                             (np.zeros((2, 28, 28, 1), np.uint8), "expects float32 or float64, got uint8"),
                             (np.zeros((0, 28, 28, 1), np.float32), "at least one image")):
        with pytest.raises(ValueError, match=sentence):
            network.predict(images)


@pytest.mark.parametrize("kind, stds", [("paper", [0.01] * 8), ("2012", [0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01]),
                                        ("he", None)])
def test_initial_values(kind, stds):
    networks = [SmallAlexNet(10, towers=towers, init=kind, bias=1.0, kernels=(64, 64, 96, 96, 64)) for towers in (2, 1)]
    weights = networks[0].weights()
    for (name, w), expected in zip([item for item in weights.items() if item[0].endswith("W")],
                                   stds or [np.sqrt(2 / np.prod(w.shape[:-1])) for n, w in weights.items() if "W" in n]):
        assert abs(w.std() / expected - 1) < 6 / np.sqrt(2 * w.size), name
        assert abs(w.mean()) < 6 * expected / np.sqrt(w.size), name
    ones = {name for name, w in weights.items() if name.endswith("b") and (w == 1).all()}
    assert ones == {"conv2.b", "conv4.b", "conv5.b", "fc6.b", "fc7.b"}
    assert all((w == 0).all() for name, w in weights.items() if name.endswith("b") and name not in ones)
    other = SmallAlexNet(10, init=kind, seed=1, kernels=(64, 64, 96, 96, 64)).weights()
    for name, w in networks[1].weights().items():
        np.testing.assert_array_equal(w, weights[name])
        assert name.endswith("b") or (w != other[name]).any()


# PyTorch, and learning -----------------------------------------------------------------------------------------------

@pytest.mark.torch
@pytest.mark.slow
def test_the_full_net_as_in_pytorch():
    """Loss and every gradient of the paper's net, float64: no flips at near-ties to allow for."""
    torch = pytest.importorskip("torch")
    network = double(AlexNet(dropout=0, threads=2))
    w = {name: torch.tensor(a, requires_grad=True) for name, a in network.weights().items()}
    images, labels = batch(2, (224, 224, 3), 1000)
    F = torch.nn.functional
    x = F.pad(torch.tensor(images.transpose(0, 3, 1, 2)), (0, 3, 0, 3))
    halves = dict(conv2=2, conv4=2, conv5=2)
    for i in range(1, 6):
        name = f"conv{i}"
        x = F.relu(F.conv2d(x, w[f"{name}.W"].permute(3, 2, 0, 1), w[f"{name}.b"], 4 if i == 1 else 1,
                            {1: 0, 2: 2}.get(i, 1), groups=halves.get(name, 1)))
        if i <= 2:      # windows end at the edge of a tower
            x = torch.cat([F.local_response_norm(half, 5, 5e-4, 0.75, 2.0) for half in x.chunk(2, 1)], 1)
        if i in (1, 2, 5):
            x = F.max_pool2d(x, 3, 2)
    x = x.permute(0, 2, 3, 1).flatten(1)
    for name in ("fc6", "fc7"):
        x = F.relu(x @ w[f"{name}.W"] + w[f"{name}.b"])
    loss = F.cross_entropy(x @ w["fc8.W"] + w["fc8.b"], torch.tensor(labels))
    loss.backward()
    ours, gradients = network.loss_and_gradients(images, labels)
    assert ours == pytest.approx(loss.item(), rel=1e-12)
    for name, gradient in network.join(gradients).items():
        wanted = w[name].grad.numpy()
        np.testing.assert_allclose(gradient, wanted, atol=1e-10 * np.abs(wanted).max(), err_msg=name)


@pytest.mark.parametrize("make", [SmallAlexNet, Figure1Net])
def test_fifty_images_are_learned_by_heart(make):
    """The classic sign of life: zero training error, and a loss near zero."""
    with np.load(DATASETS / "fashion_mnist_10000_2000.npz") as file:
        images, labels = file["x_train"][:50, 2:26, 2:26, None] / np.float32(255) - np.float32(0.3), file["y_train"][:50]
    options = dict(dropout=0) if make is SmallAlexNet else {}
    network = make(10, (24, 24, 1), **options)
    sgd = SGD(network, weight_decay=0)
    for step in range(150):
        loss, gradients = network.loss_and_gradients(images, labels, step)
        sgd.step(gradients, 0.02)
    assert (network.predict(images).argmax(1) == labels).all() and loss < 0.1
