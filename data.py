"""Images in, batches out (paper § 2 and § 4.1).

    data = load("fashion-mnist")                            # or "cifar10", an .npz file, a folder of photographs
    mean = mean_image(data.train.images)                    # § 2: the only preprocessing
    for images, labels in batches(data.train, 128, view_side(28), mean, seed=0, epoch=0):
        ...                                                 # (128, 24, 24, 1) float32, (128,) int64

Shapes stand at the ends of lines: N images of H × W pixels in C channels (1 grey; 3 red, green, blue); n of them
make a batch, each cut to side × side. Pixels are uint8, 0 to 255, until the mean is subtracted.

Every draw follows from (seed, what for, epoch) and the image's number, never from what was drawn before: any batch
of any epoch can be made alone, so a run that resumes sees the images it would have seen.
"""

import argparse
import gzip
import hashlib
import http.client
import math
import os
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

DATASETS = Path(__file__).resolve().parent / "datasets"
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")   # Debian's package dataset-fashion-mnist
FASHION_CLASSES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                   "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
CIFAR_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
CIFAR_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
CIFAR_FOLDER = "cifar-10-batches-bin"
CIFAR_FILES = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin", "batches.meta.txt"]
CIFAR_RECORD = 1 + 3 * 32 * 32                              # bytes: a label, then the planes R, G, B
ENDINGS = {".jpeg", ".jpg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
MEMORY = 4 << 30                                            # bytes of images; loading takes twice that for a moment
BROKEN = 0.01                                               # the share of a folder's images that may be broken
HOLDOUT, ORDER, VIEWS = 1, 2, 3                             # what a draw is for


class DataError(ValueError):
    """What a user can set right, in a sentence: what was found, what was expected, what to do."""


class Split(NamedTuple):
    images: np.ndarray      # (N, H, W, C) uint8
    labels: np.ndarray      # (N,) int64


class Data(NamedTuple):
    name: str               # what it is and where it came from
    train: Split
    validation: Split       # held out of the training set
    test: Split
    classes: list[str]      # label i means classes[i]
    bad: list[str]          # "path: reason" for each broken image left out


def require(condition, sentence):
    if not condition:
        raise DataError(sentence)


def load(source="fashion-mnist", size=None, channels=None, seed=0, holdout=0.1):
    """The images of a source as Data, in memory.

    source    "fashion-mnist" (the system's full set, else the subset in datasets/), "cifar10", or a path: a folder
              of CIFAR-10's binary files, a folder of image files train/CLASS/* and val/CLASS/* (val is the test set;
              label = position of CLASS in sorted order), or an .npz file with x_train, y_train, x_test, y_test and,
              if it likes, classes.
    size      pixels: every image is scaled and cut to size × size (§ 2: 256). None leaves arrays as they are and
              makes a folder's images 64.
    channels  1 or 3: grey is repeated, colour is weighed into grey (Pillow's L). None leaves arrays as they are and
              makes a folder's images 3.
    holdout   the share of every training class that becomes the validation set, drawn from the seed.

    Raises DataError for a source that is missing, damaged or inconsistent, for images that would take over 4 GiB when
    prepared, for a folder with over 1 % of its images broken, and where a split would be empty.
    """
    require((size is None or size >= 1) and channels in (None, 1, 3) and 0 < holdout < 1,
            f"size={size}, channels={channels}, holdout={holdout}: expected a size of at least 1 pixel, 1 or 3 "
            "channels, and a share between 0 and 1 to hold out")
    path, bad = Path(source), []
    if source == "fashion-mnist":
        name, train, test, classes = read_fashion_mnist()
    elif source == "cifar10":
        name, train, test, classes = read_cifar10(DATASETS / CIFAR_FOLDER)
    elif (path / "train").is_dir():
        name, train, test, classes, bad = read_folder(path, size or 64, channels or 3)
    elif path.is_dir():
        name, train, test, classes = read_cifar10(path)
    else:
        require(path.is_file(), f"{source}: no such file or folder; expected fashion-mnist, cifar10, an .npz file, or "
                                "a folder with train/CLASS/* and val/CLASS/*")
        name, train, test, classes = read_npz(path)
    train, test = (Split(prepare_arrays(images, size, channels), labels) for images, labels in (train, test))
    held = hold_out(train.labels, holdout, seed)
    validation, train = (Split(train.images[part], train.labels[part]) for part in (held, ~held))
    for part, split in ("training", train), ("validation", validation), ("test", test):
        require(len(split.labels), f"{name}: no {part} image is left when {holdout:.0%} of every class are held out of "
                                   f"{len(held)} images; add images or change the share")
    return Data(name, train, validation, test, classes, bad)


# ---------------------------------------------------------------- sources: (name, train, test, classes)

def read_fashion_mnist():
    files = [FASHION_MNIST / f"{part}-{kind}-ubyte.gz"
             for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
    if all(file.is_file() for file in files):
        train, test, _ = check(FASHION_MNIST, *map(read_idx, files), FASHION_CLASSES)
        return f"Fashion-MNIST, {len(train.labels):,} images of {FASHION_MNIST}", train, test, FASHION_CLASSES
    _, train, test, _ = read_npz(DATASETS / "fashion_mnist_10000_2000.npz")
    return f"Fashion-MNIST, embedded {len(train.labels):,} images", train, test, FASHION_CLASSES


def read_idx(path):
    """The array in a gzipped idx file: bytes 0, 0, 8 (uint8), dimensions; the lengths as big-endian int32; the data."""
    try:
        with gzip.open(path) as file:
            raw = file.read()
        require(raw[:3] == b"\0\0\x08", f"starts with {raw[:3].hex()}, expected 000008")
        lengths = np.frombuffer(raw, ">i4", count=raw[3], offset=4)
        return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(lengths)
    except Exception as error:                              # damaged bytes can raise anything
        raise DataError(f"{path}: not a readable gzipped idx file ({error}); install it again") from error


def read_npz(path):
    keys = ["x_train", "y_train", "x_test", "y_test"]
    try:
        with open(path, "rb") as stream:
            require(zipfile.is_zipfile(stream), "no zip archive, or cut short")     # numpy would take it for a pickle
            with np.load(stream, allow_pickle=False) as file:
                arrays = {key: np.asarray(file[key]) for key in [*keys, "classes"] if key in file}  # may be bytes
    except Exception as error:                              # damaged bytes can raise anything
        raise DataError(f"{path}: cannot be read as .npz ({error}); expected plain arrays saved by numpy.savez: save "
                        "or fetch it again") from error
    missing = [key for key in keys if key not in arrays]
    require(not missing, f"{path}: lacks {', '.join(missing)}; expected {', '.join(keys)}")
    classes = arrays.get("classes", np.array([], str))
    require(classes.dtype.kind == "U" and classes.ndim == 1,
            f"{path}: classes is {classes.dtype} {classes.shape}; expected a list of strings")
    return str(path), *check(path, *(arrays[key] for key in keys), classes.tolist())


def read_cifar10(folder):
    require(not (folder / "batches.meta").exists() and not (folder / "data_batch_1").exists(),
            f"{folder}: this is CIFAR-10 as pickles, and a pickle can run any code when it is read; get the binary "
            "version with: python data.py download cifar10")
    missing = [name for name in CIFAR_FILES if not (folder / name).is_file()]
    require(not missing, f"{folder}: lacks {', '.join(missing)}; expected CIFAR-10's binary files (python data.py "
                         "download cifar10) or the folders train/ and val/")
    arrays = []
    for names in CIFAR_FILES[:5], CIFAR_FILES[5:6]:
        parts = [np.fromfile(folder / name, np.uint8) for name in names]
        for name, part in zip(names, parts):
            require(len(part) and len(part) % CIFAR_RECORD == 0,
                    f"{folder / name}: {len(part):,} bytes are not whole records of {CIFAR_RECORD:,}; delete it and "
                    "run: python data.py download cifar10")
        records = np.concatenate(parts).reshape(-1, CIFAR_RECORD)
        planes = records[:, 1:].reshape(-1, 3, 32, 32)                                      # (N, C, H, W)
        arrays += [np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, 0]]       # (N, H, W, C), (N,)
    classes = (folder / "batches.meta.txt").read_text(errors="replace").split()
    train, test, classes = check(folder, *arrays, classes)
    return f"CIFAR-10, {len(train.labels):,} images of {folder}", train, test, classes


def check(where, x_train, y_train, x_test, y_test, classes):
    """(train, test, classes) of four arrays that fit together, else DataError. No classes: named by their labels."""
    for part, x, y in ("train", x_train, y_train), ("test", x_test, y_test):
        require(x.dtype == np.uint8 and x.size and (x.ndim == 3 or x.ndim == 4 and x.shape[3] in (1, 3)),
                f"{where}: x_{part} is {x.dtype} {x.shape}; expected uint8 from 0 to 255, not empty, of shape "
                "(N, H, W), (N, H, W, 1) or (N, H, W, 3)")
        require(y.dtype.kind in "iu" and y.shape in ((len(x),), (len(x), 1)),
                f"{where}: y_{part} is {y.dtype} {y.shape}; expected {len(x)} integers, one for each image")
    require(x_train.shape[1:] == x_test.shape[1:],
            f"{where}: x_train has images {x_train.shape[1:]}, x_test {x_test.shape[1:]}; expected the same shape")
    lowest, highest = min(y_train.min(), y_test.min()), max(y_train.max(), y_test.max())
    classes = classes or [str(label) for label in range(min(int(y_train.max()) + 1, len(x_train)))]
    require(0 <= lowest and highest < len(classes), f"{where}: labels run from {lowest} to {highest}, but the training "
            f"set has {len(classes)} classes; expected labels from 0 to the number of classes - 1")
    return *(Split(x.reshape(*x.shape[:3], -1), y.reshape(-1).astype(np.int64))             # (N, H, W, C), (N,)
             for x, y in ((x_train, y_train), (x_test, y_test))), classes


def read_folder(path, size, channels):
    """As the others, and the list of broken images. Hidden files and other endings are passed over."""
    train, test = (sorted(file for file in (path / part).glob("[!.]*/[!.]*") if file.suffix.lower() in ENDINGS)
                   for part in ("train", "val"))
    require(train and test, f"{path}: found {len(train)} images train/CLASS/* and {len(test)} images val/CLASS/*; "
                            f"expected some of each, ending in {', '.join(sorted(ENDINGS))}")
    files = train + test
    classes = sorted({file.parent.name for file in train})
    unknown = sorted({file.parent.name for file in test} - set(classes))
    require(not unknown, f"{path}: no training image of {', '.join(unknown[:3])}, found in val/; expected the same "
                         "classes as in train/: add or remove some")
    number = {name: label for label, name in enumerate(classes)}
    labels = np.array([number[file.parent.name] for file in files])
    images, broken = decode(files, size, channels)
    bad = [reason for reason in broken if reason]
    require(len(bad) <= BROKEN * len(files),
            f"{path}: {len(bad)} of {len(files)} images are broken, over {BROKEN:.0%}; repair or remove them: "
            f"{'; '.join(bad[:3])}{' ...' if len(bad) > 3 else ''}")
    good = np.array([reason is None for reason in broken])
    train, test = (Split(images[part][good[part]], labels[part][good[part]])
                   for part in (slice(None, len(train)), slice(len(train), None)))
    return str(path), train, test, classes, bad


# ---------------------------------------------------------------- preparation (§ 2)

def decode(files, size, channels):
    """Images (N, size, size, C) uint8 of N files, and for each None or, if it is broken, "path: reason".

    Pixels stay as they are stored: an EXIF orientation is ignored, as the 2012 pipeline did; transparency is dropped.
    """
    images = allocate(len(files), size, size, channels)

    def one(i):
        try:
            with Image.open(files[i]) as image:
                require(image.mode[0] not in "IF", f"{image.mode} pixels, expected 8 bits a channel")   # else clipped
                images[i] = prepare(image, size, channels)
        except Exception as error:                          # damaged bytes can raise anything
            reason = "not an image" if isinstance(error, UnidentifiedImageError) else str(error) or repr(error)
            return f"{files[i]}: {reason}".encode(errors="replace").decode()    # a name need not be UTF-8

    Image.init()                                            # once: threads that met a new format together would race
    with ThreadPoolExecutor(os.cpu_count()) as pool:        # Pillow lets go of the interpreter lock as it decodes
        return images, list(tqdm(pool.map(one, range(len(files))), "images", len(files), disable=None))


def prepare(image, size, channels):
    """(H, W, C) uint8 of a Pillow image: its short side becomes `size` pixels, then its central square is cut out.

    The square is cut first and scaled alone, which comes to the same and never builds a long image. Shrinking weighs
    all pixels it covers (Pillow's BILINEAR; the paper names no filter). size None leaves H and W.
    """
    image = image.convert("L" if channels == 1 else "RGB")
    if size is not None:
        short = min(image.size)
        left, top = (image.width - short) // 2, (image.height - short) // 2     # whole pixels: no blur at scale 1
        image = image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + short, top + short))
    return np.asarray(image).reshape(image.height, image.width, channels)


