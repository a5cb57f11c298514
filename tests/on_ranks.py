"""Run by tests/test_ranks.py, alone and under mpiexec: some steps of a small net, their losses and the last weights as JSON.

    python on_ranks.py FLOAT BATCH STEPS [--model-parallel] [DEVICE]
"""

import json
import sys
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from alexnet import SmallAlexNet
from nn import SGD
from nn.run import launch


def main(real, batch, steps, *more):
    real, batch, steps = np.dtype(real), int(batch), int(steps)
    ranks, model_parallel = launch.start(), "--model-parallel" in more
    device = next((word for word in more if not word.startswith("-")), "cpu")
    network = SmallAlexNet(5, (28, 28, 1), threads=1, kernels=(8, 16, 16, 16, 16), neurons=64, dropout=0.5, seed=1,
                           devices=ranks.devices(device, 1 if model_parallel else 2))
    for tower, own in zip(network.towers, network.devices):
        with own:
            for layer in tower.values():
                layer.params.update({key: array.astype(real) for key, array in layer.params.items()})
    ranks.take(network, model_parallel)
    sgd, losses = SGD(network), []
    rng = np.random.default_rng(0)
    for step in range(steps):
        images, labels = rng.standard_normal((batch, 28, 28, 1)).astype(real), rng.integers(0, 5, batch)
        own = ranks.part(batch)
        images, labels = images[own.start:own.stop], labels[own.start:own.stop]
        count = ranks.place(len(labels))
        with network.devices[0]:
            logits, caches = network.forward(images, step=step)
            loss, cache = network.loss.forward(logits, network.devices[0].put(labels))
            gradients = network.backward(ranks.weigh(network.loss.backward(cache), count), caches)
            ranks.finish()
            sgd.step(gradients, 0.05)
        losses.append(float(ranks.total([0 if loss is None else float(loss) * len(labels)])[0] / count))
    weights = network.weights()
    crc = zlib.crc32(b"".join(np.ascontiguousarray(array).tobytes() for array in weights.values()))
    sent = sum(sum(device.sent.values()) for device in network.devices)
    print(json.dumps(dict(losses=losses, crc=crc, total=float(sum(abs(w).sum() for w in weights.values())), sent=sent)))


if __name__ == "__main__":
    main(*sys.argv[1:])
