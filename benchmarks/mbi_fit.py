"""mbi (Private-PGM) fitted to the noisy tables of one of our releases: trees, junction trees, local tables, mixtures.

Source: McKenna, Sheldon and Miklau 2019, arXiv 1901.09136 (exact inference), 2109.06153 (local); GitHub ryan112358/mbi.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from threea_spark.approximate.product_fit import ProductSettings
from threea_spark.approximate.products import Evidence, Products, mutual_information
from threea_spark.approximate.tables import Pair
from threea_spark.arrays import Float64Array, Int64Array

_STEPS = 1000  # mbi's default, for each of its estimators
_RATE = 0.1  # of Adam, as in mbi's documentation
_LOCAL_STEP = 20.0  # in units of 1 / (Lipschitz constant * rows); mbi's exact descent starts at 2, and then searches


@dataclass(frozen=True)
class NoisyTable:
    """A noisy table of one column or two.

    Attributes:
      columns: Places of its columns.
      counts: In rows, one axis a column.
      stddev: Of the noise on a count.
      groups: Group of each cell of each column, where groups are counted.
    """

    columns: tuple[int, ...]
    counts: Float64Array
    stddev: float
    groups: tuple[Int64Array, ...] | None = None


@dataclass(frozen=True, eq=False)
class GroupCounts:
    """mbi's query for counts of groups; compared by identity, as jax asks of what is static.

    Attributes:
      members: Whether a cell is in a group, shape (cells, groups), for each of two columns.
    """

    members: tuple[Float64Array, Float64Array]

    def __call__(self, factor: Any) -> Any:
        """Counts of the groups in mbi's table of the cells, flat."""
        return (self.members[0].T @ factor.datavector(flatten=False) @ self.members[1]).ravel()

    def op_norm_sq(self) -> float:
        """Squared operator norm: cells of the two largest groups."""
        return float(np.prod([own.sum(axis=0).max() for own in self.members]))


def load_mbi() -> ModuleType:
    """Imports mbi, or ends the program and says how to install it."""
    if importlib.util.find_spec("mbi") is None:
        raise SystemExit("mbi is not installed: pip install mbi==2.0.0 (Python 3.11 or newer), or --methods ours")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of float32: it is used under jax.enable_x64
        for part in ("approximate_oracles", "extensions"):
            importlib.import_module(f"mbi.{part}")
        return importlib.import_module("mbi")


def noisy_tables(evidence: Evidence, n_rows: float, pairs: Sequence[Pair]) -> list[NoisyTable]:
    """Everything that was measured of these pairs, and of every column."""
    columns = evidence.columns
    starts, groups = np.cumsum([0, *columns.n_groups]), columns.groups
    stddev = n_rows * evidence.one_way_stddev
    found = [NoisyTable((place,), n_rows * mass, stddev) for place, mass in enumerate(columns.masses)]
    for a, b in pairs:
        shares = evidence.pairs.shares[starts[a] : starts[a + 1], starts[b] : starts[b + 1]]
        found.append(NoisyTable((a, b), n_rows * shares, n_rows * evidence.pairs.stddev, (groups[a], groups[b])))
    if (finer := evidence.cells) is not None:
        own = zip(finer.pairs, finer.shares, strict=True)
        found += [NoisyTable(pair, n_rows * shares, n_rows * finer.stddev) for pair, shares in own if pair in pairs]
    return found


def by_dependence(pairs: Sequence[Pair], products: Products) -> list[Pair]:
    """The pairs in order, those of most mutual information first."""
    return sorted(pairs, key=lambda pair: -mutual_information(products.table(pair)))


def spanning_tree(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs, best first, that connect what was apart. Source: Kruskal 1956."""
    trees = DisjointSet(set(itertools.chain(*pairs)))
    return [pair for pair in pairs if trees.merge(*pair)]


class Peer:
    """mbi, fitted to one release's noisy tables; call it under `jax.enable_x64(True)`."""

    def __init__(self, evidence: Evidence, products: Products, n_rows: float, megabytes: float) -> None:
        """Takes a release's evidence, its fit, its DP number of rows, and how large a junction tree may be."""
        self._mbi, sizes = load_mbi(), evidence.columns.sizes
        self._evidence, self._products, self._n_rows, self._megabytes = evidence, products, n_rows, megabytes
        self._domain = self._mbi.Domain(range(len(sizes)), sizes)

    def pairs(self, method: str) -> list[Pair]:
        """The pairs whose tables a method is fitted to."""
        ordered = by_dependence(self._evidence.columns.pairs, self._products)
        chosen = spanning_tree(ordered) if method in ("tree", "cliques") else ordered
        size_of = self._mbi.junction_tree.hypothetical_model_size
        for pair in ordered if method == "cliques" else []:
            if pair not in chosen and size_of(self._domain, [*chosen, pair]) <= self._megabytes:
                chosen.append(pair)
        return chosen

    def fit(self, method: str, pairs: Sequence[Pair]) -> Any:
        """Fits mbi's model, or its tables alone where they are local."""
        import jax
        import optax

        mbi, known = self._mbi, {"known_total": self._n_rows}
        finished: Any = jax.block_until_ready
        loss = mbi.marginal_loss.from_linear_measurements(self._measurements(pairs), self._domain)
        if method == "local":
            step = _LOCAL_STEP / (loss.lipschitz * self._n_rows)
            descent = mbi.approximate_oracles.mirror_descent
            return finished(descent(self._domain, loss, stepsize=step, iters=_STEPS, **known))
        estimator = mbi.estimation.MirrorDescent()
        if method == "mixture":
            components = ProductSettings().components
            kind = mbi.extensions.MixtureOfProductsEstimator
            estimator = kind(optimizer=optax.adam(_RATE), num_components=components)
        return finished(estimator.estimate(self._domain, loss, iters=_STEPS, **known))

    def drawn(self, fitted: Any, n_rows: int) -> Int64Array:
        """Cells of rows drawn by mbi's own rule, shape (n_rows, n_columns)."""
        drawn = fitted.synthetic_data(n_rows).to_dict()
        return np.column_stack([drawn[place] for place in self._domain.attributes]).astype(np.int64)

    def _measurements(self, pairs: Sequence[Pair]) -> list[Any]:
        made = []
        for table in noisy_tables(self._evidence, self._n_rows, pairs):
            query = {}
            if table.groups is not None:
                first, second = (np.eye(int(own.max()) + 1)[own] for own in table.groups)
                query["query"] = GroupCounts((first, second))
            made.append(self._mbi.LinearMeasurement(table.counts.ravel(), table.columns, table.stddev, **query))
        return made
