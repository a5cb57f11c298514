"""Figure 1 (§ 3.1): how soon the four-layer net reaches 25 % training error, with ReLU and with tanh.

    python benchmarks/figure1.py                                    5,000 images of Fashion-MNIST, to 10 % error
    python benchmarks/figure1.py --data cifar10 --target 0.25       the paper's (python data.py download cifar10)
    python benchmarks/figure1.py --setting modern                   the same net with today's initial values
    python benchmarks/figure1.py --setting pixels                   only the pixels × 0.01; "values": only He's initial values
    python benchmarks/figure1.py --fast                             300 images, one rate, one seed: does it run?

As in the paper, each of the two has a learning rate of its own, the one with which it is soonest, and nothing regularises
(no dropout, no weight decay, no augmentation). Every rate of the grid runs with every seed, so that the choice of the
rate does not hang on one lucky run. A seed gives the initial values and the order of the images.

--setting printed is the paper's setting: pixels from 0 to 255 minus their mean (§ 2), initial values of
standard deviation 0.01 (§ 5). --setting modern: the same pixels × 0.01, and He's initial values. --setting pixels and --setting values
change one of the two and complete the square: see notebooks/04_relu.ipynb.

The training error is that of a fixed thousand of the training images, looked at four times an epoch; a run ends when
it has reached --target, or after --epochs. Left in --out: a line per look. A finished run is
not repeated, so an interrupted command resumes.
"""

import argparse
import csv
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))                               # run as a script

import numpy as np
from tqdm import tqdm

import data
from alexnet import Figure1Net
from nn import SGD
from nn.checkpoint import write_text

COLUMNS = ("data", "images", "setting", "activation", "lr", "seed", "epoch", "loss", "error")
SETTINGS = {            # factor of the pixels, 0 to 255 minus the mean; initial values; learning rates to try
    "printed": (1.0, "paper", {"relu": (0.001, 0.002, 0.004, 0.008), "tanh": (0.004, 0.008, 0.016, 0.032, 0.064, 0.128)}),
    "pixels": (0.01, "paper", {"relu": (0.01, 0.02, 0.04, 0.08), "tanh": (0.02, 0.04, 0.08, 0.16)}),
    "values": (1.0, "he", {"relu": (1e-6, 4e-6, 1.6e-5, 6.4e-5), "tanh": (0.005, 0.01, 0.02, 0.04)}),
    "modern": (0.01, "he", {"relu": (0.0025, 0.005, 0.01, 0.02), "tanh": (0.01, 0.02, 0.04, 0.08)})}
BATCH, LOOKS, LOOKED_AT = 128, 4, 1000                      # images a step, looks an epoch, images looked at


