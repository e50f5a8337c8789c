"""Masks as files: the masks of a split in one safetensors file, written by Lacuna or published by others.

The file has two tensors for each modality ``m``:

- ``m.count`` (N,) int64: number of frames of each utterance;
- ``m.present`` (P, ceil(R / 8)) uint8: for each of P masks the R = sum(count) frames of all utterances, end to end in the
  order of the ids, eight flags in a byte; 1 = present in the corpus and not removed.

Its header has the metadata entry ``lacuna.masks``, a JSON object with ``version``, ``corpus``, ``resolution`` (``frames``, or
``slots`` = one flag for each utterance and modality), ``modalities``, ``ids`` (N names), ``masks`` (P objects with ``pattern``,
``setting``, ``settings``, ``rate``, ``seed``, ``unit`` of the rate, ``measured`` rate) and ``sha256``: of the rest of this
object, as JSON with sorted keys, and of the tensors in the order of their names. Equal masks give equal files.
Other software reads it with the safetensors package::

    with safetensors.safe_open("masks.safetensors", "numpy") as file:
        header = json.loads(file.metadata()["lacuna.masks"])
        packed, count = file.get_tensor("audio.present"), file.get_tensor("audio.count")
    present = numpy.unpackbits(packed, axis=1, count=count.sum())  # (P, R)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from lacuna.atomic import write_bytes
from lacuna.corpus.corpus import Corpus, keys_of
from lacuna.errors import DataError
from lacuna.missing.layout import Layout
from lacuna.missing.plan import MaskPlan

Resolution = Literal["frames", "slots"]
SUFFIX = ".safetensors"
_ENTRY, _VERSION = "lacuna.masks", 1


@dataclass(frozen=True)
class StoredMask:
    """What a file says of one mask.

    Attributes:
        pattern: name of the pattern.
        setting: its settings that differ from the defaults, as text.
        settings: all settings of the pattern.
        rate: nominal missing rate, in [0, 1].
        seed: of the mask.
        unit: what the measured rate is a share of.
        measured: measured missing rate on the utterances of the file; ``None`` = the file does not say.
    """

    pattern: str
    setting: str
    settings: Mapping[str, Any]
    rate: float
    seed: int
    unit: str
    measured: float | None

    @property
    def label(self) -> str:
        """Return the pattern with its setting, e.g. ``outage burst=5``."""
        return f"{self.pattern} {self.setting}".strip()


@dataclass(frozen=True, eq=False)
class MaskFile:
    """P masks of N utterances.

    Attributes:
        corpus: name of the corpus.
        ids: N different utterance ids.
        count: by modality (N,) int64 number of flags of each utterance: frames, or 1 at the resolution ``slots``.
        present: by modality (P, ceil(sum count / 8)) uint8, flags end to end, eight in a byte: 1 = present and not removed.
        masks: P descriptions.
        resolution: ``slots`` = one flag stands for all frames of an utterance and modality.
        sha256: of the file; empty if it was not read from one.
    """

    corpus: str
    ids: tuple[str, ...]
    count: dict[str, NDArray[np.int64]]
    present: dict[str, NDArray[np.uint8]]
    masks: tuple[StoredMask, ...]
    resolution: Resolution = "frames"
    sha256: str = ""

    @cached_property
    def keys(self) -> NDArray[np.uint64]:
        """(N,) uint64 stable key of each id."""
        return keys_of(self.ids)

    @cached_property
    def start(self) -> dict[str, NDArray[np.int64]]:
        """By modality (N,) int64 first flag of each utterance."""
        return {m: np.cumsum(count) - count for m, count in self.count.items()}


def masks_of(corpus: Corpus, plans: Sequence[MaskPlan]) -> MaskFile:
    """Return the masks of a corpus under some plans.

    Args:
        corpus: a view on the split, usually ``corpus.only("test")``.
        plans: P plans.

    >>> from lacuna.synthetic.duet import generate, preset
    >>> file = masks_of(generate(preset("tiny")).only("test"), [MaskPlan("rmm", 0.5), MaskPlan("outage", 0.3)])
    >>> [(mask.label, mask.rate, round(mask.measured, 2)) for mask in file.masks]
    [('rmm', 0.5, 0.49), ('outage', 0.3, 0.31)]
    """
    layout = Layout.of(corpus)
    rows = np.arange(len(layout))
    part = layout.at(rows)
    packed: dict[str, list[NDArray[np.uint8]]] = {m: [] for m in layout.modalities}
    masks = []
    for plan in plans:
        mask = plan.over(layout)
        for m in layout.modalities:
            present = ~mask.draw.frames(m, rows)  # (R,)
            if (original := part.original(m)) is not None:
                present &= original
            packed[m].append(np.packbits(present))
        of, settings = plan.pattern, json.loads(json.dumps(plan.pattern.settings()))
        masks.append(StoredMask(of.name, of.setting_text(), settings, plan.rate, plan.seed, of.unit, mask.measured()))
    width = {m: -(-int(part.count[m].sum()) // 8) for m in packed}
    present_bits = {m: np.array(bits, np.uint8).reshape(len(plans), width[m]) for m, bits in packed.items()}  # (P, ceil(R / 8))
    return MaskFile(corpus.name, tuple(corpus.ids), {m: part.count[m] for m in packed}, present_bits, tuple(masks))


def write_masks(path: Path, corpus: Corpus, plans: Sequence[MaskPlan]) -> Path:
    """Write the masks of a corpus under some plans to a file, atomically, and return its path.

    Args:
        path: of the file, ``*.safetensors``.
        corpus: a view on the split.
        plans: the masks.
    """
    write_bytes(path, encode_masks(masks_of(corpus, plans)))
    return path


def encode_masks(file: MaskFile) -> bytes:
    """Return the content of a file; equal masks give equal bytes."""
    tensors: dict[str, NDArray[Any]] = {f"{m}.count": np.ascontiguousarray(n, np.int64) for m, n in file.count.items()}
    tensors |= {f"{m}.present": np.ascontiguousarray(bits) for m, bits in file.present.items()}
    header = {
        "version": _VERSION,
        "corpus": file.corpus,
        "resolution": file.resolution,
        "modalities": list(file.count),
        "ids": list(file.ids),
        "masks": [asdict(mask) for mask in file.masks],
    }
    header["sha256"] = _digest(header, tensors)
    return bytes(save(tensors, {_ENTRY: _canonical(header)}))


def read_masks(path: Path) -> MaskFile:
    """Return the masks of a file: safetensors as above, or a table as in :mod:`lacuna.missing.mask_tables`.

    Raises:
        DataError: there is no such file, it is damaged, or its content is not masks.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(
            "there is no file with masks", found=str(path), hint="check the path; `kedro run --pipelines mask` writes one"
        )
    stat = path.stat()
    return _read(path.resolve(), stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=4)
