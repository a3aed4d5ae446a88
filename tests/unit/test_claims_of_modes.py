"""What a release claims it spends at least nine hundred and ninety parts in a thousand of, in every mode.

The figure on a receipt is the plan's, fixed before a row is read: so it is checked here, and on Spark only once.
"""

import pytest
from tables import COLUMNS, config_of

from threea_spark.config.release import ReleaseConfig
from threea_spark.planned import make_plan
from threea_spark.privacy.budget import certified_epsilon
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.noise import KeyedNoise, new_key
from threea_spark.privacy.statement import statement_of
from threea_spark.privacy.terms import Stage

CLUSTERS = {"components": 3, "iterations": 2, "min_cluster_size": 20}
OPEN = {**COLUMNS, "ward name": {"type": "categorical", "values": "open", "nullable": True}}
MODES = {
    "drawn": {},
    "wide": {"columns": {**COLUMNS, **{f"x{n}": {"type": "float", "lower": 0, "upper": 1} for n in range(120)}}},
    "mixed": {"anonymize": {"generator": "mix", "mix_size": 5}},
    "mixed without adaptation": {"anonymize": {"generator": "mix"}, "adapt": {"method": "none"}},
    "mixed at random": {"anonymize": {"generator": "random", "mix_size": 5}},
    "isotropic": {"approximate": {**CLUSTERS, "covariance": "isotropic"}},
    "diagonal": {"approximate": {**CLUSTERS, "covariance": "diagonal"}},
    "full": {"approximate": {**CLUSTERS, "covariance": "full"}},
    **{
        f"mixed, wide and {covariance}": {
            "columns": {f"x{n}": {"type": "float", "lower": -5, "upper": 5} for n in range(60)},
            "label": None,
            "task": "none",
            "anonymize": {"generator": "mix"},
            "approximate": {"covariance": covariance, "components": 4},
        }
        for covariance in ("diagonal", "full")
    },
    "clusters of all classes": {"approximate": {**CLUSTERS, "per_class": False}},
    "units of two rows": {"privacy": {"unit": {"column": "patient", "max_rows": 2}}},
    "replaced, and adapted on a sample": {
        "privacy": {"relation": "replace_one"},
        "adapt": {"support_size": 8, "steps": 2, "rows": "sample", "max_rows": 300},
    },
    "affine": {"encode": {"numeric": "affine"}},
    "regression": {"task": "regression", "label": "age"},
    "no label": {"task": "none", "label": None},
    "no adaptation": {"adapt": {"method": "none"}},
    "adapted to released rows": {"adapt": {"targets": "released", "support_size": 8, "steps": 2}},
    "open categories": {"columns": OPEN},
    "large": {"privacy": {"epsilon": 300.0}},
    "small": {"privacy": {"epsilon": 0.1}},
}


def configuration(mode):
    content = config_of("/source", "/target", **MODES[mode])
    if "sample" in mode:
        content["source"]["rows"] = 1500
    return ReleaseConfig.from_dict(content)


@pytest.mark.parametrize("mode", MODES)
def test_a_release_spends_its_claim_and_no_more(mode):
    config = configuration(mode)
    plan = make_plan(config)
    spent = certified_epsilon(plan)
    assert 0.99 * config.privacy.epsilon <= spent <= config.privacy.epsilon == plan.epsilon
    assert statement_of(PrivacyMeter(plan, KeyedNoise(new_key()), "r1")).epsilon_spent == spent


def test_modes_that_adapt_to_no_private_row_pay_nothing_for_it():
    for mode in ("no adaptation", "adapted to released rows"):
        assert make_plan(configuration(mode)).mu_of(Stage.ADAPT) == 0.0
    assert make_plan(configuration("drawn")).mu_of(Stage.ADAPT) > 0.0


def test_a_sample_of_a_declared_number_of_rows_is_priced_at_its_rate():
    plan = make_plan(configuration("replaced, and adapted on a sample"))
    assert plan.sampling_probability == pytest.approx(0.2)
