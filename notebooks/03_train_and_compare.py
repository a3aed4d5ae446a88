# Databricks notebook source
# MAGIC %md
# MAGIC # Train on released rows, and compare
# MAGIC Run `01_release_a_table` first. All figures that read real rows are INTERNAL: the guarantee does not cover them.

# COMMAND ----------

import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.metrics import roc_auc_score

from threea_spark import ReleaseConfig, evaluate, internal_report_html
from threea_spark.session import build_session

spark = build_session("threea-notebook")
config = ReleaseConfig.from_yaml("stays.yaml")

# COMMAND ----------

# MAGIC %md
# MAGIC ## With your own code
# MAGIC The released table has the source's columns and types, so code for the real rows runs on it.

# COMMAND ----------

tables = {name: spark.table(f"threea_demo.{name}").toPandas() for name in ("stays_released", "stays", "stays_held_out")}
features = {
    name: table[["age", "heartrate", "cost"]].join(pd.get_dummies(table["ward"])) for name, table in tables.items()
}
tested_on, truth = features["stays_held_out"], tables["stays_held_out"]["died"] == "yes"
for name in ("stays_released", "stays"):
    model = LGBMClassifier(verbose=-1, n_jobs=2).fit(features[name], tables[name]["died"] == "yes")
    print(
        f"INTERNAL: AUC of a model trained on {name}: {roc_auc_score(truth, model.predict_proba(tested_on)[:, 1]):.3f}"
    )

# COMMAND ----------

# MAGIC %md
# MAGIC ## In one line
# MAGIC `evaluate` prepares the columns by the domain and trains on both tables.

# COMMAND ----------

print(evaluate(spark, config, held_out="threea_demo.stays_held_out").in_words())

# COMMAND ----------

# MAGIC %md
# MAGIC ## In pictures
# MAGIC Compares real with released rows: spreads, correlations, ROC curves. Marked INTERNAL on every page.

# COMMAND ----------

displayHTML(internal_report_html(spark, config, "threea_demo.stays_held_out"))
