"""The releases that are audited: sound ones of many configurations, and ones that are broken on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
from audit_trial import ABSENT, PRESENT, Breaker, Pair  # beside this file
from local_rows import local_rows  # beside this file

from threea_spark import ReleaseConfig
from threea_spark.anonymize import mix
from threea_spark.engine.packed import PackedRows
from threea_spark.privacy.terms import Stage
from threea_spark.recipes import rules

N_ROWS = 400
DELTA = 1e-5
NUMBER = {"type": "float", "lower": -3, "upper": 3, "nullable": True}
COLUMNS = {
    "a": NUMBER,
    "b": NUMBER,
    "c": {"type": "categorical", "values": ["p", "q", "r"], "nullable": True},
    "y": {"type": "categorical", "values": ["no", "yes"]},
}
FAR, OTHER, NULLS = (3.0, -3.0, "r", "no"), (-3.0, 3.0, "q", "yes"), (None, float("inf"), None, None)
QUICK = {"support_size": 8, "steps": 4}
MIX: dict[str, Any] = {"anonymize": {"generator": "mix"}}
NO_ADAPT = {"method": "none"}
Breaking = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Variant:
    """One release to audit.

    Attributes:
      name: In words.
      config: Whose claim is judged.
      pair: Two tables that are neighbours, or in a broken variant are held to be.
      broken: What is broken; empty for a sound release.
      breaker: Weaker noise.
      breaking: Other damage, while the trials run.
      effort: Trials, in multiples of those asked for, where a fault is hard to see.
      samples: Whether adaptation truly runs on a sample of units; an attacker knows.
    """

    name: str
    config: ReleaseConfig
    pair: Pair
    broken: str = ""
    breaker: Breaker | None = None
    breaking: Breaking = nullcontext
    samples: bool = True
    effort: int = 1

    @property
    def rate(self) -> float:
        """The probability with which a unit is adapted on."""
        return rules.sampling_probability(self.config) if self.samples else 1.0


def config_of(epsilon: float, **sections: Any) -> ReleaseConfig:
    """A configuration of the small table; sections override."""
    privacy = {"epsilon": epsilon, "delta": DELTA, "unit": "row", **sections.pop("privacy", {})}
    domain = {"label": "y", "columns": COLUMNS, **sections.pop("domain", {})}
    source = {"path": "source", **sections.pop("source", {})}
    adapt = {**QUICK, **sections.pop("adapt", {})}
    plain = {"source": source, "target": {"path": "target"}, "privacy": privacy, "domain": domain, "adapt": adapt}
    return ReleaseConfig.from_dict({**plain, **sections})


def pair_of(*, present: list[tuple[Any, ...]], absent: list[tuple[Any, ...]], n_rows: int = N_ROWS) -> Pair:
    """Rows near the middle, and those that one world alone has."""
    rng = np.random.default_rng(0)
    a, b = np.clip(0.7 * rng.standard_normal((2, n_rows)), -3.0, 3.0)
    c, y = rng.choice(["p", "q", "r"], n_rows), np.where(a + 0.5 * b > 0, "yes", "no")
    rows = [*zip(a.tolist(), b.tolist(), c.tolist(), y.tolist(), strict=True), *present, *absent]
    columns = {name: [row[place] for row in rows] for place, name in enumerate("abcy")}
    only_in = np.array([-1] * n_rows + [PRESENT] * len(present) + [ABSENT] * len(absent))
    return Pair(local_rows(columns), only_in)


ONE_MORE = pair_of(present=[FAR], absent=[])
REPLACED = pair_of(present=[FAR], absent=[OTHER])
REPLACE_ONE = {"relation": "replace_one"}
FOUR_MORE = pair_of(present=[FAR] * 4, absent=[])
UNIT_OF_FOUR = {"unit": {"column": "id", "max_rows": 4}}


def sound_variants() -> list[Variant]:
    """Releases whose claim must hold."""
    found = [Variant(f"defaults at epsilon {epsilon:g}", config_of(epsilon), ONE_MORE) for epsilon in (1.0, 4.0, 10.0)]
    found += [
        Variant(f"replace one at epsilon {epsilon:g}", config_of(epsilon, privacy=REPLACE_ONE), REPLACED)
        for epsilon in (4.0, 10.0)
    ]
    many = pair_of(present=[FAR], absent=[], n_rows=6_000)
    settings: dict[str, tuple[dict[str, Any], Pair]] = {
        "label function and points": ({}, many),
        "label function, nulls and infinities": ({}, pair_of(present=[NULLS], absent=[], n_rows=6_000)),
        "no adaptation": ({"adapt": NO_ADAPT}, ONE_MORE),
        "adaptation on released rows": ({"adapt": {"targets": "released"}}, ONE_MORE),
        "adaptation on half of the rows": (
            {"adapt": {"rows": "sample", "max_rows": 200}, "source": {"rows": 400}},
            ONE_MORE,
        ),
        "adaptation on a tenth of the rows": (
            {"adapt": {"rows": "sample", "max_rows": 40}, "source": {"rows": 400}},
            ONE_MORE,
        ),
        "mixing": (MIX, ONE_MORE),
        "mixing, replace one": ({**MIX, "privacy": REPLACE_ONE}, REPLACED),
        "random mixing": ({"anonymize": {"generator": "random"}}, ONE_MORE),
        "clusters, isotropic": (_clusters("isotropic"), ONE_MORE),
        "clusters, diagonal": (_clusters("diagonal"), ONE_MORE),
        "clusters, full": (_clusters("full"), ONE_MORE),
        "clusters of all classes": ({**_clusters("isotropic", per_class=False)}, ONE_MORE),
        "moments instead of histograms": ({"encode": {"numeric": "affine"}}, ONE_MORE),
        "a numeric label": ({"domain": {"label": "a", "task": "regression"}}, ONE_MORE),
        "no label": ({"domain": {"label": None, "task": "none"}}, ONE_MORE),
        "a tight clip": ({"encode": {"clip_norm": 0.5}, "adapt": NO_ADAPT}, ONE_MORE),
        "a unit of four rows": ({"privacy": UNIT_OF_FOUR}, FOUR_MORE),
        "a unit of four rows, mixing": ({**MIX, "privacy": UNIT_OF_FOUR}, FOUR_MORE),
        "an extra share for anonymize": (
            {"privacy": {"shares": {"encode": 0.1, "approximate": 0.3, "adapt": 0.3, "anonymize": 0.3}}},
            ONE_MORE,
        ),
    }
    return found + [Variant(name, config_of(6.0, **own), pair) for name, (own, pair) in settings.items()]


def broken_variants() -> list[Variant]:
    """Releases whose claim is false, each in another way."""
    usual, plain, far = config_of(4.0), config_of(4.0, adapt=NO_ADAPT), ONE_MORE
    conditional = {"privacy": {"accounting": "conditional"}, "anonymize": {"generator": "mix", "mix_size": 20}}
    outlier = config_of(
        4.0, **conditional, adapt=NO_ADAPT, approximate={"components": 3, "min_cluster_size": 20, "per_class": False}
    )
    sampled = config_of(4.0, adapt={"max_rows": 40}, source={"rows": 400})
    many = pair_of(present=[FAR], absent=[], n_rows=6_000)
    shares = {"encode": 0.85, "approximate": 0.05, "adapt": 0.05, "anonymize": 0.05}
    early = config_of(4.0, privacy={"shares": shares})
    return [
        Variant("defaults", usual, far, "no noise on histograms", _noise_of(0.0, Stage.ENCODE)),
        Variant("defaults", usual, far, "no noise on class statistics", _noise_of(0.0, Stage.APPROXIMATE)),
        Variant("defaults", usual, many, "no noise on gradients", _noise_of(0.0, Stage.ADAPT)),
        Variant("mixing", config_of(4.0, **MIX), far, "no noise on mixed rows", _noise_of(0.0, Stage.ANONYMIZE)),
        Variant("defaults", usual, far, "half the noise on all sums", _noise_of(0.5, None)),
        Variant(
            "most for histograms", early, far, "half the noise on histograms", _noise_of(0.5, Stage.ENCODE), effort=4
        ),
        Variant("defaults", usual, FOUR_MORE, "a unit of four rows, priced as one"),
        Variant("no adaptation", plain, REPLACED, "a row replaced, priced as one added", effort=8),
        Variant("adaptation on a tenth", sampled, far, "all rows adapted on", None, _no_sampling, False, 6),
        Variant("mixing", config_of(4.0, **MIX), far, "residuals not clipped", None, _no_mixing_clip, effort=4),
        Variant("the paper's accounting", outlier, far, "clusters of private rows without noise"),
    ]


def _clusters(covariance: str, **own: Any) -> dict[str, Any]:
    return {
        "approximate": {"components": 3, "min_cluster_size": 20, "covariance": covariance, **own},
        "adapt": NO_ADAPT,
    }


def _noise_of(factor: float, stage: Stage | None) -> Breaker:
    def weaker(mechanism: Any, exact: Any, noise: Any) -> Any:
        own = factor if stage is None or mechanism.context[1] == stage.value else 1.0
        if own == 0.0:
            return exact.copy()
        return noise.noised(exact, own * mechanism.stddev, mechanism.context)

    return weaker


@contextmanager
def _no_sampling() -> Iterator[None]:
    with patch.object(PackedRows, "sampled", lambda rows, rate: rows):
        yield


@contextmanager
def _no_mixing_clip() -> Iterator[None]:
    with patch.object(mix, "clip_rows", lambda rows, norm: rows):
        yield
