# %% [markdown]
# # 08 The whole net
#
# **What the paper says.** Eight layers with weights: five convolutions, three fully connected layers, and a softmax
# over 1000 classes (§ 3.5). Normalisation follows the first two convolutions, pooling follows both normalisations and
# the fifth convolution, and a ReLU follows every layer but the last. Figure 2 of the paper gives sizes for all of it.
# Memory and time limit the size of the net (§ 1); the paper does not say which layers use them.
#
# **The question.** What does a unit of each layer see? Which layers fill the memory, which take the time, and is it spent
# on arithmetic?
#
# You need chapters [03](03_convolution.ipynb) to [06](06_overlapping_pooling.ipynb) for the layers;
# [00](00_overview.ipynb) counts their outputs, parameters and multiply-adds. About one hour with the exercises.
# All chapters: [README](README.md).

# %%
import time

import matplotlib.pyplot as plt
import numpy as np

import tools
from tools import BLACK, BLUE, ORANGE, check, photo, show, timed
from alexnet import AlexNet, summary
from nn import Conv2d, MaxPool2d, Profile
from nn.loss import softmax
from nn.run.memory import arrays_in

rng = np.random.default_rng(8)

# %% [markdown]
# ## A picture first
#
# We take the net in one piece, with two groups in conv2, conv4 and conv5 (chapter [07](07_two_gpus.ipynb) shows that it
# is the same net). One unit of a layer depends on a square of the image, its *receptive field*. To find it, count: there
# is a path from each unit in a window to the unit that is made of the window. `paths[u, p]` is the number of paths from
# pixel $p$ to unit $u$ along one side of the image; in two dimensions the numbers of both sides are multiplied.
# **Expect** larger squares from layer to layer, up to 195 of 224 pixels in pool5, with more paths from the middle of the
# square than from its edges.

# %%
net = AlexNet(towers=1, threads=1, convolution="direct")    # what this means: under "Time"
layers = net.towers[0]
rows = {row.name: row for row in summary(net) if "exchange" not in row.name}  # nothing to exchange
windows = {name: (layer.size, layer.stride, getattr(layer, "before", 0), getattr(layer, "after", 0))
           for name, layer in layers.items() if isinstance(layer, (Conv2d, MaxPool2d))}
picture, credit = photo("chelsea", 224)

# %%
paths, seen = np.eye(224), {}
for name, (z, s, before, _) in windows.items():
    side, place = rows[name].shape[0], np.arange(len(paths))
    begins = s * np.arange(side)[:, None] - before                 # where each unit's window begins
    paths = ((begins <= place) & (place < begins + z)) @ paths
    seen[name] = np.flatnonzero(paths[(side - 1) // 2])             # by a unit in the middle
to_pool5 = np.outer(paths[2], paths[2])                             # to unit (2, 2)
quarter = to_pool5[49:146, 49:146].sum() / to_pool5.sum()           # 97×97 of 195×195
print("pixels seen:", {name: len(pixels) for name, pixels in seen.items()})
print(f"up to {to_pool5.max():,.0f} paths; the middle quarter has {quarter:.0%} of them")

# %% tags=["figure"]
figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.7))
panels[0].imshow(picture)
for name, style in zip(("conv1", "pool1", "pool2", "conv3", "conv4", "conv5", "pool5"), ("-", "-", "--", "-", "--", "-", "-")):
    start, r = seen[name][0], len(seen[name])
    panels[0].add_patch(plt.Rectangle((start, start), r, r, fill=False, ec="white", lw=2.6))
    panels[0].add_patch(plt.Rectangle((start, start), r, r, fill=False, ec=BLACK, lw=1.2, ls=style))
    if r > 40:
        panels[0].text(start + 4, start + 4, f"{name}: {r}", fontsize=6.5, color=BLACK, va="top",
                       bbox=dict(fc="white", ec="none", pad=0.6, alpha=0.85))
panels[0].set(title="what one unit in the middle sees", xlim=(-0.5, 223.5), ylim=(223.5, -0.5))
shown = panels[1].imshow(to_pool5 / to_pool5.max(), vmin=0)
panels[1].add_patch(plt.Rectangle((49, 49), 97, 97, fill=False, ec="white", lw=1.2, ls="--"))
panels[1].set_title("paths to unit (2, 2) of pool5")
figure.colorbar(shown, ax=panels[1], shrink=0.8, label="share of the largest number")
for axes in panels:
    axes.set(xlabel="pixel", ylabel="pixel")