def prepare_arrays(images, size, channels):
    """The same for all of (N, H, W, C), which comes back as it is where nothing is to be done."""
    count, height, width, depth = images.shape
    shape = count, size or height, size or width, channels or depth
    if shape == images.shape:
        return images
    prepared = allocate(*shape)
    for i, image in enumerate(images):
        prepared[i] = prepare(Image.fromarray(image[..., 0] if depth == 1 else image), size, shape[3])
    return prepared


def allocate(count, height, width, channels):
    need = count * height * width * channels
    require(need <= MEMORY, f"{count:,} images of {height} x {width} x {channels} need {need / 2**30:.1f} GiB, expected"
            f" {MEMORY / 2**30:.1f} or less; choose a size up to {math.isqrt(MEMORY // (count * channels))}")
    return np.empty((count, height, width, channels), np.uint8)


def generator(seed, purpose, epoch=0):
    require(seed >= 0, f"seed={seed}: expected 0 or more")
    return np.random.default_rng([seed, purpose, epoch])


def hold_out(labels, holdout, seed):
    """(N,) bool: True for the images that become the validation set, the same share of every class."""
    held = np.zeros(len(labels), bool)
    shuffled = generator(seed, HOLDOUT).permutation(len(labels))
    for label in np.unique(labels):
        of_class = shuffled[labels[shuffled] == label]
        held[of_class[:round(holdout * len(of_class))]] = True
    return held


