"""Renders a release's reports as HTML, for notebooks and files: `report_html` and `internal_report_html`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from threea_spark.config.release import ConfigLike, ReleaseConfig
from threea_spark.engine.delta import Place, commit_metadata, read_latest
from threea_spark.engine.given import require_session
from threea_spark.errors import SourceError
from threea_spark.publish.kept_model import kept_model, require_model_of
from threea_spark.publish.receipt import Receipt, receipt_in
from threea_spark.publish.standing import standing_at
from threea_spark.source.reading import local_rows, names_in_order

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from threea_spark.model.released import ReleaseModel

MAX_ROWS = 50_000
_MAX_CELLS = 12_000_000  # so that a wide table fits on the driver too


def report_html(
    spark: SparkSession,
    config: ConfigLike,
    receipt: Receipt | None = None,
    model: ReleaseModel | None = None,
    *,
    max_rows: int = MAX_ROWS,
) -> str:
    """Renders the report of a written release; on Databricks, `displayHTML(report_html(spark, config))`.

    It reads only the receipt, the released table and the model, never the source: it costs no privacy, and may be
    shared. If the table holds rows of several releases, the report says so, and states the claim for all of them
    together.

    Args:
      spark: A session, classic or Connect.
      config: The release's configuration, as in `release`.
      receipt: The release's receipt; found in the target's commits if None.
      model: The release's model, for the tables of pairs that it was made of; if None, the one that lies where
        `threea release` saves it, if any. Without a model the tables are counted in the released rows.
      max_rows: Maximum number of released rows collected on the driver; fewer for a wide table.

    Returns:
      One HTML document without scripts, network access or other files.

    Raises:
      SourceError: if the released table or its receipt cannot be read, or the receipt belongs to another release.
      ModelError: if the model is another release's.
    """
    from threea_spark.report.public import public_page
    from threea_spark.report.summary import summary_of

    require_session(spark)
    config = ReleaseConfig.of(config)
    found = receipt if receipt is not None else receipt_of(spark, config)
    columns = {*config.domain.columns, *config.domain.keys, *config.added_columns}
    if found.target != str(config.target) or set(found.columns) != columns:
        raise SourceError(
            f"the receipt is for {found.target}, with {len(found.columns)} columns, not for the configuration's "
            f"{config.target}, with {len(columns)}; pass the receipt of this release"
        )
    target = Place.of(config.target.table, config.target.path)
    rows = read_latest(spark, target)
    frame = local_rows(rows, config.domain, names_in_order(rows, config.domain), _fitting(config, max_rows))
    own = kept_model(config, found) if model is None else require_model_of(model, found)
    summary = summary_of(frame, config.domain, rows.count(), None if own is None else own.tables)
    return public_page(found, summary, config.domain, standing_at(spark, target))


def internal_report_html(
    spark: SparkSession, config: ConfigLike, held_out: DataFrame | str | Path, *, max_rows: int = MAX_ROWS
) -> str:
    """Renders the INTERNAL report: real rows against released ones, and models tested on held-out real rows.

    Args:
      spark: A session, classic or Connect.
      config: The configuration of the release that was written, as in `release`.
      held_out: Real rows the release never read: a DataFrame, a table name, or the path of a Delta table.
      max_rows: Maximum number of rows collected on the driver from each table; fewer for a wide table.

    Returns:
      One HTML document; it is not covered by the guarantee, says so on every page, and must not be published.

    Raises:
      SourceError: if one of the three tables cannot be read.
      EnvironmentNotReadyError: if lightgbm is missing.
    """
    from threea_spark.evaluation.evaluate import read_rows
    from threea_spark.report.comparison import compare
    from threea_spark.report.internal import internal_page

    require_session(spark)
    config = ReleaseConfig.of(config)
    rows = read_rows(spark, config, held_out, max_rows=_fitting(config, max_rows))
    return internal_page(str(config.target), compare(rows, config.domain))


def receipt_of(spark: SparkSession, config: ReleaseConfig) -> Receipt:
    """Finds the newest receipt of a configuration in the commits of its target; reads no row.

    Raises:
      SourceError: if there is none.
    """
    target = Place.of(config.target.table, config.target.path)
    read_latest(spark, target)  # raises if the table is missing
    for receipt in _receipts(commit_metadata(spark, target)):
        if receipt.release_id.startswith(f"{config.digest}-"):
            return receipt
    raise SourceError(f"target: the commits of {target} contain no receipt of this configuration; pass its file")


def _receipts(texts: list[str]) -> Iterator[Receipt]:
    return filter(None, map(receipt_in, texts))


def _fitting(config: ReleaseConfig, max_rows: int) -> int:
    return max(1, min(max_rows, _MAX_CELLS // len(config.domain.columns)))


def internal_path(path: Path) -> Path:
    """Returns the path of the internal report: next to the public one, with `.internal` in its name."""
    return path.with_name(path.name.removesuffix(".html") + ".internal.html")


def write_html(html: str, path: Path) -> None:
    """Writes a report to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html, encoding="utf-8")
