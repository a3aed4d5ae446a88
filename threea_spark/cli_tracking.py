"""What `threea release --mlflow` does once a release was made."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from threea_spark.config import ReleaseConfig
from threea_spark.console import err, escaped
from threea_spark.publish.receipt import Receipt

if TYPE_CHECKING:
    from threea_spark.model import ReleaseModel

log = logging.getLogger("threea_spark")


def try_tracking(
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
    from threea_spark.tracking import log_release

    try:
        html = None if report is None else report.read_text(encoding="utf-8")
        run_id = log_release(receipt, config=config, model=model, report=html, experiment=experiment)
    except Exception as error:  # whatever it was, the release is done and must not look as if it were not
        log.debug("the release could not be logged to MLflow", exc_info=True)
        cause = type(error.__cause__ or error).__name__
        err.print(
            escaped(
                f"the release stands, but MLflow did not take it ({cause}); check MLFLOW_TRACKING_URI, then log it "
                "with threea_spark.log_release"
            )
        )
    else:
        err.print(escaped(f"logged to MLflow as run {run_id}"))
