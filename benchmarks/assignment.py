"""Assignment with minimum sizes: `optimal_prices` beside an exact min-cost flow, and the passes a large table takes.

    python benchmarks/assignment.py --json out/assignment.json [--rows 2000 5000] [--components 8 32] [--seed 0]
                                    [--table-components 16 64] [--table-rows 1e7]

Rows are drawn around centres of very unequal weight, so that the minimum binds at most of them. It is `--share` of
what equal clusters would hold. The exact solution is OR-Tools' SimpleMinCostFlow, cost-scaling push-relabel on costs
rounded to whole numbers; its seconds count the making of the graph. The cost is the squared distance of each row to
the centre it is assigned to, prices left out.

With --table-rows, so many rows of 24 columns are staged on Spark, and the passes counted that it takes until every
component holds the minimum: one for the sample, and each that counts sizes after the first, which any fit makes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ortools.graph.python.min_cost_flow import SimpleMinCostFlow  # type: ignore[import-untyped]
from rich.console import Console
from rich.table import Table

from threea_spark.approximate.prices import optimal_prices
from threea_spark.arrays import Float64Array
from threea_spark.privacy.budget import PrivacyPlan, calibrate
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.noise import KeyedNoise, new_key
from threea_spark.privacy.terms import Accounting, Relation, Stage
from threea_spark.privacy.unit import PrivacyUnit

Record = dict[str, float]

COST_GRID = 2.0**20  # costs are rounded to it: flows are over whole numbers
TABLE_WIDTH = 24


def main() -> None:
    """Runs every size, prints the table and writes the figures."""
    arguments = _parser().parse_args()
    records = [
        run(n, k, arguments.share, arguments.seed) for n in arguments.rows for k in arguments.components if k <= n
    ]
    tables = [run_table(int(arguments.table_rows), k, arguments.share) for k in arguments.table_components]
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps({"exact": records, "tables": tables}, indent=1))
    show("assignment with minimum sizes", records)
    show("passes over a table", tables)


def run(n: int, k: int, share: float, seed: int) -> Record:
    """Times both on the same rows and compares what they cost."""
    cost = drawn_cost(n, k, np.random.default_rng(seed))
    least = np.full(k, np.floor(share * n / k))
    start = time.perf_counter()
    component = (cost - optimal_prices(cost, least)).argmin(axis=1)
    ours = time.perf_counter() - start
    start = time.perf_counter()
    exact = exact_cost(cost, least)
    seconds = time.perf_counter() - start
    return {
        "rows": n,
        "components": k,
        "seconds_ours": ours,
        "seconds_exact": seconds,
        "cost_ratio": float(cost[np.arange(n), component].sum()) / exact,
        "smallest_over_minimum": float((np.bincount(component, minlength=k) / least).min()),
    }


def drawn_cost(n: int, k: int, rng: np.random.Generator, width: int = 8) -> Float64Array:
    """Squared distances of Gaussian rows, weights falling as 1 / rank, to their k centres, shape (n, k)."""
    centres = rng.normal(0.0, 1.5, (k, width))
    weight = 1.0 / np.arange(1, k + 1)
    rows = centres[rng.choice(k, n, p=weight / weight.sum())] + rng.normal(0.0, 1.0, (n, width))
    squares = np.square(rows).sum(axis=1)[:, None] + np.square(centres).sum(axis=1)
    return np.maximum(np.asarray(squares - 2.0 * rows @ centres.T, dtype=np.float64), 0.0)


def exact_cost(cost: Float64Array, least: Float64Array) -> float:
    """The least total cost of an assignment that holds the minima, as a min-cost flow.

    Each row sends one unit to a component. A component keeps `least` of them and passes the others on to an overflow,
    which keeps what is left. The matrix is totally unimodular, so that no row is split.

    Args:
      cost: Infinite where the component may not take the row, shape (n, k).
      least: Whole numbers, shape (k,).
    """
    n, k = cost.shape
    row, component = np.nonzero(np.isfinite(cost))
    cheapest = cost.min(axis=1)  # left out: whole numbers stay small
    whole = np.rint((cost[row, component] - cheapest[row]) * COST_GRID).astype(np.int64)
    kept = least.astype(np.int64)
    flow = SimpleMinCostFlow()
    flow.add_arcs_with_capacity_and_unit_cost(
        np.concatenate([row, n + np.arange(k)]),
        np.concatenate([n + component, np.full(k, n + k)]),
        np.concatenate([np.ones(len(row), dtype=np.int64), np.full(k, n)]),
        np.concatenate([whole, np.zeros(k, dtype=np.int64)]),
    )
    supply = np.concatenate([np.ones(n, dtype=np.int64), -kept, [kept.sum() - n]])
    flow.set_nodes_supplies(np.arange(n + k + 1), supply)
    if flow.solve() != flow.OPTIMAL:
        raise ValueError("no assignment holds the minima")
    return float(flow.optimal_cost() / COST_GRID + cheapest.sum())


def run_table(n_rows: int, k: int, share: float) -> Record:
    """Counts the extra passes over a staged table, and checks what the last one found."""
    from throughput_pass import encoding_of, mixture_of, stage_rows  # beside this file

    from threea_spark.approximate.clusters import sizes_query
    from threea_spark.approximate.constrain import exactly_constrained
    from threea_spark.approximate.mixture import Mixture
    from threea_spark.session import build_session

    spark = build_session("assignment", master="local[2]")
    meter = PrivacyMeter(_conditional_plan(), KeyedNoise(new_key()), "assignment")
    counts: list[Float64Array] = []
    with tempfile.TemporaryDirectory(prefix="threea-assignment-") as folder:
        staged = stage_rows(spark, Path(folder) / "staged", TABLE_WIDTH, n_rows, 8)
        encoding, mixture = encoding_of(TABLE_WIDTH), mixture_of(staged, k, "isotropic")
        least = int(share * staged.n_rows / k)

        def count(candidate: Mixture) -> Float64Array:
            (sums,) = staged.rows.sums([sizes_query(encoding, candidate, "sizes")])
            sizes = sums.reshape(candidate.n_components, -1).sum(axis=1)
            counts.append(sizes.astype(np.float64))
            return counts[-1]

        start = time.perf_counter()
        found = exactly_constrained(staged.rows, encoding, mixture, least, float(staged.n_rows), count, meter)
        seconds = time.perf_counter() - start
    return {
        "rows": staged.n_rows,
        "components": k,
        "components kept": found.n_components,
        "below at first": int((counts[0] < least).sum()),
        "extra passes": len(counts) if len(counts) > 1 else 0,  # the sample's, and all counts but the first
        "seconds": seconds,
        "smallest_over_minimum": float(counts[-1].min() / least),
    }


def _conditional_plan() -> PrivacyPlan:
    """Of the mode in which clusters hold their minimum exactly: its readings have no noise."""
    return calibrate(
        epsilon=1.0,
        delta=1e-6,
        shares={Stage.ANONYMIZE: 1.0},
        relation=Relation.ADD_OR_REMOVE_ONE,
        unit=PrivacyUnit(None, 1),
        accounting=Accounting.CONDITIONAL,
    )


def show(title: str, records: Sequence[Record]) -> None:
    """Prints records as a table."""
    if not records:
        return
    table = Table(*[name.replace("_", " ") for name in records[0]], title=title, box=None)
    for record in records:
        table.add_row(*[f"{value:,.4f}" if isinstance(value, float) else f"{value:,}" for value in record.values()])
    Console(width=None if Console().is_terminal else 120).print(table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where the figures are written")
    parser.add_argument("--rows", nargs="*", type=int, default=[2_000, 5_000, 20_000])
    parser.add_argument("--components", nargs="*", type=int, default=[8, 32, 64])
    parser.add_argument("--share", type=float, default=0.8, help="of what equal clusters would hold")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table-rows", type=float, default=1e7)
    parser.add_argument("--table-components", nargs="*", type=int, default=[], help="e.g. 16 64")
    return parser


if __name__ == "__main__":
    main()
