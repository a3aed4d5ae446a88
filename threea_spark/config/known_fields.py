"""Finds the field that was probably meant by one that a configuration does not have."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from threea_spark.config.near_names import near_name

_WRITTEN_AS = {"further_labels": "label"}
"""Fields that are not written by their own name."""


def near_field(model: type[BaseModel], location: Sequence[int | str]) -> str | None:
    """Returns the known field whose name is nearest to the last part of a location; None if none is near.

    Args:
      model: Of the whole configuration.
      location: As pydantic gives it: keys and indices, and the tags of the alternatives it tried.
    """
    annotations: list[Any] = [model]
    for part in location[:-1]:
        annotations = [inner for own in annotations for inner in _inside(own, part)]
    known = [name for own in annotations for found in _models(own) for name in found.model_fields]
    near = near_name(str(location[-1]), known)
    return None if near is None else _WRITTEN_AS.get(near, near)


def _inside(annotation: Any, part: int | str) -> Iterator[Any]:  # noqa: ANN401 - annotations are of any type
    """Yields what may stand at one part of a location inside a value of the annotated type."""
    for own in _alternatives(annotation):
        origin, arguments = get_origin(own), get_args(own)
        if isinstance(own, type) and issubclass(own, BaseModel):
            if part in own.model_fields:
                yield own.model_fields[str(part)].annotation
            elif _has_tag(own, part):
                yield own
        elif isinstance(origin, type) and issubclass(origin, Mapping):
            yield arguments[1]
        elif origin in (tuple, list):
            yield arguments[0]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - annotations are of any type
    for own in _alternatives(annotation):
        if isinstance(own, type) and issubclass(own, BaseModel):
            yield own


def _alternatives(annotation: Any) -> Iterator[Any]:  # noqa: ANN401 - annotations are of any type
    """Yields the members of a union, or the annotated type itself."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _alternatives(arguments[0])
    elif origin in (Union, types.UnionType):
        for own in arguments:
            yield from _alternatives(own)
    else:
        yield annotation


def _has_tag(model: type[BaseModel], part: int | str) -> bool:
    """Whether pydantic names a model so among the alternatives: by a literal, its class or its first field."""
    literals = [field.annotation for field in model.model_fields.values() if get_origin(field.annotation) is Literal]
    return part == model.__name__ or part in model.model_fields or any(part in get_args(own) for own in literals)
