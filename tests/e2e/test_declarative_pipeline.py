"""The pipeline of docs/pipelines.md, run by `spark-pipelines` as users run it: a model's rows as a view."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from test_fit_in_memory import DOMAIN, frame

from threea_spark import Synthesizer

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "pipelines.md").read_text()
COMMAND = Path(sys.executable).with_name("spark-pipelines")


def block(language):
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


@pytest.mark.slow
@pytest.mark.skipif(not COMMAND.exists(), reason="spark-pipelines came with Spark 4.1")
def test_the_pipeline_of_the_page_draws_the_model_s_rows(tmp_path):
    claim = {"epsilon": 8.0, "delta": 1e-6, "unit": "row", "sections": {"adapt": {"method": "none"}}}
    made = Synthesizer(domain=DOMAIN, **claim).fit(frame(2_000))
    made.model_.save(tmp_path / "model")
    (tmp_path / "transformations").mkdir()
    code = block("python").replace("/models/stays", str(tmp_path / "model"))
    (tmp_path / "transformations" / "released.py").write_text(code)
    spec = block("yaml").replace("file:///pipelines", f"file://{tmp_path}/pipelines")
    (tmp_path / "spark-pipeline.yml").write_text(spec)
    own = {"PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    path = {"PATH": f"{COMMAND.parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [COMMAND, "run", "--spec", "spark-pipeline.yml"],
        cwd=tmp_path, env={**os.environ, **own, **path}, capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    drawn = made.model_.sample_local(10_000)
    counted = read(tmp_path, "sick_by_ward").set_index(["ward", "sick"])["count"]
    pd.testing.assert_series_equal(counted.sort_index(), drawn.groupby(["ward", "sick"]).size(), check_names=False)


def read(folder, view):
    (found,) = {file.parent for file in folder.rglob("*.parquet") if view in str(file)}
    return pd.read_parquet(found)
