"""How columns are laid out in the Parquet files that a session writes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_DICTIONARY = "parquet.enable.dictionary"


@contextmanager
def without_dictionaries(spark: SparkSession, columns: Sequence[str], plain: Collection[str]) -> Iterator[None]:
    """Writes numbers that hardly repeat as they are while this lasts: their dictionary costs six times as much.

    Where a session does not let this be set, files are only slower to write.

    Args:
      spark: A session, classic or Connect; its settings are put back.
      columns: Of the table that is written.
      plain: Those of them that get no dictionary.
    """
    wanted = _settings(columns, plain)
    kept: dict[str, str | None] = {}
    try:
        with suppress(Exception):  # whatever a platform answers
            for name, value in wanted.items():
                kept[name] = spark.conf.get(name, None)
                spark.conf.set(name, value)
        yield
    finally:
        for name, before in kept.items():
            with suppress(Exception):
                spark.conf.unset(name) if before is None else spark.conf.set(name, before)


def _settings(columns: Sequence[str], plain: Collection[str]) -> dict[str, str]:
    """As few settings as possible: of the columns with a dictionary, or of those without."""
    others = [name for name in columns if name not in plain]
    if len(others) < len(plain):
        return {_DICTIONARY: "false", **{f"{_DICTIONARY}#{name}": "true" for name in others}}
    return {f"{_DICTIONARY}#{name}": "false" for name in columns if name in plain}
