"""data.py: what it reads, what it refuses and its messages, and the arithmetic of views and batches."""

import errno
import gzip
import hashlib
import io
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import data
from data import DataError, Split
from imaging import arrays as array_sources
from imaging import decode as decoding
from imaging import download
from imaging import load as loading
from imaging.decode import decode

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


# ---------------------------------------------------------------- views

IMAGES = noise(40, 28, 28, 3)
MEAN = data.mean_image(IMAGES)


def test_view_side_is_the_papers_ratio():
    assert [data.view_side(size) for size in (28, 32, 64, 256)] == [24, 28, 56, 224]


def test_mean_image_is_exact():
    images = noise(3000, 5, 4, 3)
    mean = data.mean_image(images)
    assert mean.shape == (5, 4, 3) and mean.dtype == np.float32
    np.testing.assert_array_equal(mean, (images.astype(np.int64).sum(axis=0) / 3000).astype(np.float32))


def test_mean_image_does_not_sum_in_float32():
    images = np.full((70_001, 2, 2, 1), 255, np.uint8)      # the sum, 17,850,255, is not a float32
    images[0] = 254
    assert np.all(data.mean_image(images) == np.float32((70_000 * 255 + 254) / 70_001))


def test_views_are_all_the_crops_and_mirrors_there_are():
    """28 to 24: 4 × 4 positions, mirrored or not, give 32 different views; all of them occur, and no others."""
    image = noise(28, 28, 1)
    images, zero = np.repeat(image[None], 2000, axis=0), np.zeros((28, 28, 1), np.float32)
    views = data.random_views(images, np.arange(2000), 24, zero, seed=1, epoch=0)
    crops = [image[top:top + 24, left:left + 24] for top in range(4) for left in range(4)]
    wanted = {view.astype(np.float32).tobytes() for crop in crops for view in (crop, crop[:, ::-1])}
    assert len(wanted) == 32
    assert {view.tobytes() for view in views} == wanted


def test_the_papers_ten_views():
    """§ 4.1, at (0, 0), (0, 32), (32, 0), (32, 32) and (16, 16) of 256 pixels, each with its mirror image."""
    images, mean = noise(2, 256, 256, 3), noise(256, 256, 3).astype(np.float32)
    views = list(data.ten_views(images, 224, mean, 0.5))
    assert len(views) == 10
    for (top, left), view, mirror in zip([(0, 0), (0, 32), (32, 0), (32, 32), (16, 16)], views[::2], views[1::2]):
        crop = np.s_[top:top + 224, left:left + 224]
        np.testing.assert_array_equal(view, (images[:, *crop] - mean[crop]) * np.float32(0.5))
        np.testing.assert_array_equal(mirror, view[:, :, ::-1])


def test_the_papers_2048_views():
    table = data.draws(100_000, 32, 32, 0, 0)
    assert len(np.unique(table, axis=0)) == 2048 and (table.max(axis=0) == [31, 31, 1]).all()


def test_views_are_drawn_evenly():
    table = data.draws(50_000, 4, 4, 0, 0)
    for column, places in enumerate((4, 4, 2)):
        counts = np.bincount(table[:, column], minlength=places)
        assert len(counts) == places
        np.testing.assert_allclose(counts, 50_000 / places, rtol=0.05)


def test_height_and_width_have_their_own_room():
    images, zero = np.repeat(noise(1, 10, 7, 1), 500, axis=0), np.zeros((10, 7, 1), np.float32)
    views = data.random_views(images, np.arange(500), 6, zero, 0, 0)
    assert len({view.tobytes() for view in views}) == 4 * 1 * 2


@pytest.mark.parametrize("epoch", range(3))
def test_mean_is_cut_where_the_image_is(epoch):
    """Images equal to the mean give exactly zero, for every crop and mirror."""
    image = noise(28, 28, 3)
    images, mean = np.repeat(image[None], 60, axis=0), image.astype(np.float32)
    assert not data.random_views(images, np.arange(60), 24, mean, 0, epoch).any()
    assert not data.central_views(images, 24, mean).any()


def test_mirror_swaps_left_and_right():
    """If values grow to the right, a view's values grow or fall along each row, the same in every row."""
    images = np.broadcast_to(np.arange(28, dtype=np.uint8)[:, None], (100, 28, 28, 1))
    views = data.random_views(images, np.arange(100), 24, np.zeros((28, 28, 1), np.float32), 0, 0)
    steps = np.diff(views[..., 0], axis=2)
    assert not np.diff(views[..., 0], axis=1).any()
    assert {tuple(np.unique(step)) for step in steps} == {(1.0,), (-1.0,)}


