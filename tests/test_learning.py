"""The update rule, the schedules, and checkpoints."""

import os
import pickle
from types import SimpleNamespace

import numpy as np
import pytest

import nn.fast.cpu
import train
from alexnet import SmallAlexNet
from nn import SGD, CheckpointError, Device, load_checkpoint, plateau, save_checkpoint, steps, warm_up
from nn.fast import CpuForms, PlainForms
from nn.run.workers import Workers
from training.options import read_options

TINY = dict(kernels=(8, 8, 8, 8, 8), neurons=12)


def one_layer(W, b, forms=None):
    """What SGD needs of a network: parameters, devices, and how to update."""
    forms = forms or CpuForms(Workers(2))
    return SimpleNamespace(parameters=[{"fc1.W": W, "fc1.b": b}], devices=[Device()],
                           update=lambda t, updates: forms.update(updates))


def test_the_warm_up_rises_evenly_to_the_scaled_rate():
    assert [warm_up(0.8, epochs, 4, 8) for epochs in (0, 2, 4, 9)] == pytest.approx([0.1, 0.45, 0.8, 0.8])
    assert warm_up(0.8, 0, 0, 8) == 0.8
    options = read_options(["--batch-size", "256", "--lr-batch", "64", "--lr", "0.02", "--schedule", "constant"])[0]
    assert train.learning_rate(options, [], 10) == 0.08 and train.scaling(options) == 4
    assert train.learning_rate(read_options(["--batch-size", "256", "--lr", "0.02"])[0], [], 10) == 0.02


@pytest.mark.parametrize("block", [1 << 16, 5, None])
@pytest.mark.parametrize("inside", [True, False])
def test_the_update_rule_of_section_5(inside, block, monkeypatch):
    """v ← 0.9 v − 0.0005 ε w − ε g, w ← w + v, number by number, through a change of ε; biases do not decay. In plain
    form (None) and in blocks. With ε outside the velocity: v ← 0.9 v − 0.0005 w − g, w ← w + ε v."""
    monkeypatch.setattr(nn.fast.cpu, "BLOCK", block)
    rng = np.random.default_rng(0)
    W, b = rng.standard_normal((4, 3)), rng.standard_normal(3)
    sgd = SGD(one_layer(W, b, None if block else PlainForms()), rate_inside=inside)
    wanted = {"W": W.copy().reshape(-1).tolist(), "b": b.copy().tolist()}
    speed = {key: [0.0] * len(values) for key, values in wanted.items()}
    for step in range(6):
        lr = 0.1 if step < 3 else 0.01
        g = {"W": rng.standard_normal((4, 3)), "b": rng.standard_normal(3)}
        sgd.step([{"fc1.W": g["W"], "fc1.b": g["b"]}], lr)
        for key, decay in ("W", 0.0005), ("b", 0.0):
            for i, slope in enumerate(g[key].reshape(-1)):
                inner, outer = (lr, 1) if inside else (1, lr)
                speed[key][i] = 0.9 * speed[key][i] - inner * (decay * wanted[key][i] + slope)
                wanted[key][i] += outer * speed[key][i]
        np.testing.assert_allclose(W.reshape(-1), wanted["W"], rtol=1e-13)
        np.testing.assert_allclose(b, wanted["b"], rtol=1e-13)


def test_the_rate_is_inside_the_velocity():
    """After ε falls, the velocity still carries what the larger ε gave it (with ε outside it would shrink at once)."""
    W = np.zeros((1, 1))
    sgd = SGD(one_layer(W, np.zeros(1)), weight_decay=0)
    gradient = [{"fc1.W": np.ones((1, 1)), "fc1.b": np.zeros(1)}]
    sgd.step(gradient, 1.0)                                 # v = −1
    sgd.step(gradient, 0.1)                                 # v = −0.9 − 0.1, not 0.1 · (−1.9)
    assert W[0, 0] == pytest.approx(-2.0)


@pytest.mark.parametrize("lrs, inside, agree", [([0.05] * 5, True, True), ([0.05] * 3 + [0.005] * 2, True, False),
                                                ([0.05] * 3 + [0.005] * 2, False, True)])
