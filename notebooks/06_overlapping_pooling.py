# %% [markdown]
# # 06 Overlapping pooling
#
# **What the paper says.** A pooling layer replaces neighbouring responses of the same map by one number: here, the largest in each
# window of $z \times z$ pixels, windows $s$ pixels apart. Usually $s = z$, so that windows tile the map. The paper takes
# $z = 3$, $s = 2$: windows that overlap by a row and a column (§ 3.4). It reports errors lower by 0.4 and 0.3 points than with
# $z = s = 2$, which gives maps of the same size, and that the net overfits a little less.
#
# **The question.** What does the overlap change, forward and backward? Where does the gradient of a maximum go, and
# where does it go when two pixels are equally large, as is common behind a ReLU?
#
# You need chapter [02](02_a_layer_and_its_gradient.ipynb). About one hour with the exercises.
# All chapters: [README](README.md).

# %%
import matplotlib.pyplot as plt
import numpy as np

import tools
from tools import BLACK, BLUE, ORANGE, check, check_gradients, photo, show, show_source, timed
from nn import Conv2d, MaxPool2d, ReLU, check_layer

rng = np.random.default_rng(6)

# %% [markdown]
# ## A picture first
#
# One kernel that answers to edges looks at a photograph of 110×110 pixels. We take the ReLU, and pool the map in both ways. We write $z/s$ for short: 3/2 is $z = 3$, $s = 2$.

# %%
image, credit = photo("coffee", 110)
edges = Conv2d(3, 1, 3, padding=1)                              # a kernel that answers to edges
edges.params = {"W": np.repeat(np.array([[-1, -1, 0],
                                         [-1, 0, 1],
                                         [0, 1, 1.0]])[:, :, None, None] / 3, 3, axis=2),
                "b": np.zeros(1)}
response = ReLU().forward(edges.forward(image[None])[0])[0]     # (1, 110, 110, 1)
pooled = {(z, 2): MaxPool2d(z, 2).forward(response)[0] for z in (2, 3)}
print("110×110 →", *(f"{z}/{s}: {y.shape[1]}×{y.shape[2]}  " for (z, s), y in pooled.items()))

# %% tags=["figure"]
figure, panels = plt.subplots(1, 4, figsize=(7.2, 2.2))
panels[0].imshow(image)
panels[0].set_title("image")
for axes, maps, name in zip(panels[1:], (response, pooled[2, 2], pooled[3, 2]), ("edges, 110×110", "z = 2, s = 2", "z = 3, s = 2")):
    axes.imshow(maps[0, :, :, 0], vmin=0, vmax=response.max())
    axes.set_title(name)
for axes in panels:
    axes.axis("off")
show(figure, f"**Figure 6.1.** A map of responses to edges, and the map after either pooling (black: 0, white: the "
             f"largest response). Both keep about a quarter of the numbers (110 rows become 55 or 54). Larger windows find a large response more often, so lines get "
             f"thicker and the map brighter. {credit}")

# %% [markdown]
# ## The formula
#
# With $x$ of shape $(N, H, W, C)$, window size $z$ and stride $s$,
#
# $$y_{npqc} = \max_{0 \le i,\, j < z}\; x_{n,\;ps+i,\;qs+j,\;c},$$
#
# each map for itself. Number of windows along a side of $H$ pixels: $\lfloor (H - z)/s \rfloor + 1$. In loops:

# %%
def max_pool(x, z, s):
    N, H, W, C = x.shape
    P, Q = (H - z) // s + 1, (W - z) // s + 1
    y, winner = np.zeros((N, P, Q, C)), np.zeros((N, P, Q, C, 2), int)
    for n, p, q, c in np.ndindex(y.shape):
        largest = -np.inf
        for i in range(z):
            for j in range(z):
                if x[n, p * s + i, q * s + j, c] > largest:     # not ≥: the first of equals wins
                    largest = x[n, p * s + i, q * s + j, c]
                    winner[n, p, q, c] = p * s + i, q * s + j
        y[n, p, q, c] = largest
    return y, winner

# %% [markdown]
# **Expect** exactly the same numbers as the project's layer (a maximum is not rounded), a factor of ten or
# more in time, and for the paper's maps the sides 55 → 27 → 13 → 6.

