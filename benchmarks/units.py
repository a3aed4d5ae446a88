"""What a larger unit of privacy costs: the same table released with each row, and with each person, as the unit.

    python benchmarks/units.py --data folder --table diabetes130 --unit patient_nbr --max-rows 1 2 4

The folder holds CATALOG.json and one Parquet file a table, a protocol.py with load, split and score lies beside it. A
person's rows beyond `max_rows` are not read, and the noise grows with `max_rows`: a small bound loses rows, a large
one pays for rows that few have. Shares of rows kept are exact and INTERNAL.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from source import load_protocol, write_source  # beside this file

from threea_spark import ReleaseConfig, release
from threea_spark.session import build_session

Record = dict[str, Any]
ROW = "row"


def main() -> None:
    """Releases with every unit and seed, scores, writes and prints."""
    given = _parser().parse_args()
    protocol = load_protocol(given.protocol or given.data.parent / "bench" / "protocol.py")
    frame, domain = protocol.load(given.table, given.data)
    people = _people(given, domain["label"])
    if len(people) != len(frame):
        raise SystemExit(f"{given.table}: the protocol leaves {len(frame)} rows, {len(people)} have a label")
    spark = build_session("threea-units", master=given.master)
    records: list[Record] = []
    for seed in given.seeds:
        train, test = protocol.split(frame.assign(**{given.unit: people}), domain, seed)
        for max_rows in (ROW, *given.max_rows):
            scores = protocol.score(_released(spark, given, train, domain, max_rows), test, domain)
            records.append({"max_rows": max_rows, "seed": seed, "kept": kept(train[given.unit], max_rows), **scores})
            print(records[-1], flush=True)
            given.json.parent.mkdir(parents=True, exist_ok=True)
            given.json.write_text(json.dumps(records, indent=1))
    show(records, given.epsilon)


def kept(people: pd.Series[str], max_rows: int | str) -> float:
    """The share of rows that a bound keeps. INTERNAL."""
    return 1.0 if max_rows == ROW else float(people.value_counts().clip(upper=float(max_rows)).sum() / len(people))


def show(records: Sequence[Record], epsilon: float) -> None:
    """Prints means over the seeds by unit."""
    figures = [name for name in ("auc_lgbm", "auc_linear", "r2_lgbm", "r2_linear") if name in records[0]]
    table = Table(
        "rows of a unit", "rows kept (INTERNAL)", *figures, title=f"unit of privacy, epsilon {epsilon:g}", box=None
    )
    for max_rows in dict.fromkeys(record["max_rows"] for record in records):
        own = [record for record in records if record["max_rows"] == max_rows]
        means = [f"{fmean(record[name] for record in own):.4f}" for name in figures]
        table.add_row(str(max_rows), f"{fmean(record['kept'] for record in own):.1%}", *means)
    Console(width=None if Console().is_terminal else 160).print(table)


def _people(given: argparse.Namespace, label: str) -> pd.Series[str]:
    """The unit of each row that the protocol keeps, in its order; as text."""
    whole = pd.read_parquet(given.data / f"{given.table}.parquet", columns=[given.unit, label])
    people: pd.Series[str] = whole.loc[whole[label].notna(), given.unit].astype(str)
    return people.reset_index(drop=True)


def _released(spark: Any, given: argparse.Namespace, train: pd.DataFrame, domain: Any, max_rows: Any) -> pd.DataFrame:
    unit = ROW if max_rows == ROW else {"column": given.unit, "max_rows": max_rows}
    with tempfile.TemporaryDirectory() as folder:
        write_source(spark, train, f"{folder}/source")
        content = {
            "source": {"path": f"{folder}/source"},
            "target": {"path": f"{folder}/target"},
            "privacy": {"epsilon": given.epsilon, "delta": given.delta, "unit": unit},
            "domain": {name: domain[name] for name in ("label", "task", "columns")},
            "anonymize": {"rows": len(train)},
        }
        release(spark, ReleaseConfig.from_dict(content))
        return pd.DataFrame(spark.read.format("delta").load(f"{folder}/target").toPandas())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--protocol", type=Path)
    parser.add_argument("--table", required=True)
    parser.add_argument("--unit", required=True, help="column that names the person; not released")
    parser.add_argument("--max-rows", nargs="*", type=int, default=[1, 2, 4])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--delta", type=float, default=1e-5)
    parser.add_argument("--json", type=Path, default=Path("out/units.json"))
    parser.add_argument("--master", default="local[2]")
    return parser


if __name__ == "__main__":
    main()
