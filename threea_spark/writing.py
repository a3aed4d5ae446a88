"""Draws or mixes the rows of a release, and writes them in one commit."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from threea_spark.anonymize.mixed_rows import mixing
from threea_spark.config.release import ReleaseConfig
from threea_spark.engine import delta
from threea_spark.model.blocks import BlockDraw
from threea_spark.model.draw import sampled_rows
from threea_spark.model.row_keys import RowKeys
from threea_spark.model.sampler import Drawn
from threea_spark.preflight import Prepared
from threea_spark.publish import described, write
from threea_spark.publish.appending import Appending, largest_key
from threea_spark.publish.ledger import SourceHistory
from threea_spark.publish.receipt import PROPERTY_RELEASE, Receipt
from threea_spark.publish.standing import standing_of
from threea_spark.stages import Fitted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_RELEASED_FILE_ROWS = 1_000_000


def write_release(
    spark: SparkSession, fitted: Fitted, config: ReleaseConfig, ready: Prepared, receipt: Receipt
) -> None:
    """Writes the released rows in one commit, the receipt in its metadata; then labels the table.

    Args:
      spark: A session, classic or Connect.
      fitted: What the stages left; its staged rows are read once more where rows are mixed.
      config: The release's configuration.
      ready: The release as it was checked.
      receipt: Says what is written.
    """
    rows, target, text = _released_rows(spark, fitted, config, ready, receipt), ready.target, receipt.to_json()
    unit = receipt.privacy.unit
    if config.target.mode == "append" and delta.exists(spark, target):

        def commit() -> None:
            described.tag_table(spark, target, unit)  # before its rows, so that no tag says less than the table holds
            write.append(rows, target, text, release_id=receipt.release_id)

        Appending(spark, target, ready.held, SourceHistory.of(spark, config).keeps_apart).write(commit, text)
    else:
        whole = standing_of([ready.held.as_written]).properties
        properties = {PROPERTY_RELEASE: receipt.release_id, **whole, described.PROPERTY_UNIT: described.plain(unit)}
        if config.target.source_comments:
            rows = described.with_comments(rows, described.comments_of(ready.rows))
        write.write_new(rows, target, text, release_id=receipt.release_id, properties=properties)
        described.comment_on_table(spark, target, receipt)
    described.tag_table(spark, target, unit)


def _released_rows(
    spark: SparkSession, fitted: Fitted, config: ReleaseConfig, ready: Prepared, receipt: Receipt
) -> DataFrame:
    types = ready.types
    first_key = largest_key(spark, ready.target, config.domain.keys) + 1
    outcome, label, seed = fitted.outcome, config.domain.label, secrets.randbits(62)  # public randomness
    keys = RowKeys(config.domain.keys, seed, first_key)
    if isinstance(outcome, Drawn):
        sampler, encoding, further = outcome.sampler, outcome.encoding, config.domain.further_labels
        n_rows = receipt.n_released
        drawn = BlockDraw(sampler, encoding, label, types, n_rows, seed, further_labels=further, keys=keys)
        return sampled_rows(spark, drawn)
    exchange = mixing(outcome.mixer, outcome.granted, outcome.encoding, label, types, seed, keys)
    n_files = max(1, receipt.n_released // _RELEASED_FILE_ROWS)
    return write.without_layout(fitted.staged.exchanged(exchange), seed, n_files)
