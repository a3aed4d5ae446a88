"""What a plan shows is what a release does: the forecast beside releases of rows in memory, recipe by recipe."""

import datetime as dt
import math
from collections import defaultdict
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest

from threea_spark.config.release import ReleaseConfig
from threea_spark.encode.outline import encode_prices, expected_shape, features_of, histogram_layout, max_width
from threea_spark.encode.rules import LABEL_CELLS, codes_affinely
from threea_spark.engine.local import LocalSource
from threea_spark.engine.packed import column_name
from threea_spark.engine.progress import Progress
from threea_spark.forecast.outlook import outlook
from threea_spark.planned import make_plan
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.terms import Stage
from threea_spark.recipes import choice as recipe
from threea_spark.recipes.recipe import Draw, DrawPairs, DrawWide, Mix
from threea_spark.stages import run_stages

NUMBER = {"type": "float", "lower": 0, "upper": 1}
CATEGORY = {"type": "categorical", "values": ["p", "q", "r"], "nullable": True}
MOMENT = {
    "type": "timestamp", "lower": "2020-01-01", "upper": "2021-01-01", "nullable": True, "parts": ["hour", "weekday"],
}  # fmt: skip
LABEL = {"type": "categorical", "values": ["no", "yes"]}
COLUMNS = {"a": NUMBER, "b": {**NUMBER, "nullable": True}, "c": CATEGORY, "y": LABEL}
MOMENTS = {"t": MOMENT, "a": NUMBER, "y": LABEL}
WIDE = {**{f"x{place}": NUMBER for place in range(300)}, "y": LABEL}
NO_ADAPT = {"adapt": {"method": "none"}}
ONE = {"approximate": {"components": 1}}
SMALL_MIX = {"anonymize": {"generator": "mix"}, "adapt": {"steps": 2}}

CASES = {
    "draw pairs": (DrawPairs, {}, 3_000),
    "draw pairs, few points": (DrawPairs, {"adapt": {"support_size": 12, "steps": 2}}, 3_000),
    "draw pairs, no learned labels": (DrawPairs, NO_ADAPT, 3_000),
    "draw": (Draw, ONE, 3_000),
    "draw, no learned labels": (Draw, {**NO_ADAPT, **ONE}, 3_000),
    "draw, a numeric label": (
        Draw,
        {"domain": {"label": "a", "task": "regression"}, "adapt": {"support_size": 12, "steps": 2}, **ONE},
        4_000,
    ),
    "draw, no label": (Draw, {"domain": {"label": None, "task": "none"}, **ONE}, 3_000),
    "draw, clusters": (Draw, {**NO_ADAPT, "approximate": {"components": 2, "iterations": 2}}, 3_000),
    "draw, joint components": (
        Draw,
        {**NO_ADAPT, "approximate": {"components": 3, "per_class": False, "covariance": "diagonal", "iterations": 2}},
        3_000,
    ),
    "draw, one component and the posterior": (Draw, {**NO_ADAPT, "approximate": {"per_class": False}}, 3_000),
    "draw pairs, released targets": (
        DrawPairs,
        {"adapt": {"targets": "released", "steps": 2, "support_size": 12}},
        3_000,
    ),
    "draw, a second count": (
        Draw,
        {
            "privacy": {"shares": {"encode": 0.1, "approximate": 0.3, "adapt": 0.3, "anonymize": 0.3}},
            "adapt": {"support_size": 12, "steps": 2},
        },
        3_000,
    ),
    "draw pairs, a numeric label": (
        DrawPairs,
        {"domain": {"label": "a", "task": "regression"}, "adapt": {"support_size": 12, "steps": 2}},
        4_000,
    ),
    "draw pairs, a numeric label that may be null": (
        DrawPairs,
        {"domain": {"label": "b", "task": "regression"}, "adapt": {"support_size": 12, "steps": 2}},
        4_000,
    ),
    "draw pairs, a label that may be null": (
        DrawPairs,
        {"domain": {"columns": {**COLUMNS, "y": {**LABEL, "nullable": True}}}, **NO_ADAPT},
        3_000,
    ),
    "draw pairs, no label": (DrawPairs, {"domain": {"label": None, "task": "none"}}, 3_000),
    "draw pairs, moments with parts": (DrawPairs, {"domain": {"columns": MOMENTS}, **NO_ADAPT}, 6_000),
    "draw, 300 numbers": (Draw, {"domain": {"columns": WIDE}, **NO_ADAPT}, 1_500),
    "draw, few rows": (Draw, {"privacy": {"epsilon": 2.0}}, 10),
    "draw wide, 300 numbers": (DrawWide, {"domain": {"columns": WIDE}, "privacy": {"epsilon": 2.0}}, 1_500),
    "mix": (Mix, SMALL_MIX, 3_000),
    "mix, three clusters": (Mix, {**SMALL_MIX, "approximate": {"components": 3, "covariance": "full"}}, 3_000),
    "mix, a numeric label": (Mix, {**SMALL_MIX, "domain": {"label": "a", "task": "regression"}}, 4_000),
    "random": (Mix, {"anonymize": {"generator": "random"}}, 3_000),
}  # fmt: skip


