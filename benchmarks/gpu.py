"""The driver's part on a GPU beside the CPU: seconds and peak memory of KIP and of the mixture of products, by size.

    python benchmarks/gpu.py [--devices cpu gpu] [--json out/gpu.json]

KIP: noisy steps (their noise left out) of 25 moving points among --support-sizes, on --rows rows of 64 columns, and of
200 points on more and fewer rows. Mixture: steps of --components components towards tables of --columns columns, each
number in about 50 cells, all pairs in 16 groups, and twice as many finer tables as columns; a release has 400
components and at most 160 columns. Each figure is from a process of its own: `start` is the first round of steps, which
compiles, `step` one of a later round. Memory is the most that is held beyond what jax itself takes: on the CPU by the
process (RSS), on a GPU by jax on the card. A megabyte is 10^6 bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from threea_spark.approximate.device import choose
from threea_spark.approximate.products import CellTables, Evidence, PairTables
from threea_spark.approximate.tables import table_columns
from threea_spark.encode.categories import CategoryCodec
from threea_spark.encode.codec import Encoding
from threea_spark.encode.grid import N_LEAVES, leaf_grid
from threea_spark.encode.quantile_codec import quantile_codec

Record = dict[str, Any]
WIDTH, N_GROUPS, N_CELLS, N_ROWS = 64, 16, 50, 1e6
KIP_STEPS, MIXTURE_STEPS = 2, 20  # of a round
ROUNDS = 2
HEADER = ("what", "size", "device", "start s", "step ms", "peak MB")


def main() -> None:
    """Runs all sizes on all devices, stores them and prints the table."""
    arguments = _parser().parse_args()
    if arguments.one:
        print(json.dumps(measured(json.loads(arguments.one))))
        return
    devices = arguments.devices or ["cpu"]
    if "gpu" in devices:
        chosen = choose()
        if chosen.device.platform != "gpu":
            raise SystemExit(f"jax uses no GPU here: {chosen.why_no_gpu or 'it sees none'}")
    records = []
    for work in sizes(arguments):
        for device in devices:
            records.append(_in_own_process({**work, "device": device}))
            print(*_line(records[-1]), sep="\t", file=sys.stderr)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps({"runs": records, "cores": os.cpu_count()}, indent=1))
    show(records)


def sizes(arguments: argparse.Namespace) -> list[Record]:
    """What is measured, in order."""
    rows = arguments.rows
    kip = [{"support": size, "rows": rows} for size in arguments.support_sizes]
    kip += [{"support": 200, "rows": own} for own in (rows // 4, rows * 4)]
    mixtures = [{"components": k, "columns": n} for n in arguments.columns for k in arguments.components]
    return [{"what": "KIP", **work} for work in kip] + [{"what": "mixture", **work} for work in mixtures]


def show(records: Sequence[Record]) -> None:
    """Prints the table."""
    table = Table(*HEADER, box=None)
    for record in records:
        table.add_row(*_line(record))
    Console(width=None if Console().is_terminal else 120).print(table)


def measured(work: Record) -> Record:
    """Times one size on one device, in this process."""
    import jax
    import jax.numpy as jnp

    device = choose().device if work["device"] == "gpu" else jax.devices("cpu")[0]
    with jax.default_device(device):
        jnp.ones(1).block_until_ready()
        before = _held(device, peak=False)
        run, n_steps = (_kip if work["what"] == "KIP" else _mixture)(work)
        seconds = [_seconds(run) for _ in range(1 + ROUNDS)]
        peak = _held(device, peak=True)
    step = min(seconds[1:]) / n_steps
    figures = {
        "start_s": round(seconds[0], 2),
        "step_ms": round(1e3 * step, 2),
        "peak_mb": round((peak - before) / 1e6),
    }
    return {**work, "kind": device.device_kind, **figures}


def _held(device: Any, *, peak: bool) -> int:
    """Bytes held now, or at most so far."""
    if device.platform == "gpu":
        return int(device.memory_stats()["peak_bytes_in_use" if peak else "bytes_in_use"])
    if peak:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _seconds(run: Callable[[], object]) -> float:
    start = time.monotonic()
    run()
    return time.monotonic() - start


def _kip(work: Record) -> tuple[Callable[[], object], int]:
    """A round of KIP's noisy steps, without their noise."""
    from threea_spark.adapt import inducing
    from threea_spark.adapt.settings import KipSettings
    from threea_spark.privacy.query import HeldRows

    rng = np.random.default_rng(7)
    x = rng.normal(size=(work["rows"], WIDTH))
    y = np.sign(x[:, :1] * x[:, 1:2])
    support, settings = slice(work["support"]), KipSettings(steps=KIP_STEPS)

    def run() -> object:
        return inducing.private(
            x[support],
            y[support],
            HeldRows((x, y)),
            settings,
            n_rows_public=float(len(x)),
            ask=lambda query, held: held.sums([query])[0].astype(np.float64),
        )

    return run, KIP_STEPS


