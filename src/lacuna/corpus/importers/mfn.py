"""Word-aligned sequences of MFN projects: ``<set>_<modality>_<split>`` arrays (N, T, d) and ``<set>_y_<split>`` labels.

They are the arrays of one ``.npz`` or ``.h5``, or the files of a folder with one array each (``audio_train.h5``, ``y_train.h5``).
A sample whose modality is zero throughout lacks it. A modality that has no array in a split is absent there. Samples are
padded with zero frames in front or behind: modalities are aligned word by word, so every sample
is cut to the window in which any of its modalities has content. Inside this window a zero frame was not observed
(no face found, word unknown), and is read as such.

Scores below 0 make the scale signed: positive is above or at 0. Ratings from 1 to 5 are positive from 3.5.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.assemble import Channel, assemble
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.importers.base import Importer, Options, Recognition, register, slug
from lacuna.corpus.importers.labels import score_target
from lacuna.corpus.importers.samples import SPLIT_NAMES
from lacuna.corpus.importers.sources import content_bounds, folder_files, npz_shapes, provenance, read_npy, read_npz
from lacuna.corpus.repair import Policy
from lacuna.corpus.schema import SPLITS, Target
from lacuna.errors import ConfigError, DataError

_KEY = re.compile(r"(?:(?P<set>.+)_)?(?P<part>[a-z]+)_(?P<split>train|valid|val|dev|test)", re.IGNORECASE)
_ALIASES = {"video": "vision", "visual": "vision", "acoustic": "audio", "language": "text"}
_FILES = (".h5", ".hdf5", ".npy")  # of a folder with one array a file
_RATINGS = (1.0, 5.0, 3.5)  # lowest, highest, and where positive begins (MFN)
_EXTRACTORS = {"text": "GloVe 300", "audio": "COVAREP, word means", "vision": "Facet, word means"}


@dataclass(frozen=True)
class MfnOptions(Options):
    """Options of ``mfn``.

    Attributes:
        set: which corpus to read, if there are several.
        modalities: which to read (``text``, ``audio``, ``vision``); ``None`` = those observed in training.
        threshold: scores at or above are positive; ``None`` = 0 on a signed scale, 3.5 for ratings from 1 to 5.
        scale: lowest and highest possible score; ``None`` = -3 to 3 if a score is negative, else 1 to 5.
        classes: names of the one-hot columns, which the files do not hold; empty = ``class-0``, ``class-1``, ...
        nonfinite: what to do with NaN and inf in the features.
    """

    set: str | None = None
    modalities: tuple[str, ...] | None = None
    threshold: float | None = None
    scale: tuple[float, float] | None = None
    classes: tuple[str, ...] = ()
    nonfinite: Policy = "refuse"


class _Key(NamedTuple):
    set: str
    part: str
    split: str


@register(
    "mfn",
    reads="MFN-style aligned sequences: <set>_<modality>_<split> and <set>_y_<split> in a .npz or .h5, or a folder of .h5",
)
class Mfn(Importer[MfnOptions]):
    """See the module."""

    Options = MfnOptions

    def recognise(self, path: Path) -> Recognition | None:
        """Return a recognition if the keys follow the pattern and some arrays are sequences."""
        if path.is_file() and _is_h5(path) and find_spec("h5py") is None:
            return Recognition("HDF5 file whose keys cannot be read: h5py is not installed")
        shapes = {_parse(k): s for k, s in _shapes(path).items() if _parse(k)}
        sets = sorted({k.set for k in shapes if k and k.part == "y"})
        if not sets or not any(k and k.set == sets[0] and k.part != "y" and len(s) == 3 for k, s in shapes.items()):
            return None
        named = ", ".join(s or "unnamed" for s in sets)
        return Recognition(f"MFN-style aligned sequences, sets: {named}", {"set": sets[0]} if len(sets) > 1 else {})

    def resembles(self, path: Path) -> bool:
        """Return whether any array is named as in MFN."""
        return any(_parse(key) for key in _shapes(path))

    def load(self, path: Path, *, name: str, options: MfnOptions) -> Corpus:
        """Read one set."""
        read = _read(path)
        arrays = {key: v for k, v in read.items() if (key := _parse(k))}
        if len(arrays) < sum(_parse(k) is not None for k in read):
            twins = [k for k in sorted(read) if [_parse(o) for o in read].count(_parse(k)) > 1 and _parse(k)]
            raise DataError("two arrays for one split", corpus=name, expected="one of valid, val and dev", found=", ".join(twins))
        sets = sorted({k.set for k in arrays if k.part == "y"})
        chosen = options.set if options.set is not None or len(sets) != 1 else sets[0]
        if chosen not in sets:
            if not sets:
                found = ", ".join(sorted(f"{k.part}_{k.split}" for k in arrays)) or "no such array"
                raise DataError("no MFN labels", corpus=name, expected="an array '<set>_y_<split>'", found=found)
            what = f"set {chosen!r} does not exist" if chosen is not None else "there are several sets"
            raise ConfigError(f"{path.name}: {what}; give `set` as one of: {', '.join(s or repr(s) for s in sets)}")
        splits = [s for s in SPLITS if _Key(chosen, "y", s) in arrays]
        parts = sorted({k.part for k in arrays if k.set == chosen and k.part != "y"}, key=lambda p: (p != "text", p))
        labels = np.concatenate([arrays[_Key(chosen, "y", s)] for s in splits])
        total = {s: len(arrays[_Key(chosen, "y", s)]) for s in splits}
        ids = [f"{s}-{row}" for s in splits for row in range(total[s])]
        sequences = {_ALIASES.get(p, p): _sequences(name, p, chosen, arrays, total) for p in parts}
        kept, notes = _kept(name, sequences, options, total.get("train", 0))
        windows = _windows([sequences[m] for m in kept], len(ids))
        targets, values, label_note = _targets(name, labels, options, ids)
        notes.append(label_note)
        channels = {m: _channel(m, sequences[m], windows) for m in kept}
        others = sorted(k for k in read if (key := _parse(k)) is None or (key.set == chosen and key.split not in splits))
        notes += [f"arrays not read: {', '.join(others)}"] if others else []
        absent = {m: c.absent for m, c in channels.items()}
        lacking = {m: int(rows.sum()) for m, rows in absent.items()}
        nothing = int(np.all(list(absent.values()), axis=0).sum())
        notes += [
            f"zero throughout, read as absent (of {len(ids)}): " + ", ".join(f"{m} {n}" for m, n in lacking.items()),
            "padding (zero frames before and after all content of a sample) was cut; zero frames inside are not observed",
            *([f"{nothing} samples have no modality at all"] if nothing else []),
        ]
        return assemble(
            name if not chosen or chosen in name or name != slug(path.stem) else f"{name}-{chosen}",
            ids=ids,
            dialogues=ids,
            turns=[0] * len(ids),
            channels=channels,
            targets=targets,
            labels=dict(values),
            splits=[s for s in splits for _ in range(total[s])],
            provenance=provenance(self.name, path, _files(path), licence="as the original corpus; files MIT", notes=notes),
            nonfinite=options.nonfinite,
        )


def _parse(key: str) -> _Key | None:
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    return _Key(match["set"] or "", match["part"].lower(), SPLIT_NAMES[match["split"].lower()])


def _files(path: Path) -> list[Path]:
    """Return the files with the arrays: ``path``, or those of a folder whose names follow the pattern."""
    if not path.is_dir():
        return [path]
    return [file for file in folder_files(path).values() if file.suffix.lower() in _FILES and _parse(file.stem)]


def _h5(path: Path, take: Callable[[Any], Any]) -> dict[str, Any]:
    try:
        import h5py
    except ImportError:
        raise DataError("reading .h5 needs h5py", corpus=path.name, hint="in the clone: pip install -e '.[h5]'") from None
    arrays: dict[str, Any] = {}
    with h5py.File(path, "r") as file:  # also inside groups
        file.visititems(lambda key, item: arrays.update({key: take(item)}) if isinstance(item, h5py.Dataset) else None)
    return {key.replace("/", "_"): array for key, array in arrays.items()}


def _is_h5(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(8) == b"\x89HDF\r\n\x1a\n"


def _shapes(path: Path) -> Mapping[str, tuple[int, ...]]:
    if path.is_dir():
        return {f.stem: shape for f in _files(path) for shape in list(_shapes(f).values())[:1]}
    if not path.is_file():
        return {}
    if path.suffix == ".npy":
        return {path.stem: read_npy(path).shape}
    if _is_h5(path):
        return _h5(path, lambda item: item.shape)
    return {key: shape for key, (shape, _) in npz_shapes(path).items()}


def _read(path: Path) -> dict[str, NDArray[Any]]:
    """Return every array by name; a file of a folder gives its array under the name of the file."""
    if path.is_dir():
        arrays = {}
        for file in _files(path):
            content = [np.asarray(read_npy(file))] if file.suffix == ".npy" else list(_read(file).values())
            if len(content) != 1:
                raise DataError(f"{file.name} does not hold one array", corpus=path.name, expected="one", found=len(content))
            arrays[file.stem] = content[0]
        return arrays
    if path.is_file() and _is_h5(path):
        return _h5(path, lambda item: np.asarray(item[()]))
    return read_npz(path)


def _sequences(
    name: str, part: str, chosen: str, arrays: Mapping[Any, NDArray[Any]], total: dict[str, int]
) -> list[NDArray[np.float32] | None]:
    """Return one (T, d) array for each sample of all splits, ``None`` where the split has no such modality."""
    result: list[NDArray[np.float32] | None] = []
    for split, count in total.items():
        array = arrays.get((chosen, part, split))
        if array is not None and (array.ndim != 3 or len(array) != count or array.dtype.kind not in "fiu"):
            raise DataError(
                f"array '{chosen}_{part}_{split}' has the wrong shape",
                corpus=name,
                modality=part,
                expected=f"({count}, frames, width) numbers",
                found=f"{array.shape} {array.dtype}",
            )
        result += [None] * count if array is None else list(array)
    return result


def _kept(
    name: str, sequences: Mapping[str, list[NDArray[np.float32] | None]], options: MfnOptions, train: int
) -> tuple[list[str], list[str]]:
    """Return the modalities to read, and notes on the others."""
    if options.modalities is not None:
        if unknown := [m for m in options.modalities if m not in sequences]:
            raise ConfigError(f"corpus '{name}' has no modality {unknown[0]!r}; it has: {', '.join(sequences)}")
        return list(options.modalities), []
    kept = [m for m, s in sequences.items() if not train or any(f is not None and f.any() for f in s[:train])]
    left = [m for m in sequences if m not in kept]
    notes = [f"modality '{m}' was left out: it was never observed in training, so nothing can be fitted to it" for m in left]
    return kept, notes


def _windows(sequences: Iterable[list[NDArray[np.float32] | None]], total: int) -> NDArray[np.int64]:
    """Return (N, 2): the first frame with content in any modality, and one past the last."""
    windows = np.tile([np.iinfo(np.int64).max, 0], (total, 1))
    for sequence in sequences:
        for row, frames in enumerate(sequence):
            if frames is not None:
                (first,), (end,) = content_bounds(frames[None])
                if end:
                    windows[row] = min(windows[row, 0], first), max(windows[row, 1], end)
    return windows


def _channel(modality: str, sequence: list[NDArray[np.float32] | None], windows: NDArray[np.int64]) -> Channel:
    cut = [
        None if frames is None or not frames.any() else frames[first:end]
        for frames, (first, end) in zip(sequence, windows.tolist(), strict=True)
    ]
    observed = [None if frames is None else frames.any(axis=1) for frames in cut]
    return Channel(cut, _EXTRACTORS.get(modality, "unknown"), observed=observed)


def _targets(
    name: str, labels: NDArray[Any], options: MfnOptions, ids: list[str]
) -> tuple[list[Target], dict[str, NDArray[Any]], str]:
    """Return targets, their labels, and a note: one-hot columns are classes, one column is a score with a polarity."""
    table = labels.reshape(len(labels), -1).astype(np.float64)  # (N, 1) or (N, C)
    if table.shape[1] > 1:
        wrong = (table.sum(axis=1) != 1) | (table.max(axis=1) != 1)
        if wrong.any():
            expected, found = "one 1 and zeros", table[wrong][0].tolist()
            raise DataError(f"{wrong.sum()} labels are not one-hot", corpus=name, expected=expected, found=found)
        classes = options.classes or tuple(f"class-{c}" for c in range(table.shape[1]))
        if len(classes) != table.shape[1]:
            raise ConfigError(f"option 'classes' names {len(classes)} classes, the labels have {table.shape[1]} columns")
        note = "labels are one-hot" + (
            "" if options.classes else "; the names of the classes are unknown, set them with `classes`"
        )
        return [Target("sentiment", "classification", classes)], {"sentiment": table.argmax(axis=1)}, note
    signed = bool(np.nanmin(table, initial=0) < 0) if options.scale is None else options.scale[0] < 0
    low, high, threshold = (-3.0, 3.0, 0.0) if signed else _RATINGS
    if options.scale:
        low, high = options.scale
        threshold = 0.0 if signed else (low + high) / 2
    threshold = threshold if options.threshold is None else options.threshold
    title = "score" if signed else "rating"
    target, values = score_target(name, title, table[:, 0], scale=None, usual=(low, high), ids=ids)
    polarity = np.where(np.isnan(values), -1, values >= threshold)
    targets = [Target("polarity", "classification", ("negative", "positive")), target]
    return targets, {"polarity": polarity, title: values}, f"polarity is positive where the {title} is {threshold:g} or more"
