"""The command line where it starts no Spark: exit statuses, messages, help. In this process, through its own `main`."""

import json
import subprocess
import sys

import pytest
import yaml
from in_process import threea
from tables import config_of

from threea_spark import __version__


def write_config(folder, **overrides):
    path = folder / "release.yaml"
    path.write_text(yaml.safe_dump(config_of(folder / "source", folder / "out", **overrides)))
    return str(path)


def test_a_real_process_ends_with_the_same_status_and_words(tmp_path):
    code = "from threea_spark.cli.main import main; main()"
    command = [sys.executable, "-c", code, "release", "-c", "nowhere.yaml"]
    there = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    here = threea("release", "-c", "nowhere.yaml", cwd=tmp_path)
    assert (there.returncode, there.stdout, there.stderr) == (here.returncode, here.stdout, here.stderr)
    assert here.returncode == 2


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"privacy": {"epsilon": float("nan")}}, "privacy.epsilon"),
        ({"privacy": {"delta": 2}}, "privacy.delta"),
        ({"label": "missing"}, "domain"),
        ({"anonymize": {"rows": 0}}, "anonymize.rows"),
        ({"anonymise": {}}, "anonymise"),
    ],
)
def test_a_broken_configuration_is_one_message_and_code_2_before_spark_starts(tmp_path, change, field):
    done = threea("release", "-c", write_config(tmp_path, **change), cwd=tmp_path)
    assert done.returncode == 2
    assert field in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert "[1/" not in done.stderr


def test_a_model_that_cannot_be_saved_is_refused_before_anything_is_spent(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").write_text("x")
    full = threea("release", "-c", write_config(tmp_path), "--save-model", "full", cwd=tmp_path)
    mixed = write_config(tmp_path, anonymize={"generator": "mix"})
    no_model = threea("release", "-c", mixed, "--save-model", "new", cwd=tmp_path)
    assert (full.returncode, no_model.returncode) == (10, 2)
    assert "is not empty" in full.stderr
    assert "--save-model" in no_model.stderr
    assert "[1/" not in full.stderr + no_model.stderr


def test_a_missing_file_and_a_missing_option_are_said_plainly(tmp_path):
    done = threea("release", "-c", "nowhere.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "nowhere.yaml" in done.stderr
    assert "Traceback" not in done.stderr
    by_default = threea("release", cwd=tmp_path)
    assert by_default.returncode == 2
    assert "release.yaml" in by_default.stderr


def test_plan_shows_what_the_budget_buys_without_spark(tmp_path):
    config = write_config(tmp_path)
    words = threea("plan", "-c", config, "--rows", "50000", cwd=tmp_path)
    assert words.returncode == 0, words.stderr
    for word in ("encode", "approximate", "adapt", "is right within", "Verdict: ", "epsilon 0.5"):
        assert word in words.stdout
    assert not {"min_cluster_size", "clip_norm", "support_size", "mu"} & set(words.stdout.split())
    few, many = (
        json.loads(threea("plan", "-c", config, "--rows", rows, "--json", cwd=tmp_path).stdout)
        for rows in ("1000", "100000")
    )
    assert many["stages"][0]["typical_rows"] == pytest.approx(100 * few["stages"][0]["typical_rows"])
    assert many["stages"][0]["noise_rows"] == few["stages"][0]["noise_rows"]
    assert "costs no privacy" in words.stdout
    assert ".003 to .014" in many["more_rows"]
    assert ".01 to .05" in few["more_rows"] or "did not help" in few["more_rows"]


@pytest.mark.parametrize(
    "command",
    [
        "",
        "init",
        "release",
        "plan",
        "domain draft",
        "sample",
        "evaluate",
        "report",
        "cleanup",
        "doctor",
        "ledger show",
        "ledger grant",
        "ledger void",
        "ledger view",
    ],
)
def test_every_command_has_help(tmp_path, command):
    done = threea(*command.split(), "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "Usage" in done.stdout
    assert "<bool>" not in done.stdout


def test_help_lists_the_commands_in_the_order_of_use_and_all_options_of_its_own(tmp_path):
    text = threea("--help", cwd=tmp_path).stdout
    places = [text.index(f"\u2502 {name} ") for name in ("init", "domain", "plan", "release", "report", "evaluate")]
    assert places == sorted(places)
    for option in ("--version", "--debug"):
        assert option in text.split("Commands")[0]
    assert threea("--version", cwd=tmp_path).stdout == f"threea_spark {__version__}\n"


def test_help_and_a_refused_configuration_come_without_heavy_imports(tmp_path):
    """In a process of its own: what would have to be loaded first decides how long a person waits."""
    code = (
        "import sys; sys.argv = ['threea', *sys.argv[1:]]\n"
        "from threea_spark.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'dp_accounting', 'scipy.stats', 'jax', 'pyspark', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    (tmp_path / "release.yaml").write_text("source: {}\n")
    for arguments in (["--help"], ["plan", "-c", "release.yaml"]):
        done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["relase"], "Did you mean 'release'"),
        (["plan", "--row", "9"], "(Possible options: --rows)"),
        (["plan", "-c", "x", "--rows", "many"], "such as 1000000 or 1e6; got 'many'"),
        (["plan", "-c", "x", "--rows", "0"], "such as 1000000 or 1e6; got '0'"),
        (["sample", "--model", "nomodel", "--out", "rows.csv"], "nomodel: there is no such folder; check the path"),
        (["init", "--table", "t"], "--unit: whose presence must stay hidden?"),
        (["init", "--table", "t", "--unit", "row"], "--label: which column will models predict?"),
        (["init", "--table", "t", "--unit", "row", "--label", "y", "--task", "none"], "--task: none takes no --label"),
        (["init", "--table", "t", "--unit", "row", "--label", "y", "--task", "rank"], "--task: must be one of"),
        (
            ["init", "--table", "t", "--unit", "row", "--label", "y", "--max-rows", "2"],
            "--max-rows: a row is one row",
        ),
        (["init", "--table", "t", "--unit", "p", "--label", "y", "--label-values", "a"], "at least two different"),
        (["init", "--table", "t", "--unit", "p", "--label", "y", "-c", "."], "--config: . exists; drop it or choose"),
    ],
)
def test_what_was_typed_wrongly_is_said_with_its_fix_before_spark_starts(tmp_path, arguments, words):
    done = threea(*arguments, cwd=tmp_path)
    assert done.returncode in (2, 10)
    assert words in " ".join(done.stderr.replace("\u2502", " ").split())
    assert "Spark" not in done.stderr


def test_rows_are_read_as_yaml_reads_them(tmp_path):
    config = write_config(tmp_path)
    written, plain = (
        threea("plan", "-c", config, "--rows", rows, "--json", cwd=tmp_path).stdout for rows in ("5e4", "50000")
    )
    assert written == plain
