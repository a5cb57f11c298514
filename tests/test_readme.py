"""README.md and docs/: their snippets run, their commands parse, their links lead somewhere, and README.md is short."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import evaluate
import train
from training import options
from training.options import read_options

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.program
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PYTHON = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands(page):
    """The lines of a page's indented blocks without their comments."""
    lines = re.findall(r"^    (?:\.venv/bin/)?(\S.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines if line.startswith("python ")]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder like the project's own, with a short run and a photograph."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "datasets").symlink_to(ROOT / "datasets")
    (folder / "PHOTO.jpg").symlink_to(ROOT / "datasets/photos/coffee.jpg")
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (80, 28, 28), np.uint8), np.arange(80) % 4
    np.savez(folder / "four.npz", x_train=x[:60], y_train=y[:60], x_test=x[60:], y_test=y[60:])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert train.main(["--data", "four.npz", "--epochs", "1", "--batch-size", "10"]) == 0
    return folder


def test_it_is_short():
    assert len(README.split()) < 750
    first_screen = README[:README.index("## Run")]
    assert "https://papers.nips.cc/" in first_screen and "](notebooks/README.md)" in first_screen and "![" in first_screen


@pytest.mark.parametrize("code, printed", list(zip(PYTHON, [
    r"\d\.\d+e-(0[89]|1\d)\n", r"\(2, 1000\)\n60965224\n", r"(?s).*epoch   2 .*\n\[\('[\w/ -]+', 0\.\d+\)(, \('[\w/ -]+', \d.*\)){4}\]\n"])),
    ids=["a layer", "the full net", "a run"])
def test_its_python_does_what_it_says(place, code, printed):
    if "AlexNet()" in code:
        code += "print(sum(w.size for tower in net.parameters for w in tower.values()))\n"
    done = subprocess.run([sys.executable, "-c", f"import sys; sys.path[0] = {str(ROOT)!r}\n{code}"], cwd=place,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(printed, done.stdout), done.stdout


@pytest.mark.parametrize("command", [line for line in commands(ROOT / "README.md") if line[1] == "evaluate.py"],
                         ids=lambda line: " ".join(line[1:]))
def test_its_evaluations_run(place, monkeypatch, capsys, command):
    monkeypatch.chdir(place)
    assert evaluate.main(command[2:]) == 0, capsys.readouterr().err


def expect_known(program, arguments):
    """Parse the arguments, or find them in the program's --help."""
    if not arguments or "--help" in arguments:
        return
    if program == "train.py":
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(options, "defaults_of", lambda weights: {})       # the file is not here
            read_options(arguments)
    elif program == "evaluate.py":
        parser, names = evaluate.make_parser()
        parser.parse_args(arguments if arguments[0] in names else ["errors", *arguments])
    else:
        done = subprocess.run([sys.executable, ROOT / program, *arguments[:program == "data.py"], "--help"],
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        for option in arguments:
            assert not option.startswith("--") or option in done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_parse(page):
    text = page.read_text(encoding="utf-8")
    inline = [shlex.split(line) for line in re.findall(r"`(python (?:\w+/)*\w+\.py[^`]*)`", text)]
    for _, program, *arguments in [*commands(page), *inline]:
        if program == "-m" or "--resume" in arguments:      # pytest; a run that must be there
            continue
        assert (ROOT / program).exists(), program
        expect_known(program, arguments)
    for file in re.findall(r"(?:-r|--requirement) (\S+\.txt)", text):
        assert (ROOT / file).exists(), file


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
