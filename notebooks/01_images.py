# %% [markdown]
# # 01 Images
#
# **What the paper says.** ImageNet's photographs have all sizes, the net wants one. Each is scaled, up or down, until
# its shorter side has 256 pixels; then the central 256×256 are cut out. After that, one thing only is done: from each
# pixel its mean over the training set is subtracted. The net learns from raw, centred RGB values (§ 2).
#
# **The question.** What is lost by the cut, and what would be lost without it? What can go wrong in so short a
# recipe? And why subtract the mean, but not divide by the standard deviation?
#
# You need NumPy's arrays and what a derivative is, and no other chapter. About one hour with the exercises. All chapters: [README](README.md).

# %%
import io

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import tools
from tools import BLACK, check, photo, show, show_source
import data
from imaging.decode import decode, prepare, reason
from imaging.views import central_views, mean_image, view_side

DATA = "fashion-mnist"                  # or "cifar10", or a folder of images
NAMES = "astronaut", "chelsea", "coffee", "rocket", "hubble_deep_field"
credits = [photo(name)[1].removeprefix("Photograph: ").rstrip(".") for name in NAMES]
rng = np.random.default_rng(1)

# %% [markdown]
# ## A picture first
#
# Five photographs as they come from disk, and the results of the recipe. `prepare` is the project's function for
# it; it takes an image of the library Pillow, the wanted side and the number of channels (3: red, green, blue).
# **Expect** all but a square photograph to lose something, up to a third.

# %%
pictures = {name: Image.open(tools.ROOT / "datasets" / "photos" / f"{name}.jpg").convert("RGB")
            for name in NAMES}
squares = {name: prepare(picture, 256, 3)                                   # (256, 256, 3) uint8
           for name, picture in pictures.items()}
lost = {name: 1 - min(picture.size) / max(picture.size) for name, picture in pictures.items()}
for name, (width, height) in ((name, picture.size) for name, picture in pictures.items()):
    print(f"{name:17} {width}×{height}, ratio {max(width, height) / min(width, height):.2f} : 1, "
          f"cut off {lost[name]:4.0%}")

# %% tags=["figure"]
figure, rows = plt.subplots(2, 5, figsize=(7.6, 3.0), height_ratios=[1, 1.15])
for (name, picture), above, below in zip(pictures.items(), *rows):
    (width, height), short = picture.size, min(picture.size)
    above.imshow(picture)
    for color, style, line in (("white", "-", 3.2), (BLACK, "--", 1.4)):
        above.add_patch(plt.Rectangle(((width - short) / 2, (height - short) / 2), short, short, fill=False, ec=color, ls=style, lw=line, clip_on=False))
    above.set_title(name.split("_")[0])
    below.imshow(squares[name])
    below.set_xlabel(f"cut off: {lost[name]:.0%}")
    for axes in (above, below):
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
show(figure, "**Figure 1.1.** Above: the photographs, with the square that § 2 keeps (dashed). Below: that square, at 256×256 pixels. The "
             f"cut takes both ends of the longer side. Photographs, from the left: {'. '.join(credits)}.", dpi=110)

# %% [markdown]
# ## What the cut costs
#
# Call the longer side $\ell$ and the shorter $s$. The square keeps $s \cdot s$ of $\ell \cdot s$ pixels, so the lost
# share is
#
# $$1 - \frac{s \cdot s}{\ell \cdot s} = 1 - \frac{s}{\ell} = 1 - \frac1r, \qquad r = \frac{\ell}{s} .$$
#
# A ratio of 3 : 2, the usual one of cameras, costs a third. ImageNet has a few files of more than 5 : 1: they lose
# more than 80 %, and the labelled object may be outside. Its sizes run from 68 to 2400 pixels a side and beyond, so
# there is scaling up as well as down: 68 pixels become 256 by a factor of 3.8, and the result is blurred.
#
# The alternative is to squash the whole photograph into a square, as Caffe's ImageNet recipe did. Nothing is lost,
# but shapes change: by the ratio $r$, different in each photograph. To measure it, we draw a disc into a picture of
# the size of `coffee`. **Expect** the cut to leave it round, and the squash to make it 1.5 times as high as it is
# wide.

