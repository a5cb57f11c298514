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
# You need chapters [03](03_convolution.ipynb), [05](05_local_response_normalisation.ipynb) and
# [06](06_overlapping_pooling.ipynb) for the layers; [00](00_overview.ipynb) counts parameters and multiply-adds.
# About one hour with the exercises. All chapters: [README](README.md).

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
# We take the net in one piece (chapter [07](07_two_gpus.ipynb) shows that it is the same net), and with one thread,
# so that times can be compared later on. `summary` lists the output of every layer. **Expect** the outputs to shrink from
# 290,400 numbers to 1000, and most weights to be near the end, in fc6.

# %%
net = AlexNet(towers=1, threads=1, convolution="direct")    # what this means: under "Time"
layers, rows = net.towers[0], [row for row in summary(net)
                               if "exchange" not in row.name]   # one tower exchanges nothing
out = {row.name: row.floats for row in rows}
weights = {row.name: layers[row.name].params["W"].size for row in rows if row.parameters}
print(f"put out: conv1 {out['conv1']:,}, pool5 {out['pool5']:,}, fc8 {out['fc8']:,}; "
      f"weights: conv1 {weights['conv1']:,}, fc6 {weights['fc6']:,}")

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(7.4, 3.2))
places = {name: place for place, name in enumerate(out)}
axes.step([*places.values(), len(places)], [*out.values(), out["fc8"]], where="post", color=BLUE, marker="", label="numbers put out, per image")
axes.bar([places[name] + 0.5 for name in weights], weights.values(), 0.9, color="0.85", edgecolor=BLACK, hatch="///", label="weights")
axes.set(yscale="log", ylim=(500, 2e8), ylabel="numbers", xticks=np.arange(len(places)) + 0.5, xlim=(0, len(places)))
axes.set_xticklabels(list(out), rotation=60, ha="right", fontsize=8, rotation_mode="anchor")
axes.legend(loc="upper left")
show(figure, "**Figure 8.1.** What every layer puts out for one image (line), and the weights of those that have some (bars), on "
             "a logarithmic scale. Early layers have few weights and large outputs, late ones the reverse.")

# %% [markdown]
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
picture, credit = photo("chelsea", 224)
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
# From the loss, backward goes through the formula in reverse.
#
# ## Shapes
#
# A convolution or a pooling with windows of $z$ pixels, stride $s$ and $a + e$ zeros on the two sides makes
# $\lfloor (H + a + e - z)/s \rfloor + 1$ of a side of $H$ pixels. This rule and the number of kernels give all shapes. **Expect** 224 → 55 → 27 → 13 → 6, and agreement with `summary` in every layer.

# %%
def naive_shape(layer, side, channels):
    """(side, channels) after a layer with windows; other layers change nothing."""
    if isinstance(layer, Conv2d):
        return (side + layer.before + layer.after - layer.size) // layer.stride + 1, layer.kernels
    if isinstance(layer, MaxPool2d):
        return (side - layer.size) // layer.stride + 1, channels
    return side, channels


side, channels, naive = 224, 3, {}
for name in out:
    if name == "flatten":
        break
    side, channels = naive_shape(layers[name], side, channels)
    naive[name] = (side, side, channels)
shapes_agree = all(row.shape == naive[row.name] for row in rows if row.name in naive)
print("  ".join(f"{name} {naive[name]}" for name in ("conv1", "pool1", "pool2", "conv3", "pool5")),
      "  agree:", shapes_agree)

# %% [markdown]
# ## What a unit sees
#
# One unit of a layer depends on a square of the image, its *receptive field*. Let $r$ be the side of that square, and
# $j$ the distance (in pixels of the image) between the squares of two neighbouring units. For the image itself
# $r = j = 1$. A unit of the next layer sees a window of $z$ units. The first of them sees $r$ pixels, each of the
# $z - 1$ others reaches $j$ pixels farther. And two neighbours in the new layer are $s$ units apart, each worth $j$
# pixels:
#
# $$r \leftarrow r + (z - 1)\,j, \qquad j \leftarrow s\,j.$$
#
# The square of unit 0 begins at pixel $o$, which is 0 in the image; $a$ zeros before the map shift it:
# $o \leftarrow o - a\,j$, with the old $j$. **Expect** 11 pixels for conv1 and 195 for pool5.

