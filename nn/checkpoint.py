"""Checkpoints: named arrays and a few facts in one .npz file, written so that a crash cannot damage it, and read so
that an untrusted file can do no harm."""

import io
import json
import math
import os
import sys
import time
import zipfile

import numpy as np
from numpy.lib import format as npy


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged or of another net; the message is one sentence."""


def save_checkpoint(path, facts, **groups):
    """Write `facts` (a dict that JSON can hold) and groups of arrays, e.g. weights={"conv1.W": …}, to `path`.

    The file is written under a temporary name beside it, synced to the disk and then renamed: `path` is always a
    complete checkpoint, the old or the new one.
    """
    arrays = {f"{group}/{name}": array for group, named in groups.items() for name, array in named.items()}
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    write_atomically(path, lambda file: np.savez(file, **arrays))


def load_checkpoint(path):
    """→ (facts, {"weights": {"conv1.W": array, …}, …}). Never runs code from the file (no pickle), and takes no more
    memory than the file is long.

    Raises CheckpointError if it is missing, damaged or not a checkpoint.
    """
    try:
        with open(path, "rb") as file:
            arrays = {name.removesuffix(".npy"): read_npy(member) for name, member in stored_members(file)}
        facts, groups = json.loads(arrays.pop("facts").tobytes()), {}
        for key, array in arrays.items():
            group, name = key.split("/")
            groups.setdefault(group, {})[name] = array
        return facts, groups
    except FileNotFoundError:
        raise CheckpointError(f"found no checkpoint at {path}: name a run that train.py has written") from None
    except Exception as error:                              # damaged bytes can raise anything
        raise CheckpointError(f"{path} is not a whole checkpoint ({in_short(error)}): expected an .npz file written by "
                              "train.py, use another one") from error


def in_short(error):
    """An exception in one line: its message, and its type where that adds information."""
    text = " ".join(str(error).split())[:600]
    return text if text and isinstance(error, ValueError) else f"{type(error).__name__}: {text}".removesuffix(": ")


def stored_members(file):
    """Yield (name, bytes) of each file in an open zip archive whose files are stored as they are, not compressed.

    numpy.savez and PyTorch write such archives, which are at least as long as their contents. Raises ValueError for
    compressed files and for files that share bytes: a short archive of these can exhaust memory.
    """
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("it is compressed, expected files stored as they are")
        if sum(member.file_size for member in members) > os.fstat(file.fileno()).st_size:
            raise ValueError("its files are longer than the archive")
        if len({member.filename for member in members}) < len(members):
            raise ValueError("two of its files have one name")
        for member in members:
            yield member.filename, archive.read(member)


def read_npy(data):
    """The array in the bytes of a .npy file. Raises ValueError unless it holds plain numbers, as many as announced."""
    stream = io.BytesIO(data)
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f".npy format {version}, expected 1.0 or 2.0")
    header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = header(stream)
    if dtype.kind not in "fiu" or dtype.itemsize > 8:
        raise ValueError(f"an array of {dtype}, expected plain numbers")
    if len(data) - stream.tell() != math.prod(shape) * dtype.itemsize or any(length < 0 for length in shape):
        raise ValueError(f"an array of {shape} {dtype} in {len(data) - stream.tell()} bytes")
    array = np.frombuffer(data, dtype, offset=stream.tell()).reshape(shape, order="F" if fortran else "C")
    return array.astype(dtype.newbyteorder("="))


def write_atomically(path, write):
    """write(file) into a temporary file beside `path`, sync it, and rename it to `path`; on failure leave `path`
    as it was and no temporary file behind. Raises OSError that names `path`."""
    path = os.fspath(path)
    temporary = f"{path}.tmp"
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        replace(temporary, path)
        if hasattr(os, "O_DIRECTORY"):              # where folders can be synced: until then the new name may be lost
            folder = os.open(os.path.dirname(path) or ".", os.O_DIRECTORY)
            os.fsync(folder)
            os.close(folder)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), path) from error
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def replace(temporary, path, seconds=5):
    """os.replace. On Windows it is tried again for some seconds: a virus scanner may hold a new file for a moment."""
    end = time.monotonic() + seconds
    while True:
        try:
            return os.replace(temporary, path)
        except PermissionError:
            if sys.platform != "win32" or time.monotonic() > end:
                raise
            time.sleep(0.1)


def write_text(path, text):
    """write_atomically for a text."""
    write_atomically(path, lambda file: file.write(text.encode()))
