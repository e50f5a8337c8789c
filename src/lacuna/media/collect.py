"""From encoded clips to a corpus: in memory, or on disk with one block of dialogues in memory at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lacuna.atomic import sha256
from lacuna.corpus.assemble import Channel, Packed, assemble
from lacuna.corpus.corpus import Corpus, Frames
from lacuna.corpus.schema import Modality, Provenance
from lacuna.corpus.storage.format import CorpusWriter, open_corpus
from lacuna.errors import DataError
from lacuna.media.align import frame_times
from lacuna.media.clips import Clips
from lacuna.media.encode import ClipResult, read_encoded
from lacuna.media.encoders import Encoded, FeatureEncoder
from lacuna.media.quarantine import notes_of
from lacuna.media.turns import spread

if TYPE_CHECKING:
    import pandas as pd

BLOCK = 1 << 20  # bytes of cached features in memory at a time


def used_encoders(encoders: Iterable[FeatureEncoder], results: Iterable[ClipResult]) -> list[FeatureEncoder]:
    """Return the encoders that encoded at least one of the clips with these results, in their order."""
    present = {modality for done in results for modality in done.files}
    return [encoder for encoder in encoders if encoder.modality in present]


def utterances_of(
    name: str,
    source: Path,
    clips: Clips,
    encoders: Sequence[FeatureEncoder],
    *,
    results: Sequence[ClipResult],
    quarantine: pd.DataFrame,
) -> Corpus:
    """Return the corpus of the clips that are not in quarantine; one number stands for the features of a modality.

    Args:
        name: of the corpus.
        source: of the clips.
        clips: N clips.
        encoders: of the extraction; a modality that is absent from every clip is left out.
        results: N results.
        quarantine: their table of problems.
    """
    kept = [row for row, done in enumerate(results) if done.files]
    used = used_encoders(encoders, results)
    notes = [
        f"{encoder.modality}: {encoder.describe()} ({encoder.source})"
        if encoder in used
        else f"{encoder.modality} is left out: it is absent from every clip"
        for encoder in encoders
    ]
    if len(kept) < len(results):
        notes.append(f"{len(results) - len(kept)} of {len(results)} clips are in quarantine and not in the corpus")
    recordings = hashlib.sha256("".join(sorted({done.digest for done in results})).encode()).hexdigest()
    files = {"recordings": recordings, **{_name(table, source): sha256(table) for table in clips.tables}}
    texts = [clips.clips[row].text for row in kept]
    return assemble(
        name,
        ids=[clips.clips[row].id for row in kept],
        dialogues=[clips.dialogues[row] for row in kept],
        turns=[clips.turns[row] for row in kept],
        channels={e.modality: _presence([e.modality in results[row].files for row in kept]) for e in used},
        targets=clips.targets,
        labels={target: np.asarray(values)[kept] for target, values in clips.labels.items()},
        splits=None if clips.splits is None else [clips.splits[row] for row in kept],
        speakers=[clips.speakers[row] for row in kept],
        texts=texts if any(texts) else None,
        provenance=Provenance(
            source.resolve().name, "recordings", clips.licence, files, (*clips.notes, *notes, *notes_of(quarantine))
        ),
    )


def _presence(flags: Sequence[bool]) -> Channel:
    """Return a channel with one frame of one number wherever the modality is present."""
    count = np.array(flags, np.int64)
    return Channel(Packed(np.zeros((int(count.sum()), 1), np.float32), count))


def _name(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix() if file.is_relative_to(folder) else file.name


def with_features(
    corpus: Corpus,
    results: Sequence[ClipResult],
    encoders: Sequence[FeatureEncoder],
    *,
    clock: bool = True,
    out: Path | None = None,
) -> Corpus:
    """Return a corpus with the features of its utterances, which are read from the cache.

    Args:
        corpus: the utterances; its modalities of other names are kept, behind the new ones.
        results: of each utterance, in row order.
        encoders: of the new modalities.
        clock: keep the times of the frames.
        out: folder in which the corpus is written and from which it is opened memory-mapped; :data:`BLOCK` bytes of features are
            in memory at a time, or one dialogue if that is more. ``None`` = the corpus is in memory.

    Raises:
        DataError: a modality is absent from every utterance, a cached file is missing or damaged, or its features are not
            valid.
    """
    others = tuple(m for m in corpus.modalities if m.name not in {encoder.modality for encoder in encoders})
    expected = tuple(_modality(corpus.name, encoder, results) for encoder in encoders)

    def piece(rows: NDArray[np.int64]) -> Corpus:
        part = corpus if len(rows) == len(corpus) else _part(corpus, rows)
        encoded = _read(part, [results[row] for row in rows], encoders, clock=clock)
        modalities = {m.name: m for m in (*expected, *encoded.modalities)}
        nothing = {m.name: _absent(m.dim, len(rows), clock=clock) for m in expected}
        frames = {**nothing, **encoded.frames, **{m.name: part.frames[m.name] for m in others}}
        return replace(part, modalities=(*modalities.values(), *others), frames=frames, digest=None, place=None)

    if out is None:
        return piece(np.arange(len(corpus)))
    with CorpusWriter(out) as writer:
        for rows in _blocks(corpus.utterances.dialogue, results, BLOCK):
            writer.append(piece(rows))
    return open_corpus(out)


def _modality(corpus: str, encoder: FeatureEncoder, results: Sequence[ClipResult]) -> Modality:
    """Return the modality of an encoder, with the width of the first features in the cache."""
    first = next((done.files[encoder.modality] for done in results if encoder.modality in done.files), None)
    if first is None:
        message, hint = "the modality is absent from every utterance", "leave the modality out"
        raise DataError(message, corpus=corpus, modality=encoder.modality, hint=hint)
    values = _cached(corpus, first).values
    assert values is not None
    return Modality(encoder.modality, values.shape[1], encoder.describe())


def _blocks(dialogue: NDArray[np.int64], results: Sequence[ClipResult], most: int) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of blocks of whole dialogues; a block ends with the dialogue in which it exceeds ``most`` bytes."""
    start = size = 0
    for row, done in enumerate(results):
        if size > most and dialogue[row] != dialogue[row - 1]:
            yield np.arange(start, row)
            start, size = row, 0
        size += sum(path.stat().st_size for path in done.files.values() if path.is_file())
    yield np.arange(start, len(results))


