"""Logs one MLflow run per release: its configuration, receipt, public report and model, and nothing else.

All of it is public or was released under the guarantee. Runs are created with MLflow's client, never as the active run:
no user, machine, script or system metric is recorded beside the receipt, which says who made the release, and when. A
run's times are those of logging.
"""

from __future__ import annotations

import logging
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from threea_spark.config.release import ConfigLike, ReleaseConfig
from threea_spark.config.yaml_files import written_yaml
from threea_spark.errors import ConfigError, EnvironmentNotReadyError
from threea_spark.publish.mlflow_fields import TAG_RECEIPT, fingerprint, metrics_of, params_of, tags_of
from threea_spark.publish.mlflow_model import save_for_mlflow
from threea_spark.publish.mlflow_store import experiment_id, reason_of, require_mlflow
from threea_spark.publish.receipt import Receipt

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from threea_spark.model.released import ReleaseModel

log = logging.getLogger("threea_spark")

RECEIPT_FILE, CONFIG_FILE, REPORT_FILE, MODEL_FOLDER = "receipt.json", "config.yaml", "report.html", "model"


def log_release(
    receipt: Receipt,
    *,
    config: ConfigLike,
    model: ReleaseModel | None = None,
    report: str | None = None,
    experiment: str | None = None,
) -> str:
    """Logs a release to MLflow, at MLFLOW_TRACKING_URI or `mlflow.set_tracking_uri`; reads no row.

    A receipt that was logged before is not logged again: missing files are added to its existing run.

    Args:
      receipt: The release's receipt.
      config: The release's configuration, as in `release`.
      model: Its model, logged as the folder `model`: a `python_function` that a registry takes, whose predict draws as
        many rows as the `n_rows` of its input says. `ReleaseModel.load(mlflow.artifacts.download_artifacts(...))` reads
        the same folder.
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
    config = ReleaseConfig.of(config)
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
                f"MLflow did not accept the run: {reason_of(error)}; the release is kept. Check MLFLOW_TRACKING_URI "
                "and the experiment, then log it with threea_spark.log_release"
            ) from None


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
        save_for_mlflow(model, folder / MODEL_FOLDER)


def _logged(folder: Path, receipt: Receipt, config: ReleaseConfig, experiment: str | None) -> str:
    """Creates the run, or adds missing files to an existing one; marks a new run as failed if logging fails."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    client = MlflowClient()
    own = experiment_id(client, experiment)
    known = f"tags.`{TAG_RECEIPT}` = '{fingerprint(receipt)}' and attributes.status = 'FINISHED'"
    for run in client.search_runs([own], known, max_results=1):
        _add_files(client, run.info.run_id, folder)
        return str(run.info.run_id)
    info = client.create_run(own, tags=tags_of(receipt), run_name=receipt.release_id).info
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
