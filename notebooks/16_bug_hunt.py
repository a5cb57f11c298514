# %% [markdown]
# # 16 Bug hunt
#
# **What the paper says.** It gives each layer's formula (§ 3.1, 3.3 to 3.5, 4.2) and no gradient. Nothing about tests. A net
# with a wrong layer usually still learns, only worse, so a falling loss proves little.
#
# **The question.** Here are ten layers, A to J. Each is one of the project's layers with one bug, of a kind that has been
# made in real programs, and each passes a test that looks reasonable. Which test would have found it?
#
# You need chapters [02](02_a_layer_and_its_gradient.ipynb), [03](03_convolution.ipynb),
# [05](05_local_response_normalisation.ipynb) and [06](06_overlapping_pooling.ipynb). About an hour and a half.
# All chapters: [README](README.md).

# %%
import matplotlib.pyplot as plt
import numpy as np

import tools                                # puts the project's folder on the path
from tools import BLACK, check, show, show_source
from nn import Conv2d, Dropout, LocalResponseNorm, MaxPool2d, ReLU, SoftmaxCrossEntropy, check_layer
from nn.fast.rowwise import correlate, dilate, turn
from nn.layer import Layer

rng = np.random.default_rng(16)

# %% [markdown]
# The suspects are made in the next cell, which is folded. **Leave it folded until you have answered**: it holds every bug. Their
# constructors and methods are those of the layers they imitate:
#
# | | A | B | C | D | E | F | G | H | I | J |
# |---|---|---|---|---|---|---|---|---|---|---|
# | imitates | `LocalResponseNorm` | `MaxPool2d` | `Conv2d` | `ReLU` | `MaxPool2d` | `SoftmaxCrossEntropy` | `Conv2d` | `Conv2d` | `LocalResponseNorm` | `Dropout` |

# %% tags=["suspects"]
# The suspects. Each comment is an answer.
class A(LocalResponseNorm):
    def backward(self, dy, cache):                              # the gradient's second term lacks its factor 2
        x, d = cache
        return (super().backward(dy, cache)[0] + dy / d**self.beta) / 2, {}


class B(MaxPool2d):
    def backward(self, dy, cache):                              # assigns where it should add
        winner, shape, maps = cache
        dx = np.zeros(shape, dy.dtype)
        for number, place in enumerate(self.places(dx)):
            np.copyto(place, dy, where=winner == number)
        return dx[:, :maps[1], :maps[2]], {}


class C(Conv2d):
    def backward(self, dy, cache):                              # the input's gradient forgets the stride
        height, width = (length + self.size - 1 for length in cache.shape[1:3])
        spread = dilate(dy[:, :height - self.size + 1, :width - self.size + 1], height, width,
                        self.size - 1 - self.before, 1)
        dx = correlate(spread, turn(self.params["W"], self.groups), 1, self.groups)
        return dx.transpose(1, 0, 2, 3), super().backward(dy, cache)[1]


class D(ReLU):
    def forward(self, x, train=True):                           # writes into its input
        y = np.maximum(x, 0, out=x)
        return y, (y if train else None)


class E(MaxPool2d):
    def forward(self, x, train=True):                           # keeps its maximum in float32, whatever x is
        y = super().forward(x, train)[0]
        return y, (x, y.astype(np.float32))

    def backward(self, dy, cache):                              # and looks for entries equal to it
        x, y = cache
        dx = np.zeros_like(x)
        for place, seen in zip(self.places(dx), self.places(x)):
            place += dy * (seen == y)
        return dx, {}


class F(SoftmaxCrossEntropy):
    def backward(self, cache):                                  # not divided by N
        return super().backward(cache) * len(cache[1])


class G(Conv2d):
    def __init__(self, *arguments, **named):                    # padding on the wrong side
        super().__init__(*arguments, **named)
        self.before, self.after = self.after, self.before


