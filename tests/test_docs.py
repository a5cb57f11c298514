"""docs/architecture.md names existing files and functions, and describes the imports correctly."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STOPS = re.findall(r"^\| \d+ \| `([\w/.]+)` \| `(\w+)` \|", (ROOT / "docs/architecture.md").read_text(encoding="utf-8"),
                   re.MULTILINE)
LAYERS = ("activation", "arrays", "conv", "dropout", "layer", "linear", "loss", "lrn", "optim", "pool", "spatial_norm")


def test_the_page_has_its_stops():
    assert len(STOPS) == 20


@pytest.mark.parametrize("file, name", STOPS)
def test_a_stop_exists(file, name):
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


@pytest.mark.parametrize("name", LAYERS)
def test_the_textbook_knows_nothing_of_what_runs_it(name):
    path = ROOT / "nn" / f"{name}.py"
    assert not [module for module in imported(path) if module.startswith(("nn.fast", "nn.run", "cupy", "threading"))]
    assert not re.findall("cuda|fused|thread", path.read_text(encoding="utf-8"), re.IGNORECASE)


@pytest.mark.parametrize("path", sorted((ROOT / "nn").rglob("*.py")), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_run_one_way(path):
    assert not set(imported(path)) & {"data", "alexnet", "train", "evaluate", "training", "results", "interop", "imaging"}


def test_the_memory_of_two_gpus_is_as_counted():
    """docs/two-gpus.md, table of MiB; it takes no memory of a net's size."""
    from alexnet import AlexNet
    rows = re.findall(r"^\| (\d+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|", (ROOT / "docs/two-gpus.md").read_text(encoding="utf-8"),
                      re.MULTILINE)
    network = AlexNet(init=None, threads=1)
    assert [int(row[0]) for row in rows] == [32, 64, 128, 256]
    for batch, *printed in rows:
        first, second = (sum(entries.values()) / 2**20 for entries in network.memory(int(batch)))
        assert [int(number.replace(",", "")) for number in printed] == pytest.approx([first, second, first + second], abs=1)
