"""Spikes: found where they are and hardly anywhere else, kept with their rows, in a leaf and a cell of their own."""

from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest

from threea_spark.config.release import ReleaseConfig
from threea_spark.encode import spikes as module
from threea_spark.encode.details import n_spiking
from threea_spark.encode.granularity import GranularityLayout, StepCounts, mixture_of, steps_of
from threea_spark.encode.grid import leaf_grid
from threea_spark.encode.histogram import column_field
from threea_spark.encode.outline import encode_prices, histogram_layout
from threea_spark.encode.packing import Reader
from threea_spark.encode.quantiles import QuantileField
from threea_spark.encode.refining import Spikes, Written, refined
from threea_spark.encode.spikes import SpikeLook, standout
from threea_spark.encode.steps import Step
from threea_spark.encode.tree import tree_counts
from threea_spark.encode.written import StepMixture
from threea_spark.privacy.gaussian import compose_mu

RELEASE = {
    "source": {"path": "rows"},
    "target": {"path": "released"},
    "privacy": {"epsilon": 1.0, "delta": 1e-6, "unit": "row"},
}
NUMBER = {"type": "float", "lower": 0, "upper": 9000}
LISTED = {"type": "categorical", "values": ["x", "y"]}
N, STDDEV = 20_000, 76.0
CENTS = StepMixture.only(Step(1, 100))
RNG = np.random.default_rng(8)
PAY = np.where(RNG.random(N) < 0.03, 250.0, np.round(RNG.gamma(3.0, 120.0, N), 2))
LAB = np.where(RNG.random(N) < 0.03, 4.2, RNG.normal(5.0, 1.2, N))


def field_of(lower, upper, kind="float", **own):
    return QuantileField("x", kind, False, leaf_grid(lower, upper, whole=kind != "float"), **own)


def block_of(field, values, stddev, seed):
    nodes = tree_counts(field.grid.index(values), field.grid.n_levels)
    return np.append(nodes + np.random.default_rng(seed).normal(0.0, stddev, len(nodes)), 0.0)


def found_in(field, values, mixture, *, seed=0, times=1.0):
    """What both looks find, through noise that is `times` as large as they are told."""
    block = block_of(field, values, STDDEV * times, seed)
    out = standout(field, field.leaf_rows(block, float(len(values))), STDDEV, mixture)
    if not out.looked:
        return out.without_look, block
    look = SpikeLook((field,), (out,))
    exact = look.query(lambda batch: [batch.column(0).to_numpy()]).contribution(pa.record_batch({"c0": values}))
    noisy = exact + np.random.default_rng(seed + 1).normal(0.0, STDDEV * times, len(exact))
    (own,) = look.found(noisy, STDDEV, float(len(values)))
    return own, block


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("values", "upper", "mixture", "spike"),
    [(PAY, 5_000.0, CENTS, 250.0), (PAY, 200_000.0, CENTS, 250.0), (LAB, 30.0, None, 4.2)],
)
def test_a_spike_is_found_drawn_exactly_and_with_its_share(values, upper, mixture, spike, seed):
    field = field_of(0.0, upper)
    own, block = found_in(field, values, mixture, seed=seed)
    assert spike in own.values
    codec = field.fit(block, float(N), STDDEV, 64, Written(mixture, own))
    rng = np.random.default_rng(seed)
    drawn = codec.draw(rng.choice(codec.n_value_cells, N, p=codec.cell_mass), rng.random(N))
    assert np.mean(drawn == spike) == pytest.approx(np.mean(values == spike), abs=0.01)
    cell = codec.cells_of_values(np.array([spike]))[0]
    assert np.all(codec.draw(np.full(100, cell), np.arange(100) / 100.0) == spike), "a cell of its own"
    plain = field.fit(block, float(N), STDDEV, 64)
    assert np.mean(plain.draw(rng.choice(plain.n_value_cells, N, p=plain.cell_mass), rng.random(N)) == spike) == 0.0


def test_a_whole_number_that_stands_out_needs_no_second_look():
    hours = np.where(RNG.random(N) < 0.4, 40.0, np.clip(np.rint(RNG.normal(38.0, 12.0, N)), 1.0, 99.0))
    field = field_of(0.0, 168.0)
    own, _ = found_in(field, hours, StepMixture.only(Step(1)))
    assert field.grid.index(np.array([40.0]))[0] in np.flatnonzero(own.single)


