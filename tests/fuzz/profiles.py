"""How many inputs a fuzz test tries: few and always the same by default, many and new ones under `make audit`."""

import pytest
from hypothesis import HealthCheck, given, settings

SLOW_ONES = [
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
    HealthCheck.filter_too_much,
    HealthCheck.large_base_example,
]


def few_or_many(few, many):
    """Runs a test with `few` inputs, and as a slow test with `many`."""
    return pytest.mark.parametrize("n_inputs", [few, pytest.param(many, marks=pytest.mark.slow)])


def for_all(strategy, check, n_inputs, *, many=500):
    """Runs `check` on so many drawn inputs; the smallest input that fails is shown."""
    chosen = settings(
        max_examples=n_inputs,
        derandomize=n_inputs < many,
        deadline=None,
        database=None,
        suppress_health_check=SLOW_ONES,
    )
    chosen(given(strategy)(check))()
