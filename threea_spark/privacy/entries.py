"""The ledger's entries as a hash chain: each stores the hash of the previous entry, so that tampering shows.

A chain cannot show that its newest entries were removed together, or that someone who knows the format rewrote all of
it; anyone who keeps the hash of a later entry (every receipt of a governed release contains one) can.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum

from threea_spark.errors import LedgerError

GENESIS = "0" * 64


class Kind(str, Enum):
    """The kind of event that an entry records."""

    GRANT = "grant"
    START = "start"
    FINISH = "finish"
    FAIL = "fail"
    VOID = "void"


@dataclass(frozen=True)
class Holder:
    """The owner of a budget: a source table, by name and by Delta's identifier, and a unit of privacy."""

    source: str
    source_id: str
    unit: str

    def owns(self, entry: Entry) -> bool:
        """Tells whether an entry concerns this source, under any of its names."""
        return entry.source == self.source or (bool(self.source_id) and entry.source_id == self.source_id)


@dataclass(frozen=True)
class Entry:
    """One line of the ledger; never changed once written.

    Attributes:
      number: Position in the chain, from 0.
      kind: A value of `Kind`.
      source, source_id: The table it concerns: its name, and Delta's own identifier, which is the same under any name.
      unit: The unit of privacy; together with the source, it identifies the account.
      release_id: The release, for a start and for entries that refer to one.
      content: JSON: a grant's budget, a start's spend, or the number and reason of an entry that refers to a start.
      at: The writer's UTC time, ISO 8601.
      previous: Hash of the previous entry, GENESIS for the first.
      by: The user of the writer's session; None in entries of 0.2.0 and before, which are hashed without it.
      hash: Hash of all fields above.
    """

    number: int
    kind: str
    source: str
    source_id: str
    unit: str
    release_id: str
    content: str
    at: str
    previous: str
    by: str | None = None
    hash: str = ""

    def sealed(self) -> Entry:
        """Returns the entry with its hash filled in."""
        return Entry(**{**asdict(self), "hash": self.expected_hash()})

    def expected_hash(self) -> str:
        """Returns the SHA-256 of all other fields, as a JSON list, so that field boundaries are unambiguous.

        An entry that names nobody has one field less, so that a name can neither be added later nor removed.
        """
        fields = {name: value for name, value in asdict(self).items() if name != "hash"}
        if self.by is None:
            del fields["by"]
        return hashlib.sha256(json.dumps(list(fields.values())).encode()).hexdigest()


def next_entry(
    chain: Sequence[Entry],
    kind: Kind,
    holder: Holder,
    *,
    content: str,
    at: str,
    by: str | None = None,
    release_id: str = "",
) -> Entry:
    """Creates the entry that extends a chain."""
    names = (holder.source, holder.source_id, holder.unit)
    return Entry(len(chain), kind.value, *names, release_id, content, at, head_of(chain), by).sealed()


def head_of(chain: Sequence[Entry]) -> str:
    """Returns the hash of the newest entry; GENESIS if there is none."""
    return chain[-1].hash if chain else GENESIS


def verify(chain: Sequence[Entry]) -> None:
    """Checks that no past entry was changed, removed, added or moved.

    Args:
      chain: All entries, ordered by number.

    Raises:
      LedgerError: naming the first entry that does not fit.
    """
    previous = GENESIS
    for number, entry in enumerate(chain):
        if entry.number != number or entry.previous != previous or entry.hash != entry.expected_hash():
            raise LedgerError(
                f"ledger: entry {number} does not fit the hash chain; something else has modified the ledger. None of "
                "its entries were used. Compare it with the table's history and restore the last intact version"
            )
        previous = entry.hash
