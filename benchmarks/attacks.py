"""Attacks on released rows: was a row in the table (membership), and what are its values (inversion).

    python benchmarks/attacks.py --json out/attacks.json [--only membership] [--figure roc.png] [--data FOLDER]

Membership: a table is released many times with a target row and without it, through the library's own code without a
JVM; half of the releases teach the attacker, who sees released rows alone, the other half judge it. The lower bound on
epsilon that follows (audit_bound.py) stands beside the epsilon that is printed. Inversion: attack_inversion.py.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attack_inversion import inverted  # these lie beside this file
from attack_membership import attacks, run_attack
from matplotlib.figure import Figure
from paper_panels import panels, save, with_legend
from rich.console import Console
from rich.table import Table

from threea_spark.privacy.gaussian import trade_off

Record = dict[str, Any]


def main() -> None:
    """Runs the attacks, writes and prints what was found, and draws the ROC curves."""
    given = _parser().parse_args()
    found: dict[str, list[Record]] = {"membership": [], "inversion": []}
    if given.only in ("", "membership"):
        for attack in attacks(given.data):
            found["membership"].append(record := run_attack(attack, given.trials, given.confidence))
            print({name: value for name, value in record.items() if "roc" not in name}, flush=True)
            _store(given.json, found)
    if given.only in ("", "inversion"):
        found["inversion"] = inverted()
    _store(given.json, found)
    for name, records in found.items():
        show(name, records)
    if given.figure and found["membership"]:
        save(drawn(found["membership"]), given.figure)


def show(title: str, records: Sequence[Record]) -> None:
    """Prints records as a table."""
    if not records:
        return
    names = [name for name in records[0] if "roc" not in name]
    table = Table(*names, title=title, box=None)
    for record in records:
        cells = (record[name] for name in names)
        table.add_row(*(f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in cells))
    Console(width=None if Console().is_terminal else 170).print(table)


def drawn(records: Sequence[Record]) -> Figure:
    """ROC curves of each target, the number of rows hidden, beside the curve that the printed mu allows."""
    targets = list(dict.fromkeys(record["target"] for record in records))
    figure, axes = panels(len(targets))
    rates = np.geomspace(1e-3, 1.0, 200)
    for panel, target in zip(axes, targets, strict=True):
        own = [record for record in records if record["target"] == target]
        for record in own:
            panel.plot(*record["uncounted_roc"], label=record["release"], linewidth=1)
        allowed = 1.0 - trade_off(own[0]["claimed_mu"], rates)
        panel.plot(rates, allowed, color="black", linestyle="--", label="allowed by the printed mu")
        panel.plot(rates, rates, color="0.6", linestyle=":", label="guessing")
        panel.set(title=target, xlabel="false positive rate", ylabel="true positive rate", xscale="log", xlim=(1e-3, 1))
    return with_legend(figure, axes[0])


def _store(path: Path | None, found: dict[str, list[Record]]) -> None:
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=1))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", default="", choices=["", "membership", "inversion"])
    parser.add_argument("--trials", type=int, default=160, help="releases with the target, and as many without")
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--data", type=Path, help="a folder with adult.parquet; a generated table where left out")
    parser.add_argument("--figure", type=Path, help="where the ROC curves are drawn, a PNG")
    return parser


if __name__ == "__main__":
    main()
