"""Example utterances: what was said, what was missing, what each model predicted and how sure it was."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from lacuna.corpus.batch import Batch
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.schema import Target
from lacuna.evaluation.conditions import FIXED, EvaluationConfig
from lacuna.evaluation.predict import answer, inference, loader_of, observe
from lacuna.metrics.counts import log_softmax
from lacuna.missing import Layout, MaskPlan
from lacuna.training.trained import TrainedRecognizer

EXAMPLE_COLUMNS = ["id", "text", "missing", "truth", "model", "answer", "confidence"]
NUMBER = 12
_RATE = 0.5  # examples are shown at the scored rate that is nearest to it
_LONGEST = 240  # characters of a transcript


def example_table(
    recognizers: Sequence[TrainedRecognizer],
    test: Corpus,
    config: EvaluationConfig,
    *,
    number: int = NUMBER,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Return what each model predicts for a few test utterances, under one of the scored masks.

    The utterances are labelled, from different dialogues if there are enough, and chosen by a hash of their ids: they do not
    depend on any prediction. The mask is that of the first pattern with a rate, at the scored rate nearest to 0.5. Only the
    dialogues of the chosen utterances are predicted, so the cost does not grow with the test split.

    Args:
        recognizers: of each variant the first one is shown.
        test: the test split.
        config: patterns, rates and mask seeds.
        number: most utterances.
        device: where to compute.

    Returns:
        One row for each utterance and model: id, text (the transcript, empty if the corpus has none), missing (modalities),
        truth, model, answer (class, or value with two decimals), confidence (NaN for values).
    """
    if not recognizers or not len(test):
        return pd.DataFrame(columns=EXAMPLE_COLUMNS)
    first = {trained.variant: trained for trained in reversed(recognizers)}  # the first of each variant is kept
    target = recognizers[0].schema.target
    rows = _chosen(test, target, number)
    dialogue = test.utterances.dialogue
    around = np.flatnonzero(np.isin(dialogue, dialogue[rows]))
    at = np.searchsorted(around, rows)
    present = _plan(config, test).over(Layout.of(test)).present(around)
    shown = [_shortened(text or "") for text in test.take(rows).transcripts]
    ids, labels = test.take(rows).ids, test.utterances.labels[target.name][rows]
    missing: list[str] = []
    table = []
    for variant in dict.fromkeys(trained.variant for trained in recognizers):
        trained = first[variant]
        with inference(trained.model, device):
            complete = loader_of(trained, test, len(around), device).read(around)
            observed = observe(complete, present)
            logits = answer(trained.model, observed).logits[at].astype(np.float64)  # (R, C)
        missing = missing or _missing(complete, observed, at)
        for i in range(len(rows)):
            answered, confidence = _answer(target, logits[i])
            table.append((ids[i], shown[i], missing[i], _truth(target, labels[i]), variant, answered, confidence))
    return pd.DataFrame(table, columns=EXAMPLE_COLUMNS)


def _chosen(test: Corpus, target: Target, number: int) -> NDArray[np.int64]:
    """Return the rows of the examples, ascending: by the hash of their ids, one for each dialogue before a second one."""
    rows = np.flatnonzero(test.labelled(target.name))
    rows = rows[np.argsort(test.keys[rows], kind="stable")]
    dialogue = test.utterances.dialogue[rows]
    before = np.array([np.count_nonzero(dialogue[:i] == code) for i, code in enumerate(dialogue[: 50 * number])], np.int64)
    return np.sort(rows[np.argsort(before, kind="stable")[:number]])


def _plan(config: EvaluationConfig, test: Corpus) -> MaskPlan:
    plans = config.plans([m.name for m in test.modalities])
    ranked = [plan for plan in plans if plan.pattern.name != FIXED] or plans
    same = [plan for plan in ranked if plan.pattern == ranked[0].pattern]
    return min(same, key=lambda plan: (abs(plan.rate - _RATE), plan.seed))


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def _missing(complete: Batch, observed: Batch, at: NDArray[np.int64]) -> list[str]:
    """Return what each utterance at ``at`` lacks: ``text``, or ``part of audio`` if some of its frames are left."""
    lines: list[list[str]] = [[] for _ in at]
    for modality in complete.present:
        before, kept = (batch.present[modality].sum(dim=1).cpu().numpy()[at] for batch in (complete, observed))
        for i in range(len(at)):
            if kept[i] < max(1, before[i]):
                lines[i].append(modality if not kept[i] else f"part of {modality}")
    return [", ".join(line) for line in lines]


def _answer(target: Target, logits: NDArray[np.float64]) -> tuple[str, float]:
    if target.task == "regression":
        return f"{logits[0]:.2f}", float("nan")
    p = np.exp(log_softmax(logits[None]))[0]
    return target.classes[int(p.argmax())], float(p.max())


def _truth(target: Target, label: NDArray[np.floating] | np.integer | np.floating) -> str:
    if target.task == "regression":
        return f"{float(label):.2f}"
    return target.classes[int(np.argmax(label)) if target.task == "soft" else int(label)]
