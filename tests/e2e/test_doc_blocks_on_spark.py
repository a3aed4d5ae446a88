"""The Python of README.md and docs/usage.md (and any page that marks it so) that needs a session, on the test's own."""

import pytest
import yaml
from doc_blocks import PAGES, blocks_of, run_python
from doc_rows import DOMAIN, stays

HERE = "tests/e2e/test_doc_blocks_on_spark.py"


@pytest.fixture
def warehouse(spark, tmp_path, monkeypatch):
    """`ehr.stays`, rows that were held out, and a release.yaml in the working folder."""
    monkeypatch.chdir(tmp_path)
    spark.sql("CREATE SCHEMA IF NOT EXISTS ehr")
    for name, seed in (("stays", 2), ("stays_test", 3)):
        rows = spark.createDataFrame(stays(1000, seed)).repartition(1)
        rows.write.format("delta").mode("overwrite").saveAsTable(f"ehr.{name}")
    content = {"source": {"table": "ehr.stays"}, "target": {"path": str(tmp_path / "released")}, "domain": DOMAIN}
    content |= {"privacy": {"epsilon": 3.0, "delta": 1e-5, "unit": "row"}}
    (tmp_path / "release.yaml").write_text(yaml.safe_dump(content))
    yield spark
    spark.sql("DROP SCHEMA ehr CASCADE")


def test_python_with_a_session_runs(warehouse, capsys):
    marked = [block for page in PAGES for block in blocks_of(page) if block.executed_by == HERE]
    pages = {block.page.name: {"spark": warehouse} for block in marked}
    assert {"README.md", "usage.md"} <= set(pages)
    for block in marked:
        run_python(block, pages[block.page.name])
    said = capsys.readouterr().out
    assert "(3, 1e-05)-differential privacy" in said
    assert "INTERNAL" in said.upper()
    assert pages["usage.md"]["rows"].count() == 2000
