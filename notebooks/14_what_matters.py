# %% [markdown]
# # 14 What matters
#
# **What the paper says.** Each part of the net lowers the error: two towers by 1.7 points of top-1 error (§ 3.2), local
# response normalisation by 1.4 (§ 3.3), overlapping pooling by 0.4 (§ 3.4), colour noise by over 1 point (§ 4.1).
# Without random views and without dropout the net overfits substantially (§ 4.1, § 4.2); weight decay lowers even the
# training error (§ 5). Leaving out any convolution made results worse (§ 1), a middle one by about 2 points (§ 7).
#
# **The question.** Does any of this show in a small net on small images? And how can one tell an effect from
# chance?
#
# You need chapter [12](12_training.ipynb). About one hour with the exercises. All chapters: [README](README.md).

# %%
from math import comb

import matplotlib.pyplot as plt
import numpy as np

import tools
from tools import BLACK, BLUE, ORANGE, check, show, show_source
import data
from alexnet import AlexNet, SmallAlexNet, summary
from full_runs import results
from nn import SGD
import ablations

# Both are for the last experiment:
FAST = True                     # False: as long as the ablations, on 3,000 images for 12 epochs
DATA = "fashion-mnist"          # or "cifar10", or a folder with train/CLASS/* and val/CLASS/*
rng = np.random.default_rng(14)

# %% [markdown]
# ## A picture first
#
# An *ablation* is a run with one part left out. `benchmarks/ablations.py` trains the small net on 3,000 Fashion-MNIST
# images (300 of them held out) for 12 epochs, whole and without each of eleven parts, with five seeds each: sixty runs.
# Their errors on 2,000 test images over ten views are in `results/14_ablations.csv` (`python notebooks/full_runs.py 14`).
# Colour noise is not among the eleven: these images are grey. The same seed means: the same initial values of what both
# nets have, the same order of images, crops and held-out images. So we compare *in pairs*: the net without a part minus
# the whole net of the same seed. A bar to the right means that leaving the part out makes the error larger: that the
# part helps. All nets have the same learning rate, ε = 0.02 (see "One rate for all" below).

# %%
rows = results("14_ablations")
names = list(ablations.ABLATIONS)[1:]


def errors(rows, name, views="ten_top1"):
    """(seeds,) test errors in percent of an ablation, by seed."""
    return np.array([100 * row[views] for row in sorted(rows, key=lambda row: row["seed"])
                     if row["ablation"] == name])


def change(rows, name):
    """(seeds,): by how many points the error is higher without the part, seed by seed."""
    whole = errors(rows, "whole")
    return errors(rows, name) - whole[:len(errors(rows, name))]


def mean_and_error(values):
    """The mean and its standard error: the standard deviation of one value, divided by the root
    of their number."""
    return values.mean(), values.std(ddof=1) / np.sqrt(len(values))


print(f"whole: {', '.join(f'{error:.2f}' for error in errors(rows, 'whole'))} %")
for name in names:
    mean, error = mean_and_error(change(rows, name))
    print(f"without {name:13} {mean:+5.2f} ± {error:.2f} points   "
          f"(seeds: {' '.join(f'{value:+5.2f}' for value in change(rows, name))})")

# %%
# Points of top-1 error that the paper says a part saves:
paper = {"width": 1.7, "lrn": 1.4, "pooling": 0.4, "conv3": 2.0, "conv4": 2.0}

# %% tags=["figure"]
labels = {"relu": "ReLU (tanh instead)", "width": "two towers (one, of half)", "lrn": "normalisation", "pooling": "overlap of pooling",
          "augmentation": "crops and mirrors", "dropout": "dropout", "decay": "weight decay"}
