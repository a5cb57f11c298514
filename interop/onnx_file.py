"""What is in an ONNX file: its nodes, its tensors, the size of its images. What the nodes mean is in onnx_graph.py."""

import math
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from interop import dtypes
from interop.formats import printable
from interop.protobuf import integers, message, numbers, text, whole_numbers
from nn import CheckpointError

# onnx.proto: numbers of the fields that are used here.
MODEL_GRAPH, MODEL_METADATA = 7, 14
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_INPUT = 1, 5, 11
NODE_INPUT, NODE_OUTPUT, NODE_OPERATOR, NODE_ATTRIBUTE, NODE_DOMAIN = 1, 2, 4, 5, 7
ATTRIBUTE_NAME, ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_STRING, ATTRIBUTE_TENSOR = 1, 2, 3, 4, 5
ATTRIBUTE_FLOATS, ATTRIBUTE_INTS = 7, 8
TENSOR_DIMS, TENSOR_TYPE, TENSOR_FLOATS, TENSOR_INTS32, TENSOR_INTS, TENSOR_NAME, TENSOR_RAW = 1, 2, 4, 5, 7, 8, 9
TENSOR_DOUBLES, TENSOR_UINTS, TENSOR_EXTERNAL = 10, 11, 13
KEY, VALUE = 1, 2                                           # of an entry of external_data or metadata
# From a graph's input to the lengths of its axes: a ValueInfoProto's type, its tensor_type, that one's shape, its dims.
INPUT_NAME, PATH_TO_DIMS, DIM_VALUE = 1, (2, 1, 2), 1

FLOAT, DOUBLE, HALF = 1, 11, 10
DTYPES = {FLOAT: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 9: "?", HALF: "<f2", DOUBLE: "<f8",
          12: "<u4", 13: "<u8", 16: dtypes.BFLOAT16}
# Where numbers are that are not raw bytes; the other types have theirs in TENSOR_INTS32.
FIELDS = {FLOAT: TENSOR_FLOATS, DOUBLE: TENSOR_DOUBLES, 7: TENSOR_INTS, 12: TENSOR_UINTS, 13: TENSOR_UINTS}


class Node(NamedTuple):
    operator: str
    attributes: dict
    inputs: list            # names
    outputs: list


class Graph(NamedTuple):
    nodes: list             # of Node, each after those whose outputs it takes
    tensors: dict           # {name: array} of the initializers
    shapes: dict            # {name: [N, C, H, W]} of the inputs, 0 for a length that is not fixed
    metadata: dict


def read(path):
    """The Graph in an ONNX file. Raises ValueError, or whatever damaged bytes raise; CheckpointError for numbers in another
    file that is not there or must not be opened."""
    model = message(Path(path).read_bytes())
    if MODEL_GRAPH not in model:
        raise ValueError("it has no graph")
    graph = message(model[MODEL_GRAPH][-1])
    tensors = {}
    for data in graph.get(GRAPH_INITIALIZER, []):
        fields = message(data)
        tensors[text(fields.get(TENSOR_NAME))] = tensor(path, fields)
    nodes = [node(path, message(data)) for data in graph.get(GRAPH_NODE, [])]
    return Graph(nodes, tensors, dict(map(shape, graph.get(GRAPH_INPUT, []))), entries(model.get(MODEL_METADATA, [])))


def entries(values):
    """{key: value} of a repeated StringStringEntryProto."""
    return {text(entry.get(KEY)): text(entry.get(VALUE)) for entry in map(message, values)}


def node(path, fields):
    operator, domain = text(fields.get(NODE_OPERATOR)), text(fields.get(NODE_DOMAIN))
    inputs, outputs = ([text([name]) for name in fields.get(key, [])] for key in (NODE_INPUT, NODE_OUTPUT))
    return Node(printable(operator if domain in ("", "ai.onnx") else f"{domain}.{operator}"), attributes(path, fields), inputs, outputs)


