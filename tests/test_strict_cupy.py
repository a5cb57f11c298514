"""The stand-in for CuPy: what it accepts and refuses. tests/gpu/test_double_is_cupy.py puts the same snippets to the
real CuPy, so that the two cannot drift apart."""

import inspect
import threading

import cuda_shim
import numpy as np
import pytest
import strict_cupy
from strict_cupy import Missing, OutOfMemoryError, Refused

# Every snippet is an expression. In it, cp is CuPy (or the stand-in), a has 2×3 float32, b three int64, t is a.T, n is
# a NumPy array, f has 2×3 float32 on another device.

ACCEPTED = """
    a + np.float32(2)                       np.float32(2) * a                       a * 2.5
    b * 2.5                                 b * np.float32(2.5)                     a * np.float64(2)
    cp.float32(1) + a                       2 ** a                                  divmod(b, 2)
    abs(a - 3)                              -a                                      ~(a > 1)
    (a > 1) & (a < 4)                       b // 2                                  b / 0
    a @ t                                   cp.matmul(a, t)                         a.dot(t)
    a.__iadd__(a.astype(np.float64))        b.__imul__(2)                           a.__isub__(b)
    cp.maximum(a, 1)                        cp.maximum(a, 1, out=a)                 cp.maximum(a, 1, a)
    cp.maximum(a, 1, out=(a,))              cp.exp(b)                               cp.exp(np.float32(1))
    cp.matmul(a, t, out=cp.empty((2, 4), np.float32)[:, ::2])                       cp.add(a, a, dtype=np.float64)
    cp.where(a > 1, a, 0)                   cp.clip(a, 0, 1)                        cp.logical_and(a > 0, a > 1)
    a.sum()                                 a.sum(0)                                cp.sum(a, 0, keepdims=True)
    a.max(1, keepdims=True)                 a.mean(1)                               cp.mean(a, dtype=np.float64)
    a.argmax(1)                             a.any()                                 cp.isfinite(a).all()
    cp.allclose(a, a)                       cp.array_equal(a, b)                    cp.result_type(a, np.float64)
    cp.concatenate([a, a], axis=-1)         cp.concatenate([a, a], dtype=np.float64)
    cp.stack([a, a])                        cp.tile(b, 2)                           cp.pad(a, 1)
    cp.array([a.sum(), a.sum()])            cp.asarray([a, a])                      cp.asarray([1, 2])
    cp.asarray(n)                           cp.asarray(n, np.float64)               cp.asarray([n, n])
    cp.array(a)                             cp.asarray(a) is a                      cp.ascontiguousarray(a) is a
    cp.ascontiguousarray(t).strides         cp.zeros((2, 3), np.uint8)              cp.ones(3)
    cp.zeros_like(a)                        cp.full((2,), 3.0)                      cp.full((2,), a[0, 1])
    cp.arange(3)                            cp.empty((2, 3), np.float32).strides    cp.empty_like(a).dtype
    a.copy()                                t.reshape(-1)                           a.reshape(3, 2)
    a.transpose(1, 0).strides               a.ravel()                               a[:, ::-1].strides
    a.view(np.uint32)                       (a > 1).view(np.uint8)                  a.astype(np.float16)
    a[0]                                    a[0, 0]                                 a[..., None].shape
    a[b[:2]]                                a[[0, 1]]                               a[cp.arange(2), b[:2]]
    a[a > 2]                                a[:, b > 0]                             b[cp.array(1)]
    a.__setitem__((0, 0), 5)                a.__setitem__(slice(1), a[1:])          a.__setitem__(..., np.float32(1))
    a.__setitem__(a > 2, 0)                 a.fill(2)                               cp.copyto(a, b)
    cp.copyto(a, 0, where=a > 1)            cp.broadcast_to(b, (2, 3)).strides      cp.moveaxis(a, 0, 1)
    cp.lib.stride_tricks.as_strided(a, (2, 2), (4, 4))                              cp.einsum("ij,kj->ik", a, a)
    cp.bincount(b)                          cp.unique(b)                            cp.argsort(a)
    a.nonzero()                             cp.tensordot(a, a, ((1,), (1,)))        cp.vdot(a, a)
    a.get()                                 cp.asnumpy(t)                           a.get(out=np.empty((2, 3), "f4"))
    a.set(np.ones((2, 3), np.float32))      a.sum().item()                          a.tolist()
    float(a[0, 1])                          int(b.sum())                            bool((a > 1).any())
    f"{a.sum():.2f}"                        len(a)                                  [float(x) for x in b]
    sum([a, a])                             a.dtype in (np.float32, np.float64)     a.dtype.type(3)
    (a.shape, a.strides, a.size, a.ndim, a.nbytes, a.itemsize)                      a.flags.c_contiguous
    (cp.float32 is np.float32, cp.newaxis, cp.pi, cp.uint8 is np.uint8)             cp.isscalar(a)
    cp.cuda.Device(1) == cp.cuda.Device(1)                                          a.device.id
    a[1:].data.ptr - a.data.ptr             cp.cuda.runtime.getDevice()             a.data.mem is a[1:].data.mem"""

