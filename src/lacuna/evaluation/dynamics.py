"""Emotion dynamics of the test split with nothing missing: how well recognisers follow changes of emotion in a dialogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import torch

from lacuna.corpus.corpus import Corpus
from lacuna.evaluation.ceiling import has_ceiling
from lacuna.evaluation.conditions import EvaluationConfig
from lacuna.evaluation.outside import NAME, subset_of
from lacuna.evaluation.predict import predict
from lacuna.evaluation.tables import CEILING
from lacuna.metrics.bootstrap import interval, resample_weights
from lacuna.metrics.protocols.dynamics_counts import METRICS, DynamicsCounts
from lacuna.metrics.protocols.tables import words
from lacuna.synthetic.duet import Oracle
from lacuna.training.trained import TrainedRecognizer

DYNAMICS_COLUMNS = ["corpus", "model", "metric", "mean", "low", "high", "seeds", "turns", "changed", "dialogues"]


def dynamics_table(
    recognizers: Sequence[TrainedRecognizer],
    test: Corpus,
    config: EvaluationConfig,
    *,
    answers: pd.DataFrame | None = None,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Return change, state and transition scores of the protocol ``dynamics``, with intervals over dialogues and seeds.

    Args:
        recognizers: of one target.
        test: the split to score.
        config: its replicates, level and seed, and whether answers are from the past only.
        answers: of outside systems, as for :func:`lacuna.evaluation.sweep_answers`; those for all modalities are scored.
        device: where to compute.

    Returns:
        One row for each model and metric: ``mean`` over training seeds, ``low``, ``high``, ``seeds``, ``turns`` (labelled),
        ``changed`` (share of turns whose emotion differs from that of the turn before) and ``dialogues``. Empty if the target is
        not made of classes, or no dialogue has two labelled turns.
    """
    empty = pd.DataFrame(columns=DYNAMICS_COLUMNS)
    if not recognizers or recognizers[0].schema.target.task != "classification":
        return empty
    target = recognizers[0].schema.target
    labels, names = test.utterances.labels[target.name], np.asarray([*target.classes, ""], dtype=object)
    known = np.flatnonzero(labels >= 0)
    ends = np.flatnonzero(np.diff(test.utterances.dialogue[known]) != 0) + 1
    truth = [list(part) for part in np.split(names[labels[known]], ends)]
    steps = [a != b for states in truth for a, b in pairwise(states)]
    if not steps:
        return empty
    systems: dict[str, list[Sequence[str]]] = {}
    for trained in recognizers:
        logits = predict(trained, test, device=device, past_only=config.past_only).logits
        systems.setdefault(trained.variant, []).append(names[logits.argmax(axis=1)])
    if has_ceiling(test, target.name):
        oracle = Oracle.of(test)
        posterior = oracle.filtered(test) if config.past_only else oracle.posterior(test)
        systems[CEILING] = [names[posterior.argmax(axis=1)]]
    for name, predicted in _outside(answers, test).items():
        systems.setdefault(name, []).append(predicted)
    weights = resample_weights([config.seed, 0], len(truth), config.replicates)
    rows = []
    for name, by_seed in systems.items():
        counts = [
            DynamicsCounts.of(truth, [list(part) for part in np.split(np.asarray(p, dtype=object)[known], ends)]) for p in by_seed
        ]
        mean = np.mean([c.measures(np.ones((1, len(truth))))[0] for c in counts], axis=0)
        shares = resample_weights([config.seed, 1], len(counts), config.replicates) / len(counts)  # (B, S)
        draws = sum(share[:, None] * c.measures(weights) for share, c in zip(shares.T, counts, strict=True))
        low, high = interval(np.asarray(draws), config.level, len(truth))
        sizes = {"seeds": len(counts), "turns": len(known), "changed": float(np.mean(steps)), "dialogues": len(truth)}
        for m, metric in enumerate(METRICS):
            row = {"corpus": test.name, "model": name, "metric": metric, "mean": mean[m], "low": low[m], "high": high[m]}
            rows.append(row | sizes)
    return pd.DataFrame(rows, columns=DYNAMICS_COLUMNS)


def _outside(answers: pd.DataFrame | None, test: Corpus) -> Mapping[str, list[str]]:
    """Return the predictions of outside systems that were shown every modality: by name one a test utterance, empty = none."""
    if answers is None:
        return {}
    everything = frozenset(m.name for m in test.modalities)
    if "modalities" in answers:
        answers = answers[[subset_of(text) == everything for text in words(answers, "modalities")]]
    systems = answers.groupby("model", sort=False) if "model" in answers else [(NAME, answers)]
    result = {}
    for name, rows in systems:
        by_id = dict(zip(words(rows, "id"), words(rows, "predicted"), strict=True))
        result[str(name)] = [by_id.get(item, "") for item in test.ids]
    return result
