"""Strangers' files: 2,000 spoiled ones of every kind that the program reads. Each ends in one sentence, or loads and is
right, within a second and 500 MB.

    python tests/test_fuzz.py 0 2000        all of them (about a minute); the numbers of those that fail are printed
    python tests/test_fuzz.py 17 1          one of them

Each case is a child process of its own, so that it has its own memory and cannot affect the next one.
"""

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
SECONDS, MEGABYTES, CASES = 1.0, 500, 2000
LOADED, REFUSED = 0, 3        # exit statuses


# Whole files ---------------------------------------------------------------------------------------------------------

def whole_files(folder):
    """{name: bytes}: a whole file of each kind, small."""
    from alexnet import MODELS
    from interop.safetensors_file import export
    from nn import save_checkpoint
    from results.trained import rebuild
    options = dict(kernels=[4, 4, 4, 4, 4], neurons=8)
    network = MODELS["small"](3, (24, 24, 3), **options)
    net = rebuild("small", dict(model="small", options=options, classes=["a", "b", "c"], side=24, scale=0.01, source=None,
                                seed=0), network.weights(), np.full((28, 28, 3), 100, np.float32))
    save_checkpoint(folder / "own.npz", dict(epoch=1, use=net.facts()), weights=network.weights(), use={"mean": net.mean})
    export(net, folder / "own.safetensors")
    names = ["own.npz", "own.safetensors"]
    try:
        from interop.onnx_model import export as export_onnx
        export_onnx(net, folder / "own.onnx")
        names.append("own.onnx")
    except ImportError:
        pass
    files = {name: (folder / name).read_bytes() for name in names}
    files |= {name: (ROOT / "tests" / "files" / name).read_bytes() for name in ("tiny.pth", "tiny-old.pth")}
    files["tiny.npy"], files["tiny.caffemodel"] = npy(), caffemodel()
    files["wrapped.pth"], files["wrapped.tar"] = wrapped(files["tiny.pth"]), files["tiny-old.pth"]
    files["outside.onnx"], files["mean.binaryproto"] = outside(folder), binaryproto()
    files["names.txt"] = "\n".join(f"class {i}" for i in range(3)).encode()
    return files


def wrapped(data):
    """tiny.pth with its state dict in a checkpoint, and under names of torchvision's alexnet with a prefix."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in members if name.endswith("data.pkl"))
    state = members[name][2:-1].replace(b"X\5\0\0\0whole", b"X\x18\0\0\0module.features.0.weight").replace(
        b"X\6\0\0\0turned", b"X\x1a\0\0\0module.classifier.6.weight")
    args = b"cargparse\nNamespace\n)\x81}X\2\0\0\0lrG?\xb9\x99\x99\x99\x99\x99\x9asb"
    members[name] = b"\x80\2}(X\5\0\0\0epochK\3X\4\0\0\0args" + args + b"X\x0a\0\0\0state_dict" + state + b"u."
    return zipped(members)


def outside(folder):
    """An ONNX file of one layer whose numbers are in another file."""
    (folder / "outside.data").write_bytes(np.ones(4 * 3 * 11 * 11, "<f4").tobytes())
    external = b"".join(field(13, field(1, key) + field(2, value)) for key, value in (
        (b"location", b"outside.data"), (b"offset", b"0"), (b"length", b"5808")))
    weight = field(1, b"\4\3\x0b\x0b") + field(2, 1) + field(8, b"w") + external + field(14, 1)
    half = field(1, b"\4") + field(2, 10) + field(5, b"\x80\x78" * 4) + field(8, b"b")
    conv = field(1, b"x") + field(1, b"w") + field(1, b"b") + field(2, b"y") + field(4, b"Conv") + field(
        5, field(1, b"strides") + field(8, b"\4\4"))
    drop = field(1, b"y") + field(2, b"z") + field(4, b"Dropout")
    return field(1, 8) + field(7, field(1, conv) + field(1, drop) + field(5, weight) + field(5, half) + field(11, field(1, b"x")))


def binaryproto():
    """A mean image for the small net."""
    return field(1, 1) + field(2, 3) + field(3, 28) + field(4, 28) + field(5, np.full(3 * 28 * 28, 100, "<f4").tobytes())


def npy():
    file = io.BytesIO()
    np.save(file, np.array({"conv1": [np.ones((11, 11, 3, 2), np.float32), np.zeros(2, np.float32)]}, object),
            allow_pickle=True)
    return file.getvalue()


def field(number, value):
    """A protocol buffer's field of bytes, or of a whole number."""
    def varint(n):
        return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def caffemodel():
    blob = field(7, field(1, b"\2\3\4")) + field(5, np.arange(24, dtype="<f4").tobytes())
    old = field(1, 1) + field(2, 1) + field(3, 2) + field(4, 3) + field(5, np.ones(6, "<f4").tobytes())
    return (field(1, b"AlexNet") + field(100, field(1, b"conv1") + field(2, b"Convolution") + field(7, blob) * 2)
            + field(2, field(4, b"fc6") + field(6, old)))


