"""Reads and writes YAML 1.2, in which no, on and 9:30 are text, and refuses what it would change all the same.

A category is text: where YAML reads 02134, 1e3 or 250.10 as a number, its spelling is lost, and no row would match.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from threea_spark.config.category_text import value_text
from threea_spark.errors import ConfigError

_TEXT = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"
_CATEGORIES = "values"
_MAX_LENGTH = 120
_MAX_PATH_LENGTH = 1_000


class _Constructor(SafeConstructor):
    """Builds plain values only; the error for an invalid one, such as 2020-13-45 or `!!int x`, names its line."""

    def construct_object(self, node: Node, deep: bool = False) -> Any:  # noqa: ANN401 - any YAML value
        """Builds a value."""
        try:
            return super().construct_object(node, deep=deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            kind = str(node.tag).rpartition(":")[2]
            raise ConfigError(f"line {_line(node)}: is not a valid {plain(kind)}; fix or quote it") from None


def plain(text: str, max_length: int = _MAX_LENGTH) -> str:
    """Fits foreign text into one line: truncated, and quoted if it contains unprintable characters."""
    cut = text if len(text) <= max_length else f"{text[:max_length]}..."
    return cut if cut.isprintable() else repr(cut)


def plain_path(path: str | Path) -> str:
    """Fits a file's name into one line."""
    return plain(str(path), _MAX_PATH_LENGTH)


def quoted(text: str) -> str:
    """Writes text as a double-quoted YAML scalar on one line, with escapes for what YAML does not allow or would fold.

    JSON's escapes do not serve: two of its surrogates are two characters in YAML.
    """
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def written_yaml(content: Mapping[str, Any]) -> str:
    """Writes plain values as YAML 1.2."""
    text = io.StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # typed as None alone
    writer.allow_unicode = False  # else line breaks of other scripts are written as they are, and read as blanks
    writer.dump(dict(content), text)
    return text.getvalue()


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Reads one YAML mapping; keys are text as written: a column may be called no, 1 or 2020-01-01.

    Raises:
      ConfigError: if the file is missing, is not YAML, has a duplicate key, a category that YAML changes, or is not a
        mapping.
    """
    where = plain_path(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{where}: cannot be read ({error.strerror}); give the path of a YAML file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{where}: is not UTF-8 text; save it as UTF-8") from None
    except ValueError:  # a name with a zero byte, say
        raise ConfigError(f"{where}: is not a file name; give the path of a YAML file") from None
    try:
        content = _read(text)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    except RecursionError:
        raise ConfigError(f"{where}: is nested too deeply; write it flatter") from None
    except YAMLError as error:
        raise ConfigError(f"{where}:{_problem(error, text)}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{where}: must be a mapping of fields, such as `source: ...`")
    return content


def content_of(given: object, *, name: str, kind: str) -> tuple[dict[str, Any], str]:
    """Returns plain values that are given as a mapping or as the path of a YAML file, and what errors call them.

    Args:
      given: Whatever a caller passed.
      name: The parameter.
      kind: The class that it may have as well, with its article.

    Raises:
      ConfigError: as `read_yaml`, or if it is neither.
    """
    if isinstance(given, Mapping):
        return dict(given), name
    if isinstance(given, str | os.PathLike):
        path = os.fsdecode(given)
        return read_yaml(path), path
    raise ConfigError(
        f"{name}: must be {kind}, a mapping of its fields, or the path of its YAML, got {type(given).__name__}; pass "
        "one of these"
    )


def _read(text: str) -> object:
    reader = YAML(typ="safe", pure=True)
    reader.Constructor = _Constructor
    document = reader.compose(text)
    if document is None:
        return None
    changed: dict[str, None] = {}  # in order, each list once
    for node in _nodes(document):
        if isinstance(node, MappingNode):
            for key, value in _entries(node):
                if key == _CATEGORIES and isinstance(value, SequenceNode):
                    changed |= _changed(value, reader.constructor)
    if changed:
        raise ConfigError("\n  ".join([f"{len(changed)} list(s) of categories to quote", *changed]))
    return reader.constructor.construct_document(document)


def _nodes(document: Node) -> Iterator[Node]:
    """Yields each node once, however many aliases it has, in the order of the file."""
    seen: set[int] = set()
    waiting = [document]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, MappingNode):
            waiting += [value for _, value in reversed(node.value)]
        elif isinstance(node, SequenceNode):
            waiting += reversed(node.value)


def _entries(node: MappingNode) -> list[tuple[str, Node]]:
    """Makes the keys text, as they are written, and returns them with their values."""
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, ScalarNode):
            raise ConfigError(f"line {_line(key)}: a key must be plain text; quote it")
        if key.value in seen:
            raise ConfigError(f"line {_line(key)}: {key.value!r} is given twice; keep one of them")
        seen.add(str(key.value))
        if key.tag != _MERGE:
            key.ctag = type(key.ctag)(suffix=_TEXT)
    return [(str(key.value), value) for key, value in node.value]


def _changed(values: SequenceNode, constructor: SafeConstructor) -> dict[str, None]:
    """Says in one line which categories of a list YAML reads as other text than is written, and how to quote them."""
    found = {}
    for node in values.value:
        if not isinstance(node, ScalarNode) or node.style is not None:
            continue
        value = constructor.construct_object(node)
        if value is not None and value_text(value) != node.value:
            found[str(node.value)] = value_text(value)
    if not found:
        return {}
    read = ", ".join(f"{plain(written, 40)} as {plain(text, 40)}" for written, text in list(found.items())[:3])
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    fixes = ", ".join(plain(quoted(written), 40) for written in list(found)[:10])
    first = next(node for node in values.value if isinstance(node, ScalarNode) and str(node.value) in found)
    line = f"line {_line(first)}: YAML reads {read}{more}; quote what is text or a number so written: {fixes}"
    return {line: None}


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _problem(error: YAMLError, text: str) -> str:
    if isinstance(error, ReaderError):
        line = text.count("\n", 0, error.position) + 1
        odd = text[error.position]
        return f" line {line}: YAML does not allow the character U+{ord(odd):04X}; write it as {quoted(odd)}"
    mark = getattr(error, "problem_mark", None)
    where = f" line {mark.line + 1}:" if mark is not None else ""
    return f"{where} {plain(getattr(error, 'problem', None) or 'is not valid YAML')}"
