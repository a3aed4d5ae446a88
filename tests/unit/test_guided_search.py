"""The guide table finds the leaf a plain search finds, also at leaves' ends, at 0 and at 1."""

import numpy as np
import pytest

from threea_spark.encode.guided_search import GuidedSearch


@pytest.mark.parametrize("n_leaves", [1, 2, 37, 4096])
def test_leaves_are_those_of_a_plain_search(n_leaves: int) -> None:
    rng = np.random.default_rng(n_leaves)
    mass = rng.random(n_leaves) ** 8 + 1e-9
    cdf = np.concatenate([[0.0], np.cumsum(mass) / mass.sum()])
    cdf[-1] = 1.0
    u = np.concatenate([rng.random(20_000), cdf, np.nextafter(cdf, 0.0), [0.0, 1.0]])
    plain = np.clip(np.searchsorted(cdf, u, side="right") - 1, 0, n_leaves - 1)
    np.testing.assert_array_equal(GuidedSearch(cdf).leaf_of(u), plain)
