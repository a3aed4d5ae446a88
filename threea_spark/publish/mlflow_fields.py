"""Parameters, metrics and tags of a release's MLflow run: public, or released under the guarantee."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import threea_spark
from threea_spark.config.release import ReleaseConfig
from threea_spark.publish.receipt import Receipt

TAG_RECEIPT = "threea.receipt"
"""A run's tag: SHA-256 of its receipt. A release that was dropped and repeated has another receipt and another run."""
_MAX_PARAM_LENGTH = 500  # the limit of older servers
_MAX_NOTE_LENGTH = 4_900


def params_of(config: ReleaseConfig, receipt: Receipt) -> dict[str, str]:
    """Flattens a configuration, with the resolved `auto` settings, into dotted names; all of it is public or DP.

    Columns are counted by type, because there may be thousands; the logged configuration lists them by name.
    """
    plain = config.model_dump(mode="json")
    kinds = Counter(column.pop("type") for column in plain["domain"].pop("columns").values())
    plain["domain"]["columns"] = dict(sorted(kinds.items()))
    return dict(_flat({**plain, "resolved": receipt.resolved}))


def metrics_of(receipt: Receipt) -> dict[str, float]:
    """Returns a receipt's numbers: the claim and the spend, in total and by stage, rows, columns, pieces of advice.

    A stage's share is its part of mu squared; it is left out if sampling makes mu alone too coarse.
    """
    privacy = receipt.privacy
    found: dict[str, float | None] = {
        "epsilon": privacy.epsilon,
        "epsilon_spent": privacy.epsilon_spent,
        "delta": privacy.delta,
        "mu": privacy.mu,
        "rows_released": receipt.n_released,
        "columns_released": len(receipt.columns),
        "columns_left_out": len(receipt.left_out),
        "pieces_of_advice": len(receipt.diagnostics),
    }
    for spend in privacy.stages:
        found[f"{spend.stage}.mu"] = spend.mu
        found[f"{spend.stage}.mechanisms"] = spend.mechanisms
        found[f"{spend.stage}.sampling_probability"] = spend.sampling_probability
        if privacy.mu and spend.mu is not None:
            found[f"{spend.stage}.share"] = (spend.mu / privacy.mu) ** 2
    return {name: float(value) for name, value in found.items() if value is not None}


def tags_of(receipt: Receipt) -> dict[str, str]:
    """Returns a release's properties, places, unit and version; its receipt in words is the run's description."""
    return {
        **receipt.properties,
        TAG_RECEIPT: fingerprint(receipt),
        "threea.version": receipt.versions.get("threea-spark", threea_spark.__version__),
        "threea.source": receipt.source,
        "threea.source_version": str(receipt.source_version),
        "threea.target": receipt.target,
        "threea.unit": receipt.privacy.unit,
        "threea.generator": receipt.generator,
        "mlflow.note.content": f"```\n{receipt.in_words()[:_MAX_NOTE_LENGTH]}\n```",
    }


def fingerprint(receipt: Receipt) -> str:
    """Returns the SHA-256 of a receipt's JSON, in hex."""
    return hashlib.sha256(receipt.to_json().encode()).hexdigest()


def _flat(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, part in value.items():
        if isinstance(part, dict):
            yield from _flat(part, f"{prefix}{name}.")
        elif part is not None:
            yield f"{prefix}{name}", str(part)[:_MAX_PARAM_LENGTH]
