"""What deploy/ names is there: files, jobs, options, parameters and versions; its YAML holds known fields only."""

import ast
import copy
import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from deploy_schema import Bundle, Resources, SparkApplication, refusals

import threea_spark
from threea_spark.engine.batches import BATCH_BYTES, MOST_BYTES
from threea_spark.session import delta_coordinate

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
RESOURCES = sorted((DEPLOY / "resources").glob("*.yml"))
SCRIPTS = sorted(DEPLOY.rglob("*.sh"))
SUBMIT = DEPLOY / "spark_submit.sh"
BUNDLE = yaml.safe_load((DEPLOY / "databricks.yml").read_text())
APPLICATION = yaml.safe_load((DEPLOY / "kubernetes" / "spark-application.yaml").read_text())
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in sorted(DEPLOY.rglob("*")) if path.is_file()}
DELTA_SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
PYTHON = "./environment/bin/python"
EVERYWHERE = {
    **DELTA_SETTINGS,
    "spark.pyspark.python": PYTHON,
    "spark.executorEnv.PYSPARK_PYTHON": PYTHON,
    "spark.ui.enabled": "false",
    "spark.eventLog.enabled": "false",
    MOST_BYTES: str(BATCH_BYTES),
    "spark.driver.memory": "4g",
    "spark.driver.memoryOverhead": "4g",
}
KUBERNETES = ("--master", "k8s://https://host:443", "--image", "repo/threea:1", "--upload", "s3a://bucket/up")


JOBS = {name: job for path in RESOURCES for name, job in yaml.safe_load(path.read_text())["resources"]["jobs"].items()}
each_job = pytest.mark.parametrize("job", list(JOBS.values()), ids=list(JOBS))


@functools.cache
def options_of(file):
    """The long options that a job's parser knows, and whether each takes a value; from its source."""
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    added = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument"]
    flags = {"store_true", "store_false"}
    return {
        call.args[0].value: not any(k.arg == "action" and k.value.value in flags for k in call.keywords)
        for call in added
    }


@functools.cache
def required_of(file):
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    return {c.args[0].value for c in calls if any(k.arg == "required" and k.value.value is True for k in c.keywords)}


def check_arguments(file, arguments):
    """Fails unless the job at `file` takes these arguments."""
    options, rest, given = options_of(file), list(arguments), set()
    while rest:
        name = rest.pop(0)
        assert name in options, f"{file.name} has no option {name}"
        given.add(name)
        if options[name]:
            assert rest, f"{name} needs a value"
            assert not rest.pop(0).startswith("--")
    assert required_of(file) <= given


def test_every_resource_and_the_bundle_hold_known_fields_only():
    assert refusals(Bundle, BUNDLE) == []
    assert len(RESOURCES) == len(JOBS) == 3
    for path in RESOURCES:
        assert refusals(Resources, yaml.safe_load(path.read_text())) == [], path


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("tasks", 0, "job_cluster_ky"), "cpu"),
        (("tasks", 0, "job_cluster_key"), None),
        (("tasks", 0, "environment_key"), "threea"),
        (("tasks", 0, "spark_python_task", "paramters"), []),
        (("tasks", 2, "condition_task", "op"), "UNLIKE"),
        (("job_clusters", 0, "new_cluster", "driver_node_type_id"), "g5.4xlarge"),
        (("job_clusters", 0, "new_cluster", "autoscale", "min_workers"), 0),
        (("max_concurrent_runs",), "1"),
        (("schedule", "quartz_cron_expression"), "0 4 * * *"),
        (("schedule", "pause_status"), "paused"),
        (("permissions", 0, "level"), "CAN_RUN"),
        (("email_notifications", "on_fail"), ["x"]),
    ],
)
def test_the_schema_refuses_what_a_workspace_would(path, value):
    changed = {"resources": {"jobs": {"release": copy.deepcopy(JOBS["release"])}}}
    place = changed["resources"]["jobs"]["release"]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert refusals(Resources, changed) != []


