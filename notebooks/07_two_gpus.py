# %% [markdown]
# # 07 Two GPUs
#
# **What the paper says.** One GTX 580 has 3 GB of memory, which limits the nets that can be trained on it; so the net
# is spread over two (§ 3.2). Half of the kernels or neurons of each layer are put on each card, and the cards
# communicate only in certain layers: the third convolution sees the maps of both, the second, fourth and fifth only
# those on their own card (§ 3.5). Against a net with half the kernels on one card, this lowered the errors by 1.7 and
# 1.2 points (top-1 and top-5).
#
# **The question.** Are two towers another kind of net, or a grouped one computed in two places? What has to cross from
# card to card, in which direction, and how many bytes is it? And what fills the 3 GB?
#
# You need chapter [03](03_convolution.ipynb), for groups; chapter [00](00_overview.ipynb) has the net's numbers.
# About an hour and a half with the exercises. All chapters: [README](README.md).

# %%
import matplotlib.pyplot as plt
import numpy as np

import tools
from tools import BLACK, BLUE, ORANGE, check, show, show_source
from alexnet import AlexNet, SmallAlexNet, summary
from nn import Conv2d, Exchange, Flatten, Linear

rng = np.random.default_rng(7)

# %% [markdown]
# ## A picture first
#
# Figure 2 of the paper shows the net as two rows of boxes with lines between them. We draw it from the code. The
# boxes are the shapes of the layers of each tower; the lines are *measured*, so that the figure cannot differ from the
# code: in the net made as one piece, we send a gradient into the maps of one tower only, and see whose inputs receive
# some of it. `sees[name][t, s]` says whether half $t$ of a layer's outputs depends on half $s$ of its inputs.

# %%
net = AlexNet()                                         # two towers
outputs = {row.name: row.shape for row in summary(net)} # of one of them
whole = AlexNet(towers=1)                               # in one piece: its halves are the towers


def half_seen(layers, shape):
    """(2, 2) bool: does half t of the output depend on half s of the input channels?"""
    x, caches, seen = rng.random((1, *shape), np.float32), [], np.zeros((2, 2), bool)
    for layer in layers:
        x, cache = layer.forward(x)
        caches.append(cache)
    for t, outputs in enumerate(np.split(np.arange(x.shape[-1]), 2)):
        g = np.zeros_like(x)
        g[..., outputs] = rng.standard_normal(g[..., outputs].shape)
        for layer, cache in zip(layers[::-1], caches[::-1]):
            g = layer.backward(g, cache)[0]
        seen[t] = [np.any(part) for part in np.split(g, 2, axis=-1)]
    return seen

# %%
sees, shape, flatten = {}, whole.shape, []
for name, layer in whole.towers[0].items():
    if isinstance(layer, Flatten):
        flatten = [layer]           # fc6 is looked at together with it: in maps, not in features
    else:
        if isinstance(layer, (Conv2d, Linear)) and name != "conv1":
            sees[name] = half_seen(flatten + [layer], shape)
            flatten = []
        shape = layer.output_shape(shape)
for name, table in sees.items():
    print(f"{name}: first half of the outputs sees {table[0].astype(int)}, "
          f"second half {table[1].astype(int)}")

# %% tags=["figure"]
stages = ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]
figure, axes = plt.subplots(figsize=(7.4, 3.3))
sizes = [np.array([0.34, 0.24 * outputs[s][0] ** 0.5]) if len(outputs[s]) == 3 else np.array([0.2, 1.5]) for s in stages]
for k, (stage, (width, height)) in enumerate(zip(stages, sizes)):
    for tower, y in ((0, 2.4), (1, 0)):
        if stage not in net.towers[tower]:
            continue
        axes.add_patch(plt.Rectangle((k - width / 2, y - height / 2), width, height, fc="0.88", ec=BLACK))
        text = "×".join(map(str, outputs[stage][:2])) + f"\n×{outputs[stage][2]}" if k < 5 else str(outputs[stage][0])
        axes.text(k, y - height / 2 - 0.07, text, ha="center", va="top", fontsize=7)
        for source, from_y in ((0, 2.4), (1, 0)):
            if k and sees[stage][0 if stage == "fc8" else tower, source]:
                crossing = source != tower
                axes.annotate("", (k - width / 2, y), (k - 1 + sizes[k - 1][0] / 2, from_y),
                              arrowprops=dict(arrowstyle="->", lw=1.3, color=ORANGE if crossing else BLUE,
                                              ls="--" if crossing else "-"))
    axes.text(k, 3.75, stage, ha="center", fontsize=9)
