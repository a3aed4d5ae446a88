"""An estimator of Spark ML: `fit` a DataFrame, get a model to sample from. A thin door to `pipeline.fit`.

The model is no Transformer: a released model maps no row to another. As many released rows as a DataFrame has would
tell its number of rows, and a row made for each row would be about that row. So the estimator is the last stage of a
`Pipeline`, and its model is asked for rows by `sample`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pyspark import keyword_only
from pyspark.ml import Estimator
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.util import (
    DefaultParamsReadable,
    DefaultParamsReader,
    DefaultParamsWritable,
    DefaultParamsWriter,
    MLReadable,
    MLReader,
    MLWritable,
    MLWriter,
)

from threea_spark.config.domain import Domain
from threea_spark.config.release import ReleaseConfig
from threea_spark.config.yaml_files import content_of
from threea_spark.engine.stored_files import read_folder, write_folder
from threea_spark.errors import ConfigError
from threea_spark.model.released import ReleaseModel
from threea_spark.pipeline import fit
from threea_spark.privacy.statement import PrivacyStatement

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_FRAME, _RELEASED = {"path": "a Spark DataFrame"}, {"path": "rows sampled from a model"}
_SECTIONS = ("encode", "approximate", "adapt", "anonymize")
_FILES = "files"


def _plain(value: object) -> Any:  # noqa: ANN401 - plain values, as JSON holds them
    """A domain, a mapping, the path of a YAML file, or plain values."""
    if isinstance(value, Domain):
        return value.model_dump(mode="json")
    return json.loads(json.dumps(value, default=str)) if isinstance(value, Mapping) else value


class _Claim(Params):
    """The parameters, shared by estimator and model."""

    epsilon: Param[float] = Param(
        Params._dummy(), "epsilon", "the claimed epsilon; spent at each fit", TypeConverters.toFloat
    )
    delta: Param[float] = Param(
        Params._dummy(), "delta", "the claimed delta; well below 1 / number of people", TypeConverters.toFloat
    )
    unit: Param[Any] = Param(
        Params._dummy(), "unit", "who is protected: 'row', or {'column': ..., 'max_rows': ...} of one person", _plain
    )
    domain: Param[Any] = Param(
        Params._dummy(), "domain", "public knowledge of the columns: a Domain, its plain values, or its YAML", _plain
    )
    label: Param[str] = Param(
        Params._dummy(), "label", "the domain's label, if another than it names", TypeConverters.toString
    )
    source: Param[Any] = Param(
        Params._dummy(), "source", "the table under which a ledger is charged, and beside which rows are staged", _plain
    )
    ledger: Param[Any] = Param(
        Params._dummy(), "ledger", "the ledger to charge: {'table': ...}; none without it", _plain
    )
    sections: Param[Any] = Param(
        Params._dummy(), "sections", "other sections by name, such as {'adapt': {'method': 'none'}}", _plain
    )


class SparkSynthesizer(_Claim, Estimator["SparkSynthesizerModel"], DefaultParamsReadable[Any], DefaultParamsWritable):  # type: ignore[type-var]  # its model is no Transformer; see above
    """Learns a DataFrame under differential privacy.

    Each `fit` spends epsilon and delta again on the people in it, also those of a grid of parameters.
    """

    @keyword_only
    def __init__(
        self,
        *,
        epsilon: float | None = None,
        delta: float | None = None,
        unit: str | Mapping[str, Any] | None = None,
        domain: Domain | Mapping[str, Any] | str | None = None,
        label: str | None = None,
        source: Mapping[str, Any] | None = None,
        ledger: Mapping[str, Any] | None = None,
        sections: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self._setDefault(source=_FRAME, sections={})
        self._set(**self._input_kwargs)  # type: ignore[attr-defined]  # set by keyword_only

    def config(self) -> ReleaseConfig:
        """The parameters as a release's configuration.

        Raises:
          ConfigError: naming a parameter that is missing or breaks a rule.
        """
        if missing := [name for name in ("epsilon", "delta", "unit", "domain") if not self.isDefined(name)]:
            raise ConfigError(f"{missing[0]}: has no default; set it, as in SparkSynthesizer({missing[0]}=...)")
        sections, domain = dict(self.getOrDefault(self.sections)), self.getOrDefault(self.domain)
        if other := sorted(set(sections) - set(_SECTIONS)):
            raise ConfigError(f"sections: {other[0]!r} is set by the other parameters, or unknown; drop it")
        public, _ = content_of(domain, name="domain", kind="a Domain")
        if self.isDefined(self.label):
            public["label"] = self.getOrDefault(self.label)
        privacy = {name: self.getOrDefault(name) for name in ("epsilon", "delta", "unit")}
        if self.isDefined(self.ledger):
            privacy["ledger"] = self.getOrDefault(self.ledger)
        content = {"source": self.getOrDefault(self.source), "target": _RELEASED, "privacy": privacy, "domain": public}
        return ReleaseConfig.from_dict({**content, **sections}, where="SparkSynthesizer")

    def _fit(self, dataset: DataFrame) -> SparkSynthesizerModel:
        """Calls `pipeline.fit`, with its errors."""
        return self._copyValues(SparkSynthesizerModel(fit(dataset, self.config())))


class SparkSynthesizerModel(_Claim, MLReadable["SparkSynthesizerModel"], MLWritable):
    """What `SparkSynthesizer.fit` returns: parameters, and the released model.

    Attributes:
      released: The model itself, which also draws without Spark and makes pairs for scikit-learn.
    """

    def __init__(self, released: ReleaseModel) -> None:
        super().__init__()
        self.released = released

    @property
    def privacy(self) -> PrivacyStatement:
        """The guarantee that covers the model and all rows drawn from it."""
        return self.released.privacy

    def sample(
        self,
        spark: SparkSession,
        n_rows: int | None = None,
        *,
        seed: int = 0,
        where: Mapping[str, object] | None = None,
        class_shares: Mapping[Any, float] | None = None,
    ) -> DataFrame:
        """Draws rows; see `ReleaseModel.sample`. Post-processing: it costs nothing, however often."""
        return self.released.sample(spark, n_rows, seed=seed, where=where, class_shares=class_shares)

    def write(self) -> MLWriter:
        """Writes to any path that Spark writes to."""
        return _Writer(self)

    @classmethod
    def read(cls) -> MLReader[SparkSynthesizerModel]:
        """Reads what `write` wrote."""
        return _Reader()


class _Writer(MLWriter):
    def __init__(self, model: SparkSynthesizerModel) -> None:
        super().__init__()
        self._model = model

    def saveImpl(self, path: str) -> None:
        """Writes Spark ML's metadata, and the model's files as rows (name, content)."""
        spark = self.sparkSession
        DefaultParamsWriter.saveMetadata(self._model, path, spark)
        with tempfile.TemporaryDirectory() as folder:
            self._model.released.save(folder)
            write_folder(spark, folder, f"{path}/{_FILES}")


class _Reader(MLReader[SparkSynthesizerModel]):
    def load(self, path: str) -> SparkSynthesizerModel:
        """Reads metadata and files.

        Raises:
          ModelError: if a file is missing or damaged, or has a name that is none.
        """
        spark = self.sparkSession
        metadata = DefaultParamsReader.loadMetadata(path, spark)
        with tempfile.TemporaryDirectory() as folder:
            read_folder(spark, f"{path}/{_FILES}", folder)
            model = SparkSynthesizerModel(ReleaseModel.load(folder))
        model._resetUid(metadata["uid"])
        DefaultParamsReader.getAndSetParams(model, metadata)
        return model
