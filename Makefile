# Opsmesh's verbs. A fresh machine needs python3 (3.11 or newer), make and a package registry; all else lands in .venv.

PYTHON ?= python3
JOBS ?= 2
SEED ?= 100
UV_VERSION := $(shell sed -n '/^name = "uv"$$/{n;s/^version = "\(.*\)"$$/\1/p;}' uv.lock)

VENV := .venv
BIN := $(VENV)/bin
SYNCED := $(VENV)/.synced
# -P keeps the current folder off the import path: our rooms are found through the installed project only.
RUN := $(BIN)/python -P
OPSMESH := $(RUN) $(BIN)/opsmesh

.DEFAULT_GOAL := help
.PHONY: help setup demo test check evals guard bench contracts

help: ## list the verbs
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)$$/  make \1	\2/p' Makefile | expand -t 18

setup: $(SYNCED) ## create .venv from the lock file

$(SYNCED): uv.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Opsmesh needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
		echo "$(PYTHON) cannot create environments here; install its venv module (Debian: python3-venv)." >&2; exit 1; }
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	@$(BIN)/uv sync --frozen --quiet
	@touch $@

demo: $(SYNCED) ## watch one incident go from fault to verified recovery
	@TMPDIR=$(SCRATCH) $(OPSMESH) demo --auto

# Stores of tests lie in memory where the machine offers that: they are thrown away, and waiting for a disk proves nothing.
SCRATCH := $(shell test -w /dev/shm && echo /dev/shm || echo $${TMPDIR:-/tmp})

test: $(SYNCED) ## run every test
	@TMPDIR=$(SCRATCH) $(RUN) -m pytest -n $(JOBS)

check: $(SYNCED) ## lint, format, types, layers, budgets
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports --no-logo
	$(RUN) -m tests.architecture.budgets

evals: $(SYNCED) ## every scenario and every service's case on one held seed; with DATA=folder also every public data set
	@TMPDIR=$(SCRATCH) $(OPSMESH) evals run --seed $(SEED) --html eval-results/report.html
	@TMPDIR=$(SCRATCH) $(OPSMESH) evals services --seed $(SEED)
	@$(if $(DATA),$(OPSMESH) evals datasets $(DATA))

guard: $(SYNCED) ## a small suite of episodes held against its committed figures
	@TMPDIR=$(SCRATCH) $(OPSMESH) evals guard

contracts: $(SYNCED) ## write the published events and APIs anew; refuses what breaks somebody built against them
	@$(RUN) -m tests.contract.compatible

bench: $(SYNCED) ## measure the hot paths
	@$(RUN) -m evals.bench
