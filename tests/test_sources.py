"""Folders as people have them: their habitual forms, what is passed over, what is left out, and what fails on the way."""

import gzip
import io
import json
import os
import struct
import subprocess
import sys
import tarfile
import tracemalloc
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from test_fuzz import flipped, flipped_at_the_head, huge, overwritten, spliced, truncated

import data
from data import DataError
from imaging import labels, pictures, prepare, shards, sources
from imaging.arrays import read_idx
from imaging.decode import decode
from nn import checkpoint
from results import figures
from results.photos import photograph

ROOT = Path(__file__).resolve().parents[1]
SHADES = {"cat": 10, "dog": 120, "owl": 230}               # a class is recognised by the colour of its images


def photo(path, name, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((9, 12, 3), SHADES.get(name, 60), np.uint8)).save(path, **options)


def split(root, names=("cat", "dog"), count=10):
    for name in names:
        for i in range(count):
            photo(root / name / f"{name}{i}.png", name)


def expect_right(*splits):
    """Every image has the label of its colour."""
    for part in splits:
        assert len(part.labels) and set(part.images[:, 0, 0, 0]) <= set(SHADES.values())
        np.testing.assert_array_equal([list(SHADES.values()).index(x) for x in part.images[:, 0, 0, 0]], part.labels)


@pytest.mark.parametrize("names", [("train", "val"), ("train", "valid"), ("train", "validation"), ("train", "test"),
                                   ("Train", "Val"), ("TRAINING", "TESTING"), ("training", "Validation")])
def test_two_splits_by_any_of_their_names(tmp_path, names):
    split(tmp_path / names[0])
    split(tmp_path / names[1], count=4)
    found = data.load(tmp_path, size=8, holdout=0.2)
    assert [len(part.labels) for part in found[1:4]] == [16, 4, 8] and found.classes == ["cat", "dog"]
    expect_right(*found[1:4])
    prepare.prepare_folder(tmp_path, tmp_path / "out", size=8, workers=1)
    again = data.load(tmp_path / "out", holdout=0.2)
    for one, other in zip(found[1:4], again[1:4]):
        np.testing.assert_array_equal(one.images, other.images[:])


def test_three_splits(tmp_path):
    """val validates and test tests; nothing is held out."""
    for name, count in ("train", 10), ("val", 3), ("test", 4):
        split(tmp_path / "source" / name, count=count)
    text = prepare.prepare_folder(tmp_path / "source", tmp_path / "out", size=8, workers=1)
    assert "20 images to train, 6 to validate, 8 to test, 8 x 8; 0 of 34 files left out" in text
    assert "test   8 of 8 files" in shards.check_folder(tmp_path / "out")
    for source in tmp_path / "source", tmp_path / "out":
        found = data.load(source, 8, holdout=0.3)
        assert [len(part.labels) for part in found[1:4]] == [20, 6, 8]
        expect_right(*(part._replace(images=part.images[:]) for part in found[1:4]))


@pytest.mark.parametrize("form", ["CLASS", "train/CLASS"])
def test_without_splits_a_fifth_tests(tmp_path, form):
    split(tmp_path / form.removesuffix("CLASS"))
    found = data.load(tmp_path, size=8)
    assert [len(part.labels) for part in found[1:4]] == [14, 2, 4] and found.name.endswith("20% of every class held out for testing")
    assert Counter(found.test.labels) == {0: 2, 1: 2}
    expect_right(*found[1:4])

    def tested(**options):
        return [item.name for item in sources.find(tmp_path, **options).splits["test"]()]

    assert tested() == tested(seed=0) != tested(seed=1)
    source = sources.find(tmp_path)
    assert sorted([item.name for items in source.splits.values() for item in items()]) == sorted(
        f"{path.parent.parent.name}/{path.parent.name}/{path.name}" for path in tmp_path.rglob("*.png"))


def test_val_alone_evaluates(tmp_path):
    split(tmp_path / "val")
    found = data.load(tmp_path, 8, parts=("test",))
    assert len(found.train.labels) == 0 and found.classes == ["cat", "dog"]
    expect_right(found.test)
    with pytest.raises(DataError, match="no training image is left|found no image for train"):
        data.load(tmp_path, 8)


