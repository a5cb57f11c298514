"""The long runs whose results lie in notebooks/results/, as CSV, for the chapters to read.

    python notebooks/full_runs.py 04        Figure 1: 04_figure1.csv; hours of two cores
    python notebooks/full_runs.py 09        three default runs, and three without crops and mirrors: 09_augmentation.csv;
                                            twenty minutes
    python notebooks/full_runs.py 12        three default runs: 12_log.csv, 13_predictions.csv, and the first's net,
                                            12_net.npz; ten minutes
    python notebooks/full_runs.py 14        every part left out, five seeds: 14_ablations.csv; half an hour
    python notebooks/full_runs.py 14-rates  the whole net of these, and the one with tanh, at other learning rates than
                                            0.02, three seeds: 14_rates.csv; ten minutes
    python notebooks/full_runs.py 17        batches of 64 to 1,024 images, ε as it is, scaled, and scaled with a warm-up:
                                            17_batches.csv; an hour

Everything is made by the project's own commands, in the folder runs/ where this is called, and made there only once:
an interrupted command resumes. results/README.md names the machine on which its files were made.

    from full_runs import results
    results("12_log")                       # [{"epoch": 1.0, "lr": 0.02, …}, …]: numbers as numbers
"""

import argparse
import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from nn.checkpoint import write_text

SEEDS = (0, 1, 2)                           # of the default run
RATES = (0.01, 0.04)                        # beside the ablations' own, 0.02
PARTS = 10_000                              # a probability of 1 in 13_predictions.csv


def results(name):
    """The rows of results/NAME.csv: [{column: number, or text where it is none}, …]."""
    return rows_of(HERE / "results" / f"{name}.csv")


def rows_of(path):
    def value(text):
        try:
            return float(text)
        except ValueError:
            return text

    with open(path, newline="", encoding="utf-8") as file:
        return [{key: value(text) for key, text in row.items()} for row in csv.DictReader(file)]


def predictions(rows, seed, views):
    """(labels (N,), probabilities (N, classes)) of the test images, from the rows of 13_predictions.csv."""
    own = [row for row in rows if (row["seed"], row["views"]) == (seed, views)]
    names = [key for key in own[0] if key.startswith("p")]
    return (np.array([int(row["label"]) for row in own]),
            np.array([[row[name] for name in names] for row in own]) / PARTS)


def run(*command):
    print("$ python", *command, flush=True)
    subprocess.run([sys.executable, ROOT / command[0], *map(str, command[1:])], check=True)


def write(path, lines):
    """Lines of a CSV."""
    write_text(path, "".join(",".join(map(str, line)) + "\n" for line in lines))
    print(path)


def figure1(out):
    """Lines of data that is not at hand here (the CIFAR-10 copy) stay as they are."""
    made, path = Path("runs", "figure1.csv"), out / "04_figure1.csv"
    made.parent.mkdir(exist_ok=True)
    for more in ([], *(["--setting", name] for name in ("modern", "pixels", "values"))):
        run("benchmarks/figure1.py", "--out", made, *more)
        if (ROOT / "datasets" / "cifar-10-batches-bin").exists():
            run("benchmarks/figure1.py", "--out", made, "--data", "cifar10", "--target", 0.25, "--epochs", 30, *more)
    header, *new = csv.reader(made.read_text().splitlines())
    old = list(csv.reader(path.read_text().splitlines()))[1:] if path.exists() else []
    write(path, [header, *(line for line in old if line[0] not in {own[0] for own in new}), *new])


def trained(name, *options):
    """The net of a run in runs/, which is started or resumed if it is not finished."""
    from results.trained import read
    folder = Path("runs", name)
    if not (folder / "results.json").exists():
        run("train.py", *(["--resume", folder] if folder.exists() else ["--out", name, *options]))
    return read(folder)


def predicted(net, images, views):
    """Probabilities (N, classes) of many images."""
    return np.concatenate([net.predict(images[i:i + 256], views) for i in range(0, len(images), 256)])


