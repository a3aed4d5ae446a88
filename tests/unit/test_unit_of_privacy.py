import numpy as np
import pytest
from scipy.stats import kstest

from threea_spark.privacy.unit import Missing, PrivacyUnit, unit_token

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))


def test_null_identifiers_are_one_unit_that_no_text_joins():
    null = unit_token(KEY, None)
    assert null == unit_token(KEY, None)
    for text in (b"", b"null", b"None", b"\x00null", b"\x01"):
        assert unit_token(KEY, text) != null


def test_a_token_depends_on_key_and_identifier_alone():
    assert unit_token(KEY, b"p1") == unit_token(KEY, b"p1")
    assert unit_token(KEY, b"p1") != unit_token(KEY, b"p2")
    assert unit_token(KEY, b"p1") != unit_token(OTHER_KEY, b"p1")


def test_text_that_is_no_unicode_has_a_token_too():
    assert unit_token(KEY, b"\xff\xfe") != unit_token(KEY, b"\xff\xfd") != unit_token(KEY, "\ufffd".encode())


def test_tokens_fit_a_bigint_and_spread_evenly():
    tokens = np.array([unit_token(KEY, f"p{i}".encode()) for i in range(20_000)])
    assert tokens.min() >= 0
    assert tokens.max() < 2**63
    assert kstest(tokens / 2.0**63, "uniform").pvalue > 1e-4
    assert kstest(tokens / 2.0**62, "uniform").pvalue < 1e-4  # twice as large would be seen


@pytest.mark.parametrize(("unit", "text"), [(PrivacyUnit(), "one row"), (PrivacyUnit("id", 3), "at most 3")])
def test_the_unit_says_what_it_is(unit, text):
    assert text in str(unit)


def test_what_becomes_of_missing_identifiers_is_told_beside_the_unit_whose_name_stays():
    units = [PrivacyUnit("id", 3, missing) for missing in Missing]
    assert {str(unit) for unit in units} == {str(PrivacyUnit("id", 3))}  # one account of the ledger
    together, dropped, refused = (unit.missing_in_words for unit in units)
    assert "'id', if any, count as one unit together" in together
    assert "'id', if any, are left out and were not read" in dropped
    assert "no row is without a value in 'id'" in refused
    assert PrivacyUnit().missing_in_words is None
