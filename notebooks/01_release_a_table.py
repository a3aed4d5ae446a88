# Databricks notebook source
# MAGIC %md
# MAGIC # Release a table
# MAGIC ![Six private rows of hospital stays beside six released ones](../docs/tutorial/rows.png)
# MAGIC
# MAGIC Private rows above, released rows below: the same columns without the patient, drawn from a model.
# MAGIC
# MAGIC Turns the table of a made-up hospital into a training table that may be shared. The cluster needs the wheel
# MAGIC (`%pip install 'threea-spark[evaluate]'`).

# COMMAND ----------

from pyspark.sql import functions as F

from threea_spark import ReleaseConfig, release
from threea_spark.forecast.outlook import outlook
from threea_spark.session import build_session

spark = build_session("threea-notebook")
spark.sql("CREATE SCHEMA IF NOT EXISTS threea_demo")

# COMMAND ----------

# MAGIC %md
# MAGIC ## Private tables
# MAGIC 40,000 stays of 20,000 patients, and 10,000 that are held out for evaluation. If you have tables of your own, skip
# MAGIC this cell and name them in `stays.yaml`.

# COMMAND ----------

for name, n_rows in (("stays", 40_000), ("stays_held_out", 10_000)):
    columns = spark.range(n_rows).select(
        F.concat(F.lit(name), F.expr("id div 2")).alias("patient_id"),
        F.least(F.lit(100), F.greatest(F.lit(18), F.lit(60) + 17 * F.randn(1 + n_rows))).cast("int").alias("age"),
        (70 + 12 * F.randn(2 + n_rows)).alias("heartrate"),
        F.exp(6 + F.randn(3 + n_rows)).alias("cost"),
        F.element_at(
            F.array(*map(F.lit, ("CCU", "MICU", "SICU"))), F.expr(f"1 + cast(3 * rand({n_rows}) as int)")
        ).alias("ward"),
        F.randn(5 + n_rows).alias("luck"),
    )
    risk = (
        (F.col("age") - 60) / 15
        + (F.col("heartrate") - 70) / 20
        + (F.col("ward") == "SICU").cast("int")
        + F.col("luck")
    )
    stays = columns.withColumn("died", F.when(risk > 1.2, "yes").otherwise("no")).drop("luck")
    stays.write.format("delta").mode("overwrite").saveAsTable(f"threea_demo.{name}")

# COMMAND ----------

# MAGIC %md
# MAGIC ## What the budget buys
# MAGIC `stays.yaml` declares what is public, who is protected (a patient, with at most two stays) and what may be spent.
# MAGIC Planning reads no row.

# COMMAND ----------

config = ReleaseConfig.from_yaml("stays.yaml")
print(outlook(config, n_rows=40_000).in_words())

# COMMAND ----------

# MAGIC %md
# MAGIC ## Release
# MAGIC Reads one version and writes Delta once. The same release is refused a second time, because its rows exist already.
# MAGIC If you drop them and run it again, you spend again.

# COMMAND ----------

spark.sql("DROP TABLE IF EXISTS threea_demo.stays_released")
receipt = release(spark, config)
print(receipt.in_words())

# COMMAND ----------

display(spark.table("threea_demo.stays_released").limit(10))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Decide
# MAGIC Keep the table if the receipt promises what was agreed, and the advice names no column that you need. Otherwise change
# MAGIC the domain or the settings first: every further release spends again.

# COMMAND ----------

kept_promise = receipt.privacy.epsilon_spent <= config.privacy.epsilon and receipt.privacy.delta == config.privacy.delta
lost = [line for line in receipt.diagnostics for name in receipt.columns if repr(name) in line]
print("Decision:", "keep the table" if kept_promise and not lost else f"look closer: {lost or 'the promise differs'}")
