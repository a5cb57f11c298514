"""Colour noise (§ 4.1), means (§ 2), the erased block, and batches made ahead."""

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import data
from data import DataError, Split
from imaging import load as loading
from imaging.prefetch import Prefetch
from imaging.views import colour_axes, cutout_draws
from train import main

ROOT = Path(__file__).resolve().parents[1]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def photographs(count=300, side=28):
    """Images whose channels go together, as in photographs: much grey, little colour."""
    rng = np.random.default_rng(1)
    grey, colour = rng.normal(0, 60, (count, side, side, 1)), rng.normal(0, 8, (count, side, side, 3))
    return np.clip(120 + grey + colour * [1, 0.5, 1.5], 0, 255).astype(np.uint8)


IMAGES = photographs()
MEAN = data.mean_image(IMAGES)


# Colour --------------------------------------------------------------------------------------------------------------

def test_axes_are_those_of_the_covariance():
    values, vectors = colour_axes(IMAGES)
    wanted = np.cov(IMAGES.reshape(-1, 3).T.astype(np.float64), bias=True)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(vectors * values @ vectors.T, wanted, rtol=1e-9)
    assert values[0] > values[1] > values[2] and vectors[:, 0].min() > 0.4      # first of all, brightness


def shifts_of(images, colour, epoch=0, side=28):
    """(N, 3): by how much each image's colour is moved."""
    plain = data.random_views(images, np.arange(len(images)), side, MEAN, 3, epoch)
    moved = data.random_views(images, np.arange(len(images)), side, MEAN, 3, epoch, colour=colour)
    difference = moved - plain
    assert np.ptp(difference, axis=(1, 2)).max() < 1e-4     # the same for every pixel of an image
    return difference.mean(axis=(1, 2))


@pytest.mark.parametrize("factor", data.FACTORS)
def test_colour_noise_is_the_papers_formula(factor):
    """Mean 0; along the eigenvectors, deviation σ λ (of pixels from 0 to 1, in grey levels) or σ √λ, independent."""
    values, vectors = colour_axes(IMAGES)
    found = np.concatenate([shifts_of(IMAGES, data.colour_noise(IMAGES, 0.1, factor), epoch) for epoch in range(20)])
    along = found @ vectors
    wanted = 0.1 * (values / 255 if factor == "eigenvalue" else np.sqrt(values))
    assert (np.abs(along.mean(axis=0)) < 4 * wanted / np.sqrt(len(found))).all()
    np.testing.assert_allclose(along.std(axis=0), wanted, rtol=0.04)
    np.testing.assert_allclose(np.corrcoef(along.T), np.eye(3), atol=0.05)


def test_colour_is_drawn_anew_for_every_image_and_epoch_but_not_for_every_batch():
    colour = data.colour_noise(IMAGES)
    first = shifts_of(IMAGES, colour)
    assert len(np.unique(first.round(4), axis=0)) == len(first)
    assert np.abs(first - shifts_of(IMAGES, colour, epoch=1)).mean() > 1
    whole = data.random_views(IMAGES, np.arange(300), 24, MEAN, 3, 0, colour=colour, cutout=5)
    for index in [7], [299, 0, 7], np.arange(100, 133):
        some = data.random_views(IMAGES, index, 24, MEAN, 3, 0, colour=colour, cutout=5)
        np.testing.assert_array_equal(some, whole[index])


def test_colour_noise_leaves_crops_and_mirrors_as_they_are():
    plain = data.random_views(IMAGES, np.arange(20), 24, MEAN, 0, 0)
    moved = data.random_views(IMAGES, np.arange(20), 24, MEAN, 0, 0, colour=data.colour_noise(IMAGES))
    np.testing.assert_allclose(moved - moved.mean(axis=(1, 2), keepdims=True),
                               plain - plain.mean(axis=(1, 2), keepdims=True), atol=1e-3)


