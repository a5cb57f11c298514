"""Train AlexNet (paper § 5).

    python train.py                                     the small net on the images that come with the project
    python train.py --model alexnet --data FOLDER       the paper's net on FOLDER/train/CLASS/*, FOLDER/val/CLASS/*
    python train.py --resume runs/small-fashion-mnist   continue an interrupted run, to the same bits
    mpiexec -n 4 python train.py …                      the same run shared by four processes (nn/run/ranks.py)

A run leaves a folder runs/NAME: config.json (every option with its value), log.csv (a row per epoch),
checkpoint.npz (the state to resume from), best.npz (the weights with the lowest validation error), curves.png,
filters.png (Figure 3), results.json (the test error, computed once, at the end) and, if any image is broken,
bad_images.txt. Ctrl-C finishes the step, writes the checkpoint and prints how to continue.

From Python: train.main(["--epochs", "2"]).
"""

import inspect
import signal
import sys
import threading
import time
import zlib
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

import data
from alexnet import MODELS
from nn import SGD, CheckpointError, Profile, feed, plateau, steps, top_errors, warm_up
from nn.run import launch
from results.figures import draw_curves, draw_filters
from training.errors import UserError, expect
from training.meter import Meter
from training.options import ALTERNATIVES, IMAGES, INITIAL, given, option, read_options
from training.run import COLUMNS, Run, new_folder


