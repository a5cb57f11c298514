"""What a training step asks of a GPU, counted: kernels, products, copies, waits, bytes and multiplications; and the time they need.

    ../shared/emucuda/run python benchmarks/gpu_budget.py               the full net, batches of 128 and 32, a tower a card
    … python benchmarks/gpu_budget.py --device cuda:0 --batch 64        both towers on one card
    … python benchmarks/gpu_budget.py --card "A100 1.94 19.5"           a card of your own: name, TB/s, TFLOP/s

Needs CUDA devices that count, which are emulated ones: no GPU is used. Two small batches run, of two and four images. The
kernels are the same for each batch whose columns fit nn.fast.cuda.COLUMNS; a kernel's bytes and multiplications are a + b · batch.

    must move   each layer's inputs, weights and outputs once, forward and backward, if a layer with its ReLU were one kernel;
                and the update's
    moves       what our kernels and products read and write, each argument once (sums of a few MB are left out)
    columns     what im2col, col2im and their products write and read again, besides
    queue       the processor's time in which Python queues a step, the shortest of 60, with a stand-in for the driver that runs
                nothing (EMU_LAZY=1)

A kernel needs bytes ÷ bandwidth; a product that or multiplications ÷ rate, whichever is longer. No card reaches both rates, and
caches make some reads free: the table tells what limits a step, it does not predict its time.
"""

import argparse
import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import nn.fast.cuda as forms
from alexnet import AlexNet, SmallAlexNet
from nn import SGD
from nn.conv import Conv2d
from nn.exchange import Exchange
from nn.fast.kernels import Kernels

CARDS = ["H100 3.0 60", "H100-TF32 3.0 400", "RTX3090 0.94 35.6", "T4 0.32 8.1"]     # assumed: name, TB/s, TFLOP/s
BETWEEN = "exchanges, loss"


class Job(NamedTuple):
    """A kernel or a product."""
    stage: str
    bytes: int              # without columns
    columns: int
    flops: int


class Ledger:
    """Counts a step by stage. It stands where a network has its profile."""

    def __init__(self, emulator, numbers):
        self.emulator, self.numbers, self.stage, self.seen = emulator, numbers, BETWEEN, Counter()
        self.kernels, self.products, self.jobs = defaultdict(Counter), Counter(), []

    @contextmanager
    def span(self, device, tower, stage, direction):
        self.enter(f"{stage} {direction}")
        yield
        self.enter(BETWEEN)

    def enter(self, stage):
        """What was launched since the last call belongs to the stage until now."""
        now = sum((self.emulator.kernels(number) for number in self.numbers), Counter())
        self.kernels[self.stage] += now - self.seen
        self.stage, self.seen = stage, now

    def add(self, size, columns=0, flops=0):
        self.jobs.append(Job(self.stage, size, columns, flops))


@contextmanager
def watched(ledger):
    """Have what our kernels and products move enter the ledger."""
    launch, sgd, product = Kernels.launch, Kernels.sgd, forms.product
    dropout, exchange = forms.CudaDropout.backward, forms.CudaExchange.backward

    def launched(self, name, count, reads, writes, *numbers):
        sizes = [array.nbytes for array in (*reads, *writes)]
        if name == "im2col":
            ledger.add(sizes[0], sizes[1])
        elif name == "col2im":                                  # the columns are the last product's
            last = ledger.jobs.pop()
            ledger.jobs.append(last._replace(bytes=last.bytes - sizes[0], columns=sizes[0]))
            ledger.add(sizes[1], sizes[0])
        else:
            ledger.add(sum(sizes) + (sizes[1] if name == "bias" else 0))
        launch(self, name, count, reads, writes, *numbers)

    def multiplied(a, b, out=None):
        out = product(a, b, out)
        unrolled = a.nbytes if ledger.jobs and ledger.jobs[-1].columns == a.nbytes and not ledger.jobs[-1].flops else 0
        ledger.products[ledger.stage] += 1
        ledger.add(a.nbytes + b.nbytes + out.nbytes - unrolled, unrolled, 2 * a.shape[0] * a.shape[1] * b.shape[1])
        return out

    def updated(self, updates):
        ledger.add(sum(5 * one.w.nbytes for one in updates))
        sgd(self, updates)

    def dropped(self, dy, mask):
        dx, grads = dropout(self, dy, mask)
        ledger.add(2 * dy.nbytes + mask.nbytes)
        return dx, grads

    def exchanged(self, dys, devices, widths):
        dxs = exchange(self, dys, devices, widths)
        for dx in dxs.values():                                 # packed and unpacked, and added up
            ledger.add(4 * dx.nbytes + (3 * dx.nbytes if len(dys) > 1 else 0))
        return dxs

    changes = [(Kernels, "launch", launched), (Kernels, "sgd", updated), (forms, "product", multiplied),
               (forms.CudaDropout, "backward", dropped), (forms.CudaExchange, "backward", exchanged)]
    for where, name, new in changes:
        setattr(where, name, new)
    try:
        yield
    finally:
        for (where, name, _), old in zip(changes, (launch, sgd, product, dropout, exchange)):
            setattr(where, name, old)


