"""The HTML edition: a page per chapter, a cover, search, and no need of a network (`python notebooks/build.py html`).

    chapters and Markdown files ──▶ Page ──▶ template/page.html ──▶ NN_title.html
                                     │
                                     └──▶ sections.js, which the search in template/book.js reads

A notebook's cells become plain HTML here, without nbconvert's templates: its Markdown with formulas is used. Figures become
WebP files, without loss.
"""

import base64
import io
import json
import re
import shutil
import unicodedata
from functools import cached_property
from html import escape, unescape
from pathlib import Path

import jinja2
import nbformat
import numpy as np
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from PIL import Image
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

HERE = Path(__file__).resolve().parent
TEMPLATE = HERE / "template"
FOLDS = {"solution": "Solution", "figure": "How the next figure is drawn", "check": "How the answer is checked",
         "claims": "The claims as assertions", "suspects": "The suspects (this cell holds the answers)"}
OTHERS = {"margin": ("margin.md", "The paper’s margin"), "results": ("results/README.md", "Results of the long runs"),
          "zh-CN": ("README.zh-CN.md", "中文"), "glossary": ("../docs/glossary.zh-CN.md", "术语表")}     # pages: (file, name)
LEFT_OUT = {"zh-CN": "## 开始之前"}                             # a section that is for those who run the notebooks
TARGETS = {file: f"{page}.html" for page, (file, _) in OTHERS.items()} | {"README.md": "index.html"}
# What a page with formulas asks for, of MathJax's 14 MB
MATHJAX = ("MathJax.js", "LICENSE", "config", "extensions/Safe.js", "extensions/AssistiveMML.js", "extensions/TeX",
           "jax/element", "jax/input", "jax/output/HTML-CSS", "fonts")
SHADES = re.compile(r"\b(black|white|dark\w*|light\w*|bright\w*|gr[ae]y\w*|pale\w*)\b", re.IGNORECASE)
UNSTYLED = re.compile(r'<span class="(?:n|o|p|w|nb|nn|bp|fm|vm|mh|nd|ne|na|err)">([^<]*)</span>')
GREEK = {name: unicodedata.lookup(f"GREEK SMALL LETTER {name.upper()}") for name in (
    "alpha beta gamma delta epsilon eta theta mu pi rho sigma tau phi omega").split()} | {"varepsilon": "ε", "lambda": "λ", "partial": "∂"}


class Page:
    """A page's name, title, body (HTML) and, for the contents and the search, its sections: [level, anchor, title, text]."""

    def __init__(self, name, cells, folder):
        self.name, self.folder, self.images, self.sections = name, folder, 0, []
        self.markdown = MarkdownWithMath(renderer=Renderer(self))
        parts = [self.cell(cell) for cell in cells]
        self.body = "\n".join(parts)
        self.title = self.sections[0][2]

    @cached_property
    def formulas(self):
        return "$" in re.sub(r"<pre.*?</pre>|<code.*?</code>", "", self.body, flags=re.DOTALL)

    def cell(self, cell):
        if cell.cell_type == "markdown":
            return self.markdown.render(cell.source)
        tags = cell.metadata.get("tags", [])
        fold = next((FOLDS[tag] for tag in tags if tag in FOLDS), None)
        html = code(cell.source)
        if not fold:
            self.say(cell.source)
        elif "solution" not in tags:
            html = f'<details class="fold"><summary>{fold}</summary>{html}</details>'
        html += self.outputs(cell.outputs)
        return f'<details class="solution"><summary>{fold}</summary>{html}</details>' if "solution" in tags else html

    def outputs(self, outputs):
        parts, figure = [], None
        for output in outputs:
            data = output.get("data", {})
            if output.output_type in ("stream", "error"):
                text = output.get("text") or "\n".join(output.get("traceback", []))
                parts.append(f'<pre class="output {output.get("name", "error")}">{escape(text.rstrip(), quote=False)}</pre>')
            elif "image/png" in data:
                figure = self.image(base64.b64decode(data["image/png"]), output.metadata)
            elif "text/markdown" in data:
                html = self.markdown.render(data["text/markdown"])
                if figure:
                    html, figure = f"<figure>{figure}<figcaption>{html}</figcaption></figure>", None
                parts.append(html)
            else:
                raise ValueError(f"{self.name}: an output of kind {output.output_type}, {', '.join(data)}, has no form in the edition")
        return "\n".join(parts) + (f"<figure>{figure}</figure>" if figure else "")

    def image(self, png, metadata):
        metadata = metadata | metadata.get("image/png", {})
        self.images += 1
        alt = metadata.get("alt", "")
        return picture(png, self.folder, f"{self.name[:2]}-{self.images}", alt, metadata.get("width"))

    def say(self, text):
        """Text that the search finds in the current section."""
        if self.sections:
            self.sections[-1][3] += " " + text


