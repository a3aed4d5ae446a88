"""Writes the tutorial's made-up hospital stays: stays.parquet, and stays_test.parquet of other patients.

Usage: python jobs/stays.py --out FOLDER
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

WARDS = ("medicine", "surgery", "cardiology", "intensive care")
DIAGNOSES = ("heart failure", "pneumonia", "sepsis", "stroke", "hip fracture", "diabetes", "kidney failure", "asthma")
SEVERITY = np.array([0.3, 0.2, 1.5, 0.8, -0.2, -0.6, 0.6, -1.2])  # a diagnosis's part of the log odds of death


def made_up_stays(n_stays: int, seed: int) -> pd.DataFrame:
    """Draws stays of patients who never lived, one to three for each; older and sicker patients die more often."""
    rng = np.random.default_rng(seed)
    patient = np.sort(rng.integers(0, int(0.7 * n_stays), n_stays))
    age = np.clip(rng.normal(62, 18, int(0.7 * n_stays)), 18, 100).astype(int)[patient]
    diagnosis = rng.choice(len(DIAGNOSES), n_stays, p=[0.2, 0.18, 0.1, 0.1, 0.12, 0.12, 0.1, 0.08])
    intensive = rng.random(n_stays) < 0.08 + 0.3 * (SEVERITY[diagnosis] > 0.7)
    ward = np.where(intensive, 3, rng.choice(3, n_stays, p=[0.5, 0.25, 0.25]))
    lactate = np.round(np.exp(0.2 + 0.3 * SEVERITY[diagnosis] + 0.4 * rng.standard_normal(n_stays)), 1)
    measured = rng.random(n_stays) < np.where(intensive, 0.95, 0.55)
    days = 1 + rng.poisson(3 + 3 * intensive + 2 * (diagnosis == 4))
    cost = np.round(days * (700 + 1800 * intensive) * np.exp(0.3 * rng.standard_normal(n_stays)), 2)
    log_odds = -2.9 + 0.045 * (age - 62) + SEVERITY[diagnosis] + 0.9 * intensive + 0.5 * (lactate - 1.2)
    return pd.DataFrame(
        {
            "patient_id": [f"p{seed}-{number:05d}" for number in patient],
            "age": age,
            "sex": rng.choice(["F", "M"], n_stays),
            "ward": np.array(WARDS)[ward],
            "diagnosis": np.array(DIAGNOSES)[diagnosis],
            "lactate": np.where(measured, lactate, np.nan),
            "days": days,
            "cost": cost,
            "admitted": pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 730, n_stays), unit="D"),
            "died": np.where(rng.random(n_stays) < 1 / (1 + np.exp(-log_odds)), "yes", "no"),
        }
    )


def main() -> None:
    """Writes both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path())
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    made_up_stays(20_000, seed=1).to_parquet(folder / "stays.parquet", index=False)
    made_up_stays(8_000, seed=2).to_parquet(folder / "stays_test.parquet", index=False)


if __name__ == "__main__":
    main()
