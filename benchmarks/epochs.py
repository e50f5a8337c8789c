"""CPU seconds of an epoch of several models, training and validation, taken in turn in one process; prints JSON.

Usage: python benchmarks/epochs.py duet context_gru evidence [--rounds 8]
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
from lacuna.models import model_class
from lacuna.synthetic.duet import generate, preset
from lacuna.training import Recipe, TrainingConfig, fit
from lacuna.training.state import Row
from machine import machine

TRAINING = {"batch_size": 256, "learning_rate": 0.004, "rates": (0.0, 0.2, 0.4, 0.6), "patience": 0, "threads": 1}


def corpus_of(name: str) -> Corpus:
    """Return ``duet`` (300 dialogues), or a corpus of the shared data."""
    if name == "duet":
        return generate(preset("demo", dialogues=300))
    return import_corpus(Path(os.environ["LACUNA_SHARED_DATA"]) / name)


def epoch_seconds(corpus: Corpus, model: str, epochs: int = 3) -> float:
    """Return the CPU seconds of the fastest epoch after the first one."""
    config = TrainingConfig(epochs=epochs, **{**TRAINING, **model_class(model).training_defaults})  # type: ignore[arg-type]
    marks: list[float] = []

    def watch(row: Row) -> None:
        marks.append(time.process_time())

    fit(Recipe.of(corpus, model, config), watch=watch)
    return min(later - earlier for earlier, later in pairwise(marks))


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--rounds", type=int, default=8)
    args = parser.parse_args()
    torch.set_num_threads(1)
    corpus = corpus_of(args.corpus).only("train", "valid")
    rounds = [{model: epoch_seconds(corpus, model) for model in args.models} for _ in range(args.rounds)]
    fastest = {model: min(each[model] for each in rounds) for model in args.models}
    ratios = {model: round(seconds / fastest[args.models[0]], 2) for model, seconds in fastest.items()}
    seconds = {model: round(value, 3) for model, value in fastest.items()}
    print(json.dumps({"corpus": args.corpus, "cpu_seconds": seconds, "ratio": ratios, "machine": machine()}, indent=2))


if __name__ == "__main__":
    main()
