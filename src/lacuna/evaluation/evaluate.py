"""Score trained recognisers on a test split: what Kedro's nodes, the grid and :mod:`lacuna.api` all call."""

from __future__ import annotations

from collections.abc import Sequence

from lacuna.corpus.corpus import Corpus, Labels
from lacuna.evaluation.ceiling import has_ceiling, sweep_ceilings
from lacuna.evaluation.conditions import EvaluationConfig
from lacuna.evaluation.sweep import Sweep, sweep
from lacuna.training.device import pick_device, reproducible
from lacuna.training.trained import TrainedRecognizer


def sweep_all(
    recognizers: Sequence[TrainedRecognizer],
    test: Corpus,
    config: EvaluationConfig,
    training_labels: Labels,
    *,
    device: str = "auto",
    threads: int | None = 1,
) -> list[Sweep]:
    """Return the scores of each recogniser under the same masks; on a generated corpus also those of the best possible answers.

    Args:
        recognizers: of one target; none of them has seen a dialogue of the test split.
        test: the test split.
        config: patterns, rates and mask seeds.
        training_labels: labels of the training split, from which the majority-class or mean baseline is made.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads of torch; ``None`` = as they are. These models are small: more threads are often slower.

    Raises:
        ConfigError: an unknown device, or the corpus lacks the target.
        DataError: the corpus does not fit a recogniser, or a recogniser was trained on one of its dialogues.
    """
    plans = config.plans([m.name for m in test.modalities])
    chosen = pick_device(device)
    with reproducible(threads):
        sweeps = [sweep(one, test, plans, training_labels=training_labels, device=chosen) for one in recognizers]
        if recognizers and has_ceiling(test, recognizers[0].schema.target.name):
            sweeps += sweep_ceilings(test, plans, training_labels=training_labels)
    return sweeps