# %%
width, height = pictures["coffee"].size
row, column = np.mgrid[:height, :width]
disc = Image.fromarray(np.uint8(255 * (np.hypot(row - height / 2, column - width / 2) < 120)))
squashed = np.asarray(disc.resize((256, 256), Image.Resampling.BILINEAR))
roundness = []
for square in (prepare(disc, 256, 1)[:, :, 0], squashed):
    high, wide = (np.any(square > 127, axis=axis).sum() for axis in (1, 0))
    roundness.append(high / wide)
    print(f"the disc is now {high} pixels high and {wide} wide: {high / wide:.2f}")
tiny = pictures["chelsea"].resize((102, 68), Image.Resampling.BILINEAR)     # its short side: 68
up = prepare(tiny, 256, 3)                                                  # scaled up

# %% tags=["figure"]
figure, panels = plt.subplots(1, 4, figsize=(7.6, 2.2))
for axes, image, name in zip(panels, (squares["coffee"], pictures["coffee"].resize((256, 256)), squares["chelsea"], up),
                             ("cut (the paper)", "squashed", "scaled down, from 300", "scaled up, from 68")):
    axes.imshow(image)
    axes.set_title(name)
    axes.axis("off")
show(figure, "**Figure 1.2.** Left pair: the cut keeps the cup's shape and loses both ends of the table; squashing keeps the ends and makes "
             "the cup slim. Right pair: from 300 pixels the cat has hairs, from 68 it has a blur. "
             f"Photographs: {credits[2]}; {credits[1]}.", dpi=100)

# %% [markdown]
# (`prepare` cuts first and scales the square alone, which takes less memory. The paper's order rounds to whole pixels in
# between, so its square lies up to a pixel elsewhere, which does not matter.)
#
# ## The filter
#
# The paper does not say how a new pixel is made of the old ones. It matters. The test picture for it is the zone
# plate: rings that get finer outwards. At the distance of $\rho$ pixels from the middle the brightness is
# $\cos(\pi \rho^2 / 512)$; the phase grows by $2 \pi \rho / 512$ per pixel, so there are $\rho / 512$ rings per pixel, half a
# ring at the edge. We shrink 512 pixels to 128. A ring needs two pixels to be seen, one light and one dark (the
# sampling theorem of Nyquist and Shannon); so a quarter of the side can show rings only where there were fewer than 1/8
# per old pixel: for $\rho < 64$, which is 16 new pixels. Farther out, the only honest answer is even grey; we measure
# between 40 and 60 new pixels from the middle. **Expect** that of a filter that weighs all old pixels near the new one
# (Pillow's, with a triangle two new pixels wide, which is eight old ones here), and rings out of nowhere (*aliasing*) from
# a filter that takes the nearest old pixel, or the nearest four.

# %%
row, column = np.mgrid[:512, :512] - 255.5
plate = np.cos(np.pi * (row**2 + column**2) / 512)
plate = Image.fromarray(np.uint8(np.rint(127.5 + 127.5 * plate)))
shrunk = {"nearest pixel": plate.resize((128, 128), Image.Resampling.NEAREST),
          "nearest four": plate.transform((128, 128), Image.Transform.AFFINE, (4, 0, 0, 0, 4, 0),
                                          Image.Resampling.BILINEAR),
          "triangle filter": plate.resize((128, 128), Image.Resampling.BILINEAR)}
row, column = np.mgrid[:128, :128] - 63.5
outside = (np.hypot(row, column) > 40) & (np.hypot(row, column) < 60)
ghosts = {name: np.asarray(picture, float)[outside].std() for name, picture in shrunk.items()}
for name, ghost in ghosts.items():
    print(f"{name:15}: where it should be even grey, "
          f"the standard deviation is {ghost:4.1f} grey levels")

# %% tags=["figure"]
figure, panels = plt.subplots(1, 4, figsize=(7.6, 2.2))
for axes, image, name in zip(panels, (plate, *shrunk.values()), ("zone plate, 512×512", *shrunk)):
    axes.imshow(image, vmin=0, vmax=255, interpolation="antialiased" if image is plate else "nearest")
    axes.set_title(name)
    axes.axis("off")