def test_nothing_is_found_where_nothing_is_but_much_where_the_noise_is_larger_than_said():
    field, values = field_of(0.0, 5_000.0), np.round(RNG.gamma(3.0, 120.0, N), 2)

    def columns_with_false_spikes(times):
        return np.mean([len(found_in(field, values, CENTS, seed=2 * s, times=times)[0].values) > 0 for s in range(40)])

    assert columns_with_false_spikes(1.0) <= 0.1
    assert columns_with_false_spikes(3.0) > 0.5


def test_a_leaf_that_is_split_keeps_its_rows_and_its_values():
    grid = leaf_grid(0.0, 100.0, whole=False)
    masses = np.full(grid.n_leaves, 10.0)
    values = np.array([12.34, 56.7])
    own = Spikes(
        np.zeros(grid.n_leaves, bool), np.full(grid.n_leaves, 10.0), 5.0, values, np.array([900.0, 500.0]), 5.0
    )
    masses[grid.index(values)] = [910.0, 510.0]
    finer, rows, is_spike = refined(grid, masses, own, np.ones(grid.n_leaves, dtype=bool))
    assert rows.sum() == pytest.approx(masses.sum(), rel=1e-3)
    assert np.array_equal(finer.low[is_spike], values)
    assert rows[is_spike] == pytest.approx([900.0, 500.0], rel=0.01)
    probe = np.random.default_rng(0).random(2_000) * 100.0
    assert np.all((finer.low[finer.index(probe)] <= probe) & (probe <= finer.high[finer.index(probe)]))
    assert np.all(is_spike[finer.index(values)])


COLUMNS = {
    "a": {"type": "float", "lower": -3, "upper": 3, "nullable": True},
    "n": {"type": "integer", "lower": 0, "upper": 10**9},
    "t": {"type": "timestamp", "lower": "2010-01-01", "upper": "2030-01-01"},
    "s": {"type": "float", "lower": 0, "upper": 10, "step": 0.5},
    "few": {"type": "integer", "lower": 0, "upper": 9},
    "c": {"type": "categorical", "values": ["p", "q"]},
}


def reader():
    from threea_spark.config.domain import Domain

    columns = Domain.from_dict({"task": "none", "columns": COLUMNS}).columns
    fields = tuple(column_field(name, column, {}) for name, column in columns.items())
    return Reader(fields, tuple(f"c{place}" for place in range(len(fields))), False)


def batch_of(rng, n):
    """Rows of bounds, nulls, infinities, decimals and times of all kinds."""
    pool = [0.0, 1.0, -3.0, 3.0, 2.5, 0.01, 1e300, -1e300, float("nan"), float("inf"), None, 1e-7, 999.0, 12.34]
    numbers = {
        f"c{place}": pa.array([pool[i] for i in rng.integers(0, len(pool), n)], pa.float64()) for place in (0, 1, 3, 4)
    }
    seconds = (
        rng.integers(10**9, 2 * 10**9, n)
        // rng.choice([1, 60, 3_600, 86_400], n)
        * rng.choice([1, 60, 3_600, 86_400], n)
    )
    times = pa.array((seconds * 10**6).tolist(), pa.int64()).cast(pa.timestamp("us"))
    return pa.record_batch({**numbers, "c2": times, "c5": pa.array(rng.choice(["p", "q", "?"], n))})


def row_norms(query, batch):
    return [int((query.contribution(batch.slice(place, 1)) ** 2).sum()) for place in range(batch.num_rows)]


def spike_look(own):
    fields = [field for field in own.fields if field.has_leaves and not field.counts_every_value]
    outs = [
        standout(
            field, np.full(field.grid.n_leaves, 1.0) + 999.0 * (np.arange(field.grid.n_leaves) % 97 == 5), 10.0, None
        )
        for field in fields
    ]
    return SpikeLook(tuple(fields), tuple(outs)), [f"c{own.fields.index(field)}" for field in fields]


def test_no_row_adds_more_than_is_priced_and_a_sum_of_rows_is_that_of_each():
    own, batch = reader(), batch_of(np.random.default_rng(1), 300)
    layout = GranularityLayout(own.fields)
    look, sources = spike_look(own)
    for query in (
        layout.query(own),
        look.query(
            lambda batch: [own.values_of(batch.column(name)) for own, name in zip(look.fields, sources, strict=True)]
        ),
    ):
        norms = row_norms(query, batch)
        assert max(norms) <= query.bound.squared_norm
        each = sum(query.contribution(batch.slice(place, 1)) for place in range(batch.num_rows))
        assert np.array_equal(query.contribution(batch), each)
        assert len(each) == query.size
    steps = layout.query(own)
    assert max(row_norms(steps, batch_of(np.random.default_rng(2), 300))) == steps.bound.squared_norm == 3


