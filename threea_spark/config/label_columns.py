"""The columns that `anonymize.label_probability` adds to the released table: their names, which the domain decides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from threea_spark.config.domain import Domain

PROBABILITY_TYPE = "double"
"""Spark's simple type string of the added columns."""


def names_for_label(label: str, classes: Sequence[str]) -> tuple[str, ...]:
    """Names the columns that say what the model knows of a row's label.

    Args:
      label: The label's name.
      classes: Its categories, in order; empty where it is a number.

    Returns:
      For two classes one column, the probability of the last; for more (or only one) a column for each class; for a
      number the expected value.
    """
    if not classes:
        return (f"{label}_expected",)
    if len(classes) == 2:
        return (f"{label}_probability",)
    return tuple(f"{label}_probability_{name}" for name in classes)


def added_names(domain: Domain) -> list[str]:
    """Names the columns that are added for all labels, label after label."""
    return [name for label in domain.labels for name in names_for_label(label, domain.classes_of(label))]


def names_taken(added: Iterable[str], others: Iterable[str]) -> list[str]:
    """Lists the added columns whose names others have, or have twice, compared as Spark does: whatever their case."""
    taken = {name.lower() for name in others}
    found = []
    for name in added:
        if name.lower() in taken:
            found.append(name)
        taken.add(name.lower())
    return found