# %%
windows = {name: (layer.size, layer.stride, getattr(layer, "before", 0))
           for name, layer in layers.items() if isinstance(layer, (Conv2d, MaxPool2d))}
r, j, o, field = 1, 1, 0, {}
for name, (z, s, a) in windows.items():
    r, j, o = r + (z - 1) * j, j * s, o - a * j
    field[name] = r, j, o
    print(f"{name}: z = {z:2}, s = {s}: sees {r:3} pixels; "
          f"neighbours are {j:2} apart; the first begins at {o}")

# %% [markdown]
# To test that, and to see how often a pixel is used, put a convolution with one kernel of ones in the place of every
# layer with windows. Then a gradient of 1 in one unit of pool5 comes back to each pixel as the number of paths that
# lead from the pixel to the unit. **Expect** a square of 195 pixels and zeros outside; and more paths from its
# middle.

# %%
chain = []
for z, s, a in windows.values():
    layer = Conv2d(1, 1, z, s, (a, 3 if z == 11 else a))    # conv1 has its three zeros on one side
    layer.params = {"W": np.ones((z, z, 1, 1)), "b": np.zeros(1)}
    chain.append(layer)
x, caches = np.zeros((1, 224, 224, 1)), []
for layer in chain:
    x, cache = layer.forward(x)
    caches.append(cache)
g = np.zeros_like(x)                                                        # (1, 6, 6, 1)
g[0, 2, 2] = 1
for layer, cache in zip(chain[::-1], caches[::-1]):
    g = layer.backward(g, cache)[0]
paths = g[0, :, :, 0]
seen = np.argwhere(paths > 0)
quarter = paths[49:146, 49:146].sum() / paths.sum()                         # 97×97 of 195×195
print(f"from {seen.min(0)} to {seen.max(0)}, {len(seen):,} = {195**2:,} pixels; "
      f"up to {paths.max():,.0f} paths; the middle quarter has {quarter:.0%} of them")

