PYTHON := .venv/bin/python
TASK ?= put the red block on the blue plate

.DEFAULT_GOAL := help
.PHONY: help setup demo test

help:  ## Say what there is
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1	\2/p' Makefile

setup:  ## Install everything into .venv (done by the others too)
	@tools/setup

demo: setup  ## A simulated arm does one task; say another with TASK="..."
	@.venv/bin/hierarchy demo "$(TASK)"

# Plugins of a sourced ROS 2 are for another pytest: only ours is loaded.
test: export PYTEST_DISABLE_PLUGIN_AUTOLOAD := 1
test:  ## Lint, types, package checks and all tests
	@tools/setup test
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy
	@$(PYTHON) tools/check_packages.py
	@$(PYTHON) -m pytest -p pytest_timeout
