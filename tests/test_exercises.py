"""Every exercise of every chapter with answers that readers give: two right ones (the solution, and one in another form)
and three wrong ones or more. A right answer is accepted; each wrong one raises NotYet, a sentence, and nothing else.

The answers stand in tests/answers/NN.py, in cells "# %% 3 right" or "# %% 3 wrong" for exercise 3. For an exercise only
those statements of its chapter run that its cells depend on, so that no chapter's training runs here.
"""

import ast
import re
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "notebooks"))
pytest.importorskip("jupytext", reason="needs requirements/notebooks.txt")

import build
import tools

MODULES = {"np", "plt", "data", "tools", "train"}               # a call of theirs does not change them
CHAPTERS = {path.name[:2]: path for path in build.sources()}
ANSWER = re.compile(r"^# %% (\d+) (right|wrong)\n(.*?)(?=^# %% |\Z)", re.DOTALL | re.MULTILINE)


def answers(number):
    """[(exercise, "right" or "wrong", code)] of a chapter."""
    path = HERE / "answers" / f"{number}.py"
    assert path.exists(), f"chapter {number}: put another right answer and three wrong ones to each exercise into {path.name}, as in 06.py"
    text = path.read_text(encoding="utf-8")
    return [(int(exercise), verdict, code) for exercise, verdict, code in ANSWER.findall(text)]


def stored(*nodes):
    """The names that nodes assign to."""
    return {part.id for node in nodes for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}


def read(node):
    """The names of the chapter that a statement or expression reads, inside its functions, too: not their own variables."""
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Load) else set()
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        return {node.target.id} | read(node.value)
    if isinstance(node, ast.For):                               # what its body binds before reading is not read
        return read(node.iter) | read_first(node.body) - stored(node.target)
    own = set()
    if isinstance(node, ast.Lambda | ast.FunctionDef):
        own = {part.arg for part in ast.walk(node.args) if isinstance(part, ast.arg)}
        own |= stored(*node.body) if isinstance(node, ast.FunctionDef) else set()
        own |= {part.name for part in ast.walk(node) if part is not node and isinstance(part, ast.FunctionDef | ast.ClassDef)}
    elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        own = stored(*(generator.target for generator in node.generators))
    elif isinstance(node, ast.ClassDef):
        own = {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
    return set().union(*(read(child) for child in ast.iter_child_nodes(node))) - own


def read_first(statements):
    """The names that statements in a row read before they bind them."""
    live = set()
    for statement in reversed(statements):
        live = live - changed(statement)[0] | read(statement)
    return live


def changed(statement):
    """(names that a statement binds, names that it changes: by an item, an attribute or a method)."""
    bound, altered = set(), set()
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}, set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            while isinstance(node, ast.Attribute | ast.Subscript):
                node = node.value
            altered |= {node.id} if isinstance(node, ast.Name) else set()
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            altered |= {argument.id for argument in node.value.args if isinstance(argument, ast.Name)}     # np.add.at(x, …)
            node = node.value.func
            while isinstance(node, ast.Attribute | ast.Subscript):
                node = node.value
            altered |= {node.id} if isinstance(node, ast.Name) and node.id not in MODULES else set()
    if isinstance(statement, ast.If | ast.Try):
        bound, altered = set(), bound | altered                 # perhaps: what was there before counts too
    return bound, altered


def needed(statements, exercise):
    """Those of `statements` that the statements of `exercise`, which follow, depend on, in order."""
    functions, live = {}, read_first(exercise)
    for statement in statements:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            functions[statement.name] = read(statement)
    size = -1
    while len(live) != size:                                    # what a function reads, it reads when it is called
        size = len(live)
        live = live.union(*(functions.get(name, ()) for name in live))
    kept = []
    for statement in reversed(statements):
        bound, altered = changed(statement)
        if (bound | altered) & live:
            kept.append(statement)
            live = live - bound | read(statement)
    return kept[::-1]


