import datetime as dt
import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from report_pages import table
from scipy.stats import spearmanr

from threea_spark.config.domain import Domain
from threea_spark.evaluation.evaluate import JudgedRows
from threea_spark.report.associations import association, associations, with_one
from threea_spark.report.bins import MAX_BINS, MAX_CATEGORIES, Values, bins_of
from threea_spark.report.charts.bar_charts import bar_list, spread_chart
from threea_spark.report.charts.charts import Axis, Series, line_chart
from threea_spark.report.charts.heat_map import heat_map, strongest
from threea_spark.report.charts.scales import Scale, moment, percent, percent_at_most, short, ticks
from threea_spark.report.comparison import compare, compare_columns, project
from threea_spark.report.summary import MAX_CORRELATED, pair_summary, summary_of, values_of

RNG = np.random.default_rng(11)


def numbers(cells, name="x", kind="number"):
    return Values(name, kind, np.asarray(cells, dtype=np.float64))


def words(cells, name="c"):
    found = np.empty(len(cells), dtype=object)
    found[:] = cells
    return Values(name, "category", found)


def test_shares_of_whole_numbers_are_exact_and_nulls_stand_apart():
    values = numbers([1, 1, 2, 4, np.nan])
    bins = bins_of([values])
    assert bins.edges == (0.5, 1.5, 2.5, 3.5, 4.5)
    assert bins.shares(values) == pytest.approx([0.5, 0.25, 0.0, 0.25])
    assert values.null_share == pytest.approx(0.2)


def test_bins_of_many_whole_numbers_hold_equally_many_each():
    values = numbers(np.arange(18, 95).repeat(10))
    bins = bins_of([values])
    assert len(bins.edges) <= MAX_BINS + 1
    assert {edge % 1.0 for edge in bins.edges} == {0.5}
    assert np.ptp(bins.shares(values)[:-1]) < 1e-12  # a comb would show here


def test_a_heavy_tail_is_counted_in_the_outer_bin_and_nothing_is_lost():
    values = numbers([*RNG.random(1000), 1e9])
    bins = bins_of([values])
    assert bins.cut
    assert bins.edges[-1] < 1.1
    assert bins.shares(values).sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    "cells",
    [
        [], [np.nan] * 3, [7.0] * 5, [0.1] * 5, [1e300, -1e300, 0.5] * 9, [np.inf, -np.inf, 1.5, 2.5], [5e-324, 0.0],
        [2.0**60, 2.0**60 + 512],
    ],
)  # fmt: skip
def test_no_column_of_numbers_breaks_the_bins_or_the_chart(cells):
    values = numbers(cells)
    shares = bins_of([values]).shares(values)
    known = np.isfinite(np.asarray(cells, dtype=float)).sum() if cells else 0
    assert shares.sum() == pytest.approx(1.0 if known else 0.0)
    assert "nan" not in spread_chart("x", bins_of([values]), shares)
    assert "nan" not in spread_chart("x", bins_of([values]), shares, shares)


def test_rare_categories_are_counted_together():
    values = words([f"w{n}" for n in range(30) for _ in range(30 - n)] + [None] * 5)
    bins = bins_of([values])
    assert len(bins.categories) == MAX_CATEGORIES - 1
    assert bins.categories[:2] == ("w0", "w1")
    assert bins.shares(values).sum() == pytest.approx(1.0)
    assert "all others" in spread_chart("c", bins, bins.shares(values))


def test_a_column_of_nulls_has_no_category_and_draws():
    values = words([None, None])
    assert values.null_share == 1.0
    assert bins_of([values]).shares(values).sum() == 0.0
    assert "<svg" in spread_chart("c", bins_of([values]), bins_of([values]).shares(values))


def test_cells_are_read_as_their_columns_say():
    domain = Domain.from_dict(
        {
            "task": "none",
            "columns": {
                "d": {"type": "float", "lower": 0, "upper": 9},
                "day": {"type": "timestamp", "lower": "2020-01-01", "upper": "2022-01-01"},
                "at": {"type": "timestamp", "lower": "2020-01-01", "upper": "2022-01-01"},
                "flag": {"type": "categorical", "values": ["true", "false"]},
            },
        }
    )
    frame = pd.DataFrame(
        {
            "d": [Decimal("1.5"), None],
            "day": [dt.date(2020, 1, 2), None],
            "at": pd.to_datetime(["2020-01-02 06:00", None]),
            "flag": np.array([True, None], dtype=object),
        }
    )
    d, day, at, flag = values_of(frame, domain)
    midnight = dt.datetime(2020, 1, 2, tzinfo=dt.timezone.utc).timestamp()
    assert d.cells == pytest.approx([1.5, np.nan], nan_ok=True)
    assert day.cells == pytest.approx([midnight, np.nan], nan_ok=True)
    assert at.cells == pytest.approx([midnight + 6 * 3600, np.nan], nan_ok=True)
    assert list(flag.cells) == ["true", None]


