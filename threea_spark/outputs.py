"""What a release leaves beside its table: receipt, report and, if asked, model and MLflow run; one way for all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from threea_spark.cli_report import receipt_path, report_path, try_report
from threea_spark.cli_tracking import try_tracking
from threea_spark.config import ReleaseConfig
from threea_spark.console import err
from threea_spark.errors import ConfigError
from threea_spark.publish.receipt import Receipt

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from threea_spark.model import ReleaseModel


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
          ConfigError: if a model is asked for of a table that has none, or its folder holds something.
          EnvironmentNotReadyError: if MLflow is asked for and missing.
        """
        from threea_spark.auto import is_mixing
        from threea_spark.model_store import require_empty
        from threea_spark.tracking import require_mlflow

        if self.model is not None:
            if is_mixing(config):
                raise ConfigError("--save-model: a mixed table is no model; use anonymize.generator: sample")
            require_empty(self.model)
        if self.is_tracked:
            require_mlflow()

    def write(self, spark: SparkSession, config: ReleaseConfig, receipt: Receipt, model: ReleaseModel | None) -> None:
        """Writes all that was asked of a release that was just made; says where, and what failed."""
        path = self.receipt or receipt_path(config, receipt.release_id)
        receipt.write(path)
        err.print(f"receipt written to {path}", markup=False)
        if self.model is not None and model is not None:
            model.save(self.model)
        page = self.report or report_path(config, receipt.release_id)
        is_written = self.with_report and try_report(spark, config, receipt, page)
        if self.is_tracked:
            try_tracking(receipt, config, model, page if is_written else None, self.mlflow_experiment)
