"""Trained nets to and from other programs' files, one format a module.

    from interop import load
    net = load("bvlcalexnet-12.onnx")       # a Trained (trained.py), with its own preprocessing
    net.predict(images)

| file | what | read by |
|---|---|---|
| a run's folder, `.npz` | this program's own | trained.py |
| `.onnx` | the ONNX Model Zoo's bvlc_alexnet; what `evaluate.py export` writes | onnx_model.py |
| `.caffemodel` | Caffe's bvlc_alexnet | caffe.py |
| `.pth` | torchvision's alexnet | pth.py |
| `.safetensors` | the same; what `evaluate.py export` writes | safetensors_file.py |
| `.npy` | bvlc_alexnet.npy, a dictionary of arrays that is passed from course to course | npy.py |

Reading needs no package beyond NumPy. Files are data here, never code, and a file that says it holds more than it does
is refused before memory is taken for it.
"""

from importlib import import_module
from pathlib import Path

from nn import CheckpointError, DeviceError
from nn.checkpoint import in_short
from trained import read

READERS = {".onnx": "onnx_model", ".caffemodel": "caffe", ".pth": "pth", ".pt": "pth", ".safetensors":
           "safetensors_file", ".npy": "npy"}


def load(path, threads=None, devices=None):
    """The Trained in a run's folder or in a file of any of these formats, told by the ending of its name.

    Raises CheckpointError, in a sentence: missing, damaged, or what in it does not fit.
    """
    path = Path(path)
    if path.is_dir() or path.suffix == ".npz":
        return read(path, threads, devices)
    if path.suffix not in READERS:
        found = f"{path} is of another kind" if path.exists() else f"found no {path}"
        raise CheckpointError(f"{found}: expected a run's folder or a file ending in .npz, {', '.join(READERS)}")
    reader = import_module(f"interop.{READERS[path.suffix]}")
    try:
        return reader.load(path, threads, devices)
    except (CheckpointError, DeviceError):
        raise
    except FileNotFoundError:
        raise CheckpointError(f"found no file {path}: name one that is there") from None
    except Exception as error:                              # damaged bytes can raise anything
        raise CheckpointError(f"{path} cannot be read ({in_short(error)}): expected a whole {path.suffix} file of an "
                              "AlexNet, fetch it again") from error
