"""Word-aligned sequences as MFN projects keep them: one ``.npz`` or ``.h5`` with ``<set>_<modality>_<split>`` arrays (N, T, d).

A sample whose modality is zero throughout really lacks it. A modality that has no array in a split is absent there. Samples are
padded with zero frames in front or behind: text and audio begin and end together, word by word, so every sample
is cut to the window in which any of its modalities has content. Inside this window a zero frame is one that was
not observed (no face found, word unknown), and is read as such.
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
from lacuna.corpus.importers.sources import content_bounds, npz_shapes, provenance, read_npz
from lacuna.corpus.repair import Policy
from lacuna.corpus.schema import SPLITS, Target
from lacuna.errors import ConfigError, DataError

_KEY = re.compile(r"(?:(?P<set>.+)_)?(?P<part>[a-z]+)_(?P<split>train|valid|test)")
_NAMES = {"video": "vision"}
_EXTRACTORS = {"text": "GloVe 300", "audio": "COVAREP, word means", "vision": "Facet, word means"}


@dataclass(frozen=True)
class MfnOptions(Options):
    """Options of ``mfn``.

    Attributes:
        set: which corpus of the file; may be left out if there is one.
        modalities: which to keep (``text``, ``audio``, ``vision``); ``None`` = those observed in training.
        threshold: ratings at or above are positive.
        classes: names of the one-hot columns; the files do not tell them.
        nonfinite: what to do with NaN and inf in the features.
    """

    set: str | None = None
    modalities: tuple[str, ...] | None = None
    threshold: float = 3.5
    classes: tuple[str, str, str] = ("class-0", "class-1", "class-2")
    nonfinite: Policy = "refuse"


class _Key(NamedTuple):
    set: str
    part: str
    split: str


@register("mfn", reads="MFN-style aligned sequences: .npz or .h5 with <set>_<modality>_<split> and <set>_y_<split>")
class Mfn(Importer[MfnOptions]):
    """See the module."""

    Options = MfnOptions

    def recognise(self, path: Path) -> Recognition | None:
        """The keys of the archive follow the pattern and some arrays are sequences."""
        if path.is_file() and _is_h5(path) and find_spec("h5py") is None:
            return Recognition("HDF5 file whose keys cannot be read: h5py is not installed")
        shapes = {_parse(k): s for k, s in _shapes(path).items() if _parse(k)}
        sets = sorted({k.set for k in shapes if k and k.part == "y"})
        if not sets or not any(k and k.set == sets[0] and k.part != "y" and len(s) == 3 for k, s in shapes.items()):
            return None
        named = ", ".join(s or "unnamed" for s in sets)
        return Recognition(f"MFN-style aligned sequences, sets: {named}", {"set": sets[0]} if len(sets) > 1 else {})

    def load(self, path: Path, *, name: str, options: MfnOptions) -> Corpus:
        """Read one set."""
        arrays = {key: v for k, v in _read(path).items() if (key := _parse(k))}
        sets = sorted({k.set for k in arrays if k.part == "y"})
        chosen = options.set if options.set is not None or len(sets) != 1 else sets[0]
        if chosen not in sets:
            told = f"set {chosen!r} is not in the file" if chosen is not None else "the file holds several sets"
            raise ConfigError(f"{path.name}: {told}; give `set` as one of: {', '.join(sets) or 'none'}")
        splits = [s for s in SPLITS if _Key(chosen, "y", s) in arrays]
        parts = sorted({k.part for k in arrays if k.set == chosen and k.part != "y"}, key=lambda p: (p != "text", p))
        labels = np.concatenate([arrays[_Key(chosen, "y", s)] for s in splits])
        total = {s: len(arrays[_Key(chosen, "y", s)]) for s in splits}
        ids = [f"{s}-{row}" for s in splits for row in range(total[s])]
        sequences = {_NAMES.get(p, p): _sequences(name, p, chosen, arrays, total) for p in parts}
        kept, notes = _kept(name, sequences, options, total.get("train", 0))
        windows = _windows([sequences[m] for m in kept], len(ids))
        targets, values = _targets(name, labels, options)
        channels = {m: _channel(m, sequences[m], windows) for m in kept}
        lacking = {m: sum(f is None for f in c.frames) for m, c in channels.items()}
        nothing = int(np.all([[f is None for f in c.frames] for c in channels.values()], axis=0).sum())
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
            provenance=provenance(self.name, path, [path], licence="as the original corpus; files MIT", notes=notes),
            nonfinite=options.nonfinite,
        )


def _parse(key: str) -> _Key | None:
    match = _KEY.fullmatch(key)
    return _Key(match["set"] or "", match["part"], match["split"]) if match else None


def _h5(path: Path, take: Callable[[Any], Any]) -> dict[str, Any]:
    try:
        import h5py
    except ImportError:
        raise DataError("reading .h5 needs h5py", corpus=path.name, hint="in the clone: pip install -e '.[h5]'") from None
    with h5py.File(path, "r") as file:
        return {key: take(item) for key, item in file.items() if isinstance(item, h5py.Dataset)}


def _is_h5(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(8) == b"\x89HDF\r\n\x1a\n"


def _shapes(path: Path) -> Mapping[str, tuple[int, ...]]:
    if not path.is_file():
        return {}
    if _is_h5(path):
        return _h5(path, lambda item: item.shape)
    return {key: shape for key, (shape, _) in npz_shapes(path).items()}


def _read(path: Path) -> dict[str, NDArray[Any]]:
    if path.is_file() and _is_h5(path):
        return _h5(path, lambda item: np.asarray(item[()]))
    return read_npz(path)


def _sequences(
    name: str, part: str, chosen: str, arrays: Mapping[Any, NDArray[Any]], total: dict[str, int]
) -> list[NDArray[np.float32] | None]:
    """One (T, d) array a sample of all splits, ``None`` where the split has no such modality."""
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
    """Modalities to keep, and what to say about the others."""
    if options.modalities is not None:
        if unknown := [m for m in options.modalities if m not in sequences]:
            raise ConfigError(f"corpus '{name}' has no modality {unknown[0]!r}; it has: {', '.join(sequences)}")
        return list(options.modalities), []
    kept = [m for m, s in sequences.items() if not train or any(f is not None and f.any() for f in s[:train])]
    left = [m for m in sequences if m not in kept]
    notes = [f"modality '{m}' was left out: it was never observed in training, so nothing can be fitted to it" for m in left]
    return kept, notes


def _windows(sequences: Iterable[list[NDArray[np.float32] | None]], total: int) -> NDArray[np.int64]:
    """(N, 2) first frame with content in any modality, and one past the last."""
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


def _targets(name: str, labels: NDArray[Any], options: MfnOptions) -> tuple[list[Target], dict[str, NDArray[Any]]]:
    if labels.shape[1:] == (3,):
        wrong = (labels.sum(axis=1) != 1) | (labels.max(axis=1) != 1)
        if wrong.any():
            raise DataError(
                f"{wrong.sum()} labels are not one-hot", corpus=name, expected="one 1 and two 0", found=labels[wrong][0].tolist()
            )
        return [Target("sentiment", "classification", options.classes)], {"sentiment": labels.argmax(axis=1)}
    if labels.size != len(labels):
        raise DataError("labels of an unknown shape", corpus=name, expected="(N,) ratings or (N, 3) one-hot", found=labels.shape)
    rating = labels.reshape(-1).astype(np.float64)
    usual = np.nanmin(rating) >= 1 and np.nanmax(rating) <= 5
    targets = [
        Target("polarity", "classification", ("negative", "positive")),
        Target("rating", "regression", low=1 if usual else None, high=5 if usual else None),
    ]
    polarity = np.where(np.isnan(rating), -1, rating >= options.threshold)
    return targets, {"polarity": polarity, "rating": rating}
