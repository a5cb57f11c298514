"""CUDA tests: on hardware, or on emulated devices. `cuda` needs one device and `multigpu` two; else they skip, with the
reason. (Where CuPy cannot run at all, tests/test_strict_network.py tests the same code on a double.)"""

import gc

import pytest

from nn.run.device import DeviceError, cuda_devices

try:
    COUNT, REASON = cuda_devices(), ""
except DeviceError as error:
    COUNT, REASON = 0, str(error)


def pytest_report_header():
    return f"CUDA devices: {COUNT or REASON}"


def pytest_collection_modifyitems(items):
    for item in items:
        for mark, needed in (("cuda", 1), ("multigpu", 2)):
            if item.get_closest_marker(mark) and COUNT < needed:
                item.add_marker(pytest.mark.skip(reason=REASON or f"needs {needed} CUDA devices, found {COUNT}"))


@pytest.fixture(autouse=True)
def clean():
    """After each test its work is done and its memory given back (the emulator guards every block of it, which takes
    time)."""
    yield
    gc.collect()
    if COUNT:
        import cupy
        for number in range(COUNT):
            with cupy.cuda.Device(number) as device:
                device.synchronize()
                cupy.get_default_memory_pool().free_all_blocks()


@pytest.fixture
def emucuda():
    """The emulator's counters, which hardware has not."""
    emulator = pytest.importorskip("emucuda", reason="counts what only the emulator counts")
    emulator.reset()
    return emulator