show(figure, f"**Figure 8.1.** Left: the squares that one unit of each layer sees (the two smallest are conv1's 11 and pool1's "
             f"19 pixels; that of pool5 is unit (2, 2)'s, off the centre). Right: how many paths lead from each pixel to that unit of pool5 (dashed: the middle quarter). "
             f"The field has sharp edges, but it is used mostly in its middle. {credit}")

# %% [markdown]
# Luo and others ("Understanding the effective receptive field", 2016) showed this: most of the influence is in the middle.
#
# ## The net as a formula
#
# Write $x_0$ for the image less the mean, $*$ for a convolution and $\rho(x) = \max(0, x)$. Normalisation and pooling
# are called lrn and pool. Then the order of § 3.5 is
#
# $$\begin{aligned}
# x_1 &= \text{pool}(\text{lrn}(\rho(W_1 * x_0 + b_1))) & x_5 &= \text{pool}(\rho(W_5 * x_4 + b_5)) \\
# x_2 &= \text{pool}(\text{lrn}(\rho(W_2 * x_1 + b_2))) & x_6 &= \rho(x_5 W_6 + b_6) / 2 \\
# x_3 &= \rho(W_3 * x_2 + b_3) & x_7 &= \rho(x_6 W_7 + b_7) / 2 \\
# x_4 &= \rho(W_4 * x_3 + b_4) & p &= \text{softmax}(x_7 W_8 + b_8),
# \end{aligned} \qquad \text{softmax}(z)_i = \frac{e^{z_i}}{\sum_j e^{z_j}}.$$
#
# (Before $W_6$, $x_5$ is written as one row of $6 \cdot 6 \cdot 256$ numbers. The halves are what dropout does at
# test time, § 4.2.) **Expect** these lines to give the probabilities of `net.predict`.

# %%
image = (255 * (picture - picture.mean((0, 1))))[None].astype(np.float32)       # (1, 224, 224, 3)


def f(name, x):
    return layers[name].forward(x, train=False)[0]


with net.workers.one_blas_thread():
    x = image
    for i in "12":
        x = f("pool" + i, f("norm" + i, f("relu" + i, f("conv" + i, x))))
    for i in "345":
        x = f("relu" + i, f("conv" + i, x))
    x = f("pool5", x).reshape(1, -1)
    for i in "67":
        x = f("relu" + i, f("fc" + i, x)) / 2
    by_formula = softmax(f("fc8", x))
formula_difference = np.abs(by_formula - net.predict(image)).max()
print(f"{by_formula.shape}, sum {by_formula.sum():.6f}, difference {formula_difference:.0e}")

# %% [markdown]
# ## Shapes and fields
#
# A convolution or a pooling with windows of $z$ pixels, stride $s$, $a$ zeros before and $a'$ after makes
# $\lfloor (H + a + a' - z)/s \rfloor + 1$ of a side of $H$ pixels.
#
# The squares of Figure 8.1 follow from the same numbers. Let $r$ be the side of a unit's square, and $j$ the distance
# (in pixels of the image) between the squares of two neighbouring units. For the image itself $r = j = 1$. A unit of
# the next layer sees a window of $z$ units. The first of them sees $r$ pixels, each of the $z - 1$ others reaches $j$
# pixels farther. And two neighbours in the new layer are $s$ units apart, each worth $j$ pixels:
#
# $$r \leftarrow r + (z - 1)\,j, \qquad j \leftarrow s\,j.$$
#
# The square of unit 0 begins at pixel $o$, which is 0 in the image; the zeros before the map shift it:
# $o \leftarrow o - a\,j$, with the old $j$. **Expect** sides of 224 → 55 → 27 → 13 → 6, and the squares that we counted.

# %%
side, r, j, o, field = 224, 1, 1, 0, {}
for name, (z, s, before, after) in windows.items():
    side, r, j, o = (side + before + after - z) // s + 1, r + (z - 1) * j, s * j, o - before * j
    field[name] = side, r, j, o
    print(f"{name}: {side:2} units a side; each sees {r:3} pixels; "
          f"neighbours are {j:2} apart; the first begins at {o}")

