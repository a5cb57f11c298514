# %% [markdown]
# # 10 Dropout
#
# **What the paper says.** Averaging the predictions of many nets lowers the error reliably, but nets as large as this take
# days to train. Dropout is a cheap substitute: in training, the output of every hidden neuron is set to zero with
# probability 0.5, anew for every image. So each image trains another net, and all these nets share their weights. A
# neuron cannot rely on certain others being there, and has to learn something that is useful along with many
# different sets of them. At test time all neurons work, and their outputs are multiplied by 0.5, which is to
# approximate the geometric mean of the nets' predictions. It is used in the first two fully connected layers; without
# it the net overfits badly, and with it, learning takes about twice as many iterations (§ 4.2).
#
# **The question.** What does halving the outputs have to do with a mean over nets, and when is it exact? Most programs
# today scale in training instead: is that the same? And does dropout have, on a net small enough to train here, the
# effects that the paper reports?
#
# You need chapter [02](02_a_layer_and_its_gradient.ipynb). About one hour with the exercises. All chapters:
# [README](README.md).

# %%
import inspect

import matplotlib.pyplot as plt
import numpy as np

import tools
from tools import BLACK, BLUE, ORANGE, check, show, show_source
import data
from alexnet import AlexNet, summary
from nn import SGD, Dropout, Flatten, Linear, Network, ReLU, check_layer, initialise, softmax

DATA = "fashion-mnist"                  # or "cifar10", or a folder of images
rng = np.random.default_rng(10)

# %% [markdown]
# ## A picture first
#
# Take one image and a fully connected layer of 256 neurons with random weights, then ReLU. Drop half of the outputs,
# three times.

# %%
pictures = data.load(DATA)
images, labels = pictures.train.images[:1000], pictures.train.labels[:1000]
mean = data.mean_image(images)
x = ((images - mean) / 100).astype(np.float32)                  # (1000, 28, 28, 1), about -2 … 2
features = ReLU().forward(x[:1].reshape(1, -1)
                          @ rng.normal(0, 0.05, (x[0].size, 256)))[0]   # (1, 256)
dropped = [Dropout(0.5).forward(features, key=(step,))[0] for step in range(3)]
masks = Dropout(0.5).forward(np.ones((32, 64)), key=(0,))[1]    # (32, 64): a row for each image
print(f"kept of 32 × 64: {masks.mean():.1%}")

# %% tags=["figure"]
figure = plt.figure(figsize=(7.2, 3.6))
grid = figure.add_gridspec(2, 4, height_ratios=(1, 0.85))
for i, (values, name) in enumerate(zip([features, *dropped], ("all 256", "step 0", "step 1", "step 2"))):
    axes = figure.add_subplot(grid[0, i])
    axes.imshow(values.reshape(16, 16), cmap="gray_r", vmin=0, vmax=features.max())
    axes.set(title=name, xticks=[], yticks=[])
axes = figure.add_subplot(grid[1, :])
axes.imshow(~masks, aspect="auto")
axes.set(xlabel="neuron", ylabel="image", title="the mask of a batch: dropped neurons are white")
show(figure, "**Figure 10.1.** Above: the outputs of 256 neurons for one image (the darker, the larger; white: 0), and what three draws of dropout "
             "leave of them. Many were 0 anyway, behind the ReLU. Below: the mask of a batch of 32. Every image has its own "
             "set of neurons.")

# %% [markdown]
# ## The formula
#
# Call $x_i$ the output of neuron $i$ of $F$, and $r$ the rate, 0.5 in the paper. Draw a mask: numbers $m_i$ that are
# 0 with probability $r$ and 1 with probability $1 - r$, independently of each other. Then
#
# $$y_i = m_i\, x_i \quad\text{in training}, \qquad y_i = (1 - r)\, x_i \quad\text{at test time.}$$
#
# In loops:

# %%
def dropout(x, rate, rng):
    y, mask = np.zeros_like(x), np.zeros(x.shape, bool)
    for image, neuron in np.ndindex(x.shape):
        if rng.random() >= rate:
            mask[image, neuron] = True
            y[image, neuron] = x[image, neuron]
    return y, mask

# %% [markdown]
# To compare the loops with the project's layer, both need the same mask: `Drawn` replaces the random generator and
# returns a number below the rate where the layer has dropped. **Expect** exactly the same numbers.

# %%
class Drawn:
    def __init__(self, mask):
        self.numbers = iter(np.where(mask, 0.9, 0.1).ravel())

    def random(self):
        return next(self.numbers)


