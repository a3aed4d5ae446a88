"""One run of the stages: what every recipe needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from threea_spark.config.release import ReleaseConfig
from threea_spark.encode.codec import Encoding
from threea_spark.encode.fit import EncodedTable
from threea_spark.engine.progress import Progress
from threea_spark.engine.rows import StagedRows
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.terms import Stage


@dataclass(frozen=True)
class Run:
    """One run of the stages: what all of them need.

    Attributes:
      config: The release's configuration.
      meter: Answers the queries, within the plan.
      rng: Public randomness: starting centres and inducing points.
      progress: Announces each step.
      encoded: What Encode published.
      staged: Packed rows. PRIVATE.
    """

    config: ReleaseConfig
    meter: PrivacyMeter
    rng: np.random.Generator
    progress: Progress
    encoded: EncodedTable
    staged: StagedRows

    @property
    def encoding(self) -> Encoding:
        """The table's codes."""
        return self.encoded.encoding

    def mu_of(self, stage: Stage) -> float:
        """What a stage may spend."""
        return self.meter.plan.mu_of(stage)
