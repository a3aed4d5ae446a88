"""Names of the columns that travel between stages on Spark."""

from __future__ import annotations

VECTOR = "vector"  # binary: width little-endian int16 coordinates
CLASS = "class"  # int: class of the label
UNIT = "unit"  # bigint: secret uniform token of the row's unit of privacy
CONTENT = "content"  # bigint: hash of the row, for the secret order within a unit
UNIT_ID = "unit_id"  # string: the unit's identifier, dropped before staging
STAGED = (VECTOR, CLASS, UNIT)
