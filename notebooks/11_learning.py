# %% [markdown]
# # 11 Learning
#
# **What the paper says.** The net learns by stochastic gradient descent with batches of 128 images, momentum 0.9 and
# weight decay 0.0005, which is important: it is not only a regulariser, but also lowers the training error. Weights start
# as normal random numbers of standard deviation 0.01. The biases of the second, fourth and fifth convolution
# and of the hidden fully connected layers start at 1, so that their ReLUs get positive inputs at first, all others
# at 0. The learning rate ε is the same for all layers; it starts at 0.01 and was divided by ten, by hand, whenever the
# validation error stopped improving: three times in about 90 epochs (§ 5).
#
# **The question.** What is momentum good for, and how large may ε be? Do the usual variants of the rule compute the
# same? And why do many who program this net see a loss that stays at ln(classes)?
#
# You need chapter [02](02_a_layer_and_its_gradient.ipynb). About an hour and a half with the exercises. All chapters:
# [README](README.md).

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np

import tools
from tools import BLACK, BLUE, GREEN, ORANGE, check, photo, show, show_source
import data
from alexnet import AlexNet, SmallAlexNet
from nn.optim import update
from nn import (SGD, Dropout, Exchange, Flatten, Linear, Network, ReLU, SoftmaxCrossEntropy,
                initialise, plateau)

DATA = "fashion-mnist"                  # or "cifar10", or a folder of images
rng = np.random.default_rng(11)

# %% [markdown]
# ## A picture first
#
# Learning lowers the loss $L$, a function of all weights. Near a minimum it is nearly
# $L = \frac12 \sum_i \lambda_i w_i^2$ along its main axes, with a curvature $\lambda_i$ for each axis. We take two
# weights with $\lambda = 1$ and $30$: a narrow valley. To use the project's own `SGD` on it, we need a network that has
# nothing but these weights:

# %%
def descend(w, slope, lr, count, momentum=0.9, weight_decay=0.0):
    """`count` steps from w (n,) down a loss with the gradient slope(w): all points (count + 1, n).
    lr: a number, or a function of the step."""
    layer = Linear(1, len(w))
    layer.params = {"W": np.array(w, float)[None], "b": np.zeros(len(w))}
    network = Network([{"fc1": layer}], (1,))
    sgd, path = SGD(network, momentum, weight_decay), [np.array(w, float)]
    for step in range(count):
        gradients = [{"fc1.W": slope(layer.params["W"]), "fc1.b": np.zeros(len(w))}]
        sgd.step(gradients, lr(step) if callable(lr) else lr)
        path.append(layer.params["W"][0].copy())
    return np.array(path)


curvature, start = np.array([1.0, 30.0]), [-1.0, 0.35]
paths = {(lr, momentum): descend(start, lambda w: curvature * w, lr, 60, momentum)
         for lr in (0.03, 0.07) for momentum in (0, 0.9)}
left = {key: np.linalg.norm(path[-1]) / np.linalg.norm(start) for key, path in paths.items()}
for (lr, momentum), distance in left.items():
    print(f"ε = {lr}, momentum {momentum}: after 60 steps at {distance:.2g} of the first distance")

# %% tags=["figure"]
figure, panels = plt.subplots(1, 3, figsize=(7.6, 2.8), sharey=True)
first, second = np.meshgrid(np.linspace(-1.15, 0.8, 100), np.linspace(-0.5, 0.5, 100))
for axes, (lr, momentum), count in zip(panels, ((0.03, 0), (0.03, 0.9), (0.07, 0)), (60, 60, 6)):
    axes.contour(first, second, (first**2 + 30 * second**2) / 2, np.linspace(0.02, 2.2, 9) ** 2, colors="0.7", linestyles="-", linewidths=0.7)
    path = paths[lr, momentum][:count + 1]
    axes.plot(*path.T, color=BLUE, ls="-", marker="o", ms=3, lw=1)
    axes.plot(0, 0, color=BLACK, marker="+", ms=10)
    axes.set(title=f"ε = {lr}, {'momentum ' + str(momentum) if momentum else 'no momentum'}", xlabel="w₁", xlim=(-1.15, 0.8), ylim=(-0.5, 0.5))
panels[0].set_ylabel("w₂")
show(figure, "**Figure 11.1.** Steps down a valley that is 30 times as curved across as along (lines of equal loss; +: the minimum). Left: without "
             "momentum, well across and then ever slower along. Middle: momentum gathers speed along the valley and overshoots before "
             "it settles. Right: a larger ε without momentum climbs out, each step across larger than the last.")

# %% [markdown]
# ## The rule
#
# Call $w$ a weight and $v$ its velocity, at first 0. With $\mu$ for momentum (0.9), $d$ for weight decay (0.0005), ε
# for the learning rate and $g = \langle \partial L / \partial w \rangle$ for the *mean* over the batch of the
# derivative of the loss:
#
# $$v \leftarrow \mu\, v - d\, \varepsilon\, w - \varepsilon\, g, \qquad w \leftarrow w + v .$$
#
# One number after the other:

# %%
def rule(w, v, g, lr, momentum=0.9, weight_decay=0.0005):
    for i in range(len(w)):
        v[i] = momentum * v[i] - weight_decay * lr * w[i] - lr * g[i]
        w[i] = w[i] + v[i]


