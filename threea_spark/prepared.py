"""What can be resolved and checked of a release before it reads a row: all that a dry run does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from threea_spark import increments, places
from threea_spark.config import ReleaseConfig
from threea_spark.errors import ReleaseExistsError, TargetExistsError
from threea_spark.planned import make_plan
from threea_spark.privacy.cohorts import Cohort
from threea_spark.privacy.plan import PrivacyPlan
from threea_spark.privacy.statement import plan_in_words
from threea_spark.publish.held import Held, hashed, held_in
from threea_spark.publish.ledger import Ledger
from threea_spark.publish.receipt import PROPERTY_RELEASE
from threea_spark.publish.standing import check_may_join
from threea_spark.table import spark as table
from threea_spark.table.schema import check_schema, left_out

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Prepared:
    """A release of which all is checked that can be without reading a row.

    Attributes:
      release_id: Names it.
      version: Of the source.
      target: Where it will be written.
      rows: Which it will read. PRIVATE.
      types: Spark's simple type string by released column.
      left_out: Columns of the source that the domain does not name.
      plan: What each stage may spend.
      ledger: Its entry, not yet made.
      held: What the target's properties will say of it.
    """

    release_id: str
    version: int
    target: places.Place
    rows: DataFrame
    types: dict[str, str]
    left_out: tuple[str, ...]
    plan: PrivacyPlan
    ledger: Ledger
    held: Held

    def as_dict(self, config: ReleaseConfig, *, is_booked: bool) -> dict[str, object]:
        """What a dry run says, as plain values; `is_booked`: whether a ledger would book it, and holds it."""
        return {
            "release_id": self.release_id,
            "source": str(config.source),
            "source_version": self.version,
            "source_since": config.source.since,
            "target": str(self.target),
            "columns": list(self.types),
            "left_out": list(self.left_out),
            "ledger": is_booked,
            "plan": {stage.value: mu for stage, mu in self.plan.stage_mu.items()},
        }

    def in_words(self, config: ReleaseConfig, *, is_booked: bool) -> str:
        """What a dry run says, for a person; see `as_dict`."""
        holds = "holds this release" if is_booked else "none is configured"
        since = "" if config.source.since is None else f", units that version {config.source.since} did not hold"
        return "\n".join(
            [
                f"Dry run of release {self.release_id}: nothing was read, written or booked",
                f"  source      {config.source} at version {self.version}{since}",
                f"  target      {self.target} ({config.target.mode})",
                f"  columns     {len(self.types)}: {', '.join(self.types)}",
                f"  left out    {', '.join(self.left_out) or 'no column'}",
                f"  ledger      {holds}",
                plan_in_words(self.plan),
            ]
        )


def prepare(spark: SparkSession, config: ReleaseConfig) -> Prepared:
    """Resolves and checks what a release needs; reads and writes nothing, and books nothing.

    Args:
      spark: A session, classic or Connect.
      config: Of the release.

    Raises:
      ReleaseExistsError, TargetExistsError, SourceError, SchemaError: as `release`.
    """
    source = places.Place.of(config.source.table, config.source.path)
    target = places.Place.of(config.target.table, config.target.path)
    version = places.latest_version(spark, source, config.source.version)
    release_id = f"{config.digest}-v{version}"
    _check_target(spark, target, config, release_id)
    every = places.read_version(spark, source, version)
    types, plan = checked_types(every, config), make_plan(config)
    ledger = Ledger.open(spark, config, plan, release_id=release_id, cohort=Cohort(config.source.since, version))
    return Prepared(
        release_id=release_id,
        version=version,
        target=target,
        rows=increments.rows_to_read(spark, source, every, config, version),
        types=types,
        left_out=tuple(left_out(table.schema_of(every), config.domain)),
        plan=plan,
        ledger=ledger,
        held=Held.of(ledger.spend, plan, places.table_id(spark, source)),
    )


def checked_types(rows: DataFrame, config: ReleaseConfig) -> dict[str, str]:
    """Checks the schema and gives the types of the released columns, in the source's order; reads no row.

    Args:
      rows: Of the source.
      config: Of the release.

    Raises:
      SchemaError: if the domain does not fit.
    """
    found = table.schema_of(rows)
    check_schema(found, config.domain, config.privacy.privacy_unit.column)
    return {name: simple for name, simple in found.items() if name in config.domain.columns}


def _check_target(spark: SparkSession, target: places.Place, config: ReleaseConfig, release_id: str) -> None:
    if not places.exists(spark, target):
        return
    properties = places.properties_of(spark, target)
    releases = held_in(properties, places.commit_metadata(spark, target))
    if any(held.release_id == release_id and held.is_written for held in releases):
        raise ReleaseExistsError(
            f"release {release_id} exists at {target}: same configuration, same source version; nothing was read. "
            "Its rows can be used as they are; another draw from the same model costs nothing with `threea sample`"
        )
    if config.target.mode == "create":
        made = "holds another release; choose another target, use mode: append, or drop it"
        found = "exists and was not made by a release; it is left as it is. Choose another target"
        raise TargetExistsError(f"target: {target} {made if PROPERTY_RELEASE in properties else found}")
    privacy = config.privacy
    check_may_join(
        properties,
        releases,
        target,
        accounting=privacy.accounting,
        relation=privacy.relation,
        unit=hashed(str(privacy.privacy_unit)),
    )
