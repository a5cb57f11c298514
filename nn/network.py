"""Towers in parallel, as on the paper's two GPUs (§ 3.2), and their forward and backward passes."""

from contextlib import nullcontext

from nn.fast import choose
from nn.layer import expect_count, expect_float
from nn.loss import SoftmaxCrossEntropy, softmax
from nn.run import memory, shares
from nn.run.device import Device, meet
from nn.run.device import devices as find_devices
from nn.run.pieces import StagePass, timed
from nn.run.stages import cut
from nn.run.workers import Workers


class Network:
    """A net of one or more towers; the first holds the last layer and the loss.

    towers: one {name: layer} per tower, the same names in all, except that the others may end sooner than the first.
    shape: (H, W, C) of the images.
    devices: one Device per tower (default: the CPU for all), or a text as after --device. What a tower owns and
        computes is made on its device and stays there.
    seed: what dropout is drawn from, together with the step.
    threads: of the CPU (default: one per core).
    micro_batch: images per piece (default: as many as fit the cache, for each part of the net; on a GPU, all).
    plain: run the layers as nn/ has them, the whole batch at once, in the calling thread: slower, and good for a
        debugger. Default: their fast forms (nn/fast/). Results agree within rounding.
    convolution: on the CPU, "winograd", with fewer multiplications and larger rounding errors, or "direct": see
        nn/fast/winograd.py.

    Parameters have names like "conv1.W". `weights()` returns {"conv1.W": array, …}, the towers' shares joined: the
    layout of the one-tower net, so that nets with one and two towers exchange weights as they are.
    """

    def __init__(self, towers, shape, devices=None, seed=0, threads=None, micro_batch=None, plain=False,
                 convolution="winograd"):
        if convolution not in ("winograd", "direct"):
            raise ValueError(f"convolution must be one of winograd, direct, got {convolution!r}")
        if micro_batch is not None:
            expect_count("micro_batch", micro_batch)
        self.towers, self.shape, self.seed, self.micro_batch = towers, tuple(shape), seed, micro_batch
        devices = "cpu" if devices is None else devices
        self.devices = find_devices(devices, len(towers)) if isinstance(devices, str) else devices
        if len(self.devices) != len(towers) or not all(isinstance(device, Device) for device in self.devices):
            raise ValueError(f"devices must be a list of one Device per tower, {len(towers)}, got {devices!r}")
        self.on_cpu = all(device.number is None for device in self.devices)
        self.plain, self.in_threads = plain, self.on_cpu and not plain
        self.workers = Workers(threads)
        self.forms = choose(self.devices, self.workers, plain, convolution)
        self.layers = [self.forms.of_tower(tower) for tower in towers]
        self.loss = self.forms.form(SoftmaxCrossEntropy())
        self.stages = cut(towers[0], self.shape)
        self.profile = None             # a Profile, to time every stage (nn/run/profile.py)
        self.place = 0                  # of a batch's first image, where processes share it (nn/run/ranks.py)
        self.mine = range(len(towers))  # the towers computed here, and what exchanges maps with the others
        self.others = None
        self.ready = None               # called with backward's gradients after every stage
        for tower, device in zip(towers, self.devices):
            for layer in tower.values():
                for key in layer.params:
                    layer.params[key] = device.put(layer.params[key])

    # A batch through the net ---------------------------------------------------------------------------------------

    def forward(self, images, train=True, step=0, last=True):
        """images (N, H, W, C) → logits (N, classes) on the first device, and what backward needs.

        images: a NumPy array, or a list with one array per tower, each on its device (nn/run/feed.py).
        last=False leaves the last layer out.
        """
        xs, passes, kept = self.hand_out(images), [], None      # {tower: its maps}; kept until the towers meet again
        count = len(next(iter(xs.values())))
        meet(self.devices)
        with self.hold_blas():
            for stage in self.stages:
                widths = {t: x.shape[-1] for t, x in xs.items()}
                towers = [t for t, tower in enumerate(self.towers) if stage.first in tower]
                if stage.exchange:                              # the GPUs communicate only here (§ 3.2)
                    meet(self.devices)
                    kept, xs = xs, (self.others or self.layers[0][stage.exchange]).forward(xs, self.devices, towers)
                if not last and stage is self.stages[-1]:
                    stage = stage.without_last()
                passes.append(StagePass(self, stage, towers, widths, count))
                xs = passes[-1].forward(xs, train, step)
        meet(self.devices)
        del kept
        return xs.get(0), passes

    def backward(self, dlogits, passes):
        """∂loss/∂logits (N, classes) and what forward returned → gradients in the form of `parameters`. `passes` is
        empty afterwards."""
        ds, gradients, kept = {0: dlogits} if 0 in self.mine else {}, [{} for _ in self.towers], None
        with self.hold_blas():
            while passes:
                one = passes.pop()
                ds = one.backward(ds, gradients)
                if self.ready:
                    self.ready(gradients)
                if one.stage.exchange and ds is not None:
                    meet(self.devices)
                    kept, ds = ds, (self.others.backward(ds, self.devices, one.receivers) if self.others else
                          self.layers[0][one.stage.exchange].backward(ds, self.devices, one.widths))
        meet(self.devices)
        del kept
        return gradients

    def loss_and_gradients(self, images, labels, step=0):
        """Mean loss of a batch, and its gradient for every parameter, in the form of `parameters`.

        images (N, H, W, C) float, labels (N,) whole numbers; step: which dropout masks to draw.
        """
        logits, passes = self.forward(images, train=True, step=step)
        self.loss.expect_labels(labels, logits.shape)
        with self.devices[0] as first:
            loss, cache = self.loss.forward(logits, first.put(labels))
            return loss, self.backward(self.loss.backward(cache), passes)

    def predict(self, images):
        """Probabilities (N, classes) as a NumPy array; rows sum to 1."""
        logits, _ = self.forward(images, train=False)
        with self.devices[0] as first:
            return None if logits is None else first.get(softmax(logits))

    def features(self, images):
        """What the last layer sees, (N, 4096) in the full net, as a NumPy array: § 6.1 compares images by it."""
        features, _ = self.forward(images, train=False, last=False)
        return self.devices[0].get(features)

    def hand_out(self, images):
        """→ {tower: the images on its device}. Raises ValueError for images that do not fit the net."""
        given, images = images, images[0] if isinstance(images, list) else images
        if images.ndim != 4 or images.shape[1:] != self.shape:
            hint = ": add a batch axis with images[None]" if images.shape == self.shape else ""
            raise ValueError(f"the net expects images (N, {', '.join(map(str, self.shape))}), got {images.shape}{hint}")
        expect_float("the net", images)
        if not len(images):
            raise ValueError("the net expects at least one image, got none")
        if isinstance(given, list):
            return {t: given[t] for t in self.mine}
        there = {device.name: device for device in reversed(self.devices)}          # once for two towers on one card
        there = {name: device.put(images) for name, device in there.items()}
        return {t: there[self.devices[t].name] for t in self.mine}

    def hold_blas(self):
        """While our own threads share the work, BLAS uses one thread; in the plain form it uses all."""
        if not self.on_cpu:
            return nullcontext()
        return self.workers.all_blas_threads() if self.plain else self.workers.one_blas_thread()

    # The parameters ------------------------------------------------------------------------------------------------

    @property
    def parameters(self):
        """Per tower, {"conv1.W": array, …}: the arrays themselves, on the tower's device."""
        return [own if t in self.mine else {} for t, own in enumerate(self.every)]

    @property
    def every(self):
        """The same for all towers: those of other processes have arrays without contents."""
        return [{f"{name}.{key}": array for name, layer in tower.items() for key, array in layer.params.items()}
                for tower in self.towers]

    def weights(self):
        """{"conv1.W": NumPy array, …}: all parameters, the towers' shares joined."""
        return self.join(self.parameters)

    def load_weights(self, weights):
        """Set every parameter from a dict like that of weights(). Raises ValueError if names or shapes differ."""
        for own, given, device in zip(self.parameters, self.split(weights), self.devices):
            with device:
                for name, array in own.items():
                    array[...] = given[name]

    def join(self, arrays):
        """One dict per tower, with arrays like the parameters → one dict of whole NumPy arrays."""
        return shares.join(self.others.complete(arrays) if self.others else arrays, self.devices)

    def split(self, whole):
        """The inverse of join: each tower's share, on its device."""
        split = shares.split(whole, self.every, self.devices)
        return [own if t in self.mine else {} for t, own in enumerate(split)]

    def update(self, t, updates):
        """Apply the nn.optim.Updates of tower t's parameters, where they are."""
        with self.devices[t], nullcontext() if self.on_cpu else timed(self, t, "SGD", "update"):
            self.forms.update(updates)

    def memory(self, count):
        """Bytes that training on batches of `count` images takes on a GPU, per tower: see nn/run/memory.py."""
        return memory.ledger(self, count)
