"""train.py as a user runs it: its files, resuming, its errors."""

import argparse
import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import data
import evaluate
import train
from alexnet import AlexNet, summary
from nn import load_checkpoint, save_checkpoint
from results import load
from training.errors import UserError
from training.options import ALTERNATIVES, given, make_parser, read_options
from training.recipes import RECIPES

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.program


def write_two(folder):
    """A small data set: 160 images in two classes, one a little brighter than the other."""
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    images = rng.integers(0, 250, (200, 28, 28)) + 4 * labels[:, None, None]
    np.savez(folder / "two.npz", x_train=images[:160].astype(np.uint8), y_train=labels[:160],
             x_test=images[160:].astype(np.uint8), y_test=labels[160:])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with that data set."""
    write_two(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """A finished run of QUICK, made once."""
    place = tmp_path_factory.mktemp("once")
    write_two(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert run(*QUICK, "--out", "once")[0] == 0
    return place / "runs" / "once"


@pytest.fixture
def finished(once, folder):
    """A function (name): put that run into the working folder's runs/."""
    return lambda name: shutil.copytree(once, folder / "runs" / name)


QUICK = ["--data", "two.npz", "--batch-size", "16", "--epochs", "3", "--threads", "1"]


def start(*arguments, **more):
    return subprocess.Popen([sys.executable, ROOT / "train.py", *map(str, arguments)], text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, **more)