# %% [markdown]
# Of the 36 places of pool5 only (2, 2) has its whole square inside the image; that of (0, 0) begins 64 pixels outside
# and ends at pixel 130. (For the missing pixels the layers between read the zeros of their padding.) fc6 is the first
# layer that sees all of the image.
#
# ## Memory
#
# Training keeps three numbers for each parameter: itself, its gradient and its velocity (chapter
# [11](11_learning.ipynb)). And forward keeps the layers' caches for backward. We run one image through the net and look
# at them, by stages: a layer with weights and what follows it. An array that two layers keep (ReLU's output is also the
# next layer's input) counts once, and the image not at all. **Expect** in all as many bytes as `net.memory` says; the
# first two stages to hold more than three quarters of what the maps take, and fc6 more than half of what the
# parameters take.

# %%
stages = [name for name, row in rows.items() if row.parameters]
x, known, caches, per_image = image, {id(image)}, [], dict.fromkeys(stages, 0)
for name in rows:
    x, cache = layers[name].forward(x)
    new = {key: size for key, size in arrays_in(cache).items() if key not in known}
    per_image[next((s for s in stages if s[-1] == name[-1]), "fc6")] += sum(new.values())
    known |= new.keys()
    caches.append(cache)        # keep it alive: Python may give a freed array's id to a new one
per_parameter = {s: 3 * sum(array.nbytes for array in layers[s].params.values()) for s in stages}
all_parameters, all_maps = sum(per_parameter.values()), sum(per_image.values())
ledger = net.memory(128)[0]
print(f"128 images {128 * all_maps:,} bytes; net.memory says {ledger['kept for backward']:,}")
print(f"parameters {all_parameters / 2**20:.1f} MiB, maps {all_maps / 2**20:.2f} MiB an image: "
      f"equal at {all_parameters / all_maps:.0f} images")

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(7.2, 2.9))
at = np.arange(8)
axes.bar(at - 0.2, [per_parameter[s] / 2**20 for s in stages], 0.4, color="0.85", hatch="///", edgecolor=BLACK, label="weights, velocities, gradients")
axes.bar(at + 0.2, [128 * per_image[s] / 2**20 for s in stages], 0.4, color=BLUE, edgecolor=BLACK, label="kept for backward, 128 images")
axes.set(xticks=at, xticklabels=stages, ylabel="MiB")
axes.legend()
show(figure, "**Figure 8.2.** Memory of training, stage by stage. Convolutions need it for maps, most of all the first; fully "
             "connected layers for weights, most of all fc6.")

# %% [markdown]
# The batch size changes what the maps take, and not what the parameters take. Prediction needs neither velocities nor
# gradients, nor any cache: two maps at a time, and the weights. Not counted is what a layer needs only while it
# computes, above all the columns of im2col (chapter [03](03_convolution.ipynb)).
#
# ## Time
#
# A network runs fast forms of its layers (`nn/fast/`), which give the same results within rounding. `net.layers` holds
# them, and all times in this chapter are theirs. This chapter's net has one thread and `convolution="direct"`: its
# convolutions do every multiply-add that we counted. (The default saves most of them: chapter
# [18](18_fewer_multiplications.ipynb).) A batch goes through the convolutions in pieces of a few images, so that maps and
# columns stay in a cache of the processor (small, fast memory; not a layer's cache); the gradients of the pieces are
# added up. By default the largest map of a piece has about `net.forms.piece` numbers. **Expect** one image a piece up to
# pool2 (conv1 puts out 290,400 numbers), and four from conv3 to pool5.

# %%
forms = net.layers[0]
batch, labels = 50 * rng.standard_normal((16, 224, 224, 3), np.float32), rng.integers(0, 1000, 16)
net.profile = Profile(net)                                          # notes each piece of each stage
net.loss_and_gradients(batch, labels)
pieces = {stage: len(spans) for (stage, _, _), spans in net.profile.spans.items()}
net.profile = None
print(f"{net.forms.piece:,} numbers; 16 images go through in pieces: {pieces}")

