"""Parameters of towers, joined to whole arrays and split into the towers' shares.

`own` is a list with one {"conv1.W": array, …} per tower, on its device. The whole arrays are NumPy's and equal those of
the one-tower net with groups: a tower's kernels are a block along the last axis.
"""

import numpy as np


def join(own, devices):
    """→ {"conv1.W": whole NumPy array, …}."""
    return {name: np.concatenate([device.get(arrays[name]) for arrays, device in zip(own, devices) if name in arrays],
                                 axis=-1)
            for name in own[0]}


def split(whole, own, devices):
    """The inverse of join: each tower's share of `whole`, on its device, with the shapes of `own`. Raises ValueError if
    names or shapes differ."""
    expected = {name: (*array.shape[:-1], array.shape[-1] * sum(name in arrays for arrays in own))
                for name, array in own[0].items()}
    found = {name: array.shape for name, array in whole.items()}
    for name in expected | found:
        if found.get(name) != expected.get(name):
            raise ValueError(f"these weights are of another net: found {name} {found.get(name, 'missing')}, "
                             f"expected {expected.get(name, 'none of that name')}")
    shares = []
    for t, (arrays, device) in enumerate(zip(own, devices)):
        shares.append({})
        for name, array in arrays.items():
            K = array.shape[-1]
            shares[t][name] = device.put(np.array(whole[name][..., t * K:(t + 1) * K], order="C"))
    return shares
