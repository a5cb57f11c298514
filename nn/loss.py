"""Softmax and the cross-entropy loss (paper § 3.5: the 1000-way softmax, maximising multinomial regression)."""

import numpy as np

from nn.arrays import array_module


def softmax(logits):
    """(N, classes) → probabilities: each row is positive and sums to 1. The largest logit is subtracted first, so that
    no exponential overflows."""
    e = array_module(logits).exp(logits - logits.max(1, keepdims=True))
    e /= e.sum(1, keepdims=True)
    return e


def top_errors(scores, labels, k):
    """How many of N images have their label not among the k classes of the largest scores (logits or probabilities,
    (N, classes)): an array of no axes. Ties count as errors, and so do scores that are not numbers: a net without an
    opinion is wrong.
    """
    own = scores[array_module(scores).arange(len(scores)), labels]                  # (N,)
    return ((scores < own[:, None]).sum(1) < scores.shape[1] - k).sum()


class SoftmaxCrossEntropy:
    """The mean over a batch of −log softmax(logits)[label]. A loss has no `y`: forward returns (loss, cache)."""

    def __repr__(self):
        return "SoftmaxCrossEntropy()"

    def forward(self, logits, labels):
        """logits (N, classes), labels (N,) whole numbers from 0 → loss, an array of no axes. Kept: softmax, labels.

        Written as log Σ exp(z) − z[label] with z = logits − max, never log(softmax): finite for any finite logits.
        Raises ValueError for labels that do not fit, as expect_labels says.
        """
        self.expect_labels(labels, logits.shape)
        xp = array_module(logits)
        z = logits - logits.max(1, keepdims=True)                                   # (N, classes)
        right = z[xp.arange(len(z)), labels]                                        # (N,)
        loss = (xp.log(xp.exp(z).sum(1)) - right).mean()
        return loss, (softmax(logits), labels)

    def backward(self, cache):
        """∂loss/∂logits = (softmax − one-hot) / N, (N, classes)."""
        probabilities, labels = cache
        d = probabilities.copy()
        d[array_module(d).arange(len(d)), labels] -= 1
        d /= len(d)
        return d

    def expect_labels(self, labels, shape):
        """Raise ValueError unless `labels` suit logits of `shape` (N, classes). Their range is looked at where they are
        NumPy's: elsewhere looking would wait for the device."""
        if len(shape) != 2 or labels.shape != shape[:1]:
            raise ValueError(f"{self} expects logits (N, classes) and labels (N,), got {shape} and {labels.shape}")
        if labels.dtype.kind not in "iu":
            raise ValueError(f"{self} expects whole numbers as labels, got {labels.dtype}")
        if isinstance(labels, np.ndarray) and labels.size and not 0 <= labels.min() <= labels.max() < shape[1]:
            raise ValueError(f"{self} expects labels from 0 to {shape[1] - 1}, got {labels.min()} to {labels.max()}: "
                             "does the net have as many outputs as the data has classes?")
