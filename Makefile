# Two commands are enough: `make study` and `make test`. Both set up `.venv` from the lock first.
# PYTHON=/path/to/python chooses the interpreter; WORKERS=4 uses more processes.

VENV ?= .venv
WORKERS ?= 2
BIN = $(VENV)/bin
STUDY = procyclicality
CASES =

.PHONY: help setup setup-dev study test lint bench lock clean distclean

help:
	@echo "make setup      set up $(VENV) with what the program needs"
	@echo "make study      run the main study on real data and write its report (results/$(STUDY))"
	@echo "make test       lint, types and all tests (CASES='tests/test_kernel.py -x' for some)"
	@echo "make lint       ruff and mypy only"
	@echo "make bench      speed, with the plain reference beside it"
	@echo "make lock       resolve the locked versions again (needs uv)"
	@echo "make clean      remove caches; make distclean removes the environments too"

setup:
	@requirements/setup.sh $(VENV) core

setup-dev:
	@requirements/setup.sh $(VENV) dev

study: setup
	$(BIN)/spirals sweep $(STUDY) --workers $(WORKERS)
	$(BIN)/spirals report results/$(STUDY)

bench: setup
	$(BIN)/spirals bench

test: lint
	$(BIN)/python -m pytest $(CASES)

# mypy does not follow the mapping of the folders to `spirals.`: it gets a folder of links.
lint: setup-dev
	@mkdir -p .mypy_path/spirals && cd .mypy_path/spirals && ln -sfn ../../simulation simulation && \
		ln -sfn ../../agents agents && ln -sfn ../../scenarios scenarios && ln -sf ../../simulation/_top/*.* .
	$(BIN)/python -m ruff check --output-format concise .
	@echo $(BIN)/python -m mypy
	@$(BIN)/python -m mypy >.mypy_path/report; status=$$?; sed 's#^\.mypy_path/spirals/##' .mypy_path/report; exit $$status

PIP_COMPILE = printf 'setuptools>=77\n' | uv pip compile --quiet --universal --python-version 3.11 \
	--no-header --no-annotate --generate-hashes pyproject.toml -
lock:
	$(PIP_COMPILE) --upgrade --output-file requirements/core.lock
	$(PIP_COMPILE) --upgrade --extra dev --constraint requirements/core.lock --output-file requirements/dev.lock

clean:
	rm -rf build dist *.egg-info .mypy_cache .mypy_path .pytest_cache .ruff_cache .hypothesis
	find simulation agents scenarios tests notebooks -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf .venv .venv-*
