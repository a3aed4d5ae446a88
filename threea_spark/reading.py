"""Reads YAML strictly and turns every broken rule of a model into one readable line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from threea_spark.errors import ConfigError

ModelT = TypeVar("ModelT", bound=BaseModel)

_MENDS = {
    "missing": "is missing; add it",
    "extra_forbidden": "is not a known field; drop it or correct its spelling",
    "finite_number": "must be a finite number",
    "union_tag_not_found": "needs a `type`: integer, float, categorical or timestamp",
    "frozen_instance": "cannot be changed",
}
# pydantic puts the branch of a union it tried into the location; these are no field names of ours
_BRANCHES = {"integer", "float", "categorical", "timestamp", "literal['auto']", "literal['open']", "tuple[str, ...]"}


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key given twice, which plain YAML silently resolves to the last."""


def _mapping(loader: _StrictLoader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            key = str(key)
        if key in seen:
            raise ConfigError(f"line {key_node.start_mark.line + 1}: {key!r} is given twice; keep one of them")
        seen.add(key)
    content = loader.construct_mapping(node, deep=deep)
    return {key if isinstance(key, str) else str(key): value for key, value in content.items()}


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Reads one YAML mapping.

    Raises:
      ConfigError: if the file is missing, is no YAML, gives a key twice or is no mapping.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give the path of a YAML file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    try:
        content = yaml.load(text, Loader=_StrictLoader)  # a SafeLoader: builds plain values only
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark is not None else ""
        raise ConfigError(f"{path}:{line} {getattr(error, 'problem', None) or 'is not valid YAML'}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: must hold a mapping of fields, such as `source: ...`")
    return content


def parse_model(model: type[ModelT], content: dict[str, Any], *, where: str) -> ModelT:
    """Checks `content` against a pydantic model.

    Raises:
      ConfigError: one line for each broken rule: field, rule, mend.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        lines = list(dict.fromkeys(_line(item) for item in error.errors(include_url=False)))
        raise ConfigError("\n".join([f"{where}: {len(lines)} field(s) to mend", *lines])) from None


def _line(item: ErrorDetails) -> str:
    parts = [str(part) for part in item["loc"] if str(part) not in _BRANCHES and "[" not in str(part)]
    field = ".".join(parts) or "(whole file)"
    if item["type"] in _MENDS:
        return f"  {field}: {_MENDS[item['type']]}"
    message = str(item["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = message[:1].lower() + message[1:]
    given = item.get("input")
    shown = f", got {given!r}" if isinstance(given, (int, float, str)) and "got" not in message else ""
    return f"  {field}: {message}{shown[:120]}"