def test_one_channel_has_colour_noise_too():
    grey = IMAGES[..., :1]
    colour, mean = data.colour_noise(grey), data.mean_image(grey)
    assert colour.shape == (1, 1)
    plain, moved = (data.random_views(grey, [0], 24, mean, 0, 0, colour=noise) for noise in (None, colour))
    assert plain.shape == (1, 24, 24, 1) and np.ptp(moved - plain) < 1e-4 and abs((moved - plain).mean()) > 0.1


def test_wrong_names_are_refused():
    with pytest.raises(DataError, match="colour factor 'lambda': expected eigenvalue or deviation"):
        data.colour_noise(IMAGES, factor="lambda")
    with pytest.raises(DataError, match="mean 'none': expected pixel, centre, channel"):
        data.mean_image(IMAGES, "none")


# Means ---------------------------------------------------------------------------------------------------------------

def test_the_mean_per_channel():
    mean = data.mean_image(IMAGES, "channel")
    np.testing.assert_allclose(mean, np.broadcast_to(IMAGES.mean(axis=(0, 1, 2)), (28, 28, 3)), rtol=1e-6)


def test_the_2012_codes_mean_is_its_centre_whatever_the_crop():
    mean = data.mean_image(IMAGES, "centre", side=24)
    np.testing.assert_array_equal(mean, MEAN[2:26, 2:26])
    nothing = np.zeros_like(MEAN)
    for minus, plain in zip(data.random_views(IMAGES, np.arange(50), 24, mean, 0, 0),
                            data.random_views(IMAGES, np.arange(50), 24, nothing, 0, 0)):
        np.testing.assert_array_equal(minus, plain - mean)  # not mirrored with the image either
    np.testing.assert_array_equal(data.central_views(IMAGES, 24, mean), data.central_views(IMAGES, 24, MEAN))
    corner = next(data.ten_views(IMAGES, 24, mean))
    np.testing.assert_array_equal(corner, IMAGES[:, :24, :24] - mean)


# One crop for several images ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("group", [1, 2, 32, 100])
def test_images_in_a_row_share_a_crop(group):
    """Crop and mirror are those of the first image of each group; colour and erased block stay each image's own."""
    index = np.random.default_rng(0).permutation(300)[:75]
    views = data.random_views(IMAGES, index, 21, MEAN, 3, 5, images_per_crop=group)
    table = data.draws(300, 7, 7, 3, 5)
    for n, i in enumerate(index):
        top, left, mirror = table[index[n - n % group]]
        crop = np.s_[top:top + 21, left:left + 21]
        wanted = IMAGES[i][crop] - MEAN[crop]
        np.testing.assert_array_equal(views[n], wanted[:, ::-1] if mirror else wanted)
    colour = data.colour_noise(IMAGES)
    alone, together = (data.random_views(IMAGES, index, 28, np.zeros_like(MEAN), 3, 5, colour=colour, images_per_crop=n)
                       for n in (1, group))
    np.testing.assert_allclose(alone.mean(axis=(1, 2)), together.mean(axis=(1, 2)), rtol=1e-4)
    if group == 1:
        np.testing.assert_array_equal(views, data.random_views(IMAGES, index, 21, MEAN, 3, 5))


def test_batches_share_crops_within_each_batch():
    split = Split(IMAGES, np.arange(300) % 7)
    index = data.order(300, 3, 1)[:240].reshape(4, 60)
    for workers in (0, 2):
        with data.batches(split, 60, 21, MEAN, 3, 1, start=2, workers=workers, images_per_crop=32) as source:
            for number, (images, _) in enumerate(source, start=2):
                if number < 4:
                    np.testing.assert_array_equal(images, data.random_views(IMAGES, index[number], 21, MEAN, 3, 1,
                                                                            images_per_crop=32))


# Cutout --------------------------------------------------------------------------------------------------------------

