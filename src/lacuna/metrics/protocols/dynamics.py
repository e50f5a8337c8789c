"""Emotion dynamics: when emotions change, into what, and what comes next, over the turns of a dialogue.

EmoTrans (arXiv 2604.23348) names four tasks: detection of a change, identification of the states, reasoning about transitions,
and prediction of the next emotion. Its metric definitions were not found; the formulas here are a reconstruction on labels of
turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from lacuna.errors import ConfigError
from lacuna.metrics.protocols.registry import ProtocolScore, protocol
from lacuna.metrics.protocols.tables import align, class_counts, class_f1, macro, numbers, share, words

_CHANGE = ("change", "no change")


def changes(states: Sequence[str]) -> bool:
    """Return whether two neighbouring states differ; empty states are skipped, and fewer than two states do not change.

    Example:
        >>> changes(["joy", "", "joy", "fear"]), changes(["joy"])
        (True, False)
    """
    known = [state for state in states if state]
    return any(a != b for a, b in pairwise(known))


def edit_similarity(truth: Sequence[str], predicted: Sequence[str]) -> float:
    """Return 1 - Levenshtein distance / longer length; 1 for two empty sequences.

    Example:
        >>> edit_similarity(["joy", "fear", "joy"], ["joy", "joy"])
        0.6666666666666667
    """
    if not truth and not predicted:
        return 1.0
    row = list(range(len(predicted) + 1))
    for i, a in enumerate(truth, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(predicted, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return 1 - row[-1] / max(len(truth), len(predicted))


def transitions(states: Sequence[str]) -> list[str]:
    """Return ``from>to`` of each pair of neighbouring states that differ, ``""`` of each other pair: T states give T - 1 entries.

    A pair with an empty state gives ``""``.

    Example:
        >>> transitions(["joy", "fear", "fear", ""])
        ['joy>fear', '', '']
    """
    return [f"{a}>{b}" if a and b and a != b else "" for a, b in pairwise(states)]


def transition_f1(truth: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> tuple[float, int]:
    """Return the macro-F1 over pairs (from, to), and the number of true transitions; a reconstruction.

    A step is a true positive of its pair if truth and prediction have the same transition there. Steps without a change are no
    class: a change that is predicted where there is none lowers the precision of its pair. NaN without any true or predicted
        change.

    Args:
        truth: sequences of states.
        predicted: sequences of the same lengths.
    """
    true_steps = [step for states in truth for step in transitions(states)]
    predicted_steps = [step for states in predicted for step in transitions(states)]
    pairs = sorted({*true_steps, *predicted_steps} - {""})
    still = "no change"
    counts = class_counts([step or still for step in true_steps], [step or still for step in predicted_steps], [*pairs, still])
    return macro(class_f1(counts)[:-1]), sum(map(bool, true_steps))


def _slice(
    name: str, truth: list[list[str]], predicted: list[list[str]], following: list[list[str]] | None
) -> list[ProtocolScore]:
    """Return the scores of some dialogues; ``following`` holds at each turn what is predicted for the turn after it."""
    pairs = list(zip(truth, predicted, strict=True))
    n, turns = len(pairs), sum(map(len, truth))
    detected = class_counts([_CHANGE[not changes(t)] for t in truth], [_CHANGE[not changes(p)] for p in predicted], _CHANGE)
    states = [a == b for t, p in pairs for a, b in zip(t, p, strict=True)]
    values = {
        "change_accuracy": (share([changes(t) == changes(p) for t, p in pairs]), n),
        "change_f1": (float(class_f1(detected)[0]), n),
        "state_accuracy": (share(states), turns),
        "state_exact_match": (share([t == p for t, p in pairs]), n),
        "state_edit_similarity": (share(np.array([edit_similarity(t, [s for s in p if s]) for t, p in pairs])), n),
        "transition_macro_f1": transition_f1(truth, predicted),
    }
    if following is not None:
        values |= _next_scores(truth, predicted, following)
        parts = [values[key][0] for key in ("change_accuracy", "state_accuracy", "transition_macro_f1", "next_accuracy")]
        values["overall"] = (float(np.mean(parts)), n)
    return [ProtocolScore(metric, value, size, name) for metric, (value, size) in values.items()]


def _next_scores(truth: list[list[str]], predicted: list[list[str]], following: list[list[str]]) -> dict[str, tuple[float, int]]:
    target = [state for t in truth for state in t[1:]]
    answer = [state for f in following for state in f[:-1]]
    persistence = [state for t in truth for state in t[:-1]]
    own = [state for p in predicted for state in p[:-1]]
    n = len(target)
    right, kept, own_kept = (share([a == b for a, b in zip(target, x, strict=True)]) for x in (answer, persistence, own))
    counts = class_counts(target, answer, sorted({*target}))
    return {
        "next_accuracy": (right, n),
        "next_macro_f1": (macro(class_f1(counts)), n),
        "persistence_accuracy": (kept, n),
        "next_gain": (right - kept, n),
        "own_persistence_accuracy": (own_kept, n),
        "next_gain_over_own": (right - own_kept, n),
    }


@protocol(
    "dynamics",
    title="Emotion dynamics of dialogues",
    source="tasks of EmoTrans (arXiv 2604.23348)",
    status="reconstruction",
    formula="change: 1[some y_t != y_(t-1)]; states: mean 1[y = p], 1 - Lev / max length; pairs (from, to): macro-F1; "
    "next: accuracy - accuracy of y_(t+1) = y_t; overall = mean of the four",
    predictions=("id", "predicted"),
    truth=("id", "dialogue", "turn", "label"),
    optional=("next (predictions)", "speaker (truth)"),
)
def score_dynamics(predictions: pd.DataFrame, truth: pd.DataFrame, *, sequence: str = "dialogue") -> list[ProtocolScore]:
    """Return change, state, transition and next-emotion scores; all formulas are a reconstruction.

    - Change: a sequence of one state does not change; the F1 (positive = change) is NaN without a true or predicted change.
    - States: accuracy over turns; exact match and edit similarity are means over sequences. An empty prediction is a wrong state;
      for the edit similarity it is no state at all.
    - Transitions: macro-F1 over pairs (from, to) that occur in truth or predictions; NaN if nothing changes in either.
    - Next emotion, only with a column ``next``: what is predicted at turn t, from turns up to t, for turn t + 1. The entry of the
      last turn is ignored. ``next_gain`` is over repeating the true current label, ``next_gain_over_own`` over repeating the
      system's own current prediction.
    - ``overall`` is the mean of change accuracy, state accuracy, transition macro-F1 and next accuracy; only with a column
      ``next``, and NaN if one of them is.
    - Turns without a label are left out; the turns around them count as neighbours. With ``speaker``, the slices
      ``single-party`` (one speaker in the dialogue) and ``multi-party`` are added.

    Args:
        predictions: ``id``, ``predicted``; optionally ``next``.
        truth: ``id``, ``dialogue``, ``turn``, ``label``; optionally ``speaker``.
        sequence: ``dialogue``: all turns in order; ``speaker``: the turns of each speaker in a dialogue by themselves.
    """
    if sequence not in ("dialogue", "speaker") or (sequence == "speaker" and "speaker" not in truth):
        raise ConfigError(f"sequence is dialogue, or speaker where the truth has a column speaker; not {sequence!r}")
    answers = align(predictions, truth)
    table = pd.DataFrame({"dialogue": words(truth, "dialogue"), "turn": numbers(truth, "turn"), "label": words(truth, "label")})
    table["predicted"] = words(answers, "predicted")
    table["next"] = words(answers, "next") if "next" in answers else ""
    table["speaker"] = words(truth, "speaker") if "speaker" in truth else ""
    table["n_speakers"] = table.groupby("dialogue")["speaker"].transform("nunique")
    table = table[table["label"] != ""].sort_values(["dialogue", "turn"], kind="stable")
    keys = ["dialogue", "speaker"] if sequence == "speaker" else ["dialogue"]
    groups = [part for _, part in table.groupby(keys, sort=False)]
    slices = {"all": groups}
    if "speaker" in truth:
        slices["single-party"] = [part for part in groups if part["n_speakers"].iloc[0] == 1]
        slices["multi-party"] = [part for part in groups if part["n_speakers"].iloc[0] > 1]
    scores = []
    for name, parts in slices.items():
        columns = {column: [list(part[column]) for part in parts] for column in ("label", "predicted", "next")}
        following = columns["next"] if "next" in answers else None
        scores += _slice(name, columns["label"], columns["predicted"], following)
    return scores
