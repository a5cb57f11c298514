"""What several test files share: a net that is small enough for exact comparisons, and batches for it."""

import numpy as np
import pytest

from alexnet import AlexNet


@pytest.fixture(scope="session")
def tiny():
    """tiny(**options of AlexNet): an AlexNet of a few kernels in float64.

    No two numbers in it are alike: biases are random, and LRN's α is 1, since at 1e-4 a wrong window goes unnoticed.
    One thread, so that a test which is about threads says so.
    """
    def make(classes=5, image=(24, 24, 1), dtype=np.float64, **options):
        few = dict(kernels=(8, 12, 16, 8, 12), neurons=20, stem=(5, 1, 2), init="he", lrn_alpha=1.0, threads=1)
        network = AlexNet(classes, image, **few | options)
        rng = np.random.default_rng(1)
        weights = {name: 0.1 * rng.standard_normal(array.shape) if name.endswith(".b") else array
                   for name, array in network.weights().items()}
        for tower in network.towers:
            for layer in tower.values():
                layer.params = {key: array.astype(dtype) for key, array in layer.params.items()}
        network.load_weights(weights)
        return network
    return make


@pytest.fixture(scope="session")
def batch():
    """batch(network, count, seed): random images and labels that fit a network, in the type of its parameters."""
    def make(network, count, seed=0):
        rng = np.random.default_rng(seed)
        last = list(network.towers[0].values())[-1]
        images = rng.standard_normal((count, *network.shape)).astype(last.params["W"].dtype)
        return images, rng.integers(0, last.outputs, count)
    return make
