# %% [markdown]
# # 02 A layer and its gradient
#
# **What the paper says.** In § 5 every weight $w$ is changed a little in each step, by an amount that contains
# $\partial L/\partial w$: how much the loss $L$, averaged over a batch of 128 images, would change if this one weight
# did. How these derivatives are computed the paper does not say. It was common knowledge in 2012, and a mistake in it
# easily goes unseen: the net then learns worse, or not at all, without an error message.
#
# **The question.** The net has 60,965,224 parameters. How does one get that many derivatives at about the cost of two
# more forward passes, and how does one know that they are right?
#
# You need arrays in NumPy, and what a derivative is. An hour and a half with the exercises. All chapters: [README](README.md).

# %%
import matplotlib.pyplot as plt
import numpy as np

import tools
from tools import BLACK, BLUE, ORANGE, check, check_gradients, show, show_source, timed
from nn import Linear, ReLU, SoftmaxCrossEntropy, check_layer

rng = np.random.default_rng(2)

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(7.2, 2.5))
names = ["images", "Linear", "ReLU", "Linear", "loss"]
arrays = ["x\n(128, 6)", "u\n(128, 5)", "a\n(128, 5)", "z\n(128, 3)"]
for i, name in enumerate(names):
    axes.text(2 * i, 0, name, ha="center", va="center", bbox=dict(boxstyle="round,pad=0.5", fc="white", ec=BLACK))
for i, array in enumerate(arrays):
    axes.annotate("", (2 * i + 1.45, 0.25), (2 * i + 0.55, 0.25), arrowprops=dict(arrowstyle="->", color=BLUE, lw=1.6))
    axes.text(2 * i + 1, 0.42, array, ha="center", va="bottom", color=BLUE, fontsize=9)
    axes.annotate("", (2 * i + 0.55, -0.25), (2 * i + 1.45, -0.25),
                  arrowprops=dict(arrowstyle="->", color=ORANGE, lw=1.6, ls="--"))
    axes.text(2 * i + 1, -0.42, f"∂L/∂{array}", ha="center", va="top", color=ORANGE, fontsize=9)
axes.set(xlim=(-0.8, 8.8), ylim=(-1.35, 1.35))
axes.axis("off")
show(figure, "**Figure 2.1.** A batch of 128 goes through a small net (upper arrows, solid). The gradient comes back the "
             "same way (lower arrows, dashed), and at each place it has the shape of what went forward there.")

# %% [markdown]
# ## One number at a time is hopeless
#
# The definition of a derivative is a recipe: change one weight by a small $h$, run the net again, see what the loss does.
#
# $$\frac{\partial L}{\partial w} \approx \frac{L(w + h) - L(w - h)}{2h}$$
#
# These are *finite differences*: two forward passes per weight. One forward pass of an image takes 724,406,816
# multiply-adds (chapter [00](00_overview.ipynb) counts them). On a machine that does $10^{11}$ of those a second, and
# with the loss of a single image, one gradient takes more than ten days. In five to six days the paper took some 850,000,
# each over 128 images. So finite differences are no way to train. But they are a way to *check*, on a small layer.
#
# ## The chain rule on arrays
#
# A layer computes $y$ from $x$, arrays of any shape. Number their entries $x_i$ and $y_j$. Behind the layer (farther from
# the image) come other layers and at last the loss $L$, a single number. If $x_i$ moves by a little, every $y_j$ that
# depends on it moves, and each of them moves $L$. The effects add up:
#
# $$\frac{\partial L}{\partial x_i} = \sum_j \frac{\partial L}{\partial y_j}\,\frac{\partial y_j}{\partial x_i}.$$
#
# In this formula the layer knows $\partial y_j/\partial x_i$: that is its own business. It does not know
# $\partial L/\partial y_j$, and need not: the layer behind it passes that back. We call the array that is passed back
# `dy` (or $\partial y$ in formulas, short for $\partial L/\partial y$; always the derivative *of the loss*), and what
# the layer makes of it `dx`.
#
# The table of all $\partial y_j/\partial x_i$, with a row for each $y_j$ and a column for each $x_i$, is called the
# Jacobian. As a formula, `dx` is the Jacobian, transposed, times `dy`; but nobody writes the Jacobian down. For the first
# ReLU of AlexNet, with 290,400 numbers in and as many out, it would take 337 GB in float32, for one image. But a ReLU acts
# on each number alone, so all but the diagonal of that table is zero, and `dx` is one multiplication per number. Every
# layer has some structure of this kind. *Writing a backward pass is finding the short way to multiply by the Jacobian.*
#
# ## A whole layer, with numbers
#
# The fully connected layer (§ 3.5; fc6, fc7 and fc8) is the simplest that learns. It has $F$ inputs and $K$ outputs, a
# table of weights $W$ of shape $(F, K)$ and $K$ biases $b$. A batch of $N$ images comes in as $x$ of shape $(N, F)$:
#
# $$y_{nk} = \sum_{f=1}^{F} x_{nf}\,W_{fk} + b_k .$$
#
# First as it reads, one number at a time:

