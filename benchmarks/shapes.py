"""Releases of tables of bad skew and shape, each by a driver of 1 GB: seconds and peak memory, or how it failed.

    python benchmarks/shapes.py --json out/shapes.json [--shapes unit classes] [--full]

One cluster with 90 % of the rows (mixed, and drawn from components), ten thousand tiny files, one huge file, 600
columns, an open column of 100,000 levels, a label of 200 classes, a unit that owns a million rows. Sizes are a tenth or
less unless --full. A table is made on Spark by one process and released by another; the peaks are of the second: the
PSS of the JVM (Python's driver and workers have memory of their own), of the driver's Python, and of all its workers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from process_memory import machine, watched  # beside this file
from rich.console import Console
from rich.table import Table
from stage_clock import StageClock  # beside this file

from threea_spark import ReleaseConfig, release
from threea_spark.errors import ThreeAError
from threea_spark.session import build_session

Record = dict[str, Any]
NUMBER = {"type": "float", "lower": -6.0, "upper": 6.0}
YES_NO = {"type": "categorical", "values": ["no", "yes"]}
KINDS = ["red", "green", "blue", "grey"]
UNIT_ROWS = 10
MADE, DONE, FLAG = "made.json", "done.json", "releasing"
HEADER = ("shape", "rows", "columns", "files", "seconds", "JVM MB", "driver MB", "workers MB", "outcome")
FIELDS = ("shape", "rows", "columns", "files", "seconds", "jvm_mb", "driver_mb", "worker_mb", "outcome")


@dataclass(frozen=True)
class Shape:
    """One table to release.

    Attributes:
      make: Turns a range of rows, and the number that makes the shape bad, into the table and its domain's columns.
      sizes: Rows and that number, reduced and full.
      n_files: Of the table; where None, the second size.
      sections: Of the configuration, besides source, target, privacy and domain.
    """

    make: Callable[[Any, int], tuple[Any, Record]]
    sizes: tuple[tuple[int, int], tuple[int, int]]
    n_files: int | None
    sections: Record


def numbers(n_numbers: int, *, spread: float = 1.0) -> Record:
    """Normal columns x0, x1, ... as Spark expressions by name."""
    from pyspark.sql import functions as F

    return {f"x{i}": spread * F.randn(i) for i in range(n_numbers)}


def labelled(rows: Any, columns: Record, kinds: int = 0) -> tuple[Any, Record]:
    """Adds columns, some categories, and a label that the first number decides, to a range of rows."""
    from pyspark.sql import functions as F

    given = {
        f"k{i}": F.element_at(F.array(*map(F.lit, KINDS)), (F.rand(90 + i) * 4 + 1).cast("int")) for i in range(kinds)
    }
    table = rows.withColumns({**columns, **given})
    table = table.withColumn("y", F.when(F.col("x0") + 0.5 * F.randn(99) > 0.0, "yes").otherwise("no"))
    domain = {name: NUMBER for name in columns} | {name: {"type": "categorical", "values": KINDS} for name in given}
    return table, {**domain, "y": YES_NO}


def plain(rows: Any, _: int, n_numbers: int = 18, kinds: int = 5) -> tuple[Any, Record]:
    """24 columns: numbers, categories and the label."""
    return labelled(rows, numbers(n_numbers), kinds)


def one_cluster(rows: Any, percent: int) -> tuple[Any, Record]:
    """Ten numbers: so many per cent of the rows lie close around one point, the others far apart."""
    from pyspark.sql import functions as F

    near = F.rand(77) * 100 < percent
    columns = {name: F.when(near, 0.05 * value).otherwise(2.0 * value) for name, value in numbers(10).items()}
    return labelled(rows, columns)


def columns(rows: Any, n_columns: int) -> tuple[Any, Record]:
    """So many columns."""
    return labelled(rows, numbers(n_columns - 11), 10)


def levels(rows: Any, n_levels: int) -> tuple[Any, Record]:
    """An open column of so many levels, a few of them frequent."""
    from pyspark.sql import functions as F

    table, domain = labelled(rows, numbers(6))
    skewed = F.floor(F.pow(F.rand(55), 4.0) * n_levels).cast("int")
    rare = F.pmod(F.col("id"), F.lit(n_levels)).cast("int")  # so that every level is there
    name = F.concat(F.lit("level "), F.when(F.rand(56) < 0.5, skewed).otherwise(rare).cast("string"))
    most = {"type": "categorical", "values": "open", "max_values": n_levels}
    return table.withColumn("name", name), {**domain, "name": most}


def classes(rows: Any, n_classes: int) -> tuple[Any, Record]:
    """A label of so many classes, which four of 23 numbers tell apart."""
    from pyspark.sql import functions as F

    label = F.pmod(F.col("id"), F.lit(n_classes)).cast("int")
    place = {f"x{i}": F.sin(label * (1.7 + i)) * 2.0 + 0.4 * F.randn(i) for i in range(4)}
    table = rows.withColumns({**numbers(23), **place}).withColumn("y", F.concat(F.lit("k"), label.cast("string")))
    known = {"type": "categorical", "values": [f"k{i}" for i in range(n_classes)]}
    return table, {**{f"x{i}": NUMBER for i in range(23)}, "y": known}


def unit(rows: Any, n_giant: int) -> tuple[Any, Record]:
    """A unit that owns so many rows, beside units of ten."""
    from pyspark.sql import functions as F

    table, domain = plain(rows, 0)
    small = F.concat(F.lit("u"), F.floor(F.col("id") / UNIT_ROWS).cast("string"))
    return table.withColumn("owner", F.when(F.col("id") < n_giant, "giant").otherwise(small)), domain


SHAPES = {
    "cluster-mix": Shape(one_cluster, ((100_000, 90), (1_000_000, 90)), 8, {"anonymize": {"generator": "mix"}}),
    "cluster-sample": Shape(one_cluster, ((100_000, 90), (1_000_000, 90)), 8, {"approximate": {"components": 4}}),
    "tiny-files": Shape(plain, ((50_000, 500), (1_000_000, 10_000)), None, {}),
    "huge-file": Shape(plain, ((500_000, 1), (5_000_000, 1)), 1, {}),
    "columns": Shape(columns, ((2_000, 600), (20_000, 600)), 2, {}),
    "levels": Shape(levels, ((100_000, 10_000), (1_000_000, 100_000)), 8, {}),
    "classes": Shape(classes, ((100_000, 200), (1_000_000, 200)), 8, {}),
    "unit": Shape(unit, ((110_000, 100_000), (1_100_000, 1_000_000)), 8, {}),
}


def make_table(shape: Shape, size: tuple[int, int], folder: Path) -> None:
    """Writes the shape's table, and what a release needs to know of it."""
    spark = build_session("threea-shapes", master="local[2]", scratch=folder / "making")
    table, domain = shape.make(spark.range(0, size[0], 1, shape.n_files or size[1]), size[1])
    table.drop("id").write.format("delta").save(str(folder / "source"))
    files = len(list((folder / "source").glob("*.parquet")))
    (folder / MADE).write_text(json.dumps({"columns": domain, "files": files}))
    spark.stop()


