"""Convolution with fewer multiplications: Winograd's algorithm, for the CPU (Winograd 1980; Lavin and Gray 2016).

m outputs of a correlation with r numbers take m·r multiplications. The product of two polynomials takes n = m + r − 1
if their values at n points are known, and its adjoint is a correlation. In two dimensions, for a tile of m×m outputs:

    U = G W Gᵀ      the kernel's values at n×n points; W (r, r)
    V = B x Bᵀ      the values of the n×n pixels that the tile sees
    M = V U         for each point one matrix product, over the channels
    y = Aᵀ M A      the m×m outputs

A tile takes n² products instead of m²r²: 64 instead of 400 for kernels of 5×5, 49 instead of 225 for 3×3. The gradients
are the adjoints of the four lines, in reverse order. (Measured for one tower's conv2: 0.24 of the row-wise form's time
forward, 0.29 backward; for a step of the full net 0.57.)

The transforms add and subtract numbers of different sizes. In float32 an output differs from the exact sum by up to
3e-5 of the largest output, the direct form's by up to 1e-6; in float64 by 1e-14. AlexNet(convolution="direct")
and `train.py --convolution direct` choose the direct form.
"""

from functools import cache

import numpy as np
from numpy.polynomial import polynomial

from nn.fast.rowwise import RowwiseConv2d

TILES = {3: 5, 5: 4}                    # kernel size r: tile size m. Larger tiles save more products and round worse
POINTS = 0, 1, -1, 2, -2, 0.5, -0.5     # and infinity: numbers whose powers stay near 1
BLOCK = 600_000                         # floats of V and M at a time: they stay in cache between the four lines


