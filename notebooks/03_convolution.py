# %% [markdown]
# # 03 Convolution
#
# **What the paper says.** Five of the eight layers are convolutions (§ 3.5). The first slides 96 kernels of
# 11×11×3 numbers over a 224×224×3 image, four pixels at a time; the second 256 kernels of 5×5×48; the others kernels of
# 3×3. The second, fourth and fifth see only those maps that lie on their own GPU. How a convolution or its
# gradient is computed quickly the paper leaves to the authors' published code.
#
# **The question.** The first layer alone takes 105,415,200 multiplications and additions for each image. Python does a few
# million a second. How does a NumPy program do it in a few milliseconds, gradient included? And why does a 224-pixel
# image give 55 positions, when the arithmetic says 54?
#
# You need chapter [02](02_a_layer_and_its_gradient.ipynb). About two hours with the exercises.
# All chapters: [README](README.md).

# %%
import matplotlib.pyplot as plt
import numpy as np

import tools
from tools import BLACK, BLUE, ORANGE, check, photo, show, show_source, timed
from nn import Conv2d, check_layer
from nn.conv import col2im, im2col
from nn.fast.cpu import CpuForms
from nn.fast.rowwise import correlate, dilate, turn
from nn.run.workers import Workers

rng = np.random.default_rng(3)

# %%
image, credit = photo("chelsea", 160)
layer = Conv2d(3, 3, 5, padding=2)
W = np.zeros((5, 5, 3, 3))
across = np.array([-1, -2, 0, 2, 1.0])
bump = np.array([1, 4, 6, 4, 1.0])
W[:, :, :, 0] = np.outer(bump, across)[:, :, None] / 96         # changes from left to right
W[:, :, :, 1] = np.outer(across, bump)[:, :, None] / 96         # changes from top to bottom
W[:, :, 0, 2], W[:, :, 2, 2] = (np.outer(bump, bump) / 256,     # red minus blue
                                -np.outer(bump, bump) / 256)
layer.params = {"W": W, "b": np.zeros(3)}
maps = layer.forward(image[None])[0][0]                         # (160, 160, 3)

# %% tags=["figure"]
figure, panels = plt.subplots(1, 4, figsize=(7.2, 2.5))
figure.get_layout_engine().set(h_pad=0.12)
panels[0].imshow(image)
panels[0].set_title("image, 160×160×3")
for axes, k, name in zip(panels[1:], range(3), ("left to right", "top to bottom", "red − blue")):
    inner = maps[2:-2, 2:-2, k]                          # what lies at least 2 pixels inside sees no padding
    limit = np.abs(inner).max()
    picture = axes.imshow(inner, vmin=-limit, vmax=limit)
    axes.set_title(name)
    figure.colorbar(picture, ax=axes, orientation="horizontal", shrink=0.85, pad=0.03, ticks=[-limit, 0, limit],
                    format="%.1f")
for axes in panels:
    axes.axis("off")
show(figure, f"**Figure 3.1.** Three kernels of 5×5×3 and the maps they make of a photograph: each pixel of a map says how "
             f"well what lies around it fits the kernel; grey is 0, white positive, black negative. The numbers of these "
             f"kernels were chosen by hand; AlexNet learns those of its 96. The maps' borders are left out: the padding's zeros would make a bright frame. {credit}")

# %% [markdown]
# ## The formula
#
# The input $x$ has the shape $(N, H, W, C)$: $N$ images of height $H$, width $W$, with $C$ numbers at each pixel
# (*channels* or *maps*). There are $K$ kernels $W$, each of $R$ rows, $S$ columns and $C$ channels; together
# $(R, S, C, K)$. Each kernel is laid on the image at many positions; at position $(p, q)$ all numbers that lie on each
# other are multiplied and the products added up, with a bias $b_k$:
#
# $$y_{npqk} = b_k + \sum_{r=0}^{R-1} \sum_{s=0}^{S-1} \sum_{c=0}^{C-1} x_{n,\;pt+r,\;qt+s,\;c}\; W_{rsck}.$$
#
# The *stride* $t$ is how far the kernel moves from one position to the next. If the image gets a border of zeros
# first, that is *padding*. The result has the shape $(N, P, Q, K)$. (Mathematicians would call this a correlation,
# since the kernel is not turned around. We shall meet the turning in the backward pass.)
#
# Seven indices, so seven loops:

# %%
def convolution(x, W, b, stride=1):
    N, height, width, C = x.shape
    R, S, _, K = W.shape
    P, Q = (height - R) // stride + 1, (width - S) // stride + 1
    y = np.zeros((N, P, Q, K))
    for n in range(N):
        for p in range(P):
            for q in range(Q):
                for k in range(K):
                    y[n, p, q, k] = b[k]
                    for r in range(R):
                        for s in range(S):
                            for c in range(C):
                                y[n, p, q, k] += (x[n, p * stride + r, q * stride + s, c]
                                                  * W[r, s, c, k])
    return y

# %% [markdown]
# **Expect** the same as the project's `Conv2d`, up to rounding.

