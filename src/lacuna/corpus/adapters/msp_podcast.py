"""MSP-Podcast: ``Labels/labels_consensus.csv`` with the votes of ``labels_detailed.csv``, and ``Audios``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from lacuna.corpus.adapters.base import Adapter, Row, register_adapter
from lacuna.corpus.adapters.files import AUDIO, Media, find, number, read_rows, read_text, votes
from lacuna.corpus.schema import Target
from lacuna.errors import DataError

_CODES = {
    "A": "angry",
    "S": "sad",
    "H": "happy",
    "U": "surprise",
    "F": "fear",
    "D": "disgust",
    "C": "contempt",
    "N": "neutral",
}
_UNLABELLED = ("O", "X", "")  # another emotion, no agreement, withheld
_SPLITS = {"train": "train", "development": "valid", "validation": "valid", "test1": "test", "test2": None, "test3": None}
_ATTRIBUTES = {"valence": "EmoVal", "arousal": "EmoAct", "dominance": "EmoDom"}
_NAME = re.compile(r"(MSP-PODCAST_\d+)_(\d+)(?:_(\d+))?")


@register_adapter("msp-podcast")
class MspPodcast(Adapter):
    """Reads consensus labels, the primary emotion that each rater chose, attributes, transcripts and sound."""

    title = "MSP-Podcast"
    licence = "academic or commercial licence of the University of Texas at Dallas"
    where = "https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html (agreement)"
    paper = "Lotfian and Busso, Building Naturalistic Emotionally Balanced Speech Corpus, IEEE TAC 10(4), 2019"
    layout = "Labels/labels_consensus.csv, Labels/labels_detailed.csv, Audios/*.wav, Transcripts/*.txt"
    splits = "official: Train, Development (valid), Test1 (test); Test2 and Test3 belong to no split"
    verified = "the official baseline's reader of labels_consensus.csv; public readers of labels_detailed.csv"
    unverified = "the release itself, which needs an agreement"
    targets = (
        Target("emotion", "classification", tuple(_CODES.values())),
        Target("votes", "soft", (*_CODES.values(), "other")),
        *(Target(name, "regression", low=1, high=7) for name in _ATTRIBUTES),
    )
    label_files = ("Labels/labels_consensus.csv|labels_consensus.csv",)
    media = AUDIO

    def rows(self, folder: Path, notes: list[str]) -> Iterable[Row]:
        """See the base class."""
        file = find(folder, self.label_files[0])[0]
        chosen = _votes(folder)
        media = Media(folder, self.media)
        transcripts = {path.stem: path for path in folder.glob("Transcripts/*.txt")}
        unknown = 0
        for row in read_rows(file, ("FileName", "EmoClass", *_ATTRIBUTES.values(), "Split_Set")):
            name, code, split = Path(row["FileName"]).stem, row["EmoClass"], row["Split_Set"].lower().replace(" ", "")
            if (code not in _CODES and code not in _UNLABELLED) or split not in _SPLITS:
                expected = f"{', '.join(_CODES)}, O or X; {', '.join(_SPLITS)}"
                raise DataError(
                    f"{file.name}: unknown class or split", utterance=name, expected=expected, found=f"{code}; {split}"
                )
            match = _NAME.fullmatch(name)
            person = row.get("SpkrID", "")
            known = person not in ("", "Unknown")
            unknown += not known
            yield Row(
                name,
                match[1] if match else name,
                int(match[2]) * 100 + int(match[3] or 0) if match else 0,
                speaker=f"MSP-PODCAST_speaker_{person}" if known else "unknown",
                split=_SPLITS[split],
                text=(read_text(transcripts[name]).strip() or None) if name in transcripts else None,
                file=media.path(name),
                labels={
                    "emotion": _CODES.get(code),
                    "votes": votes(chosen.get(name, ()), self.targets[1].classes, "other"),
                    **{target: number(file, row[column], name) for target, column in _ATTRIBUTES.items()},
                },
            )
        notes.append("emotion: O (another emotion) and X (no agreement) are unlabelled; their votes and attributes are read")
        notes.append("turns are those of one podcast; parts that were not selected are not in the corpus")
        if unknown:
            notes.append(f"the speaker of {unknown} utterances is unknown")


def _votes(folder: Path) -> dict[str, list[str]]:
    """Return the primary emotions that raters chose, by utterance: from either form of the table of votes."""
    chosen: dict[str, list[str]] = {}
    for file in find(folder, "Labels/labels_detailed.csv|labels_detailed.csv")[:1]:
        rows = read_rows(file, ("FileName",))
        for row in rows:
            word = row.get("EmoClass_Major") or [*row.get("EmoDetail", "").split(";"), ""][1]
            chosen.setdefault(Path(row["FileName"]).stem, []).append(word.strip().lower())
    return chosen
