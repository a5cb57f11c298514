"""Caffe's .caffemodel: bvlc_alexnet and CaffeNet, also fine-tuned to other classes under other names."""

from pathlib import Path
from typing import NamedTuple

from interop.blobs import blob
from interop.formats import printable
from interop.protobuf import message, text
from interop.published import BVLC, CAFFENET, make
from nn import CheckpointError

FORMAT = "Caffe"

# Fields of caffe.proto: NetParameter's layers, new and old; a layer's name, type and blobs.
LAYER, OLD_LAYER = 100, 2
NAME, TYPE, BLOBS = {LAYER: 1, OLD_LAYER: 4}, {LAYER: 2, OLD_LAYER: 5}, {LAYER: 7, OLD_LAYER: 6}
OLD_TYPES = {4: "Convolution", 14: "InnerProduct", 15: "LRN", 17: "Pooling"}         # those that are asked for here
NAMES = ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]


class Layer(NamedTuple):
    name: str
    type: str               # "" where the file does not tell
    blobs: list             # of arrays


def read(path):
    """[Layer, …] in the order of the file."""
    net = message(Path(path).read_bytes())
    return [layer(message(data), kind) for kind in (LAYER, OLD_LAYER) for data in net.get(kind, [])]


def layer(fields, kind):
    type = fields.get(TYPE[kind], [""])[-1]
    type = OLD_TYPES.get(type, "") if isinstance(type, int) else bytes(type).decode() if type else ""
    return Layer(text(fields.get(NAME[kind])), type, [blob(message(data)) for data in fields.get(BLOBS[kind], [])])


def pools_first(layers):
    """Whether a net pools before it normalises, as CaffeNet does."""
    order = [layer.type or layer.name for layer in layers]
    norms, pools = ([i for i, kind in enumerate(order) if kind in kinds] for kinds in (("LRN", "norm1"), ("Pooling", "pool1")))
    return bool(norms and pools) and pools[0] < norms[0]


def load(path, threads=None, devices=None):
    """The Trained in a .caffemodel of bvlc_alexnet or CaffeNet, or of a net fine-tuned from one, whose last layer usually has
    another name. The two have the same weights; the order of their layers tells them apart. Raises CheckpointError for another net, ValueError for damage."""
    layers = read(path)
    own = [layer for layer in layers if layer.blobs]
    if len(own) != len(NAMES):
        found = ", ".join(printable(layer.name, 40) for layer in own[:12]) or "none"
        raise CheckpointError(f"{path} is not an AlexNet: found the layers with weights {found}, expected five convolutions and "
                              "three InnerProducts; use another file")
    tensors = {}
    for name, layer in zip(NAMES, own):
        for key, array in zip(("weight", "bias"), layer.blobs):
            while array.ndim > (1 if key == "bias" else 2 if name.startswith("fc") else 4) and array.shape[0] == 1:
                array = array[0]
            tensors[f"{name}.{key}"] = array
    return make(path, CAFFENET if pools_first(layers) else BVLC, tensors, threads, devices)
