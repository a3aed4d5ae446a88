"""The ledger of a source's budget, as named in a configuration."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from threea_spark.config.reading import Frozen
from threea_spark.config.table_names import PlaceKey
from threea_spark.config.tables import PlaceConfig


class BudgetConfig(Frozen):
    """The total budget of the source over all releases."""

    epsilon: float = Field(gt=0, description="total over all releases")
    delta: float = Field(gt=0, lt=1, description="total over all releases")


class LedgerConfig(PlaceConfig):
    """The Delta table that records what was granted and spent."""

    grants: str | None = Field(
        default=None, min_length=1, description="officers' own table of grants, by name or path; only they write it"
    )
    budget: BudgetConfig | None = Field(default=None, description="can only lower the budget granted by an officer")

    @property
    def grants_place(self) -> PlaceConfig | None:
        """The officers' table; None if they write to the ledger itself."""
        return None if self.grants is None else PlaceConfig.named(self.grants)

    @property
    def places(self) -> Iterator[tuple[str, PlaceConfig]]:
        """The ledger's tables, each with the field that names it."""
        yield "privacy.ledger", self
        if self.grants_place is not None:
            yield "privacy.ledger.grants", self.grants_place

    @property
    def keys(self) -> dict[str, PlaceKey]:
        """The normalized names of the ledger's tables, by field."""
        return {field: place.key for field, place in self.places}
