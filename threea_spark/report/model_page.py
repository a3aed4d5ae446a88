"""The report of a fitted model, without Spark: from the model's own statement and rows drawn from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from threea_spark.privacy.large_delta import fewest_units
from threea_spark.privacy.unit import PrivacyUnit
from threea_spark.publish.receipt import NO_VERSION, Receipt, package_versions
from threea_spark.report.public import public_page
from threea_spark.report.summary import summary_of

if TYPE_CHECKING:
    from threea_spark.model.released import ReleaseModel

MAX_ROWS = 20_000


def model_report_html(model: ReleaseModel, *, n_rows: int | None = None, seed: int = 0) -> str:
    """Renders the report of a model that `fit` or `Synthesizer` made; it costs no privacy, and may be shared.

    Args:
      model: The model.
      n_rows: Number of rows to draw and to describe; None draws as many as the source holds, at most 20,000.
      seed: Public; of the rows that are drawn.

    Returns:
      One HTML document without scripts, network access or other files.

    Raises:
      ConfigError: if n_rows is not positive or above what one process draws.
    """
    rows = model.sample_local(min(model.matching_rows, MAX_ROWS) if n_rows is None else n_rows, seed=seed)
    receipt = Receipt(
        release_id="model",
        source="rows that were passed to fit",
        source_version=NO_VERSION,
        target="no table: rows are drawn from the model on request",
        n_released=len(rows),
        generator="sample",
        columns=tuple(rows.columns),
        left_out=(),
        privacy=model.privacy,
        resolved={},
        diagnostics=model.advice,
        versions=package_versions(),
        rules=model.domain.rules_in_words,
        domain_fit=dict(model.domain_fit),
        n_units=fewest_units(model.n_rows, 1) if model.privacy.unit == str(PrivacyUnit()) else None,
    )
    return public_page(receipt, summary_of(rows, model.domain, len(rows), model.tables), model.domain)
