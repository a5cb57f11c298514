"""Initial values (paper § 5, and what the 2012 code did)."""

import numpy as np

from nn.random import generator

STD = {"paper": {}, "2012": {"conv3": 0.03, "conv4": 0.03, "conv5": 0.03}, "caffe": {"fc6": 0.005, "fc7": 0.005}}
# other layers: 0.01


def initialise(network, kind="2012", seed=0, one=("conv2", "conv4", "conv5", "fc6", "fc7"), bias=1.0):
    """Draw all weights from a normal distribution of mean 0; set the biases.

    kind: "paper": standard deviation 0.01 everywhere. "2012": what the authors' code used, the same but 0.03 in
        conv3, conv4 and conv5.
        Differs from the paper: "2012" is the default, since with the printed values the full net's loss stayed at
        ln(classes) (a probe on 5,000 photographs in ten classes, ε = 0.01, four epochs, one seed).
        "caffe": 0.01, but 0.005 in fc6 and fc7, as in Caffe's bvlc_alexnet.
        "he": √(2 / inputs), He et al. 2015, three years after the paper: keeps the size of activations in any net
        of ReLUs, whatever its depth and width.
    one: layers whose biases start at `bias` (1 in the paper, § 5: ReLUs begin in their linear part; 0.1 in Caffe);
        all others start at 0.

    Every layer's draw depends on (seed, its name) alone and is made for the whole layer: nets with one and two towers
    start alike. Raises ValueError for an unknown kind.
    """
    if kind != "he" and kind not in STD:
        raise ValueError(f"init must be 'paper', '2012', 'caffe' or 'he', got {kind!r}")
    weights = network.weights()
    for name, array in weights.items():
        layer, key = name.split(".")
        if key == "W":
            std = np.sqrt(2 / np.prod(array.shape[:-1])) if kind == "he" else STD[kind].get(layer, 0.01)
            array[...] = generator("init", seed, layer).standard_normal(array.shape, np.float32) * np.float32(std)
        else:
            array[...] = bias if layer in one else 0
    network.load_weights(weights)
