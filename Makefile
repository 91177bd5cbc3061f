# `make` takes images to served-ready models; `make help` names the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export ORT_DISABLE_TELEMETRY := 1
export UV_SYSTEM_CERTS := true
export PATH := $(CURDIR)/$(BIN):$(PATH)

# The scripts of an environment hold its path: of one that was moved nothing is used, and it is made anew.
MOVED := $(shell [ ! -e $(VENV)/.installed ] || [ "$$(cat $(VENV)/.installed)" = "$(CURDIR)" ] || echo moved)

# By uv, in a quarter of pip's time; by pip, where uv cannot be had or finds no index. Both demand the hashes.
define install
$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock && \
	$(BIN)/python -m uv pip install --python $(BIN)/python --require-hashes -r $(1) || \
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r $(1)
endef

.PHONY: all
all: setup  ## set up, run the pipeline, print the results
	@python -m cifra results --whose
	python -m dvc repro
	@python -m cifra results

.PHONY: setup
setup: $(VENV)/.installed private  ## make .venv and install what requirements.lock pins

# DVC's index holds pickles, in a folder where by itself every account of the machine may write.
.PHONY: private
private: $(VENV)/.installed
	@grep -qsF "= $(CURDIR)/.dvc/site" .dvc/config.local || { mkdir -p .dvc/site && chmod 700 .dvc/site && \
		python -m dvc config --local core.site_cache_dir "$(CURDIR)/.dvc/site"; }

.PHONY: repository
repository:
	@git rev-parse --git-dir >/dev/null 2>&1 || grep -qs 'no_scm = true' .dvc/config .dvc/config.local || { \
		git rev-parse --git-dir 2>&1 | grep -q dubious && \
		echo "error: this folder belongs to another user: git config --global --add safe.directory '$(CURDIR)'" || \
		echo "error: DVC needs a git repository, which this folder is not: run git init (or add no_scm = true under [core] in .dvc/config, to do without experiments)"; \
		exit 2; } >&2

$(VENV)/.installed: requirements.lock requirements-uv.lock $(MOVED) | repository
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and "error: Cifra needs Python 3.11 to 3.13, this is " + sys.version.split()[0] + ": try make PYTHON=python3.13")'
	$(if $(MOVED),rm -rf $(VENV))
	$(PYTHON) -m venv $(VENV)
	$(call install,requirements.lock)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation --editable .
	@echo "$(CURDIR)" >$@

.PHONY: moved
moved:
	@echo "this folder was moved: $(VENV) is made anew"

$(VENV)/.tested: requirements-test.lock $(VENV)/.installed
	$(call install,requirements-test.lock)
	@touch $@

.PHONY: test
test: $(VENV)/.tested  ## run all tests
	python -m pytest

.PHONY: lint
lint: $(VENV)/.tested  ## formatting, lint, types, and whether a fault is known of a package
	python -m ruff format --check .
	python -m ruff check .
	python -m mypy
	@python -m bench.audit

.PHONY: ui
ui: setup  ## compare runs in MLflow at http://127.0.0.1:5000
	python -m stages.track
	@python -m cifra ui

.PHONY: serve
serve: setup  ## draw and answer, at http://127.0.0.1:8000
	python -m serve

.PHONY: docs
docs: $(VENV)/.tested  ## write into README and docs/ what comes from files and from the code
	python -m bench.docs

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
soak-serve: setup  ## load the server for MINUTES (10), swap its model 50 times meanwhile
	python -m bench.soak_serve --minutes $(or $(MINUTES),10)

.PHONY: fuzz
fuzz: setup  ## spoiled bytes for MINUTES (10) to each of what parses bytes
	python -m bench.fuzz --minutes $(or $(MINUTES),10)

.PHONY: clean
clean:  ## delete what the pipeline made, but not .venv, downloads, MLflow's runs or DVC's cache
	rm -rf data/raw data/split weights models results figures champion samples int8 .checkpoints \
		reports/figures reports/training.csv reports/predictions.csv

COMPILE := python -m uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-header --no-annotate --python-version 3.11

.PHONY: lock
lock: setup  ## pin the newest versions that pyproject.toml allows
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-uv.lock
	$(COMPILE) --upgrade --extra pipeline pyproject.toml -o requirements.lock
	$(COMPILE) --upgrade --extra test pyproject.toml --constraint requirements.lock -o requirements-test.lock
	echo uv | $(COMPILE) --upgrade - -o requirements-uv.lock
	sed -nE 's/^(matplotlib|onnx|onnxruntime|scikit-learn|torch)==([^ ;]+).*/\1: \2/p' requirements.lock | sort -u >versions.yaml

.PHONY: sbom
sbom:  ## write sbom.json, the bill of materials of requirements.lock (CycloneDX)
	$(PYTHON) -m venv build/sbom
	build/sbom/bin/python -m pip install --quiet --disable-pip-version-check cyclonedx-bom==7.5.0
	build/sbom/bin/cyclonedx-py requirements --output-reproducible -o sbom.json requirements.lock

.PHONY: help
help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
