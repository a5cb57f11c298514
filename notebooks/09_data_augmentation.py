# %% [markdown]
# # 09 Data augmentation
#
# **What the paper says.** For 60 million parameters, 1.2 million images are few. The cheapest way to more of them is to
# change them without changing what they show (§ 4.1), in two ways. First: train on random 224×224 crops of the
# 256×256 images, and on their mirror images; this makes the training set 2048 times as large, though its members
# depend on one another. Without it the net overfits badly. At test time, average the predictions for ten views.
# Second: shift the colours of an image, at random, along the principal axes of RGB. That lowers the top-1 error by
# more than one point. All this is done on the CPU while the GPUs work on the previous batch, so it costs no time.
#
# **The question.** How much of an image is new in another crop? Where do the axes of colour come from, and is the
# printed factor, an eigenvalue, the right one? What do crops do for a net's errors and for the ten views? What does it cost?
#
# You need chapter [01](01_images.ipynb), for the mean image. About an hour and a half with the exercises. All
# chapters: [README](README.md).

# %%
import time

import matplotlib.pyplot as plt
import numpy as np

import tools
from tools import BLACK, BLUE, check, photo, show, show_source
import data
import full_runs
from imaging.pictures import EIGENVALUES, EIGENVECTORS, OnePhotograph
from imaging.views import (central_views, colour_axes, colour_noise, draws,
                           mean_image, random_views, ten_views, view_side)
from nn import SGD, Conv2d, Flatten, Linear, MaxPool2d, Network, ReLU, initialise, softmax

DATA = "fashion-mnist"                          # or "cifar10", or a folder: see data.load
rng = np.random.default_rng(9)

# %% [markdown]
# ## A picture first
#
# `random_views` makes what the net sees in training. A view depends on the image's number, so to see several views of one
# photograph we pretend to have many equal ones: `OnePhotograph`. A mean image of zeros leaves the pixels as they are.

# %%
pixels, credit = photo("chelsea", 256)
cat = np.rint(255 * pixels).astype(np.uint8)                                    # (256, 256, 3)
copies, zero = OnePhotograph(cat, 64), np.zeros(cat.shape, np.float32)
views = random_views(copies, np.arange(64), 224, zero, seed=0, epoch=0)         # (64, 224, 224, 3)
places = draws(64, down=32, right=32, seed=0, epoch=0)      # of 64 images: top, left, mirrored

# %% tags=["figure"]
figure, panels = plt.subplots(2, 5, figsize=(7.4, 3.4))
panels[0, 0].imshow(cat)
panels[0, 0].set_title("256×256", fontsize=9)
for axes, view, (top, left, mirror) in zip(panels.flat[1:], views, places):
    axes.imshow(view.astype(np.uint8))
    axes.set_title(f"{top}, {left}" + (", mirrored" if mirror else ""), fontsize=9)
for axes in panels.flat:
    axes.axis("off")
show(figure, f"**Figure 9.1.** A photograph and nine of its 2048 views, with the row and the column where "
             f"each begins. {credit}", dpi=100)

# %% [markdown]
# ## Counting to 2048
#
# A crop of 224 rows out of 256 can begin in row 0, 1, …, 32: in $256 - 224 + 1 = 33$ places. The paper counts 32 each
# way, and two for the mirror image: $32 \cdot 32 \cdot 2 = 2048$. (All places would give 2178.) So one place in either
# direction is never used in training, and this project keeps to that. The 33rd place is where the corner crops at the
# right and at the bottom begin, with which the net is tested. **Expect** rows from 0 to 31 in training, 32 for corners.

# %%
many = draws(100_000, 32, 32, seed=0, epoch=0)
different = len(np.unique(many, axis=0))
print(f"{different} different views in 100,000 draws; "
      f"tops from {many[:, 0].min()} to {many[:, 0].max()}")
test_views = list(ten_views(cat[None], 224, zero))
corner = np.array_equal(test_views[6][0], cat[32:, 32:])
print(f"{len(test_views)} test views; the bottom right one begins at 32, 32: {corner}")

