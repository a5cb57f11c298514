"""A stand-in for CuPy 14 that needs no GPU and is stricter than CuPy; its errors explain CuPy's rules.

    with strict_cupy.install(devices=2) as gpu:         # `import cupy` now gives the stand-in
        train()
        gpu.copies                                      # [(source, destination, bytes), …], a device's number or "host"

It computes with NumPy and raises Refused, with a sentence, if code breaks one of these rules:

1. A CuPy array is not a NumPy array. NumPy operands and implicit conversions (np.asarray, a NumPy function) are
   refused. cupy.asarray and array.set copy to the device. array.get, and operations that need a number at once
   (float(array), `if array:`), copy back; these wait for the device.
2. An array is on one device, and only the current device computes: an operand on another device is refused.
   array.data.copy_from_device_async copies data between devices. Operations that only inspect an array (shape, slices,
   views) work on any device.
3. CuPy has fewer names, keywords and types than NumPy (tests/record_cupy.py recorded which).
4. Memory is not zero: cupy.empty returns the previous contents; here every bit is set, which in floats is NaN.
5. Work is queued. A stream runs its work in order. Between streams, and between a stream and the host, only an event
   (recorded on one, waited for by the other) or synchronize() makes an order. Without such an order, these are
   refused: reading data that another stream has written, overwriting data that it still reads, freeing memory that
   another stream still uses (the pool reuses it), and changing or freeing pinned memory while a copy from it may
   still run.
6. A kernel does not check its arguments. It silently misreads a wrong type or number of arguments, strides, or a scalar
   as Python's float (a double!); here they are refused.

Vector clocks (Lamport 1978, Fidge 1988) check the order: each piece of work stores how much of every stream's work is
certainly done before it, so a forgotten wait is found although everything here runs immediately. The check is by whole
allocations, not bytes, and treats the host as one thread. Not modelled: speed, cupy.random, cupy.linalg, cupy.fuse,
ElementwiseKernel. tests/test_strict_cupy.py lists where CuPy is more lenient.
"""

import contextlib
import ctypes
import functools
import itertools
import json
import operator
import re
import sys
import tempfile
import threading
import time
import types
import weakref
from pathlib import Path

import numpy as np

NAMES = json.loads(Path(__file__).with_name("cupy_names.json").read_text())


class Refused(Exception):
    """CuPy, or correct use of a GPU, does not allow this: one sentence."""


class Missing(Refused, AttributeError):
    """A name that CuPy 14 lacks."""


class CUDARuntimeError(RuntimeError):
    """cupy.cuda.runtime.CUDARuntimeError."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class OutOfMemoryError(MemoryError):
    """cupy.cuda.memory.OutOfMemoryError."""


# Devices, streams, events, and their order ---------------------------------------------------------------------------

class Clock(dict):
    """{stream: how many of its pieces of work are done}."""

    def merge(self, other):
        for stream, count in other.items():
            self[stream] = max(self.get(stream, 0), count)

    def saw(self, stream, count):
        return self.get(stream, 0) >= count


class Machine:
    """The computer: its devices' streams and memory, the host's waits, and the copies made."""

    def __init__(self, devices, memory, peer):
        self.devices, self.memory, self.peer = devices, memory, peer
        self.thread, self.host = threading.local(), Clock()
        self.copies, self.used, self.pinned, self.flying = [], [0] * devices, [], []
        self.limit, self.freed, self.peers = [0] * devices, {}, set()
        self.allocated = weakref.WeakValueDictionary()                              # {address: Memory}
        self.waits, self.products = 0, {}                                           # of the host; {dtype: kind}
        self.streams = [[Stream.__new__(Stream)._make(device, True, False)] for device in range(devices)]

    def reset(self):
        """Forget the copies so far."""
        self.copies.clear()

    def between(self):
        """The copies between devices: [(source, destination, bytes), …]."""
        return [copy for copy in self.copies if "host" not in copy]

    @property
    def current(self):
        """The number of the current device, in this thread."""
        return getattr(self.thread, "stack", [0])[-1]

    @property
    def stream(self):
        """The current stream of the current device, in this thread."""
        return self.stacks.get(self.current, [self.streams[self.current][0]])[-1]

    @property
    def stacks(self):
        return self.thread.__dict__.setdefault("streams", {})

    def wait(self, clock):
        """The host has waited: note the work that is done, and end the copies that have finished."""
        self.waits += 1
        self.host.merge(clock)
        for copy in [copy for copy in self.flying if self.host.saw(*copy.by)]:
            copy.land()
            self.flying.remove(copy)


class Flight:
    """A copy between a device and pinned memory that the host has not waited for."""

    def __init__(self, block, by, arriving=None):
        self.block, self.by, self.arriving, self.before = weakref.ref(block), by, arriving, block.tobytes()

    def land(self):
        block = self.block()
        if block is None:
            raise Refused("pinned memory was freed while a copy from or to it may still have been running: wait for the "
                          "copy's event first")
        if block.tobytes() != self.before:
            raise Refused("pinned memory was written to while a copy from or to it may still have been running: wait "
                          "for the copy's event first")
        if self.arriving is not None:
            out, value = self.arriving
            out[...] = value


def memory_at(address):
    """The allocation that holds an address in a kernel's argument."""
    for start in sorted((start for start in gpu.allocated if start <= address), reverse=True)[:1]:
        memory = gpu.allocated[start]
        if address < start + memory.nbytes:
            return memory
    raise Refused(f"a kernel gets the address {address:#x}, which is in no array of CuPy's: keep the array until the launch")


