"""Several members of one recogniser that differ in their initial weights and dropout, averaged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.errors import ConfigError
from lacuna.models.base import VARIANCE, Prediction, Recognizer, Sampler, Stage
from lacuna.models.wrappers.wrapped import Wrapped


class Ensemble(Wrapped):
    """Mean of the members' logits, which is their mean in log space (a product of experts), or of their values.

    Members are trained side by side on the same batches (Lakshminarayanan et al., Deep Ensembles, NeurIPS 2017), each on its own
    loss; recovered frames are averaged too. Members of a model that is not random (``logreg``) are equal. It must be the
    innermost wrapper, as further members are built from the class of the first one.

    Args:
        inner: the first member, not wrapped.
        number: K, members.

    Raises:
        ConfigError: the model is wrapped already.
    """

    def __init__(self, inner: Recognizer, number: int) -> None:
        super().__init__(inner)
        if isinstance(inner, Wrapped):
            raise ConfigError(f"model '{inner.name}' is wrapped already, so it cannot be a member of an ensemble")
        self.others = nn.ModuleList(type(inner)(inner.schema, inner.config) for _ in range(number - 1))
        for other in self.members[1:]:
            other.add_auxiliary_heads()
        self.calibrated = False  # the mean of calibrated members need not be

    @property
    def members(self) -> list[Recognizer]:
        """Return all K members."""
        return [self.inner, *(m for m in self.others if isinstance(m, Recognizer))]

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Return the stages of a member, each for all members at once."""
        places = ["inner", *(f"others.{number}" for number in range(len(self.others)))]
        return tuple(replace(s, parameters=tuple(f"{at}.{p}" for at in places for p in s.parameters)) for s in self.inner.stages)

    def adopt(self, members: Sequence[Recognizer]) -> None:
        """Pass trained members of another level on to every member."""
        for member in self.members:
            member.adopt(members)

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Prepare every member."""
        for member in self.members:
            member.prepare(batches)

    def settle(self, batches: Callable[[], Iterable[Batch]], metric: Callable[[Iterable[Tensor]], float]) -> None:
        """Settle every member."""
        for member in self.members:
            member.settle(batches, metric)

    def forward(self, batch: Batch) -> Prediction:
        """Return the mean of the members' logits (U, C), recovered frames, and auxiliary tensors that are numbers.

        The variance of a value is that of a mixture of the members: the mean of their variances plus the variance of their
        values.
        """
        predictions: list[Prediction] = [member(batch) for member in self.members]
        recovered = {m: _mean([p.recovered[m] for p in predictions]) for m in predictions[0].recovered}
        recovered = {m: torch.where(batch.present[m].unsqueeze(-1), batch.features[m], x) for m, x in recovered.items()}
        numbers = [name for name, x in predictions[0].auxiliary.items() if x.is_floating_point()]
        auxiliary = {name: _mean([p.auxiliary[name] for p in predictions]) for name in numbers}
        logits = torch.stack([p.logits for p in predictions])  # (K, U, C)
        if VARIANCE in auxiliary:
            auxiliary[VARIANCE] = auxiliary[VARIANCE] + logits.var(dim=0, correction=0)
        return Prediction(logits.mean(dim=0), recovered, auxiliary)

    def sample(self, batch: Batch, number: int, seed: int) -> dict[str, Tensor]:
        """Return draws (S, U, T_m, d_m): the members take turns."""
        many, drawn = len(self.members), []
        for place, member in enumerate(self.members):
            if share := len(range(place, number, many)):
                drawn.append(cast(Sampler, member).sample(batch, share, seed + place))
        return {m: torch.cat([one[m] for one in drawn]) for m in drawn[0]}

    def auxiliary_logits(self, prediction: Prediction) -> list[Tensor]:
        """Refuse: the mean prediction holds no hidden vectors.

        Raises:
            ConfigError: always, if there are auxiliary targets.
        """
        if self.schema.auxiliary:
            raise ConfigError(f"an ensemble of '{self.name}' answers its main target only; do: ask one of its members")
        return []

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the summed losses of the members; each term changes one member alone."""
        losses: dict[str, Tensor] = {}
        for member in self.members:
            for name, value in member.losses(complete, observed, stage).items():
                losses[name] = losses[name] + value if name in losses else value
        return losses


def _mean(tensors: list[Tensor]) -> Tensor:
    return torch.stack(tensors).mean(dim=0)