class Renderer(IPythonRenderer):
    """Markdown with anchors on headings, code that can be copied, and links to where things are in the edition."""

    def __init__(self, page):
        super().__init__(escape=False)
        self.page = page

    def heading(self, text, level, **_):
        title = unescape(re.sub(r"<[^>]+>", "", text))
        anchor = title.strip().replace(" ", "-")                                # as JupyterLab has it
        self.page.sections.append([level, anchor, title, ""])
        mark = f'<a class="anchor" href="#{escape(anchor)}" aria-label="Link to “{escape(title)}”">#</a>' if level > 1 else ""
        return f'<h{level} id="{escape(anchor)}">{text}{mark}</h{level}>\n'

    def paragraph(self, text):
        self.page.say(plain(text))
        return super().paragraph(text)

    def block_text(self, text):
        self.page.say(plain(text))
        return super().block_text(text)

    def table_cell(self, text, align=None, head=False):
        self.page.say(plain(text))
        tag = "th" if head else "td"
        return f"<{tag}>{text}</{tag}>\n"

    def block_code(self, source, info=None):
        return code(source, info == "python")

    def link(self, text, url, title=None):
        path, hash_, anchor = url.partition("#")
        path = TARGETS.get(path.removeprefix("../notebooks/"), re.sub(r"^(?:\.\./notebooks/)?(\d\d_\w+)\.ipynb$", r"\1.html", path))
        if path.startswith(".."):
            return text                                                         # the project's files are not in this edition
        return super().link("the cover" if text == "README" else text, path + hash_ + anchor, title)


def plain(html):
    """The words of a paragraph, for the search."""
    text = re.sub(r"\$\$.*?\$\$", " ", re.sub(r"<[^>]+>", "", html), flags=re.DOTALL)
    text = re.sub(r"\\([a-zA-Z]+)", lambda name: GREEK.get(name[1], " "), text)
    return " ".join(unescape(re.sub(r"[${}\\]", "", text)).split())


def code(source, python=True):
    html = UNSTYLED.sub(r"\1", highlight(source, PythonLexer(), HtmlFormatter(nowrap=True))) if python else escape(source, quote=False)
    return f'<div class="code"><pre><code>{html.strip(chr(10))}</code></pre></div>\n'


def picture(png, folder, name, alt, width=None):
    """Write a PNG as WebP → its <img>. `ink`: a drawing, of which a dark page shows the negative."""
    pixels = Image.open(io.BytesIO(png)).convert("RGB")
    (folder / "images").mkdir(exist_ok=True)
    pixels.save(folder / "images" / f"{name}.webp", lossless=True, quality=20, method=1)
    width = width or pixels.width
    height = round(width * pixels.height / pixels.width)
    ink = ' class="ink"' if is_drawing(pixels, alt) else ""
    first = re.match(r".*?[a-z)»”]\.(?= |$)|.*", alt, re.DOTALL)[0]                  # the rest stands in the caption
    return f'<img{ink} src="images/{name}.webp" width="{width}" height="{height}" loading="lazy" decoding="async" alt="{escape(first)}">'


