"""The name of a configuration, which stays the same from version to version of this library."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from threea_spark.config.columns import CategoricalColumn

_MIN_UNITS = CategoricalColumn.model_fields["min_units"].default


def digest_of(content: dict[str, Any]) -> str:
    """Names a configuration: 16 hex digits of SHA-256 over its canonical JSON.

    An option that came later is left out at its default, and one that went is put back, so that a configuration from
    before keeps its name: the release that it made is found by it.

    Args:
      content: Plain values of all fields; changed here.
    """
    if content["source"]["since"] is None:
        del content["source"]["since"]
    del content["source"]["staging_schema"]  # where private rows stand meanwhile is no matter of what is released
    content["privacy"]["partition"] = "private"
    if not content["privacy"]["allow_large_delta"]:
        del content["privacy"]["allow_large_delta"]
    unit = content["privacy"]["unit"]
    if unit != "row" and unit["missing"] == "together":
        del unit["missing"]
    for column in content["domain"]["columns"].values():
        if column.get("min_units") == _MIN_UNITS:
            del column["min_units"]
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