w, v, g = rng.standard_normal(5).tolist(), [0.0] * 5, rng.standard_normal((6, 5))
rates, given = [0.1] * 3 + [0.01] * 3, iter(g)
walked = descend(w, lambda _: next(given), lambda step: rates[step], 6, weight_decay=0.0005)
for step in range(6):
    rule(w, v, g[step], rates[step])
rule_difference = np.abs(walked[-1] - w).max()
print(f"after six steps, ε lowered in between: {rule_difference:.0e} apart")
show_source(update)

# %% [markdown]
# The project keeps a velocity for every weight. Biases have no decay (the paper does not say; in the 2012 code they had
# none). One ε serves all layers. The gradient of the mean loss is the mean of the single images' gradients, so its size
# does not grow with the batch.

# %% [markdown]
# ## How large may ε be?
#
# Along one axis of a valley, $L = \frac12 \lambda w^2$, and $g = \lambda w$. Without momentum a step is
#
# $$w \leftarrow w - \varepsilon\lambda\, w = (1 - \varepsilon\lambda)\, w .$$
#
# So after $t$ steps $w_t = (1 - \varepsilon\lambda)^t\, w_0$. It shrinks if $|1 - \varepsilon\lambda| < 1$, that is
# for $0 < \varepsilon < 2/\lambda$: the *steepest* axis sets the limit for all.
#
# With momentum, $v$ is the last step: $v_t = w_t - w_{t-1}$. Insert this into
# $w_{t+1} = w_t + \mu v_t - \varepsilon\lambda w_t$:
#
# $$w_{t+1} = (1 + \mu - \varepsilon\lambda)\, w_t - \mu\, w_{t-1} .$$
#
# Try $w_t = z^t$ and divide by $z^{t-1}$: it is a solution if
#
# $$z^2 - (1 + \mu - \varepsilon\lambda)\, z + \mu = 0 .$$
#
# There are two roots, and $w_t$ is a mixture of their powers: the larger $|z|$ is the factor per step in the long
# run. The product of the roots is the last term, $\mu$. If they are complex, they are conjugate, $|z|^2 = \mu$, so
# $|z| = \sqrt\mu$, *whatever the curvature*. That is so if $(1 + \mu - \varepsilon\lambda)^2 < 4\mu$, which means
#
# $$(1 - \sqrt\mu)^2 < \varepsilon\lambda < (1 + \sqrt\mu)^2 .$$
#
# For larger $\varepsilon\lambda$ they are real again, and steps stop shrinking when one reaches $-1$. Insert
# $z = -1$: $1 + (1 + \mu - \varepsilon\lambda) + \mu = 0$, or
#
# $$\varepsilon\lambda = 2\,(1 + \mu) .$$
#
# Without momentum the limit is 2; with 0.9 it is 3.8. To measure, we take 90 axes at once, with $\lambda$ from 0.05
# to 4.5, and ε = 1. **Expect** the derived factors within two hundredths, and the limits 2 and 3.8.

# %%
lambdas = np.linspace(0.05, 4.5, 90)
derived, factors, limits = {}, {}, {}
for momentum in (0.0, 0.5, 0.9):
    path = descend(np.ones(90), lambda w: lambdas * w, 1.0, 200, momentum)
    factors[momentum] = np.maximum(np.abs(path[-1]), np.abs(path[-1] - path[-2])) ** (1 / 200)
    derived[momentum] = np.array([np.abs(np.roots([1, -(1 + momentum - l), momentum])).max()
                                  for l in lambdas])
    limits[momentum] = lambdas[factors[momentum] < 1].max()
    print(f"momentum {momentum}: within {np.abs(factors[momentum] - derived[momentum]).max():.3f} "
          f"of the derived factors; the last λ that shrinks is {limits[momentum]:.2f}, "
          f"limit {2 * (1 + momentum):.2f}")

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(7.2, 3))
for momentum, color, style, marker in ((0.0, ORANGE, "--", "s"), (0.5, BLACK, ":", "^"), (0.9, BLUE, "-", "o")):
    axes.plot(lambdas, derived[momentum], color=color, ls=style, marker="")
    axes.plot(lambdas[::4], factors[momentum][::4], color=color, ls="", marker=marker, ms=4)
    axes.plot([], [], color=color, ls=style, marker=marker, ms=4, label=f"momentum {momentum}")
axes.axhline(1, color="0.6", ls="-", marker="", lw=1)
axes.set(xlabel="ελ, learning rate times curvature", ylabel="factor per step", ylim=(0, 1.6))
axes.legend(loc="lower right")
show(figure, "**Figure 11.2.** By which factor the distance to the minimum shrinks in each step (lines: derived; marks: measured with "
             "`SGD`). Above 1 the steps grow. Without momentum there is one good ελ, near 1. With 0.9 nearly all "
             "axes shrink at the same rate, 0.95, and ε may be nearly twice as large.")

