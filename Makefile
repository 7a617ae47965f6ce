# The same commands on a laptop and in CI. `make run` and `make test` work on a fresh clone.
PYTHON ?= python3
BIN := .venv/bin
# Tests at once: more than there are cores, because they wait for processes.
JOBS ?= 4

.PHONY: run test lint types check chaos bench clean

run: .venv/.run-installed  ## create the environment, migrate the database, serve the demo
	$(BIN)/chatwoot-bot serve

test: .venv/.dev-installed  ## every test; those that draw pages or kill processes alone
	$(BIN)/pytest -n $(JOBS) --dist worksteal --ignore tests/browser --ignore tests/chaos
	$(BIN)/pytest tests/browser tests/chaos

lint: .venv/.dev-installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

chaos: .venv/.dev-installed  ## the long form: faults and kills for minutes
	CHAOS=long $(BIN)/pytest -s tests/chaos

types: .venv/.dev-installed
	$(BIN)/mypy

check: lint types test

clean:
	rm -rf .venv dist build

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.run-installed: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/.dev-installed: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@ .venv/.run-installed
