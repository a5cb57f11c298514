"""The towers on CUDA devices: the CPU's numbers, every array where it belongs, nothing across but what § 3.2 says."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import evaluate
import nn.fast.cuda
import nn.run.memory
import train
from alexnet import AlexNet, SmallAlexNet, summary
from benchmarks import gpu_budget
from nn import SGD, feed
from nn.run.device import CudaDevice, Device, cuda_devices, send, use_tf32

pytestmark = pytest.mark.cuda
two_devices = pytest.mark.multigpu

IMAGE = (31, 27, 3)     # odd, and higher than wide
TINY = dict(kernels=(8, 12, 16, 8, 12), neurons=20, lrn_alpha=0.3)
PLACES = [("cuda:0", 1), ("cuda:0", 2), pytest.param("cuda:0,cuda:1", 2, marks=two_devices),
          pytest.param("cuda:1,cuda:0", 2, marks=two_devices)]


def batches(steps, N=6, dtype=np.float32):
    rng = np.random.default_rng(0)
    for _ in range(steps):
        yield rng.standard_normal((N, *IMAGE)).astype(dtype), rng.integers(0, 5, N)


def steps(network, count=20, dtype=np.float32, lr=0.01):
    """Train `count` steps as train.py does; → the losses."""
    sgd, losses = SGD(network), []
    for step, (images, labels) in enumerate(feed(batches(count, dtype=dtype), network.devices)):
        with network.devices[0]:
            logits, caches = network.forward(images, step=step)
            loss, cache = network.loss.forward(logits, labels)
            sgd.step(network.backward(network.loss.backward(cache), caches), lr)
        losses.append(loss)
    return np.array([float(loss) for loss in losses]), sgd


def double(network):
    """The network in float64, with values that keep the signal alive, the same for the same net."""
    rng = np.random.default_rng(7)
    for tower, device in zip(network.towers, network.devices):
        with device:
            for layer in tower.values():
                layer.params = {name: p.astype(np.float64) for name, p in layer.params.items()}
    network.load_weights({name: rng.standard_normal(w.shape) * (0.1 if name.endswith("b") else 1.5 / np.sqrt(
        np.prod(w.shape[:-1]))) for name, w in network.weights().items()})
    return network


@pytest.mark.parametrize("place, towers", PLACES)
@pytest.mark.parametrize("options", [{}, dict(activation="tanh", pool=2, inverted_dropout=True, without="conv3")])
def test_gradients_are_the_cpus(place, towers, options):
    """float64, dropout on: what differs is the order of sums."""
    ours, cpu = (double(SmallAlexNet(5, IMAGE, towers=towers, devices=d, **TINY | options)) for d in (place, "cpu"))
    images, labels = next(batches(1, 3, np.float64))
    np.testing.assert_allclose(ours.predict(images), cpu.predict(images), rtol=1e-11)
    np.testing.assert_allclose(ours.features(images), cpu.features(images), rtol=1e-11, atol=1e-13)
    (loss, gradients), (wanted, expected) = (net.loss_and_gradients(images, labels, step=3) for net in (ours, cpu))
    assert float(loss) == pytest.approx(float(wanted), rel=1e-12)
    gradients, expected = ours.join(gradients), cpu.join(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(gradients[name], array, rtol=0, atol=1e-12 * np.abs(array).max(), err_msg=name)


@pytest.mark.parametrize("place, towers", PLACES)
def test_twenty_steps_give_the_cpus_losses(place, towers):
    """float32, dropout on. Rounding grows with the steps: 1e-5 at the end, where another mask or another order of the
    images changes the first digits."""
    (losses, _), (expected, _) = (steps(SmallAlexNet(5, IMAGE, towers=towers, devices=d, **TINY))
                                  for d in (place, "cpu"))
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_two_towers_on_one_card_give_the_same_bits_in_two_streams_as_in_one(monkeypatch):
    """And those of two cards, if there are two."""
    places, found = ["cuda:0", "cuda:0"] + ["cuda:0,cuda:1"] * (cuda_devices() > 1), []
    for i, place in enumerate(places):
        if i == 1:
            monkeypatch.setattr(CudaDevice, "use_own_stream", lambda self: None)
        network = SmallAlexNet(5, IMAGE, devices=place, **TINY)
        assert (network.devices[1].stream is None) == (i > 0)
        losses, sgd = steps(network, 5)
        found.append([losses, *network.weights().values(), *network.join(sgd.velocity).values()])
    for other in found[1:]:
        for a, b in zip(found[0], other):
            np.testing.assert_array_equal(a, b)


def test_tf32_changes_products_by_less_than_its_bound():
    """On hardware that has it; elsewhere it changes nothing."""
    rng, device = np.random.default_rng(0), Device("cuda:0")
    a, b = rng.standard_normal((2, 64, 64)).astype(np.float32)
    try:
        with device:
            use_tf32(True, "cuda")
            assert device.cupy._core.get_compute_type(np.float32) == device.cupy._core._routines_linalg.COMPUTE_TYPE_TF32
            rounded = device.get(device.put(a) @ device.put(b))
    finally:
        use_tf32(False, "cuda")
    with device:
        exact = device.get(device.put(a) @ device.put(b))
        assert device.cupy._core.get_compute_type(np.float32) == device.cupy._core._routines_linalg.COMPUTE_TYPE_DEFAULT
    assert (abs(rounded - exact) <= (2**-9 + 64 * 2**-23) * (abs(a) @ abs(b))).all()
    np.testing.assert_allclose(exact, a.astype(np.float64) @ b, rtol=0, atol=1e-5)


def test_pieces_of_a_batch_change_nothing():
    whole, pieces = (double(SmallAlexNet(5, IMAGE, devices="cuda:0", micro_batch=m, **TINY)) for m in (None, 2))
    images, labels = next(batches(1, 7, np.float64))
    one, other = (net.join(net.loss_and_gradients(images, labels)[1]) for net in (whole, pieces))
    for name, array in one.items():
        np.testing.assert_allclose(other[name], array, rtol=0, atol=1e-12 * np.abs(array).max(), err_msg=name)


@two_devices
def test_everything_a_tower_owns_is_on_its_device():
    network = SmallAlexNet(5, IMAGE, devices="cuda:1,cuda:0", **TINY)
    sgd = SGD(network)
    images, labels = next(batches(1))
    logits, caches = network.forward(images)
    kept = [[], []]
    for one in caches:
        for job in one.jobs:
            kept[job.tower] += arrays_in(job.caches)
    assert len(kept[0]) > 20 and len(kept[1]) > 20
    for t, number in enumerate((1, 0)):
        assert {array.device.id for array in kept[t]} == {number}
    _, gradients = network.loss_and_gradients(images, labels)
    sgd.step(gradients, 0.01)
    for what in (network.parameters, gradients, sgd.velocity):
        for own, number in zip(what, (1, 0)):
            assert {array.device.id for array in own.values()} == {number}
    assert logits.device.id == 1


def arrays_in(thing):
    if hasattr(thing, "device"):
        return [thing]
    return [array for part in thing for array in arrays_in(part)] if isinstance(thing, (list, tuple)) else []


@two_devices
def test_traffic_is_what_the_paper_says(emucuda):
    """§ 3.2 and Figure 2, in bytes of float32: forward and backward of the full net and the update, as the emulator
    saw them. (With peer access a kernel could read across without a copy: then this cannot be counted here.)"""
    network = AlexNet(classes=10, devices="cuda:0,cuda:1")
    sgd = SGD(network)
    images, labels, N = np.zeros((1, 224, 224, 3), np.float32), np.zeros(1, int), 1
    emucuda.reset()
    _, gradients = network.loss_and_gradients(images, labels)
    sgd.step(gradients, 0.01)
    for device in network.devices:
        device.wait()
    there = [(1, 0, 4 * N * n) for n in (21_632, 4_608, 2_048, 2_048)]
    there += [(0, 1, 4 * N * n) for n in (21_632, 4_608, 2_048)]
    back = [(target, source, n) for source, target, n in there]
    assert sorted(emucuda.copies()) == sorted(there + back)


@pytest.mark.parametrize("place, towers", PLACES)
def test_nothing_waits_for_a_number(place, towers, emucuda):
    """A step copies only its batch from the host and nothing back: the loss stays on the device until it is fetched."""
    network = SmallAlexNet(5, IMAGE, towers=towers, devices=place, **TINY)
    sgd, N = SGD(network), 6
    for step, (images, labels) in enumerate(feed(batches(5, N), network.devices)):
        with network.devices[0]:
            logits, caches = network.forward(images, step=step)
            loss, cache = network.loss.forward(logits, labels)
            sgd.step(network.backward(network.loss.backward(cache), caches), 0.01)
        if step == 1:
            emucuda.reset()                             # kernels have been compiled and loaded
    assert np.isfinite(float(loss))
    for device in {device.name: device for device in network.devices}.values():
        moved = emucuda.host_copies(device.number)
        first = device.number == network.devices[0].number
        assert moved.to_host_bytes == (4 if first else 0)                           # float(loss)
        assert moved.to_device_bytes == 3 * (4 * N * np.prod(IMAGE) + (8 * N if first else 0))


@pytest.mark.parametrize("place, towers", PLACES)
def test_a_step_launches_at_most_120_kernels(place, towers, emucuda):
    """Besides the products, for any batch whose columns fit; the counts of docs/gpu-budget.md. All nets that are listed like
    the full one have the same number."""
    network, counts = SmallAlexNet(5, IMAGE, towers=towers, devices=place, **TINY), []
    sgd, numbers = SGD(network), {device.number for device in network.devices}
    for N in (2, 7, 2, 7):
        images, labels = next(batches(1, N))
        images = [device.put(images) for device in network.devices]
        emucuda.reset()
        with network.devices[0]:
            logits, caches = network.forward(images)
            loss, cache = network.loss.forward(logits, network.devices[0].put(labels))
            sgd.step(network.backward(network.loss.backward(cache), caches), 0.01)
        counts.append([sum(count(number) for number in numbers) for count in (emucuda.launches, emucuda.gemms)])
    assert counts[2] == counts[3]
    assert counts[2] == {(2, 2): [117, 43], (2, 1): [110, 43], (1, 1): [97, 32]}[towers, len(numbers)]


def test_the_budget_of_another_batch_is_what_it_moves(emucuda):
    """benchmarks/gpu_budget.py: continued from two batches, job by job; and the multiplications of alexnet.py's table."""
    network = SmallAlexNet(5, IMAGE, devices="cuda:0", **TINY)
    (two, *_), (four, *_), (seven, host, between) = (gpu_budget.count(network, N, emucuda) for N in (2, 4, 7))
    assert gpu_budget.extrapolate([two.jobs, four.jobs], (2, 4), 7) == seven.jobs
    assert sum(sum(kernels.values()) for kernels in seven.kernels.values()) == 110 and sum(seven.products.values()) == 43
    forward = sum(job.flops for job in seven.jobs if job.stage.endswith("forward"))
    assert forward == 2 * 7 * sum(row.multiply_adds for row in summary(network))
    moved, must = sum(job.bytes for job in seven.jobs), sum(gpu_budget.must_move(network, 7).values())
    assert must < moved < 2 * must and not any(host) and not between


