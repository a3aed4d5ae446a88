"""Where a release reads and where it writes, as a configuration names it."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from threea_spark.config.reading import Frozen
from threea_spark.config.table_names import PlaceKey, clash, parts_of, quoted_chain

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

    staging_schema: str | None = Field(
        default=None, description="private schema for staging; beside a source table, else the session's, where None"
    )

    @field_validator("staging_schema")
    @classmethod
    def _is_a_chain(cls, name: str | None) -> str | None:
        if name is not None and parts_of(name) is None:
            raise ValueError("staging_schema names a schema, such as main.private; quote odd parts with backticks")
        return name

    @property
    def schema_of_staging(self) -> str:
        """The schema in which private rows are staged, quoted for SQL; empty for the session's own.

        Never the target's because it is the target's: whoever reads releases may read there.
        """
        if self.staging_schema is not None:
            return quoted_chain(parts_of(self.staging_schema) or ())
        parts = None if self.table is None or self.key.is_path else parts_of(self.table.strip())
        return quoted_chain((parts or ())[:-1])

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
