"""The ledger's chain and accounts, without Spark: whatever is changed in the past is found."""

import json
from dataclasses import fields, replace

import pytest

from threea_spark.errors import BudgetError, LedgerError
from threea_spark.privacy.accounting import Relation, gaussian_event
from threea_spark.privacy.entries import GENESIS, Entry, Holder, Kind, next_entry, verify
from threea_spark.privacy.gaussian import gaussian_mu
from threea_spark.privacy.ledger import Budget, Spend, account_of

ONE = gaussian_mu(1.0, 1e-6)
STAYS = Holder("main.ehr.stays", "id-1", "row")


def spend(name="r", mu=ONE):
    return Spend(name, (gaussian_event(mu, Relation.ADD_OR_REMOVE_ONE),), 0.0, Relation.ADD_OR_REMOVE_ONE)


def chain_of(*entries, holder=STAYS):
    chain = []
    for kind, content in entries:
        chain.append(next_entry(chain, kind, holder, content=content, at="2026-01-01T00:00:00.000+00:00"))
    return chain


@pytest.fixture
def chain():
    return chain_of(
        (Kind.GRANT, Budget(2.0, 1e-6).to_json()),
        (Kind.START, spend("a").to_json()),
        (Kind.FINISH, json.dumps({"entry": 1})),
        (Kind.START, spend("b", 0.1).to_json()),
    )


def test_a_whole_chain_is_whole(chain):
    verify(chain)
    verify([])
    assert chain[0].previous == GENESIS


@pytest.mark.parametrize("name", [field.name for field in fields(Entry)])
@pytest.mark.parametrize("number", [0, 1, 3])
def test_any_field_changed_in_any_entry_is_found(chain, name, number):
    value = getattr(chain[number], name)
    changed = replace(chain[number], **{name: value + 1 if name == "number" else value + "x"})
    with pytest.raises(LedgerError, match=f"entry {number} does not fit"):
        verify([*chain[:number], changed, *chain[number + 1 :]])


def test_a_changed_entry_that_is_sealed_anew_is_found_at_the_next(chain):
    cheaper = replace(chain[1], content=spend("a", 0.01).to_json()).sealed()
    with pytest.raises(LedgerError, match="entry 2 does not fit"):
        verify([chain[0], cheaper, *chain[2:]])


@pytest.mark.parametrize("order", [(0, 2, 3), (1, 2, 3), (0, 1, 1, 2, 3), (0, 2, 1, 3), (1, 0, 2, 3)])
def test_removed_repeated_and_moved_entries_are_found(chain, order):
    with pytest.raises(LedgerError, match="does not fit"):
        verify([chain[place] for place in order])


def test_parts_of_an_entry_cannot_run_into_each_other():
    one, other = (
        next_entry([], Kind.GRANT, Holder(source, "", unit), content="", at="")
        for source, unit in [("ab", "c"), ("a", "bc")]
    )
    assert one.hash != other.hash


def test_an_account_knows_grant_spends_and_what_became_of_them(chain):
    account = account_of(chain, STAYS)
    assert account.granted == Budget(2.0, 1e-6)
    assert [(booking.number, booking.status) for booking in account.bookings] == [(1, "finished"), (3, "started")]
    assert len(account.spent) == 2


def test_the_newest_grant_holds_and_a_limit_of_the_configuration_can_only_lower_it(chain):
    lower = [*chain, next_entry(chain, Kind.GRANT, STAYS, content=Budget(1.05, 1e-6).to_json(), at="")]
    account_of(chain, STAYS).check(spend("c", 0.5 * ONE), None)
    with pytest.raises(BudgetError, match=r"is epsilon 1\.05"):
        account_of(lower, STAYS).check(spend("c", 0.5 * ONE), Budget(50.0, 1e-6))
    with pytest.raises(BudgetError, match=r"is epsilon 1\.02"):
        account_of(chain, STAYS).check(spend("c", 0.5 * ONE), Budget(1.02, 1e-6))


def test_without_grant_and_limit_nothing_may_start():
    with pytest.raises(BudgetError, match="threea ledger grant"):
        account_of([], STAYS).check(spend(), None)
    account_of([], STAYS).check(spend(mu=0.99 * ONE), Budget(1.0, 1e-6))


def test_a_voided_release_counts_no_more_whatever_follows(chain):
    void = next_entry(chain, Kind.VOID, STAYS, content=json.dumps({"entry": 1, "reason": "cluster lost"}), at="")
    late = next_entry([*chain, void], Kind.FAIL, STAYS, content=json.dumps({"entry": 1}), at="")
    account = account_of([*chain, void, late], STAYS)
    assert account.booking(1).status == "void"
    assert [item.release_id for item in account.spent] == [""]  # the other one
    with pytest.raises(LedgerError, match="there are: 1, 3"):
        account.booking(2)


def test_a_source_has_one_account_under_all_its_names_and_none_of_anothers(chain):
    assert len(account_of(chain, Holder("delta path of it", "id-1", "row")).bookings) == 2
    assert len(account_of(chain, Holder("main.ehr.stays", "replaced", "row")).bookings) == 2
    assert account_of(chain, Holder("main.ehr.labs", "id-2", "row")).bookings == ()
    assert account_of(chain, Holder("main.ehr.labs", "", "row")).bookings == ()


def test_releases_for_another_unit_are_not_composed(chain):
    patients = Holder("main.ehr.stays", "id-1", "patient, at most 4 rows")
    with pytest.raises(BudgetError, match="protect another unit"):
        account_of(chain, patients).check(spend(), Budget(9.0, 1e-6))
    assert account_of(chain, patients).granted is None  # a grant is for one unit