# %% tags=["figure"]
figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.7))
panels[0].imshow(picture)
for name, style in zip(("conv1", "pool1", "pool2", "conv3", "conv4", "conv5", "pool5"), ("-", "-", "--", "-", "--", "-", "-")):
    r, j, o = field[name]
    start = o + (2 if name == "pool5" else naive[name][0] // 2) * j
    panels[0].add_patch(plt.Rectangle((start, start), r, r, fill=False, ec="white", lw=2.6))
    panels[0].add_patch(plt.Rectangle((start, start), r, r, fill=False, ec=BLACK, lw=1.2, ls=style))
    if r > 40:
        panels[0].text(start + 4, start + 4, f"{name}: {r}", fontsize=6.5, color=BLACK, va="top",
                       bbox=dict(fc="white", ec="none", pad=0.6, alpha=0.85))
panels[0].set(title="what one unit in the middle sees", xlim=(-0.5, 223.5), ylim=(223.5, -0.5))
shown = panels[1].imshow(paths / paths.max(), vmin=0)
panels[1].add_patch(plt.Rectangle((49, 49), 97, 97, fill=False, ec="white", lw=1.2, ls="--"))
panels[1].set_title("paths to unit (2, 2) of pool5")
figure.colorbar(shown, ax=panels[1], shrink=0.8, label="share of the most")
for axes in panels:
    axes.set(xlabel="pixel", ylabel="pixel")
show(figure, f"**Figure 8.2.** Left: the squares that one unit of each layer sees (the two smallest are conv1's 11 and pool1's "
             f"19 pixels; that of pool5 is unit (2, 2)'s, off the centre). Right: how many paths lead from each pixel to that unit of pool5 (dashed: the middle quarter). "
             f"The field has sharp edges, but it is used mostly in its middle. {credit}")

# %% [markdown]
# Luo and others ("Understanding the effective receptive field", 2016) showed this: the part of the field that has most
# of the influence is smaller than the field computed above. Of the 36 places of pool5 only (2, 2) has its whole square inside the
# image; that of (0, 0) begins 64 pixels outside and ends at pixel 130, with zeros in place of what is missing. fc6 is
# the first layer that sees all of the image.
#
# ## Memory
#
# Training keeps three numbers for each parameter: itself, its velocity and its gradient. And forward keeps the layers'
# caches for backward. We run one image through the net and look at them. An array that two layers keep
# (ReLU's output is also the next layer's input) counts once, and the image not at all. **Expect** a number for each
# layer, and in all as many bytes as `net.memory` says.

# %%
x, kept, known = image, {}, {id(image)}
for name, layer in layers.items():
    if not name.startswith("exchange"):
        x, cache = layer.forward(x)
        kept[name] = sum(size for key, size in arrays_in(cache).items() if key not in known)
        known |= arrays_in(cache).keys()
        caches.append(cache)    # keep it alive: Python may give a freed array's id to a new one
ledger = net.memory(128)[0]
print("bytes per image:", {name: size for name, size in kept.items() if size})
print(f"128 images {128 * sum(kept.values()):,} bytes; "
      f"net.memory says {ledger['kept for backward']:,}")

# %% [markdown]
# Add up by stages: a layer with weights and what follows it. **Expect** the first two stages to hold more than three
# quarters of what the maps take, and fc6 more than half of what the parameters take.

# %%
stages, per_image, per_parameter = list(weights), {}, {}
for name, size in kept.items():
    stage = next(s for s in stages if s[-1] == name[-1]) if name != "flatten" else "fc6"
    per_image[stage] = per_image.get(stage, 0) + size
for stage in stages:
    per_parameter[stage] = 3 * sum(array.nbytes for array in layers[stage].params.values())
print(f"{'MiB':7}{'3 × parameters':>16}{'maps, 1 image':>16}{'maps, 128':>12}")
for stage in stages:
    print(f"{stage:7}{per_parameter[stage] / 2**20:16.1f}{per_image[stage] / 2**20:16.2f}"
          f"{128 * per_image[stage] / 2**20:12.1f}")
all_parameters, all_maps = sum(per_parameter.values()), sum(per_image.values())
balance = all_parameters / all_maps
print(f"{'all':7}{all_parameters / 2**20:16.1f}{all_maps / 2**20:16.2f}"
      f"{128 * all_maps / 2**20:12.1f}   equal at {balance:.0f} images")

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(7.2, 2.9))
at = np.arange(8)
axes.bar(at - 0.2, [per_parameter[s] / 2**20 for s in stages], 0.4, color="0.85", hatch="///", edgecolor=BLACK, label="weights, velocities, gradients")
axes.bar(at + 0.2, [128 * per_image[s] / 2**20 for s in stages], 0.4, color=BLUE, edgecolor=BLACK, label="kept for backward, 128 images")
axes.set(xticks=at, xticklabels=stages, ylabel="MiB")
axes.legend()
show(figure, "**Figure 8.3.** Memory of training, stage by stage. Convolutions need it for maps, most of all the first; fully "
             "connected layers for weights, most of all fc6.")

# %% [markdown]
# The batch size changes what the maps take, and not what the parameters take. Prediction needs neither velocities nor
# gradients, nor any cache: two maps at a time, and the weights.
#
# ## Time
#
# A network runs fast forms of its layers (`nn/fast/`), which give the same results within rounding. `net.layers` holds
# them, and all times in this chapter are theirs. This chapter's net has `convolution="direct"`: its
# convolutions do every multiply-add that we counted. (The default saves most of them: chapter
# [18](18_fewer_multiplications.ipynb).) We let every layer note when it begins and ends, and run a training step with 16
# images three times; the fastest counts, as other programs can only slow it down. Going forward, a layer with weights has its multiply-adds; going backward, twice as many (one product for the weights, one
# for the input), except conv1, whose input needs no gradient. **Expect** the convolutions to take most of the time,
# and the layers without any multiply-adds a good part of it all the same. The sum over the layers should be nearly
# the whole step.

# %%
forms = net.layers[0]
batch, labels = 50 * rng.standard_normal((32, 224, 224, 3), np.float32), rng.integers(0, 1000, 32)


