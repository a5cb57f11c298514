"""The pictures: a run's curves, Figures 3 and 4 of the paper, a net's activations and confusions.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; nothing is shown by colour alone. Each picture has a
caption.
"""

import textwrap

import numpy as np
from matplotlib.figure import Figure  # pyplot would change the backend of the program that imports this

from imaging import pictures

BLUE, ORANGE, GREEN, PINK, YELLOW, SKY, BLACK = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9",
                                                 "#000000")
RIGHT, WRONG, OTHER = BLUE, ORANGE, "0.72"                                          # of answers


def draw_curves(rows, path):
    """The log of a run as a picture. rows: dicts with the columns of log.csv, one per epoch."""
    epochs = [row["epoch"] for row in rows]
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, what, title in (left, "loss", "Loss (cross-entropy)"), (right, "top1", "Top-1 error (%)"):
        factor = 100 if what == "top1" else 1
        axes.plot(epochs, [factor * row[f"train_{what}"] for row in rows], "o--", color="C1", markersize=3,
                  label="training (with dropout, on random views)")
        axes.plot(epochs, [factor * row[f"val_{what}"] for row in rows], "s-", color="C0", markersize=3,
                  label="validation")
        for before, after in zip(rows, rows[1:]):
            if after["lr"] < before["lr"]:
                axes.axvline(before["epoch"] + 0.5, color="0.6", linewidth=1, linestyle=":")
                axes.annotate(f"ε = {after['lr']:g}", (before["epoch"] + 0.5, 0.98), rotation=90, fontsize=8,
                              xycoords=("data", "axes fraction"), color="0.4", ha="right", va="top")
        axes.set(title=title, xlabel="epoch", ylim=(0, None))
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    left.legend(frameon=False)
    save(figure, path)


