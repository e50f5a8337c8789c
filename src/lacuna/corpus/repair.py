"""Handle NaN and inf in frames: refuse by default, repair only by a declared policy that leaves a note."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus, Frames
from lacuna.corpus.schema import SPLITS
from lacuna.corpus.statistics import frame_rows
from lacuna.errors import ConfigError, DataError

Policy = Literal["refuse", "absent", "zero", "mean", "drop"]
_BLOCK = 1 << 16


def finite_rows(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return (R,) bool: whether all numbers of a frame are finite. Reads in blocks, so memory-mapped arrays stay on disk."""
    result = np.ones(len(values), bool)
    for low in range(0, len(values), _BLOCK):
        result[low : low + _BLOCK] = np.isfinite(values[low : low + _BLOCK]).all(axis=1)
    return result


def repair(corpus: Corpus, policy: Policy) -> Corpus:
    """Return the corpus with a policy applied to frames that hold NaN or inf.

    Args:
        corpus: the corpus as read.
        policy: ``refuse`` raises; ``absent`` marks the frames as not observed; ``zero`` replaces the numbers by 0;
            ``mean`` replaces them by the column's mean over finite training frames; ``drop`` removes the utterances.

    Returns:
        The same object if all frames are finite, else a repaired copy whose provenance says how much was repaired and how.

    Raises:
        DataError: under ``refuse``, with the count and the first utterance; or there is no finite number to compute a mean from.
        ConfigError: unknown policy.
    """
    if policy not in get_args(Policy):
        raise ConfigError(f"unknown policy {policy!r} for non-finite frames; known: {', '.join(get_args(Policy))}")
    for modality in corpus.modalities:
        frames = corpus.frames[modality.name]
        finite = finite_rows(frames.values)
        if finite.all():
            continue
        total = np.concatenate([[0], np.cumsum(~finite)])
        bad = (total[frames.start + frames.count] - total[frames.start]) > 0  # (N,)
        if not bad.any():
            continue
        message = f"{bad.sum()} of {len(corpus)} utterances hold NaN or inf in {modality.name}"
        if policy == "refuse":
            _refuse(corpus, modality.name, frames, bad, message)
        note = f"{message}: repaired by policy '{policy}'"
        if policy == "drop":
            corpus = corpus.take(np.flatnonzero(~bad))
        else:
            repaired = _repaired(corpus, modality.name, frames, finite, policy)
            corpus = replace(corpus, frames={**corpus.frames, modality.name: repaired}, digest=None)
        corpus = replace(corpus, provenance=corpus.provenance.noting(note))
    return corpus


def _refuse(corpus: Corpus, modality: str, frames: Frames, bad: NDArray[np.bool_], message: str) -> None:
    first = int(np.flatnonzero(bad)[0])
    values = frames.of(first)
    t, column = np.argwhere(~np.isfinite(values))[0]
    raise DataError(
        message,
        corpus=corpus.name,
        utterance=corpus.ids[first],
        modality=modality,
        expected="finite numbers",
        found=f"{values[t, column]} in frame {t}, column {column}",
        hint="repair the features, or choose a policy with option `nonfinite`: absent, zero, mean or drop",
    )


def _repaired(corpus: Corpus, modality: str, frames: Frames, finite: NDArray[np.bool_], policy: Policy) -> Frames:
    values = np.array(frames.values)  # a copy: the input must not change
    wrong = ~np.isfinite(values)
    if policy == "absent":
        observed = finite if frames.observed is None else finite & frames.observed
        return replace(frames, values=np.where(wrong, np.float32(0), values), observed=observed)
    fill = np.zeros(values.shape[1], np.float32)
    if policy == "mean":
        train = corpus.utterances.split == SPLITS.index("train")
        rows = frame_rows(frames.start[train], frames.count[train])
        observed_values, weight = values[rows], ~wrong[rows]
        if not weight.any(axis=0).all():
            raise DataError(
                "a column has no finite number in the training split, so it has no mean",
                corpus=corpus.name,
                modality=modality,
                expected="a training split with finite numbers in every column; other splits must not leak into it",
                found=f"{len(rows)} training frames",
                hint="set option `nonfinite` to absent, zero or drop",
            )
        fill = np.where(weight, observed_values, 0).sum(axis=0, dtype=np.float64) / weight.sum(axis=0)
    return replace(frames, values=np.where(wrong, fill, values).astype(np.float32))
