"""Names of the columns that travel between stages on Spark."""

from __future__ import annotations

N_ROWS = "n_rows"  # int: packed rows in a block
BLOCK = "block"  # binary: packed rows, compressed (staged.py)
UNIT = "unit"  # bigint: secret uniform token of the row's unit of privacy
UNIT_ID = "unit_id"  # binary: the unit's identifier, dropped before staging
