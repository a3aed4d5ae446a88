"""What `auto` stands for: written rules that read public and DP numbers only, never a row.

Every rule's outcome is stated in the receipt.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from threea_spark.anonymize.mix import auto_mix_size
from threea_spark.config.release import ReleaseConfig, is_mixing
from threea_spark.encode.rules import LABEL_CELLS, codes_affinely, default_cells, default_clip_norm
from threea_spark.privacy.budget import Accounting, PrivacyPlan, Stage, calibrate
from threea_spark.shares import auto_shares

MIN_SIZE_FACTOR = 100.0
"""c in min_cluster_size = c * sqrt(width) / mu; measured on Adult at epsilon 1: from 100 on noise is harmless."""
MOST_COMPONENTS = 256
_SUPPORT = 200
_MIX_RESIDUAL = 0.5
_FEWEST_NOISES = 16.0  # a class must hold as many noises of a cell, or it has means instead of histograms


@dataclass(frozen=True)
class Resolved:
    """Values that `auto` took, for the receipt.

    Attributes:
      n_cells: Histogram cells of a number.
      clip_norm: L2 bound on an encoded row, in units of score.
      components_per_class: Components of each class's mixture (of the only one where not per class).
      per_class: Whether each class has a mixture of its own.
      min_cluster_size: Rows every cluster must hold.
      support_size: Inducing points.
      mix_size: Rows averaged into one, for mix and random.
      mix_clip_norm: L2 bound on a residual in mixing, in units of score.
    """

    n_cells: int
    clip_norm: float
    components_per_class: int
    per_class: bool
    min_cluster_size: int
    support_size: int
    mix_size: int
    mix_clip_norm: float

    def as_dict(self, *, mixing: bool) -> dict[str, Any]:
        """Plain values for the receipt, those of the generator that ran."""
        unused = ("support_size",) if mixing else ("mix_size", "mix_clip_norm")
        return {name: value for name, value in asdict(self).items() if name not in unused}


def adapts(config: ReleaseConfig) -> bool:
    """Whether adaptation reads private rows under noise: it needs classes, and centres or labels to move."""
    if config.adapt.method == "none" or config.adapt.targets != "private" or config.anonymize.generator == "random":
        return False
    if is_mixing(config) and config.adapt.alpha == 1.0:
        return False  # the density term alone: centres stay, no row is read
    return _pays_adapt(config) and config.domain.task != "none" and len(config.domain.features) > 0


def _pays_adapt(config: ReleaseConfig) -> bool:
    shares = config.privacy.shares
    return shares == "auto" or shares.get(Stage.ADAPT.value, 0.0) > 0.0


def moves_centres(config: ReleaseConfig) -> bool:
    """Whether KIP moves the clusters' centres before rows are mixed."""
    reads_nothing = config.adapt.targets == "private" and not _pays_adapt(config)
    mixes = config.adapt.method == "kip" and config.anonymize.generator == "mix" and config.domain.task != "none"
    return mixes and not reads_nothing


def learns_labels(config: ReleaseConfig) -> bool:
    """Whether drawn rows are labelled by a learned function rather than by their component's class."""
    has_features = len(config.domain.features) > 0
    reads_nothing = config.adapt.targets == "private" and not _pays_adapt(config)
    return config.adapt.method == "kip" and config.domain.task != "none" and has_features and not reads_nothing


def calibrated(config: ReleaseConfig, *, numeric_share: float) -> PrivacyPlan:
    """Calibrates the plan of a release; reads no row. `planned.make_plan` certifies it.

    A stage that will not run leaves its share to the others. In conditional mode Anonymize has all of it.

    Args:
      config: The release's.
      numeric_share: Part of epsilon kept for what float64 does to the noise.
    """
    privacy = config.privacy
    conditional = privacy.accounting_mode is Accounting.CONDITIONAL
    if privacy.shares == "auto":
        shares = auto_shares(config, mixes=is_mixing(config), affine=codes_affinely(config), label_cells=LABEL_CELLS)
    else:
        shares = {Stage(name): share for name, share in privacy.shares.items()}
    if conditional:
        shares = {Stage.ANONYMIZE: 1.0}
    elif not adapts(config):
        shares[Stage.ADAPT] = 0.0
    if config.anonymize.generator == "random":
        shares[Stage.APPROXIMATE] = shares.get(Stage.APPROXIMATE, 0.0) * _RANDOM_NEEDS
    return calibrate(
        epsilon=privacy.epsilon,
        delta=privacy.delta,
        shares=shares,
        relation=privacy.neighboring_relation,
        unit=privacy.privacy_unit,
        accounting=privacy.accounting_mode,
        sampling_probability=sampling_probability(config),
        selects_categories=config.selects_categories and not conditional,
        numeric_share=numeric_share,
    )