show(figure, "**Figure 1.3.** A zone plate, and three ways to shrink it to 128×128. In the three small pictures only the "
             "rings in the middle are true. (The first is itself drawn at about half its size, by a filter of this kind: its finest rings are "
             "grey already, and faint false ones show at its edges.)")

# %% [markdown]
# Photographs of cloth, fences or tiles are zone plates in part, and a net would get to see the false rings. The name
# "bilinear" alone does not say which filter it is: to some libraries it means the nearest four, to Pillow (and here) the
# triangle. A program that trains with one filter and tests with the other is tested on images of a kind that it has not
# seen.
#
# ## Odd files
#
# Among 1.2 million files there are odd ones. ImageNet has a PNG with transparency that is called .JPEG, some two
# dozen files in CMYK (a printer's four inks), about 2 % in grey, and some whose camera noted in the EXIF data that
# the picture should be turned. We make one of each, and some broken ones, from a photograph, in memory. `decode`
# takes the bytes of a file; `reason` makes a sentence of what it raises. **Expect** a square of three channels from
# each file that can be read, and a reason from the rest.

# %%
def saved(image, format, **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


coffee, glass, turned = pictures["coffee"], pictures["coffee"].copy(), Image.Exif()
glass.putalpha(128)                                         # half transparent
turned[0x112] = 6                                           # EXIF's tag for "turn it to the right"
jpeg = saved(coffee, "JPEG", quality=95)
files = {"plain JPEG": jpeg, "grey": saved(coffee.convert("L"), "JPEG", quality=95),
         "PNG called .JPEG": saved(glass, "PNG"),
         "CMYK": saved(coffee.convert("CMYK"), "JPEG", quality=95),
         "EXIF says: turn": saved(coffee, "JPEG", quality=95, exif=turned),
         "truncated": jpeg[:len(jpeg) // 2],
         "a web page": b"<html>404 Not Found</html>", "empty": b""}
decoded, reasons = {}, {}
for name, raw in files.items():
    try:
        decoded[name] = decode(raw, 256).astype(int)
        print(f"{name:17}{decoded[name].shape}, "
              f"{np.abs(decoded[name] - decoded['plain JPEG']).mean():5.2f} "
              "grey levels from the plain one")
    except Exception as error:
        reasons[name] = reason(error)
        print(f"{name:17}left out: {reasons[name]}")

# %% [markdown]
# Grey becomes three equal channels. What is transparent becomes white, as on paper: the half transparent photograph is
# half white. The turn is ignored, so such a picture is on its side; a program that turns must turn in training and in
# testing. Files that cannot be read are named and left out; `data.load` gives up if they are more than 1 % of all.
#
# ## The mean image
#
# Let $x_n$ be image $n$ of $N$ in the training set, an array of numbers from 0 to 255. The mean image is
# $m = \frac1N \sum_n x_n$, an array of the same shape: one mean per pixel and channel. From here on we take
# Fashion-MNIST, whose images are 28×28 and grey. **Expect** the plain loop and the project's function to agree within
# the rounding of 32 bits, in which the latter hands out its mean.

# %%
dataset = data.load(DATA)
images, labels = (dataset.train.images[:8000],              # (8000, 28, 28, 1) uint8
                  dataset.train.labels[:8000])
total = np.zeros(images.shape[1:])                          # float64
for image in images:
    total += image
m = total / len(images)
mean_difference = np.abs(m - mean_image(images)).max()
print(f"mean of all: {m.mean():.1f}; largest difference from the project's: {mean_difference:.0e}")
show_source(mean_image)

# %% tags=["figure"]
figure, panels = plt.subplots(1, 3, figsize=(6, 2.9))
centred = images[0] - m
limit = np.abs(centred).max()
for axes, image, name, low, high in ((panels[0], m, "mean m", 0, 255), (panels[1], images[0], "image x", 0, 255),
                                     (panels[2], centred, "x − m", -limit, limit)):
    shown = axes.imshow(image.squeeze() if image.shape[-1] == 1 else np.clip((image - low) / (high - low), 0, 1), vmin=low, vmax=high)
    axes.set_title(name)
    axes.axis("off")
    figure.colorbar(shown, ax=axes, shrink=0.6, orientation="horizontal", ticks=[low, (low + high) / 2, high], format="%.0f")
show(figure, "**Figure 1.4.** The mean of 8,000 images is a ghost of all classes at once: shirts, trousers and shoes lie on one another. "
             "Subtracting it makes grey out of what is usual (0) and leaves what is special about this image.")

# %% [markdown]
# The sum is kept in `float64`. In bytes it would begin again at 256, and `float32` holds every whole number only up to
# $2^{24}$: at $3 \cdot 10^8$, the sum of 1.2 million pixels of 250, adding 250 adds 256.
#
# ## Which mean
#
# The mean must be aligned with the image: for a view cut out of the image, the mean is cut at the same place. The 2012
# code instead took the mean's *central* part for every view (`kind="centre"`). Many later programs take one mean per
# channel (`kind="channel"`), the same number at every place. For the central view the first two are the same;
# **expect** a corner view to differ. Pixel and channel means differ where something usually lies at the same place:
# **expect** a lot in Fashion-MNIST, where clothes are always in the middle.

# %%
side = view_side(images.shape[1])           # 7/8 of 28, rounded down: 24, as 224 is 7/8 of 256
down = (images.shape[1] - side) // 2
centre = mean_image(images, "centre", side)
central = central_views(images[:4], side, mean_image(images))
central_difference = np.abs(central - (images[:4, down:down + side, down:down + side]
                                       - m[down:down + side, down:down + side])).max()
corner = np.abs(m[:side, :side] - centre)
channel = np.abs(m - mean_image(images, "channel"))
print(f"central view: {central_difference:.0e}; "
      f"corner view with the central mean: {corner.mean():.1f} grey levels off on average; "
      f"pixel means from the channel's: {channel.mean():.1f}")

# %% [markdown]
# ## Why subtract it
#
# Take a single neuron. Its output is $y = \sum_i x_i w_i + b$, with a weight $w_i$ for each pixel $x_i$. Let it learn to
# tell shoes from other clothes: the target $t$ is 1 for a sandal, a sneaker or a boot and −1 for everything else. The loss
# of one image is $L = \frac12 (y - t)^2$. Its derivative is
#
# $$\frac{\partial L}{\partial w_i} = (y - t)\, \frac{\partial y}{\partial w_i} = (y - t)\, x_i ,$$
#
# and a step of *gradient descent* moves every weight against it, $w_i \leftarrow w_i - \varepsilon\, \partial L / \partial w_i$,
# with a small number ε. Raw pixels are not negative, so from one image *all* weights get gradients of one sign, that of
# $y - t$: all go up or all go down. Over a batch the gradients are averaged, and the signs can differ. We count how many of
# the weights that move (where the pixel is 0 none does) have the sign of the majority. The neuron has no bias; the targets'
# mean is subtracted instead, which is what a bias does where the inputs have mean 0. (Raw inputs would gain a little from
# one.) **Expect** all of them for one image with raw pixels, and about two thirds with the mean subtracted; and over
# batches of 128 no difference any more.

# %%
x = images.reshape(len(images), -1).astype(float)                           # (8000, 784)
targets = np.where(np.isin(labels, [5, 7, 9]), 1.0, -1.0)                   # Fashion-MNIST's shoes
targets -= targets.mean()
inputs = {"raw": x, "minus channel mean": x - mean_image(images, "channel").ravel(),
          "minus pixel mean": x - mean_image(images).ravel()}
agree = {}
for name, z in inputs.items():
    for count in (1, 128):                                                  # 60 batches of each
        gradients = np.array([-targets[first:first + count] @ z[first:first + count]
                              for first in range(0, 60 * count, count)])    # zero weights: y = 0
        up = (gradients > 0).sum(1) / (gradients != 0).sum(1)
        agree[name, count] = np.maximum(up, 1 - up).mean()
    print(f"{name:19} gradients of the majority's sign: "
          f"one image {agree[name, 1]:4.0%}, a batch of 128 {agree[name, 128]:4.0%}")

# %% [markdown]
# So the signs matter for single images. What is left in batches is speed. Suppose that all weights change a little in the
# same direction, by $\delta$ each. With raw pixels the output of *every* image moves by $\delta \sum_i x_i$, which is large and
# nearly the same for all images. With the mean subtracted $\sum_i x_i$ is sometimes positive, sometimes negative, and on
# average 0. So with raw pixels there is one direction in which the loss is very steep, and ε must be small enough for it.
# All other directions, those that tell shoes from shirts, have to learn with this small ε. Now measure it. Each way gets
# all 8,000 images in each step, zero weights at the start, and the best ε of a list. **Expect** the raw pixels to need the
# smallest ε, and the loss to fall faster the more of the mean is gone.

# %%
def descend(z, lr, steps=40):
    """The loss before each step of gradient descent, and after the last: (steps + 1,)."""
    w, losses = np.zeros(z.shape[1], np.float32), []
    for _ in range(steps + 1):
        error = z @ w - own                                                 # y − t of every image
        losses.append(0.5 * (error**2).mean())
        w -= np.float32(lr) * (error @ z / len(z))
    return np.array(losses)


rates, own = 1e-8 * 2.0 ** np.arange(9), targets.astype(np.float32)
with np.errstate(over="ignore", invalid="ignore"):                          # where ε is too large
    curves = {name: np.array([descend(z.astype(np.float32), lr) for lr in rates])   # (ε, step)
              for name, z in inputs.items()}
ends = {name: np.where(np.isfinite(curve[:, -1]), curve[:, -1], np.inf)
        for name, curve in curves.items()}
best = {name: end.argmin() for name, end in ends.items()}
for name in inputs:
    print(f"{name:19} best ε {rates[best[name]]:.1e}; loss after 40 steps {ends[name].min():.3f}")

# %% tags=["figure"]
figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.0))
for name in inputs:
    panels[0].plot(curves[name][best[name]], markevery=10, label=name)
    panels[1].semilogx(rates, np.minimum(ends[name], 2), label=name)
