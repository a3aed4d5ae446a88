"""What a table of several releases says of the whole: never less than their composition."""

import json
import math

import pytest

from threea_spark.engine.delta import Place
from threea_spark.errors import TargetExistsError
from threea_spark.privacy.budget import calibrate
from threea_spark.privacy.cohorts import Cohort
from threea_spark.privacy.gaussian import compose_mu, gaussian_epsilon
from threea_spark.privacy.spend import planned_spend
from threea_spark.privacy.terms import Accounting, Relation, Stage
from threea_spark.privacy.unit import PrivacyUnit
from threea_spark.publish.held import Held, hashed, held_in
from threea_spark.publish.standing import check_may_join, standing_of, stated

ADD, REPLACE = Relation.ADD_OR_REMOVE_ONE, Relation.REPLACE_ONE
PLACE = Place("main.released.stays", is_path=False)
UNIT = PrivacyUnit("it's a 'secret' url", 3)  # a name that neither SQL nor Spark's redaction would leave whole


def held(name, epsilon=1.0, *, accounting=Accounting.END_TO_END, relation=ADD, cohort=None, unit=UNIT, delta=1e-6):
    plan = calibrate(
        epsilon=epsilon,
        delta=delta,
        shares={Stage.ENCODE: 0.3, Stage.ANONYMIZE: 0.7},
        relation=relation,
        unit=unit,
        accounting=accounting,
    )
    return Held.of(planned_spend(plan, name, cohort or Cohort(None, 0)), plan, "id of the source").as_written


def old(name, epsilon=1.0, delta=1e-6, accounting="end_to_end"):
    """A receipt of 0.1.0, as it stands in a commit."""
    claim = {"epsilon": epsilon, "delta": delta, "accounting": accounting, "unit": str(UNIT)}
    claim["relation"] = "tables that differ by one unit, added or removed (add_or_remove_one)"
    return json.dumps({"release_id": name, "privacy": claim})


def test_a_release_survives_its_property_and_no_text_of_a_user_is_in_it():
    for release in (held("a", cohort=Cohort(3, 7)), held("b", relation=REPLACE, accounting=Accounting.CONDITIONAL)):
        assert held_in({release.key: release.to_json()}, []) == (release,)
        assert not set(release.to_json()) & set("'\\$`")
        assert "secret" not in release.to_json()
        assert "url" not in release.to_json()


def test_one_release_stands_at_its_claim():
    alone = standing_of([held("a", 0.5)])
    assert (alone.epsilon, alone.delta, alone.accounting) == ("0.5", "1e-06", "end_to_end")


def test_two_releases_stand_at_their_composition_and_not_at_the_first_ones_claim():
    both = standing_of([held("b", 2.0), held("a", 1.5)])
    assert both.release_ids == ("a", "b")
    assert both.delta == "2e-06"
    events = [event for release in both.releases for event in release.spend.events]
    exact = gaussian_epsilon(compose_mu(1.0 / event.noise_multiplier for event in events), 2e-6)
    assert 2.2 < exact < float(both.epsilon) < 1.01 * exact < 3.5
    largest = standing_of([held("b", 8.0), held("a", 0.5)])
    assert 8.0 <= float(largest.epsilon) < 8.1


def test_what_is_stated_is_rounded_up():
    assert standing_of([held("a", 1.23456123)]).epsilon == "1.23457"
    assert standing_of([held("a", 1.0, delta=1.2345678e-6)]).delta == "1.23457e-06"


def test_releases_of_different_units_count_once_where_history_shows_it():
    releases = [held("a", cohort=Cohort(None, 3)), held("b", 2.0, cohort=Cohort(3, 7))]
    assert float(standing_of(releases).epsilon) > 2.0
    apart = standing_of(releases, apart=True)
    assert (apart.epsilon, apart.delta) == ("2", "1e-06")
    again = standing_of([*releases, held("c", cohort=Cohort(3, 9))], apart=True)
    assert 2.0 < float(again.epsilon) < 3.0
    assert again.delta == "2e-06"


