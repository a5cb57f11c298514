# %% [markdown]
# # 18 Fewer multiplications
#
# **What the paper says.** Nothing about this: its convolutions take one multiplication for each weight at each position, 665,784,864 of them for an
# image. Toom (1963) and Cook (1966) multiplied polynomials by their values at points; Winograd (1980) asked how few multiplications a correlation needs.
# Lavin and Gray made a fast layer of it for GPUs in 2016, and this project's net uses it on a CPU.
#
# **The question.** How can a sum of products be computed with fewer products than it has? What does that cost in accuracy? And why does the first
# layer, with its stride of 4, need a trick before it can take part?
#
# You need chapters [03](03_convolution.ipynb) and [07](07_two_gpus.ipynb) (towers, groups). About one and a half hours with the exercises. All chapters: [README](README.md).

# %%
import matplotlib.pyplot as plt
import numpy as np
from threadpoolctl import threadpool_limits

import tools
from tools import check, show, show_source, timed
from nn import Conv2d, check_layer
from nn.fast.rowwise import RowwiseConv2d
from nn.fast.winograd import POINTS, TILES, WinogradConv2d, fold_kernels, matrices

rng = np.random.default_rng(18)

# %% [markdown]
# ## A picture first
#
# Take $m \times m$ outputs of a correlation with a kernel of $r \times r$. Computed one by one they take $m^2 r^2$ multiplications. Winograd's way takes
# $(m + r - 1)^2$, one for each number that these outputs see. The more outputs one computes together, the fewer multiplications each of them takes. **Expect** less
# than a quarter of the multiplications for 3×3 kernels and tiles of 5×5 outputs.

# %%
share = {r: [(m + r - 1) ** 2 / (m * r) ** 2 for m in range(1, 7)] for r in (3, 5)}
for r, own in share.items():
    print(f"kernel {r}×{r}, tiles of 1 to 6:", " ".join(f"{s:.2f}" for s in own))

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(6, 3))
for r, own in share.items():
    axes.plot(range(1, 7), own, label=f"kernels of {r}×{r}")
axes.set(xlabel="side m of a tile of outputs", ylabel="multiplications / direct ones", ylim=(0, 1.05))
axes.legend()
show(figure, "**Figure 18.1.** The share of the multiplications that is left, by the size of the tile. A tile of one output saves nothing. "
             "Larger kernels save more; each step to a larger tile saves less than the one before.")

# %% [markdown]
# ## The product of two polynomials
#
# Multiply two polynomials $u(z) = u_0 + u_1 z$ and $g(z) = g_0 + g_1 z + g_2 z^2$. Coefficient $k$ of the product is $\sum_i u_i\, g_{k-i}$. That is a convolution of
# the two lists of coefficients, and takes $2 \cdot 3 = 6$ multiplications.
#
# There is a second way. The product has degree 3, and a polynomial of degree 3 is determined by its values at 4 points. At a point $p$ the value of the
# product is $u(p)\, g(p)$: one multiplication. So evaluate both at 4 points, multiply 4 times, and find the coefficients of the polynomial with these values. Evaluating
# and finding are linear maps with fixed numbers in them, such as $u_0 + u_1$ for $p = 1$. If the points are small whole numbers, these maps need
# sums and few multiplications (the project computes them as matrix products all the same). **Expect** the same coefficients.

# %%
u, g = rng.standard_normal(2), rng.standard_normal(3)
points = np.array([0.0, 1.0, -1.0, 2.0])
values = (np.polynomial.polynomial.polyval(points, u)
          * np.polynomial.polynomial.polyval(points, g))        # four products
coefficients = np.linalg.solve(np.vander(points, increasing=True), values)
polynomial_difference = np.abs(coefficients - np.convolve(u, g)).max()
print("by points  ", coefficients)
print("convolution", np.convolve(u, g), f"  largest difference {polynomial_difference:.0e}")