def test_channels_stay_in_their_order():
    images = np.broadcast_to(np.array([10, 20, 30], np.uint8), (8, 28, 28, 3))
    views = data.random_views(images, np.arange(8), 24, np.zeros((28, 28, 3), np.float32), 0, 0)
    assert np.all(views == np.float32([10, 20, 30]))


def test_a_view_does_not_depend_on_its_batch():
    everything = data.random_views(IMAGES, np.arange(40), 24, MEAN, 7, 3)
    some = np.array([31, 2, 2, 17])
    np.testing.assert_array_equal(data.random_views(IMAGES, some, 24, MEAN, 7, 3), everything[some])
    data.random_views(IMAGES, some, 24, MEAN, 7, 4)                                         # another epoch in between
    for i in range(40):
        np.testing.assert_array_equal(data.random_views(IMAGES, [i], 24, MEAN, 7, 3)[0], everything[i])


def test_seeds_and_epochs_differ_and_repeat():
    def views(seed, epoch):
        return data.random_views(IMAGES, np.arange(40), 24, MEAN, seed, epoch).tobytes()
    assert views(0, 0) == views(0, 0)
    assert len({views(seed, epoch) for seed in range(3) for epoch in range(3)}) == 9
    assert len({data.order(100, seed, epoch).tobytes() for seed in range(3) for epoch in range(3)}) == 9


def test_views_leave_their_inputs_alone_and_are_float32():
    images, mean = IMAGES.copy(), MEAN.copy()
    for views in data.random_views(images, np.arange(40), 24, mean, 0, 0), data.central_views(images, 24, mean):
        assert views.shape == (40, 24, 24, 3) and views.dtype == np.float32 and views.flags.c_contiguous
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(mean, MEAN)


def test_central_view_is_central():
    np.testing.assert_array_equal(data.central_views(IMAGES, 24, MEAN), IMAGES[:, 2:26, 2:26] - MEAN[2:26, 2:26])
    np.testing.assert_array_equal(data.central_views(IMAGES, 28, MEAN), IMAGES - MEAN)


@pytest.mark.parametrize("side", [0, 29])
def test_a_view_must_fit(side):
    with pytest.raises(DataError, match="expected a side from 1 to 28"):
        data.random_views(IMAGES, [0], side, MEAN, 0, 0)
    with pytest.raises(DataError, match="expected a side from 1 to 28"):
        data.central_views(IMAGES, side, MEAN)


# ---------------------------------------------------------------- batches

SPLIT = Split(IMAGES, np.arange(40))


def test_order_is_a_permutation():
    assert sorted(data.order(1000, 0, 5)) == list(range(1000))


def test_batches_visit_the_epochs_order_and_pair_images_with_labels():
    found = list(data.batches(SPLIT, 8, 24, MEAN, 5, 2))
    assert [labels.tolist() for _, labels in found] == data.order(40, 5, 2).reshape(5, 8).tolist()
    for images, labels in found:
        assert images.dtype == np.float32 and labels.dtype == np.int64
        np.testing.assert_array_equal(images, data.random_views(IMAGES, labels, 24, MEAN, 5, 2))


@pytest.mark.parametrize("start", [0, 1, 3, 5, 6])
def test_start_gives_the_same_tail(start):
    tail = list(data.batches(SPLIT, 8, 24, MEAN, 0, 1, start=start))
    wanted = list(data.batches(SPLIT, 8, 24, MEAN, 0, 1))[start:]
    assert len(tail) == max(0, 5 - start)
    for (images, labels), (wanted_images, wanted_labels) in zip(tail, wanted, strict=True):
        np.testing.assert_array_equal(images, wanted_images)
        np.testing.assert_array_equal(labels, wanted_labels)


@pytest.mark.parametrize("size, sizes", [(12, [12, 12, 12]), (40, [40]), (41, [40]), (1, [1] * 40)])
def test_incomplete_batch_is_dropped_unless_it_is_all_there_is(size, sizes):
    assert [len(labels) for _, labels in data.batches(SPLIT, size, 24, MEAN, 0, 0)] == sizes


def test_batch_size_and_seed_are_checked():
    with pytest.raises(DataError, match="batch_size=0"):
        next(data.batches(SPLIT, 0, 24, MEAN, 0, 0))
    with pytest.raises(DataError, match="seed=-1"):
        data.order(10, -1, 0)


