"""Tables whose columns hang together by more than pairs: what is left of them in released rows.

    python benchmarks/high_order.py --json out.json [--kinds parity tree network] [--orders 1 2 3] [--rows 20000]

Marginals of few columns say nothing of a parity of more columns, so that these tables show where a release that counts
them ends. After the stress suite of Tab-PE (arXiv 2606.08259), whose kinds of tables these are; the tables are ours:

- `parity k`: N_COLUMNS coins; the label is the parity of the first k, the others are noise.
- `tree k`: columns of N_LEVELS categories in order, each drawn by a random decision tree of depth k over those before
  it; the label is the last.
- `network k`: the same, each column drawn by a random table over k of the columns before it (a Bayesian network).

Trained on released rows, tested on new rows of the same distribution: the AUC of LightGBM for the label (mean over
classes), the share of what real rows know of every other column (any_label.py), and the two-way total variation
(fidelity.py) beside that of new rows. Releases run in this process; dp-nb is baseline.py's.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from any_label import feature_table  # this and the next are beside this file
from fidelity import Yardstick
from rich.console import Console
from rich.table import Table
from trained_rows import trained_rows

from threea_spark.arrays import Float64Array, Int64Array

Record = dict[str, Any]

N_COLUMNS = 10  # without the label
N_LEVELS = 3
LABEL = "label"
ORDERS = {"parity": range(1, 8), "tree": (2, 4, 6), "network": (1, 2, 3)}
_PEAKED = 0.4  # concentration of the Dirichlet that distributions are drawn from; 1 is uniform over all of them
_N_LEAVES = 255  # so that the judge can hold the parity of seven columns


def main() -> None:
    """Draws, releases and measures the tables, writes and prints."""
    given = _parser().parse_args()
    tables = [(kind, order) for kind in given.kinds for order in given.orders or ORDERS[kind]]
    records: list[Record] = []
    for kind, order in tables:
        records += measure(kind, order, given)
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(records, indent=1))
    show(records, given)


def measure(kind: str, order: int, given: argparse.Namespace) -> list[Record]:
    """Measures one table by real rows, released rows and dp-nb's."""
    rows, domain = draw_table(kind, order, 2 * given.rows, given.seed)
    train, test = rows[: given.rows], rows[given.rows :].reset_index(drop=True)
    yardstick = Yardstick(train, test, domain)
    records = []
    for method, generator in (("real", "real"), ("ours", "sample"), ("dp-nb", "dp-nb")):
        key = {"generator": generator, "epsilon": given.epsilon, "delta": given.delta, "seed": given.seed}
        made, seconds = trained_rows({**key, "engine": "memory"}, given, train, domain)
        any_label = (
            yardstick.any_label.figures(made) if method != "real" else yardstick.any_label.figures_of_real_rows()
        )
        figures = {
            "auc": label_auc(made, test, domain),
            "tv2": yardstick.distances(test if method == "real" else made)["tv2_q"],
            **{name: any_label[name] for name in ("any_auc", "any_share")},
        }
        records.append({"table": f"{kind} {order}", "method": method, **figures, "seconds": round(seconds, 1)})
        print(records[-1], flush=True)
    return records


def draw_table(kind: str, order: int, n_rows: int, seed: int) -> tuple[pd.DataFrame, Record]:
    """Draws rows of a random table, the label last; returns them with their public domain."""
    rng = np.random.default_rng((seed, order))
    if kind == "parity":
        coins = rng.integers(0, 2, (n_rows, N_COLUMNS))
        cells, n_levels = np.column_stack([coins, coins[:, :order].sum(axis=1) % 2]), 2
    else:
        cells, n_levels = np.empty((n_rows, 0), dtype=np.int64), N_LEVELS
        draw_next = {"tree": _by_tree, "network": _by_parents}[kind]
        for _ in range(N_COLUMNS + 1):
            cells = np.column_stack([cells, draw_next(cells, order, rng)])
    names = [*(f"c{place}" for place in range(N_COLUMNS)), LABEL]
    spec = {"type": "categorical", "values": [str(level) for level in range(n_levels)], "nullable": False}
    domain = {"label": LABEL, "task": "classification", "columns": dict.fromkeys(names, spec)}
    return pd.DataFrame(cells, columns=names).astype(str), domain


