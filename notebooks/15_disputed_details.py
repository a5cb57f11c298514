# %% [markdown]
# # 15 Disputed details
#
# **What the paper says.** Enough to understand the net, and not quite enough to build it: it is silent about the edge
# of a pooled map, the decay of biases or the scale of pixels, and in some places its text and the authors' program
# differ. That program was released by the Computer History Museum; the net whose logged errors equal the paper's is
# called #145 there. We call it *the 2012 code*. Two more nets of this name are passed around with their weights:
# Caffe's `bvlc_alexnet` and torchvision's `alexnet`.
#
# **The question.** Where do the four differ, and how much does each difference change what is computed before training?
#
# You need chapters [03](03_convolution.ipynb), [05](05_local_response_normalisation.ipynb) and
# [06](06_overlapping_pooling.ipynb). About one hour with the exercises. All chapters: [README](README.md).

# %%
import inspect

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown, display

import tools
from tools import check, photo, show
import data
from alexnet import AlexNet, summary
from imaging.pictures import EIGENVALUES, EIGENVECTORS
from interop.published import BVLC, BVLC_ONNX, TORCHVISION
from nn import SGD, Conv2d, LocalResponseNorm, MaxPool2d, ReLU, SpatialResponseNorm, initialise
from training import options as training_options

rng = np.random.default_rng(15)

# %% [markdown]
# ## The table
#
# Nineteen details, each with what the paper says and what the three programs do; the last row is the accuracy on
# ImageNet's validation images, as published. A dash: nothing is said, or there is no such thing. **Bold**: at least in
# part otherwise than the paper. In this project the paper's text is the default wherever there is one, with two
# exceptions: the initial values, and the input, where the text contradicts itself (224 pixels give 54 positions, its
# Figure 2 shows 55). The last column has the argument that gives another way. (`train.py --recipe paper`, `2012` or
# `caffe` sets a column's arguments all at once.)

# %% tags=["figure"]
WHO = ("paper", "2012 code", "Caffe", "torchvision")
DETAILS = {     # detail: (paper, 2012 code, Caffe, torchvision, argument here)
    "input, pixels": ("224", "224 + 3 zeros", "227", "224 + 2·2 zeros", "AlexNet(image=(227, 227, 3), stem=(11, 4, 0))"),
    "kernels": (*("96-256-384-384-256",) * 3, "64-192-384-256-256", "AlexNet(kernels=(64, 192, 384, 256, 256))"),
    "groups": ("2", "2", "2", "1", "AlexNet(towers=1, groups=1)"),
    "first stage": ("conv ReLU LRN pool", "conv LRN pool ReLU", "conv ReLU LRN pool", "conv ReLU pool",
                    "AlexNet(first_stages='conv norm pool relu, conv relu norm pool')"),
    "LRN: α applied": ("1e-4", "2e-5", "2e-5", "–", "AlexNet(lrn_alpha=2e-5)"),
    "LRN: k": ("2", "2", "1", "–", "AlexNet(lrn_k=1.0)"),
    "LRN: tower edge": ("–", "stops", "crosses", "–", "AlexNet(towers=1, lrn_across=True)"),
    "5×5 norm after LRN 2": ("no", "yes", "no", "no", "AlexNet(spatial_norm=True)"),
    "std of first W": (".01", ".01; conv3-5 .03", ".01; fc6-7 .005", "library default", "AlexNet(init='paper')"),
    "“bias 1” layers": ("1", "1", "0.1", "library default", "AlexNet(bias=0.1)"),
    "biases: ε; decay": ("ε; –", "2ε; none", "2ε; none", "ε; as W", "train.py --bias-rate 2"),
    "momentum": ("ε inside v", "ε inside v", "ε inside v", "ε outside v", "train.py --no-rate-inside"),
    "dropout": ("after; × ½ at test", "after; × ½ at test", "after; inverted", "before; inverted",
                "AlexNet(inverted_dropout=True, dropout_before=True)"),
    "pooling's edge": ("–", "ceil", "ceil", "floor", "AlexNet(pool_ceil=('pool1', 'pool2', 'pool5'))"),
    "ties": ("–", "all", "first", "first", "AlexNet(pool_ties='all')"),
    "mean": ("per pixel", "its centre, always", "per pixel", "per channel, and std", "train.py --mean centre"),
    "colour noise": ("λ", "√λ, then ÷ 1.1", "none", "none", "train.py --colour-factor deviation --colour-shrink"),
    "crop and mirror": ("per image", "per 32 images", "per image", "RandomResizedCrop", "train.py --images-per-crop 32"),
    "ε ÷ 10": ("3 times, by hand", "epochs 25, 51, 79", "every 100,000 steps", "every 30 epochs",
               "train.py --schedule steps --drop-at 25 51 79"),
    "top-1 / top-5, %": ("59.3 / 81.8, ten views", "59.34 / 81.79, ten views", "57.1 / 80.2, centre", "56.5 / 79.1, centre",
                         "evaluate.py errors")}
