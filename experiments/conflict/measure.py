"""Conflicts between modalities: subsets from CREMA-D's votes, and on IEMOCAP from models that read one modality.

LACUNA_SHARED_DATA=<folder> python experiments/conflict/measure.py
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lacuna.corpus import Corpus
from lacuna.evaluation import predict
from lacuna.loading import load_corpus
from lacuna.metrics.protocols import score_tables, score_with_intervals
from lacuna.metrics.protocols.humans import cremad_truth, read_cremad_votes
from lacuna.models import model_class
from lacuna.training import Recipe, TrainingConfig, fit

SINGLE = "logreg"  # reads one modality, and gives the labels of the subsets
SYSTEMS = ("logreg", "context_gru")
OUT = Path(__file__).with_name("scores.csv")


def of_modality(corpus: Corpus, name: str) -> Corpus:
    """Return the corpus with one modality."""
    modalities = tuple(m for m in corpus.modalities if m.name == name)
    return replace(corpus, modalities=modalities, frames={name: corpus.frames[name]}, digest=None)


def predicted(corpus: Corpus, model: str) -> list[str]:
    """Return the predictions of a model for the test split, trained on the corpus with nothing missing."""
    defaults = getattr(model_class(model), "training_defaults", {})
    settings = {"epochs": 20, "batch_size": 256, "learning_rate": 0.004, "patience": 4, "rates": (0.0,), "valid_rates": (0.0,)}
    config = TrainingConfig(**{**settings, **defaults, "threads": 1, "device": "cpu"})
    trained = fit(Recipe.of(corpus, model, config, target="emotion")).trained
    return list(predict(trained, corpus.only("test")).to_frame()["predicted"])


def iemocap(data: Path) -> pd.DataFrame:
    """Return the scores on IEMOCAP: labels of the subsets from a text model and an audio model."""
    corpus = load_corpus(data / "iemocap", importer="table", options={"targets": ["emotion"]})
    test = corpus.only("test")
    names = np.asarray([*test.target("emotion").classes, ""], dtype=object)
    dialogues = test.utterances.dialogue_names.to_pylist()
    truth = pd.DataFrame({"id": test.ids, "dialogue": [dialogues[code] for code in test.utterances.dialogue]})
    truth["label"] = names[test.utterances.labels["emotion"]]
    for name in ("text", "audio"):
        truth[f"label_{name}"] = predicted(of_modality(corpus, name), SINGLE)
    truth = truth[truth["label"] != ""]
    systems = {name: predicted(corpus, name) for name in SYSTEMS}
    answers = pd.concat([pd.DataFrame({"id": test.ids, "predicted": p, "model": name}) for name, p in systems.items()])
    table = score_with_intervals("conflict", answers, truth, modalities="text+audio", replicates=100)
    return table.assign(corpus="iemocap")


def cremad(data: Path) -> pd.DataFrame:
    """Return the scores of people who saw and heard CREMA-D, where others only heard or only saw it."""
    truth = cremad_truth(read_cremad_votes(data / "cremad_votes"))
    answers = truth[["id"]].assign(predicted=truth["label"], model="majority of raters with both")
    wanted = truth.drop(columns="label").rename(columns={"intended": "label"})
    return score_tables("conflict", answers, wanted, modalities="voice+face").assign(corpus="cremad_votes")


def main() -> None:
    """Measure both corpora."""
    torch.set_num_threads(1)
    data = Path(os.environ["LACUNA_SHARED_DATA"])
    pd.concat([cremad(data), iemocap(data)]).to_csv(OUT, index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