# %% [markdown]
# ### Not 2048 new images
#
# Two crops of one image share most of their pixels. If one begins in row $a$ and the other in row $a'$, they have
# $224 - |a - a'|$ rows in common; columns likewise. For $a$, $a'$ drawn from $0 \dots n-1$, each independently, the
# difference $k$ (from 1 on) comes about in $2 (n - k)$ of $n^2$ ways, so
#
# $$\mathrm{E}|a - a'| = \frac{1}{n^2} \sum_{k=1}^{n-1} 2 (n - k)\, k = \frac{2}{n^2} \left( n \cdot \frac{n (n-1)}{2} - \frac{(n-1)\, n\, (2n - 1)}{6} \right)
# = \frac{n^2 - 1}{3 n}.$$
#
# With $n = 32$ that is 10.66. Rows and columns are drawn independently, so the mean common share is
# $(1 - 10.66/224)^2$ (mirrored or not). **Expect** about 91 %, and for the two most distant crops still 74 %.

# %%
n, side = 32, 224
apart = (n**2 - 1) / (3 * n)
overlap, least = (1 - apart / side) ** 2, ((side - n + 1) / side) ** 2
a, b = many[:50_000, :2], many[50_000:, :2]
measured = (((side - np.abs(a - b)) / side).prod(1)).mean()
print(f"common share: {overlap:.1%} on average, measured {measured:.1%}; at least {least:.1%}")

# %% [markdown]
# So the views are not independent, as the paper itself says. But as pixels move by up to 31, a net cannot rely on places.
#
# ## In code
#
# The mean image (§ 2) is cut where the image is cut, and mirrored with it. Where to cut follows from the seed, the epoch
# and the image's number, and from nothing that was drawn before. So the order of the images and the size of the batches
# change no view, and a stopped run can go on within an epoch. **Expect** `random_views` to agree with the loop below.

# %%
def naive_views(images, index, side, mean, table):
    views = []
    for i in index:
        top, left, mirror = table[i]
        view = images[i][top:top + side, left:left + side] - mean[top:top + side, left:left + side]
        views.append(view[:, ::-1] if mirror else view)
    return np.stack(views)


names = ["astronaut", "chelsea", "coffee", "rocket", "hubble_deep_field"]
photographs = np.stack([np.rint(255 * photo(name, 256)[0]).astype(np.uint8)
                        for name in names])                                     # (5, 256, 256, 3)
mean, index = mean_image(photographs), np.array([4, 0, 3])
ours = random_views(photographs, index, 224, mean, seed=0, epoch=1)
alone = random_views(photographs, index[2:], 224, mean, seed=0, epoch=1)[0]
same = np.array_equal(ours, naive_views(photographs, index, 224, mean, draws(5, 32, 32, 0, 1)))
stateless = np.array_equal(alone, ours[2])
print(f"equal to the loop: {same}; image 3 alone and among others: {stateless}")

# %% [markdown]
# ## Crop or cut out?
#
# Some notes say that the paper "cuts out a 32×32 block". It does not. It cuts a 224×224 view *out of* 256×256 pixels; 32
# is the room that is left to move in. To *erase* a block in the view is a later idea: Cutout (DeVries and Taylor 2017),
# which makes a net do without any single part of an object. `random_views` can do it, with `cutout=32`, which is off by
# default: it sets a block of 32×32 pixels, which may reach over the edge, to the mean (to 0 after its subtraction).

