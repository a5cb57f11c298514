"""A source of images, whatever its form, as training, validation and test set (paper § 2)."""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from imaging import arrays, sources
from imaging.common import HOLDOUT, Split, generator, require
from imaging.decode import Broken, decode_item, prepare
from imaging.images import Files
from imaging.items import Passed
from imaging.prepare import BROKEN
from imaging.shards import is_prepared, open_folder

MEMORY = 4 << 30        # bytes of images; loading briefly takes twice that


class Data(NamedTuple):
    name: str               # what it is and where it came from
    train: Split
    validation: Split       # held out of the training set
    test: Split
    classes: list[str]      # label i means classes[i]; class_names(classes) for display
    bad: list[str]          # "path: reason" for each broken image left out
    passed: list[str] = []  # files that are no images, counted by kind


PARTS = dict(train="training", validation="validation", test="test")      # {part of a Data: its adjective}


def load(source="fashion-mnist", size=None, channels=None, seed=0, holdout=0.1, lazy=False, parts=PARTS):
    """The images of a source as Data.

    source    "fashion-mnist" (the system's full set, else the subset in datasets/), "cifar10", or a path: a prepared
              folder, a folder of image files or archives in one of the forms of imaging/sources.py, a folder of
              CIFAR-10's binary files or of MNIST's idx files, or an .npz file with x_train, y_train, x_test, y_test
              and, optionally, classes.
    size      pixels: every image is scaled and cut to size × size (§ 2: 256). None: arrays and prepared images keep
              theirs, a folder's images get 64.
    channels  1 or 3: grey is repeated, colour is converted to grey (Pillow's L). None: arrays keep theirs, a
              folder's images get 3.
    holdout   the share of every training class that becomes the validation set, drawn from the seed. 0: none; the test
              set is used, as the paper used ImageNet's validation set. A folder with train, val and test needs none: its
              val validates. With val or test alone, that is the test set.
    lazy      for image files: decode them on each use, instead of all of them into memory now.

    parts     those that are needed, of train, validation and test. The others can be missing, and are then empty, and of
              image files they are not read. (): all are read, and each can be empty.

    Prepared images are always read on use: `images` then behaves like an array, within the limits that
    imaging/images.py states.

    Raises DataError for a source that is missing, damaged or inconsistent, for images that would take over 4 GiB of
    memory, for a folder with over 1 % of its images broken, and where a part that is needed would be empty.
    """
    require(size is None or size >= 1, f"--size must be at least 1, got {size}")
    require(channels in (None, 1, 3), f"channels must be 1 or 3, got {channels}")
    require(0 <= holdout < 1, f"--holdout must be 0 or more and less than 1, got {holdout}")
    require(seed >= 0, f"--seed must be at least 0, got {seed}")
    path, bad, passed = Path(source), [], []
    if source == "fashion-mnist":
        name, *splits, classes = arrays.read_fashion_mnist()
    elif source == "cifar10":
        name, *splits, classes = arrays.read_cifar10(arrays.DATASETS / arrays.CIFAR_FOLDER)
    elif is_prepared(path):
        name, splits, classes, bad, passed = read_prepared(path, size, channels)
    elif arrays.is_cifar10(path):
        name, *splits, classes = arrays.read_cifar10(path)
    elif arrays.is_idx(path):
        name, *splits, classes = arrays.read_idx_folder(path)
    elif path.is_dir():
        name, splits, classes, bad, passed = read_files(path, size or 64, channels or 3, lazy, seed, parts)
    else:
        require(path.is_file(), f"{source}: no such file or folder; expected fashion-mnist, cifar10, an .npz file, a "
                                "prepared folder, or a folder with train/CLASS/* and val/CLASS/*")
        name, *splits, classes = arrays.read_npz(path)
    splits = splits if isinstance(splits, dict) else dict(zip(("train", "test"), splits))
    splits = {split: Split(prepare_arrays(images, size, channels), labels) for split, (images, labels) in splits.items()}
    found = divide(splits, holdout, seed)
    for part in parts:
        require(len(found[part].labels), f"{name}: no {PARTS[part]} image is left when {holdout:.0%} of every class are held out "
                f"of {len(splits['train'].labels) if 'train' in splits else 0} images; add images or change the share "
                "(--holdout)")
    return Data(name, *found.values(), classes, bad, passed)


def divide(splits, holdout, seed):
    """{"train", "val", "test": those that a source has} → {"train", "validation", "test": all of them}."""
    some = next(iter(splits.values()))
    nothing = Split(part_of(some.images, np.zeros(len(some.labels), bool)), some.labels[:0])
    train, test = splits.get("train", nothing), splits.get("test", splits.get("val", nothing))
    if "val" in splits and "test" in splits:
        return dict(train=train, validation=splits["val"], test=test)
    held = hold_out(train.labels, holdout, seed)
    validation, train = (Split(part_of(train.images, part), train.labels[part]) for part in (held, ~held))
    return dict(train=train, validation=validation if holdout else test, test=test)