figure, axes = plt.subplots(figsize=(7.2, 4))
axes.axvline(0, color="0.85", lw=1, ls="-", marker="")
for place, name in enumerate(names):
    values = change(rows, name)
    mean, error = mean_and_error(values)
    axes.plot(values, [place + 0.22] * len(values), ls="", marker="|", color="0.45", markersize=7)
    axes.errorbar(mean, place, xerr=2 * error, color=BLUE, marker="o", capsize=3, ls="")
    if name in paper:
        axes.plot(paper[name], place, marker="D", color=ORANGE, mfc="none", ls="", markersize=7)
axes.set(yticks=range(len(names)), yticklabels=[labels.get(name, name) for name in names], xlabel="change of the test error without it, points")
axes.invert_yaxis()
axes.plot([], [], marker="o", color=BLUE, ls="", label="mean ± 2 standard errors")
axes.plot([], [], marker="|", color="0.45", ls="", label="one seed")
axes.plot([], [], marker="D", color=ORANGE, mfc="none", ls="", label="the paper's net")
figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3)
show(figure, "**Figure 14.1.** What the small net loses without each part, five seeds, against what the paper reports of its own (diamonds; where it gives a "
             "number). Right of zero: the part helps. Crops and mirrors seem to help, and tanh leads ReLU at this rate; the bar of weight decay misses zero by a little; the rest cannot be told from zero.")

# %% [markdown]
# One part clearly helps, and one seems better left out. Is the paper wrong? First, five questions: how sure is each bar?
# How small an effect could be seen? What was measured? Does the rate suit both nets? Is this the paper's experiment?
#
# ## How sure is a bar
#
# Let $d_1 \dots d_n$ be the changes of $n$ seeds, with mean $\bar d$. If each $d_i$ scatters with the standard
# deviation $\sigma$ around the true effect, their mean scatters with $\sigma / \sqrt n$. We do not know $\sigma$ and
# put an estimate $s$ in its place. That is the *standard error*
#
# $$\mathrm{SE} = \frac{s}{\sqrt n}, \qquad s^2 = \frac{1}{n - 1} \sum_i (d_i - \bar d)^2 .$$
#
# The division by $n - 1$ corrects for measuring from $\bar d$, which is computed from the same values, instead
# of from the true effect. With normal scatter, $\bar d \pm 2\,\mathrm{SE}$ holds the true effect in 95 of 100
# experiments if $s = \sigma$. With five seeds $s$ is a rough estimate, and the ratio $\bar d / \mathrm{SE}$ follows not the
# normal distribution but Student's $t$, which has more mass far out. How often does the interval hold the truth then?
# We draw many experiments of $n$ seeds whose true effect is 0. **Expect** less than 95 %, much less for
# $n = 3$, and 30 or more seeds to come near it.

# %%
coverage = {}
for n in (3, 5, 10, 30):
    drawn = rng.standard_normal((100_000, n))
    coverage[n] = np.mean(np.abs(drawn.mean(1)) < 2 * drawn.std(1, ddof=1) / np.sqrt(n))
    print(f"{n:2} seeds: ± 2 SE holds the truth in {coverage[n]:.1%} of the experiments")

# %% [markdown]
# So of the parts without any effect, one in nine would seem to have one, and we look at eleven parts: the problem of
# *multiple comparisons*. All eleven are compared with the *same* five whole nets: if one of these is bad by chance, as
# that of seed 4 is (23.00 %), all changes of that seed move together, so the bars are not independent. We draw the
# whole net's scatter once for all eleven. **Expect**, among eleven parts without effect, at least one
# that seems to have one in more than half of the experiments.

# %%
# Minus the same whole net, for all eleven:
drawn = rng.standard_normal((20_000, 11, 5)) - rng.standard_normal((20_000, 1, 5))
false = (np.abs(drawn.mean(2)) > 2 * drawn.std(2, ddof=1) / np.sqrt(5)).sum(1)
print(f"of eleven parts without effect, {false.mean():.2f} look like one on average; "
      f"at least one does in {np.mean(false > 0):.0%} of the experiments")
distance = {name: abs(mean_and_error(change(rows, name))[0]) / mean_and_error(change(rows, name))[1]
            for name in names}
