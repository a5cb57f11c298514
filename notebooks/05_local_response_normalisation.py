# %% [markdown]
# # 05 Local response normalisation
#
# **What the paper says.** ReLUs need no normalised input to learn, but dividing each response by a measure of its
# neighbours' responses *at the same place, in other maps*, was found to help (§ 3.3). It is a kind of competition,
# named after the lateral inhibition of real neurons (an active nerve cell damps its neighbours). It stands after the ReLUs of the first and the second layer, and is said to
# lower the errors by 1.4 and 1.2 points (top-1 and top-5). A four-layer net on CIFAR-10 had 13 % test error without it and 11 % with it. The four
# constants are no theory: the authors chose them on a validation set.
#
# **The question.** What do the constants 2, 5, 10⁻⁴ and 0.75 do to a picture? What is the gradient, now that every
# output depends on five inputs? And what happens if a library divides α by five without saying so?
#
# You need chapters [03](03_convolution.ipynb) and [04](04_relu.ipynb). About one hour with the exercises.
# All chapters: [README](README.md).

# %%
import matplotlib.pyplot as plt
import numpy as np

import tools
from tools import BLACK, BLUE, ORANGE, check, photo, show, show_source, timed
from nn import Conv2d, LocalResponseNorm, ReLU, check_layer

rng = np.random.default_rng(5)

# %% [markdown]
# ## A picture first
#
# We need maps that compete. Take 16 kernels of 11×11 (the size of the first layer's) that answer to stripes of 16
# directions, neighbours in the list being neighbours in direction, and let them look at a photograph with pixels from
# 0 to 255. Then ReLU. The normalisation does little to small responses (see "Scale matters"). So these kernels are amplified by a
# gain of 4: the positive weights of each add up to 2, the negative ones to −2, and a response could reach 510 (here it reaches 148). With a gain of 1 the
# picture on the right would hardly differ from the one in the middle. Which gain a trained first layer has, this chapter does not know.

# %%
image, credit = photo("rocket", 192)
grey = 255 * image.mean(2)[None, :, :, None]                            # (1, 192, 192, 1), 0 … 255
i, j = np.mgrid[-5:6, -5:6]
stripes, GAIN = Conv2d(1, 16, 11, padding=5), 4
for direction in range(16):
    angle = np.pi * direction / 16
    wave = np.cos(1.1 * (i * np.cos(angle) + j * np.sin(angle))) * np.exp(-(i**2 + j**2) / 12)
    stripes.params["W"][:, :, 0, direction] = GAIN * (wave - wave.mean()) / np.abs(wave).sum()
stripes.params["W"] = stripes.params["W"].astype(np.float64)
stripes.params["b"] = np.zeros(16)
a = ReLU().forward(stripes.forward(grey - grey.mean())[0])[0]           # (1, 192, 192, 16)
norm = LocalResponseNorm()                                              # the paper's constants
b = norm.forward(a)[0]
print(norm, f"   responses up to {a.max():.0f}, normalised up to {b.max():.0f}")

# %% tags=["figure"]
figure, panels = plt.subplots(1, 3, figsize=(7.2, 2.6))
panels[0].imshow(grey[0, :, :, 0])
panels[0].set_title("image")
for axes, maps, name in ((panels[1], a, "strongest response a"), (panels[2], b, "strongest b, normalised")):
    picture = axes.imshow(maps[0].max(2), vmin=0)
    axes.set_title(name)
    figure.colorbar(picture, ax=axes, shrink=0.8)
for axes in panels:
    axes.axis("off")
show(figure, f"**Figure 5.1.** At each pixel, the strongest of 16 responses to stripes before and after normalisation (the "
             f"paper's constants, pixels from 0 to 255). Each picture has its own scale. Relative to the strongest, weak edges come up, "
             f"wherever they are: strong responses are held down, by themselves and by the other maps. {credit}")

# %% [markdown]
# ## The formula
#
# Call the response of map $i$ at some pixel $a_i$, where $i$ runs from 0 to $C - 1$. The other pixels play no part: only
# the $n$ maps around $i$, at this pixel. The result is
#
# $$b_i = \frac{a_i}{d_i^{\,\beta}}, \qquad d_i = k + \alpha \sum_{j \in W(i)} a_j^2,$$
#
# where $W(i)$ is the window of maps around map $i$:
#
# $$W(i) = \{\max(0,\, i - n/2), \dots, \min(C - 1,\, i + n/2)\},$$
#
# with $n/2$ rounded down. The paper's constants are $k = 2$, $n = 5$, $\alpha = 10^{-4}$, $\beta = 0.75$. So $W(i)$ is map
# $i$ with two neighbours on each side, fewer at the ends. As it reads, one number at a time:

