# %% [markdown]
# # 03 Convolution
#
# **What the paper says.** Five of the eight layers are convolutions (§ 3.5). The first slides 96 kernels of 11×11×3
# numbers over a 224×224×3 image, four pixels at a time; the second 256 kernels of 5×5×48; the others kernels of 3×3. The
# second, fourth and fifth see only those maps that lie on their own GPU. How a convolution or its gradient is computed
# quickly the paper leaves to the authors' published code.
#
# **The question.** The first layer alone takes 105,415,200 multiplications, and as many additions, for each image. Python's
# loops do about a million a second. How does a NumPy program do it in a few hundredths of a second, gradient included? And
# why does a 224-pixel image give 55 positions, when the arithmetic says 54?
#
# You need chapter [02](02_a_layer_and_its_gradient.ipynb). About two hours with the exercises. All chapters: [README](README.md).

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
across, bump = np.array([-1, -2, 0, 2, 1.0]), np.array([1, 4, 6, 4, 1.0])
W = np.zeros((5, 5, 3, 3))
W[..., 0] = np.outer(bump, across)[:, :, None] / 96                 # changes from left to right
W[..., 1] = np.outer(across, bump)[:, :, None] / 96                 # changes from top to bottom
W[..., 2] = np.outer(bump, bump)[:, :, None] * [1, 0, -1] / 256     # red minus blue
layer = Conv2d(3, 3, size=5)
layer.params = {"W": W, "b": np.zeros(3)}
maps = layer.forward(image[None])[0][0]                             # (156, 156, 3)

# %% tags=["figure"]
figure, panels = plt.subplots(1, 4, figsize=(7.2, 2.5))
panels[0].imshow(image)
for axes, k in zip(panels[1:], range(3)):
    limit = np.abs(maps[..., k]).max()
    picture = axes.imshow(maps[..., k], vmin=-limit, vmax=limit)
    figure.colorbar(picture, ax=axes, orientation="horizontal", shrink=0.85, pad=0.03, ticks=[-limit, 0, limit], format="%.1f")
for axes, title in zip(panels, ("image, 160×160×3", "left to right", "top to bottom", "red − blue")):
    axes.set_title(title)
    axes.axis("off")
show(figure, f"**Figure 3.1.** Three kernels of 5×5×3 and the maps they make of a photograph: each pixel of a map says how well "
             f"the pixels around it fit the kernel; grey is 0, white positive, black negative. The numbers of these kernels "
             f"were chosen by hand; the 96 kernels of AlexNet's first layer are learnt. {credit}")

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
# Seven indices, so seven loops. **Expect** the same as the project's `Conv2d`, up to rounding.

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
# are the matrix `W.reshape(R * S * C, K)`. Row times matrix gives the $K$ outputs of that position. So stack all rows:
#
# $$\underbrace{Y}_{N P Q \,\times\, K} = \underbrace{\text{columns}}_{N P Q \,\times\, R S C}\;\cdot\;\underbrace{W}_{R S C \,\times\, K}.$$
#
# Making that matrix is called *im2col*, image to columns (the name comes from programs in which it lies on its side).

# %%
small = np.arange(16.0).reshape(4, 4)
windows = np.lib.stride_tricks.sliding_window_view(small, (2, 2))           # (3, 3, 2, 2)
columns = windows.reshape(9, 4)

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
# The project's plain layer does this for each group of maps (`self.group(g)`; see "Groups" below). `as_strided` makes the
# same view from distances in memory, `reshape` copies it. `array_module(x)` is NumPy, or CuPy for an array on a GPU.

# %%
show_source(im2col)
show_source(Conv2d.forward)

# %% [markdown]
# How much does it gain? **Expect** a factor of several hundred, even on a piece as small as this: one image of 16×16×8,
# and 16 kernels of 3×3. (The machine that ran this notebook. Each form is called three times, in turn; the median counts.)

# %%
layer = Conv2d(8, 16, size=3)
layer.params = {"W": rng.standard_normal((3, 3, 8, 16), np.float32), "b": np.zeros(16, np.float32)}
x = rng.standard_normal((1, 16, 16, 8), np.float32)
loops, product = timed(lambda: convolution(x, **layer.params), lambda: layer.forward(x), rounds=3)
rate = 14 * 14 * 16 * 3 * 3 * 8 / loops         # positions × kernels × numbers in a kernel
print(f"seven loops {1e3 * loops:.0f} ms, a matrix product {1e3 * product:.2f} ms: "
      f"{loops / product:.0f} times faster")
