"""The rules behind `auto`: they read public and DP numbers only, never a row.

The choice of the recipe (choice.py) applies them, and the receipt prints what they came to.
"""

from __future__ import annotations

import math

from threea_spark.anonymize.mix import auto_mix_size
from threea_spark.config.domain import Domain
from threea_spark.config.release import ReleaseConfig
from threea_spark.encode.outline import LabelShape
from threea_spark.encode.rules import codes_affinely
from threea_spark.privacy.budget import PrivacyPlan, calibrate
from threea_spark.privacy.terms import Accounting, Stage

MIN_SIZE_FACTOR = 100.0
"""c in min_cluster_size = c * sqrt(width) / mu; measured on Adult at epsilon 1: from 100 on noise is harmless."""
MAX_COMPONENTS = 256
MIN_MU = 1e-9
MIN_NOISES_A_CLASS = 16.0
"""Noises of a histogram's cell that a class must hold; else classes have means instead of histograms."""
_PAIR_GROUPS, _MIN_PAIR_GROUPS, _ALL_GROUPS = 16, 4, 512
"""Groups of a column in tables of all pairs, and of all columns: fewer lost detail on every table tried, whatever the
noise, but the fit's time grows with the square of all groups."""
MAX_PAIR_COLUMNS = 160
MAX_PAIR_COUNTS = 200_000
"""Most counts of pairs that one unit moves: beyond, float64's error in their noise would cost too much epsilon."""
MAX_PAIR_NOISE = 0.05
"""Noise on a cell of a pair's table, as a share of all rows, up to which tables of pairs are worth their price."""
MIN_ROWS_TO_LEARN = 12.0
"""Rows outside the largest class, in units of sqrt(columns) / mu, from which a label function beats counts by class."""
MIN_STEP_ROWS, MIN_STEP_SIGNAL, OUTSIDE_SHARE = 2.0**21, 2.0**18, 1 / 8
"""Rows that the steps of a label function read where there are more, at least; those rows times mu; and the part of
them outside the largest class. Measured: see `step_rate`."""
_SECOND_SHARE, _SECOND_SHARE_OF_CLASSES = 0.3, 0.6
_SUPPORT = 200
_MIX_RESIDUAL = 0.5
_RANDOM_NEEDS = 0.25  # random mixing has one cluster: its size and mean are all that Approximate measures
_SAMPLE_SHARES = {Stage.ENCODE: 0.05, Stage.APPROXIMATE: 0.45, Stage.ADAPT: 0.50, Stage.ANONYMIZE: 0.0}
_WIDE_SHARES = {Stage.ENCODE: 0.10, Stage.APPROXIMATE: 0.20, Stage.ADAPT: 0.70, Stage.ANONYMIZE: 0.0}
_MIX_SHARES = {Stage.ENCODE: 0.05, Stage.APPROXIMATE: 0.20, Stage.ADAPT: 0.10, Stage.ANONYMIZE: 0.65}


def calibrated(config: ReleaseConfig, *, numeric_share: float) -> PrivacyPlan:
    """Calibrates the plan of a release; reads no row. `planned.make_plan` certifies it.

    A stage that will not run leaves its share to the others. In conditional mode Anonymize has all of it.

    Args:
      config: The release's configuration.
      numeric_share: Part of epsilon kept for what float64 does to the noise.
    """
    privacy = config.privacy
    conditional = privacy.accounting_mode is Accounting.CONDITIONAL
    if privacy.shares == "auto":
        shares = auto_shares(config)
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


def auto_shares(config: ReleaseConfig) -> dict[Stage, float]:
    """The stages' shares of mu^2 where `shares: auto`: by generator and width."""
    if config.is_mixing:
        return dict(_MIX_SHARES)
    if codes_affinely(config):
        return dict(_WIDE_SHARES)
    return dict(_SAMPLE_SHARES)


def sampling_probability(config: ReleaseConfig) -> float:
    """The rate at which adaptation is priced: amplification is claimed only from a public number of rows.

    Where the number of rows is not declared, or all rows are read, the full price is paid.
    """
    samples = config.is_mixing or config.adapt.rows == "sample"
    if config.source.rows is None or not samples or not adapts(config):
        return 1.0
    return min(1.0, config.adapt.max_rows / config.source.rows)


def adapts(config: ReleaseConfig) -> bool:
    """Whether adaptation reads private rows under noise: it needs classes, and centres or labels to move."""
    if config.adapt.method == "none" or config.adapt.targets != "private" or config.anonymize.generator == "random":
        return False
    if config.is_mixing and config.adapt.alpha == 1.0:
        return False  # the density term alone: centres stay, no row is read
    return _pays_adapt(config) and config.domain.task != "none" and len(config.domain.coded.features) > 0


def moves_centres(config: ReleaseConfig) -> bool:
    """Whether KIP moves the clusters' centres before rows are mixed."""
    mixes = config.adapt.method == "kip" and config.anonymize.generator == "mix" and config.domain.task != "none"
    return mixes and _can_pay_targets(config)


