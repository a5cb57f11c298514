"""ONNX: the published AlexNets in, any net of this program out.

`node` gives a layer's ONNX operator and attributes. Writing creates these nodes; reading compares with them a file's nodes, as a
chain (onnx_graph.py), one by one: a graph that differs in a single number is another net and is refused.
"""

import json

import numpy as np

from alexnet import AlexNet
from interop.formats import printable
from interop.layout import channels_first, channels_last, there
from interop.onnx_file import read
from interop.onnx_graph import Chain, Step
from interop.published import BVLC, BVLC_ONNX, TORCHVISION, make
from nn import CheckpointError, Conv2d, Dropout, Exchange, Flatten, Linear, LocalResponseNorm, MaxPool2d, ReLU, Tanh
from nn.checkpoint import write_atomically
from results.trained import rebuild

FORMAT = "ONNX"
OPSET, IR_VERSION = 13, 8


def node(layer, shape):
    """(operator, attributes) of a layer that sees maps of `shape`; None where ONNX needs none."""
    if isinstance(layer, Conv2d):
        return "Conv", dict(kernel_shape=[layer.size] * 2, strides=[layer.stride] * 2, group=layer.groups,
                            pads=[layer.before] * 2 + [layer.after] * 2)
    if isinstance(layer, ReLU):
        return "Relu", {}
    if isinstance(layer, Tanh):
        return "Tanh", {}
    if isinstance(layer, LocalResponseNorm):                # ONNX divides its alpha by the size
        return "LRN", dict(size=layer.size, alpha=layer.alpha * layer.size, beta=layer.beta, bias=layer.k)
    if isinstance(layer, MaxPool2d):
        beyond = [(windows - 1) * layer.stride + layer.size - length
                  for windows, length in zip(layer.output_shape(shape), shape[:2])]
        return "MaxPool", dict(kernel_shape=[layer.size] * 2, strides=[layer.stride] * 2,
                               pads=[0, 0, *(max(0, pixels) for pixels in beyond)])
    if isinstance(layer, Flatten):
        return "Flatten", {}
    if isinstance(layer, Linear):
        return "Gemm", dict(transB=1)
    if isinstance(layer, Dropout):
        return "Dropout", {}
    if isinstance(layer, Exchange):
        return None
    raise ValueError(f"{layer} has no counterpart in ONNX")


# In ------------------------------------------------------------------------------------------------------------------

# What an attribute that is not there means.
DEFAULTS = {"Conv": dict(group=1, pads=[0] * 4, strides=[1] * 2, dilations=[1] * 2, auto_pad="NOTSET"),
            "MaxPool": dict(pads=[0] * 4, strides=[1] * 2, dilations=[1] * 2, auto_pad="NOTSET", ceil_mode=0,
                            storage_order=0),
            "LRN": dict(alpha=1e-4, beta=0.75, bias=1.0), "Gemm": dict(alpha=1.0, beta=1.0, transA=0, transB=0)}
LEGACY = {"broadcast", "consumed_inputs"}                   # of opset 6 and before; no number of a prediction follows from them
NAMES = [f"conv{i}" for i in range(1, 6)] + ["fc6", "fc7", "fc8"]


def load(path, threads=None, devices=None):
    """The Trained in a file of `export`'s, or in one with a published net: Caffe's or torchvision's, by any exporter. Raises
    CheckpointError that names what does not fit, ValueError for damage."""
    graph = read(path)
    if "alexnet" in graph.metadata:
        mean = graph.tensors.pop("mean").transpose(1, 2, 0)     # (C, size, size) there
        own = {name: array for name, array in graph.tensors.items() if name.endswith((".weight", ".bias"))}
        return rebuild(path, json.loads(graph.metadata["alexnet"]), own, mean, threads, devices, channels_last)
    chain = Chain(graph)
    published = fitting(path, chain.steps, graph.shapes.get(chain.input, []))
    layers = [step.weights for step in chain.steps if step.operator in ("Conv", "Gemm")]
    tensors = {f"{name}.{key}": array for name, arrays in zip(NAMES, layers) for key, array in zip(("weight", "bias"), arrays)}
    return make(path, published, tensors, threads, devices)


def fitting(path, steps, images):
    """The published net whose layers are the steps. images: the shape that the file gives them, 0 where it is open. Raises
    CheckpointError that tells the first difference from the nearest of the published nets."""
    nearest = None
    for published in (BVLC_ONNX, BVLC, TORCHVISION):
        network = AlexNet(image=(published.side, published.side, 3), **published.options, init=None)
        agreement, difference = compare(steps, network)
        fits = all(side in (0, published.side) for side in images[2:])
        if not (difference or fits):
            difference = f"found images of {'×'.join(map(str, images[2:]))} pixels, expected {published.side}×{published.side}"
        if not difference:
            return published
        if nearest is None or (fits, *agreement) > nearest[0]:
            nearest = (fits, *agreement), published.name, difference
    _, name, difference = nearest
    raise CheckpointError(f"{path} is none of the AlexNets that are known here: it differs from {name}: {difference}; use "
                          "another file")


def compare(steps, network):
    """((how many layers have the right operators, up to the first that has not; how many are right up to the first difference),
    that difference or None) of a chain's steps and a network's layers."""
    shape, number, right, difference = network.shape, 0, 0, None
    for name, layer in network.towers[0].items():
        made = node(layer, shape)
        if made and made[0] != "Dropout":
            step = steps[number] if number < len(steps) else Step("nothing", {}, [])
            difference = difference or differs(step, made, name, shape)
            right += not difference
            if step.operator != made[0]:
                return (number, right), difference
            number += 1
        shape = layer.output_shape(shape)
    rest = [step.operator for step in steps[number:] if step.attributes.get("axis", 1) in (1, -1)]
    if steps[number:] and rest not in (["Softmax"], ["LogSoftmax"]):
        difference = difference or (f"found {steps[number].operator} after the last layer, expected nothing but a Softmax of the "
                                    "classes")
    return (number, right), difference


