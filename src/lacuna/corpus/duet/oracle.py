"""The exact ceiling of duet: P(emotion | whatever is observed) under any mask, and the best recovery of what is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus, Frames
from lacuna.corpus.duet.chain import Turns, smooth
from lacuna.corpus.duet.evidence import Evidence, projection, totals, turn_likelihood, weigh
from lacuna.corpus.duet.generate import settings_of
from lacuna.corpus.duet.recovery import Recovery, recover_frames, recover_words
from lacuna.corpus.duet.settings import Duet
from lacuna.corpus.duet.warp import Array
from lacuna.corpus.duet.world import draw_world
from lacuna.corpus.statistics import frame_rows
from lacuna.errors import ConfigError, DataError

Belief = Literal["own", "train", "invariant"]
Present = dict[str, NDArray[np.bool_]] | dict[str, Sequence[NDArray[np.bool_]]]
Integers = NDArray[np.int64]
_BLOCK = 4096  # utterances whose frames are in float64 at a time


@dataclass(frozen=True, eq=False)
class Reading:
    """A corpus reduced to what the posterior needs; read once, it answers for any number of masks.

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


class Oracle:
    """Answers from the true parameters of a duet; float64 throughout, memory bounded by blocks.

    Args:
        settings: what the corpus was drawn from.

    ``belief`` says how the oracle thinks that scenes and emotions meet: ``own`` knows the corpus's own rho (the ceiling;
    on the shifted test, the one who knows the shift), ``train`` trusts the rho of the training data wherever it is used,
    and ``invariant`` holds scenes for independent of emotions, which is the same as not looking at topic and camera code.
    """

    def __init__(self, settings: Duet) -> None:
        self.settings = settings
        self.world = draw_world(settings)
        lexicon = self.world.lexicon
        self._words = np.concatenate([lexicon.emotion, lexicon.scene], axis=1)  # (V, K + G)
        self._projections = {name: projection(carrier) for name, carrier in self.world.carriers.items()}

    @classmethod
    def of(cls, corpus: Corpus) -> Oracle:
        """The oracle of a generated corpus.

        Raises:
            ConfigError: the corpus is no duet: nobody knows its ceiling.
        """
        settings = settings_of(corpus)
        if settings is None:
            raise ConfigError(f"the ceiling of corpus '{corpus.name}' is not known; only the generated corpus 'duet' has one")
        return cls(settings)

    def read(self, corpus: Corpus) -> Reading:
        """Read every frame of a corpus (or of a view on one) once.

        Raises:
            DataError: a modality is missing, of another width, or the text has no tokens.
        """
        utterance, observed, told = {}, {}, {}
        for name in ("text", "audio", "vision"):
            frames = self._frames(corpus, name)
            utterance[name] = np.repeat(np.arange(len(corpus)), frames.count)
            rows = frame_rows(frames.start, frames.count)
            observed[name] = np.ones(len(rows), bool) if frames.observed is None else frames.observed[rows]
            if name == "text":
                assert frames.tokens is not None
                told[name] = self._words[frames.tokens[rows]]
                continue
            told[name] = np.empty((len(rows), self._projections[name].shape[1]))
            for low in range(0, len(rows), 8 * _BLOCK):
                here = slice(low, low + 8 * _BLOCK)
                told[name][here] = self._project(name, frames.values[rows[here]])
        u = corpus.utterances
        return Reading(u.dialogue, u.turn, u.speaker, utterance, observed, told)

    def posterior(
        self, corpus: Corpus | Reading, present: Present | None = None, *, context: bool = True, belief: Belief = "own"
    ) -> Array:
        """P(emotion | what is observed), exact.

        Args:
            corpus: drawn from the settings, whole or a view on whole dialogues; or what :meth:`read` made of it.
            present: by modality the flags of all its frames in row order, (sum count,) bool or one array an utterance;
                modalities left out are observed as they are. What the corpus lacks stays absent.
            context: use the whole dialogue; else each turn is judged on its own, for models that see one turn.
            belief: see the class.

        Returns:
            (N, K) float64, rows sum to 1.

        Raises:
            DataError: flags do not fit the frames; with context, a dialogue is not whole.
            ConfigError: unknown belief.
        """
        reading = corpus if isinstance(corpus, Reading) else self.read(corpus)
        evidence, _ = self._evidence(reading, present)
        return self._emotion(reading, evidence, context, belief)

    def posterior_arrays(
        self,
        dialogue: Integers,
        turn: Integers,
        speaker: Integers,
        frames: dict[str, NDArray[np.float32]],
        tokens: Integers,
        present: dict[str, NDArray[np.bool_]],
        *,
        context: bool = True,
        belief: Belief = "own",
    ) -> Array:
        """The same on padded arrays of whole dialogues, as a batch holds them.

        Args:
            dialogue: (U,) int64 codes.
            turn: (U,) int64.
            speaker: (U,) int64 codes.
            frames: ``audio`` and ``vision``, (U, T_m, d_m) as in the corpus, not standardised; one left out is unobserved.
            tokens: (U, T) int64.
            present: by modality (U, T_m) bool; ``text`` goes with ``tokens``; one left out is unobserved.

        Returns:
            (U, K) float64.
        """
        utterance, told = {}, {}
        for name in ("text", "audio", "vision"):
            values = tokens if name == "text" else frames.get(name)
            if name not in present or values is None:
                utterance[name] = np.zeros(0, np.int64)
                told[name] = np.zeros((0, self._width(name)))
                continue
            utterance[name] = np.nonzero(present[name])[0]
            kept = values[present[name]]  # (R,) tokens or (R, d) frames
            told[name] = self._words[kept] if name == "text" else self._project(name, kept)
        seen = {name: np.ones(len(rows), bool) for name, rows in utterance.items()}
        reading = Reading(dialogue, turn, speaker, utterance, seen, told)
        return self._emotion(reading, self._evidence(reading, None)[0], context, belief)

    def recover(
        self, corpus: Corpus, present: Present | None = None, *, context: bool = True, belief: Belief = "own"
    ) -> dict[str, Recovery]:
        """What is known of an unobserved frame of each utterance, by modality; arguments as for :meth:`posterior`."""
        reading = self.read(corpus)
        evidence, count = self._evidence(reading, present)
        emotion = self._emotion(reading, evidence, context, belief)
        scene = self._agreement(belief) * np.exp(evidence.scene - evidence.scene.max(axis=1, keepdims=True))[:, None]
        weight = emotion[:, :, None] * (scene / scene.sum(axis=2, keepdims=True))  # (N, K, G)
        result = {"text": recover_words(self.world.lexicon, weight)}
        for name, carrier in self.world.carriers.items():
            frames, kept = self._frames(corpus, name), self._kept(reading, present, name)
            rows = frame_rows(frames.start, frames.count)
            centre = np.zeros((len(corpus), frames.values.shape[1]))
            ends = np.searchsorted(reading.utterance[name], np.arange(0, len(corpus) + _BLOCK, _BLOCK))
            for block, (low, high) in enumerate(zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)):
                chosen = np.flatnonzero(kept[low:high]) + low
                linear = carrier.warp.inverse(frames.values[rows[chosen]])
                here = centre[block * _BLOCK : (block + 1) * _BLOCK]
                here += totals(linear, reading.utterance[name][chosen] - block * _BLOCK, len(here))
            centre /= np.maximum(count[name], 1)[:, None]
            result[name] = recover_frames(carrier, weight, evidence, count[name], centre)
        return result

    def _emotion(self, reading: Reading, evidence: Evidence, context: bool, belief: Belief) -> Array:
        likelihood = np.exp(turn_likelihood(evidence, self._agreement(belief)))
        if context:
            turns = Turns.of(reading.dialogue, reading.turn, reading.speaker)
            return smooth(self.world.kernel, self.world.prior, likelihood, turns)
        joint = likelihood * self.world.prior
        return np.asarray(joint / joint.sum(axis=1, keepdims=True))

    def _agreement(self, belief: Belief) -> Array:
        if belief not in get_args(Belief):
            raise ConfigError(f"unknown belief {belief!r}; known: {', '.join(get_args(Belief))}")
        s = self.settings
        return self.world.agreement({"own": s.rho, "train": s.rho_iid, "invariant": 1 / s.scenes}[belief])

    def _evidence(self, reading: Reading, present: Present | None) -> tuple[Evidence, dict[str, Integers]]:
        many = len(reading.dialogue)
        count, sums = {}, {}
        for name, told in reading.told.items():
            kept = np.flatnonzero(self._kept(reading, present, name))
            utterance = reading.utterance[name][kept]
            count[name] = np.bincount(utterance, minlength=many)
            sums[name] = totals(told[kept], utterance, many)
        return weigh(self.world, sums["text"], count, sums), count

    def _kept(self, reading: Reading, present: Present | None, name: str) -> NDArray[np.bool_]:
        """(R,) bool: in the corpus and in the mask."""
        observed = reading.observed[name]
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

    def _frames(self, corpus: Corpus, name: str) -> Frames:
        dim = self._dim(name)
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

    def _dim(self, name: str) -> int:
        return {"text": self.settings.text, "audio": self.settings.audio, "vision": self.settings.vision}[name].dim

    def _width(self, name: str) -> int:
        return (self._words if name == "text" else self._projections[name]).shape[1]

    def _project(self, name: str, values: NDArray[np.float32]) -> Array:
        """(R, d) observed frames -> (R, q + K + G) float64 projections of the linear space."""
        return np.asarray(self.world.carriers[name].warp.inverse(values) @ self._projections[name])


def posterior(corpus: Corpus, present: Present | None = None, *, context: bool = True, belief: Belief = "own") -> Array:
    """:meth:`Oracle.posterior` of a generated corpus: (N, K) float64."""
    return Oracle.of(corpus).posterior(corpus, present, context=context, belief=belief)


def recover(
    corpus: Corpus, present: Present | None = None, *, context: bool = True, belief: Belief = "own"
) -> dict[str, Recovery]:
    """:meth:`Oracle.recover` of a generated corpus, by modality."""
    return Oracle.of(corpus).recover(corpus, present, context=context, belief=belief)
