"""PyTorch's .pth (.pt, .bin, .ckpt, .pth.tar …), read without PyTorch and without running code from it: torchvision's
alexnet.

Since 1.6 such a file is a zip archive, NAME/data.pkl with the names and shapes and NAME/data/0, 1 … with the numbers;
before, it was five pickles in a row and then the numbers. Both are read. The weights may be in a dictionary within the file's,
with other things beside them (statedict.py).
"""

import math
import os
import zipfile
from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from interop import dtypes, statedict
from interop.formats import OLD_PYTORCH
from interop.pickles import Ignored, Refused, Restricted
from interop.published import TORCHVISION, make
from nn import CheckpointError
from nn.checkpoint import stored_members

FORMAT = "PyTorch"
MAGIC = int.from_bytes(OLD_PYTORCH, "little")           # the first pickle of an old file


class Tensor(NamedTuple):
    """The arguments of torch._utils._rebuild_tensor_v2."""
    storage: tuple          # (dtype, key, count)
    offset: int
    size: tuple
    stride: tuple
    requires_grad: bool = False
    hooks: object = None
    metadata: object = None


STORAGES = {"Float": "<f4", "Double": "<f8", "Half": "<f2", "BFloat16": dtypes.BFLOAT16, "Long": "<i8", "Int": "<i4",
            "Short": "<i2", "Char": "i1", "Byte": "u1", "Bool": "?"}

# What stands beside weights in the checkpoints that people have.
BESIDE = ["argparse.Namespace", "torch.Size", "torch.device", "torch.Generator", "pathlib.PosixPath", "pathlib.WindowsPath",
          "pathlib.Path", "pathlib._local.PosixPath", "pathlib._local.WindowsPath", "datetime.datetime", "datetime.timedelta",
          "collections.defaultdict", "collections.Counter", "collections.deque", "numpy.dtype", "numpy.ndarray",
          "numpy.random._pickle.__randomstate_ctor", "_codecs.encode", "easydict.EasyDict",
          "pytorch_lightning.utilities.parsing.AttributeDict", "lightning_fabric.utilities.data.AttributeDict"]
BESIDE += [f"{module}.{name}" for module in ("builtins", "__builtin__") for name in
           ("set", "frozenset", "slice", "complex", "bytearray", "list", "dict", "tuple", "int", "float", "str", "bool")]
BESIDE += [f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")]
BESIDE += [f"torch.{name}" for name in ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8",
                                        "bool")]


def parameter(data, *_):
    return data


TABLE = dict.fromkeys(BESIDE, Ignored) | {f"torch.{name}Storage": dtype for name, dtype in STORAGES.items()} | {
    "collections.OrderedDict": OrderedDict, "torch._utils._rebuild_tensor_v2": Tensor, "torch._utils._rebuild_tensor": Tensor,
    "torch._utils._rebuild_parameter": parameter, "torch._utils._rebuild_parameter_with_state": parameter}


def read(path):
    """(what the file holds, with a Tensor for each tensor; {key: bytes} of its storages). Raises ValueError, or whatever
    damaged bytes raise."""
    with open(path, "rb") as file:
        reader = read_zip if zipfile.is_zipfile(file) else read_old
        file.seek(0)                                        # is_zipfile reads the end
        return reader(file)


def storage(identity):
    """("storage", dtype, key, place, count[, view]) → (dtype, key, count)."""
    if not (isinstance(identity, tuple) and len(identity) in (5, 6) and identity[0] == "storage"
            and identity[1] in STORAGES.values() and isinstance(identity[2], str)
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
    announced = {}

    def noted(identity):
        made = storage(identity)
        announced[made[1]] = made
        return made

    magic, protocol, _, state, keys = (Restricted(file, TABLE, noted).load() for _ in range(5))
    if magic != MAGIC or protocol != 1001:
        raise ValueError("it does not begin like a .pth")
    storages, end = {}, os.fstat(file.fileno()).st_size
    for key in keys:
        dtype, _, count = announced[key]
        if int.from_bytes(file.read(8), "little") != count:
            raise ValueError(f"storage {key} is not as long as announced")
        size = count * dtypes.itemsize(dtype)
        if not 0 <= size <= end - file.tell():
            raise ValueError(f"storage {key} has {size} bytes, {end - file.tell()} are left")
        storages[key] = file.read(size)
    return state, storages


def resolve(tensor, storages):
    """The array of a Tensor: a view that must be inside its storage."""
    (dtype, key, count), offset, size, stride = tensor[:4]
    if not (isinstance(offset, int) and isinstance(size, tuple) and isinstance(stride, tuple)
            and len(size) == len(stride) <= 4 and all(isinstance(n, int) and 0 <= n < 1 << 40
                                                      for n in (offset, *size, *stride))):
        raise ValueError("a tensor of an invalid shape")
    numbers = dtypes.array(storages[key], dtype)
    last = offset + sum((length - 1) * step for length, step in zip(size, stride))
    if len(numbers) != count or math.prod(size) and last >= count:
        raise ValueError(f"a tensor of shape {size} that is not in its {len(numbers)} numbers")
    return np.lib.stride_tricks.as_strided(numbers[offset:], size, [step * numbers.itemsize for step in stride],
                                           writeable=False)


def load(path, threads=None, devices=None):
    """The Trained in torchvision's alexnet-owt-*.pth, or in a checkpoint of a fine-tuned one. Raises CheckpointError for
    another net's, ValueError for damage."""
    try:
        state, storages = read(path)
    except Refused as refused:
        raise CheckpointError(whole_module(path, refused)) from None
    tensors = {name: resolve(tensor, storages) for name, tensor in statedict.weights(path, state, Tensor).items()}
    return make(path, TORCHVISION, tensors, threads, devices)


def whole_module(path, refused):
    """The sentence on a pickle that refers to classes: most often a whole module was saved instead of its weights."""
    with open(path, "rb") as file:
        pickled = file.read(1 << 20)
    if b"torch.nn.modules" in pickled:
        return (f"{path} is a whole pickled module ({refused.name}), which only its own code can read: in PyTorch save "
                "net.state_dict() instead")
    return f"{path} cannot be read: {refused}; in PyTorch save net.state_dict() alone"