def differs(step, made, name, shape):
    """How a step differs from (operator, attributes) of the layer `name` that sees maps of `shape`, or None."""
    operator, wanted = made
    if step.operator != operator:
        return f"found {step.operator} at {name}, expected {operator}, each layer after the one before it"
    wanted, given = (usual(operator, attributes, shape) for attributes in (wanted, step.attributes))
    for key in wanted | given:
        a, b = wanted.get(key), given.get(key)
        if not (a == b or isinstance(a, float) and isinstance(b, float) and np.isclose(a, b, rtol=1e-6, atol=0)):
            a, b = (f"{value:.6g}" if isinstance(value, float) else value for value in (a, b))
            return f"found {printable(key)} {printable(b)} at {name}, expected {a}"
    return None


def usual(operator, attributes, shape):
    """All attributes of an operator that have a say in the prediction, written in one way."""
    attributes = {key: value for key, value in attributes.items() if key not in LEGACY}
    if operator not in DEFAULTS:
        return {}
    attributes |= {key: value for key, value in DEFAULTS[operator].items() if key not in attributes}
    if attributes.get("auto_pad") == "VALID":
        attributes["auto_pad"] = "NOTSET"
    return with_pads(attributes, shape) if operator == "MaxPool" else attributes


def with_pads(attributes, shape):
    """A pooling's attributes with those pixels of padding that its windows reach, and without ceil_mode, which adds some at the
    end."""
    sizes, strides, pads = (attributes.get(key, []) for key in ("kernel_shape", "strides", "pads"))
    if not (len(sizes) == len(strides) == 2 and len(pads) == 4 and min(*sizes, *strides) > 0):
        return attributes
    ends = []
    for length, size, stride, before, after in zip(shape, sizes, strides, pads[:2], pads[2:]):
        beyond = before + length + after - size
        windows = (-(-beyond // stride) if attributes["ceil_mode"] else beyond // stride) + 1
        if (windows - 1) * stride >= before + length:       # no window begins after the last pixel
            windows -= 1
        ends.append(max(0, (windows - 1) * stride + size - before - length))
    return attributes | dict(pads=[*pads[:2], *ends], ceil_mode=0)


# Out -----------------------------------------------------------------------------------------------------------------

def export(net, path):
    """Write a Trained as an ONNX model, valid by ONNX's checker, opset 13:

        images          (N, C, size, size) float, pixels from 0 to 255, as data.prepare makes them but channels first
        probabilities   (N, classes), of the central view

    The crop, the mean and the scale are its first nodes, so that it needs nothing beside it. Two towers are written as
    the one grouped net that they equal; there LRN takes each group by itself: Split, an LRN node for each, Concat.
    Needs the package onnx (requirements/interop.txt): ImportError.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    network, nodes, at, count = net.grouped().network, [], "images", 0
    tensors = channels_first(network) | {"mean": net.mean.transpose(2, 0, 1)}       # (C, size, size)

    def add(operator, inputs, outputs=None, **attributes):
        nonlocal at, count
        count += 1
        outputs = outputs or [f"{operator.lower()}{count}"]
        nodes.append(helper.make_node(operator, inputs, outputs, **attributes))
        at = outputs[0]
        return outputs

    start = (net.size - net.side) // 2
    if len(net.mean) < net.size:                            # one mean for every view: at the central view
        around = (start, net.size - net.side - start)
        tensors["mean"] = np.pad(tensors["mean"], ((0, 0), around, around))
    add("Sub", [at, "mean"])
    tensors |= {"first": np.array([start] * 2), "last": np.array([start + net.side] * 2), "axes": np.array([2, 3])}
    add("Slice", [at, "first", "last", "axes"])
    tensors["scale"] = net.scale.reshape(-1, 1, 1)
    add("Mul", [at, "scale"])

    shape = network.shape
    for name, layer in network.towers[0].items():
        made = node(layer, shape)
        operator, attributes = made or (None, {})
        groups = getattr(layer, "groups", 1) if operator == "LRN" else 1
        if groups > 1:
            parts = add("Split", [at], [f"{name}.group{i}" for i in range(groups)], axis=1)
            add("Concat", [add(operator, [part], **attributes)[0] for part in parts], axis=1)
        elif operator == "Dropout":
            if not layer.inverted:                          # § 4.2: all neurons, × (1 − rate)
                tensors[f"{name}.factor"] = np.float32(1 - layer.rate)
                add("Mul", [at, f"{name}.factor"])
        elif operator:
            add(operator, [at, *(there(f"{name}.{key}") for key in layer.params)], **attributes)
        shape = layer.output_shape(shape)
    add("Softmax", [at], ["probabilities"], axis=1)

    graph = helper.make_graph(
        nodes, "AlexNet",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", net.channels, net.size, net.size])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", len(net.classes)])],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in tensors.items()])
    model = helper.make_model(graph, producer_name="AlexNet in NumPy and CuPy", ir_version=IR_VERSION,
                              opset_imports=[helper.make_opsetid("", OPSET)])
    helper.set_model_props(model, {"alexnet": json.dumps(net.facts())})
    onnx.checker.check_model(model, full_check=True)
    write_atomically(path, lambda file: file.write(model.SerializeToString()))
