# Two commands on a fresh machine with Python 3.10 to 3.13 and Java 17: `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DEMO   := out/demo
USUAL  := not slow and not gpu and not faults and not cluster and not mutants
SYNC   := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
CONNECT := THREEA_TEST_MASTER='connect:local[2]' $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help env demo test tests-of-all-kinds tests-classic tests-connect tests-connect-all mutants test-matrix matrix-one lint types unit docs dist bench bench-scale gpu audit faults test-cluster vulnerabilities clean

help: ## Shows this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(STAMP) ## Creates .venv with everything that demo and test need

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(None if (3, 10) <= sys.version_info[:2] <= (3, 13) else "Python 3.10 to 3.13 is needed: make PYTHON=python3.11 ...")'
	@java -version 2>/dev/null || { echo "Java 17 is needed: install it, or set JAVA_HOME" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --upgrade "pip>=24"
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	$(BIN)/pip install -q --no-deps -c constraints.txt neural-tangents # the reference of tests/jax
	@touch $(STAMP)

demo: $(STAMP) ## Releases the flights of New York, 2013, from Delta to Delta, and evaluates the result
	$(BIN)/python jobs/demo.py --out $(DEMO)

lint: $(STAMP) ## Checks rules and format with ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## Checks types with mypy, strict
	$(BIN)/mypy

unit: $(STAMP) ## Runs the tests that need no Spark
	$(BIN)/python -m pytest -n 2 -m 'not spark and $(USUAL)'

test: $(STAMP) ## Runs everything that .ci/run does: lint, types, all tests but the slow ones, on classic Spark and Connect
	@echo "Lint, types, the tests without Spark and those of Connect run in parallel; each prints its results when it is done"
	$(MAKE) -j 4 $(SYNC) lint types unit tests-connect
	$(MAKE) tests-classic

tests-of-all-kinds: $(STAMP)
	$(MAKE) -j 2 $(SYNC) unit tests-connect
	$(MAKE) tests-classic

# Two sessions, each with a JVM and a warehouse of its own; a file's tests share what the file writes once.
tests-classic: $(STAMP) # on classic Spark
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'spark and $(USUAL)'

# Connect's local server has one port, so its tests are one process.
tests-connect: $(STAMP) # those marked `connect`, through Spark Connect
	$(CONNECT) -m 'connect and $(USUAL)' tests/spark tests/e2e

tests-connect-all: $(STAMP) ## All tests of the passes and of whole releases through Spark Connect (a quarter of an hour)
	$(CONNECT) -m '$(USUAL)' tests/spark tests/e2e/test_release.py

MATRIX := .venv-matrix
PYTHON_OLDEST ?= python3.10
PYTHON_NEWEST ?= python3.13

test-matrix: ## Runs the tests on the oldest and the newest Python and Spark, each in its own environment (an hour)
	$(MAKE) matrix-one NAME=oldest PYTHON=$(PYTHON_OLDEST) PINS='pyspark[connect]==4.0.* delta-spark==4.0.*'
	$(MAKE) matrix-one NAME=newest PYTHON=$(PYTHON_NEWEST) PINS='-c constraints.txt'

matrix-one: # NAME, PYTHON, PINS: one cell of the matrix
	$(PYTHON) -m venv $(MATRIX)/$(NAME)
	$(MATRIX)/$(NAME)/bin/pip install -q --upgrade "pip>=24"
	$(MATRIX)/$(NAME)/bin/pip install -q -e '.[dev]' $(PINS)
	$(MATRIX)/$(NAME)/bin/pip install -q --no-deps neural-tangents==0.6.5
	touch $(MATRIX)/$(NAME)/.installed
	$(MAKE) tests-of-all-kinds VENV=$(MATRIX)/$(NAME)

docs: $(STAMP) ## Builds the documentation site in out/docs, strictly, without network: open out/docs/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

dist: $(STAMP) ## Builds sdist and wheel into dist/, twice, and checks that both builds are equal
	$(BIN)/python deploy/dist.py

bench: $(STAMP) ## Measures utility on a folder of tables: make bench DATA=folder
	$(BIN)/python benchmarks/utility.py --data $(DATA)

bench-scale: $(STAMP) ## Measures releases of 1 to 64 million rows; stages and passes; prices; bad shapes (hours)
	$(BIN)/python benchmarks/scaling.py --json out/scaling.json
	$(BIN)/python benchmarks/throughput.py --json out/throughput.json
	$(BIN)/python benchmarks/assignment.py --table-components 16 64 --json out/assignment.json
	$(BIN)/python benchmarks/shapes.py --full --json out/shapes.json

audit: $(STAMP) ## Attacks whole releases, sound and broken, and fuzzes a million rows (three to four hours)
	$(BIN)/python benchmarks/audit.py --json out/audit.json
	$(BIN)/python benchmarks/one_run.py --json out/one_run.json
	$(BIN)/python benchmarks/attacks.py --json out/attacks.json
	$(BIN)/python -m pytest -m slow

faults: $(STAMP) ## Kills drivers, workers and executors of real releases (half an hour)
	$(BIN)/python -m pytest -m faults tests/faults

# One session each; both have speculation, dynamic allocation and decommissioning on.
test-cluster: $(STAMP) ## Runs tests on a standalone cluster of two workers, classic and Connect, and takes workers away (ten minutes)
	THREEA_TEST_MASTER=cluster $(BIN)/python -m pytest -m 'cluster or connect and $(USUAL)' tests/cluster tests/spark tests/e2e
	THREEA_TEST_MASTER=connect:cluster $(BIN)/python -m pytest -m 'connect and $(USUAL)' tests/spark tests/e2e

mutants: $(STAMP) ## Injects faults into a copy of the package, one by one; for each a named test must fail (ten minutes)
	$(BIN)/python -m pytest -n 2 -m mutants tests/mutants

GPU := .venv-gpu
GPU_STAMP := $(GPU)/.installed

gpu: ## Tests and measures the driver's part on this machine's GPU, beside its CPU (less than five minutes)
	@nvidia-smi -L 2>/dev/null | grep -q GPU || { echo "No GPU here: nvidia-smi lists none" >&2; exit 1; }
	$(MAKE) $(GPU_STAMP)
	$(GPU)/bin/python -m pytest -m 'gpu or not gpu' tests/gpu
	$(GPU)/bin/python benchmarks/gpu.py --devices gpu cpu --rows 4000 --components 16 64 256 --columns 24 100 --json out/gpu.json

$(GPU_STAMP): pyproject.toml constraints.txt # no Spark, so no Java
	$(PYTHON) -m venv $(GPU)
	$(GPU)/bin/pip install -q --upgrade "pip>=24"
	$(GPU)/bin/pip install -q -c constraints.txt -e '.[gpu]' pytest
	@touch $(GPU_STAMP)

vulnerabilities: $(STAMP) ## Runs pip-audit on all installed packages; fails if it cannot reach a vulnerability service
	$(PYTHON) -m venv out/pip-audit
	out/pip-audit/bin/pip install -q pip-audit
	out/pip-audit/bin/pip-audit --strict --path $(VENV)/lib/python3.*/site-packages

clean: ## Removes the environment and all output
	rm -rf $(VENV) $(GPU) out build dist *.egg-info
