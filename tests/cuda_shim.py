"""CUDA kernels on the CPU, for tests: a C++ compiler makes a library of nn/fast/kernels.cu; a launch is a loop.

    module = load("nn/fast/kernels.cu", real="float")
    module.get_function("sgd")((grid,), (block,), (w, v, g, np.int64(w.size), …))

Arguments are NumPy arrays and scalars of exactly the kernel's types. (CUDA does not check types; it misreads others.)
"""

import ctypes
import functools
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

HEADER = Path(__file__).with_name("cuda_shim.h")
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g"]


def compiler():
    """The C++ compiler ($CXX, g++ or clang++), or None."""
    return next(filter(None, map(shutil.which, [os.environ.get("CXX", "g++"), "clang++"])), None)


@functools.cache
def load(path, real="float", sanitize=False):
    """Compile a .cu file with `real` as its floating-point type → a Module.

    sanitize: use AddressSanitizer and UndefinedBehaviorSanitizer. The process must be started with libasan in
        LD_PRELOAD. It ends with a message at the first access outside an array that NumPy got from malloc.
    Raises RuntimeError with the compiler's message if there is no compiler or it fails.
    """
    source = Path(path).read_text(encoding="utf-8")
    names = re.findall(r'extern "C" __global__ void (\w+)\(', source)
    if compiler() is None:
        raise RuntimeError("no C++ compiler: found neither $CXX nor g++ nor clang++")
    with tempfile.TemporaryDirectory() as folder:           # the library stays mapped after its file is deleted
        code, library = Path(folder, "kernels.cpp"), Path(folder, "kernels.so")
        lines = [f'#include "{HEADER}"', f'#line 1 "{path}"', source, *(f"KERNEL({name})" for name in names)]
        code.write_text("\n".join(lines), encoding="utf-8")
        options = ["-std=c++17", "-O1", "-ffp-contract=off", "-shared", "-fPIC", f"-Dreal={real}"]
        result = subprocess.run([compiler(), *options, *(SANITIZE if sanitize else []), code, "-o", library],
                                capture_output=True, text=True)
        if result.returncode:
            raise RuntimeError(f"{path} does not compile:\n{result.stderr}")
        return Module(ctypes.CDLL(str(library)), names)


class Module:
    """A compiled .cu file. reverse = True: threads run in reverse, to expose code that relies on order. Blocks before
    first_block are skipped, for launches too large to run in full."""

    def __init__(self, library, names):
        self.library, self.names, self.reverse, self.first_block = library, names, False, 0

    def get_function(self, name):
        """A callable (grid, block, args), as in CuPy's RawModule; grid and block: (n,) or (n, 1, 1)."""
        if name not in self.names:
            raise AttributeError(f"there is no kernel {name!r}, only {', '.join(self.names)}")
        launch, types = self.library[f"launch_{name}"], self.library[f"types_{name}"]
        types.restype = ctypes.c_char_p
        launch.argtypes = [ctypes.c_uint, ctypes.c_uint, ctypes.c_uint, ctypes.c_bool, ctypes.c_void_p]

        def function(grid, block, args):
            expected, found = types().decode(), "".join(map(letters, args))
            if found != expected:
                raise TypeError(f"kernel {name} expects arguments of types {expected}, got {found}")
            if any(set(size[1:]) - {1} for size in (grid, block)):
                raise ValueError(f"kernel {name}: the shim runs one axis of blocks and threads, got {grid}, {block}")
            values = [ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else
                      (ctypes.c_char * a.nbytes).from_buffer_copy(a.tobytes()) if isinstance(a, np.void) else
                      np.ctypeslib.as_ctypes_type(a.dtype)(a.item()) for a in args]
            pointers = (ctypes.c_void_p * len(values))(*[ctypes.addressof(value) for value in values])
            launch(self.first_block, grid[0], block[0], self.reverse, pointers)

        return function


def letters(argument):
    """The type of an argument in cuda_shim.h's letters."""
    kind = np.dtype(argument.dtype)
    if kind.fields:
        return f"V{kind.itemsize}"
    letter = {("i", 4): "i", ("i", 8): "q", ("u", 4): "I", ("u", 8): "Q"}.get((kind.kind, kind.itemsize), kind.char)
    return ("*" if isinstance(argument, np.ndarray) else "") + letter
