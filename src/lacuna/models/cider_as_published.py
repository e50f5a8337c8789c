"""CIDer trained as its public code trains it, to see what each correction is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.errors import ConfigError
from lacuna.models.base import Stage, register, task_loss
from lacuna.models.cider import CIDer, CIDerConfig, View


@dataclass(frozen=True)
class CIDerAsPublishedConfig(CIDerConfig):
    """Settings of :class:`CIDerAsPublished`: the published ones, where they are fixed there.

    Attributes:
        layers: of composite attention.
        heads: of each layer.
        alignment: the published code aligns wherever sequences differ in length.
    """

    layers: int = 3
    heads: int = 8
    alignment: bool = True
    model: ClassVar[str] = "cider_as_published"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.teacher != "same":
            raise ConfigError(f"model 'cider_as_published': setting 'teacher' must be 'same'; found {self.teacher!r}")


@register(
    "cider_as_published",
    title="Towards Robust Multimodal Emotion Recognition under Missing Modalities and Distribution Shifts",
    task="fusion",
    paper="https://arxiv.org/abs/2506.10452",
    year=2025,
)
class CIDerAsPublished(CIDer):
    """CIDer with the published optimisation (Zhong et al., arXiv 2506.10452, public code of July 2025).

    A batch takes two steps of one optimiser. The first follows the task loss of the complete view; its gradient is not cleared
    and is added to that of the second, which follows the student's losses with teacher tensors from before the first step. The
    attention term is summed over positions. ``training_defaults`` adds the published training masks (every frame is removed with
    probability 1/2) and selection on complete data.

    What would break what every model here promises is not copied: positions counted along the batch, padding read as frames,
    missing frames read as zeros, prototypes of the test split, and a tau fitted on test.
    """

    Config = CIDerAsPublishedConfig
    config: CIDerAsPublishedConfig
    training_defaults: ClassVar[Mapping[str, Any]] = {
        "batch_size": 128,
        "learning_rate": 0.001,
        "weight_decay": 0.0,
        "clip_norm": 0.0,
        "patience": 10,
        "pattern": "rmfm_iid",  # published masks: a rate drawn for every single frame removes each with probability 1/2
        "rates": (0.5,),
        "valid_rates": (0.0,),  # selection on complete data
    }

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        self._taught: list[tuple[Tensor, View]] = []  # keys and views of the first step, for the second; empty between updates

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Two steps of one optimiser; the gradient of the first leaks into the second."""
        return Stage("teacher", optimizer="both", keeps_gradient=True), Stage("student", optimizer="both")

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """The task loss of the complete view, then the student's losses."""
        if stage == "teacher":
            whole = self.encoder(complete)
            kept = View(whole.joint.detach(), {}, tuple(x.detach() for x in whole.attention), whole.keys)
            self._taught.append((complete.key, kept))
            return {"complete": task_loss(self.schema.target, self.head(whole.joint), observed.label)}
        taught = self._before(complete)
        terms = self.distil(complete, observed, taught, summed=True)
        if "reconstruction" in terms:  # a sum over modalities, not a mean
            terms["reconstruction"] = len(complete.features) * terms["reconstruction"]
        return terms

    def _before(self, complete: Batch) -> View:
        """What the first step made of the batch; leftovers of an update that was broken off are dropped."""
        while self._taught:
            keys, view = self._taught.pop(0)
            if torch.equal(keys, complete.key):
                return view
        whole: View = self.encoder(complete)
        return whole
