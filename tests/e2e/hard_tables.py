"""Tables that are hard to release: values and shapes of every kind, and few rows of many columns."""

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

NUMBER = {"type": "float", "lower": -10, "upper": 10, "nullable": True}
TIGHT = {"type": "float", "lower": -10, "upper": 10}
LABEL = {"type": "categorical", "values": ["no", "yes"]}
COLOUR = {"type": "categorical", "values": ["red", "blue"]}


def mixed(n_rows, **extra):
    rng = np.random.default_rng(1)
    base = {"x": rng.normal(size=n_rows), "colour": rng.choice(["red", "blue"], n_rows)}
    return pd.DataFrame({**base, **extra, "y": rng.choice(["no", "yes"], n_rows)})


HARD_VALUES = mixed(300)
HARD_VALUES["x"] = [None, np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, -0.0] * 37 + [1.0] * 4
HARD_VALUES["colour"] = ["red", "", None, "violet", "x", "\x00", "naïve ☃", "RED"] * 37 + ["blue"] * 4
HARD_VALUES.loc[7, "colour"] = "x" * 1_000_000
HARD_VALUES.loc[:20, "y"] = None
HARD_VALUES.loc[21:40, "y"] = "perhaps"

NAMES = ["dotted.name", "two words", 'quo"te', "back`tick", "größe", "semi;colon", "a(b)", "c0", "unit"]

CASES = {
    "hard values": (HARD_VALUES, {"x": NUMBER, "colour": {**COLOUR, "nullable": True}, "y": LABEL}, None),
    "hard values where null is not allowed": (HARD_VALUES, {"x": TIGHT, "colour": COLOUR, "y": LABEL}, None),
    "no row": (mixed(0), {"x": NUMBER, "colour": COLOUR, "y": LABEL}, "x double, colour string, y string"),
    "one row": (mixed(1), {"x": NUMBER, "colour": COLOUR, "y": LABEL}, None),
    "a single class": (mixed(200).assign(y="yes"), {"x": NUMBER, "colour": COLOUR, "y": LABEL}, None),
    "a constant column": (mixed(200).assign(x=0.0), {"x": NUMBER, "colour": COLOUR, "y": LABEL}, None),
    "a column of nulls": (
        mixed(200).assign(x=None), {"x": NUMBER, "colour": COLOUR, "y": LABEL}, "x double, colour string, y string",
    ),
    "no numeric column": (mixed(200), {"colour": COLOUR, "y": LABEL}, None),
    "no categorical column": (mixed(200), {"x": NUMBER, "y": LABEL}, None),
    "the label alone": (mixed(200), {"y": LABEL}, None),
    "strange names": (
        mixed(200, **{name: np.arange(200.0) % 7 for name in NAMES}),
        {"x": NUMBER, **{name: NUMBER for name in NAMES}, "y": LABEL},
        None,
    ),
}  # fmt: skip

N_CLASSES, N_NUMBERS, N_TELLING = 12, 120, 50
N_ROWS = 640
"""Below the 807 rows from which this table has histograms, by ten times the noise on the number of rows."""
KINDS = ["red", "green", "blue"]


def wide_rows(n_rows, seed):
    """Few rows of many columns: fifty numbers tell twelve classes apart, five categories stand beside them."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(11).normal(size=(N_CLASSES, N_TELLING))
    classes = rng.integers(0, N_CLASSES, n_rows)
    numbers = rng.normal(size=(n_rows, N_NUMBERS))
    numbers[:, :N_TELLING] = 0.7 * numbers[:, :N_TELLING] + centres[classes]
    columns = {f"x{i}": 2.0 * numbers[:, i] for i in range(N_NUMBERS)}
    for i in range(0, N_NUMBERS, 10):
        columns[f"x{i}"] = np.rint(columns[f"x{i}"]).astype("int32")
    for i in range(5, N_NUMBERS, 10):
        columns[f"x{i}"] = np.where(rng.random(n_rows) < 0.2, np.nan, columns[f"x{i}"])
    for i in range(5):
        columns[f"c{i}"] = rng.choice(KINDS, n_rows, p=[0.6, 0.3, 0.1])
    columns["c1"] = np.where(rng.random(n_rows) < 0.3, None, columns["c1"])
    columns["y"] = [f"k{c}" for c in classes]
    return pd.DataFrame(columns)


WIDE_COLUMNS = {
    **{
        f"x{i}": {"type": "integer" if i % 10 == 0 else "float", "lower": -12, "upper": 12, "nullable": i % 10 == 5}
        for i in range(N_NUMBERS)
    },
    **{f"c{i}": {"type": "categorical", "values": KINDS, "nullable": i == 1} for i in range(5)},
    "c2": {"type": "categorical", "values": "open"},
    "y": {"type": "categorical", "values": [f"k{i}" for i in range(N_CLASSES)]},
}


def accuracy(train):
    """Accuracy on fresh real rows of a model trained on `train`."""
    test = wide_rows(1_500, seed=2)
    numbers = [f"x{i}" for i in range(N_NUMBERS)]
    model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=200))
    return model.fit(train[numbers], train["y"]).score(test[numbers], test["y"])
