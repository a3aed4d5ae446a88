"""No way into a release's noise: nothing public takes a seed, a key or a source of noise."""

import ast
import dataclasses
import inspect
import random
import typing
from pathlib import Path

import numpy as np
import pytest
import typer.main
from pydantic import BaseModel

import threea_spark
from threea_spark import ReleaseConfig
from threea_spark.cli import main
from threea_spark.privacy.noise import KeyedNoise, new_key

PACKAGE = Path(threea_spark.__file__).parent
WORDS = {"seed", "key", "noise", "rng", "random", "generator", "entropy", "state", "source_of_noise", "random_state"}
DRAWS_ONLY = {  # public: which of the tables that could be drawn is drawn
    "ReleaseModel.arrow_rows.seed",
    "ReleaseModel.rows_drawn.seed",
    "ReleaseModel.sample.seed",
    "ReleaseModel.sample_local.seed",
    "ReleaseModel.sample_xy.seed",
    "Synthesizer.sample.seed",
}
CONFIGURED = {"AnonymizeConfig.generator"}  # sample, mix or random: a method, not a source


def parameters():
    """Every parameter of every public function and method, as Owner.name."""
    for name in threea_spark.__all__:
        thing = getattr(threea_spark, name)
        members = [(name, thing)] if inspect.isfunction(thing) else inspect.getmembers(thing, callable)
        for member, function in members:
            if member.startswith("_") or isinstance(function, type):
                continue
            owner = name if member == name else f"{name}.{member}"
            for parameter in inspect.signature(function).parameters:
                yield f"{owner}.{parameter}"


def fields(model):
    """Every field of a configuration and of all that stands in it, as Owner.name."""
    for name, field in model.model_fields.items():
        yield f"{model.__name__}.{name}"
        for part in (field.annotation, *typing.get_args(field.annotation)):
            if inspect.isclass(part) and issubclass(part, BaseModel):
                yield from fields(part)


def options():
    """Every option of every command that reads rows."""
    group = typer.main.get_command(main.app)
    for name, command in group.commands.items():
        if name != "sample":
            yield from (f"{name}.{option.name}" for option in command.params)


def suspicious(names):
    return {name for name in names if name.rsplit(".", 1)[1].lower() in WORDS}


def test_no_public_function_takes_a_seed_for_noise():
    assert {name.split(".")[0] for name in parameters()} == set(threea_spark.__all__)
    assert suspicious(parameters()) == DRAWS_ONLY  # found, so the search sees one where it is


def test_no_configuration_takes_a_seed():
    found = set(fields(ReleaseConfig))
    assert {"PrivacyConfig.epsilon", "AdaptConfig.steps"} <= found
    assert suspicious(found) == CONFIGURED


def test_no_command_that_reads_rows_takes_a_seed():
    found = set(options())
    assert "release.config" in found
    assert suspicious(found) == set()


def test_keys_come_from_the_operating_system_whatever_seeds_were_set():
    drawn = []
    for _ in range(2):
        np.random.seed(0)  # noqa: NPY002
        random.seed(0)
        drawn.append(new_key())
    assert drawn[0] != drawn[1]


MAKERS = ("KeyedNoise", "new_key")


def test_a_release_and_a_domain_check_each_make_their_key_and_their_noise_once():
    made = {
        (file.relative_to(PACKAGE).as_posix(), node.func.id)
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS
    }
    assert made == {(place, name) for place in ("stages.py", "doctor/domain_check.py") for name in MAKERS}


@pytest.mark.parametrize("shown", [repr, str, lambda noise: f"{noise}"])
def test_a_key_is_never_shown(shown):
    key = new_key()
    text = shown(KeyedNoise(key))
    assert key.hex() not in text
    assert repr(key) not in text
    assert not dataclasses.is_dataclass(KeyedNoise)  # whose repr would show it
