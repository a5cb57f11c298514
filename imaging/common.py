"""What all of it shares: errors that a user can set right, splits, random draws that follow from what they are for."""

from typing import NamedTuple

import numpy as np

HOLDOUT, ORDER, VIEWS, COLOUR, CUTOUT = 1, 2, 3, 4, 5       # what a draw is for


class DataError(ValueError):
    """What a user can set right, in a sentence: what was found, what was expected, what to do."""


class Split(NamedTuple):
    images: np.ndarray      # (N, H, W, C) uint8; or what behaves like it, see imaging/images.py
    labels: np.ndarray      # (N,) int64


def require(condition, sentence):
    if not condition:
        raise DataError(sentence)


def generator(seed, purpose, epoch=0):
    require(seed >= 0, f"seed={seed}: expected 0 or more")
    return np.random.default_rng([seed, purpose, epoch])
