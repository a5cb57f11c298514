"""All code for CUDA devices on the stand-in for CuPy (strict_cupy.py), without a GPU: the same numbers as on the CPU, every
array on its device, only the copies of § 3.2, and no missing wait."""

import csv
import gc
import json
import sys

import cuda_shim
import numpy as np
import pytest
import strict_cupy

import evaluate
import train
from alexnet import AlexNet, SmallAlexNet
from nn import SGD, feed, load_checkpoint, save_checkpoint
from nn.fast import kernels
from nn.run.device import Device, DeviceError, devices, send
from training.run import COLUMNS

IMAGE = (31, 27, 3)     # odd, and higher than wide
TINY = dict(kernels=(8, 12, 16, 8, 12), neurons=20, lrn_alpha=0.3)
PLACES = [("cuda", 2), ("cuda:1,cuda:0", 2), ("cuda:0", 2), ("cuda:1", 1)]
needs_compiler = pytest.mark.skipif(cuda_shim.compiler() is None, reason="no C++ compiler to make kernels for the CPU")


@pytest.fixture(params=["plain", pytest.param("kernels", marks=needs_compiler)])
def gpu(request, monkeypatch):
    """Two devices; with the layers in array operations, and with nn/fast/kernels.cu."""
    monkeypatch.setenv("NN_FUSED", str(int(request.param == "kernels")))
    with strict_cupy.install(devices=2) as machine:
        yield machine


@pytest.fixture
def plain(monkeypatch):
    """Two devices, array operations only: where the layers are not what is tested."""
    monkeypatch.setenv("NN_FUSED", "0")
    with strict_cupy.install(devices=2) as machine:
        yield machine


def make(place, towers=2, dtype=np.float64, **options):
    """A network with values that keep the signal alive, the same for the same net on any devices."""
    network = SmallAlexNet(5, IMAGE, towers=towers, devices=place, **TINY | options)
    for tower, device in zip(network.towers, network.devices):
        with device:
            for layer in tower.values():
                layer.params = {name: p.astype(dtype) for name, p in layer.params.items()}
    rng = np.random.default_rng(0)
    network.load_weights({name: (rng.standard_normal(w.shape) * (0.1 if name.endswith("b") else 1.5 / np.sqrt(np.prod(
        w.shape[:-1])))).astype(dtype) for name, w in network.weights().items()})
    return network


def batches(count, N=4, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield rng.standard_normal((N, *IMAGE)).astype(dtype), rng.integers(0, 5, N)


def learn(network, sgd, source, lr=0.02):
    """Steps as in train.py → the losses, not yet fetched."""
    losses = []
    for step, (images, labels) in enumerate(feed(source, network.devices)):
        with network.devices[0]:
            logits, caches = network.forward(images, step=step)
            loss, cache = network.loss.forward(logits, labels)
            sgd.step(network.backward(network.loss.backward(cache), caches), lr)
        losses.append(loss)
    return losses


def assert_near(ours, expected, tolerance):
    assert ours.keys() == expected.keys()
    for name, array in expected.items():
        assert ours[name].dtype == array.dtype
        np.testing.assert_allclose(ours[name], array, rtol=0, atol=tolerance * np.abs(array).max(), err_msg=name)


# The numbers ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("options", [{}, dict(activation="tanh", pool=2, inverted_dropout=True, without="conv3"),
                                     dict(first_stages="conv norm pool relu", spatial_norm=True, pool_ties="all",
                                          dropout_before=True)], ids=["the paper's", "another", "of other programs"])
