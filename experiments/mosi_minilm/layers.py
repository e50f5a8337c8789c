"""Which layers of MiniLM tell most of the emotion: cross-validated weighted F1 of logistic regression. The test split is not read.

    LACUNA_SHARED_DATA=<folder> python experiments/mosi_minilm/layers.py mosi
    LACUNA_SHARED_DATA=<folder> python experiments/mosi_minilm/layers.py meld

Five folds of the dialogues of training and validation; means over the tokens; the best strength of five, so values are optimistic.
One thread.
"""

from __future__ import annotations

import argparse

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from trials import meld, mosi

from lacuna.media.extract import encode_texts

LAYERS = 7  # the input of the first one, and six
SETS = (*((n,) for n in range(LAYERS)), (3, 6), (4, 6), (4, 5, 6), (2, 4, 6), tuple(range(LAYERS)))
STRENGTHS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)


def main() -> None:
    """Print a line for each set of layers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", choices=["mosi", "meld"])
    name = parser.parse_args().corpus
    corpus = (mosi if name == "mosi" else meld)({"pool": "mean"}).only("train", "valid")
    corpus = encode_texts(corpus, {"name": "minilm", "layers": list(range(LAYERS))})
    dim = corpus.schema().dims["text"] // LAYERS
    label = np.asarray(corpus.utterances.labels[corpus.targets[0].name])
    rows = np.flatnonzero((label >= 0) & corpus.frames["text"].any_observed)
    layers = np.stack([corpus.frames["text"].of(row).mean(axis=0) for row in rows]).reshape(
        -1, LAYERS, dim
    )  # (N, 7 d) -> (N, 7, d)
    for chosen in SETS:
        features = layers[:, chosen].reshape(len(rows), -1)  # (N, n, d) -> (N, n d)
        scores = []
        for strength in STRENGTHS:
            model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=500))
            folds = GroupKFold(5).split(features, label[rows], np.asarray(corpus.utterances.dialogue)[rows])
            predicted = cross_val_predict(model, features, label[rows], cv=list(folds))
            scores.append(f1_score(label[rows], predicted, average="weighted"))
        best = int(np.argmax(scores))
        print(f"| {name} | {', '.join(map(str, chosen))} | {scores[best]:.3f} | {STRENGTHS[best]} |", flush=True)


if __name__ == "__main__":
    main()