# %% [markdown]
# One of the points may be *infinity*: the value there is the coefficient of the highest power, $u_1 g_2$, which takes one multiplication and no sum at all. In
# general $m$ and $r$ coefficients give $n = m + r - 1$ of the product, with $n$ multiplications instead of $m r$.
#
# ## From polynomials to a correlation
#
# A layer of a net does not multiply polynomials. It computes the correlation $y_i = \sum_k d_{i+k}\, g_k$, which takes $n$ inputs $d$ to $m$ outputs. But the two are
# each other's *adjoints*. For a fixed $g$, multiplying by $g$ is a linear map $T$ from the $m$ numbers $u$ to $n$ numbers:
# $(Tu)_j = \sum_i g_{j-i}\, u_i$. Its transpose takes $n$ numbers to $m$:
#
# $$(T^\mathsf{T} d)_i = \sum_j g_{j-i}\, d_j = \sum_k g_k\, d_{i+k} .$$
#
# That is the correlation. Let $E_k$ ($n$ rows, $k$ columns) evaluate a polynomial of $k$ coefficients at the $n$ points: $(E_k)_{il} = p_i^l$. Then
# $T = E_n^{-1} \operatorname{diag}(E_r g)\, E_m$, so $T^\mathsf{T} = E_m^\mathsf{T} \operatorname{diag}(E_r g)\, E_n^{-\mathsf{T}}$: the same $n$ multiplications, with the
# other two maps transposed and in the other order. Write $A = E_m$, $G = E_r$ and $B = E_n^{-\mathsf{T}}$:
#
# $$y = A^\mathsf{T} \left[ (G g) \odot (B d) \right],$$
#
# where $\odot$ multiplies entry by entry. (A factor of row $i$ may be moved from $B$ to $G$. The project does this, so that $B$, which acts on
# every image, has nothing finer than quarters, exact in binary; ninths and fifteenths are in $G$, which acts on the kernels, once for many images.)
#
# ## F(2, 3) by hand
#
# $F(m, r)$ is the usual name for $m$ outputs of a kernel of $r$. For two outputs of three numbers, with the points 0, 1, −1 and infinity:
#
# $$\begin{aligned}
# q_0 &= (d_0 - d_2)\, g_0 \\
# q_1 &= (d_1 + d_2)\, (g_0 + g_1 + g_2) / 2 \\
# q_2 &= (d_2 - d_1)\, (g_0 - g_1 + g_2) / 2 \\
# q_3 &= (d_3 - d_1)\, g_2
# \end{aligned}$$
#
# and $y_0 = q_0 + q_1 + q_2$, $y_1 = q_1 - q_2 + q_3$. Multiply out $y_0$: the terms with $g_1$ are $d_1 g_1 / 2 + d_2 g_1 / 2 - d_2 g_1 / 2 + d_1 g_1 / 2 = d_1 g_1$, as they should
# be. **Expect** four multiplications to give what six gave.

# %%
def f_2_3(d, g):
    """Two outputs from four inputs d and three weights g, with four multiplications."""
    q0 = (d[0] - d[2]) * g[0]
    q1 = (d[1] + d[2]) * ((g[0] + g[1] + g[2]) / 2)
    q2 = (d[2] - d[1]) * ((g[0] - g[1] + g[2]) / 2)
    q3 = (d[3] - d[1]) * g[2]
    return np.array([q0 + q1 + q2, q1 - q2 + q3])


d = rng.standard_normal(4)
by_hand_difference = np.abs(f_2_3(d, g) - np.correlate(d, g)).max()
print(f"largest difference {by_hand_difference:.0e}")

# %% [markdown]
# The project makes the three matrices for any tile from its list of points. Column $k$ of $A$ and $G$ holds the powers $p^k$. Row $i$ of $B$ holds the coefficients of the
# polynomial that is 0 at all points but $p_i$.

# %%
show_source(matrices)

# %% [markdown]
# The layer uses one tile size for each kernel size (`TILES`). To look at others, we set that table for a moment. **Expect** the lines of $F(2, 3)$ in the three matrices, up to signs
# that stand in both $G$ and $B$.

# %%
def transforms(m, r, real=np.float64):
    """A (n, m), B (n, n), G (n, r): the project's, for tiles of m outputs."""
    kept = dict(TILES)
    try:
        TILES[r] = m
        matrices.cache_clear()
        return matrices(r, real)
    finally:
        TILES.update(kept)
        matrices.cache_clear()


A, B, G = transforms(2, 3)
for name, matrix in (("A", A), ("B", B), ("G", G)):
    print(name, matrix, sep="\n")
