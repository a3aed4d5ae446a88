"""The meter: it lets rows be read only by queries that the plan holds, and books each of them.

Every reading of rows goes through one of its doors (`ask`, `sample`, `select`, `grant_groups`), which price the query
by its own bound, run the pass, add the noise and book the event in one step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from dp_accounting import DpEvent, GaussianDpEvent, NonPrivateDpEvent, PoissonSampledDpEvent

from threea_spark.errors import PrivacyError
from threea_spark.privacy.accounting import gaussian_event, gaussian_mu_of
from threea_spark.privacy.budget import PrivacyPlan
from threea_spark.privacy.gaussian import compose_mu
from threea_spark.privacy.mechanism import Measured, NoisyGroups, NoisySum
from threea_spark.privacy.noise import Context, NoiseSource, squared_relative_error
from threea_spark.privacy.query import (
    GroupQuery,
    HeldRows,
    Query,
    R,
    Samplable,
    Summable,
    SumQuery,
    ValueQuery,
    ValueRows,
)
from threea_spark.privacy.selection import Selection, most_frequent, threshold
from threea_spark.privacy.terms import Stage

TOLERANCE = 1e-9
"""Relative; of sums of squares in float64."""


@dataclass
class PrivacyMeter:
    """Answers queries within the plan, books the event of each, and refuses what the plan does not hold.

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
    _booked: dict[Stage, list[DpEvent]] = field(default_factory=dict, init=False)
    _contexts: set[Context] = field(default_factory=set, init=False)
    _asked: dict[Stage, list[str]] = field(default_factory=dict, init=False)
    _open_sample: list[GaussianDpEvent] | None = field(default=None, init=False)
    _sampled_stage: Stage | None = field(default=None, init=False)

    def ask(self, query: SumQuery[R], rows: Summable[R], mu: float) -> Measured:
        """Sums rows, with noise; in conditional mode a sum before Anonymize is exact, and booked as such.

        Args:
          query: What to sum, and what one row can add to it.
          rows: PRIVATE.
          mu: The price, under the plan's relation.

        Raises:
          PrivacyError: if the stage's share does not hold the price, or the name was used before. No row is read then.
        """
        return self.ask_together([(query, mu)], rows)[0]

    def ask_together(self, asked: Sequence[tuple[SumQuery[R], float]], rows: Summable[R]) -> list[Measured]:
        """Answers several queries in one pass over the rows; each is priced and noised by itself, as in `ask`."""
        queries = [query for query, _ in asked]
        if self.plan.is_conditional and all(query.stage is not Stage.ANONYMIZE for query in queries):
            events = [self._book_exact(query.stage, query.name) for query in queries]
            sums = rows.sums(queries)
            return [Measured(own.astype(np.float64), 0.0, event) for own, event in zip(sums, events, strict=True)]
        mechanisms = [self._granted(query, mu) for query, mu in asked]
        sums = rows.sums(queries)
        return [
            Measured(granted.noised(own, self.noise).astype(np.float64), granted.stddev, granted.event)
            for granted, own in zip(mechanisms, sums, strict=True)
        ]

    def grant_groups(self, query: GroupQuery[R], mu: float) -> NoisyGroups[R]:
        """Books the sums of all groups of rows; their noise is added group by group, on executors."""
        return NoisyGroups(query, self._granted(query, mu), self.noise)

    def select(self, query: ValueQuery, rows: ValueRows, mu: float) -> tuple[str, ...]:
        """Selects the values of a column whose noisy counts reach the threshold, the most frequent first.

        In conditional mode they are the most frequent values of those that `min_units` units may hold, exactly.

        Args:
          query: Which column.
          rows: Canonical rows. PRIVATE.
          mu: The price of the column's counts.
        """
        plan = self.plan
        if plan.is_conditional:
            self._book_exact(query.stage, query.name)
            above = plan.unit.max_rows * (query.min_units - 1)
            return tuple(rows.frequent_values(query.column, query.max_values, above=above))
        mechanism = self._granted(query, mu)
        selection = Selection(mechanism, self._threshold(query, mechanism.stddev), self.noise)
        return most_frequent(rows.passing_values(query.column, selection.passes), query.max_values)

    def least_count(self, query: ValueQuery, mu: float) -> float:
        """The noisy count that a value must reach to be selected, in rows; public, and nothing is read or booked."""
        return self._threshold(query, self._mechanism(query, mu).stddev)

    def _threshold(self, query: ValueQuery, stddev: float) -> float:
        plan = self.plan
        return threshold(
            stddev,
            max_rows=plan.unit.max_rows,
            distance=plan.relation.distance,
            n_columns=query.n_columns,
            delta=plan.delta_selection,
            min_units=query.min_units,
        )

    @contextmanager
    def sample(self, stage: Stage, rows: Samplable[R], rate: float) -> Iterator[HeldRows[R]]:
        """Draws one Poisson sample of units, and prices all sums of the block over it as one Gaussian on it.

        Source: Zhu, Dong, Wang 2022, arXiv 2106.08567 (PLD).

        Args:
          stage: Who pays; no other stage may read rows within the block.
          rows: PRIVATE.
          rate: Probability of each unit, at most the one that the plan prices.

        Raises:
          PrivacyError: if the rate is higher than planned, or a sample is open already; no row is read then.
        """
        if rate > self.plan.sampling_probability * (1.0 + TOLERANCE):
            raise PrivacyError(f"{stage.value}: sampled at {rate:.6g}, planned at {self.plan.sampling_probability:.6g}")
        if self._open_sample is not None:
            raise PrivacyError(f"{stage.value}: a sample is open already; its sums are priced together")
        self._open_sample, self._sampled_stage = [], stage
        try:
            yield HeldRows(rows.sample(rate))
        finally:
            taken, self._open_sample, self._sampled_stage = self._open_sample, None, None
            if taken:
                mu = compose_mu(gaussian_mu_of(event, self.plan.relation) for event in taken)
                inner = gaussian_event(mu, self.plan.relation)
                q = self.plan.sampling_probability
                booked = inner if q >= 1.0 else PoissonSampledDpEvent(q, inner)
                self._booked.setdefault(stage, []).append(booked)

    def expose(self, stage: Stage, held: HeldRows[R]) -> R:
        """Hands over a sample's rows without noise, and books that; only the conditional mode may, and says so."""
        self._book_exact(stage, "rows")
        return held.exposed()

    def _granted(self, query: Query, mu: float) -> NoisySum:
        """Books the mechanism that answers a query."""
        stage, name = query.stage, query.name
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
        mechanism = self._mechanism(query, mu)
        self._check_numerics(mechanism)
        self._contexts.add(context)
        self._asked.setdefault(stage, []).append(name)
        self._book(stage, mechanism.event)
        return mechanism

    def _mechanism(self, query: Query, mu: float) -> NoisySum:
        return NoisySum(
            context=(self.release_id, query.stage.value, query.name),
            squared_sensitivity=query.bound.squared_norm * self.plan.unit.max_rows**2,
            mu=mu,
            relation=self.plan.relation,
            moved=self.plan.moved_by_unit(query.bound.moved, query.size),
        )

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

    def _book_exact(self, stage: Stage, name: str) -> DpEvent:
        """Books a reading without noise; only the conditional mode may make one, and the statement says so."""
        if not self.plan.is_conditional:
            raise PrivacyError(f"{stage.value}: readings without noise exist in the conditional mode only")
        event = NonPrivateDpEvent()
        self._booked.setdefault(stage, []).append(event)
        self._asked.setdefault(stage, []).append(name)
        return event

    def spent_mu(self, stage: Stage) -> float:
        """What the stage has spent so far, before any amplification."""
        events: list[DpEvent] = list(self._booked.get(stage, [])) + list(self._open_sample or [])
        inner = [event.event if isinstance(event, PoissonSampledDpEvent) else event for event in events]
        return compose_mu(gaussian_mu_of(e, self.plan.relation) for e in inner if isinstance(e, GaussianDpEvent))

    def asked(self, stage: Stage) -> tuple[str, ...]:
        """Names of the stage's sums that ran, in order; those of one sample are booked as one event and named each."""
        return tuple(self._asked.get(stage, ()))

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
