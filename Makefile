# `make demo` and `make test` set up what they need; on a fresh machine Python 3.11+, make and the package index are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
FAST := tests/unit tests/property tests/test_tidy.py
ALONE := tests/acceptance tests/docs $(addprefix tests/integration/demo/test_demo_,load.py saturation.py)
BESIDE := tests $(foreach place,$(ALONE),--ignore=$(place))

.DEFAULT_GOAL := help
.PHONY: help demo demo-all test test-all check simulate bench docs clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[demo]' --group dev
	@touch $(STAMP)

demo: $(STAMP) ## the short story: a good release with a schema change, two bad ones that come back (3 minutes)
	$(BIN)/crossfade demo

demo-all: $(STAMP) ## every story: also the fuse, an abandoned change, a mended one, a purge
	$(BIN)/crossfade demo --all

check: $(STAMP) ## ruff, types, imports, tidy, unit: what to run before a commit
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q $(FAST)

# Whole services under load are walked alone; all else waits more than it works, so two files run at a time.
test: $(STAMP) ## everything but the long runs (under 25 minutes on 2 cores)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -m "not long" -n 2 --dist loadfile $(BESIDE)
	$(BIN)/pytest -m "not long" $(ALONE)

test-all: $(STAMP) ## everything: every-row kills on real parts, long simulations
	$(BIN)/pytest

simulate: $(STAMP) ## replay one simulated release: make simulate SEED=1234
	$(BIN)/pytest -q -s tests/simulation -k random_faults --seed $(SEED)

bench: $(STAMP) ## the benchmarks, printed as tables
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

docs: $(STAMP) ## write the generated reference pages anew
	@for file in tools/write_*.py; do $(BIN)/python $$file || exit 1; done

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
