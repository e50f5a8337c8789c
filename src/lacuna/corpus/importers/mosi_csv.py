"""CMU-MOSI as CSV files of contextual-LSTM projects: one row an utterance, dialogues are videos.

``transcripts.csv`` (utterance id ``<video>_<turn>``, text, a number, label 0/1), ``{text,audio,video}_{train,test}0.csv``
(features, last column = label) and ``text_{train,test}.csv`` (column 0 = the row's index into the transcripts). No file has
a header. Rows are in string order of the ids; turns are sorted as numbers. A GCNet pickle in the same folder gives the
continuous score. There is no validation split: make one with :func:`lacuna.corpus.splits.carve_valid`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.assemble import Channel, assemble
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.importers.base import Importer, Options, Recognition, register
from lacuna.corpus.importers.outlines import PICKLES, peek_pickle
from lacuna.corpus.importers.sources import first_line, folder_files, provenance, read_numbers
from lacuna.corpus.repair import Policy
from lacuna.corpus.schema import Target
from lacuna.errors import DataError

_EXTRACTORS = {
    "text": "text CNN fitted on the training videos (contextual-LSTM)",
    "audio": "openSMILE IS13 selection (contextual-LSTM)",
    "vision": "3D CNN (contextual-LSTM)",
}
_FILES = {"text": "text", "audio": "audio", "vision": "video"}
_SPLITS = ("train", "test")
_NEEDED = ("transcripts.csv", *(f"{f}_{s}0.csv" for f in _FILES.values() for s in _SPLITS), *(f"text_{s}.csv" for s in _SPLITS))


@dataclass(frozen=True)
class MosiOptions(Options):
    """Options of ``mosi-csv``.

    Attributes:
        nonfinite: what to do with NaN and inf in the features.
    """

    nonfinite: Policy = "refuse"


@register("mosi-csv", reads="CMU-MOSI as a folder of contextual-LSTM CSV files (transcripts.csv, text_train0.csv, ...)")
class MosiCsv(Importer[MosiOptions]):
    """See the module."""

    Options = MosiOptions

    def recognise(self, path: Path) -> Recognition | None:
        """Return a recognition if all nine CSV files exist and the transcripts have four columns."""
        files = folder_files(path)
        if not set(_NEEDED) <= set(files) or first_line(files["transcripts.csv"]).count(",") < 3:
            return None
        scored = "with" if _gcnet(files.values()) else "without"
        return Recognition(f"CMU-MOSI in contextual-LSTM CSV files, train and test, {scored} continuous scores")

    def resembles(self, path: Path) -> bool:
        """Return whether the transcripts and a file of features exist."""
        names = set(folder_files(path))
        return "transcripts.csv" in names and len(names & set(_NEEDED)) > 2

    def load(self, path: Path, *, name: str, options: MosiOptions) -> Corpus:
        """Read all splits."""
        files = folder_files(path)
        if missing := [f for f in _NEEDED if f not in files]:
            raise DataError(
                "files are missing",
                corpus=name,
                expected=", ".join(_NEEDED),
                found=f"no {', '.join(missing)}",
                hint="give the folder that holds all of these files",
            )
        table = _transcripts(files["transcripts.csv"])
        rows: list[int] = []
        splits: list[str] = []
        parts: dict[str, list[NDArray[np.float64]]] = {m: [] for m in _FILES}
        for split in _SPLITS:
            index = read_numbers(files[f"text_{split}.csv"])[:, 0]
            for modality, stem in _FILES.items():
                parts[modality].append(_features(files[f"{stem}_{split}0.csv"], index, table))
            rows += index.astype(int).tolist()
            splits += [split] * len(index)
        if sorted(rows) != list(range(len(table))):
            twice = next((r for r in rows if rows.count(r) > 1), None)
            raise DataError(
                "the splits must name every transcript once",
                corpus=name,
                utterance=None if twice is None else table[twice][0],
                expected=f"{len(table)} rows",
                found=f"{len(rows)} rows, {len(set(rows))} different ones",
            )
        ids = [table[r][0] for r in rows]
        label = np.array([int(table[r][3]) for r in rows])
        videos, turns = zip(*(i.rpartition("_")[::2] for i in ids), strict=True)
        targets, labels = [Target("polarity", "classification", ("negative", "non-negative"))], {"polarity": label}
        used = [files[f] for f in _NEEDED]
        if scored_pickle := _gcnet(files.values()):
            file, content = scored_pickle
            targets.append(Target("score", "regression", low=-3, high=3))
            labels["score"] = _scores(name, content, ids, label)
            used.append(file)
        return assemble(
            name,
            ids=ids,
            dialogues=videos,
            turns=turns,
            channels={m: Channel(np.concatenate(parts[m]), _EXTRACTORS[m]) for m in parts},
            targets=targets,
            labels=dict(labels),
            splits=splits,
            texts=[table[r][1] for r in rows],
            provenance=provenance(
                self.name,
                path,
                used,
                licence="CMU-MOSI research terms; feature files MIT",
                notes=(
                    "the text features were fitted on the training videos: validation carved from them looks easier than test",
                    *(("label agrees with score >= 0 everywhere",) if scored_pickle else ()),
                ),
            ),
            nonfinite=options.nonfinite,
        )


def _transcripts(path: Path) -> list[tuple[str, str, str, str]]:
    import csv

    rows: list[tuple[str, str, str, str]] = []
    with path.open(encoding="utf-8-sig", newline="") as handle:
        for number, row in enumerate(csv.reader(handle), 1):
            if len(row) != 4 or "_" not in row[0] or not row[0].rpartition("_")[2].isdigit() or row[3] not in ("0", "1"):
                raise DataError(
                    f"line {number} is malformed",
                    corpus=path.name,
                    expected="<video>_<turn>, text, number, label 0 or 1",
                    found=f"{len(row)} fields" if len(row) != 4 else "an id without turn, or another label",
                )
            rows.append((row[0], row[1], row[2], row[3]))
    return rows


def _features(path: Path, index: NDArray[np.float64], table: list[tuple[str, str, str, str]]) -> NDArray[np.float64]:
    """Return features without the label column, after checking the labels against the transcripts."""
    numbers = read_numbers(path)
    wrong = (index != np.floor(index)) | (index < 0) | (index >= len(table))
    if wrong.any() or len(numbers) != len(index):
        raise DataError(
            "the rows do not match the index into the transcripts",
            corpus=path.name,
            expected=f"{len(index)} rows, indices from 0 to {len(table) - 1}",
            found=f"{len(numbers)} rows" + (f", index {index[wrong][0]:g}" if wrong.any() else ""),
        )
    expected_label = np.array([float(table[int(i)][3]) for i in index])
    for row in np.flatnonzero(numbers[:, -1] != expected_label)[:1]:
        raise DataError(
            f"{int((numbers[:, -1] != expected_label).sum())} labels (last column) disagree with the transcripts",
            corpus=path.name,
            utterance=table[int(index[row])][0],
            expected=expected_label[row],
            found=numbers[row, -1],
        )
    return numbers[:, :-1]


def _gcnet(files: Iterable[Path]) -> tuple[Path, list[Any]] | None:
    """Return the GCNet pickle among the files: [ids, scores, speakers, sentences by video, three sets of videos]."""
    for file in files:
        content = peek_pickle(file) if file.suffix in PICKLES else None
        kinds = (dict, dict, dict, dict, set, set, set)
        if isinstance(content, list) and len(content) == 7 and all(map(isinstance, content, kinds)):
            return file, content
    return None


def _scores(name: str, content: list[Any], ids: list[str], label: NDArray[np.int64]) -> NDArray[np.float64]:
    known = {str(i): float(s) for video, turns in content[0].items() for i, s in zip(turns, content[1][video], strict=True)}
    if missing := [i for i in ids if i not in known]:
        raise DataError(f"{len(missing)} utterances have no score in the GCNet pickle", corpus=name, utterance=missing[0])
    scores = np.array([known[i] for i in ids])
    for row in np.flatnonzero((scores >= 0) != (label == 1))[:1]:
        raise DataError(
            f"{int(((scores >= 0) != (label == 1)).sum())} labels disagree with their score",
            corpus=name,
            utterance=ids[row],
            expected="label 1 exactly where score >= 0",
            found=f"label {label[row]}, score {scores[row]:g}",
        )
    return scores
