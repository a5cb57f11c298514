# %% [markdown]
# # 10 Dropout
#
# **What the paper says.** Averaging the predictions of many nets lowers the error reliably, but nets as large as this take
# days to train. Dropout is a cheap substitute: in training, the output of every hidden neuron is set to zero with
# probability 0.5, anew for every image. So each image trains another net, and all these nets share their weights. A neuron
# cannot rely on certain others being there. At test time all neurons work, and their outputs are multiplied by 0.5, which
# is to approximate the geometric mean of the nets' predictions. It is used in the first two fully connected layers;
# without it the net overfits badly, and with it, learning takes about twice as many iterations (§ 4.2).
#
# **The question.** What does halving the outputs have to do with a mean over nets, and when is it exact? Most programs
# today scale in training instead: is that the same? And does dropout have, on a net small enough to train here, the
# effects that the paper reports?
#
# You need chapter [02](02_a_layer_and_its_gradient.ipynb). About one hour with the exercises. All chapters:
# [README](README.md).

# %%
import matplotlib.pyplot as plt
import numpy as np

from tools import BLACK, BLUE, ORANGE, check, show, show_source
import data
from alexnet import AlexNet, summary
from nn import SGD, Dropout, Flatten, Linear, Network, ReLU, check_layer, initialise, softmax

DATA = "fashion-mnist"                  # or "cifar10", or a folder of images
rng = np.random.default_rng(10)

# %% [markdown]
# ## A picture first
#
# Take one image and a fully connected layer of 256 neurons with random weights, then ReLU. Drop half of the outputs, three
# times: once for each of three steps. (`key` says which numbers are drawn; more of it below.)

# %%
pictures = data.load(DATA)
images, labels = pictures.train.images[:1000], pictures.train.labels[:1000]
mean = data.mean_image(images)
x = ((images - mean) / 100).astype(np.float32)                  # (1000, 28, 28, 1), about -2 … 2
features = ReLU().forward(x[:1].reshape(1, -1) @ rng.normal(0, 0.05, (x[0].size, 256)))[0]
dropped = [Dropout(0.5).forward(features, key=(step,)) for step in range(3)]    # (y, mask) each

# %% tags=["figure"]
figure, panels = plt.subplots(1, 4, figsize=(7.2, 2.2))
for axes, values, name in zip(panels, (features, *(y for y, _ in dropped)), ("all 256", "step 0", "step 1", "step 2")):
    axes.imshow(values.reshape(16, 16), cmap="gray_r", vmin=0, vmax=features.max())
    axes.set(title=name, xticks=[], yticks=[])
show(figure, "**Figure 10.1.** The outputs of 256 neurons for one image (the darker, the larger; white: 0), and what three draws of dropout "
             "leave of them. Many were 0 anyway, behind the ReLU. Another image of the batch gets another draw.")

# %% [markdown]
# ## The formula
#
# Call $x_i$ the output of neuron $i$ of $F$, and $r$ the rate, 0.5 in the paper. Draw a mask: numbers $m_i$ that are
# 0 with probability $r$ and 1 with probability $1 - r$, independently of each other. Then
#
# $$y_i = m_i\, x_i \quad\text{in training}, \qquad y_i = (1 - r)\, x_i \quad\text{at test time.}$$
#
# The project's layer draws the mask itself and returns it as its cache. **Expect** loops to give the same numbers with this
# mask. Of the source the last lines are shown: `drawn` are random 32-bit numbers, and such a number is at least
# $r \cdot 2^{32}$ with the probability $1 - r$.

# %%
def dropout(x, mask):
    y = np.zeros_like(x)
    for image, neuron in np.ndindex(x.shape):
        if mask[image, neuron]:
            y[image, neuron] = x[image, neuron]
    return y


h, layer = rng.standard_normal((5, 12)), Dropout(0.5)
y, mask = layer.forward(h, key=(1,))
loops_equal = np.array_equal(dropout(h, mask), y)
test_equal = np.array_equal(layer.forward(h, train=False)[0], 0.5 * h)
print(f"training: {loops_equal}, test: {test_equal}")
show_source(Dropout.forward, "keep = drawn")

# %% [markdown]
# ## The gradient
#
# Once the mask is drawn, it is a constant: $y_i = m_i x_i$ is linear in $x_i$ and depends on no other input. So
# $\partial y_i / \partial x_i = m_i$, and by the chain rule $\partial x_i = m_i\, \partial y_i$. A dropped neuron
# gets no gradient, so this image changes neither its incoming nor its outgoing weights.
#
# A frequent bug is a backward pass that draws a new mask: it must use the *same* one. And a check by finite differences
# needs the same mask in every forward pass. Here a mask follows from `key`; the network makes it of the seed, the step and
# the layer's name. (So a resumed run needs no saved mask, chapter [12](12_training.ipynb), and towers and processes draw
# the masks of one, chapters [07](07_two_gpus.ipynb) and [17](17_many_machines.ipynb).) **Expect** the layer to pass, and
# one whose backward draws anew to fail.