# Ways to spoil them --------------------------------------------------------------------------------------------------

def truncated(data, rng):
    return data[:rng.integers(len(data))]


def flipped(data, rng):
    spoiled = bytearray(data)
    for _ in range(rng.integers(1, 9)):
        spoiled[rng.integers(len(data))] ^= 1 << rng.integers(8)
    return bytes(spoiled)


def flipped_at_the_head(data, rng):
    """Where lengths, shapes and types are."""
    head = min(len(data), 600)
    return flipped(data[:head], rng) + data[head:]


def overwritten(data, rng):
    start, length = rng.integers(len(data)), rng.integers(1, 64)
    return data[:start] + bytes([rng.choice([0, 1, 127, 128, 255])]) * length + data[start + length:]


def spliced(data, rng):
    """A piece cut out, doubled, or put elsewhere."""
    a, b, c = sorted(rng.integers(len(data), size=3))
    return [data[:a] + data[b:], data[:b] + data[a:], data[:a] + data[b:c] + data[a:b] + data[c:]][rng.integers(3)]


def typed(data, rng):
    """Another type of numbers than there is."""
    old = [word for word in (b"<f4", b"<f8", b"|u1", b"F32", b"FloatStorage", b"f4", b"|O", b"O8") if word in data]
    new = [b"<f8", b"<i4", b"|O", b"<c8", b"<U9", b">f4", b"|V4", b"F64", b"BOOL", b"I64", b"U8", b"BF16", b"LongStorage",
           b"f2", b"<f4", b"|b1", b"<M8[s]", b"<f99999999"]
    if not old:
        return flipped_at_the_head(data, rng)
    word = old[rng.integers(len(old))]
    return data.replace(word, new[rng.integers(len(new))], [1, -1][rng.integers(2)])


def huge(data, rng):
    """A number among the text made enormous, or negative, or one of the binary lengths."""
    places = [i for i in range(min(len(data), 4000)) if data[i:i + 1].isdigit()]
    if places and rng.integers(2):
        i = places[rng.integers(len(places))]
        number = [b"99999999", b"4294967295", b"999999999999999999", b"-1", b"1e300", b"9" * 5000][rng.integers(6)]
        return data[:i] + number + data[i + 1:]
    i, size = rng.integers(max(1, min(len(data), 400) - 8)), [2, 4, 8][rng.integers(3)]
    value = [2**63 - 1, 2**31 - 1, 2**32 - 1, 2**40, 10**9][rng.integers(5)] & (1 << 8 * size) - 1
    return data[:i] + value.to_bytes(size, "little") + data[i + size:]


def described(data, rng):
    """Of the files that say in JSON how a net is made: a value exchanged for another."""
    values = [None, -1, 0, 10**6, 10**18, 1e308, "x", "x" * 10**5, [], [[]], {}, [1e9] * 3, True, ["a"] * 10**5,
              dict(towers=1, kernels=[10**6] * 5), dict(neurons=10**9), dict(kernels=[2] * 5, neurons=2, stem=[1, 1, 0]),
              dict(stem=[10**9, 1, 0]), dict(pool_ceil="pool5"), dict(without=[]), dict(dropout="a"), dict(towers=True)]
    start = data.find(b'{"model"') if b'{"model"' in data else data.find(b'{\\"model\\"')
    if start < 0:
        return spliced(data, rng)
    escaped = data[start + 1:start + 2] == b"\\"
    stop = next(i for i in range(start + 1, len(data) + 1) if data[start:i].count(b"{") == data[start:i].count(b"}"))
    facts = json.loads(data[start:stop].replace(b'\\"', b'"') if escaped else data[start:stop])
    facts[list(facts)[rng.integers(len(facts))]] = values[rng.integers(len(values))]
    text = json.dumps(facts)
    if escaped:                                             # safetensors: text within text, its length before it
        text = json.dumps(text)[1:-1]
    return relengthened(data, data[:start] + text.encode() + data[stop:])


