"""Resolves and checks a release before it reads a row; this is all that a dry run does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from threea_spark.adapt.reference_kernel import check_kernel
from threea_spark.config.release import ReleaseConfig
from threea_spark.config.table_names import PlaceKey
from threea_spark.config.tables import PlaceConfig, clash_of
from threea_spark.engine import delta
from threea_spark.errors import ConfigError, ReleaseExistsError, SchemaError, SourceError, TargetExistsError
from threea_spark.planned import make_plan
from threea_spark.privacy.budget import PrivacyPlan
from threea_spark.privacy.cohorts import Cohort
from threea_spark.privacy.statement import plan_in_words
from threea_spark.privacy.unit import Missing
from threea_spark.publish.fitting_target import check_fits, columns_of
from threea_spark.publish.held import Held, hashed, held_in
from threea_spark.publish.kept_model import model_path
from threea_spark.publish.ledger import Ledger
from threea_spark.publish.receipt import PROPERTY_RELEASE
from threea_spark.publish.standing import check_may_join
from threea_spark.recipes.choice import expected
from threea_spark.recipes.recipe import ENCODE_STEPS, WRITE_STEP
from threea_spark.source import rows as table
from threea_spark.source import since
from threea_spark.source.schema import check_names, check_schema, left_out, released_type

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Prepared:
    """A release that has passed every check that is possible without reading a row.

    Attributes:
      release_id: The release's name.
      version: The version of the source.
      target: Where the release will be written.
      rows: The rows that it will read. PRIVATE.
      types: Spark's simple type string for each released column.
      left_out: Columns of the source that the domain does not name.
      plan: The budget of each stage.
      staging: Schema for private staging, quoted; empty for the session's own.
      ledger: The ledger in which the release will be booked; no entry has been made yet.
      held: What the target's properties will say about the release.
    """

    release_id: str
    version: int
    target: delta.Place
    rows: DataFrame
    types: dict[str, str]
    left_out: tuple[str, ...]
    plan: PrivacyPlan
    staging: str
    ledger: Ledger
    held: Held

    def steps(self, config: ReleaseConfig) -> tuple[str, ...]:
        """The steps that will run; a table of fewer rows than declared may take others after Encode."""
        return (*ENCODE_STEPS, *expected(config, self.plan).steps, WRITE_STEP)

    def as_dict(self, config: ReleaseConfig, *, is_booked: bool) -> dict[str, object]:
        """Returns what a dry run reports, as plain values; `is_booked`: whether a ledger would book the release."""
        return {
            "release_id": self.release_id,
            "source": str(config.source),
            "source_version": self.version,
            "source_since": config.source.since,
            "target": str(self.target),
            "columns": list(self.types),
            "left_out": list(self.left_out),
            "rules": list(config.domain.rules_in_words),
            "ledger": is_booked,
            "steps": list(self.steps(config)),
            "plan": {stage.value: mu for stage, mu in self.plan.stage_mu.items()},
        }

    def in_words(self, config: ReleaseConfig, *, is_booked: bool) -> str:
        """Returns what a dry run reports, for a person; see `as_dict`."""
        ledger = "has budget for this release" if is_booked else "none is configured"
        since = "" if config.source.since is None else f", units that version {config.source.since} did not hold"
        return "\n".join(
            [
                f"Dry run of release {self.release_id}: nothing was read, written or booked",
                f"  source      {config.source} at version {self.version}{since}",
                f"  target      {self.target} ({config.target.mode})",
                f"  columns     {len(self.types)}: {', '.join(self.types)}",
                f"  left out    {', '.join(self.left_out) or 'no column'}",
                *(f"  rule        {text}" for text in config.domain.rules_in_words),
                f"  ledger      {ledger}",
                *(f"  step        {step}" for step in self.steps(config)),
                plan_in_words(self.plan),
            ]
        )


def prepare(spark: SparkSession, config: ReleaseConfig) -> Prepared:
    """Resolves and checks what a release needs; reads and writes nothing, and books nothing.

    Args:
      spark: A session, classic or Connect.
      config: The release's configuration.

    Raises:
      ConfigError: if source, target and ledger are not three different places.
      EnvironmentNotReadyError: if the configured kernel needs a library that is missing.
      ReleaseExistsError, TargetExistsError, SourceError, SchemaError: see `release`.
    """
    check_kernel(config.adapt)
    source = delta.Place.of(config.source.table, config.source.path)
    target = delta.Place.of(config.target.table, config.target.path)
    version = delta.latest_version(spark, source, config.source.version)
    release_id = f"{config.digest}-v{version}"
    _check_apart(spark, config)
    every = delta.read_version(spark, source, version)
    types, plan = checked_types(every, config), make_plan(config)
    _check_target(spark, target, config, release_id, types)
    ledger = Ledger.open(spark, config, plan, release_id=release_id, cohort=Cohort(config.source.since, version))
    return Prepared(
        release_id=release_id,
        version=version,
        target=target,
        rows=since.rows_to_read(spark, source, every, config, version),
        types=types,
        left_out=tuple(left_out(table.schema_of(every), config.domain)),
        plan=plan,
        ledger=ledger,
        held=Held.of(ledger.spend, plan, delta.table_id(spark, source)),
        staging=checked_staging_schema(spark, config),
    )


def checked_types(rows: DataFrame, config: ReleaseConfig) -> dict[str, str]:
    """Checks the schema and returns the types of the released columns, in the source's order; reads no row.

    Columns that the release adds are the last.

    Args:
      rows: The source's rows.
      config: The release's configuration.

    Raises:
      SchemaError: if the domain does not fit, the source has a column that the release would add or two names that
        differ in case alone, or the schema allows null where a unit's identifier is required.
    """
    found, unit = table.schema_of(rows), config.privacy.privacy_unit
    check_schema(found, config.domain, unit.column, config.added_columns)
    if rows.sparkSession.conf.get("spark.sql.caseSensitive") != "true":
        check_names(rows.columns, {*config.domain.columns, *([] if unit.column is None else [unit.column])})
    if unit.missing is Missing.REFUSE and rows.schema[str(unit.column)].nullable:
        raise SchemaError(
            f"privacy.unit.missing: refuse needs {unit.column!r} to be NOT NULL in the source, but its schema allows "
            "null; declare the column NOT NULL (in a copy of the table, say), or use drop or together"
        )
    released = {*config.domain.columns, *config.domain.keys}
    types = {name: released_type(simple) for name, simple in found.items() if name in released}
    return types | config.added_columns


def checked_staging_schema(spark: SparkSession, config: ReleaseConfig) -> str:
    """Returns the schema in which private rows will be staged, quoted; empty for the session's own. Creates nothing.

    Raises:
      SourceError: if the schema does not exist.
    """
    schema = config.source.schema_of_staging
    if schema and not spark.catalog.databaseExists(schema):
        raise SourceError(
            f"source.staging_schema: there is no schema {schema} in this session, where private rows would be staged; "
            "create it or choose another"
        )
    return schema


def _check_apart(spark: SparkSession, config: ReleaseConfig) -> None:
    """Compares source, target and ledger by Delta's identifiers and folders, since a table may have many names."""
    known: dict[str, PlaceKey] = {}

    def key_of(configured: PlaceConfig) -> PlaceKey:
        found, folder = delta.identity(spark, delta.Place.of(configured.table, configured.path))
        key = folder or configured.key
        return known.setdefault(found, key) if found else key

    ledger = config.privacy.ledger
    books = {} if ledger is None else {field: key_of(place) for field, place in ledger.places}
    problem = clash_of(key_of(config.source), key_of(config.target), books)
    if problem is not None:
        raise ConfigError(problem)