# %%
def linear_forward(x, W, b):
    y = np.zeros((len(x), len(b)))
    for n in range(len(x)):
        for k in range(len(b)):
            y[n, k] = b[k]
            for f in range(x.shape[1]):
                y[n, k] += x[n, f] * W[f, k]
    return y

# %% [markdown]
# Now three derivatives. Each time we ask: in which outputs does this number occur, and with what factor?
#
# **The input $x_{nf}$** occurs in the outputs of its own image only, $y_{n1} \dots y_{nK}$, with the factors
# $W_{f1} \dots W_{fK}$. So $\partial x_{nf} = \sum_k \partial y_{nk}\, W_{fk}$.
#
# **The weight $W_{fk}$** occurs in output $k$ of every image, with the factor $x_{nf}$. So
# $\partial W_{fk} = \sum_n x_{nf}\, \partial y_{nk}$.
#
# **The bias $b_k$** occurs in output $k$ of every image with the factor 1, so $\partial b_k = \sum_n \partial y_{nk}$.
#
# In loops there is a way to see all three at once: every product that forward adds, `y += x * W`, gives one
# contribution to the gradient of each of its factors, namely `dy` times *the other factor*.

# %%
def linear_backward(dy, x, W):
    dx, dW, db = np.zeros_like(x), np.zeros_like(W), np.zeros(W.shape[1])
    for n in range(x.shape[0]):
        for k in range(W.shape[1]):
            db[k] += dy[n, k]
            for f in range(x.shape[1]):
                dx[n, f] += dy[n, k] * W[f, k]
                dW[f, k] += dy[n, k] * x[n, f]
    return dx, dW, db

# %% [markdown]
# A sum over a shared index is a matrix product. Comparing indices, the three formulas are
# $\partial x = \partial y\,W^\mathsf{T}$, $\partial W = x^\mathsf{T}\,\partial y$ and a sum over rows. Forward is one
# matrix product, backward two of the same size: hence the cost of two more forward passes. In the project's layer:

# %%
show_source(Linear.forward)
show_source(Linear.backward)

# %% [markdown]
# **Expect** the loops and the layer to give the same numbers, up to rounding in the fifteenth digit or so; and the layer
# to be some tens of times faster even on a batch this small.

# %%
layer = Linear(6, 5)
layer.params = {"W": rng.standard_normal((6, 5)), "b": rng.standard_normal(5)}
x, dy = rng.standard_normal((128, 6)), rng.standard_normal((128, 5))
y, cache = layer.forward(x)
dx, grads = layer.backward(dy, cache)
slow_y, slow = linear_forward(x, **layer.params), linear_backward(dy, x, layer.params["W"])
linear_difference = max(np.abs(a - b).max()
                        for a, b in zip((y, dx, grads["W"], grads["b"]), (slow_y, *slow)))
loops, products = timed(lambda: linear_backward(dy, x, layer.params["W"]),
                        lambda: layer.backward(dy, cache))
print(f"largest difference {linear_difference:.0e}; backward as products is "
      f"{loops / products:.0f} times faster than in loops")

# %% [markdown]
# ## The contract
#
# Every layer of this project keeps to two lines:
#
#     y, cache  = layer.forward(x, train=True)
#     dx, grads = layer.backward(dy, cache)
#
# - `cache` is what backward needs of what forward saw: for `Linear` it is `x`, for `ReLU` it is `y`, because
#   $\partial x = \partial y$ where $y > 0$ and 0 elsewhere.
# - `grads` has the same names and shapes as `layer.params`. `dx` has the shape of `x`.
# - Neither call changes what it is given. The layer remembers nothing else, so that it can work on several pieces of a
#   batch at once.
#
# Here is the net of Figure 2.1. Going back is going through the same list from the end.

