# %% [markdown]
# # 00 Overview
#
# **What the paper says.** A net of five convolutional and three fully connected layers, with 60 million parameters
# and 650,000 neurons, was trained on the 1.2 million images of ImageNet's contest to tell 1000 classes apart
# (abstract). On the test images of 2010 its first guess was wrong for 37.5 %, and its first five guesses all wrong
# for 17.0 %; a variant won the contest of 2012 with 15.3 % (five guesses), where the second-best entry had 26.2 %.
# Training took five to six days on two GTX 580 cards with 3 GB of memory each, and the size of the net was limited by
# that memory and that time (§ 1).
#
# **The question.** What goes in, what comes out? Can the printed numbers be counted again, each of them? And how much
# arithmetic is "five to six days"?
#
# You need NumPy's arrays, and no other chapter: words that a later one explains are in brackets or linked. About one
# hour with the exercises. All chapters: [README](README.md).

# %%
import csv

import matplotlib.pyplot as plt
import numpy as np

import tools
from tools import BLACK, BLUE, ORANGE, check, photo, show, show_source, timed
from alexnet import PAPER, AlexNet, figure2, summary
from nn import SGD

rng = np.random.default_rng(0)

# %% [markdown]
# ## A picture first
#
# This is the whole net, made and run in two lines. It takes images of 224×224 pixels with three colours and pixels from
# 0 to 255, minus the mean of the training images (§ 2). With a single photograph at hand, we subtract the mean colour
# of that. Out come 1000 probabilities, one per class.

# %%
picture, credit = photo("coffee", 224)
image = (255 * (picture - picture.mean((0, 1))))[None].astype(np.float32)   # (1, 224, 224, 3)
net = AlexNet()                                                             # two towers, seed 0
before = net.predict(image)                                                 # (1, 1000)
print(image.shape, "→", before.shape,
      f"   sum {before.sum():.6f}, smallest {before.min():.5f}, largest {before.max():.5f}")

# %% [markdown]
# The classes have names. Their order is that of WordNet's numbers for them (ImageNet's classes come from this
# dictionary); the file comes with the project. The net has only its random initial values, so its five best guesses
# mean nothing. **Expect** all of the probabilities to be small, none above 2 %, and the wrong names.

# %%
with open(tools.ROOT / "datasets" / "imagenet_classes.tsv", encoding="utf-8") as file:
    names = [row[2].split(",")[0] for row in csv.reader(file, delimiter="\t")]


def best(p, count=5):
    """The most probable classes: [(name, probability), …]."""
    return [(names[c], float(p[0, c])) for c in np.argsort(-p[0])[:count]]


for name, probability in best(before):
    print(f"{100 * probability:5.2f} %  {name}")

# %% [markdown]
# ## It can learn
#
# Now the shortest training there is: show it this one photograph ten times, and say each time that the answer is
# "espresso". The loss is $-\ln p$, with $p$ the probability that the net gives to the right class. A net that spreads
# its guesses evenly has the loss $\ln 1000 = 6.91$. Every step computes the gradient of the loss for all parameters,
# and the update rule of § 5 moves them. Two settings are not the paper's: ε = 0.001 instead of § 5's 0.01, and the
# initial values of the authors' 2012 code instead of the printed ones (chapters [11](11_learning.ipynb) and
# [15](15_disputed_details.ipynb) say why). **Expect** a loss that begins near 7 and ends near 0.

# %%
label = np.array([names.index("espresso")])
optimiser, losses = SGD(net), []
for step in range(10):
    loss, gradients = net.loss_and_gradients(image, label, step)
    optimiser.step(gradients, lr=0.001)
    losses.append(float(loss))
after = net.predict(image)
print("losses", " ".join(f"{loss:.2f}" for loss in losses))
print(f"then {names[after.argmax()]} with {100 * after.max():.1f} %")

# %% tags=["figure"]
figure, panels = plt.subplots(1, 3, figsize=(7.2, 2.7), width_ratios=[1, 1.1, 1.1])
panels[0].imshow(picture)
panels[0].axis("off")
for axes, p, title in ((panels[1], before, "initial values"), (panels[2], after, "after ten steps")):
    guesses = best(p)
    axes.barh(range(5), [probability for _, probability in guesses], color="0.75", edgecolor=BLACK)
    for place, (name, _) in enumerate(guesses):
        axes.text(0.03, place, name[:24], va="center", fontsize=8)
    axes.set(title=title, xlim=(0, 1), xlabel="probability", yticks=[])
    axes.invert_yaxis()
