import hashlib
import subprocess
import sys

import numpy as np
import pytest
from noise_sources import SeededNoise
from scipy.special import ndtr
from scipy.stats import binom, chisquare, kstest, norm
from thresholds import ALPHA, DRAWS, WRONG_SCALES

from threea_spark.errors import PrivacyError
from threea_spark.privacy.noise import (
    CUT_STDDEVS,
    KeyedNoise,
    context_bytes,
    new_key,
    numeric_epsilon,
    squared_relative_error,
    stddev_of,
)

KEY = bytes(range(32))
STDDEVS = [0.3, 1.0, 2.5, 40.0, 1e6]


def draws(stddev, size=DRAWS, context=("release", "encode", "a"), key=KEY):
    return KeyedNoise(key).rounded_gaussian(stddev, size, context)


def chi_squared_pvalue(x, stddev):
    """Against the exact law of a rounded Gaussian, in about 20 cells of whole numbers."""
    edges = np.unique(np.rint(stddev * norm.ppf(np.linspace(0.0, 1.0, 21)[1:-1]))) + 0.5
    edges = np.concatenate([[edges[0] - 1.0], edges]) if len(edges) < 3 else edges
    probabilities = np.diff(np.concatenate([[0.0], ndtr(edges / stddev), [1.0]]))
    counts = np.bincount(np.searchsorted(edges, x), minlength=len(probabilities))
    return chisquare(counts, probabilities * len(x)).pvalue


@pytest.mark.parametrize("stddev", STDDEVS)
def test_the_noise_has_the_claimed_scale(stddev):
    assert chi_squared_pvalue(draws(stddev), stddev) > ALPHA


@pytest.mark.parametrize("wrong", WRONG_SCALES)
@pytest.mark.parametrize("stddev", STDDEVS)
def test_the_noise_has_no_other_scale(stddev, wrong):
    assert chi_squared_pvalue(draws(wrong * stddev), stddev) < ALPHA


def test_wide_noise_is_gaussian_by_kolmogorov_and_smirnov():
    x = draws(1e6) / 1e6
    assert kstest(x, norm().cdf).pvalue > ALPHA
    for wrong in WRONG_SCALES:
        assert kstest(x, norm(scale=wrong).cdf).pvalue < ALPHA
    assert kstest(x, norm(loc=0.01).cdf).pvalue < ALPHA


def tail_pvalue(x, stddev, far):
    beyond = int(np.sum(np.abs(x) > far * stddev))
    p = 2.0 * ndtr(-far)
    return 2.0 * min(binom.cdf(beyond, len(x), p), binom.sf(beyond - 1, len(x), p))


@pytest.mark.parametrize("far", [2.0, 3.0, 4.0])
def test_tails_are_as_heavy_as_a_gaussians(far):
    assert tail_pvalue(draws(1e6), 1e6, far) > ALPHA
    cut = np.where(np.abs(draws(1e6)) > 2.0e6, 0, draws(1e6))  # the twin: a noise without tails
    assert tail_pvalue(cut, 1e6, far) < ALPHA
    assert tail_pvalue(draws(1.1e6), 1e6, far) < ALPHA


def test_no_draw_lies_beyond_the_cut():
    assert 9.1 < CUT_STDDEVS < 9.3
    assert np.abs(draws(1e6)).max() < CUT_STDDEVS * 1e6


def test_the_noise_is_symmetric():
    x = draws(2.5)
    positive, negative = int(np.sum(x > 0)), int(np.sum(x < 0))
    assert binom.cdf(min(positive, negative), positive + negative, 0.5) > ALPHA
    assert kstest(draws(1e6), -draws(1e6, context=("release", "encode", "b"))).pvalue > ALPHA
    shifted = x[x != 0] + (np.arange(np.sum(x != 0)) % 50 == 0)  # the twin: one draw in fifty is one too high
    assert binom.cdf(int(np.sum(shifted < 0)), len(shifted), 0.5) < ALPHA


def correlation_pvalue(x, y):
    return 2.0 * norm.sf(abs(np.corrcoef(x, y)[0, 1]) * np.sqrt(len(x)))


