"""The notebooks: pairs agree, checks say what is wrong, the blank edition is blank, the HTML edition can be read in a
browser from the first chapter to the last. (That each notebook runs from a fresh kernel: `pytest --nbmake notebooks`.)
"""

import io
import re
import shutil
import sys
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

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


@pytest.mark.parametrize("old, new, sentence", [
    ("Solutions are folded. `python notebooks/build.py blank` makes the edition without them.", "", "how to get the blank edition"),
    ("### BEGIN SOLUTION\n    return F", "x = ...\n    ### BEGIN SOLUTION\n    return F", "2 places for an answer"),
    ("# ## Summary\n#\n# ", "# ## Summary\n#\n# One more sentence. ", "6 sentences"), ("# ## Summary", "# ## In short", "no summary"),
    ("(18_fewer_multiplications.ipynb)", "(README.md)", "no link to the next"),
    ("rng = np", "rng = " + "0 or " * 20 + "np", "columns in an open cell")])
def test_a_chapter_without_its_form_is_found(copy, old, new, sentence):
    source = copy / "17_many_machines.py"
    assert build.unformed(source) + build.wide(source) == []
    text = source.read_text(encoding="utf-8")
    assert old in text
    source.write_text(text.replace(old, new), encoding="utf-8")
    fault, = build.unformed(source) + build.wide(source)
    assert sentence in fault


def test_a_blank_has_one_place():
    assert build.ellipses("a, b = ..., ...") == [1] and build.ellipses("def f():\n    ...\ndef g():\n    return ...") == [1, 1]
    assert build.ellipses("a = ...\n...") == [2] and build.ellipses("a = 1") == []


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


# The HTML edition -----------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    folder = tmp_path_factory.mktemp("edition")
    build.make_html(folder)
    return folder


