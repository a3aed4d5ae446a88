"""Writes the files of a release: receipt, model, report and, on request, an MLflow run."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from threea_spark.config.release import ReleaseConfig
from threea_spark.engine.progress import Listener
from threea_spark.errors import ConfigError, ModelError, ThreeAError
from threea_spark.publish.if_exists import IfExists
from threea_spark.publish.kept_model import beside_target, model_path, rescued, saved
from threea_spark.publish.receipt import Receipt
from threea_spark.publish.written import receipt_before

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from threea_spark.model.released import ReleaseModel

log = logging.getLogger("threea_spark")


@dataclass(frozen=True)
class Outputs:
    """The files that `threea release` and jobs/release.py leave beside the table.

    Args:
      receipt: Path of the receipt's JSON; if None, beside the target.
      report: Path of the report's HTML; if None, beside the receipt.
      with_report: Whether to write a report.
      model: Folder for the model; if None, beside the receipt.
      with_model: Whether to save the model, where there is one: mixed rows have none.
      mlflow: Whether to log a run to MLflow.
      mlflow_experiment: Name of the MLflow experiment; implies `mlflow`.
      if_exists: What becomes of a release that was written before: an error, or its receipt.
    """

    receipt: Path | None = None
    report: Path | None = None
    with_report: bool = True
    model: Path | None = None
    with_model: bool = True
    mlflow: bool = False
    mlflow_experiment: str | None = None
    if_exists: IfExists = "error"

    @property
    def is_tracked(self) -> bool:
        """Whether a run is logged to MLflow."""
        return self.mlflow or self.mlflow_experiment is not None

    def check(self, config: ReleaseConfig) -> None:
        """Refuses outputs that could not be written after the release, before Spark starts.

        Raises:
          ConfigError: if a model is requested of a generator that has none, or a path cannot be written.
          ModelError: if the requested folder for the model is not empty.
          EnvironmentNotReadyError: if MLflow is requested but missing, or its store does not answer.
        """
        from threea_spark.publish.mlflow_store import open_experiment

        if self.model is not None:
            if not self.with_model:
                raise ConfigError("--no-model: contradicts --save-model; drop one of them")
            if config.is_mixing:
                raise ConfigError("--save-model: a mixed table has no model; use anonymize.generator: sample")
            if self.if_exists == "error":  # otherwise it may hold the model of the very release that is asked for
                require_free(self.model)
        for option, path in (("--receipt", self.receipt), ("--report", self.report)):
            if path is not None:
                require_writable(option, path)
        if self.is_tracked:
            open_experiment(self.mlflow_experiment)

    def model_folder(self, config: ReleaseConfig, release_id: str) -> Path | None:
        """Where the model of a release is saved; None if none is."""
        if not self.with_model or config.is_mixing:
            return None
        return self.model or model_path(config, release_id)

    def check_model(self, config: ReleaseConfig, release_id: str) -> None:
        """Refuses a folder for the model that is taken, once the release is known not to have been written before.

        Raises:
          ConfigError, ModelError: as `check`.
        """
        folder = self.model_folder(config, release_id)
        if folder is not None:
            require_free(folder)

    def write(self, spark: SparkSession, config: ReleaseConfig, receipt: Receipt, model: ReleaseModel | None) -> None:
        """Writes the requested files of a finished release; reports where they are, and what failed."""
        _write_receipt(receipt, self.receipt or receipt_path(config, receipt.release_id))
        folder = self.model_folder(config, receipt.release_id)
        if folder is not None and model is not None:
            _say(saved(model, folder))
        page = self.report or report_path(config, receipt.release_id)
        is_written = self.with_report and write_report(spark, config, receipt, page, model)
        if self.is_tracked and not self._log_to_mlflow(receipt, config, model, page if is_written else None):
            if model is not None and folder is None:
                _say(rescued(model))

    def _log_to_mlflow(
        self, receipt: Receipt, config: ReleaseConfig, model: ReleaseModel | None, report: Path | None
    ) -> bool:
        """Logs a finished release to MLflow; if that fails, the release is kept and a warning is printed."""
        from threea_spark.publish.mlflow import log_release
        from threea_spark.publish.mlflow_store import reason_of

        try:
            html = None if report is None else report.read_text(encoding="utf-8")
            run_id = log_release(receipt, config=config, model=model, report=html, experiment=self.mlflow_experiment)
        except Exception as error:  # whatever failed, the release is done and must not look as if it had failed
            log.debug("the release could not be logged to MLflow", exc_info=True)
            _say(f"warning: {error}" if isinstance(error, ThreeAError) else f"not logged to MLflow: {reason_of(error)}")
            return False
        _say(f"logged to MLflow as run {run_id}")
        return True


def release_with_outputs(
    spark: SparkSession, config: ReleaseConfig, outputs: Outputs, *, listener: Listener | None = None
) -> Receipt:
    """Releases a table and writes what is left beside it; of a release that was written before, only a missing receipt.

    Args:
      spark: A session, classic or Connect.
      config: The release's configuration.
      outputs: What to leave, already checked.
      listener: Shows progress.

    Raises:
      ConfigError, ModelError: if the model's folder is taken; nothing is booked.
      ThreeAError: as `release`.
    """
    from threea_spark.pipeline import released
    from threea_spark.preflight import prepare

    before = receipt_before(spark, config, outputs.if_exists)
    if before is not None:
        path = outputs.receipt or receipt_path(config, before.release_id)
        _say(f"release {before.release_id} was written before: nothing was read, booked or written")
        if not path.exists():
            _write_receipt(before, path)
        return before
    ready = prepare(spark, config)
    outputs.check_model(config, ready.release_id)
    receipt, model = released(spark, config, ready, listener=listener)
    outputs.write(spark, config, receipt, model)
    return receipt


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


def require_free(folder: Path) -> None:
    """Refuses a folder for a model that holds something, or cannot be written.

    Raises:
      ConfigError, ModelError: naming the folder and the options that choose another.
    """
    from threea_spark.model.store import require_empty

    require_writable("--save-model", folder, is_folder=True)
    try:
        require_empty(folder)
    except ModelError as error:
        raise ModelError(f"{error} with --save-model, move it away, or pass --no-model") from None


def require_writable(option: str, path: Path, *, is_folder: bool = False) -> None:
    """Refuses a path below a folder that cannot be written, and a file's path that is a folder; creates nothing.

    Raises:
      ConfigError: naming the option and the path.
    """
    folder = next(place for place in path.absolute().parents if os.path.lexists(place))
    is_taken = path.is_dir() and not is_folder
    if is_taken or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(f"{option}: {path} cannot be written; choose a file in a folder that is writable")


def write_report(
    spark: SparkSession, config: ReleaseConfig, receipt: Receipt, path: Path, model: ReleaseModel | None = None
) -> bool:
    """Writes the report of a finished release; if that fails, the release is kept and a warning is printed.

    Returns:
      Whether the report was written.
    """
    from threea_spark.report.pages import report_html, write_html

    try:
        write_html(report_html(spark, config, receipt, model), path)
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
    return beside_target(config, ".receipt.json", f"receipt-{release_id}.json")


def report_path(config: ReleaseConfig, release_id: str) -> Path:
    """Returns the default path of a report: beside the receipt."""
    return beside_target(config, ".report.html", f"report-{release_id}.html")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
