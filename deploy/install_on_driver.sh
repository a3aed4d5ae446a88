#!/usr/bin/env bash
# Init script of the classic clusters, run on every node before the wheel is installed.
# It installs lightgbm, and jax with CUDA on a driver with a GPU.
set -euo pipefail
pip=/databricks/python/bin/pip
"$pip" install 'lightgbm>=4.3'
if [[ "${DB_IS_DRIVER:-}" == TRUE ]] && command -v nvidia-smi >/dev/null; then
  "$pip" install 'jax[cuda12]>=0.5.3'
fi
