"""Ablations: the small net without each part that the paper credits with a gain, over several seeds.

    python benchmarks/ablations.py                      3 seeds, 3,000 images, 12 epochs: about 20 minutes on two cores
    python benchmarks/ablations.py --images 0 --epochs 30 --seeds 5     all images, long: half a day
    python benchmarks/ablations.py --only lrn pooling --seeds 1         some of it
    python benchmarks/ablations.py --fast               one epoch of 300 images, tested on 100: does it run?

Every row is `python train.py` with one option more, and a seed; each seed gives initial values, order, views and the
images held out. A finished run is not repeated: an interrupted command resumes, and more
seeds are added to the finished ones. Left in --out: runs/, ablations.csv (a line per run) and the table, which is also printed:
test error, and its change against the whole net of the same seed, in points, as mean ± standard error over the seeds. A
change of less than two standard errors is marked: this experiment cannot distinguish it from none.

It is the small net on 28-pixel images in ten classes, far from the paper's: effects that the paper measured on 1.2 million
photographs need not be there, and some are not.
"""

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))                               # run as a script

import numpy as np

import data
from nn.checkpoint import write_text
from results.errors import rates
from results.trained import read

ABLATIONS = {           # name: (what train.py is told, what the paper says the thing gains: top-1 / top-5 points, where)
    "whole": ([], "the small net with all of it"),
    "relu": (["--activation", "tanh"], "25 % training error six times sooner than with tanh (§ 3.1)"),
    "width": (["--one-gpu"], "1.7 / 1.2: two towers against one of half the kernels (§ 3.2)"),
    "lrn": (["--no-lrn"], "1.4 / 1.2 (§ 3.3)"),
    "pooling": (["--pool", "2"], "0.4 / 0.3: overlapping (§ 3.4)"),
    "augmentation": (["--no-augment"], "without crops and mirrors it overfits substantially (§ 4.1)"),
    "dropout": (["--dropout", "0"], "without it it overfits substantially (§ 4.2)"),
    "decay": (["--weight-decay", "0"], "reduces the training error, too (§ 5)"),
    "conv2": (["--without", "conv2"], "each layer counts (§ 1)"),
    "conv3": (["--without", "conv3"], "about 2 / – for a middle layer (§ 7)"),
    "conv4": (["--without", "conv4"], "about 2 / – for a middle layer (§ 7)"),
    "conv5": (["--without", "conv5"], "each layer counts (§ 1)")}
VIEWS = "1.5 / 1.3: ten views against one (§ 6)"
ENSEMBLE = "2.6 / 1.8: five nets against one (§ 6, Table 2)"
COLUMNS = ("ablation", "seed", "images", "epochs", "one_top1", "one_top5", "ten_top1", "ten_top5", "seconds")


def subset(source, images, test, folder):
    """The path of an .npz with `images` of a source's training images, always the same, and `test` of its test images
    (None: all); images 0: the source itself."""
    if not images:
        return str(Path(source).resolve()) if Path(source).exists() else source     # train.py runs elsewhere
    path = folder / f"data-{images}.npz"
    if not path.exists():
        pictures = data.load(source, holdout=0.001)
        chosen = np.random.default_rng(0).permutation(len(pictures.train.labels))[:images]
        np.savez(path, x_train=pictures.train.images[chosen], y_train=pictures.train.labels[chosen],
                 x_test=pictures.test.images[:test], y_test=pictures.test.labels[:test], classes=np.array(pictures.classes))
    return str(path.resolve())