lines = ["| detail | " + " | ".join(WHO) + " | here: argument |", "|---" * 6 + "|"]
for detail, (*row, argument) in DETAILS.items():
    silent = ("–", "ε; as W", row[0])                        # where the paper says nothing, nothing is otherwise
    marked = [text if row[0] == "–" or text in silent or detail.startswith("top") else f"**{text}**" for text in row]
    lines.append(f"| {detail} | " + " | ".join(marked) + f" | `{argument}` |")
display(Markdown("\n".join(lines)))

# %% [markdown]
# No two columns are alike, and the paper's own program is not the paper's text. The rest of the chapter takes the
# details one by one, on five photographs and a net with its initial weights.

# %%
names = ("astronaut", "chelsea", "coffee", "hubble_deep_field", "rocket")
photos = np.stack([255 * photo(name, 224)[0] for name in names])
images = (photos - photos.mean((0, 1, 2))).astype(np.float32)               # (5, 224, 224, 3)
net = AlexNet(towers=1)
layers = net.towers[0]


def apart(a, b):
    """How far b is from a, in parts of a."""
    return float(np.linalg.norm(b - a) / np.linalg.norm(a))

# %% [markdown]
# ## The input: 224 or 227
#
# 224 pixels give the first layer 54 positions along a side, and Figure 2 of the paper shows 55
# ([03](03_convolution.ipynb)). Three readings give 55. **Expect** that the 2012 code's is the same as an image of 227
# pixels with three rows and columns of zeros (the mean) at its end; and that torchvision's looks at the image two
# pixels farther up and to the left.

# %%
def first(padding, x):
    layer = Conv2d(3, 96, 11, 4, padding)
    layer.params = layers["conv1"].params
    return layer.forward(x)[0]


at_end, none, around = (first(p, images) for p in ((0, 3), 0, (2, 2)))
as_227 = first(0, np.pad(images, ((0, 0), (0, 3), (0, 3), (0, 0))))
moved = first((0, 3), np.pad(images, ((0, 0), (2, 0), (2, 0), (0, 0)))[:, :224, :224])
print("positions:", none.shape[1], at_end.shape[1], as_227.shape[1], around.shape[1])
print(f"227 with zeros: {apart(at_end, as_227):.0e} apart; "
      f"two pixels on: {apart(around[:, :54, :54], moved[:, :54, :54]):.0e}")

# %% [markdown]
# The readings differ by a shift and by three rows and columns of zeros. Published weights must be used with the reading
# that they were trained with. (`stem=(11, 4, 2)` is torchvision's; `stem=(11, 4, 0)` is the literal one, with 54.)
#
# ## Kernels and groups
#
# `interop/published.py` has the options of the published nets. **Expect** 60,965,224 parameters for the first three,
# whatever the size of the image; torchvision's net, from a later paper (Krizhevsky 2014), has other widths, no
# groups, and by chance nearly as many: 61,100,840.

