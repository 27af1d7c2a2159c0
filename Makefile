# `make run` and `make test` do all the set-up by themselves, into .venv, and may be called again at any time.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

# The first Python that is 3.11 or 3.12 (run, not looked up: a version manager's shim may answer for one it has not got).
PYTHON ?= $(shell for p in python3 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null && { echo $$p; break; }; done)
CORES ?= 2
CONFIG ?= configs/laptop.yaml
CHAOS ?= chaos
REPLICATES ?= 0 1 2
# Asked first for torch; where it does not answer, and where this is empty, pip's own index has the word.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
TORCH := $(shell grep '^torch==' constraints.txt)
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: run test unit parity chaos study install clean

# --nolock: a killed run goes on with the same command; that no two processes work on one stage, the stages see to.
run: $(VENV)/installed
	snakemake --cores $(CORES) --nolock --rerun-incomplete --configfile $(CONFIG)
	polaris show --configfile $(CONFIG)

test: $(VENV)/installed
	python -m pytest tests --durations=10

unit: $(VENV)/installed
	python -m pytest tests/unit tests/parity tests/test_architecture.py

# The generalist's trainer in every layout against one process: the table of docs/generalist.md.
parity: $(VENV)/installed
	python -m tests.parity.megatron_layouts

# Kills at random moments, about an hour; interrupted, the same command goes on.
chaos: $(VENV)/installed
	python tests/chaos/kill_merge.py $(CHAOS)/merge
	python tests/chaos/kill_run.py $(CHAOS)/run

# The laptop recipe with its controls and the recipe of sparse rewards, once per replicate (hours): the records and the
# pages of docs/study. Interrupted, the same command goes on.
study: $(VENV)/installed
	for replicate in $(REPLICATES); do \
	  snakemake --cores $(CORES) --nolock --rerun-incomplete --configfile configs/laptop.yaml configs/laptop_study.yaml \
	    --config run=study_$$replicate replicate=$$replicate; \
	  snakemake --cores $(CORES) --nolock --rerun-incomplete --configfile configs/laptop_sparse.yaml \
	    --config run=sparse_$$replicate replicate=$$replicate; \
	  polaris study $(REPLICATES); \
	done

install: $(VENV)/installed

# One environment with every engine, without a GPU, from a complete list (constraints.txt says why --no-deps). torch comes
# first and with its own dependencies: beside PyPI's build, a CUDA one, those are packages that the list does not have.
# -qq: pip's warnings of indexes that lack a package are no news.
PIP := $(BIN)/python -m pip install -qq
$(VENV)/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "polaris needs Python 3.11 or 3.12; name one: make PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -m envs.machine
	@test -x $(BIN)/python || { $(PYTHON) -m venv $(VENV) && $(PIP) --upgrade 'pip>=25'; }
	@if timeout 10 $(PYTHON) -m envs.machine "$(TORCH_INDEX)" $(TORCH); then \
	  echo "installing $(TORCH), the CPU build, from $(TORCH_INDEX)"; \
	  $(PIP) --no-deps --index-url "$(TORCH_INDEX)" $(TORCH); \
	else \
	  echo "installing $(TORCH) as pip's own index has it (PyPI has a CUDA build, which takes minutes and 7 GB)"; \
	  $(PIP) --constraint constraints.txt $(TORCH); \
	fi
	@echo "installing the packages of constraints.txt"
	@$(PIP) --no-deps -r constraints.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

clean:
	rm -rf $(VENV) .snakemake build ./*.egg-info
