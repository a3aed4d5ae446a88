"""A fitted Synthesizer as files: the released model, and beside it the parameters and the frame's public dtypes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather

from threea_spark.errors import ModelError
from threea_spark.source.dtypes import Listed

if TYPE_CHECKING:
    import pandas as pd

_PARAMETERS, _DTYPES = "synthesizer.json", "dtypes.feather"


def write_beside(
    folder: str | Path, content: Mapping[str, Any], dtypes: Mapping[str, Any], labels: Mapping[str, object]
) -> None:
    """Writes what a Synthesizer knows besides its model.

    Args:
      folder: Holds the saved model.
      content: Plain values.
      dtypes: From `declared_dtypes`.
      labels: From `labels_by_name`; those that are no text or number are written as their text.
    """
    import pandas as pd

    listed = {name: list(dtype.texts) for name, dtype in dtypes.items() if isinstance(dtype, Listed)}
    plain = {name: dtype.dtype if isinstance(dtype, Listed) else dtype for name, dtype in dtypes.items()}
    spelt = {name: label if isinstance(label, str | int | float) else name for name, label in labels.items()}
    document = {**content, "listed": listed, "labels": spelt}
    Path(folder, _PARAMETERS).write_text(json.dumps(document, default=str, indent=1) + "\n", encoding="utf-8")
    nothing = {
        name: pd.Series([0 if isinstance(dtype, np.dtype) else None], dtype=dtype) for name, dtype in plain.items()
    }
    row = pa.Table.from_pandas(pd.DataFrame(nothing))  # without a row, categories would be lost
    feather.write_feather(row, str(Path(folder, _DTYPES)), compression="uncompressed")


def read_beside(folder: str | Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, object]]:
    """Reads what `write_beside` wrote: content, dtypes and labels.

    Raises:
      ModelError: if it is missing or damaged.
    """
    try:
        content = json.loads(Path(folder, _PARAMETERS).read_text(encoding="utf-8"))
        listed, labels = content.pop("listed"), content.pop("labels")
        frame: pd.DataFrame = feather.read_table(str(Path(folder, _DTYPES)), memory_map=False).to_pandas()
    except (OSError, ValueError, KeyError, AttributeError, pa.ArrowException):
        raise ModelError(
            f"{folder}: is not a saved Synthesizer, or damaged; a model alone is read by ReleaseModel.load"
        ) from None
    dtypes = {
        str(name): Listed(tuple(listed[name]), dtype) if name in listed else dtype
        for name, dtype in frame.dtypes.items()
    }
    return content, dtypes, labels
