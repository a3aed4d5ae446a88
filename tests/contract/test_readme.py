"""The README is short, its Python uses public names, and it and the tutorial are in plain, short sentences."""

import re
from pathlib import Path

import pytest
from doc_blocks import blocks_of
from in_process import threea

import threea_spark

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
MAX_LINES = 200
MAX_WORDS = 30
TRANSLATED = (  # phrases that are idiom elsewhere and not in English
    r"\bmend(s|ed|ing)?\b", r"\bhangs on\b", r"\bwho asks last\b", r"\bis told\b", r"\bfor ever\b", r"\bhow hardly\b",
    r"\byour house\b", r"\bis no (Delta|receipt|number|table)\b", r"\ball that (read|need)\b", r"\bwhatever became\b",
    r"\bhardly stands? out\b", r"\bof releases that race\b", r"\bbooked\b.*\bhouse\b",
)  # fmt: skip


def sentences(page):
    """The sentences of running text: no blocks, tables, headings, pictures or comments."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    paragraphs = re.split(r"\n\s*\n|\n(?=[-*#|] )|\n(?=\d+\. )", text)
    plain = [
        re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", p) for p in paragraphs if not p.lstrip().startswith(("|", "#", "!"))
    ]
    return [s for p in plain for s in re.split(r"(?<=[.:;?!])[*)\"]*\s+", " ".join(p.split())) if s]


def test_it_is_short():
    assert len(README.splitlines()) < MAX_LINES


@pytest.mark.parametrize("name", ["README.md", "docs/tutorial.md", "threea_spark/SKILL.md"])
def test_no_sentence_is_long(name):
    found = sentences(ROOT / name)
    assert len(found) > 20
    assert [s for s in found if len(s.split()) > MAX_WORDS] == []


def test_long_sentences_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"# A heading\n\nShort. {'word ' * 31}end.\n\n| a | table |\n")
    assert [len(s.split()) for s in sentences(page)] == [1, 32]


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_no_phrase_is_translated(page):
    text = page.read_text()
    assert [found.group() for phrase in TRANSLATED for found in re.finditer(phrase, text, re.IGNORECASE)] == []


def test_the_python_uses_public_names_only():
    imports = re.findall(r"^from threea_spark import (.*)", README, flags=re.MULTILINE)
    assert imports
    assert {name for line in imports for name in line.split(", ")} <= set(threea_spark.__all__)
    assert [block.language for block in blocks_of(ROOT / "README.md")].count("python") == len(imports)


def test_the_commands_exist(tmp_path):
    helped = threea("--help", cwd=tmp_path)
    assert helped.returncode == 0
    for command in set(re.findall(r"`threea (\w+)", README)):
        assert command in helped.stdout
