import numpy as np
import pytest

from threea_spark.adapt.settings import KipSettings
from threea_spark.privacy.query import HeldRows

jax = pytest.importorskip("jax")
inducing = pytest.importorskip("threea_spark.adapt.inducing")
pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def devices():
    try:
        return jax.devices("gpu")[0], jax.devices("cpu")[0]
    except RuntimeError:
        pytest.skip("jax sees no GPU on this machine")


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(11)
    x = rng.normal(size=(5000, 20))
    return x[:60], np.sign(x[:60, :1] * x[:60, 1:2]), x, np.sign(x[:, :1] * x[:, 1:2])


def on(device, run):
    with jax.default_device(device):
        return run()


def test_row_losses_agree(devices, problem):
    gpu, cpu = (on(device, lambda: inducing.row_losses(*problem, KipSettings())) for device in devices)
    np.testing.assert_allclose(gpu, cpu, rtol=1e-6, atol=1e-9)


def test_plain_points_agree(devices, problem):
    settings = KipSettings(steps=5, learning_rate=0.01, chunk_rows=2048)
    gpu, cpu = (on(device, lambda: inducing.plain(*problem, settings, targets_are_released=True)) for device in devices)
    np.testing.assert_allclose(gpu.loss_trace, cpu.loss_trace, rtol=1e-6)
    np.testing.assert_allclose(gpu.x_support, cpu.x_support, rtol=1e-4, atol=1e-5)


def test_private_points_and_sums_agree(devices, problem):
    settings = KipSettings(steps=5, moving_points=20)

    def run():
        sums = []

        def ask(query, held):
            sums.extend(held.sums([query]))
            return sums[-1].astype(np.float64)

        x_support, y_support, *targets = problem
        held = HeldRows(tuple(targets))
        return inducing.private(x_support, y_support, held, settings, n_rows_public=5000.0, ask=ask), sums

    (gpu, gpu_sums), (cpu, cpu_sums) = (on(device, run) for device in devices)
    for one, other in zip(gpu_sums, cpu_sums, strict=True):
        assert np.linalg.norm(one - other) < 1e-4 * np.linalg.norm(other)
    np.testing.assert_allclose(gpu.x_support, cpu.x_support, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gpu.y_support, cpu.y_support, rtol=1e-4, atol=1e-5)
