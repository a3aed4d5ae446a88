"""Whole runs of the stages on a frame in memory: what was fitted, what was spent, and the rows that come of it."""

import pandas as pd

from threea_spark import ReleaseConfig
from threea_spark.anonymize.mix import Mixed
from threea_spark.anonymize.mixed_rows import mixing
from threea_spark.engine.progress import Progress
from threea_spark.model.blocks import BlockDraw
from threea_spark.model.row_keys import RowKeys
from threea_spark.planned import make_plan
from threea_spark.privacy.statement import statement_of
from threea_spark.source.local import local_source
from threea_spark.source.pandas import arrow_table, released_types
from threea_spark.stages import run_stages


def run_in_memory(frame, content):
    """Runs all stages on a frame.

    Returns:
      What was fitted, its statement, and the rows that a release of it would write.
    """
    config = ReleaseConfig.from_dict(content)
    plan, unit = make_plan(config), config.privacy.privacy_unit
    table = arrow_table(frame, config.domain, unit.column)
    fitted = run_stages(
        lambda key: local_source(table, config.domain, unit, key), config, plan, "in-memory", Progress(4, _quiet)
    )
    return fitted, statement_of(fitted.meter), rows_of(fitted, config)


def _quiet(name, number, of):
    """Shows nothing."""


def rows_of(fitted, config, seed=7):
    """The released rows as a frame."""
    outcome, types, label = fitted.outcome, released_types(config.domain), config.domain.label
    keys = RowKeys(config.domain.keys, seed)
    if isinstance(outcome, Mixed):
        exchange = mixing(outcome.mixer, outcome.granted, outcome.encoding, label, types, seed, keys)
        return fitted.staged.exchanged(exchange).to_pandas()
    n_rows = max(1, round(fitted.n_rows))
    drawn = BlockDraw(outcome.sampler, outcome.encoding, label, types, n_rows, seed, keys=keys)
    return pd.concat([block.to_pandas() for block in drawn.blocks()], ignore_index=True)
