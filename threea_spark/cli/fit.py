"""The `threea fit` command: a model of a file that fits into memory, without Spark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from threea_spark.cli.console import ConfigOption, JsonOption, err, escaped, say
from threea_spark.cli.progress import shown_progress


def fit(
    config: ConfigOption,
    rows: Annotated[Path, typer.Option(help="Private rows: a Parquet or CSV file.", show_default=False)],
    model: Annotated[Path, typer.Option(help="Folder to save the model in.", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Fits a model of a Parquet or CSV file in this process, without Spark, and saves it; `threea sample` draws rows.

    The configuration is that of a release, under the same guarantee; its source and target are not read. A ledger
    needs Spark.
    """
    from threea_spark.config.release import ReleaseConfig
    from threea_spark.model.store import require_empty
    from threea_spark.outputs import require_writable
    from threea_spark.pipeline import fit as fit_rows
    from threea_spark.planned import make_plan
    from threea_spark.publish.kept_model import saved
    from threea_spark.source.files import check_kind, read_file

    parsed = ReleaseConfig.from_yaml(config)
    check_kind("--rows", rows)
    require_empty(model)
    require_writable("--model", model, is_folder=True)
    make_plan(parsed)
    with shown_progress() as listener:
        fitted = fit_rows(read_file(rows), parsed, listener=listener)
    err.print(escaped(saved(fitted, model)))
    say(fitted.privacy.in_words(), json.dumps(fitted.privacy.as_dict(), indent=1) if as_json else None)