# %%
nets = {"paper": {}, "2012 code": dict(towers=1),
        "Caffe": BVLC.options, "its ONNX copy": BVLC_ONNX.options,
        "torchvision": TORCHVISION.options, "paper, groups=1": dict(towers=1, groups=1)}
counts, sides = {}, {}
for name, given in nets.items():
    side = 227 if name == "Caffe" else 224
    rows = summary(AlexNet(image=(side, side, 3), init=None, **given))
    counts[name] = [sum(row[i] for row in rows) for i in (4, 6)]
    sides[name] = [row.shape[0] for row in rows if row.name in ("conv1", "pool1", "pool2", "pool5")]
    print(f"{name:16} {counts[name][0]:,} parameters, "
          f"{counts[name][1]:13,} multiply-adds, sides {sides[name]}")

# %% [markdown]
# ## The order of the first stage
#
# The paper's order is conv, ReLU, LRN, pool; the 2012 code has conv, LRN, pool, ReLU. Is that the same? **ReLU and
# max pooling** may change places: $\rho(x) = \max(0, x)$ never decreases, so the largest of the $\rho(x)$ is $\rho$
# of the largest. **LRN and ReLU** may not. LRN keeps signs, so the same outputs are positive; but without the ReLU
# before it, *negative* responses have squares too, and hold their neighbours down. **LRN and pooling** may not
# either: the largest quotient need not be the quotient at the largest $x$. **Expect** exactly 0, then small numbers,
# because α is small. (In the 2012 code this is the order of the first stage alone. The second is conv, ReLU, LRN, the 5×5 norm
# below, pool.)

# %%
c = first((0, 3), images)
relu, norm, pool = ReLU(), LocalResponseNorm(), MaxPool2d()


def chain(x, *stages):
    for stage in stages:
        x = stage.forward(x)[0]
    return x


order = {"ReLU, pool": apart(chain(c, relu, pool), chain(c, pool, relu)),
         "ReLU, LRN": apart(chain(c, relu, norm), chain(c, norm, relu)),
         "LRN, pool (after ReLU)": apart(chain(c, relu, norm, pool), chain(c, relu, pool, norm)),
         "the paper's stage and the 2012 code's": apart(chain(c, relu, norm, pool),
                                                        chain(c, norm, pool, relu))}
same_signs = np.array_equal(chain(c, norm, relu) > 0, chain(c, relu, norm) > 0)
for what, difference in order.items():
    print(f"{what:38} exchanged: {difference:.2%} apart")

# %% [markdown]
# ## Normalisation: α, k, the edge, one layer more
#
# The constants of § 3.3 and what the others make of them ([05](05_local_response_normalisation.ipynb)): α divided by
# the five maps of a window in the 2012 code and in Caffe, $k = 1$ in Caffe. What is a response divided by, $d^\beta$?
# **Expect** Caffe's to be lower by a factor of about $2^{0.75} = 1.68$, and the others hardly to differ (initial values).

# %%
a1 = relu.forward(c)[0]
divisors = {}
for who, alpha, k in (("paper", 1e-4, 2.0), ("2012 code", 1e-4 / 5, 2.0), ("Caffe", 1e-4 / 5, 1.0)):
    d = LocalResponseNorm(alpha=alpha, k=k).forward(a1)[1][1] ** 0.75
    divisors[who] = d.mean()
    print(f"{who:10} α = {alpha:.0e}, k = {k:g}: divided by {d.mean():.3f} in the mean, "
          f"by {d.max():.2f} at most")

