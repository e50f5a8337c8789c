"""The contract that every recogniser keeps, and the registry that knows them all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema, Target
from lacuna.models.config import Config
from lacuna.models.info import ModelInfo, Task
from lacuna.registry import Registry


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
        optimizer: stages that name the same optimiser share it with its moments; by default each stage has its own.
        keeps_gradient: the next stage adds its gradient to this one's, instead of starting from zero.
        first: epoch, from 0, in which the stage is stepped for the first time.
        end: epoch from which on it is no longer stepped; ``None`` = never.
        every: from the first on, it is stepped in one of so many epochs.
        turn: in which of them, from 0.
    """

    name: str = "task"
    parameters: tuple[str, ...] = ()
    optimizer: str | None = None
    keeps_gradient: bool = False
    first: int = 0
    end: int | None = None
    every: int = 1
    turn: int = 0

    def runs(self, epoch: int) -> bool:
        """Whether the stage is stepped in an epoch."""
        inside = epoch >= self.first and (self.end is None or epoch < self.end)
        return inside and (epoch - self.first) % self.every == self.turn


class Recognizer(nn.Module, ABC):
    """An emotion recogniser for input with holes.

    A model reads missingness from ``batch.present`` alone, never writes into its input, and gives an utterance the same
    answer whatever else is in the batch (whole dialogues, if it reads them).

    Args:
        schema: the modalities that it may see and the target that it predicts.
        config: an instance of the class's ``Config``.
    """

    name: str
    info: ModelInfo
    Config: ClassVar[type[Config]] = Config
    training_defaults: ClassVar[Mapping[str, Any]] = {}  # settings of TrainingConfig that suit this model better
    needs_dialogue: bool = False  # reads other turns: batches must hold whole dialogues
    recovers: bool = False  # returns recovered frames
    samples: bool = False  # draws recoveries too: it is a Sampler
    learns: bool = True  # has parameters that gradient descent steps

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

    def settle(self, batches: Callable[[], Iterable[Batch]], metric: Callable[[Iterable[Tensor]], float]) -> None:
        """Choose on validation what gradient descent does not, once, after the best weights are known.

        Args:
            batches: each call iterates once over the validation batches under the selection masks.
            metric: the validation metric of logits, one (U, C) or (U, 1) a batch in that order; larger is better.
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


class Sampler(Protocol):
    """What a recogniser offers, besides the contract, if it knows a distribution of what is missing and not just one guess."""

    def sample(self, batch: Batch, number: int, seed: int) -> dict[str, Tensor]:
        """Draw recoveries of a batch.

        Args:
            batch: what is observed.
            number: S draws of each utterance.
            seed: a draw is a function of it, of the utterance's key and of what is observed, not of the rest of the batch.

        Returns:
            By modality (S, U, T_m, d_m): observed frames unchanged, the rest drawn, all frames of a draw together.
        """


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
C = TypeVar("C", bound=type[Recognizer])


def register(
    name: str,
    *,
    title: str = "",
    task: Task | Literal[""] = "",
    paper: str = "",
    year: int | None = None,
    venue: str = "",
    reference: str = "",
    reconstruction: bool = False,
) -> Callable[[C], C]:
    """Return a class decorator that adds a model to the registry and stores the facts about it as ``cls.info``.

    Args:
        name: what settings, tables and :func:`lacuna.models.build` call it.
        title: title of the paper, or a short description.
        task: kind of method, see :class:`lacuna.models.info.ModelInfo`.
        paper: link to the paper.
        year: year of publication.
        venue: conference or journal.
        reference: classic reference of a baseline.
        reconstruction: no code and no equations are public.

    Raises:
        ConfigError: the name is taken, or a fact is not valid.
    """
    info = ModelInfo(name, title, task, paper, year, venue, reference, reconstruction)
    add = _REGISTRY.register(name)

    def declare(cls: C) -> C:
        cls.info = info
        return add(cls)

    return declare


list_models = _REGISTRY.names
model_class = _REGISTRY.get
