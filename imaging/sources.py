"""Sources of image files: which file belongs to which split and class. No image is read.

`find(root)` knows ImageNet's usual forms, and anything laid out like them:

    train/CLASS/*, val/CLASS/*                      any folders; CLASS may hold its images in images/
    train/WNID/*, val/* and its labels              the labels in a text file, see below
    train/WNID.tar, ILSVRC2012_img_train.tar        the official archives (a tar of 1000 tars), read in place
    ILSVRC2012_img_val.tar and its labels           likewise
    ILSVRC/Data/CLS-LOC/train, …/val                Kaggle's, with LOC_val_solution.csv beside ILSVRC/
    train/WNID/images/*, val/images/*               Tiny-ImageNet's, with val/val_annotations.txt

Labels of a flat val are searched beside it, in the source and in up to three folders above (LABEL_FILES), or named
by the caller. A line is a file's name and its class (a wnid, or a number: see `Labels`), or only a class for each
image in the order of their numbers: the devkit's ILSVRC2012_validation_ground_truth.txt, which is also read from inside
ILSVRC2012_devkit_t12.tar.gz. A label is the position of its class among the training classes in sorted order: for
ImageNet sorted by wnid, the usual order, not by the devkit's ILSVRC2012_ID.

Files whose name begins with a dot, or lacks an image's ending (ENDINGS), are passed over. Members of an archive are read
at their offset and never extracted; links are not followed.
"""

import os
import re
import stat
import tarfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from imaging.arrays import DATASETS
from imaging.common import DataError, require

