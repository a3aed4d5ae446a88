"""The encoding of a table as format 1 stores it: codes in one flat list, each part of a timestamp beside its timestamp.

Format 1 is older than the codecs that own their parts. Models are written and read in its terms, so that 0.1.0, 0.2.0
and this version read each other's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, TypeAlias

from threea_spark.arrays import Float64Array, Int64Array
from threea_spark.encode.between.row_rules import RowRules
from threea_spark.encode.categories import CategoryCodec
from threea_spark.encode.codec import ColumnCodec, Encoding, Feature
from threea_spark.encode.numbers import NumberCodec
from threea_spark.encode.times import PARTS, TimeCodec

_PART_MARK = "#"
"""0.1.0 told parts by their name alone: `seen#hour`. Nothing is written so any more."""


@dataclass(frozen=True)
class StoredCategory:
    """A category, or a part of the timestamp that comes before it.

    Attributes:
      name: Name of the column; a part has the name of its timestamp.
      values, nullable, cell_of, level_mass: As in CategoryCodec.
      part: hour, weekday or month; empty for a column of its own; None where 0.1.0 did not say.
      time_zone: The zone of a part; None for UTC, which was the only one before 0.3.0.
    """

    name: str
    values: tuple[str, ...]
    nullable: bool
    cell_of: Int64Array
    level_mass: Float64Array
    part: str | None = None
    time_zone: str | None = None
    is_category: ClassVar[Literal[True]] = True


StoredCode: TypeAlias = NumberCodec | StoredCategory


@dataclass(frozen=True)
class StoredEncoding:
    """An encoding with one code for each feature.

    Attributes:
      codes: Codes of the features, in order; parts follow their timestamp.
      label: Code of the label, if any.
      clip_norm, rules: As in Encoding; `rules` is stored where there are any.
    """

    codes: tuple[StoredCode, ...]
    label: StoredCode | None
    clip_norm: float
    rules: RowRules | None = None


def to_stored(value: Any) -> Any:  # noqa: ANN401 - anything that is saved
    """Returns what format 1 stores for a value: an encoding in its own terms, all else as it is."""
    if not isinstance(value, Encoding):
        return value
    codes = [code for column in value.columns for code in _stored_column(column)]
    label = None if value.label is None else _stored(value.label)
    return StoredEncoding(tuple(codes), label, value.clip_norm, value.rules)


def from_stored(value: Any) -> Any:  # noqa: ANN401 - the inverse
    """Returns what a stored value is read as; the inverse of `to_stored`."""
    if not isinstance(value, StoredEncoding):
        return value
    label = value.label
    own = _category(label, label.name) if label is not None and label.is_category else label
    return Encoding(tuple(_columns(value.codes)), own, value.clip_norm, value.rules)


def _stored_column(column: ColumnCodec) -> list[StoredCode]:
    first, *parts = column.features
    return [_stored(first), *[_stored(part, column.name, column.time_zone) for part in parts]]


def _stored(codec: Feature, time: str | None = None, zone: str | None = None) -> StoredCode:
    if not codec.is_category:
        return codec
    name, part = (codec.name, "") if time is None else (time, codec.name)
    return StoredCategory(name, codec.values, codec.nullable, codec.cell_of, codec.level_mass, part, zone)


def _columns(codes: tuple[StoredCode, ...]) -> list[ColumnCodec]:
    """Gathers each timestamp with the parts that follow it."""
    columns: list[ColumnCodec] = []
    time: TimeCodec | None = None
    for code in codes:
        if code.is_category and time is not None and (part := _part_of(code, time.name)):
            time = columns[-1] = replace(time, parts=(*time.parts, _category(code, part)), time_zone=code.time_zone)
        elif code.is_category:
            time = None
            columns.append(_category(code, code.name))
        else:
            time = TimeCodec(code, ()) if code.kind == "timestamp" else None
            columns.append(code if time is None else time)
    return columns


def _category(code: StoredCategory, name: str) -> CategoryCodec:
    return CategoryCodec(name, code.values, code.nullable, code.cell_of, code.level_mass)


def _part_of(code: StoredCategory, time: str) -> str:
    """Which part of a timestamp a category is; empty if it is a column of its own."""
    if code.part is not None:
        return code.part
    name, _, part = code.name.rpartition(_PART_MARK)
    return part if name == time and part in PARTS else ""
