"""A table that grew: only new units are read, and only they are charged, where nothing ever left the table."""

import pandas as pd
import pytest
from tables import clinic, config_of, write_delta

from threea_spark import ReleaseConfig, fit, release, report_html
from threea_spark.engine.delta import Place, properties_of
from threea_spark.errors import BudgetError, ConfigError, SourceError
from threea_spark.publish.ledger_summary import summary

QUICKEST = {"adapt": {"method": "none"}}
UNIT = {"column": "patient", "max_rows": 3}
BUDGET = {"epsilon": 3.5, "delta": 2e-5}  # holds one release of epsilon 3, not two


def grown(spark, folder, times=1):
    """900 rows of 300 patients; with each append 200 more, and one more row for each of a hundred old ones."""
    source = write_delta(spark, clinic(900), folder / "source")
    for time in range(1, times + 1):
        more = clinic(600, seed=time).assign(patient=lambda rows, time=time: f"new{time}-" + rows["patient"])
        old = clinic(100, seed=50).assign(patient=lambda rows: [f"p{place}" for place in range(len(rows))])
        spark.createDataFrame(pd.concat([more, old])).write.format("delta").mode("append").save(str(source))
    return source


def config(source, target, *, since=None, unit=UNIT, version=None):
    privacy = {"unit": unit, "ledger": {"path": f"{source}.ledger", "budget": BUDGET}}
    content = config_of(source, target, privacy=privacy, **QUICKEST)
    content["source"] |= {"since": since, "version": version}
    return ReleaseConfig.from_dict(content)


def test_new_units_are_read_and_charged_alone(spark, tmp_path):
    source = grown(spark, tmp_path, times=2)
    whole = release(spark, config(source, tmp_path / "whole", version=0))
    first = release(spark, config(source, tmp_path / "first", since=0, version=1))
    second = release(spark, config(source, tmp_path / "second", since=1))
    assert whole.source_since is None
    assert (second.source_since, second.source_version) == (1, 2)
    assert "only units absent from version 1" in second.in_words()
    for receipt in (first, second):
        assert 450 < receipt.n_released < 750  # of 600 rows of new patients; with the old ones' 700, in all 2,300
    spent = summary(spark, config(source, tmp_path / "x"))
    assert [entry["status"] for entry in spent["entries"]] == ["finished"] * 3
    assert spent["spent_epsilon"] <= 3.5
    with pytest.raises(BudgetError, match="with this one it would be"):
        release(spark, config(source, tmp_path / "again", since=0))  # who came with version 1 was in one already
    with pytest.raises(BudgetError, match="with this one it would be"):
        release(spark, config(source, tmp_path / "all"))
    assert not (tmp_path / "again").exists()


def test_where_a_unit_may_have_left_all_releases_add_up(spark, tmp_path):
    source = grown(spark, tmp_path)
    release(spark, config(source, tmp_path / "whole", version=0))
    spark.sql(f"DELETE FROM delta.`{source}` WHERE age > 90")
    more = clinic(300, seed=9).assign(patient=lambda rows: "late-" + rows["patient"])
    spark.createDataFrame(more).write.format("delta").mode("append").save(str(source))
    with pytest.raises(BudgetError, match="with this one it would be"):
        release(spark, config(source, tmp_path / "new", since=2))
    assert summary(spark, config(source, tmp_path / "x"))["spent_epsilon"] > 2.8


def test_a_unit_that_was_renamed_after_since_is_not_taken_for_two(spark, tmp_path):
    source = write_delta(spark, clinic(900), tmp_path / "source")
    release(spark, config(source, tmp_path / "whole", version=0))
    spark.sql(f"UPDATE delta.`{source}` SET patient = concat('renamed-', patient)")  # who was read is new by name
    with pytest.raises(BudgetError, match="with this one it would be"):
        release(spark, config(source, tmp_path / "new", since=0))
    assert not (tmp_path / "new").exists()


def test_a_table_that_grew_is_appended_to_and_stands_at_the_larger_claim(spark, tmp_path):
    source = grown(spark, tmp_path)
    first = release(spark, config(source, tmp_path / "out", version=0))
    content = config(source, tmp_path / "out", since=0).model_dump(mode="json")
    content["target"]["mode"] = "append"
    second = release(spark, ReleaseConfig.from_dict(content))
    properties = properties_of(spark, Place.of(None, str(tmp_path / "out")))
    assert properties["threea.releases"] == ",".join(sorted([first.release_id, second.release_id]))
    assert (properties["threea.epsilon"], properties["threea.delta"]) == ("3", "1e-05")  # nobody was in both
    page = report_html(spark, ReleaseConfig.from_dict(content))
    assert "The table holds rows of 2 releases." in page
    assert "The claim for the table as a whole: epsilon 3, delta 1e-05." in page
    assert first.release_id in page
    assert f"{first.n_released + second.n_released:,}" in page


def test_rows_that_are_units_of_their_own_must_never_have_changed(spark, tmp_path):
    source = grown(spark, tmp_path)
    receipt = release(spark, config(source, tmp_path / "new", since=0, unit="row"))
    assert 600 < receipt.n_released < 800  # of 700 appended rows
    spark.sql(f"UPDATE delta.`{source}` SET age = age + 1 WHERE age > 80")
    with pytest.raises(SourceError, match=r"there may only be appends.*version 2 \(UPDATE\)"):
        release(spark, config(source, tmp_path / "newer", since=1, unit="row"))


@pytest.mark.parametrize(
    ("since", "error", "words"),
    [(0, ConfigError, "no row would be new"), (7, ConfigError, "no row would be new")],
)
def test_a_version_that_is_not_earlier_is_refused(spark, tmp_path, since, error, words):
    source = write_delta(spark, clinic(60), tmp_path / "source")
    with pytest.raises(error, match=words):
        release(spark, config(source, tmp_path / "out", since=since))


def test_fit_reads_what_it_is_given(spark, tmp_path):
    source = write_delta(spark, clinic(60), tmp_path / "source")
    with pytest.raises(ConfigError, match=r"source\.since"):
        fit(spark.read.format("delta").load(str(source)), config(source, tmp_path / "out", since=0))
