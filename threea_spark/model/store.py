"""Saves and loads frozen dataclasses as one JSON document and one npz of arrays; no pickle, versioned.

A file says which format its reader must know (`readable_by`). What a newer version adds without changing the meaning
of the rest, an older one passes over; what changes the meaning raises `readable_by`, and an older one refuses it.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from threea_spark.config.domain import Domain
from threea_spark.encode.between.functions import FunctionTable
from threea_spark.encode.between.row_rules import RowRules
from threea_spark.encode.grid import LeafGrid
from threea_spark.encode.moments import AffineCodec
from threea_spark.encode.noisy_tables import CellCounts, CellNames, MomentCounts, NoisyTables, TreeCounts
from threea_spark.encode.numbers import PointCodec
from threea_spark.encode.quantile_codec import QuantileCodec
from threea_spark.encode.steps import Step
from threea_spark.encode.written import StepMixture
from threea_spark.errors import ModelError
from threea_spark.model.drawn_label import DrawnLabel, RowPart
from threea_spark.model.labels import KernelInput, LabelFunction, NumberLabels
from threea_spark.model.ntk import Architecture
from threea_spark.model.sampler import RowSampler
from threea_spark.model.stored import StoredCategory, StoredEncoding, from_stored, to_stored
from threea_spark.privacy.statement import PrivacyStatement, StageSpend

FORMAT = 3
_SINCE = {
    3: ("DrawnLabel", "RowRules", "time_zone"),
    2: ("NumberLabels", "class_probabilities", "step", "atoms"),
}
"""Classes and fields that readers of earlier formats do not know; what holds none of them is written for those."""
_LATE_FIELDS = ("class_probabilities", "sequence", "rules", "time_zone", "steps", "step", "atoms")
"""Fields that came after format 1: they are not written where they hold nothing. Readers pass over `steps`."""
_DOCUMENT, _ARRAYS = "model.json", "arrays.npz"
_DAMAGE = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error)
_CLASSES: dict[str, type] = {
    "AffineCode": AffineCodec,
    "Architecture": Architecture,
    "CategoryCode": StoredCategory,
    "CellCounts": CellCounts,
    "CellNames": CellNames,
    "DrawnLabel": DrawnLabel,
    "Encoding": StoredEncoding,
    "FunctionTable": FunctionTable,
    "KernelInput": KernelInput,
    "LabelFunction": LabelFunction,
    "LeafGrid": LeafGrid,
    "MomentCounts": MomentCounts,
    "NoisyTables": NoisyTables,
    "NumberLabels": NumberLabels,
    "PointCode": PointCodec,
    "PrivacyStatement": PrivacyStatement,
    "QuantileCode": QuantileCodec,
    "RowPart": RowPart,
    "RowRules": RowRules,
    "RowSampler": RowSampler,
    "StageSpend": StageSpend,
    "Step": Step,
    "StepMixture": StepMixture,
    "TreeCounts": TreeCounts,
}
"""By the name in format 1, which a class keeps when it is renamed."""
_NAMES = {kind: name for name, kind in _CLASSES.items()}


def require_empty(folder: str | Path) -> None:
    """Refuses a folder that holds something.

    Raises:
      ModelError: naming the folder.
    """
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ModelError(f"{folder}: is not empty; a model is never written over, choose another folder")


def save(parts: dict[str, Any], folder: str | Path) -> None:
    """Writes named parts: dataclasses, domains, arrays, plain values.

    Raises:
      ModelError: if the folder holds something already.
    """
    target = Path(folder)
    require_empty(folder)
    target.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, np.ndarray] = {}
    plain = {name: _plain(part, arrays) for name, part in parts.items()}
    needed = _needed_format(parts, json.dumps(plain))
    document = {"format": needed, "readable_by": needed, "parts": plain}
    np.savez_compressed(target / _ARRAYS, allow_pickle=False, **arrays)
    (target / _DOCUMENT).write_text(json.dumps(document, indent=1), encoding="utf-8")


def load(folder: str | Path, names: Collection[str]) -> dict[str, Any]:
    """Reads what `save` wrote.

    Args:
      folder: The folder that it was saved in.
      names: Parts to read; others, which a newer version may have added, are passed over.

    Raises:
      ModelError: if it is missing, damaged, or of a format this version does not know.
    """
    source = Path(folder)
    if not source.is_dir():
        raise ModelError(f"{folder}: there is no such folder; check the path")
    try:
        document = json.loads((source / _DOCUMENT).read_text(encoding="utf-8"))
        with np.load(source / _ARRAYS, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        needed = document.get("readable_by", document["format"])
        if needed > FORMAT:
            raise ModelError(
                f"{folder}: needs format {needed}, this version reads {FORMAT}; install a newer threea-spark"
            )
        return {name: _rebuilt(part, arrays) for name, part in document["parts"].items() if name in names}
    except _DAMAGE as error:
        raise ModelError(f"{folder}: is not a saved model, or damaged ({type(error).__name__})") from None


def _needed_format(parts: dict[str, Any], text: str) -> int:
    """The earliest format whose readers know all that is written; those before 3 know domains of one label."""
    if any(isinstance(part, Domain) and part.further_labels for part in parts.values()):
        return FORMAT
    return next((number for number, names in _SINCE.items() if any(f'"{name}"' in text for name in names)), 1)


def _plain(value: Any, arrays: dict[str, np.ndarray]) -> Any:  # noqa: ANN401 - a tree of anything we store
    value = to_stored(value)
    if isinstance(value, np.ndarray):
        name = f"a{len(arrays)}"
        arrays[name] = value
        return {"$array": name}
    if isinstance(value, BaseModel):
        return {"$domain": _saying_something(value.model_dump(mode="json"))}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        held = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        known = {name: own for name, own in held.items() if not (name in _LATE_FIELDS and own is None)}
        fields = {name: _plain(own, arrays) for name, own in known.items()}
        return {"$class": _NAMES[type(value)], "fields": fields}
    if isinstance(value, (list, tuple)):
        return {"$tuple": [_plain(item, arrays) for item in value]}
    if isinstance(value, dict):
        return {"$dict": [[key, _plain(item, arrays)] for key, item in value.items()]}
    if isinstance(value, np.generic):
        return value.item()
    return value


def _saying_something(domain: dict[str, Any]) -> dict[str, Any]:
    """A domain's plain values without the options that say nothing and that older versions do not know."""
    for column in domain["columns"].values():
        for name in _LATE_FIELDS:
            if not column.get(name):
                column.pop(name, None)
    return domain


def _rebuilt(value: Any, arrays: dict[str, np.ndarray]) -> Any:  # noqa: ANN401 - the inverse of _plain
    if not isinstance(value, dict):
        return value
    if "$array" in value:
        return arrays[value["$array"]]
    if "$domain" in value:
        return Domain.model_validate(value["$domain"])
    if "$tuple" in value:
        return tuple(_rebuilt(item, arrays) for item in value["$tuple"])
    if "$dict" in value:
        return {key: _rebuilt(item, arrays) for key, item in value["$dict"]}
    kind = _CLASSES[value["$class"]]
    known = {field.name for field in dataclasses.fields(kind)}
    return from_stored(
        kind(**{name: _rebuilt(item, arrays) for name, item in value["fields"].items() if name in known})
    )
