"""What a release tells besides its rows: layout, sizes, statistics, times, log lines. See docs/threat-model.md."""

import json
import logging
import re
from pathlib import Path

import pytest
from pyspark.sql import functions as F
from tables import config_of

from threea_spark import ReleaseConfig, release
from threea_spark.model.blocks import BLOCK_ROWS
from threea_spark.model.draw import n_draw_tasks
from threea_spark.publish.write import without_layout

pytestmark = pytest.mark.usefixtures("no_staging_left")

COMMIT_METRICS = {"numFiles", "numOutputRows", "numOutputBytes"}
LINES = (
    r"\[\d/5\] [a-z: ]+",
    r"internal, not covered by the guarantee: seconds by step .*",
)


def actions(table, kind):
    """What Delta's log of a table holds of one kind."""
    lines = [
        line for file in sorted((Path(table) / "_delta_log").glob("*.json")) for line in file.read_text().splitlines()
    ]
    return [action[kind] for action in map(json.loads, lines) if kind in action]


@pytest.fixture(scope="module")
def seen(spark, source, tmp_path_factory):
    """One release, with what stood in staging's log while it ran and all that it logged."""
    folder = tmp_path_factory.mktemp("seen")
    staging, records = [], []
    handler = logging.Handler()
    handler.emit = records.append
    logger = logging.getLogger("threea_spark")
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)

    def look(name, number, of):
        if number == 3:
            (table,) = [t.name for t in spark.catalog.listTables() if t.name.startswith("threea_staging")]
            location = spark.sql(f"DESCRIBE DETAIL {table}").collect()[0]["location"]
            staging.extend(actions(location.removeprefix("file:"), "add"))

    try:
        config = ReleaseConfig.from_dict(config_of(source, folder / "out", privacy={"epsilon": 20.0}))
        receipt = release(spark, config, listener=look)
        release(spark, ReleaseConfig.from_dict(config_of(source, folder / "again")))
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
    return folder / "out", receipt, staging, [record.getMessage() for record in records]


def test_the_target_s_commits_tell_no_more_than_files_rows_and_bytes(seen):
    out, receipt, _, _ = seen
    commits = actions(out, "commitInfo")
    metrics = [commit["operationMetrics"] for commit in commits if commit["operation"] == "WRITE"]
    assert [set(found) for found in metrics] == [COMMIT_METRICS]
    assert int(metrics[0]["numOutputRows"]) == receipt.n_released
    n_columns = len(json.loads(actions(out, "metaData")[-1]["schemaString"])["fields"])
    assert int(metrics[0]["numFiles"]) == n_draw_tasks(-(-receipt.n_released // BLOCK_ROWS), n_columns)


def test_statistics_in_the_target_s_log_are_of_released_values(spark, seen):
    out, _, _, _ = seen
    rows = spark.read.format("delta").load(str(out))
    fields = json.loads(actions(out, "metaData")[-1]["schemaString"])["fields"]
    physical = {field["name"]: field["metadata"]["delta.columnMapping.physicalName"] for field in fields}
    found = [json.loads(action["stats"]) for action in actions(out, "add")]
    ages = rows.agg(F.min("age"), F.max("age")).collect()[0]
    assert min(stats["minValues"][physical["age"]] for stats in found) == ages[0]
    assert max(stats["maxValues"][physical["age"]] for stats in found) == ages[1]


def test_staging_s_log_holds_no_minima_and_maxima(seen):
    _, _, staging, _ = seen
    assert staging
    for action in staging:
        statistics = json.loads(action.get("stats") or "{}")
        assert set(statistics) <= {"numRecords", "minValues", "maxValues", "nullCount", "tightBounds"}
        assert not statistics.get("minValues")
        assert not statistics.get("maxValues")


def names_of(value):
    """All names in nested plain values."""
    if isinstance(value, dict):
        return [*value, *(name for part in value.values() for name in names_of(part))]
    return [name for part in value for name in names_of(part)] if isinstance(value, list) else []


def test_a_receipt_tells_no_times(seen):
    _, receipt, _, _ = seen
    timed, dated = r"seconds?|duration|elapsed|time|\w+_at", r"\d\d:\d\d:\d\d|\d{4}-\d\d-\d\d"
    assert not [name for name in names_of(json.loads(receipt.to_json())) if re.fullmatch(timed, name)]
    known = json.loads(receipt.to_json())
    del known["config"]  # as configured: bounds may be dates
    assert re.search(dated, known.pop("at"))  # when the release ended, as the table's own history says
    assert not re.search(dated, json.dumps(known))
    assert [name for name in names_of({"a": [{"written_at": 1}]}) if re.fullmatch(timed, name)] == ["written_at"]


def test_log_lines_name_steps_and_nothing_of_the_rows(seen):
    *_, lines = seen
    assert len(lines) >= 7
    assert [line for line in lines if not any(re.fullmatch(pattern, line) for pattern in LINES)] == []


@pytest.mark.parametrize("n_files", [1, 3])
def test_order_and_files_of_mixed_rows_are_a_function_of_the_rows_alone(spark, tmp_path, n_files):
    rows = spark.range(2000).select((F.col("id") % 700).alias("a b"), F.rand(1).alias("x")).localCheckpoint()
    layouts = []
    for number, given in enumerate([rows.repartition(1), rows.orderBy(F.desc("x")).repartition(5)]):
        place = tmp_path / str(number)
        without_layout(given, 3, n_files).write.option("compression", "none").parquet(str(place))
        layouts.append([file.read_bytes() for file in sorted(place.glob("part-*.parquet"))])
    assert len(layouts[0]) == n_files
    assert layouts[0] == layouts[1]
    without_layout(rows, 4, n_files).write.option("compression", "none").parquet(str(tmp_path / "salted"))
    assert layouts[0] != [file.read_bytes() for file in sorted((tmp_path / "salted").glob("part-*.parquet"))]
