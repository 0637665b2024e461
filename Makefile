# `make quickstart` and `make test` need Python 3.10 or newer and git, nothing else.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install quickstart test check clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[bench,dev]"
	touch $@

# The main job: teach 1,000 facts that the embedded backbone does not know, then ask for three in other words.
quickstart: install
	rm -rf runs/quickstart
	$(BIN)/mome world --out runs/quickstart/facts.jsonl --limit 1000
	$(BIN)/mome train --config configs/quickstart.yaml
	$(BIN)/mome ask runs/quickstart/memory "Who did Oran van der Obukende work for?"
	$(BIN)/mome ask runs/quickstart/memory "Which language was Matopoto: A Romance translated from?"
	$(BIN)/mome ask runs/quickstart/memory "When did Adenga Lubgrad form?"

test: install
	$(BIN)/ruff check .
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist loadfile

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check mome train benchmarks
	$(BIN)/pyright

clean:
	rm -rf .venv runs build dist *.egg-info
