"""Many processes under mpiexec: the same numbers as one, errors that end all, kills after which a run goes on."""

import json
import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nn import load_checkpoint
from nn.run import launch

ROOT = Path(__file__).resolve().parents[1]
MPIEXEC = next(filter(None, (shutil.which("mpiexec", path=str(Path(sys.executable).parent)), shutil.which("mpiexec"))), None)
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("PMI_", "OMPI_", "SLURM_"))}


def missing():
    """Why MPI cannot be used here, or None."""
    if MPIEXEC is None:
        return "no mpiexec (pip install -r requirements/mpi.txt)"
    try:
        import importlib.util
        if importlib.util.find_spec("mpi4py") is None:
            return "no mpi4py (pip install -r requirements/mpi.txt)"
    except ImportError as error:
        return str(error)


mpi = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def command(ranks, *arguments):
    start = [MPIEXEC, "-n", str(ranks)] if ranks else []
    return [*start, sys.executable, *map(str, arguments)]


def run(ranks, *arguments, more=(), env=None):
    done = subprocess.run([*command(ranks, *arguments), *more], capture_output=True, text=True, timeout=180, env=env or CLEAN)
    return done.returncode, done.stdout, done.stderr


def some_steps(ranks, *arguments):
    status, out, err = run(ranks, ROOT / "tests/on_ranks.py", *arguments)
    assert (status, err) == (0, "")
    return json.loads(out)


@pytest.fixture(scope="module")
def alone():
    return {real: some_steps(0, real, 10, 20) for real in ("float64", "float32")}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    images = rng.integers(0, 250, (200, 28, 28)) + 4 * labels[:, None, None]
    np.savez(tmp_path / "two.npz", x_train=images[:160].astype(np.uint8), y_train=labels[:160],
             x_test=images[160:].astype(np.uint8), y_test=labels[160:])
    monkeypatch.chdir(tmp_path)
    return tmp_path


TRAIN = (ROOT / "train.py", "--data", "two.npz", "--batch-size", "16", "--epochs", "2", "--threads", "1")


def state(name):
    facts, groups = load_checkpoint(f"runs/{name}/checkpoint.npz")
    for row in facts["rows"]:
        del row["images_per_second"], row["seconds_waiting"]
    return facts, {(group, name): array for group, arrays in groups.items() for name, array in arrays.items()}


def expect_same_bits(one, other):
    (facts, arrays), (wanted, wanted_arrays) = state(one), state(other)
    assert facts == wanted
    for key in wanted_arrays:
        np.testing.assert_array_equal(arrays[key], wanted_arrays[key], err_msg=str(key))


# The same numbers -----------------------------------------------------------------------------------------------------

@mpi
@pytest.mark.parametrize("ranks, more", [(1, ()), (2, ()), (3, ()), (4, ()), (2, ("--model-parallel",)), (4, ("--model-parallel",))],
                         ids=lambda value: value if isinstance(value, int) else "towers" if value else "data")
