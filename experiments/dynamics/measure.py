"""Emotion dynamics and next-emotion prediction: train models, score the protocol `dynamics`, add rows to scores.csv.

python experiments/dynamics/measure.py duet --seeds 0 1
LACUNA_SHARED_DATA=<folder> python experiments/dynamics/measure.py iemocap --seeds 0
LACUNA_SHARED_DATA=<folder> python experiments/dynamics/measure.py meld_dev --folds 2
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from lacuna.corpus import Corpus
from lacuna.corpus.prefixes import next_target, prefix_corpus
from lacuna.evaluation import has_ceiling, predict
from lacuna.loading import load_corpus
from lacuna.metrics.bootstrap import interval, resample_weights
from lacuna.metrics.protocols import score_tables
from lacuna.metrics.protocols.dynamics_counts import METRICS, DynamicsCounts
from lacuna.models import model_class
from lacuna.synthetic.duet import Oracle
from lacuna.training import Recipe, TrainedRecognizer, TrainingConfig, fit

MODELS = ("context_gru", "evidence", "gcnet")
TARGET = "emotion"
TURNS = 6  # of a prefix: what a model reads to predict the next emotion
TRAINING: dict[str, Any] = {
    "epochs": 10,
    "batch_size": 256,
    "learning_rate": 0.004,
    "weight_decay": 0.01,
    "patience": 3,
    "rates": (0.0, 0.3),
    "valid_rates": (0.0,),
    "threads": 1,
    "device": "cpu",
}
MELD_DEV: dict[str, Any] = {
    "splits": ["dev"],
    "features": {
        "text": "text_base_val.pkl",
        "audio": "audio_wav2vec2_val.pkl",
        "vision": "dev_vis_3_35_intervals_aus.pickle",
    },
    "skip": ["110_7"],
}


def corpus_of(name: str, fold: int) -> Corpus:
    """Return a corpus by name; of MELD dev the fold is the test split."""
    if name == "duet":
        return load_corpus("duet", preset="demo")
    data = Path(os.environ["LACUNA_SHARED_DATA"])
    if name == "iemocap":
        return load_corpus(data / "iemocap", importer="table", options={"targets": [TARGET]})
    return load_corpus(data / "meld", importer="meld-csv", options=MELD_DEV, split="fold", test_fold=fold)


def truth_of(test: Corpus) -> pd.DataFrame:
    """Return the table of truth of the protocol ``dynamics``."""
    u, classes = test.utterances, test.target(TARGET).classes
    dialogues, speakers = u.dialogue_names.to_pylist(), u.speaker_names.to_pylist()
    return pd.DataFrame(
        {
            "id": test.ids,
            "dialogue": [dialogues[code] for code in u.dialogue],
            "turn": u.turn,
            "speaker": [speakers[code] for code in u.speaker],
            "label": [classes[code] if code >= 0 else "" for code in u.labels[TARGET]],
        }
    )


def trained_on(corpus: Corpus, model: str, seed: int, target: str, **changed: Any) -> TrainedRecognizer:
    """Return a trained recogniser of a target."""
    settings = {**TRAINING, **getattr(model_class(model), "training_defaults", {}), **changed}
    return fit(Recipe.of(corpus, model, TrainingConfig(**settings), seed=seed, target=target)).trained


def answers_of(corpus: Corpus, model: str, seed: int, predicts_next: bool) -> pd.DataFrame:
    """Return what a model says of each test turn: with the whole dialogue, from the past only, and about the next turn."""
    test = corpus.only("test")
    states = trained_on(corpus, model, seed, TARGET)
    table = pd.DataFrame({"id": test.ids})
    table["whole dialogue"] = predict(states, test).to_frame()["predicted"]
    table["past only"] = predict(states, test, past_only=True).to_frame()["predicted"]
    if not predicts_next:
        return table.assign(next="", model=model, seed=seed)
    prefixes = prefix_corpus(next_target(corpus, TARGET), f"next_{TARGET}", turns=TURNS)
    following = trained_on(prefixes, model, seed, f"next_{TARGET}", batch_size=1024)
    asked = prefixes.only("test")
    answers = predict(following, asked).to_frame().set_index("id")["predicted"][np.array(asked.ids)[asked.labelled()]]
    return table.assign(next=table["id"].map(answers).fillna("").to_numpy(), model=model, seed=seed)


def oracle_answers(corpus: Corpus) -> pd.DataFrame:
    """Return the most probable emotions of the exact posterior, and the best next-emotion prediction if all labels were known."""
    test = corpus.only("test")
    oracle, names = Oracle.of(test), np.asarray(test.target(TARGET).classes, dtype=object)
    table = pd.DataFrame({"id": test.ids})
    table["whole dialogue"] = names[oracle.posterior(test).argmax(axis=1)]
    table["past only"] = names[oracle.filtered(test).argmax(axis=1)]
    table["next"] = names[oracle.filtered(test, following=True).argmax(axis=1)]
    return table.assign(model="oracle", seed=0)


def references(truth: pd.DataFrame, states: pd.DataFrame, majority: str) -> pd.DataFrame:
    """Return the majority class, and persistence: the next emotion is the current one, true or as a model says from the past."""
    constant = truth[["id"]].assign(**{"whole dialogue": majority, "past only": majority, "next": majority}, model="majority")
    label = truth["label"]
    true = truth[["id"]].assign(**{"whole dialogue": "", "past only": "", "next": label}, model="persistence, true label")
    own = truth[["id"]].assign(**{"whole dialogue": "", "past only": ""}, model="persistence, context_gru")
    own["next"] = states.set_index("id")["past only"].reindex(truth["id"]).to_numpy()
    return pd.concat([constant, true, own]).assign(seed=0)


def intervals(rows: pd.DataFrame, truth: pd.DataFrame, replicates: int) -> pd.DataFrame:
    """Return intervals over dialogues of one system: of the measures of states, and of the accuracy of the next emotion."""
    own = truth[truth["label"] != ""].merge(rows, on="id")
    dialogues = [part for _, part in own.groupby("dialogue", sort=False)]
    states = [(list(part["label"]), list(part["predicted"])) for part in dialogues]
    weights = resample_weights(0, len(dialogues), replicates)
    measures = DynamicsCounts.of(*zip(*states, strict=True)).measures(weights)  # (B, 4)
    right = np.array([(p["next"].to_numpy()[:-1] == p["label"].to_numpy()[1:]).sum() for p in dialogues])
    following = weights @ right / (weights @ np.array([len(p) - 1 for p in dialogues]))  # (B,)
    low, high = interval(np.column_stack([measures, following]), 0.95, len(dialogues))
    return pd.DataFrame({"metric": [*METRICS, "next_accuracy"], "low": low, "high": high})


def scored(answers: pd.DataFrame, truth: pd.DataFrame, corpus: str, replicates: int) -> pd.DataFrame:
    """Return the scores of all systems, with intervals over dialogues."""
    tables = []
    for view in ("whole dialogue", "past only"):
        rows = answers.rename(columns={view: "predicted"})[["id", "predicted", "next", "model", "seed"]]
        values = score_tables("dynamics", rows, truth)
        bounds = [
            intervals(own[["id", "predicted", "next"]], truth, replicates).assign(model=model, seed=seed)
            for (model, seed), own in rows.groupby(["model", "seed"])
        ]
        tables.append(values.merge(pd.concat(bounds), how="left", on=["model", "seed", "metric"]).assign(view=view))
    table = pd.concat(tables).assign(corpus=corpus)
    silent = answers.groupby("model")["next"].agg(lambda words: (words == "").all())  # models that were not asked for the next
    unasked = table["metric"].str.contains("next|overall") & table["model"].map(silent)
    untold = table["model"].str.startswith("persistence") & ~table["metric"].str.startswith("next")
    return table[~unasked & ~untold & (table["subset"] == "all")]


def main() -> None:
    """Measure one corpus."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", choices=["duet", "iemocap", "meld_dev"])
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--next-models", nargs="*", default=list(MODELS), help="those that are trained for the next emotion, too")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--folds", type=int, default=1, help="of meld_dev: test on this many folds, pooled")
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("scores.csv"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    answers, truths = [], []
    for fold in range(args.folds):
        corpus = corpus_of(args.corpus, fold)
        truths.append(truth_of(corpus.only("test")))
        states = None
        for model in args.models:
            for seed in args.seeds:
                began = time.monotonic()
                own = answers_of(corpus, model, seed, model in args.next_models)
                states = own if model == "context_gru" and states is None else states
                answers.append(own)
                print(f"{args.corpus} fold {fold} {model} {seed}: {time.monotonic() - began:.0f} s", flush=True)  # noqa: T201
        labels = corpus.only("train").utterances.labels[TARGET]
        majority = corpus.target(TARGET).classes[int(np.bincount(labels[labels >= 0]).argmax())]
        if "context_gru" in args.models:
            answers.append(references(truths[-1], states, majority))
        if has_ceiling(corpus, TARGET):
            answers.append(oracle_answers(corpus))
    table = scored(pd.concat(answers), pd.concat(truths), args.corpus, args.replicates)
    if args.out.exists():
        before = pd.read_csv(args.out)
        again = (before["corpus"] == args.corpus) & before["model"].isin(table["model"])
        table = pd.concat([before[~again], table])
    table.to_csv(args.out, index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
