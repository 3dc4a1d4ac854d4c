# What a newcomer types: `make demo` and `make test`.
PYTHON ?= python3
WORKERS ?= logical
VENV   := .venv
BIN    := $(VENV)/bin
FUZZ_CASES ?= 90
STAMP  := $(VENV)/.installed

.PHONY: help install demo check test fuzz test-openclaw bench lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(STAMP) ## .venv with `hub` and `safety-wrapper`, from hash-locked dependencies

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: install ## a Hub with a database, ten small companies and their twelve live tenants
	$(BIN)/hub demo

check: install ## format, lint, types, the laws of the house
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: install ## the whole test suite, on a real PostgreSQL and real sockets (WORKERS=1: one process)
	$(BIN)/pytest -n $(WORKERS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

fuzz: install ## every operation of the HTTP API with generated calls, for long (FUZZ_CASES each)
	HUB_TEST_FUZZ_CASES=$(FUZZ_CASES) $(BIN)/pytest -s tests/end_to_end/contract/test_fuzz.py

test-openclaw: install ## the bridge against the real OpenClaw gateway from npm (1.4 GB, once)
	HUB_TEST_OPENCLAW=1 $(BIN)/pytest tests/openclaw

bench: install ## figures: actors, sockets beside a peer, decisions, a reconnect storm, kill -9 under load, requests, the console
	$(BIN)/python -m bench.actors
	$(BIN)/python -m bench.sockets
	$(BIN)/python -m bench.decisions
	$(BIN)/python -m bench.storm
	$(BIN)/python -m bench.durable
	$(BIN)/python -m bench.calls
	$(BIN)/python -m bench.console

lock: ## resolve the dependencies again, with hashes (needs uv)
	uv pip compile --universal --generate-hashes --python-version 3.11 --extra dev \
	  --custom-compile-command "make lock" --upgrade pyproject.toml -o requirements.lock

clean: ## remove what was built
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
