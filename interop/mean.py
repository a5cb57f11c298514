"""Caffe's mean image of ImageNet: imagenet_mean.binaryproto, a BlobProto, and ilsvrc_2012_mean.npy. Both hold (3, 256, 256),
the channels blue, green, red."""

import numpy as np

from interop.blobs import blob
from interop.protobuf import message
from nn.checkpoint import in_short, read_npy
from training.errors import UserError, expect

LONGEST = 64 << 20      # bytes; 1024×1024×3 in double precision have 24 MB


def mean_for(net, path):
    """The mean image in a file, (side, side, 3) float32, red before green before blue, for a Trained. Raises UserError for a
    file that is damaged, of another kind, or of another size than the net's images or views."""
    try:
        mean = read(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): name a file with Caffe's mean image") from None
    except Exception as error:                              # damaged bytes can raise anything
        raise UserError(f"{path} is no mean image of Caffe's ({in_short(error)}): expected imagenet_mean.binaryproto or "
                        "ilsvrc_2012_mean.npy, fetch it again") from error
    sides = " or ".join(dict.fromkeys(f"(3, {side}, {side})" for side in (net.size, net.side)))
    expect(net.channels == 3, f"{path} is a mean image of 3 channels, {net.name} takes {net.channels}: leave --mean out")
    expect(mean.ndim == 3 and mean.shape[0] == 3 and mean.shape[1] == mean.shape[2] and mean.shape[1] in (net.size, net.side),
           f"{path} is a mean image of {mean.shape}, expected {sides}: use another one")
    expect(mean.dtype.kind == "f" and np.isfinite(mean).all(), f"{path} holds values that are not finite floating-point numbers: "
           "use another one")
    return np.ascontiguousarray(mean[::-1].transpose(1, 2, 0), np.float32)


def read(path):
    """The array (3, H, W) of a .binaryproto or a .npy, told by its first bytes."""
    with open(path, "rb") as file:
        data = file.read(LONGEST + 1)
    if len(data) > LONGEST:
        raise ValueError(f"longer than {LONGEST >> 20} MB")
    array = read_npy(data) if data.startswith(b"\x93NUMPY") else blob(message(data))
    return array[0] if array.ndim == 4 and len(array) == 1 else array