def _mixture(work: Record) -> tuple[Callable[[], object], int]:
    """A round of steps of the second look's fit, the longer of the two."""
    from threea_spark.approximate.product_fit import ProductSettings, fit_products

    evidence = evidence_of(work["columns"])
    settings = ProductSettings(components=work["components"], steps=MIXTURE_STEPS)
    return lambda: fit_products(evidence, settings, np.random.default_rng(3)), MIXTURE_STEPS


def evidence_of(n_columns: int) -> Evidence:
    """Tables of columns that know nothing of each other, the last one a label of two classes, with noise."""
    grid = leaf_grid(0.0, 100.0, whole=False)
    cell_rows = grid.n_leaves / N_CELLS
    numbers = [
        quantile_codec(f"x{j}", "float", False, grid, np.ones(N_LEAVES), cell_rows=cell_rows)
        for j in range(n_columns - 1)
    ]
    label = CategoryCodec("y", ("no", "yes"), False, np.arange(2), np.full(2, N_ROWS / 2))
    columns, rng, stddev = (
        table_columns(Encoding(tuple(numbers), label, 20.0), N_GROUPS),
        np.random.default_rng(5),
        1e-4,
    )
    shares = [np.bincount(own, mass) for own, mass in zip(columns.groups, columns.masses, strict=True)]
    flat, counted = np.concatenate(shares), columns.in_other_tables()
    pairs = np.where(counted, np.outer(flat, flat) + stddev * rng.standard_normal(counted.shape), 0.0)
    chosen = sorted(columns.pairs, key=lambda pair: (pair[1] != n_columns - 1, pair))[: 2 * n_columns]
    tables = tuple(np.outer(columns.masses[a], columns.masses[b]) for a, b in chosen)
    return Evidence(columns, stddev, PairTables(pairs + pairs.T, stddev), CellTables(tuple(chosen), tables, stddev))


def _in_own_process(work: Record) -> Record:
    command = [sys.executable, __file__, "--one", json.dumps(work)]
    environment = {**os.environ, **({"JAX_PLATFORMS": "cpu"} if work["device"] == "cpu" else {})}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{work}: {(done.stderr.strip() or 'killed').splitlines()[-1]}")
    record: Record = json.loads(done.stdout.splitlines()[-1])
    return record


def _line(record: Record) -> list[str]:
    size = ", ".join(
        f"{record[name]:,} {name}" for name in ("support", "rows", "components", "columns") if name in record
    )
    figures = [f"{record['start_s']:.1f}", f"{record['step_ms']:,.1f}", f"{record['peak_mb']:,}"]
    return [record["what"], size, record["device"], *figures]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", nargs="+", choices=["cpu", "gpu"], help="default: the CPU alone")
    parser.add_argument("--support-sizes", type=int, nargs="+", default=[50, 200, 500, 1000])
    parser.add_argument("--rows", type=int, default=10_000, help="of KIP's sample")
    parser.add_argument("--components", type=int, nargs="+", default=[16, 64, 256, 400])
    parser.add_argument("--columns", type=int, nargs="+", default=[24, 100, 160])
    parser.add_argument("--json", type=Path, default=Path("out/gpu.json"))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()