panels[0].set(xlabel="step", ylabel="loss", ylim=(0, 0.5), title="each at its best ε")
panels[1].set(xlabel="ε", ylabel="loss after 40 steps", ylim=(0, 1), title="all ε")
panels[0].legend()
show(figure, "**Figure 1.5.** One neuron learns to tell shoes from other clothes. Left: the loss, each way at its own best ε. Right: the loss after 40 steps for all ε; beyond an ε of its own each way "
             "diverges, and with raw pixels that happens first.")

# %% [markdown]
# That is one neuron. In a deep net each layer sees the outputs of the one before, and the paper's ReLUs (§ 3.1) put out no
# negative numbers, so there the problem is back; subtracting the mean of the *input* is a beginning. (LeCun, Bottou, Orr
# and Müller give this argument in "Efficient BackProp", 1998.)
#
# ## Why only the mean
#
# To divide each input by its standard deviation makes sense where inputs have different units. Pixels have one unit. For
# ImageNet, torchvision's documentation gives the standard deviations 0.229, 0.224 and 0.225 of red, green and blue, with
# pixels from 0 to 1: equal within 3 %. To divide by nearly one number is a change of scale: ε and the initial weights must
# follow (exercise 4), and nothing else changes. And per *pixel* it does harm where a pixel hardly ever changes. **Expect**
# that of the corners of Fashion-MNIST: a stray grey level becomes the loudest input of all.

