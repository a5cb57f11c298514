"""The time of a training step and a prediction of the full AlexNet, compared with PyTorch and with the limits.

    python benchmarks/step.py                       batch 128, all cores
    python benchmarks/step.py --batch 32 --threads 1 --rounds 5
    python benchmarks/step.py --device cuda         on two GPUs, where there are two, else on one

ours        this project, two towers
direct      the same with AlexNet(convolution="direct"), without Winograd's algorithm
eager       PyTorch as one usually writes it: nn.LocalResponseNorm, groups=2, torch.optim.SGD
tuned       PyTorch with LRN as an in-place autograd Function, fused SGD, and glibc told to keep freed memory
products    the matrix products of the direct algorithm alone, on operands in place: the limit of every im2col code
fewer       the matrix products of Winograd's algorithm alone, where it is used: our limit

Each runs in a process of its own. They alternate, so background load affects all of them alike.
OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE are unset for all of them. Needs requirements/bench.txt for PyTorch (--no-torch:
without). Printed: medians in seconds, medians of the rounds' ratios, peak memory, and our layers one by one.

With --device cuda, a measurement is of --steps steps in a row (30), between two events on the device, without a wait within;
beside it the time in which Python has queued a step. The contestants, PyTorch's on the first of our devices only:

ours, ours TF32     float32 products as they are, and with --tf32
exact       eager PyTorch with channels_last and cuDNN's benchmark mode, and no TF32
users       the same with PyTorch's own default: TF32 in convolutions, not in other products
tuned TF32  tuned, with TF32 everywhere

Two rounds warm up. The batch is on the devices already (train.py copies it meanwhile). Peak memory is the process's, on the
host. On emulated devices this runs, for --batch 1 --steps 1 --rounds 1 --no-torch, but its times mean nothing.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "8589934592", "MALLOC_TRIM_THRESHOLD_": "17179869184",
               "MALLOC_TOP_PAD_": "268435456"}


# The contestants: each a function that returns (step, predict, layers) or (step, predict, layers, clock) -------------

def on_cpu(function, times):
    """→ seconds for a call of function, and the same again."""
    start = time.perf_counter()
    for _ in range(times):
        function()
    return [(time.perf_counter() - start) / times] * 2


def ours(batch, threads, device, convolution="winograd", tf32=False):
    import numpy as np

    from alexnet import AlexNet
    from nn import SGD, Profile
    from nn.run.device import use_tf32

    network = AlexNet(threads=threads, devices=device, convolution=convolution)
    sgd = SGD(network)
    rng = np.random.default_rng(0)
    images = rng.standard_normal((batch, 224, 224, 3), dtype=np.float32)
    labels = rng.integers(0, 1000, batch)
    steps = iter(range(10**9))
    if not network.on_cpu:
        use_tf32(tf32, device)
        images, labels = [place.put(images) for place in network.devices], network.devices[0].put(labels)

    def step():
        loss, gradients = network.loss_and_gradients(images, labels, next(steps))
        sgd.step(gradients, 1e-3)

    def clock(function, times):
        """→ seconds for a call of function on the slowest device, and for Python to queue it."""
        if network.on_cpu:
            return on_cpu(function, times)
        for place in network.devices:
            place.wait()
        starts = [place.mark() for place in network.devices]
        _, queued = on_cpu(function, times)
        stops = [place.mark() for place in network.devices]
        return max(place.seconds(*marks) for place, *marks in zip(network.devices, starts, stops)) / times, queued

    def layers():
        """{layer: [forward, backward] seconds of one step, a thread's time divided by the number of threads}, or, for
        GPUs, whose layers are only queued, a text with the stages' times."""
        if not network.on_cpu:
            network.profile = Profile(network)
            for _ in range(5):
                step()
            table, network.profile = network.profile.table(5), None
            return table
        spent = {}
        for tower in network.layers:
            for name, layer in tower.items():
                for i, method in enumerate(("forward", "backward")):
                    setattr(layer, method, timed(getattr(layer, method), spent.setdefault(name, [[], []])[i]))
        step()
        wide = {name for stage in network.stages if not stage.convolutional for name in stage.layers}
        for tower in network.layers:
            for layer in tower.values():
                del layer.forward, layer.backward
        return {name: [sum(part) / (1 if name in wide else threads) for part in parts] for name, parts in spent.items()}

    return step, lambda: network.predict(images), layers, clock


def timed(function, durations):
    def run(*args, **kwargs):
        start = time.perf_counter()
        result = function(*args, **kwargs)
        durations.append(time.perf_counter() - start)
        return result
    return run


def direct(batch, threads, device):
    return ours(batch, threads, device, "direct")


def products(batch, threads, device, winograd=False):
    import numpy as np
    from threadpoolctl import threadpool_limits

    from alexnet import AlexNet, summary
    from nn.fast.winograd import Grid, WinogradConv2d

    threadpool_limits(1)
    pool = ThreadPoolExecutor(threads)
    rng = np.random.default_rng(0)
    network = AlexNet(threads=1)
    jobs, shape = {}, network.shape                     # {layer: ([forward products], [backward products])}
    for row in summary(network):
        layer = network.towers[0][row.name]
        if row.multiply_adds:
            inputs, outputs = int(np.prod(layer.params["W"].shape[:-1])), row.shape[-1]
            if winograd and len(row.shape) == 3 and WinogradConv2d.suits(layer):        # a product for each point
                grid = Grid(layer, np.empty((1, *shape), np.float32))
                images = min(batch, 8)
                rows, points, count = grid.count * images, len(grid.B) ** 2, row.towers * batch // images / threads
                forward = [(rows, grid.channels, outputs, count, points)]
                backward = [(grid.channels, rows, outputs, count, points)]
                if not layer.first:
                    backward += [(rows, outputs, grid.channels, count, points)]
            elif len(row.shape) == 3:                     # a convolution: some images per product, the threads share them
                places = row.shape[0] * row.shape[1]
                images = min(batch, max(1, 1024 // places))
                back = layer.size**2 * layer.kernels
                count = row.towers * batch // images / threads
                forward = [(places * images, inputs, outputs, count)]
                backward = [(inputs, places * images, outputs, count)]
                if not layer.first:
                    backward += [(shape[0] * shape[1] * images, back, layer.channels, count)]
            else:                                       # fully connected: the threads share the columns
                forward = [(batch, inputs, -(-outputs // threads), row.towers)]
                backward = [(inputs, batch, -(-outputs // threads), row.towers),
                            (batch, outputs, -(-inputs // threads), row.towers)]
            jobs[row.name] = [[(*operands(rng, m, k, n, threads, *points), count) for m, k, n, count, *points in part]
                              for part in (forward, backward)]
        shape = row.shape

    def run(part):
        def work(thread):
            for a, b, outs, count in part:
                for _ in range(round(count) or thread < 1):
                    np.matmul(a, b, out=outs[thread])
        list(pool.map(work, range(threads)))

    def layers():
        spent = {}
        for name, parts in jobs.items():
            for part in parts:
                durations = []
                timed(run, durations)(part)
                spent.setdefault(name, []).append(durations[0])
        return spent

    def step():
        for parts in jobs.values():
            run(parts[0])
            run(parts[1])

    return step, lambda: [run(parts[0]) for parts in jobs.values()], layers


def fewer(batch, threads, device):
    return products(batch, threads, device, winograd=True)


def operands(rng, m, k, n, threads, *points):
    import numpy as np
    return (rng.standard_normal((*points, m, k), dtype=np.float32),
            rng.standard_normal((*points, k, n), dtype=np.float32),
            [np.empty((*points, m, n), np.float32) for _ in range(threads)])


def torch_net(batch, threads, device, tuned, tf32=(False, False)):
    """tf32: in convolutions, and in other products."""
    import torch
    import torch.nn.functional as F
    from torch import nn
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    place = "cpu" if device == "cpu" else device.split(",")[0] if ":" in device else "cuda:0"
    if place != "cpu" and not torch.cuda.is_available():
        sys.exit("step.py: found a PyTorch that sees no CUDA device: install its CUDA build, or use --no-torch")
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True
    layout = torch.contiguous_format if place == "cpu" else torch.channels_last

    class InPlaceNorm(torch.autograd.Function):
        """The paper's LRN, with its temporary arrays updated in place; keeps x and d."""

        @staticmethod
        def window(a):
            s = a.clone()
            for j in (1, 2):
                s[:, j:] += a[:, :-j]
                s[:, :-j] += a[:, j:]
            return s

        @staticmethod
        def power(d):               # d^-3/4
            return d.rsqrt().mul_(d.sqrt().rsqrt_())

        @staticmethod
        def forward(ctx, x):
            d = InPlaceNorm.window(x * x).mul_(1e-4).add_(2.0)
            ctx.save_for_backward(x, d)
            return x * InPlaceNorm.power(d)

        @staticmethod
        def backward(ctx, dy):
            x, d = ctx.saved_tensors
            direct = InPlaceNorm.power(d).mul_(dy)
            through = InPlaceNorm.window((direct * x).div_(d))
            return through.mul_(x).mul_(-1.5e-4).add_(direct)

    class Norm(nn.Module):
        def forward(self, x):
            return InPlaceNorm.apply(x)

    def norm():
        return Norm() if tuned else nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)   # it divides α by 5

    net = nn.Sequential(
        nn.ZeroPad2d((0, 3, 0, 3)),
        nn.Conv2d(3, 96, 11, 4), nn.ReLU(True), norm(), nn.MaxPool2d(3, 2),
        nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(True), norm(), nn.MaxPool2d(3, 2),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(True),
        nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(True),
        nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(True), nn.MaxPool2d(3, 2), nn.Flatten(),
        nn.Linear(9216, 4096), nn.ReLU(True), nn.Dropout(),
        nn.Linear(4096, 4096), nn.ReLU(True), nn.Dropout(),
        nn.Linear(4096, 1000)).to(place, memory_format=layout)
    sgd = torch.optim.SGD(net.parameters(), 1e-3, momentum=0.9, weight_decay=5e-4, fused=True if tuned else None)
    images, labels = torch.randn(batch, 3, 224, 224).to(place, memory_format=layout), torch.randint(0, 1000, (batch,)).to(place)

    def clock(function, times):
        if place == "cpu":
            return on_cpu(function, times)
        with torch.cuda.device(place):
            torch.cuda.synchronize()
            start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            _, queued = on_cpu(function, times)
            stop.record()
            stop.synchronize()
        return start.elapsed_time(stop) / 1e3 / times, queued

    def step():
        net.train()
        sgd.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        sgd.step()

    def predict():
        net.eval()
        with torch.no_grad():
            net(images).softmax(1)

    return step, predict, dict, clock


def eager(batch, threads, device):
    return torch_net(batch, threads, device, tuned=False)


def tuned(batch, threads, device):
    return torch_net(batch, threads, device, tuned=True)


ON_CPU = {"ours": ours, "direct": direct, "eager": eager, "tuned": tuned, "products": products, "fewer": fewer}
ON_GPUS = {"ours": ours, "ours TF32": partial(ours, tf32=True), "exact": eager,
           "users": partial(torch_net, tuned=False, tf32=(True, False)),
           "tuned TF32": partial(torch_net, tuned=True, tf32=(True, True))}


def check(device):
    """End with a sentence where there are no CUDA devices; say so where they are emulated."""
    from nn.run.device import DeviceError, devices
    try:
        place = devices(device)[0]
    except DeviceError as error:
        sys.exit(f"step.py: {error}")
    if b"emulat" in place.cupy.cuda.runtime.getDeviceProperties(place.number)["name"].lower():
        print("step.py: these CUDA devices are emulated, and their times say nothing about a GPU", flush=True)


# The race ------------------------------------------------------------------------------------------------------------

def work(name, batch, threads, device, steps):
    """In a contestant's own process: read a command a line, answer with a line of JSON. "check": see check."""
    if name == "check":
        return check(device)
    contestants = ON_CPU if device == "cpu" else ON_GPUS
    step, predict, layers, *clock = contestants[name](batch, threads, device)
    clock = clock[0] if clock else on_cpu
    for line in sys.stdin:
        command, result, seconds = line.strip(), None, (None, None)
        if command == "layers":
            result = layers()
        else:
            seconds = clock(dict(step=step, predict=predict)[command], steps)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20           # GiB
        print(json.dumps(dict(seconds=seconds[0], queued=seconds[1], peak=peak, result=result)), flush=True)


def start(name, batch, threads, device, steps, **pipes):
    """A contestant's process."""
    environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    environment |= KEEP_MEMORY if name == "tuned" else {}
    environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(threads)}
    options = ["--worker", name, "--batch", str(batch), "--threads", str(threads), "--device", device, "--steps", str(steps)]
    return subprocess.Popen([sys.executable, __file__, *options], env=environment, text=True, **pipes)


class Contestant:
    def __init__(self, name, *arguments):
        self.name, self.seconds, self.queued, self.peak = name, {"step": [], "predict": []}, [], 0.0
        self.process = start(name, *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"step.py: '{self.name}' has ended: for PyTorch, pip install -r requirements/bench.txt, or leave it out "
                     "with --no-torch")
        answer = json.loads(line)
        self.peak = answer["peak"]
        return answer


def race(names, batch, threads, device, steps, rounds):
    contestants = [Contestant(name, batch, threads, device, steps) for name in names]
    warm = 1 if device == "cpu" else 2
    for number in range(rounds + warm):
        for command in ("step", "predict"):
            for contestant in contestants:
                answer = contestant.ask(command)
                if number >= warm:
                    contestant.seconds[command].append(answer["seconds"])
                    if command == "step":
                        contestant.queued.append(answer["queued"])
    layers = {c.name: c.ask("layers")["result"] for c in contestants if c.name.split()[0] in ("ours", "fewer")}
    for contestant in contestants:
        contestant.process.stdin.close()
        contestant.process.wait()
    return contestants, layers


def report(contestants, layers, batch, threads, device):
    rounds = len(contestants[0].seconds["step"])
    print(f"\nfull AlexNet on {device}, batch {batch}, {threads} thread(s), medians of {rounds} rounds")
    print(f"{'':10} {'step s':>8} {'predict s':>10} {'peak GiB':>9}   ours / it: {'step':>6} {'predict':>8}")
    ours = contestants[0]
    for c in contestants:
        step, predict = (statistics.median(c.seconds[what]) for what in ("step", "predict"))
        ratios = [statistics.median(a / b for a, b in zip(ours.seconds[what], c.seconds[what]))
                  for what in ("step", "predict")]
        print(f"{c.name:10} {step:8.4g} {predict:10.4g} {c.peak:9.2f}   {ratios[0]:18.2f} {ratios[1]:8.2f}")
    if device != "cpu":
        for c in contestants:
            print(f"{c.name}: Python queues a step in {statistics.median(c.queued) * 1e3:.2f} ms")
        for name, table in layers.items():
            print(f"\n{name}:\n{table}")
        return
    print(f"\nour layers in a step, ms   {'forward':>8} {'products':>9} {'backward':>9} {'products':>9}")
    for name, (forward, backward) in layers["ours"].items():
        limit = layers["fewer"].get(name)
        print(f"{name:24} {forward * 1e3:10.1f} {limit[0] * 1e3 if limit else 0:9.1f} {backward * 1e3:9.1f} "
              f"{limit[1] * 1e3 if limit else 0:9.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity")
                        else os.cpu_count(), help="of each contestant (default: one per core)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, help="in a measurement (default: 1; on GPUs 30)")
    parser.add_argument("--no-torch", action="store_true", help="leave PyTorch out")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:0 or cuda:0,cuda:1, as in train.py")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    steps = args.steps or (1 if args.device == "cpu" else 30)
    if args.worker:
        return work(args.worker, args.batch, args.threads, args.device, steps)
    if args.device != "cpu" and start("check", args.batch, args.threads, args.device, steps).wait():
        sys.exit(1)
    names = [name for name in (ON_CPU if args.device == "cpu" else ON_GPUS)
             if not (args.no_torch and name.split()[0] in ("eager", "tuned", "exact", "users"))]
    results = race(names, args.batch, args.threads, args.device, steps, args.rounds)
    report(*results, args.batch, args.threads, args.device)


if __name__ == "__main__":
    main()
