"""The options of train.py, the default of each, and where the default comes from."""

import argparse
import math
from pathlib import Path

import data
from alexnet import MODELS
from training.errors import UserError, expect
from training.recipes import RECIPES
from training.run import read_options_of

IMAGES = 270_000            # seen in a run of the small net, whatever the size of the data: found by trying

DEFAULTS = dict(
    data="fashion-mnist",   # 10,000 images come with the project; the paper: ImageNet (§ 2)
    holdout=0.1,            # a convention; the paper: 0, it validates on ImageNet's validation set (§ 5)
    lazy=False,
    model="small",          # trains on a laptop; the paper: alexnet (§ 3.5)
    momentum=0.9,           # § 5
    weight_decay=0.0005,    # § 5
    bias_decay=0.0,         # § 5 does not say; the 2012 code: 0
    bias_rate=1.0,          # § 5: "an equal learning rate for all layers"; the 2012 code: 2
    rate_inside=True,       # § 5
    freeze_from=0,          # not in the paper
    patience=3,             # § 5: adjusted "manually", by eye
    mean="pixel",           # § 2: "the mean activity over the training set from each pixel"
    augment=True,           # § 4.1
    colour_factor="eigenvalue",     # § 4.1: p λ; the 2012 code: √λ
    colour_shrink=False,    # not in the paper; the 2012 code: by 1.1
    images_per_crop=1,      # § 4.1: 2048 views of each image; the 2012 code: 32
    cutout=0,               # not in the paper
    seed=0,
    workers=2,              # § 4.1: images are made on the CPU while the GPU trains on the batch before
    plain=False,
    model_parallel=False,
    wait=600.0,             # seconds
    warm_up=0.0,            # not in the paper, nor --lr-batch
    convolution="winograd",     # not in the paper: 0.57 of a step's time (docs/speed.md)
    device="cpu",           # the paper: cuda, two GPUs (§ 3.2)
    tf32=False,             # the paper's cards had float32 alone
    profile=0,
    save_every=300)         # seconds

MODEL_DEFAULTS = {
    "alexnet": dict(
        epochs=90,          # § 5: "roughly 90 cycles"
        batch_size=128,     # § 5
        lr=0.01,            # § 5
        schedule="plateau",     # § 5: ε ÷ 10 "when the validation error rate stopped improving"
        size=256,           # § 2
        scale=1.0,          # § 2: "the (centered) raw RGB values"
        colour=0.1),        # § 4.1
    "small": dict(          # all of these: found by trying, on the images that come with the project
        epochs=None,        # as many as make IMAGES images
        batch_size=64, lr=0.02, schedule="steps", size=32, scale=0.01),
    "figure1": dict(        # § 3.1 states none: found by trying
        epochs=30, batch_size=128, lr=0.02, schedule="plateau", size=32, scale=0.004)}

MAY_CHANGE = {"data", "epochs", "threads", "workers", "device", "tf32", "plain", "convolution", "profile", "save_every",
              "model_parallel", "wait"}         # on resume
# Of the net's architecture, passed on to alexnet.py where they are given.
ALTERNATIVES = ("towers", "one_gpu", "without", "activation", "first_stages", "lrn", "lrn_alpha", "lrn_k", "lrn_across",
                "spatial_norm", "pool", "pool_ties", "dropout", "inverted_dropout", "dropout_before")
INITIAL = ("init", "bias")              # of its initial values