class Reader(HTMLParser):
    """What a page has, in its order."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.headings, self.images, self.tags = set(), [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        if "id" in attributes:
            assert attributes["id"] not in self.ids, f"two elements have the id {attributes['id']}"
            self.ids.add(attributes["id"])
        if tag == "a":
            self.links.append(attributes["href"])
        elif tag == "img":
            self.images.append(attributes)
        elif re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))


@pytest.fixture(scope="module")
def pages(edition):
    return {path.name: Reader(path) for path in edition.glob("*.html")}


def test_an_edition_has_all_pages_and_is_small(edition, pages):
    assert set(pages) == {"index.html", "margin.html", "results.html", "zh-CN.html", "glossary.html"} | {f"{path.stem}.html" for path in CHAPTERS}
    assert sum(path.stat().st_size for path in edition.rglob("*") if path.is_file()) < 10e6
    for name, page in pages.items():
        files = [name, *(image["src"] for image in page.images)]
        assert sum((edition / file).stat().st_size for file in files) < 1.5e6, name
        assert all(image.get("loading") == "lazy" for image in page.images) or name == "index.html"


def test_every_link_of_the_edition_leads_to_a_page_and_its_heading(edition, pages):
    for name, page in pages.items():
        for link in page.links:
            if "://" not in link:
                file, _, anchor = link.partition("#")
                assert (file or name) in pages, f"{name}: {link}"
                assert not anchor or unquote(anchor) in pages[file or name].ids, f"{name}: {link}"
    assert len({link for link in pages["margin.html"].links if "#" in link}) > 30           # the margin's
    assert not any("venv" in (edition / name).read_text(encoding="utf-8") for name in ("index.html", "zh-CN.html"))


def test_a_page_can_be_read_by_ear(pages):
    """Headings in order, one of the first level; landmarks; a text for each picture; a name for each field."""
    for name, page in pages.items():
        assert page.headings[0] == 1 and page.headings.count(1) == 1, name
        assert all(after <= before + 1 for before, after in zip(page.headings, page.headings[1:])), f"{name}: {page.headings}"
        assert all(len(image["alt"]) > 20 for image in page.images), name
        tags = [tag for tag, _ in page.tags]
        assert [tags.count(tag) for tag in ("main", "header", "footer")] == [1, 1, 1]
        names = [attributes.get("aria-label") for tag, attributes in page.tags if tag == "nav"]
        assert all(names) and len(set(names)) == len(names)
        assert all("aria-label" in attributes for tag, attributes in page.tags if tag in ("input", "form"))
        assert dict(page.tags)["html"]["lang"] == "en" and page.links[0] == "#text"


def test_drawings_are_told_from_pictures():
    """A dark page shows the negative of drawings; a map of values, a photograph or a caption about shades forbids that."""
    import edition
    from PIL import Image
    paper = np.full((240, 360, 3), 255, np.uint8)
    paper[100:104] = 0
    assert edition.is_drawing(Image.fromarray(paper), "A line.")
    assert not edition.is_drawing(Image.fromarray(paper), "The dark line.")
    grey = paper.copy()
    grey[120:] = 90
    assert not edition.is_drawing(Image.fromarray(grey), "Half of it is no paper.")
    photograph = paper.copy()
    photograph[:90, :90] = np.random.default_rng(0).integers(0, 240, (90, 90, 3))
    assert not edition.is_drawing(Image.fromarray(photograph), "A line.")


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


SET = "!document.querySelector('script[src*=MathJax]') || (window.MathJax && MathJax.isReady && !MathJax.Hub.queue.pending)"


@pytest.mark.slow
def test_formulas_and_pages_fit_a_wide_window(chromium, edition):
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    for path in sorted(edition.glob("*.html")):
        page.goto(path.as_uri())
        page.wait_for_function(SET, timeout=120_000)
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert page.evaluate(WIDE) == [], path.name
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280, path.name


def test_read_in_a_browser_from_the_first_chapter_to_the_last(chromium, edition):
    """Click through on a telephone; on each page: formulas typeset, images there, no error output, nothing wider than the
    window, nor than a large one. The network is refused: nothing may be needed from it."""
    page = chromium.new_page(viewport={"width": 390, "height": 800})
    asked, errors = [], []
    page.route(re.compile("^https?://"), lambda route: (asked.append(route.request.url), route.abort()))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("requestfailed", lambda request: request.url != "about:blank" and errors.append(request.url))    # MathJax tries fonts
    others = [path.name for path in edition.glob("*.html") if not path.name[0].isdigit() and path.name != "index.html"]
    page.goto((edition / "index.html").as_uri())
    for number in range(len(CHAPTERS) + 1 + len(others)):
        if 0 < number <= len(CHAPTERS):
            assert page.url.endswith(f"{CHAPTERS[number - 1].stem}.html")
            page.wait_for_function("window.MathJax && MathJax.isReady && MathJax.Hub.getAllJax().length > 5", timeout=120_000)
        page.wait_for_function(SET, timeout=120_000)
        page.evaluate("""document.querySelectorAll('details').forEach(d => d.open = true);
                         document.querySelectorAll('img').forEach(i => i.loading = 'eager')""")
        page.wait_for_function("[...document.images].every(i => i.complete)")
        assert page.evaluate(WIDE) == [], page.url
        for width in 390, 1280:
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url
        page.set_viewport_size({"width": 390, "height": 800})
        text = page.evaluate("""[...document.querySelectorAll('main *')].filter(e => !e.closest('script, pre, code'))
            .flatMap(e => [...e.childNodes]).filter(n => n.nodeType === 3).map(n => n.data).join(' ')""")
        raw = re.search(r".{,60}(\$|\\\(|\\frac|\\partial|\\sum).{,60}", text)
        assert not raw, f"{page.url}: a formula was not typeset: {raw[0]}"
        assert page.locator(".MathJax_Error, .merror, .output.error, .output.stderr").count() == 0
        widths = page.evaluate("[...document.images].map(i => i.naturalWidth)")
        assert all(widths) and (widths or number > len(CHAPTERS))
        if number == 0:
            page.locator(".start a").click()
        elif number < len(CHAPTERS):
            page.locator("a[rel=next]").last.click()
        elif number < len(CHAPTERS) + len(others):
            assert page.locator("a[rel=next]").count() == 0
            page.goto((edition / others[number - len(CHAPTERS)]).as_uri())
    assert (asked, errors) == ([], [])


def test_search_finds_without_a_network(chromium, edition):
    page = chromium.new_page()
    page.route(re.compile("^https?://"), lambda route: route.abort())
    page.goto((edition / "index.html").as_uri())
    page.keyboard.press("/")
    page.keyboard.type("McNemar")
    page.wait_for_selector(".found a")
    assert page.locator(".found a").first.get_attribute("href").startswith("13_results.html#")
    assert "found" in page.locator("form [role=status]").inner_text()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("13_results.html#"))
    for words, name in (("积核", "zh-CN.html|glossary.html"), ("one weird trick", "17_many_machines.html"), ("normalization", "05_")):
        page.fill("input[type=search]", words)
        page.wait_for_selector(".found a")
        assert re.match(name, page.locator(".found a").first.get_attribute("href")), words
    page.fill("input[type=search]", "qwertzuiop")
    page.wait_for_selector("form [role=status]:not(.unseen)")
    assert "Nothing found" in page.locator("form [role=status]").inner_text()


@pytest.mark.parametrize("name", ["index", "18_fewer_multiplications"])
def test_a_dark_page_is_dark(chromium, edition, name):
    from PIL import Image
    light = {}
    for scheme in "light", "dark":
        page = chromium.new_page(color_scheme=scheme)
        page.goto((edition / f"{name}.html").as_uri())
        page.wait_for_function(SET, timeout=120_000)
        light[scheme] = np.asarray(Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("L")).mean()
    assert light["dark"] < 64 and light["light"] > 215, light


def test_the_keyboard_suffices(chromium, edition):
    """From the first key on: the skip link, then every link and button in turn, each with an outline; copying."""
    page = chromium.new_page()
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: {writeText: async text => { window.copied = text }}})")
    page.goto((edition / "02_a_layer_and_its_gradient.html").as_uri())
    page.wait_for_function(SET, timeout=120_000)
    page.keyboard.press("Tab")
    assert page.evaluate("[document.activeElement.className, document.activeElement.getBoundingClientRect().top >= 0]") == ["skip", True]
    for _ in range(60):
        page.keyboard.press("Tab")
        outline = page.evaluate("(({outlineStyle, outlineWidth}) => [outlineStyle, parseFloat(outlineWidth)])(getComputedStyle(document.activeElement))")
        assert outline[0] == "solid" and outline[1] >= 2, page.evaluate("document.activeElement.outerHTML")[:200]
        if page.evaluate("document.activeElement.className") == "copy":
            break
    page.keyboard.press("Enter")
    page.wait_for_function("window.copied")
    assert page.evaluate("copied") == build.read_source(CHAPTERS[2]).cells[1].source
    tree = page.locator("body").aria_snapshot()
    for part in ("banner", 'navigation "Contents"', 'search "All pages"', 'searchbox "Search all pages"', "main", "contentinfo",
                 'button "Copy this code"', 'heading "02 A layer and its gradient" [level=1]', "math"):
        assert part in tree, part
    page.locator("summary", has_text="Solution").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details.solution[open]").count() == 1
