"""Read modalities and targets from the columns of a pickle of splits; see :mod:`lacuna.corpus.importers.mmsa`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.assemble import Channel
from lacuna.corpus.corpus import key_of
from lacuna.corpus.importers.base import slug
from lacuna.corpus.importers.labels import POLARITY, Labelled, number_targets, pairs, polarity_of, score_target, word_target
from lacuna.corpus.importers.samples import Samples
from lacuna.corpus.importers.sources import content_bounds, describe, many
from lacuna.corpus.schema import Target
from lacuna.errors import ConfigError, DataError

if TYPE_CHECKING:
    from lacuna.corpus.importers.mmsa import MmsaOptions

_BERT = 30522  # tokens of bert-base-uncased
_RAW = ("raw_text", "text_raw", "transcript", "transcripts", "sentence", "sentences")
MODALITIES = {
    "text": ("text", "language", "glove", "text_features"),
    "audio": ("audio", "acoustic", "covarep", "speech", "audio_features"),
    "vision": ("vision", "video", "visual", "facet", "vision_features"),
}
_SCORES = ("regression_labels", "labels", "label")
_LABEL_LIKE = re.compile(r".*(label|annotation|emotion|sentiment|score|valence|arousal|target).*|y", re.IGNORECASE)


def token_codes(tokens: NDArray[np.int64], width: int) -> NDArray[np.float32]:
    """Return a fixed code of random signs for each token id, equal on every machine and nearly orthogonal between ids.

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


