"""Broken configurations of every kind: a plan, or one error that names the place in a line. Nothing else.

By default some hundred inputs, always the same ones. `make audit` (pytest -m slow) tries 10,000 new ones.
"""

import json
import re

import pytest
from configurations import mutated, texts
from profiles import few_or_many, for_all

from threea_spark import ReleaseConfig
from threea_spark.config.domain import Domain
from threea_spark.errors import ConfigError, PrivacyError
from threea_spark.forecast.outlook import outlook

JARGON = re.compile(
    r"pydantic|https?://|nput should|Traceback|Error\b|\[type=|function-|literal\[|union|<class|Stage\."
)
LONGEST_LINE = 1_300
LINE = re.compile(r"^  .+: .+")
ROWS = 5_000
LONG_PLANS = 50.0  # epsilon above which a plan with amplification takes minutes


def checked_message(text, where):
    """Fails on a message that a person could not act on."""
    assert not JARGON.search(text), text
    first, *lines = text.split("\n")
    assert first.startswith(where), text
    if lines:
        assert first.endswith(f": {len(lines)} problem{'s' * (len(lines) > 1)} to fix"), text
    for line in (first, *lines):
        assert line.isprintable(), ascii(line)
        assert len(line) <= LONGEST_LINE, len(line)
    assert all(LINE.match(line) for line in lines), text


def planned(config):
    """Plans a release and prints the plan, as `threea plan` does."""
    assert re.fullmatch("[0-9a-f]{16}", config.digest)
    if config.source.rows is not None and config.privacy.epsilon > LONG_PLANS:
        return
    try:
        found = outlook(config, n_rows=ROWS)
    except (ConfigError, PrivacyError) as error:
        checked_message(str(error), "privacy")
        return
    assert found.in_words().startswith("Plan for ")
    assert "Verdict: " in found.in_words()
    json.dumps(found.as_dict(), allow_nan=False)


def planned_or_refused(read, where):
    try:
        config = read()
    except ConfigError as error:
        checked_message(str(error), where)
        return False
    planned(config)
    return True


@few_or_many(250, 5_000)
def test_values_of_any_kind_give_a_plan_or_one_clear_error(n_inputs):
    sound = []
    for_all(
        mutated(),
        lambda content: sound.append(planned_or_refused(lambda: ReleaseConfig.from_dict(content), "config: ")),
        n_inputs,
    )
    assert 0.02 < sum(sound) / len(sound) < 0.9


@few_or_many(250, 5_000)
def test_text_of_any_kind_gives_a_plan_or_one_clear_error(n_inputs, tmp_path):
    path, sound = tmp_path / "release.yaml", []

    def check(text):
        path.write_bytes(text)
        sound.append(planned_or_refused(lambda: ReleaseConfig.from_yaml(path), str(tmp_path)))

    for_all(texts(), check, n_inputs)
    assert 0.02 < sum(sound) / len(sound) < 0.9


@few_or_many(60, 500)
def test_a_domain_alone_is_read_or_refused_by_the_same_rules(n_inputs):
    def check(content):
        try:
            Domain.from_dict(content.get("domain"))
        except ConfigError as error:
            checked_message(str(error), "domain: ")

    for_all(mutated(), check, n_inputs)


@pytest.mark.parametrize(
    "message",
    [
        "config: 1 problem to fix\n  privacy.epsilon: Input should be a valid number",
        "config: 1 problem to fix\n  a\nb: is not a known field",
        "config: 2 problems to fix\n  a: is not a known field",
        "For further information visit https://errors.pydantic.dev",
        "config: \x1b[31m",
        "config: " + "x" * 5_000,
    ],
)
def test_a_message_nobody_could_act_on_is_noticed(message):
    with pytest.raises(AssertionError):
        checked_message(message, "config: ")
