# Databricks notebook source
# MAGIC %md
# MAGIC # What the budget buys
# MAGIC Planning reads no row and spends nothing: try as much as you like before you release. This notebook needs no other.

# COMMAND ----------

import pandas as pd

from threea_spark import ReleaseConfig
from threea_spark.forecast.outlook import outlook

config = ReleaseConfig.from_yaml("stays.yaml")
N_ROWS = 40_000  # public; a guess will do

# COMMAND ----------

print(outlook(config, n_rows=N_ROWS).in_words())

# COMMAND ----------

# MAGIC %md
# MAGIC ## Epsilon
# MAGIC The noise of each stage is roughly inversely proportional to epsilon.

# COMMAND ----------

plain = config.model_dump(mode="json", exclude_unset=True)
plans = {
    epsilon: outlook(
        ReleaseConfig.from_dict({**plain, "privacy": {**plain["privacy"], "epsilon": epsilon}}), n_rows=N_ROWS
    ).as_dict()
    for epsilon in (0.5, 1.0, 2.0, 4.0)
}
display(pd.json_normalize(list(plans.values())).assign(epsilon=list(plans)))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Rows per person
# MAGIC The bound multiplies the noise: two rows per patient need twice the noise of one. Choose the smallest bound that keeps
# MAGIC most rows.

# COMMAND ----------

bounds = {
    max_rows: outlook(
        ReleaseConfig.from_dict(
            {**plain, "privacy": {**plain["privacy"], "unit": {"column": "patient_id", "max_rows": max_rows}}}
        ),
        n_rows=N_ROWS,
    ).as_dict()
    for max_rows in (1, 2, 4, 8)
}
display(pd.json_normalize(list(bounds.values())).assign(max_rows=list(bounds)))