def is_drawing(pixels, alt):
    """Lines on a white ground, whose caption speaks of no shade: their negative is as true as they are. (A map of
    values or a photograph is not.)"""
    a = np.asarray(pixels)
    white = a.min(-1) >= 250
    if white.mean() < 0.75 or SHADES.search(alt):
        return False
    h, w = (side // 12 for side in white.shape)
    tiles = a[:12 * h, :12 * w].reshape(h, 12, w, 12, 3).swapaxes(1, 2).reshape(h * w, 144, 3)
    tiles = tiles[tiles.min(-1).max(-1) < 250] @ (1 << 16, 1 << 8, 1)               # those without a white pixel
    return bool(((np.diff(np.sort(tiles)) > 0).sum(-1) > 20).sum() < 0.005 * h * w) # have few colours


def cover_parts():
    """What the cover takes from README.md: the chapters' rows [(number, title, page, sections, gain, hours)], and the routes."""
    text = (HERE / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d\d) \| \[([^\]]+)\]\((\d\d_\w+)\.ipynb\) \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$", text, re.MULTILINE)
    routes = re.search(r"^## Three routes\n.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)[0]
    return rows, routes


def make(sources, folder):
    """Write the edition of these chapters into a folder."""
    import jupyter_server_mathjax
    for old in "mathjax", "images", "assets":
        shutil.rmtree(folder / old, ignore_errors=True)
    (folder / "assets").mkdir(parents=True)
    static = Path(jupyter_server_mathjax.__file__).parent / "static"
    for name in MATHJAX:
        target = folder / "mathjax" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (static / name).is_dir() else shutil.copy)(static / name, target)
    for name in "style.css", "book.js", "minisearch/minisearch.js", "minisearch/LICENSE.txt":
        shutil.copy(TEMPLATE / name, folder / "assets" / name.replace("minisearch/LICENSE", "minisearch-LICENSE").rpartition("/")[2])

    chapters = [Page(path.stem, nbformat.read(path.with_suffix(".ipynb"), as_version=4).cells, folder) for path in sources]
    others = []
    for name, (file, _) in OTHERS.items():
        text = (HERE / file).read_text(encoding="utf-8")
        if name in LEFT_OUT:
            text = re.sub(rf"^{LEFT_OUT[name]}\n.*?(?=^## )", "", text, flags=re.MULTILINE | re.DOTALL)
        others.append(Page(name, [nbformat.v4.new_markdown_cell(text)], folder))
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATE), trim_blocks=True, lstrip_blocks=True, autoescape=True)
    rows, routes = cover_parts()
    shared = dict(chapters=chapters, others=[(page, OTHERS[page.name][1]) for page in others])
    for i, page in enumerate(chapters + others):
        near = dict(before=chapters[i - 1] if 0 < i < len(chapters) else None, after=chapters[i + 1] if i + 1 < len(chapters) else None)
        write(folder, page.name, environment.get_template("page.html").render(page=page, **near, **shared))
    image = picture((HERE.parent / "docs" / "figure2.png").read_bytes(), folder, "cover", "A sneaker, the feature maps of two towers "
                    "of a trained net, and the five likeliest classes.", 1000).replace(' loading="lazy"', "")
    routes = Page("routes", [nbformat.v4.new_markdown_cell(routes)], folder).body
    write(folder, "index", environment.get_template("cover.html").render(page=None, rows=rows, image=image, routes=routes, **shared))
    sections = [dict(page=f"{page.name}.html", chapter=page.title, anchor=anchor, title=title, text=text.strip())
                for page in chapters + others for _, anchor, title, text in page.sections]
    (folder / "assets" / "sections.js").write_text(f"const SECTIONS = {json.dumps(sections, ensure_ascii=False)};\n", encoding="utf-8")
    return len(chapters)


def write(folder, name, html):
    html = html.replace("<table>", '<div class="table"><table>').replace("</table>", "</table></div>")
    (folder / f"{name}.html").write_text(html + "\n", encoding="utf-8")
