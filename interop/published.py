"""The published AlexNets: the net's options and its preprocessing, for each.

All were trained on ILSVRC-2012 with 1000 classes in the order of their wnids; nets fine-tuned from them have other classes, and
the same options and preprocessing. None equals the paper's net in every detail.
"""

from typing import NamedTuple

import numpy as np

import data
from interop.layout import channels_last
from nn import CheckpointError
from results.trained import rebuild


class Published(NamedTuple):
    options: dict       # of AlexNet
    side: int           # of the views; the images are 256
    mean: tuple         # R, G, B
    scale: tuple        # R, G, B
    bgr: bool           # whether its images' channels are blue, green, red
    name: str           # as its publisher calls it


# Caffe's bvlc_alexnet (top-1/top-5 accuracy of the central view on the validation set 57.1/80.2 %): windows of LRN cross
# the groups, its α = 1e-4 is divided by the window's 5 maps, k is 1, dropout is inverted. 227 pixels fit conv1 exactly.
# Mean: that of Caffe's mean image over its pixels, as its classification example uses.
# Differs: Caffe scaled images to 256×256 whatever their shape; data.prepare cuts the central square (§ 2).
BVLC = Published(dict(towers=1, lrn_alpha=1e-4 / 5, lrn_k=1.0, lrn_across=True, inverted_dropout=True, stem=(11, 4, 0)),
                 227, (122.679, 116.669, 104.007), (1.0, 1.0, 1.0), bgr=True,
                 name="bvlc_alexnet")

# Its copy in the ONNX Model Zoo takes 224 pixels, without padding: maps of 54, 26 and 12, and a last pooling that reaches
# beyond the edge, so that 6 come out. (Accuracy as the zoo states it: 54.8/78.2 %.)
BVLC_ONNX = BVLC._replace(options=BVLC.options | dict(pool_ceil=("pool5",)), side=224,
                          name="the ONNX Model Zoo's bvlc_alexnet")

# Caffe's bvlc_reference_caffenet: the same layers, pooled before they are normalised.
CAFFENET = BVLC._replace(options=BVLC.options | dict(first_stages="conv relu pool norm"), name="bvlc_reference_caffenet")

# torchvision's alexnet (56.5/79.1 %) is that of "One weird trick for parallelizing convolutional neural networks"
# (Krizhevsky 2014): other widths, no groups, no LRN, two pixels of padding around the image. Dropout is before fc6
# and fc7 instead of after, which makes no difference to predictions. Its pixels go from 0 to 1.
TORCHVISION = Published(
    dict(towers=1, groups=1, kernels=(64, 192, 384, 256, 256), lrn=False, inverted_dropout=True, stem=(11, 4, 2)),
    224, (255 * 0.485, 255 * 0.456, 255 * 0.406), (1 / (255 * 0.229), 1 / (255 * 0.224), 1 / (255 * 0.225)), bgr=False,
    name="torchvision's alexnet")


CLASSES = 1 << 15         # more are not read: a damaged file


def names(count):
    """The names of `count` classes, as far as a file of weights tells them: ImageNet's wnids if there are 1000, else "0",
    "1" …"""
    return list(data.imagenet_classes()) if count == 1000 else [str(i) for i in range(count)]


def make(path, published, tensors, threads=None, devices=None):
    """The Trained of a published net, or of one fine-tuned from it to other classes, and its tensors {"conv1.weight": …,
    "conv1.bias": …} (layout.py). The last layer's bias gives the number of classes.

    Raises CheckpointError that names what does not fit."""
    bias = tensors.get("fc8.bias")
    count = len(bias) if bias is not None and bias.ndim == 1 else 1000
    if not 1 <= count <= CLASSES:
        raise CheckpointError(f"{path} has {count} classes, expected 1 to {CLASSES}; use another file")

    def convert(network, tensors):
        weights = channels_last(network, tensors)
        if published.bgr:                                   # from here on it takes red, green, blue
            weights["conv1.W"] = weights["conv1.W"][:, :, ::-1]
        return weights

    facts = dict(model="alexnet", options=published.options, classes=names(count), side=published.side,
                 scale=list(published.scale), source=None, seed=0)
    mean = np.broadcast_to(np.float32(published.mean), (256, 256, 3))
    return rebuild(path, facts, tensors, mean, threads, devices, convert)
