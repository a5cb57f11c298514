"""Train AlexNet (paper § 5).

    python train.py                                     the small net on the embedded images, under three minutes
    python train.py --model alexnet --data FOLDER       the paper's net on FOLDER/train/CLASS/*, FOLDER/val/CLASS/*
    python train.py --resume runs/small-fashion-mnist   go on where a run has stopped, to the same bits

A run leaves a folder runs/NAME: config.json (every option as it was resolved), log.csv (a row per epoch),
checkpoint.npz (all that resuming needs), best.npz (the weights with the lowest validation error), curves.png,
filters.png (Figure 3), results.json (the test error, looked at once, at the end) and, if any image is broken,
bad_images.txt. Ctrl-C finishes the step, writes the checkpoint and says how to go on.
"""

import argparse
import csv
import inspect
import io
import json
import math
import platform
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from tqdm import tqdm

import data
from alexnet import MODELS
from figures import draw_curves, draw_filters
from nn import SGD, CheckpointError, Device, load_checkpoint, plateau, save_checkpoint, steps, top_errors
from nn.checkpoint import write_atomically


class UserError(Exception):
    """What the user can set right, in one sentence."""


def expect(condition, sentence):
    if not condition:
        raise UserError(sentence)


# The options ---------------------------------------------------------------------------------------------------------

MODEL_DEFAULTS = {      # what the paper states is alexnet's; the others' were found by trying
    "alexnet": dict(epochs=90, batch_size=128, lr=0.01, patience=3, size=256, scale=1.0),
    "small": dict(epochs=None, batch_size=64, lr=0.02, patience=4, size=32, scale=0.01),
    "figure1": dict(epochs=30, batch_size=128, lr=0.01, patience=3, size=32, scale=0.01)}
IMAGES = 430_000        # seen in a run of the small net, whatever the size of the data
MAY_CHANGE = {"epochs", "threads", "device", "save_every"}      # when a run is resumed


def make_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    yes_or_no = argparse.BooleanOptionalAction

    add = parser.add_argument_group("the run").add_argument
    add("--data", default="fashion-mnist", help="fashion-mnist, cifar10, an .npz file or a folder with train/CLASS/* "
        "and val/CLASS/*")
    add("--model", default="small", choices=MODELS, help="alexnet (§ 3.5, Figure 2), small (the same for images of 28 "
        "to 64 pixels; default) or figure1 (§ 3.1, four layers)")
    add("--epochs", type=int, help="passes through the training set, at most (§ 5: about 90; small: as many as make "
        f"{IMAGES:,} images)")
    add("--batch-size", type=int, help="images per step (§ 5: 128; small: 64)")
    add("--lr", type=float, help="learning rate ε at first, the same for all layers (§ 5: 0.01, default for alexnet)")
    add("--momentum", type=float, default=0.9, help="(§ 5: 0.9)")
    add("--weight-decay", type=float, default=0.0005, help="decay of weights (§ 5: 0.0005)")
    add("--bias-decay", type=float, default=0.0, help="decay of biases (§ 5 does not say; the 2012 code: 0)")
    add("--bias-rate", type=float, default=1.0, help="ε of biases in multiples of ε (§ 5: 1; the 2012 code: 2)")
    add("--schedule", default="plateau", choices=("plateau", "steps", "constant"), help="plateau: ε ÷ 10 when the "
        "validation error stops improving, three times, then stop (§ 5; default); steps: ε ÷ 10 at --drop-at")
    add("--patience", type=int, help="epochs without a new best that mean 'stops improving' (§ 5: by eye; 3, small: 4)")
    add("--drop-at", type=int, nargs="+", default=[25, 51, 79], metavar="EPOCH", help="(the 2012 code: 25 51 79)")
    add("--size", type=int, help="images are scaled and cut to this side (§ 2: 256; small: 32); views are 7/8 of "
        "it (§ 4.1: 224)")
    add("--scale", type=float, help="factor of the pixels, 0 to 255 minus the mean (§ 2: 1; small: 0.01)")
    add("--augment", default=True, action=yes_or_no, help="random crops and mirror images (§ 4.1)")
    add("--seed", type=int, default=0, help="what every random draw follows from")
    add("--threads", type=int, help="of the processor (default: one per core)")
    add("--device", default="cpu", help="where to compute (default: cpu)")
    add("--save-every", type=float, default=300, metavar="SECONDS", help="between checkpoints within an epoch")
    add("--out", metavar="NAME", help="the run's folder in runs/ (default: MODEL-DATA)")
    add("--resume", metavar="RUN", help="go on with the run in this folder")

    add = parser.add_argument_group("the net's alternatives (default: the paper's; see AlexNet in alexnet.py)"
                                    ).add_argument
    add("--towers", type=int, help="2: one per GPU (§ 3.2); 1: the same net in one, grouped")
    add("--one-gpu", action=yes_or_no, help="one tower, half the kernels, no groups, which § 3.2 compares with")
    add("--without", metavar="LAYER", help="leave out conv2, conv3, conv4 or conv5 (§ 1, § 7)")
    add("--activation", help="relu or tanh (§ 3.1)")
    add("--lrn", action=yes_or_no, help="local response normalisation (§ 3.3)")
    add("--lrn-alpha", type=float, help="its α (§ 3.3: 1e-4; the 2012 code and Caffe: 2e-5)")
    add("--lrn-k", type=float, help="its k (§ 3.3: 2; Caffe: 1)")
    add("--pool", type=int, help="3: overlapping pooling, 2: not (§ 3.4)")
    add("--dropout", type=float, help="rate (§ 4.2: 0.5)")
    add("--inverted-dropout", action=yes_or_no, help="scale in training, not at test time (§ 4.2: at test time)")
    add("--init", help="initial values: 2012, paper (§ 5) or he; default 2012, small and figure1 he (nn/init.py)")
    add("--bias", type=float, help="initial bias of conv2, conv4, conv5, fc6 and fc7 (§ 5: 1; small: 0)")
    return parser