# %%
layer = Conv2d(3, 4, size=3, stride=2)
layer.params = {"W": rng.standard_normal((3, 3, 3, 4)), "b": rng.standard_normal(4)}
x = rng.standard_normal((2, 9, 11, 3))
y, cache = layer.forward(x)
loops_difference = np.abs(y - convolution(x, **layer.params, stride=2)).max()
print(f"x {x.shape} → y {y.shape}; largest difference {loops_difference:.0e}")

# %% [markdown]
# ## A matrix product
#
# Look at one position $(p, q)$ of one image. What the kernels see there is a block of $R \cdot S \cdot C$ numbers, the same
# block for all $K$ kernels. Write it as one row. A kernel, written out in the same order, is one column; all of them
# are the matrix `W.reshape(R * S * C, K)`. Row times matrix gives the $K$ outputs of that position. So stack the rows of all
# positions:
#
# $$\underbrace{Y}_{N P Q \,\times\, K} = \underbrace{\text{columns}}_{N P Q \,\times\, R S C}\;\cdot\;\underbrace{W}_{R S C \,\times\, K}.$$
#
# Making that matrix is called *im2col*, image to columns (the name comes from programs in which it lies on its side).

# %%
small = np.arange(16.0).reshape(4, 4)
windows = np.lib.stride_tricks.sliding_window_view(small, (2, 2))           # (3, 3, 2, 2)
columns = windows.reshape(9, 4)
print(columns)

# %% tags=["figure"]
figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.4), width_ratios=(1, 1))
for axes, numbers in ((left, small), (right, columns)):
    axes.imshow(numbers, vmin=-12, vmax=16, aspect="auto" if axes is right else "equal")
    for (i, j), number in np.ndenumerate(numbers):
        axes.text(j, i, f"{number:.0f}", ha="center", va="center")
left.set(title="image, 4×4", xticks=range(4), yticks=range(4), xlabel="column", ylabel="row")
right.set(title="columns, 9×4", xticks=range(4), xticklabels=["(0,0)", "(0,1)", "(1,0)", "(1,1)"], yticks=range(9),
          yticklabels=[f"({p},{q})" for p in range(3) for q in range(3)], xlabel="place in the kernel (r, s)",
          ylabel="position (p, q)")
for axes, corner, width, height in ((left, (0.53, 0.53), 1.94, 1.94), (right, (-0.47, 3.53), 3.94, 0.94)):
    axes.add_patch(plt.Rectangle(corner, width, height, fill=False, ec=ORANGE, lw=3))
show(figure, "**Figure 3.2.** im2col for a kernel of 2×2 and stride 1. The framed block of the image, position (1, 1), is the "
             "framed row of the matrix. The number 5 stands in four rows: four positions see it.")

# %% [markdown]
# In NumPy the whole layer is now a view, a copy and a product:

# %%
def convolution_as_product(x, W, b, stride=1):
    R, S, C, K = W.shape
    view = np.lib.stride_tricks.sliding_window_view(
        x, (R, S), axis=(1, 2))[:, ::stride, ::stride]                          # (N, P, Q, C, R, S)
    N, P, Q = view.shape[:3]
    columns = view.transpose(0, 1, 2, 4, 5, 3).reshape(N * P * Q, R * S * C)    # the copy
    return (columns @ W.reshape(R * S * C, K) + b).reshape(N, P, Q, K)


product_difference = np.abs(y - convolution_as_product(x, **layer.params, stride=2)).max()
print(f"largest difference {product_difference:.0e}")

# %% [markdown]
# How much does it gain? **Expect** a factor of several hundred, even on a piece as small as this: one
# image of 16×16×8, and 16 kernels of 3×3. (The machine that ran this notebook; medians of calls that took turns.)

# %%
layer = Conv2d(8, 16, size=3)
layer.params = {"W": rng.standard_normal((3, 3, 8, 16)).astype(np.float32),
                "b": np.zeros(16, np.float32)}
x = rng.standard_normal((1, 16, 16, 8), np.float32)
fast = CpuForms(Workers(1), winograd=False).form(layer)         # see "What the columns cost"
seconds = dict(zip(("seven loops", "im2col, as above", "nn.Conv2d", "its fast form"),
                   timed(lambda: convolution(x, **layer.params),
                         lambda: convolution_as_product(x, **layer.params),
                         lambda: layer.forward(x), lambda: fast.forward(x), rounds=3)))
work = 14 * 14 * 16 * 3 * 3 * 8         # multiply-adds: positions × kernels × numbers in a kernel
for name, time in seconds.items():
    print(f"{name:20} {1e3 * time:9.3f} ms   "
          f"{work / time / 1e6:9,.1f} million multiply-adds a second")
print("At the loops' rate, conv1 of one AlexNet image: "
      f"{105_415_200 / work * seconds['seven loops']:.0f} s")

# %% [markdown]
# ## What the columns cost
#
# A pixel stands in the rows of all positions that see it. Along one side these are at most $\lceil R / t \rceil$ positions, so a
# pixel stands in at most $\lceil R / t \rceil \lceil S / t \rceil$ rows: 9 for conv1, 25 for conv2. Pixels at the border are
# seen less often. The average over the image is the size of the columns divided by the size of the image, about $R \cdot S / t^2$.
# **Expect** an average of 7.3 for conv1 and of 25 for conv2. (With conv2's padding, positions at the border read some zeros instead of
# pixels.) For a batch of 128 conv2's columns in float32 take nearly a gigabyte, which has to be written to memory and read again.