matrices_difference = np.abs(A.T @ ((G @ g) * (B @ d)) - np.correlate(d, g)).max()
print(f"largest difference {matrices_difference:.0e}; points {POINTS} and infinity")

# %% [markdown]
# ## Two dimensions
#
# A kernel $W$ of $r \times r$ and a block $x$ of $n \times n$ pixels: do the columns first, then the rows. Each transform acts from both sides,
#
# $$U = G\, W G^\mathsf{T}, \qquad V = B\, x B^\mathsf{T}, \qquad y = A^\mathsf{T} (U \odot V)\, A ,$$
#
# and $U \odot V$ takes $n^2$ multiplications. For $F(2 \times 2, 3 \times 3)$ that is 16 instead of 36. **Expect** the correlation of chapter 03, for every tile size that
# the list of points allows.

# %%
def tile(x, W, m):
    """m×m outputs of the correlation of x (n, n) with W (r, r)."""
    A, B, G = transforms(m, len(W))
    return A.T @ ((G @ W @ G.T) * (B @ x @ B.T)) @ A


tile_differences = {}
for r, largest in ((3, 6), (5, 4)):
    for m in range(1, largest + 1):
        x, W = rng.standard_normal((m + r - 1, m + r - 1)), rng.standard_normal((r, r))
        plain = Conv2d(1, 1, r)
        plain.params = {"W": W[:, :, None, None], "b": np.zeros(1)}
        tile_differences[m, r] = np.abs(
            tile(x, W, m) - plain.forward(x[None, :, :, None])[0][0, :, :, 0]).max()
print(" ".join(f"F({m},{r}) {difference:.0e}" for (m, r), difference in tile_differences.items()))

# %% [markdown]
# ## Three matrix products
#
# A layer has $C$ channels and $K$ kernels, and sums over the channels. The sum may be taken before the last transform, as that is linear:
#
# $$y_k = A^\mathsf{T} M_k\, A, \qquad M_k = \sum_c U_{ck} \odot V_c .$$
#
# At each of the $n^2$ points, $M$ is a product of a matrix $V$ (tiles × channels) with a matrix $U$ (channels × kernels). So a layer consists of three kinds of matrix
# products. The first takes the tiles of the image to points, the second multiplies over the channels, point by point, and the third takes points to
# outputs. Most of the multiplications are in the second (see "Layer by layer"). In the code, `Grid` knows where the tiles are, `blocks` cuts the images into portions that stay in cache,
# `fold` adds the zeros around the maps, and `to_points` and `from_points` are the transforms.

# %%
show_source(WinogradConv2d.forward)

# %% [markdown]
# **Expect** the plain layer's outputs, up to rounding, for maps that the tiles do not fit (11×14 outputs with tiles of 5 and 4).

