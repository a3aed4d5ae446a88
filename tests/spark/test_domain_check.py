"""`threea domain check` on Spark: what the domain misses, what it costs, and who pays."""

import json

import pytest
import yaml
from typer.testing import CliRunner

from threea_spark.cli.main import app
from threea_spark.config.release import ReleaseConfig
from threea_spark.doctor.domain_check import check_domain
from threea_spark.errors import BudgetError, ConfigError
from threea_spark.privacy.account import Budget
from threea_spark.publish.ledger_summary import summary
from threea_spark.publish.officer import grant

N_ROWS = 4_000


@pytest.fixture(scope="module")
def source(spark, tmp_path_factory):
    place = str(tmp_path_factory.mktemp("check") / "source")
    text = "SELECT IF(id % 4 = 0, 'male', 'Male') AS sex, CAST(id % 200 AS DOUBLE) AS height, 'yes' AS y"
    spark.sql(f"{text} FROM range({N_ROWS})").write.format("delta").save(place)
    return place


def content_of(source, tmp_path, **privacy):
    return {
        "source": {"path": source},
        "target": {"path": str(tmp_path / "target")},
        "privacy": {"epsilon": 1.0, "delta": 1e-6, "unit": "row", **privacy},
        "domain": {
            "label": "y",
            "columns": {
                "sex": {"type": "categorical", "values": ["male", "female"]},
                "height": {"type": "float", "lower": 0, "upper": 99},
                "y": {"type": "categorical", "values": ["no", "yes"]},
            },
        },
    }


def test_a_check_tells_counts_books_and_is_refused_without_budget(spark, source, tmp_path):
    content = content_of(source, tmp_path, ledger={"path": str(tmp_path / "ledger")})
    config, path = ReleaseConfig.from_dict(content), tmp_path / "release.yaml"
    path.write_text(yaml.safe_dump(content))
    grant(spark, config, Budget(2.0, 2e-6))
    asked = ["domain", "check", "-c", str(path), "--epsilon", "1.5", "--receipt", str(tmp_path / "check.json")]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert "'sex' is none of the listed values: check case, blanks and type" in done.stdout
    assert "'height' lies above its upper bound" in done.stdout
    assert "differential privacy for everything that read a row" in done.stdout
    assert "Male" not in done.stdout
    found = json.loads((tmp_path / "check.json").read_text())
    shares = {(own["column"], own["kind"]): own for own in found["misfits"]}
    assert shares["sex", "not listed"]["share"] == pytest.approx(0.75, abs=0.03)
    assert shares["height", "above"]["share"] == pytest.approx(0.5, abs=0.03)
    assert not shares["y", "not listed"]["stands_out"]
    assert found["privacy"]["epsilon_spent"] <= 1.5
    assert found["ledger"]["entry"] == 1
    (entry,) = summary(spark, config)["entries"]
    assert (entry["status"], entry["epsilon"], entry["release_id"]) == ("finished", 1.5, found["check_id"])
    again = CliRunner().invoke(app, asked)
    assert isinstance(again.exception, BudgetError)
    assert len(summary(spark, config)["entries"]) == 1
    assert not (tmp_path / "target").exists()


def test_without_a_ledger_a_check_must_be_asked_for(spark, source, tmp_path):
    config = ReleaseConfig.from_dict(content_of(source, tmp_path))
    with pytest.raises(ConfigError, match="nothing would record it"):
        check_domain(spark, config)
    found = check_domain(spark, config, epsilon=3.0, unbooked=True)
    assert found.ledger is None
    assert "not booked" in found.in_words()
    assert found.n_rows == pytest.approx(N_ROWS, abs=200)


def test_a_claim_that_makes_no_sense_is_refused_before_spark_reads(spark, source, tmp_path):
    config = ReleaseConfig.from_dict(content_of(source, tmp_path))
    with pytest.raises(ConfigError, match="must be above 0"):
        check_domain(spark, config, epsilon=0.0, unbooked=True)
