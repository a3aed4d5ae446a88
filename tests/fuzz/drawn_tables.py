"""Tables of any shape: hypothesis draws columns, bounds and settings, numpy fills in the rows, ordinary and hostile."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from threea_spark import ReleaseConfig

SECRET_TEXT = "PLANTED-7f3a91"
SECRET_NUMBER = 73913.0625
NAMES = ["a", "dotted.name", "two words", 'quo"te', "back`tick", "größe ☃", "semi;colon", "c0", "unit", "x·hour"]
UNITS = "id of a unit"
NUMERIC = ["tinyint", "smallint", "int", "bigint", "float", "double", "decimal(10,2)", "decimal(38,0)"]
TIMES = ["timestamp", "timestamp_ntz", "date"]
BOUNDS = [
    (0.0, 1.0), (-3.0, 3.0), (0.0, 1e-300), (-1e300, 1e300), (-1e-5, 1e9), (0.0, 2.0**53), (99.0, 101.0),
    (-(2.0**31), 2.0**31), (5.0, 5.5), (-200.0, 40_000.0),
]  # fmt: skip
SPANS = [
    ("2010-01-01", "2030-01-01"), ("0001-01-01", "9999-12-31"), ("2020-02-29", "2020-03-01"),
    ("1969-12-31", "1970-01-01"), ("1600-01-01", "2400-01-01"),
]  # fmt: skip
VALUES = [["p"], ["p", "q"], ["", " ", "\t"], ["größe", "☃", "🦊", "a'b", 'c"d'], [str(i) for i in range(60)]]
TEXTS = ["", "\x00", "violet", "ﬃ", "🦊" * 50, "x" * 3_000, "NaN", "null", "'; drop", SECRET_TEXT, None]
NUMBERS = [0.0, -0.0, 1e308, -1e308, 5e-324, 1e18, -(2.0**63), SECRET_NUMBER]
ODD_NUMBERS = [None, float("nan"), float("inf"), float("-inf")]
MOMENTS = [dt.datetime(1, 1, 1), dt.datetime(1582, 10, 10), dt.datetime(1970, 1, 1), dt.datetime(9999, 12, 31, 23)]
ARROW = {
    "tinyint": pa.int8(), "smallint": pa.int16(), "int": pa.int32(), "bigint": pa.int64(), "float": pa.float32(),
    "double": pa.float64(), "decimal(10,2)": pa.decimal128(10, 2), "decimal(38,0)": pa.decimal128(38, 0),
    "timestamp": pa.timestamp("us", "UTC"), "timestamp_ntz": pa.timestamp("us"), "date": pa.date32(),
    "string": pa.string(), "boolean": pa.bool_(),
}  # fmt: skip
FLOATS = float(np.finfo(np.float32).min), float(np.finfo(np.float32).max)
LARGEST = {"tinyint": 2**7, "smallint": 2**15, "int": 2**31, "bigint": 2**63, "decimal(10,2)": 10**8}


@dataclass(frozen=True)
class DrawnTable:
    """A table and the configuration of its release.

    Attributes:
      types: Spark's type of each column.
      domain: Plain values of the domain's columns.
      sections: Of the configuration, without places.
      n_rows, seed: Of the rows.
    """

    types: dict
    domain: dict
    sections: dict
    n_rows: int
    seed: int

    def config(self, source="source", target="target"):
        places = {"source": {"path": str(source)}, "target": {"path": str(target)}}
        return ReleaseConfig.from_dict({**places, **self.sections})

    def rows(self):
        """The table in Arrow; a column of units beside the domain's."""
        rng = np.random.default_rng(self.seed)
        arrays = {name: self._cells(name, rng) for name in self.types}
        units = pa.array([f"u{i}" for i in rng.integers(0, max(1, self.n_rows // 3), self.n_rows)], pa.string())
        return pa.table({**arrays, UNITS: units})

    def _cells(self, name, rng):
        simple, column = self.types[name], self.domain[name]
        hostile = rng.random(self.n_rows) < rng.choice([0.0, 0.1, 1.0], p=[0.2, 0.6, 0.2])
        plain, odd = PLAIN[column["type"]](column, simple), HOSTILE[column["type"]](simple)
        chosen = [(odd if is_odd else plain) for is_odd in hostile]
        return pa.array([pool[rng.integers(len(pool))] for pool in chosen], ARROW[simple])


def numbers_within(column, simple):
    low, high = float(column["lower"]), float(column["upper"])
    return [fitting(low + share * (high / 2 - low / 2) * 2, simple) for share in (0.0, 0.11, 0.5, 0.5, 0.73, 1.0)]


def fitting(number, simple):
    """The nearest number that the type holds."""
    if simple in ("float", "double"):
        return float(np.clip(number, *FLOATS)) if simple == "float" else number
    largest = LARGEST.get(simple, 10**38)
    whole = int(np.clip(number, -1e300, 1e300))
    whole = max(-largest + 1, min(whole, largest - 1))
    return Decimal(whole) if simple.startswith("decimal") else whole


def hostile_numbers(simple):
    known = [fitting(number, simple) for number in NUMBERS]
    return [*known, *(ODD_NUMBERS if simple in ("float", "double") else [None])]


def moments_within(column, simple):
    first, last = (dt.datetime.fromisoformat(column[end]) for end in ("lower", "upper"))
    found = [first + share * (last - first) for share in (0.0, 0.2, 0.4, 0.4, 0.9, 1.0)]
    return [moment.date() for moment in found] if simple == "date" else found


def hostile_moments(simple):
    return [None, *([moment.date() for moment in MOMENTS] if simple == "date" else MOMENTS)]


def listed(column, simple):
    values = ["common", "common", "rare"] if column["values"] == "open" else column["values"]
    return [value == "true" for value in values] if simple == "boolean" else values


def hostile_texts(simple):
    return [None, True, False] if simple == "boolean" else TEXTS


PLAIN = {
    "float": numbers_within,
    "integer": numbers_within,
    "timestamp": moments_within,
    "categorical": listed,
}
HOSTILE = {
    "float": hostile_numbers,
    "integer": hostile_numbers,
    "timestamp": hostile_moments,
    "categorical": hostile_texts,
}


@st.composite
def columns(draw):
    """The plain values of one column's domain, and Spark's type of it."""
    kind = draw(st.sampled_from(["float", "integer", "timestamp", "categorical"]))
    column = {"type": kind, "nullable": draw(st.booleans())}
    if kind == "categorical":
        values = draw(st.sampled_from([*VALUES, "open", ["true", "false"]]))
        return {**column, "values": values}, "boolean" if values == ["true", "false"] else "string"
    if kind == "timestamp":
        low, high = draw(st.sampled_from(SPANS))
        parts = draw(st.lists(st.sampled_from(["hour", "weekday", "month"]), unique=True))
        return {**column, "lower": low, "upper": high, "parts": parts}, draw(st.sampled_from(TIMES))
    low, high = draw(st.sampled_from([pair for pair in BOUNDS if kind == "float" or is_whole(pair)]))
    ends = {"lower": low, "upper": high} if kind == "float" else {"lower": int(low), "upper": int(high)}
    return {**column, **ends}, draw(st.sampled_from(NUMERIC))


def is_whole(pair):
    return all(end == int(end) and abs(end) <= 2**53 for end in pair)


@st.composite
def drawn_tables(draw, most_rows):
    """Any table and a sound configuration of its release."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6, unique=True))
    found = {name: draw(columns()) for name in names}
    domain = {name: column for name, (column, _) in found.items()}
    types = {name: simple for name, (_, simple) in found.items()}
    label = {name: ["classification"] for name, own in domain.items() if is_listed(own)}
    label |= {name: ["regression"] for name, own in domain.items() if own["type"] in ("float", "integer")}
    chosen = draw(st.sampled_from([None, *label]))
    about = {"task": "none"} if chosen is None else {"task": label[chosen][0], "label": chosen}
    unit = draw(st.sampled_from(["row", {"column": UNITS, "max_rows": 2}]))
    generator = draw(st.sampled_from(["sample", "sample", "mix", "random"]))
    sections = {
        "privacy": {
            "epsilon": draw(st.sampled_from([0.1, 1.0, 10.0, 30.0])),
            "delta": 1e-5,
            "unit": unit,
            "relation": draw(st.sampled_from(["add_or_remove_one", "replace_one"])),
        },
        "domain": {"columns": domain, **about},
        "encode": {"numeric": draw(st.sampled_from(["quantile", "affine"]))},
        "approximate": {"components": draw(st.sampled_from(["auto", 1, 3]))},
        "adapt": {"method": draw(st.sampled_from(["kip", "none"])), "support_size": 4, "steps": 2},
        "anonymize": {
            "generator": generator,
            **({"rows": draw(st.sampled_from([1, 50]))} if generator == "sample" else {}),
        },
    }
    return DrawnTable(
        types,
        domain,
        sections,
        draw(st.sampled_from([most_rows, most_rows, most_rows // 2, most_rows // 8, 1, 0])),
        draw(st.integers(0, 2**32)),
    )


def is_listed(column):
    return column["type"] == "categorical" and column["values"] != "open"


def check_released(table, released):
    """Fails where released rows are not what the domain and the source's types promise."""
    assert list(released.column_names) == list(table.types)
    for name, simple in table.types.items():
        column, cells = table.domain[name], released[name]
        assert cells.type == ARROW[simple], (name, cells.type)
        assert column["nullable"] or cells.null_count == 0, name
        known = [cell for cell in cells.to_pylist() if cell is not None]
        check_values(column, simple, known)


def check_values(column, simple, known):
    if column["type"] == "categorical":
        allowed = set(listed(column, simple)) if column["values"] != "open" else None
        assert allowed is None or set(known) <= allowed
        return
    if column["type"] == "timestamp":
        ends = [dt.datetime.fromisoformat(column[end]) for end in ("lower", "upper")]
        low, high = ends if simple != "date" else [end.date() for end in ends]
        assert all(low <= (cell.replace(tzinfo=None) if simple != "date" else cell) <= high for cell in known)
        return
    low, high = (fitting(float(column[end]), simple) for end in ("lower", "upper"))
    step = 1 if column["type"] == "integer" or simple not in ("float", "double") else abs(float(high)) * 1e-6
    assert all(low - step <= cell <= high + step for cell in known), (simple, low, high)
    assert simple not in ("float", "double") or np.isfinite(known).all()
    if column["type"] == "integer":
        assert all(cell == int(cell) for cell in known)