class Memory:
    """An allocation on a device: its last write (stream, count), and the reads since."""

    def __init__(self, block, stream):
        self.machine, self.stream, self.device, self.nbytes = gpu, stream, stream._device, 0
        self.start, self.readers = block.__array_interface__["data"][0], Clock()
        used, limit = gpu.used[self.device] + block.nbytes, gpu.limit[self.device] or gpu.memory
        if used > limit:
            raise OutOfMemoryError(f"Out of memory allocating {block.nbytes:,} bytes (allocated so far: "
                                   f"{gpu.used[self.device]:,} bytes, limit set to: {limit:,} bytes).")
        clock = stream._now()
        for other, count in gpu.freed.pop(stream, {}).items():
            if not clock.saw(other, count):
                raise Refused(f"memory of {stream} was freed while {other} may still use it, and is now given out "
                              f"again: let {stream} wait for an event of {other} before the array is dropped")
        self.nbytes, gpu.used[self.device] = block.nbytes, used
        self.written = stream, 0
        gpu.allocated[self.start] = self

    def __del__(self):
        if self.nbytes:
            self.machine.used[self.device] -= self.nbytes
            used = self.machine.freed.setdefault(self.stream, Clock())
            used.merge(self.readers)
            used.merge(dict([self.written]))


def work(stream, reads=(), writes=(), any_device=False):
    """A piece of work on a stream, with the memory that it reads and writes: refuse it, or record it."""
    clock = stream._now()
    for memory in (*reads, *writes):
        if memory.device != gpu.current and not any_device:
            raise Refused(f"an array of device {memory.device} is used while device {gpu.current} is current: use it "
                          "under `with device:`, or send it over")
        if not clock.saw(*memory.written):
            raise Refused(f"{stream} uses an array that {memory.written[0]} has written, or whose memory was last used "
                          f"there, without waiting for it: let it wait for an event recorded there")
    clock[stream] = clock.get(stream, 0) + 1
    for memory in writes:
        for other, count in memory.readers.items():
            if other is not stream and not clock.saw(other, count):
                raise Refused(f"{stream} overwrites an array that {other} may still be reading: let it wait for an "
                              "event recorded there after the reading")
        memory.written, memory.readers = (stream, clock[stream]), Clock()
    for memory in reads:
        memory.readers[stream] = clock[stream]
    return stream, clock[stream]