# %% [markdown]
# The flat floor is what momentum is for. Call $\kappa$ the ratio of the largest to the smallest curvature of a
# valley. Without momentum the best ε makes both ends equally slow:
# $1 - \varepsilon\lambda_{min} = \varepsilon\lambda_{max} - 1$, so
# $\varepsilon = 2 / (\lambda_{min} + \lambda_{max})$ and the factor is $(\kappa - 1)/(\kappa + 1)$. With momentum all
# axes are on the floor if $\kappa \le \big((1 + \sqrt\mu)/(1 - \sqrt\mu)\big)^2$, which is 1,442 for 0.9; solved for
# $\sqrt\mu$, the best factor is $(\sqrt\kappa - 1)/(\sqrt\kappa + 1)$. **Expect** the steps to a thousandth of the
# distance to grow like $\kappa$ without momentum, like $\sqrt\kappa$ with the best, and not at all with 0.9, which
# for $\kappa = 10$ is far more momentum than is good.

# %%
def steps_needed(kappa, lr, momentum, most=8000):
    path = np.abs(descend([1, 1], lambda w: np.array([1, kappa]) * w, lr, most, momentum)).max(1)
    return np.flatnonzero(path > 1e-3).max() + 1


needed = {}
for kappa in (10, 100, 1000):
    best = ((kappa**0.5 - 1) / (kappa**0.5 + 1)) ** 2
    needed[kappa] = [steps_needed(kappa, 2 / (1 + kappa), 0.0),
                     steps_needed(kappa, (1 + best**0.5) ** 2 / kappa, best, 1000),
                     steps_needed(kappa, (1 + 0.9**0.5) ** 2 / kappa, 0.9, 1000)]
    print("κ = {:4}: {:4} steps without momentum, {:3} with the best, {:3} with 0.9"
          .format(kappa, *needed[kappa]))
floor = ((1 + 0.9**0.5) / (1 - 0.9**0.5)) ** 2

# %% [markdown]
# And on a long slope with constant $g$? The velocity settles where $v = \mu v - \varepsilon g$: at
# $-\varepsilon g / (1 - \mu)$. With 0.9 that is *ten* times the step without momentum. So ε = 0.01 with momentum 0.9
# goes about as far as 0.1 without.
#
# ## Variants
#
# **ε outside.** PyTorch's rule is $u \leftarrow \mu u + g$, $w \leftarrow w - \varepsilon u$. With constant ε,
# $v = -\varepsilon u$ and nothing differs. When ε is divided by ten, it does: outside, the next step is at once ten
# times smaller; inside, as printed, the velocity goes on with what the larger ε gave it, and loses it by a factor 0.9
# a step. On a slope with $g = 1$ the velocity $k$ steps after the change is
# $-\varepsilon' (1 + 9 \cdot 0.9^k)/(1 - \mu)$, with $\varepsilon'$ the new ε. **Expect** equality before the change,
# and the speeds to agree within 1 % after $\ln 900 / \ln(1/0.9) = 64.6$ steps, so 65.

# %%
def outside(w, slope, lr, count, momentum=0.9):
    w, u, path = np.array(w, float), 0.0, [np.array(w, float)]
    for step in range(count):
        u = momentum * u + slope(w)
        w = w - lr(step) * u
        path.append(w)
    return np.array(path)


def falling(step):
    return 0.1 if step < 200 else 0.01


speeds = [np.diff(rule_of([0.0], lambda w: np.ones(1), falling, 300), axis=0)[:, 0]
          for rule_of in (descend, outside)]
same_before = np.abs(speeds[0][:200] - speeds[1][:200]).max()
# Of the steps after the change, counted from 1:
until = int(np.flatnonzero(np.abs(speeds[0] / speeds[1] - 1) > 0.01).max()) + 2 - 200
print(f"before the change {same_before:.0e} apart; "
      f"speeds agree within 1 % from step {until} after it on")
print("way gone in the 100 steps after the change: "
      f"inside {-speeds[0][200:].sum():.1f}, outside {-speeds[1][200:].sum():.1f}")

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(6, 2.9))
for speed, style, color, name in ((speeds[0], "-", BLUE, "ε inside (as printed)"), (speeds[1], "--", ORANGE, "ε outside")):
    axes.plot(range(-20, 100), -speed[180:], color=color, ls=style, marker="", label=name)
axes.set(xlabel="steps after ε ÷ 10", ylabel="speed |v|")
axes.legend()
show(figure, "**Figure 11.3.** After a change of ε the printed rule slows down over some tens of steps, the other at once; after 65 steps "
             "their speeds are equal.")

# %% [markdown]
# **Weight decay.** As printed, $d\,\varepsilon\,w$ stands beside $\varepsilon\,g$: together they are
# $\varepsilon\,(g + d\,w)$, the gradient of $L + \frac d2 w^2$. So decay inside the velocity *is* an L2 penalty. For
# $L = \frac\lambda2 (w - w^*)^2$ the minimum moves to where $\lambda (w - w^*) + d\,w = 0$:
#
# $$w = \frac{\lambda}{\lambda + d}\; w^* .$$
#
# Steep axes ($\lambda \gg d$) hardly change; flat ones, about which the data say little, go towards zero.
# *Decoupled* decay is another rule: $v \leftarrow \mu v - \varepsilon g$, then
# $w \leftarrow w + v - \varepsilon\,d\,w$. It rests where $v = \varepsilon\,d\,w$ and
# $v = -\varepsilon g / (1 - \mu)$, so where $g + (1 - \mu)\,d\,w = 0$: the same number $d$ does only a tenth as much.
# **Expect** both, for $w^* = 1$.