# %%
x = rng.standard_normal((2, 9, 12, 3))
equal = [np.array_equal(max_pool(x, z, 2)[0], MaxPool2d(z, 2).forward(x)[0]) for z in (2, 3)]
x = rng.standard_normal((1, 27, 27, 8))
loops, layer_time = timed(lambda: max_pool(x, 3, 2), lambda: MaxPool2d(3, 2).forward(x), rounds=3)
print(f"equal: {equal}; loops {1e3 * loops:.0f} ms, layer {1e3 * layer_time:.2f} ms: "
      f"{loops / layer_time:.0f} times faster")
sides = [55]
for _ in range(3):
    sides.append(MaxPool2d(3, 2).output_shape((sides[-1], sides[-1], 1))[0])
print("sides:", sides)
show_source(MaxPool2d.forward)

# %% [markdown]
# The layer loops over the $z^2$ *places* in a window instead of over windows: for each place, the pixels that all windows have
# there are one slice of `x` with step $s$. It keeps one byte per window, the number of the winning place. (`complete` does nothing
# here: it is for `ceil=True`, exercise 1.)
#
# ## Who sees whom
#
# In how many windows does a pixel lie? Along one side with $z = s = 2$, in one. With $z = 3$ and $s = 2$, pixels with an even number
# lie in two windows (except at the ends), odd ones in one. In two dimensions multiply: 1, 2 or 4. **Expect** that
# pattern, and that $z = s = 2$ leaves out the last row and column of 55, while $z = 3$ just fits.

# %%
def windows_per_pixel(side, z, s):
    """Add 1 to each pixel for every window that it lies in, by the layer's own slices."""
    count = np.zeros((1, side, side, 1))
    for place in MaxPool2d(z, s).places(count):
        place += 1
    return count[0, :, :, 0].astype(int)


for z in (2, 3):
    count = windows_per_pixel(55, z, 2)
    print(f"z = {z}: pixels in 0, 1, 2, 3, 4 windows:", np.bincount(count.ravel(), minlength=5))
print(windows_per_pixel(7, 3, 2))

# %% [markdown]
# ## The gradient
#
# Suppose pixel $m$ is the largest of a window, by some margin. Change another pixel of the window a little: the maximum
# stays. Change $m$: the maximum changes by as much. So
#
# $$\frac{\partial y_w}{\partial x_m} = \begin{cases} 1 & m \text{ is the winner of window } w \\ 0 & \text{otherwise,}\end{cases}
# \qquad \partial x_m = \sum_{w:\; m \text{ wins } w} \partial y_w .$$
#
# The sum matters. When windows overlap, one pixel can win up to four of them, and their gradients *add up*. In loops:

# %%
def max_pool_backward(dy, winner, shape):
    dx = np.zeros(shape)
    for n, p, q, c in np.ndindex(dy.shape):
        row, column = winner[n, p, q, c]
        dx[n, row, column, c] += dy[n, p, q, c]
    return dx


x = rng.standard_normal((2, 8, 9, 3))
layer = MaxPool2d(3, 2)
y, cache = layer.forward(x)
dy = rng.standard_normal(y.shape)
dx, _ = layer.backward(dy, cache)
backward_difference = np.abs(dx - max_pool_backward(dy, max_pool(x, 3, 2)[1], x.shape)).max()
# no two numbers within check_layer's step
spaced = rng.permutation(np.linspace(-2, 2, 126)).reshape(1, 7, 9, 2)
gradient_error = check_layer(layer, spaced)
print(f"loops and layer differ by {backward_difference:.0e}; "
      f"finite differences agree to {gradient_error:.0e}")
show_source(MaxPool2d.backward)

# %%
x = np.array([[3, 1, 4, 1, 5],
              [2, 6, 0, 2, 1],
              [0, 1, 9, 3, 2],
              [5, 2, 1, 0, 3],
              [1, 4, 2, 8, 2.0]])[None, :, :, None]
routed = {}
for z in (2, 3):
    y, cache = MaxPool2d(z, 2).forward(x)
    routed[z] = (y[0, :, :, 0],
                 MaxPool2d(z, 2).backward(np.ones_like(y), cache)[0][0, :, :, 0],
                 max_pool(x, z, 2)[1])
