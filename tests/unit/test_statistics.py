"""The noisy counts that a model keeps: their noise is what their standard errors say, and their cells what is counted.

True counts are made from the frame alone, by the bounds and values that are exported.
"""

import dataclasses
import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as parquet
import pytest
from in_memory import run_in_memory

from threea_spark import ReleaseConfig, ReleaseModel, fit
from threea_spark.approximate.components import ComponentModel, counted_tables, single_components
from threea_spark.approximate.marginals import marginals_of, marginals_query
from threea_spark.approximate.tables import (
    chosen_counts,
    grouped_counts,
    pairs_query,
    table_columns,
    tables_query,
)
from threea_spark.cli.main import main
from threea_spark.encode.cell_names import encode_tables
from threea_spark.encode.fit import reader_of
from threea_spark.encode.histogram import HistogramLayout
from threea_spark.encode.outline import encode_prices
from threea_spark.encode.rules import codes_affinely
from threea_spark.errors import PrivacyError
from threea_spark.model.statistics import statistics_of
from threea_spark.planned import make_plan
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.noise import KeyedNoise, new_key
from threea_spark.privacy.terms import Stage
from threea_spark.source.local import local_source
from threea_spark.source.pandas import arrow_table

N_ROWS, N_DRAWS, MAX_ROWS = 1_000, 40, 3
FAR = 5.0  # standard errors of the mean and of the variance of all draws: one test in a million fails by chance
COLUMNS = {
    "age": {"type": "integer", "lower": 0, "upper": 99, "nullable": True},
    "paid": {"type": "float", "lower": 0, "upper": 10},
    "seen": {"type": "timestamp", "lower": "2020-01-01", "upper": "2021-01-01", "parts": ["weekday"]},
    "ward": {"type": "categorical", "values": ["north", "south", "west"], "nullable": True},
    "sick": {"type": "categorical", "values": ["no", "yes"]},
}
CELL = "column", "part", "cell"
DOMAIN = {"columns": COLUMNS, "label": "sick"}


class WrongNoise(KeyedNoise):
    """A tenth more noise than the plan says."""

    def noised(self, exact, stddev, context):
        return super().noised(exact, 1.1 * stddev, context)


class Held:
    """Rows whose exact sums are known, so that only the noise is drawn anew."""

    def __init__(self, *exact):
        self.exact = exact

    def sums(self, queries):
        assert len(queries) == len(self.exact)
        return [own.copy() for own in self.exact]


@cache
def frame():
    rng = np.random.default_rng(3)
    age = rng.integers(15, 90, N_ROWS)
    return pd.DataFrame(
        {
            "age": pd.array(np.where(rng.random(N_ROWS) < 0.1, None, age), "Int64"),
            "paid": np.where(rng.random(N_ROWS) < 0.4, 0.0, np.minimum(np.round(rng.gamma(2.0, 2.0, N_ROWS), 2), 10.0)),
            "seen": pd.Timestamp("2020-03-01") + pd.to_timedelta(rng.random(N_ROWS) * 2e7, unit="s"),
            "ward": np.where(rng.random(N_ROWS) < 0.2, None, rng.choice(["north", "south", "east"], N_ROWS)),
            "sick": np.where(age + rng.normal(0, 9, N_ROWS) > 55, "yes", "no"),
            "who": [f"p{number}" for number in range(N_ROWS)],
        }
    )


@cache
def config(numeric="auto"):
    return ReleaseConfig.from_dict(
        {
            "source": {"path": "nowhere"},
            "target": {"path": "nowhere either"},
            "privacy": {"epsilon": 8.0, "delta": 1e-6, "unit": {"column": "who", "max_rows": MAX_ROWS}},
            "domain": DOMAIN,
            "encode": {"numeric": numeric},
            "approximate": {"components": 1},
            "adapt": {"method": "none"},
        }
    )


@cache
def model(numeric="auto"):
    return fit(frame(), config(numeric))


