"""Corruptions of features: wrong values that the model is not informed of.

A corruption is a pure function of (seed, utterance, modality, severity) over a :class:`lacuna.corpus.batch.Batch`. The batch is
standardised, so a severity means the same in every modality. Only values of observed frames change: absent frames stay absent,
present frames stay present, and masks apply to the corrupted batch as to the clean one.
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
from lacuna.errors import ConfigError, suggestion
from lacuna.registry import Registry, check_settings

Values = NDArray[np.float32]
_corruptions: Registry[Corruption] = Registry("corruption", "lacuna.shift.corruptions")
register, list_corruptions = _corruptions.register, _corruptions.names


@dataclass(frozen=True)
class Corruption(ABC):
    """Base class of corruptions; a subclass changes the observed frames of one utterance and modality.

    Attributes:
        name: registered name.
        most: largest severity.
        severity: from 0 (no change) to ``most``; each subclass documents its unit.
        modalities: modalities that are corrupted; all if empty.

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
        """Name in tables, e.g. ``noise 0.5 of audio``."""
        return f"{self.name} {self.severity:g}" + (f" of {'+'.join(self.modalities)}" if self.modalities else "")

    def order(self, frames: int, rng: np.random.Generator) -> NDArray[np.int64] | None:
        """Return (T,) int64, the observed frame that moves to each position; ``None`` = all frames stay.

        Args:
            frames: number of observed frames T.
            rng: source of random numbers.
        """
        return None

    @abstractmethod
    def alter(self, values: Values, rng: np.random.Generator) -> Values:
        """Return new values of the observed frames of one utterance: (T, d) -> (T, d); the input is not changed."""

    def check(self, corpus: Corpus) -> None:
        """Check that the corruption can be applied to a corpus.

        Raises:
            ConfigError: it names a modality that the corpus does not have.
        """
        known = [m.name for m in corpus.modalities]
        if unknown := [m for m in self.modalities if m not in known]:
            raise ConfigError(
                f"corruption '{self.name}': corpus '{corpus.name}' has no modality {unknown[0]!r}"
                f"{suggestion(unknown[0], known)}; it has: {', '.join(known)}"
            )

    def apply(self, batch: Batch, seed: int) -> Batch:
        """Return the corrupted batch; the input is not changed.

        Args:
            batch: complete and standardised; modalities that it lacks are passed over.
            seed: at least 0. All random numbers depend on it, the key of the utterance and the name of the modality.
        """
        if not self.severity:
            return batch
        features, tokens = dict(batch.features), dict(batch.tokens)
        keys = batch.key.cpu().numpy().view(np.uint64).tolist()
        for name in self.modalities or tuple(features):
            if name not in features:
                continue
            values, present = features[name].cpu().numpy().copy(), batch.present[name].cpu().numpy()
            token_ids = tokens[name].cpu().numpy().copy() if name in tokens else None
            for row in np.flatnonzero(present.any(axis=1)).tolist():
                target = np.flatnonzero(present[row])
                rng = np.random.default_rng([seed, keys[row], key_of(name)])
                order = self.order(len(target), rng)
                source = target if order is None else target[order]
                values[row, target] = self.alter(values[row, source], rng)
                if token_ids is not None:
                    token_ids[row, target] = token_ids[row, source]
            features[name] = torch.from_numpy(values).to(features[name].device)
            if token_ids is not None:
                tokens[name] = torch.from_numpy(token_ids).to(features[name].device)
        return replace(batch, features=features, tokens=tokens)


def corruption(name: str, **settings: Any) -> Corruption:
    """Return a corruption.

    Args:
        name: registered name.
        settings: its settings; ``severity`` is required.

    Raises:
        ConfigError: the name or a setting is unknown, or the severity is missing or out of bounds.

    >>> corruption("noise", severity=0.5).label
    'noise 0.5'
    """
    cls = _corruptions.get(name)
    check_settings("corruption", name, cls, settings)
    if "severity" not in settings:
        raise ConfigError(f"corruption '{name}' needs a severity")
    return cls(**settings)