h = rng.standard_normal((5, 12))
layer = Dropout(0.5)
y, mask = layer.forward(h, key=(1,))
loops_equal = np.array_equal(dropout(h, 0.5, Drawn(mask))[0], y)
test_equal = np.array_equal(layer.forward(h, train=False)[0], 0.5 * h)
print(f"training: {loops_equal}, test: {test_equal}")
show_source(Dropout.forward)

# %% [markdown]
# `bits` is a generator of random bits; a neuron is kept if its 32 bits, read as a whole number, are at least
# $r \cdot 2^{32}$.
#
# ## The gradient
#
# Once the mask is drawn, it is a constant: $y_i = m_i x_i$ is linear in $x_i$ and depends on no other input. So
# $\partial y_i / \partial x_i = m_i$, and by the chain rule $\partial x_i = m_i\, \partial y_i$. A dropped neuron
# gets no gradient, so this image changes neither its incoming nor its outgoing weights.
#
# A frequent bug is a backward pass that draws a new mask: it must use the *same* one. And a check by finite differences
# needs the same mask in every forward pass, which `key` ensures. **Expect** the layer to pass, and one whose backward
# draws anew to fail.

# %%
show_source(Dropout.backward)


class Redrawing(Dropout):
    def backward(self, dy, cache):
        return dy * self.forward(np.ones_like(dy), key=(2,))[1], {}


gradient_error = check_layer(Dropout(0.5), h, key=(1,))
try:
    redrawing = f"passes, {check_layer(Redrawing(0.5), h, key=(1,)):.0e}"
except AssertionError as error:
    redrawing = str(error)
print(f"the layer: largest relative error {gradient_error:.0e}\nwith a new mask: {redrawing}")

# %% [markdown]
# ## Masks that can be drawn again
#
# The usual way is to take the next numbers of one generator. Then a resumed run needs the generator's state, and a
# net on two cards draws other masks than the same net on one. Here a mask follows from the seed, the step, the name of
# the layer and the image's place in the batch, and nothing needs saving. A layer spread over towers draws the mask of
# the whole layer in each tower and takes its own columns (`part=(t, T)`). **Expect** the same key to give the same
# mask, another step or layer another one, and the shares of two towers to be the halves of the one tower's mask.

# %%
def draw(*key, part=(0, 1), neurons=8):
    return Dropout(0.5).forward(np.ones((4, neurons)), key=key, part=part)[1]


again = np.array_equal(draw(0, 7, "drop6", 0), draw(0, 7, "drop6", 0))
others = [(draw(0, 7, "drop6", 0) != draw(*key)).mean()
          for key in ((0, 8, "drop6", 0), (0, 7, "drop7", 0), (1, 7, "drop6", 0))]
shares = [draw(0, 7, "drop6", 0, part=(t, 2), neurons=4) for t in (0, 1)]
halves = np.array_equal(np.concatenate(shares, axis=1), draw(0, 7, "drop6", 0))
print(f"again: {again}; differing: step {others[0]:.0%}, layer {others[1]:.0%}, "
      f"seed {others[2]:.0%}; two towers: {halves}")

# %% [markdown]
# ## Why times one half
#
# What does the next layer see? One of its neurons computes $z = \sum_i w_i m_i x_i + b$. As $m_i$ is 1 with
# probability $1 - r$ and else 0, its mean is $E[m_i] = 1 - r$. A mean of a sum is the sum of the means:
#
# $$E[z] = \sum_i w_i\, E[m_i]\, x_i + b = (1 - r) \sum_i w_i x_i + b.$$
#
# That is what the neuron gets at test time if all outputs are multiplied by $1 - r$. Around this mean, training makes
# noise. Since $m_i^2 = m_i$, the variance of $m_i$ is $E[m_i^2] - E[m_i]^2 = (1 - r) - (1 - r)^2 = r(1 - r)$;
# variances of independent terms add up, and a factor comes out squared:
#
# $$\mathrm{Var}[z] = r\,(1 - r) \sum_i w_i^2 x_i^2 .$$
#
# We take a neuron that answers to this image: more of its weights are positive than negative. **Expect** 20,000 masks
# to give both numbers within a few per cent, and the value without the factor to lie far outside.

