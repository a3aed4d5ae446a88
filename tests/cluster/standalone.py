"""A standalone Spark cluster of one master and two workers on this machine, and a Connect server on it."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path

from threea_spark.session import delta_coordinate

ROOT = Path(__file__).resolve().parents[2]
SPARK_HOME = Path(find_spec("pyspark").origin).parent
HOSTS = ("127.0.0.2", "127.0.0.3")
"""Of the workers: Spark starts a second copy of a slow task on another host only."""
_QUICK_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
_SETTINGS = {
    "spark.driver.host": "127.0.0.1",
    "spark.executor.memory": "1g",
    "spark.executor.cores": "1",
    "spark.executor.extraJavaOptions": _QUICK_JVM,
    "spark.speculation": "true",
    "spark.speculation.quantile": "0.5",
    "spark.dynamicAllocation.enabled": "true",
    "spark.dynamicAllocation.shuffleTracking.enabled": "true",
    "spark.dynamicAllocation.shuffleTracking.timeout": "10s",
    "spark.dynamicAllocation.executorIdleTimeout": "10s",
    "spark.dynamicAllocation.minExecutors": "1",
    "spark.dynamicAllocation.maxExecutors": str(len(HOSTS)),
    "spark.decommission.enabled": "true",
    "spark.storage.decommission.enabled": "true",
    "spark.storage.decommission.shuffleBlocks.enabled": "true",
    "spark.eventLog.enabled": "true",
    "spark.eventLog.compress": "false",
    "spark.eventLog.rolling.enabled": "false",
}
_DELTA = {
    "spark.jars.packages": delta_coordinate(),
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
_SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"
_SECONDS = 90.0


class Daemon:
    """One of Spark's own processes, which prints its log."""

    def __init__(self, folder, *command, **variables):
        self.log = folder / "log"
        folder.mkdir(parents=True)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))}
        environment |= {"SPARK_LOCAL_DIRS": str(folder), "SPARK_DAEMON_MEMORY": "256m", **variables}
        environment["SPARK_DAEMON_JAVA_OPTS"] = _QUICK_JVM
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command], cwd=folder, env=environment, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def says(self, pattern):
        """The groups of the first match in its log, once there is one."""
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if found := re.search(pattern, self.log.read_text()):
                return found.groups()
            time.sleep(0.05)
        raise AssertionError(f"{pattern!r} is not in {self.log.read_text()[-3000:]}")

    def kill(self):
        """Ends it as a lost machine does: with all processes that it has started."""
        for process in self.processes(""):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.process.wait()

    def processes(self, text):
        """Processes that it has started, directly or not, and itself, whose command line holds `text`."""
        listed = subprocess.run(["ps", "-eww", "-o", "pid,sid,args"], capture_output=True, text=True, check=True).stdout
        rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
        return [int(pid) for pid, session, args in rows if int(session) == self.process.pid and text in args]


class Cluster:
    """Master and workers of one core and 1 GB each.

    Attributes:
      folder: Holds their logs and work.
      master: Address of the master.
      workers: The workers by host.
      settings: An application's: two executors at most, and all on that a shared cluster may have on.
    """

    def __init__(self, folder):
        self.folder = folder
        self._started = ExitStack()
        self.workers = {}
        self.events = folder / "events"
        self.settings = _SETTINGS | {"spark.eventLog.dir": self.events.as_uri()}

    def __enter__(self):
        self.events.mkdir(parents=True)
        with ExitStack() as stack:
            master = self._daemon(stack, "master", "master.Master", "--host", "127.0.0.1", "--port", 0)
            self.master = "spark://" + ":".join(master.says(r"Starting Spark master at spark://([\d.]+):(\d+)"))
            for host in HOSTS:
                self._start(host, stack)
            for host in HOSTS:
                self.workers[host].says("Successfully registered with master")
            self._started = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._started.close()

    def replace(self, host):
        """Loses the worker of a host, if it still runs, and starts another."""
        self.workers[host].kill()
        self._start(host, self._started)

    def _start(self, host, stack):
        name = f"{host}-{sum(name.startswith(host) for name in os.listdir(self.folder))}"
        place = ("--host", host, "--port", 0, "--work-dir", self.folder / f"{name}-work")
        options = (*place, "--cores", 1, "--memory", "1g", self.master)
        own = {"SPARK_WORKER_OPTS": "-Dspark.decommission.enabled=true"}
        self.workers[host] = self._daemon(stack, name, "worker.Worker", *options, **own)

    def connect_server(self, scratch, settings):
        """Starts a Connect server on the cluster; returns its address."""
        of_server = {"spark.connect.grpc.binding.port": "0", "spark.sql.warehouse.dir": str(scratch / "warehouse")}
        settings = {"spark.ui.enabled": "false", **_DELTA, **settings, **of_server}
        given = [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
        command = (SPARK_HOME / "bin" / "spark-submit", "--master", self.master, "--class", _SERVER, *given)
        # with the Python that it names to executors
        own = {"PYSPARK_PYTHON": sys.executable, "SPARK_DAEMON_MEMORY": "1500m"}
        server = Daemon(self.folder / "connect", *command, "spark-internal", **own)
        self._started.callback(server.kill)
        (port,) = server.says(r"Spark Connect server started at: \S+:(\d+)")
        return f"sc://127.0.0.1:{port}"

    def _daemon(self, stack, name, of, *options, **variables):
        command = (SPARK_HOME / "bin" / "spark-class", f"org.apache.spark.deploy.{of}", "--webui-port", 0, *options)
        # a worker's variables are its executors': here they find the package that a user has installed on each node
        daemon = Daemon(self.folder / name, *command, PYTHONPATH=str(ROOT), **variables)
        stack.callback(daemon.kill)
        return daemon
