"""Where benchmarks read from: the protocol beside a folder of tables, and training rows as a Delta table."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd


def load_protocol(path: Path) -> ModuleType:
    """Imports a protocol from its file, or ends the program and says that there is none."""
    spec = importlib.util.spec_from_file_location("protocol", path)
    if spec is None or spec.loader is None or not path.exists():
        raise SystemExit(f"{path}: no protocol found beside the data, where it is looked for unless named")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_source(spark: Any, rows: pd.DataFrame, place: str) -> None:
    """Writes rows as a Delta table whose column names may hold anything."""
    rows.to_parquet(f"{place}.parquet", index=False)
    table = spark.read.parquet(f"{place}.parquet")
    table.write.format("delta").option("delta.columnMapping.mode", "name").save(place)