# %%
w, b = rng.normal(0.05, 0.1, 256), -0.5
many, _ = Dropout(0.5).forward(np.tile(features, (20_000, 1)), key=(3,))
z = many @ w + b                                                    # (20000,)
total = features[0] @ w
expected = 0.5 * total + b, np.sqrt(0.25 * (w**2 * features[0]**2).sum())
print(f"mean of z: {z.mean():.4f}, derived {expected[0]:.4f}; "
      f"standard deviation {z.std():.4f}, derived {expected[1]:.4f}")
print(f"all neurons, without the factor: {total + b:.4f}, "
      f"{(total + b - z.mean()) / z.std():.1f} standard deviations away")

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(7.2, 2.8))
axes.hist(z, 60, density=True, color="0.85", edgecolor="0.5", label="20,000 masks")
line = np.linspace(z.min(), z.max(), 300)
axes.plot(line, np.exp(-((line - expected[0]) / expected[1]) ** 2 / 2) / expected[1] / np.sqrt(2 * np.pi), color=BLUE,
          ls="-", marker="", label="normal, as derived")
axes.axvline(expected[0], color=BLACK, label="test time, × 0.5")
axes.axvline(total + b, color=ORANGE, ls="--", label="test time, × 0.5 forgotten")
axes.set(xlabel="z, what a neuron of the next layer gets", ylabel="density")
axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
show(figure, "**Figure 10.2.** The input of one neuron in training behind 256 neurons with dropout, over 20,000 masks. Halving the outputs puts "
             "the test value in the middle of its training values; without that it is a value that hardly ever occurred.")

# %% [markdown]
# ## A mean over 2^F nets
#
# A layer of $F$ neurons has $2^F$ masks, each of them a net of its own. The paper says that halving approximates the
# *geometric mean* of their predictions. Let the dropped features go straight into the softmax, and call $z^m_k$ the
# input of class $k$ under mask $m$, so that its probability is $p^m_k = e^{z^m_k} / \sum_c e^{z^m_c}$. With
# $r = \frac12$ all masks are equally likely. The geometric mean is the $2^F$-th root of the product; its logarithm is
# a mean of logarithms:
#
# $$\log g_k = \frac{1}{2^F} \sum_m \log p^m_k = \frac{1}{2^F} \sum_m z^m_k \;-\; \frac{1}{2^F} \sum_m \log \sum_c e^{z^m_c}.$$
#
# The last term is the same for all classes $k$: call it $a$. The first is the mean of $z_k$ over all masks, which we
# have just found: $\frac12 \sum_i w_{ik} x_i + b_k = \tilde z_k$, the input with halved features. So
# $g_k = e^{-a}\, e^{\tilde z_k}$. The $g_k$ need not sum to 1; divide by their sum, and $e^{-a}$ cancels:
#
# $$\frac{g_k}{\sum_c g_c} = \frac{e^{\tilde z_k}}{\sum_c e^{\tilde z_c}} .$$
#
# One pass with halved features is *exactly* the normalised geometric mean of all $2^F$ nets, whatever the weights. We
# try it with $F = 10$: 1024 masks, three classes. **Expect** equality within rounding for the geometric mean, and
# differences for the arithmetic mean. With one more layer, and a ReLU between, **expect** differences for both: behind
# a ReLU the mean of the outputs is not the output of the mean.

# %%
all_masks = np.arange(1024)[:, None] >> np.arange(10) & 1           # (1024, 10)
W1, W2, W3 = (rng.standard_normal((10, 3)), rng.standard_normal((10, 10)) / 2,
              rng.standard_normal((10, 3)))


def one_layer(x):
    return softmax(x @ W1)


def two_layers(x):
    return softmax(np.maximum(0, x @ W2) @ W3)


def means(net, x):
    """The geometric (normalised) and arithmetic mean over all masks, and the net with halved
    features."""
    p = net(all_masks * x)                                          # (1024, 3)
    geometric = np.exp(np.log(p).mean(0))
    return geometric / geometric.sum(), p.mean(0), net(0.5 * x[None])[0]


points = rng.standard_normal((100, 10))
averages = {net.__name__: np.array([means(net, point) for point in points])
            for net in (one_layer, two_layers)}
apart = {name: np.abs(a[:, :2] - a[:, 2:]).mean((0, 2)) for name, a in averages.items()}
for name, (geometric, arithmetic) in apart.items():
    print(f"{name:10} mean difference to the halved net: "
          f"geometric mean {geometric:.0e}, arithmetic {arithmetic:.2f}")

