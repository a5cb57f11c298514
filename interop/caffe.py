"""Caffe's .caffemodel: bvlc_alexnet."""

from pathlib import Path

from interop.protobuf import integers, message, numbers, text
from interop.published import BVLC, make
from nn import CheckpointError

# Fields of caffe.proto: NetParameter's layers, new and old; a layer's name and blobs; the rest are a BlobProto's.
LAYER, OLD_LAYER = 100, 2
NAME, BLOBS = {LAYER: 1, OLD_LAYER: 4}, {LAYER: 7, OLD_LAYER: 6}
SHAPE, DIM, DATA, DOUBLES = 7, 1, 5, 8
OLD_SHAPE = (1, 2, 3, 4)                                # num, channels, height, width


def read(path):
    """[(layer's name, [array, …])] in the order of the file."""
    net = message(Path(path).read_bytes())
    layers = []
    for kind in (LAYER, OLD_LAYER):
        for data in net.get(kind, []):
            layer = message(data)
            layers.append((text(layer.get(NAME[kind])), [blob(message(data)) for data in layer.get(BLOBS[kind], [])]))
    return layers


def blob(fields):
    values = numbers(fields[DATA], "<f4") if DATA in fields else numbers(fields.get(DOUBLES, []), "<f8")
    if SHAPE in fields:
        shape = integers(message(fields[SHAPE][-1]).get(DIM, []))
    else:                                               # always four numbers: a matrix has two leading ones
        shape = [fields.get(number, [0])[-1] for number in OLD_SHAPE]
    if min(shape, default=1) < 0:
        raise ValueError(f"a blob of shape {shape}")
    return values.reshape(shape)


def load(path, threads=None, devices=None):
    """The Trained in a .caffemodel of bvlc_alexnet. Raises CheckpointError for another net, ValueError for damage."""
    layers = read(path)
    names = [name for name, _ in layers]
    if "norm1" in names and "pool1" in names and names.index("pool1") < names.index("norm1"):
        raise CheckpointError(f"{path} is CaffeNet, which pools before it normalises: expected bvlc_alexnet, whose "
                              "weights have the same shapes; use that")
    tensors = {}
    for name, blobs in layers:
        for key, array in zip(("weight", "bias"), blobs):
            while array.ndim > (1 if key == "bias" else 2 if name.startswith("fc") else 4) and array.shape[0] == 1:
                array = array[0]
            tensors[f"{name}.{key}"] = array
    return make(path, BVLC, tensors, threads, devices)
