"""Neighbouring tables through Spark's real reading: files, partitions and order, before any sum is made of them.

Tables are written as one to five files of different sizes and read as a release reads them: canonical columns, rows of
each unit bounded. What comes out goes through the whole release (sensitivity_sums.py), so a unit that reaches other
units' rows by way of a file's size shows as a sum that moves further than its price.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession
from sensitivity_rows import Row, arrow_type, hard_row, plain_cell, release_config  # beside this file
from sensitivity_sums import Moved, Release, moved  # beside this file

from threea_spark import ReleaseConfig
from threea_spark.config.domain import Domain
from threea_spark.engine.packed import UNIT
from threea_spark.source.rows import bound_rows, canonical

ID = "id"
ODD = "one more"
MAX_FILES = 5
_FEW_VALUES = 1
_ODD_ROWS = 300  # far more than are read: they make their file the largest


@dataclass(frozen=True)
class Files:
    """A table as files: of each, its rows and whose they are; None is nobody's.

    Attributes:
      parts: In the order in which they are written.
    """

    parts: tuple[tuple[tuple[str | None, Row], ...], ...]

    def with_unit(self, rows: Sequence[Row], part: int) -> Files:
        """The neighbouring table: one unit more, all of whose rows come at the end of one file."""
        grown = (*self.parts[part], *((ODD, row) for row in rows))
        return replace(self, parts=(*self.parts[:part], grown, *self.parts[part + 1 :]))

    def write(self, folder: Path, domain: Domain) -> str:
        """Writes one Parquet file for each part."""
        folder.mkdir(parents=True)
        for number, part in enumerate(self.parts):
            columns = {
                name: pa.array([row[place] for _, row in part], arrow_type(column))
                for place, (name, column) in enumerate(domain.columns.items())
            }
            ids = pa.array([who for who, _ in part], pa.string())
            pq.write_table(pa.table({ID: ids, **columns}), folder / f"part-{number}.parquet")
        return str(folder)


def tied_files(domain: Domain, rng: np.random.Generator, *, n_units: int, most_rows: int) -> Files:
    """Units of up to `most_rows` rows that are alike but for the columns in which they are null: what tempts a tie.

    Columns of one type draw from the same few values, so that a value may stand in one of them or in another.
    """
    kinds = [str(arrow_type(column)) for column in domain.columns.values()]
    columns = dict(zip(kinds, domain.columns.values(), strict=True))
    pools = {kind: [plain_cell(column, rng) for _ in range(_FEW_VALUES)] for kind, column in columns.items()}
    values = [pools[kind] for kind in kinds]
    rows: list[tuple[str | None, Row]] = []
    for unit in range(n_units):
        who = None if unit == 0 else f"u{unit}"
        for _ in range(1 + int(rng.integers(most_rows))):
            absent = rng.random(len(values)) < 0.5
            if unit % 2:  # one number alone, in this column or in that
                absent = np.arange(len(values)) != rng.choice(np.flatnonzero(np.array(kinds) == kinds[0]))
            own = [pool[rng.integers(_FEW_VALUES)] for pool in values]
            rows.append((who, tuple(None if gone else cell for gone, cell in zip(absent, own, strict=True))))
    rng.shuffle(rows)
    n_files = 1 + int(rng.integers(MAX_FILES))
    cuts = [0, *sorted(rng.integers(0, len(rows) + 1, n_files - 1).tolist()), len(rows)]
    return Files(tuple(tuple(rows[start:end]) for start, end in pairwise(cuts)))


def read_back(spark: SparkSession, path: str, config: ReleaseConfig, key: bytes) -> pa.RecordBatch:
    """Reads a table as a release does, up to its bounded canonical rows and their units' tokens.

    Where each row is a unit its token is drawn anew in each release; here it follows from the row, and from how many
    equal ones came before, so that two neighbours' common rows have common tokens.
    """
    unit = config.privacy.privacy_unit
    rows = bound_rows(canonical(spark.read.parquet(path), config.domain, unit), unit, key).toArrow()
    if unit.column is None:
        seen: Counter[str] = Counter()
        rows = rows.append_column(UNIT, pa.array([_token(repr(row), seen) for row in rows.to_pylist()], pa.int64()))
    (batch,) = rows.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], schema=rows.schema)]
    return batch


def _token(text: str, seen: Counter[str]) -> int:
    seen[text] += 1
    digest = hashlib.sha256(f"{seen[text]} {text}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def search_files(
    spark: SparkSession,
    folder: Path,
    mode: str,
    relation: str,
    max_rows: int,
    *,
    tries: int,
    rng: np.random.Generator,
) -> dict[str, Moved]:
    """Writes, reads and releases random pairs of neighbouring tables; gives the furthest that each sum moved.

    Args:
      spark: A session.
      folder: Where tables are written; nothing stands there yet.
      mode, relation, max_rows: Of the releases.
      tries: Tables; each is compared with a neighbour of its own.
      rng: Of the search; the releases draw their own noise.
    """
    config = release_config(mode, relation=relation, max_rows=max_rows)
    found: dict[str, Moved] = {}
    for number in range(tries):
        files = tied_files(config.domain, rng, n_units=40, most_rows=4)
        part, key = int(rng.integers(len(files.parts))), rng.bytes(32)
        most = _ODD_ROWS if config.privacy.privacy_unit.column is not None else 1
        one, other = ([hard_row(config.domain, rng) for _ in range(most)] for _ in range(2))
        neighbours = [files.with_unit(one, part)]
        neighbours += [files.with_unit(other, part)] if relation == "replace_one" else [files]
        batches = [
            read_back(spark, own.write(folder / f"{number}-{side}", config.domain), config, key)
            for side, own in enumerate(neighbours)
        ]
        release = Release(batches[0], config)
        for own in moved(*(release.sums(batch) for batch in batches)):
            own.check()
            if own.name not in found or own.ratio > found[own.name].ratio:
                found[own.name] = own
    return found
