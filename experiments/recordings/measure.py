"""EmoDB across its speakers, and CREMA-D clips with a model of EmoDB: from the recordings to weighted F1.

    LACUNA_SHARED_DATA=<folder> python experiments/recordings/measure.py

EmoDB: train on one speaker, validation is a fifth of this speaker, test on the other speaker; both directions. CREMA-D: train on
both speakers of EmoDB (German), test on 12 English clips of two other speakers, and compare with the votes of people who only
heard the clips. One thread; the features are cached.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import lacuna
from lacuna.corpus import Corpus
from lacuna.media import extract
from lacuna.settings import data_root

ENCODERS = ("logmel", "functionals")
MODELS = ("prior", "logreg", "mlp")
VOTES = {"A": "anger", "D": "disgust", "F": "fear", "H": "happiness", "N": "neutral", "S": "sadness"}
TRAINING = {"pattern": "rmm", "seed": 0, "epochs": 60, "valid_rates": [0.0], "learning_rate": 0.002, "weight_decay": 0.1}


def with_split(corpus: Corpus, test: np.ndarray, seed: int = 0) -> Corpus:
    """Return the corpus with ``test`` ((N,) bool) as its test split and a fifth of the others as validation."""
    split = np.where(test, 2, 0)
    others = np.flatnonzero(~test)
    split[np.random.default_rng(seed).permutation(others)[: len(others) // 5]] = 1
    return replace(corpus, utterances=replace(corpus.utterances, split=split.astype(np.int64)), digest=None, place=None)


def heard(folder: Path) -> dict[str, dict[str, float]]:
    """Return by clip the share of votes of people who only heard it, by emotion."""
    shares = {}
    with (folder / "tabulatedVotes.csv").open(encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            if int(row[""]) < 200_000:  # rows from 200,000 on are votes on the picture
                counts = {emotion: float(row[letter]) for letter, emotion in VOTES.items()}
                shares[row["fileName"]] = {emotion: n / sum(counts.values()) for emotion, n in counts.items()}
    return shares


def main() -> None:
    """Print one line for each encoder, model and test."""
    torch.set_num_threads(1)
    root = Path(data_root())
    votes = heard(root / "cremad_votes")
    print("| encoder | model | EmoDB, test speaker 08 | EmoDB, test speaker 03 | 12 CREMA-D clips | human votes for the answer |")
    print("|---|---|---|---|---|---|")
    for encoder in ENCODERS:
        encode = {"text": None, "audio": encoder, "vision": None}
        emodb = extract(root / "emodb" / "wav", encode, name="emodb").corpus
        clips = extract(root / "media", encode, name="media").corpus
        crema = [i for i in clips.ids if i in votes]
        names = emodb.utterances.speaker_names.to_pylist()
        speaker = np.array([names[code] for code in emodb.utterances.speaker])
        for name in MODELS:
            cells = []
            for test in ("08", "03"):
                corpus = with_split(emodb, speaker == test)
                score = lacuna.create_model(name).fit(corpus, **TRAINING).score(corpus)
                cells.append(f"{score.value:.3f} (n = {score.n})")
            model = lacuna.create_model(name).fit(with_split(emodb, np.zeros(len(emodb), bool)), **TRAINING)
            answers = model.predict(clips).set_index("id")["predicted"].loc[crema]
            truth = [VOTES[i.split("_")[2][0]] for i in crema]  # 1001_DFA_ANG_XX
            agreed = np.mean([votes[i].get(answer, 0.0) for i, answer in answers.items()])
            cells += [f"{weighted_f1(truth, answers.tolist()):.3f}", f"{agreed:.3f}"]
            print(f"| {encoder} | {name} | {' | '.join(cells)} |", flush=True)
    most = np.mean([max(votes[i].values()) for i in crema])
    print(f"\nThe most frequent vote of each clip has a share of {most:.3f}; a guess among six emotions gets {1 / 6:.3f}.")


def weighted_f1(truth: list[str], answers: list[str]) -> float:
    """Return the weighted F1 of answers."""
    from sklearn.metrics import f1_score

    return float(f1_score(truth, answers, average="weighted", zero_division=0))


if __name__ == "__main__":
    main()