# %% tags=["figure"]
figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.3), sharey=True)
for axes, (name, a) in zip(panels, averages.items()):
    axes.plot([0, 1], [0, 1], color="0.6", ls="-", marker="", lw=1)
    axes.plot(a[:, 2, 0], a[:, 1, 0], color=ORANGE, ls="", marker="+", label="arithmetic mean")
    axes.plot(a[:, 2, 0], a[:, 0, 0], color=BLUE, ls="", marker="o", ms=3, label="geometric mean")
    axes.set(title={"one_layer": "straight into the softmax", "two_layers": "through a ReLU layer"}[name],
             xlabel="probability of class 0, halved net")
panels[0].set_ylabel("mean over 1024 nets")
panels[0].legend()
show(figure, "**Figure 10.3.** The mean prediction of all 1024 nets against the one pass with halved features, for 100 random inputs. "
             "Left: the geometric mean lies on the diagonal; the arithmetic mean is less sure of itself, nearer to ⅓. Right: "
             "with a hidden layer after the dropout (of large random weights) both are only roughly right.")

# %% [markdown]
# ## Where it stands, and how many nets it is
#
# In the net dropout follows the ReLUs of fc6 and fc7. Two masks are drawn for each image and step, of 4096 neurons
# each. **Expect** $2^{8192}$ pairs of masks, a number of 2,467 digits. Training sees 90 times 1.2 million images, each
# with new masks, so at most a hundred million of these nets see an image. The others learn because they share weights
# with those.

# %%
rows = summary(AlexNet(init=None))
order = [row.name for row in rows
         if row.name.startswith(("fc", "drop")) or row.name in ("relu6", "relu7")]
neurons = sum(row.floats for row in rows if row.name.startswith("drop"))
digits = len(str(2**neurons))
print(" → ".join(order))
print(f"{neurons} neurons can be dropped: 2^{neurons} has {digits:,} digits; "
      f"nets trained: {90 * 1_200_000:,} at most")

# %% [markdown]
# ## A net that overfits and one that does not
#
# We take 1,000 images, so few that a net can learn them by heart, and a net of fully connected layers only, two of
# them hidden with 256 neurons each: the paper's fc6, fc7 and fc8 in small. Weights are drawn for ReLUs (`"he"`,
# chapter [11](11_learning.ipynb)), and there is no weight decay, so that nothing else holds the net back.

# %%
images_test, labels_test = pictures.test.images[:2000], pictures.test.labels[:2000]
x_test = ((images_test - mean) / 100).astype(np.float32)


def make(form, seed):
    """form: "none", "paper" or "inverted"."""
    classes = len(pictures.classes)
    layers = {"flatten": Flatten(),
              "fc6": Linear(x[0].size, 256), "relu6": ReLU(),
              "drop6": Dropout(0.5, form == "inverted"),
              "fc7": Linear(256, 256), "relu7": ReLU(),
              "drop7": Dropout(0.5, form == "inverted"),
              "fc8": Linear(256, classes)}
    if form == "none":
        del layers["drop6"], layers["drop7"]
    network = Network([layers], x.shape[1:], seed=seed)
    initialise(network, "he", seed, bias=0.0)
    return network


def loss_and_error(p, labels):
    return (-np.log(np.maximum(p[np.arange(len(p)), labels], 1e-30)).mean(),
            (p.argmax(1) != labels).mean())

# %% [markdown]
# The loop is the shortest there is: batches of 50 in random order, ε = 0.01, momentum 0.9. After every epoch we
# measure loss and error on the training and on 2,000 test images, *without* dropping anything, so that all nets are
# measured alike. Three seeds each. Along with the paper's form we train the inverted one, which comes next.

# %%
def train(form, seed, epochs=40):
    network, step, history = make(form, seed), 0, []
    sgd = SGD(network, momentum=0.9, weight_decay=0)
    for epoch in range(epochs):
        for batch in rng.permutation(len(x)).reshape(-1, 50):
            _, gradients = network.loss_and_gradients(x[batch], labels[batch], step=step)
            sgd.step(gradients, lr=0.01)
            step += 1
        history.append([*loss_and_error(network.predict(x), labels),
                        *loss_and_error(network.predict(x_test), labels_test)])
    return network, np.array(history)


nets, curves = {}, {}
for form in ("none", "paper", "inverted"):
    runs = [train(form, seed) for seed in range(3)]
    nets[form] = [network for network, _ in runs]
    curves[form] = np.array([history for _, history in runs])               # (3, 40, 4)

