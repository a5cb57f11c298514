# %% [markdown]
# # 16 Bug hunt
#
# **What the paper says.** It gives each layer's formula (§ 3.1, 3.3 to 3.5, 4.2) and no gradient. Nothing about tests.
# A net with a wrong layer often still learns, only worse, so a falling loss proves little.
#
# **The question.** Here are ten layers, A to J. Each is one of the project's layers with one bug, of a kind that has
# been made in real programs, and each passes a test that looks reasonable. Which test would have found it?
#
# You need chapters [02](02_a_layer_and_its_gradient.ipynb), [03](03_convolution.ipynb),
# [05](05_local_response_normalisation.ipynb) and [06](06_overlapping_pooling.ipynb), and [10](10_dropout.ipynb) for
# exercise 8. About an hour and a half. All chapters: [README](README.md).

# %%
import matplotlib.pyplot as plt
import numpy as np

from tools import VERDICTS, check, court, sentence, show, show_source
from nn import Conv2d, Dropout, LocalResponseNorm, MaxPool2d, ReLU, SoftmaxCrossEntropy, check_layer
from nn.fast.rowwise import correlate, dilate, turn
from nn.layer import Layer

rng = np.random.default_rng(16)

# %% [markdown]
# The suspects are made in the next cell, which is folded. **Leave it folded until you have answered**: it holds every
# bug. Their constructors and methods are those of the layers they imitate:
#
# | | A | B | C | D | E | F | G | H | I | J |
# |---|---|---|---|---|---|---|---|---|---|---|
# | imitates | `LocalResponseNorm` | `MaxPool2d` | `Conv2d` | `ReLU` | `MaxPool2d` | `SoftmaxCrossEntropy` | `Conv2d` | `Conv2d` | `LocalResponseNorm` | `Dropout` |
#
# These take `LocalResponseNorm(size, alpha, beta, k)`, `MaxPool2d(size, stride)`, `Conv2d(channels, kernels, size,
# stride, padding, groups)`, `Dropout(rate)`; `ReLU` and the loss take nothing. All have `forward` and `backward`; the
# loss has `forward(logits, labels)`.

# %% tags=["suspects"]
# The suspects. Each comment is an answer.
class A(LocalResponseNorm):
    def backward(self, dy, cache):                              # the gradient's second term lacks its factor 2
        x, d = cache
        return (super().backward(dy, cache)[0] + dy / d**self.beta) / 2, {}


class B(MaxPool2d):
    def backward(self, dy, cache):                              # assigns where it should add
        kept, shape, maps = cache
        dx = np.zeros(shape, dy.dtype)
        for place, won in zip(self.places(dx), self.winners(kept)):
            np.copyto(place, dy, where=won)
        return dx[:, :maps[1], :maps[2]], {}


class C(Conv2d):
    def backward(self, dy, cache):                              # the input's gradient forgets the stride
        height, width = (length + self.size - 1 for length in cache.shape[1:3])
        spread = dilate(dy, height, width, self.size - 1 - self.before, 1)
        dx = correlate(spread, turn(self.params["W"], self.groups), 1, self.groups)
        return dx.transpose(1, 0, 2, 3), super().backward(dy, cache)[1]


class D(ReLU):
    def forward(self, x, train=True):                           # writes into its input
        y = np.maximum(x, 0, out=x)
        return y, (y if train else None)


class E(MaxPool2d):                                             # gives the gradient to what equals the maximum,
    def __init__(self, size=3, stride=2):                       # which it keeps in float32, whatever x is
        super().__init__(size, stride, ties="all")

    def winners(self, kept):
        x, y = kept
        return super().winners((x, y.astype(np.float32)))


class F(SoftmaxCrossEntropy):
    def backward(self, cache):                                  # not divided by N
        return super().backward(cache) * len(cache[1])


class G(Conv2d):
    def __init__(self, *arguments, **named):                    # padding on the wrong side
        super().__init__(*arguments, **named)
        self.before, self.after = self.after, self.before


class H(Conv2d):
    def group(self, g):                                         # groups read each other's channels
        return super().group(self.groups - 1 - g)[0], super().group(g)[1]