def run(name, seed, options, source):
    """Train one net, unless it is there → its line of ablations.csv."""
    out = Path(options.out, "runs", f"{name}-{seed}")
    if not (out / "results.json").exists():
        began = time.monotonic()
        how = ["--resume", f"runs/{out.name}"] if (out / "config.json").exists() else [
            "--out", out.name, "--data", source, "--seed", str(seed), "--epochs", str(options.epochs), *ABLATIONS[name][0]]
        done = subprocess.run([sys.executable, ROOT / "train.py", "--threads", str(options.threads), *how],
                              cwd=options.out, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{name}, seed {seed}: {done.stderr.strip()}")
        write_text(out / "seconds", f"{time.monotonic() - began:.0f}")
    results = json.loads((out / "results.json").read_text())
    one, ten = results["test_one_view"], results["test_ten_views"]
    return dict(zip(COLUMNS, (name, seed, options.images, options.epochs, one["top1"], one["top5"], ten["top1"],
                              ten["top5"], float((out / "seconds").read_text()))))


def together(options):
    """Test errors (top-1, top-5) of the whole nets of all seeds as one ensemble, over ten views."""
    nets = [read(Path(options.out, "runs", f"whole-{seed}")) for seed in range(options.seeds)]
    test = data.load(nets[0].source, nets[0].size, nets[0].channels).test
    p = np.mean([np.concatenate([net.predict(test.images[i:i + 256], 10) for i in range(0, len(test.labels), 256)])
                 for net in nets], axis=0)
    found = rates(p, test.labels)
    return found["top1"], found["top5"]


def table(rows, ensemble=None):
    """The lines of ablations.csv, as read or as made, as text."""
    def column(name, key):
        return {int(row["seed"]): 100 * float(row[key]) for row in rows if row["ablation"] == name}

    def spread(values):
        values = np.array(list(values))
        error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
        return f"{values.mean():6.2f} ± {error:4.2f}", len(values) > 1 and abs(values.mean()) < 2 * error

    def line(name, own, base, paper):
        changes = [{seed: a[seed] - b[seed] for seed in a if seed in b} for a, b in zip(own, base)] if base else []
        cells = [spread(change.values()) for change in changes if change]
        none = "no change seen" if cells and cells[0][1] else ""
        return (f"{name:22}{len(own[0]):6}{spread(own[0].values())[0]:>17}" + "".join(f"{text:>17}" for text, _ in cells)
                ).ljust(79) + f"  {none:14}  {paper}"

    lines = [f"{'':22}{'':6}{'test error (%)':>17}{'change, top-1':>17}{'change, top-5':>17}",
             f"{'without':22}{'seeds':>6}{'ten views':>17}{'(points)':>17}{'(points)':>17}{'':18}the paper says it gains"]
    whole = [column("whole", "ten_top1"), column("whole", "ten_top5")]
    for name in ABLATIONS:
        own = [column(name, "ten_top1"), column(name, "ten_top5")]
        if own[0]:
            lines.append(line(name if name != "whole" else "(nothing: the whole)", own, whole if name != "whole" else None,
                              ABLATIONS[name][1]))
    if whole[0]:
        lines.append(line("the ten views", [column("whole", "one_top1"), column("whole", "one_top5")], whole, VIEWS))
    if ensemble:
        gains = [np.mean(list(own.values())) - 100 * value for own, value in zip(whole, ensemble)]
        lines.append(f"\n{len(whole[0])} whole nets averaged: {100 * ensemble[0]:.2f} %, {gains[0]:.2f} / {gains[1]:.2f} "
                     f"points less than their mean. The paper: {ENSEMBLE}")
    return "\n".join(lines)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", default="fashion-mnist", help="as in train.py (default: fashion-mnist)")
    add("--images", type=int, default=3000, help="taken of its training images (default: 3000; 0: all)")
    add("--epochs", type=int, default=12, help="of each run (default: 12)")
    add("--seeds", type=int, default=3, help="runs of each (default: 3)")
    add("--only", nargs="+", choices=ABLATIONS, metavar="NAME", help=f"of {', '.join(ABLATIONS)} (default: all)")
    add("--jobs", type=int, default=2, help="runs at a time (default: 2)")
    add("--threads", type=int, default=1, help="of each run (default: 1)")
    add("--out", default="ablations", metavar="FOLDER", help="(default: ablations)")
    add("--fast", action="store_true", help="one epoch of 300 images, tested on 100")
    options = parser.parse_args(arguments)
    if options.fast:
        options.images, options.epochs = 300, 1
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    settings, kept = [options.data, options.images, options.epochs], folder / "settings.json"
    if kept.exists() and json.loads(kept.read_text()) != settings:
        sys.exit(f"ablations.py: {folder} has runs with other data, images or epochs, {kept.read_text().strip()}, than "
                 f"{json.dumps(settings)}: choose another --out")
    write_text(kept, json.dumps(settings) + "\n")
    try:
        source = subset(options.data, options.images, 100 if options.fast else None, folder)
        names = ["whole", *(name for name in ABLATIONS if name in (options.only or ABLATIONS) and name != "whole")]
        todo, rows = [(name, seed) for seed in range(options.seeds) for name in names], []
        with ThreadPoolExecutor(options.jobs) as pool:
            for row in pool.map(lambda one: run(*one, options, source), todo):
                rows.append(row)
                print(f"{len(rows)} of {len(todo)}: {row['ablation']}, seed {row['seed']}: {row['ten_top1']:.2%}", flush=True)
                write_text(folder / "ablations.csv", "".join(",".join(map(str, line)) + "\n" for line in [
                    COLUMNS, *(row.values() for row in rows)]))
        text = table(rows, together(options) if options.seeds > 1 else None)
    except (data.DataError, RuntimeError, ValueError, OSError) as error:
        sys.exit(f"ablations.py: {error}")
    write_text(folder / "ablations.txt", text + "\n")
    print(f"\n{text}")


if __name__ == "__main__":
    main()