# %%
show_source(Dropout.backward)


class Redrawing(Dropout):
    def backward(self, dy, cache):
        return dy * self.forward(np.ones_like(dy), key=(2,))[1], {}


gradient_error = check_layer(Dropout(0.5), h, key=(1,))
redrawing_error = check_layer(Redrawing(0.5), h, key=(1,), tolerance=np.inf)
print(f"largest relative error: {gradient_error:.0e}, with a new mask {redrawing_error:.0e}")

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
print(f"without the factor {total + b:.4f}: {(total + b - z.mean()) / z.std():.1f} deviations away")

# %% [markdown]
# ## A mean over 2^F nets
#
# A layer of $F$ neurons has $2^F$ masks, each of them a net of its own. The paper says that halving approximates the
# *geometric mean* of their predictions. Let the dropped features go straight into the softmax, and call $z^\mu_k$ the
# input of class $k$ under mask $\mu$, so that its probability is $p^\mu_k = e^{z^\mu_k} / \sum_c e^{z^\mu_c}$. With
# $r = \frac12$ all masks are equally likely. The geometric mean is the $2^F$-th root of the product; its logarithm is
# a mean of logarithms:
#
# $$\log g_k = \frac{1}{2^F} \sum_\mu \log p^\mu_k = \frac{1}{2^F} \sum_\mu z^\mu_k \;-\; \frac{1}{2^F} \sum_\mu \log \sum_c e^{z^\mu_c}.$$
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
    """Geometric (normalised) and arithmetic mean over all masks; the net with halved features."""
    p = net(all_masks * x)                                          # (1024, 3)
    geometric = np.exp(np.log(p).mean(0))
    return geometric / geometric.sum(), p.mean(0), net(0.5 * x[None])[0]


points = rng.standard_normal((100, 10))
averages = {net.__name__: np.array([means(net, point) for point in points])
            for net in (one_layer, two_layers)}
apart = {name: np.abs(a[:, :2] - a[:, 2:]).mean((0, 2)) for name, a in averages.items()}
for name, (geometric, arithmetic) in apart.items():
    print(f"{name:10} from the halved net: geometric {geometric:.0e}, arithmetic {arithmetic:.2f}")

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
show(figure, "**Figure 10.2.** The mean prediction of all 1024 nets against the one pass with halved features, for 100 random inputs. "
             "Left: the geometric mean lies on the diagonal; the arithmetic mean is less sure of itself, nearer to ⅓. Right: "
             "with a hidden layer after the dropout (of large random weights) both are only roughly right.")

# %% [markdown]
# In the net dropout follows the ReLUs of fc6 and fc7: two masks for each image and step, of 4096 neurons each. There are
# $2^{8192}$ pairs of masks, a number of 2,467 digits. Training shows 1.2 million images 90 times, each with new masks, so
# at most 108 million of these nets see an image. The others learn because they share weights with those.
#
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
    drop6, drop7 = (Dropout(0 if form == "none" else 0.5, form == "inverted") for _ in range(2))
    layers = {"flatten": Flatten(), "fc6": Linear(x[0].size, 256), "relu6": ReLU(), "drop6": drop6,
              "fc7": Linear(256, 256), "relu7": ReLU(), "drop7": drop7,
              "fc8": Linear(256, len(pictures.classes))}
    network = Network([layers], x.shape[1:], seed=seed)
    initialise(network, "he", seed, bias=0.0)
    return network


def loss_and_error(p, labels):
    return (-np.log(np.maximum(p[np.arange(len(p)), labels], 1e-30)).mean(),
            (p.argmax(1) != labels).mean())

# %% [markdown]
# Batches of 50 come in random order, ε is 0.01, momentum 0.9. After every epoch we measure loss and error on the training
# and on 2,000 test images, *without* dropping anything, so that all nets are measured alike. Three seeds each, until the
# training loss is below 0.1. Along with the paper's form we train the inverted one, which comes next.
#
# The test loss first falls, then rises: the net grows ever surer of itself. How low does it get, after how many epochs? And
# how far is it above the training loss where the latter is first below 0.1, so that the nets have learned the images
# equally well? **Expect** dropout to lower the lowest test loss, and to need more than twice as many epochs to get there.
# The gap may surprise: **expect** hardly any difference. (±: standard error of three seeds.)

# %%
def train(form, seed, epochs):
    network, step, history = make(form, seed), 0, []
    sgd = SGD(network, momentum=0.9, weight_decay=0)
    for epoch in range(epochs):
        for batch in rng.permutation(len(x)).reshape(-1, 50):
            sgd.step(network.loss_and_gradients(x[batch], labels[batch], step=step)[1], lr=0.01)
            step += 1
        history.append([*loss_and_error(network.predict(x), labels),
                        *loss_and_error(network.predict(x_test), labels_test)])
    return network, np.array(history)


