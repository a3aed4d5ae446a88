"""Writes THIRD_PARTY.md: the packages that threea_spark needs to run, and the licences that their metadata states.

Run `python deploy/third_party.py` where they are installed; a test holds the file against what it would write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "THIRD_PARTY.md"
_LONGEST = 60
_TOP = """# Licences of what threea_spark needs

threea_spark is under the [Apache License 2.0](LICENSE) and ships no code of others. It is used with the packages below,
which pip installs beside it, each under its own licence. Extras (Spark, Delta, LightGBM, MLflow, ...) are installed on
request and bring their own.

Written by `deploy/third_party.py` from the packages' metadata.

| package | licence |
|---|---|
"""


def runtime_packages() -> list[str]:
    """Names of all packages that the distribution needs without extras, those that these need included."""
    project = re.search(r"^dependencies = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL | re.MULTILINE)
    if project is None:
        raise SystemExit("pyproject.toml: no dependencies")
    left, found = re.findall(r'^\s*"([^"]+)"', project[1], re.MULTILINE), set[str]()
    while left:
        needed = Requirement(left.pop())
        name = re.sub(r"[-_.]+", "-", needed.name).lower()
        if name not in found and (needed.marker is None or needed.marker.evaluate({"extra": ""})):
            found.add(name)
            left += metadata.requires(name) or []
    return sorted(found)


def licence_of(name: str) -> str:
    """The licence that a package's metadata states: an SPDX expression, a short name, or its classifier."""
    own = metadata.metadata(name)
    classifiers = [text.split(" :: ")[-1] for text in own.get_all("Classifier", []) if text.startswith("License ::")]
    stated = [own.get("License-Expression"), own.get("License"), *classifiers]
    short = [text for text in stated if text and "\n" not in text and len(text) <= _LONGEST]
    return short[0] if short else "see the package"


def lines() -> Iterator[str]:
    """The table's rows."""
    return (f"| {name} | {licence_of(name)} |\n" for name in runtime_packages())


if __name__ == "__main__":
    PAGE.write_text(_TOP + "".join(lines()), encoding="utf-8")
