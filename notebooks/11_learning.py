# %% [markdown]
# # 11 Learning
#
# **What the paper says.** The net learns by stochastic gradient descent with batches of 128 images, momentum 0.9 and
# weight decay 0.0005, which the paper calls important: not only a regulariser, as it lowers the training error too.
# Weights start as normal random numbers of standard deviation 0.01. The biases of the second, fourth and fifth
# convolution and of the hidden fully connected layers start at 1, so that their ReLUs get positive inputs at first, all
# others at 0. The learning rate ε is the same for all layers; it starts at 0.01 and was divided by ten, by hand,
# whenever the validation error stopped improving: three times in about 90 epochs (§ 5).
#
# **The question.** What is momentum good for, how large may ε be, and when should it fall? Do the usual variants of the
# rule compute the same? And why does a loss stay at ln(classes), as some who program this net report?
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
from nn import SGD, Dropout, Exchange, Linear, Network, initialise, plateau

DATA = "fashion-mnist"                  # or "cifar10", or a folder of images
rng = np.random.default_rng(11)

# %% [markdown]
# ## A picture first
#
# Learning lowers the loss $L$, a function of all weights. Near a minimum, and but for a constant, it is nearly
# $L = \frac12 \sum_i \lambda_i w_i^2$, where $w_i$ is the distance from the minimum along axis $i$, and $\lambda_i$ the
# curvature there. We take two weights with $\lambda = 1$ and $30$: a narrow valley. To use the project's own `SGD` on it,
# we need a network that has nothing but these weights:

# %%
def descend(w, slope, lr, count, momentum=0.9, weight_decay=0.0):
    """The points (count + 1, n) from w (n,) on; lr: a number, or a function of the step."""
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
print("distance left, by (ε, momentum):", {key: round(float(end), 3) for key, end in left.items()})

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
# Biases have no decay (the paper does not say; in the 2012 code they had
# none, and twice the ε: chapter [15](15_disputed_details.ipynb)). The gradient of the mean loss is the mean of the single
# images' gradients, so its size does not grow with the batch. But a mean of $N$ independent numbers scatters by
# $1/\sqrt N$ of what one does: a larger batch gives a less noisy gradient.
#
# ## How large may ε be?
#
# Along one axis of a valley, $L = \frac12 \lambda w^2$, and $g = \lambda w$. Without momentum a step makes
# $(1 - \varepsilon\lambda)\, w$ of $w$. It shrinks if $|1 - \varepsilon\lambda| < 1$, that is for
# $0 < \varepsilon < 2/\lambda$: the *steepest* axis sets the limit for all.
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
# $z = -1$: $1 + (1 + \mu - \varepsilon\lambda) + \mu = 0$, so the limit is $\varepsilon\lambda = 2\,(1 + \mu)$: 2
# without momentum, 3.8 with 0.9. To measure, we take 90 axes at once, with $\lambda$ from 0.05 to 4.5, and ε = 1.
# **Expect** the derived factors within two hundredths, and these limits.

# %%
lambdas = np.linspace(0.05, 4.5, 90)
derived, factors, limits = {}, {}, {}
for momentum in (0.0, 0.5, 0.9):
    path = descend(np.ones(90), lambda w: lambdas * w, 1.0, 200, momentum)
    # An oscillating w may happen to be near 0 after 200 steps: its last step is not small then.
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
# The flat floor is what momentum is for. Let the curvatures of a valley reach from $\lambda_{min}$ to
# $\lambda_{max} = \kappa\,\lambda_{min}$. Without momentum the best ε makes both ends equally slow,
# $1 - \varepsilon\lambda_{min} = \varepsilon\lambda_{max} - 1$, and the factor is $(\kappa - 1)/(\kappa + 1)$. With
# momentum choose $\varepsilon = (1 + \sqrt\mu)^2 / \lambda_{max}$: the steepest axis then lies at the right end of the
# floor. The flattest is on the floor too if $\kappa \le \big((1 + \sqrt\mu)/(1 - \sqrt\mu)\big)^2$, which is 1,442 for
# 0.9. The factor is $\sqrt\mu$, so the best $\mu$ is the smallest that still covers all axes:
# $\sqrt\mu = (\sqrt\kappa - 1)/(\sqrt\kappa + 1)$. For each tenth of the distance, $\kappa = 1000$ takes 1,151 steps
# without momentum, 36 with the best, and 44 with 0.9; $\kappa = 10$ takes 11, 3.5, and still 44.
#
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
speeds, v, u = [], 0.0, 0.0
for step in range(300):
    lr = 0.1 if step < 200 else 0.01
    v, u = 0.9 * v - lr, 0.9 * u + 1
    speeds.append([-v, lr * u])
