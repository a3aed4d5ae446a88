"""The plan of a release, certified before a row is read: every noisy sum that it may ask for, with bound and noise.

Stages choose between sums by noisy figures (correlations or not, histograms or means); here each choice that could be
made is priced, so that the meter lets run what is accepted here. A test holds these bounds against every sum that runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from threea_spark import rules
from threea_spark.adapt import second_look
from threea_spark.adapt.features import FEATURE_GRID
from threea_spark.adapt.label_fit import RESIDUAL_GRID, FitSettings
from threea_spark.adapt.learn import POINTS_SHARE
from threea_spark.adapt.move import POINTS_STEPS
from threea_spark.adapt.settings import KipSettings
from threea_spark.approximate import class_means, clusters, components, correlation, marginals
from threea_spark.approximate.statistics import product_bound
from threea_spark.config.release import ReleaseConfig, is_mixing
from threea_spark.encode.feature import SCORE_GRID
from threea_spark.encode.fit import SELECTION_SHARE, reader_of
from threea_spark.encode.histogram import Field, HistogramLayout
from threea_spark.encode.rules import LABEL_CELLS, codes_affinely
from threea_spark.errors import PrivacyError
from threea_spark.privacy.budget import NUMERIC_SHARE, PrivacyPlan, Stage, certified_epsilon
from threea_spark.privacy.noise import squared_relative_error, stddev_of

_NUMERIC_SHARES = (NUMERIC_SHARE, 1e-3, 1e-2, 1e-1)  # parts of epsilon for float64: the first that suffices
_MOST_LABEL_CELLS = 2 * LABEL_CELLS + 2  # a heavy leaf has a cell alone, and may leave a light one beside it


@dataclass(frozen=True)
class PlannedSum:
    """One noisy sum that a release may ask for.

    Attributes:
      stage, name: As the meter books it; those of a kind are numbered behind the name.
      squared_bound: Bound on the squared L2 norm of one row's contribution.
      moved: Bound on the coordinates to which one row adds anything.
      mu: The least that is spent on it, so that its noise is at most `stddev_under`.
      times: How often it is asked for.
    """

    stage: Stage
    name: str
    squared_bound: int
    moved: int
    mu: float
    times: int = 1

    def stddev_under(self, plan: PrivacyPlan) -> float:
        """Standard deviation of its noise, in grid units."""
        return stddev_of(plan.relation.distance * plan.unit.max_rows * math.sqrt(self.squared_bound), self.mu)


def make_plan(config: ReleaseConfig) -> PrivacyPlan:
    """Calibrates the plan of a release and certifies it; reads no row.

    Raises:
      PrivacyError: if no plan for this claim can be certified: the release would be refused in the end.
    """
    for share in _NUMERIC_SHARES:
        plan = rules.calibrated(config, numeric_share=share)
        certified_epsilon(plan)
        if worst_numeric_error(config, plan) <= plan.numeric_epsilon:
            return plan
    unit = f"units of up to {plan.unit.max_rows} rows, " if plan.unit.max_rows > 1 else ""
    raise PrivacyError(
        f"privacy: epsilon {plan.epsilon:g} at delta {plan.delta:g} cannot be certified for {unit}"
        f"{len(config.domain.columns)} columns and {n_classes_of(config)} classes: float64 cannot draw so much noise "
        "to the precision that the claim needs. Raise epsilon or delta, or lower privacy.unit.max_rows or the number "
        "of columns or classes"
    )


def worst_numeric_error(config: ReleaseConfig, plan: PrivacyPlan) -> float:
    """The most that float64 may add to epsilon, over all sums that the release may ask for; inf beyond any bound."""
    worst = 0.0
    for sums in ways_through(config, plan):
        error, draws = 0.0, 0
        for own in sums:
            moved = plan.moved_by_unit(own.moved) * own.times
            error += squared_relative_error(moved, own.stddev_under(plan))
            draws += moved
        worst = max(worst, plan.numeric_error(error, draws))
    return worst


def ways_through(config: ReleaseConfig, plan: PrivacyPlan) -> Iterator[list[PlannedSum]]:
    """All sums of a release, once for each way that it may take; the choice is made by noisy figures.

    Args:
      config: Of the release.
      plan: Calibrated for it.
    """
    features = features_of(config)
    if plan.is_conditional:
        yield list(_mixed_rows(config, plan, features))
        return
    encode = list(_encode(config, plan))
    if is_mixing(config):
        mixing = [*_clusters(config, plan.mu_of(Stage.APPROXIMATE), features, plan), *_centres(config, plan, features)]
        yield [*encode, *mixing, *_mixed_rows(config, plan, features)]
        return
    yield [*encode, *_components(config, plan, features), *_labels(config, plan, features)]
    if rules.may_look_twice(config, plan, n_classes=n_classes_of(config)):
        yield [*encode, *_two_looks(plan, features)]


def histogram_layout(config: ReleaseConfig) -> HistogramLayout:
    """What Encode sums; an open column has as many values as it may keep, and `other`."""
    most = {
        name: tuple(str(value) for value in range(column.max_values + 1))
        for name, column in config.domain.columns.items()
        if column.is_categorical
    }
    return HistogramLayout(reader_of(config.domain, most, affine=codes_affinely(config)).fields)


def features_of(config: ReleaseConfig) -> tuple[Field, ...]:
    """What is coded but the label: columns, and parts of timestamps."""
    fields = histogram_layout(config).fields
    return fields[: len(fields) - (config.domain.label is not None)]


def n_classes_of(config: ReleaseConfig, *, label_cells: int = _MOST_LABEL_CELLS) -> int:
    """Classes of the label, null included; of a numeric one `label_cells`, the most it can be cut into by default."""
    if config.domain.label is None:
        return 1
    label = config.domain.columns[config.domain.label]
    return config.domain.n_classes(label_cells) + int(label.nullable)


def widest(features: tuple[Field, ...]) -> int:
    """Coordinates of a packed vector at most; levels that are too rare share one."""
    return sum(field.max_coordinates for field in features)


def _encode(config: ReleaseConfig, plan: PrivacyPlan) -> Iterator[PlannedSum]:
    mu = plan.mu_of(Stage.ENCODE)
    open_columns = config.domain.open_columns
    for name in open_columns:
        yield PlannedSum(Stage.ENCODE, f"values-of-{name}", 1, 1, mu * math.sqrt(SELECTION_SHARE / len(open_columns)))
    if open_columns:
        mu *= math.sqrt(1.0 - SELECTION_SHARE)
    layout = histogram_layout(config)
    yield PlannedSum(Stage.ENCODE, "histograms", layout.squared_bound, layout.moved, mu)


def _clusters(config: ReleaseConfig, mu: float, features: tuple[Field, ...], plan: PrivacyPlan) -> Iterator[PlannedSum]:
    """The passes of EM, and two counts of what they found."""
    norm = int(_resolved(config, plan, features).clip_norm * SCORE_GRID)
    passes = 1 if config.anonymize.generator == "random" else config.approximate.iterations
    full, needs_second = config.approximate.covariance == "full", config.approximate.covariance in ("diagonal", "full")
    mu_pass = mu * math.sqrt((1.0 - clusters.SIZES_SHARE) / passes * (0.5 if needs_second else 1.0))
    held = len(features)
    yield PlannedSum(Stage.APPROXIMATE, "first-pass", 2 * norm**2, 1 + held, mu_pass, passes)
    if needs_second:
        bound, moved = product_bound(norm) ** 2, held * held if full else held
        yield PlannedSum(Stage.APPROXIMATE, "second-pass", bound, moved, mu_pass, passes)
    yield PlannedSum(Stage.APPROXIMATE, "sizes", 1, 1, mu * math.sqrt(0.5 * clusters.SIZES_SHARE), 2)


def _components(config: ReleaseConfig, plan: PrivacyPlan, features: tuple[Field, ...]) -> Iterator[PlannedSum]:
    """Clusters where there are any, then marginals (twice where components hold all classes) and correlations."""
    mu, counts = plan.mu_of(Stage.APPROXIMATE), marginals.squared_bound(len(features))
    if config.approximate.components not in ("auto", 1):
        mu, mu_mixture = clusters.split_mu(mu)
        yield from _clusters(config, mu_mixture, features, plan)
    correlates = components.may_correlate(len(features))
    twice = config.approximate.per_class is False and n_classes_of(config) > 1
    left = (1.0 - components.CORRELATION_SHARE if correlates else 1.0) * (0.5 if twice else 1.0)
    yield PlannedSum(Stage.APPROXIMATE, "marginals", counts, counts, mu * math.sqrt(left), 2 if twice else 1)
    if correlates:
        bound, n_pairs = correlation.largest_bound(len(features)), len(features) * (len(features) - 1) // 2
        share = math.sqrt(components.CORRELATION_SHARE)
        yield PlannedSum(Stage.APPROXIMATE, "correlations", bound * bound, n_pairs, mu * share)
    if (rest := plan.mu_of(Stage.ANONYMIZE)) > 0.0:
        yield PlannedSum(Stage.ANONYMIZE, "marginals", counts, counts, rest)


def _labels(config: ReleaseConfig, plan: PrivacyPlan, features: tuple[Field, ...]) -> Iterator[PlannedSum]:
    """Steps of the inducing points, then those of the label function."""
    mu = plan.mu_of(Stage.ADAPT)
    if not mu > 0.0:
        return
    n_classes, n_points = n_classes_of(config), _resolved(config, plan, features).support_size
    steps = min(config.adapt.steps, POINTS_STEPS)
    moving = min(KipSettings.moving_points, n_points)
    gradient = moving * len(features) + n_points * n_classes
    bound = KipSettings.norm_bound
    yield PlannedSum(Stage.ADAPT, "points", bound * bound, gradient, mu * math.sqrt(POINTS_SHARE / steps), steps)
    settings = FitSettings()
    bound = int(settings.clip_norm * FEATURE_GRID * RESIDUAL_GRID)
    n_outputs = 1 if n_classes == 2 else n_classes
    moved = len(features) + n_outputs * (len(features) + n_points + 1)
    mu_step = mu * math.sqrt((1.0 - POINTS_SHARE) / settings.steps) * (1.0 - 1e-9)
    yield PlannedSum(Stage.ADAPT, "labels", bound * bound, moved, mu_step, settings.steps)


def _two_looks(plan: PrivacyPlan, features: tuple[Field, ...]) -> Iterator[PlannedSum]:
    """Means of the classes, of all columns and then of the chosen ones."""
    mu = plan.mu_of(Stage.APPROXIMATE)
    bound = class_means.largest_clip(math.sqrt(len(features)))
    counts = class_means.NORMS_SQUARED_BOUND
    yield PlannedSum(Stage.APPROXIMATE, "norms", counts, counts, mu * math.sqrt(components.NORMS_SHARE))
    mu_sums = mu * math.sqrt(1.0 - components.NORMS_SHARE)
    yield PlannedSum(Stage.APPROXIMATE, "class-sums", bound**2, len(features), mu_sums)
    mu, width = plan.mu_of(Stage.ADAPT) * (1.0 - 1e-9), widest(features)
    of_means = mu * math.sqrt(1.0 - second_look.PAIRS_SHARE)
    yield PlannedSum(Stage.ADAPT, "norms", 1, 1, of_means * math.sqrt(second_look.NORMS_SHARE))
    bound = class_means.largest_clip(math.sqrt(width))
    mu_sums = of_means * math.sqrt(1.0 - second_look.NORMS_SHARE)
    yield PlannedSum(Stage.ADAPT, "class-sums", bound**2, width, mu_sums)
    n_numbers = min(second_look.n_chosen(len(features)), sum(not f.is_category for f in features))
    if n_numbers > 1:
        bound, n_pairs = correlation.largest_bound(n_numbers), n_numbers * (n_numbers - 1) // 2
        share = math.sqrt(second_look.PAIRS_SHARE)
        yield PlannedSum(Stage.ADAPT, "correlations", bound * bound, n_pairs, mu * share)


def _centres(config: ReleaseConfig, plan: PrivacyPlan, features: tuple[Field, ...]) -> Iterator[PlannedSum]:
    """Steps of KIP that move the clusters' centres."""
    mu = plan.mu_of(Stage.ADAPT)
    if not mu > 0.0:
        return
    n_classes, asked = n_classes_of(config), config.approximate.components
    n_points = (rules.MOST_COMPONENTS if asked == "auto" else asked) * n_classes
    bound, steps = KipSettings.norm_bound, config.adapt.steps
    gradient = min(KipSettings.moving_points, n_points) * widest(features) + n_points * n_classes
    yield PlannedSum(Stage.ADAPT, "points", bound * bound, gradient, mu / math.sqrt(steps), steps)


def _mixed_rows(config: ReleaseConfig, plan: PrivacyPlan, features: tuple[Field, ...]) -> Iterator[PlannedSum]:
    norm = max(1, int(_resolved(config, plan, features).mix_clip_norm * SCORE_GRID))
    length = widest(features) + n_classes_of(config)
    yield PlannedSum(Stage.ANONYMIZE, "mixed-rows", norm**2, length, plan.mu_of(Stage.ANONYMIZE))


def _resolved(config: ReleaseConfig, plan: PrivacyPlan, features: tuple[Field, ...]) -> rules.Resolved:
    """What `auto` stands for where the number of rows has no say in it."""
    return rules.resolve(config, plan, n_rows=1.0, n_classes=n_classes_of(config), width=widest(features))
