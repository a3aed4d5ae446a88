"""Releases training data from a warehouse under a differential privacy guarantee that covers all that read a row.

The folders, in the order in which one may import another: `privacy` answers every question to private rows with noise,
and keeps all accounts; `config` is what a release is asked to do; `engine` holds rows, on Spark or in memory; `source`
reads a version and bounds the rows of each unit; `encode` packs rows into vectors; `model` is what is released, and
draws rows; `approximate` fits components; `adapt` moves inducing points and learns the label function; `anonymize`
mixes rows; `publish` writes Delta once, with its receipt; `evaluation` judges the result on held-out rows; `report`
shows a release to people. Above them `recipe` chooses which steps run, `stages` runs them, and `pipeline` is `fit` and
`release` from the first check to the last write; `estimators` are the doors of scikit-learn and Spark ML.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from threea_spark.config.domain import Domain
    from threea_spark.config.release import ReleaseConfig
    from threea_spark.doctor.domain_check import DomainCheck, check_domain
    from threea_spark.estimators.synthesizer import Synthesizer
    from threea_spark.evaluation.evaluate import Evaluation, evaluate
    from threea_spark.model.released import ReleaseModel
    from threea_spark.pipeline import fit, release, release_with_model
    from threea_spark.publish.mlflow import log_release
    from threea_spark.publish.receipt import Receipt
    from threea_spark.publish.statistics import export_statistics
    from threea_spark.report.pages import internal_report_html, report_html
    from threea_spark.session import build_session

__version__ = "0.3.0"

_HOMES = {
    "Domain": "threea_spark.config.domain",
    "DomainCheck": "threea_spark.doctor.domain_check",
    "Evaluation": "threea_spark.evaluation.evaluate",
    "Receipt": "threea_spark.publish.receipt",
    "ReleaseConfig": "threea_spark.config.release",
    "ReleaseModel": "threea_spark.model.released",
    "Synthesizer": "threea_spark.estimators.synthesizer",
    "build_session": "threea_spark.session",
    "check_domain": "threea_spark.doctor.domain_check",
    "evaluate": "threea_spark.evaluation.evaluate",
    "export_statistics": "threea_spark.publish.statistics",
    "fit": "threea_spark.pipeline",
    "internal_report_html": "threea_spark.report.pages",
    "log_release": "threea_spark.publish.mlflow",
    "release": "threea_spark.pipeline",
    "release_with_model": "threea_spark.pipeline",
    "report_html": "threea_spark.report.pages",
}

__all__ = [
    "Domain",
    "DomainCheck",
    "Evaluation",
    "Receipt",
    "ReleaseConfig",
    "ReleaseModel",
    "Synthesizer",
    "build_session",
    "check_domain",
    "evaluate",
    "export_statistics",
    "fit",
    "internal_report_html",
    "log_release",
    "release",
    "release_with_model",
    "report_html",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any of the public names
    """Imports a public name on first use, so that `import threea_spark` needs neither Spark nor jax."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'threea_spark' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
