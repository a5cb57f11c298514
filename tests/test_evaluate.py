"""evaluate.py: its counts, its pictures, its errors."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_interop import small

import data
import evaluate
import train
from data import DataError
from nn import save_checkpoint, top_errors
from results import figures
from results.errors import by_class, images_for, ranks, rates, taken_for
from results.neighbours import nearest
from results.photos import photograph
from results.trained import read

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.program


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a data set of three classes and two runs on it, two epochs each, as train.py leaves them."""
    folder = tmp_path_factory.mktemp("evaluate")
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    images = rng.integers(0, 150, (300, 28, 28)) + 40 * labels[:, None, None]
    np.savez(folder / "three.npz", x_train=images[:240].astype(np.uint8), y_train=labels[:240],
             x_test=images[240:].astype(np.uint8), y_test=labels[240:], classes=np.array(["ant", "bee", "cat"]))
    for seed in (0, 1):
        done = subprocess.run([sys.executable, ROOT / "train.py", "--data", "three.npz", "--batch-size", "16", "--epochs",
                               "2", "--threads", "1", "--seed", str(seed), "--out", f"seed{seed}"], cwd=folder,
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def here(place, monkeypatch):
    monkeypatch.chdir(place)
    return place


def run(capsys, *arguments):
    """→ (exit status, what is printed, what is printed as an error), of evaluate.py in this process."""
    status = evaluate.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return status, out, err


# What is counted -----------------------------------------------------------------------------------------------------

def test_ranks_and_rates_on_numbers_by_hand():
    p = np.array([[0.5, 0.3, 0.1, 0.06, 0.03, 0.01],            # right
                  [0.3, 0.5, 0.1, 0.06, 0.03, 0.01],            # second
                  [0.4, 0.4, 0.1, 0.06, 0.03, 0.01],            # a tie for the first place: wrong
                  [0.1, 0.2, 0.3, 0.2, 0.15, 0.05],             # fifth
                  [0.0, 0.2, 0.3, 0.2, 0.2, 0.1],               # sixth
                  [1 / 6] * 6, [np.nan] * 6])                   # equal probabilities; no numbers
    labels = np.zeros(7, int)
    assert ranks(p, labels).tolist() == [1, 2, 2, 5, 6, 6, 6]
    found = rates(p[:6], labels[:6])
    assert (found["top1"], found["top5"]) == (5 / 6, 2 / 6)
    assert taken_for(p[:6], labels[:6]).tolist() == [0, 1, 1, 2, 2, 1]
    assert found["loss"] == pytest.approx(-np.log(np.maximum(p[:6, 0], 1e-30)).mean())


def test_they_count_as_nn_does():
    rng = np.random.default_rng(1)
    p = rng.integers(0, 4, (500, 7)) / 10                       # many ties
    p[::50] = np.nan
    labels = rng.integers(0, 7, 500)
    for k in (1, 5):
        assert (ranks(p, labels) > k).sum() == top_errors(p, labels, k)


def test_classes_and_confusions():
    classes = ["a", "b", "c"]
    p = np.array([[0.7, 0.2, 0.1]] * 3 + [[0.1, 0.8, 0.1]] * 2 + [[0.2, 0.3, 0.5]])
    labels = np.array([0, 0, 1, 1, 2, 2])
    table, confusions = by_class(p, labels, classes)
    assert [(row["class"], row["images"], row["top1"]) for row in table] == [("b", 2, 0.5), ("c", 2, 0.5), ("a", 2, 0.0)]
    assert confusions == [{"class": "b", "taken_for": "a", "images": 1}, {"class": "c", "taken_for": "b", "images": 1}]


def test_a_runs_own_figures(here, capsys, tmp_path):
    """The same numbers as in train.py's results.json, without --data."""
    status, out, err = run(capsys, "runs/seed0", "--out", tmp_path / "out")
    assert status == 0 and "three.npz: 60 images (test), 3 classes" in out
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    wanted = json.loads(Path("runs/seed0/results.json").read_text())
    member, = found["members"]
    for views, own in ("one_view", "test_one_view"), ("ten_views", "test_ten_views"):
        assert member[views]["top1"] == wanted[own]["top1"] and member[views]["top5"] == wanted[own]["top5"]
        assert member[views]["loss"] == pytest.approx(wanted[own]["loss"], rel=1e-5)
    assert "ensemble" not in found and found["images"] == 60
    assert sum(row["images"] for row in found["per_class"]) == 60
    wrong = sum(row["top1"] * row["images"] for row in found["per_class"])
    assert wrong == pytest.approx(60 * member["ten_views"]["top1"])
    assert sum(pair["images"] for pair in found["confusions"]) == pytest.approx(wrong)
    with Image.open(tmp_path / "out" / "confusions.png") as picture:
        assert min(picture.size) > 200


def test_an_ensemble_is_the_mean_after_the_softmax(here, capsys, tmp_path):
    status, out, _ = run(capsys, "errors", "runs/seed0", "runs/seed1/best.npz", "--out", tmp_path)
    assert status == 0 and "all 2 together" in out and "runs/seed1/best.npz" in out
    found = json.loads((tmp_path / "results.json").read_text())
    nets = [read("runs/seed0"), read("runs/seed1")]
    with np.load("three.npz") as file:
        labels = file["y_test"]
        images = np.stack([np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR))
                           for image in file["x_test"]])[..., None]
    assert len(found["members"]) == 2
    for views, key in (1, "one_view"), (10, "ten_views"):
        p = sum(net.predict(images, views) for net in nets) / 2
        for k in (1, 5):
            assert found["ensemble"][key][f"top{k}"] == pytest.approx(top_errors(p, labels, k) / 60)
        assert found["ensemble"][key]["loss"] == pytest.approx(-np.log(p[range(60), labels]).mean(), rel=1e-5)


