"""The contract of adapters and their registry.

An adapter is one class in a module of this folder::

    @register_adapter("mine")
    class Mine(Adapter):
        title = "My Corpus"
        ...
        label_files = ("labels.csv",)
        targets = (Target("emotion", "classification", ("joy", "anger")),)

        def rows(self, folder: Path, notes: list[str]) -> Iterable[Row]: ...
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.adapters.files import label_files, matching, unwrapped
from lacuna.corpus.importers.sources import many
from lacuna.corpus.schema import SPLITS, Target
from lacuna.errors import DataError
from lacuna.registry import Registry

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 5  # ids that a note names


@dataclass(frozen=True)
class Row:
    """One utterance as the label files describe it.

    Attributes:
        id: of the utterance, unique in the corpus.
        dialogue: the conversation, video or recording that it belongs to.
        turn: position in the dialogue.
        speaker: a person, or ``<dialogue>::<code>`` if the label files name speakers inside a dialogue only.
        split: ``train``, ``valid``, ``test`` or ``None``.
        text: the transcript, if there is one.
        file: where the recording is or should be; ``None`` if the corpus has no recording of it.
        start: in seconds of the recording.
        end: in seconds; ``None`` = the end of the recording.
        labels: by target name: a class name, a number, or votes as numbers by class name. A target without an entry, ``None``
            and empty votes are unlabelled.
        signals: by modality, (T, d) or (d,) numbers, for corpora of signals.
    """

    id: str
    dialogue: str
    turn: int
    speaker: str = "unknown"
    split: str | None = None
    text: str | None = None
    file: Path | None = None
    start: float = 0.0
    end: float | None = None
    labels: Mapping[str, str | float | Mapping[str, float] | None] = field(default_factory=dict)
    signals: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Annotations:
    """The utterances of a corpus.

    Attributes:
        adapter: what read them.
        folder: of the corpus.
        rows: N utterances, sorted by dialogue and turn.
        targets: what can be predicted.
        files: the label files.
        notes: what was decided or is missing, one sentence each.
    """

    adapter: Adapter
    folder: Path
    rows: Sequence[Row]
    targets: tuple[Target, ...]
    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """The ids of utterances whose recording should exist and does not."""
        return tuple(row.id for row in self.rows if row.file is not None and not row.file.is_file())

    @property
    def n_recordings(self) -> int:
        """The number of utterances whose recording exists."""
        return sum(row.file is not None for row in self.rows) - len(self.missing)

    def labels(self) -> dict[str, NDArray[np.float64]]:
        """Return labels by target name, as :func:`lacuna.corpus.assemble.assemble` takes them.

        Raises:
            DataError: a label names no class of its target.
        """
        return {target.name: self._labels_of(target) for target in self.targets}

    def counts(self) -> dict[str, int]:
        """Return the number of utterances by split; ``none`` counts those without one."""
        splits = [row.split or "none" for row in self.rows]
        return {name: splits.count(name) for name in (*SPLITS, "none") if name in splits}

    def table(self, folder: Path | None = None) -> pd.DataFrame:
        """Return the utterances as a table of recordings, which ``lacuna features`` reads.

        Shares of votes are in one column a class, called ``<target>:<class>``.

        Args:
            folder: paths of recordings are relative to it; default: the folder of the corpus.
        """
        import pandas as pd  # here: slow to import

        root = (folder or self.folder).resolve()
        gone = set(self.missing)
        columns: dict[str, list[Any]] = {
            "id": [row.id for row in self.rows],
            "file": [
                None if row.file is None or row.id in gone else Path(os.path.relpath(row.file.resolve(), root)).as_posix()
                for row in self.rows
            ],
            "start": [row.start if row.end is not None else None for row in self.rows],
            "end": [row.end for row in self.rows],
            "text": [row.text for row in self.rows],
            "dialogue": [row.dialogue for row in self.rows],
            "turn": [row.turn for row in self.rows],
            "speaker": [row.speaker for row in self.rows],
            "split": [row.split for row in self.rows],
        }
        for target in self.targets:
            values = self._labels_of(target)
            if target.task == "soft":
                columns |= {f"{target.name}:{c}": values[:, code].tolist() for code, c in enumerate(target.classes)}
            elif target.task == "regression":
                columns[target.name] = values.tolist()
            else:
                columns[target.name] = [target.classes[int(code)] if code >= 0 else None for code in values]
        return pd.DataFrame(columns)

    def _labels_of(self, target: Target) -> NDArray[np.float64]:
        given = [row.labels.get(target.name) for row in self.rows]
        if target.task == "regression":
            return np.array([np.nan if value is None else float(value) for value in given], np.float64)  # type: ignore[arg-type]
        code = {name: position for position, name in enumerate(target.classes)}
        for row, value in zip(self.rows, given, strict=True):
            words = value if isinstance(value, Mapping) else () if value is None else (value,)
            if unknown := [word for word in words if word not in code]:
                raise DataError(
                    f"a label of target '{target.name}' is no class of {self.adapter.title}",
                    corpus=self.folder.name,
                    utterance=row.id,
                    expected=", ".join(target.classes),
                    found=repr(unknown[0]),
                    hint="compare the label files with the official ones",
                )
        if target.task == "classification":
            return np.array([-1 if value is None else code[value] for value in given], np.float64)  # type: ignore[index]
        shares = np.zeros((len(given), len(code)))
        for position, votes in enumerate(given):
            for word, count in (votes or {}).items():  # type: ignore[union-attr]
                shares[position, code[word]] += count
        total = shares.sum(axis=1, keepdims=True)
        return np.where(total > 0, shares / np.where(total > 0, total, 1), np.nan)


class Adapter(ABC):
    """Parses the official files of one corpus; holds no state.

    Attributes:
        name: in the registry.
        title: of the corpus.
        licence: terms of the corpus, in one line.
        where: where to ask for it or download it.
        paper: how to cite it, in one line.
        language: of the transcripts and voices.
        layout: the files that are read, in one line.
        splits: where the splits come from, in one line.
        published: the size that the authors state; empty = not known.
        verified: the source with which the layout was compared; empty = none.
        unverified: what could not be compared; empty = nothing.
        targets: what can be predicted.
        label_files: patterns of the label files, relative to the folder, with alternatives after ``|``; each must match a file.
        media: suffixes of the recordings, the preferred one first; empty = the corpus has none.
        signals: whether the corpus holds signals (and not recordings), so that an importer reads it directly.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    licence: ClassVar[str]
    where: ClassVar[str]
    paper: ClassVar[str]
    language: ClassVar[str] = "English"
    layout: ClassVar[str]
    splits: ClassVar[str]
    published: ClassVar[str] = ""
    verified: ClassVar[str] = ""
    unverified: ClassVar[str] = ""
    targets: ClassVar[tuple[Target, ...]]
    label_files: ClassVar[tuple[str, ...]]
    media: ClassVar[tuple[str, ...]] = ()
    signals: ClassVar[bool] = False

    def recognises(self, folder: Path, files: Sequence[str]) -> bool:
        """Return whether a folder holds the corpus.

        Args:
            folder: any folder.
            files: paths of files that may be label files, relative to the folder.
        """
        return all(matching(files, pattern) for pattern in self.label_files)

    @abstractmethod
    def rows(self, folder: Path, notes: list[str]) -> Iterable[Row]:
        """Return the utterances, in any order.

        Args:
            folder: of the corpus.
            notes: sentences about what was decided are added to it.

        Raises:
            DataError: a label file is malformed.
        """

    def targets_of(self, rows: Sequence[Row]) -> tuple[Target, ...]:
        """Return the targets of these utterances; by default those of the class."""
        return self.targets