# %%
def new_net(seed):
    draw = np.random.default_rng(seed)
    net = [Linear(6, 5), ReLU(), Linear(5, 3)]
    for layer in net:
        layer.params = {name: 0.5 * draw.standard_normal(p.shape)
                        for name, p in layer.params.items()}
    return net


def loss_and_gradients(net, x, labels):
    caches = []
    for layer in net:                                           # forward
        x, cache = layer.forward(x)
        caches.append(cache)
    loss, cache = SoftmaxCrossEntropy().forward(x, labels)
    d, gradients = SoftmaxCrossEntropy().backward(cache), []
    for layer, cache in zip(reversed(net), reversed(caches)):   # backward
        d, grads = layer.backward(d, cache)
        gradients.insert(0, grads)
    return loss, gradients

# %% [markdown]
# ## Where it starts: the loss
#
# The last array, $z$ of shape $(N, \text{classes})$, holds the *logits*. The softmax turns those of one image into
# probabilities, and the loss is minus the logarithm of the one that belongs to the right class $t$ (§ 3.5; the paper
# says "multinomial logistic regression"), averaged over the batch:
#
# $$p_k = \frac{e^{z_k}}{\sum_m e^{z_m}}, \qquad L = -\frac1N \sum_n \log p_{n,t_n}.$$
#
# For one image, $-\log p_t = \log \sum_m e^{z_m} - z_t$. The derivative of the first part by $z_k$ is
# $e^{z_k} / \sum_m e^{z_m} = p_k$. The second part gives $-1$ if $k = t$ and 0 otherwise. Together, with the average:
#
# $$\partial z_{nk} = \frac{p_{nk} - [k = t_n]}{N},$$
#
# *what the net believes minus what is true*. The division by $N$ is made here, once; no layer before it divides
# again. **Expect** rows that sum to zero: whatever is added to the right class is taken from the others.

# %%
z, labels = rng.standard_normal((4, 3)), np.array([0, 2, 1, 1])
loss, cache = SoftmaxCrossEntropy().forward(z, labels)
dz = SoftmaxCrossEntropy().backward(cache)
print(dz, "  sums of the rows:", dz.sum(1).round(12) + 0.0)

# %% [markdown]
# ## Is it right? The best step
#
# Now finite differences, for one weight of the little net. How small should $h$ be? Expand the loss around $w$ (primes
# are derivatives by $w$):
#
# $$L(w \pm h) = L \pm h L' + \tfrac{1}{2} h^2 L'' \pm \tfrac{1}{6} h^3 L''' + \dots$$
#
# - The *forward* difference $(L(w+h) - L(w))/h$ is $L' + \tfrac12 h L'' + \dots$: an error that shrinks like $h$.
# - In the *central* difference $(L(w+h) - L(w-h))/2h$ the term with $L''$ cancels. What remains is
#   $\tfrac16 h^2 L'''$: an error that shrinks like $h^2$.
# - The computer knows $L$ only to a relative precision $\varepsilon$ ($2.2 \cdot 10^{-16}$ in float64, $1.2 \cdot 10^{-7}$ in
#   float32). Each of the two losses has an error of about $\varepsilon |L|$; divided by $2h$, that is an error of up to
#   $\varepsilon |L| / h$, which *grows* when $h$ shrinks.
#
# **Expect** a valley with straight walls (on logarithmic axes): slope −1 on the left where rounding rules, slope 1 or 2
# on the right. The sum $\tfrac16 h^2 |L'''| + \varepsilon |L| / h$ is smallest near $h = \varepsilon^{1/3}$, about
# $10^{-5}$ in float64, and at a larger $h$ where $L'''$ is small. On the far right something else will show.

# %%
def loss_at(h, dtype):
    """The loss in this dtype, with h added to one weight of the first layer."""
    net = new_net(1)
    net[0].params["W"][2, 3] += h
    for layer in net:
        layer.params = {name: p.astype(dtype) for name, p in layer.params.items()}
    return float(loss_and_gradients(net, images.astype(dtype), labels)[0])


images, labels = rng.standard_normal((128, 6)), rng.integers(0, 3, 128)
steps = np.logspace(-12, 0, 49)
slopes = {f"central, {dtype}": [(loss_at(h, dtype) - loss_at(-h, dtype)) / (2 * h) for h in steps]
          for dtype in ("float64", "float32")}