# %% tags=["figure"]
top, start, _ = places[3]
average = np.broadcast_to(cat.mean((0, 1)), cat.shape)          # as if this were the training set's mean
block = random_views(copies, np.arange(64), 224, average, 0, 0, cutout=32)[3] + average[0, 0]
figure, (crop, cutout, test) = plt.subplots(1, 3, figsize=(7.2, 2.7))
crop.imshow(cat, alpha=0.35)
crop.imshow(cat[top:top + 224, start:start + 224], extent=(start - 0.5, start + 223.5, top + 223.5, top - 0.5))
crop.set(xlim=(-1, 256), ylim=(256, -1))
cutout.imshow(block.astype(np.uint8))
test.imshow(cat, alpha=0.6)
for row, column, style in ((0, 0, "-"), (0, 32, "--"), (32, 0, "-."), (32, 32, ":")):
    test.add_patch(plt.Rectangle((column, row), 223, 223, fill=False, ec=BLACK, ls=style))
test.add_patch(plt.Rectangle((16, 16), 223, 223, fill=False, ec=BLUE, lw=3))
test.set(xlim=(-4, 259), ylim=(259, -4))
for axes, title in ((crop, "the paper: a view is cut out"), (cutout, "Cutout: a block is erased"), (test, "five of the ten test views")):
    axes.set_title(title)
    axes.axis("off")
show(figure, f"**Figure 9.2.** A crop leaves a rim out (pale): 32 rows and 32 columns in all. Cutout sets a block within the view to "
             f"the mean. Right: the four corners (thin) and the centre (thick); their mirror images make ten. {credit}", dpi=100)

# %% [markdown]
# ## The axes of colour
#
# Take all pixels of all training images as points $x$ in a space of three axes, red, green and blue, less their mean.
# Their covariance is the 3×3 matrix $C = \mathrm{E}[x\, x^\top]$. Along which direction $p$ (of length 1) do the
# pixels vary most? The coordinate along $p$ is $p^\top x$, and its variance
#
# $$\mathrm{E}[(p^\top x)^2] = \mathrm{E}[p^\top x\, x^\top p] = p^\top C\, p.$$
#
# Under the condition $p^\top p = 1$ it is largest where the derivative of $p^\top C p - λ\, (p^\top p - 1)$ is zero (Lagrange's
# rule; $C$ is symmetric, so the derivative of $p^\top C p$ is $2 C p$): $C p = λ\, p$, and there $p^\top C p = λ$. So $p$ is
# an eigenvector of $C$, and the variance along it is its eigenvalue: the largest, $λ_1$, along $p_1$; the largest at
# right angles to $p_1$, $λ_2$, along $p_2$; and $λ_3$ along $p_3$. **Expect** from the five photographs: a first axis with
# all three signs equal (brightness), a second with red against blue, a third with green against both. (The sign of an
# axis means nothing.) 4,500 photographs, of ten classes of Tiny-ImageNet, give nearly the same (`EIGENVECTORS`).

# %%
flat = photographs.reshape(-1, 3).astype(np.float64)
C = np.cov(flat.T, bias=True)
own_values, own_axes = colour_axes(photographs)
eigen_error = np.abs(C @ own_axes - own_axes * own_values).max()
print("λ of five photographs: ", own_values.round(), "  of 4,500:", EIGENVALUES.round())
print("p1 p2 p3 in columns (five | 4,500):\n", np.hstack([own_axes, EIGENVECTORS]).round(2))
print(f"C p = λ p to {eigen_error:.0e}; "
      f"shares of the variance: {(EIGENVALUES / EIGENVALUES.sum()).round(3)}")
show_source(colour_axes)

# %% tags=["figure"]
figure, (cloud, swatches) = plt.subplots(1, 2, figsize=(7.4, 3.2), width_ratios=[1, 1.15])
some = rng.choice(flat, 2500, replace=False)
along = (some - flat.mean(0)) @ EIGENVECTORS
cloud.scatter(along[:, 0], along[:, 1], c=some / 255, s=5, linewidths=0)
for axis, name, (x, y) in zip(np.eye(2), ("p₁", "p₂"), ((5, -5), (-5, 5))):
    tip = axis * along.std(0)[:2]
    cloud.annotate("", tip, (0, 0), arrowprops=dict(arrowstyle="-|>", lw=2, color=BLACK))
    cloud.annotate(name, tip, (x, y), textcoords="offset points", bbox=dict(fc="white", ec="none", pad=1, alpha=0.8))
