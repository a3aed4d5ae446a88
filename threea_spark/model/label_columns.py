"""What the model knows of each drawn row's labels, as columns: probabilities of classes, or the expected number.

A drawn label is one outcome of its probability. A model that is trained on the probability itself need not average that
chance away, which takes many rows. Post-processing, like the draw.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import logsumexp, ndtri, softmax

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.config.label_columns import names_for_label
from threea_spark.encode.cells import Decoded, Numbers
from threea_spark.encode.codec import Encoding, Feature
from threea_spark.model.narrowing import component_log_densities
from threea_spark.model.sampler import RowSampler, decode_rows

_TINY = 1e-12


def draw_labelled_rows(
    sampler: RowSampler,
    encoding: Encoding,
    label: str | None,
    n_rows: int,
    rng: np.random.Generator,
    further_labels: Sequence[str] = (),
) -> dict[str, Decoded]:
    """Draws the rows that `draw_rows` does, with the columns that `label_columns` adds.

    Args:
      sampler, encoding, label: The model's parts.
      n_rows: How many.
      rng: Public randomness.
      further_labels: Labels beside the first.
    """
    cells, classes = sampler.draw_cells(encoding, n_rows, rng)
    columns = decode_rows(encoding, label, cells, classes, rng)
    if label is None or encoding.label is None:
        raise ValueError("no probability of a label where there is none")  # the configuration refuses it
    drawn = sampler.drawn_label(label)
    chances = class_probabilities(sampler, encoding, cells) if drawn is None else drawn.probabilities(cells, classes)
    columns |= label_columns(label, encoding.label, chances)
    for name in further_labels:
        (codec,) = encoding.column(name).features
        drawn = sampler.drawn_label(name)
        if drawn is None:
            chances = cell_probabilities(sampler, encoding, cells, encoding.place_of(name))
        else:
            chances = drawn.probabilities(cells, classes)
        columns |= label_columns(name, codec, chances)
    return columns


def label_columns(label: str, codec: Feature, chances: Float64Array) -> dict[str, Decoded]:
    """A label's probabilities, or its expected value.

    Where the label may be null, probabilities leave its share to null, and the expected value is that of a label that
    is not null.

    Args:
      label: Its name.
      codec: Its codec.
      chances: Probabilities of its cells, shape (n, n_cells).

    Returns:
      By name, as `names_for_label` gives them.
    """
    if not codec.is_category:
        (name,) = names_for_label(label, ())
        known = chances[:, : codec.n_value_cells]
        return {name: Numbers(known @ codec.cell_means / np.maximum(known.sum(axis=1), _TINY))}
    names = names_for_label(label, codec.values)
    own = chances[:, codec.cells_of_values(np.arange(len(codec.values)))][:, -len(names) :]
    return {name: Numbers(own[:, place]) for place, name in enumerate(names)}


def class_probabilities(sampler: RowSampler, encoding: Encoding, cells: Int64Array) -> Float64Array:
    """Probability of each class given a row's cells, shape (n, n_classes): the label function's, or by Bayes' rule.

    Without a label function a row has its component's class, which follows from the density of its cells in each
    component.

    Args:
      sampler, encoding: The model's parts; without a label function components have classes, or their probabilities.
      cells: Shape (n, n_features), counted through all features.
    """
    if sampler.labels is not None:
        return sampler.labels.probabilities(cells)
    posterior = softmax(_log_densities(sampler, encoding, cells), axis=1)
    if sampler.class_probabilities is not None:
        return np.asarray(posterior @ sampler.class_probabilities, dtype=np.float64)
    belongs = np.asarray(sampler.class_of[:, None] == np.arange(encoding.n_classes), dtype=np.float64)
    return np.asarray(posterior @ belongs, dtype=np.float64)


def cell_probabilities(sampler: RowSampler, encoding: Encoding, cells: Int64Array, feature: int) -> Float64Array:
    """Probability of each cell of a label without a function, given a row's other cells, by Bayes' rule.

    Args:
      sampler, encoding: The model's parts.
      cells: As in `class_probabilities`.
      feature: The label's.

    Returns:
      Shape (n, cells of the feature).
    """
    own, changed = encoding.cell_layout.of(feature), cells.copy()
    logs = np.empty((len(cells), own.stop - own.start))
    for place in range(own.stop - own.start):
        changed[:, feature] = own.start + place
        logs[:, place] = logsumexp(_log_densities(sampler, encoding, changed), axis=1)
    return np.asarray(softmax(logs, axis=1), dtype=np.float64)


def _log_densities(sampler: RowSampler, encoding: Encoding, cells: Int64Array) -> Float64Array:
    """Log of each component's weight and density at each row's cells, shape (n, k).

    Labels that are drawn anew are left out, since no component drew them. The density is the product of the cells'
    probabilities, and that of the copula that binds them, at the middle of each cell in rank. Source: Gaussian copula,
    Nelsen 2006, An Introduction to Copulas, section 2.9.
    """
    redrawn = {label.feature for label in sampler.sequence or ()}
    columns = [column for column in range(cells.shape[1]) if column not in redrawn]
    if sampler.class_probabilities is not None:  # columns are independent inside a component
        return component_log_densities(sampler, cells, columns)
    correlations = (sampler.factor @ sampler.factor.T)[np.ix_(columns, columns)]
    precision = np.linalg.inv(correlations) - np.eye(len(columns))
    density = np.empty((len(cells), len(sampler.weights)))
    for component, weight in enumerate(sampler.weights):
        chances, scores = _cells_of_component(sampler, encoding, component)
        own = scores[cells[:, columns]]
        density[:, component] = np.log(chances[cells[:, columns]]).sum(axis=1) + np.log(max(weight, _TINY))
        density[:, component] -= 0.5 * np.einsum("ij,ij->i", own @ precision, own)
    return density


def _cells_of_component(sampler: RowSampler, encoding: Encoding, component: int) -> tuple[Float64Array, Float64Array]:
    """Probability and middle score of each cell in one component, both of shape (n_cells,)."""
    chances, scores = np.full(encoding.n_cells, _TINY), np.zeros(encoding.n_cells)
    for column, order in enumerate(sampler.orders):
        own = encoding.cell_layout.of(column)
        own_chances = np.maximum(sampler.laws[component, own][order], _TINY)
        own_chances = own_chances / own_chances.sum()
        chances[own.start + order] = own_chances
        scores[own.start + order] = ndtri(np.cumsum(own_chances) - 0.5 * own_chances)
    return chances, scores