# %% [markdown]
# Now let every layer note how long it takes in a training step. Of three steps each layer's fastest time counts, as
# other programs can only slow it down. **Expect** the sum over the layers to be nearly the whole step.

# %%
def noting(method, own, direction):
    def run(*args, **kwargs):
        start = time.perf_counter()
        result = method(*args, **kwargs)
        own[direction] += time.perf_counter() - start
        return result
    return run


def layer_times():
    """{layer: [forward, backward] seconds} of a training step, and their share of all of it."""
    notes = {name: [0.0, 0.0] for name in rows}
    for name, own in notes.items():
        forms[name].forward = noting(forms[name].forward, own, 0)
        forms[name].backward = noting(forms[name].backward, own, 1)
    start = time.perf_counter()
    net.loss_and_gradients(batch, labels)
    covered = sum(map(sum, notes.values())) / (time.perf_counter() - start)
    for name in rows:
        del forms[name].forward, forms[name].backward                       # the class's own again
    return notes, covered


runs = [layer_times() for _ in range(3)]
spent = {name: np.min([notes[name] for notes, _ in runs], axis=0) for name in rows}
covered = max(share for _, share in runs)
print(f"the layers take {covered:.0%} of the step")

# %% [markdown]
# Going forward, a layer with weights has its multiply-adds. Going backward it has twice as many (one product for the
# weights, one for the input), except conv1, whose input needs no gradient. **Expect** the convolutions to take most of
# the time, and the layers without any multiply-adds a good part of it all the same.

# %%
kinds = {**{name: [name] for name in stages},
         "ReLU": [n for n in rows if n.startswith("relu")], "LRN": ["norm1", "norm2"],
         "pooling": ["pool1", "pool2", "pool5"], "dropout": ["drop6", "drop7"]}
time_share = {kind: sum(spent[name].sum() for name in names) for kind, names in kinds.items()}
work_share = {kind: sum(rows[name].multiply_adds * (2 if name == "conv1" else 3) for name in names)
              for kind, names in kinds.items()}
for share in time_share, work_share:
    share |= {kind: amount / sum(share.values()) for kind, amount in share.items()}
without_work = sum(time_share[kind] for kind in kinds if not work_share[kind])
convolutions = sum(time_share[name] for name in stages[:5])
print(f"convolutions {convolutions:.0%} of the time, without multiply-adds {without_work:.0%}")

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(7.2, 3))
at = np.arange(len(kinds))
axes.bar(at - 0.2, [100 * work_share[k] for k in kinds], 0.4, color="0.85", hatch="...", edgecolor=BLACK, label="multiply-adds")
axes.bar(at + 0.2, [100 * time_share[k] for k in kinds], 0.4, color=ORANGE, edgecolor=BLACK, label="time")
axes.set(xticks=at, ylabel="share of a step, %")
axes.set_xticklabels(list(kinds), fontsize=8.5)
axes.legend()
show(figure, "**Figure 8.3.** A training step of 16 images, forward and backward, on one core: share of the multiply-adds (dots) and share of the "
             "time (plain). Where the plain bar is higher, the layer gets less done per second than the average. ReLU, "
             "LRN and pooling have no multiply-adds in this account, and take time.")

# %% [markdown]
# So multiply-adds predict the time of a convolution to a factor of two or so, and say nothing about other
# layers. (In this program LRN's window sum is a product with a band matrix, which its formula does not need: not counted.)
#
# ## How fast could it be?
#
# A layer can be slow for two reasons: the processor has to compute much, or it waits for memory. The *roofline* model
# (Williams, Waterman and Patterson, 2009) puts both into one picture. It needs two numbers of the machine: the
# multiply-adds a second of a large matrix product (its peak $\pi$), and the bytes a second that come from memory when
# every number is used once (its bandwidth $\sigma$). We measure both, on one core: a product of 1024×1024 matrices,
# and the product of fc6's weights with a vector on either side, of which the faster counts.

# %%
square, W = rng.standard_normal((1024, 1024), np.float32), layers["fc6"].params["W"]
with net.workers.one_blas_thread():
    tries = [timed(lambda: square @ square, lambda: W[:, 0] @ W, lambda: W @ W[0], rounds=1)
             for _ in range(20)]