cloud.set(xlabel="along p₁, grey levels", ylabel="along p₂, grey levels", aspect="equal", title="2,500 pixels of five photographs")
lengths = np.array([0.5, 1, 2]) * np.sqrt(EIGENVALUES)
strip = 128 + np.arange(-2, 3)[None, :, None] * (lengths * EIGENVECTORS).T[:, None]        # (3 axes, 5 steps, 3 colours)
swatches.imshow(np.clip(strip, 0, 255) / 255, aspect="auto")
swatches.set(xticks=range(5), xticklabels=["−2", "−1", "0", "+1", "+2"], yticks=range(3), yticklabels=["p₁", "p₂", "p₃"],
             xlabel="steps of ½ √λ₁, √λ₂, 2 √λ₃", title="grey, moved along each axis")
show(figure, "**Figure 9.3.** Left: pixels in the plane of the two largest axes of the 4,500 photographs; arrows: their standard "
             "deviations. Right: what the axes mean. p₁: dark to light. p₂: blue to orange. p₃: green to violet.")

# %% [markdown]
# The paper adds to every pixel of an image the same colour
#
# $$[\,p_1\; p_2\; p_3\,]\; [\,α_1 λ_1,\; α_2 λ_2,\; α_3 λ_3\,]^\top = \sum_{i=1}^{3} p_i\, α_i\, λ_i, \qquad α_i \sim N(0,\; 0.1^2),$$
#
# with α drawn once for an image and each use of it. The reason: an object stays what it is when the intensity and the
# colour of the light change.
#
# ## λ or √λ?
#
# Look at the units. If pixels are in grey levels, $λ$, a variance, is in grey levels *squared*, and so is the
# formula's result, which is added to grey levels. Multiply all pixels by $c$: $λ$ and the shift are multiplied by $c^2$,
# the image only by $c$. The printed formula depends on the unit, and the paper does not give one. With $\sqrt{λ}$, the
# standard deviation along the axis, it would depend on no unit; the authors' 2012 code has $\sqrt{λ}$.
#
# How much does the brightness (the mean of R, G and B) change? Let $s_i$ be the factor, $λ_i$ or $\sqrt{λ_i}$, and
# $\bar p_i$ the mean of the three entries of $p_i$. The brightness changes by $\sum_i \bar p_i\, α_i\, s_i$;
# variances of independent terms add, so its standard deviation is $0.1 \sqrt{\sum_i \bar p_i^2\, s_i^2}$. **Expect**
# 6.4 grey levels for √λ, 2.8 for λ of pixels from 0 to 1, and 714 for λ of pixels from 0 to 255: nothing is left.

# %%
blank = OnePhotograph(np.zeros((2, 2, 3), np.uint8), 20_000)    # 20,000 images of four black pixels
factors = {"λ, pixels 0 … 1": (EIGENVALUES / 255, colour_noise(blank)),
           "λ, pixels 0 … 255": (EIGENVALUES, 255 * colour_noise(blank)),
           "√λ": (np.sqrt(EIGENVALUES), colour_noise(blank, factor="deviation"))}
predicted, shifts = {}, {}
for name, (s, noise) in factors.items():
    predicted[name] = 0.1 * np.sqrt(((EIGENVECTORS.mean(0) * s) ** 2).sum())
    shifts[name] = random_views(blank, np.arange(20_000), 2, np.zeros((2, 2, 3)), 0, 0,
                                colour=noise)                                   # (20000, 2, 2, 3)
    print(f"{name:18} brightness changes by {predicted[name]:5.1f} grey levels, "
          f"measured {shifts[name].mean((1, 2, 3)).std():5.1f}")

