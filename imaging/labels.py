"""The names of ImageNet's classes, and files of labels for images that are not in folders of classes."""

import csv
import os
import re
import tarfile
from functools import lru_cache
from pathlib import Path

from imaging.arrays import DATASETS
from imaging.common import DataError, require
from imaging.items import BYTES, ENDINGS, is_image

TRUTH = "ILSVRC2012_validation_ground_truth.txt"
DEVKIT = "ILSVRC2012_devkit_t12"
LABEL_FILES = ["val_annotations.txt", "LOC_val_solution.csv", "val_labels.txt", "val_labels.csv", "val.txt", TRUTH,
               f"{DEVKIT}/data/{TRUTH}", f"data/{TRUTH}", f"{DEVKIT}.tar.gz",
               "imagenet_2012_validation_synset_labels.txt"]
HEADS = {"imageid", "image", "image_id", "filename", "file", "file_name", "name", "id", "path"}    # of a first column
BEGINNING = ["490", "361", "171", "822", "297"]             # of TRUTH; other years have lists of the same length
BOXES = r"(.+?)((?: -?\d+){4}(?: \1(?: -?\d+){4})*)?"       # Kaggle's: a class, and perhaps boxes


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


def find_labels(root, base, val):
    """The file of labels for the images in `val`: beside them, in the source, or up to three folders above it."""
    folders = [val if val.is_dir() else base, *dict.fromkeys([base, root, *base.parents[:3]])]
    return next((folder / name for folder in folders for name in LABEL_FILES if (folder / name).is_file()), None)


class Labels:
    """name of an image file → its class, or None. Reads a file of labels:

        NAME CLASS          separated by tab, comma, semicolon or space; NAME with or without folders and ending. With
                            tab, comma or semicolon the file is read as CSV: quotes may surround either, a head is
                            recognised, and further columns are not read
        CLASS               one line per image, for the image with that number at the end of its name

    CLASS is the name of a training class, or else a number. A number alone on its line is the devkit's ILSVRC2012_ID, from
    1 to 1000; a number after a name counts from 0 in sorted order, among the thousand classes if all training classes are
    of ImageNet, else among the training classes. Where a training class is itself called by a number, numbers are names.
    """

    def __init__(self, path, classes):
        path = Path(path)
        known = imagenet_classes()
        self.devkit = {number: wnid for wnid, (number, _) in known.items()}
        self.imagenet = set(classes) <= known.keys()
        self.classes, self.order = set(classes), list(known) if self.imagenet else classes
        self.names_are_numbers = any(name.isdecimal() for name in classes)
        try:
            rows = rows_of(self.text(path), self.classes)
        except (OSError, tarfile.TarError, KeyError, UnicodeError, csv.Error) as error:
            raise DataError(f"{path}: no labels can be read from it ({error}); name another file: --labels") from error
        require(rows, f"{path}: found no label in it; expected lines of a name and a class")
        self.numbered = all(name is None for name, _ in rows)
        expect_2012(path, rows)
        wrong = next(((name, label) for name, label in rows if self.meaning(name, label) is None or
                      (name is None) != self.numbered), None)
        line = wrong and (wrong[1] if wrong[0] is None else f"{wrong[0]} {wrong[1]}")
        allowed = "a training class" if self.names_are_numbers else \
            f"a class, or a number below {len(self.order)} (alone, of ImageNet: 1 to 1000)"
        require(wrong is None, f"{path}: found the line {line!r}; expected in each line a name and a class, or in each a "
                               f"class alone: {allowed}")
        self.table = {i if name is None else stem(name): self.meaning(name, label)
                      for i, (name, label) in enumerate(rows, start=1)}

    def text(self, path):
        if path.name.endswith((".tar.gz", ".tgz")):
            with tarfile.open(path, "r:gz") as tar:
                member = next((member for member in tar if member.isreg() and member.name.endswith(f"/{TRUTH}")), None)
                require(member and member.size <= BYTES, f"{path}: found no {TRUTH} in it; expected ImageNet's devkit of "
                                                         "2012")
                return tar.extractfile(member).read().decode()
        require(path.stat().st_size <= BYTES, f"{path}: too large for a list of labels")
        raw = path.read_bytes()
        return raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")

    def meaning(self, name, label):
        """The class that a label means, or None."""
        if label in self.classes or not label.isdecimal():
            return label or None
        if self.names_are_numbers:
            return None
        if name is None:
            return self.devkit.get(int(label)) if self.imagenet else None
        return self.order[int(label)] if int(label) < len(self.order) else None

    def __call__(self, name):
        if not self.numbered:
            return self.table.get(stem(name))
        number = re.search(r"(\d+)$", stem(name))
        return self.table.get(int(number[1])) if number else None


def rows_of(text, classes):
    """[(name or None, class), …] of the lines of a file of labels."""
    lines = [line for line in text.splitlines() if line.strip()]
    mark = next((mark for mark in "\t;," if lines and all(mark in line for line in lines)), None)
    if mark is None:
        return [(None, line.strip()) if line.strip() in classes else by_space(line.strip()) for line in lines]
    rows = [[field.strip() for field in row] for row in csv.reader(lines, delimiter=mark, skipinitialspace=True)]
    if rows[0][0].lower() in HEADS:
        del rows[0]
    return [(row[0], re.fullmatch(BOXES, row[1])[1] if len(row) > 1 and row[1] else "") for row in rows]


def by_space(line):
    """(name or None, class): the name ends with an image's ending, or else before the last space."""
    endings = "|".join(ending[1:] for ending in sorted(ENDINGS))
    if named := re.fullmatch(rf"(.+?\.(?:{endings}))\s+(.+)", line, re.IGNORECASE):
        return named[1], named[2]
    *name, label = line.rsplit(None, 1)
    return (name[0] if name else None), label


def expect_2012(path, rows):
    """Raise DataError for a list of numbers that is of another year's challenge: its numbers mean other classes."""
    if not all(name is None and label.isdecimal() for name, label in rows):
        return
    year = re.search(r"ILSVRC(?!2012)(20\d\d)", path.name)
    other = len(rows) == 50_000 and [label for _, label in rows[:5]] != BEGINNING
    require(not (year or other), f"{path}: a list of {f'the year {year[1]}' if year else 'another year'}, whose numbers mean "
            f"other classes than those of 2012; expected {TRUTH}, from {DEVKIT}.tar.gz: name it with --labels")


def stem(name):
    """A file's name without folders and without its ending, if that is an image's."""
    base = os.path.basename(name.replace("\\", "/"))
    return os.path.splitext(base)[0] if is_image(base) else base
