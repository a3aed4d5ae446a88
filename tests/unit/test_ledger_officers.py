"""Officers' grants and voids in a chain of their own, without Spark: who writes the ledger alone adds no budget."""

import json
from dataclasses import replace

import pytest
from test_ledger_entries import AT, ONE, STAYS, chain_of, conditional, spend

from threea_spark.errors import BudgetError, LedgerError
from threea_spark.privacy.account import Budget, account_of
from threea_spark.privacy.balance import balance_of, spent_after_each
from threea_spark.privacy.entries import Kind, next_entry
from threea_spark.privacy.officers import Chains, Seen

LEDGER = "delta-id-of-the-ledger"
START = (Kind.START, spend("r").to_json())


def officers_of(*entries, ledger=LEDGER):
    """Entries of officers, each with the ledger that its writer saw."""
    chain = []
    for kind, content, seen in entries:
        text = json.dumps({**content, **Seen.now(ledger, seen).as_content()})
        chain.append(next_entry(chain, kind, STAYS, content=text, at=AT, by="officer"))
    return chain


def grant(epsilon, seen=(), **more):
    return (Kind.GRANT, json.loads(Budget(epsilon, 1e-6, **more).to_json()), seen)


def void(number, seen):
    return (Kind.VOID, {"entry": number, "reason": "cluster lost"}, seen)


def account(ledger, *entries, granted_for=LEDGER):
    return account_of(Chains.of(LEDGER, ledger, officers_of(*entries, ledger=granted_for)), STAYS)


def test_a_grant_of_the_officers_lets_a_release_start_and_one_in_the_ledger_does_not():
    own = chain_of((Kind.GRANT, Budget(1e6, 1e-6, allow_conditional=True).to_json()))
    account(own, grant(1.1)).check(spend(), None)
    with pytest.raises(BudgetError, match=r"is epsilon 1\.1 "):
        account(own, grant(1.1)).check(spend(mu=2 * ONE), None)
    for wanted in (spend(), conditional()):
        with pytest.raises(BudgetError, match="no budget was granted"):
            account(own).check(wanted, Budget(1e6, 1e-6))  # nor does a budget in the configuration of the release
    with pytest.raises(BudgetError, match="--allow-conditional"):
        account(own, grant(1.1)).check(conditional(), None)
    account(own, grant(1.1, allow_conditional=True)).check(conditional(), None)


def test_a_void_of_the_officers_counts_and_one_in_the_ledger_does_not():
    own = chain_of(START, (Kind.VOID, json.dumps({"entry": 0, "reason": "mine"})))
    with pytest.raises(BudgetError, match=r"1 earlier release\(s\)"):
        account(own, grant(1.1)).check(spend(), None)
    account(own, grant(1.1), void(0, own)).check(spend(), None)


def test_a_void_has_its_place_among_the_entries_of_the_ledger():
    """A release that finished after it was voided was published: what the officer had seen tells which was first."""
    started = chain_of(START)
    finished = [*started, next_entry(started, Kind.FINISH, STAYS, content=json.dumps({"entry": 0}), at=AT)]
    failed = [*started, next_entry(started, Kind.FAIL, STAYS, content=json.dumps({"entry": 0}), at=AT)]
    for ledger, seen, status in (
        (finished, started, "finished"),
        (finished, finished, "void"),
        (failed, started, "void"),
        (failed, failed, "void"),
    ):
        assert account(ledger, grant(2.0), void(0, seen)).booking(0).status == status


def test_the_newest_grant_of_the_officers_holds():
    own = chain_of(START)
    assert account(own, grant(3.0), grant(1.5), grant(2.5, own)).granted == Budget(2.5, 1e-6)


def test_a_ledger_that_was_cut_or_rewritten_before_what_an_officer_saw_is_refused():
    own = chain_of(START, START)
    account(own, grant(3.0, own))
    other = chain_of((Kind.START, spend("r", 0.01).to_json()), START)
    for ledger in (own[:1], [], other):
        with pytest.raises(LedgerError, match="entry 1 was there when an officer wrote entry 0"):
            account(ledger, grant(3.0, own))
    longer = [*own, next_entry(own, Kind.FINISH, STAYS, content=json.dumps({"entry": 0}), at=AT)]
    account(longer, grant(3.0, own))


def test_a_grant_is_for_one_ledger():
    """Or a budget would hold once more in each new ledger that a configuration names."""
    with pytest.raises(BudgetError, match="no budget was granted"):
        account([], grant(3.0), granted_for="another").check(spend(), None)
    granted = officers_of(grant(3.0))[0]
    bare = replace(granted, content=Budget(9.0, 1e-6).to_json())  # as one would write it that shares the ledger's chain
    with pytest.raises(BudgetError, match="no budget was granted"):
        account_of(Chains.of(LEDGER, [], [bare]), STAYS).check(spend(), None)


def test_a_balance_is_composed_and_not_added():
    held = account(chain_of(START), grant(3.0))
    found = balance_of(held, spend(), None, apart=False).as_dict()
    assert found == {
        "granted_epsilon": 3.0,
        "granted_delta": 1e-6,
        "spent_epsilon_before": pytest.approx(1.0, abs=1e-3),
        "spent_epsilon_after": pytest.approx(1.45, abs=0.02),  # 2 Gaussian releases of epsilon 1, not epsilon 2
        "left_epsilon": pytest.approx(3.0 - found["spent_epsilon_after"]),
    }
    assert balance_of(account([]), spend(), None, apart=False) is None
    limited = account_of(Chains(()), STAYS)
    assert balance_of(limited, spend(), Budget(2.0, 1e-6), apart=False).left == pytest.approx(1.0, abs=1e-3)


def test_what_nothing_bounds_is_left_out_of_a_balance():
    booked = chain_of((Kind.START, conditional().to_json()))
    assert balance_of(account(booked, grant(3.0)), spend(), None, apart=False).as_dict() == {
        "granted_epsilon": 3.0,
        "granted_delta": 1e-6,
    }
    allowed = balance_of(account(booked, grant(3.0, allow_conditional=True)), conditional("d"), None, apart=False)
    assert allowed.as_dict()["spent_epsilon_after"] == allowed.as_dict()["spent_epsilon_before"] == 0.0


def test_what_was_spent_after_each_release_leaves_out_those_that_are_void():
    own = chain_of(START, START, START)
    after = list(spent_after_each(account(own, grant(9.0), void(1, own)), 1e-6, apart=False))
    assert after == [pytest.approx(1.0, abs=1e-3), None, pytest.approx(1.45, abs=0.02)]