# %% tags=["figure"]
figure, panels = plt.subplots(3, 4, figsize=(7.4, 5.8))
for row, (name, shift) in zip(panels, shifts.items()):
    for i, axes in enumerate(row):
        axes.imshow(np.clip(cat + (shift[i, 0, 0] if i else 0), 0, 255).astype(np.uint8)[::2, ::2])
        axes.set(xticks=[], yticks=[])
        axes.set_xlabel(" ".join(f"{v:+.0f}" for v in shift[i, 0, 0]) if i else "original", fontsize=8)
        axes.spines[:].set_visible(False)
    row[0].set_ylabel(name)
show(figure, f"**Figure 9.4.** The same three draws of α with the three factors; below each image, what is added to red, green and "
             f"blue. With λ of pixels from 0 to 255 nearly everything is clipped to black or white. {credit}", dpi=120)

# %% [markdown]
# The project's default is the printed formula with pixels from 0 to 1, the reading under which it makes sense (the change
# is faint); `factor="deviation"` is √λ. Which of the two gave the paper "more than one point", the text does not say.
#
# ## Does it help?
#
# A small experiment: 500 training images (28×28, crops of 24×24: $4 \cdot 4 \cdot 2 = 32$ views), 2,000 test images,
# and a net of two convolutions and two fully connected layers. It is trained twice from the same start, 80 epochs
# each: on the central views only, and on random crops and mirrors. Same ε, same number of steps. Three seeds.
#
# After training we compute the training error and test error on the central view; the test error with one view in a
# corner; and with ten views, $\frac{1}{10} \sum_v \mathrm{softmax}(z_v)$ of the outputs $z_v$ for view $v$: probabilities.

# %%
dataset = data.load(DATA)
train = data.Split(dataset.train.images[:500], dataset.train.labels[:500])
test = data.Split(dataset.test.images[:2000], dataset.test.labels[:2000])
small_mean, small_side = mean_image(train.images), view_side(train.images.shape[1])
channels, scale = train.images.shape[3], 1 / 64     # pixels of about -2 … 3: ε = 0.01 suits them


def small_net(seed):
    layers = {"conv1": Conv2d(channels, 16, 5, stride=2, padding=2, first=True),
              "relu1": ReLU(), "pool1": MaxPool2d(3, 2),
              "conv2": Conv2d(16, 32, 3, padding=1),
              "relu2": ReLU(), "pool2": MaxPool2d(3, 2), "flatten": Flatten()}
    shape = image = (small_side, small_side, channels)
    for layer in layers.values():
        shape = layer.output_shape(shape)
    layers |= {"fc3": Linear(shape[0], 128), "relu3": ReLU(), "fc4": Linear(128, 10)}
    net = Network([layers], image, seed=seed)
    initialise(net, "he", seed, bias=0.0)
    return net

# %%
def errors(net):
    """Percent wrong: training images and test images, centre; test images, corner and ten views."""
    p = [net.predict(central_views(split.images, small_side, small_mean, scale))
         for split in (train, test)]
    ten = [net.predict(x) for x in ten_views(test.images, small_side, small_mean, scale)]
    answers = ((p[0], train), (p[1], test), (ten[0], test), (sum(ten) / 10, test))
    return [100 * np.mean(q.argmax(1) != split.labels) for q, split in answers]


def trained(seed, augment):
    net = small_net(seed)
    optimiser = SGD(net)
    for epoch in range(80):
        for x, y in data.batches(train, 50, small_side, small_mean, seed, epoch,
                                 scale=scale, augment=augment, workers=0):
            optimiser.step(net.loss_and_gradients(x, y)[1], lr=0.01 if epoch < 60 else 0.001)
    return errors(net)

# %% [markdown]
# **Expect** the net without crops to learn its 500 images by heart and to do badly on others, which is overfitting. With
# crops the training error stays higher and the gap is much smaller. **Expect** also that ten views help the net that has
# seen crops, and *harm* the other one, which has never seen an image's corner.

# %%
def print_errors(table, columns):
    """Means over the seeds and their standard errors."""
    print("error in %:          " + "".join(f"{column:>18}" for column in columns))
    for augment, way in ((False, "central views only"), (True, "crops and mirrors")):
        spread = table[augment].std(0, ddof=1) / np.sqrt(len(table[augment]))
        print(f"{way:21}" + "".join(f"{m:12.1f} ± {e:.1f}"
                                    for m, e in zip(table[augment].mean(0), spread)))


