"""The rows that a run of the utility benchmark trains on: real ones, dp-nb's, or those of a release."""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from collections.abc import Mapping
from typing import Any

import pandas as pd
import yaml
from baseline import draw_baseline  # beside this file
from source import write_source  # beside this file

from threea_spark import ReleaseConfig, ReleaseModel, fit, release
from threea_spark.session import build_session

_NOWHERE = {"source": {"path": "a pandas frame"}, "target": {"path": "released rows of a pandas frame"}}


def trained_rows(
    key: Mapping[str, Any], arguments: argparse.Namespace, train: pd.DataFrame, domain: Mapping[str, Any]
) -> tuple[pd.DataFrame, float]:
    """Gives the rows that a run trains on, and the seconds it took to make them.

    Args:
      key: Says which run it is.
      arguments: Of the benchmark.
      train: Real rows. PRIVATE.
      domain: Public, as a protocol's `load` gives it.
    """
    if key["generator"] == "real":
        return train, 0.0
    if key["generator"] != "dp-nb":
        return released_rows(key, arguments, train, domain)
    start = time.monotonic()
    rows = draw_baseline(train, domain, epsilon=key["epsilon"], delta=key["delta"], seed=key["seed"])
    return rows, time.monotonic() - start


def fitted_model(arguments: argparse.Namespace, train: pd.DataFrame, domain: Mapping[str, Any]) -> ReleaseModel:
    """Fits a model in this process; a category without any value is left out."""
    known = {name: spec for name, spec in domain["columns"].items() if name not in _empty(domain)}
    return _fitted(_content(arguments, train, {**domain, "columns": known}), train)[0]


def released_rows(
    key: Mapping[str, Any], arguments: argparse.Namespace, train: pd.DataFrame, domain: Mapping[str, Any]
) -> tuple[pd.DataFrame, float]:
    """Releases rows on the engine of the run's key; the seconds of a release on Spark leave Spark's start out.

    A category without any value is null in every row, so it is not released but added to what is.
    """
    empty = _empty(domain)
    known = {name: spec for name, spec in domain["columns"].items() if name not in empty}
    told = {**domain, "columns": known}
    content = _content(arguments, train, told if key.get("declared", True) else undeclared(told))
    in_memory = key["engine"] == "memory"
    made = _in_memory(content, train) if in_memory else _on_spark(_session(arguments.master), content, train)
    return made[0].assign(**dict.fromkeys(empty)), made[1]


def undeclared(domain: Mapping[str, Any]) -> dict[str, Any]:
    """What `threea init` would write: bounds to be found, open categories, null anywhere, and the label's values."""
    columns = {}
    for name, spec in domain["columns"].items():
        is_category = spec["type"] == "categorical"
        kept = {"values": spec["values"] if name == domain["label"] else "open"}
        found = kept if is_category else {"lower": "auto", "upper": "auto"}
        columns[name] = {"type": spec["type"], **found, "nullable": name != domain["label"]}
    return {**domain, "columns": columns}


def _empty(domain: Mapping[str, Any]) -> list[str]:
    """Names the categories that have no value."""
    columns = domain["columns"].items()
    return [name for name, spec in columns if spec["type"] == "categorical" and not spec["values"]]


def _content(arguments: argparse.Namespace, train: pd.DataFrame, domain: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration without its source and target."""
    content: dict[str, Any] = {
        "privacy": {
            "epsilon": arguments.epsilon,
            "delta": arguments.delta,
            "allow_large_delta": True,  # one delta for all tables, as for the peers: some hold 100,000 rows
            "unit": "row",
        },
        "domain": {name: domain[name] for name in ("label", "task", "columns")},
        "adapt": {"method": arguments.adapt},
        "anonymize": {"generator": arguments.generator},
    }
    if arguments.generator == "sample":
        content["anonymize"]["rows"] = len(train)
    for section, fields in yaml.safe_load(arguments.override or "{}").items():
        content.setdefault(section, {}).update(fields)
    return content


def _in_memory(content: dict[str, Any], train: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    start = time.monotonic()
    model, config = _fitted(content, train)
    wanted = config.anonymize.rows
    rows = model.sample_local(None if wanted == "match" else int(wanted))
    return rows, time.monotonic() - start


def _fitted(content: dict[str, Any], train: pd.DataFrame) -> tuple[ReleaseModel, ReleaseConfig]:
    config = ReleaseConfig.from_dict({**_NOWHERE, **content})
    return fit(train, config), config


@functools.cache
def _session(master: str) -> Any:
    return build_session("threea-utility", master=master)


def _on_spark(spark: Any, content: dict[str, Any], train: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/source", f"{folder}/target"
        write_source(spark, train, source)
        config = ReleaseConfig.from_dict({"source": {"path": source}, "target": {"path": target}, **content})
        start = time.monotonic()
        release(spark, config)
        seconds = time.monotonic() - start
        return spark.read.format("delta").load(target).toPandas(), seconds
