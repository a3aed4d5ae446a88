"""One trial of the strongest attacker: one who sees every noisy sum of a release and knows all rows but one unit's.

The release is run once in one of two worlds, with fresh noise. Then the very same code is run in either world again,
not with noise but with the noisy sums that the first run published. Since a release is a function of its noisy sums
and of public values, these replays ask for the same sums in the same order; a replay that does not has found a leak.
What each sum would exactly have been in either world gives the likelihood ratio of all that was published, which by
Neyman and Pearson is the best statistic an attacker can have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from local_rows import SMALL_FIT, group_sums, plan_of, run_on  # beside this file

from threea_spark import ReleaseConfig
from threea_spark.adapt import labelling, learn
from threea_spark.anonymize.mix import Mixed
from threea_spark.approximate import product_fit
from threea_spark.arrays import Int64Array
from threea_spark.engine.local import LocalCached, LocalSource, LocalStaged
from threea_spark.engine.packed import COINS, UNIT, PackedRows
from threea_spark.engine.rows import RowForm
from threea_spark.engine.task import ArrowTask
from threea_spark.privacy.mechanism import NoisySum
from threea_spark.privacy.noise import KeyedNoise, new_key
from threea_spark.privacy.query import R, SumQuery
from threea_spark.privacy.terms import Relation, Stage
from threea_spark.stages import Fitted

ABSENT, PRESENT = 0, 1
_NO_NOISE_MU = 20.0  # what stands for a reading without noise: its own rounding hides a twentieth of a row
_FEW_DRAWN = 500
_TOKENS = 2**63
_CERTAIN, _MANY = 1e3, 4  # rounded noise is zero on so many coordinates at once hardly ever
Breaker = Callable[[NoisySum, Any, Any], Any]
"""Given a mechanism, its exact sum and its noise, the sum with whatever noise a broken release would add."""


@dataclass(frozen=True)
class Pair:
    """Two neighbouring tables: rows of both, and rows of one alone.

    Attributes:
      rows: Canonical columns of all rows, as one batch.
      only_in: World each row belongs to alone, -1 for both, shape (n,).
    """

    rows: LocalSource
    only_in: Int64Array

    def of(self, world: int, tokens: Int64Array) -> pa.RecordBatch:
        """The table of one world, with its units' tokens."""
        with_tokens = self.rows.batches[0].append_column(UNIT, pa.array(tokens))
        return with_tokens.take(pa.array(np.flatnonzero((self.only_in == world) | (self.only_in < 0))))

    def tokens(self) -> Int64Array:
        """Draws the secret token of each row, the same for all worlds, shape (n,)."""
        return np.random.default_rng().integers(0, _TOKENS, len(self.only_in), dtype=np.int64)

    def with_coins(self, tokens: Int64Array, sampled_in: bool) -> Int64Array:
        """Lets the coins say that the rows of one world alone are in the sample, or that they are not."""
        own = tokens // COINS * COINS + (0 if sampled_in else COINS - 1)
        return np.where(self.only_in >= 0, own, tokens)


@dataclass
class Published:
    """The noisy sums of one run in the order they were published, and what they would exactly be in each world."""

    noisy: list[tuple[tuple[Any, ...], Any, float]] = field(default_factory=list)
    exact: dict[int, list[Any]] = field(default_factory=dict)


class LeakError(AssertionError):
    """A replay asked for another sum than the first run published: something else than noisy sums decided it."""


@dataclass(frozen=True)
class Trial:
    """What an attacker has after one release.

    Attributes:
      ratio: log P(published | PRESENT) - log P(published | ABSENT).
      mu: What the two worlds' sums are apart in all, in standard deviations of their noise: the privacy loss that this
        pair realises in GDP, of at most what the release claims.
    """

    ratio: float
    mu: float


def run_trial(pair: Pair, config: ReleaseConfig, world: int, rate: float, breaker: Breaker | None = None) -> Trial:
    """Runs a release in one world and gives what its noisy sums tell of the world.

    Args:
      pair: The tables.
      config: Of the release.
      world: In which it truly runs.
      rate: The probability with which a unit is adapted on.
      breaker: Draws the noise of a broken release; what is true of it the attacker does not know.
    """
    published, tokens = Published(), pair.tokens()
    sampled_in = bool(np.random.default_rng().random() < rate)
    _run(pair, config, world, tokens, sampled_in, _recording(published, breaker))
    for hypothesis in (ABSENT, PRESENT):
        published.exact[hypothesis] = []
        _run(pair, config, hypothesis, tokens, True, _replaying(published, hypothesis))
        if len(published.exact[hypothesis]) != len(published.noisy):
            raise LeakError("a replay published fewer sums than the run")
    return _trial(published, rate)


def replayed(pair: Pair, config: ReleaseConfig) -> tuple[Fitted, Fitted]:
    """Runs a release of one world's table, and the code once more on the other's with the noisy sums of the first.

    Both must be the same release, whatever the tables: it is a function of its noisy sums.
    """
    published, tokens = Published(), pair.tokens()
    first = _run(pair, config, ABSENT, tokens, True, _recording(published, None))
    published.exact[PRESENT] = []
    return first, _run(pair, config, PRESENT, tokens, True, _replaying(published, PRESENT))


