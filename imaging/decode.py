"""The bytes of one image file → a square of pixels, as § 2 prepares them: the short side scaled to `size`, up or down,
and the centre cut out."""

import io
from contextlib import contextmanager

import numpy as np
from PIL import Image, UnidentifiedImageError

from imaging.common import DataError, require
from imaging.items import read

PIXELS = 100_000_000    # in one image; more is a decompression bomb, refused after reading its header


class Broken(ValueError):
    """A file whose bytes were read and are no image; the message says why, in one line."""


def decode_item(item, size, channels=3):
    """(size, size, C) uint8 of an items.Item. Raises Broken for bytes that are no image; DataError if the file system does
    not give the bytes, so that no image is left out because a disk or a network failed."""
    try:
        raw = read(item)
    except DataError as error:
        raise Broken(reason(error)) from error
    except OSError as error:
        raise DataError(f"{item.path}: cannot be read ({error.strerror or error}); make it readable, and run the "
                        "same command again") from error
    try:
        return decode(raw, size, channels)
    except MemoryError:
        raise
    except Exception as error:                              # damaged bytes can raise anything
        raise Broken(reason(error)) from error


def decode(raw, size, channels=3):
    """(size, size, C) uint8 of an image file's bytes, or raises an exception of any type, which `reason` describes.

    Pixels stay as they are stored: an EXIF orientation is ignored; what is transparent becomes white;
    CMYK, palettes and the like become RGB as Pillow converts them; 16-bit greys keep their upper 8 bits. The content,
    not the name, determines the format; of several frames the first is used.
    """
    with opened(raw) as image:
        return prepare(image, size, channels)


@contextmanager
def opened(raw):
    """The Pillow image in a file's bytes, 8 bits a channel. Raises DataError for an empty file, a bomb or another kind of
    pixels, and what Pillow raises for damaged bytes."""
    require(len(raw), "empty file")
    with Image.open(io.BytesIO(raw)) as image:
        require(image.width * image.height <= PIXELS, f"decompression bomb: {image.width:,} x {image.height:,} pixels, "
                                                      f"expected {PIXELS:,} in all or fewer")
        if image.mode.startswith("I;16"):
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        require(image.mode[0] not in "IF", f"{image.mode} pixels, expected 8 or 16 bits a channel")
        yield image


def reason(error):
    """Why a file could not be read, in one line."""
    known = "not an image" if isinstance(error, UnidentifiedImageError) else getattr(error, "strerror", None)
    text = known or str(error) or repr(error)
    return " ".join(text.split())


def prepare(image, size, channels):
    """(H, W, C) uint8 of a Pillow image, on white where it is transparent: its short side becomes `size` pixels, then its
    central square is cut out.

    The square is cut first and then scaled: the same square but for a shift of less than a pixel, without a large
    intermediate image. Shrinking averages all pixels near a new one (Pillow's BILINEAR; the paper names no filter). size
    None keeps H and W.

    A JPEG file that has not been decoded yet is decoded at 1/2, 1/4 or 1/8 of its size, where twice `size` is left of
    both sides and `size` is at least 256: there the mean difference stays under 1 grey level (0.6 at most, in 133
    photographs; with only `size` left 2.6, and at 64 pixels 4.4, so there it is not done).
    """
    width, height = image.size
    if size is not None and size >= 256 and image.format == "JPEG":
        image.draft(None, (2 * size, 2 * size))
    mode = "L" if channels == 1 else "RGB"
    image = on_white(image) if image.has_transparency_data else image
    image = image if image.mode == mode else image.convert(mode)
    if size is not None:
        short = min(width, height)
        left, top = (width - short) // 2, (height - short) // 2     # whole pixels of the file: no blur at scale 1
        across, down = image.width / width, image.height / height   # 1, or what is left
        box = (left * across, top * down, min((left + short) * across, image.width),
               min((top + short) * down, image.height))
        image = image.resize((size, size), Image.Resampling.BILINEAR, box=box)
    return np.asarray(image).reshape(image.height, image.width, channels)


def on_white(image):
    """An image with transparency → RGB, as it looks on white paper."""
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")
