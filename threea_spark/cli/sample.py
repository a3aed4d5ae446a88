"""The `threea sample` command: another table from a saved model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from threea_spark.cli.commands import whole_number
from threea_spark.cli.console import JsonOption, MasterOption, say
from threea_spark.cli.progress import shown_step
from threea_spark.cli.values import parsed_shares, parsed_where
from threea_spark.errors import ConfigError

if TYPE_CHECKING:
    from threea_spark.model.released import ReleaseModel


def sample(
    model: Annotated[Path, typer.Option(help="Folder of a saved model.", show_default=False)],
    target: Annotated[str | None, typer.Option(help="Path of the Delta table to create, by Spark.")] = None,
    out: Annotated[Path | None, typer.Option(help="Parquet or CSV file to write instead, without Spark.")] = None,
    rows: Annotated[
        int | None,
        typer.Option(parser=whole_number, metavar="N", help="Rows to draw; defaults to the source's row count."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draw; public, not part of any noise.")] = 0,
    where: Annotated[list[str] | None, typer.Option(help="COLUMN=VALUE, LOWEST..HIGHEST or null; repeatable.")] = None,
    class_share: Annotated[list[str] | None, typer.Option(help="CLASS=SHARE, once per class; they sum to 1.")] = None,
    master: MasterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draws another table from a saved model; this costs no privacy."""
    from threea_spark.model.conditions import conditions_of
    from threea_spark.model.released import ReleaseModel
    from threea_spark.outputs import require_writable
    from threea_spark.source.files import check_kind

    if (target is None) == (out is None):
        raise ConfigError("--target, --out: give one of them, a Delta table or a file")
    if out is not None:
        check_kind("--out", out)
        require_writable("--out", out)
    loaded = ReleaseModel.load(model)
    wanted, shares = parsed_where(where or []), parsed_shares(class_share or [])
    conditions_of(loaded.domain, wanted, shares)  # before Spark starts
    place = out if out is not None else Path()
    statement, n_rows, written = loaded.privacy, rows or loaded.matching_rows, target or str(place)
    with shown_step(f"drawing {n_rows:,} rows ..."):
        if target is None:
            _write_file(loaded, place, rows, seed, wanted, shares)
        else:
            _write_table(loaded, target, rows, seed, wanted, shares, master)
    said = {"rows": n_rows, "target": written, "seed": seed, "epsilon": statement.epsilon, "delta": statement.delta}
    say(f"{n_rows:,} rows written to {written}; no privacy was spent", json.dumps(said) if as_json else None)


def _write_file(
    model: ReleaseModel,
    path: Path,
    rows: int | None,
    seed: int,
    where: Mapping[str, object],
    class_shares: Mapping[str, float],
) -> None:
    from threea_spark.source.files import write_file

    write_file(model.arrow_rows(rows, seed=seed, where=where, class_shares=class_shares), path)


def _write_table(
    model: ReleaseModel,
    target: str,
    rows: int | None,
    seed: int,
    where: Mapping[str, object],
    class_shares: Mapping[str, float],
    master: str | None,
) -> None:
    from threea_spark.engine.delta import Place, exists
    from threea_spark.errors import TargetExistsError
    from threea_spark.publish.receipt import PROPERTY_DELTA, PROPERTY_EPSILON
    from threea_spark.publish.write import write_new
    from threea_spark.session import build_session

    spark = build_session("threea-sample", master=master)
    place, statement = Place.named(target), model.privacy
    if exists(spark, place):
        raise TargetExistsError(f"--target: {target} exists and is never overwritten; choose another")
    drawn = model.sample(spark, rows, seed=seed, where=where, class_shares=class_shares)
    properties = {PROPERTY_EPSILON: f"{statement.epsilon:g}", PROPERTY_DELTA: f"{statement.delta:g}"}
    write_new(drawn, place, json.dumps(statement.as_dict()), release_id=f"sample-{seed}", properties=properties)
