"""Safetensors: a table in JSON, then the numbers. Twenty lines to read and ten to write, so that neither needs a package;
the tests hold both to the package's own.

torchvision's alexnet is read from one, with any prefix before its names, and `evaluate.py export RUN model.safetensors` writes one: tensors as PyTorch lays
them, conv1.weight (K, C/G, R, S) and so on, mean (size, size, C), and in the metadata, under "alexnet", how to use them.
"""

import json
import math
import os

import numpy as np

from interop import dtypes, statedict
from interop.layout import channels_first, channels_last
from interop.published import TORCHVISION, make
from nn.checkpoint import write_atomically
from results.trained import rebuild

FORMAT = "safetensors"
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": dtypes.BFLOAT16, "I64": "<i8", "I32": "<i4", "I16": "<i2",
          "I8": "i1", "U8": "u1", "BOOL": "?"}


def read(path):
    """({name: array}, metadata). Arrays are views of the file, except those of bfloat16. Raises ValueError, or whatever damaged bytes raise."""
    length = os.path.getsize(path)
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > length - 8:
            raise ValueError(f"a table of {size} bytes in a file of {length}")
        table = json.loads(file.read(size))
    data = np.memmap(path, np.uint8, "r", offset=8 + size) if length > 8 + size else np.empty(0, np.uint8)
    metadata, tensors = table.pop("__metadata__", {}), {}
    for name, entry in table.items():
        if entry["dtype"] not in DTYPES:
            raise ValueError(f"{name} is of {entry['dtype']}, expected one of {', '.join(DTYPES)}")
        dtype, shape, (start, stop) = DTYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
        if not (all(isinstance(n, int) and n >= 0 for n in shape) and 0 <= start <= stop <= len(data)
                and stop - start == math.prod(shape) * dtypes.itemsize(dtype)):
            raise ValueError(f"{name} of shape {shape} is not at bytes {start} to {stop} of {len(data)}")
        tensors[name] = dtypes.array(data[start:stop], dtype).reshape(shape)
    return tensors, metadata


def write(path, tensors, metadata):
    """Write {name: float32 array} and {name: text}, atomically."""
    table, at = {"__metadata__": metadata}, 0
    for name, array in tensors.items():
        table[name] = dict(dtype="F32", shape=array.shape, data_offsets=[at, at + array.nbytes])
        at += array.nbytes
    head = json.dumps(table).encode()
    head += b" " * (-len(head) % 8)                         # the numbers begin at a multiple of eight

    def into(file):
        file.write(len(head).to_bytes(8, "little") + head)
        for array in tensors.values():
            file.write(np.ascontiguousarray(array, "<f4").data)

    write_atomically(path, into)


def load(path, threads=None, devices=None):
    """The Trained in a file of `export`'s, or torchvision's. Raises CheckpointError, or ValueError for damage."""
    tensors, metadata = read(path)
    if "alexnet" not in metadata:
        return make(path, TORCHVISION, statedict.weights(path, tensors, np.ndarray), threads, devices)
    mean = tensors.pop("mean")
    return rebuild(path, json.loads(metadata["alexnet"]), tensors, mean, threads, devices, channels_last)


def export(net, path):
    """Write a Trained."""
    write(path, channels_first(net.network) | {"mean": net.mean}, {"format": "pt", "alexnet": json.dumps(net.facts())})
