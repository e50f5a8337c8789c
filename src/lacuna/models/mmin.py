"""Missing modality imagination: embeddings of what is missing, imagined from those of what is there and back again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, Stage, register, task_loss
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers.autoencoder import Cascade, Decoders, Encoders, Head
from lacuna.models.layers.head import classifier
from lacuna.models.layers.means import FrameMeans, missing_slots, slot_error
from lacuna.models.space import Space, Span


@dataclass(frozen=True)
class MMINConfig(Config):
    """Settings of :class:`MMIN`.

    Attributes:
        embedding: width of each modality's embedding.
        hidden: units of the autoencoders' outer layers and of the classifiers.
        bottleneck: units of their narrowest layer.
        blocks: autoencoders in each direction.
        dropout: share of units dropped in training, of embeddings and in the classifiers.
        imagination_weight: of the error of imagined embeddings against the teacher's.
        cycle_weight: of the error of the way back.
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
    """Encoders that see every modality, and a classifier that makes them worth imitating.

    Args:
        dims: width of each modality.
        config: of the whole model.
        outside: classes, or 1.
    """

    def __init__(self, dims: Sequence[int], config: MMINConfig, outside: int) -> None:
        super().__init__()
        self.encoders = Encoders(dims, config.embedding, config.dropout)
        self.head = Head(len(dims) * config.embedding, config.hidden, lambda width: nn.Linear(width, outside), config.dropout)


@register(
    "mmin",
    title="Missing Modality Imagination Network for Emotion Recognition with Uncertain Missing Modalities",
    task="recovery",
    paper="https://aclanthology.org/2021.acl-long.203",
    year=2021,
    venue="ACL",
)
class MMIN(Recognizer):
    """Missing Modality Imagination Network (Zhao, Li and Jin, ACL 2021).

    A cascade of residual autoencoders imagines, from the embeddings of what is observed, those that a full-modality teacher gives
    to what is missing; a second cascade maps what was imagined back to what was observed. The bottlenecks of the first are
    classified. The loss is the task's, plus 4 times the imagination's, plus 2 times that of the way back.

    Different from the paper:

    * Embeddings are of frame means, as in GCNet's port (arXiv 2203.02177), and cascades are told which modalities are there.
    * The teacher is not trained beforehand: each batch steps it first, on all that the corpus holds (stage ``teacher``), then the
      rest (stage ``task``), whose gradient never reaches it. It is ahead of the imagination throughout, and one loop, one
      checkpoint and one choice of epoch hold for both. The student's encoders therefore start from their own weights.
    * Only slots that the mask hid are compared with the teacher's. The original also asks for zeros where something is observed;
      here only what was imagined for hidden slots is sent back, without which the way back would be a copy.
    * The embedding is what is imagined, so a linear map beside it tells it as frames. It learns from the imagination, detached:
      what it says is what the imagination holds, and it changes nothing in it.
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
        self.head = Head(c.blocks * c.bottleneck, c.hidden, lambda wide: classifier(schema, wide, c), c.dropout)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The teacher's step, then everyone else's."""
        return Stage("teacher", ("teacher.",)), Stage("task", ("encoders.", "imagine.", "recall.", "decoders.", "head."))

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Spread of the frame means."""
        self.means.fit(batches)

    def forward(self, batch: Batch) -> Prediction:
        """Logits (U, C) and the imagined frames."""
        here = batch.available()
        imagined, latent = self.imagine(self.encoders(self.means.split(self.means(batch)), here), here)
        return Prediction(self.head(latent), self.means.fill(batch, torch.cat(self.decoders(imagined), dim=1)))

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """The teacher's on everything; or the task's, the imagination's, the way back's, and the decoders'."""
        target = self.schema.target
        whole = self.means.split(self.means(complete))
        if stage == "teacher":
            seen = self.teacher.encoders(whole, complete.available())
            return {"task": task_loss(target, self.teacher.head(seen.flatten(1)), complete.label)}
        c, here, hidden = self.config, observed.available(), missing_slots(complete, observed)
        embedded = self.encoders(self.means.split(self.means(observed)), here)  # (U, M, H)
        imagined, latent = self.imagine(embedded, here)
        back, _ = self.recall(imagined * hidden.unsqueeze(-1), hidden)
        both = here & hidden.any(dim=1, keepdim=True)  # (U, M) there is something to come back from
        return {
            "task": task_loss(target, self.head(latent), observed.label),
            "imagination": c.imagination_weight * slot_error(imagined.unbind(1), self._taught(whole, hidden).unbind(1), hidden),
            "cycle": c.cycle_weight * slot_error(back.unbind(1), embedded.detach().unbind(1), both),
            "decoding": slot_error(self.decoders(imagined.detach()), whole, hidden),
        }

    @torch.no_grad()
    def _taught(self, whole: Sequence[Tensor], hidden: Tensor) -> Tensor:
        """The teacher's embeddings of what is hidden, without its dropout: (U, M, H)."""
        training = self.teacher.training
        self.teacher.eval()
        taught: Tensor = self.teacher.encoders(whole, hidden)
        self.teacher.train(training)
        return taught