# %%
def local_response_norm(a, n, alpha, beta, k):
    b = np.zeros_like(a)
    N, H, W, C = a.shape
    for image, row, column, i in np.ndindex(a.shape):
        total = 0.0
        for j in range(max(0, i - n // 2), min(C - 1, i + n // 2) + 1):
            total += a[image, row, column, j] ** 2
        b[image, row, column, i] = a[image, row, column, i] / (k + alpha * total) ** beta
    return b

# %% [markdown]
# **Expect** the same as the project's layer, up to rounding. We test with $\alpha = 1$: at $10^{-4}$ and small
# responses the sum hardly counts, and a window that is one map too narrow would pass.

# %%
x = rng.standard_normal((2, 4, 3, 8))
loops_difference = np.abs(local_response_norm(x, 5, 1.0, 0.75, 2.0)
                          - LocalResponseNorm(alpha=1.0).forward(x)[0]).max()
narrow = [np.abs(local_response_norm(x, 3, alpha, 0.75, 2.0)
                 - LocalResponseNorm(alpha=alpha).forward(x)[0]).max()
          for alpha in (1.0, 1e-4)]
print(f"largest difference {loops_difference:.0e}; "
      f"with a window too narrow {narrow[0]:.0e} (α = 1), {narrow[1]:.0e} (α = 1e-4)")
show_source(LocalResponseNorm.forward)
show_source(LocalResponseNorm.window_sum)

# %% [markdown]
# The sum over a window of neighbours is a product with a matrix that has ones near its diagonal, times α.
# **Expect** the loops to be about a hundred times slower.

# %%
x = rng.standard_normal((1, 13, 13, 32))
loops, layer_time = timed(lambda: local_response_norm(x, 5, 1.0, 0.75, 2.0),
                          lambda: norm.forward(x), rounds=3)
print(f"loops {1e3 * loops:.0f} ms, layer {1e3 * layer_time:.2f} ms: "
      f"{loops / layer_time:.0f} times faster")

# %% [markdown]
# ## Scale matters
#
# The formula is not indifferent to scale: $k = 2$ is compared with $\alpha \sum a^2$. Take one map alone, the others zero:
# $b = a / (2 + 10^{-4} a^2)^{0.75}$. For small $a$ this is $a / 2^{0.75} = 0.59\,a$, just a factor. The sum is as
# large as $k$ when $a = \sqrt{2 / 10^{-4}} = 141$. Still farther, $b$ behaves like $a / a^{1.5}$: it *falls*. **Expect** a
# peak.

# %%
alone = np.linspace(0, 600, 1201)
curves = {}
for loud in (0, 100, 200):
    maps = np.zeros((1, 1, len(alone), 3))
    maps[..., 1], maps[..., 2] = alone, loud
    curves[loud] = norm.forward(maps)[0][0, 0, :, 1]
peak = alone[curves[0].argmax()]
print(f"a map alone peaks at a = {peak:g}, with b = {curves[0].max():.1f}")

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(7.2, 3))
for loud, curve in curves.items():
    axes.plot(alone, curve, markevery=100, label=f"neighbour at {loud}")
axes.plot(alone[:200], alone[:200] / 2**0.75, color="0.6", ls="-", marker="", lw=1, label="a / 2^0.75")
axes.set(xlabel="response a (with pixels from 0 to 255)", ylabel="normalised b")
axes.legend()
show(figure, "**Figure 5.2.** What becomes of a response, alone and beside a stronger or weaker neighbour. The neighbour holds it "
             "down (lateral inhibition), most where the response itself is weak. Past its peak, more excitation gives less.")

# %% [markdown]
# Two things follow. With pixels scaled to 0 … 1 and the same weights, responses are 255 times smaller, and the layer does
# nearly nothing but multiply by 0.59. And many libraries (the authors' own code, Caffe, PyTorch) divide their α by $n$: the same
# "α = 1e-4" means a fifth of it. **Expect** both to be visible in the average divisor $d^\beta / k^\beta$. Expect also that half of the responses are
# hardly divided at all: the effect is concentrated in the few strong ones.

# %%
def inhibition(a, alpha):
    """By how much responses are divided, beyond the constant k^β, of the active maps."""
    d = LocalResponseNorm(alpha=alpha).forward(a)[1][1]
    return ((d / 2) ** 0.75)[a > 0]


divisors = {"as printed, pixels 0 … 255": inhibition(a, 1e-4),
            "α / n, pixels 0 … 255": inhibition(a, 1e-4 / 5),
            "as printed, gain 1": inhibition(a / GAIN, 1e-4),
            "as printed, pixels 0 … 1": inhibition(a / 255, 1e-4)}
for name, value in divisors.items():
    print(f"{name:27} divided by {value.mean():.5f} on average, "
          f"by {np.median(value):.5f} at the median, by {value.max():.3f} at most")

# %% [markdown]
# The paper trains on centred "raw" values (§ 2), which we read as the scale 0 … 255. With a gain of 1 the layer does little even so. This project follows the printed α; the α that does what
# the others do is `alpha=1e-4 / 5`.
#
# ## The gradient
#
# Now every $a_i$ occurs in several outputs: in its own $b_i$ (as the numerator and in $d_i$), and in $d_j$ of every map $j$
# that has it in its window. Write $g_j$ for $\partial L/\partial b_j$. The chain rule says
# $\partial a_i = \sum_j g_j\, \partial b_j / \partial a_i$. With $b_j = a_j\, d_j^{-\beta}$, product rule:
#
# $$\frac{\partial b_j}{\partial a_i} = [i = j]\; d_j^{-\beta} \;-\; \beta\, a_j\, d_j^{-\beta - 1}\, \frac{\partial d_j}{\partial a_i},
# \qquad \frac{\partial d_j}{\partial a_i} = 2\,\alpha\, a_i\; [i \in W(j)].$$
#
# (The brackets are 1 if the condition holds, else 0.) Insert the second into the first, and note that
# $a_j\, d_j^{-\beta-1} = b_j / d_j$:
#
# $$\frac{\partial b_j}{\partial a_i} = [i = j]\; d_j^{-\beta} - 2\,\alpha\,\beta\; a_i\,\frac{b_j}{d_j}\; [i \in W(j)].$$
#
# Sum over $j$ with the factors $g_j$:
#
# $$\partial a_i = g_i\, d_i^{-\beta} \;-\; 2\,\alpha\,\beta\; a_i \sum_{j:\; i \in W(j)} g_j\, \frac{b_j}{d_j}.$$
#
# The windows are symmetric: $j$ has $i$ in its window exactly when $i$ has $j$. So the sum is the same window sum as in
# forward, over other numbers. (By this formula $n = 4$ would give the same five maps as
# $n = 5$. A window of just four maps has no centre, and the argument would fail: the project refuses even $n$.)

# %%
show_source(LocalResponseNorm.backward)

# %%
gradient_error = check_layer(LocalResponseNorm(5, alpha=1.0), rng.standard_normal((2, 2, 3, 7)))
print(f"largest relative error against finite differences: {gradient_error:.0e}")

# %% [markdown]
# For $j \ne i$ the second term *is* the lateral inhibition (for $j = i$ it makes the peak of Figure 5.2): raising $a_i$ lowers its neighbours' outputs. Here is the table of all
# $\partial b_j / \partial a_i$ at one pixel with nine maps, built from backward (row $j$ is what comes back for a gradient
# that is 1 in output $j$ and 0 elsewhere). **Expect** a band of five around the diagonal: positive on it (all
# these responses are before their peak), negative beside it.

# %%
pixel = rng.uniform(0.5, 1.5, 9)
repeated = np.tile(pixel, (9, 1, 1, 1)).reshape(9, 1, 1, 9)
strong = LocalResponseNorm(5, alpha=0.5)
jacobian = strong.backward(np.eye(9).reshape(9, 1, 1, 9),
                           strong.forward(repeated)[1])[0].reshape(9, 9)

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(4.6, 3.6))
limit = np.abs(jacobian).max()
picture = axes.imshow(jacobian, vmin=-limit, vmax=limit)
for (row, column), value in np.ndenumerate(jacobian):
    axes.text(column, row, f"{100 * value:.0f}" if value else "", ha="center", va="center", fontsize=8,
              color="white" if value < 0 else BLACK)
