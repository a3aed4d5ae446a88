"""MLflow's store: whether it is there, what it says if it is not, and which experiment runs belong to."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from threea_spark.errors import EnvironmentNotReadyError

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger("threea_spark")

_NO_TELEMETRY = "MLFLOW_DISABLE_TELEMETRY"
_RETRIES, _FEW_RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1"
_HEAD, _TAIL = 180, 120
"""Characters of a long message that are kept: libraries put what went wrong first or last."""
_PASSWORD = re.compile(r"(?<=://)[^/@\s]+@")
_DATABASE = re.compile(r"(sqlite|postgresql|mysql|mssql)[\w+]*://")


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


def open_experiment(name: str | None) -> str:
    """Opens the experiment of later runs, or creates it: what is refused here would be refused after the expense.

    Args:
      name: The experiment's name; if None, MLflow's active experiment or that of the environment.

    Returns:
      Its identifier.

    Raises:
      EnvironmentNotReadyError: if mlflow is missing, the store does not answer, or the experiment is deleted.
    """
    require_mlflow()
    from mlflow import MlflowClient

    try:
        with _few_retries():
            client = MlflowClient()
            found = experiment_id(client, name)
            is_active = client.get_experiment(found).lifecycle_stage == "active"
    except Exception as error:  # from MLflow, its store, its database or the network
        log.debug("MLflow's store could not be opened", exc_info=True)
        raise EnvironmentNotReadyError(
            f"MLflow's store could not be opened: {reason_of(error)}. Nothing was read or booked; check "
            "MLFLOW_TRACKING_URI and the experiment, or drop --mlflow"
        ) from None
    if not is_active:
        raise EnvironmentNotReadyError(
            f"MLflow's experiment {name or found!r} is deleted; restore it, or name another with --mlflow-experiment"
        )
    return found


def experiment_id(client: MlflowClient, name: str | None) -> str:
    """Returns the identifier of an experiment, which is created if it is missing; see `open_experiment`."""
    if name is None:
        from mlflow.tracking.fluent import _get_experiment_id  # the active one, the environment's, or a notebook's

        return str(_get_experiment_id())
    found = client.get_experiment_by_name(name)
    return str(client.create_experiment(name) if found is None else found.experiment_id)


def reason_of(error: Exception) -> str:
    """Returns what MLflow or its store said, in one line without passwords, and what a database store still needs."""
    said = _PASSWORD.sub("***@", " ".join(str(error).split()))
    short = said if len(said) <= _HEAD + _TAIL else f"{said[:_HEAD]} ... {said[-_TAIL:]}"
    if _DATABASE.search(said) and importlib.util.find_spec("sqlalchemy") is None:
        return f"a database as a store needs SQLAlchemy, pip install sqlalchemy alembic ({short})"
    return f"{short} ({type(error).__name__})" if short else type(error).__name__


@contextmanager
def _few_retries() -> Iterator[None]:
    """Keeps MLflow from asking a server that does not answer for minutes, unless the environment says how often."""
    if _RETRIES in os.environ:
        yield
        return
    os.environ[_RETRIES] = _FEW_RETRIES
    try:
        yield
    finally:
        os.environ.pop(_RETRIES, None)
