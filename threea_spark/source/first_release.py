"""Writes a release that runs as it is, from a table's schema and a few words of its owner; no row is read.

What nobody declared is found under the release's own guarantee: bounds are `auto`, categories are `open`.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from threea_spark.config.near_names import meant_or
from threea_spark.config.yaml_files import plain, plain_path, quoted
from threea_spark.engine.delta import Place
from threea_spark.errors import ConfigError
from threea_spark.privacy.large_delta import proposed_delta
from threea_spark.source.draft import WHOLE_TYPES
from threea_spark.source.identifying import what_it_looks_like
from threea_spark.source.proposed_rules import proposed_rules
from threea_spark.source.schema import NUMERIC_TYPES, TEXT_TYPES, TIME_TYPES, base_type

ROW = "row"
Task = Literal["classification", "regression", "none"]

_TEXT = """# Release of {place}, written by `threea init` from its schema alone: no row was read. It runs as it is.
# Nobody has declared bounds or categories, so a release finds them (`auto`, `open`) by noisy counts, which take a part
# of the budget. Declare what is publicly known, such as `lower: 0, upper: 120` or `values: [A, B]`: that costs nothing,
# and holds for rare rows too. Never look it up in the rows: that would leak them.
source: {source}
target: {target}
privacy:
  epsilon: {epsilon!r}   # how much the release may reveal about one unit: 1 is strict, 10 protects little
  delta: {delta:.1e}   # {why_delta}
  unit: {unit}
{ledger}domain:
{domain}"""


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the owner of a table says of a release.

    Attributes:
      label: The column that models predict; None for the task "none".
      label_values: Its public categories; empty if they are not given.
      task: None decides by the label's type.
      unit: `row`, or the column that identifies a person.
      max_rows: Maximum number of rows read per person.
      rows: Public number of rows, about; None if it is not public.
      epsilon: The claim.
      delta: The claim; None proposes one.
      target: Place of the released table; None is beside the source.
      ledger: Place of the ledger; None is none.
    """

    label: str | None
    label_values: tuple[str, ...]
    task: Task | None
    unit: str
    max_rows: int
    rows: int | None
    epsilon: float
    delta: float | None
    target: str | None
    ledger: str | None


def first_release_text(place: str, found: Mapping[str, str], choices: Choices) -> str:
    """Formats the YAML of a release that runs as it is.

    Args:
      place: The table's name or path.
      found: Spark's simple type string by column.
      choices: Of the table's owner.

    Raises:
      ConfigError: naming the option that does not fit the table, and what to type.
    """
    _check_columns(found, choices)
    rows = "" if choices.rows is None else f", rows: {choices.rows}"
    delta = proposed_delta(choices.rows) if choices.delta is None else choices.delta
    ledger = "" if choices.ledger is None else f"  ledger: {{{_place(choices.ledger)}}}\n"
    return _TEXT.format(
        place=plain_path(place),
        source=f"{{{_place(place)}{rows}}}",
        target=f"{{{_place(choices.target or place.rstrip('/') + '_released')}}}",
        epsilon=choices.epsilon,
        delta=delta,
        why_delta="must stay well below one over the number of people in the table",
        unit=_unit(choices),
        ledger=ledger,
        domain=textwrap.indent(_domain(found, choices), "  "),
    )


def _check_columns(found: Mapping[str, str], choices: Choices) -> None:
    if choices.unit != ROW:
        _check_known("--unit", choices.unit, found, f"name the column that identifies a person, or write {ROW}")
    if choices.label is None:
        return
    _check_known("--label", choices.label, found, "name the column that models predict")
    if choices.label == choices.unit:
        raise ConfigError(
            f"--label: {choices.label!r} is also the unit of privacy, which is never released; name another"
        )


def _check_known(option: str, name: str, found: Mapping[str, str], fix: str) -> None:
    if name in found:
        return
    columns = ", ".join(plain(own, 40) for own in list(found)[:12]) + (", ..." if len(found) > 12 else "")
    hint = meant_or(name, found, f"{fix}; the columns are {columns}")
    raise ConfigError(f"{option}: {name!r} is not a column of the table; {hint}")


