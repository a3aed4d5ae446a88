import copy
import math

import pytest

from threea_spark.config.release import ReleaseConfig
from threea_spark.encode.outline import LabelShape, TableShape, features_of, max_width
from threea_spark.encode.rules import LABEL_CELLS, codes_affinely
from threea_spark.planned import make_plan
from threea_spark.privacy.budget import calibrate
from threea_spark.privacy.terms import Stage
from threea_spark.recipes import choice as recipe
from threea_spark.recipes import rules
from threea_spark.recipes.recipe import DrawWide

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
    """What the receipt prints of the recipe of a table of two classes and two features."""
    return recipe.choose(config, make_plan(config), TableShape(n_rows, 2, 2, 10)).values


def test_shares_follow_the_generator():
    drawn, mixed = (make_plan(config_of(anonymize={"generator": g})) for g in ("sample", "mix"))
    assert drawn.mu_of(Stage.ANONYMIZE) == 0.0
    assert drawn.mu_of(Stage.ADAPT) > drawn.mu_of(Stage.APPROXIMATE)
    assert mixed.mu_of(Stage.ANONYMIZE) == max(mixed.stage_mu.values())


@pytest.mark.parametrize(
    "sections",
    [{"adapt": {"method": "none"}}, {"adapt": {"targets": "released"}}, {"anonymize": {"generator": "random"}}],
)
def test_a_stage_that_reads_no_row_is_given_nothing(sections):
    plan = make_plan(config_of(**sections))
    assert plan.mu_of(Stage.ADAPT) == 0.0
    assert plan.mu_of(Stage.ENCODE) > make_plan(config_of()).mu_of(Stage.ENCODE)


def test_conditional_mode_gives_all_to_mixing():
    sections = {
        "privacy": {"accounting": "conditional"},
        "anonymize": {"generator": "mix"},
        "adapt": {"targets": "plain"},
    }
    assert set(make_plan(config_of(**sections)).stage_mu) == {Stage.ANONYMIZE}


def test_amplification_needs_a_public_number_of_rows():
    assert rules.sampling_probability(config_of()) == 1.0
    assert (
        rules.sampling_probability(config_of(source={"rows": 10**6}, adapt={"max_rows": 10**4, "rows": "sample"}))
        == 0.01
    )
    assert rules.sampling_probability(config_of(source={"rows": 10**6}, adapt={"max_rows": 10**4})) == 1.0  # all rows
    assert rules.sampling_probability(config_of(source={"rows": 100}, adapt={"max_rows": 10**4})) == 1.0
    assert rules.sampling_probability(config_of(source={"rows": 10**6}, adapt={"method": "none"})) == 1.0


def test_a_plan_claims_no_more_sampling_than_its_rate():
    config = config_of(source={"rows": 10**6}, adapt={"max_rows": 10**5, "rows": "sample"})
    plan = make_plan(config)
    assert plan.sampling_probability == 0.1
    again = calibrate(
        epsilon=1.0,
        delta=1e-6,
        shares={Stage.ENCODE: 0.05, Stage.APPROXIMATE: 0.45, Stage.ADAPT: 0.50},
        relation=plan.relation,
        unit=plan.unit,
        accounting=plan.accounting,
        sampling_probability=0.1,
    )
    assert plan.stage_mu == again.stage_mu


def test_more_budget_means_smaller_groups_and_clusters():
    poor, rich = (resolved(config_of(privacy={"epsilon": e}, anonymize={"generator": "mix"})) for e in (0.5, 5.0))
    assert poor["mix_size"] > rich["mix_size"]
    assert poor["min_cluster_size"] > rich["min_cluster_size"]
    assert poor["components_per_class"] <= rich["components_per_class"]


