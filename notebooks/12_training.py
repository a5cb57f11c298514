# %% [markdown]
# # 12 Training
#
# **What the paper says.** The net was trained by stochastic gradient descent with batches of 128 images, momentum 0.9
# and weight decay 0.0005, for roughly 90 passes through 1.2 million images; the learning rate ε began at 0.01 and was
# divided by ten when the error on the validation images stopped improving, three times in all (§ 5). It took five to
# six days.
#
# **The question.** What do the curves of a training run show, and what do they not show? What is left when the run is
# killed, and which mistakes does the trained net still make?
#
# You need chapters [02](02_a_layer_and_its_gradient.ipynb) and [11](11_learning.ipynb). About one hour with the
# exercises. All chapters: [README](README.md).

# %%
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tools
from tools import BLACK, BLUE, ORANGE, check, show, show_source
import data
import train
from alexnet import SmallAlexNet
from full_runs import predictions, results
from nn import SGD, load_checkpoint
from results import load

FAST = True                     # False: all images and 30 epochs below, as in the long run
DATA = "fashion-mnist"          # or "cifar10", or a folder with train/CLASS/* and val/CLASS/*
rng = np.random.default_rng(12)

# %% [markdown]
# ## A picture first
#
# `python train.py` trains a small AlexNet (the paper's plan with a sixth of the kernels) on 9,000 images of clothes
# in ten classes, and validates it on 1,000 others that were held out. Here is the log of such a run, made with seed 0
# on two cores in three minutes: `results/12_log.csv`. The command that made it is `python notebooks/full_runs.py 12`.

# %%
log = results("12_log")
print(f"{len(log)} epochs, columns {', '.join(log[0])}")
for row in log[::9]:
    print(f"epoch {row['epoch']:3.0f}  ε {row['lr']:<7g} training loss {row['train_loss']:.3f}  "
          f"validation loss {row['val_loss']:.3f}  validation error {row['val_top1']:.1%}")

# %% tags=["figure"]
figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.1))
epochs = [row["epoch"] for row in log]
for axes, what, label, factor in ((panels[0], "loss", "loss", 1), (panels[1], "top1", "error, %", 100)):
    for part, name in (("train", "training, as logged"), ("val", "validation")):
        axes.plot(epochs, [factor * row[f"{part}_{what}"] for row in log], markevery=3, label=name)
    for drop in (18.5, 26.5):
        axes.axvline(drop, color="0.5", lw=1, ls=":", marker="")
    axes.set(xlabel="epoch", ylabel=label, xlim=(-0.5, 31.5), ylim=(0, None))
panels[0].legend()
for x, text in ((9, "ε = 0.02"), (22.5, "0.002"), (29, "0.0002")):
    panels[1].text(x, 1.5, text, ha="center", fontsize=8, color="0.35")
show(figure, "**Figure 12.1.** A run of the small net: loss and error by epoch, on the training images as the log counts them, and on the "
             "held-out ones. Dotted: where ε is divided by ten. Before the first line both fall slowly, validation with jumps; behind it validation drops within one epoch and training within two; the second changes little. From epoch 11 on the training loss is below the validation loss.")

# %% [markdown]
# Three things in this figure need an explanation: why the training curve begins *above* the validation curve, which
# shows images that the net has never seen; why the validation curve jumps; and why a smaller ε makes both drop.
#
# ## Before any run: a handful of images
#
# A long run that learns nothing is an expensive way to find a bug. The cheap way: take fifty images, no dropout and no
# random views, and learn them by heart. **Expect** a loss that begins near $\ln 10 = 2.30$, that of equal
# probabilities, and an error of 0 % after some dozens of steps. (Pixels are divided by 100, and ε is small, as there
# are no random views.) If this fails, there is a bug, or ε or the initial values do not fit (chapter
# [11](11_learning.ipynb)).

# %%
pictures = data.load(DATA, 32)
side, mean = data.view_side(32), data.mean_image(pictures.train.images)
few = data.central_views(pictures.train.images[:50], side, mean, scale=0.01)    # (50, 28, 28, C)
labels = pictures.train.labels[:50]
net = SmallAlexNet(len(pictures.classes), few.shape[1:], dropout=0)
sgd, few_losses = SGD(net), []
for step in range(60):
    loss, gradients = net.loss_and_gradients(few, labels, step)
    sgd.step(gradients, lr=0.005)
    few_losses.append(float(loss))
