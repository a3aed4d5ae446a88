"""The ledger on Delta: budgets, races for the last of it, and whoever changes the past."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from report_pages import receipt, table
from typer.testing import CliRunner

from threea_spark.cli.main import app
from threea_spark.config.release import ReleaseConfig
from threea_spark.engine.session_user import session_user, utc_now
from threea_spark.errors import BudgetError, ConfigError, LedgerError
from threea_spark.planned import make_plan
from threea_spark.privacy.account import Budget
from threea_spark.privacy.entries import Kind, next_entry
from threea_spark.publish.ledger import Ledger, holder_of
from threea_spark.publish.ledger_books import Books
from threea_spark.publish.ledger_summary import check_receipt, summary
from threea_spark.publish.ledger_view import create_views
from threea_spark.publish.officer import grant, void

NUMBER = {"type": "float", "lower": 0, "upper": 1}


@pytest.fixture(scope="module")
def source(spark, tmp_path_factory):
    place = str(tmp_path_factory.mktemp("ledger") / "source")
    spark.sql("SELECT 0.5D AS a, 1 AS patient").write.format("delta").save(place)
    return place


@pytest.fixture
def config(source, tmp_path):
    return config_of(source, tmp_path)


def config_of(source, tmp_path, *, unit="row", budget=None, grants=None, **more):
    ledger = {"path": str(tmp_path / "ledger"), "grants": grants, **({"budget": budget} if budget else {})}
    return ReleaseConfig.from_dict(
        {
            "source": {"path": source},
            "target": {"path": str(tmp_path / "target")},
            "privacy": {"epsilon": 1.0, "delta": 1e-6, "unit": unit, "ledger": ledger, **more},
            "domain": {"task": "none", "columns": {"a": NUMBER}},
            "anonymize": {"generator": "mix" if "accounting" in more else "sample"},
            "adapt": {"method": "none"},
        }
    )


def opened(spark, config, release_id):
    return Ledger.open(spark, config, make_plan(config), release_id=release_id)


def statuses(spark, config):
    return [entry["status"] for entry in summary(spark, config)["entries"]]


def test_grant_start_finish_fail_and_void_stand_in_one_chain(spark, config):
    grant(spark, config, Budget(1.2, 2e-6))
    one, two = opened(spark, config, "r1"), opened(spark, config, "r2")
    one.start()
    one.finish()
    with pytest.raises(BudgetError, match=r"1 earlier release\(s\) spent epsilon 0\.9"):
        two.start()
    void(spark, config, one.started.number, "never left the cluster")
    two.start()
    two.fail()
    found = summary(spark, config)
    assert found["granted"] == {"epsilon": 1.2, "delta": 2e-6, "allow_conditional": False}
    assert [entry["status"] for entry in found["entries"]] == ["void", "failed"]
    assert 0.9 < found["spent_epsilon"] <= 1.0
    assert two.receipt_entry == {
        "entry": 4,
        "hash": two.started.hash,
        "granted_epsilon": 1.2,
        "granted_delta": 2e-6,
        "spent_epsilon_before": 0.0,
        "spent_epsilon_after": found["spent_epsilon"],
        "left_epsilon": found["left_epsilon"],
    }
    assert {entry["by"] for entry in (*found["entries"], *found["officers"])} == {session_user(spark)}
    assert [entry["left_epsilon"] for entry in found["entries"]] == [None, pytest.approx(1.2 - found["spent_epsilon"])]
    with pytest.raises(LedgerError, match="not a started release"):
        void(spark, config, 0, "a grant is none")


def test_a_release_that_was_voided_while_it_ran_may_not_write_and_counts_if_it_did(spark, config):
    grant(spark, config, Budget(1.2, 2e-6))
    one, two = opened(spark, config, "r1"), opened(spark, config, "r2")
    one.start()
    one.require_counting()
    void(spark, config, one.started.number, "seemed to hang")
    two.start()
    with pytest.raises(LedgerError, match="entry 1 was voided while the release ran; nothing was written"):
        one.require_counting()
    two.require_counting()
    void(spark, config, two.started.number, "seemed to hang too")
    two.finish()  # it had passed its check before
    assert statuses(spark, config) == ["void", "finished"]
    with pytest.raises(BudgetError, match=r"1 earlier release\(s\) spent epsilon 0\.9"):
        opened(spark, config, "r3").start()


def test_a_release_whose_entry_is_gone_may_not_write(spark, source, config, tmp_path):
    anew = config_of(source, tmp_path / "anew", budget={"epsilon": 1.2, "delta": 2e-6})
    here = replace(opened(spark, config, "r1"), limit=Budget(1.2, 2e-6))
    here.start()
    there = opened(spark, anew, "r1")
    moved = replace(here, books=there.books)
    with pytest.raises(LedgerError, match="no longer this release's"):
        moved.require_counting()
    there.start()
    with pytest.raises(LedgerError, match="no longer this release's"):
        moved.require_counting()
    there.require_counting()


def test_a_conditional_release_is_charged_by_no_number_and_listed(spark, source, tmp_path):
    asked = config_of(source, tmp_path, accounting="conditional")
    end_to_end = config_of(source, tmp_path)
    grant(spark, asked, Budget(1e5, 0.1))
    with pytest.raises(BudgetError, match="--allow-conditional"):
        opened(spark, asked, "c1").start()
    grant(spark, asked, Budget(1.2, 2e-6, allow_conditional=True))
    opened(spark, asked, "c1").start()
    opened(spark, end_to_end, "r1").start()
    found = summary(spark, asked)
    assert 0.9 < found["spent_epsilon"] <= 1.0
    assert found["conditional_releases"] == 1
    assert found["notes"][0].startswith("1 conditional release(s): rows were read without noise; no epsilon bounds")
    assert [entry["accounting"] for entry in found["entries"]] == ["conditional", "end_to_end"]


def test_without_a_grant_nothing_starts_and_nothing_is_written(spark, config):
    with pytest.raises(BudgetError, match="threea ledger grant"):
        opened(spark, config, "r1").start()
    assert statuses(spark, config) == []


@pytest.mark.connect
def test_of_releases_that_race_for_the_last_budget_one_wins(spark, config):
    grant(spark, config, Budget(1.2, 2e-6))

    def start(number):
        try:
            opened(spark, config, f"r{number}").start()
        except BudgetError as error:
            return str(error)
        return "won"

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(start, range(4)))
    assert outcomes.count("won") == 1
    assert all("budget of this source" in text for text in outcomes if text != "won")
    assert statuses(spark, config) == ["started"]


def test_another_unit_of_the_same_source_has_no_budget_of_its_own(spark, source, tmp_path):
    by_row = config_of(source, tmp_path, budget={"epsilon": 5.0, "delta": 1e-5})
    by_unit = config_of(
        source, tmp_path, unit={"column": "patient", "max_rows": 2}, budget={"epsilon": 5.0, "delta": 1e-5}
    )
    opened(spark, by_row, "r1").start()
    with pytest.raises(BudgetError, match="another unit"):
        opened(spark, by_unit, "r2").start()


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE {} SET content = replace(content, 'noise_multiplier', 'noise_multiplier ') WHERE number = 1",
        pytest.param("UPDATE {} SET unit = 'patient' WHERE number = 1", marks=pytest.mark.slow),
        pytest.param("DELETE FROM {} WHERE number = 1", marks=pytest.mark.slow),
    ],
)
def test_a_changed_past_is_refused_by_delta_and_found_by_the_chain(spark, config, tampering):
    grant(spark, config, Budget(1.2, 2e-6))
    opened(spark, config, "r1").start()
    opened(spark, config, "r2").fail()  # nothing started, nothing marked
    ledger = f"delta.`{config.privacy.ledger.path}`"
    grant(spark, config, Budget(1.3, 2e-6))
    with pytest.raises(Exception, match=r"(?i)append"):
        spark.sql(tampering.format(ledger))
    assert statuses(spark, config) == ["started"]
    spark.sql(f"ALTER TABLE {ledger} SET TBLPROPERTIES ('delta.appendOnly' = 'false')")
    spark.sql(tampering.format(ledger))
    with pytest.raises(LedgerError, match="entry 1 does not fit"):
        opened(spark, config, "r3").start()


def test_a_table_that_is_no_ledger_is_refused_by_name(spark, source, tmp_path):
    config = config_of(source, tmp_path)
    elsewhere = config.model_copy(
        update={
            "privacy": config.privacy.model_copy(
                update={"ledger": config.privacy.ledger.model_copy(update={"path": source})}
            )
        }
    )
    with pytest.raises(LedgerError, match="lacks column 'number'"):
        summary(spark, elsewhere)


def test_all_of_many_at_once_start_in_a_ledger_of_0_2_0_with_entries_that_name_people(spark, config):
    columns = "number, kind, source, source_id, unit, release_id, content, at, previous, hash"
    old = next_entry([], Kind.GRANT, holder_of(spark, config), content=Budget(9.0, 2e-6).to_json(), at=utc_now())
    row = tuple(getattr(old, name) for name in columns.split(", "))
    typed = ", ".join(f"{name} {'bigint' if name == 'number' else 'string'}" for name in columns.split(", "))
    spark.createDataFrame([row], typed).write.format("delta").save(config.privacy.ledger.path)
    names = ["r1", "r2", "r3"]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda name: opened(spark, config, name).start(), names))
    chain = Books.configured(spark, config).read().ledger
    assert chain[0] == old
    assert [entry.by for entry in chain] == [None, *[session_user(spark)] * 3]
    assert sorted(entry.release_id for entry in chain[1:]) == names
    assert statuses(spark, config) == ["started"] * 3


@pytest.fixture(scope="module")
def apart(spark, source, tmp_path_factory):
    """A ledger whose grants are in the officers' own table, and what happened in it."""
    tmp_path = tmp_path_factory.mktemp("apart")
    config = config_of(source, tmp_path, grants=str(tmp_path / "grants"), budget={"epsilon": 9.0, "delta": 2e-6})
    shared = config_of(source, tmp_path)
    grant(spark, shared, Budget(9.0, 2e-6, allow_conditional=True))  # a releaser's: into the ledger
    with pytest.raises(BudgetError, match="no budget was granted"):
        opened(spark, config, "r0").start()
    grant(spark, config, Budget(2.1, 2e-6))
    one, two = opened(spark, config, "r1"), opened(spark, config, "r2")
    one.start()
    void(spark, shared, one.started.number, "a releaser's")
    two.start()
    void(spark, config, two.started.number, "lost")
    return config, one, two


