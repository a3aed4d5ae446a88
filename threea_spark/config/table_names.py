"""Compares places by name: which are surely the same, and which lie inside one another. Opens no table."""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path

_PART = re.compile(r"`((?:[^`]|``)+)`|([^`.\s]+)")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_ONE_STORE = {"s3a": "s3", "s3n": "s3", "abfs": "abfss", "wasb": "wasbs"}
"""Schemes that denote the same store as another one, under a different driver."""
_TABLE = "table"
_NAME_A_PATH = ("delta", "parquet")  # delta.`/lake/stays` is SQL's way to name a path


def parts_of(name: str) -> tuple[str, ...] | None:
    """Splits a chain of identifiers at its dots and removes the backticks; None if it is not such a chain."""
    parts: list[str] = []
    place = 0
    while found := _PART.match(name, place):
        parts.append(found[1].replace("``", "`") if found[1] is not None else found[2])
        if found.end() == len(name):
            return tuple(parts)
        if name[found.end()] != ".":
            return None
        place = found.end() + 1
    return None


def quoted_name(name: str) -> str:
    """Quotes one identifier for Spark SQL: a column's name or one part of a table's name, whatever it contains."""
    return "`" + name.replace("`", "``") + "`"


def quoted_chain(parts: tuple[str, ...]) -> str:
    """Quotes a chain of identifiers for SQL and joins them with dots, whatever they contain."""
    return ".".join(map(quoted_name, parts))


@dataclass(frozen=True)
class PlaceKey:
    """The normalized name of a place, the same for different spellings.

    Attributes:
      store: The kind of place: a catalog table, or the scheme of a path.
      parts: Parts of the name, or folders from the root.
    """

    store: str
    parts: tuple[str, ...]

    @classmethod
    def of(cls, table: str | None, path: str | None) -> PlaceKey:
        """Returns the key of a configured place: follows this machine's symlinks, ignores the case of names.

        Args:
          table, path: Exactly one of the two.
        """
        if table is None:
            return _key_of_path(str(path))
        parts = parts_of(table.strip()) or (table.strip(),)
        if len(parts) == 2 and parts[0].lower() in _NAME_A_PATH and ("/" in parts[1] or ":" in parts[1]):
            return _key_of_path(parts[1])
        return cls(_TABLE, tuple(part.lower() for part in parts))

    @property
    def is_path(self) -> bool:
        """Whether it is a folder, not a table of a catalog."""
        return self.store != _TABLE

    def contains(self, other: PlaceKey) -> bool:
        """Whether the other place is this one or lies inside it."""
        if self.store != other.store:
            return False
        if not self.is_path:
            return self.parts == other.parts
        return other.parts[: len(self.parts)] == self.parts


def clash(one: PlaceKey, other: PlaceKey) -> str | None:
    """Relates the first place to the second if they overlap: `is`, `lies inside` or `holds`; otherwise None."""
    if one == other:
        return "is"
    if other.contains(one):
        return "lies inside"
    return "holds" if one.contains(other) else None


def _key_of_path(path: str) -> PlaceKey:
    found = _SCHEME.fullmatch(path)
    scheme, rest = (found[1].lower(), found[2]) if found is not None else ("file", path)
    if scheme == "file":
        parts = _folders(_real(rest if found is None else "/" + rest.lstrip("/")))
        return PlaceKey("dbfs", parts[1:]) if parts[:1] == ("dbfs",) else PlaceKey("file", parts)
    if not rest.startswith("//"):
        return PlaceKey(_ONE_STORE.get(scheme, scheme), _folders(posixpath.normpath("/" + rest)))
    authority, _, folders = rest[2:].partition("/")
    start = (authority.lower(),) if authority else ()
    return PlaceKey(_ONE_STORE.get(scheme, scheme), (*start, *_folders(posixpath.normpath("/" + folders))))


def _folders(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part)


def _real(path: str) -> str:
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):  # a loop of links, or an impossible file name
        return posixpath.normpath(str(Path(path).absolute()))
