"""What every noisy sum of a release would exactly be on any table, all that was published before it held fixed.

A release is a function of its noisy sums. So it is run once, and then the same code is run on other tables with the
noisy sums that the first run published: what two neighbours' exact sums are apart in is what the price must cover.
A fit to published numbers alone is small, since its size moves no bound, and runs once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from local_rows import SMALL_FIT, mixed_table, run_on  # beside this file
from sensitivity_rows import Table, batch_of  # beside this file

from threea_spark import ReleaseConfig
from threea_spark.anonymize.mix import Mixed
from threea_spark.approximate import product_fit, products
from threea_spark.engine.local import LocalSource
from threea_spark.privacy.accounting import gaussian_mu_of
from threea_spark.privacy.mechanism import NoisySum
from threea_spark.stages import Fitted

Context = tuple[Any, ...]
Noising = Callable[..., Any]
_NOTHING = -(2**40)  # a noisy count that passes no threshold
_PRICE_SLACK = 1e-12  # of float64 in the square root of a bound
_fit_products = product_fit.fit_products


@dataclass
class Sums:
    """Exact sums of one table by mechanism and part, and the mechanisms that were granted. PRIVATE."""

    mechanisms: dict[Context, NoisySum] = field(default_factory=dict)
    exact: dict[Context, dict[Context, Any]] = field(default_factory=dict)

    def add(self, mechanism: NoisySum, part: Context, exact: Any) -> None:
        """Keeps the sum of one part."""
        self.mechanisms[mechanism.context] = mechanism
        parts = self.exact.setdefault(mechanism.context, {})
        if part in parts:
            raise AssertionError(f"{mechanism.context}: two sums under one noise")
        parts[part] = exact.copy()


@dataclass(frozen=True)
class Moved:
    """By how much a pair of tables moves one sum.

    Attributes:
      name: Of the mechanism: stage and name.
      squared: Squared L2 distance of the two exact sums.
      bound: What is priced, with the distance of the relation.
      moved: Coordinates in which they differ.
      may_move: In how many they may, as booked for what float64 does to the noise.
    """

    name: str
    squared: int
    bound: int
    moved: int = 0
    may_move: int = 0

    @property
    def ratio(self) -> float:
        """At most 1 where the price holds."""
        return self.squared / self.bound

    def check(self) -> None:
        """Raises where the sum moved further than was priced; in integers."""
        if self.squared > self.bound:
            raise AssertionError(f"{self.name}: moved by {self.squared}, priced for {self.bound} (squared)")
        if self.moved > self.may_move:
            raise AssertionError(f"{self.name}: moved in {self.moved} coordinates, priced for {self.may_move}")


class Release:
    """One run on a base table, whose published numbers are then held fixed."""

    def __init__(self, base: Table | pa.RecordBatch, config: ReleaseConfig) -> None:
        """Runs it, with fresh noise, on rows or on canonical columns and tokens as Spark hands them over."""
        self._base, self.config = base, config
        self._noisy: dict[Context, Any] = {}
        self._fits: dict[Context, tuple[product_fit.Fit, Any]] = {}
        self._published = Sums()
        noised = NoisySum.noised

        def publish(mechanism: NoisySum, exact: Any, noise: Any, part: Context = ()) -> Any:
            noisy = noised(mechanism, exact, noise, part)
            self._published.add(mechanism, part, exact)
            self._noisy[(*mechanism.context, *part)] = noisy
            return noisy

        self.fitted = self._run(base, publish)

    @property
    def base(self) -> Table:
        """The rows that were released, where it ran on rows."""
        if not isinstance(self._base, Table):
            raise TypeError("this release ran on a batch")
        return self._base

    def _run(self, table: Table | pa.RecordBatch, noising: Noising) -> Fitted:
        with patch.object(product_fit, "fit_products", self._fitted):
            return run_release(self._batch(table), self.config, noising)

    def _fitted(
        self, evidence: products.Evidence, settings: Any, rng: np.random.Generator, start: Any = None
    ) -> product_fit.Fit:
        """A small mixture, kept for the next run with the same evidence and the same public randomness."""
        key = (*_written(evidence), repr(rng.bit_generator.state))
        if key not in self._fits:
            self._fits[key] = _fit_products(evidence, SMALL_FIT, rng, start), rng.bit_generator.state
        fit, rng.bit_generator.state = self._fits[key]
        return fit

    def _batch(self, table: Table | pa.RecordBatch) -> pa.RecordBatch:
        return batch_of(table, self.config.domain) if isinstance(table, Table) else table

    def sums(self, table: Table | pa.RecordBatch) -> Sums:
        """Replays the release on another table."""
        found = Sums()

        def replay(mechanism: NoisySum, exact: Any, noise: Any, part: Context = ()) -> Any:
            first = self._published.mechanisms.get(mechanism.context)
            if first != mechanism and not (first is None and _is_selection(mechanism)):
                raise AssertionError(f"{mechanism.context}: the sum or its price hangs on the rows")
            found.add(mechanism, part, exact)
            noisy = self._noisy.get((*mechanism.context, *part))
            if noisy is None and not _is_selection(mechanism):
                raise AssertionError(f"{mechanism.context}: a part that another table does not have")
            return np.full(exact.shape, _NOTHING) if noisy is None else noisy

        self._run(table, replay)
        asked = [
            {c for c, own in sums.mechanisms.items() if not _is_selection(own)} for sums in (found, self._published)
        ]
        if asked[0] != asked[1]:
            raise AssertionError("other rows, other sums: what is asked for hangs on the rows")
        return found


def _written(evidence: products.Evidence) -> tuple[bytes, ...]:
    """All numbers that a mixture is fitted to."""
    columns, cells = evidence.columns, evidence.cells
    arrays = [evidence.pairs.shares, *columns.masses, *columns.groups]
    if cells is not None:
        arrays += [np.array(cells.pairs), *cells.shares]
    return tuple(own.tobytes() for own in arrays)


def moved(one: Sums, other: Sums) -> list[Moved]:
    """Compares two tables' sums, mechanism by mechanism, in Python's integers."""
    found = []
    for context, own in {**other.mechanisms, **one.mechanisms}.items():
        squared, coordinates = _distance(one.exact.get(context, {}), other.exact.get(context, {}))
        found.append(Moved("/".join(map(str, context[1:])), squared, price_of(own), coordinates, own.moved))
    return found


def price_of(mechanism: NoisySum) -> int:
    """The squared distance that is priced: by its bound, and no more than noise and event together cover."""
    bound = mechanism.relation.distance**2 * mechanism.squared_sensitivity
    covered = mechanism.stddev * gaussian_mu_of(mechanism.event, mechanism.relation)
    if covered < math.sqrt(bound) * (1.0 - _PRICE_SLACK):
        raise AssertionError(f"{mechanism.context}: noise of {mechanism.stddev} does not cover a bound of {bound}")
    return bound


def _distance(one: Mapping[Context, Any], other: Mapping[Context, Any]) -> tuple[int, int]:
    """Squared distance of two sums, and in how many coordinates they differ."""
    total, coordinates = 0, 0
    for part in one.keys() | other.keys():
        nothing = np.zeros_like(next(sums[part] for sums in (one, other) if part in sums))
        own, its = one.get(part, nothing), other.get(part, nothing)
        differing = np.nonzero(own != its)
        total += sum((a - b) ** 2 for a, b in zip(own[differing].tolist(), its[differing].tolist(), strict=True))
        coordinates += len(differing[0])
    return total, coordinates


def run_release(batch: pa.RecordBatch, config: ReleaseConfig, noising: Noising) -> Fitted:
    """Runs the stages on canonical rows and their units' tokens; rows are mixed in memory, where they are mixed.

    Args:
      batch: Canonical columns and tokens.
      config: Of the release.
      noising: Stands for `NoisySum.noised`; that function itself for an ordinary release.
    """
    with patch.object(NoisySum, "noised", noising):
        fitted = run_on(LocalSource((batch,)), config, "release")
        if isinstance(fitted.outcome, Mixed):
            mixed_table(fitted, config)
    return fitted


def _is_selection(mechanism: NoisySum) -> bool:
    return str(mechanism.context[2]).startswith("values-of-")
