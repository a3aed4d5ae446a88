"""Determines from the recorded operations alone whether commits of a Delta table changed or removed rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_LEAVES_ROWS = {
    "ADD COLUMNS",
    "OPTIMIZE",
    "SET TBLPROPERTIES",
    "UNSET TBLPROPERTIES",
    "VACUUM START",
    "VACUUM END",
}
_APPENDS = {"WRITE": "mode", "STREAMING UPDATE": "outputMode"}


@dataclass(frozen=True)
class Commit:
    """One commit of a table's history.

    Attributes:
      version: The table version that it created.
      operation, parameters: As Delta records them.
    """

    version: int
    operation: str
    parameters: Mapping[str, str]

    @property
    def takes_no_row(self) -> bool:
        """Whether all rows of the previous version are in this one, unchanged."""
        parameter = _APPENDS.get(self.operation)
        if parameter is not None:
            return self.parameters.get(parameter) == "Append"
        return self.operation in _LEAVES_ROWS


def first_that_takes_rows(history: Sequence[Commit], after: int, last: int) -> str | None:
    """Finds the first commit after one version, up to another, that may have changed or removed rows.

    Args:
      history: Commits in any order; Delta drops old ones, and a missing commit may have done anything.
      after, last: Versions; the first is excluded, the last included.

    Returns:
      A description of that commit; None if the history is complete and no commit changed or removed a row.
    """
    known = {commit.version: commit for commit in history}
    for version in range(after + 1, last + 1):
        commit = known.get(version)
        if commit is None:
            return f"version {version}, which its history no longer holds"
        if not commit.takes_no_row:
            return f"version {version} ({commit.operation})"
    return None