def test_only_the_officers_table_grants_and_voids(spark, apart):
    config, one, two = apart
    found = summary(spark, config)
    assert found["granted"] == {"epsilon": 2.1, "delta": 2e-6, "allow_conditional": False}
    assert [entry["status"] for entry in found["entries"]] == ["started", "void"]
    assert [(entry["entry"], entry["kind"]) for entry in found["officers"]] == [(0, "grant"), (1, "void")]
    assert any(note.startswith(f"{one.by} wrote grants or voids and releases too") for note in found["notes"])
    one.require_counting()
    with pytest.raises(LedgerError, match="voided while the release ran"):
        two.require_counting()
    place = config.privacy.ledger.path
    spark.read.format("delta").load(place).where("number < 2").write.format("delta").save(f"{place}.old")
    cut = json.loads(config.model_dump_json(exclude_none=True))
    cut["privacy"]["ledger"]["path"] += ".old"
    with pytest.raises(BudgetError, match="no budget was granted"):
        opened(spark, ReleaseConfig.from_dict(cut), "r3").start()


def test_a_receipt_tells_whether_the_ledger_still_has_its_entry(spark, apart):
    config, one, two = apart
    domain = table(4)[1]
    check_receipt(spark, config, receipt(domain, ledger=one.receipt_entry))
    for entry in ({**one.receipt_entry, "hash": two.started.hash}, {**one.receipt_entry, "entry": 99}):
        with pytest.raises(LedgerError, match="is not the one on the receipt of release 0123456789abcdef-v3"):
            check_receipt(spark, config, receipt(domain, ledger=entry))