for name, ratio in sorted(distance.items(), key=lambda pair: -pair[1])[:4]:
    print(f"{name:13} lies {ratio:.1f} standard errors from zero")

# %% [markdown]
# How far from zero must the farthest of eleven be, to be believed? Take from the same simulated experiments the
# largest ratio $|\bar d| / \mathrm{SE}$ of the eleven, and see what only one experiment in twenty exceeds. **Expect**
# between five and six. By that measure crops and mirrors and tanh are beyond, and weight decay, which seems
# to *do harm* at 2.6, is not.

# %%
ratios = np.abs(drawn.mean(2)) / (drawn.std(2, ddof=1) / np.sqrt(5))
threshold = np.quantile(ratios.max(1), 0.95)
believed = [name for name, ratio in distance.items() if ratio > threshold]
print(f"one experiment in twenty has a ratio over {threshold:.1f}; "
      f"beyond it here: {', '.join(believed)}")

# %% [markdown]
# ## The same experiment again
#
# Statistics cannot replace a repetition. An earlier version of this project drew its dropout masks from another
# generator; the same command was run with three seeds (`results/14_ablations_other_masks.csv`). Only the masks differ:
# seeds, data and test images are the same, so this repeats less than a new experiment would, and nets without dropout
# have the same errors in both. **Expect** the two to agree on crops and mirrors and on tanh, and nothing else to lie
# beyond two standard errors in both.

# %%
before = results("14_ablations_other_masks")
same_without_dropout = np.array_equal(errors(before, "dropout"), errors(rows, "dropout")[:3])
print(f"nets without dropout are the same in both: {same_without_dropout}")
for name in names:
    (a, se_a), (b, se_b) = mean_and_error(change(before, name)), mean_and_error(change(rows, name))
    print(f"without {name:13} then {a:+5.2f} ± {se_a:.2f}   now {b:+5.2f} ± {se_b:.2f}"
          + ("   both over 2 SE" if min(abs(a / se_a), abs(b / se_b)) > 2 else ""))
drawn = rng.standard_normal((50_000, 11, 3)) - rng.standard_normal((50_000, 1, 3))
far = np.abs(drawn.mean(2)) > 3.7 * drawn.std(2, ddof=1) / np.sqrt(3)
print(f"three seeds without effect: beyond 3.7 SE in {far.mean():.1%} of the experiments, "
      f"one of eleven in {far.any(1).mean():.0%}")

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(5.6, 3.9))
axes.axhline(0, color="0.6", lw=1, ls="-", marker="")
axes.axvline(0, color="0.6", lw=1, ls="-", marker="")
shift = {"relu": (8, 6), "augmentation": (-100, 8), "lrn": (8, 5), "conv2": (6, 6), "dropout": (-46, -4), "decay": (8, -12)}      # points
for name in names:
    (a, se_a), (b, se_b) = mean_and_error(change(before, name)), mean_and_error(change(rows, name))
    axes.errorbar(a, b, 2 * se_b, 2 * se_a, color="0.7", lw=1, ls="", marker="")
    axes.plot(a, b, marker="o", color=BLUE, ls="")
    if name in shift:
        axes.annotate(labels.get(name, name), (a, b), xytext=shift[name], textcoords="offset points", fontsize=9)
axes.set(xlabel="change in the earlier runs (3 seeds), points", ylabel="change now (5 seeds), points")
show(figure, "**Figure 14.2.** The same eleven ablations, run twice with other dropout masks (bars: ± 2 standard errors). Only crops and mirrors "
             "and tanh lie more than two standard errors from zero on both axes. Without a name: two towers, pooling, conv3 to conv5.")

