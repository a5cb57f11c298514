"""Draw Figure 2 of the paper with a trained net's own feature maps into docs/figure2.png.

    python docs/figure2.py
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))                               # run as a script

import numpy as np
from matplotlib.figure import Figure

import data
from nn import Exchange
from results import load
from results.figures import BLACK, BLUE, ORANGE
from results.layers import outputs

NET, IMAGE = ROOT / "notebooks/results/12_net.npz", 4       # a default run; a test image
COLUMNS = {"relu1": 2, "relu2": 3, "relu3": 3, "relu4": 3, "relu5": 3}      # of maps shown side by side
ROWS = 4


def sheet(maps, columns):
    """The strongest ROWS × columns of maps (P, Q, K) as one picture, with white lines between them."""
    maps = np.kron(maps, np.ones((56 // len(maps),) * 2 + (1,)))                    # about 56 pixels each
    P, Q, _ = maps.shape
    picture = np.ones((ROWS * (P + 4) - 4, columns * (Q + 4) - 4))
    for i, k in enumerate(np.argsort(-maps.mean((0, 1)), kind="stable")[:ROWS * columns]):
        top, left = i // columns * (P + 4), i % columns * (Q + 4)
        picture[top:top + P, left:left + Q] = maps[..., k] / max(maps[..., k].max(), 1e-9)
    return picture


def draw(net, image, truth, path):
    found, figure = outputs(net, image), Figure(figsize=(13, 4.6))                  # halves of the channels: the towers'
    tops, height = (0.56, 0.11), 0.36                       # of the towers' rows

    def place(left, bottom, width, tall):
        axes = figure.add_axes((left, bottom, width, tall))
        axes.axis("off")
        return axes

    axes = place(0.005, 0.335, 0.1, 0.33)
    axes.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255)
    axes.set_title(truth, fontsize=10)

    left, boxes = 0.135, []                                 # boxes: (left, right) of the columns
    for name, columns in COLUMNS.items():
        width = 0.0275 * columns
        for bottom, maps in zip(tops, np.split(found[name], 2, axis=2)):
            axes = place(left, bottom, width, height)
            axes.imshow(sheet(maps, columns), cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        P, Q, K = found[name].shape
        figure.text(left + width / 2, 0.045, f"conv{name[-1]}\n{P}×{Q}×{K // 2}", ha="center", va="center", fontsize=9)
        boxes.append((left, left + width))
        left += width + 0.035
    for name in ("relu6", "relu7"):
        for bottom, neurons in zip(tops, np.split(found[name], 2)):
            axes = place(left, bottom, 0.016, height)
            axes.imshow(neurons[:, None], cmap="gray", vmin=0, aspect="auto", interpolation="nearest")
        figure.text(left + 0.008, 0.045, f"fc{name[-1]}\n{len(found[name]) // 2}", ha="center", va="center", fontsize=9)
        boxes.append((left, left + 0.016))
        left += 0.016 + 0.035

    p = net.predict(image[None], views=10)[0]
    axes = figure.add_axes((left + 0.065, 0.26, 0.92 - left, 0.48))
    best = np.argsort(-p)[:5]
    names = [net.classes[i] for i in best]
    axes.barh(names, 100 * p[best], color=[BLUE if name == truth else "0.75" for name in names])
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
    axes.set_xlabel("probability (%)", fontsize=9)
    figure.text(left + 0.03, 0.045, f"fc8\n{len(p)}", ha="center", va="center", fontsize=9)
    boxes.append((left, left))

    middles = [bottom + height / 2 for bottom in tops]

    def arrow(start, stop, crossing):
        axes = figure.axes[0]
        axes.annotate("", xy=stop, xytext=start, xycoords="figure fraction", textcoords="figure fraction",
                      annotation_clip=False, arrowprops=dict(
                          arrowstyle="->", color=ORANGE if crossing else BLACK, linewidth=1.2,
                          linestyle="--" if crossing else "-"))

    for middle in middles:
        arrow((0.107, 0.5), (boxes[0][0] - 0.003, middle), False)
    crossings, crossing = [], False                         # of each column: is there an exchange before it?
    for name, layer in net.network.towers[0].items():
        crossing |= isinstance(layer, Exchange)
        if name.startswith("relu") or name == "fc8":
            crossings.append(crossing)
            crossing = False
    for (_, right), (next_left, _), crosses in zip(boxes, boxes[1:], crossings[1:]):
        last = next_left == boxes[-1][0]
        for i, start in enumerate(middles):
            for j, stop in enumerate([0.5] if last else middles):
                if i == j or crosses or last:
                    arrow((right + 0.003, start), (next_left - 0.003, stop), i != j)
    for t, middle in enumerate(middles):
        figure.text(boxes[0][0], middle + height / 2 + 0.012, f"tower {t}", fontsize=9)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    net = load(NET)
    pictures = data.load(net.source, net.size, net.channels, net.seed, net.holdout)
    draw(net, pictures.test.images[IMAGE], net.classes[pictures.test.labels[IMAGE]], ROOT / "docs" / "figure2.png")