@pytest.mark.torch
def test_against_pytorch(lrs, inside, agree):
    """The same where ε is constant, another rule where it changes, unless ε is outside the velocity."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    W = rng.standard_normal((4, 3))
    other = torch.tensor(W.copy(), requires_grad=True)
    theirs = torch.optim.SGD([other], lr=1, momentum=0.9, weight_decay=0.0005)
    ours = SGD(one_layer(W, np.zeros(3)), rate_inside=inside)
    for lr in lrs:
        g = rng.standard_normal(W.shape)
        ours.step([{"fc1.W": g, "fc1.b": np.zeros(3)}], lr)
        other.grad, theirs.param_groups[0]["lr"] = torch.tensor(g), lr
        theirs.step()
    assert np.allclose(W, other.detach(), rtol=1e-12) == agree


def test_bias_rate_and_decay():
    W, b = np.ones((1, 1)), np.ones(1)
    sgd = SGD(one_layer(W, b), momentum=0, weight_decay=0, bias_decay=0.5, bias_rate=2)
    sgd.step([{"fc1.W": np.ones((1, 1)), "fc1.b": np.ones(1)}], 0.1)
    assert W[0, 0] == pytest.approx(0.9) and b[0] == pytest.approx(1 - 0.2 * 1.5)


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("towers, plain", [(1, True), (2, False)])
def test_frozen_layers_keep_their_parameters_and_velocities(towers, plain, inside):
    """To the bit, decay or none, in every tower; others learn as if nothing was frozen. Thawed, they learn again."""
    def two_steps(frozen):
        network = SmallAlexNet(3, (24, 24, 1), towers=towers, plain=plain, kernels=(4, 8, 8, 8, 4), neurons=8)
        sgd, rng = SGD(network, weight_decay=0.1, bias_decay=0.1, rate_inside=inside), np.random.default_rng(0)
        images, labels = rng.standard_normal((4, 24, 24, 1)).astype(np.float32), np.arange(4) % 3
        states = []
        for step, frozen_now in enumerate(((), frozen, ())):
            sgd.step(network.loss_and_gradients(images, labels, step)[1], 0.01, frozen_now)
            states.append({f"{kind}{name}": array.copy() for kind, group in
                           (("w ", network.weights()), ("v ", network.join(sgd.velocity))) for name, array in group.items()})
        return states

    (first, second, third), (_, free, _) = two_steps(("conv1", "fc7")), two_steps(())
    for name in first:
        frozen = name[2:].split(".")[0] in ("conv1", "fc7")
        assert np.array_equal(first[name], second[name]) == frozen, name
        assert np.array_equal(second[name], free[name]) != frozen, name
        assert not np.array_equal(second[name], third[name]), name


@pytest.mark.parametrize("wrong", [dict(momentum=1), dict(weight_decay=-1), dict(bias_rate=-1)])
def test_sgd_refuses(wrong):
    with pytest.raises(ValueError, match="SGD expects"):
        SGD(one_layer(np.zeros((1, 1)), np.zeros(1)), **wrong)


@pytest.mark.parametrize("errors, lr", [
    ([], 1), ([0.5, 0.4, 0.3], 1), ([0.5, 0.5, 0.5], 1), ([0.5, 0.5, 0.5, 0.5], 0.1),
    ([0.5, 0.6, 0.7, 0.4, 0.5, 0.5], 1), ([0.5, 0.6, 0.7, 0.6, 0.4, 0.4, 0.4], 0.1), ([0.5] * 7, 0.01),
    ([0.5] * 10, 0.001), ([0.5] * 12, 0.001), ([0.5] * 13, None)])
def test_plateau(errors, lr):
    """÷ 10 after three epochs without a new best, three times at most; then it is time to stop (§ 5)."""
    assert plateau(1, errors, patience=3) == (lr if lr is None else pytest.approx(lr))


@pytest.mark.parametrize("errors, options, lr", [
    ([0.5, 0.5], dict(patience=1), 0.1), ([0.5, 0.5, 0.5], dict(patience=1, factor=2), 0.25),
    ([0.5] * 3, dict(patience=1, drops=1), None), ([0.5] * 2, dict(patience=1, drops=0), None),
    ([0.5, np.nan, np.nan, np.nan], {}, 0.1)])
def test_plateau_otherwise(errors, options, lr):
    """Other patience, factor and number of drops; an error that is not a number is no improvement."""
    assert plateau(1, errors, **options) == (lr if lr is None else pytest.approx(lr))


def test_steps():
    """The 2012 code's: ÷ 10 from epochs 25, 51 and 79 on, counted from 0."""
    assert [steps(0.01, epoch, (25, 51, 79)) for epoch in (0, 24, 25, 50, 51, 78, 79, 90)] == pytest.approx(
        [1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5])
    assert steps(0.01, 40, ()) == 0.01


# Checkpoints ---------------------------------------------------------------------------------------------------------

def test_a_checkpoint_comes_back_to_the_bit(tmp_path):
    weights = {"conv1.W": np.random.default_rng(0).standard_normal((3, 2)).astype(np.float32), "conv1.b": np.zeros(2)}
    save_checkpoint(tmp_path / "c.npz", {"step": 7, "ε": [0.1]}, weights=weights, velocity={"conv1.W": np.ones(1)})
    facts, groups = load_checkpoint(tmp_path / "c.npz")
    assert facts == {"step": 7, "ε": [0.1]} and groups["velocity"]["conv1.W"].tolist() == [1]
    for name, array in weights.items():
        np.testing.assert_array_equal(groups["weights"][name], array)
        assert groups["weights"][name].dtype == array.dtype
    assert os.listdir(tmp_path) == ["c.npz"]


