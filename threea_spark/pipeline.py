"""fit() and release(): checked, planned and booked before a row is read; then the stages; then one write."""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from threea_spark.adapt.reference_kernel import check_kernel
from threea_spark.anonymize.mix import Mixed
from threea_spark.anonymize.mixed_rows import mixing
from threea_spark.booking import booked, one_error
from threea_spark.config.release import ReleaseConfig
from threea_spark.engine import delta
from threea_spark.engine.progress import Listener, Progress
from threea_spark.engine.spark import SparkSource
from threea_spark.engine.staging import staging
from threea_spark.errors import ConfigError
from threea_spark.model.blocks import BlockDraw
from threea_spark.model.draw import sampled_rows
from threea_spark.model.released import ReleaseModel
from threea_spark.model.row_keys import RowKeys
from threea_spark.model.sampler import Drawn
from threea_spark.planned import make_plan
from threea_spark.preflight import Prepared, checked_staging_schema, checked_types, prepare
from threea_spark.privacy.budget import PrivacyPlan
from threea_spark.privacy.statement import PrivacyStatement, statement_of
from threea_spark.publish import write
from threea_spark.publish.appending import Appending, largest_key
from threea_spark.publish.ledger import Ledger, SourceHistory
from threea_spark.publish.receipt import PROPERTY_RELEASE, Receipt, package_versions
from threea_spark.publish.standing import standing_of
from threea_spark.recipes.choice import expected
from threea_spark.recipes.recipe import ENCODE_STEPS, WRITE_STEP
from threea_spark.source.local import check_missing, local_source
from threea_spark.source.pandas import arrow_table, is_in_memory, released_types
from threea_spark.source.rows import spark_source
from threea_spark.stages import Fitted, run_stages

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

log = logging.getLogger("threea_spark")

_RELEASED_FILE_ROWS = 1_000_000


def fit(
    rows: DataFrame | pd.DataFrame | pa.Table, config: ReleaseConfig, *, listener: Listener | None = None
) -> ReleaseModel:
    """Fits a model of a table under the configured guarantee.

    Args:
      rows: The private table: a Spark DataFrame, or a pandas frame or Arrow table, which is read in this process and
        needs no Spark. `config.source` is not read, but says where the private rows of a DataFrame are staged. The
        types of a DataFrame's columns are released. Those of a table are public; those that Spark inferred from rows
        (`createDataFrame` of a pandas frame or of Python objects, `inferSchema`) are functions of the rows, which no
        noise covers: declare the schema, or pass the frame itself. Of a frame the domain decides the types, and its
        cells are read as `Synthesizer` reads them.
      config: The release's configuration; the generator must be `sample`, since a mixed table is not a model. Its
        ledger, a Delta table, is charged under `config.source`.
      listener: Shows progress.

    Raises:
      ConfigError: if the generator mixes rows, the source is to be read since a version, or a frame is to be booked in
        a ledger, which needs Spark.
      SchemaError, SourceError, BudgetError, EnvironmentNotReadyError: before any row is read.
      ReleaseFailedError: if a stage failed.
    """
    if config.is_mixing:
        raise ConfigError("anonymize.generator: fit() makes a model to sample from; use release() for mix and random")
    if config.source.since is not None:
        raise ConfigError("source.since: fit() reads all rows it is given; use release(), or drop it")
    check_kernel(config.adapt)
    if is_in_memory(rows):
        return _fit_in_memory(rows, config, listener)
    return _fit_on_spark(cast("DataFrame", rows), config, listener)


def _fit_on_spark(rows: DataFrame, config: ReleaseConfig, listener: Listener | None) -> ReleaseModel:
    types, release_id = checked_types(rows, config), _new_release_id(config)
    spark, plan = rows.sparkSession, make_plan(config)
    schema = checked_staging_schema(spark, config)
    ledger = Ledger.open(spark, config, plan, release_id=release_id)
    with booked(ledger), staging(spark, release_id, schema) as name:
        fitted = _fitted(rows, config, plan, release_id, name, _progress(config, plan, listener))
        ledger.require_counting()
        return _model(fitted, config, types, statement_of(fitted.meter))


def _fit_in_memory(rows: pd.DataFrame | pa.Table, config: ReleaseConfig, listener: Listener | None) -> ReleaseModel:
    domain, unit = config.domain, config.privacy.privacy_unit
    if config.privacy.ledger is not None:
        raise ConfigError(
            "privacy.ledger: a ledger is a Delta table, which needs Spark; pass fit() a Spark DataFrame, or drop the "
            "ledger and book this release by hand"
        )
    check_missing(unit)
    plan, table = make_plan(config), arrow_table(rows, domain, unit.column, config.added_columns)
    with one_error("the fit"):
        fitted = run_stages(
            lambda key: local_source(table, domain, unit, key),
            config,
            plan,
            _new_release_id(config),
            _progress(config, plan, listener),
        )
        return _model(fitted, config, released_types(domain) | config.added_columns, statement_of(fitted.meter))


