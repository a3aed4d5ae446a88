import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import chisquare, spearmanr
from small_tables import category, number
from test_model_store import model_of, same

from threea_spark.encode.categories import CategoryCodec
from threea_spark.encode.codec import Encoding
from threea_spark.encode.feature import CATEGORY_COORDINATE, SCORE_GRID
from threea_spark.encode.moments import AffineCodec
from threea_spark.encode.numbers import PointCodec
from threea_spark.model.gaussian_classes import Discriminant, discriminant_sampler, within_classes
from threea_spark.model.released import ReleaseModel
from threea_spark.model.sampler import decode_rows

ALPHA = 1e-4
N = 40_000
EDGES = ndtri(np.arange(1, 32) / 32)
SHARES = np.array([0.5, 0.3, 0.2])
COLUMN = {"a": 0, "b": 1, "c": 2, "q": 3, "idle": 4, "whole": 5, "far": 6, "ward": 7, "sex": 8}
UNIT = CATEGORY_COORDINATE / SCORE_GRID  # what one row in a level adds to the level's mean


def affine(name, *, kind="float", nullable=False, lower=-1e3, upper=1e3, mean=10.0, scale=5.0, nulls=0.0):
    return AffineCodec(name, kind, nullable, lower, upper, mean, scale, EDGES, null_share=nulls)


ENCODING = Encoding(
    (
        affine("a"),
        affine("b"),
        affine("c", nullable=True, nulls=0.2),
        dataclasses.replace(number("q", nullable=True), null_share=0.1),
        affine("idle", nullable=True, nulls=0.3),
        affine("whole", kind="integer", lower=0.0, upper=20.0),
        affine("far", lower=0.0, upper=12.0),
        CategoryCodec("ward", ("x", "y", "z"), False, np.arange(3), np.array([60.0, 30.0, 10.0])),
        CategoryCodec("sex", ("f", "m"), True, np.arange(3), np.array([45.0, 45.0, 10.0])),
    ),
    category("died", "no", "perhaps", "yes"),
    20.0,
)
CHOSEN = np.array([True, True, True, True, False, False, False, True, False])


def centred(deviations):
    return deviations - SHARES @ deviations


def model(**changes):
    width, features = ENCODING.width, len(ENCODING.features)
    start = dict(zip(COLUMN, ENCODING.offsets, strict=True))
    pooled, deviations = np.zeros(width), np.zeros((3, width))
    pooled[start["a"]], pooled[start["whole"]], pooled[start["far"]] = 0.1, 0.33, 50.0
    pooled[start["c"] + 1] = 0.2 * UNIT
    pooled[start["q"] + 1] = 0.1 * UNIT
    pooled[start["idle"]], pooled[start["idle"] + 1] = -0.5, 0.3 * UNIT
    deviations[:, start["a"]] = [-1.0, 0.5, 2.0]
    deviations[:, start["b"]] = [0.4, 0.0, -1.0]
    deviations[:, start["q"]] = [0.3, -0.3, 0.0]
    deviations[:, start["c"] + 1] = np.array([0.1, -0.1, -0.1]) * UNIT
    deviations[:, start["ward"] : start["ward"] + 3] = np.array([[0.2, -0.2, 0], [-0.3, 0.2, 0.1], [0, 0, 0]]) * UNIT
    correlations = np.eye(features)
    correlations[0, 1] = correlations[1, 0] = 0.7
    within = np.where(CHOSEN, 2.0, 1.0)
    given = Discriminant(SHARES, pooled, centred(deviations), CHOSEN, within, correlations)
    return dataclasses.replace(given, **changes)


@pytest.fixture(scope="module")
def drawn():
    return rows_of(*discriminant_sampler(ENCODING, model()))


def rows_of(encoding, sampler, seed=1):
    rng = np.random.default_rng(seed)
    cells, classes = sampler.draw_cells(encoding, N, rng)
    return encoding, decode_rows(encoding, "died", cells, classes, rng), classes


def score_of(drawn, name):
    return ENCODING.features[COLUMN[name]].score(drawn[1][name].values)


def frequencies(levels, n=3):
    return np.bincount(np.where(levels < 0, n - 1, levels), minlength=n)


# --- the covariance inside classes


@settings(max_examples=60, deadline=None)
@given(f=st.integers(1, 12), seed=st.integers(0, 10_000), size=st.floats(0.0, 30.0))
def test_what_is_left_inside_classes_is_positive_definite_whatever_the_deviations(f, seed, size):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(f, f))
    inside = within_classes(root @ root.T, size * rng.normal(size=(3, f)), SHARES)
    assert np.allclose(inside, inside.T)
    assert np.linalg.eigvalsh(inside).min() > 0.3
    np.linalg.cholesky(inside)