def config_of(sections):
    given = {
        "source": {"path": "source"},
        "target": {"path": "target"},
        "privacy": {"epsilon": 100.0, "delta": 1e-5, "unit": "row", **sections.get("privacy", {})},
        "domain": {"label": "y", "columns": COLUMNS, **sections.get("domain", {})},
    }
    return ReleaseConfig.from_dict({**{name: own for name, own in sections.items() if name not in given}, **given})


def cells_of(column, n_rows, rng):
    """Cells that spread over all levels and bounds, and nulls where they may be."""
    nulls = rng.random(n_rows) < 0.02 * column.nullable  # so few that a numeric label keeps all its cells
    if column.type == "timestamp":
        seconds = rng.integers(0, 366 * 86_400, n_rows)
        moments = [column.lower.replace(tzinfo=dt.timezone.utc) + dt.timedelta(seconds=int(own)) for own in seconds]
        return pa.array(moments, pa.timestamp("us", tz="UTC"), mask=nulls)
    if column.type == "categorical":
        return pa.array(rng.choice(column.values, n_rows), pa.string(), mask=nulls)
    return pa.array(rng.uniform(column.lower, column.upper, n_rows), pa.float64(), mask=nulls)


def rows_of(config, n_rows):
    """Rows whose numbers hang together, so that correlations are worth their price."""
    rng = np.random.default_rng(1)
    cells = [cells_of(column, n_rows, rng) for column in config.domain.columns.values()]
    names = [column_name(place) for place in range(len(cells))]
    return LocalSource((pa.RecordBatch.from_arrays(cells, names),))


def unused_looks(config, mu, mechanisms):
    """Squared mu of the looks that are asked for only where leaves hold too many rows, or spikes stand out."""
    prices, looked = encode_prices(config, mu), {name for _, name in mechanisms}
    return sum(own**2 for name, own in (("finer", prices.finer), ("spikes", prices.spikes)) if name not in looked)


def released(config, n_rows):
    """Runs the stages; also the mechanisms that were granted, by stage and name."""
    mechanisms, granted = {}, PrivacyMeter._granted

    def kept(meter, query, mu):
        mechanisms[query.stage, query.name] = granted(meter, query, mu)
        return mechanisms[query.stage, query.name]

    with patch.object(PrivacyMeter, "_granted", kept):
        source = rows_of(config, n_rows)
        fitted = run_stages(lambda key: source, config, make_plan(config), "recipe", Progress(6, lambda *_: None))
    return fitted, mechanisms


COUNTS = {Draw: "marginals", DrawPairs: "pairs", DrawWide: "norms", Mix: "sizes"}


