"""The pictures of a run: its curves, and the kernels of the first layer (the paper's Figure 3)."""

import matplotlib

matplotlib.use("Agg")       # draws into files: no screen is needed

import matplotlib.pyplot as plt
import numpy as np


def draw_curves(rows, path):
    """The log of a run as a picture. rows: dicts with the columns of log.csv, one per epoch."""
    epochs = [row["epoch"] for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
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
    the paper's figure is: what is seen is form and colour, not strength."""
    R, S, C, K = kernels.shape
    columns = min(K // towers, 16)
    rows = -(-K // towers // columns)
    tiles = kernels.transpose(3, 0, 1, 2)                                           # (K, R, S, C)
    low, high = (f(tiles, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    tiles = (tiles - low) / np.maximum(high - low, 1e-12)
    figure, panels = plt.subplots(towers, 1, figsize=(columns * 0.55 + 0.3, towers * (rows * 0.55 + 0.4)),
                                  squeeze=False, layout="constrained")
    for tower, (axes,) in enumerate(panels):
        sheet = np.ones((rows * (R + 1) - 1, columns * (S + 1) - 1, C))             # a white line between kernels
        for i, tile in enumerate(tiles[tower * K // towers:(tower + 1) * K // towers]):
            top, left = i // columns * (R + 1), i % columns * (S + 1)
            sheet[top:top + R, left:left + S] = tile
        axes.imshow(sheet.squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(f"tower {tower + 1}: {K // towers} kernels of {R}×{S}×{C}", fontsize=9, loc="left")
        axes.axis("off")
    save(figure, path)


def save(figure, path):
    figure.savefig(path, dpi=150)
    plt.close(figure)
