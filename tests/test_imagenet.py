"""ImageNet in all its forms: what is found where, what is prepared of it, and what becomes of odd and hostile files."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import data
from data import DataError
from imaging import decode as decoding
from imaging import items, labels, make_shard, prepare, shards, sources
from imaging.decode import decode
from imaging.views import colour_axes

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
PHOTOS = sorted((ROOT / "datasets" / "photos").glob("*.jpg"))
WNIDS = ["n01440764", "n01443537", "n02119789"]             # tench, goldfish, kit fox


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def coded(seed, size=(20, 16), format="JPEG", mode="RGB", **options):
    file = io.BytesIO()
    shape = size[::-1] if mode == "L" else (*size[::-1], len(mode))
    Image.fromarray(noise(*shape, seed=seed), mode="CMYK" if mode == "CMYK" else None).save(file, format, **options)
    return file.getvalue()


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def tar_of(members):
    """Bytes of a tar of (name, content); a str content that begins with -> is a symbolic link, with => a hard one."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type = tarfile.LNKTYPE if content.startswith("=>") else tarfile.SYMTYPE
                member.linkname = content[2:]
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


# The forms: the same images in each ----------------------------------------------------------------------------------

TRAIN = {wnid: {f"{wnid}_{i}.JPEG": coded(10 * c + i) for i in range(4)} for c, wnid in enumerate(WNIDS)}
VAL = {f"ILSVRC2012_val_{i:08}.JPEG": (WNIDS[i % 3], coded(100 + i)) for i in range(1, 7)}
DEVKIT_ID = {"n01440764": 449, "n01443537": 450, "n02119789": 1}
POSITION = {"n01440764": 0, "n01443537": 1, "n02119789": 278}              # among the thousand


def train_folders(root):
    for wnid, images in TRAIN.items():
        for name, content in images.items():
            put(root / "train" / wnid / name, content)


def flat_val(root):
    for name, (_, content) in VAL.items():
        put(root / "val" / name, content)


def folders(root):
    train_folders(root)
    for name, (wnid, content) in VAL.items():
        put(root / "val" / wnid / name, content)


def flat_with_labels(file, line):
    def make(root):
        train_folders(root)
        flat_val(root)
        put(root / file, "".join(line(i, name, wnid) for i, (name, (wnid, _)) in enumerate(VAL.items(), 1)))
    return make


