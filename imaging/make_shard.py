"""One shard of a prepared folder: what each process of `python data.py prepare` does (imaging/prepare.py)."""

import io
import json
import multiprocessing
import os
import signal
import threading
import warnings
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from threadpoolctl import threadpool_limits

from imaging.decode import Broken, decode_item
from imaging.items import Item
from imaging.shards import INDEX, fields, line
from imaging.views import add_moments
from nn.checkpoint import replace


class Job(NamedTuple):
    """A shard to make: `count` lines of a list of files, starting at byte `start`."""
    folder: str
    split: str
    number: int
    size: int
    jpeg: int               # quality; 0: raw
    classes: list
    start: int
    count: int

    @property
    def stem(self):
        return f"{self.folder}/{self.split}-{self.number:05}"

    @property
    def ending(self):
        return ".jpegs" if self.jpeg else ".npy"


stop = done = None          # shared by all processes: an event that ends them, and the number of files processed


def begin(shared_stop, shared_done):
    """Set up a process: it leaves Ctrl-C to its parent, and ends when its parent ends."""
    global stop, done
    stop, done = shared_stop, shared_done
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=lambda: (multiprocessing.parent_process().join(), os._exit(1)), daemon=True).start()
    threadpool_limits(1)
    warnings.filterwarnings("ignore", module=r"PIL\.")      # about metadata and sizes; decode.py checks sizes
    Image.init()


def make_shard(job):
    """Write a shard, its index, and its share of the statistics (`.part.npz`). Raises InterruptedError when stopped."""
    shape = (job.size, job.size, 3)
    total, moments = np.zeros(shape, np.uint32), (np.zeros(3), np.zeros((3, 3)))       # 4096 · 255 fits
    index, bad, images = [INDEX], [], 0
    with written(f"{job.stem}{job.ending}") as file:
        if not job.jpeg:
            file.write(npy_header((0, *shape)))
        for _, item in zip(range(job.count), read_list(job)):
            if stop.is_set():
                break
            try:
                pixels = decode_item(item, job.size)
            except Broken as error:
                bad.append((item.name, str(error)))
            else:
                coded = encode(pixels, job.jpeg) if job.jpeg else pixels.tobytes()
                index.append((file.tell(), len(coded), f"{zlib.crc32(coded):08x}", item.label, job.classes[item.label],
                              item.name))
                file.write(coded)
                images += 1
                if job.split == "train":
                    seen = np.asarray(Image.open(io.BytesIO(coded))) if job.jpeg else pixels    # as in training
                    total += seen
                    add_moments(moments, seen[None])
            with done.get_lock():
                done.value += 1
        if not job.jpeg:
            file.seek(0)
            file.write(npy_header((images, *shape)))
        if stop.is_set():
            raise InterruptedError
    with written(f"{job.stem}.part.npz") as file:
        np.savez(file, total=total, sums=moments[0], products=moments[1], images=images,
                 bad=np.frombuffer(json.dumps(bad).encode(), np.uint8))
    with written(f"{job.stem}.tsv") as file:                # last: it marks the shard as complete
        file.writelines(map(line, index))


def read_list(job):
    with open(f"{job.folder}/{job.split}.list", "rb") as file:
        file.seek(job.start)
        for name, label, path, offset, size, fault in map(fields, file):
            yield Item(name, int(label), path, int(offset), int(size), fault)


def encode(pixels, quality):
    """(size, size, 3) uint8 → a JPEG file. At quality 90: a tenth of the raw size, 2.3 grey levels mean difference."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return file.getvalue()


def npy_header(shape):
    """128 bytes, for any shape."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue()


@contextmanager
def written(path):
    """A binary file with a temporary name, renamed to `path` when complete and on the disk."""
    temporary = f"{path}.tmp"
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def write_text(path, text):
    with written(path) as file:
        file.write(text.encode(errors="surrogateescape"))                   # names of files need not be UTF-8
