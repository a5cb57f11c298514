"""Sources of image files: which file belongs to which split and class. No image is read.

`find(root)` knows these forms. Split names may have any capitals; several names of one split are after the slash:

    train/CLASS/*, val/CLASS/*                      any folders; images may be deeper inside CLASS
    train/…, val/valid/validation/…, test/…         with all three, val validates and test tests
    train/… alone, or CLASS/* without splits        a fifth of every class is held out for testing, drawn from the seed
    val/CLASS/* alone                               to evaluate a net
    train/WNID/*, val/* and its labels              the labels in a text file, see imaging/labels.py
    train/*_WNID.JPEG, val/*_WNID.JPEG              flat, with the wnid in each name, as Hugging Face's archives unpack
    train/WNID.tar, ILSVRC2012_img_train.tar        the official archives (a tar of 1000 tars), read in place
    ILSVRC2012_img_val.tar and its labels           likewise
    ILSVRC/Data/CLS-LOC/train, …/val                Kaggle's, with LOC_val_solution.csv beside ILSVRC/
    train/WNID/images/*, val/images/*               Tiny-ImageNet's, with val/val_annotations.txt

A label is the position of its class among the training classes in sorted order: for ImageNet sorted by wnid, the usual
order, not by the devkit's ILSVRC2012_ID.

Files that are not used are counted, with the first of each kind named (items.Passed): other endings, hidden files, images
beside the folders of classes, whatever lies beside the splits. Links in folders are followed, like torchvision's
ImageFolder does.
"""

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from imaging.common import TESTING, generator, require
from imaging.items import ENDINGS, Item, is_image, members
from imaging.labels import LABEL_FILES, Labels, find_labels, imagenet_classes

NAMES = {"train": ("train", "training", "ILSVRC2012_img_train", "ILSVRC2012_img_train.tar"),
         "val": ("val", "valid", "validation", "ILSVRC2012_img_val", "ILSVRC2012_img_val.tar"),
         "test": ("test", "testing")}
LIKE_A_SPLIT = re.compile(r"(train(ing)?|val(id(ation)?)?|test(ing)?)([^a-z].*)?", re.IGNORECASE)   # "train2017"
HELD_OUT = 0.2          # the share of every class that tests, where a source has no test images
WNID = re.compile(r"(?:(n\d{8})_)?.*?(?:_(n\d{8}))?")       # of a flat file's stem: at its beginning, or at its end


class Source(NamedTuple):
    classes: list[str]
    splits: dict[str, Callable]     # {"train", "val", "test", those that there are: (passed=None) → an iterator over
                                    # Items: class by class, names sorted; archives in their own order}
    note: str = ""                  # what was decided here, for the user
    beside: Callable = lambda passed: None      # counts, in a Passed, what lies beside the splits

    def train(self, passed=None):
        return self.splits["train"](passed)

    def val(self, passed=None):
        return self.splits["val"](passed)


def find(root, labels=None, seed=0):
    """The Source in a folder.

    labels: the file with the labels of a flat val, instead of searching. seed: for the images held out where there is only
    one split. Raises DataError if there is no form of the above, or labels are missing or invalid.
    """
    require(Path(root).is_dir(), f"{root}: no such folder; {EXPECTED}")
    root = Path(root).resolve()
    places = splits_of(root)
    if not places:
        return unsplit(root, class_parts(root, deep=False), root, seed)
    parts = {split: class_parts(path) for split, path in places.items()}
    known = parts["train"] if "train" in parts else parts["val"]
    if "train" not in parts and not set(known) - {"images"} and (labels or find_labels(root, places["val"].parent, places["val"])):
        known = imagenet_classes()                          # a flat val alone
    require(known, f"{root}: found {listing(places.get('train', root))} in {places.get('train', root).name}, and no class; "
                   f"{EXPECTED}")
    beside = partial(beside_splits, list(places.values()))
    if list(places) == ["train"]:
        require(not labels, f"{root}: found no val for the labels of {labels}; leave --labels out, or add val/")
        return unsplit(root, parts["train"], places["train"], seed)._replace(beside=beside)
    number, found = {name: label for label, name in enumerate(known)}, {}
    if "train" in places:
        found["train"] = labelled_parts(parts["train"], number, places["train"])
    for split in [split for split in ("val", "test") if split in places]:
        found[split] = split_of(root, places[split], parts[split], number, labels if split == "val" else None, split)
    found = {split: items for split, items in found.items() if items}
    return Source(list(known), found, beside=beside)


