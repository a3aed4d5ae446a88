"""Neighbouring tables through the real passes of encode, approximate, anonymize: no sum moves beyond its bound."""

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
from noise_sources import SeededNoise

from threea_spark.adapt.second_look import look_again
from threea_spark.anonymize.mix import Mixer
from threea_spark.approximate import class_means, correlation, marginals
from threea_spark.approximate import spark as passes
from threea_spark.approximate.components import measure_class_means
from threea_spark.approximate.mixture import starting_mixture
from threea_spark.approximate.statistics import product_bound
from threea_spark.config.domain import Domain
from threea_spark.config.release import AdaptConfig
from threea_spark.encode.encoding import Encoding
from threea_spark.encode.fit import reader_of
from threea_spark.encode.histogram import HistogramLayout
from threea_spark.encode.spark import histogram_sums, packed_vectors
from threea_spark.engine.packed import joined, unpacked
from threea_spark.engine.sums import staged_sums
from threea_spark.privacy.accounting import Relation
from threea_spark.privacy.budget import Accounting, Stage, calibrate
from threea_spark.privacy.meter import PrivacyMeter
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
    codes, _ = LAYOUT.codes(counts.astype(float), 0.0, n_cells=[8] * len(LAYOUT.fields))
    return Encoding(codes[:-1], codes[-1], 1.5)


def staged(spark, rows, encoding):
    frame = spark.createDataFrame(rows, SCHEMA)
    return packed_vectors(canonical(frame, DOMAIN, PrivacyUnit()), READER, encoding, mixes=True)


def rows_of(staged_rows, encoding):
    return joined(unpacked(staged_rows.toArrow().to_batches(), encoding.width), encoding.width)


def squared_distance(spark, encoding, added, sums):
    one_more, fewer = (sums(staged(spark, rows, encoding)) for rows in ([*FEW, added], FEW))
    return int(((one_more - fewer) ** 2).sum())


@pytest.mark.parametrize("added", ADDED)
def test_histograms(spark, added):
    one_more, fewer = (
        histogram_sums(canonical(spark.createDataFrame(rows, SCHEMA), DOMAIN, PrivacyUnit()), READER, LAYOUT)
        for rows in ([*FEW, added], FEW)
    )
    assert 0 < int(((one_more - fewer) ** 2).sum()) <= LAYOUT.squared_bound


@pytest.mark.parametrize("added", [pytest.param(ADDED[0], marks=pytest.mark.connect), ADDED[1]])
def test_cluster_statistics_marginals_and_products(spark, encoding, added):
    rng = np.random.default_rng(0)
    mixture = starting_mixture({0: 2, 1: 2}, encoding.width, "diagonal", rng, 0.5)
    bound = encoding.norm_bound
    moved = squared_distance(spark, encoding, added, lambda rows: passes.statistics_sums(rows, encoding, mixture)[0])
    assert 0 < moved <= 2 * bound**2
    moved = squared_distance(spark, encoding, added, lambda rows: passes.statistics_sums(rows, encoding, mixture)[1])
    assert moved <= product_bound(bound) ** 2
    moved = squared_distance(spark, encoding, added, lambda rows: passes.marginal_sums(rows, encoding, mixture))
    assert moved == marginals.squared_bound(len(encoding.codes))
    assert squared_distance(spark, encoding, added, lambda rows: passes.class_sums(rows, encoding, mixture)) == 1
    scores = [np.linspace(-2.5, 2.5, n) for n in np.diff(encoding.cell_offsets)]
    limit = correlation.product_bound(np.ones(len(encoding.codes)) * 0.2)
    moved = squared_distance(spark, encoding, added, lambda rows: passes.product_sums(rows, encoding, scores, limit))
    assert moved <= limit**2


