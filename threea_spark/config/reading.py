"""Turns every broken rule of a model into one readable line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from threea_spark.config.known_fields import near_field
from threea_spark.config.printable import unprintable
from threea_spark.config.todo import unfilled_fields, unfilled_lines
from threea_spark.config.yaml_files import plain, plain_path
from threea_spark.errors import ConfigError

ModelT = TypeVar("ModelT", bound=BaseModel)

_WHOLE = {
    "invalid_key": "has a key that is not text; quote it",
    "missing": "is missing; add it",
    "extra_forbidden": "is not a known field; drop it or correct its spelling",
    "union_tag_not_found": "needs a `type`; add one of integer, float, categorical, timestamp",
}
"""Messages for rules that do not concern the value."""

_REMOVED = {
    "privacy.partition": "was removed in 0.2.0: the partition is always fitted on the private rows; drop it",
}
"""Fields of earlier versions, and what replaced them."""

_EXAMPLES = {
    "privacy.unit": "row, or a mapping such as {column: patient_id, max_rows: 1}",
    "source": "a mapping such as {table: main.ehr.stays}, or {path: ./stays}",
    "target": "a mapping such as {table: main.released.stays}, or {path: ./stays_released}",
    "privacy.ledger": "a mapping such as {table: main.governance.privacy_ledger}",
}
"""Fields that take a mapping, with what to write."""

_RULES = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "datetime_from_date_parsing": "a date or a time such as 2020-01-31",
    "datetime_parsing": "a date or a time such as 2020-01-31",
    "datetime_type": "a date or a time such as 2020-01-31",
    "dict_type": "a mapping of fields",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number with fewer digits",
    "int_type": "a whole number",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "list_type": "a list",
    "literal_error": "{expected}",
    "model_attributes_type": "a mapping of fields",
    "model_type": "a mapping of fields",
    "string_too_short": "nonempty text",
    "string_type": "text",
    "string_unicode": "valid Unicode text",
    "tuple_type": "a list",
    "union_tag_invalid": "of a `type` among {expected_tags}, not {tag!r}",
}
"""Requirements on a value, by pydantic's name of the rule."""

_TAGS = (  # pydantic puts a column's type and a rule's kind into the location
    "integer", "float", "categorical", "timestamp",
    "functional", "order", "sum", "together", "exactly_one", "unique", "allowed",
)  # fmt: skip
_MAX_LENGTH = 120
_MAX_TAG_LENGTH = 40


class Frozen(BaseModel):
    """Immutable values: only known fields, no NaN, no infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def parse_model(model: type[ModelT], content: dict[str, Any], *, where: str) -> ModelT:
    """Checks `content` against a pydantic model.

    Raises:
      ConfigError: with one line for each broken rule: field, rule, fix.
    """
    refused = unprintable(content)
    if refused is not None:
        field, sentence = refused
        raise _config_error(where, [f"  {plain(field)}: {sentence}"])
    try:
        return model.model_validate(content)
    except ValidationError as error:
        breaches = [_breach(item, content, model) for item in error.errors(include_url=False)]
        meant = {(*b.field[:-1], b.near) for b in breaches if b.near is not None}
        breaches = [b for b in breaches if not (b.item["type"] == "missing" and b.field in meant)]
        unfilled = list(unfilled_fields(content))
        other = [b for b in breaches if not any(field[: len(b.field)] == b.field for field in unfilled)]
        told = [f"  {plain(name)}: {sentence}" for name, sentence in unfilled_lines(unfilled).items()]
        lines = list(dict.fromkeys([*told, *_lines(other)]))
        raise _config_error(where, lines) from None


def _config_error(where: str, lines: list[str]) -> ConfigError:
    """One message for all broken rules of a file."""
    count = f"{len(lines)} problem{'' if len(lines) == 1 else 's'} to fix"
    return ConfigError("\n".join([f"{plain_path(where)}: {count}", *lines]))


@dataclass(frozen=True)
class _Breach:
    """One broken rule.

    Attributes:
      field: Its keys and indices.
      union: The field, if any, whose alternatives were tried on the way to it.
      item: What pydantic says of it.
      near: The known field that was probably meant by one that is not known.
    """

    field: tuple[str, ...]
    union: tuple[str, ...] | None
    item: ErrorDetails
    near: str | None


def _breach(item: ErrorDetails, content: object, model: type[BaseModel]) -> _Breach:
    """Follows the location through the content; parts that are not a key or index there name pydantic's branches."""
    field: list[str] = []
    union: tuple[str, ...] | None = None
    here: object = content
    for place, part in enumerate(item["loc"]):
        names_a_key = place + 1 == len(item["loc"]) and item["type"] in ("missing", "extra_forbidden")
        if isinstance(here, dict) and part in here:
            here = here[part]
        elif isinstance(here, list | tuple) and isinstance(part, int):
            here = here[part]
        elif not names_a_key:
            is_tag = part in _TAGS and isinstance(here, dict)  # a float of a union has the name of a column's type
            if not is_tag and part != "[key]":
                union = tuple(field)
            continue
        field.append(str(part))
    near = near_field(model, item["loc"]) if item["type"] == "extra_forbidden" else None
    return _Breach(tuple(field), union, item, near)


def _lines(breaches: Sequence[_Breach]) -> Iterator[str]:
    """One line per field; a union's branches become one sentence, unless one of them names the wrong inner field."""
    for breach in breaches:
        if breach.union is None:
            yield _line(breach.field, [breach.item], breach.near)
            continue
        siblings = [other for other in breaches if other.union == breach.union]
        inner = [other for other in siblings if other.field != breach.union]
        if not inner:
            yield _line(breach.union, [other.item for other in siblings])
        elif breach in inner:
            yield _line(breach.field, [breach.item], breach.near)


def _line(field: Sequence[str], items: Sequence[ErrorDetails], near: str | None = None) -> str:
    name = plain(".".join(field)) or "(whole file)"
    first = items[0]
    if first["type"] == "extra_forbidden" and name in _REMOVED:
        return f"  {name}: {_REMOVED[name]}"
    if near is not None:
        return f"  {name}: is not a known field; did you mean {near!r}?"
    if first["type"] in _WHOLE:
        return f"  {name}: {_WHOLE[first['type']]}"
    if any(item["type"] not in _RULES for item in items):
        own = next(item for item in items if item["type"] not in _RULES)
        message = str(own["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
        return f"  {name}: {message[:1].lower()}{message[1:]}"
    rules = [_rule(item) for item in items]
    given = first.get("input")
    short = given is None or isinstance(given, (int, float, str))
    shown = f", got {given!r}"[:_MAX_LENGTH] if short else ""
    wanted = _EXAMPLES.get(name) or " or ".join(dict.fromkeys(rules))
    return f"  {name}: must be {wanted}{shown}; change it to that"


def _rule(item: ErrorDetails) -> str:
    told = dict(item.get("ctx", {}))
    if "tag" in told:
        told["tag"] = plain(str(told["tag"]), _MAX_TAG_LENGTH)
    return _RULES[item["type"]].format(**told)