show(figure, f"**Figure 0.1.** The five best guesses for one photograph: with random initial values (0.5 % and less, bars too short to be seen), and after ten steps on this "
             f"very photograph. It was learned by heart, which is not the same as knowing what coffee looks like. {credit}")

# %% [markdown]
# That is pure overfitting (learning the training images instead of what they have in common), and a test as well: a net
# that cannot learn one image by heart has a bug, or settings that do not fit. From here to the paper's 37.5 % it takes
# 1.2 million other images, ways to make more of them (§ 4.1), dropout (neurons switched off at random, § 4.2), and
# patience (§ 5).
#
# ## Layer by layer
#
# With random initial values again: inside, an image becomes a stack of maps (one for each kernel), with fewer and fewer
# pixels, until 6×6 pixels with 256 maps are left. The last three layers are fully connected: each of their neurons sees
# all numbers before it. They put out 4096, 4096 and 1000 numbers. The paper has two towers (halves of the net), one per
# GPU; after some layers they exchange their maps. `AlexNet(towers=1)` is the same net in one piece, with the same
# weights, and easier to walk through. **Expect** both to agree within rounding.

# %%
whole, maps = AlexNet(towers=1), {}
towers_difference = np.abs(whole.predict(image) - before).max()
x = image
for name, layer in whole.towers[0].items():
    if name == "flatten":
        break
    if not name.startswith("exchange"):                     # nothing to exchange in one tower
        x = maps[name] = layer.forward(x)[0]
print(f"largest difference of probabilities {towers_difference:.0e}")
print("  ".join(f"{name} {maps[name].shape[1:]}"
                for name in ("pool1", "pool2", "relu3", "relu4", "pool5")))

# %% tags=["figure"]
figure, panels = plt.subplots(2, 6, figsize=(7.2, 2.9))
for column, name in enumerate(("conv1", "pool1", "pool2", "relu3", "relu4", "pool5")):
    loud = np.argsort(-maps[name][0].std((0, 1)))[:2]
    for axes, channel in zip(panels[:, column], loud):
        axes.imshow(maps[name][0, :, :, channel])
        axes.axis("off")
    panels[0, column].set_title(f"{name}\n{maps[name].shape[1]}×{maps[name].shape[2]}, {maps[name].shape[3]} maps", fontsize=8)
show(figure, "**Figure 0.2.** Two of the maps (those that vary most) after six of the layers, with random initial values; black "
             "is each map's smallest value, white its largest. The first layer's maps still show the cup. The resolution falls "
             "from 55×55 to 6×6, the number of maps rises from 96 to 384 and ends at 256.")

# %% [markdown]
# ## Counting
#
# What follows is counted by the code from its own layers; nothing of it is typed in but the right column, which is
# what the paper prints. For every layer: its output, its parameters (weights and biases), its *neurons* (the numbers
# that a layer with weights puts out) and its *multiply-adds* (one product and one sum, for each weight at each place
# where it is used). "·2" means: in each of two towers.

# %%
rows = summary(net)
line = "{:6} {:25} {:>13} {:>11} {:>8} {:>14}   {}".format
print(line("layer", "in each tower", "maps out", "parameters", "neurons", "multiply-adds",
           "neurons in the paper"))
for row in rows:
    if row.parameters:
        out = "×".join(map(str, row.shape)) + (" ·2" if row.towers == 2 else "")
        print(line(row.name, row.layer, out, *(f"{n:,}" for n in row[4:7]),
                   PAPER[row.name].split(" neurons")[0]))

# %%
parameters, neurons, multiply_adds = (sum(row[i] for row in rows) for i in (4, 5, 6))
print(f"{parameters:,} parameters, {neurons:,} neurons, {multiply_adds:,} multiply-adds")

# %% [markdown]
# Take the second layer as an example. Each of its 256 kernels has 5×5 weights for each of the 48 maps of its own
# tower, and one bias:
#
# $$256 \cdot (5 \cdot 5 \cdot 48 + 1) = 307{,}456 \text{ parameters}, \qquad
# 27 \cdot 27 \cdot 256 = 186{,}624 \text{ neurons}.$$
#
# Every weight is used at each of the $27 \cdot 27$ places: $307{,}200 \cdot 27 \cdot 27 = 223{,}948{,}800$
# multiply-adds. So the "60 million" of the abstract are 60,965,224, rounded down. Seven of the eight printed neuron
# counts agree with ours, and one does not.
#
# ## The number that is wrong
#
# The text of Figure 2 gives the first layer 253,440 neurons. Its output is 55×55 pixels with 96 maps: $55 \cdot 55
# \cdot 96 = 290{,}400$. Might the printed number belong to another size of the image or another padding? Then
# $253{,}440 / 96 = 2640$ would have to be a square. **Expect** no side that gives it, and one factorisation that
# looks familiar.

