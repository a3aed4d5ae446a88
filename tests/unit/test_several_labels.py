"""Several labels: each from a function of its own, given the labels before it; and where that cannot be."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from small_tables import category, mixed_encoding
from test_label_columns import is_calibrated
from test_sample import sampler_of

from threea_spark import ReleaseConfig, ReleaseModel, Synthesizer, fit
from threea_spark.encode.codec import Encoding
from threea_spark.encode.outline import LabelShape, expected_shape
from threea_spark.errors import ConfigError
from threea_spark.evaluation.evaluate import Evaluation, JudgedRows, label_scores, score
from threea_spark.forecast.outlook import outlook
from threea_spark.model.conditions import Conditions
from threea_spark.model.drawn_label import DrawnLabel, RowPart
from threea_spark.model.labels import KernelInput, LabelFunction
from threea_spark.model.narrowing import narrowed
from threea_spark.model.ntk import Architecture
from threea_spark.planned import make_plan
from threea_spark.privacy.terms import Stage
from threea_spark.recipes import choice
from threea_spark.recipes.recipe import Draw, DrawPairs

LABELS = ["died", "back", "days"]
COLUMNS = {
    **{f"x{place}": {"type": "float", "lower": -4, "upper": 4} for place in range(3)},
    "back": {"type": "categorical", "values": ["no", "yes"]},
    "days": {"type": "float", "lower": -10, "upper": 20, "nullable": True},
    "died": {"type": "categorical", "values": ["no", "yes"]},
}


def table(n_rows, seed):
    """No pair of columns tells `back` or `days`: only products of two, and the label before them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_rows, 3))
    died = rng.random(n_rows) < expit(2.0 * x[:, 0])
    back = rng.random(n_rows) < expit(2.5 * x[:, 1] * x[:, 2] + 1.5 * (died - 0.5))
    days = 4.0 + 2.0 * x[:, 0] * x[:, 1] + rng.normal(size=n_rows)
    days[rng.random(n_rows) < 0.1] = np.nan
    frame = pd.DataFrame({f"x{place}": x[:, place].clip(-4, 4) for place in range(3)})
    return frame.assign(back=np.where(back, "yes", "no"), days=days, died=np.where(died, "yes", "no"))


def config_of(label, *, epsilon=8.0, columns=COLUMNS, **sections):
    return ReleaseConfig.from_dict(
        {
            "source": {"path": "/lake/stays"},
            "target": {"path": "/lake/released"},
            "privacy": {"epsilon": epsilon, "delta": 1e-6, "unit": "row"},
            "domain": {"label": label, "columns": columns},
            **sections,
        }
    )


@pytest.fixture(scope="module")
def model():
    return fit(table(4_000, 1), config_of(LABELS, anonymize={"label_probability": True}))


@pytest.fixture(scope="module")
def rows(model):
    return model.sample_local(8_000, seed=3)


def test_each_label_can_be_learned_from_the_rows_and_not_where_it_is_an_ordinary_column(rows):
    twin = fit(table(4_000, 1), config_of("died")).sample_local(8_000, seed=3)
    domain, held_out = config_of(LABELS).domain, table(6_000, 2)
    ours, naive = (
        {label: score(train, held_out, domain.for_label(label)) for label in LABELS} for train in (rows, twin)
    )
    assert ours["back"].auc > naive["back"].auc + 0.08
    assert ours["days"].r2 > naive["days"].r2 + 0.1
    assert ours["died"].auc > naive["died"].auc - 0.03


def test_a_label_depends_on_the_one_before_it_as_in_the_real_rows(rows):
    real = table(4_000, 1)  # those that it was fitted to: others are as far from them as the rows may be
    back = [frame["back"] == "yes" for frame in (rows, real)]
    told, truth = (
        own[frame["died"] == "yes"].mean() - own[frame["died"] == "no"].mean()
        for own, frame in zip(back, (rows, real), strict=True)
    )
    assert told == pytest.approx(truth, abs=0.1)
    assert truth > 0.2


