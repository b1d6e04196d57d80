# Every target sets up what it needs; the set-up is skipped when nothing changed.
.DEFAULT_GOAL := help
.PHONY: help setup test demo lint types lock lab-up lab-down suites hardening safety safety-lab kill-matrix kill-matrix-lab vendor-default vendor-default-lab faults-lab docs bench
VENV := .venv
BIN := $(VENV)/bin
TARGET ?= kind
REPORTS ?= reports

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready ## find Python, make the environment, install locked packages
$(VENV)/.ready: setup.sh requirements/dev.txt requirements/uv.txt pyproject.toml
	@bash setup.sh $(VENV)

# processes of pytest-xdist; suites refuse to be played in more than one
WORKERS ?= 3
test: setup lint types ## all tests that need no cluster
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup -m "not alone"
	$(BIN)/pytest -m alone

lint: setup ## style and the one-way rule between rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup ## mypy, strict
	$(BIN)/mypy

lab-up: setup ## the lab: ACP's stand-in and real stores on a three-zone kind cluster
	$(BIN)/acpchaos lab up

suites: setup ## the five suites on TARGET (default kind)
	$(BIN)/pytest suites --ignore=suites/test_hardening.py --chaos-target $(TARGET) --chaos-allow-disruption --chaos-reports $(REPORTS)

hardening: setup ## the 53 hardening rows on TARGET, probes allowed
	$(BIN)/pytest suites/test_hardening.py --chaos-target $(TARGET) --chaos-allow-probes --chaos-reports $(REPORTS)

SAFETY ?=
safety: setup ## proofs that nothing is left changed, without a cluster; SAFETY="--full" or "--only R6 --r6 1000"
	@cd tests && ../$(BIN)/python -m safety.matrix $(SAFETY)

safety-lab: setup ## R6, R12 and rights on the lab, by its own audit log; SAFETY="--r6 50"
	@cd tests && ../$(BIN)/python -m safety.lab $(SAFETY)

kill-matrix: setup ## does each hardening row's sabotage turn it red? without a cluster
	@cd tests && ../$(BIN)/python -m posture.kill_matrix

ROWS ?=
kill-matrix-lab: setup ## the same live on the lab, each change made, judged and undone; ROWS="HARD-04 HARD-47"
	@cd tests && ../$(BIN)/python -m posture.kill_matrix_lab $(ROWS)

vendor-default: setup ## the chart's stock install fails exactly the rows that its defaults break; no cluster
	@cd tests && ../$(BIN)/python -m posture.vendor_default

vendor-default-lab: setup ## the same live, on: acpchaos lab up --install vendor-default
	@cd tests && ../$(BIN)/python -m posture.vendor_default live

bench: setup ## what a measurement costs and how true it is, against bars; wants a quiet machine
	$(BIN)/python -m benchmarks

FAULTS ?=
faults-lab: setup ## every fault of the catalogue once on the lab: bitten, witnessed, undone; FAULTS="node_cut dns_gone"
	@cd tests && ../$(BIN)/python -m faults.catalogue_lab $(FAULTS)

docs: setup ## pages that are generated from the code
	$(BIN)/python -m acpchaos.report.posture_docs
	$(BIN)/python -m acpchaos.faults.catalogue_docs

demo: lab-up suites ## the main job: lab, five suites, evidence page

lab-down: setup ## remove the lab
	$(BIN)/acpchaos lab down

COMPILE := $(BIN)/uv pip compile -q --no-emit-index-url --no-annotate --no-header --generate-hashes
lock: setup ## re-lock the dependencies with hashes
	$(COMPILE) --python-version 3.12 --universal pyproject.toml requirements/dev.in requirements/standin.in -o requirements/dev.txt
	$(COMPILE) --python-version 3.13 requirements/standin.in -o requirements/standin.txt
	$(COMPILE) --python-version 3.12 requirements/uv.in -o requirements/uv.txt
