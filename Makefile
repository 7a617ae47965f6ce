# The same commands on a laptop and in CI. `make run` and `make test` work on a fresh clone.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Tests at once: more than there are cores, because they wait for processes.
JOBS ?= 4

.PHONY: help run test lint types security docs site check chaos real lock clean

help:  ## what there is to make
	@sed -n 's/^\([a-z]*\):.*## /\1: /p' $(MAKEFILE_LIST)

run: .venv/.run-installed  ## create the environment, migrate the database, serve the demo
	$(BIN)/chatwoot-bot serve

# Pages, kills and a real model need the processors for themselves.
ALONE := tests/browser tests/chaos tests/real
test: .venv/.dev-installed  ## every test; tests/real only where its packages are
	$(BIN)/pytest -n $(JOBS) --dist worksteal $(addprefix --ignore ,$(ALONE))
	$(BIN)/pytest $(ALONE)

lint: .venv/.dev-installed  ## form and style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

chaos: .venv/.dev-installed  ## the long form: faults and kills for minutes
	CHAOS=long $(BIN)/pytest -s tests/chaos

real: .venv/.real-installed  ## a real model server with small models (700 MB)
	$(BIN)/pytest -rs tests/real

types: .venv/.dev-installed  ## mypy, strict
	$(BIN)/mypy

security: .venv/.dev-installed  ## static security findings of medium severity or higher
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml \
		--severity-level medium chatwoot_bot

docs: .venv/.dev-installed  ## write the generated pages, and build the site into build/site
	PYTHONPATH=docs/_tools $(BIN)/python -m reference
	$(MAKE) site

site: .venv/.dev-installed  ## the documentation site alone; a broken link or anchor fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

check: lint types security site test  ## what CI runs

clean:  ## remove the environment and what was built
	rm -rf .venv dist build

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.run-installed: pyproject.toml requirements.txt | .venv/bin/python
	$(INSTALL) --require-hashes -r requirements.txt
	$(INSTALL) --no-deps --no-build-isolation -e .
	touch $@

.venv/.dev-installed: pyproject.toml requirements-dev.txt | .venv/bin/python
	$(INSTALL) --require-hashes -r requirements-dev.txt
	$(INSTALL) --no-deps --no-build-isolation -e .
	touch $@ .venv/.run-installed

.venv/.real-installed: tests/real/requirements.txt | .venv/.dev-installed
	$(INSTALL) --no-deps -r tests/real/requirements.txt
	touch $@

# Newest versions: delete the two files first. uv resolves for every platform.
LOCK := uv pip compile pyproject.toml - --generate-hashes --universal \
	--python-version 3.11 --no-strip-extras --no-header --no-annotate --quiet
lock:  ## pin dependencies with hashes; hatchling builds the package itself
	printf 'hatchling\neditables\n' | $(LOCK) --extra postgres -o requirements.txt
	printf 'hatchling\neditables\n' | $(LOCK) --extra dev -o requirements-dev.txt
