"""Finds the weights of an AlexNet in a state dict, whatever wraps it and whatever stands before its names.

    {"epoch": 90, "state_dict": {"features.module.0.weight": …}, "optimizer": …}    → {"conv1.weight": …}
    {"module.model.features.0.weight": …, …, "module.head.scale": …}                → the same
"""

import re

from interop.formats import printable
from nn import CheckpointError

# torchvision's names, and this program's own, which `evaluate.py export` writes.
LAYERS = {"features.0": "conv1", "features.3": "conv2", "features.6": "conv3", "features.8": "conv4",
          "features.10": "conv5", "classifier.1": "fc6", "classifier.4": "fc7", "classifier.6": "fc8"}
LAYERS |= {name: name for name in LAYERS.values()}
NAME = re.compile(r"(?P<prefix>(?:.*\.)?)(?:(?P<part>features|classifier)\.(?:.*\.)?(?P<number>\d+)|"
                  r"(?P<own>conv[1-5]|fc[678]))\.(?P<key>weight|bias)", re.DOTALL)
DEPTH, DICTIONARIES, LETTERS = 8, 10_000, 300           # limits: of the nesting, the dictionaries searched, a name


def weights(path, state, kind):
    """{"conv1.weight": tensor, …} of the first dictionary in `state`, outermost first, that holds all eight layers under one
    prefix; kind: the type of a tensor. If none holds all, the one with most of them, so that the caller can name what is
    missing. Raises CheckpointError if no tensor has a name of these layers."""
    found = [group for table in dictionaries(state) for group in groups(table, kind)]
    if not found:
        names = [printable(name) for table in dictionaries(state) for name, value in table.items() if isinstance(value, kind)]
        some = f"tensors {', '.join(names[:3])}{' …' if len(names) > 3 else ''}" if names else "no table of tensors"
        raise CheckpointError(f"{path} holds no AlexNet with torchvision's names: found {some}, expected features.0.weight "
                              "to classifier.6.bias, with any prefix; use another file")
    return max(found, key=lambda group: len(group.keys() & WANTED))         # the first of equals


WANTED = {f"{layer}.{key}" for layer in LAYERS.values() for key in ("weight", "bias")}


def dictionaries(state):
    """The dictionaries in nested dictionaries, lists and tuples, the outermost first, each once."""
    level, seen = [state], set()
    for _ in range(DEPTH):
        deeper = []
        for value in level:
            if id(value) in seen or len(seen) > DICTIONARIES:
                continue
            if isinstance(value, dict):
                seen.add(id(value))
                yield value
                deeper.extend(inner for inner in value.values() if isinstance(inner, dict | list))
            elif isinstance(value, list):
                seen.add(id(value))
                deeper.extend(inner for inner in value if isinstance(inner, dict))
        level = deeper


def groups(table, kind):
    """For each prefix in a dictionary the tensors under it, by this program's names.

    A weight or bias under the prefix that belongs to none of the eight layers keeps its name: it shows that this is another
    net (one with batch normalisation has features.1.weight)."""
    tensors = {name: value for name, value in table.items() if isinstance(name, str) and len(name) <= LETTERS and isinstance(value, kind)}
    found = {}
    for name, tensor in tensors.items():
        if match := NAME.fullmatch(name):
            layer = match["own"] or f"{match['part']}.{match['number']}"
            found.setdefault(match["prefix"], {})[f"{LAYERS.get(layer, layer)}.{match['key']}"] = tensor
    for prefix, own in found.items():
        inner = tuple(other for other in found if other != prefix and other.startswith(prefix))
        own |= {name: tensor for name, tensor in tensors.items()
                if name.startswith(prefix) and name.endswith((".weight", ".bias", ".running_mean"))
                and not NAME.fullmatch(name) and not (inner and name.startswith(inner))}
    return list(found.values())
