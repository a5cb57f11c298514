"""Shared by imaging/ and data.py: errors that a user can fix, splits, random draws that follow from their purpose."""

from typing import NamedTuple

import numpy as np

HOLDOUT, ORDER, VIEWS, COLOUR, CUTOUT, TESTING = 1, 2, 3, 4, 5, 6      # purposes of draws


class DataError(ValueError):
    """An error that the user can fix. Its message is one sentence: what was found, what was expected, what to do."""


class Split(NamedTuple):
    images: np.ndarray      # (N, H, W, C) uint8, or behaves like such an array: imaging/images.py
    labels: np.ndarray      # (N,) int64


def require(condition, sentence):
    if not condition:
        raise DataError(sentence)


def generator(seed, purpose, epoch=0):
    require(seed >= 0, f"seed={seed}: expected 0 or more")
    return np.random.default_rng([seed, purpose, epoch])
