"""A mu that is split: the parts compose to it and to no more, and each part is what its share says."""

import pytest

from threea_spark.adapt import second_look
from threea_spark.approximate import clusters, look
from threea_spark.approximate.components import CORRELATION_SHARE, ComponentPrices
from threea_spark.privacy.gaussian import compose_mu

MU = 0.7


def share(*mus):
    """Part of the squared mu that some prices take together."""
    return compose_mu(mus) ** 2 / MU**2


@pytest.mark.parametrize("iterations", [1, 2, 12])
def test_the_passes_and_two_counts_of_clusters_spend_all_of_a_fit(iterations):
    mu_pass, mu_count = clusters.pass_mu(MU, iterations)
    assert share(*[mu_pass] * iterations, mu_count, mu_count) == pytest.approx(1.0)
    assert share(mu_count, mu_count) == pytest.approx(clusters.SIZES_SHARE)


@pytest.mark.parametrize("correlates", [True, False])
@pytest.mark.parametrize("counts_classes", [True, False])
def test_counts_by_component_and_by_class_and_correlations_spend_all_of_approximate(correlates, counts_classes):
    prices = ComponentPrices.of(MU, correlates=correlates, counts_classes=counts_classes)
    bought = [prices.marginals, *[prices.correlations] * correlates, *[prices.by_class] * counts_classes]
    assert share(*bought) == pytest.approx(1.0)
    assert min(bought) > 0.0
    assert prices.by_class == (prices.marginals if counts_classes else 0.0)
    if correlates:
        assert share(prices.correlations) == pytest.approx(CORRELATION_SHARE)


@pytest.mark.parametrize("norms_share", [0.02, 0.5])
def test_norms_and_sums_spend_all_of_a_look_and_no_more(norms_share):
    mu_norms, mu_sums = look.split_mu(MU, norms_share)
    assert share(mu_norms) == pytest.approx(norms_share)
    assert 1.0 - 1e-9 < share(mu_norms, mu_sums) <= 1.0


def test_a_fit_of_clusters_and_its_marginals_or_means_and_pairs_spend_all_of_a_stage():
    assert share(*clusters.split_mu(MU)) == pytest.approx(1.0)
    for n_numbers in (0, 1, 2, 50):
        assert share(*second_look.split_mu(MU, n_numbers)) == pytest.approx(1.0)
