# make run      install (the first time) and start everything: ARGS="--port 9000 ..."
# make test     install what the tests need, then run them: ARGS="tests/unit -k outbox"
# make check    style, types, architecture, locks
# make faults   fail everything in turn and count every message: ARGS="--messages 100000"
# make smoke    do what a newcomer does, from a clean clone, from outside
# make bench    measure: NAME=ingest, NAME=steps or NAME=dashboard
# make docs     write docs/reference from the code
# make lock     resolve the dependencies anew

VENV := .venv
BIN := $(VENV)/bin
NAME ?= ingest
WORKERS ?= auto
export PYTHON
.DEFAULT_GOAL := run
.PHONY: run test check faults smoke bench docs lock clean
MAKEFLAGS += --no-print-directory

run: $(VENV)/.installed
	@exec $(BIN)/tidegate up $(ARGS)

test: $(VENV)/.installed-dev
	@scripts/system-packages
	@scripts/node-packages
	@exec $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

check: $(VENV)/.installed-dev
	@BIN=$(BIN) exec scripts/check

faults: $(VENV)/.installed-dev
	@scripts/system-packages
	@exec $(BIN)/python -m scripts.faults $(ARGS)

smoke: $(VENV)/.installed-dev
	@exec $(BIN)/python -m scripts.smoke $(ARGS)

bench: $(VENV)/.installed-bench
	@exec $(BIN)/python -m bench $(NAME) $(ARGS)

docs: $(VENV)/.installed-dev
	@exec $(BIN)/python -m scripts.reference

lock:
	@scripts/lock

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# A stamp is older than what it was made from exactly when something must be installed.
$(VENV)/.installed: requirements.lock pyproject.toml scripts/install
	@scripts/install requirements.lock
	@touch $@

$(VENV)/.installed-bench: requirements-bench.lock pyproject.toml scripts/install
	@scripts/system-packages bench
	@scripts/node-packages bench
	@scripts/install requirements-bench.lock
	@touch $(VENV)/.installed $(VENV)/.installed-dev $@

$(VENV)/.installed-dev: requirements-dev.lock pyproject.toml scripts/install
	@scripts/install requirements-dev.lock
	@touch $(VENV)/.installed $@
