"""IEMOCAP: the official folder with ``Session1`` to ``Session5``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from lacuna.corpus.adapters.base import Adapter, Row, register_adapter
from lacuna.corpus.adapters.files import AUDIO, Media, find, read_text, votes
from lacuna.corpus.schema import Target

_EMOTIONS = {"hap": "happy", "sad": "sad", "neu": "neutral", "ang": "angry", "exc": "excited", "fru": "frustrated"}
_VOTES = {
    "happiness": "happy",
    "sadness": "sad",
    "neutral": "neutral",
    "neutral state": "neutral",
    "anger": "angry",
    "excited": "excited",
    "frustration": "frustrated",
    "surprise": "surprised",
    "fear": "fearful",
    "disgust": "disgusted",
    "other": "other",
}
_CLASSES = tuple(dict.fromkeys(_VOTES.values()))
_HEAD = re.compile(r"\[\s*([\d.]+)\s*-\s*([\d.]+)\s*\]\s+(Ses0(\d)[FM]_\w+)_([FM])(\d+)\s+(\w+)\s+\[([^\]]*)\]")
_VOTE = re.compile(r"C-E\d*:\s*([^(]*)")
_SAID = re.compile(r"(Ses0\d[FM]_\w+_[FM]\w*\d+)\s*\[[^\]]*\]:?\s*(.*)")
_SPLIT = {"4": "valid", "5": "test"}


@register_adapter("iemocap")
class Iemocap(Adapter):
    """Reads consensus labels, votes of the external raters, attributes, transcripts and the sound of each turn."""

    title = "IEMOCAP"
    licence = "release agreement of the University of Southern California; research only"
    where = "https://sail.usc.edu/iemocap/iemocap_release.htm (request form)"
    paper = "Busso et al., IEMOCAP: interactive emotional dyadic motion capture database, LREC 2008"
    layout = "Session1..5/dialog/EmoEvaluation/*.txt, dialog/transcriptions/*.txt, sentences/wav/*/*.wav (or dialog/wav/*.wav)"
    splits = "none official; here sessions 1-3 train, 4 valid, 5 test: unseen speakers"
    published = "10,039 turns, 10 speakers"
    verified = "published descriptions of the release"
    unverified = "the official folder itself, which needs an agreement"
    targets = (
        Target("emotion", "classification", tuple(_EMOTIONS.values())),
        Target("votes", "soft", _CLASSES),
        Target("valence", "regression", low=1, high=5),
        Target("arousal", "regression", low=1, high=5),
        Target("dominance", "regression", low=1, high=5),
    )
    label_files = ("Session?/dialog/EmoEvaluation/*.txt",)
    media = AUDIO

    def rows(self, folder: Path, notes: list[str]) -> Iterable[Row]:
        """See the base class."""
        media = Media(folder, self.media)
        texts = dict(
            pair for file in find(folder, "Session?/dialog/transcriptions/*.txt") for pair in _SAID.findall(read_text(file))
        )
        rare = 0
        for file in find(folder, self.label_files[0]):
            turns = []
            for block in re.split(r"\n(?=\[)", read_text(file)):
                if head := _HEAD.match(block):
                    turns.append((float(head[1]), head, block))
            for turn, (start, head, block) in enumerate(sorted(turns, key=lambda one: (one[0], one[1][5]))):
                name = f"{head[3]}_{head[5]}{head[6]}"
                sentence, dialogue = media.find(name), media.find(head[3], within="/dialog/wav/")
                chosen = [word.strip().lower() for line in _VOTE.findall(block) for word in line.split(";")]
                valence, arousal, dominance = (float(value) for value in head[8].split(","))
                rare += head[7] not in _EMOTIONS
                yield Row(
                    name,
                    head[3],
                    turn,
                    speaker=f"Ses0{head[4]}_{head[5]}",
                    split=_SPLIT.get(head[4], "train"),
                    text=texts.get(name),
                    file=sentence or dialogue or media.path(name),
                    start=start if sentence is None and dialogue else 0.0,
                    end=float(head[2]) if sentence is None and dialogue else None,
                    labels={
                        "emotion": _EMOTIONS.get(head[7]),
                        "votes": votes((_VOTES.get(word, word) for word in chosen), _CLASSES),
                        "valence": valence,
                        "arousal": arousal,
                        "dominance": dominance,
                    },
                )
        notes.append("turns are in the order of their start times; a session has one woman and one man: <session>_<sex>")
        notes.append(f"no emotion label: {rare} utterances without agreement, or of a class other than the usual six")
        notes.append("the videos show both speakers in one picture and are not read")