@pytest.mark.parametrize("case", CASES)
def test_a_plan_and_its_release_agree(case):
    kind, sections, n_rows = CASES[case]
    config = config_of(sections)
    said, shape = outlook(config, n_rows=n_rows), expected_shape(config, float(n_rows))
    fitted, mechanisms = released(config, n_rows)
    assert isinstance(fitted.recipe, kind)
    assert fitted.recipe.values == said.resolved
    assert fitted.recipe == recipe.choose(config, make_plan(config), shape)
    encoding = fitted.outcome.encoding
    learned_number = config.domain.task == "regression" and kind in (Draw, DrawPairs)
    assert encoding.n_classes > 50 if learned_number else encoding.n_classes == shape.n_classes  # drawn in finer cells
    assert (len(encoding.features), encoding.width) == (
        shape.n_features,
        shape.width,
    )
    spent = defaultdict(float)
    for (stage, _), mechanism in mechanisms.items():
        spent[stage] += mechanism.mu**2
    for stage in said.stages:
        if "does not use it" not in stage.does:
            unspent = unused_looks(config, stage.mu, mechanisms) if stage.stage == "encode" else 0.0
            assert math.sqrt(spent[Stage(stage.stage)] + unspent) == pytest.approx(stage.mu, rel=1e-6), stage
            assert math.sqrt(spent[Stage(stage.stage)]) <= stage.mu * (1.0 + 1e-9), stage
    noise = {stage.stage: stage.noise_rows for stage in said.stages}
    unit = histogram_layout(config).unit
    assert noise["encode"] == pytest.approx(mechanisms[Stage.ENCODE, "histograms"].stddev / unit)
    counted = mechanisms[Stage.APPROXIMATE, COUNTS[kind]]
    correlated = (Stage.APPROXIMATE, "correlations") in mechanisms or kind is not Draw or shape.n_features < 2
    assert noise["approximate"] == pytest.approx(counted.stddev * (1.0 if correlated else math.sqrt(1.0 / 0.85)))


# --- three plans that once spoke of another release


def test_a_numeric_label_is_planned_as_the_classes_that_it_is_cut_into():
    columns = {**{f"x{place}": NUMBER for place in range(5)}, "y": NUMBER}
    for label, n_classes in ((NUMBER, LABEL_CELLS), ({**NUMBER, "nullable": True}, LABEL_CELLS + 1)):
        domain = {"label": "y", "task": "regression", "columns": {**columns, "y": label}}
        config = config_of({"domain": domain, "privacy": {"epsilon": 1.0}, **ONE})
        assert LABEL_CELLS == 8
        assert expected_shape(config, 30_000.0).n_classes == n_classes
        said = {stage.stage: stage for stage in outlook(config, n_rows=30_000).stages}
        n_cells = outlook(config, n_rows=30_000).resolved["n_cells"]
        in_cell = 30_000 / n_cells / n_classes
        assert said["approximate"].typical_rows == pytest.approx(in_cell)


def test_a_wide_table_is_planned_with_the_noise_of_its_moments():
    config = config_of({"domain": {"columns": WIDE}, "privacy": {"epsilon": 1.0}})
    assert codes_affinely(config)
    layout = histogram_layout(config)
    mu = encode_prices(config, make_plan(config).mu_of(Stage.ENCODE)).histograms
    (encode, *_) = outlook(config, n_rows=30_000).stages
    assert encode.noise_rows == pytest.approx(math.sqrt(layout.bound.squared_norm) / mu / layout.unit)
    assert layout.unit > 1  # moments are finer than rows


def test_parts_of_a_moment_are_planned_with_their_coordinates():
    moment = {**MOMENT, "nullable": False}
    config = config_of({"domain": {"columns": {"t": moment, "y": LABEL}}, "privacy": {"epsilon": 1.0}})
    assert max_width(features_of(config)) == expected_shape(config, 1.0).width == 1 + 24 + 7
    assert expected_shape(config, 1.0).n_features == 3
