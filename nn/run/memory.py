"""The GPU memory that a training step needs."""

import math

import numpy as np

from nn.fast.cuda import COLUMNS, most_columns


def ledger(network, count):
    """Bytes that training on batches of `count` images takes in each tower, on a GPU: a list of {what: bytes}.

    "kept for backward" is measured with one image. "at work" is for the layer that computes: the largest
    columns of nn/fast/cuda.py, and three times the largest map (its input, its output, and one more). "batches" are the
    two that are being copied to the device (nn/run/feed.py). (2 to 20 % more than was used on emulated devices.)
    """
    _, passes = network.forward(np.zeros((1, *network.shape), network.towers[0]["conv1"].params["W"].dtype))
    columns, shape = 0, network.shape
    for layer in network.towers[0].values():
        columns, shape = max(columns, most_columns(layer, shape)), layer.output_shape(shape)
    entries = []
    for t, own in enumerate(network.parameters):
        if not own:                     # another process has this tower
            entries.append({"weights": 0, "velocities": 0})
            continue
        weights = sum(array.nbytes for array in own.values())
        kept = arrays_in([job.caches for one in passes for job in one.jobs if job.tower == t])
        item = next(iter(own.values())).itemsize
        image = math.prod(network.shape) * item
        largest = max(stage.largest for stage in network.stages) * item
        entries.append({"weights": weights, "velocities": weights, "gradients": weights,
                        "kept for backward": count * (sum(kept.values()) - image),
                        "at work": min(COLUMNS, count * columns * item) + 3 * count * largest,
                        "batches": 2 * count * image})
    return entries


def arrays_in(thing):
    """{identity: bytes} of the arrays in nested lists and tuples, each once."""
    if hasattr(thing, "nbytes"):
        return {id(thing): thing.nbytes}
    return {k: v for part in thing for k, v in arrays_in(part).items()} if isinstance(thing, (list, tuple)) else {}
