"""The terms of a claim: the stages that spend, what is covered, and which tables are neighbours."""

from __future__ import annotations

from enum import Enum


class Stage(Enum):
    """The stages that read rows, in order."""

    ENCODE = "encode"
    APPROXIMATE = "approximate"
    ADAPT = "adapt"
    ANONYMIZE = "anonymize"


class Accounting(Enum):
    """What the printed guarantee covers."""

    END_TO_END = "end_to_end"
    CONDITIONAL = "conditional"


class Relation(Enum):
    """Which tables are neighbours: those that differ by one unit, or by the rows of one unit."""

    ADD_OR_REMOVE_ONE = "add_or_remove_one"
    REPLACE_ONE = "replace_one"

    @property
    def distance(self) -> int:
        """How far apart two neighbours may be, in multiples of the add-or-remove sensitivity."""
        return 2 if self is Relation.REPLACE_ONE else 1
