"""The `threea init` command: a release that runs as it is, from a table's schema and a few words of its owner."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from threea_spark.cli.commands import whole_number
from threea_spark.cli.console import CONFIG, MasterOption, say
from threea_spark.errors import ConfigError, SourceError

if TYPE_CHECKING:
    from threea_spark.config.release import ReleaseConfig
    from threea_spark.source.first_release import Choices

_MIN_TIMES = 10.0
"""Rows of a table, as a multiple of those that it takes to find a bound or a category, from which most is found."""

_ASKS_FOR_UNIT = (
    "--unit: whose presence must stay hidden? Name the column that identifies a person, such as --unit patient_id, or "
    "write --unit row if each row is a person of its own"
)
_ASKS_FOR_LABEL = (
    "--label: which column will models predict? Name it, such as --label died; or write --task none for a table "
    "without a label"
)


def init(
    table: Annotated[str, typer.Option(help="A Delta table's name or path.", show_default=False)],
    label: Annotated[str | None, typer.Option(help="Column that models will predict.")] = None,
    unit: Annotated[str | None, typer.Option(help="Column that identifies a person; or: row.")] = None,
    label_values: Annotated[str | None, typer.Option(help="The label's classes, such as no,yes.")] = None,
    task: Annotated[
        str | None, typer.Option(help="classification, regression or none; by default, by the label's type.")
    ] = None,
    max_rows: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="Rows read per person, at most; 1 by default.")
    ] = None,
    epsilon: Annotated[float, typer.Option(help="What the release may spend; 1 is strict.")] = 1.0,
    delta: Annotated[float | None, typer.Option(help="By default 1e-6, or 1 / (10 rows) if that is less.")] = None,
    rows: Annotated[
        int | None,
        typer.Option(parser=whole_number, metavar="N", help="Approximate number of rows, if it is public."),
    ] = None,
    target: Annotated[str | None, typer.Option(help="Table to create; by default <table>_released.")] = None,
    ledger: Annotated[str | None, typer.Option(help="Delta table that keeps the source's budget.")] = None,
    config: Annotated[Path, typer.Option("--config", "-c", help="YAML to write.")] = CONFIG,
    master: MasterOption = None,
) -> None:
    """Writes a release YAML that runs as it is, from a table's schema alone; reads no row.

    Bounds and categories are found under the release's own guarantee, which takes a part of its budget. Where they are
    publicly known, declare them in the file, or start with `threea domain draft`, which asks for them.
    """
    from threea_spark.source.first_release import Choices

    _check(config, label, unit, task, max_rows)
    choices = Choices(
        label=label,
        label_values=_listed(label_values),
        task=task,  # type: ignore[arg-type] # checked above, as is the unit
        unit=unit,  # type: ignore[arg-type]
        max_rows=max_rows or 1,
        rows=rows,
        epsilon=epsilon,
        delta=delta,
        target=target,
        ledger=ledger,
    )
    parsed = _write(config, table, choices, master)
    say(in_words(config, parsed, has_default_delta=delta is None and rows is None))


def _check(config: Path, label: str | None, unit: str | None, task: str | None, max_rows: int | None) -> None:
    """Refuses, before Spark starts, what does not fit together whatever the table is."""
    from threea_spark.outputs import require_writable
    from threea_spark.source.first_release import ROW, Task

    if config.exists():
        raise ConfigError(f"--config: {config} exists; drop it or choose another")
    require_writable("--config", config)
    if unit is None:
        raise ConfigError(_ASKS_FOR_UNIT)
    if task not in (None, *get_args(Task)):
        raise ConfigError(f"--task: must be one of {', '.join(get_args(Task))}, got {task!r}")
    if (label is None) != (task == "none"):
        raise ConfigError(_ASKS_FOR_LABEL if label is None else "--task: none takes no --label; drop one of them")
    if unit == ROW and max_rows is not None:
        raise ConfigError("--max-rows: a row is one row; drop it, or name a person's column as --unit")


def _listed(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    values = tuple(value.strip() for value in text.split(","))
    if len(set(values)) < 2 or len(set(values)) < len(values) or "" in values:
        raise ConfigError(f"--label-values: list at least two different classes, such as no,yes; got {text[:80]!r}")
    return values


def _write(path: Path, table: str, choices: Choices, master: str | None) -> ReleaseConfig:
    """Writes the YAML, and checks that a release accepts it: if not, nothing is left of it.

    Raises:
      SourceError: if the table cannot be read, or is none that a release can read.
      ConfigError: if an option does not fit the table.
    """
    from threea_spark.config.release import ReleaseConfig
    from threea_spark.engine.delta import Place, no_delta
    from threea_spark.planned import make_plan
    from threea_spark.session import build_session
    from threea_spark.source.draft import schema_at
    from threea_spark.source.first_release import first_release_text
    from threea_spark.source.schema import check_schema

    spark = build_session("threea-init", master=master)
    found, other = schema_at(spark, table), no_delta(spark, Place.named(table))
    if other is not None:
        raise SourceError(f"--table: {table} {other.what}; {other.fix}")
    text = first_release_text(table, found, choices)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    try:
        parsed = ReleaseConfig.from_yaml(path)
        check_schema(found, parsed.domain, parsed.privacy.privacy_unit.column)
        make_plan(parsed)
    except BaseException:
        path.unlink()
        raise
    return parsed


def in_words(path: Path, config: ReleaseConfig, *, has_default_delta: bool) -> str:
    """Says what was written, what finding bounds and categories costs, and what comes next.

    Args:
      path: Of the YAML.
      config: What it says.
      has_default_delta: Whether delta was proposed without knowing the number of rows.
    """
    privacy, domain = config.privacy, config.domain
    unit = privacy.privacy_unit
    kept = f"at most {unit.max_rows} rows of each are read" if unit.max_rows > 1 else "one row of each is read"
    who = "each row is a person of its own" if unit.column is None else f"rows with the same {unit.column}; {kept}"
    people = "; for more than 1,000,000 people add --rows" if has_default_delta else ""
    named = "" if path == CONFIG else f" -c {path}"
    label = "none" if domain.label is None else f"{domain.label}, {domain.task}"
    return "\n".join(
        [
            f"{path} written; no row was read",
            f"  source   {config.source}",
            f"  target   {config.target}",
            f"  label    {label}",
            f"  unit     {who}",
            f"  budget   epsilon {privacy.epsilon:g}, delta {privacy.delta:g}{people}",
            f"  columns  {len(domain.columns)} to release; the others, with the reason, are comments in the file",
            *_costs(path, config),
            f"next: threea release{named}   (or first threea plan{named}: what the budget buys)",
        ]
    )


def _costs(path: Path, config: ReleaseConfig) -> list[str]:
    """What is found rather than declared: its share of the budget, and how many rows it takes to be found."""
    from threea_spark.encode.found import finding_bounds, finding_values
    from threea_spark.planned import make_plan

    plan, lines = make_plan(config), []
    if (bounds := finding_bounds(config, plan)) is not None:
        lines.append(
            f"  bounds   of {_columns(bounds.n_columns)} are found, for {bounds.share:.2%} of the budget: "
            f"tails of fewer than about {bounds.least_rows:,.0f} rows may be cut off"
        )
    if (values := finding_values(config, plan)) is not None:
        lines.append(
            f"  values   of {_columns(values.n_columns)} are found, for {values.share:.2%} of the budget: "
            f"those of fewer than about {values.least_rows:,.0f} rows become 'other'"
        )
    least = max((own.least_rows for own in (bounds, values) if own is not None), default=0.0)
    if config.source.rows is not None and config.source.rows < _MIN_TIMES * least:
        lines.append(f"  warning  about {config.source.rows:,} rows are few for that: declare, or raise --epsilon")
    if lines:
        lines.append(f"  advice   declare in {path} what is publicly known: it costs nothing, and rare values stay")
    return lines


def _columns(number: int) -> str:
    return f"{number} column{'s' if number > 1 else ''}"
