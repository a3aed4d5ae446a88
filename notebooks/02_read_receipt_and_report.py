# Databricks notebook source
# MAGIC %md
# MAGIC # Read a receipt and a report
# MAGIC For the release written by `01_release_a_table`. Nothing here reads a private row.

# COMMAND ----------

import pandas as pd

from threea_spark import ReleaseConfig, report_html
from threea_spark.report.pages import receipt_of
from threea_spark.session import build_session

spark = build_session("threea-notebook")
config = ReleaseConfig.from_yaml("stays.yaml")

# COMMAND ----------

# MAGIC %md
# MAGIC ## The receipt
# MAGIC If its file is lost, it is still in the target's Delta history.

# COMMAND ----------

receipt = receipt_of(spark, config)
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
