"""The attackers of one release with canaries: one sees what is published, one every noisy sum of the run.

The sums are recorded on the driver while Spark runs the release. Then the same code is run once more without Spark on
all canaries, each a batch of its own, with the recorded sums in place of noise: this gives what every canary adds to
every sum if it is in the table, and with it the best linear estimate of all coins together.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, cast
from unittest.mock import patch

import numpy as np
from local_rows import LocalRows, group_sums, plan_of, without_spark  # beside this file
from scipy.sparse import csr_array, vstack

from threea_spark import ReleaseConfig
from threea_spark.adapt.label_fit import Targets, Weights
from threea_spark.anonymize import spark as generators
from threea_spark.arrays import Float64Array
from threea_spark.engine import sums
from threea_spark.engine.packed import joined, unpacked
from threea_spark.engine.progress import Progress
from threea_spark.privacy.budget import Stage
from threea_spark.privacy.meter import NoisySum
from threea_spark.stages import Fitted, run_stages

_COIN_PRECISION = 4.0  # of a fair coin


@dataclass(frozen=True)
class Weakened:
    """What is broken in a release: the noise of one stage, or of all, is a fraction of what it must be."""

    fraction: float
    stage: Stage | None = None

    def __call__(self, mechanism: NoisySum) -> NoisySum:
        """The mechanism that truly runs; at a fraction of a millionth all noise is rounded away."""
        hit = self.stage is None or mechanism.context[1] == self.stage.value
        return replace(mechanism, mu=mechanism.mu / self.fraction) if hit else mechanism


@dataclass
class Recorded:
    """The noisy sums of a run in order: stage and name, values, standard deviation of the noise that is claimed."""

    sums: list[tuple[tuple[Any, ...], Any, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Reading:
    """What a canary adds to one sum, and what the sum tells beyond the rows that are known.

    Attributes:
      stage: That published the sum.
      added: One row for each canary.
      residual: The noisy sum less the known rows and half of every canary.
      stddev: Of the noise that is claimed.
    """

    stage: str
    added: Any
    residual: Float64Array
    stddev: float


@contextmanager
def recording(weakened: Weakened) -> Iterator[Recorded]:
    """Records all noisy sums of a release on the driver, one that may be broken."""
    recorded, noised, mixed_rows = Recorded(), NoisySum.noised, generators.mixed_rows

    def record(self: NoisySum, exact: Any, noise: Any, part: tuple[Any, ...] = ()) -> Any:
        noisy = noised(weakened(self), exact, noise, part)
        recorded.sums.append((self.context[1:], noisy, self.stddev))
        return noisy

    def record_groups(
        staged: Any, mixer: Any, encoding: Any, label: Any, types: Any, mechanism: NoisySum, noise: Any, seed: int
    ) -> Any:
        """A group's noise is a function of the key and its number: the driver sees what executors will publish."""
        own_mechanism = weakened(mechanism)
        rows = joined(unpacked(staged.toArrow().to_batches(), encoding.width), encoding.width)
        sums = group_sums(mixer, rows, encoding)
        noisy = np.stack([noised(own_mechanism, own, noise, (group,)) for group, own in enumerate(sums)])
        recorded.sums.append((mechanism.context[1:], noisy, mechanism.stddev))
        return mixed_rows(staged, mixer, encoding, label, types, own_mechanism, noise, seed)

    with patch.object(NoisySum, "noised", record), patch.object(generators, "mixed_rows", record_groups):
        yield recorded


def readings(recorded: Recorded, batches: LocalRows, n_canaries: int, config: ReleaseConfig) -> list[Reading]:
    """Replays a recorded run on canonical rows: a batch for each canary, then the known rows as one more."""
    found: list[Reading] = []
    added: list[Any] = [None]

    def replay(self: NoisySum, exact: Any, noise: Any, part: tuple[Any, ...] = ()) -> Any:
        context, noisy, stddev = recorded.sums[len(replayed)]
        if context != self.context[1:] or noisy.shape != exact.shape or stddev != self.stddev:
            raise AssertionError(f"the run published {context}, the replay {self.context[1:]}")
        replayed.append(context)
        if added[0] is not None and added[0].shape[1] >= exact.size:
            found.append(_reading(context[0], added[0][:, : exact.size], exact, noisy, stddev, n_canaries))
        added[0] = None
        return noisy

    def added_up(rows: LocalRows, contributions: Any, size: int) -> Any:
        added[0] = _stacked([sum(contributions(iter([batch]))) for batch in rows.batches])
        return np.asarray(added[0].sum(axis=0), dtype=np.int64).ravel()

    def gradients(self: Targets, weights: Weights, prior: Any, bound: int) -> Any:
        ends = [*range(n_canaries), len(self)]
        parts = [_rows_of(self, slice(i, i + 1)) for i in ends[:-1]] + [_rows_of(self, slice(n_canaries, len(self)))]
        added[0] = _stacked([gradient_sums(part, weights, prior, bound) for part in parts])
        return gradient_sums(self, weights, prior, bound)

    replayed: list[Any] = []
    gradient_sums = Targets.gradient_sums
    with (
        without_spark(lambda staged: staged),
        patch.object(sums, "_added_up", added_up),
        patch.object(Targets, "gradient_sums", gradients),
        patch.object(NoisySum, "noised", replay),
    ):
        progress = Progress(6, lambda *_: None)
        fitted = run_stages(cast(Any, batches), config, plan_of(config), "replay", "staging", progress)
    if fitted.mixer is not None:
        found.append(_mixed(fitted, recorded, n_canaries))
    return found


