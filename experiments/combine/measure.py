"""Train and score what the YAML files name; write areas and paired differences against the best member on validation.

python experiments/combine/measure.py experiments/combine/duet_300.yml experiments/combine/iemocap.yml

A file holds the keys of ``experiments/<study>/config.yml``, and ``ingest``, which changes the corpus. The members of the
combinations named in it that are variants too share their training. ``best_member`` is, for each seed, the variant with the
highest validation score among the members of ``mean``. Scored runs are stored under ``data/09_bench/combine`` and are not
repeated; delete the folder after a change of code. After each seed of a file, areas go to ``<file>_areas.csv``, paired
differences with ``best_member`` to ``<file>_pairs.csv``, validation scores and seconds to ``<file>_runs.csv``.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml

from lacuna.atomic import write_bytes
from lacuna.corpus import Corpus
from lacuna.evaluation import Sweep, areas, bootstrap, compare, sweep
from lacuna.evaluation.stored_sweeps import sweeps_from_bytes, sweeps_to_bytes
from lacuna.pipelines.environments import Environment, project_of, read_environment
from lacuna.pipelines.experiments import Experiment
from lacuna.pipelines.ingest.nodes import read_source
from lacuna.training import Recipe, fit
from lacuna.training.identity import run_folder

METRICS = ("weighted_f1", "accuracy", "log_loss", "ece")
BEST, MEAN = "best_member", "mean"


def read_study(file: Path) -> Environment:
    """Return the environment of a file with its changes."""
    content: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    study = {key: value for key, value in content.items() if not key.startswith("_")}
    ingest = study.pop("ingest", {})
    experiment = Experiment.model_validate(study)
    project = project_of(file.resolve().parent)
    return read_environment(project, experiment.corpus[0], experiment.parameters() | {"ingest": ingest})


def store_of(file: Path) -> Path:
    """Return the folder of the scores of a file."""
    return project_of(file.resolve().parent) / "data" / "09_bench" / "combine" / file.stem


def score_seed(environment: Environment, corpus: Corpus, seed: int, store: Path) -> None:
    """Train and score every variant with one seed, unless its scores are stored."""
    test, target = corpus.only("test"), environment.train.target or corpus.targets[0].name
    labels = corpus.only("train").utterances.labels[target]
    plans = environment.evaluate.protocol().evaluation.plans(list(corpus.schema(target).dims))
    for variant in environment.train.models:
        file, own = store / f"{variant}-{seed}.sweeps", environment.models.of(variant)
        if file.is_file():
            continue
        began = time.monotonic()
        recipe = Recipe.of(corpus, own.model, environment.train.config(own), own.settings, seed, target=target)
        trained = fit(recipe, run_folder(environment.checkpoints, recipe), variant=variant).trained
        seconds = time.monotonic() - began
        scored = sweep(trained, test, plans, training_labels=labels)
        row = {"model": variant, "seed": seed, "valid": trained.selection.value, "parameters": trained.selection.parameters}
        row |= {"training_seconds": seconds, "scoring_seconds": time.monotonic() - began - seconds}
        write_bytes(store / f"{variant}-{seed}.csv", pd.DataFrame([row]).to_csv(index=False).encode())
        write_bytes(file, sweeps_to_bytes([scored]))


def write_tables(file: Path, environment: Environment, store: Path) -> None:
    """Write the tables of the variants that are scored with the first seed, over the seeds with which all of these are scored."""
    first = environment.train.seeds[0]
    variants = [v for v in environment.train.models if (store / f"{v}-{first}.sweeps").is_file()]
    seeds = [s for s in environment.train.seeds if all((store / f"{v}-{s}.sweeps").is_file() for v in variants)]
    runs = pd.concat([pd.read_csv(store / f"{v}-{s}.csv") for s in seeds for v in variants], ignore_index=True)
    sweeps: list[Sweep] = []
    members = [m["model"] if isinstance(m, dict) else m for m in environment.models.of(MEAN).settings["members"]]
    for seed in seeds:
        of_seed = {v: sweeps_from_bytes((store / f"{v}-{seed}.sweeps").read_bytes(), v)[0] for v in variants}
        valid = runs[(runs["seed"] == seed) & runs["model"].isin(members)]
        best = str(valid.loc[valid["valid"].idxmax(), "model"])
        runs.loc[(runs["seed"] == seed) & (runs["model"] == best), "best_member"] = True
        sweeps += [*of_seed.values(), replace(of_seed[best], model=BEST)]
    drawn = bootstrap(sweeps, replicates=1000, metrics=METRICS)
    area, pairs = areas(drawn), compare(drawn, reference=BEST)
    pairs = pairs[pairs["rate"].isna()]
    area.round(4).to_csv(file.with_name(f"{file.stem}_areas.csv"), index=False)
    pairs.round(4).to_csv(file.with_name(f"{file.stem}_pairs.csv"), index=False)
    runs.round(3).to_csv(file.with_name(f"{file.stem}_runs.csv"), index=False)


def main() -> None:
    """Measure what the files name, seed by seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", type=Path, nargs="+")
    parser.add_argument("--tables", action="store_true", help="write the tables of what is scored, and measure nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    studies = [(file, read_study(file)) for file in arguments.studies]
    if arguments.tables:
        for file, environment in studies:
            write_tables(file, environment, store_of(file))
        return
    corpora = [read_source(environment.ingest, environment.features, []) for _, environment in studies]
    for position in range(max(len(environment.train.seeds) for _, environment in studies)):
        for (file, environment), corpus in zip(studies, corpora, strict=True):
            store = store_of(file)
            store.mkdir(parents=True, exist_ok=True)
            for seed in environment.train.seeds[position : position + 1]:
                score_seed(environment, corpus, seed, store)
            write_tables(file, environment, store)


if __name__ == "__main__":
    main()
