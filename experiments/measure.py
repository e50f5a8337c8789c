"""Train and score what a YAML file names; write areas and paired differences with their intervals.

python experiments/measure.py experiments/evidence/duet_300.yml

A file holds the keys of ``experiments/<study>/config.yml``, and three that `lacuna bench` has not: ``ingest``, which changes the
corpus, ``folds``, which scores every fold as test once and puts their dialogues into one table, and ``metrics``. Scored runs are stored under
``data/09_bench/<folder of the file>`` and are not repeated; delete that folder after a change of code. Areas go to ``<file>_areas.csv``,
paired differences with evidence (or the first model) to ``<file>_pairs.csv``, scores by set of modalities (pattern ``fixed``) to
``<file>_subsets.csv``, seconds and parameters to ``<file>_runs.csv``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml

from lacuna.atomic import write_bytes
from lacuna.corpus import Corpus
from lacuna.errors import LacunaError
from lacuna.evaluation import Sweep, areas, bootstrap, compare, has_ceiling, summarise, sweep, sweep_ceilings
from lacuna.evaluation.conditions import FIXED
from lacuna.evaluation.stored_sweeps import sweeps_from_bytes, sweeps_to_bytes
from lacuna.models import model_class
from lacuna.pipelines.environments import Environment, project_of, read_environment
from lacuna.pipelines.experiments import Experiment
from lacuna.pipelines.ingest.nodes import read_source
from lacuna.training import Recipe, fit, model_settings
from lacuna.training.identity import run_folder

METRICS = ("weighted_f1", "accuracy", "log_loss", "ece")


def environments_of(study: dict[str, Any], project: Path) -> Iterator[tuple[str, Environment]]:
    """Yield the environment of each fold, or the one environment."""
    ingest, folds = study.pop("ingest", {}), study.pop("folds", 0)
    experiment = Experiment.model_validate(study)
    for number in range(max(1, folds)):
        changed = ingest | ({"split": "fold", "folds": folds, "test_fold": number} if folds else {})
        changes = experiment.parameters() | {"ingest": changed}
        yield f"fold_{number}" if folds else "all", read_environment(project, experiment.corpus[0], changes)


def scored(environment: Environment, corpus: Corpus, store: Path) -> list[Sweep]:
    """Return the sweeps of all models and seeds on the test split, those of the oracle included."""
    torch.set_num_threads(1)
    test, target = corpus.only("test"), environment.train.target or corpus.targets[0].name
    labels = corpus.only("train").utterances.labels[target]
    plans = environment.evaluate.protocol().evaluation.plans(list(corpus.schema(target).dims))
    sweeps: list[Sweep] = []
    utterances = len(corpus.only("train"))
    for seed in environment.train.seeds:  # all models with the first seed come first: a run that is stopped compares them all
        for variant in environment.train.models:
            own = environment.models.of(variant)
            if seed != environment.train.seeds[0] and not model_class(own.model).learns:
                continue
            file = store / f"{variant}-{seed}.sweeps"
            if not file.is_file():
                settings = model_settings(own.model, own.settings, utterances=utterances)
                recipe = Recipe.of(corpus, own.model, environment.train.config(own, utterances), settings, seed, target=target)
                try:
                    trained = fit(recipe, run_folder(environment.checkpoints, recipe), variant=variant).trained
                except LacunaError as error:  # e.g. a model of recordings on a corpus without audio
                    print(f"left out: {variant} on {corpus.name}: {error}")  # noqa: T201
                    continue
                chosen = trained.selection
                row = {"fold": store.name, "model": variant, "seed": seed, "valid": chosen.value, "epoch": chosen.epoch + 1}
                row |= {"epochs": chosen.epochs, "seconds": chosen.seconds, "parameters": chosen.parameters}
                write_bytes(file, sweeps_to_bytes([sweep(trained, test, plans, training_labels=labels)]))
                runs = store.parent / "runs.csv"
                pd.DataFrame([row]).to_csv(runs, mode="a", header=not runs.exists(), index=False)
            sweeps += sweeps_from_bytes(file.read_bytes(), file.name)
    if has_ceiling(corpus, target):
        sweeps.append(sweep_ceilings(test, plans, training_labels=labels)[0])
    return sweeps


def joined(folds: Sequence[Sequence[Sweep]]) -> list[Sweep]:
    """Return the sweeps of one model and seed in all folds as one sweep over all dialogues."""
    found = []
    for parts in zip(*folds, strict=True):
        conditions = tuple(
            replace(of_one[0], measured=float(np.mean([c.measured for c in of_one])))
            for of_one in zip(*(p.conditions for p in parts), strict=True)
        )
        counts = np.concatenate([p.counts for p in parts], axis=1)  # (P, D of a fold, K) -> (P, D of all, K)
        baseline = np.concatenate([p.baseline for p in parts])
        fingerprint = "".join(p.fingerprint for p in parts)
        found.append(replace(parts[0], conditions=conditions, counts=counts, baseline=baseline, fingerprint=fingerprint))
    return found


def main() -> None:
    """Measure what a file names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    file = parser.parse_args().study
    project = project_of(file.resolve().parent)
    store = project / "data" / "09_bench" / file.resolve().parent.name / file.stem
    folds = []
    study = yaml.safe_load(file.read_text("utf-8"))
    metrics = study.pop("metrics", METRICS)
    for name, environment in environments_of(study, project):
        (store / name).mkdir(parents=True, exist_ok=True)
        folds.append(scored(environment, read_source(environment.ingest, environment.features, []), store / name))
    drawn = bootstrap(joined(folds), replicates=1000, metrics=metrics)
    first = "evidence" if "evidence" in drawn.models else next(iter(drawn.models))
    area = areas(drawn)
    pairs = compare(drawn, reference=first)
    pairs = pairs[pairs["rate"].isna()]
    area.round(4).to_csv(file.with_name(f"{file.stem}_areas.csv"), index=False)
    pairs.round(4).to_csv(file.with_name(f"{file.stem}_pairs.csv"), index=False)
    conditions = summarise(drawn)
    if len(subsets := conditions[conditions["pattern"] == FIXED]):
        subsets.round(4).to_csv(file.with_name(f"{file.stem}_subsets.csv"), index=False)
    if (runs := store / "runs.csv").is_file():
        pd.read_csv(runs).round(3).to_csv(file.with_name(f"{file.stem}_runs.csv"), index=False)
    shown = area[area.measure.isin(["auilc", "share_of_ceiling"])]
    columns = ["model", "pattern", "metric", "measure", "mean", "low", "high", "sd_over_seeds", "constant", "dialogues"]
    print(shown[columns].round(4).to_string(index=False))  # noqa: T201
    print(pairs[["model_a", "model_b", "pattern", "metric", "difference", "low", "high"]].round(4).to_string(index=False))  # noqa: T201


if __name__ == "__main__":
    main()