@cache
def counted_as(column, part):
    """The frame's cells as they are counted: an unlisted ward as null, which the column allows."""
    own = frame()[column]
    if part == "weekday":
        return own.dt.weekday.astype(str).to_numpy(dtype=object)
    if column in ("ward", "sick"):
        return own.where(own.isin(COLUMNS[column]["values"]), None).to_numpy(dtype=object)
    return own.to_numpy() if column == "seen" else np.minimum(own.to_numpy(dtype=float, na_value=np.nan), 99.0)


def holds(row, side=""):
    """Which rows of the frame lie in a cell, by its exported bounds and values alone."""
    column = row[f"column{side}"]
    own, listed = counted_as(column, row[f"part{side}"]), row["values" + side] if side else [row["value"]]
    if np.isnan(row[f"lower{side}"]):
        values = [value for value in listed if value is not None]
        return np.isin(own, values) | (pd.isna(own) if None in list(listed) else False)
    kind = "_time" if column == "seen" else ""
    lower, upper = (row[f"{end}{kind}{side}"] for end in ("lower", "upper"))
    if kind:
        lower, upper = (end.tz_localize(None).to_datetime64() for end in (lower, upper))
    above = own >= lower if row[f"includes_lower{side}"] else own > lower
    return above & (own <= upper if row[f"includes_upper{side}"] else own < upper)


def true_counts(table):
    """Rows of the frame in each cell."""
    return np.array([holds(row).sum() for row in table.to_dict("records")])


@cache
def true_histograms(numeric):
    table = statistics_of(model(numeric))["histograms"].to_pandas()
    return true_counts(table[table.measured_by == "histograms"])


def true_pairs(table):
    """Rows of the frame in each pair of cells."""
    masks = {}
    for side in ("_a", "_b"):
        for row in table.drop_duplicates([f"{name}{side}" for name in CELL]).to_dict("records"):
            masks[_key(row, side)] = holds(row, side)
    rows = table.to_dict("records")
    return np.array([(masks[_key(row, "_a")] & masks[_key(row, "_b")]).sum() for row in rows])


def _key(row, side):
    return side, *(row[f"{name}{side}"] for name in CELL)


def is_as_stated(errors):
    """Whether noise over its standard error, shape (n_draws, n_cells), has mean 0 and variance 1."""
    n = errors.size
    return abs(errors.mean()) < FAR / np.sqrt(n) and abs(np.mean(errors**2) - 1.0) < FAR * np.sqrt(2.0 / n)


def meter(noise):
    return PrivacyMeter(make_plan(config()), noise, "a test")


# histograms


def encode_draws(numeric, noise):
    """Noise of every exported histogram cell over its standard error, drawn anew on the same sums."""
    own = config(numeric)
    plan, table = make_plan(own), statistics_of(model(numeric))["histograms"].to_pandas()
    table = table[table.measured_by == "histograms"]
    reader = reader_of(own.domain, {}, affine=codes_affinely(own))
    query, prices = reader.histogram_query(), encode_prices(own, plan.mu_of(Stage.ENCODE))
    unit = own.privacy.privacy_unit
    rows = local_source(arrow_table(frame(), own.domain, unit.column), own.domain, unit, new_key())
    exact, truth, drawn = rows.sums([query])[0], true_histograms(numeric), []
    for _ in range(N_DRAWS):
        answer = PrivacyMeter(plan, noise(new_key()), "a test").ask(query, Held(exact), prices.histograms)
        found = HistogramLayout(reader.fields).rows(answer.value, answer.stddev)
        tables = encode_tables(reader.columns, found, MAX_ROWS, None)
        levels = [counts for tree in tables.trees for _, _, counts in tree.levels()]
        counts = np.concatenate([*levels, *[own.counts for own in tables.one_way()]])
        drawn.append((counts - truth) / table.standard_error.to_numpy())
    return np.array(drawn)


@pytest.mark.parametrize("numeric", ["auto", "affine"])
def test_the_noise_of_every_cell_has_the_stated_standard_error(numeric):
    """True counts are exact: bounds, ends, nulls and units of counts are right, or the mean would be off."""
    errors = encode_draws(numeric, KeyedNoise)
    assert np.abs(errors.mean(axis=0)).max() < 6.0 / np.sqrt(N_DRAWS)
    assert is_as_stated(errors)


