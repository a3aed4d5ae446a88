"""Columns that hold one value in all released rows: worth a word, since no model learns from them."""

from __future__ import annotations

import numpy as np

from threea_spark.model.sampler import Drawn, draw_rows

_N_ROWS = 2_000
_NAMED = 10
_ALMOST_ALL = 0.999


def constant_columns(drawn: Drawn, label: str | None, rng: np.random.Generator) -> list[str]:
    """Names the columns that hold one value, or null, in all but one in a thousand drawn rows. Post-processing.

    Args:
      drawn: The distribution that rows are drawn from. RELEASED.
      label: Name of the label's column, if any.
      rng: Public randomness.
    """
    columns = draw_rows(drawn.sampler, drawn.encoding, label, _N_ROWS, rng)
    counts = {name: np.unique(own.cells, return_counts=True)[1].max() for name, own in columns.items()}
    return [name for name, count in counts.items() if count >= _ALMOST_ALL * _N_ROWS]


def constants_in_words(names: list[str]) -> list[str]:
    """One line of advice that names the columns; none where there is none."""
    if not names:
        return []
    shown = ", ".join(repr(name) for name in names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return [
        f"one value in all released rows: {shown}{more}. Either the source varies less than the noise there, or the "
        "domain does not fit it: check values and bounds (`threea domain check`), raise epsilon, or leave them out"
    ]