# %% [markdown]
# Look at the row of `lrn`. The three earlier runs say that normalisation saves 1.67 points with a standard error of 0.45:
# 3.7 standard errors from zero, and near the paper's 1.4. But with three seeds a part without any effect goes that far
# in one experiment of fifteen, and one of eleven such parts in nearly half of them. The five runs of now say
# $-0.76 \pm 0.47$, which cannot be told from zero. A published gain of some tenths of a point may rest on *one* run.
#
# ## How many runs would it take?
#
# For a standard error that is a third of the effect $\delta$, one needs $s / \sqrt n = \delta / 3$, so
# $n = (3 s / \delta)^2$ seeds. **Expect**, with the scatter that we have, some eighty seeds for the 0.4 points of
# overlapping pooling. (For 2 points the formula gives 3; but it takes $s$ as known, and with so few seeds a ratio of
# 3 is no proof, as we have seen.)

# %%
scatter = np.sqrt(np.mean([change(rows, name).var(ddof=1) for name in names]))
needed = {delta: (3 * scatter / delta) ** 2 for delta in (0.4, 1.4, 2.0)}
print(f"a change scatters by {scatter:.2f} points from seed to seed")
for delta, n in needed.items():
    print(f"{delta} points: {n:.0f} seeds")

# %% [markdown]
# The standard error over seeds contains what differs between seeds: initial values, order, views, held-out images. It
# does not contain the choice of the 2,000 test images, which are the same for all. An error of 22 % on so few has a
# standard deviation of $\sqrt{0.22 \cdot 0.78 / 2000} = 0.93$ points; in a difference of two nets on the same images
# a part of that cancels. The paper's 150,000 test images (ILSVRC-2010) leave 0.12 points of it, which is a reason why
# it could see more. How much its results scatter from run to run, it does not say.
#
# ## What has been measured?
#
# Crops and mirrors are nineteen of their own standard errors from zero. (That owes much to a small $s$: with the scatter
# of all eleven taken together, each bar has an SE of 0.53, and they lie at 6.8, tanh at 5.2, all others below 2.4.) So
# this change is hardly chance; but what does it measure? All errors so far are over ten views, as in the paper: corners,
# centre, mirror images. A net trained without crops and mirrors has seen only central views: nine of the ten are new to
# it. The same runs were also tested with the central view alone. **Expect** the farthest bar of Figure 14.1 to change
# its sign, and no other to move by more than a point (←: moves by over 2).

# %%
def change_one_view(name):
    return errors(rows, name, "one_top1") - errors(rows, "whole", "one_top1")


for name in names:
    (ten, se_ten), (one, se_one) = (mean_and_error(change(rows, name)),
                                    mean_and_error(change_one_view(name)))
    print(f"without {name:13} ten views {ten:+5.2f} ± {se_ten:.2f}   "
          f"one view {one:+5.2f} ± {se_one:.2f}" + ("   ←" if abs(ten - one) > 2 else ""))

# %% [markdown]
# Tested with one view, the nets that never saw a crop are *better*, by 2.6 ± 0.5 points, with each of the five seeds.
# Neither number is "the gain from augmentation". Nets that see new views may need more than 12 epochs (chapter
# [09](09_data_augmentation.ipynb) has long runs). A small standard error says that a measurement can be repeated, not
# that it measures what we think.
#
# ## One rate for all
#
# Chapter [04](04_relu.ipynb) compares ReLU and tanh each at its own best rate, because whoever chooses one rate for both
# chooses the winner. All nets above have ε = 0.02. So `full_runs.py 14-rates` trained the whole net and the one with tanh
# at half and at twice that rate as well (`results/14_rates.csv`); ε = 0.02 is that of the ablations, with the same seeds
# 0 to 2. **Expect** tanh to lead at all three rates, and both nets to have their lowest error at 0.02.

# %%
by_rate = {(activation, row["lr"]): []
           for row in results("14_rates") for activation in ("relu", "tanh")}
for row in results("14_rates"):
    by_rate[row["activation"], row["lr"]].append(100 * row["ten_top1"])
