"""Everything that a run needs to resume: weights, optimisers, averages, random states, progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from lacuna.models import Recognizer
from lacuna.training.device import random_state, restore_random_state
from lacuna.training.steps import StageStep

Row = dict[str, float]


@dataclass
class Progress:
    """The progress of a run.

    Attributes:
        epoch: the epoch that is running, from 0.
        step: updates of that epoch that are done.
        updates: all updates that are done.
        best: best validation metric so far, ``None`` before the first.
        best_epoch: the epoch it was reached in.
        waited: epochs since then.
        seconds: wall-clock time, killed attempts included up to their last checkpoint.
        sums: of each loss term over the updates of the running epoch.
        history: one row an epoch.
    """

    epoch: int = 0
    step: int = 0
    updates: int = 0
    best: float | None = None
    best_epoch: int = -1
    waited: int = 0
    seconds: float = 0.0
    sums: Row = field(default_factory=dict)
    history: list[Row] = field(default_factory=list)

    def count(self, terms: Row) -> None:
        """Count an update and add its loss terms."""
        self.step += 1
        self.updates += 1
        for name, value in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def close_epoch(self, metric: float, row: Row, *, waits: bool = True) -> bool:
        """End the epoch; return True if its validation metric is better than all before.

        Args:
            metric: of validation.
            row: all numbers of the epoch.
            waits: whether an epoch without improvement counts for patience; not before every stage has begun.
        """
        self.history.append(row)
        better = self.best is None or metric > self.best
        if better:
            self.best, self.best_epoch, self.waited = metric, self.epoch, 0
        else:
            self.waited += waits
        self.epoch, self.step, self.sums = self.epoch + 1, 0, {}
        return better


@dataclass(eq=False)
class RunState:
    """A model in training.

    Attributes:
        model: on the device.
        steps: its stages with their optimisers.
        device: where it is.
        decay: of the moving average of the weights; 0 = none.
        progress: where the run stands.
    """

    model: Recognizer
    steps: list[StageStep]
    device: torch.device
    decay: float = 0.0
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        self._learned = {name: p for name, p in self.model.named_parameters() if p.requires_grad and self.steps}
        self._average = {name: p.detach().clone() for name, p in self._learned.items()} if self.decay else {}

    @torch.no_grad()
    def follow(self) -> None:
        """Move the average towards the weights, faster in the first updates, so that initial weights are forgotten."""
        if self._average:
            done = self.progress.updates
            decay = min(self.decay, (1 + done) / (10 + done))
            torch._foreach_lerp_(list(self._average.values()), list(self._learned.values()), 1 - decay)

    @contextmanager
    def averaged(self) -> Iterator[Recognizer]:
        """Yield the model with its averaged weights (if there are any), and restore its own weights afterwards."""
        own = {name: self._learned[name].data for name in self._average}
        try:
            for name, average in self._average.items():
                self._learned[name].data = average
            yield self.model
        finally:
            for name, weights in own.items():
                self._learned[name].data = weights

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of the weights to keep, on the CPU: averaged weights if there are any, and buffers."""
        with self.averaged() as model:
            return copied(model.state_dict())

    def tensors(self) -> dict[str, Tensor]:
        """Return a copy of all tensors of the state, by flat names for a safetensors file."""
        found = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        found |= {f"average.{k}": v for k, v in self._average.items()}
        found |= {f"random.{k}": v for k, v in random_state(self.device).items()}
        for step in self.steps:
            for name, parameter in zip(step.names, step.parameters, strict=True):
                for key, value in step.optimizer.state.get(parameter, {}).items():
                    found[f"optimizer.{step.stage.name}.{name}.{key}"] = value
        return copied(found)

    def restore(self, tensors: dict[str, Tensor], progress: dict[str, Any]) -> None:
        """Restore what :meth:`tensors` and :meth:`progress_json` returned."""
        self.progress = Progress(**progress)
        self.model.load_state_dict(_below("model.", tensors))
        for name, value in _below("average.", tensors).items():
            self._average[name].copy_(value)
        for step in self.steps:
            own = _below(f"optimizer.{step.stage.name}.", tensors)
            state: dict[int, dict[str, Tensor]] = {}
            for index, name in enumerate(step.names):
                if values := {key: own[f"{name}.{key}"] for key in ("step", "exp_avg", "exp_avg_sq") if f"{name}.{key}" in own}:
                    state[index] = values
            step.optimizer.load_state_dict({"state": state, "param_groups": step.optimizer.state_dict()["param_groups"]})
        restore_random_state(self.device, _below("random.", tensors))

    def progress_json(self) -> dict[str, Any]:
        """Return the progress as JSON values; floats are read back with the same bits."""
        return asdict(self.progress)


def copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return copies on the CPU that share no memory, as safetensors requires."""
    return {name: value.detach().to("cpu", copy=True).contiguous() for name, value in tensors.items()}


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
