import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.linalg import cho_factor, cho_solve

from threea_spark.adapt import inducing, kernel, row_gradient
from threea_spark.adapt.reference_kernel import reference_kernel_fn
from threea_spark.adapt.row_gradient import gradient_query, to_chunks
from threea_spark.adapt.settings import AdaptStatus, KipSettings
from threea_spark.errors import ConfigError
from threea_spark.model.ntk import Architecture, ntk
from threea_spark.privacy.noise import KeyedNoise, stddev_of
from threea_spark.privacy.query import HeldRows, RowBound

BOTH = pytest.mark.parametrize("activation", ["relu", "erf"])


NORM_BOUND = 2**20  # finer than a release needs: rounding must not hide a wrong gradient


def settings(**changes):
    return KipSettings(**{"norm_bound": NORM_BOUND, "chunk_rows": 64, "diag_reg": 1e-2, "moving_points": 0, **changes})


def problem(seed=1, n=90, s=7, d=3, c=2):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in ((s, d), (s, c), (n, d), (n, c))]


def row_loss(x, y, row, label, wanted):
    """One row's loss as the paper writes it, to be differentiated automatically."""
    network = reference_kernel_fn(wanted.architecture)
    k_ss = network(x, x)
    ridge = wanted.diag_reg * jnp.trace(k_ss) / len(x) * jnp.eye(len(x))
    solved = cho_solve(cho_factor(k_ss + ridge, lower=True), y)
    return jnp.sum((label - (network(row[None], x) @ solved)[0]) ** 2)


def automatic_gradients(x, y, rows, labels, wanted):
    with kernel.x64():
        each = jax.vmap(jax.grad(lambda *at: row_loss(*at, wanted), argnums=(0, 1)), in_axes=(None, None, 0, 0))
        return [np.asarray(part) for part in jax.jit(each)(*map(jnp.asarray, (x, y, rows, labels)))]


def sum_of(x, y, rows, labels, wanted, moving=None):
    moving = np.arange(len(x)) if moving is None else moving
    with kernel.x64():
        chunks = list(to_chunks(rows, labels, wanted.chunk_rows, np.float32))
        return gradient_query(x, y, moving, wanted, 0).contribution(chunks)


def exact(query, held):
    (sums,) = held.sums([query])
    assert sums.dtype == np.int64
    assert sums.shape == (query.size,)
    return sums.astype(np.float64)


def private(x, y, rows, labels, wanted, *, n_rows=90.0, ask=exact):
    return inducing.private(x, y, HeldRows((rows, labels)), wanted, n_rows_public=n_rows, ask=ask)


def moons(n, seed):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n)
    angle = rng.uniform(0.0, np.pi, n)
    x = np.where(
        label[:, None] == 0, np.c_[np.cos(angle), np.sin(angle)], np.c_[1 - np.cos(angle), 0.5 - np.sin(angle)]
    )
    return x - [0.5, 0.25] + rng.normal(0.0, 0.1, (n, 2)), 2.0 * label[:, None] - 1.0


def centroids(x, y):
    """Three per class, along the first axis: too few to show the moons' shape."""
    found = []
    for label in (-1.0, 1.0):
        rows = x[y[:, 0] == label]
        found += [part.mean(axis=0) for part in np.array_split(rows[np.argsort(rows[:, 0])], 3)]
    return np.array(found), np.repeat([-1.0, 1.0], 3)[:, None]


def accuracy(x, y, rows, labels, wanted):
    k_ss = ntk(x, x, wanted.architecture)
    ridged = k_ss + wanted.diag_reg * np.trace(k_ss) / len(x) * np.eye(len(x))
    predicted = ntk(rows, x, wanted.architecture) @ np.linalg.solve(ridged, y)
    return float(np.mean(np.sign(predicted) == labels))


@BOTH
def test_row_losses_equal_the_numpy_twin(activation):
    x, y, rows, labels = problem()
    wanted = settings(architecture=Architecture(activation=activation, depth=2))
    k_ss = ntk(x, x, wanted.architecture)
    ridged = k_ss + wanted.diag_reg * np.trace(k_ss) / len(x) * np.eye(len(x))
    expected = np.sum((labels - ntk(rows, x, wanted.architecture) @ np.linalg.solve(ridged, y)) ** 2, axis=1)
    np.testing.assert_allclose(inducing.row_losses(x, y, rows, labels, wanted), expected, rtol=1e-6)


