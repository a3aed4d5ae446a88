"""The receipt: what was released and under which guarantee, in public and DP numbers only."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from threea_spark.errors import SourceError
from threea_spark.privacy.statement import PrivacyStatement

FORMAT = 1
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
      source, source_version, target: The tables and the version that was read.
      n_released: Number of rows written.
      generator: sample, mix or random.
      columns, left_out: Columns released, and columns of the source that the domain does not name.
      privacy: The guarantee.
      resolved: The value of every `auto` setting.
      diagnostics: Advice from public and DP numbers.
      versions: Versions of the packages that ran.
      source_since: Units already in this version were not read; None if all units were.
      ledger: Number and hash of the start in the ledger, if there is one: a ledger without it was rewritten.
      rules: Rules between columns that every released row keeps, one sentence each.
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

    def to_json(self) -> str:
        """Returns the receipt as JSON."""
        content = asdict(self) if self.rules else {k: v for k, v in asdict(self).items() if k != "rules"}
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
        ledger = [] if self.ledger is None else [f"  ledger      entry {self.ledger['entry']}, {self.ledger['hash']}"]
        resolved = ", ".join(f"{name} {_short(value)}" for name, value in self.resolved.items())
        lines = [
            f"Release {self.release_id}",
            f"  source      {self.source} at version {self.source_version}",
            *self._increment_in_words(),
            f"  target      {self.target}: {self.n_released:,} rows of {len(self.columns)} columns, `{self.generator}`",
            f"  left out    {', '.join(self.left_out) or 'no column'}",
            *[f"  rule        {text}" for text in self.rules],
            self.privacy.in_words(),
            f"  auto        {resolved}",
            *ledger,
            *[f"  advice      {text}" for text in self.diagnostics],
        ]
        return "\n".join(lines)

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
        for name in ("columns", "left_out", "diagnostics", "rules"):
            plain[name] = tuple(plain.get(name, ()))
        return cls(**{**plain, "privacy": PrivacyStatement.from_dict(plain["privacy"])})


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