def make_step(network, batch):
    """A function that queues a step, as in train.py, of a batch that is on the devices already."""
    sgd, rng = SGD(network), np.random.default_rng(0)
    images = rng.standard_normal((batch, *network.shape), dtype=np.float32)
    images = [device.put(images) for device in network.devices]
    labels = network.devices[0].put(rng.integers(0, 10, batch))

    def step(number):
        with network.devices[0]:
            logits, passes = network.forward(images, step=number)
            loss, cache = network.loss.forward(logits, labels)
            sgd.step(network.backward(network.loss.backward(cache), passes), 1e-3)
    return step


def count(network, batch, emulator):
    """→ the Ledger of a step, (bytes to the host, bytes to the devices), and the copies between devices."""
    step = make_step(network, batch)
    step(0)                                                     # compiles
    emulator.reset()
    ledger = network.profile = Ledger(emulator, {device.number for device in network.devices})
    with watched(ledger):
        step(1)
    ledger.enter(None)
    network.profile, host = None, [emulator.host_copies(number) for number in ledger.numbers]
    return ledger, [sum(one.to_host_bytes for one in host), sum(one.to_device_bytes for one in host)], emulator.copies()


def must_move(network, batch):
    """{stage: bytes} of a step, all towers: what any program moves that computes layer by layer."""
    found, shape = Counter(), network.shape
    for stage in network.stages:
        for name in [stage.exchange] * bool(stage.exchange) + stage.layers:
            layer, towers = network.towers[0][name], sum(name in tower for tower in network.towers)
            before, shape = 4 * batch * int(np.prod(shape)), layer.output_shape(shape)
            after, weights = 4 * batch * int(np.prod(shape)), sum(array.nbytes for array in layer.params.values())
            kind, forward, backward = type(layer).__name__, before + after, before + after
            if weights:
                gradient = 0 if getattr(layer, "first", False) else before + weights
                forward, backward = before + weights + after, before + 2 * after + gradient + weights
            elif kind in ("ReLU", "Flatten"):                   # part of the layer before it; a view
                forward = backward = 0
            elif kind == "LocalResponseNorm":
                forward, backward = 3 * before, 4 * before
            elif kind in ("MaxPool2d", "Dropout"):              # a byte for each output: the winner, the mask
                forward, backward = forward + after // 4, backward + after // 4
            where = [BETWEEN] * 2 if isinstance(layer, Exchange) else [f"{stage} forward", f"{stage} backward"]
            found[where[0]] += towers * forward
            found[where[1]] += towers * backward
            found["SGD update"] += towers * 5 * weights
    found[BETWEEN] += 4 * after                                 # the loss: logits, softmax, gradient
    return found


