"""Many images that behave like one array (N, H, W, C) uint8 and are read on use: prepared shards, or files.

    images[7]                       (H, W, C)
    images[0:128], images[[3, 1]]   (n, H, W, C)
    images[0:128, 16:240, 16:240]   … cut
    images.part(mask)               the images where mask (N,) is True, still unread
"""

import io
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from imaging.common import DataError, require
from imaging.decode import Broken, decode_item

THREADS = 4             # for reading a slice


class Images:
    """The base of Files and Shards, which have `read(row)` and `rows`, the numbers of these N images."""
    dtype, ndim = np.dtype(np.uint8), 4

    def __init__(self, rows, size, channels):
        self.rows, self.size, self.channels = rows, size, channels

    @property
    def shape(self):
        return len(self.rows), self.size, self.size, self.channels

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, key):
        key, *rest = key if isinstance(key, tuple) else (key,)
        if isinstance(key, (int, np.integer)):
            return self.read(self.rows[key])[tuple(rest)]
        rows = self.rows[np.asarray(key, int) if isinstance(key, list) else key]
        found = np.empty((len(rows), self.size, self.size, self.channels), np.uint8)

        def one(n):
            found[n] = self.read(rows[n])

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(one, range(len(rows))))
        return found[:, *rest]

    def part(self, mask):
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__, rows=self.rows[mask])
        return new


class Files(Images):
    """Image files (items.Item) decoded and prepared (§ 2) on each read.

    A broken file reads as black; from then on `is_bad(i)` is True, and `bad` has a line "name: reason". Raises DataError
    when over `share` of all N are broken.
    """

    def __init__(self, files, size, channels=3, share=0.01):
        super().__init__(np.arange(len(files)), size, channels)
        self.items, self.bad, self.bad_rows, self.share = files, [], set(), share
        self.allowed = math.floor(share * len(files))
        Image.init()                                        # once: threads that load a format together would race

    def read(self, row):
        if row not in self.bad_rows:
            try:
                return decode_item(self.items[row], self.size, self.channels)
            except Broken as error:
                self.bad_rows.add(row)
                self.bad.append(f"{self.items[row].name}: {error}")
                require(len(self.bad) <= self.allowed, f"{len(self.bad)} of {len(self.items)} images are broken so "
                        f"far, over {self.share:.0%}; repair or remove them: {'; '.join(self.bad[:3])}")
        return np.zeros((self.size, self.size, self.channels), np.uint8)

    def is_bad(self, i):
        return self.rows[i] in self.bad_rows


class Shards(Images):
    """The images of one split of a prepared folder (imaging/prepare.py).

    files: paths of shards; places (N, 3) int64: shard, offset, bytes. An image is read at its offset, without a
    memory map: for ImageNet's 250 GB the page tables of a map alone would take half a gigabyte, and a truncated file
    would end the program with a bus error instead of a message.
    """

    def __init__(self, files, places, size, jpeg, mean, covariance):
        super().__init__(np.arange(len(places)), size, 3)
        self.files, self.places, self.jpeg = files, places, jpeg
        self.training_mean, self.training_covariance = mean, covariance

    def read_bytes(self, row):
        shard, offset, count = map(int, self.places[row])
        raw = bytearray(count)
        with open(self.files[shard], "rb", buffering=0) as file:
            file.seek(offset)
            found = file.readinto(raw)
        require(found == count, f"{self.files[shard]}: found {found:,} of {count:,} bytes at {offset:,}; prepare it "
                                "again, or run python data.py check")
        return raw

    def read(self, row):
        raw = self.read_bytes(row)
        if not self.jpeg:
            return np.frombuffer(raw, np.uint8).reshape(self.size, self.size, 3)
        try:
            with Image.open(io.BytesIO(raw)) as image:
                pixels = np.asarray(image)
            require(pixels.shape == self.shape[1:], f"{pixels.shape}")
            return pixels
        except Exception as error:                          # damaged bytes can raise anything
            shard, offset, _ = self.places[row]
            raise DataError(f"{self.files[shard]}: found no JPEG image of {self.size} x {self.size} at {offset:,} "
                            f"({error}); prepare it again, or run python data.py check") from error
