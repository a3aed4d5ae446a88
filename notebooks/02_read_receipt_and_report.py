# Databricks notebook source
# MAGIC %md
# MAGIC # Read a receipt and a report
# MAGIC For the release written by `01_release_a_table`. Nothing here reads a private row. First in a picture: what each stage
# MAGIC spent, and the guarantee as a curve (each epsilon with its delta).

# COMMAND ----------

import matplotlib.pyplot as plt
import pandas as pd

from threea_spark import ReleaseConfig, report_html
from threea_spark.report.pages import receipt_of
from threea_spark.session import build_session

spark = build_session("threea-notebook")
config = ReleaseConfig.from_yaml("stays.yaml")
receipt = receipt_of(spark, config)

figure, (spent, guarantee) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
stages = [stage for stage in receipt.privacy.stages if stage.mu]
spent.barh([stage.stage for stage in stages], [stage.mu**2 for stage in stages], color="#0072B2")
spent.set(xlabel="budget spent (mu squared)")
guarantee.plot(*zip(*receipt.privacy.curve, strict=True), "o-", color="#0072B2")
guarantee.set(xlabel="epsilon", ylabel="delta", yscale="log")
display(figure)

# COMMAND ----------

# MAGIC %md
# MAGIC ## The receipt
# MAGIC If its file is lost, it is still in the target's Delta history.

# COMMAND ----------

print(receipt.in_words())

# COMMAND ----------

# MAGIC %md
# MAGIC What each stage spent.

# COMMAND ----------

display(pd.DataFrame([vars(stage) for stage in receipt.privacy.stages]))

# COMMAND ----------

# MAGIC %md
# MAGIC The same guarantee for other values of epsilon, each with its delta: the chance that it does not hold.

# COMMAND ----------

display(pd.DataFrame(receipt.privacy.curve, columns=["epsilon", "delta"]))

# COMMAND ----------

# MAGIC %md
# MAGIC ## The report
# MAGIC A single page without scripts or network access; it may be shared.

# COMMAND ----------

displayHTML(report_html(spark, config))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Decide
# MAGIC May it be published? Fill in what your privacy officer granted.

# COMMAND ----------

GRANTED_EPSILON, PEOPLE = 2.0, 20_000  # public, or agreed beforehand
reasons = []
if receipt.privacy.epsilon_spent > GRANTED_EPSILON:
    reasons.append("it spent more than was granted")
if receipt.privacy.delta * PEOPLE > 0.1:
    reasons.append("delta is too large for so many people")
if receipt.privacy.accounting != "end_to_end":
    reasons.append("its accounting does not cover every step")
print("Decision:", "do not publish: " + "; ".join(reasons) if reasons else "publish")
