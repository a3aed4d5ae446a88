"""Each way to claim too little, put into the real code by name: the checks of this file must find every one.

Mutants of what moves a sum are in test_mutants.py, of what a statement prints in unit/test_statement.py, of the order
in which a unit's rows are kept in spark/test_reading_path.py.
"""

import math
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import promises
import pytest
from queries import granted, query_of

from threea_spark.engine.delta import Place
from threea_spark.engine.local import LocalStaged
from threea_spark.engine.packed import COINS, PackedRows, blocks_of
from threea_spark.errors import BudgetError, PrivacyError, TargetExistsError
from threea_spark.privacy import account, noise, spend
from threea_spark.privacy import meter as meter_module
from threea_spark.privacy.account import Account, Booking, Budget
from threea_spark.privacy.budget import PrivacyPlan, calibrate
from threea_spark.privacy.entries import Entry
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.spend import Spend, planned_spend
from threea_spark.privacy.terms import Accounting, Relation, Stage
from threea_spark.privacy.unit import PrivacyUnit
from threea_spark.publish import standing
from threea_spark.publish.held import Held

ADD, REPLACE = Relation.ADD_OR_REMOVE_ONE, Relation.REPLACE_ONE
UNIT = PrivacyUnit("patient_id", 3)


def plan_of(epsilon=1.0, *, relation=ADD, accounting=Accounting.END_TO_END, **changes):
    shares = {Stage.ENCODE: 0.3, Stage.ANONYMIZE: 0.7}
    return calibrate(
        epsilon=epsilon, delta=1e-6, shares=shares, relation=relation, unit=UNIT, accounting=accounting, **changes
    )


def account_of(*spends):
    entries = [Entry(n, "start", "s", "", str(UNIT), own.release_id, "", "", "") for n, own in enumerate(spends)]
    bookings = tuple(Booking(own, account.FINISHED, entry) for own, entry in zip(spends, entries, strict=True))
    return Account(Budget(3.0, 1e-4), bookings, str(UNIT))


def every_cell_of_the_tail_has_a_word():
    steps = 8191.0
    for cell in range(-int(9.5 * steps), -int(9.5 * steps) + 20):
        word = int(promises.lower_tail(cell / steps) * 2**128)
        pair = np.array([[word >> 64, word & (2**64 - 1)]], dtype=np.uint64)
        assert int(np.rint(steps * noise._symmetric_normal(pair))[0]) == cell, "a cell without a word"


def short_draws():
    """The low word is left out: 64 bits a draw."""
    normal = noise._symmetric_normal

    def short(words):
        return normal(np.column_stack([words[:, 0], np.full(len(words), 2**63, dtype=np.uint64)]))

    return patch.object(noise, "_symmetric_normal", short)


def a_table_states_all_its_releases():
    held = [
        Held.of(planned_spend(plan_of(e), name), plan_of(e), "id").as_written for name, e in (("a", 0.5), ("b", 8.0))
    ]
    stated = standing.standing_of(held).properties
    assert float(stated["threea.epsilon"]) >= 8.0, "the first release's claim"
    assert float(stated["threea.delta"]) >= 2e-6, "the first release's claim"


def first_kept():
    whole = standing.standing_of
    return patch.object(standing, "standing_of", lambda held, **own: whole(held[:1], **own))


def conditional_never_joins_end_to_end():
    held = [Held.of(planned_spend(plan_of(), "a"), plan_of(), "id").as_written]
    properties = standing.standing_of(held).properties | {"threea.release_id": "a"}
    with pytest.raises(TargetExistsError):
        standing.check_may_join(
            properties, held, Place("t", is_path=False), accounting="conditional", relation=ADD.value, unit=held[0].unit
        )


def relations_are_compared():
    """Over the whole account, also where the releases read different units."""
    first = replace(planned_spend(plan_of(relation=REPLACE), "a"), cohort=spend.Cohort(None, 0))
    wanted = replace(planned_spend(plan_of(), "b"), cohort=spend.Cohort(0, 1))
    with pytest.raises(BudgetError, match="relation"):
        account_of(first).check(wanted, None, apart=True)


def a_conditional_release_has_no_epsilon():
    own = planned_spend(plan_of(accounting=Accounting.CONDITIONAL), "c")
    assert account_of(own).spent_epsilon(1e-5, apart=False) == math.inf