by_rate |= {("relu", 0.02): errors(rows, "whole")[:3], ("tanh", 0.02): errors(rows, "relu")[:3]}
leads = {}
for lr in sorted({lr for _, lr in by_rate}):
    relu, tanh_ = (np.array(by_rate[activation, lr]) for activation in ("relu", "tanh"))
    leads[lr] = mean_and_error(tanh_ - relu)
    print(f"ε = {lr:<5g} ReLU {relu.mean():.2f} %, tanh {tanh_.mean():.2f} %: "
          f"tanh minus ReLU {leads[lr][0]:+.2f} ± {leads[lr][1]:.2f} points, "
          f"seeds {' '.join(f'{value:+.2f}' for value in tanh_ - relu)}")

# %% [markdown]
# Both nets have their lowest mean error at ε = 0.02, inside the range of these three rates, and tanh leads by about 2 to
# 2.7 points at each of them. So its lead does not come from the rate. For the other parts only ε = 0.02 was tried.
#
# ## Is it the paper's experiment?
#
# No, and this may be the main point. Weight decay, dropout and normalisation act against overfitting or in long
# training; here 12 epochs of 2,700 images are 504 steps, where the paper had 850,000. In so short a training
# they may only slow the net down; we have not measured it.
#
# ## Depth
#
# § 1 and § 7 leave out one convolution at a time. **Expect** that to change the full net's parameters by one or two
# hundredths where the layer is one of conv2 to conv4, and its multiply-adds by much more; one row in which the
# parameters *grow*, and two rows that are equal. (The paper says that each convolution holds no more than 1 % of them.
# By its own sizes conv3 holds 1.45 and conv4 1.09 %: chapter [00](00_overview.ipynb).)

# %%
full = {None: AlexNet(init=None),
        **{name: AlexNet(without=name, init=None) for name in ("conv2", "conv3", "conv4", "conv5")}}
counts = {name: [sum(row[i] for row in summary(net)) for i in (4, 6)] for name, net in full.items()}
for name, (parameters, work) in list(counts.items())[1:]:
    print(f"without {name}: parameters {parameters / counts[None][0] - 1:+.2%}, "
          f"multiply-adds {work / counts[None][1] - 1:+.1%}")

# %% [markdown]
# A layer that is gone changes the next one, which sees other maps than before: without conv2, conv3 sees 96 maps
# instead of 256; without conv5, fc6 sees 384 instead of 256, and the net has *more* parameters. And without conv3,
# conv4 takes its place after the exchange and sees all 256 maps, which makes it just what conv3 was. So "without
# conv3" and "without conv4" are **the same net** under two names, and differ only in the random numbers that they
# start from. **Expect** the same layers, and the two rows of Figure 14.1 to differ all the same.

# %%
layers = {name: [row.layer for row in summary(full[name]) if "Exchange" not in row.layer]
          for name in ("conv3", "conv4")}
print("the same layers:", layers["conv3"] == layers["conv4"])
for name in ("conv3", "conv4"):
    print(f"without {name} {mean_and_error(change(rows, name))[0]:+.2f} ± "
          f"{mean_and_error(change(rows, name))[1]:.2f} points, seeds from "
          f"{change(rows, name).min():+.2f} to {change(rows, name).max():+.2f}")

# %% [markdown]
# One net, and its standard error is 0.19 in one row and 0.88 in the other: that is how rough five seeds are. A single
# seed shows up to 3.45 points.
#
# On 28×28 pixels and ten classes a fifth layer may have little to do: the small net's conv5 works on maps of 6×6 pixels.
# ImageNet may need the depth although ten kinds of clothes do not.
#
# ## An experiment of your own
#
# Here is a small experiment to run, and to change. It has one comparison without any effect (seeds 0, 1, 2 against 100,
# 101, 102), and one with tanh. Nets see 1,500 images four times. **Expect** to see how large "no effect" can look, and
# that three seeds do not always show the lead of tanh that five longer runs showed at this rate.

# %%
seeds, images, epochs = (range(3), 1500, 4) if FAST else (range(3), 3000, 12)
pictures = data.load(DATA, 32)
train, test = (data.Split(split.images[:n], split.labels[:n])
               for split, n in ((pictures.train, images), (pictures.test, 1000)))
