"""The kernels of nn/fast/kernels.cu as functions of arrays. A layer gets them with

    cuda = fused(x)
    if cuda: …                  # one pass through memory instead of many

and its plain form in nn/ does the same in array operations.
"""

import functools
import os
import warnings
from pathlib import Path

import numpy as np

from nn.arrays import array_module

SOURCE = Path(__file__).with_name("kernels.cu")
BLOCK = 256             # threads in a block: any multiple of 32 works, its threads share nothing
EACH = 16               # numbers that a thread of sgd updates
MOST = 32               # arrays in one launch of sgd: their addresses are arguments, of which a kernel takes 4 KB


def fused(x):
    """The Kernels for arrays of x's library and type. None for NumPy arrays, where CUDA's compiler (NVRTC) is missing
    or fails (said once, as a warning), and with NN_FUSED=0 in the environment: then the plain form does the work."""
    xp = array_module(x)
    if xp is np or os.environ.get("NN_FUSED") == "0":
        return None
    return compiled(xp, x.dtype.type)


@functools.cache
def compiled(xp, real):
    try:
        return Kernels(xp, real)
    except Exception as error:                      # anything that a compiler or its absence raises
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        warnings.warn(f"nn/fast/kernels.cu cannot be compiled ({reason}): using plain array operations instead, "
                      "which are slower; check that CuPy and the CUDA toolkit fit each other", RuntimeWarning,
                      stacklevel=4)
        return None


