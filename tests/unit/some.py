"""Parameters of which a few stand for all others: those run with every test, the rest under the marker `slow`."""

import pytest


def some(values, kept):
    """Gives all values for `parametrize`; those that are not kept are slow."""
    values = list(values)
    assert set(map(repr, kept)) <= set(map(repr, values))
    names = set(map(repr, kept))
    return [value if repr(value) in names else pytest.param(value, marks=pytest.mark.slow) for value in values]
