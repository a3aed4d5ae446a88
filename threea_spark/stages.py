"""The stages in order: each recipe's steps, with the published numbers of one handed to the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from threea_spark import advice, recipe
from threea_spark.adapt import features, learn, move, second_look
from threea_spark.adapt.problem import Problem
from threea_spark.adapt.settings import AdaptStatus
from threea_spark.anonymize.mix import Mixed, Mixer
from threea_spark.approximate import clusters
from threea_spark.approximate import components as approximate
from threea_spark.approximate.clusters import FittedMixture
from threea_spark.approximate.components import ComponentModel
from threea_spark.approximate.look import measure_class_means
from threea_spark.approximate.marginals import marginals_query, pooled
from threea_spark.config.release import ReleaseConfig
from threea_spark.encode.codec import Encoding
from threea_spark.encode.fit import EncodedTable, measure_encoding
from threea_spark.encode.outline import TableShape
from threea_spark.encode.packing import staged_rows
from threea_spark.engine.progress import Progress
from threea_spark.engine.rows import SourceRows, StagedRows
from threea_spark.model.gaussian_classes import discriminant_sampler
from threea_spark.model.labels import LabelFunction, NumberLabels
from threea_spark.model.sampler import Drawn, RowSampler
from threea_spark.privacy import large_delta
from threea_spark.privacy.budget import PrivacyPlan, Stage
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.noise import KeyedNoise, new_key
from threea_spark.recipe import Clusters, Draw, DrawWide, Mix, Recipe

_DIAGNOSED_ROWS = 5_000


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


@dataclass(frozen=True)
class Fitted:
    """What the stages leave.

    Attributes:
      recipe: The steps that ran, with their values.
      outcome: A distribution to draw from, or groups to mix. RELEASED but for the groups' sums.
      staged: Packed rows. PRIVATE.
      n_rows: DP number of rows.
      advice: Signs that the release lost more than it had to.
      meter: All that was spent.
    """

    recipe: Recipe
    outcome: Drawn | Mixed
    staged: StagedRows
    n_rows: float
    advice: tuple[str, ...]
    meter: PrivacyMeter


def run_stages(
    source: Callable[[bytes], SourceRows],
    config: ReleaseConfig,
    plan: PrivacyPlan,
    release_id: str,
    progress: Progress,
) -> Fitted:
    """Runs Encode, chooses the recipe, and runs its steps.

    Args:
      source: Takes the release's secret key, and returns the source's rows, at most `max_rows` of each unit. PRIVATE.
      config, plan, release_id: The release's configuration, certified plan and name.
      progress: Announces each step.

    Raises:
      PrivacyError: if delta is one in fewer units than were counted, and nobody allowed it; nothing is staged then.
    """
    key = new_key()
    meter = PrivacyMeter(plan, KeyedNoise(key), release_id)
    rng = np.random.default_rng(int(config.digest, 16))
    rows = source(key)
    histograms, staging = recipe.ENCODE_STEPS
    with progress.step(histograms):
        encoded = measure_encoding(rows, config, meter)
    if not config.privacy.allow_large_delta:
        large_delta.require_small(plan.delta, plan.unit.max_rows, encoded.n_rows)
    with progress.step(staging):
        staged = staged_rows(rows, encoded.reader, encoded.encoding, mixes=config.is_mixing)
    chosen = recipe.choose(config, plan, shape_of(encoded))
    progress.expect(chosen.steps)
    outcome, found = _followed(chosen, Run(config, meter, rng, progress, encoded, staged))
    large = large_delta.advice(plan.delta, plan.unit.max_rows, encoded.n_rows)
    conditional = [advice.CONDITIONAL] if plan.is_conditional else []
    missing = [] if plan.unit.missing_in_words is None else [f"unit: {plan.unit.missing_in_words}"]
    return Fitted(chosen, outcome, staged, encoded.n_rows, (*large, *found, *conditional, *missing), meter)


def shape_of(encoded: EncodedTable) -> TableShape:
    """The DP numbers that the recipe is chosen by."""
    encoding = encoded.encoding
    return TableShape(encoded.n_rows, encoding.n_classes, len(encoding.features), encoding.width)


def _followed(chosen: Recipe, run: Run) -> tuple[Drawn | Mixed, list[str]]:
    """Runs the steps of a recipe; returns their outcome, and advice."""
    if isinstance(chosen, Mix):
        return _mix(chosen, run)
    return _draw_wide(chosen, run) if isinstance(chosen, DrawWide) else _draw(chosen, run)


def _draw_wide(chosen: DrawWide, run: Run) -> tuple[Drawn, list[str]]:
    encoding, n_rows = run.encoding, run.encoded.n_rows
    first, second = chosen.steps
    with run.progress.step(first):
        look = approximate.class_look(encoding)
        means = measure_class_means(run.staged, look, run.meter, run.mu_of(Stage.APPROXIMATE))
    with run.progress.step(second):
        model = second_look.look_again(run.staged, encoding, means, n_rows, run.config.adapt, run.meter)
        drawn = Drawn(*discriminant_sampler(encoding, model))
    return drawn, advice.diagnose_class_means(encoding, model, means)


def _draw(chosen: Draw, run: Run) -> tuple[Drawn, list[str]]:
    encoding, meter, steps = run.encoding, run.meter, iter(chosen.steps)
    with run.progress.step(next(steps)):
        components = _components(chosen, run)
    sampler, found = approximate.row_sampler(encoding, components), list[str]()
    if chosen.labels == "learned":
        with run.progress.step(next(steps)):
            labels, encoding, found = _learned_labels(chosen, run, components, sampler)
            sampler = replace(sampler, labels=labels)
    elif chosen.labels == "posterior":
        problem = _problem(run, components, sampler)
        sampler = replace(sampler, labels=features.naive_labels(problem.odds, problem.class_weights))
    if chosen.counts_again:
        with run.progress.step(next(steps)):
            query = marginals_query(run.encoding, components.mixture, Stage.ANONYMIZE, "marginals")
            mu = meter.remaining_mu(Stage.ANONYMIZE)
            again = approximate.measure_marginals(run.staged, run.encoding, query, meter, mu)
            components = replace(components, marginals=pooled(components.marginals, again))
            sampler = replace(approximate.row_sampler(run.encoding, components), labels=sampler.labels)
    found += advice.diagnose_components(run.encoding, components, run.encoded.n_rows)
    return Drawn(encoding, sampler), found


def _components(chosen: Draw, run: Run) -> ComponentModel:
    """Finds the components, and measures what each knows of every column."""
    encoding, mu = run.encoding, run.mu_of(Stage.APPROXIMATE)
    mixture = approximate.single_components(encoding, per_class=chosen.per_class)
    if chosen.clusters is not None:
        mu, mu_mixture = clusters.split_mu(mu)
        mixture = _clusters(chosen.clusters, run, mu_mixture).mixture
    return approximate.measure_components(run.staged, encoding, mixture, run.meter, n_rows=run.encoded.n_rows, mu=mu)


def _learned_labels(
    chosen: Draw, run: Run, components: ComponentModel, sampler: RowSampler
) -> tuple[LabelFunction | NumberLabels, Encoding, list[str]]:
    problem = _problem(run, components, sampler)
    adapted = learn.learn_labels(run.staged, problem, run.config.adapt, chosen.support_size, run.meter, run.rng)
    labelled = replace(sampler, labels=adapted.labels)
    drawn, _ = labelled.draw_cells(run.encoding, _DIAGNOSED_ROWS, run.rng)
    found = _status_advice(adapted.status)
    return adapted.labels, adapted.encoding, found + advice.diagnose_labels(adapted.labels, drawn)


def _mix(chosen: Mix, run: Run) -> tuple[Mixed, list[str]]:
    encoding, meter, steps, n_rows = run.encoding, run.meter, iter(chosen.steps), run.encoded.n_rows
    with run.progress.step(next(steps)):
        fitted = _clusters(chosen.clusters, run, run.mu_of(Stage.APPROXIMATE))
    mixture, found = fitted.mixture, list[str]()
    if chosen.moves_centres:
        with run.progress.step(next(steps)):
            moved = move.move_centres(run.staged, encoding, fitted, n_rows, run.config.adapt, meter, run.rng)
            mixture, found = moved.mixture, _status_advice(moved.status)
    mixer = Mixer(mixture, fitted.class_shares, chosen.mix_size, chosen.mix_clip_norm)
    with run.progress.step(next(steps)):
        granted = meter.grant_groups(mixer.query(encoding), meter.remaining_mu(Stage.ANONYMIZE))
    found += advice.diagnose_mixing(mixer, chosen.clusters, n_rows, granted.mechanism.stddev)
    if meter.plan.is_conditional:
        found.append(advice.paper_formula(mixer, granted.mechanism))
    return Mixed(encoding, mixer, granted), found


def _clusters(own: Clusters, run: Run, mu: float) -> FittedMixture:
    return clusters.fit_mixture(
        run.staged,
        run.encoding,
        run.meter,
        n_rows=run.encoded.n_rows,
        per_class=own.per_class,
        n_components=own.n_components,
        min_size=own.min_size,
        iterations=own.iterations,
        covariance=own.covariance,
        mu=mu,
        rng=run.rng,
    )


def _problem(run: Run, components: ComponentModel, sampler: RowSampler) -> Problem:
    encoding = run.encoding
    odds, weights = approximate.class_odds(encoding, components)
    probabilities = approximate.pooled_probabilities(encoding, components.marginals)
    return Problem(encoding, odds, probabilities, weights, sampler, run.encoded.n_rows)


def _status_advice(status: AdaptStatus) -> list[str]:
    """Says how adaptation ended, where there is something to do about it."""
    return [] if status in (AdaptStatus.COMPLETED, AdaptStatus.CONVERGED) else [f"adapt: {status.value}"]
