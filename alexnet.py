"""AlexNet: Figure 2 of the paper in code, its small relatives, and the table of its numbers.

    python alexnet.py                     layer by layer: shapes, parameters, neurons, multiply-adds, memory
    python alexnet.py --model small       the same for the small net (or figure1)

The net is two towers, one per GPU in the paper. A tower is the list of layers that one GPU holds; `Exchange()` is
where the figure's lines cross from one GPU to the other. Where the authors' code or others differ from the paper, AlexNet
has an argument; the default is the paper's, except for `init`, whose description gives the reason. (All disputed details:
notebooks/15_disputed_details.ipynb.)
"""

import sys

if sys.version_info < (3, 11):
    sys.exit("alexnet.py needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": run it with a newer one")

import argparse
from typing import NamedTuple

from nn import Conv2d, Dropout, Exchange, Flatten, Linear, LocalResponseNorm, MaxPool2d, Network, ReLU, Tanh, initialise
from nn.spatial_norm import SpatialResponseNorm


def figure2(towers, classes, kernels, neurons, stem, relu, norm, pool, dropout):
    """The plan of one tower: {name: a function that makes the layer from (channels coming in, groups)}.

    kernels: of the whole net in conv1 … conv5; stem: conv1's size, stride and padding.
    """
    K1, K2, K3, K4, K5 = (k // towers for k in kernels)                             # 48, 128, 192, 192, 128
    F = neurons // towers                                                           # 2048

    def conv(kernels, size, stride=1, padding=0, first=False):
        return lambda channels, groups: Conv2d(channels, kernels, size, stride, padding, groups, first)

    def exchange(channels, groups):
        return Exchange(towers)

    def flatten(channels, groups):
        return Flatten()

    def fc(features):
        return lambda channels, groups: Linear(channels, features)

    return {
        "conv1": conv(K1, *stem, first=True), "relu1": relu, "norm1": norm, "pool1": pool,
        "conv2": conv(K2, 5, padding=2), "relu2": relu, "norm2": norm, "pool2": pool,
        "exchange3": exchange,
        "conv3": conv(K3, 3, padding=1), "relu3": relu,
        "conv4": conv(K4, 3, padding=1), "relu4": relu,
        "conv5": conv(K5, 3, padding=1), "relu5": relu, "pool5": pool,
        "exchange6": exchange, "flatten": flatten,
        "fc6": fc(F), "relu6": relu, "drop6": dropout,
        "exchange7": exchange,
        "fc7": fc(F), "relu7": relu, "drop7": dropout,
        "exchange8": exchange,                              # the first tower gathers the other's features,
        "fc8": fc(classes),                                 # and holds the last layer
    }


def arranged(plan, first_stages):
    """The plan with the layers of stages 1 and 2 in the order of a text like "conv norm pool relu"; or of two, one for
    each stage, with a comma between them."""
    orders = [order.split() for order in first_stages.split(",")] if isinstance(first_stages, str) else []
    if len(orders) not in (1, 2) or any(sorted(order) != ["conv", "norm", "pool", "relu"] or order[0] != "conv"
                                        for order in orders):
        raise ValueError("first_stages must be conv and then relu, norm and pool in some order, such as 'conv norm pool "
                         f"relu', or two of these with a comma between them, got {first_stages!r}")
    names = [f"{kind}{number}" for number, order in ((1, orders[0]), (2, orders[-1])) for kind in order]
    return {name: plan[name] for name in (*names, *plan)}           # a dict keeps a name where it came first


def moved(plan, name, after):
    """The plan with the layer `name` directly after the layer `after`."""
    names = [other for other in plan if other != name]
    names.insert(names.index(after) + 1, name)
    return {name: plan[name] for name in names}


def build(plan, image, groups=1):
    """Make the layers of a plan, each for the channels that reach it. A convolution in `groups` sees only the
    maps of its own group, except directly after an exchange or the image, where it sees all."""
    layers, shape, sees_all = {}, image, True
    for name, make in plan.items():
        layer = make(shape[-1], 1 if sees_all and name.startswith("conv") else groups)
        sees_all = isinstance(layer, Exchange)
        shape = layer.output_shape(shape)
        if min(shape) < 1:
            raise ValueError(f"images of {image[0]}×{image[1]} pixels are too small for this net: no pixel is left "
                             f"at {name}; use larger images or a smaller net")
        layers[name] = layer
    return layers


def AlexNet(classes=1000, image=(224, 224, 3), towers=2, *, one_gpu=False, without=None, activation="relu",
            first_stages="conv relu norm pool", lrn=True, lrn_alpha=1e-4, lrn_k=2.0, lrn_across=False,
            spatial_norm=False, pool=3, pool_ceil=(), pool_ties="first", dropout=0.5, inverted_dropout=False, dropout_before=False,
            groups=2, init="2012", bias=1.0, seed=0, threads=None, devices=None, micro_batch=None, plain=False, convolution="winograd",
            kernels=(96, 256, 384, 384, 256), neurons=4096, stem=(11, 4, (0, 3))):
    """The paper's net, as a Network with initial values drawn from `seed`.

    classes     width of the softmax (§ 3.5: 1000)
    image       (H, W, C) of the images; for 227 pixels a side, as in Caffe, use stem=(11, 4, 0)
    towers      2: one per GPU (§ 3.2). 1: the same net as one tower with two groups, with the same weights
    one_gpu     True: one tower without groups, with half the kernels in conv1 … conv4: the comparison of § 3.2 (conv5
                and the fully connected layers keep their width, so both nets have about as many parameters)
    without     a convolution to leave out, with its ReLU: "conv2", "conv3", "conv4" or "conv5" (§ 1, § 7)
    activation  "relu" (§ 3.1) or "tanh"
    first_stages    order of the layers in stages 1 and 2 (§ 3.5). The 2012 code: "conv norm pool relu, conv relu norm
                pool", one order for each stage; CaffeNet: "conv relu pool norm". A ReLU and a pooling next to each other
                may change places: the outputs are the same
    lrn         local response normalisation after the ReLUs of conv1 and conv2 (§ 3.3); False: none
    lrn_alpha   1e-4 as printed; the 2012 code and Caffe apply 1e-4 / 5
    lrn_k       2; Caffe 1
    lrn_across  with towers=1: windows cross from one group to the other, as in Caffe
    spatial_norm        one more normalisation directly after the second, over 5×5 pixels of a map, as in the 2012 code
    pool        3: overlapping, 3×3 with stride 2 (§ 3.4); 2: 2×2 with stride 2
    pool_ceil   poolings that add a smaller window at the end where one is needed, e.g. ("pool1", "pool2", "pool5") as in
                the 2012 code and Caffe: with 224 or 227 pixels none is needed
    pool_ties   which of equal maxima in a window gets the gradient: "first", as in Caffe; "all", as in the 2012 code
    dropout     rate after fc6 and fc7 (§ 4.2); 0: none
    inverted_dropout    scale in training instead of at test time (Caffe, PyTorch)
    dropout_before      before fc6 and fc7, as in torchvision; False: after them (§ 4.2)
    groups      with towers=1: of conv2, conv4 and conv5; 1: they see all maps (torchvision)
    init        "2012" (the authors' code), "paper" (as printed), "caffe" or "he": see nn/init.py; None: zeros, for weights that
                will be loaded
    bias        initial bias of conv2, conv4, conv5, fc6 and fc7 (§ 5: 1; Caffe 0.1)

    seed draws the initial values and the dropout masks. threads, devices, micro_batch, plain, convolution: as in
    Network. kernels, neurons, stem: widths of the whole net, and conv1's size, stride and padding. Raises ValueError for
    arguments that fit no net.
    """
    for name, value, choices in (("towers", towers, (1, 2)), ("activation", activation, ("relu", "tanh")),
                                 ("pool", pool, (2, 3)), ("pool_ties", pool_ties, ("first", "all")), ("groups", groups, (1, 2)),
                                 ("without", without, (None, "conv2", "conv3", "conv4", "conv5"))):
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(str(one) for one in choices if one is not None)}, got {value}")
    if len(image) != 3 or len(kernels) != 5 or len(stem) != 3:
        raise ValueError("expected image as (H, W, C), kernels as five numbers and stem as (size, stride, padding), got "
                         f"{image}, {kernels} and {stem}")
    if lrn_across and towers == 2 and not one_gpu:
        raise ValueError("lrn_across needs towers=1: no window can reach into another tower's maps")
    if groups == 1 and towers == 2 and not one_gpu:
        raise ValueError("groups=1 needs towers=1: two towers are two groups")
    if not set(pool_ceil) <= {"pool1", "pool2", "pool5"}:
        raise ValueError(f"pool_ceil must name some of pool1, pool2 and pool5, got {pool_ceil!r}")
    if one_gpu:
        towers, kernels = 1, (*(k // 2 for k in kernels[:4]), kernels[4])
    for width in (*kernels, neurons):
        if width % 2 or width < 2:
            raise ValueError(f"kernels and neurons must be even, to be halved between towers, got {width}")
    in_groups = groups if towers == 1 and not one_gpu else 1
    absent = {without, f"relu{without[-1]}"} if without else set()
    absent |= set() if lrn else {"norm1", "norm2"}
    absent |= set() if dropout else {"drop6", "drop7"}

    plan = figure2(towers, classes, kernels, neurons, stem,
                   relu=lambda channels, groups: ReLU() if activation == "relu" else Tanh(),
                   norm=lambda channels, groups: LocalResponseNorm(5, lrn_alpha, 0.75, lrn_k,
                                                                   1 if lrn_across else groups),
                   pool=lambda channels, groups: MaxPool2d(pool, 2, ties=pool_ties),
                   dropout=lambda channels, groups: Dropout(dropout, inverted_dropout))
    plan |= {name: lambda channels, groups: MaxPool2d(pool, 2, True, pool_ties) for name in pool_ceil}
    plan = arranged(plan, first_stages)
    if spatial_norm:
        plan["space2"] = lambda channels, groups: SpatialResponseNorm()
        plan = moved(plan, "space2", "norm2")
    if dropout_before:
        plan["drop6"] = lambda channels, groups: Dropout(dropout, inverted_dropout, whole=True)
        plan = moved(moved(plan, "drop6", "flatten"), "drop7", "relu6")
    plan = {name: make for name, make in plan.items() if name not in absent}
    first = build(plan, image, in_groups)
    others = [build({name: plan[name] for name in list(plan)[:-2]}, image) for _ in range(towers - 1)]
    network = Network([first, *others], image, devices, seed, threads, micro_batch, plain, convolution)
    if init is not None:
        initialise(network, init, seed, bias=bias)
    return network


def SmallAlexNet(classes=10, image=(28, 28, 1), **options):
    """AlexNet for images of 28 to 64 pixels: the same plan with a sixth of the kernels and an eighth of the features
    (and therefore less dropout), and a first layer of 5×5 kernels with stride 1. options: AlexNet's."""
    small = dict(kernels=(16, 48, 64, 64, 48), neurons=512, stem=(5, 1, 2), dropout=0.3, init="he", bias=0.0)
    return AlexNet(classes, image, **small | options)


def Figure1Net(classes=10, image=(32, 32, 3), *, activation="relu", init="he", seed=0, threads=None, devices=None,
               micro_batch=None, plain=False, convolution="winograd"):
    """The four-layer net of Figure 1 (§ 3.1), for CIFAR-10: three convolutions and one fully connected layer, ReLU or
    tanh, no regularisation. (The paper gives no widths; 32, 32 and 64 kernels of 5×5 are what the authors' code
    used on CIFAR-10.)"""
    if activation not in ("relu", "tanh"):
        raise ValueError(f"activation must be one of relu, tanh, got {activation!r}")
    plan = {}
    for number, kernels in enumerate((32, 32, 64), start=1):
        plan |= {f"conv{number}": lambda channels, _, K=kernels, first=number == 1:
                 Conv2d(channels, K, 5, padding=2, first=first),
                 f"relu{number}": lambda *_: ReLU() if activation == "relu" else Tanh(),
                 f"pool{number}": lambda *_: MaxPool2d(3, 2)}
    plan |= {"flatten": lambda *_: Flatten(), "fc4": lambda channels, _: Linear(channels, classes)}
    network = Network([build(plan, image)], image, devices, seed, threads, micro_batch, plain, convolution)
    if init is not None:
        initialise(network, init, seed, bias=0.0)
    return network


MODELS = {"alexnet": AlexNet, "small": SmallAlexNet, "figure1": Figure1Net}


# The table ---------------------------------------------------------------------------------------------------------

class Row(NamedTuple):
    """One layer of the whole net; numbers are per image, summed over all towers."""
    name: str
    layer: str              # in the first tower
    shape: tuple            # output of one tower: (P, Q, K) or (F,)
    towers: int             # how many towers have it
    parameters: int
    neurons: int            # outputs of a layer with weights, which the paper counts as neurons; else 0
    multiply_adds: int      # of the matrix products of one forward pass
    floats: int             # outputs, of 4 bytes each


def summary(network):
    """The rows of a network, from its own layers."""
    rows, shape = [], network.shape
    for name, layer in network.towers[0].items():
        towers = sum(name in tower for tower in network.towers)
        shape = layer.output_shape(shape)
        size = 1
        for length in shape:
            size *= length
        parameters = sum(array.size for array in layer.params.values())
        weights = layer.params["W"].size if layer.params else 0
        rows.append(Row(name, repr(layer), shape, towers, parameters * towers, size * towers * bool(weights),
                        weights * (size // shape[-1]) * towers, size * towers))
    return rows


PAPER = {       # the paper's own figures, printed beside those that the code counts
    "conv1": "253,440 neurons: a slip, 55·55·96 = 290,400", "conv2": "186,624 neurons", "conv3": "64,896 neurons",
    "conv4": "64,896 neurons", "conv5": "43,264 neurons", "fc6": "4096 neurons", "fc7": "4096 neurons",
    "fc8": "1000 neurons", "total": "60 million parameters, 650,000 neurons"}


def table(network, beside=None):
    """The summary as text; beside: {row: remark}."""
    beside = beside or {}
    line = "{:10} {:32} {:>16} {:>12} {:>9} {:>14} {:>9}  {}".format
    text = [line("layer", "in each tower", "maps out", "parameters", "neurons", "multiply-adds", "KiB out", "the paper")]
    rows = summary(network)
    for row in rows:
        maps = "×".join(map(str, row.shape)) + (f" ·{row.towers}" if row.towers > 1 else "")
        text.append(line(row.name, row.layer, maps, *(f"{n:,}" if n else "" for n in row[4:7]),
                         f"{row.floats * 4 / 1024:,.0f}", beside.get(row.name, "")).rstrip())
    total = [sum(row[i] for row in rows) for i in range(4, 8)]
    text.append(line("total", "", "", *(f"{n:,}" for n in total[:3]), f"{total[3] * 4 / 1024:,.0f}",
                     beside.get("total", "")).rstrip())
    return "\n".join(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Print the table of a net (paper § 3.5, Figure 2).")
    parser.add_argument("--model", choices=MODELS, default="alexnet", help="which net (default: %(default)s)")
    parser.add_argument("--towers", type=int, choices=(1, 2), default=2, help="one tower, or one per GPU (§ 3.2)")
    args = parser.parse_args()
    network = MODELS[args.model](**({} if args.model == "figure1" else {"towers": args.towers}))
    print(table(network, PAPER if args.model == "alexnet" else None))