def test_every_label_has_its_probability(rows):
    assert [*rows][-3:] == ["died_probability", "back_probability", "days_expected"]
    for label in ("died", "back"):
        assert is_calibrated(rows[f"{label}_probability"].to_numpy(), (rows[label] == "yes").to_numpy())
    known = rows["days"].notna()
    assert 0.05 < 1.0 - known.mean() < 0.15
    error = (rows["days"] - rows["days_expected"])[known]
    assert abs(error.mean()) < 0.1
    assert error.var() < 0.9 * rows["days"][known].var()


def test_a_condition_on_a_further_label_chooses_among_the_rows_that_are_drawn(model):
    asked, every = model.sample_local(6_000, where={"back": "yes"}), model.sample_local(20_000, seed=4)
    wanted = every[every["back"] == "yes"]
    assert (asked["back"] == "yes").all()
    told, truth, others = ((own["x1"] * own["x2"]).mean() for own in (asked, wanted, every))
    assert told == pytest.approx(truth, abs=0.08)
    assert truth > others + 0.15
    conditions = Conditions(values={"back": "yes"})
    assert narrowed(model.sampler, model.encoding, conditions) is model.sampler
    plain = replace(model.sampler, sequence=None)
    assert narrowed(plain, model.encoding, conditions) is not plain


def test_a_saved_model_draws_the_same_rows_and_older_versions_refuse_it(model, rows, tmp_path):
    model.save(tmp_path / "model")
    loaded = ReleaseModel.load(tmp_path / "model")
    assert loaded.domain.labels == tuple(LABELS)
    pd.testing.assert_frame_equal(loaded.sample_local(8_000, seed=3), rows)
    assert json.loads((tmp_path / "model" / "model.json").read_text())["readable_by"] == 3


def test_any_label_is_y_and_none_is_a_feature(model, rows):
    for label in (None, *LABELS):
        x, y = model.as_xy(rows, label=label)
        assert [*x] == ["x0", "x1", "x2"]
        assert [*y] == [*rows[label or "died"].dropna()]
    with pytest.raises(ConfigError, match="'x0' is none of"):
        model.as_xy(rows, label="x0")


def test_every_label_is_evaluated_without_the_others():
    real, held_out = table(1_500, 5), table(1_500, 6)
    own, domain = JudgedRows(real.assign(back="no"), real, held_out), config_of(["died", "back"]).domain
    first, second = (label_scores(own, domain, label) for label in domain.labels)
    assert first.released == first.real  # what was changed is the other label
    assert second.released.auc == 0.5 < second.real.auc - 0.1
    said = Evaluation(first.released, first.real, 9, 9, 9, further_labels=(second,)).in_words()
    assert "and for back:" in said
    assert f"{second.real.auc:.4f}" in said


def test_labels_in_order_follow_the_chain_rule():
    """The second reads the first as it was drawn; where it reads what the component said, their law is another."""
    mixed = mixed_encoding()
    encoding = Encoding((*mixed.columns[:3], category("sex", "f", "m")), mixed.label, mixed.clip_norm)
    layout, own = encoding.cell_layout, encoding.place_of("sex")
    nothing, architecture = (np.zeros((0, 4)), np.zeros((0, 2))), Architecture()
    first_cells = layout.of(own).start + np.arange(2)
    reads = RowPart(np.arange(own), np.zeros(own, dtype=np.int64))
    with_first = replace(reads, cell_of_class=first_cells)

    def function(additive):
        return LabelFunction(np.zeros(2), additive, KernelInput(np.zeros(len(additive))), *nothing, architecture)

    ward = layout.of(encoding.place_of("ward"))
    first, second = np.zeros((layout.n_cells, 2)), np.zeros((layout.n_cells, 2))
    first[ward, 1] = [-1.0, 0.5, 1.0]
    second[first_cells, 1] = [-2.0, 2.0]
    base = replace(sampler_of(), laws=sampler_of().laws[:, : layout.n_cells], orders=sampler_of().orders)
    base = replace(base, orders=(*base.orders[:3], np.arange(2)), class_of=np.array([0, 0]))
    died = DrawnLabel("died", None, 0, reads, function(first[: layout.of(own).start]))
    sex = DrawnLabel("sex", own, layout.of(own).start, with_first, function(second))
    apart = {}
    for order in ((died, sex), (sex, died)):
        sampler = base
        for label in order:
            sampler = sampler.with_label(label)
        cells, classes = sampler.draw_cells(encoding, 20_000, np.random.default_rng(5))
        drawn = cells[:, own] - layout.of(own).start
        apart[order[0].name] = drawn[classes == 1].mean() - drawn[classes == 0].mean()
    assert apart["died"] == pytest.approx(expit(2.0) - expit(-2.0), abs=0.03)
    assert apart["sex"] == pytest.approx(0.0, abs=0.03)


