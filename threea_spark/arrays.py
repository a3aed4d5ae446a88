"""Types of the numpy arrays that travel between modules, and of what travels to executors."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]
Float32Array = NDArray[np.float32]
Int64Array = NDArray[np.int64]
Int16Array = NDArray[np.int16]
Uint32Array = NDArray[np.uint32]
BoolArray = NDArray[np.bool_]
Uint8Array = NDArray[np.uint8]


class FieldsOnly:
    """A dataclass of which the fields alone are pickled: what was worked out from them is worked out again."""

    def __getstate__(self) -> dict[str, Any]:
        return {own.name: self.__dict__[own.name] for own in fields(self)}  # type: ignore[arg-type]
