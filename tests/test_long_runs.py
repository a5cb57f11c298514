"""Figure 1's runs, and the results of long runs that the notebooks read: whole, readable, and what they say they are."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.program
sys.path += [str(ROOT / "benchmarks"), str(ROOT / "notebooks")]

import figure1
import full_runs

import data
from results.errors import rates
from results.trained import read

RESULTS = ROOT / "notebooks" / "results"


@pytest.mark.parametrize("looks, target, wanted", [
    ([(0.5, 0.6), (1.0, 0.2)], 0.4, 0.75),                  # half way between two looks
    ([(0.5, 0.2)], 0.6, 0.25),                              # before the first look; at 0 the error counts as 1
    ([(1.0, 0.5), (2.0, 0.3), (3.0, 0.4), (4.0, 0.1)], 0.3, 2.0),       # the first time, whatever comes after
    ([(1.0, 0.5), (2.0, np.nan)], 0.3, np.inf), ([], 0.3, np.inf)])
def test_epochs_to_a_target(looks, target, wanted):
    assert figure1.epochs_to(target, looks) == pytest.approx(wanted)


def test_the_best_rate_is_soonest_in_the_mean_over_seeds():
    """A rate that is soonest with one seed and never arrives with another is not the best."""
    errors = {(0.1, 0): [0.5, 0.1], (0.1, 1): [0.6, 0.5], (0.2, 0): [0.5, 0.4, 0.1], (0.2, 1): [0.5, 0.3, 0.1]}
    rows = [dict(activation="relu", lr=str(lr), seed=str(seed), epoch=str(epoch), error=str(error))
            for (lr, seed), run in errors.items() for epoch, error in enumerate(run, start=1)]
    rows += [dict(rows[0], activation="tanh", lr="0.3")]
    best, arrived = figure1.best_rate(rows, "relu", 0.1)
    assert best == 0.2 and arrived == {0.1: [2.0, np.inf], 0.2: [3.0, 3.0]}


def test_a_course_learns_ends_at_its_target_and_is_repeatable():
    split = data.load("fashion-mnist", holdout=0).train
    split = data.Split(split.images[:300], split.labels[:300])
    looks = list(figure1.course(split, "relu", 0.02, 3, 20, 0.5, "modern", threads=2))
    assert len(looks) < 80 and looks[-1][2] <= 0.5 < min(error for _, _, error in looks[:-1])
    again = list(figure1.course(split, "relu", 0.02, 3, 20, 0.5, "modern", threads=2))
    assert looks == again
    other = next(figure1.course(split, "tanh", 0.02, 3, 20, 0.5, "modern", threads=2))
    assert other != looks[0]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")       # overflow is the point
def test_a_course_that_bursts_ends_and_has_not_arrived():
    split = data.load("fashion-mnist", holdout=0).train
    split = data.Split(split.images[:300], split.labels[:300])
    burst = [(epoch, error) for epoch, _, error in figure1.course(split, "relu", 1e6, 3, 20, 0.5, threads=2)]
    assert np.isnan(burst[-1][1]) and len(burst) < 10 and figure1.epochs_to(0.5, burst) == np.inf


def test_figure1_as_a_command(tmp_path):
    """A second call repeats nothing; invalid options end in one sentence."""
    command = [sys.executable, ROOT / "benchmarks" / "figure1.py", "--fast", "--jobs", "1", "--out", "figure.csv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "relu: soonest at 10% with ε = 0.01" in done.stdout, done.stderr
    before = (tmp_path / "figure.csv").read_bytes()
    with open(tmp_path / "figure.csv") as file:
        rows = list(csv.DictReader(file))
    assert {(row["activation"], row["seed"], row["setting"]) for row in rows} == {("relu", "0", "printed"), ("tanh", "0", "printed")}
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "figure.csv").read_bytes() == before
    wrong = subprocess.run([*command, "--data", "nothing"], cwd=tmp_path, capture_output=True, text=True)
    assert wrong.returncode == 1 and "figure1.py: nothing: no such file" in wrong.stderr and "Traceback" not in wrong.stderr


@pytest.mark.parametrize("option, sentence", [
    (["--images", "0"], "--images must be at least 1, got 0"), (["--seeds", "0"], "--seeds must be at least 1, got 0"),
    (["--jobs", "0"], "--jobs must be at least 1, got 0"), (["--epochs", "0"], "--epochs must be at least 1, got 0"),
    (["--target", "2"], "--target must lie between 0 and 1"), (["--rates", "0.1", "-1"], "--rates above 0")])
def test_figure1_refuses(option, sentence):
    with pytest.raises(SystemExit, match=f"figure1.py: .*{sentence}"):
        figure1.main(option)


def test_every_result_is_explained_and_there():
    text = (RESULTS / "README.md").read_text(encoding="utf-8")
    for path in RESULTS.iterdir():
        assert path.name == "README.md" or f"| `{path.name}` |" in text, path.name
    assert all((RESULTS / name).exists() for name in ("04_figure1.csv", "12_log.csv", "12_net.npz", "13_predictions.csv", "14_ablations.csv"))


def test_the_stored_predictions_are_those_of_the_stored_net():
    rows, net = full_runs.results("13_predictions"), read(RESULTS / "12_net.npz")
    test = data.load(ROOT / "datasets" / "fashion_mnist_10000_2000.npz", net.size).test
    for views in (1, 10):
        labels, p = full_runs.predictions(rows, 0, views)
        assert np.array_equal(labels, test.labels)
        np.testing.assert_allclose(net.predict(test.images[:40], views), p[:40], atol=2e-3)
    log = full_runs.results("12_log")
    assert rates(p, labels)["top1"] == pytest.approx(0.119) and [row["epoch"] for row in log] == list(range(1, 31))


def test_the_default_runs_command_writes_what_the_chapters_read(tmp_path, monkeypatch):
    """With a tiny run in place of the default ones: columns, order, rounding."""
    rng = np.random.default_rng(0)
    monkeypatch.chdir(tmp_path)
    x, y = rng.integers(0, 256, (52, 22, 22), np.uint8), rng.integers(0, 4, 52)
    np.savez("four.npz", x_train=x[:40], y_train=y[:40], x_test=x[40:], y_test=y[40:])
    subprocess.run([sys.executable, ROOT / "train.py", "--data", "four.npz", "--size", "22", "--batch-size", "12", "--epochs", "1",
                    "--out", "seed0"], check=True, capture_output=True)
    monkeypatch.setattr(full_runs, "SEEDS", (0,))
    monkeypatch.setattr(full_runs, "HERE", tmp_path)
    (tmp_path / "results").mkdir()
    full_runs.default_runs(tmp_path / "results")
    labels, p = full_runs.predictions(full_runs.results("13_predictions"), 0, 10)
    net = read("runs/seed0")
    assert np.array_equal(labels, y[40:])
    np.testing.assert_allclose(p, net.predict(x[40:, :, :, None], 10), atol=0.5 / full_runs.PARTS + 1e-6)
    assert read("results/12_net.npz").classes == net.classes and full_runs.results("12_log")[0]["epoch"] == 1


def test_figure_1_is_made_anew_beside_data_that_is_not_at_hand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "04_figure1.csv").write_text("data,error\nfar-away,0.3\nfashion-mnist,0.9\n")
    monkeypatch.setattr(full_runs, "run", lambda *command: Path("runs/figure1.csv").write_text("data,error\nfashion-mnist,0.2\n"))
    full_runs.figure1(tmp_path)
    assert (tmp_path / "04_figure1.csv").read_text().split() == ["data,error", "far-away,0.3", "fashion-mnist,0.2"]