def test_ten_views_are_averaged_after_the_softmax():
    net = small()
    images = np.random.default_rng(2).integers(0, 256, (3, 32, 32, 1), np.uint8)
    corners = [(0, 0), (0, 4), (4, 0), (4, 4), (2, 2)]
    wanted = 0
    for top, left in corners:
        crop = np.s_[top:top + 28, left:left + 28]
        view = ((images[:, *crop] - net.mean[crop]) * net.scale).astype(np.float32)
        wanted = wanted + net.network.predict(view) + net.network.predict(np.ascontiguousarray(view[:, :, ::-1]))
    np.testing.assert_allclose(net.predict(images, 10), wanted / 10, rtol=1e-5)
    assert np.abs(net.predict(images, 1) - net.predict(images, 10)).max() > 1e-3


def test_classes_are_matched_by_name(here, capsys, tmp_path):
    """The same images with their classes in another order, and only two of them, give the same errors."""
    run(capsys, "runs/seed0", "--out", tmp_path / "a")
    with np.load("three.npz") as file:
        arrays = dict(file)
    kept = arrays["y_test"] != 0
    new = np.array([9, 1, 0])                                   # bee → 1, cat → 0
    both = {f"y_{part}": new[arrays[f"y_{part}"]][arrays[f"y_{part}"] != 0] for part in ("train", "test")}
    both |= {f"x_{part}": arrays[f"x_{part}"][arrays[f"y_{part}"] != 0] for part in ("train", "test")}
    np.savez(tmp_path / "two.npz", **both, classes=np.array(["cat", "bee"]))
    status, out, _ = run(capsys, "runs/seed0", "--data", tmp_path / "two.npz", "--out", tmp_path / "b")
    assert status == 0 and f"{kept.sum()} images" in out
    a, b = (json.loads((tmp_path / name / "results.json").read_text()) for name in "ab")
    by_name = [{row["class"]: row["top1"] for row in found["per_class"]} for found in (a, b)]
    assert by_name[1] == {name: by_name[0][name] for name in ("bee", "cat")}


@pytest.mark.parametrize("split, count", [("test", 60), ("validation", 24), ("train", 216)])
def test_splits(here, capsys, tmp_path, split, count):
    status, out, _ = run(capsys, "runs/seed0", "--split", split, "--out", tmp_path)
    assert status == 0 and f"{count} images ({split})" in out


# Photographs ---------------------------------------------------------------------------------------------------------

