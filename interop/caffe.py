"""Caffe's .caffemodel: bvlc_alexnet and CaffeNet, also fine-tuned to other classes under other names."""

from pathlib import Path
from typing import NamedTuple

from interop.blobs import blob
from interop.formats import printable
from interop.protobuf import integers, message, numbers, text
from interop.published import BVLC, CAFFENET, make
from nn import CheckpointError

FORMAT = "Caffe"

# Fields of caffe.proto: NetParameter's layers, new and old; a layer's name, type and blobs.
LAYER, OLD_LAYER = 100, 2
NAME, TYPE, BLOBS = {LAYER: 1, OLD_LAYER: 4}, {LAYER: 2, OLD_LAYER: 5}, {LAYER: 7, OLD_LAYER: 6}
OLD_TYPES = {4: "Convolution", 14: "InnerProduct", 15: "LRN", 17: "Pooling"}         # those that are asked for here
NAMES = ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]

# A layer's settings: the field of their message, and there a setting's fields (one for both directions, or one for each)
# and its default.
SETTINGS = {LAYER: dict(Convolution=106, LRN=118, Pooling=121), OLD_LAYER: dict(Convolution=10, LRN=18, Pooling=19)}
WHOLE = dict(Convolution=dict(pad=([3, 9, 10], 0), group=([5], 1), stride=([6, 13, 14], 1), dilation=([18], 1)),
             LRN=dict(local_size=([1], 5), norm_region=([4], 0)),
             Pooling=dict(pool=([1], 0), kernel_size=([2, 5, 6], 0), stride=([3, 7, 8], 1), pad=([4, 9, 10], 0)))
REAL = dict(LRN=dict(alpha=(2, 1.0), beta=(3, 0.75), k=(5, 1.0)))

# Those of bvlc_alexnet and of CaffeNet: the layers of a type in their order, as far as they differ from the defaults.
NORM, POOL = dict(alpha=1e-4), dict(kernel_size=3, stride=2)
OURS = dict(Convolution=[dict(stride=4), dict(pad=2, group=2), dict(pad=1), dict(pad=1, group=2), dict(pad=1, group=2)],
            LRN=[NORM, NORM], Pooling=[POOL, POOL, POOL])


class Layer(NamedTuple):
    name: str
    type: str               # "" where the file does not tell
    blobs: list             # of arrays
    settings: dict          # {name: the values in the file, of one or both directions}; {} where it has none


def read(path):
    """[Layer, …] in the order of the file."""
    net = message(Path(path).read_bytes())
    return [layer(message(data), kind) for kind in (LAYER, OLD_LAYER) for data in net.get(kind, [])]


def layer(fields, kind):
    type = fields.get(TYPE[kind], [""])[-1]
    type = OLD_TYPES.get(type, "") if isinstance(type, int) else bytes(type).decode() if type else ""
    given = fields.get(SETTINGS[kind].get(type))
    return Layer(text(fields.get(NAME[kind])), type, [blob(message(data)) for data in fields.get(BLOBS[kind], [])],
                 settings(type, message(given[-1])) if given else {})


def settings(type, fields):
    found = {name: sorted({value for number in own for value in integers(fields.get(number))}) or [default]
             for name, (own, default) in WHOLE[type].items()}
    return found | {name: [round(float(numbers(fields[number], "<f4")[-1]), 9)] if number in fields else [default]
                    for name, (number, default) in REAL.get(type, {}).items()}


def expect_settings(path, layers):
    """Raise CheckpointError where a layer's settings in the file are not those of OURS: the same weights would be another net."""
    for type, ours in OURS.items():
        for layer, wanted in zip([layer for layer in layers if layer.type == type], ours):
            for name, values in layer.settings.items():
                default = (WHOLE[type] | REAL.get(type, {}))[name][1]
                if values != [wanted.get(name, default)]:
                    raise CheckpointError(f"{path}: {printable(layer.name, 40)} has {name} {' and '.join(f'{v:g}' for v in values)}, "
                                          f"expected {wanted.get(name, default):g}, as in bvlc_alexnet and CaffeNet; use another file")


def pools_first(layers):
    """Whether a net pools before it normalises, as CaffeNet does."""
    order = [layer.type or layer.name for layer in layers]
    norms, pools = ([i for i, kind in enumerate(order) if kind in kinds] for kinds in (("LRN", "norm1"), ("Pooling", "pool1")))
    return bool(norms and pools) and pools[0] < norms[0]


def load(path, threads=None, devices=None):
    """The Trained in a .caffemodel of bvlc_alexnet or CaffeNet, or of a net fine-tuned from one, whose last layer usually has
    another name. The two have the same weights; the order of their layers tells them apart. Raises CheckpointError for
    another net, also if only a stride or the like differs; ValueError for damage."""
    layers = read(path)
    own = [layer for layer in layers if layer.blobs]
    if len(own) != len(NAMES):
        found = ", ".join(printable(layer.name, 40) for layer in own[:12]) or "none"
        raise CheckpointError(f"{path} is not an AlexNet: found the layers with weights {found}, expected five convolutions and "
                              "three InnerProducts; use another file")
    expect_settings(path, layers)
    tensors = {}
    for name, layer in zip(NAMES, own):
        for key, array in zip(("weight", "bias"), layer.blobs):
            while array.ndim > (1 if key == "bias" else 2 if name.startswith("fc") else 4) and array.shape[0] == 1:
                array = array[0]
            tensors[f"{name}.{key}"] = array
    return make(path, CAFFENET if pools_first(layers) else BVLC, tensors, threads, devices)
