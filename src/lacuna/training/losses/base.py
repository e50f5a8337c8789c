"""The base class of losses, their registry, and what several of them compute."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from lacuna.corpus.schema import Schema, Target, Task
from lacuna.errors import ConfigError
from lacuna.models.objective import Objective
from lacuna.registry import Registry, check_settings

CLASSES: tuple[Task, ...] = ("classification", "soft")


@dataclass(frozen=True)
class LabelCounts:
    """What the labels of the training split say about the classes.

    Attributes:
        target: whose labels.
        shares: (N, C) float64 shares of the N labelled utterances; a hard label has one share of 1. Of a value: (N, 0).
    """

    target: Target
    shares: Tensor

    @classmethod
    def of(cls, target: Target, labels: Tensor) -> LabelCounts:
        """Return the counts of labels (N,) int64, (N,) float32 or (N, C) float32; -1 or NaN = unlabelled."""
        if target.task == "regression":
            return cls(target, torch.zeros(int(torch.isfinite(labels).sum()), 0, dtype=torch.float64))
        labelled, shares = shares_of(target, labels)
        return cls(target, shares[labelled].double())

    @property
    def present(self) -> Tensor:
        """(N, C) bool: the class has a share above 1 / C (the rule of Chou, arXiv 2510.05934)."""
        return self.shares > 1 / self.target.width


@dataclass(frozen=True)
class Loss:
    """A loss: frozen settings, and the objective that they make of the training labels.

    Attributes:
        name: registered name, set by :func:`register`.
        source: where the formula comes from, and what was decided here.
        tasks: kinds of target that it is for.
        reads_hidden: it reads the hidden vectors of the model (``gives_hidden``), so it is for some models only, and not for
            auxiliary targets.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    tasks: ClassVar[tuple[Task, ...]]
    reads_hidden: ClassVar[bool] = False

    def objective(self, counts: LabelCounts, schema: Schema, hidden_width: int) -> Objective:
        """Return the objective.

        Args:
            counts: labels of the training split, and their target.
            schema: modalities of the model.
            hidden_width: units of the model's hidden vectors; 0 = it gives none.

        Raises:
            ConfigError: a setting does not fit the data.
        """
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """Return all settings by name, defaults included."""
        return asdict(self)

    def to_json(self) -> str | dict[str, Any]:
        """Return plain values, from which :func:`loss_of` makes the loss again: the name, or a mapping with the settings."""
        return {"name": self.name, **self.settings()} if self.settings() else self.name

    def check(self, target: Target) -> None:
        """Check that the loss is for a target.

        Raises:
            ConfigError: it is for other kinds of target.
        """
        if target.task not in self.tasks:
            fitting = [name for name in list_losses() if target.task in loss_class(name).tasks]
            raise ConfigError(
                f"loss '{self.name}' is for targets of kind {' or '.join(self.tasks)}; "
                f"target '{target.name}' is of kind {target.task}; do: choose {', '.join(fitting)}"
            )

    def _check_bounds(self, **bounds: tuple[float, float]) -> None:
        """Check numbers in ``__post_init__``.

        Raises:
            ConfigError: a value is no number or out of bounds.
        """
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            if not number or not low <= value <= high:
                raise ConfigError(f"loss '{self.name}': setting '{name}' must be a number from {low} to {high}; found {value!r}")


_REGISTRY: Registry[Loss] = Registry("loss", "lacuna.training.losses")
L = TypeVar("L", bound=type[Loss])
list_losses: Callable[[], list[str]] = _REGISTRY.names
loss_class: Callable[[str], type[Loss]] = _REGISTRY.get


def register(name: str) -> Callable[[L], L]:
    """Return a class decorator that registers a loss under ``name``."""
    return _REGISTRY.register(name)


def loss(name: str, **settings: Any) -> Loss:
    """Return a loss.

    Args:
        name: registered name.
        settings: settings that differ from their defaults.

    Raises:
        ConfigError: the loss or a setting is unknown, or a setting is out of bounds.

    >>> loss("focal", gamma=1)
    Focal(gamma=1, prior=True)
    """
    cls = loss_class(name)
    check_settings("loss", name, cls, settings)
    return cls(**settings)


def loss_of(value: object) -> Loss:
    """Return the loss that a setting names: a loss, its name, or ``{name: ..., <setting>: ...}``.

    Raises:
        ConfigError: it names none.
    """
    if isinstance(value, Loss):
        return value
    if isinstance(value, str):
        return loss(value)
    if isinstance(value, Mapping) and isinstance(value.get("name"), str):
        return loss(value["name"], **{key: v for key, v in value.items() if key != "name"})
    known = ", ".join(list_losses())
    raise ConfigError(f"a loss must be a name, or {{name: ..., <setting>: ...}}; found {value!r}; known: {known}")


def shares_of(target: Target, label: Tensor) -> tuple[Tensor, Tensor]:
    """Return (U,) bool, labelled, and (U, C) float32 shares, 0 where unlabelled, of hard or soft labels."""
    if target.task == "classification":
        labelled = label >= 0
        return labelled, functional.one_hot(label.clamp_min(0), target.width).float() * labelled.unsqueeze(1)
    labelled = torch.isfinite(label).all(dim=1)
    return labelled, torch.nan_to_num(label)


def labelled_mean(each: Tensor, labelled: Tensor) -> Tensor:
    """Return the mean of (U,) losses over the labelled utterances, (U,) bool; 0 with zero gradient if there is none."""
    return (each * labelled).sum() / labelled.sum().clamp_min(1)


@register("plain")
@dataclass(frozen=True)
class Plain(Loss):
    r"""Cross-entropy of classes, cross-entropy against shares, or smooth L1 of values; the loss without a setting.

    For a target of shares it is the all-inclusive rule of Chou (arXiv 2510.05934): every utterance with ratings counts, also one
    without agreement, and so does every rating, :math:`y_c = n_c / \sum_k n_k`,
    :math:`L = -\sum_c y_c \log \mathrm{softmax}(z)_c`.
    """

    source: ClassVar[str] = "cross-entropy; shares of all ratings: Chou, arXiv 2510.05934; Huber, smooth L1"
    tasks: ClassVar[tuple[Task, ...]] = ("classification", "soft", "regression")

    def objective(self, counts: LabelCounts, schema: Schema, hidden_width: int) -> Objective:
        """Return the objective; see :meth:`Loss.objective`."""
        return Objective(counts.target)