# %%
for name, (side, positions, size, channels) in {"conv1": (224, 55, 11, 3),
                                                "conv2": (27, 27, 5, 96)}.items():
    numbers, unrolled = side**2 * channels, positions**2 * size**2 * channels
    print(f"{name}: {numbers:9,} numbers in an image, "
          f"{unrolled:9,} in its columns ({unrolled / numbers:4.1f} times); "
          f"128 images: {128 * 4 * unrolled / 1e9:.2f} GB")
seen = np.zeros((1, 227, 227, 1))                   # conv1's image with its three zeros
col2im(np.ones((55 * 55, 11 * 11)), seen, 11, 4)    # adds 1 to a pixel for every row it stands in
print(f"conv1: a pixel stands in {seen.min():.0f} to {seen.max():.0f} rows, "
      f"{seen[:, :224, :224].mean():.2f} on average")

# %% [markdown]
# The paper's whole graphics card had 3 GB. This project does two things about it. The net sends a few images at a time
# through its convolutions. And the *fast form* of the layer, which a network runs on a CPU, unrolls an image along its rows
# only, where the stride is 1. What row $r$ of the kernel sees at all positions is then one block of memory, and the
# product is a sum of $R$ products,
#
# $$Y = \sum_{r=0}^{R-1} \text{columns}_r \cdot W_r ,$$
#
# with $R$ times less to copy (`nn/fast/rowwise.py`). It gives the same numbers, up to rounding. Here is the plain form:

# %%
show_source(im2col)
show_source(Conv2d.forward)

# %% [markdown]
# ## Backward: bias and weights
#
# As in chapter 02: in which outputs does a number occur, and with what factor?
#
# **The bias $b_k$** occurs in every output of map $k$, with factor 1:
# $\partial b_k = \sum_{n,p,q} \partial y_{npqk}$.
#
# **The weight $W_{rsck}$** occurs in every output of map $k$, each time with the pixel that it lay on:
#
# $$\partial W_{rsck} = \sum_{n,p,q} x_{n,\;pt+r,\;qt+s,\;c}\;\partial y_{npqk}.$$
#
# As matrices: $Y = \text{columns} \cdot W$ is a Linear layer, whose gradient we know,
# $\partial W = \text{columns}^\mathsf{T}\,\partial Y$.
#
# ## Backward: the input
#
# **The pixel $x_{nijc}$** occurs in all outputs whose window covers it. Position $(p, q)$ covers it at the kernel's
# place $(r, s)$ when $pt + r = i$ and $qt + s = j$. Adding up over all of these, and over all kernels:
#
# $$\partial x_{nijc} = \sum_k \;\sum_{\substack{p,\,r:\; pt + r = i}}\; \sum_{\substack{q,\,s:\; qt + s = j}} \partial y_{npqk}\,W_{rsck}. \qquad (1)$$
#
# The slow way needs no such thought. Every product that forward adds gives a contribution to each of its factors (chapter
# 02), so backward is the same seven loops with other lines inside:

# %%
def convolution_backward(dy, x, W, stride=1):
    dx, dW = np.zeros_like(x), np.zeros_like(W)
    for n, p, q, k in np.ndindex(dy.shape):
        for r, s, c in np.ndindex(W.shape[:3]):
            dx[n, p * stride + r, q * stride + s, c] += dy[n, p, q, k] * W[r, s, c, k]
            dW[r, s, c, k] += dy[n, p, q, k] * x[n, p * stride + r, q * stride + s, c]
    return dx, dW, dy.sum((0, 1, 2))

# %% [markdown]

# %% [markdown]
# **Expect** agreement up to rounding for strides 1, 2 and 3. (At 2 and 3 the sides of 8 and 7 pixels do not always fit: a row
# or column is left over that no window sees. Its gradient is 0.) We compare with the project's layer.

# %%
backward_difference = 0
for stride in (1, 2, 3):
    layer = Conv2d(2, 3, size=3, stride=stride)
    layer.params = {"W": rng.standard_normal((3, 3, 2, 3)), "b": rng.standard_normal(3)}
    x = rng.standard_normal((2, 8, 7, 2))
    y, cache = layer.forward(x)
    dy = rng.standard_normal(y.shape)
    dx, grads = layer.backward(dy, cache)
    slow = convolution_backward(dy, x, layer.params["W"], stride)
    difference = max(np.abs(a - b).max() for a, b in zip((dx, grads["W"], grads["b"]), slow))
    backward_difference = max(backward_difference, difference)
    print(f"stride {stride}: largest difference {difference:.0e}; "
          f"finite differences agree to {check_layer(layer, x):.0e}")

# %% [markdown]
# ## Two loops: col2im
#
# The matrices give (1) in two steps. The first is the gradient of the columns, as in a Linear layer:
# $\partial\,\text{columns} = \partial Y \cdot W^\mathsf{T}$. In the second step every number of the columns gives its gradient back to
# the pixel that it was copied from. A pixel that was copied many times adds them up. This step is called **col2im**.
#
# Fix one place $(r, s)$ of the kernel. The pixels that lay under it are rows $r, r + t, r + 2t, \dots$ and columns
# $s, s + t, \dots$ of $x$: one slice. No pixel stands twice in that slice, so `+=` on it is safe. Two loops, over $r$ and $s$,
# are enough.

