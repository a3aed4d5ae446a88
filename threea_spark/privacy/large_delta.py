"""How large delta may be: at one over the number of people, one person's values may be released as they are."""

from __future__ import annotations

import math

from threea_spark.errors import PrivacyError

MAX_DELTA = 0.01
"""A delta above this is large, however few people the table holds."""

_FIX = "lower privacy.delta, or add `allow_large_delta: true` beside it if the person responsible agrees"


PROPOSED_DELTA = 1e-6
"""What is proposed where nothing is known of the number of people: small enough for a million of them."""


def proposed_delta(rows: int | None) -> float:
    """Proposes a delta: 1e-6, or a tenth of one over the public number of rows, cut to one digit, if that is less."""
    if rows is None or 0.1 / rows >= PROPOSED_DELTA:
        return PROPOSED_DELTA
    digit = 10.0 ** math.floor(math.log10(0.1 / rows))
    return math.floor(0.1 / rows / digit) * digit


def one_in_units(n_rows: float, max_rows: int) -> float:
    """Returns one over the minimum number of units that the rows can belong to; infinite if there may be no rows.

    Args:
      n_rows: Number of rows that are read: declared, assumed or DP.
      max_rows: Maximum number of rows read per unit.
    """
    return max_rows / n_rows if n_rows > 0.0 else float("inf")


def declared_problem(delta: float, max_rows: int, declared_rows: int | None) -> str | None:
    """Describes what is wrong with a delta by public numbers alone, as `field: problem; fix`; None if nothing is.

    Args:
      delta: The claimed delta.
      max_rows: Maximum number of rows read per unit.
      declared_rows: `source.rows`, if given.
    """
    if delta > MAX_DELTA:
        return (
            f"privacy.delta: {delta:g} is above {MAX_DELTA:g}: one person in {1.0 / delta:.3g} may be released as is; "
            f"{_FIX}"
        )
    if declared_rows is not None and delta > (limit := one_in_units(declared_rows, max_rows)):
        return (
            f"privacy.delta: {delta:g} must be below {limit:.3g}, one over the number of units that the table has "
            f"according to source.rows; {_FIX}"
        )
    return None


def require_small(delta: float, max_rows: int, n_rows: float) -> None:
    """Refuses a delta that would allow one of the counted units to be released as it is.

    Args:
      delta: The claimed delta.
      max_rows: Maximum number of rows read per unit.
      n_rows: DP number of rows that were read.

    Raises:
      PrivacyError: naming the field, the rule and the fix, but not the number, which is not DP in conditional mode.
    """
    if delta > one_in_units(n_rows, max_rows):
        raise PrivacyError(
            f"privacy.delta: {delta:g} must be below one over the number of units in the table (rows read, divided by "
            f"{max_rows} per unit); {_FIX}. Nothing was written"
        )


def advice(delta: float, max_rows: int, n_rows: float) -> tuple[str, ...]:
    """Returns the receipt's warning about a large delta that was allowed; empty for a small one."""
    if delta > one_in_units(n_rows, max_rows):
        why = "larger than one over the number of people whose rows were read"
    elif delta > MAX_DELTA:
        why = f"above {MAX_DELTA:g}"
    else:
        return ()
    return (f"privacy.delta: {delta:g} is {why}: real values of individuals may be among the released ones",)


def outlook_words(delta: float, max_rows: int, n_rows: int, *, is_allowed: bool) -> tuple[str, ...]:
    """Describes a delta for a plan: one in how many it is, with a warning if it is too large for the assumed rows.

    Args:
      delta: The claimed delta.
      max_rows: Maximum number of rows read per unit.
      n_rows: Assumed number of rows.
      is_allowed: Whether the configuration allows a large delta.
    """
    n_units = fewest_units(n_rows, max_rows)
    lines = [f"delta {delta:g} is one in {1.0 / delta:,.0f}; {n_rows:,} rows belong to at least {n_units:,} units."]
    limit = one_in_units(n_rows, max_rows)
    if delta > limit:
        then = "real values of individuals may be released" if is_allowed else "a release of so few would be refused"
        lines.append(
            f"warning: privacy.delta should be below {limit:.3g}, one over the number of units in "
            f"{n_rows:,} rows: {then}"
        )
    return tuple(lines)


def fewest_units(n_rows: float, max_rows: int) -> int:
    """Returns the fewest units that a number of rows, DP or assumed, can belong to; at least 1."""
    return max(1, math.ceil(round(n_rows) / max_rows))


def in_people(delta: float, n_units: int | None) -> str:
    """Compares delta with the number of units, for those who answer for it.

    Args:
      delta: The claimed delta.
      n_units: The fewest units that the rows can belong to, DP; None where no DP number is known.
    """
    one_in = f"delta {delta:g} is one in {1.0 / delta:,.0f}"
    if n_units is None:
        return f"{one_in}; the number of units is not part of this receipt"
    known = f"{one_in}; the rows that were read belong to {n_units:,} units at least, by a noisy count"
    if delta > one_in_units(n_units, 1):
        return f"{known}. Delta is above one over that number: real values of individuals may be released"
    return f"{known}. Delta is below one over that number, as it should be"