# %% [markdown]
# A constant factor can be undone by the next layer's weights, but *initial* weights do not know that, nor does the
# decay. torchvision's net has no LRN; PyTorch's layer of that name divides its α as Caffe does.
#
# Does the window reach from one tower's maps into the other's? The paper does not settle it: § 3.3 counts $N$ over
# all kernels of the layer, which, taken literally, crosses; § 3.2 lets the GPUs communicate only in certain layers,
# and names no normalisation among them. The 2012 code cannot cross, Caffe does. In this project the window stops at the
# tower's edge. Four maps of 96 are affected, two on either side ([05](05_local_response_normalisation.ipynb)).
#
# And the 2012 code normalises the second layer once more, over 5×5 *pixels* of the same map. The paper does not
# mention it; `nn/spatial_norm.py` has it. The definition of its layer says α = 0.001, which the program divides by the
# 25 pixels, and β = 0.75; $k$ is 1. **Expect** outputs close to the inputs, and less so for an undivided α.

# %%
x = chain(a1, *(layers[name] for name in ("norm1", "pool1", "conv2", "relu2", "norm2")))
extra = {alpha: apart(x, SpatialResponseNorm(5, alpha).forward(x)[0])
         for alpha in (1e-3 / 25, 1e-3)}
for alpha, difference in extra.items():
    print(f"α = {alpha:.0e}: {difference:.2%} from its input")

# %% [markdown]
# ## Initial values
#
# The standard deviation of the weights is 0.01 in the paper (§ 5). In the 2012 code it is 0.03 in conv3 to conv5, in
# Caffe 0.005 in fc6 and fc7. PyTorch draws from a uniform distribution up to $1/\sqrt n$ for $n$ inputs, whose standard
# deviation is $1/\sqrt{3n}$.
#
# To learn, the net must tell images apart. Take each layer's output (before the ReLU) for our five photographs. A unit's
# *spread* is the standard deviation over the images, its *level* the root mean square. Their quotient, with the sums of
# squares over all units of a layer, is 1 if the mean over the images is zero, and 0 if all images give the same. A bias of
# 1 that is not matched by responses of that size makes them alike. (Figure 11.3 has the spread alone, for the paper's
# values and the 2012 code's; here Caffe's and another scale of pixels join them.) **Expect** the quotient to fall from
# the first layer to the last, further for the paper's values than for the others, and furthest for the paper's with
# pixels from 0 to 1, where the bias is nearly all that conv2 puts out.

# %%
def spreads(x):
    """{layer: spread / level of its output} for images x."""
    found = {}
    for name, layer in layers.items():
        if not name.startswith(("exchange", "drop")):
            x = layer.forward(x, train=False)[0]
        if layer.params:
            found[name] = float(np.sqrt(((x - x.mean(0)) ** 2).sum() / (x**2).sum()))
    return found


spread = {"2012 code": spreads(images)}
initialise(net, "paper", bias=1.0)
spread["paper"], spread["paper, pixels 0 … 1"] = spreads(images), spreads(images / np.float32(255))
initialise(net, "paper", bias=0.1)
for name in ("fc6", "fc7"):
    layers[name].params["W"] *= np.float32(0.5)                             # 0.005
spread["Caffe"] = spreads(images)

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(7.2, 3))
for who, found in spread.items():
    axes.plot(list(found), list(found.values()), label=who)
axes.set(yscale="log", ylabel="spread / level over five photographs", xlabel="layer")
axes.legend(loc="lower left")
show(figure, "**Figure 15.1.** How well the outputs of each layer tell five photographs apart, at initial values (one draw). 1: no "
             "constant part; 0.01: what changes from image to image is a hundredth of the whole.")

