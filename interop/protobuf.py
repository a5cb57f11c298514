"""Protocol buffers, the wire format of ONNX and Caffe: enough to read them.

A message is a row of fields: a key, number · 8 + wire type, and a value. What a field means is in the schemas, onnx.proto
and caffe.proto; onnx_model.py and caffe.py name the numbers that they use. (Two formats, one reader of forty lines, no
package; and no package has Caffe's schema.)
"""

import numpy as np

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5            # wire types; 3 and 4, groups, are out of use


def varint(data, at):
    """(value, where the next field begins): seven bits a byte, the lowest first, the last byte below 128."""
    value = 0
    for i, byte in enumerate(data[at:at + 10]):
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value, at + i + 1
    raise ValueError(f"no number at byte {at}")


def fields(data):
    """Yield (field number, value) of a message in order. Values: int of a varint (two's complement), else a memoryview of
    bytes."""
    at, data = 0, memoryview(data)
    while at < len(data):
        key, at = varint(data, at)
        number, kind = key >> 3, key & 7
        if not number:
            raise ValueError(f"no field at byte {at}")
        if kind == VARINT:
            value, at = varint(data, at)
            value -= (value >> 63) << 64
        else:
            if kind not in (FIXED64, BYTES, FIXED32):
                raise ValueError(f"wire type {kind} at byte {at}")
            length, at = varint(data, at) if kind == BYTES else (8 if kind == FIXED64 else 4, at)
            if length > len(data) - at:
                raise ValueError(f"{length} bytes announced at byte {at}, {len(data) - at} left")
            value, at = data[at:at + length], at + length
        yield number, value


def message(data):
    """{field number: [value, …]} of a message."""
    found = {}
    for number, value in fields(data):
        found.setdefault(number, []).append(value)
    return found


def text(values, default=""):
    """The string of a field (its last value), or the default where there is none."""
    return bytes(values[-1]).decode() if values else default


def integers(values):
    """The whole numbers of a repeated field, one by one or packed into bytes."""
    return whole_numbers(values).tolist()


def whole_numbers(values):
    """The same as an array (n,) of int64. A large tensor's numbers may be packed so: half precision in ONNX's int32_data."""
    if not values:
        return np.empty(0, np.int64)
    return np.concatenate([np.array([value], np.int64) if isinstance(value, int) else packed(value) for value in values])


def packed(data):
    """The array (n,) int64 of varints, one after the other."""
    data = np.frombuffer(data, np.uint8)
    last = data < 128
    if len(data) and not last[-1]:
        raise ValueError("no number at the end of packed numbers")
    ends = np.flatnonzero(last)
    lengths = np.diff(ends, prepend=-1)
    if lengths.max(initial=0) > 10:
        raise ValueError("a packed number of more than ten bytes")
    found = np.zeros(len(ends), np.uint64)
    for i in range(lengths.max(initial=0)):                 # byte i of all that have one
        own = np.flatnonzero(lengths > i)
        found[own] |= (data[ends[own] - lengths[own] + 1 + i].astype(np.uint64) & np.uint64(127)) << np.uint64(7 * i)
    return found.view(np.int64)


def numbers(values, dtype):
    """The array (n,) of a repeated field of floats or doubles, one by one or packed into bytes."""
    if any(isinstance(value, int) for value in values):
        raise ValueError("whole numbers where floating-point numbers are expected")
    arrays = [np.frombuffer(value, dtype) for value in values]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays) if arrays else np.empty(0, dtype)
