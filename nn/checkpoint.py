"""Checkpoints: named arrays and a few facts in one .npz file, written so that a crash cannot spoil it."""

import json
import os
import zipfile
import zlib

import numpy as np


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged or of another net: one sentence."""


def save_checkpoint(path, facts, **groups):
    """Write `facts` (a dict that JSON can hold) and groups of arrays, e.g. weights={"conv1.W": …}, to `path`.

    The file is written under a temporary name beside it, forced to the disk and then renamed: at every moment `path`
    is either the old checkpoint or the new one, whole.
    """
    arrays = {f"{group}/{name}": array for group, named in groups.items() for name, array in named.items()}
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    write_atomically(path, lambda file: np.savez(file, **arrays))


def load_checkpoint(path):
    """→ (facts, {"weights": {"conv1.W": array, …}, …}). Never runs code from the file (no pickle).

    Raises CheckpointError if it is missing, damaged or no checkpoint.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            facts = json.loads(file["facts"].tobytes())
            groups = {}
            for key in file.files:
                if key != "facts":
                    group, name = key.split("/")
                    groups.setdefault(group, {})[name] = file[key]
            return facts, groups
    except FileNotFoundError:
        raise CheckpointError(f"found no checkpoint at {path}: name a run that train.py has written") from None
    except (OSError, ValueError, KeyError, EOFError, TypeError, RuntimeError, zipfile.BadZipFile,
            zipfile.LargeZipFile, zlib.error) as error:                             # what damaged bytes can raise
        raise CheckpointError(f"{path} is not a whole checkpoint ({type(error).__name__} when read): expected an .npz "
                              "file written by train.py, use another one") from error


def write_atomically(path, write):
    """write(file) into a temporary file beside `path`, sync it, and rename it to `path`; on failure leave `path`
    as it was and no temporary file behind."""
    path = os.fspath(path)
    temporary = f"{path}.tmp"
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        if hasattr(os, "O_DIRECTORY"):              # where folders can be synced: until then the new name may be lost
            folder = os.open(os.path.dirname(path) or ".", os.O_DIRECTORY)
            os.fsync(folder)
            os.close(folder)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def write_text(path, text):
    """The same for a text."""
    write_atomically(path, lambda file: file.write(text.encode()))
