"""M3ED: ``annotation.json`` and the lists of series in ``splitInfo``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lacuna.corpus.adapters.base import Adapter, Row, register_adapter
from lacuna.corpus.adapters.files import AUDIO, VIDEO, Media, find, read_json, read_text, votes
from lacuna.corpus.importers.sources import natural_key
from lacuna.corpus.schema import Target
from lacuna.corpus.speakers import LOCAL
from lacuna.errors import DataError

_CLASSES = ("happy", "neutral", "sad", "disgust", "anger", "fear", "surprise")
_SPLITS = {"train": "train", "val": "valid", "test": "test"}


@register_adapter("m3ed")
class M3ed(Adapter):
    """Reads the main emotion, what each of three raters chose, and transcripts; the recordings are not published."""

    title = "M3ED"
    licence = "see the repository; the clips are from Chinese television series"
    where = "https://github.com/AIM3-RUC/RUCM3ED"
    paper = "Zhao et al., M3ED: Multi-modal Multi-scene Multi-label Emotional Dialogue Database, ACL 2022"
    language = "Chinese"
    layout = "annotation.json; splitInfo/movie_list_{train,val,test}.txt; clips <speaker>_<utterance>.wav where a user has them"
    splits = "official, by series: train, val (valid), test"
    published = "24,449 utterances of 990 dialogues, 56 series"
    verified = "public readers of annotation.json and of splitInfo in the official repository"
    unverified = "the names of clips"
    targets = (Target("emotion", "classification", _CLASSES), Target("votes", "soft", _CLASSES))
    label_files = ("annotation.json", "splitInfo/movie_list_*.txt")
    media = (*VIDEO, *AUDIO)

    def rows(self, folder: Path, notes: list[str]) -> Iterable[Row]:
        """See the base class."""
        split = {
            series: standard
            for name, standard in _SPLITS.items()
            for file in find(folder, f"splitInfo/movie_list_{name}.txt")
            for series in read_text(file).split()
        }
        file = find(folder, "annotation.json")[0]
        media = Media(folder, self.media)
        try:
            for series, dialogues in read_json(file).items():
                for dialogue, content in dialogues.items():
                    said = sorted(content["Dialog"].items(), key=lambda one: natural_key(one[0]))
                    for turn, (name, entry) in enumerate(said):
                        speaker, labels = _speaker(series, dialogue, entry, content), _labels(entry["EmoAnnotation"])
                        clip = media.find(f"{entry.get('Speaker')}_{name}") or media.path(name)
                        text = entry.get("Text") or None
                        yield Row(name, dialogue, turn, speaker, split.get(series), text=text, file=clip, labels=labels)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{file.name} is malformed", expected="series, dialogues, Dialog, EmoAnnotation", found=str(error)
            ) from None
        notes.append("a speaker is <series>/<name of the role>; without a name, a code inside the dialogue")
        notes.append("emotion: the main one; an utterance may have several (votes)")


def _speaker(series: str, dialogue: str, said: dict[str, Any], content: dict[str, Any]) -> str:
    code = said.get("Speaker") or "?"
    role = (content.get("SpeakerInfo", {}).get(code) or {}).get("Name")
    return f"{series}/{role}" if role else f"{dialogue}{LOCAL}{code}"


def _labels(marks: dict[str, Any]) -> dict[str, Any]:
    chosen = [str(marks.get(f"EmoAnnotator{rater}") or "") for rater in (1, 2, 3)]
    words = [word.strip().lower() for one in chosen for word in one.split(",")]
    return {"emotion": (marks.get("final_main_emo") or "").lower() or None, "votes": votes(words, _CLASSES)}