def _new_release_id(config: ReleaseConfig) -> str:
    return f"{config.digest}-{secrets.token_hex(4)}"


def release(spark: SparkSession, config: ReleaseConfig, *, listener: Listener | None = None) -> Receipt:
    """Releases a Delta table: reads one version, checks the ledger, fits, writes once, and says what it did.

    Args:
      spark: A session, classic or Connect.
      config: The release's configuration.
      listener: Shows progress.

    Returns:
      The receipt, which is also stored in the target's commit metadata.

    Raises:
      ReleaseExistsError: if this very release was written before; nothing is read.
      TargetExistsError: if the target holds something else.
      SourceError, SchemaError, BudgetError: before any row is read.
      ReleaseFailedError: if a stage failed; neither target nor staging is left.
    """
    return release_with_model(spark, config, listener=listener)[0]


def release_with_model(
    spark: SparkSession, config: ReleaseConfig, *, listener: Listener | None = None
) -> tuple[Receipt, ReleaseModel | None]:
    """Does what `release` does, and also returns the model that was sampled; None where rows were mixed."""
    ready = prepare(spark, config)
    progress = _progress(config, ready.plan, listener, writes=True)
    with booked(ready.ledger), staging(spark, ready.release_id, ready.staging) as name:
        fitted = _fitted(ready.rows, config, ready.plan, ready.release_id, name, progress)
        receipt = replace(_receipt(fitted, config, ready), ledger=ready.ledger.receipt_entry)
        ready.ledger.require_counting()
        with progress.step(WRITE_STEP):
            _write(spark, fitted, config, ready, receipt)
    log.info("internal, not covered by the guarantee: seconds by step %s", progress.seconds)
    return receipt, None if isinstance(fitted.outcome, Mixed) else _model(fitted, config, ready.types, receipt.privacy)


def _progress(config: ReleaseConfig, plan: PrivacyPlan, listener: Listener | None, *, writes: bool = False) -> Progress:
    """Counts the steps of the recipe that is expected; the one that is chosen may have others."""
    steps = (*ENCODE_STEPS, *expected(config, plan).steps)
    return Progress(len(steps) + writes, listener, writes)


def _fitted(
    rows: DataFrame, config: ReleaseConfig, plan: PrivacyPlan, release_id: str, staging_name: str, progress: Progress
) -> Fitted:
    """Runs the stages on Spark."""

    def source(key: bytes) -> SparkSource:
        return spark_source(rows, config.domain, plan.unit, key, staging_name)

    return run_stages(source, config, plan, release_id, progress)


def _model(fitted: Fitted, config: ReleaseConfig, types: dict[str, str], privacy: PrivacyStatement) -> ReleaseModel:
    if isinstance(fitted.outcome, Mixed):
        raise ConfigError("anonymize.generator: a mixed table is not a model to sample from")
    drawn = fitted.outcome
    return ReleaseModel(
        fitted.domain, drawn.encoding, drawn.sampler, types, fitted.n_rows, privacy, fitted.advice, fitted.fit.as_dict()
    )


def _receipt(fitted: Fitted, config: ReleaseConfig, ready: Prepared) -> Receipt:
    """Makes the receipt before a row is written: events that cost more than the claim stop the release here."""
    statement = statement_of(fitted.meter)
    return Receipt(
        release_id=ready.release_id,
        source=str(config.source),
        source_version=ready.version,
        source_since=config.source.since,
        target=str(config.target),
        n_released=_n_released(fitted, config),
        generator=config.anonymize.generator,
        columns=tuple(ready.types),
        left_out=ready.left_out,
        rules=config.domain.rules_in_words,
        privacy=statement,
        resolved=fitted.recipe.values,
        diagnostics=fitted.advice,
        versions=package_versions(),
        domain_fit=fitted.fit.as_dict(),
    )


def _write(spark: SparkSession, fitted: Fitted, config: ReleaseConfig, ready: Prepared, receipt: Receipt) -> None:
    """Writes the released rows in one commit, the receipt in its metadata."""
    rows, target, text = _released_rows(spark, fitted, config, ready, receipt), ready.target, receipt.to_json()
    if config.target.mode == "append" and delta.exists(spark, target):
        on_its_way = Appending(spark, target, ready.held, SourceHistory.of(spark, config).keeps_apart)
        on_its_way.write(lambda: write.append(rows, target, text, release_id=receipt.release_id), text)
    else:
        properties = {PROPERTY_RELEASE: receipt.release_id, **standing_of([ready.held.as_written]).properties}
        write.write_new(rows, target, text, release_id=receipt.release_id, properties=properties)


def _n_released(fitted: Fitted, config: ReleaseConfig) -> int:
    if isinstance(fitted.outcome, Mixed):
        return fitted.outcome.mixer.n_groups
    asked = config.anonymize.rows
    return max(1, round(fitted.n_rows)) if asked == "match" else int(asked)


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
