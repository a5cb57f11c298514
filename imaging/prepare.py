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

import json
import multiprocessing
import os
import shutil
import zlib
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from pathlib import Path

try:
    import fcntl
except ImportError:                                         # on Windows
    import msvcrt
    fcntl = None

import numpy as np
import PIL
from tqdm import tqdm

from imaging import sources
from imaging.common import DataError, require
from imaging.items import Passed
from imaging.make_shard import Job, begin, make_shard, write_text, written
from imaging.shards import VERSION, line, splits_in
from imaging.views import colour_axes, covariance_of

BROKEN = 0.01           # the share of a split's files that may be left out
LOCK = "preparing.lock"
MOST = 1024             # processes
LARGEST = 4096          # images in a shard of the largest sets: 0.8 GB, 313 of them for ImageNet's training set
SMALLEST = 64           # … of the smallest, which would otherwise give the processes too few shards


@contextmanager
def alone_in(folder):
    """Make a folder, and hold it: raises DataError if another process is preparing it. The system releases a lock when its
    process ends, however that ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, "a") as file:
        try:
            if fcntl:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            else:
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            raise DataError(f"{folder}: another process is preparing it; wait until it has finished, or end it") from None
        try:
            yield
        finally:
            file.close()
            (folder / LOCK).unlink(missing_ok=True)
            if not any(folder.iterdir()):                   # nothing was begun
                folder.rmdir()


def prepare_folder(source, folder, size=256, jpeg=0, workers=None, labels=None, broken=BROKEN, ranks=None):
    """Prepare a source into `folder`: see the top of this file → a sentence with the result.

    size: pixels a side (§ 2: 256). jpeg: quality of JPEG-coded shards, 0 for raw ones. workers: processes (default: one
    per core). labels: see sources.find. broken: the share of the files of a split that may be left out. ranks: this
    process among those of mpiexec, which share the shards (nn/run/ranks.py). Raises DataError for errors that a user can
    fix; KeyboardInterrupt passes through after all processes have ended.
    """
    require(size >= 1, f"--size must be at least 1, got {size}")
    require(0 <= jpeg <= 100, f"--jpeg must be a quality from 1 to 100, or 0 for raw pixels, got {jpeg}")
    workers = workers or ranks and ranks.threads(None) or os.cpu_count() if workers is None else workers
    require(1 <= workers <= MOST, f"--workers must be from 1 to {MOST}, got {workers}")
    folder = Path(folder)
    require(not folder.exists() or folder.is_dir(), f"{folder}: a file; expected a folder, or an unused name")
    require(0 <= broken <= 1, f"--broken must be a share from 0 to 1, got {broken}")
    once = ranks.once if ranks else lambda function, *arguments: function(*arguments)
    with alone_in(folder) if not ranks or ranks.first else nullcontext():
        if once((folder / "dataset.json").exists):
            return f"{folder}: already complete; verify it with: python data.py check {folder}"
        plan = once(make_plan, source, folder, size, jpeg, labels, broken)
        jobs = carry_out(plan, folder, workers, ranks)
        if ranks:
            ranks.everyone("done")
        return once(finish, folder, plan, jobs, broken)


def carry_out(plan, folder, workers, ranks=None):
    """Make the missing shards of a plan, of which each rank makes every P-th → the jobs of all shards."""
    size, jpeg = plan["size"], plan["jpeg"]
    jobs = [job for split in splits_in(plan) for job in jobs_of(folder, split, plan)]
    own = jobs[ranks.rank::ranks.size] if ranks else jobs
    todo = [job for job in own if not Path(f"{job.stem}.tsv").exists()]
    need = sum(job.count for job in todo) * size * size * 3 * (0.1 if jpeg else 1)
    free = shutil.disk_usage(folder).free
    require(need <= free, f"{folder}: needs about {need / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free on its disk; "
                          f"free space there{'' if jpeg else ', or store JPEG, a tenth as large: --jpeg 90'}")
    files = sum(job.count for job in own)
    ready = files - sum(job.count for job in todo)
    with tqdm(total=files, initial=ready, unit="img", desc="preparing", disable=None) as bar:
        run(todo, min(workers, max(1, len(todo))), bar)
    return jobs


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
        raise DataError("a process that prepared images ended: if it was killed for want of memory, run the same command "
                        "again with fewer --workers, which resumes; a script of your own must call prepare_folder under "
                        "if __name__ == '__main__':") from None
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def make_plan(source, folder, size, jpeg, labels, broken):
    """The plan as a dict, with the lists of files on disk; those of an earlier run are read again. Raises DataError if a
    split is empty or if more than the share `broken` of one has a fault."""
    plan = dict(version=VERSION, source=os.path.abspath(source), size=size, jpeg=jpeg, pillow=PIL.__version__,
                labels=labels and os.path.abspath(labels))
    if (folder / "plan.json").exists():
        old = json.loads((folder / "plan.json").read_text())
        differ = [f"{key}={old.get(key)!r} (now {plan[key]!r})" for key in plan if old.get(key) != plan[key]]
        require(not differ, f"{folder}: was begun with {', '.join(differ)}; resume with the same, or prepare into "
                            "another folder")
        return old
    require(all(path.name == LOCK for path in folder.iterdir()), f"{folder}: holds something else; expected an empty "
                                                              "folder, or an unused name")
    found, passed = sources.find(source, labels), Passed()
    found.beside(passed)
    require("train" in found.splits and len(found.splits) > 1, f"{source}: found only {' and '.join(found.splits)} in it; "
            f"{sources.EXPECTED}")
    plan["classes"], plan["note"] = found.classes, found.note
    try:
        for split, items in found.splits.items():
            with written(folder / f"{split}.list") as file:
                count, faults = 0, []
                for item in tqdm(items(passed), f"listing {split}", unit="img", disable=None):
                    file.write(line(item))
                    count += 1
                    faults += [f"{item.name}: {item.fault}"] if item.fault else []
            if split == "test" and "val" in found.splits and not count:     # ImageNet's, which has no labels
                os.remove(folder / f"{split}.list")
                continue
            expect_few(source, split, count, faults, broken)
            plan[split] = dict(files=count, per_shard=min(LARGEST, max(SMALLEST, -(-count // 64))))
    except BaseException:                                   # a list that is not complete is no list
        for path in folder.glob("*.list"):
            path.unlink()
        raise
    plan["passed"] = passed.lines()
    write_text(folder / "plan.json", json.dumps(plan))
    return plan


def expect_few(where, split, count, bad, broken):
    """Raise DataError if a split of `count` files is empty, or if more than the share `broken` of them are bad."""
    require(count, f"{where}: found no image in {split}; {sources.EXPECTED}")
    require(len(bad) < count and len(bad) <= broken * count, f"{where}: {len(bad):,} of the {count:,} files of {split} cannot be "
            f"used, over {broken:.0%}: {'; '.join(bad[:3])}{' …' if len(bad) > 3 else ''}; repair or remove them and run the same "
            "command again, or allow a larger share with --broken")


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


def finish(folder, plan, jobs, broken):
    """Sum the shards' statistics, write dataset.json, and remove the temporary files."""
    total, moments, bad, holed = 0, [np.zeros(3), np.zeros((3, 3))], {}, []
    splits = {split: dict(files=plan[split]["files"], images=0, shards=[]) for split in splits_in(plan)}
    for job in jobs:
        with np.load(f"{job.stem}.part.npz", allow_pickle=False) as part:
            images = int(part["images"])
            total = total + part["total"].astype(np.int64)
            moments[0] += part["sums"]
            moments[1] += part["products"]
            own = json.loads(part["bad"].tobytes())
            bad.setdefault(job.split, []).extend(f"{name}: {why}" for name, why in own)
            holed += [job] if own else []
        file = Path(f"{job.stem}{job.ending}")
        splits[job.split]["images"] += images
        splits[job.split]["shards"].append(dict(file=file.name, images=images, bytes=file.stat().st_size))
    count = splits["train"]["images"]
    try:
        for split, facts in splits.items():
            expect_few(folder, split, facts["files"], bad.get(split, []), broken)
    except DataError:
        for job in holed:                                   # the next run reads their files again
            Path(f"{job.stem}.tsv").unlink()
        raise
    bad = [text for split in bad.values() for text in split]
    mean, covariance = total / count, covariance_of(*moments, count * plan["size"] ** 2)
    values, vectors = colour_axes(covariance=covariance)
    with written(folder / "mean.npy") as file:
        np.save(file, mean)
    write_text(folder / "bad_images.txt", "".join(f"{text}\n" for text in bad))
    facts = {key: plan[key] for key in ("version", "source", "size", "jpeg", "pillow", "classes")} | dict(
        splits, channel_mean=mean.mean(axis=(0, 1)).tolist(), covariance=covariance.tolist(),
        eigenvalues=values.tolist(), eigenvectors=vectors.tolist(), bad=len(bad), passed=plan.get("passed", []),
        note=plan.get("note", ""),
        mean_crc32=f"{zlib.crc32((folder / 'mean.npy').read_bytes()):08x}")
    write_text(folder / "dataset.json", json.dumps(facts, indent=1) + "\n")
    for job in jobs:
        os.remove(f"{job.stem}.part.npz")
    for name in (*(f"{split}.list" for split in splits), "plan.json"):
        os.remove(folder / name)
    others = "".join(f", {splits[split]['images']:,} to {purpose}" for split, purpose in (("val", "validate"), ("test", "test"))
                     if split in splits)
    lines = [f"{folder}: {count:,} images to train{others}, {plan['size']} x {plan['size']}; {len(bad):,} of "
             f"{sum(split['files'] for split in splits.values()):,} files left out"
             + (f", named in {folder / 'bad_images.txt'}" if bad else "")]
    return "\n".join(lines + [plan["note"]] * bool(plan.get("note")) + [f"passed over: {line}" for line in facts["passed"]])
