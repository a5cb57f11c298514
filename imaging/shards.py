"""Read and verify a prepared folder, whose files imaging/prepare.py describes."""

import json
import re
import zlib
from pathlib import Path

import numpy as np
from tqdm import tqdm

from imaging.common import DataError, Split, require
from imaging.images import Shards

VERSION = 1
INDEX = ["offset", "bytes", "crc32", "label", "class", "name"]             # the columns of a shard's .tsv


def line(fields):
    """Fields → a line of a .tsv or .list; tab, newline and backslash are written \\t, \\n, \\\\."""
    escapes = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
    return ("\t".join(str(field).translate(escapes) for field in fields) + "\n").encode(errors="surrogateescape")


def fields(line):
    parts = line.rstrip(b"\n").decode(errors="surrogateescape").split("\t")
    return [re.sub(r"\\(.)", lambda found: {"t": "\t", "n": "\n", "r": "\r"}.get(found[1], found[1]), part)
            if "\\" in part else part for part in parts]


def is_prepared(folder):
    """Whether a folder is a prepared one. Raises DataError if its preparation was not finished."""
    if (folder / "dataset.json").is_file():
        return True
    require(not (folder / "plan.json").is_file(), f"{folder} is only partly prepared; run the same command again, "
                                                  "it resumes: python data.py prepare SOURCE PREPARED")
    return False


def facts_of(folder):
    try:
        facts = json.loads((folder / "dataset.json").read_text())
        require(facts["version"] == VERSION, f"version {facts['version']}, expected {VERSION}")
        return facts
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder / 'dataset.json'}: cannot be read ({error}); prepare the folder again") from error


def index_of(folder, shard):
    """The rows of a shard's index, without its head. Raises DataError if it does not fit."""
    path = (folder / shard["file"]).with_suffix(".tsv")
    try:
        with open(path, "rb") as file:
            rows = [fields(row) for row in file]
        require(rows[:1] == [INDEX] and len(rows) == shard["images"] + 1
                and all(len(row) == len(INDEX) for row in rows),
                f"{len(rows) - 1} rows, expected {shard['images']} of {len(INDEX)} columns")
        return rows[1:]
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not the index of its shard ({error}); prepare the folder again") from error


def open_folder(folder):
    """(facts, {split: Split}) of a prepared folder, which has "train" and "val", "test" or both."""
    folder = Path(folder)
    facts, found = facts_of(folder), {}
    try:
        mean, covariance = np.load(folder / "mean.npy", allow_pickle=False), np.array(facts["covariance"])
        require(mean.shape == (facts["size"], facts["size"], 3), f"{mean.shape}")
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{folder / 'mean.npy'}: cannot be read ({error}); prepare the folder again") from error
    for split in splits_in(facts):
        shards = facts[split]["shards"]
        places, labels = np.empty((facts[split]["images"], 3), np.int64), np.empty(facts[split]["images"], np.int64)
        start = 0
        for number, shard in enumerate(shards):
            path = folder / shard["file"]
            size = path.stat().st_size if path.is_file() else 0
            require(size == shard["bytes"], f"{path}: found {size:,} bytes, expected {shard['bytes']:,}; prepare the "
                                            "folder again, or copy the shard again")
            rows = index_of(folder, shard)
            for i, (offset, count, _, label, *_) in enumerate(rows, start):
                places[i], labels[i] = (number, int(offset), int(count)), int(label)
            start += len(rows)
        files = [folder / shard["file"] for shard in shards]
        found[split] = Split(Shards(files, places, facts["size"], facts["jpeg"], mean, covariance), labels)
    return facts, found


def splits_in(facts):
    """The splits in a dataset.json or plan.json."""
    return [split for split in ("train", "val", "test") if split in facts]


def check_folder(folder):
    """Read everything and compare every checksum → the contents as text. Raises DataError if anything is damaged."""
    folder = Path(folder)
    require(folder.is_dir() and is_prepared(folder), f"{folder} is no prepared folder; expected one made by: python "
                                                     "data.py prepare SOURCE PREPARED")
    facts, splits = open_folder(folder)
    damaged = []
    if zlib.crc32((folder / "mean.npy").read_bytes()) != int(facts["mean_crc32"], 16):
        damaged.append("mean.npy")
    with tqdm(total=sum(len(split.labels) for split in splits.values()), unit="img", desc="checking", disable=None) as bar:
        for split in splits:
            for shard in facts[split]["shards"]:
                with open(folder / shard["file"], "rb") as file:
                    for offset, count, checksum, _, _, name in index_of(folder, shard):
                        file.seek(int(offset))
                        if zlib.crc32(file.read(int(count))) != int(checksum, 16):
                            damaged.append(f"{shard['file']} at {int(offset):,} ({name})")
                        bar.update()
    require(not damaged, f"{folder}: {len(damaged)} checksums are wrong: {'; '.join(damaged[:5])}"
                         f"{' …' if len(damaged) > 5 else ''}; copy or prepare these shards again")
    coding = f"JPEG of quality {facts['jpeg']}" if facts["jpeg"] else "raw"
    lines = [f"{folder}: prepared from {facts['source']}",
             f"{facts['size']} x {facts['size']} pixels, {coding}, {len(facts['classes']):,} classes; every "
             "checksum is right"]
    for name, split in splits.items():
        own = facts[name]
        per_class = np.bincount(split.labels, minlength=len(facts["classes"]))
        size = sum(shard["bytes"] for shard in own["shards"])
        lines.append(f"{name:5}  {own['images']:,} of {own['files']:,} files in {len(own['shards'])} shards, "
                     f"{size / 1e9:.3f} GB, {size / max(1, own['images']):,.0f} bytes an image, {per_class.min():,} to "
                     f"{per_class.max():,} a class")
    lines += [f"left out: {facts['bad']:,} files" + (f", named in {folder / 'bad_images.txt'}" if facts["bad"] else ""),
              *(f"passed over: {line}" for line in facts.get("passed", ())),
              "mean of red, green, blue: " + ", ".join(f"{value:.2f}" for value in facts["channel_mean"]),
              "eigenvalues of their covariance: " + ", ".join(f"{value:,.0f}" for value in facts["eigenvalues"])]
    return "\n".join(lines)