def test_numbers_go_together_by_rank_over_the_rows_that_hold_both():
    x = RNG.standard_normal(500)
    y = np.exp(2.0 * x + RNG.standard_normal(500))
    x[:50] = np.nan
    assert association(numbers(x), numbers(y)) == pytest.approx(spearmanr(x[50:], y[50:]).statistic, abs=0.01)
    assert association(numbers(x), numbers(-y)) == pytest.approx(-association(numbers(x), numbers(y)))


def test_a_category_that_says_all_is_one_and_one_that_says_nothing_is_near_zero():
    level = RNG.integers(0, 4, 2000)
    name = words([f"l{n}" for n in level])
    assert association(name, words([f"other{n}" for n in level])) == pytest.approx(1.0, abs=0.01)
    assert association(name, numbers(level)) == pytest.approx(1.0, abs=0.01)
    assert association(name, words(list(RNG.choice(["a", "b"], 2000)))) < 0.06
    assert association(name, numbers(RNG.random(2000))) < 0.06
    assert association(numbers(level + 0.5 * RNG.random(2000)), name) > 0.9


@pytest.mark.parametrize("right", [numbers([1.0] * 9), numbers([np.nan] * 9), words([None] * 9), words(["a"] * 9)])
def test_a_column_that_says_nothing_goes_with_nothing(right):
    assert association(numbers(np.arange(9)), right) == 0.0
    assert association(words(list("abcabcabc")), right) == 0.0


def test_all_pairs_are_symmetric_and_agree_with_one_column_against_the_rest():
    columns = values_of(*table(300, 3, ["ward"]))
    found = associations(columns)
    assert found == pytest.approx(found.T)
    assert found.diagonal() == pytest.approx(1.0)
    assert with_one(columns[0], columns[1:]) == pytest.approx(found[0, 1:])


def test_of_a_wide_table_the_columns_that_tell_the_label_are_kept():
    frame, domain = table(1500, 80)
    pairs = summary_of(frame, domain, 1500).pairs
    assert len(pairs.names) == MAX_CORRELATED
    assert "died" in pairs.names
    telling = {f"measurement_{n:04d}" for n in range(80) if n % 5 == 4}
    assert len(telling - set(pairs.names)) <= 1
    unlabelled = pair_summary(values_of(frame, domain), None)
    assert unlabelled.names == tuple(frame.columns[:MAX_CORRELATED])


def test_distance_is_total_variation_and_counts_nulls():
    assert compare_columns(words(["a", "b"]), words(["a", "b"])).distance == 0.0
    assert compare_columns(words(["a"] * 3), words(["b"] * 3)).distance == pytest.approx(1.0)
    assert compare_columns(numbers([1, 1, 2, 2]), numbers([1, 2, 2, 2])).distance == pytest.approx(0.25)
    assert compare_columns(numbers([1, np.nan]), numbers([1, 1])).distance == pytest.approx(0.5)


def test_axes_come_from_released_rows_alone():
    (released, domain), (real, _) = table(400), table(400, seed=1)
    clouds = project(released, real, domain)
    moved = project(released, real.assign(cost=real["cost"] * 100.0), domain)
    assert clouds.released == pytest.approx(moved.released)
    assert np.all(np.diff(clouds.explained) <= 0.0)
    assert 0.0 < clouds.explained.sum() <= 1.0
    assert clouds.released.mean(axis=0) == pytest.approx([0.0, 0.0], abs=1e-9)
    variances = clouds.released.var(axis=0)
    assert variances[0] >= variances[1] > 0.0


def test_equal_tables_differ_in_nothing():
    frame, domain = table(300, 2, ["ward"])
    found = compare(JudgedRows(frame, frame, frame[:0]), domain)
    assert all(column.distance == 0.0 for column in found.columns)
    assert np.all(found.pair_differences == 0.0)
    assert found.models == ()


def test_a_table_without_rows_or_with_one_column_can_be_compared():
    frame, domain = table(5)
    assert compare(JudgedRows(frame[:0], frame[:0], frame[:0]), domain).n_released == 0
    one = Domain.from_dict({"task": "none", "columns": {"age": {"type": "integer", "lower": 18, "upper": 100}}})
    assert compare(JudgedRows(frame, frame, frame), one).clouds.released.shape == (5, 2)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.0, 0.37), (-5e6, 5e6), (1e-9, 3e-9), (-3, -1)])
