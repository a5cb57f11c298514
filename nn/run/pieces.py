"""One batch through one stage, in pieces and threads where that is faster.

On the CPU, the convolutional stages take a batch in pieces. Every piece in every tower is a job, and threads share the
jobs. The fully connected stages, whose weights are large, take the whole batch at once, with threads inside each
product.

On a GPU every stage takes the whole batch at once. One thread queues the towers' work, device by device, without
waiting, so the devices work at the same time.
"""

import math
from contextlib import nullcontext
from dataclasses import dataclass, field

from nn.arrays import array_module
from nn.dropout import Dropout


@dataclass
class Job:
    """One piece of a batch in one tower."""
    images: slice
    tower: int
    caches: list = field(default_factory=list)      # of the stage's layers, in order
    result: object = None                           # the piece's y, then its dx; None where it is not needed


class StagePass:
    """One batch in one stage, forward and then backward.

    receivers: the towers that have the stage; `towers`: those of them that this process computes (in general all).
    widths: {tower: channels} of the exchange's inputs, which backward needs.
    """

    def __init__(self, network, stage, receivers, widths, count):
        self.network, self.stage, self.receivers, self.widths = network, stage, receivers, widths
        self.towers = towers = [t for t in receivers if t in network.mine]
        self.jobs = [Job(images, t) for images in pieces(network, stage, count) for t in towers]
        layers = {(t, name): network.layers[t][name] for t in towers for name in stage.layers}
        self.prepared = network.forms.prepare(layers, count)        # {(tower, name): arguments for all its pieces}

    def forward(self, xs, train, step):
        """{tower: its maps of the whole batch} → the same after the stage."""
        list(self.run(lambda job: self.forward_job(job, xs, train, step), self.jobs))
        return self.collect(self.towers)

    def forward_job(self, job, xs, train, step):
        network, x = self.network, xs[job.tower][job.images]
        with network.devices[job.tower], timed(network, job.tower, self.stage, "forward"):
            for name in self.stage.layers:
                layer, more = network.layers[job.tower][name], self.prepared[job.tower, name]
                if isinstance(layer, Dropout):
                    part = (0, 1) if layer.whole else (job.tower, len(self.receivers))
                    more = dict(key=(network.seed, step, name, 0), part=part, start=network.place + job.images.start)
                x, cache = layer.forward(x, train, **more)
                job.caches.append(cache)
        job.result = x

    def backward(self, ds, gradients):
        """{tower: ∂loss/∂y of the whole batch} → the same for the stage's inputs, or None at the images. Adds the
        gradients of the stage's parameters to `gradients`, one dict per tower."""
        network = self.network
        sums = min(network.workers.threads, len(self.jobs)) or 1 if network.in_threads else 1
        shares = [self.jobs[i::sums] for i in range(sums)]          # the order of sums does not depend on the threads
        for total in self.run(lambda jobs: self.backward_jobs(jobs, ds), shares):
            for own, more in zip(gradients, total):
                add(own, more)
        return None if self.jobs and self.jobs[0].result is None else self.collect(ds)

    def backward_jobs(self, jobs, ds):
        """Some jobs, one after the other → the sums of their gradients, one dict per tower."""
        network, total = self.network, [{} for _ in self.network.towers]
        for job in jobs:
            with network.devices[job.tower], timed(network, job.tower, self.stage, "backward"):
                d = ds[job.tower][job.images]
                for name in reversed(self.stage.layers):
                    layer, more = network.layers[job.tower][name], self.prepared[job.tower, name]
                    d, grads = layer.backward(d, job.caches.pop(), **more)
                    add(total[job.tower], {f"{name}.{key}": gradient for key, gradient in grads.items()})
            job.result = d
        return total

    def run(self, function, items):
        """[function(item) for item in items], in threads where the stage is cut into pieces for them."""
        in_threads = self.network.in_threads and self.stage.convolutional
        return self.network.workers.map(function, items) if in_threads else map(function, items)

    def collect(self, towers):
        """{tower: the results of its jobs, joined along the batch}; the jobs drop them."""
        joined = {}
        for t in towers:
            results = [job.result for job in self.jobs if job.tower == t]
            with self.network.devices[t]:
                joined[t] = results[0] if len(results) == 1 else array_module(results[0]).concatenate(results)
        for job in self.jobs:
            job.result = None
        return joined


def pieces(network, stage, count):
    """Cut a batch of `count` images into slices of equal size, or nearly."""
    if stage.convolutional and network.micro_batch:
        return [slice(i, i + network.micro_batch) for i in range(0, count, network.micro_batch)]
    if not (stage.convolutional and network.in_threads):
        return [slice(0, count)]
    number, threads = -(-count * stage.largest // network.forms.piece), network.workers.threads
    even = threads // math.gcd(threads, len(network.towers))
    number = min(count, -(-number // even) * even)              # as many jobs for each thread
    edges = [i * count // number for i in range(number + 1)]
    return [slice(start, stop) for start, stop in zip(edges, edges[1:])]


def add(total, more):
    """total += more, for {parameter: gradient}; parameters that total lacks are entered."""
    for name, gradient in more.items():
        if name in total:
            total[name] += gradient
        else:
            total[name] = gradient


def timed(network, t, stage, direction):
    """with timed(…): work of tower t, for the network's profile if there is one."""
    return network.profile.span(network.devices[t], t, str(stage), direction) if network.profile else nullcontext()
