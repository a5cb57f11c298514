"""Many ranks: a step measured on this machine with P = 1, 2, 4, beside a cost model; then what the model predicts elsewhere.

    python benchmarks/scaling.py                        the small net
    python benchmarks/scaling.py --model alexnet        the full net: a minute for each number of ranks

Measured: seconds a step, and seconds of it spent waiting for sums of gradients, with reductions that start while backward
still runs and with all of them after it (without overlap). Ranks share the machine's cores.

The model has three numbers for a machine: seconds per multiply-add, the latency α of a message and the bandwidth β; here they
are measured between two ranks of this machine. A sum of n bytes over P ranks takes 2 (P − 1)/P · n/β + 2 log₂P · α (Thakur et
al. 2005). Three ways to share a net are compared, all at the same number of images on each rank:

    data        every rank has the whole net; all gradients are summed over P ranks, the fully connected layers'
                while the convolutions' backward runs
    towers      pairs of ranks have a tower each (§ 3.2) and exchange maps; each tower's gradients are summed over P/2 ranks
    2014        Krizhevsky, "One weird trick" (2014): convolutions as in `data`; the fully connected layers are split over all
                ranks, and maps instead of their gradients are sent: 9,216 + 2 · 4,096 numbers an image, forward and back

Nothing above P = 4 has been measured, nor any of the networks named below: those lines are predictions, printed as such.
"""

import argparse
import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from alexnet import MODELS, summary
from nn import SGD
from nn.run import launch

PING, LARGE = 8, 1 << 25            # bytes


class Machine(NamedTuple):
    name: str
    seconds: float          # per multiply-add, of one rank
    latency: float          # α, seconds
    bandwidth: float        # β, bytes a second, each way


NETWORKS = {"10 Gb/s": (30e-6, 1.25e9), "100 Gb/s": (5e-6, 12.5e9), "NVLink": (5e-6, 450e9)}   # α, β: of their descriptions


class Net(NamedTuple):
    """Of the whole net: multiply-adds an image forward, and bytes of gradients, of the convolutions and of the rest; bytes an
    image that the towers exchange one way and forward; floats an image that enter the fully connected layers."""
    conv_work: float
    full_work: float
    conv_bytes: float
    full_bytes: float
    exchanged: float
    entering: list


def describe(network):
    rows = summary(network)
    conv, full = ([row for row in rows if row.parameters and row.name.startswith(kind)] for kind in ("conv", "fc"))
    exchanged, entering = 0, [math.prod(before.shape) * before.towers for before, row in zip(rows, rows[1:])
                              if row.name.startswith("exchange") and row.name != "exchange3"]
    for before, row in zip(rows, rows[1:]):
        if row.name.startswith("exchange"):
            exchanged += 4 * math.prod(before.shape)
    work, size = (lambda some: sum(row.multiply_adds for row in some)), (lambda some: 4 * sum(row.parameters for row in some))
    return Net(work(conv), work(full), size(conv), size(full), exchanged, entering)


# The model -------------------------------------------------------------------------------------------------------------

def summed(size, ranks, machine):
    """Seconds to sum `size` bytes over ranks."""
    if ranks == 1:
        return 0.0
    return 2 * (ranks - 1) / ranks * size / machine.bandwidth + 2 * math.log2(ranks) * machine.latency


def data(net, machine, ranks, images):
    """(seconds a step, bytes that a rank sends in it)."""
    work = images * machine.seconds
    covered = max(2 * work * net.conv_work, summed(net.full_bytes, ranks, machine))     # backward is twice forward
    return (work * (net.conv_work + 3 * net.full_work) + covered + summed(net.conv_bytes, ranks, machine),
            2 * (ranks - 1) / ranks * (net.conv_bytes + net.full_bytes))


