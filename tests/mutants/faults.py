"""Faults that a test must find, one a row: file, exact text, what takes its place, the test that must fail.

A text occurs once in its file. Where code moves, its row moves along; where code goes, its row goes.
"""

from typing import NamedTuple


class Fault(NamedTuple):
    """One change of one file of the package, and the test that must fail under it."""

    file: str
    text: str
    instead: str
    test: str

    def __str__(self) -> str:
        return f"{self.file}: {self.instead.strip()[:60] or 'removed'}"


FAULTS = [
    # ROWS#
]