@BOTH
def test_objective_gradient_equals_finite_differences(activation):
    x, y, rows, labels = problem()
    wanted = settings(clip_norm=1e4, label_scale=0.5, architecture=Architecture(activation=activation, depth=2))
    sums = sum_of(x, y, rows, labels, wanted) * (wanted.clip_norm / NORM_BOUND)
    rng, step = np.random.default_rng(5), 1e-5
    for _ in range(4):
        u_x, u_y = rng.normal(size=x.shape), rng.normal(size=y.shape)
        ahead, behind = (
            inducing.row_losses(x + s * u_x, y + s * wanted.label_scale * u_y, rows, labels, wanted).sum()
            for s in (step, -step)
        )
        assert sums @ np.r_[u_x.ravel(), u_y.ravel()] == pytest.approx((ahead - behind) / (2 * step), rel=2e-3, abs=1.0)


@BOTH
@pytest.mark.parametrize("depth", [2])
def test_each_rows_gradient_equals_automatic_differentiation(activation, depth):
    x, y, rows, labels = problem(n=5)
    rows, labels = rows.astype(np.float32), labels.astype(np.float32)
    architecture, moving = Architecture(activation=activation, depth=depth), np.array([5, 6, 0])
    by_x, by_y = automatic_gradients(x, y, rows, labels, settings(architecture=architecture))
    for at in range(len(rows)):
        for learn_labels in (True, False):
            expected = np.r_[by_x[at][moving].ravel(), 3.0 * by_y[at].ravel() if learn_labels else []]
            wanted = settings(
                architecture=architecture,
                clip_norm=1.01 * float(np.linalg.norm(expected)),
                learn_labels=learn_labels,
                label_scale=3.0,
            )
            got = sum_of(x, y, rows[at : at + 1], labels[at : at + 1], wanted, moving)
            np.testing.assert_allclose(
                got, expected * (NORM_BOUND / wanted.clip_norm), rtol=0.0, atol=1e-5 * NORM_BOUND
            )


def test_sum_equals_gradients_clipped_one_by_one():
    x, y, rows, labels = problem()
    wanted = settings(clip_norm=2.0)
    by_x, by_y = automatic_gradients(x, y, rows.astype(np.float32), labels.astype(np.float32), wanted)
    joint = np.concatenate([by_x.reshape(len(rows), -1), by_y.reshape(len(rows), -1)], axis=1)
    norms = np.linalg.norm(joint, axis=1, keepdims=True)
    assert 0.2 < np.mean(norms > wanted.clip_norm) < 1.0  # some are clipped, some are not
    expected = (joint * np.minimum(1.0, wanted.clip_norm / norms)).sum(axis=0) * (NORM_BOUND / wanted.clip_norm)
    np.testing.assert_allclose(sum_of(x, y, rows, labels, wanted), expected, atol=20.0 * len(rows))


