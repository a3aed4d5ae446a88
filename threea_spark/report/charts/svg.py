"""Templates and text of a page: everything from a user is escaped, and inert wherever it stands."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from threea_spark.privacy.statement import rounded_up
from threea_spark.report.charts.scales import percent

_LONGEST_TEXT = 200
_REPLACEMENT = "\ufffd"
_DIRECTIONS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@functools.lru_cache(maxsize=1)
def templates() -> Environment:
    """The page templates; autoescape holds for all of them, whatever their names end in."""
    environment = Environment(
        loader=PackageLoader("threea_spark.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(clip=clipped, percent=percent, plain=_plain, rounded_up=rounded_up)
    return environment


def drawn(macro: str, **view: object) -> Markup:
    """Draws a chart: calls a macro of charts.html with numbers and texts that are ready to show."""
    module = templates().get_template("charts.html").module
    return Markup(getattr(module, macro)(**view).strip())  # noqa: S704 - the macro escaped what it was given


def clipped(text: str, longest: int = _LONGEST_TEXT) -> str:
    """Cuts a long text, and marks the cut."""
    return text if len(text) <= longest else text[: longest - 1] + "\u2026"


def inert(text: str) -> str:
    """Replaces what a page must not hold or show: control characters, halves of surrogate pairs, direction marks."""

    def safe(character: str) -> str:
        code = ord(character)
        control = (code < 0x20 and character not in "\n\t") or 0x7F <= code < 0xA0
        broken = 0xD800 <= code <= 0xDFFF or code in (0xFFFE, 0xFFFF)
        return _REPLACEMENT if control or broken or character in _DIRECTIONS else character

    return "".join(map(safe, text)) if not text.isascii() or not text.isprintable() else text


def _plain(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else clipped(str(value))


def polyline(points: Iterable[tuple[float, float]]) -> str:
    """The path through points, to a tenth of a pixel; a single point is a dot, no point an empty path."""
    parts = [f"{x:.4g} {y:.4g}" for x, y in points]
    return "" if not parts else "M" + "L".join(parts) + ("h0" if len(parts) == 1 else "")


def _finalized(value: object) -> object:
    """Called by jinja2 on every value that a template writes, before it is escaped."""
    if isinstance(value, Markup):
        return value
    return inert(value) if isinstance(value, str) else value
