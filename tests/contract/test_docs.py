"""The pages under docs/ and the README: links lead somewhere, exit codes are all there, the drawing stands alone."""

import inspect
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from threea_spark import errors
from threea_spark.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("*/README.md")])
DRAWING = ROOT / "docs" / "how-it-works.svg"
CODES = {
    kind.exit_code: kind.__name__
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.ThreeAError) and kind is not errors.ThreeAError
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page):
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    assert [t for t in targets if "://" not in t and not (page.parent / t).exists()] == []


def test_every_error_has_an_exit_code_of_its_own():
    assert sorted(CODES) == [*range(2, 14)]


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_exit_code_is_in_the_docs_and_the_help(code):
    assert re.search(rf"^\| {code} \|", (ROOT / "docs" / "faults.md").read_text(), re.MULTILINE)
    assert re.search(rf"\b{code} \S", main.HELP)


def test_the_drawing_stands_alone_and_is_described():
    text = DRAWING.read_text()
    root = ElementTree.fromstring(text)
    names = [element.tag.split("}")[1] for element in root.iter()]
    assert names.count("title") == names.count("desc") == 1
    assert not {"image", "script", "foreignObject", "use"} & set(names)
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]
    assert "url(#tip)" in text
    assert not re.search(r"url\((?!#)|@import", text)
    assert "prefers-color-scheme: dark" in text
    assert "how-it-works.svg" in (ROOT / "docs" / "how-it-works.md").read_text()
