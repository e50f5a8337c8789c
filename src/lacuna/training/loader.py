"""Batches in an order that is a pure function of the seed and the epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.batch import Batch, collate
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.schema import Schema
from lacuna.corpus.statistics import Statistics


@dataclass(frozen=True, eq=False)
class Loader:
    """Read one split of a corpus in batches; nothing is held but the index.

    Attributes:
        corpus: a view on the split.
        schema: what the model sees.
        statistics: of the training split.
        batch_size: utterances in a batch; with whole dialogues the last one that starts within it is completed.
        whole_dialogues: keep the turns of a dialogue together, in order.
    """

    corpus: Corpus
    schema: Schema
    statistics: Statistics
    batch_size: int = 64
    whole_dialogues: bool = False

    def rows(self, shuffle: tuple[int, int] | None = None) -> list[NDArray[np.int64]]:
        """Row numbers of each batch of an epoch.

        Args:
            shuffle: (seed, epoch), or ``None`` for the corpus's own order.
        """
        generator = None if shuffle is None else np.random.default_rng([*shuffle, 0x10AD])
        total = len(self.corpus)
        if not self.whole_dialogues:
            order = np.arange(total) if generator is None else generator.permutation(total)
            return [order[low : low + self.batch_size] for low in range(0, total, self.batch_size)]
        start, count = self._dialogues()
        if generator is not None:
            shuffled = generator.permutation(len(start))
            start, count = start[shuffled], count[shuffled]
        before = np.cumsum(count) - count
        return self._pack(start, count, before)

    def _pack(self, start: NDArray[np.int64], count: NDArray[np.int64], before: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        batches, low = [], 0
        while low < len(start):
            high = int(np.searchsorted(before, before[low] + self.batch_size))
            batches.append(np.concatenate([np.arange(s, s + c) for s, c in zip(start[low:high], count[low:high], strict=True)]))
            low = high
        return batches

    def _dialogues(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First row and number of rows of each dialogue, which are contiguous in a corpus: (D,) and (D,)."""
        code = self.corpus.utterances.dialogue
        edges = np.flatnonzero(np.concatenate([[True], code[1:] != code[:-1]]) if len(code) else np.zeros(0, bool))
        return edges, np.diff(np.concatenate([edges, [len(code)]]))

    def read(self, rows: NDArray[np.int64]) -> Batch:
        """The complete batch at those rows."""
        return collate(self.corpus, rows, self.schema, self.statistics)

    def __iter__(self) -> Iterator[Batch]:
        """The batches in the corpus's own order."""
        return (self.read(rows) for rows in self.rows())