print(f"The loops do {rate / 1e6:.1f} million multiply-adds a second: "
      f"{105_415_200 / rate:.0f} s for conv1 of one AlexNet image")

# %% [markdown]
# ## What the columns cost
#
# A pixel stands in the rows of all positions that see it, at most $\lceil R / t \rceil \lceil S / t \rceil$: 9 for conv1,
# 25 for conv2. Pixels at the border stand in fewer. So without padding the columns are a little less than $R S / t^2$
# times as large as the image: 7.3 instead of 7.6 times for conv1. With conv2's padding they are 25 times as large. For a
# batch of 128 conv2's columns in float32 take 0.9 GB, which has to be written to memory and read again. (Each of the
# paper's graphics cards had 3 GB in all.) So this project's net sends only a few images at a time through a convolution.
#
# ## Backward: bias and weights
#
# As in chapter 02: in which outputs does a number occur, and with what factor?
#
# **The bias $b_k$** occurs in every output of map $k$, with factor 1: $\partial b_k = \sum_{n,p,q} \partial y_{npqk}$.
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
# The slow way needs no such thought. Every product that forward adds gives a contribution to each of its factors
# (chapter 02), so backward is the same seven loops with other lines inside:

# %%
def convolution_backward(dy, x, W, stride=1):
    dx, dW = np.zeros_like(x), np.zeros_like(W)
    for n, p, q, k in np.ndindex(dy.shape):
        for r, s, c in np.ndindex(W.shape[:3]):
            dx[n, p * stride + r, q * stride + s, c] += dy[n, p, q, k] * W[r, s, c, k]
            dW[r, s, c, k] += dy[n, p, q, k] * x[n, p * stride + r, q * stride + s, c]
    return dx, dW, dy.sum((0, 1, 2))

# %% [markdown]
# **Expect** the project's layer to agree up to rounding for strides 1, 2 and 3. (At 2 and 3 the sides of 8 and 7 pixels
# do not always fit: a row or column is left over that no window sees. Its gradient is 0.)

# %%
backward_difference = []
for stride in (1, 2, 3):
    layer = Conv2d(2, 3, size=3, stride=stride)
    layer.params = {"W": rng.standard_normal((3, 3, 2, 3)), "b": rng.standard_normal(3)}
    x = rng.standard_normal((2, 8, 7, 2))
    y, cache = layer.forward(x)
    dy = rng.standard_normal(y.shape)
    dx, grads = layer.backward(dy, cache)
    slow = convolution_backward(dy, x, layer.params["W"], stride)
    backward_difference += [np.abs(a - b).max() for a, b in zip((dx, grads["W"], grads["b"]), slow)]
    print(f"stride {stride}: largest difference {max(backward_difference[-3:]):.0e}; "
          f"finite differences agree to {check_layer(layer, x):.0e}")

# %% [markdown]
# ## Two loops: col2im
#
# The matrices give (1) in two steps. The first is the gradient of the columns, as in a Linear layer:
# $\partial\,\text{columns} = \partial Y \cdot W^\mathsf{T}$. In the second step every number of the columns gives its
# gradient back to the pixel that it was copied from, and each pixel adds up what it gets. This is called **col2im**.
#
# Fix one place $(r, s)$ of the kernel. The pixels that lay under it are rows $r, r + t, r + 2t, \dots$ and columns
# $s, s + t, \dots$ of $x$: one slice. No pixel stands twice in that slice, so `+=` on it is safe. Two loops do it:

# %%
show_source(col2im)
show_source(Conv2d.backward)

