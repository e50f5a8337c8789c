"""RAER: lists of clips with one of five academic emotions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from lacuna.corpus.adapters.base import Adapter, Row, register_adapter
from lacuna.corpus.adapters.files import VIDEO, Media, find, read_text
from lacuna.corpus.schema import Target
from lacuna.errors import DataError

_CLASSES = ("neutrality", "enjoyment", "confusion", "fatigue", "distraction")


@register_adapter("raer")
class Raer(Adapter):
    """Reads the lists ``<clip> <frames> <class>`` that the benchmark's code reads."""

    title = "RAER"
    licence = "see the project page"
    where = "https://zgsfer.github.io/CAER"
    paper = "Zhao et al., Context-Aware Academic Emotion Dataset and Benchmark, ICCV 2025"
    language = "none (no transcripts)"
    layout = "annotation/{train,test}.txt with lines <clip> <frames> <class 1-5>; <clip>.mp4"
    splits = "the two lists: train, test"
    published = "about 2,700 clips"
    verified = "the format of a line, by the official code"
    unverified = "the names of the lists, the order of the classes, the votes of the raters (not read)"
    targets = (Target("emotion", "classification", _CLASSES),)
    label_files = ("annotation/train*.txt", "annotation/test*.txt")
    media = VIDEO

    def recognises(self, folder: Path, files: Sequence[str]) -> bool:
        """Return whether the lists are there and have the form."""
        return (
            super().recognises(folder, files)
            and _line(read_text(find(folder, self.label_files[0])[0]).partition("\n")[0]) is not None
        )

    def rows(self, folder: Path, notes: list[str]) -> Iterable[Row]:
        """See the base class."""
        media = Media(folder, self.media)
        for split in ("train", "test"):
            for file in find(folder, f"annotation/{split}*.txt"):
                for count, text in enumerate(read_text(file).splitlines(), 1):
                    if not text.strip():
                        continue
                    parts = _line(text)
                    if parts is None:
                        raise DataError(
                            f"{file.name}: line {count} is malformed", expected="<clip> <frames> <class 1-5>", found=text[:80]
                        )
                    clip, code = parts
                    name = PurePosixPath(clip).name
                    key = "/".join(PurePosixPath(clip).parts[-2:])
                    labels = {"emotion": _CLASSES[code - 1]}
                    yield Row(key, key, 0, split=split, file=media.find(key) or media.path(name), labels=labels)
        notes.append("who is seen is not in the lists; clips that are folders of pictures cannot be read, videos can")


def _line(text: str) -> tuple[str, int] | None:
    parts = text.rsplit(maxsplit=2)
    right = len(parts) == 3 and parts[1].isdecimal() and parts[2] in ("1", "2", "3", "4", "5")
    return (parts[0].replace("\\", "/"), int(parts[2])) if right else None
