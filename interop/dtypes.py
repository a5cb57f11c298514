"""Types of numbers in other programs' files. NumPy has no bfloat16: it is widened to float32, exactly."""

import numpy as np

BFLOAT16 = "bfloat16"


def itemsize(dtype):
    """Bytes of one number of a NumPy dtype or of BFLOAT16."""
    return 2 if dtype == BFLOAT16 else np.dtype(dtype).itemsize


def array(data, dtype):
    """The array (n,) in bytes of a NumPy dtype, a view; for BFLOAT16 a float32 copy."""
    if dtype != BFLOAT16:
        return np.frombuffer(data, dtype)
    return widened(np.frombuffer(data, "<u2"))


def widened(bits):
    """bfloat16 as uint16 → float32: bfloat16 is the upper half of a float32."""
    wide = bits.astype("<u4")
    wide <<= 16
    return wide.view("<f4")
