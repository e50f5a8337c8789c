"""Corruptions of features: what a model is given without being told that it is wrong.

A corruption is a pure function of (seed, utterance, modality, severity) over a :class:`lacuna.corpus.batch.Batch`, so that it
sees standardised features, where a severity means the same in every modality. It changes values of observed frames and nothing
else: what is absent stays absent, what is present stays present, and a mask may be laid over it as over the clean batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from lacuna.corpus.batch import Batch
from lacuna.corpus.corpus import Corpus, key_of
from lacuna.errors import ConfigError
from lacuna.registry import Registry, check_settings

Values = NDArray[np.float32]
_corruptions: Registry[Corruption] = Registry("corruption", "lacuna.shift.corruptions")
register, list_corruptions = _corruptions.register, _corruptions.names


@dataclass(frozen=True)
class Corruption(ABC):
    """Base of corruptions; a subclass says what happens to the observed frames of one utterance and modality.

    Attributes:
        severity: 0 = nothing happens; the unit is the subclass's.
        modalities: which ones are hit; all if empty.

    Raises:
        ConfigError: the severity is out of bounds.
    """

    name: ClassVar[str]
    most: ClassVar[float] = float("inf")

    severity: float
    modalities: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "modalities", tuple(self.modalities))
        if not 0 <= self.severity <= self.most:
            raise ConfigError(f"corruption '{self.name}': severity must lie between 0 and {self.most:g}, not {self.severity!r}")

    @property
    def label(self) -> str:
        """How it is called in tables."""
        return f"{self.name} {self.severity:g}" + (f" of {'+'.join(self.modalities)}" if self.modalities else "")

    def order(self, frames: int, rng: np.random.Generator) -> NDArray[np.int64] | None:
        """Which observed frame comes to stand at each place, ``None`` = they stay."""
        return None

    @abstractmethod
    def alter(self, values: Values, rng: np.random.Generator) -> Values:
        """New values of the observed frames (T, d) of one utterance; the input is not changed."""

    def check(self, corpus: Corpus) -> None:
        """Check that it means something for a corpus.

        Raises:
            ConfigError: it names a modality that is not there.
        """
        here = [m.name for m in corpus.modalities]
        if unknown := [m for m in self.modalities if m not in here]:
            raise ConfigError(
                f"corruption '{self.name}': corpus '{corpus.name}' has no modality {unknown[0]!r}; it has: {', '.join(here)}"
            )

    def apply(self, batch: Batch, seed: int) -> Batch:
        """The corrupted batch; the given one is not changed.

        Args:
            batch: complete, standardised.
            seed: with the utterance's key and the modality's name it decides everything random.
        """
        if not self.severity:
            return batch
        features, tokens = dict(batch.features), dict(batch.tokens)
        keys = batch.key.cpu().numpy().view(np.uint64).tolist()
        for name in self.modalities or tuple(features):
            if name not in features:
                continue
            values, present = features[name].cpu().numpy().copy(), batch.present[name].cpu().numpy()
            spelt = tokens[name].cpu().numpy().copy() if name in tokens else None
            for row in np.flatnonzero(present.any(axis=1)).tolist():
                at = np.flatnonzero(present[row])
                rng = np.random.default_rng([seed, keys[row], key_of(name)])
                places = self.order(len(at), rng)
                moved = at if places is None else at[places]
                values[row, at] = self.alter(values[row, moved], rng)
                if spelt is not None:
                    spelt[row, at] = spelt[row, moved]
            features[name] = torch.from_numpy(values).to(features[name].device)
            if spelt is not None:
                tokens[name] = torch.from_numpy(spelt).to(features[name].device)
        return replace(batch, features=features, tokens=tokens)


def corruption(name: str, **settings: Any) -> Corruption:
    """A corruption by name.

    Raises:
        ConfigError: unknown, or a setting that it does not have.
    """
    cls = _corruptions.get(name)
    check_settings("corruption", name, cls, settings)
    if "severity" not in settings:
        raise ConfigError(f"corruption '{name}' needs a severity")
    return cls(**settings)
