"""Proves that a CHECK constraint holds in every row that a domain allows; what it cannot prove, it does not claim.

Delta refuses a row for which the expression is false or null. Understood are comparisons of a column with a number or
text, BETWEEN, IN, IS NULL and IS NOT NULL, joined by AND, OR and parentheses.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from threea_spark.config.columns import Column
from threea_spark.engine.types import number_in

_TOKEN = re.compile(
    r"\s*(?:`(?:[^`]|``)+`|'(?:[^']|'')*'|[+-]?\d+\.?\d*(?:[eE][+-]?\d+)?|[+-]?\.\d+|\w+|<=|>=|<>|!=|==|[-<>=(),])"
)
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


class _UnknownError(Exception):
    """The expression holds something that is not understood here."""


def is_certain(expression: str, columns: Mapping[str, Column], rounded: Collection[str] = ()) -> bool:
    """Whether every released row satisfies a CHECK constraint.

    Args:
      expression: As Delta keeps it.
      columns: The released columns, as the domain declares them.
      rounded: Those of types in which a number may be rounded beyond its bounds.
    """
    try:
        by_name = {name.lower(): column for name, column in columns.items()}
        proof = _Proof(_tokens(expression), by_name, {name.lower() for name in rounded})
        holds = proof.any_of(frozenset())
        return holds.certain and proof.is_at_end
    except _UnknownError:
        return False


def _tokens(expression: str) -> list[str]:
    found, place, text = list[str](), 0, expression.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise _UnknownError
        found.append(match[0].strip())
        place = match.end()
    return found


@dataclass(frozen=True)
class _Holds:
    """What is known of a part of the expression: whether it is certainly true, and of which column it asks for null."""

    certain: bool
    null: frozenset[str] = frozenset()


@dataclass
class _Proof:
    """Reads an expression from left to right, and judges each part as it goes."""

    tokens: list[str]
    columns: dict[str, Column]
    rounded: set[str]
    place: int = field(default=0)

    @property
    def is_at_end(self) -> bool:
        return self.place == len(self.tokens)

    def any_of(self, known: frozenset[str]) -> _Holds:
        """Parts joined by OR; of the columns that one part asks to be null, the others need only judge values.

        Args:
          known: Columns that are not null here.
        """
        start = self.place
        parts = [self._all_of(known)]
        while self._next("OR"):
            parts.append(self._all_of(known))
        null = frozenset(name for part in parts for name in part.null)
        if any(part.certain for part in parts) or len(parts) == 1 or null <= known:
            return _Holds(any(part.certain for part in parts), parts[0].null if len(parts) == 1 else frozenset())
        self.place = start
        return _Holds(self.any_of(known | null).certain)

    def _all_of(self, known: frozenset[str]) -> _Holds:
        parts = [self._one(known)]
        while self._next("AND"):
            parts.append(self._one(known))
        return parts[0] if len(parts) == 1 else _Holds(all(part.certain for part in parts))

    def _one(self, known: frozenset[str]) -> _Holds:
        if self._next("("):
            inner = self.any_of(known)
            self._expect(")")
            return inner
        first = self._take()
        if not _is_name(first):
            operator, name = self._take(), self._take()
            return self._compared(name, _MIRRORED.get(operator, operator), first, known)
        return self._about(first, known)

    def _about(self, name: str, known: frozenset[str]) -> _Holds:
        if self._next("IS"):
            if self._next("NOT"):
                self._expect("NULL")
                return _Holds(self._is_never_null(name, known))
            self._expect("NULL")
            return _Holds(False, frozenset({_plain(name)}))
        if self._next("BETWEEN"):
            low = self._take()
            self._expect("AND")
            ends = [self._compared(name, ">=", low, known), self._compared(name, "<=", self._take(), known)]
            return _Holds(all(end.certain for end in ends))
        if self._next("IN"):
            self._expect("(")
            values = [self._take()]
            while self._next(","):
                values.append(self._take())
            self._expect(")")
            return _Holds(self._is_never_null(name, known) and self._is_among(name, values))
        return self._compared(name, self._take(), self._take(), known)

    def _compared(self, name: str, operator: str, value: str, known: frozenset[str]) -> _Holds:
        if not self._is_never_null(name, known):
            return _Holds(False)
        if operator in ("=", "=="):
            return _Holds(self._is_among(name, [value]))
        low, high = self._range(name)
        number = number_in(value)
        if number is None:
            raise _UnknownError
        bound = float(number)
        certain = {
            "<": high < bound, "<=": high <= bound, ">": low > bound, ">=": low >= bound,
            "<>": not low <= bound <= high, "!=": not low <= bound <= high,
        }  # fmt: skip
        if operator not in certain:
            raise _UnknownError
        return _Holds(certain[operator])

    def _column(self, name: str) -> Column:
        column = self.columns.get(_plain(name))
        if column is None:
            raise _UnknownError
        return column

    def _is_never_null(self, name: str, known: frozenset[str]) -> bool:
        return _plain(name) in known or not self._column(name).nullable

    def _is_among(self, name: str, values: list[str]) -> bool:
        column = self._column(name)
        if not column.is_categorical or column.is_open:
            low, high = self._range(name)
            return low == high and any(number_in(value) == low for value in values)
        texts = {value[1:-1].replace("''", "'") for value in values if value.startswith("'")}
        numbers = {number_in(value) for value in values} - {None}
        return all(value in texts or number_in(value) in numbers for value in column.values)

    def _range(self, name: str) -> tuple[float, float]:
        """Released numbers lie within the bounds; those that are rounded lie within the whole numbers around them."""
        column = self._column(name)
        if column.is_timestamp or (column.is_categorical and column.is_open):
            raise _UnknownError
        if column.is_categorical:
            numbers = [number_in(value) for value in column.values]
            known = [float(number) for number in numbers if number is not None]
            if len(known) < len(numbers):
                raise _UnknownError
            return min(known), max(known)
        if not column.has_bounds:
            raise _UnknownError
        low, high = column.lower_number, column.upper_number
        return (float(math.floor(low)), float(math.ceil(high))) if _plain(name) in self.rounded else (low, high)

    def _take(self) -> str:
        if self.is_at_end:
            raise _UnknownError
        self.place += 1
        return self.tokens[self.place - 1]

    def _next(self, word: str) -> bool:
        found = not self.is_at_end and self.tokens[self.place].upper() == word
        self.place += found
        return found

    def _expect(self, word: str) -> None:
        if not self._next(word):
            raise _UnknownError


def _is_name(token: str) -> bool:
    return token.startswith("`") or (token[0].isalpha() or token[0] == "_")


def _plain(name: str) -> str:
    if not _is_name(name):
        raise _UnknownError
    return (name[1:-1].replace("``", "`") if name.startswith("`") else name).lower()