def test_releases_of_0_1_0_are_found_in_history_and_added_by_their_claims():
    first = {"threea.release_id": "a", "threea.epsilon": "0.5", "threea.delta": "1e-06"}
    first["threea.accounting"] = "end_to_end"
    in_history = held_in(first, ["", old("a", 0.5), "another text", "3", old("b", 8.0)])
    forgotten = held_in(first, [old("b", 8.0)])
    for releases in (in_history, forgotten):
        assert [release.release_id for release in releases] == ["a", "b"]
        assert standing_of(releases).epsilon == "8.5"
        assert standing_of(releases).delta == "2e-06"
        assert stated(first, releases).epsilon == "8.5"  # what 0.1.0 left there speaks of the first alone
    assert in_history[0].unit == hashed(str(UNIT))
    together = standing_of([*in_history, held("c", 1.0)], apart=True)
    assert together.epsilon == "9.5"
    kept = held_in({**first, **together.properties}, [])  # nothing hangs on history any more
    assert standing_of(kept) == together


def test_what_the_table_states_is_taken_where_it_speaks_of_all_its_releases():
    releases = [held("a", cohort=Cohort(None, 3)), held("b", 2.0, cohort=Cohort(3, 7))]
    apart = standing_of(releases, apart=True)
    assert stated(apart.properties, held_in(apart.properties, [])) == apart
    assert float(stated(apart.properties, held_in(apart.properties, [old("c")])).epsilon) > 3.0


def test_an_announced_release_counts_and_is_written_once_its_receipt_is_there():
    announced = Held(**{**vars(held("b", 8.0)), "is_written": False})
    properties = standing_of([held("a", 0.5), announced]).properties
    assert float(properties["threea.epsilon"]) >= 8.0
    assert [release.is_written for release in held_in(properties, [])] == [True, False]
    assert [release.is_written for release in held_in(properties, [old("b", 8.0)])] == [True, True]


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"epsilon": 0.1}', '{"epsilon": NaN, "delta": 1e-6}'])
def test_a_property_that_cannot_be_read_is_a_release_that_nothing_bounds(text):
    properties = {**standing_of([held("a")]).properties, "threea.release.b": text}
    found = held_in(properties, [])
    assert [release.release_id for release in found] == ["a", "b"]
    assert standing_of(found).epsilon == "inf"
    assert found[1].epsilon == math.inf
    assert standing_of(found).accounting == "conditional"


@pytest.mark.parametrize("name", ["x' = 'y", "a b", "", "x" * 500, "\u2603"])
def test_names_that_no_release_has_never_reach_sql(name):
    properties = {f"threea.release.{name}": held("a").to_json(), "threea.release_id": name}
    assert held_in(properties, [old(name)]) == ()


def test_nothing_is_stated_for_different_relations_or_units():
    for other in (held("b", relation=REPLACE), held("b", unit=PrivacyUnit())):
        assert standing_of([held("a"), other]).epsilon == "inf"


def test_a_conditional_release_takes_the_guarantee_from_the_whole():
    mixed = standing_of([held("a"), held("b", accounting=Accounting.CONDITIONAL)])
    assert mixed.accounting == "conditional"
    two = standing_of([held(name, accounting=Accounting.CONDITIONAL) for name in "ab"])
    assert 1.0 < float(two.epsilon) < 2.0  # of the mixing steps


def test_only_what_can_be_stated_together_may_join():
    wanted = {"accounting": "end_to_end", "relation": "add_or_remove_one", "unit": hashed(str(UNIT))}
    properties = {"threea.release_id": "a"}
    check_may_join(properties, [held("a")], PLACE, **wanted)
    check_may_join(properties, held_in(properties, []), PLACE, **{**wanted, "accounting": "unknown"})
    with pytest.raises(TargetExistsError, match="not created by a release") as caught:
        check_may_join({}, [], PLACE, **wanted)
    assert "drop" not in str(caught.value)
    for name, value in (("accounting", "conditional"), ("relation", "replace_one"), ("unit", "row")):
        with pytest.raises(TargetExistsError, match=rf"privacy\.{name}: .* use the same"):
            check_may_join(properties, [held("a")], PLACE, **{**wanted, name: value})


@pytest.mark.parametrize("epsilon", [-1.0, math.nan])
def test_a_receipt_whose_claim_is_no_claim_is_a_release_that_nothing_bounds(epsilon):
    (found,) = held_in({"threea.release_id": "b"}, [old("b", epsilon)])
    assert (found.epsilon, found.delta) == (math.inf, 1.0)
    assert standing_of([held("a"), found]).epsilon == "inf"