REFUSED = """
    a + n                                   n + a                                   a * np.array(2.0)
    n[0:1] * a                              a == n                                  a[0] @ n
    a + [1, 2, 3]                           a == 'x'                                cp.maximum(a, n)
    cp.maximum(a, [1, 2, 3])                cp.maximum(a, 1, where=a > 1)           cp.add(a, a, out=np.empty((2, 3)))
    cp.where(a > 1, a, n)                   cp.clip(a, n, n)                        cp.sqrt(n)
    cp.concatenate([a, n[None]])            cp.concatenate([a, [[1, 2, 3]]])        cp.copyto(a, n)
    cp.ascontiguousarray(n)                 cp.array([n, a[0]])                     cp.full((2,), n[:2])
    np.asarray(a)                           np.array(a)                             np.float32(a.sum())
    memoryview(a)                           float(a)                                float(a[:1, 0])
    bool(a > 1)                             a.item()                                range(b[0])
    round(a.sum(), 2)                       hash(a)                                 {cp.cuda.Device(): 1}
    b.__setitem__(..., np.arange(3))        b.__setitem__(slice(2), [1, 2])         a.fill(n)
    a.set(n)                                a.set(np.ones((2, 3)))                  a.set(a)
    a.get(out=np.empty((2, 3)))             a[5]                                    a.__setitem__(slice(1), cp.ones(2))
    cp.sum(a, where=a > 1)                  a.sum(where=a > 1)                      a.max(initial=0)
    a.mean(where=a > 1)                     cp.lib.stride_tricks.as_strided(a, (2,), (4,), writeable=False)
    a.item(0)                               a.ctypes                                a.setflags(write=False)
    a.flags.writeable                       a.itemset                               cp.nditer
    cp.errstate                             cp.longdouble                           cp.testing.no_such_name
    cp.zeros(2, np.longdouble)              cp.zeros(2, "datetime64[s]")            cp.asarray(np.array(["a"]))
    cp.asarray(np.array([object()]))        a.astype("U3")                          t.view(np.float64)
    cp.arange(3, dtype=np.uint8) + 300      cp.ones(2, bool) - cp.ones(2, bool)     cp.ones(2, np.uint8).__iadd__(2.5)
    cp.maximum.reduce(a)                    setattr(a, "name", "a")                 cp.cuda.Device(99).__enter__()"""

STRICTER = """
    np.exp(a)                               np.concatenate([a, a])                  np.sum(a)
    a[np.array([0, 1])]                     b.__setitem__(0, np.array(3))           cp.tile(n, 2)
    a[cp.array([5])]                        cp.random.rand(2)                       a == None
    cp.cuda.Event().synchronize()           cp.cuda.get_current_stream().wait_event(cp.cuda.Event())"""

FOREIGN = """
    a + f                                   a[f > 0]                                cp.concatenate([a, f])
    f.sum()                                 f.astype(np.float64)                    f.__iadd__(1)"""

FOREIGN_ACCEPTED = """
    f.get()                                 cp.asnumpy(f)                           f.set(np.zeros((2, 3), np.float32))
    f.reshape(-1).device.id                 f.T.device.id                           f[0].device.id
    cp.ascontiguousarray(f).device.id       f.shape                                 str(f)"""

FOREIGN_STRICTER = """
    a.__setitem__(..., f)                   cp.asarray(f)                           f.copy()
    cp.zeros_like(f)                        cp.empty_like(f)"""


