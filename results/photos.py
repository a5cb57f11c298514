"""Photographs: found in files and folders, and prepared for a net."""

import io
import sys
from pathlib import Path

from PIL import ImageOps, UnidentifiedImageError

import data
from imaging.decode import opened
from training.errors import expect


def photograph(file, net):
    """(the image as the net takes it, (size, size, C) uint8; the same square to show, (H, H, 3) uint8, H up to 400).

    file: a name, a Path or a binary file. It is decoded like a training set's images (imaging/decode.py), except that it is
    turned by its EXIF orientation, which photographs from telephones need. Raises DataError for an image of more than 100
    million pixels, which is not decoded, or with more than 16 bits a channel, and Pillow's exceptions for a file that is no
    image.
    """
    raw = file.read() if hasattr(file, "read") else Path(file).read_bytes()
    with opened(raw) as image:
        image = ImageOps.exif_transpose(image)
        shown = data.prepare(image, min(400, *image.size), 3)
        return data.prepare(image, net.size, net.channels), shown


def find(places):
    """Yield (name, the file or its bytes) of each image in a list of files, folders and "-" (standard input)."""
    for place in places:
        if place == "-":
            yield "standard input", io.BytesIO(sys.stdin.buffer.read())
        elif Path(place).is_dir():
            inside = [path for path in sorted(Path(place).iterdir()) if path.suffix.lower() in data.ENDINGS
                      and not path.name.startswith(".")]
            expect(inside, f"{place} has no images: expected files ending in {', '.join(sorted(data.ENDINGS))}")
            yield from ((str(path), path) for path in inside)
        else:
            yield place, place


def photographs(places, net):
    """([(name, prepared, shown), …] as `photograph` returns them; how many could not be read: each is reported, and the
    others are used)."""
    found, broken = [], 0
    for name, file in find(places):
        try:
            found.append((name, *photograph(file, net)))
        except Exception as error:                          # damaged bytes can raise anything
            reason = {UnidentifiedImageError: "not an image", FileNotFoundError: "there is no such file"}.get(
                type(error), str(error) or repr(error))
            print(f"evaluate.py: {name}: {reason}", file=sys.stderr)
            broken += 1
    expect(found, "no image could be read: name photographs, folders of them, or - for standard input")
    return found, broken