def devkit_archive(root):
    train_folders(root)
    flat_val(root)
    text = "".join(f"{DEVKIT_ID[wnid]}\n" for wnid, _ in VAL.values()).encode()
    with tarfile.open(root / "ILSVRC2012_devkit_t12.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))


def archives(root):
    inner = [(f"{wnid}.tar", tar_of(TRAIN[wnid].items())) for wnid in reversed(WNIDS)]      # in no order
    put(root / "ILSVRC2012_img_train.tar", tar_of(inner))
    put(root / "ILSVRC2012_img_val.tar", tar_of((name, content) for name, (_, content) in reversed(VAL.items())))
    put(root / "ILSVRC2012_devkit_t12" / "data" / "ILSVRC2012_validation_ground_truth.txt",
        "".join(f"{DEVKIT_ID[wnid]}\n" for wnid, _ in VAL.values()))


def tar_per_class(root):
    for wnid in WNIDS:
        put(root / "train" / f"{wnid}.tar", tar_of(TRAIN[wnid].items()))
    flat_val(root)
    put(root / "val.txt", "".join(f"{name} {POSITION[wnid]}\n" for name, (wnid, _) in VAL.items()))


def kaggle(root):
    flat_with_labels("unused", lambda *_: "")(root / "ILSVRC" / "Data" / "CLS-LOC")
    (root / "ILSVRC" / "Data" / "CLS-LOC" / "unused").unlink()
    put(root / "LOC_synset_mapping.txt", "n01440764 tench, Tinca tinca\n")
    put(root / "LOC_val_solution.csv", "ImageId,PredictionString\n" + "".join(
        f"{name[:-5]},{wnid} 1 2 3 4 {wnid} 5 6 7 8\n" for name, (wnid, _) in VAL.items()))


def tiny_imagenet(root):
    for wnid, images in TRAIN.items():
        put(root / "train" / wnid / f"{wnid}_boxes.txt", "x\t0\t0\t62\t62\n")
        for name, content in images.items():
            put(root / "train" / wnid / "images" / name, content)
    for name, (wnid, content) in VAL.items():
        put(root / "val" / "images" / name, content)
    put(root / "val" / "val_annotations.txt", "".join(f"{name}\t{wnid}\t0\t32\t44\t62\n"
                                                      for name, (wnid, _) in VAL.items()))


FORMS = {"folders": folders, "devkit archive": devkit_archive, "archives": archives, "tar per class": tar_per_class,
         "kaggle": kaggle, "tiny-imagenet": tiny_imagenet,
         "name wnid": flat_with_labels("val_labels.txt", lambda i, name, wnid: f"{name} {wnid}\n"),
         "name label": flat_with_labels("val_labels.txt", lambda i, name, wnid: f"val/{name} {POSITION[wnid]}\n"),
         "ground truth": flat_with_labels(labels.TRUTH, lambda i, name, wnid: f"{DEVKIT_ID[wnid]}\n"),
         "wnid alone": flat_with_labels(labels.LABEL_FILES[-1], lambda i, name, wnid: f"{wnid}\n"),
         "csv": flat_with_labels("val_labels.csv", lambda i, name, wnid: f"{name},{wnid}\n")}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_images_and_labels(tmp_path, form):
    FORMS[form](tmp_path)
    source = sources.find(tmp_path)
    assert source.classes == WNIDS
    assert [(item.label, items.read(item)) for item in source.train()] == [
        (label, content) for label, wnid in enumerate(WNIDS) for content in TRAIN[wnid].values()]
    found = {Path(item.name).name: (WNIDS[item.label], items.read(item)) for item in source.val()}
    assert found == VAL
    before = sorted(path for path in tmp_path.rglob("*"))
    loaded = data.load(tmp_path, size=8, holdout=0.25)
    assert len(loaded.train.labels) == 9 and len(loaded.validation.labels) == 3 and len(loaded.test.labels) == 6
    assert sorted(path for path in tmp_path.rglob("*")) == before           # nothing is unpacked


@pytest.mark.parametrize("form", ["kaggle", "archives"])
def test_prepare_takes_every_form(tmp_path, form):
    FORMS[form](tmp_path / "source")
    data.main(["prepare", str(tmp_path / "source"), str(tmp_path / "out"), "--size", "8", "--workers", "1"])
    found = data.load(tmp_path / "out", holdout=0)
    assert (len(found.train.labels), len(found.test.labels), found.bad) == (12, 6, [])


def test_the_devkits_order_is_not_ours_and_goes_through_the_wnid():
    """The devkit's ground truth of the first ten validation images begins 490, 361, 171 …; counted by sorted wnid, as
    Caffe's val.txt lists them, they are 65, 970, 230 …"""
    devkit = {number: wnid for wnid, (number, _) in labels.imagenet_classes().items()}
    position = {wnid: label for label, wnid in enumerate(labels.imagenet_classes())}
    assert [position[devkit[number]] for number in (490, 361, 171, 822, 297, 482, 13, 704, 599, 164)] == [
        65, 970, 230, 809, 516, 57, 334, 415, 674, 332]


def test_the_thousand_classes():
    known = labels.imagenet_classes()
    assert len(known) == 1000 and list(known) == sorted(known)
    assert sorted(number for number, _ in known.values()) == list(range(1, 1001))
    assert known["n01440764"] == (449, "tench, Tinca tinca")
    names = labels.class_names(list(known))
    assert len(set(names)) == 1000 and names[0] == "tench" and names[207] == "golden retriever"
    assert names[134] == "crane (n02012849)" and names[517] == "crane (n03126707)"
    assert labels.class_names(["cat", "n01440764"]) == ["cat", "tench"]


@pytest.mark.parametrize("text, sentence", [
    ("", "found no label in it"),
    ("a.jpg 1001\n", "found the line 'a.jpg 1001'; expected"),
    ("0\n", "found the line '0'"),
    ("a.jpg n01440764\nn01440764\n", "found the line 'n01440764'"),
    (b"\xff\xfe\x00", "no labels can be read from it")])
def test_wrong_labels(tmp_path, text, sentence):
    train_folders(tmp_path)
    flat_val(tmp_path)
    put(tmp_path / "val.txt", text)
    with pytest.raises(DataError, match=sentence):
        sources.find(tmp_path)


def test_labels_that_are_missing(tmp_path):
    train_folders(tmp_path)
    flat_val(tmp_path)
    with pytest.raises(DataError, match="no labels for them; expected val/CLASS.*val_annotations.txt.*--labels FILE"):
        sources.find(tmp_path)
    put(tmp_path / "mine.txt", "".join(f"{name} {wnid}\n" for name, (wnid, _) in list(VAL.items())[1:]))
    found = list(sources.find(tmp_path, tmp_path / "mine.txt").val())
    assert [item.fault for item in found] == ["no label", *[""] * 5]
    with pytest.raises(DataError, match="no labels can be read from it"):
        sources.find(tmp_path, tmp_path / "nothing.txt")
    folders(tmp_path / "other")
    with pytest.raises(DataError, match="no labels are needed; leave --labels out"):
        sources.find(tmp_path / "other", tmp_path / "mine.txt")
    with pytest.raises(DataError, match="found ILSVRC2012_val_00000001.JPEG, .* and 1 more; expected the folders train/CLASS"):
        sources.find(tmp_path / "val")


# Hostile and damaged archives ----------------------------------------------------------------------------------------

def test_what_leads_out_of_an_archive_is_never_followed(tmp_path):
    """Links, absolute names and ../ are named as left out; nothing is written anywhere, and the rest is read."""
    secret = tmp_path / "secret.jpg"
    put(secret, coded(1))
    good = coded(2)
    evil = [("link.JPEG", f"->{secret}"), ("hard.JPEG", f"=>{secret}"), ("../up.JPEG", good), ("/absolute.JPEG", good),
            ("a/../../up.JPEG", good), ("fine.JPEG", good), ("notes.txt", b"passed over")]
    root = tmp_path / "source"
    inner = tar_of(evil)
    put(root / "ILSVRC2012_img_train.tar", tar_of([("n01440764.tar", inner), ("../n01443537.tar", inner)]))
    put(root / "val" / "n01440764" / "a.JPEG", good)
    before = sorted(tmp_path.rglob("*"))
    found = list(sources.find(root).train())
    assert sorted(tmp_path.rglob("*")) == before
    assert [item.name for item in found if not item.fault] == ["ILSVRC2012_img_train.tar/n01440764.tar/fine.JPEG"]
    assert len(found) == 7
    assert all("link" in item.fault or "leads out" in item.fault for item in found if "fine" not in item.name)
    for item in found:
        if item.fault:
            with pytest.raises(DataError):
                items.read(item)


def test_a_damaged_archive_loses_its_rest_and_no_more(tmp_path):
    whole = tar_of(TRAIN[WNIDS[0]].items())
    damaged = bytearray(whole)
    second = 512 + -(-len(TRAIN[WNIDS[0]][f"{WNIDS[0]}_0.JPEG"]) // 512) * 512
    damaged[second:second + 512] = bytes(range(256)) * 2
    put(tmp_path / "ILSVRC2012_img_train.tar", tar_of([
        ("n01440764.tar", bytes(damaged)), ("n01443537.tar", whole[:700]), ("n02119789.tar", b"no tar"),
        ("n02119790.tar", whole)]))
    put(tmp_path / "val" / "n01440764" / "a.JPEG", coded(2))
    found = {}
    for item in sources.find(tmp_path).train():
        found.setdefault(item.label, []).append(item.fault)
    assert found[0][0] == "" and "damaged or cut short" in found[0][1] and len(found[0]) == 2
    assert "not a whole uncompressed tar" in found[1][-1] and len(found[1]) <= 2
    assert len(found[2]) == 1 and "not a whole uncompressed tar" in found[2][0]
    assert found[3] == [""] * 4


def test_links_pipes_and_giants_in_folders(tmp_path):
    """A pipe would have a reader wait for ever."""
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    with open(tmp_path / "giant.jpg", "wb") as file:
        file.truncate(items.BYTES + 1)
    put(tmp_path / "fine.jpg", b"x")
    reasons = {}
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("waits for the pipe"))
    signal.alarm(20)
    for item in sources.files(tmp_path, "train/a"):
        try:
            reasons[item.name] = items.read(item)
        except (DataError, OSError) as error:
            reasons[item.name] = str(error)
    signal.alarm(0)
    assert reasons["train/a/fine.jpg"] == b"x" and reasons["train/a/pipe.jpg"] == "not a regular file"
    assert "No such file" in reasons["train/a/gone.jpg"]
    assert "expected 268,435,456 or fewer" in reasons["train/a/giant.jpg"]


# Odd files -----------------------------------------------------------------------------------------------------------

def png_bomb(width, height):
    """A small PNG whose header claims width × height."""
    import struct
    import zlib

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""))