rows = {crops: np.array([trained(seed, crops) for seed in range(3)]) for crops in (False, True)}
print_errors(rows, ("training, central", "test: central", "corner", "ten views"))

# %% [markdown]
# The smaller gap is certain. The test error on the central view falls by little, perhaps because clothes in Fashion-MNIST
# are centred, in the test images as well. (The paper gives 39.0 % top-1 error with one view where ten have 37.5 %.)
#
# The same with the project's small AlexNet, which is larger and has dropout: `python train.py`, 9,000 images and 30
# epochs, with and without `--no-augment`, three seeds. These runs are recorded (`results/09_augmentation.csv`, made by
# `python notebooks/full_runs.py 09`). **Expect** the net without crops to know its training images nearly by heart,
# and to be no worse than the other on the centre of the test images, but much worse over ten views.

# %%
long_runs = {augment: np.array([[100 * row[key]
                                 for key in ("training", "test_one_view", "test_ten_views")]
                                for row in full_runs.results("09_augmentation")
                                if row["augment"] == augment]) for augment in (False, True)}
print_errors(long_runs, ("training, central", "test: central", "ten views"))

# %% [markdown]
# Each net tested in the way that suits it has 12.4 % errors (without crops, on the centre) and 12.5 % (with crops, ten
# views). So crops and mirrors gain nothing here; what they do is to make a net that bears being shown any view. These
# runs say nothing about photographs.
#
# ## Free of charge
#
# A batch of 128 views of 224×224 takes a processor some time. The paper makes it on the CPU while the GPUs train on the
# batch before. In this project threads do it (`imaging/prefetch.py`). Below a `sleep` stands for the GPU, three times as
# long as it takes to make a batch of 64. We take the best of three runs. **Expect** that without threads the loop waits
# for each batch; that two threads take the waiting away, on a quiet machine most of it, though not for the first batch;
# and that they need about as many seconds of the *processor*, which a net on the same cores has to share.

# %%
photo_split = data.Split(OnePhotograph(cat, 640), np.zeros(640, np.int64))
colour = colour_noise(photo_split.images)


def waiting(workers, compute):
    """(seconds that the loop waits for batches, seconds of processor time), for ten batches."""
    waited, busy = 0, time.process_time()
    with data.batches(photo_split, 64, 224, mean, 0, 0, colour=colour, workers=workers) as source:
        for _ in range(10):
            start = time.perf_counter()
            next(source)
            waited += time.perf_counter() - start
            time.sleep(compute)
    return waited, time.process_time() - busy


making = waiting(0, 0)[0] / 10
loops = {n: np.min([waiting(n, 3 * making) for _ in range(3)], axis=0) for n in (0, 2)}
for workers, (waited, busy) in loops.items():
    print(f"workers={workers}: waits {waited:.3f} s for ten batches, processor time {busy:.3f} s")

# %% [markdown]
# ## Exercises
#
# Solutions are folded. `python notebooks/build.py blank` makes the edition without them.
#
# **1.** Crops of `side` pixels begin in row 0 to `n` − 1, and in column 0 to `n` − 1, all equally often. Which share of
# the crops contains the pixel in row `i` and column `j`?

# %% tags=["solution"]
def share_of_crops(i, j, n, side):
    ### BEGIN SOLUTION
    def along(i):
        return (min(i, n - 1) - max(0, i - side + 1) + 1) / n     # starts from i − side + 1 to i, of 0 … n − 1
    return along(i) * along(j)
    ### END SOLUTION