mean, side = data.mean_image(train.images), data.view_side(32)
views = data.central_views(test.images, side, mean, 0.01)


def test_error(seed, **options):
    """Train a small net, and return its error in percent on the test images, central view."""
    net = SmallAlexNet(len(pictures.classes), views.shape[1:], seed=seed, **options)
    sgd, step = SGD(net), 0
    for epoch in range(epochs):
        for batch, labels in data.batches(train, 64, side, mean, seed, epoch, scale=0.01):
            sgd.step(net.loss_and_gradients(batch, labels, step)[1],
                     0.02 if epoch < 0.75 * epochs else 0.002)
            step += 1
    return 100 * np.mean(net.predict(views).argmax(1) != test.labels)


whole = np.array([test_error(seed) for seed in seeds])
again = np.array([test_error(100 + seed) for seed in seeds])
tanh = np.array([test_error(seed, activation="tanh") for seed in seeds])
for name, values in (("other seeds", again - whole), ("tanh", tanh - whole)):
    print(f"{name:12} {' '.join(f'{value:+5.1f}' for value in values)}   "
          f"mean {mean_and_error(values)[0]:+.2f} ± {mean_and_error(values)[1]:.2f} points")

# %% [markdown]
# Put another option of `SmallAlexNet` in the place of `activation="tanh"` (`lrn=False`, `pool=2`, `without="conv3"`,
# `one_gpu=True`, `dropout=0`), set `FAST = False`, and write down what you expect before you look.
#
# ## Exercises
#
# Solutions are folded. `python notebooks/build.py blank` makes the edition without them.
#
# **1.** The *sign test* asks for no scatter at all. If a part did nothing, each change would be positive or negative
# like a coin. Given the changes of some seeds (none is 0), how probable are signs at least as one-sided as these, in
# either direction?

# %% tags=["solution"]
def sign_test(changes):
    ### BEGIN SOLUTION
    n, k = len(changes), min(np.sum(changes > 0), np.sum(changes < 0))
    return min(1.0, 2 * sum(comb(n, i) for i in range(k + 1)) / 2**n)
    ### END SOLUTION

# %% tags=["check"]
cases = [change(rows, "relu"), change(rows, "lrn"), np.array([1.0, 2.0, -0.5, 3.0, 1.0, 0.2, 0.1, 4.0]), np.array([-1.0, 1.0]), np.array([-3.0, -2.0, -1.0])]
counts_ = [(len(d), int(min((d > 0).sum(), (d < 0).sum()))) for d in cases]
right = [min(1.0, sum(comb(n, i) for i in range(k + 1)) / 2 ** (n - 1)) for n, k in counts_]
check(lambda: [sign_test(d) for d in cases], right,
      [([p / 2 for p in right], "in either direction: twice as probable"), ([2 * comb(n, k) / 2**n for n, k in counts_], "at least as one-sided: sum over all that are"),
       ([2 / 2**n for n, k in counts_], "that is for equal signs alone"),
       ([2 * sum(comb(n, i) for i in range(k + 1)) / 2**n for n, k in counts_], "a probability is at most 1: with as many signs either way, both tails hold the middle")])

# %% [markdown]
# (Five equal signs have probability 1/16: with five seeds no effect, however large, gets below 5 %.)
#
# **2.** Suppose the seeds were not paired: the two nets of a difference have nothing in common. Then the standard error
# is $\sqrt{s_a^2/n + s_b^2/n}$. How many times as large is it as the paired one, for two arrays of errors? (Over 1:
# pairing has helped. Try all eleven against `whole`: from 0.8 to 1.8. On the whole pairing gained nothing here.)

# %% tags=["solution"]
def unpaired_by_paired(without, whole):
    ### BEGIN SOLUTION
    unpaired = np.sqrt((without.var(ddof=1) + whole.var(ddof=1)) / len(whole))
    return unpaired / mean_and_error(without - whole)[1]
    ### END SOLUTION