def _check_target(
    spark: SparkSession, target: delta.Place, config: ReleaseConfig, release_id: str, types: dict[str, str]
) -> None:
    other = delta.no_delta(spark, target)
    if other is not None and (other.is_there or delta.exists(spark, target)):
        raise TargetExistsError(f"target: {target} {other.what}, and releases are Delta tables; choose another target")
    if other is not None:
        return
    properties = delta.properties_of(spark, target)
    releases = held_in(properties, delta.commit_metadata(spark, target))
    if any(held.release_id == release_id and held.is_written for held in releases):
        model = model_path(config, release_id)
        raise ReleaseExistsError(
            f"release {release_id} already exists at {target}: same configuration, same source version; nothing was "
            f"read. Use its rows as they are, or draw more from its model, by default {model}, with `threea sample` at "
            "no cost; --if-exists skip (if_exists='skip') takes such a run for done"
        )
    if config.target.mode == "create":
        made = "holds another release; choose another target, use mode: append, or drop it"
        found = "exists and was not made by a release; it is left untouched. Choose another target"
        raise TargetExistsError(f"target: {target} {made if PROPERTY_RELEASE in properties else found}")
    own = columns_of(delta.read_latest(spark, target).schema)
    if absent := [name for name in config.added_columns if name not in {column.name for column in own}]:
        raise TargetExistsError(
            f"target: {target} holds releases without {absent[0]!r}, which anonymize.label_probability adds; drop the "
            "option, or choose another target"
        )
    privacy = config.privacy
    check_may_join(
        properties,
        releases,
        target,
        accounting=privacy.accounting,
        relation=privacy.relation,
        unit=hashed(str(privacy.privacy_unit)),
    )
    check_fits(target, own, properties, types, config.domain, casts=not target.is_path)
