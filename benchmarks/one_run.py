"""Audits releases by one run each: canaries in a real Delta table, guessed from what the release published.

    python benchmarks/one_run.py --json out/one_run.json [--canaries 800] [--only mixing] [--confidence 0.95]

Each canary is put into the table by a fair coin. One release on Spark follows, and two attackers guess the coins: one
sees the released rows and the saved model, one every noisy sum of the run (one_run_attack.py). How many they guess
right bounds epsilon from below (one_run_bound.py). Canaries are a class and categories of their own each, so that what
they add to a sum hardly overlaps. A sound release must stay at or below its claim; a broken one must be caught above it
by the attacker who sees the sums. As coins and noise are drawn anew, two audits differ.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from local_rows import local_rows  # these lie beside this file
from one_run_attack import Weakened, readings, recording, scores_of_release, scores_of_sums
from one_run_bound import Guesses, epsilon_bound, gaussian_epsilon_bound
from rich.console import Console
from rich.table import Table
from source import write_source

from threea_spark import ReleaseConfig
from threea_spark.arrays import BoolArray, Float64Array
from threea_spark.engine.local import LocalSource
from threea_spark.pipeline import release_with_model
from threea_spark.privacy.terms import Stage
from threea_spark.session import build_session

Record = dict[str, Any]
DELTA = 1e-5
LABEL = "y"
PLAIN, GAUSSIAN = "(epsilon, delta)", "f-DP"
SOUND, NONE = Weakened(1.0), 1e-6
N_COLUMNS, N_KNOWN = 4, 200
REST = "rest"
SHARES_GUESSED = (0.1, 0.25, 0.8)
"""Of the canaries, how many the attacker guesses; each choice is paid for in confidence."""
NO_ADAPT = {"method": "none"}
ONE_GROUP = {"generator": "mix", "mix_size": 100_000}


@dataclass(frozen=True)
class Variant:
    """One release to audit.

    Attributes:
      name: In words.
      epsilon: The claim.
      sections: Of its configuration.
      broken: What is broken; empty for a sound release.
      weakened: Which noise is less than it must be.
      most_canaries: Classes that its stages bear.
    """

    name: str
    epsilon: float
    sections: dict[str, Any]
    broken: str = ""
    weakened: Weakened = SOUND
    most_canaries: int = 100_000


def variants() -> list[Variant]:
    """Sound releases, then broken ones."""
    plain: dict[str, Any] = {"adapt": NO_ADAPT}
    joint: dict[str, Any] = {"approximate": {"per_class": False}}
    mixing: dict[str, Any] = {"adapt": NO_ADAPT, "anonymize": ONE_GROUP}
    mixing["approximate"] = {"components": 1, "min_cluster_size": 1}
    return [
        *[Variant("no adaptation", epsilon, plain) for epsilon in (1.0, 4.0, 8.0)],
        Variant("defaults", 4.0, {}),
        Variant("label function", 4.0, joint, most_canaries=250),
        Variant("mixing", 4.0, mixing),
        Variant("no adaptation", 4.0, plain, "no noise on histograms", Weakened(NONE, Stage.ENCODE)),
        Variant("no adaptation", 4.0, plain, "no noise on class statistics", Weakened(NONE, Stage.APPROXIMATE)),
        Variant("defaults", 4.0, {}, "a quarter of the noise on all sums", Weakened(0.25)),
        Variant("label function", 2.0, joint, "no noise on gradients", Weakened(NONE, Stage.ADAPT), 250),
        Variant("mixing", 4.0, mixing, "no noise on mixed rows", Weakened(NONE, Stage.ANONYMIZE)),
    ]


def main() -> None:
    """Audits all variants, writes and prints what was found."""
    given = _parser().parse_args()
    chosen = [v for v in variants() if given.only in f"{v.name} {v.broken or 'sound'}"]
    spark = build_session("threea-one-run", master=given.master)
    records: list[Record] = []
    for variant in chosen:
        records += audit(spark, variant, min(given.canaries, variant.most_canaries), given.confidence)
        if given.json:
            given.json.parent.mkdir(parents=True, exist_ok=True)
            given.json.write_text(json.dumps({"runs": records}, indent=1))
    spark.stop()
    show(records)


def audit(spark: Any, variant: Variant, n_canaries: int, confidence: float) -> list[Record]:
    """Releases once, and gives the best bound of each attacker by each theorem."""
    coins = np.random.default_rng().random(n_canaries) < 0.5
    canaries, known = table_of(n_canaries)
    with tempfile.TemporaryDirectory() as folder:
        write_source(spark, pd.concat([canaries[coins], known]), f"{folder}/source")
        config = _config(variant, n_canaries, folder)
        with recording(variant.weakened) as recorded:
            _, model = release_with_model(spark, config)
        rows = spark.read.format("delta").load(f"{folder}/target").toPandas()
    sums = readings(recorded, _batches(canaries, known), n_canaries, config)
    seen = {
        "what is released": scores_of_release(rows, model, canaries, LABEL),
        "every noisy sum": scores_of_sums(sums),
    }
    return [
        {
            "attack": f"{attacker}, {theorem}",
            "variant": variant.name,
            "broken": variant.broken,
            "claimed_epsilon": variant.epsilon,
            "confidence": confidence,
            **best_bound(scores, coins, confidence, gaussian=theorem == GAUSSIAN),
        }
        for attacker, scores in seen.items()
        for theorem in (PLAIN, GAUSSIAN)
    ]


def best_bound(scores: Mapping[str, Float64Array], coins: BoolArray, confidence: float, *, gaussian: bool) -> Record:
    """The best bound over all scores and numbers of guesses, each at a level that lets all of them hold together."""
    level = 1.0 - (1.0 - confidence) / (len(scores) * len(SHARES_GUESSED))
    found: list[Record] = []
    for name, own in scores.items():
        for share in SHARES_GUESSED:
            guesses = guessed(own, coins, share)
            bound = gaussian_epsilon_bound if gaussian else epsilon_bound
            record = {"lower_bound": bound(guesses, DELTA, level), "score": name}
            found.append({**record, "canaries": guesses.canaries, "guesses": guesses.made, "right": guesses.right})
    return max(found, key=lambda record: record["lower_bound"])


def guessed(scores: Float64Array, coins: BoolArray, share: float) -> Guesses:
    """Guesses that the highest scores are in and the lowest are out, as many of each; ties are broken by chance."""
    half = max(1, round(0.5 * share * len(scores)))
    order = np.lexsort((np.random.default_rng().random(len(scores)), scores))
    half = min(half, len(scores) // 2)
    return Guesses(len(scores), 2 * half, int(coins[order[-half:]].sum() + (~coins[order[:half]]).sum()))


def table_of(n_canaries: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Canaries, each with a class and categories that no other row has, and rows that the attacker knows."""
    names = [f"w{place}" for place in range(N_COLUMNS)] + [LABEL]
    canaries = pd.DataFrame({name: _values(n_canaries)[:-1] for name in names})
    return canaries, pd.DataFrame(dict.fromkeys(names, [REST] * N_KNOWN))