# rules


def chosen(config, rows_to_learn):
    shape = expected_shape(config, 1e9)
    first, *others = rows_to_learn
    further = tuple(
        LabelShape(label.name, label.n_classes, own, label.is_number)
        for label, own in zip(shape.further_labels, others, strict=True)
    )
    return choice.choose(config, make_plan(config), replace(shape, rows_to_learn=first, further_labels=further))


def test_a_label_is_learned_where_its_rows_suffice_for_an_equal_part_of_the_budget():
    config = config_of(["died", "back"], epsilon=1.0)
    last = 12.0 * np.sqrt(5.0) * np.sqrt(2.0) / make_plan(config).mu_of(Stage.ADAPT)
    few, enough = 0.99 * last, 1.01 * last
    for rows_to_learn, learned in (
        ((enough, enough), ("died", "back")),
        ((enough, few), ("died",)),
        ((few, enough), ("back",)),
    ):
        own = chosen(config, rows_to_learn)
        assert isinstance(own, DrawPairs)
        assert own.functions.learned == learned
        assert own.labels == ("learned" if "died" in learned else "component")
        assert own.values["labels_learned"] == ", ".join(learned)
    none = chosen(config, (few, few))
    assert isinstance(none, Draw)
    assert none.counts_again == (Stage.ADAPT,)


def test_labels_that_are_learned_have_what_the_others_leave():
    shares = {}
    for label in (["died"], ["died", "back"], LABELS):
        config = config_of(label, epsilon=1.0)
        adapt = next(own for own in outlook(config, n_rows=100_000).stages if own.stage == "adapt")
        shares[len(label)] = 1.0 / (adapt.needed_rows * adapt.mu)
    assert shares[1] == pytest.approx(np.sqrt(2.0) * shares[2]) == pytest.approx(np.sqrt(3.0) * shares[3])


def test_one_label_in_a_list_is_that_label():
    assert config_of(["died"]).digest == config_of("died").digest != config_of(["died", "back"]).digest
    assert config_of(["died"]).domain == config_of("died").domain


@pytest.mark.parametrize(
    ("label", "sections", "words"),
    [
        (["died", "died"], {}, "'died' is listed twice"),
        (["died", "gone"], {}, "'gone' is not among the columns"),
        (["died", "seen"], {}, "'seen': a label is a number"),
        (["died", "city"], {}, "'city': a label is a number, or a category with listed values"),
        (["died", "many"], {}, "'many': at most 64 classes"),
        ([], {}, "label must be text, or a list"),
        (["died", "back"], {"anonymize": {"generator": "mix"}}, "several labels need generator: sample"),
        (["died", "back"], {"adapt": {"rows": "sample"}}, "adapt.rows: auto or all"),
        (["x0", "died"], {}, "classification needs a categorical label"),
    ],
)
def test_labels_that_cannot_be_are_refused_before_a_row_is_read(label, sections, words):
    columns = {
        **COLUMNS,
        "seen": {"type": "timestamp", "lower": "2020-01-01", "upper": "2021-01-01"},
        "city": {"type": "categorical", "values": "open"},
        "many": {"type": "categorical", "values": [str(place) for place in range(65)]},
    }
    with pytest.raises(ConfigError, match=words):
        config_of(label, columns=columns, **sections)


def test_labels_of_a_synthesizer_are_columns():
    synthesizer = Synthesizer(epsilon=1.0, delta=1e-6, domain=config_of(["died", "back"]).domain, unit="row")
    frame = table(10, 0)
    with pytest.raises(ConfigError, match="2 labels; pass them as columns"):
        synthesizer.fit(frame.drop(columns="died"), frame["died"])
