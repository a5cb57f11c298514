"""A source of image files → a prepared folder, once, for all later runs (§ 2).

    prepared/dataset.json       classes, counts, size and coding, shards, mean per channel, covariance of RGB with its
                                eigenvalues and eigenvectors; written last: it marks the folder as complete
    prepared/mean.npy           (size, size, 3) float64, the mean of the training set's images
    prepared/train-00000.npy    (n, size, size, 3) uint8: a shard; with --jpeg train-00000.jpegs, JPEG files in a row
    prepared/train-00000.tsv    its index: each image's offset, CRC-32 of its bytes, class, name in the source
    prepared/bad_images.txt     each file that was left out, and why

An image of 256×256 takes 196,608 bytes: ImageNet's 1,281,167 + 50,000 images take 262 GB, or with --jpeg
90 about 26 GB (19.4 kB an image, measured on 127 of them).

Shards follow from the list of files alone: any number of processes gives the same bytes. The list is kept on disk, and a
process has one image in memory, so memory does not grow with the data set. A file gets its name when it is complete and
on the disk. So an interrupted preparation resumes: the next run makes the missing shards.
"""

import io
import json
import multiprocessing
import os
import shutil
import signal
import threading
import zlib
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL
from PIL import Image
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from imaging import sources
from imaging.common import DataError, require
from imaging.decode import decode, reason
from imaging.shards import INDEX, VERSION, fields, line
from imaging.views import add_moments, colour_axes, covariance_of

LARGEST = 4096          # images in a shard of the largest sets: 0.8 GB, 313 of them for ImageNet's training set
SMALLEST = 64           # … of the smallest, which would otherwise give the processes too few shards


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


@contextmanager
def written(path):
    """A binary file with a temporary name, renamed to `path` when complete and on the disk."""
    temporary = f"{path}.tmp"
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def write_text(path, text):
    with written(path) as file:
        file.write(text.encode(errors="surrogateescape"))                   # names of files need not be UTF-8


# One shard: the work of a process --------------------------------------------------------------------------------------

stop = done = None          # shared by all processes: an event that ends them, and the number of files processed


def begin(shared_stop, shared_done):
    """Set up a process: it leaves Ctrl-C to its parent, and ends when its parent ends."""
    global stop, done
    stop, done = shared_stop, shared_done
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=lambda: (multiprocessing.parent_process().join(), os._exit(1)), daemon=True).start()
    threadpool_limits(1)
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
                pixels = decode(sources.read(item), job.size)
            except Exception as error:                      # damaged bytes can raise anything
                bad.append((item.name, reason(error)))
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
            yield sources.Item(name, int(label), path, int(offset), int(size), fault)


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


# All of them ---------------------------------------------------------------------------------------------------------

def prepare_folder(source, folder, size=256, jpeg=0, workers=None, labels=None):
    """Prepare a source into `folder`: see the top of this file → a sentence with the result.

    size: pixels a side (§ 2: 256). jpeg: quality of JPEG-coded shards, 0 for raw ones. workers: processes (default: one
    per core). labels: see sources.find. Raises DataError for errors that a user can fix; KeyboardInterrupt passes
    through after all processes have ended.
    """
    require(size >= 1 and 0 <= jpeg <= 100, f"size={size}, jpeg={jpeg}: expected a size of at least 1 pixel, and a "
                                            "quality from 0 (raw) to 100")
    workers = os.cpu_count() if workers is None else workers
    require(workers >= 1, f"{workers} workers: expected 1 or more")
    folder = Path(folder)
    require(not folder.exists() or folder.is_dir(), f"{folder}: a file; expected a folder, or an unused name")
    if (folder / "dataset.json").exists():
        return f"{folder}: already complete; verify it with: python data.py check {folder}"
    plan = make_plan(source, folder, size, jpeg, labels)
    jobs = [job for split in ("train", "val") for job in jobs_of(folder, split, plan)]
    todo = [job for job in jobs if not Path(f"{job.stem}.tsv").exists()]
    need = sum(job.count for job in todo) * size * size * 3 * (0.1 if jpeg else 1)
    free = shutil.disk_usage(folder).free
    require(need <= free, f"{folder}: needs about {need / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free on its disk; "
                          f"free space there{'' if jpeg else ', or store JPEG, a tenth as large: --jpeg 90'}")
    files = sum(job.count for job in jobs)
    ready = files - sum(job.count for job in todo)
    with tqdm(total=files, initial=ready, unit="img", desc="preparing", disable=None) as bar:
        run(todo, min(workers, max(1, len(todo))), bar)
    return finish(folder, plan, jobs)