print("z = 2, s = 2: ∂x\n", routed[2][1], "\nz = 3, s = 2: ∂x\n", routed[3][1])

# %% tags=["figure"]
figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.6))
styles = [("-", BLUE), ("--", ORANGE), (":", BLACK), ("-.", "#009e73")]
for axes, z in zip(panels, (2, 3)):
    axes.imshow(x[0, :, :, 0], vmin=-14, vmax=10)
    for (i, j), value in np.ndenumerate(x[0, :, :, 0]):
        axes.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=11)
    for number, (p, q) in enumerate(np.ndindex(2, 2)):
        style, color = styles[number]
        inset = 0.06 + 0.05 * number
        axes.add_patch(plt.Rectangle((2 * q - 0.5 + inset, 2 * p - 0.5 + inset), z - 2 * inset, z - 2 * inset,
                                     fill=False, ec=color, ls=style, lw=2))
        row, column = routed[z][2][0, p, q, 0]
        centre = np.array([2 * q + (z - 1) / 2, 2 * p + (z - 1) / 2])
        way = np.array([column, row]) - centre
        axes.annotate("", centre + way * (1 - 0.25 / np.linalg.norm(way)), centre,
                      arrowprops=dict(arrowstyle="-|>", color=color, lw=2))
    axes.set(title=f"z = {z}, s = 2", xticks=range(5), yticks=range(5), xlabel="column", ylabel="row")
show(figure, "**Figure 6.2.** Four windows (frames, slightly drawn in to be told apart) and where each sends its gradient (arrows, from its centre). "
             "Left: every pixel lies in one window at most, and the last row and column in none. Right: the 9 lies in all four "
             "windows and wins them all: its gradient is the sum of four.")

# %% [markdown]
# Hence a classic bug: to *assign* `dx[winner] = dy` instead of adding. **Expect** it to be right for 2/2 and wrong for 3/2.

# %%
class Assigning(MaxPool2d):
    def backward(self, dy, cache):
        winner, shape = cache[:2]
        dx = np.zeros(shape, dy.dtype)
        for number, place in enumerate(self.places(dx)):
            np.copyto(place, dy, where=winner == number)
        return dx, {}


assigning = {}
for z in (2, 3):
    try:
        assigning[z] = f"passes, {check_layer(Assigning(z, 2), spaced):.0e}"
    except AssertionError as error:
        assigning[z] = str(error)
    print(f"z = {z}: {assigning[z]}")

# %% [markdown]
# ## Ties
#
# Behind a ReLU many pixels are exactly 0, and a window of zeros has $z^2$ winners. **Expect** ties to be common: in our map of
# edges, in a good part of the windows.

# %%
tied = {}
for z in (2, 3):
    places = np.stack(MaxPool2d(z, 2).places(response))
    tied[z] = ((places == places.max(0)).sum(0) > 1).mean()
    print(f"z = {z}: {tied[z]:.0%} of the windows have more than one winner")

# %% [markdown]
# At a tie there is no derivative, and a program must choose. This project, like Caffe and PyTorch, gives the gradient to the
# first, row by row (`ties="all"` does what the authors' 2012 code did: *every* winner gets it, in full). Where all are 0 behind a ReLU this makes
# no difference, as the ReLU stops the gradient there anyway. (In the 2012 code the ReLU comes after pooling: chapter [15](15_disputed_details.ipynb).) It does where the input is an
# image with saturated pixels, or where numbers are coarse. And a check by finite differences fails at a tie with either rule: of each winner $x + h$ wins and $x - h$ loses, so
# the difference says ½, not 0 or 1.

# %%
flat = np.ones((1, 3, 3, 1))
y, cache = MaxPool2d(3, 2).forward(flat)
first = MaxPool2d(3, 2).backward(np.full_like(y, 5.0), cache)[0][0, :, :, 0]
print("one window of equal numbers, ∂y = 5:\n", first)

