"""Where arrays live. The only place that knows one array library from another, and where arrays cross between devices."""

import sys
import threading

import numpy as np


def array_module(array):
    """The library an array belongs to, by the name `xp` that is usual for it: layers work with what they are given."""
    cupy = sys.modules.get("cupy")
    return cupy if cupy is not None and isinstance(array, cupy.ndarray) else np


class Device:
    """A place that holds arrays and computes with them: Device("cpu").

        with device: …                     what is made inside is made there
        device.put(array), device.get(array)   from and to a NumPy array
        device.sent                        {receiving device: floats sent to it}, for the traffic of § 3.2

    Two towers on one processor have a Device each, so that what they exchange can be counted.
    Raises ValueError for a name that is not "cpu".
    """

    def __init__(self, name="cpu"):
        if name != "cpu":
            raise ValueError(f"expected device 'cpu', got {name!r}: this version computes with NumPy only")
        self.name, self.sent, self._lock = name, {}, threading.Lock()

    def __repr__(self):
        return f"Device({self.name!r})"

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        return None

    def put(self, array):
        return np.asarray(array)

    def get(self, array):
        return array


def send(array, source, target):
    """`array` of device `source` on device `target`, and a note of its size: the only way between two towers."""
    if source is not target:
        with source._lock:
            source.sent[target] = source.sent.get(target, 0) + array.size
    return array
