"""The search for breaches: it finds none, fills the bounds that can be filled, and would find a breach."""

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from pairs import rows, search

from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.query import RowBound

QUICK = ["histograms", "pairs", "two looks", "open categories"]  # mixing is searched below


def found_in(mode, *, max_rows=1, relation="add_or_remove_one", starts=2, steps=15, seed=3):
    return search.search(mode, relation, max_rows, starts=starts, steps=steps, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("relation", search.RELATIONS)
@pytest.mark.parametrize("mode", QUICK)
def test_a_short_search_finds_no_breach(mode, relation):
    for name, own in found_in(mode, relation=relation, steps=6).items():
        assert own.squared <= own.bound, name


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        ("histograms", ["encode/histograms"]),
        pytest.param("open categories", ["encode/values-of-w"], marks=pytest.mark.slow),
        ("pairs", ["approximate/pairs", "approximate/tables"]),
        pytest.param("two looks", ["approximate/norms"], marks=pytest.mark.slow),
        pytest.param("mixing", ["anonymize/mixed-rows"], marks=pytest.mark.slow),  # the search below fills it too
    ],
    ids=str,
)
def test_bounds_that_can_be_filled_are_filled(mode, names):
    """So a price a little lower would have been breached."""
    found = found_in(mode, steps=30)
    assert all(found[name].ratio > 0.98 for name in names)


def test_the_search_breaches_a_price_that_is_a_tenth_too_low():
    granted = PrivacyMeter._granted

    def cheaper(meter, query, mu):
        lower = RowBound(max(1, query.bound.squared_norm * 9 // 10), query.bound.moved)
        return granted(meter, replace(query, bound=lower), mu)

    with patch.object(PrivacyMeter, "_granted", cheaper):
        found = found_in("mixing", steps=30)
    assert found["anonymize/mixed-rows"].squared > found["anonymize/mixed-rows"].bound


@pytest.mark.slow
@pytest.mark.parametrize("mode", rows.MODES)
def test_a_longer_search_finds_none_in_any_mode(mode):
    for relation in search.RELATIONS:
        for max_rows in search.UNITS:
            found = found_in(mode, relation=relation, max_rows=max_rows, starts=3, steps=20, seed=None)
            for name, own in found.items():
                assert own.squared <= own.bound, (relation, max_rows, name)