# %% [markdown]
# ## When the image moves
#
# The paper does not say why it should help. One might hope that a pooled map changes less when the image moves by a pixel, as what leaves one window is still in the
# next. But 3/2 differs from 2/2 in the size of the window as well; so we also try 3/3, without overlap, and 2/1. **Expect** 3/2 to change less than 2/2, most of it due to
# the larger window: 3/3 is near 3/2, and 2/1, which overlaps, near 2/2.

# %%
def change(z, s):
    """Relative change of the pooled map when the input moves by one pixel to the right or down."""
    pool = MaxPool2d(z, s)
    still = pool.forward(response[:, :-1, :-1])[0]
    moved = [pool.forward(response[:, :-1, 1:])[0], pool.forward(response[:, 1:, :-1])[0]]
    return np.mean([np.linalg.norm(m - still) / np.linalg.norm(still) for m in moved])


moves = {(z, s): change(z, s) for z, s in ((2, 2), (2, 1), (3, 3), (3, 2))}
for (z, s), moved in moves.items():
    print(f"{z}/{s}: a move by one pixel changes the pooled map by {moved:.0%}")

# %% [markdown]
# So for this the window's size matters more than the overlap. This is one picture and one kernel, and does not show that errors fall, nor that the net overfits less. The paper's gain
# of 0.4 points is small, and a small net does not show it (0.07 ± 0.35 points: chapter [14](14_what_matters.ipynb)). The larger window costs time: nine places instead of four.
#
# ## Exercises
#
# Solutions are folded. `python notebooks/build.py blank` makes the edition without them.
#
# **1.** The 2012 code and Caffe add a smaller window at the end if pixels are left over: the number of windows is
# rounded up. Write it for any side $H$, window $z$ and stride $s \le z$. (The project's layer does it with `ceil=True`.) For
# which of 55, 27 and 13 does it differ with $z = 3$, $s = 2$?