product_time, *vector_times = np.min(tries, axis=0)                     # a roof: the best counts
peak, bandwidth = 1024**3 / product_time, W.nbytes / min(vector_times)
ridge = peak / bandwidth
print(f"{ridge:.1f} multiply-adds in the time of one byte")

# %% [markdown]
# The quotient $\pi / \sigma$ decides. Let a layer do $A$ multiply-adds and move $B$ bytes *at least*: read its weights
# and its input once, write its output once. Its *intensity* is $I = A / B$. The arithmetic takes $A / \pi$ seconds or
# more, the bytes $B / \sigma$ or more. So its rate $A / t$ is at most
#
# $$\frac{A}{\max(A/\pi,\; B/\sigma)} = \min\left(\pi,\; \sigma\,\frac{A}{B}\right) = \min(\pi,\; \sigma I).$$
#
# Drawn over $I$ on logarithmic axes, this is a slope that ends under a flat roof, at the *ridge* $I = \pi / \sigma$.
#
# A **fully connected** layer with $F$ inputs and $G$ outputs, and $N$ images in a batch: $A = N F G$. With four bytes
# a number $B = 4\,(F G + N F + N G)$, of which the weights are by far the most as long as $N$ is small against $F$
# and $G$. Then
#
# $$I = \frac{N F G}{4\,(F G + N F + N G)} \approx \frac{N}{4}$$
#
# multiply-adds a byte. This slope is the reason for large batches. A **convolution** uses each weight at every position
# of every image, so its intensity is large even for one image, and pieces of a few images cost it little. **Expect**
# $1/4$ for fc6 with one image, and for the convolutions, in their pieces of one or four, more than the ridge.

# %%
def intensity(name, count):
    """Multiply-adds of a forward pass of `count` images, per byte that has to be moved at least."""
    before = list(rows)[list(rows).index(name) - 1]
    incoming = image.size if name == "conv1" else rows[before].floats
    moved = layers[name].params["W"].size + count * (incoming + rows[name].floats)
    return count * rows[name].multiply_adds / (4 * moved)


sizes = dict(zip(stages[:5], [1, 1, 4, 4, 4]))                      # images in a piece, as above
points = {name: (intensity(name, n), 16 * rows[name].multiply_adds / spent[name][0] / peak)
          for name, n in sizes.items()}                             # (I, rate as a share of π)
with net.workers.one_blas_thread():
    for n in (1, 16, 128):
        x = rng.standard_normal((n, 9216), np.float32)
        t = min(timed(lambda: forms["fc6"].forward(x), rounds=1)[0] for _ in range(4))
        points[f"fc6, N = {n}"] = intensity("fc6", n), n * W.size / t / peak
for name, (i, rate) in points.items():
    print(f"{name:13} {i:6.2f} multiply-adds a byte, {rate:4.0%} of the peak, "
          f"{rate / min(1, i / ridge):4.0%} of its roof")

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(7.2, 3.8))
i = np.geomspace(0.1, 1000, 200)
axes.plot(i, 100 * np.minimum(1, i / ridge), color=BLACK, ls="-", marker="", label="roof: min(π, σI)")
for prefix, style, label in (("conv", dict(ls="", marker="o", color=BLUE), "convolutions"), ("fc6", dict(ls="--", marker="s", color=ORANGE), "fc6 with N images")):
    axes.plot(*zip(*((x, 100 * y) for name, (x, y) in points.items() if name.startswith(prefix))), **style, label=label)
for name in list(points)[5:]:
    axes.annotate(name[5:], (points[name][0], 100 * points[name][1]), (-44, 5) if name.endswith("8") else (7, -10), textcoords="offset points", fontsize=8)
axes.set(xscale="log", yscale="log", xlabel="intensity I: multiply-adds per byte that has to be moved", ylabel="multiply-adds a second, % of π", ylim=(2, 160))
axes.set_yticks([2, 5, 10, 20, 50, 100], ["2", "5", "10", "20", "50", "100"])
axes.minorticks_off()
axes.grid(True, which="major")
axes.legend(loc="upper left")
show(figure, "**Figure 8.4.** Roofline of one core of the machine that ran this notebook, and its layers, forward: convolutions within the step, "
             "fc6 by itself. One image through fc6 is bound by memory: each weight is read for the sake of a single product. More images "
             "make more of each weight read, until the arithmetic is the limit. Convolutions are always at the right.")