# %% [markdown]
# **Expect** the net without dropout to bring its training error to 0 and its test loss first down, then up: it grows
# ever surer of itself, while its test error stays nearly where it was. With dropout: about half of that gap between
# training and test loss.

# %%
final = {form: runs[:, -1].mean(0) for form, runs in curves.items()}
for form, runs in curves.items():
    print(f"{form:9}" + "".join(f" {name} {m:.3f} ± {s:.3f} " for name, m, s in zip(
        ("training loss", "error", "  test loss", "error"),
        final[form], runs[:, -1].std(0, ddof=1) / np.sqrt(3))))
lowest = {form: runs[:, :, 2].min(1).mean() for form, runs in curves.items()}
print("lowest test loss on the way:",
      {form: round(float(loss), 3) for form, loss in lowest.items()})

# %% tags=["figure"]
figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.4))
for axes, column, name in ((panels[0], 0, "loss"), (panels[1], 1, "error in %")):
    for form, color, marker in (("none", ORANGE, "s"), ("paper", BLUE, "o")):
        for offset, style, what in ((0, "--", "training"), (2, "-", "test")):
            values = curves[form][:, :, column + offset] * (100 if column else 1)
            axes.plot(range(1, 41), values.mean(0), color=color, ls=style, marker=marker, markevery=6, ms=4,
                      label=f"{'no dropout' if form == 'none' else 'dropout'}, {what}")
            axes.fill_between(range(1, 41), values.min(0), values.max(0), color=color, alpha=0.2, lw=0)
    axes.set(xlabel="epoch", ylabel=name, ylim=(0, 40 if column else 1.2))
figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, fontsize=8)
show(figure, "**Figure 10.4.** 1,000 training images, with and without dropout: mean of three seeds, from the smallest to the largest (bands). Without: "
             "the training loss falls to 0, the test loss rises after a few epochs. With: it learns more slowly, the "
             "curves part later and about half as far, and the test loss ends lower.")

# %% [markdown]
# The gain shows in the loss; in errors it is small, a point or less on these 2,000 test images. (In the project's small
# convolutional net, with crops and mirrors, it cannot be seen at all: chapter [14](14_what_matters.ipynb). The gain from
# dropout depends on how much the net overfits.)
#
# The paper says that dropout about doubles the iterations. Count the epochs until the training error is below 10 %.
# **Expect** more than twice as many here.

# %%
epochs_needed = {form: (runs[:, :, 1] < 0.10).argmax(1) + 1 for form, runs in curves.items()}
for form, numbers in epochs_needed.items():
    print(f"{form:9} {numbers} epochs, mean {numbers.mean():.1f}")

# %% [markdown]
# So the factor depends on net, data and criterion. On this net the paper's form takes several times as long, and part of
# that has a simple cause, which the inverted form shows.
#
# ## Inverted dropout
#
# Caffe, PyTorch and nearly everyone since divide by $1 - r$ in training, and do nothing at test time. Take the next
# layer with weights $W$ in the paper's form and $W'$ in the inverted one:
#
# $$z = (m \cdot x)\, W + b \qquad\text{and}\qquad z' = \frac{m \cdot x}{1 - r}\, W' + b .$$
#
# With $W' = (1 - r)\, W$ both are the same function, in training with the same masks and at test time. But they do not
# *learn* alike. The gradients are
#
# $$\partial W = (m \cdot x)^T\, \partial z, \qquad \partial W' = \frac{(m \cdot x)^T\, \partial z}{1 - r} = \frac{\partial W}{1 - r} .$$
#
# A step of gradient descent changes $W'$ by $-\varepsilon\, \partial W'$. Seen as a change of $W = W' / (1 - r)$,
# that is
#
# $$-\varepsilon\, \frac{\partial W'}{1 - r} = -\varepsilon\, \frac{\partial W}{(1 - r)^2} .$$
#
# One factor comes from the gradient, the other from the scale of the weights. For $r = \frac12$ the inverted form
# moves the weights behind a dropout as if ε were *four times* as large. **Expect** with one step: equal outputs
# before it, factor 4 for the weights of fc7 and fc8, 1 for fc6 (no dropout before it) and for all biases.

# %%
paper, inverted = make("paper", seed=5), make("inverted", seed=5)
start = paper.weights()
behind = ("fc7.W", "fc8.W")
inverted.load_weights({name: value * (0.5 if name in behind else 1)
                       for name, value in start.items()})
outputs_apart = max(
    np.abs(paper.forward(x[:50], step=1)[0] - inverted.forward(x[:50], step=1)[0]).max(),
    np.abs(paper.predict(x[:50]) - inverted.predict(x[:50])).max())
