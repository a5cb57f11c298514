"""Towers side by side, as on the paper's two GPUs (§ 3.2), and how a batch goes through them."""

import math

import numpy as np

from nn.device import Device, array_module, send
from nn.dropout import Dropout
from nn.layer import Layer, expect_count, expect_float
from nn.linear import Flatten, Linear
from nn.loss import SoftmaxCrossEntropy, softmax
from nn.workers import Workers

# A batch goes through the convolutional part in pieces of a few images, so that a piece's maps and unrolled columns
# stay in the processor's cache; the pieces are shared out to threads. The fully connected part, whose weights are
# what is large, takes the whole batch at once. (Measured with benchmarks/step.py: see the README.)
PIECE = 1 << 18         # floats in the largest map of a piece (1 MiB)


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
        return {t: array_module(xs[t]).concatenate([send(x, devices[s], devices[t]) for s, x in xs.items()], axis=-1)
                for t in receivers}

    def backward(self, dys, devices, widths):
        """dys: {receiving tower: (…, all channels)} → {tower: its own channels, what all receivers say of them
        added up}; widths: {tower: channels}."""
        dxs, start = {}, 0
        for s, width in widths.items():
            own = [send(dy[..., start:start + width], devices[t], devices[s]) for t, dy in dys.items()]
            dxs[s] = own[0] if len(own) == 1 else sum(own[1:], start=own[0])
            start += width
        return dxs


