# %% [markdown]
# # 13 Results
#
# **What the paper says.** On the test images of 2010 the net's first guess is wrong for 37.5 % (the *top-1 error*), all of
# its five best guesses for 17.0 % (the *top-5 error*); the best published before were 45.7 and 25.7 % (§ 6, Table 1). On
# those of 2012 five such nets together have a top-5 error of 16.4 %, and seven, two of which had first learned from all of
# ImageNet, 15.3 %; the next best entry of that contest had 26.2 % (Table 2). Each image is looked at in ten views (§ 4.1).
# The first layer's kernels look different on the two cards (Figure 3), and images whose last hidden features are near to
# each other show the same things, though their pixels differ (§ 6.1, Figure 4).
#
# **The question.** How are such errors counted? How much do ten views and several nets gain, and why is an average
# better than one? And which images are similar for the net?
#
# You need chapter [12](12_training.ipynb). About an hour and a half with the exercises. All chapters:
# [README](README.md).

# %%
import matplotlib.pyplot as plt
import numpy as np

import tools
from tools import BLACK, BLUE, ORANGE, check, show, show_source
import data
from alexnet import SmallAlexNet
from full_runs import predictions, results
from results import load
from results.errors import ranks, rates
from results.neighbours import nearest

rng = np.random.default_rng(13)

# %% [markdown]
# ## A picture first
#
# The paper's tables in one picture. (A star: with nets that were first trained on all 22,000 classes of ImageNet. The
# single starred net has a sixth convolution besides.)

# %%
table = [   # what, images, top-1 error %, top-5 error %
    ("sparse coding", "2010 test", 47.1, 28.2), ("SIFT + Fisher vectors", "2010 test", 45.7, 25.7),
    ("the net", "2010 test", 37.5, 17.0),
    ("1 net", "2012 val.", 40.7, 18.2), ("5 nets", "2012 val.", 38.1, 16.4),
    ("1 net*", "2012 val.", 39.0, 16.6), ("7 nets*", "2012 val.", 36.7, 15.4)]
print(f"five nets instead of one: {40.7 - 38.1:.1f} and {18.2 - 16.4:.1f} points")

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(7.2, 3))
places = np.array([0, 1, 2, 3.6, 4.6, 5.6, 6.6])
for shift, column, look in ((-0.2, 2, dict(color=BLUE, label="top-1 error")),
                            (0.2, 3, dict(color=ORANGE, hatch="///", label="top-5 error"))):
    bars = axes.bar(places + shift, [row[column] for row in table], 0.4, edgecolor=BLACK, **look)
    axes.bar_label(bars, fmt="%.1f", fontsize=7.5)
axes.set_xticks(places, [row[0].replace(" + ", " +\n").replace("sparse ", "sparse\n") for row in table], fontsize=8.5)
axes.set(ylabel="error, %", ylim=(0, 62))
axes.text(1, 51, "ILSVRC-2010, test", ha="center", fontsize=9)
axes.text(5.1, 45, "ILSVRC-2012, validation", ha="center", fontsize=9)
axes.legend(loc="upper right", ncols=2)
show(figure, "**Figure 13.1.** Tables 1 and 2 of the paper. The step from hand-made features to the net (8.2 points of top-1 error, 2010) is larger than "
             "all that ensembles and more data add to it afterwards (4.0 points, on the other images of 2012).")

# %% [markdown]
# This cannot be repeated in an evening. What can be: the same way of counting, ten views, ensembles, kernels and
# neighbours, with a small net and small images.
#
# ## Counting
#
# The net gives each image a probability for each class. It is a *top-k error* if the label's class is not among the
# $k$ classes of the largest probabilities. In loops:

# %%
def top_error(p, labels, k):
    """Share of the images (N,) whose label has k or more others before it, or beside it, in its
    row of p (N, classes)."""
    wrong = 0
    for row, label in zip(p, labels):
        before = 0
        for c, value in enumerate(row):
            if c != label and value >= row[label]:
                before += 1
        wrong += before >= k
    return wrong / len(labels)


show_source(ranks)
show_source(rates)

