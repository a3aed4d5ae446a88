"""Tables for the search of sensitivities: hard rows, units of several of them, and the releases they go through."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from threea_spark import ReleaseConfig
from threea_spark.config.columns import Column
from threea_spark.config.domain import Domain
from threea_spark.engine.packed import UNIT, column_name

Row = tuple[Any, ...]
ODD_UNIT = (2**31 - 1) << 32  # its coin is zero: it is in every sample
_TOKENS = 2**63
_TIMES = pa.timestamp("us", tz="UTC")
_YEAR_1, _YEAR_9999 = (dt.datetime(year, 1, 1, tzinfo=dt.timezone.utc) for year in (1, 9999))
_NUMBERS = (0.0, -0.0, 1.0, 2.5, -3.0, 3.0, 5e-324, 1e300, float(2**53), -float(2**53), 1e18)
_NOT_NUMBERS = (None, float("nan"), float("inf"), float("-inf"))
_TEXTS = (None, "", "unknown", "\x00", "p", "no")

COLUMNS: dict[str, Any] = {
    "a": {"type": "float", "lower": -3, "upper": 3, "nullable": True},
    "b": {"type": "float", "lower": 0, "upper": 1},
    "n": {"type": "integer", "lower": -(2**53), "upper": 2**53},
    "t": {
        "type": "timestamp",
        "lower": "2010-01-01",
        "upper": "2030-01-01",
        "nullable": True,
        "parts": ["hour", "weekday"],
    },
    "c": {"type": "categorical", "values": ["p", "q", "r"], "nullable": True},
    "y": {"type": "categorical", "values": ["no", "yes", "perhaps"]},
}
TWO_CLASSES = {"domain": {"columns": {**COLUMNS, "y": {"type": "categorical", "values": ["no", "yes"]}}}}
OPEN = {"domain": {"columns": {**COLUMNS, "w": {"type": "categorical", "values": "open"}}}}
RULES = {
    "domain": {
        "columns": {
            **COLUMNS,
            "w": {"type": "categorical", "values": "open"},
            "k": {"type": "integer", "lower": 1, "upper": 3, "nullable": True},
            "u": {"type": "timestamp", "lower": "2010-01-01", "upper": "2030-01-01", "nullable": True},
            "d": {"type": "float", "lower": 0, "upper": 2, "nullable": True},
            "s": {"type": "float", "lower": -2, "upper": 3, "nullable": True},
            "g": {"type": "categorical", "values": ["p", "q"]},
            "h": {"type": "categorical", "values": ["p", "q"], "nullable": True},
            "i": {"type": "integer", "lower": 0, "upper": 9, "nullable": True},
            "j": {"type": "categorical", "values": ["p", "q"], "nullable": True},
        },
        "rules": [
            {"functional": {"from": "c", "to": ["w", "k"]}},
            {"order": {"low": "t", "high": "u"}},
            {"sum": {"parts": ["d", "b"], "total": "s"}},
            {"together": ["a", "d"]},
            {"exactly_one": ["i", "j"]},
            {"allowed": {"columns": ["g", "h"], "combinations": [["p", "p"], ["q", None]]}},
            {"unique": "z"},
        ],
    }
}
NO_ADAPT = {"adapt": {"method": "none"}}
NARROW = {"privacy": {"epsilon": 1000.0}}  # so much that few rows have tables of pairs, and else histograms
APART = {"approximate": {"components": 1}}  # no tables of pairs
OF_A_SAMPLE = {"adapt": {"rows": "sample"}}
OF_A_NUMBER = {"domain": {"label": "a", "task": "regression"}}
SEVERAL = {"domain": {"label": ["y", "c", "a"]}}
OF_NOTHING = {"domain": {"label": None, "task": "none"}}
MODES: dict[str, dict[str, Any]] = {
    "histograms": {**NARROW, **NO_ADAPT, **APART},
    "moments": {**NARROW, **NO_ADAPT, **APART, "encode": {"numeric": "affine"}},
    "pairs": {**NARROW, **NO_ADAPT},
    "pairs of open categories": {**NARROW, **NO_ADAPT, **OPEN},
    "few rows": {},
    "two looks": {**APART},
    "two looks at moments": {**APART, "encode": {"numeric": "affine"}},
    "two looks at a sample": {**APART, "source": {"rows": 100}, "adapt": {"rows": "sample", "max_rows": 50}},
    "labels": {**NARROW, **APART},
    "pairs and labels": {**NARROW},
    "pairs and labels of two classes": {**NARROW, **TWO_CLASSES},
    "points and labels": {**NARROW, **APART, **OF_A_SAMPLE},
    "points and labels of two classes": {**NARROW, **APART, **OF_A_SAMPLE, **TWO_CLASSES},
    "pairs, points and labels": {**NARROW, **OF_A_SAMPLE},
    "points and labels of a sample": {
        "privacy": {"epsilon": 20.0, "shares": {"encode": 0.1, "approximate": 0.8, "adapt": 0.1, "anonymize": 0.0}},
        "source": {"rows": 100},
        "adapt": {"rows": "sample", "max_rows": 50},
        "approximate": {"per_class": False},  # so no second look, however few the rows
    },
    "components of all classes": {**NARROW, **NO_ADAPT, "approximate": {"components": 2, "per_class": False}},
    "components of each class": {**NARROW, **NO_ADAPT, "approximate": {"components": 2, "covariance": "diagonal"}},
    "mixing": {"anonymize": {"generator": "mix"}, "approximate": {"components": 3, "min_cluster_size": 5}},
    "random mixing": {"anonymize": {"generator": "random"}},
    "mixing, diagonal": {
        **NO_ADAPT,
        "anonymize": {"generator": "mix"},
        "approximate": {"components": 3, "min_cluster_size": 5, "covariance": "diagonal"},
    },
    "mixing, full": {
        **NO_ADAPT,
        "anonymize": {"generator": "mix"},
        "approximate": {"components": 3, "min_cluster_size": 5, "covariance": "full"},
    },
    "a numeric label": {**NARROW, **APART, **OF_A_NUMBER},
    "pairs and a numeric label": {**NARROW, **OF_A_NUMBER},
    "several labels": {**NARROW, **SEVERAL},
    "several labels of components": {**NARROW, **APART, **SEVERAL},
    "no label": {**NARROW, **APART, **OF_NOTHING},
    "pairs without a label": {**NARROW, **OF_NOTHING},
    "open categories": {**NO_ADAPT, **APART, **OPEN},
    "rules between columns": {**NO_ADAPT, **APART, **RULES},
    "pairs and rules between columns": {**NARROW, **NO_ADAPT, **RULES},
    "a share for anonymize": {
        "privacy": {"epsilon": 1000.0, "shares": {"encode": 0.1, "approximate": 0.3, "adapt": 0.0, "anonymize": 0.6}}
    },
}
"""Releases by name; between them they ask for every noisy sum there is."""


@dataclass(frozen=True)
class Table:
    """Rows in the order of the domain's columns, and each one's unit."""

    rows: tuple[Row, ...]
    units: tuple[int, ...]

    def joined_by(self, rows: Sequence[Row], place: int = 0) -> Table:
        """The neighbouring table: one more unit owns these rows, which stand at `place`, so all others move on."""
        odd = (ODD_UNIT,) * len(rows)
        return replace(
            self,
            rows=(*self.rows[:place], *rows, *self.rows[place:]),
            units=(*self.units[:place], *odd, *self.units[place:]),
        )


def release_config(mode: str, *, max_rows: int = 1, relation: str = "add_or_remove_one", **own: Any) -> ReleaseConfig:
    """The configuration of a mode; sections given here override, key by key."""
    sections: dict[str, Any] = {
        "source": {"path": "source"},
        "target": {"path": "target"},
        "privacy": {"epsilon": 6.0, "delta": 1e-5, "unit": "row", "relation": relation},
        "domain": {"label": "y", "columns": COLUMNS},
        "adapt": {"support_size": 8, "steps": 3},
    }
    if max_rows > 1:
        own = {**own, "privacy": {**own.get("privacy", {}), "unit": {"column": "id", "max_rows": max_rows}}}
    for overriding in (MODES[mode], own):
        for name, section in overriding.items():
            sections[name] = {**sections.get(name, {}), **section}
    return ReleaseConfig.from_dict(sections)


def plain_table(domain: Domain, n_rows: int, rng: np.random.Generator) -> Table:
    """Rows of ordinary values, each a unit of its own."""
    rows = [tuple(plain_cell(column, rng) for column in domain.columns.values()) for _ in range(n_rows)]
    return Table(tuple(rows), tuple(rng.integers(0, _TOKENS, n_rows).tolist()))


def hard_row(domain: Domain, rng: np.random.Generator) -> Row:
    """One row of bounds, nulls, infinities, unknown values and what lies far outside."""
    return tuple(hard_cell(column, rng) for column in domain.columns.values())


def hard_cell(column: Column, rng: np.random.Generator) -> Any:
    """One hard value, or in one of four draws an ordinary one."""
    if rng.random() < 0.25:
        return plain_cell(column, rng)
    pool = hard_values(column)
    return pool[rng.integers(len(pool))]


def hard_values(column: Column) -> tuple[Any, ...]:
    """The values that are hard for a column, its own bounds or levels among them."""
    if column.is_categorical:
        return (*_TEXTS, *(() if column.is_open else column.values))
    if column.is_timestamp:
        return (None, _aware(column.lower), _aware(column.upper), _YEAR_1, _YEAR_9999)
    low, high = float(column.lower), float(column.upper)
    return (low, high, 0.5 * (low + high), *_NUMBERS, *_NOT_NUMBERS)


def batch_of(table: Table, domain: Domain) -> pa.RecordBatch:
    """Canonical columns, as Spark would hand them over, and the units' tokens."""
    arrays = [
        pa.array([row[place] for row in table.rows], arrow_type(column))
        for place, column in enumerate(domain.columns.values())
    ]
    names = [column_name(place) for place in range(len(arrays))]
    return pa.RecordBatch.from_arrays([*arrays, pa.array(table.units, pa.int64())], [*names, UNIT])


def arrow_type(column: Column) -> pa.DataType:
    """The type in which a column's cells are held."""
    if column.is_categorical:
        return pa.string()
    return _TIMES if column.is_timestamp else pa.float64()


def plain_cell(column: Column, rng: np.random.Generator) -> Any:
    """An ordinary value."""
    if column.is_categorical:
        values = ("u", "v", "w") if column.is_open else column.values
        return values[rng.integers(len(values))]
    if column.is_timestamp:
        return _aware(column.lower) + dt.timedelta(seconds=int(rng.integers(0, 10**8)))
    return float(rng.uniform(column.lower, column.upper))


def _aware(moment: dt.datetime) -> dt.datetime:
    return moment.replace(tzinfo=dt.timezone.utc)
