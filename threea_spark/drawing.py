"""The steps of the recipes that draw rows, with the published numbers of one handed to the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from threea_spark import advice
from threea_spark.adapt import features, learn, second_look
from threea_spark.adapt.label_problem import label_problem
from threea_spark.adapt.problem import Problem
from threea_spark.approximate import clusters, joint
from threea_spark.approximate import components as approximate
from threea_spark.approximate.components import ComponentModel
from threea_spark.approximate.look import measure_class_means
from threea_spark.approximate.marginals import marginals_query, pooled
from threea_spark.mixing import fitted_clusters, status_advice
from threea_spark.model.gaussian_classes import discriminant_sampler
from threea_spark.model.sampler import Drawn, RowSampler
from threea_spark.privacy.terms import Stage
from threea_spark.recipes import rules
from threea_spark.recipes.recipe import Draw, DrawPairs, DrawWide, LabelFunctions
from threea_spark.recipes.run import Run

_DIAGNOSED_ROWS = 5_000


def draw_pairs(chosen: DrawPairs, run: Run) -> tuple[Drawn, list[str]]:
    """Fits a mixture of products to tables of pairs, and labels what it draws; returns it, and advice."""
    encoding, n_rows, steps = run.encoding, run.encoded.n_rows, iter(chosen.steps)
    with run.progress.step(next(steps)):
        model = joint.measure_joint(
            run.staged,
            encoding,
            run.meter,
            n_rows=n_rows,
            n_groups=chosen.n_groups,
            one_way_stddev=run.encoded.stddev,
            mu=run.mu_of(Stage.APPROXIMATE),
            second_share=chosen.second_share,
            rng=run.rng,
        )
    drawn, found = Drawn(encoding, model.sampler(), model.counted), advice.diagnose_joint(encoding, model)
    if chosen.functions.learned:
        marginals = encoding.cell_layout.split(model.products.weights @ model.cell_probabilities)
        problem = Problem(encoding, model.class_odds(), marginals, model.class_weights, drawn.sampler, n_rows)
        drawn, signs = _labelled(chosen, run, problem, drawn, steps)
        found += signs
    return drawn, found + _labels_kept(chosen.functions, run)


def draw_wide(chosen: DrawWide, run: Run) -> tuple[Drawn, list[str]]:
    """Looks twice at the means of the classes; returns a distribution to draw from, and advice."""
    encoding, n_rows = run.encoding, run.encoded.n_rows
    first, second = chosen.steps
    with run.progress.step(first):
        look = approximate.class_look(encoding)
        means = measure_class_means(run.staged, look, run.meter, run.mu_of(Stage.APPROXIMATE))
    with run.progress.step(second):
        model = second_look.look_again(run.staged, encoding, means, n_rows, run.config.adapt, run.meter)
        drawn = Drawn(*discriminant_sampler(encoding, model))
    kept = _labels_kept(LabelFunctions((), run.config.domain.labels), run)
    return drawn, advice.diagnose_class_means(encoding, model, means) + kept


def draw(chosen: Draw, run: Run) -> tuple[Drawn, list[str]]:
    """Counts the cells of every component, and labels what is drawn from them; returns it, and advice."""
    encoding, meter, steps = run.encoding, run.meter, iter(chosen.steps)
    with run.progress.step(next(steps)):
        components = _components(chosen, run)
    drawn, found = Drawn(encoding, approximate.row_sampler(encoding, components)), list[str]()
    if chosen.labels == "posterior":
        problem = _problem(run, components, drawn.sampler)
        labels = features.naive_labels(problem.odds, problem.class_weights)
        drawn = replace(drawn, sampler=replace(drawn.sampler, labels=labels))
    if chosen.functions.learned:
        drawn, found = _labelled(chosen, run, _problem(run, components, drawn.sampler), drawn, steps)
    for stage in chosen.counts_again:
        with run.progress.step(next(steps)):
            query, mu = marginals_query(run.encoding, components.mixture, stage, "marginals"), meter.remaining_mu(stage)
            again = approximate.measure_marginals(run.staged, run.encoding, query, meter, mu)
            components = replace(components, marginals=pooled(components.marginals, again))
    if chosen.counts_again:
        few = Stage.ADAPT in chosen.counts_again
        counted = approximate.row_sampler(run.encoding, components, shrinks_faint=not few)
        labelled = replace(counted, labels=drawn.sampler.labels, sequence=drawn.sampler.sequence)
        drawn = replace(drawn, sampler=labelled)
    drawn = replace(drawn, tables=approximate.counted_tables(encoding, components))
    found += advice.diagnose_components(run.encoding, components, run.encoded.n_rows)
    return drawn, found + _labels_kept(chosen.functions, run)


def _components(chosen: Draw, run: Run) -> ComponentModel:
    """Finds the components, and measures what each knows of every column."""
    encoding, mu = run.encoding, run.mu_of(Stage.APPROXIMATE)
    mixture = approximate.single_components(encoding, per_class=chosen.per_class)
    if chosen.clusters is not None:
        mu, mu_mixture = clusters.split_mu(mu)
        mixture = fitted_clusters(chosen.clusters, run, mu_mixture).mixture
    return approximate.measure_components(run.staged, encoding, mixture, run.meter, n_rows=run.encoded.n_rows, mu=mu)


def _labelled(
    chosen: Draw | DrawPairs, run: Run, base: Problem, drawn: Drawn, steps: Iterator[str]
) -> tuple[Drawn, list[str]]:
    """Learns a function for each label, one after the other; returns the rows that they label, and advice."""
    learned, found = chosen.functions.learned, list[str]()
    for place, name in enumerate(learned):
        with run.progress.step(next(steps)):
            problem = base
            if chosen.functions.are_several:
                later = learned[place + 1 :]
                problem = label_problem(base, drawn, name, str(run.config.domain.label), later, run.rng)
            mu = rules.label_mu(run.meter.remaining_mu(Stage.ADAPT), len(learned) - place)
            config, size = run.config.adapt, chosen.support_size
            rate = chosen.functions.step_rate
            adapted = learn.learn_labels(run.staged, problem, config, size, run.meter, run.rng, mu=mu, rate=rate)
            view = problem.label_view
            encoding = drawn.encoding
            if view.feature is None:
                encoding = replace(encoding, label=adapted.encoding.label)
            drawn = replace(drawn, encoding=encoding, sampler=view.labelled(drawn.sampler, adapted.labels))
            rows, _ = view.read_drawn(*drawn.sampler.draw_cells(run.encoding, _DIAGNOSED_ROWS, run.rng))
            of = f"{name}: " if chosen.functions.are_several else ""
            signs = status_advice(adapted.status) + advice.diagnose_labels(adapted.labels, rows)
            found += [f"{of}{sign}" for sign in signs]
    return drawn, found


def _labels_kept(functions: LabelFunctions, run: Run) -> list[str]:
    """Advice where labels were to be learned, and some are not."""
    return advice.labels_kept(functions) if rules.learns_labels(run.config) else []


def _problem(run: Run, components: ComponentModel, sampler: RowSampler) -> Problem:
    encoding = run.encoding
    odds, weights = approximate.class_odds(encoding, components)
    probabilities = approximate.pooled_probabilities(encoding, components.marginals)
    return Problem(encoding, odds, probabilities, weights, sampler, run.encoded.n_rows)
