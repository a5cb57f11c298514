"""Pickles as data. A pickle is a program: it names functions, and unpickling calls them. Here a name is looked up only in a
short table of our own; any other name ends the reading.

The base is Python's unpickler written in Python. The one in C allocates memory for any number of objects that a damaged
file announces.
"""

import pickle

from interop.formats import printable


class Refused(ValueError):
    """A pickle refers to something outside the table; `name` is what."""

    def __init__(self, name):
        self.name = printable(name)
        super().__init__(f"its pickle refers to {self.name}, which a table of weights does not need; it is not run")


class Ignored:
    """Stands in for an object beside the weights, such as argparse.Namespace: it takes whatever it is given and keeps
    nothing."""

    def __new__(cls, *_, **__):
        return super().__new__(cls)

    def __init__(self, *_, **__):
        pass

    def ignore(self, *_):
        pass

    __setstate__ = __setitem__ = append = extend = add = ignore


class Restricted(pickle._Unpickler):
    """Reads a pickle; `allowed`: {"module.name": its replacement}. persistent: a function of a persistent id."""

    def __init__(self, file, allowed, persistent=None):
        super().__init__(file, encoding="latin1")       # Python 2's strings, which may be bytes of numbers
        self.allowed, self.persistent = allowed, persistent

    def find_class(self, module, name):
        if f"{module}.{name}" not in self.allowed:
            raise Refused(f"{module}.{name}")
        return self.allowed[f"{module}.{name}"]

    def persistent_load(self, identity):
        if self.persistent is None:
            raise ValueError("it refers to objects outside itself")
        return self.persistent(identity)
