"""The digest that identifies a configuration, stable across versions of this library."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from threea_spark.config.columns import CategoricalColumn

_DEPTH_NAMED = {1: 2, 2: 1}
"""The default depth was 2, and became 1: they change names, so that a configuration that sets none keeps its own."""
_MIN_UNITS = CategoricalColumn.model_fields["min_units"].default


def digest_of(content: dict[str, Any]) -> str:
    """Returns the digest of a configuration: 16 hex digits of SHA-256 over its canonical JSON.

    Options added later are left out at their defaults and removed options are put back, so that an older configuration
    keeps its digest, by which its release is found.

    Args:
      content: Plain values of all fields; modified in place.
    """
    if content["source"]["since"] is None:
        del content["source"]["since"]
    # where private rows are staged, who grants and how columns are labelled does not affect the rows that are released
    del content["source"]["staging_schema"], content["target"]["source_comments"]
    if content["privacy"]["ledger"] is not None:
        del content["privacy"]["ledger"]["grants"]
    content["privacy"]["partition"] = "private"
    if not content["privacy"]["allow_large_delta"]:
        del content["privacy"]["allow_large_delta"]
    if not content["anonymize"]["label_probability"]:
        del content["anonymize"]["label_probability"]
    if content["adapt"]["kernel"] == "closed_form":
        del content["adapt"]["kernel"]
    if content["adapt"]["rows"] == "auto":
        del content["adapt"]["rows"]
    depth = content["adapt"]["depth"]
    content["adapt"]["depth"] = _DEPTH_NAMED.get(depth, depth)
    unit = content["privacy"]["unit"]
    if unit != "row" and unit["missing"] == "together":
        del unit["missing"]
    for column in content["domain"]["columns"].values():
        if column.get("min_units") == _MIN_UNITS:
            del column["min_units"]
        for option in ("step", "atoms"):
            if not column.get(option):
                column.pop(option, None)
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