few_error = np.mean(net.predict(few).argmax(1) != labels)
print("losses", " ".join(f"{loss:.2f}" for loss in few_losses[::10]),
      f"  error afterwards {few_error:.0%}")

# %% [markdown]
# ## The loop
#
# `train.py` is the loop above and what a run of days needs besides. In essence these lines of it do the learning (in
# `train`; around them it measures, and `training/run.py` writes the log and the checkpoints):
#
#     logits, caches = network.forward(images, train=True, step=run.step)
#     loss, cache = network.loss.forward(logits, labels)
#     gradients = network.backward(network.loss.backward(cache), caches)
#     sgd.step(gradients, lr)
#
# and this decides on ε before each epoch. § 5 divides it when the validation error stops improving (`--schedule
# plateau`). The small net's default is simpler: after 60 and 87 % of the epochs, whatever the error does (here 18 and
# 26 of 30).

# %%
show_source(train.learning_rate)

# %% [markdown]
# We now run it as a command. To fit into half a minute it gets 2,000 images and six epochs. **Expect** an error of 15
# to 40 % at the end. (Guessing: 90 %; the long run: 12 %.)

# %%
folder = Path(tempfile.mkdtemp())
count, epochs_now = (2000, 6) if FAST else (len(pictures.train.labels), 30)
np.savez(folder / "images.npz",
         x_train=pictures.train.images[:count], y_train=pictures.train.labels[:count],
         x_test=pictures.test.images[:500], y_test=pictures.test.labels[:500],
         classes=np.array(pictures.classes))