# %% [markdown]
# This is about the first step, not about training. Chapter [11](11_learning.ipynb) has what training did in a probe of
# this project: with ε = 0.01 neither the printed values nor the 2012 code's learned anything that lasted; with ε = 0.001
# the latter did. So the project's default is the 2012 code's values, and ε must fit the data. Caffe's authors changed the
# bias of 1 to 0.1 for a like reason: with 1 their loss stayed flat.
#
# ## Biases
#
# In the 2012 code and in Caffe biases learn with 2ε and do not decay. The paper has one ε for all layers and does not
# say whether biases decay; PyTorch's programs usually let them. What would decay do? Take a bias of 1 without any
# gradient, under the rule of § 5, $v \leftarrow 0.9 v - 0.0005\,\varepsilon\,w$ and $w \leftarrow w + v$. Each step takes
# $0.0005\,\varepsilon / (1 - 0.9)$ of it away in the end: after an epoch of 9,375 steps at ε = 0.01, 63 % is left.
#
# ## Momentum and dropout
#
# § 5 has ε inside the velocity, PyTorch has it outside. As long as ε stays the same, the two rules are the same; when it
# drops, the first goes on with the old speed for a while ([11](11_learning.ipynb) compares them).
#
# The paper halves all outputs at test time; Caffe and PyTorch double the kept ones in training instead. With the
# weights *behind* each dropout halved, the second kind computes what the first does, in training and at test time
# ([10](10_dropout.ipynb)). So they differ in what initial weights and ε mean, not in what a net can be. The *place* is
# another matter: torchvision drops the 9,216 inputs of fc6 and the 4,096 of fc7, and nothing before the last layer. At
# test time inverted dropout does nothing wherever it stands, so published weights predict the same.
#
# ## The edge of a pooled map, and ties
#
# If pixels are left over, the 2012 code and Caffe add a smaller window (ceil), torchvision leaves them out (floor); with
# the paper's sizes nothing is left over. **Expect** no difference for 55, 27, 13, and one for each of 54, 26 and
# 12: the maps of a copy of Caffe's net in the ONNX Model Zoo, which takes 224 pixels without padding. That copy
# leaves the rest out in its first two poolings and adds a smaller window only in the third, pool5.

# %%
floor, ceil = MaxPool2d(3, 2), MaxPool2d(3, 2, ceil=True)
ceil_matters = [side for side in (55, 27, 13, 54, 26, 12)
                if floor.output_shape((side, side, 1)) != ceil.output_shape((side, side, 1))]
print(f"ceil makes a difference for {ceil_matters}, ONNX copy: {BVLC_ONNX.options['pool_ceil']}")

# %% [markdown]
# With equal maxima in a window, the 2012 code gives the gradient to every one of them
# ([06](06_overlapping_pooling.ipynb)). **Expect** ties to be common in the bytes of a photograph; and in the net
# almost only where nothing is positive, where the ReLU stops the gradient anyway.

# %%
tied = {}
for what, maps in (("bytes of a photograph", photos[:1].round()),
                   ("norm1 of the net", chain(a1, layers["norm1"]))):
    places = np.stack(MaxPool2d(3, 2).places(maps))
    ties = (places == places.max(0)).sum(0) > 1
    tied[what] = [float(part.mean()) for part in (ties, ties & (places.max(0) > 0))]
    print(f"{what:22}: {tied[what][0]:.1%} of the windows tied, "
          f"{tied[what][1]:.2%} at a positive maximum")

# %% [markdown]
# ## The mean
#
# Each pixel of the crop less the mean of *that* pixel (the paper; Caffe); less the centre of the mean image, wherever
# the crop lies (2012 code); less one number per channel, then divided by a standard deviation (torchvision). Chapter
# [01](01_images.ipynb) compares what the three leave. The division, by about 57 grey levels, makes responses smaller by that
# factor, and a bias of 1 so much larger beside them; `--scale` is the argument for it.
#
# ## Colour noise
#
# § 4.1 adds $\alpha_i \lambda_i p_i$ with $\alpha_i \sim N(0, 0.1)$, where $\lambda_i$ is an eigenvalue of the
# covariance of RGB values: a *squared* quantity. The 2012 code uses $\sqrt{\lambda_i}$, a standard deviation. On 4,500
# photographs that changes the brightness by 6.4 grey levels; the printed formula changes it by 2.8 with pixels from 0 to
# 1, and by 714 with pixels from 0 to 255, which leaves nothing of the image ([09](09_data_augmentation.ipynb)). So the
# printed formula is the default here, with pixels from 0 to 1. The 2012 code also divides all pixels by 1.1 = 1 + 0.1 in
# training, while there is colour noise. (The noise itself makes the standard deviation only $\sqrt{1 + 0.1^2} = 1.005$
# times as large, so training images are then about 9 % smaller than test images.)
#
# ## Crop and mirror
#
# The paper draws a crop for each image. The 2012 code draws one for 32 images together. In a batch of 128 these are
# four draws instead of 128, and the *mean* offset of a batch wanders: its variance is that of one draw divided by 4,
# not by 128. torchvision's `RandomResizedCrop` takes 8 to 100 % of the area (here: of a square image), in proportions
# from 3:4 to 4:3, and scales that to 224. **Expect** a factor of 32, and less area than the paper's crop, which has 77 %.

