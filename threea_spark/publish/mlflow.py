"""Logs one MLflow run per release: its configuration, receipt, public report and model, and nothing else.

All of it is public or was released under the guarantee. Runs are created with MLflow's client, never as the active run:
no user, machine, script or system metric is recorded beside the receipt, which says who made the release, and when. A
run's times are those of logging.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from threea_spark.config.release import ReleaseConfig
from threea_spark.config.yaml_files import written_yaml
from threea_spark.errors import ConfigError, EnvironmentNotReadyError
from threea_spark.publish.mlflow_fields import TAG_RECEIPT, fingerprint, metrics_of, params_of, tags_of
from threea_spark.publish.receipt import Receipt

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from threea_spark.model.released import ReleaseModel

log = logging.getLogger("threea_spark")

RECEIPT_FILE, CONFIG_FILE, REPORT_FILE, MODEL_FOLDER = "receipt.json", "config.yaml", "report.html", "model"
_NO_TELEMETRY = "MLFLOW_DISABLE_TELEMETRY"


def log_release(
    receipt: Receipt,
    *,
    config: ReleaseConfig,
    model: ReleaseModel | None = None,
    report: str | None = None,
    experiment: str | None = None,
) -> str:
    """Logs a release to MLflow, at MLFLOW_TRACKING_URI or `mlflow.set_tracking_uri`; reads no row.

    A receipt that was logged before is not logged again: missing files are added to its existing run.

    Args:
      receipt: The release's receipt.
      config: The release's configuration.
      model: Its model, stored as the folder `model`; `ReleaseModel.load(mlflow.artifacts.download_artifacts(...))`
        reads it.
      report: Its public report as HTML, from `report_html`.
      experiment: Name of the experiment, created if missing; if None, MLflow's active experiment or
        MLFLOW_EXPERIMENT_NAME.

    Returns:
      The run's identifier.

    Raises:
      ConfigError: if configuration, model or report do not belong to this release, or the report is the INTERNAL one;
        nothing is logged.
      EnvironmentNotReadyError: if mlflow is missing, or its store did not accept the run. The release is kept.
    """
    _check_one_release(receipt, config, model, report)
    require_mlflow()
    with tempfile.TemporaryDirectory(prefix="threea-mlflow-") as name:
        folder = Path(name)
        _write_files(folder, receipt, config, model, report)
        try:
            return _logged(folder, receipt, config, experiment)
        except Exception as error:  # from MLflow, its store, its database or the network
            log.debug("MLflow did not accept the run", exc_info=True)
            raise EnvironmentNotReadyError(
                f"MLflow did not accept the run ({type(error).__name__}); the release is kept. Check "
                "MLFLOW_TRACKING_URI and the experiment, then log it with threea_spark.log_release"
            ) from None


def require_mlflow() -> None:
    """Imports mlflow, with telemetry off unless the environment sets it or mlflow was imported before.

    Raises:
      EnvironmentNotReadyError: if it is missing.
    """
    if "mlflow" not in sys.modules:
        os.environ.setdefault(_NO_TELEMETRY, "true")
    try:
        importlib.import_module("mlflow")
    except ImportError:
        raise EnvironmentNotReadyError("mlflow is missing; pip install 'threea-spark[mlflow]'") from None


@contextmanager
def autologging_off() -> Iterator[None]:
    """Keeps MLflow from recording models trained on real rows, in case a notebook has turned autologging on."""
    if "mlflow" not in sys.modules:
        yield
        return
    from mlflow.utils.autologging_utils import disable_autologging

    with disable_autologging():
        yield


def _check_one_release(receipt: Receipt, config: ReleaseConfig, model: ReleaseModel | None, report: str | None) -> None:
    if not receipt.release_id.startswith(f"{config.digest}-"):
        raise ConfigError(f"config: receipt {receipt.release_id} belongs to another configuration; pass its own")
    if model is not None and (model.privacy != receipt.privacy or tuple(model.types) != receipt.columns):
        raise ConfigError(f"model: not the one that release {receipt.release_id} was drawn from; pass that one")
    if report is None:
        return
    title = re.search(r"<title>([^<]*)</title>", report)
    # names are escaped in a report, so no column can be taken for a title or a banner
    if title is None or title[1] != f"Release report {receipt.release_id}" or '<div class="banner"' in report:
        raise ConfigError(
            f"report: not the public report of release {receipt.release_id}; pass the result of report_html. An "
            "INTERNAL report must not be published"
        )


def _write_files(
    folder: Path, receipt: Receipt, config: ReleaseConfig, model: ReleaseModel | None, report: str | None
) -> None:
    receipt.write(folder / RECEIPT_FILE)
    (folder / CONFIG_FILE).write_text(written_yaml(config.model_dump(mode="json")), encoding="utf-8")
    if report is not None:
        (folder / REPORT_FILE).write_text(report, encoding="utf-8")
    if model is not None:
        model.save(folder / MODEL_FOLDER)


def _logged(folder: Path, receipt: Receipt, config: ReleaseConfig, experiment: str | None) -> str:
    """Creates the run, or adds missing files to an existing one; marks a new run as failed if logging fails."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    client = MlflowClient()
    experiment_id = _experiment_id(client, experiment)
    known = f"tags.`{TAG_RECEIPT}` = '{fingerprint(receipt)}' and attributes.status = 'FINISHED'"
    for run in client.search_runs([experiment_id], known, max_results=1):
        _add_files(client, run.info.run_id, folder)
        return str(run.info.run_id)
    info = client.create_run(experiment_id, tags=tags_of(receipt), run_name=receipt.release_id).info
    run_id = str(info.run_id)
    try:
        client.log_batch(
            run_id,
            metrics=[Metric(name, value, info.start_time, 0) for name, value in metrics_of(receipt).items()],
            params=[Param(name, value) for name, value in params_of(config, receipt).items()],
        )
        _add_files(client, run_id, folder)
    except BaseException:
        _mark_failed(client, run_id)
        raise
    client.set_terminated(run_id, "FINISHED")
    return run_id


def _experiment_id(client: MlflowClient, name: str | None) -> str:
    if name is None:
        from mlflow.tracking.fluent import _get_experiment_id  # the active one, the environment's, or a notebook's

        return str(_get_experiment_id())
    found = client.get_experiment_by_name(name)
    return str(client.create_experiment(name) if found is None else found.experiment_id)


def _add_files(client: MlflowClient, run_id: str, folder: Path) -> None:
    held = {item.path for item in client.list_artifacts(run_id)}
    for path in sorted(folder.iterdir()):
        if path.name in held:
            continue
        if path.is_dir():
            client.log_artifacts(run_id, str(path), path.name)
        else:
            client.log_artifact(run_id, str(path))


def _mark_failed(client: MlflowClient, run_id: str) -> None:
    try:
        client.set_terminated(run_id, "FAILED")
    except Exception:  # the store may be gone; the first error is the one to report
        log.debug("the MLflow run could not be marked as failed", exc_info=True)