@pytest.mark.parametrize("clip_norm", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("size", [1e-12, 1.0, 1e4, 1e18, 1e30, 1e300])
def test_no_row_exceeds_the_integer_bound(clip_norm, size):
    x, y, rows, labels = problem(n=4)
    for row, label in ((rows * size, labels), (rows, labels * size), (rows * size, labels * size)):
        for at in range(len(rows)):
            sums = sum_of(x, y, row[at : at + 1], label[at : at + 1], settings(clip_norm=clip_norm))
            assert sum(int(v) ** 2 for v in sums) <= NORM_BOUND**2


def test_a_long_row_fills_the_bound_and_two_of_it_twice():
    x, y, rows, labels = problem(n=1)
    once = sum_of(x, y, rows, 100.0 * labels, settings())
    assert sum(int(v) ** 2 for v in once) > 0.999 * NORM_BOUND**2
    twice = sum_of(x, y, np.repeat(rows, 2, axis=0), 100.0 * np.repeat(labels, 2, axis=0), settings())
    np.testing.assert_array_equal(twice, 2 * once)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_adds_nothing(bad):
    x, y, rows, labels = problem()
    expected = sum_of(x, y, rows[1:], labels[1:], settings())
    for part, other in ((rows.copy(), labels), (rows, labels.copy())):
        (part if part is not rows else other)[0, 0] = bad
        np.testing.assert_array_equal(sum_of(x, y, part, other, settings()), expected)


@BOTH
def test_sum_does_not_depend_on_chunks_order_or_company(activation):
    x, y, rows, labels = problem(n=700, s=23, d=6)
    architecture = Architecture(activation=activation)
    whole = sum_of(x, y, rows, labels, settings(chunk_rows=64, architecture=architecture))
    for chunk_rows in (200, 1024):  # a padded last chunk, and one chunk for all
        again = sum_of(x, y, rows, labels, settings(chunk_rows=chunk_rows, architecture=architecture))
        np.testing.assert_array_equal(again, whole)
    order = np.random.default_rng(3).permutation(len(rows))
    wanted = settings(chunk_rows=200, architecture=architecture)
    np.testing.assert_array_equal(sum_of(x, y, rows[order], labels[order], wanted), whole)
    parts = [sum_of(x, y, rows[at], labels[at], wanted) for at in (slice(0, 333), slice(333, None))]
    np.testing.assert_array_equal(parts[0] + parts[1], whole)


@pytest.mark.parametrize("size", [0.1, 1e3])
def test_sum_is_that_of_rows_alone(size):
    """At a release's width: 200 points in two groups, each row met as the only one and among others."""
    x, y, rows, labels = problem(n=130, s=200, d=50)
    moving, wanted = np.arange(190, 200), settings(clip_norm=1.0)
    alone = [sum_of(x, y, rows[at : at + 1] * size, labels[at : at + 1], wanted, moving) for at in range(len(rows))]
    np.testing.assert_array_equal(sum_of(x, y, rows * size, labels, wanted, moving), np.sum(alone, axis=0))
    for one in alone:
        assert sum(int(v) ** 2 for v in one) <= NORM_BOUND**2


@BOTH
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_points_and_rows_that_coincide_have_a_finite_gradient_that_company_does_not_change(activation, depth):
    """Scores of cells lie on a grid, and many rows lie on a point: there a kernel's slope is one of rounding."""
    rng = np.random.default_rng(5)
    wanted = settings(architecture=Architecture(activation=activation, depth=depth))
    x, y, _, labels = problem(5, n=24, s=8, d=7)
    x = np.rint(x * 2**18) / 2**18
    rows = x[rng.integers(0, 8, 24)] + rng.choice([0.0, 1e-8, 1e-6], (24, 1))
    whole = sum_of(x, y, rows, labels, wanted)
    assert whole is not None
    alone = [sum_of(x, y, rows[at : at + 1], labels[at : at + 1], wanted) for at in range(len(rows))]
    assert all(one.any() for one in alone)
    np.testing.assert_array_equal(np.sum(alone, axis=0), whole)
    np.testing.assert_array_equal(sum_of(x, y, rows[1:], labels[1:], wanted), whole - alone[0])


@pytest.mark.parametrize("n_threads", [1, 3, 16])
def test_sum_does_not_depend_on_threads(monkeypatch, n_threads):
    x, y, rows, labels = problem(n=900)
    expected = sum_of(x, y, rows, labels, settings())
    monkeypatch.setattr("os.cpu_count", lambda: n_threads)
    np.testing.assert_array_equal(sum_of(x, y, rows, labels, settings()), expected)


def test_whole_chunks_as_on_a_gpu_sum_to_the_same(monkeypatch):
    x, y, rows, labels = problem(n=300, s=10)
    tiled = sum_of(x, y, rows, labels, settings(chunk_rows=256))
    add = row_gradient._add_clipped
    monkeypatch.setattr(row_gradient, "_add_clipped", lambda *parts: add(*parts[:-1], False))
    whole = sum_of(x, y, rows, labels, settings(chunk_rows=256))
    assert np.abs(whole - tiled).max() <= len(rows)  # another order of operations: a unit for each row at most


@pytest.mark.parametrize("norm_bound", [1, 100, 2**24])
def test_sums_at_the_ends_of_the_bound_are_exact(norm_bound):
    x, y, rows, labels = problem(n=1)
    wanted = settings(norm_bound=norm_bound, chunk_rows=512)
    once = sum_of(x, y, rows, 100.0 * labels, wanted)
    assert sum(int(v) ** 2 for v in once) <= norm_bound**2
    many = sum_of(x, y, np.repeat(rows, 512, axis=0), 100.0 * np.repeat(labels, 512, axis=0), wanted)
    np.testing.assert_array_equal(many, 512 * once)


def test_no_rows_sum_to_zero():
    x, y, rows, labels = problem()
    np.testing.assert_array_equal(sum_of(x, y, rows[:0], labels[:0], settings()), 0)


def test_alpha_one_keeps_the_points_and_reads_nothing():
    x, y, rows, labels = problem()

    def refuse(query, held):
        raise AssertionError("read")

    found = private(x, y, rows, labels, settings(alpha=1.0), ask=refuse)
    assert found.status is AdaptStatus.UNTOUCHED
    plain = inducing.plain(x, y, rows, labels, settings(alpha=1.0, steps=5), targets_are_released=True)
    for result in (found, plain):
        np.testing.assert_array_equal(result.x_support, x)
        np.testing.assert_array_equal(result.y_support, y)


def test_density_holds_the_points_back():
    x, y, rows, labels = problem()
    moved = []
    for alpha in (0.0, 0.9):
        found = private(x, y, rows, labels, settings(alpha=alpha, steps=30))
        moved.append(np.linalg.norm(found.x_support - x))
    assert moved[1] < 0.5 * moved[0]


@pytest.fixture(scope="module")
def toy():
    x, y = moons(600, seed=7)
    return centroids(x, y), (x, y), moons(2000, seed=8)


def test_plain_lowers_the_loss_and_beats_the_centroids(toy):
    start, train, test = toy
    wanted = settings(alpha=0.0, steps=60, learning_rate=0.05, chunk_rows=640)
    found = inducing.plain(*start, *train, wanted, targets_are_released=True)
    assert found.loss_trace[0] == pytest.approx(inducing.row_losses(*start, *train, wanted).mean())
    assert min(found.loss_trace) < 0.7 * found.loss_trace[0]
    reached = inducing.row_losses(found.x_support, found.y_support, *train, wanted).mean()
    assert reached == pytest.approx(min(found.loss_trace))  # the best iterate is the one returned
    before, after = accuracy(*start, *test, wanted), accuracy(found.x_support, found.y_support, *test, wanted)
    assert after > before + 0.03
    hidden = inducing.plain(*start, *train, settings(steps=2), targets_are_released=False)
    assert hidden.loss_trace == ()


@BOTH
def test_steps_without_noise_are_those_of_the_library_s_kernel(toy, activation):
    """The paper's own mode gives what it gave with neural_tangents, so no mode needs the library."""
    start, (rows, labels), _ = toy
    network = Architecture(activation=activation, depth=2)
    own, theirs, other = (
        inducing.plain(
            *start, rows[:128], labels[:128], settings(steps=8, learning_rate=0.05, chunk_rows=128, **chosen),
            targets_are_released=True,
        )
        for chosen in (
            {"architecture": network},
            {"architecture": network, "kernel": "neural_tangents"},
            {"architecture": Architecture(activation=activation)},
        )
    )  # fmt: skip
    np.testing.assert_allclose(own.loss_trace, theirs.loss_trace, rtol=1e-7)  # the angle is good to 1e-8 near 0
    np.testing.assert_allclose(own.x_support, theirs.x_support, atol=1e-6)
    np.testing.assert_allclose(own.y_support, theirs.y_support, atol=1e-6)
    assert np.abs(own.x_support - other.x_support).max() > 1e-4  # another network would be seen


def noisy_run(toy, mu, **changes):
    start, train, test = toy
    noise = KeyedNoise(b"k" * 32)
    wanted = settings(alpha=0.0, learning_rate=0.03, clip_norm=2.0, chunk_rows=640, **changes)

    def ask(query, held):
        stddev = stddev_of(query.bound.squared_norm**0.5, mu / wanted.steps**0.5)
        return noise.noised(held.sums([query])[0], stddev, ("test", query.name))

    found = private(*start, *train, wanted, n_rows=600.0, ask=ask)
    return found, accuracy(found.x_support, found.y_support, *test, wanted)


def test_private_approaches_plain_as_mu_grows_and_not_before(toy):
    start, train, test = toy
    wanted = settings(alpha=0.0, steps=60, learning_rate=0.05, chunk_rows=640)
    plain = inducing.plain(*start, *train, wanted, targets_are_released=True)
    goal = accuracy(plain.x_support, plain.y_support, *test, settings())
    generous, reached = noisy_run(toy, mu=20.0)
    assert generous.status is AdaptStatus.COMPLETED
    assert generous.loss_trace == ()
    assert reached > goal - 0.05
    _, drowned = noisy_run(toy, mu=0.01)
    assert drowned < goal - 0.05


def test_points_that_take_turns_lower_the_loss_too(toy):
    start, train, _ = toy
    before = inducing.row_losses(*start, *train, settings()).mean()
    found, _ = noisy_run(toy, mu=20.0, moving_points=3)
    assert inducing.row_losses(found.x_support, found.y_support, *train, settings()).mean() < 0.85 * before
    assert (np.abs(found.x_support - start[0]).max(axis=1) > 0.01).all()


def test_labels_stay_where_they_are_not_learned(toy):
    start, train, _ = toy
    found = private(*start, *train, settings(learn_labels=False, steps=3), n_rows=600.0)
    np.testing.assert_array_equal(found.y_support, start[1])
    assert not np.allclose(found.x_support, start[0])


def test_every_step_asks_once_with_a_name_of_its_own_and_the_bound(toy):
    start, train, _ = toy
    seen = []

    def ask(query, held):
        seen.append(query)
        return exact(query, held)

    private(*start, *train, settings(steps=4, moving_points=4), n_rows=600.0, ask=ask)
    assert [query.name for query in seen] == [f"points-{step}" for step in range(4)]
    assert {(query.size, query.bound) for query in seen} == {(4 * 2 + 6, RowBound(NORM_BOUND**2, 4 * 2 + 6))}


def test_a_solve_that_is_not_finite_is_a_status():
    x, y, rows, labels = problem()
    x[0, 0] = np.nan
    found = private(x, y, rows, labels, settings())
    assert found.status is AdaptStatus.NONFINITE
    plain = inducing.plain(x, y, rows, labels, settings(steps=2), targets_are_released=True)
    assert plain.status is AdaptStatus.NONFINITE


def test_noise_that_blows_up_is_a_status_and_the_start_is_kept():
    x, y, rows, labels = problem()
    found = private(x, y, rows, labels, settings(), ask=lambda query, held: exact(query, held) * np.inf)
    assert found.status is AdaptStatus.NONFINITE
    np.testing.assert_array_equal(found.x_support, x)


@pytest.mark.parametrize("count", [0.0, -3.0, np.nan])
def test_a_divisor_that_is_no_count_is_refused(count):
    with pytest.raises(ConfigError, match="n_rows_public"):
        private(*problem(), settings(), n_rows=count)


def test_the_process_keeps_its_precision():
    x, y, rows, labels = problem()
    before = jnp.zeros(1).dtype
    private(x, y, rows, labels, settings(steps=1))
    assert jnp.zeros(1).dtype == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"alpha": np.nan},
        {"alpha": 1.1},
        {"steps": 0},
        {"learning_rate": 0.0},
        {"momentum": 1.0},
        {"clip_norm": np.inf},
        {"diag_reg": 0.0},
        {"label_scale": np.nan},
        {"moving_points": -1},
        {"chunk_rows": 0},
    ],
)
def test_each_validator_fires(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        KipSettings(**wrong)
