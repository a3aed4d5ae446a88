"""fit() and release(): checked, planned and booked before a row is read; then the stages; then one write."""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from threea_spark.adapt.reference_kernel import check_kernel
from threea_spark.approximate.device import noting_devices
from threea_spark.booking import booked, one_error
from threea_spark.config.release import ConfigLike, ReleaseConfig
from threea_spark.encode.outline import keeps_rows
from threea_spark.engine.given import require_session, require_spark_rows
from threea_spark.engine.progress import Listener, Progress
from threea_spark.engine.session_user import session_user, utc_now
from threea_spark.engine.spark import SparkSource
from threea_spark.engine.staging import staging
from threea_spark.errors import ConfigError
from threea_spark.model.released import ReleaseModel
from threea_spark.planned import make_plan
from threea_spark.preflight import Prepared, checked_staging_schema, checked_types, prepare
from threea_spark.privacy.budget import PrivacyPlan
from threea_spark.privacy.large_delta import fewest_units
from threea_spark.privacy.statement import statement_of
from threea_spark.publish.if_exists import IfExists
from threea_spark.publish.ledger import Ledger
from threea_spark.publish.receipt import Receipt, package_versions, public_values
from threea_spark.publish.written import receipt_before
from threea_spark.recipes.choice import expected
from threea_spark.recipes.recipe import ENCODE_STEPS, WRITE_STEP
from threea_spark.source.local import check_missing, local_source
from threea_spark.source.pandas import arrow_table, is_in_memory, released_types
from threea_spark.source.rows import spark_source
from threea_spark.stages import Fitted, run_stages
from threea_spark.writing import write_release

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

log = logging.getLogger("threea_spark")


def fit(
    rows: DataFrame | pd.DataFrame | pa.Table, config: ConfigLike, *, listener: Listener | None = None
) -> ReleaseModel:
    """Fits a model of a table under the configured guarantee.

    Args:
      rows: The private table: a Spark DataFrame, or a pandas frame or Arrow table, which is read in this process and
        needs no Spark. `config.source` is not read, but says where the private rows of a DataFrame are staged. The
        types of a DataFrame's columns are released. Those of a table are public; those that Spark inferred from rows
        (`createDataFrame` of a pandas frame or of Python objects, `inferSchema`) are functions of the rows, which no
        noise covers: declare the schema, or pass the frame itself. Of a frame the domain decides the types, and its
        cells are read as `Synthesizer` reads them.
      config: The release's configuration, as in `release`; the generator must be `sample`, since a mixed table is not
        a model. Its ledger, a Delta table, is charged under `config.source`.
      listener: Shows progress.

    Raises:
      ConfigError: if the generator mixes rows, the source is to be read since a version, a frame is to be booked in a
        ledger, which needs Spark, or an argument has a wrong type.
      SchemaError, SourceError, BudgetError, EnvironmentNotReadyError: before any row is read.
      ReleaseFailedError: if a stage failed.
    """
    config = ReleaseConfig.of(config)
    if config.is_mixing:
        raise ConfigError("anonymize.generator: fit() makes a model to sample from; use release() for mix and random")
    if config.source.since is not None:
        raise ConfigError("source.since: fit() reads all rows it is given; use release(), or drop it")
    check_kernel(config.adapt)
    if is_in_memory(rows):
        return _fit_in_memory(rows, config, listener)
    require_spark_rows(rows, "rows", "a pandas frame or an Arrow table")
    return _fit_on_spark(cast("DataFrame", rows), config, listener)


def _fit_on_spark(rows: DataFrame, config: ReleaseConfig, listener: Listener | None) -> ReleaseModel:
    types, release_id = checked_types(rows, config), _new_release_id(config)
    spark, plan = rows.sparkSession, make_plan(config)
    schema = checked_staging_schema(spark, config)
    ledger = Ledger.open(spark, config, plan, release_id=release_id)
    with booked(ledger), staging(spark, release_id, schema) as name:
        fitted = _fitted(rows, config, plan, release_id, name, _progress(config, plan, listener))
        ledger.require_counting()
        return fitted.model(types, statement_of(fitted.meter))


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
        return fitted.model(released_types(domain) | config.added_columns, statement_of(fitted.meter))


def _new_release_id(config: ReleaseConfig) -> str:
    return f"{config.digest}-{secrets.token_hex(4)}"