# %% [markdown]
# One image through fc6 *is* a product with a vector, so its point cannot be far from the slope. What keeps other
# layers below their roof is not measured here: probably the copying (im2col), the adding of biases, and, for fc6 with
# 16 images, that a matrix library first copies its operands into blocks. And the layers without products? They read
# their input and write their output at least once. **Expect** the first ReLU to take not much longer than these bytes,
# and LRN and pooling several times as long: they go through their maps again and again, and LRN raises to a power.

# %%
over_bytes = {}
for name, before in (("relu1", "conv1"), ("norm1", "relu1"), ("pool1", "norm1")):
    moved = 4 * 16 * (rows[name].floats + rows[before].floats)
    over_bytes[name] = spent[name][0] * bandwidth / moved
    print(f"{name} takes {over_bytes[name]:.1f} times as long as its bytes")

# %% [markdown]
# ## Exercises
#
# Solutions are folded. `python notebooks/build.py blank` makes the edition without them.
#
# **1.** A *dilated* window (Yu and Koltun, 2016) has its $z$ units $\delta$ apart instead of side by side, so that more is
# seen with as many weights. Write a function that takes triples $(z, s, \delta)$ of window, stride and dilation, first layer
# first, and returns the side of the square that one unit of the last layer sees.

# %% tags=["solution"]
def receptive_field(triples):
    ### BEGIN SOLUTION
    r, j = 1, 1
    for z, s, e in triples:
        r, j = r + (z - 1) * e * j, j * s
    return r
    ### END SOLUTION

# %% tags=["check"]
nets = [[(11, 4, 1), (3, 2, 1), (5, 1, 1), (3, 2, 1)], [(3, 1, 1), (3, 1, 2), (3, 1, 4)], [(5, 2, 3), (3, 2, 2), (2, 1, 5)], []]
check(lambda: [receptive_field(triples) for triples in nets], [67, 15, 41, 1],
      [([67, 7, 19, 1], "the dilation counts: the units of a window are δ apart"), ([147, 15, 69, 1], "the new layer's stride counts for the *next* layer: use the old j in r"),
       ([19, 15, 22, 1], "a step in a deeper layer is j pixels of the image")])

# %% [markdown]
# **2.** A machine does 4 multiply-adds in the time of one byte. From how many images on is fc6 ($F = 9216$, $G = 4096$)
# bound by arithmetic? Use the exact intensity.

# %% tags=["solution"]
images_needed = ...
### BEGIN SOLUTION
images_needed = next(n for n in range(1, 1000) if n * 9216 * 4096 / (4 * (9216 * 4096 + n * (9216 + 4096))) >= 4)
### END SOLUTION

# %% tags=["check"]
check(lambda: images_needed, 17, [(16, "that is N/4 = 4; input and output take bytes as well"), (4, "I is about N/4, not N")])

# %% [markdown]
# **3.** How many images can a batch have, if a card has `card` bytes, the net `parameters` numbers of 4 bytes (with
# velocities and gradients), each image keeps `kept_per_image` bytes for backward, and nothing else is needed?

# %% tags=["solution"]
def largest_batch(card, parameters, kept_per_image):
    ### BEGIN SOLUTION
    return (card - 3 * 4 * parameters) // kept_per_image
    ### END SOLUTION