def _mixed(fitted: Fitted, recorded: Recorded, n_canaries: int) -> Reading:
    """The groups' sums; groups are known to the attacker where every cluster is one group."""
    mixer, encoding, staged = cast(Any, fitted.mixer), fitted.encoded.encoding, cast(Any, fitted.staged)
    if mixer.groups_of.max() > 1:
        raise ValueError("groups are secret; choose mix_size so that every cluster is one group")
    context, noisy, stddev = recorded.sums[-1]

    def sums_of(batch: Any) -> Any:
        rows = joined(unpacked([batch], encoding.width), encoding.width)
        return group_sums(mixer, rows, encoding).ravel()

    added = _stacked([sums_of(batch) for batch in staged.batches])
    return _reading(context[0], added, np.asarray(added.sum(axis=0)), noisy, stddev, n_canaries)


def _rows_of(targets: Targets, own: slice) -> Targets:
    part = copy(targets)
    part.cells, part.classes, part.dense = targets.cells[own], targets.classes[own], targets.dense[own]
    part.shared_square = targets.shared_square[own]
    part._row_odds = None if targets._row_odds is None else targets._row_odds[own]
    return part


def _stacked(parts: list[Any]) -> Any:
    return vstack([csr_array(np.asarray(part, dtype=np.int64)[None, :]) for part in parts], format="csr")


def _reading(stage: str, added: Any, exact: Any, noisy: Any, stddev: float, n_canaries: int) -> Reading:
    total = np.asarray(added.sum(axis=0)).ravel()
    if not np.array_equal(total, np.asarray(exact).ravel()):
        raise AssertionError(f"{stage}: a sum is not the sum of what rows add to it")
    canaries = added[:n_canaries].astype(np.float64)
    known = total - np.asarray(canaries.sum(axis=0)).ravel()
    residual = np.asarray(noisy, dtype=np.float64).ravel() - known - 0.5 * np.asarray(canaries.sum(axis=0)).ravel()
    return Reading(stage, canaries, residual, stddev)


def scores_of_sums(found: list[Reading]) -> dict[str, Float64Array]:
    """Estimates every canary's coin from all sums, and from each stage's alone: one without noise may be hidden."""
    stages = [stage.value for stage in Stage if any(reading.stage == stage.value for reading in found)]
    scores = {stage: _coins([reading for reading in found if reading.stage == stage]) for stage in stages}
    return {"all": _coins(found), **scores}


def _coins(found: list[Reading]) -> Float64Array:
    """The best linear estimate of all coins, each less one half."""
    n = found[0].added.shape[0]
    precision, signal = _COIN_PRECISION * np.eye(n), np.zeros(n)
    for reading in found:
        weight = reading.stddev**-2
        precision += weight * (reading.added @ reading.added.T).toarray()
        signal += weight * (reading.added @ reading.residual)
    return np.asarray(np.linalg.solve(precision, signal), dtype=np.float64)


def scores_of_release(rows: Any, model: Any, canaries: Any, label: str) -> dict[str, Float64Array]:
    """Scores canaries by the released rows that share their values, and by the saved model's masses of them."""
    features = [name for name in canaries if name != label]
    per_column = [rows[name].value_counts().reindex(canaries[name]).fillna(0.0).to_numpy() for name in canaries]
    scores = {"rows": np.sum(per_column, axis=0)}
    if model is None:
        return scores
    codes = {code.name: code for code in model.encoding.columns} | {label: model.encoding.label}
    levels = {name: np.array([codes[name].values.index(value) for value in canaries[name]]) for name in canaries}
    masses = {name: codes[name].level_mass[levels[name]] for name in canaries}
    scores["model, histograms"] = np.sum([masses[name] for name in canaries], axis=0)
    classes, sampler = codes[label].cell_of[levels[label]], model.sampler
    components = np.searchsorted(sampler.class_of, classes) if len(sampler.weights) > 1 else np.zeros_like(classes)
    sizes, laws = sampler.weights[components] * model.n_rows, 1.0
    for place, code in enumerate(model.encoding.features):
        if code.name in features:
            cells = model.encoding.cell_layout.offsets[place] + code.cell_of[levels[code.name]]
            laws = laws + sampler.laws[components, cells]
    scores["model, classes"] = sizes * laws
    total = [scores[name] / max(float(scores[name].std()), 1e-12) for name in ("model, histograms", "model, classes")]
    return {**scores, "model": np.sum(total, axis=0)}