@pytest.mark.parametrize("broken", ["numpy.savez", "os.fsync", "os.replace"])
def test_a_write_that_fails_leaves_the_old_checkpoint(tmp_path, monkeypatch, broken):
    path = tmp_path / "c.npz"
    save_checkpoint(path, {"step": 1})
    before = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(broken, full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, {"step": 2})
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["c.npz"]


def test_a_checkpoint_is_on_the_disk_before_it_takes_the_old_ones_name(tmp_path, monkeypatch):
    happened = []
    for name in ("fsync", "replace"):
        def noted(*args, name=name, real=getattr(os, name)):
            happened.append(name)
            return real(*args)
        monkeypatch.setattr(os, name, noted)
    save_checkpoint(tmp_path / "c.npz", {})
    assert happened[:2] == ["fsync", "replace"]


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "truncated", "flipped", "pickle", "objects", "foreign"])
def test_files_that_are_no_checkpoint(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "c.npz"
    save_checkpoint(path, {"step": 1}, weights={"w": np.arange(1000.0)})
    whole = path.read_bytes()
    middle = len(whole) // 2
    {"missing": path.unlink, "empty": lambda: path.write_bytes(b""), "text": lambda: path.write_text("hello"),
     "truncated": lambda: path.write_bytes(whole[:middle]),
     "flipped": lambda: path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1:]),
     "pickle": lambda: path.write_bytes(pickle.dumps(Bomb())),
     "objects": lambda: np.savez(path, facts=np.array([Bomb()], object)),
     "foreign": lambda: np.savez(path, x=np.ones(3))}[kind]()
    with pytest.raises(CheckpointError, match="c.npz"):
        load_checkpoint(path)
    assert not (tmp_path / "exploded").exists()


def test_no_flipped_bit_gets_past_as_another_exception(tmp_path):
    """Each byte of a small checkpoint changed, in three ways: it loads, unchanged, or is refused with a sentence."""
    path = tmp_path / "c.npz"
    save_checkpoint(path, {"step": 1}, weights={"w": np.arange(3.0)})
    whole, refused = path.read_bytes(), 0
    for i, change in [(i, change) for i in range(len(whole)) for change in (1, 128, 255)]:
        path.write_bytes(whole[:i] + bytes([whole[i] ^ change]) + whole[i + 1:])
        try:
            facts, groups = load_checkpoint(path)
            assert facts == {"step": 1} and all(g["w"].tolist() == [0, 1, 2] for g in groups.values() if "w" in g)
        except CheckpointError:
            refused += 1
    assert refused > len(whole)


def test_loading_velocities_leaves_the_given_ones_alone():
    network = SmallAlexNet(towers=1, **TINY)
    sgd = SGD(network)
    given = network.join(sgd.velocity)
    sgd.load(given)
    sgd.step(network.parameters, 0.1)
    assert not any(array.any() for array in given.values())


def test_ten_steps_are_five_and_five(tmp_path):
    """To the bit, with momentum and dropout, through a file and a fresh network."""
    rng = np.random.default_rng(0)
    images, labels = rng.standard_normal((10, 16, 28, 28, 1)).astype(np.float32), rng.integers(0, 10, (10, 16))

    def train(network, sgd, numbers):
        for step in numbers:
            _, gradients = network.loss_and_gradients(images[step], labels[step], step)
            sgd.step(gradients, 0.01)

    straight = SmallAlexNet(seed=1, **TINY)
    sgd = SGD(straight)
    train(straight, sgd, range(10))

    first = SmallAlexNet(seed=1, **TINY)
    sgd_first = SGD(first)
    train(first, sgd_first, range(5))
    save_checkpoint(tmp_path / "c.npz", {}, weights=first.weights(), velocity=first.join(sgd_first.velocity))
    second = SmallAlexNet(seed=1, **TINY)
    sgd_second = SGD(second)
    _, groups = load_checkpoint(tmp_path / "c.npz")
    second.load_weights(groups["weights"])
    sgd_second.load(groups["velocity"])
    train(second, sgd_second, range(5, 10))
    for name, array in straight.weights().items():
        np.testing.assert_array_equal(second.weights()[name], array, err_msg=name)
    for name, array in straight.join(sgd.velocity).items():
        np.testing.assert_array_equal(second.join(sgd_second.velocity)[name], array, err_msg=name)