# %%
def backward_by_slices(dy, x, W, stride):
    (N, P, Q, K), (R, S, C, _) = dy.shape, W.shape
    dcolumns = (dy.reshape(-1, K) @ W.reshape(-1, K).T).reshape(N, P, Q, R, S, C)
    dx = np.zeros_like(x)
    for r in range(R):
        for s in range(S):
            rows = slice(r, r + stride * (P - 1) + 1, stride)
            places = slice(s, s + stride * (Q - 1) + 1, stride)
            dx[:, rows, places] += dcolumns[:, :, :, r, s]
    return dx


slices_difference = 0
for stride in (1, 2, 3):
    x, W = rng.standard_normal((2, 8, 7, 2)), rng.standard_normal((3, 2, 2, 3))
    dy = rng.standard_normal(convolution(x, W, np.zeros(3), stride).shape)
    slices_difference = max(slices_difference,
                            np.abs(backward_by_slices(dy, x, W, stride)
                                   - convolution_backward(dy, x, W, stride)[0]).max())
print(f"largest difference from the seven loops {slices_difference:.0e}")

# %% [markdown]
# The project's plain layer is this, with padding and groups:

# %%
show_source(col2im)
show_source(Conv2d.backward)

# %% [markdown]
# ## The gradient of a convolution is a convolution
#
# Formula (1) can be written in another way, which needs no col2im. Take **stride 1** first. Then $p = i - r$ and $q = j - s$ are determined, and
#
# $$\partial x_{nijc} = \sum_k \sum_{r,s} \partial y_{n,\;i-r,\;j-s,\;k}\;W_{rsck},$$
#
# where $\partial y$ counts as 0 outside its map. Only the minus signs keep this from being a convolution as we
# know it. Count the kernel's places from the other end: $r = R - 1 - r'$ and $s = S - 1 - s'$, so that
# $i - r = i + r' - (R-1)$. With $\partial y$ padded by $R - 1$ zeros above and left (call it $\widehat{\partial y}$,
# whose row $i$ is row $i - (R - 1)$ of $\partial y$), and with zeros below and right until the formula has a row for each of
# the $H$ rows of $x$ ($R - 1$ of them here),
#
# $$\partial x_{nijc} = \sum_k \sum_{r',s'} \widehat{\partial y}_{n,\;i+r',\;j+s',\;k}\;\, W_{R-1-r',\;S-1-s',\;c,\;k}. \qquad (2)$$
#
# This is the formula of the forward pass. The gradient of a convolution is a convolution: of $\partial y$, with the
# kernels *turned by 180°*, and with $C$ and $K$ exchanged.
#
# **Stride $t$.** Now only every $t$-th offset gives a position: $p = (i - r)/t$ must be whole. Put $t - 1$ zeros between the
# rows of $\partial y$ and between its columns. In this spread array, position $p$ lies in row $pt$, and rows
# that are no multiple of $t$ are zero. Reading it at $i - r$ gives $\partial y_p$ where $pt = i - r$, and 0
# otherwise: which is just the condition in (1). So (2) holds for every stride, with $\partial y$ spread out first. The stride may leave
# $(H - R) \bmod t$ rows of $x$ that no window sees. Below, $\widehat{\partial y}$ then needs $R - 1 + (H - R) \bmod t$ zeros: for
# $H = 8$, $R = 3$, $t = 2$ three of them. With only $R - 1 = 2$ zeros, (2) would give 7 rows of $\partial x$ instead of 8. `dilate` gets the height as
# an argument for this reason.
# (Padding in the forward pass: $x$ then means the padded image. Its border is cut off at the end, or, what is the
# same, never computed: $R - 1 - \text{padding}$ zeros around $\partial y$ instead of $R - 1$.)
#
# The fast form on a CPU computes $\partial x$ so, with three functions of `nn/fast/rowwise.py`: `dilate` spreads $\partial y$ out,
# `turn` turns the kernels, `correlate` is the convolution (all of them with the rows of a map first, then the images).

# %%
show_source(dilate)
show_source(turn)

# %%
leftover = dilate(np.ones((1, 3, 3, 1)), 8 + 2, 8 + 2,      # H = 8, R = 3, t = 2: P = 3
                  before=2, stride=2)[:, 0, :, 0]
print(f"∂y of {leftover.sum():.0f} numbers on 10×10: "
      f"{np.flatnonzero(leftover[:, 2])[-1]} is its last row, "
      f"{9 - np.flatnonzero(leftover[:, 2])[-1]} zeros below")
dy_small = np.arange(1.0, 5).reshape(1, 2, 2, 1)
spread = dilate(dy_small, 7, 7,                             # for x of 5×5, kernels of 3×3, stride 2
                before=2, stride=2)[:, 0, :, 0]
kernel = np.arange(1.0, 10).reshape(3, 3, 1, 1)
turned = turn(kernel, groups=1)[..., 0, 0]
dx_small = correlate(spread[:, None, :, None], turn(kernel, 1), 1, 1)[:, 0, :, 0]
print(dx_small)

