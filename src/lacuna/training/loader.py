"""Batches in an order that is a pure function of the seed and the epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from lacuna.corpus.batch import Batch, collate, ids_at
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.schema import Schema
from lacuna.corpus.statistics import Statistics
from lacuna.corpus.storage.tensors import blocks
from lacuna.training.sampling import apart, dialogue_weights, draw, utterance_weights

SMALL = 24 << 20  # bytes; what is kept counts against the promise that memory is flat in the size of the corpus


@dataclass(frozen=True, eq=False)
class Loader:
    """Reads one split of a corpus in batches.

    A split that is small when padded is read once and kept, standardised, on the device. Of a larger split only the index is
    held. Both give the same batches, bit for bit.

    Attributes:
        corpus: a view on the split.
        schema: what the model sees.
        statistics: of the training split.
        batch_size: utterances in a batch; with whole dialogues the last one that starts within it is completed.
        whole_dialogues: keep the turns of a dialogue together, in order.
        device: where the batches are put.
        keep_bytes: a split of at most this size is kept; 0 = never.
        sampling: what a shuffled epoch draws: ``natural`` = every utterance once, ``balanced`` = see
            :mod:`lacuna.training.sampling`.
    """

    corpus: Corpus
    schema: Schema
    statistics: Statistics
    batch_size: int = 64
    whole_dialogues: bool = False
    device: torch.device | str = "cpu"
    keep_bytes: int = SMALL
    sampling: str = "natural"

    def rows(self, shuffle: tuple[int, int] | None = None) -> list[NDArray[np.int64]]:
        """Return the row numbers of each batch of an epoch.

        Args:
            shuffle: (seed, epoch), or ``None`` for the corpus's own order.
        """
        generator = None if shuffle is None else np.random.default_rng([*shuffle, 0x10AD])
        total = len(self.corpus)
        if generator is not None and self.sampling == "balanced":
            return self._balanced(generator)
        if not self.whole_dialogues:
            order = np.arange(total) if generator is None else generator.permutation(total)
            return [order[low : low + self.batch_size] for low in range(0, total, self.batch_size)]
        start, count = self._dialogues()
        if generator is not None:
            shuffled = generator.permutation(len(start))
            start, count = start[shuffled], count[shuffled]
        before = np.cumsum(count) - count
        return self._pack(start, count, before)

    def _balanced(self, generator: np.random.Generator) -> list[NDArray[np.int64]]:
        """Return the rows of an epoch in which classes are equally frequent, or more equal if dialogues are drawn."""
        weights = utterance_weights(self.schema.target, self.corpus.utterances.labels[self.schema.target.name])
        if not self.whole_dialogues:
            order = draw(weights, generator)
            return [order[low : low + self.batch_size] for low in range(0, len(order), self.batch_size)]
        start, count = self._dialogues()
        drawn = draw(dialogue_weights(weights, start, count), generator)
        return [
            np.concatenate([np.arange(start[d], start[d] + count[d]) for d in batch])
            for batch in apart(drawn, count, self.batch_size)
        ]

    def _pack(self, start: NDArray[np.int64], count: NDArray[np.int64], before: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        batches, low = [], 0
        while low < len(start):
            high = int(np.searchsorted(before, before[low] + self.batch_size))
            batches.append(np.concatenate([np.arange(s, s + c) for s, c in zip(start[low:high], count[low:high], strict=True)]))
            low = high
        return batches

    def _dialogues(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the first row (D,) and the number of rows (D,) of each dialogue; dialogues are contiguous."""
        edges, last = [np.zeros(0, np.int64)], -1
        for low, (code,) in blocks([self.corpus.utterances.dialogue]):
            edges.append(low + np.flatnonzero(np.diff(code, prepend=last)))
            last = int(code[-1])
        start = np.concatenate(edges)
        return start, np.diff(start, append=len(self.corpus))

    def read(self, rows: NDArray[np.int64]) -> Batch:
        """Return the complete batch of some rows (U,), on the device."""
        if self._kept is not None:
            return self._take(self._kept, rows)
        return collate(self.corpus, rows, self.schema, self.statistics).to(self.device)

    def __iter__(self) -> Iterator[Batch]:
        """Iterate over the batches in the order of the corpus."""
        return (self.read(rows) for rows in self.rows())

    @cached_property
    def _kept(self) -> Batch | None:
        """Return the whole split as one batch if it is small, else ``None``."""
        frames = self.corpus.frames
        longest = {m: max(1, frames[m].longest) if m in frames else 1 for m in self.schema.dims}
        size = 4 * len(self.corpus) * sum(longest[m] * dim for m, dim in self.schema.dims.items())
        if not 0 < size <= self.keep_bytes:
            return None
        return collate(self.corpus, np.arange(len(self.corpus)), self.schema, self.statistics).to(self.device)

    def _take(self, whole: Batch, rows: NDArray[np.int64]) -> Batch:
        """Return some rows of the kept batch, padded to the longest of them."""
        index = torch.from_numpy(rows).to(self.device)

        def cut(name: str, x: torch.Tensor) -> torch.Tensor:  # (N, T, ...) -> (U, T_m, ...)
            if x.shape[1] > 1:
                x = x[:, : max(1, int(self.corpus.frames[name].count[rows].max(initial=0)))]
            return x.index_select(0, index)

        return Batch(
            features={m: cut(m, x) for m, x in whole.features.items()},
            present={m: cut(m, x) for m, x in whole.present.items()},
            dialogue=whole.dialogue[index],
            turn=whole.turn[index],
            speaker=whole.speaker[index],
            key=whole.key[index],
            label=whole.label[index],
            ids=ids_at(whole.ids, rows),
            tokens={m: cut(m, x) for m, x in whole.tokens.items()},
            others={name: x[index] for name, x in whole.others.items()},
        )
