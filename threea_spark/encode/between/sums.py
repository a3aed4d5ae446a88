"""Parts and a total: the parts are coded and drawn, the total is their sum.

Rows of the source count by their parts, whatever their total. Where drawn parts add up to more or less than the total
may be, they are drawn in to their own bounds, all by the same share of their distance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from threea_spark.arrays import Float64Array
from threea_spark.config.coded import ends_of
from threea_spark.config.columns import Column
from threea_spark.config.domain import Domain
from threea_spark.config.row_rules import Sum
from threea_spark.config.rule_checks import part_scale
from threea_spark.encode.between.orders import numbers_in
from threea_spark.encode.between.written import Types, as_written, step_of
from threea_spark.encode.cells import Decoded, Numbers

_DIGITS = 14
"""Significant digits to which a sum of floats holds: 1.1 + 2.2 is 3.3, and not 3.3000000000000003."""


@dataclass(frozen=True)
class AddedColumns:
    """One rule `sum`.

    Attributes:
      parts, total: Names of the columns.
      columns: The parts, as the domain declares them.
      scale: What one of each part adds to the total.
      whole: The total, as the domain declares it.
    """

    parts: tuple[str, ...]
    total: str
    columns: tuple[Column, ...]
    scale: tuple[float, ...]
    whole: Column

    @classmethod
    def of(cls, rule: Sum, domain: Domain) -> AddedColumns:
        """The rule within its domain."""
        columns = tuple(domain.columns[name] for name in rule.parts)
        scale = tuple(part_scale(rule, domain.columns, name) for name in rule.parts)
        return cls(rule.parts, rule.total, columns, scale, domain.columns[rule.total])

    def code(self, cells: dict[str, pa.Array]) -> None:
        """Leaves the total out. PRIVATE."""
        del cells[self.total]

    def restore(self, columns: dict[str, Decoded], types: Types) -> None:
        """Adds up the parts, in values as they are written."""
        parts = [as_written(numbers_in(columns[name]), types.get(name)) for name in self.parts]
        lower, upper = ends_of(self.whole)
        total = self._total(parts)
        beyond = np.where(total > upper, 1, np.where(total < lower, -1, 0))
        if beyond.any():
            parts = [
                np.where(beyond == 0, part, as_written(moved, types.get(name)))
                for name, part, moved in zip(self.parts, parts, self._drawn_in(parts, total, types), strict=True)
            ]
            total = np.where(beyond == 0, total, np.clip(self._total(parts), lower, upper))
        columns |= {name: Numbers(part) for name, part in zip(self.parts, parts, strict=True)}
        columns[self.total] = Numbers(total)

    def _total(self, parts: Sequence[Float64Array]) -> Float64Array:
        added = np.asarray(sum(part * by for part, by in zip(parts, self.scale, strict=True)), dtype=np.float64)
        if self.whole.type != "float":
            return added
        largest = max(map(abs, ends_of(self.whole)))
        return np.asarray(np.round(added, _DIGITS - math.ceil(math.log10(max(largest, 1e-280)))))

    def _drawn_in(self, parts: Sequence[Float64Array], total: Float64Array, types: Types) -> list[Float64Array]:
        """Moves parts toward their lower bounds where the total is too large, toward their upper ones where small."""
        ends = [ends_of(column) for column in self.columns]
        least, most = (sum(end[side] * by for end, by in zip(ends, self.scale, strict=True)) for side in (0, 1))
        lower, upper = ends_of(self.whole)
        down = np.clip((upper - least) / np.maximum(total - least, 1e-300), 0.0, 1.0)
        up = np.clip((most - lower) / np.maximum(most - total, 1e-300), 0.0, 1.0)
        moved = []
        for name, column, part, (low, high) in zip(self.parts, self.columns, parts, ends, strict=True):
            step = step_of(column, types.get(name))
            less, more = low + (part - low) * down, high - (high - part) * up
            if step:
                less, more = np.floor(less / step) * step, np.ceil(more / step) * step
            moved.append(np.clip(np.where(total > upper, less, more), low, high))
        return moved