class WinogradConv2d(RowwiseConv2d):
    """Conv2d by Winograd's algorithm, where `suits` says so.

    A stride t is folded into the channels: x becomes maps with t²·C channels and a t-th of the height and width, W
    becomes kernels of size r = ⌈R/t⌉ with zeros at their ends, and the stride becomes 1.
    """

    @staticmethod
    def suits(layer):
        """Whether there are tiles for a Conv2d, and enough channels and kernels for the products to outweigh the
        transforms (with the small net's 32 they do not)."""
        channels, kernels = layer.stride ** 2 * layer.channels // layer.groups, layer.kernels // layer.groups
        return (-(-layer.size // layer.stride) in TILES and min(channels, kernels) >= 48
                and (layer.stride == 1 or layer.groups == 1))

    def kernel_points(self):
        """U (n², t²·C/G, K). It costs as much as some images: a network computes it once for all pieces of a batch."""
        W = fold_kernels(self.params["W"], self.stride)
        r, _, *channels = W.shape
        _, _, G = matrices(r, W.dtype.type)
        return (np.kron(G, G) @ W.reshape(r * r, -1)).reshape(-1, *channels)

    def forward(self, x, train=True, U=None, direct=False):
        """U: kernel_points(), computed if None. direct: convolve row by row instead."""
        if direct:
            return super().forward(x, train)
        self.expect(x)
        U = self.kernel_points() if U is None else U
        grid, y = Grid(self, x), np.empty((len(x), *self.output_shape(x.shape[1:])), x.dtype)
        for images, rows in grid.blocks():
            V, M = grid.points(rows)
            to_points(grid.fold(x[images]), grid.B, V, grid)
            for seen, own in grid.groups:
                np.matmul(V[..., seen], U[..., own], out=M[..., own])
            whole = from_points(M, grid.A, grid)                                    # (N, T·m, T'·m, K)
            np.add(whole[:, :y.shape[1], :y.shape[2]], self.params["b"], out=y[images])
        return y, (x if train else None)

    def backward(self, dy, cache, U=None, direct=False):
        """Each product takes all images at once: it would pack U anew for every block."""
        if direct:
            return super().backward(dy, cache)
        U = self.kernel_points() if U is None else U
        x, grid = cache, Grid(self, cache)
        V, dM = grid.points(slice(0, len(x) * grid.count))
        for images, rows in grid.blocks():
            to_points(grid.fold(x[images]), grid.B, V[:, rows], grid)
            to_points(surround(dy[images], 0, [t * grid.m for t in grid.tiles]), grid.A, dM[:, rows], grid)
        dU, dx = np.empty_like(U), None
        for seen, own in grid.groups:
            np.matmul(V[..., seen].transpose(0, 2, 1), dM[..., own], out=dU[..., own])
        if not self.first:
            dV, dx = V, np.empty_like(x)                        # dV reuses V's memory: V is not needed any more
            for seen, own in grid.groups:
                np.matmul(dM[..., own], U[..., own].transpose(0, 2, 1), out=dV[..., seen])
            for images, rows in grid.blocks():
                grid.unfold(from_points(dV[:, rows], grid.B, grid), dx[images])
        dW = (np.kron(grid.G, grid.G).T @ dU.reshape(len(U), -1)).reshape(grid.r, grid.r, *U.shape[1:])
        return dx, {"W": unfold_kernels(dW, self.params["W"].shape, self.stride),
                    "b": np.ones(dy.size // self.kernels, dy.dtype) @ dy.reshape(-1, self.kernels)}


class Grid:
    """The layout of a layer's tiles on the maps x (N, H, W, C)."""

    def __init__(self, layer, x):
        P, Q, self.kernels = layer.output_shape(x.shape[1:])
        self.stride, self.before, self.shape, self.dtype = layer.stride, layer.before, x.shape, x.dtype
        self.r = -(-layer.size // layer.stride)
        self.m = TILES[self.r]
        self.A, self.B, self.G = matrices(self.r, x.dtype.type)
        self.tiles = -(-P // self.m), -(-Q // self.m)                               # T, T'
        self.count = self.tiles[0] * self.tiles[1]
        self.sides = [t * self.m + self.r - 1 for t in self.tiles]                  # of what all tiles see, folded
        self.channels = layer.stride ** 2 * layer.channels
        c, k = self.channels // layer.groups, self.kernels // layer.groups
        self.groups = [(slice(g * c, (g + 1) * c), slice(g * k, (g + 1) * k)) for g in range(layer.groups)]

    def blocks(self):
        """Slices of the images and of their tiles, N·T·T', for about BLOCK floats of points."""
        step = max(1, BLOCK // (len(self.B) ** 2 * (self.channels + self.kernels) * self.count))
        N = self.shape[0]
        return [(slice(i, i + step), slice(i * self.count, min(i + step, N) * self.count)) for i in range(0, N, step)]

    def points(self, rows):
        """Room for V and M of some tiles."""
        return [np.empty((len(self.B) ** 2, rows.stop - rows.start, width), self.dtype)
                for width in (self.channels, self.kernels)]

    def fold(self, x):
        """x (N, H, W, C) with zeros around it and its stride folded → (N, sides, t²·C)."""
        t, (high, wide) = self.stride, self.sides
        whole = surround(x, self.before, (high * t, wide * t))
        if t > 1:
            whole = whole.reshape(len(x), high, t, wide, t, -1).transpose(0, 1, 3, 2, 4, 5)
        return whole.reshape(len(x), high, wide, -1)

    def unfold(self, whole, dx):
        """The adjoint of fold, into dx."""
        t, (high, wide) = self.stride, self.sides
        if t > 1:
            whole = whole.reshape(len(dx), high, wide, t, t, -1).transpose(0, 1, 3, 2, 4, 5)
            whole = whole.reshape(len(dx), high * t, wide * t, -1)
        whole = whole[:, self.before:, self.before:][:, :dx.shape[1], :dx.shape[2]]
        dx[:, whole.shape[1]:] = dx[:, :, whole.shape[2]:] = 0  # beyond the last tile
        dx[:, :whole.shape[1], :whole.shape[2]] = whole


@cache
def matrices(r, real):
    """A (n, m), B (n, n) and G (n, r) of type `real` for kernels of size r (Toom and Cook): column k of A and G has the
    power k of the points, each row of B the coefficients of the polynomial that vanishes at all other points."""
    m = TILES[r]
    n = m + r - 1
    points = POINTS[:n - 1]
    A, B, G = np.zeros((n, m)), np.zeros((n, n)), np.zeros((n, r))
    for i, p in enumerate(points):
        others = [q for q in points if q != p]
        A[i] = [p ** k for k in range(m)]
        G[i] = [p ** k / np.prod([p - q for q in others]) for k in range(r)]
        B[i, :n - 1] = polynomial.polyfromroots(others)
    A[-1, -1] = G[-1, -1] = 1                                   # at infinity: the highest power's coefficient
    B[-1] = polynomial.polyfromroots(points)
    return tuple(matrix.astype(real) for matrix in (A, B, G))


def to_points(x, matrix, out, grid):
    """out (n², N·T·T', C) = the tiles of x (N, H, W, C), k×k pixels each, times `matrix` (n, k) from both sides."""
    (n, k), (N, _, W, C), (T, across), m = matrix.shape, x.shape, grid.tiles, grid.m
    image, down, *_ = x.strides
    rows = np.lib.stride_tricks.as_strided(x, (N, T, k, W * C), (image, m * down, down, x.itemsize))
    half = np.empty((n, N, T, W, C), x.dtype)
    np.matmul(matrix, rows, out=half.reshape(n, N, T, W * C).transpose(1, 2, 0, 3))
    point, _, down, right, channel = half.strides
    columns = np.lib.stride_tricks.as_strided(half, (n, k, N * T, across, C), (point, right, down, m * right, channel))
    np.matmul(matrix, np.ascontiguousarray(columns).reshape(n, k, -1), out=in_two(out, n))


def from_points(points, matrix, grid):
    """The adjoint of to_points: points (n², N·T·T', C) → x (N, T·m + k − m, T'·m + k − m, C), where tiles overlap their
    sum."""
    (n, k), C, (T, across), m = matrix.shape, points.shape[2], grid.tiles, grid.m
    N, H, W = points.shape[1] // grid.count, T * m + k - m, across * m + k - m
    columns = np.matmul(matrix.T, in_two(points, n)).reshape(n, k, N, T, across, C)
    half = np.empty((n, N, T, W, C), points.dtype)
    add_tiles(columns.transpose(0, 2, 3, 4, 1, 5), half, m)
    rows = np.matmul(matrix.T, half.reshape(n, N, T, W * C).transpose(1, 2, 0, 3))  # (N, T, k, W·C)
    if k == m:
        return rows.reshape(N, H, W, C)
    x = np.empty((N, H, W, C), points.dtype)
    add_tiles(rows, x.reshape(N, H, W * C), m)
    return x


def in_two(points, n):
    """points (n², N·T·T', C) as (n, n, N·T·T'·C), without a copy even if they are some rows of a larger array."""
    (_, rows, C), (point, _, number) = points.shape, points.strides
    return np.lib.stride_tricks.as_strided(points, (n, n, rows * C), (n * point, point, number))


def add_tiles(tiles, line, m):
    """line (…, (T − 1)·m + k, C) = the sum of tiles (…, T, k, C), each m further on than the one before."""
    T, k = tiles.shape[-3:-1]
    line[..., :T * m, :].reshape(*tiles.shape[:-2], m, -1)[...] = tiles[..., :m, :]
    line[..., T * m:, :] = 0
    for t in range(T if k > m else 0):
        line[..., (t + 1) * m:t * m + k, :] += tiles[..., t, m:, :]


def surround(x, before, sides):
    """x (N, H, W, C) with zeros around it: `before` at the top and left, and at the bottom and right up to `sides`.
    What is beyond `sides` is left out: no tile sees it."""
    whole = np.zeros((len(x), *sides, x.shape[3]), x.dtype)
    seen = x[:, :sides[0] - before, :sides[1] - before]
    whole[:, before:before + seen.shape[1], before:before + seen.shape[2]] = seen
    return whole


def fold_kernels(W, t):
    """W (R, S, C, K) → (r, r, t²·C, K) with zeros at the ends."""
    R, _, C, K = W.shape
    r = -(-R // t)
    whole = np.zeros((r * t, r * t, C, K), W.dtype)
    whole[:R, :R] = W
    return whole.reshape(r, t, r, t, C, K).transpose(0, 2, 1, 3, 4, 5).reshape(r, r, t * t * C, K)


def unfold_kernels(dW, shape, t):
    """The adjoint of fold_kernels: dW (r, r, t²·C, K) → `shape` (R, S, C, K)."""
    R, _, C, K = shape
    r = len(dW)
    return dW.reshape(r, r, t, t, C, K).transpose(0, 2, 1, 3, 4, 5).reshape(r * t, r * t, C, K)[:R, :R]
