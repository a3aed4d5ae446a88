"""What the internal report measures: each figure has a release that should do well, and one that should do badly."""

import numpy as np
import pandas as pd
import pytest
from report_pages import page_text, table

from threea_spark.config.domain import Domain
from threea_spark.evaluation.any_label import MAX_TARGETS, any_label
from threea_spark.evaluation.evaluate import JudgedRows
from threea_spark.evaluation.nearest import nearest_figures
from threea_spark.evaluation.quality import has_sdmetrics, quality_score
from threea_spark.evaluation.validity import validity_of
from threea_spark.report.bins import OTHERS
from threea_spark.report.comparison import compare
from threea_spark.report.fidelity import fidelity_of
from threea_spark.report.internal import internal_page, kept_overall
from threea_spark.report.summary import values_of

COLUMNS = {
    "ward": {"type": "categorical", "values": "open"},
    "age": {"type": "integer", "lower": 0, "upper": 100},
    "stay": {"type": "float", "lower": 0, "upper": 60, "nullable": True},
    "died": {"type": "categorical", "values": ["no", "yes"]},
}
DOMAIN = Domain.from_dict({"columns": COLUMNS, "label": "died"})
NAMES = list(COLUMNS)


def stays(n_rows=600, seed=0):
    rng = np.random.default_rng(seed)
    ward = rng.choice(["icu", "surgery", "eye"], n_rows, p=[0.3, 0.3, 0.4])
    age = np.clip(rng.normal(50, 15, n_rows) + 20 * (ward == "icu"), 0, 100).round().astype(int)
    stay = np.where(rng.random(n_rows) < 0.1, np.nan, age / 5 + rng.random(n_rows))
    died = np.where((age > 70) ^ (rng.random(n_rows) < 0.1), "yes", "no")
    return pd.DataFrame({"ward": ward, "age": age, "stay": stay, "died": died})


def shuffled(frame, seed=1):
    """The same columns, with nothing left between them."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame({name: frame[name].to_numpy()[rng.permutation(len(frame))] for name in frame})


def fidelity(released, real, held_out):
    return fidelity_of(*(values_of(own, DOMAIN) for own in (released, real, held_out)), NAMES)


def test_scores_are_one_for_the_same_rows_and_see_what_is_lost():
    real, held_out = stays(), stays(seed=2)
    same = fidelity(real, real, held_out)
    assert same.overall.released == 1.0
    assert 0.9 < same.columns_overall.held_out < 1.0
    apart = fidelity(shuffled(real), real, held_out)
    assert apart.columns_overall.released == pytest.approx(1.0)
    assert apart.pairs_overall.released < same.pairs_overall.held_out - 0.05
    assert apart.pairs["age", "stay"].released < 0.6
    moved = fidelity(real.assign(age=100 - real["age"]), real, held_out)
    assert min(moved.shapes, key=lambda name: moved.shapes[name].released) == "age"


def test_scores_do_without_held_out_rows_or_without_any():
    real = stays(40)
    assert fidelity(real, real, real[:0]).overall.held_out is None
    assert fidelity(real[:0], real, real).shapes == {}


def test_any_label_keeps_what_real_rows_teach_and_loses_it_when_columns_are_shuffled():
    real, held_out = stays(), stays(seed=2)
    kept = any_label(JudgedRows(stays(seed=3), real, held_out), DOMAIN, NAMES)
    lost = any_label(JudgedRows(shuffled(real), real, held_out), DOMAIN, NAMES)
    assert [(own.name, own.measure) for own in kept] == [("ward", "AUC"), ("age", "R2"), ("stay", "R2")]
    assert kept_overall(kept) > 0.85
    assert kept_overall(lost) < 0.4
    assert all(own.real == again.real for own, again in zip(kept, lost, strict=True))


def test_any_label_is_bounded_and_does_without_held_out_rows():
    frames = [table(80, 30, seed=seed)[0] for seed in (1, 2, 3)]
    domain = table(4, 30)[1]
    assert len(any_label(JudgedRows(*frames), domain, list(domain.columns)[:34])) <= MAX_TARGETS
    assert any_label(JudgedRows(frames[0], frames[1], frames[2][:0]), domain, list(domain.columns)) == []
    assert kept_overall([]) is None


def test_nearest_records_see_copies_and_not_an_honest_release():
    real, held_out = stays(), stays(seed=2)
    copied = nearest_figures(JudgedRows(real, real, held_out), DOMAIN)
    assert copied.nearer_to_read > 0.9
    assert copied.same_as_read == 1.0
    honest = nearest_figures(JudgedRows(stays(seed=3), real, held_out), DOMAIN)
    assert abs(honest.nearer_to_read - 0.5) < 5 * honest.stderr
    assert honest.n_reference == 600
    assert nearest_figures(JudgedRows(real, real, held_out[:0]), DOMAIN) is None


def test_validity_counts_cells_that_break_their_declaration():
    rows = stays(10).assign(age=[200, -1, *[50] * 8], died=["maybe", *["no"] * 9])
    found = validity_of(rows, DOMAIN, NAMES)
    assert found.broken == (("age", 2), ("died", 1))
    assert found.share == pytest.approx(1 - 3 / 40)
    assert validity_of(stays(10), DOMAIN, NAMES).broken == ()
    assert validity_of(stays(10).assign(ward=[None] * 10), DOMAIN, ["ward"]).broken == (("ward", 10),)


def test_a_value_that_was_not_released_counts_as_other_in_real_rows_too():
    real = stays().assign(ward=[f"ward {n % 200}" for n in range(600)])
    released = stays(seed=3).assign(ward=["other"] * 570 + ["ward 1"] * 30)
    (ward, *_) = compare(JudgedRows(released, real, real[:0]), DOMAIN).columns
    assert set(ward.bins.categories) == {"other", "ward 1"}
    assert not ward.bins.has_others
    assert ward.real.tolist() == pytest.approx([597 / 600, 3 / 600])
    assert ward.distance < 0.05
    page = internal_page("t", compare(JudgedRows(released, real, real[:0]), DOMAIN))
    assert OTHERS not in page


def test_an_internal_page_shows_scores_with_their_caveat():
    page = internal_page("t", compare(JudgedRows(stays(seed=3), stays(), stays(seed=2)), DOMAIN))
    text = page_text(page)
    for said in (
        "shapes of 4 columns, mean", "tables of 6 pairs, mean", "Any column as the label", "valid cells",
        "This proves nothing about privacy.", "nearer to a row that the release read than to a held-out row",
        "Released: median", "Real: median", "The pairs whose tables differ most",
    ):  # fmt: skip
        assert said in text, said
    assert ("SDMetrics quality score" in text) == has_sdmetrics()
    assert ("where the extra quality is installed" in text) == (not has_sdmetrics())


@pytest.mark.skipif(not has_sdmetrics(), reason="sdmetrics is not installed: pip install 'threea-spark[quality]'")
def test_sdmetrics_scores_the_same_rows_higher_than_shuffled_ones():
    real = stays()
    same = quality_score(real, real, DOMAIN, NAMES)
    apart = quality_score(shuffled(real), real, DOMAIN, NAMES)
    assert same.overall > apart.overall
    assert apart.column_shapes == pytest.approx(same.column_shapes, abs=0.02)
    assert same.column_pair_trends > apart.column_pair_trends + 0.1


def test_without_sdmetrics_there_is_no_score(monkeypatch):
    monkeypatch.setattr("threea_spark.evaluation.quality.has_sdmetrics", lambda: False)
    assert quality_score(stays(), stays(), DOMAIN, NAMES) is None