def test_a_tenth_more_noise_than_stated_is_noticed():
    assert not is_as_stated(encode_draws("auto", WrongNoise))


def test_the_standard_error_is_that_of_the_certified_plan():
    """From the definition: a unit moves max_rows times what a row adds, over mu."""
    own, table = config(), statistics_of(model())["histograms"].to_pandas()
    mu = encode_prices(own, make_plan(own).mu_of(Stage.ENCODE)).histograms
    levels = 2 + 3 + 3 + 1 + 1 + 1  # age, paid, seen, weekday, ward, sick
    assert np.allclose(table.standard_error, MAX_ROWS * np.sqrt(1 + levels) / mu)
    assert (statistics_of(model())["release"]["max_rows_per_unit"].to_pylist()) == [MAX_ROWS]


def test_the_number_of_rows_has_the_stated_standard_error():
    own, noise = HistogramLayout(reader_of(config().domain, {}).fields), []
    for _ in range(300):
        drawn = np.random.default_rng(len(noise)).normal(0.0, 7.0, own.size)
        drawn[0] += 1e6  # read once by itself; the columns' readings are of noise alone
        found = own.rows(drawn, 7.0)
        noise.append((found.n_rows, found.n_rows_stddev))
    rows, stated = np.array(noise).T
    assert abs(rows.std() / stated[0] - 1.0) < FAR * np.sqrt(0.5 / 300)
    assert stated[0] < 7.0


def test_counts_are_those_that_rows_are_drawn_by():
    table = model().statistics()["histograms"]
    for column, own in table[(table.kind == "interval")].groupby("column"):
        for _, level in own.groupby("level"):
            nulls = table[(table.column == column) & table.part.isna() & (table.kind == "null")]["count"].sum()
            assert level["count"].sum() + nulls == pytest.approx(model().n_rows, abs=1.0)
    assert (table["count"].dropna() >= 0.0).all()
    drawn = model().sample_local(20_000, seed=1)
    old = table[(table.column == "age") & (table.level == 1) & (table.lower >= 64)]["count"].sum()
    assert old / model().n_rows == pytest.approx((drawn.age >= 64).mean(), abs=0.15)


@pytest.mark.parametrize("atoms", [[], [37.3]])
def test_a_finer_look_at_narrow_data_is_exported_with_its_own_noise(atoms):
    """Where the place of many rows has a leaf of its own, no finer cell counts them once more."""
    rng = np.random.default_rng(5)
    values = np.where(rng.random(20_000) < 0.3, 37.3, 37.3 + 0.01 * rng.random(20_000))
    domain = {"columns": {"x": {"type": "float", "lower": 0.0, "upper": 1e5, "atoms": atoms}}, "task": "none"}
    content = {**config().model_dump(mode="json"), "domain": domain}
    content["privacy"] = {"epsilon": 8.0, "delta": 1e-6, "unit": "row"}
    table = fit(pd.DataFrame({"x": values}), ReleaseConfig.from_dict(content)).statistics()["histograms"]
    finer = table[table.measured_by == "finer"]
    assert len(finer) > 250
    ends = finer[["lower", "upper", "includes_lower", "includes_upper"]].to_numpy()
    true = [
        np.sum(((values >= a) if with_a else (values > a)) & ((values <= b) if with_b else (values < b)))
        for a, b, with_a, with_b in ends
    ]
    errors = (finer.noisy_count - true) / finer.standard_error
    assert np.abs(errors).max() < 6.0
    assert is_as_stated(errors.to_numpy()[None])
    assert finer.standard_error.iloc[0] != table.standard_error.iloc[0]


# pairs


@cache
def fitted():
    return run_in_memory(frame(), config().model_dump(mode="json"))[0]


