"""Runs releases through the public API on one Spark session, Delta to Delta, and keeps what they gave in JSON."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from paper_data import Problem  # beside this file
from source import write_source

from threea_spark import ReleaseConfig, release
from threea_spark.session import build_session

Record = dict[str, Any]
Settings = Mapping[str, Any]
DELTA = 1e-5
GENERATOR, EPSILON = "anonymize.generator", "privacy.epsilon"


@dataclass(frozen=True)
class Point:
    """One run of a claim.

    Attributes:
      claim: Its letter.
      table: Name of the table.
      seed: Of the split or of the generated rows; release noise knows no seed.
      settings: Fields of the configuration by dotted name. The generator `real` stands for the training rows.
    """

    claim: str
    table: str
    seed: int
    settings: Settings = field(default_factory=dict)

    @property
    def key(self) -> Record:
        """What the record of this run is found by."""
        return {"claim": self.claim, "table": self.table, "seed": self.seed, "settings": dict(self.settings)}


class Store:
    """Records in a JSON file, one a line; a run that failed counts as missing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: list[Record] = json.loads(path.read_text()) if path.exists() else []

    def find(self, point: Point) -> Record | None:
        """Finds the record of a run that did not fail."""
        return next((row for row in self._records if _same(row, point) and "failed" not in row["outcome"]), None)

    def add(self, point: Point, outcome: Mapping[str, Any]) -> None:
        """Stores what a run gave; the file is whole at any moment."""
        plain = {name: _plain(value) for name, value in outcome.items()}
        self._records = [row for row in self._records if not _same(row, point)] + [{**point.key, "outcome": plain}]
        self._records.sort(key=lambda row: (row["claim"], row["table"], json.dumps(row["settings"]), row["seed"]))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_name(f"{self._path.name}.part")
        part.write_text("[\n" + ",\n".join(json.dumps(row) for row in self._records) + "\n]\n")
        part.replace(self._path)

    def of_points(self, points: Sequence[Point]) -> list[Record]:
        """Gives the records of those points that have one."""
        return [record for point in points if (record := self.find(point)) is not None]


class Lab:
    """One Spark session and a temporary folder; every release is written to a Delta table of its own and read back."""

    def __init__(self, master: str) -> None:
        self._master = master
        self._folder = Path(tempfile.mkdtemp(prefix="threea-paper-"))
        self._sources: dict[tuple[str, int], str] = {}
        self._n_releases = 0

    def rows(self, problem: Problem, seed: int, settings: Settings) -> tuple[pd.DataFrame, Record]:
        """Releases a table, or gives the real rows; says beside the rows how long it took and what `auto` became."""
        if settings.get(GENERATOR) == "real":
            return problem.train, {}
        self._n_releases += 1
        target = str(self._folder / f"target-{self._n_releases}")
        config = configuration(problem, settings, self._source(problem, seed), target)
        start = time.monotonic()
        receipt = release(self._spark, config)
        seconds = time.monotonic() - start
        rows = self._spark.read.format("delta").load(target).toPandas()
        wanted = ("mix_size", "min_cluster_size", "components_per_class")
        resolved = {name: receipt.resolved[name] for name in wanted if name in receipt.resolved}
        return rows, {**resolved, "seconds": round(seconds, 1)}

    def close(self) -> None:
        """Stops Spark and removes all tables."""
        if "_spark" in self.__dict__:
            self._spark.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @cached_property
    def _spark(self) -> Any:
        return build_session("threea-paper", master=self._master)

    def _source(self, problem: Problem, seed: int) -> str:
        if (problem.name, seed) not in self._sources:
            place = self._folder / f"source-{len(self._sources)}"
            write_source(self._spark, problem.train, str(place))
            self._sources[problem.name, seed] = str(place)
        return self._sources[problem.name, seed]


def configuration(problem: Problem, settings: Settings, source: str, target: str) -> ReleaseConfig:
    """Makes a release's configuration from dotted settings."""
    content: dict[str, Any] = {
        "source": {"path": source},
        "target": {"path": target},
        "privacy": {"epsilon": 1.0, "delta": DELTA, "unit": "row"},
        "domain": problem.domain,
    }
    for name, value in settings.items():
        section, _, option = name.partition(".")
        content.setdefault(section, {})[option] = value
    if content.get("anonymize", {}).get("generator", "sample") == "sample":
        content.setdefault("anonymize", {}).setdefault("rows", len(problem.train))
    return ReleaseConfig.from_dict(content)


def _same(row: Mapping[str, Any], point: Point) -> bool:
    return all(row[name] == value for name, value in point.key.items())


def _plain(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return None if value != value else round(value, 4)  # JSON knows no NaN