# %%
def decoupled(lambdas, lr, count, momentum=0.9, decay=0.0005):
    w, v = np.zeros(len(lambdas)), np.zeros(len(lambdas))
    for _ in range(count):
        v = momentum * v - lr * lambdas * (w - 1)
        w = w + v - lr * decay * w
    return w


flat = np.array([1.0, 0.01, 0.0005])
rests = (descend(np.zeros(3), lambda w: flat * (w - 1), 1.0, 4000, weight_decay=0.0005)[-1],
         decoupled(flat, 1.0, 20_000))
for name, found, decay in (("inside, as printed", rests[0], 0.0005),
                           ("decoupled", rests[1], 0.00005)):
    print(f"{name:18} λ = 1, 0.01, 0.0005 rest at {found}, derived {flat / (flat + decay)}")

# %% [markdown]
# The paper says that decay lowered even the *training* error of its net. A valley cannot show that, and in the small net
# the *test* error does not change measurably without decay (chapter [14](14_what_matters.ipynb)).
#
# ## Initial values
#
# How large should the first weights be? Follow the size of the numbers through a layer, $y = \sum_i w_i x_i$, a sum
# of $n$ products ("fan-in"). The weights are independent, with mean 0 and variance $\sigma^2$; so the variance of the
# sum is the sum of the variances, and $\mathrm{Var}[w_i x_i] = \sigma^2\, E[x_i^2]$:
#
# $$\mathrm{Var}[y] = n\,\sigma^2\, E[x^2] .$$
#
# Now $x = \max(0, u)$ is the ReLU of what the layer before put out. If $u$ is as often positive as negative, and
# alike, ReLU cuts half of the mean square away: $E[x^2] = \frac12 \mathrm{Var}[u]$. Together,
#
# $$\frac{\mathrm{Var}[y]}{\mathrm{Var}[u]} = \tfrac12\, n\, \sigma^2 ,$$
#
# for each layer. The size stays the same if $\sigma^2 = 2/n$ (He et al. 2015: `init="he"`). With $\sigma = 0.01$ and
# $n = 2000$ the standard deviation shrinks by $\sqrt{0.1} = 0.32$ in every layer. **Expect** both, through six layers
# of 2000 neurons.

# %%
sizes = {}
for name, sigma in (("0.01", 0.01), ("√(2/n)", np.sqrt(2 / 2000))):
    u, sizes[name] = rng.standard_normal((50, 2000), np.float32), []
    for _ in range(6):
        u = np.maximum(0, u) @ (np.float32(sigma) * rng.standard_normal((2000, 2000), np.float32))
        sizes[name].append(float(u.std()))
    print(f"σ = {name:7}", " → ".join(f"{size:.2g}" for size in sizes[name]))

# %% [markdown]
# The real net has pixels up to 255 going in, biases of 1, normalisation, and layers of different fan-in. So we
# measure: four photographs, less their mean, through the full net, and a gradient back. For each layer with weights
# we note the standard deviation of all that it puts out; the part of it that *depends on the image* (the standard
# deviation over the four images at the same place, on average); the share of positive outputs, which pass the ReLU;
# the share of maps or neurons that are positive nowhere in any of the four (and so, but for fc8, get no gradient);
# and the size of the gradient of the weights over that of the weights.

# %%
names = ("astronaut", "chelsea", "coffee", "rocket")
crops = np.stack([255 * photo(name, 224)[0] for name in names])
crops = (crops - crops.mean(0)).astype(np.float32)
full = AlexNet(towers=1, init=None)
layers = {name: layer for name, layer in full.towers[0].items()
          if not isinstance(layer, (Exchange, Dropout))}


def measure():
    """{layer: [standard deviation, between images, share positive, share silent, gradient over
    weight]}."""
    y, caches, found, loss = crops, {}, {}, SoftmaxCrossEntropy()
    for name, layer in layers.items():
        y, caches[name] = layer.forward(y)
        if layer.params:
            silent = (y.reshape(-1, y.shape[-1]) <= 0).all(0)
            found[name] = [float(y.std()), float(y.std(0).mean()),
                           float((y > 0).mean()), float(silent.mean())]
    d = loss.backward(loss.forward(y, np.arange(4))[1])
    for name, layer in reversed(layers.items()):
        d, grads = layer.backward(d, caches[name])
        if grads:
            found[name].append(float(np.linalg.norm(grads["W"])
                                     / np.linalg.norm(layer.params["W"])))
    return found

# %% [markdown]
# **Expect** the printed values to let the images fade: in the last layer they differ by about a hundredth of a unit,
# in what is otherwise a constant. With the 2012 code's (0.03 in conv3 to conv5) more than ten times as much is left.
# With `"he"` what is put out stays of the size of tens, far too large for a softmax: its values suit inputs of size
# 1.

# %%
starts = {}
for kind in ("paper", "2012", "he"):
    initialise(full, kind)
    starts[kind] = measure()
    if kind == "paper":
        for layer in layers.values():
            if layer.params:
                layer.params["b"][:] = 0
        starts["paper, bias 0"] = measure()
measures = ("standard deviation", "between images", "share positive", "share silent",
            "gradient / weight")
print(" " * 33 + "".join(f"{name:>9}" for name in starts["paper"]))
for kind, found in starts.items():
    for row, what in enumerate(measures):
        print(f"{kind:14}{what:19}" + "".join(f"{found[name][row]:9.2g}" for name in found))

