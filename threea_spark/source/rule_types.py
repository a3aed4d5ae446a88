"""Checks that the source's types, in which rows are released, can hold what rules between columns ask of them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from threea_spark.config.columns import Column
from threea_spark.config.domain import Domain
from threea_spark.config.row_rules import SumRule, of_kind

_KEYS = ("int", "bigint", "string")
_WHOLE = ("tinyint", "smallint", "int", "bigint")
_SCALE = re.compile(r"decimal\(\d+,\s*(\d+)\)")


def rule_type_problems(found: Mapping[str, str], domain: Domain) -> Iterator[str]:
    """Yields one line for each column whose type cannot keep a rule.

    Args:
      found: Spark's simple type string by column name.
      domain: The declared domain.
    """
    for name in domain.keys:
        if name not in found:
            yield f"  {name!r}: rules: unique names it, but it is not a column of the source; drop the rule"
        elif found[name] not in _KEYS:
            yield (
                f"  {name!r}: rules: unique numbers rows in columns of int, bigint or string, the source has "
                f"{found[name]}; cast it in a copy of the table, or drop the rule"
            )
    for rule in of_kind(domain.rules, SumRule):
        total = rule.sum.total
        digits = {name: _digits(domain.columns[name], found[name]) for name in rule.named if name in found}
        if finer := [name for name in rule.sum.parts if digits.get(name, 0) > digits.get(total, math.inf)]:
            yield (
                f"  {total!r}: rules: sum of {finer[0]!r} in {found[finer[0]]} does not fit {found[total]}, which "
                "holds fewer digits; cast one of them in a copy of the table, or drop the rule"
            )
        if found.get(total) == "date" and rule.sum.unit != "days":
            yield (
                f"  {total!r}: rules: sum adds {rule.sum.unit} of {rule.sum.parts[-1]!r}, but the source's date holds "
                "days; write unit: days, or drop the rule"
            )


def _digits(column: Column, simple: str) -> float:
    """Decimals that a column holds; many for floats, none for times, which are drawn in whole seconds."""
    if column.type != "float" or simple in _WHOLE:
        return 0
    scale = _SCALE.fullmatch(simple)
    return int(scale[1]) if scale else math.inf