def draw_filters(kernels, towers, path):
    """First-layer kernels W (R, S, C, K), one row of panels per tower. Each kernel is stretched to its own range, as
    the paper's figure is: it shows form and colour, not strength."""
    R, S, C, K = kernels.shape
    columns = min(K // towers, 16)
    rows = -(-K // towers // columns)
    tiles = kernels.transpose(3, 0, 1, 2)                                           # (K, R, S, C)
    low, high = (f(tiles, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    tiles = (tiles - low) / np.maximum(high - low, 1e-12)
    figure = Figure(figsize=(columns * 0.55 + 0.3, towers * (rows * 0.55 + 0.4)), layout="constrained")
    panels = figure.subplots(towers, 1, squeeze=False)
    for tower, (axes,) in enumerate(panels):
        sheet = np.ones((rows * (R + 1) - 1, columns * (S + 1) - 1, C))             # a white line between kernels
        for i, tile in enumerate(tiles[tower * K // towers:(tower + 1) * K // towers]):
            top, left = i // columns * (R + 1), i % columns * (S + 1)
            sheet[top:top + R, left:left + S] = tile
        axes.imshow(sheet.squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(f"tower {tower + 1}: {K // towers} kernels of {R}×{S}×{C}", fontsize=9, loc="left")
        axes.axis("off")
    save(figure, path)


def draw_curves_together(runs, path):
    """Several runs in one picture. runs: {name: rows as in draw_curves}."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    styles = zip([BLUE, ORANGE, GREEN, PINK, YELLOW, SKY, BLACK] * len(runs), "os^Dv<>" * len(runs), runs.items())
    for color, marker, (name, rows) in styles:
        epochs = [row["epoch"] for row in rows]
        for axes, what, factor in (left, "loss", 1), (right, "top1", 100):
            every = max(1, len(rows) // 10)
            axes.plot(epochs, [factor * row[f"train_{what}"] for row in rows], "--", color=color, linewidth=1)
            axes.plot(epochs, [factor * row[f"val_{what}"] for row in rows], "-", color=color, marker=marker,
                      markevery=every, markersize=4, linewidth=1.4, label=name)
    for axes, label in (left, "loss (cross-entropy)"), (right, "top-1 error (%)"):
        axes.set(xlabel="epoch", ylabel=label, ylim=(0, None))
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    right.legend(frameon=False, fontsize=8)
    caption(figure, "Solid, with marks: validation. Dashed: training, with dropout and on random views.")
    save(figure, path)


def draw_classified(answers, path, note):
    """Figure 4, left: photographs, and under each the classes that the net thinks most likely, as bars.

    note: the name of the net and the views used. answers: dicts with image (H, W, C) uint8, title, names and probabilities of
    the best classes, and truth: the name of the right one, or None if it is unknown.
    """
    columns = min(4 if len(answers) % 4 == 0 else 5, len(answers))
    rows = -(-len(answers) // columns)
    figure = Figure(figsize=(2.5 * columns, 4.0 * rows + 0.4), layout="constrained")
    body, last = figure.subfigures(2, 1, height_ratios=(4.0 * rows, 0.4))
    for cell, answer in zip(body.subfigures(rows, columns, squeeze=False).flat, answers):
        top, bottom = cell.subplots(2, 1, height_ratios=(2.2, 1.5))
        top.imshow(answer["image"].squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="antialiased")
        top.set_title(shortened(answer["truth"] or answer["title"], 30), fontsize=9)
        top.axis("off")
        places = range(len(answer["names"]))
        known = answer["truth"] is not None
        colors = [(RIGHT if name == answer["truth"] else WRONG) if known else SKY for name in answer["names"]]
        bars = bottom.barh(places, [100 * p for p in answer["probabilities"]], height=0.86, color=colors, alpha=0.55)
        for bar, name, p in zip(bars, answer["names"], answer["probabilities"]):
            bottom.text(1.5, bar.get_y() + bar.get_height() / 2, f"{shortened(name, 24)}  {p:.1%}", va="center",
                        fontsize=7.5, fontweight="bold" if name == answer["truth"] else "normal")
        bottom.set(xlim=(0, 100), xlabel="probability (%)", yticks=[])
        bottom.xaxis.label.set_size(7)
        bottom.tick_params(labelsize=7)
        bottom.invert_yaxis()
        bottom.spines[["top", "right"]].set_visible(False)
    if any(answer["truth"] is not None for answer in answers):
        note += " Title: the right class; its bar is blue and its name bold, if it is among these."
    caption(figure, note, last)
    save(figure, path)


def draw_neighbours(rows, path, shown=6):
    """Figure 4, right: images, and the training images nearest to each, by the last layer's input
    and by pixels. rows: dicts with image, title, and features and pixels: [(image, title, distance, same class?), …]."""
    blank, height = 0.35, 1.05 * len(rows) + 0.85           # in columns, between the blocks; in inches
    figure = Figure(figsize=((2 * shown + 1 + 2 * blank) * 0.86, height))
    panels = figure.subplots(
        len(rows), 2 * shown + 3, squeeze=False,
        gridspec_kw=dict(width_ratios=[1, blank, *[1] * shown, blank, *[1] * shown], wspace=0.08, hspace=0.3, left=0.01,
                         right=0.99, top=1 - 0.5 / height, bottom=0.35 / height))
    for axes in panels.flat:
        axes.axis("off")
    for row, line in zip(rows, panels):
        picture(line[0], row["image"], row["title"], BLACK)
        for block, first in (row["features"], 2), (row["pixels"], 3 + shown):
            for axes, (image, title, _distance, same) in zip(line[first:], block[:shown]):
                picture(axes, image, title if same else f"× {title}", BLACK if same is not False else WRONG)
    for column, text in ((0, "image"), (2, "nearest in the last hidden layer's features →"),
                         (3 + shown, "nearest in pixels →")):
        figure.text(panels[0, column].get_position().x0, 1 - 0.22 / height, text, fontsize=9, fontweight="bold")
    caption(figure, "Nearest first, by Euclidean distance, among the training images. ×: of another class than the image "
                    "on the left.", figure)
    save(figure, path)


def picture(axes, image, title, color):
    axes.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_title(shortened(title, 15), fontsize=6.5, color=color, pad=2)


def draw_activations(image, layers, answer, path, shown=12):
    """The output of each layer for one image. layers: [(name, maps (P, Q, K) or features (F,)), …]; answer: as in
    draw_classified, without image."""
    maps = [(name, x) for name, x in layers if x.ndim == 3]
    features = [(name, x) for name, x in layers if x.ndim == 1]
    heights = [1.9, *[1.02] * len(maps), *[0.75] * len(features), 0.25]             # inches
    figure = Figure(figsize=(10, sum(heights)), layout="constrained")
    *lines, last = figure.subfigures(len(heights), 1, height_ratios=heights)
    left, right = lines[0].subplots(1, 2, width_ratios=(1, 2.4))
    left.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255)
    left.set_title("what the net is given", fontsize=9)
    left.axis("off")
    right.barh(answer["names"], [100 * p for p in answer["probabilities"]], color=SKY)
    right.invert_yaxis()
    right.set(xlim=(0, 100), xlabel="probability (%)")
    right.tick_params(labelsize=8)
    right.xaxis.label.set_size(8)
    right.spines[["top", "right"]].set_visible(False)
    for line, (name, x) in zip(lines[1:], maps):
        strongest = np.argsort(-x.mean((0, 1)), kind="stable")[:shown]
        line.suptitle(f"{name}: {x.shape[2]} maps of {x.shape[0]}×{x.shape[1]}, the {len(strongest)} strongest; black 0, "
                      f"white {x.max():.3g}; {np.mean(x > 0):.0%} of all numbers above 0", fontsize=8, x=0.01, ha="left")
        for axes, k in zip(line.subplots(1, shown).flat, [*strongest, *[None] * shown]):
            if k is None:
                axes.axis("off")
            else:
                axes.imshow(x[..., k], cmap="gray", vmin=min(0, x.min()), vmax=max(x.max(), 1e-12),
                            interpolation="nearest")
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set(color="0.5", linewidth=0.5)
    for line, (name, x) in zip(lines[1 + len(maps):], features):
        axes = line.subplots()
        axes.bar(np.arange(len(x)), x, width=1.0, color=BLACK, linewidth=0)
        axes.set(xlim=(-0.5, len(x) - 0.5), xticks=[0, len(x) - 1])
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
        line.suptitle(f"{name}: {len(x)} neurons, {np.mean(x > 0):.0%} above 0", fontsize=8, x=0.01, ha="left")
    caption(figure, "Names as in alexnet.py. All maps of a row have one scale of greys; strongest: by their mean.", last)
    save(figure, path)


def draw_confusions(counts, names, path):
    """The confusion matrix. counts (classes, classes): images of the row's class that the net takes for the column's."""
    share = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 0.42 * len(names) + 2.2
    figure = Figure(figsize=(side, side * 0.92), layout="constrained")
    axes = figure.subplots()
    shades = axes.imshow(share, cmap="Greys", vmin=0, vmax=100)
    for (i, j), value in np.ndenumerate(share):
        if value >= 1:
            axes.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=7, color="white" if value > 50 else "black")
    labels = [shortened(name, 16) for name in names]
    axes.set_xticks(range(len(names)), labels, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), labels, fontsize=8)
    axes.set(xlabel="taken for", ylabel="class")
    figure.colorbar(shades, label="images of the class (%)", shrink=0.8)
    save(figure, path)


def shortened(text, length):
    return text if len(text) <= length else text[:length - 1] + "…"


def caption(figure, text, place=None):
    """Write `text` under the picture, wrapped to its width; place: the subfigure kept free for it, if there is one."""
    text = textwrap.fill(text, int(figure.get_size_inches()[0] * 16))
    if place:
        place.text(0.01, 0.01, text, fontsize=8, va="bottom")
    else:
        figure.supxlabel(text, fontsize=8, x=0.01, ha="left")


def save(figure, path):
    pictures.save(figure, path, dpi=150)
