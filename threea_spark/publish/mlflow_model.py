"""A release's model as MLflow's `python_function`: its predict draws rows. Reads no row, holds no code and no pickle.

`mlflow.pyfunc.load_model(uri).predict(pd.DataFrame({"n_rows": [1000]}), params={"seed": 7})` needs threea-spark and
MLflow alone. The folder is still one that `ReleaseModel.load` reads.
"""

from __future__ import annotations

import platform
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import threea_spark
from threea_spark.config.yaml_files import written_yaml
from threea_spark.errors import ConfigError
from threea_spark.model.released import ReleaseModel

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

_LOADER = "threea_spark.publish.mlflow_model"
"""Models in registries name this module as what loads them: it stays where it is."""
_NEEDS, _PYTHON = "requirements.txt", "python_env.yaml"
_ROWS, _SEED = "n_rows", "seed"
_TYPES = {
    "boolean": "boolean",
    "tinyint": "integer",
    "smallint": "integer",
    "int": "integer",
    "bigint": "long",
    "float": "float",
    "double": "double",
    "string": "string",
    "binary": "binary",
    "date": "datetime",
    "timestamp": "datetime",
    "timestamp_ntz": "datetime",
}
"""MLflow's types by Spark's; varchar and char are text, and others, such as decimal, have none."""


class DrawnRows:
    """What `mlflow.pyfunc` calls to draw rows.

    Attributes:
      model: The release's model.
    """

    def __init__(self, model: ReleaseModel) -> None:
        self.model = model

    def predict(self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Draws rows; this costs no privacy, however often.

        Args:
          model_input: One row, whose `n_rows` says how many; none, or null, as many as the source holds.
          params: `seed`, which is public; 0 if it is not given.

        Raises:
          ConfigError: if there are several rows, or n_rows is not positive.
        """
        if len(model_input) > 1:
            raise ConfigError(f"n_rows: pass one row, which says how many rows to draw, got {len(model_input)}")
        asked = model_input[_ROWS].dropna().tolist() if _ROWS in model_input else []
        return self.model.sample_local(int(asked[0]) if asked else None, seed=int((params or {}).get(_SEED, 0)))


def _load_pyfunc(path: str) -> DrawnRows:
    """Loads the model of a folder; MLflow looks for a function of this name."""
    return DrawnRows(ReleaseModel.load(path))


def save_for_mlflow(model: ReleaseModel, folder: Path) -> None:
    """Saves a model as `ReleaseModel.save` does, with the files by which MLflow and its registries know it.

    Args:
      model: RELEASED.
      folder: Holds nothing yet.
    """
    model.save(folder)
    needs = f"threea-spark[mlflow]=={threea_spark.__version__}\n"
    python = {"python": platform.python_version(), "build_dependencies": ["pip"], "dependencies": [f"-r {_NEEDS}"]}
    (folder / _NEEDS).write_text(needs, encoding="utf-8")
    (folder / _PYTHON).write_text(written_yaml(python), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mlflow.pyfunc warns of type hints of its own when it is imported
        from mlflow.models import Model
        from mlflow.pyfunc import add_to_model

        described = Model(signature=_signature(model))
        add_to_model(described, loader_module=_LOADER, python_env=_PYTHON)  # type: ignore[no-untyped-call]
        described.save(str(folder / "MLmodel"))


def _signature(model: ReleaseModel) -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType

    def spec(name: str, simple: str) -> ColSpec:
        kind = _TYPES.get("string" if simple.startswith(("varchar", "char")) else simple)
        any_type = AnyType()  # type: ignore[no-untyped-call]
        return ColSpec(any_type if kind is None else DataType[kind], name, required=False)

    return ModelSignature(
        inputs=Schema([ColSpec(DataType.long, _ROWS, required=False)]),
        outputs=Schema([spec(name, simple) for name, simple in model.types.items()]),
        params=ParamSchema([ParamSpec(_SEED, DataType.long, 0)]),
    )