def _trial(published: Published, rate: float) -> Trial:
    always, sampled, squared = 0.0, 0.0, 0.0
    for (context, noisy, stddev), absent, present in zip(
        published.noisy, published.exact[ABSENT], published.exact[PRESENT], strict=True
    ):
        own = _own_ratio(noisy, absent, present, stddev)
        squared += float(((present - absent) ** 2.0).sum()) / stddev**2
        if context[1] == Stage.ADAPT.value:
            sampled += own
        else:
            always += own
    if rate < 1.0:
        sampled = float(np.logaddexp(math.log1p(-rate), math.log(rate) + sampled))
    return Trial(always + sampled, math.sqrt(squared))


def _own_ratio(noisy: Any, absent: Any, present: Any, stddev: float) -> float:
    """The log likelihood ratio of one sum under the noise that is claimed; certainty, where it has none at all."""
    if not np.array_equal(absent, present) and noisy.size >= _MANY:
        for exact, found in ((present, _CERTAIN), (absent, -_CERTAIN)):
            if np.array_equal(noisy, exact):
                return found
    return float(((noisy - absent) ** 2.0 - (noisy - present) ** 2.0).sum()) / (2.0 * stddev**2)


def _run(pair: Pair, config: ReleaseConfig, world: int, tokens: Int64Array, sampled_in: bool, noising: Any) -> Fitted:
    batch = pair.of(world, pair.with_coins(tokens, sampled_in))
    source = LocalSource if not plan_of(config).is_conditional else _ReadSource
    with (
        patch.object(NoisySum, "noised", noising),
        patch.object(labelling, "_DRAWN_ROWS", _FEW_DRAWN),  # draws from what is released already
        patch.object(learn, "RELEASED_ROWS", _FEW_DRAWN),
        patch.object(product_fit, "ProductSettings", lambda: SMALL_FIT),
    ):
        fitted = run_on(source((batch,)), config, "audit")
        if isinstance(fitted.outcome, Mixed):  # publishes the sum of every group
            granted = fitted.outcome.granted
            granted.noised(np.arange(granted.query.n_groups), group_sums(granted.query, fitted.staged.sample(1.0)))
    return fitted


class _ReadSource(LocalSource):
    """Rows of the conditional mode, whose sums have no noise: an attacker reads each as it is."""

    def sums(self, queries: Sequence[SumQuery[pa.RecordBatch]]) -> list[Int64Array]:
        """Publishes the sums."""
        return [_read(query, own) for query, own in zip(queries, super().sums(queries), strict=True)]

    def staged(self, pack: ArrowTask, width: int) -> LocalStaged:
        """Packs the rows."""
        return _ReadStaged(super().staged(pack, width).batches, width)


class _ReadStaged(LocalStaged):
    """Packed rows of the conditional mode."""

    def sums(self, queries: Sequence[SumQuery[PackedRows]]) -> list[Int64Array]:
        """Publishes the sums."""
        return [_read(query, own) for query, own in zip(queries, super().sums(queries), strict=True)]

    @contextmanager
    def cached_as(self, form: RowForm[R]) -> Iterator[LocalCached[R]]:
        """Caches the rows in another form."""
        with super().cached_as(form) as cached:
            yield _ReadCached(cached.batches, form)


class _ReadCached(LocalCached[R]):
    """Rows of the conditional mode in another form."""

    def sums(self, queries: Sequence[SumQuery[R]]) -> list[Int64Array]:
        """Publishes the sums."""
        return [_read(query, own) for query, own in zip(queries, super().sums(queries), strict=True)]


def _read(query: SumQuery[Any], exact: Int64Array) -> Int64Array:
    """A sum that is published as it is, but for the noise that stands for none."""
    reading = NoisySum(
        context=("audit", query.stage.value, query.name),
        squared_sensitivity=1,
        mu=_NO_NOISE_MU,
        relation=Relation.ADD_OR_REMOVE_ONE,
        moved=query.size,
    )
    return reading.noised(exact, KeyedNoise(new_key()))


def _recording(published: Published, breaker: Breaker | None) -> Any:
    noised = NoisySum.noised

    def record(self: NoisySum, exact: Any, noise: Any, part: tuple[Any, ...] = ()) -> Any:
        noisy = noised(self, exact, noise, part) if breaker is None else breaker(self, exact, noise)
        published.noisy.append(((*self.context, *part), noisy, self.stddev))
        return noisy

    return record


def _replaying(published: Published, hypothesis: int) -> Any:
    def replay(self: NoisySum, exact: Any, noise: Any, part: tuple[Any, ...] = ()) -> Any:
        place = len(published.exact[hypothesis])
        if place >= len(published.noisy):
            raise LeakError("a replay published more sums than the run")
        context, noisy, stddev = published.noisy[place]
        if context != (*self.context, *part) or noisy.shape != exact.shape or stddev != self.stddev:
            raise LeakError(f"sum {place} is {context} in the run and {(*self.context, *part)} in a replay")
        published.exact[hypothesis].append(exact.copy())
        return noisy

    return replay
