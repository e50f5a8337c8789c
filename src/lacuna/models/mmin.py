"""MMIN: embeddings of missing modalities are imagined from the available ones, with a cycle back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, Stage, register
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers.autoencoder import Cascade, Decoders, Encoders, FrameMeans, Head, missing_slots, slot_error
from lacuna.models.layers.head import classifier
from lacuna.models.space import Space, Span


@dataclass(frozen=True)
class MMINConfig(Config):
    """Settings of :class:`MMIN`.

    Attributes:
        embedding: units of the embedding of each modality.
        hidden: units of the outer layers of the autoencoders and of the classifiers.
        bottleneck: units of the bottlenecks.
        blocks: number of autoencoders in each direction.
        dropout: dropout rate of the embeddings and of the classifiers.
        imagination_weight: weight of the error of imagined embeddings; the target is the embedding of the teacher.
        cycle_weight: weight of the error of the backward cascade.
    """

    embedding: int = 32
    hidden: int = 64
    bottleneck: int = 32
    blocks: int = 5
    dropout: float = 0.3
    imagination_weight: float = 4.0
    cycle_weight: float = 2.0
    space: ClassVar[Space] = {
        "embedding": Span(16, 128, log=True),
        "hidden": Span(32, 256, log=True),
        "bottleneck": Span(8, 128, log=True),
        "blocks": Span(1, 6),
        "dropout": Span(0.0, 0.7),
        "imagination_weight": Span(0.4, 40.0, log=True),
        "cycle_weight": Span(0.2, 20.0, log=True),
    }

    def __post_init__(self) -> None:
        check_bounds("mmin", self, embedding=(1, 65536), hidden=(1, 65536), bottleneck=(1, 65536), blocks=(1, 64))
        check_bounds("mmin", self, dropout=(0.0, 1.0), imagination_weight=(0.0, 1e6), cycle_weight=(0.0, 1e6))


class Teacher(nn.Module):
    """Encoders of complete input and their classifier; their embeddings are the targets of the imagination.

    Args:
        dims: features of each modality.
        config: settings of the model.
        outputs: number of classes, or 1 for regression.
    """

    def __init__(self, dims: Sequence[int], config: MMINConfig, outputs: int) -> None:
        super().__init__()
        self.encoders = Encoders(dims, config.embedding, config.dropout)
        self.head = Head(len(dims) * config.embedding, config.hidden, lambda width: nn.Linear(width, outputs), config.dropout)


@register(
    "mmin",
    title="Missing Modality Imagination Network for Emotion Recognition with Uncertain Missing Modalities",
    task="recovery",
    modalities=("text", "audio", "vision"),
    paper="https://aclanthology.org/2021.acl-long.203",
    year=2021,
    venue="ACL",
)
class MMIN(Recognizer):
    """Missing Modality Imagination Network of Zhao, Li and Jin (ACL 2021, https://aclanthology.org/2021.acl-long.203).

    A cascade of residual autoencoders imagines the embeddings of missing modalities from those of the observed ones; targets are
    the embeddings of a teacher that sees all modalities. A second cascade maps the imagined embeddings back to the observed ones.
    The classifier reads the bottlenecks of the first cascade.

    .. math:: L = L_{task} + 4 L_{imagination} + 2 L_{cycle}

    Differences from the paper:

    * Embeddings are those of frame means, as in the port of GCNet (arXiv 2203.02177), and the cascades have presence indicators.
    * The teacher is not pretrained. Each batch first updates the teacher on complete input (stage ``teacher``), then the rest
      (stage ``task``), whose gradient does not reach the teacher. One loop, one checkpoint and one selected epoch hold for both;
      the encoders of the student therefore start from their own weights.
    * Only modalities that the mask hides are compared with the teacher. The original also has zero targets where a modality is
      observed. Only imagined embeddings of hidden modalities enter the backward cascade; otherwise it could copy its input.
    * The paper imagines embeddings, not features. A linear map decodes them to frames; it is trained on detached embeddings, so
      it does not change the imagination.
    """

    Config = MMINConfig
    config: MMINConfig
    recovers = True

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, dims, width = self.config, list(schema.dims.values()), schema.target.width
        shape = (c.blocks, len(dims), c.embedding, c.hidden, c.bottleneck)
        self.means = FrameMeans(dims)
        self.teacher = Teacher(dims, c, width)
        self.encoders = Encoders(dims, c.embedding, c.dropout)
        self.imagine = Cascade(*shape)
        self.recall = Cascade(*shape)
        self.decoders = Decoders(dims, c.embedding)
        self.head = Head(c.blocks * c.bottleneck, c.hidden, lambda units: classifier(schema, units, c), c.dropout)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Return the step of the teacher, then that of all other parts."""
        return Stage("teacher", ("teacher.",)), Stage("task", ("encoders.", "imagine.", "recall.", "decoders.", "head."))

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Estimate mean and standard deviation of the frame means."""
        self.means.fit(batches)

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C) and imagined frames."""
        available = batch.available()
        imagined, latent = self.imagine(self.encoders(self.means.split(self.means(batch)), available), available)
        return Prediction(self.head(latent), self.means.fill(batch, torch.cat(self.decoders(imagined), dim=1)))

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the task loss of the teacher, or the losses of task, imagination, cycle and decoders."""
        complete_means = self.means.split(self.means(complete))
        if stage == "teacher":
            embedded = self.teacher.encoders(complete_means, complete.available())
            return {"task": self.task_loss(self.teacher.head(embedded.flatten(1)), complete.label)}
        c, available, hidden = self.config, observed.available(), missing_slots(complete, observed)
        embedded = self.encoders(self.means.split(self.means(observed)), available)  # (U, M, H)
        imagined, latent = self.imagine(embedded, available)
        cycled, _ = self.recall(imagined * hidden.unsqueeze(-1), hidden)
        recalled = available & hidden.any(dim=1, keepdim=True)  # (U, M) observed modalities of utterances with a hidden one
        return {
            "task": self.task_loss(self.head(latent), observed.label),
            "imagination": c.imagination_weight
            * slot_error(imagined.unbind(1), self._teacher_embeddings(complete_means, hidden).unbind(1), hidden),
            "cycle": c.cycle_weight * slot_error(cycled.unbind(1), embedded.detach().unbind(1), recalled),
            "decoding": slot_error(self.decoders(imagined.detach()), complete_means, hidden),
        }

    @torch.no_grad()
    def _teacher_embeddings(self, complete_means: Sequence[Tensor], hidden: Tensor) -> Tensor:
        """Return the embeddings (U, M, H) of the teacher for hidden modalities, without dropout."""
        training = self.teacher.training
        self.teacher.eval()
        targets: Tensor = self.teacher.encoders(complete_means, hidden)
        self.teacher.train(training)
        return targets