inside, outside = np.array(speeds).T
until = int(np.flatnonzero(np.abs(inside / outside - 1) > 0.01).max()) - 200 + 2    # counted from 1
print(f"the speeds agree within 1 % from step {until} after the change on; distance covered "
      f"in 100 steps after it: inside {inside[200:].sum():.1f}, outside {outside[200:].sum():.1f}")

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
flat, w, v = np.array([1.0, 0.01, 0.0005]), np.zeros(3), np.zeros(3)
rest = descend(w, lambda w: flat * (w - 1), 1.0, 4000, weight_decay=0.0005)[-1]
for _ in range(20_000):                                             # decoupled, ε = 1
    v = 0.9 * v - flat * (w - 1)
    w = w + v - 0.0005 * w
print(f"λ = 1, 0.01, 0.0005 rest at {rest} as printed, at {w} with decoupled decay")

# %% [markdown]
# The paper says that decay lowered even the *training* error of its net; a valley cannot show that. The small net's
# *test* error seems even to fall without decay, but by no more than chance may give ([14](14_what_matters.ipynb)).
#
# ## Initial values
#
# How large should the first weights be? Follow the size of the numbers through a layer, $y = \sum_i w_i x_i$, a sum
# of $n$ products ("fan-in"). The weights are independent, with mean 0 and variance $\sigma^2$; so the variance of the
# sum is the sum of the variances, and $\mathrm{Var}[w_i x_i] = \sigma^2\, E[x_i^2]$:
# $\mathrm{Var}[y] = n\,\sigma^2\, E[x^2]$. Now $x = \max(0, u)$ is the ReLU of what the layer before put out. If $u$ is
# as often positive as negative, and alike, ReLU cuts half of the mean square away: $E[x^2] = \frac12 \mathrm{Var}[u]$.
# Together, for each layer,
#
# $$\frac{\mathrm{Var}[y]}{\mathrm{Var}[u]} = \tfrac12\, n\, \sigma^2 .$$
#
# The size stays the same if $\sigma^2 = 2/n$ (He et al. 2015: `init="he"`). With $\sigma = 0.01$ and the $n = 4096$ of fc7
# and fc8 it shrinks by $\sqrt{0.2} = 0.45$ in each of the two.
#
# The real net has pixels up to 255 going in, biases of 1, normalisation, and layers of different fan-in. So we
# measure: four photographs, less their mean, through the full net. For each layer with weights we note the part of its
# output that *depends on the image* (the standard deviation over the four images at the same place, on average), and the
# share of positive outputs, which pass the ReLU. **Expect** the factor 0.45 where the biases are 0, and the printed
# values to let the images fade: in fc8 they differ by about a hundredth of a unit. With the 2012 code's (0.03 in conv3
# to conv5) more than ten times as much is left, and `"he"` keeps several units.

# %%
crops = [255 * photo(name, 224)[0] for name in ("astronaut", "chelsea", "coffee", "rocket")]
crops = (crops - np.mean(crops, 0)).astype(np.float32)                      # (4, 224, 224, 3)
full = AlexNet(towers=1, init=None)


def measure(kind, bias):
    """{layer: (standard deviation between images, share of positive outputs)}."""
    initialise(full, kind, bias=bias)
    y, found = crops, {}
    for name, layer in full.towers[0].items():
        if not isinstance(layer, (Exchange, Dropout)):
            y = layer.forward(y)[0]
        if layer.params:
            found[name] = float(y.std(0).mean()), float((y > 0).mean())
    return found


starts = {name: measure(*how) for name, how in (
    ("paper: σ = 0.01, bias 1", ("paper", 1.0)), ("2012 code, bias 1", ("2012", 1.0)),
    ("he, bias 1", ("he", 1.0)), ("σ = 0.01, bias 0", ("paper", 0.0)))}
for name, found in starts.items():
    print(f"{name:24} differ in fc6 by {found['fc6'][0]:.4f}, fc7 {found['fc7'][0]:.4f}, "
          f"fc8 {found['fc8'][0]:.4f}")

# %% tags=["figure"]
figure, panels = plt.subplots(1, 2, figsize=(7.4, 3.3))
for (name, found), (color, style, marker) in zip(starts.items(), ((ORANGE, "--", "s"), (BLUE, "-", "o"), (BLACK, ":", "^"), (GREEN, "-.", "v"))):
    panels[0].semilogy([row[0] for row in found.values()], color=color, ls=style, marker=marker, label=name)
    panels[1].plot([100 * row[1] for row in found.values()], color=color, ls=style, marker=marker)
for axes, name in zip(panels, ("standard deviation between images", "positive outputs in %")):
    axes.set(xticks=range(8), ylabel=name)
    axes.set_xticklabels(list(found), rotation=45)
figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, fontsize=8)
show(figure, "**Figure 11.3.** The full net before its first step, layer by layer. Left: how much of its outputs depends on the image. With the "
             "printed values it fades about a thousandfold. Right: bias 1 with small weights switches nearly all neurons of conv4 and "
             "conv5 on, for all images; the 2012 code's larger weights leave them a choice.")

# %% [markdown]
# So the bias of 1 in § 5 helps and harms. It helps, as more ReLUs begin in their linear part: with bias 0 about half of
# the outputs are positive, with bias 1 and the printed σ nearly all in conv4 and conv5, and four fifths in fc6 and fc7.
# It harms, as a ReLU that is positive for all images is no longer a nonlinearity, and the constant is much
# larger than what depends on the image. In a probe with the full net and ε = 0.01 on 5,000 photographs (chapter
# [15](15_disputed_details.ipynb) has its numbers) the loss of the printed values stayed at ln 10. The 2012 code's
# learned, but only with ε = 0.001. So the project's default is the 2012 code's values (`init="paper"` are the printed
# ones), and ε has to fit the data. None of this says that the paper's own run, on 1.2 million images, would not have
# learned.
#
# ## A gallery of failures
#
# Now the small net (`"he"`, bias 0, pixels divided by 100, ε = 0.02), 50 steps of 64 images each, one thing changed
# at a time, one seed. Two runs that look stuck get 100 steps, to see whether they are only slow. A run stops, as in
# `train.py`, when its loss is not a finite number. (NumPy's warnings of overflow are switched off: here it is wanted.)

# %%
warnings.filterwarnings("ignore", category=RuntimeWarning)
pictures = data.load(DATA)
images, labels = pictures.train.images[:4000], pictures.train.labels[:4000]
x = ((images - data.mean_image(images)) / 100).astype(np.float32)  # (4000, 28, 28, 1)
classes, shape = len(pictures.classes), x.shape[1:]


def losses(x, labels, lr=0.02, factor=1.0, steps=50, **options):
    """The loss in each step; factor: of the gradient."""
    network = SmallAlexNet(classes, shape, **options)
    sgd, curve = SGD(network), []
    while len(curve) < steps and np.all(np.isfinite(curve)):
        batch = np.arange(64 * len(curve), 64 * len(curve) + 64) % len(x)
        loss, gradients = network.loss_and_gradients(x[batch], labels[batch], step=len(curve))
        curve.append(float(loss))
        sgd.step([{name: np.float32(factor) * g for name, g in own.items()}
                  for own in gradients], lr)
    return np.array(curve)


# %%
gallery = {
    "healthy": losses(x, labels),
    "mean image not subtracted": losses((images / 100).astype(np.float32), labels),
    "ε a hundred times too small": losses(x, labels, lr=0.0002, steps=100),
    "printed σ = 0.01, bias 1": losses(x, labels, init="paper", bias=1.0, steps=100),
    "labels shuffled": losses(x, rng.permutation(labels)),
    "all weights 0": losses(x, labels, init=None),
    "ε = 1": losses(x, labels, lr=1.0),
    "pixels not divided by 100": losses(100 * x, labels),
    "gradients summed, not averaged": losses(x, labels, factor=64),
    "wrong sign": losses(x, labels, factor=-1)}
ends = {name: float(curve[-10:].mean()) for name, curve in gallery.items()}
for name, curve in gallery.items():
    end = f"last ten {ends[name]:.3f}" if np.isfinite(ends[name]) else "not finite"
    print(f"{name:31} begins at {curve[0]:6.3f}, after {len(curve)} steps: {end}")

# %% tags=["figure"]
figure, panels = plt.subplots(1, 2, figsize=(7.6, 3.9))
for i, (name, curve) in enumerate(gallery.items()):
    axes = panels[int(i > 5)]
    axes.plot(curve[:50], label=name, markevery=(i % 6, 6), ms=4, **(dict(color="0.5", ls="-", marker="") if not i else {}))
panels[0].axhline(np.log(classes), color="0.6", ls="-", marker="", lw=0.8)
panels[0].set(ylabel="loss", ylim=(0, 4.6))
panels[1].set(yscale="log", xlim=(-0.2, 8), ylim=(0.1, 1e48))
for axes in panels:
    axes.set(xlabel="step")
    axes.legend(loc="upper right", fontsize=8)
show(figure, "**Figure 11.4.** Left: the healthy run (grey) and five that do worse; the line is at ln(classes), where a net stands that knows nothing. Four of "
             "them cannot be told apart in 50 steps. Right, on a logarithmic scale: four that end after a few steps, when the loss is no longer a finite number.")