slopes["forward, float64"] = [(loss_at(h, "float64") - loss_at(0, "float64")) / h for h in steps]
exact = loss_and_gradients(new_net(1), images, labels)[1][0]["W"][2, 3]
curves = {name: np.abs(np.array(one) / exact - 1) for name, one in slopes.items()}

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(7.2, 3.8))
for name, errors in curves.items():
    axes.loglog(steps, np.maximum(errors, 1e-13), label=name, markersize=3)
axes.axvline(1e-5, color="0.6", lw=1, ls="-", marker="")
axes.text(1.2e-5, 3e-13, "check_layer's step", color="0.35", fontsize=9)
axes.set(xlabel="step h", ylabel="relative error", ylim=(1e-13, 1e4))
axes.grid()
axes.legend(loc="upper right")
show(figure, "**Figure 2.2.** The error of finite differences for one weight, by step: left of each valley rounding, right of it the "
             "curvature that was left out, and a cliff near h = 0.005.")

# %% [markdown]
# At $h = 10^{-5}$ central differences in float64 agree with the gradient to eight or nine digits: this is the step that
# the project's check uses. For this weight, whose $L'''$ is small, the bottom lies farther right, at $10^{-4}$ to
# $5 \cdot 10^{-4}$; the smaller step keeps away from the cliff. Forward differences give hardly more than seven digits.
#
# In float32 a perfectly right gradient looks wrong in the third digit at best, and for small steps the error is 1:
# $w + h$ rounds to $w$, and the difference is 0. So gradients are *checked in float64* and trained in float32, which is
# why each layer works in both.
#
# ## Kinks
#
# The expansion took for granted that there is a derivative. ReLU has none at 0, and near 0 the two points $x - h$ and
# $x + h$ may lie on different sides of the kink: at the cliff this happens to one of the 128 images. With $x = 0.3$ and
# $h = 0.8$ the central difference is $(1.1 - 0) / 1.6 = 0.69$, where the derivative is 1: the gradient is right and the
# check is wrong. The same happens to max pooling where two numbers of a window are closer than $h$ (chapter
# [06](06_overlapping_pooling.ipynb)). The cure is an input without such numbers, not a larger tolerance. **Expect** the
# check to complain about the one entry that we put at $10^{-6}$, nearer to the kink than its step of $10^{-5}$, and to be
# content when that entry is moved away.

# %%
x = rng.permutation(np.linspace(-2, 2, 20)).reshape(4, 5)
near_the_kink = x.copy()
near_the_kink[1, 2] = 1e-6
try:
    check_layer(ReLU(), near_the_kink)
except AssertionError as error:
    complaint = str(error)
    print(complaint)
relu_error = check_layer(ReLU(), x)
print(f"without it: largest relative error {relu_error:.0e}")

# %% [markdown]
# ## The check
#
# `check_layer(layer, x, dy=None, seed=0, step=1e-5, tolerance=1e-6)` first takes random parameters, in a copy of the
# layer, and a random `dy`, so that $L = \sum_j \partial y_j\, y_j$ is a loss whose gradient by $y$ is exactly `dy`; all in
# float64. It runs forward and backward once, and sees that neither has written into its inputs. Then it changes every
# entry of the input and of every parameter up and down, and compares; its message says where:

# %%
show_source(check_layer, "rng = ", "def output")
show_source(check_layer, "worst = 0.0")

# %% [markdown]
# Why must `dy` be random? Because of bugs like this one: a Linear layer that reads `dy` from the last class to the first
# when it computes ∂W. **Expect** it to pass when all of `dy` is 1 (as it is when one differentiates `y.sum()`), and
# to be caught otherwise.

# %%
class Backwards(Linear):
    def backward(self, dy, cache):
        dx, grads = super().backward(dy, cache)
        return dx, grads | {"W": cache.T @ dy[:, ::-1]}


x = rng.standard_normal((4, 3))
print("dy = 1:      passes, largest error "
      f"{check_layer(Backwards(3, 2), x, dy=np.ones((4, 2))):.0e}")
try:
    check_layer(Backwards(3, 2), x)
except AssertionError as error:
    caught = str(error)
    print("dy random:  ", caught)

# %% [markdown]
# ## Exercises
#
# Solutions are folded. `python notebooks/build.py blank` makes the edition without them.
#
# **1.** The nets before this one used $y = \tanh(x)$. Its derivative is $1 - \tanh^2(x)$. Write backward with what was
# kept, `y`, alone: no `np.tanh` needed.

# %% tags=["solution"]
def tanh_backward(dy, y):
    ### BEGIN SOLUTION
    return dy * (1 - y * y)         # y is tanh(x) already
    ### END SOLUTION