nets, curves, found = {}, {}, {}
for form, epochs in (("none", 24), ("paper", 56), ("inverted", 36)):
    nets[form], runs = zip(*[train(form, seed, epochs) for seed in range(3)])
    curves[form] = runs = np.array(runs)                                    # (3, epochs, 4)
    equal = range(3), (runs[:, :, 0] < 0.1).argmax(1)
    found[form] = {"lowest test loss": runs[:, :, 2].min(1),
                   "after epochs": runs[:, :, 2].argmin(1) + 1,
                   "gap": runs[*equal, 2] - runs[*equal, 0], "last test error": runs[:, -1, 3]}
    print(f"{form:8}", *(f" {name} {values.mean():.3g} ± {values.std(ddof=1) / np.sqrt(3):.1g}"
                         for name, values in found[form].items()))

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(7.2, 3.2))
for (form, runs), color, marker in zip(curves.items(), (ORANGE, BLUE, BLACK), "so^"):
    for column, style, name in ((2, "-", "test"), (0, "--", "training")):
        axes.plot(range(1, runs.shape[1] + 1), runs[:, :, column].mean(0), color=color, ls=style, marker=marker, markevery=6, ms=4,
                  label=f"{'no dropout' if form == 'none' else form}, {name}")
axes.set(xlabel="epoch", ylabel="loss", ylim=(0, 1.2))
figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3)
show(figure, "**Figure 10.3.** 1,000 training images, with and without dropout, mean of three seeds. With dropout the net learns more slowly, and the "
             "test loss gets lower before it rises. Where the dashed lines reach the same height, the solid ones are nearly equally high.")

# %% [markdown]
# So dropout lowers the lowest test loss, from 0.59 to 0.54. It does not stop the overfitting, it delays it: at equal
# training loss the gap is nearly that of the net without dropout. In errors the gain is small, a point or less of these
# 2,000 test images. (In the project's small convolutional net, with crops and mirrors, it cannot be seen at all: chapter
# [14](14_what_matters.ipynb). The gain depends on how much the net overfits.) The paper says that dropout about doubles the
# iterations. Here it takes about four times as many in the paper's form, and two or three times as many in the inverted one,
# with one ε for all that was chosen for none of them. The next section shows why these two differ.
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
# A step of gradient descent changes $W'$ by $-\varepsilon\, \partial W'$. Seen as a change of $W = W' / (1 - r)$, that is
# $-\varepsilon\, \partial W' / (1 - r) = -\varepsilon\, \partial W / (1 - r)^2$: one factor comes from the gradient, the other from the
# scale of the weights. For $r = \frac12$ the inverted form moves the weights behind a dropout as if ε were *four times* as
# large. **Expect** with one step: equal outputs before it, factor 4 for the weights of fc7 and fc8, 1 for fc6 (no dropout
# before it) and for all biases.

# %%
paper, inverted = make("paper", seed=5), make("inverted", seed=5)
start, behind = paper.weights(), ("fc7.W", "fc8.W")
inverted.load_weights({name: value / 2 if name in behind else value
                       for name, value in start.items()})
few, own = x[:50], labels[:50]
outputs_apart = max(np.abs(paper.predict(few) - inverted.predict(few)).max(),
                    np.abs(paper.forward(few, step=1)[0] - inverted.forward(few, step=1)[0]).max())
for network in (paper, inverted):
    SGD(network, weight_decay=0).step(network.loss_and_gradients(few, own, step=1)[1], lr=0.01)
factors = {}
for name, after in inverted.weights().items():
    moved = paper.weights()[name] - start[name]
    moved_inverted = (2 * after if name in behind else after) - start[name]     # W = W' / (1 − r)
    factors[name] = round(float(np.vdot(moved, moved_inverted) / np.vdot(moved, moved)), 3)
print(f"outputs apart: {outputs_apart:.0e}; step of the inverted form / of the paper's:", factors)

# %% [markdown]
# So a learning rate found with one form is not the right one for the other. (The inverted nets of the experiment began with
# the paper's form's initial weights, with which they are other functions.)
#
# ## What goes wrong in practice
#
# **Dropout left on at test time**, and **the factor forgotten** (in the inverted form: used in training and at test time).
# **Expect** the first to cost points. The second may surprise. A ReLU with twice the input has twice the output, so (but
# for the biases) all logits grow by the same factor, and the largest remains the largest: the *error* hardly changes. But
# the probabilities are far too sure, so the *loss* grows. And once more the $2^F$ nets, now with two dropped layers, where
# halving is only an approximation: average 20 of them. **Expect** nearly the same error, and a lower loss, since an
# arithmetic mean is less sure of itself (Figure 10.2), and this net was trained until it was too sure.