def run(jobs, workers, bar):
    """make_shard for all jobs, in processes that end with this call, also after an exception."""
    context = multiprocessing.get_context("spawn")          # fork would copy threads' locks in any state
    stop, done = context.Event(), context.Value("q", 0)
    pool = ProcessPoolExecutor(workers, context, begin, (stop, done))
    jobs, before = iter(jobs), bar.n
    try:
        running = {pool.submit(make_shard, job) for _, job in zip(range(2 * workers), jobs)}
        while running:
            finished, running = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
            for future in finished:
                future.result()
                running |= {pool.submit(make_shard, job) for _, job in zip(range(1), jobs)}
            bar.update(before + done.value - bar.n)
    except BrokenProcessPool:
        raise DataError("a process that prepared images was killed (out of memory?); the same command resumes, "
                        "and fewer --workers need less memory") from None
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def make_plan(source, folder, size, jpeg, labels):
    """The plan as a dict, with the lists of files on disk; those of an earlier run are read again."""
    plan = dict(version=VERSION, source=os.path.abspath(source), size=size, jpeg=jpeg, pillow=PIL.__version__,
                labels=labels and os.path.abspath(labels))
    if (folder / "plan.json").exists():
        old = json.loads((folder / "plan.json").read_text())
        differ = [f"{key}={old.get(key)!r} (now {plan[key]!r})" for key in plan if old.get(key) != plan[key]]
        require(not differ, f"{folder}: was begun with {', '.join(differ)}; resume with the same, or prepare into "
                            "another folder")
        return old
    require(not folder.exists() or not any(folder.iterdir()), f"{folder}: holds something else; expected an empty "
                                                              "folder, or an unused name")
    found = sources.find(source, labels)
    folder.mkdir(parents=True, exist_ok=True)
    plan["classes"] = found.classes
    for split, items in ("train", found.train), ("val", found.val):
        with written(folder / f"{split}.list") as file:
            count = 0
            for item in tqdm(items(), f"listing {split}", unit="img", disable=None):
                file.write(line(item))
                count += 1
        plan[split] = dict(files=count, per_shard=min(LARGEST, max(SMALLEST, -(-count // 64))))
    write_text(folder / "plan.json", json.dumps(plan))
    return plan


def jobs_of(folder, split, plan):
    jobs, position, step = [], 0, plan[split]["per_shard"]
    with open(folder / f"{split}.list", "rb") as file:
        for number, row in enumerate(file):
            if number % step == 0:
                count = min(step, plan[split]["files"] - number)
                jobs.append(Job(str(folder), split, number // step, plan["size"], plan["jpeg"], plan["classes"],
                                position, count))
            position += len(row)
    return jobs


def finish(folder, plan, jobs):
    """Sum the shards' statistics, write dataset.json, and remove the temporary files."""
    total, moments, bad = 0, [np.zeros(3), np.zeros((3, 3))], []
    splits = {split: dict(files=plan[split]["files"], images=0, shards=[]) for split in ("train", "val")}
    for job in jobs:
        with np.load(f"{job.stem}.part.npz", allow_pickle=False) as part:
            images = int(part["images"])
            total = total + part["total"].astype(np.int64)
            moments[0] += part["sums"]
            moments[1] += part["products"]
            bad += json.loads(part["bad"].tobytes())
        file = Path(f"{job.stem}{job.ending}")
        splits[job.split]["images"] += images
        splits[job.split]["shards"].append(dict(file=file.name, images=images, bytes=file.stat().st_size))
    count = splits["train"]["images"]
    require(count, f"{folder}: none of {splits['train']['files']:,} training files could be read: "
                   f"{'; '.join(f'{name}: {why}' for name, why in bad[:3])}")
    mean, covariance = total / count, covariance_of(*moments, count * plan["size"] ** 2)
    values, vectors = colour_axes(covariance=covariance)
    with written(folder / "mean.npy") as file:
        np.save(file, mean)
    write_text(folder / "bad_images.txt", "".join(f"{name}: {why}\n" for name, why in bad))
    facts = {key: plan[key] for key in ("version", "source", "size", "jpeg", "pillow", "classes")} | dict(
        splits, channel_mean=mean.mean(axis=(0, 1)).tolist(), covariance=covariance.tolist(),
        eigenvalues=values.tolist(), eigenvectors=vectors.tolist(), bad=len(bad),
        mean_crc32=f"{zlib.crc32((folder / 'mean.npy').read_bytes()):08x}")
    write_text(folder / "dataset.json", json.dumps(facts, indent=1) + "\n")
    for job in jobs:
        os.remove(f"{job.stem}.part.npz")
    for name in ("train.list", "val.list", "plan.json"):
        os.remove(folder / name)
    return (f"{folder}: {count:,} images to train, {splits['val']['images']:,} to validate, {plan['size']} x "
            f"{plan['size']}; {len(bad):,} of {sum(split['files'] for split in splits.values()):,} files left out"
            + (f", named in {folder / 'bad_images.txt'}" if bad else ""))
