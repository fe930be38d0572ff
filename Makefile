# Needs Python >= 3.11 and a package registry; everything else is installed into .venv from locks with hashes (the tests of Node by npm, where it is).
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
T ?= tests
BIN := .venv/bin
# One process more than there are cores: tests wait as much as they compute. What takes longest goes first (tests/conftest.py): no file
# waits because it has few tests.
PYTEST = $(BIN)/pytest --numprocesses $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)') --dist loadfile --no-loadscope-reorder
# Kept whenever all tests run, so that `check` right after `test` does not run them a second time.
COVERED := --cov --cov-report= --cov-fail-under=0
# What all tests passed on last, servers tried or not: newer than every file that they could depend on, or made again.
TESTED := .tested$(if $(filter true,$(CI))$(SERVERS),-with-servers)
SOURCES := Makefile pyproject.toml README.md $(shell find llm_backend tests campaign benchmarks spec migrations docs k8s requirements -type f -not -name '*.pyc' -not -path '*/node_modules/*')
# npm writes this file when everything is in place; without npm the Node suite is skipped by name.
NODE := tests/clients/node
NODE_SDK := $(if $(shell command -v npm),$(NODE)/node_modules/.package-lock.json)
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes

.PHONY: help run installed test check format lint types imports coverage proof calls campaign bench spec lock wheel clean

help:  ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/run  ## serve on 127.0.0.1:8000 (or PORT=…), with a development key that stays the same
	@$(BIN)/llm-backend dev $(if $(PORT),--port $(PORT))

installed: .venv/dev .venv/sdk2 $(NODE_SDK)  ## install all that the tests and checks need; with --jobs at the same time

test: installed  ## run the tests, or some: make test T=tests/edge; SERVERS=1 adds PostgreSQL
	$(PYTEST) $(if $(filter tests,$(T)),$(COVERED)) $(T)
	@$(if $(filter tests,$(T)),touch $(TESTED))

check: format lint types imports coverage  ## all that CI asks

format: .venv/dev  ## is every file formatted? (make format FIX=1 mends)
	$(BIN)/ruff format $(if $(FIX),,--check) .

lint: .venv/dev  ## ruff, all rules minus a short list with reasons
	$(BIN)/ruff check $(if $(FIX),--fix,) .

types: .venv/dev  ## mypy, strict, package and tests
	$(BIN)/mypy

imports: .venv/dev  ## who may import whom
	$(BIN)/lint-imports

coverage: $(TESTED)  ## which branches the tests reach; runs them first where anything changed since
	$(BIN)/coverage report

$(TESTED): $(SOURCES) | .venv/dev .venv/sdk2 $(NODE_SDK)
	$(PYTEST) $(COVERED)
	@touch $@

proof: .venv/dev  ## the long proofs whole: races, kills, flatness, schemathesis (docs/reliability.md); SERVERS=1 adds PostgreSQL
	PROOF=1 $(BIN)/pytest tests/proof tests/whole/test_schemathesis.py

calls: .venv/dev  ## count anew what a request calls, into tests/proof/calls_per_request.json
	$(BIN)/python -m tests.proof.counting

campaign: .venv/dev  ## stop, freeze and kill databases and servers under streams; ROUNDS=50 for more
	$(BIN)/python -m campaign $(if $(ROUNDS),--rounds $(ROUNDS))

bench: .venv/run  ## what a request costs, beside a bare relay (docs/performance.md): make bench ARGS=--quick
	$(BIN)/python -m benchmarks $(ARGS)

spec: .venv/dev  ## compile spec/openai.json and docs/coverage.md anew from the pinned SDK
	$(BIN)/llm-backend spec compile
	$(BIN)/llm-backend spec coverage --out docs/coverage.md

lock: .venv/dev  ## resolve requirements/*.txt and the Node suite's lock anew
	PATH="$(CURDIR)/$(BIN):$$PATH" requirements/lock.sh
	$(if $(NODE_SDK),npm install --prefix $(NODE) --package-lock-only --loglevel error)

wheel: .venv/dev  ## build dist/llm_backend-*.whl, with the contract and the migrations inside
	$(BIN)/python -m hatchling build --target wheel

clean:  ## remove .venv and caches; keeps databases and .dev/
	rm -rf .venv $(NODE)/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* .tested* dist

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "llm-backend needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv

.venv/run: requirements/run.txt requirements/build.txt pyproject.toml | .venv/bin/python
	@echo "Installing what the server needs into .venv (once) …"
	$(PIP) -r requirements/run.txt -r requirements/build.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev: requirements/dev.txt .venv/run
	@echo "Installing what the checks and tests need (once) …"
	$(PIP) -r requirements/dev.txt
	@touch $@

.venv/sdk2: requirements/sdk2.txt | .venv/bin/python
	@echo "Installing an older generation of OpenAI's SDK, which the tests try beside today's (once) …"
	$(PYTHON) -m venv .venv/openai2
	.venv/openai2/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(NODE)/node_modules/.package-lock.json: $(NODE)/package-lock.json
	@echo "Installing OpenAI's SDK for Node, and Node 22, which the tests try too (once) …"
	npm ci --prefix $(NODE) --loglevel error
	@touch $@