# %% tags=["figure"]
figure, panels = plt.subplots(1, 2, figsize=(7.4, 3.3))
looks = {"paper": (ORANGE, "--", "s"), "2012": (BLUE, "-", "o"), "he": (BLACK, ":", "^"), "paper, bias 0": (GREEN, "-.", "v")}
for kind, found in starts.items():
    color, style, marker = looks[kind]
    label = {"paper": "paper: σ = 0.01, bias 1", "2012": "2012 code, bias 1", "he": "he, bias 1", "paper, bias 0": "σ = 0.01, bias 0"}[kind]
    panels[0].semilogy([row[1] for row in found.values()], color=color, ls=style, marker=marker, label=label)
    panels[1].plot([100 * row[2] for row in found.values()], color=color, ls=style, marker=marker)
for axes, name in zip(panels, ("standard deviation between images", "positive outputs in %")):
    axes.set(xticks=range(8), ylabel=name)
    axes.set_xticklabels(list(starts["paper"]), rotation=45)
figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, fontsize=8)
show(figure, "**Figure 11.4.** The full net before its first step, layer by layer. Left: how much of its outputs depends on the image. With the "
             "printed values it fades about a thousandfold. Right: bias 1 with small weights switches nearly all neurons of conv4 and "
             "conv5 on, for all images; the 2012 code's larger weights leave them a choice.")

# %% [markdown]
# So the bias of 1 in § 5 has two effects. The ReLUs do begin in their linear part: with bias 0 about half of the outputs
# are positive, with bias 1 and the printed σ nearly all in conv4 and conv5. Fewer neurons of fc6 and fc7 are silent, and
# all gradients are larger. But where all are positive for all images, a ReLU is no longer a nonlinearity, and the
# constant is much larger than what depends on the image. The project made a probe with the full net, on 5,000 photographs
# in ten classes (chance: 90 % error), one seed each. Printed values, ε = 0.01: loss at ln 10 from the second epoch
# on, for the four epochs run. The 2012 code's, ε = 0.01: 84 % error after two epochs, then back to ln 10 for good.
# The 2012 code's and ε = 0.001: 66 % error after one epoch, 33 % after five. So the project's default is the 2012
# code's values (`init="paper"` are the printed ones), and ε has to fit the data. None of this says that the paper's
# own run, on 1.2 million images, would not have learned.
#
# ## A gallery of failures
#
# Now the small net (`"he"`, bias 0, pixels divided by 100, ε = 0.02), 50 steps of 64 images each, one thing changed
# at a time. The loop stops when the loss is not a finite number, as `train.py` does, which then keeps the last good
# checkpoint and names a smaller ε. (NumPy's warnings of overflow are switched off: here it is wanted.)

# %%
warnings.filterwarnings("ignore", category=RuntimeWarning)
pictures = data.load(DATA)
images, labels = pictures.train.images[:4000], pictures.train.labels[:4000]
mean = data.mean_image(images)
x = ((images - mean) / 100).astype(np.float32)                  # (4000, 28, 28, 1), about -2 … 2
classes, shape = len(pictures.classes), x.shape[1:]


def losses(x, labels, lr=0.02, factor=1.0, **options):
    """The loss in up to 50 steps; factor: of the gradient."""
    network = SmallAlexNet(classes, shape, **options)
    sgd, curve = SGD(network), []
    for step in range(50):
        batch = np.arange(64 * step, 64 * step + 64)
        loss, gradients = network.loss_and_gradients(x[batch], labels[batch], step=step)
        curve.append(float(loss))
        if not np.isfinite(loss):
            break
        sgd.step([{name: np.float32(factor) * g for name, g in own.items()}
                  for own in gradients], lr)
    return np.array(curve)

# %%
gallery = {
    "healthy": losses(x, labels),
    "printed σ = 0.01, bias 1": losses(x, labels, init="paper", bias=1.0),
    "all weights 0": losses(x, labels, init=None),
    "labels shuffled": losses(x, rng.permutation(labels)),
    "ε a hundred times too small": losses(x, labels, lr=0.0002),
    "ε = 1": losses(x, labels, lr=1.0),
    "pixels not divided by 100": losses(100 * x, labels),
    "gradients summed, not averaged": losses(x, labels, factor=64),
    "wrong sign": losses(x, labels, factor=-1),
    "mean image not subtracted": losses((images / 100).astype(np.float32), labels)}
ends = {name: float(curve[-10:].mean()) for name, curve in gallery.items()}
for name, curve in gallery.items():
    print(f"{name:31} begins at {curve[0]:6.3f}, last ten of {len(curve):2} steps {ends[name]:.4g}")

# %% tags=["figure"]
figure, panels = plt.subplots(3, 3, figsize=(7.6, 6), sharex=True, sharey=True)
for axes, name in zip(panels.flat, list(gallery)[1:]):
    axes.axhline(np.log(classes), color="0.6", ls="-", marker="", lw=1)
    axes.plot(gallery["healthy"], color="0.4", ls=":", marker="", lw=1.2)
    curve = np.where(np.isfinite(gallery[name]), gallery[name], np.inf)
    axes.plot(curve, color=BLUE, ls="-", marker="")
    if len(curve) < 50:
        axes.plot(len(curve) - 1, 4.2, color=ORANGE, marker="X", ms=8, ls="")
        axes.text(len(curve) + 1, 4.2, "not finite", va="center", fontsize=8)
    axes.set_title(name, fontsize=9)
    axes.set(ylim=(0, 4.6), xlim=(-1, 50))
