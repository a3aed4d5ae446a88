"""The configuration of a release: one frozen model for each stage, read from one YAML file.

Epsilon, delta and the unit of privacy have no defaults. Every `auto` is resolved by a documented rule from public
numbers (see recipes/rules.py) and stated in the receipt.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from threea_spark.config.adapt import AdaptConfig
from threea_spark.config.bounded import AUTO, Auto
from threea_spark.config.digest import digest_of
from threea_spark.config.domain import Domain
from threea_spark.config.label_columns import PROBABILITY_TYPE, added_names, names_taken
from threea_spark.config.ledger import LedgerConfig
from threea_spark.config.reading import Frozen, parse_model
from threea_spark.config.stage_settings import AnonymizeConfig, ApproximateConfig, EncodeConfig
from threea_spark.config.tables import SourceConfig, TargetConfig, clash_of
from threea_spark.config.yaml_files import content_of, read_yaml
from threea_spark.privacy.large_delta import declared_problem
from threea_spark.privacy.terms import Accounting, Relation, Stage
from threea_spark.privacy.unit import Missing, PrivacyUnit

_SHARES_TOLERANCE = 1e-6


class UnitConfig(Frozen):
    """All rows with the same value of `column` are one unit, of which at most `max_rows` are read."""

    column: str = Field(min_length=1, description="identifies units; never released")
    max_rows: int = Field(ge=1, le=10_000, description="maximum number of rows read per unit")
    missing: Literal["together", "drop", "refuse"] = Field(
        default="together", description="rows without an identifier: one unit, never read, or not allowed"
    )


class PrivacyConfig(Frozen):
    """The claim, and how it is divided among the stages. Epsilon, delta and unit have no defaults."""

    epsilon: float = Field(gt=0, le=1000, strict=True, description="the claimed epsilon")
    delta: float = Field(gt=0, lt=1, strict=True, description="the claimed delta; well below 1 / number of people")
    allow_large_delta: bool = Field(
        default=False, description="allows delta above 1 / number of units; it may release single people's values"
    )
    unit: Literal["row"] | UnitConfig = Field(description="who is protected: a row, or all rows of one person")
    accounting: Literal["end_to_end", "conditional"] = Field(
        default="end_to_end", description="what the claim covers; conditional reproduces the paper"
    )
    relation: Literal["add_or_remove_one", "replace_one"] = Field(
        default="add_or_remove_one", description="which tables are neighbours"
    )
    shares: dict[Literal["encode", "approximate", "adapt", "anonymize"], float] | Auto = Field(
        default=AUTO, description="shares of mu^2 by stage; they sum to 1"
    )
    ledger: LedgerConfig | None = Field(default=None, description="enforces the source's budget, if given")

    @field_validator("shares")
    @classmethod
    def _whole(cls, shares: dict[str, float] | str) -> dict[str, float] | str:
        if isinstance(shares, str):
            return shares
        if missing := [stage.value for stage in Stage if stage.value not in shares]:
            raise ValueError(
                f"shares must name every stage; add {', '.join(missing)} (0 keeps a stage from reading rows)"
            )
        if negative := [name for name, share in shares.items() if not share >= 0.0]:
            raise ValueError(f"shares must be non-negative; fix {', '.join(negative)}")
        if not abs(math.fsum(shares.values()) - 1.0) <= _SHARES_TOLERANCE:
            raise ValueError(f"shares must sum to 1, got {math.fsum(shares.values()):g}; scale them")
        return shares

    @property
    def privacy_unit(self) -> PrivacyUnit:
        """The unit of privacy, as used by the accounting."""
        if isinstance(self.unit, UnitConfig):
            return PrivacyUnit(self.unit.column, self.unit.max_rows, Missing(self.unit.missing))
        return PrivacyUnit()

    @property
    def accounting_mode(self) -> Accounting:
        """The accounting mode: what the claim covers."""
        return Accounting(self.accounting)

    @property
    def neighboring_relation(self) -> Relation:
        """Which tables are neighbours."""
        return Relation(self.relation)


class ReleaseConfig(Frozen):
    """One release, from source to target."""

    source: SourceConfig = Field(description="the private table")
    target: TargetConfig = Field(description="the released table")
    privacy: PrivacyConfig = Field(description="the claim, and how it is divided among the stages")
    domain: Domain = Field(description="public knowledge about the source")
    encode: EncodeConfig = Field(default=EncodeConfig(), description="how cells become coordinates")
    approximate: ApproximateConfig = Field(default=ApproximateConfig(), description="the mixture")
    adapt: AdaptConfig = Field(default=AdaptConfig(), description="inducing points and the label function")
    anonymize: AnonymizeConfig = Field(default=AnonymizeConfig(), description="how rows are made")

    @model_validator(mode="after")
    def _stages_fit(self) -> ReleaseConfig:
        conditional = self.privacy.accounting == "conditional"
        if self.adapt.method == "kip" and self.adapt.targets == "plain" and not conditional:
            raise ValueError("adapt.targets: plain reads rows without noise; use private, or accounting: conditional")
        if conditional and self.anonymize.generator == "sample":
            raise ValueError("accounting: conditional prices mixing; use anonymize.generator: mix or random")
        if conditional and self.adapt.method == "kip" and self.adapt.targets == "private":
            raise ValueError(
                "adapt.targets: private has no budget under accounting: conditional; use plain or method: none"
            )
        if conditional and self.domain.columns_without_bounds:
            raise ValueError("accounting: conditional has no budget to find bounds; declare those that are auto")
        if self.anonymize.generator != "sample" and self.anonymize.rows != "match":
            raise ValueError("anonymize.rows: mix and random release one row per group; drop it, or set mix_size")
        if self.domain.further_labels and (self.is_mixing or self.adapt.rows == "sample"):
            raise ValueError(
                "label: several labels need generator: sample, and adapt.rows: auto or all; name one label"
            )
        self._check_label_columns()
        if self.source.since is not None and self.privacy.relation != "add_or_remove_one":
            raise ValueError("source.since: a replaced unit would be in two releases; use add_or_remove_one")
        ledger = self.privacy.ledger
        if problem := clash_of(self.source.key, self.target.key, {} if ledger is None else ledger.keys):
            raise ValueError(problem)
        unit, max_rows = self.privacy.privacy_unit.column, self.privacy.privacy_unit.max_rows
        problem = declared_problem(self.privacy.delta, max_rows, self.source.rows)
        if problem is not None and not self.privacy.allow_large_delta:
            raise ValueError(problem)
        if unit is not None and unit in (*self.domain.columns, *self.domain.keys):
            raise ValueError(f"privacy.unit: {unit!r} is also in the domain and would be released; drop it from one")
        return self

    def _check_label_columns(self) -> None:
        if not self.anonymize.label_probability:
            return
        if self.domain.label is None or self.is_mixing:
            raise ValueError("anonymize.label_probability: needs a label, and generator: sample; drop it")
        unit = self.privacy.privacy_unit.column
        if taken := names_taken(added_names(self.domain), [*self.domain.columns, *([] if unit is None else [unit])]):
            raise ValueError(
                f"anonymize.label_probability: the table would hold two columns {taken[0]!r}; drop the option, or "
                "rename the column of the source"
            )

    @property
    def added_columns(self) -> dict[str, str]:
        """Columns of the released table that the source does not have, with their types: the labels' probabilities."""
        if not self.anonymize.label_probability or self.domain.label is None:
            return {}
        return dict.fromkeys(added_names(self.domain), PROBABILITY_TYPE)

    @property
    def is_mixing(self) -> bool:
        """Whether rows are averaged rather than drawn."""
        return self.anonymize.generator in ("mix", "random")

    @property
    def selects_categories(self) -> bool:
        """Whether any column's categories are found in the data."""
        return bool(self.domain.open_columns)

    @property
    def digest(self) -> str:
        """Identifies this configuration: 16 hex digits of SHA-256 over its canonical JSON."""
        return digest_of(self.model_dump(mode="json"))

    @classmethod
    def of(cls, given: ConfigLike) -> ReleaseConfig:
        """Returns the configuration that is given as such, as a mapping of its fields, or as the path of its YAML.

        Args:
          given: In a mapping `domain` may also be a Domain; the path in `domain: {file: ...}` is relative to the YAML,
            in a mapping to the working directory.

        Raises:
          ConfigError: with one line for each broken rule; or if it is none of these.
        """
        if isinstance(given, ReleaseConfig):
            return given
        content, where = content_of(given, name="config", kind="a ReleaseConfig")
        return cls.from_dict(_with_domain(content, Path(where).parent), where=where)

    @classmethod
    def from_yaml(cls, path: str | Path) -> ReleaseConfig:
        """Reads and checks a release's YAML; the path in `domain: {file: ...}` is relative to it.

        Raises:
          ConfigError: with one line for each broken rule.
        """
        return cls.from_dict(_with_domain(read_yaml(path), Path(path).parent), where=str(path))

    @classmethod
    def from_dict(cls, content: dict[str, Any], *, where: str = "config") -> ReleaseConfig:
        """Checks a configuration given as plain Python values.

        Raises:
          ConfigError: with one line for each broken rule.
        """
        return parse_model(cls, content, where=where)


ConfigLike: TypeAlias = ReleaseConfig | Mapping[str, Any] | str | os.PathLike[str]
"""What `ReleaseConfig.of` takes, and with it every function that takes a configuration."""


def _with_domain(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Puts the domain of another file in place of its name."""
    domain = content.get("domain")
    if isinstance(domain, dict) and set(domain) == {"file"}:
        return {**content, "domain": read_yaml(folder / str(domain["file"]))}
    return content
