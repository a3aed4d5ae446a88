"""Rules between columns row by row: rows that keep them come back as they were, rows that break them come back kept."""

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruled_tables import COLUMNS, DOMAIN, REGIONS, STATES, any_rows, broken, frame, kept_rows, with_none

from threea_spark.config.domain import Domain
from threea_spark.encode.between.functions import FunctionTable
from threea_spark.encode.between.row_rules import RowRules
from threea_spark.encode.between.written import as_written
from threea_spark.encode.cells import Levels, Numbers, levels_of, numbers_of
from threea_spark.engine.packed import column_name
from threea_spark.model.blocks import arrow_rows
from threea_spark.source.pandas import released_types

few = settings(deadline=None, derandomize=True, max_examples=30)
KINDS = {"categorical": pa.string(), "timestamp": pa.timestamp("us", tz="UTC")}
TABLES = (
    FunctionTable("state", np.array([DOMAIN.columns["state"].values.index(state) for state in STATES.values()])),
    FunctionTable("region", np.array([REGIONS[state] for state in DOMAIN.columns["state"].values])),
)
RULES = RowRules(DOMAIN, {}, TABLES)


def batch_of(rows, domain=DOMAIN):
    """Canonical columns of rows."""
    columns = list(domain.columns.values())
    arrays = [
        pa.array([row[place] for row in rows], KINDS.get(column.type, pa.float64()))
        for place, column in enumerate(columns)
    ]
    return pa.RecordBatch.from_arrays(arrays, [column_name(place) for place in range(len(columns))])


def decoded(cells, column):
    """A coded column as if it had been drawn."""
    if not column.is_categorical:
        numbers = numbers_of(cells)
        middle = 0.5 if column.is_timestamp else 0.5 * (column.lower + column.upper)
        known = numbers if column.nullable else np.where(np.isnan(numbers), middle, numbers)
        ends = (-np.inf, np.inf) if column.is_timestamp else (column.lower, column.upper)
        return Numbers(np.clip(known, *ends))
    null = -1 if column.nullable else 0
    return Levels(levels_of(cells, column.values, unknown=null, null=null), column.values)


def there_and_back(rows, rules=RULES, types=None):
    """Rows as they are released, where coded columns are drawn just as they were."""
    domain = rules.domain
    cells = rules.coded(batch_of(rows, domain))
    columns = {name: decoded(cells[name], column) for name, column in domain.coded.columns.items()}
    types = types or {name: kind for name, kind in released_types(domain).items() if name in domain.columns}
    restored = rules.restored(columns, types)
    return arrow_rows(restored, types).to_pandas()


def frame_of(rows):
    return pd.DataFrame(rows, columns=list(COLUMNS))


@few
@given(st.lists(kept_rows(), min_size=1, max_size=8))
def test_rows_that_keep_the_rules_come_back_as_they_were(rows):
    back, own = there_and_back(rows), frame_of(rows)
    assert not broken(own)
    for name, column in DOMAIN.columns.items():
        if column.is_categorical:
            assert with_none(back[name]) == with_none(own[name])
        elif column.is_timestamp:
            assert (
                pd.to_datetime(own[name], utc=True).equals(back[name].astype("datetime64[us, UTC]"))
                or ((pd.to_datetime(own[name], utc=True) - back[name]).dropna().abs() < pd.Timedelta("1ms")).all()
            )
            assert (own[name].isna() == back[name].isna()).all()
        else:
            assert np.array_equal(own[name].astype(float), back[name].astype(float), equal_nan=True)


@few
@given(st.lists(any_rows(), min_size=1, max_size=12))
def test_rows_that_break_the_rules_come_back_keeping_them(rows):
    assert broken(there_and_back(rows)) == {}


@few
@given(st.lists(any_rows(), min_size=2, max_size=8))
def test_what_becomes_of_a_row_depends_on_that_row_alone(rows):
    together = RULES.coded(batch_of(rows))
    for place, row in enumerate(rows):
        alone = RULES.coded(batch_of([row]))
        for name in DOMAIN.coded.columns:
            assert str(together[name][place].as_py()) == str(alone[name][0].as_py()), name


def rules_of(rules, columns, **more):
    domain = Domain.from_dict({"task": "none", "columns": columns, "rules": rules})
    return RowRules(domain, **more)


NUMBER = {"type": "float", "lower": 0, "upper": 100}


