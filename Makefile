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

COMPOSE ?= docker compose
PROFILE ?=

# Tests: how many at once (one more than there are processors: many wait for something else), and what else to tell
# pytest (make test ARGS="-k csv").
WORKERS ?= $(shell $(PYTHON) -c "import os; print((os.cpu_count() or 1) + 1)")
ARGS ?=
PYTEST = $(PY) -m pytest -n $(WORKERS) --dist worksteal -q $(ARGS)

##@ Use
.PHONY: run
run: .venv/.app ## Install, then show the whole thing on samples (ARGS=--serve: as a service); needs no network once installed
	@$(BIN)/kasparro demo $(ARGS)
	@echo "The program is $(BIN)/kasparro; on your path: . $(BIN)/activate"

.PHONY: demo
demo: run ## The same as `make run`

.PHONY: serve
serve: .venv/.app ## The service, from ./kasparro.toml: http://127.0.0.1:8000 (make serve ARGS="--port 9000")
	@$(BIN)/kasparro serve $(ARGS)

.PHONY: install
install: .venv/.app ## Install the program into .venv and do nothing else

##@ Containers (docker compose; docs/how-to/run-in-containers.md)
.PHONY: up
up: .env kasparro.toml ## The service and PostgreSQL (PROFILE=monitoring: Prometheus and Grafana too)
	$(COMPOSE) $(if $(PROFILE),--profile $(PROFILE)) up --build --detach --wait

.PHONY: down
down: ## Stop and remove the containers; the data stays
	$(COMPOSE) --profile monitoring down

.PHONY: restart
restart: ## Start the service anew, with kasparro.toml as it is now
	$(COMPOSE) restart app

.PHONY: logs
logs: ## Follow the service's log
	$(COMPOSE) logs --follow --tail 100 app

.PHONY: logs-db
logs-db: ## Follow the database's log
	$(COMPOSE) logs --follow --tail 100 db

.PHONY: psql
psql: ## SQL, in the running database
	$(COMPOSE) exec db psql --username kasparro kasparro

.PHONY: shell
shell: ## A shell in the running service
	$(COMPOSE) exec app bash

.PHONY: migrate
migrate: .env kasparro.toml ## Bring the database to this version (the service does it by itself when it starts)
	$(COMPOSE) run --rm app migrate

.PHONY: image
image: ## Build the image kasparro:local
	docker build --tag kasparro:local .

.PHONY: image-check
image-check: ## Run that image: the demo, the service, its health check, its stop
	@bash deploy/check-image.sh kasparro:local

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

# Storms of crashes: how many kills, system calls (a number, or all), zombies, crashes of PostgreSQL, full disks and rounds of
# triggers, and which part of it all is made here (SHARD=1/4 ... 4/4). docs/how-to/run-the-crash-tests.md tells of each.
KILLS ?= 200
POINTS ?= all
ZOMBIES ?= 50
STOPS ?= 50
DISKS ?= 50
TRIGGERS ?= 10
SHARD ?= 1/1
STORMS = KILLS POINTS ZOMBIES STOPS DISKS TRIGGERS SHARD
.PHONY: crash
crash: .venv/.dev ## Kill it hundreds of times and look each time (KILLS=200 POINTS=all SHARD=1/4; `make test` has a few of them)
	@env $(foreach name,$(STORMS),KASPARRO_CRASH_$(name)=$($(name))) $(PYTEST) tests/integration/crash

##@ Check
.PHONY: lint
lint: .venv/.dev type-check lint-deploy ## Style, format, types, layers, dependencies, and what lint-deploy looks at
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(BIN)/lint-imports --no-cache
	@$(PY) -m deptry src

SCHEMA = $(BIN)/check-jsonschema --quiet
.PHONY: lint-deploy
lint-deploy: .venv/.dev ## Dockerfiles, compose, workflows and deploy/, each by its schema; no network
	@$(BIN)/hadolint Dockerfile deploy/aws-ecs/Dockerfile
	@$(BIN)/zizmor --offline --quiet --no-progress .github/workflows
	@$(SCHEMA) --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(SCHEMA) --builtin-schema vendor.compose-spec docker-compose.yml
	@$(SCHEMA) --check-metaschema deploy/schemas/*.json
	@$(SCHEMA) --schemafile deploy/schemas/kubernetes.schema.json deploy/kubernetes/*.yaml
	@$(SCHEMA) --schemafile deploy/schemas/cloud-run-service.schema.json deploy/cloud-run/*.yaml
	@$(SCHEMA) --schemafile deploy/schemas/ecs-task-definition.schema.json deploy/aws-ecs/task-definition.json
	@$(SCHEMA) --schemafile deploy/schemas/eventbridge-schedule.schema.json deploy/aws-ecs/schedule.json
	@$(SCHEMA) --schemafile deploy/schemas/render.schema.json deploy/render.yaml

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

# What the containers need and only a person can give.
.env:
	@echo "There is no .env: copy .env.example to .env and set POSTGRES_PASSWORD in it." >&2; exit 1

kasparro.toml:
	@echo "There is no kasparro.toml: .venv/bin/kasparro init writes one (make install first)." >&2; exit 1

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