@pytest.mark.parametrize("place, towers", PLACES)
def test_training_is_the_cpus(place, towers, options, gpu):
    """Losses, weights and velocities after several steps with dropout; what differs is the order of sums."""
    results = []
    for where in (place, "cpu"):
        network = make(where, towers, **options)
        sgd = SGD(network)
        losses = [float(loss) for loss in learn(network, sgd, batches(4))]
        results.append((losses, network.weights(), network.join(sgd.velocity), network))
    (losses, weights, velocity, ours), (expected, cpu_weights, cpu_velocity, cpu) = results
    np.testing.assert_allclose(losses, expected, rtol=1e-12)
    assert len(set(losses)) == 4
    assert_near(weights, cpu_weights, 1e-12)
    assert_near(velocity, cpu_velocity, 1e-12)
    images, _ = next(batches(1, 3, seed=9))
    np.testing.assert_allclose(ours.predict(images), cpu.predict(images), rtol=1e-11)
    np.testing.assert_allclose(ours.features(images), cpu.features(images), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("place, towers", PLACES)
def test_float32_stays_float32(place, towers, gpu):
    network = make(place, towers, np.float32)
    sgd = SGD(network)
    losses = learn(network, sgd, batches(2, dtype=np.float32))
    assert {array.dtype for array in arrays_in([losses, network.parameters, sgd.velocity])} == {np.dtype(np.float32)}


def test_pieces_of_a_batch_change_nothing(gpu):
    images, labels = next(batches(1, 5))
    (one, _), (other, network) = ((network.join(network.loss_and_gradients(images, labels)[1]), network)
                                  for network in (make("cuda"), make("cuda", micro_batch=2)))
    assert_near(other, one, 1e-12)


# Who owns what -------------------------------------------------------------------------------------------------------

def arrays_in(thing):
    """All arrays in nested lists, tuples and dicts."""
    if hasattr(thing, "dtype") and not isinstance(thing, np.dtype):
        return [thing]
    parts = thing.values() if isinstance(thing, dict) else thing if isinstance(thing, (list, tuple)) else ()
    return [array for part in parts for array in arrays_in(part)]


@pytest.mark.parametrize("place, numbers", [("cuda", (0, 1)), ("cuda:1,cuda:0", (1, 0)), ("cuda:1", (1, 1))])
def test_every_array_of_a_tower_is_on_its_device(place, numbers, gpu):
    network = make(place)
    sgd = SGD(network)
    images, labels = next(batches(1))
    logits, caches = network.forward(images)
    owned = [[], []]
    for one in caches:
        for job in one.jobs:
            owned[job.tower] += arrays_in(job.caches)
    assert min(map(len, owned)) > 20
    _, gradients = network.loss_and_gradients(images, labels)
    sgd.step(gradients, 0.01)
    sgd.load(network.join(sgd.velocity))
    for t, number in enumerate(numbers):
        owned[t] += arrays_in([network.parameters[t], gradients[t], sgd.velocity[t]])
        assert {array.device.id for array in owned[t]} == {number}
    assert logits.device.id == numbers[0]


def test_only_what_the_paper_says_crosses(plain):
    """§ 3.2, per image: 21,632 floats each way before conv3, 4,608 before fc6, 2,048 before fc7, 2,048 one way before
    fc8, and the same back. Between host and device: the batch, and no number that would have to be waited for."""
    network = AlexNet(classes=10, devices="cuda")
    sgd = SGD(network)
    images, labels = np.zeros((1, 224, 224, 3), np.float32), np.zeros(1, int)
    there = [(1, 0, 4 * n) for n in (21_632, 4_608, 2_048, 2_048)] + [(0, 1, 4 * n) for n in (21_632, 4_608, 2_048)]
    back = [(target, source, n) for source, target, n in there]

    plain.reset()
    _, gradients = network.loss_and_gradients(images, labels)
    sgd.step(gradients, 0.01)
    assert sorted(plain.between()) == sorted(there + back)
    first, second = network.devices
    assert (first.sent[second], second.sent[first]) == (4 * 58_624, 4 * 58_624)
    assert not [copy for copy in plain.copies if copy[1] == "host"]


@pytest.mark.parametrize("place, readers", [("cuda", (0, 1)), ("cuda:1", (1,))])
def test_a_step_waits_for_no_number(place, readers, gpu):
    """To the devices go the images, to the first also the labels (and without kernels dropout's masks); back comes
    nothing."""
    network = make(place)
    sgd = SGD(network)
    N, towers = 4, 2
    gpu.reset()
    losses = learn(network, sgd, batches(3, N))
    copies = [copy for copy in gpu.copies if "host" in copy]
    masks = [("host", device.number, N * TINY["neurons"] // towers) for device in network.devices
             for _ in ("drop6", "drop7")] if not kernels.fused(losses[0]) else []
    assert sorted(copies) == sorted(3 * (masks + [("host", readers[0], N * 8)] + [
        ("host", number, N * int(np.prod(IMAGE)) * 8) for number in readers]))


@pytest.mark.parametrize("place, towers", PLACES)
def test_the_host_waits_for_nothing_within_a_step(place, towers, gpu):
    """Not even for an event. (The feed waits for its pinned memory, between steps.)"""
    network = make(place, towers)
    sgd, (images, labels) = SGD(network), next(batches(1))
    images, labels = [device.put(images) for device in network.devices], network.devices[0].put(labels)
    before = gpu.waits
    with network.devices[0]:
        logits, caches = network.forward(images)
        loss, cache = network.loss.forward(logits, labels)
        sgd.step(network.backward(network.loss.backward(cache), caches), 0.1)
    assert gpu.waits == before
    float(loss)
    assert gpu.waits > before


def test_two_towers_on_one_device_copy_nothing_but_count_what_they_exchange(gpu):
    images, labels = next(batches(1))
    sent = []
    for place in ("cuda:0", "cuda", "cpu"):
        network = make(place)
        gpu.reset()
        network.loss_and_gradients(images, labels)
        assert bool(gpu.between()) == (place == "cuda")
        sent.append([list(device.sent.values()) for device in network.devices])
    assert sent[0] == sent[1] == sent[2] and all(sent[0])


@pytest.mark.parametrize("part", [slice(None), slice(1, 4)])
@pytest.mark.parametrize("N", [1, 3])
def test_send(part, N, plain):
    """A slice, too. The sender may then overwrite or drop the array, and the receiver use its copy."""
    first, second = Device("cuda:0"), Device("cuda:1")
    array = np.random.default_rng(0).standard_normal((N, 5, 7)).astype(np.float32)
    with first:
        there = first.put(array) * 1
        received = send(there[..., part], first, second)
        there *= 0
        del there
        first.cupy.ones(9)
    assert received.device.id == 1 and first.sent == {second: array[..., part].nbytes}
    assert plain.between() == [(0, 1, array[..., part].nbytes)]
    with second:
        np.testing.assert_array_equal(second.get(received * 1), array[..., part])
    assert send(received, second, second) is received


@pytest.mark.parametrize("peer", [True, False])
def test_peer_access_is_enabled_once_where_there_is_any(peer):
    with strict_cupy.install(devices=2, peer=peer) as machine:
        for _ in range(2):
            devices("cuda")
        assert machine.peers == ({(0, 1), (1, 0)} if peer else set())


# The feed ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("place, towers", PLACES)
def test_the_feed_hands_out_the_right_batches_in_order(place, towers, plain):
    """Looked at after the end, by work that was queued in its turn. The source uses one array for all its batches."""
    places, room, seen = devices(place, towers), np.empty((3, 2)), []

    def source():
        for i in range(7):
            room[...] = i
            yield room, np.full(3, i)
    for images, labels in feed(source(), places):
        for x, device in zip(images, places):
            with device:
                seen.append((device, x + 0))
        with places[0]:
            seen.append((places[0], labels + 0))
    assert [float(device.get(x)[0].max()) for device, x in seen] == [i for i in range(7) for _ in range(towers + 1)]
    assert all(x.device.id == device.number for device, x in seen)


def test_the_feed_takes_batches_of_any_size_and_leaves_nothing_behind(plain):
    """Closed early, too: the source is closed, its memory freed, and no copy into it pending."""
    closed, device = [], Device("cuda:1")

    def source():
        try:
            for N in (4, 4, 2, 5, 1):
                yield np.full((N, 3), N, np.float32), np.full(N, N)
        finally:
            closed.append(True)
    shapes = []
    for (images,), labels in feed(source(), [device]):
        with device:
            shapes.append((images.shape, float(images.sum()), int(labels.sum())))
    assert shapes == [((N, 3), 3 * N * N, N * N) for N in (4, 4, 2, 5, 1)]
    begun = feed(source(), [device])
    next(begun)
    begun.close()
    del images, labels
    gc.collect()
    assert closed == [True, True] and plain.used == [0, 0] and not plain.flying
    with device:
        device.cupy.ones(9)


def test_batches_of_other_sizes_and_nobody_waits_for_a_number(plain):
    """The pinned memory of a smaller batch is freed when a larger comes, but not before it is copied."""
    device, seen = Device("cuda:0"), []
    source = ((np.full((N, 3), N, np.float32), np.full(N, N)) for N in (4, 4, 2, 5, 1))
    for (images,), labels in feed(source, [device]):
        with device:
            seen.append((images.sum(), labels.sum()))
    assert [(float(a), int(b)) for a, b in seen] == [(3 * N * N, N * N) for N in (4, 4, 2, 5, 1)]


def test_on_the_cpu_the_feed_adds_nothing():
    source = [(np.ones(2), np.ones(1))]
    assert [images for images, _ in feed((pair for pair in source), devices("cpu"))][0] is source[0][0]


# Checkpoints, train.py -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("first, then", [("cuda", "cpu"), ("cpu", "cuda"), ("cuda:1", "cuda"), ("cuda", "cuda:0")])
def test_a_checkpoint_goes_on_elsewhere(first, then, plain, tmp_path):
    """Weights and velocities: four steps are two here and two there."""
    whole = make("cpu")
    sgd = SGD(whole)
    learn(whole, sgd, (batch for part in (batches(2, seed=1), batches(2, seed=2)) for batch in part))
    network = make(first)
    half = SGD(network)
    learn(network, half, batches(2, seed=1))
    save_checkpoint(tmp_path / "c.npz", {}, weights=network.weights(), velocity=network.join(half.velocity))
    arrays = load_checkpoint(tmp_path / "c.npz")[1]
    other = make(then, seed=5)
    other.seed = 0
    rest = SGD(other)
    other.load_weights(arrays["weights"])
    rest.load(arrays["velocity"])
    assert_near(other.weights(), network.weights(), 0)
    for step, (images, labels) in enumerate(batches(2, seed=2), start=2):
        rest.step(other.loss_and_gradients(images, labels, step)[1], 0.02)
    assert_near(other.weights(), whole.weights(), 1e-12)
    assert_near(other.join(rest.velocity), whole.join(sgd.velocity), 1e-12)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (100, 28, 28), np.uint8), rng.integers(0, 4, 100)
    np.savez(tmp_path / "four.npz", x_train=images[:80], y_train=labels[:80], x_test=images[80:], y_test=labels[80:])
    monkeypatch.chdir(tmp_path)
    for name in ("draw_curves", "draw_filters"):
        monkeypatch.setattr(train, name, lambda *arguments: None)
    return tmp_path


def run(*arguments):
    return train.main(["--data", "four.npz", "--batch-size", "12", "--threads", "1", "--epochs", "1", *arguments])


def log(name):
    with open(f"runs/{name}/log.csv") as file:
        return [[float(row[column]) for column in COLUMNS[:8]] for row in csv.DictReader(file)]


def test_tf32_is_off_unless_asked_for(folder, plain, capsys):
    for arguments, kind in (["--tf32"], "TF32"), ([], "DEFAULT"):
        assert run("--device", "cuda", *arguments, "--out", kind) == 0, capsys.readouterr().err
        assert plain.products == {np.dtype(np.float32): kind}
    assert evaluate.main(["filters", "runs/TF32", "--tf32", "--device", "cuda:0", "--out", "out"]) == 0, capsys.readouterr().err
    assert plain.products == {np.dtype(np.float32): "TF32"}
    for main, arguments in (train.main, ["--tf32", "--data", "four.npz"]), (evaluate.main, ["filters", "runs/TF32", "--tf32"]):
        assert main(arguments) == 1
        err = capsys.readouterr().err
        assert "found --tf32 on the CPU" in err and err.count("\n") == 1


def test_train_py_gives_the_cpus_log(folder, gpu, capsys):
    for name, device in (("two", "cuda"), ("one", "cuda:1"), ("cpu", "cpu")):
        assert run("--device", device, "--out", name, "--profile", "2") == 0, capsys.readouterr().err
        out = capsys.readouterr().out
        assert "bytes a step" in out
        assert ("cuda:1" in out) == ("MiB in use" in out) == (device != "cpu")
    np.testing.assert_allclose(log("two"), log("cpu"), rtol=1e-4)
    np.testing.assert_allclose(log("one"), log("cpu"), rtol=1e-4)
    results = [json.loads((folder / "runs" / name / "results.json").read_text()) for name in ("two", "cpu")]
    assert results[0]["test_ten_views"]["loss"] == pytest.approx(results[1]["test_ten_views"]["loss"], rel=1e-4)


def test_train_py_resumes_on_another_device(folder, plain, capsys):
    # At ε = 0.02 this run forks on rounding: initial weights × (1 − 1e-7) on the CPU alone move the validation loss by 1e-3.
    constant = ("--schedule", "constant", "--lr", "0.005")
    assert run("--epochs", "2", *constant, "--out", "cpu") == 0
    assert run("--epochs", "1", *constant, "--out", "parts", "--device", "cuda") == 0
    assert train.main(["--resume", "runs/parts", "--epochs", "2", "--device", "cuda:0"]) == 0, capsys.readouterr().err
    np.testing.assert_allclose(log("parts"), log("cpu"), rtol=1e-4)


@pytest.mark.parametrize("count, device, sentence", [
    (0, "cuda", "found no CUDA device"), (0, "cuda:0", "found no CUDA device"),
    (1, "cuda:0,cuda:1", "found 1 CUDA device, expected one called cuda:1"),
    (2, "cuda:2", "found 2 CUDA devices, expected one called cuda:2"), (2, "cuda:x", "expected one called cuda:x"),
    (2, "cuda:0,cpu", "expected either the CPU or CUDA devices"), (2, "cuda:0,cuda:1,cuda:0", "found 3 devices"),
    (2, "gpu", "expected cpu, cuda")])
def test_wrong_devices_are_one_sentence(count, device, sentence, folder, capsys):
    with strict_cupy.install(devices=count):
        assert run("--device", device) == 1
    err = capsys.readouterr().err
    assert err.startswith("train.py: ") and sentence in err and err.count("\n") == 1
    assert not (folder / "runs").exists()


def test_no_cupy_is_one_sentence(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert run("--device", "cuda") == 1
    err = capsys.readouterr().err
    assert "found no CuPy" in err and "requirements/cuda.txt" in err and err.count("\n") == 1


def test_one_device_is_enough_for_both_towers():
    with strict_cupy.install(devices=1):
        assert [device.name for device in devices("cuda")] == ["cuda:0", "cuda:0"]
        with pytest.raises(DeviceError, match="found 1 CUDA device"):
            Device("cuda:1")


def test_too_little_memory_is_said_before_the_first_step(folder, capsys, monkeypatch):
    monkeypatch.setattr(SGD, "step", lambda *arguments: pytest.fail("a step was made"))
    with strict_cupy.install(devices=2, memory=4 << 20):
        assert run("--device", "cuda", "--batch-size", "64") == 1
    err = capsys.readouterr().err
    assert "MiB" in err and "--batch-size" in err and err.count("\n") == 1


def test_no_memory_left_in_the_midst_is_one_sentence(folder, plain, capsys, monkeypatch):
    step = SGD.step

    def last_step(self, *arguments):
        plain.memory = 0
        return step(self, *arguments)
    monkeypatch.setattr(SGD, "step", last_step)
    assert run("--device", "cuda") == 1
    err = capsys.readouterr().err
    assert "out of memory" in err and "--batch-size" in err and err.count("\n") == 1


def test_a_loss_that_is_not_finite_stops_the_run(folder, plain, capsys):
    assert run("--device", "cuda", "--lr", "1e30") == 1
    assert "is not finite at step" in capsys.readouterr().err
