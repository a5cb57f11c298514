"""ONNX: the Model Zoo's bvlc_alexnet in, any net of this program out.

`node` gives a layer's ONNX operator and attributes. Writing creates these nodes; reading compares a file's nodes with them,
one by one: a graph that differs in a single number is another net and is refused.
"""

import json
from pathlib import Path

import numpy as np

from interop.layout import channels_first, channels_last, there
from interop.protobuf import integers, message, numbers, text
from interop.published import BVLC_ONNX, make
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

# onnx.proto: numbers of the fields that are used here.
MODEL_GRAPH, MODEL_METADATA = 7, 14
GRAPH_NODE, GRAPH_INITIALIZER = 1, 5
NODE_INPUT, NODE_OUTPUT, NODE_OPERATOR, NODE_ATTRIBUTE = 1, 2, 4, 5
ATTRIBUTE_NAME, ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_STRING, ATTRIBUTE_TENSOR, ATTRIBUTE_INTS = 1, 2, 3, 4, 5, 8
TENSOR_DIMS, TENSOR_TYPE, TENSOR_FLOATS, TENSOR_INTS, TENSOR_NAME, TENSOR_RAW = 1, 2, 4, 7, 8, 9
TENSOR_DOUBLES, TENSOR_EXTERNAL = 10, 13
DTYPES = {1: "<f4", 7: "<i8", 10: "<f2", 11: "<f8"}

# What an attribute that is not there means; Dropout's and Reshape's say nothing about a prediction.
DEFAULTS = {"Conv": dict(group=1, pads=[0] * 4, strides=[1] * 2, dilations=[1] * 2, auto_pad="NOTSET"),
            "MaxPool": dict(pads=[0] * 4, strides=[1] * 2, dilations=[1] * 2, auto_pad="NOTSET", ceil_mode=0,
                            storage_order=0),
            "LRN": dict(alpha=1e-4, beta=0.75, bias=1.0), "Gemm": dict(alpha=1.0, beta=1.0, transA=0, transB=0),
            "Relu": {}}


def tensor(fields):
    """The array of a TensorProto."""
    kind, = fields.get(TENSOR_TYPE, [0])[-1:]
    if kind not in DTYPES or TENSOR_EXTERNAL in fields:
        raise ValueError(f"tensor {text(fields.get(TENSOR_NAME))} is of type {kind}, or in another file: expected "
                         "floating-point numbers in this one")
    shape = integers(fields.get(TENSOR_DIMS, []))
    if TENSOR_RAW in fields:
        values = np.frombuffer(fields[TENSOR_RAW][-1], DTYPES[kind])
    elif kind == 7:
        values = np.array(integers(fields.get(TENSOR_INTS, [])), np.int64)
    else:
        values = numbers(fields.get(*((TENSOR_FLOATS, []) if kind == 1 else (TENSOR_DOUBLES, []))), "<f4" if kind == 1
                         else "<f8")
    if min(shape, default=1) < 0:
        raise ValueError(f"a tensor of shape {shape}")
    return values.reshape(shape)


def attributes(fields):
    """{name: value} of a node's attributes."""
    found = {}
    for data in fields.get(NODE_ATTRIBUTE, []):
        attribute = message(data)
        if ATTRIBUTE_TENSOR in attribute:
            value = tensor(message(attribute[ATTRIBUTE_TENSOR][-1]))
        elif ATTRIBUTE_INTS in attribute:
            value = integers(attribute[ATTRIBUTE_INTS])
        elif ATTRIBUTE_FLOAT in attribute:
            value = float(np.frombuffer(attribute[ATTRIBUTE_FLOAT][-1], "<f4")[0])
        elif ATTRIBUTE_STRING in attribute:
            value = text(attribute[ATTRIBUTE_STRING])
        else:
            value = attribute.get(ATTRIBUTE_INT, [0])[-1]
        found[text(attribute.get(ATTRIBUTE_NAME))] = value
    return found