# %% [markdown]
# ## The gradient of a convolution is a convolution
#
# Formula (1) can be written without col2im. Take **stride 1** first. Then $p = i - r$ and $q = j - s$ are determined, and
# (1) is the sum of $\partial y_{n,\;i-r,\;j-s,\;k}\;W_{rsck}$ over $k$, $r$ and $s$, where $\partial y$ counts as 0 outside its
# map. Only the minus signs keep this from being a convolution as we know it. Count the kernel's places from the other
# end: $r = R - 1 - r'$ and $s = S - 1 - s'$, so that $i - r = i + r' - (R-1)$. Pad $\partial y$ with zeros: $R - 1$ rows above
# and below, $S - 1$ columns left and right. Call the result $\widehat{\partial y}$; its row $i$ is row $i - (R - 1)$ of
# $\partial y$. Then
#
# $$\partial x_{nijc} = \sum_k \sum_{r',s'} \widehat{\partial y}_{n,\;i+r',\;j+s',\;k}\;\, W_{R-1-r',\;S-1-s',\;c,\;k}. \qquad (2)$$
#
# This is the formula of the forward pass. The gradient of a convolution is a convolution: of $\partial y$, with the
# kernels *turned by 180°*, and with $C$ and $K$ exchanged.
#
# **Stride $t$.** Now only every $t$-th offset gives a position: $p = (i - r)/t$ must be whole. Put $t - 1$ zeros between
# the rows of $\partial y$ and between its columns: position $p$ then lies in row $pt$. Reading this spread array at $i - r$
# gives $\partial y_p$ where $pt = i - r$, and 0 otherwise, which is just the condition in (1). So (2) holds for every
# stride, with $\partial y$ spread out first.
#
# **Rows left over.** $(H - R) \bmod t$ rows of $x$ are seen by no window. $\widehat{\partial y}$ needs as many more zeros
# below, or (2) would give too few rows of $\partial x$; columns likewise. (With padding in the forward pass, $x$ here is
# the padded image, and the border of $\partial x$ is cut off at the end.)
#
# In `nn/fast/rowwise.py`, `dilate` spreads $\partial y$ out and pads it to a given height and width, `turn` turns the
# kernels, and `correlate` is the convolution (all of them with the rows of a map first, then the images).

# %%
show_source(dilate)
show_source(turn)
dy_small = np.arange(1.0, 5).reshape(1, 2, 2, 1)
spread = dilate(dy_small, 7, 7, before=2, stride=2)         # for x of 5×5 and a kernel of 3×3
kernel = np.arange(1.0, 10).reshape(3, 3, 1, 1)
turned = turn(kernel, groups=1)
dx_small = correlate(spread, turned, stride=1, groups=1)

# %% tags=["figure"]
figure, panels = plt.subplots(1, 4, figsize=(7.2, 2.4), width_ratios=(2, 7, 3, 5))
names = "∂y, 2×2", "spread and padded, 7×7", "kernel, turned", "∂x, 5×5"
for axes, numbers, name in zip(panels, (dy_small, spread, turned, dx_small), names):
    numbers = numbers.squeeze()
    axes.imshow(numbers, vmin=-numbers.max(), vmax=1.6 * numbers.max())
    for (i, j), number in np.ndenumerate(numbers):
        axes.text(j, i, f"{number:.0f}", ha="center", va="center", fontsize=8, color="0.75" if number == 0 else BLACK)
    axes.set_title(name, fontsize=9)
    axes.set(xticks=[], yticks=[])
panels[1].add_patch(plt.Rectangle((1.53, 1.53), 2.94, 2.94, fill=False, ec=ORANGE, lw=3))
panels[3].add_patch(plt.Rectangle((1.53, 1.53), 0.94, 0.94, fill=False, ec=ORANGE, lw=3))
show(figure, "**Figure 3.3.** The gradient of the input for a 5×5 image, a 3×3 kernel (1, 2, 3 / 4, 5, 6 / 7, 8, 9) and stride "
             "2. ∂y is spread out by the stride and padded; the turned kernel slides over it with stride 1. The framed "
             "window gives the framed pixel: 1·9 + 2·7 + 3·3 + 4·1 = 36. All four windows of the forward pass cover it.")

# %% [markdown]
# A frequent mistake is a backward pass that leaves out the spreading. **Expect** it to pass every test at stride 1, and to
# be altogether wrong at stride 2. The lesson is for your own tests: try strides, paddings and shapes that do not fit.

