# Databricks notebook source
# MAGIC %md
# MAGIC # What the budget buys
# MAGIC Planning reads no row and spends nothing: try as much as you like before you release. This notebook needs no other.

# COMMAND ----------

import matplotlib.pyplot as plt
import pandas as pd

from threea_spark import ReleaseConfig
from threea_spark.forecast.outlook import outlook

config = ReleaseConfig.from_yaml("stays.yaml")
plain = config.model_dump(mode="json", exclude_unset=True)
N_ROWS = 40_000  # public; a guess will do

# COMMAND ----------

# MAGIC %md
# MAGIC ## Rows and epsilon
# MAGIC What models that are trained on released rows reach, where real rows give an AUC of .80. The bands hold four of five
# MAGIC releases of the tables that were measured.

# COMMAND ----------

figure, axes = plt.subplots(figsize=(7, 4))
sizes = [1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000]
for epsilon, colour in ((0.5, "tab:orange"), (2.0, "tab:blue")):
    asked = ReleaseConfig.from_dict({**plain, "privacy": {**plain["privacy"], "epsilon": epsilon}})
    models = [outlook(asked, n_rows=size).models for size in sizes]
    low, high = [found.released_low for found in models], [found.released_high for found in models]
    axes.fill_between(sizes, low, high, alpha=0.3, color=colour, label=f"epsilon {epsilon:g}")
    axes.plot(sizes, [found.released_middle for found in models], color=colour)
axes.axhline(0.8, color="black", linewidth=1, linestyle="--", label="real rows")
axes.set(xscale="log", xlabel="rows that are read", ylabel="AUC", title="What models reach on released rows")
axes.legend(loc="lower right")
display(figure)

# COMMAND ----------

# MAGIC %md
# MAGIC ## This release

# COMMAND ----------

plan = outlook(config, n_rows=N_ROWS)
print(plan.in_words())

# COMMAND ----------

# MAGIC %md
# MAGIC ## Epsilon
# MAGIC A count is right within so many rows, 19 times of 20: about half as many at twice the epsilon.

# COMMAND ----------

readable = {
    "epsilon": "epsilon",
    "max_rows": "rows per patient",
    "within_rows": "a count is right within (rows)",
    "lost_columns": "columns likely lost",
    "released_middle": "AUC for .80, about",
    "released_low": "from",
    "released_high": "to",
}
by_epsilon = pd.DataFrame(plan.as_dict()["budgets"]).query("name.str.startswith('epsilon')")
display(by_epsilon[list(readable)].rename(columns=readable).round(3))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Rows per person
# MAGIC The bound multiplies the noise: two rows per patient need twice the noise of one. Choose the smallest bound that keeps
# MAGIC most rows.

# COMMAND ----------

found = []
for max_rows in (1, 2, 4, 8):
    unit = {"column": "patient_id", "max_rows": max_rows}
    asked = ReleaseConfig.from_dict({**plain, "privacy": {**plain["privacy"], "unit": unit}})
    found += [budget for budget in outlook(asked, n_rows=N_ROWS).as_dict()["budgets"] if budget["is_planned"]]
by_bound = pd.DataFrame(found)
display(by_bound[list(readable)].rename(columns=readable).round(3))

# COMMAND ----------

# MAGIC %md
# MAGIC ## The decision

# COMMAND ----------

print(plan.verdict.in_words())
