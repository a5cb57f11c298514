"""Devices and their arrays. Only this file imports CuPy, and only here arrays are copied between devices."""

import sys
import threading
import time

import numpy as np


class DeviceError(ValueError):
    """A device that does not exist or has too little memory; the message is one sentence."""


def array_module(array):
    """The library an array belongs to, by the name `xp` that is usual for it: layers work with what they are given."""
    cupy = sys.modules.get("cupy")
    return cupy if cupy is not None and isinstance(array, cupy.ndarray) else np


class Device:
    """Holds arrays and computes with them: Device("cpu") or Device("cuda:0").

        with device: …                     new arrays are made on it
        device.put(array), device.get(array)   from and to a NumPy array
        device.sent                            {receiving device: bytes sent to it}, for the traffic of § 3.2
        device.mark(), device.seconds(a, b)    a point in the device's work, and the seconds between two
        device.wait()                          until all its work is done
        device.memory()                        (bytes free, bytes in all), or None for the CPU

    Two towers on one processor or card have a Device each, so that their exchanges can be counted.
    Raises DeviceError for a device that does not exist.
    """

    number = None           # of the CUDA device

    def __new__(cls, name="cpu"):
        kind = CudaDevice if cls is Device and str(name).startswith("cuda") else cls
        return super().__new__(kind)

    def __init__(self, name="cpu"):
        if name != "cpu":
            raise DeviceError(f"found device {name!r}, expected cpu, cuda, cuda:0 or, for two towers, cuda:0,cuda:1")
        self.name, self.sent, self._lock = name, {}, threading.Lock()

    def __repr__(self):
        return f"Device({self.name!r})"

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        return None

    def put(self, array):
        return np.asarray(array)

    def get(self, array):
        return array

    def receive(self, array, source):
        """See send."""
        return array

    def mark(self):
        return time.perf_counter()

    def seconds(self, start, stop):
        return stop - start

    def wait(self):
        return None

    def memory(self):
        """(bytes free for arrays, bytes in all), or None for the CPU, which is not limited here."""
        return None


class CudaDevice(Device):
    """One GPU. Its arrays are CuPy's, and its work is queued: Python continues at once, and waits only for numbers
    (get, float, seconds, wait). All computation of a tower runs in one stream, in order: the card's default stream, or,
    for the second tower on a card, one of its own, so that work of both can run at the same time (see meet). `copying`
    is another stream, for batches that arrive meanwhile (nn/run/feed.py)."""

    stream = None           # of its own, if any

    def __init__(self, name):
        self.name, self.sent, self._lock = name, {}, threading.Lock()
        count = cuda_devices()
        number = name.removeprefix("cuda:")
        if not number.isdecimal() or int(number) >= count:
            raise DeviceError(f"found {count} CUDA device{'s' * (count > 1)}, expected one called {name}: name one of "
                              f"{', '.join(f'cuda:{i}' for i in range(count))}, or cpu")
        import cupy
        self.cupy, self.number = cupy, int(number)
        self._device = cupy.cuda.Device(self.number)
        with self:
            self.copying = cupy.cuda.Stream(non_blocking=True)

    def __enter__(self):
        self._device.__enter__()
        if self.stream is not None:
            self.stream.__enter__()
        return self

    def __exit__(self, *exception):
        if self.stream is not None:
            self.stream.__exit__(*exception)
        self._device.__exit__(*exception)

    def use_own_stream(self):
        with self:
            stream = self.cupy.cuda.Stream(non_blocking=True)
        self.stream = stream

    def put(self, array):
        """A NumPy array, or one that is already here → an array here."""
        with self:
            return self.cupy.asarray(array)

    def get(self, array):
        """An array here → a NumPy array, once it is computed."""
        with self:
            return self.cupy.asnumpy(array)

    def receive(self, array, source):
        """See send. The copy waits until `source` has computed the array; later work of `source`, which may reuse the
        array's memory, waits for the copy. Python waits for neither. Without peer access, the driver copies through
        pinned memory of the host. On one card nothing is copied: the towers meet before."""
        if source.number == self.number:
            return array
        with source:
            array = self.cupy.ascontiguousarray(array)
            computed = source.event()
        with self:
            self.await_event(computed)
            received = self.cupy.empty(array.shape, array.dtype)
            received.data.copy_from_device_async(array.data, array.nbytes)
            arrived = self.event()
        source.await_event(arrived)
        return received

    def empty(self, like):
        """Memory here for an array like this NumPy array."""
        with self:
            return self.cupy.empty(like.shape, like.dtype)

    def pinned(self, like):
        """A NumPy array like this one in pinned memory, from which the hardware copies by itself."""
        memory = self.cupy.cuda.alloc_pinned_memory(like.nbytes)
        return np.frombuffer(memory, like.dtype, like.size).reshape(like.shape)

    def copy_in(self, array, pinned):
        """Queue, on the copying stream, the copy of a pinned NumPy array into `array`."""
        with self:
            array.set(pinned, stream=self.copying)

    def copy_out(self, array, pinned, computed):
        """Copy `array` into a pinned NumPy array after the event `computed`, beside later work, and wait for it."""
        with self:
            self.copying.wait_event(computed)
            array.get(stream=self.copying, out=pinned)

    def event(self, stream=None, timing=False):
        """A point in the work queued so far, here or on `stream`, for others to wait for."""
        with self:
            event = self.cupy.cuda.Event(disable_timing=not timing)
            event.record(stream or self.cupy.cuda.get_current_stream())
            return event

    def await_event(self, event):
        """Let the work queued from now on wait for an event, of any device."""
        with self:
            self.cupy.cuda.get_current_stream().wait_event(event)

    def mark(self):
        return self.event(timing=True)

    def seconds(self, start, stop):
        stop.synchronize()
        return self.cupy.cuda.get_elapsed_time(start, stop) / 1000

    def wait(self):
        self._device.synchronize()

    def memory(self):
        """Free: the card's free memory and the unused part of CuPy's pool."""
        with self:
            free, total = self.cupy.cuda.runtime.memGetInfo()
            return free + self.cupy.get_default_memory_pool().free_bytes(), total