def test_the_plain_difference_would_not_be_positive_definite():
    deviations = np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 0.0]])
    assert np.linalg.eigvalsh(np.eye(2) - (deviations.T * SHARES) @ deviations).min() < 0.0
    assert np.linalg.eigvalsh(within_classes(np.eye(2), deviations, SHARES)).min() > 0.0


def test_the_covariance_inside_classes_is_that_of_the_rows_widened():
    rng = np.random.default_rng(2)
    classes = rng.choice(3, 50_000, p=SHARES)
    means = centred(np.array([[-0.7, 0.2], [0.6, -0.4], [0.8, 0.1]]))
    rows = means[classes] + rng.normal(size=(50_000, 2)) @ np.array([[0.7, 0.2], [0.0, 0.6]])
    total = np.cov(rows.T)
    own = np.cov((rows - means[classes]).T)
    found = within_classes(total, means, SHARES)
    assert found / found[0, 0] == pytest.approx(own / own[0, 0], abs=0.02)  # in proportion: widening keeps the shape
    assert found[0, 0] > own[0, 0]
    unmoved = within_classes(total, np.zeros((3, 2)), SHARES)  # the twin: without means all of it stays inside
    assert unmoved / unmoved[0, 0] != pytest.approx(own / own[0, 0], abs=0.02)


def test_no_number_leaves_no_covariance():
    assert within_classes(np.eye(0), np.zeros((3, 0)), SHARES).shape == (0, 0)


# --- drawn rows


def test_classes_have_their_shares(drawn):
    counts = np.bincount(drawn[2], minlength=3)
    assert chisquare(counts, SHARES * N).pvalue > ALPHA
    assert chisquare(counts, np.array([0.48, 0.32, 0.2]) * N).pvalue < ALPHA


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_chosen_number_has_unit_variance_over_all_rows_and_its_mean(drawn, name):
    score = score_of(drawn, name)
    assert score.var() == pytest.approx(1.0, abs=0.04)
    assert score.mean() == pytest.approx(model().pooled[ENCODING.offsets[COLUMN[name]]], abs=0.03)


def test_variance_is_not_one_where_classes_have_other_shares():
    encoding, sampler = discriminant_sampler(ENCODING, model())
    other = rows_of(encoding, dataclasses.replace(sampler, weights=np.array([0.02, 0.02, 0.96])))
    assert score_of(other, "a").var() != pytest.approx(1.0, abs=0.04)


def test_class_means_lie_where_they_were_found_in_units_of_all_rows(drawn):
    for name in ("a", "b"):
        place = ENCODING.offsets[COLUMN[name]]
        own = model().deviations[:, place]
        expected = model().pooled[place] + own / np.sqrt(2.0 + SHARES @ own**2)
        found = [score_of(drawn, name)[drawn[2] == c].mean() for c in range(3)]
        assert found == pytest.approx(expected, abs=0.04)
        assert found[::-1] != pytest.approx(expected, abs=0.04)


def test_a_number_in_quantiles_moves_the_same_way(drawn):
    known = ~np.isnan(drawn[1]["q"].values)
    score = np.where(known, ENCODING.features[3].score(np.where(known, drawn[1]["q"].values, 0.0)), 0.0)
    means = [score[known & (drawn[2] == c)].mean() for c in range(3)]
    assert means[0] > means[2] > means[1]
    assert score[known].var() == pytest.approx(1.0, abs=0.1)


def test_chosen_numbers_hang_together_inside_a_class(drawn):
    first = drawn[2] == 0
    a, b, c = (drawn[1][name].values[first] for name in ("a", "b", "c"))
    known = ~np.isnan(c)
    assert spearmanr(a, b).statistic == pytest.approx(6.0 / np.pi * np.arcsin(0.35), abs=0.03)
    assert abs(spearmanr(a[known], c[known]).statistic) < 0.03


def test_a_number_that_was_not_chosen_is_its_mean(drawn):
    encoding, columns, _ = drawn
    known = columns["idle"].values[~np.isnan(columns["idle"].values)]
    assert np.unique(known) == pytest.approx([10.0 - 5.0 * 0.5 / 0.7])  # of the rows that are not null
    assert set(columns["whole"].values.tolist()) == {12.0}  # 11.65, and whole
    assert [type(code) is PointCodec for code in encoding.features] == [
        not chosen and not code.is_category for code, chosen in zip(ENCODING.features, CHOSEN, strict=True)
    ]
    assert len(set(columns["a"].values.tolist())) > 1_000


@pytest.mark.parametrize(("score", "expected"), [(50.0, 12.0), (-50.0, 0.0), (1e9, 12.0)])
def test_a_mean_beyond_the_bounds_is_drawn_to_them(score, expected):
    pooled = model().pooled.copy()
    pooled[ENCODING.offsets[COLUMN["far"]]] = score
    encoding, _ = discriminant_sampler(ENCODING, model(pooled=pooled))
    assert encoding.features[COLUMN["far"]].point == expected


