import importlib
import importlib.util
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from threea_spark.adapt import kernel
from threea_spark.adapt.reference_kernel import check_kernel, import_stax, reference_kernel_fn
from threea_spark.config.adapt import AdaptConfig
from threea_spark.errors import EnvironmentNotReadyError
from threea_spark.model.ntk import Architecture, ntk

RNG = np.random.default_rng(20240602)
ROWS, POINTS = RNG.normal(size=(7, 5)), RNG.normal(size=(4, 5))
BOTH = pytest.mark.parametrize("activation", ["relu", "erf"])
DEPTHS = pytest.mark.parametrize("depth", [1, 2, 3])


@pytest.fixture(autouse=True)
def float64():
    with kernel.x64():
        yield


def difference(f, x, step=1e-6):
    """Central differences of f, a float of an array."""
    out = np.zeros_like(x)
    for at in np.ndindex(*x.shape):
        e = np.zeros_like(x)
        e[at] = step
        out[at] = (f(x + e) - f(x - e)) / (2 * step)
    return out


@BOTH
@DEPTHS
@pytest.mark.parametrize("bias_std", [0.0, 0.4])
def test_both_closed_forms_equal_neural_tangents(activation, depth, bias_std):
    architecture = Architecture(activation=activation, depth=depth, weight_std=1.3, bias_std=bias_std)
    rows, points = jnp.asarray(ROWS), jnp.asarray(POINTS)
    theirs, itself = (np.asarray(reference_kernel_fn(architecture)(rows, of)) for of in (points, rows))
    assert theirs.dtype == np.float64
    np.testing.assert_allclose(ntk(ROWS, POINTS, architecture), theirs, rtol=1e-12)
    np.testing.assert_allclose(kernel.kernel_fn(architecture)(rows, points), theirs, rtol=1e-12)
    for own in (ntk(ROWS, ROWS, architecture), kernel.kernel_fn(architecture)(rows, rows)):
        np.testing.assert_allclose(own, itself, rtol=1e-6)  # the arc cosine is flat at 1


@BOTH
@DEPTHS
def test_kernel_gradient_equals_finite_differences(activation, depth):
    architecture = Architecture(activation=activation, depth=depth)
    weights = RNG.normal(size=(7, 4))
    gradient, theirs = (
        jax.grad(lambda x, make=make: jnp.sum(weights * make(architecture)(jnp.asarray(ROWS), x)))(jnp.asarray(POINTS))
        for make in (kernel.kernel_fn, reference_kernel_fn)
    )
    np.testing.assert_allclose(gradient, theirs, rtol=1e-9, atol=1e-12)
    expected = difference(lambda x: float(np.sum(weights * ntk(ROWS, x, architecture))), POINTS)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8)


@BOTH
@DEPTHS
def test_slopes_give_the_gradient_by_each_point(activation, depth):
    architecture, width = Architecture(activation=activation, depth=depth), ROWS.shape[1]
    rows, points = jnp.asarray(ROWS), jnp.asarray(POINTS)
    products = kernel.input_products(points, rows)
    np.testing.assert_allclose(
        kernel.kernel_of_products(architecture, *products), ntk(POINTS, ROWS, architecture), rtol=1e-12
    )
    by_q, by_p1 = kernel.slopes(architecture, *products)
    mine = (by_q[:, :, None] * rows[None] + 2.0 * by_p1[:, :, None] * points[:, None, :]) / width
    one = jax.grad(lambda point, row: reference_kernel_fn(architecture)(row[None], point[None])[0, 0])
    theirs = jax.jit(jax.vmap(lambda point: jax.vmap(lambda row: one(point, row))(rows)))(points)
    np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)