# %% tags=["check"]
x, dy = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
check(lambda: tanh_backward(dy, np.tanh(x)), dy * (1 - np.tanh(x) ** 2),
      [(1 - np.tanh(x) ** 2, "this is the layer's own derivative: multiply it by dy, what comes from behind"),
       (dy * (1 - np.tanh(np.tanh(x)) ** 2), "y is tanh(x) already: no second tanh")])

# %% [markdown]
# **2.** How many forward passes does `check_layer` make for `Linear(6, 5)` and a batch of 4? (One to begin with, and two
# for every number that it checks.)

# %% tags=["solution"]
passes = ...
### BEGIN SOLUTION
passes = 1 + 2 * (4 * 6 + 6 * 5 + 5)        # x, W and b
### END SOLUTION

# %% tags=["check"]
check(lambda: passes, 119, [(118, "and the one to begin with"), (1 + 2 * 35, "the input is checked, too"),
                    (1 + 2 * 54, "the biases are checked, too"), (60, "two passes for every number")])

# %% [markdown]
# **3.** Take $|L| = |L'''| = 1$. For which $h$ is the total error of central differences,
# $\tfrac16 h^2 + \varepsilon / h$, smallest? Set the derivative by $h$ to zero, and give $h$ for
# $\varepsilon = 2.2 \cdot 10^{-16}$.

# %% tags=["solution"]
epsilon, best_step = 2.2e-16, ...
### BEGIN SOLUTION
best_step = (3 * epsilon) ** (1 / 3)        # h/3 − ε/h² = 0, so h³ = 3ε
### END SOLUTION

# %% tags=["check"]
check(lambda: best_step, 8.706e-6, [(2.2e-16 ** (1 / 3), "near; but the factors count: h/3 = ε/h²"),
                            (2.2e-16 ** 0.5, "that is the best step of forward differences")], tolerance=1e-3)

# %% [markdown]
# **4.** A layer of your own. `Scale` multiplies each of $F$ features by a learned factor and adds a learned number:
# $y_{nf} = g_f\,x_{nf} + c_f$. Write its backward pass. (The rule from above: every product gives each factor
# `dy` times the other factor; what is used for every image is summed over the images.)

# %% tags=["solution"]
class Scale(Linear):                        # for what every layer has; its own W and b are replaced
    def __init__(self, features):
        super().__init__(features, features)
        self.params = {"g": np.ones(features), "c": np.zeros(features)}

    def forward(self, x, train=True):
        return x * self.params["g"] + self.params["c"], x

    def backward(self, dy, cache):
        x = cache
        ### BEGIN SOLUTION
        return dy * self.params["g"], {"g": (dy * x).sum(0), "c": dy.sum(0)}
        ### END SOLUTION

# %% tags=["check"]
def scale_of(features):
    layer = Scale(features)
    layer.params = {"g": rng.uniform(1, 2, features), "c": rng.standard_normal(features)}
    return layer


for F, N in ((3, 5), (2, 4)):
    check_gradients(lambda: scale_of(F), rng.standard_normal((N, F)), forward=lambda layer, x: x * layer.params["g"] + layer.params["c"])

# %% [markdown]
# **5.** Some programs have a loss whose backward pass is `(softmax − one-hot)` without the division by $N$. `check_layer`
# is for layers. For a loss, compare with finite differences yourself: how large is what `backward` says about logit
# $(1, 2)$, divided by the central difference for that logit?

# %% tags=["solution"]
def ratio(loss, z, labels):
    """loss.forward(z, labels) → value, cache; loss.backward(cache) → ∂z."""
    ### BEGIN SOLUTION
    h, up, down = 1e-5, z.copy(), z.copy()
    up[1, 2] += h
    down[1, 2] -= h
    difference = (loss.forward(up, labels)[0] - loss.forward(down, labels)[0]) / (2 * h)
    return loss.backward(loss.forward(z, labels)[1])[1, 2] / difference
    ### END SOLUTION

# %% tags=["check"]
class Undivided(SoftmaxCrossEntropy):
    def backward(self, cache):
        dz = super().backward(cache)
        return len(dz) * dz


cases = [(loss, rng.standard_normal((N, 3)), rng.integers(0, 3, N)) for loss, N in
         ((SoftmaxCrossEntropy(), 4), (Undivided(), 4), (Undivided(), 7))]