# %%
per_image = rng.integers(0, 32, (4000, 128)).mean(1).var()
per_32 = rng.integers(0, 32, (4000, 4)).mean(1).var()
area, wide = rng.uniform(0.08, 1, 4000), np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3), 4000))
fits = (area * wide <= 1) & (area / wide <= 1)                              # others are drawn again
print(f"variance of a batch's mean offset: {per_32:.1f} against {per_image:.2f}, "
      f"{per_32 / per_image:.0f} times")
print(f"area: the paper's {(224 / 256)**2:.1%} always; "
      f"RandomResizedCrop's median {np.median(area[fits]):.0%}")

# %% [markdown]
# ## Schedules
#
# The paper divides ε by ten when the validation error stops improving, three times, by hand; when, it does not say.
# The 2012 code did it at epochs 25, 51 and 79, switched the colour noise off at 67, froze conv1 at 72 and stopped at 91.
# torchvision divides at 30 and 60 of 90 epochs. Caffe divides every 100,000 of its 450,000 steps of 256 images: with
# the 1,281,167 images of ILSVRC-2012 that is every 20 epochs, and the end is at the paper's "roughly 90".
#
# ## Does it show in the accuracy?
#
# The published accuracies of the table are for ten views in the first two columns and for the central one in the
# others. A footnote of § 6 says what ten views are worth on the test images of 2010: 37.5 and 17.0 % error instead of
# 39.0 and 18.3 %. We take that off, which is rough: other images, another net. **Expect** all within two points then.

# %%
central = {"2012 code": (59.3 - (39.0 - 37.5), 81.8 - (18.3 - 17.0)),
           "Caffe": (57.1, 80.2), "torchvision": (56.5, 79.1)}
for who, (top1, top5) in central.items():
    print(f"{who:12} about {top1:.1f} / {top5:.1f} % with the central view")

# %% [markdown]
# Three programs, one of them with other widths, end close together. (The paper's accuracy is that of the 2012 code:
# no run of the text as printed is among them.) None of their differences decides whether the net works, once initial
# values, pixels and ε suit each other. That does not show that any single one is worth nothing: these are whole programs.
# What each of the *paper's* parts is worth to a small net is the subject of chapter [14](14_what_matters.ipynb).
#
# ## Exercises
#
# Solutions are folded. `python notebooks/build.py blank` makes the edition without them.
#
# **1.** PyTorch's `LocalResponseNorm(size, alpha, beta, k)` divides its `alpha` by `size`. You want the paper's formula
# with its α. Which `alpha` do you give to PyTorch's layer?

# %% tags=["solution"]
def pytorch_alpha(alpha, size):
    ### BEGIN SOLUTION
    return alpha * size
    ### END SOLUTION

# %% tags=["check"]
cases = [(1e-4, 5), (0.02, 3)]
check(lambda: [pytorch_alpha(*case) for case in cases], [5e-4, 0.06],
      [([1e-4, 0.02], "that would be divided by the size"), ([2e-5, 0.02 / 3], "the other way round: it divides, so give it more")])

# %% [markdown]
# **2.** Which may change places with max pooling: $\max(0, x)$, $\tanh x$, $x^2$, $-x$, $\min(x, 6)$? Five times 1 (may) or 0.

