"""Answers of outside systems, such as large language models, scored in the sweep like those of a trained recogniser.

Such a system cannot be asked again for every mask. But a pattern that removes whole modalities leaves each utterance with one of
a few sets of modalities; with an answer of each utterance for each set, the score under any such mask is exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus, Labels, has_label
from lacuna.corpus.schema import Target
from lacuna.errors import ConfigError, DataError
from lacuna.evaluation.conditions import condition_of
from lacuna.evaluation.sweep import MOST_GROUPS, Sweep, fingerprint_of, groups_of
from lacuna.metrics.counts import Array, baseline_counts, count, width
from lacuna.metrics.protocols.tables import words
from lacuna.missing import Layout, Mask, MaskPlan

NAME = "answers"  # of a system, where the table has no column model
LEAST = 1e-3  # lower bound of a probability of an answer, so that the log-loss of a wrong answer is finite
_BLOCK = 1 << 13  # utterances whose masks are in memory


def subset_of(text: str) -> frozenset[str]:
    """Return the modalities of a cell of the column ``modalities``: names joined by ``+``.

    >>> sorted(subset_of("text + audio"))
    ['audio', 'text']
    """
    return frozenset(part.strip() for part in text.split("+") if part.strip())


def answered_subsets(table: pd.DataFrame, modalities: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Return the sets of modalities that every system of a table has answers for, in the order of the corpus.

    Args:
        table: of :func:`sweep_answers`.
        modalities: of the corpus.

    Raises:
        ConfigError: there is no such set, or it names a modality that the corpus does not have.
    """
    if "modalities" not in table:
        return (tuple(modalities),)
    systems = table.groupby("model", sort=False) if "model" in table else [(NAME, table)]
    known = [{subset_of(text) for text in words(rows, "modalities")} for _, rows in systems]
    if unknown := sorted(set().union(*(subset for subsets in known for subset in subsets)) - set(modalities)):
        raise ConfigError(f"the answers name modality '{unknown[0]}', the corpus has {', '.join(modalities)}")
    shared = [tuple(m for m in modalities if m in subset) for subset in set.intersection(*known) if subset]
    if not shared:
        raise ConfigError("the systems have answers for no common set of modalities; score them one by one")
    return tuple(sorted(shared, key=lambda subset: (len(subset), [modalities.index(m) for m in subset])))


@dataclass(frozen=True, eq=False)
class _System:
    """One system: its answers by set of modalities; the set ``None`` stands for all that an utterance has."""

    name: str
    seed: int
    answers: dict[frozenset[str] | None, dict[str, int]]  # row of the table by id


def sweep_answers(
    table: pd.DataFrame,
    corpus: Corpus,
    plans: Sequence[MaskPlan],
    *,
    training_labels: Labels,
    target: str | None = None,
    groups: int = MOST_GROUPS,
    past_only: bool = False,
) -> list[Sweep]:
    """Return the counts of each system under every plan, comparable with those of :func:`lacuna.evaluation.sweep`.

    An utterance that is left with some modalities gets the answer that the system gave for exactly these. An answer without a
    class, and an utterance that is left with nothing, count as an error: as the most frequent class of training that is not the
    true one, with equal probabilities. Probabilities below :data:`LEAST` are raised to it, which bounds the log-loss of answers
    that are certain.

    Args:
        table: ``id``, ``predicted``, optionally ``p_<class>``, ``model``, ``seed`` and ``modalities`` (``text+audio``), for
            example of :func:`lacuna.metrics.protocols.map_answers`. Without ``modalities`` an answer is for all that an
            utterance has.
        corpus: the split to score.
        plans: patterns that remove whole modalities, such as ``rmm``, ``outage`` and ``fixed``.
        training_labels: labels of the training split, for the baseline and for answers without a class.
        target: of the corpus; by default the first.
        groups: as for :func:`lacuna.evaluation.sweep`.
        past_only: whether the sweeps stand beside those of answers from the past only; the caller knows what was asked.

    Returns:
        One sweep for each system (and seed).

    Raises:
        ConfigError: a plan removes single frames, the target has no classes, or a set of modalities has no answers.
        DataError: an answer is missing or there twice, or a predicted class is unknown.
    """
    chosen = corpus.target(target)
    if chosen.task == "regression":
        raise ConfigError(f"answers are classes, and target '{chosen.name}' is a value; score a target with classes")
    if frames := next((p.pattern.name for p in plans if p.pattern.removes != "modalities"), None):
        raise ConfigError(
            f"pattern '{frames}' removes single frames, and an outside system has answers for whole modalities only; "
            "score it under rmm, outage or fixed"
        )
    labels = corpus.utterances.labels[chosen.name]
    known = has_label(chosen, labels)
    codes = np.where(known, labels.argmax(axis=1) if chosen.task == "soft" else labels, 0).astype(np.int64)  # (N,)
    logits, wrong = _logits(table, chosen), _most_frequent(chosen, training_labels)
    dialogue, total = groups_of(corpus, chosen, groups)
    layout = Layout.of(corpus)
    masks = [plan.over(layout) for plan in plans]
    subsets = [_subsets(mask, corpus) for mask in masks]
    everything = _subsets(MaskPlan("rmm", 0.0).over(layout), corpus)
    conditions = tuple(condition_of(plan, mask.measured()) for plan, mask in zip(plans, masks, strict=True))
    baseline = baseline_counts(chosen, training_labels, labels, dialogue, total).values
    fingerprint = fingerprint_of(corpus, dialogue, labels, past_only)
    no_answer = _no_answer(codes, wrong, chosen)  # (N, C)
    sweeps = []
    for system in _systems(table):
        sums = np.zeros((len(plans), total, width(chosen)))
        for index, left in enumerate(subsets):
            rows = _rows(system, left, everything, known, corpus)
            answer = np.where((rows >= 0)[:, None], logits[rows], no_answer)
            answer = np.where(np.isnan(answer), no_answer, answer)  # an answer without a class
            sums[index] = count(chosen, answer, labels, dialogue, total).values
        sweeps.append(Sweep(corpus.name, system.name, system.seed, chosen, conditions, sums, baseline, fingerprint))
    return sweeps


