# Everything starts here, on any machine with Python >= 3.11 and a package index.
# Nothing is installed outside this folder: packages in .venv/, the installer in .tools/.

PYTHON ?= python3
UV_VERSION := 0.13.8
export UV_PYTHON_DOWNLOADS := never
export UV_LINK_MODE := copy
export UV_COMPILE_BYTECODE := 1

BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: help setup demo test lint format docs bench clean

help:            ## list what can be made
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

setup: $(STAMP)-test  ## install the package; the command is then .venv/bin/tracecube
	@$(BIN)/tracecube --help > /dev/null && echo "ready: $(BIN)/tracecube --help"

demo: $(STAMP)-test   ## simulate a night, reduce it, write a report (demo/)
	$(BIN)/tracecube demo

test: $(STAMP)-test   ## run all tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(STAMP)-dev    ## style, types and import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)-dev  ## let the formatter have its way
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(STAMP)-dev    ## build the documentation (site/index.html); warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(STAMP)-test  ## print the benchmark figures
	$(BIN)/python -m pytest bench --benchmark-enable --benchmark-only --benchmark-columns=min,mean,rounds -o python_files='bench_*.py'
	for script in $$(grep -l __main__ bench/*.py); do $(BIN)/python $$script || exit 1; done

clean:           ## remove what was installed and built
	rm -rf .venv .tools site demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks .import_linter_cache

# The environment, from the committed lock with uv, or from pyproject.toml with pip where uv
# cannot be had. "test" has the package and its tests, "dev" the linters and documentation too.
$(STAMP)-%: pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python >= 3.11 is needed; try: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@{ $(MAKE) --no-print-directory .tools/bin/uv && \
	   .tools/bin/uv sync --frozen --inexact --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" --group $*; } || \
	 { echo "uv cannot be had or failed: installing with pip, without the lock"; \
	   $(PYTHON) -m venv .venv && $(BIN)/python -m pip install --upgrade 'pip>=25.1' && \
	   $(BIN)/python -m pip install --editable . --group $*; }
	@touch $@

.tools/bin/uv:
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --quiet uv==$(UV_VERSION)