def pair_errors(noise):
    """As `encode_draws`, for tables of pairs: in groups, cell by cell, and with the label."""
    encoding, staged = fitted().outcome.encoding, fitted().staged
    columns, chosen = table_columns(encoding, 4), [(0, 1), (0, 4), (2, 5)]
    classes = single_components(encoding, per_class=True)
    by_class = marginals_query(encoding, classes, Stage.APPROXIMATE, "marginals")
    queries = pairs_query(columns), tables_query(columns, chosen), by_class
    exact, mu = staged.sums(queries), 0.5 * make_plan(config()).mu_of(Stage.APPROXIMATE)
    drawn = []
    for _ in range(N_DRAWS):
        answers = meter(noise(new_key())).ask_together([(query, mu) for query in queries], Held(*exact))
        measured = marginals_of(answers[2].value, answers[2].stddev, 2, encoding.cell_layout)
        components = ComponentModel(classes, measured, (), np.eye(len(encoding.features)))
        grouped, cell_by_cell = grouped_counts(columns, answers[0]), chosen_counts(columns, chosen, answers[1])
        counts = grouped, cell_by_cell, *counted_tables(encoding, components)
        drawn.append(dataclasses.replace(model().tables, counts=counts))
    first = statistics_of(dataclasses.replace(model(), tables=drawn[0]))["pairs"].to_pandas()
    assert set(first.measured_by) == {"pairs", "tables", "marginals"}
    truth, stated = true_pairs(first), first.standard_error.to_numpy()
    return np.array([(counts_of(tables) - truth) / stated for tables in drawn])


def counts_of(tables):
    """All cells that can hold a row, in the order of the exported table."""
    used = [np.logical_and.outer(*(cells.is_used for cells in own.cells)) for own in tables.pairs()]
    return np.concatenate([own.counts[which] for own, which in zip(tables.pairs(), used, strict=True)])


def test_the_noise_of_every_pair_of_cells_has_the_stated_standard_error():
    errors = pair_errors(KeyedNoise)
    assert np.abs(errors.mean(axis=0)).max() < 6.0 / np.sqrt(N_DRAWS)
    assert is_as_stated(errors)
    assert not is_as_stated(pair_errors(WrongNoise))


def test_tables_of_a_class_with_several_components_have_the_noise_of_all():
    encoding = fitted().outcome.encoding
    mixture = dataclasses.replace(single_components(encoding, per_class=True), class_of=np.array([0, 0, 1]))
    rng, drawn = np.random.default_rng(1), []
    for _ in range(40):
        noisy = 50.0 + rng.normal(0.0, 9.0, (3, encoding.n_cells))
        measured = dataclasses.replace(
            marginals_of(np.ones(3 * (1 + encoding.n_cells)), 9.0, 3, encoding.cell_layout), counts=noisy
        )
        (own,) = counted_tables(encoding, ComponentModel(mixture, measured, (), np.eye(len(encoding.features))))
        table = next(own.tables())
        drawn.append((table.counts - [100.0, 50.0]) / table.stddev)
    assert is_as_stated(np.array(drawn))


# what is kept, and what is refused


def same(one, two):
    if dataclasses.is_dataclass(one):
        return all(same(getattr(one, own.name), getattr(two, own.name)) for own in dataclasses.fields(one))
    if isinstance(one, tuple):
        return len(one) == len(two) and all(map(same, one, two))
    return np.array_equal(one, two, equal_nan=True) if isinstance(one, np.ndarray) else one == two


def test_a_saved_model_keeps_them_in_a_format_that_0_2_0_reads(tmp_path):
    model().save(tmp_path / "model")
    again = ReleaseModel.load(tmp_path / "model")
    assert same(again.tables, model().tables)
    assert json.loads((tmp_path / "model" / "model.json").read_text())["readable_by"] == 1
    for name, table in statistics_of(model()).items():
        assert statistics_of(again)[name].equals(table), name


def test_a_model_of_0_2_0_is_refused_by_name(tmp_path, capsys):
    folder = Path(__file__).with_name("model_of_0_2_0")
    assert run("--model", str(folder), "--out", str(tmp_path / "out")) == 10
    said = " ".join(capsys.readouterr().err.split())
    assert f"--model: {folder} keeps no noisy counts: it was fitted before version 0.3.0. Fit it again" in said
    assert not (tmp_path / "out").exists()