class H(Conv2d):
    def swap(self, x):                                          # groups read each other's channels, both ways
        apart = x.reshape(*x.shape[:3], self.groups, -1)
        return apart[..., ::-1, :].reshape(x.shape)

    def forward(self, x, train=True):
        return super().forward(self.swap(x), train)

    def backward(self, dy, cache):
        dx, grads = super().backward(dy, cache)
        return self.swap(dx), grads


class I(LocalResponseNorm):
    def band(self, C):                                          # a window of four
        away = np.arange(C)[:, None] - np.arange(C)
        return (abs(away) <= self.size // 2) & (away > -(self.size // 2))

    def forward(self, x, train=True):
        d = self.k + self.alpha * (x * x) @ self.band(x.shape[3])
        return x / d**self.beta, (x, d)

    def backward(self, dy, cache):                              # the right gradient of the wrong forward
        x, d = cache
        direct = dy / d**self.beta
        return direct - 2 * self.alpha * self.beta * x * ((direct * x / d) @ self.band(x.shape[3]).T), {}


class J(Dropout):
    def forward(self, x, train=True, **named):                  # left on at test time
        return super().forward(x, True, **named)

# %% [markdown]
# ## A picture first
#
# Two gradients of the same normalisation at the same $x$ and $g$, with the paper's constants: one by the project's layer, one by A. **Expect**
# to see no difference between them; the third panel is their difference, on a scale of its own.

# %%
x, g = rng.uniform(0.5, 1.5, (1, 1, 12, 16)), rng.standard_normal((1, 1, 12, 16))
right, wrong = (layer.backward(g, layer.forward(x)[1])[0][0, 0]
                for layer in (LocalResponseNorm(), A()))
print(f"gradients up to {np.abs(right).max():.2f}, "
      f"differences up to {np.abs(right - wrong).max():.5f}")

# %% tags=["figure"]
figure, panels = plt.subplots(1, 3, figsize=(7.2, 2.4), sharey=True)
for axes, values, name in zip(panels, (right, wrong, wrong - right), ("the project's layer", "A", "their difference")):
    limit = np.abs(right if axes is not panels[2] else values).max()
    picture = axes.imshow(values, vmin=-limit, vmax=limit)
    axes.set(title=name, xlabel="map i")
    figure.colorbar(picture, ax=axes, shrink=0.7)
panels[0].set_ylabel("position")
show(figure, "**Figure 16.1.** The gradient of the normalisation's input by the project's layer and by suspect A. They look the same; the "
             "difference is thousands of times smaller.")

# %% [markdown]
# ## The instrument
#
# For a layer $y = f(x, w)$ and random numbers $g$ of the shape of $y$ (the code's `dy`), `check_layer` takes $L = \sum g \cdot y$.
# Backward computes $\partial L/\partial x$ and $\partial L/\partial w$. Two forward passes estimate them, entry by entry, with
# $h = 10^{-5}$:
#
# $$\frac{\partial L}{\partial x_i} \approx \frac{L(x_i + h) - L(x_i - h)}{2h}$$
#
# These are its last lines (chapter [02](02_a_layer_and_its_gradient.ipynb) shows all). What does it compare, and what
# does it never look at?

# %%
show_source(check_layer, "worst = 0.0")

# %% [markdown]
# Two things follow from the source. It compares backward **with the layer's own forward**, so a wrong forward with the
# right derivative passes. And it tests **the layer and the $x$ that it is given**: we choose their shapes, constants and
# values. Its tolerance is $10^{-6}$, as float64 allows; tests written for float32 often settle for $10^{-3}$.
#
# ## The first case, solved together: A
#
# A imitates the normalisation $y_i = x_i\,d_i^{-\beta}$ with $d_i = k + \alpha \sum_j x_j^2$. Tested as one would test it first, with the
# paper's $\alpha = 10^{-4}$, inputs of about 1, a $g$ of ones and a tolerance of $10^{-3}$, **expect** it to pass.

# %%
x = rng.uniform(0.5, 1.5, (2, 3, 2, 7))
ones = np.ones(x.shape)
comfortable_error = check_layer(A(5, alpha=1e-4), x, ones, tolerance=1e-3)
print(f"A passes: its largest relative error is {comfortable_error:.1e}")


# %% [markdown]
# The part of the gradient that $\alpha$ multiplies is about a thousand times smaller than the rest, so an error in it hides. With
# $\alpha$ near 1 both terms count. **Expect** the same check to fail.

# %%
def sentence(trial):
    """What the trial says when it fails; None when it passes."""
    try:
        trial()
    except tools.NotYet:
        raise
    except AssertionError as error:
        return str(error)


said = sentence(lambda: check_layer(A(5, alpha=1.0), x, ones, tolerance=1e-3))
print(said)


# %% [markdown]
# How wrong is A as a function of $\alpha$? We need the error and no verdict, so the next cell sets the tolerance to infinity. **Expect**
# a line through the origin for small $\alpha$: ten times the $\alpha$, ten times the error.

# %%
alphas = 10.0 ** np.arange(-6, 1)
errors = {kind.__name__: [check_layer(kind(5, alpha=alpha), x, ones, tolerance=np.inf)
                          for alpha in alphas]
          for kind in (LocalResponseNorm, A)}
print("A:", "  ".join(f"{error:.0e}" for error in errors["A"]))

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(6.4, 3.6))
axes.loglog(alphas, errors["A"], label="A")
axes.loglog(alphas, errors["LocalResponseNorm"], label="the project's layer")
for level, name in ((1e-3, "tolerance $10^{-3}$"), (1e-6, "tolerance $10^{-6}$")):
    axes.axhline(level, color=BLACK, linewidth=0.8, linestyle=":")
    axes.text(2e-6, level * 0.75, name, va="top", fontsize=9)
