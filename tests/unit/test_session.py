"""A session's own folder: private while it lasts, gone when Python ends; the word that Spark starts."""

import os
import stat
import subprocess
import sys

from threea_spark import session


def test_what_the_jvm_prints_goes_to_a_private_file(tmp_path, capfd):
    with session._starting_quietly(tmp_path / "own"):
        os.write(2, b"a value of a row\n")
    os.write(2, b"a word for a person\n")
    log = tmp_path / "own" / session.LOG_FILE
    assert log.read_text() == "a value of a row\n"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert capfd.readouterr().err == "a word for a person\n"


def test_a_temporary_folder_is_gone_when_python_ends_though_not_when_a_fork_of_it_does(tmp_path):
    code = (
        "import os, sys\n"
        "from threea_spark.session import _folder_until_exit\n"
        "folder = _folder_until_exit()\n"
        "(folder / 'spark.log').write_text('a value of a row')\n"
        "if (child := os.fork()) == 0: sys.exit()\n"
        "os.waitpid(child, 0)\n"
        "print(folder, folder.exists())\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    folder, was_there = done.stdout.split()
    assert (folder.startswith(str(tmp_path)), was_there) == (True, "True")
    assert list(tmp_path.iterdir()) == []


def test_the_log_of_a_session_that_does_not_start_is_kept(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / session.LOG_FILE).write_text("no Java here")
    kept = session._kept_log(tmp_path / "own")
    assert (kept.name, kept.read_text()) == (session.LOG_FILE, "no Java here")
    assert kept.parent != tmp_path / "own"
    assert not session._kept_log(tmp_path / "nowhere").exists()


def test_a_collector_of_the_environment_goes_first(monkeypatch):
    for name in ("SPARK_SUBMIT_OPTS", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JDK_JAVA_OPTIONS", "-XX:+UseStringDeduplication")
    assert "-XX:+UseParallelGC" in session._java_options()
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Xss4m -XX:+UseZGC")
    assert "GC" not in session._java_options()
