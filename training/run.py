"""A run's folder, written by train.py and read by evaluate.py:

    config.json         every option with its value, the data, the versions, the machine
    log.csv             a row per epoch, with the columns COLUMNS
    checkpoint.npz      the state to resume from: weights, velocities, the log so far, the position in the current epoch
    best.npz            the weights with the lowest validation error, and how an image is prepared for them
    results.json        the test error of best.npz, computed once, at the end
    curves.png, filters.png; bad_images.txt (the broken images, if there are any)

All are written atomically: a crash leaves the old file or the new one, whole.
"""

import csv
import json
import platform
import time
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from nn import load_checkpoint, save_checkpoint
from nn.checkpoint import write_text
from nn.run import launch
from training.errors import UserError, expect

COLUMNS = ("epoch", "lr", "train_loss", "train_top1", "train_top5", "val_loss", "val_top1", "val_top5",
           "images_per_second", "seconds_waiting")


class Run:
    """A run that trains `network` with `sgd`: its folder and its progress. Every random draw follows from the seed
    and these numbers, so a resumed run gives the same bits.

    rows        the complete epochs, a dict with COLUMNS each
    batch       batches done in the current epoch
    sums        loss, top-1 errors and top-5 errors, each summed over the images of those batches
    step        steps done since the start
    saved       when the checkpoint was last written (time.monotonic)
    saved_step  the step of that checkpoint
    """

    def __init__(self, folder, network, sgd, identity, bad=(), ranks=None):
        """identity: what must be the same when the run resumes, see identity_of.
        bad: "path: reason" for each image that is left out; grows during the run if images are decoded on use.
        ranks: the processes that share the run: the first reads and writes its files.

        Continues from the folder's checkpoint, if there is one. Raises UserError if the identity is not the checkpoint's,
        CheckpointError if the checkpoint is damaged or its epochs are in log.csv without it.
        """
        self.folder, self.network, self.sgd = Path(folder), network, sgd
        self.identity, self.bad, self.ranks = identity, bad, ranks or launch.One()
        self.rows, self.batch, self.sums, self.step = [], 0, [0.0, 0, 0], 0
        stored = self.ranks.once(self.load)
        if stored:
            facts, arrays = stored
            before = facts["identity"]                      # runs of the first edition: without names and sample
            differ = [key for key in identity if key != "data" and key in before and before[key] != identity[key]]
            expect(not differ, f"the data is not what this run began with: "
                   f"{', '.join(f'{key} {identity[key]}, expected {before[key]}' for key in differ)}; name it with --data, "
                   "restore it, or start a new run")
            network.load_weights(arrays["weights"])
            sgd.load(arrays["velocity"])
            self.rows, self.batch, self.sums, self.step = (facts[name] for name in ("rows", "batch", "sums", "step"))
        self.saved, self.saved_step = time.monotonic(), self.step

    def load(self):
        """The checkpoint, if there is one."""
        if any((self.folder / name).exists() for name in ("checkpoint.npz", "log.csv")):
            return load_checkpoint(self.folder / "checkpoint.npz")

    def write_config(self, options, side):
        """options: as read_options returns them; side: of a view."""
        self.write_json("config.json", dict(
            options=vars(options), identity=self.identity, view=side, python=platform.python_version(),
            parameters=sum(array.size for array in self.network.weights().values()), numpy=np.__version__,
            processor=platform.processor() or platform.machine(), threads=self.network.workers.threads,
            processes=self.ranks.size))

    def save(self, lr):
        """Write the checkpoint. Raises UserError, and leaves the old one, if a weight is not finite or the disk is full."""
        bad = self.ranks.union(self.bad)
        weights, velocity = self.network.weights(), self.network.join(self.sgd.velocity)
        self.expect_finite(all(np.isfinite(array).all() for array in weights.values()), "a weight", lr)
        if self.ranks.first:
            with self.writing():
                if bad:
                    write_text(self.folder / "bad_images.txt", "\n".join(bad) + "\n")
                save_checkpoint(self.folder / "checkpoint.npz",
                                dict(identity=self.identity, rows=self.rows, batch=self.batch, sums=self.sums, step=self.step),
                                weights=weights, velocity=velocity)
        self.saved, self.saved_step = time.monotonic(), self.step

    @contextmanager
    def writing(self):
        """with run.writing(): a file that cannot be written is a UserError that says what is left and how to go on."""
        try:
            yield
        except OSError as error:
            again = (f"{self.folder} holds the state of step {self.saved_step}: make room, and continue with: python train.py "
                     f"--resume {self.folder}") if (self.folder / "checkpoint.npz").exists() else \
                f"{self.folder} holds no checkpoint yet: make room, remove it, and start again"
            raise UserError(f"{error.filename or self.folder} cannot be written ({error.strerror or error}); {again}") from error

    def end_epoch(self, row, use, mean):
        """Add a row to the log. If its validation error is the lowest so far, write best.npz with `use` and `mean`, from
        which results/trained.py prepares an image for the net."""
        self.rows.append(row)
        self.batch, self.sums = 0, [0.0, 0, 0]
        if row["val_top1"] == min(earlier["val_top1"] for earlier in self.rows):
            weights = self.network.weights()
            if self.ranks.first:
                with self.writing():
                    save_checkpoint(self.folder / "best.npz", dict(identity=self.identity, epoch=row["epoch"], use=use),
                                    weights=weights, use={"mean": mean})
        self.save(row["lr"])
        if self.ranks.first:
            with self.writing():
                write_text(self.folder / "log.csv", "".join(",".join(map(str, line)) + "\n" for line in [
                COLUMNS, *(row.values() for row in self.rows)]))

    def load_best(self):
        """Give the network the weights of best.npz → (the epoch that they are from, {"conv1.W": array, …})."""
        facts, arrays = self.ranks.once(load_checkpoint, self.folder / "best.npz")
        self.network.load_weights(arrays["weights"])
        return facts["epoch"], arrays["weights"]

    def write_json(self, name, facts):
        if self.ranks.first:
            with self.writing():
                write_text(self.folder / name, json.dumps(facts, indent=2) + "\n")

    def expect_finite(self, finite, what, lr):
        """Raise UserError with the step, the learning rate and what to try, unless `what` is finite."""
        kept = "holds the last good state" if (self.folder / "checkpoint.npz").exists() else "has no checkpoint yet"
        expect(finite, f"{what} is not finite at step {self.step} with learning rate {lr:g}: start again with a tenth of "
                       f"it (--lr {lr / 10:g}); {self.folder} {kept}")