def relengthened(old, new):
    """The spoiled text in a file whose lengths are right again."""
    if old[:4] == b"PK\3\4":
        with zipfile.ZipFile(io.BytesIO(old)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        start = new.find(b'{"epoch"')
        stop = new.find(b"PK\1\2", start)
        stop = min(i for i in (new.find(b"PK\3\4", start), stop) if i > 0)
        facts = io.BytesIO()
        np.save(facts, np.frombuffer(new[start:stop], np.uint8))
        return zipped(members | {"facts.npy": facts.getvalue()})
    if old[8:9] == b"{":
        return (int.from_bytes(old[:8], "little") + len(new) - len(old)).to_bytes(8, "little") + new[8:]
    return new


def zipped(members, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def repacked(data, rng):
    """An archive with one of its files spoiled, and right otherwise: checksums do not help."""
    if data[:4] != b"PK\3\4":
        return overwritten(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = list(members)[rng.integers(len(members))]
    if members[name]:
        members[name] = SPOIL[rng.integers(6)](members[name], rng)
    return zipped(members)


def bomb(data, rng):
    """Archives and headers that say they hold gigabytes."""
    kind, gigabytes = rng.integers(6), int(rng.integers(1, 5))
    if kind == 0 and data[:4] == b"PK\3\4":                 # compressed zeros
        pressed = zlib.compressobj(9, zlib.DEFLATED, -15)
        zeros = pressed.compress(bytes(1 << 22)) + pressed.flush()
        return zipped({"archive/data.pkl": b"", "facts.npy": zeros}, zipfile.ZIP_DEFLATED)
    if kind == 1 and data[:4] == b"PK\3\4":                 # a directory that says gigabytes
        i = data.rfind(b"PK\1\2")
        return data[:i + 20] + struct.pack("<II", *[gigabytes << 30 & 0xFFFFFFFF] * 2) + data[i + 28:]
    if kind == 2 and data[:4] == b"PK\3\4":                 # all files of the directory are the same, large one
        return overlapping(data)
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({gigabytes << 28},), }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    member = b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head
    if data[:4] == b"PK\3\4":
        return zipped({"facts.npy": member, "weights/conv1.W.npy": member})
    if data[:6] == b"\x93NUMPY":
        return [member, data[:data.index(b"\x80")] + PICKLES[rng.integers(len(PICKLES))]][rng.integers(2)]
    return huge(data, rng)


PICKLES = [b"\x80\4\x8e" + (1 << 40).to_bytes(8, "little") + b".", b"\x80\2}r\xff\xff\xff\x7f.",        # BINBYTES8, LONG_BINPUT
           b"\x80\2" + b"(" * 100_000 + b".", b"\x80\2" + b"]" * 10 + b"2" * 100_000 + b".",             # MARK, DUP
           b"\x80\2\x8b\xff\xff\xff\x7f.", b"I" + b"9" * 100_000 + b"\n.", b"\x80\4\x95" + b"\xff" * 8 + b".",  # LONG4, INT, FRAME
           b"\x80\2cos\nsystem\n(U\4exittR.", b"\x80\4\x8c\2os\x8c\6system\x93.", b"\x80\2\x82\1."]     # what is not allowed


def overlapping(data):
    """A zip whose directory names one long file a thousand times."""
    body, name = bytes(1 << 20), b"a"
    local = b"PK\3\4" + struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 33, zlib.crc32(body), len(body), len(body), 1, 0) + name + body
    one = b"PK\1\2" + struct.pack("<HHHHHHIIIHHHHHII", 20, 20, 0, 0, 0, 33, zlib.crc32(body), len(body), len(body), 1, 0, 0,
                                  0, 0, 0, 0)
    entries = b"".join(one + bytes([97 + i % 26]) for i in range(1000))
    return local + entries + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1000, 1000, len(entries), len(local), 0)


