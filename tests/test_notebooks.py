"""The notebooks: pairs agree, checks say what is wrong, the blank edition is blank, the HTML edition can be read in a
browser from the first chapter to the last. (That each notebook runs from a fresh kernel: `pytest --nbmake notebooks`.)
"""

import os
import re
import shutil
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
pytest.importorskip("jupytext", reason="needs requirements/notebooks.txt")
nbformat = pytest.importorskip("nbformat", reason="needs requirements/notebooks.txt")
sys.path.insert(0, str(NOTEBOOKS))

import build
import tools

CHAPTERS = build.sources()


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """The notebooks in another place, where they can be spoilt; build looks there."""
    shutil.copytree(NOTEBOOKS, tmp_path / "notebooks", ignore=shutil.ignore_patterns("html", "blank", "__pycache__"))
    monkeypatch.setattr(build, "HERE", tmp_path / "notebooks")
    return tmp_path / "notebooks"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_pair_agrees(path):
    assert build.faults(path) == []


def test_the_map_has_no_dead_links():
    assert build.dead_links("README.md", (NOTEBOOKS / "README.md").read_text(encoding="utf-8")) == []


def test_every_chapter_is_on_the_map():
    readme = (NOTEBOOKS / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in CHAPTERS if f"({path.stem}.ipynb)" not in readme] == []


def another_source(source, notebook):
    source.write_text(source.read_text(encoding="utf-8") + "\n# %%\nprint(1)\n", encoding="utf-8")


def not_run(source, notebook):
    [cell for cell in notebook.cells if cell.cell_type == "code"][0].execution_count = 7


def error(source, notebook):
    cell = [cell for cell in notebook.cells if cell.cell_type == "code"][-1]
    cell.outputs = [nbformat.v4.new_output("error", ename="E", evalue="", traceback=[])]


def machine_path(source, notebook):
    cell = [cell for cell in notebook.cells if cell.cell_type == "code"][-1]
    cell.outputs = [nbformat.v4.new_output("stream", text="saved in /home/somebody/net.npz")]


def old_source(source, notebook):
    cell = [cell for cell in notebook.cells if cell.cell_type == "code"][-1]
    cell.outputs = [nbformat.v4.new_output("display_data", {"text/markdown": "`nn/lrn.py`:\n\n```python\nx = old\n```"})]


@pytest.mark.parametrize("spoil, sentence", [(old_source, "no longer in nn/lrn.py"), (another_source, "differ"), (not_run, "not run from top to bottom"),
                                             (error, "error or a warning"), (machine_path, "path or a time")])
def test_a_spoilt_pair_is_found(copy, spoil, sentence):
    source = copy / CHAPTERS[0].name
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    spoil(source, notebook)
    build.write(notebook, source.with_suffix(".ipynb"))
    assert any(sentence in fault for fault in build.faults(source))


def test_a_missing_notebook_and_a_dead_link_are_found(copy):
    (copy / CHAPTERS[0].name).with_suffix(".ipynb").unlink()
    assert "is missing" in build.faults(copy / CHAPTERS[0].name)[0]
    assert "99_x.ipynb" in build.dead_links("x", "see [this](99_x.ipynb) and [that](https://example.org)")[0]


def test_blank_edition_has_no_solutions(tmp_path):
    build.make_blank(tmp_path / "blank")
    for path in CHAPTERS:
        blank = nbformat.read(tmp_path / "blank" / f"{path.stem}.ipynb", as_version=4)
        solved = build.read_source(path)
        assert len(blank.cells) == len(solved.cells)
        exercises = 0
        for a, b in zip(blank.cells, solved.cells):
            assert not a.get("outputs")
            if "solution" in b.metadata.get("tags", []):
                exercises += 1
                assert build.SOLUTION.search(b.source), b.source        # its names and signature stay
                answer = build.SOLUTION.search(b.source)[0].split("\n", 1)[1].rsplit("\n", 1)[0].strip()
                assert answer and answer not in a.source and "SOLUTION" not in a.source
                compile(a.source, path.name, "exec")
                check = blank.cells[solved.cells.index(b) + 1]
                assert check.metadata.tags == ["check"] and check.metadata.jupyter.source_hidden
                open_cells = [cell.source for cell in blank.cells if cell.cell_type == "code" and not cell.metadata.get("jupyter")]
                last = answer.splitlines()[-1].partition('#')[0].strip()       # what it comes to
                assert len(last) <= 30 or not any(last in text for text in open_cells), last
            else:
                assert a.source == b.source
        assert 3 <= exercises <= 8, path.name


@pytest.mark.parametrize("name", [pytest.param(path.stem, marks=[] if path is CHAPTERS[-1] else pytest.mark.slow)
                                  for path in CHAPTERS])