# %% tags=["figure"]
figure, panels = plt.subplots(1, 4, figsize=(7.2, 2.4), width_ratios=(2, 7, 3, 5))
for axes, numbers, name in zip(panels, (dy_small[0, :, :, 0], spread, turned, dx_small),
                               ("∂y, 2×2", "spread and padded, 7×7", "kernel, turned", "∂x, 5×5")):
    axes.imshow(numbers, vmin=-numbers.max(), vmax=1.6 * numbers.max())
    for (i, j), number in np.ndenumerate(numbers):
        axes.text(j, i, f"{number:.0f}", ha="center", va="center", fontsize=8, color="0.75" if number == 0 else BLACK)
    axes.set(title=name, xticks=[], yticks=[])
    axes.title.set_fontsize(9)
panels[1].add_patch(plt.Rectangle((1.53, 1.53), 2.94, 2.94, fill=False, ec=ORANGE, lw=3))
panels[3].add_patch(plt.Rectangle((1.53, 1.53), 0.94, 0.94, fill=False, ec=ORANGE, lw=3))
show(figure, "**Figure 3.3.** The gradient of the input for a 5×5 image, a 3×3 kernel (1, 2, 3 / 4, 5, 6 / 7, 8, 9) and stride "
             "2. ∂y is spread out by the stride and padded; the turned kernel slides over it with stride 1. The framed "
             "window gives the framed pixel: 1·9 + 2·7 + 3·3 + 4·1 = 36. All four windows of the forward pass cover it.")

# %% [markdown]
# Which form is faster? For stride 1 the turned form saves col2im. For a larger stride most of what it multiplies are zeros that
# the spreading put in. **Expect** the two loops to be at least four times as fast for the shape of conv1, where about fifteen of sixteen numbers are
# such zeros.

# %%
def input_gradient(dy, x, W, stride, spread_out=True):
    height, width = (length + len(W) - 1 for length in x.shape[1:3])
    field = dilate(dy, height, width, len(W) - 1, stride if spread_out else 1)
    return correlate(field, turn(W, 1), 1, 1).transpose(1, 0, 2, 3)


x, W = (rng.standard_normal((1, 227, 227, 3), np.float32),
        rng.standard_normal((11, 11, 3, 96), np.float32))
dy = rng.standard_normal((1, 55, 55, 96), np.float32)
conv1_difference = np.abs(backward_by_slices(dy, x, W, 4) - input_gradient(dy, x, W, 4)).max()
by_slices, turned_time = timed(lambda: backward_by_slices(dy, x, W, 4),
                               lambda: input_gradient(dy, x, W, 4), rounds=3)
print(f"∂x of conv1: two loops {1e3 * by_slices:.0f} ms, spread out {1e3 * turned_time:.0f} ms: "
      f"{turned_time / by_slices:.0f} times as long")

# %% [markdown]
# AlexNet never needs this gradient: below conv1 there are only the images, so conv1 is built with `first=True` and returns no ∂x. That
# answers the question at the top. **Expect** forward and backward of conv1 to take milliseconds each, and the loops' rate above to be
# thousands of times slower.

# %%
conv1 = CpuForms(Workers(1), winograd=False).form(
    Conv2d(3, 96, 11, stride=4, padding=(0, 3), first=True))
conv1.params = {"W": W, "b": np.zeros(96, np.float32)}
x = x[:, :224, :224]
kept = conv1.forward(x)[1]
conv1_forward, conv1_backward = timed(lambda: conv1.forward(x), lambda: conv1.backward(dy, kept))
by_loops = 105_415_200 / work * seconds["seven loops"]
print(f"conv1, one image: forward {1e3 * conv1_forward:.1f} ms, "
      f"backward {1e3 * conv1_backward:.1f} ms; seven loops would take {by_loops:.0f} s forward")

# %% [markdown]
# A published NumPy convolution has a backward pass that leaves out the spreading. **Expect** it to pass every test at
# stride 1, and to be altogether wrong at stride 2. The lesson is for your own tests: try strides, paddings and shapes that do
# not fit.

# %%
error_without_spreading = {}
for stride in (1, 2):
    x, W = rng.standard_normal((1, 7, 7, 2)), rng.standard_normal((3, 3, 2, 3))
    dy = rng.standard_normal(convolution(x, W, np.zeros(3), stride).shape)
    right, wrong = (input_gradient(dy, x, W, stride, spread_out) for spread_out in (True, False))
    error_without_spreading[stride] = np.linalg.norm(wrong - right) / np.linalg.norm(right)
    print(f"stride {stride}: without spreading, {error_without_spreading[stride]:.0%} wrong")

# %% [markdown]
# ## 224 or 227
#
# How many positions has a kernel of $R$ on a side of $H$ pixels, with $a$ zeros before it, $e$ after it and stride $t$? The
# first begins at 0, the last must end within $H + a + e$:
#
# $$P = \left\lfloor \frac{H + a + e - R}{t} \right\rfloor + 1 .$$
#
# **Expect** trouble with the paper's numbers: $H = 224$, $R = 11$, $t = 4$. Its Figure 2 shows 55.

# %%
def positions(H, before, after):
    return Conv2d(3, 96, 11, stride=4, padding=(before, after)).output_shape((H, H, 3))[0]


