"""Spark ML's estimator: parameters that explain themselves, a model that samples, and is saved where Spark writes."""

import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import SQLTransformer
from pyspark.sql import functions as F

from threea_spark.errors import ConfigError
from threea_spark.estimators.spark_ml import SparkSynthesizer, SparkSynthesizerModel

DOMAIN = {
    "label": "sick",
    "columns": {
        "age": {"type": "integer", "lower": 0, "upper": 100},
        "ward": {"type": "categorical", "values": ["ICU", "ER"]},
        "sick": {"type": "categorical", "values": [0, 1]},
    },
}
CLAIM = {"epsilon": 8.0, "delta": 1e-6, "unit": "row", "domain": DOMAIN, "sections": {"adapt": {"method": "none"}}}

pytestmark = pytest.mark.connect


@pytest.fixture(scope="module")
def people(spark):
    age = (F.hash("id") % 40 + 50).cast("int")
    wards = F.when(F.col("id") % 3 == 0, "icu").otherwise("er")
    return spark.range(2_000).select(age.alias("age"), wards.alias("ward"), (age > 50).cast("int").alias("sick"))


@pytest.fixture(scope="module")
def model(people):
    """Fitted as the last stage of a pipeline, after one that brings the rows into the domain's form."""
    upper = SQLTransformer(statement="SELECT age, upper(ward) AS ward, sick FROM __THIS__")
    return Pipeline(stages=[upper, SparkSynthesizer(**CLAIM)]).fit(people)


def test_the_model_draws_rows_like_those_it_was_fitted_on(spark, model):
    own = model.stages[-1]
    rows = own.sample(spark, 1_500, where={"ward": "ICU"})
    assert rows.schema.simpleString() == "struct<age:int,ward:string,sick:int>"
    drawn = rows.toPandas()
    assert set(drawn["ward"]) == {"ICU"}
    assert drawn.loc[drawn["age"] > 60, "sick"].mean() > 0.8 > 0.2 > drawn.loc[drawn["age"] < 40, "sick"].mean()
    assert own.privacy.epsilon == 8.0
    assert own.getOrDefault("epsilon") == 8.0
    assert not hasattr(own, "transform")  # no row is made of another


def test_what_is_saved_draws_the_same_rows(spark, model, tmp_path):
    model.write().save(str(tmp_path / "line"))
    loaded = PipelineModel.load(str(tmp_path / "line")).stages[-1]
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