axes.axvline(1e-4, color=BLACK, linewidth=0.8)
axes.text(1.2e-4, 3e-9, "the paper's α", fontsize=9)
axes.set(xlabel="α (no unit)", ylabel="largest relative error", ylim=(1e-11, 30))
axes.legend(loc="center right", bbox_to_anchor=(1, 0.31))
show(figure, "**Figure 16.2.** The largest relative error of the gradient against α. At the paper's α, suspect A lies under a tolerance "
             "of 10⁻³ and over one of 10⁻⁶; from α = 0.001 on, either finds it.")

# %% [markdown]
# The gradient of $x$ is wrong, and there is no other gradient. As $\alpha \to 0$ only the first term is left, and it is right.
# So the second term is wrong. To see how, divide what is by what should be: if the formula is right but for a factor, **expect** a single
# number, everywhere.

# %%
honest, suspect = LocalResponseNorm(5, alpha=1.0), A(5, alpha=1.0)
g = rng.standard_normal(x.shape)
first_term = g / honest.forward(x)[1][1] ** 0.75
second, second_of_A = (layer.backward(g, layer.forward(x)[1])[0] - first_term
                       for layer in (honest, suspect))
ratio = second_of_A / second
print(f"A's second term is {ratio.min():.6f} to {ratio.max():.6f} times the right one: "
      "the 2 of (x²)' = 2x is missing")

# %% [markdown]
# ## Nine more
#
# Now the others, each in a test of the same easy sort: small round sizes, one image where that is usual, an $x$ of whole
# numbers for pooling (no ties). **Expect** all ten to pass.

# %%
whole = rng.permutation(1 * 4 * 6 * 2).reshape(1, 4, 6, 2) - 20.0       # distinct whole numbers
maps = rng.standard_normal((1, 5, 5, 4))
signs = rng.uniform(0.1, 1, (2, 6)) * rng.choice([-1, 1], (2, 6))       # nothing near ReLU's kink


class AsLayer(Layer):
    """A loss as a layer, so that check_layer takes it: y is the loss, (1,)."""

    def __init__(self, loss, labels):
        super().__init__()
        self.loss, self.labels = loss, labels

    def forward(self, x, train=True):
        loss, cache = self.loss.forward(x, self.labels)
        return loss.reshape(1), cache

    def backward(self, dy, cache):
        return dy * self.loss.backward(cache), {}


