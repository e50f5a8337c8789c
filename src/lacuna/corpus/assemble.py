"""Build a checked :class:`Corpus` from what an importer read: sort, concatenate, repair by policy, validate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from lacuna.corpus.corpus import Corpus, Frames, Labels, Utterances
from lacuna.corpus.repair import Policy, repair
from lacuna.corpus.schema import SPLITS, Modality, Provenance, Target, check_name
from lacuna.corpus.validate import check
from lacuna.errors import DataError


@dataclass(frozen=True, eq=False)
class Packed:
    """The frames of a modality end to end, as an importer returns them that reads whole arrays: no object an utterance.

    Attributes:
        values: (sum T_i, dim) numbers.
        count: (N,) int64, T_i of each utterance; 0 = absent.
        observed: (sum T_i,) bool, False where a single frame was not observed; ``None`` = all were.
    """

    values: NDArray[Any]
    count: NDArray[np.int64]
    observed: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Channel:
    """One modality as an importer returns it, utterance by utterance or packed.

    Attributes:
        frames: one entry an utterance: (T_i, dim) or (dim,) numbers, or ``None`` where the modality is absent.
            An (N, dim) or (N, T, dim) array is such a sequence. Or :class:`Packed`, which has observed flags of its own.
        extractor: description of what computed the features.
        tokens: one entry an utterance: (T_i,) token ids beside the frames; ``None`` = no ids in this channel.
        vocabulary: size of the vocabulary of ``tokens``.
        observed: one entry an utterance: (T_i,) bool, False where a single frame was not observed; ``None`` = all were.
        times: one entry an utterance: (T_i,) seconds from the start of the utterance, the middle of each frame, ascending;
            NaN or no entry where the times are not known.
    """

    frames: Sequence[ArrayLike | None] | NDArray[Any] | Packed
    extractor: str = "unknown"
    tokens: Sequence[ArrayLike | None] | None = None
    vocabulary: int | None = None
    observed: Sequence[ArrayLike | None] | None = None
    times: Sequence[ArrayLike | None] | None = None

    @property
    def absent(self) -> NDArray[np.bool_]:
        """Return (N,) bool: where the modality is absent."""
        if isinstance(self.frames, Packed):
            return np.asarray(self.frames.count == 0)
        return np.array([frames is None for frames in self.frames], bool)


def assemble(
    name: str,
    *,
    ids: Sequence[str],
    dialogues: Sequence[str],
    turns: Sequence[int],
    channels: dict[str, Channel],
    targets: Sequence[Target] = (),
    labels: dict[str, ArrayLike] | None = None,
    splits: Sequence[str | None] | None = None,
    speakers: Sequence[str] | None = None,
    texts: Sequence[str | None] | None = None,
    provenance: Provenance | None = None,
    nonfinite: Policy = "refuse",
) -> Corpus:
    """Return a validated corpus; rows may come in any order and are sorted by dialogue and turn.

    Args:
        name: corpus name, ``[a-z0-9_-]+``.
        ids: N unique utterance ids.
        dialogues: N dialogue names; dialogues keep the order in which they first appear.
        turns: N positions inside the dialogue, as numbers.
        channels: by modality name, the frames of N utterances.
        targets: what can be predicted.
        labels: by target name: N class codes (-1 = unlabelled), N floats, or (N, C) distributions (NaN = unlabelled).
        splits: N of ``train``, ``valid``, ``test`` or ``None``; all ``None`` = data without splits.
        speakers: N speaker names, see :mod:`lacuna.corpus.speakers`; default: ``unknown`` everywhere.
        texts: N transcripts.
        provenance: source of the data.
        nonfinite: what to do with NaN and inf in frames, see :func:`lacuna.corpus.repair.repair`.

    Returns:
        The corpus, in memory.

    Raises:
        DataError: lengths disagree, a value is malformed, or validation fails; the message says where.
    """
    check_name("corpus", name)
    total = len(ids)
    if not total or not channels:
        message = "there is no utterance" if not total else "there is no modality"
        raise DataError(
            message, corpus=name, expected="at least one", found=0, hint="give at least one utterance, modality and target"
        )
    if unknown := sorted(set(labels or {}) - {t.name for t in targets}):
        raise DataError(
            "there are labels for a target that is not declared",
            corpus=name,
            found=unknown[0],
            hint="declare it in `targets`, or remove its labels",
        )
    columns: dict[str, Sequence[Any] | None] = {
        "dialogues": dialogues,
        "turns": turns,
        "splits": splits,
        "speakers": speakers,
        "texts": texts,
    }
    for column, values in columns.items():
        if values is not None and len(values) != total:
            raise DataError(
                f"the {column} do not match the ids one by one",
                corpus=name,
                expected=total,
                found=len(values),
                hint="give one for each id, in the same order",
            )
    for column, names in (("id", ids), ("dialogue", dialogues), ("speaker", speakers or [""])):
        if (row := next((r for r, v in enumerate(names) if v is None or v != v), None)) is not None:  # noqa: PLR0124 - NaN
            raise DataError(
                f"row {row} has no {column}", corpus=name, expected="a name", found=names[row], hint="give every row a name"
            )
    dialogue, dialogue_names = _codes([str(d) for d in dialogues])
    speaker, speaker_names = _codes([str(s) for s in speakers] if speakers is not None else ["unknown"] * total)
    transcripts = None if texts is None else _texts(name, texts)
    turn = _integers(name, "turn", turns, ids)
    order = np.lexsort((turn, dialogue))
    utterances = Utterances(
        id=pa.array([str(i) for i in ids], pa.large_string()),
        dialogue=dialogue,
        turn=turn,
        speaker=speaker,
        split=_split_codes(name, splits, ids),
        labels={t.name: _labels(name, t, (labels or {}).get(t.name), ids) for t in targets},
        dialogue_names=dialogue_names,
        speaker_names=speaker_names,
        text=None if transcripts is None else (lambda: transcripts),
    )
    packed = {m: _pack(name, m, channel, ids) for m, channel in channels.items()}
    corpus = Corpus(
        name=name,
        modalities=tuple(
            Modality(m, packed[m].values.shape[1], channel.extractor, channel.vocabulary) for m, channel in channels.items()
        ),
        targets=tuple(targets),
        utterances=utterances,
        frames=packed,
        provenance=provenance or Provenance(),
    )
    return check(repair(corpus.take(order), nonfinite))


def _codes(names: list[str]) -> tuple[NDArray[np.int64], pa.Array]:
    encoded = pa.array(names, pa.large_string()).dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary


def _texts(corpus: str, texts: Sequence[str | None]) -> pa.Array:
    try:
        return pa.array(texts, pa.large_string())
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(
            "the transcripts are not texts",
            corpus=corpus,
            expected="text or None",
            found=str(error),
            hint="give text, or None where there is no transcript",
        ) from None


def _integers(corpus: str, column: str, values: Sequence[Any], ids: Sequence[str]) -> NDArray[np.int64]:
    result = np.empty(len(values), np.int64)
    for row, value in enumerate(values):
        try:
            number = value if isinstance(value, (int, np.integer)) else float(value)
            result[row] = int(number)
        except (TypeError, ValueError, OverflowError):
            number = np.nan
        if number != result[row]:
            raise DataError(
                f"the {column} is not a whole number",
                corpus=corpus,
                utterance=str(ids[row]),
                expected="an integer",
                found=repr(value),
                hint="number the turns of a dialogue 0, 1, 2, ...",
            )
    return result


def _split_codes(corpus: str, splits: Sequence[str | None] | None, ids: Sequence[str]) -> NDArray[np.int64]:
    if splits is None:
        return np.full(len(ids), -1, np.int64)
    for row, split in enumerate(splits):
        if split is not None and split not in SPLITS:
            raise DataError(
                "unknown split",
                corpus=corpus,
                utterance=str(ids[row]),
                expected=f"one of {', '.join(SPLITS)}",
                found=repr(split),
                hint="correct the column of splits, or leave it out and choose --split fold (ingest.split: fold)",
            )
    return np.array([-1 if s is None else SPLITS.index(s) for s in splits], np.int64).reshape(-1)


def _labels(corpus: str, target: Target, values: ArrayLike | None, ids: Sequence[str]) -> Labels:
    if values is None:
        raise DataError(f"there are no labels for target '{target.name}'", corpus=corpus, hint="give -1 or NaN where unlabelled")
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"labels of target '{target.name}' are not numbers",
            corpus=corpus,
            found=str(error),
            hint="write numbers, and leave the cell of an unlabelled utterance empty",
        ) from None
    shape = (len(ids), len(target.classes)) if target.task == "soft" else (len(ids),)
    if array.shape != shape:
        raise DataError(
            f"labels of target '{target.name}' have the wrong shape",
            corpus=corpus,
            expected=shape,
            found=array.shape,
            hint="give one label for each id, in the same order",
        )
    if target.task != "classification":
        return array.astype(np.float32)
    array = np.where(np.isnan(array), -1, array)
    if (wrong := np.flatnonzero(array != np.floor(array))).size:
        row = int(wrong[0])
        raise DataError(
            f"class codes of target '{target.name}' must be whole numbers",
            corpus=corpus,
            utterance=str(ids[row]),
            found=array[row],
            hint="give the position of the class, or -1 for an utterance without label",
        )
    return array.astype(np.int64)


def _pack(corpus: str, modality: str, channel: Channel, ids: Sequence[str]) -> Frames:
    """Return the frames of a channel end to end: (sum T_i, dim) float32, with start and count of each utterance."""
    check_name("modality", modality)
    given = channel.frames
    if (found := len(given.count if isinstance(given, Packed) else given)) != len(ids):
        raise DataError(
            "the frames do not match the ids one by one",
            corpus=corpus,
            modality=modality,
            expected=len(ids),
            found=found,
            hint="give one piece of frames for each id, in the same order; an empty piece = absent",
        )
    packed = given if isinstance(given, Packed) else _end_to_end(corpus, modality, given, ids)
    if not packed.count.any():
        raise DataError(
            "the modality is absent from every utterance", corpus=corpus, modality=modality, hint="leave the modality out"
        )
    count = packed.count
    per_frame = [
        None if values is None else _pack_per_frame(corpus, modality, what, values, count=count, ids=ids, kind=kind)
        for what, values, kind in (("token ids", channel.tokens, np.int64), ("observed flags", channel.observed, np.bool_))
    ]
    flags = per_frame[1] if packed.observed is None else packed.observed
    observed = None if flags is None or flags.all() else flags
    times = None if channel.times is None else _pack_times(corpus, modality, channel.times, count, ids)
    values = _matrix(corpus, modality, str(ids[int(count.argmax())]), packed.values)
    return Frames(values, np.cumsum(count) - count, count, observed=observed, tokens=per_frame[0], times=times)


def _end_to_end(corpus: str, modality: str, frames: Sequence[ArrayLike | None] | NDArray[Any], ids: Sequence[str]) -> Packed:
    """Join the frames of the utterances."""
    pieces: list[NDArray[np.float32]] = []
    count = np.zeros(len(ids), np.int64)
    width: int | None = None
    for row, given in enumerate(frames):
        if given is None:
            continue
        piece = _matrix(corpus, modality, str(ids[row]), given)
        if width is not None and piece.shape[1] != width:
            raise DataError(
                "frames differ in width inside a corpus",
                corpus=corpus,
                utterance=str(ids[row]),
                modality=modality,
                expected=width,
                found=piece.shape[1],
                hint="extract the features of all utterances with the same encoder",
            )
        width = piece.shape[1]
        count[row] = len(piece)
        pieces.append(piece)
    return Packed(np.concatenate(pieces) if pieces else np.zeros((0, 1), np.float32), count)


def _matrix(corpus: str, modality: str, utterance: str, frames: ArrayLike) -> NDArray[np.float32]:
    array = np.asarray(frames)
    if array.dtype.kind not in "fiub" or array.ndim not in (1, 2) or array.shape[-1] == 0:
        raise DataError(
            "frames are not a table of numbers",
            corpus=corpus,
            utterance=utterance,
            modality=modality,
            expected="numbers of shape (frames, width) or (width,)",
            found=f"{array.dtype} of shape {array.shape}",
            hint="give one row a frame, each with the same number of columns",
        )
    with np.errstate(over="ignore"):  # numbers beyond float32 become inf and are reported as such
        return np.atleast_2d(array).astype(np.float32, copy=False)


def _pack_times(
    corpus: str, modality: str, given: Sequence[ArrayLike | None], count: NDArray[np.int64], ids: Sequence[str]
) -> NDArray[np.float32]:
    """Return the time of each frame, end to end: (sum T_i,) float32, NaN where it is not known."""
    pieces = [np.zeros(0, np.float32)]
    for row, (values, n) in enumerate(zip(given, count.tolist(), strict=True)):
        piece = np.full(n, np.nan, np.float32) if values is None else np.asarray(values, np.float32).reshape(-1)
        known = piece[~np.isnan(piece)]
        if len(piece) != n or not np.isfinite(known).all() or (np.diff(known) < 0).any():
            raise DataError(
                "the times do not fit the frames",
                corpus=corpus,
                utterance=str(ids[row]),
                modality=modality,
                expected=f"{n} ascending seconds",
                found=f"{len(piece)} of {np.asarray(values).dtype}",
            )
        pieces.append(piece)
    return np.concatenate(pieces)


def _pack_per_frame(
    corpus: str,
    modality: str,
    what: str,
    given: Sequence[ArrayLike | None],
    *,
    count: NDArray[np.int64],
    ids: Sequence[str],
    kind: type[Any],
) -> NDArray[Any]:
    """Return one value a frame, end to end: (sum T_i,) of ``kind``."""
    pieces = [np.zeros(0, kind)]
    if len(given) != len(ids):
        raise DataError(
            f"the {what} do not match the ids one by one",
            corpus=corpus,
            modality=modality,
            expected=len(ids),
            found=len(given),
            hint="give one for each id, in the same order",
        )
    for row, values in enumerate(given):
        piece = np.zeros(0, kind) if values is None else np.asarray(values).reshape(-1)
        if len(piece) != count[row] or not np.array_equal(piece, piece.astype(kind)):
            raise DataError(
                f"{what} do not match the frames one by one",
                corpus=corpus,
                utterance=str(ids[row]),
                modality=modality,
                expected=f"{count[row]} of {np.dtype(kind)}",
                found=f"{len(piece)} of {piece.dtype}",
                hint="give one for each frame",
            )
        pieces.append(piece.astype(kind))
    return np.concatenate(pieces)