@BOTH
@DEPTHS
def test_diagonal_slope_equals_finite_differences(activation, depth):
    architecture, width = Architecture(activation=activation, depth=depth), ROWS.shape[1]
    p = np.sum(ROWS**2, axis=1) / width
    slope = np.asarray(kernel.diagonal_slope(architecture, jnp.asarray(p)))
    # The arc cosine is good to 1e-8 only where rows coincide: a wide step keeps that out of the quotient.
    expected = difference(lambda x: float(np.trace(ntk(x, x, architecture))), ROWS, step=1e-3)
    np.testing.assert_allclose(2.0 * slope[:, None] * ROWS / width, expected, rtol=1e-3, atol=2e-4)


def test_the_angle_is_numpys_in_all_quadrants_and_on_the_axes():
    y, x = RNG.normal(size=(2, 5000)) * np.exp(RNG.normal(scale=8.0, size=(2, 5000)))
    y, x = np.r_[y, 0.0, 0.0, 0.0, 1.0, -1.0], np.r_[x, 0.0, 1.0, -1.0, 0.0, 0.0]
    np.testing.assert_allclose(kernel._arctan2(jnp.asarray(y), jnp.asarray(x)), np.arctan2(y, x), rtol=1e-15)
    for bad in ((np.nan, 1.0), (1.0, np.nan)):
        assert np.isnan(kernel._arctan2(*map(jnp.asarray, bad)))


@BOTH
@DEPTHS
def test_slopes_are_finite_where_rows_coincide_or_vanish(activation, depth):
    rows = jnp.asarray(np.r_[ROWS, np.zeros((1, 5))])
    products = kernel.input_products(rows, rows)
    for bias_std in (0.0, 0.3):
        architecture = Architecture(activation=activation, depth=depth, bias_std=bias_std)
        assert all(bool(jnp.isfinite(part).all()) for part in kernel.slopes(architecture, *products))


@BOTH
def test_jit_changes_nothing(activation):
    network = kernel.kernel_fn(Architecture(activation=activation, depth=2))
    rows, points = jnp.asarray(ROWS), jnp.asarray(POINTS)
    compiled = jax.jit(network)(rows, points)
    with jax.disable_jit():
        np.testing.assert_allclose(network(rows, points), compiled, rtol=1e-13)


def test_float64_is_on_inside_the_block_only():
    home = jax if hasattr(jax, "enable_x64") else importlib.import_module("jax.experimental")  # there before jax 0.8
    with home.enable_x64(False):
        with kernel.x64():
            assert jnp.zeros(1, jnp.float64).dtype == jnp.float64
        assert jnp.zeros(1).dtype == jnp.float32


def forget_neural_tangents(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "neural_tangents"]:
        monkeypatch.delitem(sys.modules, name)
    import_stax.cache_clear()


def test_without_neural_tangents_the_error_names_the_install(monkeypatch):
    forget_neural_tangents(monkeypatch)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    asked = AdaptConfig(targets="released", kernel="neural_tangents")
    with pytest.raises(EnvironmentNotReadyError, match=r"pip install --no-deps neural-tangents==0\.6\.5"):
        check_kernel(asked)
    check_kernel(AdaptConfig(targets="released"))


def test_importing_leaves_nothing_behind_but_the_package(monkeypatch):
    forget_neural_tangents(monkeypatch)
    before = set(sys.modules)
    assert import_stax().__name__ == "neural_tangents.stax"
    new = {name.split(".")[0] for name in set(sys.modules) - before}
    assert new - {"jax"} == {"neural_tangents"}  # parts of jax that nothing has asked for yet
    assert jax.random.KeyArray is jax.Array
    import_stax.cache_clear()


@BOTH
def test_where_points_coincide_the_gradient_is_the_library_s(activation):
    """As KIP meets it: the points with themselves, and a target that is a point."""
    architecture, weights = Architecture(activation=activation, depth=2), RNG.normal(size=(4, 4))
    points = jnp.asarray(POINTS)
    own, theirs = (
        jax.grad(lambda x, make=make: jnp.sum(weights * make(architecture)(x, x)))(points)
        for make in (kernel.kernel_fn, reference_kernel_fn)
    )
    np.testing.assert_allclose(own, theirs, rtol=1e-6, atol=1e-9)