def noting(method, notes):
    def run(*args, **kwargs):
        start = time.perf_counter()
        result = method(*args, **kwargs)
        notes.append(time.perf_counter() - start)
        return result
    return run


def layer_times(count):
    """{layer: [forward, backward] seconds}, and the seconds of the whole step."""
    notes = {name: ([], []) for name in out}
    for name in out:
        forms[name].forward = noting(forms[name].forward, notes[name][0])
        forms[name].backward = noting(forms[name].backward, notes[name][1])
    start = time.perf_counter()
    net.loss_and_gradients(batch[:count], labels[:count])
    whole = time.perf_counter() - start
    for name in out:
        del forms[name].forward, forms[name].backward                       # the class's own again
    return {name: [sum(part) for part in parts] for name, parts in notes.items()}, whole

# %%
net.loss_and_gradients(batch[:4], labels[:4])                               # to warm up
spent, whole = min((layer_times(16) for _ in range(3)), key=lambda pair: pair[1])
work = {row.name: 16 * row.multiply_adds for row in rows}
print(f"{'':8}{'forward':>9}{'backward':>9} ms   "
      f"{'forward':>8}{'backward':>9} billion multiply-adds a second")
for name, (forward, backward) in spent.items():
    products = 1 if name == "conv1" else 2
    rates = (f"{work[name] / forward / 1e9:11.1f}{products * work[name] / backward / 1e9:9.1f}"
             if work[name] else "")
    if name != "flatten":
        print(f"{name:8}{1e3 * forward:9.1f}{1e3 * backward:9.1f}   {rates}")
covered = sum(map(sum, spent.values())) / whole
print(f"all layers {1e3 * sum(map(sum, spent.values())):.0f} ms, "
      f"the whole step {1e3 * whole:.0f} ms: {covered:.0%}")

# %%
kinds = {**{name: [name] for name in stages},
         "ReLU": [n for n in out if n.startswith("relu")], "LRN": ["norm1", "norm2"],
         "pooling": ["pool1", "pool2", "pool5"], "dropout": ["drop6", "drop7"]}
seconds = {kind: sum(sum(spent[name]) for name in names) for kind, names in kinds.items()}
arithmetic = {kind: sum(work[name] * (2 if name == "conv1" else 3) for name in names)
              for kind, names in kinds.items()}
time_share = {kind: s / sum(seconds.values()) for kind, s in seconds.items()}
work_share = {kind: w / sum(arithmetic.values()) for kind, w in arithmetic.items()}
without_work = sum(share for kind, share in time_share.items() if not arithmetic[kind])
convolutions = sum(time_share[name] for name in stages[:5])
print(f"convolutions {convolutions:.0%} of the time; "
      f"layers without multiply-adds {without_work:.0%}")

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(7.2, 3))
at = np.arange(len(kinds))
axes.bar(at - 0.2, [100 * work_share[k] for k in kinds], 0.4, color="0.85", hatch="...", edgecolor=BLACK, label="multiply-adds")
axes.bar(at + 0.2, [100 * time_share[k] for k in kinds], 0.4, color=ORANGE, edgecolor=BLACK, label="time")
axes.set(xticks=at, ylabel="share of a step, %")
axes.set_xticklabels(list(kinds), fontsize=8.5)
axes.legend()
show(figure, "**Figure 8.4.** A training step of 16 images, forward and backward, on one core: share of the multiply-adds (dots) and share of the "
             "time (plain). Where the plain bar is higher, the layer gets less done per second than the average. ReLU, "
             "LRN and pooling have no multiply-adds in this account, and take time.")

# %% [markdown]
# So multiply-adds predict the time of the convolutions roughly, and say nothing about other layers. (LRN's window sum
# *is* a matrix product in this program, with a band matrix of which at most 5 numbers in a row are not zero. That is
# not counted here, as the formula does not need it.)

