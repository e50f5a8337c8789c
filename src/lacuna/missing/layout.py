"""Where the frames of some utterances are: all that a missingness pattern may look at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus, keys_of
from lacuna.corpus.statistics import frame_rows


@dataclass(frozen=True, eq=False)
class Layout:
    """N utterances, by stable keys and frame counts, never by position in a file or batch.

    Attributes:
        utterance: (N,) uint64 key of the utterance id.
        dialogue: (N,) uint64 key of the dialogue name.
        speaker: (N,) uint64 key of the speaker name.
        turn: (N,) int64 position in the dialogue.
        count: by modality (N,) int64 frames; 0 = originally absent.
        observed: by modality (sum count,) bool, False where a frame inside a recording is originally missing;
            modalities without such holes are left out.
    """

    utterance: NDArray[np.uint64]
    dialogue: NDArray[np.uint64]
    speaker: NDArray[np.uint64]
    turn: NDArray[np.int64]
    count: dict[str, NDArray[np.int64]]
    observed: dict[str, NDArray[np.bool_]]

    def __len__(self) -> int:
        return len(self.utterance)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modality names in the corpus's order."""
        return tuple(self.count)

    @cached_property
    def available(self) -> dict[str, NDArray[np.bool_]]:
        """By modality (N,) bool: at least one frame is originally there; such an (utterance, modality) is a *slot*."""
        result = {}
        for name, count in self.count.items():
            result[name] = count > 0
            if name in self.observed and result[name].any():
                start = (np.cumsum(count) - count)[count > 0]
                result[name][count > 0] = np.logical_or.reduceat(self.observed[name], start)
        return result

    @cached_property
    def grid(self) -> NDArray[np.int64]:
        """(N,) int64 frames of each utterance's longest modality: the time grid that all its modalities share."""
        return np.asarray(np.max([np.zeros(len(self), np.int64), *self.count.values()], axis=0))

    def original(self, modality: str, rows: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """(sum count[rows],) bool: the frame is originally there; ``None`` = all are, the modality has no holes."""
        if modality not in self.observed:
            return None
        return self.observed[modality][frame_rows(self._start[modality][rows], self.count[modality][rows])]

    @cached_property
    def _start(self) -> dict[str, NDArray[np.int64]]:
        return {name: np.cumsum(count) - count for name, count in self.count.items()}

    @classmethod
    def of(cls, corpus: Corpus) -> Layout:
        """The layout of a corpus or of a view on one."""
        u = corpus.utterances
        observed = {}
        for name, frames in corpus.frames.items():
            if frames.observed is not None:
                observed[name] = frames.observed[frame_rows(frames.start, frames.count)]
        return cls(
            utterance=corpus.keys,
            dialogue=keys_of(u.dialogue_names.to_pylist())[u.dialogue],
            speaker=keys_of(u.speaker_names.to_pylist())[u.speaker],
            turn=u.turn,
            count={m.name: corpus.frames[m.name].count for m in corpus.modalities},
            observed=observed,
        )
