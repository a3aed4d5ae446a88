"""The attackers of one release with canaries: one sees what is published, one every noisy sum of the run.

The sums are recorded on the driver while Spark runs the release. Then the same code is run once more without Spark on
all canaries, each a batch of its own, with the recorded sums in place of noise: this gives what every canary adds to
every sum if it is in the table, and with it the best linear estimate of all coins together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from local_rows import group_sums, run_on  # beside this file
from scipy.sparse import csr_array, vstack

from threea_spark import ReleaseConfig, pipeline
from threea_spark.adapt.targets import Targets
from threea_spark.anonymize.mix import Mixed
from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.engine.local import LocalCached, LocalSource, LocalStaged
from threea_spark.engine.packed import PackedRows, unpacked
from threea_spark.engine.rows import RowForm
from threea_spark.engine.task import ArrowTask
from threea_spark.privacy.mechanism import NoisyGroups, NoisySum
from threea_spark.privacy.query import HeldRows, R, SumQuery
from threea_spark.privacy.terms import Stage
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
    recorded, noised = Recorded(), NoisySum.noised

    def record(self: NoisySum, exact: Any, noise: Any, part: tuple[Any, ...] = ()) -> Any:
        noisy = noised(weakened(self), exact, noise, part)
        recorded.sums.append((self.context[1:], noisy, self.stddev))
        return noisy

    def with_groups(*run: Any) -> Fitted:
        """A group's noise is a function of the key and its number: the driver sees what executors will publish."""
        fitted = run_stages(*run)
        if not isinstance(fitted.outcome, Mixed):
            return fitted
        granted = fitted.outcome.granted
        broken: NoisyGroups[PackedRows] = replace(granted, mechanism=weakened(granted.mechanism))
        sums = group_sums(granted.query, fitted.staged.sample(1.0))
        noisy = np.stack([noised(broken.mechanism, own, broken.noise, (group,)) for group, own in enumerate(sums)])
        recorded.sums.append((granted.mechanism.context[1:], noisy, granted.mechanism.stddev))
        return replace(fitted, outcome=replace(fitted.outcome, granted=broken))

    with patch.object(NoisySum, "noised", record), patch.object(pipeline, "run_stages", with_groups):
        yield recorded


class _Added:
    """What each canary, and the known rows as one more, add to the sums that were asked for, by stage and name."""

    def __init__(self) -> None:
        self._found: dict[tuple[Any, ...], Any] = {}

    def keep(self, query: SumQuery[Any], parts: Sequence[Any]) -> Int64Array:
        """Keeps what each part adds to a sum; returns the sum of all."""
        added = _stacked([sum(query.contribution(rows) for rows in part) for part in parts])
        self._found[(query.stage.value, query.name)] = added
        return np.asarray(added.sum(axis=0), dtype=np.int64).ravel()

    def of(self, context: tuple[Any, ...]) -> Any:
        """What was kept for a sum; None for one that is not attacked."""
        return self._found.pop(context, None)


@dataclass(frozen=True)
class _Canaries(LocalSource):
    """Rows whose sums are kept batch by batch: one for each canary, then the known rows."""

    added: _Added

    def sums(self, queries: Sequence[SumQuery[pa.RecordBatch]]) -> list[Int64Array]:
        """Sums the rows, and keeps what each batch adds."""
        return [self.added.keep(query, [[batch] for batch in self.batches]) for query in queries]

    def staged(self, pack: ArrowTask, width: int) -> LocalStaged:
        """Packs the rows."""
        return _PackedCanaries(super().staged(pack, width).batches, width, self.added)


@dataclass(frozen=True)
class _PackedCanaries(LocalStaged):
    """Packed rows whose sums are kept batch by batch."""

    added: _Added

    def sums(self, queries: Sequence[SumQuery[PackedRows]]) -> list[Int64Array]:
        """Sums the rows, and keeps what each batch adds."""
        parts = [list(unpacked([batch], self.width)) for batch in self.batches]
        return [self.added.keep(query, parts) for query in queries]

    @contextmanager
    def cached_as(self, form: RowForm[R]) -> Iterator[LocalCached[R]]:
        """Turns each batch into another form, by itself."""
        parts = [pa.Table.from_batches(map(form.write, unpacked([batch], self.width))) for batch in self.batches]
        yield _CachedCanaries(tuple(part.combine_chunks().to_batches()[0] for part in parts), form, self.added)


@dataclass(frozen=True)
class _CachedCanaries(LocalCached[R]):
    """Rows in another form whose sums are kept batch by batch."""

    added: _Added

    def sums(self, queries: Sequence[SumQuery[R]]) -> list[Int64Array]:
        """Sums the rows, and keeps what each batch adds."""
        parts = [list(self.form.read(iter([batch]))) for batch in self.batches]
        return [self.added.keep(query, parts) for query in queries]


def readings(recorded: Recorded, batches: LocalSource, n_canaries: int, config: ReleaseConfig) -> list[Reading]:
    """Replays a recorded run on canonical rows: a batch for each canary, then the known rows as one more."""
    found: list[Reading] = []
    replayed: list[Any] = []
    added = _Added()

    def replay(self: NoisySum, exact: Any, noise: Any, part: tuple[Any, ...] = ()) -> Any:
        context, noisy, stddev = recorded.sums[len(replayed)]
        if context != self.context[1:] or noisy.shape != exact.shape or stddev != self.stddev:
            raise AssertionError(f"the run published {context}, the replay {self.context[1:]}")
        replayed.append(context)
        if (own := added.of(context)) is not None:
            found.append(_reading(context[0], own, exact, noisy, stddev, n_canaries))
        return noisy

    with patch.object(NoisySum, "noised", replay), patch.object(HeldRows, "sums", _held_sums(added, n_canaries)):
        fitted = run_on(_Canaries(batches.batches, added), config, "replay")
    if isinstance(fitted.outcome, Mixed):
        found.append(_mixed(fitted.outcome, fitted.staged, recorded, n_canaries))
    return found


def _held_sums(added: _Added, n_canaries: int) -> Callable[..., list[Int64Array]]:
    """Sums of rows on the driver; of the label function's targets it is kept what each canary adds."""

    def sums(held: HeldRows[Any], queries: Sequence[SumQuery[Any]]) -> list[Int64Array]:
        rows = held.exposed()
        if isinstance(rows, Targets):
            ends = [*range(n_canaries + 1), len(rows)]
            parts = [[_rows_of(rows, slice(*pair))] for pair in pairwise(ends)]
            for query in queries:
                added.keep(query, parts)
        return [query.contribution(rows) for query in queries]

    return sums


def _mixed(outcome: Mixed, staged: Any, recorded: Recorded, n_canaries: int) -> Reading:
    """The groups' sums; groups are known to the attacker where every cluster is one group."""
    if outcome.mixer.groups_of.max() > 1:
        raise ValueError("groups are secret; choose mix_size so that every cluster is one group")
    context, noisy, stddev = recorded.sums[-1]
    width, query = outcome.encoding.width, outcome.granted.query
    parts = [unpacked([batch], width) for batch in staged.batches]
    added = _stacked([sum(group_sums(query, rows).ravel() for rows in part) for part in parts])
    return _reading(context[0], added, np.asarray(added.sum(axis=0)), noisy, stddev, n_canaries)


def _rows_of(targets: Targets, own: slice) -> Targets:
    return Targets(targets.features, targets.rows[own], of_number=targets.of_number)


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
