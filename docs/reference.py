"""Builds the HTML reference of the Python API and the command line from docstrings. Does not start Spark.

Usage: python docs/reference.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import pdoc
import typer
from typer.cli import get_docs_for_click

import threea_spark
from threea_spark.cli import main

MODULES = (
    "threea_spark",
    "threea_spark.config.release",
    "threea_spark.config.stage_settings",
    "threea_spark.config.adapt",
    "threea_spark.config.ledger",
    "threea_spark.config.domain",
    "threea_spark.config.columns",
    "threea_spark.model.released",
    "threea_spark.pipeline",
    "threea_spark.doctor.domain_check",
    "threea_spark.evaluation.evaluate",
    "threea_spark.publish.receipt",
    "threea_spark.privacy.statement",
    "threea_spark.report.pages",
    "threea_spark.estimators.synthesizer",
    "threea_spark.publish.mlflow",
    "threea_spark.session",
    "threea_spark.publish.statistics",
    "threea_spark.errors",
    "threea_spark.cli.main",
)


def build(folder: Path) -> None:
    """Writes one page per module; the page of `threea_spark` has every public name, that of the cli every option."""
    for name in threea_spark.__all__:  # imported on first use, but pdoc looks for them in the module
        setattr(threea_spark, name, getattr(threea_spark, name))
    commands = typer.main.get_command(main.app)
    context = typer.Context(commands, info_name="threea")
    main.__doc__ = get_docs_for_click(obj=commands, ctx=context, name="threea")
    vars(main).update(__docformat__="markdown", __all__=[])
    pdoc.render.configure(docformat="google", show_source=False, footer_text=f"threea_spark {threea_spark.__version__}")
    pdoc.pdoc(*MODULES, output_directory=folder)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
    sys.stdout.write(f"written to {Path(sys.argv[1]) / 'threea_spark.html'}\n")
