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

    Every function takes arrays on the current device and queues its work there; only `sgd` changes any of them.
    """

    def __init__(self, xp, real):
        self.xp, self.real = xp, real
        name = {np.float32: "float", np.float64: "double"}[real]
        self.module = xp.RawModule(code=SOURCE.read_text(encoding="utf-8"), options=(f"-Dreal={name}",))
        self.module.compile()                       # now, not at the first launch, so that `compiled` catches errors

    def launch(self, name, count, arrays, *numbers):
        """Run kernel `name` with one thread for each of `count` numbers. A kernel's arguments are the arrays, count,
        and the other numbers: whole ones as int, fractions as `real`, NumPy's unsigned types as they are."""
        for array in arrays:
            if not array.flags.c_contiguous:
                raise ValueError(f"kernel {name} needs C-contiguous arrays, got strides {array.strides} "
                                 f"for shape {array.shape}")
        numbers = [np.int32(n) if isinstance(n, (int, np.signedinteger)) else self.real(n) if isinstance(n, float)
                   else n for n in numbers]
        if count:
            self.module.get_function(name)((-(-count // BLOCK),), (BLOCK,), (*arrays, np.int64(count), *numbers))

    def im2col(self, x, first, C, R, S, P, Q, stride, before, dilate=1):
        """x (N, H, W, channels) → columns (N·P·Q, R·S·C): what an R×S kernel sees of the C channels from `first` on,
        at each of P×Q positions. `before` zeros on the top and left and as many as needed on the bottom and right;
        dilate − 1 zeros between the pixels."""
        N, H, W, channels = x.shape
        columns = self.xp.empty((N * P * Q, R * S * C), self.real)
        self.launch("im2col", N * P * Q * S * C, (self.xp.ascontiguousarray(x), columns),
                    H, W, channels, first, C, P, Q, R, S, stride, before, dilate)
        return columns

    def lrn_forward(self, x, size, alpha, beta, k, groups, keep):
        """→ y, d as in nn/lrn.py; d is None without `keep`."""
        x = self.xp.ascontiguousarray(x)
        y = self.xp.empty(x.shape, self.real)
        d = self.xp.empty(x.shape, self.real) if keep else y                        # y: an unused pointer
        self.launch("lrn_forward", x.size, (x, y, d), x.shape[3] // groups, size // 2, float(alpha), float(beta),
                    float(k), int(keep))
        return y, (d if keep else None)

    def lrn_backward(self, dy, x, d, size, alpha, beta, groups):
        """→ dx."""
        dx = self.xp.empty(x.shape, self.real)
        self.launch("lrn_backward", x.size, (*map(self.xp.ascontiguousarray, (dy, x, d)), dx), x.shape[3] // groups,
                    size // 2, float(alpha), float(beta))
        return dx

    def max_pool_forward(self, x, P, Q, size, stride, keep):
        """x (N, H, W, C) → y (N, P, Q, C), winner (uint8, the same shape; None without `keep`)."""
        N, H, W, C = x.shape
        y = self.xp.empty((N, P, Q, C), self.real)
        winner = self.xp.empty(y.shape if keep else 0, np.uint8)
        self.launch("max_pool_forward", y.size, (self.xp.ascontiguousarray(x), y, winner), H, W, C, P, Q, size, stride,
                    int(keep))
        return y, (winner if keep else None)

    def max_pool_backward(self, dy, winner, H, W, size, stride):
        """dy, winner (N, P, Q, C) → dx (N, H, W, C)."""
        N, P, Q, C = dy.shape
        dx = self.xp.empty((N, H, W, C), self.real)
        self.launch("max_pool_backward", dx.size, (self.xp.ascontiguousarray(dy), winner, dx), H, W, C, P, Q, size,
                    stride)
        return dx

    def dropout(self, x, key, first, features, threshold, factor):
        """x (…, F) → y, mask (bool): y = x · factor where the mask is true. key: two uint64, Philox's; x is columns
        of a layer of `features`, and x[0, 0] has number `first`; kept are numbers of at least `threshold`, of 2^32."""
        x = self.xp.ascontiguousarray(x)
        y, mask = self.xp.empty(x.shape, self.real), self.xp.empty(x.shape, np.bool_)
        self.launch("dropout", x.size, (x, y, mask), x.shape[-1], np.uint64(first), features,
                    np.uint64(key[0]), np.uint64(key[1]), np.uint32(threshold), float(factor))
        return y, mask

    def sgd(self, w, v, gradient, momentum, decay, rate):
        """One step of § 5, in place: w and v, any shape."""
        self.launch("sgd", w.size, (w, v, self.xp.ascontiguousarray(gradient)), float(momentum), float(decay),
                    float(rate))
