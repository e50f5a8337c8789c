"""What every missingness pattern is, and the two kinds of draws that it can be bound to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, TypeGuard

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import ConfigError
from lacuna.missing.layout import Layout, Part

Unit = Literal["frames", "slots", "utterances", "party channels"]


@dataclass(frozen=True, eq=False)
class Draw(ABC):
    """A pattern at one rate and seed, bound to a split. It answers for what it *would* remove, absent or not.

    Attributes:
        layout: the split.
    """

    layout: Layout

    @abstractmethod
    def frames(self, modality: str, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(sum count[rows],) bool: the frame is removed; utterances end to end."""

    def measured(self) -> float:
        """Share of what was originally there that is removed, in the pattern's unit; here frames. 0 if nothing was there."""
        removed = total = 0
        for low in range(0, len(self.layout), 4096):
            rows = np.arange(low, min(low + 4096, len(self.layout)))
            part = self.layout.at(rows)
            for modality in self.layout.modalities:
                gone, there = self.frames(modality, rows), part.original(modality)
                removed += int(np.count_nonzero(gone if there is None else gone & there))
                total += len(gone) if there is None else int(np.count_nonzero(there))
        return removed / max(total, 1)


@dataclass(frozen=True, eq=False)
class WholeDraw(Draw):
    """A draw that takes whole modalities of whole utterances, by a rule that needs the utterance alone."""

    @abstractmethod
    def lost(self, part: Part) -> dict[str, NDArray[np.bool_]]:
        """By modality (U,) bool: it is removed from these utterances."""

    def frames(self, modality: str, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(sum count[rows],) bool: the frame is removed; utterances end to end."""
        part = self.layout.at(rows)
        last = self.__dict__.get("_last")
        if last is None or last[0] is not part:  # the modalities of a batch are asked for one after the other
            last = self.__dict__["_last"] = part, self.lost(part)
        return np.repeat(last[1][modality], part.count[modality])


@dataclass(frozen=True, eq=False)
class SlotDraw(Draw):
    """A draw that takes whole modalities of whole utterances, decided for all of the split at once.

    Attributes:
        removed: by modality (N,) bool.
        share: what :meth:`measured` answers.
    """

    removed: dict[str, NDArray[np.bool_]]
    share: float

    def frames(self, modality: str, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(sum count[rows],) bool: the frame is removed; utterances end to end."""
        return np.repeat(self.removed[modality][rows], self.layout.at(rows).count[modality])

    def measured(self) -> float:
        """Share of the pattern's units originally there that are removed; 0 if there were none."""
        return self.share

    @classmethod
    def of_slots(cls, layout: Layout, removed: dict[str, NDArray[np.bool_]]) -> SlotDraw:
        """A draw measured over the (utterance, modality) slots that were originally there."""
        gone = sum(int((removed[m] & layout.available[m]).sum()) for m in layout.modalities)
        return cls(layout, removed, gone / max(sum(int(a.sum()) for a in layout.available.values()), 1))


@dataclass(frozen=True)
class Pattern(ABC):
    """A way in which data go missing: frozen settings, and a rule that binds a rate and a seed to a split.

    Attributes:
        name: as registered.
        exact: the measured rate is the nearest possible to the one asked for, not just so in expectation.
        nested: for one seed, what is missing at a rate is missing at every higher rate.
        unit: what the rate is a share of.
    """

    name: ClassVar[str]
    exact: ClassVar[bool] = False
    nested: ClassVar[bool] = True
    unit: ClassVar[Unit]

    @abstractmethod
    def bind(self, layout: Layout, rate: float, seed: int) -> Draw:
        """Draw for a split.

        Args:
            layout: the split.
            rate: in [0, 1].
            seed: at least 0.

        Raises:
            ConfigError: a setting does not fit the split.
        """

    def settings(self) -> dict[str, Any]:
        """Every setting by name, defaults included."""
        return asdict(self)

    def __str__(self) -> str:
        inside = ", ".join(f"{k}={v!r}" for k, v in self.settings().items())
        return f"{self.name}({inside})" if inside else self.name

    def _known(self, setting: str, names: Iterable[str], layout: Layout) -> None:
        for name in names:
            if name not in layout.count:
                known = ", ".join(layout.modalities)
                raise ConfigError(f"{self.name}.{setting} names the modality {name!r}; the corpus has: {known}")

    def _names(self, setting: str) -> None:
        """Check a setting that lists modalities and bring it into canonical form: a sorted tuple."""
        value = getattr(self, setting)
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise ConfigError(f"{self.name}.{setting} must be a list of modality names, found {value!r}")
        given = list(value)
        if not all(isinstance(name, str) and name for name in given) or len(set(given)) != len(given):
            raise ConfigError(f"{self.name}.{setting} must be a list of different modality names, found {value!r}")
        object.__setattr__(self, setting, tuple(sorted(given)))


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a real number: Python's or numpy's, but no bool."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
