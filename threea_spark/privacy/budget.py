"""The budget: what each stage may spend, fixed before a row is read.

A share is a stage's part of mu^2, the price of the release. Adaptation on a Poisson sample is priced after
amplification: its inner mu is chosen so that the sampled mechanism costs about its share, and the exact total is
then calibrated on the PLD of the very events that will run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from dp_accounting import DpEvent, PoissonSampledDpEvent
from scipy.optimize import brentq

from threea_spark.errors import PrivacyError
from threea_spark.privacy.accounting import CLAIM_SLACK, calibrate_scale, epsilon_of, gaussian_event
from threea_spark.privacy.gaussian import compose_mu, gaussian_epsilon, gaussian_mu
from threea_spark.privacy.noise import numeric_epsilon, unreachable_mass
from threea_spark.privacy.terms import Accounting, Relation, Stage
from threea_spark.privacy.unit import PrivacyUnit

_MAX_INNER_MU = 4.0  # beyond it the sampled mechanism's tail, not its bulk, sets the price
NOISE_MASS_SHARE = 1e-3
NUMERIC_SHARE = 1e-4
"""Part of epsilon kept for float64, where not more is needed."""
SELECTION_SHARE = 0.1
_MIN_NEAR = 0.05
_MIN_MU = 1e-9


@dataclass(frozen=True, kw_only=True)
class PrivacyPlan:
    """The calibrated plan of one release.

    Attributes:
      epsilon, delta: The claim.
      delta_selection: Part of delta that pays for category names found in the data.
      relation, unit, accounting: What the claim is about.
      sampling_probability: The rate at which adaptation's Poisson sample is priced; 1 claims no amplification.
      stage_mu: Inner mu of each stage, before amplification; a stage that does not run is absent.
      numeric_share: Part of epsilon kept for what float64 does to the noise.
    """

    epsilon: float
    delta: float
    delta_selection: float
    relation: Relation
    unit: PrivacyUnit
    accounting: Accounting
    sampling_probability: float
    stage_mu: Mapping[Stage, float]
    numeric_share: float = NUMERIC_SHARE

    @property
    def is_conditional(self) -> bool:
        """Whether the stages before Anonymize run without noise, outside the claim."""
        return self.accounting is Accounting.CONDITIONAL

    @property
    def numeric_epsilon(self) -> float:
        """Part of epsilon kept for what float64 does to the noise; the meter lets it do no more."""
        return self.numeric_share * self.epsilon

    @property
    def delta_noise(self) -> float:
        """Part of delta kept for draws that are not ideal ones."""
        return NOISE_MASS_SHARE * self.delta

    @property
    def delta_composition(self) -> float:
        """The delta at which the events are composed: float64 may make an unlikely loss likelier by e^numeric."""
        return (self.delta - self.delta_selection - self.delta_noise) * math.exp(-self.numeric_epsilon)

    @property
    def is_sampled(self) -> bool:
        """Whether adaptation is priced on a Poisson sample, so that mu alone does not describe the whole."""
        return self.sampling_probability < 1.0 and Stage.ADAPT in self.stage_mu

    @property
    def whole_mu(self) -> float:
        """Of all stages together, before amplification."""
        return compose_mu(self.stage_mu.values())

    def moved_by_unit(self, moved_by_row: int, size: int | None = None) -> int:
        """Bounds the coordinates in which two neighbours' sums may differ, from those to which one row adds anything.

        Args:
          moved_by_row: Bound on the coordinates that any row moves.
          size: Coordinates of the sum, if that is known.
        """
        moved = self.relation.distance * self.unit.max_rows * moved_by_row
        return moved if size is None else min(moved, size)

    def numeric_error(self, squared_error: float, moved_draws: int) -> float:
        """What float64 may add to the loss of so many draws; inf where `delta_noise` is too small for them.

        Four events are left out, each with a quarter of what draws beyond reach leave of `delta_noise`: the loss, and
        the probability it is taken under, exceed their bounds, under either table.

        Args:
          squared_error: Sum of squared relative errors of the draws that one unit can move.
          moved_draws: How many they are.
        """
        likely = 0.25 * (self.delta_noise - 2.0 * unreachable_mass(moved_draws))
        return numeric_epsilon(squared_error, self.whole_mu, likely) if likely > 0.0 else math.inf

    def mu_of(self, stage: Stage) -> float:
        """What a stage may spend; 0 if it was given nothing."""
        return self.stage_mu.get(stage, 0.0)


def calibrate(
    *,
    epsilon: float,
    delta: float,
    shares: Mapping[Stage, float],
    relation: Relation,
    unit: PrivacyUnit,
    accounting: Accounting,
    sampling_probability: float = 1.0,
    selects_categories: bool = False,
    numeric_share: float = NUMERIC_SHARE,
) -> PrivacyPlan:
    """Turns shares of mu^2 into each stage's mu, so that all of them together meet (epsilon, delta).

    Args:
      epsilon, delta: The claim, in (0, inf) and (0, 1).
      shares: Non-negative, by stage; scaled to sum to 1, so a stage that is left out leaves its share to the others.
      relation, unit, accounting: What the claim is about.
      sampling_probability: Public rate of adaptation's Poisson sample.
      selects_categories: Whether category names are found in the data, which takes part of delta.
      numeric_share: Part of epsilon kept for what float64 does to the noise.

    Raises:
      PrivacyError: if a share is negative or nothing is shared out.
    """
    total = _total(shares)
    if not 0.0 < sampling_probability <= 1.0:
        raise PrivacyError(f"the sampling probability must be in (0, 1], got {sampling_probability}")
    split = {stage: share / total for stage, share in shares.items() if share > 0.0}
    draft = PrivacyPlan(
        epsilon=epsilon,
        delta=delta,
        delta_selection=SELECTION_SHARE * delta if selects_categories else 0.0,
        relation=relation,
        unit=unit,
        accounting=accounting,
        sampling_probability=sampling_probability,
        stage_mu={},
        numeric_share=numeric_share,
    )
    for_events, delta_left = epsilon * (1.0 - numeric_share), draft.delta_composition
    whole = gaussian_mu(for_events * (1.0 - CLAIM_SLACK), delta_left)
    mus = {stage: whole * math.sqrt(share) for stage, share in split.items()}
    if sampling_probability < 1.0 and Stage.ADAPT in mus:
        mus[Stage.ADAPT] = _amplified_mu(mus[Stage.ADAPT], sampling_probability, delta_left, relation)

        def events_at(scale: float) -> list[DpEvent]:
            return [_event(stage, scale * mu, sampling_probability, relation) for stage, mu in mus.items()]

        scale = calibrate_scale(events_at, epsilon=for_events, delta=delta_left, relation=relation)
        mus = {stage: scale * mu for stage, mu in mus.items()}
    _check_enough(mus)
    return replace(draft, stage_mu=mus)


def _total(shares: Mapping[Stage, float]) -> float:
    total = math.fsum(shares.values())
    if not total > 0.0 or any(not share >= 0.0 for share in shares.values()):
        given = ", ".join(f"{stage.value} {share:g}" for stage, share in shares.items())
        raise PrivacyError(f"privacy.shares: the stages that run share out nothing ({given}); give one a share above 0")
    return total


def _check_enough(mus: Mapping[Stage, float]) -> None:
    for stage, mu in mus.items():
        if not mu >= _MIN_MU:
            raise PrivacyError(
                f"privacy: {stage.value} is left mu {mu:.3g}, too little for noise; raise epsilon, delta or its share"
            )


def _amplified_mu(price: float, sampling_probability: float, delta: float, relation: Relation) -> float:
    """Returns the inner mu whose Poisson-sampled Gaussian has, at this delta, the epsilon of a plain one of mu `price`.

    Only a rule of division between the stages: the total is calibrated on the PLD of all events together.
    """
    target = gaussian_epsilon(price, delta)

    def excess(log_mu: float) -> float:
        event = _event(Stage.ADAPT, math.exp(log_mu), sampling_probability, relation)
        return epsilon_of([event], delta, relation, near=max(target, _MIN_NEAR)) - target

    low, high = math.log(price), math.log(_MAX_INNER_MU)
    if low >= high or excess(high) <= 0.0:
        return math.exp(max(low, high))
    if excess(low) >= 0.0:  # so small that the accountant cannot certify any gain
        return price
    return math.exp(float(brentq(excess, low, high, xtol=1e-3)))


def _event(stage: Stage, mu: float, sampling_probability: float, relation: Relation) -> DpEvent:
    event = gaussian_event(mu, relation)
    if stage is Stage.ADAPT and sampling_probability < 1.0:
        return PoissonSampledDpEvent(sampling_probability, event)
    return event


def planned_events(plan: PrivacyPlan) -> list[DpEvent]:
    """One event for each stage: all that the plan allows it."""
    return [_event(stage, mu, plan.sampling_probability, plan.relation) for stage, mu in plan.stage_mu.items()]


def certified_epsilon(plan: PrivacyPlan) -> float:
    """What the accountant certifies for all that the plan allows, with what float64 may add; at the plan's delta.

    Raises:
      PrivacyError: if that is more than the claim.
    """
    composed = epsilon_of(planned_events(plan), plan.delta_composition, plan.relation, near=plan.epsilon)
    certified = composed + plan.numeric_epsilon
    if not certified <= plan.epsilon:
        raise PrivacyError(
            f"privacy: epsilon {plan.epsilon:g} at delta {plan.delta:g} cannot be certified (the accountant gives "
            f"{certified:.6g}); raise epsilon or delta"
        )
    return certified