# %% tags=["solution"]
def windows_rounded_up(H, z, s):
    ### BEGIN SOLUTION
    return -(-(H - z) // s) + 1         # −(−a // s) rounds a / s up; 55, 27 and 13 come out even
    ### END SOLUTION

# %% tags=["check"]
cases = [(55, 3, 2), (32, 3, 2), (16, 2, 2), (17, 5, 3), (9, 4, 3), (11, 4, 4)]
check(lambda: [windows_rounded_up(*case) for case in cases], [MaxPool2d(z, s, ceil=True).output_shape((H, H, 1))[0] for H, z, s in cases],
      [([(H - z) // s + 1 for H, z, s in cases], "that is rounded down"), ([-(-(H - z) // s) for H, z, s in cases], "the first window counts, too")])

# %% [markdown]
# **2.** However ties are decided, if each window has one winner the sum of all entries of `dx` equals the sum of all entries of `dy`. Why? Use it: `dx` of some
# layer sums to 7, there are 12 windows, and `dy` is the same number everywhere. Which?

# %% tags=["solution"]
number = ...
### BEGIN SOLUTION
number = 7 / 12                         # each window hands its gradient to exactly one pixel: nothing is lost or made
### END SOLUTION

# %% tags=["check"]
check(lambda: number, 7 / 12, [(7 * 12, "divide, do not multiply"), (12 / 7, "the other way round")])

# %% [markdown]
# **3.** Average pooling, the other usual kind: $y_p$ is the mean of its window. Write backward. (`self.places(dx)`
# gives the views that `MaxPool2d` uses.)

# %% tags=["solution"]
class AveragePool(MaxPool2d):
    def forward(self, x, train=True):
        return sum(self.places(x)) / self.size**2, x.shape

    def backward(self, dy, cache):
        dx = np.zeros(cache)
        ### BEGIN SOLUTION
        for place in self.places(dx):
            place += dy / self.size**2
        ### END SOLUTION
        return dx, {}

# %% tags=["check"]
for z, s, shape in ((3, 2, (1, 7, 6, 2)), (2, 1, (2, 4, 5, 1))):
    check_gradients(lambda: AveragePool(z, s), rng.standard_normal(shape), forward=lambda layer, x: sum(layer.places(x)) / layer.size**2)

# %% [markdown]
# **4.** The 2012 code's way with ties: every pixel that equals the maximum of its window gets the whole gradient.

# %% tags=["solution"]
def backward_to_all(dy, x, y, layer):
    dx = np.zeros_like(x)
    ### BEGIN SOLUTION
    for into, pixels in zip(layer.places(dx), layer.places(x)):
        into += dy * (pixels == y)
    ### END SOLUTION
    return dx

# %% tags=["check"]
cases, right = [], []                       # (dy, x, y, layer), with many ties
for z, s, shape in ((3, 2, (1, 7, 7, 1)), (2, 1, (2, 4, 5, 3))):
    layer, x = MaxPool2d(z, s), rng.integers(0, 3, shape).astype(float)
    y = layer.forward(x)[0]
    dy, dx = rng.standard_normal(y.shape), np.zeros(shape)
    for n, p, q, c in np.ndindex(y.shape):
        for i, j in np.ndindex(z, z):
            dx[n, s * p + i, s * q + j, c] += dy[n, p, q, c] * (x[n, s * p + i, s * q + j, c] == y[n, p, q, c])
    cases.append((dy, x, y, layer))
    right.append(dx.ravel())
only_first = [layer.backward(dy, layer.forward(x)[1])[0].ravel() for dy, x, y, layer in cases]
check(lambda: np.concatenate([np.ravel(backward_to_all(*case)) for case in cases]), np.concatenate(right),
      [(np.concatenate(only_first), "that is the first of them only"), (0 * np.concatenate(right), "dx is still zero")])

# %% [markdown]
# ## Three questions
#
# To be answered without a computer.
#
# **1.** A map has 13 rows. Which rows do windows with $z = s = 2$ leave out, and which with $z = 3$, $s = 2$?
#
# <details><summary>Answer</summary>
#
# 2/2 has 6 windows on rows 0 to 11, and row 12 is left out. 3/2 has 6 windows as well; the last covers rows 10 to 12,
# so none is left out.
#
# </details>
#
# **2.** Can an entry of ∂x be larger than every entry of ∂y?
#
# <details><summary>Answer</summary>
#
# Yes, with overlapping windows. A pixel that is the largest in four windows receives the sum of four gradients.
#
# </details>
#
# **3.** All pixels of a map are equal, and ∂y is 1 everywhere. What is the sum of ∂x if the first winner gets the
# gradient, and what if every winner gets it in full, with 3/2?
#
# <details><summary>Answer</summary>
#
# The number of windows in the first case; nine times as much in the second, because each window has nine winners.
#
# </details>
#
# ## Summary
#
# Max pooling keeps the largest of each window, and backward gives each window's gradient to its winner. With $z = 3$
# and $s = 2$ windows overlap, so a pixel can win up to four windows, and its gradients add up. Where pixels are equal
# the derivative does not exist: this program takes the first, the 2012 code every one. When the image moves by a
# pixel, the map pooled with 3/2 changes less than with 2/2, mostly since the window is larger. The maps have the same size as with $z = s = 2$ (for the paper's 55, 27
# and 13), at nine comparisons a window instead of four.
#
# Next: [07, Two GPUs](07_two_gpus.ipynb), where each half of the maps lives on a card of its own.
#
# ## What this chapter claimed
#
# If this cell runs, the text is true on your machine.

# %% tags=["claims"]
assert equal == [True, True] and loops > 10 * layer_time and sides == [55, 27, 13, 6]
assert pooled[2, 2].shape == (1, 55, 55, 1) and pooled[3, 2].shape == (1, 54, 54, 1)
assert set(windows_per_pixel(55, 3, 2).ravel()) == {1, 2, 4} and set(windows_per_pixel(55, 2, 2).ravel()) == {0, 1}
assert backward_difference < 1e-14 and gradient_error < 1e-6
assert routed[3][1][2, 2] == 4 and routed[3][1].sum() == routed[2][1].sum() == 4
assert assigning[2].startswith("passes") and "gradient of x" in assigning[3]
assert min(tied.values()) > 0.1
assert first[0, 0] == 5 and first.sum() == 5
assert moves[3, 2] < moves[3, 3] < moves[2, 1] < moves[2, 2]
assert moves[2, 2] - moves[3, 3] > 2 * (moves[3, 3] - moves[3, 2])                      # mostly the size
print("All of it holds.")
