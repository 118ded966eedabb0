# SPDX-License-Identifier: GPL-3.0-or-later
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

BIN := .venv/bin
READY := .venv/.ready
STEP := scripts/step
# A file's tests stay together, as they share a lab.
WORKERS ?= $(shell nproc)
PYTEST := $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder
export WORKERS
# What test-matrix has run already, make test does not run a third time.
SELECT ?=

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.build/collections
# What Ansible keeps for itself stays in here, and no setting of the user's changes what the tests see.
export ANSIBLE_HOME := $(CURDIR)/.build/ansible
export ANSIBLE_CONFIG := $(CURDIR)/.build/ansible.cfg
# Ansible refuses to run without a UTF-8 locale, and a small machine has none set.
export LC_ALL := C.UTF-8

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { gsub(/[$$][$$]/, "$$", $$2); printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(READY) ## a migration in the lab, to the proof of every row
	@$(BIN)/python demo/run.py

.PHONY: rehearse
rehearse: $(READY) ## yours: INVENTORY=path [PLAYBOOK=name] [SIZE=MB]
	@: "$${INVENTORY:?give your inventory: make rehearse INVENTORY=path}"
	@PYTHONPATH=.build/collections:tests/lab $(BIN)/python demo/rehearse.py \
		--size "$${SIZE:-10}" "$$INVENTORY" $(PLAYBOOK)

.PHONY: test
test: $(READY) ## everything that CI runs
	@$(MAKE) -k -j2 --output-sync=target sanity $(LINTS) postgres-versions matrix-environments
	@$(MAKE) test-matrix
	@$(MAKE) -k unit test-clients integration SELECT='-m "not matrix"'

# Conformance is one process for each suite; the lab's own tests have the other cores.
.PHONY: test-clients
test-clients: $(READY)
	@$(MAKE) -k -j2 --output-sync=target WORKERS=$$(((WORKERS + 1) / 2)) lab-test conformance

.PHONY: venv
venv: $(READY) ## the pinned requirements, and PostgreSQL

$(READY): requirements.txt $(wildcard tests/requirements/*.txt) scripts/setup
	@scripts/setup

.PHONY: lab
lab: $(READY) ## start the lab: eval "$$(make lab)"
	@PYTHONPATH=tests/lab $(BIN)/python -m pgflex_lab start
	@echo "export PATH='$(CURDIR)/$(BIN)':\"\$$PATH\" ANSIBLE_COLLECTIONS_PATH='$(ANSIBLE_COLLECTIONS_PATH)'"

.PHONY: lab-stop
lab-stop: $(READY) ## stop the lab and its PostgreSQL servers
	@PYTHONPATH=tests/lab $(BIN)/python -m pgflex_lab stop

.PHONY: unit
unit: $(READY) ## unit tests: no network, no lab
	@$(PYTEST) tests/unit

.PHONY: lab-test
lab-test: $(READY) ## the lab's own tests
	@$(PYTEST) tests/lab tests/postgres_versions

.PHONY: postgres-versions
postgres-versions: $(READY) ## PostgreSQL of the majors that the tests use
	@PYTHONPATH=tests $(BIN)/python -m postgres_versions

.PHONY: bench-data
bench-data: $(READY) ## copy, compare: [SIZES="1 5"] (GB) [RUNS=3] [MAJOR=15]
	@PYTHONPATH=tests $(BIN)/python tests/bench/data.py

.PHONY: bench-fleet
bench-fleet: $(READY) ## cost of many migrations: [SIZES="1 10"] [OPTIONS=...]
	@PYTHONPATH=.build/collections:tests/lab:tests/conformance $(BIN)/python tests/bench/fleet.py \
		--sizes $${SIZES-1 10 100} --empty $${EMPTY-1000} --az $${AZ-1 10} $(OPTIONS)

.PHONY: integration
integration: $(READY) ## playbooks, roles and modules against the lab; the demo
	@$(PYTEST) $(SELECT) tests/integration tests/demo

.PHONY: conformance
conformance: $(READY) ## clients that others wrote judge the lab
	@$(PYTEST) -n 0 tests/conformance

.PHONY: coverage
coverage: $(READY) ## unit tests, and the lines that they did not reach
	@$(PYTEST) tests/unit --cov --cov-report=term-missing:skip-covered

LINTS := lint-ruff lint-format lint-mypy lint-yaml lint-ansible lint-docs lint-changelog lint-shell

.PHONY: lint $(LINTS)
lint: $(READY) ## style, types, documentation, playbooks, shell scripts
	@$(MAKE) -k -j2 --output-sync=target $(LINTS)

lint-ruff: $(READY)
	@$(STEP) 'ruff check' $(BIN)/ruff check --no-cache --quiet --output-format concise

lint-format: $(READY)
	@$(STEP) 'ruff format' $(BIN)/ruff format --check --no-cache --output-format concise

lint-mypy: $(READY)
	@$(STEP) 'mypy --strict' $(BIN)/mypy

lint-yaml: $(READY)
	@$(STEP) yamllint $(BIN)/yamllint --strict .

lint-ansible: $(READY)
	@$(STEP) ansible-lint $(BIN)/ansible-lint --offline --nocolor

lint-docs: $(READY)
	@$(STEP) antsibull-docs $(BIN)/antsibull-docs lint-collection-docs --plugin-docs --skip-rstcheck .

lint-changelog: $(READY)
	@$(STEP) antsibull-changelog $(BIN)/antsibull-changelog lint

lint-shell: $(READY)
	@$(STEP) shellcheck $(BIN)/shellcheck $$(git grep -lE '^#!.*\b(ba)?sh$$')

.PHONY: sanity
sanity: $(READY) ## ansible-test sanity, in a virtual environment
	@$(STEP) 'ansible-test sanity' scripts/sanity

.PHONY: matrix-environments
matrix-environments: $(READY)
	@scripts/matrix environments

.PHONY: test-matrix
test-matrix: $(READY) ## the oldest and the newest ansible-core
	@scripts/matrix

.PHONY: format
format: $(READY) ## format the Python files
	@$(BIN)/ruff check --no-cache --fix-only --quiet
	@$(BIN)/ruff format --no-cache

.PHONY: build
build: $(READY) ## the collection as an archive, in .build
	@$(BIN)/ansible-galaxy collection build --force --output-path .build

.PHONY: lock
lock: $(READY) ## newest constraints.txt; needs python3.11 to 3.13
	@$(BIN)/python scripts/lock.py python3.11 python3.12 python3.13

.PHONY: clean
clean: ## remove all that make made here; stops the lab first
	@if [[ -x $(BIN)/python ]]; then PYTHONPATH=tests/lab $(BIN)/python -m pgflex_lab stop || true; fi
	@rm -rf .build .venv .pytest_cache .mypy_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
