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