# ---------------------------------------------------------------- npz files

@pytest.fixture
def arrays():
    """40 + 5 images; every training image is different, four of each class."""
    return {"x_train": noise(40, 6, 7), "y_train": np.arange(40) % 10,
            "x_test": noise(5, 6, 7, seed=1), "y_test": np.arange(5)}


def saved(folder, arrays):
    np.savez_compressed(folder / "some.npz", **arrays)
    return folder / "some.npz"


def test_npz(tmp_path, arrays):
    found = data.load(saved(tmp_path, arrays), holdout=0.25)
    assert found.train.images.shape == (30, 6, 7, 1) and found.validation.images.shape == (10, 6, 7, 1)
    assert found.train.images.dtype == np.uint8 and found.train.labels.dtype == np.int64
    assert found.classes == [str(label) for label in range(10)] and found.bad == []
    np.testing.assert_array_equal(found.test.images[..., 0], arrays["x_test"])
    np.testing.assert_array_equal(found.test.labels, arrays["y_test"])


def test_npz_with_classes_colour_and_labels_in_a_column(tmp_path, arrays):
    arrays |= {"x_train": noise(40, 6, 7, 3), "x_test": noise(5, 6, 7, 3), "classes": np.array(list("abcdefghij")),
               "y_train": arrays["y_train"][:, None].astype(np.uint8)}
    found = data.load(str(saved(tmp_path, arrays)), holdout=0.25)
    assert found.classes == list("abcdefghij") and found.train.images.shape == (30, 6, 7, 3)
    assert found.validation.labels.tolist() and found.validation.labels.ndim == 1


def without(key):
    return lambda arrays: arrays.pop(key)


def having(**changes):
    return lambda arrays: arrays.update(changes)


@pytest.mark.parametrize("change, sentence", [
    (without("x_train"), "lacks x_train; expected"),
    (without("y_test"), "lacks y_test; expected"),
    (having(x_train=np.zeros((40, 6, 7))), r"x_train is float64 \(40, 6, 7\); expected uint8"),
    (having(x_train=np.zeros((40, 42), np.uint8)), r"x_train is uint8 \(40, 42\); expected"),
    (having(x_train=np.zeros((40, 6, 7, 4), np.uint8)), r"x_train is uint8 \(40, 6, 7, 4\); expected"),
    (having(x_test=np.zeros((0, 6, 7), np.uint8)), "x_test is .* expected uint8 from 0 to 255, not empty"),
    (having(x_test=np.zeros((5, 7, 7), np.uint8)), r"images \(6, 7\), x_test \(7, 7\)"),
    (having(y_train=np.zeros(39, int)), "y_train is .*; expected 40 integers"),
    (having(y_train=np.zeros((40, 10), int)), "y_train is .*; expected 40 integers"),
    (having(y_train=np.zeros(40)), "y_train is float64"),
    (having(y_train=np.arange(40) - 1), "labels run from -1 to 38"),
    (having(y_train=np.full(40, -1), y_test=np.full(5, -1)), "labels run from -1 to -1"),
    (having(y_test=np.arange(5) + 6), "labels run from 0 to 10, but the training set has 10 classes"),
    (having(y_train=np.full(40, 10**9)), "labels run from 0 to 1000000000"),
    (having(classes=np.array(["a", "b"])), "labels run from 0 to 9, but the training set has 2 classes"),
    (having(classes=np.arange(10)), "classes is int64"),
    (having(y_train=np.array([0] * 40, object)), "cannot be read as .npz .*bject arrays"),
])
def test_wrong_npz(tmp_path, arrays, change, sentence):
    change(arrays)
    with pytest.raises(DataError, match=sentence):
        data.load(saved(tmp_path, arrays))


def test_damaged_npz(tmp_path, arrays):
    path = saved(tmp_path, arrays)
    whole = path.read_bytes()
    middle = len(whole) // 3
    for damaged in b"", b"hello", whole[:len(whole) // 2], whole[:middle] + bytes(9) + whole[middle + 9:]:
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="cannot be read as .npz"):
            data.load(path)


def test_npz_of_something_else(tmp_path):
    """NumPy returns a member that is not an array as bytes."""
    with zipfile.ZipFile(tmp_path / "some.npz", "w") as archive:
        for key in "x_train", "y_train", "x_test", "y_test":
            archive.writestr(f"{key}.npy", b"no array at all")
    with pytest.raises(DataError, match=r"x_train is \|S15 \(\); expected uint8"):
        data.load(tmp_path / "some.npz")


