"""What the queries of a stage measured, in words, from the names under which the meter answered them."""

from __future__ import annotations

import re
from collections.abc import Iterable

NOTHING_ASKED = "nothing was asked of the rows"
_NUMBERED = re.compile(r"-\d+$")
_WORDS = {
    "histograms": "row count and column histograms",
    "classes": "class counts",
    "granularity": "steps between values",
    "spikes": "frequent single values",
    "finer": "finer histograms of numbers",
    "bounds": "bounds found in the data",
    "values-of": "category names found in the data",
    "functions": "pairs of values under functional rules",
    "misfits": "shares of rows that the domain does not fit",
    "first": "sizes and means of clusters",
    "second": "spreads of clusters",
    "sizes": "sizes of clusters",
    "marginals": "column histograms of every component",
    "pairs": "tables of all pairs of columns",
    "tables": "finer tables of chosen pairs",
    "norms": "lengths of rows",
    "class-sums": "column means of every class",
    "correlations": "correlations",
    "points": "gradients that move the inducing points",
    "labels": "gradients of the label function",
    "residuals": "errors of the predicted numbers",
    "mixed-rows": "mixed rows",
    "rows": "rows themselves",
}
"""By the name of a query, without the number or the column behind it."""


def words_of(name: str) -> str | None:
    """Describes what a query measures; None for an unknown name."""
    stem = _NUMBERED.sub("", name)
    return next((words for known, words in _WORDS.items() if stem == known or stem.startswith(f"{known}-")), None)


def asked_in_words(names: Iterable[str]) -> str:
    """Describes what the queries of a stage measured, each kind once, in the order in which they ran.

    Args:
      names: Names of the queries; one that has no words stands for itself.
    """
    return ", ".join(dict.fromkeys(words_of(name) or name for name in names)) or NOTHING_ASKED
