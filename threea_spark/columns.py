"""Names of the columns that travel between stages on Spark."""

from __future__ import annotations

N_ROWS = "n_rows"  # int: packed rows in a block
BLOCK = "block"  # binary: packed rows, compressed (staged.py)
UNIT = "unit"  # bigint: secret uniform token of the row's unit of privacy
CONTENT = "content"  # bigint: hash of the row, for the secret order within a unit
UNIT_ID = "unit_id"  # string: the unit's identifier, dropped before staging