def snippets(text):
    return [s for line in text.strip().splitlines() for s in filter(None, map(str.strip, line.split("    ")))]


def evaluate(snippet, cp):
    """→ ((what the snippet gives on a CuPy, what is then in a), None), as NumPy sees it; or (None, the exception)."""
    a, b, n = cp.arange(6, dtype=np.float32).reshape(2, 3), cp.arange(3), np.arange(3, dtype=np.float32)
    known = dict(cp=cp, np=np, a=a, b=b, n=n, t=a.T)
    if "f" in snippet and cp.cuda.runtime.getDeviceCount() > 1:
        with cp.cuda.Device(1):
            known["f"] = cp.ones((2, 3), np.float32)
    try:
        value = eval(snippet, known)
    except Exception as error:
        return None, error
    return (plain(value, cp), a.get()), None


def plain(value, cp):
    """CuPy arrays as ("array", NumPy array), all else as it is."""
    if isinstance(value, cp.ndarray):
        return "array", value.get()
    return [plain(item, cp) for item in value] if isinstance(value, (list, tuple)) else value


def assert_same(one, other):
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype and one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-6)
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for a, b in zip(one, other):
            assert_same(a, b)
    else:
        assert type(one) is type(other) and one == other


@pytest.fixture
def gpu():
    with strict_cupy.install(devices=2) as machine:
        yield machine


@pytest.fixture
def cp(gpu):
    import cupy
    return cupy


@pytest.mark.parametrize("snippet", snippets(ACCEPTED + FOREIGN_ACCEPTED))
def test_accepted(snippet, cp):
    value, error = evaluate(snippet, cp)
    assert error is None


@pytest.mark.parametrize("snippet", snippets(REFUSED + STRICTER + FOREIGN + FOREIGN_STRICTER))
def test_refused(snippet, cp):
    value, error = evaluate(snippet, cp)
    assert error is not None
    assert not isinstance(error, (NameError, SyntaxError)) and str(error)


def test_it_is_cupy_only_while_it_is_installed():
    import sys
    before = sys.modules.get("cupy")
    with strict_cupy.install():
        import cupy
        assert cupy is strict_cupy.cupy
    assert sys.modules.get("cupy") is before


@pytest.mark.parametrize("path, space", [
    (module.__name__, module) for module in strict_cupy.MODULES.values()] + [
    (f"cupy.cuda.{kind.__name__}", kind) for kind in (strict_cupy.Device, strict_cupy.Stream, strict_cupy.Event,
                                                      strict_cupy.MemoryPointer)] + [
    ("cupy.ndarray", strict_cupy.ndarray), ("cupy.cuda.MemoryPool", strict_cupy.Pool),
    ("cupy.RawModule", strict_cupy.RawModule)])
def test_what_is_modelled_has_cupys_names_and_parameters(path, space):
    for name, thing in vars(space).items():
        if name.startswith("_"):
            continue
        assert path == "cupy.lib" or name in strict_cupy.NAMES[path], f"CuPy 14 has no {path}.{name}"
        theirs = strict_cupy.NAMES.get(path, {}).get(name)
        if theirs is not None and callable(thing) and not isinstance(thing, type):
            own = [p for p, kind in inspect.signature(thing).parameters.items() if p != "self" and kind.kind not in (
                kind.VAR_KEYWORD, kind.VAR_POSITIONAL)]
            assert own == [p for p in theirs if p.strip("*") and not p.startswith("*")][:len(own)], f"{path}.{name}"


# Memory, copies ------------------------------------------------------------------------------------------------------

def test_new_memory_is_garbage(cp):
    for dtype in (np.float32, np.float64):
        assert np.isnan(cp.empty((2, 3), dtype).get()).all()
    assert (cp.empty(3, np.uint8).get() == 255).all() and np.isnan(cp.empty_like(cp.ones(2)).get()).all()


def test_copies_are_counted(cp, gpu):
    a = cp.asarray(np.ones(5, np.float32))
    a.set(np.zeros(5, np.float32))
    float(a.sum()), a.get(), bool((a > 0).any())
    with cp.cuda.Device(1):
        b = cp.empty(5, np.float32)
        b.data.copy_from_device_async(a.data, a.nbytes)
    assert gpu.copies == [("host", 0, 20)] * 2 + [(0, "host", 4), (0, "host", 20), (0, "host", 1), (0, 1, 20)]
    assert gpu.between() == [(0, 1, 20)] and (b.get() == 0).all()
    gpu.reset()
    assert gpu.copies == []