def test_the_bundle_builds_and_syncs_what_is_there():
    assert [sorted(DEPLOY.glob(pattern)) for pattern in BUNDLE["include"]] == [RESOURCES]
    assert {(DEPLOY / path).resolve() for path in BUNDLE["sync"]["paths"]} == {DEPLOY, ROOT / "jobs"}
    (artifact,) = BUNDLE["artifacts"].values()
    assert (DEPLOY / artifact["path"] / "pyproject.toml").resolve() == ROOT / "pyproject.toml"
    assert artifact["build"] == "uv build --wheel"


def test_the_targets_are_dev_and_prod_and_each_has_a_catalog():
    assert set(BUNDLE["targets"]) == {"dev", "prod"}
    assert [name for name, target in BUNDLE["targets"].items() if target.get("default")] == ["dev"]
    for target in BUNDLE["targets"].values():
        assert set(target["variables"]) <= set(BUNDLE["variables"])
        given = {n for n, v in BUNDLE["variables"].items() if "default" in v} | set(target["variables"])
        own = {"notify"} if target["mode"] == "production" else set()  # whoever deploys says who is told of failures
        assert given == set(BUNDLE["variables"]) - own


def test_every_variable_is_declared_and_used():
    used = set(re.findall(r"\$\{var\.(\w+)\}", "".join(path.read_text() for path in RESOURCES)))
    assert used == set(BUNDLE["variables"])


def test_a_file_of_the_workspace_is_one_of_the_repository():
    named = re.findall(r"\$\{workspace\.file_path\}/(\S+)", "".join(TEXTS.values()))
    assert named
    for path in named:
        assert (ROOT / path).is_file(), path
        assert os.access(ROOT / path, os.X_OK), path


@each_job
def test_every_task_runs_a_job_of_the_repository_with_arguments_it_takes(job):
    declared = {parameter["name"] for parameter in job["parameters"]}
    files = set()
    for task in job["tasks"]:
        if "spark_python_task" in task:
            file = (DEPLOY / "resources" / task["spark_python_task"]["python_file"]).resolve()
            assert file.parent == ROOT / "jobs"
            check_arguments(file, task["spark_python_task"]["parameters"])
            files.add(file.stem)
    assert files == {"smoke", "release", "evaluate"}
    used = set(re.findall(r"\{\{job\.parameters\.(\w+)\}\}", yaml.safe_dump(job["tasks"])))
    assert used == declared


def test_an_argument_that_no_job_takes_is_found():
    with pytest.raises(AssertionError, match="no option --cofig"):
        check_arguments(ROOT / "jobs" / "release.py", ["--cofig", "x"])
    with pytest.raises(AssertionError, match="needs a value"):
        check_arguments(ROOT / "jobs" / "release.py", ["--config"])
    with pytest.raises(AssertionError):
        check_arguments(ROOT / "jobs" / "release.py", ["--receipt", "x"])


@each_job
def test_tasks_follow_each_other_and_none_is_tried_twice(job):
    after = {task["task_key"]: [d["task_key"] for d in task.get("depends_on", [])] for task in job["tasks"]}
    assert after == {
        "smoke": [],
        "release": ["smoke"],
        "has_held_out": ["release"],
        "evaluate": ["has_held_out"],
    }
    for task in job["tasks"]:
        if "spark_python_task" in task:
            assert task["max_retries"] == 0
            assert "environment_key" not in task or task["disable_auto_optimization"]  # serverless retries otherwise


@each_job
def test_every_key_of_compute_is_defined_in_the_job_and_brings_the_wheel(job):
    clusters = {cluster["job_cluster_key"] for cluster in job.get("job_clusters", [])}
    environments = {e["environment_key"]: e["spec"]["dependencies"] for e in job.get("environments", [])}
    wheel = "../../dist/*.whl"
    assert (DEPLOY / "resources" / wheel).parent.resolve() == ROOT / "dist"
    for task in job["tasks"]:
        if "job_cluster_key" in task:
            assert task["job_cluster_key"] in clusters
            assert task["libraries"] == [{"whl": wheel}]
        if "environment_key" in task:
            assert wheel in environments[task["environment_key"]]


