import json
import traceback

import pytest
import yaml
from pyspark.sql import functions as F
from tables import COLUMNS, clinic, config_of, write_delta

from threea_spark import ReleaseConfig, evaluate, fit, release, release_with_model, report_html
from threea_spark.booking import booked
from threea_spark.errors import (
    BudgetError,
    ConfigError,
    LedgerError,
    PrivacyError,
    ReleaseExistsError,
    ReleaseFailedError,
    SchemaError,
    SourceError,
    TargetExistsError,
)
from threea_spark.model.released import ReleaseModel
from threea_spark.planned import make_plan
from threea_spark.publish.ledger import Ledger
from threea_spark.publish.ledger_summary import summary
from threea_spark.publish.officer import void
from threea_spark.publish.receipt import Receipt

pytestmark = pytest.mark.usefixtures("no_staging_left")


def kinds(spark, ledger):
    return [row["kind"] for row in spark.read.format("delta").load(str(ledger)).orderBy("number").collect()]


def run(spark, source, target, **overrides):
    return release(spark, ReleaseConfig.from_dict(config_of(source, target, **overrides)))


@pytest.mark.connect
def test_a_release_keeps_schema_bounds_and_claim(spark, source, tmp_path):
    receipt = run(spark, source, tmp_path / "out")
    rows = spark.read.format("delta").load(str(tmp_path / "out"))
    wanted = {f.name: f.dataType.simpleString() for f in spark.read.format("delta").load(str(source)).schema.fields}
    wanted.pop("patient")
    assert {f.name: f.dataType.simpleString() for f in rows.schema.fields} == wanted
    table = rows.toPandas()
    assert table["age"].between(18, 100).all()
    assert table["cost.usd"].dropna().between(0, 1e6).all()
    assert 0 < table["cost.usd"].isna().mean() < 0.3
    assert (table["cost.usd"] == 0).mean() > 0.15  # the spike at zero is kept
    assert set(table["ward name"].dropna()) <= {"CCU", "MICU", "SICU"}
    assert set(table["died"]) == {"no", "yes"}
    assert table["admitted"].dt.year.between(2020, 2022).all()
    assert 0.99 * 3.0 <= receipt.privacy.epsilon_spent <= 3.0  # of every mode: tests/unit/test_claims_of_modes.py
    assert receipt.n_released == len(table)
    assert receipt.left_out == ("patient",)


def test_receipt_stands_in_commit_properties_and_file(spark, source, tmp_path):
    receipt = run(spark, source, tmp_path / "out")
    history = spark.sql(f"DESCRIBE HISTORY delta.`{tmp_path / 'out'}`").collect()
    assert [row["operation"] for row in history] == ["SET TBLPROPERTIES", "WRITE"]
    assert Receipt.from_dict(json.loads(history[1]["userMetadata"])) == Receipt.from_dict(json.loads(receipt.to_json()))
    properties = {r["key"]: r["value"] for r in spark.sql(f"SHOW TBLPROPERTIES delta.`{tmp_path / 'out'}`").collect()}
    assert properties["threea.release_id"] == receipt.release_id
    assert properties["threea.accounting"] == "end_to_end"
    receipt.write(tmp_path / "receipt.json")
    assert Receipt.read(tmp_path / "receipt.json").privacy.epsilon_spent == receipt.privacy.epsilon_spent


def test_the_same_release_again_reads_and_rewrites_nothing(spark, source, tmp_path):
    config = config_of(source, tmp_path / "out", adapt={"method": "none"})
    (tmp_path / "release.yaml").write_text(yaml.safe_dump(config))
    receipt, model = release_with_model(spark, config, if_exists="skip")  # nothing to skip yet
    assert model.privacy == receipt.privacy
    assert len(model.sample_local(9)) == 9
    with pytest.raises(ReleaseExistsError, match=r"by default .*/out\.model, with `threea sample` .* --if-exists skip"):
        release(spark, str(tmp_path / "release.yaml"))
    seen = []
    listener = lambda name, *_: seen.append(name)  # noqa: E731
    assert release(spark, tmp_path / "release.yaml", if_exists="skip", listener=listener).to_json() == receipt.to_json()
    assert release_with_model(spark, config, if_exists="skip")[1] is None
    assert seen == []
    with pytest.raises(TargetExistsError, match="holds another release"):
        release(spark, {**config, "privacy": {**config["privacy"], "epsilon": 2.0}}, if_exists="skip")
    assert len(spark.sql(f"DESCRIBE HISTORY delta.`{tmp_path / 'out'}`").collect()) == 2


