"""A trained net with everything that using it needs: the names of its classes, and how an image is prepared for it."""

import inspect
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np

import data
from alexnet import MODELS, AlexNet
from interop.formats import recognise
from interop.mean import mean_for
from nn import CheckpointError, DeviceError, Network, load_checkpoint
from nn.checkpoint import in_short
from results.names import names_for
from results.photos import photograph
from training.errors import expect

SIDE = 1024             # pixels: no net of this program takes larger images; a file that says so is damaged


class Trained(NamedTuple):
    """images are uint8, (n, size, size, C), as data.prepare makes them."""
    name: str               # of the file or run
    network: Network
    classes: list[str]      # output i means classes[i]
    size: int               # side of the images, in pixels
    mean: np.ndarray        # (size, size, C) float32, subtracted where the view is cut; or (side, side, C), the same for
                            # every view (train.py --mean centre)
    scale: np.ndarray       # () or (C,) float32: factor applied to the pixels after that
    model: str              # name in alexnet.MODELS
    options: dict           # of the model: with network.weights() enough to make the network again
    source: str | None      # what it was trained on, as data.load takes it, if known
    seed: int               # of that run: with `holdout` it decides which images the run held out
    holdout: float = 0.1    # share of the training images

    @property
    def channels(self):
        return self.mean.shape[2]

    @property
    def side(self):
        """The side of the views cut from an image: what the network itself takes."""
        return self.network.shape[0]

    def views(self, images, views=1):
        """The central view of images (n, size, size, C) uint8, or the ten of § 4.1: arrays (n, side, side, C)."""
        if views not in (1, 10):
            raise ValueError(f"views must be 1 or 10, got {views!r}")
        if views == 1:
            return [data.central_views(images, self.side, self.mean, self.scale)]
        return data.ten_views(images, self.side, self.mean, self.scale)

    def predict(self, images, views=1):
        """images (n, size, size, C) uint8 → probabilities (n, classes), the mean over the views of their softmax."""
        return np.mean([self.network.predict(view) for view in self.views(images, views)], axis=0)

    def features(self, images):
        """images (n, size, size, C) uint8 → (n, F): the last layer's input for the central view (§ 6.1)."""
        return self.network.features(next(iter(self.views(images))))

    def classify(self, photo, views=10, top=5):
        """The `top` likeliest classes of a photograph: [(name, probability), …], the likeliest first.

        photo: a file's name, a Path or a binary file. Raises FileNotFoundError, PIL.UnidentifiedImageError, or DataError
        for an image of more than 100 million pixels or with more than 16 bits a channel.
        """
        expect(top >= 1, f"top must be at least 1, got {top}")
        image, _ = photograph(photo, self)
        return self.likeliest(self.predict(image[None], views)[0], top)

    def likeliest(self, p, top):
        """probabilities p (classes,) → [(name, probability), …] of the `top` largest, the largest first."""
        return [(title(self.classes[i]), float(p[i])) for i in np.argsort(-p, kind="stable")[:top]]

    def grouped(self):
        """The same net as one tower with groups, which gives the same outputs: for a walk through it layer by layer."""
        if len(self.network.towers) == 1:
            return self
        return rebuild(self.name, self.facts() | dict(options=self.options | dict(towers=1)), self.network.weights(),
                       self.mean, self.network.workers.threads)

    def facts(self):
        """The JSON-serialisable part of what `rebuild` needs."""
        return dict(model=self.model, options=self.options, classes=self.classes, size=self.size,
                    side=self.side, scale=self.scale.tolist(), source=self.source,
                    seed=self.seed, holdout=self.holdout)


def title(name):
    """The printed name of a class: for one of ImageNet's 1000 wnids its first English name, for others the name itself."""
    return data.class_names([name])[0]


def load(path, threads=None, devices=None, classes=None, mean=None):
    """The Trained in a run's folder or in a weight file of any format in interop/, told by its contents.

    classes: the names of its classes, a list or a file of them (names.py); None: those that the file tells, ImageNet's for
    1000 outputs, else "0", "1" …
    mean: a file of Caffe's with the mean image to subtract (interop/mean.py); None: the net's own.
    threads, devices: as in AlexNet. Raises CheckpointError: the file is missing or damaged, or what in it does not fit;
    UserError: the same of `classes` and `mean`.
    """
    net = from_file(Path(path), threads, devices)
    if classes is not None:
        net = net._replace(classes=names_for(net, classes))
    if mean is not None:
        net = net._replace(mean=mean_for(net, mean))
    return net