@pytest.fixture
def photos(tmp_path):
    """A folder of images, two of them broken."""
    folder = tmp_path / "photos"
    folder.mkdir()
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))
    for name in ("a.jpg", "b.png", "ü b.webp"):
        picture.save(folder / name)
    picture.convert("CMYK").save(folder / "cmyk.jpg")
    picture.convert("L").save(folder / "grey.gif")
    (folder / "broken.jpg").write_bytes((folder / "a.jpg").read_bytes()[:300])
    (folder / "text.png").write_text("no image")
    (folder / "notes.txt").write_text("passed over")
    return folder


def test_a_folder_of_photographs(here, capsys, tmp_path, photos):
    status, out, err = run(capsys, "classify", photos, "nowhere.jpg", "--weights", "runs/seed0", "--out", tmp_path)
    assert status == 1 and err.count("\n") == 3
    assert "broken.jpg: " in err and "text.png: not an image" in err and "nowhere.jpg: there is no such file" in err
    assert [line for line in out.splitlines() if not line.startswith((" ", "drawn"))] == [
        "a.jpg", "b.png", "cmyk.jpg", "grey.gif", "ü b.webp"]
    assert out.count("█") > 0 and out.count("ant") == 5 and "notes" not in out + err
    for line in out.splitlines():
        assert not line.startswith("  ") or 0 <= float(line.split("%")[0]) <= 100
    with Image.open(tmp_path / "classified.png") as picture:
        assert min(picture.size) > 300


