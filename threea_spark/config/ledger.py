"""The ledger of a source's budget, as named in a configuration."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from threea_spark.config.reading import Frozen
from threea_spark.config.table_names import PlaceKey
from threea_spark.config.tables import PlaceConfig
from threea_spark.errors import ConfigError


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


def require_ledger(configured: LedgerConfig | None, ledger: str, grants: str | None) -> None:
    """Refuses a configuration that is not booked where whoever set up a job says.

    Args:
      configured: The configuration's ledger, if any.
      ledger: The ledger's table, or its path.
      grants: The officers' table of grants, or its path; None if grants are in the ledger.

    Raises:
      ConfigError: naming both.
    """
    places = {"privacy.ledger": ledger} | ({} if grants is None else {"privacy.ledger.grants": grants})
    if configured is None or configured.keys != {field: PlaceConfig.named(text).key for field, text in places.items()}:
        beside = "without `grants`" if grants is None else f"with grants: {grants}"
        raise ConfigError(
            f"privacy.ledger: this job releases only what is booked in {ledger}, {beside}; change privacy.ledger"
        )