# %%
turned_difference, error_without_spreading = {}, {}
for stride in (1, 2):
    x, W = rng.standard_normal((1, 8, 7, 2)), rng.standard_normal((3, 3, 2, 3))
    dy = rng.standard_normal(convolution(x, W, np.zeros(3), stride).shape)
    right, wrong = (correlate(dilate(dy, 8 + 2, 7 + 2, 2, spread_by), turn(W, 1), 1, 1)
                    for spread_by in (stride, 1))
    turned_difference[stride] = np.abs(right.transpose(1, 0, 2, 3)
                                       - convolution_backward(dy, x, W, stride)[0]).max()
    error_without_spreading[stride] = np.linalg.norm(wrong - right) / np.linalg.norm(right)
    print(f"stride {stride}: turned kernels {turned_difference[stride]:.0e} from the seven loops; "
          f"without spreading {error_without_spreading[stride]:.0%} wrong")

# %% [markdown]
# ## A few hundredths of a second
#
# On a CPU a network runs a *fast form* of the layer. At stride 1 it unrolls an image along its rows only: what row $r$ of
# the kernel sees at all positions is then rows $r \dots r + P$ of the unrolled image, one block of memory, and
# $Y = \sum_r \text{columns}_r \cdot W_r$ is a sum of $R$ products with $R$ times less to copy. Backward it turns the
# kernels, which saves col2im. (At larger strides it makes the whole matrix.) For conv1 turning is the wrong way: about
# fifteen of sixteen numbers in the spread-out $\partial y$ are zeros. **Expect** col2im to be ten times as fast, or more.
#
# AlexNet never needs that gradient: below conv1, its only convolution with a stride over 1, there are only the images. So
# conv1 is built with `first=True` and returns no $\partial x$. **Expect** a few hundredths of a second for forward and backward
# together, and the loops' rate above to be thousands of times slower.

# %%
x, W, dy = (rng.standard_normal(shape, np.float32)
            for shape in ((1, 224, 224, 3), (11, 11, 3, 96), (1, 55, 55, 96)))
plain, conv1 = (Conv2d(3, 96, 11, stride=4, padding=(0, 3), first=first) for first in (False, True))
plain.params = conv1.params = {"W": W, "b": np.zeros(96, np.float32)}
fast, conv1 = (CpuForms(Workers(1), winograd=False).form(layer) for layer in (plain, conv1))
conv1_difference = np.abs(plain.backward(dy, x)[0] - fast.backward(dy, x)[0]).max()
col2im_time, turned_time = timed(lambda: plain.backward(dy, x), lambda: fast.backward(dy, x))
print(f"backward with ∂x: col2im {1e3 * col2im_time:.0f} ms, turned {1e3 * turned_time:.0f} ms")
forward, backward = timed(lambda: conv1.forward(x), lambda: conv1.backward(dy, x))
print(f"without ∂x: forward {1e3 * forward:.0f} ms, backward {1e3 * backward:.0f} ms; "
      f"seven loops would take {105_415_200 / rate:.0f} s forward")

# %% [markdown]
# ## 224 or 227
#
# How many positions has a kernel of $R$ on a side of $H$ pixels, with $a$ zeros before it, $e$ after it and stride $t$? The
# first begins at 0, the last must end within $H + a + e$:
#
# $$P = \left\lfloor \frac{H + a + e - R}{t} \right\rfloor + 1 .$$
#
# **Expect** trouble with the paper's numbers: $H = 224$, $R = 11$, $t = 4$ give 54, and its Figure 2 shows 55.

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(7.2, 2.3))
for number, start in enumerate((204, 208, 212, 216)):
    inside = start + 11 <= 224
    axes.barh(number, 11, left=start, height=0.6, fc="0.85" if inside else "white", ec=BLUE, ls="-" if inside else "--", lw=2)
    axes.text(start + 5.5, number, f"position {start // 4}", ha="center", va="center", fontsize=9)
axes.axvline(224, color=BLACK, lw=2, marker="", ls="-")
axes.text(224.3, -0.95, "end of the image", fontsize=9, va="center")
axes.set(xlabel="pixel (the image has 0 … 223)", yticks=[], xlim=(203, 229.5), ylim=(-1.4, 3.6))
axes.spines["left"].set_visible(False)
show(figure, "**Figure 3.4.** The last windows of the first layer along one side. The 54th (position 53) ends at pixel 222; a "
             "55th (position 54, dashed) would need three pixels that are not there. The 2012 code reads zeros in their place.")

