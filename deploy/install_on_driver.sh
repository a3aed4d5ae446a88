#!/usr/bin/env bash
# Init script of the classic cluster, run on every node before the wheel is installed.
# It installs lightgbm, and jax with CUDA on the driver only.
set -euo pipefail
pip=/databricks/python/bin/pip
"$pip" install 'lightgbm>=4.3'
if [[ "${DB_IS_DRIVER:-}" == TRUE ]]; then
  "$pip" install 'jax[cuda12]>=0.5.3'
fi
