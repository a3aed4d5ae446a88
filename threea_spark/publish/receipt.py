"""The receipt: what was released, under which guarantee, from public and DP numbers only."""

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
      release_id: Names configuration and source version; the same release has the same one.
      source, source_version, target: Places.
      n_released: Rows written.
      generator: sample, mix or random.
      columns, left_out: Columns released, and columns of the source the domain does not name.
      privacy: The guarantee.
      resolved: What every `auto` became.
      diagnostics: Advice from public and DP numbers.
      versions: Of the packages that ran.
      source_since: Units that this version held were not read; None where all were.
      ledger: Number and hash of the start in the ledger, if one is kept: a ledger without it was written anew.
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

    def to_json(self) -> str:
        """The receipt as JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1)

    @property
    def properties(self) -> dict[str, str]:
        """The release and its claim by the names of table properties; a table may hold others besides."""
        return {
            PROPERTY_RELEASE: self.release_id,
            PROPERTY_EPSILON: f"{self.privacy.epsilon:g}",
            PROPERTY_DELTA: f"{self.privacy.delta:g}",
            PROPERTY_ACCOUNTING: self.privacy.accounting,
        }

    def in_words(self) -> str:
        """The receipt as text for a person."""
        ledger = [] if self.ledger is None else [f"  ledger      entry {self.ledger['entry']}, {self.ledger['hash']}"]
        resolved = ", ".join(f"{name} {_short(value)}" for name, value in self.resolved.items())
        lines = [
            f"Release {self.release_id}",
            f"  source      {self.source} at version {self.source_version}",
            *self._increment_in_words(),
            f"  target      {self.target}: {self.n_released:,} rows of {len(self.columns)} columns, `{self.generator}`",
            f"  left out    {', '.join(self.left_out) or 'no column'}",
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
            f"only units that version {self.source_since} did not hold were read. Releases that read others do not add "
            "up with this one (parallel composition); the ledger counts so where history shows that no unit left"
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
          SourceError: if the file is missing or no receipt.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls.from_dict(content)
        except (OSError, ValueError, KeyError, TypeError):
            raise SourceError(f"{path}: is no receipt; give the JSON file that a release wrote") from None

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Receipt:
        """Rebuilds a receipt from its JSON values."""
        plain = {name: value for name, value in content.items() if name != "format"}
        for name in ("columns", "left_out", "diagnostics"):
            plain[name] = tuple(plain[name])
        return cls(**{**plain, "privacy": PrivacyStatement.from_dict(plain["privacy"])})


def receipt_in(text: str) -> Receipt | None:
    """Reads a receipt from a commit's metadata; None if it holds none."""
    try:
        return Receipt.from_dict(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def package_versions() -> dict[str, str]:
    """Versions of the packages a release depends on; those that are absent are left out."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
