# Needs Python 3.11 or newer, make and a network on the first call; everything goes into .venv.
#   make test ARGS="-k splits"          arguments for pytest, `affetto demo` or `affetto bench`
#   make demo PYTHON=/opt/py/bin/python3   another interpreter (matters only while there is no .venv)
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make demo   another build of PyTorch
#   make test JOBS=1                    the tests in one process (by default in as many as there are cores, four at most)

VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install -c constraints.txt
ARGS ?=
JOBS ?= auto

# The first of these that runs and is new enough; empty if none is. Asked only while there is no .venv.
FIND_PYTHON = for p in python3.11 python3 python3.12 python3.13 python3.14 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done
PYTHON ?= $(shell $(FIND_PYTHON))

.DEFAULT_GOAL := help
.PHONY: help demo test defects check bench docs format clean

help: ## list what can be made
	@sed -n 's/^\([a-z]*\): [^#]*## \(.*\)/  make \1 @\2/p' Makefile | while IFS=@ read -r name text; do \
		printf '%-16s %s\n' "$$name" "$$text"; done

demo: $(VENV)/.demo ## see everything at work, on synthetic Italian speech (minutes, no GPU)
	@$(VENV)/bin/affetto demo $(ARGS)

test: $(VENV)/.dev ## run the tests
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(VENV)/bin/python -m pytest -n $(JOBS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

defects: $(VENV)/.dev ## plant wrong lines and see that quick tests fail (before a release; some ten minutes)
	@$(VENV)/bin/python tests/defects/run.py $(ARGS)

check: $(VENV)/.dev ## lint, format, types, architecture
	@status=0; \
	for tool in "ruff check ." "ruff format --check ." mypy "lint-imports --no-logo"; do \
		echo "== $$tool"; $(VENV)/bin/$$tool || status=1; \
	done; exit $$status

bench: $(VENV)/.demo ## measure this machine beside a plain Trainer (some ten minutes; ARGS=--quick for two)
	@$(VENV)/bin/python -m affetto bench $(ARGS)

docs: $(VENV)/.dev ## build the user guide into site/
	@$(VENV)/bin/python -m mkdocs build --strict --quiet
	@echo "site/index.html"

format: $(VENV)/.dev ## put the code into shape, mend what can be mended by itself
	@$(VENV)/bin/ruff check --fix-only --quiet .
	@$(VENV)/bin/ruff format .

clean: ## remove caches and build products (not .venv, not your runs)
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# Installation. A stamp is newer than what it was made from: a second call installs nothing.

$(VENV)/bin/pip:
	@command='$(PYTHON)'; \
	[ -n "$$command" ] || { \
		echo "affetto needs Python 3.11 or newer: none of python, python3, python3.11 … python3.14 is." >&2; \
		echo "Install one, or name it: make PYTHON=/path/to/python3 …" >&2; exit 1; }; \
	$$command -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "affetto needs Python 3.11 or newer; '$$command' is: $$($$command --version 2>&1)." >&2; \
		echo "Name a newer one: make PYTHON=/path/to/python3 …" >&2; exit 1; }; \
	echo "Making $(VENV) with $$command ($$($$command --version 2>&1))"; \
	$$command -m venv $(VENV)

# PyTorch first and by its own version, so that pip takes the build that suits this machine.
$(VENV)/.torch: constraints.txt | $(VENV)/bin/pip
	@echo "Installing PyTorch, then the rest, into $(VENV): a minute or two the first time, and about 2 GB of disk"
	@echo "(more where PyTorch comes with CUDA)."
	@$(INSTALL) "$$(sed -n '/^torch==/p' constraints.txt)"
	@touch $@

$(VENV)/.demo: $(VENV)/.torch pyproject.toml constraints.txt
	@echo "Installing affetto and what the demo needs"
	@$(INSTALL) -e '.[demo]'
	@touch $@

# The development install holds the demo's too. The generator of clients has a folder of its own, see its file.
GENERATOR := tests/serving/generator.txt
$(VENV)/.dev: $(VENV)/.torch pyproject.toml constraints.txt $(GENERATOR)
	@echo "Installing affetto and what development needs"
	@$(INSTALL) -e '.[dev]'
	@$(PIP) install --quiet --no-deps --upgrade --target $(VENV)/generator -r $(GENERATOR)
	@touch $@ $(VENV)/.demo
