"""A corpus reduced to the statistics that the posterior needs, computed once for any number of masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus, Frames
from lacuna.corpus.statistics import frame_rows
from lacuna.errors import DataError
from lacuna.synthetic.duet.evidence import Evidence, projection, totals, weigh
from lacuna.synthetic.duet.warp import Array
from lacuna.synthetic.duet.world import World

Present = dict[str, NDArray[np.bool_]] | dict[str, Sequence[NDArray[np.bool_]]]
Integers = NDArray[np.int64]
MODALITIES = ("text", "audio", "vision")
_BLOCK = 1 << 15  # frames that are in float64 at a time


@dataclass(frozen=True, eq=False)
class Reading:
    """Statistics of N utterances with R observed or unobserved frames of each modality.

    Attributes:
        dialogue: (N,) int64 codes.
        turn: (N,) int64.
        speaker: (N,) int64 codes.
        utterance: by modality (R,) int64 row of each frame, ascending.
        observed: by modality (R,) bool, False where the corpus itself lacks the frame.
        statistics: by modality (R, w) float64: K + G log-likelihoods of a token, q + K + G projections of a frame.
    """

    dialogue: Integers
    turn: Integers
    speaker: Integers
    utterance: dict[str, Integers]
    observed: dict[str, NDArray[np.bool_]]
    statistics: dict[str, Array]

    def kept(self, present: Present | None, name: str) -> NDArray[np.bool_]:
        """Return which frames are in the corpus and kept by the mask: (R,) bool.

        Raises:
            DataError: the mask has another shape than the frames.
        """
        observed = self.observed[name]
        if present is None or name not in present:
            return observed
        of_modality = present[name]
        flags = of_modality if isinstance(of_modality, np.ndarray) else np.concatenate([np.zeros(0, bool), *of_modality])
        if flags.shape != observed.shape or flags.dtype != np.bool_:
            raise DataError(
                "the mask does not fit the frames",
                modality=name,
                expected=f"bool of shape {observed.shape}",
                found=f"{flags.dtype} of shape {flags.shape}",
            )
        return np.asarray(observed & flags)

    def evidence(self, world: World, present: Present | None) -> tuple[Evidence, dict[str, Integers]]:
        """Return the evidence of the turns under a mask, and the number of observed frames by modality, (N,) int64."""
        many = len(self.dialogue)
        count, sums = {}, {}
        for name, statistics in self.statistics.items():
            kept = np.flatnonzero(self.kept(present, name))
            utterance = self.utterance[name][kept]
            count[name] = np.bincount(utterance, minlength=many)
            sums[name] = totals(statistics[kept], utterance, many)
        return weigh(world, sums["text"], count, sums), count


def read(world: World, corpus: Corpus) -> Reading:
    """Return the statistics of every frame of a corpus.

    Raises:
        DataError: a modality is missing or of another width, or the text has no tokens.
    """
    utterance, observed, statistics = {}, {}, {}
    for name in MODALITIES:
        frames = frames_of(world, corpus, name)
        rows = frame_rows(frames.start, frames.count)
        utterance[name] = np.repeat(np.arange(len(corpus)), frames.count)
        observed[name] = np.ones(len(rows), bool) if frames.observed is None else frames.observed[rows]
        source = frames.tokens if name == "text" else frames.values
        assert source is not None  # checked by frames_of
        statistics[name] = np.empty((len(rows), width(world, name)))
        for low in range(0, len(rows), _BLOCK):
            statistics[name][low : low + _BLOCK] = statistics_of(world, name, source[rows[low : low + _BLOCK]])
    u = corpus.utterances
    return Reading(u.dialogue, u.turn, u.speaker, utterance, observed, statistics)


def read_arrays(
    world: World,
    order: tuple[Integers, Integers, Integers],
    values: dict[str, NDArray[np.float32] | Integers],
    present: dict[str, NDArray[np.bool_]],
) -> Reading:
    """Return the statistics of the observed frames of padded arrays.

    Args:
        world: the true parameters.
        order: dialogue, turn and speaker, each (U,) int64.
        values: by modality (U, T, d) float32 frames, or (U, T) int64 tokens for ``text``.
        present: by modality (U, T) bool; what is in only one of the two is unobserved.
    """
    utterance, statistics = {}, {}
    for name in MODALITIES:
        if name in values and name in present:
            utterance[name] = np.nonzero(present[name])[0]
            statistics[name] = statistics_of(world, name, values[name][present[name]])
        else:
            utterance[name], statistics[name] = np.zeros(0, np.int64), np.zeros((0, width(world, name)))
    return Reading(*order, utterance, {name: np.ones(len(rows), bool) for name, rows in utterance.items()}, statistics)


def statistics_of(world: World, name: str, values: NDArray[np.float32] | Integers) -> Array:
    """Return the statistics of R tokens or (R, d) frames: (R, w) float64."""
    if name == "text":
        lexicon = world.lexicon
        return np.concatenate([lexicon.emotion[values], lexicon.scene[values]], axis=1)
    carrier = world.carriers[name]
    return np.asarray(carrier.warp.inverse(values) @ projection(carrier))


def width(world: World, name: str) -> int:
    """Return the number of statistics w of one token or frame."""
    classes = len(world.prior) + world.settings.scenes
    return classes if name == "text" else classes + world.settings.factors


def frames_of(world: World, corpus: Corpus, name: str) -> Frames:
    """Return the frames of a modality, after checking that they fit the settings.

    Raises:
        DataError: they are missing or of another width, or the text has no tokens.
    """
    dim = world.settings.dims[name]
    frames = corpus.frames.get(name)
    if frames is None or frames.values.shape[1] != dim or (name == "text" and frames.tokens is None):
        raise DataError(
            "the frames do not fit the settings of the generated corpus",
            corpus=corpus.name,
            modality=name,
            expected=f"{dim} columns" + (" and tokens" if name == "text" else ""),
            found=None if frames is None else f"{frames.values.shape[1]} columns",
        )
    return frames
