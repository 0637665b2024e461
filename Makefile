# `make quickstart` and `make test` need Python 3.10 or newer and git, nothing else.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart test check install clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

quickstart: install
	$(BIN)/mome quickstart

test: install
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/pytest

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

clean:
	rm -rf .venv runs build dist *.egg-info