moved = []
for network in (paper, inverted):
    SGD(network, weight_decay=0).step(
        network.loss_and_gradients(x[:50], labels[:50], step=1)[1], lr=0.01)
    moved.append({name: value * (2 if network is inverted and name in behind else 1) - start[name]
                  for name, value in network.weights().items()})
factors = {name: np.vdot(moved[0][name], moved[1][name]) / np.vdot(moved[0][name], moved[0][name])
           for name in start}
print(f"outputs apart: {outputs_apart:.0e};  factors:",
      {name: round(float(factor), 3) for name, factor in factors.items()})

# %% [markdown]
# So a learning rate found with one form is not the right one for the other. In the experiment above the inverted nets
# reached 10 % training error in about half as many epochs as the paper's form, with the same ε and the same initial
# weights (with which they start as another function).
#
# ## What goes wrong in practice
#
# **Dropout left on at test time**, and **the factor forgotten**. Both in the paper's form, on the nets that we have
# trained. **Expect** the first to cost points. The second may surprise. A ReLU with twice the input has twice the
# output, so (but for the biases) all logits grow by the same factor, and the largest remains the largest: the *error*
# hardly changes. But the probabilities are far too sure, so the *loss* grows.

# %%
def in_state(networks, x, train=False, inverted=False, rate=0.5):
    """Probabilities of each net with its dropout layers set so; masks that were not seen in
    training."""
    predictions = []
    for network in networks:
        for name in ("drop6", "drop7"):
            network.towers[0][name].inverted, network.towers[0][name].rate = inverted, rate
        predictions.append(softmax(network.forward(x, train=train, step=10_000)[0]))
        for name in ("drop6", "drop7"):
            network.towers[0][name].inverted, network.towers[0][name].rate = False, 0.5
    return predictions


states = {"as it should be": {}, "left on": dict(train=True),
          "× 0.5 forgotten": dict(inverted=True)}
measured = {name: np.mean([loss_and_error(p, labels_test)
                           for p in in_state(nets["paper"], x_test, **state)], axis=0)
            for name, state in states.items()}
for name, (loss, error) in measured.items():
    print(f"{name:16} test loss {loss:.3f}, test error {error:.1%}")

# %% [markdown]
# ## The mean of many masks
#
# Once more the question of the $2^F$ nets, now for a trained net with two dropped layers, where halving is only an
# approximation: average the probabilities of $M$ of its nets, with $M$ masks, and compare with the one pass with halved
# outputs. **Expect** one net to be poor, and twenty to give most of the gain.

# %%
first, few = nets["paper"][0], x_test[:400]
halved = first.predict(few)
each = np.array([softmax(first.forward(few, step=20_000 + m)[0])
                 for m in range(300)])                                  # (300, 400, 10)
running = np.cumsum(each, axis=0) / np.arange(1, 301)[:, None, None]
running_loss = np.array([loss_and_error(p, labels_test[:400])[0] for p in running])
agreement = (running[-1].argmax(1) == halved.argmax(1)).mean()
distance = np.abs(running[-1] - halved).mean()
single_loss = np.mean([loss_and_error(p, labels_test[:400])[0] for p in each[:20]])
halved_loss = loss_and_error(halved, labels_test[:400])[0]
print(f"loss: one net {single_loss:.3f}, mean of 20 {running_loss[19]:.3f}, "
      f"of 300 {running_loss[-1]:.3f}, halved {halved_loss:.3f};  "
      f"same class for {agreement:.1%}, probabilities {distance:.3f} apart")

# %% [markdown]
# ## Exercises
#
# Solutions are folded. `python notebooks/build.py blank` makes the edition without them.
#
# **1.** Write inverted dropout, forward and backward, for a given mask.

# %% tags=["solution"]
def inverted_dropout(x, mask, rate, train):
    """→ y"""
    ### BEGIN SOLUTION
    return x * mask / (1 - rate) if train else x
    ### END SOLUTION


def inverted_dropout_backward(dy, mask, rate):
    """→ dx"""
    ### BEGIN SOLUTION
    return dy * mask / (1 - rate)
    ### END SOLUTION

# %% tags=["check"]
cases = [(rng.standard_normal(shape), rng.random(shape) > rate, rate, rng.standard_normal(shape)) for shape, rate in (((5, 12), 0.2), ((3, 7), 0.6))]


