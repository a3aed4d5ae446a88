"""The stages' shares of mu^2 where `shares: auto`: written rules that read the configuration alone."""

from __future__ import annotations

from threea_spark.config.release import ReleaseConfig
from threea_spark.privacy.budget import Stage

_CROWDED = 32
"""Columns times classes from which counts are worth more than a steadier label function."""
_SAMPLE_SHARES = {Stage.ENCODE: 0.05, Stage.APPROXIMATE: 0.25, Stage.ADAPT: 0.70, Stage.ANONYMIZE: 0.0}
_CROWDED_SHARES = {Stage.ENCODE: 0.05, Stage.APPROXIMATE: 0.45, Stage.ADAPT: 0.50, Stage.ANONYMIZE: 0.0}
_WIDE_SHARES = {Stage.ENCODE: 0.10, Stage.APPROXIMATE: 0.20, Stage.ADAPT: 0.70, Stage.ANONYMIZE: 0.0}
_MIX_SHARES = {Stage.ENCODE: 0.05, Stage.APPROXIMATE: 0.20, Stage.ADAPT: 0.10, Stage.ANONYMIZE: 0.65}


def auto_shares(config: ReleaseConfig, *, mixes: bool, affine: bool, label_cells: int) -> dict[Stage, float]:
    """Chooses the shares by generator, width, and columns times classes.

    Args:
      config: The release's.
      mixes: Whether rows are averaged rather than drawn.
      affine: Whether numbers are coded by moments, as in tables of hundreds of columns.
      label_cells: Classes of a numeric label.
    """
    if mixes:
        return dict(_MIX_SHARES)
    if affine:
        return dict(_WIDE_SHARES)
    crowded = len(config.domain.features) * config.domain.n_classes(label_cells) > _CROWDED
    return dict(_CROWDED_SHARES if crowded else _SAMPLE_SHARES)