# %% [markdown]
# Equal probabilities need a rule. A net that has died gives all classes the same. If `argmax` decides, it takes the first
# class, which is right for one image in ten; if a tie counts *for* the net, it is always right. Here a tie counts against
# the net. **Expect** the loops to agree with the project, and the dead net to be wrong
# everywhere.

# %%
p, labels = rng.dirichlet(np.ones(10), 500), rng.integers(0, 10, 500)
p[::5] = np.round(p[::5], 1)                                                # ties
agree = [top_error(p, labels, k) == rates(p, labels)[name]
         for k, name in ((1, "top1"), (5, "top5"))]
dead = np.full((500, 10), 0.1)
print("agree:", agree, f"  dead net: top-1 {rates(dead, labels)['top1']:.0%}, "
      f"by argmax {np.mean(dead.argmax(1) != labels):.0%}")

# %% [markdown]
# ## Ten views
#
# A view is what the net takes: here 28×28 of 32×32 pixels, in the paper 224×224 of 256×256. § 4.1 tests with the four
# corners, the centre, and the mirror images of these, and averages the ten answers, after the softmax. The nets are three
# of `python train.py` with seeds 0, 1, 2 (chapter [12](12_training.ipynb); three minutes each). All their probabilities
# for the 2,000 test images are in `results/13_predictions.csv`, made by `python notebooks/full_runs.py 12`. That of seed 0
# is in `results/12_net.npz` as well, and looks at the first 500 images here. (`evaluate.py` takes it, too: `python evaluate.py
# classify --weights notebooks/results/12_net.npz`.) **Expect** its probabilities to be those of the file.
#
# Is a difference more than chance? Both errors are of the *same* images, so only those count on which the two disagree in
# being right: $a$ images right with ten views only, $b$ right with one only. If neither were better, each of these would be
# like the toss of a coin, with a standard deviation of $\sqrt{a + b}$ in $a - b$ (McNemar's test). **Expect** two of three
# nets to gain from ten views, none of them by much more than two standard deviations.

# %%
net = load(tools.ROOT / "notebooks" / "results" / "12_net.npz")
embedded = data.load(tools.ROOT / "datasets" / "fashion_mnist_10000_2000.npz", 32,
                     seed=net.seed, holdout=net.holdout)        # as in the long run
rows, full, differences = results("13_predictions"), {}, {}
for seed in (0, 1, 2):
    for views in (1, 10):
        truth, p = predictions(rows, seed, views)                       # (2000,), (2000, 10)
        full[seed, views] = np.maximum(p, 0.5 / 10_000)     # the file is rounded to 1/10,000
first = embedded.test.images[:500]
csv_difference = max(np.abs(net.predict(first, views) - full[0, views][:500]).max()
                     for views in (1, 10))
print(f"its probabilities differ from the file's by {csv_difference:.0e} at most")


def mcnemar(p, q):
    """Images right with p only, with q only, and (a - b) / sqrt(a + b)."""
    p_right, q_right = p.argmax(1) == truth, q.argmax(1) == truth
    a, b = np.sum(p_right & ~q_right), np.sum(q_right & ~p_right)
    return a, b, (a - b) / np.sqrt(a + b)


for seed in (0, 1, 2):
    one, ten = full[seed, 1], full[seed, 10]
    a, b, differences[seed] = mcnemar(ten, one)
    print(f"seed {seed}: error of one view {np.mean(one.argmax(1) != truth):.2%}, "
          f"of ten {np.mean(ten.argmax(1) != truth):.2%}; right alone: ten {a}, one {b}: "
          f"{differences[seed]:+.1f} deviations; "
          f"loss {rates(one, truth)['loss']:.4f}, {rates(ten, truth)['loss']:.4f}")