# %% tags=["solution"]
may = [..., ..., ..., ..., ...]
### BEGIN SOLUTION
may = [1, 1, 0, 0, 1]                   # those that never decrease
### END SOLUTION

# %% tags=["check"]
check(lambda: may, [1, 1, 0, 0, 1], [([1, 1, 1, 0, 1], "the largest square may be that of the smallest number"),
                                     ([1, 1, 0, 0, 0], "min(x, 6) never decreases"), ([1, 0, 0, 0, 1], "tanh never decreases"),
                                     ([1, 0, 0, 0, 0], "what matters is that a function never decreases, not that it is ReLU")])

# %% [markdown]
# **3.** You have weights that were trained with inverted dropout of some rate after fc6 and fc7, and a program with the
# paper's form. By what must fc6.W, fc7.W and fc8.W be multiplied?

# %% tags=["solution"]
def factors(rate):
    ### BEGIN SOLUTION
    return 1, 1 / (1 - rate), 1 / (1 - rate)        # the paper's program multiplies what comes into fc7 and fc8 by 1 − rate
    ### END SOLUTION

# %% tags=["check"]
rates = 0.5, 0.2
check(lambda: [factors(r) for r in rates], [[1, 1 / (1 - r), 1 / (1 - r)] for r in rates],
      [([[1, 1 - r, 1 - r] for r in rates], "the other way round"), ([[1 / (1 - r), 1 / (1 - r), 1] for r in rates], "the weights behind a dropout, not before it"),
       ([[1, 1 / (1 - r), 1 / (1 - r) ** 2] for r in rates], "each layer undoes the factor of its own input only"), ([[1, 2, 2] for r in rates], "right for a rate of ½ alone")])

# %% [markdown]
# ## Three questions
#
# To be answered without a computer.
#
# **1.** A net was trained with $k = 2$, and runs in a program that has $k = 1$. What becomes of small responses, where
# $\alpha \sum a^2$ is much smaller than $k$, and of large ones?
#
# <details><summary>Answer</summary>
#
# Small ones become 2^0.75 = 1.68 times as large, as they are divided by k^β alone. Large ones hardly change, as k hardly
# counts beside the sum.
#
# </details>
#
# **2.** All pixels are multiplied by 255. By what does the printed colour shift grow, and by what the image?
#
# <details><summary>Answer</summary>
#
# The eigenvalues grow by 255² = 65,025, and so does the shift; the image grows by 255. So the formula means something
# else in every unit.
#
# </details>
#
# **3.** ReLU and max pooling may change places. Which order is cheaper?
#
# <details><summary>Answer</summary>
#
# Pooling first. A pooling with stride 2 leaves about a quarter of the numbers, so the ReLU has a quarter of the work.
# The 2012 code has this order in its first stage.
#
# </details>
#
# ## Summary
#
# The paper's text, the authors' program, Caffe's net and torchvision's net differ in up to nineteen details, and no two agree.
# Some differences are none: ReLU and pooling may change places, and the two forms of dropout compute the same. Some
# only shift a constant, such as $k$ and α of the normalisation. Some decide whether the net starts to learn at all:
# initial values, the scale of the pixels, biases and ε must fit each other. The accuracies, brought to one view as well as
# one can, lie within two points all the same.
#
# Next: [16, Bug hunt](16_bug_hunt.ipynb), ten wrong layers and the tests that find them.
#
# ## What this chapter claimed
#
# If this cell runs, the text is true on your machine.

# %% tags=["claims"]
def default(function, name):
    return inspect.signature(function).parameters[name].default


options = vars(training_options.make_parser().parse_args([]))               # train.py's
assert len(DETAILS) == 20 and len(set(list(zip(*DETAILS.values()))[:4])) == 4
for *_, how in DETAILS.values():                                            # every argument named is one
    if how.startswith("AlexNet(") and "init=" not in how:
        eval(how[:-1] + ", init=None)")
    if how.startswith("train.py"):
        training_options.make_parser().parse_args(how.split()[1:])
