"""The exact ceiling of duet: P(emotion | whatever is observed) under any mask, and the best recovery of what is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus
from lacuna.corpus.statistics import frame_rows
from lacuna.errors import ConfigError
from lacuna.synthetic.duet.chain import Turns, smooth
from lacuna.synthetic.duet.evidence import Evidence, totals, turn_likelihood
from lacuna.synthetic.duet.generate import settings_of
from lacuna.synthetic.duet.reading import Integers, Present, Reading, frames_of, read, read_arrays
from lacuna.synthetic.duet.recovery import Recovery, recover_frames, recover_words
from lacuna.synthetic.duet.settings import Duet
from lacuna.synthetic.duet.warp import Array
from lacuna.synthetic.duet.world import draw_world

Belief = Literal["own", "train", "invariant"]
_BLOCK = 4096  # utterances whose frames are in float64 at a time


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
        """Read every frame of a corpus (or of a view on one) once, to ask for many masks.

        Raises:
            DataError: a modality is missing or of another width, or the text has no tokens.
        """
        return read(self.world, corpus)

    def posterior(
        self, corpus: Corpus | Reading, present: Present | None = None, *, context: bool = True, belief: Belief = "own"
    ) -> Array:
        """P(emotion | what is observed), exact.

        Args:
            corpus: drawn from the settings, whole or a view on whole dialogues; or what :meth:`read` made of it.
            present: by modality the flags of all its frames in row order, (sum count,) bool or one array an utterance;
                modalities left out are observed as they are. What the corpus lacks stays absent.
            context: use the whole dialogue; else each turn is judged on its own, as by models that see one turn.
            belief: see the class.

        Returns:
            (N, K) float64, rows sum to 1.

        Raises:
            DataError: flags do not fit the frames; with context, a dialogue is not whole.
            ConfigError: unknown belief.
        """
        reading = corpus if isinstance(corpus, Reading) else self.read(corpus)
        return self._emotion(reading, reading.evidence(self.world, present)[0], context, belief)

    def posterior_arrays(  # noqa: PLR0917 - the columns of a batch
        self,
        dialogue: Integers,
        turn: Integers,
        speaker: Integers,
        frames: dict[str, NDArray[np.float32]],
        tokens: Integers | None,
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
            frames: ``audio`` and ``vision``, (U, T_m, d_m) float32 as in the corpus, not standardised; one left out is
                unobserved, and ``text`` is not looked at.
            tokens: (U, T) int64, or ``None``: no text is observed.
            present: by modality (U, T_m) bool; ``text`` goes with ``tokens``; one left out is unobserved.
            context: see :meth:`posterior`.
            belief: see the class.

        Returns:
            (U, K) float64.
        """
        values: dict[str, NDArray[np.float32] | Integers] = {m: x for m, x in frames.items() if m != "text"}
        if tokens is not None:
            values["text"] = tokens
        reading = read_arrays(self.world, (dialogue, turn, speaker), values, present)
        return self._emotion(reading, reading.evidence(self.world, None)[0], context, belief)

    def recover(
        self,
        corpus: Corpus,
        present: Present | None = None,
        *,
        context: bool = True,
        belief: Belief = "own",
        rows: Integers | None = None,
    ) -> dict[str, Recovery]:
        """Return the posterior of an unobserved frame of each utterance, by modality.

        Args:
            corpus: as for :meth:`posterior`.
            present: as for :meth:`posterior`.
            context: as for :meth:`posterior`.
            belief: see the class.
            rows: (R,) int64 utterances to recover, of which the result has the order; by default all.
        """
        reading = self.read(corpus)
        evidence, count = reading.evidence(self.world, present)
        rows = np.arange(len(corpus)) if rows is None else rows
        emotion = self._emotion(reading, evidence, context, belief)[rows]
        evidence = replace(evidence, **{name: getattr(evidence, name)[rows] for name in ("emotion", "scene", "factor", "pair")})
        scene = self._agreement(belief) * np.exp(evidence.scene - evidence.scene.max(axis=1, keepdims=True))[:, None]
        weight = emotion[:, :, None] * (scene / scene.sum(axis=2, keepdims=True))  # (N, K, G)
        result = {"text": recover_words(self.world.lexicon, weight)}
        for name, carrier in self.world.carriers.items():
            centre = (self._centre(corpus, reading, present, name) / np.maximum(count[name], 1)[:, None])[rows]
            result[name] = recover_frames(carrier, weight, evidence, count[name][rows], centre)
        return result

    def _centre(self, corpus: Corpus, reading: Reading, present: Present | None, name: str) -> Array:
        """Sums of the observed frames in the linear space: (N, d) float64."""
        frames, kept = frames_of(self.world, corpus, name), reading.kept(present, name)
        rows = frame_rows(frames.start, frames.count)
        result = np.zeros((len(corpus), frames.values.shape[1]))
        for first in range(0, len(corpus), _BLOCK):
            here = result[first : first + _BLOCK]
            low, high = np.searchsorted(reading.utterance[name], (first, first + _BLOCK))
            chosen = np.flatnonzero(kept[low:high]) + low
            linear = self.world.carriers[name].warp.inverse(frames.values[rows[chosen]])
            here += totals(linear, reading.utterance[name][chosen] - first, len(here))
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


def posterior(corpus: Corpus, present: Present | None = None, *, context: bool = True, belief: Belief = "own") -> Array:
    """:meth:`Oracle.posterior` of a generated corpus: (N, K) float64."""
    return Oracle.of(corpus).posterior(corpus, present, context=context, belief=belief)


def recover(
    corpus: Corpus, present: Present | None = None, *, context: bool = True, belief: Belief = "own"
) -> dict[str, Recovery]:
    """:meth:`Oracle.recover` of a generated corpus, by modality."""
    return Oracle.of(corpus).recover(corpus, present, context=context, belief=belief)
