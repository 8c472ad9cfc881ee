# Everything a person does with this repository. From nothing but git, GNU make and Python >= 3.11: `make demo`.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PY := .venv/bin/python
READY := .venv/.installed
export PYTHONUNBUFFERED := 1
# What is started here talks to 127.0.0.1 only.
export NO_PROXY := 127.0.0.1,localhost,$(NO_PROXY)

help: ## show this
	@echo "usage: make TARGET"
	@sed -n 's/^\([a-z][-a-z]*\):[^#]*## \(.*\)/\1	\2/p' Makefile | while IFS='	' read -r name text; do printf '  %-16s %s\n' "$$name" "$$text"; done

venv: $(READY) ## make .venv, or bring it up to date with setup.cfg

$(READY): setup.cfg pyproject.toml scripts/venv
	@PYTHON='$(PYTHON)' scripts/venv

binaries: $(READY) ## find, fetch or build etcd, kube-apiserver, kube-controller-manager and the server of simulated members (once)
	@$(PY) scripts/binaries.py

demo: $(READY) ## a host and four members on this machine, and what federation does (KEEP=1 leaves it up)
	@KEEP='$(KEEP)' $(PY) -m e2e.demo

demo-stop: $(READY) ## take down what `make demo KEEP=1` left up
	@$(PY) -m e2e.demo stop

test: $(READY) ## static checks and all tests; TESTS="tests/unit -k placement" chooses
	@scripts/test $(TESTS)

check: $(READY) ## static checks only: format, lint, types, import contracts, generated files
	@scripts/check

bench: $(READY) ## measure a controller from outside, beside a bare client and KubeFed's figures; QUICK=1 is short
	@QUICK='$(QUICK)' $(PY) -m e2e.bench

bench-scale: $(READY) ## the same with MEMBERS (default 100) simulated members, OBJECTS (default 50) on each; PARTS chooses
	@$(foreach each,MEMBERS OBJECTS IDLE SHARDS PARTS,$(each)='$($(each))') $(PY) -m e2e.bench.scale

bench-scale-all: $(READY) ## bench-scale for each of FLEETS (default "10 30 100 300 1000"), and its plot and table in docs; ADD=1 keeps other sizes
	@$(foreach each,FLEETS OBJECTS IDLE PARTS ADD,$(each)='$($(each))') $(PY) -m e2e.bench.scale.series

bench-typegen: $(READY) ## typegen's speed and memory on COUNT (default 500) generated CRDs, beside a plain YAML load and dump
	@$(PY) -m e2e.bench.typegen_bench --count $(or $(COUNT),500)

soak: $(READY) ## the randomised tests and fuzz for SOAK_MINUTES (default 30); OUTAGE=3600: one member down so many seconds; FEDERATION_SEED repeats
	@SOAK_MINUTES='$(or $(SOAK_MINUTES),30)' OUTAGE='$(OUTAGE)' $(foreach each,OBJECTS MEMBERS EVERY,OUTAGE_$(each)='$(OUTAGE_$(each))') $(if $(FEDERATION_SEED),FEDERATION_SEED='$(FEDERATION_SEED)') $(PY) -m e2e.soak

clean: ## remove .venv, caches and build output (control-plane binaries stay in the user's cache)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help venv binaries demo demo-stop test check bench bench-scale bench-scale-all bench-typegen soak clean
