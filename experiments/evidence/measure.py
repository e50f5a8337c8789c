"""Train models on a corpus and score them under missing data: one CSV row a model, seed and pattern.

python experiments/evidence/measure.py duet --models evidence context_gru --seeds 0 1 2
LACUNA_SHARED_DATA=<folder> python experiments/evidence/measure.py iemocap --models evidence linear --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from lacuna.corpus import Corpus
from lacuna.corpus.importers import import_corpus
from lacuna.evaluation.ceiling import has_ceiling, sweep_ceilings
from lacuna.evaluation.sweep import Sweep, sweep
from lacuna.metrics.scores import weighted_f1
from lacuna.missing import MaskPlan
from lacuna.models import model_class
from lacuna.synthetic.duet import generate, preset
from lacuna.training import Recipe, TrainingConfig, fit

RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
METRICS = ("weighted_f1", "accuracy", "log_loss", "ece")
TRAINING: dict[str, Any] = {  # of conf/base, for every model
    "epochs": 40,
    "batch_size": 256,
    "learning_rate": 0.004,
    "weight_decay": 0.01,
    "patience": 8,
    "rates": (0.0, 0.2, 0.4, 0.6),
    "threads": 1,
}


def corpus_of(name: str, world: int, dialogues: int) -> Corpus:
    """Return a corpus by name: ``duet``, or a folder of the shared data."""
    if name == "duet":
        return generate(preset("demo", dialogues=dialogues, seed=world))
    return import_corpus(Path(os.environ["LACUNA_SHARED_DATA"]) / name)


def summary(swept: Sweep) -> pd.DataFrame:
    """Return the mean of each metric over rates and mask seeds, by pattern."""
    scores = swept.scores(detail=False)
    table = scores[scores.metric.isin(METRICS)].groupby(["pattern", "metric"]).value.mean().unstack("metric")
    constant = swept.pooled_constant
    table["rate_0"] = scores[(scores.metric == "weighted_f1") & (scores.rate == 0)].groupby("pattern").value.mean()
    table["majority"] = float(weighted_f1(constant))
    return table


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("--models", nargs="+", default=["evidence"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--patterns", nargs="+", default=["rmm", "outage"])
    parser.add_argument("--world", type=int, default=0, help="seed of duet")
    parser.add_argument("--dialogues", type=int, default=300, help="of duet")
    parser.add_argument("--settings", default="{}", help="JSON, of every model named")
    parser.add_argument("--training", default="{}", help="JSON, of every model named")
    parser.add_argument("--validation-only", action="store_true", help="do not read the test split")
    parser.add_argument("--note", default="")
    parser.add_argument("--out", type=Path, help="CSV to which rows are added")
    args = parser.parse_args()
    torch.set_num_threads(1)
    corpus = corpus_of(args.corpus, args.world, args.dialogues)
    test = corpus.only("test")
    plans = [MaskPlan(pattern, rate, seed) for pattern in args.patterns for rate in RATES for seed in (0, 1, 2)]
    rows: list[dict[str, Any]] = []
    ceiling = None
    for name in args.models:
        for seed in args.seeds:
            training = {**TRAINING, **getattr(model_class(name), "training_defaults", {}), **json.loads(args.training)}
            recipe = Recipe.of(corpus, name, TrainingConfig(**training), json.loads(args.settings), seed)
            fitted = fit(recipe)
            chosen = fitted.trained.selection
            base = {"corpus": corpus.name, "model": name, "note": args.note, "seed": seed, "valid": chosen.value}
            base |= {"valid_loss": fitted.history[chosen.epoch]["valid_loss"], "epoch": chosen.epoch, "seconds": chosen.seconds}
            base |= {"epoch_seconds": chosen.seconds / max(1, chosen.epochs), "parameters": chosen.parameters}
            if args.validation_only:
                rows.append(base)
            else:
                labels = corpus.only("train").utterances.labels[recipe.schema.target.name]
                found = summary(sweep(fitted.trained, test, plans, training_labels=labels))
                if ceiling is None and has_ceiling(corpus, recipe.schema.target.name):
                    ceiling = summary(sweep_ceilings(test, plans, training_labels=labels)[0])
                for pattern, values in found.iterrows():
                    row = base | {"pattern": pattern, **values.to_dict()}
                    if ceiling is not None:
                        best = ceiling.loc[pattern]
                        row["share"] = (row["weighted_f1"] - row["majority"]) / (best["weighted_f1"] - row["majority"])
                        row["oracle_log_loss"] = best["log_loss"]
                    rows.append(row)
            table = pd.DataFrame(rows).tail(1 if args.validation_only else len(args.patterns))
            print(table.round(4).to_string(), flush=True)  # noqa: T201 - progress
    if args.out:
        pd.DataFrame(rows).to_csv(args.out, mode="a", header=not args.out.exists(), index=False)


if __name__ == "__main__":
    main()