def _values(n_canaries: int) -> list[str]:
    return [f"v{place}" for place in range(n_canaries)] + [REST]


def _config(variant: Variant, n_canaries: int, folder: str) -> ReleaseConfig:
    column = {"type": "categorical", "values": _values(n_canaries)}
    names = [f"w{place}" for place in range(N_COLUMNS)] + [LABEL]
    return ReleaseConfig.from_dict(
        {
            "source": {"path": f"{folder}/source"},
            "target": {"path": f"{folder}/target"},
            "privacy": {"epsilon": variant.epsilon, "delta": DELTA, "unit": "row"},
            "domain": {"label": LABEL, "columns": dict.fromkeys(names, column)},
            **variant.sections,
        }
    )


def _batches(canaries: pd.DataFrame, known: pd.DataFrame) -> LocalSource:
    """Canonical columns: a batch for each canary, then the known rows."""
    parts = [canaries.iloc[place : place + 1] for place in range(len(canaries))] + [known]
    return LocalSource(
        tuple(local_rows({str(name): part[name].tolist() for name in part}).batches[0] for part in parts)
    )


def show(records: Sequence[Record]) -> None:
    """Prints what was found; a sound release above its claim, or one that is broken and was not caught, is marked."""
    title = f"one release each, confidence {records[0]['confidence'] if records else '-'}"
    table = Table("variant", "broken", "attack", "right", "claimed", "lower bound", "", title=title, box=None)
    for record in records:
        above = record["lower_bound"] > record["claimed_epsilon"]
        table.add_row(
            record["variant"],
            record["broken"] or "-",
            record["attack"],
            f"{record['right']} of {record['guesses']}",
            f"{record['claimed_epsilon']:g}",
            f"{record['lower_bound']:.2f}",
            ("caught" if record["broken"] else "NOT SOUND") if above else "",
        )
    Console(width=None if Console().is_terminal else 170).print(table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--canaries", type=int, default=800)
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--only", default="", help="variants whose name or fault holds this; sound for all sound ones")
    parser.add_argument("--master", default="local[2]")
    return parser


if __name__ == "__main__":
    main()
