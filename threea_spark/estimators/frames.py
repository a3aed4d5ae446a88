"""What scikit-learn calls X and y as one frame: arrays get names for their columns. Looks at no cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from threea_spark.config.domain import Domain
from threea_spark.errors import ConfigError
from threea_spark.estimators.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def features_of(rows: Any, domain: Domain, *, has_label_apart: bool) -> pd.DataFrame:  # noqa: ANN401 - any array-like
    """X as a frame: a frame as it is; the columns of an array are called x0, x1, ...

    Args:
      rows: A frame, or an array of shape (n, columns). PRIVATE.
      domain: Names the columns that are read.
      has_label_apart: Whether y brings the label's column.

    Raises:
      InputError: if X is sparse, complex or not of two dimensions, has no column, or is an array whose generated names
        are not those of the domain.
    """
    import pandas as pd

    if hasattr(rows, "toarray"):
        raise InputError("X: sparse data is not supported; pass a dense array or a frame")
    if isinstance(rows, pd.DataFrame):
        frame = rows
    else:
        cells = np.asarray(rows)
        if cells.dtype.kind == "c":
            raise InputError("X: Complex data not supported; make plain columns of it")
        if cells.ndim != 2:
            raise InputError(
                f"X: Expected 2D array, got {cells.ndim}D array instead. Reshape your data with X.reshape(-1, 1) if it "
                "is one column"
            )
        frame = pd.DataFrame(cells, columns=[f"x{place}" for place in range(cells.shape[1])])
    if frame.shape[1] == 0:
        raise InputError("X: 0 feature(s) (shape=(n, 0)) while a minimum of 1 is required; pass the domain's columns")
    if frame is not rows:
        _check_generated(frame, domain, domain.label if has_label_apart else None)
    return frame


def with_label(frame: pd.DataFrame, y: Any, domain: Domain) -> pd.DataFrame:  # noqa: ANN401 - any array-like
    """Appends y under the label's name, row by row in their order; without a label in the domain y plays no part.

    Args:
      frame: X. PRIVATE.
      y: Shape (n,) or (n, 1). PRIVATE.
      domain: Names the label.

    Raises:
      ConfigError: if the domain has several labels, or X has the label's column too.
      InputError: if y does not fit X.
    """
    import pandas as pd

    if domain.label is None:
        return frame
    if domain.further_labels:
        raise ConfigError(f"y: the domain has {len(domain.labels)} labels; pass them as columns of X")
    if domain.label in {str(label) for label in frame.columns}:
        raise ConfigError(f"y: X has a column {domain.label!r} too; drop it there, or leave out y")
    named = getattr(y, "name", None)
    if named is not None and str(named) != domain.label and str(named) in domain.columns:
        raise ConfigError(f"y: is called {str(named)!r}, which is not the domain's label {domain.label!r}; correct one")
    if isinstance(y, pd.DataFrame) and y.shape[1] == 1:
        y = y.iloc[:, 0]
    label = y.reset_index(drop=True) if isinstance(y, pd.Series) else pd.Series(_flat(y))
    if len(label) != len(frame):
        raise InputError("y: must have one value for each row of X")
    return frame.assign(**{domain.label: label.set_axis(frame.index)})


def _flat(y: Any) -> Any:  # noqa: ANN401 - any array-like
    cells = np.asarray(y)
    if cells.ndim == 2 and cells.shape[1] == 1:
        return cells[:, 0]
    if cells.ndim != 1:
        raise InputError("y: must be one column; several labels are columns of X")
    return cells


def _check_generated(frame: pd.DataFrame, domain: Domain, label: str | None) -> None:
    wanted = [name for name in domain.columns if name != label and name not in domain.keys]
    if missing := [name for name in wanted if name not in set(frame.columns)]:
        raise InputError(
            f"X: is an array, whose columns are called x0 to x{frame.shape[1] - 1}, but the domain names "
            f"{', '.join(map(repr, missing[:10]))}; pass a pandas frame with these columns, or name x0, x1, ... there"
        )
