"""Stages: the layers of a tower between two exchanges."""

import math
from typing import NamedTuple

from nn.exchange import Exchange
from nn.linear import Flatten


class Stage(NamedTuple):
    """Part of the net: what a tower does between two exchanges. The convolutional part ends at Flatten."""
    exchange: str | None    # the name of the exchange that it begins with, if it does
    layers: list            # names
    convolutional: bool
    largest: int            # floats of the largest map in a tower, per image

    def __str__(self):
        names = self.layers or [self.exchange]
        return " … ".join(dict.fromkeys((names[0], names[-1])))

    @property
    def first(self):
        """The name that tells whether a tower has this stage."""
        return self.exchange or self.layers[0]

    def without_last(self):
        return self._replace(layers=self.layers[:-1])


def cut(layers, shape):
    """{name: layer} of the first tower, for images of `shape` → its stages, cut before every exchange and Flatten."""
    stages, convolutional = [], any(isinstance(layer, Flatten) for layer in layers.values())
    for name, layer in layers.items():
        convolutional = convolutional and not isinstance(layer, Flatten)
        shape = layer.output_shape(shape)
        begins = isinstance(layer, Exchange)
        if begins or not stages or stages[-1].convolutional != convolutional:
            stages.append(Stage(name if begins else None, [], convolutional, 0))
        stage = stages[-1]
        stages[-1] = stage._replace(layers=stage.layers if begins else [*stage.layers, name],
                                    largest=max(stage.largest, math.prod(shape)))
    return stages