for k, sender in ((2, "pool2"), (5, "pool5"), (6, "fc6"), (7, "fc7")):
    axes.text(k - 0.5, 1.2, f"{np.prod(outputs[sender]):,}", ha="center", va="center", fontsize=7, bbox=dict(fc="white", ec="none", pad=0.8))
axes.text(-0.35, 2.4, "tower 0", ha="right", va="center")
axes.text(-0.35, 0, "tower 1", ha="right", va="center")
axes.set(xlim=(-1.1, 7.4), ylim=(-1.6, 4))
axes.axis("off")
show(figure, "**Figure 7.1.** Figure 2 of the paper, from the code: what each layer of each tower puts out (before pooling), "
             "and whose maps it gets: solid lines stay on a card, dashed ones cross. Maps cross into conv3, fc6 and fc7, and from the "
             "second card to the first into fc8. "
             "The numbers are what a tower sends for one image, after pooling. "
             "(Both cards get the image. Heights of maps grow as the root of their sides; those of fc6 to fc8 mean nothing.)")

# %% [markdown]
# This is what § 3.5 says: conv2, conv4 and conv5 see one half, conv3 and the fully connected layers see both. In the
# code it is a list of layers for each tower, with an `Exchange` where the dashed lines are:

# %%
for t, tower in enumerate(net.towers):
    print(f"tower {t}:",
          " ".join(name if name.startswith("exchange") else name[:1] + name[-1]
                   for name in tower if name.startswith(("exchange", "conv", "fc"))))

# %% [markdown]
# ## One grouped net
#
# A convolution with two groups ([03](03_convolution.ipynb)) splits its input maps $x = (x_0, x_1)$ and its kernels
# $W = (W_0, W_1)$ into halves, and computes $y_0 = W_0 * x_0$ and $y_1 = W_1 * x_1$ ($*$: convolution). That is what two
# towers do, each on its card. Without groups, $y_0 = W'_0 * (x_0, x_1)$ and $y_1 = W'_1 * (x_0, x_1)$, where kernels have
# twice the channels: each tower computes its half of the
# kernels on the maps of both, after an exchange. ReLU and pooling work map by map, and need no neighbour; normalisation
# does, and its window stops at the border between the halves ([05](05_local_response_normalisation.ipynb)). So the two
# towers are one net with two groups in conv2, conv4 and conv5, and its weights are theirs, joined along the kernels.
#
# **Expect** the same probabilities from both, within rounding of 32 bits.

# %%
images = (50 * rng.standard_normal((2, 224, 224, 3))).astype(np.float32)
whole.load_weights(net.weights())
outputs_difference = np.abs(net.predict(images) - whole.predict(images)).max()
print(f"largest difference of probabilities {outputs_difference:.0e}, "
      f"of probabilities up to {net.predict(images).max():.4f}")

# %% [markdown]
# Equal outputs at one point could be coincidence. Equal gradients of all parameters are much stronger evidence. We take
# the small net with 64-bit numbers, so that rounding cannot hide anything, random biases, and dropout on. (Its masks follow
# from a seed and the step, so both nets drop the same neurons: chapter [10](10_dropout.ipynb).) **Expect** relative
# differences near $10^{-15}$, and, to see that the test can fail, one as large as the gradients themselves if the second
# tower ignores the maps of the first in conv3.

# %%
def in_double(network, weights=None):
    for tower in network.towers:
        for layer in tower.values():
            layer.params = {key: array.astype(np.float64) for key, array in layer.params.items()}
    network.load_weights(weights or {name: w + 0.05 * rng.standard_normal(w.shape)
                                     for name, w in network.weights().items()})
    return network


