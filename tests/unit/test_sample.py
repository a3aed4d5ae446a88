import pickle

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import chisquare, spearmanr
from small_tables import mixed_encoding

from threea_spark.encode.cells import Levels, Numbers
from threea_spark.model.draw import in_small_batches, n_draw_tasks
from threea_spark.model.labels import KernelInput, LabelFunction
from threea_spark.model.ntk import Architecture
from threea_spark.model.sampler import RowSampler, decode_rows

ENCODING = mixed_encoding()
ALPHA = 1e-4


def laws_of(k=2, seed=1):
    rng = np.random.default_rng(seed)
    laws = rng.uniform(0.2, 1.0, (k, ENCODING.n_cells))
    totals = np.add.reduceat(laws, ENCODING.cell_layout.offsets[:-1], axis=1)
    return laws / np.repeat(totals, np.diff(ENCODING.cell_layout.offsets), axis=1)


def sampler_of(correlation=None, *, weights=(0.3, 0.7), class_of=(0, 1), labels=None, laws=None):
    n_features = len(ENCODING.features)
    correlation = np.eye(n_features) if correlation is None else correlation
    orders = tuple(np.arange(m) for m in np.diff(ENCODING.cell_layout.offsets))
    laws = laws_of() if laws is None else laws
    return RowSampler(np.array(weights), np.array(class_of), laws, orders, np.linalg.cholesky(correlation), labels)


def feature(cells, column):
    return cells[:, column] - ENCODING.cell_layout.offsets[column]


@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_drawn_cells_follow_the_laws_whatever_the_correlation(rho):
    correlation = np.eye(4) + rho * (np.ones((4, 4)) - np.eye(4))
    sampler = sampler_of(correlation)
    cells, classes = sampler.draw_cells(ENCODING, 40_000, np.random.default_rng(3))
    assert np.bincount(classes) / 40_000 == pytest.approx([0.3, 0.7], abs=0.01)
    for component in (0, 1):
        own = cells[classes == component]
        for column, (start, stop) in enumerate(
            zip(ENCODING.cell_layout.offsets[:-1], ENCODING.cell_layout.offsets[1:], strict=True)
        ):
            counts = np.bincount(feature(own, column), minlength=stop - start)
            assert chisquare(counts, sampler.laws[component, start:stop] * len(own)).pvalue > ALPHA
            wrong = sampler.laws[component, start:stop][::-1]
            assert chisquare(counts, wrong * len(own)).pvalue < ALPHA


@pytest.mark.parametrize("rho", [-0.7, 0.0, 0.7])
def test_the_copula_binds_columns_with_the_sign_it_was_given(rho):
    correlation = np.eye(4)
    correlation[0, 1] = correlation[1, 0] = rho
    cells, _ = sampler_of(correlation).draw_cells(ENCODING, 20_000, np.random.default_rng(4))
    found = spearmanr(feature(cells, 0), feature(cells, 1)).statistic
    assert found == pytest.approx(rho, abs=0.1)
    assert abs(spearmanr(feature(cells, 0), feature(cells, 2)).statistic) < 0.03


def test_a_reversed_order_turns_the_correlation():
    correlation = np.eye(4)
    correlation[0, 1] = correlation[1, 0] = 0.7
    sampler = sampler_of(correlation)
    turned = RowSampler(
        sampler.weights,
        sampler.class_of,
        sampler.laws,
        (sampler.orders[0], sampler.orders[1][::-1], *sampler.orders[2:]),
        sampler.factor,
        None,
    )
    cells, _ = turned.draw_cells(ENCODING, 10_000, np.random.default_rng(5))
    assert spearmanr(feature(cells, 0), feature(cells, 1)).statistic < -0.5


def test_a_cell_without_mass_is_never_drawn():
    laws = laws_of()
    laws[:, 0] = 0.0
    laws[:, ENCODING.cell_layout.offsets[1] - 1] = 0.0
    cells, _ = sampler_of(laws=laws).draw_cells(ENCODING, 20_000, np.random.default_rng(6))
    assert feature(cells, 0).min() > 0
    assert feature(cells, 0).max() < ENCODING.cell_layout.offsets[1] - 1