axes.set(xlabel="input map i", ylabel="output map j", xticks=range(9), yticks=range(9))
figure.colorbar(picture, label=r"$\partial b_j / \partial a_i$  (in the cells: × 100)")
show(figure, "**Figure 5.3.** The Jacobian of the normalisation at one pixel with nine active maps (α = 0.5, exaggerated so that it can be seen). Before its peak each map "
             "helps its own output (diagonal, light) and holds down the two neighbours on either side (dark); farther away "
             "it has no effect.")

# %% [markdown]
# ## Where the window ends
#
# The paper's maps lie on two GPUs, 48 and 48 after the first layer. Does map 47 compete with map 48? The paper does not say. In the
# authors' code it does not, since it would have to look onto the other card; in Caffe it does. The project's `groups=2`
# stops the window at the border. **Expect** just four maps to differ: two on either side.

# %%
x = rng.uniform(0, 300, (1, 2, 2, 96))
apart, across = LocalResponseNorm(groups=2).forward(x)[0], LocalResponseNorm().forward(x)[0]
differing = np.flatnonzero(np.abs(apart - across).max((0, 1, 2)) > 1e-12)
print("maps that differ:", differing)

# %% [markdown]
# ## Does it help?
#
# An effect of one or two points cannot be measured in a minute. It takes several seeds and error bars, and a small net on small images shows none that can be told
# from chance (chapter [14](14_what_matters.ipynb)). VGG (2014) tried the layer in one of its nets, found no gain, and left it out.
#
# ## Exercises
#
# Solutions are folded. `python notebooks/build.py blank` makes the edition without them.
#
# **1.** A map alone: for which $a$ is $b = a\,(k + \alpha a^2)^{-\beta}$ largest, if $\beta > ½$? Set the derivative to zero. (Figure 5.2 shows
# it for the paper's constants.)