class I(LocalResponseNorm):                                     # a window of four, and the gradient of that
    def window_sum(self, a, factor):
        away = np.arange(a.shape[3])[:, None] - np.arange(a.shape[3])
        near = (abs(away) <= self.size // 2) & (away > -(self.size // 2))
        return factor * (a @ (near if factor > 0 else near.T))  # the factor is α in forward, −2αβ in backward


class J(Dropout):
    def forward(self, x, train=True, **named):                  # left on at test time
        return super().forward(x, True, **named)

# %% [markdown]
# ## A picture first
#
# Two gradients of the same normalisation, of the same $x$ and for the same gradient $g$ of its output, with the paper's
# constants: one by the project's layer, one by A. **Expect** to see no difference between them; the third panel is
# their difference, on a scale of its own.

# %%
x, g = rng.uniform(0.5, 1.5, (1, 1, 12, 16)), rng.standard_normal((1, 1, 12, 16))
right, wrong = (layer.backward(g, layer.forward(x)[1])[0][0, 0]
                for layer in (LocalResponseNorm(), A()))
print(f"gradients up to {np.abs(right).max():.2f}, differences {np.abs(right - wrong).max():.5f}")

# %% tags=["figure"]
figure, panels = plt.subplots(1, 3, figsize=(7.2, 2.4), sharey=True)
for axes, values, name in zip(panels, (right, wrong, wrong - right), ("the project's layer", "A", "their difference")):
    picture = axes.imshow(values)
    axes.set(title=name, xlabel="map i")
    figure.colorbar(picture, ax=axes, shrink=0.7)
panels[0].set_ylabel("position")
show(figure, "**Figure 16.1.** The gradient of the normalisation's input by the project's layer and by suspect A. They look the same; the "
             "difference is thousands of times smaller.")

# %% [markdown]
# ## The instrument
#
# `check_layer` (chapter [02](02_a_layer_and_its_gradient.ipynb)) draws random numbers $g$ of the shape of $y$ (the
# code's `dy`) and takes $L = \sum g \cdot y$. It compares the derivatives of $L$ that backward computes with
# differences of two forward passes, entry by entry; and it looks whether a pass has written into its input. These are
# its last lines. What do they compare, and what do they never look at?

# %%
show_source(check_layer, "assert np.array_equal(x, x_before)")

# %% [markdown]
# Two things follow from the source. It compares backward **with the layer's own forward**, so a wrong forward with the
# right derivative passes. And it tests **the layer and the $x$ that it is given**: we choose their shapes, constants
# and values. Its tolerance is $10^{-6}$, as float64 allows; tests written for float32 often settle for $10^{-3}$.
#
# ## The first case, solved together: A
#
# Suspect A imitates the normalisation $y_i = x_i\,d_i^{-\beta}$ with $d_i = k + \alpha \sum_j x_j^2$. Tested as one
# would test it first, with the paper's $\alpha = 10^{-4}$, inputs of about 1, a $g$ of ones and a tolerance of
# $10^{-3}$, **expect** it to pass. The gradient is
#
# $$\frac{\partial L}{\partial x_i} = g_i\, d_i^{-\beta} - 2 \alpha \beta\, x_i \sum_{j:\, i \in W(j)} \frac{g_j\, y_j}{d_j} ,$$
#
# where $W(j)$ is the window of map $j$. The second term, which $\alpha$ multiplies, is about a thousand times smaller
# than the first, so an error in it hides. It hides because the tolerance is loose and because a $g$ of ones keeps every
# first term large. **Expect** a random $g$ to give an error above $10^{-3}$, as some first terms are near 0 then, and
# $\alpha = 1$, at which both terms count, to give one in plain sight.

# %%
x = rng.uniform(0.5, 1.5, (2, 3, 2, 7))
ones = np.ones(x.shape)
comfortable_error = check_layer(A(5, alpha=1e-4), x, ones, tolerance=1e-3)
print(f"A passes: its largest relative error is {comfortable_error:.1e}")
random_error = check_layer(A(5, alpha=1e-4), x, tolerance=np.inf)
print(f"with a random g the error is {random_error:.1e}")
said = sentence(lambda: check_layer(A(5, alpha=1.0), x, ones, tolerance=1e-3))
print(f"A, with its parent's name: {said}")

# %% [markdown]
# (The check's own tolerance, $10^{-6}$, would have found A as well.) What is wrong? With a small $\alpha$ the gradient
# is nearly right, so it is the second term. Divide what it is by what it should be: if the formula is right but for a
# factor, **expect** a single number, everywhere.

# %%
honest, suspect = LocalResponseNorm(5, alpha=1.0), A(5, alpha=1.0)
cache, g = honest.forward(x)[1], rng.standard_normal(x.shape)           # (x, d), A's as well
first_term = g / cache[1] ** 0.75
ratio = (suspect.backward(g, cache)[0] - first_term) / (honest.backward(g, cache)[0] - first_term)
print(f"A's second term is {ratio.min():.6f} to {ratio.max():.6f} times the right one: "
      "the 2 of (x²)' = 2x is missing")

# %% [markdown]
# ## Nine more
#
# Now the others, each in a test of the same easy sort: small round sizes, one image where that is usual, an $x$ of
# whole numbers for pooling (no ties). **Expect** all ten to pass.

# %%
whole = rng.permutation(1 * 4 * 6 * 2).reshape(1, 4, 6, 2) - 20.0       # distinct whole numbers
maps, logits = rng.standard_normal((1, 5, 5, 4)), rng.standard_normal((1, 5))
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


comfortable = {
    LocalResponseNorm: lambda Norm: check_layer(Norm(), x, ones, tolerance=1e-3),
    MaxPool2d: lambda Pool: check_layer(Pool(2, 2), whole),
    Conv2d: lambda Conv: check_layer(Conv(4, 2, 3, padding=1, groups=2), maps),
    ReLU: lambda R: np.testing.assert_array_equal(R().forward(signs.copy())[0], signs.clip(0)),
    SoftmaxCrossEntropy: lambda Loss: check_layer(AsLayer(Loss(), np.array([2])), logits),
    Dropout: lambda Drop: check_layer(Drop(0.5), rng.standard_normal((2, 9)), key=(1,)),
}


def acquits(trial):
    """The names of the suspects that pass a trial, a function of their class."""
    return [kind.__name__ for kind in (A, B, C, D, E, F, G, H, I, J)
            if sentence(lambda: trial(kind)) is None]


acquitted = acquits(lambda kind: comfortable[kind.__base__](kind))
print("acquitted:", *acquitted)

# %% [markdown]
# ## Exercises
#
# Solutions are folded. `python notebooks/build.py blank` makes the edition without them.
#
# In each you write a trial: a function that takes the class of a layer and raises `AssertionError` if it finds the
# layer wrong, through `check_layer` or `assert`. It must acquit the project's layer and convict the suspect. `court`
# tries both, each under another name, so that only what they compute counts: 1 is acquitted, 0 is convicted, and a good
# trial gives `[1, 0]`. Find the bug first, by calling the suspect in cells of your own: what does it do when the
# stride, the padding, the groups, the batch, the values change? The solution says what the bug is.

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
    # cast; most thirds do not, and where the maximum is one of those nothing is equal and the gradient is 0. In float32
    # the cast does nothing: not found.
    check_layer(Pool(2, 2), whole / 3)
    ### END SOLUTION

# %% tags=["check"]
check(lambda: court(trial_E, MaxPool2d, E), [1, 0], VERDICTS)

# %% [markdown]
# **4.** F is the loss $-\frac{1}{N} \sum_n \log p_n$, where $p_n$ is the probability of image $n$'s label. It
# passed with one image. Convict it, with `AsLayer`.

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
# layer is no second way; but in 5 `Conv2d` with equal padding may be used, and in 6 with one group.)
#
# **5.** Suspect G is a convolution whose padding may be a pair: zeros before (top and left) and after (bottom and
# right). What should `Conv(2, 3, 3, padding=(0, 1))` equal, if you pad $x$ yourself? (Set `params` to random numbers; a
# layer begins with zeros.)

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
# **6.** Suspect H is a convolution whose kernels see only their own group's channels: with `groups=2` it is two
# convolutions side by side (§ 3.2). Test that.

# %% tags=["solution"]
def trial_H(Conv):
    ### BEGIN SOLUTION
    # H's groups read each other's channels: the first half of the kernels sees the second half of the channels.
    layer, half, x = Conv(4, 6, 3, groups=2), Conv2d(2, 3, 3), rng.standard_normal((2, 5, 6, 4))
    layer.params = {name: rng.standard_normal(p.shape) for name, p in layer.params.items()}
    y, W, b = layer.forward(x)[0], layer.params["W"], layer.params["b"]
    for channels, kernels in ((slice(0, 2), slice(0, 3)), (slice(2, 4), slice(3, 6))):
        half.params = {"W": W[..., kernels], "b": b[kernels]}
        assert np.allclose(y[..., kernels], half.forward(x[..., channels])[0])
    ### END SOLUTION

# %% tags=["check"]
check(lambda: court(trial_H, Conv2d, H, forbidden=lambda layer: layer.groups > 1), [1, 0], VERDICTS)

# %% [markdown]
# **7.** Suspect I is a normalisation. Write the formula $y_i = x_i\,(k + \alpha \sum_j x_j^2)^{-\beta}$, where $j$ runs
# from $\max(0, i - 2)$ to $\min(C - 1, i + 2)$ of $C$ maps, $k = 2$ and $\beta = 0.75$ (the defaults), as a loop over
# the maps and compare. Allow for a relative error of $10^{-3}$, as for numbers of 16 bits: the check also tries a layer
# that is right but rounds to about four digits. Think of the first case when you choose $\alpha$.

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
# Here are three kinds of trial for all ten: the comfortable tests; `check_layer` at its own tolerance, with strides,
# overlaps, groups, uneven pads, three images, fractions and $\alpha = 1$; and $y$, in training and at test, compared
# with the project's own, which [tests](../tests/test_layers.py) compare with the formulas. **Expect** no conviction in
# the first row, A to F in the second, and G to J in the third. (The next cell is folded, as it holds answers.)

# %% tags=["suspects"]
# What finds which suspect: each kind of layer with arguments that are awkward enough, and an x.
awkward = {
    LocalResponseNorm: lambda Norm: (Norm(5, alpha=1.0), rng.standard_normal((3, 2, 3, 9))),
    MaxPool2d: lambda Pool: (Pool(3, 2), rng.permutation(3 * 7 * 6 * 2).reshape(3, 7, 6, 2) / 7),
    Conv2d: lambda Conv: (Conv(4, 2, 3, stride=2, padding=(0, 1), groups=2), rng.standard_normal((3, 7, 6, 4))),
    ReLU: lambda R: (R(), signs),
    SoftmaxCrossEntropy: lambda Loss: (AsLayer(Loss(), np.array([2, 0, 4])), rng.standard_normal((3, 5))),
    Dropout: lambda Drop: (Drop(0.5), rng.standard_normal((3, 5))),
}


def forward_trial(kind):
    make = awkward[kind.__base__]
    (layer, x), (right, _) = make(kind), make(kind.__base__)
    layer.params = right.params = {name: rng.standard_normal(p.shape) for name, p in right.params.items()}
    for train in (True, False):
        assert np.allclose(layer.forward(x.copy(), train)[0], right.forward(x.copy(), train)[0], rtol=1e-9)


passed = {"comfortable": acquitted,
          "check_layer, awkward": acquits(lambda kind: check_layer(*awkward[kind.__base__](kind))),
          "y compared": acquits(forward_trial)}
innocent = [sentence(lambda: check_layer(*make(kind))) is None for kind, make in awkward.items()]
for name, letters in passed.items():
    print(f"{name:22}", *("·" if letter in letters else letter for letter in "ABCDEFGHIJ"))

# %% [markdown]
# The two lower rows share no suspect: a gradient check and a comparison of $y$ look at different things, and a layer
# needs both. For tests of your own:
#
# - choose strides over 1, windows that overlap, two groups, uneven pads, $H \ne W$ and $N = 3$, since whatever is 1 or equal
#   by default hides a bug, and constants at which every term counts, whatever the paper's are;
# - use float64, fractions, a tight tolerance, and a random $g$;
# - compute $y$ in a second way, for training and for test, because no gradient check can see a wrong forward.
#
# [tests/mutants.py](../tests/mutants.py) is the project's own collection of planted bugs; each must be found by a test.
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
# Height and width swapped in a shape or in the range of a loop. (A kernel with swapped axes is another thing: that
# takes a second way to $y$, whatever $H$ and $W$ are.)
#
# </details>
#
# **3.** One layer's gradient is twice as large as it should be, and the loss still falls. Why is that no surprise?
#
# <details><summary>Answer</summary>
#
# A step lowers the loss if it points roughly downhill. A wrong positive factor for some of the weights keeps every one
# of them going downhill, only at another rate.
#
# </details>
#
# ## Summary
#
# A gradient check compares a backward pass with the layer's own forward pass. So, with a look at $x$ before and after,
# it finds A to F, if the arguments are awkward enough, and can never find G to J. For these something else must say
# what $y$ is: the formula in loops, or a second way to the same result. Default values hide bugs: stride 1, one image,
# equal sides, one group, small constants. A falling loss proves little, since a net with a wrong layer often learns
# something.
#
# Next: [17, Many machines](17_many_machines.ipynb), where one run is shared by many processes.
#
# ## What this chapter claimed
#
# If this cell runs, the text is true on your machine.

# %% tags=["claims"]
assert 1 / 2000 < 2 * comfortable_error < 1 / 500 and 1e-3 < random_error and "gradient of x[" in said       # half of the second term, about a thousandth
assert 2000 < np.abs(right).max() / np.abs(right - wrong).max() < 20_000      # Figure 16.1
assert np.allclose(ratio, 0.5, atol=1e-6)
assert ["".join(letters) for letters in passed.values()] == ["ABCDEFGHIJ", "GHIJ", "ABCDEF"] and all(innocent)
assert all(np.array_equal(R().backward(g, R().forward(g.copy())[1])[0], g * (g > 0)) for R in (ReLU, D))      # exercise 2
single = np.float32(whole / 3)                                              # exercise 3: in float32, E is right
assert np.array_equal(*(P(2, 2).backward(np.ones((1, 2, 3, 2), np.float32), P(2, 2).forward(single)[1])[0] for P in (E, MaxPool2d)))
close = LocalResponseNorm().forward(x)[0] / I().forward(x)[0] - 1           # exercise 7
assert 1e-6 < np.abs(close).max() < 1e-3
print("All of it holds.")
