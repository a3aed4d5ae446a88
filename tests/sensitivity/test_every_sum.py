"""Whole releases of every mode: whatever a unit's rows hold, no noisy sum moves further than is priced; in integers."""

import datetime as dt
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pairs import check, release, rows, sums

from threea_spark.config.columns import CategoricalColumn, TimestampColumn
from threea_spark.recipes import rules

SLOWER = [mode for mode in rows.MODES if "labels" in mode or "a numeric label" in mode or mode == "mixing"]
QUICK = [mode for mode in rows.MODES if mode not in SLOWER]
RELATIONS = ["add_or_remove_one", "replace_one"]
CROSSED = [(RELATIONS[0], 3), (RELATIONS[1], 1)]
few = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def cells(column):
    hard = st.sampled_from(rows.hard_values(column))
    if isinstance(column, CategoricalColumn):
        return hard | st.text(st.characters(codec="utf-8"), max_size=3)
    if isinstance(column, TimestampColumn):
        return hard | st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 1, 1), timezones=st.just(dt.timezone.utc))
    low, high = column.lower_number, column.upper_number
    inside = st.floats(low if np.isfinite(low) else -100.0, high if np.isfinite(high) else 100.0)
    return hard | inside | st.floats() | st.integers(-(10**40), 10**40).map(float)


def units(domain, max_rows):
    row = st.tuples(*map(cells, domain.columns.values()))
    return st.lists(row, min_size=1, max_size=max_rows) | row.map(lambda own: [own] * max_rows)


@st.composite
def neighbours(draw, config):
    """A unit's rows, those that take their place (if any), and where they stand in the table."""
    max_rows = config.privacy.privacy_unit.max_rows
    own = units(config.domain, max_rows)
    other = draw(own) if config.privacy.relation == "replace_one" else []
    return (draw(own), other), draw(st.integers(0, 12))


@pytest.fixture(scope="module")
def released():
    """A release of each mode, run when it is first asked for."""
    made = {}

    def of(mode, relation, max_rows, n_base=12):
        key = mode, relation, max_rows, n_base
        if key not in made:
            made[key] = release(mode, relation=relation, max_rows=max_rows, n_base=n_base)
        return made[key]

    return of


@pytest.mark.parametrize(
    ("relation", "max_rows"),
    [(RELATIONS[0], 1), (RELATIONS[1], 3), *(pytest.param(*own, marks=pytest.mark.slow) for own in CROSSED)],
)
@pytest.mark.parametrize("mode", QUICK)
def test_no_unit_moves_a_sum_further_than_is_priced(released, mode, relation, max_rows):
    own = released(mode, relation, max_rows)

    @settings(few, max_examples=8)
    @given(neighbours(own.config))
    def holds(found):
        check(own, *found)

    holds()


@pytest.mark.parametrize("relation", [RELATIONS[1], pytest.param(RELATIONS[0], marks=pytest.mark.slow)])
@pytest.mark.parametrize("mode", SLOWER)
def test_no_unit_moves_a_gradient_further_than_is_priced(released, mode, relation):
    own = released(mode, relation, 2)

    @settings(few, max_examples=2)
    @given(neighbours(own.config))
    def holds(found):
        check(own, *found)

    holds()


@pytest.mark.parametrize("n_base", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("mode", QUICK)
def test_nor_does_the_only_unit_of_a_table_or_one_of_two(released, mode, n_base):
    own = released(mode, RELATIONS[0], 1, n_base)

    @settings(few, max_examples=4)
    @given(neighbours(own.config))
    def holds(found):
        check(own, found[0], 0)

    holds()


def test_a_row_that_stands_first_moves_no_other_row_s_share():
    """All others move on by one place: what hung on a row's place in its batch would add up over them."""
    for mode in ("mixing", "points and labels", "pairs and labels", "pairs and a numeric label", "two looks"):
        own = release(mode, n_base=300)
        row = own.base.rows[0]
        first, last = (own.sums(own.base.joined_by([row], place)) for place in (0, 300))
        assert all(found.squared == 0 for found in sums.moved(first, last)), mode


def test_nor_do_steps_that_read_a_part_of_the_rows(monkeypatch):
    """As of very many rows: which units are read hangs on their own coins alone, and the price is that of all rows."""
    monkeypatch.setattr(rules, "MIN_STEP_ROWS", 20.0)
    monkeypatch.setattr(rules, "MIN_STEP_SIGNAL", 0.0)
    own = release("pairs and labels", n_base=40, max_rows=2)
    assert 0.2 < own.fitted.recipe.functions.step_rate < 0.9
    step = next(context for context in own._published.mechanisms if context[2] == "labels-0")
    before = own._published.exact[step][()]
    row = own.base.rows[0]
    for place in (0, 40):  # of units whose coin is zero: they are read
        check(own, ([row, row], []), place)
        after = own.sums(own.base.joined_by([row, row], place)).exact[step][()]
        assert np.any(after != before)
    unread = replace(own.base, rows=(*own.base.rows, row), units=(*own.base.units, 2**63 - 1))
    assert np.array_equal(own.sums(unread).exact[step][()], before)


def test_the_modes_ask_for_every_kind_of_sum():
    asked = {name for mode in rows.MODES for name in asked_by(mode)}
    assert asked == {
        "encode/bounds", "encode/misfits", "encode/finer", "encode/granularity", "encode/spikes", "encode/functions",
        "encode/histograms", "encode/classes", "encode/values-of-w", "approximate/norms", "approximate/class-sums",
        "approximate/marginals", "approximate/marginals-by-class", "approximate/correlations",
        "approximate/first-pass", "approximate/second-pass", "approximate/pairs", "approximate/tables",
        "approximate/sizes", "approximate/sizes-of-kept",
        "adapt/norms", "adapt/class-sums", "adapt/correlations", "adapt/marginals", "adapt/points",
        "adapt/labels", "adapt/residuals", "adapt/labels-of-y", "adapt/labels-of-c", "adapt/labels-of-a",
        "adapt/residuals-of-a", "anonymize/marginals", "anonymize/mixed-rows",
    }  # fmt: skip


def asked_by(mode):
    """Stage and name of every sum of a release; steps and passes are numbered."""
    contexts = release(mode, n_base=40)._published.mechanisms
    return {re.sub(r"-\d+$", "", "/".join(map(str, context[1:]))) for context in contexts}
