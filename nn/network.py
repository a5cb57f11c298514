"""Towers side by side, as on the paper's two GPUs (§ 3.2), and how a batch goes through them."""

import math
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np

from nn.conv import COLUMNS, Conv2d
from nn.device import Device, array_module, send
from nn.device import devices as find_devices
from nn.dropout import Dropout
from nn.layer import Layer, expect_count, expect_float
from nn.linear import Flatten, Linear
from nn.loss import SoftmaxCrossEntropy, softmax
from nn.workers import Workers

PIECE = 1 << 18         # floats in the largest map of a piece (1 MiB), see Stage


class Stage(NamedTuple):
    """Part of the net: what a tower does between two exchanges.

    The convolutional stages take a batch in pieces of a few images, so that a piece's maps and unrolled columns stay in
    the processor's cache: every piece in every tower is a job, and the jobs are shared out to threads. The fully
    connected stages, whose weights are what is large, take the whole batch at once, with threads inside each product.
    (Pieces of 64 images take 1.4 times as long for a batch of 128 of the full net.)

    A GPU takes the whole batch at once everywhere. One thread queues the towers' work, device by device, and does not
    wait for it: so the devices work side by side.
    """
    exchange: str | None    # the name of the exchange that it begins with, if it does
    layers: list            # names
    in_pieces: bool
    largest: int            # floats of the largest map in a tower, per image

    def __str__(self):
        names = self.layers or [self.exchange]
        return " … ".join(dict.fromkeys((names[0], names[-1])))


class Exchange(Layer):
    """Where the lines of Figure 2 cross: each tower that goes on receives all towers' maps, joined in tower order.

    A tower whose list ends before the exchange sends and does not receive. Nothing else passes between towers.
    """

    def __init__(self, towers):
        super().__init__()
        self.towers = towers

    def __repr__(self):
        return "Exchange()"

    def output_shape(self, shape):
        return (*shape[:-1], shape[-1] * self.towers)

    def forward(self, xs, devices, receivers):
        """xs: one array per tower → a dict {receiving tower: (…, all towers' channels)}."""
        if len(xs) == 1:
            return {0: xs[0]}
        joined = {}
        for t in receivers:
            received = [send(x, devices[s], devices[t]) for s, x in xs.items()]
            with devices[t]:
                joined[t] = array_module(xs[t]).concatenate(received, axis=-1)
        return joined

    def backward(self, dys, devices, widths):
        """dys: {receiving tower: (…, all channels)} → {tower: its own channels, what all receivers say of them
        added up}; widths: {tower: channels}."""
        dxs, start = {}, 0
        for s, width in widths.items():
            own = [send(dy[..., start:start + width], devices[t], devices[s]) for t, dy in dys.items()]
            with devices[s]:
                dxs[s] = own[0] if len(own) == 1 else sum(own[1:], start=own[0])
            start += width
        return dxs


