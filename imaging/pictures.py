"""Pictures: a contact sheet of a source, and the augmentations of a photograph (§ 4.1)."""

import warnings

import numpy as np
from matplotlib.figure import Figure  # pyplot would change the backend of the program that imports this
from matplotlib.text import Text

from imaging.decode import decode
from imaging.labels import class_names
from imaging.views import colour_noise, random_views, ten_views, view_side

# λ and p of RGB over 4,500 photographs (ten classes of Tiny-ImageNet), as data.colour_axes gives them: used for
# a single photograph, whose colours are too few for a training set's statistics.
EIGENVALUES = np.array([12372.4, 1569.1, 217.8])
EIGENVECTORS = np.array([[0.5624, 0.7105, 0.4229], [0.5869, 0.0172, -0.8095], [0.5824, -0.7035, 0.4073]])


def contact_sheet(data, path, columns=12, rows=6, seed=0):
    """Draw training images of a Data, spread over all its classes, with their class names, into `path`."""
    labels = data.train.labels
    by_class = np.argsort(labels, kind="stable")
    number = min(columns * rows, len(labels))
    chosen = by_class[np.linspace(0, len(labels) - 1, number).astype(int)]
    names = class_names(data.classes)
    rows = -(-number // columns)
    figure = Figure(figsize=(columns * 1.1, rows * 1.25 + 0.3), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat:
        axes.axis("off")
    for axes, image, label in zip(panels.flat, (data.train.images[int(i)] for i in chosen), labels[chosen]):
        axes.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255)
        name = names[label]
        axes.set_title(name if len(name) <= 16 else name[:15] + "…", fontsize=6, pad=2)
    figure.suptitle(f"{data.name}: {number} of {len(labels):,} training images, {data.train.images.shape[1]}×"
                    f"{data.train.images.shape[2]}", fontsize=8)
    save(figure, path)


class OnePhotograph:
    """`count` copies of one image, with the statistics of a training set: a view's draws depend on its number."""

    def __init__(self, pixels, count):
        self.pixels, self.shape = pixels, (count, *pixels.shape)
        self.training_covariance = EIGENVECTORS * EIGENVALUES @ EIGENVECTORS.T

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, i):
        return self.pixels


def augmentation_sheet(photo, path, size=256, sigma=0.1, factor="eigenvalue", seed=0):
    """Draw a photograph's 12 crops and mirrors, 12 colour draws and ten test views into `path` (§ 4.1)."""
    with open(photo, "rb") as file:
        pixels = decode(file.read(), size)
    images, side, nothing = OnePhotograph(pixels, 12), view_side(size), np.zeros(pixels.shape, np.float32)
    crops = random_views(images, range(12), side, nothing, seed, 0)
    noise = colour_noise(images, sigma, factor)
    shifts = np.mean(random_views(images, range(12), size, nothing, seed, 0, colour=noise)
                     - random_views(images, range(12), size, nothing, seed, 0), axis=(1, 2))    # (12, 3)
    colours = pixels + shifts[:, None, None]                # the noise alone, not mirrored
    ten = [view[0] for view in ten_views(pixels[None], side, nothing)]

    figure = Figure(figsize=(8.4, 9.6), layout="constrained")
    parts = figure.subfigures(3, 1, height_ratios=(2, 2.2, 2))
    corners = ["top left", "top right", "bottom left", "bottom right", "centre"]
    draw(parts[0], [*crops], 6, f"Random {side}×{side} crops of the {size}×{size} image, half of them mirrored "
         f"({(size - side) ** 2 * 2:,} different views)")
    draw(parts[1], [*colours], 6, f"PCA colour noise, σ = {sigma:g}, "
         + ("α·λ of pixels from 0 to 1" if factor == "eigenvalue" else "α·√λ")
         + "; below each: what is added to red, green and blue, in grey levels",
         [", ".join(f"{value:+.0f}" for value in shift) for shift in shifts])
    draw(parts[2], ten[::2] + ten[1::2], 5, "The ten test views: four corners and the centre, and their mirror images",
         corners + [f"{name}, mirrored" for name in corners])
    save(figure, path)


def draw(figure, images, columns, title, names=None):
    figure.suptitle(title, fontsize=9)
    for axes, image, name in zip(figure.subplots(-(-len(images) // columns), columns).flat, images,
                                 names or [""] * len(images)):
        axes.imshow(np.clip(np.rint(image), 0, 255).astype(np.uint8))
        axes.set_xlabel(name, fontsize=6.5, labelpad=2)
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_visible(False)


def save(figure, path, dpi=130):
    """Write a figure. Names of files and classes are shown as they are: a $ begins no formula, and a character that the font
    lacks is a box, without a warning."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(path, dpi=dpi)
