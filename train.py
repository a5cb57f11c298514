"""Train AlexNet (paper § 5).

    python train.py                                     the small net on the images that come with the project
    python train.py --model alexnet --data FOLDER       the paper's net on FOLDER/train/CLASS/*, FOLDER/val/CLASS/*
    python train.py --recipe 2012 --data FOLDER         the same as the authors' program had it; or paper, or caffe
    python train.py --weights FILE --data FOLDER        fine-tune: start from a run's or from published weights
    python train.py --resume runs/small-fashion-mnist   continue an interrupted run, to the same bits
    mpiexec -n 4 python train.py …                      the same run shared by four processes (nn/run/ranks.py)

A run leaves a folder runs/NAME: config.json (every option with its value), log.csv (a row per epoch),
checkpoint.npz (the state to resume from), best.npz (the weights with the lowest validation error), curves.png,
filters.png (Figure 3), results.json (the test error, computed once, at the end) and, if any image is broken,
bad_images.txt; with --weights, start.npz (what is used of them later). Ctrl-C finishes the step, writes the checkpoint and prints how to continue.

From Python: train.main(["--epochs", "2"]).
"""

import sys

if sys.version_info < (3, 11):
    sys.exit("train.py needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": run it with a newer one")

import time
from contextlib import closing

import numpy as np

import data
from nn import SGD, CheckpointError, Profile, feed, plateau, steps, top_errors, warm_up
from nn.run import launch
from results.figures import draw_curves, draw_filters
from training.errors import UserError, expect, in_words
from training.meter import Meter
from training.options import IMAGES, read_options
from training.run import COLUMNS, Run, identity_of, new_folder
from training.signals import stop_signals
from training.start import build, expect_memory, how_used, keep_what_fits, start_from, what_must_agree, write_start
from training.terminal import any_terminal


def train(options, resume=None, ranks=None):
    """Train until all epochs are done, the schedule ends or a signal comes → the exit status.

    options: as read_options returns them; resume: the folder of the run to continue; ranks: this process among others.
    """
    ranks = ranks or launch.One()
    start, trained = start_from(options, resume)
    expect(start or options.mean != "weights", "--mean weights needs --weights FILE")
    channels = start.channels if start else 3 if options.model == "alexnet" else None
    pictures = data.load(options.data, options.size, channels, options.seed, options.holdout, options.lazy)
    size = min(pictures.train.images.shape[1:3])
    side = options.view or data.view_side(size)
    expect(side <= size, f"--view must be at most the images' side, {size}, got {side}")
    expect(options.cutout < side, f"--cutout must be less than the views' side, {side}, got {options.cutout}: nothing would be left")
    mean = start.mean if options.mean == "weights" else data.mean_image(pictures.train.images, options.mean, side)
    expect(len(mean) in (size, side), f"--mean weights is of {len(mean)} pixels a side, found images of {size}: use --size {len(mean)}, or "
                                      "another --mean")
    colour = data.colour_noise(pictures.train.images, options.colour, options.colour_factor) if options.colour else None
    if ranks.size > 1:
        ranks.compare(what_must_agree(options, pictures, mean))
    network = build(options, pictures, side, ranks, start)
    kept = keep_what_fits(network, trained, pictures.classes) if trained else None
    ranks.take(network, options.model_parallel)
    expect_memory(network, -(-options.batch_size // ranks.replicas))
    sgd = SGD(network, options.momentum, options.weight_decay, options.bias_decay, options.bias_rate,
              options.rate_inside)

    count = len(pictures.train.labels)
    expect(min(count, options.batch_size) >= ranks.replicas, f"a batch of {min(count, options.batch_size)} images is not enough for "
           f"{ranks.replicas} processes: choose a larger --batch-size, or fewer processes")
    epochs = options.epochs or max(1, round(IMAGES / count))
    per_epoch = count // options.batch_size * options.batch_size or count           # images; a last part is left out
    run = Run(resume or ranks.once(new_folder, options), network, sgd, identity_of(pictures), pictures.bad, ranks)
    run.write_config(options, side)
    if trained:                                             # from here on, the run needs the file of --weights no more
        if ranks.first:
            write_start(start, run.folder)
        run.save(options.lr)
    print(f"{options.model} net, {pictures.name}: {count:,} to train, {len(pictures.validation.labels):,} to validate, "
          f"{len(pictures.test.labels):,} to test; broken and left out: {len(pictures.bad)}. {run.folder}/")
    for line in [kept] * bool(kept) + [f"passed over: {files}" for files in pictures.passed]:
        print(line)

    def batches():
        """The rest of the current epoch."""
        until = options.colour_until
        noise = colour if until is None or len(run.rows) < until else None
        shrink = 1 + options.colour if noise is not None and options.augment and options.colour_shrink else 1
        return feed(data.batches(pictures.train, options.batch_size, side, mean, options.seed, len(run.rows), run.batch,
                                 np.divide(options.scale, shrink), options.augment, noise, options.cutout, options.workers,
                                 options.images_per_crop, (ranks.replica, ranks.replicas)), network.devices)

    def one_view(images):
        return [data.central_views(images, side, mean, options.scale)]

    def ten_views(images):
        return data.ten_views(images, side, mean, options.scale)

    warm = run.step + 3
    with stop_signals() as stop:
        while len(run.rows) < epochs and (lr := learning_rate(options, run.rows, epochs)) is not None:
            epoch = len(run.rows) + 1
            frozen = options.freeze or () if len(run.rows) >= options.freeze_from else ()
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
                        sgd.step(gradients, warm_up(lr, done, options.warm_up, scaling(options)), frozen)
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
            run.end_epoch(row, how_used(options, pictures, side, start), mean)

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


def main(arguments=None):
    """Train with a list of command-line arguments (default: the program's own) → the exit status: 0, 1 after an error,
    130 after Ctrl-C."""
    with any_terminal():
        return guarded(arguments)


def guarded(arguments):
    """The exit status of a command line; an error that a user can fix is a sentence on standard error."""
    ranks = None
    try:
        ranks = launch.start()
        with ranks.quiet():
            options, resume = read_options(arguments, __doc__)
        ranks.limit = options.wait
        return train(options, resume, ranks)
    except (UserError, data.DataError, CheckpointError, OSError, ValueError) as error:
        sentence = f"train.py: {in_words(error)}"
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
