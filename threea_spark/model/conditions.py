"""Drawing only rows that are asked for: by value, and with other class shares. Post-processing, which costs nothing.

Rows are drawn from the released distribution, narrowed to what may fit where it can be (narrowing.py), and kept if they
fit (rejection sampling); those follow it given the condition. Source: Devroye 1986, Non-Uniform Random Variate
Generation, section II.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from threea_spark.arrays import BoolArray, Int64Array
from threea_spark.config.domain import Domain
from threea_spark.config.near_names import meant_or
from threea_spark.encode.cells import Decoded
from threea_spark.errors import ConfigError
from threea_spark.model.wanted import Wanted, class_named, wanted_of

Columns = dict[str, Decoded]
DrawRows = Callable[[int], Columns]
"""Draws so many rows, fresh ones at each call."""

MIN_SHARE = 1e-3
"""Of all rows; a rarer condition would have to draw more than a thousand rows for each that is kept."""
_TRIED = 20_000


@dataclass(frozen=True)
class Conditions:
    """Which rows to keep.

    Attributes:
      values: By column: the category, as text, that a row must have.
      ranges: By column: the lowest and the highest number that a row may have.
      class_shares: By class of the label: the share of the rows that it shall have; empty keeps the model's own.
      label: Name of the label's column, if any.
      nulls: The columns that must be null.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    class_shares: Mapping[str, float] = field(default_factory=dict)
    label: str | None = None
    nulls: frozenset[str] = frozenset()

    @property
    def are_none(self) -> bool:
        """Whether every row fits."""
        return not (self.values or self.ranges or self.class_shares or self.nulls)

    def draw(self, draw_rows: DrawRows, n_rows: int, rng: np.random.Generator) -> Columns:
        """Draws rows until enough fit.

        Args:
          draw_rows: Draws from the released distribution.
          n_rows: How many to keep.
          rng: Public randomness: it mixes the classes where their shares are given.

        Returns:
          Columns of n_rows rows each.
        """
        if not self.class_shares:
            return _kept(draw_rows, n_rows, self._fits)
        counts = rng.multinomial(n_rows, list(self.class_shares.values()))
        parts = [
            _kept(draw_rows, int(count), partial(self._fits_class, name))
            for name, count in zip(self.class_shares, counts, strict=True)
            if count
        ]
        return _taken(_joined(parts), rng.permutation(n_rows))

    def check_reachable(self, draw_rows: DrawRows) -> None:
        """Tries the conditions on released rows.

        Raises:
          ConfigError: if rows that fit, or of a wanted class, are rarer than MIN_SHARE.
        """
        columns = draw_rows(_TRIED)
        asked = {f"class {name!r}": self._fits_class(name, columns) for name, s in self.class_shares.items() if s > 0.0}
        for what, mask in (asked or {"where": self._fits(columns)}).items():
            if mask.mean() < MIN_SHARE:
                raise ConfigError(
                    f"{what}: fewer than one row in {1 / MIN_SHARE:,.0f} that the model draws fits; ask for less, or "
                    "release a model that knows such rows better"
                )

    def _fits_class(self, name: str, columns: Columns) -> BoolArray:
        return self._fits(columns) & _has(columns, self.label, name)

    def _fits(self, columns: Columns) -> BoolArray:
        masks = [_has(columns, name, value) for name, value in self.values.items()]
        masks += [_within(columns, name, *ends) for name, ends in self.ranges.items()]
        masks += [columns[name].missing for name in sorted(self.nulls)]
        return np.logical_and.reduce(masks) if masks else np.ones(_length(columns), dtype=bool)


def conditions_of(
    domain: Domain,
    where: Mapping[str, object] | None = None,
    class_shares: Mapping[Any, float] | None = None,
    found_values: Mapping[str, tuple[str, ...]] | None = None,
) -> Conditions:
    """Checks conditions against the domain.

    Args:
      domain: The model's domain.
      where: By column, what `wanted_of` reads.
      class_shares: By class of the label; they sum to 1.
      found_values: The categories of open columns, by column; None where they are not known yet.

    Raises:
      ConfigError: for a column or value that the domain does not know; for shares below 0, or that do not sum to 1.
    """
    found: dict[str, Wanted] = {}
    for label, asked in (where or {}).items():
        name = str(label)
        column = domain.columns.get(name)
        if name in domain.keys:
            raise ConfigError(f"where: {name!r} numbers the rows that are drawn and cannot be asked for; drop it")
        if column is None:
            fix = meant_or(name, domain.columns, "choose one of the domain's")
            raise ConfigError(f"where: {name!r} is not among the released columns; {fix}")
        found[name] = wanted_of(name, column, asked, (found_values or {}).get(name, ()))
    return Conditions(
        {name: wanted.category for name, wanted in found.items() if wanted.category is not None},
        {name: wanted.ends for name, wanted in found.items() if wanted.ends is not None},
        _shares_of(domain, dict(class_shares)) if class_shares else {},
        domain.label,
        frozenset(name for name, wanted in found.items() if wanted.null),
    )


def _shares_of(domain: Domain, asked: Mapping[Any, float]) -> dict[str, float]:
    if not domain.classes:
        raise ConfigError("class_shares: the model has no label of classes; leave them out")
    shares: dict[str, float] = {}
    for key, share in asked.items():
        name = class_named(domain.classes, key)
        if name is None:
            raise ConfigError(
                f"class_shares: no class {str(key)[:80]!r}; the label has {', '.join(domain.classes[:10])}"
            )
        shares[name] = shares.get(name, 0.0) + share
    if not (all(share >= 0.0 for share in shares.values()) and abs(sum(shares.values()) - 1.0) < 1e-9):
        raise ConfigError("class_shares: shares must not be negative and must sum to 1")
    return shares


def _kept(draw_rows: DrawRows, n_rows: int, fits: Callable[[Columns], BoolArray]) -> Columns:
    parts: list[Columns] = []
    n_kept, n_drawn = 0, max(n_rows, 1)
    while n_kept < n_rows or not parts:
        columns = draw_rows(n_drawn)
        fitting = np.flatnonzero(fits(columns))[: n_rows - n_kept]
        parts.append(_taken(columns, fitting))
        n_kept += len(fitting)
    return _joined(parts)


def _has(columns: Columns, name: str | None, value: str) -> BoolArray:
    column = columns[str(name)]
    if not column.is_category:
        raise ConfigError(f"where: {name!r} holds no categories")
    return column.equals(value)


def _within(columns: Columns, name: str, low: float, high: float) -> BoolArray:
    column = columns[name]
    if column.is_category:
        raise ConfigError(f"where: {name!r} holds no numbers")
    return column.within(low, high)


def _length(columns: Columns) -> int:
    return len(next(iter(columns.values())).cells)


def _taken(columns: Columns, rows: Int64Array) -> Columns:
    return {name: column.with_cells(column.cells[rows]) for name, column in columns.items()}


def _joined(parts: list[Columns]) -> Columns:
    return {
        name: first.with_cells(np.concatenate([part[name].cells for part in parts])) for name, first in parts[0].items()
    }
