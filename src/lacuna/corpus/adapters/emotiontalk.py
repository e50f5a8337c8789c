"""EmotionTalk: ``mm.csv``, one table a modality, ``transcription.csv``, and the folder ``Multimodal``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from lacuna.corpus.adapters.base import Adapter, Row, register_adapter
from lacuna.corpus.adapters.files import AUDIO, VIDEO, Media, find, read_rows
from lacuna.corpus.schema import Target
from lacuna.errors import DataError

_CLASSES = ("angry", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")
_NAME = re.compile(r"(G0*(\d+)_\d+)_(\d+)_(\d+)")
_SPLITS = {1: "valid", 12: "valid", 3: "test", 15: "test"}
_TABLES = {"emotion": "mm", "emotion_audio": "audio", "emotion_vision": "video"}
_MARK = re.compile(r"\[/?\w+/?\]")


def _table(name: str) -> str:
    return "|".join(
        f"{place}{name}.csv" for place in ("", "mm-process/", "dataset/mm-process/", "EmotionTalk/dataset/mm-process/")
    )


@register_adapter("emotiontalk")
class EmotionTalk(Adapter):
    """Reads the label of the whole utterance and of each modality alone, transcripts and clips."""

    title = "EmotionTalk"
    licence = "CC BY-NC-SA 4.0"
    where = "https://huggingface.co/datasets/BAAI/Emotiontalk (clips), https://github.com/flageval-baai/EmotionTalk (tables)"
    paper = "Sun et al., EmotionTalk: An Interactive Chinese Multimodal Emotion Dataset With Rich Annotations, 2025"
    language = "Chinese"
    layout = "dataset/mm-process/{mm,audio,video,transcription}.csv; Multimodal/**/G00001_01_07_003.mp4"
    splits = "official, by group of actors: G01 and G12 valid, G03 and G15 test, the others train"
    published = "train 15,413, valid 1,908, test 1,929 utterances, 19 speakers"
    verified = "the tables and the README of the official repository"
    unverified = "the archives of clips and JSON files; the votes and captions in the JSON files are not read"
    targets = tuple(Target(name, "classification", _CLASSES) for name in (*_TABLES, "emotion_text"))
    label_files = (_table("mm"), _table("transcription"))
    media = (*VIDEO, *AUDIO)

    def rows(self, folder: Path, notes: list[str]) -> Iterable[Row]:
        """See the base class."""
        labels: dict[str, dict[str, str | None]] = {}
        for target, table in _TABLES.items():
            for file in find(folder, _table(table))[:1]:
                for row in read_rows(file, ("file_name", "emotion")):
                    labels.setdefault(Path(row["file_name"]).stem, {})[target] = row["emotion"].lower() or None
        texts: dict[str, str] = {}
        for row in read_rows(find(folder, _table("transcription"))[0], ("name", "emotion", "chinese")):
            stem = Path(row["name"]).name
            texts[stem] = _MARK.sub("", row["chinese"]).strip()
            labels.setdefault(stem, {})["emotion_text"] = row["emotion"].lower() or None
        media = Media(folder, self.media)
        for stem, given in labels.items():
            match = _NAME.fullmatch(stem)
            if match is None:
                raise DataError("the tables name no utterance of EmotionTalk", utterance=stem, expected="e.g. G00001_01_07_003")
            yield Row(
                stem,
                match[1],
                int(match[4]),
                speaker=f"actor-{match[3]}",
                split=_SPLITS.get(int(match[2]), "train"),
                text=texts.get(stem) or None,
                file=media.path(stem),
                labels=given,
            )
        notes.append("marks such as [over/] and [laughing] are left out of the transcripts")
        notes.append("emotion_text, emotion_audio, emotion_vision: judged from this modality alone")
