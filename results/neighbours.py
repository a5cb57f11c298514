"""The training images nearest to an image, by features and by pixels (Figure 4, right)."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from tqdm import tqdm

from nn.checkpoint import replace
from results import figures
from results.classify import examples
from results.errors import images_for
from results.trained import title

NEAREST = 6             # neighbours shown, as in the paper


def neighbours(net, options, out):
    """evaluate.py neighbours: print the neighbours' classes and draw neighbours.png in `out` → the exit status."""
    names, queries, _, truths, broken = examples(net, options)
    pictures, train = images_for(net, options.data, "train")
    out.mkdir(parents=True, exist_ok=True)
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


def feature_index(net, split, out, size):
    """(N, F) float32, memory-mapped: the features of a split's images, computed `size` images at a time.

    Written to `out` once, and reused while the net and the images are the same: the file's name has a hash of the weights,
    the mean, the labels and a thousand of the images.
    """
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
        del index                                           # Windows renames no file that is mapped
        replace(unfinished, path)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def nearest(queries, rows, count, size=1024):
    """(distances, numbers), (Q, count) each: the rows (N, F) nearest to each of the queries (Q, F), nearest first.

    Euclidean distance. It is computed from differences: from products, small distances are lost to rounding. `size` rows
    at a time.
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