def command(*options):
    """Start train.py in `folder`, and return the process; its lines can be read as they come."""
    return subprocess.Popen([sys.executable, tools.ROOT / "train.py", *map(str, options)],
                            cwd=folder, text=True, encoding="utf-8",
                            env=os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


settings = ["--data", "images.npz", "--epochs", epochs_now]
print("python train.py --out straight", *settings)
straight_text = command("--out", "straight", *settings).communicate()[0]
for line in straight_text.splitlines():
    if line.startswith("epoch"):
        print(" ".join(line.split("   val")[0].split()),
              "  val" + line.split("   val")[1].split("   ")[0])
print(straight_text.splitlines()[-1].split(", with the")[0])
print(sorted(path.name for path in (folder / "runs" / "straight").iterdir()))

# %% [markdown]
# (On 500 test images each of the two errors is ± 2 points: which way of testing is better cannot be told.)
#
# ## Killed and resumed
#
# In five days the power may fail. What must be kept so that a run can continue? The weights and the velocities
# (momentum's running sums). Many programs also keep the state of every random generator and the position in the data;
# or they forget them, and the resumed run sees some images twice and others never. Here *every draw follows from its
# purpose*: the order of an epoch from (seed, epoch), a crop from (seed, epoch, image), a dropout mask from (seed, step,
# layer). So besides weights and velocities a few numbers are enough: the log so far, from which ε follows, the steps
# and batches done, and the running sums of this epoch's line of the log.
#
# We start the same run again, with a checkpoint five times a second, and kill it in the third epoch without warning
# (`kill -9`). Then we resume it. **Expect** the same weights and velocities as those of the straight run, bit for bit.

# %%
process = command("--out", "killed", "--save-every", 0.2, *settings)
for line in process.stdout:
    if line.startswith("epoch   2"):
        break
time.sleep(0.7)
process.kill()
process.communicate()
done, _ = load_checkpoint(folder / "runs" / "killed" / "checkpoint.npz")
print(f"killed; the checkpoint holds {len(done['rows'])} epochs and "
      f"{done['batch']} batches of the next, {done['step']} steps")
resumed_text = command("--resume", "runs/killed").communicate()[0]
print("resumed; the last line:", resumed_text.splitlines()[-1].split(", with the")[0])

# %%
ends = {name: load_checkpoint(folder / "runs" / name / "checkpoint.npz")
        for name in ("straight", "killed")}
same = [np.array_equal(array, ends["killed"][1][group][name])
        for group, arrays in ends["straight"][1].items() for name, array in arrays.items()]
print(f"{sum(same)} of {len(same)} arrays are equal to the bit; "
      f"steps {ends['straight'][0]['step']} and {ends['killed'][0]['step']}")

# %% [markdown]
# The file must survive, too: a half-written checkpoint that has replaced the last good one is worse than none. So it is
# written under another name, flushed to the disk, and then renamed, which happens completely or not at all.

# %%
from nn import checkpoint
show_source(checkpoint.write_atomically)

# %% [markdown]
# ## Why the training error is the higher one
#
# A net should do better on images that it has seen. At first, in Figure 12.1, it does worse. Three reasons are
# possible, all in how the log counts: the training error is measured *with dropout on*, on *random views* (crops and
# mirror images; validation has central views), and as an *average over the epoch*, when the net had learned less.
# Without all three: test the trained net (`load` takes `best.npz`, the epoch with the lowest validation error), without
# dropout, on central views of the training images. **Expect** a lower error than in the log, not far from that of the
# validation images.

# %%
trained = load(folder / "runs" / "straight")
split = data.load(folder / "images.npz", 32, holdout=0.1)
last = ends["straight"][0]["rows"][-1]


def error(split):
    return np.mean(trained.predict(split.images).argmax(1) != split.labels)


fair = {"training, as logged": last["train_top1"],
        "training, dropout off, central view": error(split.train),
        "validation": error(split.validation)}
for name, value in fair.items():
    print(f"{value:6.1%}  {name}")

# %% [markdown]
# Training is better than in the log; how much each of the three contributes was not measured. On 200 validation images
# (± 3 points) no overfitting can be seen after six epochs. So a training curve *above* the validation curve says
# nothing; one *below* it, as that of the loss from epoch 11 on in Figure 12.1, shows overfitting, and less of it than
# there is.
#
# ## Jumps, and the drop
#
# A step follows the gradient of 64 images, which is the gradient of all images plus noise. With a constant ε the
# weights do not settle in a minimum: they move around it, the farther the larger ε is (chapter
# [11](11_learning.ipynb)). The validation loss is that of the weights at one moment, so it jumps; the logged training
# loss is an average over an epoch. **Expect** the jumps of the validation loss from epoch to epoch to shrink with ε,
# and the first loss after the drop to lie below the mean of the five before by more than two jumps.

# %%
val = {lr: np.array([row["val_loss"] for row in log if row["lr"] == lr])
       for lr in (0.02, 0.002, 0.0002)}
late = val[0.02][-8:]           # of the first part, where it is nearly level
jumps = {lr: np.abs(np.diff(losses)).mean()
         for lr, losses in ((0.02, late), (0.002, val[0.002]), (0.0002, val[0.0002]))}
for lr, jump in jumps.items():
    print(f"ε = {lr:<7g} the validation loss moves by {jump:.4f} from epoch to epoch")
level = late[-5:].mean()
print(f"mean of the five epochs before the drop {level:.3f}, first after it {val[0.002][0]:.3f}")

# %% [markdown]
# This does not mean that one should begin with a small ε: small steps would have taken many times as long to get here.
# Large ones first and small ones at the end is what § 5 and the small net's schedule have in common.
#
# The validation error is measured on 1,000 images. If the net's true
# error is $e$, each image is wrong with probability $e$, and the share that is wrong among $N$ images scatters with
# the standard deviation
#
# $$\sqrt{e\,(1 - e) / N}.$$
#
# **Expect** about one point for this run. Two epochs or two nets on the *same* images share a part of this scatter, so
# their difference scatters less; chapter [13](13_results.ipynb) counts it image by image.

# %%
best = min(log, key=lambda row: row["val_top1"])
standard_error = np.sqrt(best["val_top1"] * (1 - best["val_top1"]) / 1000)
print(f"lowest validation error {best['val_top1']:.1%} in epoch {best['epoch']:.0f}, "
      f"± {standard_error:.1%}")

# %% [markdown]
# The best of thirty epochs, chosen on the validation images, is partly chosen by chance. So no choice
# is made on the test images: they only report.
#
# ## Its mistakes
#
# Now the net of the long run. Its probabilities for the 2,000 test images, averaged over ten views (chapter
# [13](13_results.ipynb)), are in `results/13_predictions.csv`. First, which classes it takes for which. **Expect**
# most of the errors among the five garments that cover the upper body, and next to none between those and shoes.

# %%
# The images of the long run:
embedded = data.load(tools.ROOT / "datasets" / "fashion_mnist_10000_2000.npz").test
classes = data.load("fashion-mnist").classes
truth, p = predictions(results("13_predictions"), seed=0, views=10)
guess = p.argmax(1)
confusion = np.zeros((10, 10), int)
np.add.at(confusion, (truth, guess), 1)
upper = [classes.index(name) for name in ("T-shirt/top", "Pullover", "Dress", "Coat", "Shirt")]
wrong = guess != truth
inside = np.isin(truth, upper) & np.isin(guess, upper) & wrong
print(f"error {wrong.mean():.2%}; {inside.sum()} of {wrong.sum()} errors are between "
      f"{', '.join(classes[i] for i in upper)}")

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(5.6, 4.4))
axes.imshow(confusion - np.diag(np.diag(confusion)), cmap="Greys", vmax=60)
for (i, j), number in np.ndenumerate(confusion):
    if number:
        axes.text(j, i, number, ha="center", va="center", fontsize=8, fontweight="bold" if i == j else "normal",
                  color="white" if i != j and number > 35 else BLACK)