# %% [markdown]
# So 55 positions need three pixels more. Caffe's images have 227. Torchvision puts two rows of zeros on each side. The
# authors' own code reads three zeros, on the right and at the bottom only, which is this project's default:
# `padding=(0, 3)`. Chapter [15](15_disputed_details.ipynb) compares the three. In the number of neurons the paper slips as
# well: it gives 253,440 for the first layer, where $55 \cdot 55 \cdot 96 = 290{,}400$.
#
# ## Groups
#
# "Sees only the maps on its own GPU" means: of $C$ input maps, kernels of the first half see the first $C/2$, those of
# the second half the others. In a net on one device this is called a convolution in two *groups*. The kernels get
# half as deep, and so the weights and the work are halved. **Expect** for the second layer 307,200 weights instead of
# 614,400; and the same outputs as the full layer with zeros for all maps that a kernel does not see.

# %%
grouped, full = Conv2d(96, 256, 5, padding=2, groups=2), Conv2d(96, 256, 5, padding=2)
print(f"weights: {grouped.params['W'].size:,} in two groups, {full.params['W'].size:,} in one")
W = rng.standard_normal(grouped.params["W"].shape)
full.params["W"] = np.zeros(full.params["W"].shape)
full.params["W"][:, :, :48, :128], full.params["W"][:, :, 48:, 128:] = W[..., :128], W[..., 128:]
grouped.params["W"] = W
x = rng.standard_normal((1, 6, 5, 96))
groups_difference = np.abs(grouped.forward(x)[0] - full.forward(x)[0]).max()
print(f"full layer with zeros: largest difference {groups_difference:.0e}")

# %% [markdown]
# ## Exercises
#
# Solutions are folded. `python notebooks/build.py blank` makes the edition without them.
#
# **1.** Multiply-adds of one image in conv1 to conv5, from positions × kernels × numbers in a kernel (Figure 2 of
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
# **2.** The gradient of the input in two loops, but without the matrix of columns: for each place $(r, s)$ of the kernel add
# one matrix product to one slice of `dx`.

# %% tags=["solution"]
def input_gradient(dy, W, shape, stride):
    """dy (N, P, Q, K), W (R, S, C, K), shape (N, H, W, C) of x → dx."""
    (P, Q), (R, S) = dy.shape[1:3], W.shape[:2]
    dx = np.zeros(shape)
    ### BEGIN SOLUTION
    for r in range(R):
        for s in range(S):
            dx[:, r:r + stride * P:stride, s:s + stride * Q:stride] += dy @ W[r, s].T
    ### END SOLUTION
    return dx

# %% tags=["check"]
cases, right, turned_too = [], [], []       # (dy, W, shape, stride): all of them differ, and rows are left over
for shape, (R, S), K, stride in (((2, 10, 8, 3), (3, 2), 4, 2), ((1, 12, 8, 2), (2, 4), 5, 3)):
    x, W = rng.standard_normal(shape), rng.standard_normal((R, S, shape[3], K))
    dy = rng.standard_normal(convolution(x, W, np.zeros(K), stride).shape)
    cases.append((dy, W, shape, stride))
    right.append(convolution_backward(dy, x, W, stride)[0].ravel())
    turned_too.append(convolution_backward(dy, x, W[::-1, ::-1], stride)[0].ravel())
check(lambda: np.concatenate([np.ravel(input_gradient(*case)) for case in cases]), np.concatenate(right),
      [(np.concatenate(turned_too), "the kernels are turned only in the other form, where ∂y is spread out")])

# %% [markdown]
# **3.** Without biases, a convolution $A$ is linear in $x$, and backward is its transpose: for *any* $x$ and $v$,
# $\langle A x, v \rangle = \langle x, A^\mathsf{T} v \rangle$, where $\langle\cdot,\cdot\rangle$ multiplies entry by
# entry and adds up. It is a test of a backward pass that needs no small steps. Return the two sides for `layer`: the
# left one by `forward` alone, the right one by `backward`.