def totals_are_not_below_the_truth():
    plans = [plan_of(numeric_share=0.05, selects_categories=True) for _ in range(2)]
    total = spend.total_epsilon([planned_spend(plan, str(n)) for n, plan in enumerate(plans)], 2e-6)
    mu = math.sqrt(sum(plan.whole_mu**2 for plan in plans))
    numeric = sum(plan.numeric_epsilon for plan in plans)
    outside = sum(plan.delta_selection + plan.delta_noise for plan in plans)
    at = max(total - numeric, 0.0)
    assert math.exp(numeric) * promises.gaussian_delta(mu, at) + outside <= 2e-6, "a total below the truth"


def spends_without(**left_out):
    kept = Spend.__init__

    def init(self, *own, **named):
        kept(self, *own, **named)
        for name, value in left_out.items():
            object.__setattr__(self, name, value)

    return patch.object(Spend, "__init__", init)


def noise_too_coarse_for_float64_is_refused():
    meter = PrivacyMeter(plan_of(), noise.KeyedNoise(bytes(32)), "r")
    with pytest.raises(PrivacyError, match="float64"):
        granted(meter, Stage.ENCODE, "a", squared=1, mu=0.01, moved=10**17)


def a_price_counts_every_row_of_a_unit():
    meter = PrivacyMeter(plan_of(), noise.KeyedNoise(bytes(32)), "r")
    found = granted(meter, Stage.ENCODE, "a", squared=1, mu=0.01, moved=7)
    assert found.moved == 7 * UNIT.max_rows, "coordinates of one row"
    assert meter.moved_draws == found.moved, "coordinates of one row"


def a_sample_is_drawn_at_the_rate_that_is_priced():
    coins, zeros = (np.arange(1000) * (COINS // 1000)).astype(np.uint32), np.zeros(1000, dtype=np.uint32)
    rows = PackedRows(np.zeros((1000, 1), dtype=np.int16), zeros.astype(np.int64), coins, zeros, zeros.astype(np.int64))
    staged = LocalStaged((blocks_of(rows),), 1)
    meter = PrivacyMeter(plan_of(sampling_probability=0.1), noise.KeyedNoise(bytes(32)), "r")
    with pytest.raises(PrivacyError, match="planned"), meter.sample(Stage.ENCODE, staged, 0.2):
        pass
    with meter.sample(Stage.ENCODE, staged, 0.1) as held:
        drawn = held.exposed().coins
        meter.ask(query_of(Stage.ENCODE, "a"), held, 0.01)
    (event,) = meter.events_by_stage()[Stage.ENCODE]
    assert 0 < drawn.max() < event.sampling_probability * COINS, "drawn at a higher rate than priced"


def drawn_at_twice_the_rate():
    sampled = PackedRows.sampled
    return patch.object(PackedRows, "sampled", lambda rows, rate: sampled(rows, 2.0 * rate))


MUTANTS = {
    "a sample above the planned rate": (
        lambda: patch.object(meter_module, "TOLERANCE", 10.0),
        a_sample_is_drawn_at_the_rate_that_is_priced,
    ),
    "a sample drawn at a higher rate than priced": (
        drawn_at_twice_the_rate,
        a_sample_is_drawn_at_the_rate_that_is_priced,
    ),
    "draws of 64 bits": (short_draws, every_cell_of_the_tail_has_a_word),
    "properties of the first release kept": (first_kept, a_table_states_all_its_releases),
    "accounting not compared at an append": (
        lambda: patch.object(standing, "check_may_join", lambda *own, **named: None),
        conditional_never_joins_end_to_end,
    ),
    "relations not compared": (
        lambda: patch.multiple(account, check_relations=lambda own: None, check_budget=lambda *own, **named: None),
        relations_are_compared,
    ),
    "a conditional release counts as its mixing step": (
        lambda: patch.object(Spend, "is_bounded", True),
        a_conditional_release_has_no_epsilon,
    ),
    "float64 left out of totals": (lambda: spends_without(numeric=0.0), totals_are_not_below_the_truth),
    "selected names left out of totals": (lambda: spends_without(delta_outside=0.0), totals_are_not_below_the_truth),
    "float64 not counted by the meter": (
        lambda: patch.object(PrivacyMeter, "_check_numerics", lambda meter, mechanism: None),
        noise_too_coarse_for_float64_is_refused,
    ),
    "coordinates of a unit's rows counted once": (
        lambda: patch.object(PrivacyPlan, "moved_by_unit", lambda plan, moved, size=None: moved),
        a_price_counts_every_row_of_a_unit,
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_check_finds(mutant):
    broken, check = MUTANTS[mutant]
    check()
    with broken(), pytest.raises((AssertionError, pytest.fail.Exception)):
        check()