def test_a_later_value_before_an_earlier_one_counts_as_equal_to_it():
    rules = rules_of([{"order": {"low": "a", "high": "b"}}], {"a": NUMBER, "b": {**NUMBER, "nullable": True}})
    back = there_and_back([(5.0, 3.0), (5.0, None), (5.0, 7.5), (200.0, -3.0)], rules)
    assert back["a"].tolist() == [5.0, 5.0, 5.0, 100.0]
    assert back["b"].fillna(-1.0).tolist() == [5.0, -1.0, 7.5, 100.0]


def test_an_open_beginning_leaves_the_end_where_it_is():
    rules = rules_of([{"order": {"low": "a", "high": "b"}}], {"a": {**NUMBER, "nullable": True}, "b": NUMBER})
    back = there_and_back([(None, 42.0)], rules)
    assert np.isnan(back["a"][0])
    assert back["b"][0] == 42.0


@pytest.mark.parametrize(("low", "high"), [("timestamp", "date"), ("date", "timestamp"), ("date", "date")])
def test_dates_and_timestamps_stay_in_order_as_they_are_written(low, high):
    times = {"type": "timestamp", "lower": "2020-01-01", "upper": "2021-01-01"}
    rules = rules_of([{"order": {"low": "a", "high": "b"}}], {"a": times, "b": times})
    rng = np.random.default_rng(1)
    drawn = {"a": Numbers(rng.uniform(1.58e9, 1.6e9, 500)), "b - a": Numbers(rng.uniform(0, 2e5, 500))}
    rows = arrow_rows(rules.restored(drawn, {"a": low, "b": high}), {"a": low, "b": high}).to_pandas()
    naive = arrow_rows({"a": drawn["a"], "b": drawn["a"]}, {"a": low, "b": high}).to_pandas()
    assert (pd.to_datetime(rows["a"], utc=True) <= pd.to_datetime(rows["b"], utc=True)).all()
    if (low, high) == ("timestamp", "date"):  # where each is rounded by itself, equal times are no longer in order
        assert not (pd.to_datetime(naive["a"], utc=True) <= pd.to_datetime(naive["b"], utc=True)).all()


@pytest.mark.parametrize("kind", ["double", "decimal(10,2)", "bigint"])
def test_a_total_is_the_sum_of_its_parts_as_they_are_written_and_within_its_bounds(kind):
    columns = {"a": NUMBER, "b": NUMBER, "t": {**NUMBER, "lower": 30, "upper": 120}}
    rules = rules_of([{"sum": {"parts": ["a", "b"], "total": "t"}}], columns)
    rng = np.random.default_rng(2)
    drawn = {"a": Numbers(rng.uniform(0, 100, 2_000)), "b": Numbers(rng.uniform(0, 100, 2_000))}
    types = dict.fromkeys(columns, kind)
    rows = arrow_rows(rules.restored(drawn, types), types).to_pandas().astype(float)
    assert np.abs(rows["a"] + rows["b"] - rows["t"]).max() < 1e-9
    assert (rows["t"] >= 30 - 1e-9).all()
    assert (rows["t"] <= 120 + 1e-9).all()
    assert (rows["a"] >= 0).all()
    inside = (drawn["a"].values + drawn["b"].values < 119) & (drawn["a"].values + drawn["b"].values > 31)
    assert np.allclose(rows["a"][inside], as_written(drawn["a"].values, kind)[inside])
    assert not np.allclose(drawn["a"].values + drawn["b"].values, rows["t"])  # some had to be drawn in


def test_a_time_is_a_time_and_numbers_of_days():
    times = {"type": "timestamp", "lower": "2020-01-01", "upper": "2021-01-01"}
    columns = {"arrival": times, "nights": {"type": "integer", "lower": 1, "upper": 30}, "departure": times}
    rules = rules_of([{"sum": {"parts": ["arrival", "nights"], "total": "departure"}}], columns)
    drawn = {"arrival": Numbers(np.array([1.6e9, 1.609459e9])), "nights": Numbers(np.array([3.0, 30.0]))}
    types = {"arrival": "date", "nights": "int", "departure": "date"}
    rows = arrow_rows(rules.restored(drawn, types), types).to_pandas()
    arrival, departure = pd.to_datetime(rows["arrival"]), pd.to_datetime(rows["departure"])
    assert ((departure - arrival).dt.days == rows["nights"]).all()
    assert (departure <= pd.Timestamp("2021-01-01")).all()


