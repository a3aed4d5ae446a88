"""Chooses the recipe of a release, from the configuration, the plan and public or DP numbers alone."""

from __future__ import annotations

import math
from itertools import combinations

from threea_spark.approximate import joint, tables
from threea_spark.config.release import ReleaseConfig
from threea_spark.encode.outline import LabelShape, TableShape, expected_shape
from threea_spark.encode.rules import clip_norm_of, codes_affinely, default_cells
from threea_spark.privacy.budget import PrivacyPlan
from threea_spark.privacy.noise import stddev_of
from threea_spark.privacy.terms import Stage
from threea_spark.recipes import rules
from threea_spark.recipes.recipe import Clusters, Draw, DrawPairs, DrawWide, LabelFunctions, Mix, Recipe


def choose(config: ReleaseConfig, plan: PrivacyPlan, shape: TableShape) -> Recipe:
    """Chooses the recipe of a release.

    Args:
      config: The release's configuration.
      plan: Its certified plan.
      shape: Public or DP numbers of the table; of an assumed one in a forecast.
    """
    if config.is_mixing:
        return mix(config, plan, shape)
    learned = learned_labels(config, plan, shape)
    if may_count_classes(config, plan, shape) and not learned:
        return draw(config, plan, shape, learned=())
    if counts_pairs(config, plan, shape):
        return draw_pairs(config, plan, shape, learned)
    if looks_twice(config, plan, shape):
        return draw_wide(config)
    return draw(config, plan, shape, learned)


def expected(config: ReleaseConfig, plan: PrivacyPlan) -> Recipe:
    """The recipe of a release of which no row has been read: by the declared number of rows, or as for many."""
    n_rows = math.inf if config.source.rows is None else float(config.source.rows)
    return choose(config, plan, expected_shape(config, n_rows))


def possible(config: ReleaseConfig, plan: PrivacyPlan, shape: TableShape) -> list[Recipe]:
    """All recipes that `choose` may choose for such a table, whatever its number of rows; see `choose`."""
    if config.is_mixing:
        return [mix(config, plan, shape)]
    wide = [draw_wide(config)] if may_look_twice(config, plan, shape.n_classes) else []
    counts = may_count_classes(config, plan, shape)
    every = tuple(label.name for label in labels_to_learn(config, shape))
    chances = _parts_of(every) if counts and every else [every]
    pairs = [draw_pairs(config, plan, shape, own) for own in chances] if may_count_pairs(config, plan, shape) else []
    counted = [draw(config, plan, shape, learned=())] if counts else []
    return [*[draw(config, plan, shape, own) for own in chances], *counted, *pairs, *wide]


def labels_to_learn(config: ReleaseConfig, shape: TableShape) -> tuple[LabelShape, ...]:
    """The labels that a function may be learned for, if rows suffice."""
    if config.domain.task == "none" or not shape.n_features > 0 or not rules.learns_labels(config):
        return ()
    return tuple(label for label in shape.labels_of(config.domain) if label.n_classes > 1)


def learned_labels(config: ReleaseConfig, plan: PrivacyPlan, shape: TableShape) -> tuple[str, ...]:
    """The labels that get a function each: those whose rows suffice for an equal part of Adapt's mu^2.

    The others keep what Approximate draws, and leave their parts to these.
    """
    labels, counts = labels_to_learn(config, shape), may_count_classes(config, plan, shape)
    return tuple(label.name for label in labels if not counts or can_learn(plan, shape, label, len(labels)))


