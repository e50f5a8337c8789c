"""Soft against hard labels on the human votes of CREMA-D; writes cremad_areas.csv and cremad_pairs.csv, and prints them.

The features of the clips are not public, so the modalities are what people heard and saw: the shares of votes for the voice alone
and for the face alone. The target is the shares of votes for the whole clip. Splits are by actor. Usage, with
``LACUNA_SHARED_DATA`` set: ``python experiments/losses/cremad.py``.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lacuna.corpus import Channel, Corpus, Target, assemble
from lacuna.corpus.derived import disagreement
from lacuna.evaluation import EvaluationConfig, areas, bootstrap, compare, sweep
from lacuna.training import Recipe, TrainingConfig, fit

LETTERS, CLASSES = list("ADFHNS"), ("anger", "disgust", "fear", "joy", "neutral", "sadness")
LOSSES = ("plain", "majority", "class_balanced", "penalisation")
METRICS = ("kl", "js", "macro_f1", "weighted_f1")  # divergences from the shares of votes; F1 of the class with most votes
SEEDS = (0, 1, 2)


def votes() -> dict[str, pd.DataFrame]:
    """Return the counts of votes by what was shown: ``voice``, ``face`` and ``both``, clips in the same order."""
    table = pd.read_csv(Path(os.environ["LACUNA_SHARED_DATA"]) / "cremad_votes" / "tabulatedVotes.csv", index_col=0)
    parts = {name: table[table.index // 100_000 == kind] for name, kind in (("voice", 1), ("face", 2), ("both", 3))}
    parts = {name: part.groupby("fileName")[LETTERS].sum() for name, part in parts.items()}
    common = sorted(set.intersection(*(set(part.index) for part in parts.values())))
    return {name: part.loc[common] for name, part in parts.items()}


def corpus_of(counts: dict[str, pd.DataFrame]) -> Corpus:
    """Return the clips of 91 actors: three fifths for training, one for validation, one for test."""
    shares = {name: part.to_numpy(np.float32) / part.sum(axis=1).to_numpy(np.float32)[:, None] for name, part in counts.items()}
    clips = counts["both"].index.tolist()
    actors = [clip.split("_")[0] for clip in clips]
    order = {actor: place for place, actor in enumerate(np.random.default_rng(0).permutation(sorted(set(actors))).tolist())}
    split = [("train", "train", "train", "valid", "test")[order[actor] % 5] for actor in actors]
    return assemble(
        "cremad_votes",
        ids=clips,
        dialogues=actors,
        turns=[clips.index(clip) - actors.index(actor) for clip, actor in zip(clips, actors, strict=True)],
        speakers=actors,
        splits=split,
        channels={name: Channel(list(shares[name][:, None])) for name in ("voice", "face")},  # (N, 6) -> (N, 1, 6)
        targets=[Target("votes", "soft", CLASSES)],
        labels={"votes": shares["both"]},
    )


def main() -> None:
    """Train each loss and compare it with the plain one."""
    torch.set_num_threads(1)
    counts = votes()
    corpus = corpus_of(counts)
    intended = np.array([clip.split("_")[2] == "ANG" for clip in corpus.ids], np.float32)
    hidden = disagreement(intended, counts["both"].to_numpy(np.float32).clip(max=1)[:, [0]])
    best = np.sort(counts["both"].to_numpy(), axis=1)
    text = f"{len(corpus)} clips; no single largest share in {(best[:, -1] == best[:, -2]).mean():.3f}; "
    print(text + f"acted anger that nobody sees: {(hidden == 1).sum()} of {int(intended.sum())}")  # noqa: T201
    labels = corpus.only("train").utterances.labels["votes"]
    plans = EvaluationConfig(rates=(0.0, 0.3, 0.6)).plans(["voice", "face"])
    sweeps = []
    for name in LOSSES:
        for seed in SEEDS:
            config = TrainingConfig(loss=name, epochs=15, patience=4, batch_size=128, device="cpu", threads=1)
            trained = replace(fit(Recipe.of(corpus, "mlp", config, seed=seed)).trained, variant=f"mlp_{name}")
            sweeps.append(sweep(trained, corpus.only("test"), plans, training_labels=labels))
    drawn = bootstrap(sweeps, replicates=1000, metrics=METRICS)
    area, pairs = areas(drawn), compare(drawn, reference="mlp_plain")
    pairs = pairs[pairs["rate"].isna()]
    folder = Path(__file__).parent
    area.round(4).to_csv(folder / "cremad_areas.csv", index=False)
    pairs.round(4).to_csv(folder / "cremad_pairs.csv", index=False)
    print(area[area.measure == "auilc"][["model", "pattern", "metric", "mean", "low", "high"]].round(4).to_string(index=False))  # noqa: T201
    print(pairs[["model_a", "pattern", "metric", "difference", "low", "high"]].round(4).to_string(index=False))  # noqa: T201


if __name__ == "__main__":
    main()
