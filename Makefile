# `make help` lists what there is. The Python environment lives in .venv and is made when it is missing.
# Another Python than the first suitable one on PATH: make PYTHON=/path/to/python3.12 ...

.DEFAULT_GOAL := help
.PHONY: help rehearsal suite test test-user matrix matrix-document lint type bench lock servers
.DELETE_ON_ERROR:

PYTHON ?=
FIND_PYTHON := PYTHON='$(PYTHON)' tools/find-python
RUN := .venv/bin
# Each process boots rehearsals of its own; a file's tests share theirs. selftest/conftest.py says which go first.
SIDE_BY_SIDE := --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-22s %s\n", $$1, $$2 }'

rehearsal: servers .venv/.rehearsal-installed ## Judge a rehearsed server: phase1_verify, with reports
	$(RUN)/pytest -m phase1_verify

# The self-tests start hundreds of processes: what is compiled is kept, whatever the environment says.
test test-user: export PYTHONDONTWRITEBYTECODE :=

test: servers .venv/.dev-installed ## Test the suite itself: style, types, then every self-test
	$(MAKE) --no-print-directory lint type
	@if [ "$$(id -u)" -eq 0 ]; then $(MAKE) --no-print-directory test-user; fi
	$(RUN)/python -m compileall -q acceptance rehearsal
	$(RUN)/pytest selftest $(SIDE_BY_SIDE)

test-user: servers .venv/.dev-installed ## As root: run the rehearsal's self-tests as an ordinary user
	$(RUN)/python tools/as_user.py $(RUN)/pytest selftest -m user $(SIDE_BY_SIDE)

matrix: servers .venv/.dev-installed ## Inject every fault, reading everything again each time (slow)
	MATRIX_READ_EVERYTHING=1 $(RUN)/pytest selftest/test_matrix.py selftest/test_matrix_cutover.py

matrix-document: .venv/.dev-installed ## Write docs/fault-matrix.md from the faults
	$(RUN)/python -c 'from selftest import matrix; print(matrix.document(), end="")' > docs/fault-matrix.md

lint: .venv/.dev-installed ## Check style and formatting
	$(RUN)/ruff format --check .
	$(RUN)/ruff check .

type: .venv/.dev-installed ## Check types, strictly
	$(RUN)/mypy

bench: servers .venv/.dev-installed ## Measure against plain testinfra on the same rehearsal
	$(RUN)/python -m benchmarks

suite: .venv/.base-installed ## Install the suite alone, for judging a real target: none of the rehearsal's servers

lock: .venv/.dev-installed ## Renew the locked requirements from pyproject.toml
	tools/lock

servers: # The real servers of the rehearsal; quick when nothing is missing
	@python=$$($(FIND_PYTHON)) && "$$python" tools/install.py

.venv/.base-installed: requirements/base.txt tools/environment.py
	@python=$$($(FIND_PYTHON)) && "$$python" tools/environment.py base

.venv/.rehearsal-installed: requirements/rehearsal.txt tools/environment.py | servers
	@python=$$($(FIND_PYTHON)) && "$$python" tools/environment.py rehearsal

.venv/.dev-installed: requirements/dev.txt .venv/.rehearsal-installed | servers
	@python=$$($(FIND_PYTHON)) && "$$python" tools/environment.py dev
