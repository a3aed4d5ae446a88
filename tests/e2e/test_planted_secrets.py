"""Values planted in every kind of column: no command prints them, and nothing that it leaves behind holds them."""

import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from planting import COLUMNS, NUMBERS, SPELLINGS, TEXTS, files_with_planted, planted_in, planted_rows
from tables import config_of

from threea_spark.engine.staging import SCRATCH

THREEA = [sys.executable, "-c", "from threea_spark.cli.main import main; main()"]


class Site:
    """A source with planted rows, and a folder in which all that commands write is found."""

    def __init__(self, spark, folder):
        self.source, self.left = folder / "source", folder / "left"
        self.temporary = self.left / "tmp"
        self.temporary.mkdir(parents=True)
        spark.createDataFrame(planted_rows()).write.format("delta").save(str(self.source))

    def threea(self, *arguments):
        """Runs a command in its own process; gives its status and all that it printed."""
        own = {key: value for key, value in os.environ.items() if key != "THREEA_TEST_MASTER"}
        done = subprocess.run(
            [*THREEA, *map(str, arguments)],
            cwd=self.left,
            capture_output=True,
            check=False,
            env={**own, "TMPDIR": str(self.temporary), "COLUMNS": "300", "THREEA_MASTER": "local[2]"},
        )
        return done.returncode, done.stdout + done.stderr

    def config(self, name, *, columns=COLUMNS, **sections):
        """Writes a configuration whose places lie in the searched folder, the source apart."""
        ledger = {"path": str(self.left / "ledger"), "budget": {"epsilon": 50.0, "delta": 1e-3}}
        unit = {"column": "patient", "max_rows": 1}
        privacy = {"epsilon": 5.0, "ledger": ledger, "unit": unit, **sections.pop("privacy", {})}
        plain = config_of(self.source, self.left / name, columns=columns, privacy=privacy, **sections)
        path = self.left / f"{name}.yaml"
        path.write_text(yaml.safe_dump(plain))
        return path

    def searched(self):
        """All files but the source; the sessions' own folders, whose logs may hold values of rows, must be gone."""
        assert list(self.temporary.glob(f"{SCRATCH}*")) == []
        return files_with_planted(self.left)


@pytest.fixture(scope="module")
def site(spark, tmp_path_factory):
    return Site(spark, tmp_path_factory.mktemp("planted"))


def follow(site, steps):
    for status, arguments in steps:
        done, said = site.threea(*arguments)
        assert done == status, said[-2000:]
        assert planted_in(said) == [], arguments


@pytest.mark.slow
def test_a_release_and_rows_drawn_later_tell_none(site):
    config = site.config("out")
    follow(
        site,
        [
            (0, ["release", "-c", config, "--save-model", "model", "--json"]),
            (0, ["sample", "--model", "model", "--target", site.left / "more", "--rows", "2000"]),
        ],
    )
    assert {"out", "out.report.html", "model", "ledger", "more"} <= {path.name for path in site.left.iterdir()}
    assert site.searched() == {}


@pytest.mark.slow
def test_nor_do_all_other_commands(site):
    config = site.config("others")
    follow(
        site,
        [
            (0, ["domain", "draft", "--table", site.source]),
            (0, ["release", "-c", config]),
            (6, ["release", "-c", config]),
            (0, ["ledger", "show", "-c", config]),
            (0, ["evaluate", "-c", config, "--held-out", site.source]),
            (0, ["report", "-c", config]),
            (0, ["cleanup", "-c", config]),
        ],
    )
    assert site.searched() == {}


@pytest.mark.slow
def test_mixed_rows_tell_none(site):
    done, said = site.threea("release", "-c", site.config("mixed", anonymize={"generator": "mix"}))
    assert done == 0, said[-2000:]
    assert planted_in(said) == []
    assert site.searched() == {}


@pytest.mark.slow
@pytest.mark.parametrize("debug", [(), ("--debug",)])
def test_a_release_that_fails_tells_none(site, debug):
    wrong = {**COLUMNS, "level": {"type": "float", "lower": 0, "upper": 1}}
    schema = site.threea("release", "-c", site.config("never", columns=wrong), *debug)
    spent = site.threea("release", "-c", site.config("never", privacy={"epsilon": 60.0}), *debug)
    assert (schema[0], spent[0]) == (4, 7)
    assert planted_in(schema[1] + spent[1]) == []
    assert not (site.left / "never").exists()
    assert site.searched() == {}


@pytest.mark.slow
def test_a_source_that_breaks_on_the_way_tells_none(site):
    """One file's pages are overwritten, its footer stays: Spark fails on the executors while it reads rows."""
    file = next(iter(site.source.glob("*.parquet")))
    whole = file.read_bytes()
    try:
        file.write_bytes(bytes(len(whole) // 2) + whole[len(whole) // 2 :])
        done, said = site.threea("release", "-c", site.config("broken"))
    finally:
        file.write_bytes(whole)
    assert done == 9, said[-2000:]
    assert planted_in(said) == []
    assert site.searched() == {}


@pytest.mark.parametrize("name", SPELLINGS)
def test_the_search_finds_what_leaks(tmp_path, name):
    form = SPELLINGS[name][0]
    np.savez_compressed(tmp_path / "model.npz", hidden=np.frombuffer(form, np.uint8))
    pq.write_table(pa.table({"a": [form] * 9}), tmp_path / "rows.parquet", compression="zstd")
    (tmp_path / "note").write_bytes(b"{" + form + b"}")
    assert name in planted_in(form)
    found = files_with_planted(tmp_path)
    assert {"model.npz", "note"} <= set(found)
    assert all(name in held for held in found.values())


def test_the_search_reads_released_tables(tmp_path):
    pq.write_table(pa.table({"a": [TEXTS[0], "x"], "b": [NUMBERS[0], 1.0]}), tmp_path / "rows.parquet")
    (tmp_path / "receipt.json").write_text(json.dumps({"n": NUMBERS[2]}))
    found = files_with_planted(tmp_path)
    assert set(found["rows.parquet"]) >= {TEXTS[0], str(NUMBERS[0])}
    assert found["receipt.json"] == [str(NUMBERS[2])]
