"""Soft, all-inclusive and hard labels where the true shares are known; writes duet_votes_areas.csv and duet_votes_pairs.csv.

On duet (300 dialogues) k annotators vote for an emotion, each by a draw from the exact posterior given the turn alone, as
annotators do who rate single turns. Training and validation see the votes; the test target is the posterior itself. Three ways
to use the votes are compared:

- ``hard``: the class with most votes; turns without a single one are unlabelled (loss ``majority``);
- ``agreed``: shares of votes; the same turns are unlabelled;
- ``all``: shares of votes of every turn, the all-inclusive rule (loss ``plain``).

Usage: ``python experiments/losses/duet_votes.py``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from lacuna.corpus import Corpus, Target
from lacuna.corpus.derived import add_target
from lacuna.evaluation import EvaluationConfig, PatternSpec, Sweep, areas, bootstrap, compare, sweep
from lacuna.synthetic.duet import generate, posterior, preset
from lacuna.training import Recipe, TrainingConfig, fit

ANNOTATORS, SEEDS = (3, 5), (0, 1, 2)
METRICS = ("kl", "js", "ece", "macro_f1")  # divergences from the posterior; F1 of its most probable emotion
RULES = {"all": "plain", "agreed": "plain", "hard": "majority"}  # the loss of each way; the first is the reference
MODEL = "context_gru"


def votes_of(shares: NDArray[np.float64], annotators: int) -> NDArray[np.float32]:
    """Return the shares of votes (N, K) of some annotators, drawn from (N, K) probabilities."""
    drawn = np.random.default_rng(annotators).multinomial(annotators, shares)
    return (drawn / annotators).astype(np.float32)


def agreed(votes: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return (N,) bool: one emotion has more votes than every other."""
    ordered = np.sort(votes, axis=1)
    return np.asarray(ordered[:, -1] > ordered[:, -2])


def corpus_of(corpus: Corpus, shares: NDArray[np.float64], annotators: int, rule: str) -> Corpus:
    """Return the corpus with the target ``votes``: votes in training and validation, the posterior in the test split."""
    votes, test = votes_of(shares, annotators), corpus.utterances.split == 2
    if rule == "agreed":
        votes[~agreed(votes)] = np.nan
    labels = np.where(test[:, None], shares, votes)
    return add_target(corpus, Target("votes", "soft", corpus.targets[0].classes), labels.astype(np.float32))


def main() -> None:
    """Train with each rule and number of annotators, and compare with the all-inclusive rule."""
    torch.set_num_threads(1)
    corpus = generate(preset("demo"))
    shares = posterior(corpus, context=False)
    plans = EvaluationConfig(patterns=(PatternSpec("rmm"),), rates=(0.0, 0.3, 0.6), mask_seeds=(0,)).plans([m.name for m in corpus.modalities])
    area, pairs = [], []
    for annotators in ANNOTATORS:
        without = 1 - agreed(votes_of(shares, annotators)).mean()
        print(f"{annotators} annotators: {without:.3f} of the turns have no single class with most votes")  # noqa: T201
        sweeps: list[Sweep] = []
        for rule, loss in RULES.items():
            voted = corpus_of(corpus, shares, annotators, rule)
            labels = corpus_of(corpus, shares, annotators, "all").only("train").utterances.labels["votes"]
            for seed in SEEDS:
                config = TrainingConfig(loss=loss, epochs=20, patience=5, device="cpu", threads=1)
                recipe = Recipe.of(voted, MODEL, config, seed=seed, target="votes")
                trained = replace(fit(recipe).trained, variant=f"{rule}_{annotators}")
                sweeps.append(sweep(trained, voted.only("test"), plans, training_labels=labels))
        drawn = bootstrap(sweeps, replicates=1000, metrics=METRICS)
        area.append(areas(drawn))
        pairs.append(compare(drawn, reference=f"all_{annotators}").query("rate.isna()"))
    folder = Path(__file__).parent
    pd.concat(area).round(4).to_csv(folder / "duet_votes_areas.csv", index=False)
    pd.concat(pairs).round(4).to_csv(folder / "duet_votes_pairs.csv", index=False)
    shown = pd.concat(area).query("measure == 'auilc'")[["model", "metric", "mean", "low", "high"]]
    print(shown.round(4).to_string(index=False))  # noqa: T201
    print(pd.concat(pairs)[["model_a", "metric", "difference", "low", "high"]].round(4).to_string(index=False))  # noqa: T201


if __name__ == "__main__":
    main()
