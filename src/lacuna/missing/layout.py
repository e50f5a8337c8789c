"""Keys and frame counts of utterances: the only input of a missingness pattern besides rate and seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lacuna.corpus.corpus import Corpus, name_keys
from lacuna.corpus.storage.tensors import gather, read_rows

_BLOCK = 1 << 14  # utterances read together
_LARGEST_CACHED = 1 << 12  # utterances; a larger part is not cached


@dataclass(frozen=True, eq=False)
class Part:
    """Some utterances of a layout, in memory.

    Attributes:
        utterance: (U,) uint64 key of the utterance id.
        count: by modality (U,) int64 number of frames.
        start: by modality (U,) int64 first flag of the utterance in ``observed`` and ``times``; only modalities in one of them.
        observed: as in :class:`Layout`.
        times: as in :class:`Layout`.
    """

    utterance: NDArray[np.uint64]
    count: dict[str, NDArray[np.int64]]
    start: dict[str, NDArray[np.int64]]
    observed: dict[str, NDArray[np.bool_]]
    times: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    @cached_property
    def available(self) -> dict[str, NDArray[np.bool_]]:
        """By modality (U,) bool: at least one frame is originally present; such an (utterance, modality) is a *slot*."""
        result = {}
        for name, count in self.count.items():
            result[name] = count > 0
            if (original := self.original(name)) is not None and len(original):
                result[name][count > 0] = np.logical_or.reduceat(original, (np.cumsum(count) - count)[count > 0])
        return result

    @cached_property
    def grid(self) -> NDArray[np.int64]:
        """(U,) int64 number of frames of each utterance's longest modality: the time grid that its modalities share."""
        return np.asarray(np.max([np.zeros(len(self.utterance), np.int64), *self.count.values()], axis=0))

    def original(self, modality: str) -> NDArray[np.bool_] | None:
        """Return (sum count,) bool: the frame is originally present; ``None`` = all are."""
        if modality not in self.observed:
            return None
        return read_rows(self.observed[modality], self.start[modality], self.count[modality])

    def seconds(self, modality: str) -> NDArray[np.float32]:
        """Return (sum count,) float32: the time of each frame in seconds of its utterance; NaN where it is not known."""
        if modality not in self.times:
            return np.full(int(self.count[modality].sum()), np.nan, np.float32)
        return read_rows(self.times[modality], self.start[modality], self.count[modality])


@dataclass(frozen=True, eq=False)
class Layout:
    """N utterances, described by stable keys and frame counts, never by position in a file or batch.

    Arrays may be memory-mapped: :meth:`at` and :meth:`parts` read some rows without loading the rest.

    Attributes:
        utterance: (N,) uint64 key of the utterance id.
        dialogue: (N,) uint64 key of the dialogue name. The constructor also takes a function, called on first access.
        speaker: (N,) uint64 key of the speaker name. The constructor also takes a function, called on first access.
        turn: (N,) int64 position in the dialogue.
        count: by modality (N,) int64 number of frames; 0 = originally absent.
        observed: by modality (R,) bool, False where a frame inside a recording is originally missing; modalities without
            missing frames are left out.
        start: by modality (N,) int64 first flag of the utterance in ``observed`` and ``times``; left out = they lie end to end.
        times: by modality (R,) float32 time of each frame in seconds of its utterance, ascending; NaN = not known; modalities
            without times are left out.
        id_of: function that returns the id of a row, for errors; ``None`` = only keys are known.
    """

    utterance: NDArray[np.uint64]
    dialogue: NDArray[np.uint64]
    speaker: NDArray[np.uint64]
    turn: NDArray[np.int64]
    count: dict[str, NDArray[np.int64]]
    observed: dict[str, NDArray[np.bool_]]
    start: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    times: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    id_of: Callable[[int], str] | None = None
    _cached: list[tuple[NDArray[np.int64], Part]] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        for name in [n for n in ("dialogue", "speaker") if callable(getattr(self, n))]:
            self.__dict__[f"_read_{name}"] = self.__dict__.pop(name)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:  # called for attributes that are not set yet
            read = self.__dict__.get(f"_read_{name}")
            if read is None:
                raise AttributeError(name)
            return self.__dict__.setdefault(name, read())

    def __len__(self) -> int:
        return len(self.utterance)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities in the corpus's order."""
        return tuple(self.count)

    def name_of(self, row: int) -> str:
        """Return the id of a row, or its key if the id is not known."""
        return f"key {int(self.utterance[row]):x}" if self.id_of is None else self.id_of(row)

    def at(self, rows: NDArray[np.int64]) -> Part:
        """Return the utterances at ``rows`` ((U,) int64). The last answer is cached: several masks read the same batch."""
        for cached_rows, part in self._cached:
            if np.array_equal(cached_rows, rows):
                return part
        part = self._read(rows)
        if len(rows) <= _LARGEST_CACHED:
            self._cached[:] = [(rows.copy(), part)]
        return part

    def _read(self, rows: NDArray[np.int64]) -> Part:
        utterance, *columns = gather([self.utterance, *self.count.values(), *self._start.values()], rows)
        n = len(self.count)
        count, start = dict(zip(self.count, columns[:n], strict=True)), dict(zip(self._start, columns[n:], strict=True))
        return Part(utterance, count, start, self.observed, self.times)

    def parts(self) -> Iterator[tuple[slice, Part]]:
        """Yield all utterances in blocks: the rows of a block, and its utterances."""
        for low in range(0, len(self), _BLOCK):
            high = min(low + _BLOCK, len(self))
            yield slice(low, high), self._read(np.arange(low, high))

    @cached_property
    def available(self) -> dict[str, NDArray[np.bool_]]:
        """By modality (N,) bool: at least one frame is originally present; such an (utterance, modality) is a *slot*."""
        result = {m: np.zeros(len(self), np.bool_) for m in self.count}
        for rows, part in self.parts():
            for m, available in part.available.items():
                result[m][rows] = available
        return result

    @cached_property
    def _start(self) -> dict[str, NDArray[np.int64]]:
        placed = {m: c for m, c in self.count.items() if m in self.observed or m in self.times}
        return {m: self.start[m] if m in self.start else np.cumsum(c) - c for m, c in placed.items()}

    @classmethod
    def of(cls, corpus: Corpus) -> Layout:
        """Return the layout of a corpus or of a view of one."""
        u, frames = corpus.utterances, corpus.frames
        dialogue: Callable[[], NDArray[np.uint64]] = lambda: name_keys(u.dialogue_names)[u.dialogue]  # noqa: E731
        speaker: Callable[[], NDArray[np.uint64]] = lambda: name_keys(u.speaker_names)[u.speaker]  # noqa: E731
        observed = {m: f.observed for m, f in frames.items() if f.observed is not None}
        times = {m: f.times for m, f in frames.items() if f.times is not None}
        return cls(
            utterance=corpus.keys,
            dialogue=dialogue,  # type: ignore[arg-type] # read on first access: few patterns need it
            speaker=speaker,  # type: ignore[arg-type]
            turn=u.turn,
            count={m.name: frames[m.name].count for m in corpus.modalities},
            observed=observed,
            start={m: frames[m].start for m in {**observed, **times}},
            times=times,
            id_of=lambda row: str(u.id.take(pa.array([row]))[0]),
        )
