"""SKILL.md, which agents read: its front matter is whole, its commands parse, and what it names exists."""

import re
from pathlib import Path

import typer
import yaml
from doc_blocks import problem_of_threea

import threea_spark
from threea_spark import errors
from threea_spark.cli.main import app

TEXT = (Path(threea_spark.__file__).parent / "SKILL.md").read_text()


def test_the_front_matter_names_and_describes():
    content = yaml.safe_load(re.split(r"^---$", TEXT, flags=re.MULTILINE)[1])
    assert set(content) == {"name", "description"}
    assert re.fullmatch(r"[a-z0-9-]{1,64}", content["name"])
    assert 100 < len(content["description"]) <= 1024


def test_every_command_in_the_text_is_understood():
    named = re.findall(r"`threea ([^`]*)`", TEXT)
    assert len(named) >= 5
    for command in named:
        words = command.split()
        complete = any(word.startswith("-") for word in words)
        assert problem_of_threea(words if complete else [*words, "--help"]) is None, command


def test_every_option_and_file_it_names_exists():
    options = re.findall(r"(?<![\w-])--[a-z][a-z-]*", TEXT)
    group = typer.main.get_command(app)
    known = {name for command in group.commands.values() for option in command.params for name in option.opts}
    known |= {
        n
        for g in group.commands.values()
        for c in getattr(g, "commands", {}).values()
        for o in c.params
        for n in o.opts
    }
    assert [option for option in options if option not in known | {"--debug"}] == []


def test_every_exit_code_is_there():
    told = TEXT.split("Exit codes:")[1]
    codes = {k.exit_code for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.ThreeAError)}
    assert [code for code in codes - {1} if not re.search(rf"\b{code} [a-z]", told)] == []


def test_what_must_never_be_done_is_said():
    never = TEXT.split("## Never")[1].split("## After")[0]
    for words in ("look at rows", "real value", "delta", "seed", "INTERNAL", "run a release again"):
        assert words in never