def apart(a, b):
    """The largest difference of any gradient, relative to the largest number of that gradient."""
    return max(np.abs(a[name] - b[name]).max() / np.abs(b[name]).max() for name in b)


x, labels = rng.standard_normal((5, 28, 28, 1)), rng.integers(0, 10, 5)
two = in_double(SmallAlexNet())
one = in_double(SmallAlexNet(towers=1), two.weights())
loss_two, gradients_two = two.loss_and_gradients(x, labels, step=3)
loss_one, gradients_one = one.loss_and_gradients(x, labels, step=3)
gradients_two, gradients_one = two.join(gradients_two), one.join(gradients_one)
gradients_apart = apart(gradients_two, gradients_one)
print(f"{len(gradients_one)} gradients, apart {gradients_apart:.0e}; "
      f"losses {abs(loss_two - loss_one):.0e}")

# %%
deaf = {name: w.copy() for name, w in two.weights().items()}
channels, kernels = (n // 2 for n in deaf["conv3.W"].shape[-2:])
deaf["conv3.W"][:, :, :channels, kernels:] = 0      # kernels of tower 1 without the maps of tower 0
two.load_weights(deaf)
deaf_apart = apart(two.join(two.loss_and_gradients(x, labels, step=3)[1]), gradients_one)
print(f"apart {deaf_apart:.1g}")

# %% [markdown]
# So "two GPUs" is not another kind of net: it is a way to compute a grouped one. The unusual part is the grouping: conv2,
# conv4 and conv5 see half of the maps, on however many cards the net runs.
#
# ## The exchange and its gradient
#
# Tower $s$ sends $x_s$. Forward, every receiving tower $t$ gets the same: $z_t = (x_0, x_1)$, joined along the maps.
# Backward, tower $t$ has a gradient $g_t = \partial L / \partial z_t$ for all of that. As $x_s$ is a part of both $z_0$
# and $z_1$, the chain rule adds up over both uses:
#
# $$\frac{\partial L}{\partial x_s} = \sum_t g_t[s],$$
#
# where $g_t[s]$ is the part of $g_t$ that belongs to the maps of tower $s$. So backward sends the parts to where they
# came from, and sums there. Every line of the figure is used once in each direction.

# %%
show_source(Exchange.forward)
show_source(Exchange.backward)

# %% [markdown]
# ## Bytes across
#
# The shapes say how many numbers cross per image, going forward. **Expect** 21,632 each way into conv3, 4,608 into
# fc6, 2,048 into fc7, and 2,048 one way into fc8, which the first card holds alone.

# %%
across, before = {}, whole.shape
for name, layer in net.towers[0].items():
    if isinstance(layer, Exchange):
        across[name] = int(np.prod(before))             # what one tower has to send
    before = layer.output_shape(before)
to_second = sum(n for name, n in across.items() if name in net.towers[1])
to_first = sum(across.values())
print(across)
print(f"to the second card {to_second:,}, to the first {to_first:,}")

# %% [markdown]
# The devices count the bytes of every `send` (on a CPU nothing moves, but the count is the same). A step is forward
# and backward, and backward sends every number's gradient the other way: together $28{,}288 + 30{,}336 = 58{,}624$
# numbers of 4 bytes in either direction. **Expect** exactly that.

# %%
for device in net.devices:
    device.sent.clear()
net.loss_and_gradients(images, np.array([3, 5]))
sent = [sum(device.sent.values()) // len(images) for device in net.devices]
print(f"bytes per image: card 0 sent {sent[0]:,}, card 1 sent {sent[1]:,}; "
      f"4 · 58,624 = {4 * 58_624:,}")

# %% [markdown]
# Is that much? Compare two other ways to use two cards. If every layer saw all maps, three more layers would need an
# exchange. (It would be another net, too, with 62,378,344 parameters.) And if each card had the *whole* net and half of the
# 128 images ("data parallel", the usual way today), the cards would have to exchange the gradients of all parameters in
# each step, whatever the number of images. To get seconds, let a connection carry 4 GB a second, both directions together
# (an assumption; PCIe 2.0 with 16 lanes has a nominal 8 in each), with nothing hidden behind computation. Compare
# with the paper's time per batch of 128, from 5.5 days for 90 passes over 1.2 million images. **Expect** the
# paper's way to take a few hundredths of the time, and the other two several times as much.

# %%
more = {name: int(np.prod(outputs[name]))
        for name in ("pool1", "relu3", "relu4")}        # into conv2, conv4, conv5
parameters = sum(row.parameters for row in summary(net))
each_way = {"as in the paper": 128 * 4 * 58_624,
            "every layer sees all": 128 * 4 * (58_624 + 2 * sum(more.values())),
            "data parallel": 4 * parameters}
batch_time = 5.5 * 24 * 3600 / (90 * 1.2e6 / 128)
for name, size in each_way.items():
    print(f"{name:21} {size / 1e6:6.1f} MB each way per batch: "
          f"{2 * size / 4e9:.3f} s of {batch_time:.2f} s")

# %% [markdown]
# The pattern is cheap because the weights never move, and the maps only where they are small: after the second
# pooling, and later. (Krizhevsky's later work, in 2014, shared the convolutions out by images and the fully connected
# layers by neurons: chapter [17](17_many_machines.ipynb).)
#
# ## Three gigabytes
#
# What does a card need for batches of 128? `memory` computes it from the layers' arrays: a velocity for each weight (§ 5),
# a gradient for each, the maps that forward keeps for backward, room for the layer at work (the columns of conv1 and
# three of the largest maps), and two batches of images.
# **Expect** about half of a card for either tower.

# %%
ledgers = {"tower 0": net.memory(128)[0], "tower 1": net.memory(128)[1],
           "both in one": whole.memory(128)[0]}
print(f"{'MiB':20}" + "".join(f"{name:>13}" for name in ledgers))
for what in ledgers["tower 0"]:
    print(f"{what:20}" + "".join(f"{ledger[what] / 2**20:13.0f}" for ledger in ledgers.values()))
needed = {name: sum(ledger.values()) for name, ledger in ledgers.items()}
print(f"{'all':20}" + "".join(f"{n / 2**20:13.0f}" for n in needed.values()), "  of 3072")

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(7.2, 2.8))
left = np.zeros(3)
looks = zip(("0.3", "0.6", "0.85", BLUE, ORANGE, "1"), ("", "", "", "", "///", "..."))
for what, (colour, hatch) in zip(ledgers["tower 0"], looks):
    sizes = np.array([ledger[what] / 2**20 for ledger in ledgers.values()])
    axes.barh(range(3), sizes, left=left, color=colour, hatch=hatch, edgecolor=BLACK, label=what, height=0.6)
    left += sizes
axes.axvline(3072, color=BLACK, ls="--")
axes.text(3060, -0.42, "3 GiB", ha="right", fontsize=9)
axes.set(yticks=range(3), yticklabels=list(ledgers), xlabel="MiB for batches of 128", xlim=(0, 3200), ylim=(2.5, -0.6))
figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=6, fontsize=8, handlelength=1.2, columnspacing=1)
show(figure, "**Figure 7.2.** The memory of a card, by what takes it (from left to right in the legend's order). A tower fills "
             "about half of a 3 GB card. The whole net in one piece would fit as well, in *this* program.")