class Network:
    """A net of one or more towers; the first holds the last layer and the loss.

    towers: one {name: layer} per tower, the same names in all, except that the others may end sooner than the first.
    shape: (H, W, C) of the images.
    devices: one Device per tower (default: the CPU for all).
    seed: what dropout is drawn from, together with the step.
    threads: of the CPU (default: one per core).
    micro_batch: images per piece (default: as many as suit the cache, for each part of the net).

    Parameters have names like "conv1.W". `weights()` gives them whole, as the grouped one-tower net has them, and
    `load_weights` takes them so: nets with one and two towers exchange weights as they are.
    """

    def __init__(self, towers, shape, devices=None, seed=0, threads=None, micro_batch=None):
        if micro_batch is not None:
            expect_count("micro_batch", micro_batch)
        self.towers, self.shape, self.seed, self.micro_batch = towers, tuple(shape), seed, micro_batch
        self.devices = devices or [Device("cpu") for _ in towers]
        self.workers = Workers(threads)
        self.loss = SoftmaxCrossEntropy()
        self.sizes, shape = {}, self.shape              # {name: floats that the layer puts out, per image}
        for name, layer in towers[0].items():
            shape = layer.output_shape(shape)
            self.sizes[name] = math.prod(shape)
        self.map_stages, self.feature_layers = self._stages()
        for tower, device in zip(towers, self.devices):
            for layer in tower.values():
                for key in layer.params:
                    layer.params[key] = device.put(layer.params[key])
                if isinstance(layer, Linear):
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
        for own, given in zip(self.parameters, self.split(weights)):
            for name, array in own.items():
                array[...] = given[name]

    def join(self, arrays):
        """One dict per tower, with arrays like the parameters → one dict of whole NumPy arrays (kernels come last)."""
        whole = {}
        for name in arrays[0]:
            parts = [device.get(own[name]) for own, device in zip(arrays, self.devices) if name in own]
            whole[name] = array_module(parts[0]).concatenate(parts, axis=-1)
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
            shares.append({name: device.put(np.ascontiguousarray(whole[name][..., t * array.shape[-1]:
                                                                             (t + 1) * array.shape[-1]]))
                           for name, array in own.items()})
        return shares

    # What a user calls ---------------------------------------------------------------------------------------------

    def loss_and_gradients(self, images, labels, step=0):
        """Mean loss of a batch, and its gradient for every parameter, in the form of `parameters`.

        images (N, H, W, C) float, labels (N,) whole numbers; step: which dropout masks to draw.
        """
        logits, caches = self.forward(images, train=True, step=step)
        loss, cache = self.loss.forward(logits, self.devices[0].put(labels))
        return loss, self.backward(self.loss.backward(cache), caches)

    def predict(self, images):
        """Probabilities (N, classes) as a NumPy array; rows sum to 1."""
        logits, _ = self.forward(images, train=False)
        return self.devices[0].get(softmax(logits))

    def features(self, images):
        """What the last layer sees, (N, 4096) in the full net, as a NumPy array: § 6.1 compares images by it."""
        features, _ = self.forward(images, train=False, stop=-1)
        return self.devices[0].get(features)

    # A batch through the net ---------------------------------------------------------------------------------------

    def forward(self, images, train=True, step=0, stop=None):
        """images (N, H, W, C) → logits (N, classes) on the first device, and the caches for backward.

        stop=-1 leaves the last layer out.
        """
        if images.ndim != 4 or images.shape[1:] != self.shape:
            hint = ": add a batch axis with images[None]" if images.shape == self.shape else ""
            raise ValueError(f"the net expects images (N, {', '.join(map(str, self.shape))}), got {images.shape}{hint}")
        expect_float("the net", images)
        if not len(images):
            raise ValueError("the net expects at least one image, got none")
        x, caches = {t: device.put(images) for t, device in enumerate(self.devices)}, []
        with self.workers.one_blas_thread():
            for stage in self.map_stages:
                x, cache = self._forward_in_pieces(stage, x, train, step)
                caches.append(cache)
            x, cache = self._forward(self.feature_layers[:stop], x, train, (self.seed, step, 0))
        return x[0], (caches, cache)

    def backward(self, dlogits, caches):
        """∂loss/∂logits (N, classes) and forward's caches → gradients in the form of `parameters`."""
        map_caches, feature_caches = caches
        with self.workers.one_blas_thread():
            d, gradients = self._backward(self.feature_layers, {0: dlogits}, feature_caches)
            for stage, cache in zip(reversed(self.map_stages), reversed(map_caches)):
                d = self._backward_in_pieces(stage, d, cache, gradients)
        return gradients

    def _stages(self):
        """Names of the layers: [those of a stage of the convolutional part, …], those of the fully connected part.

        A stage ends before an exchange, where the maps have become smaller and more images make a piece.
        """
        stages, names = [[]], list(self.towers[0])
        for name in names:
            if isinstance(self.towers[0][name], (Exchange, Flatten)):
                stages.append([])
            stages[-1].append(name)
        flat = next((i for i, stage in enumerate(stages) if isinstance(self.towers[0][stage[0]], Flatten)), 0)
        flat -= flat > 0 and len(stages[flat - 1]) == 1         # an exchange right before it
        return stages[:flat], sum(stages[flat:], [])

    def _pieces(self, stage, count):
        """Cut a batch of `count` images into slices of equal size, or nearly, for the layers of `stage`."""
        if self.micro_batch:
            return [slice(i, i + self.micro_batch) for i in range(0, count, self.micro_batch)]
        largest = max(self.sizes[name] for name in stage)
        number, threads = -(-count * largest // PIECE), self.workers.threads
        number = min(count, -(-number // threads) * threads)    # a multiple, so that no thread is left idle
        edges = [i * count // number for i in range(number + 1)]
        return [slice(start, stop) for start, stop in zip(edges, edges[1:])]

    def _forward_in_pieces(self, stage, x, train, step):
        """Like _forward, a piece at a time. The cache is a list of (piece, its caches)."""
        pieces = self._pieces(stage, len(x[0]))

        def forward(piece):
            return self._forward(stage, {t: maps[piece] for t, maps in x.items()}, train,
                                 (self.seed, step, piece.start), run)

        share_out, run = (self.workers.map, map) if len(pieces) > 1 else (map, self.workers.map)
        outputs, caches = zip(*share_out(forward, pieces))
        return join(outputs), list(zip(pieces, caches))

    def _backward_in_pieces(self, stage, d, caches, gradients):
        """Like _backward, a piece at a time; what the pieces say of the parameters is added to `gradients`."""
        inputs = [None] * len(caches)

        def backward(numbers):
            total = [{} for _ in self.towers]
            for i in numbers:
                piece, cache = caches[i]
                inputs[i], new = self._backward(stage, {t: maps[piece] for t, maps in d.items()}, cache)
                add(total, new)
            return total

        sums = min(self.workers.threads, len(caches))           # one sum per thread, each in a fixed order
        for total in self.workers.map(backward, [range(len(caches))[i::sums] for i in range(sums)]):
            add(gradients, total)
        return join(inputs) if inputs[0][0] is not None else None

    def _forward(self, names, xs, train, key, run=map):
        """Layer by layer, in each all towers. xs: {tower: array} → the same, and {layer: {tower: cache}}.

        run: `map`, or the workers' to have each tower in a thread of its own (a single image makes a single piece).
        """
        caches = {}
        for name in names:
            towers = [t for t, tower in enumerate(self.towers) if name in tower]
            layer = self.towers[0][name]
            if isinstance(layer, Exchange):
                caches[name] = {t: x.shape[-1] for t, x in xs.items()}
                xs = layer.forward(xs, self.devices, towers)
                continue

            def forward(t):
                layer = self.towers[t][name]
                draw = dict(key=(*key, name), part=(t, len(towers))) if isinstance(layer, Dropout) else {}
                with self.devices[t]:
                    return layer.forward(xs[t], train, **draw)

            ys, cache = zip(*run(forward, towers))
            xs, caches[name] = dict(zip(towers, ys)), dict(zip(towers, cache))
        return xs, caches

    def _backward(self, names, ds, caches):
        """The way back. ds: {tower: ∂ of the output} → {tower: ∂ of the input}, and the gradients per tower.
        Caches are let go of as they are used."""
        gradients = [{} for _ in self.towers]
        for name in reversed(names):
            cache = caches.pop(name)
            if isinstance(self.towers[0][name], Exchange):
                ds = self.towers[0][name].backward(ds, self.devices, cache)
                continue
            for t in cache:
                with self.devices[t]:
                    ds[t], grads = self.towers[t][name].backward(ds[t], cache[t])
                gradients[t].update((f"{name}.{key}", gradient) for key, gradient in grads.items())
        return ds, gradients


def join(pieces):
    """[{tower: maps of a piece}, …] → {tower: maps of the batch}."""
    return {t: array_module(first).concatenate([maps[t] for maps in pieces]) for t, first in pieces[0].items()}


def add(total, more):
    """total += more, for gradients in the form of Network.parameters; what total lacks is taken as it is."""
    for own, new in zip(total, more):
        for name, gradient in new.items():
            if name in own:
                own[name] += gradient
            else:
                own[name] = gradient
