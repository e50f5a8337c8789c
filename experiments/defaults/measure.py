"""How far each model's defaults are from the best of 8 and of 32 trials on validation.

    python experiments/defaults/measure.py iemocap mmmo --models linear mlp evidence

The trials are those of ``train.budget`` (:func:`lacuna.tuning.budget.within_budget`): the first has the defaults, successive halving
stops the others early. The value of a trial is the area under the metric of selection over missing rates 0, .3 and .6 on the
validation split; test is never read. Studies are stored under ``data/09_bench/defaults``, and the same command continues them.
A corpus is an environment of ``conf``, or ``wide`` (experiments/evidence/wide.py writes it).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import optuna
import pandas as pd
import torch
from optuna.trial import TrialState

from lacuna.corpus import Corpus
from lacuna.models import model_class
from lacuna.pipelines.environments import Environment, project_of, read_environment
from lacuna.pipelines.ingest.nodes import read_source
from lacuna.tuning.budget import within_budget

PROJECT = project_of(Path(__file__).resolve().parent)
STORE = PROJECT / "data" / "09_bench" / "defaults"
TABLE = Path(__file__).with_name("values.csv")
WIDE = {"ingest": {"name": "wide", "path": "data/01_raw/wide", "importer": "table", "options": {"targets": ["emotion"]}}}


def corpus_of(name: str) -> tuple[Environment, Corpus]:
    """Return an environment and its corpus; ``wide`` is read as a table."""
    environment = read_environment(PROJECT, "duet" if name == "wide" else name, WIDE if name == "wide" else {})
    return environment, read_source(environment.ingest, environment.features, [])


def values(folder: Path) -> list[float]:
    """Return the value of each completed trial of the newest study in a folder, by number; NaN for a trial stopped early."""
    newest = max(folder.glob("*.db"), key=lambda path: path.stat().st_mtime)
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{newest}")
    trials = [t for t in study.get_trials(deepcopy=False) if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    return [t.value if t.state == TrialState.COMPLETE and t.value is not None else float("nan") for t in trials]


def main() -> None:
    """Run the studies, and write one row for each corpus and model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="+")
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--budget", type=int, default=32)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.corpora:
        environment, corpus = corpus_of(name)
        for model in arguments.models:
            own = environment.models.of(model)
            training = {**environment.train.training, **model_class(model).training_defaults, **own.training}
            folder = STORE / name / model
            chosen = within_budget(model, corpus, arguments.budget, folder, settings=own.settings, training=training)
            found = pd.Series(values(folder))
            row = {"corpus": name, "model": model, "trials": chosen.trials, "stopped_early": int(found.isna().sum())}
            row |= {"default": found[0], "best_of_8": found[:8].max(), f"best_of_{arguments.budget}": found.max()}
            row |= {"chosen": str({**chosen.settings, **chosen.training})}
            table = pd.DataFrame([row]).round(4)
            if TABLE.is_file():
                table = pd.concat([pd.read_csv(TABLE), table]).drop_duplicates(["corpus", "model"], keep="last")
            table.sort_values(["corpus", "model"]).to_csv(TABLE, index=False)


if __name__ == "__main__":
    main()