for H, before, after, who in ((224, 0, 0, "the paper, as printed"),
                              (227, 0, 0, "Caffe: another image size"),
                              (224, 0, 3, "the authors' 2012 code: the last window may stick out"),
                              (224, 2, 2, "torchvision")):
    print(f"{H} pixels, zeros {before} + {after}: {positions(H, before, after)} positions   {who}")

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(7.2, 2.3))
for number, start in enumerate((204, 208, 212, 216)):
    beyond = start + 11 > 224
    axes.barh(number, 11, left=start, height=0.6, fc="0.85" if not beyond else "white", ec=ORANGE if beyond else BLUE,
              ls="--" if beyond else "-", lw=2)
    axes.text(start + 5.5, number, f"position {start // 4}", ha="center", va="center", fontsize=9)
axes.axvline(224, color=BLACK, lw=2, marker="", ls="-")
axes.text(224.3, -0.95, "end of the image", fontsize=9, va="center")
axes.set(xlabel="pixel (the image has 0 … 223)", yticks=[], xlim=(203, 229.5), ylim=(-1.4, 3.6))
axes.spines["left"].set_visible(False)
show(figure, "**Figure 3.4.** The last windows of the first layer along one side. The 54th (position 53) ends at pixel 222; a 55th "
             "(position 54, dashed) would need three pixels that are not there. The 2012 code reads zeros in their "
             "place.")

# %% [markdown]
# So 224 without padding gives 54, and the paper's 55 needs three pixels more on one side. The authors' own code takes
# them as zeros, on the right and at the bottom only, which is this project's default: `padding=(0, 3)`. In the number of
# neurons the paper slips as well: it gives 253,440 for the first layer, where $55 \cdot 55 \cdot 96 = 290{,}400$.
#
# ## Groups
#
# "Sees only the maps on its own GPU" means: of $C$ input maps, kernels of the first half see the first $C/2$, those of
# the second half the others. In a net on one device this is called a convolution in two *groups*. The kernels get
# half as deep, and so do parameters and work. **Expect** for the second layer 307,200 weights instead of 614,400; and the
# grouped layer to equal two separate layers, side by side.

# %%
grouped, full = Conv2d(96, 256, 5, padding=2, groups=2), Conv2d(96, 256, 5, padding=2)
print(f"weights: {grouped.params['W'].size:,} in two groups, {full.params['W'].size:,} in one")

both = Conv2d(4, 6, 3, padding=1, groups=2)
both.params = {"W": rng.standard_normal((3, 3, 2, 6)), "b": rng.standard_normal(6)}
x = rng.standard_normal((2, 5, 7, 4))
halves = []
for g in range(2):
    one = Conv2d(2, 3, 3, padding=1)
    one.params = {name: p[..., 3 * g:3 * g + 3] for name, p in both.params.items()}
    halves.append(one.forward(x[..., 2 * g:2 * g + 2])[0])
groups_difference = np.abs(both.forward(x)[0] - np.concatenate(halves, axis=3)).max()
print(f"two layers side by side: largest difference {groups_difference:.0e}")

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(4.4, 2.6))
dense = np.zeros((4 * 9, 6))                            # rows: channel by channel, the 9 numbers of its 3×3 window
for g in range(2):
    dense[18 * g:18 * g + 18, 3 * g:3 * g + 3] = both.params["W"].transpose(2, 0, 1, 3).reshape(18, 6)[:, 3 * g:3 * g + 3]
limit = np.abs(dense).max()
picture = axes.imshow(dense, aspect="auto", vmin=-limit, vmax=limit)
axes.set(xlabel="kernel", ylabel="channel it sees", xticks=range(6), yticks=[4, 13, 22, 31], yticklabels=range(4))
axes.axhline(17.5, color=ORANGE, lw=2, marker="", ls="-")
axes.axvline(2.5, color=ORANGE, lw=2, marker="", ls="-")
figure.colorbar(picture, label="weight")
show(figure, "**Figure 3.5.** The weights of a convolution in two groups, written as one matrix (a column per kernel, nine rows "
             "per channel): two blocks, and zeros (plain grey) where a kernel does not see a channel.")

# %% [markdown]
# ## Exercises
#
# Solutions are folded. `python notebooks/build.py blank` makes the edition without them.
#
# **1.** The number of positions $P$ for a side $H$, kernel $R$, zeros `before` and `after`, and stride $t$.

# %% tags=["solution"]
def side(H, R, before, after, t):
    ### BEGIN SOLUTION
    return (H + before + after - R) // t + 1
    ### END SOLUTION

# %% tags=["check"]
cases = [(224, 11, 0, 3, 4), (224, 11, 0, 0, 4), (27, 5, 2, 2, 1), (13, 3, 1, 1, 1), (10, 3, 0, 0, 3), (3, 3, 0, 0, 2)]
check(lambda: [side(*case) for case in cases], [55, 54, 27, 13, 3, 1],
      [([54, 53, 26, 12, 2, 0], "fences and posts: the first position counts, too"),
       ([54, 54, 23, 11, 3, 1], "the zeros around the image count, too"),
       ([55, 55, 27, 13, 4, 1], "rounded up: a window must end within the image")])

# %% [markdown]
# **2.** Multiply-adds of one image in conv1 to conv5, from positions × kernels × numbers in a kernel (Figure 2 of
# the paper; conv2, conv4 and conv5 in two groups). How many are they together?