def release_table(shape: Shape, folder: Path, epsilon: float) -> None:
    """Releases the shape's table with 1 GB for the JVM, and writes how that went."""
    memory = {"spark.driver.memory": "1g"}
    spark = build_session("threea-shapes", master="local[2]", scratch=folder / "spark", extra=memory)
    columns = json.loads((folder / MADE).read_text())["columns"]
    content = {
        "source": {"path": str(folder / "source")},
        "target": {"path": str(folder / "target")},
        "privacy": {
            "epsilon": epsilon,
            "delta": 1e-7,
            "unit": {"column": "owner", "max_rows": UNIT_ROWS} if shape.make is unit else "row",
        },
        "domain": {"label": "y", "task": "classification", "columns": columns},
        **shape.sections,
    }
    clock, start = StageClock("plan and check"), time.monotonic()
    (folder / FLAG).touch()
    try:
        receipt = release(spark, ReleaseConfig.from_dict(content), listener=clock)
        outcome = f"released {receipt.n_released} rows, epsilon spent {receipt.privacy.epsilon_spent:.3f}"
    except ThreeAError as error:
        outcome = f"failed: {error} ({error.__cause__!r})"[:600]
    seconds = round(time.monotonic() - start, 1)
    clock.close()
    (folder / FLAG).unlink()
    (folder / DONE).write_text(json.dumps({"seconds": seconds, "outcome": outcome, "steps": clock.seconds}))


def run(name: str, arguments: argparse.Namespace) -> Record:
    """Makes and releases one table, each in a process of its own."""
    size = SHAPES[name].sizes[arguments.full]
    with tempfile.TemporaryDirectory(prefix="threea-shapes-") as place:
        folder = Path(place)
        command = [sys.executable, __file__, "--folder", place, "--shapes", name, "--epsilon", str(arguments.epsilon)]
        command += ["--full"] * arguments.full
        subprocess.run([*command, "--step", "make"], check=True)
        about = json.loads((folder / MADE).read_text())
        status, peaks = watched([*command, "--step", "release"], folder / "spark" / "warehouse", folder / FLAG)
        done = folder / DONE
        outcome = json.loads(done.read_text()) if done.exists() else {"outcome": f"died with exit status {status}"}
    record = {"shape": name, "rows": size[0], "size": size[1], "epsilon": arguments.epsilon, "files": about["files"]}
    return {**record, "columns": len(about["columns"]), "seconds": None, **outcome, **peaks}


def main() -> None:
    """Runs the shapes, or (in a process of its own) one step of one."""
    arguments = _parser().parse_args()
    if arguments.step:
        name = arguments.shapes[0]
        if arguments.step == "make":
            make_table(SHAPES[name], SHAPES[name].sizes[arguments.full], arguments.folder)
        else:
            release_table(SHAPES[name], arguments.folder, arguments.epsilon)
        return
    records: list[Record] = []
    for name in arguments.shapes or SHAPES:
        records.append(run(name, arguments))
        print(json.dumps(records[-1]), flush=True)
        if arguments.json:
            arguments.json.parent.mkdir(parents=True, exist_ok=True)
            arguments.json.write_text(json.dumps(records, indent=1))
    print(machine())
    show(records)


def show(records: Sequence[Record]) -> None:
    """Prints the table, wide where the output is a file."""
    table = Table(*HEADER, title="releases by a driver of 1 GB: peak PSS", box=None)
    for record in records:
        table.add_row(*(str(record[name]) for name in FIELDS))
    Console(width=None if Console().is_terminal else 200).print(table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where the records are stored")
    parser.add_argument("--shapes", nargs="*", choices=list(SHAPES))
    parser.add_argument("--full", action="store_true", help="full sizes instead of a tenth or less")
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--step", choices=["make", "release"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()