# %%
deviation = images.std(axis=0)
divided = (images - m) / np.maximum(deviation, 1e-9)
quiet = np.unravel_index(np.abs(divided).max(axis=0).argmax(), deviation.shape)
print(f"pixels of Fashion-MNIST: standard deviations {deviation.min():.2f} … {deviation.max():.0f}")
print(f"after dividing, the largest input is {np.abs(divided).max():.0f}, "
      f"at pixel {tuple(map(int, quiet[:2]))}; "
      f"before, {np.abs(images - m).max() / images.std():.1f} standard deviations of all")

# %% [markdown]
# ## Exercises
#
# Solutions are folded. `python notebooks/build.py blank` makes the edition without them.
#
# **1.** Which share of a photograph is cut off? Give it for any width and height.

# %% tags=["solution"]
def lost_share(width, height):
    ### BEGIN SOLUTION
    return 1 - min(width, height) / max(width, height)
    ### END SOLUTION

# %% tags=["check"]
sizes = [(512, 512), (500, 375), (300, 400), (2400, 400)]
check(lambda: [lost_share(w, h) for w, h in sizes], [0, 1 / 4, 1 / 4, 5 / 6],
      [([1, 3 / 4, 3 / 4, 1 / 6], "that is the share that is kept"),
       ([0, 1 / 4, -1 / 3, 5 / 6], "a photograph can be higher than wide"),
       ([0, 7 / 16, 7 / 16, 35 / 36], "only the longer side is cut: 1/r, not 1/r²")])

