"""Queries with given answers, for tests of what the meter prices, books and refuses."""

import numpy as np

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
