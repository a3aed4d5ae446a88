"""Templates and text of a page: everything from a user is escaped, and inert wherever it appears."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from threea_spark.privacy.statement import rounded_up
from threea_spark.report.charts.scales import percent

_MAX_TEXT_LENGTH = 200
_CODE = re.compile("`([^`]*)`")
_REPLACEMENT = "\ufffd"
_DIRECTIONS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@functools.lru_cache(maxsize=1)
def templates() -> Environment:
    """Returns the page templates; autoescape applies to all of them, whatever their file names."""
    environment = Environment(
        loader=PackageLoader("threea_spark.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(clip=clipped, coded=coded, percent=percent, rounded_up=rounded_up, score=_score)
    return environment


def drawn(macro: str, **view: object) -> Markup:
    """Draws a chart: calls a macro in charts.html with formatted numbers and texts."""
    module = templates().get_template("charts.html").module
    return Markup(getattr(module, macro)(**view).strip())  # noqa: S704 - the macro escapes its arguments


def clipped(text: str, longest: int = _MAX_TEXT_LENGTH) -> str:
    """Truncates a long text, and marks the cut with an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1] + "\u2026"


def inert(text: str) -> str:
    """Replaces characters that a page must not contain: control characters, lone surrogates, direction marks."""

    def safe(character: str) -> str:
        code = ord(character)
        control = (code < 0x20 and character not in "\n\t") or 0x7F <= code < 0xA0
        broken = 0xD800 <= code <= 0xDFFF or code in (0xFFFE, 0xFFFF)
        return _REPLACEMENT if control or broken or character in _DIRECTIONS else character

    return "".join(map(safe, text)) if not text.isascii() or not text.isprintable() else text


def coded(text: str) -> Markup:
    """Shows what stands between backticks as code; everything else is escaped as usual."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(inert(text)))))  # noqa: S704 - escaped before


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def polyline(points: Iterable[tuple[float, float]]) -> str:
    """Returns the path through points, to a tenth of a pixel; a single point becomes a dot, no point an empty path."""
    parts = [f"{x:.4g} {y:.4g}" for x, y in points]
    return "" if not parts else "M" + "L".join(parts) + ("h0" if len(parts) == 1 else "")


def _finalized(value: object) -> object:
    """Makes values inert; jinja2 calls this on every value that a template prints, before escaping it."""
    if isinstance(value, Markup):
        return value
    return inert(value) if isinstance(value, str) else value
