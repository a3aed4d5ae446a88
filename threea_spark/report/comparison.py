"""Compares real rows with released ones: by column, by pair, and as two point clouds. INTERNAL: it reads real rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from threea_spark.arrays import Float64Array
from threea_spark.config.domain import Domain
from threea_spark.evaluation.any_label import TargetFigure, any_label
from threea_spark.evaluation.comparison import ModelFigure, compare_models
from threea_spark.evaluation.evaluate import JudgedRows
from threea_spark.evaluation.features import LinearFeatures
from threea_spark.evaluation.nearest import NearestFigures, nearest_figures
from threea_spark.evaluation.quality import QualityScore, quality_score
from threea_spark.evaluation.validity import Validity, validity_of
from threea_spark.report.associations import associations
from threea_spark.report.bins import OTHER, Bins, Values, bins_of
from threea_spark.report.fidelity import Fidelity, fidelity_of
from threea_spark.report.spread import Spread, spread_of
from threea_spark.report.summary import pair_summary, values_of

if TYPE_CHECKING:
    import pandas as pd


CLOUD_ROWS = 1_500
_FIT_ROWS = 10_000


@dataclass(frozen=True)
class ColumnComparison:
    """One column in released and in real rows. INTERNAL.

    Attributes:
      name, bins: The column's name and its groups, computed from both tables together.
      released, real: Each group's share of the values that are not null, shape (k,).
      released_nulls, real_nulls: Share of the rows that are null.
      distance: Total variation between the two, with null as one more group: 0 is equal, 1 is disjoint.
      spreads: What the values are, in released and in real rows.
    """

    name: str
    bins: Bins
    released: Float64Array
    real: Float64Array
    released_nulls: float
    real_nulls: float
    distance: float
    spreads: tuple[Spread, Spread]


@dataclass(frozen=True)
class Clouds:
    """Two samples of rows, projected onto the released rows' first two principal components. INTERNAL.

    Attributes:
      released, real: Points, shape (n, 2).
      explained: Share of the released rows' variance that each axis shows, shape (2,).
    """

    released: Float64Array
    real: Float64Array
    explained: Float64Array


@dataclass(frozen=True)
class Comparison:
    """Everything that the internal report shows. INTERNAL.

    Attributes:
      n_released, n_real, n_held_out: Number of rows on the driver, exact.
      columns: Each column compared, in the order of the released table.
      pair_names, pair_differences: Columns, and differences of their associations, released minus real, shape (k, k).
      chosen_by: How the columns of the pairs were chosen, in words.
      clouds: Both tables in two dimensions.
      models: Models trained on each, tested on held-out rows; empty if there is no label.
      fidelity: Scores of columns and pairs.
      targets: Every column as the label, as far as it is measured.
      nearest: Distances to the nearest real rows; None without held-out rows.
      validity: Whether released cells keep the domain.
      quality: SDMetrics' score; None where it is not installed.
    """

    n_released: int
    n_real: int
    n_held_out: int
    columns: tuple[ColumnComparison, ...]
    pair_names: tuple[str, ...]
    pair_differences: Float64Array
    chosen_by: str
    clouds: Clouds
    models: tuple[ModelFigure, ...]
    fidelity: Fidelity
    targets: tuple[TargetFigure, ...]
    nearest: NearestFigures | None
    validity: Validity
    quality: QualityScore | None


def compare(rows: JudgedRows, domain: Domain) -> Comparison:
    """Compares released rows with the real rows they replace, and models trained on either.

    Args:
      rows: Released, real and held-out rows. PRIVATE.
      domain: Defines how columns are read.
    """
    released = values_of(rows.released, domain)
    real, held_out = (
        _with_other(values_of(own[rows.released.columns], domain), released, domain)
        for own in (rows.real, rows.held_out)
    )
    pairs = pair_summary(released, domain.label)
    same = [values for values in real if values.name in pairs.names]
    names = [values.name for values in released]
    return Comparison(
        n_released=len(rows.released),
        n_real=len(rows.real),
        n_held_out=len(rows.held_out),
        columns=tuple(compare_columns(mine, theirs) for mine, theirs in zip(released, real, strict=True)),
        pair_names=pairs.names,
        pair_differences=pairs.strengths - associations(same),
        chosen_by=pairs.chosen_by,
        clouds=project(rows.released, rows.real, domain),
        models=tuple(compare_models(rows, domain.for_label())),
        fidelity=fidelity_of(released, real, held_out, pairs.names),
        targets=tuple(any_label(rows, domain, pairs.names)),
        nearest=nearest_figures(rows, domain),
        validity=validity_of(rows.released, domain, names),
        quality=quality_score(rows.released, rows.real, domain, pairs.names),
    )


def _with_other(columns: list[Values], released: Sequence[Values], domain: Domain) -> list[Values]:
    """Reads a value of an open column that was not released as `other`, which stands for it among released rows."""
    found = []
    for values, own in zip(columns, released, strict=True):
        if domain.columns[values.name].is_open:
            kept = {OTHER, *own.cells[own.known].tolist()}
            cells = np.array([cell if cell is None or cell in kept else OTHER for cell in values.cells], dtype=object)
            found.append(Values(values.name, values.kind, cells))
        else:
            found.append(values)
    return found


def compare_columns(released: Values, real: Values) -> ColumnComparison:
    """Compares one column of two tables."""
    bins = bins_of([released, real])
    shares = bins.shares(released), bins.shares(real)
    nulls = released.null_share, real.null_share
    apart = np.abs((1.0 - nulls[0]) * shares[0] - (1.0 - nulls[1]) * shares[1]).sum() + abs(nulls[0] - nulls[1])
    return ColumnComparison(
        released.name, bins, *shares, *nulls, float(apart) / 2.0, (spread_of(released), spread_of(real))
    )


def project(released: pd.DataFrame, real: pd.DataFrame, domain: Domain) -> Clouds:
    """Projects both tables onto the first two principal components of the released rows' features.

    Args:
      released: RELEASED rows; scale, centre and axes come from them alone.
      real: Real rows. PRIVATE.
      domain: Defines how columns are read; its label is not used.
    """
    features = LinearFeatures.fit(released, domain)
    x = features.matrix(released[:_FIT_ROWS])
    centre = x.mean(axis=0) if len(x) else np.zeros(x.shape[1])
    variances, axes = np.linalg.eigh((x - centre).T @ (x - centre) / max(len(x), 1))
    best = np.zeros((x.shape[1], 2))
    n_axes = min(2, x.shape[1])
    best[:, :n_axes] = axes[:, ::-1][:, :n_axes]
    top = np.zeros(2)
    top[:n_axes] = np.maximum(variances[::-1][:n_axes], 0.0)
    return Clouds(
        released=(features.matrix(released[:CLOUD_ROWS]) - centre) @ best,
        real=(features.matrix(real[:CLOUD_ROWS]) - centre) @ best,
        explained=top / max(float(np.sum(np.maximum(variances, 0.0))), 1e-12),
    )
