"""Hooks of the documentation site (mkdocs.yml): pages that are made, and links that lead out of docs/.

The README is the home page, and CHANGELOG and the like have pages of their own. `<!-- include: FILE#HEADING -->` puts a
section of another file in its place. A link to any other file of the repository leads to a copy of that file.
"""

from __future__ import annotations

import posixpath
import re
import tempfile
from pathlib import Path

import reference  # beside this file
from fields import fields_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
HOMES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "deploy/README.md": "clusters.md"}
HOMES |= {"CONTRIBUTING.md": "contributing.md", "SECURITY.md": "security.md", "threea_spark/SKILL.md": "skill.md"}
SECTIONS = {  # sections of deploy/README.md that have pages of their own
    "databricks": "databricks.md",
    "who-may-do-what-in-unity-catalog": "databricks.md#who-may-do-what-in-unity-catalog",
    "what-the-catalog-shows": "databricks.md#what-the-catalog-shows",
    "yarn-and-kubernetes-with-spark-submit": "emr.md",
    "emr-and-dataproc": "emr.md",
    "kubernetes-with-the-spark-operator": "kubernetes.md",
}
LINK = re.compile(r"\]\(([^)\s:#]+)(#[^)\s]*)?\)")
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
INCLUDE = re.compile(r"<!-- include: (\S+?)#(\S+) -->")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made, Python's reference, and every file that a page links to."""
    made = {"fields.md": fields_page(), "commands.md": reference.commands_page(), "python.md": reference.python_page()}
    pages = {posixpath.join("docs", file.src_uri): file for file in files.documentation_pages()}
    for source, page in HOMES.items():
        if page not in {file.src_uri for file in files} and (ROOT / source).exists():
            made[page] = at_home(FRONT_MATTER.sub("", (ROOT / source).read_text()), source)
    for page, text in made.items():
        files.append(File.generated(config, page, content=text))
    folder = Path(tempfile.mkdtemp(prefix="threea-reference-"))
    reference.build(folder)
    for found in sorted(folder.rglob("*.*")):
        name = f"api/{found.relative_to(folder).as_posix()}"
        files.append(File.generated(config, name, content=found.read_bytes()))
    texts = {name: (ROOT / name).read_text() for name in (*pages, *filter(_exists, HOMES))}
    for target in sorted({t for name, text in texts.items() for t in _outside(name, text)}):
        files.append(File.generated(config, f"files/{target}", abs_src_path=str(ROOT / target)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Puts included sections in, and turns links that lead out of docs/."""
    included = INCLUDE.sub(lambda found: at_home(section(*found.groups()), found.group(1)), markdown)
    return at_home(included, f"docs/{page.file.src_uri}") if page.file.generated_by is None else included


def section(name: str, anchor: str) -> str:
    """What a file says below a heading, up to the next heading of its rank."""
    for part in re.split(r"^## ", (ROOT / name).read_text(), flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        if slug(heading) == anchor:
            return body.strip()
    raise ValueError(f"{name} has no section {anchor!r}")


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub and mkdocs make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def at_home(text: str, source: str) -> str:
    """Turns the links of a file, which are relative to it, into links between pages."""
    return LINK.sub(lambda found: f"]({_page(source, found.group(1), found.group(2) or '')})", text)


def _page(source: str, target: str, anchor: str) -> str:
    found = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    if found == "deploy/README.md" and anchor[1:] in SECTIONS:
        return SECTIONS[anchor[1:]]
    if found in HOMES:
        return HOMES[found] + anchor
    if found.startswith("docs/"):
        return found.removeprefix("docs/") + anchor
    return f"files/{found}{anchor}" if (ROOT / found).is_file() else target + anchor


def _outside(name: str, text: str) -> set[str]:
    """The files outside docs/, none of them a page, to which a file links."""
    targets = (posixpath.normpath(posixpath.join(posixpath.dirname(name), t)) for t, _ in LINK.findall(text))
    return {t for t in targets if (ROOT / t).is_file() and not t.startswith("docs/") and t not in HOMES}


def _exists(name: str) -> bool:
    return (ROOT / name).exists()
