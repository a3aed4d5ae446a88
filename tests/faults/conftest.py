"""Starts releases in processes of their own, and kills what a test says."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tables import clinic, config_of, write_delta

HERE = Path(__file__).parent
LEDGER_BUDGET = {"epsilon": 20.0, "delta": 1e-3}


class Releasing:
    """A release that runs elsewhere."""

    def __init__(self, config, scratch, script="releasing.py", **settings):
        file = Path(scratch) / "config.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(config))
        master = settings.pop("master", "local[2]")
        plain = {name.replace("__", "."): value for name, value in settings.items()}
        self.scratch = Path(scratch)
        command = [sys.executable, HERE / script, "--config", file, "--scratch", scratch, "--master", master]
        self.process = subprocess.Popen(
            [str(part) for part in (*command, "--settings", json.dumps(plain))],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self.lines = []

    def wait_for(self, text):
        """Reads what it says until a line begins with `text`; its end is a failure."""
        for line in self.process.stdout:
            self.lines.append(line.strip())
            if line.startswith(text):
                return
        pytest.fail(f"never said {text!r}: {self.lines} {self.process.stderr.read()[-2000:]}")

    def kill(self):
        """Kills driver, JVM and workers at once, as a lost machine does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self):
        """Its exit status, once it has ended."""
        self.lines += [line.strip() for line in self.process.stdout]
        return self.process.wait()

    @property
    def staging(self):
        """Staging folders in its warehouse."""
        return list((self.scratch / "warehouse").glob("threea_staging_*"))


@pytest.fixture(scope="session")
def source(spark, tmp_path_factory):
    return write_delta(spark, clinic(), tmp_path_factory.mktemp("faults") / "source")


@pytest.fixture
def config(source, tmp_path):
    ledger = {"path": str(tmp_path / "ledger"), "budget": LEDGER_BUDGET}
    return config_of(source, tmp_path / "out", privacy={"ledger": ledger})


@pytest.fixture
def releasing(tmp_path):
    """Starts releases; whatever still runs is killed at the end."""
    started = []

    def start(config, **settings):
        started.append(Releasing(config, tmp_path / f"run{len(started)}", **settings))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()


@pytest.fixture
def kinds(spark, tmp_path):
    """What the ledger holds, in order."""

    def read():
        rows = spark.read.format("delta").load(str(tmp_path / "ledger")).orderBy("number").collect()
        return [row["kind"] for row in rows]

    return read