def test_something_else_at_the_target_is_never_overwritten(spark, source, tmp_path):
    write_delta(spark, clinic(10), tmp_path / "out")
    for mode, words in (("create", "by a release; it is left untouched"), ("append", "append only to a table")):
        config = config_of(source, tmp_path / "out")
        config["target"]["mode"] = mode
        with pytest.raises(TargetExistsError, match=words) as caught:
            release(spark, ReleaseConfig.from_dict(config))
        assert "drop" not in str(caught.value)
    assert spark.read.format("delta").load(str(tmp_path / "out")).count() == 10
    assert len(spark.sql(f"DESCRIBE HISTORY delta.`{tmp_path / 'out'}`").collect()) == 1


def test_an_older_version_can_be_released_and_an_absent_one_is_refused(spark, tmp_path):
    place = write_delta(spark, clinic(300), tmp_path / "source")
    write_delta(spark, clinic(600), place)
    old = config_of(place, tmp_path / "out")
    old["source"]["version"] = 0
    assert release(spark, ReleaseConfig.from_dict(old)).source_version == 0
    old["source"]["version"] = 9
    with pytest.raises(SourceError, match="versions 0 to 1"):
        release(spark, ReleaseConfig.from_dict(old))
    with pytest.raises(SourceError, match="not a readable Delta table"):
        run(spark, tmp_path / "nowhere", tmp_path / "out2")


def test_a_schema_that_does_not_fit_is_refused_by_name_before_any_row(spark, source, tmp_path):
    columns = {**COLUMNS, "Age": COLUMNS["age"], "patient": {"type": "float", "lower": 0, "upper": 1}}
    with pytest.raises(SchemaError) as caught:
        run(spark, source, tmp_path / "out", columns=columns)
    message = str(caught.value)
    assert "'Age'" in message
    assert "did you mean 'age'" in message
    assert "'patient'" in message
    assert "string" in message


def test_mixing_releases_noisy_averages_and_says_how_many(spark, source, tmp_path):
    receipt = run(spark, source, tmp_path / "out", anonymize={"generator": "mix", "mix_size": 5})
    rows = spark.read.format("delta").load(str(tmp_path / "out")).toPandas()
    assert len(rows) == receipt.n_released > 100
    assert rows["age"].between(18, 100).all()


def test_conditional_mode_marks_receipt_and_table(spark, source, tmp_path):
    receipt = run(
        spark, source, tmp_path / "out", privacy={"accounting": "conditional"},
        anonymize={"generator": "mix", "mix_size": 10}, approximate={"components": 4, "min_cluster_size": 50},
        adapt={"targets": "plain", "steps": 2},
    )  # fmt: skip
    assert receipt.privacy.accounting == "conditional"
    assert "NOT COVERED" in receipt.in_words()
    assert any("sqrt(p)" in text for text in receipt.diagnostics)
    properties = {r["key"]: r["value"] for r in spark.sql(f"SHOW TBLPROPERTIES delta.`{tmp_path / 'out'}`").collect()}
    assert properties["threea.accounting"] == "conditional"


def test_a_unit_with_many_rows_raises_the_noise_and_is_named(spark, source, tmp_path):
    receipt = run(spark, source, tmp_path / "out", privacy={"unit": {"column": "patient", "max_rows": 2}})
    assert "'patient'" in receipt.privacy.unit
    assert "at most 2" in receipt.privacy.unit
    assert receipt.n_released < 1300  # 2 of 3 rows of each patient, by a noisy count