def run(*arguments):
    """train.py → (exit status, what it printed, its errors). In this process: a new one needs a second to begin."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            status = train.main(list(map(str, arguments)))
        except SystemExit as end:                               # argparse's errors
            status = end.code
    return status, out.getvalue(), err.getvalue()


def state(path):
    facts, groups = load_checkpoint(path)
    return facts, {(group, name): array.tobytes() for group, arrays in groups.items() for name, array in arrays.items()}


def without_times(rows):
    return [{key: value for key, value in row.items() if key not in ("images_per_second", "seconds_waiting")}
            for row in rows]


def test_a_run_leaves_what_it_promises(folder):
    process = start(*QUICK, "--out", "first")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    left = folder / "runs" / "first"
    assert {path.name for path in left.iterdir()} == {"config.json", "log.csv", "checkpoint.npz", "best.npz",
                                                      "curves.png", "filters.png", "results.json"}
    rows = list(csv.DictReader((left / "log.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"] and float(rows[0]["lr"]) > 0
    for row in rows:
        assert all(0 <= float(row[name]) <= 1 for name in ("train_top1", "train_top5", "val_top1", "val_top5"))
        assert all(float(row[name]) > 0 for name in ("train_loss", "val_loss", "images_per_second"))
    config = json.loads((left / "config.json").read_text())
    assert config["options"]["momentum"] == 0.9 and config["options"]["weight_decay"] == 0.0005
    assert config["identity"]["images"] == 144 and config["numpy"] == np.__version__
    assert 0 <= json.loads((left / "results.json").read_text())["test_ten_views"]["top1"] <= 1
    for name in ("curves.png", "filters.png"):
        with Image.open(left / name) as picture:
            assert min(picture.size) > 100
    assert "test error" in out
    status, _, err = run(*QUICK, "--out", "first")
    assert status == 1 and "exists: resume it with --resume" in err


def test_killed_at_any_point_it_resumes_to_the_same_bits(folder, finished):
    """kill -9 at random moments, during steps and during writes, repeated until the run is done."""
    finished("straight")
    rng, checkpoint = np.random.default_rng(0), folder / "runs" / "broken" / "checkpoint.npz"
    arguments = [*QUICK, "--out", "broken", "--save-every", "0"]
    for kill in range(6):
        process, before = start(*arguments), checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        while not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before:       # until it saves one more step
            assert process.poll() is None, process.communicate()
            time.sleep(0.002)
        time.sleep(0.1 * rng.random())
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "finished before it was killed: the test needs more steps"
        arguments = ["--resume", "runs/broken"]
    status, _, err = run(*arguments)
    assert status == 0, err
    (facts, arrays), (wanted, wanted_arrays) = (state(f"runs/{name}/checkpoint.npz") for name in ("broken", "straight"))
    assert without_times(facts.pop("rows")) == without_times(wanted.pop("rows")) and facts == wanted
    assert arrays == wanted_arrays
    assert state("runs/broken/best.npz") == state("runs/straight/best.npz")
    assert not list((folder / "runs" / "broken").glob("*.tmp"))


def test_killed_before_its_first_checkpoint_it_starts_afresh(folder, finished):
    process = start(*QUICK, "--out", "early")
    while not (folder / "runs" / "early" / "config.json").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)
    process.kill()
    process.communicate()
    assert not (folder / "runs" / "early" / "checkpoint.npz").exists()
    finished("straight")
    assert run("--resume", "runs/early")[0] == 0
    assert state("runs/early/best.npz") == state("runs/straight/best.npz")


def test_ctrl_c_finishes_the_step_and_says_how_to_go_on(folder):
    process = start(*QUICK[:-4], "--epochs", "1000", "--schedule", "constant", "--threads", "1", "--out", "stopped")
    while not (folder / "runs" / "stopped" / "log.csv").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130 and "continue with: python train.py --resume runs/stopped" in out
    assert "Traceback" not in err
    facts, _ = load_checkpoint("runs/stopped/checkpoint.npz")
    assert facts["step"] == 9 * len(facts["rows"]) + facts["batch"]
    status, out, err = run("--resume", "runs/stopped", "--epochs", len(facts["rows"]) + 1)
    assert status == 0, err


@pytest.mark.filterwarnings("ignore::RuntimeWarning")       # overflow is the point
def test_a_loss_that_is_not_finite_stops_the_run(folder):
    status, out, err = run(*QUICK, "--lr", "1e9", "--out", "wild")
    assert status == 1 and "is not finite at step" in err and "--lr 1e+08" in err and "Traceback" not in err
    assert not (folder / "runs" / "wild" / "checkpoint.npz").exists()


def test_the_textbook_itself_trains_and_a_resumed_run_may_change_to_it(folder):
    """--plain: the same losses as the default within rounding, and config.json records it."""
    rows = {}
    for name, more in ("fast", []), ("plain", ["--plain"]):
        status, out, err = run(*QUICK, *more, "--lr", "0.002", "--out", name)
        assert status == 0, err
        with open(folder / "runs" / name / "log.csv") as file:
            rows[name] = [float(row["train_loss"]) for row in csv.DictReader(file)]
        assert json.loads((folder / "runs" / name / "config.json").read_text())["options"]["plain"] is bool(more)
    np.testing.assert_allclose(rows["plain"], rows["fast"], rtol=1e-4)
    status, out, err = run("--resume", str(folder / "runs" / "fast"), "--plain")
    assert status == 0, err


def test_frozen_layers_stay_from_an_epoch_on(folder):
    """Weights, biases and velocities, to the bit; the others learn on. config.json records it, and a resumed run keeps it."""
    constant = [*QUICK, "--schedule", "constant"]
    assert run(*constant, "--epochs", "2", "--out", "two")[0] == 0
    assert run(*constant, "--epochs", "3", "--freeze", "conv1", "fc7", "--freeze-from", "2", "--out", "three")[0] == 0
    assert run(*constant, "--epochs", "1", "--freeze", "conv1", "fc7", "--freeze-from", "2", "--out", "resumed")[0] == 0
    assert run("--resume", "runs/resumed", "--epochs", "3")[0] == 0
    (_, two), (_, three), (_, resumed) = (state(f"runs/{name}/checkpoint.npz") for name in ("two", "three", "resumed"))
    for (group, name), bits in three.items():
        assert (bits == two[group, name]) == (name.split(".")[0] in ("conv1", "fc7")), (group, name)
    assert resumed == three
    config = json.loads(Path("runs/three/config.json").read_text())["options"]
    assert (config["freeze"], config["freeze_from"]) == (["conv1", "fc7"], 2)


def test_colour_noise_ends_and_shrinks_in_training_alone(folder, monkeypatch):
    """Epochs counted from 0; without noise there is nothing to shrink for; validation and test images keep their scale."""
    training, testing, batches, views = [], [], data.batches, data.central_views
    monkeypatch.setattr(data, "batches", lambda *a: training.append((round(a[7], 9), a[9] is not None, a[12])) or batches(*a))
    monkeypatch.setattr(data, "central_views", lambda *a: testing.append(a[3]) or views(*a))
    for more, wanted in (
            (["--colour", "0.25", "--colour-shrink", "--colour-until", "2"], [(0.008, True, 1)] * 2 + [(0.01, False, 1)]),
            (["--colour-shrink", "--images-per-crop", "8"], [(0.01, False, 8)] * 3),
            (["--colour", "0.25", "--colour-until", "0"], [(0.01, False, 1)] * 3), (["--colour", "0.25"], [(0.01, True, 1)] * 3)):
        training.clear()
        assert train.main([*QUICK, *more]) == 0
        assert training == wanted and set(testing) == {0.01}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_sets_defaults(name, folder):
    """Every option that it names, in its type, with --model alexnet; what is typed overrides it; config.json keeps all."""
    options, _ = read_options(["--recipe", name])
    assert vars(options) == vars(read_options(["--model", "alexnet"])[0]) | RECIPES[name] | dict(recipe=name)
    typed, _ = read_options(["--recipe", name, "--model", "small", "--lr", "0.5", "--no-lrn", "--freeze", "--data", "two.npz"])
    assert vars(typed) == vars(read_options(["--model", "small"])[0]) | RECIPES[name] | dict(
        recipe=name, lr=0.5, lrn=False, freeze=[], data="two.npz")
    for each in options, typed:
        Path("runs/a").mkdir(parents=True, exist_ok=True)
        Path("runs/a/config.json").write_text(json.dumps(dict(options=vars(each))))
        assert vars(read_options(["--resume", "runs/a"])[0]) == vars(each)
    with pytest.raises(UserError, match="keeps its options, found --recipe"):
        read_options(["--resume", "runs/a", "--recipe", "paper"])


@pytest.mark.parametrize("name, layers, counts", [
    ("paper", "conv1 relu1 norm1 pool1 conv2 relu2 norm2 pool2 exchange3", 2),
    ("2012", "conv1 norm1 pool1 relu1 conv2 relu2 norm2 space2 pool2 exchange3", 2),
    ("caffe", "conv1 relu1 norm1 pool1 conv2 relu2 norm2 pool2 exchange3", 1)])
def test_the_full_net_of_a_recipe(name, layers, counts):
    """Its layers are the program's, its parameters the paper's 60,965,224, its maps 55, 27, 13 and 6 a side."""
    options, _ = read_options(["--recipe", name])
    side = options.view or data.view_side(options.size)
    network = AlexNet(image=(side, side, 3), **given(options, ALTERNATIVES), init=None)
    assert " ".join(network.towers[0]).startswith(layers) and len(network.towers) == counts
    rows = {row.name: row for row in summary(network)}
    assert sum(row.parameters for row in rows.values()) == 60_965_224
    assert [rows[layer].shape[0] for layer in ("conv1", "pool1", "pool2", "pool5")] == [55, 27, 13, 6]
    norm, pool, drop = (network.towers[0][layer] for layer in ("norm2", "pool2", "drop7"))
    assert (norm.alpha, norm.k, norm.groups, pool.ties, drop.inverted) == {
        "paper": (1e-4, 2, 1, "first", False), "2012": (2e-5, 2, 1, "all", False), "caffe": (2e-5, 1, 1, "first", True)}[name]


def test_recipes_train_and_come_back(folder):
    """On small images with small nets: what a recipe sets reaches the run, and the run's net classifies as it was trained."""
    found = {}
    for name in RECIPES:
        small = ["--recipe", name, "--model", "small", "--size", "32", "--view", "28", "--lr", "0.001", "--scale", "0.01",
                 "--holdout", "0.1", "--freeze-from", "1"]
        status, out, err = run(*small, *QUICK, "--epochs", "2", "--out", name)
        assert status == 0, err
        config = json.loads(Path(f"runs/{name}/config.json").read_text())["options"]
        assert config["recipe"] == name and config["init"] == name and config["freeze"] == (["conv1"] if name == "2012" else None)
        net = load(f"runs/{name}")
        assert net.options == {key: value for key, value in RECIPES[name].items() if key in ALTERNATIVES}
        found[name] = without_times(csv.DictReader(open(f"runs/{name}/log.csv")))
        assert run("--resume", f"runs/{name}", "--epochs", "3")[0] == 0
    assert len({str(rows) for rows in found.values()}) == 3