_REGISTRY: Registry[Adapter] = Registry("adapter", "lacuna.corpus.adapters")
register_adapter = _REGISTRY.register
adapter_class = _REGISTRY.get


def list_adapters() -> dict[str, str]:
    """Return the title of every adapter's corpus by name, sorted by name."""
    return {name: adapter_class(name).title for name in _REGISTRY.names()}


def adapter_of(folder: Path) -> Adapter | None:
    """Return the adapter of the corpus that a folder holds; ``None`` if it is none of the known corpora.

    Only names of files and a few first lines are read.
    """
    if not folder.is_dir():
        return None
    adapters = [adapter_class(name)() for name in _REGISTRY.names()]
    return next((adapter for place in unwrapped(folder) if (adapter := _recognising(adapters, place))), None)


def _recognising(adapters: Iterable[Adapter], folder: Path) -> Adapter | None:
    """Return the first adapter that recognises a folder."""
    if not (files := label_files(folder)):
        return None
    for adapter in adapters:
        try:
            if adapter.recognises(folder, files):
                return adapter
        except (OSError, ValueError, IndexError, DataError):  # inspecting a foreign folder must never fail
            continue
    return None


def read_folder(folder: Path, adapter: Adapter | str | None = None) -> Annotations:
    """Return the utterances of a public corpus.

    Args:
        folder: of the corpus, as downloaded and unpacked.
        adapter: or its name; ``None`` = recognise the corpus.

    Raises:
        DataError: it is none of the known corpora, or a label file is malformed.
    """
    if isinstance(adapter, str):
        adapter = adapter_class(adapter)()
    adapter = adapter or adapter_of(folder)
    if adapter is None or not folder.is_dir():
        raise DataError(
            f"{folder.name} is none of the known corpora",
            expected=", ".join(list_adapters()),
            hint="give the folder that holds the label files, or write a table recordings.csv",
        )
    folder = next((place for place in unwrapped(folder) if _recognising([adapter], place)), folder)
    known = label_files(folder)
    if lacking := [pattern for pattern in adapter.label_files if not matching(known, pattern)]:
        raise DataError(f"a label file of {adapter.title} is missing", corpus=folder.name, expected=lacking[0].split("|")[0])
    notes: list[str] = []
    rows = sorted(adapter.rows(folder, notes), key=lambda row: (row.dialogue, row.turn, row.id))
    if not rows:
        raise DataError("the label files name no utterance", corpus=folder.name, expected=adapter.layout)
    files = tuple(folder / name for pattern in adapter.label_files for name in matching(known, pattern))
    annotations = Annotations(adapter, folder, rows, adapter.targets_of(rows), files)
    if len({row.id for row in rows}) < len(rows):
        ids = [row.id for row in rows]
        twin = next(one for one, following in zip(sorted(ids), sorted(ids)[1:], strict=False) if one == following)
        raise DataError("an utterance occurs twice in the label files", corpus=folder.name, utterance=twin)
    if gone := annotations.missing:
        more = f" and {len(gone) - _SHOWN} more" if len(gone) > _SHOWN else ""
        notes.append(f"{many(len(gone), 'recording')} of {len(rows)} not found: {', '.join(gone[:_SHOWN])}{more}")
    return Annotations(adapter, folder, rows, annotations.targets, files, tuple(notes))