# %% tags=["check"]
cards = [(3 * 2**30, 60_965_224, 9_000_000), (2**20, 1000, 70_000)]
check(lambda: [largest_batch(*card) for card in cards], [(c - 12 * p) // k for c, p, k in cards],
      [([(c - 4 * p) // k for c, p, k in cards], "velocities and gradients take as much again, each"),
       ([(c - 3 * p) // k for c, p, k in cards], "a number has 4 bytes"), ([(c - 12 * p) / k for c, p, k in cards], "a whole number of images"),
       ([c // k for c, p, k in cards], "the parameters need room, too")])

# %% [markdown]
# **4.** Some layers take the `share` of a step's time, and are made `times` as fast. By what factor does a step get
# faster? (Amdahl's law, 1967. With `share` for ReLU, LRN, pooling and dropout, and `times` without limit, it says what
# can be gained there at most.)

# %% tags=["solution"]
def faster(share, times):
    ### BEGIN SOLUTION
    return 1 / (1 - share + share / times)
    ### END SOLUTION

# %% tags=["check"]
cases = [(0.25, 1e9), (0.5, 2), (0.9, 10), (0.2, 1)]
check(lambda: [faster(*case) for case in cases], [1 / (1 - p + p / k) for p, k in cases],
      [([1 - p + p / k for p, k in cases], "that is the time that remains: the factor is its inverse"),
       ([1 / (1 - p) for p, k in cases], "that is for layers that take no time at all"), ([k for p, k in cases], "the rest of the step is as slow as before")])

# %% [markdown]
# ## Three questions
#
# To be answered without a computer.
#
# **1.** The input becomes 448×448. Which layers get other weights, and how many inputs does fc6 have then?
#
# <details><summary>Answer</summary>
#
# Only fc6. The sides are (448 + 3 − 11)/4 + 1 = 111, then 55, 27 and 13, so fc6 has 13·13·256 = 43,264 inputs instead
# of 9,216.
#
# </details>
#
# **2.** One image goes through fc6 on a machine whose memory gives 15 GB a second. How long does it take at least,
# however fast the processor is?
#
# <details><summary>Answer</summary>
#
# fc6 has 37,748,736 weights of 4 bytes, 151 MB. Reading them takes 151 MB / 15 GB/s = 10 ms.
#
# </details>
#
# **3.** conv1's stride becomes 2, and the rest stays. What does a unit of pool5 see?
#
# <details><summary>Answer</summary>
#
# 103 pixels along each side. A unit of conv1 sees 11 as before, and what all later layers add, 195 − 11 = 184, is halved,
# as neighbours are half as far apart: 11 + 92.
#
# </details>
#
# ## Summary
#
# The net is a short formula, and a rule of one line gives all its shapes. A unit of pool5 sees 195 of 224 pixels, and
# mostly the middle of them. In training the early maps and the weights of fc6 fill the memory. The convolutions take
# most of the time, but layers without any multiply-adds take a good part of it. A fully connected layer waits for
# memory unless many images share its weights, and a convolution does not.
#
# Next: [09, Data augmentation](09_data_augmentation.ipynb), what the net gets to see.
#
# ## What this chapter claimed
#
# If this cell runs, the text is true on your machine (times: within wide limits).

# %% tags=["claims"]
assert formula_difference < 1e-6 and abs(by_formula.sum() - 1) < 1e-5
for name, pixels in seen.items():
    side, r, j, o = field[name]
    assert side == rows[name].shape[0] and pixels.tolist() == [o + (side - 1) // 2 * j + p for p in range(r)]
assert [field[name][0] for name in ("conv1", "pool1", "pool2", "pool5")] == [55, 27, 13, 6]
assert [field[name][1] for name in ("conv1", "pool1", "pool5")] == [11, 19, 195] and field["pool5"][2:] == (32, -64)
assert 0.6 < quarter and np.flatnonzero(paths[0]).tolist() == list(range(131))
assert [u for u in range(6) if np.count_nonzero(paths[u]) == 195] == [2] and paths.any(0).all()
assert 128 * all_maps == ledger["kept for backward"] and all_parameters == 3 * ledger["weights"]
assert per_image["conv1"] + per_image["conv2"] > 0.75 * all_maps and per_parameter["fc6"] > all_parameters / 2
assert 0.8 < covered <= 1.02 and convolutions > 0.5 and without_work > 0.05
pace = [work_share[name] / time_share[name] for name in stages[:5]]
assert max(pace) < 4 * min(pace) and over_bytes["relu1"] < min(5, over_bytes["norm1"] / 2, over_bytes["pool1"] / 2)
assert abs(intensity("fc6", 1) - 0.25) < 0.01 and abs(intensity("fc6", 16) / 4 - 1) < 0.05
assert all(intensity(name, n) > ridge for name, n in sizes.items())
assert all(rate < 2 * min(1, i / ridge) for i, rate in points.values())
assert points["fc6, N = 128"][1] > 2 * points["fc6, N = 1"][1]
assert list(pieces.values())[:2] == [16, 4]
print("All of it holds.")