def test_what_is_given_is_taken_as_it_is():
    given = {
        "encode": {"cells": 7, "clip_norm": 2.5},
        "approximate": {"components": 3, "min_cluster_size": 11},
        "anonymize": {"generator": "mix", "mix_size": 13},
        "adapt": {"support_size": 17},
    }
    mixed, drawn = resolved(config_of(**given)), resolved(config_of(**given | {"anonymize": {"generator": "sample"}}))
    assert mixed == {
        "recipe": "mix",
        "n_cells": 7, "clip_norm": 2.5, "components_per_class": 3, "per_class": True, "min_cluster_size": 11,
        "mix_size": 13, "mix_clip_norm": 1.25,
    }  # fmt: skip
    assert drawn == {
        "recipe": "draw",
        "n_cells": 7, "clip_norm": 2.5, "components_per_class": 3, "per_class": True, "min_cluster_size": 11,
        "labels": "learned", "support_size": 17,
    }  # fmt: skip


def test_random_mixing_has_one_cluster_of_all_classes():
    found = resolved(config_of(anonymize={"generator": "random"}))
    assert found["components_per_class"] == 1
    assert not found["per_class"]
    assert found["mix_clip_norm"] == found["clip_norm"]


def test_drawing_needs_no_clipping_where_only_cells_are_counted():
    assert resolved(config_of())["clip_norm"] > resolved(config_of(anonymize={"generator": "mix"}))["clip_norm"]


def test_the_receipt_holds_what_auto_became_where_the_release_used_it():
    pairs, one = resolved(config_of()), resolved(config_of(approximate={"components": 1}))
    fitted = resolved(config_of(approximate={"components": 2}))
    shared = {"recipe", "n_cells", "clip_norm", "labels", "support_size"}
    assert set(pairs) == {*shared, "n_groups", "n_tables", "second_share"}
    assert set(one) == {*shared, "components_per_class", "per_class"}
    assert set(fitted) == {*one, "min_cluster_size"}
    assert set(resolved(config_of(adapt={"method": "none"}))) == set(pairs) - {"support_size"}
    mixed = resolved(config_of(anonymize={"generator": "mix"}))
    assert set(mixed) == set(fitted) - {"support_size", "labels"} | {"mix_size", "mix_clip_norm"}
    assert set(resolved(config_of(), n_rows=50.0)) == {"recipe", "n_cells", "clip_norm"}  # looked at twice


def test_wide_tables_are_coded_by_moments_unless_told_otherwise():
    columns = {f"x{i}": {"type": "float", "lower": 0, "upper": 1} for i in range(300)}
    wide = {"domain": {"columns": {**GIVEN["domain"]["columns"], **columns}}}
    assert codes_affinely(config_of(**wide))
    assert not codes_affinely(config_of(**wide, encode={"numeric": "quantile"}))
    assert not codes_affinely(config_of())
    assert codes_affinely(config_of(encode={"numeric": "affine"}))


def table_of(n_numbers, n_classes, *, n_categories=0, task="classification", **sections):
    """A configuration for a table of some shape."""
    columns = {f"x{i}": {"type": "float", "lower": -1, "upper": 1} for i in range(n_numbers)}
    columns |= {f"c{i}": {"type": "categorical", "values": ["p", "q"]} for i in range(n_categories)}
    columns["y"] = {"type": "categorical", "values": [f"k{i}" for i in range(n_classes)]}
    content = copy.deepcopy(GIVEN)
    content["domain"] = {"label": "y", "task": task, "columns": columns}
    for section, fields in sections.items():
        content.setdefault(section, {}).update(fields)
    return ReleaseConfig.from_dict(content)


def looks_twice(config, n_rows, n_classes):
    features = features_of(config)
    shape = TableShape(n_rows, n_classes, len(features), max_width(features))
    return isinstance(recipe.choose(config, make_plan(config), shape), DrawWide)


@pytest.mark.parametrize("given", [{}, {"approximate": {"components": 1}}, {"approximate": {"per_class": True}}])
def test_few_rows_for_many_columns_are_looked_at_twice(given):
    assert looks_twice(table_of(600, 26, **given), 5_000, 26)