def read_prepared(path, size, channels):
    """(name, {split: Split}, classes, list of broken images, lines of what was passed over) of a prepared folder."""
    facts, splits = open_folder(path)
    require(size in (None, facts["size"]) and channels in (None, 3), f"{path}: holds RGB images of {facts['size']} x "
            f"{facts['size']}, but size {size or facts['size']} and {channels or 3} channels are requested; use --size "
            f"{facts['size']}, or prepare the source again with another --size")
    bad = (path / "bad_images.txt").read_text(encoding="utf-8", errors="replace").splitlines()
    return f"{path}, prepared", splits, facts["classes"], bad, facts.get("passed", [])


def part_of(images, mask):
    return images[mask] if isinstance(images, np.ndarray) else images.part(mask)


def hold_out(labels, holdout, seed):
    """(N,) bool: True for the images that become the validation set, the same share of every class."""
    held = np.zeros(len(labels), bool)
    shuffled = generator(seed, HOLDOUT).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]        # class by class, each in the drawn order
    counts = np.bincount(labels)
    for stop, count in zip(np.cumsum(counts), counts):
        held[by_class[stop - count:stop - count + round(holdout * count)]] = True
    return held


def read_files(path, size, channels, lazy, seed, parts):
    """(name, {split: Split}, classes, list of broken images, lines of what was passed over) of a folder of image files or
    archives. A split that no part needs is not read."""
    source, passed = sources.find(path, seed=seed), Passed()
    source.beside(passed)
    both = {"val", "test"} <= source.splits.keys()
    needs = {"train": {"train"}, "validation": {"val"} if both else {"train"}, "test": {"test"} if both else {"val", "test"}}
    needed = set().union(*(needs[part] for part in parts or PARTS))
    listed = {split: list(items(passed)) for split, items in source.splits.items() if split in needed}
    for split, items in list(listed.items()):
        unknown = sorted({item.fault for item in items if item.label < 0 and not item.offset >= 0})
        require(not unknown, f"{path}: {unknown[0] if unknown else ''}, found in {split}/; expected the same classes as in train/: "
                             "add or remove some")
        require(items or split == "test" and both, f"{path}: found no image in {split}; {sources.EXPECTED}")
        if not items:                                       # ImageNet's test set, which has no labels
            del listed[split]
    require(listed, f"{path}: found no image for {' and '.join(parts or PARTS)}; {sources.EXPECTED}")
    items = sum(listed.values(), [])
    labels = np.array([item.label for item in items])
    if lazy:
        images = Files(items, size, channels, BROKEN)
        bad, good = images.bad, labels >= 0
    else:
        images, broken = decode_all(items, size, channels, path)
        bad, good = [text for text in broken if text], np.array([text is None for text in broken])
        require(len(bad) <= BROKEN * len(items),
                f"{path}: {len(bad)} of {len(items)} images are broken, over {BROKEN:.0%}; repair or remove them: "
                f"{'; '.join(bad[:3])}{' ...' if len(bad) > 3 else ''}")
    of_split = np.repeat(list(listed), [len(items) for items in listed.values()])
    splits = {split: Split(part_of(images, own), labels[own])
              for split in listed if (own := good & (of_split == split)) is not None}
    name = f"{path}, {source.note}" if source.note else str(path)
    return name, splits, source.classes, bad, passed.lines()


def decode_all(items, size, channels, path):
    """Images (N, size, size, C) uint8 of N items, and for each item None, or "path: reason" if broken."""
    images = allocate(len(items), size, size, channels, f"; or prepare them once: python data.py prepare {path} "
                      f"PREPARED --size {size}, and give PREPARED as the data; or decode them when they are used: "
                      "--lazy")

    def one(i):
        try:
            images[i] = decode_item(items[i], size, channels)
        except Broken as error:
            where = items[i].path if items[i].offset < 0 else items[i].name
            return f"{where}: {error}".encode(errors="replace").decode()            # a name need not be UTF-8

    Image.init()                                            # once: threads that meet a new format together would race
    with ThreadPoolExecutor(os.cpu_count()) as pool:        # Pillow releases the interpreter's lock while it decodes
        return images, list(tqdm(pool.map(one, range(len(items))), "images", len(items), disable=None))


def prepare_arrays(images, size, channels):
    """(N, H, W, C) scaled and cut (§ 2); the array itself if nothing changes."""
    count, height, width, depth = images.shape
    shape = count, size or height, size or width, channels or depth
    if shape == images.shape:
        return images
    prepared = allocate(*shape)
    for i, image in enumerate(images):
        prepared[i] = prepare(Image.fromarray(image[..., 0] if depth == 1 else image), size, shape[3])
    return prepared


def allocate(count, height, width, channels, otherwise=""):
    need = count * height * width * channels
    require(need <= MEMORY, f"{count:,} images of {height} x {width} x {channels} need {need / 2**30:.1f} GiB, expected"
            f" {MEMORY / 2**30:.1f} or less; choose a size up to {math.isqrt(MEMORY // (count * channels))}{otherwise}")
    return np.empty((count, height, width, channels), np.uint8)
