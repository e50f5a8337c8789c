"""What would make scores say nothing: features that do not vary, and classes that only the test split has."""

from __future__ import annotations

import numpy as np

from lacuna.corpus.corpus import Corpus, has_label
from lacuna.corpus.schema import SPLITS, Target
from lacuna.corpus.storage.tensors import blocks, read_rows

_SHOWN = 5


def data_cautions(corpus: Corpus) -> list[str]:
    """Return one sentence for each modality that does not vary in training, and for each target with a class of test only.

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
    return constant + [text for target in corpus.targets if (text := _only_in_test(corpus, target))]


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