# %% [markdown]
# Two nets gain by about two standard deviations, one loses by more than one. Together ten views alone are right on 120, one
# view alone on 93: 1.9 standard deviations, and even that counts each image three times. Ten views may help; 2,000 images do
# not settle it. (To see half a point at three standard deviations takes 14,400 images: exercise 4.) The *loss*, $-\ln p$ of
# the right class, counts how sure an answer is and not only which side of a threshold it falls on. It gives no other
# picture: ten views lower it for two nets, and raise it for the same one. But for the loss there is a theorem.
#
# ## Why an average is better than its parts
#
# Let $p_1 \dots p_m$ be what $m$ views (or $m$ nets) give to the right class of one image. The function $-\ln$ is
# convex: its graph hangs below its chords, so the value at a mean is at most the mean of the values (Jensen's
# inequality):
#
# $$-\ln\Big(\frac1m \sum_i p_i\Big) \;\le\; \frac1m \sum_i -\ln p_i .$$
#
# The loss of the average is at most the average of the losses, for *each image*, whatever the nets are. It is equal only
# where all agree, so an ensemble gains by *disagreement*. It compares with the mean of the members, not with the best of
# them: ten views are better than one of the ten taken at random, not necessarily than the central one. And no such theorem
# holds for errors: if each of three nets is barely right on a different image, where the other two are clearly wrong, their
# average can be wrong on all three. **Expect** for the three nets no exception, and a loss a few per cent lower.

# %%
own = np.array([full[seed, 10][np.arange(len(truth)), truth]
                for seed in (0, 1, 2)])                         # (3 nets, 2000 images)
of_mean, mean_of = -np.log(own.mean(0)), -np.log(own).mean(0)   # (2000,) each
exceptions = np.sum(of_mean > mean_of + 1e-12)
print(f"exceptions: {exceptions} of {len(truth)}; "
      f"loss of the average {of_mean.mean():.4f}, average of the losses {mean_of.mean():.4f}")

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(7.2, 3))
line = np.linspace(0.02, 1, 200)
axes.plot(line, -np.log(line), color=BLACK, ls="-", marker="")
ends = np.array([0.1, 0.9])
axes.plot(ends, -np.log(ends), color=BLUE, ls="--", marker="o", label="two nets: p = 0.1 and 0.9")
axes.plot(0.5, -np.log(ends).mean(), color=BLUE, marker="s", ls="", markersize=8, label=f"mean of their losses: {-np.log(ends).mean():.2f}")
axes.plot(0.5, -np.log(0.5), color=ORANGE, marker="D", ls="", markersize=8, label=f"loss of their mean: {-np.log(0.5):.2f}")
axes.annotate("", (0.5, -np.log(0.5) + 0.06), (0.5, -np.log(ends).mean() - 0.06), arrowprops=dict(arrowstyle="->", color="0.4"))
axes.set(xlabel="probability given to the right class", ylabel="loss −ln p", ylim=(0, 3.2))
axes.legend()
show(figure, "**Figure 13.2.** −ln p is convex, so its value at the mean of two probabilities is below the mean of its two values. The farther "
             "apart the probabilities, the larger the gain.")

# %% [markdown]
# ## An ensemble
#
# **Expect** the three nets together to have an error below their mean, and below the best of them, if only by chance: the
# test says how sure each difference is.

# %%
together = np.mean([full[seed, 10] for seed in (0, 1, 2)], 0)
single = [rates(full[seed, 10], truth)["top1"] for seed in (0, 1, 2)]
ensemble = rates(together, truth)["top1"]
print(f"together {ensemble:.2%}")
ahead = []
for seed in (0, 1, 2):
    a, b, deviations = mcnemar(together, full[seed, 10])
    ahead.append(deviations)
    print(f"seed {seed} {single[seed]:.2%}; right alone: together {a}, seed {seed} {b}: "
          f"{deviations:+.1f} deviations")

# %% [markdown]
# So together they are better than two of the nets, but not surely better than the best. Why is the gain small? Let $e$ be the
# error of each, 12.5 %. If they made their errors independently, a majority vote would be lost only if at least two are
# wrong (and not always then, as they may disagree): with a probability of at most $3 e^2 (1 - e) + e^3$, about 4 %. But they
# are wrong on the *same* images: a shirt that looks like a T-shirt looks so to all of them. **Expect** some 9 % of the
# images wrong for all three, where independence would leave 0.2 %.

# %%
all_wrong = np.mean([full[seed, 10].argmax(1) != truth for seed in (0, 1, 2)], 0) == 1
e = np.mean(single)
print(f"majority of independent nets: {3 * e**2 * (1 - e) + e**3:.1%} wrong; "
      f"wrong for all three: {all_wrong.mean():.1%}, if independent {e**3:.2%}")