def may_look_twice(config: ReleaseConfig, plan: PrivacyPlan, *, n_classes: int) -> bool:
    """Whether any number of rows lets a release look twice."""
    if is_mixing(config) or not adapts(config) or n_classes < 2 or plan.is_conditional:
        return False
    return config.approximate.components in ("auto", 1) and config.approximate.per_class is not False


def looks_twice(config: ReleaseConfig, plan: PrivacyPlan, *, n_rows: float, n_classes: int) -> bool:
    """Whether classes are described by means, with a second look at chosen columns, rather than by histograms.

    That is so where the noise on one cell of a histogram exceeds a sixteenth of a class of mean size.

    Args:
      config: The release's.
      plan: Its calibrated plan.
      n_rows: Public or DP number of rows.
      n_classes: Of the label.
    """
    if not may_look_twice(config, plan, n_classes=n_classes):
        return False
    noise = math.sqrt(1.0 + len(config.domain.features)) / max(plan.mu_of(Stage.APPROXIMATE), 1e-9)
    return noise * _FEWEST_NOISES > n_rows / n_classes


_RANDOM_NEEDS = 0.25  # random mixing has one cluster: its size and mean are all that Approximate measures


def sampling_probability(config: ReleaseConfig) -> float:
    """The rate at which adaptation is priced: amplification is claimed only from a public number of rows.

    Where the number of rows is not declared the full price is paid, whatever the sample.
    """
    if config.source.rows is None or not adapts(config):
        return 1.0
    return min(1.0, config.adapt.max_rows / config.source.rows)


def resolve(config: ReleaseConfig, plan: PrivacyPlan, *, n_rows: float, n_classes: int, width: int) -> Resolved:
    """Resolves every `auto` from the plan and DP numbers.

    Args:
      config: The release's.
      plan: Its calibrated plan.
      n_rows: Public or DP number of rows.
      n_classes: Of the label.
      width: Coordinates of a packed vector, public or from DP counts.
    """
    encode, approximate, anonymize = config.encode, config.approximate, config.anonymize
    mu = max(plan.mu_of(Stage.ANONYMIZE), plan.mu_of(Stage.APPROXIMATE), 1e-9)
    clip_norm = default_clip_norm(config) if encode.clip_norm == "auto" else encode.clip_norm
    least = approximate.min_cluster_size
    min_size = max(1, math.ceil(MIN_SIZE_FACTOR * math.sqrt(max(width, 1)) / mu)) if least == "auto" else least
    per_class = True if approximate.per_class == "auto" else approximate.per_class
    groups = n_classes if per_class else 1
    residual = _MIX_RESIDUAL * clip_norm if anonymize.generator == "mix" else clip_norm
    mix_mu = max(plan.mu_of(Stage.ANONYMIZE), 1e-9)
    return Resolved(
        n_cells=default_cells(config),
        clip_norm=clip_norm,
        components_per_class=_components(config, n_rows / max(groups, 1), min_size),
        per_class=per_class and anonymize.generator != "random",
        min_cluster_size=min_size,
        support_size=_SUPPORT if config.adapt.support_size == "auto" else config.adapt.support_size,
        mix_size=auto_mix_size(residual, mix_mu) if anonymize.mix_size == "auto" else anonymize.mix_size,
        mix_clip_norm=residual,
    )


def _components(config: ReleaseConfig, rows_per_group: float, min_size: int) -> int:
    """Components of one mixture: for mixing as many as the minimum size allows.

    For sampling one: there the label function carries the structure.
    """
    asked = config.approximate.components
    if config.anonymize.generator == "random":
        return 1
    if asked != "auto":
        return asked
    if not is_mixing(config):
        return 1
    return int(min(MOST_COMPONENTS, max(1, rows_per_group // min_size)))
