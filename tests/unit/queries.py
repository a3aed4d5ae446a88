"""Queries with given answers, for tests of what the meter prices, books and refuses."""

import numpy as np

from threea_spark.adapt.label_fit import FitSettings, gradient_query
from threea_spark.adapt.labelling import Fit
from threea_spark.adapt.problem import Problem
from threea_spark.adapt.targets import Weights
from threea_spark.approximate.joint import JointModel
from threea_spark.approximate.products import Products
from threea_spark.approximate.tables import table_columns
from threea_spark.config.adapt import AdaptConfig
from threea_spark.privacy.query import GroupQuery, RowBound, SumQuery

ZEROS = np.zeros(4, dtype=np.int64)


class Rows:
    """Rows that answer whatever a query says."""

    def sums(self, queries):
        return [query.contribution(None) for query in queries]

    def sample(self, rate):
        return rate


class Unread:
    """Rows that nobody may touch."""

    def _read(self, *given, **named):
        raise AssertionError("rows were read")

    sums = sample = passing_values = frequent_values = _read


def query_of(stage, name, exact=ZEROS, *, squared=1, moved=None):
    """A query whose answer is `exact`."""
    bound = RowBound(squared, exact.size if moved is None else moved)
    return SumQuery(stage=stage, name=name, bound=bound, size=exact.size, contribution=lambda _: exact)


def ask(meter, stage, name, exact=ZEROS, *, squared=1, mu, moved=None, rows=None):
    """Asks a meter for a sum that is `exact`."""
    return meter.ask(query_of(stage, name, exact, squared=squared, moved=moved), Rows() if rows is None else rows, mu)


def granted(meter, stage, name, *, squared=1, mu, moved=1, size=None):
    """The mechanism that a meter grants for the sums of groups, of which no row is read."""
    query = GroupQuery(
        stage=stage,
        name=name,
        bound=RowBound(squared, moved),
        size=size,
        n_groups=1,
        length=1,
        groups_of=lambda rows: rows,
        sums_of=lambda rows, *_: rows,
    )
    return meter.grant_groups(query, mu).mechanism


def label_query(encoding, rng):
    """A step of the label function over all packed rows, at any weights."""
    query, fit = label_step(encoding, rng)
    return query.over(fit.targets_of)


def label_step(encoding, rng):
    """A step of the label function over targets, and the fit that makes them of packed rows."""
    columns = table_columns(encoding, 4)
    masses = columns.masses
    model = JointModel(columns, Products(np.ones(1), tuple(own[None, :] for own in masses)), 1.0, 500.0)
    odds = rng.normal(size=(encoding.n_classes, encoding.n_cells))
    problem = Problem(encoding, odds, list(masses[:-1]), model.class_weights, model.sampler(), 500.0)
    support = problem.kernel_input()(problem.sampler.draw_cells(encoding, 8, rng)[0])
    fit = Fit.of(problem, AdaptConfig(), support, n_rows=500.0, mu=1.0, rng=rng)
    features = fit.targets_of.features
    weights = Weights(rng.normal(size=features.n_features), rng.normal(size=(features.n_shared, len(features.odds))))
    return gradient_query(features, weights, fit.prior, FitSettings(), 0), fit
