# Needs Python 3.11 or newer, make and git. `make help` lists what there is to do.
# Everything is installed into .venv of this folder and nowhere else; PYTHON=... chooses the interpreter.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
unexport PYTHONPATH VIRTUAL_ENV PYTHONHOME

ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif
PY := $(BIN)/python
PIP := $(PY) -m pip --disable-pip-version-check

# The first interpreter that is new enough and can make virtual environments.
GOOD := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	"$$p" -c "$(GOOD)" >/dev/null 2>&1 && { echo "$$p"; exit; }; done)

# Tests: how many at once, and what else to tell pytest (make test ARGS="-k csv").
WORKERS ?= auto
ARGS ?=
PYTEST = $(PY) -m pytest -n $(WORKERS) --dist worksteal -q $(ARGS)

##@ Use
.PHONY: run
run: .venv/.app ## Install, then show the whole thing on samples (`kasparro demo`; needs no network once installed)
	@$(BIN)/kasparro demo $(ARGS)
	@echo "The program is $(BIN)/kasparro; on your path: . $(BIN)/activate"

.PHONY: demo
demo: run ## The same as `make run`

.PHONY: install
install: .venv/.app ## Install the program into .venv and do nothing else

##@ Test
.PHONY: test
test: .venv/.dev ## All tests, PostgreSQL included
	@$(PYTEST) tests

.PHONY: test-unit
test-unit: .venv/.dev ## Unit tests
	@$(PYTEST) tests/unit

.PHONY: test-contract
test-contract: .venv/.dev ## One contract, every store: in-memory, SQLite, PostgreSQL
	@$(PYTEST) tests/contract

.PHONY: test-integration
test-integration: .venv/.dev ## Tests that run the program as a whole, crashes included
	@$(PYTEST) tests/integration

##@ Check
.PHONY: lint
lint: .venv/.dev type-check ## Style, format, types, layers, dependencies, workflow
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(BIN)/lint-imports --no-cache
	@$(PY) -m deptry src
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

.PHONY: type-check
type-check: .venv/.dev ## mypy, strict
	@$(PY) -m mypy

.PHONY: format
format: .venv/.dev ## Format the code and mend what can be mended without asking
	@$(PY) -m ruff check --fix-only --quiet .
	@$(PY) -m ruff format .

##@ Keep
.PHONY: clean
clean: ## Remove what the other targets made (.venv, caches, builds, the demo's folder)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* htmlcov build dist kasparro-demo
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# Stamps: made once, and again when the requirements change.
.venv/.made:
	@test -n "$(PYTHON)" || { echo "Kasparro needs Python 3.11 or newer with its venv module, and found none. Install it, or say where it is: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c "$(GOOD)" || { echo "Kasparro needs Python 3.11 or newer with its venv module; $(PYTHON) is not: $$("$(PYTHON)" --version 2>&1)" >&2; exit 1; }
	"$(PYTHON)" -m venv .venv
	@touch $@

.venv/.app: .venv/.made pyproject.toml constraints.txt
	$(PIP) install -q -e ".[all]" -c constraints.txt
	@touch $@

# Dependency groups came with pip 25.1.
.venv/.dev: .venv/.app
	$(PIP) install -q --upgrade "pip>=25.1"
	$(PIP) install -q --group dev -c constraints.txt
	@touch $@
