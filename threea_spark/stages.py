"""The stages in order, each with its published numbers handed to the next. No maths and no Spark functions here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from threea_spark import rules
from threea_spark.adapt import features, learn, move, second_look
from threea_spark.advice import (
    CONDITIONAL,
    diagnose_class_means,
    diagnose_components,
    diagnose_labels,
    diagnose_mixing,
    paper_formula,
)
from threea_spark.anonymize.mix import Mixer
from threea_spark.approximate import clusters
from threea_spark.approximate import components as approximate
from threea_spark.approximate.clusters import FittedMixture
from threea_spark.approximate.components import ComponentModel
from threea_spark.approximate.marginals import pooled
from threea_spark.approximate.odds import cell_log_odds
from threea_spark.config.release import ReleaseConfig, is_mixing
from threea_spark.encode import spark as encode_passes
from threea_spark.encode.codec import Encoding
from threea_spark.encode.fit import EncodedTable, measure_encoding
from threea_spark.engine.progress import Progress
from threea_spark.engine.staging import stage
from threea_spark.model.gaussian_classes import discriminant_sampler
from threea_spark.model.law import RowSampler
from threea_spark.privacy import large_delta
from threea_spark.privacy.budget import PrivacyPlan, Stage
from threea_spark.privacy.meter import NoisySum, PrivacyMeter
from threea_spark.privacy.noise import KeyedNoise, new_key
from threea_spark.rules import Resolved
from threea_spark.source import rows as table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_DIAGNOSED_ROWS = 5_000


@dataclass(frozen=True)
class Fitted:
    """What the stages up to Anonymize leave: the encoding, one of the two generators, and the meter that paid.

    Attributes:
      encoded: Of the table. RELEASED.
      staged: Packed rows. PRIVATE.
      sampler: Where rows are drawn. RELEASED.
      mixer, mechanism: Where rows are mixed: groups, and their booked noise.
      resolved, advice: For the receipt.
      meter: All that was spent.
    """

    encoded: EncodedTable
    staged: DataFrame
    sampler: RowSampler | None
    mixer: Mixer | None
    resolved: Resolved
    advice: tuple[str, ...]
    meter: PrivacyMeter
    mechanism: NoisySum | None = None


def run_stages(
    rows: DataFrame, config: ReleaseConfig, plan: PrivacyPlan, release_id: str, staging: str, progress: Progress
) -> Fitted:
    """Runs Encode, Approximate, Adapt and Anonymize, in this order.

    Args:
      rows: The source. PRIVATE.
      config, plan, release_id: Of the release.
      staging: Name of the private staging table, which the caller drops.
      progress: Announces each step.

    Raises:
      PrivacyError: if delta is one in fewer units than were counted, and nobody allowed it; nothing is staged then.
    """
    key = new_key()
    meter = PrivacyMeter(plan, KeyedNoise(key), release_id)
    rng = np.random.default_rng(int(config.digest, 16))  # public: starting centres and inducing points
    bounded = table.bound_rows(table.canonical(rows, config.domain, plan.unit), plan.unit, key)
    with progress.step("encode: histograms of every column"):
        encoded = measure_encoding(bounded, config, meter)
    if not config.privacy.allow_large_delta:
        large_delta.require_small(plan.delta, plan.unit.max_rows, encoded.n_rows)
    with progress.step("encode: stage packed vectors"):
        packed = encode_passes.packed_vectors(bounded, encoded.reader, encoded.encoding, mixes=is_mixing(config))
        staged = stage(packed, staging)
    encoding = encoded.encoding
    resolved = rules.resolve(config, plan, n_rows=encoded.n_rows, n_classes=encoding.n_classes, width=encoding.width)
    if is_mixing(config):
        fitted = _mixing_stages(staged, encoded, config, resolved, meter, rng, progress)
    elif rules.looks_twice(config, plan, n_rows=encoded.n_rows, n_classes=encoding.n_classes):
        fitted = _wide_stages(staged, encoded, config, resolved, meter, progress)
    else:
        fitted = _sampling_stages(staged, encoded, config, resolved, meter, rng, progress)
    large = large_delta.advice(plan.delta, plan.unit.max_rows, encoded.n_rows)
    missing = [] if plan.unit.missing_in_words is None else [f"unit: {plan.unit.missing_in_words}"]
    return replace(fitted, advice=(*large, *fitted.advice, *missing))


def _wide_stages(
    staged: DataFrame,
    encoded: EncodedTable,
    config: ReleaseConfig,
    resolved: Resolved,
    meter: PrivacyMeter,
    progress: Progress,
) -> Fitted:
    """Few rows for many columns: means of the classes, then a second look at the columns that tell them apart."""
    with progress.step("approximate: means of every class"):
        mu = meter.plan.mu_of(Stage.APPROXIMATE)
        means = approximate.measure_class_means(staged, encoded.encoding, meter, mu=mu)
    with progress.step("adapt: a second look at the columns that tell classes apart"):
        model = second_look.look_again(staged, encoded.encoding, means, encoded.n_rows, config.adapt, meter)
        encoding, sampler = discriminant_sampler(encoded.encoding, model)
    advice = tuple(diagnose_class_means(encoded.encoding, model, means))
    return Fitted(replace(encoded, encoding=encoding), staged, sampler, None, resolved, advice, meter)


def _sampling_stages(
    staged: DataFrame,
    encoded: EncodedTable,
    config: ReleaseConfig,
    resolved: Resolved,
    meter: PrivacyMeter,
    rng: np.random.Generator,
    progress: Progress,
) -> Fitted:
    encoding, mu = encoded.encoding, meter.plan.mu_of(Stage.APPROXIMATE)
    with progress.step("approximate: components and their marginals"):
        mixture = approximate.single_components(encoding, per_class=resolved.per_class)
        if resolved.components_per_class > 1:
            mu, mu_mixture = clusters.split_mu(mu)
            mixture = _clusters(staged, encoded, config, resolved, meter, rng, mu_mixture).mixture
        components = approximate.measure_components(staged, encoding, mixture, meter, n_rows=encoded.n_rows, mu=mu)
    sampler, advice = _sampler(encoding, components), list[str]()
    with progress.step("adapt: inducing points and label function"):
        if config.domain.task != "none" and encoding.features and encoding.n_classes > 1:
            problem = _problem(encoded, components, sampler)
            if rules.learns_labels(config):
                adapted = learn.learn_labels(staged, problem, config.adapt, resolved.support_size, meter, rng)
                sampler = replace(sampler, labels=adapted.labels)
                advice.append(f"adapt: {adapted.status.value}")
                if adapted.labels is not None:
                    drawn, _ = sampler.draw_cells(encoding, _DIAGNOSED_ROWS, rng)
                    advice += diagnose_labels(adapted.labels, drawn, problem.class_weights)
            elif components.by_class is not None:  # joint components have no class of their own
                sampler = replace(sampler, labels=features.naive_labels(problem.odds, problem.class_weights))
    with progress.step("anonymize: released statistics"):
        if (left := meter.remaining_mu(Stage.ANONYMIZE)) > 0.0:
            again = approximate.measure_marginals(staged, encoding, components.mixture, meter, Stage.ANONYMIZE, left)
            components = replace(components, marginals=pooled(components.marginals, again))
            sampler = replace(_sampler(encoding, components), labels=sampler.labels)
    advice += diagnose_components(encoding, components, encoded.n_rows)
    if meter.plan.is_conditional:
        advice.append(CONDITIONAL)
    return Fitted(encoded, staged, sampler, None, resolved, tuple(advice), meter)


def _mixing_stages(
    staged: DataFrame,
    encoded: EncodedTable,
    config: ReleaseConfig,
    resolved: Resolved,
    meter: PrivacyMeter,
    rng: np.random.Generator,
    progress: Progress,
) -> Fitted:
    encoding = encoded.encoding
    with progress.step("approximate: size-constrained clusters"):
        mu = meter.plan.mu_of(Stage.APPROXIMATE)
        fitted = _clusters(staged, encoded, config, resolved, meter, rng, mu)
    mixture, advice = fitted.mixture, list[str]()
    with progress.step("adapt: centres by kernel inducing points"):
        if rules.moves_centres(config):
            adapted = move.move_centres(staged, encoding, fitted, encoded.n_rows, config.adapt, meter, rng)
            mixture = adapted.mixture or mixture
            advice.append(f"adapt: {adapted.status.value}")
    mixer = Mixer(mixture, fitted.class_shares, resolved.mix_size, resolved.mix_clip_norm)
    with progress.step("anonymize: noise for every group"):
        mechanism = meter.grant(
            Stage.ANONYMIZE,
            "mixed-rows",
            squared_bound=mixer.norm_bound**2,
            mu=meter.remaining_mu(Stage.ANONYMIZE),
            moved=mixer.length,
            size=mixer.n_groups * mixer.length,
        )
    advice += diagnose_mixing(mixer, resolved, encoded.n_rows, mechanism.stddev)
    if meter.plan.is_conditional:
        advice += [CONDITIONAL, paper_formula(mixer, mechanism)]
    return Fitted(encoded, staged, None, mixer, resolved, tuple(advice), meter, mechanism)


def _clusters(
    staged: DataFrame,
    encoded: EncodedTable,
    config: ReleaseConfig,
    resolved: Resolved,
    meter: PrivacyMeter,
    rng: np.random.Generator,
    mu: float,
) -> FittedMixture:
    covariance = config.approximate.covariance
    return clusters.fit_mixture(
        staged,
        encoded.encoding,
        meter,
        per_class=resolved.per_class,
        n_components=resolved.components_per_class,
        min_size=resolved.min_cluster_size,
        n_rows=encoded.n_rows,
        iterations=1 if config.anonymize.generator == "random" else config.approximate.iterations,
        covariance="isotropic" if covariance == "auto" else covariance,
        mu=mu,
        rng=rng,
    )


def _sampler(encoding: Encoding, components: ComponentModel) -> RowSampler:
    return RowSampler(
        weights=components.marginals.weights,
        class_of=components.mixture.class_of,
        laws=components.marginals.probabilities(encoding.cell_layout),
        orders=components.orders,
        factor=np.asarray(np.linalg.cholesky(components.correlations), dtype=np.float64),
        labels=None,
    )


def _problem(encoded: EncodedTable, components: ComponentModel, sampler: RowSampler) -> learn.Problem:
    n_classes = encoded.encoding.n_classes
    weights = components.class_weights(n_classes)
    odds = cell_log_odds(components.class_counts(n_classes), components.marginals.stddev, weights)
    laws = approximate.pooled_laws(encoded.encoding, components.marginals)
    return learn.Problem(encoded.encoding, odds, laws, weights, sampler, encoded.n_rows)
