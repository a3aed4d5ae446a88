"""What a released table says of itself in a catalog: a comment, comments of its columns, and tags to search by.

They are labels. What holds for all rows of a table stands in its properties, which are raised before rows are written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from threea_spark.config.table_names import quoted_name
from threea_spark.engine.delta import Place, properties_of
from threea_spark.publish.receipt import PROPERTY_DELTA, PROPERTY_EPSILON, Receipt
from threea_spark.publish.standing import PROPERTY_RELEASES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

log = logging.getLogger("threea_spark")

PROPERTY_UNIT = "threea.unit"
_COMMENT = "comment"
_LONGEST_TAG = 255


def with_comments(rows: DataFrame, comments: Mapping[str, str]) -> DataFrame:
    """Gives columns comments, which the commit that creates a table stores with their types."""
    from pyspark.sql import functions as F

    if not comments:
        return rows
    columns = [F.col(quoted_name(name)) for name in rows.columns]
    return rows.select(
        *(
            column.alias(name, metadata={_COMMENT: comments[name]}) if name in comments else column
            for name, column in zip(rows.columns, columns, strict=True)
        )
    )


def comments_of(rows: DataFrame) -> dict[str, str]:
    """Returns the comments of a table's columns; reads no row."""
    found = {field.name: (field.metadata or {}).get(_COMMENT) for field in rows.schema.fields}
    return {name: str(comment) for name, comment in found.items() if comment}


def comment_on_table(spark: SparkSession, place: Place, receipt: Receipt) -> None:
    """Says in a catalog what a table is that a release just created; one that refuses comments has none."""
    if not place.is_path:
        _tried(spark, lambda: f"COMMENT ON TABLE {place.identifier} IS '{table_comment(receipt)}'")


def table_comment(receipt: Receipt) -> str:
    """Says what the table is. It stays true when releases are appended: it names the first one's claim as such."""
    claim = receipt.privacy
    covers = "" if claim.accounting == "end_to_end" else f" ({claim.accounting}: not all that read rows is covered)"
    return plain(
        f"Artificial rows, released under differential privacy by threea-spark. Release {receipt.release_id}: epsilon "
        f"{claim.epsilon:g}, delta {claim.delta:g}{covers}, protecting {claim.unit}. Its receipt is in the history of "
        f"this table. Releases appended later add up: {PROPERTY_EPSILON} and {PROPERTY_DELTA} in the table's "
        "properties hold for all of its rows."
    )


def tag_table(spark: SparkSession, place: Place, unit: str) -> None:
    """Tags a catalog table with what holds for all of its rows, where the catalog has tags (Unity Catalog)."""
    if not place.is_path:
        _tried(spark, lambda: tagging(place, tags_of(properties_of(spark, place), unit)))


def tagging(place: Place, tags: Mapping[str, str]) -> str:
    """Returns the statement that sets tags."""
    pairs = ", ".join(f"'{name}' = '{value}'" for name, value in tags.items())
    return f"ALTER TABLE {place.identifier} SET TAGS ({pairs})"


def tags_of(properties: Mapping[str, str], unit: str) -> dict[str, str]:
    """Returns the tags of a released table; elsewhere its properties say the same.

    Args:
      properties: The table's.
      unit: The unit of privacy, in words.
    """
    releases = properties[PROPERTY_RELEASES].replace(",", " ")
    if len(releases) > _LONGEST_TAG:
        releases = f"{len(releases.split())} releases, see {PROPERTY_RELEASES} in the table properties"
    return {
        "threea_epsilon": properties[PROPERTY_EPSILON],
        "threea_delta": properties[PROPERTY_DELTA],
        "threea_unit": plain(unit)[:_LONGEST_TAG].strip(),
        "threea_receipt": releases,
    }


def plain(text: str) -> str:
    """Returns text without what is special between single quotes in Spark SQL, whatever its settings."""
    printable = "".join(sign if sign.isprintable() else " " for sign in text)
    return printable.replace("'", '"').replace("\\", "/").replace("${", "$ {")


def _tried(spark: SparkSession, statement: Callable[[], str]) -> None:
    """Runs a statement that only labels a finished table: a catalog that does not know it must not fail a release."""
    try:
        spark.sql(statement())
    except Exception:  # whatever the catalog answers
        log.debug("the catalog does not take a label of the released table", exc_info=True)
