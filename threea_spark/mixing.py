"""The steps of the recipe that mixes rows, and the clusters that it shares with drawing."""

from __future__ import annotations

from threea_spark import advice
from threea_spark.adapt import move
from threea_spark.adapt.settings import AdaptStatus
from threea_spark.anonymize.mix import Mixed, Mixer
from threea_spark.approximate import clusters
from threea_spark.approximate.clusters import FittedMixture
from threea_spark.privacy.terms import Stage
from threea_spark.recipes.recipe import Clusters, Mix
from threea_spark.recipes.run import Run


def mix(chosen: Mix, run: Run) -> tuple[Mixed, list[str]]:
    """Finds clusters, and groups their rows to be averaged under noise; returns the groups, and advice."""
    encoding, meter, steps, n_rows = run.encoding, run.meter, iter(chosen.steps), run.encoded.n_rows
    with run.progress.step(next(steps)):
        fitted = fitted_clusters(chosen.clusters, run, run.mu_of(Stage.APPROXIMATE))
    mixture, found = fitted.mixture, list[str]()
    if chosen.moves_centres:
        with run.progress.step(next(steps)):
            moved = move.move_centres(run.staged, encoding, fitted, n_rows, run.config.adapt, meter, run.rng)
            mixture, found = moved.mixture, status_advice(moved.status)
    mixer = Mixer(mixture, fitted.class_shares, chosen.mix_size, chosen.mix_clip_norm)
    with run.progress.step(next(steps)):
        granted = meter.grant_groups(mixer.query(), meter.remaining_mu(Stage.ANONYMIZE))
    found += advice.diagnose_mixing(mixer, chosen.clusters, n_rows, granted.mechanism.stddev)
    if meter.plan.is_conditional:
        found.append(advice.paper_formula(mixer, granted.mechanism))
    return Mixed(encoding, mixer, granted), found


def fitted_clusters(own: Clusters, run: Run, mu: float) -> FittedMixture:
    """Finds clusters by passes over the rows, for a mu in all."""
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


def status_advice(status: AdaptStatus) -> list[str]:
    """Says how adaptation ended, where there is something to do about it."""
    return [] if status in (AdaptStatus.COMPLETED, AdaptStatus.CONVERGED) else [f"adapt: {status.value}"]