def cuda_devices():
    """How many CUDA devices there are. Raises DeviceError if there are none, or no CuPy to use them."""
    try:
        import cupy
    except ImportError as error:
        found = "no CuPy" if isinstance(error, ModuleNotFoundError) else f"a CuPy that does not load ({error})"
        raise DeviceError(f"found {found}, which CUDA devices need: pip install -r requirements/cuda.txt, or use "
                          "--device cpu") from None
    try:
        return cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise DeviceError(f"found no CUDA device ({error}), expected an NVIDIA GPU and its driver (does nvidia-smi "
                          "show it?): set it up, or use --device cpu") from None


def use_tf32(on, names):
    """Let products of float32 arrays on GPUs run on their tensor cores, in TF32: each factor is rounded to 11 bits
    (float32: 24), products and sums stay float32. So a sum Σ a·b is off by at most 2^-9 Σ |a·b|, besides float32's own
    rounding. Off: float32 as on the paper's cards, also where CUPY_TF32=1 is set. For the whole process.

    names: of devices, as in `devices`. Raises DeviceError for the CPU, which has none."""
    if on and names == "cpu":
        raise DeviceError("found --tf32 on the CPU, expected a GPU, whose tensor cores have this format: use "
                          "--device cuda, or --no-tf32")
    if not names.startswith("cuda"):                            # what is no device at all, `devices` says
        return
    cuda_devices()
    from cupy import _core  # of CuPy's own switches, only an environment variable is documented

    kind = "TF32" if on else "DEFAULT"
    _core.set_compute_type(np.float32, getattr(_core._routines_linalg, f"COMPUTE_TYPE_{kind}"))


def devices(names="cpu", towers=2):
    """A list of one Device per tower, from a text like that of --device.

    cpu; cuda: as many cards as there are towers, if there are as many, else the first for all; cuda:1: that one for
    all towers; cuda:0,cuda:1: one for each. Peer access is enabled between cards that support it.
    Raises DeviceError.
    """
    listed = names.split(",")
    if names == "cuda":
        count = cuda_devices()
        listed = [f"cuda:{t}" for t in range(towers)] if count >= towers else ["cuda:0"]
    if len(listed) == 1:
        listed *= towers
    if len(listed) != towers:
        raise DeviceError(f"found {len(listed)} devices in {names}, expected one for each of {towers} tower"
                          f"{'s' * (towers > 1)}, or one for all")
    found = [Device(name) for name in listed]
    if len({device.number is None for device in found}) > 1:
        raise DeviceError(f"found {names}, expected either the CPU or CUDA devices: a net is not split between them")
    for t, device in enumerate(found):
        for other in found:
            enable_peer_access(device, other)
        if device.number is not None and device.number in [other.number for other in found[:t]]:
            device.use_own_stream()
    return found


def meet(devices):
    """Let each tower's later work wait for all earlier work of the others on the same card. Elsewhere it does nothing:
    send orders the work of two cards, and the CPU's is done at once.

    A tower may read what another has computed before they met. The array must be kept until they meet again: its memory
    belongs to the other's stream, which may reuse it once it is dropped."""
    for device in devices:
        if device.number is not None and device.stream is not None:
            others = [other for other in devices if other.number == device.number and other is not device]
            events = [other.event() for other in others]
            own = device.event()
            for other, event in zip(others, events):
                device.await_event(event)
                other.await_event(own)


def enable_peer_access(device, other):
    """Enable `device` to access the memory of `other` directly, if the hardware can. Once for each pair."""
    if device.number == other.number:
        return
    runtime = device.cupy.cuda.runtime
    if not runtime.deviceCanAccessPeer(device.number, other.number):
        return
    with device:
        try:
            runtime.deviceEnablePeerAccess(other.number)
        except runtime.CUDARuntimeError as error:
            if error.status != 704:                                                 # cudaErrorPeerAccessAlreadyEnabled
                raise


def send(array, source, target):
    """Copy `array` from device `source` to `target` and count its bytes: the only way between two towers."""
    if source is target:
        return array
    with source._lock:
        source.sent[target] = source.sent.get(target, 0) + array.nbytes
    return target.receive(array, source)