@pytest.mark.parametrize("missing", ["together", "drop", "refuse"])
def test_rows_of_nobody_count_together_are_dropped_or_are_refused_before_a_row_is_read(spark, tmp_path, missing):
    frame = clinic(900)
    frame.loc[::3, "patient"] = None  # 300 rows of nobody, 600 of 300 patients
    place = write_delta(spark, frame, tmp_path / "source")
    unit = {"column": "patient", "max_rows": 2, "missing": missing}
    if missing == "refuse":
        with pytest.raises(SchemaError, match=r"privacy\.unit\.missing: refuse needs 'patient' to be NOT NULL"):
            run(spark, place, tmp_path / "out", privacy={"unit": unit})
        with pytest.raises(SchemaError, match="NOT NULL"):
            fit(spark.read.format("delta").load(str(place)), of_unit(place, unit))
        return
    receipt = run(spark, place, tmp_path / "out", privacy={"unit": unit})
    words = {"together": "count as one unit together", "drop": "are left out and were not read"}
    assert words[missing] in " ".join(receipt.in_words().split())
    assert receipt.privacy.unit == "all rows with the same 'patient', of which at most 2 are read"


def of_unit(place, unit):
    return ReleaseConfig.from_dict(config_of(place, f"{place}_unused", privacy={"unit": unit}))


def test_identifiers_that_the_schema_says_are_never_null_are_not_refused(spark, tmp_path):
    place = str(tmp_path / "source")
    spark.sql(f"CREATE TABLE delta.`{place}` (patient STRING NOT NULL, age INT, died STRING) USING delta")
    rows = spark.createDataFrame(clinic(900)[["patient", "age", "died"]])
    rows.write.format("delta").mode("append").save(place)
    columns = {name: COLUMNS[name] for name in ("age", "died")}
    unit = {"column": "patient", "max_rows": 2, "missing": "refuse"}
    receipt = run(spark, place, tmp_path / "out", columns=columns, privacy={"unit": unit})
    assert "the source declares it NOT NULL" in " ".join(receipt.in_words().split())


def test_open_categories_are_found_and_rare_ones_stay_hidden(spark, tmp_path):
    frame = clinic(1500)
    frame.loc[3, "ward name"] = "secret-ward-of-one"
    place = write_delta(spark, frame, tmp_path / "source")
    columns = {**COLUMNS, "ward name": {"type": "categorical", "values": "open", "nullable": True}}
    receipt = run(spark, place, tmp_path / "out", columns=columns)
    found = set(spark.read.format("delta").load(str(tmp_path / "out")).toPandas()["ward name"].dropna())
    assert {"CCU", "MICU"} <= found <= {"CCU", "MICU", "SICU", "other"}
    assert "secret-ward" not in receipt.to_json()


def test_a_ledger_refuses_before_any_read_when_the_rest_does_not_suffice(spark, source, tmp_path):
    ledger = {"path": str(tmp_path / "ledger"), "budget": {"epsilon": 4.0, "delta": 3e-5}}
    receipt = run(spark, source, tmp_path / "one", privacy={"ledger": ledger})
    assert f"entry 0, {receipt.ledger['hash']}" in receipt.in_words()
    with pytest.raises(BudgetError, match="budget of this source"):
        run(spark, source, tmp_path / "two", privacy={"ledger": ledger})
    assert not (tmp_path / "two").exists()
    assert kinds(spark, tmp_path / "ledger") == ["start", "finish"]


@pytest.mark.connect
def test_a_failing_write_leaves_neither_target_nor_staging_and_stays_spent(spark, source, tmp_path, monkeypatch):
    from threea_spark import writing

    def broken(*arguments):
        def fail(batches):
            raise ValueError("a private value: 12345")

        rows = spark.range(0, 4, 1, 2).mapInArrow(fail, "age int")
        return rows

    monkeypatch.setattr(writing, "sampled_rows", broken)
    ledger = {"path": str(tmp_path / "ledger"), "budget": {"epsilon": 4.0, "delta": 3e-5}}
    with pytest.raises(ReleaseFailedError) as caught:
        run(spark, source, tmp_path / "out", privacy={"ledger": ledger})
    assert "12345" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    assert kinds(spark, tmp_path / "ledger") == ["start", "fail"]