def read_options(arguments):
    """→ (all options, defaults filled in; the folder of the run to resume, or None)."""
    parser = make_parser()
    defaults = vars(parser.parse_args([]))
    given = vars(parser.parse_args(arguments, argparse.Namespace(**dict.fromkeys(defaults))))
    given = {name: value for name, value in given.items() if value is not None}
    resume = given.pop("resume", None)
    if resume is None:
        options = defaults | MODEL_DEFAULTS[given.get("model", "small")] | given
    else:
        try:
            options = json.loads(Path(resume, "config.json").read_text())["options"]
        except (OSError, ValueError, KeyError):
            raise UserError(f"found no run in {resume}: expected a folder with a config.json, as train.py leaves in "
                            "runs/") from None
        fixed = [f"--{name.replace('_', '-')}" for name in given if name not in MAY_CHANGE]
        expect(not fixed, f"a resumed run keeps its options, found {', '.join(fixed)}: leave them out, or start a new run")
        options |= given
    for name in ("batch_size", "patience", "epochs", "threads", "size"):
        expect(options[name] is None or options[name] >= 1, f"--{name.replace('_', '-')} must be at least 1, got "
               f"{options[name]}")
    for name in ("lr", "scale"):
        expect(options[name] > 0, f"--{name} must be more than 0, got {options[name]}")
    expect(options["seed"] >= 0, f"--seed must not be negative, got {options['seed']}")
    return SimpleNamespace(**options), resume and Path(resume)


# The run -------------------------------------------------------------------------------------------------------------

COLUMNS = ("epoch", "lr", "train_loss", "train_top1", "train_top5", "val_loss", "val_top1", "val_top5",
           "images_per_second", "seconds_waiting")


def build(options, pictures, side):
    """The network that the options ask for."""
    make = MODELS[options.model]
    alternatives = {name: getattr(options, name) for name in (
        "towers", "one_gpu", "without", "activation", "lrn", "lrn_alpha", "lrn_k", "pool", "dropout",
        "inverted_dropout", "init", "bias") if getattr(options, name) is not None}
    known = inspect.signature(make).parameters
    unknown = [f"--{name.replace('_', '-')}" for name in alternatives if name not in known and "options" not in known]
    expect(not unknown, f"--model {options.model} has no {', '.join(unknown)}: leave it out")
    Device(options.device)
    shape = (side, side, pictures.train.images.shape[3])
    return make(len(pictures.classes), shape, seed=options.seed, threads=options.threads, **alternatives)