def relu_is_the_formula(R):
    wanted = np.maximum(0, signs)
    y, cache = R().forward(signs.copy())
    assert (np.array_equal(y, wanted)
            and np.array_equal(R().backward(np.ones_like(y), cache)[0], wanted > 0))


comfortable = {
    A: lambda Norm: check_layer(Norm(), x, ones, tolerance=1e-3),
    B: lambda Pool: check_layer(Pool(2, 2), whole),
    C: lambda Conv: check_layer(Conv(4, 2, 3, padding=1), maps),
    D: relu_is_the_formula,
    E: lambda Pool: check_layer(Pool(2, 2), whole),
    F: lambda Loss: check_layer(AsLayer(Loss(), np.array([2])), rng.standard_normal((1, 5))),
    G: lambda Conv: check_layer(Conv(4, 2, 3, padding=1), maps),
    H: lambda Conv: check_layer(Conv(4, 2, 3, groups=2), maps),
    I: lambda Norm: check_layer(Norm(), x),
    J: lambda Drop: check_layer(Drop(0.5), rng.standard_normal((2, 9)), key=(1,)),
}
acquitted = {kind.__name__: sentence(lambda: trial(kind)) is None
             for kind, trial in comfortable.items()}
print("acquitted:", *(name for name, passes in acquitted.items() if passes))


# %% [markdown]
# Each of these is a test that one might well write first, and each misses the bug of its suspect.
#
# ## Exercises
#
# Solutions are folded. `python notebooks/build.py blank` makes the edition without them.
#
# In each you write a trial: a function that takes the class of a layer and raises `AssertionError` if it finds the
# layer wrong, through `check_layer` or `assert`. It must acquit the project's layer and convict the suspect. `court`
# tries both, each under another name, so that only what they compute counts: 1 is acquitted, 0 is convicted, and a good
# trial gives `[1, 0]`.
#
# Find the bug first, by calling the suspect in cells of your own: what does it do when the stride, the padding, the
# groups, the batch, the values change? The solution says what the bug is.

# %%
def court(trial, honest, suspect, forbidden=lambda layer: False):
    """[does the project's layer pass?, does the suspect?] as 1 and 0. forbidden: what the trial
    may not compare with."""
    class Guarded(honest):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            if forbidden(self):
                raise tools.NotYet("compare with the formula, "
                                   "not with the project's own layer of this kind")

    own, trial.__globals__[honest.__name__] = trial.__globals__[honest.__name__], Guarded
    try:
        return [int(sentence(lambda: trial(type("Layer", (kind,), {}))) is None)
                for kind in (honest, suspect)]
    finally:
        trial.__globals__[honest.__name__] = own


VERDICTS = [([1, 1], "the suspect is acquitted: your trial does not see its bug"),
            ([0, 0], "the project's layer is convicted as well: "
                     "your trial asks for something that is not so"),
            ([0, 1], "the project's layer is convicted and the suspect is not: "
                     "is the comparison the wrong way round?")]

# %% [markdown]
# **1.** B is a pooling and C a convolution. Both passed `check_layer`; both fail it with other *arguments*. Which? (For
# pooling, see that no two values are within $h$ of each other: `rng.permutation` helps.)

# %% tags=["solution"]
def trial_B(Pool):
    ### BEGIN SOLUTION
    # B's backward assigns: a pixel that wins two windows keeps one gradient. With 2/2 the windows do not overlap, and
    # no pixel can win two. So: windows that overlap.
    check_layer(Pool(3, 2), rng.permutation(2 * 7 * 9 * 3).reshape(2, 7, 9, 3) / 8)
    ### END SOLUTION


def trial_C(Conv):
    ### BEGIN SOLUTION
    # C's input gradient forgets to spread dy by the stride, which changes nothing at stride 1.
    check_layer(Conv(2, 3, 3, stride=2), rng.standard_normal((2, 7, 9, 2)))
    ### END SOLUTION

