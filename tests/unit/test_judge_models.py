import numpy as np
import pytest
from report_pages import table
from sklearn.metrics import auc, roc_auc_score, roc_curve

from threea_spark.config.domain import Domain
from threea_spark.evaluation.comparison import compare_models
from threea_spark.evaluation.curves import Ranking, bootstrap
from threea_spark.evaluation.evaluate import JudgedRows, score
from threea_spark.evaluation.features import LinearFeatures
from threea_spark.evaluation.models import MODELS, class_chances, predicted_numbers

RNG = np.random.default_rng(3)


def scored(n_rows=500, decimals=1):
    truth = RNG.random(n_rows) < 0.3
    return np.round(truth + RNG.standard_normal(n_rows), decimals), truth


def telling(n_rows, seed, flip=0.0):
    """A table whose label follows from the age, but for a share of flipped ones."""
    frame, domain = table(n_rows, names=["ward"], seed=seed)
    known = np.where(frame["age"] > 55, "yes", "no")
    flipped = np.random.default_rng(seed).random(n_rows) < flip
    return frame.assign(died=np.where(flipped, np.where(known == "yes", "no", "yes"), known)), domain


@pytest.mark.parametrize("decimals", [0, 1, 6])
def test_the_area_is_that_of_scikit_learn_with_ties_and_weights(decimals):
    scores, truth = scored(decimals=decimals)
    ranking = Ranking.of(scores, truth)
    assert ranking.area(np.ones(500)) == pytest.approx(roc_auc_score(truth, scores))
    weights = RNG.integers(0, 4, 500).astype(float)
    assert ranking.area(weights) == pytest.approx(roc_auc_score(truth, scores, sample_weight=weights))


@pytest.mark.parametrize("decimals", [0, 1, 6])
def test_the_curve_is_that_of_scikit_learn(decimals):
    scores, truth = scored(decimals=decimals)
    across, up, _ = roc_curve(truth, scores, drop_intermediate=False)
    rates = np.unique(across)
    found = Ranking.of(scores, truth).true_positives(rates)
    assert found == pytest.approx([up[across == rate].max() for rate in rates])


def test_one_class_alone_has_no_area_but_a_coin():
    assert Ranking.of(np.arange(4.0), np.ones(4, dtype=bool)).area(np.ones(4)) == 0.5


def test_an_interval_holds_its_figure_and_narrows_with_rows():
    widths = []
    for n_rows in (100, 10_000):
        scores, truth = scored(n_rows, 6)
        found = bootstrap(Ranking.of(scores, truth).area, n_rows)
        assert found.low < found.value < found.high
        widths.append(found.high - found.low)
    assert widths[1] < widths[0] / 5.0


def test_an_interval_is_as_wide_as_theory_says():
    truth = RNG.random(2000)
    found = bootstrap(lambda weights: float(np.average(truth, weights=weights)), 2000)
    assert found.high - found.low == pytest.approx(2 * 1.96 * truth.std() / np.sqrt(2000), rel=0.2)


@pytest.mark.parametrize("model", MODELS)
def test_a_model_learns_what_is_there(model):
    (train, domain), (test, _) = telling(600, 1), telling(300, 2)
    chance = class_chances(model, train, test, domain)
    assert chance.sum(axis=1) == pytest.approx(1.0)
    assert roc_auc_score(test["died"] == "yes", chance[:, 1]) > 0.97


@pytest.mark.parametrize("model", MODELS)
def test_labels_that_are_null_or_of_one_class_do_not_stop_it(model):
    train, domain = telling(300, 1)
    train.loc[:50, "died"] = None
    assert np.isfinite(class_chances(model, train, train, domain)).all()
    assert class_chances(model, train.assign(died="yes"), train, domain)[:, 1] == pytest.approx(1.0)
    assert class_chances(model, train[:0], train, domain).sum() == 0.0


@pytest.mark.parametrize("model", MODELS)
def test_numbers_are_predicted_too(model):
    frame, domain = telling(800, 1)
    regression = Domain.from_dict({**domain.model_dump(), "label": "age", "task": "regression"})
    predicted = predicted_numbers(model, frame[:600], frame[600:], regression)
    assert np.corrcoef(predicted, frame["age"][600:])[0, 1] > 0.7
    found = compare_models(JudgedRows(frame[:600], frame[:600], frame[600:]), regression)
    assert {figure.measure for figure in found} == {"R2"}
    assert all(figure.figure.low < figure.figure.value < figure.figure.high for figure in found)


def test_rows_that_say_less_make_worse_models_and_the_figures_agree_with_evaluate():
    (released, domain), (real, _), (held_out, _) = telling(600, 1, flip=0.3), telling(600, 2), telling(400, 3)
    found = {(f.model, f.trained_on): f for f in compare_models(JudgedRows(released, real, held_out), domain)}
    assert set(found) == {(model, name) for model in MODELS for name in ("released", "real")}
    for model in MODELS:
        assert found[model, "real"].figure.value > found[model, "released"].figure.value
    assert found["LightGBM", "real"].figure.value == pytest.approx(score(real, held_out, domain).auc)
    curve = found["linear", "real"]
    assert (curve.false_positives[0], curve.true_positives[0]) == (0.0, 0.0)
    assert (curve.false_positives[-1], curve.true_positives[-1]) == (1.0, 1.0)
    assert auc(curve.false_positives, curve.true_positives) == pytest.approx(curve.figure.value, abs=0.01)


def test_more_than_two_classes_are_judged_one_against_the_rest():
    frame, domain = telling(900, 1)
    three = np.select([frame["age"] < 40, frame["age"] < 65], ["low", "mid"], "high")
    columns = {**domain.model_dump()["columns"], "died": {"type": "categorical", "values": ["low", "mid", "high"]}}
    domain = Domain.from_dict({"columns": columns, "label": "died", "task": "classification"})
    frame = frame.assign(died=three)
    found = compare_models(JudgedRows(frame[:600], frame[:600], frame[600:]), domain)
    assert found[0].figure.value > 0.97
    assert found[0].figure.value == pytest.approx(score(frame[:600], frame[600:], domain).auc)


def test_linear_features_have_one_scale_and_keep_nulls_and_unknown_categories():
    frame, domain = table(200, names=["ward"])
    features = LinearFeatures.fit(frame, domain)
    x = features.matrix(frame)
    other = frame.assign(ward="never seen", cost=np.inf)
    assert features.matrix(other).shape == x.shape
    assert np.isfinite(features.matrix(other)).all()
    assert x[:, 0].mean() == pytest.approx(0.0, abs=1e-9)
    assert x[:, 0].std() == pytest.approx(1.0)
    marks = [column for column in x.T if np.array_equal(column, frame["cost"].isna())]
    assert len(marks) == 1
    assert np.abs(features.matrix(frame.assign(cost=1e300))).max() <= 10.0