# %% tags=["check"]
cases = [(128, 100, 32, 224), (0, 128, 32, 224), (3, 254, 32, 224), (5, 1, 4, 24), (26, 25, 4, 24)]
starts = [np.arange(n) for _, _, n, _ in cases]
right = [np.mean((s <= i) & (i < s + side)) * np.mean((s <= j) & (j < s + side)) for s, (i, j, n, side) in zip(starts, cases)]
check(lambda: [share_of_crops(*case) for case in cases], right,
      [([np.mean((s <= i) & (i < s + side)) for s, (i, j, n, side) in zip(starts, cases)], "that is the row alone: the column must be inside as well"),
       ([1.0] * 5, "the middle is in every crop, the rim in few"),
       ([min(i + 1, n) / n * min(j + 1, n) / n for i, j, n, side in cases], "the lower and right rim has few crops, too")])

# %% [markdown]
# **2.** For α = `alpha` (three numbers, already times 0.1), which colour is added to an image with pixels from 0 to
# 255, by the *printed* formula applied to pixels from 0 to 1? λ (`values`) is given for pixels from 0 to 255; $p_i$ is
# column $i$ of `vectors`. Result in grey levels from 0 to 255.

# %% tags=["solution"]
def colour_shift(alpha, values, vectors):
    ### BEGIN SOLUTION
    return 255 * (vectors @ (alpha * values / 255**2))      # λ is of squares: 255²; the shift is then scaled back
    ### END SOLUTION

# %% tags=["check"]
cases = [(np.array([0.12, -0.05, 0.2]), EIGENVALUES, EIGENVECTORS),
         (np.array([-0.3, 0.1, 0.04]), np.array([900.0, 400.0, 25.0]), np.linalg.qr(rng.standard_normal((3, 3)))[0])]
shifts_by = lambda formula: [formula(*case) for case in cases]
check(lambda: shifts_by(colour_shift), shifts_by(lambda a, l, p: p @ (a * l) / 255),
      [(shifts_by(lambda a, l, p: p @ (a * l)), "that is λ of pixels from 0 to 255: the image is gone"), (shifts_by(lambda a, l, p: p @ (a * np.sqrt(l))), "that is √λ, the 2012 code's"),
       (shifts_by(lambda a, l, p: p @ (a * l) / 255**2), "that is the shift of pixels from 0 to 1; scale it back to 0 … 255"),
       (shifts_by(lambda a, l, p: p.T @ (a * l) / 255), "p1, p2, p3 are the columns")])

# %% [markdown]
# **3.** `logits` are a net's outputs for the views of some images, `(views, images, classes)`. What does § 4.1 predict?
# Give the probabilities, `(images, classes)`.

# %% tags=["solution"]
def predict_views(logits):
    ### BEGIN SOLUTION
    return np.mean([softmax(one) for one in logits], axis=0)
    ### END SOLUTION

# %% tags=["check"]
outputs = [3 * rng.standard_normal(shape) for shape in ((10, 2, 6), (4, 3, 5))]
predicted_by = lambda rule: np.concatenate([np.ravel(rule(one)) for one in outputs])
check(lambda: predicted_by(predict_views), predicted_by(lambda z: sum(softmax(one) for one in z) / len(z)),
      [(predicted_by(lambda z: softmax(z.mean(0))), "the mean is taken after the softmax, of probabilities"),
       (predicted_by(lambda z: np.sum([softmax(one) for one in z], axis=0)), "the mean, not the sum")])

