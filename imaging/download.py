"""Download CIFAR-10."""

import hashlib
import http.client
import os
import tarfile
import tempfile
import urllib.request
from pathlib import Path

from tqdm import tqdm

from imaging import arrays
from imaging.arrays import CIFAR_FILES, CIFAR_FOLDER, CIFAR_RECORD, read_cifar10
from imaging.common import DataError, require

CIFAR_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
CIFAR_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"


def download(archive=None):
    """Put CIFAR-10's binary files into datasets/, from `archive` if given, else from its authors' site."""
    folder = arrays.DATASETS / CIFAR_FOLDER
    try:
        return f"{read_cifar10(folder)[0]}: already complete"
    except DataError:
        arrays.DATASETS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arrays.DATASETS) as scratch:
        if archive is None:
            archive = Path(scratch, "archive")
            fetch(CIFAR_URL, archive)
        with open(archive, "rb") as file:
            md5 = hashlib.file_digest(file, "md5").hexdigest()
        require(md5 == CIFAR_MD5, f"{archive}: its md5 is {md5}, expected {CIFAR_MD5}; fetch it again")
        with tarfile.open(archive, "r:gz") as tar:          # no extractall: a member may be a link or have any path
            members = {member.name: member for member in tar if member.isreg()}
            for name in CIFAR_FILES:
                member = members.get(f"{CIFAR_FOLDER}/{name}")
                require(member and member.size <= 10_000 * CIFAR_RECORD, f"{archive}: no usable {name}; fetch it again")
                Path(scratch, name).write_bytes(tar.extractfile(member).read())
        folder.mkdir(exist_ok=True)
        for name in CIFAR_FILES:
            os.replace(Path(scratch, name), folder / name)
    return read_cifar10(folder)[0]


def fetch(url, path):
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, open(path, "wb") as file, \
                tqdm(unit="B", unit_scale=True, disable=None) as bar:
            bar.total = int(answer.headers.get("Content-Length", 0))
            while block := answer.read(1 << 20):
                file.write(block)
                bar.update(len(block))
    except (OSError, http.client.HTTPException) as error:
        raise DataError(f"{url}: cannot be fetched ({error}); check the network and the disk, or fetch it elsewhere "
                        "and pass it with --from FILE") from error
