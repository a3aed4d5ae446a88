"""The unit of privacy: whose presence is hidden, and how many rows it may own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class PrivacyUnit:
    """A row, or all rows that share a value of a column, of which at most `max_rows` are read.

    Attributes:
      column: None where each row is a unit of its own.
      max_rows: Contribution bound m; every sensitivity is m times a row's.
    """

    column: str | None = None
    max_rows: int = 1

    def __str__(self) -> str:
        if self.column is None:
            return "one row"
        return f"all rows with the same {self.column!r}, of which at most {self.max_rows} are read"


def unit_token(key: bytes, unit_id: bytes | None) -> int:
    """Maps a unit's identifier to a secret 63-bit token; null identifiers are together one unit."""
    content = b"\x00null" if unit_id is None else b"\x01" + unit_id
    digest = hashlib.blake2b(content, digest_size=8, key=key, person=b"unit").digest()
    return int.from_bytes(digest, "big") >> 1