def test_nulls_keep_their_share_in_every_class(drawn):
    _, columns, classes = drawn
    moved = centred(np.array([[0.1], [-0.1], [-0.1]]))[:, 0]
    for name, expected in (("idle", np.full(3, 0.3)), ("c", 0.2 + moved), ("q", np.full(3, 0.1))):
        missing = np.isnan(columns[name].values)
        for c in range(3):
            own = missing[classes == c]
            counts = [own.sum(), len(own) - own.sum()]
            assert chisquare(counts, np.array([expected[c], 1.0 - expected[c]]) * len(own)).pvalue > ALPHA
    assert not np.isnan(columns["a"].values).any()
    wrong = np.isnan(columns["c"].values)[classes == 0]
    assert chisquare([wrong.sum(), (~wrong).sum()], np.array([0.2, 0.8]) * len(wrong)).pvalue < ALPHA


def test_categories_follow_the_law_of_all_rows_moved_by_the_class(drawn):
    _, columns, classes = drawn
    pooled = np.array([0.6, 0.3, 0.1])
    law = pooled + centred(np.array([[0.2, -0.2, 0.0], [-0.3, 0.2, 0.1], [0.0, 0.0, 0.0]]))
    for c in range(3):
        counts = frequencies(columns["ward"].levels[classes == c])
        assert chisquare(counts, law[c] / law[c].sum() * counts.sum()).pvalue > ALPHA
        assert chisquare(counts, law[(c + 1) % 3] / law[(c + 1) % 3].sum() * counts.sum()).pvalue < ALPHA


def test_a_category_that_was_not_chosen_has_one_law_and_keeps_its_nulls(drawn):
    _, columns, classes = drawn
    for c in range(3):
        counts = frequencies(columns["sex"].levels[classes == c])
        assert chisquare(counts, np.array([0.45, 0.45, 0.1]) * counts.sum()).pvalue > ALPHA
        assert chisquare(counts, np.array([0.4, 0.4, 0.2]) * counts.sum()).pvalue < ALPHA


def test_everything_stays_within_its_bounds_and_types(drawn):
    _, columns, _ = drawn
    for code in ENCODING.features:
        if not code.is_category:
            known = columns[code.name].values[~np.isnan(columns[code.name].values)]
            assert known.min() >= code.lower
            assert known.max() <= code.upper


def test_a_chosen_whole_number_stays_whole_and_within_its_bounds():
    chosen = CHOSEN.copy()
    chosen[COLUMN["whole"]] = True
    _, columns, _ = rows_of(*discriminant_sampler(ENCODING, model(chosen=chosen)))
    values = columns["whole"].values
    assert np.array_equal(values, np.rint(values))
    assert len(set(values.tolist())) > 5
    assert values.min() >= 0.0
    assert values.max() <= 20.0


@pytest.mark.parametrize("size", [1e3, -1e3, 1e6])
def test_noise_of_any_size_gives_laws(size):
    rng = np.random.default_rng(3)
    wild = model(pooled=size * rng.normal(size=ENCODING.width), deviations=size * rng.normal(size=(3, ENCODING.width)))
    encoding, sampler = discriminant_sampler(ENCODING, wild)
    assert np.isfinite(sampler.laws).all()
    assert (sampler.laws >= 0.0).all()
    totals = np.add.reduceat(sampler.laws, encoding.cell_layout.offsets[:-1], axis=1)
    assert np.allclose(totals, 1.0)


def test_a_category_of_no_mass_is_drawn_evenly():
    empty = CategoryCodec("k", ("x", "y"), False, np.arange(2), np.zeros(2))
    encoding = Encoding((empty,), category("died", "no", "yes"), 1.0)
    even = Discriminant(np.full(2, 0.5), np.zeros(2), np.zeros((2, 2)), np.array([False]), np.ones(1), np.eye(1))
    assert discriminant_sampler(encoding, even)[1].laws == pytest.approx(np.full((2, 2), 0.5))


# --- saved


def test_a_saved_model_of_points_draws_the_same_rows(tmp_path):
    encoding, sampler = discriminant_sampler(ENCODING, model())
    saved = dataclasses.replace(model_of(), encoding=encoding, sampler=sampler)
    saved.save(tmp_path / "model")
    loaded = ReleaseModel.load(tmp_path / "model")
    assert same(loaded, saved)
    assert isinstance(loaded.encoding.features[COLUMN["idle"]], PointCodec)
    one, two = (rows_of(m.encoding, m.sampler, seed=5) for m in (saved, loaded))
    for name in COLUMN:
        assert np.array_equal(*(dataclasses.astuple(drawn[1][name])[0] for drawn in (one, two)), equal_nan=True)
    assert np.array_equal(one[2], two[2])
    assert not np.array_equal(one[2], rows_of(encoding, sampler, seed=6)[2])
