"""Learning (paper § 5): the update rule, and when to lower the learning rate."""

from typing import NamedTuple

import numpy as np

from nn.arrays import array_module


class Update(NamedTuple):
    """What one parameter's update needs; w and v are changed in place."""
    w: object               # the parameter
    v: object               # its velocity
    g: object               # ∂L/∂w
    lr: float               # ε
    momentum: float
    decay: float
    inside: bool            # whether ε is inside the velocity


def update(w, v, g, lr, momentum, decay, inside=True):
    """The two lines of § 5, in place; or, with ε outside the velocity, PyTorch's."""
    if inside:
        v[...] = momentum * v - decay * lr * w - lr * g
        w += v
    else:
        v[...] = momentum * v - decay * w - g
        w += lr * v


class SGD:
    """Stochastic gradient descent with momentum and weight decay, exactly as printed in § 5:

        v ← momentum · v − weight_decay · ε · w − ε · ∂L/∂w
        w ← w + v

    bias_decay: the decay of biases. The paper does not say; 0, as in the 2012 code, is the default.
    bias_rate: the ratio of biases' ε to weights' ε: 1 in the paper, 2 in the 2012 code and Caffe.
    rate_inside: ε (the learning rate) is inside the velocity, which keeps what an earlier ε gave it. False, as in
        PyTorch: w ← w + ε · v with v ← momentum · v − weight_decay · w − ∂L/∂w; it differs only when ε changes.
    """

    def __init__(self, network, momentum=0.9, weight_decay=0.0005, bias_decay=0.0, bias_rate=1.0, rate_inside=True):
        if not 0 <= momentum < 1 or min(weight_decay, bias_decay) < 0 or bias_rate < 0:
            raise ValueError("SGD expects 0 ≤ momentum < 1 and no negative decay or rate, got momentum "
                             f"{momentum}, weight_decay {weight_decay}, bias_decay {bias_decay}, bias_rate {bias_rate}")
        self.network, self.momentum, self.rate_inside = network, momentum, rate_inside
        self.rate, self.decay = {"W": 1, "b": bias_rate}, {"W": weight_decay, "b": bias_decay}
        self.velocity = []
        for own, device in zip(network.parameters, network.devices):
            with device:
                self.velocity.append({name: array_module(w).zeros_like(w) for name, w in own.items()})

    def load(self, velocity):
        """Set the velocities, from a dict of whole arrays like that of network.join(self.velocity)."""
        self.velocity = self.network.split(velocity)

    def step(self, gradients, lr, frozen=()):
        """Update all parameters in place but those of `frozen` layers. gradients: as network.parameters; lr: ε."""
        for t, weights in enumerate(self.network.parameters):
            updates = []
            for name, w in weights.items():
                layer, kind = name.split(".")
                if layer not in frozen:
                    updates.append(Update(w, self.velocity[t][name], gradients[t][name], lr * self.rate[kind],
                                          self.momentum, self.decay[kind], self.rate_inside))
            self.network.update(t, updates)


def warm_up(lr, epochs, over, factor):
    """ε after `epochs` epochs (a fraction, too), where ε was multiplied by `factor` for a large batch: it rises evenly
    from lr / factor to lr over the first `over` epochs (Goyal et al. 2017, § 2.2). Not in the paper. over = 0: lr."""
    return lr if epochs >= over else lr / factor * (1 + (factor - 1) * epochs / over)


def plateau(lr, errors, factor=10.0, drops=3, patience=3):
    """ε after the validation errors of all epochs so far: lr, divided by `factor` whenever the error has stopped
    improving, at most `drops` times (§ 5: by ten, three times). None when it has stopped once more: time to end.

    "Stopped improving" means: no new best in the last `patience` epochs. (The authors decided by eye.)
    A function of the log alone, so that a resumed run goes on as if it had never stopped.
    """
    best, waited, dropped = np.inf, 0, 0
    for error in errors:
        if error < best:
            best, waited = error, 0
            continue
        waited += 1
        if waited == patience:
            dropped, waited = dropped + 1, 0
    return lr / factor ** dropped if dropped <= drops else None


def steps(lr, epoch, at, factor=10.0):
    """ε of an epoch (counted from 0): lr, divided by `factor` at each of the epochs `at`. (2012 code: 25,
    51 and 79 of 91.)"""
    return lr / factor ** sum(epoch >= a for a in at)
