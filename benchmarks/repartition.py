"""Print how far a re-partitioned test can be from training, and what features know of the training videos, as Markdown.

Two tables of a corpus with classes and one text vector for each utterance (CMU-MOSI, docs/explanation/shifted_tests.md).
First, the divergence of repartitions in multiples of random splits, by the expected count from which words are used. Second,
the weighted F1 of logistic regression on text alone, fitted on the training split, by split and regularisation. Usage:
``kedro run --env mosi --pipelines ingest && python benchmarks/repartition.py``. Takes about a minute.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lacuna.corpus import Corpus, open_corpus
from lacuna.shift import RepartitionConfig, repartition

SPLITS = ("train", "valid", "test")


def divergences(corpus: Corpus, expected: tuple[float, ...]) -> list[str]:
    """One row a threshold: times the divergence of random splits, for both pools."""
    pools = {"all": 0.05, "test": 0.02}  # largest total variation between the labels of the parts
    lines = [
        "| expected | " + " | ".join(f"pool {pool}, budget {budget}" for pool, budget in pools.items()) + " |",
        "|---|---|---|",
    ]
    for least in expected:
        settings = (RepartitionConfig(unit="utterance", pool=p, budget=b, expected=least) for p, b in pools.items())  # type: ignore[arg-type]
        times = [repartition(corpus, each).measured.times_random for each in settings]
        lines.append(f"| {least:g} | " + " | ".join(f"{value:.1f} times" for value in times) + " |")
    return lines


def text_alone(corpus: Corpus, regularisation: tuple[float, ...]) -> list[str]:
    """One row a regularisation: weighted F1 on each split."""
    parts = {}
    for split in SPLITS:
        part = corpus.only(split)
        text = part.frames["text"]
        parts[split] = np.stack([text.values[row] for row in text.start]), np.asarray(part.utterances.labels["polarity"])
    lines = [f"| C | {' | '.join(SPLITS)} |", "|---|---|---|---|"]
    for strength in regularisation:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000)).fit(*parts["train"])
        scores = (f1_score(labels, model.predict(rows), average="weighted") for rows, labels in parts.values())
        lines.append(f"| {strength:g} | " + " | ".join(f"{score:.3f}" for score in scores) + " |")
    return lines


def main() -> None:
    """Reads the corpus and prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=Path("data/02_intermediate/mosi/corpus"))
    corpus = open_corpus(parser.parse_args().corpus)
    print("\n".join([*divergences(corpus, (1, 2.5, 5, 10)), "", *text_alone(corpus, (0.001, 0.01, 0.1, 1.0))]))


if __name__ == "__main__":
    main()