def mean_image(images):
    """(H, W, C) float32: each pixel's mean over the training set's images (N, H, W, C), summed in float64 (§ 2)."""
    return images.mean(axis=0, dtype=np.float64).astype(np.float32)


# ---------------------------------------------------------------- views and batches (§ 4.1)

def view_side(size):
    """The side of the crop that is to an image of `size` pixels what the paper's 224 is to 256."""
    return 7 * size // 8


def room(images, side):
    """(down, right): the pixels that a crop of side × side leaves over in images (N, H, W, C). DataError if it does
    not fit."""
    _, height, width, _ = images.shape
    require(1 <= side <= min(height, width), f"views of {side} x {side} pixels from images of {height} x {width}: "
                                             f"expected a side from 1 to {min(height, width)}")
    return height - side, width - side


@lru_cache(maxsize=1)
def draws(count, down, right, seed, epoch):
    """(N, 3) int64: top, left and mirror (0 or 1) of every image's view in this epoch, kept for all its batches."""
    return generator(seed, VIEWS, epoch).integers(0, [max(1, down), max(1, right), 2], size=(count, 3))


def random_views(images, index, side, mean, seed, epoch, scale=1.0):
    """(n, side, side, C) float32: a random crop of each of images[index], half of them mirrored, minus the mean, times
    `scale` (the paper has none: 1).

    images (N, H, W, C) uint8, index (n,) into all N, mean (H, W, C): cut where the image is cut, then mirrored with it.
    An image's view depends on (seed, epoch, its number) alone. Raises DataError if the side does not fit. The paper
    counts 32 × 32 × 2 = 2048 views of an image, so a crop starts in one of the first 32 places each way (224 fits into
    256 in a 33rd, which only the corners of the ten test views use).
    """
    table = draws(len(images), *room(images, side), seed, epoch)
    views = np.empty((len(index), side, side, images.shape[3]), np.float32)
    mirrored = np.arange(side)[::-1]
    for view, i in zip(views, index):
        top, left, mirror = table[i]
        crop = np.s_[top:top + side, left:left + side]
        np.subtract(images[i][crop], mean[crop], out=view)
        if mirror:
            view[:] = view.take(mirrored, axis=1)           # as view[:, ::-1], in half the time
    views *= np.float32(scale)
    return views