def make_parser(description=None, kind=argparse.ArgumentParser):
    parser = kind(prog="train.py", description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    yes_or_no = argparse.BooleanOptionalAction

    add = parser.add_argument_group("the run").add_argument
    add("--data", help="fashion-mnist (default), cifar10, an .npz file, a folder that data.py has prepared (ImageNet, § "
        "2), one with train/CLASS/* and val/CLASS/*, or one with CLASS/* alone; may change on resume, if it is the same data")
    add("--holdout", type=float, help="share of every training class to validate on (default: 0.1); 0: validate on the "
        "test images, as the paper did on ImageNet's validation set (§ 5)")
    add("--lazy", action=yes_or_no, help="decode a folder's images each time they are used, instead of once into "
        "memory")
    add("--model", choices=MODELS, help="alexnet (§ 3.5, Figure 2), small (the same for images of 28 to 64 pixels; "
        "default) or figure1 (§ 3.1, four layers)")
    add("--recipe", metavar="NAME", help="the options of paper (the text as printed), 2012 (the authors' program) or caffe "
        "(bvlc_alexnet), as training/recipes.py lists them, with --model alexnet; options typed beside it override it")
    add("--weights", metavar="RUN_OR_WEIGHTS", help="start from these, a run's folder or a file of published weights (see "
        "evaluate.py): what fits is kept, a new last layer is drawn where the classes differ; the net, --size, --view, --scale "
        "and --mean are then those of the weights")
    add("--epochs", type=int, help="passes through the training set, at most (§ 5: about 90; small: as many as make "
        f"{IMAGES:,} images)")
    add("--batch-size", type=int, help="images per step (§ 5: 128; small: 64)")
    add("--lr", type=float, help="initial learning rate ε, the same for all layers (§ 5: 0.01, default for alexnet; "
        "others: 0.02)")
    add("--momentum", type=float, help="(§ 5: 0.9)")
    add("--weight-decay", type=float, help="decay of weights (§ 5: 0.0005)")
    add("--bias-decay", type=float, help="decay of biases (§ 5 does not say; the 2012 code: 0)")
    add("--bias-rate", type=float, help="learning rate of biases in multiples of ε (§ 5: 1; the 2012 code: 2)")
    add("--rate-inside", action=yes_or_no, help="ε inside the velocity (§ 5, default), or outside, as in PyTorch, which "
        "differs after a change of ε")
    add("--freeze", nargs="*", metavar="LAYER", help="layers that are not trained, such as conv1: they keep their weights "
        "and biases (default: none)")
    add("--freeze-from", type=int, metavar="EPOCH", help="after how many epochs --freeze begins (default 0: at the start; "
        "the 2012 code froze conv1 after 72)")
    add("--schedule", choices=("plateau", "steps", "constant"), help="plateau: ε ÷ 10 when the validation error stops "
        "improving, three times, then stop (§ 5, default); steps: ε ÷ 10 at --drop-at (default for small)")
    add("--lr-batch", type=int, metavar="IMAGES", help="the batch that --lr is for: with another --batch-size, ε is multiplied by "
        "their ratio (Goyal et al. 2017; not in the paper; default: ε as it is)")
    add("--warm-up", type=float, metavar="EPOCHS", help="with --lr-batch: ε rises evenly from --lr to its multiple over these "
        "first epochs (Goyal et al. 2017: 5; default: 0)")
    add("--patience", type=int, help="epochs without a new best after which the error has 'stopped improving' (§ 5: by "
        "eye; default: 3)")
    add("--drop-at", type=int, nargs="+", metavar="EPOCH", help="with --schedule steps: after how many epochs (the 2012 "
        "code: 25 51 79 of 91; default: at 60 and 87 %% of --epochs)")
    add("--size", type=int, help="images are scaled and cropped to this side (§ 2: 256; small: 32)")
    add("--view", type=int, metavar="PIXELS", help="side of the crops that the net sees (§ 4.1: 224, Caffe 227; default: 7/8 "
        "of the images' side)")
    add("--scale", type=numbers, metavar="FACTOR", help="factor applied to the pixels, 0 to 255 minus the mean (§ 2: 1; "
        "small: 0.01), or three, of red, green and blue: 0.0171,0.0175,0.0174")
    add("--mean", choices=(*data.MEANS, "weights"), help="what is subtracted: pixel, the mean image where the crop lies (§ 2, "
        "default); centre, its centre wherever the crop lies (the 2012 code); channel, one mean per channel; weights, that of "
        "--weights")
    add("--augment", action=yes_or_no, help="random crops, mirror images, colour noise (§ 4.1; default: yes)")
    add("--colour", type=float, metavar="SIGMA", help="standard deviation of the colour noise along the principal "
        "components of RGB (§ 4.1: 0.1, default for alexnet; others 0: none)")
    add("--colour-factor", choices=data.FACTORS, help="factor of the colour noise: λ, of pixels from 0 to 1 (§ 4.1, "
        "default), or √λ (the 2012 code, 2.3 times as strong)")
    add("--colour-until", type=int, metavar="EPOCH", help="after how many epochs the colour noise ends (the 2012 code: 67; "
        "default: never)")
    add("--colour-shrink", action=yes_or_no, help="images with colour noise are divided by 1 + SIGMA, in training alone (the "
        "2012 code: by 1.1; default: no)")
    add("--images-per-crop", type=int, metavar="N", help="how many images in a row of a batch share a draw of crop and mirror "
        "(§ 4.1: 1, default; the 2012 code: 32)")
    add("--cutout", type=int, metavar="PIXELS", help="side of a block that is erased from every view (not in the paper; "
        "default 0: none)")
    add("--seed", type=int, help="every random draw follows from it (default: 0)")
    add("--threads", type=int, help="CPU threads (default: one per core)")
    add("--workers", type=int, help="threads that make the next batches while the net computes (§ 4.1; default: 2); 0: "
        "none, each batch is made when it is needed")
    add("--plain", action=yes_or_no, help="run the layers as nn/ has them, without their faster forms and without "
        "threads: several times slower, easier to step through in a debugger; the same losses within rounding")
    add("--convolution", choices=("winograd", "direct"), help="on the CPU: winograd (default), with fewer multiplications, "
        "differs from the exact sum by up to 3e-5 of the largest output (float32); direct, by 1e-6")
    add("--device", help="cpu (default); cuda: two GPUs, one per tower (§ 3.2), where there are two, else one; cuda:1: "
        "that one; cuda:0,cuda:1: these")
    add("--tf32", action=yes_or_no, help="on GPUs: products on the tensor cores, whose factors have 11 significant bits instead of "
        "24: faster, and off by up to 0.2 %% of the sum of magnitudes (default: no)")
    add("--model-parallel", action=yes_or_no, help="under mpiexec: a tower per process, on the paper's two GPUs or two machines "
        "(§ 3.2); an even number of processes is that many pairs, which share every batch")
    add("--wait", type=float, metavar="SECONDS", help="under mpiexec: the time after which a process that does not answer is "
        "given up (default: 600)")
    add("--profile", type=int, metavar="N", help="after three steps to warm up, print for N steps the time of every "
        "stage on each device, the bytes copied between devices, and the memory")
    add("--save-every", type=float, metavar="SECONDS", help="time between checkpoints within an epoch (default: 300)")
    add("--out", metavar="NAME", help="name of the run's folder in runs/ (default: MODEL-DATA), or a path from /")
    add("--resume", metavar="RUN", help="continue the run in this folder")

    add = parser.add_argument_group("the net's alternatives (default: the paper's; see AlexNet in alexnet.py)"
                                    ).add_argument
    add("--towers", type=int, help="2: one per GPU (§ 3.2); 1: the same net in one, grouped")
    add("--one-gpu", action=yes_or_no, help="one tower, half the kernels, no groups: the net that § 3.2 compares with")
    add("--without", metavar="LAYER", help="leave out conv2, conv3, conv4 or conv5 (§ 1, § 7)")
    add("--activation", help="relu or tanh (§ 3.1)")
    add("--first-stages", metavar="ORDER", help="layers of stages 1 and 2 in order (§ 3.5: 'conv relu norm pool'; the 2012 "
        "code: 'conv norm pool relu, conv relu norm pool'; CaffeNet: 'conv relu pool norm')")
    add("--lrn", action=yes_or_no, help="local response normalisation (§ 3.3)")
    add("--lrn-alpha", type=float, help="its α (§ 3.3: 1e-4; the 2012 code and Caffe: 2e-5)")
    add("--lrn-k", type=float, help="its k (§ 3.3: 2; Caffe: 1)")
    add("--lrn-across", action=yes_or_no, help="with --towers 1: its windows cross from one group to the other (Caffe)")
    add("--spatial-norm", action=yes_or_no, help="one more normalisation after the second, over 5×5 pixels of a map (the "
        "2012 code)")
    add("--pool", type=int, help="3: overlapping pooling, 2: not (§ 3.4)")
    add("--pool-ties", help="which of equal maxima in a window gets the gradient: first (Caffe; default) or all (the 2012 "
        "code)")
    add("--dropout", type=float, help="dropout rate (§ 4.2: 0.5; small: 0.3)")
    add("--inverted-dropout", action=yes_or_no, help="scale in training, not at test time (§ 4.2: at test time)")
    add("--dropout-before", action=yes_or_no, help="dropout before fc6 and fc7 (torchvision), not after them (§ 4.2)")
    add("--init", help="initial values: 2012, paper (§ 5), caffe or he; default 2012, small and figure1 he (nn/init.py)")
    add("--bias", type=float, help="initial bias of conv2, conv4, conv5, fc6 and fc7 (§ 5: 1; small: 0)")
    parser.set_defaults(**DEFAULTS)
    return parser


def read_options(arguments=None, description=None):
    """→ (all options, defaults filled in; the Path of the run to resume, or None). Raises UserError."""
    parser = make_parser(description)
    defaults = vars(parser.parse_args([]))
    stated = vars(parser.parse_args(arguments, argparse.Namespace(**dict.fromkeys(defaults))))
    stated = {name: value for name, value in stated.items() if value is not None}
    resume, recipe = stated.pop("resume", None), stated.get("recipe")
    expect(recipe is None or recipe in RECIPES, f"--recipe must be one of {', '.join(RECIPES)}, got {recipe}")
    if resume is None:
        model = stated.get("model", DEFAULTS["model"] if recipe is None else "alexnet")
        expect(recipe is None or model != "figure1", f"--recipe {recipe} is of alexnet, found --model {model}: leave out one")
        found = defaults_of(stated["weights"]) if "weights" in stated else {}
        model = stated.get("model", found.get("model", model))
        options = defaults | MODEL_DEFAULTS[model] | RECIPES.get(recipe, {}) | found | stated | dict(model=model)
    else:
        options = defaults | stored_options(resume)
        fixed = [option(name) for name in stated if name not in MAY_CHANGE]
        expect(not fixed, f"a resumed run keeps its options, found {', '.join(fixed)}: leave them out, or start a new run")
        options |= stated
    for name, value in options.items():
        expect_in_limits(name, value)
    drops = options["drop_at"] or [1]
    expect(drops[0] >= 1 and sorted(set(drops)) == drops, f"--drop-at must be epochs in ascending order, 1 or later, got "
           f"{' '.join(map(str, drops))}")
    return argparse.Namespace(**options), resume and Path(resume)


# Smallest values, what numbers must be more than, largest values, and what numbers must be less than.
LEAST = dict.fromkeys(("batch_size", "lr_batch", "patience", "epochs", "threads", "size", "view", "images_per_crop", "towers"), 1) | dict.fromkeys(
    ("workers", "cutout", "warm_up", "colour", "profile", "freeze_from", "colour_until", "momentum", "weight_decay", "bias_decay",
     "bias_rate", "lrn_alpha", "dropout", "save_every", "seed", "holdout"), 0)
MORE = dict.fromkeys(("lr", "scale", "lrn_k", "wait"), 0)
MOST = dict(workers=1024, threads=1024, size=16384, batch_size=1 << 20, images_per_crop=1 << 20, profile=1 << 20)
LESS = dict.fromkeys(("momentum", "dropout", "holdout"), 1)


def expect_in_limits(name, value):
    """Raise UserError for a number, or a list with one, that is not finite or beyond its limits."""
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, (int, float)) and not isinstance(one, bool):
            for limits, fits, words in ((LEAST, lambda a, b: a >= b, "at least"), (MORE, lambda a, b: a > b, "more than"),
                                        (MOST, lambda a, b: a <= b, "at most"), (LESS, lambda a, b: a < b, "less than")):
                expect(name not in limits or fits(one, limits[name]), f"{option(name)} must be {words} {limits.get(name)}, got {one}")
            expect(math.isfinite(one), f"{option(name)} must be a finite number, got {one}")