def test_the_full_nets_columns_fit_up_to_batch_128():
    """In one piece, so that no stage unrolls twice."""
    network, shape = AlexNet(classes=10, init=None, threads=1), (224, 224, 3)
    for layer in network.towers[0].values():
        assert 128 * 4 * nn.fast.cuda.most_columns(layer, shape) <= nn.fast.cuda.COLUMNS
        shape = layer.output_shape(shape)


@two_devices
def test_the_network_counts_the_bytes_that_cross():
    network = SmallAlexNet(5, IMAGE, devices="cuda:0,cuda:1", **TINY)
    cpu = SmallAlexNet(5, IMAGE, **TINY)
    for net in (network, cpu):
        net.loss_and_gradients(*next(batches(1)))
    assert [list(d.sent.values()) for d in network.devices] == [list(d.sent.values()) for d in cpu.devices]


@two_devices
@pytest.mark.parametrize("columns", [1 << 28, 1 << 21])
def test_the_ledger_is_what_a_step_takes(emucuda, columns, monkeypatch):
    """Never less, and at most half more; every array has its own allocation here. Columns of all images at once,
    and of five."""
    for module in (nn.fast.cuda, nn.run.memory):
        monkeypatch.setattr(module, "COLUMNS", columns)
    emucuda.exact_memory()
    before = [emucuda.live_bytes(t) for t in (0, 1)]            # CuPy's pool holds what earlier tests took
    try:
        network = SmallAlexNet(devices="cuda:0,cuda:1")
        sgd, N = SGD(network), 32
        images, labels = np.zeros((N, 28, 28, 1), np.float32), np.zeros(N, int)
        ledger = network.memory(N)
        images = [device.put(images) for device in network.devices]
        emucuda.reset()
        _, gradients = network.loss_and_gradients(images, labels)
        sgd.step(gradients, 0.01)
        for t, device in enumerate(network.devices):
            device.wait()
            need = sum(ledger[t].values()) - ledger[t]["batches"]
            taken = emucuda.peak_bytes(t) - before[t]
            assert taken <= need <= 1.5 * taken
    finally:
        emucuda.exact_memory(False)


