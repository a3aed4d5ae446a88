import dataclasses

import numpy as np
import pytest
from small_tables import category, mixed_encoding, number

from threea_spark import advice
from threea_spark.anonymize.mix import Mixer
from threea_spark.approximate.class_means import ClassMeans
from threea_spark.approximate.components import ComponentModel, single_components
from threea_spark.approximate.marginals import Marginals
from threea_spark.approximate.mixture import Mixture
from threea_spark.encode.codec import Encoding
from threea_spark.encode.feature import SCORE_GRID
from threea_spark.model.gaussian_classes import Discriminant
from threea_spark.model.labels import KernelInput, LabelFunction
from threea_spark.model.ntk import Architecture
from threea_spark.privacy.mechanism import NoisySum
from threea_spark.privacy.terms import Relation
from threea_spark.recipes.recipe import Clusters

ENCODING = mixed_encoding()


def only(found, *words):
    """Checks that one message, and no other, was given."""
    assert len(found) == 1, found
    for word in words:
        assert word in found[0]


def label_of(n_classes, *, nullable=False):
    return category("y", *(f"k{i}" for i in range(n_classes)), nullable=nullable)


# --- components


def components(sizes, *, cell=60.0, stddev=5.0, encoding=ENCODING):
    mixture = single_components(encoding, per_class=True)
    counts = np.full((len(sizes), encoding.n_cells), cell)
    measured = Marginals(np.asarray(sizes, dtype=float), counts, stddev)
    return ComponentModel(mixture, measured, (), np.eye(len(encoding.features)))


def test_clear_components_need_no_advice():
    assert advice.diagnose_components(ENCODING, components([400.0, 600.0]), 1_000.0) == []


def test_few_rows_against_the_noise_are_told():
    found = advice.diagnose_components(ENCODING, components([20.0, 20.0]), 40.0)
    only(found, "about 40 rows against noise of 5", "raise epsilon")
    assert advice.diagnose_components(ENCODING, components([25.0, 25.0]), 50.0) == []


def test_a_small_class_is_named():
    found = advice.diagnose_components(ENCODING, components([10.0, 990.0]), 1_000.0)
    only(found, "1 of 2 classes (no)", "merge rare classes")
    only(advice.diagnose_components(ENCODING, components([990.0, 10.0]), 1_000.0), "1 of 2 classes (yes)")
    assert advice.diagnose_components(ENCODING, components([15.0, 985.0]), 1_000.0) == []


def test_many_small_classes_are_counted_and_not_named():
    encoding = Encoding(ENCODING.features, label_of(8), 2.0)
    found = advice.diagnose_components(encoding, components([5.0] * 6 + [500.0] * 2, encoding=encoding), 1_000.0)
    only(found, "6 of 8 classes can hardly")
    assert "k0" not in found[0]


def test_a_single_class_is_never_small():
    encoding = Encoding(ENCODING.features, None, 2.0)
    assert advice.diagnose_components(encoding, components([60.0], stddev=6.0, encoding=encoding), 60.0) == []


def test_cells_fainter_than_their_noise_are_told():
    only(
        advice.diagnose_components(ENCODING, components([400.0, 600.0], cell=4.0), 1_000.0),
        "100% of the cells hold less than their noise",
        "encode.cells",
    )
    assert advice.diagnose_components(ENCODING, components([400.0, 600.0], cell=6.0), 1_000.0) == []


def test_half_of_the_cells_may_be_faint():
    model = components([400.0, 600.0])
    counts = model.marginals.counts.copy()
    counts[0] = 1.0
    half = dataclasses.replace(model, marginals=dataclasses.replace(model.marginals, counts=counts))
    assert advice.diagnose_components(ENCODING, half, 1_000.0) == []
    counts[1, 0] = 1.0
    only(advice.diagnose_components(ENCODING, half, 1_000.0), "of the cells hold less")


def test_exact_counts_of_the_conditional_mode_need_no_advice():
    assert advice.diagnose_components(ENCODING, components([1.0, 3.0], cell=1.0, stddev=0.0), 4.0) == []


# --- class means

WIDE = Encoding(tuple([number(f"x{i}") for i in range(100)] + [category("c", "p", "q")]), label_of(4), 20.0)


def first_look(informative=60, *, strength=0.6, sizes=(400.0,) * 4, stddev=30.0, encoding=WIDE):
    rng = np.random.default_rng(1)
    sizes = np.array(sizes)
    truth = np.zeros((len(sizes), encoding.width))
    truth[:, :informative] = strength * rng.normal(size=(len(sizes), informative))
    sums = truth * sizes[:, None] + rng.normal(0.0, stddev, truth.shape)
    return ClassMeans(sizes, sums, stddev, sizes_stddev=20.0)


def chosen_of(n, encoding=WIDE):
    features = len(encoding.features)
    return Discriminant(
        np.full(encoding.n_classes, 1.0 / encoding.n_classes),
        np.zeros(encoding.width),
        np.zeros((encoding.n_classes, encoding.width)),
        np.arange(features) < n,
        np.ones(features),
        np.eye(features),
    )


def test_a_second_look_says_how_many_columns_it_kept():
    only(
        advice.diagnose_class_means(WIDE, chosen_of(64), first_look()),
        "64 of 101 columns tell the classes apart",
        "36 other numeric columns are released as their mean",  # the category is not a mean
    )
    only(advice.diagnose_class_means(WIDE, chosen_of(101), first_look()), "the classes apart; 0 other numeric")