@pytest.mark.parametrize(
    "other",
    [
        ("release", "encode", "b"),
        ("release", "approximate", "a"),
        ("releas", "eencode", "a"),
        ("release", "encode", "a", 0),
        ("release", "encode", "a", 1),
        ("other", "encode", "a"),
    ],
)
def test_contexts_are_independent(other):
    x, y = draws(40.0), draws(40.0, context=other)
    assert not np.array_equal(x, y)
    assert correlation_pvalue(x, y) > ALPHA
    mixed = np.where(np.arange(DRAWS) % 50 == 0, x, y)  # the twin: one draw in fifty is shared
    assert correlation_pvalue(x, mixed) < ALPHA


def test_neighbouring_draws_are_independent():
    x = draws(40.0)
    for lag in (1, 2, 17):
        assert correlation_pvalue(x[:-lag], x[lag:]) > ALPHA
    sticky = np.where(np.arange(DRAWS - 1) % 50 == 0, x[:-1], x[1:])
    assert correlation_pvalue(x[:-1], sticky) < ALPHA


def test_other_keys_give_other_noise():
    x, y = draws(40.0, 1_000), draws(40.0, 1_000, key=bytes(range(1, 33)))
    assert not np.array_equal(x, y)
    assert len({new_key() for _ in range(50)}) == 50


def test_equal_key_and_context_give_equal_noise_also_in_another_process():
    code = (
        "import sys; from threea_spark.privacy.noise import KeyedNoise;"
        "x = KeyedNoise(bytes(range(32))).rounded_gaussian(40.0, 1000, ('release', 'encode', 'a', 7));"
        "sys.stdout.write(','.join(map(str, x)))"
    )
    there = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    here = draws(40.0, 1_000, ("release", "encode", "a", 7))
    assert there == ",".join(map(str, here))
    assert np.array_equal(here, draws(40.0, 1_000, ("release", "encode", "a", 7)))


def test_a_longer_draw_begins_with_the_shorter_one():
    assert np.array_equal(draws(40.0, 10), draws(40.0, 1_000)[:10])


def test_the_noise_of_a_known_key_is_known():
    x = draws(1000.0, 8, ("known", "answer", 1))
    stream = hashlib.shake_256(KEY + context_bytes(("known", "answer", 1))).digest(64)
    words = [int.from_bytes(stream[8 * i : 8 * i + 8], "little") for i in range(8)]
    expected = [(1 if word >> 63 else -1) * -norm.ppf(((word & (2**63 - 1)) + 0.5) / 2**64) * 1000.0 for word in words]
    assert x.tolist() == [round(value) for value in expected]
    assert x.tolist() == [-1275, -1194, -337, 696, 2145, -567, -1082, -1354]


def test_contexts_never_share_their_bytes():
    contexts = [("a", "b"), ("ab",), ("a", "b", ""), ("", "a", "b"), ("a", 1), ("a", "1"), (1, "a"), ("a1",), ()]
    assert len({context_bytes(context) for context in contexts}) == len(contexts)


@pytest.mark.parametrize("stddev", [0.0, -1.0, float("nan"), float("inf"), 2.0**53])
def test_noise_of_no_sound_scale_is_refused(stddev):
    with pytest.raises(PrivacyError, match="stddev"):
        draws(stddev, 1)


@pytest.mark.parametrize("key", [b"", b"short", bytes(31), bytes(33)])
def test_a_key_of_another_length_is_refused(key):
    with pytest.raises(PrivacyError, match="32 bytes"):
        KeyedNoise(key)


def test_the_key_does_not_show():
    assert "secret" in repr(KeyedNoise(KEY))
    assert KEY.hex() not in repr(KeyedNoise(KEY))


@pytest.mark.parametrize(("sensitivity", "mu"), [(0.0, 1.0), (1.0, 0.0), (float("nan"), 1.0), (1.0, float("inf"))])
def test_noise_without_a_bound_or_a_price_is_refused(sensitivity, mu):
    with pytest.raises(PrivacyError):
        stddev_of(sensitivity, mu)


def test_what_float64_adds_to_the_loss_stays_far_below_the_claim():
    error = squared_relative_error(100_000, 1e6)
    assert 0.0 < numeric_epsilon(error, 1e-9) < 1e-4
    assert squared_relative_error(2, 1e6) == pytest.approx(2 * squared_relative_error(1, 1e6))


def test_the_tests_own_noise_has_its_scale_too():
    x = SeededNoise(5).rounded_gaussian(40.0, DRAWS, ("a",))
    assert chi_squared_pvalue(x, 40.0) > ALPHA
    wrong = SeededNoise(5, factor=0.95).rounded_gaussian(40.0, DRAWS, ("a",))
    assert chi_squared_pvalue(wrong, 40.0) < ALPHA
