# make test | make demo | make lint | make results-mosi
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: test demo lint results-mosi bench clean

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check "setuptools>=77"
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev,viz]"
	touch $@

test: $(INSTALLED)  ## install the pinned set into .venv and run the tests
	OMP_NUM_THREADS=1 $(RUN)/python -m pytest --numprocesses 2

demo: $(INSTALLED)  ## the main job on a small generated corpus, and where its report is
	$(RUN)/kedro run
	@echo "Open data/08_reporting/duet/report.html"

lint: $(INSTALLED)
	$(RUN)/ruff check src tests benchmarks
	$(RUN)/ruff format --check src tests benchmarks
	$(RUN)/mypy

results-%: $(INSTALLED)  ## e.g. results-mosi: run an environment and put its tables into docs/results/
	$(RUN)/kedro run --env $*
	mkdir -p docs/results
	cp data/08_reporting/$*/results.md docs/results/$*.md

bench: $(INSTALLED)  ## timings, as JSON
	OMP_NUM_THREADS=1 $(RUN)/python benchmarks/masks.py
	OMP_NUM_THREADS=1 $(RUN)/python benchmarks/memory.py

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