def shape(data):
    """(name, lengths of its axes) of a graph's input."""
    fields = message(data)
    name = text(fields.get(INPUT_NAME))
    for number in PATH_TO_DIMS:
        fields = message(fields.get(number, [b""])[-1])
    return name, [message(dim).get(DIM_VALUE, [0])[-1] for dim in fields.get(1, [])]


def attributes(path, fields):
    """{name: value} of a node's attributes."""
    found = {}
    for data in fields.get(NODE_ATTRIBUTE, []):
        attribute = message(data)
        if ATTRIBUTE_TENSOR in attribute:
            value = tensor(path, message(attribute[ATTRIBUTE_TENSOR][-1]))
        elif ATTRIBUTE_INTS in attribute:
            value = integers(attribute[ATTRIBUTE_INTS])
        elif ATTRIBUTE_FLOATS in attribute:
            value = numbers(attribute[ATTRIBUTE_FLOATS], "<f4")
        elif ATTRIBUTE_FLOAT in attribute:
            value = float(np.frombuffer(attribute[ATTRIBUTE_FLOAT][-1], "<f4")[0])
        elif ATTRIBUTE_STRING in attribute:
            value = text(attribute[ATTRIBUTE_STRING])
        else:
            value = attribute.get(ATTRIBUTE_INT, [0])[-1]
        found[text(attribute.get(ATTRIBUTE_NAME))] = value
    return found


def tensor(path, fields):
    """The array of a TensorProto: its numbers are raw bytes, a field of numbers, or in another file."""
    kind = fields.get(TENSOR_TYPE, [0])[-1]
    if kind not in DTYPES:
        raise ValueError(f"tensor {text(fields.get(TENSOR_NAME))} is of type {kind}, expected floating-point numbers")
    dtype, lengths = DTYPES[kind], integers(fields.get(TENSOR_DIMS, []))
    if min(lengths, default=1) < 0:
        raise ValueError(f"a tensor of shape {lengths}")
    if TENSOR_EXTERNAL in fields:
        size = math.prod(lengths) * dtypes.itemsize(dtype)
        values = dtypes.array(beside(path, entries(fields[TENSOR_EXTERNAL]), size), dtype)
    elif any(fields.get(TENSOR_RAW, [])):
        values = dtypes.array(fields[TENSOR_RAW][-1], dtype)
    elif kind in (FLOAT, DOUBLE):
        values = numbers(fields.get(FIELDS[kind], []), dtype)
    else:
        values = from_bits(whole_numbers(fields.get(FIELDS.get(kind, TENSOR_INTS32), [])), dtype)
    return values.reshape(lengths)


def from_bits(bits, dtype):
    """The array of whole numbers, each of which holds one number of a dtype: of 16 bits where it is a float."""
    if dtype in ("<f2", dtypes.BFLOAT16):
        return dtypes.array(bits.astype("<u2"), dtype)
    return bits.astype(dtype)


def beside(path, place, size):
    """`size` bytes of the file beside `path` that external data are in; place: {"location": …, "offset": …, "length": …}.

    The location comes from a stranger: only a file in the model's own folder, or below it, is opened."""
    location, folder = place.get("location", ""), Path(path).parent
    parts = re.split(r"[/\\]", location)
    inside = parts[0] and ".." not in parts and ":" not in location and "\0" not in location
    if not (inside and (folder / location).resolve().is_relative_to(folder.resolve())):
        raise CheckpointError(f"{path} has its numbers in {printable(location)!r}, which is not in its own folder and is not opened: "
                              "put that file beside it and name it so, or save the model in one file")
    file = folder / location
    if not file.is_file():
        raise CheckpointError(f"{path} has its numbers in a second file, {printable(location)}, which is not beside it: fetch that too")
    offset, length = (int(place.get(key, default)) for key, default in (("offset", 0), ("length", size)))
    if offset < 0 or length != size or size > file.stat().st_size - offset:
        raise ValueError(f"a tensor of {size} bytes at bytes {offset} to {offset + length} of {location:.80}, which has "
                         f"{file.stat().st_size}")
    return np.memmap(file, np.uint8, "r", offset, size) if size else b""
