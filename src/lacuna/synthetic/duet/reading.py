"""A corpus reduced to what the posterior needs of it, so that one reading answers for any number of masks."""

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
    """N utterances, and R observed or unobserved frames of each modality.

    Attributes:
        dialogue: (N,) int64 codes.
        turn: (N,) int64.
        speaker: (N,) int64 codes.
        utterance: by modality (R,) int64 the row each frame belongs to, ascending.
        observed: by modality (R,) bool, False where the corpus itself lacks the frame.
        told: by modality (R, w) float64: per token the K + G log-likelihoods, per frame its q + K + G projections.
    """

    dialogue: Integers
    turn: Integers
    speaker: Integers
    utterance: dict[str, Integers]
    observed: dict[str, NDArray[np.bool_]]
    told: dict[str, Array]

    def kept(self, present: Present | None, name: str) -> NDArray[np.bool_]:
        """(R,) bool: in the corpus and in the mask.

        Raises:
            DataError: the mask has another shape than the frames.
        """
        observed = self.observed[name]
        if present is None or name not in present:
            return observed
        given = present[name]
        flags = given if isinstance(given, np.ndarray) else np.concatenate([np.zeros(0, bool), *given])
        if flags.shape != observed.shape or flags.dtype != np.bool_:
            raise DataError(
                "the mask does not fit the frames",
                modality=name,
                expected=f"bool of shape {observed.shape}",
                found=f"{flags.dtype} of shape {flags.shape}",
            )
        return np.asarray(observed & flags)

    def evidence(self, world: World, present: Present | None) -> tuple[Evidence, dict[str, Integers]]:
        """What the turns tell through a mask, and by modality how many frames were observed, (N,) int64."""
        many = len(self.dialogue)
        count, sums = {}, {}
        for name, told in self.told.items():
            kept = np.flatnonzero(self.kept(present, name))
            utterance = self.utterance[name][kept]
            count[name] = np.bincount(utterance, minlength=many)
            sums[name] = totals(told[kept], utterance, many)
        return weigh(world, sums["text"], count, sums), count


def read(world: World, corpus: Corpus) -> Reading:
    """Read every frame of a corpus once.

    Raises:
        DataError: a modality is missing or of another width, or the text has no tokens.
    """
    utterance, observed, told = {}, {}, {}
    for name in MODALITIES:
        frames = frames_of(world, corpus, name)
        rows = frame_rows(frames.start, frames.count)
        utterance[name] = np.repeat(np.arange(len(corpus)), frames.count)
        observed[name] = np.ones(len(rows), bool) if frames.observed is None else frames.observed[rows]
        source = frames.tokens if name == "text" else frames.values
        assert source is not None  # frames_of has looked
        told[name] = np.empty((len(rows), width(world, name)))
        for low in range(0, len(rows), _BLOCK):
            told[name][low : low + _BLOCK] = tell(world, name, source[rows[low : low + _BLOCK]])
    u = corpus.utterances
    return Reading(u.dialogue, u.turn, u.speaker, utterance, observed, told)


def read_arrays(
    world: World,
    order: tuple[Integers, Integers, Integers],
    values: dict[str, NDArray[np.float32] | Integers],
    present: dict[str, NDArray[np.bool_]],
) -> Reading:
    """The observed frames of padded arrays.

    Args:
        world: the true parameters.
        order: dialogue, turn and speaker, each (U,) int64.
        values: by modality (U, T, d) float32 frames, or (U, T) int64 tokens for ``text``.
        present: by modality (U, T) bool; what is in only one of the two is unobserved.
    """
    utterance, told = {}, {}
    for name in MODALITIES:
        if name in values and name in present:
            utterance[name] = np.nonzero(present[name])[0]
            told[name] = tell(world, name, values[name][present[name]])
        else:
            utterance[name], told[name] = np.zeros(0, np.int64), np.zeros((0, width(world, name)))
    return Reading(*order, utterance, {name: np.ones(len(rows), bool) for name, rows in utterance.items()}, told)


def tell(world: World, name: str, values: NDArray[np.float32] | Integers) -> Array:
    """What R tokens or (R, d) frames tell, each on its own: (R, w) float64."""
    if name == "text":
        lexicon = world.lexicon
        return np.concatenate([lexicon.emotion[values], lexicon.scene[values]], axis=1)
    carrier = world.carriers[name]
    return np.asarray(carrier.warp.inverse(values) @ projection(carrier))


def width(world: World, name: str) -> int:
    """Numbers that one token or frame is reduced to."""
    told = len(world.prior) + world.settings.scenes
    return told if name == "text" else told + world.settings.factors


def frames_of(world: World, corpus: Corpus, name: str) -> Frames:
    """The frames of a modality, which must be what the settings would draw.

    Raises:
        DataError: they are missing or of another width, or the text has no tokens.
    """
    dim = world.settings.dims[name]
    frames = corpus.frames.get(name)
    if frames is None or frames.values.shape[1] != dim or (name == "text" and frames.tokens is None):
        raise DataError(
            "the corpus is not what its settings would draw",
            corpus=corpus.name,
            modality=name,
            expected=f"{dim} columns" + (" and tokens" if name == "text" else ""),
            found=None if frames is None else f"{frames.values.shape[1]} columns",
        )
    return frames
