# Everything from a fresh checkout with git, make and Python 3.11 or newer.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --no-compile
export PYTHONDONTWRITEBYTECODE =  # what is imported is compiled then, once, and not all that is installed

.PHONY: demo test fuzz lint docs clean

demo: $(VENV)/installed  ## install, then train, separate and evaluate in minutes
	$(BIN)/sepkit demo
	@echo "To type sepkit without its path: . $(BIN)/activate"

test: $(VENV)/installed-dev  ## install, then run all tests
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal plugins/*/tests tests
	@echo "To type sepkit and pytest without their path: . $(BIN)/activate"

fuzz: $(VENV)/installed-dev  ## install, then run the long searches for inputs that break sepkit
	$(BIN)/python -m pytest -m fuzz --numprocesses auto --dist worksteal

lint: $(VENV)/installed-dev  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/installed-dev  ## write docs/commands.md and docs/settings.md from the code
	$(BIN)/python docs/generate.py

clean:
	rm -rf $(VENV) sepkit-demo

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "sepkit needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed $(wildcard plugins/*/pyproject.toml)
	$(PIP) --editable '.[dev]' $(addprefix --editable ,$(wildcard plugins/*/))
	touch $@
