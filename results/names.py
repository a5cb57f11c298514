"""The names of a net's classes, from a list or a file."""

import json
import re

from training.errors import UserError, expect

LONGEST = 16 << 20      # bytes of a file of names
WNID = re.compile(r"n\d{8}\b")


def names_for(net, classes):
    """The names of a Trained's outputs. classes: a list of them, or a file as `read_names` takes it. Raises UserError."""
    if isinstance(classes, list | tuple):
        expect(all(isinstance(name, str) for name in classes), "classes must be a list of names, or a file of them")
        names, source = list(classes), "the list of classes"
    else:
        names, source = read_names(classes), classes
    expect(len(names) == len(net.classes), f"{source} has {len(names)} names, {net.name} has {len(net.classes)} classes: name "
           "a file with one name for each, in the order of the net's outputs")
    return names


def read_names(path):
    """The names in a text file: one a line, or in JSON ["cat", …], {"0": "cat", …} or {"cat": 0, …}. Of lines or entries that
    begin with a wnid of ImageNet, "n02123045 tabby, tabby cat", the wnid. Raises UserError."""
    try:
        with open(path, "rb") as file:
            raw = file.read(LONGEST + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): name a file with one class a line") from None
    expect(len(raw) <= LONGEST, f"{path} is longer than {LONGEST >> 20} MB: expected a text with one class a line")
    try:
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path} is not text in UTF-8: expected one class a line; save it as UTF-8") from None
    names = from_json(path, text) if text.lstrip()[:1] in ("[", "{") else [line.strip() for line in text.splitlines()]
    while names and not names[-1]:
        names.pop()
    expect(all(names), f"{path} has an empty line, or an empty name, among its names: expected one class a line")
    if names and all(WNID.match(name) for name in names):
        names = [name[:9] for name in names]
    return names


def from_json(path, text):
    """The names in a text in JSON, in the order of their numbers."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    try:
        if isinstance(value, dict) and all(isinstance(number, int) for number in value.values()):
            value = {number: name for name, number in value.items()}
        if isinstance(value, dict):
            value = {int(number): name for number, name in value.items()}
            value = [value[number] for number in range(len(value))]
        names = [name[0] if isinstance(name, list) else name for name in value]     # ["n01440764", "tench"]
        if all(isinstance(name, str) for name in names):
            return names
    except (TypeError, ValueError, LookupError):
        pass
    raise UserError(f'{path} is not a JSON list of names, nor {{"0": name, …}} with the numbers from 0 on: write it so, or one '
                    "name a line")