def test_many_rows_of_few_columns_have_histograms():
    adult = table_of(6, 2, n_categories=8)
    assert not looks_twice(adult, 48_842, 2)
    assert not looks_twice(table_of(600, 26), 10**6, 26)
    assert looks_twice(adult, 200, 2)  # it is the rows that decide


@pytest.mark.parametrize(("n_numbers", "n_classes"), [(600, 26), (40, 3)])
def test_a_second_look_begins_where_the_noise_on_a_cell_is_a_sixteenth_of_a_class(n_numbers, n_classes):
    config = table_of(n_numbers, n_classes)
    noise = math.sqrt(1.0 + n_numbers) / make_plan(config).mu_of(Stage.APPROXIMATE)
    last = 16.0 * noise * n_classes
    assert looks_twice(config, 0.99 * last, n_classes)
    assert not looks_twice(config, 1.01 * last, n_classes)


def test_more_budget_brings_histograms_back():
    rule = [looks_twice(table_of(600, 26, privacy={"epsilon": e}), 20_000, 26) for e in (0.1, 1.0, 10.0, 100.0)]
    assert rule == sorted(rule, reverse=True)
    assert rule[0] is True
    assert rule[-1] is False


@pytest.mark.parametrize(
    "sections",
    [
        {"adapt": {"method": "none"}},
        {"adapt": {"targets": "released"}},
        {"anonymize": {"generator": "mix"}},
        {"anonymize": {"generator": "random"}},
        {"approximate": {"per_class": False}},
        {"approximate": {"components": 3}},
        {
            "privacy": {"accounting": "conditional"},
            "anonymize": {"generator": "mix"},
            "adapt": {"method": "none"},
        },
    ],
)
def test_what_has_no_second_look_is_not_looked_at_twice(sections):
    assert not looks_twice(table_of(600, 26, **sections), 5_000, 26)


def test_one_class_or_no_label_leaves_nothing_to_look_for():
    assert looks_twice(table_of(600, 2), 100, 2)
    assert not looks_twice(table_of(600, 2), 100, 1)
    unlabelled = copy.deepcopy(GIVEN)
    columns = {f"x{i}": {"type": "float", "lower": -1, "upper": 1} for i in range(600)}
    unlabelled["domain"] = {"task": "none", "columns": columns}
    assert not looks_twice(ReleaseConfig.from_dict(unlabelled), 5_000, 1)


def test_without_a_share_for_adapt_there_is_no_second_look():
    shares = {"encode": 0.1, "approximate": 0.9, "adapt": 0.0, "anonymize": 0.0}
    assert not looks_twice(table_of(600, 26, privacy={"shares": shares}), 5_000, 26)


RULES = {
    "few columns": table_of(6, 2),
    "many classes": table_of(6, 10),
    "wide": table_of(600, 26),
    "told to be wide": table_of(6, 2, encode={"numeric": "affine"}),
    "mixing": table_of(6, 2, anonymize={"generator": "mix"}),
    "random": table_of(600, 26, anonymize={"generator": "random"}),
}


@pytest.mark.parametrize("rule", RULES)
def test_shares_sum_to_one_whatever_the_rule(rule):
    shares = rules.auto_shares(RULES[rule])
    assert sum(shares.values()) == pytest.approx(1.0, abs=1e-12)
    assert set(shares) == set(Stage)
    assert all(share >= 0.0 for share in shares.values())