# ---------------------------------------------------------------- options of load

def test_held_out_images_are_a_fixed_share_of_each_class_and_nothing_is_lost(tmp_path, arrays):
    labels = np.repeat(np.arange(4), (100, 50, 30, 7))
    arrays |= {"x_train": np.arange(187, dtype=np.uint8).reshape(187, 1, 1), "y_train": labels,
               "x_test": np.zeros((2, 1, 1), np.uint8), "y_test": np.array([0, 3])}
    path = saved(tmp_path, arrays)
    found = data.load(path, holdout=0.2)
    train, validation = (split.images.ravel() for split in (found.train, found.validation))
    assert np.bincount(found.validation.labels).tolist() == [20, 10, 6, 1]
    assert sorted([*train, *validation]) == list(range(187))                # disjoint and complete
    for split in found.train, found.validation:
        np.testing.assert_array_equal(split.labels, labels[split.images.ravel()])
    again, other = data.load(path, holdout=0.2), data.load(path, holdout=0.2, seed=1)
    np.testing.assert_array_equal(again.validation.images, found.validation.images)
    assert set(other.validation.images.ravel()) != set(validation)
    np.testing.assert_array_equal(other.test.images, found.test.images)


def test_no_split_may_be_empty(tmp_path, arrays):
    path = saved(tmp_path, arrays)
    with pytest.raises(DataError, match="no validation image is left when 10% of every class are held out of 40"):
        data.load(path, holdout=0.1)
    with pytest.raises(DataError, match="no training image is left"):
        data.load(path, holdout=0.95)


@pytest.mark.parametrize("options, sentence", [
    ({"size": 0}, "--size must be at least 1, got 0"), ({"channels": 2}, "channels must be 1 or 3, got 2"),
    ({"holdout": -0.1}, "--holdout must be 0 or more and less than 1, got -0.1"), ({"holdout": 1.0}, "got 1.0"),
    ({"seed": -1}, "--seed must be at least 0, got -1")])
def test_options_are_checked(options, sentence):
    with pytest.raises(DataError, match=sentence):
        data.load(**options)


def test_channels_and_size_of_arrays(tmp_path, arrays):
    path = saved(tmp_path, arrays)
    assert data.load(path, holdout=0.25, size=4).train.images.shape == (30, 4, 4, 1)
    test = data.load(path, holdout=0.25, channels=3).test.images
    np.testing.assert_array_equal(test, np.repeat(arrays["x_test"][..., None], 3, axis=3))
    arrays |= {"x_train": noise(40, 6, 7, 3), "x_test": noise(5, 6, 7, 3)}
    grey = data.load(saved(tmp_path, arrays), holdout=0.25, channels=1).test.images
    weighed = arrays["x_test"] @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(grey[..., 0], weighed, atol=1)


def test_too_large_is_said_before_it_is_built(tmp_path, arrays, monkeypatch):
    with pytest.raises(DataError, match=r"40 images of 30000 x 30000 x 1 need 33.5 GiB.* choose a size up to 10362"):
        data.load(saved(tmp_path, arrays), size=30_000)


def test_sources_that_are_not_there(tmp_path):
    with pytest.raises(DataError, match="no such file or folder; expected fashion-mnist, cifar10"):
        data.load(tmp_path / "nothing")
    with pytest.raises(DataError, match="found nothing; expected the folders train/CLASS/\\* and val/CLASS"):
        data.load(tmp_path)


# ---------------------------------------------------------------- Fashion-MNIST

def test_embedded_fashion_mnist(monkeypatch, tmp_path):
    monkeypatch.setattr(array_sources, "FASHION_MNIST", tmp_path)
    monkeypatch.chdir(tmp_path)                             # found beside data.py, not in the current folder
    found = data.load()
    assert found.name == "Fashion-MNIST, embedded 10,000 images"
    assert [split.images.shape for split in found[1:4]] == [(n, 28, 28, 1) for n in (9000, 1000, 2000)]
    assert [set(np.bincount(split.labels)) for split in found[1:4]] == [{900}, {100}, {200}]
    assert found.classes[0] == "T-shirt/top" and found.classes[9] == "Ankle boot"


