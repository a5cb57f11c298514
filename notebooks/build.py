"""Make the notebooks from their sources, check them, and make what is made from them.

    python notebooks/build.py make [NN …]       NN_title.py → NN_title.ipynb, run from a fresh kernel, with outputs
    python notebooks/build.py check [NN …]      pairs agree, all has run in order, no errors, no dead links, the project's
                                                source is shown as it is now, and chapters have the form of README.md
    python notebooks/build.py blank [FOLDER]    the edition to solve: exercises without solutions, nothing run
    python notebooks/build.py html [FOLDER]     the edition to read: index.html and one page per chapter

NN: numbers of chapters; without any, all. `blank` writes to notebooks/blank, `html` to notebooks/html, unless a folder
is named. The HTML edition needs no network: it includes MathJax. Packages: requirements/notebooks.txt.
"""

import argparse
import ast
import hashlib
import os
import re
import shutil
import sys
import time
from pathlib import Path

import jupytext
import nbformat

HERE = Path(__file__).resolve().parent
METADATA = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"}}
PAGES = ("README.md", "margin.md", "README.zh-CN.md")                 # beside the chapters
FOLDED = {"solution", "figure", "check", "claims", "suspects"}          # tags of cells that are folded
SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n.*?^ *### END SOLUTION$", re.DOTALL | re.MULTILINE)
PLACE = re.compile(r"^(\w[\w, ]* = .*\.\.\..*)$", re.MULTILINE)             # a blank that stands outside of the marks
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
SHOWN = re.compile(r"`([\w/]+\.py)`:\n\n```python\n(.*)\n```", re.DOTALL)                 # what tools.show_source puts out
COLUMNS = 100                                                           # of code in open cells
TRACES = re.compile(r"/(?:home|root|Users|tmp|work|mnt|opt|srv|builds?)/\S|[A-Z]:\\\\|\d\d:\d\d:\d\d")   # paths, clocks


def sources(numbers=()):
    """The chapters' sources in order; numbers: of these chapters only."""
    found = sorted(HERE.glob("[0-9][0-9]_*.py"))
    unknown = set(numbers) - {path.name[:2] for path in found}
    if unknown:
        sys.exit(f"no chapter {', '.join(sorted(unknown))}; there are {', '.join(path.name[:2] for path in found)}")
    return [path for path in found if not numbers or path.name[:2] in numbers]


def read_source(path):
    """A percent script as a notebook without outputs. A cell's id follows from what it says (and, of equal cells, from
    which it is), so that it stays when others change."""
    notebook = jupytext.read(path, fmt="py:percent")
    seen = {}
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, 0) + 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        tags = cell.metadata.get("tags", [])
        cell.metadata = nbformat.NotebookNode({"tags": tags} if tags else {})
        if FOLDED & set(tags):
            cell.metadata.jupyter = {"source_hidden": True}                 # folded away in JupyterLab
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def write(notebook, path):
    """Whole or not at all."""
    temporary = path.with_suffix(".tmp")
    nbformat.validate(notebook)
    temporary.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def make(paths):
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError
    for path in paths:
        notebook, start = read_source(path), time.perf_counter()
        client = NotebookClient(notebook, timeout=600, kernel_name="python3", record_timing=False, coalesce_streams=True,
                                resources={"metadata": {"path": str(HERE)}})
        try:
            client.execute()
        except CellExecutionError as error:
            sys.exit(f"{path.name} does not run:\n{error}")
        notebook.metadata = nbformat.from_dict(METADATA)        # a kernel adds its version: which is no news
        write(notebook, path.with_suffix(".ipynb"))
        print(f"{path.stem}: {time.perf_counter() - start:.0f} s", flush=True)


def faults(path):
    """What is wrong with the pair of a source, as a list of sentences."""
    pair = path.with_suffix(".ipynb")
    if not pair.exists():
        return [f"{pair.name} is missing: run `python notebooks/build.py make {path.name[:2]}`"]
    source, notebook, found = read_source(path), nbformat.read(pair, as_version=4), untagged(path)
    found += unformed(path) + wide(path)

    def says(cells):
        return [(cell.cell_type, cell.source, cell.id, dict(cell.metadata)) for cell in cells]

    if says(source.cells) != says(notebook.cells):
        found.append(f"{path.name} and {pair.name} differ: run `python notebooks/build.py make {path.name[:2]}`")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append(f"{pair.name} was not run from top to bottom in a fresh kernel")
    for cell in code:
        for output in cell.outputs:
            text = str({k: v for k, v in output.get("data", {}).items() if not k.startswith("image")}) + \
                output.get("text", "")
            if output.output_type == "error" or output.get("name") == "stderr":
                found.append(f"{pair.name} has an error or a warning in its output: {str(output)[:300]}")
            elif trace := TRACES.search(text):
                found.append(f"{pair.name} has a path or a time of day in its output: {trace[0]!r}")
            shown = SHOWN.fullmatch(output.get("data", {}).get("text/markdown", ""))
            if shown and not stands_in(shown[2], HERE.parent / shown[1]):
                found.append(f"{pair.name} shows source that is no longer in {shown[1]}: run "
                             f"`python notebooks/build.py make {path.name[:2]}`")
    return found + [fault for cell in notebook.cells if cell.cell_type == "markdown"
                    for fault in dead_links(pair.name, cell.source)]


