"""Images in, batches out (paper § 2 and § 4.1).

    data = load("fashion-mnist")                            # or "cifar10", an .npz file, a folder of photographs
    mean = mean_image(data.train.images)                    # § 2: the only preprocessing
    with batches(data.train, 128, view_side(28), mean, seed=0, epoch=0) as source:
        for images, labels in source:
            ...                                             # (128, 24, 24, 1) float32, (128,) int64

ImageNet is prepared once, in any of its forms (imaging/sources.py), and then loaded like the rest:

    python data.py prepare ILSVRC2012/ prepared/            256×256 pixels, as § 2 says; --jpeg: a tenth of the disk
    python data.py check prepared/                          verify every checksum; print the contents
    python data.py show prepared/                           draw a contact sheet
    python data.py show --augment photo.jpg                 the crops, colours and views of § 4.1

Shapes stand at the ends of lines: N images of H × W pixels in C channels (1 grey; 3 red, green, blue); n of them
make a batch, each cut to side × side. Pixels are uint8, 0 to 255, until the mean is subtracted.

Every draw follows from (seed, purpose, epoch) and the image's number, not from earlier draws. So any batch of any epoch
can be made alone: a resumed run gets the images that it would have got, and the number of threads changes nothing.
"""

import sys

if sys.version_info < (3, 11):
    sys.exit("data.py needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": run it with a newer one")

import argparse
import math
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from imaging import arrays, sources
from imaging.arrays import DATASETS         # re-exported for callers of `data`, like other names below
from imaging.common import HOLDOUT, ORDER, DataError, Split, generator, require
from imaging.decode import Broken, decode_item, prepare, reason
from imaging.images import Files
from imaging.download import download
from imaging.prefetch import Prefetch
from imaging.items import ENDINGS, Passed
from imaging.labels import class_names, imagenet_classes
from imaging.prepare import BROKEN, prepare_folder
from imaging.shards import check_folder, is_prepared, open_folder
from imaging.views import (FACTORS, MEANS, central_views, colour_axes, colour_noise, draws, mean_image, random_views,
                           room, ten_views, view_side)
from training.errors import in_words
from training.terminal import any_terminal

MEMORY = 4 << 30        # bytes of images; loading briefly takes twice that
DAY = 86400.0           # seconds that a rank waits at most for others' shards


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


# Batches (§ 4.1) -----------------------------------------------------------------------------------------------------

def order(count, seed, epoch):
    """(N,) int64: the order in which an epoch visits `count` images."""
    return generator(seed, ORDER, epoch).permutation(count)


def batches(split, batch_size, side, mean, seed, epoch, start=0, scale=1.0, augment=True, colour=None, cutout=0,
            workers=2, images_per_crop=1, share=(0, 1)):
    """Iterate over (images (n, side, side, C) float32, labels (n,) int64) through an epoch, from batch number `start`
    on: random views of the images, with noise of `colour`, an erased block of `cutout` pixels and one crop for
    `images_per_crop` images where given (see random_views), or, with augment=False, their central ones.

    share: (r, P) for the r-th of P parts of every batch, which P processes share.

    `workers` threads make the batches ahead of their use (imaging/prefetch.py); 0: each batch is made when it is
    requested. close() ends them early.

    An incomplete last batch is left out, so that every step averages over the same number of images (the next epoch
    leaves out others); a split smaller than a batch is one batch. Images that turn out to be broken (load(lazy=True))
    are left out of their batch. Raises DataError as random_views does.
    """
    require(batch_size >= 1, f"batch_size={batch_size}: expected 1 or more")
    room(split.images, side)
    count = len(split.labels)
    visited = order(count, seed, epoch)[:count // batch_size * batch_size or count]

    def make(number):
        index = visited[number * batch_size:(number + 1) * batch_size]
        index = index[len(index) * share[0] // share[1]:len(index) * (share[0] + 1) // share[1]]
        if augment:
            views = random_views(split.images, index, side, mean, seed, epoch, scale, colour, cutout,
                                 images_per_crop=images_per_crop)
        else:
            views = central_views(split.images[index], side, mean, scale)
        if isinstance(split.images, Files) and split.images.bad:
            good = np.array([not split.images.is_bad(i) for i in index])
            views, index = views[good], index[good]
        return views, split.labels[index]

    return Prefetch(make, start, -(-len(visited) // batch_size), workers)


# python data.py ------------------------------------------------------------------------------------------------------

def describe(data):
    """The contents of a source, as text."""
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    lines = [data.name, *(f"{part}: {' x '.join(map(str, split.images.shape))}" for part, split in splits.items())]
    lines.append("".join(f"{part:>12}" for part in splits) + "  class")
    counts = [np.bincount(split.labels, minlength=len(data.classes)) for split in splits.values()]
    for label, (name, words) in enumerate(zip(data.classes, class_names(data.classes))):
        lines.append("".join(f"{count[label]:12,}" for count in counts) + f"  {label} {name}"
                     + (f" {words}" if words != name else ""))
    return "\n".join(lines + [f"left out: {reason}" for reason in data.bad]
                     + [f"passed over: {line}" for line in data.passed])


def show(source, augment, out, size, factor):
    """Print a source's contents and draw its contact sheet, or draw the augmentations of a photograph (§ 4.1) → the sentence
    with the result."""
    from imaging.pictures import augmentation_sheet, contact_sheet      # matplotlib takes a second to load

    if augment:
        out = out or f"{Path(augment).stem}-augmented.png"
        try:
            augmentation_sheet(augment, out, size or 256, factor=factor)
        except (DataError, OSError, ValueError) as error:
            raise DataError(f"{augment}: cannot be drawn ({reason(error)}); expected an image file") from error
        return f"drawn: {out}"
    path = Path(source)
    data = load(source, size, parts=())
    print(describe(data), flush=True)
    if not (out or is_prepared(path)):
        return None
    out = out or path / "contact_sheet.png"
    try:
        contact_sheet(data, out)
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror or error}); name another file with --out") from error
    return f"drawn: {out}"


def make_parser():
    parser = argparse.ArgumentParser(prog="data.py", description="Prepare, check, show or download images.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("prepare", help="scale and cut a source's images once, into a folder of shards (§ 2)")
    command.add_argument("source", metavar="SOURCE", help="a folder with train/CLASS/* and val/CLASS/*, ImageNet's "
                         "archives, Kaggle's or Tiny-ImageNet's folders: see imaging/sources.py")
    command.add_argument("folder", metavar="PREPARED", help="the folder to write: a new one, or one to resume")
    command.add_argument("--size", type=int, default=256, help="pixels a side (§ 2: 256, the default)")
    command.add_argument("--jpeg", type=int, default=0, metavar="QUALITY", help="store JPEG files of this quality: at "
                         "90 a tenth of the disk space, half the reading speed; default: raw pixels")
    command.add_argument("--broken", type=float, default=BROKEN, metavar="SHARE", help="share of a split's files that may be "
                         "left out because they are broken (default: 0.01)")
    command.add_argument("--labels", metavar="FILE", help="labels of a flat val; default: searched beside it")
    command.add_argument("--workers", type=int, help="processes (default: one per core)")
    command = commands.add_parser("check", help="verify every checksum of a prepared folder, and print its contents")
    command.add_argument("folder", metavar="PREPARED")
    command = commands.add_parser("show", help="print a source's contents: splits, shapes, classes, images per class; "
                                  "draw a contact sheet; or draw the augmentations of a photograph")
    command.add_argument("source", nargs="?", default="fashion-mnist", metavar="SOURCE", help="fashion-mnist (the "
                         "default), cifar10, an .npz file, a prepared folder, or one with train/CLASS/*, val/CLASS/*")
    command.add_argument("--out", metavar="FILE", help="the picture's file (default: PREPARED/contact_sheet.png; "
                         "PHOTO-augmented.png; for other sources none)")
    command.add_argument("--augment", metavar="PHOTO", help="draw 12 crops and mirrors, 12 colour draws and the ten "
                         "views of this photograph (§ 4.1)")
    command.add_argument("--size", type=int, help="pixels a side (of a photograph: 256)")
    command.add_argument("--colour-factor", default="eigenvalue", choices=FACTORS, help="factor of the draws (§ 4.1)")
    command = commands.add_parser("download", help="download CIFAR-10's binary version (170 MB) into datasets/")
    command.add_argument("name", choices=["cifar10"])
    command.add_argument("--from", dest="archive", metavar="FILE", help="use this cifar-10-binary.tar.gz instead")
    return parser


def main(arguments=None):
    with any_terminal():
        run(make_parser().parse_args(arguments))


def run(options):
    """Carry out a command; an error that a user can fix ends in a sentence and status 1."""
    ranks = None
    try:
        if options.command == "prepare":
            from nn.run import launch                       # only here: many processes share this work
            ranks = launch.start(wait=DAY)
            text = prepare_folder(options.source, options.folder, options.size, options.jpeg, options.workers,
                                  options.labels, options.broken, ranks)
        elif options.command == "check":
            text = check_folder(options.folder)
        elif options.command == "show":
            text = show(options.source, options.augment, options.out, options.size, options.colour_factor)
        else:
            text = download(options.archive)
        if text:
            print(text)
    except (DataError, OSError) as error:
        if ranks:
            ranks.fail(f"data.py: {in_words(error)}")
        sys.exit(f"data.py: {in_words(error)}")
    except KeyboardInterrupt:
        sys.exit("data.py: stopped; the same command resumes")


if __name__ == "__main__":
    main()