# %%
layer_differences = {}
for size in (3, 5):
    plain, fast = (kind(6, 4, size, padding=size // 2, groups=2)
                   for kind in (Conv2d, WinogradConv2d))
    plain.params = fast.params = {"W": rng.standard_normal(plain.params["W"].shape),
                                  "b": rng.standard_normal(4)}
    x = rng.standard_normal((2, 11, 14, 6))
    layer_differences[size] = np.abs(plain.forward(x)[0] - fast.forward(x)[0]).max()
    print(f"{size}×{size}, tiles of {TILES[size]}: "
          f"largest difference {layer_differences[size]:.0e}")

# %% [markdown]
# ## Backward is the adjoint
#
# Each line of forward is linear in what it gets, so backward applies the transposes in reverse order. From $y = A^\mathsf{T} M A$ comes $\partial M = A\, \partial y\, A^\mathsf{T}$. The
# products over the channels are Linear layers, one for each point: $\partial V = \partial M\, U^\mathsf{T}$ and $\partial U = V^\mathsf{T}\, \partial M$. From $V = B x B^\mathsf{T}$ comes
# $\partial x = B^\mathsf{T}\, \partial V\, B$, added up where tiles overlap, and from $U = G W G^\mathsf{T}$ comes $\partial W = G^\mathsf{T}\, \partial U\, G$. No formula of chapter 03 is needed again.

# %%
show_source(WinogradConv2d.backward)

# %% [markdown]
# **Expect** finite differences to agree as well as with any layer, and $\langle L x, v \rangle = \langle x, L^\mathsf{T} v \rangle$ for the layer $L$ without its bias (chapter 03, exercise 3).

# %%
gradient_errors = {}
for size, stride in ((3, 1), (5, 1), (11, 4)):
    layer = WinogradConv2d(2, 3, size, stride=stride, padding=1)
    layer.params = {"W": rng.standard_normal(layer.params["W"].shape), "b": rng.standard_normal(3)}
    gradient_errors[size] = check_layer(layer, rng.standard_normal((1, size + 4, size + 3, 2)))
layer.params["b"][:] = 0
x = rng.standard_normal((2, 23, 19, 2))
y, cache = layer.forward(x)
v = rng.standard_normal(y.shape)
sides = np.vdot(y, v), np.vdot(x, layer.backward(v, cache)[0])
print("relative errors against finite differences:",
      " ".join(f"{size}×{size} {error:.0e}" for size, error in gradient_errors.items()))
print(f"two sides {sides[0]:.10f} {sides[1]:.10f}")

# %% [markdown]
# ## What it costs in accuracy
#
# The direct sum adds products of the size of its inputs. The transforms add and subtract numbers of different sizes: at the point 2 the power $2^4$ is 16, at ½ it is 1/16, and what was
# added at one place is subtracted at another. Rounding errors grow with the numbers that cancel. We compute with float32 and compare with float64, 64 channels, for kernels of
# 3×3. **Expect** next to nothing lost at $m \le 2$, where the matrices hold only 0, ±1 and ±½, then growth to more than ten times that, and all of it to stay far below 1e-3. (It is one draw.)

# %%
channels, kernels, count = 64, 8, 60
W = rng.standard_normal((3, 3, channels, kernels))
rounding, direct_rounding = {}, {}
for m in range(1, 7):
    n = m + 2
    x = rng.standard_normal((count, n, n, channels))
    windows = np.lib.stride_tricks.sliding_window_view(
        x, (3, 3), axis=(1, 2))                                             # (tiles, m, m, C, 3, 3)
    exact = np.einsum("tijcrs,rsck->tijk", windows, W, optimize=True)
    single = np.einsum("tijcrs,rsck->tijk", windows.astype(np.float32), W.astype(np.float32),
                       optimize=True)
    A, B, G = transforms(m, 3, np.float32)
    U = (np.kron(G, G) @ W.astype(np.float32).reshape(9, -1)).reshape(n * n, channels, kernels)
    V = np.kron(B, B) @ x.astype(np.float32).reshape(count, n * n, channels)    # (tiles, n², C)
    M = (V.transpose(1, 0, 2) @ U).transpose(1, 0, 2)                           # (tiles, n², K)
    y = (np.kron(A, A).T @ M).reshape(count, m, m, kernels)
    rounding[m] = np.abs(y - exact).max() / np.abs(exact).max()
    direct_rounding[m] = np.abs(single - exact).max() / np.abs(exact).max()
    print(f"tiles of {m}×{m}: {(n / (3 * m))**2:.2f} of the products, "
          f"largest error {rounding[m]:.1e} (direct {direct_rounding[m]:.1e})")

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(6, 3))
axes.semilogy(list(rounding), list(rounding.values()), label="Winograd, float32")
axes.semilogy(list(direct_rounding), list(direct_rounding.values()), label="direct, float32")
axes.set(xlabel="side m of a tile of outputs", ylabel="largest error / largest output")
axes.axvline(TILES[3], color="0.6", lw=1, ls="-", marker="")
axes.text(TILES[3] - 0.07, 1.1e-6, "used here", fontsize=9, color="0.35", ha="right")
axes.legend()
show(figure, "**Figure 18.2.** Rounding errors in float32 against float64, by tile size, for 3×3 kernels and 64 channels. Large tiles lose accuracy.")

# %% [markdown]
# What this does to a training we have not measured. Whoever compares weights with another program sees it, and takes `AlexNet(convolution="direct")`.
#
# ## Layer by layer
#
# What is gained in AlexNet? Count multiplications per image, in one tower, as the layers are tiled: 13 outputs take three tiles of 5, so some of the outputs computed
# are thrown away. conv1 stands there with its stride folded (next section). The transforms come on top: a product with an n×n matrix from either side for each channel of a tile, and with
# $A^\mathsf{T}$ and $A$ for each kernel. **Expect** conv2 to gain most, and all five to need less than half even so.