def test_losses_are_those_of_one_process(alone, ranks, more):
    """Ten images on 1, 2, 3 and 4 ranks, with dropout: float64 to 1e-12, float32 within rounding; twice the same bits."""
    double, single = (some_steps(ranks, real, 10, 20, *more) for real in ("float64", "float32"))
    np.testing.assert_allclose(double["losses"], alone["float64"]["losses"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(single["losses"], alone["float32"]["losses"], rtol=1e-5)
    assert some_steps(ranks, "float32", 10, 20, *more) == single
    if ranks == 1:
        assert single == alone["float32"]


@mpi
def test_a_towers_traffic_is_that_of_two_towers_in_one_process(alone):
    """Rank 0 and rank 1 send as many bytes as the two devices did; rank 0 prints its half, and fc8's gradient is its."""
    network = alone["float32"]["sent"]
    own = some_steps(2, "float32", 10, 20, "--model-parallel")["sent"]
    assert own == network // 2


@mpi
@pytest.mark.parametrize("ranks, more", [(3, ()), (2, ("--model-parallel",))])
def test_a_run_on_ranks_is_a_run(folder, ranks, more):
    """The files of one process, the same errors and nearly the same losses; it goes on with another number of ranks."""
    assert run(0, *TRAIN, "--out", "one")[0] == 0
    status, out, err = run(ranks, *TRAIN, *more, "--out", "ranks")
    assert (status, err) == (0, "") and out.count("epoch   2") == 1 and out.count("test error") == 1
    assert {path.name for path in Path("runs/one").iterdir()} == {path.name for path in Path("runs/ranks").iterdir()}
    (facts, arrays), (wanted, wanted_arrays) = state("ranks"), state("one")
    assert facts["step"] == wanted["step"] and arrays.keys() == wanted_arrays.keys()
    for row, other in zip(facts["rows"], wanted["rows"]):
        assert row == pytest.approx(other, rel=1e-5)
    for key, array in wanted_arrays.items():
        np.testing.assert_allclose(arrays[key], array, atol=1e-5, err_msg=str(key))
    results = [json.loads(Path(f"runs/{name}/results.json").read_text()) for name in ("one", "ranks")]
    for views in "test_one_view", "test_ten_views":
        assert results[0][views] == pytest.approx(results[1][views], rel=1e-5)
    status, out, err = run(0, TRAIN[0], "--resume", "runs/ranks", "--epochs", "3", "--no-model-parallel")
    assert status == 0 and "epoch   3" in out, err


@mpi
def test_preparing_gives_the_same_bytes(folder):
    rng = np.random.default_rng(0)
    for split, count in ("train", 150), ("val", 20):
        for i in range(count):
            path = Path("source", split, "ab"[i % 2], f"{i}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (20, 24, 3), dtype=np.uint8)).save(path)
    Path("source/train/a/broken.png").write_bytes(b"broken")
    arguments = ROOT / "data.py", "prepare", "source"
    status, said, err = run(0, *arguments, "one", "--size", 16, "--workers", 1)
    assert status == 0, err
    status, out, err = run(3, *arguments, "three", "--size", 16, "--workers", 1)
    assert (status, err) == (0, "") and out == said.replace("one", "three")
    files = {path.name: path.read_bytes() for path in Path("one").iterdir()}
    assert files == {path.name: path.read_bytes() for path in Path("three").iterdir()} and len(files) == 11
    status, _, err = run(2, *arguments[:2], "nowhere", "four")
    assert status == 1 and err.count("\n") == 1 and "nowhere" in err and "rank " in err


# Ends -----------------------------------------------------------------------------------------------------------------

def test_a_rank_waits_until_its_last_sentence_has_been_read():
    """The launcher stops when a rank does, and what it has not read by then is lost. A second rank keeps silent."""
    def watcher():
        started = subprocess.Popen([sys.executable, "-S", ROOT / "nn/run/watch.py", f"test {os.getpid()}", "killed"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.stdin.write("no such folder (rank 0)")
        started.stdin.close()
        return started

    def ready(pipe, seconds):
        return bool(select.select([pipe], [], [], seconds)[0])

    with watcher() as first:
        assert ready(first.stderr, 20) and not ready(first.stdout, 0.3)
        assert first.stderr.read() == "no such folder (rank 0)\n" and first.stdout.read() == ""
        with watcher() as second:
            assert ready(second.stderr, 20) and second.stderr.read() == "" and not ready(second.stdout, 0.3)
            second.kill()
        first.kill()


def children(pid):
    """The process numbers of the ranks: train.py's among the descendants of mpiexec."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True).stdout.splitlines()
    rows = [line.split(None, 2) for line in listed]
    family = {str(pid)}
    for _ in range(3):
        family |= {own for own, parent, _ in rows if parent in family}
    return [int(own) for own, _, args in rows if own in family and "train.py" in args and not args.startswith(MPIEXEC)
            and "mpiexec" not in args and "watch.py" not in args and "hydra" not in args]


def begin(ranks, *arguments):
    return subprocess.Popen(command(ranks, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=CLEAN)


def wait_for_a_step(process, checkpoint):
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    while not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)


def ended(process, seconds=10):
    began = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - began < seconds
    return out, err


@mpi
@pytest.mark.parametrize("seed, kills", [(0, 3), *(pytest.param(seed, 10, marks=pytest.mark.slow) for seed in range(1, 11))])
def test_a_rank_killed_ends_all_and_the_run_goes_on_to_the_same_bits(folder, seed, kills):
    """A hundred kills more: pytest -m slow tests/test_ranks.py, in ten minutes."""
    train = *TRAIN, "--epochs", 2 * kills, "--seed", seed
    assert run(2, *train, "--out", "straight")[0] == 0
    draw, checkpoint, arguments = random.Random(seed), Path("runs/broken/checkpoint.npz"), (*train, "--out", "broken", "--save-every", 0)
    for _ in range(kills):
        process = begin(2, *arguments)
        wait_for_a_step(process, checkpoint)
        time.sleep(0.1 * draw.random())
        ranks = children(process.pid)
        assert len(ranks) == 2
        os.kill(draw.choice(ranks), signal.SIGKILL)
        _, err = ended(process)
        assert err.count("was killed") == 1 and "rank " in err
        arguments = TRAIN[0], "--resume", "runs/broken"
    status, _, err = run(2, *arguments)
    assert status == 0, err
    expect_same_bits("broken", "straight")


@mpi
@pytest.mark.parametrize("whom", ["one rank", "mpiexec"])
def test_a_signal_to_any_rank_stops_all_after_the_same_step(folder, whom):
    process = begin(2, *TRAIN, "--epochs", 1000, "--schedule", "constant", "--out", "stopped", "--save-every", 0)
    wait_for_a_step(process, Path("runs/stopped/checkpoint.npz"))
    os.kill(process.pid if whom == "mpiexec" else children(process.pid)[1], signal.SIGINT if whom == "mpiexec" else signal.SIGTERM)
    out, err = ended(process)
    assert "by a signal to rank" in out and "--resume runs/stopped" in out and "Traceback" not in err
    facts, _ = state("stopped")
    assert f"stopped after step {facts['step']} " in out


@mpi
def test_a_loss_that_is_not_finite_is_said_once(folder):
    status, _, err = run(2, *TRAIN, "--lr", "1e9", "--out", "wild")
    lines = [line for line in err.splitlines() if line.startswith("train.py")]
    assert status == 1 and len(lines) == 1 and "the loss of rank" in lines[0] and "Traceback" not in err


@mpi
@pytest.mark.parametrize("second, what", [(("--lr", "0.5"), "--lr is 0.5 on rank 1"), (("--data", "other.npz"), "--data is other.npz on"),
                                          ("data", "the data is")])
def test_ranks_that_differ_are_told_before_the_first_step(folder, second, what):
    with np.load("two.npz") as file:
        arrays = dict(file)
    arrays["x_train"] = 255 - arrays["x_train"]
    np.savez("other.npz", **arrays)
    own = second
    if second == "data":                                    # the same name and sizes, other pixels
        Path("there").mkdir()
        shutil.copy("other.npz", "there/two.npz")
        own = ()
    start = ["env", "-C", "there", sys.executable] if second == "data" else [sys.executable]
    done = subprocess.run([MPIEXEC, "-n", "1", sys.executable, *map(str, TRAIN), ":", "-n", "1", *start, *map(str, TRAIN), *own],
                          capture_output=True, text=True, timeout=60, env=CLEAN)
    assert done.returncode != 0 and what in done.stderr and done.stderr.count("the ranks must be alike") == 1
    assert not Path("runs").exists()


@mpi
def test_a_rank_that_hangs_is_named(folder):
    process = begin(3, *TRAIN, "--epochs", 1000, "--out", "hangs", "--save-every", 0, "--wait", 2)
    wait_for_a_step(process, Path("runs/hangs/checkpoint.npz"))
    os.kill(children(process.pid)[2], signal.SIGSTOP)
    _, err = ended(process)
    assert len(re.findall(r"waited 2 s for rank \d on [^,:]+: look there", err)) == 1, err       # that one, not all others


@mpi
def test_wrong_options_are_said_once(folder):
    status, _, err = run(2, *TRAIN, "--nonsense")
    assert status == 2 and err.count("unrecognized arguments") == 1
    status, _, err = run(3, *TRAIN, "--batch-size", "2")
    assert status == 1 and err.count("a batch of 2 images is not enough for 3 processes") == 1
    status, _, err = run(2, *TRAIN, "--pool", "5")
    assert status == 1 and err.count("pool must be one of") == 1


# Without MPI ----------------------------------------------------------------------------------------------------------

def test_one_process_imports_no_mpi(folder):
    code = "import sys, train; train.main(sys.argv[1:]); assert not {'mpi4py', 'nn.run.ranks'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *map(str, TRAIN[1:]), "--out", "one"], capture_output=True, text=True,
                          env=CLEAN | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("variables, expected", [
    ({}, None), ({"PMI_SIZE": "3"}, 3), ({"OMPI_COMM_WORLD_SIZE": "4"}, 4), ({"SLURM_STEP_NUM_TASKS": "2"}, 2),
    ({"SLURM_NTASKS": "8"}, None)])                         # in a batch script's own process, not under srun
def test_launchers_are_known_by_their_variables(monkeypatch, variables, expected):
    monkeypatch.setattr(os, "environ", dict(variables))
    assert launch.stated(launch.SIZES) == expected


def test_without_mpi4py_it_is_one_sentence(tmp_path):
    (tmp_path / "mpi4py.py").write_text("raise ModuleNotFoundError")
    env = CLEAN | {"PYTHONPATH": str(tmp_path), "PMI_SIZE": "2"}
    status, _, err = run(0, ROOT / "train.py", env=env | {"PMI_RANK": "0"})
    assert status == 1 and "found no mpi4py" in err and err.count("\n") == 1
    assert run(0, ROOT / "train.py", env=env | {"PMI_RANK": "1"})[::2] == (1, "")


def test_threads_are_the_cores_over_the_ranks_that_may_use_them():
    assert launch.fair_threads({0, 1, 2, 3}, [{0, 1, 2, 3}] * 2) == 2              # unbound: two share all
    assert launch.fair_threads({0, 1}, [{0, 1}, {2, 3}]) == 2                       # bound by the launcher
    assert launch.fair_threads({0}, [{0}] * 3) == 1
