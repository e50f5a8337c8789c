"""The exact posterior of duet under any mask: of the emotion, and of frames that are not observed."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus
from lacuna.corpus.statistics import frame_rows
from lacuna.errors import ConfigError
from lacuna.synthetic.duet.chain import Turns, filtered, smooth
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
    """Compute posteriors from the true parameters of a duet, in float64, with memory bounded by blocks.

    Args:
        settings: settings that the corpus was drawn from.

    ``belief`` is the assumed dependence of scenes on emotions. ``own``: the rho of the corpus itself (the ceiling; on the shifted
    test, of a model that knows the shift). ``train``: the rho of the training data. ``invariant``: scenes are independent of
    emotions, which is the same as ignoring topic and camera code.
    """

    def __init__(self, settings: Duet) -> None:
        self.settings = settings
        self.world = draw_world(settings)

    @classmethod
    def of(cls, corpus: Corpus) -> Oracle:
        """Return the oracle of a generated corpus.

        Raises:
            ConfigError: the corpus is no duet, so its posterior is not known.
        """
        settings = settings_of(corpus)
        if settings is None:
            raise ConfigError(f"the ceiling of corpus '{corpus.name}' is not known; only the generated corpus 'duet' has one")
        return cls(settings)

    def read(self, corpus: Corpus) -> Reading:
        """Return the statistics of every frame of a corpus (or a view), to be used for many masks.

        Raises:
            DataError: a modality is missing or of another width, or the text has no tokens.
        """
        return read(self.world, corpus)

    def posterior(
        self, corpus: Corpus | Reading, present: Present | None = None, *, context: bool = True, belief: Belief = "own"
    ) -> Array:
        """Return the exact posterior P(emotion | observed frames).

        Args:
            corpus: drawn from the settings, the whole corpus or a view on whole dialogues; or the result of :meth:`read`.
            present: by modality the flags of all frames in row order, (sum count,) bool, or one array for each utterance;
                modalities left out are not masked. What the corpus lacks stays absent.
            context: whether to condition on the whole dialogue; otherwise on one turn, as for models that see one turn.
            belief: see the class.

        Returns:
            (N, K) float64, rows sum to 1.

        Raises:
            DataError: flags do not fit the frames; with context, a dialogue is not whole.
            ConfigError: unknown belief.
        """
        reading = corpus if isinstance(corpus, Reading) else self.read(corpus)
        return self._emotion(reading, reading.evidence(self.world, present)[0], context, belief)

    def filtered(
        self, corpus: Corpus | Reading, present: Present | None = None, *, following: bool = False, belief: Belief = "own"
    ) -> Array:
        """Return the exact posterior given the turns up to each turn, not the later ones.

        Args:
            corpus: as for :meth:`posterior`.
            present: as for :meth:`posterior`.
            following: whether the emotion of the turn after each turn is wanted, the next-emotion prediction; who speaks then is
                not known. Otherwise that of the turn itself.
            belief: see the class.

        Returns:
            (N, K) float64, rows sum to 1. With ``following``, the row of a last turn is about a turn that does not exist.
        """
        reading = corpus if isinstance(corpus, Reading) else self.read(corpus)
        likelihood = np.exp(turn_likelihood(reading.evidence(self.world, present)[0], self._agreement(belief)))
        turns = Turns.of(reading.dialogue, reading.turn, reading.speaker)
        alternate = self.settings.alternate if following else None
        return filtered(self.world.kernel, self.world.prior, likelihood, turns, alternate)

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
        """Return the posterior for padded arrays of whole dialogues, as in a batch.

        Args:
            dialogue: (U,) int64 codes.
            turn: (U,) int64.
            speaker: (U,) int64 codes.
            frames: ``audio`` and ``vision``, (U, T_m, d_m) float32 as in the corpus, not standardised; a modality left out is
                unobserved, and ``text`` is ignored.
            tokens: (U, T) int64, or ``None`` if no text is observed.
            present: by modality (U, T_m) bool; ``text`` belongs to ``tokens``; a modality left out is unobserved.
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
        """Return the sums of the observed frames in the linear space: (N, d) float64."""
        frames, kept = frames_of(self.world, corpus, name), reading.kept(present, name)
        rows = frame_rows(frames.start, frames.count)
        result = np.zeros((len(corpus), frames.values.shape[1]))
        for first in range(0, len(corpus), _BLOCK):
            block = result[first : first + _BLOCK]
            low, high = np.searchsorted(reading.utterance[name], (first, first + _BLOCK))
            chosen = np.flatnonzero(kept[low:high]) + low
            linear = self.world.carriers[name].warp.inverse(frames.values[rows[chosen]])
            block += totals(linear, reading.utterance[name][chosen] - first, len(block))
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
    """Return :meth:`Oracle.posterior` of a generated corpus: (N, K) float64.

    Example:
        >>> from lacuna.synthetic.duet import generate, preset
        >>> corpus = generate(preset("tiny"))
        >>> probabilities = posterior(corpus)
        >>> probabilities.shape == (len(corpus), 6), bool(np.allclose(probabilities.sum(axis=1), 1))
        (True, True)
    """
    return Oracle.of(corpus).posterior(corpus, present, context=context, belief=belief)


def recover(
    corpus: Corpus, present: Present | None = None, *, context: bool = True, belief: Belief = "own"
) -> dict[str, Recovery]:
    """Return :meth:`Oracle.recover` of a generated corpus, by modality."""
    return Oracle.of(corpus).recover(corpus, present, context=context, belief=belief)