def error_rates(network, split, options, side, mean):
    """→ (mean loss, top-1 error, top-5 error) of a split, from the central view of every image."""
    totals = np.zeros(3)
    for start in range(0, len(split.labels), options.batch_size):
        labels = split.labels[start:start + options.batch_size]
        views = data.central_views(split.images[start:start + options.batch_size], side, mean, options.scale)
        logits, _ = network.forward(views, train=False)
        loss, _ = network.loss.forward(logits, labels)
        totals += loss * len(labels), top_errors(logits, labels, 1), top_errors(logits, labels, 5)
    return totals / len(split.labels)


def ten_view_rates(network, split, options, side, mean):
    """→ (top-1 error, top-5 error) of a split as § 4.1 tests: the softmax averaged over ten views of every image."""
    wrong = np.zeros(2)
    for start in range(0, len(split.labels), options.batch_size):
        labels = split.labels[start:start + options.batch_size]
        images = split.images[start:start + options.batch_size]
        mean_softmax = sum(network.predict(view) for view in data.ten_views(images, side, mean, options.scale)) / 10
        wrong += top_errors(mean_softmax, labels, 1), top_errors(mean_softmax, labels, 5)
    return wrong / len(split.labels)


def learning_rate(options, rows):
    """ε of the next epoch after those in the log, or None when it is time to stop."""
    if options.schedule == "plateau":
        return plateau(options.lr, [row["val_top1"] for row in rows], patience=options.patience)
    return steps(options.lr, len(rows), options.drop_at if options.schedule == "steps" else ())


def new_folder(options):
    name = options.out or f"{options.model}-{Path(options.data).stem}"
    folder = Path("runs", name)
    for number in range(2, 1000):
        if options.out or not folder.exists():
            break
        folder = Path("runs", f"{name}-{number}")
    expect(not folder.exists(), f"{folder} exists: resume it with --resume {folder}, or choose another --out")
    folder.mkdir(parents=True)
    return folder


def write_text(path, text):
    write_atomically(path, lambda file: file.write(text.encode()))


def write_log(folder, rows):
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / "log.csv", text.getvalue())