assert [default(AlexNet, name) for name in ("image", "stem", "kernels", "groups", "lrn", "pool", "towers")] == [
    (224, 224, 3), (11, 4, (0, 3)), (96, 256, 384, 384, 256), 2, True, 3, 2]
assert [default(AlexNet, name) for name in ("lrn_alpha", "lrn_k", "lrn_across", "spatial_norm", "init", "bias", "inverted_dropout", "dropout", "pool_ceil")] == [
    1e-4, 2.0, False, False, "2012", 1.0, False, 0.5, ()] and default(MaxPool2d, "ceil") is False
assert default(SpatialResponseNorm, "alpha") == 1e-3 / 25 and options["mean"] == "pixel" == default(data.mean_image, "kind")
assert (default(SGD, "bias_decay"), default(SGD, "bias_rate"), options["bias_decay"], options["bias_rate"]) == (0.0, 1.0, 0.0, 1.0)
assert options["colour_factor"] == "eigenvalue" == default(data.colour_noise, "factor") and default(data.colour_noise, "sigma") == 0.1
assert training_options.MODEL_DEFAULTS["alexnet"]["schedule"] == "plateau"
shifts = [0.1 * np.sqrt(((EIGENVECTORS.mean(0) * s) ** 2).sum()) for s in (EIGENVALUES ** 0.5, EIGENVALUES / 255, EIGENVALUES)]
assert [round(shift, 1) for shift in shifts[:2]] == [6.4, 2.8] and round(shifts[2]) == 714 and round(1 / 1.1, 2) == 0.91
assert none.shape[1] == 54 and at_end.shape[1] == as_227.shape[1] == around.shape[1] == 55
assert apart(at_end, as_227) < 1e-5 and apart(around[:, :54, :54], moved[:, :54, :54]) < 1e-5
assert [counts[name][0] for name in nets] == [60_965_224] * 4 + [61_100_840, 62_378_344] and sides["its ONNX copy"] == [54, 26, 12, 6]
assert order["ReLU, pool"] == 0 and same_signs and all(0 < difference < 0.2 for difference in list(order.values())[1:])
assert abs(divisors["2012 code"] / divisors["Caffe"] - 2**0.75) < 0.05 and abs(divisors["paper"] / divisors["2012 code"] - 1) < 0.1
assert 0 < extra[1e-3 / 25] < extra[1e-3] < 0.5
assert all(found["conv1"] > 5 * found["fc8"] for found in spread.values()) and spread["paper, pixels 0 … 1"]["conv2"] < 0.02
assert spread["paper, pixels 0 … 1"]["fc8"] < spread["paper"]["fc8"] < min(spread["2012 code"]["fc8"], spread["Caffe"]["fc8"])
decayed, v = 1.0, 0.0
for _ in range(9375):
    v = 0.9 * v - 0.0005 * 0.01 * decayed
    decayed += v
assert abs(decayed - 0.63) < 0.005 and abs(np.exp(-0.0005 * 0.01 / (1 - 0.9) * 9375) - decayed) < 0.005
assert layers["fc6"].params["W"].shape[0] == 9216 and layers["fc7"].params["W"].shape[0] == 4096
assert ceil_matters == [54, 26, 12] and sides["paper"] == [55, 27, 13, 6]
assert tied["bytes of a photograph"][1] > 0.05 and tied["norm1 of the net"][0] > 0.1 and tied["norm1 of the net"][1] < 0.02
assert all(54 < 1 / scale < 60 for scale in TORCHVISION.scale)
assert 20 < per_32 / per_image < 45 and round(100 * (224 / 256) ** 2) == 77 and np.median(area[fits]) < 0.6
assert [round(n * 100_000 * 256 / 1_281_167) for n in (1, 2, 3, 4, 4.5)] == [20, 40, 60, 80, 90]
for accuracies in zip(*central.values()):
    assert max(accuracies) - min(accuracies) < 2
print("All of it holds.")