def test_a_full_disk_is_one_sentence(folder):
    """Files may not grow beyond 20 kB here: a checkpoint is larger."""
    import resource
    process = start(*QUICK, "--out", "full", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000,) * 2))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "File too large" in err and "Traceback" not in err
    assert not list((folder / "runs" / "full").glob("*.npz*"))


@pytest.mark.parametrize("arguments, sentence", [
    (["--data", "nothing.npz"], "nothing.npz: no such file or folder"),
    (["--resume", "runs/nowhere"], "found no run in runs/nowhere"),
    (["--lr", "-1"], "--lr must be more than 0, got -1.0"),
    (["--batch-size", "0"], "--batch-size must be at least 1"),
    (["--freeze", "conv1", "relu1"], "--freeze expects layers of conv1, conv2, conv3, conv4, conv5, fc6, fc7, fc8, got relu1"),
    (["--freeze", "conv1", "--freeze-from", "-1"], "--freeze-from must be at least 0, got -1"),
    (["--recipe", "vgg"], "--recipe must be one of paper, 2012, caffe, got vgg"),
    (["--recipe", "2012", "--model", "figure1"], "--recipe 2012 is of alexnet, found --model figure1: leave out one"),
    (["--images-per-crop", "0"], "--images-per-crop must be at least 1, got 0"),
    (["--view", "33"], "--view must be at most the images' side, 32, got 33"),
    (["--first-stages", "conv pool"], "--first-stages must be conv and then relu, norm and pool in some order"),
    (["--pool", "5"], "--pool must be one of 2, 3"),
    (["--device", "abacus"], "found device 'abacus', expected cpu, cuda"),
    (["--model", "figure1", "--pool", "2"], "--model figure1 has no --pool"),
    (["--data", "two.npz", "--size", "9"], "too small for this net")])