def test_exact_counts_are_never_kept():
    conditional = config().model_dump(mode="json")
    conditional["anonymize"] = {"generator": "mix"}
    conditional["privacy"] = {"epsilon": 8.0, "delta": 1e-6, "accounting": "conditional", "unit": "row"}
    assert run_in_memory(frame(), conditional)[0].tables is None
    with pytest.raises(PrivacyError, match="counts without noise are internal"):
        dataclasses.replace(model().tables, n_rows_stddev=0.0)
    (first, *rest) = model().tables.counts
    with pytest.raises(PrivacyError, match="counts without noise are internal"):
        dataclasses.replace(model().tables, counts=(dataclasses.replace(first, stddev=first.stddev * 0.0), *rest))


def test_what_was_not_counted_is_said():
    own = model().statistics()
    assert own["release"].pairs_counted[0] == "every column with the label 'sick'; no other pair"
    assert own["columns"].set_index("column").counted_as.to_dict() == {
        "age": "histogram", "paid": "histogram", "seen": "histogram", "ward": "categories", "sick": "categories",
    }  # fmt: skip
    wide = model("affine").statistics()["columns"].set_index("column")
    assert wide.counted_as["paid"] == "mean"
    error = wide["mean_standard_error"]["paid"]
    assert abs(wide["mean"]["paid"] - frame().paid.mean()) < 6.0 * error < 1.0


def test_what_rules_count_in_place_of_columns_has_a_name_and_a_unit_of_its_own():
    day = np.random.default_rng(1).integers(0, 300, 500)
    rows = pd.DataFrame({"came": pd.Timestamp("2020-01-01") + pd.to_timedelta(day, unit="D"), "total": day})
    rows["left"] = rows.came + pd.Timedelta(days=3)
    time = {"type": "timestamp", "lower": "2020-01-01", "upper": "2021-01-01"}
    columns = {"came": time, "left": time, "total": {"type": "integer", "lower": 0, "upper": 400}}
    content = {**config().model_dump(mode="json"), "privacy": {"epsilon": 8.0, "delta": 1e-6, "unit": "row"}}
    content["domain"] = {"columns": columns, "task": "none", "rules": [{"order": {"columns": ["came", "left"]}}]}
    own = fit(rows, ReleaseConfig.from_dict(content)).statistics()
    counted = own["columns"].set_index("column").counted_as
    assert counted["left"] == "not counted by itself: a rule counts it with others, in a column of another name"
    assert counted["left - came"] == "histogram, counted by a rule in place of columns of the table"
    step = own["histograms"][(own["histograms"].column == "left - came") & (own["histograms"].level == 1)]
    assert step.lower_time.isna().all()
    first = step.sort_values("lower").iloc[:8]
    held = first[(first.lower <= 3 * 86_400) & (first.upper > 3 * 86_400)]
    assert held.noisy_count.sum() > 400


def test_categories_say_where_they_come_from():
    table = model().statistics()["categories"]
    assert list(table[table.column == "ward"].value) == ["north", "south", "west", None]
    assert list(table[table.column == "ward"].origin) == ["declared"] * 3 + ["null"]
    assert set(table[table.column == "seen"].origin) == {"part of a time"}
    assert "age" not in set(table.column)


# the command


def run(*options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["threea", "export", "--statistics", *options])
        try:
            main()
        except SystemExit as end:
            return end.code or 0
    return 0


def test_the_command_writes_parquet_files_and_overwrites_none(tmp_path, capsys):
    model().save(tmp_path / "model")
    options = "--model", str(tmp_path / "model"), "--out", str(tmp_path / "out")
    assert run(*options) == 0
    assert "no privacy was spent" in capsys.readouterr().out
    for name, table in statistics_of(model()).items():
        assert parquet.read_table(tmp_path / "out" / f"{name}.parquet").equals(table), name
    assert run(*options) == 5
    assert run("--model", str(tmp_path / "model")) == 2