def label_auc(rows: pd.DataFrame, test: pd.DataFrame, domain: Record) -> float:
    """AUC of LightGBM for the label, each class against the rest; .5 for a class that the rows do not hold."""
    import lightgbm
    from sklearn.metrics import roc_auc_score

    if rows[LABEL].nunique() < 2:
        return 0.5
    x, tested = (feature_table(frame, domain).drop(columns=LABEL) for frame in (rows, test))
    model = lightgbm.LGBMClassifier(num_leaves=_N_LEAVES, min_child_samples=5, n_jobs=1, random_state=0, verbose=-1)
    model.fit(x, rows[LABEL])
    chances = dict(zip(model.classes_, np.asarray(model.predict_proba(tested)).T, strict=True))
    none = np.zeros(len(test))
    return float(np.mean([roc_auc_score(test[LABEL] == one, chances.get(one, none)) for one in set(test[LABEL])]))


def show(records: Sequence[Record], given: argparse.Namespace) -> None:
    """Prints a line for each table."""
    title = f"epsilon {given.epsilon:g}, {given.rows:,} rows: ours / real rows / dp-nb"
    printed = Table("table", "AUC of the label", "any label kept", "two-way TV", "seconds", title=title, box=None)
    by_key = {(record["table"], record["method"]): record for record in records}
    for table in dict.fromkeys(record["table"] for record in records):
        of = [by_key[table, method] for method in ("ours", "real", "dp-nb")]
        figures = [" / ".join(_text(record[name]) for record in of) for name in ("auc", "any_share", "tv2")]
        printed.add_row(table, *figures, f"{of[0]['seconds']:.0f}")
    Console(width=None if Console().is_terminal else 120).print(printed)


def _by_tree(before: Int64Array, depth: int, rng: np.random.Generator) -> Int64Array:
    """Draws a column by a random decision tree: each node asks whether a column before has a level."""
    leaf = np.zeros(len(before), dtype=np.int64)
    for _ in range(depth if before.shape[1] else 0):
        questions = rng.integers(0, (before.shape[1], N_LEVELS), (2**depth, 2))[leaf]
        answers = np.take_along_axis(before, questions[:, :1], axis=1)[:, 0] == questions[:, 1]
        leaf = 2 * leaf + answers
    return _drawn(rng.dirichlet(np.full(N_LEVELS, _PEAKED), 2**depth)[leaf], rng)


def _by_parents(before: Int64Array, n_parents: int, rng: np.random.Generator) -> Int64Array:
    """Draws a column by a random distribution for each combination of its parents' levels."""
    parents = rng.permutation(before.shape[1])[:n_parents]
    place = before[:, parents] @ (N_LEVELS ** np.arange(len(parents)))
    return _drawn(rng.dirichlet(np.full(N_LEVELS, _PEAKED), N_LEVELS ** len(parents))[place], rng)


def _drawn(chances: Float64Array, rng: np.random.Generator) -> Int64Array:
    """Draws a level for each row, of chances of shape (n, N_LEVELS)."""
    passed = rng.random(len(chances))[:, None] >= np.cumsum(chances, axis=1)[:, :-1]
    return np.asarray(passed.sum(axis=1), dtype=np.int64)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("out/high_order.json"))
    parser.add_argument("--kinds", nargs="*", default=list(ORDERS), choices=list(ORDERS))
    parser.add_argument(
        "--orders", nargs="*", type=int, help="columns of a parity, depth of a tree, parents of a column"
    )
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--delta", type=float, default=1e-5)
    parser.add_argument("--adapt", default="kip", choices=["kip", "none"])
    parser.add_argument("--override", help="YAML of configuration sections, as in utility.py")
    parser.set_defaults(generator="sample")
    return parser


if __name__ == "__main__":
    main()