# %% [markdown]
# ## Three questions
#
# To be answered without a computer.
#
# **1.** How many pixels of an image of 256×256 lie in all of its 2048 views?
#
# <details><summary>Answer</summary>
#
# Rows 31 to 223, from the first row of the last crop to the last row of the first, and columns likewise: 193 · 193 =
# 37,249 pixels, 57 % of the image.
#
# </details>
#
# **2.** For which images would mirroring be a wrong augmentation?
#
# <details><summary>Answer</summary>
#
# Where left and right carry the meaning: letters and digits (b and d), traffic signs with arrows, or a task that asks
# which hand is shown. The class has to survive the change.
#
# </details>
#
# **3.** The colour shift is drawn once per image. What would an independent shift for each *pixel* be, and what would a
# first-layer kernel make of it?
#
# <details><summary>Answer</summary>
#
# Noise. A kernel with equal weights, which blurs, adds up a common shift 11 · 11 = 121-fold, independent ones only about
# √121 = 11-fold. An edge detector, whose weights add up to 0, does not see a common shift at all, but does see the noise.
# It would imitate a bad camera, not another light.
#
# </details>
#
# ## Summary
#
# Crops and mirror images give 2,048 views of an image, which share 91 % of their pixels on average, mirrored or not. The
# colour noise moves all pixels of an image along the principal axes of RGB; as printed, with the eigenvalue, it depends
# on the unit of the pixels, and with its root it does not. Every view follows from the seed, the epoch and the image's
# number, so a run can stop and go on. In small experiments views lower overfitting, and they are what makes ten test
# views useful. Made by other threads while the net computes, they cost little waiting, though they do cost processor time.
#
# Next: [10, Dropout](10_dropout.ipynb), the paper's other means against overfitting.
#
# ## What this chapter claimed
#
# If this cell runs, the text is true on your machine. (It speaks of Fashion-MNIST: with other `DATA` some of it may
# not hold.)

# %% tags=["claims"]
assert 32 * 32 * 2 == different == 2048 and (many[:, :2].min(), many[:, :2].max()) == (0, 31) and corner and len(test_views) == 10
assert abs(apart - 10.66) < 0.01 and abs(overlap - 0.91) < 0.005 and abs(least - 0.74) < 0.005 and abs(measured - overlap) < 0.002
split = data.Split(photographs, np.arange(5))
whole, rest = ([images for images, _ in data.batches(split, 1, 224, mean, seed=0, epoch=1, start=start, workers=0)] for start in (0, 3))
assert same and stateless and np.array_equal(whole[3:], rest)
assert not np.array_equal(alone, random_views(photographs, index[2:], 224, mean, seed=0, epoch=2)[0])
grey = OnePhotograph(np.full((256, 256, 3), 100, np.uint8), 64)
erased = [(random_views(grey, np.arange(64), 224, zero, 0, 0, **option)[..., 0] == 0).sum((1, 2)) for option in ({}, {"cutout": 32})]
assert erased[0].max() == 0 and erased[1].max() == 32 * 32
assert eigen_error < 1e-8 and (np.diff(own_values) < 0).all()
for axes in (own_axes, EIGENVECTORS):
    assert (axes[:, 0] > 0).all() and axes[0, 1] * axes[2, 1] < 0 and axes[1, 2] * axes[0, 2] < 0 and axes[1, 2] * axes[2, 2] < 0
assert [round(predicted[name], 1) for name in ("λ, pixels 0 … 1", "√λ")] == [2.8, 6.4] and round(predicted["λ, pixels 0 … 255"]) == 714
for name, shift in shifts.items():
    assert abs(shift.mean((1, 2, 3)).std() / predicted[name] - 1) < 0.03 and np.ptp(shift, axis=(1, 2)).max() == 0
training, centre, in_corner, ten = (np.array([rows[augment][:, kind] for augment in (False, True)]) for kind in range(4))
assert training[0].max() < 3 and (centre - training).mean(1)[0] > (centre - training).mean(1)[1] + 4
assert centre[1].mean() < centre[0].mean() + 1 and (in_corner[0] > in_corner[1] + 5).all() and (ten - centre).mean(1)[0] > 0 and (ten - centre).mean(1)[1] < 0.5
assert (long_runs[False][:, 0] < long_runs[True][:, 0]).all() and (long_runs[False][:, 2] > long_runs[True][:, 2] + 2).all()
assert [round(x.mean(), 1) for x in (long_runs[False][:, 1], long_runs[True][:, 1], long_runs[True][:, 2])] == [12.4, 12.9, 12.5]
assert loops[2][0] < 0.8 * loops[0][0] and loops[2][1] > 0.5 * loops[0][1]
print("All of it holds.")
