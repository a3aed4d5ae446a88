"""The `threea export` command: the noisy counts behind a saved model, for those who need counts rather than rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from threea_spark.cli.console import JsonOption, MasterOption, say
from threea_spark.errors import ConfigError

if TYPE_CHECKING:
    from threea_spark.model.released import ReleaseModel


def export(
    model: Annotated[Path, typer.Option(help="Folder of a saved model.", show_default=False)],
    statistics: Annotated[
        bool, typer.Option("--statistics", help="Histograms, tables of pairs and lists of categories.")
    ] = False,
    target: Annotated[
        str | None, typer.Option(help="Folder of the Delta tables to create, or what their names begin with, by Spark.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for Parquet files instead, without Spark.")] = None,
    master: MasterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Writes the noisy counts behind a saved model as tables, with standard errors; this costs no privacy."""
    from threea_spark.model.released import ReleaseModel
    from threea_spark.model.statistics import require_tables
    from threea_spark.outputs import require_writable

    if not statistics:
        raise ConfigError("--statistics: it is all that can be exported so far; add it. `threea sample` draws rows")
    if (target is None) == (out is None):
        raise ConfigError("--target, --out: give one of them, Delta tables or a folder of Parquet files")
    if out is not None:
        require_writable("--out", out, is_folder=True)
    loaded = ReleaseModel.load(model)
    require_tables(loaded, f"--model: {model}")  # before Spark starts
    written = _written(loaded, target, out, master)
    privacy = loaded.privacy
    said = {"tables": list(written), "epsilon": privacy.epsilon, "delta": privacy.delta}
    lines = "\n".join(["statistics written; no privacy was spent", *written])
    say(lines, json.dumps(said) if as_json else None)


def _written(model: ReleaseModel, target: str | None, out: Path | None, master: str | None) -> tuple[str, ...]:
    from threea_spark.publish.statistics import export_statistics, write_statistics

    if target is None:
        return write_statistics(model, out or Path())
    from threea_spark.session import build_session

    return export_statistics(build_session("threea-export", master=master), model, target)
