"""Masks in the simple layouts that other projects publish: whether each modality of each utterance is present, 0 or 1.

- ``.csv``: a column ``id`` and one column for each modality; one row for each utterance.
- ``.npz``: an array ``id`` (N,) of strings and one array (N,) for each modality.

Such a table is one mask, named ``table``, with seed 0; its rate is the share of zeros.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.atomic import sha256
from lacuna.corpus.importers.sources import read_npz
from lacuna.errors import DataError
from lacuna.missing.files import MaskFile, StoredMask

ID = "id"
_HINT = "docs/explanation/missing.md describes the layouts of mask tables"


def read_mask_table(path: Path) -> MaskFile:
    """Return the one mask of a table.

    Raises:
        DataError: another kind of file, no ids, an id twice, no modality, or a value that is not 0 or 1.
    """
    readers = {".csv": _read_csv, ".npz": read_npz}
    if path.suffix not in readers:
        found = "an .npy file, which has no ids" if path.suffix == ".npy" else f"a file '*{path.suffix}'"
        raise DataError(
            "masks cannot be read from this kind of file",
            corpus=path.name,
            expected=".safetensors as Lacuna writes it, .csv or .npz",
            found=found,
            hint=_HINT,
        )
    columns = readers[path.suffix](path)
    if ID not in columns or len(columns) < 2:
        raise DataError(
            "a mask table needs ids and modalities",
            corpus=path.name,
            expected=f"'{ID}' and one column or array for each modality",
            found=", ".join(columns) or "nothing",
            hint=_HINT,
        )
    ids = [str(name) for name in np.asarray(columns.pop(ID)).ravel()]
    if len(set(ids)) < len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise DataError(
            "an id occurs twice",
            corpus=path.name,
            utterance=twice,
            found=f"{ids.count(twice)} rows",
            hint="keep one row for each utterance",
        )
    flags = {m: _flags(path, m, values, ids) for m, values in columns.items()}
    share = 1 - float(np.mean(list(flags.values()))) if ids else 0.0
    return MaskFile(
        corpus=path.stem,
        ids=tuple(ids),
        count={m: np.ones(len(ids), np.int64) for m in flags},
        present={m: np.packbits(present)[None] for m, present in flags.items()},  # (ceil(N / 8),) -> (1, ceil(N / 8))
        masks=(StoredMask("table", "", {}, round(share, 4), 0, "slots", None),),
        resolution="slots",
        sha256=sha256(path),
    )


def _read_csv(path: Path) -> dict[str, NDArray[Any]]:
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError("not a table", corpus=path.name, found=str(error), hint=_HINT) from None
    return {str(name): table[name].to_numpy(object) for name in table}


def _flags(path: Path, modality: str, values: NDArray[Any], ids: list[str]) -> NDArray[np.bool_]:
    """Return (N,) bool flags of one modality.

    Raises:
        DataError: not one value for each id, or a value that is not 0 or 1.
    """
    if values.shape != (len(ids),):
        raise DataError(
            "not one flag for each utterance",
            corpus=path.name,
            modality=modality,
            expected=f"shape ({len(ids)},)",
            found=f"shape {values.shape}",
            hint=_HINT,
        )
    known = {"0": False, "1": True, "0.0": False, "1.0": True, "False": False, "True": True}
    texts = [str(value).strip() for value in values.tolist()]
    if (wrong := next((row for row, text in enumerate(texts) if text not in known), None)) is not None:
        raise DataError(
            "a flag is not 0 or 1",
            corpus=path.name,
            utterance=ids[wrong],
            modality=modality,
            expected="0 = missing, 1 = present",
            found=repr(texts[wrong]),
            hint=_HINT,
        )
    return np.array([known[text] for text in texts], np.bool_)