# %% [markdown]
# ## How fast could it be?
#
# A layer can be slow for two reasons: the processor has to compute much, or it waits for memory. The *roofline* model
# (Williams, Waterman and Patterson, 2009) puts both into one picture. It needs two numbers of the machine: the
# multiply-adds a second of a large matrix product (its peak $\pi$), and the bytes a second that come from memory when
# every number is used once (its bandwidth $\sigma$). We measure both, on one core: a product of 1024×1024 matrices;
# and the sum of the squares of an array, fc6's weights.

# %%
square, long = rng.standard_normal((1024, 1024), np.float32), layers["fc6"].params["W"].reshape(-1)
with net.workers.one_blas_thread():
    tries = [timed(lambda: square @ square, lambda: long @ long, rounds=1) for _ in range(6)]
product_time, sum_time = np.min(tries, axis=0)                          # a roof: the best counts
peak, bandwidth = 1024**3 / product_time, long.nbytes / sum_time
ridge = peak / bandwidth
print(f"peak {peak / 1e9:.0f} billion multiply-adds a second, "
      f"memory {bandwidth / 1e9:.1f} GB a second: "
      f"{ridge:.1f} multiply-adds in the time of one byte")

# %% [markdown]
# The last quotient decides. Let a layer do $A$ multiply-adds and move $B$ bytes *at least*: read its weights
# and its input once, write its output once. Its *intensity* is $I = A / B$. The arithmetic takes $A / \pi$ seconds or
# more, the bytes $B / \sigma$ or more. So its rate $A / t$ is at most
#
# $$\frac{A}{\max(A/\pi,\; B/\sigma)} = \min\left(\pi,\; \sigma\,\frac{A}{B}\right) = \min(\pi,\; \sigma I).$$
#
# Drawn over $I$ on logarithmic axes, this is a slope that ends under a flat roof, at $I = \pi / \sigma$.
#
# A **fully connected** layer with $F$ inputs and $G$ outputs, and $N$ images in a batch: $A = N F G$. With four bytes
# a number $B = 4\,(F G + N F + N G)$, of which the weights are by far the most as long as $N$ is small against $F$
# and $G$. Then
#
# $$I = \frac{N F G}{4\,(F G + N F + N G)} \approx \frac{N}{4}$$
#
# multiply-adds a byte (or $N/2$, if a multiply-add counts as two operations). A **convolution** uses each weight at
# every position of every image, so its intensity is large even for one image. **Expect** $1/4$ for fc6 with one
# image, and for the convolutions, even with one or four images at a time, more than the ridge $\pi / \sigma$.

# %%
def intensity(name, count):
    """Multiply-adds of a forward pass per byte that has to be moved at least, for `count` images
    at a time."""
    row = next(row for row in rows if row.name == name)
    before = list(out)[list(out).index(name) - 1] if name != "conv1" else None
    incoming = out[before] if before else image.size
    return count * row.multiply_adds / (4 * (weights[name] + count * (incoming + row.floats)))


sizes = dict(zip(stages[:5], [1, 1, 4, 4, 4]))                      # images in a piece, see below
points = {name: (intensity(name, n), work[name] / spent[name][0]) for name, n in sizes.items()}
with net.workers.one_blas_thread():
    for n in (1, 16, 128):
        x = rng.standard_normal((n, 9216), np.float32)
        t = min(timed(lambda: forms["fc6"].forward(x), rounds=1)[0] for _ in range(4))
        points[f"fc6, N = {n}"] = intensity("fc6", n), n * weights["fc6"] / t
for name, (i, rate) in points.items():
    print(f"{name:13} {i:6.2f} multiply-adds a byte, {rate / 1e9:6.1f} billion a second, "
          f"{rate / min(peak, bandwidth * i):4.0%} of its roof")

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(7.2, 3.8))
i = np.geomspace(0.1, 1000, 200)
axes.plot(i, np.minimum(peak, bandwidth * i) / 1e9, color=BLACK, ls="-", marker="", label="roof: min(π, σI)")
conv = [points[name] for name in stages[:5]]
full = [point for name, point in points.items() if name.startswith("fc6")]
axes.plot(*np.array([(x, y / 1e9) for x, y in conv]).T, ls="", marker="o", color=BLUE, label="convolutions")
axes.plot(*np.array([(x, y / 1e9) for x, y in full]).T, ls="--", marker="s", color=ORANGE, label="fc6 with N images")
for name in points:
    if name.startswith("fc6"):
        axes.annotate(name[5:], (points[name][0], points[name][1] / 1e9), (-44, 5) if name.endswith("8") else (7, -10), textcoords="offset points", fontsize=8)
