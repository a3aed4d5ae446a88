#!/usr/bin/env bash
# Submits a job of this repository to YARN or to Kubernetes, with its Python environment as an archive.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: deploy/spark_submit.sh yarn|kubernetes smoke|release|evaluate [OPTION...] [-- JOB-ARGUMENT...]

Runs spark-submit in cluster mode. The driver and all executors use the Python of an archive created by venv-pack.

Options for both:
  --env ARCHIVE         packed environment (default: env.tar.gz)
  --delta-jars FILES    comma-separated Delta jars, instead of the Maven coordinate
  --file FILE           copied to the driver's folder, such as release.yaml; repeatable
  --gpu SCRIPT          one GPU for the driver; SCRIPT is Spark's discovery script, as the driver's machine sees it
  --conf NAME=VALUE     additional Spark configuration; repeatable, and the last one wins
  --dry-run             print the command, one argument per line, instead of running it
Options for kubernetes:
  --master URL          k8s://https://HOST:PORT (needed)
  --image IMAGE         with Spark and the Python that created the environment (needed)
  --upload PATH         where spark-submit uploads local files for the driver, such as s3a://bucket/folder (needed)
  --namespace NAME      (default: default)
  --service-account NAME  of the driver (default: spark)

Example:
  deploy/spark_submit.sh yarn release --file release.yaml -- --config release.yaml
USAGE
}

fail() {
  printf 'error: %s\n\n' "$1" >&2
  usage >&2
  exit 2
}

# The same as in threea_spark/session.py for Spark 4.2; 4.1 needs 4.1.0, and 4.0 needs 4.0.1. THREEA_DELTA overrides it.
delta_coordinate=${THREEA_DELTA:-io.delta:delta-spark_2.13:4.4.0}
python=./environment/bin/python
jobs=$(cd "$(dirname "${BASH_SOURCE[0]}")/../jobs" && pwd)

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  usage
  exit 0
fi
[[ $# -ge 2 ]] || fail "name a platform and a job"
platform=$1 job=$2
shift 2
case $platform in yarn | kubernetes) ;; *) fail "no such platform: $platform" ;; esac
case $job in smoke | release | evaluate) ;; *) fail "no such job: $job" ;; esac

env_archive=env.tar.gz delta_jars='' gpu='' dry_run=''
master='' image='' upload='' namespace=default service_account=spark
files=() confs=()
while [[ $# -gt 0 && $1 != -- ]]; do
  case $1 in
    --dry-run) dry_run=yes && shift && continue ;;
    --env | --delta-jars | --file | --gpu | --conf | --master | --image | --upload | --namespace | --service-account) ;;
    *) fail "no such option: $1" ;;
  esac
  [[ $# -ge 2 && -n $2 ]] || fail "$1 needs a value"
  case $1 in
    --env) env_archive=$2 ;;
    --delta-jars) delta_jars=$2 ;;
    --file) files+=("$2") ;;
    --gpu) gpu=$2 ;;
    --conf) confs+=("$2") ;;
    --master) master=$2 ;;
    --image) image=$2 ;;
    --upload) upload=$2 ;;
    --namespace) namespace=$2 ;;
    --service-account) service_account=$2 ;;
  esac
  shift 2
done
[[ $# -eq 0 ]] || shift

command=(spark-submit --deploy-mode cluster --name "threea-$job" --archives "$env_archive#environment")
if [[ -n $delta_jars ]]; then
  command+=(--jars "$delta_jars")
else
  command+=(--packages "$delta_coordinate")
fi
if [[ ${#files[@]} -gt 0 ]]; then
  command+=(--files "$(IFS=, && printf '%s' "${files[*]}")")
fi
settings=(
  spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension
  spark.sql.catalog.spark_catalog=org.apache.spark.sql.delta.catalog.DeltaCatalog
  "spark.pyspark.python=$python"
  "spark.executorEnv.PYSPARK_PYTHON=$python"
  spark.ui.enabled=false # the UI and the event log show the literals in query plans, which may be private
  spark.eventLog.enabled=false
  spark.sql.execution.arrow.maxBytesPerBatch=4194304 # Python works on one batch while the JVM reads the next
  spark.driver.memory=4g
  spark.driver.memoryOverhead=4g # jax and numpy work there, outside of the JVM
)
if [[ -n $gpu ]]; then
  settings+=(spark.driver.resource.gpu.amount=1 "spark.driver.resource.gpu.discoveryScript=$gpu")
fi
if [[ $platform == yarn ]]; then
  [[ -z $master$image$upload ]] || fail "--master, --image and --upload are for kubernetes"
  command+=(--master yarn)
  settings+=(
    "spark.yarn.appMasterEnv.PYSPARK_PYTHON=$python"
    spark.yarn.maxAppAttempts=1 # investigate a failed release before you run it again: what it spent stays spent
  )
else
  [[ $master == k8s://* ]] || fail "kubernetes needs --master k8s://..."
  [[ -n $image ]] || fail "kubernetes needs --image"
  [[ -n $upload ]] || fail "kubernetes needs --upload"
  command+=(--master "$master")
  settings+=(
    "spark.kubernetes.container.image=$image"
    "spark.kubernetes.namespace=$namespace"
    "spark.kubernetes.authenticate.driver.serviceAccountName=$service_account"
    "spark.kubernetes.file.upload.path=$upload"
    "spark.kubernetes.driverEnv.PYSPARK_PYTHON=$python"
  )
  if [[ -n $gpu ]]; then
    settings+=(spark.driver.resource.gpu.vendor=nvidia.com)
  fi
fi
for setting in "${settings[@]}" ${confs[@]+"${confs[@]}"}; do
  command+=(--conf "$setting")
done
command+=("$jobs/$job.py" "$@")

if [[ -n $dry_run ]]; then
  printf '%s\n' "${command[@]}"
  exit 0
fi
unset PYSPARK_DRIVER_PYTHON # YARN would pass it on; keep PYSPARK_PYTHON, with which a pip-installed spark-submit finds Spark
exec "${command[@]}"
