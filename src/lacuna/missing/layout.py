"""Where the frames of some utterances are: all that a missingness pattern may look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus, name_keys
from lacuna.corpus.storage.tensors import gather, read_rows

_BLOCK = 1 << 14  # utterances looked at together
_KEPT = 1 << 12  # a larger part is not kept


@dataclass(frozen=True, eq=False)
class Part:
    """What a layout says of some of its utterances, in memory.

    Attributes:
        utterance: (U,) uint64 key of the utterance id.
        count: by modality (U,) int64 frames.
        start: by modality with holes (U,) int64 where the utterance's flags begin in ``observed``.
        observed: as in the layout.
    """

    utterance: NDArray[np.uint64]
    count: dict[str, NDArray[np.int64]]
    start: dict[str, NDArray[np.int64]]
    observed: dict[str, NDArray[np.bool_]]

    @cached_property
    def available(self) -> dict[str, NDArray[np.bool_]]:
        """By modality (U,) bool: at least one frame is originally there; such an (utterance, modality) is a *slot*."""
        result = {}
        for name, count in self.count.items():
            result[name] = count > 0
            if (there := self.original(name)) is not None and len(there):
                result[name][count > 0] = np.logical_or.reduceat(there, (np.cumsum(count) - count)[count > 0])
        return result

    @cached_property
    def grid(self) -> NDArray[np.int64]:
        """(U,) int64 frames of each utterance's longest modality: the time grid that all its modalities share."""
        return np.asarray(np.max([np.zeros(len(self.utterance), np.int64), *self.count.values()], axis=0))

    def original(self, modality: str) -> NDArray[np.bool_] | None:
        """(sum count,) bool: the frame is originally there; ``None`` = all are, the modality has no holes."""
        if modality not in self.observed:
            return None
        return read_rows(self.observed[modality], self.start[modality], self.count[modality])


@dataclass(frozen=True, eq=False)
class Layout:
    """N utterances, by stable keys and frame counts, never by position in a file or batch.

    Arrays may be views of a file: :meth:`at` and :meth:`parts` read some rows of them without filling memory.

    Attributes:
        utterance: (N,) uint64 key of the utterance id.
        dialogue: (N,) uint64 key of the dialogue name; may be given as a function that is called when it is asked for.
        speaker: (N,) uint64 key of the speaker name; likewise.
        turn: (N,) int64 position in the dialogue.
        count: by modality (N,) int64 frames; 0 = originally absent.
        observed: by modality (R,) bool, False where a frame inside a recording is originally missing;
            modalities without such holes are left out.
        start: by modality (N,) int64 where an utterance's flags begin in ``observed``; left out = they lie end to end.
    """

    utterance: NDArray[np.uint64]
    dialogue: NDArray[np.uint64]
    speaker: NDArray[np.uint64]
    turn: NDArray[np.int64]
    count: dict[str, NDArray[np.int64]]
    observed: dict[str, NDArray[np.bool_]]
    start: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    _last: list[tuple[NDArray[np.int64], Part]] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        for name in [n for n in ("dialogue", "speaker") if callable(getattr(self, n))]:
            self.__dict__[f"_read_{name}"] = self.__dict__.pop(name)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:  # only what is not there yet comes here
            read = self.__dict__.get(f"_read_{name}")
            if read is None:
                raise AttributeError(name)
            return self.__dict__.setdefault(name, read())

    def __len__(self) -> int:
        return len(self.utterance)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modality names in the corpus's order."""
        return tuple(self.count)

    def at(self, rows: NDArray[np.int64]) -> Part:
        """What is known of the utterances at ``rows``; asked again for the same rows, as for every mask, it is not read again."""
        for known, part in self._last:
            if np.array_equal(known, rows):
                return part
        part = self._read(rows)
        if len(rows) <= _KEPT:
            self._last[:] = [(rows.copy(), part)]
        return part

    def _read(self, rows: NDArray[np.int64]) -> Part:
        holes = [m for m in self.count if m in self.observed]
        columns = [self.utterance, *self.count.values(), *(self._start[m] for m in holes)]
        utterance, *numbers = gather(columns, rows)
        n = len(self.count)
        count, start = dict(zip(self.count, numbers[:n], strict=True)), dict(zip(holes, numbers[n:], strict=True))
        return Part(utterance, count, start, self.observed)

    def parts(self) -> Iterator[tuple[slice, Part]]:
        """All utterances, a block at a time."""
        for low in range(0, len(self), _BLOCK):
            high = min(low + _BLOCK, len(self))
            yield slice(low, high), self._read(np.arange(low, high))

    @cached_property
    def available(self) -> dict[str, NDArray[np.bool_]]:
        """By modality (N,) bool: at least one frame is originally there; such an (utterance, modality) is a *slot*."""
        result = {m: np.zeros(len(self), np.bool_) for m in self.count}
        for rows, part in self.parts():
            for m, there in part.available.items():
                result[m][rows] = there
        return result

    @cached_property
    def grid(self) -> NDArray[np.int64]:
        """(N,) int64 frames of each utterance's longest modality: the time grid that all its modalities share."""
        return np.concatenate([np.zeros(0, np.int64), *(part.grid for _, part in self.parts())])

    def original(self, modality: str, rows: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """(sum count[rows],) bool: the frame is originally there; ``None`` = all are, the modality has no holes."""
        return self.at(rows).original(modality) if modality in self.observed else None

    @cached_property
    def _start(self) -> dict[str, NDArray[np.int64]]:
        return {m: self.start[m] if m in self.start else np.cumsum(c) - c for m, c in self.count.items() if m in self.observed}

    @classmethod
    def of(cls, corpus: Corpus) -> Layout:
        """The layout of a corpus or of a view on one."""
        u, frames = corpus.utterances, corpus.frames
        dialogue: Callable[[], NDArray[np.uint64]] = lambda: name_keys(u.dialogue_names)[u.dialogue]  # noqa: E731
        speaker: Callable[[], NDArray[np.uint64]] = lambda: name_keys(u.speaker_names)[u.speaker]  # noqa: E731
        holes = {m: f.observed for m, f in frames.items() if f.observed is not None}
        return cls(
            utterance=corpus.keys,
            dialogue=dialogue,  # type: ignore[arg-type] # read when asked for: few patterns do
            speaker=speaker,  # type: ignore[arg-type]
            turn=u.turn,
            count={m.name: frames[m.name].count for m in corpus.modalities},
            observed=holes,
            start={m: frames[m].start for m in holes},
        )