def _read(path: Path, modified: int, size: int) -> MaskFile:
    """Return the masks of a file; every mask of a sweep asks for the same file, so the last ones are kept."""
    if path.suffix == SUFFIX:
        return decode_masks(path.read_bytes(), path.name)
    from lacuna.missing.mask_tables import read_mask_table

    return read_mask_table(path)


def decode_masks(content: bytes, name: str) -> MaskFile:
    """Return the masks of the content that :func:`encode_masks` returned.

    Args:
        content: of the file.
        name: of the file, for errors.

    Raises:
        DataError: the content is damaged or not masks.
    """
    try:
        tensors = load(content)
        size = int.from_bytes(content[:8], "little")
        text = json.loads(content[8 : 8 + size]).get("__metadata__", {}).get(_ENTRY)
        if text is None:
            raise ValueError(f"no entry '{_ENTRY}' in the header")
        header = json.loads(text)
        if header["version"] != _VERSION:
            raise ValueError(f"version {header['version']}, and this version of Lacuna reads {_VERSION}")
        if header.pop("sha256") != _digest(header, tensors):
            raise ValueError("content with another sha256 than the header says")
        file = MaskFile(
            corpus=header["corpus"],
            ids=tuple(header["ids"]),
            count={m: tensors[f"{m}.count"] for m in header["modalities"]},
            present={m: tensors[f"{m}.present"] for m in header["modalities"]},
            masks=tuple(StoredMask(**mask) for mask in header["masks"]),
            resolution=header["resolution"],
            sha256=hashlib.sha256(content).hexdigest(),
        )
        _check_shapes(file)
    except Exception as error:  # an edited file may hold anything
        raise DataError(
            "not a whole file of masks", corpus=name, found=f"{type(error).__name__}: {error}", hint="write or download it again"
        ) from None
    return file


def _check_shapes(file: MaskFile) -> None:
    n = len(file.ids)
    if len(set(file.ids)) < n:
        raise ValueError("an id occurs twice")
    for m, count in file.count.items():
        expected = (len(file.masks), -(-int(count.sum()) // 8))
        if count.shape != (n,) or (count < 0).any() or file.present[m].shape != expected:
            raise ValueError(f"flags of '{m}' of shape {file.present[m].shape}, and {expected} follows from counts and masks")


def _digest(header: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 of a header without its hash, and of the bytes of tensors in the order of their names."""
    digest = hashlib.sha256(_canonical(header).encode())
    for name in sorted(tensors):
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return digest.hexdigest()


def _canonical(header: Mapping[str, Any]) -> str:
    return json.dumps(header, ensure_ascii=False, sort_keys=True, allow_nan=False)