for axes in panels[-1]:
    axes.set_xlabel("step")
for axes in panels[:, 0]:
    axes.set_ylabel("loss")
show(figure, "**Figure 11.5.** Nine ways to fail, or not (solid), beside the healthy run (dotted) and the line at ln(classes), where a net "
             "stands that knows nothing. One seed each. A cross: the loss was no longer a finite number. (Pixels not divided: the curve lies "
             "above the frame from its first step on.)")

# %% [markdown]
# How to read such curves:
#
# | the curve | the likely cause | look at |
# |---|---|---|
# | stays at ln(classes), and begins there or a little above | initial values too small; the image fades | the spread between images, as above |
# | exactly ln(classes) at step 0 | all weights 0: no layer but the last bias gets a gradient (below) | `init=None` without loading weights |
# | goes *to* ln(classes) and stays | labels do not belong to the images | ten images with their labels |
# | goes down, far too slowly (in 50 steps it looks like the row above: only a longer run, or ten times the ε, tells them apart) | ε too small | ten times the ε |
# | shoots up within a few steps, then not finite | ε too large, or inputs, or gradients: all three enter the step as factors | a tenth of the ε; the inputs' standard deviation; the mean over the batch |
# | goes up from the first step on, then not finite | the sign | one step with a tiny ε has to lower the loss of the same batch |
# | little to see | the mean not subtracted: with these images and this net it matters little in 50 steps | nothing: not every departure from a recipe is a failure |
#
# If all weights of a net are equal, all kernels of a hidden layer compute the same, get the same gradient, and stay equal:
# the layer is one kernel, many times. With zeros not even a gradient passes. **Expect** only the last biases to get one.

# %%
zeros = SmallAlexNet(classes, shape, init=None)
gradients = zeros.join(zeros.loss_and_gradients(x[:64], labels[:64])[1])
alive = [name for name, gradient in gradients.items() if np.any(gradient)]
print("gradients from zeros:", alive)

# %% [markdown]
# ## The schedule
#
# "When the validation error stopped improving" was judged by eye. The project's rule: no new best in the last three
# epochs. `plateau` is a function of the errors so far and of nothing else, so that a resumed run continues alike. (The
# 2012 code's epochs, 25, 51 and 79 of 91, are `--schedule steps --drop-at 25 51 79`.)

# %%
show_source(plateau)

# %% [markdown]
# First on an invented curve, then in a training: a net with one hidden layer of 128 neurons, on our 4,000 images, with an
# ε that is too large for it to settle. **Expect** ε to fall three times and then to be `None`: the end. And in the
# training, **expect** the validation error to drop at once with the first ÷ 10: with the large ε the weights oscillate
# across the valley, and with the smaller one they settle at its floor. The later divisions gain little or nothing.

# %%
invented = [0.60, 0.50, 0.45, 0.46, 0.45, 0.47, 0.38, 0.37, 0.37, 0.38,
            0.37, 0.36, 0.36, 0.36, 0.36, 0.35, 0.36, 0.36, 0.36]
invented_rates = [plateau(0.01, invented[:n]) for n in range(len(invented) + 1)]
print("ε of each epoch:", *(f"{rate:g}" if rate else rate for rate in invented_rates))

# %%
validation = (((pictures.validation.images[:1000] - mean) / 100).astype(np.float32),
              pictures.validation.labels[:1000])
plain = Network([{"flatten": Flatten(), "fc1": Linear(x[0].size, 128), "relu1": ReLU(),
                  "fc2": Linear(128, classes)}], shape)
initialise(plain, "he", seed=0, bias=0.0)
sgd, errors, rates = SGD(plain), [], []
while len(errors) < 60 and (lr := plateau(0.05, errors)) is not None:
    for batch in rng.permutation(len(x)).reshape(-1, 50):
        sgd.step(plain.loss_and_gradients(x[batch], labels[batch])[1], lr)
    errors.append(float((plain.predict(validation[0]).argmax(1) != validation[1]).mean()))
    rates.append(lr)
first_drop = next(i for i, rate in enumerate(rates) if rate < 0.05)
print(f"{len(errors)} epochs; best before the first drop {min(errors[:first_drop]):.1%}, "
      f"right after it {errors[first_drop]:.1%}, best of all {min(errors):.1%}")

# %% tags=["figure"]
figure, panels = plt.subplots(1, 2, figsize=(7.2, 3), sharey=False)
for axes, curve, epsilons, name in ((panels[0], invented, invented_rates[:-1], "invented"), (panels[1], errors, rates, "one hidden layer, 4,000 images")):
    epochs = np.arange(1, len(curve) + 1)
    axes.plot(epochs, 100 * np.array(curve), color=BLUE, ls="-", marker="o", ms=4)
    for i in range(1, len(curve)):
        if epsilons[i] < epsilons[i - 1]:
            axes.axvline(i + 0.5, color=BLACK, ls=":", marker="", lw=1.2)
            if epsilons[i - 1] == epsilons[0]:
                axes.text(i + 0.6, 0.97, "ε ÷ 10", transform=axes.get_xaxis_transform(), fontsize=8, va="top")
    axes.set(xlabel="epoch", ylabel="validation error in %", title=name)
