"""Tells what a file is by its first bytes, whatever its name ends in: which module reads it, or, of a file that holds no
weights that are read here, what it is and what to do."""

import zipfile
from itertools import islice

import numpy as np

from interop.protobuf import fields
from nn import CheckpointError

HEAD = 1024             # bytes that are looked at
SAFE_HEAD = 100 << 20   # bytes of a safetensors table, at most: the format's own limit

OLD_PYTORCH = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")        # the number that it writes first, until 1.6

UNPACK = "unpack it first, and name the file of weights in it"
CONVERT = "convert it to ONNX first, or save the weights of torchvision's alexnet in PyTorch"
IMAGE = "name a file of weights after --weights, and photographs before it"
# What begins so is …: what to do.
BEGINNINGS = {
    b"version https://git-lfs": ("a Git LFS pointer, which stands for the file itself", "run git lfs pull"),
    b"\x89HDF\r\n\x1a\n": ("an HDF5 file, as Keras, TensorFlow and MATLAB write them", CONVERT),
    b"\x1f\x8b": ("a gzip archive", UNPACK), b"BZh": ("a bzip2 archive", UNPACK), b"\xfd7zXZ": ("an xz archive", UNPACK),
    b"(\xb5/\xfd": ("a Zstandard archive", UNPACK), b"7z\xbc\xaf": ("a 7z archive", UNPACK), b"Rar!": ("a RAR archive", UNPACK),
    b"\x89PNG\r\n": ("a PNG image", IMAGE), b"\xff\xd8\xff": ("a JPEG image", IMAGE), b"GIF8": ("a GIF image", IMAGE),
    b"%PDF": ("a PDF document", "use another file")}
AGAIN = "fetch it again"


def printable(name, length=60):
    """A name or value from a file as it may stand in a sentence: short, on one line, without control characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(str(name).split())[:length])


def refusal(path, what, remedy):
    return CheckpointError(f"{path} is {what}, not weights of a known format: {remedy}")


def recognise(path):
    """The name of the module in interop/ that reads the file, or "npz" for a checkpoint of train.py's.

    Raises CheckpointError for a file that is missing or empty, or of another kind."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
    except FileNotFoundError:
        raise CheckpointError(f"found no {path}: expected a run's folder or a file of weights, name one that is there") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}): name a file that can be") from None
    if not head:
        raise refusal(path, "an empty file", AGAIN)
    for beginning, (what, remedy) in BEGINNINGS.items():
        if head.startswith(beginning):
            raise refusal(path, what, remedy)
    if head[257:262] == b"ustar":
        raise refusal(path, "a tar archive", UNPACK)
    if head[:2] == b"PK":
        return in_zip(path)
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    if head[:1] == b"\x80" and head[1:2] <= b"\5":          # a pickle, and its protocol
        if OLD_PYTORCH not in head[:40]:
            raise refusal(path, "a pickle that torch.save did not write", "in PyTorch save net.state_dict() with torch.save")
        return "pth"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= SAFE_HEAD:
        return "safetensors_file"
    if what := text_of_what(head):
        raise refusal(path, *what)
    return in_protobuf(path, head)


def in_zip(path):
    """The module for a zip archive, by the names of the files in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception as error:                              # damaged bytes can raise anything
        raise CheckpointError(f"{path} is a zip archive, as PyTorch and train.py write them, but not a whole one: "
                              f"{AGAIN}") from error
    if any(name.endswith("/constants.pkl") or "/code/" in name for name in names):
        raise refusal(path, "a TorchScript archive, a program with its weights",
                      "in PyTorch save torch.jit.load(FILE).state_dict() with torch.save")
    if any(name.endswith("/data.pkl") for name in names):
        return "pth"
    if any(name.endswith(".npy") for name in names):
        return "npz"
    if any(name.endswith(".h5") for name in names):
        raise refusal(path, "an archive of Keras", CONVERT)
    raise refusal(path, "a zip archive", UNPACK)


def text_of_what(head):
    """(what it is, what to do) of a file that is text; None of one that is not."""
    for encoding in ("utf-8-sig", "utf-16"):
        if encoding == "utf-16" and head[:2] not in (b"\xff\xfe", b"\xfe\xff"):
            return None
        try:
            text = head[:len(head) // 2 * 2].decode(encoding)
        except UnicodeDecodeError as error:
            if error.start < len(head) - 4:                 # a letter that is cut off at the end is no reason
                continue
            text = head[:error.start].decode(encoding)
        if any(ord(letter) < 32 and letter not in "\t\n\r\f" for letter in text):
            return None
        start = text.lstrip().lower()
        if start.startswith(("<!doctype html", "<html", "<?xml", "<head", "<!--")):
            return "a web page", "download the file itself, not the page about it"
        if start.startswith(("{", "[")):
            return "a text in JSON", "name the file of weights that belongs to it"
        return "a text", "name a file of weights (.prototxt and .txt describe a net, its .caffemodel or .npy has the numbers)"
    return None


# Fields of an outermost message: a mean image's numbers, a Caffe net's layers, new and old.
BLOB_DATA, CAFFE_LAYERS = 5, (100, 2)
ONNX_BEGINS = b"\x08"    # with the version of its format, a number; Caffe's nets begin with their name


def outermost(path):
    """{number: the type of its first value} of the fields of a protocol buffer, up to where it is damaged."""
    kinds = {}
    try:
        for number, value in islice(fields(np.memmap(path, np.uint8, "r")), 10_000):
            kinds.setdefault(number, type(value))
    except ValueError:
        pass
    return kinds


def in_protobuf(path, head):
    """The module for a protocol buffer: a whole net of ONNX's or Caffe's."""
    kinds = outermost(path)
    if kinds.get(BLOB_DATA) is memoryview:
        raise refusal(path, "a mean image of Caffe", "name it with --mean, and the weights with --weights")
    if head.startswith(ONNX_BEGINS):
        return "onnx_model"
    if any(kinds.get(key) is memoryview for key in CAFFE_LAYERS):
        return "caffe"
    raise CheckpointError(f"{path} is of an unknown kind (its first bytes are {head[:8].hex(' ')}): expected a run's folder, "
                          "or weights as train.py, PyTorch, safetensors, ONNX, Caffe or NumPy write them; use another file")
