"""Columns of the tables of noisy statistics; docs/statistics.md says what each holds."""

from __future__ import annotations

import pyarrow as pa

TEXT, NUMBER, WHOLE = pa.string(), pa.float64(), pa.int64()
TIME, FLAG, TEXTS = pa.timestamp("us", tz="UTC"), pa.bool_(), pa.list_(pa.string())
_COUNTED = {"noisy_count": NUMBER, "standard_error": NUMBER}
_BOUNDS = {
    "lower": NUMBER,
    "upper": NUMBER,
    "lower_time": TIME,
    "upper_time": TIME,
    "includes_lower": FLAG,
    "includes_upper": FLAG,
}
SIDE = {"column": TEXT, "part": TEXT, "cell": TEXT, "values": TEXTS, **_BOUNDS}
"""What a table of pairs says of each of its two columns."""

SCHEMAS = {
    "release": pa.schema(
        {
            "rows": NUMBER,
            "rows_standard_error": NUMBER,
            "max_rows_per_unit": WHOLE,
            "unit": TEXT,
            "epsilon": NUMBER,
            "delta": NUMBER,
            "pairs_counted": TEXT,
        }
    ),
    "columns": pa.schema(
        {
            "column": TEXT,
            "type": TEXT,
            "counted_as": TEXT,
            "mean": NUMBER,
            "mean_standard_error": NUMBER,
            "pair_tables": WHOLE,
        }
    ),
    "histograms": pa.schema(
        {
            "column": TEXT,
            "part": TEXT,
            "level": pa.int32(),
            "kind": TEXT,
            "cell": TEXT,
            "value": TEXT,
            **_BOUNDS,
            **_COUNTED,
            "count": NUMBER,
            "measured_by": TEXT,
        }
    ),
    "categories": pa.schema({"column": TEXT, "part": TEXT, "value": TEXT, "origin": TEXT, **_COUNTED, "count": NUMBER}),
    "pairs": pa.schema(
        {
            **{f"{name}_a": kind for name, kind in SIDE.items()},
            **{f"{name}_b": kind for name, kind in SIDE.items()},
            **_COUNTED,
            "measured_by": TEXT,
        }
    ),
}
"""By table, in the order in which they are written."""
