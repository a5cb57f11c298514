"""From images to the net's inputs: mean, crops, mirrors, colour noise, an erased block, ten views (§ 2, § 4.1).

Shapes as in data.py: N images of H × W pixels in C channels, uint8; n of them at a time, cut to side × side, float32.
`images` is an array or anything of imaging/images.py.
"""

from functools import lru_cache

import numpy as np

from imaging.common import COLOUR, CUTOUT, VIEWS, generator, require

MEANS = ("pixel", "centre", "channel")
FACTORS = ("eigenvalue", "deviation")
BLOCK = 256                                                 # images at a time, in passes over all


def view_side(size):
    """The side of the crop for images of `size` pixels: 7/8 of it, as the paper's 224 of 256."""
    return 7 * size // 8


def room(images, side):
    """(down, right): the pixels that a crop of side × side leaves over in images (N, H, W, C). DataError if it does
    not fit."""
    height, width = images.shape[1:3]
    require(1 <= side <= min(height, width), f"views of {side} x {side} pixels from images of {height} x {width}: "
                                             f"expected a side from 1 to {min(height, width)}")
    return height - side, width - side


def centre(images, side):
    """The slices that cut the central side × side out of images (N, H, W, C)."""
    down, right = room(images, side)
    return np.s_[down // 2:down // 2 + side, right // 2:right // 2 + side]


# What is learnt from the training set --------------------------------------------------------------------------------

def mean_image(images, kind="pixel", side=None):
    """(H, W, C) float32: each pixel's mean over the training set's images (N, H, W, C), summed in float64 (§ 2). Of
    prepared shards: the mean that was stored with them, of all training images, also those that load() holds out.

    kind    "pixel": the paper's. "channel": one mean per channel, as most programs since. "centre": the central
            side × side of the mean image, to be subtracted from every crop wherever it lies, as the 2012 code does.
    """
    require(kind in MEANS, f"mean {kind!r}: expected {', '.join(MEANS)}")
    mean = getattr(images, "training_mean", None)
    if mean is None:
        mean = sum(block.sum(axis=0, dtype=np.float64) for block in blocks(images)) / len(images)
    if kind == "channel":
        mean = np.broadcast_to(mean.mean(axis=(0, 1)), mean.shape)
    elif kind == "centre":
        mean = mean[centre(images, side)]
    return np.ascontiguousarray(mean, np.float32)


def blocks(images):
    return (images[start:start + BLOCK] for start in range(0, len(images), BLOCK))


def colour_axes(images=None, covariance=None):
    """(λ (C,), p (C, C)): eigenvalues, the largest first, and eigenvectors, in columns, of the covariance of the RGB
    values of all pixels of the training set (§ 4.1), in grey levels (0 to 255) squared. Of prepared shards: of all
    training images, as stored. covariance (C, C): where it is known already."""
    if covariance is None:
        covariance = getattr(images, "training_covariance", None)
    if covariance is None:
        sums = np.zeros(images.shape[3]), np.zeros((images.shape[3],) * 2)
        for block in blocks(images):
            add_moments(sums, block)
        covariance = covariance_of(*sums, len(images) * images.shape[1] * images.shape[2])
    values, vectors = np.linalg.eigh(covariance)
    vectors = vectors * np.where(vectors.sum(axis=0) < 0, -1, 1)        # a sign that does not depend on the library
    return np.maximum(values[::-1], 0), vectors[:, ::-1]


def add_moments(sums, images):
    """Add Σx (C,) and Σxxᵀ (C, C) over the pixels x of images (…, C) uint8: whole numbers, exact in float64."""
    for image in images:
        x = image.reshape(-1, image.shape[-1]).T.astype(np.float64)                         # (C, H·W)
        sums[0][...] += x.sum(axis=1)
        sums[1][...] += x @ x.T


def covariance_of(total, products, count):
    mean = total / count
    return products / count - np.outer(mean, mean)


def colour_noise(images, sigma=0.1, factor="eigenvalue"):
    """(C, C) float32: the matrix M whose product with C standard normal numbers is the shift of an image's colour, in
    grey levels. § 4.1 adds [p1 p2 p3][α1λ1 α2λ2 α3λ3]ᵀ to every pixel, α ~ N(0, σ = 0.1).

    factor  "eigenvalue": λ as printed. It is of grey levels *squared*, so the unit counts, and the paper gives none. Of
            pixels from 0 to 255 λ1 is 12,400 and the first term alone shifts an image by 1,240 levels along p1: nothing
            would be left of it. Of pixels from 0 to 1 it is 4.9 levels: that is what is meant here.
            "deviation": √λ, the standard deviation along p, as the 2012 code has it (which then divides by 1.1). It is
            the same in every unit: 11.3 levels along p1.
            With the λ and p of 4,500 photographs (Tiny-ImageNet, ten classes, 256 pixels), the brightness of an image, its
            mean over the channels, changes with a standard deviation of 2.8 grey levels by λ of pixels from 0 to 1, 714 by
            λ of pixels from 0 to 255, and 6.4 by √λ (notebooks/09). The printed formula is the default.
    """
    require(factor in FACTORS, f"colour factor {factor!r}: expected {' or '.join(FACTORS)}")
    require(sigma >= 0, f"colour noise of standard deviation {sigma}: expected 0 or more")
    values, vectors = colour_axes(images)
    return (sigma * vectors * (values / 255 if factor == "eigenvalue" else np.sqrt(values))).astype(np.float32)


# Views to train with -------------------------------------------------------------------------------------------------

@lru_cache(maxsize=1)
def draws(count, down, right, seed, epoch):
    """(N, 3) int64: top, left and mirror (0 or 1) of every image's view in this epoch, kept for all its batches."""
    return generator(seed, VIEWS, epoch).integers(0, [max(1, down), max(1, right), 2], size=(count, 3))


@lru_cache(maxsize=1)
def colour_draws(count, channels, seed, epoch):
    """(N, C) float32, standard normal: one draw per image and use (§ 4.1)."""
    return generator(seed, COLOUR, epoch).standard_normal((count, channels), np.float32)


@lru_cache(maxsize=1)
def cutout_draws(count, side, seed, epoch):
    """(N, 2) int64: the middle of every image's erased block, anywhere in its view."""
    return generator(seed, CUTOUT, epoch).integers(0, side, size=(count, 2))


def random_views(images, index, side, mean, seed, epoch, scale=1.0, colour=None, cutout=0, out=None,
                 images_per_crop=1):
    """(n, side, side, C) float32: a random crop of each of images[index], half of them mirrored, minus the mean, plus
    colour noise, times `scale` (the paper has none: 1).

    images (N, H, W, C) uint8, index (n,) into all N.
    mean    (H, W, C): cut where the image is cut, then mirrored with it; or (side, side, C): the same for every crop.
    colour  None, or the matrix of colour_noise(): every pixel of an image moves by the same drawn colour.
    cutout  pixels: the side of a block that is erased (set to the mean), around a random pixel of the view, so that it
            may reach over the edge (Cutout, DeVries and Taylor 2017). Not the paper's, which cuts *out of* the image:
            of its 256 pixels 32 are what a crop of 224 leaves over.

    images_per_crop     so many images in a row, of those in `index`, get the crop and mirror of the first of them. The
            paper draws for each image; the 2012 code for 32 together.

    An image's view depends on (seed, epoch, its number) alone, or on the number of the image whose crop it shares. Raises
    DataError if the side does not fit. The paper counts 32 × 32 × 2 = 2048 views of an image, so a crop starts in one of
    the first 32 places each way (224 fits into 256 in a 33rd, which only the corners of the ten test views use).
    """
    table = draws(len(images), *room(images, side), seed, epoch)
    places = table[np.asarray(index)[np.arange(len(index)) // images_per_crop * images_per_crop]]    # (n, 3)
    channels = images.shape[3]
    if colour is not None:
        draw = colour_draws(len(images), channels, seed, epoch)[index]                      # (n, C)
        shifts = (draw[:, None] * colour).sum(axis=2)       # M α; not a matrix product, whose rounding varies with n
    if cutout:
        middles = cutout_draws(len(images), side, seed, epoch)
    views = np.empty((len(index), side, side, channels), np.float32) if out is None else out
    mirrored = np.arange(side)[::-1]
    aligned = mean.shape[:2] == images.shape[1:3]
    for n, i in enumerate(index):
        view, (top, left, mirror) = views[n], places[n]
        crop = np.s_[top:top + side, left:left + side]
        if aligned:
            np.subtract(images[i][crop], mean[crop], out=view)
        else:
            view[:] = images[i][crop]
        if mirror:
            view[:] = view.take(mirrored, axis=1)           # as view[:, ::-1], in half the time
        if not aligned:
            view -= mean
        if colour is not None:
            rows = view.reshape(side, -1)                   # (side, side·C): one long row, not C numbers, at a time
            rows += np.tile(shifts[n], side)
        if cutout:
            start = np.maximum(middles[i] - cutout // 2, 0)
            stop = middles[i] - cutout // 2 + cutout
            view[start[0]:stop[0], start[1]:stop[1]] = 0
        if np.any(np.not_equal(scale, 1)):
            view *= np.float32(scale)
    return views


# Views to test with --------------------------------------------------------------------------------------------------

def view_at(images, top, left, side, mean, scale):
    crop = np.s_[top:top + side, left:left + side]
    mean = mean[crop] if mean.shape[:2] == images.shape[1:3] else mean
    return np.subtract(images[:, *crop], mean, dtype=np.float32) * np.float32(scale)


def central_views(images, side, mean, scale=1.0):
    """(n, side, side, C) float32: the central crop of images (n, H, W, C) minus the mean, times `scale`, to validate
    and to test."""
    down, right = room(images, side)
    return view_at(images, down // 2, right // 2, side, mean, scale)


def ten_views(images, side, mean, scale=1.0):
    """Yield the ten test views of § 4.1, each (n, side, side, C) float32: the four corners and the centre of
    images (n, H, W, C), minus the mean there, times `scale`, and their mirror images."""
    down, right = room(images, side)
    for top, left in ((0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)):
        view = view_at(images, top, left, side, mean, scale)
        yield view
        yield np.ascontiguousarray(view[:, :, ::-1])        # of the mean too: image and mean are mirrored as one
