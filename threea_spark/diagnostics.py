"""Signs that a release lost more than it had to, from public and DP numbers only, each with advice."""

from __future__ import annotations

import math

import numpy as np

from threea_spark.anonymize.mix import Mixer
from threea_spark.approximate.measure import ComponentModel
from threea_spark.auto import Resolved
from threea_spark.encode.codes import SCORE_GRID
from threea_spark.encode.encoding import Encoding
from threea_spark.privacy.gaussian import mixing_mu
from threea_spark.privacy.mechanism import NoisySum
from threea_spark.privacy.plan import PrivacyPlan, Stage

_FEW_ROWS_STDDEVS = 10.0
_SMALL_CLASS_STDDEVS = 3.0


def paper_formula(mixer: Mixer, mechanism: NoisySum) -> str:
    """States the paper's price of the mixing step beside what was booked; the two are one formula."""
    noise = mechanism.stddev / SCORE_GRID / mixer.mix_size
    mu = mixing_mu(row_norm=mixer.clip_norm, mix_size=mixer.mix_size, noise_stddev=noise)
    return (
        f"conditional: mu = sqrt(p) * norm / (mix_size * sigma) = {mu:.4g} with p = 1 (clusters partition the rows), "
        f"norm {mixer.clip_norm:.3g}, mix_size {mixer.mix_size}, sigma {noise:.3g}"
    )


def diagnose(
    encoding: Encoding, model: ComponentModel | None, resolved: Resolved, n_rows: float, plan: PrivacyPlan
) -> tuple[str, ...]:
    """Lists what a reader of the receipt should know.

    Args:
      encoding, model: Published by Encode and Approximate; no model where rows were mixed.
      resolved: What `auto` became.
      n_rows: DP number of rows.
      plan: Of the release.
    """
    found = []
    if model is not None:
        stddev = max(model.marginals.stddev, 1e-9)
        if n_rows < _FEW_ROWS_STDDEVS * stddev:
            found.append(
                f"about {n_rows:.0f} rows against noise of {stddev:.0f}: raise epsilon, or release fewer columns"
            )
        small = int(np.sum(model.marginals.sizes < _SMALL_CLASS_STDDEVS * stddev))
        if small and encoding.n_classes > 1:
            found.append(
                f"{small} of {model.marginals.n_components} components hardly stand out from noise: merge rare classes"
            )
    if resolved.components_per_class > 1 and n_rows / resolved.components_per_class < resolved.min_cluster_size:
        found.append("more components than the minimum cluster size allows: lower approximate.components")
    if plan.is_conditional:
        found.append("conditional accounting: the partition is not covered; do not publish without weighing that")
    mu_mix = plan.mu_of(Stage.ANONYMIZE)
    if model is None and resolved.mix_clip_norm / max(mu_mix * resolved.mix_size, 1e-12) > 1.0:
        need = math.ceil(resolved.mix_clip_norm / mu_mix)
        found.append(f"noise on a mixed row exceeds a standard deviation of the data: raise mix_size to {need} or more")
    return tuple(found)
