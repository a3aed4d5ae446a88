"""Names of open categories on Spark: which are counted, and which no name can be made of."""

from threea_spark.engine.spark import SparkSource
from threea_spark.privacy.meter import NoisySum
from threea_spark.privacy.noise import KeyedNoise
from threea_spark.privacy.selection import Selection
from threea_spark.privacy.terms import Relation

SHARP = NoisySum(
    context=("r", "encode", "v"), squared_sensitivity=1, mu=100.0, relation=Relation.ADD_OR_REMOVE_ONE, moved=1
)


def test_names_that_are_no_text_are_passed_over_and_the_others_found(spark):
    cells = [b"p"] * 40 + ["größe ☃".encode()] * 30 + [b"\xff\xfe"] * 50 + [b"\xff\xfd"] * 50 + [b"rare", None]
    frame = spark.createDataFrame([(bytearray(cell) if cell else None,) for cell in cells], "c0 binary")
    selection = Selection(SHARP, 20.0, KeyedNoise(bytes(range(32))))
    found = SparkSource(frame.selectExpr("cast(c0 as string) AS c0"), "").passing_values("c0", selection.passes)
    assert dict(found) == {"p": 40, "größe ☃": 30}


def test_exact_selection_too_passes_over_names_of_few_rows(spark):
    cells = ["p"] * 40 + ["q"] * 9 + ["r"] * 10 + [None] * 50
    rows = SparkSource(spark.createDataFrame([(cell,) for cell in cells], "c0 string"), "")
    assert rows.frequent_values("c0", 5, above=9) == ["p", "r"]
    assert rows.frequent_values("c0", 1, above=9) == ["p"]
    assert rows.frequent_values("c0", 5, above=40) == []