def test_views_of_a_ledger_say_no_more_is_left_than_the_ledger_does(spark, apart):
    config, *_ = apart
    shared = config_of(config.source.path, Path(config.privacy.ledger.path).parent)
    names = {"budgets": "threea_budgets", "releases": "threea_releases"}
    try:
        for of, claimed, granted in ((config, 1.0, 2.1), (shared, 1.0, 9.0)):
            assert create_views(spark, of, **names) == list(names.values())
            found, (row,) = summary(spark, of), spark.table("threea_budgets").collect()
            assert (row["source"], row["unit"]) == (found["source"], found["unit"])
            assert (row["granted_epsilon"], row["releases"], row["epsilon_claimed"]) == (granted, 1, claimed)
            assert row["epsilon_left_at_least"] == pytest.approx(granted - claimed)
            assert row["epsilon_left_at_least"] <= found["left_epsilon"] + 1e-9
            assert row["note"] == ""
            said = {line["release_id"]: line["status"] for line in spark.table("threea_releases").collect()}
            assert said == {entry["release_id"]: entry["status"] for entry in found["entries"]}
        (comment,) = [field.metadata["comment"] for field in spark.table("threea_budgets").schema.fields
                      if field.name == "epsilon_left_at_least"]  # fmt: skip
        assert "cannot compose privacy loss distributions" in comment
        spark.sql("CREATE VIEW threea_other AS SELECT 1 AS a")
        with pytest.raises(ConfigError, match="is no view of a ledger"):
            create_views(spark, config, budgets="threea_other")
    finally:
        for name in (*names.values(), "threea_other"):
            spark.sql(f"DROP VIEW IF EXISTS {name}")


