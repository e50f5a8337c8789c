"""EmoNet-Voice Bench: parquet files with the votes of experts; the sound exported beside them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lacuna.corpus.adapters.base import Adapter, Row, register_adapter
from lacuna.corpus.adapters.files import AUDIO, Media, find, votes
from lacuna.corpus.schema import Target
from lacuna.errors import DataError

_LEVELS = ("absent", "weak", "strong")


@register_adapter("emonet-voice")
class EmoNetVoice(Adapter):
    """Reads, for each clip, the emotion that experts were asked about and how strong each of them found it."""

    title = "EmoNet-Voice Bench"
    licence = "see the dataset card"
    where = "https://huggingface.co/datasets/laion/emonet-voice-bench"
    paper = "Schuhmann et al., EmoNet-Voice: A Fine-Grained, Expert-Verified Benchmark for Speech Emotion Detection, 2025"
    language = "English, German, Spanish, French (synthetic voices)"
    layout = "*.parquet with the columns audioId, label; sound exported as <row>.mp3 (000000.mp3, 000001.mp3, ...)"
    splits = "none: a benchmark"
    published = "12,600 clips"
    verified = "a public reader of the parquet files"
    unverified = "the files themselves; the names of exported clips are our own"
    targets = (Target("votes", "soft", _LEVELS), Target("intensity", "regression", low=0, high=2))
    label_files = ("*.parquet|data/*.parquet|raw/*.parquet",)
    media = AUDIO

    def recognises(self, folder: Path, files: Sequence[str]) -> bool:
        """Return whether a parquet file has the columns."""
        return super().recognises(folder, files) and {"audioId", "label"} <= set(_schema(find(folder, self.label_files[0])[0]))

    def rows(self, folder: Path, notes: list[str]) -> Iterable[Row]:
        """See the base class."""
        media, position = Media(folder, self.media), 0
        for file in find(folder, self.label_files[0]):
            for text in _labels(file):
                emotion, given = _votes(file, text, position)
                yield Row(
                    f"{position:06d}",
                    f"{position:06d}",
                    0,
                    file=media.find(f"{position:06d}")
                    or media.find(f"{position:06d}_{_slug(emotion)}")
                    or media.path(f"{position:06d}"),
                    labels={
                        "emotion": emotion,
                        "votes": votes((_LEVELS[level] for level in given), _LEVELS),
                        "intensity": sum(given) / len(given),
                    },
                )
                position += 1
        notes.append(
            "emotion: what experts were asked about, and not what they heard; intensity and votes: how much of it they heard"
        )
        if not media:
            notes.append("the sound is inside the parquet files; export it as 000000.mp3, 000001.mp3, ... to use it")

    def targets_of(self, rows: Sequence[Row]) -> tuple[Target, ...]:
        """Return the targets; the emotions are those that occur, 40 in the published set."""
        words = sorted({str(row.labels["emotion"]) for row in rows})
        return *self.targets, Target("emotion", "classification", tuple(words))


def _schema(file: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(file).names)
    except pa.ArrowException:
        return []


def _labels(file: Path) -> list[str]:
    import pyarrow.parquet as pq

    return [str(text) for text in pq.read_table(file, columns=["label"])["label"].to_pylist()]


def _votes(file: Path, text: str, position: int) -> tuple[str, list[int]]:
    """Return the emotion and the levels of a label such as ``[{'rater': {'Anger': 2}}]``."""
    try:
        entries: list[Any] = [value for entry in ast.literal_eval(text) for value in entry.values()]
        emotions = {str(word).strip().lower() for entry in entries for word in entry}
        levels = [int(level) for entry in entries for level in entry.values()]
    except (ValueError, SyntaxError, AttributeError, TypeError):
        emotions, levels = set(), []
    if len(emotions) != 1 or not set(levels) <= {0, 1, 2}:
        expected = "one emotion with levels 0, 1 or 2, e.g. [{'rater': {'Anger': 2}}]"
        raise DataError(f"{file.name}: a label is malformed", utterance=f"{position:06d}", expected=expected, found=text[:80])
    return emotions.pop(), levels


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower().replace("&", "and")).strip("-")