def test_each_rule_shares_in_its_own_way():
    shares = {rule: tuple(rules.auto_shares(config).values()) for rule, config in RULES.items()}
    assert shares["few columns"] == shares["many classes"]
    assert shares["wide"] == shares["told to be wide"]
    assert shares["mixing"] == shares["random"]
    assert len(set(shares.values())) == 3


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ({"type": "categorical", "values": [str(i) for i in range(7)]}, 7),
        ({"type": "categorical", "values": [True, False], "nullable": True}, 2),
        ({"type": "float", "lower": 0, "upper": 1}, LABEL_CELLS),
    ],
)
def test_classes_are_counted_from_the_domain_alone(label, expected):
    content = copy.deepcopy(GIVEN)
    content["domain"]["columns"]["died"] = label
    content["domain"]["task"] = "regression" if label["type"] == "float" else "classification"
    assert ReleaseConfig.from_dict(content).domain.n_classes(LABEL_CELLS) == expected


def test_more_columns_have_fewer_groups_each_in_tables_of_pairs():
    assert [rules.pair_groups(n) for n in (2, 32, 41, 100, 160)] == [16, 16, 12, 5, 4]


@pytest.mark.parametrize(
    ("task", "label", "expected"),
    [
        ("classification", {"type": "categorical", "values": ["a", "b"]}, 0.3),
        ("classification", {"type": "categorical", "values": ["a", "b", "c"]}, 0.6),
        ("regression", {"type": "float", "lower": 0, "upper": 1}, 0.3),
    ],
)
def test_many_classes_are_looked_at_again_for_more(task, label, expected):
    content = copy.deepcopy(GIVEN)
    content["domain"]["columns"]["died"] = label
    content["domain"]["task"] = task
    assert rules.second_share(ReleaseConfig.from_dict(content).domain) == expected


def step_rate(n_rows, *, outside=0.5, n_labels=1, **sections):
    config = config_of(**sections)
    label = LabelShape("y", 2, outside * n_rows, is_number=False)
    return rules.step_rate(config, make_plan(config), label, n_rows, n_labels)


def test_steps_read_all_rows_of_a_table_and_of_a_very_large_one_about_so_many():
    assert step_rate(1e4) == step_rate(rules.MIN_STEP_ROWS) == 1.0
    assert step_rate(1e9) * 1e9 == pytest.approx(rules.MIN_STEP_ROWS)
    assert step_rate(1e9, adapt={"rows": "all"}) == step_rate(math.inf) == 1.0
    assert step_rate(1e9, adapt={"rows": "sample"}) == 1.0  # which has a rate of its own
    mu = make_plan(config_of(privacy={"epsilon": 0.1})).mu_of(Stage.ADAPT)
    assert step_rate(1e9, privacy={"epsilon": 0.1}) * 1e9 == pytest.approx(rules.MIN_STEP_SIGNAL / mu)
    assert step_rate(1e9, privacy={"epsilon": 0.1}, n_labels=4) * 1e9 == pytest.approx(2 * rules.MIN_STEP_SIGNAL / mu)


def test_enough_rows_outside_the_largest_class_are_read_however_few_there_are():
    for outside in (1e-2, 1e-3):
        assert step_rate(1e9, outside=outside) * outside * 1e9 == pytest.approx(
            rules.MIN_STEP_ROWS * rules.OUTSIDE_SHARE
        )
    assert step_rate(1e9, outside=1e-5) == 1.0


def test_the_recipe_holds_the_rate_and_the_receipt_says_it_where_not_all_rows_are_read():
    config = config_of()
    wide = TableShape(1e8, 2, 3, 6, rows_to_learn=5e7)
    functions = recipe.choose(config, make_plan(config), wide).functions
    assert functions.values["step_rate"] == functions.step_rate == pytest.approx(rules.MIN_STEP_ROWS / 1e8)
    rare = recipe.choose(config, make_plan(config), TableShape(1e8, 2, 3, 6, rows_to_learn=1e6)).functions
    assert rare.step_rate == pytest.approx(rules.MIN_STEP_ROWS * rules.OUTSIDE_SHARE / 1e6)
    assert "step_rate" not in recipe.choose(config, make_plan(config), TableShape(1e5, 2, 3, 6, 5e4)).functions.values