@pytest.mark.parametrize("added", [pytest.param(ADDED[1], marks=pytest.mark.connect), ADDED[2]])
def test_mixed_groups_move_by_one_clipped_residual(spark, encoding, added, tmp_path):
    mixture = starting_mixture({0: 2, 1: 2}, encoding.width, "isotropic", np.random.default_rng(0), 0.5)
    mixture = mixture.keep(np.ones(4, dtype=bool))
    mixer = Mixer(mixture, np.eye(N_CLASSES)[mixture.class_of], mix_size=1, clip_norm=0.7)
    place = str(tmp_path / "staged")
    staged(spark, [*FEW, added], encoding).write.format("delta").save(place)  # tokens are drawn once, here
    one_more = spark.read.format("delta").load(place)
    gone = rows_of(one_more, encoding).coins[0]

    def groups(removed):
        def contribution(rows):
            kept = rows.where(rows.coins != gone) if removed else rows
            found = mixer.groups(kept, encoding.scores(kept.packed))
            return mixer.sums(kept, found, 0, mixer.n_groups).ravel()

        return staged_sums(one_more, encoding.width, contribution, mixer.n_groups * mixer.length)

    moved = (groups(removed=False) - groups(removed=True)).reshape(mixer.n_groups, -1)
    assert np.count_nonzero((moved != 0).any(axis=1)) <= 1
    assert 0 < int((moved**2).sum()) <= mixer.norm_bound**2


ENDS = class_means.norm_bins(np.sqrt(3.0))


@pytest.mark.parametrize("added", ADDED[:3])
def test_norms_and_class_sums_of_cut_rows(spark, encoding, added):
    bound = encoding.norm_bound // 3  # nearly every row is cut
    moved = squared_distance(spark, encoding, added, lambda rows: passes.row_sums(rows, encoding, bound))
    assert 0.9 * bound**2 < moved <= bound**2
    moved = squared_distance(spark, encoding, added, lambda rows: passes.norm_sums(rows, encoding, ENDS))
    assert moved == class_means.NORMS_SQUARED_BOUND


@pytest.mark.parametrize("partitions", [1, 3, 7])
def test_norms_and_class_sums_equal_their_numpy_twins(spark, encoding, partitions):
    rows = staged(spark, [*FEW, *ADDED] * 5, encoding)
    held = rows_of(rows, encoding)
    packed, classes = held.packed.astype(np.int64), held.classes
    assert len(packed) == 40
    spread, bound = rows.repartition(partitions), encoding.norm_bound // 3
    sums = passes.row_sums(spread, encoding, bound)
    assert sums.tolist() == class_means.class_sums(packed, classes, N_CLASSES, bound).tolist()
    assert sums.tolist() != class_means.class_sums(packed, classes, N_CLASSES, 3 * bound).tolist()
    counts = passes.norm_sums(spread, encoding, ENDS)
    assert counts.tolist() == class_means.norm_counts(packed, classes, N_CLASSES, ENDS).tolist()


@pytest.mark.parametrize(("kept", "rate"), [(3, 1.0), pytest.param(3, 0.5, marks=pytest.mark.connect), (1, 1.0)])
def test_two_looks_at_staged_rows_spend_their_shares_and_no_more(spark, encoding, tmp_path, kept, rate):
    columns = encoding.codes[-kept:]  # the last one alone is a category: no number, no pair
    narrow = Encoding(columns, encoding.label, encoding.clip_norm)
    frame = canonical(spark.createDataFrame(FEW * 100, SCHEMA), DOMAIN, PrivacyUnit())
    fields = (*READER.fields[-kept - 1 : -1], READER.fields[-1])
    reader = type(READER)(fields, (*READER.sources[-kept - 1 : -1], READER.sources[-1]), True)
    place = str(tmp_path / "staged")
    packed_vectors(frame, reader, narrow, mixes=False).write.format("delta").save(place)
    rows = spark.read.format("delta").load(place)
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
    first = measure_class_means(rows, narrow, meter, mu=plan.mu_of(Stage.APPROXIMATE))
    model = look_again(rows, narrow, first, 400.0, AdaptConfig(), meter)
    planned = plan.mu_of(Stage.ADAPT)
    assert meter.spent_mu(Stage.APPROXIMATE) == pytest.approx(plan.mu_of(Stage.APPROXIMATE))
    assert 0.88 * planned < meter.spent_mu(Stage.ADAPT) <= planned * (1.0 + 1e-9)
    (event,) = meter.events_by_stage()[Stage.ADAPT]
    assert isinstance(event, GaussianDpEvent if rate == 1.0 else PoissonSampledDpEvent)
    assert model.deviations.shape == (N_CLASSES, narrow.width)
    assert model.chosen.all()  # a narrow table keeps all it has
    assert np.linalg.eigvalsh(model.correlations).min() > 0.0