def test_the_same_seed_draws_the_same_rows():
    one, two = (sampler_of().draw_cells(ENCODING, 100, np.random.default_rng(7))[0] for _ in range(2))
    other = sampler_of().draw_cells(ENCODING, 100, np.random.default_rng(8))[0]
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_what_blocks_share_is_not_sent_with_a_task():
    sampler = sampler_of()
    before = len(pickle.dumps(sampler))
    one = sampler.draw_cells(ENCODING, 100, np.random.default_rng(7))[0]
    sent = pickle.loads(pickle.dumps(sampler))
    assert len(pickle.dumps(sampler)) == before
    assert np.array_equal(sent.draw_cells(ENCODING, 100, np.random.default_rng(7))[0], one)


def test_a_label_function_labels_the_rows():
    n_cells = ENCODING.n_cells
    additive = np.zeros((n_cells, 2))
    start, stop = ENCODING.cell_layout.offsets[2:4]
    additive[start, 1], additive[start + 1 : stop, 1] = 20.0, -20.0
    labels = LabelFunction(
        np.zeros(2), additive, KernelInput(np.zeros(n_cells)), np.zeros((0, 4)), np.zeros((0, 2)), Architecture()
    )
    cells, classes = sampler_of(labels=labels).draw_cells(ENCODING, 2_000, np.random.default_rng(9))
    assert np.array_equal(classes == 1, feature(cells, 2) == 0)


def test_components_of_all_classes_have_class_zero_without_labels():
    _, classes = sampler_of(class_of=(-1, -1)).draw_cells(ENCODING, 100, np.random.default_rng(1))
    assert set(classes.tolist()) == {0}


def test_drawn_rows_decode_to_the_columns_of_the_table():
    rng = np.random.default_rng(10)
    cells, classes = sampler_of().draw_cells(ENCODING, 3_000, rng)
    columns = decode_rows(ENCODING, "died", cells, classes, rng)
    assert list(columns) == ["age", "income", "ward", "sex", "died"]
    assert isinstance(columns["income"], Numbers)
    assert np.array_equal(np.isnan(columns["income"].values), feature(cells, 1) == ENCODING.features[1].n_value_cells)
    assert isinstance(columns["sex"], Levels)
    assert np.array_equal(columns["sex"].levels == -1, feature(cells, 3) == 2)
    assert np.array_equal(columns["died"].levels, classes)
    assert "died" not in decode_rows(ENCODING, None, cells, classes, rng)


def test_a_block_of_no_rows_is_drawn_without_error():
    cells, classes = sampler_of().draw_cells(ENCODING, 0, np.random.default_rng(1))
    assert cells.shape == (0, 4)
    assert len(classes) == 0


def test_tasks_that_draw_are_many_for_few_rows_and_large_for_many():
    tasks = [n_draw_tasks(n, 24) for n in (1, 16, 100, 512, 2_048, 100_000, 10**7)]
    assert tasks == [1, 1, 7, 32, 32, 1563, 2048]
    assert [n_draw_tasks(n, 600) for n in (1, 5, 100, 2_048)] == [1, 3, 34, 32]
    assert all(-(-n // n_draw_tasks(n, 24)) <= 64 for n in range(1, 131_072, 97))  # blocks of a file


@pytest.mark.parametrize("n_columns", [1, 24, 600])
def test_a_block_is_sent_whole_in_batches_of_an_odd_multiple_of_eight_rows(n_columns):
    rng = np.random.default_rng(11)
    block = pa.record_batch(
        {f"x{i}": pa.array(rng.random(8_192), mask=rng.random(8_192) < 0.1) for i in range(n_columns)}
    )
    sent = list(in_small_batches(block))
    assert pa.Table.from_batches(sent).equals(pa.Table.from_batches([block]))
    assert {len(batch) // 8 % 2 for batch in sent[:-1]} == {1}
    assert {len(batch) % 8 for batch in sent} == {0}
    assert max(batch.nbytes for batch in sent) <= max(1 << 22, block.nbytes // 2 + 8_192)