class Stream:
    """cupy.cuda.Stream, of the device that is current at its creation."""

    def __init__(self, null=False, non_blocking=False, ptds=False, priority=None):
        self._make(gpu.current, False, non_blocking)
        gpu.streams[gpu.current].append(self)

    def _make(self, device, null, non_blocking):
        self._device, self._null, self.is_non_blocking, self._clock = device, null, non_blocking, Clock()
        self.device_id, self.ptr = (-1, 0) if null else (device, id(self))
        return self

    def __repr__(self):
        kind = "the default stream" if self._null else f"stream {gpu.streams[self._device].index(self)}"
        return f"{kind} of device {self._device}"

    def _now(self):
        """The work done before the next work here: all that the host has waited for; and the default stream and the
        streams not made non_blocking wait for each other."""
        self._clock.merge(gpu.host)
        for other in gpu.streams[self._device]:
            if (self._null or other._null) and not (self.is_non_blocking or other.is_non_blocking):
                self._clock.merge(other._clock)
        return self._clock

    def _here(self):
        if self._device != gpu.current:
            raise Refused(f"{self} is used while device {gpu.current} is current: use it under `with device:`")
        return self

    def __enter__(self):
        self._here()
        gpu.stacks.setdefault(self._device, [gpu.streams[self._device][0]]).append(self)
        return self

    def __exit__(self, *exception):
        gpu.stacks[self._device].pop()

    def use(self):
        self.__enter__()
        return self

    def record(self, event=None):
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event):
        self._clock.merge(event._recorded())

    def synchronize(self):
        gpu.wait(self._now())

    @property
    def done(self):
        self.synchronize()
        return True


class CurrentNull:
    """Stream.null: the default stream of the current device."""

    def __get__(self, stream, kind):
        return gpu.streams[gpu.current][0]


Stream.null = CurrentNull()


class Event:
    """cupy.cuda.Event, of the device that is current at its creation."""

    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self._device, self._timed, self._clock, self.ptr = gpu.current, not disable_timing, None, id(self)

    def record(self, stream=None):
        stream = (gpu.stream if stream is None else stream)._here()
        if stream._device != self._device:
            raise Refused(f"an event made on device {self._device} is recorded on {stream}: make it under that device")
        self._clock, self._stream, self._time = Clock(stream._now()), stream, time.perf_counter()

    def _recorded(self):
        if self._clock is None:
            raise Refused("this event was never recorded: waiting for it waits for nothing")
        return self._clock

    def synchronize(self):
        gpu.wait(self._recorded())

    @property
    def done(self):
        self.synchronize()
        return True


def get_elapsed_time(start_event, end_event):
    """Milliseconds between two events."""
    for event in (start_event, end_event):
        if not event._timed or any(not gpu.host.saw(*item) for item in event._recorded().items()):
            raise Refused("the event has no time: it was made with disable_timing, or not waited for")
    if start_event._device != end_event._device:
        raise Refused("CUDA does not measure time between events of two devices")
    return (end_event._time - start_event._time) * 1000


class Device:
    """cupy.cuda.Device. Not hashable."""

    def __init__(self, device=None):
        self.id = gpu.current if device is None else int(device)

    __int__ = lambda self: self.id
    __eq__ = lambda self, other: isinstance(other, Device) and self.id == other.id
    __repr__ = lambda self: f"<CUDA Device {self.id}>"

    def __enter__(self):
        if not 0 <= self.id < gpu.devices:
            raise CUDARuntimeError(101, "cudaErrorInvalidDevice: invalid device ordinal")
        gpu.thread.__dict__.setdefault("stack", [0]).append(self.id)
        return self

    def __exit__(self, *exception):
        gpu.thread.stack.pop()

    def use(self):
        return self.__enter__()

    def synchronize(self):
        for stream in gpu.streams[self.id]:
            gpu.wait(stream._now())


# Arrays --------------------------------------------------------------------------------------------------------------