def course(split, activation, lr, seed, epochs, target, setting="printed", threads=None):
    """Yield (epochs so far, training loss, training error) as a net learns from a split, until the error is `target` or
    the loss is not finite."""
    scale, init, _ = SETTINGS[setting]
    mean, side = data.mean_image(split.images), split.images.shape[1]
    net = Figure1Net(int(split.labels.max()) + 1, split.images.shape[1:], activation=activation, init=init, seed=seed,
                     threads=threads)
    sgd = SGD(net, weight_decay=0.0)
    views = data.central_views(split.images[:LOOKED_AT], side, mean, scale)
    labels = split.labels[:LOOKED_AT]
    per_epoch = max(1, len(split.labels) // BATCH)
    looks = {per_epoch * (i + 1) // LOOKS for i in range(LOOKS)}
    for epoch in range(epochs):
        with data.batches(split, BATCH, side, mean, seed, epoch, scale=scale, augment=False, workers=0) as batches:
            for n, (images, own) in enumerate(batches, start=1):
                sgd.step(net.loss_and_gradients(images, own)[1], lr)
                if n in looks:
                    p = np.concatenate([net.predict(views[i:i + BATCH]) for i in range(0, len(views), BATCH)])
                    loss = float(-np.log(np.maximum(p[np.arange(len(p)), labels], 1e-30)).mean())
                    error = float(np.mean(p.argmax(1) != labels)) if np.isfinite(p).all() else np.nan
                    yield epoch + n / per_epoch, loss, error
                    if not error > target:
                        return


def epochs_to(target, looks):
    """Epochs until the training error has first fallen to `target`, interpolated between looks; ∞ if it has not.

    looks: [(epoch, error), …] of one run.
    """
    before = (0.0, 1.0)
    for epoch, error in looks:
        if error <= target:
            share = (before[1] - target) / (before[1] - error)
            return before[0] + share * (epoch - before[0])
        before = epoch, error
    return np.inf


def best_rate(rows, activation, target):
    """(the learning rate with which an activation is soonest at `target`, {rate: [epochs of each seed]}).

    rows: lines of the CSV. Soonest: by the mean over the seeds, ∞ if any of them does not arrive.
    """
    rates = {}
    for row in rows:
        if row["activation"] == activation:
            run = rates.setdefault(float(row["lr"]), {}).setdefault(int(row["seed"]), [])
            run.append((float(row["epoch"]), float(row["error"])))
    arrived = {lr: [epochs_to(target, looks) for looks in seeds.values()] for lr, seeds in sorted(rates.items())}
    return min(arrived, key=lambda lr: np.mean(arrived[lr])), arrived


def one_run(job):
    split, name, epochs, target, setting, (activation, lr, seed) = job
    warnings.simplefilter("ignore", RuntimeWarning)         # a rate that is too high overflows, and its run ends so
    return [dict(zip(COLUMNS, (name, len(split.labels), setting, activation, lr, seed, round(epoch, 4), round(loss, 4),
                               round(error, 4))))
            for epoch, loss, error in course(split, activation, lr, seed, epochs, target, setting, threads=1)]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", default="fashion-mnist", help="as in train.py (default: fashion-mnist)")
    add("--name", help="what the CSV calls it (default: what --data says)")
    add("--images", type=int, default=5_000, help="of its training images, the first (default: 5,000)")
    add("--target", type=float, default=0.1, help="training error at which a run ends (default: 0.1)")
    add("--epochs", type=int, default=20, help="after which it ends in any case (default: 20)")
    add("--seeds", type=int, default=3, help="runs of each (default: 3)")
    add("--setting", choices=SETTINGS, default="printed", help="(default: printed)")
    add("--rates", type=float, nargs="+", metavar="LR", help="learning rates to try (default: see SETTINGS)")
    add("--jobs", type=int, default=2, help="runs at a time, one thread each (default: 2)")
    add("--out", default="figure1.csv", metavar="FILE", help="(default: figure1.csv)")
    add("--fast", action="store_true", help="300 images, one epoch, one rate, one seed")
    options = parser.parse_args(arguments)
    if options.fast:
        options.images, options.epochs, options.seeds, options.rates = 300, 1, 1, [0.01]
    for name in ("images", "epochs", "seeds", "jobs"):
        if getattr(options, name) < 1:
            sys.exit(f"figure1.py: --{name} must be at least 1, got {getattr(options, name)}")
    if not 0 < options.target < 1 or min(options.rates or [1]) <= 0:
        sys.exit("figure1.py: --target must lie between 0 and 1, and --rates above 0, got "
                 f"{options.target:g} and {options.rates or 'the default rates'}")
    try:
        train = data.load(options.data, holdout=0).train
        split = data.Split(train.images[:options.images], train.labels[:options.images])
        out, name = Path(options.out), options.name or Path(options.data).stem
        rows = list(csv.DictReader(out.read_text().splitlines())) if out.exists() else []
        own = dict(data=name, images=str(len(split.labels)), setting=options.setting)
        there = {(row["activation"], float(row["lr"]), int(row["seed"])) for row in rows if own.items() <= row.items()}
        todo = [(activation, lr, seed) for seed in range(options.seeds)
                for activation, rates in SETTINGS[options.setting][2].items() for lr in options.rates or rates
                if (activation, lr, seed) not in there]
        with ProcessPoolExecutor(options.jobs) as pool:
            jobs = ((split, name, options.epochs, options.target, options.setting, run) for run in todo)
            for run in tqdm(pool.map(one_run, jobs), "runs", len(todo), disable=None):
                rows += [{key: str(value) for key, value in row.items()} for row in run]
                write_text(out, "".join(",".join(map(str, line)) + "\n" for line in [
                    COLUMNS, *(row.values() for row in rows)]))
    except (data.DataError, ValueError, OSError) as error:
        sys.exit(f"figure1.py: {error}")
    for activation in ("relu", "tanh"):
        lr, arrived = best_rate([row for row in rows if own.items() <= row.items()], activation, options.target)
        epochs = np.array(arrived[lr])
        print(f"{activation}: soonest at {options.target:.0%} with ε = {lr:g}: {epochs.mean():.2f} epochs "
              f"({', '.join(f'{n:.2f}' for n in epochs)})")


if __name__ == "__main__":
    main()