def with_both(forward, backward):
    return np.concatenate([np.ravel(part) for x, mask, rate, dy in cases for part in
                           (forward(x, mask, rate, True), forward(x, mask, rate, False), backward(dy, mask, rate))])


def kept(x, mask, rate, train=True):
    return x * mask / (1 - rate) if train else x


check(lambda: with_both(inverted_dropout, inverted_dropout_backward), with_both(kept, kept),
      [(with_both(kept, lambda dy, mask, rate: dy * mask), "the factor belongs to backward, too: it is the derivative of forward"),
       (with_both(lambda x, mask, rate, train: kept(x, mask, rate) if train else (1 - rate) * x, kept), "at test time the inverted form does nothing"),
       (with_both(lambda x, mask, rate, train: x * mask if train else x, lambda dy, mask, rate: dy * mask), "kept outputs have to be divided by 1 − rate"),
       (with_both(*[lambda x, mask, rate, train=True: x * mask / rate if train else x] * 2), "divide by the share that is kept, 1 − rate")])

# %% [markdown]
# **2.** A layer has `neurons` neurons and dropout with some rate. What is the standard deviation of the *number* of
# neurons that are kept? (The number is $\sum_i m_i$: use the variance above with all $w_i x_i = 1$.)

# %% tags=["solution"]
def deviation(neurons, rate):
    ### BEGIN SOLUTION
    return np.sqrt(rate * (1 - rate) * neurons)
    ### END SOLUTION

# %% tags=["check"]
cases = [(4096, 0.5), (100, 0.2), (75, 0.75)]
check(lambda: [deviation(*case) for case in cases], [np.sqrt(r * (1 - r) * n) for n, r in cases],
      [([r * (1 - r) * n for n, r in cases], "that is the variance"), ([(1 - r) * n for n, r in cases], "that is the mean"),
       ([np.sqrt(n) for n, r in cases], "a mask has the variance r (1 − r), not 1"), ([np.sqrt(n) / 2 for n, r in cases], "right for a rate of ½ alone")])

# %% [markdown]
# **3.** A net with dropout of some rate is changed from the paper's form to the inverted one. ε is 0.01 with the
# paper's form. Which ε moves the weights behind the dropout as before, measured as in the text?

# %% tags=["solution"]
def same_step(lr, rate):
    ### BEGIN SOLUTION
    return lr * (1 - rate) ** 2             # one factor for the gradient, one for the scale of the weights
    ### END SOLUTION

# %% tags=["check"]
cases = [(0.01, 0.3), (0.1, 0.5), (0.02, 0.9)]
check(lambda: [same_step(*case) for case in cases], [e * (1 - r) ** 2 for e, r in cases],
      [([e / (1 - r) ** 2 for e, r in cases], "the other way round: inverted, they move more"), ([e * (1 - r) for e, r in cases], "that is the gradient; the scale of the weights counts as well"),
       ([e * r**2 for e, r in cases], "1 − r, not r")])

# %% [markdown]
# **4.** Let the rate be some $r$, so that masks are not equally likely: a mask with $k$ of $F$ neurons kept has the
# probability $(1 - r)^k\, r^{F - k}$. Compute the geometric mean of `one_layer` over all masks of 10 neurons, weighted
# by these probabilities, and normalised. (It should equal `one_layer` of features times $1 - r$, by the same
# derivation.)

# %% tags=["solution"]
def weighted_geometric_mean(x, r):
    p = one_layer(all_masks * x)                                    # (1024, 3)
    ### BEGIN SOLUTION
    k = all_masks.sum(1)                                            # (1024,)
    g = np.exp((1 - r) ** k * r ** (10 - k) @ np.log(p))            # (3,)
    return g / g.sum()
    ### END SOLUTION

# %% tags=["check"]
cases = [(rng.standard_normal(10), 0.2), (rng.standard_normal(10), 0.7)]


def weights_of(r):
    return (1 - r) ** all_masks.sum(1) * r ** (10 - all_masks.sum(1))


def by(rule):
    return np.concatenate([np.ravel(rule(x, r)) for x, r in cases])


check(lambda: by(weighted_geometric_mean), by(lambda x, r: one_layer((1 - r) * x[None])),
      [(by(lambda x, r: np.exp(weights_of(r) @ np.log(one_layer(all_masks * x)))), "normalise: the probabilities have to sum to 1"),
       (by(lambda x, r: one_layer(0.5 * x[None])), "that gives all masks the same weight"),
       (by(lambda x, r: weights_of(r) @ one_layer(all_masks * x)), "that is the arithmetic mean"),
       (by(lambda x, r: one_layer(r * x[None])), "a neuron is kept with probability 1 − r")])

