"""What a run starts from: its network, with initial values drawn from the seed, or with the weights of --weights."""

import inspect
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from alexnet import MODELS
from nn import load_checkpoint, save_checkpoint
from nn.run.device import use_tf32
from training.errors import UserError, expect
from training.options import ALTERNATIVES, INITIAL, given, option

ROOT = Path(__file__).resolve().parents[1]


class Start(NamedTuple):
    """What --weights names, as far as the run needs it later, too."""
    architecture: dict      # arguments of the model: those that train.py has as options, and others (kernels, stem …)
    mean: np.ndarray        # (size, size, C) or (side, side, C), subtracted with --mean weights
    channels: int


def start_from(options, resume):
    """→ (the Start of a run with --weights, the results.trained.Trained itself in a new run); (None, None) without."""
    if not options.weights:
        return None, None
    if resume and Path(resume, "checkpoint.npz").exists():  # else it was killed before it had them
        facts, arrays = load_checkpoint(Path(resume, "start.npz"))
        mean = arrays["start"]["mean"]
        return Start(facts["architecture"], mean, mean.shape[2]), None
    from results import load  # it imports training.errors in turn

    trained = load(options.weights, threads=options.threads)
    return Start(trained.options, trained.mean, trained.channels), trained


def write_start(start, folder):
    save_checkpoint(Path(folder, "start.npz"), dict(architecture=start.architecture), start=dict(mean=start.mean))


def build(options, pictures, side, ranks, start=None):
    """The network that the options describe, on this process's devices. Raises UserError in the words of the command line."""
    make = MODELS[options.model]
    alternatives = (start.architecture if start else {}) | given(options, ALTERNATIVES + INITIAL)
    known = inspect.signature(make).parameters
    unknown = [option(name) for name in alternatives if name not in known and "options" not in known]
    expect(not unknown, f"--model {options.model} has no {', '.join(unknown)}: leave it out")
    shape = (side, side, pictures.train.images.shape[3])
    one = options.model == "figure1" or options.one_gpu or options.model_parallel
    use_tf32(options.tf32, options.device)
    devices = ranks.devices(options.device, 1 if one else alternatives.get("towers", 2))
    try:
        network = make(len(pictures.classes), shape, seed=options.seed, threads=ranks.threads(options.threads), devices=devices,
                       plain=options.plain, convolution=options.convolution, **alternatives)
    except ValueError as error:
        name, _, rest = str(error).partition(" ")
        if name in ALTERNATIVES + INITIAL:
            raise UserError(f"{option(name)} {rest}") from error
        raise
    layers = list(dict.fromkeys(name.split(".")[0] for name in network.weights()))
    unknown = [name for name in options.freeze or () if name not in layers]
    expect(not unknown, f"--freeze expects layers of {', '.join(layers)}, got {', '.join(unknown)}")
    return network


def keep_what_fits(network, trained, classes):
    """Give the network the weights of a Trained, except those of other shapes, and the last layer's if the classes differ
    → a sentence that says which."""
    own, given = network.weights(), trained.network.weights()
    last = list(own)[-1].split(".")[0]
    fits = {name for name, array in own.items() if name in given and given[name].shape == array.shape
            and (name.split(".")[0] != last or trained.classes == classes)}
    network.load_weights(own | {name: given[name] for name in fits})
    layers = list(dict.fromkeys(name.split(".")[0] for name in own))
    kept = [layer for layer in layers if {f"{layer}.W", f"{layer}.b"} <= fits]
    drawn = [layer for layer in layers if layer not in kept]
    expect(kept, f"no layer of {trained.name} fits this net: found {', '.join(f'{k} {v.shape}' for k, v in list(given.items())[:2])} …, "
                 f"expected {', '.join(f'{k} {v.shape}' for k, v in list(own.items())[:2])} …; leave the options of the net out")
    return f"from {trained.name}: {', '.join(kept)}" + (f"; drawn anew: {', '.join(drawn)} ({len(trained.classes)} classes "
                                                        f"there, {len(classes)} here)" if drawn else "")


def what_must_agree(options, pictures, mean):
    """What must be the same in all processes that share a run: {what: value}."""
    own = {option(name): value for name, value in vars(options).items() if name not in ("threads", "workers", "device", "wait")}
    seen = [np.ascontiguousarray(mean)]
    for split in pictures.train, pictures.validation, pictures.test:
        some = np.linspace(0, len(split.labels) - 1, min(32, len(split.labels))).astype(int)
        seen += [split.labels, np.ascontiguousarray(split.images[some])]
    code = b"".join(path.read_bytes() for path in sorted(ROOT.glob("[nit]*/**/*.py")))
    return own | {"the data": f"{pictures.name} (checksum {zlib.crc32(b''.join(array.tobytes() for array in seen)):08x})",
                  "the program": f"of checksum {zlib.crc32(code):08x}"}


def expect_memory(network, batch_size):
    """Raise UserError if a GPU lacks the memory for a training step. (The weights and velocities are already in it.)"""
    needs = {}
    for device, ledger in zip(network.devices, network.memory(batch_size)):
        needs[device.name] = needs.get(device.name, 0) + sum(ledger.values()) - ledger["weights"] - ledger["velocities"]
    for device in network.devices:
        if device.memory():
            free, total = (size / 2**20 for size in device.memory())
            need = needs[device.name] / 2**20
            expect(need <= free, f"{device.name} has {free:,.0f} MiB free of {total:,.0f}, and a step of {batch_size} "
                                 f"images needs about {need:,.0f} MiB more: choose a smaller --batch-size")


def how_used(options, pictures, side, start):
    """What best.npz stores besides the weights and the mean image: see Trained in results/trained.py."""
    architecture = (start.architecture if start else {}) | given(options, ALTERNATIVES)
    return dict(model=options.model, options=architecture, classes=pictures.classes,
                size=pictures.train.images.shape[1], side=side, scale=options.scale, source=options.data,
                seed=options.seed, holdout=options.holdout)
