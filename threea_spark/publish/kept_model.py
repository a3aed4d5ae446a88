"""Keeps the model of a release: where it is saved by default, what becomes of it if that fails, and finds it again."""

from __future__ import annotations

import json
import logging
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

from threea_spark.config.release import ReleaseConfig
from threea_spark.errors import ModelError

if TYPE_CHECKING:
    from threea_spark.model.released import ReleaseModel
    from threea_spark.publish.receipt import Receipt

log = logging.getLogger("threea_spark")


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


def kept_model(config: ReleaseConfig, receipt: Receipt) -> ReleaseModel | None:
    """Loads a release's model from its default place; None if there is none, or another release's."""
    from threea_spark.model.released import ReleaseModel

    folder = model_path(config, receipt.release_id)
    if not folder.is_dir():
        return None
    try:
        return require_model_of(ReleaseModel.load(folder), receipt)
    except ModelError:
        log.debug("%s holds no model of release %s", folder, receipt.release_id, exc_info=True)
        return None


def require_model_of(model: ReleaseModel, receipt: Receipt) -> ReleaseModel:
    """Returns a model that is a receipt's: of the same columns, guarantee and noisy shares.

    Raises:
      ModelError: if it is another release's.
    """
    own = [sorted(model.types), asdict(model.privacy), dict(model.domain_fit)]
    theirs = [sorted(receipt.columns), asdict(receipt.privacy), receipt.domain_fit]
    if json.dumps(own, sort_keys=True) != json.dumps(theirs, sort_keys=True):  # text, since a file knows no tuples
        raise ModelError(f"the model is not that of release {receipt.release_id}; pass the model of this release")
    return model
