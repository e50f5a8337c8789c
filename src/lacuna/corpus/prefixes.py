"""Next-emotion prediction as an ordinary task: a target that is shifted by one turn, and dialogues that end where it is asked.

A model that reads whole dialogues would read the turn that it is to predict. So each labelled turn gets a dialogue of its own,
which ends with it. Any model, mask and metric works on such a corpus as on any other.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from lacuna.corpus.corpus import Corpus, Labels, has_label
from lacuna.corpus.schema import Target
from lacuna.errors import ConfigError


def next_target(corpus: Corpus, target: str | None = None) -> Corpus:
    """Return the corpus with the target ``next_<target>`` in addition: the label of the next labelled turn of the dialogue.

    Only turns that are labelled themselves get it, so that the steps are those of the protocol ``dynamics``. The last labelled
    turn of a dialogue is unlabelled.

    Args:
        corpus: dialogues.
        target: what to shift; by default the first target.

    Example:
        >>> from lacuna.synthetic.duet import generate, preset
        >>> corpus = next_target(generate(preset("tiny")))
        >>> labels = corpus.utterances.labels
        >>> bool(labels["next_emotion"][0] == labels["emotion"][1])
        True
    """
    original = corpus.target(target)
    shifted = Target(f"next_{original.name}", original.task, original.classes, original.low, original.high)
    values = corpus.utterances.labels[original.name]
    known = np.flatnonzero(has_label(original, values))
    follows = np.flatnonzero(np.diff(corpus.utterances.dialogue[known]) == 0)  # positions of turns with a labelled turn after
    result = _unlabelled(values)
    result[known[follows]] = values[known[follows + 1]]
    labels = {**corpus.utterances.labels, shifted.name: result}
    utterances = replace(corpus.utterances, labels=labels)
    return replace(corpus, targets=(*corpus.targets, shifted), utterances=utterances, digest=None)


def prefix_corpus(corpus: Corpus, target: str | None = None, *, turns: int | None = None) -> Corpus:
    """Return a corpus with one dialogue for each labelled turn: the turns of its dialogue up to it.

    The labelled turn keeps its id and is the only one with a label. Its dialogue is called ``<dialogue>@<turn>``, and the turns
    before it ``<id>@<turn>``. Frames are shared with the corpus, not copied.

    Args:
        corpus: dialogues.
        target: which label a turn must have, and the only target of the result; by default the first target.
        turns: at most so many turns, the labelled one included; ``None`` = from the beginning of the dialogue.

    Raises:
        ConfigError: ``turns`` is below 1.

    Example:
        >>> from lacuna.synthetic.duet import generate, preset
        >>> corpus = generate(preset("tiny"))
        >>> prefixes = prefix_corpus(corpus, turns=2)
        >>> prefixes.ids[:3] == [corpus.ids[0], f"{corpus.ids[0]}@1", corpus.ids[1]]
        True
    """
    if turns is not None and turns < 1:
        raise ConfigError(f"a prefix has at least 1 turn, found turns={turns}")
    chosen, u = corpus.target(target), corpus.utterances
    rows = np.arange(len(corpus))
    opens = np.diff(u.dialogue, prepend=-1) != 0
    first = np.maximum.accumulate(np.where(opens, rows, 0))  # (N,) row of the first turn of the dialogue
    ends = np.flatnonzero(has_label(chosen, u.labels[chosen.name]))  # (E,) last row of each prefix
    starts = first[ends] if turns is None else np.maximum(first[ends], ends - turns + 1)
    length = ends - starts + 1
    number = np.repeat(np.arange(len(ends)), length)  # (R,) prefix of each row
    taken = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length - starts, length)  # (R,) row of the corpus
    is_end = taken == ends[number]
    ids, dialogues = corpus.ids, u.dialogue_names.to_pylist()
    turn = u.turn.tolist()
    names = [ids[row] if end else f"{ids[row]}@{turn[ends[n]]}" for row, n, end in zip(taken, number, is_end, strict=True)]
    view = corpus.take(taken)
    labels: Labels = view.utterances.labels[chosen.name].copy()
    labels[~is_end] = _unlabelled(labels[~is_end])
    utterances = replace(
        view.utterances,
        id=pa.array(names, pa.large_string()),
        dialogue=number,
        dialogue_names=pa.array([f"{dialogues[u.dialogue[end]]}@{turn[end]}" for end in ends], pa.large_string()),
        labels={chosen.name: labels},
    )
    return replace(view, targets=(chosen,), utterances=utterances, digest=None)


def _unlabelled(values: Labels) -> Labels:
    """Return labels of the same shape and type that are all unknown."""
    result: Labels = np.full_like(values, -1 if values.dtype.kind == "i" else np.nan)
    return result
