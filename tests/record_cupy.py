"""Print the names in the installed CuPy and its functions' parameters, for tests/strict_cupy.py.

    ../shared/emucuda/run python tests/record_cupy.py > tests/cupy_names.json      (or with a CuPy of your own)

CuPy writes most signatures only into the first line of docstrings. A null means that no signature can be read.
"""

import inspect
import json
import re

import cupy
import cupyx
import numpy as np

SPACES = {"cupy": cupy, "cupy.ndarray": cupy.ndarray, "cupy.lib.stride_tricks": cupy.lib.stride_tricks,
          "cupy.cuda": cupy.cuda, "cupy.cuda.runtime": cupy.cuda.runtime, "cupy.cuda.Device": cupy.cuda.Device,
          "cupy.cuda.Stream": cupy.cuda.Stream, "cupy.cuda.Event": cupy.cuda.Event,
          "cupy.cuda.MemoryPointer": cupy.cuda.MemoryPointer, "cupy.cuda.MemoryPool": cupy.cuda.MemoryPool,
          "cupy.cuda.PinnedMemoryPool": cupy.cuda.PinnedMemoryPool, "cupy.RawModule": cupy.RawModule,
          "cupy.RawKernel": cupy.RawKernel, "cupyx": cupyx}


def parameters(thing):
    """Names in order, with "/", "*", "*args" and "**kwargs" in place; None if unknown."""
    if not callable(thing):
        return None
    try:
        text = re.sub(r"\s+->.*$", "", str(inspect.signature(thing)), flags=re.DOTALL)
    except (TypeError, ValueError):
        first = ((thing.__doc__ or "").strip().splitlines() or [""])[0].replace("\\", "")
        found = re.match(r"[\w.]+(\(.*\))", first)
        if not found:
            return None
        text = found[1]
    names, depth, word = [], 0, ""
    for letter in text[1:-1] + ",":
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and not depth:
            names.append(re.split(r"[=:]", word)[0].split()[-1] if word.strip() else "")
            word = ""
        else:
            word += letter
    return [name for name in names if name not in ("", "self")]


def dtypes():
    """The letters of the dtypes that arrays can have."""
    letters = ""
    for letter in np.typecodes["All"]:
        try:
            cupy.empty(1, letter)
            letters += letter
        except (TypeError, ValueError):
            pass
    return letters


def record():
    """{"version": …, "dtypes": letters, a class or module: {name: parameters}}."""
    spaces = {path: {name: parameters(getattr(space, name)) for name in sorted(dir(space))
                     if not re.match("_|annotations$|cuda.", name)}             # cuda…: hundreds of constants
              for path, space in SPACES.items()}
    return {"version": cupy.__version__, "dtypes": dtypes()} | spaces


if __name__ == "__main__":
    text = json.dumps(record(), indent=1)
    print(re.sub(r"\[\s+([^\]]*?)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m[1]) + "]", text))    # a name per line