class Kernels:
    """nn/fast/kernels.cu compiled for arrays of the library `xp` (CuPy) and the type `real`, np.float32 or np.float64.

    Every function takes arrays on the current device and queues one kernel there. `bias`, `col2im` and `sgd` change
    their arguments.
    """

    def __init__(self, xp, real):
        self.xp, self.real = xp, real
        name = {np.float32: "float", np.float64: "double"}[real]
        self.module = xp.RawModule(code=SOURCE.read_text(encoding="utf-8"), options=(f"-Dreal={name}",))
        self.module.compile()                       # now, not at the first launch, so that `compiled` catches errors
        self.functions = {}                         # a look-up takes as long as a launch
        self.updates = np.dtype([("w", np.uint64, MOST), ("v", np.uint64, MOST), ("g", np.uint64, MOST),
                                 ("count", np.int64, MOST), ("block", np.int32, MOST + 1), ("rate", real, MOST),
                                 ("decay", real, MOST)], align=True)        # `Updates` in kernels.cu

    def run(self, name, blocks, arguments):
        if name not in self.functions:
            self.functions[name] = self.module.get_function(name)
        self.functions[name]((blocks,), (BLOCK,), arguments)

    def launch(self, name, count, reads, writes, *numbers):
        """Run kernel `name` with one thread for each of `count` numbers. A kernel's arguments are the arrays that it
        reads, made contiguous; those that it writes; count; and the other numbers: whole ones as int, fractions as
        `real`, NumPy's unsigned types as they are."""
        reads = [a if a.flags.c_contiguous else self.xp.ascontiguousarray(a) for a in reads]
        for array in writes:
            expect_contiguous(name, array)
        if count:
            self.run(name, -(-count // BLOCK), (*reads, *writes, np.int64(count), *converted(self.real, *numbers)))

    def im2col(self, x, first, C, R, S, P, Q, stride, before, more=0):
        """x (N, H, W, channels) → columns (N·P·Q, R·S·C + more): what an R×S kernel sees of the C channels from `first`
        on, at each of P×Q positions. `before` zeros on the top and left and as many as needed on the bottom and right.
        more: a one and then zeros at the end of each row."""
        N, H, W, channels = x.shape
        columns = self.xp.empty((N * P * Q, R * S * C + more), self.real)
        self.launch("im2col", N * P * Q * S * C, (x,), (columns,),
                    H, W, channels, first, C, P, Q, R, S, stride, before, columns.shape[1])
        return columns

    def col2im(self, columns, dx, first, C, R, S, P, Q, stride, before):
        """The adjoint of im2col: sets the C channels from `first` on of dx (N, H, W, channels)."""
        N, H, W, channels = dx.shape
        self.launch("col2im", N * H * W * C, (columns,), (dx,), H, W, channels, first, C, P, Q, R, S, stride, before)

    def bias(self, y, b, relu):
        """y + b, or max(0, y + b) with `relu`, in place: y (…, K), b (K,)."""
        self.launch("bias", y.size, (b,), (y,), y.shape[-1], int(relu))

    def relu_backward(self, dy, y):
        """→ dx, contiguous."""
        dx = self.xp.empty(y.shape, self.real)
        self.launch("relu_backward", y.size, (dy, y), (dx,))
        return dx

    def join(self, a, b):
        """a (…, A) and b (…, B) side by side: (…, A + B)."""
        joined = self.xp.empty((*a.shape[:-1], a.shape[-1] + b.shape[-1]), self.real)
        self.launch("join", joined.size, (a, b), (joined,), a.shape[-1], b.shape[-1])
        return joined

    def lrn_forward(self, x, size, alpha, beta, k, groups, keep):
        """→ y, d as in nn/lrn.py; d is None without `keep`."""
        y = self.xp.empty(x.shape, self.real)
        d = self.xp.empty(x.shape, self.real) if keep else y                        # y: an unused pointer
        self.launch("lrn_forward", x.size, (x,), (y, d), x.shape[3] // groups, size // 2, float(alpha), float(beta),
                    float(k), int(keep))
        return y, (d if keep else None)

    def lrn_backward(self, dy, x, d, size, alpha, beta, groups):
        """→ dx."""
        dx = self.xp.empty(x.shape, self.real)
        self.launch("lrn_backward", x.size, (dy, x, d), (dx,), x.shape[3] // groups,
                    size // 2, float(alpha), float(beta))
        return dx

    def max_pool_forward(self, x, P, Q, size, stride, keep):
        """x (N, H, W, C) → y (N, P, Q, C), winner (uint8, the same shape; None without `keep`)."""
        N, H, W, C = x.shape
        y = self.xp.empty((N, P, Q, C), self.real)
        winner = self.xp.empty(y.shape if keep else 0, np.uint8)
        self.launch("max_pool_forward", y.size, (x,), (y, winner), H, W, C, P, Q, size, stride, int(keep))
        return y, (winner if keep else None)

    def max_pool_backward(self, dy, winner, H, W, size, stride):
        """dy, winner (N, P, Q, C) → dx (N, H, W, C)."""
        N, P, Q, C = dy.shape
        dx = self.xp.empty((N, H, W, C), self.real)
        self.launch("max_pool_backward", dx.size, (dy, winner), (dx,), H, W, C, P, Q, size,
                    stride)
        return dx

    def max_pool_backward_all(self, dy, x, y, size, stride):
        """The same where all equal largest values win: dy, y (N, P, Q, C), x (N, H, W, C) → dx."""
        (_, P, Q, C), (_, H, W, _) = dy.shape, x.shape
        dx = self.xp.empty(x.shape, self.real)
        self.launch("max_pool_backward_all", dx.size, (dy, x, y), (dx,), H, W, C, P, Q, size,
                    stride)
        return dx

    def dropout(self, x, key, first, features, threshold, factor):
        """x (…, F) → y, mask (bool): y = x · factor where the mask is true. key: two uint64, Philox's; x is columns
        of a layer of `features`, and x[0, 0] has number `first`; kept are numbers of at least `threshold`, of 2^32."""
        y, mask = self.xp.empty(x.shape, self.real), self.xp.empty(x.shape, np.bool_)
        self.launch("dropout", x.size, (x,), (y, mask), x.shape[-1], np.uint64(first), features,
                    np.uint64(key[0]), np.uint64(key[1]), np.uint32(threshold), float(factor))
        return y, mask

    def exponentials(self, z, largest):
        """exp(z − largest) for z (N, C) and largest (N,)."""
        e = self.xp.empty(z.shape, self.real)
        self.launch("exponentials", z.size, (z, largest), (e,), z.shape[1])
        return e

    def cross_entropy(self, z, largest, e, sums, labels):
        """z (N, C), its rows' largest, their exponentials e and sums of these → (losses (N,), their mean's ∂z)."""
        (N, C), labels = z.shape, labels.astype(np.int64, copy=False)
        losses, d = self.xp.empty(N, self.real), self.xp.empty(z.shape, self.real)
        self.launch("cross_entropy", z.size, (z, largest, e, sums, labels), (losses, d), C, N)
        return losses, d

    def sgd(self, updates):
        """Some nn.optim.Updates in place, of arrays of any shape: one launch for MOST arrays. They share `momentum` and
        `inside`."""
        for start in range(0, len(updates), MOST):
            some, blocks = np.zeros((), self.updates), 0
            gradients = []                          # not freed before the launch
            for t, one in enumerate(updates[start:start + MOST]):
                gradients.append(self.xp.ascontiguousarray(one.g))
                for letter, array in ("w", one.w), ("v", one.v), ("g", gradients[t]):
                    expect_contiguous("sgd", array)
                    some[letter][t] = address(array)
                some["count"][t], some["rate"][t], some["decay"][t] = one.w.size, one.lr, one.decay
                blocks += -(-one.w.size // (BLOCK * EACH))
                some["block"][t + 1] = blocks
            if blocks:
                self.run("sgd", blocks, (some[()], self.real(one.momentum), np.int32(one.inside), np.int32(EACH)))


@functools.lru_cache(maxsize=4096, typed=True)
def converted(real, *numbers):
    """A kernel's numbers in its types."""
    return [np.int32(n) if isinstance(n, (int, np.signedinteger)) else real(n) if isinstance(n, float) else n
            for n in numbers]


def expect_contiguous(name, array):
    if not array.flags.c_contiguous:
        raise ValueError(f"kernel {name} needs C-contiguous arrays, got strides {array.strides} "
                         f"for shape {array.shape}")


def address(array):
    """Where an array's numbers begin in the device's memory."""
    return array.data.ptr if hasattr(array.data, "ptr") else array.ctypes.data      # NumPy's: tests/test_kernels.py
