"""A frame, an Arrow table or a file is fitted in this process: no Spark, the same guarantee, the same refusals."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml

from threea_spark import ReleaseConfig, ReleaseModel, Synthesizer, fit
from threea_spark.cli.main import main
from threea_spark.errors import ConfigError, ReleaseFailedError, SchemaError
from threea_spark.source.files import write_file

DOMAIN = {
    "task": "classification",
    "label": "sick",
    "columns": {
        "age": {"type": "integer", "lower": 0, "upper": 100, "nullable": True},
        "dose": {"type": "float", "lower": 0, "upper": 10},
        "ward": {"type": "categorical", "values": ["north", "south"]},
        "city": {"type": "categorical", "values": "open"},
        "seen": {"type": "timestamp", "lower": "2020-01-01", "upper": "2021-01-01", "parts": ["hour", "weekday"]},
        "sick": {"type": "categorical", "values": ["0", "1"]},
    },
}
UNIT = {"column": "who", "max_rows": 2}


def frame(n_rows=3_000, seed=0):
    rng = np.random.default_rng(seed)
    age = rng.integers(20, 80, n_rows)
    return pd.DataFrame(
        {
            "age": pd.array(np.where(rng.random(n_rows) < 0.05, None, age), "Int64"),
            "dose": rng.random(n_rows) * 10,
            "ward": rng.choice(["north", "south"], n_rows),
            "city": rng.choice(["Ayr", "Bath", "Cork"], n_rows),
            "seen": pd.Timestamp("2020-03-01") + pd.to_timedelta(rng.integers(0, 2e7, n_rows), unit="s"),
            "sick": np.where(age + rng.normal(0, 8, n_rows) > 50, "1", "0"),
            "who": [f"p{number}" for number in rng.integers(0, n_rows // 2, n_rows)],
        }
    )


def config(unit="row", epsilon=8.0, **sections):
    return ReleaseConfig.from_dict(
        {
            "source": {"path": "nowhere"},
            "target": {"path": "nowhere either"},
            "privacy": {"epsilon": epsilon, "delta": 1e-6, "unit": unit, **sections.pop("privacy", {})},
            "domain": DOMAIN,
            **sections,
        }
    )


def share_of_sick(rows, old):
    return float((rows.loc[(rows.age > 65) if old else (rows.age < 35), "sick"] == "1").mean())


@pytest.mark.parametrize("held", ["frame", "arrow"])
def test_rows_are_drawn_like_those_that_were_fitted(held):
    rows = frame()
    model = fit(rows if held == "frame" else pa.Table.from_pandas(rows, preserve_index=False), config())
    drawn = model.sample_local(4_000)
    assert list(drawn.columns) == list(DOMAIN["columns"])
    assert set(drawn.city) <= {"Ayr", "Bath", "Cork", "other"}
    assert share_of_sick(drawn, old=True) > 0.8 > 0.2 > share_of_sick(drawn, old=False)
    assert abs(model.n_rows - len(rows)) < 100
    assert model.privacy.epsilon == 8.0


def test_each_unit_has_at_most_the_rows_that_the_claim_allows():
    rows = frame().assign(who="everyone")
    model = fit(rows, config(unit=UNIT, privacy={"allow_large_delta": True}, adapt={"method": "none"}))
    assert model.n_rows < 100  # two rows, and noise


def test_spark_is_neither_started_nor_imported():
    code = (
        "import sys; sys.modules['pyspark'] = None\n"
        "sys.path.insert(0, 'tests/unit')\n"
        "from test_fit_in_memory import DOMAIN, UNIT, frame\n"
        "from threea_spark import Synthesizer\n"
        "s = Synthesizer(epsilon=8.0, delta=1e-6, domain=DOMAIN, unit=UNIT).fit(frame(500))\n"
        "assert len(s.sample(10)) == 10\n"
        "assert 'py4j' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_ledger_needs_spark_and_says_so():
    booked = config(privacy={"ledger": {"path": "ledger"}})
    with pytest.raises(ConfigError, match=r"privacy.ledger: .* needs Spark"):
        fit(frame(10), booked)


def test_units_that_must_be_declared_not_null_are_refused():
    with pytest.raises(SchemaError, match=r"privacy.unit.missing: refuse .*'who'"):
        fit(frame(10), config(unit={**UNIT, "missing": "refuse"}))


def test_a_column_that_is_missing_is_named_before_a_cell_is_read():
    with pytest.raises(SchemaError, match="'dose'"):
        fit(frame(10).drop(columns="dose"), config())


def test_what_stops_a_fit_shows_no_value(monkeypatch):
    def broken(*_, **__):
        raise ValueError("a value of a row")

    monkeypatch.setattr("threea_spark.stages.measure_encoding", broken)
    with pytest.raises(ReleaseFailedError, match="the fit stopped in ValueError") as caught:
        fit(frame(10), config())
    assert "a value of a row" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_synthesizer_fits_a_frame_as_fit_does():
    made = Synthesizer(epsilon=8.0, delta=1e-6, domain=DOMAIN, unit=UNIT).fit(frame())
    assert made.model_.types == {
        "age": "bigint", "dose": "double", "ward": "string", "city": "string", "seen": "timestamp", "sick": "string",
    }  # fmt: skip
    assert made.sample(5, where={"ward": "north"}).ward.tolist() == ["north"] * 5


@pytest.fixture
def files(tmp_path):
    chosen = {
        "source": {"path": "nowhere"},
        "target": {"path": "nowhere either"},
        "privacy": {"epsilon": 8.0, "delta": 1e-6, "unit": UNIT},
        "domain": DOMAIN,
        "adapt": {"method": "none"},
    }
    (tmp_path / "release.yaml").write_text(yaml.safe_dump(chosen))
    rows = frame(1_000)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    rows.to_parquet(tmp_path / "rows.parquet", index=False)
    return tmp_path


def threea(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["threea", *map(str, arguments)])
    with pytest.raises(SystemExit) as done:
        main()
    return done.value.code


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_is_fitted_and_sampled_on_the_command_line(monkeypatch, capsys, files, kind):
    fitting = ("fit", "-c", files / "release.yaml", "--rows", files / f"rows.{kind}", "--model", files / "model")
    assert threea(monkeypatch, *fitting) == 0
    assert "differential privacy" in capsys.readouterr().out
    for name in ("made/drawn.csv", "drawn.parquet"):
        sampling = ("sample", "--model", files / "model", "--out", files / name, "--rows", 50)
        assert threea(monkeypatch, *sampling) == 0
    drawn = pd.read_parquet(files / "drawn.parquet")
    assert len(drawn) == len(pd.read_csv(files / "made" / "drawn.csv")) == 50
    kept = int(frame(1_000).groupby("who").size().clip(upper=2).sum())
    assert abs(ReleaseModel.load(files / "model").n_rows - kept) < 100
    assert threea(monkeypatch, *sampling) == 5  # never written over


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("fit", "-c", "release.yaml", "--rows", "rows.xls", "--model", "model"), 2, "--rows: rows.xls must end in"),
        (("fit", "-c", "release.yaml", "--rows", "none.csv", "--model", "model"), 3, "does not exist"),
        (("fit", "-c", "release.yaml", "--rows", "broken.parquet", "--model", "model"), 3, "cannot be read as parquet"),
        (("fit", "-c", "release.yaml", "--rows", "rows.csv", "--model", "."), 10, "empty"),
        (
            ("fit", "-c", "release.yaml", "--rows", "rows.csv", "--model", "rows.csv/model"),
            2,
            "--model: rows.csv/model",
        ),
        (("sample", "--model", "model", "--out", "rows.csv/a.csv"), 2, "--out: rows.csv/a.csv cannot be written"),
        (("sample", "--model", "model", "--out", "a.xls"), 2, "--out: a.xls must end in"),
        (("sample", "--model", "model"), 2, "--target, --out"),
        (("sample", "--model", "model", "--out", "a.csv", "--target", "b"), 2, "--target, --out"),
    ],
)
def test_what_cannot_be_done_is_one_line(monkeypatch, capsys, files, arguments, code, words):
    (files / "broken.parquet").write_text("Ada Lovelace, 36")
    monkeypatch.chdir(files)
    assert threea(monkeypatch, *arguments) == code
    said = " ".join(capsys.readouterr().err.split())
    assert words in said
    assert "Lovelace" not in said


def test_a_model_that_cannot_be_saved_after_the_fit_is_rescued(monkeypatch, capsys, files):
    def full(model, folder):
        if "threea-model-" not in str(folder):
            raise OSError("disk full")

    monkeypatch.setattr(ReleaseModel, "save", full)
    fitting = ("fit", "-c", files / "release.yaml", "--rows", files / "rows.parquet", "--model", files / "model")
    assert threea(monkeypatch, *fitting) == 0
    assert "its model is in" in " ".join(capsys.readouterr().err.split())


def test_a_failed_write_leaves_no_file(monkeypatch, tmp_path):
    def full(rows, file):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("threea_spark.source.files.csv.write_csv", full)
    with pytest.raises(ConfigError, match="could not be written"):
        write_file(pa.table({"a": [1]}), tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []
