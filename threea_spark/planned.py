"""The plan of a release, certified before a row is read: every noisy sum that it may ask for, with bound and noise.

Stages choose between sums by noisy figures (correlations or not, histograms or means); here each choice that could be
made is priced, by the bounds and splits of the stages themselves, so that the meter answers what is accepted here. A
test holds these bounds against every sum that runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from threea_spark.adapt import label_fit, labelling, learn, move, number_labels, second_look
from threea_spark.adapt.settings import KipSettings
from threea_spark.anonymize import mix
from threea_spark.approximate import class_means, clusters, components, correlation, joint, look, marginals, tables
from threea_spark.config.release import ReleaseConfig
from threea_spark.encode import finer
from threea_spark.encode import fit as encode
from threea_spark.encode.between.row_rules import FUNCTIONS
from threea_spark.encode.bounds import bounds_layout, with_widest_bounds
from threea_spark.encode.details import n_spiking
from threea_spark.encode.feature import SCORE_GRID
from threea_spark.encode.granularity import GranularityLayout
from threea_spark.encode.histogram import Field
from threea_spark.encode.misfits import misfit_layout
from threea_spark.encode.outline import LabelShape, TableShape, expected_shape, features_of, histogram_layout, max_width
from threea_spark.encode.prices import EncodePrices
from threea_spark.encode.rules import LABEL_CELLS
from threea_spark.encode.spikes import spikes_bound
from threea_spark.errors import PrivacyError
from threea_spark.privacy.budget import PrivacyPlan, certified_epsilon
from threea_spark.privacy.planned_sums import NUMERIC_SHARES, PlannedSum, numeric_error_of, planned_sum
from threea_spark.privacy.query import RowBound
from threea_spark.privacy.terms import Stage
from threea_spark.recipes import choice, rules
from threea_spark.recipes.recipe import Clusters, Draw, DrawPairs, DrawWide, Mix, Recipe

_MAX_LABEL_CELLS = 2 * LABEL_CELLS + 2  # a heavy leaf has a cell alone, and may leave a light one beside it

_ROUNDED = 1.0 - 1e-9  # what is left of a share is no less than this part of it, after float64's additions


def make_plan(config: ReleaseConfig) -> PrivacyPlan:
    """Calibrates the plan of a release and certifies it; reads no row.

    Raises:
      PrivacyError: if no plan for this claim can be certified: the release would be refused in the end.
    """
    for share in NUMERIC_SHARES:
        plan = rules.calibrated(config, numeric_share=share)
        certified_epsilon(plan)
        if worst_numeric_error(config, plan) <= plan.numeric_epsilon:
            return plan
    n_classes = expected_shape(config, 1.0, label_cells=_MAX_LABEL_CELLS).n_classes
    unit = f"units of up to {plan.unit.max_rows} rows, " if plan.unit.max_rows > 1 else ""
    raise PrivacyError(
        f"privacy: epsilon {plan.epsilon:g} at delta {plan.delta:g} cannot be certified for {unit}"
        f"{len(config.domain.columns)} columns and {n_classes} classes: float64 cannot draw so much noise "
        "to the precision that the claim needs. Raise epsilon or delta, or lower privacy.unit.max_rows or the number "
        "of columns or classes"
    )


def worst_numeric_error(config: ReleaseConfig, plan: PrivacyPlan) -> float:
    """The most that float64 may add to epsilon, over all sums that the release may ask for; inf beyond any bound."""
    return max((numeric_error_of(sums, plan) for sums in ways_through(config, plan)), default=0.0)


def ways_through(config: ReleaseConfig, plan: PrivacyPlan) -> Iterator[list[PlannedSum]]:
    """All sums of a release, once for each recipe that it may follow; the choice is made by noisy figures.

    Args:
      config: The release's configuration.
      plan: Calibrated for it.
    """
    widest = expected_shape(config, 1.0, label_cells=_MAX_LABEL_CELLS)
    encoded = list(_encode(config, plan))
    for own in choice.possible(config, plan, widest):
        yield [*encoded, *_after_encode(own, config, plan, widest)]


def sums_of(own: Recipe, config: ReleaseConfig, plan: PrivacyPlan, shape: TableShape) -> Iterator[PlannedSum]:
    """The sums that a recipe may ask for; of those that noisy figures may leave out, as if they were asked for.

    Args:
      own: The recipe.
      config: The release's configuration.
      plan: Calibrated for it.
      shape: The table's shape, or the widest there may be.
    """
    yield from _encode(config, plan)
    yield from _after_encode(own, config, plan, shape)


def _after_encode(own: Recipe, config: ReleaseConfig, plan: PrivacyPlan, shape: TableShape) -> Iterator[PlannedSum]:
    if plan.is_conditional:
        if isinstance(own, Mix):
            yield _mixed_rows(own, plan, shape)
        return
    if isinstance(own, Mix):
        yield from _clusters(own.clusters, own.clip_norm, plan.mu_of(Stage.APPROXIMATE), len(features_of(config)))
        yield from _centres(config, plan, shape)
        yield _mixed_rows(own, plan, shape)
    elif isinstance(own, DrawWide):
        yield from _two_looks(plan, features_of(config))
    elif isinstance(own, DrawPairs):
        yield from _tables(own, config, plan, shape)
        yield from _labels(own, config, plan, shape)
    else:
        yield from _components(own, plan, shape)
        yield from _labels(own, config, plan, shape)


def _encode(config: ReleaseConfig, plan: PrivacyPlan) -> Iterator[PlannedSum]:
    if plan.is_conditional:
        return
    domain, layout = config.domain, histogram_layout(config)
    prices = EncodePrices.of(config, plan.mu_of(Stage.ENCODE), layout.fields)
    if prices.bounds:
        yield planned_sum(bounds_layout(domain).query(), prices.bounds)
    for name in domain.open_columns:
        yield planned_sum(encode.value_query(name, domain), prices.values)
    yield PlannedSum(Stage.ENCODE, "histograms", layout.bound, prices.histograms)
    if prices.granularity:
        yield PlannedSum(Stage.ENCODE, "granularity", GranularityLayout(layout.fields).bound, prices.granularity)
    if prices.misfits:
        yield planned_sum(misfit_layout(with_widest_bounds(domain)).query(), prices.misfits)
    if prices.classes:
        yield PlannedSum(Stage.ENCODE, "classes", RowBound.count(), prices.classes)
    if prices.functions:
        n_decided = sum(len(rule.functional.to) for rule in domain.counted_functions)
        yield PlannedSum(Stage.ENCODE, FUNCTIONS, RowBound.count(n_decided), prices.functions)
    if prices.spikes:
        yield PlannedSum(Stage.ENCODE, "spikes", spikes_bound(n_spiking(layout.fields)), prices.spikes)
    if prices.finer:
        n_numbers = sum(not field.is_category for field in layout.fields)
        yield PlannedSum(Stage.ENCODE, "finer", finer.largest_bound(n_numbers), prices.finer)


def _clusters(own: Clusters, clip_norm: float, mu: float, n_features: int) -> Iterator[PlannedSum]:
    """The passes of EM, and two counts of what they found."""
    norm, needs_second = int(clip_norm * SCORE_GRID), own.covariance != "isotropic"
    mu_pass, mu_count = clusters.pass_mu(mu, own.iterations)
    mu_pass *= math.sqrt(0.5) if needs_second else 1.0
    first = clusters.first_bound(norm, n_features)
    yield PlannedSum(Stage.APPROXIMATE, "first-pass", first, mu_pass, own.iterations)
    if needs_second:
        second = clusters.second_bound(norm, n_features, own.covariance)
        yield PlannedSum(Stage.APPROXIMATE, "second-pass", second, mu_pass, own.iterations)
    yield PlannedSum(Stage.APPROXIMATE, "sizes", RowBound.count(), mu_count, 2)


def _components(own: Draw, plan: PrivacyPlan, shape: TableShape) -> Iterator[PlannedSum]:
    """Clusters where there are any, then marginals (twice where components hold all classes) and correlations."""
    mu, counts = plan.mu_of(Stage.APPROXIMATE), marginals.row_bound(shape.n_features)
    if own.clusters is not None:
        mu, mu_mixture = clusters.split_mu(mu)
        yield from _clusters(own.clusters, own.clip_norm, mu_mixture, shape.n_features)
    correlates = components.may_correlate(shape.n_features)
    counts_classes = not own.per_class and shape.n_classes > 1
    prices = components.ComponentPrices.of(mu, correlates=correlates, counts_classes=counts_classes)
    yield PlannedSum(Stage.APPROXIMATE, "marginals", counts, prices.marginals, 1 + counts_classes)
    if correlates:
        pairs = correlation.row_bound(correlation.largest_bound(shape.n_features), shape.n_features)
        yield PlannedSum(Stage.APPROXIMATE, "correlations", pairs, prices.correlations)
    for stage in own.counts_again:
        yield PlannedSum(stage, "marginals", counts, plan.mu_of(stage))


def _tables(own: DrawPairs, config: ReleaseConfig, plan: PrivacyPlan, shape: TableShape) -> Iterator[PlannedSum]:
    """Tables of all pairs in groups, and of chosen ones cell by cell."""
    first, second = joint.split_mu(plan.mu_of(Stage.APPROXIMATE), own.second_share)
    pairs = tables.pairs_bound(choice.n_table_columns(config, shape))
    yield PlannedSum(Stage.APPROXIMATE, "pairs", pairs, first)
    yield PlannedSum(Stage.APPROXIMATE, "tables", RowBound.count(own.n_tables), second)


def _labels(own: Draw | DrawPairs, config: ReleaseConfig, plan: PrivacyPlan, shape: TableShape) -> Iterator[PlannedSum]:
    """Steps of the inducing points on a sample, those of each label function, and a number's residuals."""
    mu, n_points, learned = plan.mu_of(Stage.ADAPT), own.support_size, own.functions.learned
    if not learned or not mu > 0.0:
        return
    if config.adapt.rows == "sample":
        steps = move.n_steps(config.adapt, learn.POINTS_SHARE)
        points = KipSettings().bound(n_points, shape.n_features, shape.n_classes)
        yield PlannedSum(Stage.ADAPT, "points", points, move.step_mu(mu, learn.POINTS_SHARE, steps), steps)
        mu *= math.sqrt(1.0 - learn.POINTS_SHARE) * _ROUNDED
    mu = rules.label_mu(mu, len(learned)) * _ROUNDED
    shapes = {label.name: label for label in shape.labels_of(config.domain)}
    for place, name in enumerate(learned):
        suffix = f"-of-{name}" if own.functions.are_several else ""
        n_read = shape.n_features + 1 - len(learned[place:])  # all columns but itself and the labels after it
        yield from _label(shapes[name], suffix, n_read, n_points, mu)


def _label(label: LabelShape, suffix: str, n_read: int, n_points: int, mu: float) -> Iterator[PlannedSum]:
    """Steps of one label function that reads so many features, and a number's residuals."""
    n_outputs = 1 if label.is_number or label.n_classes == 2 else label.n_classes
    settings, n_others = labelling.settings_of(label.is_number), labelling.max_others(n_read, n_points)
    mu_step = labelling.step_mu(labelling.steps_mu(mu, label.is_number), settings)
    gradient = label_fit.gradient_bound(settings, 0, n_read, n_outputs, n_others)  # no later clip is wider
    yield PlannedSum(Stage.ADAPT, f"labels{suffix}", gradient, mu_step, settings.steps)
    if label.is_number:
        residuals = number_labels.residual_bound()
        yield PlannedSum(Stage.ADAPT, f"residuals{suffix}", residuals, number_labels.residuals_mu(mu))


def _two_looks(plan: PrivacyPlan, features: tuple[Field, ...]) -> Iterator[PlannedSum]:
    """Means of the classes, of all columns and then of the chosen ones."""
    mu, n_features = plan.mu_of(Stage.APPROXIMATE), len(features)
    yield from _look(Stage.APPROXIMATE, mu, components.NORMS_SHARE, n_features, counts_classes=True)
    n_numbers = min(second_look.n_chosen(n_features), sum(not f.is_category for f in features))
    mu_means, mu_pairs = second_look.split_mu(plan.mu_of(Stage.ADAPT) * _ROUNDED, n_numbers)
    yield from _look(Stage.ADAPT, mu_means, second_look.NORMS_SHARE, max_width(features), counts_classes=False)
    if n_numbers > 1:
        pairs = correlation.row_bound(correlation.largest_bound(n_numbers), n_numbers)
        yield PlannedSum(Stage.ADAPT, "correlations", pairs, mu_pairs)


def _look(stage: Stage, mu: float, norms_share: float, held: int, *, counts_classes: bool) -> Iterator[PlannedSum]:
    mu_norms, mu_sums = look.split_mu(mu, norms_share)
    yield PlannedSum(stage, "norms", look.norms_bound(counts_classes=counts_classes), mu_norms)
    bound = look.sums_bound(class_means.largest_clip(math.sqrt(held)), held)
    yield PlannedSum(stage, "class-sums", bound, mu_sums)


def _centres(config: ReleaseConfig, plan: PrivacyPlan, shape: TableShape) -> Iterator[PlannedSum]:
    """Steps of KIP that move the clusters' centres."""
    mu, asked = plan.mu_of(Stage.ADAPT), config.approximate.components
    if not mu > 0.0:
        return
    n_points = (rules.MAX_COMPONENTS if asked == "auto" else asked) * shape.n_classes
    gradient, steps = KipSettings().bound(n_points, shape.width, shape.n_classes), config.adapt.steps
    yield PlannedSum(Stage.ADAPT, "points", gradient, move.step_mu(mu, 1.0, steps), steps)


def _mixed_rows(own: Mix, plan: PrivacyPlan, shape: TableShape) -> PlannedSum:
    bound = mix.mixing_bound(mix.norm_bound(own.mix_clip_norm), shape.width + shape.n_classes)
    return PlannedSum(Stage.ANONYMIZE, "mixed-rows", bound, plan.mu_of(Stage.ANONYMIZE))
