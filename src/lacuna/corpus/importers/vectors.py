"""Utterance vectors without ids: dictionaries of ``language``, ``acoustic``, ``visual`` (N, d) arrays and ``labels``.

One pickle or ``.npz`` file, or a folder with ``train_data``, ``val_data`` and ``test_data``, any of which may be missing. The
rows have no names, so ids are ``<split>-<row>`` and every utterance is its own dialogue. A single file is read as the
split of its name, otherwise as data without splits. Labels are class codes or words, one-hot columns, shares, or scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.assemble import Channel, assemble
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.importers.base import Importer, Options, Recognition, register
from lacuna.corpus.importers.labels import Labelled, number_targets
from lacuna.corpus.importers.outlines import PICKLES, outline
from lacuna.corpus.importers.sources import Zeros, folder_files, npz_shapes, provenance, read_npz
from lacuna.corpus.pickles import read_pickle
from lacuna.corpus.repair import Policy
from lacuna.corpus.schema import SPLITS, Target
from lacuna.errors import DataError

_NAMES = {"language": "text", "text": "text", "acoustic": "audio", "audio": "audio", "visual": "vision", "vision": "vision"}
_MOST_CLASSES = 100
_SPLIT_OF = {"train": "train", "val": "valid", "valid": "valid", "dev": "valid", "test": "test"}


@dataclass(frozen=True)
class VectorsOptions(Options):
    """Options of ``vectors``.

    Attributes:
        nonfinite: what to do with NaN and inf in the features.
        zeros: meaning of an all-zero row: ``keep`` it as data, or the modality is ``absent``.
        columns: names of the classes, or of several scores; empty = numbered.
        scale: lowest and highest possible score: whole numbers from 0 are then scores, and not codes of classes.
    """

    nonfinite: Policy = "refuse"
    zeros: Zeros = "keep"
    columns: tuple[str, ...] = ()
    scale: tuple[float, float] | None = None


@register("vectors", reads="utterance vectors: dict pickles or .npz of language, acoustic, visual, labels; one file or a folder")
class Vectors(Importer[VectorsOptions]):
    """See the module."""

    Options = VectorsOptions

    def recognise(self, path: Path) -> Recognition | None:
        """Return a recognition if the files have the right keys; the arrays are not read."""
        files = _files(path)
        keys = {split or "unsplit": k for split, file in files.items() if (k := _keys(file))}
        if not keys or len(keys) < len(files):
            return None
        modalities = sorted({_NAMES[k] for names in keys.values() for k in names if k in _NAMES})
        return Recognition(f"utterance vectors: {', '.join(modalities)}; {', '.join(keys)}")

    def load(self, path: Path, *, name: str, options: VectorsOptions) -> Corpus:
        """Read every file."""
        files = _files(path)
        read = {split: _part(name, file) for split, file in files.items()}
        parts = {split: part for split, (part, _) in read.items()}
        unread = sorted({key for _, keys in read.values() for key in keys})
        keys = {frozenset(part) for part in parts.values()}
        if len(keys) != 1:
            raise DataError(
                "the files have different keys" if keys else "there are no files of vectors",
                corpus=name,
                expected="train_data, val_data, test_data with the same keys",
                found=" and ".join(", ".join(sorted(k)) for k in keys) or "none",
                hint="give a folder with train_data, val_data and test_data",
            )
        total = {split: len(part["labels"]) for split, part in parts.items()}
        ids = [f"{split or 'row'}-{row}" for split, count in total.items() for row in range(count)]
        channels = {
            m: Channel([_row(v, options.zeros) for part in parts.values() for v in part[m]])
            for m in next(iter(parts.values()))
            if m != "labels"
        }
        targets = _targets(name, np.concatenate([p["labels"] for p in parts.values()]), ids, options)
        sizes = ", ".join(f"{s or 'unsplit'} {n}" for s, n in total.items())
        return assemble(
            name,
            ids=ids,
            dialogues=ids,
            turns=[0] * len(ids),
            channels=channels,
            targets=[target for target, _ in targets],
            labels={target.name: values for target, values in targets},
            splits=[s for s, n in total.items() for _ in range(n)],
            provenance=provenance(
                self.name,
                path,
                files.values(),
                notes=[
                    f"read {sizes}; the rows have no ids, so each one is its own dialogue",
                    "labels read as " + ", ".join(f"{t.name}: {t.task}" for t, _ in targets),
                    *([f"keys not read: {', '.join(unread)}"] if unread else []),
                ],
            ),
            nonfinite=options.nonfinite,
        )


def _files(path: Path) -> dict[str | None, Path]:
    """Return the files to read by split (``None`` = no split)."""
    if path.is_file():
        return {_split(path): path}
    found = {_split(f): f for f in folder_files(path).values() if f.suffix in (*PICKLES, ".npz") and _split(f)}
    return {s: found[s] for s in SPLITS if s in found}


def _split(file: Path) -> str | None:
    return _SPLIT_OF.get(file.stem.removesuffix("_data").lower())


def _keys(file: Path) -> set[str]:
    """Return the keys of a file of vectors; empty for any other file."""
    if file.suffix == ".npz":
        shapes = npz_shapes(file)
        keys = set(shapes) if all(len(s) == 2 for k, (s, _) in shapes.items() if k.lower() in _NAMES) else set()
    else:
        layout = outline(file)
        keys = set(layout.strings) if layout is not None and layout.is_dict else set()
        keys = set() if {"train", "test"} & keys else keys
    keys = {key.lower() for key in keys}
    return keys if "labels" in keys and keys & set(_NAMES) else set()


def _part(name: str, file: Path) -> tuple[dict[str, NDArray[Any]], set[str]]:
    """Return the modalities and labels of a file, and the keys that are not read."""
    content = read_npz(file) if file.suffix == ".npz" else read_pickle(file)
    content = {str(key).lower(): value for key, value in content.items()} if isinstance(content, dict) else {}
    if "labels" not in content:
        raise DataError(
            f"{file.name} holds no labels",
            corpus=name,
            expected="a dictionary of modalities and 'labels'",
            hint="add the labels, or choose another importer",
        )
    part = {_NAMES[k]: np.asarray(v) for k, v in content.items() if k in _NAMES}
    part["labels"] = np.asarray(content["labels"])
    for modality, array in part.items():
        if modality != "labels" and (array.ndim != 2 or len(array) != len(part["labels"]) or array.dtype.kind not in "fiu"):
            raise DataError(
                f"{file.name} is malformed",
                corpus=name,
                modality=modality,
                expected=f"({len(part['labels'])}, width) numbers",
                found=f"{array.dtype} of shape {array.shape}",
                hint="save one row for each label",
            )
    return part, {str(k) for k in content} - set(_NAMES) - {"labels"}


def _row(vector: NDArray[Any], zeros: Zeros) -> NDArray[Any] | None:
    return None if zeros == "absent" and not vector.any() else vector


def _targets(corpus: str, labels: NDArray[Any], ids: list[str], options: VectorsOptions) -> list[Labelled]:
    """Return targets: whole numbers from 0 and words are classes, rows that sum to 1 are one-hot or shares, others scores."""
    columns = options.columns
    labels = labels.reshape(len(labels), *(n for n in labels.shape[1:] if n != 1))  # (N, 1, 1) -> (N,)
    if labels.dtype.kind in "US":
        classes, codes = np.unique(labels.astype(str), return_inverse=True)
        return [(Target("label", "classification", tuple(classes.tolist())), codes)]
    whole = labels.ndim == 1 and bool((labels >= 0).all() and (labels % 1 == 0).all()) and labels.max() < _MOST_CLASSES
    if whole and options.scale is None:  # of any type: 2.0 is the same code as 2
        names = columns or tuple(f"class-{c}" for c in range(int(labels.max()) + 1))
        return [(Target("label", "classification", names), labels)]
    table = labels.astype(np.float64)
    if table.ndim == 2 and (table >= 0).all() and np.allclose(table.sum(axis=1), 1) and (table % 1 != 0).any():
        return [(Target("label", "soft", columns or tuple(f"class-{c}" for c in range(table.shape[1]))), table)]
    title = "score" if table.ndim == 1 else "label"
    table = table if table.ndim > 1 else table[:, None]
    return number_targets(corpus, title, table, columns=columns, scale=options.scale, usual=(-np.inf, np.inf), ids=ids)
