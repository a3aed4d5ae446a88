"""Delta tables: which exist, at which version, and the one write of a release."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

from threea_spark.errors import SourceError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, DataFrameWriter, SparkSession

_STAGING = "threea_staging_"
_NEED_MAPPING = set(" ,;{}()\n\t=")
"""Characters that Parquet refuses in a column's name, so that Delta must map it to one of its own."""


@dataclass(frozen=True)
class Place:
    """A Delta table, by catalog name or by path."""

    name: str
    is_path: bool

    @property
    def identifier(self) -> str:
        """How SQL names it."""
        if self.is_path:
            return "delta.`" + self.name.replace("`", "``") + "`"
        return self.name

    def __str__(self) -> str:
        return self.name

    @classmethod
    def of(cls, table: str | None, path: str | None) -> Place:
        """The place a configuration names; a relative path is one of this machine."""
        if path is None:
            return cls(str(table), is_path=False)
        return cls(path if urlparse(path).scheme else str(Path(path).absolute()), is_path=True)

    @classmethod
    def named(cls, text: str) -> Place:
        """The place a person names in one word: a path if it holds a slash or a scheme, else a table."""
        return cls.of(None, text) if "/" in text or ":" in text else cls.of(text, None)


def exists(spark: SparkSession, place: Place) -> bool:
    """Tells whether a table stands at the place; reads no row."""
    from pyspark.errors import AnalysisException

    if not place.is_path:
        return bool(spark.catalog.tableExists(place.name))
    try:
        spark.sql(f"DESCRIBE DETAIL {place.identifier}").collect()  # bounded: one row
    except AnalysisException:
        return False
    return True


def latest_version(spark: SparkSession, place: Place, wanted: int | None) -> int:
    """Resolves the version to read; reads no row.

    Raises:
      SourceError: if there is no such Delta table, or no such version of it.
    """
    from pyspark.errors import AnalysisException

    try:
        history = spark.sql(f"DESCRIBE HISTORY {place.identifier}").select("version").collect()  # bounded: commits
    except AnalysisException:
        kind = "path" if place.is_path else "table"
        raise SourceError(f"source.{kind}: {place} is no Delta table that can be read; check the {kind}") from None
    versions = [int(row["version"]) for row in history]
    if wanted is None:
        return max(versions)
    if wanted not in versions:
        raise SourceError(
            f"source.version: {place} has versions {min(versions)} to {max(versions)}, not {wanted}; name one of them"
        )
    return wanted


def read_version(spark: SparkSession, place: Place, version: int) -> DataFrame:
    """Reads a Delta table as of one version."""
    reader = spark.read.format("delta").option("versionAsOf", version)
    return reader.load(place.name) if place.is_path else reader.table(place.name)


def read_latest(spark: SparkSession, place: Place) -> DataFrame:
    """Reads the newest version of a table.

    Raises:
      SourceError: if there is none.
    """
    from pyspark.errors import AnalysisException

    try:
        rows = spark.read.format("delta").load(place.name) if place.is_path else spark.read.table(place.name)
        rows.columns  # noqa: B018 - under Connect a missing table shows only when it is analysed
    except AnalysisException:
        raise SourceError(f"{place} is no table that can be read; check its name or path") from None
    return rows


def properties_of(spark: SparkSession, place: Place) -> dict[str, str]:
    """Reads a table's properties; reads no row."""
    rows = spark.sql(f"SHOW TBLPROPERTIES {place.identifier}").collect()  # bounded: one row a property
    return {row["key"]: row["value"] for row in rows}


def write_new(rows: DataFrame, place: Place, receipt: str, *, release_id: str, properties: Mapping[str, str]) -> None:
    """Creates the released table in one commit; what a failed attempt left behind is removed.

    Args:
      rows: RELEASED once written.
      place: Where nothing stands yet.
      receipt: Goes into the commit's metadata, with the rows.
      release_id: Delta takes the commit at most once for it.
      properties: Of the table, set by a commit of their own.
    """
    folder = _local_folder(place)
    stood_before = folder is not None and folder.exists()
    try:
        writer = _writer(rows, "error", receipt, release_id)
        if any(set(name) & _NEED_MAPPING for name in rows.columns):
            writer = writer.option("delta.columnMapping.mode", "name")
        _save(writer, place)
        pairs = ", ".join(f"'{key}' = '{value}'" for key, value in properties.items())
        rows.sparkSession.sql(f"ALTER TABLE {place.identifier} SET TBLPROPERTIES ({pairs})")
    except BaseException:
        if folder is not None and not stood_before:
            shutil.rmtree(folder, ignore_errors=True)
        elif not place.is_path:
            rows.sparkSession.sql(f"DROP TABLE IF EXISTS {place.identifier}")
        raise


def append(rows: DataFrame, place: Place, receipt: str, *, release_id: str) -> None:
    """Appends in one commit that Delta takes at most once for this release."""
    _save(_writer(rows, "append", receipt, release_id), place)


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


def was_appended(spark: SparkSession, place: Place, release_id: str) -> bool:
    """Tells whether this release is in the table's history already; reads no row."""
    history = spark.sql(f"DESCRIBE HISTORY {place.identifier}").select("userMetadata").collect()  # bounded: commits
    return any(release_id in (row["userMetadata"] or "") for row in history)


@contextmanager
def staging(spark: SparkSession, release_id: str, target: Place | None) -> Iterator[str]:
    """Names a private staging table, beside the target where that is a catalog table, and drops it in any case."""
    schema = "" if target is None or target.is_path or "." not in target.name else target.name.rpartition(".")[0] + "."
    name = f"{schema}{_STAGING}{release_id}"
    spark.sql(f"DROP TABLE IF EXISTS {name}")
    try:
        yield name
    finally:
        spark.sql(f"DROP TABLE IF EXISTS {name}")


def stage(rows: DataFrame, name: str) -> DataFrame:
    """Writes private rows once, and reads them back: random tokens are drawn in this write and nowhere else."""
    rows.write.format("delta").mode("error").saveAsTable(name)
    return rows.sparkSession.table(name)


def without_layout(rows: DataFrame, salt: int, n_files: int) -> DataFrame:
    """Re-makes order and files from a salted hash of the released rows themselves, so that neither tells anything."""
    from pyspark.sql import functions as F

    quoted = ["`" + name.replace("`", "``") + "`" for name in rows.columns]
    key = F.xxhash64(F.lit(salt), *[F.col(name) for name in quoted])
    return rows.repartition(n_files, key).sortWithinPartitions(key)


def _local_folder(place: Place) -> Path | None:
    if not place.is_path:
        return None
    parsed = urlparse(place.name)
    return Path(parsed.path) if parsed.scheme in ("", "file") else None
