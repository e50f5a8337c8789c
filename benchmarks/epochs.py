"""CPU seconds of an epoch of several models, training and validation, taken in turn in one process; prints JSON.

With `--sweep` also those of scoring the test split under 48 conditions: eight rates x two patterns (`rmm`, `outage`) x three mask
seeds. The model of a sweep was trained for the epochs that were measured.

Usage: python benchmarks/epochs.py duet context_gru evidence [--rounds 8] [--sweep]
       LACUNA_SHARED_DATA=<folder> python benchmarks/epochs.py iemocap context_gru evidence
"""

from __future__ import annotations

import argparse
import json
import os
import time
from itertools import pairwise
from pathlib import Path

import torch

from lacuna.corpus import Corpus
from lacuna.corpus.importers import import_corpus
from lacuna.evaluation import sweep
from lacuna.missing import MaskPlan
from lacuna.models import model_class
from lacuna.synthetic.duet import generate, preset
from lacuna.training import Recipe, TrainingConfig, fit
from lacuna.training.state import Row
from lacuna.training.trained import TrainedRecognizer
from machine import machine

TRAINING = {"batch_size": 256, "learning_rate": 0.004, "rates": (0.0, 0.2, 0.4, 0.6), "patience": 0, "threads": 1}


def corpus_of(name: str) -> Corpus:
    """Return ``duet`` (300 dialogues), or a corpus of the shared data."""
    if name == "duet":
        return generate(preset("demo", dialogues=300))
    return import_corpus(Path(os.environ["LACUNA_SHARED_DATA"]) / name)


def epoch_seconds(corpus: Corpus, model: str, epochs: int = 3) -> tuple[float, TrainedRecognizer]:
    """Return the CPU seconds of the fastest epoch after the first one, and what was trained."""
    config = TrainingConfig(epochs=epochs, **{**TRAINING, **model_class(model).training_defaults})  # type: ignore[arg-type]
    marks: list[float] = []

    def watch(row: Row) -> None:
        marks.append(time.process_time())

    trained = fit(Recipe.of(corpus, model, config), watch=watch).trained
    return min(later - earlier for earlier, later in pairwise(marks)), trained


def sweep_seconds(corpus: Corpus, trained: TrainedRecognizer) -> float:
    """Return the CPU seconds of scoring the test split under 48 conditions."""
    test, labels = corpus.only("test"), corpus.only("train").utterances.labels[trained.schema.target.name]
    plans = [MaskPlan(name, rate / 10, seed) for name in ("rmm", "outage") for rate in range(8) for seed in range(3)]
    began = time.process_time()
    sweep(trained, test, plans, training_labels=labels)
    return time.process_time() - began


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--sweep", action="store_true", help="measure scoring, too")
    args = parser.parse_args()
    torch.set_num_threads(1)
    corpus = corpus_of(args.corpus)
    seen = corpus.only("train", "valid")
    epochs: dict[str, list[float]] = {model: [] for model in args.models}
    sweeps: dict[str, list[float]] = {model: [] for model in args.models}
    for _ in range(args.rounds):
        for model in args.models:
            seconds, trained = epoch_seconds(seen, model)
            epochs[model].append(seconds)
            if args.sweep:
                sweeps[model].append(sweep_seconds(corpus, trained))
    fastest = {model: min(seconds) for model, seconds in epochs.items()}
    sizes = {split: len(corpus.only(split)) for split in ("train", "valid", "test")}
    result: dict[str, object] = {"corpus": args.corpus, "utterances": sizes}
    result["cpu_seconds"] = {model: round(seconds, 3) for model, seconds in fastest.items()}
    result["ratio"] = {model: round(seconds / fastest[args.models[0]], 2) for model, seconds in fastest.items()}
    if args.sweep:
        result["cpu_seconds_of_a_sweep"] = {model: round(min(seconds), 3) for model, seconds in sweeps.items()}
        result["sweep_in_epochs"] = {model: round(min(seconds) / fastest[model], 2) for model, seconds in sweeps.items()}
    print(json.dumps(result | {"machine": machine()}, indent=2))


if __name__ == "__main__":
    main()
