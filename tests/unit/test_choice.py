"""Where a drawn release counts tables of pairs, and where it learns labels: by noise and DP numbers of rows alone."""

import math

import pytest

from threea_spark.config.release import ReleaseConfig
from threea_spark.encode.outline import TableShape, expected_shape
from threea_spark.planned import make_plan
from threea_spark.privacy.terms import Stage
from threea_spark.recipes import choice
from threea_spark.recipes.recipe import Draw, DrawPairs

PRIVACY = [
    {"unit": "row"},
    {"unit": "row", "relation": "replace_one"},
    {"unit": {"column": "id", "max_rows": 3}},
]
MANY = 10**9


def config_of(n_numbers, *, privacy=None, n_classes=2, **sections):
    columns = {f"x{i}": {"type": "float", "lower": -1, "upper": 1} for i in range(n_numbers)}
    columns["y"] = {"type": "categorical", "values": [f"k{i}" for i in range(n_classes)]}
    return ReleaseConfig.from_dict(
        {
            "source": {"path": "/lake/stays"},
            "target": {"path": "/lake/released"},
            "privacy": {"epsilon": 1.0, "delta": 1e-6, "unit": "row", **(privacy or {})},
            "domain": {"label": "y", "columns": columns},
            **sections,
        }
    )


def moves(config):
    """The largest change of a count by one unit."""
    privacy = config.privacy
    return privacy.privacy_unit.max_rows * (2 if privacy.relation == "replace_one" else 1)


def chosen(config, n_rows, rows_to_learn=float(MANY)):
    found = expected_shape(config, float(n_rows))
    shape = TableShape(float(n_rows), found.n_classes, found.n_features, found.width, rows_to_learn)
    return choice.choose(config, make_plan(config), shape)


@pytest.mark.parametrize("privacy", PRIVACY)
@pytest.mark.parametrize("n_numbers", [3, 20])
def test_tables_of_pairs_begin_where_the_noise_on_a_cell_is_a_twentieth_of_all_rows(n_numbers, privacy):
    config = config_of(n_numbers, privacy=privacy)
    pairs = math.comb(n_numbers + 1, 2)
    noise = moves(config) * math.sqrt(pairs) / (make_plan(config).mu_of(Stage.APPROXIMATE) * math.sqrt(0.7))
    assert not isinstance(chosen(config, 0.99 * 20.0 * noise), DrawPairs)
    assert isinstance(chosen(config, 1.01 * 20.0 * noise), DrawPairs)


def test_few_columns_are_counted_in_pairs_and_only_where_nothing_else_is_asked_for():
    assert isinstance(chosen(config_of(159), MANY), DrawPairs)  # and the label
    assert isinstance(chosen(config_of(160), MANY), Draw)
    for sections in (
        {"approximate": {"components": 1}},
        {"approximate": {"per_class": True}},
        {"privacy": {"shares": {"encode": 0.1, "approximate": 0.4, "adapt": 0.3, "anonymize": 0.2}}},
    ):
        assert isinstance(chosen(config_of(3, **sections), MANY), Draw), sections


@pytest.mark.parametrize("privacy", PRIVACY)
@pytest.mark.parametrize("n_numbers", [3, 20])
def test_labels_are_learned_where_enough_rows_are_outside_the_largest_class(n_numbers, privacy):
    """However many are inside it: what a label function learns is what tells the others from them."""
    config = config_of(n_numbers, privacy=privacy)
    plan = make_plan(config)
    last = 12.0 * moves(config) * math.sqrt(n_numbers) / plan.mu_of(Stage.ADAPT)
    few, enough = (chosen(config, MANY, own) for own in (0.99 * last, 1.01 * last))
    assert isinstance(few, Draw)
    assert (few.labels, few.counts_again) == ("component", (Stage.ADAPT,))
    assert isinstance(enough, DrawPairs)
    assert enough.labels == "learned"