def release(
    spark: SparkSession, config: ConfigLike, *, if_exists: IfExists = "error", listener: Listener | None = None
) -> Receipt:
    """Releases a Delta table: reads one version, checks the ledger, fits, writes once, and says what it did.

    Args:
      spark: A session, classic or Connect.
      config: The release's configuration: a ReleaseConfig, a mapping of its fields, or the path of its YAML.
      if_exists: `skip` returns the receipt in the target's history if this very release, of the same version of the
        source, was written before; nothing is read or booked. Anything else at the target is refused all the same.
      listener: Shows progress.

    Returns:
      The receipt, which is also stored in the target's commit metadata.

    Raises:
      ConfigError: if the configuration breaks a rule, or an argument has a wrong type.
      ReleaseExistsError: if this very release was written before; nothing is read.
      TargetExistsError: if the target holds something else.
      SourceError, SchemaError, BudgetError: before any row is read.
      ReleaseFailedError: if a stage failed; neither target nor staging is left.
    """
    return release_with_model(spark, config, if_exists=if_exists, listener=listener)[0]


def release_with_model(
    spark: SparkSession, config: ConfigLike, *, if_exists: IfExists = "error", listener: Listener | None = None
) -> tuple[Receipt, ReleaseModel | None]:
    """Does what `release` does for the same expense, and also returns the model that the rows were drawn from.

    Args:
      spark, config, if_exists, listener: As in `release`.

    Returns:
      The receipt, and the model; None where rows were mixed, or the release was written before.

    Raises:
      ThreeAError: as `release`.
    """
    require_session(spark)
    checked = ReleaseConfig.of(config)
    before = receipt_before(spark, checked, if_exists)
    if before is not None:
        return before, None
    return released(spark, checked, prepare(spark, checked), listener=listener)


def released(
    spark: SparkSession, config: ReleaseConfig, ready: Prepared, *, listener: Listener | None = None
) -> tuple[Receipt, ReleaseModel | None]:
    """Carries out a release that passed all checks; see `release_with_model`."""
    progress = _progress(config, ready.plan, listener, writes=True)
    with booked(ready.ledger), staging(spark, ready.release_id, ready.staging) as name:
        with noting_devices() as devices:
            fitted = _fitted(ready.rows, config, ready.plan, ready.release_id, name, progress)
        receipt = _receipt(spark, fitted, config, ready)
        receipt = replace(receipt, ledger=ready.ledger.receipt_entry, devices=tuple(sorted(devices)))
        ready.ledger.require_counting()
        with progress.step(WRITE_STEP):
            write_release(spark, fitted, config, ready, receipt)
    log.info("internal, not covered by the guarantee: seconds by step %s", progress.seconds)
    return receipt, None if config.is_mixing else fitted.model(ready.types, receipt.privacy)


def _progress(config: ReleaseConfig, plan: PrivacyPlan, listener: Listener | None, *, writes: bool = False) -> Progress:
    """Counts the steps of the recipe that is expected; the one that is chosen may have others."""
    steps = (*ENCODE_STEPS, *expected(config, plan).steps)
    return Progress(len(steps) + writes, listener, writes)


def _fitted(
    rows: DataFrame, config: ReleaseConfig, plan: PrivacyPlan, release_id: str, staging_name: str, progress: Progress
) -> Fitted:
    """Runs the stages on Spark."""

    def source(key: bytes) -> SparkSource:
        return spark_source(rows, config.domain, plan.unit, key, staging_name, keeps=keeps_rows(config))

    return run_stages(source, config, plan, release_id, progress)


def _receipt(spark: SparkSession, fitted: Fitted, config: ReleaseConfig, ready: Prepared) -> Receipt:
    """Makes the receipt before a row is written: events that cost more than the claim stop the release here."""
    statement = statement_of(fitted.meter)
    return Receipt(
        release_id=ready.release_id,
        source=str(config.source),
        source_version=ready.version,
        source_since=config.source.since,
        target=str(config.target),
        n_released=fitted.n_released(config.anonymize.rows),
        generator=config.anonymize.generator,
        columns=tuple(ready.types),
        left_out=ready.left_out,
        rules=config.domain.rules_in_words,
        privacy=statement,
        resolved=fitted.recipe.values,
        diagnostics=fitted.advice,
        versions=package_versions(),
        domain_fit=fitted.fit.as_dict(),
        at=utc_now(),
        by=session_user(spark),
        config_digest=config.digest,
        config=public_values(config),
        n_units=None if ready.plan.is_conditional else fewest_units(fitted.n_rows, ready.plan.unit.max_rows),
    )
