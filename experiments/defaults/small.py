"""A small study of every system's training defaults: three settings each, compared on validation; test is never read.

    python experiments/defaults/small.py iemocap mmmo meld_dev
    python experiments/defaults/small.py --choose

``default`` is what a model had before the study, ``slower`` divides its learning rate by 2.67 (.004 becomes .0015), and
``averaged`` switches the moving average of the weights on (or off where a model has it). A value is the area under the metric
of selection over missing rates 0, .3 and .6 on the validation split (of MELD dev: of the first fold), one training seed. The
rule was fixed before the first run: a setting replaces the default if its gain, averaged over the corpora, is the largest and
at least .005. Rows are appended to ``small.csv``; those that it holds are not measured again. What the rule chose is now in
``training_defaults`` of the models, so another run needs an empty table and models without it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from lacuna.errors import LacunaError
from lacuna.models import list_models, model_class
from lacuna.pipelines.environments import project_of, read_environment
from lacuna.pipelines.ingest.nodes import read_source
from lacuna.training import Recipe, fit
from lacuna.training.config import training_config, training_settings

PROJECT = project_of(Path(__file__).resolve().parent)
TABLE = Path(__file__).with_name("small.csv")
FOLD = {"meld_dev": {"ingest": {"split": "fold", "folds": 5, "test_fold": 0}}}
LEAST_GAIN = 0.005


def change(setting: str, training: dict[str, Any]) -> dict[str, Any]:
    """Return the training settings of a variant."""
    changes = {
        "default": {},
        "slower": {"learning_rate": training["learning_rate"] * 0.375},
        "averaged": {"ema": 0.0 if training.get("ema") else 0.98},
    }
    return {**training, **changes[setting]}


def measure(corpora: list[str], settings: list[str], models: list[str]) -> None:
    """Train models (by default all that learn by gradient descent), and append their values on validation."""
    torch.set_num_threads(1)
    for name in corpora:
        environment = read_environment(PROJECT, name, FOLD.get(name, {}))
        corpus = read_source(environment.ingest, environment.features, [])
        for model in models:
            for setting in settings:
                rows = pd.read_csv(TABLE) if TABLE.is_file() else pd.DataFrame(columns=["corpus", "model", "setting"])
                if len(rows[(rows["corpus"] == name) & (rows["model"] == model) & (rows["setting"] == setting)]):
                    continue
                own = environment.models.of(model)
                training = change(setting, training_settings(model, environment.train.training, own.training))
                try:
                    chosen = fit(Recipe.of(corpus, model, training_config(training), own.settings)).trained.selection
                except LacunaError as error:  # e.g. a model of recordings on a corpus without audio
                    print(f"left out: {model} on {name}: {error}")  # noqa: T201
                    continue
                row = {"corpus": name, "model": model, "setting": setting, "valid": chosen.value}
                row |= {"epoch": chosen.epoch + 1, "epochs": chosen.epochs, "seconds": chosen.seconds}
                pd.DataFrame([row]).round(4).to_csv(TABLE, mode="a", header=not TABLE.is_file(), index=False)


def choose() -> pd.DataFrame:
    """Return by model the gain of each setting, averaged over the corpora, and the setting that the rule takes."""
    values = pd.read_csv(TABLE).pivot(index=["model", "corpus"], columns="setting", values="valid")
    gains = values.sub(values["default"], axis=0).drop(columns="default").groupby("model").mean()
    best = gains.idxmax(axis=1).where(gains.max(axis=1) >= LEAST_GAIN, "default")
    return gains.assign(chosen=best)


def main() -> None:
    """Measure, or print what the rule chooses."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="*")
    parser.add_argument("--settings", nargs="+", default=["default", "slower", "averaged"])
    learning = [m for m in list_models() if model_class(m).learns and m != "cider_as_published"]
    parser.add_argument("--models", nargs="+", default=learning)
    parser.add_argument("--choose", action="store_true")
    arguments = parser.parse_args()
    measure(arguments.corpora, arguments.settings, arguments.models)
    if arguments.choose:
        print(choose().round(4).to_markdown())  # noqa: T201


if __name__ == "__main__":
    main()
