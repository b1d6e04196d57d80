# Every target sets up what it needs; the set-up is skipped when nothing changed.
.DEFAULT_GOAL := help
.PHONY: help setup test demo lint types lock lab-up lab-down suites
VENV := .venv
BIN := $(VENV)/bin
TARGET ?= kind
REPORTS ?= reports

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready ## find Python, make the environment, install locked packages
$(VENV)/.ready: setup.sh requirements/dev.txt requirements/uv.txt pyproject.toml
	@bash setup.sh $(VENV)

test: setup lint types ## all tests that need no cluster
	$(BIN)/pytest

lint: setup ## style and the one-way rule between rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup ## mypy, strict
	$(BIN)/mypy

lab-up: setup ## the lab: ACP's stand-in and real stores on a three-zone kind cluster
	$(BIN)/acpchaos lab up

suites: setup ## the five suites on TARGET (default kind)
	$(BIN)/pytest suites --chaos-target $(TARGET) --chaos-allow-disruption --chaos-reports $(REPORTS)

demo: lab-up suites ## the main job: lab, five suites, evidence page

lab-down: setup ## remove the lab
	$(BIN)/acpchaos lab down

COMPILE := $(BIN)/uv pip compile -q --no-emit-index-url --no-annotate --no-header --generate-hashes
lock: setup ## re-lock the dependencies with hashes
	$(COMPILE) --python-version 3.12 --universal pyproject.toml requirements/dev.in requirements/standin.in -o requirements/dev.txt
	$(COMPILE) --python-version 3.13 requirements/standin.in -o requirements/standin.txt
	$(COMPILE) --python-version 3.12 requirements/uv.in -o requirements/uv.txt
