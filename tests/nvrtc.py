"""CUDA's run-time compiler, called as CuPy calls it, and its report on registers. No GPU is needed.

It is found as the packages nvidia-cuda-nvrtc-cu12 (12.x) and nvidia-cuda-nvrtc (13.x, without sm_70) install it, or as
libnvrtc on the system's library path; else nvcc on the PATH replaces it.

    python tests/nvrtc.py           # every kernel's registers on each GPU
"""

import ctypes
import ctypes.util
import functools
import importlib.util
import itertools
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

VERSIONS = 12, 13
ARCHITECTURES = 75, 80, 86, 89, 90, 100                         # Turing to Blackwell


@functools.cache
def find():
    """→ {major version: ("nvrtc", its library) or ("nvcc", its path)}."""
    found, packages = {}, importlib.util.find_spec("nvidia")
    libraries = [str(library) for folder in (packages.submodule_search_locations if packages else [])
                 for library in sorted(Path(folder).glob("*/lib/libnvrtc.so.*"))]
    for library in [*libraries, *filter(None, [ctypes.util.find_library("nvrtc")])]:
        library, major, minor = ctypes.CDLL(library), ctypes.c_int(), ctypes.c_int()
        library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
        found.setdefault(major.value, ("nvrtc", library))
    nvcc = None if found else shutil.which("nvcc")
    if nvcc:
        text = subprocess.run([nvcc, "--version"], capture_output=True, text=True).stdout
        found[int(re.search(r"release (\d+)", text)[1])] = "nvcc", nvcc
    return found


def compile_for(path, arch, real, version):
    """Compile a .cu file for sm_`arch` with CUDA `version`, 12 or 13 → {kernel: (registers, bytes on the stack, bytes
    spilled)}.

    Raises RuntimeError with the compiler's message if it fails, LookupError if there is no compiler or it does not know
    the GPU.
    """
    if version not in find():
        package = "nvidia-cuda-nvrtc-cu12" if version == 12 else "'nvidia-cuda-nvrtc==13.*'"
        raise LookupError(f"no compiler of CUDA {version}: pip install {package}, or put nvcc on the PATH")
    kind, compiler = find()[version]
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
    for version, real, arch in itertools.product(VERSIONS, ("float", "double"), ARCHITECTURES):
        try:
            used = compile_for(path, arch, real, version)
        except LookupError as reason:
            print(f"CUDA {version} sm_{arch} {real:6} {reason}")
            continue
        print(f"CUDA {version} sm_{arch} {real:6} registers " + ", ".join(
            f"{name} {registers}{f' (spilled: {spilled})' if spilled else ''}"
            for name, (registers, _, spilled) in used.items()))


if __name__ == "__main__":
    main()