# %% tags=["check"]
check(lambda: court(trial_B, MaxPool2d, B) + court(trial_C, Conv2d, C), [1, 0, 1, 0],
      [([*b, *c], "; ".join(f"{name}: {said}" for name, said in (("B", B_said), ("C", C_said)) if said))
       for b, B_said in [*VERDICTS, ([1, 0], "")] for c, C_said in [*VERDICTS, ([1, 0], "")]])

# %% [markdown]
# **2.** D gives the right $y$ and the right gradient. What else does a layer owe its caller?

# %% tags=["solution"]
def trial_D(R):
    ### BEGIN SOLUTION
    # D writes into its input, which another layer may have kept for its own backward. check_layer looks at this.
    check_layer(R(), signs)
    ### END SOLUTION

# %% tags=["check"]
check(lambda: court(trial_D, ReLU, D), [1, 0], VERDICTS)

# %% [markdown]
# **3.** E passes with whole numbers. Which $x$, with the same `Pool(2, 2)`, does it fail with? And would a check that
# runs in float32 have found it?

# %% tags=["solution"]
def trial_E(Pool):
    ### BEGIN SOLUTION
    # E keeps the maximum in float32 and gives the gradient to the entries that equal it. Whole numbers survive the
    # cast; thirds do not, and then nothing is equal: the gradient is 0. In float32 the cast does nothing: not found.
    check_layer(Pool(2, 2), whole / 3)
    ### END SOLUTION

# %% tags=["check"]
check(lambda: court(trial_E, MaxPool2d, E), [1, 0], VERDICTS)

# %% [markdown]
# **4.** F is the loss $-\frac{1}{N} \sum_n \log p_n$, where $p_n$ is the probability given to image $n$'s label.
# `AsLayer` makes a layer of it.

# %% tags=["solution"]
def trial_F(Loss):
    ### BEGIN SOLUTION
    # F's gradient is not divided by N, which was 1. (It acts as a learning rate N times as large.)
    check_layer(AsLayer(Loss(), np.array([2, 0, 4])), rng.standard_normal((3, 5)))
    ### END SOLUTION

# %% tags=["check"]
check(lambda: court(trial_F, SoftmaxCrossEntropy, F), [1, 0], VERDICTS)

# %% [markdown]
# From here on `check_layer` is no help: forward itself is wrong, and backward is the right derivative of the wrong
# forward. Something else must say what $y$ ought to be: the formula, or two ways to the same result. (The project's own
# layer of the same kind is no second way; the check does not accept it.)
#
# **5.** G is a convolution whose padding may be a pair. What should `Conv(2, 3, 3, padding=(0, 1))` equal, if you pad
# $x$ yourself? (Set `params` to random numbers; a layer begins with zeros.)

# %% tags=["solution"]
def trial_G(Conv):
    ### BEGIN SOLUTION
    # G pads before where it should pad after; equal pads hide it. The 2012 code's (0, 3) in conv1 would shift every map.
    padded, plain, x = Conv(2, 3, 3, padding=(0, 1)), Conv2d(2, 3, 3), rng.standard_normal((2, 6, 5, 2))
    padded.params = plain.params = {name: rng.standard_normal(p.shape) for name, p in plain.params.items()}
    by_hand = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
    assert np.allclose(padded.forward(x)[0], plain.forward(by_hand)[0])
    ### END SOLUTION

# %% tags=["check"]
check(lambda: court(trial_G, Conv2d, G, forbidden=lambda layer: layer.before != layer.after), [1, 0], VERDICTS)

# %% [markdown]
# **6.** H is a convolution whose kernels see only their own group's channels: with $G = 2$ it is two convolutions side
# by side (§ 3.2). Test that.