def test_a_blank_edition_fails_at_its_checks_and_nowhere_else(tmp_path, name):
    """A reader who runs it all before answering sees only sentences, one for each exercise."""
    from nbclient import NotebookClient
    build.make_blank(tmp_path / "blank")
    path = tmp_path / "blank" / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, allow_errors=True, resources={"metadata": {"path": path.parent}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    errors = [output for output in outputs if output.output_type == "error"]
    exercises = sum("exercise" in cell.metadata.get("tags", []) for cell in notebook.cells)
    assert [error.ename for error in errors] == ["NotYet"] * exercises
    assert all(error.traceback == [f"Not yet: {error.evalue}"] for error in errors)


@pytest.mark.parametrize("answer, sentence", [
    (None, "no answer"), ([1, None], "no answer"), (..., "no answer"), ("six", "a number or an array"), (np.ones(3), r"shape is \(3,\)"),
    (np.full((2, 2), np.nan), "4 of 4 numbers are not finite"), ([[1, 2], [3, 5]], r"25% .* \[1, 1\], here 5$"),
    (lambda: {}["W"], "your code raises KeyError"), (lambda: [[1, 2], [3, 4 + 1e-9]], "25%"),
    ([[2, 4], [6, 8]], "twice as much")])
def test_check_says_what_is_wrong(answer, sentence):
    with pytest.raises(tools.NotYet, match=sentence):
        tools.check(answer, [[1, 2], [3, 4]], [([[2, 4], [6, 8]], "twice as much")])


def test_check_is_content_with_a_right_answer(capsys):
    tools.check(np.array([1, 2 + 1e-9]), [1.0, 2.0])
    tools.check(lambda: [1, 2.0], [1, 2])
    assert capsys.readouterr().out == "Right.\nRight.\n"


def test_a_backward_pass_of_any_form_gets_a_sentence(capsys):
    from nn import Linear

    def answer(backward):
        class Answer(Linear):               # check_layer copies a layer: an attribute would see the first one
            def backward(self, dy, cache):
                return backward(self, dy, cache)
        return Answer(3, 2)

    right = Linear.backward
    tools.check_gradients(lambda: answer(right), np.arange(6.0).reshape(2, 3))
    assert capsys.readouterr().out.startswith("Right")
    for wrong, sentence in ((lambda *a: right(*a)[0], "must return dx and a dictionary"), (lambda *a: right(*a)[:1] + ((1, 2),), "dictionary"),
                            (lambda *a: (right(*a)[0], {}), "keys of params"), (lambda *a: 1 / 0, "ZeroDivisionError"),
                            (lambda *a: (2 * right(*a)[0], right(*a)[1]), "gradient of x")):
        with pytest.raises(tools.NotYet, match=sentence):
            tools.check_gradients(partial(answer, wrong), np.arange(6.0).reshape(2, 3))


# formulas that are wider than their column: [width, room, TeX]
WIDE = """[...document.querySelectorAll('.MathJax')].map(m => {
    const column = m.closest('.MathJax_Display') || m.closest('p, li, td, th') || m.parentElement;
    return [(m.querySelector('.math') || m).getBoundingClientRect().width, column.clientWidth || column.getBoundingClientRect().width,
            MathJax.Hub.getJaxFor(m)?.originalText]
}).filter(([width, room]) => width > room + 1)"""


@pytest.fixture
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (requirements/ci.txt)")
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not browser:
        pytest.skip("no Chromium or Chrome on this machine")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.mark.parametrize("width", [420, pytest.param(1280, marks=pytest.mark.slow)])
def test_formulas_and_pages_fit(chromium, tmp_path, width):
    """No formula is wider than its column, and no page wider than the window."""
    build.make_html(tmp_path)
    page = chromium.new_page(viewport={"width": width, "height": 900})
    for path in sorted(tmp_path.glob("*.html")):
        page.goto(path.as_uri())
        page.wait_for_function("window.MathJax && MathJax.isReady && !MathJax.Hub.queue.pending", timeout=120_000)
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert page.evaluate(WIDE) == [], path.name
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name


def test_read_in_a_browser_from_the_first_chapter_to_the_last(chromium, tmp_path):
    """Click through; on each page: formulas typeset, images there, no error output, links that lead somewhere. The
    network is refused: nothing may be needed from it."""
    build.make_html(tmp_path)
    page = chromium.new_page()
    asked, errors = [], []
    page.route(re.compile("^https?://"), lambda route: (asked.append(route.request.url), route.abort()))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("requestfailed", lambda request: request.url != "about:blank" and errors.append(request.url))    # MathJax tries fonts
    page.goto((tmp_path / "index.html").as_uri())
    for number in range(len(CHAPTERS) + 1):
        page.wait_for_function("""window.MathJax && MathJax.isReady && MathJax.Hub.getAllJax().every(jax =>
            document.getElementById(jax.inputID + "-Frame")?.textContent.trim())""", timeout=120_000)
        if number:
            assert page.url.endswith(f"{CHAPTERS[number - 1].stem}.html")
            page.wait_for_function("MathJax.Hub.getAllJax().length > 5 && !MathJax.Hub.queue.pending", timeout=120_000)
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        text = page.evaluate("""[...document.querySelectorAll('main *')].filter(e => !e.closest('script, pre, code'))
            .flatMap(e => [...e.childNodes]).filter(n => n.nodeType === 3).map(n => n.data).join(' ')""")
        raw = re.search(r".{,60}(\$|\\\(|\\frac|\\partial|\\sum).{,60}", text)
        assert not raw, f"{page.url}: a formula was not typeset: {raw[0]}"
        assert page.locator(".MathJax_Error, .merror, .output_error, .output_stderr").count() == 0
        images = page.evaluate("[...document.images].map(i => [i.naturalWidth, i.alt])")
        assert all(width for width, _ in images) and (images or not number)
        links = page.evaluate("[...document.querySelectorAll('a[href]')].map(a => a.href)")
        missing = [link for link in links if link.startswith("file:") and
                   not os.path.exists(link[len("file://"):].partition("#")[0])]
        assert missing == []
        if number < len(CHAPTERS):
            page.locator("a[rel=next]").first.click()
    assert page.locator("a[rel=next]").count() == 0
    assert (asked, errors) == ([], [])
