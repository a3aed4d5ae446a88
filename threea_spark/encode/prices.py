"""How Encode's share of the budget is divided among the sums that a configuration asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from threea_spark.config.release import ReleaseConfig
from threea_spark.encode.bounds import with_widest_bounds
from threea_spark.encode.details import n_spiking
from threea_spark.encode.granularity import GranularityLayout
from threea_spark.encode.histogram import Field
from threea_spark.encode.misfits import misfit_layout
from threea_spark.encode.rules import codes_affinely

VALUES_SHARE = 0.3
"""Part of Encode's mu^2 that selects the values of open columns, all together."""
BOUNDS_SHARE = 0.15
"""Part of Encode's mu^2 that finds bounds, where any are `auto`."""
MISFITS_SHARE = 0.04
"""Part of Encode's mu^2 that counts what the domain does not fit: enough to see a few percent of a table."""
FINER_SHARE = 0.1
"""Part of Encode's mu^2 that looks into leaves that hold too many rows, where a column has leaves to look into."""
GRANULARITY_SHARE = 0.08
"""Part of the histograms' mu^2 that counts in which steps numbers are written, where any are not declared."""
SPIKES_SHARE = 0.08
"""Part of the histograms' mu^2 that counts values one by one where spikes stand out, if leaves hold several values."""
FUNCTIONS_SHARE = 0.1
"""Part of Encode's mu^2 that counts the pairs of functional rules, where there are any without a public mapping."""
CLASSES_SHARE = 0.1
"""Part of what the others leave of Encode's mu^2 that counts the classes by themselves."""


@dataclass(frozen=True)
class EncodePrices:
    """The mu of each of Encode's sums; 0 where it is not asked for.

    Attributes:
      bounds: Bins of all columns whose bounds are `auto`.
      values: Values of each open column.
      misfits: Rows that the domain does not fit, of all columns.
      finer: A finer look at columns whose rows lie in few leaves.
      functions: Pairs of functional rules without a public mapping.
      classes: Rows of each class.
      granularity: Steps in which numbers are written.
      spikes: Values of leaves that stand out.
      histograms: Histograms of all columns.
    """

    bounds: float
    values: float
    misfits: float
    finer: float
    functions: float
    classes: float
    granularity: float
    spikes: float
    histograms: float

    @classmethod
    def of(cls, config: ReleaseConfig, mu: float, fields: Sequence[Field]) -> EncodePrices:
        """Divides Encode's mu; reads the configuration alone.

        Args:
          config: The release's configuration.
          mu: What Encode may spend.
          fields: Of its columns, in the widest bounds that may be found.
        """
        n_open = len(config.domain.open_columns)
        bounds = BOUNDS_SHARE if config.domain.columns_without_bounds else 0.0
        values = VALUES_SHARE if n_open else 0.0
        finer = FINER_SHARE if may_look_finer(config) else 0.0
        misfits = MISFITS_SHARE if misfit_layout(with_widest_bounds(config.domain)).columns else 0.0
        functions = FUNCTIONS_SHARE if config.domain.counted_functions else 0.0
        left = 1.0 - bounds - values - finer - misfits - functions
        classes = CLASSES_SHARE * left if counts_classes(config) else 0.0
        left -= classes
        granularity = GRANULARITY_SHARE * left if GranularityLayout(tuple(fields)).places else 0.0
        spikes = SPIKES_SHARE * left if n_spiking(fields) else 0.0
        return cls(
            bounds=mu * math.sqrt(bounds),
            values=mu * math.sqrt(values / max(n_open, 1)),
            misfits=mu * math.sqrt(misfits),
            finer=mu * math.sqrt(finer),
            functions=mu * math.sqrt(functions),
            classes=mu * math.sqrt(classes),
            granularity=mu * math.sqrt(granularity),
            spikes=mu * math.sqrt(spikes),
            histograms=mu * math.sqrt(left - granularity - spikes),
        )


def counts_classes(config: ReleaseConfig) -> bool:
    """Whether classes are counted by themselves: where their sizes decide how labels are made."""
    label = config.domain.label
    return label is not None and config.domain.columns[label].is_categorical and not config.is_mixing


def may_look_finer(config: ReleaseConfig) -> bool:
    """Whether a column is cut into leaves by its bounds, so that all its rows may lie in few of them."""
    return not codes_affinely(config) and any(not column.is_categorical for column in config.domain.columns.values())