def test_it_needs_no_training_data(here, tmp_path):
    """A photograph from standard input, the weights alone, in another folder."""
    weights = (here / "runs" / "seed0" / "best.npz").resolve()
    photo = (ROOT / "datasets/photos/chelsea.jpg").read_bytes()
    done = subprocess.run([sys.executable, ROOT / "evaluate.py", "classify", "-", "--weights", weights], cwd=tmp_path,
                          input=photo, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().startswith("standard input\n") and b"bee" in done.stdout


def test_the_pipe_may_close(here):
    done = subprocess.run(f"{sys.executable} {ROOT}/evaluate.py --help | head -1", shell=True, capture_output=True, cwd=here,
                          text=True)
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


def test_without_photographs_some_of_the_test_images(here, capsys, tmp_path):
    status, out, _ = run(capsys, "classify", "--weights", "runs/seed0", "--count", "5", "--top", "2", "--out", tmp_path)
    names = [line for line in out.splitlines() if line.startswith("test image")]
    assert status == 0 and len(names) == 5 and names == sorted(names, key=lambda line: int(line.split()[2].strip(":")))
    assert all(line.split(": ")[1] in ("ant", "bee", "cat") for line in names)


def test_names_of_classes_from_a_file(here, capsys, tmp_path):
    """For a prediction, and for the error rates, where the data's classes are found by name."""
    names = tmp_path / "names.txt"
    names.write_text("\ufeffcat\nbee\nant\n", encoding="utf-8")
    status, out, _ = run(capsys, "classify", ROOT / "datasets/photos/coffee.jpg", "--weights", "runs/seed0", "--classes", names,
                         "--views", "1", "--out", tmp_path)
    _, own, _ = run(capsys, "classify", ROOT / "datasets/photos/coffee.jpg", "--weights", "runs/seed0", "--views", "1", "--out",
                    tmp_path)
    words = {"ant": "cat", "bee": "bee", "cat": "ant"}
    assert status == 0 and [line.split()[-1] for line in out.splitlines()[1:4]] == [words[line.split()[-1]] for line in own.splitlines()[1:4]]
    status, out, _ = run(capsys, "errors", "runs/seed0", "--classes", names, "--out", tmp_path)
    assert status == 0 and json.loads((tmp_path / "results.json").read_text())["classes"] == 3


def test_a_photograph_is_turned_as_its_exif_says(tmp_path):
    net = small()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6                                            # was turned by 90° clockwise
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    Image.fromarray(np.rot90(pixels, -1)).save(tmp_path / "upright.png")
    found, wanted = (photograph(tmp_path / f"{name}.png", net)[0] for name in ("turned", "upright"))
    np.testing.assert_array_equal(found, wanted)


def test_images_that_are_too_much(tmp_path):
    """Hundreds of megapixels are refused before they are decoded; so are numbers of 32 bits."""
    net = small()
    large = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(large, "PNG")
    with pytest.raises(Exception, match="pixels"):
        photograph(io.BytesIO(large.getvalue()), net)
    Image.fromarray(np.zeros((9, 9), np.float32)).save(tmp_path / "deep.tif")
    with pytest.raises(DataError, match="F pixels, expected 8 or 16 bits a channel"):
        photograph(tmp_path / "deep.tif", net)


# Pictures ------------------------------------------------------------------------------------------------------------

def test_filters_and_activations(here, capsys, tmp_path):
    status, out, _ = run(capsys, "filters", "runs/seed0", "--out", tmp_path)
    assert status == 0 and "16 kernels of 5×5×1 of runs/seed0" in out
    status, out, _ = run(capsys, "activations", ROOT / "datasets/photos/rocket.jpg", "--weights", "runs/seed1", "--out",
                         tmp_path)
    assert status == 0 and "rocket.jpg: " in out
    for name in ("filters.png", "activations.png"):
        with Image.open(tmp_path / name) as picture:
            assert min(picture.size) > 100


def test_activations_are_the_networks_own(here, capsys, tmp_path, monkeypatch):
    """Layer by layer, the grouped net gives the two towers' features."""
    drawn = {}
    monkeypatch.setattr(figures, "draw_activations", lambda image, layers, answer, path: drawn.update(
        image=image, layers=dict(layers), answer=answer))
    run(capsys, "activations", ROOT / "datasets/photos/rocket.jpg", "--weights", "runs/seed0", "--out", tmp_path)
    net = read("runs/seed0")
    image, _ = photograph(ROOT / "datasets/photos/rocket.jpg", net)
    rate = net.network.towers[0]["drop7"].rate
    np.testing.assert_allclose(drawn["layers"]["relu7"] * (1 - rate), net.features(image[None])[0], rtol=1e-4, atol=1e-6)
    assert list(drawn["layers"]) == ["relu1", "norm1", "pool1", "relu2", "norm2", "pool2", "relu3", "relu4", "relu5",
                                     "pool5", "relu6", "relu7"]
    assert drawn["layers"]["relu1"].shape == (28, 28, 16) and drawn["image"].shape == (28, 28, 1)


def test_the_nearest_are_the_nearest():
    rng = np.random.default_rng(0)
    rows, queries = rng.standard_normal((700, 9)).astype(np.float32), rng.standard_normal((4, 9)).astype(np.float32)
    queries[0] = rows[321] + 1e-4                               # where products would lose it
    for size in (64, 700, 1024):
        distances, numbers = nearest(queries, rows, 5, size)
        wanted = np.linalg.norm(rows.astype(np.float64)[None] - queries[:, None], axis=2)
        np.testing.assert_array_equal(numbers, np.argsort(wanted, 1)[:, :5])
        np.testing.assert_allclose(distances, np.sort(wanted, 1)[:, :5], rtol=1e-5)
    assert numbers[0, 0] == 321


def test_neighbours_and_their_index(here, capsys, tmp_path):
    arguments = ["neighbours", "--weights", "runs/seed0", "--count", "3", "--batch-size", "50", "--out", tmp_path]
    status, out, _ = run(capsys, *arguments)
    assert status == 0 and out.count(": nearest by features") == 3 and "of the image's own class" in out
    index, = tmp_path.glob("features-*.npy")
    made, features = index.stat().st_mtime_ns, np.load(index)
    net = read("runs/seed0")
    _, split = images_for(net, None, "train")
    np.testing.assert_allclose(features, net.features(split.images), rtol=1e-4, atol=1e-5)
    assert run(capsys, *arguments)[1] == out and index.stat().st_mtime_ns == made       # built once
    run(capsys, "neighbours", ROOT / "datasets/photos/coffee.jpg", "--weights", "runs/seed1", "--out", tmp_path)
    assert len(list(tmp_path.glob("features-*.npy"))) == 2 and not list(tmp_path.glob("*.tmp"))


def test_curves(here, capsys, tmp_path):
    status, out, _ = run(capsys, "curves", "runs/seed0", "runs/seed1", "--out", tmp_path)
    rows = list(csv.DictReader(open("runs/seed0/log.csv")))
    lowest = min(float(row["val_top1"]) for row in rows)
    assert status == 0 and f"runs/seed0: 2 epochs, lowest validation error {lowest:.2%}" in out
    assert (tmp_path / "curves.png").stat().st_size > 10_000


def test_export(here, capsys, tmp_path):
    status, out, _ = run(capsys, "export", "runs/seed0", tmp_path / "net.safetensors")
    assert status == 0 and "3 classes; it takes images of 32×32 pixels" in out
    run(capsys, tmp_path / "net.safetensors", "--out", tmp_path / "b")
    assert json.loads((tmp_path / "b" / "results.json").read_text())["members"][0]["ten_views"]["top1"] == json.loads(
        Path("runs/seed0/results.json").read_text())["test_ten_views"]["top1"]


# How it fails --------------------------------------------------------------------------------------------------------

def test_export_asks_for_the_package(here, capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    status, _, err = run(capsys, "export", "runs/seed0", tmp_path / "net.onnx")
    assert status == 1 and err == ("evaluate.py: .onnx files are written with the package onnx, which is not installed: "
                                   "pip install -r requirements/interop.txt\n")


@pytest.mark.parametrize("arguments, sentence", [
    (["runs/nowhere"], "expected a run's folder or a file of weights"), (["runs/nowhere.npz"], "found no runs/nowhere.npz"),
    (["three.npz"], "is not a whole checkpoint"), (["runs/seed0", "--data", "nothing"], "nothing: no such file or folder"),
    (["runs/seed0", "--device", "abacus"], "found device 'abacus', expected cpu, cuda"),
    (["runs/seed0", "--batch-size", "0"], "--batch-size must be from 1 to 1048576"),
    (["runs/seed0", "--threads", "0"], "threads must be"),
    (["runs/seed0", "runs/seed1", "--split", "validation"], "other seed|other images"),
    (["classify", ".", "--weights", "runs/seed0"], "has no images"),
    (["classify", "--weights", "runs/seed0", "--classes", "runs/seed0/config.json"], "config.json is not a JSON list of names"),
    (["classify", "--weights", "runs/seed0", "--classes", "nowhere.txt"], "nowhere.txt cannot be read"),
    (["classify", "--weights", "runs/seed0", "--mean", "three.npz"], "three.npz is no mean image of Caffe's"),
    (["classify", "--weights", "runs/seed0/log.csv"], "log.csv is a text, not weights"),
    (["classify", "--count", "0", "--weights", "runs/seed0"], "--count must be from 1 to"),
    (["classify", "--top", "0", "x.jpg", "--weights", "runs/seed0"], "--top must be from 1 to"),
    (["curves", "runs"], "found no whole log.csv in runs"), (["export", "runs/seed0", "net.h5"], "expected .onnx or"),
    (["export", "runs/seed0", "nowhere/net.safetensors"], "No such file or directory"),
    (["activations", "three.npz", "--weights", "runs/seed0"], "no image could be read"),
    (["other.npz", "--data", "three.npz"], "knows no class ant, bee, cat"),
    (["other.npz"], "does not say what it was trained on: name images with --data")])
def test_errors_are_one_sentence(here, capsys, tmp_path, arguments, sentence):
    import re
    net = small()
    save_checkpoint("other.npz", dict(use=net.facts()), weights=net.network.weights(), use={"mean": net.mean})
    status, _, err = run(capsys, *arguments, "--out", tmp_path)
    lines = [line for line in err.splitlines() if "not an image" not in line]
    assert status == 1 and len(lines) == 1 and re.search(sentence, lines[0]), err


def test_where_no_run_is(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, err = run(capsys, "filters")
    assert status == 1 and "found no run in runs/: train a net with python train.py" in err


def test_the_newest_run_is_the_default(here, capsys, tmp_path):
    os.utime("runs/seed0/best.npz")
    assert "of runs/seed0" in run(capsys, "filters", "--out", tmp_path)[1]
    os.utime("runs/seed1/best.npz")
    assert "of runs/seed1" in run(capsys, "filters", "--out", tmp_path)[1]


def test_help_and_no_arguments(capsys):
    assert run(capsys)[0] == 1
    with pytest.raises(SystemExit):
        evaluate.main(["--help"])
    out = capsys.readouterr().out
    for word in ("classify", "filters", "activations", "neighbours", "curves", "export", "Ties count as errors"):
        assert word in out


# The ablations -------------------------------------------------------------------------------------------------------

def test_the_ablation_runner(tmp_path):
    """Two seeds of two nets; a second call reuses them; other settings are refused."""
    command = [sys.executable, ROOT / "benchmarks" / "ablations.py", "--fast", "--only", "lrn", "--out", "here", "--seeds"]
    done = subprocess.run([*command, "2"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(open(tmp_path / "here" / "ablations.csv")))
    assert [(row["ablation"], row["seed"]) for row in rows] == [("whole", "0"), ("lrn", "0"), ("whole", "1"), ("lrn", "1")]
    values = {name: np.array([100 * float(row["ten_top1"]) for row in rows if row["ablation"] == name]) for name in
              ("whole", "lrn")}
    change = values["lrn"] - values["whole"]
    assert f"{change.mean():6.2f} ± {change.std(ddof=1) / np.sqrt(2):4.2f}" in done.stdout
    assert "1.4 / 1.2 (§ 3.3)" in done.stdout and "2 whole nets averaged" in done.stdout
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "here" / "runs").rglob("best.npz")}
    again = subprocess.run([*command, "2"], cwd=tmp_path, capture_output=True, text=True)
    assert again.stdout == done.stdout
    assert all(path.stat().st_mtime_ns == when for path, when in made.items())
    other = subprocess.run([*command[:2], "--images", "200", *command[3:], "2"], cwd=tmp_path, capture_output=True, text=True)
    assert other.returncode == 1 and "choose another --out" in other.stderr


def test_validation_images_are_those_that_the_run_held_out(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    monkeypatch.chdir(tmp_path)
    x, y = rng.integers(0, 256, (52, 22, 22), np.uint8), rng.integers(0, 4, 52)
    np.savez("two.npz", x_train=x[:40], y_train=y[:40], x_test=x[40:], y_test=y[40:])
    assert train.main(["--data", "two.npz", "--size", "22", "--batch-size", "12", "--epochs", "1", "--holdout", "0.4",
                       "--seed", "3", "--out", "run"]) == 0
    assert evaluate.main(["runs/run", "--split", "validation"]) == 0
    found = json.loads(Path("evaluation/results.json").read_text())
    with open("runs/run/log.csv") as file:
        row, = csv.DictReader(file)
    assert found["images"] == len(data.load("two.npz", 22, 1, 3, 0.4).validation.labels) != 4
    assert found["members"][0]["one_view"]["loss"] == pytest.approx(float(row["val_loss"]), rel=1e-6)


@pytest.mark.parametrize("mean", ["centre", "channel"])
def test_a_run_with_another_mean(tmp_path, monkeypatch, mean):
    """Its figures are train.py's, and its ONNX file says the same of an image as the net."""
    rng = np.random.default_rng(0)
    monkeypatch.chdir(tmp_path)
    x, y = rng.integers(0, 256, (52, 22, 22, 3), np.uint8), rng.integers(0, 4, 52)
    np.savez("two.npz", x_train=x[:40], y_train=y[:40], x_test=x[40:], y_test=y[40:])
    assert train.main(["--data", "two.npz", "--size", "22", "--batch-size", "12", "--epochs", "1", "--mean", mean,
                       "--out", "run"]) == 0
    assert evaluate.main(["runs/run"]) == 0
    stated, found = (json.loads(Path(name).read_text()) for name in ("runs/run/results.json", "evaluation/results.json"))
    for views in ("one_view", "ten_views"):
        assert found["members"][0][views]["loss"] == pytest.approx(stated[f"test_{views}"]["loss"], rel=1e-6)
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs requirements/interop.txt")
    assert evaluate.main(["export", "runs/run", "run.onnx"]) == 0
    session = onnxruntime.InferenceSession("run.onnx")
    given = x[:3].transpose(0, 3, 1, 2).astype(np.float32)
    p, = session.run(None, {session.get_inputs()[0].name: given})
    np.testing.assert_allclose(p, read("runs/run").predict(x[:3]), atol=1e-5)