def test_a_delta_of_one_in_fewer_people_is_refused_before_staging_and_told_where_it_is_allowed(spark, source, tmp_path):
    seen = []
    large = config_of(source, tmp_path / "out", privacy={"delta": 2e-3})
    with pytest.raises(PrivacyError, match=r"privacy\.delta: .* one over the number of units in the table"):
        release(spark, ReleaseConfig.from_dict(large), listener=lambda name, *_: seen.append(name))
    assert not [name for name in seen if "stage packed" in name]
    assert not (tmp_path / "out").exists()
    large["privacy"]["allow_large_delta"] = True
    receipt = release(spark, ReleaseConfig.from_dict(large))
    assert "real values of individuals may be among the released ones" in " ".join(receipt.in_words().split())
    page = report_html(spark, ReleaseConfig.from_dict(large))
    assert "real values of individuals may be among the released ones" in page
    by_patient = config_of(
        source, tmp_path / "by_patient", privacy={"delta": 1.5e-3, "unit": {"column": "patient", "max_rows": 3}}
    )
    told = release(spark, ReleaseConfig.from_dict(by_patient))  # 1500 rows of 500 patients
    assert "real values" not in told.in_words()


def as_a_notebook_prints(error):
    return "".join(traceback.format_exception(error))


def test_the_trace_of_a_failed_release_holds_no_value_of_its_cause(spark, source, tmp_path, caplog):
    planted = F.concat(F.lit("planted-"), F.col("patient"))  # in ANSI mode the error of the cast says what it held
    rows = spark.read.format("delta").load(str(source)).withColumn("age", planted.cast("int"))
    config = ReleaseConfig.from_dict(config_of(source, tmp_path / "unused"))
    with caplog.at_level("DEBUG", "threea_spark"), pytest.raises(ReleaseFailedError) as caught:
        fit(rows, config)
    assert "planted-p" in caplog.text  # with --debug
    assert "planted-p" not in as_a_notebook_prints(caught.value)
    assert "stopped in NumberFormatException" in str(caught.value)


def refuse():
    try:
        raise ValueError("planted-" + "p1")
    except ValueError as error:
        raise PrivacyError("too dear; nothing was written") from error


def test_no_error_of_our_own_brings_along_what_it_came_of(spark, source, tmp_path):
    config = ReleaseConfig.from_dict(config_of(source, tmp_path / "unused"))
    ledger = Ledger.open(spark, config, make_plan(config), release_id="none")
    with pytest.raises(PrivacyError) as caught, booked(ledger):
        refuse()
    assert "planted-p" in str(caught.value.__context__)
    assert "planted-p" not in as_a_notebook_prints(caught.value)


def test_append_adds_a_release_once(spark, source, tmp_path):
    first = config_of(source, tmp_path / "out")
    release(spark, ReleaseConfig.from_dict(first))
    second = {**first, "target": {"path": str(tmp_path / "out"), "mode": "append"}}
    n_before = spark.read.format("delta").load(str(tmp_path / "out")).count()
    receipt = release(spark, ReleaseConfig.from_dict(second))
    assert spark.read.format("delta").load(str(tmp_path / "out")).count() == n_before + receipt.n_released
    with pytest.raises(ReleaseExistsError):
        release(spark, ReleaseConfig.from_dict(second))
    properties = {r["key"]: r["value"] for r in spark.sql(f"SHOW TBLPROPERTIES delta.`{tmp_path / 'out'}`").collect()}
    assert 3.5 < float(properties["threea.epsilon"]) < 6.0  # two releases of epsilon 3 each
    assert properties["threea.delta"] == "2e-05"
    assert len(properties["threea.releases"].split(",")) == 2
    conditional = {
        **second, "privacy": {**second["privacy"], "accounting": "conditional"}, "anonymize": {"generator": "mix"},
        "adapt": {"method": "none"},
    }  # fmt: skip
    with pytest.raises(TargetExistsError, match=r"privacy\.accounting: .* use the same"):
        release(spark, ReleaseConfig.from_dict(conditional))


def test_the_label_s_probability_is_a_column_that_reports_and_evaluation_leave_alone(spark, source, tmp_path):
    asked = {"anonymize": {"label_probability": True}, "adapt": {"method": "none"}}
    receipt = run(spark, source, tmp_path / "out", **asked)
    rows = spark.read.format("delta").load(str(tmp_path / "out"))
    assert rows.schema["died_probability"].dataType.simpleString() == "double"
    assert receipt.columns == tuple(rows.columns)
    table = rows.toPandas()
    assert table["died_probability"].between(0.0, 1.0).all()
    assert table["died_probability"].mean() == pytest.approx((table["died"] == "yes").mean(), abs=0.05)
    config = ReleaseConfig.from_dict(config_of(source, tmp_path / "out", **asked))
    assert "died_probability" in report_html(spark, config)
    held_out = write_delta(spark, clinic(400, seed=6), tmp_path / "held_out")
    assert evaluate(spark, config, str(held_out)).released.auc > 0.6  # real rows have no such column


