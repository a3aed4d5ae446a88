"""A mixture of products, p(x) = sum over k of w_k * product over columns j of p_k(x_j), and what it is fitted to.

Kin of this model: RAP, Aydore et al. 2021, arXiv 2103.06641, and GEM, Liu et al. 2021, arXiv 2106.07153.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from threea_spark.approximate.tables import Pair, TableColumns
from threea_spark.arrays import Float64Array


@dataclass(frozen=True)
class PairTables:
    """Noisy tables of all pairs in groups. RELEASED.

    Attributes:
      shares: Share of the rows in each pair of groups, shape (n, n) for n groups in all, symmetric; a column's own
        block is zero.
      stddev: Standard deviation of the noise on a share.
    """

    shares: Float64Array
    stddev: float


@dataclass(frozen=True)
class CellTables:
    """Noisy tables of chosen pairs, cell by cell. RELEASED.

    Attributes:
      pairs: Columns of each table.
      shares: One table a pair, shape (cells of the first, cells of the second).
      stddev: Standard deviation of the noise on a share.
    """

    pairs: tuple[Pair, ...]
    shares: tuple[Float64Array, ...]
    stddev: float


@dataclass(frozen=True)
class Evidence:
    """Everything that was measured of a table. RELEASED.

    Attributes:
      columns: Their cells and groups.
      one_way_stddev: Standard deviation of the noise on a share of one cell of one column.
      pairs: Tables of all pairs.
      cells: Finer tables of chosen pairs, if any.
    """

    columns: TableColumns
    one_way_stddev: float
    pairs: PairTables
    cells: CellTables | None = None


@dataclass(frozen=True)
class Products:
    """A mixture of products. RELEASED.

    Attributes:
      weights: Share of each component, shape (k,), sums to 1.
      probabilities: Of each column's cells in each component, one array of shape (k, cells) a column.
    """

    weights: Float64Array
    probabilities: tuple[Float64Array, ...]

    def table(self, pair: Pair) -> Float64Array:
        """The joint distribution of two columns, shape (cells of the first, cells of the second)."""
        first, second = (self.probabilities[column] for column in pair)
        return np.asarray((first * self.weights[:, None]).T @ second, dtype=np.float64)

    def marginal(self, column: int) -> Float64Array:
        """The distribution of a column, shape (cells,)."""
        return np.asarray(self.weights @ self.probabilities[column], dtype=np.float64)


def informative_pairs(columns: TableColumns, fitted: Products, n_tables: int) -> list[Pair]:
    """Chooses pairs for a finer look, by fitted distributions alone: the label with every column, then by dependence.

    Args:
      columns: The tables' columns.
      fitted: Fitted to the first look.
      n_tables: How many pairs to choose, at least as many as the label has.
    """
    label = len(columns.groups) - 1 if columns.has_label else None
    own = [pair for pair in columns.pairs if pair[1] == label]
    others = [pair for pair in columns.pairs if pair[1] != label]
    dependence = np.array([mutual_information(fitted.table(pair)) for pair in others])
    order = np.argsort(-dependence, kind="stable")[: n_tables - len(own)]
    return own + [others[place] for place in order]


def mutual_information(table: Float64Array) -> float:
    """Mutual information of a joint distribution, in nats. Source: Cover and Thomas 2006, eq. 2.28."""
    joint = np.maximum(table, 0.0) / max(float(table.sum()), 1e-300)
    apart = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    held = joint > 0.0
    return float(np.sum(joint[held] * np.log(joint[held] / apart[held])))