# %% tags=["check"]
pairs = [(errors(rows, "augmentation"), errors(rows, "whole")), (errors(rows, "lrn")[:3], errors(rows, "whole")[:3]), (np.arange(8.0) ** 2, np.arange(8.0))]
right = [np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / (a - b).var(ddof=1)) for a, b in pairs]
check(lambda: [unpaired_by_paired(*pair) for pair in pairs], right,
      [([1 / times for times in right], "the other way round"), ([(a.std(ddof=1) + b.std(ddof=1)) / (a - b).std(ddof=1) for a, b in pairs], "variances add, not standard deviations")])

# %% [markdown]
# **3.** A referee asks for an effect of `points` with a standard error of `part` of it. How many seeds are needed, if a
# change scatters by `scatter` points from seed to seed? (A whole number of seeds, so that the standard error is no
# larger. Try 1 point, a quarter, 1.2 points.)

# %% tags=["solution"]
def seeds_needed(points, part, scatter):
    ### BEGIN SOLUTION
    return int(np.ceil((scatter / (part * points)) ** 2))
    ### END SOLUTION

# %% tags=["check"]
cases = [(1.0, 1 / 4, 1.2), (0.4, 1 / 3, 0.9), (2.0, 0.1, 1.5)]
exact = [(s / (p * d)) ** 2 for d, p, s in cases]
check(lambda: [seeds_needed(*case) for case in cases], [int(np.ceil(n)) for n in exact],
      [(exact, "a whole number, rounded up"), ([int(n) for n in exact], "with so few the standard error is still too large: round up"),
       ([int(np.ceil(n**0.5)) for n in exact], "square it"), ([int(np.ceil((s / d) ** 2)) for d, p, s in cases], "part of the effect, not all of it")])

# %% [markdown]
# ## Three questions
#
# To be answered without a computer.
#
# **1.** Eleven parts without any effect are each tested by a rule that errs in 5 % of the cases, independently. How
# probable is it that at least one seems to have an effect?
#
# <details><summary>Answer</summary>
#
# 1 − 0.95¹¹ = 43 %.
#
# </details>
#
# **2.** What does it help to give both nets of a comparison the same seed?
#
# <details><summary>Answer</summary>
#
# Whatever the seed decides for both alike (the order of the images, the crops, the held-out images, the common initial
# values) is in both errors, and what of it acts alike on both cancels in their difference. Here that is little (exercise 2).
#
# </details>
#
# **3.** Net A beats net B at the same learning rate, by ten standard errors. What may still be wrong with "A is
# better"?
#
# <details><summary>Answer</summary>
#
# The rate may suit A only. A fair comparison gives each net its own best rate, with the best inside the range that was
# tried, and then the difference may shrink or change its sign.
#
# </details>
#
# ## Summary
#
# An ablation is worth its error bar: five seeds give a rough one, and among eleven parts without effect one looks like
# something more often than not. Only two of the eleven are beyond such chance here: crops and mirrors, and tanh instead
# of ReLU. The first of them changes its sign if one view is tested instead of ten: a small error bar does not say what
# was measured. The learning rate is a part of such a comparison too: tanh leads at each of three rates, and of the
# other parts only one rate is known. None of this is the paper's experiment: its net was trained for 850,000 steps on
# photographs.
#
# Next: [15, Disputed details](15_disputed_details.ipynb), where four programs of one name differ.
#
# ## What this chapter claimed
#
# If this cell runs, the text is true on your machine.