def expect_parameters(path, name, args, kwargs):
    """Refuse arguments that CuPy's function does not have."""
    names = NAMES[path].get(name)
    if names is None:
        return
    positional = [n for n in itertools.takewhile(lambda n: not n.startswith("*"), names) if n != "/"]
    wrong = [key for key in kwargs if key not in names and not names[-1].startswith("**")]
    if len(args) > len(positional) and not any(n[0] == "*" and n.strip("*") for n in names):
        wrong.append(f"argument number {len(args)}")
    if wrong:
        raise Refused(f"CuPy's {path}.{name}({', '.join(names)}) has no {', '.join(wrong)}")


def strip(value, found):
    """A value with CuPy arrays replaced by the NumPy arrays that they hold, and appended to `found`."""
    if isinstance(value, ndarray):
        found.append(value)
        return value._held
    if isinstance(value, np.ndarray):
        raise Refused(f"a NumPy array of shape {value.shape} is used with CuPy arrays: put it on the device first")
    if isinstance(value, dict):
        return {key: strip(item, found) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        if any(isinstance(item, ndarray) for item in value) and any(isinstance(item, list) for item in value):
            raise Refused("a list of numbers is used with CuPy arrays: make it an array of the device first")
        return type(value)(strip(item, found) for item in value)
    return value


def launch(function, args, kwargs=None, writes=()):
    """Run a NumPy function as work on the current device and stream → its result as CuPy arrays, also if NumPy returns
    numbers."""
    found = []
    args, kwargs = strip(tuple(args), found), strip(kwargs or {}, found)
    with np.errstate(all="ignore"):
        if writes:
            work(gpu.stream, [a._memory for a in found], [a._memory for a in writes])
        result = function(*args, **kwargs)
    if result is None:
        return None
    parts = [np.asarray(part) for part in (result if isinstance(result, (tuple, list)) else [result])]
    sources = [next((a for a in found if part is a._held or np.may_share_memory(part, a._held)), None)
               for part in parts]
    if not writes and any(source is None for source in sources):            # not only views, which need no work
        work(gpu.stream, [a._memory for a in found])
    arrays = [wrap(part, source) for part, source in zip(parts, sources)]
    return type(result)(arrays) if isinstance(result, (tuple, list)) else arrays[0]


def wrap(held, source=None):
    """A CuPy array that holds a NumPy array: a view of `source`'s memory, or the current stream's latest result."""
    if source is not None and held is source._held:
        return source
    if held.dtype.char not in NAMES["dtypes"]:
        raise Refused(f"CuPy has no arrays of {held.dtype}")
    array = object.__new__(ndarray)
    array._held, array._memory = held, source._memory if source is not None else Memory(held, gpu.stream)
    if source is None:
        work(gpu.stream, (), [array._memory])
    return array


def garbage(shape, dtype=float, order="C"):
    held = np.empty(shape, dtype, order)
    held.reshape(-1, order="A").view(np.uint8).fill(255)
    return held


class ndarray:
    """cupy.ndarray."""

    __slots__ = "_held", "_memory"
    __array_priority__ = 100

    def __new__(cls, shape, dtype=float):
        return wrap(garbage(shape, dtype))

    def __getattr__(self, name):
        if name not in NAMES["cupy.ndarray"]:
            raise Missing(f"CuPy's arrays have no {name}")
        if not callable(getattr(np.ndarray, name, self)):
            value = getattr(self._held, name)
            return wrap(value, self) if isinstance(value, np.ndarray) else value
        if not hasattr(np.ndarray, name):
            raise Refused(f"{name} of a CuPy array is not modelled: add it to tests/strict_cupy.py")

        def method(*args, **kwargs):
            expect_parameters("cupy.ndarray", name, args, kwargs)
            out = kwargs.get("out")
            writes = [self] if name in ("fill", "sort", "partition", "put") else [] if out is None else [out]
            return launch(getattr(np.ndarray, name), (self, *args), kwargs, writes)
        return method

    device = property(lambda self: Device(self._memory.device))
    data = property(lambda self: MemoryPointer(self))
    flags = property(lambda self: types.SimpleNamespace(c_contiguous=self._held.flags.c_contiguous,
                                                        f_contiguous=self._held.flags.f_contiguous))

    def __array__(self, *args, **kwargs):
        raise Refused("a CuPy array is implicitly converted to a NumPy array: use .get()")

    def __array_ufunc__(self, ufunc, method, *args, **kwargs):
        if method == "__call__" and not kwargs and isinstance(args[0], np.generic):        # np.float32(2) * array
            return launch(ufunc, args)
        strip(args, [])                                                     # refuses NumPy arrays
        raise Refused(f"np.{ufunc.__name__} is called on a CuPy array: write xp.{ufunc.__name__}")

    def __array_function__(self, function, types, args, kwargs):
        raise Refused(f"np.{function.__name__} is called on a CuPy array: write xp.{function.__name__}")

    # Copies between host and device

    def get(self, stream=None, order="C", out=None, blocking=True):
        with Device(self._memory.device):
            stream = gpu.stream if stream is None else stream
            by = work(stream._here(), [self._memory])
            gpu.copies.append((self._memory.device, "host", self._held.nbytes))
            block = None if out is None or blocking else pinned_block(out)
            if block is None:
                stream.synchronize()
                out = np.empty(self.shape, self.dtype, order) if out is None else out
            if (out.shape, out.dtype) != (self.shape, self.dtype):
                raise Refused(f"{self.dtype} {self.shape} cannot be fetched into {out.dtype} {out.shape}")
            out[...] = self._held if block is None else garbage(out.shape, out.dtype)
            if block is not None:
                gpu.flying.append(Flight(block, by, (out, self._held.copy())))
        return out

    def set(self, arr, stream=None):
        if not isinstance(arr, np.ndarray):
            raise Refused(f"only a NumPy array can be set, got {type(arr).__name__}")
        if (arr.shape, arr.dtype) != (self.shape, self.dtype):
            raise Refused(f"{arr.dtype} {arr.shape} cannot be set to {self.dtype} {self.shape}")
        with Device(self._memory.device):
            target, block = gpu.stream if stream is None else stream._here(), pinned_block(arr)
            for copy in gpu.flying:
                if block is not None and copy.block() is block:
                    copy.land()                                             # unchanged since that copy, or refused
            by = work(target, (), [self._memory])
            gpu.copies.append(("host", self._memory.device, arr.nbytes))
            self._held[...] = arr
            if stream is None:
                target.synchronize()
            elif block is not None:
                gpu.flying.append(Flight(block, by))

    item = lambda self: self.get().item()
    tolist = lambda self: self.get().tolist()
    tobytes = lambda self, order="C": self.get().tobytes(order)

    def _number(self, kind):
        if self.ndim and kind is not bool:
            raise Refused(f"{kind.__name__}() of a CuPy array of shape {self.shape}: only a 0-d array is a number")
        return kind(self.get())

    __float__ = lambda self: self._number(float)
    __int__ = lambda self: self._number(int)
    __bool__ = lambda self: self._number(bool)
    __repr__ = lambda self: f"<CuPy array {self._held.dtype} {self._held.shape} on device {self._memory.device}>"
    __str__ = lambda self: str(self.get())
    __format__ = lambda self, spec: format(self.get(), spec)
    __len__ = lambda self: len(self._held)
    __hash__ = None

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key):
        return launch(lambda held, key: held[key], (self, whole(key)))

    def __setitem__(self, key, value):
        if isinstance(value, (list, tuple)):
            raise Refused("a list is assigned to a part of a CuPy array: make it an array of the device first")
        launch(operator.setitem, (self, whole(key), value), writes=[self])


