"""Reads and writes trained nets in other programs' formats, one per module.

    from results import load
    net = load("bvlcalexnet-12.onnx")       # with its preprocessing
    export(net, "mine.onnx")

| file, usually | what | module |
|---|---|---|
| `.onnx` | torchvision's alexnet and Caffe's bvlc_alexnet by any exporter; what `evaluate.py export` writes | onnx_model.py |
| `.caffemodel` | Caffe's bvlc_alexnet and CaffeNet | caffe.py |
| `.pth`, `.pt`, `.bin`, `.ckpt`, `.pth.tar` | torchvision's alexnet: a state dict, or a checkpoint with one in it | pth.py |
| `.safetensors` | the same state dict; what `evaluate.py export` writes | safetensors_file.py |
| `.npy` | bvlc_alexnet.npy, a dictionary of arrays, passed between courses | npy.py |
| `.binaryproto`, `.npy` | Caffe's mean image, for `--mean` | mean.py |

A file is told by its first bytes, not by its name (formats.py). Each may have been fine-tuned to any number of classes, and its
numbers may be of half, single or double precision or bfloat16. Reading needs no package beyond NumPy. Files are data here,
never code. A file that claims to hold more than its length is refused before memory is allocated for it.
"""

from importlib import import_module
from pathlib import Path

from training.errors import UserError, expect

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
