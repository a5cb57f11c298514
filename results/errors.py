"""Error rates, as § 6 of the paper counts them, of one net or of an ensemble.

An image is a top-k error if its label is not among the k classes with the largest probabilities. Ties count as errors: if
other classes have the same probability as the label, all of them are placed before it. So a net that gives all classes the
same probability counts as wrong on every image. Probabilities that are not numbers are errors, too.

One view is the central one. Ten views are the four corners, the centre and their mirror images; their probabilities are
averaged after the softmax (§ 4.1). An ensemble averages the probabilities of its members, after the softmax, each from its
own views of the image.
"""

import json

import numpy as np
from tqdm import tqdm

import data
from nn.checkpoint import write_text
from results import figures
from results.trained import load, title
from training.errors import expect


def ranks(p, labels):
    """(N,): the rank of the label among the classes by probability p (N, classes): 1 is first. Classes with the label's own
    probability rank before it, and a label whose probability is NaN ranks last."""
    own = p[np.arange(len(p)), labels]
    return p.shape[1] - (p < own[:, None]).sum(1)


def rates(p, labels):
    """dict(top1, top5, loss): the error rates and the mean cross-entropy of probabilities p (N, classes)."""
    rank = ranks(p, labels)
    own = p[np.arange(len(p)), labels]
    return dict(top1=float(np.mean(rank > 1)), top5=float(np.mean(rank > 5)),
                loss=float(-np.log(np.maximum(own, 1e-30), dtype=np.float64).mean()))


def taken_for(p, labels):
    """(N,): the class that each image is taken for: its label if that is no error, else the likeliest of the others."""
    others = p.copy()
    others[np.arange(len(p)), labels] = -1
    return np.where(ranks(p, labels) == 1, labels, np.argmax(others, 1))


def images_for(net, source, split):
    """(data.Data, its split "test", "validation" or "train"), prepared for a net. source: as data.load takes it; None: what
    the net was trained on."""
    source = source or net.source
    expect(source, f"{net.name} does not say what it was trained on: name images with --data")
    pictures = data.load(source, net.size, net.channels, net.seed, net.holdout, parts=(split,))
    return pictures, getattr(pictures, split)


def matching(net, pictures):
    """(classes of the data,): the number of each class among the net's outputs, by name, in any order.

    By number if the net's classes have no names but 0, 1, 2 …, and there are as many of them. Raises UserError if the net
    lacks a class.
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


def errors(options, out):
    """evaluate.py errors: print the table and the worst classes, write results.json and confusions.png to `out`."""
    members, total, first = [], {}, None
    for path in options.weights:
        net = load(path, options.threads, options.device, options.classes, options.mean)
        pictures, split = images_for(net, options.data, options.split)
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
    out.mkdir(parents=True, exist_ok=True)
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
    """(error rates of each class that occurs, worst first; the 20 most frequent confusions), for results.json."""
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
    """results.json as text, laid out like the paper's Table 2."""
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
