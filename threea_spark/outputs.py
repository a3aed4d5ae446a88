"""What a release leaves beside its table: receipt, report and, if asked, model and MLflow run; one way for all."""

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
    """What `threea release` and jobs/release.py were asked to write.

    Args:
      receipt: Path of the receipt's JSON; beside the target where None.
      report: Path of the report's HTML; beside the receipt where None.
      with_report: Whether to write one.
      model: Folder for the model; not saved where None.
      mlflow: Whether to log a run to MLflow.
      mlflow_experiment: Its experiment, by name; implies `mlflow`.
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
        """Refuses what could not be done after the release, before anything is spent.

        Raises:
          ConfigError: if a model is asked for of a table that has none, or a path cannot be written.
          ModelError: if the model's folder holds something.
          EnvironmentNotReadyError: if MLflow is asked for and missing.
        """
        from threea_spark.model.store import require_empty
        from threea_spark.publish.mlflow import require_mlflow

        if self.model is not None:
            if config.is_mixing:
                raise ConfigError("--save-model: a mixed table is no model; use anonymize.generator: sample")
            require_empty(self.model)
        if self.is_tracked:
            require_mlflow()
        for option, path in (("--receipt", self.receipt), ("--report", self.report), ("--save-model", self.model)):
            if path is not None:
                _require_writable(option, path)

    def write(self, spark: SparkSession, config: ReleaseConfig, receipt: Receipt, model: ReleaseModel | None) -> None:
        """Writes all that was asked of a release that was just made; says where, and what failed."""
        _write_receipt(receipt, self.receipt or receipt_path(config, receipt.release_id))
        if self.model is not None and model is not None:
            _save(model, self.model)
        page = self.report or report_path(config, receipt.release_id)
        is_written = self.with_report and write_report(spark, config, receipt, page)
        if self.is_tracked:
            _log_to_mlflow(receipt, config, model, page if is_written else None, self.mlflow_experiment)


def _write_receipt(receipt: Receipt, path: Path) -> None:
    try:
        receipt.write(path)
    except OSError as error:  # the release is done and must not look as if it were not
        _say(
            f"the release stands, but {path} could not be written ({type(error).__name__}); the receipt is in the "
            "target's Delta history too, and `threea report` reads it from there"
        )
    else:
        _say(f"receipt written to {path}")


def _save(model: ReleaseModel, folder: Path) -> None:
    """Saves a model that can never be made again, elsewhere if need be."""
    try:
        model.save(folder)
    except (OSError, ModelError) as error:
        _say(f"the release stands, but {folder} could not be written ({type(error).__name__}); {_rescued(model)}")
    else:
        _say(f"model written to {folder}")


def _rescued(model: ReleaseModel) -> str:
    try:
        spare = Path(tempfile.mkdtemp(prefix="threea-model-"))
        model.save(spare)
    except OSError:
        return "nor could a temporary folder: its model is lost"
    return f"its model is in {spare}"


def _require_writable(option: str, path: Path) -> None:
    """Refuses a path below a folder that cannot be written, or a file's path that is a folder; makes none."""
    folder = next(place for place in path.absolute().parents if os.path.lexists(place))
    is_taken = path.is_dir() and option != "--save-model"
    if is_taken or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(f"{option}: {path} cannot be written; choose a file in a folder that can")


def write_report(spark: SparkSession, config: ReleaseConfig, receipt: Receipt, path: Path) -> bool:
    """Writes the report of a release that was just made; if that fails, the release stands, and it is said.

    Returns:
      Whether it was written.
    """
    from threea_spark.report.pages import report_html, write_html

    try:
        write_html(report_html(spark, config, receipt), path)
    except Exception as error:  # whatever it was, the release is done and must not look as if it were not
        log.debug("the report could not be written", exc_info=True)
        _say(
            f"the release stands, but its report could not be written ({type(error).__name__}); "
            "`threea report` makes it again"
        )
        return False
    _say(f"report written to {path}")
    return True


def receipt_path(config: ReleaseConfig, release_id: str) -> Path:
    """Where a receipt goes by default: beside a local target, else into the working directory."""
    return _beside(config, ".receipt.json", f"receipt-{release_id}.json")


def report_path(config: ReleaseConfig, release_id: str) -> Path:
    """Where a report goes by default: beside the receipt."""
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
    """Logs a release that was just made to MLflow; if that fails, the release stands, and it is said.

    Args:
      receipt, config, model: Of the release.
      report: Its public report; None where none was written.
      experiment: Of MLflow, by name; as MLflow's environment says where None.
    """
    from threea_spark.publish.mlflow import log_release

    try:
        html = None if report is None else report.read_text(encoding="utf-8")
        run_id = log_release(receipt, config=config, model=model, report=html, experiment=experiment)
    except Exception as error:  # whatever it was, the release is done and must not look as if it were not
        log.debug("the release could not be logged to MLflow", exc_info=True)
        cause = type(error.__cause__ or error).__name__
        _say(
            f"the release stands, but MLflow did not take it ({cause}); check MLFLOW_TRACKING_URI, then log it "
            "with threea_spark.log_release"
        )
    else:
        _say(f"logged to MLflow as run {run_id}")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
