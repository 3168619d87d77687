# Needs only Python 3.11 or newer, make and the package registries. `make` alone lists what there is.

SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
PYTHON := $(BIN)/python
# -n of pytest-xdist; two suit a small machine.
JOBS ?= 2

.PHONY: help run test check format demo bench soak screenshots db-revision clean

help: ## list these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

run: $(VENV)/.installed-run ## start the console with everything it needs; PORT and DATA_DIR change where
	@exec $(PYTHON) -m app.supervisor

test: check ## lint, types and every test that this machine can run
	@$(BIN)/pytest -n $(JOBS) --dist loadgroup

check: $(VENV)/.installed-dev ## lint, format, types, templates and who may import whom
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@if [ -d app/templates ]; then $(BIN)/djlint app/templates --lint --quiet; fi
	@$(BIN)/lint-imports --no-logo

format: $(VENV)/.installed-dev ## put the code in order
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

demo: $(VENV)/.installed-run ## the main job once, against a real SCIM server, without a browser
	@$(PYTHON) -m app.demo

bench: $(VENV)/.installed-dev ## run the benchmarks
	@$(PYTHON) -m bench

soak: $(VENV)/.installed-dev ## kill workers and servers under load for a while, then count
	@$(PYTHON) -m bench.soak

screenshots: $(VENV)/.installed-dev ## pictures of the main pages into docs/screenshots
	@$(PYTHON) -m bench.screenshots

db-revision: $(VENV)/.installed-dev ## a new migration from the models: make db-revision m="add a column"
	@test -n "$(m)" || { echo 'Say what it does: make db-revision m="add a column"' >&2; exit 2; }
	@made=$$(mktemp -d) && trap 'rm -rf "$$made"' EXIT && \
	  export DATA_DIR="$$made" DATABASE_URL="sqlite:///$$made/migrated.db" && \
	  next=$$(printf %04d $$(($$(ls migrations/versions/*.py | wc -l) + 1))) && \
	  $(BIN)/flask --app wsgi db upgrade && \
	  $(BIN)/flask --app wsgi db revision --autogenerate --rev-id "$$next" -m "$(m)"

clean: ## remove what these made, the embedded data included
	rm -rf $(VENV) instance .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache test-results
	find app tests migrations -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp for each set: packages are installed again only when their list has changed.
$(VENV)/.installed-run: requirements.txt requirements-embedded.txt | $(PYTHON)
	@echo "Installing what the console needs…"
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements-embedded.txt
	@touch $@

$(VENV)/.installed-dev: requirements.txt requirements-embedded.txt requirements-dev.txt | $(PYTHON)
	@echo "Installing what the tests need…"
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@ $(VENV)/.installed-run

# The first Python on this machine that is new enough.
$(PYTHON):
	@for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	  if command -v $$name >/dev/null 2>&1 && \
	     $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Making $(VENV) with $$name…"; \
	    $$name -m venv $(VENV) && exit 0; \
	    echo "$$name cannot make a virtual environment; install its venv package (on Debian python3-venv)." >&2; \
	    exit 1; \
	  fi; \
	done; \
	echo "Python 3.11 or newer is needed and none was found on the PATH." >&2; exit 1