def test_only_the_driver_of_one_classic_job_has_a_gpu():
    for name, kind in (("release", "cpu"), ("release_gpu", "gpu")):
        (cluster,) = JOBS[name]["job_clusters"]
        assert cluster["new_cluster"]["driver_node_type_id"] == f"${{var.{kind}_node_type}}"
        assert cluster["new_cluster"]["node_type_id"] == "${var.cpu_node_type}"
        assert cluster["new_cluster"]["spark_version"] == f"${{var.{kind}_spark_version}}"
    runtimes = {kind: BUNDLE["variables"][f"{kind}_spark_version"]["default"] for kind in ("cpu", "gpu")}
    assert [kind for kind, version in runtimes.items() if "gpu" in version] == ["gpu"]


@each_job
def test_no_schedule_spends_before_somebody_unpauses_it(job):
    assert job["schedule"]["pause_status"] == "PAUSED"


@each_job
def test_whoever_starts_a_job_cannot_choose_another_ledger(job):
    """A parameter of the job may be changed for a run; the arguments of a task may not."""
    (release,) = [task for task in job["tasks"] if task["task_key"] == "release"]
    arguments = release["spark_python_task"]["parameters"]
    for option in ("--ledger", "--grants"):
        place = arguments[arguments.index(option) + 1]
        assert place.startswith("${var.catalog}.${var.governance}.privacy_")
        assert "job.parameters" not in place


def test_packages_have_the_versions_of_the_project():
    pyproject, constraints = (ROOT / "pyproject.toml").read_text(), (ROOT / "constraints.txt").read_text()
    for name, text in TEXTS.items():
        for version in re.findall(r"neural-tangents==([\d.]+)", text):
            assert f"neural-tangents=={version} " in constraints, name
        for package, version in re.findall(r"\b(lightgbm|jax)(?:\[cuda12\])?>=([\d.]+)", text):
            assert f'"{package}>={version}"' in pyproject, (name, package)


def test_every_delta_coordinate_is_the_one_of_the_session():
    found = {name: set(re.findall(r"io\.delta:[\w.-]+:[\d.]+", text)) for name, text in TEXTS.items()}
    named = {name for name, coordinates in found.items() if coordinates}
    assert {"deploy/spark_submit.sh", "deploy/kubernetes/spark-application.yaml"} <= named
    assert all(found[name] == {delta_coordinate("4.2")} for name in named)
    older = re.findall(r"(4\.\d) needs ([\d.]+\d)", TEXTS["deploy/spark_submit.sh"])
    assert {spark: delta_coordinate(spark).rpartition(":")[2] for spark, _ in older} == dict(older)
    assert len(older) == 2


def test_no_secret_no_registry_and_no_machine_is_named():
    for name, text in TEXTS.items():
        assert not re.search(r"(?i)password|token:|dapi[0-9a-f]{8}|AKIA[0-9A-Z]{8}", text), name
        assert not re.search(r"pypi\.org|maven\.org|files\.pythonhosted|conda\.anaconda", text), name
        assert "/tmp/wt" not in text, name
        assert "cloud.databricks.com" not in text, name


def test_the_spark_application_holds_known_fields_only():
    assert refusals(SparkApplication, APPLICATION) == []
    for path, value in ((("spec", "mainFile"), "x"), (("kind",), "SparkApp"), (("spec", "driver", "gpu"), 1)):
        changed = copy.deepcopy(APPLICATION)
        place = changed
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        assert refusals(SparkApplication, changed) != []


def test_the_spark_application_runs_a_job_with_arguments_it_takes_and_reads_what_it_mounts():
    spec = APPLICATION["spec"]
    folder, file = spec["mainApplicationFile"].removeprefix("local://").rsplit("/", 1)
    check_arguments(ROOT / "jobs" / file, spec["arguments"])
    assert f"COPY jobs {folder}\n" in TEXTS["deploy/kubernetes/Dockerfile"]
    (mounted,) = spec["driver"]["configMaps"]
    assert spec["arguments"][1].startswith(mounted["path"] + "/")
    assert spec["restartPolicy"]["type"] == "Never"
    assert DELTA_SETTINGS.items() <= spec["sparkConf"].items()
    assert "gpu" not in spec["executor"]


