"""The privacy claim for a released table as a whole: the composition of all releases whose rows it holds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context
from typing import TYPE_CHECKING

from threea_spark.engine.delta import Place, commit_metadata, properties_of
from threea_spark.errors import TargetExistsError
from threea_spark.privacy.cohorts import concerning_one_unit
from threea_spark.privacy.spend import Spend, composed_epsilon
from threea_spark.privacy.terms import Accounting
from threea_spark.publish.held import Held, held_in
from threea_spark.publish.receipt import PROPERTY_ACCOUNTING, PROPERTY_DELTA, PROPERTY_EPSILON, PROPERTY_RELEASE

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PROPERTY_RELEASES = "threea.releases"
_ROUNDING_UP = Context(prec=6, rounding=ROUND_CEILING)


@dataclass(frozen=True)
class Standing:
    """All releases in a table, and the claim that holds for them together.

    Attributes:
      releases: The releases, ordered by identifier.
      epsilon, delta: The claim for the whole, as text, rounded up; epsilon is `inf` if nothing bounds it.
      accounting: end_to_end if every release has that accounting.
    """

    releases: tuple[Held, ...]
    epsilon: str
    delta: str
    accounting: str

    @property
    def release_ids(self) -> tuple[str, ...]:
        """Identifiers of all releases."""
        return tuple(held.release_id for held in self.releases)

    @property
    def properties(self) -> dict[str, str]:
        """The table properties that describe the whole and each release."""
        return {
            PROPERTY_EPSILON: self.epsilon,
            PROPERTY_DELTA: self.delta,
            PROPERTY_ACCOUNTING: self.accounting,
            PROPERTY_RELEASES: ",".join(self.release_ids),
            **{held.key: held.to_json() for held in self.releases},
        }


def standing_of(releases: Sequence[Held], *, apart: bool = False) -> Standing:
    """Composes all releases of a table.

    Spends are composed by PLD at the sum of their deltas; releases of 0.1.0, of which only the claims are known, are
    added by basic composition.

    Args:
      releases: All releases in the table.
      apart: Whether their spends' cohorts, of one source, are reliable (McSherry 2009, theorem 4).
    """
    releases = tuple(sorted(releases, key=lambda held: held.release_id))
    spends = [held.spend for held in releases if held.spend is not None]
    groups = concerning_one_unit(spends) if apart else [tuple(spends)]
    by_claim = [held for held in releases if held.spend is None]
    claims = {held.release_id: held for held in releases}
    sets = [[*(claims[spend.release_id] for spend in group), *by_claim] for group in groups] or [by_claim]
    delta = max(math.fsum(held.delta for held in group) for group in sets)
    epsilon = max(_epsilon(group) for group in sets) if _is_composable(releases) else math.inf
    whole = all(held.accounting == Accounting.END_TO_END.value for held in releases)
    accounting = Accounting.END_TO_END if whole else Accounting.CONDITIONAL
    return Standing(releases, _rounded_up(epsilon), _rounded_up(min(delta, 1.0)), accounting.value)


def _is_composable(releases: Sequence[Held]) -> bool:
    """Tells whether the known relations are all the same, and the known units too."""
    relations, units = ({held.relation for held in releases}, {held.unit for held in releases})
    return len(relations - {""}) <= 1 and len(units - {""}) <= 1


def _epsilon(group: Sequence[Held]) -> float:
    """Returns epsilon of releases that may have read one unit: the sum of the claims, or their composition if smaller.

    It is never below the largest claim, although it might be at the sum of the deltas: that would only puzzle readers.
    """
    added = math.fsum(held.epsilon for held in group)
    composed = [held for held in group if held.spend is not None]
    if len(composed) < 2:
        return added
    spends: list[Spend] = [held.spend for held in composed if held.spend is not None]
    by_claim = math.fsum(held.epsilon for held in group if held.spend is None)
    together = composed_epsilon(spends, math.fsum(held.delta for held in composed)) + by_claim
    return min(added, max(together, *(held.epsilon for held in group)))


def _rounded_up(value: float) -> str:
    return f"{float(_ROUNDING_UP.create_decimal(repr(value))):g}" if math.isfinite(value) else "inf"


def standing_at(spark: SparkSession, place: Place) -> Standing:
    """Reads the claim for a table as a whole; reads no row.

    The table's own totals, which may account for disjoint units, are used if they cover exactly the releases that its
    properties and history name; otherwise all releases are added up.
    """
    properties = properties_of(spark, place)
    return stated(properties, held_in(properties, commit_metadata(spark, place)))


def stated(properties: Mapping[str, str], releases: Sequence[Held]) -> Standing:
    """Returns the totals in a table's properties if they cover all its releases, else the releases' composition."""
    found = standing_of(releases)
    if properties.get(PROPERTY_RELEASES) != ",".join(found.release_ids):
        return found
    whole = (properties.get(name) for name in (PROPERTY_EPSILON, PROPERTY_DELTA, PROPERTY_ACCOUNTING))
    epsilon, delta, accounting = (text or "inf" for text in whole)
    return Standing(found.releases, epsilon, delta, accounting)


def check_may_join(
    properties: Mapping[str, str], releases: Sequence[Held], place: Place, *, accounting: str, relation: str, unit: str
) -> None:
    """Refuses an append that would make the claim for the whole table false.

    Args:
      properties: The table's properties.
      releases: The releases in it.
      place: Where the table is.
      accounting, relation, unit: Those of the release to be appended, the unit as a hash.

    Raises:
      TargetExistsError: if no release created the table, or it holds one with another accounting, relation or unit.
    """
    if PROPERTY_RELEASE not in properties:
        raise TargetExistsError(
            f"target: {place} was not created by a release, so no guarantee can be stated for all of it; append only "
            "to a table that a release created, or choose another target"
        )
    for name, wanted, found in (
        ("privacy.accounting", accounting, {held.accounting for held in releases}),
        ("privacy.relation", relation, {held.relation for held in releases}),
        ("privacy.unit", unit, {held.unit for held in releases}),
    ):
        if found - {wanted, ""}:
            raise TargetExistsError(
                f"{name}: {place} holds a release with a different {name}, so no guarantee can be stated for both "
                f"together; use the same {name}, or choose another target"
            )
