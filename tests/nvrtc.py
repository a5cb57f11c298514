"""CUDA's run-time compiler, called as CuPy calls it, and its report on registers. No GPU is needed.

It is found as the package nvidia-cuda-nvrtc-cu12 installs it (12.x compiles for every GPU from sm_50 on; 13 begins at
sm_75), or as libnvrtc on the system's library path; else nvcc on the PATH replaces it.
"""

import ctypes
import ctypes.util
import importlib.util
import re
import shutil
import subprocess
import tempfile
from pathlib import Path


def find():
    """→ "nvrtc" and its library, or "nvcc" and its path, or (None, None)."""
    packages = importlib.util.find_spec("nvidia")
    for folder in packages.submodule_search_locations if packages else []:
        for library in sorted(Path(folder).glob("*/lib/libnvrtc.so.*")):
            return "nvrtc", ctypes.CDLL(str(library))
    name = ctypes.util.find_library("nvrtc")
    if name:
        return "nvrtc", ctypes.CDLL(name)
    return ("nvcc", shutil.which("nvcc")) if shutil.which("nvcc") else (None, None)


def compile_for(path, arch, real):
    """Compile a .cu file for sm_`arch` → {kernel: (registers, bytes on the stack, bytes spilled)}.

    Raises RuntimeError with the compiler's message if it fails, LookupError if there is no compiler or it does not know
    the GPU.
    """
    kind, compiler = find()
    if not kind:
        raise LookupError("no CUDA compiler: pip install nvidia-cuda-nvrtc-cu12, or put nvcc on the PATH")
    status, log = (with_nvrtc if kind == "nvrtc" else with_nvcc)(compiler, Path(path), arch, real)
    if re.search(r"invalid value for --gpu-architecture|Unsupported gpu architecture", log):
        raise LookupError(f"this {kind} does not know sm_{arch}")
    if status:
        raise RuntimeError(f"{kind} fails for sm_{arch}, real={real}:\n{log}")
    found = {}
    for part in log.split("Compiling entry function '")[1:]:
        stack, stores, loads = map(int, re.search(
            r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", part).groups())
        found[part.split("'")[0]] = int(re.search(r"Used (\d+) registers", part)[1]), stack, stores + loads
    return found


def with_nvrtc(library, path, arch, real):
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    library.nvrtcCreateProgram(ctypes.byref(program), path.read_bytes(), path.name.encode(), 0, None, None)
    options = f"--gpu-architecture=sm_{arch} --std=c++14 --ptxas-options=-v -Dreal={real}".encode().split()
    status = library.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    library.nvrtcDestroyProgram(ctypes.byref(program))
    return status, log.value.decode()


def with_nvcc(nvcc, path, arch, real):
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run([nvcc, f"-arch=sm_{arch}", "-cubin", "-Xptxas=-v", f"-Dreal={real}", path, "-o",
                                 Path(folder, "kernels.cubin")], capture_output=True, text=True)
    return result.returncode, result.stdout + result.stderr


def main():
    """Print every kernel's registers on each GPU."""
    path = Path(__file__).parents[1] / "nn" / "fast" / "kernels.cu"
    for real in "float", "double":
        for arch in 70, 75, 80, 86, 89, 90:
            try:
                used = compile_for(path, arch, real)
            except LookupError as reason:
                print(f"sm_{arch} {real:6} {reason}")
                continue
            print(f"sm_{arch} {real:6} registers " + ", ".join(
                f"{name} {registers}{f' (spilled: {spilled})' if spilled else ''}"
                for name, (registers, _, spilled) in used.items()))


if __name__ == "__main__":
    main()
