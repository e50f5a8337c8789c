"""CREMA-D: ``processedResults/tabulatedVotes.csv`` and the folders of clips of the official repository."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from lacuna.corpus.adapters.base import Adapter, Row, register_adapter
from lacuna.corpus.adapters.files import AUDIO, VIDEO, Media, find, number, read_rows
from lacuna.corpus.adapters.splits import split_of_person
from lacuna.corpus.schema import Target
from lacuna.errors import DataError

_VOTES = {"A": "anger", "D": "disgust", "F": "fear", "H": "happiness", "N": "neutral", "S": "sadness"}
_INTENDED = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happiness", "NEU": "neutral", "SAD": "sadness"}
_SENTENCES = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
_NAME = re.compile(r"(\d{4})_([A-Z]{3})_([A-Z]{3})_[A-Z]{2}")
_SHOWN = {"1": "votes_voice", "2": "votes_face", "3": "votes"}


@register_adapter("crema-d")
class CremaD(Adapter):
    """Reads the intended emotion and what people voted for: from the voice, from the face, and from both."""

    title = "CREMA-D"
    licence = "Open Database License (ODbL) 1.0"
    where = "https://github.com/CheyneyComputerScience/CREMA-D (git lfs pull brings the clips)"
    paper = "Cao et al., CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset, IEEE TAC 5(4), 2014"
    layout = "processedResults/tabulatedVotes.csv; VideoFlash/*.flv, AudioWAV/*.wav or AudioMP3/*.mp3"
    splits = "none official; here by actor: 60 % train, 20 % valid, 20 % test"
    published = "7,442 clips, 91 actors"
    verified = "the official repository: its README and tabulatedVotes.csv"
    targets = (
        Target("emotion", "classification", tuple(_INTENDED.values())),
        Target("votes", "soft", tuple(_VOTES.values())),
        Target("votes_voice", "soft", tuple(_VOTES.values())),
        Target("votes_face", "soft", tuple(_VOTES.values())),
    )
    label_files = ("processedResults/tabulatedVotes.csv|tabulatedVotes.csv",)
    media = (*VIDEO, *AUDIO)

    def rows(self, folder: Path, notes: list[str]) -> Iterable[Row]:
        """See the base class."""
        file = find(folder, self.label_files[0])[0]
        counted: dict[str, dict[str, dict[str, float]]] = {}
        for row in read_rows(file, ("", *_VOTES, "fileName")):
            clip = counted.setdefault(row["fileName"], {})
            clip[_SHOWN.get(row[""][:1], "")] = {
                name: number(file, row[code], row["fileName"]) or 0 for code, name in _VOTES.items()
            }
        media = Media(folder, self.media)
        split = split_of_person(name[:4] for name in counted)
        for name, clip in counted.items():
            match = _NAME.fullmatch(name)
            if match is None or match[3] not in _INTENDED or "" in clip:
                expected = "clips such as 1001_DFA_ANG_XX in rows 1xxxxx (voice), 2xxxxx (face), 3xxxxx (both)"
                raise DataError(f"{file.name}: a row is malformed", utterance=name, expected=expected)
            labels: dict[str, str | dict[str, float]] = {"emotion": _INTENDED[match[3]], **clip}
            yield Row(
                name,
                name,
                0,
                speaker=match[1],
                split=split[match[1]],
                text=_SENTENCES.get(match[2]),
                file=media.path(name),
                labels=labels,
            )
        notes.append("emotion: what the actor was asked to show; votes: what raters saw and heard, saw, or heard")
        notes.append("each of twelve sentences was said in every emotion: the transcript says nothing about it")