def train(options, resume):
    pictures = data.load(options.data, options.size, 3 if options.model == "alexnet" else None, options.seed)
    size = min(pictures.train.images.shape[1:3])
    side = data.view_side(size)
    mean = data.mean_image(pictures.train.images)
    network = build(options, pictures, side)
    sgd = SGD(network, options.momentum, options.weight_decay, options.bias_decay, options.bias_rate)
    count = len(pictures.train.labels)
    epochs = options.epochs or max(1, round(IMAGES / count))
    identity = dict(data=pictures.name, images=count, classes=len(pictures.classes))

    # Where the run stands: complete epochs in `rows`; in the present one, batches done, and the sums of loss, top-1
    # and top-5 errors over them. Every random draw follows from the seed and these numbers.
    rows, batch, sums, step = [], 0, [0.0, 0, 0], 0
    if resume:
        folder = resume
        facts, arrays = load_checkpoint(folder / "checkpoint.npz")
        expect(facts["identity"] == identity, f"the data is not what this run began with: found {identity}, expected "
               f"{facts['identity']}; restore it or start a new run")
        network.load_weights(arrays["weights"])
        sgd.load(arrays["velocity"])
        rows, batch, sums, step = facts["rows"], facts["batch"], facts["sums"], facts["step"]
    else:
        folder = new_folder(options)
        config = dict(options=vars(options), identity=identity, view=side, parameters=sum(
            array.size for array in network.weights().values()), python=platform.python_version(),
            numpy=np.__version__, processor=platform.processor() or platform.machine(), cores=network.workers.threads)
        write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")
        if pictures.bad:
            write_text(folder / "bad_images.txt", "\n".join(pictures.bad) + "\n")
    print(f"{options.model} net on {pictures.name}: {count:,} images to train, {len(pictures.validation.labels):,} to "
          f"validate, {len(pictures.test.labels):,} to test; broken and left out: {len(pictures.bad)}. {folder}/")

    def save():
        weights = network.weights()
        expect(all(np.isfinite(array).all() for array in weights.values()), diverged("a weight"))
        save_checkpoint(folder / "checkpoint.npz", dict(identity=identity, rows=rows, batch=batch, sums=sums, step=step),
                        weights=weights, velocity=network.join(sgd.velocity))
        return time.monotonic()

    def diverged(what):
        return (f"{what} is not finite at step {step} with learning rate {lr:g}: try a tenth of it (--lr {lr / 10:g}); "
                f"{folder / 'checkpoint.npz'} holds the last good state")

    stop = []
    for number in (signal.SIGINT, signal.SIGTERM):          # a second Ctrl-C ends at once
        signal.signal(number, lambda number, _: (stop.append(number), signal.signal(number, signal.SIG_DFL)))

    saved = time.monotonic()
    while len(rows) < epochs and (lr := learning_rate(options, rows)) is not None:
        epoch = len(rows)
        began, waiting, seen = time.monotonic(), 0.0, batch * options.batch_size
        total = count // options.batch_size * options.batch_size or count
        bar = tqdm(total=total, initial=seen, unit="img", desc=f"epoch {epoch + 1}/{epochs}", leave=False, disable=None)
        source = data.batches(pictures.train, options.batch_size, side, mean, options.seed, epoch, batch,
                              options.scale, options.augment)
        while True:
            asked = time.monotonic()
            images, labels = next(source, (None, None))
            waiting += time.monotonic() - asked
            if images is None:
                break

            logits, caches = network.forward(images, train=True, step=step)
            loss, cache = network.loss.forward(logits, labels)
            expect(math.isfinite(loss), diverged("the loss"))
            gradients = network.backward(network.loss.backward(cache), caches)
            sgd.step(gradients, lr)

            batch, step, seen = batch + 1, step + 1, seen + len(labels)
            sums = [sums[0] + float(loss) * len(labels), sums[1] + int(top_errors(logits, labels, 1)),
                    sums[2] + int(top_errors(logits, labels, 5))]
            bar.set_postfix(loss=f"{sums[0] / seen:.3f}", error=f"{sums[1] / seen:.1%}", refresh=False)
            bar.update(len(labels))
            if stop or time.monotonic() - saved > options.save_every:
                saved = save()
            if stop:
                bar.close()
                print(f"stopped after step {step}; go on with: python train.py --resume {folder}")
                return 128 + stop[0]
        bar.close()
        seconds = time.monotonic() - began

        validation = error_rates(network, pictures.validation, options, side, mean)
        rows.append(dict(zip(COLUMNS, (epoch + 1, lr, *(value / seen for value in sums), *map(float, validation),
                                       round(total / seconds, 1), round(waiting, 2)))))
        print("epoch {epoch:3}  ε {lr:<8g} training loss {train_loss:.4f}, error {train_top1:6.2%}   validation loss "
              "{val_loss:.4f}, error {val_top1:6.2%}   {images_per_second:,.0f} images/s, waiting for data "
              "{seconds_waiting:.1f} s".format(**rows[-1]))
        batch, sums = 0, [0.0, 0, 0]
        if rows[-1]["val_top1"] == min(row["val_top1"] for row in rows):
            save_checkpoint(folder / "best.npz", dict(identity=identity, epoch=epoch + 1), weights=network.weights())
        saved = save()
        write_log(folder, rows)

    draw_curves(rows, folder / "curves.png")
    facts, arrays = load_checkpoint(folder / "best.npz")
    network.load_weights(arrays["weights"])
    draw_filters(arrays["weights"]["conv1.W"], len(network.towers), folder / "filters.png")
    loss, *one_view = map(float, error_rates(network, pictures.test, options, side, mean))
    ten_views = list(map(float, ten_view_rates(network, pictures.test, options, side, mean)))
    results = dict(epoch=facts["epoch"], test_loss=loss, test_top1=one_view[0], test_top5=one_view[1],
                   ten_views_top1=ten_views[0], ten_views_top5=ten_views[1])
    write_text(folder / "results.json", json.dumps(results, indent=2) + "\n")
    print(f"test error {ten_views[0]:.2%} averaged over ten views (§ 4.1), {one_view[0]:.2%} with the central view alone, "
          f"with the weights of epoch {facts['epoch']}; see {folder}/curves.png and {folder}/filters.png")
    return 0


def main(arguments=None):
    """→ the exit status: 0, 1 for an error, 130 after Ctrl-C."""
    try:
        return train(*read_options(arguments))
    except (UserError, data.DataError, CheckpointError, OSError, ValueError) as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