def towers(net, machine, ranks, images):
    """A pair has 2 · images, and each of the two half of the work."""
    pair, half = 2 * images, net._replace(conv_work=net.conv_work / 2, full_work=net.full_work / 2, conv_bytes=net.conv_bytes / 2,
                                          full_bytes=net.full_bytes / 2)
    seconds, sent = data(half, machine, ranks // 2, pair)
    return seconds + 2 * pair * net.exchanged / machine.bandwidth + 6 * machine.latency, sent + 2 * pair * net.exchanged


def trick(net, machine, ranks, images):
    """Every rank sends its images' maps to all, in turn, and computes its columns of the fully connected layers for all images:
    the batch of those layers is `ranks` times as large and their width as much smaller."""
    floats = 2 * sum(net.entering) * images * (ranks - 1)       # received, forward and back
    work = images * machine.seconds * 3 * (net.conv_work + net.full_work)
    return (work + 4 * floats / machine.bandwidth + 6 * (ranks - 1) * machine.latency + summed(net.conv_bytes, ranks, machine),
            4 * floats + 2 * (ranks - 1) / ranks * net.conv_bytes)


# Measurements ----------------------------------------------------------------------------------------------------------

def measure(options):
    """On every rank: steps of a net, and on two ranks messages → rank 0 prints JSON."""
    ranks = launch.start()
    shape = dict(classes=1000) if options.model == "alexnet" else {}
    network = MODELS[options.model](**shape, threads=ranks.threads(options.threads))
    ranks.take(network)
    sgd, rng, own = SGD(network), np.random.default_rng(0), ranks.part(options.batch)
    images = rng.standard_normal((len(own), *network.shape), np.float32)
    labels = rng.integers(0, 10, len(own))
    start, found = network.ready, {"overlap": [], "after": []}
    waited = dict.fromkeys(found, 0.0)
    for step in range(1 + 2 * options.steps):
        kind = ("overlap", "after")[step % 2] if ranks.size > 1 else "overlap"
        network.ready = start if kind == "overlap" else None
        before = ranks.summing.waited if ranks.size > 1 else 0
        ranks.total([0])
        began = time.perf_counter()
        count = ranks.place(len(own))
        logits, caches = network.forward(images, step=step)
        _, cache = network.loss.forward(logits, labels)
        gradients = network.backward(ranks.weigh(network.loss.backward(cache), count), caches)
        if kind == "after":
            start(gradients)
        ranks.finish()
        sgd.step(gradients, 1e-6)
        if step:
            found[kind].append(time.perf_counter() - began)
            waited[kind] += ranks.summing.waited - before if ranks.size > 1 else 0
    result = {kind: [float(np.median(times)), waited[kind] / len(times)] for kind, times in found.items() if times}
    if ranks.size > 1:
        result |= messages(ranks)
    print(json.dumps(result))


def messages(ranks):
    """Latency and bandwidth between ranks 0 and 1, there and back."""
    found = {}
    for name, size, times in ("latency", PING, 200), ("bandwidth", LARGE, 8):
        array = np.zeros(size, np.uint8)
        ranks.total([0])
        began = time.perf_counter()
        for turn in range(2 * times):
            if ranks.rank < 2:
                (ranks.comm.Send if turn % 2 == ranks.rank else ranks.comm.Recv)(array, 1 - ranks.rank)
        one_way = (time.perf_counter() - began) / (2 * times)
        found[name] = one_way if name == "latency" else size / one_way
    return found


def started(options, count, threads):
    command = ["mpiexec", "-n", str(count)] if count > 1 else []
    done = subprocess.run([*command, sys.executable, __file__, "--measure", "--model", options.model, "--batch", str(options.batch),
                           "--steps", str(options.steps), "--threads", str(threads)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"scaling.py: {done.stderr.strip()}")
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", choices=("small", "alexnet"), default="small")
    add("--batch", type=int, default=128, help="images in the global batch that is measured, and on each rank in the predictions")
    add("--steps", type=int, default=5, help="measured of each kind, after one to warm up (default: 5)")
    add("--ranks", type=int, nargs="+", default=[1, 2, 4], help="measured (default: 1 2 4)")
    add("--flops", type=float, help="multiply-adds a second of one rank in the predictions (default: 1e13, of a GPU)", default=1e13)
    add("--threads", type=int, help=argparse.SUPPRESS)
    add("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        return measure(options)
    cores = len(launch.my_cores())
    net = describe(MODELS[options.model](**dict(classes=1000) if options.model == "alexnet" else {}, init=None))
    print(f"{options.model} net, {options.batch} images a step, {cores} cores; gradients: {(net.conv_bytes + net.full_bytes) / 1e6:.1f} MB, "
          f"{net.full_bytes / (net.conv_bytes + net.full_bytes):.0%} of it of the fully connected layers\n")
    base, here = None, None
    print("measured    threads   s a step   waiting   without overlap   waiting   of P = 1   the model")
    for count in options.ranks:
        threads = max(1, cores // count)
        found = started(options, count, threads)
        if base is None:
            base = found["overlap"][0]
        if count > 1 and here is None:
            rate = base / (3 * options.batch * (net.conv_work + net.full_work)) * cores         # of one core
            here = Machine("here", rate, found["latency"], found["bandwidth"])
        step, waited = found["overlap"]
        later = "{:17.4f} {:9.4f}".format(*found["after"]) if "after" in found else " " * 27
        model = f"{data(net, here._replace(seconds=here.seconds / threads * max(1, threads * count / cores)), count, options.batch / count)[0]:11.4f}" if here else ""
        print(f"P = {count:<5} {threads:9} {step:10.4f} {waited:9.4f} {later} {step / base:10.2f} {model}", flush=True)
    if here:
        print(f"\nbetween two ranks here: latency {here.latency * 1e6:.1f} µs, {here.bandwidth / 1e9:.2f} GB/s; a core: "
              f"{1 / here.seconds / 1e9:.1f} billion multiply-adds a second")
    print(f"\nPREDICTED, not measured: {options.batch} images on each rank, {options.flops:.0e} multiply-adds a second on each; seconds a "
          "step (MB that a rank sends)")
    for name, (latency, bandwidth) in NETWORKS.items():
        machine = Machine(name, 1 / options.flops, latency, bandwidth)
        print(f"\n{name:10}" + "".join(f"{way.__name__:>22}" for way in (data, towers, trick)))
        for count in (2 ** i for i in range(11)):
            cells = [way(net, machine, count, options.batch) if count > 1 or way is not towers else None for way in (data, towers, trick)]
            print(f"P = {count:<6}" + "".join(f"{cell[0]:11.4f} ({cell[1] / 1e6:8,.0f})" if cell else " " * 22 for cell in cells))


if __name__ == "__main__":
    main()
