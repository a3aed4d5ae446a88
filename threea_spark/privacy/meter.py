"""The noisy sum: the one mechanism that reads rows, and the meter that lets nothing run unaccounted.

Each row contributes an integer vector with L2 norm at most S, in grid units. The sum over rows is exact (int64),
N(0, stddev^2) is added to each coordinate, and the result is rounded to a public grid: post-processing of the ideal
Gaussian mechanism, so the release is exactly (S / stddev)-GDP, but for what float64 does (noise.py), which is counted.
Source: Dong, Roth, Su 2019, arXiv 1905.02383, Theorem 2; on float leaks Mironov 2012 and arXiv 2112.05307.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from dp_accounting import DpEvent, GaussianDpEvent, NonPrivateDpEvent, PoissonSampledDpEvent
from numpy.typing import NDArray

from threea_spark.arrays import Int64Array
from threea_spark.errors import PrivacyError
from threea_spark.privacy.accounting import Relation, gaussian_event, gaussian_mu_of
from threea_spark.privacy.budget import PrivacyPlan, Stage
from threea_spark.privacy.gaussian import compose_mu
from threea_spark.privacy.noise import (
    Context,
    NoiseSource,
    squared_relative_error,
    stddev_of,
)

TOLERANCE = 1e-9
"""Relative; of sums of squares in float64."""


@dataclass(frozen=True, kw_only=True)
class NoisySum:
    """One granted mechanism: its name, its bound, its noise, its event. Small enough to travel to executors.

    Attributes:
      context: Public context of all its noise; no two mechanisms of a release share one.
      squared_sensitivity: Bound on the squared L2 norm of all that one unit adds to the sum, in grid units.
      mu: What it costs, under `relation`.
      relation: Which tables are neighbours.
      moved: Bound on the coordinates in which two neighbours' sums may differ: only there does noise matter.
    """

    context: Context
    squared_sensitivity: int
    mu: float
    relation: Relation
    moved: int

    @property
    def stddev(self) -> float:
        """Standard deviation of the noise on each coordinate, in grid units."""
        return stddev_of(self.relation.distance * math.sqrt(self.squared_sensitivity), self.mu)

    @property
    def event(self) -> GaussianDpEvent:
        """What the accountant sees."""
        return gaussian_event(self.mu, self.relation)

    def noised(self, exact: Int64Array, noise: NoiseSource, part: Context = ()) -> Int64Array:
        """Adds the noise of one part of the sum; the same part always gets the same noise.

        Args:
          exact: Exact integer sums, any shape. PRIVATE.
          noise: The release's source of noise.
          part: Names the part, where one sum is released in pieces (by group, on executors).

        Returns:
          Noisy sums of the same shape. RELEASED, once the meter has booked this mechanism.
        """
        if exact.dtype != np.int64:
            raise PrivacyError(f"a noisy sum takes exact int64 sums, got {exact.dtype}")
        return noise.noised(exact, self.stddev, (*self.context, *part))


@dataclass(frozen=True)
class Measured:
    """A released value together with the event that paid for it."""

    value: Int64Array
    event: DpEvent
    stddev: float


@dataclass
class PrivacyMeter:
    """Grants mechanisms within the plan, books each one's event, and refuses what the plan does not hold.

    What is claimed is the plan; nothing runs beyond it, so code and claim cannot disagree.

    Attributes:
      plan: What each stage may spend.
      noise: The release's noise.
      release_id: Public; part of every context.
      squared_numeric_error: What float64 did so far to the noise that one unit can move, for `numeric_epsilon`.
      moved_draws: How many draws of noise one unit could move so far.
    """

    plan: PrivacyPlan
    noise: NoiseSource
    release_id: str
    squared_numeric_error: float = 0.0
    moved_draws: int = 0
    _booked: dict[Stage, list[DpEvent]] = field(default_factory=dict)
    _contexts: set[Context] = field(default_factory=set)
    _open_sample: list[GaussianDpEvent] | None = None
    _sampled_stage: Stage | None = None

    def noisy_sum(
        self, stage: Stage, name: str, exact: Int64Array, *, squared_bound: int, mu: float, moved: int | None = None
    ) -> Measured:
        """Releases one sum on the driver.

        Args:
          stage: Who pays.
          name: Unique within the stage; a second use is refused, since two sums under one noise differ exactly.
          exact: Exact integer sums over all rows. PRIVATE.
          squared_bound: Bound on the squared L2 norm of one row's contribution, in grid units.
          mu: The price, under the plan's relation.
          moved: Bound on the coordinates to which one row adds anything; all of them where None.

        Raises:
          PrivacyError: if the stage's share does not hold the price, or the name was used before.
        """
        of_row = exact.size if moved is None else moved
        mechanism = self.grant(stage, name, squared_bound=squared_bound, mu=mu, moved=of_row, size=exact.size)
        return Measured(mechanism.noised(exact, self.noise), mechanism.event, mechanism.stddev)

    def grant(
        self, stage: Stage, name: str, *, squared_bound: int, mu: float, moved: int, size: int | None = None
    ) -> NoisySum:
        """Books a mechanism whose noise is then added part by part, on executors if need be.

        Args:
          stage, name, squared_bound, mu, moved: As for `noisy_sum`.
          size: Coordinates of the whole sum; None where that is not known beforehand.
        """
        if squared_bound < 1:
            raise PrivacyError(
                f"{stage.value}/{name}: the squared sensitivity is a positive integer, got {squared_bound}"
            )
        if self._open_sample is not None and stage is not self._sampled_stage:
            raise PrivacyError(f"{stage.value}/{name}: another stage's sample is open; only that stage may read it")
        context: Context = (self.release_id, stage.value, name)
        if context in self._contexts:
            raise PrivacyError(f"{stage.value}/{name}: this noise was used before; every sum needs a name of its own")
        spent = compose_mu([self.spent_mu(stage), mu])
        if spent > self.plan.mu_of(stage) * (1.0 + TOLERANCE):
            raise PrivacyError(
                f"{stage.value}/{name}: spends mu {spent:.6g}, the plan holds {self.plan.mu_of(stage):.6g}"
            )
        mechanism = NoisySum(
            context=context,
            squared_sensitivity=squared_bound * self.plan.unit.max_rows**2,
            mu=mu,
            relation=self.plan.relation,
            moved=self.plan.moved_by_unit(moved, size),
        )
        self._check_numerics(mechanism)
        self._contexts.add(context)
        self._book(stage, mechanism.event)
        return mechanism

    def _check_numerics(self, mechanism: NoisySum) -> None:
        """Counts what float64 does to the noise, and refuses it where the plan kept no room for it."""
        error = self.squared_numeric_error + squared_relative_error(mechanism.moved, mechanism.stddev)
        draws = self.moved_draws + mechanism.moved
        if not self.plan.numeric_error(error, draws) <= self.plan.numeric_epsilon * (1.0 + TOLERANCE):
            raise PrivacyError(
                f"{'/'.join(map(str, mechanism.context[1:]))}: its noise is too coarse in float64 for what the plan "
                "kept; nothing was drawn. Raise privacy.epsilon or privacy.delta"
            )
        self.squared_numeric_error, self.moved_draws = error, draws

    @contextmanager
    def poisson_sample(self, stage: Stage, sampling_probability: float) -> Iterator[None]:
        """Prices all sums of the block as one Gaussian on one Poisson sample of units.

        The block's sums must read nothing but the sample. Source: Zhu, Dong, Wang 2022, arXiv 2106.08567 (PLD).
        """
        if sampling_probability > self.plan.sampling_probability * (1.0 + TOLERANCE):
            raise PrivacyError(
                f"{stage.value}: sampled at {sampling_probability:.6g}, planned at {self.plan.sampling_probability:.6g}"
            )
        if self._open_sample is not None:
            raise PrivacyError(f"{stage.value}: a sample is open already; its sums are priced together")
        self._open_sample, self._sampled_stage = [], stage
        try:
            yield
        finally:
            taken, self._open_sample, self._sampled_stage = self._open_sample, None, None
            if taken:
                mu = compose_mu(gaussian_mu_of(event, self.plan.relation) for event in taken)
                inner = gaussian_event(mu, self.plan.relation)
                q = self.plan.sampling_probability
                booked = inner if q >= 1.0 else PoissonSampledDpEvent(q, inner)
                self._booked.setdefault(stage, []).append(booked)

    def measure(
        self, stage: Stage, name: str, exact: Int64Array, *, squared_bound: int, mu: float, moved: int | None = None
    ) -> tuple[NDArray[np.float64], float]:
        """Reads a sum for a stage before Anonymize: noisy end to end, exact in conditional mode, and booked as such.

        Returns:
          The sum as float64 and the standard deviation of its noise, 0 in conditional mode.
        """
        if self.plan.is_conditional and stage is not Stage.ANONYMIZE:
            self.book_exact(stage)
            return exact.astype(np.float64), 0.0
        measured = self.noisy_sum(stage, name, exact, squared_bound=squared_bound, mu=mu, moved=moved)
        return measured.value.astype(np.float64), measured.stddev

    def book_exact(self, stage: Stage) -> None:
        """Books a reading without noise; only the conditional mode may make one, and the statement says so."""
        if not self.plan.is_conditional:
            raise PrivacyError(f"{stage.value}: readings without noise exist in the conditional mode only")
        self._booked.setdefault(stage, []).append(NonPrivateDpEvent())

    def spent_mu(self, stage: Stage) -> float:
        """What the stage has spent so far, before any amplification."""
        events: list[DpEvent] = list(self._booked.get(stage, [])) + list(self._open_sample or [])
        inner = [event.event if isinstance(event, PoissonSampledDpEvent) else event for event in events]
        return compose_mu(gaussian_mu_of(e, self.plan.relation) for e in inner if isinstance(e, GaussianDpEvent))

    def n_sums(self, stage: Stage) -> int:
        """How many sums of the stage ran; those of one sample are booked as one event and counted each."""
        exact = sum(isinstance(event, NonPrivateDpEvent) for event in self._booked.get(stage, []))
        return exact + sum(context[1] == stage.value for context in self._contexts)

    def remaining_mu(self, stage: Stage) -> float:
        """What the stage may still spend."""
        return math.sqrt(max(0.0, self.plan.mu_of(stage) ** 2 - self.spent_mu(stage) ** 2))

    def events_by_stage(self) -> dict[Stage, list[DpEvent]]:
        """All that ran, by stage."""
        return {stage: list(events) for stage, events in self._booked.items()}

    def _book(self, stage: Stage, event: GaussianDpEvent) -> None:
        if self._open_sample is not None:
            self._open_sample.append(event)
        else:
            self._booked.setdefault(stage, []).append(event)
