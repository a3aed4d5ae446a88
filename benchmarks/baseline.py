"""dp-nb, the baseline of the utility benchmark: class-conditional independent histograms with Gaussian noise.

Naive Bayes as a generator: first the class, by the noisy class counts, then each column on its own, by the noisy
histogram of that class. A numeric label is cut into cells and drawn evenly inside its cell.

Privacy: (epsilon, delta) for the addition or removal of one row. mu is the largest that (epsilon, delta) allows, and
mu^2 is spent whole, as the sum over two steps (threea_spark.privacy.gaussian):

1. Each numeric column, N of them and a numeric label among them, is counted in N_FINE public cells, which are then
   joined into fewer of about equal mass. A row adds one count to each column: L2 sensitivity sqrt(N). This takes
   SHARE_OF_CELLS of mu^2, or nothing where no column is numeric.
2. Each of the F features is counted by class and cell. A row adds one count to each: L2 sensitivity sqrt(F). This takes
   the rest of mu^2.

The class counts, the number of rows and the rows themselves are post-processing of the second; bounds and categories
are public. The noise is seeded and of floating point, so that figures repeat: for comparison, never for a release.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.privacy.gaussian import gaussian_mu

N_FINE = 256  # equal in width, between the public bounds
N_CELLS = 16
N_LABEL_CELLS = 8
SHARE_OF_CELLS = 0.1
SEEN_STDDEVS = 3.0  # a fine count below is taken for noise
EVEN_MASS = 0.1


@dataclass(frozen=True)
class NumberCells:
    """Cells of a numeric column between its public bounds, then one for null if there may be one.

    Attributes:
      edges: Increasing, shape (n + 1,).
      whole: Whether the column holds whole numbers only; then the last edge is upper + 1.
      nullable: Whether null has a cell; where it has none, a null counts as the lower bound.
    """

    edges: Float64Array
    whole: bool
    nullable: bool

    @property
    def n_cells(self) -> int:
        """Counts the cells, null's own among them."""
        return len(self.edges) - 1 + int(self.nullable)

    def index(self, column: pd.Series) -> Int64Array:
        """Finds the cell of each value; values outside the bounds count as the bound."""
        values = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
        found = np.clip(np.searchsorted(self.edges, values, side="right") - 1, 0, len(self.edges) - 2)
        return np.where(np.isnan(values), self.n_cells - 1 if self.nullable else 0, found).astype(np.int64)

    def draw(self, cell: Int64Array, rng: np.random.Generator) -> pd.Series:
        """Draws a value even over each cell; null's cell gives null."""
        low, high = np.append(self.edges[:-1], np.nan)[cell], np.append(self.edges[1:], np.nan)[cell]
        values = low + rng.random(len(cell)) * (high - low)
        return pd.Series(np.minimum(np.floor(values), self.edges[-1] - 1.0) if self.whole else values)


@dataclass(frozen=True)
class LevelCells:
    """One cell for each public category, then one for null if there may be one."""

    values: tuple[str, ...]
    nullable: bool

    @property
    def n_cells(self) -> int:
        """Counts the cells, null's own among them."""
        return len(self.values) + int(self.nullable)

    def index(self, column: pd.Series) -> Int64Array:
        """Finds the cell of each value; what is not listed counts as null, or as the first where null has no cell."""
        text = column.map(lambda value: None if pd.isna(value) else str(value))
        found = pd.Index(self.values).get_indexer(pd.Index(text))
        return np.where(found < 0, len(self.values) if self.nullable else 0, found).astype(np.int64)

    def draw(self, cell: Int64Array, rng: np.random.Generator) -> pd.Series:
        """Names the category of each cell; null's cell gives null."""
        return pd.Series(np.array([*self.values, None], dtype=object)[cell])


Cells = NumberCells | LevelCells


def draw_baseline(
    train: pd.DataFrame, domain: Mapping[str, Any], *, epsilon: float, delta: float, seed: int
) -> pd.DataFrame:
    """Draws as many rows as there are, up to noise, by dp-nb.

    Args:
      train: Real rows, at least one feature and a label that is never null. PRIVATE.
      domain: Public: `label` and `columns`, as a protocol's `load` gives them.
      epsilon, delta: Spent whole on this table.
      seed: Of the noise and of the draw.
    """
    rng = np.random.default_rng(seed)
    label, specs = domain["label"], domain["columns"]
    mu = gaussian_mu(epsilon, delta)
    n_numeric = sum(spec["type"] != "categorical" for spec in specs.values())
    share = SHARE_OF_CELLS if n_numeric else 0.0
    noise = noise_stddev(n_numeric, mu * math.sqrt(share))
    cells = {name: _cells(train[name], spec, noise, rng, is_label=name == label) for name, spec in specs.items()}
    noise = noise_stddev(len(specs) - 1, mu * math.sqrt(1.0 - share))
    tables = {
        name: _noisy_table(cells[label], cells[name], train[label], train[name], noise, rng)
        for name in specs
        if name != label
    }
    group = _draw_groups(tables, rng)
    drawn = {name: cells[name].draw(_draw_cells(table, group, rng), rng) for name, table in tables.items()}
    drawn[label] = cells[label].draw(group, rng)
    return pd.DataFrame({name: drawn[name] for name in specs})


