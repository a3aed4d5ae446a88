"""The `mix` generator (ClustMix): each released row is the noisy average of about `mix_size` rows of one cluster.

Within its cluster a row falls into a group by its unit's secret token, independently of all other rows, so one row
more or less moves one group's sum by one clipped residual. The vector of all groups is one noisy sum.
Source: 3A, arXiv 2307.01875, section 3 (mixing); for groups by hash and clipped residuals see docs/guarantee.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from threea_spark.approximate.mixture import Mixture
from threea_spark.approximate.statistics import sums_of
from threea_spark.arrays import Float64Array, Int16Array, Int64Array
from threea_spark.encode.cells import Decoded
from threea_spark.encode.codec import Encoding
from threea_spark.encode.feature import CATEGORY_COORDINATE, SCORE_GRID
from threea_spark.engine.packed import PackedRows
from threea_spark.model.blocks import public_generator
from threea_spark.model.sampler import decode_rows
from threea_spark.privacy.clipping import clip_rows
from threea_spark.privacy.mechanism import NoisyGroups
from threea_spark.privacy.query import GroupQuery, RowBound
from threea_spark.privacy.terms import Stage

_FARTHEST = 2**17  # grid units; rows lie within 2^15
NOISE_GOAL = 0.3
"""Noise on a coordinate of a mixed row that `mix_size: auto` aims at, in units of score."""


@dataclass(frozen=True)
class Mixer:
    """Groups rows within clusters. Everything held here is public or RELEASED.

    Attributes:
      mixture: Clusters; their (adapted) centres are what residuals are taken from.
      class_shares: Share of each class in each cluster, shape (k, n_classes).
      mix_size: Rows averaged, the public divisor.
      clip_norm: L2 bound on a residual, in units of score.
    """

    mixture: Mixture
    class_shares: Float64Array
    mix_size: int
    clip_norm: float

    @cached_property
    def groups_of(self) -> Int64Array:
        """Groups of each cluster, shape (k,): as many as its DP size holds, at least one."""
        return np.maximum(1, self.mixture.sizes // self.mix_size).astype(np.int64)

    @cached_property
    def first_group(self) -> Int64Array:
        """First group of each cluster, and the end, shape (k + 1,)."""
        return np.concatenate([[0], np.cumsum(self.groups_of)]).astype(np.int64)

    @property
    def n_groups(self) -> int:
        """Released rows. RELEASED: it follows from DP sizes."""
        return int(self.first_group[-1])

    @property
    def length(self) -> int:
        """Coordinates of a group's sum: the packed vector and one for each class."""
        return int(self.mixture.means.shape[1] + self.class_shares.shape[1])

    @property
    def norm_bound(self) -> int:
        """L2 bound on a residual, in grid units."""
        return norm_bound(self.clip_norm)

    @cached_property
    def centres(self) -> Int64Array:
        """Centres with the classes' shares, in grid units, shape (k, length)."""
        rows = np.hstack([self.mixture.means * SCORE_GRID, self.class_shares * CATEGORY_COORDINATE])
        near = np.clip(np.nan_to_num(rows), -_FARTHEST, _FARTHEST)  # adapted centres may have run away
        return np.rint(near).astype(np.int64)

    def groups(self, rows: PackedRows) -> Int64Array:
        """Group of each row, a pure function of the row and its unit's secret token, shape (n,).

        Args:
          rows: PRIVATE.
        """
        component = self.mixture.component_of(rows)
        share = rows.group_tokens.astype(np.uint64) * self.groups_of[component].astype(np.uint64)
        return self.first_group[component] + (share >> np.uint64(32)).astype(np.int64)  # a token is 32 bits

    def residuals(self, packed: Int16Array, classes: Int64Array, component: Int64Array) -> Int64Array:
        """Clipped residuals from the centres, norm at most norm_bound, shape (n, length). PRIVATE."""
        rows = np.zeros((len(packed), self.length), dtype=np.int64)
        rows[:, : packed.shape[1]] = packed
        rows[np.arange(len(packed)), packed.shape[1] + classes] = CATEGORY_COORDINATE
        return clip_rows(rows - self.centres[component], self.norm_bound)

    def sums(self, rows: PackedRows, groups: Int64Array, first: int, n_groups: int) -> Int64Array:
        """Sums the residuals of rows by group.

        Args:
          rows: PRIVATE.
          groups: Group of each row, within [first, first + n_groups), shape (n,).
          first, n_groups: Which groups.

        Returns:
          Exact sums, shape (n_groups, length). PRIVATE.
        """
        residuals = self.residuals(rows.packed, rows.classes, self.component_of(groups))
        return np.asarray(sums_of(residuals, groups - first, n_groups), dtype=np.int64)

    def query(self) -> GroupQuery[PackedRows]:
        """The sums of all groups."""
        return GroupQuery(
            stage=Stage.ANONYMIZE,
            name="mixed-rows",
            bound=mixing_bound(self.norm_bound, self.length),
            size=self.n_groups * self.length,
            n_groups=self.n_groups,
            length=self.length,
            groups_of=self.groups,
            sums_of=self.sums,
        )

    def component_of(self, groups: Int64Array) -> Int64Array:
        """Cluster of each group, shape (g,)."""
        return np.asarray(np.searchsorted(self.first_group, groups, side="right") - 1, dtype=np.int64)

    def decode(
        self, encoding: Encoding, label: str | None, groups: Int64Array, noisy: Int64Array, seed: int
    ) -> dict[str, Decoded]:
        """Turns noisy sums into rows: centre plus sum over mix_size, each column at its nearest cell.

        Args:
          encoding, label: The table's codes, and its label.
          groups: Shape (g,).
          noisy: Shape (g, length). RELEASED.
          seed: Public; draws the values inside cells.
        """
        rows = self.centres[self.component_of(groups)] + noisy / self.mix_size
        width = encoding.width
        rng = public_generator(seed, int(groups[0]) if len(groups) else 0)
        cells = encoding.keep_nulls(encoding.nearest_cells(rows[:, :width]), rng)
        classes = rows[:, width:].argmax(axis=1).astype(np.int64)
        return decode_rows(encoding, label, cells, classes, rng)


@dataclass(frozen=True)
class Mixed:
    """The outcome of a recipe that mixes: groups of rows, and their booked noise.

    Attributes:
      encoding: The table's codes.
      mixer: Which groups. RELEASED.
      granted: Their sums, which get their noise where they are released.
    """

    encoding: Encoding
    mixer: Mixer
    granted: NoisyGroups[PackedRows]


def norm_bound(clip_norm: float) -> int:
    """An L2 bound in grid units, from one in units of score."""
    return max(1, int(clip_norm * SCORE_GRID))


def mixing_bound(norm: int, length: int) -> RowBound:
    """A row adds its clipped residual to the sum of one group, of so many coordinates."""
    return RowBound(norm**2, length)


def auto_mix_size(clip_norm: float, mu: float, least: int = 2) -> int:
    """Chooses the rows to average so that the noise on a coordinate meets NOISE_GOAL: clip_norm / (mu * goal)."""
    return max(least, int(np.ceil(clip_norm / (max(mu, 1e-9) * NOISE_GOAL))))