# %% tags=["claims"]
assert len(names) == 11 and all(len(change(rows, name)) == 5 for name in names) and len(rows) == 60
assert 12 * (2700 // 64) == 504 and abs(np.sqrt(0.22 * 0.78 / 2000) - 0.0093) < 1e-4
assert abs(np.sqrt(0.375 * 0.625 / 150_000) - 0.0012) < 1e-4
assert coverage[3] < coverage[5] < coverage[10] < coverage[30] < 0.96 and coverage[3] < 0.85 and coverage[30] > 0.93
assert 0.1 < 1 - coverage[5] < 0.14 and np.mean(false > 0) > 0.5
assert 5 < threshold < 6 and sorted(believed) == ["augmentation", "relu"] and distance["augmentation"] > 10
assert change(rows, "relu").mean() < -2 and change(rows, "augmentation").mean() > 3 and 2.6 < distance["decay"] < 2.7
assert same_without_dropout and 0.05 < far.mean() < 0.08 and 0.4 < far.any(1).mean() < 0.5
pooled = {name: abs(change(rows, name).mean()) / (scatter / np.sqrt(5)) for name in names}
assert abs(scatter / np.sqrt(5) - 0.53) < 0.005 and sorted(pooled, key=pooled.get)[-2:] == ["relu", "augmentation"]
assert abs(pooled["augmentation"] - 6.8) < 0.05 and abs(pooled["relu"] - 5.2) < 0.05 and sorted(pooled.values())[-3] < 2.4
unpaired = {name: np.sqrt((errors(rows, name).var(ddof=1) + errors(rows, "whole").var(ddof=1)) / 5) for name in names}
gains = [unpaired[name] / mean_and_error(change(rows, name))[1] for name in names]
assert 0.8 < min(gains) < 0.85 and 1.7 < max(gains) < 1.8
assert abs(np.mean([u**2 for u in unpaired.values()]) ** 0.5 / (scatter / np.sqrt(5)) - 1) < 0.02
assert (change_one_view("augmentation") < 0).all()
assert all(abs(mean_and_error(change_one_view(name))[0] - change(rows, name).mean()) < 1 for name in names if name != "augmentation")
assert np.allclose([mean_and_error(change(rows, name))[1] for name in ("conv3", "conv4")], (0.19, 0.88), atol=0.005)
assert abs(np.abs([change(rows, name) for name in ("conv3", "conv4")]).max() - 3.45) < 0.005
one = {name: mean_and_error(change_one_view(name)) for name in names}
assert np.allclose(one["augmentation"], (-2.55, 0.52), atol=0.01)
assert [name for name in names if abs(one[name][0] - change(rows, name).mean()) > 2] == ["augmentation"]
assert change(before, "augmentation").mean() > 2 and change(before, "relu").mean() < -2
lrn_then, lrn_now = mean_and_error(change(before, "lrn")), mean_and_error(change(rows, "lrn"))
assert np.allclose(lrn_then, (1.67, 0.45), atol=0.005) and lrn_then[0] > 3 * lrn_then[1] and lrn_now[0] < 0
assert 60 < needed[0.4] < 96 and needed[2.0] < 5 and 0.5 < scatter < 1.5
shares = {name: [part / whole_part - 1 for part, whole_part in zip(pair, counts[None])] for name, pair in counts.items() if name}
assert all(0.01 < -parameters < 0.02 for name, (parameters, _) in shares.items() if name in ("conv2", "conv3", "conv4"))
assert shares["conv5"][0] > 0 and all(work < -0.07 for _, work in shares.values())
assert layers["conv3"] == layers["conv4"] and change(rows, "conv3").mean() != change(rows, "conv4").mean()
assert [row.shape[:2] for row in summary(SmallAlexNet()) if row.name == "conv5"] == [(6, 6)]
assert np.abs(again - whole).max() > 0                                      # "nothing" is not zero
both = [name for name in names if all(abs(m) > 2 * e for m, e in (mean_and_error(change(before, name)), mean_and_error(change(rows, name))))]
assert both == ["relu", "augmentation"]
best_rate = {activation: min((0.01, 0.02, 0.04), key=lambda lr: np.mean(by_rate[activation, lr])) for activation in ("relu", "tanh")}
assert set(best_rate.values()) == {0.02} and len(by_rate) == 6 and all(len(values) == 3 for values in by_rate.values())
assert all(-2.75 < lead < -2 and lead < -2 * error for lead, error in leads.values())
print("All of it holds.")
