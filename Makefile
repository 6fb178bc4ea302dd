# Everything a developer runs, in one place. Continuous integration and pre-commit call these same recipes.
# Paths are relative on purpose: the checkout may live in a directory with spaces.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help up demo test test-compose upgrade-test recordings lint types fmt unit bench bench-telemetry chaos docs images screenshots vendor lock clean

UV := tools/uv
RUN := $(UV) run --no-sync
KILLS ?= 100
ARGS ?=

help: ## list every recipe
	@printf 'Vigie. Recipes:\n\n'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\nARGS="..." is passed on to the program behind the recipe: make up ARGS=--help\n'

up: ## start Vigie and its servers on this machine (front door on port 3000)
	@$(UV) sync --quiet --frozen --no-dev --inexact
	@exec $(RUN) vigie up $(ARGS)

demo: ## send the traffic of five simulated booking services to a running Vigie
	@$(UV) sync --quiet --frozen --no-dev --inexact
	@exec $(RUN) vigie demo $(ARGS)

test: .sync ## lint, types and the whole test suite; real servers are found or started
ifeq ($(strip $(ARGS)),)
	@exec $(RUN) python -m tools.suite
else
	@failed=''; \
	for part in lint types; do $(MAKE) --no-print-directory $$part || failed="$$failed $$part"; done; \
	$(RUN) pytest $(ARGS) || failed="$$failed pytest"; \
	if [ -n "$$failed" ]; then printf 'make test: FAILED in%s\n' "$$failed" >&2; exit 1; fi; \
	printf 'make test: lint, types and tests passed\n'
endif

unit: .sync ## only the tests that need no server
	@$(RUN) pytest -m 'not connected and not fault and not e2e' $(ARGS)

test-compose: .sync ## run the core of the compose stack where a Docker daemon is, and kill its containers (VIGIE_TEST_DOCKERD=1 starts a daemon)
	@exec $(RUN) pytest tests/e2e/test_compose.py $(ARGS)

upgrade-test: .sync ## replace the services of the last release by today's and back, one by one, under load: PASS or FAIL
	@exec $(RUN) python -m tests.upgrade $(ARGS)

recordings: .sync ## record anew what the services of the last release write, after tests/upgrade/BASE was changed
	@exec $(RUN) python -m tests.upgrade.record

lint: .sync ## ruff, the house rules of tools/lints, and the types of the dashboard's modules
	@failed=0; \
	$(RUN) ruff check || failed=1; \
	$(RUN) ruff format --check --quiet || { printf 'ruff format: run make fmt\n' >&2; failed=1; }; \
	$(RUN) python -m tools.lints || failed=1; \
	$(RUN) python -m tools.javascript || failed=1; \
	exit $$failed

types: .sync ## pyright, strict on the libraries
	@$(RUN) pyright

fmt: .sync ## format, and fix what ruff can fix
	@$(RUN) ruff check --fix --quiet || true
	@$(RUN) ruff format

bench: .sync ## measure every stage and check the sums: PASS or FAIL
	@exec $(RUN) python -m tests.bench $(ARGS)

bench-telemetry: .sync ## measure the reads of node telemetry with 10,000 tenants: PASS or FAIL
	@exec $(RUN) python -m tests.bench.telemetry $(ARGS)

chaos: .sync ## kill processes under load and compare the sums: make chaos KILLS=100
	@exec $(RUN) python -m tests.chaos --kills $(KILLS) $(ARGS)

docs: .sync ## write anew what is generated: docs/settings.md, docs/asyncapi.yaml, docs/asyncapi-live.yaml and their page, the topics in docs/architecture.md, the Grafana dashboards, deploy/k8s
	@$(RUN) python -m tools.settings
	@$(RUN) python -m tools.asyncapi
	@$(RUN) python -m tools.dashboards
	@$(RUN) python -m tools.deployment

vendor: .sync ## copy what the dashboard loads of other people's code, from the packages of its lock file
	@$(RUN) python -m tools.vendor

images: .sync ## build the image of every service with docker, and print the sizes
	@exec $(RUN) python -m tools.images $(ARGS)

screenshots: .sync ## take pictures of every page of the dashboard, with chromium; docs/images has some of them
	@exec $(RUN) python -m tools.screenshots $(ARGS)

lock: ## update uv.lock after a change of dependencies
	@$(UV) lock
	@$(UV) sync --quiet

clean: ## remove environments, caches and build output; data in .vigie/ stays
	rm -rf .venv .tools .pytest_cache .ruff_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: .sync
.sync:
	@$(UV) sync --quiet --frozen