def test_the_image_has_the_spark_of_the_application():
    (image,) = re.findall(r"ARG SPARK_IMAGE=apache/spark:([\d.]+)-python3", TEXTS["deploy/kubernetes/Dockerfile"])
    assert image == APPLICATION["spec"]["sparkVersion"]
    assert delta_coordinate(image) in APPLICATION["spec"]["deps"]["packages"]
    assert APPLICATION["spec"]["image"].rpartition(":")[2] == threea_spark.__version__


def test_the_readme_names_what_exists():
    text = TEXTS["deploy/README.md"]
    for path in re.findall(r"\]\(([^)]+)\)", text):
        assert (DEPLOY / path.partition("#")[0]).exists(), path
    for path in re.findall(r"\b(?:deploy|jobs)/[\w./-]+\w", text):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_sound_bash(script):
    assert script.read_text().startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in script.read_text()
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script):
    done = subprocess.run(["shellcheck", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.fixture
def submit(tmp_path):
    """Runs spark_submit.sh with a spark-submit that writes down its arguments and two variables."""
    recorder = tmp_path / "bin" / "spark-submit"
    recorder.parent.mkdir()
    recorder.write_text(
        f"#!/usr/bin/env bash\nprintf '%s\\0' \"$@\" > {tmp_path}/arguments\n"
        f"printf '%s' \"$PYSPARK_PYTHON|${{PYSPARK_DRIVER_PYTHON-unset}}\" > {tmp_path}/environment\nexit 7\n"
    )
    recorder.chmod(0o755)
    path = f"{recorder.parent}:{os.environ['PATH']}"

    def run(*arguments, **environment):
        (tmp_path / "arguments").unlink(missing_ok=True)
        variables = {key: value for key, value in os.environ.items() if key != "THREEA_DELTA"}
        done = subprocess.run(
            [SUBMIT, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**variables, "PATH": path, "PYSPARK_PYTHON": "own", "PYSPARK_DRIVER_PYTHON": "ipython", **environment},
        )  # fmt: skip
        recorded = tmp_path / "arguments"
        return done, recorded.read_text().split("\0")[:-1] if recorded.exists() else None

    run.environment = lambda: (tmp_path / "environment").read_text()
    return run


def parted(arguments):
    """Options (a list for each), settings, and what follows them: the job and its own arguments."""
    options, rest = {}, list(arguments)
    while rest and rest[0].startswith("--"):
        options.setdefault(rest[0], []).append(rest[1])
        rest = rest[2:]
    settings = dict(setting.split("=", 1) for setting in options.pop("--conf"))
    return options, settings, rest


def test_yarn_by_coordinate(submit):
    done, arguments = submit(
        "yarn", "release", "--file", "release.yaml", "--file", "more.yaml", "--", "--config", "my release.yaml"
    )
    assert done.returncode == 7, "the exit code is spark-submit's own"
    options, settings, job = parted(arguments)
    assert options == {
        "--master": ["yarn"],
        "--deploy-mode": ["cluster"],
        "--name": ["threea-release"],
        "--archives": ["env.tar.gz#environment"],
        "--packages": [delta_coordinate("4.2")],
        "--files": ["release.yaml,more.yaml"],
    }
    assert settings == {
        **EVERYWHERE,
        "spark.yarn.appMasterEnv.PYSPARK_PYTHON": PYTHON,
        "spark.yarn.maxAppAttempts": "1",
    }
    assert job == [str(ROOT / "jobs" / "release.py"), "--config", "my release.yaml"]
    assert submit.environment() == "own|unset"


def test_yarn_by_file_with_a_gpu_and_more_settings(submit):
    _, arguments = submit(
        "yarn", "smoke", "--env", "hdfs:///env.tar.gz", "--delta-jars", "a.jar,b.jar", "--gpu", "/opt/gpus.sh",
        "--conf", "spark.ui.enabled=true", "--conf", "spark.x=a b",
    )  # fmt: skip
    options, settings, job = parted(arguments)
    assert options["--jars"] == ["a.jar,b.jar"]
    assert options["--archives"] == ["hdfs:///env.tar.gz#environment"]
    assert "--packages" not in options
    assert "--files" not in options
    assert settings["spark.driver.resource.gpu.amount"] == "1"
    assert settings["spark.driver.resource.gpu.discoveryScript"] == "/opt/gpus.sh"
    assert "spark.driver.resource.gpu.vendor" not in settings
    assert settings["spark.x"] == "a b"
    assert settings["spark.ui.enabled"] == "true", "the last one holds"
    assert job == [str(ROOT / "jobs" / "smoke.py")]


@pytest.mark.parametrize("by_file", [False, True])
def test_kubernetes(submit, by_file):
    delta = ["--delta-jars", "local:///jars/delta.jar"] if by_file else []
    _, arguments = submit(
        "kubernetes", "evaluate", *KUBERNETES, *delta, "--namespace", "dp", "--gpu", "/opt/gpus.sh",
        "--", "--config", "release.yaml", "--held-out", "main.x.y",
    )  # fmt: skip
    options, settings, job = parted(arguments)
    assert options["--master"] == ["k8s://https://host:443"]
    assert options["--deploy-mode"] == ["cluster"]
    assert options.get("--jars") == (["local:///jars/delta.jar"] if by_file else None)
    assert options.get("--packages") == (None if by_file else [delta_coordinate("4.2")])
    assert settings == {
        **EVERYWHERE,
        "spark.kubernetes.driverEnv.PYSPARK_PYTHON": PYTHON,
        "spark.kubernetes.container.image": "repo/threea:1",
        "spark.kubernetes.namespace": "dp",
        "spark.kubernetes.authenticate.driver.serviceAccountName": "spark",
        "spark.kubernetes.file.upload.path": "s3a://bucket/up",
        "spark.driver.resource.gpu.amount": "1",
        "spark.driver.resource.gpu.discoveryScript": "/opt/gpus.sh",
        "spark.driver.resource.gpu.vendor": "nvidia.com",
    }
    assert job[0] == str(ROOT / "jobs" / "evaluate.py")
    check_arguments(Path(job[0]), job[1:])


def test_another_delta_comes_from_the_environment(submit):
    _, arguments = submit("yarn", "smoke", THREEA_DELTA="io.delta:delta-spark_2.13:4.0.1")
    assert parted(arguments)[0]["--packages"] == [delta_coordinate("4.0")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name a platform and a job"),
        (("mesos", "release"), "no such platform: mesos"),
        (("yarn", "train"), "no such job: train"),
        (("yarn", "release", "--cofig", "x"), "no such option: --cofig"),
        (("yarn", "release", "--env"), "--env needs a value"),
        (("yarn", "release", "--image", "x"), "are for kubernetes"),
        (("kubernetes", "release"), "--master k8s://"),
        (("kubernetes", "release", *KUBERNETES[:2]), "needs --image"),
        (("kubernetes", "release", *KUBERNETES[:4]), "needs --upload"),
    ],
)
def test_a_wrong_command_line_submits_nothing_and_says_why(submit, arguments, message):
    done, submitted = submit(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Usage: " in done.stderr
    assert submitted is None


def test_help_and_a_dry_run_submit_nothing(submit):
    helped, submitted = submit("--help")
    assert (helped.returncode, submitted) == (0, None)
    assert helped.stdout.startswith("Usage: ")
    done, submitted = submit("yarn", "smoke", "--dry-run", "--", "--json")
    assert (done.returncode, submitted) == (0, None)
    assert done.stdout.splitlines()[-2:] == [str(ROOT / "jobs" / "smoke.py"), "--json"]
