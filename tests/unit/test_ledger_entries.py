"""The ledger's chain and accounts, without Spark: whatever is changed in the past is found."""

import json
from dataclasses import fields, replace

import pytest
from some import some

from threea_spark.errors import BudgetError, LedgerError
from threea_spark.privacy import account as accounts
from threea_spark.privacy.account import Budget
from threea_spark.privacy.accounting import gaussian_event
from threea_spark.privacy.cohorts import EVERYONE, Cohort
from threea_spark.privacy.entries import GENESIS, Entry, Holder, Kind, next_entry, verify
from threea_spark.privacy.gaussian import gaussian_mu
from threea_spark.privacy.officers import Chains
from threea_spark.privacy.spend import Spend
from threea_spark.privacy.terms import Accounting, Relation

ONE = gaussian_mu(1.0, 1e-6)
STAYS = Holder("main.ehr.stays", "id-1", "row")


def spend(name="r", mu=ONE, relation=Relation.ADD_OR_REMOVE_ONE, cohort=EVERYONE, accounting=Accounting.END_TO_END):
    return Spend(name, (gaussian_event(mu, relation),), 0.0, relation, cohort, accounting, numeric=0.0)


def conditional(name="c"):
    return spend(name, accounting=Accounting.CONDITIONAL)


AT = "2026-01-01T00:00:00.000+00:00"


def chain_of(*entries, holder=STAYS, by="ann"):
    chain = []
    for kind, content in entries:
        chain.append(next_entry(chain, kind, holder, content=content, at=AT, by=by))
    return chain


def account_of(chain, holder):
    return accounts.account_of(Chains(tuple(chain)), holder)


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
@pytest.mark.parametrize("number", some([0, 1, 3], [1]))
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


def test_a_chain_that_0_2_0_wrote_is_whole_and_goes_on_with_entries_that_name_people():
    heads = ("2e192690c49aa854", "791564eef2622221", "670f6064e36ef36b")  # as 0.2.0 hashed it, before `by` was there
    start = (
        '{"events": [{"noise_multiplier": 5.0}], "delta_outside": 0.0, "relation": "add_or_remove_one", "accounting": '
        '"end_to_end", "epsilon": 0.9, "delta": 1e-07, "numeric": 0.0}'
    )
    contents = ('{"epsilon": 2.0, "delta": 1e-06}', start, '{"entry": 1}')
    old = chain_of(*zip((Kind.GRANT, Kind.START, Kind.FINISH), contents, strict=True), by=None)
    assert tuple(entry.hash[:16] for entry in old) == heads
    both = [*old, next_entry(old, Kind.START, STAYS, content=start, at=AT, by="ann")]
    verify(both)
    for number, name in ((0, "ann"), (3, None), (3, "bob")):  # a name added, removed and changed
        with pytest.raises(LedgerError, match=f"entry {number} does not fit"):
            verify([*both[:number], replace(both[number], by=name), *both[number + 1 :]])


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
    with pytest.raises(LedgerError, match="those are: 1, 3"):
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


def test_a_release_that_was_voided_while_it_ran_and_finished_counts_again(chain):
    void, finish = (Kind.VOID, json.dumps({"entry": 3, "reason": "hung"})), (Kind.FINISH, json.dumps({"entry": 3}))
    seen = []
    for kind, content in (void, finish, void):
        chain.append(next_entry(chain, kind, STAYS, content=content, at=""))
        account = account_of(chain, STAYS)
        seen.append((account.booking(3).status, len(account.spent)))
    assert seen == [("void", 1), ("finished", 2), ("void", 1)]


def test_a_conditional_release_is_refused_unless_the_grant_names_it():
    for start in ([], [(Kind.GRANT, Budget(1e6, 1e-6).to_json())]):
        account = account_of(chain_of(*start), STAYS)
        with pytest.raises(BudgetError, match="--allow-conditional"):
            account.check(conditional(), Budget(1e6, 0.5))
    allowed = account_of(chain_of((Kind.GRANT, Budget(1.0, 1e-6, allow_conditional=True).to_json())), STAYS)
    assert allowed.granted == Budget(1.0, 1e-6, allow_conditional=True)
    allowed.check(conditional(), None)


def test_a_conditional_release_of_the_past_leaves_no_number_unless_it_was_allowed():
    booked = [(Kind.START, conditional().to_json()), (Kind.START, spend("a").to_json())]
    plain, allowing = (
        account_of(chain_of((Kind.GRANT, Budget(2.0, 1e-6, allow_conditional=allow).to_json()), *booked), STAYS)
        for allow in (False, True)
    )
    with pytest.raises(BudgetError, match=r"1 earlier conditional release\(s\)"):
        plain.check(spend("b", 0.1), None)
    assert plain.spent_epsilon(1e-6, apart=False) == float("inf")
    allowing.check(spend("b", 0.1), None)
    assert allowing.spent_epsilon(1e-6, apart=False) == pytest.approx(1.0)
    for account in (plain, allowing):
        assert [text.split(":")[0] for text in account.notes()] == ["1 conditional release(s)"]
    with pytest.raises(BudgetError, match="with this one it would be"):
        allowing.check(spend("b", 3 * ONE), None)


def test_a_plain_grant_is_written_as_0_1_0_reads_it():
    assert set(json.loads(Budget(1.0, 1e-6).to_json())) == {"epsilon", "delta"}


@pytest.mark.parametrize("apart", [False, True])
def test_relations_do_not_mix_in_one_account_not_even_of_releases_that_read_different_units(apart):
    """A replaced unit may be in both parts: what each release spent on it under its own relation does not add up."""
    first = spend("a", 0.5 * ONE, Relation.REPLACE_ONE, Cohort(None, 0))
    later = spend("b", 0.5 * ONE, Relation.ADD_OR_REMOVE_ONE, Cohort(0, 1))
    grant = (Kind.GRANT, Budget(9.0, 1e-6).to_json())
    with pytest.raises(BudgetError, match="neighbouring relation"):
        account_of(chain_of(grant, (Kind.START, first.to_json())), STAYS).check(later, None, apart=apart)
    mixed = account_of(chain_of(grant, *[(Kind.START, item.to_json()) for item in (first, later)]), STAYS)
    assert mixed.spent_epsilon(1e-6, apart=apart) == float("inf")
    assert "several neighbouring relations" in mixed.notes()[0]
    assert account_of(chain_of(grant, (Kind.START, later.to_json())), STAYS).notes() == []
