"""Several members of one recogniser that differ in their initial weights and dropout, averaged."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.errors import ConfigError
from lacuna.models.base import Prediction, Recognizer, Stage
from lacuna.models.wrappers.wrapped import Wrapped


class Ensemble(Wrapped):
    """The mean of the members' log-probabilities (a product of experts), or of their values.

    Members are trained side by side on the same batches (Lakshminarayanan et al., Deep Ensembles, NeurIPS 2017), each on its own
    loss. It must be the innermost wrapper, as further members are built from the class of the first one.

    Args:
        inner: the first member; not wrapped, and not one that recovers frames.
        number: K members.

    Raises:
        ConfigError: the model cannot be one of several.
    """

    def __init__(self, inner: Recognizer, number: int) -> None:
        super().__init__(inner)
        if isinstance(inner, Wrapped) or inner.recovers:
            raise ConfigError(
                f"model '{inner.name}' recovers frames or is wrapped already, so it cannot be a member of an ensemble"
            )
        self.others = nn.ModuleList(type(inner)(inner.schema, inner.config) for _ in range(number - 1))

    @property
    def members(self) -> list[Recognizer]:
        """All K members."""
        return [self.inner, *(m for m in self.others if isinstance(m, Recognizer))]

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of a member, each for all members at once."""
        places = ["inner", *(f"others.{number}" for number in range(len(self.others)))]
        return tuple(replace(s, parameters=tuple(f"{at}.{p}" for at in places for p in s.parameters)) for s in self.inner.stages)

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Prepare every member."""
        for member in self.members:
            member.prepare(batches)

    def settle(self, batches: Callable[[], Iterable[Batch]], metric: Callable[[Iterable[Tensor]], float]) -> None:
        """Settle every member."""
        for member in self.members:
            member.settle(batches, metric)

    def forward(self, batch: Batch) -> Prediction:
        """The mean of the members' answers."""
        logits = torch.stack([member(batch).logits for member in self.members])  # (K, U, C)
        if self.schema.target.task != "regression":
            logits = torch.log_softmax(logits, dim=-1)
        return Prediction(logits.mean(dim=0))

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """The summed losses of the members; each term moves one member alone."""
        losses: dict[str, Tensor] = {}
        for member in self.members:
            for name, value in member.losses(complete, observed, stage).items():
                losses[name] = losses[name] + value if name in losses else value
        return losses
