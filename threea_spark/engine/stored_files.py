"""A local folder's files as rows of a Parquet file, wherever Spark writes: of released models, not of private rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from threea_spark.errors import ModelError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_MAX_FILES = 100


def write_folder(spark: SparkSession, folder: str, path: str) -> None:
    """Writes the files of a flat folder.

    Args:
      spark: A session, classic or Connect.
      folder: On the driver. RELEASED.
      path: Any that Spark writes to; nothing must be there.
    """
    files = sorted(Path(folder).iterdir())
    contents = pa.array([file.read_bytes() for file in files], pa.binary())
    rows = pa.table({"name": pa.array([file.name for file in files], pa.string()), "content": contents})
    spark.createDataFrame(rows).coalesce(1).write.parquet(path)


def read_folder(spark: SparkSession, path: str, folder: str) -> None:
    """Writes what `write_folder` read into an empty folder on the driver.

    Raises:
      ModelError: if there is a name that is none of a file.
    """
    rows = spark.read.parquet(path).limit(_MAX_FILES).collect()  # bounded: a model's few files
    for name, content in rows:
        if Path(name).name != name:
            raise ModelError(f"{path}: is not a saved model, or damaged; save it again")
        Path(folder, name).write_bytes(content)