# %%
net = nets["paper"][0]
masked = [softmax(net.forward(x_test, step=10_000 + m)[0]) for m in range(20)]  # unseen masks
answers = {"as it should be": net.predict(x_test), "left on": masked[0],
           "mean of 20 masks": np.mean(masked, 0)}
for name in ("drop6", "drop7"):
    net.towers[0][name].inverted = True                         # which does nothing at test time
answers["× 0.5 forgotten"] = net.predict(x_test)
measured = {name: loss_and_error(p, labels_test) for name, p in answers.items()}
for name, (loss, error) in measured.items():
    print(f"{name:16} test loss {loss:.3f}, test error {error:.1%}")

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
with_both = lambda forward, backward: np.concatenate([np.ravel(part) for x, mask, rate, dy in cases for part in (
    forward(x, mask, rate, True), forward(x, mask, rate, False), backward(dy, mask, rate))])
kept = lambda x, mask, rate, train=True: x * mask / (1 - rate) if train else x
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
# **3.** A net with dropout of some rate is changed from the paper's form, with ε = `lr`, to the inverted one. Which ε moves
# the weights behind the dropout as before, measured as in the text?

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
weights_of = lambda r: (1 - r) ** all_masks.sum(1) * r ** (10 - all_masks.sum(1))
by = lambda rule: np.concatenate([np.ravel(rule(x, r)) for x, r in cases])
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
# times as large. On a thousand images dropout lowers the lowest test loss from 0.59 to 0.54 and takes several times as many
# epochs: it delays the overfitting and does not end it. A mask must be the same in forward and backward, so it follows
# from the seed, the step and the layer.
#
# Next: [11, Learning](11_learning.ipynb), the rule that changes the weights.
#
# ## What this chapter claimed
#
# If this cell runs, the text is true on your machine. (It speaks of Fashion-MNIST: with other `DATA` some of it may
# not hold.)

# %% tags=["claims"]
assert loops_equal and test_equal and gradient_error < 1e-6 and redrawing_error > 0.1
first, again, other = (layer.forward(h, key=key)[1] for key in ((1,), (1,), (2,)))
assert np.array_equal(first, again) and not np.array_equal(first, other) and len(str(2**8192)) == 2467 and 90 * 1_200_000 == 108_000_000
assert all(100 < mask.sum() < 156 for _, mask in dropped) and (features == 0).mean() > 0.3         # Figure 10.1
assert abs(z.mean() - expected[0]) < 0.03 * expected[1] and abs(z.std() / expected[1] - 1) < 0.03 and total + b - z.mean() > 2.5 * z.std() and (w > 0).mean() > 0.5
assert apart["one_layer"][0] < 1e-12 and 1e-2 < min(*apart["two_layers"], apart["one_layer"][1]) < 0.2
assert (averages["one_layer"][:, 1] ** 2).sum() < (averages["one_layer"][:, 2] ** 2).sum()        # the arithmetic mean is less sure
order = [row.name for row in summary(AlexNet(init=None)) if row.name.startswith(("fc", "drop")) or row.name in ("relu6", "relu7")]
assert order == ["fc6", "relu6", "drop6", "fc7", "relu7", "drop7", "fc8"] and AlexNet(init=None).towers[0]["drop6"].rate == 0.5
losses, times, gaps, errors = ({form: values[name].mean() for form, values in found.items()} for name in found["none"])
assert abs(losses["none"] - 0.59) < 0.015 and abs(losses["paper"] - 0.54) < 0.01 and losses["inverted"] < losses["none"] - 0.02
assert 3 < times["paper"] / times["none"] < 6 and 1.5 < times["inverted"] / times["none"] < 3.5
assert max(gaps.values()) < 1.2 * min(gaps.values()) and -0.002 < errors["none"] - errors["paper"] < 0.015
assert all(runs[:, -1, 0].max() < 0.1 and runs[:, -1, 2].mean() > runs[:, :, 2].min(1).mean() + 0.03 for runs in curves.values())
assert outputs_apart < 1e-4 and all(abs(factor - (4 if name in behind else 1)) < 0.01 for name, factor in factors.items())
assert measured["left on"][1] > measured["as it should be"][1] + 0.01 and abs(measured["mean of 20 masks"][1] - measured["as it should be"][1]) < 0.015
assert abs(measured["× 0.5 forgotten"][1] - measured["as it should be"][1]) < 0.02 and measured["× 0.5 forgotten"][0] > 1.5 * measured["as it should be"][0]
assert measured["mean of 20 masks"][0] < measured["as it should be"][0] < measured["left on"][0] - 0.02
print("All of it holds.")
