"""How the declared domain meets the rows, as far as noisy counts tell: for receipt, report and advice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from threea_spark.encode.bounds import FoundBounds
from threea_spark.encode.categories import OTHER_STDDEVS
from threea_spark.encode.misfits import WORTH_A_WORD, Misfit, percent, words_of

_DIGITS = 5


@dataclass(frozen=True)
class OpenValues:
    """What was found of an open column. RELEASED.

    Attributes:
      column: The column's name.
      n_found: Values found.
      other_share: DP share of rows that hold none of them.
      stderr: Standard error of the share.
      rows_needed: Rows that a value needs to be found, but for the noise.
    """

    column: str
    n_found: int
    other_share: float
    stderr: float
    rows_needed: float

    @property
    def has_other(self) -> bool:
        """Whether rows of other values stand out from the noise."""
        return self.other_share > max(OTHER_STDDEVS * self.stderr, WORTH_A_WORD)

    def in_words(self) -> str:
        """States the share of other values, and what helps."""
        return (
            f"{percent(self.other_share)} of {self.column!r} became 'other': {values_found(self.n_found)}, each "
            f"needs about {self.rows_needed:,.0f} rows. To keep more, list the values, raise epsilon, or use a "
            "coarser column"
        )


def values_found(number: int) -> str:
    """Says how many values of an open column were found."""
    return "1 value was found" if number == 1 else f"{number:,} values were found"


@dataclass(frozen=True)
class DomainFit:
    """How the domain meets the rows. RELEASED.

    Attributes:
      misfits: Shares of rows that a column's declaration does not fit.
      bounds: Bounds that were found, by column.
      open_values: What was found of each open column.
    """

    misfits: tuple[Misfit, ...] = ()
    bounds: Mapping[str, FoundBounds] = field(default_factory=dict)
    open_values: tuple[OpenValues, ...] = ()

    def advice(self) -> list[str]:
        """What stands out from the noise, with its likely cause and what helps."""
        unclear = [name for name, own in self.bounds.items() if not own.is_clear]
        lost = [own.in_words() for own in self.open_values if own.has_other]
        return [
            *words_of(self.misfits, list(self.bounds)),
            *[f"no bounds of {name!r} could be told from noise: declare them, or raise epsilon" for name in unclear],
            *lost,
        ]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; columns that nothing is known of are left out."""
        shares: dict[str, dict[str, float]] = {}
        for own in self.misfits:
            column = shares.setdefault(own.column, {"standard error": round(own.stderr, _DIGITS)})
            column[own.kind] = round(own.share, _DIGITS)
        return {
            "not in the domain": shares,
            "bounds found": {name: own.plain for name, own in self.bounds.items()},
            "open columns": {
                own.column: {"values found": own.n_found, "other": round(own.other_share, _DIGITS)}
                for own in self.open_values
            },
        }