def looked_at(look, sources, rng, n):
    """Rows whose values are all among those that are counted."""
    columns = {}
    for found, name in zip(look.standouts, sources, strict=True):
        values = [step.value(first + rng.integers(0, count, 1))[0] for _, step, first, count in found.looked]
        columns[name] = pa.array(rng.choice(values, n))
    columns["c2"] = pa.array((columns["c2"].to_numpy() * 1e6).astype(np.int64)).cast(pa.timestamp("us"))
    return pa.record_batch(columns)


def test_a_row_that_is_counted_in_every_column_adds_all_that_is_priced():
    look, sources = spike_look(reader())
    query, batch = (
        look.query(
            lambda batch: [own.values_of(batch.column(name)) for own, name in zip(look.fields, sources, strict=True)]
        ),
        looked_at(*spike_look(reader()), np.random.default_rng(3), 50),
    )
    assert set(row_norms(query, batch)) == {query.bound.squared_norm} == {4}
    counts = module._value_counts
    with patch.object(module, "_value_counts", lambda *of: 2 * counts(*of)):
        assert max(row_norms(query, batch)) > query.bound.squared_norm, "the check finds a row that counts twice"


def test_the_check_finds_a_row_that_counts_for_every_step_it_follows():
    own, batch = reader(), batch_of(np.random.default_rng(1), 300)
    query = GranularityLayout(own.fields).query(own)

    def counted(column, numbers):
        known = numbers[~np.isnan(numbers)]
        return np.array([*(step.holds(known).sum() for step in column.steps), 0])

    with patch("threea_spark.encode.granularity.StepCounts.counts", counted):
        assert max(row_norms(query, batch)) > query.bound.squared_norm


@pytest.mark.parametrize("width", [90.0, 1e6])
def test_steps_that_are_looked_up_are_those_that_are_searched(width):
    """Whole numbers in narrow bounds are looked up in a table; one other number sends the batch to the search."""
    field = QuantileField("n", "integer", True, leaf_grid(-30.0, width, whole=True, atoms=(7.0,)), atoms=(7.0,))
    rng, counter = np.random.default_rng(2), StepCounts(field)
    whole = np.concatenate([rng.integers(-60, 140, 3_000).astype(float), [np.nan, np.inf, -0.0, 7.0, -30.0, width]])
    for numbers in (whole, np.append(whole, [2.5, 3.0000000000000004]), whole[:0]):
        counts = [0] * (len(counter.steps) + 1)
        for number in numbers[(numbers > -30.0) & (numbers < width) & (numbers != 0.0) & (numbers != 7.0)].tolist():
            followed = [place for place, step in enumerate(counter.steps) if step.holds(np.array([number]))[0]]
            counts[followed[0] if followed else -1] += 1
        assert counter.counts(numbers).tolist() == counts


def test_the_two_sums_take_their_part_of_the_histograms_and_only_where_a_column_needs_them():
    def prices(**columns):
        content = {"columns": columns, "task": "none"}
        config = ReleaseConfig.from_dict({**RELEASE, "domain": content})
        return encode_prices(config, 0.7), histogram_layout(config).fields

    bought, fields = prices(a=NUMBER, b=LISTED)
    assert min(bought.granularity, bought.spikes) > 0.0
    assert n_spiking(fields) == 1
    without, _ = prices(a={"type": "integer", "lower": 0, "upper": 3}, b=LISTED)
    assert (without.granularity, without.spikes) == (0.0, 0.0)
    for own in (bought, without):
        spent = [own.histograms, own.granularity, own.spikes, own.misfits, own.finer, own.classes]
        assert compose_mu([price for price in spent if price]) == pytest.approx(0.7)


def test_spikes_say_nothing_of_the_steps_of_the_others():
    field = field_of(0.0, 168.0)
    hours = np.where(RNG.random(N) < 0.5, 40.0, RNG.integers(1, 99, N))
    counts = np.zeros(len(steps_of(field)) + 1)
    for value in hours:
        counts[next(place for place, step in enumerate(steps_of(field)) if value % step.size == 0.0)] += 1.0
    leaves = np.bincount(field.grid.index(hours), minlength=field.grid.n_leaves).astype(float)
    told = mixture_of(field, counts, 100.0, leaves, [(40.0, float(np.sum(hours == 40.0)))])
    assert [step.size for step in told.steps] == [1.0]
    assert 10.0 in [step.size for step in mixture_of(field, counts, 100.0, leaves).steps]