def from_file(path, threads, devices):
    """The Trained of `load`, as its file describes it."""
    kind = "npz" if path.is_dir() else recognise(path)
    if kind == "npz":
        return read(path, threads, devices)
    reader = import_module(f"interop.{kind}")
    try:
        return reader.load(path, threads, devices)
    except (CheckpointError, DeviceError):
        raise
    except Exception as error:                              # damaged bytes can raise anything
        raise CheckpointError(f"{path} cannot be read ({in_short(error)}): expected a whole file of {reader.FORMAT} with an "
                              "AlexNet, fetch it again") from error


def read(path, threads=None, devices=None):
    """The Trained of a run's folder, or of a best.npz. Raises CheckpointError if it is missing, damaged, or written by a
    version of train.py that did not store how its net is used."""
    path = Path(path)
    file = path / "best.npz" if path.is_dir() else path
    facts, arrays = load_checkpoint(file)
    if not isinstance(facts, dict) or "use" not in facts or "mean" not in arrays.get("use", {}):
        raise CheckpointError(f"{file} does not say how its net is used: expected a best.npz as train.py writes it "
                              "now; train again, or name another")
    return rebuild(path, facts["use"], arrays.get("weights", {}), arrays["use"]["mean"], threads, devices)


def rebuild(path, facts, weights, mean, threads=None, devices=None, convert=None):
    """The Trained that `facts` (as Trained.facts returns them), weights {"conv1.W": array, …} and the mean image describe.
    convert: for weights in another layout, a function of (network, weights) that checks their shapes and converts them.

    The file may come from anybody: everything is checked before it is used. The net is made of zeros, which take no memory,
    until all weights are there with its shapes. Raises CheckpointError, naming `path` and what does not fit.
    """
    def expect(condition, what):
        if not condition:
            raise CheckpointError(f"{path} describes no net of this program: {what}; use another file")

    expect(isinstance(facts, dict), "its description is not a table of names and values")
    model, options, classes, side = (facts.get(key) for key in ("model", "options", "classes", "side"))
    expect(isinstance(model, str) and model in MODELS, f"model must be one of {', '.join(MODELS)}, found {model!r:.80}")
    known = inspect.signature(MODELS["figure1"] if model == "figure1" else AlexNet).parameters
    known = set(known) - {"classes", "image", "init", "bias", "seed", "threads", "devices", "micro_batch", "plain"}
    expect(isinstance(options, dict) and set(options) <= known, f"found options {options!r:.80}, expected some of "
           f"{', '.join(sorted(known))}")
    expect(isinstance(classes, list) and classes and all(isinstance(name, str) for name in classes),
           "its classes are not a list of names")
    expect(mean.ndim == 3 and mean.shape[0] == mean.shape[1] and 1 <= mean.shape[0] <= SIDE and
           mean.shape[2] in (1, 3) and mean.dtype.kind == "f" and np.isfinite(mean).all(),
           f"found a mean image of {mean.dtype} {mean.shape}, expected numbers, (size, size, 1 or 3), size up to {SIDE}")
    size = facts.get("size", len(mean))
    expect(isinstance(size, int) and 1 <= size <= SIDE, f"found images of {size!r:.80} pixels a side, expected 1 to {SIDE}")
    expect(isinstance(side, int) and 1 <= side <= size, f"found views of {side!r:.80} pixels a side, expected 1 to {size}")
    expect(len(mean) in (size, side), f"found a mean image of {len(mean)} pixels a side, expected {size} or {side}")
    try:
        with np.errstate(over="ignore"):
            scale = np.array(facts.get("scale"), np.float32)
    except (TypeError, ValueError, OverflowError):
        scale = np.array(np.nan)
    expect(scale.shape in ((), mean.shape[2:]) and np.isfinite(scale).all(),
           f"found scale {facts.get('scale')!r:.80}, expected a number, or one for each of {mean.shape[2]} channels")
    source, seed, holdout = facts.get("source"), facts.get("seed", 0), facts.get("holdout", 0.1)
    expect(isinstance(source, str | None) and isinstance(seed, int) and seed >= 0 and isinstance(holdout, int | float)
           and 0 <= holdout < 1, "its source, seed or share held out is of the wrong type or range")
    try:
        network = MODELS[model](len(classes), (side, side, mean.shape[2]), **options, init=None, threads=threads,
                                devices=devices)
        weights = convert(network, weights) if convert else weights
        with np.errstate(over="ignore"):                        # float64 beyond float32 becomes infinite, and is found
            network.load_weights(weights)
    except DeviceError:
        raise
    except Exception as error:                                  # options that make no net can raise anything
        raise CheckpointError(f"{path} holds no net of this program ({in_short(error)}); use another file") from None
    for name, array in network.weights().items():
        expect(weights[name].dtype.kind == "f" and np.isfinite(array).all(),
               f"{name} ({weights[name].dtype}) holds values that are not finite floating-point numbers")
    return Trained(str(path), network, classes, size, mean.astype(np.float32), scale, model, options, source, seed,
                   holdout)
