"""Compare trained recognisers on the test split; what :func:`lacuna.evaluate` and ``lacuna evaluate`` call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from lacuna.corpus import Corpus
from lacuna.errors import ConfigError
from lacuna.evaluation import (
    EvaluationConfig,
    PatternSpec,
    Sweep,
    answered_subsets,
    dynamics_table,
    example_table,
    judge_recoveries,
    sweep_all,
    sweep_answers,
    tabulate,
)
from lacuna.missing import Pattern
from lacuna.results import Evaluation
from lacuna.training import TrainedRecognizer
from lacuna.training.device import pick_device, reproducible

PATTERNS = ("rmm", "outage")
RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


def evaluate_recognizers(
    recognizers: list[TrainedRecognizer],
    corpus: Corpus,
    patterns: Sequence[str | Pattern],
    *,
    rates: Sequence[float] = RATES,
    mask_seeds: Sequence[int] = (0, 1, 2),
    recovery_rates: Sequence[float] = (0.5,),
    replicates: int = 500,
    past_only: bool = False,
    answers: pd.DataFrame | None = None,
    history: Sequence[pd.DataFrame] = (),
) -> Evaluation:
    """Compare trained recognisers on the test split; :func:`lacuna.evaluate` explains the arguments."""
    specs = tuple(_spec(pattern) for pattern in patterns)
    numbers: dict[str, Any] = {"rates": tuple(rates), "mask_seeds": tuple(mask_seeds), "replicates": replicates}
    modalities = [m.name for m in corpus.modalities]
    subsets: Any = "auto" if answers is None else answered_subsets(answers, modalities)
    config = EvaluationConfig(patterns=specs, **numbers, past_only=past_only, subsets=subsets)
    target, test = recognizers[0].schema.target, corpus.only("test")
    if not len(test):
        raise ConfigError(f"corpus '{corpus.name}' has no test split; load it with split='fold', or give it one")
    labels = corpus.only("train").utterances.labels[target.name]
    outside: list[Sweep] = []
    if answers is not None:  # first, because a missing answer ends it
        outside = sweep_answers(
            answers, test, config.plans(modalities), training_labels=labels, target=target.name, past_only=past_only
        )
    sweeps = [*sweep_all(recognizers, test, config, labels), *outside]
    with reproducible(1):
        able = recognizers if len(recovery_rates) else []
        recovery, points = judge_recoveries(able, test, config, recovery_rates, device=pick_device("auto"))
        examples = example_table(recognizers, test, config, device=pick_device("auto"))
        dynamics = dynamics_table(recognizers, test, config, answers=answers, device=pick_device("auto"))
    rows = pd.concat(history, ignore_index=True) if history else pd.DataFrame()
    tables = tabulate(sweeps, config)
    long = {"history": rows, "recovery": recovery, "points": points, "examples": examples, "dynamics": dynamics}
    return Evaluation(corpus, tuple(recognizers), config, tables, **long, sweeps=tuple(sweeps))


def _spec(pattern: str | Pattern) -> PatternSpec:
    return PatternSpec(pattern.name, pattern.settings()) if isinstance(pattern, Pattern) else PatternSpec(pattern)
