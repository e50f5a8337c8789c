"""What calibration does to log loss and calibration error, and whether prediction sets hold the truth, also under shift.

Prints Markdown. Calibration changes no weight: the same recogniser is scored with its temperatures and with temperatures of 1.
Usage: ``python experiments/sureness/measure.py duet`` or, with ``LACUNA_SHARED_DATA`` set, ``... measure.py iemocap``.
"""

from __future__ import annotations

import argparse
import copy
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import lacuna
from lacuna.corpus import Corpus
from lacuna.evaluation import sweep
from lacuna.evaluation.probabilities import sureness_table
from lacuna.metrics.scores import score
from lacuna.missing import MaskPlan
from lacuna.models.layers.temperature import PatternTemperature
from lacuna.synthetic.duet import generate, settings_of
from lacuna.training import TrainedRecognizer
from lacuna.training.device import reproducible

RATES = (0.0, 0.3, 0.6)
WANTED = 0.9
MODELS = {"duet": ("linear", "mlp", "context_gru", "evidence"), "iemocap": ("context_gru", "evidence")}


def corpus_of(name: str) -> Corpus:
    """Return duet (300 dialogues), or IEMOCAP from the folder of shared data."""
    if name == "duet":
        return lacuna.load_corpus("duet", preset="demo")
    return lacuna.load_corpus(Path(os.environ["LACUNA_SHARED_DATA"]) / name, importer="table", options={"targets": ["emotion"]})


def uncalibrated(trained: TrainedRecognizer) -> TrainedRecognizer:
    """Return the recogniser with temperatures of 1."""
    model = copy.deepcopy(trained.model)
    for module in model.modules():
        if isinstance(module, PatternTemperature):
            module.log_temperature.zero_()
    return replace(trained, model=model)


def main() -> None:
    """Train each model once and print three tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", choices=sorted(MODELS))
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--models", nargs="*")
    arguments = parser.parse_args()
    corpus = corpus_of(arguments.corpus)
    names = tuple(arguments.models or MODELS[arguments.corpus])
    trained = [lacuna.create_model(n, calibrate=True).fit(corpus, epochs=arguments.epochs, seed=0).trained for n in names]
    tests = {"test": corpus.only("test")}
    if (settings := settings_of(corpus)) is not None:
        tests["shifted test"] = generate(replace(settings, ood=True))
    labels = corpus.only("train").utterances.labels[corpus.target().name]
    print(f"## {arguments.corpus}\n\n{os.cpu_count()} cores, 1 thread, seed 0, {arguments.epochs} epochs at most, pattern rmm.\n")
    with reproducible(1):
        for table in (calibration_rows, coverage_rows):
            print("\n".join(table(trained, tests, labels)) + "\n", flush=True)


def calibration_rows(trained: Sequence[TrainedRecognizer], tests: dict[str, Corpus], labels: np.ndarray) -> Iterator[str]:
    """Yield log loss, calibration error and accuracy before and after calibration."""
    yield "| model | pattern, rate | baseline's log loss | log loss before | after | ECE before | after | accuracy before | after |"
    yield "|---|---|---|---|---|---|---|---|---|"
    plans = [MaskPlan(p, rate, seed) for p in ("rmm", "outage") for rate in RATES for seed in (0, 1, 2)]
    for one in trained:
        before, after = (sweep(r, tests["test"], plans, training_labels=labels) for r in (uncalibrated(one), one))
        baseline = float(score(after.pooled_baseline, "log_loss"))
        for p in ("rmm", "outage"):
            for rate in RATES:
                at = [i for i, c in enumerate(after.conditions) if (c.pattern, c.rate) == (p, rate)]
                cells = [
                    float(np.mean(score(sw.pooled, name)[at]))
                    for name in ("log_loss", "ece", "accuracy")
                    for sw in (before, after)
                ]
                yield f"| `{one.variant}` | {p} {rate} | {baseline:.3f} | " + " | ".join(f"{c:.3f}" for c in cells) + " |"


def coverage_rows(trained: Sequence[TrainedRecognizer], tests: dict[str, Corpus], labels: np.ndarray) -> Iterator[str]:
    """Yield coverage and size of the sets by available modalities, and coverage, sure answers and their errors under shift."""
    yield f"| model | test | available | n | coverage (wanted {WANTED}) | binomial bound | mean size | sure answers | errors among them |"
    yield "|---|---|---|---|---|---|---|---|---|"
    plans = [MaskPlan("rmm", rate, 0) for rate in RATES]
    for one in trained:
        for name, test in tests.items():
            table = sureness_table([sweep(one, test, plans, training_labels=labels)])
            sums = table.groupby("available", sort=False)[["n", "covered", "size", "answered", "wrong"]].sum()
            sums.loc["all"] = sums.sum()
            for available, r in sums.sort_values("n", ascending=False).iterrows():
                half = 1.96 * np.sqrt(WANTED * (1 - WANTED) / r["n"])
                wrong = f"{r['wrong'] / r['answered']:.3f}" if r["answered"] else "n/a"
                yield (
                    f"| `{one.variant}` | {name} | {available} | {r['n']:.0f} | {r['covered'] / r['n']:.3f} | "
                    f"{WANTED - half:.3f} to {WANTED + half:.3f} | {r['size'] / r['n']:.2f} | {r['answered'] / r['n']:.3f} | {wrong} |"
                )


if __name__ == "__main__":
    main()
