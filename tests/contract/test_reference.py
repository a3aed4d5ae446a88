"""The reference builds from docstrings, and holds every public name, every member of it, every command and option."""

import dataclasses
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel

import threea_spark
from threea_spark.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = re.findall(r'^    "(threea_spark[\w.]*)",$', (ROOT / "docs" / "reference.py").read_text(), flags=re.MULTILINE)
INHERITED = {*dir(BaseModel), *dir(Exception)}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The text of each page, by module; the build says nothing on standard error."""
    folder = tmp_path_factory.mktemp("reference")
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "reference.py"), str(folder)],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert done.stderr == ""
    return {name: (folder / (name.replace(".", "/") + ".html")).read_text() for name in PAGES}


def defined_in(module):
    """Public classes and functions of a page, by name; of the package itself, all that it exports."""
    found = importlib.import_module(module)
    if module == "threea_spark":
        return {name: getattr(found, name) for name in threea_spark.__all__}
    return {
        name: value
        for name, value in vars(found).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module
    }


def members(cls):
    """Names of public methods, properties and fields."""
    fields = {field for base in cls.__mro__ for field in vars(base).get("__annotations__", {})}
    return sorted(name for name in fields | set(dir(cls)) if not name.startswith("_") and name not in INHERITED)


def said_of(cls, name):
    """What documents a member: its own docstring, its field's description, or its line in the class's docstring."""
    if issubclass(cls, BaseModel) and name in cls.model_fields and cls.model_fields[name].description:
        return cls.model_fields[name].description
    member = inspect.getattr_static(cls, name, None)
    described = (property, classmethod, staticmethod)
    if isinstance(member, described) or inspect.isfunction(member):
        return inspect.getdoc(member)
    return next((line for base in cls.__mro__ for line in _lines_on(base, name)), None)


def _lines_on(cls, name):
    attributes = re.compile(rf"^\s+(\w+, )*{name}(, \w+)*: \S|`{name}`", re.MULTILINE)
    return attributes.findall(vars(cls).get("__doc__") or "")


def undocumented(cls):
    return [name for name in members(cls) if said_of(cls, name) is None]


@pytest.mark.parametrize("module", [name for name in PAGES if name != "threea_spark.cli.main"])
def test_every_name_and_member_is_documented_and_on_its_page(pages, module):
    assert defined_in(module)
    for name, value in defined_in(module).items():
        assert f'id="{name}"' in pages[module], name
        assert inspect.getdoc(value), name
        if inspect.isclass(value):
            assert undocumented(value) == [], name
            own = {*vars(value), *vars(value).get("__annotations__", {})}
            assert [m for m in own & {*members(value)} if f'id="{name}.{m}"' not in pages[module]] == [], name


def test_the_home_of_every_public_name_has_a_page():
    assert {getattr(threea_spark, name).__module__ for name in threea_spark.__all__} <= set(PAGES)


def commands(command, path=("threea",)):
    """Every command with its way there."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


COMMANDS = {" ".join(path): command for path, command in commands(typer.main.get_command(app))}


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_option_has_help_and_is_on_the_page(pages, path):
    page = pages["threea_spark.cli.main"]
    assert COMMANDS[path].help
    section = page.split(f"<code>{path}</code></h")[1].split("</code></h")[0]
    for option in COMMANDS[path].params:
        assert option.help, option.name
        shown = [text for text in option.opts if text.startswith("--")]
        assert shown
        assert all(text in section for text in shown), option.name


def test_the_reference_needs_no_network(pages):
    for page in pages.values():
        assert not re.search(r'(src|href)="(https?:)?//(?!pdoc\.dev)', page)


@dataclasses.dataclass
class Half:
    """One is said, one is not.

    Attributes:
      said: Something.
    """

    said: int
    unsaid: int

    def also_unsaid(self):
        pass


def test_what_is_not_documented_is_found():
    assert undocumented(Half) == ["also_unsaid", "unsaid"]
