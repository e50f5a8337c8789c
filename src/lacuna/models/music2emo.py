"""Music2Emo: one body with a categorical and a dimensional branch, distilled from a teacher of each data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, Stage, register
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers.head import classifier
from lacuna.models.layers.mixed_targets import mixed_loss
from lacuna.models.layers.streams import UtteranceVectors
from lacuna.models.space import Choice, Space, Span

_TEACHER, _TASK = "teacher", "task"


@dataclass(frozen=True)
class Music2EmoConfig(Config):
    """Settings of :class:`Music2Emo`.

    Attributes:
        width: units of the vector of each modality.
        hidden: units of the body; the paper has 512.
        dropout: dropout rate.
        distillation: share of the loss that compares with the teacher, 0 to 1.
        teaching: epochs of the teacher, before the student begins; training must have more epochs. 0 = no teacher.
    """

    width: int = 48
    hidden: int = 128
    dropout: float = 0.3
    distillation: float = 0.8
    teaching: int = 10
    space: ClassVar[Space] = {
        "width": Choice((32, 48, 96)),
        "hidden": Span(32, 512, log=True),
        "dropout": Span(0.0, 0.7),
        "distillation": Span(0.0, 0.9),
    }

    def __post_init__(self) -> None:
        check_bounds("music2emo", self, width=(1, 8192), hidden=(1, 65536), dropout=(0.0, 1.0))
        check_bounds("music2emo", self, distillation=(0.0, 1.0), teaching=(0, 10**6))


class MixedNetwork(nn.Module):
    """Vectors of the modalities, one rectified layer, and the branches of the targets.

    Args:
        schema: modalities and target.
        config: settings.
    """

    def __init__(self, schema: Schema, config: Music2EmoConfig) -> None:
        super().__init__()
        c, m = config, len(schema.dims)
        self.vectors = UtteranceVectors(schema, c.width)
        self.body = nn.Sequential(nn.Linear(m * (c.width + 1), c.hidden), nn.ReLU(), nn.Dropout(c.dropout))
        self.heads = nn.ModuleList([classifier(schema, c.hidden, c)])  # one for each target

    def forward(self, batch: Batch) -> list[Tensor]:
        """Return the output of the head of each target, (U, C) logits or (U, 1) values."""
        vectors = self.vectors(batch)  # (U, M, d)
        inputs = torch.cat([vectors.flatten(1), batch.available().to(vectors)], dim=1)  # (U, M d + M)
        hidden = self.body(inputs)
        return [head(hidden) for head in self.heads]


@register(
    "music2emo",
    title="Towards Unified Music Emotion Recognition across Dimensional and Categorical Models",
    task="fusion",
    modalities=("music",),
    paper="https://arxiv.org/abs/2502.03979",
    year=2025,
)
class Music2Emo(Recognizer):
    r"""Music2Emo of Kang and Herremans (arXiv 2502.03979): a shared body, mixed heads, and distillation from a frozen teacher.

    A linear layer with ReLU reads the vectors of all modalities. The head of a target answers with classes or with a value, and
    has a loss only where its target has labels (:func:`~lacuna.models.layers.mixed_targets.mixed_loss`).

    .. math:: L = (1 - a) L_{task} + a D(teacher, student)

    D is the KL divergence of classes, and the squared error of values (the released code takes a softmax of values too).

    Left out, because a run has one corpus and one target: batches of several data sets with a teacher of each, and heads of
    classes and of valence and arousal at once. So the model has one head and one teacher. The teacher reads everything that the
    corpus holds, the student what the training mask left. Also left out: chord and key features with the transformer over
    chords (a corpus can hold them as a modality), and mood tags, of which a song has several. The vector of a modality is an
    attention-weighted mean of its present frames, 0 if it is missing; the body also reads which modalities are available.
    """

    Config = Music2EmoConfig
    config: Music2EmoConfig
    tiny: ClassVar[Mapping[str, Any]] = {"width": 16, "hidden": 32}

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        self.student = MixedNetwork(schema, self.config)
        self.teacher = MixedNetwork(schema, self.config) if self.config.teaching and self.config.distillation else None

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Return the stage of the teacher, if there is one, and that of the student after it."""
        if self.teacher is None:
            return (Stage(_TASK),)
        n_epochs = self.config.teaching
        return Stage(_TEACHER, ("teacher.",), end=n_epochs), Stage(_TASK, ("student.",), first=n_epochs)

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C) of the student."""
        return Prediction(self.student(batch)[0].float())

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the loss of the teacher on the complete batch, or the losses of the student on the observed one."""
        targets, share = [self.schema.target], self.config.distillation
        if stage == _TEACHER:
            assert self.teacher is not None
            return mixed_loss(targets, self.teacher(complete), [complete.label], main_loss=self.task_loss)
        if self.teacher is None:
            return mixed_loss(targets, self.student(observed), [observed.label], main_loss=self.task_loss)
        answers = self._answers(self.teacher, complete)
        return mixed_loss(targets, self.student(observed), [observed.label], answers, share, main_loss=self.task_loss)

    @torch.no_grad()
    def _answers(self, teacher: MixedNetwork, complete: Batch) -> list[Tensor]:
        """Return the outputs of the teacher, without gradient and dropout."""
        training = teacher.training
        teacher.eval()
        outputs: list[Tensor] = teacher(complete)
        teacher.train(training)
        return outputs
