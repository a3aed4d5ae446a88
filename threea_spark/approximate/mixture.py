"""The mixture: assignment of rows to components, and the M-step on noisy sums of their statistics.

Assignment is hard, a pure function of a row and published numbers: the component with the least discrepancy minus
price. Source: classification EM, Celeux and Govaert 1992; prices are the duals of the size constraint (prices.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from threea_spark.approximate.nearest import QuadraticForms
from threea_spark.approximate.statistics import PRODUCT_GRID, Covariance
from threea_spark.arrays import BoolArray, Float32Array, Float64Array, Int64Array
from threea_spark.encode.feature import SCORE_GRID
from threea_spark.engine.packed import PackedRows

REG_COVAR = 0.05
"""Added to every variance, in squared score units: no component is thinner than the noise on its mean."""
_WEIGHT_GRID = 2.0**16
_PRECISION_GRID = 2.0**12
_SHRINK_ROWS = 4.0  # standard deviations of noise a component's rows are weighed against


@dataclass(frozen=True)
class Mixture:
    """Components in packed-score space. RELEASED.

    Attributes:
      means: Shape (k, d), in units of score.
      covariances: Shape (k,) isotropic, (k, d) diagonal or (k, d, d) full.
      sizes: DP rows of each component, shape (k,).
      prices: What a component pays for each row, shape (k,), in units of discrepancy.
      class_of: Class whose rows a component may take, shape (k,); -1 takes any.
      covariance: Which of the three.
    """

    means: Float64Array
    covariances: Float64Array
    sizes: Float64Array
    prices: Float64Array
    class_of: Int64Array
    covariance: Covariance

    @property
    def n_components(self) -> int:
        """How many components there are."""
        return len(self.means)

    def keep(self, kept: BoolArray) -> Mixture:
        """The mixture of some of the components."""
        return replace(
            self,
            means=self.means[kept],
            covariances=self.covariances[kept],
            sizes=self.sizes[kept],
            prices=self.prices[kept],
            class_of=self.class_of[kept],
        )

    @cached_property
    def forms(self) -> QuadraticForms:
        """Discrepancies as quadratic forms of a row; linear and quadratic parts on public binary grids.

        Scores are multiples of 2^-12, so products with them are exact in float64 in whatever order they are added:
        the assignment of a row cannot depend, not even by a last bit at a tie, on the rows that share its batch.
        """
        precision: NDArray[np.floating] | None = None
        log_det: NDArray[np.floating] = np.zeros(self.n_components)
        pulled: NDArray[np.floating] = self.means
        if self.covariance == "diagonal":
            precision, log_det = 1.0 / self.covariances, np.log(self.covariances).sum(axis=1)
            pulled = self.means * precision
        elif self.covariance == "full":
            precision, log_det = np.linalg.inv(self.covariances), np.linalg.slogdet(self.covariances)[1]
            pulled = np.einsum("kij,kj->ki", precision, self.means)
        constant = np.sum(self.means * pulled, axis=1) + log_det - self.prices
        quadratic = None if precision is None else _on_grid(precision, _PRECISION_GRID)
        return QuadraticForms(
            np.asarray(constant, dtype=np.float64), _on_grid(-2.0 * pulled.T, _WEIGHT_GRID), quadratic
        )

    def __getstate__(self) -> dict[str, object]:
        """Travels with its forms: the driver inverts matrices once, so that no two executors can disagree on them."""
        own = {name: value for name, value in self.__dict__.items() if name != "_of_classes"}
        return {**own, "forms": self.forms}

    def discrepancy(self, scores: Float32Array) -> Float64Array:
        """Squared distance or negative log-likelihood (without constants) minus price, shape (n, k)."""
        return self.forms.values(scores)

    def assign(self, scores: NDArray[np.number], classes: Int64Array, unit: float = 1.0) -> Int64Array:
        """Assigns every row to a component, shape (n,).

        Args:
          scores: Shape (n, d), fast where its columns are contiguous. PRIVATE.
          classes: Class of each row, shape (n,). PRIVATE.
          unit: What a 1 in `scores` stands for, in units of score.
        """
        if self.n_components == 1:
            return np.zeros(len(classes), dtype=np.int64)
        if np.all(self.class_of < 0):
            return self.forms.least(scores, unit)
        if np.all(self.class_of >= 0) and len(np.unique(self.class_of)) == self.n_components:
            lookup = np.zeros(int(max(self.class_of.max(), classes.max(initial=0))) + 1, dtype=np.int64)
            lookup[self.class_of] = np.arange(self.n_components)
            return lookup[classes]
        component = np.zeros(len(classes), dtype=np.int64)
        for klass in np.unique(classes).tolist():
            open_to, forms = self._open_to(klass)
            rows = np.flatnonzero(classes == klass)
            if len(open_to) == 1:
                component[rows] = open_to[0]
            elif len(open_to):
                component[rows] = open_to[forms.least(scores.T[:, rows].T, unit)]
        return component

    def component_of(self, rows: PackedRows) -> Int64Array:
        """Assigns staged rows, shape (n,). PRIVATE."""
        return self.assign(rows.packed, rows.classes, 1.0 / SCORE_GRID)

    def _open_to(self, klass: int) -> tuple[Int64Array, QuadraticForms]:
        """The components that take rows of a class, and their forms: selected once for all batches."""
        if klass not in self._of_classes:
            which = np.flatnonzero((self.class_of == klass) | (self.class_of < 0))
            self._of_classes[klass] = (which, self.forms.some(which))
        return self._of_classes[klass]

    @cached_property
    def _of_classes(self) -> dict[int, tuple[Int64Array, QuadraticForms]]:
        return {}


def _on_grid(values: NDArray[np.floating], grid: float) -> Float64Array:
    return np.asarray(np.rint(values * grid) / grid, dtype=np.float64)


def m_step(
    mixture: Mixture, first: Float64Array, second: Float64Array | None, *, norm_bound: int, noise_rows: float
) -> Mixture:
    """Publishes new parameters from noisy sums; components with few rows stay close to their parent.

    Args:
      mixture: The one rows were assigned with.
      first: Noisy `first_statistics`, shape (k * (1 + d),). RELEASED.
      second: Noisy `second_statistics`, or None to keep the covariances. RELEASED.
      norm_bound: Weight of the count in `first`.
      noise_rows: Standard deviation of the noise on a count, in rows.
    """
    k, width = mixture.means.shape
    table = first.reshape(k, 1 + width)
    sizes = table[:, 0] / norm_bound
    parent_mean = _by_parent(mixture.class_of, table[:, 1:], sizes) / SCORE_GRID
    weight = np.maximum(sizes, 0.0)[:, None]
    pull = _SHRINK_ROWS * noise_rows
    means = (table[:, 1:] / SCORE_GRID * (weight > 0.0) + pull * parent_mean) / (weight + pull + 1e-9)
    updated = replace(mixture, means=means, sizes=np.maximum(sizes, 0.0))
    if second is None:
        return updated
    return replace(updated, covariances=_covariances(updated, second, pull))


def _by_parent(class_of: Int64Array, sums: Float64Array, sizes: Float64Array) -> Float64Array:
    """Mean over all components of the same class, one row per component."""
    parents = np.zeros_like(sums)
    for klass in np.unique(class_of):
        own = class_of == klass
        parents[own] = sums[own].sum(axis=0) / max(float(sizes[own].sum()), 1.0)
    return parents


def _covariances(mixture: Mixture, second: Float64Array, pull: float) -> Float64Array:
    k, width = mixture.means.shape
    weight = np.maximum(mixture.sizes, 0.0)
    if mixture.covariance == "full":
        raw = second.reshape(k, width, width) / PRODUCT_GRID**2
        own = raw - weight[:, None, None] * mixture.means[:, :, None] * mixture.means[:, None, :]
        pooled = own + pull * np.eye(width)
        return _positive(pooled / (weight + pull)[:, None, None])
    raw = second.reshape(k, width) / PRODUCT_GRID**2
    own = raw - weight[:, None] * mixture.means**2
    diagonal = np.maximum((own + pull) / (weight + pull)[:, None], 0.0) + REG_COVAR
    return np.asarray(diagonal, dtype=np.float64)


def _positive(matrices: Float64Array) -> Float64Array:
    """Projects symmetric matrices onto those with eigenvalues of at least REG_COVAR."""
    symmetric = 0.5 * (matrices + np.swapaxes(matrices, 1, 2))
    values, vectors = np.linalg.eigh(symmetric)
    positive = np.einsum("kij,kj,klj->kil", vectors, np.maximum(values, REG_COVAR), vectors)
    return np.asarray(positive, dtype=np.float64)


def starting_mixture(
    k_by_class: dict[int, int], width: int, covariance: Covariance, rng: np.random.Generator, spread: float
) -> Mixture:
    """Makes centres from public randomness.

    Args:
      k_by_class: Components for each class; class -1 means all rows.
      width: d.
      covariance: Which of the three.
      rng: Public randomness: harmless, since no row was read.
      spread: Standard deviation of the centres, in units of score.
    """
    class_of = np.repeat(list(k_by_class), list(k_by_class.values())).astype(np.int64)
    k = len(class_of)
    shapes = {"isotropic": (k,), "diagonal": (k, width), "full": (k, width, width)}
    ones = np.ones(shapes[covariance]) if covariance != "full" else np.tile(np.eye(width), (k, 1, 1))
    return Mixture(
        means=rng.normal(0.0, spread, (k, width)),
        covariances=ones,
        sizes=np.ones(k),
        prices=np.zeros(k),
        class_of=class_of,
        covariance=covariance,
    )
