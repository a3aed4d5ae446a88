"""deploy/spark_submit.sh with Spark's own spark-submit, against a stand-in of the Kubernetes API."""

import http.server
import json
import os
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from threea_spark.session import delta_coordinate

SUBMIT = Path(__file__).resolve().parents[2] / "deploy" / "spark_submit.sh"
PYTHON = "./environment/bin/python"


class Api(http.server.BaseHTTPRequestHandler):
    """Accepts every object and writes it down; has none."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.taken.append((self.path, body))
        body["metadata"]["uid"] = "1"
        self.reply(201, body)

    do_PATCH = do_POST

    def do_GET(self):
        self.reply(404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404})

    def reply(self, code, body):
        raw = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture
def api():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        server.taken = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def of_kind(api, kind):
    return [body for _, body in api.taken if body.get("kind") == kind]


def properties(api):
    """Spark's configuration of the driver, as its config map holds it."""
    (text,) = (body["data"]["spark.properties"] for body in of_kind(api, "ConfigMap") if body.get("data"))
    lines = [line for line in text.splitlines() if "=" in line and not line.startswith("#")]
    return {name: value.replace("\\", "") for name, value in (line.split("=", 1) for line in lines)}


def submit(cwd, *arguments):
    """Runs the script with the spark-submit of this very Python."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = [SUBMIT, *arguments]
    environment = {**os.environ, "PATH": path, "THREEA_DELTA": delta_coordinate()}  # Spark here may be an older one
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=environment)


def test_spark_makes_the_driver_pod_that_was_meant(api, tmp_path):
    (tmp_path / "release.yaml").write_text("source: {table: x}\n")
    with tarfile.open(tmp_path / "env.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "release.yaml", "bin/python")
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    done = submit(
        tmp_path, "kubernetes", "release", "--master", f"k8s://http://127.0.0.1:{api.server_port}",
        "--image", "threea:1", "--upload", f"file://{uploads}", "--namespace", "dp", "--service-account", "releaser",
        "--gpu", "/opt/gpus.sh", "--file", "release.yaml",
        "--conf", "spark.kubernetes.submission.waitAppCompletion=false", "--", "--config", "release.yaml",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    (pod,) = of_kind(api, "Pod")
    (container,) = pod["spec"]["containers"]
    assert pod["spec"]["serviceAccountName"] == "releaser"
    assert "/api/v1/namespaces/dp/pods" in {path for path, _ in api.taken}
    assert container["image"] == "threea:1"
    assert container["args"][-2:] == ["--config", "release.yaml"]
    assert container["args"][-3].endswith("/release.py")
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    variables = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert variables["PYSPARK_PYTHON"] == variables["PYSPARK_DRIVER_PYTHON"] == PYTHON
    found = properties(api)
    assert found["spark.jars.packages"] == delta_coordinate()
    assert found["spark.executorEnv.PYSPARK_PYTHON"] == PYTHON
    assert found["spark.archives"].endswith("/env.tar.gz#environment")
    assert found["spark.files"].endswith("/release.yaml")
    assert "spark.executor.resource.gpu.amount" not in found
    assert {file.name for file in uploads.rglob("*") if file.is_file()} == {"release.py", "release.yaml", "env.tar.gz"}


def test_an_api_that_is_not_there_is_a_failure(tmp_path):
    (tmp_path / "env.tar.gz").write_bytes(b"")
    (tmp_path / "up").mkdir()
    nowhere = ("--master", "k8s://http://127.0.0.1:1", "--image", "x", "--upload", f"file://{tmp_path}/up")
    done = submit(tmp_path, "kubernetes", "smoke", *nowhere)
    assert done.returncode == 1
    assert "Connection refused" in done.stderr
