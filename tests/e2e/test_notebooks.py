"""Every notebook runs, cell by cell, as Databricks would run it, and says what it promises."""

import ast
import contextlib
import io
import os
import re
from pathlib import Path

import pandas as pd
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.py"))
DATABRICKS = "# Databricks notebook source\n"
CELL = "\n# COMMAND ----------\n"


class Ran:
    """What a notebook printed and showed, and the names it left."""

    def __init__(self, name, spark):
        self.shown, self.pages = [], []
        self.names = {"spark": spark, "display": self.shown.append, "displayHTML": self.pages.append}
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            for number, cell in enumerate((FOLDER / name).read_text().split(CELL)):
                exec(compile(cell, f"{name}, cell {number}", "exec"), self.names)
        self.printed = printed.getvalue()


@pytest.fixture(scope="module")
def ran(spark, tmp_path_factory):
    """Runs a notebook once, after the one that makes its tables."""
    done = {}

    def run(name):
        if name != NOTEBOOKS[0] and not done:
            run(NOTEBOOKS[0])
        if name not in done:
            with working_in(FOLDER):
                done[name] = Ran(name, spark)
        return done[name]

    yield run
    spark.sql("DROP SCHEMA IF EXISTS threea_demo CASCADE")


@contextlib.contextmanager
def working_in(folder):
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_is_databricks_source_and_defines_nothing(name):
    source = (FOLDER / name).read_text()
    assert source.startswith(DATABRICKS + "# MAGIC %md\n")
    assert source.count(CELL) >= 3
    defining = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, defining)]
    assert not re.search(r"/(work|tmp|home|dbfs)/", source)


@pytest.mark.parametrize("name", [name for name in NOTEBOOKS if not name.startswith("04")])
def test_opens_with_a_picture_and_ends_with_a_decision(name):
    cells = (FOLDER / name).read_text().split(CELL)
    pictures = [FOLDER / place for place in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", cells[0])]
    assert all(picture.is_file() for picture in pictures)
    assert pictures or "display(figure)" in cells[1]
    assert 'print("Decision:"' in cells[-1]


def test_01_releases(ran, spark):
    notebook = ran("01_release_a_table.py")
    assert "Decision: keep the table" in notebook.printed
    assert "epsilon 2" in notebook.printed
    assert "patient_id" in notebook.names["receipt"].privacy.unit
    (rows,) = notebook.shown
    assert rows.count() == 10
    assert spark.table("threea_demo.stays_released").columns == ["age", "heartrate", "cost", "ward", "died"]


def test_02_reads_receipt_and_report(ran):
    notebook = ran("02_read_receipt_and_report.py")
    assert "Release " in notebook.printed
    assert "Decision: publish" in notebook.printed
    figure, spent, curve = notebook.shown
    assert [axis.get_xlabel() for axis in figure.axes] == ["budget spent (mu squared)", "epsilon"]
    assert {"encode", "approximate", "adapt"} <= set(spent["stage"])
    assert curve["delta"].is_monotonic_decreasing
    (page,) = notebook.pages
    assert "<svg" in page
    assert "INTERNAL" not in page


def test_03_trains_on_both(ran):
    notebook = ran("03_train_and_compare.py")
    released, real = (float(text) for text in re.findall(r"AUC of a model trained on \w+: ([\d.]+)", notebook.printed))
    assert 0.65 < released < real + 0.02
    assert ("Decision: train on released rows" in notebook.printed) == (notebook.names["loss"] <= 0.03)
    (page,) = notebook.pages
    assert "INTERNAL" in page


def test_04_plans_without_a_row(ran):
    notebook = ran("04_what_the_budget_buys.py")
    figure, by_epsilon, by_bound = notebook.shown
    assert figure.axes[0].get_ylabel() == "AUC"
    assert list(by_epsilon["epsilon"]) == [0.5, 1.0, 2.0, 4.0]
    assert list(by_bound["rows per patient"]) == [1, 2, 4, 8]
    for table in (by_epsilon, by_bound):
        assert isinstance(table, pd.DataFrame)
        assert len(table.columns) == 7
        assert table["a count is right within (rows)"].is_unique
    assert notebook.printed.rstrip().splitlines()[-1].startswith("good: ")
    assert "Verdict: good: " in notebook.printed


@pytest.mark.slow
def test_05_tries_settings(ran):
    notebook = ran("05_sensitivity_of_settings.py")
    assert [len(aucs) for aucs in notebook.names["found"].values()] == [2, 2, 2]
    assert notebook.shown[0].axes[0].get_ylabel().startswith("AUC")
