"""The base class of missingness patterns, and the draws that a pattern is bound to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, TypeGuard

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import ConfigError, suggestion
from lacuna.missing.layout import Layout, Part

Unit = Literal["frames", "slots", "slots of each modality", "utterances", "party channels"]
Removes = Literal["frames", "modalities"]
Independence = Literal["frames", "moments", "slots", "utterances", "channels", "split"]
_BLOCK = 4096  # utterances


@dataclass(frozen=True, eq=False)
class Draw(ABC):
    """A pattern at one rate and seed, bound to a split. It tells what is removed, whether or not it was originally present.

    Attributes:
        layout: the split.
    """

    layout: Layout

    @abstractmethod
    def frames(self, modality: str, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which frames of some utterances are removed.

        Args:
            modality: name of the modality.
            rows: (U,) int64 row numbers of the split.

        Returns:
            (sum count[rows],) bool, utterances end to end.
        """

    def measured(self) -> float:
        """Return the removed share of what was originally present, in the pattern's unit; 0 if nothing was present.

        The base class counts frames.
        """
        n_removed = n_present = 0
        for low in range(0, len(self.layout), _BLOCK):
            rows = np.arange(low, min(low + _BLOCK, len(self.layout)))
            part = self.layout.at(rows)
            for modality in self.layout.modalities:
                removed, original = self.frames(modality, rows), part.original(modality)
                n_removed += int(np.count_nonzero(removed if original is None else removed & original))
                n_present += len(removed) if original is None else int(np.count_nonzero(original))
        return n_removed / max(n_present, 1)


@dataclass(frozen=True, eq=False)
class WholeDraw(Draw):
    """A draw that removes whole modalities of utterances by a rule that reads one utterance at a time."""

    @abstractmethod
    def lost(self, part: Part) -> dict[str, NDArray[np.bool_]]:
        """Return by modality (U,) bool: the modality is removed from the utterance."""

    def frames(self, modality: str, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return (sum count[rows],) bool: the frame is removed; see :meth:`Draw.frames`."""
        part = self.layout.at(rows)
        cached = self.__dict__.get("_cached")
        if cached is None or cached[0] is not part:  # a batch asks for its modalities one after the other
            cached = self.__dict__["_cached"] = part, self.lost(part)
        return np.repeat(cached[1][modality], part.count[modality])


@dataclass(frozen=True, eq=False)
class SlotDraw(Draw):
    """A draw that removes whole modalities of utterances and is computed for the whole split at once.

    Attributes:
        removed: by modality (N,) bool.
        share: the measured rate.
    """

    removed: dict[str, NDArray[np.bool_]]
    share: float

    def frames(self, modality: str, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return (sum count[rows],) bool: the frame is removed; see :meth:`Draw.frames`."""
        return np.repeat(self.removed[modality][rows], self.layout.at(rows).count[modality])

    def measured(self) -> float:
        """Return the removed share of the pattern's units that were originally present; 0 if there were none."""
        return self.share

    @classmethod
    def of_slots(cls, layout: Layout, removed: dict[str, NDArray[np.bool_]]) -> SlotDraw:
        """Return a draw whose rate is measured over the (utterance, modality) slots that were originally present."""
        n_removed = sum(int((removed[m] & layout.available[m]).sum()) for m in layout.modalities)
        n_slots = sum(int(available.sum()) for available in layout.available.values())
        return cls(layout, removed, n_removed / max(n_slots, 1))


@dataclass(frozen=True)
class Pattern(ABC):
    """A way in which data go missing: frozen settings, and a rule that binds a rate and a seed to a split.

    A pattern declares what users and tests must know of it as class attributes. The first group has no default.
    A *slot* is one modality of one utterance; a *channel* is one modality of one dialogue.

    Attributes:
        name: registered name, set by :func:`lacuna.missing.register`.
        source: paper or code that the pattern comes from.
        unit: what the rate is a share of.
        removes: ``frames`` = single frames; ``modalities`` = a slot is kept or removed as a whole.
        independence: the smallest unit that is drawn independently of all others of its kind. ``frames``, ``slots`` and
            ``channels`` are independent in each modality; a ``moment`` is one time step of all modalities of an utterance;
            ``split`` = all utterances of the split depend on each other.
        reaches_rate_1: at rate 1, with default settings, everything is removed.

        exact: the measured rate is the nearest possible to the requested one, not only in expectation.
        nested: for one seed, what is missing at a rate is missing at all higher rates.
        needs_dialogues: the mask of an utterance depends on the other utterances of its dialogue.
        needs_aligned: the measured rate has the requested mean only where the modalities of an utterance have equally many
            frames.
        reads_modality_order: with default settings the mask depends on the order of the modalities.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    unit: ClassVar[Unit]
    removes: ClassVar[Removes]
    independence: ClassVar[Independence]
    reaches_rate_1: ClassVar[bool]

    exact: ClassVar[bool] = False
    nested: ClassVar[bool] = True
    needs_dialogues: ClassVar[bool] = False
    needs_aligned: ClassVar[bool] = False
    reads_modality_order: ClassVar[bool] = False

    @abstractmethod
    def bind(self, layout: Layout, rate: float, seed: int) -> Draw:
        """Return the draw of a split.

        Args:
            layout: the split.
            rate: in [0, 1].
            seed: at least 0.

        Raises:
            ConfigError: a setting does not fit the split.
        """

    def settings(self) -> dict[str, Any]:
        """Return all settings by name, defaults included."""
        return asdict(self)

    def __str__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.settings().items())
        return f"{self.name}({settings})" if settings else self.name

    def _check_known(self, setting: str, names: Iterable[str], layout: Layout) -> None:
        """Check that the corpus has the modalities that a setting names.

        Raises:
            ConfigError: it lacks one.
        """
        for name in names:
            if name not in layout.count:
                raise ConfigError(
                    f"{self.name}.{setting} names the modality {name!r}{suggestion(name, layout.modalities)}; "
                    f"the corpus has: {', '.join(layout.modalities)}"
                )

    def _sort_names(self, setting: str) -> None:
        """Bring a setting that lists modalities into its canonical form, a sorted tuple.

        Raises:
            ConfigError: the setting is not a list of different names.
        """
        value = getattr(self, setting)
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise ConfigError(f"{self.name}.{setting} must be a list of modality names, found {value!r}")
        names = list(value)
        if not all(isinstance(name, str) and name for name in names) or len(set(names)) != len(names):
            raise ConfigError(f"{self.name}.{setting} must be a list of different modality names, found {value!r}")
        object.__setattr__(self, setting, tuple(sorted(names)))


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is a real number of Python or numpy; a bool is none."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
