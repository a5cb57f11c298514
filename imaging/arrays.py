"""Sources that are arrays: Fashion-MNIST, CIFAR-10 and .npz files. Each reader returns (name, training Split, test
Split, classes)."""

import gzip
import re
import zipfile
from pathlib import Path

import numpy as np

from imaging.common import DataError, Split, require

DATASETS = Path(__file__).resolve().parents[1] / "datasets"
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")   # Debian's package dataset-fashion-mnist
FASHION_CLASSES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                   "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
CIFAR_FOLDER = "cifar-10-batches-bin"
CIFAR_FILES = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin", "batches.meta.txt"]
IDX = r"-(images|labels)[-.]idx[13]-ubyte(?:\.gz)?$"       # the end of a file's name
IDX_LARGEST = 1 << 31
DEFLATED = 1032         # bytes that a byte of gzip can stand for, at most
CIFAR_RECORD = 1 + 3 * 32 * 32                              # bytes: a label, then the planes R, G, B


def read_fashion_mnist():
    files = [FASHION_MNIST / f"{part}-{kind}-ubyte.gz"
             for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
    if all(file.is_file() for file in files):
        train, test, _ = check(FASHION_MNIST, *map(read_idx, files), FASHION_CLASSES)
        return f"Fashion-MNIST, {len(train.labels):,} images of {FASHION_MNIST}", train, test, FASHION_CLASSES
    _, train, test, _ = read_npz(DATASETS / "fashion_mnist_10000_2000.npz")
    return f"Fashion-MNIST, embedded {len(train.labels):,} images", train, test, FASHION_CLASSES


def is_idx(folder):
    """Whether a folder has MNIST's files."""
    return folder.is_dir() and any(re.search(IDX, path.name) for path in folder.iterdir())


def read_idx_folder(folder):
    """MNIST's own format, in which Fashion-MNIST, KMNIST and EMNIST are published, too: four files, plain or .gz."""
    found = {}
    for path in sorted(folder.iterdir()):
        if name := re.fullmatch(f"(.*?)(train|t10k|test){IDX}", path.name):
            found.setdefault(name[1], {}).setdefault((name[2].replace("t10k", "test"), name[3]), path)
    wanted = [(part, kind) for part in ("train", "test") for kind in ("images", "labels")]
    sets = [files for files in found.values() if all(key in files for key in wanted)]
    require(len(sets) == 1, f"{folder}: found {', '.join(path.name for files in found.values() for path in files.values())}; "
            "expected four files of one set: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
            "t10k-labels-idx1-ubyte, each plain or .gz")
    arrays = [read_idx(sets[0][key]) for key in wanted]
    train, test, classes = check(folder, *arrays, [])
    return f"{folder}, {len(train.labels):,} images in idx files", train, test, classes


def read_idx(path):
    """The array in an idx file, plain or gzipped: bytes 0, 0, 8 (uint8), axes; their lengths as big-endian int32; the
    numbers. No more memory is taken than the lengths say."""
    try:
        with open(path, "rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
        with (gzip.open if packed else open)(path, "rb") as file:
            head = file.read(4)
            require(head[:3] == b"\0\0\x08" and 1 <= head[3] <= 3, f"begins with {head.hex()}, expected 00000801 to 00000803")
            lengths = np.frombuffer(file.read(4 * head[3]), ">u4").astype(int)
            count = int(np.prod(lengths))
            most = min(IDX_LARGEST, path.stat().st_size * DEFLATED)
            require(count <= most, f"announces {count:,} numbers, expected {most:,} or fewer")
            raw = file.read(count)
            require(len(raw) == count and not file.read(1), f"is not as long as announced: {count:,} numbers")
        return np.frombuffer(raw, np.uint8).reshape(lengths)
    except Exception as error:                              # damaged bytes can raise anything
        raise DataError(f"{path}: not a readable idx file ({error}); fetch it again") from error


def read_npz(path):
    keys = ["x_train", "y_train", "x_test", "y_test"]
    try:
        with open(path, "rb") as stream:
            require(zipfile.is_zipfile(stream), "no zip archive, or cut short")     # numpy would take it for a pickle
            with np.load(stream, allow_pickle=False) as file:
                arrays = {key: np.asarray(file[key]) for key in [*keys, "classes"] if key in file}  # may be bytes
    except Exception as error:                              # damaged bytes can raise anything
        raise DataError(f"{path}: cannot be read as .npz ({error}); expected plain arrays saved by numpy.savez: save "
                        "or fetch it again") from error
    missing = [key for key in keys if key not in arrays]
    require(not missing, f"{path}: lacks {', '.join(missing)}; expected {', '.join(keys)}")
    classes = arrays.get("classes", np.array([], str))
    require(classes.dtype.kind == "U" and classes.ndim == 1,
            f"{path}: classes is {classes.dtype} {classes.shape}; expected a list of strings")
    return str(path), *check(path, *(arrays[key] for key in keys), classes.tolist())


def is_cifar10(folder):
    """Whether a folder has some of CIFAR-10's files, binary or not."""
    return any((folder / name).exists() for name in [*CIFAR_FILES, "batches.meta", "data_batch_1"])


def read_cifar10(folder):
    require(not (folder / "batches.meta").exists() and not (folder / "data_batch_1").exists(),
            f"{folder}: this is CIFAR-10 as pickles, and a pickle can run any code when it is read; get the binary "
            "version with: python data.py download cifar10")
    missing = [name for name in CIFAR_FILES if not (folder / name).is_file()]
    require(not missing, f"{folder}: lacks {', '.join(missing)}; expected CIFAR-10's binary files (python data.py "
                         "download cifar10) or the folders train/ and val/")
    arrays = []
    for names in CIFAR_FILES[:5], CIFAR_FILES[5:6]:
        parts = [np.fromfile(folder / name, np.uint8) for name in names]
        for name, part in zip(names, parts):
            require(len(part) and len(part) % CIFAR_RECORD == 0,
                    f"{folder / name}: {len(part):,} bytes are not whole records of {CIFAR_RECORD:,}; delete it and "
                    "run: python data.py download cifar10")
        records = np.concatenate(parts).reshape(-1, CIFAR_RECORD)
        planes = records[:, 1:].reshape(-1, 3, 32, 32)                                      # (N, C, H, W)
        arrays += [np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, 0]]       # (N, H, W, C), (N,)
    classes = (folder / "batches.meta.txt").read_text(errors="replace").split()
    train, test, classes = check(folder, *arrays, classes)
    return f"CIFAR-10, {len(train.labels):,} images of {folder}", train, test, classes


def check(where, x_train, y_train, x_test, y_test, classes):
    """(train, test, classes) of four arrays. DataError if inconsistent. No classes: labels are names."""
    for part, x, y in ("train", x_train, y_train), ("test", x_test, y_test):
        require(x.dtype == np.uint8 and x.size and (x.ndim == 3 or x.ndim == 4 and x.shape[3] in (1, 3)),
                f"{where}: x_{part} is {x.dtype} {x.shape}; expected uint8 from 0 to 255, not empty, of shape "
                "(N, H, W), (N, H, W, 1) or (N, H, W, 3)")
        require(y.dtype.kind in "iu" and y.shape in ((len(x),), (len(x), 1)),
                f"{where}: y_{part} is {y.dtype} {y.shape}; expected {len(x)} integers, one for each image")
    require(x_train.shape[1:] == x_test.shape[1:],
            f"{where}: x_train has images {x_train.shape[1:]}, x_test {x_test.shape[1:]}; expected the same shape")
    lowest, highest = min(y_train.min(), y_test.min()), max(y_train.max(), y_test.max())
    classes = classes or [str(label) for label in range(min(int(y_train.max()) + 1, len(x_train)))]
    require(0 <= lowest and highest < len(classes), f"{where}: labels run from {lowest} to {highest}, but the training "
            f"set has {len(classes)} classes; expected labels from 0 to the number of classes - 1")
    return *(Split(x.reshape(*x.shape[:3], -1), y.reshape(-1).astype(np.int64))             # (N, H, W, C), (N,)
             for x, y in ((x_train, y_train), (x_test, y_test))), classes
