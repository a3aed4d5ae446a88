"""Membership inference on released rows: many releases with a target row and without it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from audit_bound import judged, lower_bound  # these lie beside this file
from local_rows import local_rows, mixed_table, plan_of, run_on
from sklearn.metrics import roc_curve

from threea_spark import ReleaseConfig
from threea_spark.arrays import Float64Array
from threea_spark.engine.local import LocalSource
from threea_spark.model.sampler import Drawn, decode_rows
from threea_spark.privacy.gaussian import compose_mu

Record = dict[str, Any]
N_ROWS, DELTA, EPSILON = 400, 1e-5, 1.0
NUMBERS, BOUND, TAIL = ("x0", "x1", "x2", "x3"), 10.0, 6.0
ADULT = ("age", "education_num", "hours_per_week", "capital_gain")
QUICK = {"support_size": 8, "steps": 4}


@dataclass(frozen=True)
class Attack:
    """One release that is attacked, and the row it is about.

    Attributes:
      release: In words.
      target: Name of the target.
      rows: All other rows: numbers and a class, shape (n, d) and (n,).
      row: The target.
      config: Of the release.
    """

    release: str
    target: str
    rows: pd.DataFrame
    row: pd.DataFrame
    config: ReleaseConfig


def attacks(data: Path | None) -> list[Attack]:
    """Conditional mixing at several sizes, and mixing and sampling end to end, of a typical row and of an outlier."""
    table = table_of(data)
    numbers = table[list(NUMBERS)]
    distance = (numbers - numbers.median()).abs().sum(axis=1)
    typical = table.loc[[distance.idxmin()]]
    outlier = typical.assign(**dict.fromkeys(NUMBERS, 0.95 * BOUND))
    conditional = {"accounting": "conditional"}
    releases: dict[str, dict[str, Any]] = {
        f"conditional, {size} rows mixed": {
            "privacy": conditional,
            "anonymize": {"generator": "mix", "mix_size": size},
            "approximate": {"components": 3, "min_cluster_size": 2 * size},
            "adapt": {"method": "none"},
        }
        for size in (5, 20, 50)
    }
    releases["end to end, 20 rows mixed"] = {
        "anonymize": {"generator": "mix", "mix_size": 20},
        "approximate": {"components": 1, "min_cluster_size": 40},
        "adapt": QUICK,
    }
    releases["end to end, sampled"] = {"adapt": QUICK}
    return [
        Attack(name, target, table.drop(index=typical.index), row, config_of(sections))
        for target, row in (("typical row", typical), ("outlier", outlier))
        for name, sections in releases.items()
    ]


def table_of(data: Path | None) -> pd.DataFrame:
    """Four numbers and a class: of adult, scaled, or generated."""
    rng = np.random.default_rng(0)
    if data is None:
        rows = rng.standard_normal((N_ROWS, len(NUMBERS)))
        labels = np.where(rows[:, 0] + 0.5 * rows[:, 1] > 0.0, "yes", "no")
    else:
        adult = pd.read_parquet(data / "adult.parquet").sample(N_ROWS, random_state=0)
        own = adult[[name for name in adult if str(name).replace("-", "_") in ADULT]].to_numpy(dtype=np.float64)
        rows = (own - own.mean(axis=0)) / own.std(axis=0)
        labels = np.where(adult["income"].astype(str) == ">50K", "yes", "no")
    return pd.DataFrame(np.clip(rows, -TAIL, TAIL), columns=list(NUMBERS)).assign(y=labels)


def config_of(sections: dict[str, Any], epsilon: float = EPSILON) -> ReleaseConfig:
    """A configuration of the table."""
    number = {"type": "float", "lower": -BOUND, "upper": BOUND}
    columns = {**dict.fromkeys(NUMBERS, number), "y": {"type": "categorical", "values": ["no", "yes"]}}
    privacy = {"epsilon": epsilon, "delta": DELTA, "unit": "row", **sections.get("privacy", {})}
    plain = {"source": {"path": "source"}, "target": {"path": "target"}, "domain": {"label": "y", "columns": columns}}
    return ReleaseConfig.from_dict({**plain, **sections, "privacy": privacy})


def run_attack(attack: Attack, trials: int, confidence: float) -> Record:
    """Releases with and without the target, and says how well an attacker tells them apart."""
    without, with_it = (np.array(list(seen(attack, present, trials))) for present in (False, True))
    plan = plan_of(attack.config)
    record: Record = {"release": attack.release, "target": attack.target}
    for prefix, first in (("", 0), ("uncounted_", 1)):  # what is left if the number of released rows is hidden
        absent, present = likelihoods(without[:, first:], with_it[:, first:])
        rates, powers, _ = roc_curve([0] * len(absent) + [1] * len(present), np.concatenate([absent, present]))
        errors = judged(absent, present, confidence)
        record |= {
            f"{prefix}auc": float(np.trapezoid(powers, rates)),
            f"{prefix}tpr_at_1_percent": float(powers[rates <= 0.01].max()),
            f"{prefix}lower_bound": lower_bound(errors, DELTA, gaussian=not plan.is_conditional),
            f"{prefix}mu_bound": errors.mu,
            f"{prefix}roc": [rates.round(4).tolist(), powers.round(4).tolist()],
        }
    claimed_mu = compose_mu(plan.stage_mu.values())
    return {**record, "claimed_epsilon": plan.epsilon, "claimed_mu": claimed_mu, "releases": 2 * trials}


def likelihoods(without: Float64Array, with_it: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Log likelihood ratios of the releases that judge, under Gaussians fitted on those that teach.

    Source: Carlini et al. 2022, Membership Inference Attacks From First Principles, arXiv 2112.03570, Algorithm 1.
    """
    half = len(without) // 2
    spread = np.vstack([without[:half], with_it[:half]]).std(axis=0) + 1e-9

    def log_density(found: Float64Array, taught: Float64Array) -> Float64Array:
        stddev = np.sqrt(taught.var(axis=0) + (0.05 * spread) ** 2)
        standard = (found - taught.mean(axis=0)) / stddev
        return np.asarray((-0.5 * standard**2 - np.log(stddev)).sum(axis=1))

    ratios = [log_density(f[half:], with_it[:half]) - log_density(f[half:], without[:half]) for f in (without, with_it)]
    return ratios[0], ratios[1]


