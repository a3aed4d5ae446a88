"""Neighbouring tables through the real passes of encode, approximate, anonymize: no sum moves beyond its bound."""

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
from noise_sources import SeededNoise

from threea_spark.adapt.second_look import look_again
from threea_spark.anonymize.mix import Mixer
from threea_spark.approximate import class_means, correlation, marginals
from threea_spark.approximate.clusters import sizes_query, statistics_queries
from threea_spark.approximate.components import class_look
from threea_spark.approximate.look import measure_class_means
from threea_spark.approximate.mixture import starting_mixture
from threea_spark.approximate.tables import pairs_query, table_columns, tables_query
from threea_spark.config.adapt import AdaptConfig
from threea_spark.config.domain import Domain
from threea_spark.encode.codec import Encoding
from threea_spark.encode.fit import reader_of
from threea_spark.encode.histogram import HistogramLayout
from threea_spark.encode.packing import staged_rows
from threea_spark.engine.spark import SparkSource, SparkStaged
from threea_spark.privacy.budget import calibrate
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.query import SumQuery
from threea_spark.privacy.terms import Accounting, Relation, Stage
from threea_spark.privacy.unit import PrivacyUnit
from threea_spark.source.rows import canonical

NUMBER = {"type": "float", "lower": -3, "upper": 3, "nullable": True}
DOMAIN = Domain.from_dict(
    {
        "label": "y",
        "columns": {
            "a": NUMBER, "b": NUMBER, "c": {"type": "categorical", "values": ["p", "q", "r"], "nullable": True},
            "y": {"type": "categorical", "values": ["no", "yes"]},
        },
    }
)  # fmt: skip
SCHEMA = "a double, b double, c string, y string"
FEW = [(0.1, -0.2, "p", "no"), (1.5, None, "q", "yes"), (-2.0, 2.5, None, "no"), (0.0, 0.0, "r", "yes")]
ADDED = [
    (3.0, -3.0, "r", "yes"),
    (float("inf"), float("-inf"), "zzz", "no"),
    (None, float("nan"), None, "perhaps"),
    (1e300, 5e-324, "", None),
]
READER = reader_of(DOMAIN, {})
LAYOUT = HistogramLayout(READER.fields)
N_CLASSES = 2


@pytest.fixture(scope="module")
def encoding():
    counts = LAYOUT.counts([np.linspace(-3, 3, 500), np.linspace(3, -3, 500), np.arange(500) % 4, np.arange(500) % 2])
    codes = LAYOUT.fit(LAYOUT.rows(counts.astype(float), 0.0), n_cells=[8] * len(LAYOUT.fields))
    return Encoding(codes[:-1], codes[-1], 1.5)


@pytest.fixture
def stage(spark, staging_names):
    """Stages rows, or canonical rows, of which each is a unit."""

    def staged(rows, encoding, *, reader=READER, mixes=True):
        frame = canonical(spark.createDataFrame(rows, SCHEMA), DOMAIN, PrivacyUnit())
        return staged_rows(SparkSource(frame, next(staging_names)), reader, encoding, mixes=mixes)

    return staged


@pytest.fixture
def staging_names(spark):
    """Names of tables that are dropped afterwards."""
    made = []

    def names():
        while True:
            made.append(f"staged_neighbours_{len(made)}")
            yield made[-1]

    yield names()
    for name in made:
        spark.sql(f"DROP TABLE IF EXISTS {name}")


def distances(stage, encoding, added, queries):
    """By how much one row more moves each sum, squared, and in how many coordinates; no bound is passed."""
    one_more, fewer = (stage(rows, encoding).sums(queries) for rows in ([*FEW, added], FEW))
    found = []
    for query, own, its in zip(queries, one_more, fewer, strict=True):
        squared = int(((own - its) ** 2).sum())
        assert squared <= query.bound.squared_norm, query.name
        assert np.count_nonzero(own - its) <= query.bound.moved, query.name
        found.append(squared)
    return found


@pytest.mark.parametrize("added", ADDED)
def test_histograms(spark, added):
    query, classes = READER.histogram_query(), READER.classes_query()
    (one_more, its_class), (fewer, no_class) = (
        SparkSource(canonical(spark.createDataFrame(rows, SCHEMA), DOMAIN, PrivacyUnit()), "").sums([query, classes])
        for rows in ([*FEW, added], FEW)
    )
    assert 0 < int(((one_more - fewer) ** 2).sum()) <= query.bound.squared_norm == LAYOUT.bound.squared_norm
    assert np.count_nonzero(one_more - fewer) <= query.bound.moved
    assert int(((its_class - no_class) ** 2).sum()) == classes.bound.squared_norm == 1


@pytest.mark.parametrize("added", [pytest.param(ADDED[0], marks=pytest.mark.connect), ADDED[1]])
def test_cluster_statistics_marginals_and_products(stage, encoding, added):
    mixture = starting_mixture({0: 2, 1: 2}, encoding.width, "diagonal", np.random.default_rng(0), 0.5)
    scores = np.concatenate([np.linspace(-2.5, 2.5, n) for n in encoding.cell_layout.sizes])
    spread = np.ones(len(encoding.features)) * 0.2
    queries = [
        *statistics_queries(encoding, mixture, "pass"),
        marginals.marginals_query(encoding, mixture, Stage.APPROXIMATE, "marginals"),
        sizes_query(encoding, mixture, "sizes"),
        correlation.products_query(Stage.APPROXIMATE, spread, lambda rows: scores[encoding.cells(rows.packed)]),
    ]
    first, _, counts, sizes, _ = distances(stage, encoding, added, queries)
    assert 0 < first <= 2 * encoding.norm_bound**2
    assert counts == marginals.row_bound(len(encoding.features)).squared_norm
    assert sizes == 1


