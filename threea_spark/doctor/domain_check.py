"""check_domain(): a small, booked expense that only counts what the domain does not fit, before a release."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from threea_spark.booking import booked
from threea_spark.config.release import ConfigLike, ReleaseConfig
from threea_spark.encode.misfits import Misfit, MisfitLayout, misfit_layout
from threea_spark.engine import delta
from threea_spark.engine.given import require_session
from threea_spark.engine.rows import SourceRows
from threea_spark.errors import ConfigError, PrivacyError
from threea_spark.preflight import checked_types
from threea_spark.privacy import large_delta
from threea_spark.privacy.budget import PrivacyPlan, calibrate, certified_epsilon
from threea_spark.privacy.cohorts import Cohort
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.noise import KeyedNoise, new_key
from threea_spark.privacy.planned_sums import NUMERIC_SHARES, numeric_error_of, planned_sum
from threea_spark.privacy.statement import PrivacyStatement, statement_of
from threea_spark.privacy.terms import Accounting, Stage
from threea_spark.publish.ledger import Ledger
from threea_spark.source import since
from threea_spark.source.rows import spark_source

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DEFAULT_EPSILON = 0.1
_COVERS = "row count, and rows of each column that the domain does not fit"


@dataclass(frozen=True)
class DomainCheck:
    """What a check found, and what it cost: it is also the expense's receipt.

    Attributes:
      check_id: Identifies the expense, in the ledger too.
      source, source_version: The table, and the version that was read.
      n_rows: DP number of rows.
      misfits: DP shares of rows that a column's declaration does not fit, column after column.
      privacy: The guarantee.
      ledger: The start in the ledger: number, hash, and the budget around it; None if it was not booked.
    """

    check_id: str
    source: str
    source_version: int
    n_rows: float
    misfits: tuple[Misfit, ...]
    privacy: PrivacyStatement
    ledger: dict[str, Any] | None = None

    def to_json(self) -> str:
        """Returns the check as JSON."""
        return json.dumps(asdict(self), indent=1)

    def write(self, path: str | Path) -> None:
        """Writes the check's JSON to a file."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(self.to_json() + "\n", encoding="utf-8")

    def in_words(self) -> str:
        """Returns the check as text for people to read."""
        width = max([len(own.column) for own in self.misfits], default=0)
        entry = "not booked" if self.ledger is None else f"entry {self.ledger['entry']}, {self.ledger['hash']}"
        return "\n".join(
            [
                f"Domain check {self.check_id}",
                f"  source      {self.source} at version {self.source_version}: about {self.n_rows:,.0f} rows",
                *(f"  {own.column:<{width}}  {_figures(own)}" for own in self.misfits),
                *(f"  advice      {own.in_words()}" for own in self.misfits if own.stands_out),
                self.privacy.in_words(),
                f"  ledger      {entry}",
            ]
        )


def check_domain(
    spark: SparkSession, config: ConfigLike, *, epsilon: float = DEFAULT_EPSILON, unbooked: bool = False
) -> DomainCheck:
    """Counts, for each column, the rows that the domain does not fit, under a guarantee of its own; writes no table.

    Args:
      spark: A session, classic or Connect.
      config: The release's configuration, as in `release`: source, domain, delta, unit and ledger are its own.
      epsilon: What the check may spend, beside any release.
      unbooked: Allows a check without a ledger, whose expense is then for you to add up.

    Raises:
      ConfigError: if no ledger is configured and `unbooked` is not set, or epsilon is not positive.
      PrivacyError: if the claim cannot be certified, or delta is too large for the rows that were counted.
      SourceError, SchemaError, BudgetError: before any row is read.
      ReleaseFailedError: if reading failed; what was booked counts.
    """
    require_session(spark)
    config = ReleaseConfig.of(config)
    if config.privacy.ledger is None and not unbooked:
        raise ConfigError(
            f"privacy.ledger: a domain check spends epsilon {epsilon:g} beside any release, and nothing would record "
            "it; add `ledger: {table: ...}`, or pass unbooked (--unbooked) and add it up by hand"
        )
    plan = check_plan(config, epsilon)
    source = delta.Place.of(config.source.table, config.source.path)
    version = delta.latest_version(spark, source, config.source.version)
    every = delta.read_version(spark, source, version)
    checked_types(every, config)
    rows = since.rows_to_read(spark, source, every, config, version)
    check_id = f"check-{config.digest}-{secrets.token_hex(4)}"
    ledger = Ledger.open(spark, config, plan, release_id=check_id, cohort=Cohort(config.source.since, version))
    with booked(ledger):
        key = new_key()
        meter = PrivacyMeter(plan, KeyedNoise(key), check_id)
        read = spark_source(rows, config.domain, plan.unit, key, "")  # nothing is staged
        n_rows, misfits = count_misfits(read, config, meter)
        statement = _statement(meter)
    return DomainCheck(check_id, str(config.source), version, n_rows, misfits, statement, ledger.receipt_entry)


def check_plan(config: ReleaseConfig, epsilon: float) -> PrivacyPlan:
    """Calibrates and certifies the plan of a check; reads no row.

    Raises:
      ConfigError: if epsilon is not positive.
      PrivacyError: if no plan for this claim can be certified.
    """
    if not 0.0 < epsilon <= 1000.0:
        raise ConfigError(f"--epsilon: must be above 0 and at most 1000, got {epsilon:g}")
    privacy, query = config.privacy, _layout(config).query()
    for share in NUMERIC_SHARES:
        plan = calibrate(
            epsilon=epsilon,
            delta=privacy.delta,
            shares={Stage.ENCODE: 1.0},
            relation=privacy.neighboring_relation,
            unit=privacy.privacy_unit,
            accounting=Accounting.END_TO_END,
            numeric_share=share,
        )
        certified_epsilon(plan)
        if numeric_error_of([planned_sum(query, plan.mu_of(Stage.ENCODE))], plan) <= plan.numeric_epsilon:
            return plan
    raise PrivacyError(f"privacy: a check of epsilon {epsilon:g} cannot be certified; raise epsilon or privacy.delta")


def count_misfits(rows: SourceRows, config: ReleaseConfig, meter: PrivacyMeter) -> tuple[float, tuple[Misfit, ...]]:
    """Asks the check's one sum; returns the DP number of rows, and the shares.

    Args:
      rows: Canonical columns, bounded rows per unit. PRIVATE.
      config: The release's configuration.
      meter: Answers the query.
    """
    layout = _layout(config)
    counts = meter.ask(layout.query(), rows, meter.plan.mu_of(Stage.ENCODE))
    n_rows = layout.rows_in(counts.value)
    if not config.privacy.allow_large_delta:
        large_delta.require_small(meter.plan.delta, meter.plan.unit.max_rows, n_rows)
    return n_rows, layout.misfits(counts.value, counts.stddev, n_rows)


def _layout(config: ReleaseConfig) -> MisfitLayout:
    return misfit_layout(config.domain, counts_rows=True)


def _statement(meter: PrivacyMeter) -> PrivacyStatement:
    stated = statement_of(meter)
    return replace(stated, stages=tuple(replace(stage, covers=_COVERS) for stage in stated.stages))


def _figures(own: Misfit) -> str:
    return f"{own.share:8.2%} +- {own.stderr:.2%}  {own.kind}"
