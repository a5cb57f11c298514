"""Which library an array belongs to: NumPy or CuPy. Layers compute with the library of their arrays."""

import sys

import numpy as np


def array_module(array):
    """The module of an array, usually called `xp`: cupy for CuPy arrays, else numpy. Does not import CuPy."""
    cupy = sys.modules.get("cupy")
    return cupy if cupy is not None and isinstance(array, cupy.ndarray) else np