# %% [markdown]
# **2.** A mean can be kept without a large sum: $m_n = m_{n-1} + (x_n - m_{n-1}) / n$, from $m_0 = 0$. Program it for images that come one after the other and
# only once: the same piece of memory holds each of them in turn, so there is no array of all images to call `mean` on.

# %% tags=["solution"]
def running_mean(images, shape):
    """images: an iterator over arrays of bytes of this shape."""
    mean = np.zeros(shape)
    ### BEGIN SOLUTION
    for n, image in enumerate(images, start=1):
        mean += (image - mean) / n
    return mean
    ### END SOLUTION

# %% tags=["check"]
def in_turn(images):
    memory = np.zeros_like(images[0])
    for image in images:
        memory[...] = image
        yield memory


samples = [rng.integers(0, 256, (50, 3, 4, 2), np.uint8), rng.integers(0, 256, (7, 2, 5, 1), np.uint8)]
check(lambda: np.concatenate([running_mean(in_turn(sample), sample.shape[1:]).ravel() for sample in samples]),
      np.concatenate([sample.mean(0).ravel() for sample in samples]),
      [(np.concatenate([sample.sum(0).ravel() for sample in samples]), "that is the sum"),
       (np.concatenate([sample[-1].ravel() for sample in samples]), "that is the last image: divided by 1 each time, or kept while its memory was used again?"),
       (np.zeros(34), "the mean is still zero")], tolerance=1e-9)

# %% [markdown]
# **3.** Subtracting the mean changes nothing that the net *could* compute. Some neurons with weights `W` (pixels, neurons) and biases `b` get
# $x - m$ and put out $(x - m)\, W + b$. Which biases $b'$ give the same outputs for the raw $x$?

# %% tags=["solution"]
def folded_bias(W, b, m):
    ### BEGIN SOLUTION
    return b - m @ W                    # (x − m) W + b = x W + (b − m W)
    ### END SOLUTION

# %% tags=["check"]
cases = [(rng.standard_normal((F, K)), rng.standard_normal(K), rng.uniform(0, 255, F)) for F, K in ((5, 3), (4, 2))]
check(lambda: np.concatenate([folded_bias(*case) for case in cases]), np.concatenate([b - m_ @ W for W, b, m_ in cases]),
      [(np.concatenate([b + m_ @ W for W, b, m_ in cases]), "the sign: multiply (x − m) W out"),
       (np.concatenate([-m_ @ W for W, b, m_ in cases]), "b is missing"), (np.concatenate([b for W, b, m_ in cases]), "that is the bias as it was: is m in it?")])

# %% [markdown]
# **4.** Now all inputs are divided by one number $c$, and the weights multiplied by $c$: the outputs are the same.
# Which ε' for the weights keeps them the same through all steps of plain gradient descent, if ε did before? (How does
# the gradient of the new weights differ? How far should they go?)

# %% tags=["solution"]
def new_rate(lr, c):
    ### BEGIN SOLUTION
    return lr * c**2                    # the gradient is divided by c, and the way to go multiplied by c
    ### END SOLUTION

# %% tags=["check"]
check(lambda: [new_rate(0.01, 10), new_rate(0.5, 0.1)], [1, 0.005],
      [([0.1, 0.05], "one c is for the gradient; the weights have to go c times as far as well"),
       ([0.0001, 50], "the other way round: smaller inputs make smaller gradients")])