def whole(key):
    """An index that returns an array where NumPy's would return a number."""
    key = key if isinstance(key, tuple) else (key,)
    return key if any(k is Ellipsis for k in key) else (*key, Ellipsis)


def add_operators():
    def define(name, function, reflected=False, in_place=False):
        def method(self, *others):
            if any(not isinstance(o, (ndarray, np.ndarray, np.generic, int, float, complex)) for o in others):
                raise Refused(f"{name} of a CuPy array and {type(others[-1]).__name__}")
            args = (*others, self) if reflected else (self, *others)
            return launch(function, args, writes=[self] if in_place else ())
        setattr(ndarray, name, method)

    for name in "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift".split():
        function = getattr(operator, f"__{name}__")
        define(f"__{name}__", function)
        define(f"__r{name}__", function, reflected=True)
        if name != "matmul":
            define(f"__i{name}__", getattr(operator, f"__i{name}__"), in_place=True)
    for name in "neg pos abs invert lt le eq ne gt ge".split():
        define(f"__{name}__", getattr(operator, f"__{name}__"))
    define("__divmod__", divmod)


add_operators()


class MemoryPointer:
    """array.data: an address on a device."""

    def __init__(self, array):
        self._array, self.mem, self.device_id = array, array._memory, array._memory.device
        self.ptr, self.device = array._held.__array_interface__["data"][0], array.device

    def copy_from_device_async(self, src, size, stream=None):
        for pointer in (self, src):
            if pointer.ptr < pointer.mem.start or pointer.ptr + size > pointer.mem.start + pointer.mem.nbytes:
                raise Refused(f"a copy of {size} bytes runs past the end of its memory of {pointer.mem.nbytes}")
            if not pointer._array._held.flags.c_contiguous:
                raise Refused("a memory copy needs contiguous bytes, but the array is a view with strides: make it "
                              "contiguous first")
        work((gpu.stream if stream is None else stream)._here(), [src.mem], [self.mem], any_device=True)
        if src.device_id != self.device_id:
            gpu.copies.append((src.device_id, self.device_id, size))
        ctypes.memmove(self.ptr, src.ptr, size)