# %% tags=["solution"]
multiply_adds = ...
### BEGIN SOLUTION
multiply_adds = sum(P * P * K * R * R * C for P, K, R, C in (
    (55, 96, 11, 3), (27, 256, 5, 48), (13, 384, 3, 256), (13, 384, 3, 192), (13, 256, 3, 192)))
### END SOLUTION

# %% tags=["check"]
check(lambda: multiply_adds, 665_784_864,
      [(1_076_634_144, "conv2, conv4 and conv5 see half the maps: 48, 192 and 192"),
       (661_986_432, "conv1 has 55 positions along each side, not 54")], tolerance=1e-12)

# %% [markdown]
# **3.** A kernel of 1×1 sees one pixel. Write this convolution (stride 1) with a single `@`.

# %% tags=["solution"]
def convolution_1x1(x, W, b):
    """x (N, H, W, C), W (1, 1, C, K), b (K,) → (N, H, W, K)."""
    ### BEGIN SOLUTION
    return x @ W[0, 0] + b          # a Linear layer at every pixel
    ### END SOLUTION

# %% tags=["check"]
x, W, b = rng.standard_normal((2, 4, 5, 3)), rng.standard_normal((1, 1, 3, 6)), rng.standard_normal(6)
other = rng.standard_normal((1, 2, 3, 5)), rng.standard_normal((1, 1, 5, 4)), rng.standard_normal(4)
check(lambda: np.concatenate([convolution_1x1(*case).ravel() for case in ((x, W, b), other)]),
      np.concatenate([convolution(*case).ravel() for case in ((x, W, b), other)]),
      [(np.concatenate([(x @ W[0, 0]).ravel(), (other[0] @ other[1][0, 0]).ravel()]), "the bias is missing")])

# %% [markdown]
# **4.** The gradient of the weights with two loops instead of seven: over the places $(r, s)$ of the kernel. For each, all
# pixels that it lay on are one slice of `x`.

# %% tags=["solution"]
def weight_gradient(dy, x, R, stride):
    """dy (N, P, Q, K), x (N, H, W, C) → (R, R, C, K)."""
    N, P, Q, K = dy.shape
    dW = np.zeros((R, R, x.shape[3], K))
    ### BEGIN SOLUTION
    for r in range(R):
        for s in range(R):
            seen = x[:, r:r + stride * P:stride, s:s + stride * Q:stride][:, :P, :Q]            # (N, P, Q, C)
            dW[r, s] = np.tensordot(seen, dy, axes=((0, 1, 2), (0, 1, 2)))
    ### END SOLUTION
    return dW

# %% tags=["check"]
cases = []                              # (dy, x, R, stride): all of them differ, and in both cases rows are left over
for (N, H, V, C), R, K, stride in (((2, 9, 8, 3), 3, 4, 2), ((3, 12, 9, 2), 2, 5, 3)):
    x, W = rng.standard_normal((N, H, V, C)), np.zeros((R, R, C, K))
    cases.append((rng.standard_normal(convolution(x, W, np.zeros(K), stride).shape), x, R, stride))
right = np.concatenate([convolution_backward(dy, x, np.zeros((R, R, x.shape[3], dy.shape[3])), t)[1].ravel() for dy, x, R, t in cases])
check(lambda: np.concatenate([np.ravel(weight_gradient(*case)) for case in cases]), right,
      [(0 * right, "dW is still zero"),
       (np.concatenate([right[:108] / 2, right[108:] / 3]), "the sum over the images, not their mean")])

# %% [markdown]
# **5.** The gradient of the input in two loops, without the matrix of columns: for each $(r, s)$ add one matrix product to one slice of
# `dx`.

# %% tags=["solution"]
def input_gradient_by_slices(dy, W, shape, stride):
    """dy (N, P, Q, K), W (R, S, C, K), shape (N, H, W, C) of x → dx."""
    N, P, Q, K = dy.shape
    R, S, C, _ = W.shape
    dx = np.zeros(shape)
    ### BEGIN SOLUTION
    for r in range(R):
        for s in range(S):
            dx[:, r:r + stride * P:stride, s:s + stride * Q:stride][:, :P, :Q] += dy @ W[r, s].T
    ### END SOLUTION
    return dx

# %% tags=["check"]
cases = []
for (N, H, V, C), (R, S), K, stride in (((2, 9, 8, 3), (3, 2), 4, 2), ((1, 11, 7, 2), (2, 4), 5, 3), ((3, 5, 6, 1), (4, 3), 2, 1)):
    x, W = rng.standard_normal((N, H, V, C)), rng.standard_normal((R, S, C, K))
    cases.append((rng.standard_normal(convolution(x, W, np.zeros(K), stride).shape), W, x.shape, stride))
right = np.concatenate([convolution_backward(dy, np.zeros(shape), W, t)[0].ravel() for dy, W, shape, t in cases])
check(lambda: np.concatenate([np.ravel(input_gradient_by_slices(*case)) for case in cases]), right,
      [(0 * right, "dx is still zero"),
       (np.concatenate([convolution_backward(dy, np.zeros(shape), W[::-1, ::-1], t)[0].ravel() for dy, W, shape, t in cases]),
        "the kernels are turned only in the other form, where ∂y is spread out")])

