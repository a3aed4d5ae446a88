"""How large a delta may be: at one in as many people as there are, one person's values may leave as they are."""

from __future__ import annotations

from threea_spark.errors import PrivacyError

MOST = 0.01
"""Above this a delta is large, however few people there are."""

_FIX = "lower privacy.delta, or write `allow_large_delta: true` beside it if whoever is responsible agrees"


def one_in_units(n_rows: float, max_rows: int) -> float:
    """One in as many units as the rows that are read belong to at least; infinite where there may be no row.

    Args:
      n_rows: Rows that are read, declared, assumed or DP.
      max_rows: Rows of a unit that are read at most.
    """
    return max_rows / n_rows if n_rows > 0.0 else float("inf")


def declared_problem(delta: float, max_rows: int, declared_rows: int | None) -> str | None:
    """What is wrong with a delta by public numbers alone, as `field: problem; fix`, or None.

    Args:
      delta: Of the claim.
      max_rows: Rows of a unit that are read at most.
      declared_rows: `source.rows`, if given.
    """
    if delta > MOST:
        return (
            f"privacy.delta: {delta:g} is above {MOST:g}, a person in {1.0 / delta:.3g} may be released as is; {_FIX}"
        )
    if declared_rows is not None and delta > (least := one_in_units(declared_rows, max_rows)):
        return (
            f"privacy.delta: {delta:g} must lie below {least:.3g}, one in as many units as source.rows says the table "
            f"has; {_FIX}"
        )
    return None


def require_small(delta: float, max_rows: int, n_rows: float) -> None:
    """Refuses a delta that allows to release one unit of those that were counted as it is.

    Args:
      delta: Of the claim.
      max_rows: Rows of a unit that are read at most.
      n_rows: DP number of rows that were read.

    Raises:
      PrivacyError: naming the field, the rule and the fix; not the number, which is no DP one in conditional mode.
    """
    if delta > one_in_units(n_rows, max_rows):
        raise PrivacyError(
            f"privacy.delta: {delta:g} must lie below one in as many units as the table has (rows that are read, by "
            f"{max_rows} a unit); {_FIX}. Nothing was written"
        )


def advice(delta: float, max_rows: int, n_rows: float) -> tuple[str, ...]:
    """What a receipt says of a large delta that was allowed; nothing of a small one."""
    if delta > one_in_units(n_rows, max_rows):
        why = "larger than one in as many people as were read"
    elif delta > MOST:
        why = f"above {MOST:g}"
    else:
        return ()
    return (f"privacy.delta: {delta:g} is {why}: real values of single people may be among the released ones",)


def outlook_words(delta: float, max_rows: int, n_rows: int, *, is_allowed: bool) -> tuple[str, ...]:
    """What a plan says of a delta: one in how many it is, and a warning where that is too many for the assumed rows.

    Args:
      delta: Of the claim.
      max_rows: Rows of a unit that are read at most.
      n_rows: Assumed.
      is_allowed: Whether the configuration allows a large one.
    """
    lines = [f"delta {delta:g} is one in {1.0 / delta:,.0f}"]
    least = one_in_units(n_rows, max_rows)
    if delta > least:
        then = "real values of single people may be released" if is_allowed else "a release of so many would be refused"
        lines.append(
            f"warning: privacy.delta should lie below {least:.3g}, one in as many units as {n_rows:,} rows hold: {then}"
        )
    return tuple(lines)