axes.set_xticks(range(10), classes, rotation=45, ha="right", fontsize=8)
axes.set_yticks(range(10), classes, fontsize=8)
axes.set(xlabel="taken for", ylabel="class")
show(figure, "**Figure 12.2.** What the net takes the 2,000 test images for (200 a class). Bold: right. Shades: errors. Shirts are the hardest: "
             "they are taken for T-shirts, pullovers and coats, and T-shirts, pullovers and coats for shirts.")

# %% [markdown]
# Here are the errors of which the net was surest.

# %%
sure = np.argsort(-np.where(wrong, p.max(1), 0))[:10]
for i in sure[:3]:
    print(f"image {i}: called {classes[guess[i]]} with {p[i].max():.1%}, "
          f"labelled {classes[truth[i]]} ({p[i, truth[i]]:.1%})")

# %% tags=["figure"]
figure, panels = plt.subplots(2, 5, figsize=(7.2, 3.7))
for axes, i in zip(panels.flat, sure):
    axes.imshow(embedded.images[i, :, :, 0], cmap="gray_r")
    axes.set_title(f"{classes[guess[i]]} {p[i].max():.1%}\nlabel: {classes[truth[i]]}", fontsize=8)
    axes.axis("off")
show(figure, "**Figure 12.3.** The ten errors with the largest probability for the wrong class (above each image: what the net says and how sure it is; the "
             "label). Some of the labels a person would not guess either. Images: Fashion-MNIST, © 2017 Zalando SE, MIT licence.")

# %% [markdown]
# ## Does it know when it is wrong?
#
# Are the net's probabilities right, is it *calibrated*? Of the images whose first guess has a probability of about 80
# %, four fifths should be right. We sort the images by that probability and compare, bin by bin, the stated probability
# with the share that is right. **Expect** points within a tenth of the diagonal, and with ten views mostly above it:
# the mean of ten predictions is at most as sure as they are on average.

# %%
edges = np.array([0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97, 1.0001])


def reliability(labels, p):
    """For each bin: the mean probability of the first guess, the share that is right, the number
    of images."""
    sure, right = p.max(1), p.argmax(1) == labels
    bins = np.digitize(sure, edges) - 1
    number = np.bincount(bins, minlength=len(edges) - 1)
    return np.bincount(bins, sure) / number, np.bincount(bins, right) / number, number


said, came, number = reliability(truth, p)
for a, b, n in zip(said, came, number):
    print(f"said {a:.1%}, came true {b:.1%} ± {np.sqrt(b * (1 - b) / n):.1%}, {n} images")
one_view = reliability(*predictions(results("13_predictions"), seed=0, views=1))
gaps = [np.sum(n * (right - sure)) / n.sum() for sure, right, n in ((said, came, number), one_view)]
print(f"right minus said: {gaps[0]:+.1%} with ten views, {gaps[1]:+.1%} with one")

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(5.4, 3.4))
axes.plot([0.25, 1], [0.25, 1], color="0.6", ls="-", marker="", lw=1)
axes.errorbar(said, came, 2 * np.sqrt(came * (1 - came) / number), color=BLUE, ls="", marker="o", capsize=3)
for a, b, n in zip(said, came, number):
    axes.text(a + 0.02, b - 0.085, f"{n:.0f}", fontsize=8, color="0.35")
axes.set(xlabel="probability that the net gives to its first guess", ylabel="share that is right", xlim=(0.3, 1.06), ylim=(0.2, 1.03))
show(figure, "**Figure 12.4.** Calibration: stated probability and share of right guesses, over ten views; bars are ± two standard errors, numbers are images. On the line, a "
             "stated 80 % is right four times out of five.")