# %% tags=["solution"]
def trial_H(Conv):
    ### BEGIN SOLUTION
    # H's groups read each other's channels: the first half of the kernels sees the second half of the channels.
    layer, half, x = Conv(4, 6, 3, groups=2), Conv2d(2, 3, 3), rng.standard_normal((2, 5, 6, 4))
    layer.params = {name: rng.standard_normal(p.shape) for name, p in layer.params.items()}
    W, b = layer.params["W"], layer.params["b"]
    sides = []
    for channels, kernels in ((slice(0, 2), slice(0, 3)), (slice(2, 4), slice(3, 6))):
        half.params = {"W": W[..., kernels], "b": b[kernels]}
        sides.append(half.forward(x[..., channels])[0])
    assert np.allclose(layer.forward(x)[0], np.concatenate(sides, 3))
    ### END SOLUTION

# %% tags=["check"]
check(lambda: court(trial_H, Conv2d, H, forbidden=lambda layer: layer.groups > 1), [1, 0], VERDICTS)

# %% [markdown]
# **7.** I is a normalisation. Write the formula $y_i = x_i\,(k + \alpha \sum_{j=i-2}^{i+2} x_j^2)^{-\beta}$ as a loop
# over the maps and compare. Allow for a relative error of $10^{-3}$, as tests of half precision do: the check also
# tries a layer that is right but rounds to about four digits. Think of the first case when you choose $\alpha$.

# %% tags=["solution"]
def trial_I(Norm):
    ### BEGIN SOLUTION
    # I's window has four maps. At α = 1e-4 the results differ by less than 1e-3: choose α = 1.
    x = rng.standard_normal((2, 3, 2, 9))
    wanted = [x[..., i] / (2 + (x[..., max(0, i - 2):i + 3] ** 2).sum(3)) ** 0.75 for i in range(9)]
    assert np.allclose(Norm(5, alpha=1.0).forward(x)[0], np.stack(wanted, 3), rtol=1e-3)
    ### END SOLUTION

# %% tags=["check"]
class FourDigits(LocalResponseNorm):
    def forward(self, x, train=True):
        y, cache = super().forward(x, train)
        return y * (1 + 3e-4 * np.sin(np.arange(y.size)).reshape(y.shape)), cache


check(lambda: court(trial_I, LocalResponseNorm, I, forbidden=lambda layer: True) + court(trial_I, FourDigits, I)[:1], [1, 0, 1],
      [([1, 1, 1], "I is acquitted: at the paper's α a missing map changes less than the tolerance"), ([1, 0, 0], "the layer that rounds to four digits is convicted: allow for 10⁻³"),
       *(([*pair, last], said) for pair, said in VERDICTS for last in (0, 1))])

# %% [markdown]
# **8.** J is dropout. `check_layer` called it with `train=True`. What does the paper (§ 4.2) say about the other case?

# %% tags=["solution"]
def trial_J(Drop):
    ### BEGIN SOLUTION
    # J still drops neurons at test time, when all of them should be used, times 1 − rate.
    x = rng.standard_normal((3, 40))
    assert np.allclose(Drop(0.5).forward(x, train=False)[0], 0.5 * x)
    ### END SOLUTION

# %% tags=["check"]
check(lambda: court(trial_J, Dropout, J, forbidden=lambda layer: True), [1, 0], VERDICTS)

# %% [markdown]
# ## The file closed
#
# Three kinds of trial have been used. Here they are for all ten: the comfortable tests; `check_layer` at its own
# tolerance, with strides, overlaps, groups, uneven pads, three images, fractions and $\alpha = 1$; and the formulas, in
# loops, compared with $y$ in training and at test. **Expect** no conviction in the first row, A to F in the second, and
# G to J in the third. (The next cell is folded, as it holds answers.)