def _parts_of(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """All parts of the names but the empty one, in their order, the whole first."""
    sizes = range(len(names), 0, -1)
    return [part for size in sizes for part in combinations(names, size)]


def draw(config: ReleaseConfig, plan: PrivacyPlan, shape: TableShape, learned: tuple[str, ...]) -> Draw:
    """The recipe that draws rows from histograms.

    Args:
      config, plan, shape: As `choose` takes them.
      learned: Labels that get a function each; where some might, but none does, Adapt counts the components once more.
    """
    clusters = _clusters(config, plan, shape)
    shared = _has_classes(config, shape) and not clusters.per_class
    counts = not learned and may_count_classes(config, plan, shape)
    counting = (Stage.ADAPT, Stage.ANONYMIZE) if counts else (Stage.ANONYMIZE,)
    return Draw(
        n_cells=default_cells(config),
        clip_norm=clip_norm_of(config),
        per_class=clusters.per_class,
        clusters=clusters if clusters.n_components > 1 else None,
        labels="learned" if config.domain.label in learned else "posterior" if shared else "component",
        functions=_functions(config, plan, shape, learned),
        support_size=rules.support_size(config) if learned else 0,
        counts_again=tuple(stage for stage in counting if plan.mu_of(stage) > 0.0),
    )


def draw_pairs(config: ReleaseConfig, plan: PrivacyPlan, shape: TableShape, learned: tuple[str, ...]) -> DrawPairs:
    """The recipe that draws rows from a mixture of products; see `draw`."""
    return DrawPairs(
        n_cells=default_cells(config),
        clip_norm=clip_norm_of(config),
        n_groups=rules.pair_groups(n_table_columns(config, shape)),
        n_tables=joint.n_tables(n_table_columns(config, shape)),
        second_share=rules.second_share(config.domain),
        labels="learned" if config.domain.label in learned else "component",
        functions=_functions(config, plan, shape, learned),
        support_size=rules.support_size(config) if learned else 0,
    )


def _functions(config: ReleaseConfig, plan: PrivacyPlan, shape: TableShape, learned: tuple[str, ...]) -> LabelFunctions:
    """Which labels are learned, and from how many rows: one sample, in which every label's rows suffice."""
    kept = tuple(name for name in config.domain.labels if name not in learned)
    labels = [label for label in shape.labels_of(config.domain) if label.name in learned]
    rates = [rules.step_rate(config, plan, label, shape.n_rows, len(learned)) for label in labels]
    return LabelFunctions(learned, kept, max(rates, default=1.0))


def draw_wide(config: ReleaseConfig) -> DrawWide:
    """The recipe that draws rows from class means."""
    return DrawWide(default_cells(config), clip_norm_of(config))


def mix(config: ReleaseConfig, plan: PrivacyPlan, shape: TableShape) -> Mix:
    """The recipe that averages rows."""
    clip_norm, mu = clip_norm_of(config), max(plan.mu_of(Stage.ANONYMIZE), rules.MIN_MU)
    residual = rules.mix_clip_norm(config, clip_norm)
    return Mix(
        n_cells=default_cells(config),
        clip_norm=clip_norm,
        clusters=_clusters(config, plan, shape),
        moves_centres=rules.moves_centres(config),
        mix_size=rules.mix_size(config, residual, mu),
        mix_clip_norm=residual,
    )


def may_count_classes(config: ReleaseConfig, plan: PrivacyPlan, shape: TableShape) -> bool:
    """Whether a small class may keep labels from being learned: each class then has a count of every column."""
    if not _chooses_freely(config, plan):
        return False
    learns = rules.learns_labels(config) and plan.mu_of(Stage.ADAPT) > 0.0 and plan.mu_of(Stage.APPROXIMATE) > 0.0
    return learns and plan.sampling_probability == 1.0 and _has_classes(config, shape) and not codes_affinely(config)


def can_learn(plan: PrivacyPlan, shape: TableShape, label: LabelShape, n_labels: int) -> bool:
    """Whether enough rows are outside a label's largest class; see `needed_to_learn`."""
    return label.rows_to_learn >= needed_to_learn(plan, shape, n_labels)


def needed_to_learn(plan: PrivacyPlan, shape: TableShape, n_labels: int) -> float:
    """Rows outside a label's largest class that a function needs: gradients' noise grows with the root of the columns.

    Args:
      plan, shape: Of the release.
      n_labels: Labels that share Adapt's budget.
    """
    mu = rules.label_mu(plan.mu_of(Stage.ADAPT), n_labels)
    return rules.MIN_ROWS_TO_LEARN * _noise(plan, max(shape.n_features, 1), mu)


def may_count_pairs(config: ReleaseConfig, plan: PrivacyPlan, shape: TableShape) -> bool:
    """Whether any number of rows lets a release count the tables of all pairs."""
    n_columns = n_table_columns(config, shape)
    if not _chooses_freely(config, plan):
        return False
    n_counts = tables.pairs_bound(max(n_columns, 2)).moved * plan.unit.max_rows
    pays = plan.mu_of(Stage.APPROXIMATE) > 0.0 and not plan.mu_of(Stage.ANONYMIZE) > 0.0
    return pays and 2 <= n_columns <= rules.MAX_PAIR_COLUMNS and n_counts <= rules.MAX_PAIR_COUNTS


def counts_pairs(config: ReleaseConfig, plan: PrivacyPlan, shape: TableShape) -> bool:
    """Whether the tables of all pairs are counted: where the noise on one of their cells is small beside all rows."""
    if not may_count_pairs(config, plan, shape):
        return False
    mu, _ = joint.split_mu(plan.mu_of(Stage.APPROXIMATE), rules.second_share(config.domain))
    noise = _noise(plan, tables.pairs_bound(n_table_columns(config, shape)).squared_norm, mu)
    return noise <= rules.MAX_PAIR_NOISE * shape.n_rows


def n_table_columns(config: ReleaseConfig, shape: TableShape) -> int:
    """Columns that tables of pairs are made of: features, and the label."""
    return shape.n_features + (config.domain.label is not None)


def _chooses_freely(config: ReleaseConfig, plan: PrivacyPlan) -> bool:
    """Whether the numbers of a table may decide how it is approximated, since nobody has asked for components."""
    asked = config.approximate
    return not (config.is_mixing or plan.is_conditional) and asked.components == asked.per_class == "auto"


def _noise(plan: PrivacyPlan, squared_norm: int, mu: float) -> float:
    """Standard deviation of the noise on a sum to which a row adds such a norm at most."""
    return stddev_of(plan.relation.distance * plan.unit.max_rows * math.sqrt(squared_norm), max(mu, rules.MIN_MU))


def _has_classes(config: ReleaseConfig, shape: TableShape) -> bool:
    return config.domain.task != "none" and shape.n_features > 0 and shape.n_classes > 1


def may_look_twice(config: ReleaseConfig, plan: PrivacyPlan, n_classes: int) -> bool:
    """Whether any number of rows lets a release look twice."""
    if config.is_mixing or not rules.adapts(config) or n_classes < 2 or plan.is_conditional:
        return False
    return config.approximate.components in ("auto", 1) and config.approximate.per_class is not False


def looks_twice(config: ReleaseConfig, plan: PrivacyPlan, shape: TableShape) -> bool:
    """Whether classes are described by means, with a second look at chosen columns, rather than by histograms.

    That is so where the noise on one cell of a histogram exceeds a sixteenth of a class of mean size.
    """
    if not may_look_twice(config, plan, shape.n_classes):
        return False
    noise = math.sqrt(1.0 + len(config.domain.coded.features)) / max(plan.mu_of(Stage.APPROXIMATE), rules.MIN_MU)
    return noise * rules.MIN_NOISES_A_CLASS > shape.n_rows / shape.n_classes


def _clusters(config: ReleaseConfig, plan: PrivacyPlan, shape: TableShape) -> Clusters:
    per_class = config.approximate.per_class is not False
    is_random = config.anonymize.generator == "random"
    min_size = rules.min_cluster_size(config, plan, shape.width)
    rows_a_group = shape.n_rows / max(shape.n_classes if per_class else 1, 1)
    covariance = config.approximate.covariance
    return Clusters(
        per_class=per_class and not is_random,
        n_components=rules.n_components(config, rows_a_group, min_size),
        min_size=min_size,
        iterations=1 if is_random else config.approximate.iterations,
        covariance="isotropic" if covariance == "auto" else covariance,
    )
