"""The places that a release reads and writes, as named in a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from threea_spark.config.reading import Frozen
from threea_spark.config.table_names import PlaceKey, clash, parts_of, quoted_chain

_MAX_ROWS = 10**12
Rows: TypeAlias = Annotated[int, Field(ge=1, le=_MAX_ROWS)]


class PlaceConfig(Frozen):
    """A Delta table, by catalog name or by path."""

    table: str | None = Field(default=None, min_length=1, description="a catalog name")
    path: str | None = Field(default=None, min_length=1, description="a folder or URI")

    @model_validator(mode="after")
    def _one_place(self) -> PlaceConfig:
        if self.table is not None and self.path is not None:
            raise ValueError("names both a table and a path; keep `table` for a catalog name, `path` for a folder")
        if self.table is None and self.path is None:
            raise ValueError("names no place; write `table: main.ehr.stays` or `path: ./stays`")
        return self

    def __str__(self) -> str:
        return self.table or str(self.path)

    @classmethod
    def named(cls, text: str) -> PlaceConfig:
        """Returns the place that one word names: a path if it contains a slash or a scheme, else a table."""
        return PlaceConfig(path=text) if "/" in text or ":" in text else PlaceConfig(table=text)

    @property
    def key(self) -> PlaceKey:
        """The normalized name, for comparison with other places."""
        return PlaceKey.of(self.table, self.path)


class SourceConfig(PlaceConfig):
    """The private Delta table, at a version (by default the newest, which is recorded)."""

    version: int | None = Field(default=None, ge=0, lt=2**63, description="the table's version; if None, the newest")
    since: int | None = Field(
        default=None, ge=0, lt=2**63, description="read only units that this earlier version did not contain"
    )
    rows: Rows | None = Field(
        default=None, description="approximate row count, if public; lets adaptation claim amplification"
    )

    staging_schema: str | None = Field(
        default=None, description="private schema for staging; if None, that of a source table, else the session's"
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

        It never depends on the target, whose schema readers of releases may read.
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
    """The Delta table that receives the released rows."""

    mode: Literal["create", "append"] = Field(default="create", description="nothing is ever overwritten")
    source_comments: bool = Field(
        default=False, description="copies the comments of the source's columns to a new table; only if they are public"
    )


def clash_of(source: PlaceKey, target: PlaceKey, ledger: Mapping[str, PlaceKey]) -> str | None:
    """Returns `field: problem; fix` if two of a release's places overlap, otherwise None.

    Args:
      source, target: The release's places.
      ledger: The ledger's tables, by the field that names each.
    """
    if how := clash(target, source):
        return f"target: {_IN_WORDS[how].format('the private source')}; choose another target"
    others = {"the private source": source, "the target": target}
    for field, own in ledger.items():
        for name, place in others.items():
            if how := clash(own, place):
                return f"{field}: {_IN_WORDS[how].format(name)}; choose another place for the ledger"
        others["the ledger"] = own
    return None


_IN_WORDS = {"is": "is {}", "lies inside": "lies inside the folder of {}", "holds": "is a folder that holds {}"}