def test_one_column_may_begin_several_orders_and_be_a_part_of_a_sum():
    times = {"type": "timestamp", "lower": "2020-01-01", "upper": "2021-01-01"}
    late = {**times, "upper": "2022-01-01", "nullable": True}
    columns = {"start": times, "nights": {"type": "integer", "lower": 0, "upper": 30}, "end": times}
    columns |= {"paid": late, "died": late, "buried": late}
    rules = rules_of(
        [
            {"order": {"low": "died", "high": "buried"}},
            {"order": {"low": "start", "high": "paid"}},
            {"order": {"low": "end", "high": "died"}},
            {"sum": {"parts": ["start", "nights"], "total": "end"}},
        ],
        columns,
    )
    day, moment = dt.timedelta(days=1), dt.datetime(2020, 5, 1, tzinfo=dt.timezone.utc)
    kept = (moment, 2.0, moment + 2 * day, moment, moment + 3 * day, moment + 9 * day)
    back = there_and_back(
        [kept, (moment, 3.0, moment, moment - day, None, moment), (moment, 30.0) + (moment,) * 4], rules
    )
    assert [cell.to_pydatetime() if hasattr(cell, "year") else cell for cell in back.iloc[0]] == list(kept)
    assert (back["start"] + pd.to_timedelta(back["nights"], unit="D") == back["end"]).all()
    for low, high in (("start", "paid"), ("end", "died"), ("died", "buried")):
        assert ((back[low] <= back[high]) | back[low].isna() | back[high].isna()).all()
    rng = np.random.default_rng(3)
    drawn = {"start": 1.5778368e9 + rng.uniform(0, 3.1e7, 500), "nights": rng.integers(0, 31, 500).astype(float)}
    drawn |= dict.fromkeys(("paid - start", "died - end", "buried - died"), rng.uniform(0, 3e6, 500))
    types = {
        name: "int" if name == "nights" else "date" if name in ("end", "died") else "timestamp" for name in columns
    }
    types["start"] = "date"
    restored = rules.restored({name: Numbers(own) for name, own in drawn.items()}, types)
    rows = (
        arrow_rows(restored, types)
        .to_pandas()
        .apply(lambda own: own if own.name == "nights" else pd.to_datetime(own, utc=True))
    )
    assert (rows["start"] + pd.to_timedelta(rows["nights"], unit="D") == rows["end"]).all()
    assert (rows["start"] <= rows["paid"]).all()
    assert (rows["end"] <= rows["died"]).all()
    assert (rows["died"] <= rows["buried"]).all()


def test_another_combination_counts_as_the_first_that_agrees_in_most_leading_columns():
    category = {"type": "categorical", "values": ["p", "q", "r"]}
    listed = [["p", "p"], ["q", "q"], ["q", "r"]]
    rules = rules_of([{"allowed": {"columns": ["a", "b"], "combinations": listed}}], {"a": category, "b": category})
    back = there_and_back([("q", "p"), ("q", "r"), ("r", "q"), ("unknown", None)], rules)
    assert back.to_numpy().tolist() == [["q", "q"], ["q", "r"], ["p", "p"], ["p", "p"]]


def test_a_public_mapping_decides_also_null_and_several_columns():
    flag = {"type": "categorical", "values": ["0", "1"], "nullable": True}
    both = {"type": "categorical", "values": ["none", "some"], "nullable": True}
    mapping = [[["0", "0"], ["none"]], [["0", "1"], ["some"]], [["1", None], ["some"]]]
    rules = rules_of(
        [{"functional": {"from": ["a", "b"], "to": "c", "mapping": mapping}}], {"a": flag, "b": flag, "c": both}
    )
    back = there_and_back([("0", "0", "some"), ("0", "1", None), ("1", None, "none"), ("1", "1", "none")], rules)
    assert with_none(back["c"]) == ["none", "some", "some", None]


def test_pairs_are_counted_one_for_each_row_and_decided_column():
    query, rows = RULES.functions_query(), _rows(40)
    counts = query.contribution(batch_of(rows))
    assert counts.sum() == 2 * len(rows)
    assert query.bound.squared_norm == query.bound.moved == 2
    one = query.contribution(batch_of(rows[:1]))
    assert np.array_equal(np.sort(one)[-2:], [1, 1])
    assert np.array_equal(query.contribution(batch_of(rows[1:])) + one, counts)
    tables = {table.to: table.levels for table in RULES.with_functions(counts.astype(float)).tables}
    seen = sorted({list(STATES).index(row[0]) for row in rows})
    assert np.array_equal(tables["state"][seen], TABLES[0].levels[seen])
    assert RULES.unclear(counts.astype(float), 1.0) == {"state": (len(STATES) - len(seen), 5), "region": (0, 3)}


def _rows(n_rows):
    own = frame(n_rows).drop(columns="id").astype(object)
    return [tuple(None if cell is None or cell != cell else cell for cell in row) for row in own.to_numpy().tolist()]
