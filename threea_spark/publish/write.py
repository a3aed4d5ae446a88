"""The single write of a release's rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

from threea_spark.config.table_names import quoted_name
from threea_spark.engine.delta import Place, commit_metadata
from threea_spark.errors import ReleaseExistsError
from threea_spark.publish.cleanup import claimed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, DataFrameWriter, SparkSession

_NEED_MAPPING = set(" ,;{}()\n\t=")
"""Characters that Parquet does not allow in a column's name, so that Delta must map the name to another one."""


def write_new(rows: DataFrame, place: Place, receipt: str, *, release_id: str, properties: Mapping[str, str]) -> None:
    """Creates the released table, with its rows in one commit; a failed attempt leaves no table and removes no other.

    Args:
      rows: RELEASED once written.
      place: Where there is no table yet.
      receipt: Becomes a commit's metadata: the rows' commit at a path, the next commit in a catalog.
      release_id: Delta accepts the receipt's commit at most once for this identifier.
      properties: Table properties, set with the rows in a catalog, in the next commit at a path.

    Raises:
      ReleaseExistsError: if another run of this release was faster; its rows are kept.
    """
    mapping = {"delta.columnMapping.mode": "name"} if any(set(name) & _NEED_MAPPING for name in rows.columns) else {}
    if place.is_path:
        with claimed(_local_folder(place)):
            _writer(rows, "error", receipt, release_id).options(**mapping).save(place.name)
        _check_taken(rows.sparkSession, place, receipt, release_id)
        pairs = ", ".join(f"'{key}' = '{value}'" for key, value in properties.items())
        rows.sparkSession.sql(f"ALTER TABLE {place.identifier} SET TBLPROPERTIES ({pairs})")
    else:
        _create_table(rows, place, {**mapping, **properties})
        with _dropped_if_it_fails(rows.sparkSession, place):
            append(rows.sparkSession.table(place.name).limit(0), place, receipt, release_id=release_id)


def _create_table(rows: DataFrame, place: Place, properties: dict[str, str]) -> None:
    """Creates a catalog table with its rows and properties in one commit; fails if another run was faster.

    Delta stores no user metadata for the commit that creates a catalog table: the receipt follows in an empty commit.
    """
    writer = rows.writeTo(place.name).using("delta")
    for name, value in properties.items():
        writer = writer.tableProperty(name, value)
    writer.create()


@contextmanager
def _dropped_if_it_fails(spark: SparkSession, place: Place) -> Iterator[None]:
    """Drops a table that was just created but got no receipt, unless another release has written to it since."""
    try:
        yield
    except BaseException:
        if len(commit_metadata(spark, place)) == 1:
            spark.sql(f"DROP TABLE {place.identifier}")
        raise


def append(rows: DataFrame, place: Place, receipt: str, *, release_id: str) -> None:
    """Appends rows in one commit, which Delta accepts at most once for this release.

    Raises:
      ReleaseExistsError: if another run of this release was faster; its rows are kept.
    """
    _save(_writer(rows, "append", receipt, release_id), place)
    _check_taken(rows.sparkSession, place, receipt, release_id)


def _check_taken(spark: SparkSession, place: Place, receipt: str, release_id: str) -> None:
    """Checks that the history has the receipt: Delta silently skips a commit that it has accepted before."""
    if receipt not in commit_metadata(spark, place):
        raise ReleaseExistsError(
            f"release {release_id} was written to {place} by another run at the same time; that run's rows and receipt "
            "are kept, and this one's were not written. Use the receipt in the table's history"
        )


def _writer(rows: DataFrame, mode: str, receipt: str, release_id: str) -> DataFrameWriter:
    return (
        rows.write.format("delta")
        .mode(mode)
        .option("txnAppId", f"threea-{release_id}")
        .option("txnVersion", 1)
        .option("userMetadata", receipt)
    )


def _save(writer: DataFrameWriter, place: Place) -> None:
    if place.is_path:
        writer.save(place.name)
    else:
        writer.saveAsTable(place.name)


def without_layout(rows: DataFrame, salt: int, n_files: int) -> DataFrame:
    """Sorts and splits rows into files by a salted hash of the released rows alone, so that neither reveals anything.

    The hash skips nulls, so rows may tie; the cells break ties, and rows that still tie are equal.
    """
    from pyspark.sql import functions as F

    cells = [F.col(quoted_name(name)) for name in rows.columns]
    key = F.xxhash64(F.lit(salt), *cells)
    return rows.repartition(n_files, key).sortWithinPartitions(key, *cells)


def _local_folder(place: Place) -> Path | None:
    if not place.is_path:
        return None
    parsed = urlparse(place.name)
    return Path(parsed.path) if parsed.scheme in ("", "file") else None
