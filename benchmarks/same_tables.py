"""The same noisy tables, fitted by us and by mbi: what each makes of what one release measured of pairs of columns.

    pip install mbi==2.0.0
    python benchmarks/same_tables.py --data folder --json out.json [--tables a b] [--seeds 0] [--methods ours tree]

A release in this process counts all pairs in groups of cells, and chosen pairs cell by cell. These noisy tables and the
noisy counts of each column are the evidence; every method is fitted to it alone, in the cells of the release:

- `ours`: the release's mixture of products, its rows labelled by the mixture itself. `release` is the whole release,
  whose label function spends another part of the budget.
- `tree`: mbi's exact inference on the spanning tree of most mutual information, as MST has it.
- `cliques`: the same with as many more pairs, by mutual information, as a junction tree of --megabytes can hold, as in
  AIM. Mutual information is that of our fitted tables: taken of the noisy ones it chose a worse tree.
- `local`: all pairs, by mbi's approximate inference, whose tables agree on single columns alone. There is no model to
  draw rows from, so each pair is measured by rows of its own.
- `mixture`: all pairs, by mbi's own mixture of products, with as many components as ours.

Measured: the two-way total variation from the real rows (fidelity.py), what is learned of the declared label (the
protocol's score), with --any-label of every other column too (any_label.py), and the processor seconds of the fit,
compiling included. mbi computes in float64, as it recommends. The noise is fresh each time, but the same for all
methods.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from fidelity import Yardstick  # this and the next are beside this file
from mbi_fit import Peer
from source import load_protocol
from trained_rows import fitted_model
from utility import markdown, show

from threea_spark import ReleaseModel
from threea_spark.approximate import product_fit
from threea_spark.approximate.joint import JointModel
from threea_spark.approximate.products import Evidence, Products
from threea_spark.arrays import Int64Array
from threea_spark.model.blocks import arrow_rows
from threea_spark.model.sampler import decode_rows

Record = dict[str, Any]

OURS, PEERS = ("ours", "release"), ("tree", "cliques", "local", "mixture")
HEADER = ("table", "method", "pairs", "two-way TV", "with the label", "lgbm / linear", "any label kept", "seconds")


@dataclass(frozen=True)
class Measured:
    """What a release measured, and what it made of it.

    Attributes:
      evidence: The noisy tables.
      model: The whole release.
      products: Our fit.
      seconds: Of our fit, to the first look and then to both; of this process's processors.
    """

    evidence: Evidence
    model: ReleaseModel
    products: Products
    seconds: float


def measured(given: argparse.Namespace, train: pd.DataFrame, domain: Mapping[str, Any]) -> Measured:
    """Releases in this process, and keeps the evidence that the mixture was fitted to."""
    fits: list[tuple[Evidence, Products, float]] = []
    plain = product_fit.fit_products

    def kept(evidence: Evidence, *rest: Any) -> product_fit.Fit:
        start = time.process_time()
        fit = plain(evidence, *rest)
        fits.append((evidence, fit.products, time.process_time() - start))
        return fit

    with patch.object(product_fit, "fit_products", kept):
        model = fitted_model(given, train, domain)
    if not fits:
        raise SystemExit(f"{domain['name']}: this release counts no pairs of columns, by the rule of its recipe")
    return Measured(fits[-1][0], model, fits[-1][1], sum(seconds for *_, seconds in fits))


def rows_of(found: Measured, cells: Int64Array, domain: Mapping[str, Any]) -> pd.DataFrame:
    """Rows of drawn cells, each counted within its column, the label last; values are drawn as in a release."""
    encoding, label = found.evidence.columns.encoding, str(domain["label"])
    counted = cells[:, :-1] + encoding.cell_layout.offsets[:-1]
    columns = decode_rows(encoding, label, counted, cells[:, -1], np.random.default_rng(0))
    rows: pd.DataFrame = arrow_rows(columns, found.model.types).to_pandas()
    return rows


def own_cells(found: Measured, n_rows: int) -> Int64Array:
    """Cells of rows of our mixture, shape (n_rows, n_columns)."""
    columns, rng = found.evidence.columns, np.random.default_rng(0)
    model = JointModel(columns, found.products, found.evidence.one_way_stddev, found.model.n_rows)
    cells, classes = model.sampler().draw_cells(columns.encoding, n_rows, rng)
    return np.column_stack([cells - columns.encoding.cell_layout.offsets[:-1], classes])


def local_distances(found: Measured, tables: Any, yardstick: Yardstick) -> Record:
    """Two-way total variation of tables that no model holds together, each pair by rows of its own."""
    rng, codecs, n_rows = np.random.default_rng(0), found.evidence.columns.codecs, len(yardstick.train)
    place_of = {codec.name: place for place, codec in enumerate(codecs)}
    distances: dict[tuple[str, str], float] = {}
    for names in yardstick.pairs:
        pair = tuple(sorted(place_of[name] for name in names))
        table = np.maximum(np.asarray(tables.project(pair).datavector(flatten=False), np.float64), 0.0)
        cells = np.zeros((n_rows, len(codecs)), dtype=np.int64)
        drawn = rng.choice(table.size, n_rows, p=table.ravel() / table.sum())
        cells[:, pair[0]], cells[:, pair[1]] = np.divmod(drawn, table.shape[1])
        distances[names] = yardstick.pair_distance(rows_of(found, cells, yardstick.domain), names)
    with_label = [value for names, value in distances.items() if yardstick.domain["label"] in names]
    return {"tv2_q": float(np.mean([*distances.values()])), "tv2lab_q": float(np.mean(with_label))}


def main() -> None:
    """Measures the tables, writes and prints."""
    given = _parser().parse_args()
    protocol = load_protocol(given.protocol or given.data.parent / "bench" / "protocol.py")
    records: list[Record] = []
    for table in given.tables:
        for seed in given.seeds:
            for record in measure(table, seed, given, protocol):
                records.append({"table": table, "seed": seed, **record})
                given.json.parent.mkdir(parents=True, exist_ok=True)
                given.json.write_text(json.dumps(records, indent=1))
                print(records[-1], flush=True)
    lines = [_line(record) for record in records]
    show(HEADER, lines, f"epsilon {given.epsilon:g}: the same noisy tables, fitted by us and by mbi")
    if given.markdown:
        given.markdown.write_text(markdown(HEADER, lines))


def measure(table: str, seed: int, given: argparse.Namespace, protocol: ModuleType) -> Iterator[Record]:
    """Measures every method on the evidence of one release, and real rows."""
    frame, domain = protocol.load(table, given.data)
    train, test = protocol.split(frame, domain, seed)
    yardstick = Yardstick(train, test, domain)
    held_out = yardstick.distances(test)
    yield {"method": "real", **_of(held_out), **protocol.score(train, test, domain)}
    found = measured(given, train, domain)
    for method in given.methods:
        if method in PEERS:
            record, rows = fitted_by_peer(method, found, given.megabytes, yardstick)
        else:
            record = {"pairs": len(found.evidence.columns.pairs), "seconds": found.seconds}
            is_whole = method == "release"
            rows = (
                found.model.sample_local(len(train))
                if is_whole
                else rows_of(found, own_cells(found, len(train)), domain)
            )
        if rows is not None:
            rows = rows.reindex(columns=list(domain["columns"]))  # a category without values is not released
            record |= {**_of(yardstick.distances(rows)), **protocol.score(rows, test, domain)}
        if rows is not None and given.any_label:
            record |= {"any_share": yardstick.any_label.figures(rows)["any_share"]}
        yield {"method": method, **record}


def fitted_by_peer(
    method: str, found: Measured, megabytes: float, yardstick: Yardstick
) -> tuple[Record, pd.DataFrame | None]:
    """Fits mbi; returns the record so far, and rows where it has a model to draw from."""
    import jax

    with jax.enable_x64(True):
        peer = Peer(found.evidence, found.products, found.model.n_rows, megabytes)
        start = time.process_time()
        pairs = peer.pairs(method)
        fitted = peer.fit(method, pairs)
        record: Record = {"pairs": len(pairs), "seconds": time.process_time() - start}
        if method == "local":
            return record | local_distances(found, fitted, yardstick), None
        return record, rows_of(found, peer.drawn(fitted, len(yardstick.train)), yardstick.domain)


def _of(distances: Mapping[str, float]) -> Record:
    return {name: distances[name] for name in ("tv2_q", "tv2lab_q")}


def _line(record: Record) -> list[str]:
    def text(name: str, form: str = ".3f") -> str:
        return format(record[name], form) if record.get(name) is not None else "-"

    metric = "r2" if "r2_lgbm" in record else "auc"
    learned = " / ".join(text(f"{metric}_{judge}") for judge in ("lgbm", "linear"))
    distances = [text("tv2_q", ".4f"), text("tv2lab_q", ".4f")]
    return [
        record["table"],
        record["method"],
        text("pairs", "d"),
        *distances,
        learned,
        text("any_share"),
        text("seconds", ".0f"),
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--protocol", type=Path)
    parser.add_argument("--json", type=Path, default=Path("out/same_tables.json"))
    parser.add_argument("--markdown", type=Path, help="where the printed table is written as Markdown")
    parser.add_argument("--tables", nargs="*", default=["adult", "bank_additional_full", "credit_default"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--methods", nargs="*", default=[*OURS, *PEERS], choices=[*OURS, *PEERS])
    parser.add_argument("--any-label", action="store_true", help="also measure every other column as the label")
    parser.add_argument("--megabytes", type=float, default=10.0, help="of a junction tree of `cliques`")
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--delta", type=float, default=1e-5)
    parser.add_argument("--override", help="YAML of configuration sections, as in utility.py")
    parser.set_defaults(generator="sample", adapt="kip")
    return parser


if __name__ == "__main__":
    main()