for name, y in zip(sorted(stages[:5], key=lambda name: points[name][1]), np.geomspace(0.15, 0.8, 5) * peak / 1e9):
    axes.annotate(name, (points[name][0], points[name][1] / 1e9), (330, y), fontsize=8, va="center",
                  arrowprops=dict(arrowstyle="-", lw=0.6, color="0.4", shrinkB=3))
axes.set(xscale="log", yscale="log", xlabel="intensity I: multiply-adds per byte that has to be moved",
         ylabel="billion multiply-adds a second")
axes.set_yticks([0.5, 1, 2, 5, 10, 20, 50, 100, 200], ["0.5", "1", "2", "5", "10", "20", "50", "100", "200"])
axes.set_ylim(0.08 * bandwidth / 1e9, 1.6 * peak / 1e9)
axes.minorticks_off()
axes.grid(True, which="major")
axes.legend(loc="upper left")
show(figure, "**Figure 8.5.** Roofline of one core of the machine that ran this notebook, and its layers, forward. One image through fc6 is bound "
             "by memory: each weight is read for the sake of a single product. More images make more of each weight read, until "
             "the arithmetic is the limit. Convolutions are always at the right.")

# %% [markdown]
# What keeps most layers below their roof is the copying (im2col), the adding of biases, and the shape of the
# products: a matrix library first copies its operands into blocks, which takes long for fc6's weights in comparison with
# the few products of 16 images. ReLU, LRN and pooling have no multiply-adds in this account: they wait for memory. LRN takes longest,
# as it goes through its maps many times. A point may even lie above the slope, because of the **caches**, which the
# model leaves out: small and fast memory in the processor that holds what was used last.

# %% [markdown]
# ## Batch size
#
# The slope of the roofline is a prediction: time per image in the fully connected part falls steeply, at best as
# $1/N$, while that of the convolutions hardly changes. `Profile` times a network's stages (the layers between two
# exchanges; there is nothing to exchange here, but the cuts are the same). **Expect** that in a training step.

# %%
def stage_times(count, micro_batch=None):
    ('Of a step, {"conv1 … pool2": …, …}: seconds per image, forward and backward together; '
     'and the number of pieces.')
    net.micro_batch, net.profile = micro_batch, Profile(net)
    net.loss_and_gradients(batch[:count], labels[:count])
    total, number = {}, {}
    for (stage, _, _), spans in net.profile.spans.items():
        total[stage] = (total.get(stage, 0)
                        + sum(device.seconds(start, stop) for device, start, stop in spans) / count)
        number[stage] = len(spans)
    net.micro_batch = net.profile = None
    return total, number


per_batch = {}
for count, rounds in ((1, 3), (8, 2), (32, 1)):
    best = min((stage_times(count)[0] for _ in range(rounds)),
               key=lambda total: sum(total.values()))
    conv = sum(t for stage, t in best.items() if stage.startswith("conv"))
    per_batch[count] = conv, sum(best.values()) - conv
    print(f"N = {count:2}: convolutional part {1e3 * conv:5.1f} ms an image, "
          f"fully connected part {1e3 * per_batch[count][1]:5.1f}")

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(7.2, 2.8))
counts = np.array(list(per_batch))
for part, name in enumerate(("convolutional part", "fully connected part")):
    axes.plot(counts, [1e3 * per_batch[n][part] for n in counts], label=name)
axes.plot(counts, 1e3 * per_batch[1][1] / counts, color="0.6", ls=":", marker="", label="∝ 1 / N")
axes.set(xscale="log", yscale="log", xlabel="images in a batch, N", ylabel="ms per image", xticks=counts, xticklabels=counts)
axes.minorticks_off()
axes.legend()
show(figure, "**Figure 8.6.** Time per image of a training step, by batch size. The fully connected part must read its weights, and write "
             "their gradients, once per step however many images share them; the convolutional part gains little.")

