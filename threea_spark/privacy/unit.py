"""The unit of privacy: whose presence is hidden, and how many rows it may own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum


class Missing(Enum):
    """How to treat rows without an identifier: as one unit, as rows never to be read, or as not allowed at all."""

    TOGETHER = "together"
    DROP = "drop"
    REFUSE = "refuse"


@dataclass(frozen=True)
class PrivacyUnit:
    """A row, or all rows that share a value of a column, of which at most `max_rows` are read.

    Attributes:
      column: The column that identifies units; None if each row is its own unit.
      max_rows: Contribution bound m; every sensitivity is m times a row's.
      missing: How rows without a value in the column are treated. Not part of the unit's text, which names an account
        of the ledger: the units are the same.
    """

    column: str | None = None
    max_rows: int = 1
    missing: Missing = Missing.TOGETHER

    @property
    def missing_in_words(self) -> str | None:
        """How rows without an identifier were treated, for a receipt; None if each row is a unit."""
        return None if self.column is None else _MISSING_IN_WORDS[self.missing].format(self.column)

    def __str__(self) -> str:
        if self.column is None:
            return "one row"
        return f"all rows with the same {self.column!r}, of which at most {self.max_rows} are read"


_MISSING_IN_WORDS = {
    Missing.TOGETHER: "rows without a value in {0!r}, if any, count as one unit together",
    Missing.DROP: "rows without a value in {0!r}, if any, are left out and were not read",
    Missing.REFUSE: "no row is without a value in {0!r}: the source declares it NOT NULL",
}


def unit_token(key: bytes, unit_id: bytes | None) -> int:
    """Maps a unit's identifier to a secret 63-bit token; all null identifiers form one unit."""
    content = b"\x00null" if unit_id is None else b"\x01" + unit_id
    digest = hashlib.blake2b(content, digest_size=8, key=key, person=b"unit").digest()
    return int.from_bytes(digest, "big") >> 1
