import argparse
import importlib.util
import itertools

import numpy as np
import pandas as pd
import pytest
from benchmark_files import load

from threea_spark.approximate import product_fit
from threea_spark.approximate.product_fit import ProductSettings

for name in ("any_label", "fidelity", "baseline", "trained_rows", "utility"):
    load(name)  # the next import them
mbi_fit = load("mbi_fit")
same_tables = load("same_tables")
Yardstick = load("fidelity").Yardstick

LEVELS = [str(level) for level in range(4)]
GIVEN = argparse.Namespace(epsilon=8.0, delta=1e-5, adapt="none", generator="sample", override=None)


def _table(n_rows=4_000):
    """A chain of categories, each mostly the one before it; a number; the label."""
    rng = np.random.default_rng(0)
    cells = [rng.integers(0, 4, n_rows)]
    for _ in range(3):
        cells.append(np.where(rng.random(n_rows) < 0.7, cells[-1], rng.integers(0, 4, n_rows)))
    rows = pd.DataFrame({f"c{place}": own.astype(str) for place, own in enumerate(cells)})
    rows["x"] = np.clip(rng.normal(cells[0], 0.5), -2.0, 6.0)
    rows["y"] = np.where(cells[1] > 1, "yes", "no")
    category = {"type": "categorical", "values": LEVELS, "nullable": False}
    columns = {f"c{place}": category for place in range(4)}
    columns["x"] = {"type": "float", "lower": -2.0, "upper": 6.0, "nullable": False}
    columns["y"] = {**category, "values": ["no", "yes"]}
    return rows, {"name": "chain", "label": "y", "task": "classification", "columns": columns}


@pytest.fixture(scope="module")
def found():
    rows, domain = _table()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(product_fit, "ProductSettings", lambda: ProductSettings(components=12, steps=120, more_steps=40))
        return same_tables.measured(GIVEN, rows, domain)


def _counts(rows, codecs, columns):
    """Exact counts of one or two categories, in the order of the cells."""
    levels = [codecs[place].values for place in columns]
    tables = [
        pd.get_dummies(rows[codecs[place].name])[list(own)].to_numpy(float)
        for place, own in zip(columns, levels, strict=True)
    ]
    return tables[0].sum(axis=0) if len(tables) == 1 else tables[0].T @ tables[1]


def test_the_noisy_tables_are_those_of_the_rows_and_no_others(found):
    rows, codecs = _table()[0], found.evidence.columns.codecs
    categories = [place for place, codec in enumerate(codecs) if codec.is_category]
    pairs = list(itertools.combinations(categories, 2))
    tables = mbi_fit.noisy_tables(found.evidence, found.model.n_rows, pairs)
    assert {table.columns for table in tables} == {*pairs, *((place,) for place in range(len(codecs)))}
    assert any(table.groups is None for table in tables if len(table.columns) == 2)  # the second look
    for table in (own for own in tables if set(own.columns) <= set(categories)):
        exact = _counts(rows, codecs, table.columns)
        assert np.abs(table.counts - exact).max() < 8.0 * table.stddev + 0.01 * len(rows)
    chain = next(table for table in tables if table.columns == (0, 1))
    assert np.abs(chain.counts - _counts(rows, codecs, (0, 3))).max() > 8.0 * chain.stddev + 0.01 * len(rows)


def test_the_spanning_tree_is_the_heaviest_and_the_first_pairs_are_no_tree():
    rng = np.random.default_rng(1)
    for _ in range(20):
        weights = {pair: rng.random() for pair in itertools.combinations(range(5), 2)}
        ordered = sorted(weights, key=weights.get, reverse=True)
        chosen = mbi_fit.spanning_tree(ordered)
        trees = [own for own in itertools.combinations(weights, 4) if _connects(own)]
        assert _connects(chosen)
        assert sum(map(weights.get, chosen)) == pytest.approx(max(sum(map(weights.get, own)) for own in trees))
    cycle = [(0, 1), (1, 2), (0, 2), (2, 3)]
    assert mbi_fit.spanning_tree(cycle) == [(0, 1), (1, 2), (2, 3)]
    assert not _connects(cycle[:3])


def _connects(pairs, n_columns=5):
    reached = {pairs[0][0]}
    for _ in pairs:
        reached |= {end for pair in pairs if reached & set(pair) for end in pair}
    return len(reached) == n_columns


def test_rows_of_drawn_cells_are_near_the_real_ones_and_of_shuffled_cells_are_not(found):
    rows, domain = _table()
    yardstick, cells = Yardstick(rows, rows, domain), same_tables.own_cells(found, len(rows))
    apart = np.column_stack([np.random.default_rng(place).permutation(own) for place, own in enumerate(cells.T)])
    near, far = (yardstick.distances(same_tables.rows_of(found, own, domain))["tv2_q"] for own in (cells, apart))
    assert near < 0.1
    assert far > 2.0 * near


def test_the_distance_of_one_pair_is_that_of_its_two_columns_and_reads_no_other():
    rows, domain = _table()
    other, pair = rows.sample(frac=0.1, random_state=0), ("c0", "x")
    small = {**domain, "label": "c0", "columns": {name: domain["columns"][name] for name in pair}}
    expected = Yardstick(rows, rows, small).distances(other)["tv2_q"]
    yardstick = Yardstick(rows, rows, domain)
    assert yardstick.pair_distance(other[list(pair)], pair) == pytest.approx(expected)
    assert expected > 0.0


def test_without_mbi_the_program_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="pip install mbi"):
        mbi_fit.load_mbi()


@pytest.mark.parametrize("method", ["tree", "cliques", "local"])
def test_mbi_fits_what_was_measured_and_better_than_independent_columns(found, method):
    pytest.importorskip("mbi", exc_type=ImportError)
    import jax

    rows, codecs = _table()[0], found.evidence.columns.codecs
    exact = _counts(rows, codecs, (0, 1)) / len(rows)
    with jax.enable_x64(True):
        peer = mbi_fit.Peer(found.evidence, found.products, found.model.n_rows, megabytes=0.1)
        fitted = peer.fit(method, peer.pairs(method))
        table = np.asarray(fitted.project((0, 1)).datavector(flatten=False))
    own, apart = table / table.sum(), np.outer(exact.sum(axis=1), exact.sum(axis=0))
    assert np.abs(own - exact).sum() < 0.3 * np.abs(apart - exact).sum()
