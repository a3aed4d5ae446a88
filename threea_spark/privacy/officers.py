"""Officers' entries in a chain of their own, which releases can only read: which of them count, and when.

Each of them records the ledger that it is for and that ledger's newest entry at the time. So a budget cannot be spent
twice through two ledgers, an officer's entry has its place among the ledger's, and a ledger that was rewritten or cut
short before that place is refused.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from threea_spark.errors import LedgerError
from threea_spark.privacy.entries import Entry, Kind, head_of

OFFICERS = (Kind.GRANT.value, Kind.VOID.value)
"""The kinds of entries that only officers write."""
_SEEN = "seen"


@dataclass(frozen=True)
class Seen:
    """The state of a ledger when an officer wrote an entry.

    Attributes:
      ledger: Delta's identifier of the ledger's table.
      entry: Number of its newest entry, -1 if it had none.
      hash: Hash of that entry, GENESIS if it had none.
    """

    ledger: str
    entry: int
    hash: str

    @classmethod
    def now(cls, ledger: str, chain: Sequence[Entry]) -> Seen:
        """Returns the state of a verified chain."""
        return cls(ledger, len(chain) - 1, head_of(chain))

    @classmethod
    def by(cls, entry: Entry) -> Seen | None:
        """Returns what an officer's entry records; None if it is of a chain that officers share with releases."""
        found = json.loads(entry.content).get(_SEEN)
        return None if found is None else cls(str(found["ledger"]), int(found["entry"]), str(found["hash"]))

    def is_still_in(self, chain: Sequence[Entry]) -> bool:
        """Tells whether a chain extends the one that was seen."""
        return self.hash == head_of(chain[: self.entry + 1])

    def as_content(self) -> dict[str, dict[str, str | int]]:
        """Returns what an officer's entry adds to its content."""
        return {_SEEN: asdict(self)}


@dataclass(frozen=True)
class Chains:
    """The verified entries of a ledger.

    Attributes:
      ledger: Those of its own table.
      officers: Those of the officers' table that are for this ledger; None if officers write to the ledger itself.
    """

    ledger: tuple[Entry, ...]
    officers: tuple[Entry, ...] | None = None

    @classmethod
    def of(cls, ledger_id: str, ledger: Sequence[Entry], officers: Sequence[Entry]) -> Chains:
        """Keeps the officers' entries that are for this ledger.

        Args:
          ledger_id: Delta's identifier of the ledger's table.
          ledger: Its verified chain, read after the officers'.
          officers: The officers' verified chain.

        Raises:
          LedgerError: if the ledger lacks an entry that an officer has seen.
        """
        own = []
        for entry in officers:
            seen = Seen.by(entry)
            if seen is None or seen.ledger != ledger_id:
                continue
            if not seen.is_still_in(ledger):
                raise LedgerError(
                    f"ledger: entry {seen.entry} was there when an officer wrote entry {entry.number} of "
                    "privacy.ledger.grants, and is gone or another one; the ledger was cut or rewritten. Compare it "
                    "with the table's history and restore the last intact version"
                )
            own.append(entry)
        return cls(tuple(ledger), tuple(own))

    def in_order(self) -> list[Entry]:
        """Returns the entries that count, in the order of what their writers had seen.

        If officers have a chain of their own, no grant and no void of the ledger counts: releases may append to it.
        """
        if self.officers is None:
            return list(self.ledger)
        own = [((entry.number, 0, 0), entry) for entry in self.ledger if entry.kind not in OFFICERS]
        beside = [((seen.entry, 1, entry.number), entry) for entry in self.officers if (seen := Seen.by(entry))]
        return [entry for _, entry in sorted([*own, *beside], key=lambda placed: placed[0])]
