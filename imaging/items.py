"""Image files, each alone or in a tar archive: where the bytes of one are, and what is in an archive.

Members of an archive are read at their offset and never extracted; links in it are not followed.
"""

import os
import re
import stat
import tarfile
from typing import NamedTuple

from imaging.common import DataError, require

ENDINGS = {".jpeg", ".jpg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm",
           ".pnm", ".jp2", ".avif"}
BYTES = 1 << 28                                             # in one image file


class Item(NamedTuple):
    """One image file, and the place of its bytes."""
    name: str       # inside the source, for the index and for bad_images.txt
    label: int      # the position of its class; -1: none
    path: str       # the file, or the archive that it is in
    offset: int     # in the archive; -1: no archive
    size: int       # bytes in the archive
    fault: str      # why it cannot be taken, where that is known without reading it; else ""


def read(item):
    """The bytes of an item. Raises DataError if they cannot be an image's, OSError if the file system fails."""
    require(not item.fault, item.fault)
    if item.offset < 0:
        state = os.stat(item.path)
        require(stat.S_ISREG(state.st_mode), "not a regular file")      # reading a pipe would wait for ever
        require(state.st_size <= BYTES, f"{state.st_size:,} bytes, expected {BYTES:,} or fewer")
    with open(item.path, "rb") as file:
        if item.offset < 0:
            return file.read()
        file.seek(item.offset)
        raw = file.read(item.size)
        require(len(raw) == item.size, "the archive is cut short")
        return raw


def is_image(name, endings=ENDINGS):
    base = os.path.basename(name)
    return not base.startswith(".") and os.path.splitext(base)[1].lower() in endings


class Section:
    """A stretch of an open file as a file of its own, for tarfile."""

    def __init__(self, file, offset, size):
        self.file, self.start, self.size, self.position = file, offset, size, 0

    def tell(self):
        return self.position

    def seek(self, position, whence=os.SEEK_SET):
        self.position = position + {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.size}[whence]
        return self.position

    def read(self, count=-1):
        left = max(0, self.size - self.position)
        self.file.seek(self.start + self.position)
        data = self.file.read(left if count < 0 else min(count, left))
        self.position += len(data)
        return data


class Passed:
    """Counts the files that are passed over, by kind, and remembers the first name of each kind."""

    def __init__(self):
        self.kinds = {}                     # {kind: [how many, the first name]}

    def add(self, name, kind=None, count=1):
        """kind: default the ending of the name."""
        kind = kind or os.path.splitext(name)[1].lower() or "without an ending"
        self.kinds.setdefault(kind, [0, name])[0] += count

    def lines(self):
        """["3 .txt, the first train/cat/readme.txt", …], the most frequent kind first."""
        return [f"{count:,} {kind}, {'the first ' if count > 1 else ''}{name}".encode(errors="replace").decode()
                for kind, (count, name) in sorted(self.kinds.items(), key=lambda pair: (-pair[1][0], pair[0]))]


def members(path, endings=ENDINGS, offset=0, size=None, name=None, passed=None):
    """The Items of an uncompressed tar, or of one within another (offset, size), in its order. A member that is no plain
    file, or whose name leads elsewhere, has a fault; a damaged archive ends in an Item with that fault. passed: a Passed
    for the members without an image's ending. Raises OSError if the file system fails."""
    name = name or path.name
    try:
        with open(path, "rb") as file:
            section = Section(file, offset, os.fstat(file.fileno()).st_size if size is None else size)
            with tarfile.open(fileobj=section, mode="r:") as tar:
                while member := tar.next():
                    tar.members.clear()                     # else tarfile remembers them all
                    fault = fault_of(member)
                    if fault or not member.isdir() and is_image(member.name, endings):
                        yield Item(f"{name}/{member.name}", -1, str(path), offset + member.offset_data, member.size,
                                   fault)
                    elif passed and not member.isdir():
                        passed.add(f"{name}/{member.name}")
                section.seek(tar.offset)
                mark = section.read(512)
                require(len(mark) == 512 and not any(mark), f"damaged or cut short at byte {tar.offset:,}: its other "
                                                            "images are lost")
    except (tarfile.TarError, DataError) as error:
        yield Item(name, -1, str(path), offset, 0, f"not a whole uncompressed tar ({error})")


def fault_of(member):
    if member.name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", member.name):
        return "its name leads out of the archive"
    if member.issym() or member.islnk():
        return f"a link to {member.linkname}, not followed"
    if member.isdir():
        return ""
    if not member.isreg() or member.issparse():
        return "not a plain file"
    if member.size > BYTES and not member.name.endswith(".tar"):
        return f"{member.size:,} bytes, expected {BYTES:,} or fewer"
    return ""