def train(options, resume=None, ranks=None):
    """Train until all epochs are done, the schedule ends or a signal comes → the exit status.

    options: as read_options returns them; resume: the folder of the run to continue; ranks: this process among others.
    """
    ranks = ranks or launch.One()
    pictures = data.load(options.data, options.size, 3 if options.model == "alexnet" else None, options.seed,
                         options.holdout, options.lazy)
    side = data.view_side(min(pictures.train.images.shape[1:3]))
    mean = data.mean_image(pictures.train.images, options.mean, side)
    colour = data.colour_noise(pictures.train.images, options.colour, options.colour_factor) if options.colour else None
    ranks.compare(what_must_agree(options, pictures, mean))
    network = build(options, pictures, side, ranks)
    ranks.take(network, options.model_parallel)
    expect_memory(network, -(-options.batch_size // ranks.replicas))
    sgd = SGD(network, options.momentum, options.weight_decay, options.bias_decay, options.bias_rate)

    count = len(pictures.train.labels)
    expect(min(count, options.batch_size) >= ranks.replicas, f"a batch of {min(count, options.batch_size)} images is not enough for "
           f"{ranks.replicas} processes: choose a larger --batch-size, or fewer processes")
    epochs = options.epochs or max(1, round(IMAGES / count))
    per_epoch = count // options.batch_size * options.batch_size or count           # images; a last part is left out
    identity = dict(data=pictures.name, images=count, classes=len(pictures.classes))
    run = Run(resume or ranks.once(new_folder, options), network, sgd, identity, pictures.bad, ranks)
    run.write_config(options, side)
    print(f"{options.model} net, {pictures.name}: {count:,} to train, {len(pictures.validation.labels):,} to validate, "
          f"{len(pictures.test.labels):,} to test; broken and left out: {len(pictures.bad)}. {run.folder}/")

    def batches():
        """The rest of the current epoch."""
        return feed(data.batches(pictures.train, options.batch_size, side, mean, options.seed, len(run.rows), run.batch,
                                 options.scale, options.augment, colour, options.cutout, options.workers,
                                 (ranks.replica, ranks.replicas)),
                    network.devices)

    def one_view(images):
        return [data.central_views(images, side, mean, options.scale)]

    def ten_views(images):
        return data.ten_views(images, side, mean, options.scale)

    warm = run.step + 3
    with stop_signals() as stop:
        while len(run.rows) < epochs and (lr := learning_rate(options, run.rows, epochs)) is not None:
            epoch = len(run.rows) + 1
            meter = Meter(run, lr, per_epoch, run.batch * options.batch_size, f"epoch {epoch}/{epochs}", ranks)
            with closing(batches()) as source:
                for images, labels in meter.waited_for(source):
                    with network.devices[0]:
                        of = ranks.place(len(labels))           # images in the batch, of which these are this process's
                        logits, caches = network.forward(images, train=True, step=run.step)
                        loss, cache = network.loss.forward(logits, labels)
                        meter.add(loss, logits, labels, of)
                        gradients = network.backward(ranks.weigh(network.loss.backward(cache), of), caches)
                        ranks.finish()
                        done = len(run.rows) + run.batch * options.batch_size / per_epoch
                        sgd.step(gradients, warm_up(lr, done, options.warm_up, scaling(options)))
                    run.batch, run.step = run.batch + 1, run.step + 1

                    stopped, due = ranks.agree(stop[0] if stop else 0, time.monotonic() - run.saved > options.save_every)
                    due = stopped or due
                    if due or len(meter.pending) == meter.every:
                        meter.fetch()
                    if run.step == warm and options.profile:
                        network.profile = Profile(network)
                    if run.step == warm + options.profile and network.profile:
                        meter.bar.write(network.profile.table(options.profile))
                        network.profile = None
                    if due:
                        run.save(lr)
                    if stopped:
                        print(f"\nstopped after step {run.step}{ranks.who_stopped()}; continue with: python train.py --resume "
                              f"{run.folder}")
                        return 128 + stopped

            *training, speed, waiting = meter.result()
            validation = error_rates(network, pictures.validation, options.batch_size, one_view, ranks)
            row = dict(zip(COLUMNS, (epoch, lr, *training, *validation, speed, waiting)))
            print("epoch {epoch:3}  ε {lr:<8g} training loss {train_loss:.4f}, error {train_top1:6.2%}   validation "
                  "loss {val_loss:.4f}, error {val_top1:6.2%}   {images_per_second:,.0f} images/s, waiting for data "
                  "{seconds_waiting:.1f} s".format(**row))
            run.end_epoch(row, how_it_is_used(options, pictures, side), mean)

    epoch, weights = run.load_best()
    if ranks.first:
        draw_curves(run.rows, run.folder / "curves.png")
        draw_filters(weights["conv1.W"], len(network.towers), run.folder / "filters.png")
    one, ten = (dict(zip(("loss", "top1", "top5"), error_rates(network, pictures.test, options.batch_size, views, ranks)))
                for views in (one_view, ten_views))
    run.write_json("results.json", dict(epoch=epoch, test_one_view=one, test_ten_views=ten))
    print(f"test error {ten['top1']:.2%} over ten views (§ 4.1), {one['top1']:.2%} with the central one alone, with "
          f"the weights of epoch {epoch}; see {run.folder}/curves.png and {run.folder}/filters.png")
    return 0


def build(options, pictures, side, ranks):
    """The network that the options describe."""
    make = MODELS[options.model]
    alternatives = given(options, ALTERNATIVES + INITIAL)
    known = inspect.signature(make).parameters
    unknown = [option(name) for name in alternatives if name not in known and "options" not in known]
    expect(not unknown, f"--model {options.model} has no {', '.join(unknown)}: leave it out")
    shape = (side, side, pictures.train.images.shape[3])
    towers = 1 if options.model == "figure1" or options.one_gpu or options.model_parallel else options.towers or 2
    return make(len(pictures.classes), shape, seed=options.seed, threads=ranks.threads(options.threads),
                devices=ranks.devices(options.device, towers), plain=options.plain,
                convolution=options.convolution, **alternatives)


def what_must_agree(options, pictures, mean):
    """What must be the same in all processes that share a run: {what: value}."""
    own = {option(name): value for name, value in vars(options).items() if name not in ("threads", "workers", "device", "wait")}
    seen = [np.ascontiguousarray(mean)]
    for split in pictures.train, pictures.validation, pictures.test:
        some = np.linspace(0, len(split.labels) - 1, min(32, len(split.labels))).astype(int)
        seen += [split.labels, np.ascontiguousarray(split.images[some])]
    code = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("[nit]*/**/*.py")))
    return own | {"the data": f"{pictures.name} (checksum {zlib.crc32(b''.join(array.tobytes() for array in seen)):08x})",
                  "the program": f"of checksum {zlib.crc32(code):08x}"}


