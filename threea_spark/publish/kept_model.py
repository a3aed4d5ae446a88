"""Keeps the model of a release: where it is saved by default, and what becomes of it if that fails."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

from threea_spark.config.release import ReleaseConfig
from threea_spark.errors import ModelError

if TYPE_CHECKING:
    from threea_spark.model.released import ReleaseModel


def beside_target(config: ReleaseConfig, suffix: str, elsewhere: str) -> Path:
    """Returns a path beside a local target, else the name `elsewhere` in the working directory."""
    path = config.target.path
    if path is not None and not urlparse(path).scheme:
        return Path(path.rstrip("/") + suffix)
    return Path(elsewhere)


def model_path(config: ReleaseConfig, release_id: str) -> Path:
    """Returns the default folder of a release's model; each release that is appended has its own."""
    suffix = ".model" if config.target.mode == "create" else f".{release_id}.model"
    return beside_target(config, suffix, f"model-{release_id}")


def saved(model: ReleaseModel, folder: Path) -> str:
    """Saves a model, in another folder if need be: it cannot be fitted again without spending again.

    Returns:
      Where it is, in words.
    """
    try:
        model.save(folder)
    except (OSError, ModelError) as error:
        return f"the release is kept, but {folder} could not be written ({type(error).__name__}); {rescued(model)}"
    return f"model written to {folder}"


def rescued(model: ReleaseModel) -> str:
    """Saves a model in a new temporary folder, and says in words where it is."""
    try:
        spare = Path(tempfile.mkdtemp(prefix="threea-model-"))
        model.save(spare)
    except OSError:
        return "neither could a temporary folder, so its model is lost"
    return f"its model is in {spare}"
