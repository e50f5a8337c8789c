"""Computational sequences of the CMU-MultimodalSDK: ``.csd`` files (HDF5) of CMU-MOSI, CMU-MOSEI and others (extra ``h5``).

A file holds ``<sequence>/data/<video>/features`` (T, d) and ``intervals`` (T, 2) in seconds. One of the sequences has the labels.

* Unaligned, or aligned to words: keys are videos. An utterance is an interval of the labels, and a frame belongs to it if its
  middle lies inside.
* Aligned to the labels: keys are ``<video>[<number>]``, each one an utterance.

An utterance without frames in a sequence lacks this modality. A sequence of words gives transcripts. The files name no splits:
the SDK keeps them in its code, so divide the videos into folds or give a table of your own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.assemble import Channel, assemble
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.importers.base import Importer, Options, Recognition, register, slug
from lacuna.corpus.importers.labels import POLARITY, Labelled, pairs, polarity_of, score_target
from lacuna.corpus.importers.sources import folder_files, natural_key, provenance
from lacuna.corpus.repair import Policy
from lacuna.corpus.schema import Target
from lacuna.errors import ConfigError, DataError

MOSEI = ("sentiment", "happy", "sad", "anger", "surprise", "disgust", "fear")  # columns of "All Labels"
_KEY = re.compile(r"(.+)\[(\d+)\]")
_KINDS = {"text": ("glove", "bert", "word2vec"), "audio": ("covarep", "opensmile", "acoustic"), "vision": ("facet", "openface")}
_SILENT = ("sp", "")  # words that stand for a pause


@dataclass(frozen=True)
class CsdOptions(Options):
    """Options of ``csd``.

    Attributes:
        labels: name of the sequence of labels, or of its file; empty = the one whose name contains "label".
        modalities: sequences to read, ``sequence`` or ``sequence=name``; empty = all but labels and words.
        columns: names of the columns of the labels; empty = sentiment, or the seven of CMU-MOSEI.
        scale: lowest and highest possible sentiment.
        nonfinite: what to do with NaN and inf; COVAREP has some.
    """

    labels: str = ""
    modalities: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    scale: tuple[float, float] = (-3, 3)
    nonfinite: Policy = "refuse"


class _Sequence(NamedTuple):
    name: str
    file: Path
    data: Mapping[str, tuple[NDArray[Any], NDArray[np.float64]]]  # by key: features (T, d), intervals (T, 2)


@register("csd", reads="CMU-MultimodalSDK .csd files in a folder: sequences with intervals and features, one with the labels")
class Csd(Importer[CsdOptions]):
    """See the module."""

    Options = CsdOptions

    def recognise(self, path: Path) -> Recognition | None:
        """Return a recognition if the files are computational sequences and one of them holds labels."""
        files = _files(path)
        if not files:
            return None
        if find_spec("h5py") is None:
            return Recognition("CMU-MultimodalSDK sequences that cannot be read: h5py is not installed")
        names = [name for file in files for name in _names(file)]
        labels = [n for n in names if "label" in n.lower()]
        if len(names) < 2 or not labels:
            return None
        return Recognition(f"CMU-MultimodalSDK sequences: {', '.join(names)}", {"labels": labels[0]} if len(labels) > 1 else {})

    def resembles(self, path: Path) -> bool:
        """Return whether there is a ``.csd`` file."""
        return bool(_files(path))

    def load(self, path: Path, *, name: str, options: CsdOptions) -> Corpus:
        """Read all sequences."""
        sequences = {s.name: s for file in _files(path) for s in _read(name, file)}
        labels = _labels(name, sequences, options.labels)
        utterances = _utterances(name, labels)
        words = [s for s in sequences.values() if s is not labels and _is_words(s)]
        parts = _modalities(name, [s for s in sequences.values() if s is not labels and s not in words], options)
        aligned = all(_KEY.fullmatch(key) for key in labels.data)
        channels, notes = (
            {},
            [f"labels from '{labels.name}'; sequences are {'aligned to them' if aligned else 'cut by their intervals'}"],
        )
        for modality, sequence in parts.items():
            frames = [_cut(sequence, *u[:3]) for u in utterances]
            notes.append(
                f"{modality}: '{sequence.name}', absent from {sum(f is None for f in frames)} of {len(frames)} utterances"
            )
            channels[modality] = Channel(frames, f"sequence {sequence.name}")
        table = np.stack([u.label for u in utterances])
        targets = _targets(name, table, [u.id for u in utterances], options)
        texts = [_text(words[0], *u[:3]) for u in utterances] if words else None
        return assemble(
            name,
            ids=[u.id for u in utterances],
            dialogues=[u.video for u in utterances],
            turns=[u.number for u in utterances],
            channels=channels,
            targets=[t for t, _ in targets],
            labels={t.name: v for t, v in targets},
            texts=texts,
            provenance=provenance(
                self.name,
                path,
                [s.file for s in sequences.values()],
                licence="as the original corpus",
                notes=[*notes, "the files name no splits: divide the videos into folds"],
            ),
            nonfinite=options.nonfinite,
        )


class _Utterance(NamedTuple):
    id: str
    video: str
    interval: NDArray[np.float64]  # (2,) seconds
    number: int
    label: NDArray[np.float64]  # (columns,)


def _files(path: Path) -> list[Path]:
    files = [path] if path.is_file() else list(folder_files(path).values())
    return [f for f in files if f.suffix.lower() == ".csd"]


def _h5py(file: Path) -> Any:
    try:
        import h5py
    except ImportError:
        raise DataError("reading .csd needs h5py", corpus=file.name, hint="in the clone: pip install -e '.[h5]'") from None
    return h5py


def _names(file: Path) -> list[str]:
    with _h5py(file).File(file, "r") as content:
        return [str(name) for name, group in content.items() if "data" in group]


def _read(corpus: str, file: Path) -> list[_Sequence]:
    """Return the sequences of a file.

    Raises:
        DataError: the file is damaged, or a key lacks features or intervals that fit together.
    """
    h5py, result = _h5py(file), []
    try:
        with h5py.File(file, "r") as content:
            for name in [n for n, group in content.items() if "data" in group]:
                data = {}
                for key, group in content[name]["data"].items():
                    features, intervals = np.asarray(group["features"][()]), np.asarray(group["intervals"][()], np.float64)
                    features = features.reshape(len(features), -1)  # (T,) or (T, d) -> (T, d)
                    if intervals.shape != (len(features), 2):
                        raise DataError(
                            f"intervals and features of '{key}' do not fit together",
                            corpus=corpus,
                            expected=f"intervals of shape ({len(features)}, 2)",
                            found=f"{intervals.shape} in sequence '{name}'",
                        )
                    data[str(key)] = (features, intervals)
                result.append(_Sequence(str(name), file, data))
    except DataError:
        raise
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{file.name} is not a computational sequence",
            corpus=corpus,
            expected="<sequence>/data/<video>/features and intervals",
            found=f"{type(error).__name__}: {error}",
        ) from None
    return result


def _labels(corpus: str, sequences: Mapping[str, _Sequence], wanted: str) -> _Sequence:
    fitting = [
        s for s in sequences.values() if (wanted in (s.name, s.file.name, s.file.stem) if wanted else "label" in s.name.lower())
    ]
    if len(fitting) != 1:
        raise DataError(
            "it is unclear which sequence holds the labels",
            corpus=corpus,
            expected=f"'{wanted}'" if wanted else "one sequence whose name contains 'label'",
            found=", ".join(s.name for s in fitting or sequences.values()) or "no sequence",
            hint="name it with option `labels`",
        )
    return fitting[0]


def _utterances(corpus: str, labels: _Sequence) -> list[_Utterance]:
    """Return one utterance for each interval of the labels, in natural order of videos and order of time."""
    result = []
    for key in sorted(labels.data, key=natural_key):
        features, intervals = labels.data[key]
        if features.dtype.kind not in "fiub":
            raise DataError(f"the labels of '{key}' are no numbers", corpus=corpus, expected="numbers", found=features.dtype)
        if match := _KEY.fullmatch(key):
            if len(features) != 1:
                raise DataError(
                    f"'{key}' has {len(features)} labels", corpus=corpus, expected="one, because sequences are aligned"
                )
            result.append(_Utterance(key, match[1], intervals[0], int(match[2]), features[0].astype(np.float64)))
            continue
        for number, row in enumerate(np.argsort(intervals[:, 0], kind="stable")):
            result.append(_Utterance(f"{key}[{number}]", key, intervals[row], number, features[row].astype(np.float64)))
    return result


def _is_words(sequence: _Sequence) -> bool:
    return next(iter(sequence.data.values()), (np.zeros(0), None))[0].dtype.kind in "SUO"


def _modalities(corpus: str, sequences: list[_Sequence], options: CsdOptions) -> dict[str, _Sequence]:
    named, by_name = pairs("modalities", options.modalities, alone=True), {s.name: s for s in sequences}
    if unknown := next((n for n in named if n not in by_name), None):
        raise ConfigError(f"option 'modalities' names {unknown!r}; {corpus} has: {', '.join(by_name)}")
    result: dict[str, _Sequence] = {}
    for name in sorted(named or by_name):
        kind = next((m for m, parts in _KINDS.items() if any(p in name.lower() for p in parts)), slug(name))
        modality = slug(named[name]) if named.get(name, name) != name else kind if kind not in result else slug(name)
        result[modality] = by_name[name]
    return result


def _cut(sequence: _Sequence, key: str, video: str, interval: NDArray[np.float64]) -> NDArray[Any] | None:
    """Return the frames of an utterance: those under its own key, or those of its video whose middle lies in its interval."""
    if key in sequence.data:
        features = sequence.data[key][0]
    elif video in sequence.data:
        features, intervals = sequence.data[video]
        middle = intervals.mean(axis=1)
        features = features[(middle >= interval[0]) & (middle < interval[1])]
    else:
        return None
    return features if len(features) else None


def _text(sequence: _Sequence, key: str, video: str, interval: NDArray[np.float64]) -> str | None:
    words = _cut(sequence, key, video, interval)
    if words is None:
        return None
    plain = [w.decode("utf-8", "replace") if isinstance(w, bytes) else str(w) for w in words.reshape(-1)]
    return " ".join(w for w in plain if w not in _SILENT) or None


def _targets(corpus: str, table: NDArray[np.float64], ids: list[str], options: CsdOptions) -> list[Labelled]:
    """Return polarity and a score for each column; emotions of CMU-MOSEI are intensities from 0 to 3."""
    names = options.columns or (MOSEI if table.shape[1] == len(MOSEI) else ("sentiment",))
    if len(names) != table.shape[1]:
        raise DataError(
            "the columns of the labels are not named",
            corpus=corpus,
            expected=f"{table.shape[1]} names in option `columns`",
            found=len(names),
        )
    result: list[Labelled] = []
    for column, title in enumerate(names):
        usual = options.scale if column == 0 else (0.0, 3.0)
        result.append(score_target(corpus, slug(title), table[:, column], scale=None, usual=usual, ids=ids))
    polarity = polarity_of(result[0][1], *options.scale)
    return [(Target("polarity", "classification", POLARITY), polarity), *result]
