"""Audits whole releases: a lower bound on epsilon from attacks that succeeded, beside the epsilon that is claimed.

    python benchmarks/audit.py --json out/audit.json [--trials 300] [--only mixing] [--confidence 0.99]

Each trial runs a release of a small table in one of two neighbouring worlds through the library's own code, without a
JVM, and an attacker who sees every noisy sum and knows all but one unit tells the worlds apart (audit_trial.py). Sound
releases must stay at or below their claim. Broken ones, each with one thing wrong, must be caught above it: an audit
that misses them would have missed the fault. Trials draw the release's own unseeded noise, so two audits differ; a
sound release whose true epsilon is its claim exceeds it with a chance of one minus the confidence.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from audit_bound import judged, lower_bound  # beside this file
from audit_trial import ABSENT, PRESENT, Trial, run_trial  # beside this file
from audit_variants import Variant, broken_variants, sound_variants  # beside this file
from local_rows import plan_of  # beside this file
from rich.console import Console
from rich.table import Table

from threea_spark.privacy.gaussian import compose_mu

Record = dict[str, Any]
N_PROCESSES = 2


def main() -> None:
    """Audits all variants, writes and prints what was found."""
    given = _parser().parse_args()
    variants = _chosen(given.only)
    records: list[Record] = []
    with ProcessPoolExecutor(N_PROCESSES) as pool:
        audits = partial(audited, trials=given.trials, confidence=given.confidence, only=given.only)
        for record in pool.map(audits, range(len(variants))):
            records.append(record)
            Console().print(f"{record['variant']}: {record['broken'] or 'sound'}: {record['lower_bound']:.3g}")
            if given.json:
                given.json.parent.mkdir(parents=True, exist_ok=True)
                given.json.write_text(json.dumps({"runs": records}, indent=1))
    show(records)


def audited(place: int, trials: int, confidence: float, only: str = "") -> Record:
    """Audits one of the variants, named by its place so that processes need not send it."""
    return audit(_chosen(only)[place], trials, confidence)


def _chosen(only: str) -> list[Variant]:
    return [v for v in (*sound_variants(), *broken_variants()) if only in f"{v.name} {v.broken}"]


def audit(variant: Variant, trials: int, confidence: float) -> Record:
    """Runs trials in both worlds and bounds epsilon from below."""
    trials *= variant.effort
    with variant.breaking():
        absent, present = (
            [run_trial(variant.pair, variant.config, world, variant.rate, variant.breaker) for _ in range(trials)]
            for world in (ABSENT, PRESENT)
        )
    errors = judged(_ratios(absent), _ratios(present), confidence)
    privacy = variant.config.privacy
    return {
        "variant": variant.name,
        "broken": variant.broken,
        "claimed_epsilon": privacy.epsilon,
        "delta": privacy.delta,
        "lower_bound": lower_bound(errors, privacy.delta, gaussian=variant.rate >= 1.0),
        "confidence": confidence,
        "trials": 2 * trials,
        "claimed_mu": compose_mu(plan_of(variant.config).stage_mu.values()) if variant.rate >= 1.0 else None,
        "pair_mu": float(np.median([trial.mu for trial in present])),
    }


def _ratios(trials: Sequence[Trial]) -> Any:
    return np.array([trial.ratio for trial in trials])


def show(records: Sequence[Record]) -> None:
    """Prints what was found; a sound release above its claim, or a broken one below, is marked."""
    table = Table("variant", "broken", "claimed", "lower bound", "pair's mu", "as it must be", title="audit", box=None)
    for record in records:
        above = record["lower_bound"] > record["claimed_epsilon"]
        table.add_row(
            record["variant"],
            record["broken"] or "-",
            f"{record['claimed_epsilon']:g}",
            f"{record['lower_bound']:.3g}",
            f"{record['pair_mu']:.3g}",
            "yes" if above == bool(record["broken"]) else "NO",
        )
    Console(width=None if Console().is_terminal else 160).print(table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--trials", type=int, default=300, help="in each world")
    parser.add_argument("--confidence", type=float, default=0.99)
    parser.add_argument("--only", default="", help="variants whose name or fault holds this")
    return parser


if __name__ == "__main__":
    main()