def test_memory_has_an_end(cp):
    with strict_cupy.install(devices=1, memory=1000) as gpu:
        pool = cp.get_default_memory_pool()
        kept = cp.ones(100)
        view = kept[10:]
        assert pool.used_bytes() == 800 and cp.cuda.runtime.memGetInfo() == (200, 1000)
        with pytest.raises(OutOfMemoryError, match="Out of memory allocating 240 bytes"):
            cp.ones(30)
        assert isinstance(OutOfMemoryError(), MemoryError) and gpu.used == [800]
        del kept
        assert gpu.used == [800]
        del view
        assert gpu.used == [0]
        pool.set_limit(100)
        with pytest.raises(OutOfMemoryError):
            cp.ones(30)


def test_copies_stay_inside_their_memory(cp):
    a, b = cp.ones((4, 4)), cp.ones(8)
    with pytest.raises(Refused, match="past the end"):
        b.data.copy_from_device_async(a.data, a.nbytes)
    with pytest.raises(Refused, match="strides"):
        b.data.copy_from_device_async(a[:, :2].data, 64)
    b.data.copy_from_device_async(a[2:].data, 64)


def test_no_device_and_peers():
    with strict_cupy.install(devices=0):
        import cupy
        with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="no CUDA-capable device"):
            cupy.cuda.runtime.getDeviceCount()
    with strict_cupy.install(devices=2, peer=True):
        runtime = cupy.cuda.runtime
        assert runtime.deviceCanAccessPeer(0, 1) and not runtime.deviceCanAccessPeer(0, 0)
        runtime.deviceEnablePeerAccess(1)
        with pytest.raises(runtime.CUDARuntimeError) as caught:
            runtime.deviceEnablePeerAccess(1)
        assert caught.value.status == 704


def test_what_is_missing_is_told_from_what_is_not_modelled(cp):
    with pytest.raises(Missing, match="CuPy 14 has no cupy.nditer"):
        cp.nditer
    with pytest.raises(Refused, match="cupy.fuse is not modelled"):
        cp.fuse
    assert not hasattr(cp.cuda, "Steam")


# Streams and events --------------------------------------------------------------------------------------------------
# Two streams of one device, with work on both: orders that are enough, and orders that are not.

def ones(shape=3):
    return np.ones(shape, np.float32)


@pytest.fixture
def setting(cp):
    """An array that the default stream has written, and a copying stream."""
    cp.cuda.Device(0).use()
    return cp.zeros(3, np.float32), cp.cuda.Stream(non_blocking=True)


def by_event(cp, first, second):
    event = cp.cuda.Event()
    event.record(first)
    second.wait_event(event)


def by_host(cp, first, second):
    first.synchronize()


def by_event_and_host(cp, first, second):
    first.record().synchronize()


def by_device(cp, first, second):
    cp.cuda.Device().synchronize()


def by_a_third_stream(cp, first, second):
    third = cp.cuda.Stream(non_blocking=True)
    by_event(cp, first, third)
    by_event(cp, third, second)


def not_at_all(cp, first, second):
    pass


def the_wrong_way(cp, first, second):
    by_event(cp, second, first)


ORDERS = [by_event, by_host, by_event_and_host, by_device, by_a_third_stream]
NO_ORDERS = [not_at_all, the_wrong_way]


@pytest.mark.parametrize("order", ORDERS + NO_ORDERS)
def test_reading_what_another_stream_has_written(order, cp, setting):
    array, copying = setting
    by_event(cp, cp.cuda.Stream.null, copying)
    array.set(ones(), stream=copying)
    order(cp, copying, cp.cuda.get_current_stream())
    if order in ORDERS:
        assert float(array.sum()) == 3
    else:
        with pytest.raises(Refused, match="without waiting"):
            array.sum()


@pytest.mark.parametrize("order", ORDERS + NO_ORDERS)
def test_overwriting_what_another_stream_reads(order, cp, setting):
    array, copying = setting
    written = cp.cuda.get_current_stream().record()
    array.sum()
    copying.wait_event(written)                                     # the writing, but not the reading
    order(cp, cp.cuda.get_current_stream(), copying)
    if order in ORDERS:
        array.set(ones(), stream=copying)
    else:
        with pytest.raises(Refused, match="overwrites"):
            array.set(ones(), stream=copying)


