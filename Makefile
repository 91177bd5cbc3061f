# `make` takes images to served-ready models; `make help` names the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export ORT_DISABLE_TELEMETRY := 1
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: all
all: setup  ## set up, run the pipeline, print the results
	dvc repro
	@python -m cifra results

.PHONY: setup
setup: $(VENV)/.installed  ## make .venv and install what requirements.lock pins

$(VENV)/.installed: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and "error: Cifra needs Python 3.11 to 3.13, this is " + sys.version.split()[0] + ": try make PYTHON=python3.13")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

.PHONY: test
test: setup  ## run all tests
	pytest

.PHONY: lint
lint: setup  ## formatting, lint, types, and whether a fault is known of a package
	ruff format --check .
	ruff check .
	mypy
	@python -m bench.audit

.PHONY: ui
ui: setup  ## compare runs in MLflow at http://127.0.0.1:5000
	python -m stages.track
	@python -m cifra ui

.PHONY: serve
serve: setup  ## draw and answer, at http://127.0.0.1:8000
	python -m serve

.PHONY: bench-serve
bench-serve: setup  ## measure the server beside others; needs wrk, and some GB for their environments
	python -m bench.serve

.PHONY: bench-train
bench-train: setup  ## measure the training loop beside the notebooks' own
	python -m bench.train

.PHONY: soak
soak: setup  ## kill the pipeline at KILLS random moments (200), and compare every byte with an unbroken run
	python -m bench.soak $(or $(KILLS),200)

.PHONY: soak-serve
soak-serve: setup  ## load the server for MINUTES (10), swap its model 50 times and restart it 5 times meanwhile
	python -m bench.soak_serve --minutes $(or $(MINUTES),10)

.PHONY: fuzz
fuzz: setup  ## spoiled bytes for MINUTES (10) to each of what parses bytes
	python -m bench.fuzz --minutes $(or $(MINUTES),10)

.PHONY: clean
clean:  ## delete what the pipeline made, but not .venv, downloads, MLflow's runs or DVC's cache
	rm -rf data/raw data/split weights results figures models/*.onnx models/samples.* reports/*_*.csv .checkpoints

.PHONY: lock
lock: setup  ## pin the newest versions that pyproject.toml allows
	$(BIN)/python -m pip install --quiet uv
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
		--all-extras --upgrade pyproject.toml -o requirements.lock

.PHONY: sbom
sbom:  ## write sbom.json, the bill of materials of requirements.lock (CycloneDX)
	$(PYTHON) -m venv build/sbom
	build/sbom/bin/python -m pip install --quiet --disable-pip-version-check cyclonedx-bom==7.5.0
	build/sbom/bin/cyclonedx-py requirements --output-reproducible -o sbom.json requirements.lock

.PHONY: help
help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
