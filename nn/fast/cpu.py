"""Fast forms on the CPU. They keep their working set in the processor's cache, and split large work between threads."""

from nn.conv import Conv2d
from nn.fast.first import FirstConv2d
from nn.fast.forms import PlainForms
from nn.fast.lrn import ReciprocalNorm
from nn.fast.pool import PhasedMaxPool2d
from nn.fast.rowwise import RowwiseConv2d
from nn.fast.winograd import WinogradConv2d
from nn.linear import Linear
from nn.lrn import LocalResponseNorm
from nn.pool import MaxPool2d

FEW = 2             # images: with fewer, Winograd's algorithm takes longer to transform its kernels than it saves
BLOCK = 1 << 16     # floats: a block stays in the processor's cache during the passes of one update


class CpuForms(PlainForms):
    """workers: the threads that the products of the fully connected layers and the update are shared out to.
    winograd: whether convolutions that suit it run by Winograd's algorithm.
    piece: floats in the largest map of a piece of a batch. Direct convolutions need a piece's columns in cache.
        Winograd's algorithm has blocks of its own and gains from more images (2^18: 1.17 of a step's time).
    """

    def __init__(self, workers, winograd=True):
        self.workers, self.winograd = workers, winograd
        self.piece = 1 << 18
        self.fast = {Conv2d: RowwiseConv2d, Linear: shared_linear(workers), MaxPool2d: PhasedMaxPool2d}

    def choose(self, layer):
        if self.winograd and type(layer) is Conv2d and WinogradConv2d.suits(layer):
            self.piece = 1 << 21
            return WinogradConv2d
        if type(layer) is Conv2d and FirstConv2d.suits(layer):
            return FirstConv2d
        if type(layer) is LocalResponseNorm and ReciprocalNorm.suits(layer):
            return ReciprocalNorm
        return super().choose(layer)

    def prepare(self, layers, count):
        winograd = [key for key, layer in layers.items() if isinstance(layer, WinogradConv2d)]
        if count < FEW:
            return super().prepare(layers, count) | dict.fromkeys(winograd, {"direct": True})
        points = self.workers.map(lambda key: {"U": layers[key].kernel_points()}, winograd)
        return super().prepare(layers, count) | dict(zip(winograd, points))

    def update(self, updates):
        """In blocks, in place: no array of a parameter's size is made, and a block stays in cache between passes."""
        blocks = [one._replace(w=w, v=v, g=g) for one in updates
                  for w, v, g in zip(*(blocks_of(array) for array in one[:3]))]
        threads = self.workers.threads
        self.workers.map(update_blocks, [blocks[i::threads] for i in range(threads)])


def blocks_of(array):
    flat = array.reshape(-1)
    return [flat[i:i + BLOCK] for i in range(0, flat.size, BLOCK)]


def update_blocks(blocks):
    for w, v, g, lr, momentum, decay, inside in blocks:
        real = w.dtype.type
        change = w * real(decay)
        change += g
        if inside:
            change *= real(lr)                  # ε (decay · w + ∂L/∂w)
        v *= real(momentum)
        v -= change
        w += v if inside else v * real(lr)


def shared_linear(workers):
    """A Linear whose products are split by columns between the threads of `workers`."""

    class SharedLinear(Linear):
        def forward(self, x, train=True):
            self.expect(x)
            y = workers.product(x, self.params["W"])                                # (N, outputs)
            y += self.params["b"]
            return y, (x if train else None)

        def backward(self, dy, cache):
            return workers.product(dy, self.params["W"].T), {"W": workers.product(cache.T, dy), "b": dy.sum(0)}

    return SharedLinear