# %% [markdown]
# ## Three questions
#
# To be answered without a computer.
#
# **1.** A layer is trained with dropout of rate 0.2 in the paper's form. What are its outputs multiplied by at test
# time, and what in the inverted form?
#
# <details><summary>Answer</summary>
#
# By 0.8, the probability that a neuron was kept. In the inverted form by nothing: there the kept outputs were divided
# by 0.8 in training.
#
# </details>
#
# **2.** Halving the outputs gives the normalised geometric mean of all masked nets *exactly* if the softmax follows
# directly. Is it exact for the paper's net?
#
# <details><summary>Answer</summary>
#
# No. Dropout follows fc6 as well, and between it and the softmax there is fc7 with its ReLU. It is exact for the masks
# of fc7 alone, with the output of fc6 given.
#
# </details>
#
# **3.** All images of a batch get the same mask instead of one each. What happens to the mean of the gradient, and what
# to its noise?
#
# <details><summary>Answer</summary>
#
# The mean over masks is the same. The noise is larger: the gradient is an average over 128 images but over one mask
# only, so what the mask contributes does not average out.
#
# </details>
#
# ## Summary
#
# Dropout sets each output to zero with probability one half in training, and at test time halves all of them. Halving
# gives the next layer the mean of what it saw in training, and for a softmax that follows directly the exact geometric
# mean of all masked nets. The inverted form is the same function, but the weights behind it learn as if ε were four
# times as large. On a thousand images dropout narrows the gap between training and test loss and takes more than twice
# as many epochs. A mask must be the same in forward and backward, so it follows from the seed, the step and the layer.
#
# Next: [11, Learning](11_learning.ipynb), the rule that changes the weights.
#
# ## What this chapter claimed
#
# If this cell runs, the text is true on your machine. (It speaks of Fashion-MNIST: with other `DATA` some of it may
# not hold.)

# %% tags=["claims"]
assert loops_equal and test_equal and gradient_error < 1e-6 and "gradient of x" in redrawing
assert again and halves and min(others) > 0.2 and 0.45 < masks.mean() < 0.55 and (features == 0).mean() > 0.3
assert abs(z.mean() - expected[0]) < 0.03 * expected[1] and abs(z.std() / expected[1] - 1) < 0.03
assert total + b - z.mean() > 2.5 * z.std() and (w > 0).mean() > 0.5
assert apart["one_layer"][0] < 1e-12 and 1e-2 < min(*apart["two_layers"], apart["one_layer"][1]) < 0.2
a = averages["one_layer"]
assert (a[:, 1] ** 2).sum() < (a[:, 2] ** 2).sum()                          # the arithmetic mean is less sure
assert order == ["fc6", "relu6", "drop6", "fc7", "relu7", "drop7", "fc8"] and (neurons, digits) == (8192, 2467)
assert 90 * 1_200_000 < 2 * 10**8 and inspect.signature(AlexNet).parameters["dropout"].default == 0.5
assert final["none"][1] < 0.01 and final["none"][2] > lowest["none"] + 0.1
gap = {form: end[2] - end[0] for form, end in final.items()}
assert gap["none"] > 1.4 * gap["paper"] and final["none"][2] > final["paper"][2] + 0.1
assert abs(final["none"][3] - final["paper"][3]) < 0.02                     # in errors the gain is small
assert abs(curves["none"][:, 9, 3].mean() - final["none"][3]) < 0.03        # where it was, while the loss rises
assert epochs_needed["paper"].mean() > 2 * epochs_needed["none"].mean()
assert epochs_needed["inverted"].mean() < 0.75 * epochs_needed["paper"].mean()
assert outputs_apart < 1e-4 and all(abs(factors[name] - (4 if name in behind else 1)) < 0.01 for name in factors)
assert measured["left on"][1] > measured["as it should be"][1] + 0.01
assert abs(measured["× 0.5 forgotten"][1] - measured["as it should be"][1]) < 0.02
assert measured["× 0.5 forgotten"][0] > 1.5 * measured["as it should be"][0]
assert single_loss > halved_loss + 0.03 and agreement > 0.93 and distance < 0.05
assert single_loss - running_loss[19] > 0.75 * (single_loss - running_loss[-1])
assert abs(running_loss[-1] - halved_loss) < 0.1
print("All of it holds.")
