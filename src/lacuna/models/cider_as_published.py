"""CIDer with the optimisation of its public code, to measure the effect of each correction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.errors import ConfigError
from lacuna.models.base import Stage, register
from lacuna.models.cider import CIDer, CIDerConfig, View


@dataclass(frozen=True)
class CIDerAsPublishedConfig(CIDerConfig):
    """Settings of :class:`CIDerAsPublished`: the published ones, where the publication fixes them.

    Attributes:
        layers: number of layers of composite attention.
        heads: heads of each layer.
        alignment: the published code aligns all sequences of different length.
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
    modalities=("text", "audio", "vision"),
    paper="https://arxiv.org/abs/2506.10452",
    year=2025,
)
class CIDerAsPublished(CIDer):
    """CIDer with the published optimisation (Zhong et al., https://arxiv.org/abs/2506.10452, public code of July 2025).

    Each batch takes two steps of one optimiser. The first one minimises the task loss of the complete view; its gradient is not
    cleared and adds to that of the second one, which minimises the losses of the student with teacher tensors from before the
    first step. The attention loss is summed over positions. ``training_defaults`` adds the published training masks (every frame
    is missing with probability 1/2) and selection on complete data.

    Errors of the public code that break the contract of this library are not copied: positions counted along the batch, padding
    read as frames, missing frames read as zeros, prototypes of the test split, and a tau fitted on test.
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
    tiny: ClassVar[Mapping[str, Any]] = {"width": 16, "layers": 2, "heads": 4}

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        # Keys and views of the first step, for the second one; empty between updates. A wrapper passes a new batch object in each
        # step, so batches are identified by their keys.
        self._teacher_views: list[tuple[Tensor, View]] = []

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Return two steps of one optimiser; the gradient of the first adds to that of the second."""
        return Stage("teacher", optimizer="both", keeps_gradient=True), Stage("student", optimizer="both")

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the task loss of the complete view, or the losses of the student."""
        if stage == "teacher":
            complete_view = self.encoder(complete)
            queries, keys = complete_view.attention
            teacher_view = View(complete_view.joint.detach(), {}, (queries.detach(), keys.detach()), complete_view.keys)
            self._teacher_views.append((complete.key, teacher_view))
            return {"complete": self.task_loss(self.head(complete_view.joint), observed.label)}
        terms = self.distil(complete, observed, self._teacher_view(complete), summed=True)
        if "reconstruction" in terms:  # a sum over modalities, not a mean
            terms["reconstruction"] = len(complete.features) * terms["reconstruction"]
        return terms

    def _teacher_view(self, complete: Batch) -> View:
        """Return the view of the first step; views of an interrupted update are deleted."""
        while self._teacher_views:
            keys, view = self._teacher_views.pop(0)
            if torch.equal(keys, complete.key):
                return view
        teacher_view: View = self.encoder(complete)
        return teacher_view