def test_ticks_are_round_and_inside(low, high):
    found = ticks(low, high)
    assert 2 <= len(found) <= 7
    assert all(low - 1e-9 * abs(low) <= tick <= high + 1e-9 * abs(high) for tick in found)
    steps = np.diff(found)
    assert steps == pytest.approx(steps[0])
    assert ticks(3.0, 3.0) == [3.0]


def test_a_scale_maps_ends_to_ends_and_no_width_to_the_middle():
    assert (Scale(0, 10, 100, 0).at(0), Scale(0, 10, 100, 0).at(10)) == (100, 0)
    assert Scale(5, 5, 0, 10).at(5) == 5
    assert math.isfinite(Scale(-1e300, 1e300, 0, 300).at(1e299))


def test_numbers_are_written_short():
    assert [short(v) for v in (0, 57.5, 8017, 15999, 1.2e6, 2e9, 2e-5, math.inf)] == [
        "0", "57.5", "8017", "16k", "1.2M", "2G", "2e-05", "-",
    ]  # fmt: skip
    assert [percent(v).replace("\u00a0", " ") for v in (0, 1e-5, 0.1234, 0.9999, 1)] == [
        "0.0 %", "< 0.1 %", "12.3 %", "99.9 %", "100.0 %",
    ]  # fmt: skip
    assert [percent_at_most(v).replace("\u00a0", " ") for v in (0.1, 0.10001, 1)] == ["10.0 %", "10.1 %", "100.0 %"]
    assert moment(0.0, 1e3) == "01 Jan 00:00"
    assert moment(0.0, 1e7) == "1970-01-01"
    assert moment(0.0, 1e9) == "1970-01"
    assert moment(1e300, 1e300) == "-"


def test_a_line_is_drawn_where_its_numbers_are():
    x = np.array([0.0, 0.5, 1.0, 2.0])
    chart = line_chart("t", "d", Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0), [Series("s", x, x, "s1")])
    assert 'd="M48 258L198 135L348 12"' in chart
    assert "M48 258h0" in line_chart(
        "t", "d", Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0), [Series("s", x[:1], x[:1], "")]
    )


def test_bars_are_as_long_as_their_shares():
    chart = bar_list("t", ["all", "half"], np.array([1.0, 0.5]), np.array([0.5, 0.0]), top=1.0)
    assert "M114 2h92v7" in chart
    assert "M114 10h46v6" in chart
    assert "M114 20h46v7" in chart
    assert "100.0\u00a0% | 50.0\u00a0%" in chart  # both numbers, the real one second
    assert "M114 3h134v12" in bar_list("t", ["all"], np.array([1.0]), top=1.0)


def test_a_heat_map_shades_by_sign_and_strength_and_lists_the_strongest():
    values = np.array([[1.0, -0.5, 0.01], [-0.5, 1.0, 0.3], [0.01, 0.3, 1.0]])
    chart = heat_map("t", ["a", "b", "c"], values)
    assert 'class="minus shade3"' in chart
    assert 'class="plus shade2"' in chart
    assert 'class="plus shade1"' not in chart
    assert [(p.left, p.right, p.value) for p in strongest(["a", "b", "c"], values, 2)] == [
        ("a", "b", -0.5),
        ("b", "c", 0.3),
    ]


FAR = [
    pd.Series(np.array(["2020-01-01", "3000-06-01", "NaT"], dtype="datetime64[us]")),
    pd.Series(np.array(["2020-01-01", "2261-06-01", "NaT"], dtype="datetime64[ns]")),
    pd.Series([dt.date(2020, 1, 1), dt.date(3000, 6, 1), None], dtype=object),  # what a DATE column becomes
]


@pytest.mark.parametrize("cells", FAR, ids=["microseconds", "nanoseconds", "dates"])
def test_a_summary_reads_far_dates_in_whatever_unit_they_are_held(cells):
    """Nanoseconds end in 2262: the year 3000 came out as 1831, or as a null."""
    column = {"type": "timestamp", "lower": "2000-01-01", "upper": "4000-01-01"}
    domain = Domain.from_dict({"task": "none", "columns": {"t": column}})
    first, last = (
        (np.datetime64(str(cell)[:10]) - np.datetime64("1970-01-01")).astype(int) * 86400 for cell in cells[:2]
    )
    frame = pd.DataFrame({"t": cells})
    (found,) = values_of(frame, domain)
    assert found.cells[:2].tolist() == [first, last]
    assert np.isnan(found.cells[2])
    (summary,) = summary_of(frame, domain, n_rows=3).columns
    assert summary.null_share == pytest.approx(1 / 3)
    assert first <= summary.bins.edges[0] < 0.9 * last < summary.bins.edges[-1] <= last