def untagged(path):
    """Cells that must be folded and are not tagged: those behind an exercise (`check`), and the last (`claims`)."""
    cells = read_source(path).cells
    behind = [b for a, b in zip(cells, cells[1:]) if "solution" in a.metadata.get("tags", [])]
    found = [cell for cell in behind if "check" not in cell.metadata.get("tags", [])]
    found += [cell for cell in cells if cell.source.startswith("assert ") and "claims" not in cell.metadata.get("tags", [])]
    return [f"{path.name}: a cell without its tag, `check` or `claims`: {cell.source.splitlines()[0]}" for cell in found]


def unformed(path):
    """What a chapter lacks of its form: how to get the blank edition, one `...` in each blank, a summary of five sentences
    and the link to the next chapter."""
    solved, found = read_source(path).cells, []
    texts = [cell.source for cell in solved if cell.cell_type == "markdown"]
    exercises = next((text for text in texts if "## Exercises" in text), "")
    if "build.py blank" not in exercises.partition("## Exercises")[2].partition("**1.**")[0]:
        found.append("does not say above its exercises how to get the blank edition")
    for cell in without_solutions(read_source(path)).cells:
        if "exercise" in cell.metadata.get("tags", []) and set(counts := ellipses(cell.source)) != {1}:
            found.append(f"has a blank with {max(counts, default=0)} places for an answer instead of one: {cell.source.splitlines()[0]}")
    summary = re.search(r"## Summary\n(.*?)(?=^#|\Z)", texts[-1], re.DOTALL | re.MULTILINE)
    sentences = len(re.findall(r"[.?!)](?=\s|\Z)", summary[1].strip().partition("\n\n")[0])) if summary else 0
    if sentences != 5:
        found.append(f"ends with a summary of {sentences} sentences instead of five" if summary else "has no summary above its claims")
    after = [other for other in sources() if other.name > path.name][:1]
    if summary and not all(f"({other.stem}.ipynb)" in summary[1] for other in after):
        found.append("has no link to the next chapter under its summary")
    return [f"{path.name} {fault}" for fault in found]


def wide(path):
    """Lines of code in open cells that do not fit their column."""
    return [f"{path.name} has a line of {len(line)} columns in an open cell, {COLUMNS} are allowed: {line.strip()[:60]}…"
            for cell in read_source(path).cells if cell.cell_type == "code" and not cell.metadata.get("jupyter")
            for line in cell.source.splitlines() if len(line) > COLUMNS]


def ellipses(source):
    """How many statements hold a `...`: of each function that has any, and outside of functions."""
    tree, counts = ast.parse(source), []
    for scope in [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))]:
        counts.append(sum("Constant(value=Ellipsis" in ast.dump(statement) for statement in scope.body
                          if not isinstance(statement, ast.FunctionDef | ast.ClassDef)))
    return [count for count in counts if count]


def stands_in(source, path):
    """Is `source` in the file, whatever its indentation?"""
    def bare(text):
        return "\n".join(line.strip() for line in text.splitlines())
    return path.exists() and bare(source) in bare(path.read_text(encoding="utf-8"))


def dead_links(name, text):
    return [f"{name} links to {link}, which does not exist" for link in LINK.findall(text)
            if "://" not in link and not (HERE / link).exists()]


def without_solutions(notebook):
    """Without solutions: the lines between ### BEGIN SOLUTION and ### END SOLUTION become `...`, or go where a line such as
    `count = ...` already is the blank; a cell tagged `solution` without these marks is emptied."""
    for cell in notebook.cells:
        if "solution" in cell.metadata.get("tags", []):
            if PLACE.search(SOLUTION.sub("", cell.source)):
                cell.source = PLACE.sub(r"\1  # your answer", SOLUTION.sub("", cell.source)).strip()
            else:
                blank, marks = SOLUTION.subn(r"\1...                                     # your answer", cell.source)
                cell.source = blank if marks else ""
            cell.metadata = nbformat.NotebookNode(tags=["exercise"])
    return notebook


def make_blank(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for path in sources():
        notebook = without_solutions(read_source(path))
        write(notebook, folder / f"{path.stem}.ipynb")
    shutil.copy(HERE / "tools.py", folder)
    text = (folder / "tools.py").read_text(encoding="utf-8").replace(
        "ROOT = Path(__file__).resolve().parents[1]",
        f"ROOT = (Path(__file__).resolve().parent / {os.path.relpath(HERE.parent, folder)!r}).resolve()")
    (folder / "tools.py").write_text(text, encoding="utf-8")
    for name in *PAGES, "results/README.md":
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(HERE / name, folder / name)
    print(f"{folder}: {len(sources())} chapters to solve")


def make_html(folder):
    import edition
    print(f"{folder / 'index.html'}: {edition.make(sources(), folder)} chapters")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in "make", "check":
        commands.add_parser(name).add_argument("numbers", nargs="*", metavar="NN")
    for name in "blank", "html":
        commands.add_parser(name).add_argument("folder", nargs="?", type=Path, default=HERE / name)
    args = parser.parse_args()
    if args.command == "make":
        make(sources(args.numbers))
    elif args.command == "check":
        found = [fault for path in sources(args.numbers) for fault in faults(path)]
        for name in PAGES:
            found += dead_links(name, (HERE / name).read_text(encoding="utf-8"))
        print("\n".join(found) or f"{len(sources(args.numbers))} chapters agree with their sources")
        sys.exit(bool(found))
    elif args.command == "blank":
        make_blank(args.folder.resolve())
    else:
        make_html(args.folder.resolve())


if __name__ == "__main__":
    main()
