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
from pathlib import Path

import numpy as np

from imaging.arrays import DATASETS         # re-exported for callers of `data`, like other names below
from imaging.common import ORDER, DataError, Split, generator, require
from imaging.decode import prepare, reason
from imaging.download import download
from imaging.images import Files
from imaging.items import ENDINGS
from imaging.labels import class_names, imagenet_classes
from imaging.load import Data, load
from imaging.prefetch import Prefetch
from imaging.prepare import BROKEN, prepare_folder
from imaging.shards import check_folder, is_prepared
from imaging.views import (FACTORS, MEANS, central_views, colour_axes, colour_noise, draws, mean_image, random_views,
                           room, ten_views, view_side)
from training.errors import in_words
from training.terminal import any_terminal

DAY = 86400.0           # seconds that a rank waits at most for others' shards


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
