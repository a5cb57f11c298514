"""Caffe's BlobProto: the arrays in its nets, and its mean image."""

from interop.protobuf import integers, message, numbers

SHAPE, DIM, DATA, DOUBLES = 7, 1, 5, 8                  # fields of caffe.proto: BlobProto's, and BlobShape's DIM
OLD_SHAPE = (1, 2, 3, 4)                                # num, channels, height, width


def blob(fields):
    """The array of a BlobProto's fields. Raises ValueError for damage."""
    values = numbers(fields[DATA], "<f4") if DATA in fields else numbers(fields.get(DOUBLES, []), "<f8")
    if SHAPE in fields:
        shape = integers(message(fields[SHAPE][-1]).get(DIM, []))
    else:                                               # always four numbers: a matrix has two leading ones
        shape = [fields.get(number, [0])[-1] for number in OLD_SHAPE]
    if min(shape, default=1) < 0:
        raise ValueError(f"a blob of shape {shape}")
    return values.reshape(shape)