def test_four_images_a_class_can_be_evaluated(tmp_path):
    split(tmp_path / "train", count=4)
    split(tmp_path / "val", count=1)
    assert len(data.load(tmp_path, 8, parts=("test",)).test.labels) == 2
    with pytest.raises(DataError, match="no validation image is left when 10% of every class are held out of 8 images"):
        data.load(tmp_path, 8)


def test_an_evaluation_reads_no_split_that_it_does_not_need(tmp_path):
    split(tmp_path / "train", count=2)
    split(tmp_path / "val", count=2)
    (tmp_path / "train" / "cat" / "cat0.png").write_bytes(b"broken")
    assert data.load(tmp_path, 8, parts=("test",)).bad == []


WNIDS = dict(zip(("n01440764", "n01443537"), ("cat", "dog")))


def test_flat_folders_with_the_wnid_in_each_name(tmp_path):
    """As Hugging Face's archives of ImageNet unpack."""
    for number, (wnid, name) in enumerate(WNIDS.items()):
        for i in range(5):
            photo(tmp_path / "train" / f"{wnid}_{9 - i}_{wnid}.JPEG", name, format="PNG")
        photo(tmp_path / "val" / f"ILSVRC2012_val_0000000{number}_{wnid}.JPEG", name, format="PNG")
    found = data.load(tmp_path, 8, holdout=0.2)
    assert found.classes == list(WNIDS) and [len(part.labels) for part in found[1:4]] == [8, 2, 2]
    expect_right(*found[1:4])
    photo(tmp_path / "train" / "stray.png", "cat")
    assert data.load(tmp_path, 8, holdout=0.2).passed == ["1 images beside the folders of classes, train/stray.png"]


def test_forms_that_are_known_but_not_read_are_named(tmp_path):
    (tmp_path / "train_images_0.tar.gz").write_bytes(b"")
    with pytest.raises(DataError, match="Hugging Face's compressed archives: unpack them"):
        data.load(tmp_path)
    (tmp_path / "parquet" / "data").mkdir(parents=True)
    (tmp_path / "parquet" / "data" / "train-00000-of-00001.parquet").write_bytes(b"")
    with pytest.raises(DataError, match="these are Parquet files"):
        data.load(tmp_path / "parquet")
    (tmp_path / "web" / "train").mkdir(parents=True)
    with tarfile.open(tmp_path / "web" / "train" / "shard-000000.tar", "w") as tar:
        for name in "0001.jpg", "0001.cls":
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(DataError, match="a shard of WebDataset; expected one tar for each class"):
        data.load(tmp_path / "web")


@pytest.mark.parametrize("names", [("train2017", "val2017"), ("images",), ("a/x", "a/y"), ()])
def test_no_form_is_guessed(tmp_path, names):
    """The message lists what is there; it names no format that nothing points to."""
    for name in names:
        photo(tmp_path / name / "cat.png", "cat")
    with pytest.raises(DataError) as error:
        data.load(tmp_path)
    assert f"found {', '.join(sorted({name.split('/')[0] + '/' for name in names})) or 'nothing'}; expected" in str(error.value)
    assert "lacks" not in str(error.value)


def test_class_folders_that_differ(tmp_path):
    split(tmp_path / "train")
    split(tmp_path / "val", ("Cat", "Dog"))
    with pytest.raises(DataError, match=r"found the classes Cat, Dog, none of them in train \(cat, dog\): .*capitals too"):
        data.load(tmp_path)


@pytest.mark.parametrize("names", [("val", "valid"), ("Val", "val"), ("val", "validation")])
def test_two_folders_of_one_split_are_an_error(tmp_path, names):
    """None of them is left out silently."""
    for name in ("train", *names):
        split(tmp_path / name)
    with pytest.raises(DataError, match=f"found {', '.join(sorted(names))}, which name one split; expected one of them"):
        data.load(tmp_path)


