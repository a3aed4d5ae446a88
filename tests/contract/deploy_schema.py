"""The fields of Databricks bundles and of SparkApplications that deploy/ uses, and no other: anything else is refused.

Written after the reference of bundles, the `databricks-bundles` package and the types of the spark-operator.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")]
Reference = Annotated[str, Field(pattern=r"^\$\{var\.\w+\}$")]
Memory = Annotated[str, Field(pattern=r"^\d+[gm]$")]
Many = Field(min_length=1)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Named(Strict):
    name: str


class Sync(Strict):
    paths: list[str] = Many


class Artifact(Strict):
    type: Literal["whl"]
    path: str
    build: str


class Variable(Strict):
    description: str
    default: str | int | None = None


class Workspace(Strict):
    root_path: str


class Target(Strict):
    mode: Literal["development", "production"]
    default: bool = False
    workspace: Workspace | None = None
    variables: dict[Key, str | int] = {}

    @model_validator(mode="after")
    def production_has_one_place(self):
        assert self.mode == "development" or self.workspace is not None
        return self


class Bundle(Strict):
    bundle: Named
    include: list[str] = Many
    sync: Sync
    artifacts: dict[Key, Artifact]
    variables: dict[Key, Variable]
    targets: dict[Key, Target]


class Parameter(Strict):
    name: Key
    default: str


class Autoscale(Strict):
    min_workers: int = Field(ge=1)
    max_workers: Reference


class InWorkspace(Strict):
    destination: str


class InitScript(Strict):
    workspace: InWorkspace


class NewCluster(Strict):
    spark_version: Reference
    driver_node_type_id: Reference
    node_type_id: Reference
    autoscale: Autoscale
    data_security_mode: Literal["SINGLE_USER"]
    init_scripts: list[InitScript]


class JobCluster(Strict):
    job_cluster_key: Key
    new_cluster: NewCluster


class EnvironmentSpec(Strict):
    environment_version: Reference
    dependencies: list[str] = Many


class Environment(Strict):
    environment_key: Key
    spec: EnvironmentSpec


class DependsOn(Strict):
    task_key: Key
    outcome: Literal["true", "false"] | None = None


class PythonTask(Strict):
    python_file: str
    parameters: list[str]


class Condition(Strict):
    op: Literal["EQUAL_TO", "NOT_EQUAL"]
    left: str
    right: str


class Library(Strict):
    whl: str


class Task(Strict):
    task_key: Key
    depends_on: list[DependsOn] = []
    job_cluster_key: Key | None = None
    environment_key: Key | None = None
    max_retries: int | None = None
    disable_auto_optimization: bool = False
    timeout_seconds: int | None = Field(default=None, ge=1)
    spark_python_task: PythonTask | None = None
    condition_task: Condition | None = None
    libraries: list[Library] = []

    @model_validator(mode="after")
    def one_kind_of_task_and_one_kind_of_compute(self):
        assert (self.spark_python_task is None) != (self.condition_task is None)
        computes = sum(key is not None for key in (self.job_cluster_key, self.environment_key))
        assert computes == (0 if self.spark_python_task is None else 1)
        assert not (self.libraries and self.environment_key), "serverless takes dependencies of the environment"
        return self


class Permission(Strict):
    group_name: Reference
    level: Literal["CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER"]


class Notifications(Strict):
    on_failure: list[Reference] = Many


class Schedule(Strict):
    quartz_cron_expression: Annotated[str, Field(pattern=r"^\S+( \S+){5,6}$")]
    timezone_id: str
    pause_status: Literal["PAUSED", "UNPAUSED"]


class Job(Strict):
    name: str
    max_concurrent_runs: int = Field(ge=1)
    tags: dict[Key, str]
    permissions: list[Permission] = Many
    email_notifications: Notifications
    schedule: Schedule
    parameters: list[Parameter]
    job_clusters: list[JobCluster] = []
    environments: list[Environment] = []
    tasks: list[Task] = Many


class Jobs(Strict):
    jobs: dict[Key, Job]


class Resources(Strict):
    resources: Jobs


class RestartPolicy(Strict):
    type: Literal["Never", "Always", "OnFailure"]


class Deps(Strict):
    packages: list[str]


class Gpu(Strict):
    name: str
    quantity: int = Field(ge=1)


class NamePath(Strict):
    name: str
    path: str


class Pod(Strict):
    cores: int = Field(ge=1)
    memory: Memory


class Driver(Pod):
    serviceAccount: str
    gpu: Gpu | None = None
    configMaps: list[NamePath]


class Executor(Pod):
    instances: int = Field(ge=1)


class SparkApplicationSpec(Strict):
    type: Literal["Python"]
    mode: Literal["cluster"]
    pythonVersion: Literal["3"]
    sparkVersion: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    image: str
    imagePullPolicy: Literal["IfNotPresent", "Always", "Never"]
    mainApplicationFile: str
    arguments: list[str]
    restartPolicy: RestartPolicy
    deps: Deps
    sparkConf: dict[str, str]
    driver: Driver
    executor: Executor


class Metadata(Strict):
    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    namespace: str


class SparkApplication(Strict):
    apiVersion: Literal["sparkoperator.k8s.io/v1beta2"]
    kind: Literal["SparkApplication"]
    metadata: Metadata
    spec: SparkApplicationSpec


def refusals(model: type[BaseModel], value: Any) -> list[str]:
    """Where a value breaks the schema, as dotted paths."""
    try:
        model.model_validate(value)
    except ValueError as error:
        return [".".join(str(part) for part in item["loc"]) for item in error.errors()]
    return []
