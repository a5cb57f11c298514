"""notebooks/margin.md: each link leads to a heading or a test that exists, and each number of the paper stands there."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MARGIN = (ROOT / "notebooks" / "margin.md").read_text(encoding="utf-8")
LINKS = re.findall(r"\[([^\]]+)\]\(([^)]+)\)", MARGIN)
NUMBERS = """1.2 1000 37.5 17.0 60 650,000 15.3 26.2 5 6 3 256 1.7 1.2 10⁻⁴ 0.75 1.4 13 11 0.4 0.3 96 384 4096 11×11 224×224 253,440 290,400
    186,624 64,896 43,264 2048 0.1 0.5 128 0.9 0.0005 0.01 90 47.1 28.2 45.7 25.7 40.7 18.2 38.1 16.4 39.0 16.6 36.7 15.4
    34,848 307,200 884,736 663,552 442,368 37,748,736 16,777,216 4,096,000 105,415,200 223,948,800 149,520,384 112,140,288 74,760,192
    60,965,224 659,272 724,406,816 62,378,344 1,135,256,096 21,632 4,608 2,048""".split()


def headings(chapter):
    """The anchors of a chapter's headings, as JupyterLab and nbconvert make them."""
    source = (ROOT / "notebooks" / chapter).with_suffix(".py").read_text(encoding="utf-8")
    return [text.strip().replace(" ", "-") for text in re.findall(r"^# #+ (.*)$", source, re.MULTILINE)]


def test_there_are_enough_links():
    assert len(LINKS) > 50


@pytest.mark.parametrize("text, target", sorted(set(LINKS)))
def test_a_link_leads_somewhere(text, target):
    path, _, anchor = target.partition("#")
    assert (ROOT / "notebooks" / path).resolve().is_file()
    if anchor:
        assert anchor in headings(path) and text[3:].replace(" ", "-") == anchor and text[:2] == path[:2]
    else:
        assert re.search(rf"^def {text.strip('`')}\(", (ROOT / "notebooks" / path).read_text(encoding="utf-8"), re.MULTILINE), text


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_of_the_paper_stands_there(number):
    assert re.search(rf"(?<![\d.,]){re.escape(number)}(?![\d]|[.,]\d)", MARGIN), number


def test_the_counts_are_the_nets_own():
    sys.path.insert(0, str(ROOT))
    from alexnet import AlexNet, summary
    for row in summary(AlexNet(init=None)):
        if row.parameters:
            line = next(line for line in MARGIN.splitlines() if line.startswith(f"| {row.name} |"))
            cells = [int(number.replace(",", "")) for number in re.findall(r"\| ([\d,]+) ", line)]
            assert cells[1] == row.neurons and cells[2] + cells[3] == row.parameters and cells[4] == row.multiply_adds