def augmentation(out):
    import data
    lines = [("seed", "augment", "training", "test_one_view", "test_ten_views")]
    for seed in SEEDS:
        for augment, name in ((1, f"seed{seed}"), (0, f"plain{seed}")):
            net = trained(name, "--seed", seed, *([] if augment else ["--no-augment"]))
            pictures = data.load(net.source, net.size, net.channels, seed)
            lines.append((seed, augment, *(np.mean(predicted(net, split.images, views).argmax(1) != split.labels)
                                           for split, views in ((pictures.train, 1), (pictures.test, 1), (pictures.test, 10)))))
    write(out / "09_augmentation.csv", lines)


def default_runs(out):
    import data
    lines = []
    for seed in SEEDS:
        net = trained(f"seed{seed}", "--seed", seed)
        test = data.load(net.source, net.size, net.channels).test
        for views in (1, 10):
            p = predicted(net, test.images, views)
            for image, (label, own) in enumerate(zip(test.labels, np.rint(p * PARTS).astype(int))):
                lines.append((seed, views, image, label, *own))
    shutil.copy(Path("runs", "seed0", "log.csv"), out / "12_log.csv")
    shutil.copy(Path("runs", "seed0", "best.npz"), out / "12_net.npz")
    header = ("seed", "views", "image", "label", *(f"p{i}" for i in range(p.shape[1])))
    write(out / "13_predictions.csv", [header, *lines])


def ablations(out):
    run("benchmarks/ablations.py", "--seeds", 5, "--out", "runs/ablations")
    shutil.copy(Path("runs", "ablations", "ablations.csv"), out / "14_ablations.csv")


def ablation_rates(out):
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from ablations import subset
    folder = Path("runs")
    folder.mkdir(exist_ok=True)
    source, lines = subset("fashion-mnist", 3000, None, folder), [("activation", "lr", "seed", "one_top1", "ten_top1")]
    for lr in RATES:
        for seed in SEEDS:
            for activation in "relu", "tanh":
                name = f"{activation}-{lr}-{seed}"
                trained(name, "--data", source, "--seed", seed, "--epochs", 12, "--lr", lr, "--activation", activation)
                found = json.loads((folder / name / "results.json").read_text(encoding="utf-8"))
                lines.append((activation, lr, seed, found["test_one_view"]["top1"], found["test_ten_views"]["top1"]))
                write(out / "14_rates.csv", lines)


def large_batches(out):
    """15 epochs each. A run whose loss is not finite any more has errors of nan."""
    lines = [("batch", "lr", "warm_up", "seed", "epochs", "val_top1", "test_one_view", "test_ten_views")]
    for seed in SEEDS[:2]:
        for batch in (64, 128, 256, 512, 1024):
            ways = (("same", 1, 0), ("scaled", batch // 64, 0), ("warm", batch // 64, 3))
            for way, factor, warm in ways[:1] if batch == 64 else ways:
                name, errors = f"{way}-{batch}-{seed}", [np.nan] * 3
                options = ["--batch-size", batch, "--epochs", 15, "--seed", seed, "--warm-up", warm]
                try:
                    trained(name, *options, *(["--lr-batch", 64] if factor > 1 else []))
                    found = json.loads(Path("runs", name, "results.json").read_text())
                    errors = [rows_of(Path("runs", name, "log.csv"))[int(found["epoch"]) - 1]["val_top1"],
                              found["test_one_view"]["top1"], found["test_ten_views"]["top1"]]
                except subprocess.CalledProcessError:               # train.py says that the loss is not finite
                    pass
                lines.append((batch, round(0.02 * factor, 9), warm, seed, 15, *errors))
        write(out / "17_batches.csv", lines)


CHAPTERS = {"04": figure1, "09": augmentation, "12": default_runs, "14": ablations, "14-rates": ablation_rates, "17": large_batches}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapter", choices=CHAPTERS)
    try:
        CHAPTERS[parser.parse_args().chapter](HERE / "results")
    except subprocess.CalledProcessError as error:
        sys.exit(f"full_runs.py: {Path(error.cmd[1]).name} ended with status {error.returncode}; see what it says above")


if __name__ == "__main__":
    main()
