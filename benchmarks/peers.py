"""The small net's training step, compared with the ways in which textbooks write it.

    python benchmarks/peers.py

ours        this project
im2col      the usual course code: the whole batch at once, np.pad, columns gathered by an index array, gradients put back
            with np.add.at, for convolution and pooling alike
loops       the definition itself: seven loops over numbers (on one image, the time of a batch being that times N)

All three are the same net with the same weights; their gradients are compared, before the timed rounds or, for the
loops, in the same run.
OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE are unset. Printed: medians of interleaved rounds, and ratios.
"""

import argparse
import itertools
import os
import statistics
import sys
import time

if {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"} & os.environ.keys():       # they must be gone before NumPy is loaded
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    os.execve(sys.executable, [sys.executable, *sys.argv], kept)
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))      # run as a script

import numpy as np

from alexnet import SmallAlexNet
from nn import Conv2d, MaxPool2d


def patches(height, width, size, stride):
    """Rows and columns, (P·Q, size·size) each, of what every window covers in a map of height × width."""
    P, Q = (height - size) // stride + 1, (width - size) // stride + 1
    p, q = np.divmod(np.arange(P * Q), Q)
    r, s = np.divmod(np.arange(size * size), size)
    return p[:, None] * stride + r, q[:, None] * stride + s, (P, Q)


class TextbookConv(Conv2d):
    def forward(self, x, train=True):
        padded = np.pad(x, ((0, 0), (self.before, self.after), (self.before, self.after), (0, 0)))
        rows, columns, (P, Q) = patches(*padded.shape[1:3], self.size, self.stride)
        unrolled = padded[:, rows, columns].reshape(len(x) * P * Q, -1)             # (N·P·Q, R·S·C)
        y = unrolled @ self.params["W"].reshape(-1, self.kernels) + self.params["b"]
        return y.reshape(len(x), P, Q, self.kernels), (unrolled, padded.shape)

    def backward(self, dy, cache):
        unrolled, shape = cache
        rows, columns, _ = patches(*shape[1:3], self.size, self.stride)
        flat = dy.reshape(-1, self.kernels)
        grads = {"W": (unrolled.T @ flat).reshape(self.params["W"].shape), "b": flat.sum(0)}
        spread = (flat @ self.params["W"].reshape(-1, self.kernels).T).reshape(len(dy), *rows.shape, self.channels)
        padded = np.zeros(shape, dy.dtype)
        np.add.at(padded, (slice(None), rows, columns), spread)
        return padded[:, self.before:shape[1] - self.after, self.before:shape[2] - self.after], grads


class TextbookPool(MaxPool2d):
    def forward(self, x, train=True):
        rows, columns, (P, Q) = patches(*x.shape[1:3], self.size, self.stride)
        windows = x[:, rows, columns]                                               # (N, P·Q, size², C)
        winner = windows.argmax(2)
        y = np.take_along_axis(windows, winner[:, :, None], 2)[:, :, 0]
        return y.reshape(len(x), P, Q, -1), (winner, x.shape)

    def backward(self, dy, cache):
        winner, shape = cache
        rows, columns, _ = patches(*shape[1:3], self.size, self.stride)
        n, place, c = np.ix_(*map(np.arange, winner.shape))
        dx = np.zeros(shape, dy.dtype)
        np.add.at(dx, (n, rows[place, winner], columns[place, winner], c), dy.reshape(winner.shape))
        return dx, {}


class LoopConv(Conv2d):
    def loops(self, x, P, Q):
        """Every product of the convolution, by its seven indices and the place it takes its pixel from."""
        _, H, W, C = x.shape
        for n, p, q, k, r, s, c in itertools.product(*map(range, (len(x), P, Q, self.kernels, self.size, self.size, C))):
            i, j = p * self.stride + r - self.before, q * self.stride + s - self.before
            if 0 <= i < H and 0 <= j < W:
                yield (n, p, q, k), (r, s, c, k), (n, i, j, c)

    def forward(self, x, train=True):
        W, y = self.params["W"], np.zeros((len(x), *self.output_shape(x.shape[1:])), x.dtype)
        for out, kernel, pixel in self.loops(x, *y.shape[1:3]):
            y[out] += x[pixel] * W[kernel]
        return y + self.params["b"], x

    def backward(self, dy, x):
        W, dW, dx = self.params["W"], np.zeros_like(self.params["W"]), np.zeros_like(x)
        for out, kernel, pixel in self.loops(x, *dy.shape[1:3]):
            dW[kernel] += dy[out] * x[pixel]
            dx[pixel] += dy[out] * W[kernel]
        return dx, {"W": dW, "b": dy.sum((0, 1, 2))}


def net(conv=None, pool=None, **options):
    """The small net with its convolutions and pools replaced."""
    network = SmallAlexNet(**options)
    for tower in network.layers:
        for layer in tower.values():
            other = conv if isinstance(layer, Conv2d) else pool if isinstance(layer, MaxPool2d) else None
            if other:
                layer.__class__ = other
    return network


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-loops", action="store_true", help="leave the loops out (they take a minute)")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    images = rng.standard_normal((args.batch, 28, 28, 1), dtype=np.float32)
    labels = rng.integers(0, 10, args.batch)
    nets = {"ours": net(), "im2col": net(TextbookConv, TextbookPool, micro_batch=args.batch, threads=1)}
    check(nets["ours"], nets["im2col"], images[:8], labels[:8])

    seconds = {name: [] for name in nets}
    for _ in range(args.rounds + 1):
        for name, network in nets.items():
            start = time.perf_counter()
            network.loss_and_gradients(images, labels)
            seconds[name].append(time.perf_counter() - start)
    seconds = {name: statistics.median(times[1:]) for name, times in seconds.items()}
    if not args.no_loops:
        loops = net(LoopConv, micro_batch=1, threads=1)
        start = time.perf_counter()
        check(nets["ours"], loops, images[:1], labels[:1])
        seconds["loops"] = (time.perf_counter() - start) * args.batch
    print(f"small net, batch {args.batch}: loss and gradients, {nets['ours'].workers.threads} thread(s)")
    for name, time_ in seconds.items():
        print(f"{name:8} {time_ * 1e3:14,.1f} ms   {time_ / seconds['ours']:10,.1f} times ours")


def check(a, b, images, labels):
    """Assert that two nets agree in loss and gradients."""
    (loss_a, grads_a), (loss_b, grads_b) = (network.loss_and_gradients(images, labels) for network in (a, b))
    grads_a, grads_b = a.join(grads_a), b.join(grads_b)
    np.testing.assert_allclose(loss_a, loss_b, rtol=1e-5)
    for name in grads_a:
        np.testing.assert_allclose(grads_a[name], grads_b[name], atol=1e-4 * np.abs(grads_a[name]).max(), err_msg=name)


if __name__ == "__main__":
    main()