# %% tags=["solution"]
def loudest(k, alpha, beta):
    ### BEGIN SOLUTION
    return np.sqrt(k / (alpha * (2 * beta - 1)))        # k + α a² = 2 α β a²
    ### END SOLUTION

# %% tags=["check"]
constants = [(2, 1e-4, 0.75), (1, 2e-5, 0.6), (3.5, 0.1, 0.9)]
check(lambda: [loudest(*one) for one in constants], [np.sqrt(k / (alpha * (2 * beta - 1))) for k, alpha, beta in constants],
      [([np.sqrt(k / alpha) for k, alpha, beta in constants], "there the sum equals k; the peak is later: β counts as well"),
       ([np.sqrt(2 * k / alpha) for k, alpha, beta in constants], "right for β = 0.75 alone: β belongs into the formula")])

# %% [markdown]
# **2.** Caffe's net has $k = 1$, and its "alpha 0.0001" is divided by 5. Which `LocalResponseNorm` does the same?

# %% tags=["solution"]
caffe = LocalResponseNorm()
### BEGIN SOLUTION
caffe = LocalResponseNorm(5, alpha=1e-4 / 5, beta=0.75, k=1.0)
### END SOLUTION

# %% tags=["check"]
check(lambda: caffe.forward(a)[0][0, ::7, ::7], local_response_norm(a[:, ::7, ::7], 5, 2e-5, 0.75, 1.0)[0],
      [(LocalResponseNorm(k=1.0).forward(a)[0][0, ::7, ::7], "α is as printed: Caffe divides it by 5"),
       (LocalResponseNorm(alpha=2e-5).forward(a)[0][0, ::7, ::7], "k is 1 in Caffe")])

# %% [markdown]
# **3.** Write the backward pass for a window of one map ($n = 1$), where $b = a\,(k + \alpha a^2)^{-\beta}$ entry by entry.

# %% tags=["solution"]
def backward_alone(g, a, k, alpha, beta):
    ### BEGIN SOLUTION
    d = k + alpha * a**2
    return g * d**-beta - 2 * alpha * beta * a * (g * a * d**-beta / d)
    ### END SOLUTION

# %% tags=["check"]
cases = []                                          # (g, a, k, α, β)
for shape, k, alpha, beta in (((2, 3, 2, 4), 2.0, 0.7, 0.75), ((1, 2, 5, 3), 0.8, 1.9, 1.3)):
    cases.append((rng.standard_normal(shape), rng.standard_normal(shape), k, alpha, beta))