def splits_of(root):
    """{split: its folder or archive} of those that a folder has. A folder goes
    before an archive, from which it may be unpacked. Raises DataError if two folders are of one split."""
    for base in (root, root / "ILSVRC/Data/CLS-LOC", root / "Data/CLS-LOC"):
        inside = sorted(entries(base), key=lambda entry: entry.name) if base.is_dir() else []
        found = {}
        for split, names in NAMES.items():
            known = [name.lower() for name in names]
            own = [entry for entry in inside if entry.name.lower() in known]
            own = [entry for entry in own if entry.is_dir()] or [entry for entry in own if entry.name.endswith(".tar")]
            require(len(own) < 2, f"{base}: found {some(entry.name for entry in own)}, which name one split; expected one of them: "
                                  "move the others away")
            if own:
                found[split] = Path(own[0].path)
        if "train" in found or "val" in found:
            return found
    return {}


def split_of(root, path, parts, number, labels, split):
    """The function that yields a split's Items with their labels; None for a test set without labels."""
    own = [name for name in parts if name in number]
    require(not (own and labels), f"{path}: has its images in folders of classes, so that no labels are needed; leave "
                                  "--labels out")
    if own:
        return labelled_parts(parts, number, path)
    require(next(flat(path, None), None) or parts, f"{path}: found no image in it; {EXPECTED}")
    file = labels or (find_labels(root, path.parent, path) if split == "val" else None)
    require(file or not set(parts) - {"images"}, f"{path}: found the classes {some(parts)}, none of them in train "
            f"({some(number)}): name the same classes in both, capitals too")
    if file is None and split == "test":                    # ImageNet's test set: its labels were never published
        return lambda passed=None: without_labels(path, passed)
    require(file, f"{path}: found its images in one folder and no labels for them; expected {path.name}/CLASS/*, or one of "
                  f"val_annotations.txt, LOC_val_solution.csv, val.txt … beside it, or --labels FILE")
    look_up = Labels(file, list(number))

    def items(passed=None):
        for item in flat(path, passed):
            yield item if item.fault else labelled(item, look_up(item.name), number)
    return items


def without_labels(path, passed):
    """No Item; the images are counted as passed over."""
    for item in flat(path, passed) if passed is not None else ():
        passed.add(item.name, "images without labels")
    yield from ()


def unsplit(root, parts, path, seed):
    """The Source of classes without splits: a share of every class is held out."""
    misleading = [name for name in parts if LIKE_A_SPLIT.fullmatch(name)] if path == root else []
    require(len(parts) > 1 and not misleading, f"{root}: found {listing(root)}; {hint(root)}{EXPECTED}")
    number = {name: label for label, name in enumerate(parts)}

    def items(testing):
        def one(passed=None):
            for name, part in parts.items():
                own = list(part(None if testing else passed))
                held = generator(seed, TESTING, number[name]).permutation(len(own)) < round(HELD_OUT * len(own))
                yield from (item._replace(label=number[name]) for item, out in zip(own, held) if out == testing)
            if passed is not None and not testing:
                beside(path, parts, passed)
        return one

    return Source(list(parts), {"train": items(False), "test": items(True)},
                  f"{HELD_OUT:.0%} of every class held out for testing")


EXPECTED = ("expected the folders train/CLASS/* and val/CLASS/* (or test/CLASS/*), or CLASS/* alone, with images ending in "
            f"{', '.join(sorted(ENDINGS))}, or ImageNet's archives, CIFAR-10's or MNIST's files")


def hint(root):
    """A sentence for forms that are known but cannot be read in place; else nothing."""
    names = [entry.name for entry in entries(root)] if root.is_dir() else []
    if any(re.fullmatch(r"(train|val|test)_images.*\.tar\.gz", name) for name in names):
        return ("these are Hugging Face's compressed archives: unpack them, mkdir train val && for f in train_images_*.tar.gz; "
                "do tar xzf $f -C train; done && tar xzf val_images.tar.gz -C val; ")
    if any(name.endswith(".parquet") for name in names) or (root / "data").is_dir() and any(
            entry.name.endswith(".parquet") for entry in entries(root / "data")):
        return "these are Parquet files: save their images as files, train/CLASS/* and val/CLASS/*; "
    return ""


def listing(folder):
    """The first names in a folder, for a message."""
    names = sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries(folder)) \
        if folder.is_dir() else []
    return some(names) if names else "nothing"


def some(names):
    names = list(names)
    return ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")


def labelled(item, name, number):
    if name in number:
        return item._replace(label=number[name])
    return item._replace(fault=item.fault or ("no label" if name is None else f"no training image of {name}"))


def labelled_parts(parts, number, path):
    """The function that yields the Items of folders of classes with their labels."""
    def items(passed=None):
        if path.is_file():
            yield from (item for item in members(path, {".tar"}) if item.fault)            # of a tar of tars
        for name, part in parts.items():
            for item in part(passed):
                yield labelled(item, name, number)
        if passed is not None and path.is_dir():
            beside(path, parts, passed)
    return items