check(lambda: [ratio(*case) for case in cases], [1.0, 4.0, 7.0],
      [([1.0, 0.25, 1 / 7], "the other way round: backward divided by the difference"), ([1.0, 1.0, 1.0], "did backward of the given loss run?")], tolerance=1e-4)

# %% [markdown]
# **6.** A program has that loss, and the update rule of § 5: $v \leftarrow 0.9\,v - \text{decay} \cdot \text{lr} \cdot w -
# \text{lr} \cdot \partial L/\partial w$, then $w \leftarrow w + v$. Its batch has $N$ images. Which lr and decay give the
# training that the rule would give with the right gradient?

# %% tags=["solution"]
def same_training(lr, decay, N):
    """(lr, decay) for the loss without the division, if these are those for the right one."""
    ### BEGIN SOLUTION
    return lr / N, decay * N
    ### END SOLUTION

# %% tags=["check"]
cases = [(0.01, 0.0005, 128), (0.5, 0.02, 4)]
check(lambda: [same_training(*case) for case in cases], [(lr / N, decay * N) for lr, decay, N in cases],
      [([(lr * N, decay / N) for lr, decay, N in cases], "the other way round: the gradient is N times too large"),
       ([(lr / N, decay) for lr, decay, N in cases], "lr multiplies the decay too, so a smaller lr would weaken it")])

# %% [markdown]
# ## Three questions
#
# To be answered without a computer.
#
# **1.** What could a check with $\partial y = 1$ everywhere see of a softmax layer?
#
# <details><summary>Answer</summary>
#
# Nearly nothing. L is then the sum of the outputs, which is 1 for a softmax whatever x is, so the right gradient is 0. A
# backward pass that always returns zeros is right there, up to rounding.
#
# </details>
#
# **2.** You halve $h$, and the error of a central difference doubles. Which of the two errors do you see, and should
# $h$ be smaller or larger?
#
# <details><summary>Answer</summary>
#
# The rounding error, which grows like ε/h (the other one would fall to a quarter). So h should be larger.
#
# </details>
#
# **3.** The gradient of the weights is a *sum* over the images of a batch, yet § 5 speaks of the average over the
# batch. Where is the division by $N$?
#
# <details><summary>Answer</summary>
#
# In the loss, which is a mean over the images: its gradient brings the factor 1/N, and every layer's dy contains it. A
# layer that divided again would be wrong by a factor N.
#
# </details>
#
# ## Summary
#
# A layer computes $y$ from $x$ and passes $\partial x$ back when it is given $\partial y$. Every product in forward gives
# each of its factors $\partial y$ times the other factor, and contributions to the same number are added. Going backward
# once through the net gives all 60,965,224 derivatives at about the cost of two more forward passes. Central differences
# in float64 with a step of $10^{-5}$ confirm a layer's backward pass on small arrays, to eight digits where it is smooth.
# A check needs a random $\partial y$, as $\partial y = 1$ hides errors.
#
# Next: [03, Convolution](03_convolution.ipynb), the same for a layer with shared weights.
#
# ## What this chapter claimed
#
# If this cell runs, the text is true on your machine.

# %% tags=["claims"]
assert 10 < 2 * 60_965_224 * 724_406_816 / 1e11 / 86_400 < 11 and round(4 * (55 * 55 * 96) ** 2 / 1e9) == 337
assert linear_difference < 1e-12 and loops > 10 * products and np.abs(dz.sum(1)).max() < 1e-12
at = dict(zip(curves, ([errors[np.argmin(abs(np.log(steps / 1e-5)))], errors.min()] for errors in curves.values())))
assert at["central, float64"][0] < 1e-7 and at["central, float64"][1] < 0.1 * at["forward, float64"][1]    # central beats forward
assert curves["central, float64"][(steps > 1e-2) & (steps < 1)].min() > 1e-3                            # beyond the cliff
assert at["central, float32"][0] > max(1e-7, 1e3 * at["central, float64"][0]) and at["central, float32"][1] > 1e-4
assert 1e-4 <= steps[curves["central, float64"].argmin()] <= 5e-4 and curves["forward, float64"].min() > 1e-8
u = new_net(1)[0].forward(images)[0][:, 3]                              # the weight [2, 3] changes it by h · images[:, 2]
assert [np.sum(np.abs(u) < h * np.abs(images[:, 2])) for h in (0.003, 0.006)] == [0, 1]          # images at the cliff
assert "gradient of x[1, 2]" in complaint and relu_error < 1e-6 and "gradient of W" in caught
print("All of it holds.")