def pickled(data, rng):
    """Of the files with a pickle in them: another pickle."""
    program = PICKLES[rng.integers(len(PICKLES))]
    if rng.integers(2):
        program = pickle.dumps([{}, {"a": 1}, [[]], "x", 1 << 70, {"a": {"b": []}}, (1, 2)][rng.integers(7)], 2)
    if data[:6] == b"\x93NUMPY":
        return data[:data.index(b"\x80")] + program
    if b"data.pkl" in data:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        return zipped({name: program if name.endswith("data.pkl") else member for name, member in members.items()})
    if data[:2] == b"\x80\2":
        return data[:rng.integers(100)] + program
    return typed(data, rng)


SPOIL = [truncated, flipped, flipped_at_the_head, overwritten, spliced, huge, typed, described, repacked, bomb, pickled]


def spoiled(number, files):
    """(the file's name, its bytes, how it was spoiled) of a case."""
    rng = np.random.default_rng([6, number])
    name = sorted(files)[rng.integers(len(files))]
    spoil = SPOIL[rng.integers(len(SPOIL))]
    return name, spoil(files[name], rng), spoil.__name__


# The cases -----------------------------------------------------------------------------------------------------------

def attempt(path):
    """In the child: LOADED if the file loads and is right, REFUSED if it is refused in a sentence, else what is wrong."""
    from nn import CheckpointError
    from results import load
    from training.errors import UserError
    beside = {".binaryproto": "mean", ".txt": "classes"}.get(path.suffix)
    try:
        net = load(path.parent / "own.npz", **{beside: path}) if beside else load(path)
    except (CheckpointError, UserError) as error:
        text = str(error)
        return REFUSED if str(path) in text and "\n" not in text and 20 < len(text) < 1200 else f"no sentence: {text}"
    with np.errstate(all="ignore"):                         # a bit of a weight may have made it 1e38
        p = net.predict(np.zeros((2, net.size, net.size, net.channels), np.uint8))
    right = p.shape == (2, len(net.classes)) and (np.abs(p.sum(1) - 1) < 1e-4) | np.isnan(p.sum(1))
    return LOADED if np.all(right) else f"loads, and gives {p}"


def main(first, count):
    failures, slowest, largest, loaded = 0, 0.0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        files = whole_files(Path(folder))
        for name, data in files.items():
            path = Path(folder, name)
            path.write_bytes(data)
        for name in ("own.npz", "own.safetensors", "mean.binaryproto", "names.txt"):
            assert attempt(Path(folder, name)) == LOADED, name
        for number in range(first, first + count):
            name, data, how = spoiled(number, files)
            path = Path(folder, f"case{number}-{name}")
            path.write_bytes(data)
            child = os.fork()
            if not child:
                status = 1
                try:
                    answer = attempt(path)
                    status = answer if answer in (LOADED, REFUSED) else 1
                    if status == 1:
                        print(f"case {number} ({how} {name}): {answer}"[:2000], flush=True)
                except BaseException as error:
                    print(f"case {number} ({how} {name}): {type(error).__name__}: {error}"[:2000], flush=True)
                finally:
                    os._exit(status)
            _, status, usage = os.wait4(child, 0)
            took, megabytes = usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024
            slowest, largest = max(slowest, took), max(largest, megabytes)
            status = os.waitstatus_to_exitcode(status)
            loaded += status == LOADED
            if status not in (LOADED, REFUSED) or took > SECONDS or megabytes > MEGABYTES:
                failures += 1
                print(f"case {number} ({how} {name}): status {status}, {took:.2f} s, {megabytes} MB", flush=True)
            path.unlink()
    print(f"{count} cases: {loaded} load, {count - loaded - failures} refused, {failures} failed; "
          f"slowest {slowest:.2f} s, largest {largest} MB")
    return 1 if failures else 0


def run(first, count):
    if not hasattr(os, "fork"):
        pytest.skip("needs os.fork")
    done = subprocess.run([sys.executable, __file__, str(first), str(count)], capture_output=True, text=True, cwd=ROOT,
                          env=os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_two_hundred_spoiled_files():
    run(0, 200)


@pytest.mark.slow
def test_two_thousand_spoiled_files():
    run(0, CASES)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
