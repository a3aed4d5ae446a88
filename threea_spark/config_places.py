"""Where a release reads and where it writes, as a configuration names it."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from threea_spark.place_names import PlaceKey, clash
from threea_spark.reading import Frozen

_MOST_ROWS = 10**12
Rows: TypeAlias = Annotated[int, Field(ge=1, le=_MOST_ROWS)]


class PlaceConfig(Frozen):
    """A Delta table, by catalog name or by path."""

    table: str | None = Field(default=None, min_length=1, description="a catalog name")
    path: str | None = Field(default=None, min_length=1, description="a folder or URI")

    @model_validator(mode="after")
    def _one_place(self) -> PlaceConfig:
        if (self.table is None) == (self.path is None):
            raise ValueError("give either `table` or `path`")
        return self

    def __str__(self) -> str:
        return self.table or str(self.path)

    @property
    def key(self) -> PlaceKey:
        """What it is called, to be compared with other places."""
        return PlaceKey.of(self.table, self.path)


class SourceConfig(PlaceConfig):
    """The private Delta table, at a version (the newest where none is given; it is recorded)."""

    version: int | None = Field(default=None, ge=0, lt=2**63, description="of the Delta table; the newest where None")
    since: int | None = Field(
        default=None, ge=0, lt=2**63, description="read only units that this earlier version did not hold"
    )
    rows: Rows | None = Field(
        default=None, description="about how many rows, if that is public; lets adaptation claim amplification"
    )

    @model_validator(mode="after")
    def _since_is_earlier(self) -> SourceConfig:
        if self.since is not None and self.version is not None and not self.since < self.version:
            raise ValueError(f"since must be below version, got {self.since} and {self.version}; name an earlier one")
        return self


class TargetConfig(PlaceConfig):
    """Where the released rows go."""

    mode: Literal["create", "append"] = Field(default="create", description="nothing is ever overwritten")


def clash_of(source: PlaceKey, target: PlaceKey, ledger: PlaceKey | None) -> str | None:
    """What is wrong where two of a release's places are not apart, as `field: problem; fix`, or None.

    Args:
      source, target, ledger: Of the release; None where there is no ledger.
    """
    if how := clash(target, source):
        return f"target: {_IN_WORDS[how].format('the private source')}; choose another target"
    if ledger is None:
        return None
    for name, place in (("the private source", source), ("the target", target)):
        if how := clash(ledger, place):
            return f"privacy.ledger: {_IN_WORDS[how].format(name)}; choose another place for the ledger"
    return None


_IN_WORDS = {"is": "is {}", "lies inside": "lies inside the folder of {}", "holds": "is a folder that holds {}"}