def test_cutout_erases_one_square_block():
    white = np.full((400, 28, 28, 3), 255, np.uint8)
    views = data.random_views(white, np.arange(400), 24, np.zeros((28, 28, 3), np.float32), 0, 0, cutout=8)
    middles, sizes = cutout_draws(400, 24, 0, 0), []
    for view, (row, column) in zip(views, middles):
        erased = (view == 0).all(axis=2)
        wanted = np.zeros((24, 24), bool)
        wanted[max(0, row - 4):row + 4, max(0, column - 4):column + 4] = True
        np.testing.assert_array_equal(erased, wanted)
        sizes.append(erased.sum())
    assert max(sizes) == 64 and min(sizes) < 40             # whole, or over the edge
    untouched = data.random_views(white, np.arange(400), 24, np.zeros((28, 28, 3), np.float32), 0, 0)
    assert (untouched == 255).all()                         # off by default


# Batches made ahead --------------------------------------------------------------------------------------------------

SPLIT = Split(IMAGES, np.arange(300))


def test_any_number_of_workers_gives_the_same_batches():
    def all_of(workers, start=0):
        return [(images.tobytes(), labels.tolist()) for images, labels in data.batches(
            SPLIT, 32, 24, MEAN, 1, 4, start, colour=data.colour_noise(IMAGES), cutout=6, workers=workers)]
    wanted = all_of(0)
    assert len(wanted) == 9
    assert all_of(1) == all_of(2) == all_of(5) == wanted
    assert all_of(3, start=6) == wanted[6:]


def test_one_step_of_one_epoch_can_be_made_alone():
    colour = data.colour_noise(IMAGES)
    *_, (images, labels) = data.batches(SPLIT, 32, 24, MEAN, 1, 4, colour=colour)
    with data.batches(SPLIT, 32, 24, MEAN, 1, 4, start=8, colour=colour, workers=0) as source:
        again, same = next(source)
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(labels, same)


def test_no_more_is_made_than_asked_for():
    made, lock = [], threading.Lock()

    def make(number):
        with lock:
            made.append(number)
        return number

    with Prefetch(make, 3, 100, workers=2, ahead=4) as source:
        assert not made                                     # nothing before the first is requested
        assert next(source) == 3
        time.sleep(0.1)
        assert sorted(made) == [3, 4, 5, 6]
        assert [next(source) for _ in range(5)] == [4, 5, 6, 7, 8]
        time.sleep(0.1)
        assert sorted(made) == list(range(3, 12))
    assert next(source, "ended") == "ended"
    assert list(Prefetch(make, 0, 0)) == [] and list(Prefetch(make, 0, 3, workers=0)) == [0, 1, 2]


def test_an_error_in_a_thread_is_raised_in_its_turn_and_at_once():
    def make(number):
        if number == 2:
            raise DataError("broken")
        time.sleep(0.01)
        return number

    with Prefetch(make, 0, 10) as source:
        assert [next(source), next(source)] == [0, 1]
        began = time.monotonic()
        with pytest.raises(DataError, match="broken"):
            next(source)
        assert time.monotonic() - began < 1


def test_close_ends_the_threads():
    before = threading.active_count()
    source = data.batches(SPLIT, 32, 24, MEAN, 0, 0, workers=3)
    next(source)
    assert threading.active_count() > before
    source.close()
    assert threading.active_count() == before
    source.close()                                          # twice does no harm


# Files decoded as they are used --------------------------------------------------------------------------------------

@pytest.fixture
def folder(tmp_path):
    for i in range(120):
        path = tmp_path / "train" / "ab"[i % 2] / f"{i:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(20, 24, 3, seed=i)).save(path)
    for name in "ab":
        path = tmp_path / "val" / name / "0.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(noise(20, 24, 3, seed=500)).save(path)
    return tmp_path


def test_lazy_is_the_same_as_loaded(folder):
    loaded, lazy = data.load(folder, 16), data.load(folder, 16, lazy=True)
    mean = data.mean_image(loaded.train.images)
    np.testing.assert_array_equal(data.mean_image(lazy.train.images), mean)
    both = (data.batches(found.train, 16, 14, mean, 0, 0) for found in (loaded, lazy))
    for a, b in zip(*both, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])
    np.testing.assert_array_equal(lazy.test.images[:], loaded.test.images)


