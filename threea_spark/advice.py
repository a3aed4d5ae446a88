"""Signs that a release lost more than it had to, from public and DP numbers only, each with advice."""

from __future__ import annotations

import math

import numpy as np

from threea_spark.anonymize.mix import Mixer
from threea_spark.approximate.class_means import ClassMeans
from threea_spark.approximate.components import ComponentModel
from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode.codec import Encoding
from threea_spark.encode.feature import SCORE_GRID
from threea_spark.model.gaussian_classes import Discriminant
from threea_spark.model.labels import LabelFunction
from threea_spark.privacy.gaussian import mixing_mu
from threea_spark.privacy.meter import NoisySum
from threea_spark.rules import Resolved

CONDITIONAL = "conditional accounting: the partition is not covered; do not publish without weighing that"
_FEW_ROWS_STDDEVS = 10.0
_SMALL_CLASS_STDDEVS = 3.0
_NAMED_CLASSES = 5
_LEAST_EXPLAINED = 0.005  # of the classes' variance: an AUC of about .55 in a balanced table
_OVERFIT = 4.0  # variance of the kernel's logits at its own points, over that at drawn rows
_FELT = 0.25  # below this variance the kernel's part does not matter
_CLEAR = 3.0  # standard deviations


def paper_formula(mixer: Mixer, mechanism: NoisySum) -> str:
    """States the paper's price of the mixing step beside what was booked; the two are one formula."""
    noise = mechanism.stddev / SCORE_GRID / mixer.mix_size
    mu = mixing_mu(row_norm=mixer.clip_norm, mix_size=mixer.mix_size, noise_stddev=noise)
    return (
        f"conditional: mu = sqrt(p) * norm / (mix_size * sigma) = {mu:.4g} with p = 1 (clusters partition the rows), "
        f"norm {mixer.clip_norm:.3g}, mix_size {mixer.mix_size}, sigma {noise:.3g}"
    )


def diagnose_components(encoding: Encoding, model: ComponentModel, n_rows: float) -> list[str]:
    """Tells whether counts stand out from their noise.

    Args:
      encoding, model: Published by Encode and Approximate.
      n_rows: DP number of rows.
    """
    found, stddev = [], max(model.marginals.stddev, 1e-9)
    if n_rows < _FEW_ROWS_STDDEVS * stddev:
        found.append(f"about {n_rows:.0f} rows against noise of {stddev:.0f}: raise epsilon, or release fewer columns")
    sizes = model.class_weights(encoding.n_classes) * model.marginals.sizes.sum()
    found += _small_classes(encoding, sizes, stddev)
    if encoding.n_cells and (faint := float(np.mean(model.marginals.counts < stddev))) > 0.5:
        found.append(
            f"approximate: {faint:.0%} of the cells hold less than their noise: use fewer components, fewer cells "
            "(encode.cells), or merge rare categories"
        )
    return found


def diagnose_class_means(encoding: Encoding, model: Discriminant, first: ClassMeans) -> list[str]:
    """Tells what a second look could not see.

    Args:
      encoding, model, first: Published so far; `first` is the look at all columns.
    """
    points = sum(not c and not codec.is_category for c, codec in zip(model.chosen, encoding.features, strict=True))
    found = [
        f"adapt: classes are told apart by {int(model.chosen.sum())} of {len(model.chosen)} columns; {points} other "
        "numeric columns are released as their mean. Raise epsilon, or leave out columns, to keep more"
    ]
    clear = int(np.sum(first.relevance(encoding.offsets) > _CLEAR))
    if clear < min(int(model.chosen.sum()), len(model.chosen) // 20):
        found.append(
            f"approximate: only {clear} columns differ between classes beyond noise: raise epsilon, or merge classes"
        )
    return found + _small_classes(encoding, first.sizes, first.sizes_stddev)


def _small_classes(encoding: Encoding, sizes: Float64Array, stddev: float) -> list[str]:
    small = np.flatnonzero(sizes < _SMALL_CLASS_STDDEVS * stddev)
    if not len(small) or encoding.n_classes < 2:
        return []
    names = f"{len(small)} of {encoding.n_classes} classes"
    values = [] if encoding.label is None else encoding.label.values_in(small)
    if values and len(small) <= _NAMED_CLASSES:
        names = f"{names} ({', '.join(values)})"
    return [f"{names} hardly stand out from noise and may not survive: merge rare classes, or raise epsilon"]


def diagnose_labels(labels: LabelFunction, cells: Int64Array, class_weights: Float64Array) -> list[str]:
    """Tells whether the label function says anything, and whether its kernel only knows its own points.

    Args:
      labels: Learned. RELEASED.
      cells: Drawn rows, shape (n, n_features). RELEASED.
      class_weights: Share of each class.
    """
    found = []
    spread = float(labels.probabilities(cells).var(axis=0).sum())
    if spread < _LEAST_EXPLAINED * float(np.sum(class_weights * (1.0 - class_weights))):
        found.append(
            "adapt: the label function is nearly constant: raise epsilon or Adapt's share, or the columns do not tell "
            "the label"
        )
    if len(labels.x_support):
        own = float(labels.kernel_logits(labels.x_support).var(axis=0).sum())
        drawn = float(labels.kernel_logits(labels.kernel_input(cells)).var(axis=0).sum())
        if own > _OVERFIT * drawn and own > _FELT:
            found.append("adapt: the kernel knows its inducing points better than other rows: raise adapt.support_size")
    return found


def diagnose_mixing(mixer: Mixer, resolved: Resolved, n_rows: float, noise_stddev: float) -> list[str]:
    """Tells whether clusters fit the budget, and whether noise drowns a mixed row.

    Args:
      mixer, resolved: What is about to run.
      n_rows: DP number of rows.
      noise_stddev: Of the noise on one sum, in grid units.
    """
    found, kept = [], mixer.mixture.n_components
    if n_rows / max(kept, 1) < resolved.min_cluster_size:
        found.append("approximate: more clusters than the minimum size allows: lower approximate.components")
    if resolved.components_per_class > 2 and kept * 4 < resolved.components_per_class:
        found.append(
            f"approximate: {kept} clusters were large enough, of {resolved.components_per_class} a class asked: lower "
            "approximate.components or min_cluster_size, or raise epsilon"
        )
    noise = noise_stddev / SCORE_GRID / mixer.mix_size
    if noise > 1.0:
        need = math.ceil(mixer.mix_size * noise)
        found.append(
            f"anonymize: noise on a mixed row exceeds a deviation of the data: raise mix_size to {need} or more"
        )
    return found