# %% tags=["solution"]
def two_sides(layer, x, v):
    ### BEGIN SOLUTION
    y, cache = layer.forward(x)
    return np.vdot(y, v), np.vdot(x, layer.backward(v, cache)[0])
    ### END SOLUTION

# %% tags=["check"]
wrong = Conv2d(2, 3, 3)                 # its gradient is three times too large: the two sides must show it
wrong.backward = lambda dy, cache: (3 * Conv2d.backward(wrong, dy, cache)[0], {})
arguments, right = [], []
for layer, shape in ((Conv2d(3, 2, 5, 2, (1, 2)), (2, 8, 9, 3)), (wrong, (1, 6, 5, 2))):
    layer.params = {"W": rng.standard_normal(layer.params["W"].shape), "b": np.zeros(layer.kernels)}
    x = rng.standard_normal(shape)
    y, cache = layer.forward(x)
    v = rng.standard_normal(y.shape)
    arguments.append((layer, x, v))
    right.append([np.vdot(y, v), np.vdot(x, layer.backward(v, cache)[0])])
check(lambda: [two_sides(*one) for one in arguments], right,
      [([[left, left] for left, _ in right], "one layer here has a wrong backward: the right side must call backward, and differ")])

# %% [markdown]
# ## Three questions
#
# To be answered without a computer.
#
# **1.** A batch gets twice as many images. Which of $x$, $W$, the columns, $y$ and $\partial W$ become twice as large?
#
# <details><summary>Answer</summary>
#
# x, the columns and y. W keeps its shape, and so does ∂W, which adds up the images.
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
# **3.** What share of the numbers in conv1's spread-out ∂y is not zero, and what does the turned form do with the others?
#
# <details><summary>Answer</summary>
#
# One of 4 · 4 = 16. The turned form multiplies the other fifteen by the kernels as well, and adds up the zeros.
#
# </details>
#
# ## Summary
#
# A convolution multiplies each window of an image with each kernel, which seven loops say and one matrix product computes.
# im2col copies the windows into a matrix that is about $R S / t^2$ times as large as the image. Backward multiplies by the
# transposed matrix and col2im adds the results to the pixels they came from, in two loops over slices. The same gradient
# is a convolution of the spread-out ∂y with turned kernels, which is fast for stride 1 and wasteful for stride 4. A
# 224-pixel image gives 55 positions only with three more zeros, and two groups halve the weights of a layer.
#
# Next: [04, ReLU](04_relu.ipynb), the function behind each of these layers.
#
# ## What this chapter claimed
#
# If this cell runs, the text is true on your machine.

# %% tags=["claims"]
assert max(loops_difference, *backward_difference, *turned_difference.values(), groups_difference) < 1e-11
assert (columns == 5).sum() == 4 and (columns[4] == [5, 6, 9, 10]).all()
assert loops > 50 * product and 1e5 < rate < 1e7
seen = np.zeros((1, 227, 227, 1))
col2im(np.ones((55 * 55, 11 * 11)), seen, 11, 4)        # adds 1 to a pixel for every row of the columns it stands in
assert seen.max() == 9 and seen[0, 0, 0, 0] == 1
assert [round(P**2 * R**2 / H**2, 1) for P, R, H in ((55, 11, 224), (27, 5, 27))] == [7.3, 25] and round(11**2 / 4**2, 1) == 7.6
assert round(128 * 4 * 27**2 * 5**2 * 96 / 1e9, 1) == 0.9
assert dx_small[2, 0, 2, 0] == 36 and spread.shape == (7, 1, 7, 1)
assert error_without_spreading[1] < 1e-12 and error_without_spreading[2] > 0.5
assert conv1_difference < 0.01 and turned_time > 4 * col2im_time and max(forward, backward) < 105_415_200 / rate / 1000
readings = [(224, 0), (227, 0), (224, (0, 3)), (224, (2, 2))]
assert [Conv2d(3, 96, 11, 4, padding).output_shape((H, H, 3))[0] for H, padding in readings] == [54, 55, 55, 55]
assert 55 * 55 * 96 * 11 * 11 * 3 == 105_415_200 and 55 * 55 * 96 == 290_400
assert (grouped.params["W"].size, full.params["W"].size) == (307_200, 614_400)
print("All of it holds.")
