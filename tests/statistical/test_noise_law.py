import hashlib
import subprocess
import sys

import numpy as np
import pytest
from mpmath import mp
from noise_sources import SeededNoise, drawn
from scipy.special import ndtr
from scipy.stats import binom, chisquare, kstest, norm
from some import some
from thresholds import ALPHA, DRAWS, WRONG_SCALES

from threea_spark.errors import PrivacyError
from threea_spark.privacy.noise import (
    RELATIVE_ERROR,
    KeyedNoise,
    _symmetric_normal,
    context_bytes,
    grid_of,
    new_key,
    numeric_epsilon,
    squared_relative_error,
    stddev_of,
    unreachable_mass,
)

KEY = bytes(range(32))
KNOWN = [-1275, -337, 2145, -1082, 1284, -1887, -491, -994]
STDDEVS = [0.3, 1.0, 2.5, 40.0, 1e6]


def draws(stddev, size=DRAWS, context=("release", "encode", "a"), key=KEY):
    return drawn(KeyedNoise(key), stddev, size, context)


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
@pytest.mark.parametrize("stddev", some(STDDEVS, [0.3, 40.0]))
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


def words_at(tail, bits=128):
    """The word (high, low) whose lower-tail uniform is nearest to `tail`, of so many bits; the top bit is the sign."""
    numerator = int(mp.mpf(tail) * mp.mpf(2) ** bits) << (128 - bits)
    return np.array([[numerator >> 64, numerator & (2**64 - 1)]], dtype=np.uint64)


def reached(far, stddev, bits):
    """Of 40 neighbouring integers that lie `far` standard deviations out: how many have a word that leads to them."""
    first = -int(far * stddev)
    hit = 0
    for k in range(first, first + 40):
        words = words_at(mp.ncdf(mp.mpf(k) / mp.mpf(stddev)), bits)
        hit += int(np.rint(stddev * _symmetric_normal(words))[0]) == k
    return hit


@pytest.mark.parametrize("far", [1.0, 4.0, 7.0, 9.0, 10.3])
def test_every_integer_of_the_tail_can_be_drawn(far):
    """In steps of a stddev as fine as a released sum has at most; with 64 bits most of the tail has no word."""
    stddev = 8191.0
    assert reached(far, stddev, 128) == 40
    assert (reached(far, stddev, 64) < 40) == (far >= 9.0)


def test_words_of_64_bits_leave_gaps_where_128_have_none():
    """On a grid of 1, eight and a half standard deviations out: two integers in three hundred would have a word."""
    assert reached(8.5, 1e6, 128) == 40
    assert reached(8.5, 1e6, 64) < 5


def error_of_an_edge(far, stddev, rest):
    """By how much float64 moves a draw, in units of 2^-53 stddev, against 60 digits."""
    words = words_at(mp.ncdf(-mp.mpf(far)))
    uniform = (mp.mpf(int(words[0, 0])) + (mp.mpf(int(words[0, 1])) + mp.mpf("0.5")) / 2**64) / 2**64
    found = stddev * _symmetric_normal(words)
    exact = mp.mpf(float(found[0])) / stddev
    for _ in range(4):
        exact -= (mp.ncdf(exact) - uniform) / mp.npdf(exact)
    found += rest
    return float(abs((mp.mpf(float(found[0])) - rest) / mp.mpf(stddev) - exact) * mp.mpf(2) ** 53)


def test_float64_moves_the_edges_of_a_cell_by_no_more_than_is_counted():
    rng, worst = np.random.default_rng(0), 0.0
    with mp.workdps(60):
        for far in rng.uniform(0.01, 10.4, 200):
            stddev = float(rng.uniform(0.5, 2.0) * 10.0 ** rng.integers(0, 9))
            worst = max(worst, error_of_an_edge(far, stddev, int(rng.integers(0, grid_of(stddev)))))
    allowed = RELATIVE_ERROR * 2.0**53 - 16.0  # the rest is for counting in steps
    assert 20.0 < 2.0 * worst < allowed  # two edges; 16 units in all, once thought enough, would be exceeded


