"""A release is a function of its noisy sums: another table with the same sums gives the same release, bit for bit."""

from dataclasses import replace

import numpy as np
import pytest
from benchmark_files import load

from threea_spark.model.sampler import Drawn, decode_rows

load("local_rows")
trial = load("audit_trial")
variants = load("audit_variants")


def two_tables():
    """Two tables that have nothing in common, not even their number of rows."""
    rng = np.random.default_rng(3)
    calm = [(x, y, "p", "no" if x < 0.2 else "yes") for x, y in rng.uniform(-1.0, 1.0, (300, 2)).tolist()]
    wild = [(None, 3.0, "r", "yes"), (float("inf"), -3.0, None, "no"), (0.0, 0.0, "unknown", None)] * 170
    return variants.pair_of(present=wild, absent=calm, n_rows=0)


CONFIGS = {
    "few rows": {},
    "narrow": {"privacy": {"epsilon": 60.0}},
    "no adaptation": {"adapt": {"method": "none"}},
    "adaptation on released rows": {"adapt": {"targets": "released"}},
    "a sampled adaptation": {
        "privacy": {"epsilon": 60.0},
        "adapt": {"rows": "sample", "max_rows": 100},
        "source": {"rows": 300},
    },
    "replace one": {"privacy": {"relation": "replace_one"}},
    "moments": {"encode": {"numeric": "affine"}},
    "mixing": {"anonymize": {"generator": "mix"}},
    "random mixing": {"anonymize": {"generator": "random"}},
    "diagonal clusters": {"approximate": {"components": 3, "min_cluster_size": 20, "covariance": "diagonal"}},
    "full clusters": {"approximate": {"components": 2, "min_cluster_size": 20, "covariance": "full"}},
    "a numeric label": {"domain": {"label": "a", "task": "regression"}},
    "no label": {"domain": {"label": None, "task": "none"}},
}


@pytest.mark.parametrize("name", list(CONFIGS))
def test_other_tables_with_the_same_noisy_sums_give_the_same_release(name):
    sections = {key: dict(value) for key, value in CONFIGS[name].items()}
    epsilon = sections.get("privacy", {}).pop("epsilon", 6.0)
    config = variants.config_of(epsilon, **sections)
    one, other = trial.replayed(two_tables(), config)
    assert one.advice == other.advice
    assert one.recipe == other.recipe
    assert one.n_rows == other.n_rows
    assert one.meter.events_by_stage() == other.meter.events_by_stage()
    assert type(one.outcome) is type(other.outcome)
    if isinstance(one.outcome, Drawn):
        assert_same_rows(config, one.outcome, other.outcome)
    else:
        np.testing.assert_array_equal(one.outcome.mixer.centres, other.outcome.mixer.centres)
        np.testing.assert_array_equal(one.outcome.mixer.first_group, other.outcome.mixer.first_group)


def assert_same_rows(config, one, other):
    drawn = []
    for outcome in (one, other):
        rng = np.random.default_rng(0)
        cells, classes = outcome.sampler.draw_cells(outcome.encoding, 400, rng)
        columns = decode_rows(outcome.encoding, config.domain.label, cells, classes, rng)
        drawn.append([cells, classes, *[vars(column) for column in columns.values()]])
    np.testing.assert_equal(drawn[0], drawn[1])


def test_a_number_that_passes_the_noise_by_is_noticed(monkeypatch):
    """The twin: a stage that peeks at the exact number of rows."""
    from threea_spark.privacy.meter import PrivacyMeter

    ask_together = PrivacyMeter.ask_together  # `ask` is one of it

    def peeking(self, asked, rows):
        measured = ask_together(self, asked, rows)
        exact = rows.sums([query for query, _ in asked])
        return [replace(own, value=own.value + 1e-9 * sums.sum()) for own, sums in zip(measured, exact, strict=True)]

    monkeypatch.setattr(PrivacyMeter, "ask_together", peeking)
    config = variants.config_of(6.0, adapt={"method": "none"})
    one, other = trial.replayed(two_tables(), config)
    assert one.n_rows != other.n_rows