def extrapolate(jobs, batches, batch):
    """The jobs for another batch: what grows with the batch is a line."""
    (small, large), (few, many) = jobs, batches
    return [Job(a.stage, *(p + (q - p) * (batch - few) // (many - few) for p, q in zip(a[1:], b[1:])))
            for a, b in zip(small, large)]


def seconds(job, card):
    return max((job.bytes + job.columns) / (card[1] * 1e12), job.flops / (card[2] * 1e12))


def queue_time(device, steps=60):
    """In a process whose devices only queue: the fewest seconds of the processor for a step, and whether anything ran before it was waited for.
    The small net's list of layers is the full one's."""
    import emucuda

    network = SmallAlexNet(devices=device)
    step, numbers, durations = make_step(network, 2), {place.number for place in network.devices}, []
    for number in range(3):
        step(number)
    for place in network.devices:
        place.wait()
    emucuda.reset()
    ran = 0
    for number in range(steps):
        start = time.process_time()
        step(number)
        durations.append(time.process_time() - start)
        ran += sum(sum(emucuda.seconds(one).values()) for one in numbers)
        for place in network.devices:
            place.wait()
        emucuda.reset()
    return min(durations), ran > 0


def report(network, ledgers, batches, batch, cards, queue):
    jobs = extrapolate([ledger.jobs for ledger in ledgers], batches, batch)
    must, ledger = must_move(network, batch), ledgers[-1]
    stages = [f"{stage} {way}" for way, order in (("forward", 1), ("backward", -1)) for stage in network.stages[::order]]
    line = "{:26}" + "{:>9}" * 6 + "{:>12}" * len(cards)
    print(f"\nbatch {batch}: GB moved, Gflop, and the time that a card needs for all towers")
    print(line.format("stage", "kernels", "products", "must", "moves", "columns", "Gflop", *(f"{card[0]} ms" for card in cards)))
    sums = np.zeros(6 + len(cards))
    for stage in [*stages, BETWEEN, "SGD update"]:
        own = [job for job in jobs if job.stage == stage]
        row = [sum(ledger.kernels[stage].values()), ledger.products[stage], must[stage] / 1e9,
               sum(job.bytes for job in own) / 1e9, sum(job.columns for job in own) / 1e9, sum(job.flops for job in own) / 1e9,
               *(1e3 * sum(seconds(job, card) for job in own) for card in cards)]
        sums += row
        if any(row):
            print(line.format(stage, *row[:2], *(f"{value:.3f}" for value in row[2:5]), *(f"{value:.2f}" for value in row[5:])))
    print(line.format("sum", *map(int, sums[:2]), *(f"{value:.3f}" for value in sums[2:5]), *(f"{value:.2f}" for value in sums[5:])))
    print(f"moved ÷ must move: {sums[3] / sums[2]:.2f}")
    for card, total in zip(cards, sums[6:]):
        parts = {"multiplications": sum(job.flops for job in jobs) / card[2] / 1e9,
                 "bytes": sum(job.bytes + job.columns for job in jobs) / card[1] / 1e9}
        limits = [max(parts, key=parts.get) if total / count > queue * 1e3 else "Python's queue" for count in (1, 2)]
        print(f"{card[0]:10} multiplications {parts['multiplications']:.2f} ms, bytes {parts['bytes']:.2f} ms, together at least "
              f"{total:.2f} ms, queue {queue * 1e3:.2f} ms. The limit of one card: {limits[0]}; of two, which share: {limits[1]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:0 or cuda:0,cuda:1, as in train.py")
    parser.add_argument("--batch", type=int, nargs="+", default=[128, 32])
    parser.add_argument("--card", nargs="+", default=CARDS, metavar="'NAME TB/S TFLOP/S'", help=f"(default: {', '.join(CARDS)})")
    parser.add_argument("--queue", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    try:
        import emucuda as emulator
        emulator.devices()
    except (ImportError, RuntimeError):
        sys.exit("gpu_budget.py: found no devices that count, expected emulated ones: run it with emucuda/run")
    if args.queue:
        return print(*queue_time(args.device))
    cards = [(name, float(bandwidth), float(rate)) for name, bandwidth, rate in (card.split() for card in args.card)]
    alone = subprocess.run([sys.executable, __file__, "--queue", "--device", args.device], env=os.environ | {"EMU_LAZY": "1"},
                           capture_output=True, text=True, check=True).stdout.split()
    network, batches = AlexNet(devices=args.device), (2, 4)
    (small, *_), (large, host, copies) = (count(network, batch, emulator) for batch in batches)
    assert small.kernels == large.kernels and small.products == large.products
    for batch in args.batch:
        rows = [4 * batch * forms.most_columns(layer, shape) for layer, shape in shapes(network)]
        if max(rows) > forms.COLUMNS:
            print(f"batch {batch}: columns of {max(rows) / 1e9:.1f} GB are made in chunks: more kernels than listed")
        report(network, (small, large), batches, batch, cards, float(alone[0]))
    print("\nkernels of a step:", ", ".join(f"{number} {name}" for name, number in sum(large.kernels.values(), Counter()).most_common()))
    print(f"copies between devices: {len(copies)}; bytes to the host: {host[0]}, from the host: {host[1]}; "
          f"waits of the host within a step: {'some' if alone[1] == 'True' else 'none'}")


def shapes(network):
    """(layer, shape of its x) of the first tower's convolutions."""
    shape = network.shape
    for layer in network.towers[0].values():
        if isinstance(layer, Conv2d):
            yield layer, shape
        shape = layer.output_shape(shape)


if __name__ == "__main__":
    main()