def test_an_officer_grants_reads_and_voids_from_the_command_line(spark, config, tmp_path):
    file = tmp_path / "release.json"  # JSON is YAML
    file.write_text(config.model_dump_json(exclude_none=True))

    def said(*command):
        done = CliRunner().invoke(app, [*command, "-c", str(file)], catch_exceptions=False)
        assert done.exit_code == 0
        return done.stdout

    assert "epsilon 3, delta 4e-06" in said("ledger", "grant", "--epsilon", "3", "--delta", "4e-6")
    first = opened(spark, config, "r1")
    first.start()
    receipt(table(4)[1], ledger=first.receipt_entry).write(tmp_path / "receipt.json")
    shown = said("ledger", "show", "--receipt", str(tmp_path / "receipt.json"))
    assert "started   r1  epsilon 1, delta 1e-06, end_to_end; epsilon 2" in shown
    assert f"; by {session_user(spark)}" in shown
    assert "entry 1 (release r1) no longer counts" in said("ledger", "void", "--entry", "1", "--reason", "cluster lost")
    assert json.loads(said("ledger", "show", "--json"))["spent_epsilon"] == 0.0
    allowing = said("ledger", "grant", "--epsilon", "3", "--delta", "4e-6", "--allow-conditional")
    assert "delta 4e-06, conditional releases beside it" in allowing
    conditional = config_of(config.source.path, tmp_path, accounting="conditional")
    opened(spark, conditional, "c1").start()
    assert "note     1 conditional release(s): rows were read without noise" in said("ledger", "show")
    said("ledger", "grant", "--epsilon", "3", "--delta", "4e-6")
    assert "spent    no epsilon bounds it" in said("ledger", "show")
    assert json.loads(said("ledger", "show", "--json"))["spent_epsilon"] is None
    spark.sql("CREATE TABLE threea_staging_of_a_lost_driver (a INT) USING delta")
    try:
        assert said("ledger", "view", "--name", "threea_of_an_officer") == "view threea_of_an_officer created\n"
        assert "0 left behind" in said("cleanup", "--hours", "1")
        assert "threea_staging_of_a_lost_driver" in said("cleanup", "--hours", "0")
        (left,) = json.loads(said("cleanup", "--hours", "0", "--json"))
        assert left["name"].endswith("threea_staging_of_a_lost_driver")
        assert left["dropped"] is False
        assert "dropped" in said("cleanup", "--hours", "0", "--yes")
        assert not spark.catalog.tableExists("threea_staging_of_a_lost_driver")
    finally:
        spark.sql("DROP VIEW IF EXISTS threea_of_an_officer")
        spark.sql("DROP TABLE IF EXISTS threea_staging_of_a_lost_driver")
