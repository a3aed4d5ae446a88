"""The mixture of products knows more than columns apart, and more than the noisy tables that it is fitted to."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr
from small_tables import category, number

from threea_spark.approximate.joint import JointModel, measure_joint, n_tables, split_mu
from threea_spark.approximate.product_fit import ProductSettings, _loss, fit_products
from threea_spark.approximate.product_problem import problem_of
from threea_spark.approximate.products import (
    CellTables,
    Evidence,
    PairTables,
    Products,
    informative_pairs,
    mutual_information,
)
from threea_spark.approximate.tables import pairs_query, table_columns
from threea_spark.encode.codec import Encoding
from threea_spark.engine.local import LocalStaged
from threea_spark.engine.packed import PackedRows, blocks_of
from threea_spark.privacy.budget import calibrate
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.noise import KeyedNoise, new_key
from threea_spark.privacy.terms import Accounting, Relation, Stage
from threea_spark.privacy.unit import PrivacyUnit

N, GROUPS = 20_000, 6
SETTINGS = ProductSettings(components=80, steps=150, more_steps=50)
ENCODING = Encoding(
    (number("a", 0, 1), number("b", 0, 1), category("c", "p", "q", "r"), category("d", "s", "t")),
    category("y", "no", "yes"),
    20.0,
)


def rows_of(n_rows=N, seed=1):
    """Normal scores that hang together; every column has the even distribution that its codec says."""
    rng = np.random.default_rng(seed)
    shares = np.array([0.9, 0.85, 0.8, 0.0, 0.5])  # of a common cause
    scores = np.sqrt(shares) * rng.standard_normal((n_rows, 1))
    scores += np.sqrt(1.0 - shares) * rng.standard_normal((n_rows, 5))
    numbers = [ENCODING.features[j].value(scores[:, j]) for j in (0, 1)]
    levels = {2: 3, 3: 2, 4: 2}
    c, d, y = (np.minimum((ndtr(scores[:, j]) * n).astype(np.int64), n - 1) for j, n in levels.items())
    none = np.zeros(n_rows, dtype=np.uint32)
    return PackedRows(ENCODING.pack([*numbers, c, d]), y, none, none, none.astype(np.int64))


COLUMNS, ROWS = table_columns(ENCODING, GROUPS), rows_of()


def cells_tables(rows=ROWS):
    """The exact joint distribution of every pair, cell by cell."""
    cells = COLUMNS.cells(rows)
    exact = {}
    for a, b in COLUMNS.pairs:
        flat = cells[:, a] * COLUMNS.sizes[b] + cells[:, b]
        table = np.bincount(flat, minlength=COLUMNS.sizes[a] * COLUMNS.sizes[b]) / len(rows)
        exact[a, b] = table.reshape(COLUMNS.sizes[a], -1)
    return exact


EXACT = cells_tables()


def evidence_of(stddev, seed=0, cells=None):
    """Noisy tables of all pairs, with noise of this standard deviation in rows."""
    counted = COLUMNS.in_other_tables()
    noisy = pairs_query(COLUMNS).contribution(ROWS) + stddev * np.random.default_rng(seed).standard_normal(
        counted.sum()
    )
    full = np.zeros(counted.shape)
    full[counted] = noisy / N
    return Evidence(COLUMNS, 0.2 * stddev / N, PairTables(full + full.T, stddev / N), cells)


def error(fitted, pairs=COLUMNS.pairs):
    """Mean total variation from the exact tables."""
    return float(np.mean([0.5 * np.abs(fitted[pair] - EXACT[pair]).sum() for pair in pairs]))


def fitted_tables(fit):
    return {pair: fit.products.table(pair) for pair in COLUMNS.pairs}


def apart():
    """What columns apart say of every pair."""
    return {(a, b): np.outer(COLUMNS.masses[a], COLUMNS.masses[b]) for a, b in COLUMNS.pairs}


def test_a_fit_is_nearer_than_columns_apart_and_than_the_noisy_tables_themselves():
    evidence = evidence_of(400.0)
    fit = fit_products(evidence, SETTINGS, np.random.default_rng(5))
    assert error(fitted_tables(fit)) < 0.5 * error(apart())
    starts = np.cumsum([0, *COLUMNS.n_groups])
    noisy, grouped = 0.0, 0.0
    for a, b in COLUMNS.pairs:
        measured = evidence.pairs.shares[starts[a] : starts[a + 1], starts[b] : starts[b + 1]]
        into = [np.eye(COLUMNS.n_groups[j])[COLUMNS.groups[j]] for j in (a, b)]
        exact, own = (into[0].T @ table @ into[1] for table in (EXACT[a, b], fit.products.table((a, b))))
        noisy, grouped = noisy + np.abs(measured - exact).sum(), grouped + np.abs(own - exact).sum()
    assert grouped < 0.7 * noisy


def test_the_priors_bring_a_fit_to_noisy_tables_nearer():
    errors = {}
    for name, settings in {"priors": SETTINGS, "none": replace(SETTINGS, prior=0.0, smooth=0.0)}.items():
        fits = [fit_products(evidence_of(400.0, seed), settings, np.random.default_rng(seed)) for seed in range(3)]
        errors[name] = np.mean([error(fitted_tables(fit)) for fit in fits])
    assert errors["priors"] < 0.9 * errors["none"]


def test_half_the_steps_end_lower_than_adam_by_its_default_memory():
    evidence, settings = evidence_of(100.0), ProductSettings(components=80)
    problem = problem_of(evidence, settings.prior, settings.smooth)
    by_default = replace(settings, steps=2 * settings.steps, rate=0.1, squares_kept=0.999)
    fits = [fit_products(evidence, own, np.random.default_rng(5)) for own in (settings, by_default)]
    now, before = (float(_loss(fit.parameters, problem)) for fit in fits)
    assert now < before


def test_a_second_look_at_single_cells_brings_the_fit_nearer():
    first = evidence_of(100.0)
    fit = fit_products(first, SETTINGS, np.random.default_rng(5))
    chosen = informative_pairs(COLUMNS, fit.products, 6)
    rng = np.random.default_rng(9)
    tables = tuple(EXACT[pair] + 50.0 / N * rng.standard_normal(EXACT[pair].shape) for pair in chosen)
    finer = evidence_of(100.0, cells=CellTables(tuple(chosen), tables, 50.0 / N))
    again = fit_products(finer, SETTINGS, np.random.default_rng(5), fit.parameters)
    assert error(fitted_tables(again), chosen) < 0.9 * error(fitted_tables(fit), chosen)


def test_the_pairs_of_a_second_look_are_the_label_s_and_the_dependent_ones():
    exact = Products(np.ones(1), tuple(mass[None, :] for mass in COLUMNS.masses))
    assert all(mutual_information(exact.table(pair)) == pytest.approx(0.0, abs=1e-9) for pair in COLUMNS.pairs)
    fit = fit_products(evidence_of(20.0), SETTINGS, np.random.default_rng(5))
    chosen = informative_pairs(COLUMNS, fit.products, 6)
    assert chosen[:4] == [(0, 4), (1, 4), (2, 4), (3, 4)]
    assert set(chosen[4:]) < {(0, 1), (0, 2), (1, 2)}


def plan_of():
    return calibrate(
        epsilon=1e3,
        delta=1e-6,
        shares={Stage.APPROXIMATE: 1.0},
        relation=Relation.ADD_OR_REMOVE_ONE,
        unit=PrivacyUnit(),
        accounting=Accounting.END_TO_END,
    )


def model_of(mu):
    """Both looks at the rows, for a mu in all."""
    staged, rng = LocalStaged((blocks_of(ROWS),), ENCODING.width), np.random.default_rng(2)
    meter = PrivacyMeter(plan_of(), KeyedNoise(new_key()), "joint")
    asked = {"n_groups": GROUPS, "one_way_stddev": 5.0, "mu": mu, "second_share": 0.3, "rng": rng}
    return measure_joint(staged, ENCODING, meter, n_rows=float(N), **asked)


def test_rows_that_are_drawn_hang_together_as_the_source_s_do():
    model = model_of(0.2)
    assert model.n_rows == N
    cells, classes = model.sampler().draw_cells(ENCODING, N, np.random.default_rng(3))
    within = np.column_stack([cells - ENCODING.cell_layout.offsets[:-1], classes])
    drawn = {}
    for a, b in COLUMNS.pairs:
        flat = within[:, a] * COLUMNS.sizes[b] + within[:, b]
        drawn[a, b] = np.bincount(flat, minlength=COLUMNS.sizes[a] * COLUMNS.sizes[b]).reshape(COLUMNS.sizes[a], -1) / N
    assert error(drawn) < 0.6 * error(apart())
    assert model.class_odds().shape == (2, ENCODING.n_cells)


def test_both_looks_together_cost_what_they_may():
    first, second = split_mu(0.3, 0.6)
    assert first**2 + second**2 == pytest.approx(0.09)
    assert first**2 + second**2 <= 0.09 * (1 + 1e-12)
    assert n_tables(5) == 10
    assert n_tables(20) == 40


def test_a_table_without_label_has_one_class_and_no_pairs_of_it():
    encoding = Encoding(ENCODING.columns, None, 20.0)
    columns = table_columns(encoding, GROUPS)
    assert not columns.has_label
    assert len(columns.pairs) == 6
    products = Products(np.ones(1), tuple(mass[None, :] for mass in columns.masses))
    assert all(b < 4 for _, b in informative_pairs(columns, products, 4))
    model = JointModel(columns, products, 1.0, 100.0)
    assert model.class_probabilities.tolist() == [[1.0]]