# %% [markdown]
# These numbers are computed for a GPU, not measured on one. Weights, velocities, gradients and what is kept for backward are
# about halved. The largest part is not: the room for the layer at work. Each tower unfolds the same image for its half of
# conv1's kernels, so the columns take 548 MiB in a tower as in the whole; only the maps beside them halve, and 973 MiB
# become 761. The batches are not shared out either: both cards get the images. All in all a tower takes two thirds of the
# whole. The paper says that its nets are too large for one card (§ 3.2); by this count the net would have fitted, with
# 600 MiB to spare. What the program of 2012 kept, the paper does not say.
#
# ## One card instead
#
# The paper's comparison is with one card and half the kernels in each convolutional layer; but the last convolution
# and the fully connected layers were not halved, so that both nets have about as many parameters (a footnote of §
# 3.2, which adds that this favours the one card). **Expect** nearly the same number of parameters, and little more than
# half of the multiply-adds.

# %%
single = AlexNet(one_gpu=True, init=None)
counts = {name: [sum(row[i] for row in summary(n)) for i in (4, 6)]
          for name, n in (("two towers", net), ("one card", single))}
for name, (p, m) in counts.items():
    print(f"{name:10} {p:,} parameters, {m:,} multiply-adds")

# %% [markdown]
# To see the difference of 1.7 points would take days of training. Chapter [14](14_what_matters.ipynb) has a small copy of
# the comparison.
#
# ## Exercises
#
# Solutions are folded. `python notebooks/build.py blank` makes the edition without them.
#
# **1.** How many bytes does a tower send in *one* direction, going forward, before a layer whose input is `side`×`side`
# pixels with `maps` maps in each tower, for a batch of `images`, with 4 bytes a number?

