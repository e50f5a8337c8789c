"""MMSA pickles (CMU-MOSI, CMU-MOSEI, CH-SIMS, the CLUE out-of-distribution splits), aligned or unaligned.

A dict of ``train``, ``valid``, ``test``, each a dict of arrays, samples first: ``id`` (``<video>$_$<clip>``), ``raw_text``,
``text_bert`` (N, 3, T) = [token ids, attention mask, segments], ``text`` (N, T, d) features, ``audio`` (N, T, d), ``vision``
(N, T, d), ``audio_lengths`` and ``vision_lengths`` in unaligned files, ``regression_labels`` in [-3, 3],
``classification_labels`` 0, 1, 2 or ``annotations``.

Padding is dropped: text ends with its attention mask, audio and vision at the stated length, or after their last frame
that is not zero where no length is stated. Leading frames stay, so aligned files stay aligned. Where a file has token
ids and no text features, each id gets a fixed code of random signs (see :func:`token_codes`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.assemble import Channel, assemble
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.importers.base import Importer, Options, Recognition, register
from lacuna.corpus.importers.outlines import outline
from lacuna.corpus.importers.sources import Zeros, content_bounds, provenance
from lacuna.corpus.pickles import read_pickle
from lacuna.corpus.repair import Policy
from lacuna.corpus.schema import SPLITS, Target
from lacuna.errors import DataError

_CLASSES = ("negative", "neutral", "positive")
_BERT = 30522  # tokens of bert-base-uncased


@dataclass(frozen=True)
class MmsaOptions(Options):
    """Options of ``mmsa``.

    Attributes:
        dialogue: what is one dialogue: the ``video``, or the ``utterance`` itself where splits share videos.
        token_width: columns of the token codes, used if the file has token ids and no text features.
        zeros: recordings of nothing but zeros within their stated length: ``keep`` as silence, or read as ``absent``.
        nonfinite: what to do with NaN and inf in the features.
    """

    dialogue: Literal["video", "utterance"] = "video"
    token_width: int = 64
    zeros: Zeros = "keep"
    nonfinite: Policy = "refuse"


@register("mmsa", reads="an MMSA pickle (aligned or unaligned): train/valid/test dicts with text_bert or text, audio, vision")
class Mmsa(Importer[MmsaOptions]):
    """See the module."""

    Options = MmsaOptions

    def recognise(self, path: Path) -> Recognition | None:
        """The keys of the pickle, read without running it."""
        seen = outline(path) if path.is_file() else None
        keys = set(seen.strings) if seen is not None and seen.first == "EMPTY_DICT" else set()
        splits = [s for s in SPLITS if s in keys]
        if not splits or len(keys & {"text_bert", "text", "audio", "vision", "regression_labels", "raw_text"}) < 2:
            return None
        return Recognition(f"MMSA pickle, {'unaligned' if 'audio_lengths' in keys else 'aligned or unaligned'}")

    def load(self, path: Path, *, name: str, options: MmsaOptions) -> Corpus:
        """Read all splits."""
        content = read_pickle(path)
        parts = {s: content[s] for s in SPLITS if isinstance(content, dict) and isinstance(content.get(s), dict) and content[s]}
        if not parts:
            raise DataError(
                "not an MMSA pickle", corpus=name, expected="a dict of train, valid, test", found=type(content).__name__
            )
        samples = _Samples(name, parts)
        ids = [str(i) for i in samples.column("id")]
        splits = [s for s, p in parts.items() for _ in range(len(p["id"]))]
        dialogues, turns = _places(name, ids, splits, options.dialogue)
        channels, notes = {}, []
        if samples.has("text_bert") or samples.has("text"):
            channels["text"], note = _text(samples, ids, options.token_width)
            notes.append(note)
        for modality in ("audio", "vision"):
            if samples.has(modality):
                channels[modality] = _channel(samples, modality, ids, options.zeros)
        unaligned = samples.has("audio_lengths") or samples.has("vision_lengths")
        notes.append(f"read as {'unaligned' if unaligned else 'aligned'}; padding was cut")
        targets, labels, told = _targets(samples)
        return assemble(
            name,
            ids=ids,
            dialogues=dialogues,
            turns=turns,
            channels=channels,
            targets=targets,
            labels=dict(labels),
            splits=splits,
            texts=[str(t) for t in samples.column("raw_text")] if samples.has("raw_text") else None,
            provenance=provenance(self.name, path, [path], licence="as the original corpus", notes=(*notes, *told)),
            nonfinite=options.nonfinite,
        )


class _Samples:
    """The splits of the file, end to end."""

    def __init__(self, name: str, parts: dict[str, dict[str, Any]]) -> None:
        self.name, self._parts = name, parts
        for split, part in parts.items():
            if "id" not in part:
                raise DataError(f"split '{split}' has no ids", corpus=name, expected="key 'id'", found=", ".join(map(str, part)))
            for key, values in part.items():
                if hasattr(values, "__len__") and len(values) != len(part["id"]):
                    raise DataError(
                        f"'{key}' of split '{split}' does not match the ids",
                        corpus=name,
                        expected=len(part["id"]),
                        found=len(values),
                    )

    def has(self, key: str) -> bool:
        """Every split has it; half a column is an error."""
        have = [s for s, part in self._parts.items() if part.get(key) is not None]
        if have and len(have) < len(self._parts):
            raise DataError(
                f"only some splits have '{key}'", corpus=self.name, expected=", ".join(self._parts), found=", ".join(have)
            )
        return bool(have)

    def column(self, key: str) -> list[Any]:
        """A column of lists or 1-D arrays as one list."""
        return [value for part in self._parts.values() for value in part[key]]

    def arrays(self, key: str, ndim: int) -> list[NDArray[Any]]:
        """One array a split, each of ``ndim`` axes."""
        arrays = [np.asarray(part[key]) for part in self._parts.values()]
        for split, array in zip(self._parts, arrays, strict=True):
            if array.ndim != ndim or array.dtype.kind not in "fiub":
                raise DataError(
                    f"'{key}' of split '{split}' is malformed",
                    corpus=self.name,
                    expected=f"numbers with {ndim} axes",
                    found=f"{array.dtype} of shape {array.shape}",
                )
        return arrays


def token_codes(tokens: NDArray[np.int64], width: int) -> NDArray[np.float32]:
    """A fixed code of random signs for each token id, the same on every machine: nearly orthogonal for different ids.

    Args:
        tokens: (...,) int64 ids.
        width: columns.

    Returns:
        (..., width) float32 of -1 and 1, the bits of a 64-bit mix (splitmix64) of the id and the block of columns.
    """
    blocks = np.arange(1, (width + 63) // 64 + 1, dtype=np.uint64)
    z = tokens[..., None].astype(np.uint64) * np.uint64(0x632BE59BD9B4E019) + blocks * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))  # (..., blocks)
    bits = (z[..., None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)  # (..., blocks, 64)
    codes: NDArray[np.float32] = bits.reshape(*tokens.shape, -1)[..., :width].astype(np.float32) * 2 - 1
    return codes


def _text(samples: _Samples, ids: list[str], width: int) -> tuple[Channel, str]:
    features = [f for a in samples.arrays("text", 3) for f in a] if samples.has("text") else None
    if not samples.has("text_bert"):
        frames, _ = _cut(samples, "text", features or [], ids)
        return Channel(frames, "text features of the file"), "the file keeps no token ids"
    bert = [b for a in samples.arrays("text_bert", 3) for b in a]  # (3, T) each
    length = np.zeros(len(bert), np.int64)
    for row, sample in enumerate(bert):
        length[row] = int(sample[1].sum()) if sample.shape[0] == 3 else -1
        if length[row] < 0 or not np.array_equal(sample[1], np.arange(sample.shape[1]) < length[row]) or (sample[0] % 1).any():
            raise DataError(
                "'text_bert' is malformed",
                corpus=samples.name,
                utterance=ids[row],
                modality="text",
                expected="token ids, an attention mask of ones then zeros, segments",
                found=f"shape {sample.shape}",
            )
    tokens = [b[0, :n].astype(np.int64) for b, n in zip(bert, length, strict=True)]
    biggest = max((int(t.max(initial=0)) for t in tokens), default=0)
    vocabulary = max(_BERT, biggest + 1)
    if features is None:
        frames = [token_codes(t, width) for t in tokens]
        made = f"signed hash of BERT token ids, width {width}"
        return Channel(frames, made, tokens, vocabulary), "the file has no text features: each token id got a fixed code of signs"
    for row, frame in enumerate(features):
        if len(frame) < length[row]:
            raise DataError(
                "fewer text frames than tokens", corpus=samples.name, utterance=ids[row], expected=length[row], found=len(frame)
            )
    cut = [f[:n] for f, n in zip(features, length, strict=True)]
    return Channel(cut, "text features of the file (BERT)", tokens, vocabulary), "token ids are kept beside the text features"


def _cut(
    samples: _Samples, modality: str, frames: Sequence[NDArray[Any]], ids: list[str]
) -> tuple[list[NDArray[Any]], NDArray[np.int64]]:
    """Frames without their padding, and how many are left of each sample."""
    if samples.has(f"{modality}_lengths"):
        length = np.asarray(samples.column(f"{modality}_lengths"), np.int64)
        longest = np.array([len(f) for f in frames])
        for row in np.flatnonzero((length < 0) | (length > longest))[:1]:
            raise DataError(
                "a stated length is impossible",
                corpus=samples.name,
                utterance=ids[row],
                modality=modality,
                expected=f"0 to {longest[row]}",
                found=length[row],
            )
    else:
        length = np.array([content_bounds(f[None])[1][0] for f in frames], np.int64)
    return [f[:n] for f, n in zip(frames, length, strict=True)], length


def _channel(samples: _Samples, modality: str, ids: list[str], zeros: Zeros) -> Channel:
    frames, _ = _cut(samples, modality, [f for a in samples.arrays(modality, 3) for f in a], ids)
    return Channel([None if zeros == "absent" and not f.any() else f for f in frames], f"{modality} features of the file")


def _places(name: str, ids: list[str], splits: list[str], dialogue: str) -> tuple[list[str], list[int]]:
    """Dialogue and turn of every sample."""
    if dialogue == "utterance":
        return ids, [0] * len(ids)
    places: list[tuple[str, int]] = []
    where: dict[str, str] = {}
    hint = "import with dialogue='utterance': every utterance is its own dialogue"
    for identity, split in zip(ids, splits, strict=True):
        match = re.fullmatch(r"(.+?)(?:\$_\$|/|_)(\d+)", identity)
        if match is None:
            raise DataError("an id names no clip", corpus=name, utterance=identity, expected="<video>$_$<clip number>", hint=hint)
        video = match[1]
        if where.setdefault(video, split) != split:
            raise DataError(
                f"video '{video}' is shared between splits",
                corpus=name,
                utterance=identity,
                expected=f"all of it in {where[video]}",
                found=split,
                hint=f"out-of-distribution splits share videos on purpose: {hint}",
            )
        places.append((video, int(match[2])))
    return [p[0] for p in places], [p[1] for p in places]


def _targets(samples: _Samples) -> tuple[list[Target], dict[str, Any], list[str]]:
    score = None
    targets: list[Target] = []
    labels: dict[str, Any] = {}
    if samples.has("regression_labels"):
        score = np.concatenate([a.reshape(-1) for a in map(np.asarray, samples.arrays("regression_labels", 1))]).astype(
            np.float64
        )
    if samples.has("classification_labels"):
        polarity = np.asarray(samples.column("classification_labels"), np.float64)
    elif samples.has("annotations"):
        known = {c: code for code, c in enumerate(_CLASSES)}
        polarity = np.array([known.get(str(a).lower(), 3) for a in samples.column("annotations")], np.float64)
    elif score is not None:
        polarity = np.where(np.isnan(score), -1, np.sign(score) + 1)
    else:
        return [], {}, ["the file has no labels"]
    targets.append(Target("polarity", "classification", _CLASSES))
    labels["polarity"] = polarity
    notes: list[str] = []
    if score is not None:
        targets.append(Target("score", "regression", low=-3, high=3))
        labels["score"] = score
        if differ := int((np.sign(score) + 1 != polarity).sum()):
            notes.append(f"{differ} class labels differ from the sign of the score; both are kept as they are")
    return targets, labels, notes
