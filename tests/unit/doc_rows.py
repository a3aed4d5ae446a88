"""Made-up stays for the Python of the documentation: few rows, quick to fit."""

import numpy as np
import pandas as pd

DOMAIN = {
    "label": "died",
    "columns": {
        "age": {"type": "integer", "lower": 0, "upper": 120},
        "ward": {"type": "categorical", "values": ["CCU", "MICU", "SICU"]},
        "died": {"type": "categorical", "values": ["no", "yes"]},
    },
}


def stays(n_rows=800, seed=2):
    """Stays of as many patients; older ones die more often."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 95, n_rows)
    ward = rng.choice(["CCU", "MICU", "SICU"], n_rows)
    died = np.where(0.05 * (age - 60) + rng.standard_normal(n_rows) > 0.5, "yes", "no")
    return pd.DataFrame({"age": age, "ward": ward, "died": died})