def beside(path, parts, passed):
    """Count what is in a folder of classes without being one."""
    with os.scandir(path) as found:
        for entry in sorted(found, key=lambda entry: entry.name):
            name = f"{path.name}/{entry.name}"
            if entry.name.startswith("."):
                passed.add(name, "hidden files or folders")
            elif entry.is_dir():
                if entry.name not in parts:
                    passed.add(name, "folders without images")
            elif is_image(entry.name):
                if wnid_of(entry.name) not in parts or (path / wnid_of(entry.name)).is_dir():
                    passed.add(name, "images beside the folders of classes")
            elif not entry.name.endswith(".tar"):
                passed.add(name)


def beside_splits(splits, passed):
    """Count what lies in the folder of the splits, and is none of them. Files with a usual name for labels are not counted."""
    with os.scandir(splits[0].parent) as found:
        others = [entry for entry in found if Path(entry.path) not in splits and entry.name not in LABEL_FILES]
    for entry in sorted(others, key=lambda entry: entry.name):
        if entry.name.startswith("."):
            passed.add(entry.name, "hidden files or folders")
        elif entry.is_dir():
            for item in files(entry.path, entry.name, passed):
                passed.add(item.name, "images in a folder beside " + " and ".join(path.name for path in splits))
        else:
            passed.add(entry.name, "images beside the folders" if is_image(entry.name) else None)


def class_parts(path, deep=True):
    """{class: a function (passed) → its Items}, sorted, of a folder of folders or tars, of flat files with wnids in their
    names, or of a tar of tars. deep: images may be folders deeper; else only in the class's folder, or in images/ there."""
    if path.is_file():
        tars = {Path(item.name).stem: item for item in members(path, {".tar"}) if not item.fault}
        return {name: lambda passed=None, item=tars[name]: members(path, ENDINGS, item.offset, item.size, item.name, passed)
                for name in sorted(tars)}
    parts, flat_names = {}, []
    for entry in sorted(entries(path), key=lambda entry: entry.name):
        name, inside = entry.name, Path(entry.path)
        prefix = f"{path.name}/{name}"
        if entry.is_dir():
            if any(True for _ in files(inside, prefix, deep=deep)):
                parts[name] = lambda passed=None, inside=inside, prefix=prefix: files(inside, prefix, passed)
        elif name.endswith(".tar"):
            expect_class(inside)
            parts[name[:-4]] = lambda passed=None, inside=inside, prefix=prefix: members(inside, name=prefix, passed=passed)
        elif is_image(name) and wnid_of(name):
            flat_names.append((wnid_of(name), name))
    if not parts:
        for wnid, name in sorted(flat_names):
            parts.setdefault(wnid, []).append(Item(f"{path.name}/{name}", -1, os.path.join(path, name), -1, -1, ""))
        parts = {wnid: lambda passed=None, own=own: iter(own) for wnid, own in parts.items()}
    return parts


def expect_class(path):
    """Raise DataError if a tar is a shard of WebDataset, which holds images of any classes, with their labels."""
    shard = next((item.name for item in members(path, {".cls", ".json"})), None)
    require(not shard, f"{path}: found {shard}, so this is a shard of WebDataset; expected one tar for each class: sort its "
                       "images into train/CLASS/ and val/CLASS/")


def wnid_of(name):
    """The wnid at the end of a file's name, else the one at its beginning, else None."""
    begin, end = WNID.fullmatch(os.path.splitext(name)[0]).groups()
    return end or begin


def entries(folder):
    with os.scandir(folder) as found:
        return [entry for entry in found if not entry.name.startswith(".")]


def flat(path, passed):
    """The Items of a flat split."""
    if path.is_file():
        return members(path, passed=passed)
    inner = path / "images" if (path / "images").is_dir() else path
    return files(inner, path.name, passed)


def files(folder, prefix, passed=None, deep=True, above=()):
    """The Items of the image files in a folder and below it, sorted by name, folders after files. deep=False: below it only
    in images/. above: the folders that this one is in, against links that lead back."""
    folders = []
    with os.scandir(folder) as found:
        for entry in sorted(found, key=lambda entry: entry.name):
            name = f"{prefix}/{entry.name}"
            if entry.name.startswith("."):
                if passed is not None:
                    passed.add(name, "hidden files or folders")
            elif entry.is_dir():
                folders.append(entry)
            elif is_image(entry.name):
                yield Item(name, -1, entry.path, -1, -1, "")
            elif passed is not None:
                passed.add(name)
    above = (*above, os.path.realpath(folder))
    for entry in folders:
        if (deep or entry.name == "images") and os.path.realpath(entry.path) not in above:
            yield from files(entry.path, f"{prefix}/{entry.name}", passed, deep, above)