# %% [markdown]
# **6.** Without biases, a convolution $A$ is linear in $x$, and backward is its transpose: for *any* $x$ and $v$,
# $\langle A x, v \rangle = \langle x, A^\mathsf{T} v \rangle$, where $\langle\cdot,\cdot\rangle$ multiplies entry by
# entry and adds up. It is a test of a backward pass that needs no small steps. Compute the two sides for
# `layer`, and return them: the left side with `forward` alone, the right side with `backward`.

# %% tags=["solution"]
def two_sides(layer, x, v):
    ### BEGIN SOLUTION
    y, cache = layer.forward(x)
    return np.vdot(y, v), np.vdot(x, layer.backward(v, cache)[0])
    ### END SOLUTION

# %% tags=["check"]
class WrongBackward(Conv2d):            # its gradient is three times too large: the two sides must show it
    def backward(self, dy, cache):
        dx, grads = super().backward(dy, cache)
        return 3 * dx, grads


answers, right = [], []
for kind, arguments, shape in ((Conv2d, (3, 2, 5, 2, (1, 2)), (2, 8, 9, 3)), (WrongBackward, (2, 3, 3, 1, 0), (1, 6, 5, 2))):
    layer = kind(*arguments)
    layer.params = {"W": rng.standard_normal(layer.params["W"].shape), "b": np.zeros(layer.kernels)}
    x = rng.standard_normal(shape)
    y, cache = layer.forward(x)
    v = rng.standard_normal(y.shape)
    answers.append((layer, x, v))
    right.append([np.vdot(y, v), np.vdot(x, layer.backward(v, cache)[0])])
check(lambda: [two_sides(*answer) for answer in answers], right,
      [([[left, left] for left, _ in right], "one layer here has a wrong backward: the right side must call backward, and differ")])

# %% [markdown]
# ## Three questions
#
# To be answered without a computer.
#
# **1.** Kernels of 11×11, 4 pixels apart, are laid on 224 pixels without padding. How many places fit along a side, how
# many pixels are left over, and how many zeros make it 55?
#
# <details><summary>Answer</summary>
#
# (224 − 11) / 4 = 53.25, so 54 places, and one pixel is left over. For 55 places 10 + 54 · 4 + 1 = 227 pixels are
# needed: three zeros.
#
# </details>
#
# **2.** Two convolutions of 3×3 in a row, without anything between them, see the same 5×5 pixels as one of 5×5. For one
# channel, is every kernel of 5×5 the result of two of 3×3?
#
# <details><summary>Answer</summary>
#
# No. Two kernels have 18 numbers, a kernel of 5×5 has 25. (The product of the two is a kernel of 5×5, but only special
# ones arise.) With a ReLU between them they are no single convolution at all.
#
# </details>
#
# **3.** conv2 has two groups and 307,200 weights. How many would it have with one group, and how many multiply-adds per
# image?
#
# <details><summary>Answer</summary>
#
# Twice as many of both: 614,400 weights and 447,897,600 multiply-adds, because each kernel sees 96 maps instead of 48.
#
# </details>
#
# ## Summary
#
# A convolution multiplies each window of an image with each kernel, which seven loops say and one matrix product computes. im2col copies the
# windows into a matrix that is about $R S / t^2$ times as large as the image. Backward multiplies by the transposed matrix and
# col2im adds the results to the pixels they came from, in two loops over slices. The same gradient is a convolution of the spread-out ∂y with turned
# kernels, which is fast for stride 1 and wasteful for stride 4. A 224-pixel image gives 55 positions only with three more zeros, and two groups halve
# the weights of a layer.
#
# Next: [04, ReLU](04_relu.ipynb), the function behind each of these layers.
#
# ## What this chapter claimed
#
# If this cell runs, the text is true on your machine.

# %% tags=["claims"]
assert max(loops_difference, product_difference, backward_difference, slices_difference, groups_difference) < 1e-11
assert seen.max() == 9 == (-(-11 // 4)) ** 2 and 7 < seen[:, :224, :224].mean() < 7.4
assert leftover.shape == (10, 10) and leftover[6].any() and not leftover[7:].any() and (8 - 3) % 2 == 1
assert conv1_difference < 0.01 and turned_time > 4 * by_slices and max(conv1_forward, conv1_backward) < by_loops / 1000
assert seconds["seven loops"] > 50 * seconds["im2col, as above"]
assert seconds["seven loops"] > 50 * seconds["nn.Conv2d"]
assert (columns == 5).sum() == 4 and (columns[4] == [5, 6, 9, 10]).all()
assert dx_small[2, 2] == 36 and spread.shape == (7, 7)
assert np.array_equal(dx_small, convolution_backward(dy_small, np.zeros((1, 5, 5, 1)), kernel, 2)[0][0, :, :, 0])
assert error_without_spreading[1] < 1e-12 and error_without_spreading[2] > 0.5
assert [positions(224, 0, 0), positions(227, 0, 0), positions(224, 0, 3), positions(224, 2, 2)] == [54, 55, 55, 55]
assert 55 * 55 * 96 * 11 * 11 * 3 == 105_415_200 and 55 * 55 * 96 == 290_400
assert (grouped.params["W"].size, full.params["W"].size) == (307_200, 614_400)
print("All of it holds.")
