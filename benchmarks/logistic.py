"""`logreg` against scikit-learn's LogisticRegression, C chosen on validation: weighted F1 on test, nothing missing; prints JSON.

Usage: python benchmarks/logistic.py wide      5,000 generated single utterances of 1,024 + 768 columns
       LACUNA_SHARED_DATA=<folder> python benchmarks/logistic.py iemocap
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.preprocessing import StandardScaler

from lacuna import load_corpus
from lacuna.corpus import Corpus
from lacuna.corpus.batch import collate
from lacuna.corpus.importers import import_corpus
from lacuna.corpus.statistics import fit_statistics
from lacuna.models.layers.pooling import pooled
from lacuna.models.logreg import STRENGTHS
from lacuna.training import Recipe, TrainingConfig, fit
from machine import machine
from wide import write_wide


def corpus_of(name: str) -> Corpus:
    """Return ``wide``, or a corpus of the shared data."""
    if name == "wide":
        import tempfile

        return load_corpus(write_wide(Path(tempfile.mkdtemp())))
    return import_corpus(Path(os.environ["LACUNA_SHARED_DATA"]) / name)


def vectors(corpus: Corpus, split: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return mean-filled frame means and classes of the labelled utterances of a split."""
    part = corpus.only(split)
    batch = collate(part, np.arange(len(part)), corpus.schema(), fit_statistics(corpus))
    return pooled(batch)[batch.labelled].double().numpy(), batch.label[batch.labelled].numpy()


def theirs(corpus: Corpus) -> tuple[float, float]:
    """Return the C that validation chooses, and weighted F1 on test."""
    (train, y), (valid, y_valid), (test, y_test) = (vectors(corpus, split) for split in ("train", "valid", "test"))
    scaler = StandardScaler().fit(train)
    fitted = [LogisticRegression(C=c, max_iter=2000).fit(scaler.transform(train), y) for c in STRENGTHS]
    scores = [f1_score(y_valid, one.predict(scaler.transform(valid)), average="weighted") for one in fitted]
    best = int(np.argmax(scores))
    return STRENGTHS[best], float(f1_score(y_test, fitted[best].predict(scaler.transform(test)), average="weighted"))


def ours(corpus: Corpus, model: str) -> float:
    """Return weighted F1 on test of a trained model, nothing missing."""
    recognizer = fit(Recipe.of(corpus, model, TrainingConfig(epochs=40, batch_size=256, learning_rate=0.004, threads=1))).trained
    test = corpus.only("test")
    batch = collate(test, np.arange(len(test)), recognizer.schema, recognizer.statistics)
    with torch.no_grad():
        answers = recognizer.model(batch).logits.argmax(dim=1)[batch.labelled]
    return float(f1_score(batch.label[batch.labelled], answers, average="weighted"))


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("--models", nargs="+", default=["logreg", "linear"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    corpus, begun = corpus_of(args.corpus), time.process_time()
    strength, score = theirs(corpus)
    found = {"scikit-learn": round(score, 4), **{model: round(ours(corpus, model), 4) for model in args.models}}
    seconds = round(time.process_time() - begun)
    print(json.dumps({"corpus": args.corpus, "weighted_f1": found, "C": strength, "cpu_seconds": seconds, "machine": machine()}))


if __name__ == "__main__":
    main()
