"""Finds the releases whose rows a table holds, from its properties and from the receipts in its history.

Each release has one property, `threea.release.<release_id>`. Its JSON contains only numbers, names from this library
and hashes, so that no user's text has to survive SQL or Spark's redaction of properties.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from threea_spark.privacy.budget import PrivacyPlan
from threea_spark.privacy.spend import Spend
from threea_spark.privacy.terms import Accounting, Relation
from threea_spark.publish.receipt import PROPERTY_ACCOUNTING, PROPERTY_DELTA, PROPERTY_EPSILON, PROPERTY_RELEASE

PREFIX = "threea.release."
UNKNOWN = "unknown"
_ID = re.compile(r"[0-9A-Za-z_-]{1,100}")
"""Matches identifiers of releases and hashes: no character that is special in SQL."""


@dataclass(frozen=True)
class Held:
    """One release whose rows a table holds, or is about to.

    Attributes:
      release_id: The release's identifier.
      epsilon, delta: Its claim; inf and 1 if its property cannot be read.
      accounting: What the claim covers.
      relation, unit: The claim's relation and a hash of its unit; empty if they are no longer known.
      source: Hash of Delta's identifier of the table it read; empty if unknown.
      spend: Its spend, to be composed with others; None for a release of 0.1.0, of which only the claim is known.
      is_written: Whether its rows are known to be in the table; False between announcement and commit.
    """

    release_id: str
    epsilon: float
    delta: float
    accounting: str
    relation: str
    unit: str
    source: str = ""
    spend: Spend | None = None
    is_written: bool = True

    @property
    def key(self) -> str:
        """The name of its table property."""
        return PREFIX + self.release_id

    def to_json(self) -> str:
        """Returns the value of its table property."""
        claim = {
            "epsilon": self.epsilon,
            "delta": self.delta,
            "accounting": self.accounting,
            "relation": self.relation,
        }
        spend = {} if self.spend is None else self.spend.as_dict()
        return json.dumps({**spend, **claim, "unit": self.unit, "source": self.source, "written": self.is_written})

    @classmethod
    def of(cls, spend: Spend, plan: PrivacyPlan, source_id: str) -> Held:
        """Describes a release that is about to write; `source_id` is Delta's identifier of the table it reads."""
        return cls(
            release_id=spend.release_id,
            epsilon=plan.epsilon,
            delta=plan.delta,
            accounting=plan.accounting.value,
            relation=plan.relation.value,
            unit=hashed(str(plan.unit)),
            source=hashed(source_id) if source_id else "",
            spend=spend,
            is_written=False,
        )

    @property
    def as_written(self) -> Held:
        """The same release with its rows committed."""
        return replace(self, is_written=True)


def hashed(text: str) -> str:
    """Hashes a unit of privacy or a source, to distinguish them without their names."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def held_in(properties: Mapping[str, str], commits: Iterable[str]) -> tuple[Held, ...]:
    """Finds all releases recorded in a table, ordered by identifier.

    Tables of 0.1.0 have the first release's claim in their properties, and receipts in their history.

    Args:
      properties: The table's properties.
      commits: The user metadata of each commit still in its history.
    """
    named = {key[len(PREFIX) :]: text for key, text in properties.items() if key.startswith(PREFIX)}
    found = {release_id: _announced(release_id, text) for release_id, text in named.items() if _is_id(release_id)}
    for receipt in filter(None, map(_claimed_in, commits)):
        known = found.get(receipt.release_id)
        found[receipt.release_id] = receipt if known is None else known.as_written
    first = properties.get(PROPERTY_RELEASE, "")
    if _is_id(first) and first not in found:
        found[first] = _first_of_old(first, properties)
    return tuple(found[release_id] for release_id in sorted(found))


def _is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def _announced(release_id: str, text: str) -> Held:
    """Parses a release's property; one that cannot be read becomes a release that nothing bounds."""
    try:
        content: dict[str, Any] = dict(json.loads(text))
        return Held(
            release_id,
            *_claim(content),
            Relation(content["relation"]).value if content["relation"] else "",
            _id_or_nothing(content["unit"]),
            _id_or_nothing(content["source"]),
            Spend.from_dict(release_id, content) if "events" in content else None,
            content["written"] is True,
        )
    except (ValueError, KeyError, TypeError):
        return Held(release_id, math.inf, 1.0, UNKNOWN, "", "")


def _claimed_in(text: str) -> Held | None:
    """Parses the claim of a receipt, from any version of this library; None if the text is not a receipt."""
    try:
        receipt: dict[str, Any] = json.loads(text)
        claim, release_id = receipt["privacy"], str(receipt["release_id"])
        if not _is_id(release_id):
            return None
        relation = next((relation.value for relation in Relation if relation.value in claim["relation"]), "")
        return Held(release_id, *_claim(claim), relation, hashed(str(claim["unit"])))
    except (ValueError, KeyError, TypeError):
        return None


def _first_of_old(release_id: str, properties: Mapping[str, str]) -> Held:
    """Reads the first release from properties of 0.1.0, when its receipt is no longer in the history."""
    names = {"epsilon": PROPERTY_EPSILON, "delta": PROPERTY_DELTA, "accounting": PROPERTY_ACCOUNTING}
    return Held(release_id, *_claim({name: properties.get(key) for name, key in names.items()}), "", "")


def _claim(content: Mapping[str, Any]) -> tuple[float, float, str]:
    """Parses epsilon, delta and accounting; a claim that is not a number bounds nothing."""
    try:
        epsilon, delta = float(content["epsilon"]), float(content["delta"])
    except (ValueError, KeyError, TypeError):
        epsilon, delta = math.nan, math.nan
    is_claim = epsilon >= 0.0 and 0.0 <= delta <= 1.0
    known = content.get("accounting") in [accounting.value for accounting in Accounting]
    accounting = str(content["accounting"]) if known else UNKNOWN
    return (epsilon, delta, accounting) if is_claim else (math.inf, 1.0, accounting)


def _id_or_nothing(value: object) -> str:
    return str(value) if _is_id(str(value)) else ""
