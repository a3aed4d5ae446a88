import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threea_spark.approximate.nearest import QuadraticForms

GRID = 4096


def forms_of(k, d, kind, seed, *, size=1.0):
    rng = np.random.default_rng(seed)
    linear = np.rint(rng.normal(size=(d, k)) * size * 2**16) / 2**16
    shape = {"none": None, "diagonal": (k, d), "full": (k, d, d)}[kind]
    quadratic = None if shape is None else np.rint(rng.uniform(0.1, 3.0, shape) * 2**12) / 2**12
    return QuadraticForms(rng.normal(size=k) * size, linear, quadratic)


def rows_of(n, d, seed):
    rng = np.random.default_rng(seed + 1)
    return (np.rint(np.clip(rng.normal(size=(n, d)), -3, 3) * GRID) / GRID).astype(np.float32)


@pytest.mark.parametrize("kind", ["none", "diagonal", "full"])
@settings(max_examples=40, deadline=None)
@given(k=st.integers(1, 40), d=st.integers(1, 30), n=st.integers(0, 700), seed=st.integers(0, 10_000))
def test_the_fast_search_finds_what_float64_finds(kind, k, d, n, seed):
    forms, x = forms_of(k, d, kind, seed), rows_of(n, d, seed)
    assert np.array_equal(forms.least(x), forms.values(x).argmin(axis=1))


@pytest.mark.parametrize("kind", ["none", "diagonal", "full"])
def test_forms_closer_than_float32_can_tell_are_told_apart(kind):
    """Forms differ by less than float32 resolves, so a search in float32 alone must fail."""
    base = forms_of(1, 24, kind, 3, size=30.0)
    k = 8
    gaps = 1e-7 * np.random.default_rng(0).permutation(k)
    quadratic = None if base.quadratic is None else np.repeat(base.quadratic, k, axis=0)
    forms = QuadraticForms(base.constant + gaps, np.repeat(base.linear, k, axis=1), quadratic)
    x = rows_of(4_000, 24, 1)
    assert (forms.least(x) == gaps.argmin()).all()
    single = (x @ forms.linear.astype(np.float32) + forms.constant.astype(np.float32)).argmin(axis=1)
    assert (single != gaps.argmin()).any()


@pytest.mark.parametrize("k", [2, 5, 70])
def test_equal_forms_go_to_the_first(k):
    forms = QuadraticForms(np.zeros(k), np.zeros((3, k)), None)
    assert not forms.least(rows_of(100, 3, 0)).any()


@pytest.mark.parametrize("kind", ["none", "diagonal", "full"])
def test_packed_rows_are_placed_as_their_scores_are(kind):
    forms, x = forms_of(100, 24, kind, 4), rows_of(2_000, 24, 4)
    packed = np.asfortranarray(np.rint(x * GRID).astype(np.int16))
    assert np.array_equal(forms.least(packed, 1.0 / GRID), forms.values(x).argmin(axis=1))


def test_a_row_is_placed_alike_alone_and_in_any_batch():
    forms, x = forms_of(300, 24, "none", 5), rows_of(3_000, 24, 5)
    whole = forms.least(x)
    assert np.array_equal(np.concatenate([forms.least(x[i : i + 7]) for i in range(0, 3_000, 7)]), whole)
    assert np.array_equal(forms.least(np.asfortranarray(x)), whole)
    assert np.array_equal(forms.least(x[::-1])[::-1], whole)


def test_some_forms_are_searched_alone():
    forms, x = forms_of(6, 4, "diagonal", 2), rows_of(200, 4, 2)
    which = np.array([1, 4, 5])
    assert np.array_equal(forms.some(which).least(x), forms.values(x)[:, which].argmin(axis=1))


def test_values_too_large_for_float32_are_still_placed():
    forms = QuadraticForms(np.array([0.0, -1.0]), np.array([[1e300, 1e300]]), None)
    assert (
        forms.least(np.full((3, 1), 2.0, np.float32)).tolist()
        == forms.values(np.full((3, 1), 2.0)).argmin(axis=1).tolist()
    )