def sixteen_bit():
    file = io.BytesIO()
    Image.fromarray((np.arange(256, dtype=np.uint16) * 256 + 7).reshape(16, 16)).save(file, "PNG")
    return file.getvalue()


def palette():
    file = io.BytesIO()
    Image.fromarray(noise(16, 16, 3)).quantize(16).save(file, "PNG", transparency=3)
    return file.getvalue()


def with_bad_exif():
    whole = coded(5, exif=b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0")
    return whole.replace(b"MM\0\x2a\0\0\0\x08", b"MM\0\x2a\xff\xff\xff\xf0")


READ = {"png named.JPEG": coded(1, format="PNG", mode="RGBA"), "cmyk.JPEG": coded(2, mode="CMYK"),
        "grey.JPEG": coded(3, mode="L"), "palette.PNG": palette(), "bad exif.JPEG": with_bad_exif(),
        "ein Bär über Köln\t1.JPEG": coded(6), "sixteen.png": sixteen_bit(), "one.bmp": coded(7, (1, 1), "BMP"),
        "long.gif": coded(8, (400, 3), "GIF"), "la.png": coded(9, format="PNG", mode="LA")}
LEFT_OUT = {"truncated.JPEG": coded(1, (60, 60))[:900], "empty.JPEG": b"", "text.JPEG": b"no image",
            "bomb.png": png_bomb(30_000, 20_000), "small bomb.png": png_bomb(10_001, 10_000),
            "cut.png": coded(1, (60, 60), "PNG")[:200], "html.jpg": b"<html>404</html>"}
REASONS = {"truncated.JPEG": "truncated", "empty.JPEG": "empty file", "text.JPEG": "not an image", "bomb.png": "bomb",
           "small bomb.png": "decompression bomb: 10,001 x 10,000", "cut.png": "", "html.jpg": "not an image"}


def test_odd_files_are_read_or_named_and_the_counts_add_up(tmp_path):
    odd = tmp_path / "source" / "train" / "a"
    for name, content in (READ | LEFT_OUT).items():
        put(odd / name, content)
    (odd / os.fsdecode(b"latin-\xe9.JPEG")).write_bytes(coded(4))
    put(tmp_path / "source" / "val" / "a" / "x.JPEG", coded(1))
    put(tmp_path / "source" / "val" / "strange" / "y.JPEG", coded(1))
    with pytest.raises(DataError, match="1 of the 2 files of val cannot be used, over 1%: val/strange/y.JPEG: no training "
                                        "image of strange; repair.* --broken"):
        prepare.prepare_folder(tmp_path / "source", tmp_path / "out", size=12, workers=2)
    assert not (tmp_path / "out").exists()
    began = time.monotonic()
    text = prepare.prepare_folder(tmp_path / "source", tmp_path / "out", size=12, workers=2, broken=0.6)
    assert time.monotonic() - began < 60
    assert "11 images to train, 1 to validate, 12 x 12; 8 of 20 files left out, named in" in text
    facts = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert facts["train"]["files"] == len(READ) + len(LEFT_OUT) + 1 and facts["train"]["images"] == len(READ) + 1
    bad = dict(re.match(r"[^:]*/(.*?): (.*)", line).groups()
               for line in (tmp_path / "out" / "bad_images.txt").read_text().splitlines())
    assert bad.keys() == LEFT_OUT.keys() | {"y.JPEG"}
    assert all(REASONS[name] in bad[name] for name in REASONS)
    assert bad["y.JPEG"] == "no training image of strange"
    names = [row[-1] for row in shards.index_of(tmp_path / "out", facts["train"]["shards"][0])]
    assert {os.path.basename(name) for name in names} == READ.keys() | {os.fsdecode(b"latin-\xe9.JPEG")}
    shards.check_folder(tmp_path / "out")


def test_odd_files_look_right():
    for name, content in READ.items():
        pixels = decode(content, 12)
        assert pixels.shape == (12, 12, 3) and pixels.dtype == np.uint8
        assert name == "one.bmp" or len(np.unique(pixels)) > 5, name
    assert (decode(READ["grey.JPEG"], 12) == decode(READ["grey.JPEG"], 12)[..., :1]).all()
    np.testing.assert_array_equal(decode(READ["sixteen.png"], 16)[..., 0], np.arange(256).reshape(16, 16))
    flat = io.BytesIO()
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(flat, "JPEG")       # red ink
    assert np.abs(decode(flat.getvalue(), 8).astype(int) - [255, 0, 0]).max() <= 3


def test_a_bomb_is_not_decoded(monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(DataError, match="decompression bomb: 10,001 x 10,000 pixels, expected 100,000,000"):
        decode(LEFT_OUT["small bomb.png"], 12)


@pytest.mark.parametrize("size", [(1, 1), (4000, 30), (30, 4000), (2, 3), (255, 9), (256, 256), (257, 1), (999, 1001)])
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_any_size_is_prepared(size, format):
    pixels = decode(coded(0, size, format), 256)
    assert pixels.shape == (256, 256, 3)
    if size == (256, 256) and format == "PNG":
        np.testing.assert_array_equal(pixels, noise(256, 256, 3))


def test_random_sizes_are_prepared():
    rng = np.random.default_rng(0)
    for _ in range(60):
        size, target = tuple(int(n) for n in np.ceil(10 ** rng.uniform(0, 2.6, 2))), int(rng.integers(1, 80))
        assert decode(coded(0, size, rng.choice(["JPEG", "PNG"])), target).shape == (target, target, 3), (size, target)


@pytest.mark.parametrize("size", [128, 255, 256, 300, 400])
def test_the_decoders_own_shrinking_stays_within_one_grey_level(size, monkeypatch):
    """Of photographs; an enlarged one is among them, so that there is something to shrink."""
    files, drafts = PHOTOS + sorted((SHARED / "ilsvrc_mini" / "train").glob("n0*/*.JPEG")), []
    with Image.open(PHOTOS[0]) as image:
        enlarged = io.BytesIO()
        image.resize((2000, 1700), Image.Resampling.LANCZOS).save(enlarged, "JPEG", quality=92)
    for raw in [enlarged.getvalue(), *(file.read_bytes() for file in files)]:
        with Image.open(io.BytesIO(raw)) as image:
            whole = image.size
            image.draft(None, (2 * size, 2 * size))
            drafts.append(image.size != whole)
        if drafts[-1]:
            with Image.open(io.BytesIO(raw)) as image:
                image.load()                                # once it is decoded, there is nothing to draft
                slow = decoding.prepare(image, size, 3)
            difference = np.abs(decode(raw, size).astype(int) - slow).mean()
            assert difference < 1 and (difference > 0) == (size >= 256)
    assert sum(drafts) >= 1


# Preparation ---------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def source(tmp_path_factory):
    root = tmp_path_factory.mktemp("imagenet")
    for c, wnid in enumerate(WNIDS):
        for i in range(50):
            put(root / "train" / wnid / f"{i:03}.JPEG", coded(1000 * c + i, (24 + i, 30)))
        for i in range(5):
            put(root / "val" / wnid / f"{i}.JPEG", coded(9000 + 10 * c + i))
    put(root / "train" / WNIDS[1] / "broken.JPEG", b"")
    return root


@pytest.fixture(scope="module")
def prepared(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("work") / "prepared"
    prepare.prepare_folder(source, folder, size=16, workers=2)
    return folder


@pytest.fixture(scope="module")
def larger(source, tmp_path_factory):
    """The same files four times over: ten shards."""
    root = tmp_path_factory.mktemp("larger")
    for path in source.rglob("*.JPEG"):
        for i in range(4):
            link = root / path.relative_to(source).with_stem(f"{path.stem}-{i}")
            link.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, link)
    return root


def contents(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_prepared_is_what_the_folder_is(source, prepared):
    """The same Data as without preparation: order, pixels, labels, the split; in whatever manner they are read."""
    direct, found = data.load(source, size=16), data.load(prepared)
    assert found.classes == direct.classes == WNIDS and len(found.bad) == len(direct.bad) == 1
    for a, b in zip(direct[1:4], found[1:4]):
        np.testing.assert_array_equal(a.labels, b.labels)
        images = b.images
        assert images.shape == a.images.shape and images.dtype == np.uint8 and len(images) == len(a.images)
        np.testing.assert_array_equal(images[:], a.images)
        np.testing.assert_array_equal(images[3], a.images[3])
        np.testing.assert_array_equal(images[-2:, 2:9, 1:5], a.images[-2:, 2:9, 1:5])
        np.testing.assert_array_equal(images[[4, 0, 4]], a.images[[4, 0, 4]])
        np.testing.assert_array_equal(images[2, 3:5], a.images[2, 3:5])
        mask = np.arange(len(images)) % 2 == 0
        np.testing.assert_array_equal(images.part(mask)[1:4], a.images[mask][1:4])
    with pytest.raises(DataError, match="holds RGB images of 16 x 16, but size 32 and 3 channels are requested.*--size 16"):
        data.load(prepared, size=32)


def test_statistics_equal_a_direct_computation(prepared):
    everything = np.concatenate([split.images[:] for split in data.load(prepared)[1:3]])    # the held-out ones too
    pixels = everything.astype(np.float64).reshape(-1, 3)
    facts = json.loads((prepared / "dataset.json").read_text())
    mean = np.load(prepared / "mean.npy")
    assert mean.dtype == np.float64 and mean.shape == (16, 16, 3)
    np.testing.assert_allclose(mean, everything.astype(np.float64).mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(facts["channel_mean"], pixels.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(facts["covariance"], np.cov(pixels.T, bias=True), rtol=1e-9)
    found = data.load(prepared).train.images
    np.testing.assert_array_equal(data.mean_image(found), mean.astype(np.float32))
    values, vectors = colour_axes(found)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(vectors * values @ vectors.T, np.cov(pixels.T, bias=True), rtol=1e-9)
    np.testing.assert_allclose(facts["eigenvalues"], values)
    assert values[0] >= values[1] >= values[2] >= 0


def test_the_index_names_every_image(source, prepared):
    facts = json.loads((prepared / "dataset.json").read_text())
    names = []
    for shard in facts["train"]["shards"]:
        pixels = np.load(prepared / shard["file"], mmap_mode="r")           # a shard is a plain .npy file
        assert pixels.shape == (shard["images"], 16, 16, 3)
        for row, (offset, count, _, label, wnid, name) in enumerate(shards.index_of(prepared, shard)):
            names.append(name)
            assert WNIDS[int(label)] == wnid == name.split("/")[1] and int(offset) == 128 + row * 768 and count == "768"
            np.testing.assert_array_equal(pixels[row], decode((source / name).read_bytes(), 16))
    assert len(facts["train"]["shards"]) == 3 and names == sorted(names) and len(names) == 150


def test_any_number_of_processes_gives_the_same_bytes(source, prepared, tmp_path):
    prepare.prepare_folder(source, tmp_path / "one", size=16, workers=1)
    prepare.prepare_folder(source, tmp_path / "three", size=16, workers=3)
    assert contents(tmp_path / "one") == contents(tmp_path / "three") == contents(prepared)


def test_jpeg_shards(source, tmp_path):
    prepare.prepare_folder(source, tmp_path / "out", size=16, jpeg=95, workers=1)
    raw, found = data.load(source, size=16), data.load(tmp_path / "out")
    np.testing.assert_array_equal(found.test.labels, raw.test.labels)
    assert np.abs(found.test.images[:].astype(int) - raw.test.images).mean() < 60           # noise is JPEG's worst case
    everything = np.concatenate([split.images[:] for split in found[1:3]]).astype(np.float64)
    np.testing.assert_allclose(np.load(tmp_path / "out" / "mean.npy"), everything.mean(axis=0), rtol=1e-14)  # as read
    assert "JPEG of quality 95" in shards.check_folder(tmp_path / "out")


def children(pid):
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and parent_of(entry) == pid]


def parent_of(pid):
    try:
        return int(Path("/proc", pid, "stat").read_text().rsplit(")", 1)[1].split()[1])
    except (OSError, IndexError):
        return None


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def gone_within(pids, seconds=10):
    deadline = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    left = [pid for pid in pids if alive(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return not left


def start_preparing(source, folder, size=400):
    """(A shell that runs the tests in the background has them, and what they start, ignore Ctrl-C: not here.)"""
    return subprocess.Popen([sys.executable, ROOT / "data.py", "prepare", source, folder, "--size", str(size),
                             "--workers", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def until_working(process, folder):
    """Wait for processes at work on the second shard or a later one."""
    deadline = time.monotonic() + 60
    while not (folder / "train-00000.tsv").exists():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.005)
    return children(process.pid)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_it_goes_on_to_the_same_bytes_and_leaves_no_process(larger, tmp_path, number):
    prepare.prepare_folder(larger, tmp_path / "straight", size=400, workers=2)
    process = start_preparing(larger, tmp_path / "out")
    workers = until_working(process, tmp_path / "out")
    assert workers
    process.send_signal(number)
    assert gone_within(workers)                             # else their end of the pipe would be waited for
    out, err = process.communicate(timeout=30)
    assert not (tmp_path / "out" / "dataset.json").exists(), "finished before it was stopped: take more images"
    if number == signal.SIGINT:
        assert process.returncode == 1 and "the same command resumes" in err and "Traceback" not in err
        assert not list((tmp_path / "out").glob("*.tmp"))
    with pytest.raises(DataError, match="is only partly prepared; run the same command again"):
        data.load(tmp_path / "out")
    stamp = (tmp_path / "out" / "train-00000.npy").stat().st_mtime_ns
    status = start_preparing(larger, tmp_path / "out")
    assert status.wait(60) == 0, status.communicate()
    assert (tmp_path / "out" / "train-00000.npy").stat().st_mtime_ns == stamp               # not made again
    assert contents(tmp_path / "out") == contents(tmp_path / "straight")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_a_process_that_dies_is_an_error_at_once(larger, tmp_path):
    process = start_preparing(larger, tmp_path / "out")
    workers = until_working(process, tmp_path / "out")
    victims = [pid for pid in workers if b"multiprocessing.spawn" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(victims[0], signal.SIGKILL)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 1 and "was killed for want of memory" in err and "Traceback" not in err
    assert gone_within(workers)


def test_another_order_in_the_same_folder_is_refused(source, prepared, tmp_path):
    assert "already complete" in prepare.prepare_folder(source, prepared, size=16)
    put(tmp_path / "full" / "something", "else")
    with pytest.raises(DataError, match="holds something else; expected an empty folder"):
        prepare.prepare_folder(source, tmp_path / "full", size=16)
    with pytest.raises(DataError, match="a file; expected a folder"):
        prepare.prepare_folder(source, tmp_path / "full" / "something", size=16)
    (tmp_path / "begun").mkdir()
    prepare.make_plan(source, tmp_path / "begun", 16, 0, None, 0.01)
    with pytest.raises(DataError, match=r"was begun with size=16 \(now 32\); resume with the same"):
        prepare.prepare_folder(source, tmp_path / "begun", size=32)
    with pytest.raises(DataError, match="--size must be at least 1"):
        prepare.prepare_folder(source, tmp_path / "new", size=0)
    with pytest.raises(DataError, match="--workers must be from 1 to"):
        prepare.prepare_folder(source, tmp_path / "new", workers=0)


def test_too_little_room_is_said_first(source, tmp_path):
    with pytest.raises(DataError, match=r"needs about \d+.*GB, but .* GB are free.*--jpeg 90"):
        prepare.prepare_folder(source, tmp_path / "out", size=1_000_000)


def test_no_readable_image_is_a_sentence(tmp_path):
    put(tmp_path / "source" / "train" / "a" / "x.jpg", b"")
    put(tmp_path / "source" / "val" / "a" / "x.jpg", b"")
    with pytest.raises(DataError, match="1 of the 1 files of train cannot be used, over 1%: train/a/x.jpg: empty file"):
        prepare.prepare_folder(tmp_path / "source", tmp_path / "out", size=8)


def test_check_says_what_is_there_and_finds_every_damage(source, tmp_path):
    folder = tmp_path / "out"
    prepare.prepare_folder(source, folder, size=16, workers=1)
    text = shards.check_folder(folder)
    assert "16 x 16 pixels, raw, 3 classes; every checksum is right" in text and "left out: 1 files" in text
    assert "train  150 of 151 files in 3 shards" in text and "50 to 50 a class" in text
    whole = contents(folder)

    def damaged(name, content, sentence):
        (folder / name).write_bytes(content)
        with pytest.raises(DataError, match=sentence):
            shards.check_folder(folder)
        (folder / name).write_bytes(whole[name])

    shard = bytearray(whole["train-00001.npy"])
    shard[128 + 3 * 768 + 5] ^= 1                           # one bit of one pixel
    damaged("train-00001.npy", shard, r"1 checksums are wrong: train-00001.npy at 2,432 \(train/n01443537")
    damaged("train-00001.npy", shard[:-1], "train-00001.npy: found 48,511 bytes, expected 48,512")
    damaged("train-00001.tsv", whole["train-00001.tsv"][:-70], "train-00001.tsv: not the index of its shard")
    damaged("mean.npy", whole["mean.npy"][:-1] + b"?", "mean.npy")
    damaged("mean.npy", b"", "mean.npy: cannot be read")
    damaged("dataset.json", whole["dataset.json"][:-9], "dataset.json: cannot be read")
    damaged("dataset.json", b"[]", "dataset.json: cannot be read")
    (folder / "val-00000.npy").unlink()
    with pytest.raises(DataError, match="val-00000.npy: found 0 bytes"):
        data.load(folder)
    with pytest.raises(DataError, match="is no prepared folder"):
        shards.check_folder(source)


def test_memory_does_not_grow_with_the_data_set(tmp_path):
    """Ten times as many members of an archive, or lines of a list, are gone through in as much memory."""
    peaks = []
    for count in (300, 3000):
        folder = tmp_path / str(count)
        inner = tar_of((f"{i}.JPEG", b"x") for i in range(count))
        put(folder / "ILSVRC2012_img_train.tar", tar_of([("a.tar", inner)]))
        put(folder / "train.list", b"".join(shards.line([f"{i}.JPEG", 0, "a.tar", 0, 1, ""]) for i in range(count)))
        tracemalloc.start()
        assert sum(1 for _ in sources.class_parts(folder / "ILSVRC2012_img_train.tar")["a"]()) == count
        job = make_shard.Job(str(folder), "train", 0, 8, 0, ["a"], 0, count)
        assert sum(1 for _ in make_shard.read_list(job)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


# Real photographs ----------------------------------------------------------------------------------------------------

@pytest.mark.skipif(not (SHARED / "ilsvrc_mini").is_dir(), reason="needs shared/data/ilsvrc_mini beside the project")
def test_ilsvrc_mini(tmp_path):
    """Its two validation images are wigs, of which it has none to train: that is an error. The PNG named JPEG is read."""
    with pytest.raises(DataError, match="2 of the 2 files of val cannot be used, over 100%: .*no training image of n04584207"):
        prepare.prepare_folder(SHARED / "ilsvrc_mini", tmp_path / "out", size=64, broken=1)
    text = prepare.prepare_folder(SHARED / "ilsvrc_mini" / "train", tmp_path / "out", size=64)
    found = re.search("(\\d+) images to train, (\\d+) to test, 64 x 64; 0 of 127 files left out\\n20% of every class held", text)
    assert int(found[1]) + int(found[2]) == 127 and int(found[2]) >= 1
    odd = {}
    for file in sorted((SHARED / "ilsvrc_mini" / "odd").iterdir()):
        try:
            odd[file.name] = decode(file.read_bytes(), 64)
        except Exception as error:
            odd[file.name] = decoding.reason(error)
    assert [name for name, found in odd.items() if isinstance(found, str)] == ["truncated_jpeg.jpg"]
    assert "truncated" in odd["truncated_jpeg.jpg"] and len(odd) == 11
