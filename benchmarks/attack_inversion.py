"""Mix inversion: values of a row recovered from mixed rows by an attacker who knows which rows were mixed.

The mixing step is the library's own (Mixer and NoisySum) on one cluster of standard normal rows. One attacker knows all
rows but one and has one release; the other knows no row, but the groups of many releases of the same rows, and solves
for all rows by ridge regression. Nobody may do better than mu allows: with noise of N(0, (S / mu)^2) on a row's own sum
and a normal prior, the least mean squared error of a coordinate is 1 / (1 + mu^2 / S^2), S in units of score.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from threea_spark import ReleaseConfig
from threea_spark.anonymize.mix import Mixer
from threea_spark.approximate.mixture import Mixture
from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode.feature import SCORE_GRID
from threea_spark.engine.packed import PackedRows
from threea_spark.planned import make_plan
from threea_spark.privacy.gaussian import gaussian_mu
from threea_spark.privacy.mechanism import NoisySum
from threea_spark.privacy.noise import KeyedNoise, new_key
from threea_spark.privacy.terms import Relation, Stage

Record = dict[str, Any]
N_ROWS, N_COLUMNS, DELTA = 400, 4, 1e-5
CLIP_NORM = 4.0
"""Longer than nearly all rows, so that clipping hides nothing."""
NO_NOISE = math.inf


def inverted(
    mix_sizes: Sequence[int] = (5, 20, 50), epsilons: Sequence[float] = (1.0, 10.0), n_releases: int = 100
) -> list[Record]:
    """Tries both attackers on mixing without noise, with the noise of conditional accounting, and end to end."""
    prices = {"no noise": NO_NOISE}
    for epsilon in epsilons:
        prices[f"conditional, epsilon {epsilon:g}"] = gaussian_mu(epsilon, DELTA)
        prices[f"end to end, epsilon {epsilon:g}"] = _anonymize_mu(epsilon)
    return [
        {"mixing": name, "mix_size": mix_size, "mu": mu, **errors(mix_size, mu, n_releases)}
        for mix_size in mix_sizes
        for name, mu in prices.items()
    ]


def errors(mix_size: int, mu: float, n_releases: int) -> Record:
    """Root mean squared errors of a coordinate, whose standard deviation is 1, by attacker and as mu allows."""
    rows = np.clip(np.random.default_rng(0).standard_normal((N_ROWS, N_COLUMNS)), -1.9, 1.9)  # norms below CLIP_NORM
    rows /= rows.std(axis=0)
    rows = np.rint(np.clip(rows, -1.99, 1.99) * SCORE_GRID) / SCORE_GRID
    releases = [mixed(rows, mix_size, mu) for _ in range(n_releases)]
    known = [_others_known(rows, *releases[target % n_releases], target, mu) for target in range(N_ROWS)]
    solved = _ridge(releases, mu)
    return {
        "guess": _rms(rows - rows.mean(axis=0)),
        "others_known": _rms(np.array(known) - rows),
        "allowed_one": allowed(mu),
        "many_releases": _rms(solved - rows),
        "allowed_many": allowed(mu * math.sqrt(n_releases)),
    }


def mixed(rows: Float64Array, mix_size: int, mu: float) -> tuple[Int64Array, Float64Array]:
    """Mixes once: the group of each row, and the groups' noisy sums in units of score."""
    n = len(rows)
    centre = Mixture(
        np.zeros((1, N_COLUMNS)), np.ones(1), np.full(1, float(n)), np.zeros(1), np.array([-1]), "isotropic"
    )
    mixer = Mixer(centre, np.ones((1, 1)), mix_size, CLIP_NORM)
    tokens = np.random.default_rng().integers(0, 2**32, n, dtype=np.uint32)
    classes = np.zeros(n, dtype=np.int64)
    packed = PackedRows(np.rint(rows * SCORE_GRID).astype(np.int16), classes, tokens, tokens, classes * 0)
    groups = mixer.groups(packed)
    sums = mixer.sums(packed, groups, 0, mixer.n_groups)
    if mu < NO_NOISE:
        relation = Relation.ADD_OR_REMOVE_ONE
        bound = mixer.norm_bound**2
        moved = mixer.length
        mechanism = NoisySum(context=("inversion",), squared_sensitivity=bound, mu=mu, relation=relation, moved=moved)
        sums = mechanism.noised(sums, KeyedNoise(new_key()))
    return groups, sums[:, :N_COLUMNS] / SCORE_GRID


def allowed(mu: float) -> float:
    """The least error of a coordinate of variance 1 that mu lets anyone have, under a normal prior."""
    return 0.0 if mu == NO_NOISE else 1.0 / math.sqrt(1.0 + (mu / CLIP_NORM) ** 2)


def _others_known(rows: Float64Array, groups: Int64Array, sums: Float64Array, target: int, mu: float) -> Float64Array:
    """The sum less the others, shrunk by how much of it is noise."""
    own = groups == groups[target]
    own[target] = False
    return np.asarray((sums[groups[target]] - rows[own].sum(axis=0)) * (1.0 - allowed(mu) ** 2))


def _ridge(releases: Sequence[tuple[Int64Array, Float64Array]], mu: float) -> Float64Array:
    """The posterior mean of all rows, given the groups of all releases."""
    design = np.concatenate([np.arange(len(sums))[:, None] == groups for groups, sums in releases]).astype(np.float64)
    sums = np.concatenate([own for _, own in releases])
    variance = 1e-9 if mu == NO_NOISE else (CLIP_NORM / mu) ** 2
    return np.asarray(np.linalg.solve(design.T @ design + variance * np.eye(N_ROWS), design.T @ sums))


def _anonymize_mu(epsilon: float) -> float:
    column = {"type": "float", "lower": -2, "upper": 2}
    columns = {
        **{f"x{place}": column for place in range(N_COLUMNS)},
        "y": {"type": "categorical", "values": ["a", "b"]},
    }
    config = ReleaseConfig.from_dict(
        {
            "source": {"path": "source"},
            "target": {"path": "target"},
            "privacy": {"epsilon": epsilon, "delta": DELTA, "unit": "row"},
            "domain": {"label": "y", "columns": columns},
            "anonymize": {"generator": "mix"},
        }
    )
    return make_plan(config).mu_of(Stage.ANONYMIZE)


def _rms(errors: Float64Array) -> float:
    return float(np.sqrt(np.mean(errors**2)))
