"""The Chinese pages say what the English ones say: commands, code, numbers, tables and links are the same."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAIRS = ["README", "notebooks/README"]
OWN = {"notebooks/README": ["## 读过中文笔记的读者请注意", "想写新的一章"]}          # what only the Chinese page has begins so
ENGLISH_ONLY = {"notebooks/README": "## Writing a chapter"}


def both(name):
    """(English, Chinese) without the line that leads to the other, and without what only one of them has."""
    english = (ROOT / f"{name}.md").read_text(encoding="utf-8")
    chinese = (ROOT / f"{name}.zh-CN.md").read_text(encoding="utf-8")
    assert "[中文](README.zh-CN.md)\n" in english and chinese.splitlines()[2].startswith("[English](README.md)")
    english = english.replace("[中文](README.zh-CN.md)\n", "").partition(ENGLISH_ONLY.get(name, "\0"))[0]
    chinese = re.sub(r"^\[English\].*\n", "", chinese, flags=re.MULTILINE)
    for start in OWN.get(name, []):
        assert start in chinese
        chinese = re.sub(rf"^{start}.*?(?=^## |\Z)", "", chinese, flags=re.MULTILINE | re.DOTALL)
    return english, chinese


def code(text):
    """Indented and fenced lines without their comments."""
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^    (\S.*)$", re.sub(r"^```\w*\n.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return [re.sub(r"\s+# .*", "", line) for line in (*indented, *"".join(fenced).splitlines())]


def prose(text):
    return re.sub(r"(?m)^    \S.*$", "", re.sub(r"(?ms)^```\w*\n.*?^```", "", text))


def numbers(text):
    return Counter(re.findall(r"\d+(?:[.,]\d+)*", prose(text)))


def links(text):
    return [target.replace(".zh-CN.md", ".md") for target in re.findall(r"\]\(([^)\s]+)\)", text)]


def tables(text):
    """Of each row: its cells' numbers, code and links."""
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[(re.findall(r"\d+(?:[.,]\d+)*", cell), re.findall(r"`[^`]+`", cell), links(cell)) for cell in row] for row in rows]


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("what", [code, numbers, links, tables], ids=lambda what: what.__name__)
def test_both_say_the_same(name, what):
    english, chinese = both(name)
    assert what(english) == what(chinese)


@pytest.mark.parametrize("name", PAIRS)
def test_inline_code_is_the_same(name):
    english, chinese = both(name)
    assert Counter(re.findall(r"`[^`\n]+`", prose(english))) == Counter(re.findall(r"`[^`\n]+`", prose(chinese)))


@pytest.mark.parametrize("name", [*(f"{name}.zh-CN.md" for name in PAIRS), "docs/glossary.zh-CN.md"])
def test_links_lead_somewhere(name):
    path = ROOT / name
    for target in re.findall(r"\]\(([^)\s#]+)\)", path.read_text(encoding="utf-8")):
        assert "://" in target or (path.parent / target).exists(), target


def test_the_glossary_is_kept_to():
    rows = [line.strip("| ").split(" | ") for line in (ROOT / "docs/glossary.zh-CN.md").read_text(encoding="utf-8").splitlines()
            if line.startswith("| ") and not line.startswith("| English")]
    terms = [row[0] for row in rows]
    assert len(rows) >= 80 and len(set(terms)) == len(terms) and terms == sorted(terms, key=str.lower)
    text = "".join((ROOT / f"{name}.zh-CN.md").read_text(encoding="utf-8") for name in PAIRS)
    for other in ("卷基", "步长", "偏差项", "随机失活层", "特征映射", "局部响应正则化", "时期", "消融研究", "内核", "掩膜"):      # other translations of its terms
        assert other not in text, other
    for chinese in ("卷积核", "特征图", "消融实验", "局部响应归一化", "重叠池化", "有限差分", "链式法则", "模型集成", "数据增强", "检查点"):
        assert chinese in text, chinese


def test_the_crops_are_no_erased_block():
    text = (ROOT / "notebooks/README.zh-CN.md").read_text(encoding="utf-8")
    assert "256 − 224 = 32" in text and "32 × 32 × 2 = 2048" in text and 256 - 224 == 32 and 32 * 32 * 2 == 2048