@two_devices
@pytest.mark.parametrize("width", [slice(None), slice(1, 4)])
@pytest.mark.parametrize("N", [1, 3])
def test_send(width, N):
    """A slice, and a batch of one, too. The sender may overwrite the array at once."""
    first, second = Device("cuda:0"), Device("cuda:1")
    array = np.random.default_rng(0).standard_normal((N, 5, 7)).astype(np.float32)
    with first:
        there = first.put(array)
        there = there * 1                               # queued, perhaps not yet done
        sent = send(there[..., width], first, second)
        there *= 0
    assert sent.device.id == 1
    with second:
        np.testing.assert_array_equal(second.get(sent + 0), array[..., width])
    assert first.sent[second] == array[..., width].nbytes


@pytest.mark.parametrize("place, towers", PLACES)
def test_masks_are_the_same_everywhere(place, towers):
    """To the bit: a net of ones shows its mask."""
    for device in ("cpu", place):
        network = SmallAlexNet(5, IMAGE, towers=towers, devices=device, seed=3, **TINY)
        with_masks = []
        for t, tower in enumerate(network.towers):
            with network.devices[t] as d:
                ones = d.put(np.ones((5, TINY["neurons"] // towers), np.float32))
                y, mask = tower["drop6"].forward(ones, key=(3, 8, "drop6", 0), part=(t, towers))
                with_masks.append((d.get(y), d.get(tower["drop6"].backward(ones, mask)[0])))
        if device == "cpu":
            expected = with_masks
    np.testing.assert_array_equal(with_masks, expected)
    assert 0.5 < np.mean(expected) < 0.9


@pytest.mark.parametrize("place, towers", PLACES)
def test_feed_hands_out_every_batch_unspoilt(place, towers):
    """Each batch is read by queued work, only after later batches have been requested."""
    network = SmallAlexNet(5, IMAGE, towers=towers, devices=place, **TINY)
    seen, expected = [], list(batches(9))
    for images, labels in feed(batches(9), network.devices):
        assert [x.device.id for x in images] == [d.number for d in network.devices]
        for x, device in zip(images, network.devices):
            with device:
                for _ in range(3):                      # work that takes its time
                    x = x * 1
                seen.append((device, x.sum(axis=(1, 2, 3), dtype=np.float64), labels * 1 if device is network.devices[0]
                             else None))
    assert len(seen) == 9 * towers
    for i, (device, sums, labels) in enumerate(seen):
        np.testing.assert_allclose(device.get(sums), expected[i // towers][0].sum(axis=(1, 2, 3), dtype=np.float64))
        if labels is not None:
            np.testing.assert_array_equal(device.get(labels), expected[i // towers][1])


def test_feed_takes_batches_of_other_sizes_and_closes_its_source():
    closed = []

    def source():
        try:
            for N in (4, 4, 2, 5, 1):
                yield np.full((N, 3), N, np.float32), np.full(N, N)
        finally:
            closed.append(True)
    device = Device("cuda:0")
    assert [(x.shape, float(x.sum()), int(y.sum())) for (x,), y in feed(source(), [device])] == [
        ((N, 3), 3.0 * N * N, N * N) for N in (4, 4, 2, 5, 1)]
    batches = feed(source(), [device])
    next(batches)
    batches.close()
    assert closed == [True, True]


# train.py ------------------------------------------------------------------------------------------------------------

@pytest.fixture
def folder(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "two.npz", x_train=rng.integers(0, 256, (80, 22, 22), np.uint8), y_train=rng.integers(0, 4, 80),
             x_test=rng.integers(0, 256, (12, 22, 22), np.uint8), y_test=rng.integers(0, 4, 12))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    return train.main(["--data", "two.npz", "--size", "22", "--batch-size", "12", "--lr", "0.001", *arguments])


def log(name):
    with open(f"runs/{name}/log.csv") as file:
        return [[float(cell) for cell in line.split(",")[:8]] for line in file.read().splitlines()[1:]]


@pytest.mark.parametrize("device", ["cuda", "cuda:0", pytest.param("cuda:0,cuda:1", marks=two_devices)])
def test_a_run_gives_the_cpus_log(folder, device, capsys):
    for place, name in ((device, "ours"), ("cpu", "cpu")):
        assert run("--epochs", "2", "--device", place, "--out", name) == 0, capsys.readouterr().err
    np.testing.assert_allclose(log("ours"), log("cpu"), rtol=1e-5)


def test_a_checkpoint_goes_on_anywhere(folder, capsys):
    """One epoch here and one there, all ways, is two epochs on the CPU."""
    for first, then in (("cpu", "cuda"), ("cuda", "cpu"), ("cuda", "cuda:0")):
        name = f"{first}-{then}".replace(":", "")
        assert run("--epochs", "1", "--schedule", "constant", "--device", first, "--out", name) == 0
        assert train.main(["--resume", f"runs/{name}", "--epochs", "2", "--device", then]) == 0, capsys.readouterr().err
    assert run("--epochs", "2", "--schedule", "constant", "--out", "constant") == 0
    for name in ("cpu-cuda", "cuda-cpu", "cuda-cuda0"):
        np.testing.assert_allclose(log(name), log("constant"), rtol=1e-5)


def test_resumed_on_the_same_device_to_the_same_bits(folder):
    assert run("--epochs", "2", "--schedule", "constant", "--device", "cuda", "--out", "straight") == 0
    assert run("--epochs", "1", "--schedule", "constant", "--device", "cuda", "--out", "parts") == 0
    assert train.main(["--resume", "runs/parts", "--epochs", "2"]) == 0
    with np.load("runs/straight/checkpoint.npz") as a, np.load("runs/parts/checkpoint.npz") as b:
        for name in a.files:
            if name != "facts":                         # which hold the images per second
                np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_profile_names_stages_devices_bytes_and_memory(folder, capsys):
    assert run("--epochs", "1", "--device", "cuda", "--profile", "2", "--out", "p") == 0
    out = capsys.readouterr().out
    for text in ("tower 1, cuda", "conv1 … pool2 forward", "conv3 … pool5 backward", "SGD update", "bytes a step",
                 "MiB in use"):
        assert text in out


@pytest.mark.parametrize("arguments, sentence", [
    (["--device", "cuda:99"], "expected one called cuda:99"),
    (["--device", "cuda:x"], "expected one called cuda:x"),
    (["--device", "cuda:0,cpu"], "expected either the CPU or CUDA devices"),
    (["--device", "cuda:0,cuda:0,cuda:0"], "found 3 devices"),
    (["--device", "cuda:0,cuda:0", "--towers", "1"], "expected one for each of 1 tower, or one for all")])
def test_wrong_devices_are_one_sentence(folder, arguments, sentence, capsys):
    assert run(*arguments) == 1
    err = capsys.readouterr().err
    assert sentence in err and err.count("\n") == 1


def test_too_little_memory_is_said_before_the_first_step(folder, monkeypatch, capsys):
    monkeypatch.setattr(CudaDevice, "memory", lambda self: (5 << 20, 6 << 20))
    assert run("--epochs", "1", "--device", "cuda", "--batch-size", "128") == 1
    err = capsys.readouterr().err
    assert "has 5 MiB free" in err and "choose a smaller --batch-size" in err and err.count("\n") == 1


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_evaluation_is_the_cpus(folder, device, capsys):
    """Error rates, the index of features and what the layers see of a photograph."""
    assert run("--epochs", "1", "--out", "net") == 0
    results = {}
    for place in ("cpu", device):
        out = place.replace(":", "")
        assert evaluate.main(["runs/net", "--device", place, "--out", out]) == 0, capsys.readouterr().err
        results[place] = json.loads(Path(out, "results.json").read_text())
        assert evaluate.main(["neighbours", "--count", "2", "--weights", "runs/net", "--device", place, "--out", out]) == 0
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)).save("photo.png")
    assert evaluate.main(["activations", "photo.png", "--weights", "runs/net", "--device", device]) == 0
    for views in ("one_view", "ten_views"):
        expected, found = (results[place]["members"][0][views] for place in ("cpu", device))
        assert found["loss"] == pytest.approx(expected["loss"], rel=1e-5) and found["top1"] == expected["top1"]
