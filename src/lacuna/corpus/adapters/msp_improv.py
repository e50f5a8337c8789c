"""MSP-IMPROV: ``Evalution.txt`` (so spelled in the release), ``Audio`` and ``Video``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from lacuna.corpus.adapters.base import Adapter, Row, register_adapter
from lacuna.corpus.adapters.files import AUDIO, VIDEO, Media, find, read_text, votes
from lacuna.corpus.schema import Target

_CODES = {"N": "neutral", "H": "happy", "S": "sad", "A": "angry"}
_CLASSES = (*_CODES.values(), "other")
_ATTRIBUTES = {"V": "valence", "A": "arousal", "D": "dominance"}
_NAME = re.compile(r"(?:UTD|MSP)-IMPROV-((S\d+[A-Z])-[FM]\d+-([A-Z]))-([FM])[FM](\d+)")
_SESSION = re.compile(r"-[FM](\d+)-")
_NUMBER = re.compile(r"\b([A-Z]):\s*([\d.]+)")
_SPLIT = {5: "valid", 6: "test"}


@register_adapter("msp-improv")
class MspImprov(Adapter):
    """Reads consensus labels, what each rater chose, attributes and clips."""

    title = "MSP-IMPROV"
    licence = "academic licence of the University of Texas at Dallas"
    where = "https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Improv.html (agreement)"
    paper = "Busso et al., MSP-IMPROV: An Acted Corpus of Dyadic Interactions to Study Emotion Perception, IEEE TAC 8(1), 2017"
    layout = "Evalution.txt; Audio/session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav, Video/ with .avi of the same names"
    splits = "none official; here sessions 1-4 train, 5 valid, 6 test: unseen speakers"
    published = "8,438 turns, 12 speakers"
    verified = "public readers of Evalution.txt and of the folder Audio"
    unverified = "the release itself; the first letter of FM01 is taken as the sex of who speaks"
    targets = (
        Target("emotion", "classification", tuple(_CODES.values())),
        Target("votes", "soft", _CLASSES),
        *(Target(name, "regression", low=1, high=5) for name in _ATTRIBUTES.values()),
    )
    label_files = ("Eval*tion.txt",)
    media = (*VIDEO, *AUDIO)

    def recognises(self, folder: Path, files: Sequence[str]) -> bool:
        """Return whether the label file names clips of MSP-IMPROV."""
        return super().recognises(folder, files) and "-IMPROV-" in read_text(find(folder, self.label_files[0])[0])[:2000]

    def rows(self, folder: Path, notes: list[str]) -> Iterable[Row]:
        """See the base class."""
        media = Media(folder, self.media)
        strange = 0
        for block in re.split(r"\n(?=\S*-IMPROV-)", read_text(find(folder, self.label_files[0])[0]).strip()):
            head, *ratings = block.splitlines()
            clip, code, *_ = [*(part.strip() for part in head.split(";")), ""]
            match = _NAME.fullmatch(Path(clip).stem)
            if match is None:
                strange += 1
                continue
            session = int(_SESSION.findall(clip)[0])
            name = Path(clip).stem.replace("UTD-", "MSP-")
            words = [parts[1].split(",")[0].strip().lower() for line in ratings if len(parts := line.split(";")) > 1]
            attributes = dict(_NUMBER.findall(head.partition(";")[2].partition(";")[2]))
            yield Row(
                name,
                f"MSP-IMPROV-{match[1]}",
                int(match[5]),
                speaker=f"{match[4]}{session:02d}",
                split=_SPLIT.get(session, "train"),
                file=media.path(name),
                labels={
                    "emotion": _CODES.get(code.upper()),
                    "votes": votes(words, _CLASSES, "other"),
                    **{target: float(attributes[letter]) for letter, target in _ATTRIBUTES.items() if letter in attributes},
                },
            )
        notes.append("a speaker is <sex><session>, because a session has one woman and one man; O and X are unlabelled")
        if strange:
            notes.append(f"{strange} entries have no name of a clip and were left out")
