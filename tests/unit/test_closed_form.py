import math
import subprocess
import sys

import numpy as np
import pytest
from scipy.special import erf

from threea_spark.errors import ConfigError
from threea_spark.model.ntk import Architecture, ntk

RNG = np.random.default_rng(20240601)
ROWS, POINTS = RNG.normal(size=(6, 4)), RNG.normal(size=(5, 4))
BOTH = pytest.mark.parametrize("activation", ["relu", "erf"])


def quadrature_ntk(x1, x2, architecture, f, slope):
    """The recursion with every Gaussian mean taken by Gauss-Hermite quadrature instead of a closed form."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    weights = weights / weights.sum()
    w2, b2 = architecture.weight_std**2, architecture.bias_std**2

    def mean(g, p1, q, p2):
        u = math.sqrt(p1) * nodes[:, None]
        v = q / math.sqrt(p1) * nodes[:, None] + math.sqrt(max(p2 - q * q / p1, 0.0)) * nodes[None, :]
        return float(weights @ (g(u) * g(v)) @ weights)

    p1, q, p2 = (w2 * float(a @ b) / len(a) + b2 for a, b in ((x1, x1), (x1, x2), (x2, x2)))
    tangent = q
    for _ in range(architecture.depth):
        tangent *= w2 * mean(slope, p1, q, p2)
        p1, q, p2 = (w2 * mean(f, *cov) + b2 for cov in ((p1, p1, p1), (p1, q, p2), (p2, p2, p2)))
        tangent += q
    return tangent


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_erf_kernel_equals_its_recursion_by_quadrature(depth):
    architecture = Architecture(activation="erf", depth=depth, weight_std=1.2, bias_std=0.3)
    expected = quadrature_ntk(
        ROWS[0], POINTS[0], architecture, erf, lambda u: 2.0 / math.sqrt(math.pi) * np.exp(-np.square(u))
    )
    assert ntk(ROWS[:1], POINTS[:1], architecture)[0, 0] == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("depth", [1, 2])
def test_relu_kernel_equals_its_recursion_by_quadrature(depth):
    architecture = Architecture(activation="relu", depth=depth, weight_std=1.2, bias_std=0.3)
    expected = quadrature_ntk(
        ROWS[0], POINTS[0], architecture, lambda u: np.maximum(u, 0.0), lambda u: np.heaviside(u, 0.5)
    )
    assert ntk(ROWS[:1], POINTS[:1], architecture)[0, 0] == pytest.approx(expected, rel=1e-2)  # kinks slow the rule


def test_relu_kernel_by_hand():
    x = math.sqrt(2.0) * np.eye(2)  # |x|^2 / d = 1, orthogonal
    kernel = ntk(x, x, Architecture(activation="relu", depth=1, weight_std=math.sqrt(2.0), bias_std=0.0))
    np.testing.assert_allclose(
        kernel, [[4.0, 2.0 / math.pi], [2.0 / math.pi, 4.0]], rtol=1e-7
    )  # the arc cosine is flat at 1


@BOTH
def test_blocks_add_up_and_float32_gives_float64(activation):
    architecture = Architecture(activation=activation, depth=2)
    rows = ROWS.astype(np.float32)
    whole = ntk(rows, POINTS, architecture)
    assert whole.dtype == np.float64
    parts = [ntk(rows[:2], POINTS, architecture), ntk(rows[2:], POINTS, architecture)]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-13)
    np.testing.assert_allclose(ntk(POINTS, rows, architecture).T, whole, rtol=1e-13)


@BOTH
def test_kernel_of_a_set_with_itself_is_positive_definite(activation):
    eigenvalues = np.linalg.eigvalsh(ntk(ROWS, ROWS, Architecture(activation=activation)))
    assert eigenvalues.min() > 1e-3


@BOTH
def test_nan_stays_in_its_row_and_a_zero_row_is_finite(activation):
    rows = ROWS.copy()
    rows[0, 0], rows[1] = np.nan, 0.0
    kernel = ntk(rows, POINTS, Architecture(activation=activation, bias_std=0.0))
    assert np.isnan(kernel[0]).all()
    assert np.isfinite(kernel[1:]).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"activation": "tanh"},
        {"depth": 0},
        {"weight_std": 0.0},
        {"weight_std": math.nan},
        {"weight_std": math.inf},
        {"bias_std": -0.1},
        {"bias_std": math.nan},
    ],
)
def test_each_validator_fires(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Architecture(**wrong)


def test_settings_and_closed_form_need_no_jax():
    code = "import sys, threea_spark.adapt.settings; sys.exit(bool({'jax', 'pyspark', 'pandas'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)


def batched(product, rows, points, sizes):
    """Kernels of all rows, computed in batches of these sizes."""
    parts, start = [], 0
    while start < len(rows):
        size = sizes[len(parts) % len(sizes)]
        parts.append(product(rows[start : start + size], points))
        start += size
    return np.concatenate(parts)


@BOTH
@pytest.mark.parametrize("width", [3, 23, 61])
def test_a_row_s_kernel_depends_on_no_other_row_of_its_batch(activation, width):
    """On the grid that features lie on, to the last bit: products are exact there, and are scaled only afterwards."""
    on_grid = [np.rint(RNG.normal(size=(n, width)) * 2.0**18) / 2.0**18 for n in (4000, 200)]
    architecture = Architecture(activation=activation, depth=2)

    def kernel(rows, points):
        return ntk(rows, points, architecture)

    whole = kernel(*on_grid)
    for sizes in ((1,), (7, 64, 3), (1000,)):
        assert np.array_equal(batched(kernel, *on_grid, sizes), whole)


def test_products_that_are_scaled_first_depend_on_their_batch():
    """The twin: what is off the grid is rounded as BLAS adds it up, which differs with a batch's shape."""
    rows, points = (np.rint(RNG.normal(size=(n, 23)) * 2.0**18) / 2.0**18 for n in (4000, 200))

    def scaled_first(rows, points):
        return rows @ (points.T * (2.25 / 23))

    whole = scaled_first(rows, points)
    assert any(not np.array_equal(batched(scaled_first, rows, points, sizes), whole) for sizes in ((1,), (7, 64, 3)))
