"""The receipt: what was released and under which guarantee, in public and DP numbers only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from threea_spark.config.release import ReleaseConfig
from threea_spark.errors import SourceError
from threea_spark.privacy.large_delta import in_people
from threea_spark.privacy.statement import PrivacyStatement
from threea_spark.privacy.wrapping import wrapped

FORMAT = 1
NO_VERSION = -1
"""The source version of rows that were passed in memory."""
_LEFT_OUT_WHERE_EMPTY = ("rules", "devices", "at", "by", "config_digest", "config", "n_units")
"""Fields that versions before them do not know."""
_PACKAGES = ("threea-spark", "pyspark", "delta-spark", "jax", "dp-accounting", "numpy")
PROPERTY_RELEASE = "threea.release_id"
PROPERTY_EPSILON = "threea.epsilon"
PROPERTY_DELTA = "threea.delta"
PROPERTY_ACCOUNTING = "threea.accounting"


@dataclass(frozen=True)
class Receipt:
    """One release, for privacy officers and machines.

    Attributes:
      release_id: Identifies configuration and source version; the same release always has the same one.
      source, source_version, target: The tables and the version that was read; `NO_VERSION` of rows in memory.
      n_released: Number of rows written.
      generator: sample, mix or random.
      columns, left_out: Columns released, and columns of the source that the domain does not name.
      privacy: The guarantee.
      resolved: The value of every `auto` setting.
      diagnostics: Advice from public and DP numbers.
      versions: Versions of the packages that ran.
      source_since: Units already in this version were not read; None if all units were.
      domain_fit: How the domain meets the rows: shares that do not fit it, bounds that were found, open columns.
      ledger: Number and hash of the start in the ledger, if there is one: a ledger without it was rewritten.
      rules: Rules between columns that every released row keeps, one sentence each.
      at: When the receipt was made, UTC, ISO 8601 to the second.
      by: Who ran the release, as the session knows them; None if it does not tell.
      config_digest: Identifies the configuration, by `ReleaseConfig.digest`.
      config: The configuration as plain values, without its places (`public_values`).
      devices: What jax computed on, by platform and kind, in order; empty where nothing was fitted by jax.
      n_units: The fewest units that the rows which were read can belong to, DP; None in conditional mode.
    """

    release_id: str
    source: str
    source_version: int
    target: str
    n_released: int
    generator: str
    columns: tuple[str, ...]
    left_out: tuple[str, ...]
    privacy: PrivacyStatement
    resolved: dict[str, Any]
    diagnostics: tuple[str, ...]
    versions: dict[str, str]
    ledger: dict[str, Any] | None = None
    source_since: int | None = None
    rules: tuple[str, ...] = ()
    domain_fit: dict[str, Any] = field(default_factory=dict)
    at: str | None = None
    by: str | None = None
    config_digest: str | None = None
    config: dict[str, Any] | None = None
    devices: tuple[str, ...] = ()
    n_units: int | None = None

    def to_json(self) -> str:
        """Returns the receipt as JSON."""
        absent = {name for name in _LEFT_OUT_WHERE_EMPTY if not getattr(self, name)}
        content = {name: value for name, value in asdict(self).items() if name not in absent}
        return json.dumps({"format": FORMAT, **content}, indent=1)

    @property
    def properties(self) -> dict[str, str]:
        """The release and its claim, by table property; a table may hold other releases as well."""
        return {
            PROPERTY_RELEASE: self.release_id,
            PROPERTY_EPSILON: f"{self.privacy.epsilon:g}",
            PROPERTY_DELTA: f"{self.privacy.delta:g}",
            PROPERTY_ACCOUNTING: self.privacy.accounting,
        }

    def in_words(self) -> str:
        """Returns the receipt as text for people to read."""
        resolved = ", ".join(f"{name} {_short(value)}" for name, value in self.resolved.items())
        lines = [
            f"Release {self.release_id}",
            *self._made_in_words(),
            f"  source      {self.source} at version {self.source_version}",
            *self._increment_in_words(),
            f"  target      {self.target}: {self.n_released:,} rows of {len(self.columns)} columns, by generator "
            f"{self.generator}",
            *([f"  rows        {text}"] if (text := rows_in_words(self)) else []),
            f"  left out    {', '.join(self.left_out) or 'no column'}",
            *[f"  rule        {text}" for text in self.rules],
            self.privacy.in_words(),
            f"  people      {in_people(self.privacy.delta, self.n_units)}",
            f"  settings    {resolved}",
            *[f"  bounds      {text}" for text in found_bounds_in_words(self.domain_fit)],
            *([f"  computed    on {', '.join(self.devices)}"] if self.devices else []),
            *self._ledger_in_words(),
            *[f"  advice      {text}" for text in self.diagnostics],
        ]
        return wrapped("\n".join(lines))

    def _made_in_words(self) -> list[str]:
        made = " ".join([*([self.at] if self.at else []), *([f"by {self.by}"] if self.by else [])])
        digest = [f"  digest      {self.config_digest}, of the configuration"] if self.config_digest else []
        return [*([f"  made        {made}"] if made else []), *digest]

    def _ledger_in_words(self) -> list[str]:
        if self.ledger is None:
            return []
        lines = [f"  ledger      entry {self.ledger['entry']}, {self.ledger['hash']}"]
        return lines + [f"  budget      {text}" for text in budget_in_words(self.ledger)]

    def _increment_in_words(self) -> list[str]:
        if self.source_since is None:
            return []
        text = (
            f"only units absent from version {self.source_since} were read. Releases that read other units do not add "
            "up with this one (parallel composition); the ledger relies on that if the history shows that no unit left"
        )
        return [f"  increment   {text}"]

    def write(self, path: str | Path) -> None:
        """Writes the receipt's JSON to a file."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(self.to_json() + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: str | Path) -> Receipt:
        """Reads a receipt's JSON.

        Raises:
          SourceError: if the file is missing or not a receipt.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls.from_dict(content)
        except (OSError, ValueError, KeyError, TypeError):
            raise SourceError(f"{path}: not a receipt; pass the JSON file that a release wrote") from None

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Receipt:
        """Rebuilds a receipt from its JSON values."""
        plain = {name: value for name, value in content.items() if name != "format"}
        for name in ("columns", "left_out", "diagnostics", "rules", "devices"):
            plain[name] = tuple(plain.get(name, ()))
        return cls(**{**plain, "privacy": PrivacyStatement.from_dict(plain["privacy"])})


def public_values(config: ReleaseConfig) -> dict[str, Any]:
    """Returns the plain values of a configuration without its places: source, target and ledger are no one's business.

    The rest is public by declaration: whoever reads the receipt sees what was asked for.
    """
    content = config.model_dump(mode="json")
    content["privacy"].pop("ledger", None)
    return {name: value for name, value in content.items() if name not in ("source", "target")}


def budget_in_words(ledger: Mapping[str, Any]) -> list[str]:
    """Tells what the ledger granted, held before and after this release, and what is left; as far as it is known."""
    known = [
        (words, ledger[name])
        for name, words in (
            ("granted_epsilon", "granted: epsilon {}"),
            ("spent_epsilon_before", "spent before: epsilon {}"),
            ("spent_epsilon_after", "spent with this release: epsilon {}"),
            ("left_epsilon", "left: epsilon {}"),
        )
        if ledger.get(name) is not None
    ]
    return ["; ".join(words.format(f"{value:.5g}") for words, value in known)] if known else []


def rows_in_words(receipt: Receipt) -> str | None:
    """Explains a number of rows that is below the source's; None where there is nothing to explain."""
    if receipt.config is None or receipt.config["anonymize"]["rows"] != "match" or receipt.generator != "sample":
        return None
    unit = receipt.config["privacy"]["unit"]
    if unit == "row":
        return "as many as the source holds, by a noisy count"
    return (
        f"as many as were read, by a noisy count: at most {unit['max_rows']} of each {unit['column']!r}, so the source "
        "may hold more"
    )


def found_bounds_in_words(domain_fit: Mapping[str, Any]) -> list[str]:
    """One line for each column whose bounds were found."""
    found = domain_fit.get("bounds found", {})
    return [f"of {name!r} were found: {_bound(low)} to {_bound(high)}" for name, (low, high) in found.items()]


def _bound(value: object) -> str:
    return value if isinstance(value, str) else f"{value:,.12g}"


def receipt_in(text: str) -> Receipt | None:
    """Reads a receipt from a commit's metadata; None if there is none."""
    try:
        return Receipt.from_dict(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def package_versions() -> dict[str, str]:
    """Returns the versions of the packages a release depends on, without those that are not installed."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
