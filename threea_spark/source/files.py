"""Reads a Parquet or CSV file as an Arrow table, and writes one; for tables that fit into memory."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet

from threea_spark.errors import ConfigError, SourceError, TargetExistsError

KINDS = (".parquet", ".csv")


def check_kind(option: str, path: Path) -> None:
    """Refuses a file that is neither Parquet nor CSV by its name.

    Raises:
      ConfigError: if it is neither.
    """
    if path.suffix not in KINDS:
        raise ConfigError(f"{option}: {path.name} must end in .parquet or .csv; choose one of them")


def read_file(path: Path) -> pa.Table:
    """Reads all columns. Cells of a CSV file are text, whatever they look like, and null where they are empty.

    Raises:
      SourceError: if there is no such file, or it cannot be read.
    """
    try:
        if path.suffix == ".parquet":
            return parquet.read_table(path)
        with csv.open_csv(path) as reader:
            names = reader.schema.names
        as_text = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True)
        return csv.read_csv(path, convert_options=as_text)
    except FileNotFoundError:
        raise SourceError(f"{path} does not exist; check its name") from None
    except (OSError, pa.ArrowException):  # whose message may hold cells
        raise SourceError(f"{path} cannot be read as {path.suffix[1:]}; check that it is such a file") from None


def write_file(rows: pa.Table, path: Path) -> None:
    """Writes released rows; a failed write leaves no file.

    Raises:
      TargetExistsError: if there is such a file.
      ConfigError: if it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            try:
                write = parquet.write_table if path.suffix == ".parquet" else csv.write_csv
                write(rows, file)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
    except FileExistsError:
        raise TargetExistsError(f"{path} exists and is never overwritten; choose another") from None
    except OSError as error:
        raise ConfigError(f"{path} could not be written ({type(error).__name__}); choose another folder") from None