# %% tags=["suspects"]
# What finds which suspect: arguments that are awkward enough, and the formulas in loops.
norm_x, conv_x = rng.standard_normal((3, 2, 3, 9)), rng.standard_normal((3, 7, 6, 4))
pool_x = rng.permutation(3 * 7 * 6 * 2).reshape(3, 7, 6, 2) / 7
logits, labels = rng.standard_normal((3, 5)), np.array([2, 0, 4])
awkward = {
    LocalResponseNorm: lambda Norm: check_layer(Norm(5, alpha=1.0), norm_x),
    MaxPool2d: lambda Pool: check_layer(Pool(3, 2), pool_x),
    Conv2d: lambda Conv: check_layer(Conv(4, 2, 3, stride=2, padding=(0, 1), groups=2), conv_x),
    ReLU: lambda R: check_layer(R(), signs),
    SoftmaxCrossEntropy: lambda Loss: check_layer(AsLayer(Loss(), labels), logits),
    Dropout: lambda Drop: check_layer(Drop(0.5), logits, key=(1,)),
}


def same(a, b):
    assert np.allclose(a, b, rtol=1e-9, atol=1e-12)


def norm_by_formula(Norm):
    y, x = Norm(5, alpha=1.0).forward(norm_x)[0], norm_x
    for i in range(9):
        same(y[..., i], x[..., i] / (2 + sum(x[..., j] ** 2 for j in range(max(0, i - 2), min(8, i + 2) + 1))) ** 0.75)


def pool_by_formula(Pool):
    y = Pool(3, 2).forward(pool_x)[0]
    for n, p, q, c in np.ndindex(y.shape):
        same(y[n, p, q, c], max(pool_x[n, 2 * p + i, 2 * q + j, c] for i in range(3) for j in range(3)))


def convolution_by_formula(Conv):
    layer = Conv(4, 2, 3, 2, (0, 1), 2)
    W, b = rng.standard_normal((3, 3, 2, 2)), rng.standard_normal(2)
    layer.params = {"W": W, "b": b}
    y, x = layer.forward(conv_x)[0], np.pad(conv_x, ((0, 0), (0, 1), (0, 1), (0, 0)))
    for n, p, q, k in np.ndindex(y.shape):                                  # kernel k is group k, with channels 2k and 2k + 1
        same(y[n, p, q, k], b[k] + sum(W[r, s, c, k] * x[n, 2 * p + r, 2 * q + s, 2 * k + c] for r, s, c in np.ndindex(3, 3, 2)))


def relu_by_formula(R):
    same(R().forward(signs.copy())[0], np.where(signs > 0, signs, 0))


def loss_by_formula(Loss):
    p = [np.exp(row[label]) / np.exp(row).sum() for row, label in zip(logits, labels)]
    same(Loss().forward(logits, labels)[0], -np.log(p).mean())


def dropout_by_formula(Drop):
    y, kept = Drop(0.5).forward(logits, key=(1,))
    same(y, np.where(kept, logits, 0))
    same(Drop(0.5).forward(logits, train=False)[0], 0.5 * logits)


by_formula = dict(zip(awkward, (norm_by_formula, pool_by_formula, convolution_by_formula, relu_by_formula, loss_by_formula, dropout_by_formula)))
suspects = list(comfortable)
convicted = np.array([[sentence(lambda: trial(kind)) is not None for kind, trial in comfortable.items()],
                      [sentence(lambda: awkward[kind.__base__](kind)) is not None for kind in suspects],
                      [sentence(lambda: by_formula[kind.__base__](kind)) is not None for kind in suspects]])
innocent = [sentence(lambda: trial(kind)) is None for trials in (awkward, by_formula) for kind, trial in trials.items()]
for name, row in zip(("comfortable", "check_layer, awkward", "the formula"), convicted):
    print(f"{name:22}", *(kind.__name__ if found else "·" for kind, found in zip(suspects, row)))

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(7.2, 2.2))
axes.imshow(~convicted, vmin=-1.5, vmax=1, aspect="auto")
for (row, column), found in np.ndenumerate(convicted):
    axes.text(column, row, "found" if found else "–", ha="center", va="center", fontsize=9, color=BLACK)
