# Databricks notebook source
# MAGIC %md
# MAGIC # Train on released rows, and compare
# MAGIC ![Columns of private and of released hospital stays](../docs/tutorial/columns.png)
# MAGIC
# MAGIC Columns that look alike are not enough: what counts is whether a model learns the same from them.
# MAGIC
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
auc = {}
for name in ("stays_released", "stays"):
    model = LGBMClassifier(verbose=-1, n_jobs=2).fit(features[name], tables[name]["died"] == "yes")
    auc[name] = roc_auc_score(truth, model.predict_proba(tested_on)[:, 1])
    print(f"INTERNAL: AUC of a model trained on {name}: {auc[name]:.3f}")

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

# COMMAND ----------

# MAGIC %md
# MAGIC ## Decide
# MAGIC Say beforehand what loss you accept. If it is too large, a larger epsilon, fewer columns or a smaller `max_rows` help;
# MAGIC trying them on these rows spends.

# COMMAND ----------

ACCEPTED_LOSS = 0.03  # of AUC
loss = auc["stays"] - auc["stays_released"]
print("Decision:", "train on released rows" if loss <= ACCEPTED_LOSS else f"not yet: the loss is {loss:.3f}")