def alloc_pinned_memory(size):
    """Memory of the host that a device can copy from and to while the host continues."""
    block = garbage(size, np.uint8)
    gpu.pinned = [known for known in gpu.pinned if known() is not None] + [weakref.ref(block)]
    return block


def pinned_block(array):
    """The pinned memory that holds an array, or None."""
    blocks = (known() for known in gpu.pinned)
    return next((block for block in blocks if block is not None and np.may_share_memory(block, array)), None)


def empty_pinned(shape, dtype=float, order="C"):
    """Pinned memory as a NumPy array."""
    size = int(np.prod(shape))
    return alloc_pinned_memory(size * np.dtype(dtype).itemsize).view(dtype)[:size].reshape(shape, order=order)


# The modules ---------------------------------------------------------------------------------------------------------

class Space(types.ModuleType):
    """A module with the given attributes; other names must be CuPy's."""

    def __init__(self, path, **given):
        super().__init__(path)
        self.__dict__.update(given)

    def __getattr__(self, name):
        path = self.__name__
        if name not in NAMES.get(path, ()):
            raise Missing(f"CuPy 14 has no {path}.{name}")
        of_numpy = getattr({"cupy": np, "cupy.lib.stride_tricks": np.lib.stride_tricks}.get(path), name, sys)
        if isinstance(of_numpy, types.ModuleType):
            raise Refused(f"{path}.{name} is not modelled: add it to tests/strict_cupy.py")
        if isinstance(of_numpy, type) or not callable(of_numpy):
            return of_numpy                                                 # float32, pi, …
        return function(path, name, of_numpy)


# Functions that only inspect arrays, and functions that write into their first argument:
ABOUT = {"shape", "ndim", "size", "isscalar", "result_type", "can_cast", "promote_types", "may_share_memory",
         "shares_memory"}
INTO_FIRST = {"copyto", "put", "put_along_axis", "fill_diagonal"}


def function(path, name, of_numpy):
    def call(*args, **kwargs):
        expect_parameters(path, name, args, kwargs)
        if name in ABOUT:
            return of_numpy(*strip(args, []), **strip(kwargs, []))
        is_ufunc = isinstance(of_numpy, np.ufunc)
        if is_ufunc and any(isinstance(arg, (list, tuple)) for arg in args):
            raise Refused(f"cupy.{name} of a list: make it an array of the device first")
        if is_ufunc and len(args) > of_numpy.nin:
            args, kwargs = args[:of_numpy.nin], kwargs | {"out": args[of_numpy.nin:]}
        out = args[0] if name in INTO_FIRST else kwargs.get("out")
        return launch(of_numpy, args, kwargs, [] if out is None else [*out] if isinstance(out, tuple) else [out])
    call.__name__ = name
    return call