show(figure, "**Figure 11.6.** Validation errors, and where `plateau` divides ε by ten: after three epochs without a new best. The run on the "
             "right falls at its first drop, and gains nothing from the others.")

# %% [markdown]
# ## Exercises
#
# Solutions are folded. `python notebooks/build.py blank` makes the edition without them.
#
# **1.** The steepest axis of a valley has the curvature `steepest`. Below which ε do steps shrink, with momentum $\mu$
# (and without: $\mu = 0$)?

# %% tags=["solution"]
def limit(steepest, momentum):
    ### BEGIN SOLUTION
    return 2 * (1 + momentum) / steepest
    ### END SOLUTION

# %% tags=["check"]
cases = [(50, 0.0), (50, 0.9), (3, 0.5)]
check(lambda: [limit(*case) for case in cases], [2 * (1 + m) / l for l, m in cases],
      [([2 / l for l, m in cases], "momentum allows a larger ε: insert z = −1"), ([(1 + m) / l for l, m in cases], "at ελ = 1 steps are best, not at the limit"),
       ([2 / (1 - m) / l for l, m in cases], "the terminal speed grows like 1 / (1 − μ), the limit does not")])

# %% [markdown]
# **2.** PyTorch's rule keeps $u$, with $v = -\varepsilon u$. By which number must $u$ be multiplied at the moment when
# ε goes from `old` to `new`, so that it goes on like the printed rule?

# %% tags=["solution"]
def factor_of_u(old, new):
    ### BEGIN SOLUTION
    return old / new                                # v must stay: old · u = new · u′
    ### END SOLUTION

# %% tags=["check"]
cases = [(0.01, 0.001), (0.3, 0.06), (0.02, 0.05)]
check(lambda: [factor_of_u(*case) for case in cases], [old / new for old, new in cases],
      [([new / old for old, new in cases], "v = −ε u has to stay the same: a smaller ε needs a larger u"), ([1, 1, 1], "then v would jump with ε")])

# %% [markdown]
# **3.** Write the standard deviation of He's initial values for a weight of any kind: convolution $(R, S, C, K)$ or
# fully connected (inputs, outputs).

# %% tags=["solution"]
def he_deviation(shape):
    ### BEGIN SOLUTION
    return np.sqrt(2 / np.prod(shape[:-1]))
    ### END SOLUTION

# %% tags=["check"]
cases = [(11, 11, 3, 96), (5, 3, 48, 256), (4096, 1000)]
inputs = [363, 720, 4096]
check(lambda: [he_deviation(case) for case in cases], np.sqrt([2 / n for n in inputs]),
      [([2 / n for n in inputs], "that is the variance"), (np.sqrt([1 / n for n in inputs]), "ReLU cuts half away: 2, not 1"),
       (np.sqrt([2 / np.prod(case) for case in cases]), "only what one neuron sees counts: not K"),
       (np.sqrt([2 / 3, 2 / 48, 2 / 4096]), "a kernel sees R·S pixels of each map")])

# %% [markdown]
# **4.** Weight decay $d$ and the curvatures $\lambda_i$ of the axes are given, and the minima without decay are at
# $w_i^*$. Where do the weights rest with the printed rule, and where with decoupled decay and momentum $\mu$? Return
# both arrays.

# %% tags=["solution"]
def resting_places(curvatures, minima, d, momentum):
    ### BEGIN SOLUTION
    decoupled = (1 - momentum) * d
    return minima * curvatures / (curvatures + d), minima * curvatures / (curvatures + decoupled)
    ### END SOLUTION

# %% tags=["check"]
cases = [(np.array([0.002, 1.0]), np.array([1.0, -2.0]), 0.0005, 0.9), (np.array([0.3, 0.01, 2.0]), np.array([0.5, 3.0, 1.0]), 0.02, 0.5)]


def places_by(rule):
    return np.concatenate([np.ravel(part) for case in cases for part in rule(*case)])


check(lambda: places_by(resting_places), places_by(lambda l, w, d, m: (w * l / (l + d), w * l / (l + (1 - m) * d))),
      [(places_by(lambda l, w, d, m: (w * d / (l + d), w * (1 - m) * d / (l + (1 - m) * d))), "that is how much they lose"),
       (places_by(lambda l, w, d, m: (w * l / (l + d), w * l / (l + d))), "decoupled decay does less: see g + (1 − μ) d w = 0"),
       (places_by(lambda l, w, d, m: (w * l / (l + d), w * l / (l + d / 10))), "right for a momentum of 0.9 alone"),
       (places_by(lambda l, w, d, m: (l / (l + d), l / (l + (1 - m) * d))), "as fractions of the minima; where do the weights rest?")])

