"""The contract of every recogniser, and the registry of models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.errors import ConfigError
from lacuna.models.config import Config, Member
from lacuna.models.info import ModelInfo, Task
from lacuna.models.layers.sureness import Sureness
from lacuna.models.objective import Objective, task_loss
from lacuna.registry import Registry

CONTRIBUTION = "contribution."  # prefix of tensors in Prediction.auxiliary that sum to the logits
VARIANCE = "variance"  # tensor in Prediction.auxiliary, (U, 1): variance of a value that the model predicts


@dataclass(frozen=True)
class Prediction:
    """Output of a model for a batch.

    Attributes:
        logits: (U, C) float, unnormalised log-probabilities of classes; for regression (U, 1), the value.
        recovered: by modality (U, T_m, d_m): observed frames unchanged, missing frames estimated; empty if the model does not
            recover.
        auxiliary: further tensors that the losses or figures of the model need, by name.
        hidden: (U, H) the vector that the last layer reads, of a model with ``gives_hidden``; otherwise ``None``.
    """

    logits: Tensor
    recovered: dict[str, Tensor] = field(default_factory=dict)
    auxiliary: dict[str, Tensor] = field(default_factory=dict)
    hidden: Tensor | None = None

    @property
    def spread(self) -> Tensor:
        """Return the standard deviation that the model gives each value, (U,) float32 above 0; 1 if it gives none.

        >>> Prediction(torch.zeros(2, 1), auxiliary={VARIANCE: torch.tensor([[4.0], [9.0]])}).spread.tolist()
        [2.0, 3.0]
        >>> Prediction(torch.zeros(2, 1)).spread.tolist()
        [1.0, 1.0]
        """
        variance = self.auxiliary.get(VARIANCE)
        if variance is None:
            return torch.ones(len(self.logits), device=self.logits.device)
        return variance.float().squeeze(1).clamp_min(torch.finfo(torch.float32).tiny).sqrt()  # (U, 1) -> (U,)


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


class Large(NamedTuple):
    """Other defaults of a model, for corpora with many training utterances.

    Attributes:
        utterances: number of training utterances from which they hold.
        settings: of the model.
        training: of TrainingConfig; they override ``training_defaults`` of the class, and settings of a variant override them.
    """

    utterances: int
    settings: Mapping[str, Any]
    training: Mapping[str, Any]


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
    large: ClassVar[Large | None] = None  # other defaults for a large corpus
    tiny: ClassVar[Mapping[str, Any]] = {}
    needs_dialogue: bool = False  # reads other turns: batches must hold whole dialogues
    recovers: bool = False  # returns estimates of missing frames
    samples: bool = False  # also draws several estimates: it is a Sampler
    learns: bool = True  # is trained by gradient descent
    calibrated: bool = False  # the probabilities were fitted to the validation split after training
    gives_hidden: bool = False  # Prediction.hidden has ``hidden_width`` units; auxiliary targets and some losses read it
    hidden_width: int = 0  # H, set by the constructor
    exports: bool = False  # no shape of its answer depends on a value, so it can be an ONNX graph; see lacuna.training.export

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__()
        self.schema = schema
        self.config: Any = self.Config() if config is None else config
        self.sureness = Sureness(len(schema.dims))  # fitted after training
        self.objective: Objective | None = None  # given by training; None = the loss without a setting
        self.auxiliary_heads = nn.ModuleList()

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
        prediction: Prediction = self(observed)
        return {"task": self.task_loss(prediction.logits, observed.label), **self.hidden_losses(prediction, complete, observed)}

    def task_loss(self, logits: Tensor, label: Tensor) -> Tensor:
        """Return the loss of the main target that the training setting ``loss`` names, by default :func:`task_loss`.

        Args:
            logits: (U, C), or (U, 1) for regression.
            label: of the main target, as in a batch; -1 or NaN = unlabelled.
        """
        if self.objective is None:
            return task_loss(self.schema.target, logits, label)
        loss: Tensor = self.objective(logits, label)
        return loss

    def hidden_losses(self, prediction: Prediction, complete: Batch, observed: Batch) -> dict[str, Tensor]:
        """Return the losses of the auxiliary targets, and of a loss that reads hidden vectors; empty without such settings.

        A model with ``gives_hidden`` adds them to its own losses.

        Args:
            prediction: of the observed batch.
            complete: everything that the corpus holds.
            observed: the same utterances under the training mask.
        """
        terms: dict[str, Tensor] = {}
        objectives = self.objective.others if self.objective is not None else ()
        answers = zip(self.schema.auxiliary, self.auxiliary_logits(prediction), strict=True)
        for number, (target, logits) in enumerate(answers):
            label = observed.others[target.name]
            if objectives:
                terms[target.name] = objectives[number].weight * objectives[number](logits, label)
            else:
                terms[target.name] = task_loss(target, logits, label)
        return terms if self.objective is None else terms | self.objective.terms(prediction, complete, observed)

    def auxiliary_logits(self, prediction: Prediction) -> list[Tensor]:
        """Return the answers for the auxiliary targets, (U, C_k) or (U, 1) each, in the order of ``schema.auxiliary``."""
        return [head(prediction.hidden).float() for head in self.auxiliary_heads]

    def add_auxiliary_heads(self) -> None:
        """Add a linear head on the hidden vectors for each auxiliary target of the schema; called once, by the builder.

        Raises:
            ConfigError: the model has no hidden vectors.
        """
        if self.schema.auxiliary and not self.gives_hidden:
            able = ", ".join(name for name in list_models() if model_class(name).gives_hidden)
            raise ConfigError(
                f"model '{self.name}' has no vector that heads of auxiliary targets can read "
                f"({', '.join(t.name for t in self.schema.auxiliary)}); do: set auxiliary_targets: {{}}, or choose one of {able}"
            )
        self.auxiliary_heads.extend(nn.Linear(self.hidden_width, target.width) for target in self.schema.auxiliary)


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
    modalities: tuple[str, ...] = (),
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
        modalities: what the system of the paper reads.
        reconstruction: code and equations of the authors are not public or were not used.

    Raises:
        ConfigError: the name is taken, or a fact is not valid.
    """
    info = ModelInfo(name, title, task, paper, year, venue, reference, modalities, reconstruction)
    add = _REGISTRY.register(name)

    def declare(cls: C) -> C:
        cls.info = info
        return add(cls)

    return declare


list_models = _REGISTRY.names
model_class = _REGISTRY.get
