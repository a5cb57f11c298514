"""Text on any terminal: one that cannot show a character shows another instead, and no run dies of it."""

import codecs
import sys
import warnings
from contextlib import contextmanager

INSTEAD = dict(zip("ε§×÷√λαβσ·±−–—…→≥≤█", ["lr", "section ", "x", "/", "root ", "lambda", "alpha", "beta", "sigma", ".", "+-", "-",
                                            "-", "-", "...", "->", ">=", "<=", "#"]))


def substitute(error):
    """The handler of encoding errors: what INSTEAD has, else a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(INSTEAD.get(character, "?") for character in error.object[error.start:error.end]), error.end


codecs.register_error("substitute", substitute)


@contextmanager
def any_terminal():
    """with any_terminal(): print and tqdm write any text to standard output and standard error, whatever their encoding.
    Pillow's warnings about metadata and sizes are not shown (imaging/decode.py checks sizes)."""
    streams = [(stream, stream.errors) for stream in (sys.stdout, sys.stderr) if hasattr(stream, "reconfigure")]
    for stream, _ in streams:
        stream.reconfigure(errors="substitute")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            yield
    finally:
        for stream, errors in streams:
            stream.reconfigure(errors=errors)