def learns_labels(config: ReleaseConfig) -> bool:
    """Whether drawn rows are labelled by a learned function rather than by their component's class."""
    return config.adapt.method == "kip" and _can_pay_targets(config)


def label_mu(left: float, n_labels: int) -> float:
    """What the next of so many labels may spend of what is left of Adapt's mu: an equal part of its square."""
    return left / math.sqrt(n_labels)


def step_rate(config: ReleaseConfig, plan: PrivacyPlan, label: LabelShape, n_rows: float, n_labels: int) -> float:
    """The chance of each unit to be read by the steps of a label function; 1 reads all rows.

    A function has some hundred weights. What it loses because it saw N rows, not all there are, about halves as N
    doubles: on flights, with the noise of 2.2 million rows, AUC was .7613, .7689, .7714 and .7727 from 35,000, 69,000,
    138,000 and 277,000 rows (benchmarks/step_rows.py): some .0003 is left at MIN_STEP_ROWS. A third of the noise that
    MIN_STEP_SIGNAL leaves gained .002. More rows earn little, at the same time for each. A rare class tells in its own
    rows: enough of those are read too. The price stays that of all rows, and no amplification is claimed.

    Args:
      config, plan: Of the release.
      label: What the function labels.
      n_rows: DP number of rows, or the public or assumed one; infinity where none is known.
      n_labels: Labels that share Adapt's budget.
    """
    if config.adapt.rows != "auto" or config.adapt.targets != "private" or math.isinf(n_rows):
        return 1.0
    mu = label_mu(plan.mu_of(Stage.ADAPT), n_labels) / (plan.relation.distance * plan.unit.max_rows)
    needed = max(MIN_STEP_ROWS, MIN_STEP_SIGNAL / max(mu, MIN_MU))
    outside = needed * OUTSIDE_SHARE / max(label.rows_to_learn, 1.0)
    return min(1.0, max(needed / max(n_rows, 1.0), outside))


def _can_pay_targets(config: ReleaseConfig) -> bool:
    return config.adapt.targets != "private" or _pays_adapt(config)


def _pays_adapt(config: ReleaseConfig) -> bool:
    shares = config.privacy.shares
    return shares == "auto" or shares.get(Stage.ADAPT.value, 0.0) > 0.0


def min_cluster_size(config: ReleaseConfig, plan: PrivacyPlan, width: int) -> int:
    """Rows that every cluster must hold: noise is harmless from MIN_SIZE_FACTOR * sqrt(width) / mu on."""
    if config.approximate.min_cluster_size != "auto":
        return config.approximate.min_cluster_size
    mu = max(plan.mu_of(Stage.ANONYMIZE), plan.mu_of(Stage.APPROXIMATE), MIN_MU)
    return max(1, math.ceil(MIN_SIZE_FACTOR * math.sqrt(max(width, 1)) / mu))


def n_components(config: ReleaseConfig, rows_a_group: float, min_size: int) -> int:
    """Components of one mixture: for mixing as many as the minimum size allows.

    For drawing one: there the label function carries the structure.

    Args:
      config: The release's configuration.
      rows_a_group: Rows of a class, or of the table where classes share their components.
      min_size: Rows that every component must hold.
    """
    asked = config.approximate.components
    if config.anonymize.generator == "random":
        return 1
    if asked != "auto":
        return asked
    if not config.is_mixing:
        return 1
    return int(min(MAX_COMPONENTS, max(1, rows_a_group // min_size)))


def support_size(config: ReleaseConfig) -> int:
    """Inducing points of the label function."""
    return _SUPPORT if config.adapt.support_size == "auto" else config.adapt.support_size


def mix_clip_norm(config: ReleaseConfig, clip_norm: float) -> float:
    """L2 bound on a residual: rows of a cluster lie nearer to its centre than to the origin."""
    return _MIX_RESIDUAL * clip_norm if config.anonymize.generator == "mix" else clip_norm


def mix_size(config: ReleaseConfig, residual: float, mu: float) -> int:
    """Rows averaged into one, so that noise on a coordinate stays small; see `auto_mix_size`."""
    asked = config.anonymize.mix_size
    return auto_mix_size(residual, mu) if asked == "auto" else asked


def pair_groups(n_columns: int) -> int:
    """Groups of a column in the tables of all pairs of so many columns."""
    return max(_MIN_PAIR_GROUPS, min(_PAIR_GROUPS, _ALL_GROUPS // max(n_columns, 1)))


def second_share(domain: Domain) -> float:
    """Part of Approximate's mu^2 that looks at chosen pairs again, each column with the label among them.

    With three classes or more each has few rows, and what tells them apart is seen by the second look: on seven classes
    (covtype_20k) .6 raised LightGBM's AUC from .934 to .942; with two, and for numbers, .3 was as good or better.
    """
    return _SECOND_SHARE_OF_CLASSES if domain.task == "classification" and domain.n_classes(0) > 2 else _SECOND_SHARE
