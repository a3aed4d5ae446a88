"""What the model knows of each drawn row's label, as columns: probabilities of classes, or the expected number.

A drawn label is one outcome of its probability. A model that is trained on the probability itself need not average that
chance away, which takes many rows. Post-processing, like the draw.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri, softmax

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.config.label_columns import names_for_label
from threea_spark.encode.cells import Decoded, Numbers
from threea_spark.encode.codec import Encoding
from threea_spark.model.narrowing import component_posterior
from threea_spark.model.sampler import RowSampler, decode_rows

_TINY = 1e-12


def draw_labelled_rows(
    sampler: RowSampler, encoding: Encoding, label: str | None, n_rows: int, rng: np.random.Generator
) -> dict[str, Decoded]:
    """Draws the rows that `draw_rows` does, with the columns that `label_columns` adds.

    Args:
      sampler, encoding, label: The model's parts.
      n_rows: How many.
      rng: Public randomness.
    """
    cells, classes = sampler.draw_cells(encoding, n_rows, rng)
    columns = decode_rows(encoding, label, cells, classes, rng)
    return {**columns, **label_columns(sampler, encoding, label, cells)}


def label_columns(sampler: RowSampler, encoding: Encoding, label: str | None, cells: Int64Array) -> dict[str, Decoded]:
    """The label's probabilities, or its expected value, given each row's other columns.

    Where the label may be null, probabilities leave its share to null, and the expected value is that of a label that
    is not null.

    Args:
      sampler, encoding, label: The model's parts.
      cells: Drawn rows, shape (n, n_features), counted through all features.

    Returns:
      By name, as `names_for_label` gives them.
    """
    codec = encoding.label
    if codec is None or label is None:
        raise ValueError("no probability of a label where there is none")  # the configuration refuses it
    chances = class_probabilities(sampler, encoding, cells)
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
    component: their probabilities, and the density of the copula that binds them, at the middle of each cell in rank.
    Source: Gaussian copula, Nelsen 2006, An Introduction to Copulas, section 2.9.

    Args:
      sampler, encoding: The model's parts; without a label function components have classes, or their probabilities.
      cells: Shape (n, n_features), counted through all features.
    """
    if sampler.labels is not None:
        return sampler.labels.probabilities(cells)
    if sampler.class_probabilities is not None:
        return np.asarray(component_posterior(sampler, cells) @ sampler.class_probabilities, dtype=np.float64)
    precision = np.linalg.inv(sampler.factor @ sampler.factor.T) - np.eye(len(sampler.factor))
    density = np.empty((len(cells), len(sampler.weights)))
    for component, weight in enumerate(sampler.weights):
        chances, scores = _cells_of_component(sampler, encoding, component)
        own = scores[cells]
        density[:, component] = np.log(chances[cells]).sum(axis=1) + np.log(max(weight, _TINY))
        density[:, component] -= 0.5 * np.einsum("ij,ij->i", own @ precision, own)
    belongs = np.asarray(sampler.class_of[:, None] == np.arange(encoding.n_classes), dtype=np.float64)
    return np.asarray(softmax(density, axis=1) @ belongs, dtype=np.float64)


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