right = []
for g, x, k, alpha, beta in cases:
    single = LocalResponseNorm(1, alpha=alpha, beta=beta, k=k)
    right.append(single.backward(g, single.forward(x)[1])[0].ravel())
check(lambda: np.concatenate([np.ravel(backward_alone(*case)) for case in cases]), np.concatenate(right),
      [(np.concatenate([(g * (k + alpha * x**2) ** -beta).ravel() for g, x, k, alpha, beta in cases]), "d depends on a, too: the second term is missing")])

# %% [markdown]
# **4.** How many numbers does the layer keep for backward after the first convolution (55×55×96, one image), if it
# keeps $x$ and $d$? And how many more would it be if it kept $y$ as well?

# %% tags=["solution"]
kept, more = ..., ...
### BEGIN SOLUTION
kept, more = 2 * 55 * 55 * 96, 55 * 55 * 96
### END SOLUTION

# %% tags=["check"]
check(lambda: [kept, more], [580_800, 290_400], [([290_400, 290_400], "x and d are two arrays")])

# %% [markdown]
# ## Three questions
#
# To be answered without a computer.
#
# **1.** All responses at one place double. How does $b$ change where $\alpha \sum a^2$ is much smaller than $k$, and
# where it is much larger?
#
# <details><summary>Answer</summary>
#
# Where it is much smaller the divisor is the constant k^β, so b doubles. Where it is much larger, b is proportional to
# a / (a²)^0.75 = a^−0.5, so b becomes *smaller*, by the factor 0.71.
#
# </details>
#
# **2.** Can normalisation turn a positive response into zero or a negative one?
#
# <details><summary>Answer</summary>
#
# No. The divisor is positive and finite, so signs and zeros stay.
#
# </details>
#
# **3.** How many maps are in the window of maps 0, 1 and 2 of the first layer? And of map 47, the last one of the first
# GPU, if the window stops at the GPU's edge?
#
# <details><summary>Answer</summary>
#
# Three, four and five. Map 47 has three (45 to 47), as in this project's AlexNet; it would have five if the window crossed.
#
# </details>
#
# ## Summary
#
# Each response is divided by a power of $k$ plus the summed squares of the responses in five neighbouring maps at the same pixel. The formula depends on the
# scale: strong responses are held down, if pixels from 0 to 255 and the kernels' gain make them strong enough; with pixels from 0 to 1 and the same weights the layer does nearly nothing. Beyond a peak, which is $a = 200$ for the
# paper's constants, a stronger response gives a weaker output. The gradient is a direct term minus a second window sum, which holds down the neighbours. A
# library that divides α by five, or a window that crosses from one GPU's maps to the other's, computes another layer.
#
# Next: [06, Overlapping pooling](06_overlapping_pooling.ipynb), which stands behind this layer.
#
# ## What this chapter claimed
#
# If this cell runs, the text is true on your machine.

# %% tags=["claims"]
assert loops_difference < 1e-14 and narrow[0] > 1e-2 and narrow[1] < 1e-3
assert loops > 20 * layer_time
assert peak == 200 and abs(curves[0][1] / alone[1] - 2**-0.75) < 1e-4 and (curves[200] <= curves[0]).all()
average = {name: value.mean() for name, value in divisors.items()}
assert average["as printed, pixels 0 … 255"] > average["α / n, pixels 0 … 255"] > 1.001 > average["as printed, pixels 0 … 1"]
assert average["as printed, gain 1"] < 1.01 and np.median(divisors["as printed, pixels 0 … 255"]) < 1.001
assert all(np.allclose(s * np.maximum(s * stripes.params["W"], 0).sum((0, 1, 2)), 2 * s, atol=0.01) for s in (1, -1))
assert round(a.max()) == 148 and (pixel < np.sqrt(2 / (0.5 * 0.5))).all()                       # before the peak
assert gradient_error < 1e-6
near = abs(np.subtract.outer(range(9), range(9)))
assert (jacobian[near == 0] > 0).all() and (jacobian[(near > 0) & (near < 3)] < 0).all() and (jacobian[near > 2] == 0).all()
assert differing.tolist() == [46, 47, 48, 49]
print("All of it holds.")