def test_a_grid_is_a_power_of_two_at_most_a_4096th_of_the_noise():
    for stddev in (0.3, 1.0, 4096.0, 8191.9, 8192.0, 1e6, 3.7e11):
        grid = grid_of(stddev)
        assert grid & (grid - 1) == 0
        assert grid == 1 or 4096.0 <= stddev / grid < 8192.0
    assert grid_of(8191.9) == 1
    assert grid_of(8192.0) == 2


@pytest.mark.parametrize("stddev", [2.5, 1e6, 1e9])
def test_sums_and_noise_are_rounded_together_to_the_grid(stddev):
    exact = np.array([0, 1, -1, 12345, -(2**40) - 7, 2**52 + 3], dtype=np.int64)
    noise, grid = KeyedNoise(KEY), grid_of(stddev)
    found = noise.noised(exact, stddev, ("a",))
    assert np.all(found % grid == 0)
    ideal = [  # in exact arithmetic: the sum plus the same draw
        int(mp.nint((mp.mpf(int(own)) + mp.mpf(float(draw))) / grid)) * grid
        for own, draw in zip(exact, stddev * standard_draws(("a",), len(exact)), strict=True)
    ]
    assert found.tolist() == ideal
    apart = exact - exact % grid + noise.noised(0 * exact, stddev, ("a",))
    assert np.array_equal(found, apart) == (grid == 1)  # a sum rounded by itself would move further than is priced


def standard_draws(context, size):
    stream = hashlib.shake_256(KEY + context_bytes(context)).digest(16 * size)
    return _symmetric_normal(np.frombuffer(stream, dtype="<u8").reshape(size, 2))


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
        "import sys; import numpy as np; from threea_spark.privacy.noise import KeyedNoise;"
        "zeros = np.zeros(1000, dtype=np.int64);"
        "x = KeyedNoise(bytes(range(32))).noised(zeros, 40.0, ('release', 'encode', 'a', 7));"
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
    stream = hashlib.shake_256(KEY + context_bytes(("known", "answer", 1))).digest(128)
    words = [int.from_bytes(stream[8 * i : 8 * i + 8], "little") for i in range(16)]
    drawn_by_hand = []
    for high, low in zip(words[::2], words[1::2], strict=True):
        uniform = ((high & (2**63 - 1)) + (low + 0.5) / 2**64) / 2**64
        drawn_by_hand.append(round((1 if high >> 63 else -1) * -norm.ppf(uniform) * 1000.0))
    assert x.tolist() == drawn_by_hand
    assert x.tolist() == KNOWN


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
    error = squared_relative_error(10_000_000, 1e9)
    assert 0.0 < numeric_epsilon(error, 1.0, 1e-9) < 1e-5
    assert squared_relative_error(2, 1e6) == pytest.approx(2 * squared_relative_error(1, 1e6))
    assert unreachable_mass(10_000_000) < 1e-16


def test_a_mean_of_first_order_is_counted():
    """Probabilities may err so that the mean loss moves by 0.8 eta s / stddev, which a bound of eta^2 would miss."""
    eta, stddev, moved = 1e-4, 20.0, 20
    k = np.arange(-400, 401)
    ideal = np.diff(ndtr((np.arange(-400, 402) - 0.5) / stddev))
    under_neighbour = np.diff(ndtr((np.arange(-400, 402) - 0.5 - moved) / stddev))
    sign = np.where(ideal > under_neighbour, -1.0, 1.0)
    error = eta * (sign - np.sum(sign * under_neighbour))  # averages to 0 under the neighbour's law, as it must
    assert abs(np.sum(under_neighbour * error)) < 1e-12
    drift = abs(np.sum(ideal * np.log1p(error)))
    counted = numeric_epsilon(eta**2, moved / stddev, 0.5) - 2.0 * np.sqrt(2.0 * eta**2 * np.log(2.0))
    assert len(k) == len(ideal)
    assert 10.0 * eta**2 < drift <= 2.0 * counted


def test_the_tests_own_noise_has_its_scale_too():
    x = drawn(SeededNoise(5), 40.0, DRAWS, ("a",))
    assert chi_squared_pvalue(x, 40.0) > ALPHA
    wrong = drawn(SeededNoise(5, factor=0.95), 40.0, DRAWS, ("a",))
    assert chi_squared_pvalue(wrong, 40.0) < ALPHA
