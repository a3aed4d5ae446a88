"""Types of the numpy arrays that travel between modules."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]
Float32Array = NDArray[np.float32]
Int64Array = NDArray[np.int64]
Int16Array = NDArray[np.int16]
Uint32Array = NDArray[np.uint32]
BoolArray = NDArray[np.bool_]
Uint8Array = NDArray[np.uint8]