def array(obj, dtype=None, copy=True, order="K", subok=False, ndmin=0, *, blocking=False):
    """Copy from the host to the current device, or from an array of the device."""
    if isinstance(obj, ndarray) or isinstance(obj, (list, tuple)) and any(isinstance(item, ndarray) for item in obj):
        return launch(lambda a: np.array(a, dtype, copy=True if copy else None, order=order, ndmin=ndmin), (obj,))
    held = np.array(obj, dtype, order=order, ndmin=ndmin)
    made = wrap(held)
    gpu.copies.append(("host", gpu.current, held.nbytes))
    return made


def asarray(a, dtype=None, order=None, *, copy=None, blocking=False):
    if isinstance(a, ndarray) and a._memory.device != gpu.current:
        raise Refused(f"cupy.asarray copies an array of device {a._memory.device} to device {gpu.current} implicitly")
    return array(a, dtype, bool(copy), order or "K")


def asnumpy(a, stream=None, order="C", out=None, *, blocking=True):
    return a.get(stream, order, out, blocking) if isinstance(a, ndarray) else np.asarray(a, order=order)


class Pool:
    """cupy.get_default_memory_pool(): of the current device."""

    used_bytes = total_bytes = lambda self: gpu.used[gpu.current]
    free_bytes = n_free_blocks = lambda self: 0
    free_all_blocks = lambda self, stream=None: None
    get_limit = lambda self: gpu.limit[gpu.current]

    def set_limit(self, size=None, fraction=None):
        gpu.limit[gpu.current] = size if size is not None else int(fraction * gpu.memory)


def device_count():
    if not gpu.devices:
        raise CUDARuntimeError(100, "cudaErrorNoDevice: no CUDA-capable device is detected")
    return gpu.devices


def enable_peer(peerDevice):
    if not gpu.peer:
        raise CUDARuntimeError(217, "cudaErrorPeerAccessUnsupported: peer access is not supported here")
    if (gpu.current, peerDevice) in gpu.peers:
        raise CUDARuntimeError(704, "cudaErrorPeerAccessAlreadyEnabled: peer access is already enabled")
    gpu.peers.add((gpu.current, peerDevice))


class RawModule:
    """cupy.RawModule: CUDA source, compiled for the processor (tests/cuda_shim.py) if there is a C++ compiler."""

    def __init__(self, code=None, *, path=None, options=(), **more):
        self.code = Path(path).read_text(encoding="utf-8") if code is None else code
        self.real = dict(re.findall(r"-D(\w+)=(\w+)", " ".join(options)))["real"]

    def compile(self, log_stream=None):
        self.module = compiled(self.code, self.real)

    def get_function(self, name):
        self.compile()
        words = re.search(rf"__global__\s+void\s+{name}\s*\((.*?)\)", self.code, re.DOTALL)
        if not words:
            raise CUDARuntimeError(500, f"cudaErrorSymbolNotFound: named symbol not found: {name}")
        structs = {kind: set(re.findall(r"const real \*(\w+)\[", body))
                   for kind, body in re.findall(r"struct (\w+) \{(.*?)\};", self.code, re.DOTALL)}
        consts = [structs.get(word.split()[-2], "const" in word) for word in words[1].split(",")]
        return RawKernel(name, self.module.get_function(name), consts)


@functools.cache
def compiled(code, real):
    import cuda_shim
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "kernels.cu")
        path.write_text(code, encoding="utf-8")
        return cuda_shim.load(path, real=real)


