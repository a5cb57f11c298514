"""bvlc_alexnet.npy: Caffe's net as a dictionary of NumPy arrays, {"conv1": [W, b], …}, used in many courses.

np.load reads it only with allow_pickle=True, which can run code from the file. It is read here by pickles.Restricted,
for which an array is a shape and a row of bytes.
"""

import math
import re

import numpy as np
from numpy.lib import format as npy_format

from interop.pickles import Restricted
from interop.published import BVLC, make

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


def read(path):
    """{"conv1": [W, b], …}. Raises ValueError, or whatever damaged bytes raise."""
    with open(path, "rb") as file:
        if npy_format.read_magic(file) != (1, 0):
            raise ValueError("its .npy format is not 1.0")
        shape, _, dtype = npy_format.read_array_header_1_0(file)
        if shape != () or dtype.hasobject is False:
            raise ValueError(f"it holds an array of {dtype} {shape}: expected one dictionary")
        (table,) = Restricted(file, TABLE).load().value
    return {name: [array.value for array in arrays] for name, arrays in table.items()}


def load(path, threads=None, devices=None):
    """The Trained in bvlc_alexnet.npy. Raises CheckpointError for another net's, ValueError for damage.

    Its kernels have TensorFlow's layout, (R, S, C/G, K), as ours have; its fc6 counts its inputs position by position, as
    ours does. They are converted to Caffe's order only so that one check serves all formats.
    """
    tensors = {}
    for name, arrays in read(path).items():
        W, b = arrays
        if name == "fc6" and W.ndim == 2 and len(W) == 6 * 6 * 256:
            W = W.reshape(6, 6, 256, -1).transpose(2, 0, 1, 3).reshape(W.shape)
        tensors |= {f"{name}.weight": W.transpose(3, 2, 0, 1) if W.ndim == 4 else W.T, f"{name}.bias": b}
    return make(path, BVLC, tensors, threads, devices)
