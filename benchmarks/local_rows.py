"""Rows of a small table in memory, for thousands of runs of the stages without a JVM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import pyarrow as pa
from dp_accounting import DpEvent, GaussianDpEvent

from threea_spark import ReleaseConfig
from threea_spark.anonymize.mix import Mixed
from threea_spark.anonymize.mixed_rows import mixing
from threea_spark.approximate.product_fit import ProductSettings
from threea_spark.arrays import Int64Array
from threea_spark.engine.local import LocalSource
from threea_spark.engine.packed import PackedRows, column_name
from threea_spark.engine.progress import Progress
from threea_spark.engine.rows import SourceRows
from threea_spark.planned import make_plan
from threea_spark.privacy import accounting, budget
from threea_spark.privacy.budget import PrivacyPlan
from threea_spark.privacy.query import GroupQuery
from threea_spark.privacy.terms import Relation
from threea_spark.source.pandas import released_types
from threea_spark.stages import Fitted, run_stages

SMALL_FIT = ProductSettings(components=8, steps=40, more_steps=20)
"""Of runs whose sums alone are looked at: a fit reads nothing else, and no sum depends on how good it is."""


def local_rows(columns: dict[str, Any]) -> LocalSource:
    """Canonical columns as one batch; each row is a unit."""
    names = [column_name(place) for place in range(len(columns))]
    return LocalSource((pa.RecordBatch.from_arrays([pa.array(column) for column in columns.values()], names),))


def plan_of(config: ReleaseConfig) -> PrivacyPlan:
    """Calibrated once for all runs of a configuration: with a sample, or a large epsilon, that takes seconds."""
    if config.digest not in _plans:
        with patch.object(budget, "epsilon_of", _epsilon_of):
            _plans[config.digest] = make_plan(config)
    return _plans[config.digest]


def _epsilon_of(events: Sequence[DpEvent], delta: float, relation: Relation, *, near: float = 1.0) -> float:
    """What the accountant certifies, kept for plans that share the same mu out in another way."""
    if not all(isinstance(event, GaussianDpEvent) for event in events):
        return accounting.epsilon_of(events, delta, relation, near=near)
    (whole,) = accounting.merge_gaussians(events, relation)
    key = f"{accounting.gaussian_mu_of(whole, relation):.12g}", delta, relation, near
    if key not in _epsilons:
        _epsilons[key] = accounting.epsilon_of([whole], delta, relation, near=near)
    return _epsilons[key]


_plans: dict[str, PrivacyPlan] = {}
_epsilons: dict[tuple[str, float, Relation, float], float] = {}


def run_on(rows: SourceRows, config: ReleaseConfig, release_id: str) -> Fitted:
    """Runs the stages on these rows, with fresh noise."""
    return run_stages(lambda key: rows, config, plan_of(config), release_id, Progress(6, lambda *_: None))


def mixed_table(fitted: Fitted, config: ReleaseConfig, seed: int = 0) -> pa.Table:
    """The released rows, where rows are mixed: the noise of each group is drawn here."""
    outcome = fitted.outcome
    if not isinstance(outcome, Mixed):
        raise TypeError("this release draws its rows")
    types, label = released_types(config.domain), config.domain.label
    exchange = mixing(outcome.mixer, outcome.granted, outcome.encoding, label, types, seed)
    return fitted.staged.exchanged(exchange)


def group_sums(query: GroupQuery[PackedRows], rows: PackedRows) -> Int64Array:
    """The exact sum of every group that is mixed, shape (n_groups, length)."""
    return query.sums_of(rows, query.groups_of(rows), 0, query.n_groups)