class RawKernel:
    """kernel(grid, block, arguments). The shim compares their types with the kernel's parameters. `const`: for each of
    these whether it is only read, or, for a struct, the names of its pointers to what is only read."""

    def __init__(self, name, launch, const):
        self.name, self.launch, self.const = name, launch, const

    def __call__(self, grid, block, args, *, shared_mem=0, stream=None):
        arrays, reads, writes = [], [], []
        strip(tuple(args), arrays)
        for array, const in zip(args, self.const):
            if isinstance(array, ndarray):
                (reads if const else writes).append(array._memory)
            elif isinstance(array, np.void):
                for name in array.dtype.names:
                    if array.dtype[name].base == np.uint64:                         # addresses
                        (reads if name in const else writes).extend(map(memory_at, filter(None, array[name].tolist())))
        for array in arrays:
            if not array._held.flags.c_contiguous:
                raise Refused(f"kernel {self.name} gets a view with strides {array.strides}, which it does not see")
        work((gpu.stream if stream is None else stream)._here(), reads, writes)
        try:            # CuPy converts a Python number to int64 or float64
            self.launch(grid, block, [a._held if isinstance(a, ndarray) else np.asarray(a)[()] for a in args])
        except TypeError as error:
            raise Refused(f"{error}: CUDA would silently read other numbers") from None


runtime = Space("cupy.cuda.runtime", CUDARuntimeError=CUDARuntimeError, getDeviceCount=device_count,
                getDevice=lambda: gpu.current, deviceEnablePeerAccess=enable_peer,
                deviceCanAccessPeer=lambda device, peerDevice: int(gpu.peer and device != peerDevice),
                getDeviceProperties=lambda device: {"name": b"strict double", "totalGlobalMem": gpu.memory},
                memGetInfo=lambda: (gpu.memory - gpu.used[gpu.current], gpu.memory),
                deviceSynchronize=lambda: Device().synchronize())
cuda = Space("cupy.cuda", Device=Device, Stream=Stream, Event=Event, MemoryPointer=MemoryPointer, runtime=runtime,
             get_current_stream=lambda device_id=-1: gpu.stream, get_elapsed_time=get_elapsed_time,
             alloc_pinned_memory=alloc_pinned_memory,
             memory=Space("cupy.cuda.memory", OutOfMemoryError=OutOfMemoryError), is_available=lambda: gpu.devices > 0)
lib = Space("cupy.lib", stride_tricks=Space("cupy.lib.stride_tricks"))
cupy = Space("cupy", __version__=NAMES["version"], ndarray=ndarray, cuda=cuda, lib=lib, array=array, asarray=asarray,
             asnumpy=asnumpy, RawModule=RawModule, get_default_memory_pool=Pool, get_default_pinned_memory_pool=Pool,
             empty=lambda shape, dtype=float, order="C": wrap(garbage(shape, dtype, order)),
             empty_like=lambda prototype, dtype=None, order="K", subok=None, shape=None: launch(
                 lambda a: garbage(a.shape if shape is None else shape, dtype or a.dtype), (prototype,)))
cupy._core = types.SimpleNamespace(                             # of it, only the kind of products
    _routines_linalg=types.SimpleNamespace(COMPUTE_TYPE_DEFAULT="DEFAULT", COMPUTE_TYPE_TF32="TF32"),
    set_compute_type=lambda dtype, kind: gpu.products.update({np.dtype(dtype): kind}))
cupyx = Space("cupyx", empty_pinned=empty_pinned)
MODULES = {"cupy": cupy, "cupy.cuda": cuda, "cupy.cuda.runtime": runtime, "cupy.lib": lib, "cupyx": cupyx}
gpu = None      # the Machine


@contextlib.contextmanager
def install(devices=2, memory=8 << 30, peer=False):
    """Replace CuPy until the end of the `with`, on a machine with `devices` of `memory` bytes each → the Machine."""
    global gpu
    kept, gpu_kept = {name: sys.modules.get(name) for name in MODULES}, gpu
    gpu = Machine(devices, memory, peer)
    sys.modules.update(MODULES)
    try:
        yield gpu
    finally:
        gpu = gpu_kept
        for name, module in kept.items():
            sys.modules.pop(name) if module is None else sys.modules.update({name: module})