def idx(array):
    return gzip.compress(struct.pack(f">BBBB{array.ndim}i", 0, 0, 8, array.ndim, *array.shape) + array.tobytes())


def test_fashion_mnist_of_the_system(monkeypatch, tmp_path):
    arrays = {"train-images-idx3": noise(20, 28, 28), "train-labels-idx1": (np.arange(20) % 10).astype(np.uint8),
              "t10k-images-idx3": noise(10, 28, 28), "t10k-labels-idx1": np.arange(10, dtype=np.uint8)}
    for name, array in arrays.items():
        (tmp_path / f"{name}-ubyte.gz").write_bytes(idx(array))
    monkeypatch.setattr(array_sources, "FASHION_MNIST", tmp_path)
    found = data.load(holdout=0.5)
    assert found.name == f"Fashion-MNIST, 20 images of {tmp_path}"
    np.testing.assert_array_equal(found.test.images[..., 0], arrays["t10k-images-idx3"])
    assert found.test.labels.tolist() == list(range(10)) and len(found.validation.labels) == 10
    whole = (tmp_path / "train-images-idx3-ubyte.gz").read_bytes()
    for damaged in whole[:100], b"", b"no gzip", gzip.compress(b"\0\0\x0d\1abcd"), idx(noise(20, 28, 28))[:-9]:
        (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(damaged)
        with pytest.raises(DataError, match="not a readable idx file"):
            data.load()
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()       # an incomplete set is ignored
    assert "embedded" in data.load().name


# ---------------------------------------------------------------- CIFAR-10

def cifar_records(count, seed):
    """Labels 0, 1, … 9, 0, … and images whose planes differ in their first pixels (seed, 100, 200)."""
    records = noise(count, 3073, seed=seed)
    records[:, 0] = np.arange(count) % 10
    records[:, [1, 1025, 2049]] = seed, 100, 200
    return records


CIFAR = {**{f"data_batch_{i}.bin": cifar_records(10, i).tobytes() for i in range(1, 6)},
         "test_batch.bin": cifar_records(10, 6).tobytes(),
         "batches.meta.txt": b"airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n"}


@pytest.fixture
def cifar(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for name, content in CIFAR.items():
        (folder / name).write_bytes(content)
    return folder


def test_cifar10(cifar, monkeypatch):
    monkeypatch.setattr(array_sources, "DATASETS", cifar.parent)
    for source in "cifar10", cifar, str(cifar):
        found = data.load(source, holdout=0.2)
        assert found.name == f"CIFAR-10, 50 images of {cifar}"
        assert found.classes[0] == "airplane" and len(found.classes) == 10
        assert len(found.train.labels) == 40 and len(found.validation.labels) == 10
        record = cifar_records(10, 6)[3]
        assert found.test.images[3, 0, 0].tolist() == [6, 100, 200] and found.test.labels[3] == 3
        np.testing.assert_array_equal(found.test.images[3, 5, 7], record[1 + np.array([0, 1024, 2048]) + 5 * 32 + 7])


def test_broken_cifar10(cifar):
    (cifar / "data_batch_3.bin").write_bytes(CIFAR["data_batch_3.bin"][:-1])
    with pytest.raises(DataError, match="data_batch_3.bin: 30,729 bytes are not whole records of 3,073"):
        data.load(cifar)
    (cifar / "data_batch_3.bin").write_bytes(b"\x0b" + CIFAR["data_batch_3.bin"][1:])
    with pytest.raises(DataError, match="labels run from 0 to 11, but the training set has 10 classes"):
        data.load(cifar)
    (cifar / "data_batch_3.bin").unlink()
    with pytest.raises(DataError, match="lacks data_batch_3.bin"):
        data.load(cifar)


def test_pickled_cifar10_is_refused(tmp_path):
    (tmp_path / "data_batch_1").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(DataError, match="a pickle can run any code.* python data.py download cifar10"):
        data.load(tmp_path)


def archive_of(path, members):
    """A .tar.gz of (name, bytes), or (name, the link's target) if that is a str."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """Makes an archive of members whose md5 data.py accepts; the data goes to tmp_path/datasets."""
    monkeypatch.setattr(array_sources, "DATASETS", tmp_path / "datasets")

    def make(members):
        path = archive_of(tmp_path / "cifar.tar.gz", members)
        monkeypatch.setattr(download, "CIFAR_MD5", hashlib.md5(path.read_bytes()).hexdigest())
        return path
    return make


WHOLE = [(f"cifar-10-batches-bin/{name}", content) for name, content in CIFAR.items()]


def test_download_from_a_file(archive, tmp_path, capsys):
    path = archive(WHOLE + [("cifar-10-batches-bin/readme.html", b"not wanted")])
    data.main(["download", "cifar10", "--from", str(path)])
    folder = tmp_path / "datasets" / "cifar-10-batches-bin"
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == CIFAR
    assert [file.name for file in folder.parent.iterdir()] == [folder.name]                 # nothing else is left
    assert "already complete" not in capsys.readouterr().out
    path.unlink()
    data.main(["download", "cifar10"])
    assert "already complete" in capsys.readouterr().out
    (folder / "test_batch.bin").unlink()                    # an incomplete folder is completed
    data.main(["download", "cifar10", "--from", str(archive(WHOLE))])
    assert (folder / "test_batch.bin").read_bytes() == CIFAR["test_batch.bin"]


def test_download_over_a_url(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "CIFAR_URL", archive(WHOLE).as_uri())
    data.main(["download", "cifar10"])
    assert data.load("cifar10", holdout=0.2).test.images.shape == (10, 32, 32, 3)


def test_hostile_archive(archive, tmp_path):
    """Links and paths out of the folder are ignored, and do not count as the files they name."""
    secret = tmp_path / "secret"
    secret.write_text("private")
    path = archive([("cifar-10-batches-bin/data_batch_1.bin", str(secret)), ("/tmp/absolute.bin", b"x"),
                    ("cifar-10-batches-bin/../../escaped.bin", b"x"), ("../escaped.bin", b"x"), *WHOLE[1:]])
    with pytest.raises(SystemExit, match="no usable data_batch_1.bin"):
        data.main(["download", "cifar10", "--from", str(path)])
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["cifar.tar.gz", "datasets", "secret"]


def test_oversized_member_is_not_read(archive, tmp_path):
    members = WHOLE[1:] + [("cifar-10-batches-bin/data_batch_1.bin", bytes(10_000 * 3073 + 1))]
    with pytest.raises(SystemExit, match="no usable data_batch_1.bin"):
        data.main(["download", "cifar10", "--from", str(archive(members))])


def test_failed_downloads_end_in_a_sentence(archive, tmp_path, monkeypatch):
    path = archive(WHOLE)
    monkeypatch.setattr(download, "CIFAR_MD5", "0" * 32)
    with pytest.raises(SystemExit, match="data.py: .*cifar.tar.gz: its md5 is .*, expected 0000.*; fetch it again"):
        data.main(["download", "cifar10", "--from", str(path)])
    monkeypatch.setattr(download, "CIFAR_URL", (tmp_path / "nothing").as_uri())
    with pytest.raises(SystemExit, match="data.py: file:.*cannot be fetched .*pass it with --from FILE"):
        data.main(["download", "cifar10"])
    with pytest.raises(SystemExit, match="data.py: .*No such file"):
        data.main(["download", "cifar10", "--from", str(tmp_path / "nothing")])
    assert list((tmp_path / "datasets").iterdir()) == []


def test_a_full_disk_ends_in_a_sentence(archive, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")
    path = archive(WHOLE)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SystemExit, match="data.py: .*No space left on device"):
        data.main(["download", "cifar10", "--from", str(path)])
    assert list((tmp_path / "datasets").iterdir()) == []


# ---------------------------------------------------------------- folders of image files

def photograph(path, size=(20, 16), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = size[::-1] if mode == "L" else (*size[::-1], len(mode))
    Image.fromarray(noise(*shape), mode="CMYK" if mode == "CMYK" else None).save(path, **options)
    return path


@pytest.fixture
def folder(tmp_path):
    """Classes b and a with ten and five plain images, and one test image each."""
    for i in range(10):
        photograph(tmp_path / "train" / "b" / f"{i}.png")
    for i in range(5):
        photograph(tmp_path / "train" / "a" / f"{i}.JPEG")
    photograph(tmp_path / "val" / "a" / "0.jpg")
    photograph(tmp_path / "val" / "b" / "0.Png")
    return tmp_path


def test_folder(folder):
    (folder / "train" / "a" / "notes.txt").write_text("no image, and not taken for one")
    (folder / "train" / "a" / ".hidden.jpg").write_text("hidden")
    (folder / "train" / ".cache").mkdir()
    (folder / "train" / ".cache" / "x.jpg").write_text("hidden")
    found = data.load(folder, holdout=0.2)
    assert found.classes == ["a", "b"] and found.bad == [] and found.name == str(folder)
    assert np.bincount(found.train.labels).tolist() == [4, 8] and found.test.labels.tolist() == [0, 1]
    assert found.train.images.shape == (12, 64, 64, 3) and found.train.labels.dtype == np.int64
    assert data.load(folder, size=8, channels=1, holdout=0.2).train.images.shape == (12, 8, 8, 1)


def test_odd_files_are_read(folder):
    """Any image that Pillow reads becomes RGB, for any shape and name."""
    odd = folder / "val" / "a"
    (odd / "0.jpg").unlink()
    photograph(odd / "cmyk.jpg", mode="CMYK")
    photograph(odd / "grey.JPG", mode="L")
    photograph(odd / "png named.jpeg", mode="RGBA", format="PNG")
    Image.fromarray(noise(9, 9, 3)).quantize(16).save(odd / "palette.png")
    Image.fromarray(noise(9, 9, 3)).save(odd / "ein Bär über Köln.webp", lossless=True)
    photograph(odd / "one.bmp", size=(1, 1))
    photograph(odd / "wide.gif", size=(300, 2))
    photograph(odd / "line.tif", size=(1, 4000))
    found = data.load(folder, size=8, holdout=0.2)
    assert found.bad == [] and np.bincount(found.test.labels).tolist() == [8, 1]
    named = dict(zip(sorted(file.name for file in odd.iterdir()), found.test.images))
    assert np.all(named["grey.JPG"] == named["grey.JPG"][..., :1])
    assert np.all(named["one.bmp"] == noise(1, 1, 3))
    for name in "cmyk.jpg", "png named.jpeg", "palette.png", "ein Bär über Köln.webp", "wide.gif":
        assert len(np.unique(named[name])) > 5, name


def test_broken_files_are_left_out_and_named(folder, monkeypatch):
    broken = folder / "train" / "b"
    whole = photograph(broken / "truncated.jpg", size=(40, 40)).read_bytes()
    (broken / "truncated.jpg").write_bytes(whole[:len(whole) // 2])
    (broken / "empty.jpg").touch()
    (broken / "text.jpg").write_text("no image")
    photograph(broken / "bomb.bmp", size=(60, 60))
    Image.fromarray(np.zeros((4, 4), np.float32)).save(broken / "float.tif")
    monkeypatch.setattr(decoding, "PIXELS", 3599)
    with pytest.raises(DataError, match="5 of 22 images are broken, over 1%; repair or remove them: .*bomb.bmp"):
        data.load(folder)
    monkeypatch.setattr(loading, "BROKEN", 0.5)
    found = data.load(folder, holdout=0.2, size=16)
    reasons = {Path(bad.split(": ")[0]).name: bad.split(": ", 1)[1] for bad in found.bad}
    assert list(reasons) == ["bomb.bmp", "empty.jpg", "float.tif", "text.jpg", "truncated.jpg"]
    assert reasons["empty.jpg"] == "empty file" and reasons["text.jpg"] == "not an image"
    assert "decompression bomb: 60 x 60" in reasons["bomb.bmp"] and "F pixels" in reasons["float.tif"]
    assert np.bincount(found.train.labels).tolist() == [4, 8]


def test_one_percent_broken_is_bearable(tmp_path):
    for i in range(99):
        photograph(tmp_path / "train" / "a" / f"{i}.bmp", size=(2, 2))
    (tmp_path / "train" / "a" / "broken.bmp").touch()
    photograph(tmp_path / "val" / "a" / "0.bmp", size=(2, 2))
    assert len(data.load(tmp_path, size=2).bad) == 1        # 1 of 101
    (tmp_path / "val" / "a" / "broken.bmp").touch()
    with pytest.raises(DataError, match="2 of 102 images are broken"):
        data.load(tmp_path, size=2)


def test_a_broken_file_moves_no_label(folder, monkeypatch):
    """Each remaining image keeps its own label: class a is black, class b white."""
    monkeypatch.setattr(loading, "BROKEN", 1.0)
    for file in folder.glob("*/*/*"):
        Image.new("RGB", (8, 8), "black" if file.parent.name == "a" else "white").save(file)
    for name in "train/a/0.JPEG", "train/b/3.png", "val/a/0.jpg":
        (folder / name).write_bytes(b"")
    Image.new("RGB", (8, 8), "black").save(folder / "val" / "a" / "1.bmp")
    found = data.load(folder, holdout=0.25)
    assert len(found.bad) == 3
    for split in found.train, found.validation, found.test:
        np.testing.assert_array_equal(split.images[:, 0, 0, 0] > 128, split.labels == 1)


def test_wrong_folders(folder):
    photograph(folder / "val" / "c" / "0.png")
    with pytest.raises(DataError, match="no training image of c, found in val/"):
        data.load(folder)
    for file in (folder / "val").glob("*/*"):
        file.unlink()
    with pytest.raises(DataError, match="found no image in it; expected the folders train/CLASS"):
        data.load(folder)


def test_a_folder_too_large_is_not_decoded(folder, monkeypatch):
    monkeypatch.setattr(loading, "decode_item", lambda *_: pytest.fail("decoded"))
    with pytest.raises(DataError, match="17 images of 9999 x 9999 x 3 need 4.7 GiB.* choose a size up to 9176"):
        data.load(folder, size=9999)


# ---------------------------------------------------------------- preparation

def test_scale_one_only_cuts():
    """If the short side already fits: exactly the central square, although 65 - 64 is odd."""
    for shape, cut in ((64, 65, 3), np.s_[:, 0:64]), ((64, 101, 3), np.s_[:, 18:82]), ((90, 64, 3), np.s_[13:77]):
        pixels = noise(*shape)
        np.testing.assert_array_equal(data.prepare(Image.fromarray(pixels), 64, 3), pixels[cut])


def test_cut_and_scale_is_scale_and_cut():
    """§ 2 scales the short side, then cuts the centre; a smooth image shows that one call gives the same."""
    y, x = np.mgrid[0:150, 0:200]
    image = Image.fromarray(np.stack([x, y, (x + y) // 2], axis=2).astype(np.uint8))
    for size in 60, 225:
        scaled = image.resize((200 * size // 150, size), Image.Resampling.BILINEAR)
        left = (scaled.width - size) // 2
        wanted = np.asarray(scaled.crop((left, 0, left + size, size))).astype(int)
        assert np.abs(data.prepare(image, size, 3).astype(int) - wanted).max() <= 1


def test_shrinking_averages():
    stripes = np.zeros((256, 256), np.uint8)
    stripes[:, ::2] = 254
    assert np.abs(data.prepare(Image.fromarray(stripes), 32, 1)[2:-2, 2:-2].astype(int) - 127).max() <= 1


@pytest.mark.parametrize("orientation", [1, 2, 3, 6, 8])
def test_exif_orientation_is_ignored(tmp_path, orientation):
    """The white corner of the stored pixels keeps its position."""
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:16, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=exif)
    image = decode((tmp_path / "turned.jpg").read_bytes(), 32)
    assert [image[corner].mean() > 128 for corner in [(0, 0), (0, -1), (-1, 0), (-1, -1)]] == [True, False, False,
                                                                                              False]


# ---------------------------------------------------------------- python data.py

def test_show(tmp_path, arrays, monkeypatch, capsys):
    monkeypatch.setattr(array_sources, "FASHION_MNIST", tmp_path)
    data.main(["show"])
    shown = capsys.readouterr().out.splitlines()
    assert shown[:4] == ["Fashion-MNIST, embedded 10,000 images", "train: 9000 x 28 x 28 x 1",
                         "validation: 1000 x 28 x 28 x 1", "test: 2000 x 28 x 28 x 1"]
    assert shown[-1].split() == ["900", "100", "200", "9", "Ankle", "boot"]


def test_errors_end_in_a_sentence_and_status_1(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        data.main(["show", str(tmp_path / "nothing")])
    assert ended.value.code.startswith(f"data.py: {tmp_path / 'nothing'}: no such file")    # a str: status 1


# ---------------------------------------------------------------- real photographs

@pytest.mark.skipif(not (SHARED / "tiny10").is_dir(), reason="needs the folder shared/data/tiny10 beside the project")
def test_tiny10():
    found = data.load(SHARED / "tiny10", size=32)
    assert [split.images.shape for split in found[1:4]] == [(4500, 32, 32, 3), (500, 32, 32, 3), (500, 32, 32, 3)]
    assert [set(np.bincount(split.labels)) for split in found[1:4]] == [{450}, {50}, {50}]
    assert found.classes == sorted(found.classes) and found.bad == []
    assert 90 < data.mean_image(found.train.images).mean() < 140