@dataclass
class SampleReader:
    """Reads modalities and labels of the samples, and remembers which keys were used."""

    samples: Samples
    ids: list[str]
    options: MmsaOptions
    used: set[str] = field(default_factory=lambda: {"id", "ids"})
    notes: list[str] = field(default_factory=list)

    def key(self, keys: Sequence[str]) -> str | None:
        """Return the first of equivalent keys, and mark it as used."""
        found = self.samples.first_of(keys)
        self.used |= {found} if found else set()
        return found

    def texts(self) -> list[str] | None:
        """Return the transcripts, if the file has them."""
        if self.samples.first_of(("words",)):
            self.used.add("words")
            return [" ".join(map(str, words)) for words in self.samples.columns["words"]]
        key = self.key(_RAW) or (self.key(("text",)) if self._strings("text") else None)
        values = self.samples.columns[key] if key else None
        return None if values is None else [t.decode("utf-8", "replace") if isinstance(t, bytes) else str(t) for t in values]

    def channels(self) -> dict[str, Channel]:
        """Return every modality without padding."""
        more = pairs("modalities", self.options.modalities, alone=True)
        if unknown := sorted(set(more) - set(self.samples.columns)):
            raise ConfigError(
                f"option 'modalities' names {unknown[0]!r}; the file has: {', '.join(sorted(self.samples.columns))}"
            )
        keys = {m: self.key(names) for m, names in MODALITIES.items() if m != "text" or not self._strings("text")}
        keys |= {slug(modality): key for key, modality in more.items()}
        self.used |= set(more)
        frames = {m: self.samples.arrays(key, 2) for m, key in keys.items() if key}
        masks = self._masks()
        lengths = {m: self._lengths(m, str(keys[m]), frames[m]) for m in frames}
        bounds = {m: self._bounds(m, frames[m], lengths[m]) for m in frames}
        if masks is not None:
            bounds["text"] = masks
        windows = self._aligned(frames, bounds, lengths)
        in_front = {m: sum(first > 0 for first, _ in windows or places) for m, places in bounds.items()}
        counts = ", ".join(f"{m} {n}" for m, n in in_front.items())
        layout = "unaligned" if windows is None else "aligned"
        self.notes.append(f"read as {layout}; padding removed, samples with padding in front: {counts}")
        result: dict[str, Channel] = {}
        if masks is not None or "text" in frames or "words" in self.samples.columns:
            result["text"] = self._text(frames.pop("text", None), masks, bounds, windows)
        for modality, arrays in frames.items():
            stated = lengths[modality] is not None
            cut = []
            for row, array in enumerate(arrays):
                own_first, own_end = bounds[modality][row]
                first, end = (own_first, own_end) if windows is None or own_end == 0 else windows[row]
                silent = not array[own_first:own_end].any()
                cut.append(None if silent and (not stated or self.options.zeros == "absent") else array[first:end])
            result[modality] = Channel(cut, f"{modality} features of the file")
        return result

    def _strings(self, key: str) -> bool:
        return any(isinstance(value, str | bytes) for value in self.samples.columns.get(key, ())[:1])

    def _masks(self) -> list[tuple[int, int]] | None:
        """Return first and end of the tokens of each sample, from the attention mask."""
        if not self.key(("text_bert",)):
            return None
        result = []
        for row, sample in enumerate(self.samples.arrays("text_bert", 2)):
            mask = sample[1] if len(sample) == 3 else np.zeros(0)
            first = int(mask.argmax()) if mask.size else 0
            end = first + int(mask.sum())
            inside = np.isin(np.arange(mask.size), np.arange(first, end))
            if not mask.size or not np.array_equal(mask, inside) or (sample[0] % 1).any():
                raise DataError(
                    "'text_bert' is malformed",
                    corpus=self.samples.name,
                    utterance=self.ids[row],
                    modality="text",
                    expected="token ids, an attention mask with one run of ones, segments",
                    found=describe(sample),
                )
            result.append((first, end))
        return result

    def _lengths(self, modality: str, key: str, frames: list[NDArray[Any]]) -> NDArray[np.int64] | None:
        column = self.key((f"{key}_lengths", f"{modality}_lengths"))
        if column is None:
            return None
        length = np.asarray(self.samples.columns[column], np.int64).reshape(-1)
        longest = np.array([len(f) for f in frames])
        for row in np.flatnonzero((length < 0) | (length > longest))[:1]:
            raise DataError(
                "a stated length is impossible",
                corpus=self.samples.name,
                utterance=self.ids[row],
                modality=modality,
                expected=f"0 to {longest[row]}",
                found=length[row],
            )
        return length

    def _bounds(self, modality: str, frames: list[NDArray[Any]], lengths: NDArray[np.int64] | None) -> list[tuple[int, int]]:
        """Return where each sample's content lies: the content itself, widened to the stated length."""
        result, n_longer = [], 0
        for row, array in enumerate(frames):
            (first,), (end,) = content_bounds(array[None])
            length = int(end - first) if lengths is None else int(lengths[row])
            if lengths is not None:  # padding is behind, in front, or around
                first = 0 if end <= length else len(array) - length if first >= len(array) - length else first
                n_longer += int(end - first > length)
            result.append((int(first), int(first) + length))
        if n_longer:
            self.notes.append(f"{many(n_longer, 'sample')} of {modality} had frames beyond the stated length: cut there")
        return result

    def _aligned(
        self,
        frames: dict[str, list[NDArray[Any]]],
        bounds: dict[str, list[tuple[int, int]]],
        lengths: dict[str, NDArray[np.int64] | None],
    ) -> list[tuple[int, int]] | None:
        """Return one window for all modalities of a sample, or ``None`` if the file is unaligned."""
        sizes = {m: [len(array) for array in arrays] for m, arrays in frames.items()}
        if "text" in bounds and "text" not in frames:
            sizes["text"] = [sample.shape[-1] for sample in self.samples.arrays("text_bert", 2)]
        if any(length is not None for length in lengths.values()) or len({tuple(s) for s in sizes.values()}) != 1:
            return None
        windows = []
        for places in zip(*bounds.values(), strict=True):
            filled = [place for place in places if place[1]] or [(0, 0)]
            windows.append((min(p[0] for p in filled), max(p[1] for p in filled)))
        return windows

    def _text(
        self,
        features: list[NDArray[Any]] | None,
        masks: list[tuple[int, int]] | None,
        bounds: dict[str, list[tuple[int, int]]],
        windows: list[tuple[int, int]] | None,
    ) -> Channel:
        if masks is None and features is None:
            self.notes.append("the file has no text features: each word got a fixed code of signs")
            words = [np.array([key_of(str(w).lower()) >> 1 for w in row], np.int64) for row in self.samples.columns["words"]]
            return Channel([token_codes(w, self.options.token_width) for w in words], "signed hash of words")
        if masks is None:
            self.notes.append("the file keeps no token ids")
            places = [w if b[1] and windows else b for b, w in zip(bounds["text"], windows or bounds["text"], strict=True)]
            cut = [array[first:end] for array, (first, end) in zip(features or [], places, strict=True)]
            return Channel(cut, "text features of the file")
        samples = self.samples.arrays("text_bert", 2)
        tokens = [s[0, first:end].astype(np.int64) for s, (first, end) in zip(samples, masks, strict=True)]
        vocabulary = max(_BERT, 1 + max((int(t.max(initial=0)) for t in tokens), default=0))
        if features is None:
            self.notes.append("the file has no text features: each token id got a fixed code of signs")
            made = f"signed hash of BERT token ids, width {self.options.token_width}"
            return Channel([token_codes(t, self.options.token_width) for t in tokens], made, tokens, vocabulary)
        self.notes.append("token ids are kept with the text features")
        for row, (array, (_, end)) in enumerate(zip(features, masks, strict=True)):
            if len(array) < end:
                what = "fewer text frames than tokens"
                raise DataError(what, corpus=self.samples.name, utterance=self.ids[row], expected=end, found=len(array))
        cut = [array[first:end] for array, (first, end) in zip(features, masks, strict=True)]
        return Channel(cut, "text features of the file (BERT)", tokens, vocabulary)

    def targets(self) -> list[Labelled]:
        """Return every target: class and score of sentiment, columns of labels, and what ``targets`` names."""
        options, name = self.options, self.samples.name
        result: list[Labelled] = []
        key = self.key(_SCORES)
        table = self.samples.numbers(key) if key else None
        score = None
        if table is not None and key is not None:
            if table.shape[1:] == (1,) and (key == "regression_labels" or options.scale or not _codes(table[:, 0])):
                score = score_target(name, "score", table[:, 0], scale=options.scale, usual=(-3, 3), ids=self.ids)
            elif table.shape[1:] == (1,):
                count = int(table.max()) + 1
                classes = options.columns or tuple(f"class-{c}" for c in range(count))
                result.append((Target("label", "classification", classes), table[:, 0]))
                self.notes.append(
                    f"'{key}' holds whole numbers from 0: read as {many(count, 'class')[:-1] + 'es'}; `scale` reads a score"
                )
            else:
                rules = {"columns": options.columns, "scale": options.scale, "usual": (-np.inf, np.inf), "ids": self.ids}
                result += number_targets(name, "label", table, **rules)  # type: ignore[arg-type]
        elif key is not None:
            result.append(word_target(name, "label", self.samples.columns[key], (), pairs("words", options.words)))
        if score is not None or self.samples.first_of(("classification_labels", "annotations")):
            polarity = self._polarity(score)
            result = [(Target("polarity", "classification", POLARITY), polarity), *([score] if score else []), *result]
            if score is not None and (differ := int((polarity_of(score[1], *_range(score[0])) != polarity).sum())):
                self.notes.append(f"{differ} class labels differ from the sign of the score; both are kept as they are")
        for further in options.targets:
            result += self._further(further)
        if not result:
            self._no_labels()
        return result

    def _polarity(self, score: Labelled | None) -> NDArray[np.float64]:
        if key := self.key(("classification_labels",)):
            self.key(("annotations",))  # the same in words
            return np.asarray(self.samples.columns[key], np.float64).reshape(-1)
        if key := self.key(("annotations",)):
            weak = {f"weakly {c}": c for c in POLARITY}
            table = {**weak, **pairs("words", self.options.words)}
            return word_target(self.samples.name, "polarity", self.samples.columns[key], POLARITY, table)[1]
        assert score is not None
        return polarity_of(score[1], *_range(score[0]))

    def _further(self, key: str) -> list[Labelled]:
        if key not in self.samples.columns:
            raise self._unknown("targets", key)
        self.used.add(key)
        table = self.samples.numbers(key)
        if table is None:
            return [word_target(self.samples.name, slug(key), self.samples.columns[key], (), pairs("words", self.options.words))]
        if table.shape[1:] == (1,) and "classification" in key.lower():
            classes = tuple(f"class-{c}" for c in range(int(np.nanmax(table)) + 1))
            return [(Target(slug(key), "classification", classes), table[:, 0])]
        unbounded = (-np.inf, np.inf)
        return number_targets(
            self.samples.name, slug(key), table, columns=(), scale=self.options.scale, usual=unbounded, ids=self.ids
        )

    def _unknown(self, option: str, key: str) -> ConfigError:
        return ConfigError(f"option '{option}' names {key!r}; the file has: {', '.join(sorted(self.samples.columns))}")

    def _no_labels(self) -> None:
        if candidates := [key for key in self._left() if _LABEL_LIKE.fullmatch(key)]:
            raise DataError(
                "no known key holds the labels",
                corpus=self.samples.name,
                expected=f"one of {', '.join((*_SCORES, 'classification_labels', 'annotations'))}",
                found=", ".join(candidates),
                hint=f"read it with option `targets`, e.g. targets={candidates[0]}",
            )
        self.notes.append("the file has no labels")

    def _left(self) -> list[str]:
        return sorted(set(self.samples.columns) - self.used)

    def unread(self) -> list[str]:
        """Return a note for everything that was not read, with the option that reads it."""
        notes = []
        for key in self._left():
            value = self.samples.columns[key][0]
            is_feature = isinstance(value, np.ndarray) and value.ndim >= 2
            option = "modalities" if is_feature else "targets"
            notes.append(f"key '{key}' (each {describe(value)}) was not read; option `{option}` reads it: {option}={key}")
        return notes + [f"key '{key}' ({what}) was not read" for key, what in self.samples.unread.items()]


def _range(target: Target) -> tuple[float, float]:
    return (-3.0 if target.low is None else target.low), (3.0 if target.high is None else target.high)


def _codes(values: NDArray[np.float64]) -> bool:
    """Return whether numbers look like class codes: whole numbers from 0."""
    return bool((values >= 0).all() and (values % 1 == 0).all() and values.max() < 100)