ENDINGS = {".jpeg", ".jpg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
BYTES = 1 << 28                                             # in one image file
TRUTH = "ILSVRC2012_validation_ground_truth.txt"
DEVKIT = "ILSVRC2012_devkit_t12"
LABEL_FILES = ["val_annotations.txt", "LOC_val_solution.csv", "val_labels.txt", "val_labels.csv", "val.txt", TRUTH,
               f"{DEVKIT}/data/{TRUTH}", f"data/{TRUTH}", f"{DEVKIT}.tar.gz",
               "imagenet_2012_validation_synset_labels.txt"]


class Item(NamedTuple):
    """One image file, and the place of its bytes."""
    name: str       # inside the source, for the index and for bad_images.txt
    label: int      # the position of its class; -1: none
    path: str       # the file, or the archive that it is in
    offset: int     # in the archive; -1: no archive
    size: int       # bytes in the archive
    fault: str      # why it cannot be taken, where that is known without reading it; else ""


class Source(NamedTuple):
    classes: list[str]
    train: Callable         # () → an iterator over Items: class by class, names sorted; archives in their own order
    val: Callable


def read(item):
    """The bytes of an item, or an exception."""
    require(not item.fault, item.fault)
    if item.offset < 0:
        state = os.stat(item.path)
        require(stat.S_ISREG(state.st_mode), "not a regular file")      # reading a pipe would wait for ever
        require(state.st_size <= BYTES, f"{state.st_size:,} bytes, expected {BYTES:,} or fewer")
    with open(item.path, "rb") as file:
        if item.offset < 0:
            return file.read()
        file.seek(item.offset)
        raw = file.read(item.size)
        require(len(raw) == item.size, "the archive is cut short")
        return raw


# The thousand classes ------------------------------------------------------------------------------------------------

@lru_cache
def imagenet_classes():
    """{wnid: (ILSVRC2012_ID of the devkit, names)} of the 1000 classes, sorted by wnid."""
    lines = (DATASETS / "imagenet_classes.tsv").read_text(encoding="utf-8").splitlines()
    return {wnid: (int(number), names) for wnid, number, names in (line.split("\t") for line in lines)}


def class_names(classes):
    """The classes' printed names: for a wnid of ImageNet's the first English name, "crane (n02012849)"
    where two share it; for others the class itself."""
    known = imagenet_classes()
    names = [known[name][1].split(", ")[0] if name in known else name for name in classes]
    firsts = [names.split(", ")[0] for _, names in known.values()]
    return [f"{name} ({wnid})" if wnid in known and firsts.count(name) > 1 else name
            for name, wnid in zip(names, classes)]


# Finding -------------------------------------------------------------------------------------------------------------

def is_source(root):
    """Whether a folder is a source that `find` knows."""
    return base_of(Path(root)) is not None


def base_of(root):
    return next((base for base in (root, root / "ILSVRC/Data/CLS-LOC", root / "Data/CLS-LOC")
                 if first(base, "train", "ILSVRC2012_img_train", "ILSVRC2012_img_train.tar")), None)


def first(base, *names):
    return next((base / name for name in names if (base / name).exists()), None)


def find(root, labels=None):
    """The Source in a folder; labels: the file with the labels of a flat val, instead of searching.

    Raises DataError if there is none, a split is missing or empty, or labels are missing or invalid.
    """
    root = Path(root)
    base = base_of(root)
    require(base, f"{root}: found no train/, ILSVRC2012_img_train.tar or ILSVRC/Data/CLS-LOC/train; expected a folder "
                  "with train/CLASS/* and val/CLASS/*, or with ImageNet's archives")
    train_path = first(base, "train", "ILSVRC2012_img_train", "ILSVRC2012_img_train.tar")
    parts = class_parts(train_path)
    val = first(base, "val", "ILSVRC2012_img_val", "ILSVRC2012_img_val.tar")
    require(parts and val, f"{root}: found {len(parts)} training classes and {'a' if val else 'no'} val; expected some "
            f"images train/CLASS/* and val/CLASS/*, ending in {', '.join(sorted(ENDINGS))}, or ImageNet's archives")
    classes = list(parts)
    number = {name: label for label, name in enumerate(classes)}

    def train():
        if train_path.is_file():
            yield from (item for item in members(train_path, {".tar"}) if item.fault)      # of a tar of tars
        for name, part in parts.items():
            for item in part():
                yield item._replace(label=number[name])

    val_parts = class_parts(val) if val.is_dir() and not (val / "val_annotations.txt").exists() else {}
    require(not (val_parts and labels), f"{val}: has its images in folders of classes, so that no labels are needed; "
                                        "leave --labels out")
    if val_parts:
        def validate():
            for name, part in val_parts.items():
                for item in part():
                    yield labelled(item, name, number)
    else:
        def flat():
            return members(val) if val.is_file() else files(first(val, "images") or val, val.name)

        require_image(flat, root, val)
        look_up = Labels(labels or find_labels(root, base, val), classes)

        def validate():
            for item in flat():
                yield item if item.fault else labelled(item, look_up(item.name), number)
    require_image(train, root, "train")
    return Source(classes, train, validate)


def require_image(items, root, where):
    require(next(items(), None), f"{root}: found no image in {where}; expected some images train/CLASS/* and "
                                 f"val/CLASS/*, ending in {', '.join(sorted(ENDINGS))}")


def labelled(item, name, number):
    if name in number:
        return item._replace(label=number[name])
    return item._replace(fault=item.fault or ("no label" if name is None else f"no training image of {name}"))


def class_parts(path):
    """{class: a function that gives its Items}, sorted, of a folder of folders or tars, or a tar of tars."""
    if path.is_file():
        tars = {Path(item.name).stem: item for item in members(path, {".tar"}) if not item.fault}
        require(tars, f"{path}: found no tar in it; expected ImageNet's tar of 1000 tars")
        return {name: lambda item=tars[name]: members(path, ENDINGS, item.offset, item.size, item.name)
                for name in sorted(tars)}
    parts = {}
    for entry in sorted(entries(path), key=lambda entry: entry.name):
        name, inside = entry.name, Path(entry.path)
        if entry.is_dir():
            inner = inside / "images" if (inside / "images").is_dir() else inside
            if any(is_image(child.name) for child in entries(inner)):
                parts[name] = lambda inner=inner, name=name: files(inner, f"{path.name}/{name}")
        elif name.endswith(".tar"):
            parts[name[:-4]] = lambda inside=inside, name=name: members(inside, ENDINGS, name=f"{path.name}/{name}")
    return parts


def entries(folder):
    with os.scandir(folder) as found:
        return [entry for entry in found if not entry.name.startswith(".")]


def is_image(name, endings=ENDINGS):
    base = os.path.basename(name)
    return not base.startswith(".") and os.path.splitext(base)[1].lower() in endings


def files(folder, prefix):
    """The Items of a folder's image files, sorted by name."""
    for name in sorted(entry.name for entry in entries(folder)):
        if is_image(name):
            yield Item(f"{prefix}/{name}", -1, os.path.join(folder, name), -1, -1, "")


# Archives ------------------------------------------------------------------------------------------------------------

class Section:
    """A stretch of an open file as a file of its own, for tarfile."""

    def __init__(self, file, offset, size):
        self.file, self.start, self.size, self.position = file, offset, size, 0

    def tell(self):
        return self.position

    def seek(self, position, whence=os.SEEK_SET):
        self.position = position + {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.size}[whence]
        return self.position

    def read(self, count=-1):
        left = max(0, self.size - self.position)
        self.file.seek(self.start + self.position)
        data = self.file.read(left if count < 0 else min(count, left))
        self.position += len(data)
        return data


def members(path, endings=ENDINGS, offset=0, size=None, name=None):
    """The Items of an uncompressed tar, or of one within another (offset, size), in its order; a member that is
    no plain file, or whose name leads elsewhere, has a fault; a damaged archive ends in an Item with that fault."""
    name = name or path.name
    try:
        with open(path, "rb") as file:
            section = Section(file, offset, os.fstat(file.fileno()).st_size if size is None else size)
            with tarfile.open(fileobj=section, mode="r:") as tar:
                while member := tar.next():
                    tar.members.clear()                     # else tarfile remembers them all
                    fault = fault_of(member)
                    if fault or not member.isdir() and is_image(member.name, endings):
                        yield Item(f"{name}/{member.name}", -1, str(path), offset + member.offset_data, member.size,
                                   fault)
                section.seek(tar.offset)
                mark = section.read(512)
                require(len(mark) == 512 and not any(mark), f"damaged or cut short at byte {tar.offset:,}: its other "
                                                            "images are lost")
    except (tarfile.TarError, OSError, DataError) as error:
        yield Item(name, -1, str(path), offset, 0, f"not a whole uncompressed tar ({error})")


def fault_of(member):
    if member.name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", member.name):
        return "its name leads out of the archive"
    if member.issym() or member.islnk():
        return f"a link to {member.linkname}, not followed"
    if member.isdir():
        return ""
    if not member.isreg() or member.issparse():
        return "not a plain file"
    if member.size > BYTES and not member.name.endswith(".tar"):
        return f"{member.size:,} bytes, expected {BYTES:,} or fewer"
    return ""


# Labels of a flat val ------------------------------------------------------------------------------------------------

def find_labels(root, base, val):
    folders = [val if val.is_dir() else base, *dict.fromkeys([base, root, *base.parents[:3]])]
    path = next((folder / name for folder in folders for name in LABEL_FILES if (folder / name).is_file()), None)
    require(path, f"{val}: found its images in one folder and no labels for them; expected val/CLASS/*, or one of "
                  f"{', '.join(LABEL_FILES)} in {base}, or --labels FILE")
    return path


class Labels:
    """name of an image file → its class, or None. Reads a file of labels:

        NAME CLASS          separated by space, tab or comma; NAME with or without folders and ending; what follows a
                            second tab or a space after the comma is a box, and is not read
        CLASS               one line per image, for the image with that number at the end of its name

    CLASS is a class as such (a wnid), or a number. A number alone on its line is the devkit's ILSVRC2012_ID, from 1 to
    1000; a number after a name counts from 0 in sorted order, among the thousand classes if all training classes are of
    ImageNet, else among the training classes.
    """

    def __init__(self, path, classes):
        path = Path(path)
        known = imagenet_classes()
        self.devkit = {number: wnid for wnid, (number, _) in known.items()}
        self.order = list(known) if set(classes) <= known.keys() else classes
        try:
            lines = [line.strip() for line in self.text(path).splitlines()]
        except (OSError, tarfile.TarError, KeyError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: no labels can be read from it ({error}); name another file: --labels") from error
        lines = [line for line in lines if line and not line.startswith("ImageId,")]
        pairs = [self.fields(line) for line in lines]
        require(pairs, f"{path}: found no label in it; expected lines of a name and a class")
        self.numbered = all(name is None for name, _ in pairs)
        wrong = next((line for line, (name, label) in zip(lines, pairs) if self.meaning(name, label) is None or
                      (name is None) != self.numbered), None)
        require(wrong is None, f"{path}: found the line {wrong!r}; expected in each line a name and a class, or in "
                               f"each a class alone: a wnid, or a number below {len(self.order)} (alone: 1 to 1000)")
        self.table = {i if name is None else stem(name): self.meaning(name, label)
                      for i, (name, label) in enumerate(pairs, start=1)}

    def text(self, path):
        if path.name.endswith((".tar.gz", ".tgz")):
            with tarfile.open(path, "r:gz") as tar:
                member = next((member for member in tar if member.isreg() and member.name.endswith(f"/{TRUTH}")), None)
                require(member and member.size <= BYTES, f"{path}: found no {TRUTH} in it; expected ImageNet's devkit")
                return tar.extractfile(member).read().decode()
        require(path.stat().st_size <= BYTES, f"{path}: too large for a list of labels")
        return path.read_text(encoding="utf-8-sig")

    def fields(self, line):
        """(name or None, class) of a line."""
        if "\t" in line:
            return tuple(line.split("\t")[:2])
        if "," in line:
            name, rest = line.split(",", 1)
            return name.strip(), (rest.split() or [""])[0]
        *name, label = line.rsplit(None, 1)
        return (name[0] if name else None), label

    def meaning(self, name, label):
        """The class that a label means, or None."""
        if not label.isdecimal():
            return label or None
        if name is None:
            return self.devkit.get(int(label))
        return self.order[int(label)] if int(label) < len(self.order) else None

    def __call__(self, name):
        if not self.numbered:
            return self.table.get(stem(name))
        number = re.search(r"(\d+)$", stem(name))
        return self.table.get(int(number[1])) if number else None


def stem(name):
    """A file's name without folders and without its ending, if that is an image's."""
    base = os.path.basename(name)
    return os.path.splitext(base)[0] if is_image(base) else base