def test_classes_go_before_a_leftover_list(tmp_path):
    split(tmp_path / "train")
    split(tmp_path / "val")
    (tmp_path / "val" / "val_annotations.txt").write_text("x.png\tcat\n")
    found = data.load(tmp_path, 8)
    expect_right(found.test)
    assert found.passed == ["1 .txt, val/val_annotations.txt"]


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize("form", ["-images-idx3-ubyte", "-images-idx3-ubyte.gz", "-images.idx3-ubyte"])
def test_idx_files(tmp_path, form):
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in ("train", 20), ("t10k", 6):
        for kind, array in (("images", rng.integers(0, 256, (count, 7, 5), np.uint8)),
                            ("labels", (np.arange(count) % 3).astype(np.uint8))):
            arrays[part, kind], name = array, part + form.replace("images", kind).replace("idx3", "idx3" if kind == "images" else "idx1")
            (tmp_path / name).write_bytes(gzip.compress(idx(array)) if name.endswith(".gz") else idx(array))
    found = data.load(tmp_path, holdout=0)
    np.testing.assert_array_equal(found.train.images[..., 0], arrays["train", "images"])
    np.testing.assert_array_equal(found.test.labels, arrays["t10k", "labels"])
    assert found.classes == ["0", "1", "2"]
    path = next(tmp_path.glob("t10k-im*"))
    huge = struct.pack(">HBB3I", 0, 8, 3, 1 << 31, 1 << 31, 2)
    whole = idx(arrays["t10k", "images"])
    for wrong in b"", whole[:-1], whole + b"x", b"<html>", huge, huge[:9], struct.pack(">HBBI", 0, 13, 1, 0):
        path.write_bytes(wrong)
        with pytest.raises(DataError, match="not a readable idx file"):
            data.load(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match="found t10k-labels.*train-images.*; expected four files of one set"):
        data.load(tmp_path)


SPOIL = [truncated, flipped, flipped_at_the_head, overwritten, spliced, huge]


