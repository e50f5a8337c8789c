"""The contract of every recogniser, and the registry of models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema, Target
from lacuna.models.config import Config, Member
from lacuna.models.info import ModelInfo, Task
from lacuna.models.layers.sureness import Sureness
from lacuna.registry import Registry

CONTRIBUTION = "contribution."  # prefix of tensors in Prediction.auxiliary that sum to the logits


@dataclass(frozen=True)
class Prediction:
    """Output of a model for a batch.

    Attributes:
        logits: (U, C) float, unnormalised log-probabilities of classes; for regression (U, 1), the value.
        recovered: by modality (U, T_m, d_m): observed frames unchanged, missing frames estimated; empty if the model does not
            recover.
        auxiliary: further tensors that the losses or figures of the model need, by name.
    """

    logits: Tensor
    recovered: dict[str, Tensor] = field(default_factory=dict)
    auxiliary: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """One of the optimisation steps that training takes for each batch.

    Attributes:
        name: passed to :meth:`Recognizer.losses`.
        parameters: prefixes of the names of the parameters that this stage updates; the others do not change. Empty = all.
        optimizer: stages with the same name share one optimiser and its moments; by default each stage has its own.
        keeps_gradient: the gradient is not cleared after the step, so the next stage adds to it.
        first: first epoch of the stage, counted from 0.
        end: epoch before which the stage ends; ``None`` = it does not end.
        every: the stage runs in one of ``every`` epochs.
        turn: in which of them, counted from 0.
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
        """Return whether the stage runs in an epoch (counted from 0)."""
        inside = epoch >= self.first and (self.end is None or epoch < self.end)
        return inside and (epoch - self.first) % self.every == self.turn


class Recognizer(nn.Module, ABC):
    """Base class of all emotion recognisers with missing input.

    A model reads what is missing from ``batch.present`` only, never writes into its input, and its output for an utterance does
    not depend on the other utterances of the batch (of other dialogues, if it reads whole dialogues).

    Shapes in all models: U utterances, M modalities, T_m frames and d_m features of modality m, C classes, D dialogues,
    L turns or tokens.

    Args:
        schema: modalities and target.
        config: an instance of ``Config`` of the class; ``None`` = default settings.

    Attributes:
        info: facts from :func:`register`.
        sureness: thresholds of prediction sets and of abstention, fitted on validation by training.
        tiny: settings of a small model; the test suite builds every model with them, because the defaults can be slow.
    """

    name: str
    info: ModelInfo
    Config: ClassVar[type[Config]] = Config
    training_defaults: ClassVar[Mapping[str, Any]] = {}  # settings of TrainingConfig that suit this model better
    tiny: ClassVar[Mapping[str, Any]] = {}
    needs_dialogue: bool = False  # reads other turns: batches must hold whole dialogues
    recovers: bool = False  # returns estimates of missing frames
    samples: bool = False  # also draws several estimates: it is a Sampler
    learns: bool = True  # is trained by gradient descent
    calibrated: bool = False  # the probabilities were fitted to the validation split after training
    exports: bool = False  # no shape of its answer depends on a value, so it can be an ONNX graph; see lacuna.training.export

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__()
        self.schema = schema
        self.config: Any = self.Config() if config is None else config
        self.sureness = Sureness(len(schema.dims))  # fitted after training

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Return the optimisation steps of a batch, in order."""
        return (Stage(),)

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the modalities that the model reads; where all of them are missing, it cannot answer from the utterance."""
        return tuple(self.schema.dims)

    @classmethod
    def members_of(cls, config: Any) -> tuple[Member, ...]:
        """Return the recognisers that are trained first, each by itself; :meth:`adopt` receives them."""
        return ()

    def adopt(self, members: Sequence[Recognizer]) -> None:
        """Copy the weights of trained members, those of :meth:`members_of` in their order; called before :meth:`prepare`."""

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Compute buffers in closed form before training.

        Args:
            batches: each call returns an iterator over the complete training batches.
        """

    def settle(self, batches: Callable[[], Iterable[Batch]], metric: Callable[[Iterable[Tensor]], float]) -> None:
        """Choose on validation what gradient descent does not choose; called once, with the best weights.

        Args:
            batches: each call returns an iterator over the validation batches under the selection masks.
            metric: returns the validation metric of logits, one (U, C) or (U, 1) for each batch in that order; larger is better.
        """

    @abstractmethod
    def forward(self, batch: Batch) -> Prediction:
        """Predict every utterance of the batch."""

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the scalar losses of one stage by name; training minimises their sum and logs each one.

        Args:
            complete: everything that the corpus holds, the target of recovery and distillation.
            observed: the same utterances under the training mask.
            stage: name of a stage from :attr:`stages`.
        """
        return {"task": task_loss(self.schema.target, self(observed).logits, observed.label)}


class Sampler(Protocol):
    """Additional method of recognisers with ``samples = True``: they know a distribution of missing frames, not one estimate."""

    def sample(self, batch: Batch, number: int, seed: int) -> dict[str, Tensor]:
        """Draw several estimates of the missing frames.

        Args:
            batch: observed utterances.
            number: S, draws for each utterance.
            seed: a draw depends on the seed, the key of the utterance and what is observed of it, not on the rest of the batch.

        Returns:
            By modality (S, U, T_m, d_m): observed frames unchanged, missing frames drawn jointly.
        """


def task_loss(target: Target, logits: Tensor, label: Tensor) -> Tensor:
    """Return the mean loss of the labelled utterances: cross-entropy (hard or soft labels), or smooth L1 for regression.

    Args:
        target: target of the schema.
        logits: (U, C), or (U, 1) for regression.
        label: (U,) int64 classes, (U, C) float32 soft labels, or (U,) float32 values; -1 or NaN = unlabelled.

    Returns:
        A scalar; 0 with zero gradient if no utterance is labelled.
    """
    if target.task == "classification":
        labelled = label >= 0
        losses = functional.cross_entropy(logits, label.clamp_min(0), reduction="none")
    elif target.task == "soft":
        labelled = torch.isfinite(label).all(dim=1)
        losses = functional.cross_entropy(logits, torch.nan_to_num(label), reduction="none")
    else:
        labelled = torch.isfinite(label)
        losses = functional.smooth_l1_loss(logits.squeeze(-1), torch.nan_to_num(label), reduction="none")
    return (losses * labelled).sum() / labelled.sum().clamp_min(1)


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
        name: name in settings, tables and :func:`lacuna.models.build`.
        title: title of the paper, or a short description.
        task: kind of method, see :class:`lacuna.models.info.ModelInfo`.
        paper: link to the paper.
        year: year of publication.
        venue: conference or journal.
        reference: classic reference of a baseline.
        reconstruction: code and equations of the authors are not public or were not used.

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
