"""Random numbers without state: every draw follows from what it is for."""

import zlib

import numpy as np


def generator(*key):
    """A NumPy Generator that depends on `key` alone: whole numbers (not negative) and strings, in order.

    generator("dropout", seed, step, "fc6") gives the same numbers in any process on any day, so a resumed run needs
    no saved random state. Strings count by their CRC-32.
    """
    if any(not isinstance(k, str) and k < 0 for k in key):
        raise ValueError(f"random numbers follow from whole numbers from 0, got {key}: choose another seed")
    return np.random.Generator(np.random.SFC64([zlib.crc32(k.encode()) if isinstance(k, str) else int(k)
                                                for k in key]))
