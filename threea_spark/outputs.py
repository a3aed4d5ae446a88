"""Writes the files of a release: receipt, report and, on request, the model and an MLflow run."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from threea_spark.config.release import ReleaseConfig
from threea_spark.errors import ConfigError, ModelError
from threea_spark.publish.receipt import Receipt

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from threea_spark.model.released import ReleaseModel

log = logging.getLogger("threea_spark")


@dataclass(frozen=True)
class Outputs:
    """The files that `threea release` and jobs/release.py were asked to write.

    Args:
      receipt: Path of the receipt's JSON; if None, beside the target.
      report: Path of the report's HTML; if None, beside the receipt.
      with_report: Whether to write a report.
      model: Folder for the model; if None, the model is not saved.
      mlflow: Whether to log a run to MLflow.
      mlflow_experiment: Name of the MLflow experiment; implies `mlflow`.
    """

    receipt: Path | None = None
    report: Path | None = None
    with_report: bool = True
    model: Path | None = None
    mlflow: bool = False
    mlflow_experiment: str | None = None

    @property
    def is_tracked(self) -> bool:
        """Whether a run is logged to MLflow."""
        return self.mlflow or self.mlflow_experiment is not None

    def check(self, config: ReleaseConfig) -> None:
        """Refuses outputs that could not be written after the release, before any budget is spent.

        Raises:
          ConfigError: if a model is requested of a generator that has none, or a path cannot be written.
          ModelError: if the model's folder is not empty.
          EnvironmentNotReadyError: if MLflow is requested but missing.
        """
        from threea_spark.model.store import require_empty
        from threea_spark.publish.mlflow import require_mlflow

        if self.model is not None:
            if config.is_mixing:
                raise ConfigError("--save-model: a mixed table has no model; use anonymize.generator: sample")
            require_empty(self.model)
            require_writable("--save-model", self.model, is_folder=True)
        if self.is_tracked:
            require_mlflow()
        for option, path in (("--receipt", self.receipt), ("--report", self.report)):
            if path is not None:
                require_writable(option, path)

    def write(self, spark: SparkSession, config: ReleaseConfig, receipt: Receipt, model: ReleaseModel | None) -> None:
        """Writes the requested files of a finished release; reports where they are, and what failed."""
        _write_receipt(receipt, self.receipt or receipt_path(config, receipt.release_id))
        if self.model is not None and model is not None:
            save_model(model, self.model)
        page = self.report or report_path(config, receipt.release_id)
        is_written = self.with_report and write_report(spark, config, receipt, page)
        if self.is_tracked:
            _log_to_mlflow(receipt, config, model, page if is_written else None, self.mlflow_experiment)


def _write_receipt(receipt: Receipt, path: Path) -> None:
    try:
        receipt.write(path)
    except OSError as error:  # the release is done and must not look as if it had failed
        _say(
            f"the release is kept, but {path} could not be written ({type(error).__name__}); the receipt is also in "
            "the target's Delta history, and `threea report` reads it from there"
        )
    else:
        _say(f"receipt written to {path}")


def save_model(model: ReleaseModel, folder: Path) -> None:
    """Saves a model, in another folder if need be: it cannot be fitted again without spending again."""
    try:
        model.save(folder)
    except (OSError, ModelError) as error:
        _say(f"the release is kept, but {folder} could not be written ({type(error).__name__}); {_rescued(model)}")
    else:
        _say(f"model written to {folder}")


def _rescued(model: ReleaseModel) -> str:
    try:
        spare = Path(tempfile.mkdtemp(prefix="threea-model-"))
        model.save(spare)
    except OSError:
        return "neither could a temporary folder, so its model is lost"
    return f"its model is in {spare}"


def require_writable(option: str, path: Path, *, is_folder: bool = False) -> None:
    """Refuses a path below a folder that cannot be written, and a file's path that is a folder; creates nothing.

    Raises:
      ConfigError: naming the option and the path.
    """
    folder = next(place for place in path.absolute().parents if os.path.lexists(place))
    is_taken = path.is_dir() and not is_folder
    if is_taken or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(f"{option}: {path} cannot be written; choose a file in a folder that is writable")


def write_report(spark: SparkSession, config: ReleaseConfig, receipt: Receipt, path: Path) -> bool:
    """Writes the report of a finished release; if that fails, the release is kept and a warning is printed.

    Returns:
      Whether the report was written.
    """
    from threea_spark.report.pages import report_html, write_html

    try:
        write_html(report_html(spark, config, receipt), path)
    except Exception as error:  # whatever failed, the release is done and must not look as if it had failed
        log.debug("the report could not be written", exc_info=True)
        _say(
            f"the release is kept, but its report could not be written ({type(error).__name__}); "
            "run `threea report` to write it again"
        )
        return False
    _say(f"report written to {path}")
    return True


def receipt_path(config: ReleaseConfig, release_id: str) -> Path:
    """Returns the default path of a receipt: beside a local target, else in the working directory."""
    return _beside(config, ".receipt.json", f"receipt-{release_id}.json")


def report_path(config: ReleaseConfig, release_id: str) -> Path:
    """Returns the default path of a report: beside the receipt."""
    return _beside(config, ".report.html", f"report-{release_id}.html")


def _beside(config: ReleaseConfig, suffix: str, elsewhere: str) -> Path:
    path = config.target.path
    if path is not None and "://" not in path:
        return Path(path.rstrip("/") + suffix)
    return Path(elsewhere)


def _log_to_mlflow(
    receipt: Receipt,
    config: ReleaseConfig,
    model: ReleaseModel | None,
    report: Path | None,
    experiment: str | None,
) -> None:
    """Logs a finished release to MLflow; if that fails, the release is kept and a warning is printed.

    Args:
      receipt, config, model: The release's receipt, configuration and model.
      report: Path of its public report; None if none was written.
      experiment: Name of the MLflow experiment; if None, MLflow's environment decides.
    """
    from threea_spark.publish.mlflow import log_release

    try:
        html = None if report is None else report.read_text(encoding="utf-8")
        run_id = log_release(receipt, config=config, model=model, report=html, experiment=experiment)
    except Exception as error:  # whatever failed, the release is done and must not look as if it had failed
        log.debug("the release could not be logged to MLflow", exc_info=True)
        cause = type(error.__cause__ or error).__name__
        _say(
            f"the release is kept, but it could not be logged to MLflow ({cause}); check MLFLOW_TRACKING_URI, then "
            "log it with threea_spark.log_release"
        )
    else:
        _say(f"logged to MLflow as run {run_id}")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