def test_a_broken_file_is_left_out_of_its_batch_and_named(folder):
    (folder / "train" / "a" / "004.png").write_bytes(b"no image")
    found = data.load(folder, 16, lazy=True, holdout=0)
    mean = np.zeros((16, 16, 3), np.float32)
    for _ in range(2):
        (images, labels), = data.batches(found.train, 120, 14, mean, 0, 0)
        assert len(images) == len(labels) == 119
    assert found.bad == ["train/a/004.png: not an image"]
    (folder / "train" / "a" / "006.png").write_bytes(b"")
    with pytest.raises(DataError, match="2 of 122 images are broken so far, over 1%; repair or remove them"):
        list(data.batches(data.load(folder, 16, lazy=True, holdout=0).train, 120, 14, mean, 0, 0))


def test_a_large_folder_says_how_else(folder, monkeypatch):
    monkeypatch.setattr(loading, "MEMORY", 1000)
    with pytest.raises(DataError, match="python data.py prepare .* PREPARED --size 16.*--lazy"):
        data.load(folder, 16)
    assert len(data.load(folder, 16, lazy=True).train.labels) == 108


def test_holdout_0_validates_on_the_test_images(folder):
    found = data.load(folder, 16, holdout=0)
    assert len(found.train.labels) == 120
    np.testing.assert_array_equal(found.validation.images, found.test.images)


# From outside --------------------------------------------------------------------------------------------------------

def test_pictures(tmp_path, folder):
    data.main(["prepare", str(folder), str(tmp_path / "prepared"), "--size", "16", "--workers", "1"])
    data.main(["show", str(tmp_path / "prepared")])
    photo = str(ROOT / "datasets/photos/chelsea.jpg")
    data.main(["show", "--augment", photo, "--out", str(tmp_path / "augmented.png")])
    for name in "prepared/contact_sheet.png", "augmented.png":
        with Image.open(tmp_path / name) as picture:
            assert min(picture.size) > 200 and len(picture.convert("L").resize((64, 64)).getcolors()) > 30
    data.main(["check", str(tmp_path / "prepared")])        # the picture does not disturb it
    with pytest.raises(SystemExit, match="nothing.jpg: cannot be drawn .*expected an image file"):
        data.main(["show", "--augment", str(tmp_path / "nothing.jpg")])


def test_training_from_prepared_shards_resumes_to_the_same_bits(tmp_path, folder, monkeypatch, capsys):
    """train.py with every augmentation, stopped after an epoch and resumed with another number of workers."""
    data.main(["prepare", str(folder), str(tmp_path / "prepared"), "--size", "32", "--workers", "1"])

    def train(*arguments):
        assert main(arguments) == 0, capsys.readouterr().err

    monkeypatch.chdir(tmp_path)
    options = ["--data", "prepared", "--batch-size", "16", "--threads", "1", "--colour", "0.1", "--cutout", "8",
               "--mean", "centre", "--epochs", "2"]
    train(*options, "--out", "straight")
    train(*options[:-1], "1", "--out", "resumed", "--schedule", "constant", "--workers", "3")
    train("--resume", "runs/resumed", "--epochs", "2", "--workers", "0")
    rows = [(tmp_path / "runs" / name / "log.csv").read_text().splitlines()[1] for name in ("straight", "resumed")]
    assert rows[0].split(",")[:8] == rows[1].split(",")[:8]
    train(*options, "--out", "again", "--schedule", "constant", "--workers", "0")
    with np.load(tmp_path / "runs/again/checkpoint.npz") as a, np.load(tmp_path / "runs/resumed/checkpoint.npz") as b:
        for key in a.files:
            if key != "facts":
                np.testing.assert_array_equal(a[key], b[key])
    config = json.loads((tmp_path / "runs/straight/config.json").read_text())["options"]
    assert config["colour"] == 0.1 and config["cutout"] == 8 and config["mean"] == "centre"
