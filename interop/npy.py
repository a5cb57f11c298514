"""bvlc_alexnet.npy: Caffe's net as a dictionary of NumPy arrays, {"conv1": [W, b], …} or {"conv1": {"weights": W, "biases": b},
…}, used in many courses.

np.load reads it only with allow_pickle=True, which can run code from the file. It is read here by pickles.Restricted,
for which an array is a shape and a row of bytes.
"""

import math
import re

import numpy as np
from numpy.lib import format as npy_format

from interop.pickles import Restricted
from interop.published import BVLC, make
from nn import CheckpointError

FORMAT = "NumPy"


class Dtype:
    """Stands in for numpy.dtype: np.dtype("f4") and then its state, with the byte order."""

    def __init__(self, code, *_):
        if not (isinstance(code, str) and re.fullmatch("[<>=|]?(f[248]|O8?)", code)):
            raise ValueError("an array without floating-point numbers")
        self.code, self.order = code.strip("<>=|"), "<"

    def __setstate__(self, state):
        self.order = ">" if state[1] == ">" else "<"


class Array:
    """Stands in for numpy.ndarray: made empty, and then given its state."""

    def __init__(self, *_):
        self.value = None

    def __setstate__(self, state):
        _, shape, dtype, fortran, data = state
        if dtype.code[0] == "O":                        # objects: the dictionary, in an array without axes
            self.value = data
            return
        data = data.encode("latin1") if isinstance(data, str) else data
        if len(data) != math.prod(shape) * int(dtype.code[1]):
            raise ValueError(f"an array of shape {shape} in {len(data)} bytes")
        self.value = np.frombuffer(data, dtype.order + dtype.code).reshape(shape, order="F" if fortran else "C")


TABLE = {f"numpy{core}.multiarray._reconstruct": Array for core in (".core", "._core")}
TABLE |= {"numpy.ndarray": "numpy.ndarray", "numpy.dtype": Dtype,
          "_codecs.encode": lambda text, encoding: text.encode("latin1")}       # bytes in an old pickle of Python 3


WEIGHTS, BIASES = ("weights", "weight", "W", "kernel"), ("biases", "bias", "b")          # keys that people use
NAMES = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")


def read(path):
    """{"conv1": [W, b], …}. Raises ValueError, or whatever damaged bytes raise."""
    with open(path, "rb") as file:
        if npy_format.read_magic(file) != (1, 0):
            raise ValueError("its .npy format is not 1.0")
        shape, _, dtype = npy_format.read_array_header_1_0(file)
        if shape != () or dtype.hasobject is False:
            raise CheckpointError(f"{path} holds one array of {dtype} {shape}, expected a dictionary of a net's arrays: use "
                                  "another file (a mean image is named with --mean)")
        (table,) = Restricted(file, TABLE).load().value
    if not isinstance(table, dict):
        raise ValueError("it holds no dictionary")
    return {name: [array.value for array in pair(name, arrays)] for name, arrays in table.items()}


def pair(name, arrays):
    """[W, b] of a layer's entry: a list of them, or a dictionary under one of the usual keys."""
    if isinstance(arrays, dict):
        arrays = [arrays[key] for keys in (WEIGHTS, BIASES) for key in keys if key in arrays]
    if not (isinstance(arrays, list | tuple) and len(arrays) == 2 and all(isinstance(array, Array) for array in arrays)):
        raise ValueError(f"{name!s:.40} is not a pair of arrays, weights and biases")
    return arrays


def last_renamed(table):
    """The table with its last layer called fc8: fine-tuning gives it another name. (The table may have lost its order.)"""
    others = [name for name in table if name not in NAMES]
    if "fc8" not in table and len(others) == 1:
        return {name: arrays for name, arrays in table.items() if name in NAMES} | {"fc8": table[others[0]]}
    return table


def load(path, threads=None, devices=None):
    """The Trained in bvlc_alexnet.npy, or in one of a net fine-tuned from it. Raises CheckpointError for another net's,
    ValueError for damage.

    Its kernels have TensorFlow's layout, (R, S, C/G, K), as ours have; its fc6 counts its inputs position by position, as
    ours does. They are converted to Caffe's order only so that one check serves all formats.
    """
    tensors = {}
    for name, (W, b) in last_renamed(read(path)).items():
        if name == "fc6" and W.ndim == 2 and len(W) == 6 * 6 * 256:
            W = W.reshape(6, 6, 256, -1).transpose(2, 0, 1, 3).reshape(W.shape)
        tensors |= {f"{name}.weight": W.transpose(3, 2, 0, 1) if W.ndim == 4 else W.T, f"{name}.bias": b}
    return make(path, BVLC, tensors, threads, devices)