def read(path):
    """([(operator, attributes, inputs, outputs), …], {name: array}, {metadata}) of an ONNX file."""
    model = message(Path(path).read_bytes())
    graph = message(model[MODEL_GRAPH][-1])
    tensors = {}
    for data in graph.get(GRAPH_INITIALIZER, []):
        fields = message(data)
        tensors[text(fields.get(TENSOR_NAME))] = tensor(fields)
    nodes = []
    for data in graph.get(GRAPH_NODE, []):
        fields = message(data)
        operator, values = text(fields.get(NODE_OPERATOR)), attributes(fields)
        inputs, outputs = ([text([name]) for name in fields.get(key, [])] for key in (NODE_INPUT, NODE_OUTPUT))
        if operator == "ConstantOfShape":                   # the onnx package's tests shrink large nets this way
            value = values.get("value", np.zeros(1, np.float32))
            tensors[outputs[0]] = np.broadcast_to(value.reshape(()), tuple(tensors[inputs[0]]))
        else:
            nodes.append((operator, values, inputs, outputs))
    metadata = {text(entry.get(1)): text(entry.get(2)) for entry in map(message, model.get(MODEL_METADATA, []))}
    return nodes, tensors, metadata


def load(path, threads=None, devices=None):
    """The Trained in a file of `export`'s, or the Model Zoo's bvlc_alexnet (opset 3 to 12, float). Raises CheckpointError
    that names what does not fit, ValueError for damage."""
    nodes, tensors, metadata = read(path)
    if "alexnet" in metadata:
        mean = tensors.pop("mean").transpose(1, 2, 0)       # (C, size, size) there
        own = {name: array for name, array in tensors.items() if name.endswith((".weight", ".bias"))}
        return rebuild(path, json.loads(metadata["alexnet"]), own, mean, threads, devices, channels_last)
    weights = weights_in_order(path, nodes, tensors)
    net = make(path, BVLC_ONNX, weights, threads, devices)
    expect_graph(path, nodes, net.network)
    return net


def weights_in_order(path, nodes, tensors):
    """{"conv1.weight": …} of the nodes that have weights, named by their place."""
    layers = [(operator, inputs) for operator, _, inputs, _ in nodes if operator in ("Conv", "Gemm")]
    if [operator for operator, _ in layers] != ["Conv"] * 5 + ["Gemm"] * 3:
        found = " ".join(operator for operator, *_ in nodes)
        raise CheckpointError(f"{path} is not an AlexNet in floating point: found the layers {found:.200}, expected "
                              "five Conv and three Gemm; use another file")
    names = [f"conv{i}" for i in range(1, 6)] + ["fc6", "fc7", "fc8"]
    return {f"{name}.{key}": tensors[own] for name, (_, inputs) in zip(names, layers)
            for key, own in zip(("weight", "bias"), inputs[1:])}


def expect_graph(path, nodes, network):
    """Raise CheckpointError unless the nodes are one chain, and are the network's layers, one by one."""
    shape, wanted = network.shape, []
    for name, layer in network.towers[0].items():
        if made := node(layer, shape):
            wanted.append((name, *made))
        shape = layer.output_shape(shape)
    wanted.append(("the output", "Softmax", {}))
    before = nodes[0][2][0] if nodes else None
    for number in range(max(len(nodes), len(wanted))):
        name, operator, values = wanted[number] if number < len(wanted) else ("the end", "nothing", {})
        found, given, inputs, outputs = nodes[number] if number < len(nodes) else ("nothing", {}, [], [])
        found = "Flatten" if found == "Reshape" else found  # the matrix after it checks its output
        if found != operator or inputs[:1] != [before]:
            raise CheckpointError(f"{path} is not bvlc_alexnet: found {found} at {name}, expected {operator}, each layer "
                                  "after the one before it")
        if operator in DEFAULTS:
            values, given = DEFAULTS[operator] | values, DEFAULTS[operator] | given
            if operator == "Gemm":
                given.pop("broadcast", None)                # of opset 6 and before
            for key in values | given:
                a, b = values.get(key), given.get(key)
                if not (a == b or isinstance(a, float) and isinstance(b, float) and np.isclose(a, b, rtol=1e-6, atol=0)):
                    a, b = (f"{value:.6g}" if isinstance(value, float) else value for value in (a, b))
                    raise CheckpointError(f"{path} is not bvlc_alexnet: found {key} {b} at {name}, expected {a}")
        before = outputs[0]


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
