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
import inspect
import json
import math
import platform
import signal
import sys
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

import data
from alexnet import MODELS
from figures import draw_curves, draw_filters
from nn import SGD, CheckpointError, Profile, feed, load_checkpoint, plateau, save_checkpoint, steps, top_errors
from nn.arrays import array_module
from nn.checkpoint import write_text


class UserError(Exception):
    """What the user can set right, in one sentence."""


def expect(condition, sentence):
    if not condition:
        raise UserError(sentence)


# The options ---------------------------------------------------------------------------------------------------------

MODEL_DEFAULTS = {      # what the paper states is alexnet's; the others' were found by trying
    "alexnet": dict(epochs=90, batch_size=128, lr=0.01, schedule="plateau", size=256, scale=1.0, colour=0.1),
    "small": dict(epochs=None, batch_size=64, lr=0.02, schedule="steps", size=32, scale=0.01),
    "figure1": dict(epochs=30, batch_size=128, lr=0.02, schedule="plateau", size=32, scale=0.004)}
FETCH = 20              # steps whose loss and errors are fetched together from a GPU
IMAGES = 270_000        # seen in a run of the small net, whatever the size of the data
MAY_CHANGE = {"epochs", "threads", "workers", "device", "plain", "profile", "save_every"}      # when a run is resumed


def make_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    yes_or_no = argparse.BooleanOptionalAction

    add = parser.add_argument_group("the run").add_argument
    add("--data", default="fashion-mnist", help="fashion-mnist, cifar10, an .npz file, a folder that data.py has "
        "prepared (ImageNet, § 2) or one with train/CLASS/* and val/CLASS/*")
    add("--holdout", type=float, default=0.1, help="share of every training class to validate on (default: 0.1); 0: "
        "validate on the test images, as the paper did on ImageNet's validation set (§ 5)")
    add("--lazy", default=False, action=yes_or_no, help="decode a folder's images whenever they are used, instead of "
        "all of them into memory")
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
    add("--schedule", choices=("plateau", "steps", "constant"), help="plateau: ε ÷ 10 when the validation error stops "
        "improving, three times, then stop (§ 5, default); steps: ε ÷ 10 at --drop-at (default for small)")
    add("--patience", type=int, default=3, help="epochs without a new best that mean 'stops improving' (§ 5: by eye)")
    add("--drop-at", type=int, nargs="+", metavar="EPOCH", help="of --schedule steps: after how many epochs (the 2012 "
        "code: 25 51 79 of 91; default: at 60 and 87 %% of --epochs)")
    add("--size", type=int, help="images are scaled and cut to this side (§ 2: 256; small: 32); views are 7/8 of "
        "it (§ 4.1: 224)")
    add("--scale", type=float, help="factor of the pixels, 0 to 255 minus the mean (§ 2: 1; small: 0.01)")
    add("--mean", default="pixel", choices=data.MEANS, help="what is subtracted: the mean image where the crop lies (§ "
        "2, default); its centre, wherever the crop lies (the 2012 code); one mean per channel")
    add("--augment", default=True, action=yes_or_no, help="random crops, mirror images, colour noise (§ 4.1)")
    add("--colour", type=float, metavar="SIGMA", help="standard deviation of the colour noise along the principal "
        "components of RGB (§ 4.1: 0.1, default for alexnet; others 0: none)")
    add("--colour-factor", default="eigenvalue", choices=data.FACTORS, help="of the colour noise: λ, of pixels from 0 "
        "to 1 (§ 4.1, default), or √λ (the 2012 code, 2.3 times as strong)")
    add("--cutout", type=int, default=0, metavar="PIXELS", help="side of a block that is erased from every view (not "
        "in the paper; default 0: none)")
    add("--seed", type=int, default=0, help="what every random draw follows from")
    add("--threads", type=int, help="of the processor (default: one per core)")
    add("--workers", type=int, default=2, help="threads that make the next batches meanwhile (§ 4.1); 0: none, each "
        "batch is made when it is needed (default: 2)")
    add("--plain", default=False, action=yes_or_no, help="run the layers as nn/ has them, without their faster forms and "
        "without threads: several times slower, for a debugger; the same losses within rounding")
    add("--device", default="cpu", help="cpu (default); cuda: two GPUs, one per tower (§ 3.2), where there are two, "
        "else one; cuda:1: that one; cuda:0,cuda:1: these")
    add("--profile", type=int, default=0, metavar="N", help="after three steps to warm up, print for N steps the time "
        "of every stage on each device, the bytes that cross, and the memory")
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
    add("--dropout", type=float, help="rate (§ 4.2: 0.5; small: 0.3)")
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
            options = defaults | json.loads(Path(resume, "config.json").read_text())["options"]
        except (OSError, ValueError, KeyError):
            raise UserError(f"found no run in {resume}: expected a folder with a config.json, as train.py leaves in "
                            "runs/") from None
        fixed = [f"--{name.replace('_', '-')}" for name in given if name not in MAY_CHANGE]
        expect(not fixed, f"a resumed run keeps its options, found {', '.join(fixed)}: leave them out, or start a new run")
        options |= given
    for name in ("batch_size", "patience", "epochs", "threads", "size"):
        value = options[name]
        expect(value is None or value >= 1, f"--{name.replace('_', '-')} must be at least 1, got {value}")
    for name in ("workers", "cutout", "colour", "profile"):
        expect((options[name] or 0) >= 0, f"--{name} must be at least 0, got {options[name]}")
    for name in ("lr", "scale"):
        expect(options[name] > 0, f"--{name} must be more than 0, got {options[name]}")
    return argparse.Namespace(**options), resume and Path(resume)


