"""Random numbers without state: every draw follows from its purpose."""

import zlib

import numpy as np


def numbers(key):
    """`key` as whole numbers. Raises ValueError for a negative one."""
    if any(not isinstance(k, str) and k < 0 for k in key):
        raise ValueError(f"random numbers follow from whole numbers from 0, got {key}: choose another seed")
    return [zlib.crc32(k.encode()) if isinstance(k, str) else int(k) for k in key]


def generator(*key):
    """A NumPy Generator that depends on `key` alone: whole numbers (not negative) and strings, in order.

    generator("dropout", seed, step, "fc6") gives the same numbers in every process, so a resumed run needs
    no saved random state. Strings count by their CRC-32.
    """
    return np.random.Generator(np.random.SFC64(numbers(key)))


def philox(*key):
    """The same for Philox4x64-10 (Salmon et al. 2011), which is counter-based: any number of its sequence can be
    computed alone, so a GPU draws the same bits (nn/fast/kernels.cu)."""
    return np.random.Philox(numbers(key))