def new_folder(options):
    """runs/NAME with --out, or NAME itself if it is an absolute path; without, the first of runs/MODEL-DATA, runs/MODEL-DATA-2 … that does not exist."""
    name = Path("runs", options.out or f"{options.model}-{Path(options.data).stem}")
    names = [name] if options.out else [name, *(Path(f"{name}-{i}") for i in range(2, 1000))]
    folder = next((folder for folder in names if not folder.exists()), None)
    expect(folder, f"{name} exists: resume it with --resume {name}, or choose another --out")
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made ({error.strerror or error}): choose another place with --out, such as --out "
                        "/path/to/run") from error
    return folder


def identity_of(pictures):
    """What tells one data set from another, wherever it lies: the numbers of training images and classes, checksums of the
    classes' names and of 16 training images with their labels. And its name, for the reader."""
    split, sample = pictures.train, 0
    for i in np.linspace(0, len(split.labels) - 1, 16).astype(int):
        sample = zlib.crc32(np.ascontiguousarray(split.images[int(i)]), zlib.crc32(b"%d" % split.labels[i], sample))
    return dict(data=pictures.name, images=len(split.labels), classes=len(pictures.classes),
                names=f"{zlib.crc32(json.dumps(pictures.classes).encode()):08x}", sample=f"{sample:08x}")


def newest():
    """The folder in runs/ whose best.npz is the newest. Raises UserError if there is none."""
    best = sorted(Path("runs").glob("**/best.npz"), key=lambda path: path.stat().st_mtime)
    expect(best, "found no run in runs/: train a net with python train.py, or name one with --weights")
    return best[-1].parent


def read_options_of(folder):
    """The options in a run's config.json: {name: value}, not checked. Raises UserError."""
    try:
        return dict(json.loads(Path(folder, "config.json").read_text())["options"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"found no run in {folder}: expected a folder with a config.json, as train.py leaves in "
                        "runs/") from None


def read_log(folder):
    """The rows of a run's log.csv: a dict of numbers per epoch. Raises UserError."""
    try:
        with open(Path(folder, "log.csv"), newline="") as file:
            rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
        assert rows and {"epoch", "train_loss", "val_loss", "train_top1", "val_top1"} <= set(rows[0])
        return rows
    except (OSError, ValueError, TypeError, AssertionError):
        raise UserError(f"found no whole log.csv in {folder}: expected the folder of a run that has finished an "
                        "epoch") from None
