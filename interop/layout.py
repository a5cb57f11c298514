"""Weights in the layout of Caffe, PyTorch and ONNX: channels first, kernels before channels.

    here                                    there
    conv  W (R, S, C/G, K)                  weight (K, C/G, R, S)
    fc    W (inputs, F)                     weight (F, inputs)
    the first fc, whose inputs are maps     inputs counted map by map, (C, P, Q); here position by position, (P, Q, C)
"""

import numpy as np

from nn import Flatten, Linear


def maps_into_features(network):
    """(name of the first fully connected layer, the shape (P, Q, C) of the maps that it sees)."""
    shape = network.shape
    for name, layer in network.towers[0].items():
        if isinstance(layer, Flatten):
            maps = shape
        if isinstance(layer, Linear):
            return name, maps
        shape = layer.output_shape(shape)


def whole_shapes(network):
    """{"conv1.W": shape, …} of all towers joined."""
    return {name: (*array.shape[:-1], array.shape[-1] * sum(name in own for own in network.parameters))
            for name, array in network.parameters[0].items()}


def there(name):
    """conv1.W → conv1.weight"""
    layer, key = name.split(".")
    return f"{layer}.{'weight' if key == 'W' else 'bias'}"


def channels_first(network):
    """{"conv1.weight": array, "conv1.bias": …}: the weights of a network as other programs have them."""
    first, (P, Q, C) = maps_into_features(network)
    tensors = {}
    for name, array in network.weights().items():
        if name == f"{first}.W":
            array = array.reshape(P, Q, C, -1).transpose(2, 0, 1, 3).reshape(len(array), -1)
        order = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[array.ndim]
        tensors[there(name)] = np.ascontiguousarray(array.transpose(order))
    return tensors


def channels_last(network, tensors):
    """The inverse: weights for network.load_weights. Raises ValueError that names each tensor which does not fit."""
    shapes, misfits, weights = whole_shapes(network), [], {}
    for name, shape in shapes.items():
        order = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[len(shape)]
        expected, array = tuple(shape[i] for i in order), tensors.get(there(name))
        if array is None:
            misfits.append(f"{there(name)} is missing")
        elif array.shape != expected:
            misfits.append(f"{there(name)} is {array.shape}, expected {expected}")
        elif array.dtype.kind != "f":
            misfits.append(f"{there(name)} is of {array.dtype}, expected floating-point numbers")
        else:
            weights[name] = array.transpose(np.argsort(order))
    misfits += [f"{name} is unknown" for name in tensors.keys() - {there(name) for name in shapes}]
    if misfits:
        more = f" and {len(misfits) - 8} more" if len(misfits) > 8 else ""
        raise ValueError(f"{'; '.join(sorted(misfits)[:8])}{more}")
    first, (P, Q, C) = maps_into_features(network)
    W = weights[f"{first}.W"]
    weights[f"{first}.W"] = W.reshape(C, P, Q, -1).transpose(1, 2, 0, 3).reshape(W.shape)
    return weights
