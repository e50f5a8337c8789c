"""Another corpus as a test: its classes are mapped to ours; classes without a counterpart are not scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from lacuna.corpus.corpus import Corpus
from lacuna.corpus.schema import Schema
from lacuna.errors import ConfigError, DataError, suggestion


def mapped(other: Corpus, schema: Schema, classes: Mapping[str, str], target: str | None = None) -> Corpus:
    """Return another corpus with the target of ours.

    Args:
        other: corpus to test on.
        schema: modalities and target of the trained models.
        classes: our class by the class of the other corpus. Classes that are left out are not scored; the notes count them.
        target: target of the other corpus; by default the one with the name of ours, or else its first.

    Returns:
        A view with our target only; utterances of classes without a counterpart are unlabelled and stay as context.

    Raises:
        ConfigError: a class is unknown in either corpus, or a target does not have classes.
        DataError: the modalities do not fit, or no utterance is left to score.
    """
    other.require(schema)
    ours = schema.target
    name = target or (ours.name if any(t.name == ours.name for t in other.targets) else None)
    theirs = other.target(name)
    if ours.task != "classification" or theirs.task != "classification":
        raise ConfigError(
            f"classes are mapped, not values: '{ours.name}' is {ours.task}, '{theirs.name}' of '{other.name}' {theirs.task}"
        )
    if unknown := [c for c in classes if c not in theirs.classes]:
        raise ConfigError(
            f"corpus '{other.name}' has no class {unknown[0]!r} of '{theirs.name}'{suggestion(unknown[0], theirs.classes)}; "
            f"it has: {', '.join(theirs.classes)}"
        )
    if unknown := [c for c in classes.values() if c not in ours.classes]:
        raise ConfigError(
            f"there is no class {unknown[0]!r} to map to{suggestion(unknown[0], ours.classes)}; "
            f"'{ours.name}' has: {', '.join(ours.classes)}"
        )
    our_code = np.array([ours.classes.index(classes[c]) if c in classes else -1 for c in theirs.classes])
    codes = np.asarray(other.utterances.labels[theirs.name], np.int64)
    labels = np.where(codes >= 0, our_code[codes], -1).astype(np.int64)
    dropped = {c: int((codes == i).sum()) for i, c in enumerate(theirs.classes) if c not in classes and (codes == i).any()}
    if not (labels >= 0).any():
        raise DataError(
            "no utterance is left to score",
            corpus=other.name,
            expected=f"classes {', '.join(classes) or '(none is mapped)'}",
            found=", ".join(f"{c} {n}" for c, n in dropped.items()) or "no labels",
            hint="map classes that occur",
        )
    pairs = ", ".join(f"{their_class} -> {our_class}" for their_class, our_class in classes.items())
    not_scored = ", ".join(f"{c} ({n})" for c, n in dropped.items()) or "none"
    note = f"classes mapped: {pairs}; without a counterpart, not scored: {not_scored}"
    return replace(
        other,
        targets=(ours,),
        utterances=replace(other.utterances, labels={ours.name: labels}),
        provenance=other.provenance.noting(note),
        digest=None,
    )
