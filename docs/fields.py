"""Writes the reference of the YAML: a table for every section, from the models that read it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from threea_spark import ReleaseConfig

Schema = dict[str, Any]

HEADINGS = {  # of the models that a reader meets, in the order of a file; what is not named here follows
    "SourceConfig": "source",
    "TargetConfig": "target",
    "PrivacyConfig": "privacy",
    "UnitConfig": "privacy.unit",
    "LedgerConfig": "privacy.ledger",
    "BudgetConfig": "privacy.ledger.budget",
    "Domain": "domain",
    "IntegerColumn": "domain.columns: type integer",
    "FloatColumn": "domain.columns: type float",
    "TimestampColumn": "domain.columns: type timestamp",
    "CategoricalColumn": "domain.columns: type categorical",
    "EncodeConfig": "encode",
    "ApproximateConfig": "approximate",
    "AdaptConfig": "adapt",
    "AnonymizeConfig": "anonymize",
    "FunctionalRule": "domain.rules: functional",
    "Functional": "functional",
    "OrderRule": "domain.rules: order",
    "Order": "order",
    "SumRule": "domain.rules: sum",
    "Sum": "sum",
    "TogetherRule": "domain.rules: together",
    "ExactlyOneRule": "domain.rules: exactly_one",
    "UniqueRule": "domain.rules: unique",
    "AllowedRule": "domain.rules: allowed",
    "Allowed": "allowed",
}
INTRODUCTION = """# The YAML, field by field

Made from the models that read the file, so every field is here. A field without a default must be given. An unknown
field is an error. `auto` is resolved by a rule that reads public or noisy numbers only, and the receipt states the
result.
"""
NOT_WRITTEN = {"further_labels"}  # a list under `label` gives them
HUGE = 1e15  # a bound beyond is that of a type, and says nothing to a reader
SAID = {  # fields of the domain that its docstring describes as attributes
    "columns": "the released columns by name, in the order of the released table",
    "label": "the column that models predict, or a list of them; null for the task none",
    "task": "classification needs a categorical label, regression a number",
    "rules": "what holds in every row, and in every released row; see [rules](rules.md)",
    "exactly_one": "the columns of which exactly one is not null",
    "together": "the columns that are null together, or not at all",
    "unique": "a column whose values are all different",
    **dict.fromkeys(("functional", "order", "sum", "allowed"), "the rule"),
}


def fields_page() -> str:
    """The page in Markdown."""
    schema = ReleaseConfig.model_json_schema()
    models: dict[str, Schema] = schema["$defs"]
    names = [*HEADINGS, *sorted(set(models) - set(HEADINGS))]
    sections = [_section("The file", schema)]
    sections += [_section(HEADINGS.get(name, name), models[name]) for name in names if name in models]
    return INTRODUCTION + "\n" + "\n".join(sections)


def _section(heading: str, model: Schema) -> str:
    text = str(model.get("description", "")).split("\n\n")[0].replace("\n", " ")
    lines = [f"## {heading}", "", text, "", "| field | type | default | meaning |", "|---|---|---|---|"]
    needed = set(model.get("required", ()))
    for name, field in model["properties"].items():
        if name not in NOT_WRITTEN:
            default = "" if name in needed else f"`{json.dumps(field.get('default'))}`"
            said = field.get("description") or SAID[name]
            lines.append(f"| `{name}` | {_type(field)} | {_short(default)} | {said} |".replace(" |  |", " | - |"))
    return "\n".join(lines) + "\n"


def _short(default: str) -> str:
    """A section's default is the defaults of its fields, which stand in its own table."""
    return "its defaults" if default.startswith("`{") else default


def _type(field: Schema) -> str:
    return ", or ".join(dict.fromkeys(_types(field)))


def _types(field: Schema) -> Iterator[str]:
    """Yields the kinds of values that a field takes, in words."""
    for kind in field.get("anyOf", field.get("oneOf", [])):
        yield from _types(kind)
    if "$ref" in field:
        yield _reference(field["$ref"].rsplit("/", 1)[1])
    elif "const" in field:
        yield f"`{field['const']}`"
    elif "enum" in field:
        yield " \\| ".join(f"`{value}`" for value in field["enum"])
    elif "type" in field:
        yield _plain(field)


def _reference(model: str) -> str:
    heading = HEADINGS.get(model, model)
    anchor = "".join(c for c in heading.lower().replace(" ", "-") if c.isalnum() or c in "-_")
    return f"[{heading}](#{anchor})"


def _plain(field: Schema) -> str:
    kind = {"string": "text", "number": "number", "integer": "whole number", "boolean": "true \\| false"}
    if field["type"] == "array":
        return f"list of: {_type(field.get('items', {})) or 'values'}"
    if field["type"] == "object":
        inner = field.get("additionalProperties")
        return f"mapping to: {_type(inner)}" if isinstance(inner, dict) else "mapping"
    name = "date or time" if field.get("format") == "date-time" else kind.get(field["type"], field["type"])
    return name + _range(field)


def _range(field: Schema) -> str:
    signs = {
        "minimum": "from {:,}",
        "exclusiveMinimum": "above {:,}",
        "maximum": "to {:,}",
        "exclusiveMaximum": "below {:,}",
    }
    found = [text.format(field[key]) for key, text in signs.items() if abs(field.get(key, HUGE)) < HUGE]
    return " " + " ".join(found) if found else ""