# %%
# Of one tower: maps, kernels, size, stride, padding, side.
layers = {"conv1": (3, 48, 11, 4, (0, 3), 224), "conv2": (48, 128, 5, 1, 2, 27),
          "conv3": (256, 192, 3, 1, 1, 13), "conv4": (192, 192, 3, 1, 1, 13),
          "conv5": (192, 128, 3, 1, 1, 13)}
gain, with_transforms = {}, {}
for name, (C, K, size, stride, padding, side) in layers.items():
    P = Conv2d(C, K, size, stride, padding).output_shape((side, side, C))[0]
    r = -(-size // stride)
    m = TILES[r]
    n, tiles = m + r - 1, (-(-P // m)) ** 2
    direct, products = P**2 * size**2 * C * K, tiles * n**2 * stride**2 * C * K
    moved = tiles * (2 * n**3 * stride**2 * C + (m * n**2 + m**2 * n) * K)
    gain[name], with_transforms[name] = products / direct, (products + moved) / direct
    print(f"{name}: {direct:11,} → {products:11,} multiplications in the products: "
          f"{gain[name]:.2f}, with the transforms {with_transforms[name]:.2f}")

# %% [markdown]
# The transforms weigh little where there are many kernels and channels, and outweigh the gain where there are few (the small net of chapter 12 has 32). Now the clock, with both
# layers as the net runs them, on one thread; the kernels' transform, once per step, is not counted. **Expect** the time to shrink much less than the multiplications do: for conv2
# clearly, for conv3 hardly on a busy machine. The transforms also move a lot of memory; how much of the time that takes we have not measured apart. (On a machine that was otherwise
# idle, conv2 took 0.24 of the direct layer's time: `nn/fast/winograd.py`.)

# %%
times = {}
for name in ("conv2", "conv3"):
    C, K, size, stride, padding, side = layers[name]
    direct, fast = (kind(C, K, size, stride, padding) for kind in (RowwiseConv2d, WinogradConv2d))
    direct.params = fast.params = {"W": rng.standard_normal((size, size, C, K), np.float32),
                                   "b": np.zeros(K, np.float32)}
    x, U = rng.standard_normal((8, side, side, C), np.float32), fast.kernel_points()
    with threadpool_limits(1):      # one thread: the products alone are compared
        times[name] = timed(lambda: direct.forward(x), lambda: fast.forward(x, U=U), rounds=9)
    print(f"{name}, 8 images forward: direct {1e3 * times[name][0]:.1f} ms, "
          f"Winograd {1e3 * times[name][1]:.1f} ms: {times[name][1] / times[name][0]:.2f}")

# %% [markdown]
# ## Why conv1 must be folded
#
# The gain comes from neighbouring outputs that share inputs in the pattern of a polynomial product: output $i + 1$ sees what output $i$ sees, moved by *one*. With stride 4 it is moved by four,
# and the pattern is gone. One could compute all outputs at stride 1, but 15 of 16 would be thrown away.
#
# The way out is to rewrite the layer. With $i = 4a + b$, the sum over pixels $i$ becomes one over blocks $a$ and places $b$ in a block:
#
# $$y_j = \sum_{i} x_{4j + i}\, w_i = \sum_{b=0}^{3} \sum_{a} x^{(b)}_{j + a}\, w^{(b)}_a, \qquad x^{(b)}_a = x_{4a+b}, \quad w^{(b)}_a = w_{4a+b} .$$
#
# That is a correlation with *stride 1*, of maps with a fourth of the side and, in two dimensions, $4^2 = 16$ times the channels. Kernels of 11 become kernels of
# $\lceil 11/4 \rceil = 3$, with one zero added at the end. So conv1 is a layer of 48 channels and 3×3 kernels.

# %%
show_source(fold_kernels)

# %%
first = WinogradConv2d(3, 48, 11, stride=4, padding=(0, 3))
first.params = {"W": rng.standard_normal((11, 11, 3, 48)), "b": rng.standard_normal(48)}
folded = fold_kernels(first.params["W"], 4)
direct = Conv2d(3, 48, 11, stride=4, padding=(0, 3))
direct.params = first.params
x = rng.standard_normal((1, 64, 64, 3))
first_difference = np.abs(first.forward(x)[0] - direct.forward(x)[0]).max()
print(f"kernels {first.params['W'].shape} → {folded.shape}; "
      f"largest difference from the plain layer {first_difference:.0e}")
print(f"zeros added: {folded.size / first.params['W'].size:.2f} times as many weights")

# %% [markdown]
# ## Exercises
#
# Solutions are folded. `python notebooks/build.py blank` makes the edition without them.
#
# **1.** How many multiplications does *one output* of a layer with one channel and one kernel take on average, if tiles of $m \times m$ outputs are computed together, and kernels have
# $r \times r$ numbers?

# %% tags=["solution"]
def multiplications(m, r):
    ### BEGIN SOLUTION
    return (m + r - 1) ** 2 / m**2
    ### END SOLUTION

# %% tags=["check"]
cases = [(1, 3), (2, 3), (4, 5), (6, 3), (3, 7)]
check(lambda: [multiplications(*case) for case in cases], [9.0, 4.0, 4.0, 64 / 36, 9.0],
      [([(m + r - 1) ** 2 for m, r in cases], "that is a whole tile, of m² outputs"), ([r * r for m, r in cases], "that is the direct way"),
       ([(m + r - 1) / m for m, r in cases], "that is one dimension")])

# %% [markdown]
# **2.** Multiply two polynomials of degree 1 with three multiplications (Karatsuba 1962; the points are 0, 1 and infinity). Return the three coefficients of the product. The check counts the
# multiplications: divisions and powers do not exist for its numbers, sums and differences are free.

# %% tags=["solution"]
def karatsuba(u, g):
    """u, g: lists of two numbers."""
    ### BEGIN SOLUTION
    low, high = u[0] * g[0], u[1] * g[1]
    return [low, (u[0] + u[1]) * (g[0] + g[1]) - low - high, high]
    ### END SOLUTION

# %% tags=["check"]
class Counted:
    """A number that counts its multiplications."""
    count = 0

    def __init__(self, value):
        self.value = value

    def __add__(self, other):
        return Counted(self.value + other.value)

    def __sub__(self, other):
        return Counted(self.value - other.value)

    def __mul__(self, other):
        Counted.count += 1
        return Counted(self.value * other.value)


def count_karatsuba():
    found = []
    for u, g in (([2, 3], [5, 7]), ([-1, 4], [6, 11])):
        Counted.count = 0
        answer = karatsuba(list(map(Counted, u)), list(map(Counted, g)))
        found.append([*(part.value for part in answer), Counted.count])
    return found


check(count_karatsuba, [[10, 29, 21, 3], [-6, 13, 44, 3]],
      [([[10, 29, 21, 4], [-6, 13, 44, 4]], "right, with four multiplications: get the middle one from (u₀ + u₁)(g₀ + g₁)")])

# %% [markdown]
# **3.** The gradient of the kernel in one dimension. Forward is $y = A^\mathsf{T} [(G g) \odot (B d)]$. Given $\partial y$, what is $\partial g$?

# %% tags=["solution"]
def kernel_gradient(dy, d, A, B, G):
    ### BEGIN SOLUTION
    return G.T @ ((A @ dy) * (B @ d))
    ### END SOLUTION

# %% tags=["check"]
cases = []
for m, r in ((2, 3), (4, 3), (3, 5)):
    cases.append((rng.standard_normal(m), rng.standard_normal(m + r - 1), *transforms(m, r)))
check(lambda: np.concatenate([kernel_gradient(*case) for case in cases]), np.concatenate([np.correlate(case[1], case[0]) for case in cases]), tolerance=1e-9)

# %% [markdown]
# **4.** A layer has $C$ channels, kernels of $R \times R$ and stride $t$. After its stride is folded: how many channels, which side has a kernel, and how many zeros does each kernel have for all its
# channels together?

# %% tags=["solution"]
def after_folding(C, R, t):
    """(channels, side of a kernel, zeros)"""
    ### BEGIN SOLUTION
    r = -(-R // t)
    return t**2 * C, r, (r * t) ** 2 * C - R**2 * C
    ### END SOLUTION

# %% tags=["check"]
cases = [(3, 11, 4), (5, 7, 2), (2, 6, 3), (1, 5, 1)]
right = [(fold_kernels(np.ones((R, R, C, 1)), t).shape[2], len(fold_kernels(np.ones((R, R, C, 1)), t)),
          int((fold_kernels(np.ones((R, R, C, 1)), t) == 0).sum())) for C, R, t in cases]
check(lambda: [after_folding(*case) for case in cases], right, [([(t * C, r, z) for (C, R, t), (_, r, z) in zip(cases, right)], "two dimensions: t² places in a block")])

# %% [markdown]
# ## Three questions
#
# To be answered without a computer.
#
# **1.** How many multiplications does $F(2 \times 2, 3 \times 3)$ need for its four outputs, and how many the direct
# way?
#
# <details><summary>Answer</summary>
#
# 16 against 36: in one dimension 4 against 6, and the square of it in two.
#
# </details>
#
# **2.** Why does none of this help a fully connected layer?
#
# <details><summary>Answer</summary>
#
# Its outputs share no kernel that moves: each weight belongs to one pair of numbers, and is used once per image. There
# is no product of polynomials in it.
#
# </details>
#
# **3.** A map has 13 outputs a side, and the kernels are 3×3. Which of the tiles of 4, 5 and 6 takes the fewest
# multiplications?
#
# <details><summary>Answer</summary>
#
# Four tiles of 4 take (4·6)² = 576, three of 5 take (3·7)² = 441, three of 6 take (3·8)² = 576 (they cover 18 outputs,
# of which five are thrown away): 5. In float32 the tile of 6 rounds a little worse as well.
#
# </details>
#
# ## Summary
#
# A convolution is a product of polynomials, and such a product needs only as many multiplications as it has coefficients. The adjoint of that product is a correlation, which a layer
# computes, with the same number of multiplications. In two dimensions and over many channels it becomes three kinds of matrix products, and backward is the transposes in reverse. Larger
# tiles save more multiplications, but round worse and may not fit the map: on 13 outputs, tiles of 5 take fewer than tiles of 6. A stride must be folded into the channels first, as only outputs that are one pixel apart share
# their inputs in the right pattern.
#
# This is the last chapter. [The paper's margin](margin.md) goes through the paper once more, number by number; all chapters: [README](README.md).
#
# ## What this chapter claimed
#
# If this cell runs, the text is true on your machine.

# %% tags=["claims"]
assert share[3][0] == share[5][0] == 1 and share[3][4] < 0.25 and all(a < b for a, b in zip(share[5], share[3]) if b < 1)
assert max(polynomial_difference, by_hand_difference, matrices_difference, first_difference) < 1e-9
assert max(tile_differences.values()) < 1e-9 and max(layer_differences.values()) < 1e-9
assert max(gradient_errors.values()) < 1e-6 and abs(sides[0] - sides[1]) < 1e-9
assert rounding[6] > 10 * rounding[2] and max(rounding.values()) < 1e-3 and max(direct_rounding.values()) < rounding[5]
assert all(rounding[m] < 4 * direct_rounding[m] and set(np.abs(np.concatenate([part.ravel() for part in transforms(m, 3)]))) <= {0, 0.5, 1} for m in (1, 2))
assert all((4 * matrices(r, np.float64)[1] % 1 == 0).all() for r in (3, 5)) and max(with_transforms.values()) < 0.5
assert {m: (-(-13 // m) * (m + 2)) ** 2 for m in (4, 5, 6)} == {4: 576, 5: 441, 6: 576}
assert min(gain, key=gain.get) == "conv2" and max(gain.values()) < 0.5
assert all(gain[name] < fast / direct for name, (direct, fast) in times.items()) and times["conv2"][1] < 1.5 * times["conv2"][0]
assert folded.shape == (3, 3, 48, 48) and 665_784_864 == sum(P * P * K * R * R * C for P, K, R, C in (
    (55, 96, 11, 3), (27, 256, 5, 48), (13, 384, 3, 256), (13, 384, 3, 192), (13, 256, 3, 192)))
print("All of it holds.")
