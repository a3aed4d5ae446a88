"""The documentation site: every page is in its navigation, it builds strictly, and it needs no network."""

import re
from pathlib import Path

import pytest
import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config

from threea_spark import ReleaseConfig

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
MADE = {
    "index.md",
    "fields.md",
    "commands.md",
    "python.md",
    "changelog.md",
    "contributing.md",
    "security.md",
    "skill.md",
}
LOADED = re.compile(r"<(?:script|img|iframe|source)[^>]*\ssrc=[\"']?([^\"' >]+)|<link[^>]*\shref=[\"']?([^\"' >]+)")


def pages_of(nav):
    """The pages that a part of the navigation lists."""
    if isinstance(nav, str):
        return [nav]
    return [
        page
        for entry in nav
        for part in (entry.values() if isinstance(entry, dict) else [entry])
        for page in pages_of(part)
    ]


def test_every_page_is_in_the_navigation_once():
    listed, written = pages_of(SETTINGS["nav"]), {path.name for path in (ROOT / "docs").glob("*.md")}
    missing = [f"docs/{name} is not in the nav of mkdocs.yml: add a line for it there" for name in written - {*listed}]
    gone = [f"the nav of mkdocs.yml lists {name}, and there is no docs/{name}" for name in {*listed} - written - MADE]
    twice = [f"the nav of mkdocs.yml lists {name} twice" for name in {*listed} if listed.count(name) > 1]
    assert missing + gone + twice == []


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as `make docs` does."""
    folder = tmp_path_factory.mktemp("site")
    config = load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        build(config)
    return folder


def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(site):
    pages = sorted(
        page for page in site.rglob("*.html") if page.name != "404.html"
    )  # served from anywhere: from the root
    assert {"index.html", "tutorial.html", "guarantee.html", "api/threea_spark.html"} <= {
        page.relative_to(site).as_posix() for page in pages
    }
    for page in pages:
        loaded = [first or second for first, second in LOADED.findall(page.read_text())]
        loaded = [target for target in loaded if not target.startswith("data:")]
        assert [target for target in loaded if re.match(r"(https?:)?//", target)] == [], page.name
        assert [target for target in loaded if not (page.parent / target.split("?")[0]).exists()] == [], page.name


def test_the_reference_of_the_yaml_has_every_field(site):
    text = (site / "fields.html").read_text()
    models = ReleaseConfig.model_json_schema()["$defs"]
    fields = {name for model in models.values() for name in model["properties"]} - {"further_labels"}
    assert len(fields) > 50
    assert [name for name in fields if f"<code>{name}</code>" not in text] == []


def test_what_would_be_missing_is_named():
    assert pages_of([{"Home": "a.md"}, {"More": ["b.md", {"C": "c.md"}]}]) == ["a.md", "b.md", "c.md"]
    assert LOADED.findall('<script defer src="https://x/y.js">') == [("https://x/y.js", "")]
