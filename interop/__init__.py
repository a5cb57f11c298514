"""Reads and writes trained nets in other programs' formats, one per module.

    from results import load
    net = load("bvlcalexnet-12.onnx")       # with its preprocessing
    export(net, "mine.onnx")

| file | what | module |
|---|---|---|
| `.onnx` | the ONNX Model Zoo's bvlc_alexnet; what `evaluate.py export` writes | onnx_model.py |
| `.caffemodel` | Caffe's bvlc_alexnet | caffe.py |
| `.pth` | torchvision's alexnet | pth.py |
| `.safetensors` | the same; what `evaluate.py export` writes | safetensors_file.py |
| `.npy` | bvlc_alexnet.npy, a dictionary of arrays, passed between courses | npy.py |

Reading needs no package beyond NumPy. Files are data here, never code. A file that claims to hold more than its length is
refused before memory is allocated for it.
"""

from importlib import import_module
from pathlib import Path

from training.errors import UserError, expect

READERS = {".onnx": "onnx_model", ".caffemodel": "caffe", ".pth": "pth", ".pt": "pth", ".safetensors":
           "safetensors_file", ".npy": "npy"}
WRITERS = {".onnx": "onnx_model", ".safetensors": "safetensors_file"}


def export(net, path):
    """Write a Trained to `path`, FILE.onnx or FILE.safetensors. Raises UserError for another ending, or if a package that
    writing needs is not installed."""
    path = Path(path)
    expect(path.suffix in WRITERS, f"{path} ends in {path.suffix or 'nothing'}, expected .onnx or .safetensors")
    try:
        import_module(f"interop.{WRITERS[path.suffix]}").export(net, path)
    except ImportError as error:
        raise UserError(f"{path.suffix} files are written with the package {error.name}, which is not installed: pip "
                        "install -r requirements/interop.txt") from None
