"""Parses options of the form NAME=VALUE."""

from __future__ import annotations

from collections.abc import Sequence

from threea_spark.errors import ConfigError


def parsed_where(texts: Sequence[str]) -> dict[str, str]:
    """Reads COLUMN=VALUE; the domain decides later whether the text is a category, a range or null.

    Raises:
      ConfigError: if a text has neither form, or names a column twice.
    """
    return dict(_pairs("--where", "COLUMN=VALUE", texts))


def parsed_shares(texts: Sequence[str]) -> dict[str, float]:
    """Reads CLASS=SHARE.

    Raises:
      ConfigError: if a text has another form, or names a class twice.
    """
    pairs = _pairs("--class-share", "CLASS=SHARE", texts)
    try:
        return {name: float(text) for name, text in pairs.items()}
    except ValueError:
        raise ConfigError("--class-share: write CLASS=SHARE with a number such as 0.5") from None


def _pairs(option: str, form: str, texts: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise ConfigError(f"{option}: write {form}, got {text[:80]!r}")
        if name in found:
            raise ConfigError(f"{option}: {name[:80]!r} is given twice")
        found[name] = value
    return found