# %%
printed = 253_440
for side in (51, 52, 54, 55):
    print(f"{side}·{side}·96 = {side * side * 96:,}")
factors = [(a, printed // 96 // a) for a in range(1, 56) if printed // 96 % a == 0]
print(f"{printed:,} / 96 = {printed // 96} =",
      " = ".join(f"{b}·{a}" for a, b in factors if a <= b <= 55))

# %% [markdown]
# It is $55 \cdot 48 \cdot 96$: the right product with one 55 replaced by 48, the number of kernels in one tower. That
# the authors mistyped it so is a guess. That it is a slip, three things say: no square map gives it; the printed
# 27·27·256 neurons of the second layer need a map of 55 or 56 pixels a side before pooling by 3/2; and the sum with
# 290,400 fits the abstract better. **Expect** that sum to be the nearer one to 650,000.

# %%
as_printed = neurons - rows[0].neurons + printed
for text, total in (("with 290,400", neurons), ("with 253,440", as_printed)):
    print(f"{text}: {total:,}, which is {abs(total - 650_000):,} away from 650,000")

# %% [markdown]
# ## Where the numbers sit
#
# The three counts are spread over the layers in three different ways. **Expect** more than nine tenths of the
# parameters in the fully connected layers, more than nine tenths of the multiply-adds in the convolutions, and more
# than two fifths of the neurons in the first layer alone.

# %%
counted = [row for row in rows if row.parameters]
shares = {what: np.array([row[i] for row in counted]) / total
          for what, i, total in (("parameters", 4, parameters), ("neurons", 5, neurons),
                                 ("multiply-adds", 6, multiply_adds))}
print(" " * 15 + "".join(f"{row.name:>9}" for row in counted))
for what, share in shares.items():
    print(f"{what:15}" + "".join(f"{100 * s:7.2f} %" for s in share))

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(7.2, 3))
for k, ((what, share), colour, hatch) in enumerate(zip(shares.items(), (BLUE, ORANGE, "0.85"), ("", "///", "..."))):
    axes.bar(np.arange(8) + 0.27 * (k - 1), 100 * share, 0.27, color=colour, hatch=hatch, edgecolor=BLACK, label=what)
axes.set(xticks=range(8), xticklabels=[row.name for row in counted], ylabel="share of the whole net, %")
axes.legend()
show(figure, "**Figure 0.3.** Where parameters (plain), neurons (stripes) and multiply-adds (dots) sit. Convolutions "
             "use each weight at many places, fully connected layers only once: so the first have the arithmetic, the others "
             "the parameters.")

# %% [markdown]
# This has consequences for everything that follows. fc6 needs most of the memory for weights, the convolutions most of
# the arithmetic, and conv1 the largest part of the memory for maps (44 %). It also corrects a detail of the paper: § 1
# says that no convolutional layer has more than 1 % of the parameters. The third has 1.45 %, the fourth 1.09 %.
#
# ## Five to six days
#
# How much work is the training? Going forward, an image takes $M = 724{,}406{,}816$ multiply-adds. Backward, each layer
# with weights computes two products of the same size: the gradient of its weights, and the gradient of its input, for
# the layer before. So a step takes about $3M$ per image. (The first layer has no layer before it, which saves 5 %:
# exercise 3.) With 1.2 million images and about 90 passes over them (§ 5):
#
# $$3 \cdot 724{,}406{,}816 \cdot 1.2 \cdot 10^6 \cdot 90 \approx 2.3 \cdot 10^{17}.$$
#
# One GTX 580 has 512 arithmetic units that run at 1.544 GHz, each with one multiply-add per cycle (the manufacturer's
# figures). That is its peak rate; memory access, and whatever is not a matrix product, takes further time. **Expect**
# the paper's time to mean roughly 230 images a second, and about three tenths of the two cards' peak.

# %%
work = 3 * multiply_adds * 1.2e6 * 90
peak = 512 * 1.544e9                                    # multiply-adds per second of one card
day = 24 * 60 * 60
for days in (5, 6):
    images_per_second = 1.2e6 * 90 / (days * day)
    rate = work / (days * day)
    print(f"{days} days: {images_per_second:.0f} images, "
          f"{images_per_second / 128:.2f} batches of 128, "
          f"{rate / 1e9:.0f} billion multiply-adds a second; "
          f"{100 * rate / (2 * peak):.0f} % of the peak of two cards")
print(f"in all {work:.2e} multiply-adds; "
      f"at the peak of both cards {work / (2 * peak) / day:.1f} days")

# %% [markdown]
# So this arithmetic takes at least 1.7 days on these cards (1.6 without the first layer's spared product). How long
# would the machine that ran this notebook take? We time the gradients of 16 images beside one product of two matrices
# of 1024×1024 numbers. Multiply-adds are counted as if each convolution were done directly; this program needs fewer
# (chapter [18](18_fewer_multiplications.ipynb)), so it may come near the product's rate, or pass it. **Expect** less
# than three times that rate.

# %%
batch, labels = rng.standard_normal((16, 224, 224, 3), np.float32), rng.integers(0, 1000, 16)
square = rng.standard_normal((1024, 1024), np.float32)
step_time, product_time = timed(lambda: net.loss_and_gradients(batch, labels),
                                lambda: square @ square, rounds=3)
step_rate, product_rate = 16 * 3 * multiply_adds / step_time, 1024**3 / product_time
print(f"a step {step_time:.2f} s: {16 / step_time:.0f} images a second, "
      f"{step_rate / 1e9:.0f} billion multiply-adds a second "
      f"(one large product: {product_rate / 1e9:.0f})")
print(f"1.2 million images, 90 times: {1.2e6 * 90 * step_time / 16 / day:.0f} days")

# %% [markdown]
# And the memory? The net can say what training takes on each of its towers' devices with batches of 128: its weights,
# and as many velocities (§ 5's running sums of gradients) and gradients; the maps that backward will need; the layer at
# work; and the next batches, on their way in. **Expect** well under the 3 GB of a card for each tower.

# %%
ledger = net.memory(128)
print(f"{'MiB':20}" + "".join(f"{'tower ' + str(t):>10}" for t in (0, 1)))
for what in ledger[0]:
    print(f"{what:20}" + "".join(f"{tower[what] / 2**20:10.0f}" for tower in ledger))
needed = [sum(tower.values()) for tower in ledger]
print(f"{'all':20}" + "".join(f"{n / 2**20:10.0f}" for n in needed),
      f"   both: {sum(needed) / 2**30:.2f} GiB of 3")

# %% [markdown]
# (1 GiB is 2³⁰ bytes; we take the card's 3 GB as 3 GiB.) This is calculated for a GPU, not measured on one. By it, both
# towers of *this* program do not fit on one such card. That proves little: nearly half of what is counted is room for a
# convolution at work, which a program can choose. The paper says of its own net that it did not fit (§ 3.2), not by how
# much.
#
# ## A map of the code
#
# A batch goes through the program in this order; each file's first lines say more.
#
# | | file | the paper | chapter |
# |---|---|---|---|
# | images become batches | `data.py`, `imaging/` | § 2, 4.1 | [01](01_images.ipynb), [09](09_data_augmentation.ipynb) |
# | Figure 2 in code | `alexnet.py` | § 3.5 | this one, [08](08_the_whole_net.ipynb), [15](15_disputed_details.ipynb) |
# | batches go through the towers, and back | `nn/network.py`, `nn/exchange.py` | § 3.2 | [07](07_two_gpus.ipynb) |
# | what a layer must do, and how to check that it does | `nn/layer.py`, `nn/check.py` | | [02](02_a_layer_and_its_gradient.ipynb) |
# | convolution | `nn/conv.py` | § 3.5 | [03](03_convolution.ipynb) |
# | ReLU, tanh | `nn/activation.py` | § 3.1 | [04](04_relu.ipynb) |
# | normalisation | `nn/lrn.py` | § 3.3 | [05](05_local_response_normalisation.ipynb) |
# | pooling | `nn/pool.py` | § 3.4 | [06](06_overlapping_pooling.ipynb) |
# | dropout | `nn/dropout.py` | § 4.2 | [10](10_dropout.ipynb) |
# | fully connected layers, softmax and loss | `nn/linear.py`, `nn/loss.py` | § 3.5 | [02](02_a_layer_and_its_gradient.ipynb) |
# | initial values, the update rule | `nn/init.py`, `nn/optim.py` | § 5 | [11](11_learning.ipynb) |
# | the same layers, faster, for CPU and GPU; devices, threads, pieces of a batch | `nn/fast/`, `nn/run/` | § 3.2 | [08](08_the_whole_net.ipynb) |
# | the loop around all this; its options and the files of a run | `train.py`, `training/` | § 5 | [12](12_training.ipynb) |
# | errors, ensembles, Figures 3 and 4 | `evaluate.py`, `results/` | § 6 | [13](13_results.ipynb) |

#
# The best place to begin reading is where Figure 2 is: one line per layer, for one tower. `K1` to `K5` are the
# kernels of a tower, `F` its neurons in a fully connected layer; where the figure's lines cross from one card to the
# other there is an `exchange`.

# %%
show_source(figure2, "return {")

# %% [markdown]
# ## Exercises
#
# Solutions are folded. `python notebooks/build.py blank` makes the edition without them.
#
# **1.** How many parameters has the third convolution? It has 384 kernels of 3×3, and they see all 256 maps of the
# layer before.

# %% tags=["solution"]
third = ...
### BEGIN SOLUTION
third = 384 * (3 * 3 * 256 + 1)
### END SOLUTION

# %% tags=["check"]
check(lambda: third, 885_120, [(884_736, "a kernel has a bias, too"), (384 * (9 * 128 + 1), "it sees the maps of both towers, 256"),
                       (384 * 9 * 256 + 1, "every kernel has a bias of its own: 384 of them")])

# %% [markdown]
# **2.** Kernels of 11×11 are laid on an image of `side` pixels, 4 pixels apart, with no padding, as often as they
# fit; there are 96 of them. How many neurons is that? With 227 pixels it should be the layer's 290,400. What would
# 224 give without padding?

# %% tags=["solution"]
def first_layer(side):
    ### BEGIN SOLUTION
    places = (side - 11) // 4 + 1
    return places * places * 96
    ### END SOLUTION

# %% tags=["check"]
check(lambda: [first_layer(227), first_layer(224)], [290_400, 279_936],
      [([54 * 54 * 96, 53 * 53 * 96], "one place too few: the first place counts as well"),
       ([55 * 55 * 96, 55 * 55 * 96], "with 224 pixels the last place no longer fits: round down"),
       ([55 * 55, 54 * 54], "there are 96 kernels at each place")])

# %% [markdown]
# **3.** The first layer needs no gradient for its input, since nobody wants to change the image. How many
# multiply-adds do forward and backward together take, for one image, exactly? (`multiply_adds` is the total,
# `rows[0].multiply_adds` the first layer's.)

# %% tags=["solution"]
exact = ...
### BEGIN SOLUTION
exact = 3 * multiply_adds - rows[0].multiply_adds
### END SOLUTION

# %% tags=["check"]
check(lambda: exact, 2_067_805_248, [(3 * multiply_adds, "the first layer does two of the three products"),
                             (2 * multiply_adds - rows[0].multiply_adds, "backward has two products per layer, forward one"),
                             (3 * (multiply_adds - rows[0].multiply_adds), "the first layer still goes forward, and its weights have a gradient")])

# %% [markdown]
# **4.** In a net without groups (here conv2, conv4 and conv5 have two: half of the kernels see half of the maps), each
# kernel of conv2, conv4 and conv5 sees the maps of *both* towers. How many parameters does the net have then?

# %% tags=["solution"]
ungrouped = ...
### BEGIN SOLUTION
ungrouped = parameters + 256 * 5 * 5 * 48 + 384 * 3 * 3 * 192 + 256 * 3 * 3 * 192       # twice the weights; no more biases
### END SOLUTION

# %% tags=["check"]
check(lambda: ungrouped, sum(row.parameters for row in summary(AlexNet(towers=1, groups=1, init=None))),
      [(parameters + 307_456 + 663_936 + 442_624, "the biases stay as they are: one per kernel"),
       (parameters + 307_200 + 884_736 + 663_552 + 442_368, "conv3 sees all maps already"),
       (parameters - 307_200 - 663_552 - 442_368, "kernels that see more maps have more weights, not fewer")])

# %% [markdown]
# ## Three questions
#
# To be answered without a computer.
#
# **1.** The image becomes twice as high and twice as wide, and the net stays as it is. By what do the neurons and the
# parameters of the five convolutions change, roughly?
#
# <details><summary>Answer</summary>
#
# The neurons become about four times as many, because a kernel is laid on four times as many places. The parameters do
# not change: all places share one kernel. (fc6 would need more weights, as its input grows.)
#
# </details>
#
# **2.** Figure 2 of the paper gives 253,440 neurons for the first layer. How can you see, without knowing the right
# number, that no square map with 96 kernels has so many?
#
# <details><summary>Answer</summary>
#
# 253,440 / 96 = 2,640, which is not the square of a whole number (51² = 2,601, 52² = 2,704). The number is 55 · 48 ·
# 96; the map that all other sizes fit is 55 · 55 · 96 = 290,400.
#
# </details>
#
# **3.** A net with 1000 classes has not been trained yet, and its loss is 20. What do you know about its outputs?
#
# <details><summary>Answer</summary>
#
# It is not undecided. Equal probabilities give ln 1000 = 6.9. With a loss of 20 the right class of a typical image gets
# about e⁻²⁰: the net is very sure of wrong classes. In an untrained net this usually means that its inputs or initial
# weights are too large.
#
# </details>
#
# ## Summary
#
# AlexNet maps 224×224×3 numbers to 1000 probabilities, through five convolutions and three fully connected layers. It
# has 60,965,224 parameters, 659,272 neurons and 724,406,816 multiply-adds per image: of eight printed neuron counts
# seven agree, 253,440 in the first layer is a slip for 290,400, and two convolutions hold more than § 1's 1 % of the
# parameters. The parameters are in the fully connected layers, the arithmetic in the convolutions. Five to six days of
# training mean about three tenths of two cards' peak. A net that learns one photograph by heart has a working gradient,
# and nothing more is shown by that.
#
# Next: [01, Images](01_images.ipynb), how a photograph becomes the input.
#
# ## What this chapter claimed
#
# If this cell runs, the text is true on your machine.

# %% tags=["claims"]
assert all((tools.ROOT / name).exists() for name in ("imaging", "results", "training", "data.py", "train.py", "evaluate.py"))
assert before.shape == (1, 1000) and abs(before.sum() - 1) < 1e-5 and before.max() < 0.02
assert "espresso" not in [name for name, _ in best(before)] and abs(np.log(1000) - 6.91) < 0.005
assert abs(losses[0] - 7) < 1.5 and losses[-1] < 0.5 and names[after.argmax()] == "espresso"
assert towers_difference < 1e-6 and maps["pool5"].shape == (1, 6, 6, 256) and maps["conv1"].shape == (1, 55, 55, 96)
assert (parameters, neurons, multiply_adds) == (60_965_224, 659_272, 724_406_816)
by_name = {row.name: row for row in rows}
assert by_name["conv2"][4:7] == (256 * (5 * 5 * 48 + 1), 27 * 27 * 256, 307_200 * 27 * 27)
agree = [int(PAPER[row.name].split(" neurons")[0].replace(",", "")) == row.neurons for row in counted]
assert agree == [False] + 7 * [True] and rows[0].neurons == 290_400
assert 55 * 48 * 96 == printed and not any(side**2 * 96 == printed for side in range(1, 225))
assert abs(neurons - 650_000) < abs(as_printed - 650_000)
assert shares["parameters"][5:].sum() > 0.9 and shares["multiply-adds"][:5].sum() > 0.9 and shares["neurons"][0] > 0.4
over = {row.name: round(100 * s, 2) for row, s in zip(counted[:5], shares["parameters"]) if s > 0.01}
assert over == {"conv3": 1.45, "conv4": 1.09}
assert 2.3e17 < work < 2.4e17 and all(0.25 < work / (d * day) / (2 * peak) < 0.35 for d in (5, 6))
assert 1.6 < (3 * multiply_adds - rows[0].multiply_adds) * 1.2e6 * 90 / (2 * peak) / day < 1.7
assert [s for s in range(5, 227) if (s - 3) // 2 + 1 == 27] == [55, 56] and 0.44 < shares["neurons"][0] < 0.45
assert 1.5 < work / (2 * peak) / day < 2 and 200 < 1.2e6 * 90 / (6 * day) < 1.2e6 * 90 / (5 * day) < 260
assert 0.04 < rows[0].multiply_adds / (3 * multiply_adds) < 0.06
assert max(needed) < 0.55 * 3 * 2**30 and sum(needed) > 3 * 2**30
assert all(0.45 < tower["at work"] / n < 0.5 for tower, n in zip(ledger, needed))
assert step_rate < 3 * product_rate
print("All of it holds.")