# %% tags=["solution"]
def bytes_sent(side, maps, images):
    ### BEGIN SOLUTION
    return images * side * side * maps * 4
    ### END SOLUTION

# %% tags=["check"]
cases = [(13, 128, 128), (6, 128, 1), (27, 48, 5)]
right = [n * s**2 * m * 4 for s, m, n in cases]
check(lambda: [bytes_sent(*case) for case in cases], right,
      [([2 * b for b in right], "that is both directions"), ([b // 4 for b in right], "each number has 4 bytes"),
       ([b // n for b, (_, _, n) in zip(right, cases)], "that is one image"), ([b // s for b, (s, _, _) in zip(right, cases)], "the maps are squares")])

# %% [markdown]
# **2.** Write the backward pass of an exchange between two towers: from `g0` and `g1`, the gradients for the joined
# maps in either tower, make the gradients for what tower 0 (the first `width` maps) and tower 1 sent.

# %% tags=["solution"]
def exchange_backward(g0, g1, width):
    ### BEGIN SOLUTION
    total = g0 + g1                                     # both towers used all of it
    return total[..., :width], total[..., width:]
    ### END SOLUTION

# %% tags=["check"]
cases = [(rng.standard_normal((n, 2, 3, w + v)), rng.standard_normal((n, 2, 3, w + v)), w) for n, w, v in ((1, 3, 3), (2, 2, 5))]


def flat(answers):
    return np.concatenate([np.ravel(part) for pair in answers for part in pair])


check(lambda: flat(exchange_backward(*case) for case in cases), flat(((a + b)[..., :w], (a + b)[..., w:]) for a, b, w in cases),
      [(flat((a[..., :w], b[..., w:]) for a, b, w in cases), "the other tower used these maps, too: its gradient has to come back and be added"),
       (flat(((a + b)[..., w:], (a + b)[..., :w]) for a, b, w in cases), "the towers are the wrong way round"),
       (flat(((a + b)[..., :w] / 2, (a + b)[..., w:] / 2) for a, b, w in cases), "a sum, not a mean: the chain rule adds up over all uses")])

# %% [markdown]
# **3.** With $T$ towers instead of two (each with $1/T$ of the maps), every tower receives the maps of all others. How
# many numbers cross between cards in all, per image and forward, before a layer with `numbers` inputs in the whole net,
# if every pair of towers has its own connection?

# %% tags=["solution"]
def numbers_crossing(numbers, T):
    ### BEGIN SOLUTION
    return numbers * (T - 1)                            # each of the numbers goes to the T − 1 towers that lack it
    ### END SOLUTION

# %% tags=["check"]
cases = [(43_264, 2), (43_264, 4), (9_216, 8), (4_096, 1)]
right = [n * (T - 1) for n, T in cases]
check(lambda: [numbers_crossing(*case) for case in cases], right,
      [([n * T for n, T in cases], "no tower sends to itself"), ([n * (T - 1) // T for n, T in cases], "that is what one tower receives, or sends to each of the others together"),
       ([n // T * (T - 1) // 1 for n, T in cases], "that is what one tower receives")])

# %% [markdown]
# **4.** From how many images in a batch on does data parallelism send less than the paper's way (each way, in a step)?
# Per image the paper's way sends 58,624 numbers; data parallelism sends 60,965,224, whatever the batch.

# %% tags=["solution"]
fewest = ...
### BEGIN SOLUTION
fewest = 60_965_224 // 58_624 + 1
### END SOLUTION

# %% tags=["check"]
check(lambda: fewest, 1040, [(1039, "with 1039 images the paper's way still sends less: it must be more than the quotient"),
                             (60_965_224 / 58_624, "a whole number of images"),
                             (2156, "per image in a step: forward and backward, 58,624 numbers")])

# %% [markdown]
# ## Three questions
#
# To be answered without a computer.
#
# **1.** Why is an exchange cheaper before conv3 than before conv2?
#
# <details><summary>Answer</summary>
#
# The maps are smaller there. conv2 gets 27·27·48 = 34,992 numbers from each card, conv3 only 13·13·128 = 21,632.
#
# </details>
#
# **2.** Both towers start with exactly the same random weights, also for the two halves that a kernel of conv3 or a
# neuron sees, and there is no dropout. What do they learn?
#
# <details><summary>Answer</summary>
#
# The same thing. Both see the same image, compute the same maps and get the same gradients, so they stay equal: the net
# is one of half the width, computed twice. Different random numbers break this symmetry.
#
# </details>
#
# **3.** The batch is doubled. What happens to the bytes sent per step in the paper's scheme, and what under data
# parallelism?
#
# <details><summary>Answer</summary>
#
# The paper's scheme sends activations, so twice as many. Data parallelism sends the gradients of the weights once per
# step, whatever the batch: no change.
#
# </details>
#
# ## Summary
#
# Two towers are one net whose second, fourth and fifth convolutions have two groups: outputs and all gradients agree.
# Only activations cross between the cards, before conv3, fc6, fc7 and fc8, and their gradients on the way back; weights
# never move. Backward sums over the receivers what each says about the same maps. That is 58,624 numbers per image and
# step in either direction, 3 % of the paper's time per batch at 4 GB a second. A card needs about two thirds of what one
# card would need for the whole net.
#
# Next: [08, The whole net](08_the_whole_net.ipynb), with the memory and the time of each layer.
#
# ## What this chapter claimed
#
# If this cell runs, the text is true on your machine.

# %% tags=["claims"]
own = np.eye(2, dtype=bool)
assert all(np.array_equal(sees[name], own) for name in ("conv2", "conv4", "conv5"))
assert all(sees[name].all() for name in ("conv3", "fc6", "fc7", "fc8"))
assert outputs_difference < 1e-5
assert gradients_apart < 1e-11 and abs(loss_two - loss_one) < 1e-12 and 0.5 < deaf_apart < 2
assert across == {"exchange3": 21_632, "exchange6": 4_608, "exchange7": 2_048, "exchange8": 2_048}
assert (to_second, to_first) == (28_288, 30_336) and sent == [4 * 58_624] * 2
seconds = {name: 2 * size / 4e9 for name, size in each_way.items()}
assert 0.025 < seconds["as in the paper"] / batch_time < 0.035
assert all(seconds[name] > 3 * seconds["as in the paper"] for name in ("every layer sees all", "data parallel"))
assert all(0.48 < needed[f"tower {t}"] / (3 * 2**30) < 0.54 for t in (0, 1)) and needed["both in one"] < 3 * 2**30
for what in ledgers["tower 0"]:
    if what not in ("batches", "at work"):
        assert 0.4 < ledgers["tower 1"][what] / ledgers["both in one"][what] < 0.6
assert [round(ledgers[name]["at work"] / 2**20) for name in ("both in one", "tower 0")] == [973, 761]
assert max(ledgers["tower 0"], key=ledgers["tower 0"].get) == "at work" and 0.62 < needed["tower 0"] / needed["both in one"] < 0.68
assert 600 < 3072 - needed["both in one"] / 2**20 < 640
assert abs(counts["one card"][0] / counts["two towers"][0] - 1) < 0.05 and 0.5 < counts["one card"][1] / counts["two towers"][1] < 0.58
print("All of it holds.")