def noise_stddev(n_columns: int, mu: float) -> float:
    """Gives the noise on each count where a row adds one count to each of `n_columns` histograms: sqrt(D) / mu."""
    return math.sqrt(n_columns) / mu if n_columns else 0.0


def noisy_counts(index: Int64Array, n_cells: int, stddev: float, rng: np.random.Generator) -> Float64Array:
    """Counts the rows of each cell and adds noise; RELEASED, may be negative."""
    return np.bincount(index, minlength=n_cells) + rng.normal(0.0, stddev, n_cells)


def _cells(
    column: pd.Series, spec: Mapping[str, Any], stddev: float, rng: np.random.Generator, *, is_label: bool
) -> Cells:
    """Cells of about equal mass for a number, by a fine noisy histogram; the listed ones for a category."""
    nullable = bool(spec["nullable"]) and not is_label
    if spec["type"] == "categorical":
        return LevelCells(tuple(spec["values"]), nullable)
    whole = spec["type"] == "integer"
    fine = np.linspace(spec["lower"], spec["upper"] + float(whole), N_FINE + 1)
    fine = np.unique(np.floor(fine)) if whole else fine
    every = NumberCells(fine, whole, nullable)
    counts = noisy_counts(every.index(column), every.n_cells, stddev, rng)[: len(fine) - 1]
    seen = np.where(counts > SEEN_STDDEVS * stddev, counts, 0.0)
    return NumberCells(_even_edges(fine, seen, N_LABEL_CELLS if is_label else N_CELLS), whole, nullable)


def _even_edges(fine: Float64Array, counts: Float64Array, n_cells: int) -> Float64Array:
    """Picks the fine edges that part the mass evenly; a little even mass parts the empty stretches."""
    mass = counts / max(counts.sum(), 1.0) + EVEN_MASS * np.diff(fine) / (fine[-1] - fine[0])
    upto = np.append(0.0, np.cumsum(mass)) / mass.sum()
    heavy = np.flatnonzero(mass / mass.sum() > 1.0 / n_cells)  # a fine cell this full stands alone
    places = np.searchsorted(upto, np.linspace(0.0, 1.0, n_cells + 1)[1:-1])
    return np.asarray(fine[np.unique(np.concatenate([[0], places, heavy, heavy + 1, [len(fine) - 1]]))])


def _noisy_table(
    label: Cells, cells: Cells, classes: pd.Series, column: pd.Series, stddev: float, rng: np.random.Generator
) -> Float64Array:
    """Noisy counts of a column's cells in each class, shape (n_classes, n_cells)."""
    joint = label.index(classes) * cells.n_cells + cells.index(column)
    return noisy_counts(joint, label.n_cells * cells.n_cells, stddev, rng).reshape(label.n_cells, -1)


def _draw_groups(tables: Mapping[str, Float64Array], rng: np.random.Generator) -> Int64Array:
    """Gives the class of each row to draw: every column counts the classes, the one with fewer cells more exactly."""
    weights = [1.0 / table.shape[1] for table in tables.values()]
    sizes = np.average([table.sum(axis=1) for table in tables.values()], axis=0, weights=weights)
    group = np.repeat(np.arange(len(sizes)), np.maximum(np.rint(sizes), 1.0).astype(np.int64))
    return np.asarray(rng.permutation(group), dtype=np.int64)


def _draw_cells(table: Float64Array, group: Int64Array, rng: np.random.Generator) -> Int64Array:
    """Draws a cell for each row by its class's histogram; negative counts are none, a class without counts is even."""
    law = np.maximum(table, 0.0)
    law[law.sum(axis=1) == 0.0] = 1.0
    upto = np.cumsum(law, axis=1) / law.sum(axis=1, keepdims=True)
    cell = (rng.random(len(group))[:, None] >= upto[group]).sum(axis=1)
    return np.asarray(np.minimum(cell, table.shape[1] - 1), dtype=np.int64)
