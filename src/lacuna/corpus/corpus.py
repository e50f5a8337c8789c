"""The corpus: utterances in dialogue order and, by modality, the recorded frames."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lacuna.corpus.schema import SPLITS, Modality, Provenance, Schema, Target
from lacuna.corpus.storage.columns import Column, Names, Rows
from lacuna.corpus.storage.tensors import blocks
from lacuna.errors import ConfigError, DataError, suggestion

Labels = NDArray[np.int64] | NDArray[np.float32]


def key_of(text: str) -> int:
    """Return the 64-bit key of an id (BLAKE2b); it is the same on every machine and in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest(), "little")


def keys_of(texts: Sequence[str]) -> NDArray[np.uint64]:
    """Return :func:`key_of` of each text: (N,) uint64."""
    digests = [hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest() for text in texts]
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def name_keys(names: pa.Array | Names) -> NDArray[np.uint64]:
    """Return :func:`key_of` of each name: (D,) uint64. Keys that are stored on disk are read instead of the names."""
    return names.keys if isinstance(names, Names) and names.keys is not None else keys_of(names.to_pylist())


def has_label(target: Target, labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Return (N,) bool: the label is a class code, a finite score, or finite shares.

    Args:
        target: of the labels.
        labels: (N,) int64 | (N,) float32 | (N, C) float32.
    """
    if target.task == "classification":
        return np.asarray(labels >= 0)
    finite = np.isfinite(labels)
    return np.asarray(finite.all(axis=1) if finite.ndim == 2 else finite)


@dataclass(frozen=True, eq=False)
class Frames:
    """The frames of one modality, all utterances end to end, possibly memory-mapped.

    Attributes:
        values: (R, dim) float32; rows ``start[i] : start[i] + count[i]`` belong to utterance i.
        start: (N,) int64 first row of each utterance.
        count: (N,) int64 number of rows of each utterance; 0 = the modality is absent.
        observed: (R,) bool, False where a single frame inside a recording is missing; ``None`` = all were observed.
        tokens: (R,) int64 token id of each frame, or ``None``.
        times: (R,) float32 middle of each frame in seconds from the start of its utterance, on one clock for all modalities;
            NaN where the time is not known; or ``None``.
    """

    values: NDArray[np.float32]
    start: NDArray[np.int64]
    count: NDArray[np.int64]
    observed: NDArray[np.bool_] | None = None
    tokens: NDArray[np.int64] | None = None
    times: NDArray[np.float32] | None = None

    def take(self, rows: Rows) -> Frames:
        """Return a view of some utterances; only ``start`` and ``count`` are copied, and not even those for a slice."""
        return replace(self, start=self.start[rows], count=self.count[rows])

    def of(self, row: int) -> NDArray[np.float32]:
        """Return the frames of one utterance: (count[row], dim) float32, not copied."""
        return self.values[self.start[row] : self.start[row] + self.count[row]]

    @cached_property
    def longest(self) -> int:
        """Number of frames of the longest utterance."""
        return max((int(count.max()) for _, (count,) in blocks([self.count])), default=0)

    @cached_property
    def any_observed(self) -> NDArray[np.bool_]:
        """(N,) bool: at least one frame of the utterance was observed."""
        if self.observed is None:
            return self.count > 0
        n_before = np.concatenate([[0], np.cumsum(self.observed, dtype=np.int64)])  # (R + 1,) observed rows before each row
        return np.asarray(n_before[self.start + self.count] > n_before[self.start])


@dataclass(frozen=True, eq=False)
class Utterances:
    """A table with one row per utterance; the turns of a dialogue are contiguous and ascend.

    Attributes:
        id: (N,) unique utterance ids, arrow strings; for a corpus on disk a column that is read on access.
        dialogue: (N,) int64 codes into ``dialogue_names``.
        turn: (N,) int64 position in the dialogue; gaps are allowed.
        speaker: (N,) int64 codes into ``speaker_names``.
        split: (N,) int64 codes into ``SPLITS``; -1 = no split (data to predict on).
        labels: by target name: (N,) int64 with -1 = unlabelled | (N,) float32 | (N, C) float32 with NaN = unlabelled.
        dialogue_names: (D,) arrow strings, read on access like the ids.
        speaker_names: (S,) arrow strings, read on access like the ids.
        text: function that returns the (N,) transcripts as arrow strings, so that training need not load them; or ``None``.
    """

    id: pa.Array
    dialogue: NDArray[np.int64]
    turn: NDArray[np.int64]
    speaker: NDArray[np.int64]
    split: NDArray[np.int64]
    labels: dict[str, Labels]
    dialogue_names: pa.Array
    speaker_names: pa.Array
    text: Callable[[], pa.Array] | None = None

    def take(self, rows: Rows) -> Utterances:
        """Return the utterances at ``rows``, (R,) int64 or a slice with start and stop; codes keep their meaning."""
        text = self.text
        if isinstance(text, Column):
            text = text.view(rows)
        elif text is not None:
            text = partial(_texts_at, text, rows)
        return replace(
            self,
            id=_strings(self.id, rows),
            dialogue=self.dialogue[rows],
            turn=self.turn[rows],
            speaker=self.speaker[rows],
            split=self.split[rows],
            labels={name: values[rows] for name, values in self.labels.items()},
            text=text,
        )


def _strings(column: pa.Array | Column, rows: Rows) -> pa.Array | Column:
    """Return the strings at ``rows``; those of a column on disk stay unread."""
    if isinstance(column, Column):
        return column.view(rows)
    return column.slice(rows.start, rows.stop - rows.start) if isinstance(rows, slice) else column.take(pa.array(rows))


def _texts_at(text: Callable[[], pa.Array], rows: Rows) -> pa.Array:
    """Return the transcripts at ``rows``."""
    return _strings(text(), rows)


@dataclass(frozen=True, eq=False)
class Corpus:
    """A multimodal corpus in which modalities and frames may be missing.

    Build one with :func:`lacuna.corpus.assemble` or an importer, write it with :func:`lacuna.corpus.save_corpus`, open it
    memory-mapped with :func:`lacuna.corpus.open_corpus`. A corpus is immutable; :meth:`take` and :meth:`only` return
    views that share the frames.

    Attributes:
        name: e.g. ``mosi``.
        modalities: name, width and feature extractor of each modality, in order.
        targets: what can be predicted; the first is the default.
        utterances: ids, dialogues, turns, speakers, splits, labels and transcripts.
        frames: by modality.
        provenance: source files and notes on how the corpus was made.
        digest: hash of the files on disk; ``None`` for a corpus in memory. Functions that change the content set it to ``None``.
        place: folder of the files on disk; see :attr:`folder`.
    """

    name: str
    modalities: tuple[Modality, ...]
    targets: tuple[Target, ...]
    utterances: Utterances
    frames: dict[str, Frames]
    provenance: Provenance = field(default_factory=Provenance)
    digest: str | None = None
    place: Path | None = None

    def __len__(self) -> int:
        return len(self.utterances.dialogue)

    @property
    def folder(self) -> Path | None:
        """Folder from which another process can open the same content; ``None`` for a corpus in memory."""
        return self.place if self.digest is not None else None

    @property
    def ids(self) -> list[str]:
        """Utterance ids, in row order."""
        ids: list[str] = self.utterances.id.to_pylist()
        return ids

    @cached_property
    def keys(self) -> NDArray[np.uint64]:
        """(N,) uint64 stable key of each utterance id; masks depend on it."""
        ids = self.utterances.id
        if isinstance(ids, Column) and ids.keys is not None:
            return ids.keys
        pieces = [keys_of(ids.slice(i, 65_536).to_pylist()) for i in range(0, len(self), 65_536)]
        return np.concatenate([np.zeros(0, np.uint64), *pieces])

    @property
    def dialogue_keys(self) -> NDArray[np.uint64]:
        """(D,) uint64 stable keys of the names of the dialogues that occur in this view, in the order of their codes."""
        codes = [np.zeros(0, np.int64), *(np.unique(code) for _, (code,) in blocks([self.utterances.dialogue]))]
        return np.asarray(name_keys(self.utterances.dialogue_names)[np.unique(np.concatenate(codes))])

    @property
    def transcripts(self) -> list[str | None]:
        """Transcripts in row order; ``None`` where the corpus has none."""
        if self.utterances.text is None:
            return [None] * len(self)
        texts: list[str | None] = self.utterances.text().to_pylist()
        return texts

    def target(self, name: str | None = None) -> Target:
        """Return the target of that name; by default the first one.

        Raises:
            ConfigError: the corpus has no such target.
        """
        for target in self.targets:
            if name is None or target.name == name:
                return target
        known = [t.name for t in self.targets]
        hint = suggestion(name or "", known)
        raise ConfigError(f"corpus '{self.name}' has no target {name!r}{hint}; it has: {', '.join(known) or 'none'}")

    def schema(self, target: str | None = None) -> Schema:
        """Return the modalities and the target, which a model for this corpus is built from."""
        return Schema(self.modalities, self.target(target))

    def take(self, rows: NDArray[np.int64]) -> Corpus:
        """Return a view of the utterances at ``rows`` ((R,) int64), in that order. Consecutive rows copy nothing."""
        if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and (rows[1:] - rows[:-1] == 1).all():
            return self._view(slice(int(rows[0]), int(rows[-1]) + 1))
        return self._view(rows)

    def _view(self, rows: Rows) -> Corpus:
        return replace(
            self,
            utterances=self.utterances.take(rows),
            frames={name: frames.take(rows) for name, frames in self.frames.items()},
        )

    def only(self, *splits: str) -> Corpus:
        """Return a view of the named splits. A corpus on disk is ordered by split, so the view copies nothing.

        Args:
            splits: some of ``train``, ``valid``, ``test``.

        Raises:
            ConfigError: a name is not one of these.
        """
        if unknown := [s for s in splits if s not in SPLITS]:
            raise ConfigError(f"unknown split {unknown[0]!r}{suggestion(unknown[0], SPLITS)}; known: {', '.join(SPLITS)}")
        codes = [SPLITS.index(s) for s in splits]
        edges: list[int] = []
        inside = False
        for low, (split,) in blocks([self.utterances.split]):
            wanted = np.isin(split, codes)
            edges += (low + np.flatnonzero(np.diff(wanted, prepend=inside))).tolist()
            inside = bool(wanted[-1])
        edges += [len(self)] if inside else []
        if len(edges) == 2:
            return self._view(slice(*edges))
        runs = [np.arange(low, high) for low, high in zip(edges[::2], edges[1::2], strict=True)]
        return self._view(np.concatenate([np.zeros(0, np.int64), *runs]))

    def without(self, *modalities: str) -> Corpus:
        """Return the corpus without some of its modalities.

        Raises:
            ConfigError: the corpus has no such modality, or none would be left.
        """
        if not modalities:
            return self
        known = [m.name for m in self.modalities]
        if unknown := [name for name in modalities if name not in known]:
            raise ConfigError(
                f"corpus '{self.name}' has no modality {unknown[0]!r}{suggestion(unknown[0], known)}; it has: {', '.join(known)}"
            )
        kept = tuple(m for m in self.modalities if m.name not in modalities)
        if not kept:
            raise ConfigError(f"corpus '{self.name}' would have no modality left")
        frames = {m.name: self.frames[m.name] for m in kept}
        note = f"left out: {', '.join(modalities)}"
        return replace(self, modalities=kept, frames=frames, provenance=self.provenance.noting(note), digest=None, place=None)

    def labelled(self, target: str | None = None) -> NDArray[np.bool_]:
        """Return (N,) bool: the utterance has a label of the target, by default of the first one."""
        chosen = self.target(target)
        pieces = [has_label(chosen, values) for _, (values,) in blocks([self.utterances.labels[chosen.name]])]
        return np.concatenate([np.zeros(0, np.bool_), *pieces])

    def absences(self) -> Mapping[str, dict[str, int]]:
        """Return by modality and split name the number of utterances without any observed frame of the modality."""
        names = (*SPLITS, "none")
        split = self.utterances.split
        return {
            m.name: {
                name: int((~self.frames[m.name].any_observed & (split == code)).sum())
                for name, code in zip(names, (0, 1, 2, -1), strict=True)
                if (split == code).any()
            }
            for m in self.modalities
        }

    def require(self, schema: Schema) -> None:
        """Check that a model built for ``schema`` can read this corpus.

        Raises:
            DataError: a modality has another width, or the corpus has none of the modalities.
        """
        dims = {m.name: m.dim for m in self.modalities}
        for modality in schema.modalities:
            if dims.get(modality.name, modality.dim) != modality.dim:
                raise DataError(
                    "the frames are not as wide as the model expects",
                    corpus=self.name,
                    modality=modality.name,
                    expected=modality.dim,
                    found=dims[modality.name],
                    hint="extract the features as for the training corpus, or train on this corpus",
                )
        if not set(dims) & set(schema.dims):
            raise DataError(
                "the corpus shares no modality with the model",
                corpus=self.name,
                expected=", ".join(schema.dims),
                found=", ".join(dims),
                hint="rename the modalities of the corpus, or train a model on these modalities",
            )