def _place(name: str) -> str:
    return f"{'path' if Place.named(name).is_path else 'table'}: {quoted(name)}"


def _unit(choices: Choices) -> str:
    if choices.unit == ROW:
        return f"{ROW}   # each row is a person of its own"
    kept = f"at most {choices.max_rows} rows of a person are" if choices.max_rows > 1 else "one row of each person is"
    return (
        f"{{column: {quoted(choices.unit)}, max_rows: {choices.max_rows}}}   # {kept} read, chosen at random; noise "
        "grows with max_rows"
    )


def _domain(found: Mapping[str, str], choices: Choices) -> str:
    task, label = _task_and_label(found, choices)
    lines = [f"label: {quoted(choices.label)}\n" if choices.label is not None else "", f"task: {task}\n", "columns:\n"]
    for name, simple in found.items():
        lines.append(f"  {quoted(name)}: {label}\n" if name == choices.label else _column(name, simple, choices))
    if not any(line.startswith("  ") and not line.startswith("  #") for line in lines):
        raise ConfigError("--table: no column is left: all are identifiers, free text or of a type without release")
    return "".join(lines) + proposed_rules(found)


def _task_and_label(found: Mapping[str, str], choices: Choices) -> tuple[Task, str]:
    """Decides the task, and describes the label's column."""
    name, values, task = choices.label, choices.label_values, choices.task
    if name is None:
        return "none", ""
    kind = base_type(found[name])
    if kind not in (*NUMERIC_TYPES, *TEXT_TYPES, *TIME_TYPES):
        raise ConfigError(f"--label: {name!r} is {plain(found[name])}, which cannot be released; name another column")
    if values and task == "regression":
        raise ConfigError("--label-values: a number that is predicted has no listed values; drop them, or --task")
    if not values and kind == "boolean":
        values = ("false", "true")
    if values:
        listed = ", ".join(quoted(value) for value in values)
        return "classification", f"{{type: categorical, values: [{listed}]}}   # a row without one counts as the first"
    is_number = kind in NUMERIC_TYPES
    if (task == "regression" and is_number) or (task is None and is_number and not _is_whole(found[name])):
        return "regression", f"{{type: {_number(found[name])}, lower: auto, upper: auto}}"
    if is_number and task is None:
        raise ConfigError(
            f"--label: {name!r} holds whole numbers; add --label-values 0,1 (the classes, which must be public), or "
            "--task regression if models predict the number"
        )
    raise ConfigError(
        f"--label-values: the values of {name!r} must be public, since they are not looked up in the rows; list them, "
        "such as --label-values no,yes"
    )


def _column(name: str, simple: str, choices: Choices) -> str:
    if name == choices.unit:
        return f"  # {quoted(name)} identifies people: never released\n"
    kind, looks_like = base_type(simple), what_it_looks_like(name, simple)
    if kind in NUMERIC_TYPES:
        described = f"{{type: {_number(simple)}, lower: auto, upper: auto, nullable: true}}"
    elif kind in TIME_TYPES:
        described = "{type: timestamp, lower: auto, upper: auto, nullable: true}"
    elif kind == "boolean":
        described = "{type: categorical, values: [true, false], nullable: true}"
    elif kind in TEXT_TYPES:
        described = "{type: categorical, values: open, nullable: true}"
    else:
        return f"  # {quoted(name)}: {plain(simple)} cannot be released; store it as plain columns\n"
    if looks_like is not None:
        return f"  # {quoted(name)}: {described}   # looks like {looks_like}: left out\n"
    return f"  {quoted(name)}: {described}\n"


def _number(simple: str) -> str:
    return "integer" if _is_whole(simple) else "float"


def _is_whole(simple: str) -> bool:
    return base_type(simple) in WHOLE_TYPES or re.fullmatch(r"decimal\(\d+,0\)", simple) is not None
