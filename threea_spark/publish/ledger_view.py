"""SQL views of a ledger, for people who SELECT: remaining budgets, and releases with plain columns.

SQL cannot compose privacy loss distributions. Basic composition can be written in it: epsilons and deltas add up, which
bounds what was spent from above and what is left from below.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from threea_spark.config.release import ReleaseConfig
from threea_spark.config.table_names import parts_of, quoted_chain
from threea_spark.engine.delta import Place, exists, properties_of, read_latest, table_id
from threea_spark.errors import ConfigError, LedgerError
from threea_spark.publish.ledger_books import Books
from threea_spark.publish.ledger_table import ChainTable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PROPERTY_VIEW = "threea.view"
_DELTA_ID = re.compile(r"[0-9A-Za-z-]{1,100}")

BUDGETS = {
    "source": "the table that is released from, as a configuration names it",
    "unit": "whom the budget protects",
    "granted_epsilon": "the newest grant; null if no officer granted a budget",
    "granted_delta": "the newest grant; null if no officer granted a budget",
    "granted_at": "when it was granted",
    "granted_by": "who granted it",
    "releases": "releases that started and were not voided",
    "epsilon_claimed": "sum of their epsilons (basic composition): an upper bound of what was spent",
    "delta_claimed": "sum of their deltas",
    "epsilon_left_at_least": "granted minus claimed: a lower bound, as SQL cannot compose privacy loss distributions; "
    "threea ledger show has the exact figure",
    "conditional_releases": "releases that read rows without noise, which no epsilon bounds",
    "note": "why nothing is left for certain, or what the sums leave out; empty as a rule",
}
RELEASES = {
    "entry": "number of its start in the ledger",
    "source": "the table that was released from",
    "unit": "whom its claim protects",
    "release_id": "as on its receipt",
    "status": "started, finished, failed or void; all but void count as spent",
    "epsilon": "claimed",
    "delta": "claimed",
    "accounting": "end_to_end, or conditional: rows were read without noise",
    "at": "UTC time of its start",
    "by": "user of the session that started it",
    "hash": "as on its receipt",
}

_RELEASES = """
releases AS (
  SELECT s.number AS entry, s.source, s.source_id, s.unit, s.release_id, s.at, s.`by`, s.hash,
    CAST(get_json_object(s.content, '$.epsilon') AS DOUBLE) AS epsilon,
    CAST(get_json_object(s.content, '$.delta') AS DOUBLE) AS delta,
    coalesce(get_json_object(s.content, '$.accounting'), 'unknown') AS accounting,
    get_json_object(s.content, '$.relation') AS relation,
    CASE WHEN max(o.place) FILTER (WHERE o.kind = 'void')
           > coalesce(max(o.place) FILTER (WHERE o.kind = 'finish'), -1) THEN 'void'
         WHEN bool_or(o.kind = 'finish') THEN 'finished' WHEN bool_or(o.kind = 'fail') THEN 'failed'
         ELSE 'started' END AS status
  FROM entries s LEFT JOIN entries o
    ON o.kind IN ('finish', 'fail', 'void') AND CAST(get_json_object(o.content, '$.entry') AS BIGINT) = s.number
    AND (o.source = s.source OR (s.source_id <> '' AND o.source_id = s.source_id))
  WHERE s.kind = 'start'
  GROUP BY s.number, s.source, s.source_id, s.unit, s.release_id, s.at, s.`by`, s.hash, s.content
)"""

_BUDGETS = """
names AS (SELECT source, collect_set(nullif(source_id, '')) AS ids FROM entries GROUP BY source),
accounts AS (
  SELECT DISTINCT e.source, e.unit, n.ids FROM entries e JOIN names n ON e.source = n.source
  WHERE e.kind IN ('grant', 'start')
),
granted AS (
  SELECT a.source, a.unit, max_by(struct(g.content, g.at, g.`by`), struct(g.place, g.number)) AS newest
  FROM accounts a JOIN entries g
    ON g.kind = 'grant' AND g.unit = a.unit AND (g.source = a.source OR array_contains(a.ids, g.source_id))
  GROUP BY a.source, a.unit
),
spent AS (
  SELECT a.source, a.unit, count(r.entry) AS releases,
    coalesce(sum(r.epsilon) FILTER (WHERE r.accounting <> 'conditional'), 0) AS epsilon,
    coalesce(sum(r.delta) FILTER (WHERE r.accounting <> 'conditional'), 0) AS delta,
    count_if(r.accounting = 'conditional') AS conditional,
    count_if(r.entry IS NOT NULL AND r.epsilon IS NULL) AS unsaid,
    count_if(r.unit <> a.unit) AS other_units, count(DISTINCT r.relation) AS relations
  FROM accounts a LEFT JOIN releases r
    ON r.status <> 'void' AND (r.source = a.source OR array_contains(a.ids, r.source_id))
  GROUP BY a.source, a.unit
),
budgets AS (
  SELECT s.*, g.newest.at AS granted_at, g.newest.`by` AS granted_by,
    CAST(get_json_object(g.newest.content, '$.epsilon') AS DOUBLE) AS granted_epsilon,
    CAST(get_json_object(g.newest.content, '$.delta') AS DOUBLE) AS granted_delta,
    concat_ws('; ',
      CASE WHEN s.unsaid > 0 THEN 'releases of version 0.1.0 record no epsilon' END,
      CASE WHEN s.other_units > 0 THEN 'releases of another unit do not add up with these' END,
      CASE WHEN s.relations > 1 THEN 'releases of several neighbouring relations do not add up' END,
      CASE WHEN s.conditional > 0 AND coalesce(get_json_object(g.newest.content, '$.allow_conditional'), '') <> 'true'
           THEN 'conditional releases that the grant does not allow' END) AS note
  FROM spent s LEFT JOIN granted g ON s.source = g.source AND s.unit = g.unit
)
SELECT source, unit, granted_epsilon, granted_delta, granted_at, granted_by, releases, epsilon, delta,
  CASE WHEN granted_epsilon IS NULL THEN NULL
       WHEN note <> '' OR delta > granted_delta * (1 + 1e-9) THEN 0
       ELSE greatest(0, granted_epsilon - epsilon) END AS epsilon_left,
  conditional, note FROM budgets"""

_COLUMNS = "kind, source, source_id, unit, release_id, content, at, hash"


def create_views(spark: SparkSession, config: ReleaseConfig, *, budgets: str, releases: str | None = None) -> list[str]:
    """Creates views of a configured ledger, or replaces those that were created so before.

    Args:
      spark: A session.
      config: A configuration with a ledger, whose tables exist.
      budgets: Name of the view of budgets: one row for each source and unit.
      releases: Name of the view of releases: one row for each; None for no such view.

    Returns:
      The names of the views.

    Raises:
      ConfigError: if no ledger is configured, or a name is taken by something else.
      LedgerError: if the ledger does not exist yet.
    """
    books = Books.configured(spark, config)
    entries = _entries(books)
    wanted = {budgets: (BUDGETS, f"{_RELEASES}, {_BUDGETS}")}
    if releases is not None:
        wanted[releases] = (RELEASES, f"{_RELEASES} SELECT {_listed(RELEASES)} FROM releases")  # noqa: S608 - own names
    for name in wanted:
        _require_free(spark, name)
    for name, (columns, query) in wanted.items():
        _create(spark, name, columns, f"WITH {entries}, {query}")
    return list(wanted)


def _entries(books: Books) -> str:
    """The entries that count, with their place in the order of what their writers had seen; see `Chains.in_order`."""
    if books.grants is None:
        return f"entries AS ({_chosen(books.ledger, 'CAST(number AS DOUBLE)')})"
    ledger_id = table_id(books.ledger.spark, books.ledger.place)
    if _DELTA_ID.fullmatch(ledger_id) is None:
        raise LedgerError(f"ledger: {books.ledger.place} is not a ledger; name another one")
    own = _chosen(books.ledger, "CAST(number AS DOUBLE)", "kind IN ('start', 'finish', 'fail')")
    seen = "CAST(get_json_object(content, '$.seen.entry') AS DOUBLE) + 0.5"
    officers = _chosen(books.grants, seen, f"get_json_object(content, '$.seen.ledger') = '{ledger_id}'")
    return f"entries AS ({own} UNION ALL {officers})"


def _chosen(table: ChainTable, place: str, where: str = "true") -> str:
    if not exists(table.spark, table.place):
        raise LedgerError(f"ledger: {table.place} does not exist yet; `threea ledger grant` creates it")
    by = "`by`" if "by" in read_latest(table.spark, table.place).columns else "CAST(NULL AS STRING) AS `by`"
    return f"SELECT number, {place} AS place, {_COLUMNS}, {by} FROM {table.place.identifier} WHERE {where}"  # noqa: S608


def _require_free(spark: SparkSession, name: str) -> None:
    if parts_of(name) is None:
        raise ConfigError(f"{name}: not a view's name; give one such as main.governance.privacy_budgets")
    place = Place(_quoted(name), is_path=False)
    if exists(spark, place) and PROPERTY_VIEW not in properties_of(spark, place):
        raise ConfigError(f"{name}: exists and is no view of a ledger; it is left as it is, choose another name")


def _create(spark: SparkSession, name: str, columns: Mapping[str, str], query: str) -> None:
    listed = ", ".join(f"`{column}` COMMENT '{words}'" for column, words in columns.items())
    spark.sql(
        f"CREATE OR REPLACE VIEW {_quoted(name)} ({listed}) COMMENT 'privacy ledger of threea-spark' "
        f"TBLPROPERTIES ('{PROPERTY_VIEW}' = 'ledger') AS {query}"
    )


def _quoted(name: str) -> str:
    return quoted_chain(parts_of(name) or ())


def _listed(columns: Mapping[str, str]) -> str:
    return ", ".join(f"`{column}`" for column in columns)