# %% [markdown]
# ## Small pieces
#
# If convolutions need no large batch, then a batch may as well go through them a few images at a time, so that maps
# and columns stay in a cache, and the gradients of the pieces are added up. That is what the network does, with
# `micro_batch` images at a time, or by default such that the largest map of a piece has about `net.forms.piece` numbers.
# (With several threads there is a second reason: the threads share out the pieces.) A sum over 6 images is the sum over
# its parts, so **expect** the same gradients up to rounding. That is a millionth as a rule; where the sum into a ReLU
# rounds to the other side of zero, its gradient is passed or stopped, and single entries differ by more.

# %%
pieces = stage_times(16)[1]
few, labels_few = batch[:6], labels[:6]
net.micro_batch = 6
together = net.loss_and_gradients(few, labels_few)[1][0]
net.micro_batch = 2
in_parts = net.loss_and_gradients(few, labels_few)[1][0]
net.micro_batch = None
parts_difference = max(np.linalg.norm(in_parts[n] - together[n]) / np.linalg.norm(together[n])
                       for n in ("conv1.W", "conv3.W", "conv5.b"))
print("16 images go through the stages in pieces:", pieces)
print("gradients of 6 images at once and in three parts: "
      f"{parts_difference:.0e} of their size apart")

# %% [markdown]
# ## Exercises
#
# Solutions are folded. `python notebooks/build.py blank` makes the edition without them.
#
# **1.** A *dilated* window (Yu and Koltun, 2016) has its $z$ units $e$ apart instead of side by side, so that more is
# seen with as many weights. Write a function that takes triples $(z, s, e)$ of window, stride and dilation, first layer
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
      [([67, 7, 19, 1], "e counts: the units of a window are e apart"), ([147, 15, 69, 1], "the new layer's stride counts for the *next* layer: use the old j in r"),
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
# **3.** Does a unit of conv5 see the whole image?
#
# <details><summary>Answer</summary>
#
# No. It sees 163 of 224 pixels along each side, and a unit of pool5 sees 195. fc6 is the first layer that sees the
# whole image.
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
# If this cell runs, the text is true on your machine.

# %% tags=["claims"]
assert out["conv1"] == 290_400 == max(out.values()) and out["fc8"] == 1000 and max(weights, key=weights.get) == "fc6"
assert formula_difference < 1e-6 and abs(by_formula.sum() - 1) < 1e-5
assert shapes_agree and [naive[name][0] for name in ("conv1", "pool1", "pool2", "pool5")] == [55, 27, 13, 6]
assert field["conv1"] == (11, 4, 0) and field["pool1"][0] == 19 and field["pool5"] == (195, 32, -64)
start = -64 + 2 * 32
assert seen.min(0).tolist() == [start] * 2 and seen.max(0).tolist() == [start + 194] * 2 and len(seen) == 195**2
assert 0.6 < quarter and -64 + 194 == 130
assert [p for p in range(6) if -64 + 32 * p >= 0 and -64 + 32 * p + 195 <= 224] == [2]
assert 128 * all_maps == ledger["kept for backward"] and all_parameters == 3 * ledger["weights"]
assert per_image["conv1"] + per_image["conv2"] > 0.75 * all_maps and per_parameter["fc6"] > all_parameters / 2
assert 0.7 < covered <= 1.02 and convolutions > 0.45 and without_work > 0.05
assert abs(intensity("fc6", 1) - 0.25) < 0.01 and abs(intensity("fc6", 16) / 4 - 1) < 0.05
assert all(intensity(name, n) > ridge for name, n in sizes.items())
assert list(pieces.values())[:2] == [16, 4] and sum(spent["norm1"]) > sum(spent["relu1"])
assert all(rate < 3 * min(peak, bandwidth * i) for i, rate in points.values() if i > 1)
assert points["fc6, N = 128"][1] > 2 * points["fc6, N = 1"][1]
assert per_batch[1][1] > 3 * per_batch[32][1] and per_batch[1][0] < 5 * per_batch[32][0]
assert parts_difference < 1e-2
print("All of it holds.")