def _part(corpus: Corpus, rows: NDArray[np.int64]) -> Corpus:
    """Return some dialogues of a corpus, without the names of the other dialogues and speakers."""
    part = corpus.take(rows)
    u = part.utterances
    dialogue_codes, dialogue = np.unique(u.dialogue, return_inverse=True)
    speaker_codes, speaker = np.unique(u.speaker, return_inverse=True)
    dialogue_names = u.dialogue_names.take(pa.array(dialogue_codes))
    speaker_names = u.speaker_names.take(pa.array(speaker_codes))
    renamed = replace(u, dialogue=dialogue, dialogue_names=dialogue_names, speaker=speaker, speaker_names=speaker_names)
    return replace(part, utterances=renamed)


def _read(part: Corpus, results: Sequence[ClipResult], encoders: Sequence[FeatureEncoder], *, clock: bool) -> Corpus:
    """Return a corpus of the features of some utterances; modalities that are absent from all of them are left out."""
    channels = {}
    for encoder in encoders:
        files = [done.files.get(encoder.modality) for done in results]
        encoded = [None if path is None else _cached(part.name, path) for path in files]
        if not any(one is not None and one.values is not None and len(one.values) for one in encoded):
            continue
        times = [None if one is None else _times(encoder, one, done.speech) for one, done in zip(encoded, results, strict=True)]
        channels[encoder.modality] = Channel(
            [None if one is None else one.values for one in encoded],
            extractor=encoder.describe(),
            observed=[None if one is None else one.observed for one in encoded],
            times=times if clock else None,
        )
    ids, count = part.ids, len(part)
    if not channels:
        return replace(part, modalities=(), frames={})
    return assemble(part.name, ids=ids, dialogues=["all"] * count, turns=range(count), channels=channels)


def _cached(corpus: str, path: Path) -> Encoded:
    encoded = read_encoded(path) if path.is_file() else None
    if encoded is None or encoded.values is None:
        raise DataError(
            "features are not in the cache any more",
            corpus=corpus,
            expected=f"the file {path.name} in the folder {path.parent.name} of the cache",
            found="no such file" if not path.is_file() else "a damaged file",
            hint="run the same command again, and do not delete the cache meanwhile",
        )
    return encoded


def _absent(dim: int, count: int, *, clock: bool) -> Frames:
    """Return the frames of a modality that is absent from ``count`` utterances."""
    rows = np.zeros(count, np.int64)
    return Frames(np.zeros((0, dim), np.float32), rows, rows, times=np.zeros(0, np.float32) if clock else None)


def _times(encoder: FeatureEncoder, encoded: Encoded, speaks: Sequence[tuple[float, float]]) -> NDArray[np.float32] | None:
    """Return the middle of each frame in seconds of the clip: (T,); ``None`` where a frame is the whole clip."""
    assert encoded.values is not None
    count = len(encoded.values)
    if encoded.times is not None:
        return encoded.times
    if rate := getattr(encoder, "rate", None):
        return frame_times(count, rate).astype(np.float32)
    return spread(count, list(speaks)) if encoder.modality == "text" and count > 1 else None