@pytest.mark.parametrize("order", ORDERS + NO_ORDERS)
def test_new_memory_may_still_be_in_use_where_it_was_before(order, cp):
    """The pool gives a block out again at once: what used it is queued before what comes now, on this stream only."""
    copying = cp.cuda.Stream(non_blocking=True)
    cp.ones(3).sum()
    array = cp.empty(3, np.float32)
    order(cp, cp.cuda.get_current_stream(), copying)
    if order in ORDERS:
        array.set(ones(), stream=copying)
    else:
        with pytest.raises(Refused, match="last used"):
            array.set(ones(), stream=copying)


@pytest.mark.parametrize("order", ORDERS + NO_ORDERS)
def test_memory_freed_while_another_stream_uses_it(order, cp):
    array, copying = cp.zeros(3, np.float32), cp.cuda.Stream(non_blocking=True)
    by_event(cp, cp.cuda.get_current_stream(), copying)
    array.set(ones(), stream=copying)
    del array
    order(cp, copying, cp.cuda.get_current_stream())
    if order in ORDERS:
        cp.ones(3)
    else:
        with pytest.raises(Refused, match="freed while"):
            cp.ones(3)


def test_streams_that_are_not_non_blocking_keep_in_step_with_the_default_one(cp):
    array, blocking = cp.zeros(3, np.float32), cp.cuda.Stream()
    array.set(ones(), stream=blocking)
    assert float(array.sum()) == 3
    with blocking:
        array += 1
        with cp.cuda.Stream(), pytest.raises(Refused, match="without waiting"):
            array += 1
    assert float(array.sum()) == 6


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize("then", ["copied again", "waited for late"])
def test_pinned_memory_refilled(wait, then, cp, setting):
    array, copying = setting
    import cupyx
    pinned = cupyx.empty_pinned((3,), np.float32)
    pinned[...] = 1
    by_event(cp, cp.cuda.get_current_stream(), copying)
    array.set(pinned, stream=copying)
    copied = copying.record()
    if wait:
        copied.synchronize()
    pinned[1] = 2
    late = (lambda: array.set(pinned, stream=copying)) if then == "copied again" else copied.synchronize
    if wait:
        late()
    else:
        with pytest.raises(Refused, match="pinned memory was written"):
            late()


def test_pinned_memory_freed_while_it_is_copied(cp, setting):
    array, copying = setting
    import cupyx
    by_event(cp, cp.cuda.get_current_stream(), copying)
    for wait in (True, False):
        pinned = cupyx.empty_pinned((3,), np.float32)
        array.set(pinned, stream=copying)
        if wait:
            copying.synchronize()
        del pinned
    with pytest.raises(Refused, match="pinned memory was freed"):
        copying.synchronize()


def test_pinned_memory_by_another_way_and_ordinary_memory(cp, setting):
    array, copying = setting
    memory = cp.cuda.alloc_pinned_memory(12)
    pinned, ordinary = np.frombuffer(memory, np.float32, 3), ones()
    by_event(cp, cp.cuda.get_current_stream(), copying)
    array.set(ordinary, stream=copying)         # CUDA has taken the numbers when this returns
    ordinary[...] = 5
    array.set(ordinary, stream=copying)
    pinned[...] = 1
    array.set(pinned, stream=copying)
    array.set(pinned, stream=copying)           # unchanged
    pinned[...] = 2
    with pytest.raises(Refused, match="pinned memory was written"):
        copying.synchronize()


def test_fetching_into_pinned_memory_arrives_when_waited_for(cp):
    import cupyx
    out = cupyx.empty_pinned(3, np.float32)
    stream = cp.cuda.get_current_stream()
    cp.ones(3, np.float32).get(stream=stream, out=out, blocking=False)
    assert np.isnan(out).all()
    stream.synchronize()
    assert (out == 1).all()


