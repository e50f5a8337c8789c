"""Masks that are read from a file, so that models are scored under exactly the masks that others used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import ConfigError, DataError
from lacuna.missing.files import MaskFile, StoredMask, read_masks
from lacuna.missing.layout import Layout
from lacuna.missing.pattern import Draw, Independence, Pattern, Removes, SlotDraw, Unit
from lacuna.missing.plan import MaskPlan
from lacuna.missing.registry import register

FILE = "file"
_SHOWN = 3  # ids in an error


@register(FILE)
@dataclass(frozen=True)
class Published(Pattern):
    """Masks read from a file instead of drawn: those of another project, or those that ``kedro run --pipelines mask`` wrote.

    ::

        id,text,audio,vision
        utt 1,1,0,1             audio is missing in utt 1
        utt 2,1,1,1

    Rate and seed of a plan choose the mask in the file; :func:`published_plans` returns the plans that there are. Every utterance
    of the split must be in the file; the file may have more, e.g. those of other splits.

    Reference: :mod:`lacuna.missing.files` and :mod:`lacuna.missing.mask_tables` describe the layouts.

    Attributes:
        path: of the file, absolute or relative to the working folder.
        mask: label of the mask's pattern in the file, e.g. ``rmm``; empty = the file has one.
        sha256: the file must have this hash; empty = any.
    """

    path: str = ""
    mask: str = ""
    sha256: str = ""
    source: ClassVar[str] = "masks of other projects"
    unit: ClassVar[Unit] = "slots"
    removes: ClassVar[Removes] = "frames"
    independence: ClassVar[Independence] = "split"
    reaches_rate_1: ClassVar[bool] = False
    from_file: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", str(self.path))
        if not self.path:
            raise ConfigError("pattern 'file' needs the setting path: {name: file, settings: {path: masks.safetensors}}")

    def setting_text(self) -> str:
        """Return the mask's label with the first digits of the file's hash; the path differs between machines."""
        return "@".join(part for part in (self.mask, self.sha256[:8] or Path(self.path).name) if part)

    def file(self) -> MaskFile:
        """Return the content of the file.

        Raises:
            DataError: it cannot be read, or has another hash than ``sha256``.
        """
        file = read_masks(Path(self.path))
        if self.sha256 and file.sha256 != self.sha256:
            raise DataError(
                "the file of masks is another one than was named",
                corpus=Path(self.path).name,
                expected=f"sha256 {self.sha256[:12]}",
                found=f"sha256 {file.sha256[:12]}",
                hint="use the original file, or remove the setting sha256",
            )
        return file

    def bind(self, layout: Layout, rate: float, seed: int) -> Draw:
        """Return the draw of a split: the mask of the file with this rate and seed.

        Raises:
            ConfigError: the file has no such mask.
            DataError: ids, modalities or frame counts of the split are not those of the file.
        """
        file = self.file()
        index = next((i for i, one in enumerate(file.masks) if self._is(one) and (one.rate, one.seed) == (rate, seed)), None)
        if index is None:
            raise ConfigError(
                f"{Path(self.path).name} has no mask {self.mask!r} with rate {rate} and seed {seed}; it has: {_listing(file)}"
            )
        return _FileDraw(layout, file, index, _file_rows(layout, file, Path(self.path).name))

    def _is(self, one: StoredMask) -> bool:
        return self.mask in ("", one.label)


def published_plans(path: str = "", mask: str = "", sha256: str = "", rates: Sequence[float] = ()) -> list[MaskPlan]:
    """Return a plan for each mask of a file.

    Args:
        path: of the file.
        mask: only masks with this label.
        sha256: the file must have this hash.
        rates: only masks with these rates; empty = all.

    Raises:
        ConfigError: the file has no such mask.
        DataError: the file cannot be read.
    """
    wanted = Published(path, mask, sha256)
    file = wanted.file()
    masks = [one for one in file.masks if wanted._is(one) and (not rates or one.rate in rates)]
    if not masks or (absent := set(rates) - {one.rate for one in masks}):
        what = f"{mask!r}" if not masks else f"with rate {min(absent)}"
        raise ConfigError(f"{Path(path).name} has no mask {what}; it has: {_listing(file)}")
    return [MaskPlan(Published(path, one.label, file.sha256), one.rate, one.seed) for one in masks]


def _listing(file: MaskFile) -> str:
    rates: dict[str, list[str]] = {}
    for one in file.masks:
        rates.setdefault(one.label, []).append(f"{one.rate:g} ({one.seed})")
    return "; ".join(f"{label}: rate (seed) {', '.join(some)}" for label, some in rates.items()) or "none"


def _file_rows(layout: Layout, file: MaskFile, name: str) -> NDArray[np.int64]:
    """Return (N,) int64 the row in the file of each utterance of the split.

    Raises:
        DataError: the modalities differ, utterances are not in the file, or their frame counts differ.
    """
    if set(layout.modalities) != set(file.count):
        raise DataError(
            "the masks are of other modalities",
            corpus=name,
            expected=", ".join(layout.modalities),
            found=", ".join(file.count),
            hint="name the modalities in the file as in the corpus",
        )
    order = np.argsort(file.keys)
    place = np.searchsorted(file.keys[order], layout.utterance)
    place = np.minimum(place, max(len(order) - 1, 0))
    row = order[place] if len(order) else np.full(len(layout), -1)
    unknown = np.ones(len(layout), np.bool_) if not len(order) else file.keys[row] != layout.utterance
    if unknown.any():
        examples = [layout.name_of(int(i)) for i in np.flatnonzero(unknown)[:_SHOWN]]
        raise DataError(
            f"{int(unknown.sum())} of {len(layout)} utterances have no mask in the file",
            corpus=name,
            expected=f"every utterance of the split, such as {', '.join(examples)}",
            found=f"{len(file.ids)} utterances of {file.corpus}, such as {', '.join(file.ids[:_SHOWN])}",
            hint="check the corpus, its split and the spelling of ids",
        )
    for m, count in layout.count.items() if file.resolution == "frames" else ():
        if (wrong := np.flatnonzero(file.count[m][row] != count[:])).size:
            i = int(wrong[0])
            raise DataError(
                f"{len(wrong)} of {len(layout)} utterances have another number of frames than in the file of masks",
                corpus=name,
                utterance=layout.name_of(i),
                modality=m,
                expected=f"{int(file.count[m][row[i]])} frames",
                found=f"{int(count[i])} frames",
                hint="the masks were made for other features of this corpus",
            )
    return row


@dataclass(frozen=True, eq=False)
class _FileDraw(Draw):
    """Remove the frames whose flag in the file is 0.

    Attributes:
        file: the masks.
        index: of the mask in the file.
        file_row: (N,) int64 the row in the file of each utterance.
    """

    file: MaskFile
    index: int
    file_row: NDArray[np.int64]

    def frames(self, modality: str, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return (sum count[rows],) bool: the frame is removed."""
        row, bits = self.file_row[rows], self.file.present[modality][self.index]
        start, n_flags = self.file.start[modality][row], self.file.count[modality][row]
        first = np.cumsum(n_flags) - n_flags
        flag = np.repeat(start - first, n_flags) + np.arange(int(n_flags.sum()))  # place of each flag
        removed = (bits[flag >> 3] >> (7 - (flag & 7)).astype(np.uint8)) & 1 == 0
        return np.repeat(removed, self.layout.at(rows).count[modality]) if self.file.resolution == "slots" else removed

    def measured(self) -> float:
        """Return the measured rate of the file for all of its utterances, otherwise the removed share of slots or frames."""
        mask = self.file.masks[self.index]
        if mask.measured is not None and len(self.layout) == len(self.file.ids):
            return mask.measured
        if self.file.resolution == "frames":
            return super().measured()
        rows = self.file_row
        bits = {m: np.unpackbits(self.file.present[m][self.index], count=len(self.file.ids)) for m in self.layout.modalities}
        return SlotDraw.of_slots(self.layout, {m: flags[rows] == 0 for m, flags in bits.items()}).share
