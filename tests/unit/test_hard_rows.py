"""Nothing that a row holds, and no shape of a table, may stop a run of the stages; on rows in memory."""

import numpy as np
import pytest
from hard_tables import CASES, KINDS, N_CLASSES, N_ROWS, WIDE_COLUMNS, accuracy, wide_rows
from in_memory import run_in_memory
from tables import config_of


@pytest.mark.parametrize("case", CASES)
def test_passes_through_to_valid_rows(case):
    frame, columns, _ = CASES[case]
    _, statement, rows = run_in_memory(frame, config_of("source", "target", columns=columns, label="y"))
    assert len(rows) >= 1
    assert list(rows.columns) == list(columns)
    assert set(rows["y"]) <= {"no", "yes"}
    for name in set(columns) - {"y", "colour"}:
        assert rows[name].dropna().between(-10, 10).all()
        assert columns[name].get("nullable") or rows[name].notna().all()
    if "colour" in columns:
        assert set(rows["colour"].dropna()) <= {"red", "blue"}
    assert statement.epsilon_spent <= 3.0


def test_mixing_passes_hard_values_too():
    frame, columns, _ = CASES["hard values"]
    mixing = {"generator": "mix", "mix_size": 5}
    fitted, _, rows = run_in_memory(frame, config_of("source", "target", columns=columns, label="y", anonymize=mixing))
    assert len(rows) == fitted.outcome.mixer.n_groups


@pytest.mark.parametrize("method", ["kip", "none"])
def test_few_rows_of_many_columns_teach_a_model(method):
    given = {"columns": WIDE_COLUMNS, "label": "y", "privacy": {"epsilon": 10.0}, "adapt": {"method": method}}
    fitted, statement, table = run_in_memory(wide_rows(N_ROWS, seed=1), config_of("source", "target", **given))
    assert len(table) == pytest.approx(N_ROWS, abs=100)
    for name, column in WIDE_COLUMNS.items():
        known = table[name].dropna()
        assert column.get("nullable") or len(known) == len(table)
        if name.startswith("x"):
            assert known.between(-12, 12).all()
    assert 0.0 < table["c1"].isna().mean() < 0.7
    assert set(table["c0"]) <= set(KINDS)
    assert set(table["c2"]) <= {*KINDS, "other"}
    assert set(table["y"]) == {f"k{i}" for i in range(N_CLASSES)}
    assert 9.9 <= statement.epsilon_spent <= 10.0
    told = [text for text in fitted.advice if "64 of 125 columns tell the classes apart" in text]
    assert len(told) == (method == "kip")
    stages = {stage.stage for stage in statement.stages}
    assert stages == {"encode", "approximate", *(["adapt"] if method == "kip" else [])}
    shuffled = table.assign(y=np.random.default_rng(3).permutation(table["y"]))
    assert accuracy(table) > 0.7 > 0.25 > accuracy(shuffled)  # guessing is right once in twelve
