"""What models gain if more rows are drawn than the source holds: for plans and reports. Measured, not guaranteed."""

from __future__ import annotations

FEW_ROWS = 10_000
_FREE = "Drawing more rows costs no privacy (anonymize.rows, or `threea sample`). Four to ten times as many"
_BESIDE = "The label's probability (anonymize.label_probability) gave about as much or more without any further row."
_RAISED = f"raised the AUC of LightGBM by {{gain}} on most measured tables of {{size}}. {_BESIDE}"
_GAINS = {
    "draw": _RAISED,
    "draw-pairs": _RAISED,
    "draw-wide": "did not help on measured tables drawn from class means, as this one is, and hurt some of them.",
}


def more_rows_in_words(recipe: str, n_rows: float) -> str | None:
    """Says what more rows would give; None where rows are not drawn. Figures: docs/experiments.md.

    Args:
      recipe: Name of the recipe, as the receipt states it.
      n_rows: As many rows as the source holds, public or DP.
    """
    if recipe not in _GAINS:
        return None
    few = n_rows < FEW_ROWS
    gain = ".01 to .05 (more where a class is rare)" if few else ".003 to .014"
    size = f"{'fewer than' if few else 'at least'} {FEW_ROWS:,} rows"
    return f"{_FREE} {_GAINS[recipe].format(gain=gain, size=size)}"