@pytest.mark.parametrize("added", [ADDED[0], pytest.param(ADDED[2], marks=pytest.mark.connect), ADDED[3]])
def test_tables_of_pairs(stage, encoding, added):
    columns = table_columns(encoding, 4)
    queries = [pairs_query(columns), tables_query(columns, columns.pairs[1:5])]
    assert distances(stage, encoding, added, queries) == [6, 4]


@pytest.mark.parametrize("added", [pytest.param(ADDED[1], marks=pytest.mark.connect), ADDED[2]])
def test_mixed_groups_move_by_one_clipped_residual(stage, encoding, added):
    mixture = starting_mixture({0: 2, 1: 2}, encoding.width, "isotropic", np.random.default_rng(0), 0.5)
    mixture = mixture.keep(np.ones(4, dtype=bool))
    mixer = Mixer(mixture, np.eye(N_CLASSES)[mixture.class_of], mix_size=1, clip_norm=0.7)
    groups = mixer.query()
    one_more = stage([*FEW, added], encoding)  # tokens are drawn once, here
    gone = one_more.sample(1.0).coins[0]

    def sums(removed):
        def contribution(rows):
            kept = rows.where(rows.coins != gone) if removed else rows
            return groups.sums_of(kept, groups.groups_of(kept), 0, groups.n_groups).ravel()

        query = SumQuery(
            stage=Stage.ANONYMIZE, name="groups", bound=groups.bound, size=groups.size, contribution=contribution
        )
        return one_more.sums([query])[0]

    moved = (sums(removed=False) - sums(removed=True)).reshape(groups.n_groups, -1)
    assert np.count_nonzero((moved != 0).any(axis=1)) <= 1
    assert 0 < int((moved**2).sum()) <= groups.bound.squared_norm == mixer.norm_bound**2


ENDS = class_means.norm_bins(np.sqrt(3.0))


def looked_at(encoding):
    """The queries of a look at class means, whose clip cuts nearly every row."""
    own, clip = class_look(encoding), class_means.NormClip(encoding.norm_bound // 3, 1.0)
    return own.sums_query(clip), own.norms_query(ENDS, counts_classes=True)


@pytest.mark.parametrize("added", ADDED[:3])
def test_norms_and_class_sums_of_cut_rows(stage, encoding, added):
    queries = looked_at(encoding)
    sums, norms = distances(stage, encoding, added, queries)
    assert sums > 0.9 * queries[0].bound.squared_norm
    assert norms == queries[1].bound.squared_norm == 2


@pytest.mark.parametrize("partitions", [1, 3, 7])
def test_norms_and_class_sums_equal_their_numpy_twins(stage, encoding, partitions):
    rows = stage([*FEW, *ADDED] * 5, encoding)
    held = rows.sample(1.0)
    packed, classes = held.packed.astype(np.int64), held.classes
    assert len(packed) == 40
    spread, bound = SparkStaged(rows.frame.repartition(partitions), encoding.width), encoding.norm_bound // 3
    sums, counts = spread.sums(looked_at(encoding))
    assert sums.tolist() == class_means.class_sums(packed, classes, N_CLASSES, bound).tolist()
    assert sums.tolist() != class_means.class_sums(packed, classes, N_CLASSES, 3 * bound).tolist()
    assert counts.tolist() == class_means.norm_counts(packed, classes, N_CLASSES, ENDS).tolist()


@pytest.mark.parametrize(("kept", "rate"), [(3, 1.0), pytest.param(3, 0.5, marks=pytest.mark.connect), (1, 1.0)])
def test_two_looks_at_staged_rows_spend_their_shares_and_no_more(stage, encoding, kept, rate):
    columns = encoding.columns[-kept:]  # the last one alone is a category: no number, no pair
    narrow = Encoding(columns, encoding.label, encoding.clip_norm)
    fields = (*READER.columns[-kept - 1 : -1], READER.columns[-1])
    reader = type(READER)(fields, (*READER.sources[-kept - 1 : -1], READER.sources[-1]), True)
    rows = stage(FEW * 100, narrow, reader=reader, mixes=False)
    plan = calibrate(
        epsilon=2.0,
        delta=1e-5,
        shares={Stage.ENCODE: 0.1, Stage.APPROXIMATE: 0.2, Stage.ADAPT: 0.7},
        relation=Relation.ADD_OR_REMOVE_ONE,
        unit=PrivacyUnit(),
        accounting=Accounting.END_TO_END,
        sampling_probability=rate,
    )
    meter = PrivacyMeter(plan, SeededNoise(1), "r1")
    first = measure_class_means(rows, class_look(narrow), meter, plan.mu_of(Stage.APPROXIMATE))
    model = look_again(rows, narrow, first, 400.0, AdaptConfig(), meter)
    planned = plan.mu_of(Stage.ADAPT)
    assert meter.spent_mu(Stage.APPROXIMATE) == pytest.approx(plan.mu_of(Stage.APPROXIMATE))
    assert 0.88 * planned < meter.spent_mu(Stage.ADAPT) <= planned * (1.0 + 1e-9)
    (event,) = meter.events_by_stage()[Stage.ADAPT]
    assert isinstance(event, GaussianDpEvent if rate == 1.0 else PoissonSampledDpEvent)
    assert model.deviations.shape == (N_CLASSES, narrow.width)
    assert model.chosen.all()  # a narrow table keeps all it has
    assert np.linalg.eigvalsh(model.correlations).min() > 0.0