def test_devices_run_side_by_side(cp):
    """Default streams of two devices do not wait for each other."""
    a = cp.ones(3)
    with cp.cuda.Device(1):
        b = cp.empty(3)
        with pytest.raises(Refused, match="without waiting"):
            b.data.copy_from_device_async(a.data, a.nbytes)
        with cp.cuda.Device(0):
            computed = cp.cuda.get_current_stream().record()
        cp.cuda.get_current_stream().wait_event(computed)
        b.data.copy_from_device_async(a.data, a.nbytes)
        arrived = cp.cuda.get_current_stream().record()
    with pytest.raises(Refused, match="overwrites"):
        a += 1
    cp.cuda.get_current_stream().wait_event(arrived)
    a += 1
    assert (b.get() == 1).all()


def test_an_array_of_another_device_is_refused_even_when_it_is_finished(cp):
    with cp.cuda.Device(1):
        other = cp.ones(3)
        cp.cuda.Device(1).synchronize()
    with pytest.raises(Refused, match="an array of device 1 is used while device 0 is current"):
        other += 1
    with pytest.raises(Refused, match="an array of device 1 is used while device 0 is current"):
        cp.ones(3) + other


def test_streams_and_events_belong_to_a_device(cp):
    with cp.cuda.Device(1):
        other, event = cp.cuda.Stream(), cp.cuda.Event()
        null = cp.cuda.get_current_stream()
    for wrong in (lambda: event.record(), lambda: event.record(other), lambda: other.record(), lambda: null.record(),
                  lambda: other.__enter__(), lambda: cp.ones(3).set(np.ones(3), stream=other)):
        with pytest.raises(Refused, match="device"):
            wrong()
    with pytest.raises(Refused, match="never recorded"):
        other.wait_event(event)
    with cp.cuda.Device(1):
        event.record(other)
        cp.cuda.get_current_stream().wait_event(event)
    with cp.cuda.Device(1), other:
        assert cp.cuda.get_current_stream() is other and cp.ones(2).device.id == 1
    assert cp.cuda.get_current_stream() is cp.cuda.Stream.null


def test_time_between_events(cp):
    start, stop, quick = cp.cuda.Event(), cp.cuda.Event(), cp.cuda.Event(disable_timing=True)
    start.record(), cp.ones(3), stop.record(), quick.record()
    with pytest.raises(Refused, match="not waited for"):
        cp.cuda.get_elapsed_time(start, stop)
    stop.synchronize(), quick.synchronize()
    assert 0 <= cp.cuda.get_elapsed_time(start, stop) < 1000
    with pytest.raises(Refused, match="disable_timing"):
        cp.cuda.get_elapsed_time(start, quick)


def test_the_current_device_is_each_threads_own(cp):
    seen = []
    with cp.cuda.Device(1):
        thread = threading.Thread(target=lambda: seen.append(cp.cuda.Device().id))
        thread.start(), thread.join()
        assert (seen, cp.cuda.Device().id) == ([0], 1)


@pytest.mark.skipif(cuda_shim.compiler() is None, reason="no C++ compiler to make kernels for the CPU")
def test_the_addresses_in_a_kernels_argument_are_followed(cp):
    """A struct of pointers: what they name is on this device, alive, and not in use by another stream."""
    code = """struct Two {
                  real *w[1];
                  const real *g[1];
              };
              extern "C" __global__ void add(const Two of) { of.w[0][0] += of.g[0][0]; }"""
    add = cp.RawModule(code=code, options=("-Dreal=float",)).get_function("add")
    two = np.dtype([("w", np.uint64, 1), ("g", np.uint64, 1)])

    def run(w, g):
        add((1,), (1,), (np.array(([w.data.ptr], [g.data.ptr]), two)[()],))
    w, g = cp.ones(1, np.float32), cp.ones(1, np.float32)
    run(w, g)
    assert float(w[0]) == 2
    with cp.cuda.Device(1), pytest.raises(Refused, match="device 0 is used while device 1"):
        run(w, g)
    run(w, g)
    other = cp.cuda.Stream(non_blocking=True)
    with other, pytest.raises(Refused, match="without waiting"):
        run(w, g)
    other.wait_event(cp.cuda.get_current_stream().record())
    with other:
        cp.add(g, 1)                                            # reads
    with pytest.raises(Refused, match="may still be reading"):
        run(g, w)
    run(w, g)                                                   # both read
    gone = g.data.ptr
    del g
    with pytest.raises(Refused, match="in no array"):
        add((1,), (1,), (np.array(([w.data.ptr], [gone]), two)[()],))
