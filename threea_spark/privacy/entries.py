"""The ledger's entries as a chain: each holds the hash of the one before, so that a changed past shows.

A chain cannot show that its newest entries were taken away together, nor that all of it was written anew by someone
who knows the format; whoever keeps a hash of a later entry (every receipt of a governed release holds one) can.
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
    """What an entry says."""

    GRANT = "grant"
    START = "start"
    FINISH = "finish"
    FAIL = "fail"
    VOID = "void"


@dataclass(frozen=True)
class Holder:
    """Whose budget it is: a source table, by name and by Delta's identifier, and a unit of privacy."""

    source: str
    source_id: str
    unit: str

    def owns(self, entry: Entry) -> bool:
        """Tells whether an entry is about this source, under whichever of its names."""
        return entry.source == self.source or (bool(self.source_id) and entry.source_id == self.source_id)


@dataclass(frozen=True)
class Entry:
    """One line of the ledger; never changed once written.

    Attributes:
      number: Place in the chain, from 0.
      kind: What it says.
      source, source_id: The table it is about: its name, and Delta's own identifier, which no second name can hide.
      unit: Of privacy; with the source, the account it belongs to.
      release_id: Of a start, and of what refers to it.
      content: JSON: the budget of a grant, the spend of a start, the number and the reason of what refers to one.
      at: UTC time of the writer, ISO 8601.
      previous: Hash of the entry before, GENESIS for the first.
      hash: Of all the above.
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
    hash: str = ""

    def sealed(self) -> Entry:
        """The entry with its hash."""
        return Entry(**{**asdict(self), "hash": self.expected_hash()})

    def expected_hash(self) -> str:
        """SHA-256 over all fields but the hash itself, in JSON, whose parts cannot run into each other."""
        fields = [value for name, value in asdict(self).items() if name != "hash"]
        return hashlib.sha256(json.dumps(fields).encode()).hexdigest()


def next_entry(
    chain: Sequence[Entry], kind: Kind, holder: Holder, *, content: str, at: str, release_id: str = ""
) -> Entry:
    """Makes the entry that follows a chain."""
    previous = chain[-1].hash if chain else GENESIS
    names = (holder.source, holder.source_id, holder.unit)
    return Entry(len(chain), kind.value, *names, release_id, content, at, previous).sealed()


def verify(chain: Sequence[Entry]) -> None:
    """Checks that nothing in the past was changed, removed, added or put in another place.

    Args:
      chain: All entries, by number.

    Raises:
      LedgerError: naming the first entry that does not fit.
    """
    previous = GENESIS
    for number, entry in enumerate(chain):
        if entry.number != number or entry.previous != previous or entry.hash != entry.expected_hash():
            raise LedgerError(
                f"ledger: entry {number} does not fit the chain of hashes; the ledger was changed by something else. "
                "Nothing was read. Compare it with the table's history and restore the version that is whole"
            )
        previous = entry.hash