def expect_memory(network, batch_size):
    """Raise UserError if a GPU lacks the memory for a training step. (The weights and velocities are already in it.)"""
    needs = {}
    for device, ledger in zip(network.devices, network.memory(batch_size)):
        needs[device.name] = needs.get(device.name, 0) + sum(ledger.values()) - ledger["weights"] - ledger["velocities"]
    for device in network.devices:
        if device.memory():
            free, total = (size / 2**20 for size in device.memory())
            need = needs[device.name] / 2**20
            expect(need <= free, f"{device.name} has {free:,.0f} MiB free of {total:,.0f}, and a step of {batch_size} "
                                 f"images needs about {need:,.0f} MiB more: choose a smaller --batch-size")


def learning_rate(options, rows, epochs):
    """ε of the next epoch after those in the log `rows`, or None when it is time to stop."""
    lr = options.lr * scaling(options)
    if options.schedule == "plateau":
        return plateau(lr, [row["val_top1"] for row in rows], patience=options.patience)
    drops = options.drop_at or [round(0.6 * epochs), round(0.87 * epochs)]
    return steps(lr, len(rows), drops if options.schedule == "steps" else ())


def scaling(options):
    """The factor of ε for the size of the batch (Goyal et al. 2017): 1 without --lr-batch."""
    return options.batch_size / options.lr_batch if options.lr_batch else 1


def error_rates(network, split, batch_size, views, ranks):
    """[loss, top-1 error, top-5 error] of a split, with the softmax averaged over the views of every image (§ 4.1).

    views: a function of images (n, H, W, C) that returns a list of views, (n, side, side, C) each. Processes share the
    images and add up their counts.
    """
    totals, own = np.zeros(3), ranks.part(len(split.labels))
    for start in own[::batch_size]:
        part = slice(start, min(start + batch_size, own.stop))
        labels = split.labels[part]
        predictions = [network.predict(view) for view in views(split.images[part])]
        if predictions[0] is None:                              # the other tower, in another process, has them
            continue
        p = np.mean(predictions, axis=0)                                            # (n, classes)
        loss = -np.log(np.maximum(p[np.arange(len(p)), labels], 1e-30)).sum()
        totals += loss, top_errors(p, labels, 1), top_errors(p, labels, 5)
    return [float(total) for total in ranks.total(totals) / len(split.labels)]


def how_it_is_used(options, pictures, side):
    """What best.npz stores besides the weights and the mean image: see Trained in results/trained.py."""
    return dict(model=options.model, options=given(options, ALTERNATIVES), classes=pictures.classes,
                size=pictures.train.images.shape[1], side=side, scale=options.scale, source=options.data,
                seed=options.seed, holdout=options.holdout)


@contextmanager
def stop_signals():
    """→ a list that takes the number of the first SIGINT (Ctrl-C) or SIGTERM. The handlers
    from before are then back, so a second signal acts as usual. In a thread, where Python allows no signal handlers, the
    list stays empty."""
    stop, before = [], {}

    def restore():
        while before:
            number, handler = before.popitem()
            signal.signal(number, signal.SIG_DFL if handler is None else handler)   # None: not set from Python

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, lambda number, frame: (stop.append(number), restore()))
    try:
        yield stop
    finally:
        restore()


def main(arguments=None):
    """Train with a list of command-line arguments (default: the program's own) → the exit status: 0, 1 after an error,
    130 after Ctrl-C."""
    ranks = None
    try:
        ranks = launch.start()
        with ranks.quiet():
            options, resume = read_options(arguments, __doc__)
        ranks.limit = options.wait
        return train(options, resume, ranks)
    except (UserError, data.DataError, CheckpointError, OSError, ValueError) as error:
        sentence = f"train.py: {error}"
    except MemoryError as error:
        sentence = f"train.py: out of memory ({error}): choose a smaller --batch-size"
    except KeyboardInterrupt:
        sentence = "train.py: stopped"
    if ranks:
        ranks.fail(sentence)                                    # ends all, if there are others
    print(sentence, file=sys.stderr)
    return 130 if sentence == "train.py: stopped" else 1


if __name__ == "__main__":
    sys.exit(main())
