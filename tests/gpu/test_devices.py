"""What the driver computes on another device than the default one equals what the default one computes.

A second CPU (tests/conftest.py asks XLA for two) stands for any device that is not the default; a GPU is one as well.
"""

import os
import re
import subprocess
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from benchmark_files import load

from threea_spark.adapt import inducing, kernel
from threea_spark.adapt.settings import KipSettings
from threea_spark.approximate import device
from threea_spark.approximate.product_fit import ProductSettings, fit_products
from threea_spark.model.ntk import Architecture, ntk
from threea_spark.privacy.query import HeldRows

SETTINGS = KipSettings(steps=3, moving_points=20, learning_rate=0.01)
EVIDENCE = load("gpu").evidence_of(4)
N = 1000


@pytest.fixture(scope="module", params=["second cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
def other(request):
    if request.param == "gpu":
        chosen = device.choose()
        if chosen.device.platform != "gpu":
            pytest.skip(f"jax uses no GPU here: {chosen.why_no_gpu or 'it sees none'}")
        return chosen.device
    if len(jax.devices("cpu")) < 2:
        pytest.skip("XLA_FLAGS has no --xla_force_host_platform_device_count=2")
    return jax.devices("cpu")[1]


@pytest.fixture(scope="module")
def cpu():
    return jax.devices("cpu")[0]


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(11)
    x = rng.normal(size=(N, 20))
    return x[:60], np.sign(x[:60, :1] * x[:60, 1:2]), x, np.sign(x[:, :1] * x[:, 1:2])


def on(where, run):
    with jax.default_device(where):
        return run()


def private(problem, settings):
    """Noisy steps without noise; returns the points, the sums, and where the rows lay."""
    sums, places = [], set()
    x_support, y_support, *targets = problem

    def ask(query, held):
        sums.extend(held.sums([query]))
        held.seen_as(lambda chunks: places.update(*[part.devices() for chunk in chunks for part in chunk])).sums([])
        return sums[-1].astype(np.float64)

    found = inducing.private(x_support, y_support, HeldRows(tuple(targets)), settings, n_rows_public=float(N), ask=ask)
    return found, sums, places


def far(one, other):
    """Relative distance of two arrays."""
    return float(np.linalg.norm(np.asarray(one) - other) / np.linalg.norm(other))


def test_the_kernel_is_numpy_s_and_another_constant_would_be_seen(other, problem):
    x, _, rows, _ = problem
    network = Architecture(depth=2)

    def computed(architecture):
        with kernel.x64(), jax.default_device(other):
            found = kernel.kernel_fn(architecture)(jnp.asarray(rows), jnp.asarray(x))
            assert found.devices() == {other}
            return found

    assert far(computed(network), ntk(rows, x, network)) < 1e-8
    for wrong in (
        replace(network, bias_std=network.bias_std + 1e-4),
        replace(network, weight_std=1.0001 * network.weight_std),
    ):
        assert far(computed(wrong), ntk(rows, x, network)) > 1e-6


def test_row_losses_agree(other, cpu, problem):
    theirs, own = (on(where, lambda: inducing.row_losses(*problem, KipSettings())) for where in (other, cpu))
    np.testing.assert_allclose(theirs, own, rtol=1e-6, atol=1e-9)
    ridge = on(other, lambda: inducing.row_losses(*problem, KipSettings(diag_reg=1.01e-3)))
    assert far(ridge, own) > 1e-6  # another ridge would be seen


def test_plain_points_agree(other, cpu, problem):
    settings = replace(SETTINGS, chunk_rows=512)
    theirs, own = (
        on(where, lambda: inducing.plain(*problem, settings, targets_are_released=True)) for where in (other, cpu)
    )
    np.testing.assert_allclose(theirs.loss_trace, own.loss_trace, rtol=1e-6)
    np.testing.assert_allclose(theirs.x_support, own.x_support, rtol=1e-4, atol=1e-5)


def test_private_points_and_sums_agree_and_rows_stay_on_their_device(other, cpu, problem):
    (theirs, their_sums, places), (own, own_sums, _) = (
        on(where, lambda: private(problem, SETTINGS)) for where in (other, cpu)
    )
    assert places == {other}
    for one, two in zip(their_sums, own_sums, strict=True):
        assert far(one, two) < 1e-4
        assert sum(int(value) ** 2 for value in one) <= (N * SETTINGS.norm_bound) ** 2
    np.testing.assert_allclose(theirs.x_support, own.x_support, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(theirs.y_support, own.y_support, rtol=1e-4, atol=1e-5)
    ridged = on(other, lambda: private(problem, replace(SETTINGS, steps=1, diag_reg=2e-3)))[1]
    assert far(ridged[0], own_sums[0]) > 1e-3  # another ridge would be seen


def test_a_mixture_fitted_there_is_the_one_fitted_here(other, cpu):
    settings = ProductSettings(components=8, steps=40)
    with device.noting_devices() as used:
        theirs = on(other, lambda: fit_products(EVIDENCE, settings, np.random.default_rng(3)))
    assert used == {device.Choice(other).name}
    own = on(cpu, lambda: fit_products(EVIDENCE, settings, np.random.default_rng(3)))
    assert theirs.parameters["odds"].devices() == {other}
    for pair in EVIDENCE.columns.pairs:
        np.testing.assert_allclose(theirs.products.table(pair), own.products.table(pair), atol=1e-5)
    again = fit_products(EVIDENCE, settings, np.random.default_rng(4))
    assert max(far(again.products.table(pair), own.products.table(pair)) for pair in EVIDENCE.columns.pairs) > 1e-3


def test_a_device_without_room_or_that_fails_is_left_alone(cpu):
    assert device._trial(cpu, 1 << 20) == ""
    assert device._trial(cpu, 1 << 50) == "cpu has less than 1,048,576 GB free"


def test_who_set_jax_s_default_device_has_chosen_and_the_receipt_is_told(other):
    with jax.default_device(other), device.noting_devices() as used, device.computing():
        assert jnp.ones(1).devices() == {other}
    assert used == {device.Choice(other).name}
    with device.noting_devices() as none:
        pass
    assert none == set()


@pytest.mark.parametrize(("platforms", "said"), [("cuda", ["no GPU is used: .+; computing on the CPU"]), ("cpu", [])])
def test_where_no_gpu_works_one_line_says_so_and_the_cpu_computes(platforms, said):
    code = (
        "from threea_spark.approximate.device import computing\n"
        "import jax.numpy as jnp\n"
        "for _ in range(2):\n"
        "    with computing(): print(*[place.platform for place in jnp.ones(1).devices()])"
    )
    environment = {**os.environ, "JAX_PLATFORMS": platforms, "CUDA_VISIBLE_DEVICES": "99"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["cpu"] * 2
    lines = [line for line in done.stderr.splitlines() if "GPU" in line or "Traceback" in line]
    assert len(lines) == len(said)
    assert all(re.fullmatch(words, line) for words, line in zip(said, lines, strict=True))