def run(statements, names, path):
    exec(compile(ast.Module(statements, []), str(path), "exec"), names)


def exercises(number):
    """[(statements before the exercise, the solution's code, the check's code)] of a chapter."""
    before, found, cells = [], [], [cell for cell in build.read_source(CHAPTERS[number]).cells if cell.cell_type == "code"]
    for cell, after in zip(cells, [*cells[1:], None]):
        tags = cell.metadata.get("tags", [])
        if "solution" in tags:
            found.append((list(before), cell.source, after.source))
        if not {"figure", "check", "claims"} & set(tags):
            before += ast.parse(cell.source).body
    return found


@pytest.mark.parametrize("number", CHAPTERS)
def test_right_answers_are_accepted_and_wrong_ones_get_a_sentence(number, monkeypatch, capsys):
    monkeypatch.chdir(CHAPTERS[number].parent)
    given, found = answers(number), exercises(number)
    assert {exercise for exercise, _, _ in given} == set(range(1, len(found) + 1))
    for i, (before, solution, check) in enumerate(found, start=1):
        right = [code for exercise, verdict, code in given if (exercise, verdict) == (i, "right")]
        wrong = [code for exercise, verdict, code in given if (exercise, verdict) == (i, "wrong")]
        assert right and len(wrong) >= 3, f"exercise {i}: {len(right)} right and {len(wrong)} wrong answers"
        wrong.append(build.SOLUTION.sub(r"\1...", solution))                   # not answered yet
        asked = [statement for code in (*right, *wrong, solution, check) for statement in ast.parse(code).body]
        names = {"__name__": f"chapter{number}"}
        run(needed(before, asked), names, CHAPTERS[number])
        for code in [solution, *right, *wrong]:
            own = dict(names)
            exec(compile(code, f"{number}, exercise {i}", "exec"), own)
            capsys.readouterr()
            if code not in wrong:
                exec(compile(check, f"{number}, check {i}", "exec"), own)
                assert capsys.readouterr().out.startswith("Right"), f"exercise {i}: {code}"
                continue
            try:
                exec(compile(check, f"{number}, check {i}", "exec"), own)
            except tools.NotYet as sentence:                        # any other exception fails the test: a traceback
                assert str(sentence) and "\n" not in str(sentence), f"exercise {i}: {sentence}"
            else:
                pytest.fail(f"exercise {i} accepts a wrong answer:\n{code}")


@pytest.mark.parametrize("number", CHAPTERS)
def test_checks_leave_the_texts_variables_alone(number):
    """The last cell asserts what the text computed, not what a check has put in its place."""
    text, taken = set(), set()
    for cell in build.read_source(CHAPTERS[number]).cells:
        if cell.cell_type != "code":
            continue
        tags, statements = set(cell.metadata.get("tags", [])), ast.parse(cell.source).body
        bound = set().union(*(changed(statement)[0] for statement in statements if not isinstance(statement, ast.Expr)))
        if tags & {"check", "solution"}:
            taken |= bound
        else:
            assert read_first(statements) & taken & text == set(), cell.source[:80]
            text, taken = text | bound, taken - bound


@pytest.mark.parametrize("number", CHAPTERS)
def test_a_chapter_ends_with_questions_a_summary_and_the_next_chapter(number):
    end = [cell.source for cell in build.read_source(CHAPTERS[number]).cells if "## Three questions" in cell.source]
    questions, summary = end[0].split("## Three questions")[1].split("## Summary")
    assert questions.count("<details><summary>Answer</summary>\n\n") == questions.count("\n\n</details>") == 3
    summary = summary.split("## What this chapter claimed")[0].strip().replace("\n", " ")
    five, following = summary.split("  Next: ") if number != max(CHAPTERS) else summary.split("  This is the last chapter.")
    assert len(re.findall(r"[.!?](?= |$)", five)) == 5, five
    assert re.search(r"\]\(\d\d_\w+\.ipynb\)|margin\.md", following)
