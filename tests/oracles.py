"""Slow references: convolution, normalisation and pooling exactly as in the formulas, one number at a time.

The fast layers in nn/ must return the same. Letters: see nn/__init__.py; images (N, H, W, C), kernels (R, S, C/G, K).
"""

import numpy as np


def convolution(x, W, b, stride=1, padding=0, groups=1):
    """Seven loops: over each output, and for it over each input that its kernel sees.

    padding: zeros on every side, or (before, after). Kernel k sees only the channels of its own group.
    """
    before, after = padding if isinstance(padding, tuple) else (padding, padding)
    N, height, width, C = x.shape
    R, S, group_channels, K = W.shape
    P = (height + before + after - R) // stride + 1
    Q = (width + before + after - S) // stride + 1
    y = np.zeros((N, P, Q, K))
    for n in range(N):
        for p in range(P):
            for q in range(Q):
                for k in range(K):
                    group = k // (K // groups)
                    y[n, p, q, k] = b[k]
                    for r in range(R):
                        for s in range(S):
                            for c in range(group_channels):
                                row, column = p * stride + r - before, q * stride + s - before
                                if 0 <= row < height and 0 <= column < width:       # zero outside the map
                                    y[n, p, q, k] += x[n, row, column, group * group_channels + c] * W[r, s, c, k]
    return y


def local_response_norm(x, size, alpha, beta, k, groups=1):
    """The formula of § 3.3 at every position of every map: a_i / (k + α Σ a_j²)^β, summed over the existing maps j
    of i's group from i − size/2 to i + size/2."""
    N, height, width, C = x.shape
    y = np.zeros(x.shape)
    for n in range(N):
        for row in range(height):
            for column in range(width):
                a = x[n, row, column]
                for i in range(C):
                    first = i // (C // groups) * (C // groups)                      # the group's maps:
                    last = first + C // groups - 1                                  # first … last
                    total = 0.0
                    for j in range(max(first, i - size // 2), min(last, i + size // 2) + 1):
                        total += a[j] ** 2
                    y[n, row, column, i] = a[i] / (k + alpha * total) ** beta
    return y


def max_pool(x, size, stride, ceil=False):
    """The maximum of each size×size window, windows `stride` apart (§ 3.4). Only whole windows; with ceil, as many
    windows as are needed to cover every pixel that windows can cover."""
    N, height, width, C = x.shape
    P, Q = (height - size) // stride + 1, (width - size) // stride + 1
    if ceil:
        P += (P - 1) * stride + size < height and P * stride < height
        Q += (Q - 1) * stride + size < width and Q * stride < width
    y = np.zeros((N, P, Q, C))
    for n in range(N):
        for p in range(P):
            for q in range(Q):
                for c in range(C):
                    largest = -np.inf
                    for i in range(size):
                        for j in range(size):
                            if p * stride + i < height and q * stride + j < width:
                                largest = max(largest, x[n, p * stride + i, q * stride + j, c])
                    y[n, p, q, c] = largest
    return y