# %% [markdown]
# ## Three questions
#
# To be answered without a computer.
#
# **1.** The batch grows from 128 to 512 images. How does the gradient of the mean loss change, in its expectation and
# in its noise?
#
# <details><summary>Answer</summary>
#
# The expectation stays. The standard deviation halves: it falls with the square root of the number of images.
#
# </details>
#
# **2.** A weight gets no gradient from the loss. With ε = 0.01, decay 0.0005 and momentum 0.9, after how many steps is
# half of it left?
#
# <details><summary>Answer</summary>
#
# In the long run each step takes 0.0005 · 0.01 / (1 − 0.9) = 5 · 10⁻⁵ of it. Half is left after ln 2 / (5 · 10⁻⁵),
# about 13,900 steps: one and a half epochs of 9,375 steps.
#
# </details>
#
# **3.** With the printed values, a bias of 1 makes nearly all outputs of conv4 and conv5 positive at the start. What
# would −1 do?
#
# <details><summary>Answer</summary>
#
# Nearly all of them would be negative, for every image. Their ReLUs would put out 0, and no gradient would come back
# through them: the layers before could not learn. With 1 the gradient passes, but the layers are nearly linear.
#
# </details>
#
# ## Summary
#
# Momentum lets axes of very different curvature shrink at the same rate, and raises the limit of ε from 2 to 3.8 over
# the largest curvature. Decay inside the velocity is an L2 penalty; decoupled, the same number does a tenth as much.
# Initial values decide whether images still differ at the last layer: with σ = 0.01 and a bias of 1 they nearly do not.
# Most failures show in the first fifty losses, and each has its own look. The schedule divides ε by ten when the
# validation error stops improving, and most of the gain comes at the first division.
#
# Next: [12, Training](12_training.ipynb), the rule at work for thirty epochs.
#
# ## What this chapter claimed
#
# If this cell runs, the text is true on your machine. (It speaks of Fashion-MNIST: with other `DATA` some of it may
# not hold.)

# %% tags=["claims"]
assert left[0.03, 0.9] < left[0.03, 0] < 0.2 and left[0.07, 0] > 50 and left[0.07, 0.9] < 0.2
assert (paths[0.03, 0.9][:, 0] > 0.1).any() and (paths[0.03, 0][:, 0] <= 0).all()          # overshoots, and does not
assert rule_difference < 1e-14
assert all(np.abs(factors[m] - derived[m]).max() < 0.02 and abs(limits[m] - 2 * (1 + m)) < 0.06 for m in factors)
on_floor = ((1 - 0.9**0.5) ** 2 < lambdas) & (lambdas < (1 + 0.9**0.5) ** 2)
assert np.allclose(derived[0.9][on_floor], 0.9**0.5) and 1441.5 < floor < 1442.5 and on_floor.mean() > 0.8
grows = [needed[1000][i] / needed[10][i] for i in range(3)]
assert 70 < grows[0] < 140 and 6 < grows[1] < 14 and grows[2] < 1.1 and needed[1000][0] > 3000 and needed[10][2] > 3 * needed[10][0]
assert abs(-speeds[0][199] / 0.1 - 10) < 1e-6                               # terminal speed
assert same_before < 1e-12 and until == 65 and speeds[0][200:].sum() < 1.5 * speeds[1][200:].sum()
assert np.allclose(rests[0], flat / (flat + 0.0005), atol=0.02) and np.allclose(rests[1], flat / (flat + 0.00005), atol=0.02)
ratios = {name: np.array(s[1:]) / np.array(s[:-1]) for name, s in sizes.items()}
assert np.allclose(ratios["0.01"], 0.1**0.5, atol=0.05) and np.allclose(ratios["√(2/n)"], 1, atol=0.12)
between = {kind: [row[1] for row in found.values()] for kind, found in starts.items()}
assert 0.003 < between["paper"][-1] < 0.03 and between["paper"][-1] < 0.05 * starts["paper"]["fc8"][0]
assert 500 < between["paper"][0] / between["paper"][-1] < 2000 and between["2012"][-1] > 10 * between["paper"][-1] and between["he"][-1] > 3
assert min(row[0] for row in starts["he"].values()) > 10
on = {kind: [found[name][2] for name in ("conv4", "conv5")] for kind, found in starts.items()}
assert min(on["paper"]) > 0.95 and max(on["2012"]) < 0.85 and np.allclose(on["paper, bias 0"], 0.5, atol=0.1)
assert all(starts["paper"][name][3] < 0.75 * starts["paper, bias 0"][name][3] for name in ("fc6", "fc7"))
assert all(starts["paper"][name][4] > starts["paper, bias 0"][name][4] for name in layers if layers[name].params)
ln = np.log(classes)
assert ends["healthy"] < 0.75 * ln and ends["mean image not subtracted"] < 0.75 * ln
assert all(abs(ends[name] - ln) < 0.15 for name in ("printed σ = 0.01, bias 1", "all weights 0", "labels shuffled"))
assert ends["ε a hundred times too small"] > ends["healthy"] + 0.5 and abs(gallery["all weights 0"][0] - ln) < 1e-5
exploding = ("ε = 1", "pixels not divided by 100", "gradients summed, not averaged", "wrong sign")
assert all(len(gallery[name]) < 50 and not np.isfinite(gallery[name][-1]) for name in exploding)
assert alive == ["fc8.b"]
assert invented_rates[-1] is None and sorted({round(r, 9) for r in invented_rates[:-1]}) == [1e-5, 1e-4, 1e-3, 1e-2]
assert plateau(0.05, errors) is None
assert errors[first_drop] < np.mean(errors[:first_drop]) and min(errors) < min(errors[:first_drop])
assert min(errors) > min(error for error, rate in zip(errors, rates) if rate > 0.004) - 0.01      # little left to gain
print("All of it holds.")