# %% [markdown]
# ## Exercises
#
# Solutions are folded. `python notebooks/build.py blank` makes the edition without them.
#
# **1.** How many steps does a run take, if an incomplete last batch is left out? (The long run: 9,000 images, batches
# of 64, 30 epochs.)

# %% tags=["solution"]
def steps_of(images, batch, epochs):
    ### BEGIN SOLUTION
    return images // batch * epochs
    ### END SOLUTION

# %% tags=["check"]
cases = [(9000, 64, 30), (1_200_000, 128, 90), (99, 100, 7)]
check(lambda: [steps_of(*case) for case in cases], [n // b * e for n, b, e in cases],
      [([n * e // b for n, b, e in cases], "each epoch leaves its own rest out: divide first"),
       ([-(-n // b) * e for n, b, e in cases], "the incomplete batch is left out, not counted"), ([n // b for n, b, e in cases], "that is one epoch")])

# %% [markdown]
# **2.** How many test images does one need for a standard error of at most `wanted`, if the error rate is `e`? Solve
# $\sqrt{e(1 - e)/N} = $ `wanted`, and give a whole number. (Both are shares: 0.25 points are 0.0025.)

# %% tags=["solution"]
def images_needed(e, wanted):
    ### BEGIN SOLUTION
    return int(np.ceil(e * (1 - e) / wanted**2))
    ### END SOLUTION

# %% tags=["check"]
cases = [(0.119, 0.0025), (0.375, 0.01), (0.022, 0.004)]
right = [int(np.ceil(e * (1 - e) / s**2)) for e, s in cases]
check(lambda: [images_needed(*case) for case in cases], right,
      [([n - 1 for n in right], "with so many the standard error is still a little too large: round up"), ([e * (1 - e) / s**2 for e, s in cases], "a whole number of images"),
       ([int(np.ceil(e * (1 - e) / s)) for e, s in cases], "square the standard error")])

# %% [markdown]
# **3.** From a confusion matrix (rows: class, columns: taken for) like `confusion`: of the images that the net *calls*
# class `c`, which share *is* one (the precision)? And of those of class `c`, which share is called so (the recall)? How
# good are they for shirts?

# %% tags=["solution"]
def precision_and_recall(confusion, c):
    ### BEGIN SOLUTION
    # Shirts: 131 of 193, 68 %, and 131 of 200, 66 %.
    return confusion[c, c] / confusion[:, c].sum(), confusion[c, c] / confusion[c].sum()
    ### END SOLUTION

# %% tags=["check"]
cases = [(confusion, classes.index("Shirt")), (np.array([[5, 2, 0], [1, 3, 4], [2, 2, 9]]), 1)]
right = [[m[c, c] / m[:, c].sum(), m[c, c] / m[c].sum()] for m, c in cases]
check(lambda: [precision_and_recall(*case) for case in cases], right,
      [([pair[::-1] for pair in right], "the other way round: precision is among those that are called so")])

# %% [markdown]
# **4.** Write the schedule of § 5 as you would do it by hand: given the validation errors so far, has the error stopped
# improving? Say yes (True) if none of the last `patience` errors is below the lowest one before them. With `patience`
# errors or fewer it is too early: say no (False).

# %% tags=["solution"]
def stopped(errors, patience=3):
    ### BEGIN SOLUTION
    return len(errors) > patience and min(errors[-patience:]) >= min(errors[:-patience])
    ### END SOLUTION

# %% tags=["check"]
courses = [[0.5, 0.4, 0.3], [0.5, 0.3, 0.4, 0.35, 0.31], [0.5, 0.3, 0.4, 0.35, 0.29], [0.3, 0.4, 0.4, 0.4], [0.5, 0.6, 0.4, 0.45]]
others = [([0.5, 0.3, 0.3, 0.4, 0.3], 3), ([0.5, 0.6], 1), ([0.5, 0.3, 0.4, 0.4], 1), ([0.3, 0.4, 0.4, 0.4], 4), ([0.3, 0.4, 0.4, 0.2, 0.3], 2)]     # a tie; another patience
right = [0, 1, 0, 1, 0, 1, 1, 1, 0, 0]
check(lambda: [stopped(errors) for errors in courses] + [stopped(errors, patience) for errors, patience in others], right,
      [([0, 0, 0, 1, 0, *right[5:]], "in the second, 0.3 was never reached again in three epochs"), ([0, 1, 1, 1, 0, *right[5:]], "in the third, the last error is a new best"),
       ([0, 1, 0, 1, 1, *right[5:]], "in the fifth, the best is only one epoch old: patience is three"),
       ([*right[:5], 0, *right[6:]], "an error that is as low as the lowest before it is not below it"),
       ([0, 1, 0, 1, 0, 1, 0, 0, 1, 0], "patience is an argument, and not always three")])

# %% [markdown]
# ## Three questions
#
# To be answered without a computer.
#
# **1.** A run is resumed with its weights but with all velocities at 0. What is lost?
#
# <details><summary>Answer</summary>
#
# Equality to the bit, and little else. The velocities build up again within some tens of steps (0.9²⁰ is 0.12), during
# which the steps are shorter.
#
# </details>
#
# **2.** Two nets have 12.0 and 11.2 % error on the same 1,000 validation images. Is the second better?
#
# <details><summary>Answer</summary>
#
# One cannot say. The standard error of each number is 1.0 point. As the images are the same, one should count those on
# which only one of the two nets is right; without these counts a difference of 0.8 points decides nothing.
#
# </details>
#
# **3.** Why must the epoch with the best weights not be chosen on the test images?
#
# <details><summary>Answer</summary>
#
# The smallest of thirty noisy numbers is too small on average: it contains luck. Chosen on the test images, that luck
# would be reported as accuracy. Chosen on validation images, it stays out of the test.
#
# </details>
#
# ## Summary
#
# A run that cannot learn fifty images by heart has a bug or settings that do not fit, and that costs seconds to find
# out. The logged training error has dropout, random views and a younger net in it: above the validation error it says
# nothing, below it, that the net overfits. Because every draw follows from what it is for, a killed run goes on to the
# same bits. Dividing ε lets the weights settle, so the error falls within an epoch or two. On 1,000 images an error has
# a standard error of one point, and smaller differences need paired counts.
#
# Next: [13, Results](13_results.ipynb), how the paper counts errors, and what the net has learned.
#
# ## What this chapter claimed
#
# If this cell runs, the text is true on your machine. (It speaks of Fashion-MNIST: with other `DATA` some of it may
# not hold.)

# %% tags=["claims"]
assert len(log) == 30 and log[17]["lr"] == 0.02 and log[18]["lr"] == 0.002 and log[26]["lr"] == 0.0002
assert all(row["train_loss"] > row["val_loss"] for row in log[:6])                      # begins above
assert abs(few_losses[0] - np.log(10)) < 1 and few_losses[-1] < 0.1 and few_error == 0
assert (not FAST or 0.15 < last["val_top1"] < 0.4) and "test error" in straight_text
assert 2 <= len(done["rows"]) < epochs_now and done["step"] < ends["straight"][0]["step"]
assert all(same) and len(same) == 2 * len(net.weights()) and ends["straight"][0]["step"] == ends["killed"][0]["step"]
assert fair["training, dropout off, central view"] < fair["training, as logged"]
assert not FAST or abs(fair["training, dropout off, central view"] - fair["validation"]) < 0.08
assert log[18]["val_loss"] < log[17]["val_loss"] - 0.04 and log[19]["train_loss"] < log[17]["train_loss"] - 0.06       # Figure 12.1
assert all(row["train_loss"] < row["val_loss"] for row in log[10:]) and log[9]["train_loss"] > log[9]["val_loss"]
shirt = classes.index("Shirt")
assert (confusion[shirt, shirt], confusion[:, shirt].sum(), confusion[shirt].sum()) == (131, 193, 200)
ten_p, one_p = p.max(1), predictions(results("13_predictions"), seed=0, views=1)[1].max(1)
assert ten_p.mean() < one_p.mean() and (ten_p > one_p).any()
assert jumps[0.02] > jumps[0.002] > jumps[0.0002] and level - val[0.002][0] > 2 * jumps[0.02] and 0.008 < standard_error < 0.012
assert abs(wrong.mean() - 0.119) < 1e-9 and inside.sum() > 0.75 * wrong.sum()
shoes = [classes.index(name) for name in ("Sandal", "Sneaker", "Ankle boot")]
assert confusion[upper][:, shoes].sum() + confusion[shoes][:, upper].sum() <= 2
assert np.diag(confusion).argmin() == classes.index("Shirt")
assert 0 < gaps[0] < 0.05 and gaps[1] < gaps[0] and np.abs(said - came).max() < 0.12 and came[-1] > 0.97
print("All of it holds.")
