"""The Python API: results.load, Trained.classify, train.main. A call does not change the importing program."""

import ast
import csv
import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError
from threadpoolctl import threadpool_info

import data
import train
from data import DataError
from nn import CheckpointError, load_checkpoint
from results import load
from results.errors import rates
from training.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
PHOTO = ROOT / "datasets/photos/chelsea.jpg"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with 60 + 20 images in four classes, and a run of three epochs on them."""
    folder = tmp_path_factory.mktemp("api")
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (80, 28, 28), np.uint8), np.arange(80) % 4
    np.savez(folder / "four.npz", x_train=x[:60], y_train=y[:60], x_test=x[60:], y_test=y[60:],
             classes=np.array(["ant", "bee", "cat", "dog"]))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert train.main([*QUICK, "--epochs", "6", "--seed", "1", "--out", "run"]) == 0
    return folder


@pytest.fixture
def here(place, monkeypatch):
    monkeypatch.chdir(place)
    return place


QUICK = ["--data", "four.npz", "--batch-size", "12", "--holdout", "0.2", "--threads", "2"]


# results.load --------------------------------------------------------------------------------------------------------

def test_a_photograph_is_classified(here):
    net = load("runs/run")
    answers = net.classify(PHOTO, top=3)
    with Image.open(PHOTO) as image:
        p = net.predict(data.prepare(image, net.size, net.channels)[None], views=10)[0]
    assert [name for name, _ in answers] == [net.classes[i] for i in np.argsort(-p)[:3]]
    np.testing.assert_array_equal([q for _, q in answers], np.sort(p)[::-1][:3])
    assert all(type(name) is str and type(q) is float for name, q in answers)
    assert len(net.classify(str(PHOTO))) == 4                           # no more than there are classes
    assert net.classify(io.BytesIO(PHOTO.read_bytes()), top=3) == answers
    assert net.classify(PHOTO, views=1, top=3) != answers


def test_what_is_no_photograph_raises(here, tmp_path):
    net = load("runs/run")
    (tmp_path / "text.png").write_text("no image")
    Image.fromarray(np.zeros((9, 9), np.float32)).save(tmp_path / "deep.tif")
    for name, kind in ("nowhere.png", FileNotFoundError), ("text.png", UnidentifiedImageError), ("deep.tif", DataError):
        with pytest.raises(kind):
            net.classify(tmp_path / name)
    with pytest.raises(ValueError, match="views must be 1 or 10, got 5"):
        net.classify(PHOTO, views=5)
    with pytest.raises(UserError, match="top must be at least 1, got 0"):
        net.classify(PHOTO, top=0)
    with pytest.raises(CheckpointError, match="found no runs/nowhere: expected a run's folder or a file of weights"):
        load("runs/nowhere")


# train.main ----------------------------------------------------------------------------------------------------------

def blas_threads():
    return [(library["filepath"], library["num_threads"]) for library in threadpool_info()]


@pytest.mark.parametrize("arguments, status", [(["--epochs", "1"], 0), (["--lr", "1e9"], 1), (["--lr", "0"], 1)])
def test_training_leaves_the_program_as_it_was(here, arguments, status, capsys):
    def state():
        return (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), os.getcwd(), sys.argv[:], np.geterr(),
                blas_threads(), sys.excepthook, sys.stdout, sys.stderr)

    kept = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        before = state()
        assert train.main([*QUICK, *arguments]) == status, capsys.readouterr().err
        assert state() == before
    finally:
        signal.signal(signal.SIGTERM, kept)


def test_importing_leaves_the_backend(tmp_path):
    code = ("import sys, matplotlib; matplotlib.use('svg'); import train, evaluate, results, interop, data, imaging.pictures; "
            "assert matplotlib.get_backend() == 'svg' and 'matplotlib.pyplot' not in sys.modules")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_second_ctrl_c_is_the_programs_own():
    before = signal.signal(signal.SIGINT, own := signal.default_int_handler)    # in a shell's background it is ignored
    try:
        with train.stop_signals() as stop:
            assert signal.getsignal(signal.SIGINT) is not own
            os.kill(os.getpid(), signal.SIGINT)
            assert stop == [signal.SIGINT] and signal.getsignal(signal.SIGINT) is own
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(5)
        assert stop == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)


def test_it_trains_in_a_thread(here):
    """In threads, Python sets no signal handlers."""
    statuses = []
    thread = threading.Thread(target=lambda: statuses.append(train.main([*QUICK, "--epochs", "1"])))
    thread.start()
    thread.join(60)
    assert statuses == [0]


def test_the_log_is_the_mean_over_the_epoch(here):
    """With a tiny step and no random draws, the training loss is the initial net's."""
    assert train.main(["--data", "four.npz", "--batch-size", "20", "--holdout", "0", "--threads", "1", "--epochs", "1",
                       "--lr", "1e-30", "--dropout", "0", "--no-augment", "--out", "still"]) == 0
    with open("runs/still/log.csv") as file:
        row, = csv.DictReader(file)
    net, split = load("runs/still"), data.load("four.npz", 32, holdout=0).train
    wanted = rates(net.predict(split.images), split.labels)
    assert float(row["train_loss"]) == pytest.approx(wanted["loss"], rel=1e-5)
    assert float(row["train_top1"]) == wanted["top1"]


def test_best_is_the_epoch_with_the_lowest_validation_error(here):
    with open("runs/run/log.csv") as file:
        errors = [float(row["val_top1"]) for row in csv.DictReader(file)]
    assert errors[-1] > min(errors), "the test needs a run whose last epoch is not its best"
    facts, _ = load_checkpoint("runs/run/best.npz")
    assert errors[facts["epoch"] - 1] == min(errors)


@pytest.mark.parametrize("program", ["train.py", "evaluate.py", "data.py", "alexnet.py"])
def test_an_older_python_is_told(program):
    """The file must be readable for it, and the check must stand before any other import."""
    text = (ROOT / program).read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 8))
    first = [node for node in tree.body if not isinstance(node, ast.Expr)][:2]
    assert first[0].names[0].name == "sys" and isinstance(first[1], ast.If)
    code = f"import sys; sys.version_info = (3, 10); sys.version = '3.10.1 (main)'\n{ast.unparse(first[1])}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr == f"{program} needs Python 3.11 or newer, this is 3.10.1: run it with a newer one\n"


def test_importing_changes_no_filter_of_warnings():
    """(NumPy and matplotlib add some of their own.)"""
    code = "import warnings, train, evaluate, data; assert not any('PIL' in str(one[3]) for one in warnings.filters)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