class Network:
    """A net of one or more towers; the first holds the last layer and the loss.

    towers: one {name: layer} per tower, the same names in all, except that the others may end sooner than the first.
    shape: (H, W, C) of the images.
    devices: one Device per tower (default: the CPU for all), or a text as after --device. What a tower owns and
        computes is made on its device and stays there.
    seed: what dropout is drawn from, together with the step.
    threads: of the CPU (default: one per core).
    micro_batch: images per piece (default: as many as suit the cache, for each part of the net; on a GPU, all).

    Parameters have names like "conv1.W". `weights()` gives them whole, as the grouped one-tower net has them, and
    `load_weights` takes them so: nets with one and two towers exchange weights as they are.
    """

    def __init__(self, towers, shape, devices=None, seed=0, threads=None, micro_batch=None):
        if micro_batch is not None:
            expect_count("micro_batch", micro_batch)
        self.towers, self.shape, self.seed, self.micro_batch = towers, tuple(shape), seed, micro_batch
        devices = "cpu" if devices is None else devices
        self.devices = find_devices(devices, len(towers)) if isinstance(devices, str) else devices
        if len(self.devices) != len(towers) or not all(isinstance(device, Device) for device in self.devices):
            raise ValueError(f"devices must be a list of one Device per tower, {len(towers)}, got {devices!r}")
        self.on_cpu = all(device.number is None for device in self.devices)
        self.workers = Workers(threads)
        self.loss = SoftmaxCrossEntropy()
        self.stages = self._stages()
        self.profile = None             # a Profile, to time every stage (nn/profile.py)
        for tower, device in zip(towers, self.devices):
            for layer in tower.values():
                for key in layer.params:
                    layer.params[key] = device.put(layer.params[key])
                if isinstance(layer, Linear) and self.on_cpu:
                    layer.product = self.workers.product

    # The parameters ------------------------------------------------------------------------------------------------

    @property
    def parameters(self):
        """Per tower, {"conv1.W": array, …}: the arrays themselves, on the tower's device."""
        return [{f"{name}.{key}": array for name, layer in tower.items() for key, array in layer.params.items()}
                for tower in self.towers]

    def weights(self):
        """{"conv1.W": NumPy array, …}: all parameters, those of the towers joined."""
        return self.join(self.parameters)

    def load_weights(self, weights):
        """Set every parameter from a dict like that of weights(). Raises ValueError if names or shapes differ."""
        for own, given, device in zip(self.parameters, self.split(weights), self.devices):
            with device:
                for name, array in own.items():
                    array[...] = given[name]

    def join(self, arrays):
        """One dict per tower, with arrays like the parameters → one dict of whole NumPy arrays (kernels come last)."""
        whole = {}
        for name in arrays[0]:
            parts = [device.get(own[name]) for own, device in zip(arrays, self.devices) if name in own]
            whole[name] = np.concatenate(parts, axis=-1)
        return whole

    def split(self, whole):
        """The inverse of join: each tower's share, on its device."""
        parameters = self.parameters
        expected = {name: (*array.shape[:-1], array.shape[-1] * sum(name in own for own in parameters))
                    for name, array in parameters[0].items()}
        found = {name: array.shape for name, array in whole.items()}
        for name in expected | found:
            if found.get(name) != expected.get(name):
                raise ValueError(f"these weights are of another net: found {name} {found.get(name, 'missing')}, "
                                 f"expected {expected.get(name, 'none of that name')}")
        shares = []
        for t, (own, device) in enumerate(zip(parameters, self.devices)):
            shares.append({})
            for name, array in own.items():
                K = array.shape[-1]
                shares[t][name] = device.put(np.array(whole[name][..., t * K:(t + 1) * K], order="C"))
        return shares

    # What a user calls ---------------------------------------------------------------------------------------------

    def loss_and_gradients(self, images, labels, step=0):
        """Mean loss of a batch, and its gradient for every parameter, in the form of `parameters`.

        images (N, H, W, C) float, labels (N,) whole numbers; step: which dropout masks to draw.
        """
        logits, caches = self.forward(images, train=True, step=step)
        self.loss.expect_labels(labels, logits.shape)
        with self.devices[0] as first:
            loss, cache = self.loss.forward(logits, first.put(labels))
            return loss, self.backward(self.loss.backward(cache), caches)

    def predict(self, images):
        """Probabilities (N, classes) as a NumPy array; rows sum to 1."""
        logits, _ = self.forward(images, train=False)
        with self.devices[0] as first:
            return first.get(softmax(logits))

    def features(self, images):
        """What the last layer sees, (N, 4096) in the full net, as a NumPy array: § 6.1 compares images by it."""
        features, _ = self.forward(images, train=False, last=False)
        return self.devices[0].get(features)

    def memory(self, count):
        """Bytes that training on batches of `count` images takes in each tower, on a GPU: a list of {what: bytes}.

        What forward keeps for backward is measured with one image. "at work" is for the layer at work: the largest
        columns, and three of the largest map (what comes in, what goes out, and one more). "batches" are the two that
        are on their way in (nn/feed.py). (2 to 20 % more than what was really taken, on emulated devices.)
        """
        _, caches = self.forward(np.zeros((1, *self.shape), self.towers[0]["conv1"].params["W"].dtype))
        ledger, columns, shape = [], 0, self.shape
        for layer in self.towers[0].values():
            columns = max(columns, layer.columns(shape) if isinstance(layer, Conv2d) else 0)
            shape = layer.output_shape(shape)
        for t, own in enumerate(self.parameters):
            weights = sum(array.nbytes for array in own.values())
            kept = {}
            for _, jobs, of_jobs in caches:
                for (_, tower), of_job in zip(jobs, of_jobs):
                    if tower == t:
                        kept |= arrays_in(of_job)
            item = next(iter(own.values())).itemsize
            image = math.prod(self.shape) * item
            largest = max(stage.largest for stage in self.stages) * item
            ledger.append({"weights": weights, "velocities": weights, "gradients": weights,
                           "kept for backward": count * (sum(kept.values()) - image),
                           "at work": min(COLUMNS, count * columns * item) + 3 * count * largest,
                           "batches": 2 * count * image})
        return ledger

    # A batch through the net ---------------------------------------------------------------------------------------

    def forward(self, images, train=True, step=0, last=True):
        """images (N, H, W, C) → logits (N, classes) on the first device, and the caches for backward.

        images: a NumPy array, or a list with one for each tower, which is already on its device (nn/feed.py).
        last=False leaves the last layer out.
        """
        given, images = images, images[0] if isinstance(images, list) else images
        if images.ndim != 4 or images.shape[1:] != self.shape:
            hint = ": add a batch axis with images[None]" if images.shape == self.shape else ""
            raise ValueError(f"the net expects images (N, {', '.join(map(str, self.shape))}), got {images.shape}{hint}")
        expect_float("the net", images)
        if not len(images):
            raise ValueError("the net expects at least one image, got none")
        if not isinstance(given, list):
            there = {device.name: device.put(images) for device in self.devices}    # once for two towers on one card
            given = [there[device.name] for device in self.devices]
        xs, caches = dict(enumerate(given)), []
        with self.workers.one_blas_thread():
            for stage in self.stages:
                if stage is self.stages[-1] and not last:
                    stage = stage._replace(layers=stage.layers[:-1])
                xs, cache = self._forward(stage, xs, train, step)
                caches.append(cache)
        return xs[0], caches

    def backward(self, dlogits, caches):
        """∂loss/∂logits (N, classes) and forward's caches → gradients in the form of `parameters`. The caches are let
        go of as they are used."""
        ds, gradients = {0: dlogits}, [{} for _ in self.towers]
        with self.workers.one_blas_thread():
            for stage in reversed(self.stages):
                ds = self._backward(stage, ds, caches.pop(), gradients)
        return gradients

    def _stages(self):
        """The layers, cut before every exchange and before Flatten."""
        stages, shape, in_pieces = [], self.shape, any(isinstance(layer, Flatten) for layer in self.towers[0].values())
        for name, layer in self.towers[0].items():
            in_pieces = in_pieces and not isinstance(layer, Flatten)
            if isinstance(layer, Exchange):
                stages.append(Stage(name, [], in_pieces, 0))
            elif not stages or stages[-1].in_pieces != in_pieces:
                stages.append(Stage(None, [], in_pieces, 0))
            shape = layer.output_shape(shape)
            stage = stages[-1]
            stages[-1] = stage._replace(layers=[*stage.layers, name] if name != stage.exchange else stage.layers,
                                        largest=max(stage.largest, math.prod(shape)))
        return stages

    def _pieces(self, stage, count):
        """Cut a batch of `count` images into slices of equal size, or nearly."""
        if not stage.in_pieces or not (self.on_cpu or self.micro_batch):
            return [slice(0, count)]
        if self.micro_batch:
            return [slice(i, i + self.micro_batch) for i in range(0, count, self.micro_batch)]
        number, threads = -(-count * stage.largest // PIECE), self.workers.threads
        even = threads // math.gcd(threads, len(self.towers))
        number = min(count, -(-number // even) * even)          # so that there is as much for every thread
        edges = [i * count // number for i in range(number + 1)]
        return [slice(start, stop) for start, stop in zip(edges, edges[1:])]

    def _forward(self, stage, xs, train, step):
        """xs: {tower: its maps of the whole batch} → the same after the stage, and what _backward needs of it."""
        towers = [t for t, tower in enumerate(self.towers) if (stage.exchange or stage.layers[0]) in tower]
        widths = {t: x.shape[-1] for t, x in xs.items()}
        if stage.exchange:
            xs = self.towers[0][stage.exchange].forward(xs, self.devices, towers)

        def forward(job):
            piece, t = job
            x, caches = xs[t][piece], []
            with self.devices[t], self.timed(t, stage, "forward"):
                for name in stage.layers:
                    layer = self.towers[t][name]
                    draw = dict(key=(self.seed, step, name, piece.start), part=(t, len(towers))
                                ) if isinstance(layer, Dropout) else {}
                    x, cache = layer.forward(x, train, **draw)
                    caches.append(cache)
            return x, caches

        jobs = [(piece, t) for piece in self._pieces(stage, len(xs[0])) for t in towers]
        results = list(self._run(stage)(forward, jobs))
        ys = {t: self._join(t, [y for (_, tower), (y, _) in zip(jobs, results) if tower == t]) for t in towers}
        return ys, (widths, jobs, [caches for _, caches in results])

    def _backward(self, stage, ds, cache, gradients):
        """The way back: ds as xs above; adds what the stage says of its parameters to `gradients`."""
        widths, jobs, caches = cache
        inputs = [None] * len(jobs)

        def backward(numbers):
            """Jobs one after the other, their gradients added up on the way, in a fixed order."""
            total = [{} for _ in self.towers]
            for i in numbers:
                piece, t = jobs[i]
                with self.devices[t], self.timed(t, stage, "backward"):
                    d = ds[t][piece]
                    for name in reversed(stage.layers):
                        d, grads = self.towers[t][name].backward(d, caches[i].pop())
                        add(total[t], {f"{name}.{key}": gradient for key, gradient in grads.items()})
                inputs[i] = d
            return total

        sums = min(self.workers.threads, len(jobs)) if self.on_cpu else 1          # one sum per thread
        for total in self._run(stage)(backward, [range(i, len(jobs), sums) for i in range(sums)]):
            for own, more in zip(gradients, total):
                add(own, more)
        if inputs[0] is None:
            return None
        ds = {t: self._join(t, [d for (_, tower), d in zip(jobs, inputs) if tower == t]) for t in ds}
        return self.towers[0][stage.exchange].backward(ds, self.devices, widths) if stage.exchange else ds

    def _run(self, stage):
        """How to go through a stage's jobs: in threads, or one after the other."""
        return self.workers.map if stage.in_pieces and self.on_cpu else map

    def _join(self, t, pieces):
        """Arrays of pieces of a batch → one of the whole batch."""
        with self.devices[t]:
            return pieces[0] if len(pieces) == 1 else array_module(pieces[0]).concatenate(pieces)

    def timed(self, t, stage, direction):
        """with network.timed(…): work of tower t, for the profile if there is one."""
        return self.profile.span(self.devices[t], t, str(stage), direction) if self.profile else nullcontext()


def add(total, more):
    """total += more, for {parameter: gradient}; what total lacks is taken as it is."""
    for name, gradient in more.items():
        if name in total:
            total[name] += gradient
        else:
            total[name] = gradient


def arrays_in(thing):
    """{identity: bytes} of the arrays in nested lists and tuples, each once."""
    if hasattr(thing, "nbytes"):
        return {id(thing): thing.nbytes}
    return {k: v for part in thing for k, v in arrays_in(part).items()} if isinstance(thing, (list, tuple)) else {}