def seen(attack: Attack, present: bool, trials: int) -> Iterator[Float64Array]:
    """What the attacker makes of each release: how many rows, how near the target, how far out, means and spreads."""
    table = pd.concat([attack.rows, attack.row]) if present else attack.rows
    source = local_rows({str(name): table[name].tolist() for name in table})
    target = attack.row[list(NUMBERS)].to_numpy(dtype=np.float64)[0]
    for _ in range(trials):
        released = released_rows(source, attack.config)
        distance = np.linalg.norm(released - target, axis=1)
        nearest = np.sort(distance)[:3].mean()
        facts = [len(released), distance.min(), nearest, (np.abs(released) > TAIL).sum(), np.abs(released).max()]
        yield np.array([*facts, *released.mean(axis=0), *released.std(axis=0)], dtype=np.float64)


def released_rows(source: LocalSource, config: ReleaseConfig) -> Float64Array:
    """Releases once, with fresh noise; the numbers of the released rows."""
    fitted, rng = run_on(source, config, "attack"), np.random.default_rng()
    outcome = fitted.outcome
    if not isinstance(outcome, Drawn):
        mixed = mixed_table(fitted, config, int(rng.integers(2**62)))
        return np.column_stack([mixed.column(name).to_numpy() for name in NUMBERS]).astype(np.float64)
    cells, classes = outcome.sampler.draw_cells(outcome.encoding, max(1, round(fitted.n_rows)), rng)
    decoded = decode_rows(outcome.encoding, config.domain.label, cells, classes, rng)
    return np.column_stack([decoded[name].values for name in NUMBERS]).astype(np.float64)