def test_the_label_s_probability_is_appended_where_it_is_a_column_already(spark, source, tmp_path):
    asked = {"anonymize": {"label_probability": True}, "adapt": {"method": "none"}}
    for name, first in (("with", asked), ("without", {"adapt": {"method": "none"}})):
        run(spark, source, tmp_path / name, **first)
        more = config_of(source, tmp_path / name, privacy={"epsilon": 2.0}, **asked)
        more["target"]["mode"] = "append"
        if name == "with":
            release(spark, ReleaseConfig.from_dict(more))
            rows = spark.read.format("delta").load(str(tmp_path / name))
            assert rows.where("died_probability is null").count() == 0
        else:
            with pytest.raises(TargetExistsError, match="died_probability"):
                release(spark, ReleaseConfig.from_dict(more))


def test_a_column_of_the_source_named_like_the_label_s_probability_is_refused_before_any_row(spark, tmp_path):
    place = write_delta(spark, clinic(50).assign(Died_Probability=0.5), tmp_path / "in")
    with pytest.raises(SchemaError, match="died_probability"):
        run(spark, place, tmp_path / "out", anonymize={"label_probability": True})


def test_a_release_that_is_voided_while_it_runs_writes_nothing(spark, source, tmp_path):
    ledger = {"path": str(tmp_path / "ledger"), "budget": {"epsilon": 4.0, "delta": 3e-5}}
    config = ReleaseConfig.from_dict(
        config_of(source, tmp_path / "out", privacy={"ledger": ledger}, adapt={"method": "none"})
    )

    def officer(name, number, of):
        if name.startswith("approximate"):
            void(spark, config, 0, "seemed to hang")

    with pytest.raises(LedgerError, match="entry 0 was voided while the release ran"):
        release(spark, config, listener=officer)
    assert not (tmp_path / "out").exists()
    assert "finish" not in kinds(spark, tmp_path / "ledger")
    assert summary(spark, config)["spent_epsilon"] == 0.0


def test_a_fitted_model_is_saved_loaded_and_sampled_again_and_again(spark, source, tmp_path):
    config = ReleaseConfig.from_dict(config_of(source, tmp_path / "unused"))
    model = fit(spark.read.format("delta").load(str(source)), config)
    assert not (tmp_path / "unused").exists()
    model.save(tmp_path / "model")
    loaded = ReleaseModel.load(tmp_path / "model")
    first, second = (m.sample(spark, 500, seed=3).toPandas() for m in (model, loaded))
    columns = list(first.columns)
    assert first.sort_values(columns, ignore_index=True).equals(second.sort_values(columns, ignore_index=True))
    other = loaded.sample(spark, 500, seed=4).toPandas()
    assert not first.sort_values(columns, ignore_index=True).equals(other.sort_values(columns, ignore_index=True))
    assert loaded.privacy == model.privacy
    balanced = loaded.sample(
        spark, 20_000, where={"ward name": "SICU"}, class_shares={"yes": 0.5, "no": 0.5}
    ).toPandas()
    assert set(balanced["ward name"]) == {"SICU"}
    assert (balanced["died"] == "yes").mean() == pytest.approx(0.5, abs=0.02)
    with pytest.raises(ConfigError, match="no category"):
        loaded.sample(spark, 5, where={"ward name": "violet"})
    with pytest.raises(ConfigError, match="sample from"):
        fit(spark.range(1), ReleaseConfig.from_dict(config_of(source, "x", anonymize={"generator": "mix"})))


@pytest.mark.connect
def test_evaluation_compares_with_real_rows_and_is_marked_internal(spark, source, tmp_path):
    config = ReleaseConfig.from_dict(config_of(source, tmp_path / "out"))
    receipt = release(spark, config)
    held_out = write_delta(spark, clinic(400, seed=6), tmp_path / "held_out")
    found = evaluate(spark, config.model_dump(), held_out)
    assert found.internal
    assert found.real.auc > 0.85
    assert found.released.auc > 0.6
    assert "INTERNAL" in found.in_words()
    assert Receipt.from_dict(json.loads(receipt.to_json())).release_id in report_html(spark, config)
