"""Every code block of the README and the documentation: shell is parsed, YAML is read, Python is run in memory.

A block that no test can run is fenced as ```text. `<!-- executed by tests/... -->` above a block names the test that
runs it in earnest; tests/e2e/test_doc_blocks_on_spark.py runs Python that needs a session.
"""

import re

import pytest
import yaml
from doc_blocks import (
    LANGUAGES,
    PAGES,
    ROOT,
    blocks_of,
    needs_spark,
    problem_of_command,
    problem_of_shell,
    problem_of_threea,
    problem_of_yaml,
    run_python,
)  # fmt: skip
from doc_rows import DOMAIN, stays

from threea_spark import ReleaseConfig, fit

BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def problems_of(language, check):
    """What a check says of each block of a language."""
    found = ((block.place, check(block.text)) for block in BLOCKS if block.language == language)
    return [f"{place}: {problem}" for place, problem in found if problem]


def test_every_block_has_a_language_that_is_checked():
    assert len(BLOCKS) > 20
    wrong = [f"{block.place}: fenced as {block.language!r}" for block in BLOCKS if block.language not in LANGUAGES]
    hidden = [f"{page.name}: an indented fence" for page in PAGES if re.search(r"^[ \t]+```", page.read_text(), re.M)]
    assert wrong + hidden == []


def test_every_test_that_a_mark_names_runs_that_page():
    for block in BLOCKS:
        if block.executed_by is not None:
            text = (ROOT / block.executed_by).read_text()
            assert block.page.name in text or "blocks_of" in text, f"{block.place}: {block.executed_by}"


def test_every_command_is_understood():
    assert problems_of("sh", problem_of_shell) == []


def test_every_configuration_is_valid():
    assert problems_of("yaml", problem_of_yaml) == []


def test_python_without_a_session_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stays.domain.yaml").write_text(yaml.safe_dump(DOMAIN))
    plain = {"source": {"path": "stays"}, "target": {"path": "released"}, "domain": DOMAIN}
    config = ReleaseConfig.from_dict({**plain, "privacy": {"epsilon": 3.0, "delta": 1e-5, "unit": "row"}})
    given = {"domain": DOMAIN, "config": config, "model": fit(stays(), config)}
    given |= {"frame": stays(), "private_rows": stays(), "real_rows": stays(seed=3)}
    given |= {"features": stays().drop(columns="died"), "died": stays()["died"]}
    ran = 0
    for page in PAGES:
        names = dict(given)
        for block in blocks_of(page):
            if block.language == "python" and block.executed_by is None and not needs_spark(block):
                run_python(block, names)
                ran += 1
    assert ran >= 3


def test_python_that_needs_a_session_is_run_by_its_own_test():
    unmarked = [
        block.place
        for block in BLOCKS
        if block.language == "python" and needs_spark(block) and block.executed_by is None
    ]
    assert unmarked == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("threea releaze -c a.yaml", "releaze"),
        ("threea release --confg a.yaml", "--confg"),
        ("threea sample --out rows.parquet", "--model"),
        ("threea plan -c a.yaml --rows many", "--rows"),
    ],
)
def test_a_wrong_command_is_found(line, said):
    assert said in problem_of_threea(line.split()[1:])
    assert said in problem_of_shell(line)


def test_a_right_command_is_understood_and_not_run():
    assert problem_of_threea(["ledger", "grant", "-c", "a.yaml", "--epsilon", "3", "--delta", "3e-6"]) is None
    assert "no option" in problem_of_command(["python", "benchmarks/utility.py", "--dta", "x"])
    assert "there is no" in problem_of_command(["python", "benchmarks/futility.py"])
    assert "Makefile" in problem_of_command(["make", "everything"])
    assert "no extra" in problem_of_command(["pip", "install", "threea-spark[spark,evaluation]"])
    assert "PROGRAMS" in problem_of_command(["frobnicate"])
    assert problem_of_shell("if then") != ""


def test_a_wrong_configuration_is_found():
    with pytest.raises(Exception, match="epsilon"):
        problem_of_yaml("privacy: {epsilon: -1, delta: 1.0e-6, unit: row}")
    assert "privcy" in problem_of_yaml("source: {path: a}\nprivcy: {}")
