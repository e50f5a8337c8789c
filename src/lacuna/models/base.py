"""The contract that every recogniser keeps, and the registry that knows them all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema, Target
from lacuna.errors import ConfigError
from lacuna.registry import Registry, check_settings


@dataclass(frozen=True)
class Prediction:
    """What a model says about a batch.

    Attributes:
        logits: (U, C) float, unnormalised log-probabilities; (U, 1) the value itself for regression.
        recovered: by modality (U, T_m, d_m): observed frames unchanged, the rest filled in; empty if the model does not recover.
        auxiliary: whatever the model's own losses or figures need, by name.
    """

    logits: Tensor
    recovered: dict[str, Tensor] = field(default_factory=dict)
    auxiliary: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """One optimisation step among those that a batch goes through.

    Attributes:
        name: what :meth:`Recognizer.losses` is called with.
        parameters: prefixes of the parameter names that this stage steps; the others stay bit-identical. Empty = all.
    """

    name: str = "task"
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config:
    """Base of every model's frozen settings: one dataclass a model, one YAML a model; checked by :func:`check_bounds`."""


def check_bounds(model: str, config: Config, **bounds: tuple[float, float]) -> None:
    """Check settings in the ``__post_init__`` of a config.

    Args:
        model: its registered name.
        config: what is checked.
        bounds: by field, lowest and highest value that make sense. Two integers: whole numbers only.

    Raises:
        ConfigError: a value is of another kind or out of bounds; the message names model, field, bound and value.
    """
    for name, (low, high) in bounds.items():
        value: object = getattr(config, name)
        whole = isinstance(low, int) and isinstance(high, int)
        number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not number or not low <= value <= high:  # type: ignore[operator] # NaN is in no bounds
            kind = "a whole number" if whole else "a number"
            raise ConfigError(f"model '{model}': setting '{name}' must be {kind} from {low} to {high}; found {value!r}")


class Recognizer(nn.Module, ABC):
    """An emotion recogniser for input with holes.

    A model reads missingness from ``batch.present`` alone, never writes into its input, and gives an utterance the same
    answer whatever else is in the batch (whole dialogues, if it reads them).

    Args:
        schema: the modalities that it may see and the target that it predicts.
        config: an instance of the class's ``Config``.
    """

    name: ClassVar[str]
    Config: ClassVar[type[Config]] = Config
    needs_dialogue: ClassVar[bool] = False  # reads other turns: batches must hold whole dialogues
    recovers: ClassVar[bool] = False  # returns recovered frames
    learns: ClassVar[bool] = True  # has parameters that gradient descent steps

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__()
        self.schema = schema
        self.config: Any = self.Config() if config is None else config

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The optimisation steps of a batch, in order."""
        return (Stage(),)

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Compute buffers in closed form before training.

        Args:
            batches: each call iterates once over the complete training batches.
        """

    @abstractmethod
    def forward(self, batch: Batch) -> Prediction:
        """Predict every utterance of the batch."""

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Scalar losses of one stage; the loop steps on their sum and logs each one.

        Args:
            complete: all that the corpus holds, as target for recovery and distillation.
            observed: the same utterances through the training mask.
            stage: name of the stage.
        """
        return {"task": task_loss(self.schema.target, self(observed).logits, observed.label)}


def task_loss(target: Target, logits: Tensor, label: Tensor) -> Tensor:
    """Mean loss over the labelled utterances: cross-entropy (hard or soft), or smooth L1 for regression.

    Args:
        target: what is predicted.
        logits: (U, C) or (U, 1).
        label: (U,) int64 | (U, C) float32 | (U,) float32; -1 or NaN = unlabelled.

    Returns:
        A scalar; 0 with a gradient of 0 if nothing is labelled.
    """
    if target.task == "classification":
        known = label >= 0
        each = functional.cross_entropy(logits, label.clamp_min(0), reduction="none")
    elif target.task == "soft":
        known = torch.isfinite(label).all(dim=1)
        each = functional.cross_entropy(logits, torch.nan_to_num(label), reduction="none")
    else:
        known = torch.isfinite(label)
        each = functional.smooth_l1_loss(logits.squeeze(-1), torch.nan_to_num(label), reduction="none")
    return (each * known).sum() / known.sum().clamp_min(1)


_REGISTRY: Registry[Recognizer] = Registry("model", "lacuna.models")
register = _REGISTRY.register
list_models = _REGISTRY.names
model_class = _REGISTRY.get


def configure(name: str, **settings: Any) -> Config:
    """A model's settings, defaults included.

    Raises:
        ConfigError: unknown model or setting, or a value out of bounds.
    """
    cls = model_class(name)
    check_settings("model", name, cls.Config, settings)
    return cls.Config(**settings)


def build(name: str, schema: Schema, **settings: Any) -> Recognizer:
    """Make an untrained recogniser.

    Args:
        name: as registered.
        schema: what it is built for.
        settings: fields of the model's ``Config`` that differ from their defaults.

    Raises:
        ConfigError: unknown model or setting, or a value out of bounds.
    """
    return model_class(name)(schema, configure(name, **settings))