def test_spoiled_idx_files(tmp_path):
    """Each is read or ends in a sentence; none takes more memory than its length allows."""
    rng, path = np.random.default_rng(0), tmp_path / "train-images-idx3-ubyte"
    whole = idx(rng.integers(0, 256, (20, 7, 5), np.uint8))
    refused = 0
    tracemalloc.start()
    for number in range(300):
        data = [whole, gzip.compress(whole)][number % 2]
        path.write_bytes(SPOIL[number // 2 % len(SPOIL)](data, rng))
        try:
            assert read_idx(path).dtype == np.uint8
        except DataError as error:
            assert "not a readable idx file" in str(error)
            refused += 1
    assert refused > 100 and tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


# Nothing is left out silently -------------------------------------------------------------------------------------------

def test_files_found_are_used_bad_or_passed_over(tmp_path):
    source = tmp_path / "source"
    split(source / "train", count=200)
    split(source / "val", count=2)
    photo(source / "train" / "dog" / "deeper" / "still" / "nested.jpg", "dog")
    photo(source / "train" / "dog" / "other.ppm", "dog")
    (source / "train" / "cat" / "broken.jpg").write_bytes(b"<html>")
    for name in ("train/cat/a.heic", "train/cat/b.HEIC", "train/cat/notes", "train/cat/.hidden", "train/readme.txt", "val/cat/x.json"):
        (source / name).write_bytes(b"?")
    photo(source / "val" / "flat.png", "cat")
    (source / "train" / "empty").mkdir()
    photo(source / "extra" / "cat" / "one.png", "cat")              # beside the splits
    photo(source / "extra" / "two.png", "cat")
    photo(source / "sample.png", "cat")
    for name in ("extra/cat/c.heic", "ILSVRC2012_img_train.tar", "val.txt", ".beside"):    # (an archive that was unpacked; labels)
        (source / name).write_bytes(b"?")
    expected = ["3 .heic, the first extra/cat/c.heic", "2 hidden files or folders, the first .beside", "2 images in a folder beside train and val, the first extra/two.png",
                "1 .json, val/cat/x.json", "1 .tar, ILSVRC2012_img_train.tar", "1 .txt, train/readme.txt",
                "1 folders without images, train/empty", "1 images beside the folders, sample.png",
                "1 images beside the folders of classes, val/flat.png", "1 without an ending, train/cat/notes"]
    found = data.load(source, 8)
    assert found.passed == expected and len(found.bad) == 1
    assert sum(len(part.labels) for part in found[1:4]) == 406
    text = prepare.prepare_folder(source, tmp_path / "out", size=8, workers=1)
    for line in expected:
        assert f"passed over: {line}" in text and f"passed over: {line}" in shards.check_folder(tmp_path / "out")
        assert f"passed over: {line}" in data.describe(data.load(tmp_path / "out"))


def test_a_file_system_that_fails_stops_and_the_same_command_goes_on(tmp_path, monkeypatch):
    """Nothing is marked as broken because it could not be read; afterwards every image is there."""
    split(tmp_path / "source" / "train", count=80)
    split(tmp_path / "source" / "val", count=2)
    gone = tmp_path / "source" / "train" / "dog" / "dog79.png"
    content = gone.read_bytes()
    arguments = dict(size=8, workers=1)
    real = sources.find

    def find(*args, **kwargs):
        found = real(*args, **kwargs)
        return found._replace(splits=found.splits | {"val": lambda passed=None: (gone.unlink(missing_ok=True), *found.val(passed))[1:]})

    monkeypatch.setattr(sources, "find", find)                  # the file vanishes after it was listed
    with pytest.raises(DataError, match=r"dog79.png: cannot be read \(No such file or directory\); make it readable, and run"):
        prepare.prepare_folder(tmp_path / "source", tmp_path / "out", **arguments)
    monkeypatch.undo()
    gone.write_bytes(content)
    text = prepare.prepare_folder(tmp_path / "source", tmp_path / "out", **arguments)
    assert "160 images to train, 4 to validate, 8 x 8; 0 of 164 files left out" in text
    files = data.load(tmp_path / "source", 8, lazy=True, holdout=0).train.images
    gone.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        files[:]
    assert files.bad == []


def test_files_that_were_broken_are_read_again_after_an_error(tmp_path):
    split(tmp_path / "source" / "train", count=20)
    split(tmp_path / "source" / "val", count=2)
    bad = tmp_path / "source" / "train" / "cat" / "cat3.png"
    content = bad.read_bytes()
    bad.write_bytes(content[:40])
    for _ in range(2):
        with pytest.raises(DataError, match="1 of the 40 files of train cannot be used, over 1%: train/cat/cat3.png"):
            prepare.prepare_folder(tmp_path / "source", tmp_path / "out", size=8, workers=1)
    assert not (tmp_path / "out" / "dataset.json").exists()
    bad.write_bytes(content)
    assert "0 of 44 files left out" in prepare.prepare_folder(tmp_path / "source", tmp_path / "out", size=8, workers=1)
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".json", ".npy", ".npy", ".npy", ".tsv", ".tsv", ".txt"]


def test_two_at_once(tmp_path):
    with prepare.alone_in(tmp_path / "out"), pytest.raises(DataError, match="another process is preparing it"):
        prepare.prepare_folder(tmp_path, tmp_path / "out")
    with pytest.raises(DataError, match="found nothing"):               # the lock is released, and the empty folder gone
        (tmp_path / "nothing").mkdir()
        prepare.prepare_folder(tmp_path / "nothing", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_relative_path_finds_the_labels_that_the_absolute_one_finds(tmp_path):
    split(tmp_path / "ILSVRC" / "Data" / "CLS-LOC" / "train", WNIDS.keys(), 2)
    photo(tmp_path / "ILSVRC" / "Data" / "CLS-LOC" / "val" / "ILSVRC2012_val_00000001.JPEG", "cat", format="PNG")
    (tmp_path / "LOC_val_solution.csv").write_text("ImageId,PredictionString\nILSVRC2012_val_00000001,n01443537 1 2 3 4 \n")
    code = "from imaging import sources; print([item.label for item in sources.find('.').val()])"
    for folder in tmp_path, tmp_path / "ILSVRC" / "Data" / "CLS-LOC":
        done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True,
                              env=os.environ | {"PYTHONPATH": str(ROOT)})
        assert done.stdout == "[1]\n", done.stderr


# Labels ------------------------------------------------------------------------------------------------------------------

def flat(root, classes, count=6):
    split(root / "train", classes, 2)
    for i in range(1, count + 1):
        photo(root / "val" / f"v_{i}.png", "cat")


@pytest.mark.parametrize("text", [
    'image;class\n"v_1.png";"polar bear"\n"v_2.png";"ant"\n', "v_1.png,polar bear\nv_2.png,ant\n", "v_1.png polar bear\nv_2.png ant\n",
    "v_1.png\tpolar bear\t0\t1\t2\t3\nv_2.png\tant\t0\t1\t2\t3\n", 'v_1,"polar bear",x\nv_2,ant,y\n', "filename,label\nsub/v_1.PNG,polar bear\nv_2.png,ant\n",
    "v_1.png,polar bear 1 2 3 4 polar bear 5 6 7 8\nv_2.png,ant 1 2 3 4\n", "polar bear\nant\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_labels_in_csv_with_quotes_marks_and_byte_order_marks(tmp_path, text, encoding):
    flat(tmp_path, ("ant", "polar bear"), 2)
    (tmp_path / "val_labels.csv").write_text(text, encoding=encoding)
    assert [item.label for item in sources.find(tmp_path).val()] == [1, 0]


@pytest.mark.parametrize("text", ["v_{} {}\n", "{1}\n", "v_{}.png,{}\n"])
def test_the_name_of_a_class_goes_before_a_position(tmp_path, text):
    """Classes 1, 2, 10 in sorted order are 1, 10, 2: a number in the list is a name."""
    flat(tmp_path, ("1", "2", "10"))
    names = ["10", "2", "1", "2", "10", "1"]
    (tmp_path / "val.txt").write_text("".join(text.format(i, name) for i, name in enumerate(names, 1)))
    source = sources.find(tmp_path)
    assert [source.classes[item.label] for item in source.val()] == names
    (tmp_path / "val.txt").write_text("".join(text.format(i, "0") for i in range(1, 7)))
    with pytest.raises(DataError, match="found the line '.*0'; expected .*: a training class$"):
        sources.find(tmp_path)


def test_another_years_list_is_refused(tmp_path):
    split(tmp_path / "train", WNIDS.keys(), 1)
    photo(tmp_path / "val" / "ILSVRC2012_val_00000001.JPEG", "cat", format="PNG")
    (tmp_path / "ILSVRC2010_validation_ground_truth.txt").write_text("449\n")
    with pytest.raises(DataError, match="a list of the year 2010, whose numbers mean other classes than those of 2012"):
        sources.find(tmp_path, tmp_path / "ILSVRC2010_validation_ground_truth.txt")
    (tmp_path / labels.TRUTH).write_text("78\n" * 50_000)
    with pytest.raises(DataError, match="a list of another year"):
        sources.find(tmp_path)
    (tmp_path / labels.TRUTH).write_text("490\n361\n171\n822\n297\n" + "449\n" * 49_995)
    assert [item.fault for item in sources.find(tmp_path).val()] == ["no training image of n01751748"]


# Decoding and places -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(mode):
    image = Image.new("RGBA", (8, 8), (200, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 4, 8))
    file = io.BytesIO()
    image = image.convert("LA") if mode == "LA" else image.quantize() if mode == "P" else image
    image.save(file, "PNG")
    pixels = decode(file.getvalue(), 8)
    assert (pixels[:, :3] == 255).all() and (pixels[:, 5:, 1] < 100).all()


def test_show_of_a_folder(tmp_path, capsys):
    """All of its splits, also where one is too small to hold some out."""
    split(tmp_path / "train", count=3)
    split(tmp_path / "val", count=2)
    (tmp_path / "train" / "cat" / "x.heic").write_bytes(b"?")
    data.main(["show", str(tmp_path), "--size", "8"])
    out = capsys.readouterr().out
    assert "train: 6 x 8 x 8 x 3\nvalidation: 0 x 8 x 8 x 3\ntest: 4 x 8 x 8 x 3\n" in out
    assert "passed over: 1 .heic, train/cat/x.heic" in out


def test_show_prints_before_it_draws(tmp_path, capsys):
    split(tmp_path / "source" / "train", count=10)
    split(tmp_path / "source" / "val", count=1)
    prepare.prepare_folder(tmp_path / "source", tmp_path / "out", size=8, workers=1)
    with pytest.raises(SystemExit) as error:
        data.main(["show", str(tmp_path / "out"), "--out", str(tmp_path / "nowhere" / "sheet.png")])
    assert "cannot be written (No such file or directory); name another file with --out" in str(error.value)
    assert "train: 18 x 8 x 8 x 3" in capsys.readouterr().out


@pytest.mark.parametrize("program", [["data.py", "prepare", "source", "file/out"], ["data.py", "show", "--augment", "source"],
                                     ["evaluate.py", "classify", "--weights", "source"], ["train.py", "--out", "/proc/none"],
                                     ["train.py", "--out", "/dev/null/run"]])
def test_the_systems_errors_are_sentences(program, tmp_path):
    split(tmp_path / "source" / "train")
    split(tmp_path / "source" / "val")
    (tmp_path / "file").write_text("a file, no folder")
    done = subprocess.run([sys.executable, ROOT / program[0], *program[1:]], capture_output=True, text=True, cwd=tmp_path)
    said = done.stderr.splitlines()
    assert done.returncode == 1 and len(said) == 1 and said[0].startswith(f"{program[0]}: ") and "Errno" not in said[0], said


def test_old_prepared_folders_are_read(tmp_path):
    """A dataset.json from before `passed` and `note`."""
    split(tmp_path / "source" / "train", count=10)
    split(tmp_path / "source" / "val", count=1)
    prepare.prepare_folder(tmp_path / "source", tmp_path / "out", size=8, workers=1)
    path = tmp_path / "out" / "dataset.json"
    facts = json.loads(path.read_text())
    del facts["passed"], facts["note"]
    path.write_text(json.dumps(facts))
    assert data.load(tmp_path / "out").passed == [] and "every checksum is right" in shards.check_folder(tmp_path / "out")


# Terminals, Windows, names -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize("program", [["train.py", "--help"], ["evaluate.py", "--help"], ["evaluate.py", "classify", "--help"],
                                     ["data.py", "--help"], ["data.py", "prepare", "--help"], ["data.py", "show"],
                                     ["train.py", "--lr", "ε"], ["data.py", "show", "ε.npz"]])
def test_any_terminal(program, encoding):
    done = subprocess.run([sys.executable, ROOT / program[0], *program[1:]], capture_output=True, cwd=ROOT,
                          env=os.environ | {"PYTHONIOENCODING": encoding})
    text = (done.stdout + done.stderr).decode(encoding)
    assert "Traceback" not in text and "codec" not in text and len(text) > 20, text
    assert encoding != "ascii" or program[1] != "--help" or program[0] != "train.py" or "(section 5: 128; small: 64)" in " ".join(text.split())


def test_a_rename_that_is_refused_once_is_tried_again(tmp_path, monkeypatch):
    """As on Windows, where a scanner may hold a new file."""
    refused = []

    def rename(source, target):
        if len(refused) < 3:
            refused.append(target)
            raise PermissionError(13, "Access is denied")
        return real(source, target)

    real = os.replace
    monkeypatch.setattr(checkpoint.os, "replace", rename)
    with pytest.raises(PermissionError, match="a.txt"):         # elsewhere it is an error at once; it names the file itself
        checkpoint.write_text(tmp_path / "a.txt", "a")
    monkeypatch.setattr(checkpoint.sys, "platform", "win32")
    checkpoint.write_text(tmp_path / "a.txt", "a")
    assert (tmp_path / "a.txt").read_text() == "a" and len(refused) == 3 and len(list(tmp_path.iterdir())) == 1


def test_names_are_no_formulas(tmp_path, recwarn):
    row = dict(image=np.zeros((4, 4, 3), np.uint8), title="cat $b_c_d$ \\frac 猫", truth=None, names=["$x^", "犬"],
               probabilities=[0.6, 0.4])
    figures.draw_classified([row], tmp_path / "a.png", "note $")
    split(tmp_path / "source", ("a$_{", "b^$"))
    pictures.contact_sheet(data.load(tmp_path / "source", 8), tmp_path / "b.png")
    assert not [str(warning.message) for warning in recwarn if "Glyph" in str(warning.message)]
    assert (tmp_path / "a.png").stat().st_size > 1000 < (tmp_path / "b.png").stat().st_size


def test_one_decoder(tmp_path):
    """classify reads what prepare reads: 16-bit greys; what is transparent is white."""
    net = SimpleNamespace(size=8, channels=3)
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(tmp_path / "deep.png")
    Image.new("LA", (8, 8), (0, 0)).save(tmp_path / "clear.png")
    for name, value in ("deep.png", 156), ("clear.png", 255):
        image, shown = photograph(tmp_path / name, net)
        assert (image == value).all() and (shown == value).all()
        np.testing.assert_array_equal(image, decode((tmp_path / name).read_bytes(), 8))
