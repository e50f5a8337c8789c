"""Head of UniEmoX: scene and person fused into one vector, which learns from frozen features by distillation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, register
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers.contrast import cosine_distance
from lacuna.models.layers.head import classifier
from lacuna.models.layers.pooling import masked_mean
from lacuna.models.layers.streams import UtteranceVectors, modality_or_first
from lacuna.models.space import Choice, Space, Span


@dataclass(frozen=True)
class UniEmoXConfig(Config):
    """Settings of :class:`UniEmoX`.

    Attributes:
        width: units of each stream and of the fused vector.
        dropout: dropout rate.
        teacher: name of the modality whose frozen features are learned from; the first modality if the corpus has no such one.
        similarity: weight of the distance to the teacher's vector.
        relation: weight of the distance between the similarities of utterances.
    """

    width: int = 64
    dropout: float = 0.3
    teacher: str = "vision"
    similarity: float = 0.1
    relation: float = 0.1
    space: ClassVar[Space] = {
        "width": Choice((32, 64, 128)),
        "dropout": Span(0.0, 0.6),
        "similarity": Span(0.01, 1.0, log=True),
        "relation": Span(0.01, 1.0, log=True),
    }

    def __post_init__(self) -> None:
        check_bounds("uniemox", self, width=(1, 8192), dropout=(0.0, 1.0), similarity=(0.0, 1e6), relation=(0.0, 1e6))


@register(
    "uniemox",
    title="UniEmoX: Cross-modal Semantic-Guided Large-Scale Pretraining for Universal Scene Emotion Perception",
    task="fusion",
    modalities=("text", "image"),
    paper="https://arxiv.org/abs/2409.18877",
    year=2025,
    venue="IEEE TIP",
)
class UniEmoX(Recognizer):
    r"""Fusion and distillation of UniEmoX (Chen, Sun and Liu, IEEE TIP 2025) on given features, after its public code.

    The fusion is the published one, :math:`f = ELU(W \sum_m LN(z_m) + b)` over scene and person; here every modality of the
    corpus is a stream. With the frozen vector t of the teacher and a projection P, the two losses of the distillation are

    .. math:: 1 - \cos(P f_i, t_i), \quad 1 - \cos(S_i, T_i), \quad S_{ij} = \cos(P f_i, t_j), \; T_{ij} = \cos(t_i, t_j)

    over the utterances of the batch that have the teacher in the corpus; the student reads them under the training mask.

    Left out, because they need images: the detector of persons, the vision transformer with its masked image modelling, and
    CLIP as teacher. Decided here: the teacher is the frame mean of one modality. Its vectors also take the place of CLIP's
    embeddings of captions in the second loss. Both losses are added to the loss of the task instead of a pretraining. A missing
    stream is left out of the sum, and W and head also read which streams are available.
    """

    Config = UniEmoXConfig
    config: UniEmoXConfig
    tiny: ClassVar[Mapping[str, Any]] = {"width": 16}

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, n_streams = self.config, len(schema.dims)
        self.teacher = modality_or_first(schema, c.teacher, "uniemox")
        self.vectors = UtteranceVectors(schema, c.width)
        self.norm = nn.LayerNorm(c.width)
        self.fuse = nn.Sequential(nn.Linear(c.width + n_streams, c.width), nn.ELU())
        self.student = nn.Linear(c.width, schema.dims[self.teacher])
        self.dropout = nn.Dropout(c.dropout)
        self.head = classifier(schema, c.width + n_streams, c)

    def encode(self, batch: Batch) -> Tensor:
        """Return the fused vectors (U, d)."""
        available = batch.available()
        total = (self.norm(self.vectors(batch)) * available.unsqueeze(2)).sum(dim=1)  # (U, M, d) -> (U, d)
        fused: Tensor = self.fuse(torch.cat([total, available.to(total)], dim=1))
        return fused

    def answer(self, fused: Tensor, batch: Batch) -> Tensor:
        """Return logits (U, C) from fused vectors (U, d)."""
        logits: Tensor = self.head(torch.cat([self.dropout(fused), batch.available().to(fused)], dim=1))
        return logits.float()

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C)."""
        return Prediction(self.answer(self.encode(batch), batch))

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the loss of the task and the two losses of the distillation."""
        c, fused = self.config, self.encode(observed)
        known = complete.present[self.teacher].any(dim=1)
        similarity, relation = distances(
            self.student(fused), masked_mean(complete.features[self.teacher], complete.present[self.teacher]), known
        )
        return {
            "task": self.task_loss(self.answer(fused, observed), observed.label),
            "similarity": c.similarity * similarity,
            "relation": c.relation * relation,
        }


def distances(student: Tensor, teacher: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Return both losses of the distillation, scalars from 0 to 2; 0 without a known vector.

    Args:
        student: (U, d).
        teacher: (U, d), without gradient.
        known: (U,) bool, the utterance has a vector of the teacher; the others are in neither loss.
    """
    student, teacher = functional.normalize(student.float(), dim=1), functional.normalize(teacher.float(), dim=1)
    of_student, of_teacher = student @ teacher.T * known, teacher @ teacher.T * known  # (U, U)
    return cosine_distance(student, teacher, known), cosine_distance(of_student, of_teacher, known)
