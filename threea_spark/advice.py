"""Finds signs that a release lost more than necessary, from public and DP numbers only, and gives advice."""

from __future__ import annotations

import math

import numpy as np

from threea_spark.anonymize.mix import Mixer
from threea_spark.approximate.class_means import ClassMeans
from threea_spark.approximate.components import ComponentModel
from threea_spark.approximate.joint import JointModel
from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode.codec import Encoding
from threea_spark.encode.feature import SCORE_GRID
from threea_spark.encode.fit import EncodedTable
from threea_spark.model.gaussian_classes import Discriminant
from threea_spark.model.labels import LabelFunction, NumberLabels
from threea_spark.privacy.gaussian import mixing_mu
from threea_spark.privacy.mechanism import NoisySum
from threea_spark.recipes.recipe import Clusters, LabelFunctions

CONDITIONAL = "conditional accounting: the partition is not covered; do not publish before weighing this"
_FEW_ROWS_STDDEVS = 10.0
_SMALL_CLASS_STDDEVS = 3.0
_NAMED_CLASSES = 5
_MIN_EXPLAINED = 0.005  # share of the classes' variance; an AUC of about .55 in a balanced table
_OVERFIT = 4.0  # variance of the kernel's logits at its own points, over that at drawn rows
_MIN_KERNEL_VARIANCE = 0.25  # below it the kernel's part does not matter
_CLEAR_STDDEVS = 3.0


def paper_formula(mixer: Mixer, mechanism: NoisySum) -> str:
    """States the paper's price of the mixing step, which equals what was booked."""
    noise = mechanism.stddev / SCORE_GRID / mixer.mix_size
    mu = mixing_mu(row_norm=mixer.clip_norm, mix_size=mixer.mix_size, noise_stddev=noise)
    return (
        f"conditional: mu = sqrt(p) * norm / (mix_size * sigma) = {mu:.4g} with p = 1 (clusters partition the rows), "
        f"norm {mixer.clip_norm:.3g}, mix_size {mixer.mix_size}, sigma {noise:.3g}"
    )


def diagnose_components(encoding: Encoding, model: ComponentModel, n_rows: float) -> list[str]:
    """Checks whether counts are distinguishable from their noise.

    Args:
      encoding, model: The released results of Encode and Approximate.
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


def diagnose_functions(encoded: EncodedTable) -> list[str]:
    """Lists functional rules whose pairs noise hides.

    Args:
      encoded: The released results of Encode.
    """
    return [
        f"rules: {unclear} of {n_values} values that decide {name!r} have no pair that stands out from noise, and may "
        "be given a wrong value: give a public `mapping`, or raise epsilon"
        for name, (unclear, n_values) in encoded.unclear.items()
        if unclear
    ]


def diagnose_joint(encoding: Encoding, model: JointModel) -> list[str]:
    """Lists what tables of pairs could not resolve.

    Args:
      encoding, model: The released results of Encode and Approximate.
    """
    return _small_classes(encoding, model.class_weights * model.n_rows, model.stddev)


def diagnose_class_means(encoding: Encoding, model: Discriminant, first: ClassMeans) -> list[str]:
    """Lists what a second look could not resolve.

    Args:
      encoding, model, first: Released results so far; `first` is the look at all columns.
    """
    points = sum(not c and not codec.is_category for c, codec in zip(model.chosen, encoding.features, strict=True))
    found = [
        f"adapt: {int(model.chosen.sum())} of {len(model.chosen)} columns tell the classes apart; {points} other "
        "numeric columns are released as their mean. To keep more, raise epsilon or leave out columns"
    ]
    clear = int(np.sum(first.relevance(encoding.offsets) > _CLEAR_STDDEVS))
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
    return [f"{names} can hardly be told from noise and may not survive: merge rare classes, or raise epsilon"]


def diagnose_labels(labels: LabelFunction | NumberLabels, cells: Int64Array) -> list[str]:
    """Checks whether the label function is informative, and whether its kernel overfits its own points.

    Args:
      labels: The learned label function. RELEASED.
      cells: Drawn rows, shape (n, n_features). RELEASED.
    """
    found, chances = [], labels.probabilities(cells)
    weights, function = chances.mean(axis=0), labels.function
    if float(chances.var(axis=0).sum()) < _MIN_EXPLAINED * float(np.sum(weights * (1.0 - weights))):
        found.append(
            "adapt: the label function is nearly constant: raise epsilon or Adapt's share, unless the columns do not "
            "predict the label"
        )
    if len(function.x_support):
        own = float(function.kernel_logits(function.x_support).var(axis=0).sum())
        drawn = float(function.kernel_logits(function.kernel_input(cells)).var(axis=0).sum())
        if own > _OVERFIT * drawn and own > _MIN_KERNEL_VARIANCE:
            found.append("adapt: the kernel fits its inducing points better than other rows: raise adapt.support_size")
    return found


def labels_kept(functions: LabelFunctions) -> list[str]:
    """Says which of several labels have no function of their own."""
    if not functions.are_several or not functions.kept:
        return []
    names = ", ".join(functions.kept)
    return [
        f"adapt: no label function for {names}: drawn as Approximate knows it. Where rows are too few for an equal "
        "part of adapt's budget, raise epsilon, or name fewer labels"
    ]


def diagnose_mixing(mixer: Mixer, clusters: Clusters, n_rows: float, noise_stddev: float) -> list[str]:
    """Checks whether the clusters fit the budget, and whether noise drowns a mixed row.

    Args:
      mixer, clusters: The mixer, and the settings of the clusters that it was made from.
      n_rows: DP number of rows.
      noise_stddev: Standard deviation of the noise on one sum, in grid units.
    """
    found, kept = [], mixer.mixture.n_components
    if n_rows / max(kept, 1) < clusters.min_size:
        found.append("approximate: more clusters than the minimum size allows: lower approximate.components")
    if clusters.n_components > 2 and kept * 4 < clusters.n_components:
        found.append(
            f"approximate: only {kept} clusters were large enough, of {clusters.n_components} requested per class: "
            "lower approximate.components or min_cluster_size, or raise epsilon"
        )
    noise = noise_stddev / SCORE_GRID / mixer.mix_size
    if noise > 1.0:
        need = math.ceil(mixer.mix_size * noise)
        found.append(
            f"anonymize: noise on a mixed row exceeds the data's standard deviation: raise mix_size to {need} or more"
        )
    return found
