# All commands of the project. `make` alone lists them.
STACK ?= dev
PYTHON := .venv/bin/python
# a log shows what happens when it happens
export PYTHONUNBUFFERED := 1
LAB := $(PYTHON) -m lab

.PHONY: help prepare prepare-test up preview down status registry artefacts test test-unit test-parts test-lab lint bench docs pins
.DEFAULT_GOAL := help

help:  ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

prepare:
	@./tools/prepare.sh

prepare-test:
	@./tools/prepare.sh test

up: prepare  ## the cluster in the lab, with the services of Pulumi.$(STACK).yaml
	@$(LAB) up $(STACK)

preview: prepare  ## what `make up` would change
	@$(LAB) preview $(STACK)

status: prepare  ## nodes, units, services and their addresses
	@$(LAB) status $(STACK)

down: prepare  ## destroy the stack; with the last stack, also remove the lab
	@$(LAB) down $(STACK)

registry: prepare  ## run the stack's registry and print the address to push images to
	@$(LAB) registry $(STACK)

artefacts: prepare  ## build the node bundle and the platform images
	@$(PYTHON) -m tools artefacts

test:  ## linters, unit tests, tests of the parts, and clusters in the lab: all there is
	@$(MAKE) --no-print-directory -j 2 lint test-unit
	@$(MAKE) --no-print-directory test-parts
	@$(MAKE) --no-print-directory test-lab

test-unit: prepare-test  ## pure tests, in a few minutes
	$(PYTHON) -m pytest tests/unit -n 3 --dist worksteal --durations 5

test-parts: prepare-test  ## tests with real etcd, nginx, Docker, shells and Pulumi engine
	@$(PYTHON) -m tools programs
	$(PYTHON) -m pytest tests/parts -n 4 --dist worksteal --durations 5

test-lab: prepare-test  ## tests of clusters; with TEST=cluster/test_scaling.py one file on a cluster that stays up
	$(PYTHON) $(if $(TEST),-m pytest --keep -v tests/lab/$(TEST),-m tests.lab --durations 10)

lint: prepare-test  ## ruff, mypy --strict, shellcheck
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy .
	cd samples/example-app && MYPYPATH=. $(CURDIR)/$(PYTHON) -m mypy --strict -p app
	git ls-files -z | xargs -0 grep -lIE '^#!.*\b(ba)?sh\b' | xargs shellcheck

bench:  ## measure; the report is written to bench/results
	@./tools/prepare.sh bench
	$(PYTHON) -m bench

docs: prepare  ## write docs/configuration.md from the settings
	$(PYTHON) -m settings > docs/configuration.md

pins:  ## update requirements*.txt and images/debian.lock to the newest versions
	.venv/bin/python -m tools pins
	.venv/bin/python -m pip install pip-tools
	.venv/bin/pip-compile --strip-extras --no-header --no-emit-index-url --no-emit-find-links -o requirements.txt requirements.in
	.venv/bin/pip-compile --strip-extras --no-header --no-emit-index-url --no-emit-find-links -o requirements-dev.txt requirements-dev.in
