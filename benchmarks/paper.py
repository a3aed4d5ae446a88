"""Reproduces the claims of the paper (3A, arXiv 2307.01875) through the public API, with figures.

    python benchmarks/paper.py [--claims a b ...] --out docs/experiments [--data FOLDER] [--seeds 0 1]

Tables are generated, or read from --data: a folder with CATALOG.json and one Parquet file a table, a protocol.py with
load and split in ../bench. Every run is stored in figures.json as it ends and is not run again, unless it failed; the
claim's figure is drawn from what stands there.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paper_claims import CLAIMS, with_seeds  # these lie beside this file
from paper_data import Problem, problem_of
from paper_lab import Lab, Point, Record, Store
from paper_measures import judge
from paper_panels import save

from threea_spark.errors import ThreeAError

N_DRAWN = 200
"""Rows of the toy kept in the JSON for each panel of its figure."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs what is missing of each claim, then draws it."""
    arguments = _parser().parse_args(argv)
    store, lab = Store(arguments.out / "figures.json"), Lab(arguments.master)
    load = functools.lru_cache(maxsize=4)(functools.partial(problem_of, data=arguments.data))
    try:
        for letter in arguments.claims:
            points = with_seeds(CLAIMS[letter].points(arguments.data is not None), arguments.seeds)
            for point in [] if arguments.draw_only else missing(store, points):
                store.add(point, outcome := run(lab, load(point.table, point.seed), point))
                print(point.key, {name: value for name, value in outcome.items() if name != "points"}, flush=True)
            draw(letter, store.of_points(points), arguments.out)
    finally:
        lab.close()
    return 0


def missing(store: Store, points: Sequence[Point]) -> list[Point]:
    """The points that have not run yet, or failed."""
    return [point for point in points if store.find(point) is None]


def run(lab: Lab, problem: Problem, point: Point) -> Record:
    """Releases and judges; a release that is refused or fails is an outcome too."""
    try:
        rows, facts = lab.rows(problem, point.seed, point.settings)
    except ThreeAError as error:
        return {"failed": f"{type(error).__name__}: {error}"[:300]}
    outcome: dict[str, Any] = {**judge(problem, rows), **facts}
    if problem.name == "toy" and point.seed == 0:
        outcome["points"] = drawn_points(problem, rows)
    return outcome


def drawn_points(problem: Problem, rows: Any) -> list[list[Any]]:
    """At most N_DRAWN rows of the toy as [x, y, class]."""
    some = rows if len(rows) <= N_DRAWN else rows.sample(N_DRAWN, random_state=0)
    columns = some[["x0", "x1", problem.label]]
    return [[round(x, 2), round(y, 2), label] for x, y, label in columns.itertuples(index=False)]


def draw(letter: str, records: Sequence[Record], out: Path) -> None:
    """Draws a claim's figure from the records at hand."""
    if not records:
        print(f"claim {letter}: nothing ran, nothing is drawn")
        return
    path = out / f"{CLAIMS[letter].name}.png"
    save(CLAIMS[letter].draw(records), path)
    print(f"claim {letter}: {len(records)} runs, {path}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claims", nargs="+", default=list(CLAIMS), choices=list(CLAIMS))
    parser.add_argument("--out", type=Path, default=Path("out/paper"))
    parser.add_argument("--data", type=Path, help="a folder of real tables; generated ones where left out")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--draw-only", action="store_true", help="draw from the JSON, run nothing")
    parser.add_argument("--master", default="local[2]")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