class Stored(argparse.ArgumentParser):
    """A parser for stored options: an error is not the command line's, so it prints no usage."""

    def error(self, message):
        raise UserError(message)


def stored_options(folder):
    """The options in a run's config.json, checked as if they were typed. Raises UserError."""
    stored = {"convolution": "direct"} | read_options_of(folder)        # runs before this option: all were direct
    arguments = []
    for name, value in stored.items():
        if isinstance(value, bool):
            arguments.append(option(name) if value else f"--no-{option(name)[2:]}")
        elif isinstance(value, list) and name == "scale":
            arguments.append(f"{option(name)}={','.join(map(str, value))}")
        elif isinstance(value, list):
            arguments += [option(name), *map(str, value)]
        elif value is not None:
            arguments.append(f"{option(name)}={value}")
    try:
        parsed = vars(make_parser(kind=Stored).parse_args(arguments))
    except UserError as error:
        raise UserError(f"{folder}/config.json: {error}; restore the file, or start a new run") from None
    return {name: value for name, value in parsed.items() if name in stored}


def defaults_of(weights):
    """The options that --weights FILE sets, unless they are typed: the net's, and how an image is prepared for it."""
    from results import load  # it imports training.errors in turn

    net = load(weights, threads=1)
    scale = net.scale.tolist()
    return dict(model=net.model, size=net.size, view=net.side, scale=scale, mean="weights") | {
        name: value for name, value in net.options.items() if name in ALTERNATIVES}


def numbers(text):
    """A number, or three with commas between them, as a list."""
    values = [float(part) for part in text.split(",")]
    if len(values) not in (1, 3):
        raise ValueError(text)
    return values if len(values) > 1 else values[0]


def option(name):
    """An option as it is typed: "batch_size" → "--batch-size"."""
    return f"--{name.replace('_', '-')}"


def given(options, names):
    """{name: value} of those options that were given."""
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}
