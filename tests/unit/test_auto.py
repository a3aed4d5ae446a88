import copy

import pytest

from threea_spark import auto
from threea_spark.config import ReleaseConfig
from threea_spark.privacy.plan import Stage, calibrate

GIVEN = {
    "source": {"path": "/lake/stays"},
    "target": {"path": "/lake/released"},
    "privacy": {"epsilon": 1.0, "delta": 1e-6, "unit": "row"},
    "domain": {
        "label": "died",
        "columns": {
            "age": {"type": "integer", "lower": 0, "upper": 120},
            "ward": {"type": "categorical", "values": ["a", "b"]},
            "died": {"type": "categorical", "values": ["no", "yes"]},
        },
    },
}


def config_of(**sections):
    content = copy.deepcopy(GIVEN)
    for section, fields in sections.items():
        content.setdefault(section, {}).update(fields)
    return ReleaseConfig.from_dict(content)


def resolved(config, n_rows=30_000.0):
    return auto.resolve(config, auto.make_plan(config), n_rows=n_rows, n_classes=2, width=10)


def test_shares_follow_the_generator():
    drawn, mixed = (auto.make_plan(config_of(anonymize={"generator": g})) for g in ("sample", "mix"))
    assert drawn.mu_of(Stage.ANONYMIZE) == 0.0
    assert drawn.mu_of(Stage.ADAPT) > drawn.mu_of(Stage.APPROXIMATE)
    assert mixed.mu_of(Stage.ANONYMIZE) == max(mixed.stage_mu.values())


@pytest.mark.parametrize(
    "sections",
    [{"adapt": {"method": "none"}}, {"adapt": {"targets": "released"}}, {"anonymize": {"generator": "random"}}],
)
def test_a_stage_that_reads_no_row_is_given_nothing(sections):
    plan = auto.make_plan(config_of(**sections))
    assert plan.mu_of(Stage.ADAPT) == 0.0
    assert plan.mu_of(Stage.ENCODE) > auto.make_plan(config_of()).mu_of(Stage.ENCODE)


def test_conditional_mode_gives_all_to_mixing():
    sections = {
        "privacy": {"accounting": "conditional"},
        "anonymize": {"generator": "mix"},
        "adapt": {"targets": "plain"},
    }
    assert set(auto.make_plan(config_of(**sections)).stage_mu) == {Stage.ANONYMIZE}


def test_amplification_needs_a_public_number_of_rows():
    assert auto.sampling_probability(config_of()) == 1.0
    assert auto.sampling_probability(config_of(source={"rows": 10**6}, adapt={"max_rows": 10**4})) == 0.01
    assert auto.sampling_probability(config_of(source={"rows": 100}, adapt={"max_rows": 10**4})) == 1.0
    assert auto.sampling_probability(config_of(source={"rows": 10**6}, adapt={"method": "none"})) == 1.0


def test_a_plan_claims_no_more_sampling_than_its_rate():
    config = config_of(source={"rows": 10**6}, adapt={"max_rows": 10**5})
    plan = auto.make_plan(config)
    assert plan.sampling_probability == 0.1
    again = calibrate(
        epsilon=1.0,
        delta=1e-6,
        shares={Stage.ENCODE: 0.05, Stage.APPROXIMATE: 0.25, Stage.ADAPT: 0.70},
        relation=plan.relation,
        unit=plan.unit,
        accounting=plan.accounting,
        sampling_probability=0.1,
    )
    assert plan.stage_mu == again.stage_mu


def test_more_budget_means_smaller_groups_and_clusters():
    poor, rich = (resolved(config_of(privacy={"epsilon": e}, anonymize={"generator": "mix"})) for e in (0.5, 5.0))
    assert poor.mix_size > rich.mix_size
    assert poor.min_cluster_size > rich.min_cluster_size
    assert poor.components_per_class <= rich.components_per_class


def test_what_is_given_is_taken_as_it_is():
    found = resolved(
        config_of(
            encode={"cells": 7, "clip_norm": 2.5},
            approximate={"components": 3, "min_cluster_size": 11},
            anonymize={"generator": "mix", "mix_size": 13},
            adapt={"support_size": 17},
        )
    )
    assert (found.n_cells, found.clip_norm, found.components_per_class) == (7, 2.5, 3)
    assert (found.min_cluster_size, found.mix_size, found.support_size) == (11, 13, 17)
    assert found.mix_clip_norm == 1.25


def test_random_mixing_has_one_cluster_of_all_classes():
    found = resolved(config_of(anonymize={"generator": "random"}))
    assert found.components_per_class == 1
    assert not found.per_class
    assert found.mix_clip_norm == found.clip_norm


def test_drawing_needs_no_clipping_where_only_cells_are_counted():
    assert resolved(config_of()).clip_norm > resolved(config_of(anonymize={"generator": "mix"})).clip_norm


def test_the_receipt_can_hold_what_auto_became():
    drawn, mixed = (set(resolved(config_of()).as_dict(mixing=mixing)) for mixing in (False, True))
    assert drawn | mixed == set(auto.Resolved.__dataclass_fields__)
    assert "mix_size" in mixed - drawn
    assert "support_size" in drawn - mixed


def test_wide_tables_are_coded_by_moments_unless_told_otherwise():
    columns = {f"x{i}": {"type": "float", "lower": 0, "upper": 1} for i in range(300)}
    wide = {"domain": {"columns": {**GIVEN["domain"]["columns"], **columns}}}
    assert auto.codes_affinely(config_of(**wide))
    assert not auto.codes_affinely(config_of(**wide, encode={"numeric": "quantile"}))
    assert not auto.codes_affinely(config_of())
    assert auto.codes_affinely(config_of(encode={"numeric": "affine"}))