axes.set_xticks(range(10), [kind.__name__ for kind in suspects])
axes.set_yticks(range(3), ["comfortable tests", "check_layer,\nawkward", "the formula"])
axes.set_xlabel("suspect")
axes.spines[:].set_visible(False)
axes.tick_params(length=0)
show(figure, "**Figure 16.3.** Which kind of trial finds which suspect. The two lower rows share no suspect: a gradient check and a "
             "comparison of forward with the formula look at different things, and a layer needs both.")

# %% [markdown]
# What to take along, for tests of your own:
#
# - strides over 1, windows that overlap, two groups, uneven pads, $H \ne W$, $N = 3$: whatever is 1 or equal by default
# hides a bug;
#
# - constants at which every term counts, whatever the paper's are;
#
# - float64, fractions, a tight tolerance, and a random $g$;
#
# - a second way to $y$, for training and for test, because no gradient check can see a wrong forward.
#
# The project's own collection of planted bugs is [tests/mutants.py](../tests/mutants.py), and each of them must be
# found by a test.
#
# ## Three questions
#
# To be answered without a computer.
#
# **1.** A layer's forward pass uses a wrong constant, and its backward pass is the exact derivative of that. What does
# `check_layer` say?
#
# <details><summary>Answer</summary>
#
# Nothing: the layer passes. A gradient check compares backward with the layer's own forward. Only a second way to y
# finds the constant.
#
# </details>
#
# **2.** All your test inputs have $H = W$. Which kind of bug stays hidden?
#
# <details><summary>Answer</summary>
#
# Height and width that are swapped: in an index, a shape, or the order of a kernel's loops.
#
# </details>
#
# **3.** One layer's gradient is twice as large as it should be, and the loss still falls. Why is that no surprise?
#
# <details><summary>Answer</summary>
#
# A step lowers the loss if it points roughly downhill. A wrong factor for some of the weights keeps every one of them
# going downhill, only at another rate.
#
# </details>
#
# ## Summary
#
# A gradient check compares a backward pass with the layer's own forward pass. So it finds A to F, if the arguments are
# awkward enough, and can never find G to J. For these something else must say what $y$ is: the formula in loops, or a
# second way to the same result. Default values hide bugs: stride 1, one image, equal sides, one group, small constants.
# A falling loss proves little, since a net with a wrong layer usually learns something.
#
# Next: [17, Many machines](17_many_machines.ipynb), where one run is shared by many processes.
#
# ## What this chapter claimed
#
# If this cell runs, the text is true on your machine.

# %% tags=["claims"]
assert 1 / 2000 < 2 * comfortable_error < 1 / 500                           # half of the second term, about a thousandth
assert "gradient of x[" in said
assert 2000 < np.abs(right).max() / np.abs(right - wrong).max() < 20_000      # Figure 16.1
assert max(errors["LocalResponseNorm"]) < 1e-6
slope = np.diff(np.log10(errors["A"]))[:3]
assert (abs(slope - 1) < 0.1).all() and all(error > 1e-3 for alpha, error in zip(alphas, errors["A"]) if alpha > 0.0009)
assert 1e-6 < errors["A"][2] < 1e-3                                         # at the paper's α
assert np.allclose(ratio, 0.5, atol=1e-6)
assert all(acquitted.values()) and len(acquitted) == 10
assert not convicted[0].any()
assert [kind.__name__ for kind, found in zip(suspects, convicted[1]) if found] == list("ABCDEF")
assert [kind.__name__ for kind, found in zip(suspects, convicted[2]) if found] == list("GHIJ")
assert all(innocent)
single = np.float32(whole / 3)                                              # exercise 3: in float32, E is right
assert np.array_equal(*(P(2, 2).backward(np.ones((1, 2, 3, 2), np.float32), P(2, 2).forward(single)[1])[0] for P in (E, MaxPool2d)))
close = LocalResponseNorm().forward(x)[0] / I().forward(x)[0] - 1           # exercise 7
assert 1e-6 < np.abs(close).max() < 1e-3
print("All of it holds.")