# %% [markdown]
# ## The first layer's kernels
#
# Figure 3 of the paper shows the 96 kernels of 11×11×3 after training. Those of the first card are stripes and edges
# without colour, those of the second blobs of colour, in every run, whichever random numbers it began with (§ 6.1).
# The paper attributes it to the restricted connection between the towers. Our images are grey, our kernels 5×5, and
# there are 8 in a tower, so colour and form cannot part here. **Expect** kernels of about the same size in both towers, that
# have clearly moved from their initial values. (Towers are counted from 0, as in the code.)

# %%
kernels = net.network.weights()["conv1.W"]          # (5, 5, 1, 16): tower 0's 8, then tower 1's
initial = SmallAlexNet(seed=0).weights()["conv1.W"]
moved = np.linalg.norm(kernels - initial) / np.linalg.norm(initial)
halves = [np.linalg.norm(kernels[..., part]) for part in (slice(0, 8), slice(8, 16))]
print(f"kernels have moved by {moved:.0%} of their size; "
      f"size in tower 0 {halves[0]:.2f}, in tower 1 {halves[1]:.2f}")

# %% tags=["figure"]
figure, panels = plt.subplots(4, 8, figsize=(7.2, 4))
for line, (values, name) in enumerate(((initial, "before"), (kernels, "after"))):
    for k in range(16):
        axes, tile = panels[2 * (k // 8) + line, k % 8], values[..., k]
        tile = (tile - tile.min()) / (tile.max() - tile.min())
        axes.imshow(tile[..., 0])
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for tower in (0, 1):
        panels[2 * tower + line, 0].set_ylabel(f"tower {tower},\n{name}", rotation=0, ha="right", va="center", fontsize=9)
show(figure, "**Figure 13.3.** The first layer's kernels before and after training, each stretched to its own range (so that the picture shows form, not strength). "
             "In most the initial noise still shows.")

# %% [markdown]
# The full net trained on photographs for an hour is in [docs/tiny10](../docs/tiny10/README.md): after 665 steps its kernels,
# too, are mostly noise yet. The paper's had more than 840,000 steps.
#
# ## Five guesses
#
# The left of Figure 4 shows eight test images with the five best guesses as bars. Here are eight of ours, over ten
# views, chosen by a rule: of each of the first eight classes the image whose first guess has the lowest probability. So
# these are the hardest, not typical ones. **Expect** a wrong first guess for most.

# %%
p = full[0, 10]
chosen = [int(np.where(truth == label, p.max(1), 1).argmin()) for label in range(8)]
print(f"first guess wrong: {np.sum(p[chosen].argmax(1) != truth[chosen])} of 8")

# %% tags=["figure"]
figure, panels = plt.subplots(4, 4, figsize=(7.2, 5.6), height_ratios=[1.2, 1, 1.2, 1])
for axes in panels.flat:
    axes.axis("off")
for k, i in enumerate(chosen):
    top, bottom = panels[2 * (k // 4), k % 4], panels[2 * (k // 4) + 1, k % 4]
    top.imshow(embedded.test.images[i, :, :, 0], cmap="gray_r")
    top.set_title(net.classes[truth[i]], fontsize=9)
    bottom.axis("on")
    for place, c in enumerate(np.argsort(-p[i])[:5]):
        right = c == truth[i]
        bottom.barh(place, p[i, c], color="0.55" if right else "0.88", edgecolor=BLACK, hatch="//" if right else "")
        bottom.text(p[i, c] + 0.03, place, net.classes[c], va="center", fontsize=7.5, fontweight="bold" if right else "normal")
    bottom.set(xlim=(0, 1), yticks=[], xticks=[0, 0.5, 1], xlabel="probability" if k // 4 else "")
    bottom.xaxis.label.set_fontsize(8)
    bottom.tick_params(labelsize=7)
    bottom.invert_yaxis()
show(figure, "**Figure 13.4.** Test images (above each: its label) and the five best guesses with their probabilities; hatched and bold: the right one. "
             "Of each of eight classes the least sure first guess. Often the five are similar things, but not always: trousers are not among the five guesses for the second. Images: Fashion-MNIST, © 2017 Zalando SE, MIT licence.")

# %% [markdown]
# ## What the net calls alike
#
# The last layer sees $F$ numbers for each image (4096 in the paper, 512 here): its *features*. The paper takes the
# Euclidean distance of these, $\lVert f(x) - f(x') \rVert$, and finds that neighbours in it belong together, where
# neighbours in pixels do not always (§ 6.1). We look for the six nearest training images of 1,000 test images, both ways.
# The search is plain: all distances, then the smallest.

# %%
show_source(nearest)

# %% [markdown]
# **Expect**, of the neighbours by features, a larger share to be of the image's own class than by pixels: some points
# more. (Clothes that are all photographed from the front, centred, on white, are nearly aligned: pixels do well here.
# On photographs they do not.)

# %%
pool, queries = embedded.train, embedded.test.images[:1000]         # 9,000 images to look among
index, features = (np.concatenate([net.features(images[i:i + 250])
                                   for i in range(0, len(images), 250)])
                   for images in (pool.images, queries))            # (9000, 512), (1000, 512)
near = {"features": nearest(features, index, 6)[1],                 # (1000, 6): indices in pool
        "pixels": nearest(queries.reshape(1000, -1).astype(np.float32), pool.images, 6)[1]}
wanted = truth[:1000, None]
same = {name: (pool.labels[found] == wanted).mean(1) for name, found in near.items()}
better = same["features"] - same["pixels"]                          # (1000,)
print("of the six nearest, of the same class:",
      ", ".join(f"{share.mean():.1%} by {name}" for name, share in same.items()),
      f" difference {better.mean():.1%} ± {better.std() / np.sqrt(1000):.1%} (standard error)")

# %% tags=["figure"]
some = [*np.argsort(-better, kind="stable")[:3], *rng.integers(0, 1000, 2)]     # three where features do best, two at random
figure, panels = plt.subplots(len(some), 15, figsize=(7.4, 3.2), width_ratios=[1, 0.3, *[1] * 6, 0.3, *[1] * 6])
for axes in panels.flat:
    axes.axis("off")
for line, q in zip(panels, some):
    line[0].imshow(queries[q, :, :, 0], cmap="gray_r")
    for first, name in ((2, "features"), (9, "pixels")):
        for axes, n in zip(line[first:], near[name][q]):
            axes.imshow(pool.images[n, :, :, 0], cmap="gray_r")
            if pool.labels[n] != truth[q]:
                axes.text(-1, 7, "×", color=ORANGE, fontsize=13, fontweight="bold")
for column, text in ((0, "image"), (2, "nearest by features"), (9, "nearest by pixels")):
    panels[0, column].set_title(text, fontsize=9, loc="left").set_in_layout(False)
show(figure, "**Figure 13.5.** Test images and their six nearest training images (×: another class). Upper three: where features do best against pixels, of 1,000; lower two: "
             "drawn at random. Images: Fashion-MNIST, © 2017 Zalando SE, MIT licence.")

# %% [markdown]
# How do features differ from pixels? Move the test images by three pixels to the right and look for neighbours again.
# **Expect** the neighbours by pixels to get much worse, and those by features a little worse: the net has learned from
# random crops, and pools three times. (Crops start at 0 to 3, the central one at 2: so an image was moved to the right by 2
# pixels at most.)

# %%
shifted = np.roll(queries, 3, axis=2)
shifted[:, :, :3] = 0           # what left on the right must not come back on the left
shifted_features = np.concatenate([net.features(shifted[i:i + 250]) for i in range(0, 1000, 250)])
after = {"features": nearest(shifted_features, index, 6)[1],
         "pixels": nearest(shifted.reshape(1000, -1).astype(np.float32), pool.images, 6)[1]}
same_after = {name: np.mean(pool.labels[found] == wanted) for name, found in after.items()}
for name, share in same_after.items():
    print(f"by {name:8} of the same class: {same[name].mean():.1%}, of moved images {share:.1%}")

# %% [markdown]
# ## Exercises
#
# Solutions are folded. `python notebooks/build.py blank` makes the edition without them.
#
# **1.** One entry to a contest has the error `better`, the next one `worse` (shares). Which share of the second one's
# errors does the first avoid? (In 2012: 0.153 and 0.262.)

# %% tags=["solution"]
def avoided(better, worse):
    ### BEGIN SOLUTION
    return (worse - better) / worse
    ### END SOLUTION

# %% tags=["check"]
cases = [(0.153, 0.262), (0.17, 0.257), (0.375, 0.457)]
check(lambda: [avoided(*case) for case in cases], [1 - a / b for a, b in cases],
      [([b / a - 1 for a, b in cases], "of the second one's errors: divide by them"), ([b - a for a, b in cases], "that is the difference in points"),
       ([100 - 100 * a / b for a, b in cases], "as a share: from 0 to 1"), ([a / b for a, b in cases], "that is the share that remains")])

# %% [markdown]
# **2.** One can also average before the softmax: the mean of the *logits*, which is (up to normalisation) the geometric
# mean of the probabilities. From `probabilities`, (nets, N, classes) and all positive, compute that ensemble's
# probabilities.

# %% tags=["solution"]
def geometric(probabilities):
    ### BEGIN SOLUTION
    g = np.exp(np.log(probabilities).mean(0))
    return g / g.sum(1, keepdims=True)
    ### END SOLUTION

# %% tags=["check"]
trials = [rng.dirichlet(np.ones(classes_), (nets_, images_)) for nets_, images_, classes_ in ((3, 5, 4), (2, 7, 6))]


def ensembles(rule):
    return np.concatenate([np.ravel(rule(trial)) for trial in trials])


check(lambda: ensembles(geometric), ensembles(lambda p: p.prod(0) ** (1 / len(p)) / (p.prod(0) ** (1 / len(p))).sum(1, keepdims=True)),
      [(ensembles(lambda p: p.prod(0) ** (1 / len(p))), "the rows must sum to 1"), (ensembles(lambda p: p.mean(0)), "that is the arithmetic mean"),
       (ensembles(lambda p: p.prod(0) / p.prod(0).sum(1, keepdims=True)), "that is the product: take its root before you normalise")])

# %% [markdown]
# **3.** The nearest images can vote. Write a classifier: the class that most of the `near` (Q, k) training images have,
# ties to the smaller number. `labels` holds the classes of all training images. (The text's `near["features"]` is such
# an array.)

# %% tags=["solution"]
def vote(near, labels):
    ### BEGIN SOLUTION
    return np.array([np.bincount(labels[row]).argmax() for row in near])
    ### END SOLUTION

# %% tags=["check"]
cases = [(rng.integers(0, n, (q, k)), rng.integers(0, c, n)) for q, k, n, c in ((40, 6, 100, 10), (25, 3, 30, 4))]
expected = np.concatenate([[max(range(10), key=lambda c: (np.sum(own[row] == c), -c)) for row in near] for near, own in cases])
check(lambda: np.concatenate([vote(*case) for case in cases]), expected,
      [(np.concatenate([own[near[:, 0]] for near, own in cases]), "that is the class of the nearest alone"),
       (np.concatenate([[max(range(10), key=lambda c: (np.sum(own[row] == c), c)) for row in near] for near, own in cases]), "ties go to the smaller number")])

# %% [markdown]
# **4.** Two ways of testing a net differ by the share `gain` of the images, and on the share `differ` of the images
# exactly one of them is right. How many images are needed to see the difference at `deviations` standard deviations?
# With $N$ images, $a - b = $ `gain`$\,N$ and $a + b = $ `differ`$\,N$; solve $(a - b) / \sqrt{a + b} = $ `deviations`.
# (Try 0.5 points, 4 % and three.)

# %% tags=["solution"]
def test_images(gain, differ, deviations):
    ### BEGIN SOLUTION
    return deviations**2 * differ / gain**2         # gain · N = deviations · √(differ · N)
    ### END SOLUTION

# %% tags=["check"]
cases = [(0.005, 0.04, 3), (0.01, 0.1, 2), (0.002, 0.03, 4)]
check(lambda: [test_images(*case) for case in cases], [k**2 * d / g**2 for g, d, k in cases],
      [([k * d**0.5 / g for g, d, k in cases], "that is √N"), ([k * d / g**2 for g, d, k in cases], "square the deviations, too")])

# %% [markdown]
# ## Three questions
#
# To be answered without a computer.
#
# **1.** The paper reports 15.3, 16.4, 17.0 and 18.2 %. Which images, which nets?
#
# <details><summary>Answer</summary>
#
# All are top-5 errors. 17.0: one net, test images of 2010. 18.2: one net, validation images of 2012. 16.4: five nets,
# validation and test images of 2012. 15.3: seven nets, two of which had first been trained on all of ImageNet, test
# images of 2012.
#
# </details>
#
# **2.** A net gives the same probability to all 1000 classes. What are its top-1 and top-5 errors if ties count against
# it?
#
# <details><summary>Answer</summary>
#
# 100 % both. Decided by the order of the classes it would seem to be right for 1 and 5 images in 1000, and decided in
# its favour always.
#
# </details>
#
# **3.** Five copies of one net, with the same weights, are averaged. What does the ensemble gain?
#
# <details><summary>Answer</summary>
#
# Nothing. In Jensen's inequality equality holds where all members say the same: an ensemble gains by disagreement.
#
# </details>
#
# ## Summary
#
# A top-k error counts the images whose label is not among the k likeliest classes, with ties counted against the net.
# The loss of an average is never above the average of the losses: an ensemble is better than its average member. For
# errors there is no such theorem, and nets tend to be wrong on the same images. On the same images two results are
# compared by those on which only one is right. Distances between the last hidden features find images of the same class
# more often than distances between pixels, most of all when the image has moved.
#
# Next: [14, What matters](14_what_matters.ipynb), which of the paper's parts a small net needs.
#
# ## What this chapter claimed
#
# If this cell runs, the text is true on your machine.

# %% tags=["claims"]
assert all(agree) and rates(dead, labels)["top1"] == 1 and 0.8 < np.mean(dead.argmax(1) != labels) < 0.97
assert table[1][2] - table[2][2] > 40.7 - 36.7 and table[1][3] - table[2][3] > 18.2 - 15.4      # Figure 13.1
assert np.allclose(single, (0.119, 0.1295, 0.126)) and abs(ensemble - 0.1155) < 0.001 and ensemble < min(single)
gains = {seed: rates(full[seed, 1], truth)["top1"] - rates(full[seed, 10], truth)["top1"] for seed in (0, 1, 2)}
assert sum(gain > 0 for gain in gains.values()) == 2 and max(differences.values()) < 3
alone = np.sum([mcnemar(full[seed, 10], full[seed, 1])[:2] for seed in (0, 1, 2)], axis=0)
assert alone.tolist() == [120, 93] and abs((120 - 93) / np.sqrt(120 + 93) - 1.9) < 0.06 and round(9 * 0.04 / 0.005**2) == 14_400
lower = [rates(full[seed, 10], truth)["loss"] < rates(full[seed, 1], truth)["loss"] for seed in (0, 1, 2)]
assert lower == [True, False, True] == [gains[seed] > 0 for seed in (0, 1, 2)]
assert 0 < ahead[0] < 1.5 and min(ahead[1:]) > 2.5
assert np.sum(p[chosen].argmax(1) != truth[chosen]) > 4 and 90 * 1_200_000 // 128 > 840_000
assert net.classes.index("Trouser") not in np.argsort(-p[chosen[1]])[:5]
assert exceptions == 0 and 0.94 < of_mean.mean() / mean_of.mean() < 0.98
assert abs(3 * e**2 * (1 - e) + e**3 - 0.04) < 0.01 and 0.08 < all_wrong.mean() < 0.1 and e**3 < 0.0025
assert moved > 0.1 and 0.5 < halves[0] / halves[1] < 2
assert csv_difference < 1e-3 and kernels.shape == (5, 5, 1, 16)
assert same["features"].mean() > same["pixels"].mean() + 0.01 and features.shape[1] == 512
losses = {name: same[name].mean() - share for name, share in same_after.items()}
assert losses["pixels"] > 2 * losses["features"] and losses["pixels"] > 0.1
print("All of it holds.")
