"""Recognises, by name and type alone, columns that look like identifiers or free text."""

from __future__ import annotations

import re

from threea_spark.source.schema import base_type

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+")
_IDENTIFIERS = frozenset(
    "id ids uid uuid guid key keys ssn mrn nhs pid passport iban phone telephone tel mobile fax".split()
)
_NAMES = frozenset(
    "name names firstname lastname surname forename fullname username login email mail address addresses street url "
    "ip".split()
)
_TEXTS = frozenset(
    "note notes text texts comment comments description descriptions desc remark remarks narrative message body "
    "summary memo".split()
)
_COUNTED = frozenset("number no nr num".split())
_NUMBERED = frozenset("account card licence license insurance policy security patient customer member record".split())
_WRITTEN_TOGETHER = re.compile(
    r"(patient|person|people|user|customer|client|member|employee|student|subject|account|order|invoice|stay|visit|"
    r"encounter|admission|hadm|icustay|case|record|row|session|device|event|transaction|claim|policy|sample|specimen)s?"
    r"(id|key|name|no|nr|number)"
)
_WHOLE = ("tinyint", "smallint", "int", "bigint")
_TEXT = ("string", "varchar", "char")


def what_it_looks_like(name: str, simple: str) -> str | None:
    """Returns `an identifier` or `free text` for a column that looks like one, else None; reads no value.

    Args:
      name: The column's name, in snake or camel case.
      simple: Spark's simple type string: text may be either, a whole number only an identifier.
    """
    is_text = base_type(simple).split(" ")[0] in _TEXT
    is_whole = base_type(simple) in _WHOLE or re.fullmatch(r"decimal\(\d+,0\)", simple) is not None
    if not (is_text or is_whole):
        return None
    words = [word.lower() for word in _WORD.findall(name)]
    if _is_identifier(words):
        return "an identifier"
    if is_text and words and words[-1] in _NAMES:
        return "an identifier"
    return "free text" if is_text and words and words[-1] in _TEXTS else None


def _is_identifier(words: list[str]) -> bool:
    if not words:
        return False
    if words[-1] in _IDENTIFIERS or _WRITTEN_TOGETHER.fullmatch(words[-1]):
        return True
    return len(words) > 1 and words[-1] in _COUNTED and (words[-2] in _IDENTIFIERS or words[-2] in _NUMBERED)