def _systems(table: pd.DataFrame) -> list[_System]:
    names = words(table, "model") if "model" in table else [NAME] * len(table)
    seeds = words(table, "seed") if "seed" in table else ["0"] * len(table)
    subsets: Iterable[frozenset[str] | None] = (
        map(subset_of, words(table, "modalities")) if "modalities" in table else [None] * len(table)
    )
    systems: dict[tuple[str, str], _System] = {}
    for row, (item, name, seed, subset) in enumerate(zip(words(table, "id"), names, seeds, subsets, strict=True)):
        system = systems.setdefault((name, seed), _System(name or NAME, int(float(seed or 0)), {}))
        rows = system.answers.setdefault(subset, {})
        if item in rows:
            raise DataError(f"two answers of '{system.name}' for one utterance and set of modalities", utterance=item)
        rows[item] = row
    return list(systems.values())


def _rows(
    system: _System, left: list[frozenset[str]], everything: list[frozenset[str]], known: NDArray[np.bool_], corpus: Corpus
) -> NDArray[np.int64]:
    """Return the row of the answer of each utterance: (N,) int64, -1 where nothing is left of it or it has no label."""
    rows = np.full(len(left), -1)
    for index, (item, subset) in enumerate(zip(corpus.ids, left, strict=True)):
        if not (known[index] and subset):
            continue
        answers = system.answers.get(subset)
        if answers is None and subset == everything[index]:
            answers = system.answers.get(None)
        name = "+".join(m.name for m in corpus.modalities if m.name in subset)
        if answers is None:
            have = ", ".join(sorted("all" if s is None else "+".join(sorted(s)) for s in system.answers))
            raise ConfigError(
                f"'{system.name}' has no answers for {name}, which a mask leaves; it has answers for: {have}. "
                f"Ask it for {name} too, or score it under fixed alone"
            )
        if item not in answers:
            raise DataError(
                f"an answer of '{system.name}' is missing", corpus=corpus.name, utterance=item, expected=f"an answer for {name}"
            )
        rows[index] = answers[item]
    return rows


def _subsets(mask: Mask, corpus: Corpus) -> list[frozenset[str]]:
    """Return the modalities that a mask leaves of each utterance."""
    names = [m.name for m in corpus.modalities]
    result: list[frozenset[str]] = []
    for low in range(0, len(corpus), _BLOCK):
        rows = np.arange(low, min(low + _BLOCK, len(corpus)))
        present = mask.present(rows)
        there = np.stack([present[name].any(axis=1) for name in names], axis=1)  # (U, M)
        result += [frozenset(name for name, flag in zip(names, row, strict=True) if flag) for row in there]
    return result


def _logits(table: pd.DataFrame, target: Target) -> Array:
    """Return log-probabilities of the answers, (R, C) float64, NaN where an answer has no class."""
    predicted = words(table, "predicted")
    classes = list(target.classes)
    if unknown := next((p for p in predicted if p and p not in classes), None):
        raise DataError(
            f"'{unknown}' is no class of target '{target.name}'",
            expected=", ".join(classes),
            found=unknown,
            hint="map the answers to these classes: lacuna answers FILE --map MAP",
        )
    column = np.array([classes.index(p) if p else -1 for p in predicted])
    if all(f"p_{name}" in table for name in classes):
        p = table[[f"p_{name}" for name in classes]].to_numpy(np.float64)
    else:
        p = np.eye(len(classes))[column]
    p = np.maximum(p, LEAST)
    logits = np.log(p / p.sum(axis=1, keepdims=True))
    logits[np.arange(len(p)), column] += 1e-6  # of equally probable classes, the predicted one
    logits[column < 0] = np.nan
    return np.asarray(logits)


def _most_frequent(target: Target, labels: Labels) -> NDArray[np.int64]:
    """Return the classes of the training split, most frequent first: (C,) int64."""
    known = labels[has_label(target, labels)]
    shares = known.sum(axis=0) if target.task == "soft" else np.bincount(known.astype(np.int64), minlength=target.width)
    return np.argsort(-shares, kind="stable")


def _no_answer(codes: NDArray[np.int64], order: NDArray[np.int64], target: Target) -> Array:
    """Return logits (N, C) of no answer: equal, but for the most frequent class that is not the true one."""
    logits = np.zeros((len(codes), target.width))
    wrong = np.where(codes == order[0], order[min(1, target.width - 1)], order[0])
    logits[np.arange(len(codes)), wrong] = 1e-6
    return logits
