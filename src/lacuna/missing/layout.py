"""Where the frames of some utterances are: all that a missingness pattern may look at."""

from __future__ import annotations

from dataclasses import dataclass

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
