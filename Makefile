# make demo and make test are all that is needed on a fresh machine; both set up what they need.
SHELL := /bin/bash
PYTHON := .venv/bin/python
CORES ?= $(shell nproc)
export OMP_NUM_THREADS ?= 1
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help setup demo test lint bench docs clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

setup: .venv/.ready  ## create .venv from pinned wheels

.venv/.ready: envs/plain.pin.txt envs/setup.sh
	@bash envs/setup.sh .venv envs/plain.pin.txt
	@touch $@

demo: setup  ## make demo videos, run every stage on them, train, report
	@bash tools/demo/run.sh $(CORES)

test: setup  ## run all tests
	@$(PYTHON) -m pytest -n $(CORES) --dist loadfile -q tests

lint: setup  ## style of code and rules
	@$(PYTHON) -m ruff check . && $(PYTHON) -m ruff format --check . && $(PYTHON) -m snakefmt --check Snakefile rules

bench: setup  ## measure and print the tables kept in docs/benchmarks.md
	@$(PYTHON) -m tools bench

docs: setup  ## regenerate docs/pipeline.md, docs/configuration.md, workflow/config.schema.json and envs/*.yaml
	@$(PYTHON) -m tools docs

clean:  ## remove the demo's results
	@rm -rf demo
