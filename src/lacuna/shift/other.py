"""Another corpus as a test: its classes are mapped to ours, and what has no counterpart is not scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from lacuna.corpus.corpus import Corpus
from lacuna.corpus.schema import Schema
from lacuna.errors import ConfigError, DataError


def mapped(other: Corpus, schema: Schema, classes: Mapping[str, str], target: str | None = None) -> Corpus:
    """Read another corpus with our target.

    Args:
        other: to be scored on.
        schema: what the recognisers were built for.
        classes: by their class, ours; their classes that are not named are not scored, and counted in the notes.
        target: theirs; by default the one of our name, or else their first.

    Returns:
        A view with our target only; utterances of classes without a counterpart are unlabelled and stay as context.

    Raises:
        ConfigError: a class is unknown on either side, or the target is one of values.
        DataError: the modalities do not fit, or nothing is left to score.
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
            f"corpus '{other.name}' has no class {unknown[0]!r} of '{theirs.name}'; it has: {', '.join(theirs.classes)}"
        )
    if unknown := [c for c in classes.values() if c not in ours.classes]:
        raise ConfigError(f"there is no class {unknown[0]!r} to map to; '{ours.name}' has: {', '.join(ours.classes)}")
    table = np.array([ours.classes.index(classes[c]) if c in classes else -1 for c in theirs.classes])
    codes = np.asarray(other.utterances.labels[theirs.name], np.int64)
    labels = np.where(codes >= 0, table[codes], -1).astype(np.int64)
    dropped = {c: int((codes == i).sum()) for i, c in enumerate(theirs.classes) if c not in classes and (codes == i).any()}
    if not (labels >= 0).any():
        raise DataError(
            "no utterance is left to score",
            corpus=other.name,
            expected=f"classes {', '.join(classes) or '(none is mapped)'}",
            found=", ".join(f"{c} {n}" for c, n in dropped.items()) or "no labels",
            hint="map classes that occur",
        )
    told = ", ".join(f"{c} ({n})" for c, n in dropped.items()) or "none"
    notes = f"classes mapped: {', '.join(f'{a} -> {b}' for a, b in classes.items())}; without a counterpart, not scored: {told}"
    return replace(
        other,
        targets=(ours,),
        utterances=replace(other.utterances, labels={ours.name: labels}),
        provenance=other.provenance.noting(notes),
        digest=None,
    )