# %% [markdown]
# How to read such curves:
#
# | the curve | the likely cause | look at |
# |---|---|---|
# | stays at ln(classes), and begins there or a little above | initial values too small; the image fades | the spread between images, as above |
# | exactly ln(classes) at step 0 | all weights 0: no layer but the last bias gets a gradient | `init=None` without loading weights |
# | goes *to* ln(classes) and stays | labels do not belong to the images | ten images with their labels |
# | goes to ln(classes), then down, far too slowly | ε too small | a longer run or ten times the ε: 50 steps do not tell it from the rows above |
# | shoots up within a few steps, then not finite | ε too large, or inputs, or gradients: all three enter the step as factors | a tenth of the ε; the inputs' standard deviation; the mean over the batch |
# | goes up from the first step on, then not finite | the sign | one step with a tiny ε has to lower the loss of the same batch |
# | goes down later and less smoothly | the mean not subtracted | nothing: a slower run is not yet a failure |
#
# If all weights of a net are equal, all kernels of a hidden layer compute the same, get the same gradient, and stay equal:
# the layer is one kernel, many times. With zeros not even a gradient passes.
#
# ## The schedule
#
# "When the validation error stopped improving" was judged by eye. The project's rule: no new best in the last three
# epochs. `plateau` is a function of the errors so far and of nothing else, so that a resumed run continues alike. (The
# 2012 code's epochs, 25, 51 and 79 of 91, are `--schedule steps --drop-at 25 51 79`.) For an invented curve, **expect**
# ε to fall three times and then to be `None`: the end. Chapter [12](12_training.ipynb) has a real one, which drops at
# once with the first ÷ 10 and hardly with the second: with the large ε the weights oscillate across the valley, and
# with the smaller one they settle at its floor.

# %%
show_source(plateau)
invented = [0.60, 0.50, 0.45, 0.46, 0.45, 0.47, 0.38, 0.37, 0.37, 0.38,
            0.37, 0.36, 0.36, 0.36, 0.36, 0.35, 0.36, 0.36, 0.36]
invented_rates = [plateau(0.01, invented[:n]) for n in range(len(invented) + 1)]
print("ε of each epoch:", *(f"{rate:g}" if rate else rate for rate in invented_rates))

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
# Most failures show in the first fifty losses, but a few look alike and need one more test. The schedule divides ε by
# ten when the validation error stops improving.
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
assert np.allclose(derived[0.9][on_floor], 0.9**0.5) and on_floor.mean() > 0.8
assert round(((1 + 0.9**0.5) / (1 - 0.9**0.5)) ** 2) == 1442
steps = [np.log(0.1) / np.log(f) for k in (1000, 10) for f in ((k - 1) / (k + 1), (k**0.5 - 1) / (k**0.5 + 1), 0.9**0.5)]
assert np.allclose(steps, [1151, 36, 44, 11, 3.5, 44], rtol=0.05)
assert np.allclose(inside[200:], 0.01 * (1 + 9 * 0.9 ** np.arange(1, 101)) / (1 - 0.9)) and abs(inside[199] / 0.1 - 10) < 1e-6
assert np.abs(inside - outside)[:200].max() < 1e-12 and until == 65
assert np.allclose(rest, flat / (flat + 0.0005), atol=0.02) and np.allclose(w, flat / (flat + 0.00005), atol=0.02)
paper, code_2012, he, bias_0 = starts.values()
assert all(abs(bias_0[b][0] / bias_0[a][0] - 0.45) < 0.05 for a, b in (("fc6", "fc7"), ("fc7", "fc8")))
assert 0.003 < paper["fc8"][0] < 0.03 and code_2012["fc8"][0] > 10 * paper["fc8"][0] and he["fc8"][0] > 3
assert 500 < paper["conv1"][0] / paper["fc8"][0] < 2000
on = [[found[name][1] for name in ("conv4", "conv5", "fc6", "fc7")] for found in (paper, code_2012, bias_0)]
assert min(on[0][:2]) > 0.95 and min(on[0]) > 0.75 and max(on[1]) < 0.85 and np.allclose(on[2], 0.5, atol=0.1)
ln = np.log(classes)
assert ends["healthy"] < ends["mean image not subtracted"] < 0.75 * ln and abs(gallery["all weights 0"][0] - ln) < 1e-5
assert all(abs(ends[name] - ln) < 0.05 for name in ("printed σ = 0.01, bias 1", "all weights 0", "labels shuffled"))
slow = gallery["ε a hundred times too small"]
assert abs(slow[40:50].mean() - ln) < 0.15 and slow[-10:].mean() < ln - 0.03
assert all(len(curve) < 50 and not np.isfinite(curve[-1]) for curve in list(gallery.values())[6:])
zeros = SmallAlexNet(classes, shape, init=None)
gradients = zeros.join(zeros.loss_and_gradients(x[:64], labels[:64])[1])
assert [name for name, gradient in gradients.items() if np.any(gradient)] == ["fc8.b"]
assert invented_rates[-1] is None and sorted({round(r, 9) for r in invented_rates[:-1]}) == [1e-5, 1e-4, 1e-3, 1e-2]
print("All of it holds.")