# The run -------------------------------------------------------------------------------------------------------------

COLUMNS = ("epoch", "lr", "train_loss", "train_top1", "train_top5", "val_loss", "val_top1", "val_top5",
           "images_per_second", "seconds_waiting")


ALTERNATIVES = ("towers", "one_gpu", "without", "activation", "lrn", "lrn_alpha", "lrn_k", "pool", "dropout",
                "inverted_dropout")
INITIAL = ("init", "bias")


def given(options, names):
    """{name: value} of the options that were given."""
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def build(options, pictures, side):
    """The network that the options ask for."""
    make = MODELS[options.model]
    alternatives = given(options, ALTERNATIVES + INITIAL)
    known = inspect.signature(make).parameters
    unknown = [f"--{name.replace('_', '-')}" for name in alternatives if name not in known and "options" not in known]
    expect(not unknown, f"--model {options.model} has no {', '.join(unknown)}: leave it out")
    shape = (side, side, pictures.train.images.shape[3])
    return make(len(pictures.classes), shape, seed=options.seed, threads=options.threads, devices=options.device,
                plain=options.plain, **alternatives)


def expect_memory(network, batch_size):
    """Raise UserError if a GPU has not the memory that a training step needs besides the weights and velocities, which
    are there already."""
    needs = {}
    for device, ledger in zip(network.devices, network.memory(batch_size)):
        needs[device.name] = needs.get(device.name, 0) + sum(ledger.values()) - ledger["weights"] - ledger["velocities"]
    for device in network.devices:
        if device.memory():
            free, total = (size / 2**20 for size in device.memory())
            need = needs[device.name] / 2**20
            expect(need <= free, f"{device.name} has {free:,.0f} MiB free of {total:,.0f}, and a step of {batch_size} "
                                 f"images needs about {need:,.0f} MiB more: choose a smaller --batch-size")


def error_rates(network, split, options, views):
    """→ (loss, top-1 error, top-5 error) of a split, with the softmax averaged over the views of every image (§ 4.1).
    views: a function of images (n, H, W, C) that gives arrays of views, (n, side, side, C) each."""
    totals = np.zeros(3)
    for start in range(0, len(split.labels), options.batch_size):
        labels = split.labels[start:start + options.batch_size]
        predictions = [network.predict(view) for view in views(split.images[start:start + options.batch_size])]
        p = np.mean(predictions, axis=0)                                            # (n, classes)
        loss = -np.log(np.maximum(p[np.arange(len(p)), labels], 1e-30)).sum()
        totals += loss, top_errors(p, labels, 1), top_errors(p, labels, 5)
    return [float(total) for total in totals / len(split.labels)]


def fetch(device, numbers):
    """Rows of numbers, each an array of no axes on `device` → rows of Python numbers, in one copy."""
    if not numbers:
        return []
    with device:
        xp = array_module(numbers[0][0])
        rows = [xp.stack([number.astype(np.float64) for number in row]) for row in numbers]
        return device.get(xp.stack(rows)).tolist()


def learning_rate(options, rows, epochs):
    """ε of the next epoch after those in the log, or None when it is time to stop."""
    if options.schedule == "plateau":
        return plateau(options.lr, [row["val_top1"] for row in rows], patience=options.patience)
    drops = options.drop_at or [round(0.6 * epochs), round(0.87 * epochs)]
    return steps(options.lr, len(rows), drops if options.schedule == "steps" else ())


