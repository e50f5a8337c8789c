"""What would make scores say nothing: features that do not vary, and what a split lacks: classes, modalities, labels."""

from __future__ import annotations

import numpy as np

from lacuna.corpus.corpus import Corpus, has_label
from lacuna.corpus.schema import SPLITS, Target
from lacuna.corpus.storage.tensors import blocks, read_rows

_SHOWN = 5


def data_cautions(corpus: Corpus) -> list[str]:
    """Return one sentence for each modality that does not vary in training, and for what a split lacks.

    Example:
        >>> from lacuna.synthetic.duet import generate, preset
        >>> data_cautions(generate(preset("tiny")))
        []
    """
    constant = [
        f"All training features of modality '{m.name}' are equal: it carries no information."
        for m in corpus.modalities
        if is_constant(corpus, m.name)
    ]
    return constant + split_cautions(corpus) + class_cautions(corpus)


def split_cautions(corpus: Corpus) -> list[str]:
    """Return one sentence for each modality that a split lacks, and for each target without a label in the test."""
    texts = [_absent(corpus, modality.name) for modality in corpus.modalities]
    return [text for text in [*texts, *(_unlabelled_test(corpus, target) for target in corpus.targets)] if text]


def class_cautions(corpus: Corpus) -> list[str]:
    """Return one sentence for each target with classes that only the test split has."""
    return [text for target in corpus.targets if (text := _only_in_test(corpus, target))]


def _absent(corpus: Corpus, modality: str) -> str:
    """Return which splits lack a modality that other utterances have."""
    observed, split = corpus.frames[modality].any_observed, corpus.utterances.split
    splits = [name for code, name in enumerate(SPLITS) if (split == code).any() and not observed[split == code].any()]
    if not splits or not observed.any():
        return ""
    effects = {
        "train": "no model learns from it",
        "valid": "the selection ignores it",
        "test": "scores say nothing about it",
    }
    effect = "; ".join(effects[name] for name in splits)
    return f"Modality '{modality}' is absent from every {' and '.join(splits)} utterance: {effect}."


def _unlabelled_test(corpus: Corpus, target: Target) -> str:
    in_test = corpus.utterances.split == SPLITS.index("test")
    if not in_test.any() or corpus.labelled(target.name)[in_test].any() or not corpus.labelled(target.name).any():
        return ""
    return f"No test utterance is labelled for target '{target.name}': models cannot be scored."


def is_constant(corpus: Corpus, modality: str) -> bool:
    """Return whether all observed training frames of a modality are equal; reading stops at the first that differs."""
    train = corpus.only("train")
    frames, first = train.frames[modality], None
    for _, rows in blocks([frames.start, frames.count]):
        values = read_rows(frames.values, *rows)
        if frames.observed is not None:
            values = values[read_rows(frames.observed, *rows)]
        if not len(values):
            continue
        first = values[0] if first is None else first
        if (values != first).any():
            return False
    return first is not None and len(train) > 1


def _only_in_test(corpus: Corpus, target: Target) -> str:
    if target.task != "classification":
        return ""
    labels, split = np.asarray(corpus.utterances.labels[target.name]), np.asarray(corpus.utterances.split)
    known = has_label(target, labels)
    classes = {name: set(labels[known & (split == SPLITS.index(name))].tolist()) for name in SPLITS}
    unseen = sorted(classes["test"] - classes["train"]) if classes["train"] else []
    if not unseen:
        return ""
    names = ", ".join(target.classes[code] for code in unseen[:_SHOWN]) + (", ..." if len(unseen) > _SHOWN else "")
    return f"Only the test split has these classes of target '{target.name}': {names}. No model can learn them."
