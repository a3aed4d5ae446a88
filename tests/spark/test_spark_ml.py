"""Spark ML's estimator: parameters that explain themselves, a model that samples, and is saved where Spark writes."""

from dataclasses import replace

import pytest
from doc_blocks import ROOT, blocks_of, run_python
from pyspark.ml import PipelineModel
from pyspark.sql import functions as F

from threea_spark.errors import ConfigError
from threea_spark.estimators.spark_ml import SparkSynthesizer, SparkSynthesizerModel

DOMAIN = {
    "label": "died",
    "columns": {
        "age": {"type": "integer", "lower": 0, "upper": 100},
        "ward": {"type": "categorical", "values": ["ICU", "ER"]},
        "died": {"type": "categorical", "values": [0, 1]},
    },
}
CLAIM = {"epsilon": 8.0, "delta": 1e-6, "unit": "row", "domain": DOMAIN, "sections": {"adapt": {"method": "none"}}}

pytestmark = pytest.mark.connect


@pytest.fixture(scope="module")
def people(spark):
    age = (F.hash("id") % 40 + 50).cast("int")
    wards = F.when(F.col("id") % 3 == 0, "icu").otherwise("er")
    return spark.range(2_000).select(age.alias("age"), wards.alias("ward"), (age > 50).cast("int").alias("died"))


@pytest.fixture(scope="module")
def documented(spark, people, tmp_path_factory):
    """What the example of docs/scikit-learn.md leaves: a line of stages, of which the last is ours, and where it is."""
    (example,) = [b for b in blocks_of(ROOT / "docs" / "scikit-learn.md") if "SparkSynthesizer" in b.text]
    quick = example.text.replace("epsilon=1.0,", "epsilon=8.0, sections={'adapt': {'method': 'none'}},")
    assert quick != example.text
    names = {"spark": spark, "domain": DOMAIN, "stays": people, "path": str(tmp_path_factory.mktemp("ml") / "line")}
    run_python(replace(example, text=quick), names)
    return names


@pytest.fixture(scope="module")
def model(documented):
    return documented["line"]


def test_the_model_draws_rows_like_those_it_was_fitted_on(spark, model):
    own = model.stages[-1]
    rows = own.sample(spark, 1_500, where={"ward": "ICU"})
    assert rows.schema.simpleString() == "struct<age:int,ward:string,died:int>"
    drawn = rows.toPandas()
    assert set(drawn["ward"]) == {"ICU"}
    assert drawn.loc[drawn["age"] > 60, "died"].mean() > 0.8 > 0.2 > drawn.loc[drawn["age"] < 40, "died"].mean()
    assert own.privacy.epsilon == 8.0
    assert own.getOrDefault("epsilon") == 8.0
    assert not hasattr(own, "transform")  # no row is made of another


def test_what_is_saved_draws_the_same_rows(spark, model, documented):
    loaded = PipelineModel.load(documented["path"]).stages[-1]
    assert isinstance(loaded, SparkSynthesizerModel)
    assert loaded.uid == model.stages[-1].uid
    assert loaded.extractParamMap() == model.stages[-1].extractParamMap()
    assert loaded.sample(spark, 50, seed=3).collect() == model.stages[-1].sample(spark, 50, seed=3).collect()


def test_parameters_are_spark_ml_s(spark, tmp_path):
    own = SparkSynthesizer(**CLAIM)
    assert "epsilon: the claimed epsilon; spent at each fit (current: 8.0)" in own.explainParams()
    assert own.copy({own.epsilon: 2.0}).config().privacy.epsilon == 2.0
    own.save(str(tmp_path / "estimator"))
    assert SparkSynthesizer.load(str(tmp_path / "estimator")).config().digest == own.config().digest


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epsilon": None}, "epsilon: has no default"),
        ({"epsilon": -1.0}, "epsilon"),
        ({"sections": {"privacy": {}}}, "sections: 'privacy' is set by the other parameters"),
        ({"label": "ages"}, "label"),
    ],
)
def test_a_parameter_that_is_wrong_is_named_before_a_row_is_read(people, changes, words):
    given = {name: value for name, value in (CLAIM | changes).items() if value is not None}
    with pytest.raises(ConfigError, match=words):
        SparkSynthesizer(**given).fit(people)