def new_folder(options):
    """runs/NAME, or without --out the first of runs/MODEL-DATA, runs/MODEL-DATA-2 … that is not there yet."""
    name = Path("runs", options.out or f"{options.model}-{Path(options.data).stem}")
    names = [name] if options.out else [name, *(Path(f"{name}-{i}") for i in range(2, 1000))]
    folder = next((folder for folder in names if not folder.exists()), None)
    expect(folder, f"{name} exists: resume it with --resume {name}, or choose another --out")
    folder.mkdir(parents=True)
    return folder


def train(options, resume):
    pictures = data.load(options.data, options.size, 3 if options.model == "alexnet" else None, options.seed,
                         options.holdout, options.lazy)
    side = data.view_side(min(pictures.train.images.shape[1:3]))
    mean = data.mean_image(pictures.train.images, options.mean, side)
    colour = data.colour_noise(pictures.train.images, options.colour, options.colour_factor) if options.colour else None
    network = build(options, pictures, side)
    expect_memory(network, options.batch_size)
    sgd = SGD(network, options.momentum, options.weight_decay, options.bias_decay, options.bias_rate)
    count = len(pictures.train.labels)
    epochs = options.epochs or max(1, round(IMAGES / count))
    identity = dict(data=pictures.name, images=count, classes=len(pictures.classes))
    use = dict(model=options.model, options=given(options, ALTERNATIVES), classes=pictures.classes,     # see trained.py
               size=pictures.train.images.shape[1], side=side, scale=options.scale, source=options.data,
               seed=options.seed, holdout=options.holdout)

    # Where the run stands: complete epochs in `rows`; in the present one, batches done, and the sums of loss, top-1
    # and top-5 errors over them. Every random draw follows from the seed and these numbers.
    rows, batch, sums, step = [], 0, [0.0, 0, 0], 0
    folder = resume or new_folder(options)
    if resume and any((folder / name).exists() for name in ("checkpoint.npz", "log.csv")):  # else start afresh
        facts, arrays = load_checkpoint(folder / "checkpoint.npz")
        expect(facts["identity"] == identity, f"the data is not what this run began with: found {identity}, expected "
               f"{facts['identity']}; restore it or start a new run")
        network.load_weights(arrays["weights"])
        sgd.load(arrays["velocity"])
        rows, batch, sums, step = facts["rows"], facts["batch"], facts["sums"], facts["step"]
    config = dict(options=vars(options), identity=identity, view=side, python=platform.python_version(),
                  parameters=sum(array.size for array in network.weights().values()), numpy=np.__version__,
                  processor=platform.processor() or platform.machine(), threads=network.workers.threads)
    write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")
    print(f"{options.model} net, {pictures.name}: {count:,} to train, {len(pictures.validation.labels):,} to validate, "
          f"{len(pictures.test.labels):,} to test; broken and left out: {len(pictures.bad)}. {folder}/")

    def central_view(images):
        return [data.central_views(images, side, mean, options.scale)]

    def save():
        if pictures.bad:
            write_text(folder / "bad_images.txt", "\n".join(pictures.bad) + "\n")
        weights = network.weights()
        expect(all(np.isfinite(array).all() for array in weights.values()), diverged("a weight"))
        save_checkpoint(folder / "checkpoint.npz", dict(identity=identity, rows=rows, batch=batch, sums=sums, step=step),
                        weights=weights, velocity=network.join(sgd.velocity))
        return time.monotonic()

    def diverged(what):
        kept = "holds the last good state" if (folder / "checkpoint.npz").exists() else "has no checkpoint yet"
        return (f"{what} is not finite at step {step} with learning rate {lr:g}: start again with a tenth of it (--lr "
                f"{lr / 10:g}); {folder} {kept}")

    def catch_up():
        """Add to the sums what the steps since the last time have lost; looking at it waits for the device."""
        nonlocal sums
        for n, (loss, top1, top5) in zip(sizes, fetch(first_device, pending)):
            expect(math.isfinite(loss), diverged("the loss"))
            sums = [sums[0] + loss * n, sums[1] + top1, sums[2] + top5]
        sizes.clear(), pending.clear()

    stop = []
    for number in (signal.SIGINT, signal.SIGTERM):          # a second Ctrl-C ends at once
        signal.signal(number, lambda number, _: (stop.append(number), signal.signal(number, signal.SIG_DFL)))

    first_device = network.devices[0]
    warm, sizes, pending, saved = step + 3, [], [], time.monotonic()
    while len(rows) < epochs and (lr := learning_rate(options, rows, epochs)) is not None:
        epoch = len(rows)
        began, waiting, seen = time.monotonic(), 0.0, (first := batch * options.batch_size)
        total = count // options.batch_size * options.batch_size or count
        bar = tqdm(total=total, initial=first, unit="img", desc=f"epoch {epoch + 1}/{epochs}", leave=False, disable=None)
        source = feed(data.batches(pictures.train, options.batch_size, side, mean, options.seed, epoch, batch,
                                   options.scale, options.augment, colour, options.cutout, options.workers),
                      network.devices)
        while True:
            asked = time.monotonic()
            images, labels = next(source, (None, None))
            waiting += time.monotonic() - asked
            if images is None:
                break

            with first_device:
                logits, caches = network.forward(images, train=True, step=step)
                loss, cache = network.loss.forward(logits, labels)
                sizes.append(len(labels))
                pending.append((loss, top_errors(logits, labels, 1), top_errors(logits, labels, 5)))
                gradients = network.backward(network.loss.backward(cache), caches)
                sgd.step(gradients, lr)

            batch, step, seen = batch + 1, step + 1, seen + len(labels)
            bar.update(len(labels))
            due = stop or time.monotonic() - saved > options.save_every
            if due or len(pending) == FETCH or network.on_cpu:
                catch_up()
                bar.set_postfix(loss=f"{sums[0] / seen:.3f}", error=f"{sums[1] / seen:.1%}", refresh=False)
            if step == warm and options.profile:
                network.profile = Profile(network)
            if step == warm + options.profile and network.profile:
                bar.write(network.profile.table(options.profile))
                network.profile = None
            if due:
                saved = save()
            if stop:
                source.close()
                print(f"\nstopped after step {step}; go on with: python train.py --resume {folder}")
                return 128 + stop[0]
        catch_up()
        bar.close()
        seconds = time.monotonic() - began

        rows.append(dict(zip(COLUMNS, (epoch + 1, lr, *(value / seen for value in sums),
                                       *error_rates(network, pictures.validation, options, central_view),
                                       round((seen - first) / seconds, 1), round(waiting, 2)))))
        print("epoch {epoch:3}  ε {lr:<8g} training loss {train_loss:.4f}, error {train_top1:6.2%}   validation loss "
              "{val_loss:.4f}, error {val_top1:6.2%}   {images_per_second:,.0f} images/s, waiting for data "
              "{seconds_waiting:.1f} s".format(**rows[-1]))
        batch, sums = 0, [0.0, 0, 0]
        if rows[-1]["val_top1"] == min(row["val_top1"] for row in rows):
            save_checkpoint(folder / "best.npz", dict(identity=identity, epoch=epoch + 1, use=use),
                            weights=network.weights(), use={"mean": mean})
        saved = save()
        write_text(folder / "log.csv", "".join(",".join(map(str, line)) + "\n" for line in [COLUMNS, *(
            row.values() for row in rows)]))

    draw_curves(rows, folder / "curves.png")
    facts, arrays = load_checkpoint(folder / "best.npz")
    network.load_weights(arrays["weights"])
    draw_filters(arrays["weights"]["conv1.W"], len(network.towers), folder / "filters.png")
    one, ten = (dict(zip(("loss", "top1", "top5"), error_rates(network, pictures.test, options, views))) for views in (
        central_view, lambda images: data.ten_views(images, side, mean, options.scale)))
    write_text(folder / "results.json", json.dumps(dict(epoch=facts["epoch"], test_one_view=one, test_ten_views=ten),
                                                   indent=2) + "\n")
    print(f"test error {ten['top1']:.2%} over ten views (§ 4.1), {one['top1']:.2%} with the central one alone, with "
          f"the weights of epoch {facts['epoch']}; see {folder}/curves.png and {folder}/filters.png")


def main(arguments=None):
    """→ the exit status: 0, 1 for an error, 130 after Ctrl-C."""
    try:
        return train(*read_options(arguments)) or 0
    except (UserError, data.DataError, CheckpointError, OSError, ValueError) as error:
        print(f"train.py: {error}", file=sys.stderr)
    except MemoryError as error:
        print(f"train.py: out of memory ({error}): choose a smaller --batch-size", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