# %% [markdown]
# ## Three questions
#
# To be answered without a computer.
#
# **1.** A photograph has 500×375 pixels. What does § 2 make of it, step by step, and which share of the picture is
# lost?
#
# <details><summary>Answer</summary>
#
# The shorter side is scaled from 375 to 256, so the longer one from 500 to 341. The central 256 columns of these 341
# stay. A quarter is lost: 1 − 375/500.
#
# </details>
#
# **2.** Does § 2 divide the pixels by their standard deviation? In which range are the numbers that the net gets?
#
# <details><summary>Answer</summary>
#
# No. Subtracting the training set's mean activity from each pixel is the only preprocessing that the paper names. With
# pixels from 0 to 255 the net gets numbers between −255 and 255, mostly within ±150. (The unit itself is not stated.)
#
# </details>
#
# **3.** A test image is darker than the training images on average. Should its own mean be subtracted instead of the
# training set's?
#
# <details><summary>Answer</summary>
#
# No. The net has learned with one constant image subtracted from every input, and its biases belong to that constant.
# Another mean for each image is another function of the image: it would remove the brightness, which the net was
# trained to see. (It would be allowed if training had done the same; the paper's did not.)
#
# </details>
#
# ## Summary
#
# A photograph is scaled until its shorter side has 256 pixels, and the central square is kept; a ratio of 3 : 2 loses a
# third. The filter that scales must weigh all old pixels near a new one, or false rings appear. The mean image is summed in
# `float64`, as sums in bytes or in `float32` go wrong without a warning. From a single image, all weights of a neuron get
# gradients of one sign; subtracting the mean ends that and, what matters more, allows a larger ε. Dividing by a standard
# deviation per channel only changes the scale, and dividing per pixel makes nearly constant pixels loud.
#
# Next: [02, A layer and its gradient](02_a_layer_and_its_gradient.ipynb), where the derivatives of a whole net come from.
#
# ## What this chapter claimed
#
# If this cell runs, the text is true on your machine.

# %% tags=["claims"]
assert all(square.shape == (256, 256, 3) for square in squares.values()) and lost["astronaut"] == 0 and 1 - 1 / 5 == 0.8
assert all(abs(lost[name] - 1 / 3) < 0.01 for name in ("chelsea", "coffee", "rocket")) and round(256 / 68, 1) == 3.8
assert abs(roundness[0] - 1) < 0.03 and abs(roundness[1] - 1.5) < 0.05
for picture in pictures.values():                                           # the paper's order: less than a new pixel elsewhere
    longer, shorter = max(picture.size), min(picture.size)
    scaled = round(longer * 256 / shorter)
    assert abs((scaled - 256) // 2 * longer / scaled - (longer - shorter) // 2) < shorter / 256
assert ghosts["triangle filter"] < 3 and ghosts["nearest four"] > 20 and ghosts["nearest pixel"] > 60
assert (decoded["grey"] == decoded["grey"][:, :, :1]).all() and (decoded["EXIF says: turn"] == decoded["plain JPEG"]).all()
assert np.abs(decoded["CMYK"] - decoded["plain JPEG"]).mean() < 3
assert np.abs(decoded["PNG called .JPEG"] - (squares["coffee"].astype(float) * 128 / 255 + 127)).max() < 4    # half of it, and half of white
assert reasons.keys() == {"truncated", "a web page", "empty"} and "truncated" in reasons["truncated"]
assert mean_difference < 1e-4
assert np.float32(2**28) + np.float32(250) == 2**28 + 256 and 2**28 < 250 * 1_200_000 < 2**29
assert central_difference < 1e-4 and corner.mean() > 5 and channel.mean() > 20
assert agree["raw", 1] == 1 and all(0.6 < agree[name, 1] < 0.75 for name in list(inputs)[1:])
assert np.ptp([agree[name, 128] for name in inputs]) < 0.05
least = [0.5 * np.mean((z @ np.linalg.lstsq(z.T @ z, z.T @ targets)[0] - targets)**2) for z in (x, np.c_[x, np.ones(len(x))])]
assert 1 < least[0] / least[1] < 1.1                                        # what a bias would gain with raw pixels
assert rates[best["raw"]] < rates[best["minus channel mean"]] <= rates[best["minus pixel mean"]]
assert ends["raw"].min() > 1.1 * ends["minus channel mean"].min() and ends["minus channel mean"].min() > 1.03 * ends["minus pixel mean"].min()
assert all(0 < best[name] < len(rates) - 1 for name in inputs)              # no best ε at an end of the list
assert 0.229 / 0.224 < 1.03 and deviation.min() < 3 and np.abs(divided).max() > 30 and np.abs(images - m).max() < 4 * images.std()
print("All of it holds.")