@pytest.mark.parametrize("informative", [0, 2])
def test_few_relevant_columns_are_told(informative):
    found = advice.diagnose_class_means(WIDE, chosen_of(64), first_look(informative, strength=2.0, stddev=10.0))
    assert len(found) == 2
    assert "columns differ between classes beyond noise" in found[1]
    assert "raise epsilon" in found[1]


def test_a_small_class_is_named_beside_the_columns_kept():
    found = advice.diagnose_class_means(WIDE, chosen_of(64), first_look(sizes=(400.0, 50.0, 400.0, 400.0)))
    assert len(found) == 2
    assert "1 of 4 classes (k1)" in found[1]


def test_a_small_class_of_nulls_is_not_named_by_nothing():
    encoding = Encoding(ENCODING.features, label_of(2, nullable=True), 2.0)
    found = advice.diagnose_components(encoding, components([500.0, 500.0, 5.0], encoding=encoding), 1_000.0)
    only(found, "1 of 3 classes")
    assert "()" not in found[0]


# --- the label function

CELLS = np.column_stack([np.random.default_rng(2).integers(0, 4, 800), np.random.default_rng(3).integers(4, 7, 800)])
SCORES = np.random.default_rng(4).normal(size=7)


def label_function(*, additive=1.0, support=None, dual=0.0, scores=SCORES):
    rng = np.random.default_rng(5)
    support = np.zeros((0, 2)) if support is None else support
    logits = additive * rng.normal(size=(7, 2))
    weights = dual * rng.normal(size=(len(support), 2))
    return LabelFunction(np.zeros(2), logits, KernelInput(scores), support, weights, Architecture())


def test_a_label_function_that_tells_needs_no_advice():
    assert advice.diagnose_labels(label_function(), CELLS) == []


@pytest.mark.parametrize("additive", [0.0, 0.01])
def test_a_label_function_that_is_nearly_constant_is_told(additive):
    found = advice.diagnose_labels(label_function(additive=additive), CELLS)
    only(found, "the label function is nearly constant", "raise epsilon")


def test_a_kernel_that_knows_only_its_own_points_is_told():
    far = 4.0 * np.random.default_rng(6).normal(size=(20, 2))
    found = advice.diagnose_labels(label_function(support=far, dual=0.5, scores=0.01 * SCORES), CELLS)
    only(found, "fits its inducing points better", "raise adapt.support_size")


def test_a_kernel_whose_points_lie_among_the_rows_needs_no_advice():
    among = KernelInput(SCORES)(CELLS[:20])
    healthy = label_function(support=among, dual=0.5)
    assert float(healthy.kernel_logits(among).var(axis=0).sum()) > 0.25  # it does say something
    assert advice.diagnose_labels(healthy, CELLS) == []


def test_a_faint_kernel_is_not_called_overfit():
    far = 4.0 * np.random.default_rng(6).normal(size=(20, 2))
    faint = label_function(support=far, dual=1e-3, scores=0.01 * SCORES)
    assert advice.diagnose_labels(faint, CELLS) == []


# --- mixing


def mixer_of(kept=6, mix_size=10):
    mixture = Mixture(
        np.zeros((kept, 3)), np.ones(kept), np.full(kept, 500.0), np.zeros(kept), np.full(kept, -1), "isotropic"
    )
    return Mixer(mixture, np.full((kept, 2), 0.5), mix_size, 0.5)


def mixing(mixer=None, *, n_rows=3_000.0, noise=0.5, **changes):
    given = {"per_class": True, "n_components": 8, "min_size": 400, "iterations": 3, "covariance": "isotropic"}
    mixer = mixer or mixer_of()
    stddev = noise * SCORE_GRID * mixer.mix_size
    return advice.diagnose_mixing(mixer, Clusters(**given | changes), n_rows, stddev)


def test_large_clusters_under_little_noise_need_no_advice():
    assert mixing() == []


def test_more_clusters_than_the_minimum_size_allows_are_told():
    only(mixing(n_rows=2_000.0), "more clusters than the minimum size allows")
    assert mixing(n_rows=2_400.0) == []


def test_clusters_that_were_merged_away_are_told():
    only(mixing(n_components=64), "only 6 clusters were large enough, of 64 requested per class")
    assert mixing(n_components=24) == []


def test_a_few_clusters_asked_for_are_not_missed():
    assert mixing(mixer_of(1), n_components=2, n_rows=500.0) == []


def test_noise_beyond_a_deviation_of_the_data_names_the_mix_size_that_would_do():
    found = mixing(mixer_of(mix_size=10), noise=2.5)
    only(found, "noise on a mixed row exceeds the data's standard deviation", "raise mix_size to 25 or more")
    assert mixing(mixer_of(mix_size=25), noise=1.0) == []


def test_the_papers_formula_prices_mixing_as_it_was_booked():
    mixer = mixer_of()
    mechanism = NoisySum(
        context=("r", "anonymize", "mixed-rows"),
        squared_sensitivity=mixer.norm_bound**2,
        mu=0.8,
        relation=Relation.ADD_OR_REMOVE_ONE,
        moved=mixer.length,
    )
    said = advice.paper_formula(mixer, mechanism)
    assert "= 0.8 with p = 1" in said
    assert "mix_size 10" in said
    cheaper = dataclasses.replace(mechanism, mu=0.4)
    assert "= 0.4 with p = 1" in advice.paper_formula(mixer, cheaper)
