"""Reports of real releases, through the command line: what they hold, and what only real rows hold they never do."""

import json
import re
import shutil

import numpy as np
import pytest
import yaml
from tables import COLUMNS, clinic, config_of, write_delta
from typer.testing import CliRunner

from threea_spark import ReleaseConfig, internal_report_html, report_html
from threea_spark.cli.main import app
from threea_spark.errors import SourceError
from threea_spark.privacy.statement import rounded_up
from threea_spark.publish.receipt import Receipt

pytestmark = pytest.mark.usefixtures("no_staging_left")

SECRET = "secret-ward-of-one"
OPEN = {**COLUMNS, "ward name": {"type": "categorical", "values": "open", "nullable": True}}


def hospital(n_rows=1500, seed=5):
    frame = clinic(n_rows, seed=seed)
    frame["patient"] = [f"patient-number-{n // 3}" for n in range(n_rows)]
    frame.loc[3, "ward name"] = SECRET  # an exact histogram would show it
    return frame


def threea(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def released(spark, tmp_path_factory):
    """A release with its public report, then the report again with held-out rows."""
    folder = tmp_path_factory.mktemp("report")
    write_delta(spark, hospital(), folder / "source")
    write_delta(spark, hospital(500, seed=6), folder / "held_out")
    (folder / "release.yaml").write_text(yaml.safe_dump(config_of(folder / "source", folder / "out", columns=OPEN)))
    done = threea("release", "-c", folder / "release.yaml")
    assert done.exit_code == 0, done.output
    assert "report written to" in done.output
    files = sorted(path.name for path in folder.glob("out.*"))
    assert files == ["out.model", "out.receipt.json", "out.report.html"]  # a plain release writes nothing internal
    shutil.copy(folder / "out.report.html", folder / "first.html")
    again = threea("report", "-c", folder / "release.yaml", "--held-out", folder / "held_out")
    assert again.exit_code == 0, again.output
    assert "INTERNAL report, not for publication" in again.output
    return folder


def real_values(frame):
    """Texts that only real rows hold: identifiers, the rare category, and costs to the last digit."""
    costs = frame["cost.usd"].dropna()
    return {*frame["patient"], SECRET, *(repr(float(cost)) for cost in costs[costs > 0.0])}


def test_the_public_report_holds_the_receipt_and_nothing_only_real_rows_hold(released):
    page = (released / "out.report.html").read_text()
    receipt = json.loads((released / "out.receipt.json").read_text())
    assert receipt["release_id"] in page
    assert receipt["at"][:19].replace("T", " ") in page
    assert f"by {receipt['by']}" in page
    assert receipt["config_digest"] in page
    assert f"{receipt['n_units']:,} units at least" in page
    assert f"{receipt['n_released']:,}" in page
    assert rounded_up(receipt["privacy"]["epsilon_spent"]) in page
    for text in (
        *OPEN,
        "Summary for approval",
        "It does not cover",
        "Dictionary of the released table",
        "Dong, Roth and Su (2022)",
        "Associations between released columns",
    ):
        assert text in page, text
    wanted = real_values(hospital()) | real_values(hospital(500, seed=6))
    assert len(wanted) > 1000
    assert [value for value in wanted if value in page] == []
    assert "INTERNAL" not in page


def test_columns_stand_in_the_order_of_the_released_table(spark, released):
    for kind in ("", ".internal"):
        page = (released / f"out.report{kind}.html").read_text()
        shown = re.findall(r"<figure><h3>([^<]*)</h3>", page)
        assert shown == spark.read.format("delta").load(str(released / "out")).columns


def test_the_internal_report_holds_exact_figures_and_folds_unreleased_values_into_other(released):
    page = (released / "out.report.internal.html").read_text()
    assert SECRET not in page  # a value that was not released counts as `other` among real rows too
    assert page.count("INTERNAL") > 2
    assert "1,500" in page  # the exact number of real rows
    assert "LightGBM on real rows" in page
    assert "95 % interval" in page
    for text in ("tables of 10 pairs, mean", "Any column as the label", "This proves nothing about privacy."):
        assert text in page, text


def test_the_report_of_a_release_is_the_one_made_again_from_its_commits(released):
    assert (released / "first.html").read_text() == (released / "out.report.html").read_text()


def test_the_public_report_reads_no_real_row(spark, released, tmp_path):
    config = yaml.safe_load((released / "release.yaml").read_text())
    config["source"] = {"path": str(tmp_path / "nowhere")}
    (tmp_path / "release.yaml").write_text(yaml.safe_dump(config))
    done = threea(
        "report",
        "-c",
        tmp_path / "release.yaml",
        "--receipt",
        released / "out.receipt.json",
        "--out",
        tmp_path / "r.html",
    )
    assert done.exit_code == 0, done.output
    assert (tmp_path / "r.html").read_text() == (released / "out.report.html").read_text()


def test_a_receipt_of_another_release_is_refused(spark, released):
    config = yaml.safe_load((released / "release.yaml").read_text())
    receipt = Receipt.read(released / "out.receipt.json")
    with pytest.raises(SourceError, match="the receipt of this release"):
        report_html(spark, ReleaseConfig.from_dict({**config, "target": {"path": str(released / "held_out")}}), receipt)
    config["domain"]["columns"].pop("age")
    with pytest.raises(SourceError, match="with 5 columns"):
        report_html(spark, ReleaseConfig.from_dict(config), receipt)


def test_a_notebook_gets_the_same_pages(spark, released):
    config = ReleaseConfig.from_yaml(released / "release.yaml")
    assert report_html(spark, config) == (released / "out.report.html").read_text()
    held_out = spark.read.format("delta").load(str(released / "held_out"))
    assert "<title>INTERNAL" in internal_report_html(spark, config, held_out, max_rows=300)


def test_a_large_table_is_sampled_and_the_page_says_so(spark, released):
    config = ReleaseConfig.from_yaml(released / "release.yaml")
    n_released = json.loads((released / "out.receipt.json").read_text())["n_released"]
    page = report_html(spark, config, max_rows=200)
    assert f"a random sample of 200 released rows of {n_released:,}" in page


def test_a_configuration_that_was_not_released_has_no_report(spark, released):
    config = yaml.safe_load((released / "release.yaml").read_text())
    config["privacy"]["epsilon"] = 2.5
    with pytest.raises(SourceError, match="no receipt"):
        report_html(spark, ReleaseConfig.from_dict(config))
    config["target"] = {"path": str(released / "nowhere")}
    with pytest.raises(SourceError, match="is not a readable Delta table; check the path"):
        report_html(spark, ReleaseConfig.from_dict(config))


def test_no_report_and_another_place_are_options(spark, released, tmp_path):
    for number, options in enumerate([("--no-report",), ("--report", tmp_path / "elsewhere" / "page.html")]):
        config = config_of(released / "source", tmp_path / f"out{number}", adapt={"method": "none"})
        (tmp_path / "release.yaml").write_text(yaml.safe_dump(config))
        done = threea("release", "-c", tmp_path / "release.yaml", *options)
        assert done.exit_code == 0, done.output
    assert list(tmp_path.rglob("*.html")) == [tmp_path / "elsewhere" / "page.html"]


def test_a_release_is_kept_when_its_report_cannot_be_written(spark, released, tmp_path):
    (tmp_path / "page.html").symlink_to("/dev/full")
    config = config_of(released / "source", tmp_path / "out", adapt={"method": "none"})
    (tmp_path / "release.yaml").write_text(yaml.safe_dump(config))
    done = threea("release", "-c", tmp_path / "release.yaml", "--report", tmp_path / "page.html")
    assert done.exit_code == 0, done.output
    assert "the release is kept" in done.output
    assert (tmp_path / "out.receipt.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("case", ["regression", "conditional", "none"])
def test_other_releases_have_reports_too(spark, released, tmp_path, case):
    overrides = {
        "conditional": {
            "privacy": {"accounting": "conditional"},
            "anonymize": {"generator": "mix", "mix_size": 10},
            "approximate": {"components": 4, "min_cluster_size": 50},
            "adapt": {"method": "none"},
        },
        "regression": {"task": "regression", "label": "age"},
        "none": {"task": "none", "label": None},
    }[case]
    (tmp_path / "release.yaml").write_text(
        yaml.safe_dump(config_of(released / "source", tmp_path / "out", **overrides))
    )
    assert threea("release", "-c", tmp_path / "release.yaml").exit_code == 0
    done = threea("report", "-c", tmp_path / "release.yaml", "--held-out", released / "held_out")
    assert done.exit_code == 0, done.output
    public, internal = (tmp_path / f"out.report{kind}.html" for kind in ("", ".internal"))
    assert ("Not all of this release is covered" in public.read_text()) == (case == "conditional")
    wanted = {"conditional": "AUC", "regression": "R2", "none": "no model to compare"}[case]
    assert wanted in internal.read_text()


def test_names_that_are_markup_survive_a_whole_release(spark, tmp_path):
    rng = np.random.default_rng(0)
    names = ["<script>alert(1)</script>", 'quo"te', "größe ☃", "a`b"]
    frame = clinic(300)[["died"]].assign(**{name: rng.random(300) for name in names})
    write_delta(spark, frame, tmp_path / "source")
    number = {"type": "float", "lower": 0, "upper": 1}
    config = config_of(
        tmp_path / "source", tmp_path / "out", adapt={"method": "none"},
        columns={"died": COLUMNS["died"], **dict.fromkeys(names, number)},
    )  # fmt: skip
    (tmp_path / "release.yaml").write_text(yaml.safe_dump(config))
    assert threea("release", "-c", tmp_path / "release.yaml").exit_code == 0
    page = (tmp_path / "out.report.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "größe ☃" in page
