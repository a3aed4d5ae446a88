"""Builds the reference of the Python API (HTML) and the command line (Markdown) from docstrings, without Spark.

Usage: python docs/reference.py FOLDER, or as part of the documentation site (site_hooks.py)
"""

from __future__ import annotations

import inspect
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


def commands_text() -> str:
    """Every command and option, in Markdown."""
    commands = typer.main.get_command(main.app)
    return get_docs_for_click(obj=commands, ctx=typer.Context(commands, info_name="threea"), name="threea")


def commands_page() -> str:
    """The site's page of the command line."""
    return f"# The command line\n\n{commands_text().partition(chr(10))[2].lstrip()}"


def python_page() -> str:
    """The site's page of public names: what each is, and where its documentation is."""
    lines = ["# Python", "", "What `import threea_spark` offers; each name leads to its documentation.", ""]
    lines += ["| name | what it is |", "|---|---|"]
    for name in sorted(threea_spark.__all__):
        said = (inspect.getdoc(getattr(threea_spark, name)) or "").split("\n")[0].replace("|", "\\|")
        lines.append(f"| [`{name}`](api/threea_spark.html#{name}) | {said} |")
    lines += ["", "All modules:", ""]
    lines += [f"- [{name}](api/{name.replace('.', '/')}.html)" for name in MODULES]
    return "\n".join(lines) + "\n"


def build(folder: Path) -> None:
    """Writes one page per module; the page of `threea_spark` has every public name, that of the cli every option."""
    for name in threea_spark.__all__:  # imported on first use, but pdoc looks for them in the module
        setattr(threea_spark, name, getattr(threea_spark, name))
    main.__doc__ = commands_text()
    vars(main).update(__docformat__="markdown", __all__=[])
    pdoc.render.configure(docformat="google", show_source=False, footer_text=f"threea_spark {threea_spark.__version__}")
    pdoc.pdoc(*MODULES, output_directory=folder)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
    sys.stdout.write(f"written to {Path(sys.argv[1]) / 'threea_spark.html'}\n")