def central_views(images, side, mean, scale=1.0):
    """(n, side, side, C) float32: the central crop of images (n, H, W, C) minus the mean, times `scale`, to validate
    and to test."""
    down, right = room(images, side)
    crop = np.s_[down // 2:down // 2 + side, right // 2:right // 2 + side]
    return np.subtract(images[:, *crop], mean[crop], dtype=np.float32) * np.float32(scale)


def ten_views(images, side, mean, scale=1.0):
    """Yield the ten views that § 4.1 tests with, each (n, side, side, C) float32: the four corners and the centre of
    images (n, H, W, C), minus the mean there, times `scale`, and their mirror images."""
    down, right = room(images, side)
    for top, left in ((0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)):
        crop = np.s_[top:top + side, left:left + side]
        view = np.subtract(images[:, *crop], mean[crop], dtype=np.float32) * np.float32(scale)
        yield view
        yield np.ascontiguousarray(view[:, :, ::-1])


def order(count, seed, epoch):
    """(N,) int64: the order in which an epoch visits `count` images."""
    return generator(seed, ORDER, epoch).permutation(count)


def batches(split, batch_size, side, mean, seed, epoch, start=0, scale=1.0, augment=True):
    """Yield (images (n, side, side, C) float32, labels (n,) int64) through an epoch, from batch number `start` on:
    random views of the images, or, with augment=False, their central ones.

    An incomplete last batch is left out, so that every step averages over as many images (others are left out in the
    next epoch); a split smaller than one batch is given as it is. Raises DataError as random_views does.
    """
    require(batch_size >= 1, f"batch_size={batch_size}: expected 1 or more")
    count = len(split.labels)
    visited = order(count, seed, epoch)[:count // batch_size * batch_size or count]
    for first in range(start * batch_size, len(visited), batch_size):
        index = visited[first:first + batch_size]
        if augment:
            views = random_views(split.images, index, side, mean, seed, epoch, scale)
        else:
            views = central_views(split.images[index], side, mean, scale)
        yield views, split.labels[index]


# ---------------------------------------------------------------- python data.py

def download(archive=None):
    """Put CIFAR-10's binary files into datasets/, from the archive at hand or else from its authors' site."""
    folder = DATASETS / CIFAR_FOLDER
    try:
        return f"{read_cifar10(folder)[0]}: already complete"
    except DataError:
        DATASETS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=DATASETS) as scratch:
        if archive is None:
            archive = Path(scratch, "archive")
            fetch(CIFAR_URL, archive)
        with open(archive, "rb") as file:
            md5 = hashlib.file_digest(file, "md5").hexdigest()
        require(md5 == CIFAR_MD5, f"{archive}: its md5 is {md5}, expected {CIFAR_MD5}; fetch it again")
        with tarfile.open(archive, "r:gz") as tar:          # no extractall: a member may be a link, or name any place
            members = {member.name: member for member in tar if member.isreg()}
            for name in CIFAR_FILES:
                member = members.get(f"{CIFAR_FOLDER}/{name}")
                require(member and member.size <= 10_000 * CIFAR_RECORD, f"{archive}: no usable {name}; fetch it again")
                Path(scratch, name).write_bytes(tar.extractfile(member).read())
        folder.mkdir(exist_ok=True)
        for name in CIFAR_FILES:
            os.replace(Path(scratch, name), folder / name)
    return read_cifar10(folder)[0]


def fetch(url, path):
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, open(path, "wb") as file, \
                tqdm(unit="B", unit_scale=True, disable=None) as bar:
            bar.total = int(answer.headers.get("Content-Length", 0))
            while block := answer.read(1 << 20):
                file.write(block)
                bar.update(len(block))
    except (OSError, http.client.HTTPException) as error:
        raise DataError(f"{url}: cannot be fetched ({error}); check the network and the disk, or fetch it elsewhere "
                        "and pass it with --from FILE") from error


def show(source):
    """What a source holds, as text."""
    data = load(source)
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    lines = [data.name, *(f"{part}: {' x '.join(map(str, split.images.shape))}" for part, split in splits.items())]
    lines.append("".join(f"{part:>12}" for part in splits) + "  class")
    for label, name in enumerate(data.classes):
        lines.append("".join(f"{np.sum(split.labels == label):12,}" for split in splits.values()) + f"  {label} {name}")
    return "\n".join(lines + [f"left out: {reason}" for reason in data.bad])


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="data.py", description="Look at a source of images, or fetch one.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("show", help="print what a source holds: splits, shapes, classes, images per class")
    command.add_argument("source", nargs="?", default="fashion-mnist", metavar="SOURCE", help="fashion-mnist "
                         "(the default), cifar10, an .npz file, or a folder with train/CLASS/* and val/CLASS/*")
    command = commands.add_parser("download", help="fetch CIFAR-10's binary version (170 MB) into datasets/")
    command.add_argument("name", choices=["cifar10"])
    command.add_argument("--from", dest="archive", metavar="FILE", help="take this cifar-10-binary.tar.gz instead")
    options = parser.parse_args(arguments)
    try:
        print(show(options.source) if options.command == "show" else download(options.archive))
    except (DataError, OSError) as error:
        sys.exit(f"data.py: {error}")


if __name__ == "__main__":
    main()