def test_wrong_options_are_one_sentence(folder, arguments, sentence):
    status, out, err = run(*arguments)
    assert status == 1 and sentence in err and err.count("\n") == 1 and "Traceback" not in err


def test_a_resumed_run_keeps_its_options_and_its_data(folder, finished):
    finished("kept")
    status, _, err = run("--resume", "runs/kept", "--lr", "0.5")
    assert status == 1 and "found --lr" in err
    with np.load("two.npz") as file:
        np.savez("two.npz", **{name: file[name][:len(file[name]) // 2] for name in file.files})
    status, _, err = run("--resume", "runs/kept", "--epochs", "4")
    assert status == 1 and "the data is not what this run began with" in err
    os.remove("runs/kept/checkpoint.npz")
    status, _, err = run("--resume", "runs/kept")
    assert status == 1 and "the data is not" in err or "found no checkpoint" in err


@pytest.mark.parametrize("name, value, sentence", [
    ("lr", "fast", "argument --lr: invalid float value: 'fast'"), ("batch_size", [1, 2], "unrecognized arguments: 2"),
    ("lr", -0.1, "--lr must be more than 0, got -0.1"), ("seed", True, "argument --seed: expected one argument"),
    ("schedule", "sometimes", "argument --schedule: invalid choice: 'sometimes'"), ("drop_at", ["a"], "invalid int value: 'a'"),
    ("colour", {"red": 1}, "invalid float value"), ("future", 3, "unrecognized arguments: --future=3"),
    ("convolution", "fft", "argument --convolution: invalid choice: 'fft'")])
def test_stored_options_are_checked_like_typed_ones(folder, finished, name, value, sentence):
    finished("stored")
    config = json.loads(Path("runs/stored/config.json").read_text())
    config["options"][name] = value
    Path("runs/stored/config.json").write_text(json.dumps(config))
    status, _, err = run("--resume", "runs/stored")
    assert status == 1 and sentence in err and err.count("\n") == 1, err


@pytest.mark.parametrize("text", ["[]", "3", '{"options": 3}', '{"options": [1]}', "{", '{"option": {}}'])
def test_a_config_of_another_shape_is_one_sentence(folder, text):
    Path("runs/odd").mkdir(parents=True)
    Path("runs/odd/config.json").write_text(text)
    status, _, err = run("--resume", "runs/odd")
    assert status == 1 and "found no run in runs/odd" in err and err.count("\n") == 1, err


def test_stored_options_come_back_as_they_were(folder, monkeypatch):
    """All kinds of values: numbers, texts, yes and no, lists, None. A run from before --convolution was direct."""
    typed = ["--data", "two.npz", "--drop-at", "3", "5", "--lr", "1e-05", "--no-augment", "--lazy", "--lrn", "--no-one-gpu",
             "--save-every", "0.1", "--scale", "0.3333333333333333", "--mean", "centre", "--first-stages", "conv norm pool relu",
             "--pool-ties", "all", "--no-rate-inside", "--freeze", "conv1", "fc8", "--freeze-from", "2",
             "--images-per-crop", "32", "--view", "21", "--colour-until", "4", "--colour-shrink",
             "--dropout-before", "--spatial-norm", "--lrn-across"]
    options, _ = read_options(typed)
    Path("runs/a").mkdir(parents=True)
    config = dict(options=vars(options))
    Path("runs/a/config.json").write_text(json.dumps(config))
    again, resume = read_options(["--resume", "runs/a"])
    assert vars(again) == vars(options) and resume == Path("runs/a")
    del config["options"]["convolution"]
    Path("runs/a/config.json").write_text(json.dumps(config))
    again, _ = read_options(["--resume", "runs/a"])
    assert vars(again) == vars(options) | {"convolution": "direct"}


def test_every_option_is_explained(folder):
    status, out, err = run("--help")
    assert status == 0
    for option in ("--data", "--model", "--epochs", "--batch-size", "--lr", "--momentum", "--weight-decay", "--schedule",
                   "--seed", "--threads", "--out", "--resume", "--device", "--lrn-alpha", "--dropout", "--towers", "--recipe", "--first-stages", "--pool-ties",
                   "--rate-inside", "--dropout-before", "--images-per-crop", "--spatial-norm", "--freeze", "--freeze-from"):
        assert option in out
    assert out.count("§") > 20


# Fine-tuning -------------------------------------------------------------------------------------------------------------

def test_fine_tuning_keeps_what_fits_and_draws_the_rest(folder):
    """Other classes: a new last layer. The same classes: all of it. The options of the net and the mean are those of the
    weights. It goes on without the file that it started from."""
    assert run(*QUICK, "--lrn-k", "1.5", "--dropout", "0.1", "--scale", "0.02", "--out", "before")[0] == 0
    rng = np.random.default_rng(1)
    np.savez("three.npz", x_train=rng.integers(0, 256, (96, 28, 28), np.uint8), y_train=np.arange(96) % 3,
             x_test=rng.integers(0, 256, (9, 28, 28), np.uint8), y_test=np.arange(9) % 3)
    before = state("runs/before/best.npz")[1]
    fine = ["--weights", "runs/before", "--lr", "0.001", "--batch-size", "16", "--threads", "1", "--epochs", "2"]
    status, out, err = run("--data", "three.npz", *fine, "--freeze", "conv1", "conv2", "--out", "fine")
    assert status == 0 and ("from runs/before: conv1, conv2, conv3, conv4, conv5, fc6, fc7; drawn anew: fc8 (2 classes there, 3 "
                            "here)") in out, err
    after = state("runs/fine/best.npz")[1]
    for name, array in before.items():
        same = name == ("use", "mean") or name[1].split(".")[0] in ("conv1", "conv2")
        assert (after[name] == array) is same, name
    config = json.loads(Path("runs/fine/config.json").read_text())
    assert [config["options"][name] for name in ("lrn_k", "dropout", "scale", "mean", "size", "view")] == [
        1.5, 0.1, pytest.approx(0.02), "weights", 32, 28]
    os.rename("runs/before", "runs/elsewhere")
    assert run("--resume", "runs/fine", "--epochs", "3")[0] == 0
    status, out, err = run("--data", "two.npz", "--weights", "runs/elsewhere", *fine[4:], "--freeze", "conv1", "conv2", "conv3",
                           "conv4", "conv5", "fc6", "fc7", "fc8", "--out", "same")
    assert status == 0 and "conv5, fc6, fc7, fc8\n" in out and "anew" not in out
    assert state("runs/same/best.npz")[1] == before


def test_fine_tuning_killed_at_once_starts_from_the_weights_again(folder, finished):
    finished("before")
    fine = ["--data", "two.npz", "--weights", "runs/before", "--epochs", "2", "--batch-size", "16", "--threads", "1", "--lr", "0.001"]
    process = start(*fine, "--out", "early")
    while not Path("runs/early/checkpoint.npz").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)
    process.kill()
    process.communicate()
    os.rename("runs/before", "runs/moved")
    assert run("--resume", "runs/early")[0] == 0
    os.rename("runs/moved", "runs/before")
    assert run(*fine, "--out", "straight")[0] == 0
    assert state("runs/early/checkpoint.npz")[1] == state("runs/straight/checkpoint.npz")[1]
    for left in ["config.json", "start.npz"], ["config.json"]:          # killed still earlier: it needs the weights again
        for path in Path("runs/early").iterdir():
            path.name in left or path.unlink()
        assert run("--resume", "runs/early")[0] == 0
        assert state("runs/early/checkpoint.npz")[1] == state("runs/straight/checkpoint.npz")[1]


@pytest.mark.parametrize("arguments, sentence", [
    (["--weights", "nowhere"], "nowhere"), (["--mean", "weights"], "--mean weights needs --weights FILE"),
    (["--weights", "runs/before", "--size", "40"], "--mean weights is of 32 pixels a side, found images of 40: use --size 32"),
    (["--weights", "runs/before", "--freeze", "conv9"], "--freeze expects layers of conv1, conv2"),
    (["--weights", "runs/before", "--model", "figure1"], "no layer of runs/before fits|has no --towers|--model figure1 has no")])
def test_fine_tuning_that_cannot_be(folder, finished, arguments, sentence):
    finished("before")
    status, out, err = run(*QUICK, *arguments)
    assert status == 1 and re.search(sentence, err) and err.count("\n") == 1, err


def test_data_is_told_by_its_content(folder, finished):
    """It may move; other images, labels or names of classes are found."""
    finished("kept")
    os.rename("two.npz", "moved.npz")
    status, _, err = run("--resume", "runs/kept", "--epochs", "4", "--data", "moved.npz")
    assert status == 0, err
    with np.load("moved.npz") as file:
        arrays = dict(file)
    for change in dict(x_train=255 - arrays["x_train"]), dict(classes=np.array(["a", "b"])), dict(y_train=1 - arrays["y_train"]):
        np.savez("moved.npz", **arrays | change)
        status, _, err = run("--resume", "runs/kept", "--epochs", "5")
        assert status == 1 and "the data is not what this run began with: " in err and "name it with --data" in err, (change, err)


def test_a_run_of_the_first_edition_goes_on(folder, finished):
    """Its checkpoint names the data, the images and the number of classes."""
    finished("old")
    facts, groups = load_checkpoint("runs/old/checkpoint.npz")
    facts["identity"] = {key: facts["identity"][key] for key in ("data", "images", "classes")} | dict(data="elsewhere.npz")
    save_checkpoint("runs/old/checkpoint.npz", facts, **groups)
    assert run("--resume", "runs/old", "--epochs", "4")[0] == 0


# Messages ----------------------------------------------------------------------------------------------------------------

WRONG = ["-1", "nan", "x", "", "1e99", "99999999999999999999"]


def values_of(parser):
    """Every option of a parser that takes a value, and its positional arguments."""
    return [action.option_strings[-1] if action.option_strings else None for action in parser._actions
            if action.nargs != 0 and not isinstance(action, argparse._SubParsersAction) and action.dest != "help"]


def programs():
    """(program, the arguments before an option, an option or None for a positional argument)."""
    for name in values_of(make_parser()):
        yield train, ["--data", "tiny.npz", "--epochs", "1", "--threads", "1"], name
    for command, parser in evaluate.make_parser()[1].items():
        for name in values_of(parser):
            needs = {"export": ["runs/tiny", "a.onnx"], "errors": ["runs/tiny"], "curves": ["runs/tiny"], "activations": ["photo.png"]}
            yield evaluate, [command, *([] if name is None else needs.get(command, []))], name
    for command, parser in data.make_parser()._subparsers._group_actions[0].choices.items():
        for name in values_of(parser) if command != "download" else ["--from"]:
            needs = {"prepare": ["folder", "out"], "check": ["folder"], "show": ["tiny.npz"], "download": ["cifar10"]}
            yield data, [command, *([] if name is None else needs[command])], name


@pytest.mark.slow
@pytest.mark.parametrize("program, before, name", [pytest.param(*case, id=" ".join([case[0].__name__, *case[1][:1], str(case[2])]))
                                                   for case in programs()])
def test_no_wrong_value_ends_in_a_traceback(program, before, name, tmp_path, monkeypatch, capfd):
    """One sentence, or a run: never an exception that passes through. (Of nets that need a GPU or gigabytes: a sentence.)"""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "learning_rate", lambda options, rows, epochs: None if rows else options.lr)   # an epoch
    rng = np.random.default_rng(0)
    np.savez("tiny.npz", x_train=rng.integers(0, 256, (40, 28, 28), np.uint8), y_train=np.arange(40) % 2,
             x_test=rng.integers(0, 256, (8, 28, 28), np.uint8), y_test=np.arange(8) % 2)
    Image.fromarray(np.zeros((30, 30, 3), np.uint8)).save("photo.png")
    Path("folder").mkdir()
    if program is evaluate:
        assert train.main(["--data", "tiny.npz", "--epochs", "1", "--threads", "1", "--out", "tiny"]) == 0
    for value in WRONG:
        capfd.readouterr()
        try:
            status = program.main([*before, value] if name is None else [*before, f"{name}={value}"])
        except SystemExit as error:
            status = error.code
        out, err = capfd.readouterr()
        said = err + (status if isinstance(status, str) else "")
        assert "Traceback" not in said and (status in (0, None) or said.strip()), (value, said)
        assert "line " not in said.split(":")[0] and "Errno" not in said, (value, said)
