"""PyTorch's .pth, read without PyTorch and without running code from it: torchvision's alexnet.

Since 1.6 such a file is a zip archive, NAME/data.pkl with the names and shapes and NAME/data/0, 1 … with the numbers;
before, it was five pickles in a row and then the numbers. Both are read.
"""

import math
import zipfile
from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from interop.pickles import Restricted
from interop.published import TORCHVISION, make
from nn.checkpoint import stored_members

MAGIC = 0x1950A86A20F9469CFC6C                          # the first pickle of an old file
LAYERS = {"features.0": "conv1", "features.3": "conv2", "features.6": "conv3", "features.8": "conv4",
          "features.10": "conv5", "classifier.1": "fc6", "classifier.4": "fc7", "classifier.6": "fc8"}


class Tensor(NamedTuple):
    """The arguments of torch._utils._rebuild_tensor_v2."""
    storage: tuple          # (dtype, key, count)
    offset: int
    size: tuple
    stride: tuple
    requires_grad: bool = False
    hooks: object = None
    metadata: object = None


TABLE = {
    "collections.OrderedDict": OrderedDict, "torch._utils._rebuild_tensor_v2": Tensor,
    "torch._utils._rebuild_parameter": lambda data, *_: data,
    "torch.FloatStorage": "<f4", "torch.DoubleStorage": "<f8", "torch.HalfStorage": "<f2", "torch.LongStorage": "<i8"}


def read(path):
    """{name: array} of a state dict. Raises ValueError, or whatever damaged bytes raise."""
    with open(path, "rb") as file:
        reader = read_zip if zipfile.is_zipfile(file) else read_old
        file.seek(0)                                        # is_zipfile reads the end
        state, storages = reader(file)
    if not isinstance(state, dict) or not all(isinstance(name, str) and isinstance(tensor, Tensor)
                                              for name, tensor in state.items()):
        raise ValueError("it holds no table of tensors: expected a state dict")
    return {name: resolve(tensor, storages) for name, tensor in state.items()}


def storage(identity):
    """("storage", dtype, key, place, count[, view]) → (dtype, key, count)."""
    if not (isinstance(identity, tuple) and len(identity) in (5, 6) and identity[0] == "storage"
            and identity[1] in TABLE.values() and isinstance(identity[1], str) and isinstance(identity[2], str)
            and isinstance(identity[4], int) and (len(identity) == 5 or identity[5] is None)):
        raise ValueError("it refers to something that is not an array")
    return identity[1], identity[2], identity[4]


def read_zip(file):
    members = dict(stored_members(file))
    names = [name for name in members if name.endswith("/data.pkl")]
    if len(names) != 1:
        raise ValueError("the archive has not exactly one data.pkl: is it a .pth of PyTorch?")
    folder = names[0].removesuffix("data.pkl")
    if bytes(members.get(f"{folder}byteorder", b"little")) != b"little":
        raise ValueError("its numbers are big-endian")
    with zipfile.ZipFile(file) as archive, archive.open(names[0]) as stream:
        state = Restricted(stream, TABLE, storage).load()
    return state, {name.removeprefix(f"{folder}data/"): data for name, data in members.items()}


def read_old(file):
    magic, protocol, _, state, keys = (Restricted(file, TABLE, storage).load() for _ in range(5))
    if magic != MAGIC or protocol != 1001:
        raise ValueError("it does not begin like a .pth")
    counts = {}
    for tensor in state.values() if isinstance(state, dict) else ():
        if isinstance(tensor, Tensor):
            counts[tensor.storage[1]] = tensor.storage
    storages = {}
    for key in keys:
        dtype, _, count = counts[key]
        if int.from_bytes(file.read(8), "little") != count:
            raise ValueError(f"storage {key} is not as long as announced")
        storages[key] = file.read(count * np.dtype(dtype).itemsize)
    return state, storages


def resolve(tensor, storages):
    """The array of a Tensor: a view that must be inside its storage."""
    (dtype, key, count), offset, size, stride = tensor[:4]
    if not (isinstance(offset, int) and isinstance(size, tuple) and isinstance(stride, tuple)
            and len(size) == len(stride) <= 4 and all(isinstance(n, int) and 0 <= n < 1 << 40
                                                      for n in (offset, *size, *stride))):
        raise ValueError("a tensor of an invalid shape")
    numbers = np.frombuffer(storages[key], dtype)
    last = offset + sum((length - 1) * step for length, step in zip(size, stride))
    if len(numbers) != count or math.prod(size) and last >= count:
        raise ValueError(f"a tensor of shape {size} that is not in its {len(numbers)} numbers")
    return np.lib.stride_tricks.as_strided(numbers[offset:], size, [step * numbers.itemsize for step in stride],
                                           writeable=False)


def renamed(tensors):
    """torchvision's names → this program's: features.0.weight → conv1.weight."""
    names = {}
    for name, array in tensors.items():
        layer, _, key = name.rpartition(".")
        names[f"{LAYERS.get(layer, layer)}.{key}"] = array
    return names


def load(path, threads=None, devices=None):
    """The Trained in torchvision's alexnet-owt-*.pth. Raises CheckpointError for another net's, ValueError for damage."""
    return make(path, TORCHVISION, renamed(read(path)), threads, devices)
